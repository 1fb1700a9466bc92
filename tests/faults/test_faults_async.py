"""The faults whose way is another one in async: the driver, or a worker thread, awaits them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from plainsql.aio import create_async_engine
from plainsql.errors import CommitUnknown, DBAPIError, Disconnected, QueryCanceled
from tests.faults.provoking import LONG
from tests.faults.test_trouble import KINDS, NETWORK, NEW, NO_NETWORK, is_stored

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from plainsql.aio import AsyncEngine
    from tests.faults.cutter import Cutter, When
    from tests.faults.scene import Scene


@pytest.fixture
def cutter(scene: Scene) -> Cutter:
    return scene.behind_a_cutter()


@pytest.fixture
async def engine_behind_it(scene: Scene, cutter: Cutter) -> AsyncIterator[AsyncEngine]:
    del cutter  # the scene's engine goes through it
    engine = create_async_engine(scene.engine.url)
    yield engine
    await engine.dispose()


@pytest.mark.only_on(*NETWORK, reason=NO_NETWORK)
async def test_a_killed_session_is_lost_and_replaced(
    scene: Scene, engine_async: AsyncEngine
) -> None:
    async with engine_async.connect() as connection:
        await connection.execute(scene.fill(NEW))
        scene.kill(await connection.scalar(scene.fill(scene.means.session)))
        with pytest.raises(Disconnected) as caught:
            await connection.execute("SELECT 1")
        check(caught.value, engine_async, ("not_applied", True, "SELECT 1"))
        await connection.rollback()
        assert await connection.scalar("SELECT 1") == 1
    assert not is_stored(scene)


@pytest.mark.only_on(*NETWORK, reason="SQLite has no session that others could cancel")
async def test_a_cancelled_statement_leaves_the_connection(
    scene: Scene, engine_async: AsyncEngine
) -> None:
    async with engine_async.connect() as connection:
        session = await connection.scalar(scene.fill(scene.means.session))
        with pytest.raises(QueryCanceled) as caught, scene.beside(lambda: scene.cancel(session)):
            await connection.execute(LONG)
        check(caught.value, engine_async, ("not_applied", False, LONG))
        await connection.rollback()
        assert await connection.scalar(scene.fill(scene.means.session)) == session


@pytest.mark.only_on(*NETWORK, reason=NO_NETWORK)
@pytest.mark.parametrize(("when", "stored"), [("before", False), ("after", True)])
async def test_a_commit_whose_line_is_cut_may_be_stored_or_not(
    scene: Scene, engine_behind_it: AsyncEngine, cutter: Cutter, when: When, stored: bool
) -> None:
    with pytest.raises(CommitUnknown) as caught:
        async with engine_behind_it.begin() as connection:
            await connection.execute(scene.fill(NEW))
            session = await connection.scalar(scene.fill(scene.means.session))
            cutter.cut(when, "COMMIT")
    assert cutter.has_cut
    check(caught.value, engine_behind_it, ("unknown", False, None))
    scene.until_gone(session)
    assert is_stored(scene) == stored
    assert engine_behind_it.pool.status().busy == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_failing_rollback_is_a_note_on_the_users_exception(
    scene: Scene, engine_async: AsyncEngine, kind: type[BaseException]
) -> None:
    mine = kind()
    async with engine_async.connect() as connection:
        with pytest.raises(kind) as caught:
            async with connection.begin():
                await connection.execute(scene.fill(NEW))
                await connection.connection.close()
                raise mine
        assert caught.value is mine
        (note,) = mine.__notes__
        assert note.startswith("plainsql: the rollback failed too: ")
        assert await connection.scalar("SELECT 1") == 1
    assert not is_stored(scene)


def check(error: DBAPIError, engine: AsyncEngine, told: tuple[str, bool, str | None]) -> None:
    assert (error.outcome, error.retryable, error.statement) == told
    assert isinstance(error.__cause__, engine.dialect.driver_error)
