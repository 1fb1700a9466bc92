"""What exists on SQLite only: a file or memory, PRAGMAs, ways to begin."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from plainsql import (
    ArgumentError,
    ConnectError,
    ForeignKeyViolation,
    LockTimeout,
    ProgrammingError,
    ReadOnlyError,
    TransactionStateError,
    UndefinedTable,
    create_engine,
)
from plainsql.aio import create_async_engine
from plainsql_sqlite.dialect import IGNORED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from plainsql import Connection, Engine

pytestmark = pytest.mark.only_on("sqlite", reason="an embedded database, set up by PRAGMAs")


@pytest.fixture
def make(url: str) -> Iterator[Callable[..., Engine]]:
    """Makes engines on the test's file with these options of the URL, or on another URL."""
    engines: list[Engine] = []

    def make(query: str = "", *, at: str = url, **options: Any) -> Engine:
        engines.append(create_engine(f"{at}?{query}" if query else at, **options))
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()


def autocommit(engine: Engine) -> Any:
    return engine.execution_options(isolation_level="AUTOCOMMIT").connect()


# -- a file -------------------------------------------------------------------------------------


def test_a_relative_path_is_in_the_current_folder(
    make: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with make(at="sqlite:///relative.db").begin() as connection:
        connection.execute("CREATE TABLE t (x INT)")
    with make(at=f"sqlite:///{tmp_path}/relative.db").connect() as connection:
        assert connection.scalar("SELECT count(*) FROM t") == 0


def test_a_folder_that_is_missing_is_a_connect_error(
    make: Callable[..., Engine], tmp_path: Path
) -> None:
    with pytest.raises(ConnectError, match=r"unable to open database file: '.*/missing/x.db'"):
        make(at=f"sqlite:///{tmp_path}/missing/x.db").connect()


def test_mode_rw_opens_what_is_there_and_creates_nothing(
    make: Callable[..., Engine], tmp_path: Path
) -> None:
    with pytest.raises(ConnectError, match="unable to open database file"):
        make("mode=rw").connect()
    assert not list(tmp_path.iterdir())
    with make("mode=rwc").begin() as connection:
        connection.execute("CREATE TABLE t (x INT)")
    with make("mode=rw").begin() as connection:
        connection.execute("INSERT INTO t VALUES (1)")


def test_mode_ro_reads_and_refuses_to_write(make: Callable[..., Engine]) -> None:
    with make().begin() as connection:
        connection.execute("CREATE TABLE t (x INT)")
    with make("mode=ro").connect() as connection:
        assert connection.scalar("SELECT count(*) FROM t") == 0
        with pytest.raises(ReadOnlyError):
            connection.execute("INSERT INTO t VALUES (1)")


# -- memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["sqlite://", "sqlite:///:memory:"])
def test_memory_is_one_database_for_all_connections_of_an_engine(
    make: Callable[..., Engine], at: str
) -> None:
    engine = make(at=at)
    with engine.connect() as first, engine.connect() as second:
        first.execute("CREATE TABLE t (x INT)")
        first.execute("INSERT INTO t VALUES (1)")
        first.commit()
        assert second.scalar("SELECT count(*) FROM t") == 1
        assert first.connection is not second.connection


def test_memory_is_another_database_for_another_engine(make: Callable[..., Engine]) -> None:
    with make(at="sqlite://").begin() as connection:
        connection.execute("CREATE TABLE t (x INT)")
    with make(at="sqlite://").connect() as connection, pytest.raises(UndefinedTable):
        connection.execute("SELECT x FROM t")


@pytest.mark.parametrize(
    "options", [{"poolclass": "NullPool"}, {"pool_size": 0, "max_overflow": 1}], ids=str
)
def test_memory_outlives_its_connections(
    make: Callable[..., Engine], options: dict[str, Any]
) -> None:
    engine = make(at="sqlite://", **options)
    with engine.begin() as connection:
        connection.execute("CREATE TABLE t (x INT)")
    assert engine.pool.status().idle == 0
    with engine.connect() as connection:
        assert connection.scalar("SELECT count(*) FROM t") == 0


def test_memory_ends_with_dispose_and_begins_again_empty(make: Callable[..., Engine]) -> None:
    engine = make(at="sqlite://")
    for _ in range(2):
        with engine.begin() as connection:
            connection.execute("CREATE TABLE t (x INT)")
        engine.dispose()


def test_memory_is_shared_by_threads(make: Callable[..., Engine]) -> None:
    engine = make(at="sqlite://")
    with engine.begin() as connection:
        connection.execute("CREATE TABLE t (x INT)")

    def insert(x: int) -> None:
        with engine.begin() as connection:
            connection.execute("INSERT INTO t VALUES (:x)", {"x": x})

    threads = [threading.Thread(target=insert, args=(x,)) for x in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    with engine.connect() as connection:
        assert connection.scalars("SELECT x FROM t ORDER BY x").all() == list(range(8))


def test_memory_has_the_usual_locks(make: Callable[..., Engine]) -> None:
    engine = make("busy_timeout=0", at="sqlite://")
    with engine.begin() as connection:
        connection.execute("CREATE TABLE t (x INT)")
    with engine.connect() as first, engine.connect() as second:
        first.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(LockTimeout):
            second.execute("INSERT INTO t VALUES (2)")
        first.rollback()
        second.rollback()


async def test_memory_is_one_database_for_an_async_engine() -> None:
    engine = create_async_engine("sqlite://", poolclass="NullPool")
    async with engine.begin() as connection:
        await connection.execute("CREATE TABLE t (x INT)")
    async with engine.connect() as first, engine.connect() as second:
        assert await first.scalar("SELECT count(*) FROM t") == 0
        assert await second.scalar("SELECT count(*) FROM t") == 0
    await engine.dispose()
    async with engine.connect() as connection:
        with pytest.raises(UndefinedTable):
            await connection.execute("SELECT x FROM t")
    await engine.dispose()


# -- options of the URL -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "pragma", "expected"),
    [
        ("", "foreign_keys", 1),
        ("foreign_keys=off", "foreign_keys", 0),
        ("", "busy_timeout", 5000),
        ("busy_timeout=70", "busy_timeout", 70),
        ("journal_mode=wal", "journal_mode", "wal"),
        ("journal_mode=memory", "journal_mode", "memory"),
        ("synchronous=off", "synchronous", 0),
        ("journal_mode=wal&synchronous=normal", "synchronous", 1),
    ],
)
def test_an_option_is_in_force_on_every_connection(
    make: Callable[..., Engine], query: str, pragma: str, expected: Any
) -> None:
    engine = make(query)
    with engine.connect() as first, engine.connect() as second:
        assert first.scalar(f"PRAGMA {pragma}") == expected
        assert second.scalar(f"PRAGMA {pragma}") == expected


def test_a_journal_mode_that_sqlite_does_not_take_is_an_error(make: Callable[..., Engine]) -> None:
    with pytest.raises(ArgumentError, match="keeps journal_mode=memory here, not wal"):
        make("journal_mode=wal", at="sqlite://").connect()


def family(connection: Connection, rule: str = "") -> None:
    connection.execute("CREATE TABLE parent (x INT PRIMARY KEY)")
    connection.execute(f"CREATE TABLE child (p INT REFERENCES parent (x) {rule})")


def test_foreign_keys_hold_unless_the_url_says_otherwise(make: Callable[..., Engine]) -> None:
    with make().begin() as connection:
        family(connection)
    with make().connect() as connection, pytest.raises(ForeignKeyViolation):
        connection.execute("INSERT INTO child VALUES (1)")
    with make("foreign_keys=off").begin() as connection:
        connection.execute("INSERT INTO child VALUES (1)")


def test_a_deferred_foreign_key_fails_the_commit_and_nothing_is_stored(
    make: Callable[..., Engine],
) -> None:
    with make().begin() as connection:
        family(connection, "DEFERRABLE INITIALLY DEFERRED")
    with make().connect() as connection:
        connection.execute("INSERT INTO child VALUES (1)")
        with pytest.raises(ForeignKeyViolation):
            connection.commit()
        connection.rollback()
        assert connection.scalar("SELECT count(*) FROM child") == 0


# -- how a transaction begins -------------------------------------------------------------------

QUICK = "busy_timeout=0"


@pytest.fixture
def table(make: Callable[..., Engine]) -> None:
    with make().begin() as connection:
        connection.execute("CREATE TABLE t (x INT)")


@pytest.mark.usefixtures("table")
def test_deferred_transactions_take_locks_as_they_need_them(make: Callable[..., Engine]) -> None:
    engine = make(f"{QUICK}&begin=deferred")
    with engine.connect() as first, engine.connect() as second:
        assert first.scalar("SELECT count(*) FROM t") == 0
        assert second.scalar("SELECT count(*) FROM t") == 0


@pytest.mark.usefixtures("table")
def test_an_immediate_transaction_is_the_only_writer_from_its_first_statement(
    make: Callable[..., Engine],
) -> None:
    engine = make(f"{QUICK}&begin=immediate")
    with engine.connect() as writer, engine.connect() as other, make(QUICK).connect() as reader:
        writer.execute("SELECT x FROM t")
        with pytest.raises(LockTimeout):
            other.execute("SELECT x FROM t")
        assert reader.scalar("SELECT count(*) FROM t") == 0


@pytest.mark.usefixtures("table")
def test_an_exclusive_transaction_keeps_readers_out(make: Callable[..., Engine]) -> None:
    with make(f"{QUICK}&begin=exclusive").connect() as alone, make(QUICK).connect() as reader:
        alone.execute("SELECT x FROM t")
        with pytest.raises(LockTimeout):
            reader.execute("SELECT x FROM t")


@pytest.mark.usefixtures("table")
def test_a_begin_that_found_the_lock_taken_left_no_transaction(
    make: Callable[..., Engine],
) -> None:
    engine = make(f"{QUICK}&begin=immediate")
    with engine.connect() as first, engine.connect() as second:
        first.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(LockTimeout):
            second.execute("INSERT INTO t VALUES (2)")
        first.commit()
        second.rollback()
        second.execute("INSERT INTO t VALUES (3)")
        second.commit()
        assert first.scalars("SELECT x FROM t ORDER BY x").all() == [1, 3]


@pytest.mark.usefixtures("table")
def test_a_read_only_transaction_takes_no_write_lock_though_others_are_immediate(
    make: Callable[..., Engine],
) -> None:
    engine = make(f"{QUICK}&begin=immediate")
    reading = engine.execution_options(read_only=True)
    with engine.connect() as writer, reading.connect() as reader:
        writer.execute("SELECT x FROM t")
        assert reader.scalar("SELECT count(*) FROM t") == 0


def test_ddl_rolls_back_to_its_savepoint(make: Callable[..., Engine]) -> None:
    with make().begin() as connection:
        connection.execute("CREATE TABLE kept (x INT)")
        with connection.begin_nested() as savepoint:
            connection.execute("CREATE TABLE gone (x INT)")
            savepoint.rollback()
        names = connection.scalars("SELECT name FROM sqlite_master").all()
    assert names == ["kept"]


# -- PRAGMAs ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "PRAGMA foreign_keys = OFF",
        "pragma FOREIGN_KEYS(off)",
        "PRAGMA main.foreign_keys=0",
        'PRAGMA "main" . [foreign_keys] = 0',
        "PRAGMA 'foreign_keys' = 0",
        "-- why\nPRAGMA foreign_keys = OFF",
        "; /* why */ PRAGMA/**/foreign_keys/* = */= OFF",
    ],
)
def test_a_pragma_that_would_be_ignored_is_an_error_that_says_how_to_run_it(
    make: Callable[..., Engine], sql: str
) -> None:
    engine = make()
    expected = (
        "SQLite ignores PRAGMA foreign_keys inside a transaction: run it on a connection with "
        'execution_options(isolation_level="AUTOCOMMIT"), or as URL option ?foreign_keys=…'
    )
    with engine.connect() as connection:
        for send in (connection.execute, connection.exec_driver_sql):
            with pytest.raises(TransactionStateError) as caught:
                send(sql)
            assert str(caught.value) == expected
        assert connection.scalar("PRAGMA foreign_keys") == 1
    with autocommit(engine) as connection:
        connection.execute(sql)
        assert connection.scalar("PRAGMA foreign_keys") == 0


@pytest.mark.parametrize(
    "sql", ["PRAGMA foreign_keys", "PRAGMA foreign_keys -- = off", "PRAGMA foreign_key_list(t)"]
)
def test_a_pragma_that_only_asks_runs_in_a_transaction(
    make: Callable[..., Engine], sql: str
) -> None:
    with make().connect() as connection:
        connection.execute(sql)
        assert connection.in_transaction()


def test_a_pragma_that_sqlite_refuses_itself_is_left_to_it(make: Callable[..., Engine]) -> None:
    with make().connect() as connection, pytest.raises(ProgrammingError, match="inside a trans"):
        connection.execute("PRAGMA synchronous = OFF")


def test_a_pragma_of_the_transaction_is_rolled_back_with_it(make: Callable[..., Engine]) -> None:
    with make().connect() as connection:
        connection.execute("PRAGMA user_version = 7")
        assert connection.scalar("PRAGMA user_version") == 7
        connection.rollback()
        assert connection.scalar("PRAGMA user_version") == 0


def test_vacuum_runs_in_autocommit(make: Callable[..., Engine]) -> None:
    engine = make()
    with autocommit(engine) as connection:
        connection.execute("PRAGMA page_size = 8192")
        connection.execute("VACUUM")
    with engine.connect() as connection:
        assert connection.scalar("PRAGMA page_size") == 8192


#: PRAGMAs that set something → a value that is not the default.
SETTINGS = {
    "analysis_limit": 5, "application_id": 7, "auto_vacuum": 1, "automatic_index": 0,
    "busy_timeout": 77, "cache_size": 500, "cache_spill": 0, "cell_size_check": 1,
    "checkpoint_fullfsync": 1, "defer_foreign_keys": 1, "encoding": "'UTF-16le'",
    "foreign_keys": 1, "fullfsync": 1, "ignore_check_constraints": 1, "journal_mode": "persist",
    "journal_size_limit": 999, "legacy_alter_table": 1, "locking_mode": "exclusive",
    "max_page_count": 5000, "mmap_size": 0, "page_size": 8192, "query_only": 1,
    "read_uncommitted": 1, "recursive_triggers": 1, "reverse_unordered_selects": 1,
    "schema_version": 77, "secure_delete": 0, "synchronous": 0, "temp_store": 2, "threads": 2,
    "trusted_schema": 0, "user_version": 7, "wal_autocheckpoint": 5, "writable_schema": 1,
}  # fmt: skip
BEGINNINGS = [(), ("BEGIN",), ("BEGIN IMMEDIATE",), ("BEGIN", "INSERT INTO t VALUES (1)")]


def set_after(path: Path, prepared: tuple[str, ...], pragma: str) -> Any:
    """What a setting is after it was set behind those statements; None where SQLite objects."""
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        for sql in prepared:
            raw.execute(sql)
        try:
            raw.execute(f"PRAGMA {pragma} = {SETTINGS[pragma]}").fetchall()
        except sqlite3.OperationalError:
            return None
        return raw.execute(f"PRAGMA {pragma}").fetchall()


def test_the_pragmas_that_are_refused_are_those_that_sqlite_ignores(tmp_path: Path) -> None:
    """Each is set inside and outside of transactions, on empty and on used files."""
    ignored = set()
    for pragma in SETTINGS:
        for n, create in enumerate([(), ("CREATE TABLE t (x INT)",)]):
            outside, *inside = (
                set_after(tmp_path / f"{pragma}{n}{m}.db", (*create, *begin), pragma)
                for m, begin in enumerate(BEGINNINGS[: 3 + n])
            )
            if any(found not in (outside, None) for found in inside):
                ignored.add(pragma)
    refused = {name for name in SETTINGS if IGNORED.match(f"PRAGMA {name} = 1")}
    assert ignored == refused
