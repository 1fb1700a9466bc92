"""One engine and a second event loop, on real drivers; the book's side: `test_pool_boundaries`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from plainsql import aio
from plainsql.errors import PoolError
from tests.beside import until, until_async

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plainsql.aio import AsyncEngine

ROUNDS = 3
PLACES = 2


@pytest.fixture
def opened() -> list[Any]:
    """The connections that were opened, as what is awaited."""
    return []


@pytest.fixture
def narrow(url: str, opened: list[Any]) -> Iterator[AsyncEngine]:
    engine = aio.create_async_engine(
        url, pool_size=PLACES, max_overflow=0, pool_timeout=5, on_connect=opened.append
    )
    yield engine
    asyncio.run(engine.dispose())


async def use(engine: AsyncEngine, number: int) -> None:
    async with engine.begin() as connection:
        assert await connection.scalar("SELECT :number", {"number": number}) == number


async def use_much(engine: AsyncEngine) -> None:
    """More tasks than places."""
    await asyncio.gather(*(use(engine, number) for number in range(3 * PLACES)))


def are_open(engine: AsyncEngine, opened: list[Any]) -> list[bool]:
    """Which of them are open."""
    owns = [getattr(raw, "driver_connection", raw) for raw in opened]
    return [engine.dialect.is_open(own) for own in owns]


def test_what_a_closed_loop_left_is_closed_by_the_next(
    narrow: AsyncEngine, opened: list[Any]
) -> None:
    """Or each loop would leave sessions on the server for as long as the engine lives."""
    for _ in range(ROUNDS):
        asyncio.run(use_much(narrow))
    until(lambda: are_open(narrow, opened) == [False] * PLACES * (ROUNDS - 1) + [True] * PLACES)


def test_one_loop_after_the_other_works_afresh(narrow: AsyncEngine) -> None:
    for _ in range(ROUNDS):
        asyncio.run(use_much(narrow))
        status = narrow.pool.status()
        assert (status.busy, status.idle, status.waiting) == (0, PLACES, 0)


def test_a_loop_after_one_that_was_stopped_amid_its_work_works_afresh(narrow: AsyncEngine) -> None:
    """A connection is held, and others wait, when the first loop ends."""

    async def stop() -> None:
        async with narrow.connect(), narrow.connect():
            waiting = asyncio.ensure_future(use(narrow, 1))
            await until_async(lambda: narrow.pool.status().waiting)
            waiting.cancel()

    asyncio.run(stop())
    asyncio.run(use_much(narrow))


@pytest.mark.parametrize("disposes", [True, False])
def test_what_is_kept_too_long_is_logged_in_the_next_loop_too(
    url: str, caplog: pytest.LogCaptureFixture, disposes: bool
) -> None:
    """The first loop ends before the look that it was to have."""
    engine = aio.create_async_engine(url, pool_leak_after=0.1)

    async def begin() -> None:
        await use(engine, 1)
        if disposes:
            await engine.dispose()

    async def hold() -> None:
        async with engine.connect():
            await until_async(lambda: caplog.records)
        await engine.dispose()

    asyncio.run(begin())
    asyncio.run(hold())
    (record,) = caplog.records
    assert "in hold" in record.getMessage()


def test_of_two_loops_at_once_the_second_is_refused_and_the_first_works_on(
    narrow: AsyncEngine,
) -> None:
    async def first() -> None:
        await use_much(narrow)
        with pytest.raises(PoolError, match="one engine per loop"):
            await asyncio.to_thread(asyncio.run, use(narrow, 1))
        await use_much(narrow)

    asyncio.run(first())
    assert narrow.pool.status().opened == PLACES
