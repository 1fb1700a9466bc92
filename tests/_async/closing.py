"""An engine that is closed for ever, amid its work: row F17 of the fault matrix."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from plainsql.errors import DBAPIError, PoolClosed
from tests.beside import AsyncBeside, until_async
from tests.faults.provoking import LONG
from tests.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plainsql.aio import AsyncEngine
    from tests.servers import RawConnection

#: In seconds: what those in use have; and how much later than promised it may be seen to be kept.
GRACE, LATE = 0.3, 2.0


@pytest.fixture
def sessions(database_kind: str, raw_connect: Callable[[], RawConnection]) -> Iterator[Sessions]:
    """Those of the engine under test; none of them works on when the test is over."""
    sessions = Sessions(database_kind, raw_connect())
    yield sessions
    sessions.kill()


@pytest.fixture
def pair_async(make_engine_async: Callable[..., AsyncEngine], sessions: Sessions) -> AsyncEngine:
    """An engine with two connections."""
    return make_engine_async(pool_size=2, max_overflow=0, on_connect=sessions.note)


async def use(engine: AsyncEngine) -> Any:
    async with engine.connect() as connection:
        return await connection.scalar("SELECT 7")


async def test_who_waits_when_an_engine_is_closed_fails_at_once(
    pair_async: AsyncEngine, sessions: Sessions
) -> None:
    """F17: those in use work on, and have time to come back."""
    async with pair_async.connect() as first, pair_async.connect() as second:
        assert await first.scalar("SELECT 1") == 1
        waiting = [AsyncBeside(use, pair_async) for _ in range(3)]
        await until_async(lambda: pair_async.pool.status().waiting == 3)
        began = time.monotonic()
        closing = AsyncBeside(closed_async, pair_async, 20.0)
        for waiter in waiting:
            with pytest.raises(PoolClosed, match="closed"):
                await waiter.result()
        took = time.monotonic() - began
        print(f"they heard of it after {took * 1000:.1f} ms")
        assert took < LATE
        with pytest.raises(PoolClosed):
            await pair_async.connect()
        assert not closing.is_over
        assert await first.scalar("SELECT 7") == 7
        assert await second.scalar("SELECT 7") == 7
    await closing.result()
    assert sessions.opened == 2
    sessions.until(0)
    assert pair_async.pool.status().busy == pair_async.pool.status().idle == 0


async def closed_async(engine: AsyncEngine, timeout: float) -> None:
    await engine.close(timeout=timeout)


async def test_what_does_not_come_back_to_a_closed_engine_is_cut(
    pair_async: AsyncEngine, sessions: Sessions
) -> None:
    """F17: one is idle, one is amid a transaction and kept; the server is left with none."""
    assert await use(pair_async) == 7
    kept = await pair_async.connect()
    assert await use(pair_async) == 7
    await kept.scalar("SELECT 1")
    assert sessions.alive() == sessions.opened == 2
    began = time.monotonic()
    await pair_async.close(timeout=GRACE)
    took = time.monotonic() - began
    print(f"closed after {took:.3f} s")
    assert GRACE <= took < GRACE + LATE
    await kept.close()
    sessions.until(0)
    with pytest.raises(PoolClosed):
        await pair_async.connect()
    await pair_async.close()  # once more is no harm


async def test_a_statement_under_way_when_an_engine_is_closed_is_cut(
    pair_async: AsyncEngine, sessions: Sessions
) -> None:
    """F17: it fails when the time is over; nobody waits for its end."""

    async def work() -> None:
        async with pair_async.connect() as connection:
            await connection.execute(LONG)

    at_work = AsyncBeside(work)
    await until_async(lambda: sessions.opened == 1)
    await until_async(lambda: pair_async.pool.status().busy == 1)
    began = time.monotonic()
    await pair_async.close(timeout=GRACE)
    with pytest.raises(DBAPIError):
        await at_work.result()
    assert time.monotonic() - began < GRACE + LATE
    status = pair_async.pool.status()
    assert (status.busy, status.idle, status.waiting) == (0, 0, 0)
