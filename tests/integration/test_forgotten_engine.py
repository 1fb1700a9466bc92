"""An engine that nobody disposed of closes its connections when it is collected, or at exit."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import plainsql
from plainsql import aio
from plainsql.errors import SQLSyntaxError

if TYPE_CHECKING:
    from collections.abc import Iterator

FORGETS = """
import asyncio, sys
import plainsql
from plainsql import aio

async def use(engine):
    async with engine.connect() as connection:
        assert await connection.scalar("SELECT 1") == 1

engine = plainsql.create_engine(sys.argv[1])
with engine.connect() as connection:
    assert connection.scalar("SELECT 1") == 1
engine_async = aio.create_async_engine(sys.argv[1])
asyncio.run(use(engine_async))
"""


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """What is in no cycle goes without the collector."""
    gc.disable()
    yield
    gc.enable()


def test_an_engine_that_goes_closes_its_connections_at_once(url: str) -> None:
    engine = plainsql.create_engine(url)
    with engine.connect() as connection:
        raw = connection.connection
        with connection.stream("SELECT 1") as rows:
            assert rows.scalar_one() == 1
        with pytest.raises(SQLSyntaxError):
            connection.execute("SELEC")
    dialect = engine.dialect
    assert dialect.is_open(raw)
    del engine, connection, rows
    assert not dialect.is_open(raw)


async def test_an_async_engine_that_goes_closes_its_connections_at_once(url: str) -> None:
    engine = aio.create_async_engine(url)
    async with engine.connect() as connection:
        raw = getattr(connection.connection, "driver_connection", connection.connection)
        async with connection.stream("SELECT 1") as rows:
            assert await rows.scalar_one() == 1
        with pytest.raises(SQLSyntaxError):
            await connection.execute("SELEC")
    dialect = engine.dialect
    assert dialect.is_open(raw)
    del engine, connection, rows
    assert not dialect.is_open(raw)


def test_a_program_that_never_disposes_ends_in_silence(url: str) -> None:
    words = [sys.executable, "-W", "always", "-c", FORGETS, url]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
