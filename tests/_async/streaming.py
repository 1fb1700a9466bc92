"""Streams of a million rows: when they come, and what is left when nobody reads on.

What streams of few rows do stands in `plainsql.testing`.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING, Any

import pytest

from plainsql.aio import AsyncSession
from plainsql.errors import ResultError, TransactionStateError
from tests.integration.test_portability import facts
from tests.manyrows import Mark, rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql.aio import AsyncEngine
    from tests.servers import RawConnection

MILLION = 6
FEW = 2


class Mine(Exception):
    """The user's own trouble."""


@pytest.fixture
def mark(database_kind: str, raw_connect: Callable[[], RawConnection]) -> Mark:
    """A mark that is left where the last of a million rows is produced."""
    return Mark(database_kind, raw_connect(), MILLION)


@pytest.fixture
def make_narrow_async(make_engine_async: Callable[..., Any]) -> Callable[..., Any]:
    """Makes engines with a pool of one connection, so that the next user has the same one."""
    return lambda **options: make_engine_async(
        pool_size=1, max_overflow=0, pool_timeout=30, **options
    )


# -- rows as they come --------------------------------------------------------------------------


@pytest.mark.slow
async def test_the_first_row_comes_before_all_are_produced(
    make_engine_async: Callable[..., Any], mark: Mark
) -> None:
    engine = make_engine_async(on_connect=mark.prepare)
    async with engine.connect() as connection:
        async with connection.stream(mark.sql) as stream:
            assert await stream.fetchone() is not None
            assert not mark.is_left()
            others = 0
            async for _ in stream:
                others += 1
        assert mark.is_left()
    assert others == 10**MILLION - 1


# -- nobody reads on ----------------------------------------------------------------------------


@pytest.mark.slow
async def test_an_exception_at_the_first_row_leaves_connection_and_transaction_usable(
    make_narrow_async: Callable[..., Any], table_name: str
) -> None:
    engine = make_narrow_async()
    async with engine.begin() as connection:
        await connection.execute(f"CREATE TABLE {table_name} (x INT)")
    async with engine.connect() as connection:
        await connection.execute(f"INSERT INTO {table_name} VALUES (1)")
        with pytest.raises(Mine):
            async with connection.stream(rows(MILLION)) as stream:
                assert await stream.fetchone() is not None
                raise Mine
        await connection.execute(f"INSERT INTO {table_name} VALUES (2)")
        await connection.commit()
    async with engine.connect() as connection:
        assert await connection.scalar(f"SELECT count(*) FROM {table_name}") == 2


@pytest.mark.slow
async def test_a_stream_that_was_never_closed_does_not_reach_the_next_user(
    make_narrow_async: Callable[..., Any],
) -> None:
    engine = make_narrow_async()
    async with engine.connect() as connection:
        stream = await connection.stream(rows(MILLION))
        assert await stream.fetchone() is not None
    with pytest.raises(ResultError, match="closed"):
        await stream.fetchmany(2000)
    assert stream.closed
    async with engine.connect() as connection:
        assert await connection.scalar("SELECT 7") == 7
        async with connection.stream(rows(FEW)) as another:
            assert sum([row.x async for row in another]) == 5050


async def test_a_stream_of_a_connection_that_is_given_up_goes_without_a_sound(
    engine_async: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No driver may read on, and fail, when the garbage is collected."""
    sounds: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: sounds.append(repr(told.exc_value)))
    async with engine_async.connect() as connection:
        stream = await connection.stream(rows(FEW), batch=7)
        assert await stream.fetchone() is not None
        await connection.invalidate()
        with pytest.raises(ResultError, match="closed"):
            await stream.fetchmany(10)
        del stream
    del connection
    gc.collect()
    assert sounds == []


async def test_a_stream_may_be_closed_twice_and_after_its_end(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        for read in (1, 1000):
            stream = await connection.stream(rows(FEW), batch=10)
            assert len(await stream.fetchmany(read)) == min(read, 100)
            await stream.close()
            await stream.close()
            assert await connection.scalar("SELECT 7") == 7


# -- beside a stream ----------------------------------------------------------------------------


async def test_a_second_stream_runs_or_is_refused_as_the_page_of_facts_says(
    engine_async: AsyncEngine, database_kind: str
) -> None:
    seen = {"first": 0, "second": 0}
    answer = "yes"
    async with (
        engine_async.connect() as connection,
        connection.stream(rows(FEW), batch=7) as first,
    ):
        seen["first"] += len(await first.fetchmany(3))
        try:
            async with connection.stream(rows(FEW), batch=7) as second:
                while part := await second.fetchmany(9):
                    seen["second"] += len(part)
                    seen["first"] += len(await first.fetchmany(2))
        except TransactionStateError as error:
            answer = type(error).__name__
        seen["first"] += len(await first.all())
    assert answer == facts()["PF-stream-and-statement"][database_kind]
    assert seen == {"first": 100, "second": 100 if answer == "yes" else 0}


async def test_a_savepoint_released_beside_a_stream_takes_no_rows_in_silence(
    engine_async: AsyncEngine,
) -> None:
    """They still come, or the stream says that it is closed."""
    async with engine_async.connect() as connection:
        savepoint = await connection.begin_nested()
        stream = await connection.stream(rows(FEW), batch=7)
        assert len(await stream.fetchmany(7)) == 7
        await savepoint.commit()
        if stream.closed:
            with pytest.raises(ResultError, match="closed"):
                await stream.all()
        else:
            assert len(await stream.all()) == 93


async def test_the_rollback_of_a_savepoint_closes_a_stream(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        savepoint = await connection.begin_nested()
        stream = await connection.stream(rows(FEW), batch=7)
        assert len(await stream.fetchmany(7)) == 7
        await savepoint.rollback()
        with pytest.raises(ResultError, match="closed"):
            await stream.fetchone()
        assert await connection.scalar("SELECT 7") == 7


async def test_a_session_streams_until_its_transaction_ends(engine_async: AsyncEngine) -> None:
    async with AsyncSession(engine_async) as session:
        async with session.stream(rows(FEW), batch=7) as stream:
            assert len(await stream.all()) == 100
        stream = await session.stream(rows(FEW), batch=7)
        await session.commit()
        with pytest.raises(ResultError, match="closed"):
            await stream.fetchone()
        assert await session.scalar("SELECT 7") == 7
