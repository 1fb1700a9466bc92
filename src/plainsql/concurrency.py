"""Where sync and async differ: lock, waiter, shield, hand-over, close; each thing twice.

Floor 3.  The names with `Async` or `_async` are what `_async/` uses; `tools/unasync.py` turns
them into the others.  Nothing here knows of pools or transactions.
"""

from __future__ import annotations

import sys
import threading
import time
from _thread import RLock
from contextlib import suppress
from functools import partial
from itertools import repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from weakref import ref

from plainsql.errors import ArgumentError
from plainsql.holders import task_name, thread_name
from plainsql.timer import Timer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
    from types import FrameType, TracebackType

    from plainsql.dialect import Dialect
    from plainsql.driver import Many

T = TypeVar("T")

#: A thread may take it again, so that it can mend what an interrupt left half done.
Mutex = RLock


#: Tells whether this thread holds a mutex.  Called at every return, hence not of Python.
is_held: Callable[[Any], bool] = cast("Any", RLock)._is_owned  # noqa: SLF001 - C has no other


def is_held_async(mutex: AsyncMutex) -> bool:
    """Tell whether somebody is amid a step: nobody, since none awaits."""
    del mutex
    return False


def is_amid() -> bool:
    """Tell whether a call of the pool's came below another one: a finalizer's, or a handler's.

    Asked where the mutex is held, which an interrupt may have kept from being given up instead.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - public in all but its name
    own = frame.f_code.co_filename if frame is not None else ""
    while frame is not None and frame.f_code.co_filename == own:
        frame = frame.f_back
    while frame is not None and frame.f_code.co_filename != own:
        frame = frame.f_back
    return frame is not None


def is_amid_async() -> bool:
    """Tell whether a call of the pool's came below another one: none awaits amid its step."""
    return False


def let_go(mutex: Any) -> None:
    """Give up a mutex that an interrupt may have kept from being given up."""
    with suppress(RuntimeError):  # it is this thread's no more
        while True:
            mutex.release()


class AsyncMutex:
    """Nothing to lock: a pool's tasks run in one loop, and its critical sections do not await."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        pass


def let_go_async(mutex: AsyncMutex) -> None:
    """Do nothing: there is nothing to give up."""


class Cell:
    """What one waiting thread sleeps on; woken once or more often before it sleeps, it wakes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def wake(self) -> None:
        """Wake the thread."""
        with suppress(RuntimeError):  # it was woken before
            self._lock.release()

    def wait(self, seconds: float) -> bool:
        """Sleep until woken, `seconds` at most; tell whether it was woken."""
        return self._lock.acquire(timeout=min(max(0.0, seconds), threading.TIMEOUT_MAX))


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


def tell_dropped(pool: Any) -> None:
    """Let the first who waits look after a dropped connection; called while garbage is collected.

    Whoever comes later, or leaves the queue, looks after it anyway.
    """
    with suppress(IndexError):
        cell = pool.ledger.waiters[0].cell
        if cell is not None:
            cell.wake()


def tell_dropped_async(pool: Any) -> None:
    """Let the loop look after a dropped connection; called while garbage is collected."""
    with suppress(RuntimeError):  # the loop was closed
        pool.loop.call_soon_threadsafe(pool.collect)


def may_collect(pool: Any) -> bool:
    """Tell whether this thread may look after dropped connections: there is a lock."""
    del pool
    return True


def may_collect_async(pool: Any) -> bool:
    """Tell whether this thread may look after dropped connections: not beside a loop at work."""
    import asyncio

    loop = pool.loop
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return loop is None or not loop.is_running()


class _Here(threading.local):
    """The thread that asks."""

    def __init__(self) -> None:
        self.owner = ref(threading.current_thread())


#: Tells which thread runs, by a weak reference: numbers are given away again when a thread has
#: ended.  Called at every checkout, hence not of Python.
current_owner: Callable[[], Any] = partial(attrgetter("owner"), _Here())
name_owner = thread_name
name_owner_async = task_name


def current_owner_async() -> Any:
    """Tell which task runs, by a weak reference; None if none does."""
    import asyncio

    task = asyncio.current_task()
    return task and ref(task)


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


def shielded(value: T, bequeath: Callable[[], Callable[[T | BaseException], None]]) -> T:
    """Return what the call before returned: a thread is not cancelled."""
    del bequeath
    return value


async def shielded_async(
    opening: Coroutine[Any, Any, T], bequeath: Callable[[], Callable[[T | BaseException], None]]
) -> T:
    """Await; if the caller is cancelled or interrupted meanwhile, go on without it.

    The outcome, or what was raised, is then given to what `bequeath` returns; it is called at once.
    """
    import asyncio

    task: asyncio.Task[T] | None = None
    try:
        task = asyncio.ensure_future(opening)
        return await asyncio.shield(task)
    except BaseException as exc:
        if task is None:
            opening.close()
        elif not _raised(task, exc):
            inherit = bequeath()
            task.add_done_callback(lambda done: inherit(_outcome(done)))
        raise


def _raised(task: asyncio.Task[Any], exc: BaseException) -> bool:
    """Tell whether an exception is what became of the task."""
    return task.done() and (task.cancelled() or task.exception() is exc)


def _outcome(task: asyncio.Task[T]) -> T | BaseException:
    import asyncio

    if task.cancelled():
        return asyncio.CancelledError()
    return task.exception() or task.result()


#: Tells which loop the pool belongs to: none.  Called at every checkout, hence not of Python.
current_loop: Callable[[], object] = repeat(None).__next__


def current_loop_async() -> asyncio.AbstractEventLoop:
    """Tell which loop the pool belongs to."""
    import asyncio

    return asyncio.get_running_loop()


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


ring_at = Timer().ring_at


def ring_at_async(when: float, act: Callable[[], None]) -> None:
    """Call `act` at that time of the monotonic clock, in the running loop."""
    import asyncio

    loop = asyncio.get_running_loop()
    loop.call_at(loop.time() + when - time.monotonic(), act)


rest = time.sleep


async def rest_async(seconds: float) -> None:
    """Let time go by; the other tasks go on meanwhile."""
    import asyncio

    await asyncio.sleep(seconds)


def called(fn: Callable[[Any], T], connection: Any) -> T:
    """Call a user's function with the connection."""
    value: Any = fn(connection)
    if hasattr(value, "__await__"):
        value.close()
        raise ArgumentError("the function of run() is async: use AsyncEngine.run()")
    found: T = value
    return found


async def called_async(fn: Callable[[Any], Awaitable[T]], connection: Any) -> T:
    """Call a user's async function with the connection, and await it."""
    awaited = fn(connection)
    if not hasattr(awaited, "__await__"):
        raise ArgumentError("the function of AsyncEngine.run() must be async")
    return await awaited


class Errand:
    """Something that is done meanwhile, in a thread of its own."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=act, name="plainsql-errand", daemon=True)
        self._thread.start()

    def is_done(self, seconds: float) -> bool:
        """Wait for its end, so many seconds at most; tell whether it has come."""
        self._thread.join(seconds)
        return not self._thread.is_alive()


class AsyncErrand:
    """Something that is done meanwhile, in a task of its own."""

    def __init__(self, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        import asyncio

        self._task = asyncio.ensure_future(act())

    async def is_done(self, seconds: float) -> bool:
        """Wait for its end, so many seconds at most; tell whether it has come."""
        import asyncio

        done, _ = await asyncio.wait([self._task], timeout=seconds)
        return bool(done)


def cancel(dialect: Dialect, raw: Any, own: Any) -> None:
    """Ask the server to stop what runs on a connection, from another thread."""
    del own
    dialect.cancel(raw)


async def cancel_async(dialect: Dialect, raw: Any, own: Any) -> None:
    """Ask the server to stop what runs on a connection, from another task."""
    if own is raw:
        await dialect.cancel_async(raw)
    else:
        from plainsql.bridge import in_a_thread

        await in_a_thread(lambda: dialect.cancel(own))


def reset(link: Any) -> bool:
    """Leave nothing of a session; as `Dialect.reset`."""
    done: bool = link.dialect.reset(link.own)
    return done


async def reset_async(link: Any) -> bool:
    """Leave nothing of a session; as `Dialect.reset`."""
    if link.own is link.raw:
        done: bool = await link.dialect.reset_async(link.raw)
    else:
        done = await link.raw.run(lambda: link.dialect.reset(link.own))
    return done


def hard_close(dialect: Dialect, raw: Any, then: Callable[[], None] | None = None) -> None:
    """Close a doubtful connection without any protocol; never waits for the server."""
    del then  # no thread but this one is at work on it
    with suppress(OSError, dialect.driver_error):
        dialect.abort(raw)
    with suppress(OSError, dialect.driver_error):
        dialect.finish(raw)


def hard_close_async(dialect: Dialect, raw: Any, then: Callable[[], None] | None = None) -> None:
    """Close a doubtful connection without any protocol; never waits for the server.

    `then` is called when the thread that was at work on it has ended.
    """
    if hasattr(raw, "abort"):
        raw.abort(then)
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
