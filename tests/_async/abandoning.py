"""Streams of two million rows that nobody reads on: no way out of one reads it to its end.

Whether the server went on to the last row, it says itself, by a mark.
"""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.manyrows import Mark, rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator

    from plainsql.aio import AsyncConnection, AsyncEngine
    from tests.servers import RawConnection

MILLION = 6
#: In seconds; to read on takes many times as long.
LATEST = 2.0

pytestmark = pytest.mark.slow


class Mine(Exception):
    """The user's own trouble."""


@pytest.fixture
def mark(database_kind: str, raw_connect: Callable[[], RawConnection]) -> Mark:
    """A mark that is left where the last but a million of two million rows is produced."""
    mark = Mark(database_kind, raw_connect(), MILLION)
    mark.sql += f" UNION ALL SELECT x, s, NULL FROM ({rows(MILLION)}) u"
    return mark


@pytest.fixture
def narrow_async(make_engine_async: Callable[..., Any], mark: Mark) -> AsyncEngine:
    """An engine with one connection: the next user gets it, or another in its place."""
    engine: AsyncEngine = make_engine_async(
        pool_size=1, max_overflow=0, pool_timeout=30, on_connect=mark.prepare
    )
    return engine


@pytest.fixture
async def working_async(
    narrow_async: AsyncEngine, table_name: str
) -> AsyncIterator[AsyncConnection]:
    """A connection with a row in a transaction; afterwards both must be as they were."""
    async with narrow_async.begin() as connection:
        await connection.exec_driver_sql(f"CREATE TABLE {table_name} (x INT)")
    async with narrow_async.connect() as connection:
        raw = connection.connection
        await connection.exec_driver_sql(f"INSERT INTO {table_name} VALUES (1)")
        yield connection
        assert await connection.scalar("SELECT 7") == 7
        await connection.exec_driver_sql(f"INSERT INTO {table_name} VALUES (2)")
        await connection.commit()
        found = await connection.exec_driver_sql(f"SELECT count(*) FROM {table_name}")
        assert (found.scalar_one(), connection.connection) == (2, raw)
        await connection.rollback()


@contextmanager
def soon(what: str) -> Generator[None]:
    """What is within takes no long time; says how much."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    print(f"{what}: {took * 1000:.1f} ms")
    assert took < LATEST


def forget(held: list[Any]) -> None:
    """Let go of what nobody else knows, cycles and all."""
    held.clear()
    gc.collect()


async def test_a_stream_that_is_left_and_closed_is_not_read_on(
    working_async: AsyncConnection, mark: Mark
) -> None:
    stream = await working_async.stream(mark.sql)
    async for row in stream:
        assert row.x >= 1
        break
    with soon("close() after a break"):
        await stream.close()
    assert not mark.is_left()


async def test_a_stream_whose_block_raised_is_not_read_on(
    working_async: AsyncConnection, mark: Mark
) -> None:
    with soon("an exception in the block"), pytest.raises(Mine):
        async with working_async.stream(mark.sql) as stream:
            assert await stream.fetchone() is not None
            raise Mine
    assert not mark.is_left()


async def test_a_stream_of_a_transaction_that_ends_is_not_read_on(
    working_async: AsyncConnection, mark: Mark
) -> None:
    savepoint = await working_async.begin_nested()
    stream = await working_async.stream(mark.sql)
    assert await stream.fetchone() is not None
    with soon("a rollback to a savepoint"):
        await savepoint.rollback()
    assert stream.closed
    assert not mark.is_left()


async def test_a_stream_that_nobody_knows_any_more_is_not_read_on(
    narrow_async: AsyncEngine, mark: Mark
) -> None:
    async with narrow_async.connect() as connection:
        stream = await connection.stream(mark.sql)
        assert await stream.fetchone() is not None
        held = [stream]
        del stream
        with soon("the collection of a stream"):
            forget(held)
        began = time.monotonic()
    print(f"the release of its connection: {(time.monotonic() - began) * 1000:.1f} ms")
    assert time.monotonic() - began < LATEST
    assert not mark.is_left()
    # where the end of a stream takes its time, its connection is closed instead
    kept = not narrow_async.dialect.drains_streams
    assert narrow_async.pool.status().idle == kept
    async with narrow_async.connect() as connection:
        assert await connection.scalar("SELECT 7") == 7


async def test_a_stream_with_its_connection_that_nobody_knows_any_more_is_not_read_on(
    narrow_async: AsyncEngine, mark: Mark
) -> None:
    connection = await narrow_async.connect()
    stream = await connection.stream(mark.sql)
    assert await stream.fetchone() is not None
    held = [connection, stream]
    del connection, stream
    with soon("the collection of both"), pytest.warns(ResourceWarning, match="without close"):
        forget(held)
    with soon("the next connection"):
        async with narrow_async.connect() as another:
            assert await another.scalar("SELECT 7") == 7
    assert not mark.is_left()


async def test_an_early_end_hits_nothing_that_comes_next(
    make_engine_async: Callable[..., Any],
) -> None:
    """Whether the rest of a stream is short or long: what follows is answered, and rightly."""
    engine = make_engine_async(pool_size=1, max_overflow=0)
    async with engine.connect() as connection:
        raw = connection.connection
        for n in range(30):
            async with connection.stream(rows(2 + n % 4), batch=1 + n) as stream:
                assert await stream.fetchone() is not None
            assert await connection.scalar("SELECT :n", {"n": n}) == n
        assert connection.connection is raw
