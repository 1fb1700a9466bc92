"""Very many short transactions of all sorts, in a process of its own, to see what they leave."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from plainsql.aio import AsyncSession, create_async_engine
from plainsql.errors import UniqueViolation
from tests.beside import AsyncBeside, until_async
from tests.load.footprint import Footprint, Soak, footprint

if TYPE_CHECKING:
    from plainsql.aio import AsyncConnection, AsyncEngine

#: More workers than places, so that connections are handed over, too.
WORKERS, PLACES = 3, 2
#: Transactions of the warm-up that must be done within a test's usual time.
CHUNK = 2_000


class Wrong(Exception):
    """What a transaction is left by."""


async def soak_async(url: str, table: str, count: int, warm_up: int, samples: int) -> Soak:
    """Run so many transactions, by which nothing may grow after the first `warm_up` of them."""
    before = footprint()
    engine = create_async_engine(url, pool_size=PLACES, max_overflow=0)
    written, pieces = 0, 1 + warm_up // CHUNK
    for _ in range(pieces):
        written += await _chunk(engine, table, warm_up // pieces)
    begun = time.monotonic()
    taken = [footprint()]
    for _ in range(samples):
        written += await _chunk(engine, table, (count - warm_up) // samples)
        taken.append(footprint())
    seconds = time.monotonic() - begun
    lost = written - await _written(engine, table)
    await engine.dispose()
    del engine
    return Soak(before, await _at_rest(before), taken, count, seconds, lost)


async def _at_rest(before: Footprint) -> Footprint:
    """Measure, once the threads have ended that are about to."""
    await until_async(lambda: footprint().threads <= before.threads)
    return footprint()


async def _written(engine: AsyncEngine, table: str) -> int:
    async with engine.connect() as connection:
        return int(await connection.scalar(f"SELECT sum(n) FROM {table}"))


async def _chunk(engine: AsyncEngine, table: str, count: int) -> int:
    """Run so many transactions in all, beside each other; return how many of them wrote."""
    shares = [count // WORKERS + (number < count % WORKERS) for number in range(WORKERS)]
    besides = [
        AsyncBeside(_work, engine, table, number, share) for number, share in enumerate(shares, 1)
    ]
    return sum([await beside.result() for beside in besides])


async def _work(engine: AsyncEngine, table: str, number: int, count: int) -> int:
    written = 0
    for turn in range(count):
        kind = turn % 10
        if kind == 0:
            await _write(engine, table, number)
            written += 1
        elif kind == 3:
            await _leave(engine, table, number)
        elif kind == 5:
            await _fail(engine, table, number)
        elif kind in {2, 8}:
            await _stream(engine, turn)
        else:
            await _read(engine, turn)
    return written


async def _write(engine: AsyncEngine, table: str, number: int) -> None:
    async with engine.begin() as connection:
        await connection.execute(f"UPDATE {table} SET n = n + 1 WHERE id = :id", {"id": number})


async def _leave(engine: AsyncEngine, table: str, number: int) -> None:
    try:
        async with engine.begin() as connection:
            await connection.execute(f"UPDATE {table} SET n = 0 WHERE id = :id", {"id": number})
            raise Wrong
    except Wrong:
        return


async def _fail(engine: AsyncEngine, table: str, number: int) -> None:
    """An error of the database, which a savepoint confines."""
    async with engine.begin() as connection:
        try:
            async with connection.begin_nested():
                await _again(connection, table, number)
        except UniqueViolation:
            return


async def _again(connection: AsyncConnection, table: str, number: int) -> None:
    await connection.execute(f"INSERT INTO {table} (id, n) VALUES (:id, 0)", {"id": number})


async def _stream(engine: AsyncEngine, turn: int) -> None:
    async with (
        engine.connect() as connection,
        connection.stream("SELECT :turn AS n UNION ALL SELECT 1", {"turn": turn}) as rows,
    ):
        assert [row.n async for row in rows] == [turn, 1]


async def _read(engine: AsyncEngine, turn: int) -> None:
    async with AsyncSession(engine) as session:
        assert await session.scalar("SELECT :turn", {"turn": turn}) == turn
        await session.commit()
