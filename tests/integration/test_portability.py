"""The portability facts of `docs/portability.md`: each line of its tables is measured here.

A cell of a table is the expectation: what a database does is compared with the word in its column.
"""

from __future__ import annotations

import re
import warnings
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from plainsql import (
    Error,
    ImplicitCommitWarning,
    NotSupportedError,
    UndefinedTable,
    create_engine,
    make_url,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plainsql import Connection, Engine

PAGE = Path(__file__).resolve().parents[2] / "docs" / "portability.md"
COLUMNS = ("sqlite", "postgresql", "mysql", "mariadb")


@cache
def facts() -> dict[str, dict[str, str]]:
    """Fact → database → what the page says."""
    found = {}
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and cells[0].startswith("PF-"):
            words = [cell.replace("`", "") for cell in cells[2:]]
            assert cells[0] not in found, f"{cells[0]} stands twice"
            found[cells[0]] = dict(zip(COLUMNS, words, strict=True))
    return found


@pytest.fixture
def says(database_kind: str) -> Callable[[str], str]:
    """What the page says of a fact on this database."""
    return lambda fact: facts()[fact][database_kind]


#: Options of the URL that a question needs, where a database has them.
Options = dict[str, dict[str, str]]
IMPATIENT: Options = {"sqlite": {"busy_timeout": "0"}}
WRITE_AHEAD: Options = {"sqlite": {"journal_mode": "wal"}}


@pytest.fixture
def engine_with(
    url: str, database_kind: str, table_prefix: str
) -> Iterator[Callable[[Options], Engine]]:
    """Makes an engine with options; disposed of before the tables are dropped."""
    del table_prefix
    engines: list[Engine] = []

    def make(options: Options) -> Engine:
        there = make_url(url).update_query_dict(options.get(database_kind, {}))
        engines.append(create_engine(there))
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Any:
    """A connection; rolled back and closed at the end."""
    with engine.connect() as connection:
        yield connection
        connection.rollback()


def yes(truth: object) -> str:
    return "yes" if truth else "no"


def outcome(connection: Connection, sql: str, params: Any = None) -> str:
    """Run a statement in a transaction of its own: "yes", or the name of its error's class."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImplicitCommitWarning)
            connection.execute(sql, params)
    except Error as exc:
        connection.rollback()
        return type(exc).__name__
    connection.commit()
    return "yes"


def value(connection: Connection, sql: str, params: Any = None) -> str:
    """The value of an expression as Python shows it, or the name of its error's class."""
    try:
        return repr(connection.scalar(sql, params))
    except Error as exc:
        connection.rollback()
        return type(exc).__name__


def stored(connection: Connection, table: str, kind: str, given: Any) -> Any:
    """What comes back from a column of that type; an error's class where it does not go in."""
    connection.execute(f"CREATE TABLE {table} (v {kind})")
    connection.commit()
    try:
        connection.execute(f"INSERT INTO {table} VALUES (:v)", {"v": given})
    except Error as exc:
        connection.rollback()
        return type(exc)
    return connection.scalar(f"SELECT v FROM {table}")


def named(answer: Any) -> str:
    return answer.__name__ if isinstance(answer, type) else type(answer).__name__


def make(engine: Engine, table: str, columns: str = "x INT PRIMARY KEY, y INT") -> None:
    with engine.begin() as connection:
        connection.execute(f"CREATE TABLE {table} ({columns})")


def is_there(engine: Engine, table: str) -> bool:
    with engine.connect() as connection:
        try:
            connection.execute(f"SELECT 1 FROM {table}")
        except UndefinedTable:
            return False
    return True


# -- transactions -------------------------------------------------------------------------------


def test_ddl_is_rolled_back(engine: Engine, table_name: str, says: Callable[[str], str]) -> None:
    with engine.connect() as connection:
        connection.execute(f"CREATE TABLE {table_name} (x INT)")
        connection.rollback()
    assert yes(not is_there(engine, table_name)) == says("PF-ddl-rolls-back")


def test_ddl_commits_what_ran_before_and_warns(
    engine: Engine, table_name: str, says: Callable[[str], str]
) -> None:
    make(engine, table_name)
    with engine.connect() as connection, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        connection.execute(f"ALTER TABLE {table_name} ADD COLUMN z INT")
        connection.rollback()
        kept = connection.scalar(f"SELECT count(*) FROM {table_name}")
    assert yes(kept) == says("PF-ddl-commits")
    assert yes(kept) == yes([w for w in caught if w.category is ImplicitCommitWarning])


def test_ddl_in_a_savepoint_dooms_the_transaction(
    engine: Engine, table_name: str, says: Callable[[str], str]
) -> None:
    with engine.connect() as connection, warnings.catch_warnings():
        warnings.simplefilter("ignore", ImplicitCommitWarning)
        connection.begin_nested()
        connection.execute(f"CREATE TABLE {table_name} (x INT)")
        answer = value(connection, "SELECT 1")
        connection.rollback()
    assert answer.replace("1", "yes") == says("PF-ddl-in-savepoint")


def test_a_transaction_goes_on_after_a_failed_statement(
    engine: Engine, table_name: str, says: Callable[[str], str]
) -> None:
    make(engine, table_name)
    with engine.connect() as connection:
        connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        with pytest.raises(Error):
            connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        answer = value(connection, "SELECT 1")
        connection.rollback()
    assert answer.replace("1", "yes") == says("PF-error-goes-on")


def test_a_savepoint_survives_a_failed_statement(
    engine: Engine, table_name: str, says: Callable[[str], str]
) -> None:
    make(engine, table_name)
    with engine.begin() as connection:
        connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        with pytest.raises(Error), connection.begin_nested():
            connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        connection.execute(f"INSERT INTO {table_name} VALUES (2, 2)")
    with engine.connect() as connection:
        kept = connection.scalar(f"SELECT count(*) FROM {table_name}")
    assert yes(kept == 2) == says("PF-savepoint-heals")


def test_each_isolation_level_that_is_named_works(
    engine: Engine, says: Callable[[str], str]
) -> None:
    levels = engine.dialect.isolation_levels
    for level in levels:
        with engine.execution_options(isolation_level=level).connect() as connection:
            assert connection.scalar("SELECT 1") == 1
    assert ("all four" if len(levels) == 4 else ", ".join(levels)) == says("PF-isolation-levels")


def test_a_transaction_sees_what_others_commit_meanwhile(
    engine_with: Callable[[Options], Engine], table_name: str, says: Callable[[str], str]
) -> None:
    engine = engine_with(WRITE_AHEAD)
    make(engine, table_name)
    count = f"SELECT count(*) FROM {table_name}"
    with engine.connect() as reader:
        before = reader.scalar(count)
        with engine.begin() as writer:
            writer.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        after = reader.scalar(count)
    assert yes(before != after) == says("PF-repeated-read")


def test_a_dirty_read_is_possible(
    engine: Engine, table_name: str, says: Callable[[str], str]
) -> None:
    make(engine, table_name)
    if "READ UNCOMMITTED" not in engine.dialect.isolation_levels:
        assert says("PF-dirty-read") == "no"
        return
    dirty = engine.execution_options(isolation_level="READ UNCOMMITTED")
    with engine.connect() as writer, dirty.connect() as reader:
        writer.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        seen = reader.scalar(f"SELECT count(*) FROM {table_name}")
        writer.rollback()
        reader.rollback()
    assert yes(seen) == says("PF-dirty-read")


def test_two_transactions_write_different_rows(
    engine_with: Callable[[Options], Engine], table_name: str, says: Callable[[str], str]
) -> None:
    engine = engine_with(IMPATIENT)
    make(engine, table_name)
    with engine.connect() as first, engine.connect() as second:
        first.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        answer = outcome(second, f"INSERT INTO {table_name} VALUES (2, 2)")
        first.rollback()
        second.rollback()
    assert answer == says("PF-two-writers")


def test_an_open_read_holds_up_a_commit(
    engine_with: Callable[[Options], Engine], table_name: str, says: Callable[[str], str]
) -> None:
    engine = engine_with(IMPATIENT)
    make(engine, table_name)
    with engine.connect() as reader, engine.connect() as writer:
        reader.execute(f"SELECT * FROM {table_name}")
        writer.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        try:
            writer.commit()
        except Error as exc:
            answer = type(exc).__name__
        else:
            answer = "no"
        reader.rollback()
        writer.rollback()
    assert answer == says("PF-reader-blocks-commit")


def test_a_read_only_transaction_refuses_writes(
    engine: Engine, table_name: str, says: Callable[[str], str]
) -> None:
    make(engine, table_name)
    with engine.execution_options(read_only=True).connect() as connection:
        answer = outcome(connection, f"INSERT INTO {table_name} VALUES (1, 1)")
    assert answer == says("PF-read-only")


def test_a_transaction_can_be_deferrable(engine: Engine, says: Callable[[str], str]) -> None:
    try:
        engine.execution_options(deferrable=True)
    except NotSupportedError as exc:
        answer = type(exc).__name__
    else:
        answer = "yes"
    assert answer == says("PF-deferrable")


def test_other_statements_may_run_while_a_stream_is_open(
    engine: Engine, table_name: str, says: Callable[[str], str]
) -> None:
    make(engine, table_name)
    with engine.begin() as connection:
        rows = [{"x": x} for x in range(10)]
        connection.execute(f"INSERT INTO {table_name} VALUES (:x, 0)", rows)
    with (
        engine.connect() as connection,
        connection.stream(f"SELECT x FROM {table_name}", batch=2) as stream,
    ):
        stream.fetchone()
        answer = value(connection, "SELECT 1")
    assert answer.replace("1", "yes") == says("PF-stream-and-statement")


# -- statements ---------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["insert", "update", "delete"])
def test_returning_is_where_the_page_says(
    engine: Engine, table_name: str, says: Callable[[str], str], verb: str
) -> None:
    make(engine, table_name)
    sql = {
        "insert": f"INSERT INTO {table_name} VALUES (1, 1) RETURNING x",
        "update": f"UPDATE {table_name} SET y = 2 RETURNING x",
        "delete": f"DELETE FROM {table_name} RETURNING x",
    }[verb]
    with engine.connect() as connection:
        assert outcome(connection, sql) == says(f"PF-returning-{verb}")


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        ("PF-on-conflict", "ON CONFLICT (x) DO UPDATE SET y = excluded.y"),
        ("PF-on-duplicate-key", "ON DUPLICATE KEY UPDATE y = 2"),
    ],
)
def test_each_way_to_upsert_is_where_the_page_says(
    engine: Engine, table_name: str, says: Callable[[str], str], fact: str, words: str
) -> None:
    make(engine, table_name)
    with engine.connect() as connection:
        sql = f"INSERT INTO {table_name} VALUES (1, 1) {words}"
        assert outcome(connection, sql) == says(fact)


def test_the_page_shows_how_to_write_a_key_that_counts_up(
    engine: Engine, table_name: str, says: Callable[[str], str]
) -> None:
    make(engine, table_name, f"id {says('PF-key-that-counts')}, y INT")
    with engine.begin() as connection:
        connection.execute(f"INSERT INTO {table_name} (y) VALUES (:y)", [{"y": 7}, {"y": 8}])
        ids = connection.scalars(f"SELECT id FROM {table_name} ORDER BY y").all()
    assert ids == [1, 2]


def test_lastrowid_tells_the_new_key(
    engine: Engine, table_name: str, says: Callable[[str], str]
) -> None:
    make(engine, table_name, f"id {says('PF-key-that-counts')}, y INT")
    with engine.begin() as connection:
        result = connection.execute(f"INSERT INTO {table_name} (y) VALUES (7)")
    assert repr(result.lastrowid) == says("PF-lastrowid")


def test_rowcount_of_a_query(connection: Connection, says: Callable[[str], str]) -> None:
    result = connection.execute("SELECT 1 UNION ALL SELECT 2")
    assert str(result.rowcount) == says("PF-rowcount-of-query")


def test_rowcount_of_an_update_counts_unchanged_rows(
    engine: Engine, table_name: str, says: Callable[[str], str]
) -> None:
    make(engine, table_name)
    with engine.begin() as connection:
        connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        result = connection.execute(f"UPDATE {table_name} SET y = 1")
    assert yes(result.rowcount == 1) == says("PF-rowcount-unchanged")


EXPRESSIONS = {
    "PF-double-quotes": ('SELECT "x" FROM (SELECT 1 AS x) t', None),
    "PF-concatenation": ("SELECT 'a' || 'b'", None),
    "PF-division": ("SELECT 7 / 2", None),
    "PF-division-by-zero": ("SELECT 1 / 0", None),
    "PF-comparison": ("SELECT 1 = 1", None),
    "PF-null-first": ("SELECT a FROM (SELECT 1 AS a UNION SELECT NULL) t ORDER BY a LIMIT 1", None),
    "PF-limit-parameter": ("SELECT a FROM (SELECT 7 AS a) t LIMIT :n", {"n": 1}),
    "PF-several-statements": ("SELECT 1; SELECT 2", None),
    "PF-pragma": ("PRAGMA foreign_keys = OFF", None),
}


@pytest.mark.parametrize("fact", EXPRESSIONS)
def test_an_expression_gives_what_the_page_says(
    connection: Connection, says: Callable[[str], str], fact: str
) -> None:
    assert value(connection, *EXPRESSIONS[fact]) == says(fact)


CONDITIONS = {
    "PF-equal-ignores-case": "'a' = 'A'",
    "PF-like-ignores-case": "'abc' LIKE 'ABC'",
    "PF-equal-ignores-blanks": "'a' = 'a '",
    "PF-backslash-escapes": r"length('\\') = 1",
}


@pytest.mark.parametrize("fact", CONDITIONS)
def test_a_condition_holds_where_the_page_says(
    connection: Connection, says: Callable[[str], str], fact: str
) -> None:
    condition = CONDITIONS[fact]
    assert yes(connection.scalar(f"SELECT CASE WHEN {condition} THEN 1 ELSE 0 END")) == says(fact)


def test_column_names_keep_their_case(connection: Connection, says: Callable[[str], str]) -> None:
    (name,) = connection.execute("SELECT 1 AS Total").keys()
    assert name == says("PF-name-case")


def test_empty_lists_are_empty_sets(connection: Connection, says: Callable[[str], str]) -> None:
    sql = "SELECT count(*) FROM (SELECT 1 AS a UNION ALL SELECT NULL) t WHERE a"
    none = connection.scalar(f"{sql} IN :ids", {"ids": []})
    both = connection.scalar(f"{sql} NOT IN :ids", {"ids": []})
    assert yes((none, both) == (0, 2)) == says("PF-empty-list")


def test_a_list_that_is_long(connection: Connection, says: Callable[[str], str]) -> None:
    sql = "SELECT count(*) FROM (SELECT 1 AS a) t WHERE a IN :ids"
    assert outcome(connection, sql, {"ids": range(300_000)}) == says("PF-long-list")


def test_how_a_list_is_sent(engine: Engine, says: Callable[[str], str]) -> None:
    sent = str(text("a IN :ids").compile(engine.dialect))
    assert sent == says("PF-list-as-sent")


def test_a_text_column_compares_with_a_number(
    engine: Engine, table_name: str, says: Callable[[str], str]
) -> None:
    make(engine, table_name, "s VARCHAR(10)")
    with engine.connect() as connection:
        sql = f"SELECT * FROM {table_name} WHERE s = :n"
        assert outcome(connection, sql, {"n": 7}) == says("PF-text-equals-number")


def test_a_column_that_is_not_grouped(
    engine: Engine, table_name: str, says: Callable[[str], str]
) -> None:
    make(engine, table_name, "a INT, b INT")
    with engine.connect() as connection:
        sql = f"SELECT a, b FROM {table_name} GROUP BY a"
        assert yes(outcome(connection, sql) == "yes") == says("PF-not-grouped")


# -- values -------------------------------------------------------------------------------------

COLUMN_TYPES = {
    "PF-decimal": ("DECIMAL(10, 2)", Decimal("1.10")),
    "PF-date": ("DATE", date(2024, 2, 29)),
    "PF-timestamp": ("TIMESTAMP", datetime(2024, 2, 29, 12, 30)),  # noqa: DTZ001 - naive on purpose
    "PF-boolean": ("BOOLEAN", True),
    "PF-aware": ("VARCHAR(40)", datetime(2024, 2, 29, 12, 30, tzinfo=UTC)),
    "PF-nan": ("DOUBLE PRECISION", float("nan")),
    "PF-text-in-int": ("INT", "abc"),
    "PF-too-long": ("VARCHAR(3)", "abcd"),
    "PF-big-int": ("INT", 2**40),
    "PF-nul": ("VARCHAR(3)", "a\0b"),
}


@pytest.mark.parametrize("fact", COLUMN_TYPES)
def test_what_comes_back_from_a_column(
    connection: Connection, table_name: str, says: Callable[[str], str], fact: str
) -> None:
    kind, given = COLUMN_TYPES[fact]
    assert named(stored(connection, table_name, kind, given)) == says(fact)


def test_fractions_of_a_second(
    connection: Connection, table_name: str, says: Callable[[str], str]
) -> None:
    moment = datetime(2024, 2, 29, 12, 30, 5, 600_000)  # noqa: DTZ001 - naive on purpose
    back = stored(connection, table_name, "TIMESTAMP", moment)
    assert str(back).partition(" ")[2].partition(":30:")[2] == says("PF-fraction")


def test_several_nulls_in_a_unique_column(
    engine: Engine, table_name: str, says: Callable[[str], str]
) -> None:
    make(engine, table_name, "x INT UNIQUE")
    with engine.connect() as connection:
        sql = f"INSERT INTO {table_name} VALUES (NULL), (NULL)"
        assert outcome(connection, sql) == says("PF-null-is-unique")
