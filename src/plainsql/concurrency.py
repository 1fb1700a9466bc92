"""Where sync and async differ: lock, waiter, shield, hand-over, close; each thing twice.

Floor 3.  The names with `Async` or `_async` are what `_async/` uses; `tools/unasync.py` turns
them into the others.  Nothing here knows of pools or transactions.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Generator, Sequence
    from types import TracebackType

    from plainsql.dialect import Dialect
    from plainsql.driver import Many

T = TypeVar("T")

#: Counts the forks that this process is the child of; a pool compares it at every checkout.
forks = 0


def _count_fork() -> None:
    global forks
    forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)

Mutex = threading.Lock


class AsyncMutex:
    """Nothing to lock: a pool's tasks run in one loop, and its critical sections do not await."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        pass


class Cell:
    """What one waiting thread sleeps on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wake(self) -> None:
        """Wake the thread."""
        self._lock.release()

    def wait(self, seconds: float) -> bool:
        """Sleep until woken, `seconds` at most; tell whether it was woken."""
        return self._lock.acquire(timeout=max(0.0, seconds))


class AsyncCell:
    """What one waiting task sleeps on."""

    def __init__(self) -> None:
        import asyncio

        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(self) -> None:
        """Wake the task."""
        if not self._future.done():
            self._future.set_result(None)

    async def wait(self, seconds: float) -> bool:
        """Sleep until woken, `seconds` at most; tell whether it was woken."""
        import asyncio

        done, _ = await asyncio.wait([self._future], timeout=max(0.0, seconds))
        return bool(done)


class Opening(Generic[T]):
    """Something that is opened by awaiting: `x = await opening` or `async with opening as x`."""

    __slots__ = ("_opened", "_opening")

    _opened: Any

    def __init__(self, opening: Coroutine[Any, Any, T]) -> None:
        self._opening = opening

    def __await__(self) -> Generator[Any, Any, T]:
        return self._opening.__await__()

    async def __aenter__(self) -> T:
        self._opened = await self._opening
        entered: T = await self._opened.__aenter__()
        return entered

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        swallowed: bool | None = await self._opened.__aexit__(kind, exc, trace)
        return swallowed

    if not TYPE_CHECKING:  # a type checker shall see that there are none

        def __enter__(self) -> T:
            self._opening.close()
            raise TypeError("this is opened by awaiting: write `async with`")

        def __exit__(self, *exc: object) -> None:
            raise AssertionError("bug: __enter__ always raises")

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(
                f"await it before .{name}: `opened = await …` or `async with … as opened`"
            )


def shielded(value: T, orphan: Callable[[T], None]) -> T:
    """Return what the call before returned: a thread is not cancelled."""
    del orphan
    return value


async def shielded_async(opening: Coroutine[Any, Any, T], orphan: Callable[[T], None]) -> T:
    """Await; if the caller is cancelled meanwhile, go on and give the outcome to `orphan`."""
    import asyncio

    task = asyncio.ensure_future(opening)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.cancelled():
            task.add_done_callback(lambda done: _pass_on(done, orphan))
        raise


def _pass_on(task: asyncio.Task[T], orphan: Callable[[T], None]) -> None:
    if not task.cancelled() and task.exception() is None:
        orphan(task.result())


def current_loop() -> object:
    """Tell which loop the pool belongs to: none."""
    return None


def current_loop_async() -> asyncio.AbstractEventLoop:
    """Tell which loop the pool belongs to."""
    import asyncio

    return asyncio.get_running_loop()


def current_task() -> str:
    """Name the thread, for messages."""
    return f"thread {threading.current_thread().name!r}"


def current_task_async() -> str:
    """Name the task, for messages."""
    import asyncio

    task = asyncio.current_task()
    return f"task {task.get_name()!r}" if task else "no task"


def stream_cursor(dialect: Dialect, raw: Any, batch: int) -> Any:
    """Return a cursor that does not buffer."""
    return dialect.stream_cursor(raw, batch)


def stream_cursor_async(dialect: Dialect, raw: Any, batch: int) -> Any:
    """Return an awaitable cursor that does not buffer."""
    if hasattr(raw, "stream_cursor"):
        return raw.stream_cursor(batch)
    return dialect.stream_cursor(raw, batch)


def execute_many(link: Any, sql: str, rows: Sequence[Any], many: Many) -> Any:
    """Run a statement for many sets of values; as `Dialect.execute_many`."""
    return link.dialect.execute_many(link.cursor, sql, rows, many)


async def execute_many_async(link: Any, sql: str, rows: Sequence[Any], many: Many) -> Any:
    """Run a statement for many sets of values; as `Dialect.execute_many`."""
    dialect = link.dialect
    if link.own is link.raw:
        return await dialect.execute_many_async(link.cursor, sql, rows, many)
    return await link.raw.run(lambda: dialect.execute_many(link.own_cursor, sql, rows, many))


def hard_close(dialect: Dialect, raw: Any) -> None:
    """Close a doubtful connection without any protocol; never waits for the server."""
    with suppress(OSError, dialect.driver_error):
        dialect.abort(raw)
    with suppress(OSError, dialect.driver_error):
        dialect.finish(raw)


def hard_close_async(dialect: Dialect, raw: Any) -> None:
    """Close a doubtful connection without any protocol; never waits for the server."""
    if hasattr(raw, "abort"):
        raw.abort()
    else:
        hard_close(dialect, raw)


async def run_hook_async(hook: Callable[[Any], Any], raw: Any) -> None:
    """Call a user's hook with the awaitable connection; await what it returns."""
    outcome = hook(raw)
    if hasattr(outcome, "__await__"):
        await outcome


def run_hook(hook: Callable[[Any], Any], raw: Any) -> None:
    """Call a user's hook with the driver's connection."""
    hook(raw)
