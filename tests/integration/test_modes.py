"""How the server reads a literal may change in the session; what we read changes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from plainsql import ArgumentError, NotSupportedError, ProgrammingError, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql import Connection, Engine

#: One text that both modes read as a statement, and otherwise: with backslashes that escape it
#: holds a parameter between two literals, without them the parameter is in the second literal.
BACKSLASH = "SELECT 'a\\', ', :x, ' AS b -- ' AS b"
ON_POSTGRESQL = pytest.mark.only_on("postgresql", reason="standard_conforming_strings")
ON_MYSQL = pytest.mark.only_on("mysql", "mariadb", reason="sql_mode")

ESCAPES = ("a', ", 7, " AS b -- ")
ORDINARY = ("a\\", ", :x, ")


def row(connection: Connection) -> tuple[Any, ...]:
    return tuple(connection.execute(BACKSLASH, {"x": 7}).one())


# -- PostgreSQL ---------------------------------------------------------------------------------


@ON_POSTGRESQL
@pytest.mark.parametrize(
    "change",
    [
        "SET standard_conforming_strings = off",
        "SET LOCAL standard_conforming_strings = off",
        "SELECT set_config('standard_conforming_strings', 'off', false)",
        "DO $$ BEGIN SET standard_conforming_strings = off; END $$",
    ],
)
def test_postgresql_is_read_in_the_mode_that_was_set(engine: Engine, change: str) -> None:
    with engine.connect() as connection:
        assert row(connection) == ORDINARY
        connection.execute(change)
        assert row(connection) == ESCAPES
        connection.rollback()
        assert row(connection) == ORDINARY


@ON_POSTGRESQL
def test_a_savepoint_and_a_failure_take_the_mode_back(engine: Engine) -> None:
    with engine.begin() as connection:
        with connection.begin_nested() as savepoint:
            connection.execute("SET standard_conforming_strings = off")
            assert row(connection) == ESCAPES
            savepoint.rollback()
        assert row(connection) == ORDINARY
        with pytest.raises(ProgrammingError), connection.begin_nested():
            connection.execute("SET standard_conforming_strings = off")
            connection.execute("SELECT nonsense")
        assert row(connection) == ORDINARY


@ON_POSTGRESQL
def test_the_mode_stays_with_the_connection(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(pool_size=1, max_overflow=0)
    with engine.connect() as connection:
        connection.execute("SET standard_conforming_strings = off")
        connection.commit()
    with engine.connect() as connection:
        assert row(connection) == ESCAPES
        connection.execute("RESET standard_conforming_strings")
        assert row(connection) == ORDINARY


# -- MySQL and MariaDB --------------------------------------------------------------------------


@ON_MYSQL
def test_mysql_is_read_in_the_mode_that_was_set(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(pool_size=1, max_overflow=0)
    with engine.connect() as connection:
        assert row(connection) == ESCAPES
        connection.execute("SET sql_mode = 'NO_BACKSLASH_ESCAPES'")
        assert row(connection) == ORDINARY
        connection.rollback()  # sql_mode is not transactional
        assert row(connection) == ORDINARY
    with engine.connect() as connection:
        assert row(connection) == ORDINARY
        connection.execute("SET SESSION sql_mode = DEFAULT")
        assert row(connection) == ESCAPES


@ON_MYSQL
def test_quotes_become_identifiers_and_literals_again(engine: Engine) -> None:
    sql = 'SELECT 1 AS "a\\", :x, "b\\" FROM (SELECT 5 AS "b\\") t'
    with engine.connect() as connection:
        with pytest.raises(ArgumentError):
            connection.execute(sql.replace(":x", ":y"), {"x": 7})
        connection.execute("SET @@sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'")
        assert connection.execute(sql, {"x": 7}).one() == (1, 7, 5)
        connection.exec_driver_sql("SET sql_mode = ''")
        assert connection.execute('SELECT "a\\", :x", :x', {"x": 7}).one() == ('a", :x', 7)


@ON_MYSQL
@pytest.mark.parametrize("how", ["PREPARE", "procedure"])
def test_a_mode_that_is_set_out_of_sight_is_heard_of(
    engine: Engine, table_name: str, how: str
) -> None:
    engine = engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if how == "PREPARE":
            connection.execute("PREPARE p FROM 'SET sql_mode = ''NO_BACKSLASH_ESCAPES'''")
            connection.execute("EXECUTE p")
            assert row(connection) == ORDINARY
            return
        connection.execute(f"CREATE PROCEDURE {table_name}() SET sql_mode = 'NO_BACKSLASH_ESCAPES'")
        try:
            connection.execute(f"CALL {table_name}()")
            mode = connection.scalar("SELECT @@sql_mode")
            assert row(connection) == (ORDINARY if "NO_BACKSLASH" in mode else ESCAPES)
        finally:
            connection.execute(f"DROP PROCEDURE {table_name}")


@ON_MYSQL
@pytest.mark.parametrize(
    "sql",
    [
        "SET NAMES gbk",
        "SET NAMES latin1",
        "SET character_set_client = sjis",
        "SET character_set_results = latin1",
        "SET CHARACTER SET big5",
        "SET character_set_results = NULL",
    ],
)
def test_a_character_set_that_the_driver_does_not_know_of_ends_the_connection(
    make_engine: Callable[..., Engine], sql: str
) -> None:
    engine = make_engine(pool_size=1, max_overflow=0)
    with engine.connect() as connection:
        with pytest.raises(NotSupportedError, match=r"character set is .*option charset"):
            connection.execute(sql)
        connection.rollback()
        value = "\u5c31'\\ OR 1=1 -- "
        assert connection.scalar(text("SELECT :v"), {"v": value}) == value


@ON_MYSQL
def test_a_mode_set_past_plainsql_is_heard_of_before_the_next_use(
    make_engine: Callable[..., Engine],
) -> None:
    engine = make_engine(pool_size=1, max_overflow=0)
    with engine.raw_connection() as raw, raw.cursor() as cursor:
        cursor.execute("SET sql_mode = 'NO_BACKSLASH_ESCAPES'")
    with engine.connect() as connection:
        assert row(connection) == ORDINARY
    with engine.raw_connection() as raw, raw.cursor() as cursor:
        cursor.execute("SET NAMES gbk")
    with engine.connect() as connection:
        assert row(connection) == ESCAPES  # another connection


@ON_MYSQL
def test_a_mode_set_by_on_connect_is_heard_of(make_engine: Callable[..., Engine]) -> None:
    def hook(raw: Any) -> None:
        raw.cursor().execute("SET sql_mode = 'NO_BACKSLASH_ESCAPES'")

    with make_engine(on_connect=hook).connect() as connection:
        assert row(connection) == ORDINARY
