"""Hooks that fail while a connection is opened, looked at or cleaned: row F20 of the matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.beside import until_async
from tests.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql.aio import AsyncEngine
    from tests.servers import RawConnection


class Fatal(BaseException):
    """Nobody's error: how some frameworks end a task."""


KINDS = [ZeroDivisionError, Fatal]


@pytest.fixture
def sessions(database_kind: str, raw_connect: Callable[[], RawConnection]) -> Sessions:
    """Those of the engine under test."""
    return Sessions(database_kind, raw_connect())


async def use(engine: AsyncEngine) -> Any:
    async with engine.connect() as connection:
        return await connection.scalar("SELECT 7")


async def check_replaced(engine: AsyncEngine, sessions: Sessions) -> None:
    """The connection is closed, its place is free, and the next one is another one."""
    opened = sessions.opened
    await until_async(lambda: sessions.alive() == 0)
    status = engine.pool.status()
    assert (status.busy, status.idle, status.connecting) == (0, 0, 0)
    assert await use(engine) == 7
    assert sessions.opened == opened + 1


@pytest.mark.parametrize("kind", KINDS)
async def test_an_on_connect_that_fails_raises_and_its_connection_is_closed(
    make_engine_async: Callable[..., AsyncEngine], sessions: Sessions, kind: type[BaseException]
) -> None:
    """F20: what it raises arrives as it was raised."""
    mine = kind("mine")

    def fail_at_first(raw: Any) -> None:
        sessions.note(raw)
        if sessions.opened == 1:
            raise mine

    engine = make_engine_async(pool_size=1, max_overflow=0, on_connect=fail_at_first)
    with pytest.raises(kind) as caught:
        await engine.connect()
    assert caught.value is mine
    await check_replaced(engine, sessions)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_reset_that_fails_raises_and_its_connection_is_closed(
    make_engine_async: Callable[..., AsyncEngine],
    sessions: Sessions,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[BaseException],
) -> None:
    """F20: out of `close()`, as it was raised; unless it leaves a block by an exception."""
    engine = make_engine_async(pool_size=1, max_overflow=0, reset="full", on_connect=sessions.note)
    mine = kind("mine")
    connection = await engine.connect()
    await connection.scalar("SELECT 1")
    with monkeypatch.context() as patch:
        patch_reset(patch, engine, mine)
        with pytest.raises(kind) as caught:
            await connection.close()
    assert caught.value is mine
    await check_replaced(engine, sessions)


async def test_a_reset_that_the_server_refuses_costs_the_connection(
    make_engine_async: Callable[..., AsyncEngine],
    sessions: Sessions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F20: an error of the driver is no user's."""
    engine = make_engine_async(pool_size=1, max_overflow=0, reset="full", on_connect=sessions.note)
    connection = await engine.connect()
    with monkeypatch.context() as patch:
        patch_reset(patch, engine, engine.dialect.driver_error("refused"))
        await connection.close()
    await check_replaced(engine, sessions)


def patch_reset(patch: pytest.MonkeyPatch, engine: AsyncEngine, failure: BaseException) -> None:
    def fail(raw: Any) -> bool:
        del raw
        raise failure

    patch.setattr(engine.dialect, "reset", fail)
    patch.setattr(engine.dialect, "reset_async", fail)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_check_that_fails_raises_and_its_connection_is_closed(
    make_engine_async: Callable[..., AsyncEngine],
    sessions: Sessions,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[BaseException],
) -> None:
    """F20: before the connection is given out."""
    engine = make_engine_async(
        pool_size=1, max_overflow=0, pool_pre_ping=True, on_connect=sessions.note
    )
    assert await use(engine) == 7
    mine = kind("mine")

    def fail(raw: Any) -> bool:
        del raw
        raise mine

    with monkeypatch.context() as patch:
        patch.setattr(engine.dialect, "is_open", fail)
        with pytest.raises(kind) as caught:
            await engine.connect()
    assert caught.value is mine
    await check_replaced(engine, sessions)


async def test_a_ping_that_the_server_refuses_costs_the_connection(
    make_engine_async: Callable[..., AsyncEngine],
    sessions: Sessions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F20: it is replaced, and nobody hears of it."""
    engine = make_engine_async(
        pool_size=1, max_overflow=0, pool_pre_ping=True, on_connect=sessions.note
    )
    assert await use(engine) == 7
    with monkeypatch.context() as patch:
        patch.setattr(engine.dialect, "ping_sql", "SELECT nonsense")
        assert await use(engine) == 7
    assert sessions.opened == 2
    await until_async(lambda: sessions.alive() == 1)
