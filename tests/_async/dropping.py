"""Writes that nobody committed: who is warned, at which line, and who is not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from plainsql import text
from plainsql.aio import AsyncSession
from plainsql.errors import Disconnected, UncommittedWarning

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql.aio import AsyncConnection, AsyncEngine

Act = Any


class Table:
    """A table with one row, and statements on it."""

    def __init__(self, engine: AsyncEngine, name: str) -> None:
        self.engine = engine
        self.name = name

    def sql(self, words: str) -> Any:
        """Put the table's name into a statement."""
        return text(words.replace("{t}", self.name))

    async def create(self) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(self.sql("CREATE TABLE {t} (x INT PRIMARY KEY, s VARCHAR(9))"))
            await connection.execute(self.sql("INSERT INTO {t} VALUES (1, 'a')"))

    async def rows(self) -> Any:
        """What others see."""
        async with self.engine.connect() as connection:
            return (await connection.scalars(self.sql("SELECT x FROM {t} ORDER BY x"))).all()


@pytest.fixture
async def table(engine_async: AsyncEngine, table_name: str) -> Table:
    table = Table(engine_async, table_name)
    await table.create()
    return table


INSERT = "INSERT INTO {t} VALUES (2, 'b')"


def line() -> int:
    """The line of the caller."""
    return sys._getframe(1).f_lineno


# -- the line -----------------------------------------------------------------------------------


async def test_the_warning_names_the_line_of_the_block_or_of_the_call(table: Table) -> None:
    lines: list[int] = []
    with pytest.warns(UncommittedWarning, match="what was written is dropped") as given:  # noqa: PT031 - the lines
        lines.append(line() + 1)
        async with table.engine.connect() as connection:
            await connection.execute(table.sql(INSERT))
        lines.append(line() + 1)
        async with AsyncSession(table.engine) as session:
            await session.execute(table.sql(INSERT))
        connection = await table.engine.connect()
        await connection.execute(table.sql(INSERT))
        await connection.close()
        lines.append(line() - 1)
        await session.execute(table.sql(INSERT))
        await session.close()
        lines.append(line() - 1)
    assert [(one.filename, one.lineno) for one in given] == [(__file__, n) for n in lines]
    assert await table.rows() == [1]


# -- what is a write ----------------------------------------------------------------------------


async def many(connection: AsyncConnection, table: Table) -> None:
    await connection.execute(table.sql("INSERT INTO {t} VALUES (:x, 'c')"), [{"x": 3}, {"x": 4}])


async def chunks(connection: AsyncConnection, table: Table) -> None:
    await connection.execute(table.sql("DELETE FROM {t} WHERE x = :x"), iter([{"x": 1}]))


async def driver_sql(connection: AsyncConnection, table: Table) -> None:
    await connection.exec_driver_sql(table.sql("UPDATE {t} SET s = 'z'"))


async def script(connection: AsyncConnection, table: Table) -> None:
    await connection.execute_script(table.sql(f"SELECT 1; {INSERT}; SELECT 2"))


async def savepoint(connection: AsyncConnection, table: Table) -> None:
    async with connection.begin_nested():
        await connection.execute(table.sql(INSERT))


async def before_a_savepoint(connection: AsyncConnection, table: Table) -> None:
    await connection.execute(table.sql(INSERT))
    inner = await connection.begin_nested()
    await connection.execute(table.sql("DELETE FROM {t}"))
    await inner.rollback()


async def returning(connection: AsyncConnection, table: Table) -> None:
    if "returning" not in table.engine.dialect.capabilities:
        await connection.execute(table.sql(INSERT))
        return
    await connection.execute(table.sql(f"{INSERT} RETURNING x"))


async def read_on(connection: AsyncConnection, table: Table) -> None:
    await connection.execute(table.sql(INSERT))
    await connection.scalar(table.sql("SELECT count(*) FROM {t}"))


WRITES = [many, chunks, driver_sql, script, savepoint, before_a_savepoint, returning, read_on]


@pytest.mark.parametrize("write", WRITES)
async def test_every_way_to_write_is_noticed(table: Table, write: Act) -> None:
    with pytest.warns(UncommittedWarning) as given:
        async with table.engine.connect() as connection:
            await write(connection, table)
    assert len(given) == 1
    assert await table.rows() == [1]


@pytest.mark.only_on("postgresql", "sqlite", "mysql", reason="MariaDB has no WITH before a write")
async def test_a_write_behind_with_is_noticed(table: Table) -> None:
    with pytest.warns(UncommittedWarning):
        async with table.engine.connect() as connection:
            await connection.execute(
                table.sql("WITH q (x) AS (SELECT 1) DELETE FROM {t} WHERE x IN (SELECT x FROM q)")
            )
    assert await table.rows() == [1]


@pytest.mark.only_on("postgresql", reason="only there WITH holds a write and the end reads")
async def test_a_write_within_with_is_noticed(table: Table) -> None:
    delete = table.sql("WITH q AS (DELETE FROM {t} RETURNING x) SELECT count(*) FROM q")
    with pytest.warns(UncommittedWarning):
        async with table.engine.connect() as connection:
            assert await connection.scalar(delete) == 1
    assert await table.rows() == [1]


@pytest.mark.only_on("postgresql", "sqlite", reason="elsewhere DDL commits")
async def test_ddl_that_a_rollback_drops_is_a_write(engine_async: AsyncEngine) -> None:
    with pytest.warns(UncommittedWarning):
        async with engine_async.connect() as connection:
            await connection.execute("CREATE TABLE dropped (x INT)")


# -- what is none -------------------------------------------------------------------------------


async def nothing_met(connection: AsyncConnection, table: Table) -> None:
    await connection.execute(table.sql("UPDATE {t} SET s = 'z' WHERE x = 99"))
    await connection.execute(table.sql("DELETE FROM {t} WHERE x = :x"), [{"x": 98}, {"x": 99}])


async def reading(connection: AsyncConnection, table: Table) -> None:
    await connection.scalar(table.sql("SELECT replace (s, 'a', 'b') FROM {t}"))
    await connection.scalar(
        table.sql("WITH q AS (SELECT replace (s, 'a', 'b') AS s FROM {t}) SELECT s FROM q")
    )


async def locking(connection: AsyncConnection, table: Table) -> None:
    await connection.execute(table.sql("SELECT x FROM {t} WHERE x = 1 FOR UPDATE"))
    await connection.execute(
        table.sql("WITH q (x) AS (SELECT 1) SELECT x FROM {t} WHERE x = 1 FOR UPDATE NOWAIT")
    )


async def words(connection: AsyncConnection, table: Table) -> None:
    await connection.scalar(
        table.sql("WITH q AS (SELECT '( DELETE FROM t' AS s) /* (UPDATE t */ SELECT s FROM q")
    )


async def rolled_back(connection: AsyncConnection, table: Table) -> None:
    await connection.execute(table.sql(INSERT))
    await connection.rollback()
    await connection.scalar("SELECT 1")


async def committed_and_read(connection: AsyncConnection, table: Table) -> None:
    await connection.execute(table.sql("UPDATE {t} SET s = 'b'"))
    await connection.commit()
    await connection.scalar(table.sql("SELECT count(*) FROM {t}"))


async def undone_savepoint(connection: AsyncConnection, table: Table) -> None:
    inner = await connection.begin_nested()
    await connection.execute(table.sql(INSERT))
    await inner.rollback()
    await connection.scalar("SELECT 1")


async def invalidated(connection: AsyncConnection, table: Table) -> None:
    await connection.execute(table.sql(INSERT))
    await connection.invalidate()


async def lost(connection: AsyncConnection, table: Table) -> None:
    await connection.execute(table.sql(INSERT))
    await connection.connection.close()
    with pytest.raises(Disconnected):
        await connection.scalar("SELECT 1")


async def autocommit(connection: AsyncConnection, table: Table) -> None:
    connection.execution_options(isolation_level="AUTOCOMMIT")
    await connection.execute(table.sql("UPDATE {t} SET s = 'b'"))
    connection.execution_options(isolation_level=None)
    await connection.scalar("SELECT 1")


NONE = [nothing_met, reading, words, rolled_back, committed_and_read, undone_savepoint]


@pytest.mark.parametrize("act", [*NONE, invalidated, lost, autocommit])
async def test_who_drops_nothing_unasked_is_not_warned(table: Table, act: Act) -> None:
    """Warnings are errors here."""
    async with table.engine.connect() as connection:
        await act(connection, table)
    assert await table.rows() == [1]


@pytest.mark.only_on("postgresql", "mysql", reason="MariaDB and SQLite do not lock so")
async def test_who_locks_has_written_nothing(table: Table) -> None:
    async with table.engine.connect() as connection:
        await locking(connection, table)


@pytest.mark.only_on("mysql", "mariadb", reason="elsewhere DDL is dropped, too")
async def test_what_the_server_committed_is_not_dropped(table: Table) -> None:
    async with table.engine.connect() as connection:
        await connection.execute(table.sql("ALTER TABLE {t} ADD y INT"))
        await connection.scalar(table.sql("SELECT y FROM {t}"))
    async with table.engine.connect() as connection:
        await connection.execute(table.sql("CREATE TEMPORARY TABLE {t}_t (x INT)"))
        await connection.scalar("SELECT 1")


class Mine(Exception):
    """The user's own."""


async def test_an_exception_that_leaves_the_block_says_enough(table: Table) -> None:
    openers: list[Callable[[], Any]] = [table.engine.connect, lambda: AsyncSession(table.engine)]
    for opener in openers:
        mine = Mine()
        with pytest.raises(Mine) as caught:
            async with opener() as owner:
                await owner.execute(table.sql(INSERT))
                raise mine
        assert caught.value is mine
    assert await table.rows() == [1]


async def test_a_warning_that_is_an_error_leaves_nothing_behind(table: Table) -> None:
    """As here, in these tests: the connection is rolled back and in the pool all the same."""
    with pytest.raises(UncommittedWarning):
        async with AsyncSession(table.engine) as session:
            await session.execute(table.sql(INSERT))
    assert table.engine.pool.status().busy == 0
    assert await table.rows() == [1]
