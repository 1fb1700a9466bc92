"""What every dialect must pass of the pool: reuse, limits, hand-over, lost connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from plainsql import errors

if TYPE_CHECKING:
    from collections.abc import Callable


async def test_a_connection_is_reused(make_engine_async: Callable[..., Any]) -> None:
    engine = make_engine_async()
    async with engine.connect() as connection:
        first = connection.connection
    async with engine.connect() as connection:
        assert connection.connection is first
    assert engine.pool.status().idle == 1


async def test_exhaustion_is_an_error_that_tells_the_numbers(
    make_engine_async: Callable[..., Any],
) -> None:
    engine = make_engine_async(pool_size=1, max_overflow=1, pool_timeout=0.2)
    async with engine.connect(), engine.connect():
        with pytest.raises(
            errors.PoolTimeout, match=r"2 busy, 0 idle, 0 connecting of 2"
        ) as caught:
            await engine.connect()
    assert "pooling.py" in str(caught.value)
    async with engine.connect(), engine.connect():
        assert engine.pool.status().busy == 2
    status = engine.pool.status()
    assert (status.busy, status.idle, status.waiting) == (0, 1, 0)


async def test_null_pool_keeps_nothing(make_engine_async: Callable[..., Any]) -> None:
    engine = make_engine_async(poolclass="NullPool")
    async with engine.connect() as connection:
        assert await connection.scalar("SELECT 1") == 1
    assert (engine.pool.status().idle, engine.pool.status().busy) == (0, 0)


async def test_a_dropped_connection_frees_its_slot_and_warns_with_its_line(
    make_engine_async: Callable[..., Any],
) -> None:
    engine = make_engine_async(pool_size=1, max_overflow=0, pool_timeout=5)
    held = [await engine.connect()]
    await held[0].execute("SELECT 1")
    with pytest.warns(ResourceWarning, match=r"taken at .*pooling\.py:\d+ in test_a_dropped"):
        held.clear()
    async with engine.connect() as another:
        assert await another.scalar("SELECT 2") == 2


async def test_raw_connection_is_the_drivers_and_comes_back_examined(
    make_engine_async: Callable[..., Any],
) -> None:
    engine = make_engine_async(pool_size=1, max_overflow=0)
    async with engine.raw_connection() as raw:
        cursor = raw.cursor()
        await cursor.execute("BEGIN")
        await cursor.execute("SELECT 5")
        assert tuple((await cursor.fetchall())[0]) == (5,)
    async with engine.connect() as connection:
        assert await connection.scalar("SELECT 6") == 6


async def test_on_connect_sees_each_new_connection(make_engine_async: Callable[..., Any]) -> None:
    seen: list[Any] = []
    engine = make_engine_async(on_connect=seen.append)
    async with engine.connect() as first, engine.connect() as second:
        assert [first.connection, second.connection] == seen


async def test_dispose_closes_and_the_engine_goes_on(
    make_engine_async: Callable[..., Any],
) -> None:
    engine = make_engine_async()
    async with engine.connect() as connection:
        first = connection.connection
    await engine.dispose()
    assert engine.pool.status().idle == 0
    async with engine.connect() as connection:
        assert connection.connection is not first
        assert await connection.scalar("SELECT 1") == 1
