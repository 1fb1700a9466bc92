"""The SQLite dialect: paths, options, texts, codes and values, on files of the test's own."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from plainsql import errors
from plainsql.url import URL, make_url
from plainsql_sqlite.dialect import LEXICAL, SQLiteDialect
from tests.unit import rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def loaded() -> SQLiteDialect:
    dialect = SQLiteDialect()
    dialect.load()
    return dialect


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Opens connections by URL, with the test's own folder as the current one."""
    monkeypatch.chdir(tmp_path)
    opened: list[Any] = []

    def connect(url: str, **connect_args: Any) -> Any:
        dialect = loaded()
        made = make_url(url)
        opened.append(dialect.open_database(made))
        opened.append(dialect.connect(made, 10.0, connect_args))
        return opened[-1]

    yield connect
    for connection in opened:
        if connection is not None:
            connection.close()


def asked(raw: Any, pragma: str) -> Any:
    return raw.execute(f"PRAGMA {pragma}").fetchone()[0]


# -- the URL -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:///shop.db", "shop.db"),
        ("sqlite:///a%20b%3F.db", "a b?.db"),
        ("sqlite:///file:x.db", "file:x.db"),
        ("sqlite:///shop.db?mode=rwc", "shop.db"),
        ("sqlite:///50%25%23.db?mode=rwc", "50%#.db"),
    ],
)
def test_a_path_is_a_files_name_and_nothing_else(
    url: str, name: str, connect: Callable[..., Any], tmp_path: Path
) -> None:
    connect(url).execute("CREATE TABLE t (a)")

    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_four_slashes_begin_an_absolute_path(connect: Callable[..., Any], tmp_path: Path) -> None:
    connect(f"sqlite:///{tmp_path}/shop.db").execute("CREATE TABLE t (a)")

    assert (tmp_path / "shop.db").exists()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_database_in_memory_is_one_for_all_connections_of_an_engine(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dialect, other = loaded(), loaded()
    made = make_url(url)
    with closing(dialect.open_database(made)), closing(other.open_database(made)):
        with closing(dialect.connect(made, 10.0, {})) as raw:
            raw.execute("CREATE TABLE t (a)")
        with closing(dialect.connect(made, 10.0, {})) as raw:
            raw.execute("SELECT a FROM t")
        with closing(other.connect(made, 10.0, {})) as raw, pytest.raises(sqlite3.Error):
            raw.execute("SELECT a FROM t")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_held_open() -> None:
    assert loaded().open_database(make_url("sqlite:///shop.db")) is None


@pytest.mark.parametrize(
    ("url", "part"),
    [
        (make_url("sqlite://shop.db"), "host"),
        (URL.create("sqlite", port=1, host="h"), "host"),
        (URL.create("sqlite", username="u"), "username"),
        (URL.create("sqlite", username="u", password="canary"), "username"),
    ],
    ids=["two slashes", "host and port", "user", "password"],
)
def test_parts_that_a_file_does_not_have_are_refused_with_what_to_write(
    url: URL, part: str
) -> None:
    with pytest.raises(errors.ArgumentError) as caught:
        loaded().options(url)
    assert str(caught.value) == (
        f"an SQLite URL has no {part}: write sqlite:///relative.db, "
        "sqlite:////absolute.db, or sqlite:// for memory"
    )


def test_connections_share_what_the_library_relies_on(connect: Callable[..., Any]) -> None:
    raw = connect("sqlite:///shop.db")

    assert raw.isolation_level is None
    assert (asked(raw, "foreign_keys"), asked(raw, "busy_timeout")) == (1, 5000)
    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.append(raw.execute("SELECT 1").fetchone()))
    thread.start()
    thread.join(30)
    assert done == [(1,)]


@pytest.mark.parametrize(
    ("option", "pragma", "value"),
    [
        ("foreign_keys=off", "foreign_keys", 0),
        ("foreign_keys=TRUE", "foreign_keys", 1),
        ("busy_timeout=250", "busy_timeout", 250),
        ("journal_mode=WAL", "journal_mode", "wal"),
        ("synchronous=off", "synchronous", 0),
    ],
)
def test_options_are_set_on_every_connection(
    option: str, pragma: str, value: Any, connect: Callable[..., Any]
) -> None:
    assert asked(connect(f"sqlite:///shop.db?{option}"), pragma) == value


def test_connect_args_go_to_sqlite3(connect: Callable[..., Any]) -> None:
    raw = connect("sqlite:///shop.db", isolation_level="DEFERRED")

    assert raw.isolation_level == "DEFERRED"


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("foreign_keys=maybe", "possible are on and off"),
        ("journal_mode=fast", "possible are delete, truncate, persist, memory, wal, off"),
        ("synchronous=2", "possible are off, normal, full, extra"),
        ("busy_timeout=1.5", "a whole number of milliseconds"),
        ("busy_timeout=-1", "a whole number of milliseconds"),
        ("busy_timeout=٣", "a whole number of milliseconds"),
        ("busy_timeout=2147483648", "below 2147483648"),
        ("begin=now", "possible are deferred, immediate, exclusive"),
        ("mode=memory", "possible are ro, rw, rwc"),
    ],
)
def test_a_value_that_can_not_be_meant_is_refused(option: str, hint: str) -> None:
    name, _, value = option.partition("=")
    with pytest.raises(errors.URLError, match=f"^URL option {name}='{value}': .*{hint}"):
        loaded().options(make_url(f"sqlite:///shop.db?{option}"))


@pytest.mark.parametrize("name", ["vfs", "cache", "uri", "immutable", "timeout", "detect_types"])
def test_options_outside_the_list_are_refused_by_name(name: str) -> None:
    with pytest.raises(
        errors.URLError, match=f"unknown URL option '{name}' for sqlite; known: begin, busy_timeou"
    ):
        loaded().options(make_url(f"sqlite:///shop.db?{name}=1"))


def test_a_mode_is_refused_where_there_is_no_file() -> None:
    with pytest.raises(errors.URLError, match="'mode' is for files"):
        loaded().options(make_url("sqlite://?mode=ro"))


def test_mode_ro_opens_no_new_file_and_writes_to_none(
    connect: Callable[..., Any], tmp_path: Path
) -> None:
    with pytest.raises(sqlite3.OperationalError) as caught:
        connect("sqlite:///shop.db?mode=ro")
    error = loaded().translate(caught.value, connecting=True)
    assert type(error) is errors.ConnectError
    assert list(tmp_path.iterdir()) == []

    connect("sqlite:///shop.db").execute("CREATE TABLE t (a)")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connect("sqlite:///shop.db?mode=ro").execute("INSERT INTO t VALUES (1)")
    assert type(loaded().translate(caught.value)) is errors.ReadOnlyError


def test_a_file_that_is_no_database_leaves_no_connection_behind(
    connect: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "shop.db").write_text("no database" * 100)

    with pytest.raises(sqlite3.DatabaseError) as caught:
        connect("sqlite:///shop.db?journal_mode=wal")
    error = loaded().translate(caught.value)
    assert (type(error), error.code) == (errors.CorruptDatabase, "26")


def test_a_users_connection_is_put_into_autocommit() -> None:
    with closing(loaded().adopt(lambda: sqlite3.connect(":memory:"))) as raw:
        assert raw.isolation_level is None


# -- texts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "read_only", "begin", "end"),
    [
        ("", None, ("BEGIN",), ()),
        ("?begin=deferred", False, ("BEGIN",), ()),
        ("?begin=immediate", None, ("BEGIN IMMEDIATE",), ()),
        ("?begin=EXCLUSIVE", None, ("BEGIN EXCLUSIVE",), ()),
        (
            "?begin=immediate",
            True,
            ("PRAGMA query_only = ON", "BEGIN"),
            ("PRAGMA query_only = OFF",),
        ),
    ],
)
def test_begin_says_the_options_and_end_undoes_them(
    option: str, read_only: bool | None, begin: tuple[str, ...], end: tuple[str, ...]
) -> None:
    dialect = loaded()
    dialect.options(make_url(f"sqlite:///shop.db{option}"))

    assert dialect.begin("SERIALIZABLE", read_only, None) == begin
    assert dialect.end(read_only) == end


@pytest.mark.parametrize("level", ["READ COMMITTED", "read_uncommitted", "IMMEDIATE"])
def test_an_isolation_level_is_refused_with_the_possible_ones(level: str) -> None:
    with pytest.raises(errors.ArgumentError) as caught:
        SQLiteDialect().isolation_level(level)
    assert str(caught.value) == (
        f"sqlite has no isolation level {level!r}; possible: SERIALIZABLE, AUTOCOMMIT"
    )


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("PRAGMA foreign_keys = OFF", "or as URL option ?foreign_keys=…"),
        ("pragma main.journal_mode(wal)", "or as URL option ?journal_mode=…"),
        ("PRAGMA page_size=4096", "AUTOCOMMIT"),
        ("PRAGMA foreign_keys", None),
        ("PRAGMA user_version = 3", None),
        ("CREATE TABLE t (a)", None),
    ],
)
def test_pragmas_that_a_transaction_would_swallow_are_refused(sql: str, hint: str | None) -> None:
    refusal = SQLiteDialect().refuse(sql.split(maxsplit=1)[0].upper(), sql)

    assert (refusal is not None) == (hint is not None)
    if hint is not None:
        assert refusal is not None
        assert hint in refusal


def test_the_lexical_rules_are_the_tested_ones() -> None:
    assert LEXICAL == rules.SQLITE


def test_quote_doubles_the_quote_and_refuses_nul() -> None:
    assert SQLiteDialect().quote('a"b') == '"a""b"'
    with pytest.raises(errors.ArgumentError, match="NUL"):
        SQLiteDialect().quote("a\0")


# -- errors ------------------------------------------------------------------------------------


def driver_error(code: int | None, text: str = "x") -> sqlite3.Error:
    error = sqlite3.DatabaseError(text)
    if code is not None:
        error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        (1, errors.ProgrammingError),
        (5, errors.LockTimeout),
        (517, errors.SerializationFailure),
        (261, errors.LockTimeout),
        (6, errors.LockTimeout),
        (262, errors.LockTimeout),
        (8, errors.ReadOnlyError),
        (1032, errors.ReadOnlyError),
        (9, errors.QueryCanceled),
        (11, errors.CorruptDatabase),
        (267, errors.CorruptDatabase),
        (13, errors.DiskFull),
        (14, errors.ConnectError),
        (19, errors.IntegrityError),
        (1811, errors.IntegrityError),
        (787, errors.ForeignKeyViolation),
        (2067, errors.UniqueViolation),
        (26, errors.CorruptDatabase),
        (99, errors.DatabaseError),
    ],
)
def test_an_extended_code_picks_the_class_or_its_primary_code_does(
    code: int, cls: type[errors.DBAPIError]
) -> None:
    error = loaded().translate(driver_error(code))

    assert (type(error), error.code) == (cls, str(code))
    assert error.retryable is (code in (5, 261, 517))


@pytest.mark.parametrize(
    ("text", "cls"),
    [
        ("no such table: t", errors.UndefinedTable),
        ("no such column: a", errors.UndefinedColumn),
        ("table t has no column named a", errors.UndefinedColumn),
        ('near "FORM": syntax error', errors.SQLSyntaxError),
        ("incomplete input", errors.SQLSyntaxError),
        ('unrecognized token: "#"', errors.SQLSyntaxError),
        ("my no such table: t", errors.ProgrammingError),
    ],
)
def test_texts_are_read_for_code_1_only(text: str, cls: type[errors.DBAPIError]) -> None:
    assert type(loaded().translate(driver_error(1, text))) is cls
    assert type(loaded().translate(driver_error(5, text))) is errors.LockTimeout


def test_an_error_of_the_module_itself_has_no_code() -> None:
    error = loaded().translate(sqlite3.ProgrammingError("Cannot operate on a closed database."))

    assert (type(error), error.code) == (errors.ProgrammingError, None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("UNIQUE constraint failed: t.a", {"table": "t", "column": "a"}),
        ("NOT NULL constraint failed: t.a", {"table": "t", "column": "a"}),
        ("UNIQUE constraint failed: t.a, t.b", {"table": "t"}),
        ("UNIQUE constraint failed: index 'u'", {"constraint": "u"}),
        ("CHECK constraint failed: a > 0", {"constraint": "a > 0"}),
        ("no such table: t", {"table": "t"}),
        ("table t has no column named a", {"table": "t", "column": "a"}),
        ("FOREIGN KEY constraint failed", {}),
    ],
)
def test_what_the_text_tells_of_constraints_is_passed_on(text: str, told: dict[str, str]) -> None:
    assert loaded().diagnose(driver_error(19, text)) == told


def test_a_value_that_is_too_large_is_told_even_while_a_cursor_is_open(
    connect: Callable[..., Any],
) -> None:
    """sqlite3 then raises "another row available" over its own reason."""
    raw = connect("sqlite://")
    raw.execute("SELECT ?", (1,)).fetchall()
    unread = raw.execute("VALUES (1), (2)")
    with pytest.raises((sqlite3.DatabaseError, OverflowError)) as caught:
        raw.execute("SELECT ?", (2**70,))
    if isinstance(caught.value, sqlite3.DatabaseError):
        error = loaded().translate(caught.value)
        assert type(error) is errors.DataError
        assert str(error).startswith("a value can not be sent: Python int too large")
    assert unread.fetchall() == [(1,), (2,)]


# -- the state of a connection -----------------------------------------------------------------


def test_the_state_is_what_sqlite3_knows(connect: Callable[..., Any]) -> None:
    dialect, raw = loaded(), connect("sqlite://")

    assert dialect.transaction_state(raw) == "idle"
    raw.execute("BEGIN")
    assert dialect.transaction_state(raw) == "active"
    assert dialect.is_open(raw)
    assert dialect.proves_idle(raw)
    assert dialect.fileno(raw) is None
    raw.close()
    assert not dialect.is_open(raw)
    assert not dialect.proves_idle(raw)


def test_abort_stops_a_statement_that_runs(connect: Callable[..., Any]) -> None:
    dialect, raw = loaded(), connect("sqlite://")
    raw.create_function("stop", 1, lambda n: dialect.abort(raw) if n == 1000 else n)
    endless = "WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c WHERE n < 1e8)"

    with pytest.raises(sqlite3.OperationalError) as caught:
        raw.execute(f"{endless} SELECT sum(stop(n)) FROM c").fetchall()
    assert type(dialect.translate(caught.value)) is errors.QueryCanceled


# -- values ------------------------------------------------------------------------------------

NAIVE = datetime(2024, 2, 29, 1, 2)  # noqa: DTZ001 - SQLite's own functions know no zone


class Colour(Enum):
    RED = "red"
    WEIGHT = 1.5
    ODD = ("odd",)


class Level(IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        (float("inf"), float("inf")),
        (bytearray(b"x"), b"x"),
        (memoryview(b"x"), b"x"),
        (Decimal("1.50"), "1.50"),
        (date(2024, 2, 29), "2024-02-29"),
        (NAIVE, "2024-02-29 01:02:00"),
        (datetime(2024, 2, 29, tzinfo=UTC), "2024-02-29 00:00:00+00:00"),
        (time(1, 2), "01:02:00"),
        (UUID(int=1), str(UUID(int=1))),
        (PurePosixPath("/a"), "/a"),
        (Colour.RED, "red"),
        (Colour.WEIGHT, 1.5),
        (Level.HIGH, 3),
    ],
    ids=repr,
)
def test_values_go_as_sqlite_keeps_them(value: Any, sent: Any) -> None:
    adapted = SQLiteDialect().codecs.adapt("x", value)

    assert adapted == sent
    assert type(adapted) is type(sent)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (float("nan"), "SQLite would store NULL for nan"),
        (Colour.ODD, "is of type tuple, which sqlite"),
        ([1], r"is of type list, which sqlite \(sqlite3\) can not take"),
        ({"a": 1}, "is of type dict"),
    ],
    ids=repr,
)
def test_values_that_would_be_stored_wrongly_are_refused_by_name(value: Any, hint: str) -> None:
    with pytest.raises(errors.ParameterError, match=f"^parameter 'x'.*{hint}"):
        SQLiteDialect().codecs.adapt("x", value)


def test_a_connection_that_is_finished_amid_a_statement_lets_go_of_the_lock_for_writing(
    connect: Callable[..., Any],
) -> None:
    writer, other = connect("sqlite:///a.db"), connect("sqlite:///a.db?busy_timeout=0")
    writer.execute("CREATE TABLE t (x)")
    writer.execute("BEGIN")
    writer.execute("INSERT INTO t VALUES (1), (2)")
    amid = writer.execute("SELECT x FROM t")
    assert amid.fetchone() == (1,)
    loaded().finish(writer)
    other.execute("BEGIN IMMEDIATE")
    assert other.execute("SELECT x FROM t").fetchall() == []
    del amid
