"""What exists on MySQL and MariaDB only: statements that commit by themselves, modes, charsets."""

from __future__ import annotations

import logging
import select
from typing import TYPE_CHECKING, Any

import pytest
from pymysql.constants import COMMAND

from plainsql import (
    ArgumentError,
    DataError,
    DBAPIError,
    ImplicitCommitWarning,
    ProgrammingError,
    Session,
    SQLSyntaxError,
    TransactionAborted,
    TransactionStateError,
    create_engine,
    text,
    unsafe_text,
)
from tests.integration.unix_socket import unix_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from plainsql import Connection, Engine
    from plainsql.aio import AsyncEngine

pytestmark = pytest.mark.only_on("mysql", "mariadb", reason="statements that commit by themselves")


@pytest.fixture
def table(engine: Engine, table_name: str) -> str:
    """A table with an integer column x."""
    with engine.begin() as connection:
        connection.execute(f"CREATE TABLE {table_name} (x INT)")
    return table_name


@pytest.fixture
def procedure(engine: Engine, table_name: str) -> Iterator[Callable[[str], str]]:
    """Makes a procedure with that body; dropped after the test."""
    name = f"{table_name}_p"
    by_itself = engine.execution_options(isolation_level="AUTOCOMMIT")

    def make(body: str) -> str:
        with by_itself.connect() as connection:
            connection.execute(f"CREATE PROCEDURE {name}() {body}")
        return name

    yield make
    with by_itself.connect() as connection:
        connection.execute(f"DROP PROCEDURE IF EXISTS {name}")


def insert(connection: Connection, table: str, x: int) -> None:
    connection.execute(f"INSERT INTO {table} VALUES (:x)", {"x": x})


def stored(connection: Connection, table: str) -> Any:
    return connection.scalars(f"SELECT x FROM {table} ORDER BY x").all()


# -- statements that commit ---------------------------------------------------------------------


def test_the_log_shows_the_commit_of_the_server_and_the_next_begin(
    make_engine: Callable[..., Engine], table: str, caplog: pytest.LogCaptureFixture
) -> None:
    with make_engine(echo=True).connect() as connection:
        caplog.set_level(logging.INFO, "plainsql.engine")
        connection.exec_driver_sql(f"INSERT INTO {table} VALUES (1)")
        with pytest.warns(ImplicitCommitWarning, match="^ALTER made m.* the statements before it$"):
            connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN y INT")
        connection.exec_driver_sql("SELECT 1")
        connection.rollback()
    assert [line for line in caplog.messages if not line.startswith("[...]")] == [
        "BEGIN (implicit)",
        f"INSERT INTO {table} VALUES (1)",
        f"ALTER TABLE {table} ADD COLUMN y INT",
        "COMMIT (implicit, by the server)",
        "BEGIN (implicit)",
        "SELECT 1",
        "ROLLBACK",
    ]


def test_ddl_that_took_nothing_with_it_is_logged_without_a_warning(
    make_engine: Callable[..., Engine], table: str, caplog: pytest.LogCaptureFixture
) -> None:
    with make_engine(echo=True).connect() as connection:
        connection.execute(f"ALTER TABLE {table} ADD COLUMN y INT")
    assert caplog.messages[-1] == "COMMIT (implicit, by the server)"


@pytest.mark.parametrize("way", ["execute", "exec_driver_sql", "stream", "session"])
def test_the_warning_points_at_the_line_of_the_statement(
    engine: Engine, table: str, way: str
) -> None:
    sql = f"ANALYZE TABLE {table}"
    with engine.connect() as connection, Session(engine) as session:
        send = session.execute if way == "session" else getattr(connection, way)
        (session if way == "session" else connection).execute("SELECT 1")
        with pytest.warns(ImplicitCommitWarning) as caught:
            send(sql).close()
    assert [warning.filename for warning in caught] == [__file__]


COMMITTING = {
    "create": "CREATE TABLE {t}_b (x INT)",
    "create what is there": "CREATE TABLE IF NOT EXISTS {t} (x INT)",
    "create as a query": "CREATE TABLE {t}_b AS SELECT 1 AS x",
    "alter": "ALTER TABLE {t} MODIFY COLUMN x BIGINT",
    "index": "CREATE INDEX {t}_i ON {t} (x)",
    "drop": "DROP TABLE IF EXISTS {t}_b",
    "lock": "LOCK TABLES {t} WRITE",
    "flush": "FLUSH TABLES",
    "analyze, which returns rows": "ANALYZE TABLE {t}",
    "optimize, which returns rows": "OPTIMIZE TABLE {t}",
    "check, which returns rows": "CHECK TABLE {t}",
    "behind a comment": "/* why */ ANALYZE TABLE {t}",
}


@pytest.mark.parametrize("sql", COMMITTING.values(), ids=COMMITTING)
def test_what_runs_after_a_commit_of_the_server_can_be_rolled_back(
    engine: Engine, table: str, sql: str
) -> None:
    with engine.connect() as connection:
        insert(connection, table, 1)
        with pytest.warns(ImplicitCommitWarning):
            connection.execute(sql.format(t=table))
        insert(connection, table, 2)
        connection.rollback()
        assert stored(connection, table) == [1]
        connection.execute("UNLOCK TABLES")


async def test_it_is_noticed_behind_the_bridge_too(
    engine_async: AsyncEngine, table_name: str
) -> None:
    async with engine_async.connect() as connection:
        await connection.execute(f"CREATE TABLE {table_name} (x INT)")
        await connection.execute(f"INSERT INTO {table_name} VALUES (1)")
        with pytest.warns(ImplicitCommitWarning):
            result = await connection.execute(f"ANALYZE TABLE {table_name}")
        assert result.rowcount == 1
        await connection.execute(f"INSERT INTO {table_name} VALUES (2)")
        await connection.rollback()
        assert (await connection.scalars(f"SELECT x FROM {table_name}")).all() == [1]


@pytest.mark.parametrize("way", ["execute", "stream"])
def test_a_procedure_that_commits_and_returns_rows_is_noticed(
    engine: Engine, table: str, procedure: Callable[[str], str], way: str
) -> None:
    name = procedure(f"BEGIN CREATE TABLE {table}_b (x INT); SELECT 5 AS five; END")
    with engine.connect() as connection:
        insert(connection, table, 1)
        with pytest.warns(ImplicitCommitWarning, match="^CALL made"):
            assert getattr(connection, way)(f"CALL {name}()").scalar() == 5
        insert(connection, table, 2)
        connection.rollback()
        assert stored(connection, table) == [1]


def test_ddl_as_a_stream_is_refused_and_its_commit_noticed(engine: Engine, table: str) -> None:
    with engine.connect() as connection:
        insert(connection, table, 1)
        with (
            pytest.warns(ImplicitCommitWarning),
            pytest.raises(ArgumentError, match="returns no rows"),
        ):
            connection.stream(f"CREATE TABLE {table}_b (x INT)")
        insert(connection, table, 2)
        connection.rollback()
        assert stored(connection, table) == [1]


HARMLESS = {
    "temporary table": "CREATE TEMPORARY TABLE {t}_b (x INT)",
    "variable": "SET @x = 1",
    "checksum, which returns rows": "CHECKSUM TABLE {t}",
    "description": "DESCRIBE {t}",
    "savepoint of one's own": "SAVEPOINT mine",
    "unlock without a lock": "UNLOCK TABLES",
}


@pytest.mark.parametrize("sql", HARMLESS.values(), ids=HARMLESS)
def test_what_commits_nothing_is_part_of_the_transaction(
    engine: Engine, table: str, sql: str
) -> None:
    with engine.connect() as connection:
        insert(connection, table, 1)
        connection.execute(sql.format(t=table))
        connection.rollback()
        assert stored(connection, table) == []


# -- statements that commit, and fail -----------------------------------------------------------


@pytest.mark.parametrize("savepoint", [False, True], ids=["transaction", "savepoint"])
def test_ddl_that_fails_has_committed_all_the_same_and_warns(
    engine: Engine, table: str, savepoint: bool
) -> None:
    with engine.connect() as connection:
        insert(connection, table, 1)
        if savepoint:
            connection.begin_nested()
        with (
            pytest.warns(ImplicitCommitWarning, match="^CREATE failed, but made m.* before it$"),
            pytest.raises(ProgrammingError, match="already exists"),
        ):
            connection.execute(f"CREATE TABLE {table} (x INT)")
        with pytest.raises(TransactionStateError, match="only rollback"):
            connection.execute("SELECT 1")
        connection.rollback()
        assert stored(connection, table) == [1]


def test_ddl_that_fails_first_of_all_took_nothing_with_it(engine: Engine, table: str) -> None:
    with engine.connect() as connection:
        with pytest.raises(ProgrammingError, match="already exists"):
            connection.execute(f"CREATE TABLE {table} (x INT)")
        connection.rollback()
        assert stored(connection, table) == []


def test_ddl_that_can_not_be_parsed_commits_nothing(engine: Engine, table: str) -> None:
    with engine.connect() as connection:
        insert(connection, table, 1)
        with pytest.raises(SQLSyntaxError):
            connection.execute(f"CREATE TABL {table}_b (x INT)")
        assert stored(connection, table) == [1]
        connection.rollback()
        assert stored(connection, table) == []


# -- in a savepoint -----------------------------------------------------------------------------


def test_ddl_in_a_savepoint_dooms_the_whole_and_the_block_says_so(
    engine: Engine, table: str
) -> None:
    with engine.connect() as connection:
        insert(connection, table, 1)
        with (
            pytest.raises(TransactionAborted, match="CREATE committed it and dropped its save"),
            connection.begin_nested(),
            pytest.warns(ImplicitCommitWarning),
        ):
            connection.execute(f"CREATE TABLE {table}_b (x INT)")
        with pytest.raises(TransactionStateError, match="only rollback"):
            insert(connection, table, 2)
        connection.rollback()
        insert(connection, table, 3)
        connection.commit()
        assert stored(connection, table) == [1, 3]


def test_a_doomed_transaction_can_not_be_committed_unnoticed(engine: Engine, table: str) -> None:
    with engine.connect() as connection:
        connection.begin_nested()
        with pytest.warns(ImplicitCommitWarning):
            connection.execute(f"CREATE TABLE {table}_b (x INT)")
        with pytest.raises(TransactionAborted, match="could not be committed"):
            connection.commit()
        assert not connection.in_transaction()


# -- what a connection is set to ----------------------------------------------------------------


def test_the_mode_that_init_command_sets_is_the_one_that_is_read_by(
    make_engine: Callable[..., Engine],
) -> None:
    engine = make_engine(connect_args={"init_command": "SET sql_mode = 'ANSI_QUOTES'"})
    with engine.connect() as connection:
        row = connection.execute('SELECT :a AS "a\\", 1 AS "b:c"', {"a": 7}).one()
    assert row._asdict() == {"a\\": 7, "b:c": 1}


def test_a_mode_differs_from_engine_to_engine(make_engine: Callable[..., Engine]) -> None:
    sql = "SELECT '\\', :a, '"
    with make_engine().connect() as connection:
        assert connection.execute(sql).scalar() == "', :a, "
    plain = make_engine(connect_args={"sql_mode": "NO_BACKSLASH_ESCAPES"})
    with plain.connect() as connection:
        assert tuple(connection.execute(f"{sql}'", {"a": 7}).one()) == ("\\", 7, "")


def test_text_is_utf8mb4_by_default(engine: Engine) -> None:
    with engine.connect() as connection:
        row = connection.execute("SELECT @@character_set_client, :v", {"v": "漢😀"}).one()
    assert tuple(row) == ("utf8mb4", "漢😀")


def test_a_charset_is_in_force_and_what_it_lacks_is_refused_unsent(url: str) -> None:
    engine = create_engine(f"{url}?charset=latin1")
    with engine.connect() as connection:
        row = connection.execute("SELECT @@character_set_client, :v", {"v": "é"}).one()
        assert tuple(row) == ("latin1", "é")
        with pytest.raises(DataError, match="can not be sent"):
            connection.execute("SELECT :v", {"v": "漢"})
        assert connection.scalar("SELECT :v", {"v": "è"}) == "è"
    engine.dispose()


def test_a_name_of_odd_characters_is_quoted(engine: Engine, table_name: str) -> None:
    name = f"{table_name}`\"' .é漢"
    quoted = engine.dialect.quote(name)
    with engine.connect() as connection:
        connection.execute(f"CREATE TEMPORARY TABLE {quoted} ({quoted} INT)")
        connection.execute(f"INSERT INTO {quoted} VALUES (:x)", {"x": 7})
        assert connection.execute(f"SELECT * FROM {quoted}").one()._asdict() == {name: 7}
        connection.rollback()


def test_no_file_of_the_client_is_loaded(engine: Engine, table: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.txt"
    file.write_text("7\n")
    with engine.connect() as connection:
        with pytest.raises(DBAPIError, match=r"(?i)local"):
            connection.execute(
                f"LOAD DATA LOCAL INFILE :file INTO TABLE {table}", {"file": str(file)}
            )
        connection.rollback()
        assert stored(connection, table) == []


@pytest.mark.parametrize("when", ["before it comes back", "while it idles"])
def test_an_answer_that_nobody_read_is_not_taken_for_another_ones(
    make_engine: Callable[..., Engine], when: str
) -> None:
    """S35: what idles has nothing to read; the ping would take it for its own answer."""
    engine = make_engine(pool_size=1, max_overflow=0, pool_pre_ping=True)
    raw = engine.raw_connection()
    own = raw.driver_connection
    if when == "while it idles":
        raw.close()
    own._execute_command(COMMAND.COM_QUERY, "SELECT 'foreign'")
    assert select.select([own._sock], [], [], 10)[0]
    if when == "before it comes back":
        raw.close()
    with engine.connect() as connection:
        assert connection.scalar("SELECT :n", {"n": "own"}) == "own"
        assert connection.connection is not own
    assert engine.pool.status().closed == 1


def test_a_unix_socket_is_named_in_the_url(engine: Engine) -> None:
    url = engine.url
    with (
        engine.connect(),  # MySQL remembers the login: no password crosses the socket
        unix_socket("mysqld.sock", url.host or "", url.port or 3306) as path,
    ):
        local = create_engine(url.set(query={"unix_socket": str(path)}))
        with local.connect() as connection:
            assert connection.connection.host_info == "Localhost via UNIX socket"
            assert connection.scalar("SELECT 1") == 1
        local.dispose()


@pytest.mark.parametrize(
    ("tail", "statements"),
    [
        ("", 1),
        (" ON DUPLICATE KEY UPDATE y = y + 1 -- 'x", 1),
        (" ON DUPLICATE KEY UPDATE y = :y", 700),
    ],
)
def test_an_insert_of_many_is_one_statement_where_it_can_be(
    engine: Engine, table_name: str, tail: str, statements: int
) -> None:
    sets = [{"x": x, "y": -x} for x in range(700)]
    with engine.connect() as connection:
        connection.execute(f"CREATE TABLE {table_name} (x INT PRIMARY KEY, y INT)")
        before = inserts(connection)
        connection.execute(text(f"INSERT INTO {table_name} VALUES (:x, :y){tail}"), sets)
        assert inserts(connection) - before == statements
        assert connection.scalar(f"SELECT count(*) FROM {table_name}") == 700
        connection.rollback()


def inserts(connection: Connection) -> int:
    row = connection.execute("SHOW SESSION STATUS LIKE 'Com_insert'").one()
    return int(row[1])


@pytest.mark.parametrize("rest", ["x" * 90, "ж" * 60, "a b " * 9 + "', :v, '" + "ж" * 60])
def test_an_error_far_before_the_end_has_its_place(engine: Engine, rest: str) -> None:
    """The server shows 80 bytes of the rest, as it saw it."""
    sql = f"SELECT 1, '%', :v + FROM t WHERE a = '{rest}'"
    with engine.connect() as connection, pytest.raises(SQLSyntaxError) as caught:
        connection.execute(unsafe_text(sql), {"v": "it's"})
    assert caught.value.position == sql.index("FROM")
