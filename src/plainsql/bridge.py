"""Any blocking driver made awaitable: one worker thread per connection.

Floor 1.  The thread runs one call after the other; an await that is cancelled leaves its call
running, so a bridged connection that was interrupted is aborted, never reused.  `execute` fetches
the rows in the same trip, so that a statement costs one hop to the thread and one back.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plainsql.dialect import Dialect

Job = tuple["Callable[[], Any]", "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class Worker:
    """One daemon thread and its queue; it ends when `stop` was called and all jobs are done."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self.is_stopped = False
        self._given = self._done = 0
        self._thread = threading.Thread(target=self._work, name="plainsql-bridge", daemon=True)
        self._thread.start()

    async def run(self, call: Callable[[], Any]) -> Any:
        """Run `call` in the thread; a cancelled await does not stop it.

        After the thread's end it runs here: the driver says that the connection is closed.
        """
        if self.is_stopped:
            await in_a_thread(self._thread.join)
            return call()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._jobs.put((call, future, loop))
        self._given += 1  # after it: what an interrupt kept from being given is never done
        try:
            return await future
        finally:
            del future  # or its exception would hold this frame, and that the future

    @property
    def is_at_work(self) -> bool:
        """Whether a call runs, or waits for its turn."""
        return self._done < self._given

    def stop(self, call: Callable[[], Any] | None = None) -> None:
        """Let the thread end once its jobs, and last of all `call`, have run; does not wait."""
        self.is_stopped = True
        if call is not None:
            self._jobs.put((call, None, None))  # type: ignore[arg-type]
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, future, loop = job
            try:
                result, error = call(), None
            except BaseException as exc:  # noqa: BLE001 - it belongs to the awaiting task
                result, error = None, exc
            if loop is not None:
                self._done += 1
                with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
                    loop.call_soon_threadsafe(_settle, future, result, error)
            del job, call, future, loop, result, error


async def in_a_thread(call: Callable[[], Any]) -> Any:
    """Run `call` in a thread of its own.

    asyncio's own threads take nothing more when the main thread has ended, and a loop in another
    one may still be at work then.
    """
    worker = Worker()
    try:
        return await worker.run(call)
    finally:
        worker.stop()


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class BridgedConnection:
    """The awaitable twin of a driver's connection; `driver_connection` is the driver's own."""

    def __init__(self, dialect: Dialect, worker: Worker, raw: Any) -> None:
        self.driver_connection = raw
        self._dialect = dialect
        self._worker = worker

    def __del__(self) -> None:
        """Let the thread of a connection that nobody knows any more close it, and end."""
        worker: Worker | None = vars(self).get("_worker")
        if worker is not None and not worker.is_stopped:
            worker.stop(partial(self._dialect.finish, self.driver_connection))

    def cursor(self) -> BridgedCursor:
        return BridgedCursor(self._worker, self.driver_connection.cursor(), buffered=True)

    def stream_cursor(self, batch: int) -> BridgedCursor:
        """Return a cursor that does not buffer."""
        cursor = self._dialect.stream_cursor(self.driver_connection, batch)
        return BridgedCursor(self._worker, cursor, buffered=False)

    async def run(self, call: Callable[[], Any]) -> Any:
        """Run `call` in the connection's thread, after the calls before it."""
        return await self._worker.run(call)

    async def close(self) -> None:
        raw = self.driver_connection
        try:
            await self._worker.run(raw.close)
        finally:
            self._worker.stop()

    @property
    def is_at_work(self) -> bool:
        """Whether a call runs in the thread, or waits for one that does."""
        return self._worker.is_at_work

    def abort(self, then: Callable[[], None] | None = None) -> None:
        """Unblock the thread and let it close the connection; does not wait.

        `then` is called in the running loop when that is done.
        """
        dialect, raw = self._dialect, self.driver_connection
        with suppress(OSError, dialect.driver_error):
            dialect.abort(raw)
        finish: Callable[[], None] = partial(dialect.finish, raw)
        if then is not None:
            finish = partial(_finish_and_tell, finish, asyncio.get_running_loop(), then)
        self._worker.stop(finish)

    def finish(self) -> None:
        """Close at once; nothing runs in the thread any more."""
        self._worker.stop()
        self._dialect.finish(self.driver_connection)


class BridgedCursor:
    """The awaitable twin of a driver's cursor; a buffered one holds all rows after `execute`."""

    def __init__(self, worker: Worker, cursor: Any, *, buffered: bool) -> None:
        self.driver_cursor = cursor
        self._worker = worker
        self._buffered = buffered
        self._rows: Sequence[Any] = ()

    @property
    def description(self) -> Any:
        return self.driver_cursor.description

    @property
    def rowcount(self) -> int:
        return self.driver_cursor.rowcount  # type: ignore[no-any-return]

    @property
    def lastrowid(self) -> Any:
        return self.driver_cursor.lastrowid

    async def execute(self, *args: Any) -> None:
        cursor = self.driver_cursor

        def call() -> Sequence[Any]:
            cursor.execute(*args)
            if self._buffered and cursor.description is not None:
                return cursor.fetchall()  # type: ignore[no-any-return]
            return ()

        self._rows = await self._worker.run(call)

    async def executemany(self, *args: Any) -> None:
        await self._worker.run(lambda: self.driver_cursor.executemany(*args))

    async def fetchall(self) -> Sequence[Any]:
        """Return the rows; a buffered cursor has them already."""
        if self._buffered:
            rows, self._rows = self._rows, ()
            return rows
        return await self._worker.run(self.driver_cursor.fetchall)  # type: ignore[no-any-return]

    async def fetchmany(self, size: int) -> Sequence[Any]:
        return await self._worker.run(  # type: ignore[no-any-return]
            lambda: self.driver_cursor.fetchmany(size)
        )

    async def close(self) -> None:
        await self._worker.run(self.driver_cursor.close)


def _finish_and_tell(
    finish: Callable[[], None], loop: asyncio.AbstractEventLoop, then: Callable[[], None]
) -> None:
    try:
        finish()
    finally:
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
            loop.call_soon_threadsafe(then)


async def bridge(dialect: Dialect, connect: Callable[[], Any]) -> BridgedConnection:
    """Call `connect` in a new worker thread and return its connection, made awaitable.

    If the await is cancelled, the thread closes the connection as soon as it is there.
    """
    opened: list[Any] = []
    worker: Worker | None = None
    try:
        worker = Worker()
        await worker.run(lambda: opened.append(connect()))
        return BridgedConnection(dialect, worker, opened[0])
    except BaseException:
        if worker is not None:
            worker.stop(lambda: _finish(dialect, opened))
        raise


def _finish(dialect: Dialect, opened: list[Any]) -> None:
    for raw in opened:
        dialect.finish(raw)
