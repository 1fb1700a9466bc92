"""Scripts: several statements in one text, split as the server reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from plainsql import errors
from plainsql.aio import AsyncSession

if TYPE_CHECKING:
    from plainsql.aio import AsyncEngine

COUNT = "SELECT count(*) FROM {}"


async def _count(engine: AsyncEngine, table: str) -> Any:
    async with engine.connect() as connection:
        return await connection.scalar(COUNT.format(table))


async def test_a_script_runs_its_statements_one_by_one(
    engine_async: AsyncEngine, table_name: str
) -> None:
    script = f"""
        -- a table; with a semicolon
        CREATE TABLE {table_name} (x INTEGER, s VARCHAR(99));;
        INSERT INTO {table_name} VALUES (1, 'a;b'), (2, ':x %s % ? \x7f it''s'); /* ; */
        SELECT ';';
        INSERT INTO {table_name} VALUES (3, 'c') -- the last one; unended
    """
    async with engine_async.begin() as connection:
        assert await connection.execute_script(script) == 4
        rows = (await connection.execute(f"SELECT s FROM {table_name} ORDER BY x")).scalars().all()
        assert rows == ["a;b", ":x %s % ? \x7f it's", "c"]
    assert await _count(engine_async, table_name) == 3


@pytest.mark.parametrize("script", ["", " ; ;\n", "-- nothing", "/* a */;"])
async def test_a_script_may_be_empty(engine_async: AsyncEngine, script: str) -> None:
    async with engine_async.connect() as connection:
        assert await connection.execute_script(script) == 0
        assert not connection.in_transaction()


async def test_a_script_is_part_of_the_transaction(
    engine_async: AsyncEngine, table_name: str
) -> None:
    async with AsyncSession(engine_async) as session:
        await session.execute_script(f"CREATE TABLE {table_name} (x INTEGER)")
        await session.commit()
        await session.execute_script(
            f"INSERT INTO {table_name} VALUES (1); INSERT INTO {table_name} VALUES (2)"
        )
        await session.rollback()
    assert await _count(engine_async, table_name) == 0


async def test_an_error_says_which_statement_failed_and_where(
    engine_async: AsyncEngine, table_name: str
) -> None:
    script = f"""CREATE TABLE {table_name} (x INTEGER);

        INSERT INTO {table_name} VALUES (1); -- one
        /* the
           next */ INSERT INTO {table_name}_no VALUES (2);
        INSERT INTO {table_name} VALUES (3);"""
    async with engine_async.connect() as connection:
        with pytest.raises(errors.UndefinedTable) as caught:
            await connection.execute_script(script)
        assert "[statement 3 of the script, line 5]" in str(caught.value)
        assert (caught.value.statement or "").endswith(f"INSERT INTO {table_name}_no VALUES (2)")
        await connection.rollback()


async def test_what_can_not_be_read_is_refused_before_anything_is_sent(
    engine_async: AsyncEngine, table_name: str
) -> None:
    async with engine_async.begin() as connection:
        await connection.execute(f"CREATE TABLE {table_name} (x INTEGER)")
    for script, what in (
        ("INSERT INTO {} VALUES (1); INSERT INTO {} VALUES ('", "never closed"),
        ("INSERT INTO {} VALUES (1);\n\\i more.sql", "is a command of a client"),
        ("INSERT INTO {} VALUES (1);\n.read more.sql", "is a command of a client"),
    ):
        async with engine_async.begin() as connection:
            with pytest.raises(errors.SQLTextError, match=what):
                await connection.execute_script(script.replace("{}", table_name))
    async with engine_async.begin() as connection:
        with pytest.raises(errors.TransactionStateError, match="COMMIT is not sent"):
            await connection.execute_script(f"INSERT INTO {table_name} VALUES (1); COMMIT")
        with pytest.raises(errors.ArgumentError, match="takes a str, not bytes"):
            await connection.execute_script(b"SELECT 1")  # type: ignore[arg-type]
    assert await _count(engine_async, table_name) == 0


async def test_in_autocommit_a_script_has_its_own_transactions(
    engine_async: AsyncEngine, table_name: str
) -> None:
    by_itself = engine_async.execution_options(isolation_level="AUTOCOMMIT")
    async with by_itself.connect() as connection:
        await connection.execute_script(
            f"CREATE TABLE {table_name} (x INTEGER); BEGIN; INSERT INTO {table_name} VALUES (1);"
            f"COMMIT; BEGIN; INSERT INTO {table_name} VALUES (2); ROLLBACK;"
        )
    assert await _count(engine_async, table_name) == 1


@pytest.mark.parametrize(
    "sql", ["SELECT 1; SELECT 2", "SELECT 1;\n-- b\nSELECT :a", "SELECT 1; 'x'"]
)
async def test_several_statements_are_no_statement(engine_async: AsyncEngine, sql: str) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.SQLTextError, match=r"execute them one by one.*execute_script"):
            await connection.execute(sql, {"a": 1} if ":a" in sql else None)
        assert await connection.scalar("SELECT 1; -- that is all") == 1
