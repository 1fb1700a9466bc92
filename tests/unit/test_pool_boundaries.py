"""The pool at the edge of a process, a loop, or a task: fork, another loop, exit, cancellation.

What a child or another loop may do with what it inherited stands in `test_inheritance`.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from plainsql import forking, ledger, row
from plainsql.errors import AuthenticationError, PoolClosed, PoolError
from plainsql.testing.fake import FakeError, FakeServer, Hold
from tests.beside import AsyncBeside, Beside, until, until_async

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from plainsql import Engine
    from plainsql.aio import AsyncEngine


# -- another process ----------------------------------------------------------------------------


def in_a_child(work: Callable[[], None]) -> int:
    """Do something in a forked child; return its exit code."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
with_threads = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")


@fork
@with_threads
def test_a_child_begins_empty_and_says_nothing_on_the_parents_lines() -> None:
    server = FakeServer()
    engine = server.engine(pool_pre_ping=True)
    busy = engine.connect()
    engine.connect().close()
    said = [list(connection.sent) for connection in server.connections]

    def child() -> None:
        with engine.connect() as connection:
            assert connection.scalar("SELECT mine") == "mine"
        assert len(server.connections) == 3
        assert engine.pool.status().idle == 1
        engine.dispose()
        busy.close()
        assert [connection.closed for connection in server.connections] == [False, False, True]
        assert said == [connection.sent for connection in server.connections[:2]]

    assert in_a_child(child) == 0
    assert busy.scalar("SELECT two") == "two"
    busy.close()
    engine.dispose()


@fork
@with_threads
def test_a_child_works_whatever_the_parents_threads_were_doing() -> None:
    """One of them waits for a connection that another one is opening."""
    server = FakeServer()
    engine = server.engine(pool_size=1, max_overflow=0)
    hold = server.at("connect", Hold())
    connecting = Beside(use, engine)
    until(hold.reached.is_set)
    waiting = Beside(use, engine)
    until(lambda: engine.pool.status().waiting == 1)

    assert in_a_child(lambda: use(engine)) == 0
    hold.go()
    connecting.result()
    waiting.result()
    engine.dispose()


class Fails:
    """What is interrupted as it begins in a child."""

    def begin_in_child(self) -> None:
        raise KeyboardInterrupt


@fork
@with_threads
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_child_begins_empty_though_another_beginning_is_interrupted() -> None:
    before, after = FakeServer().engine(), FakeServer().engine()
    failing = [Fails() for _ in range(8)]  # some of them come between the two
    forking.at_fork.update(failing)
    for engine in before, after:
        use(engine)

    def child() -> None:
        assert [engine.pool.status().idle for engine in (before, after)] == [0, 0]

    assert in_a_child(child) == 0
    for engine in before, after:
        engine.dispose()


@fork
@with_threads
def test_an_engine_that_was_closed_stays_so_in_a_child() -> None:
    engine = FakeServer().engine()
    use(engine)
    engine.close()

    def child() -> None:
        with pytest.raises(PoolClosed):
            use(engine)

    assert in_a_child(child) == 0


@fork
@with_threads
def test_a_child_works_though_a_lock_of_a_cache_was_held_as_it_began() -> None:
    """Each guards what all threads share: compiled statements, and the classes of rows."""
    engine = FakeServer().engine(pool_size=1, max_overflow=0)
    with engine.connect() as connection:
        connection.execute("SELECT before")
        caches = connection._link.statements._lock  # type: ignore[union-attr]

    def child() -> None:
        signal.alarm(10)
        with engine.connect() as own:
            assert own.execute("SELECT :a, :b, :c", {"a": 1, "b": 2, "c": 3}).one() == (1, 2, 3)

    with row._lock, caches:
        assert in_a_child(child) == 0
    engine.dispose()


def use(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.scalar("SELECT here") == "here"


# -- a finalizer --------------------------------------------------------------------------------


def at_line(number: int, act: Callable[[], object]) -> list[str]:
    """Do `act` before that line of the pool's book runs, as a finalizer may; tell where it was."""
    lines: list[str] = []

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            lines.append(f"{frame.f_code.co_name}, line {frame.f_lineno}")
            if len(lines) == number:
                act()  # untraced, since it is called while a line is
        return trace

    def trace_calls(frame: FrameType, *_: object) -> Any:
        return trace if frame.f_code.co_filename == ledger.__file__ else None

    gc.disable()  # no finalizer of another test's pool is to be hit
    sys.settrace(trace_calls)
    return lines


@pytest.mark.parametrize("end", ["close", "invalidate"])
@pytest.mark.parametrize("call", ["take", "close", "invalidate"])
def test_a_finalizer_that_ends_a_connection_amid_a_step_of_the_pool_loses_none(
    call: str, end: str
) -> None:
    for number in count(1):
        engine = FakeServer().engine(pool_size=3, max_overflow=0, pool_timeout=1)
        closed, other = engine.connect(), engine.connect()
        lines = at_line(number, getattr(closed, end))
        try:
            use(engine) if call == "take" else getattr(other, call)()
        finally:
            sys.settrace(None)
            gc.enable()
        closed.close()
        other.close()
        held = [engine.connect() for _ in range(3)]
        assert [one.scalar(f"SELECT {n}") for n, one in enumerate(held)] == ["0", "1", "2"], lines
        for one in held:
            one.close()
        assert engine.pool.status().busy == 0
        engine.dispose()
        if len(lines) < number:
            break
    assert number > 5


def test_what_a_finalizer_gives_back_amid_a_step_serves_who_waits() -> None:
    engine = FakeServer().engine(pool_size=1, max_overflow=0, pool_timeout=30)
    held = engine.connect()
    waiting = Beside(use, engine)
    until(lambda: engine.pool.status().waiting == 1)
    lines = at_line(1, held.close)
    try:
        engine.pool.status()
    finally:
        sys.settrace(None)
        gc.enable()
    assert lines
    waiting.result()
    engine.dispose()


# -- another loop -------------------------------------------------------------------------------


async def use_async(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        assert await connection.scalar("SELECT here") == "here"


def test_an_engine_of_a_loop_that_is_still_there_is_refused_in_another() -> None:
    engine = FakeServer().engine_async()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(use_async(engine))

    with pytest.raises(PoolError, match="one engine per loop"):
        asyncio.run(use_async(engine))
    loop.run_until_complete(use_async(engine))
    loop.run_until_complete(engine.dispose())
    asyncio.run(use_async(engine))  # as the message says
    asyncio.run(engine.dispose())
    loop.close()


def test_an_engine_of_a_loop_that_is_closed_begins_anew() -> None:
    server = FakeServer()
    engine = server.engine_async()
    asyncio.run(use_async(engine))
    asyncio.run(use_async(engine))
    assert len(server.connections) == 2
    asyncio.run(engine.dispose())


def test_an_engine_that_was_closed_stays_so_in_the_next_loop() -> None:
    engine = FakeServer().engine_async()
    asyncio.run(use_async(engine))
    asyncio.run(engine.close())
    with pytest.raises(PoolClosed):
        asyncio.run(use_async(engine))


async def test_status_from_another_thread_leaves_what_was_dropped_to_the_loop() -> None:
    """There is no lock: the loop would change the book at the same time."""
    engine = FakeServer().engine_async()
    held = [await engine.connect()]
    with pytest.warns(ResourceWarning, match="dropped without close"):
        held.clear()
    assert Beside(engine.pool.status).result().busy == 1
    await until_async(lambda: engine.pool.status().busy == 0)
    await engine.dispose()


# -- a cancelled task ---------------------------------------------------------------------------


async def test_a_connection_that_comes_for_a_cancelled_task_serves_the_next() -> None:
    """Its place is counted until then, lest there be more of them than the pool has room for."""
    server = FakeServer()
    engine = server.engine_async(pool_size=1, max_overflow=0)
    hold = server.at("connect", Hold())
    await cancelled_as_it_connects(engine, hold)
    assert engine.pool.status().connecting == 1
    waiting = AsyncBeside(use_async, engine)
    await until_async(lambda: engine.pool.status().waiting == 1)
    hold.go()

    await waiting.result()
    assert len(server.connections) == 1
    await engine.dispose()


async def test_a_connection_that_comes_for_a_cancelled_task_and_is_not_to_be_kept_is_closed() -> (
    None
):
    server = FakeServer()
    engine = server.engine_async(poolclass="NullPool")
    hold = server.at("connect", Hold())
    await cancelled_as_it_connects(engine, hold)
    hold.go()
    await until_async(lambda: bool(server.connections) and not server.open)
    await until_async(lambda: engine.pool.status().connecting == 0)


async def test_a_connection_that_comes_for_a_cancelled_task_of_a_closed_engine_is_closed() -> None:
    server, raws = FakeServer(), list[Any]()
    engine = server.engine_async(on_connect=raws.append)  # it is not closed by being forgotten
    hold = server.at("connect", Hold())
    await cancelled_as_it_connects(engine, hold)
    await engine.close(timeout=0.01)
    hold.go()
    await until_async(lambda: bool(server.connections) and not server.open)
    await until_async(lambda: engine.pool.status().connecting == 0)


async def test_a_password_that_is_refused_to_a_cancelled_task_fails_all_who_wait() -> None:
    server = FakeServer()
    engine = server.engine_async(pool_size=1, max_overflow=0, pool_timeout=30)
    hold = server.at("connect", Hold())
    await cancelled_as_it_connects(engine, hold)
    waiting = AsyncBeside(use_async, engine)
    await until_async(lambda: engine.pool.status().waiting == 1)
    hold.go(FakeError("28P01", "wrong password"))
    with pytest.raises(AuthenticationError):
        await waiting.result()
    await engine.dispose()


async def test_in_an_outage_a_cancelled_connect_is_the_only_one_until_its_end() -> None:
    server = FakeServer()
    engine = server.engine_async(pool_size=3, max_overflow=0, pool_pre_ping=True, pool_timeout=30)
    await use_async(engine)
    server.connections[0].cut()
    hold, other = server.at("connect", Hold()), server.at("connect", Hold())
    await cancelled_as_it_connects(engine, hold)
    waiting = AsyncBeside(use_async, engine)
    until_then = asyncio.get_running_loop().time() + 0.3  # of many pauses of a twentieth
    await until_async(lambda: asyncio.get_running_loop().time() > until_then)
    assert not other.reached.is_set()
    hold.go()
    await until_async(other.reached.is_set)
    other.go()
    await waiting.result()
    await engine.dispose()


async def cancelled_as_it_connects(engine: AsyncEngine, hold: Hold) -> None:
    """Cancel a task that connects, and comes no further."""
    connecting = AsyncBeside(use_async, engine)
    await until_async(hold.reached.is_set)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting.result()


async def test_a_place_that_was_assigned_to_a_cancelled_task_goes_to_the_next() -> None:
    """Both happen before the task runs again."""
    server = FakeServer()
    engine = server.engine_async(pool_size=1, max_overflow=0)
    held = await engine.connect()
    pool = engine.pool
    first = AsyncBeside(use_async, engine)
    await until_async(lambda: pool.status().waiting == 1)
    second = AsyncBeside(use_async, engine)
    await until_async(lambda: pool.status().waiting == 2)
    await held.close()
    assert engine.pool.status().handoffs == 1
    first.cancel()

    with pytest.raises(asyncio.CancelledError):
        await first.result()
    await second.result()
    assert len(server.connections) == 1
    await engine.dispose()


async def test_a_timeout_around_an_acquire_leaves_no_trace() -> None:
    engine = FakeServer().engine_async(pool_size=1, max_overflow=0)
    async with engine.connect():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await engine.connect()
        assert engine.pool.status().waiting == 0
    await use_async(engine)
    await engine.dispose()


# -- the end of the program ---------------------------------------------------------------------

ENDS = """
import sys, threading
from plainsql.testing.fake import FakeServer, Hold

server = FakeServer()
engine = server.engine()
busy = engine.connect()
busy.execute("SELECT one")
engine.connect().close()
hold = server.at("SELECT long", Hold())

def run_long():
    with engine.connect() as connection:
        connection.execute("SELECT long")

threading.Thread(target=run_long, daemon=True).start()
hold.reached.wait()
"""
ENDS_ASYNC = """
import asyncio
from plainsql.testing.fake import FakeServer, Hold

server = FakeServer()
engine = server.engine_async()
hold = server.at("SELECT long", Hold())

async def main():
    global busy, long
    busy = await engine.connect()
    await busy.execute("SELECT one")
    await (await engine.connect()).close()
    long = await engine.connect()
    task = asyncio.ensure_future(long.execute("SELECT long"))
    await asyncio.to_thread(hold.reached.wait)

asyncio.run(main())
"""


@pytest.mark.parametrize("program", [ENDS, ENDS_ASYNC], ids=["sync", "async"])
def test_a_program_that_ends_amid_its_work_ends_at_once(program: str) -> None:
    """Connections are idle, busy, and in the middle of a statement."""
    words = [sys.executable, "-c", program]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
