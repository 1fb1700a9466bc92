"""How a statement is sent for many sets of values: what may be repeated, what may return rows."""

from __future__ import annotations

import pytest

from plainsql import errors, text
from plainsql_mysql.dialect import MariaDBDialect, MySQLDialect


@pytest.mark.parametrize(
    ("sql", "head", "group", "tail"),
    [
        ("INSERT INTO t VALUES (:a)", "INSERT INTO t VALUES ", "(%s)", ""),
        ("REPLACE INTO t (x) VALUE(:a)", "REPLACE INTO t (x) VALUE", "(%s)", ""),
        (
            "REPLACE INTO t VALUES (:a, f(':b)', \"(\", :a)) ON DUPLICATE KEY UPDATE x = 5 % 2",
            "REPLACE INTO t VALUES ",
            "(%s, f(':b)', \"(\", %s))",
            " ON DUPLICATE KEY UPDATE x = 5 %% 2",
        ),
        (
            "INSERT INTO `values (` (`a)`) -- VALUES (\n VALUES (:a) -- '100\\:",
            "INSERT INTO `values (` (`a)`) -- VALUES (\n VALUES ",
            "(%s)",
            " -- '100\\:",
        ),
        (
            "/*! INSERT */ INTO t SELECT \\:= , VALUES (:a)",
            "",
            "",
            "",
        ),
        ("INSERT INTO t SELECT 7, VALUES (:a)", "", "", ""),
        ("INSERT INTO t VALUES (:a), (:b)", "", "", ""),
        ("INSERT INTO t VALUES (:a) ON DUPLICATE KEY UPDATE x = :b", "", "", ""),
        ("INSERT INTO t SET x = :a", "", "", ""),
        ("UPDATE t SET x = :a", "", "", ""),
        ("INSERT INTO t (x) SELECT * FROM (VALUES ROW (:a)) v", "", "", ""),
    ],
)
def test_only_the_one_group_that_holds_all_parameters_is_repeated(
    sql: str, head: str, group: str, tail: str
) -> None:
    compiled = text(sql).compile("mysql")
    many = compiled.many
    assert (many.head, many.group, many.tail) == (head, group, tail)
    assert not group or head + group + tail == compiled.sql


@pytest.mark.parametrize(
    ("sql", "returns"),
    [
        ("SELECT :a", True),
        ("WITH x AS (SELECT 1) DELETE FROM t WHERE a = :a", True),
        ("INSERT INTO t VALUES (:a) RETURNING x", True),
        ("DELETE FROM t WHERE x = :a returning(x)", True),
        ("INSERT INTO t VALUES (:a) -- RETURNING x", False),
        ("INSERT INTO t VALUES (:a, ' RETURNING x')", False),
        ('UPDATE t SET "RETURNING" = :a', False),
        ("UPDATE t SET returning = :a, x = t.returning", False),
        ("UPDATE t SET x = :a", False),
    ],
)
def test_a_statement_that_may_return_rows_is_known(sql: str, returns: bool) -> None:
    assert text(sql).compile("sqlite").many.returns == returns


def test_returning_is_refused_where_the_database_has_none() -> None:
    sql = "INSERT INTO t VALUES (:a) RETURNING x"
    with pytest.raises(errors.NotSupportedError, match="RETURNING: mysql can not do this"):
        text(sql).compile(MySQLDialect()).many  # noqa: B018 - the access is the claim
    assert text(sql).compile(MariaDBDialect()).many.returns


def test_blanks_and_brackets_take_time_in_proportion() -> None:
    """PyMySQL's own pattern takes four times as long for twice the blanks."""
    sql = "INSERT INTO t" + " " * 300_000 + "VALUES " + "(" * 300_000 + ":a" + ")" * 300_000
    assert text(sql).compile("mysql").many.group.count("(") == 300_000
