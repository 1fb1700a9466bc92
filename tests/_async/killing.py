"""Idle sessions that somebody kills: row F22 of the fault matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.beside import AsyncBeside, until_async
from tests.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql.aio import AsyncEngine
    from tests.servers import RawConnection

#: More than may connect in a second, and as many as may, with what the clocks here add to it.
MANY, RATE = 40, 22

pytestmark = pytest.mark.only_on(
    "postgresql", "mysql", "mariadb", reason="SQLite has no session that others could kill"
)


@pytest.fixture
def sessions(database_kind: str, raw_connect: Callable[[], RawConnection]) -> Sessions:
    """Those of the engine under test."""
    return Sessions(database_kind, raw_connect())


class Crowd:
    """Users who all hold a connection at the same time."""

    def __init__(self, engine: AsyncEngine, number: int) -> None:
        self._engine = engine
        self._number = number
        self._here = 0

    async def meet(self) -> None:
        """Let all of them come, ask for their numbers, and go."""
        self._here = 0
        for beside in [AsyncBeside(self._come, number) for number in range(self._number)]:
            await beside.result()

    async def _come(self, number: int) -> None:
        async with self._engine.connect() as connection:
            assert await connection.scalar("SELECT :n", {"n": number}) == number
            self._here += 1
            await until_async(lambda: self._here >= self._number)


@pytest.mark.parametrize("pre_ping", [None, False])
async def test_sessions_killed_while_idle_are_nobodys_error(
    make_engine_async: Callable[..., AsyncEngine], sessions: Sessions, pre_ping: bool | None
) -> None:
    """F22: the socket tells, whether or not the server is asked."""
    engine = make_engine_async(
        pool_size=3, max_overflow=0, pool_pre_ping=pre_ping, on_connect=sessions.note
    )
    crowd = Crowd(engine, 3)
    for times in (1, 2, 3):
        await crowd.meet()
        assert sessions.alive() == 3
        assert sessions.opened == 3 * times
        sessions.kill()
    async with engine.begin() as connection:
        assert await connection.scalar("SELECT 7") == 7
    assert engine.pool.status().timeouts == 0


@pytest.mark.slow
async def test_a_whole_pool_that_was_killed_is_opened_again_little_by_little(
    make_engine_async: Callable[..., AsyncEngine], sessions: Sessions
) -> None:
    """F22: at most 20 connects in a second, and no error for those who wait for them."""
    engine = make_engine_async(pool_size=MANY, max_overflow=0, on_connect=sessions.note)
    crowd = Crowd(engine, MANY)
    await crowd.meet()
    assert sessions.opened == MANY
    sessions.kill()
    sessions.times.clear()
    await crowd.meet()
    most = sessions.most_in_a_second()
    print(f"{len(sessions.times)} connects, {most} of them within a second")
    assert len(sessions.times) == MANY
    assert most <= RATE
