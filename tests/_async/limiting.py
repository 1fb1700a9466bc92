"""Time limits of statements, transactions and engines, and cancel(): the same on every database.

What freezes, and what swallows all that is sent, stands in `tests/faults`.
"""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from plainsql._async.watch import AsyncWatch
from plainsql.aio import AsyncSession, async_sessionmaker
from plainsql.errors import ArgumentError, QueryCanceled, StatementTimeout, UniqueViolation
from tests.beside import AsyncBeside, until_async
from tests.faults.provoking import LONG
from tests.manyrows import rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator

    from plainsql.aio import AsyncConnection, AsyncEngine

#: In seconds: what is asked for, by how much a server's clock may be early, and the latest moment
#: by which it must have been kept.
LIMIT, EARLY, LATEST = 0.2, 0.02, 1.2

#: Rows that come at once, more than a server and a line hold back.
MANY = (
    "WITH RECURSIVE d (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM d WHERE i < 9) "
    "SELECT 'x' AS x FROM d a, d b, d c, d e, d f, (SELECT 1 UNION ALL SELECT 2) g"
)
#: One row that never comes.
ENDLESS = f"SELECT n FROM ({LONG.replace('count(*)', 'count(*) AS n')}) AS x"


@pytest.fixture
async def connection(engine_async: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    async with engine_async.connect() as connection:
        yield connection
        await connection.rollback()


async def pass_by(seconds: float) -> None:
    """Let time go by."""
    then = time.monotonic() + seconds
    await until_async(lambda: time.monotonic() >= then)


async def cancelled(connection: AsyncConnection, beside: AsyncBeside) -> QueryCanceled:
    """Cancel what runs beside, as soon as it does; return what it raised."""
    latest = time.monotonic() + 10 * LATEST
    while not beside.is_over:
        assert time.monotonic() < latest
        await connection.cancel()
        await pass_by(0.01)
    with pytest.raises(QueryCanceled) as caught:
        await beside.result()
    return caught.value


@contextmanager
def elapses() -> Generator[pytest.ExceptionInfo[StatementTimeout]]:
    """What is within ends by its time limit, neither early nor late."""
    began = time.monotonic()
    with pytest.raises(StatementTimeout) as caught:
        yield caught
    assert LIMIT - EARLY <= time.monotonic() - began < LATEST


async def test_a_statement_ends_at_its_limit_and_the_connection_serves_on(
    connection: AsyncConnection,
) -> None:
    raw = connection.connection
    with elapses() as caught:
        await connection.execute(LONG, timeout=LIMIT)
    error = caught.value
    assert str(error).startswith("the time limit of 0.2 seconds elapsed: ")
    assert (error.outcome, error.retryable, error.statement) == ("not_applied", False, LONG)
    assert isinstance(error.__cause__, connection.engine.dialect.driver_error)
    await connection.rollback()
    assert await connection.scalar("SELECT 1") == 1
    assert connection.connection is raw


async def test_what_ends_in_time_is_left_alone(connection: AsyncConnection) -> None:
    for _ in range(3):
        assert await connection.scalar("SELECT 1", timeout=LIMIT) == 1
    assert (await connection.scalars("SELECT 2", timeout=30)).all() == [2]
    assert (await connection.execute("SELECT :n", {"n": 3}, timeout=30)).scalar_one() == 3
    assert (await connection.exec_driver_sql("SELECT 4", timeout=30)).scalar_one() == 4


async def test_a_limit_does_not_outlive_its_statement(connection: AsyncConnection) -> None:
    """The server's own limit is taken back, after a commit, a rollback and within a transaction."""
    for end in (connection.commit, connection.rollback, connection.begin_nested):
        await connection.scalar("SELECT 1", timeout=0.05)
        await end()
        began = time.monotonic()
        with pytest.raises(StatementTimeout):
            await connection.execute(LONG, timeout=0.5)
        assert time.monotonic() - began >= 0.5 - EARLY
        await connection.rollback()


async def test_the_next_borrower_has_no_limit(make_engine_async: Callable[..., Any]) -> None:
    engine = make_engine_async(pool_size=1, max_overflow=0)
    async with engine.connect() as first:
        await first.scalar("SELECT 1", timeout=0.05)
    async with engine.connect() as second:
        beside = AsyncBeside(second.execute, LONG)
        await pass_by(0.3)
        await cancelled(second, beside)


async def test_a_wait_for_a_lock_ends_at_the_limit(
    engine_async: AsyncEngine, table_name: str
) -> None:
    async with engine_async.begin() as first:
        await first.exec_driver_sql(f"CREATE TABLE {table_name} (id INT PRIMARY KEY)")
        await first.exec_driver_sql(f"INSERT INTO {table_name} VALUES (1)")
    change = f"UPDATE {table_name} SET id = 2"
    async with engine_async.connect() as first, engine_async.connect() as second:
        await first.exec_driver_sql(change)
        with elapses():
            await second.exec_driver_sql(change, timeout=LIMIT)
        await second.rollback()
        await first.rollback()
        await second.exec_driver_sql(change)
        await second.rollback()


async def test_the_many_sets_of_a_statement_share_its_limit(
    engine_async: AsyncEngine, table_name: str
) -> None:
    async with engine_async.begin() as connection:
        await connection.exec_driver_sql(f"CREATE TABLE {table_name} (id INT PRIMARY KEY)")
    with pytest.raises(UniqueViolation):
        async with engine_async.begin() as connection:
            sets = [{"id": 1}, {"id": 2}, {"id": 1}]
            await connection.execute(
                f"INSERT INTO {table_name} VALUES (:id)",
                sets,
                timeout=30,
            )


async def test_a_transaction_ends_at_its_limit(engine_async: AsyncEngine) -> None:
    with elapses():
        async with engine_async.begin(timeout=LIMIT) as connection:
            await connection.scalar("SELECT 1")
            await connection.execute(LONG)
    async with engine_async.begin() as connection:
        assert await connection.scalar("SELECT 1") == 1


async def test_a_transaction_that_is_late_sends_nothing_more(engine_async: AsyncEngine) -> None:
    with pytest.raises(StatementTimeout, match="elapsed before this was sent") as caught:
        async with engine_async.begin(timeout=0.05) as connection:
            await connection.scalar("SELECT 1")
            await pass_by(0.1)
            await connection.scalar("SELECT 1")
    assert caught.value.__cause__ is None


async def test_a_late_rollback_rolls_back_though_a_stream_is_open(
    engine_async: AsyncEngine, table_name: str
) -> None:
    """It has a time of its own, and so has the stream's end before it."""
    async with engine_async.begin() as connection:
        await connection.exec_driver_sql(f"CREATE TABLE {table_name} (x INT)")
    async with engine_async.connect() as connection:
        transaction = await connection.begin(timeout=LATEST)
        await connection.exec_driver_sql(f"INSERT INTO {table_name} VALUES (1)")
        stream = await connection.stream(rows(3), batch=7)
        assert await stream.fetchone() is not None
        await pass_by(LATEST)
        await transaction.rollback()
        assert stream.closed
        found = await connection.exec_driver_sql(f"SELECT count(*) FROM {table_name}")
        assert found.scalar_one() == 0


async def test_a_late_commit_stores_nothing(engine_async: AsyncEngine, table_name: str) -> None:
    async with engine_async.begin() as connection:
        await connection.exec_driver_sql(f"CREATE TABLE {table_name} (id INT PRIMARY KEY)")
    with pytest.raises(StatementTimeout, match="elapsed before this was sent"):
        async with engine_async.begin(timeout=0.5) as connection:
            await connection.exec_driver_sql(f"INSERT INTO {table_name} VALUES (1)")
            await pass_by(0.6)
    async with engine_async.connect() as connection:
        found = await connection.exec_driver_sql(f"SELECT count(*) FROM {table_name}")
        assert found.scalar_one() == 0


async def test_each_way_to_begin_takes_a_limit(engine_async: AsyncEngine) -> None:
    with elapses():
        async with engine_async.connect() as connection, connection.begin(timeout=LIMIT):
            await connection.execute(LONG)
    with elapses():
        async with AsyncSession(engine_async) as session, session.begin(timeout=LIMIT):
            await session.execute(LONG)
    with elapses():
        async with async_sessionmaker(engine_async).begin(timeout=LIMIT) as session:
            await session.execute(LONG)
    async with AsyncSession(engine_async) as session:
        with elapses():
            await session.scalar(LONG, timeout=LIMIT)
        await session.rollback()
        assert await session.scalar("SELECT 1") == 1


async def test_an_engine_limits_every_statement(make_engine_async: Callable[..., Any]) -> None:
    engine = make_engine_async(timeout=LIMIT, pool_size=1, max_overflow=0)
    async with engine.connect() as connection:
        raw = connection.connection
        for _ in range(2):
            with elapses():
                await connection.execute(LONG)
            await connection.rollback()
            assert await connection.scalar("SELECT 1") == 1
        assert connection.connection is raw


async def test_the_nearest_limit_counts(make_engine_async: Callable[..., Any]) -> None:
    engine = make_engine_async(timeout=LIMIT)
    async with engine.connect() as connection:
        with elapses():
            await connection.execute(LONG, timeout=30)
        await connection.rollback()
        with pytest.raises(StatementTimeout, match=r"0\.05 seconds"):
            await connection.execute(LONG, timeout=0.05)


async def test_a_stream_ends_at_the_limit_of_a_trip(connection: AsyncConnection) -> None:
    with elapses():
        async with connection.stream(ENDLESS, timeout=LIMIT) as stream:
            await stream.all()
    await connection.rollback()
    async with connection.stream("SELECT 1", timeout=LIMIT) as stream:
        assert await stream.scalar() == 1


async def test_a_stream_may_take_longer_than_each_of_its_trips(
    connection: AsyncConnection,
) -> None:
    async with connection.stream(MANY, timeout=LIMIT, batch=10_000) as stream:
        assert await stream.fetchone() is not None
        await pass_by(2 * LIMIT)
        assert len(await stream.all()) == 200_000 - 1


async def test_a_limit_in_autocommit_leaves_the_outcome_known(engine_async: AsyncEngine) -> None:
    autocommit = engine_async.execution_options(isolation_level="AUTOCOMMIT")
    async with autocommit.connect() as connection:
        with elapses() as caught:
            await connection.execute(LONG, timeout=LIMIT)
        assert caught.value.outcome == "not_applied"
        assert await connection.scalar("SELECT 1") == 1


@pytest.mark.parametrize("timeout", [0, -1, "1", True, float("nan")])
async def test_what_is_no_limit_is_refused(connection: AsyncConnection, timeout: Any) -> None:
    with pytest.raises(ArgumentError, match=r"timeout must be a number from 0\.001 on"):
        await connection.execute("SELECT 1", timeout=timeout)
    with pytest.raises(ArgumentError, match=r"timeout must be a number from 0\.001 on"):
        async with connection.engine.begin(timeout=timeout):
            pass
    assert connection.engine.pool.status().busy == 1
    assert await connection.scalar("SELECT 1") == 1


class Fatal(BaseException):
    """Nobody's error: how some frameworks end a task."""


async def test_an_interrupt_as_a_limit_ends_leaves_no_descriptor_open_and_nothing_watched(
    connection: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = connection._link
    assert link is not None

    async def disarm(_: object) -> None:
        raise Fatal

    monkeypatch.setattr(type(link.watch), "disarm", disarm)
    with pytest.raises(Fatal):
        await connection.scalar("SELECT 1", timeout=30)
    monkeypatch.undo()
    await connection.invalidate()
    twin = link.watch._twin
    assert twin is None or twin._socket.fileno() == -1  # SQLite has no socket
    assert not link.watch.is_armed
    await connection.rollback()
    assert await connection.scalar("SELECT 1") == 1


async def test_an_interrupt_before_the_timer_is_told_leaves_the_next_limits_as_they_are(
    make_engine_async: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on the same connection, where that is kept."""
    engine = make_engine_async(pool_size=1, max_overflow=0)

    def interrupted(*_: object) -> None:
        raise Fatal

    async with engine.connect() as connection:
        await connection.scalar("SELECT 1")
        monkeypatch.setattr("plainsql._async.watch.ring_at_async", interrupted)
        with pytest.raises(Fatal):
            await connection.scalar("SELECT 1", timeout=LIMIT / 2)
        monkeypatch.undo()
    async with engine.connect() as connection:
        beside = AsyncBeside(partial(connection.execute, LONG, timeout=LIMIT))
        try:
            await until_async(lambda: beside.is_over)
        finally:
            await connection.cancel()  # or it would never end
        with pytest.raises(StatementTimeout):
            await beside.result()


async def test_a_closed_connection_does_not_outlive_itself_by_its_limit(
    make_engine_async: Callable[..., Any],
) -> None:
    def watches() -> int:
        gc.collect()
        return sum(isinstance(one, AsyncWatch) for one in gc.get_objects())

    async def use() -> None:
        async with engine.connect() as connection:
            assert await connection.scalar("SELECT 1") == 1

    engine = make_engine_async(poolclass="NullPool", timeout=3600)
    before = watches()
    for _ in range(3):
        await use()
    await until_async(lambda: watches() <= before)


# -- cancel -------------------------------------------------------------------------------------


async def test_a_statement_is_cancelled_from_beside(connection: AsyncConnection) -> None:
    raw = connection.connection
    error = await cancelled(connection, AsyncBeside(connection.execute, LONG))
    assert (error.outcome, error.retryable) == ("not_applied", False)
    await connection.rollback()
    assert await connection.scalar("SELECT 1") == 1
    assert connection.connection is raw


async def test_to_cancel_nothing_does_nothing(connection: AsyncConnection) -> None:
    for _ in range(3):
        await connection.cancel()
        assert await connection.scalar("SELECT 1") == 1
    await connection.close()
    await connection.cancel()
