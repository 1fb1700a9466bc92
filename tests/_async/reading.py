"""Reading many rows, in a process of its own, to see what memory that takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plainsql.aio import create_async_engine
from tests.manyrows import rows
from tests.memory import resident, traced

if TYPE_CHECKING:
    from plainsql.aio import AsyncConnection


async def measure_async(url: str, way: str) -> tuple[int, int]:
    """Give the bytes, resident and traced, that it takes to "stream" or to "execute"."""
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        read = {"stream": _stream, "execute": _execute}[way]
        await read(connection, 4)  # what is imported and kept once is no memory of the rows
        with resident() as in_all:
            await read(connection, 6 if way == "stream" else 5)
        with traced() as by_python:
            await read(connection, 5)
    await engine.dispose()
    return in_all.bytes, by_python.bytes


async def _stream(connection: AsyncConnection, exponent: int) -> None:
    total = 0
    async with connection.stream(rows(exponent)) as stream:
        async for row in stream:
            total += row.x
    assert total == _sum(exponent)


async def _execute(connection: AsyncConnection, exponent: int) -> None:
    result = await connection.execute(rows(exponent))
    assert sum(row.x for row in result.all()) == _sum(exponent)


def _sum(exponent: int) -> int:
    last: int = 10**exponent
    return last * (last + 1) // 2
