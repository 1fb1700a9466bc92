"""The cache of compiled statements: what is found again, and what gives way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from plainsql import errors, text
from plainsql.cache import CACHE_CHARACTERS, CACHE_ENTRIES, CACHED_TEXT, StatementCache
from plainsql.clause import bindparam, text_of
from plainsql_mysql.dialect import MySQLDialect
from plainsql_postgresql.dialect import PostgreSQLDialect
from plainsql_sqlite.dialect import SQLiteDialect

if TYPE_CHECKING:
    from plainsql.dialect import Dialect


def cache(kind: type[Dialect] = SQLiteDialect) -> StatementCache:
    dialect = kind()
    return StatementCache(dialect, dialect.lexical)


def test_what_was_compiled_is_found_again_by_its_text() -> None:
    kept = cache()
    made = kept.compile("SELECT :a")

    assert kept.entries.get("SELECT :a") is made
    assert kept.entries.get("SELECT :b") is None
    assert kept.entries.get(text("SELECT :a")._key) is made


def test_a_text_with_typed_parameters_is_kept_by_itself() -> None:
    kept = cache()
    typed = text("SELECT :a").bindparams(bindparam("a", 5))
    made = kept.compile(typed)

    assert kept.entries.get(typed._key) is made
    assert kept.entries.get("SELECT :a") is None
    assert made.bind({}) == (5,)


def test_the_oldest_gives_way_when_there_are_too_many() -> None:
    kept = cache()
    texts = [f"SELECT {n}" for n in range(CACHE_ENTRIES + 2)]
    for sql in texts:
        kept.compile(sql)

    assert [sql for sql in texts if kept.entries.get(sql) is None] == texts[:2]


def test_the_oldest_give_way_when_there_are_too_many_characters() -> None:
    kept = cache()
    texts = [f"SELECT {n:<{CACHED_TEXT - 7}}" for n in range(CACHE_CHARACTERS // CACHED_TEXT + 1)]
    for sql in texts:
        kept.compile(sql)

    assert [n for n, sql in enumerate(texts) if kept.entries.get(sql) is None] == [0]
    kept.compile("SELECT 1")
    assert [n for n, sql in enumerate(texts) if kept.entries.get(sql) is None] == [0, 1]


def test_a_long_text_is_compiled_but_not_kept() -> None:
    kept = cache()
    long = "SELECT 1" + " " * CACHED_TEXT

    assert kept.compile(long).statement == long
    assert kept.entries.get(long) is None


def test_a_text_compiled_twice_at_once_is_counted_once() -> None:
    """Two threads may miss the same text; the room it takes must not be lost."""
    kept = cache()
    long = f"SELECT {1:<{CACHED_TEXT - 7}}"
    for _ in range(2 * CACHE_CHARACTERS // CACHED_TEXT):
        kept.compile(long)

    kept.compile("SELECT 2")
    assert kept.entries.get(long) is not None
    assert kept.entries.get("SELECT 2") is not None


@pytest.mark.parametrize("wrong", [None, b"SELECT 1", ["SELECT 1"]], ids=repr)
def test_a_statement_is_text_or_a_clause(wrong: Any) -> None:
    with pytest.raises(errors.ArgumentError, match=f"str or text.*not {type(wrong).__name__}$"):
        cache().compile(wrong)
    with pytest.raises(errors.ArgumentError, match=f"sent takes a str, not {type(wrong).__name__}"):
        text_of(wrong, "sent")
    with pytest.raises(errors.ArgumentError, match="has no parameters and columns to say more of"):
        text_of(text("SELECT :x", x=int), "script")
    assert text_of(text("SELECT :x"), "script") == "SELECT :x"


@pytest.mark.parametrize(
    ("sql", "verb"),
    [
        ("select 1", "SELECT"),
        ("  ;(/* :x */ -- y\n with a", "WITH"),
        ("--", ""),
        ("", ""),
        ("/* open", ""),
    ],
)
def test_an_untouched_statement_is_known_by_its_first_word(sql: str, verb: str) -> None:
    examined = cache().untouched(sql)

    assert (examined.sql, examined.verb) == (sql, verb)


@pytest.mark.parametrize(
    ("kind", "sql"),
    [
        (MySQLDialect, "# c\nSET sql_mode = ''"),
        (MySQLDialect, "/*!50003 SET sql_mode = '' */"),
        (PostgreSQLDialect, "/* /* */ SELECT */ RESET standard_conforming_strings"),
        (PostgreSQLDialect, "-- c\rSET standard_conforming_strings = off"),
        (PostgreSQLDialect, "SELECT ';'; SET standard_conforming_strings = off"),
    ],
)
def test_an_untouched_statement_tells_that_it_may_change_the_mode(
    kind: type[Dialect], sql: str
) -> None:
    examined = cache(kind).untouched(sql)

    assert examined.mode
    assert examined.special
    assert not examined.simple


def test_an_untouched_text_is_known_by_all_its_statements() -> None:
    examined = cache(PostgreSQLDialect).untouched("SELECT ';'; INSERT INTO t VALUES (1); COMMIT")

    assert (examined.control, examined.verb, examined.writes) == (True, "COMMIT", True)
    assert not cache(PostgreSQLDialect).untouched("SELECT '; COMMIT'").control
