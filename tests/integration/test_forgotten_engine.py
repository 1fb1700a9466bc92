"""An engine that nobody disposed of closes its connections when it is collected, or at exit."""

from __future__ import annotations

import gc
import subprocess
import sys

import plainsql
from plainsql import aio

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


def test_a_collected_engine_closes_its_idle_connections(url: str) -> None:
    engine = plainsql.create_engine(url)
    with engine.connect() as connection:
        raw = connection.connection
    dialect = engine.dialect
    assert dialect.is_open(raw)
    del engine, connection
    gc.collect()
    assert not dialect.is_open(raw)


async def test_a_collected_async_engine_closes_its_idle_connections(url: str) -> None:
    engine = aio.create_async_engine(url)
    async with engine.connect() as connection:
        raw = connection.connection
        raw = getattr(raw, "driver_connection", raw)
    dialect = engine.dialect
    assert dialect.is_open(raw)
    del engine, connection
    gc.collect()
    assert not dialect.is_open(raw)


def test_a_program_that_never_disposes_ends_in_silence(url: str) -> None:
    words = [sys.executable, "-W", "always", "-c", FORGETS, url]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
