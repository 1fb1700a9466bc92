"""What was taken before a fork, or in a loop that is closed, is left alone and harms nobody."""

from __future__ import annotations

import asyncio
import gc
import os
import warnings
from typing import TYPE_CHECKING

import pytest

import plainsql
from plainsql import aio
from plainsql.errors import InterfaceError

if TYPE_CHECKING:
    from pathlib import Path


async def leave(engine: aio.AsyncEngine, left: list[aio.AsyncConnection]) -> None:
    left.append(await engine.connect())


def forget(left: list[aio.AsyncConnection]) -> None:
    left.clear()
    gc.collect()


async def use_of_old(engine: aio.AsyncEngine, left: list[aio.AsyncConnection]) -> None:
    async with engine.connect() as connection:
        assert await connection.scalar("SELECT 1") == 1
    with pytest.raises(InterfaceError, match="in another event loop, and is not to be used here"):
        await left[0].scalar("SELECT 2")
    await left[0].close()
    assert engine.pool.status().busy == 0
    await engine.dispose()


def test_a_connection_of_a_closed_loop_says_so_in_the_next(tmp_path: Path) -> None:
    engine = aio.create_async_engine(f"sqlite:///{tmp_path / 'a.db'}")
    left: list[aio.AsyncConnection] = []
    asyncio.run(leave(engine, left))
    asyncio.run(use_of_old(engine, left))


async def drop_and_go_on(engine: aio.AsyncEngine, left: list[aio.AsyncConnection]) -> None:
    async with engine.connect() as connection:
        assert await connection.scalar("SELECT 1") == 1
    with pytest.warns(ResourceWarning, match=r"dropped without close\(\)"):
        forget(left)
    async with engine.connect() as connection:
        assert await connection.scalar("SELECT 2") == 2
    assert engine.pool.status().idle == 1
    await engine.dispose()


def test_a_connection_left_over_from_a_closed_loop_disturbs_nobody_in_the_next(
    tmp_path: Path,
) -> None:
    engine = aio.create_async_engine(f"sqlite:///{tmp_path / 'a.db'}", pool_size=1, max_overflow=0)
    left: list[aio.AsyncConnection] = []

    asyncio.run(leave(engine, left))
    asyncio.run(drop_and_go_on(engine, left))
    del engine
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "unclosed database", ResourceWarning)
        gc.collect()  # nobody could close the first one in its own loop


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_may_close_what_it_inherited_and_the_parent_goes_on(tmp_path: Path) -> None:
    engine = plainsql.create_engine(f"sqlite:///{tmp_path / 'a.db'}", pool_size=1, max_overflow=0)
    connection = engine.connect()
    child = os.fork()
    if child == 0:
        try:
            with engine.connect() as own:
                own.scalar("SELECT 1")
            connection.close()
            with engine.connect() as own:
                os._exit(own.scalar("SELECT 0"))
        finally:
            os._exit(1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert connection.scalar("SELECT 1") == 1
    connection.close()
    assert engine.pool.status().idle == 1
    engine.dispose()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("act", ["fetchone", "close"])
def test_a_child_is_refused_the_stream_that_it_inherited(tmp_path: Path, act: str) -> None:
    """Its cursor is the parent's, and would speak on the parent's socket."""
    engine = plainsql.create_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.connect() as connection:
        stream = connection.stream("SELECT 1 AS n UNION SELECT 2 UNION SELECT 3", batch=1)
        assert stream.fetchone() == (1,)
        child = os.fork()
        if child == 0:
            try:
                with pytest.raises(plainsql.InterfaceError, match="before a fork"):
                    getattr(stream, act)()
                connection.close()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert stream.all() == [(2,), (3,)]
    engine.dispose()
