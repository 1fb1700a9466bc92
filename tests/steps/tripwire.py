"""An exception at the n-th line that is run in plainsql, in a dialect, or in a driver.

`sys.settrace` tells of each line before it is run, and what the trace function raises is raised
there: once, at the line that was chosen.  Only the thread that is under test is traced, and in
async only its task and those that it began: a callback of the loop belongs to nobody.
"""

from __future__ import annotations

import asyncio
import dis
import importlib.util
import sys
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import plainsql

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from contextvars import Token
    from types import CodeType, FrameType, TracebackType
    from typing import Self

OURS = ("plainsql", "plainsql_sqlite", "plainsql_postgresql", "plainsql_mysql")
#: A step in one of these is on a line of I/O: it is on the way to the server, or back.
DRIVERS = ("psycopg", "pymysql")
#: Drivers of the tests' own, in Python, so that there are lines in them.
FAKES = (Path(plainsql.__file__).parent / "testing/fake.py", Path(__file__).parent / "lined.py")
#: Where the shell hands a call to the thread that a blocking driver runs in.
BRIDGE = Path(plainsql.__file__).parent / "bridge.py"

_under_test: ContextVar[bool] = ContextVar("under_test", default=False)


class Bare(BaseException):
    """Such as gevent's time-outs are: no Exception, and nobody's own."""


#: What is raised: Ctrl-C, a cancellation, and what nobody knows.
KINDS = (KeyboardInterrupt, asyncio.CancelledError, Bare)
KEYBOARD, CANCEL = KINDS[:1], KINDS[1:2]


class Step(NamedTuple):
    """A line, as it was about to be run; `io`: in the driver."""

    file: str
    line: int
    function: str
    io: bool

    def __str__(self) -> str:
        path = Path(self.file)
        return f"{path.parent.name}/{path.name}:{self.line} in {self.function}"


def _folder(package: str) -> str:
    spec = importlib.util.find_spec(package)
    found = spec.submodule_search_locations if spec is not None else None
    return str(Path(next(iter(found))).resolve()) + "/" if found else "\0"


@cache
def _folders() -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(map(_folder, OURS)), tuple(map(_folder, DRIVERS))


@cache
def is_io(file: str) -> bool | None:
    """Tell of a file whether it is a driver's; None: neither a driver's nor ours."""
    path = str(Path(file).resolve())
    ours, drivers = _folders()
    if path in map(str, (*FAKES, BRIDGE)) or path.startswith(drivers):
        return True
    if path.startswith(ours) and "/testing/" not in path:
        return False
    return None


def was_raised_by_driver(trace: TracebackType | None) -> bool:
    """Tell whether an exception came out of a driver's line, or out of C that was called there."""
    by_driver = False
    while trace is not None:
        found = is_io(trace.tb_frame.f_code.co_filename)
        by_driver = by_driver if found is None else found
        trace = trace.tb_next
    return by_driver


@cache
def _with_exits(code: CodeType) -> frozenset[int]:
    """Return where a `with` block is about to call `__exit__`.

    The line of `with` is told of once more there, but no exception can come: the interpreter
    looks for signals neither at these instructions nor between them and what the block did last.
    """
    found = set()
    window = list(dis.get_instructions(code))
    for at, instruction in enumerate(window):
        following = window[at + 1 : at + 4]
        names = [one.opname for one in following]
        leaves = [one.argval for one in window[at : at + 3]] == [None] * 3 and all(
            one.opname == "LOAD_CONST" for one in window[at : at + 3]
        )
        if leaves and names[2] in ("PRECALL", "CALL"):
            found.add(instruction.offset)
            before = window[at - 1]
            if before.opname in ("SWAP", "NOP"):
                found.add(before.offset)
        if instruction.opname == "PUSH_EXC_INFO" and names[:1] == ["WITH_EXCEPT_START"]:
            found.add(instruction.offset)
    return frozenset(found)


#: The number of a step, from 1, or the line of one, as file and number.
At = int | tuple[str, int]


class Tripwire:
    """Counts steps, and raises `error` at one of them, once; with 0 it only counts.

    A context manager: on inside its block.
    """

    def __init__(self, at: At = 0, error: BaseException | None = None) -> None:
        self.at = at
        self.error = error
        self.steps: list[Step] = []
        self.hit: Step | None = None
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        if self.hit is None:
            sys.settrace(self._on_call)
        return self

    def __exit__(self, *exc: object) -> None:
        sys.settrace(self._before)

    def counts(self) -> bool:
        """Tell whether a step counts where it is."""
        return True

    def _on_call(self, frame: FrameType, event: str, arg: Any) -> Any:
        del event, arg
        return None if is_io(frame.f_code.co_filename) is None else self._on_line

    def _on_line(self, frame: FrameType, event: str, arg: Any) -> Any:
        del arg
        if event != "line" or self.hit is not None:
            return self._on_line
        code = frame.f_code
        if frame.f_lasti in _with_exits(code) or not self.counts():
            return self._on_line
        step = Step(code.co_filename, frame.f_lineno, code.co_name, bool(is_io(code.co_filename)))
        self.steps.append(step)
        if self.at in (len(self.steps), step[:2]) and self.error is not None:
            self.hit = step
            raise self.error  # which ends the tracing
        return self._on_line


class AsyncTripwire(Tripwire):
    """The same for a task and the tasks that it begins inside the block.

    KeyboardInterrupt comes to the task itself only: out of another one it stops the loop, which
    asyncio's own handler of Ctrl-C never does at its first press.
    """

    _task: asyncio.Task[Any] | None = None
    _token: Token[bool] | None = None

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        self._token = _under_test.set(True)
        return super().__enter__()

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        assert self._token is not None
        _under_test.reset(self._token)
        self._task = None  # or it would hold, with what it raised, what is to be collected

    def counts(self) -> bool:
        task = asyncio.current_task()
        if task is None or not _under_test.get():
            return False
        return task is self._task or not isinstance(self.error, KeyboardInterrupt)


class AsyncSuspensions:
    """Counts where a coroutine suspends, and interrupts it there the `at`-th time.

    `late`: once what it waits for has come, and before it hears of that; else at once.  A
    CancelledError comes as it does from `task.cancel()`; others are thrown.
    """

    def __init__(
        self, at: At = 0, error: BaseException | None = None, *, late: bool = False
    ) -> None:
        self.at = at
        self.error = error
        self.late = late
        self.steps: list[Step] = []
        self.hit: Step | None = None
        self._is_on = False

    def __enter__(self) -> Self:
        self._is_on = True
        return self

    def __exit__(self, *exc: object) -> None:
        self._is_on = False

    def walk(self, coroutine: Awaitable[None]) -> Walked:
        """Return what, awaited, runs the coroutine and interrupts it."""
        return Walked(coroutine, self)

    def is_due(self, coroutine: Any) -> bool:
        """Count a suspension; tell whether it is the one."""
        if not self._is_on or self.hit is not None:
            return False
        step = _suspended(coroutine)
        self.steps.append(step)
        if self.at not in (len(self.steps), step[:2]) or self.error is None:
            return False
        self.hit = step
        return True


class Walked:
    """A coroutine that is run by hand, as its task would, so that each suspension is seen."""

    def __init__(self, coroutine: Awaitable[None], wire: AsyncSuspensions) -> None:
        self._coroutine: Any = coroutine
        self._wire = wire

    def __await__(self) -> Generator[Any, Any, None]:
        coroutine, wire = self._coroutine, self._wire
        resume: Callable[[Any], Any] = coroutine.send
        value: Any = None
        while True:
            try:
                future = resume(value)
            except StopIteration:
                return
            due = wire.is_due(coroutine)
            cancels = isinstance(wire.error, asyncio.CancelledError)
            if due and not wire.late and not cancels:
                if future is not None:
                    future._asyncio_future_blocking = False  # nobody waits for it any more
                resume, value = coroutine.throw, wire.error
                continue
            if due and not wire.late:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()  # what it waits for is cancelled as soon as it is told
            try:
                value = yield future
                resume = coroutine.send
            except BaseException as exc:  # noqa: BLE001 - the coroutine's own to hear of
                resume, value = coroutine.throw, exc
            if due and wire.late:
                resume, value = coroutine.throw, wire.error


def _suspended(coroutine: Any) -> Step:
    """Return where a coroutine waits: the innermost line that is plainsql's or a driver's."""
    found = Step("", 0, "", io=False)
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is not None and (io := is_io(frame.f_code.co_filename)) is not None:
            found = Step(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name, io)
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return found
