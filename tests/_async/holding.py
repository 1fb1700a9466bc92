"""Who holds connections, too many or too long, and what is said of it: the same everywhere.

The numbers are rows of the fault matrix.
"""

from __future__ import annotations

import gc
import logging
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from plainsql.aio import AsyncSession, async_sessionmaker
from plainsql.concurrency import rest_async
from plainsql.errors import ArgumentError, PoolTimeout, ResultError, TransactionStateError
from plainsql.ledger import PoolStatus
from tests.beside import AsyncBeside, until_async
from tests.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql.aio import AsyncConnection, AsyncEngine
    from tests.servers import RawConnection

#: In seconds: how long is waited; by how much later one hears of it, at best and at most.
LIMIT, BEST, MOST = 0.2, 0.1, 2.0
#: How often, for the best.
TURNS = 5
HELD = r"[\d.]+ s by (thread|task) '[^']+', taken at \S*holding\.py:\d+ in \w+"


@pytest.fixture
def sessions(database_kind: str, raw_connect: Callable[[], RawConnection]) -> Sessions:
    """Those of the engine under test."""
    return Sessions(database_kind, raw_connect())


@pytest.fixture
def narrow_async(make_engine_async: Callable[..., AsyncEngine], sessions: Sessions) -> AsyncEngine:
    """An engine with one connection."""
    return make_engine_async(
        pool_size=1, max_overflow=0, pool_timeout=LIMIT, on_connect=sessions.note
    )


async def use(engine: AsyncEngine) -> Any:
    async with engine.connect() as connection:
        return await connection.scalar("SELECT 7")


def counts(engine: AsyncEngine) -> tuple[int, int, int, int]:
    status = engine.pool.status()
    return status.busy, status.idle, status.connecting, status.waiting


# -- none is free -------------------------------------------------------------------------------


async def test_exhaustion_is_told_in_time(narrow_async: AsyncEngine) -> None:
    """F1: within 100 ms of the limit, and never before it."""
    late = []
    async with narrow_async.connect():
        for _ in range(TURNS):
            began = time.monotonic()
            with pytest.raises(PoolTimeout):
                await narrow_async.connect()
            late.append(time.monotonic() - began - LIMIT)
    print(f"late by {[round(seconds * 1000, 1) for seconds in late]} ms")
    assert min(late) >= 0
    assert min(late) <= BEST
    assert max(late) <= MOST
    assert narrow_async.pool.status().timeouts == TURNS
    assert await use(narrow_async) == 7


async def test_exhaustion_tells_who_holds_what(
    make_engine_async: Callable[..., AsyncEngine],
) -> None:
    """F1: the numbers, and of each holder its age, its name, its line and its last statement."""
    engine = make_engine_async(pool_size=1, max_overflow=1, pool_timeout=LIMIT)
    async with engine.connect() as first, engine.connect():
        await first.scalar("SELECT 4711")
        waiting = AsyncBeside(use, engine)
        await until_async(lambda: engine.pool.status().waiting == 1)
        with pytest.raises(PoolTimeout) as caught:
            await waiting.result()
    message, status = str(caught.value), caught.value.status
    assert re.search(rf"held: {HELD}, last statement: SELECT 4711; {HELD}$", message), message
    assert "2 busy, 0 idle, 0 connecting of 2 (pool_size=1)" in message
    assert "itself holds" not in message
    assert re.search(r"within 0\.2 seconds \((thread|task) '", message)
    assert isinstance(status, PoolStatus)
    assert (status.size, status.max, status.busy, status.idle) == (1, 2, 2, 0)


async def take_deep_down(engine: AsyncEngine) -> AsyncConnection:
    """Take a connection for the caller."""
    return await engine.connect()


@pytest.mark.parametrize("stacks", [True, False])
async def test_exhaustion_shows_the_stacks_if_asked(
    make_engine_async: Callable[..., AsyncEngine], stacks: bool
) -> None:
    """F1: how those who hold connections came to take them."""
    engine = make_engine_async(pool_size=1, max_overflow=0, pool_timeout=LIMIT, pool_stacks=stacks)
    async with await take_deep_down(engine):
        with pytest.raises(PoolTimeout) as caught:
            await engine.connect()
    shown = re.findall(r'File "\S*holding\.py", line \d+, in (\w+)', str(caught.value))
    expected = ["test_exhaustion_shows_the_stacks_if_asked", "take_deep_down"]
    assert shown == (expected if stacks else [])
    own = re.findall(r'File "\S*plainsql/_\S+', str(caught.value))
    assert own == []  # how plainsql goes on from there tells nobody anything


async def by_connect(engine: AsyncEngine, meanwhile: Callable[[], Any]) -> None:
    async with engine.connect():
        await meanwhile()


async def by_connect_without_a_block(engine: AsyncEngine, meanwhile: Callable[[], Any]) -> None:
    connection = await engine.connect()
    await meanwhile()
    await connection.close()


async def by_begin(engine: AsyncEngine, meanwhile: Callable[[], Any]) -> None:
    async with engine.begin():
        await meanwhile()


async def by_raw_connection(engine: AsyncEngine, meanwhile: Callable[[], Any]) -> None:
    async with engine.raw_connection():
        await meanwhile()


async def by_raw_connection_without_a_block(
    engine: AsyncEngine, meanwhile: Callable[[], Any]
) -> None:
    raw = await engine.raw_connection()
    await meanwhile()
    await raw.close()


async def by_session(engine: AsyncEngine, meanwhile: Callable[[], Any]) -> None:
    async with AsyncSession(engine) as session:
        await session.scalar("SELECT 1")
        await meanwhile()


async def by_begin_of_a_session(engine: AsyncEngine, meanwhile: Callable[[], Any]) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await meanwhile()


async def by_sessionmaker(engine: AsyncEngine, meanwhile: Callable[[], Any]) -> None:
    async with async_sessionmaker(engine).begin() as session:
        await session.scalar("SELECT 1")
        await meanwhile()


async def by_run(engine: AsyncEngine, meanwhile: Callable[[], Any]) -> None:
    async def work(connection: AsyncConnection) -> None:
        del connection
        await meanwhile()

    await engine.run(work)


async def by_a_lost_connection(engine: AsyncEngine, meanwhile: Callable[[], Any]) -> None:
    connection = await take_deep_down(engine)
    await connection.invalidate()
    await connection.scalar("SELECT 1")
    await meanwhile()
    await connection.close()


@pytest.mark.parametrize(
    "take",
    [
        by_connect,
        by_connect_without_a_block,
        by_begin,
        by_raw_connection,
        by_raw_connection_without_a_block,
        by_session,
        by_begin_of_a_session,
        by_sessionmaker,
        by_run,
        by_a_lost_connection,
    ],
)
async def test_exhaustion_tells_the_users_line(
    make_engine_async: Callable[..., AsyncEngine], take: Any
) -> None:
    """F1: whichever way the connection was taken."""
    engine = make_engine_async(pool_size=1, max_overflow=0, pool_timeout=0)

    async def look() -> None:
        with pytest.raises(PoolTimeout) as caught:
            await engine.connect()
        message = str(caught.value)
        assert re.search(rf"taken at \S*holding\.py:\d+ in {take.__name__}\b", message), message

    await take(engine, look)


async def test_exhaustion_is_told_without_a_search_for_names(
    narrow_async: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F1: where thousands wait, and fail together, each would look at all of them."""

    def refuse() -> None:
        raise AssertionError("all threads, or tasks, are looked at")

    async with narrow_async.connect():
        with monkeypatch.context() as patch:
            patch.setattr("asyncio.all_tasks", refuse)
            patch.setattr("threading.enumerate", refuse)
            with pytest.raises(PoolTimeout, match=HELD):
                await narrow_async.connect()


async def test_who_waits_for_itself_is_told_so(narrow_async: AsyncEngine) -> None:
    """F16: the connection that it waits for is its own."""
    async with narrow_async.begin():
        with pytest.raises(PoolTimeout, match=r"this (thread|task) itself holds 1 of them"):
            await use(narrow_async)
    async with AsyncSession(narrow_async) as session:
        await session.scalar("SELECT 1")
        with pytest.raises(PoolTimeout, match=r"this (thread|task) itself holds 1 of them"):
            await use(narrow_async)
    assert await use(narrow_async) == 7


async def test_who_comes_after_the_holders_end_is_not_taken_for_it(
    make_engine_async: Callable[..., AsyncEngine],
) -> None:
    """F16: the number of a thread, or task, that has ended is another one's soon."""
    engine = make_engine_async(pool_size=1, max_overflow=0, pool_timeout=0)
    for _ in range(5):
        taken = await AsyncBeside(take_deep_down, engine).result()
        for _ in range(5):
            with pytest.raises(PoolTimeout, match=r"(which|that) has ended, taken at") as caught:
                await AsyncBeside(use, engine).result()
            assert "itself holds" not in str(caught.value)
        await taken.close()


# -- dropped, or kept ---------------------------------------------------------------------------


class Cycle:
    """What only the collector of garbage finds."""

    def __init__(self, held: Any) -> None:
        self.held = held
        self.me = self


def forget(held: list[Any]) -> None:
    held.clear()
    gc.collect()


@pytest.mark.parametrize("cyclic", [False, True])
async def test_a_dropped_connection_is_told_of_closed_and_replaced(
    narrow_async: AsyncEngine, sessions: Sessions, cyclic: bool
) -> None:
    """F10: also in the middle of a transaction, and within a cycle of references."""
    connection = await narrow_async.connect()
    await connection.scalar("SELECT 1")
    held = [Cycle(connection) if cyclic else connection]
    del connection
    with pytest.warns(ResourceWarning, match=r"taken at \S*holding\.py:\d+ in test_a_dropped"):
        forget(held)
    began = time.monotonic()
    assert await use(narrow_async) == 7
    print(f"replaced after {(time.monotonic() - began) * 1000:.1f} ms")
    await until_async(lambda: sessions.alive() == 1)
    assert sessions.opened == 2
    assert counts(narrow_async) == (0, 1, 0, 0)


async def test_a_dropped_connection_comes_to_who_waits(narrow_async: AsyncEngine) -> None:
    """F10: at once, and not when its time to wait is over."""
    held = [await narrow_async.connect()]
    waiting = AsyncBeside(use, narrow_async)
    await until_async(lambda: narrow_async.pool.status().waiting == 1)
    with pytest.warns(ResourceWarning, match="was dropped without close"):
        held.clear()
    assert await waiting.result() == 7
    assert counts(narrow_async) == (0, 1, 0, 0)


async def test_a_connection_that_is_kept_too_long_is_logged_once(
    make_engine_async: Callable[..., AsyncEngine], caplog: pytest.LogCaptureFixture
) -> None:
    """F11: with the line that took it, and it is left to who holds it."""
    caplog.set_level(logging.DEBUG, "plainsql.pool")
    engine = make_engine_async(pool_leak_after=0.1)
    assert await use(engine) == 7  # what comes back in time is not told of
    async with engine.connect() as connection:
        await until_async(lambda: caplog.records)
        await rest_async(0.5)
        assert await connection.scalar("SELECT 7") == 7
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("plainsql.pool", "WARNING")
    message = record.getMessage()
    assert re.search(
        r"held for more than 0\.1 seconds; it was taken at \S*holding\.py:\d+ in test_a_conn",
        message,
    ), message
    assert "\n" not in message
    assert counts(engine) == (0, 1, 0, 0)


# -- given back twice, or used afterwards -------------------------------------------------------


async def test_what_is_given_back_twice_is_given_back_once(narrow_async: AsyncEngine) -> None:
    """F15: the second time, another one has it."""
    first = await narrow_async.connect()
    await first.close()
    second = await narrow_async.connect()
    await first.close()
    assert counts(narrow_async) == (1, 0, 0, 0)
    assert await second.scalar("SELECT 7") == 7
    await second.close()
    raw = await narrow_async.raw_connection()
    await raw.close()
    async with narrow_async.connect() as third:
        await raw.close()
        assert counts(narrow_async) == (1, 0, 0, 0)
        assert await third.scalar("SELECT 7") == 7
    with pytest.raises(ArgumentError, match="was given back"):
        raw.driver_connection  # noqa: B018 - raises
    assert counts(narrow_async) == (0, 1, 0, 0)


async def test_what_was_given_back_is_not_used_any_more(narrow_async: AsyncEngine) -> None:
    """F15: neither the connection nor a transaction, a savepoint or a stream of it."""
    first = await narrow_async.connect()
    transaction = await first.begin()
    savepoint = await first.begin_nested()
    stream = await first.stream("SELECT 1 AS a UNION ALL SELECT 2", batch=1)
    await stream.fetchone()
    await first.close()
    async with narrow_async.connect() as second:
        await second.scalar("SELECT 1")
        for use_it in (
            lambda: first.execute("SELECT 1"),
            lambda: first.stream("SELECT 1"),
            first.begin,
            first.begin_nested,
            transaction.commit,
            savepoint.commit,
        ):
            with pytest.raises(TransactionStateError):
                await use_it()
        with pytest.raises(ResultError, match="closed"):
            await stream.fetchone()
        for harmless in (first.commit, first.rollback, first.close, first.invalidate):
            await harmless()
        for harmless in (transaction.rollback, savepoint.rollback, stream.close):
            await harmless()
        assert second.in_transaction()
        assert await second.scalar("SELECT 7") == 7
        assert counts(narrow_async) == (1, 0, 0, 0)
    assert counts(narrow_async) == (0, 1, 0, 0)


# -- the clock on the wall ----------------------------------------------------------------------


async def test_a_clock_that_jumps_changes_nothing(
    make_engine_async: Callable[..., AsyncEngine],
    sessions: Sessions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F21: an hour ahead or back, no connection ends and no wait is over too early or too late."""
    engine = make_engine_async(
        pool_size=1, max_overflow=0, pool_timeout=LIMIT, pool_recycle=60, on_connect=sessions.note
    )
    now = time.time
    for hours in (0, 1, -1, 1):
        monkeypatch.setattr(time, "time", lambda hours=hours: now() + hours * 3600)
        assert await use(engine) == 7
        async with engine.connect() as connection:
            began = time.monotonic()
            waiting = AsyncBeside(use, engine)
            await until_async(lambda: engine.pool.status().waiting == 1)
            monkeypatch.setattr(time, "time", lambda hours=hours: now() - hours * 3600)
            with pytest.raises(PoolTimeout):
                await waiting.result()
            assert LIMIT <= time.monotonic() - began < LIMIT + MOST
            assert await connection.scalar("SELECT 7", timeout=30) == 7
    assert sessions.opened == 1
