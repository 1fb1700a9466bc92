"""A program that does a bit of everything, for those who look at what it sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from plainsql.aio import AsyncSession
from plainsql.errors import UndefinedTable, UniqueViolation

if TYPE_CHECKING:
    from plainsql.aio import AsyncConnection, AsyncEngine


async def run_async(engine: AsyncEngine, table: str) -> None:
    """Run it on a table of its own; each part checks a connection out of the pool."""
    insert = f"INSERT INTO {table} (x, s) VALUES (:x, :s)"
    select = f"SELECT x, s FROM {table} WHERE x > :x ORDER BY x"
    async with engine.begin() as connection:
        await connection.execute(f"CREATE TABLE {table} (x INT PRIMARY KEY, s TEXT)")
    async with engine.connect() as connection:
        await _statements(connection, table, insert, select)
    async with engine.connect() as connection:
        await _savepoints(connection, insert, select)
    async with engine.connect() as connection:
        await _failures(connection, table, insert)
    async with engine.connect() as connection:
        await _streams(connection, insert, select)
    await _options(engine, insert, select)
    await _sessions(engine, insert, select)
    async with engine.begin() as connection:
        await connection.execute(f"DROP TABLE {table}")


async def _statements(connection: AsyncConnection, table: str, insert: str, select: str) -> None:
    listed = f"SELECT x FROM {table} WHERE x IN :ids AND x NOT IN :others"
    await connection.execute(insert, {"x": 1, "s": "it's 100% \\ :x ?"})
    await connection.execute(insert, [{"x": x, "s": None} for x in range(2, 9)])
    await connection.execute(insert, ({"x": x, "s": "chunk"} for x in range(1000, 2100)))
    await connection.commit()
    for _ in range(7):  # often enough for psycopg to prepare it
        await connection.execute(select, {"x": 2000})
    await connection.rollback()
    for ids in ([1, 3], [], [5]):
        await connection.scalars(listed, {"ids": ids, "others": [7]})
    await connection.exec_driver_sql("SELECT ':a', '50%'")
    await connection.rollback()
    await connection.rollback()
    await connection.commit()


async def _savepoints(connection: AsyncConnection, insert: str, select: str) -> None:
    async with connection.begin():
        async with connection.begin_nested():
            await connection.execute(insert, {"x": 20, "s": "kept"})
            inner = await connection.begin_nested()
            await connection.execute(insert, {"x": 21, "s": "not kept"})
            await inner.rollback()
        await connection.execute(select, {"x": 10})
        await connection.begin_nested()


async def _failures(connection: AsyncConnection, table: str, insert: str) -> None:
    with pytest.raises(UniqueViolation):
        await connection.execute(insert, {"x": 1, "s": "twice"})
    await connection.rollback()
    with pytest.raises(UniqueViolation):
        async with connection.begin_nested():
            await connection.execute(insert, {"x": 1, "s": "twice"})
    await connection.commit()
    with pytest.raises(UndefinedTable):
        await connection.execute(f"SELECT * FROM {table}_that_is_not")


async def _streams(connection: AsyncConnection, insert: str, select: str) -> None:
    async with connection.stream(select, {"x": 3}, batch=400) as stream:
        assert len(await stream.all()) > 1000
    await connection.execute(insert, {"x": 30, "s": "between"})
    async with connection.stream(select, {"x": 1}, batch=2) as stream:
        await stream.fetchone()
    await connection.stream(select, {"x": 1}, batch=3)
    await connection.commit()


async def _options(engine: AsyncEngine, insert: str, select: str) -> None:
    async with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(insert, {"x": 40, "s": "at once"})
        async with connection.stream(select, {"x": 3}, batch=400) as stream:
            await stream.all()
    async with engine.execution_options(isolation_level="SERIALIZABLE").connect() as connection:
        await connection.execute(select, {"x": 1})
        await connection.commit()
    async with engine.execution_options(read_only=True).connect() as connection:
        await connection.execute(select, {"x": 1})
        await connection.commit()
        await connection.execute(select, {"x": 2})


async def _sessions(engine: AsyncEngine, insert: str, select: str) -> None:
    async with AsyncSession(engine) as session:
        await session.execute(insert, {"x": 50, "s": "in a session"})
        await session.commit()
        async with session.begin():
            async with session.begin_nested():
                await session.execute(insert, [{"x": 51, "s": ""}, {"x": 52, "s": "é"}])
            await session.scalars(select, {"x": 49})
        await session.execute(insert, {"x": 53, "s": "left alone"})
        await session.rollback()
