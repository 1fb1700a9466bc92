"""Many workers on a small pool: threads, or tasks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from plainsql.concurrency import rest_async
from tests.beside import AsyncBeside, until_async
from tests.load.fairness import Storm

if TYPE_CHECKING:
    from plainsql.aio import AsyncEngine

#: In seconds, how long each worker holds a connection.
HOLD = 0.001


async def storm_async(engine: AsyncEngine, workers: int, places: int, seconds: float) -> Storm:
    """Let so many workers take turns on the engine's connections for so long."""
    storm = Storm(workers, places, HOLD)
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
    besides = [AsyncBeside(_work, autocommit, storm, number) for number in range(workers)]
    await until_async(storm.has_begun)
    begun = time.monotonic()
    storm.count()
    await rest_async(seconds)
    storm.end(time.monotonic() - begun)
    for beside in besides:
        await beside.result()
    return storm


async def _work(engine: AsyncEngine, storm: Storm, number: int) -> None:
    turn = 0
    while not storm.is_over:
        turn += 1
        nonce = number * 1_000_000 + turn
        asked, before = time.monotonic(), storm.taken
        try:
            async with engine.connect() as connection:
                begun, passed = time.monotonic(), storm.taken - before
                storm.taken += 1
                assert await connection.scalar("SELECT :nonce", {"nonce": nonce}) == nonce
                await rest_async(max(0.0, begun + HOLD - time.monotonic()))
                over = time.monotonic()
        except BaseException as exc:  # noqa: BLE001 - all of them are counted and told
            storm.errors.append(exc)
            return
        storm.note(number, asked, begun, over, passed)
