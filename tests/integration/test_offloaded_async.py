"""A cancelled task whose driver's call runs in a thread: row F56 of the fault matrix.

There are no more connections, nor threads, than the pool may have, and none is given to anybody
while a thread is at work on it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.beside import AsyncBeside, until_async
from tests.gates import Gate
from tests.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plainsql.aio import AsyncEngine
    from tests.servers import RawConnection

#: In seconds, by which a cancellation must have come through.
LATE = 1.0


@pytest.fixture
def gate(database_kind: str, raw_connect: Callable[[], RawConnection]) -> Iterator[Gate]:
    """A gate that is shut until the test opens it."""
    gate = Gate(database_kind, raw_connect)
    yield gate
    gate.open()


@pytest.fixture
def sessions(database_kind: str, raw_connect: Callable[[], RawConnection]) -> Sessions:
    """Those of the engine under test."""
    return Sessions(database_kind, raw_connect())


@pytest.fixture
def make_async(
    make_engine_async: Callable[..., AsyncEngine], gate: Gate, sessions: Sessions
) -> Callable[[int], AsyncEngine]:
    """Makes engines with so many connections."""

    def prepare(raw: Any) -> None:
        gate.prepare(raw)
        sessions.note(raw)

    return lambda size: make_engine_async(
        pool_size=size, max_overflow=0, pool_timeout=20, on_connect=prepare
    )


def threads() -> int:
    """How many there are that a driver runs in."""
    return sum(one.name == "plainsql-bridge" for one in threading.enumerate())


async def use(engine: AsyncEngine) -> Any:
    async with engine.connect() as connection:
        return await connection.scalar("SELECT 7")


async def ask_at_the_gate(engine: AsyncEngine, gate: Gate) -> None:
    async with engine.connect() as connection:
        await connection.execute(gate.sql, {"n": 1})


async def cancelled(beside: AsyncBeside) -> None:
    """Cancel what runs beside; it hears of it at once."""
    began = time.monotonic()
    beside.cancel()
    with pytest.raises(asyncio.CancelledError):
        await beside.result()
    took = time.monotonic() - began
    print(f"cancelled after {took * 1000:.1f} ms")
    assert took < LATE


async def test_a_connection_with_a_thread_at_work_is_nobodys(
    make_async: Callable[[int], AsyncEngine], gate: Gate, sessions: Sessions
) -> None:
    """F56: where its socket can be shut, the next user has another one at once; else it waits."""
    engine = make_async(1)
    before = threads()
    at_work = AsyncBeside(ask_at_the_gate, engine, gate)
    await until_async(gate.is_reached)
    await cancelled(at_work)
    waiting = AsyncBeside(use, engine)
    await until_async(lambda: waiting.is_over or engine.pool.status().waiting == 1)
    await until_async(lambda: threads() - before <= 1)
    gate.open()
    assert await waiting.result() == 7
    await until_async(lambda: sessions.alive() == 1)
    assert threads() - before <= 1
    status = engine.pool.status()
    assert (status.busy, status.idle) == (0, 1)
    assert status.opened <= 2  # psycopg, which needs no thread, proves that nothing is under way


async def test_many_cancelled_tasks_leave_no_more_threads_than_places(
    make_async: Callable[[int], AsyncEngine], gate: Gate, sessions: Sessions
) -> None:
    """F56: again and again, before any of the calls is over."""
    engine = make_async(2)
    before = threads()
    for _ in range(6):
        asking = [AsyncBeside(ask_at_the_gate, engine, gate) for _ in range(2)]
        await until_async(gate.is_reached)
        for one in asking:
            await cancelled(one)
        await until_async(lambda: threads() - before <= 2)
        assert engine.pool.status().max == 2
    gate.open()
    users = [AsyncBeside(use, engine) for _ in range(4)]
    assert [await user.result() for user in users] == [7] * 4
    # a connect that was under way is for whoever comes next
    await until_async(lambda: engine.pool.status().connecting == 0)
    await until_async(lambda: sessions.alive() == engine.pool.status().idle)
    assert threads() - before <= 2
    status = engine.pool.status()
    assert (status.busy, status.waiting) == (0, 0)


@pytest.mark.only_on("sqlite", "mysql", "mariadb", reason="elsewhere the driver needs no thread")
async def test_a_connection_that_nobody_knows_any_more_ends_its_thread(
    make_async: Callable[[int], AsyncEngine],
) -> None:
    """An interrupt between two lines may leave one before anybody has it."""
    engine, before = make_async(1), threads()
    held = [await engine.dialect.connect_async(engine.url, 5.0, {})]
    assert threads() == before + 1
    held.clear()
    await until_async(lambda: threads() == before)


@pytest.mark.only_on("sqlite", reason="elsewhere the server waits, and its socket can be shut")
async def test_a_thread_that_waits_for_a_lock_keeps_its_place_until_it_has_it(
    make_async: Callable[[int], AsyncEngine],
    raw_connect: Callable[[], RawConnection],
    sessions: Sessions,
    table_name: str,
) -> None:
    """F56: what it then does is rolled back."""
    engine = make_async(1)
    async with engine.begin() as connection:
        await connection.exec_driver_sql(f"CREATE TABLE {table_name} (x INT)")
    keeper = raw_connect()
    keeper.cursor().execute("BEGIN IMMEDIATE")
    before = threads()

    async def write() -> None:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(f"INSERT INTO {table_name} VALUES (1)")

    writing = AsyncBeside(write)
    await until_async(lambda: engine.pool.status().busy == 1)
    await until_async(lambda: _is_waiting(engine))
    await cancelled(writing)
    waiting = AsyncBeside(use, engine)
    await until_async(lambda: engine.pool.status().waiting == 1)
    assert threads() == before
    assert sessions.alive() == 1
    keeper.rollback()
    assert await waiting.result() == 7
    async with engine.connect() as another:
        assert (await another.exec_driver_sql(f"SELECT count(*) FROM {table_name}")).scalar() == 0
    await until_async(lambda: threads() == before and sessions.alive() == 1)


def _is_waiting(engine: AsyncEngine) -> bool:
    """Tell whether the INSERT is at its thread."""
    ((slot, _),) = engine.pool.ledger.holders()
    last = slot.raw.last
    return last is not None and last.sql.startswith("INSERT") and slot.raw.raw.is_at_work
