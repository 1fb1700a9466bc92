"""executemany: what comes back from it, and how many statements it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from plainsql import errors, text

if TYPE_CHECKING:
    from plainsql.aio import AsyncEngine


async def _make_table(engine: AsyncEngine, name: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(f"CREATE TABLE {name} (x INT PRIMARY KEY, y VARCHAR(80))")


async def test_rows_of_an_executemany_come_in_the_order_of_the_sets(
    engine_async: AsyncEngine,
) -> None:
    sets = [{"x": x} for x in (3, 1, 2, 1)]
    async with engine_async.connect() as connection:
        result = await connection.execute("SELECT :x AS x, 'a:b' AS y", sets)
        assert [(int(row.x), row.y) for row in result] == [(s["x"], "a:b") for s in sets]
        generated = await connection.execute("SELECT :x AS x", (s for s in sets))
        assert [int(x) for x in generated.scalars()] == [3, 1, 2, 1]


async def test_returning_gives_the_rows_in_the_order_of_the_sets_or_is_refused(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _make_table(engine_async, table_name)
    sets = [{"x": x, "y": f"n{x}"} for x in range(2500, 0, -1)]
    statement = text(f"INSERT INTO {table_name} VALUES (:x, :y) RETURNING x, y").columns(y=str)
    async with engine_async.connect() as connection:
        if "returning" not in engine_async.dialect.capabilities:
            with pytest.raises(errors.NotSupportedError, match="RETURNING"):
                await connection.execute(statement, sets)
            assert not connection.in_transaction()
            return
        for params in (sets, iter(sets)):
            result = await connection.execute(statement, params)
            assert result.all() == [(s["x"], s["y"]) for s in sets]
            await connection.rollback()


INSERTS = [
    "INSERT INTO {t} (x, y) VALUES (:x, :y)",
    "insert into {t} (x, y) values(:x,:y)",
    "INSERT INTO {t} -- VALUES (:z)\n (x, y) /* ( */ VALUES (:x, replace(:y, '%', '%'))",
    "INSERT INTO {t} (y, x) VALUES (replace(:y, ') :no', ''), (:x + 1) - 1)",
    "INSERT INTO {t} (x, y) SELECT :x, :y",
    "INSERT INTO {t} (x, y) VALUES (:x, :y), (-:x, :y)",
]


@pytest.mark.parametrize("insert", INSERTS)
async def test_an_insert_of_many_stores_each_set_once(
    engine_async: AsyncEngine, table_name: str, insert: str
) -> None:
    await _make_table(engine_async, table_name)
    sets: list[dict[str, Any]] = [{"x": x, "y": f"it's %s \\ ({x})"} for x in range(1, 301)]
    statement: Any = insert.format(t=table_name)
    async with engine_async.connect() as connection:
        result = await connection.execute(statement, sets)
        assert result.rowcount in (len(sets), 2 * len(sets))
        assert not result.returns_rows
        rows = (await connection.execute(f"SELECT x, y FROM {table_name} WHERE x > 0")).all()
        await connection.rollback()
    assert sorted(row.x for row in rows) == list(range(1, 301))
    assert all(f"it's %s \\ ({row.x})" in row.y for row in rows)


async def test_rows_longer_than_one_statement_are_stored_whole(
    engine_async: AsyncEngine, table_name: str
) -> None:
    async with engine_async.begin() as connection:
        await connection.execute(f"CREATE TABLE {table_name} (x INT PRIMARY KEY, y TEXT)")
        sets = [{"x": x, "y": chr(97 + x % 26) * 60_000} for x in range(60)]
        insert = f"INSERT INTO {table_name} VALUES (:x, :y)"
        assert (await connection.execute(insert, sets)).rowcount == 60
    async with engine_async.connect() as connection:
        rows = (await connection.execute(f"SELECT x, y FROM {table_name} ORDER BY x")).all()
    assert [(row.x, row.y) for row in rows] == [(s["x"], s["y"]) for s in sets]


async def test_a_mistake_in_one_of_many_stores_none_of_them(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _make_table(engine_async, table_name)
    sets = [{"x": x, "y": None} for x in (1, 2, 1)]
    async with engine_async.connect() as connection:
        with pytest.raises(errors.UniqueViolation):
            await connection.execute(f"INSERT INTO {table_name} VALUES (:x, :y)", sets)
        await connection.rollback()
        assert await connection.scalar(f"SELECT count(*) FROM {table_name}") == 0
