r"""The scanner: the rows of the house's table of corner cases by their ids, then properties.

Ids such as `P8` are rows of that table: P for PostgreSQL, M for MySQL and MariaDB, S for SQLite.
Where a row's point is a server's answer, its lexical half is asserted here.
"""

from __future__ import annotations

import copy
import itertools
import pickle
import re
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainsql.errors import SQLTextError
from plainsql.lexing import Parameter, Scan, scan
from tests.unit.rules import (
    MARIADB,
    MYSQL,
    MYSQL_9,
    MYSQL_ANSI_QUOTES,
    MYSQL_NO_BACKSLASH_ESCAPES,
    POSTGRESQL,
    POSTGRESQL_OLD_STRINGS,
    SERVERS,
    SQLITE,
    STANDARD,
)

if TYPE_CHECKING:
    from plainsql.rules import LexicalRules

# Row id → (text, names of its parameters in order) ...
POSTGRESQL_ROWS: dict[str, list[tuple[str, str]]] = {
    "P1": [
        ("SELECT :a::int", "a"),
        ('SELECT :a::"int4"', "a"),
        ("SELECT :a::int[]", "a"),
        ("SELECT :a::text::int", "a"),
    ],
    "P2": [("SELECT :a ::int", "a"), ("SELECT CAST(:a AS int)", "a")],
    "P3": [("SELECT :a::int+:a::int", "a a")],
    "P4": [("SELECT (:a||':'||:b)::text", "a b")],
    "P5": [("SELECT '12:30'::time, :a", "a")],
    "P6": [
        ("SELECT ':x', :a", "a"),
        ("SELECT 'it''s :x', :a", "a"),
        ("SELECT '''' || ':x' || :a", "a"),
    ],
    "P7": [("SELECT 'C:\\', :a", "a")],
    "P8": [("SELECT 'a\\' AS p, :a AS a, ':z\\' AS q", "a")],
    "P9": [("SELECT E'it\\'s :x', :a", "a"), ("SELECT e'\\047 :x', :a", "a")],
    "P10": [
        ("SELECT E'a'\n'b\\' :x', :a", "a"),
        ("SELECT E'a' -- c\n 'b\\' :x'\r'c\\' :y', :a", "a"),
        ("SELECT E'a' AS p, 'b\\', :a, ':x'", "a"),
    ],
    "P11": [
        ("SELECT 'a'\n':x', :a", "a"),
        ("SELECT 'a' -- c :x\n ':b', :a", "a"),
        ("SELECT 'a'\r'b', :a", "a"),
    ],
    "P12": [("SELECT '\\:x', :a", "a"), ("SELECT E'x\\\\:y', :a", "a")],
    "P13": [
        ("SELECT U&'\\0041 :x', :a", "a"),
        ("SELECT U&'d!0061t :x' UESCAPE '!', :a", "a"),
    ],
    "P14": [('SELECT 1 AS U&"d\\0061t:x", :a', "a"), ('SELECT 1 AS "c"":x", :a', "a")],
    "P15": [('SELECT 1 AS "a\\", :a', "a")],
    "P16": [("SELECT B'01', X'1F', N':x', :a", "a")],
    "P17": [
        ("SELECT $$ :x '$$, :a", "a"),
        ("SELECT $t$ :x $$ :y $t$, :a", "a"),
        ("SELECT $é$:x$é$, :a", "a"),
    ],
    "P18": [("SELECT $a$x$b$:y$b$z$a$, :a", "a")],
    "P19": [("SELECT 1 AS a$$, :a AS b$$", "a")],
    "P20": [("SELECT $1, $2", ""), ("SELECT a$1, :a", "a"), ("SELECT '$1', :a", "a")],
    "P21": [("SELECT /* /* :x */ :y */ :a", "a")],
    "P22": [("SELECT 1 -- it's :x\n, :a", "a"), ("SELECT 1 -- :x\r, :a", "a")],
    "P23": [
        ("SELECT 1 +-- :x\n 2", ""),
        ("SELECT 2 */* :x */ 3", ""),
        ("SELECT 1 <-- :x\n 2", ""),
    ],
    "P24": [
        ("SELECT '/*', :a, '*/'", "a"),
        ("SELECT /* ' */ :a /* ' */", "a"),
        ("SELECT '--', :a", "a"),
    ],
    "P25": [("SELECT (ARRAY[1,2,3])[1:2], :a", "a")],
    "P26": [("SELECT arr[:lo : :hi]", "lo hi"), ("SELECT arr[:lo::int:n]", "lo")],
    "P27": [("SELECT arr[:n]", "n"), ("SELECT arr[ : n]", "")],
    "P28": [("SELECT arr[m:n]", "")],
    "P29": [("SELECT f(a:=:h::int)", "h"), ("SELECT f(a => :h)", "h")],
    "P30": [
        ("SELECT doc ? :k", "k"),
        ("SELECT doc ?| array['a'], :k", "k"),
        ("SELECT doc ?& array['a'], :k", "k"),
    ],
    "P31": [
        ("SELECT doc @? '$.b[*] ? (@.c > 1)'", ""),
        ("SELECT doc @@ '$.a == \":x\"'", ""),
        ("SELECT doc @> '{\"a\":true}'", ""),
    ],
    "P32": [("SELECT doc #>> '{a,b}', :a", "a"), ("SELECT doc -> :k ->> 'x:y'", "k")],
    "P33": [("SELECT 'ab' LIKE '%b', :a % 2", "a"), ("SELECT 'ab' LIKE '%b', 7 % 2", "")],
    "P34": [("SELECT '%s %(x)s :x', :a", "a"), ('SELECT 1 AS "b%c", :a', "a")],
    "P35": [("SELECT :a, :A", "a A")],
    "P36": [("SELECT :é, :_x, :x1", "é _x x1"), ("SELECT :1", "")],
    "P37": [("SELECT 'x' ~ '^(?:x|y)$', :a", "a")],
    "P38": [("SELECT to_char(ts,'HH24:MI:SS'), :a", "a"), ("SELECT ' :MI', :a", "a")],
    "P39": [
        ("DO $$ BEGIN x := 1; END $$", ""),
        ("CREATE FUNCTION f() RETURNS int AS $f$ SELECT :x; $f$ LANGUAGE sql", ""),
    ],
    "P40": [("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT :x; END", "x")],
    "P41": [("SELECT 1 LIMIT:n", "")],
    "P42": [("SELECT 1; SELECT :a", "a")],  # refused as a statement, tests/unit/test_statement.py
    "P44": [("SELECT \\:x", ""), ("SELECT \\:x, :a", "a")],
    "P47": [("SELECT 1:::INT8", ""), ("SELECT * FROM t@idx", "")],
}
MYSQL_ROWS: dict[str, list[tuple[str, str]]] = {
    "M1": [("SELECT 'it\\'s :x', :a", "a"), ("SELECT '\\\\', :a", "a")],
    "M3": [
        ('SELECT "x :y", :a', "a"),
        ('SELECT "a\\" :y", :a', "a"),
        ('SELECT "a"":x", :a', "a"),
    ],
    "M5": [("SELECT 1 AS `a:b`", ""), ("SELECT 1 AS `a``:b`", ""), ("SELECT 1 AS `a\\`", "")],
    "M6": [("SELECT 1 # it's :x\n, :a", "a")],
    "M7": [("SELECT 1 -- it's :x\n, :a", "a"), ("SELECT 1 --\t:x", ""), ("SELECT :a --", "a")],
    "M8": [("SELECT 5--:a", "a"), ("SELECT 5--1--:a", "a"), ("SELECT 5--- :x\n-:a", "a")],
    "M9": [("SELECT 1 -- x\r, :a", "")],
    "M10": [
        ("SELECT 1 /*! , :a */", "a"),
        ("SELECT 1 /*!50000 , :a */", "a"),
        ("SELECT 1 /*M! , :x */, :a", "a"),
    ],
    "M11": [("SELECT 1 /*! , /* :x */ :a */, :b", "a b")],
    "M12": [("SELECT 1 /*!99999 , :a */", "a")],
    "M13": [("SELECT /*+ x :y */ :a", "a"), ("SELECT /* /* :x */ :a", "a")],
    "M14": [("SELECT @v := :a", "a"), ("SELECT @v:=:a", "a")],
    "M15": [("SELECT @`v:x` := :a", "a"), ("SELECT @'v:x'", ""), ("SELECT @@session.x", "")],
    "M16": [("SELECT TIME'12:30:00', _utf8mb4':x', N':y', x'3A', :a", "a")],
    "M17": [("SELECT JSON_EXTRACT(d,'$.\"k:v\"')", ""), ("SELECT d->'$.a:b'", "")],
    "M18": [
        ("SELECT DATE_FORMAT(t,'%H:%i:%s'), :a", "a"),
        ("SELECT DATE_FORMAT(t,'%H:%i:%s')", ""),
        ("SELECT 7 % 4", ""),
    ],
    "M19": [("SELECT 'a' ':x', :a", "a"), ("SELECT 'a'':x', :a", "a")],
    "M20": [("SELECT \"it's\", ':x', :a", "a")],
    "M21": [("SELECT 1 AS a$$, :a AS b$$", "a"), ("SELECT 1 AS $a$, :a", "a")],
    "M22": [("SELECT '?', :a", "a")],
    "M23": [("SELECT x = :a", "a")],
    "M24": [("lbl:LOOP SELECT 1; END LOOP", "")],
}
SQLITE_ROWS: dict[str, list[tuple[str, str]]] = {
    "S1": [("SELECT 1 AS [a:b], :a", "a"), ("SELECT 1 AS [it's], ':x', :a", "a")],
    "S2": [
        ("SELECT 1 AS `a:b`", ""),
        ('SELECT 1 AS "a:b"', ""),
        ("SELECT \"it's\" WHERE ':x' <> :a", "a"),
    ],
    "S3": [("SELECT '\\', :a", "a")],
    "S4": [("SELECT :a::int", "a")],
    "S5": [("SELECT :a(1)", "a")],
    "S6": [("SELECT @x, $x, $x::y(z), #x, ?1, :1, ?", "")],
    "S7": [("SELECT /* /* :x */ :a", "a")],
    "S8": [("SELECT :a /* :x", "a"), ("SELECT :a /*", "a")],
    "S9": [("SELECT 1 -- :x\r, :a", "")],
    "S10": [("SELECT json_extract(d,'$.\"a:b\"')", ""), ("SELECT d ->> '$.a.b'", "")],
    "S11": [("SELECT strftime('%H:%M', t), :a", "a"), ("SELECT 5 % 3, '%s', :a", "a")],
    "S12": [("SELECT 1 x:a", "")],
    "S13": [("SELECT x'3A78'", ""), ("SELECT 1 AS a$$", "")],
    "S14": [("SELECT * FROM t WHERE t MATCH 'title:foo'", ""), ("SELECT t MATCH :q", "q")],
}
OTHER_MODES: dict[str, tuple[LexicalRules, str, str]] = {
    "P46 on": (POSTGRESQL, "SELECT 'a\\', :a, ':x'", "a"),
    "P46 off": (POSTGRESQL_OLD_STRINGS, "SELECT 'a\\', :x', :a", "a"),
    "P46 off, continued": (POSTGRESQL_OLD_STRINGS, "SELECT 'a'\n'\\', :x', :a", "a"),
    "M2": (MYSQL_NO_BACKSLASH_ESCAPES, "SELECT '\\', :a", "a"),
    "M4": (MYSQL_ANSI_QUOTES, 'SELECT 1 AS "a\\", :a', "a"),
    "M4 string": (MYSQL_ANSI_QUOTES, "SELECT 'a\\', :x', :a", "a"),
    "M23 no escapes": (MYSQL_NO_BACKSLASH_ESCAPES, "SELECT x = :a", "a"),
}
# Row id → (rules, text, what the message says, what stands at the error's place).
REFUSED: dict[str, tuple[LexicalRules, str, str, str]] = {
    "P20": (POSTGRESQL, "SELECT $1, :a", "mixes two styles", "$1"),
    "P43": (POSTGRESQL, "SELECT :'v'", "psql", ":'v'"),
    "P43 identifier": (POSTGRESQL, 'SELECT * FROM :"v"', "psql", ':"v"'),
    "P45": (POSTGRESQL, "SELECT 1,\n E'it\\'s", "string literal.*never closed", "'it"),
    "P45 comment": (POSTGRESQL, "SELECT /* /* */ 1", "comment.*never closed", "/* /*"),
    "P45 string": (POSTGRESQL, "SELECT 'it''s", "string literal.*never closed", "'it"),
    "P45 identifier": (POSTGRESQL, 'SELECT "a""', "identifier.*never closed", '"a'),
    "P45 dollar": (POSTGRESQL, "SELECT $a$ $b$", "dollar-quoted.*never closed", "$a$"),
    "P45 continued": (POSTGRESQL, "SELECT E'a'\n'b\\'", "string literal.*never closed", "'a"),
    "M25": (MYSQL, "SELECT :a /* x", "comment.*never closed", "/* x"),
    "M25 executable": (MYSQL, "SELECT 1 /*! , :a", "comment.*never closed", "/*!"),
    "M25 string": (MYSQL, "SELECT 'a\\'", "string literal.*never closed", "'a"),
    "M25 backtick": (MYSQL, "SELECT `a", "identifier.*never closed", "`a"),
    "S6 at": (SQLITE, "SELECT :a, @x", "mixes two styles", "@x"),
    "S6 dollar": (SQLITE, "SELECT :a, $x", "mixes two styles", "$x"),
    "S6 Tcl": (SQLITE, "SELECT :a, $x::y(z)", "mixes two styles", "$x::"),
    "S6 hash": (SQLITE, "SELECT :a, #x", "mixes two styles", "#x"),
    "S6 number": (SQLITE, "SELECT ?1, :a", "mixes two styles", "?1"),
    "S6 mark": (SQLITE, "SELECT ?, :a", "mixes two styles", "?,"),
    "S6 first": (SQLITE, "SELECT :a, ?2, ?1", "mixes two styles", "?2"),
    "S6 colon": (SQLITE, "SELECT :1, :a", "mixes two styles", ":1"),
    "S8 string": (SQLITE, "SELECT 'a", "string literal.*never closed", "'a"),
    "S8 bracket": (SQLITE, "SELECT [a", "identifier.*never closed", "[a"),
}


def names(found: Scan) -> str:
    return " ".join(parameter.name for parameter in found.parameters)


def rows(table: dict[str, list[tuple[str, str]]]) -> list[object]:
    return [
        pytest.param(sql, expected, id=f"{row} {sql}")
        for row, cases in table.items()
        for sql, expected in cases
    ]


def test_every_row_of_the_table_of_corner_cases_is_tested() -> None:
    tables = (POSTGRESQL_ROWS, MYSQL_ROWS, SQLITE_ROWS, OTHER_MODES, REFUSED)
    tested = {row.split()[0] for table in tables for row in table}
    wanted = {f"{server}{n}" for server, last in (("P", 47), ("M", 25), ("S", 14))
              for n in range(1, last + 1)}  # fmt: skip
    assert tested == wanted


@pytest.mark.parametrize(("sql", "expected"), rows(POSTGRESQL_ROWS))
def test_parameters_are_read_as_postgresql_reads(sql: str, expected: str) -> None:
    assert names(scan(sql, POSTGRESQL)) == expected


@pytest.mark.parametrize(("sql", "expected"), rows(MYSQL_ROWS))
def test_parameters_are_read_as_mysql_reads(sql: str, expected: str) -> None:
    assert names(scan(sql, MYSQL)) == expected


@pytest.mark.parametrize(
    ("rules", "sql", "expected"),
    [
        (MARIADB, "SELECT 1 /*M! , :a */", "a"),
        (MARIADB, "SELECT 1 /*M!100100 , :a, ':x*/' */, :b", "a b"),
        (MARIADB.replace(version=101119), "SELECT 1 /*M!101119 , :a */ /*M!101120 , :b */", "a"),
        (MARIADB.replace(version=101119), "SELECT 1 /*!50699 , :a */ /*!50700 , :b */", "a"),
        (MARIADB.replace(version=101119), "SELECT 1 /*!99999 , :a */ /*!100000 , :b */", "b"),
        (MARIADB.replace(version=101119), "SELECT 1 /*M!50700 , :a */ /*! , :b */", "a b"),
        (MYSQL_9, "SELECT 1 /*!90704 , :a */ /*!90705 , :b */ /*!090704, :c */", "a c"),
        (MYSQL_9, "SELECT 1 /*!99999 ' /* :x ' */ :y */, :a", "a"),
        (MYSQL_9, "SELECT 1 /*!9999 , :a */", "a"),
        (MYSQL_9, "CREATE FUNCTION f() RETURNS INT LANGUAGE JAVASCRIPT AS $$ :x ' $$", ""),
        (MYSQL_9, "SELECT a$$, @$$, @a.$$, 1$$, :a, $b, ':x', $c", "a"),
        (POSTGRESQL, "SELECT 1$$ :x $$, 1e5$$ :x $$, 0xF$$:x$$, :a, a1$$, e5$$, :b", "a b"),
        (POSTGRESQL_OLD_STRINGS, "SELECT B'\\', :a, x'\\', :b, '\\', :x'", "a b"),
    ],
)
def test_parameters_are_read_as_each_version_and_mode_reads(
    rules: LexicalRules, sql: str, expected: str
) -> None:
    assert names(scan(sql, rules)) == expected


def test_a_skipped_comment_that_is_never_closed_is_an_error() -> None:
    with pytest.raises(SQLTextError, match="the comment that begins here is never closed"):
        scan("SELECT 1 /*!99999 /* */", MYSQL_9)


def test_a_backslash_is_refused_where_the_server_does_not_tell_how_it_reads_one() -> None:
    rules = POSTGRESQL.replace(backslash_escapes=None)
    assert names(scan("SELECT 'it''s', E'\\\\', B'\\', $$\\$$, \"\\\", :a", rules)) == "a"
    with pytest.raises(SQLTextError, match=r"how it reads a backslash in a literal.*column 10"):
        scan("SELECT 'a\\b', :a", rules)


@pytest.mark.parametrize(("sql", "expected"), rows(SQLITE_ROWS))
def test_parameters_are_read_as_sqlite_reads(sql: str, expected: str) -> None:
    assert names(scan(sql, SQLITE)) == expected


@pytest.mark.parametrize(("rules", "sql", "expected"), OTHER_MODES.values(), ids=OTHER_MODES)
def test_parameters_in_other_modes_of_the_server(
    rules: LexicalRules, sql: str, expected: str
) -> None:
    assert names(scan(sql, rules)) == expected


@pytest.mark.parametrize(("rules", "sql", "message", "place"), REFUSED.values(), ids=REFUSED)
def test_refused_text_says_why_and_where(
    rules: LexicalRules, sql: str, message: str, place: str
) -> None:
    with pytest.raises(SQLTextError, match=message) as caught:
        scan(sql, rules)
    line, column = caught.value.line, caught.value.column
    assert sql.split("\n")[line - 1][column - 1 :].startswith(place)


def test_nul_is_refused_even_in_a_literal() -> None:
    with pytest.raises(SQLTextError, match="NUL") as caught:
        scan("SELECT\n'a\0b'", STANDARD)
    assert (caught.value.line, caught.value.column) == (2, 3)


# -- names and what stands around them ---------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        pytest.param(":e\N{COMBINING ACUTE ACCENT}x", "e\N{COMBINING ACUTE ACCENT}x", id="mark"),
        pytest.param(":x²", "x", id="superscript is not in a name"),
        pytest.param(":²", "", id="superscript begins no name"),
        pytest.param(":€ :a", "a", id="sign begins no name"),
        pytest.param(":a\N{NO-BREAK SPACE}b", "a", id="no-break space ends a name"),
        pytest.param(":日本", "日本", id="ideographs"),
        pytest.param(":a:b", "a", id="a colon after a name begins none"),
        pytest.param("::a :::b", "", id="double colons"),
        pytest.param(": a", "", id="a blank begins no name"),
        pytest.param(":", "", id="lone colon"),
        pytest.param("", "", id="nothing"),
        pytest.param(")(:a)+:b", "a b", id="punctuation before the colon"),
        pytest.param("'x':a", "a", id="a literal before the colon"),
    ],
)
def test_a_name_is_an_identifier(sql: str, expected: str) -> None:
    assert names(scan(sql, STANDARD)) == expected


def test_offsets_are_those_of_colon_and_name() -> None:
    sql = "SELECT ':x', :é, /* :y */ :ab"
    assert [sql[p.start : p.end] for p in scan(sql, STANDARD).parameters] == [":é", ":ab"]


def test_an_escape_is_the_backslash_before_a_colon_outside_literals() -> None:
    sql = r"SELECT \:x, '\:y', \::z, \w, :a"
    assert scan(sql, STANDARD).escapes == (sql.index(r"\:x"), sql.index(r"\::z"))


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        pytest.param("SELECT 1 LIMIT:n", ":n", id="P41 after a keyword"),
        pytest.param("SELECT 1 x:a", ":a", id="S12 after a name"),
        pytest.param("SELECT arr[1:n]", ":n", id="after a digit"),
    ],
)
def test_a_colon_that_touches_a_word_is_kept_for_a_hint(sql: str, place: str) -> None:
    assert scan(sql, POSTGRESQL).hints == (sql.index(place),)


def test_casts_and_assignments_give_no_hint() -> None:
    assert scan("SELECT a::int, f(b:=1, c:= 2), ':x:y', a[1:2], :a", POSTGRESQL).hints == ()


def test_native_placeholders_alone_are_left_to_the_driver() -> None:
    assert scan("SELECT $1; SELECT $2", POSTGRESQL).parameters == ()


# -- IN ----------------------------------------------------------------------------------------


def found_list(sql: str, rules: LexicalRules = POSTGRESQL) -> tuple[str, str]:
    """Return the text of the spans of NOT and IN of the last parameter."""
    p = scan(sql, rules).parameters[-1]
    assert p.in_list == (p.in_start >= 0)
    return sql[p.not_start : max(p.not_end, 0)], sql[p.in_start : max(p.in_end, 0)]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("x IN :ids", ("", "IN")),
        ("x in\n:ids", ("", "in")),
        ("x NOT IN :ids", ("NOT", "IN")),
        ("x nOt/* a */ -- b\n iN /* c */-- IN\n\t:ids", ("nOt", "iN")),
        ("x /* NOT */ IN :ids", ("", "IN")),
        ("'x'IN :ids", ("", "IN")),
        ("(x)NOT IN/**/:ids", ("NOT", "IN")),
        ("/* c */IN :ids", ("", "IN")),
        ("IN :ids", ("", "IN")),
        ("x knot IN :ids", ("", "IN")),
    ],
)
def test_a_list_follows_the_keyword_in(sql: str, expected: tuple[str, str]) -> None:
    assert found_list(sql) == expected


@pytest.mark.parametrize(
    "sql",
    [
        "x = :ids",
        "x min :ids",
        "x a$in :ids",
        "x éin :ids",
        "x 'in' :ids",
        '"in" :ids',
        "/* IN */ :ids",
        "-- IN\n :ids",
        ":in :ids",
        "x IN (:ids)",
        "x IN , :ids",
        "x iN- :ids",
        "ın :ids",
        ":ids",
        "x IN 1 /* c */ :ids",
    ],
)
def test_no_list_without_the_keyword_in(sql: str) -> None:
    assert found_list(sql) == ("", "")


def test_a_list_in_an_executable_comment() -> None:
    assert found_list("SELECT 1 WHERE x NOT IN /*!50000 :ids */", MYSQL) == ("NOT", "IN")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("x IN (:ids)", True),
        ("x NOT in/* c */(\n:ids )", True),
        ("x IN ( /* c */ :ids)", True),
        ("x IN (:ids, 1)", False),
        ("x IN (1, :ids)", False),
        ("x IN ((:ids))", False),
        ("f(:ids)", False),
        ("(:ids)", False),
        ("x IN :ids", False),
        ("x = (:ids)", False),
        ("IN(:ids", False),
    ],
)
def test_a_lone_parameter_in_the_parentheses_of_in(sql: str, expected: bool) -> None:
    assert [p.parenthesized for p in scan(sql, POSTGRESQL).parameters] == [expected]


# -- verbs and statements ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "verb"),
    [
        ("SELECT 1", "SELECT"),
        ("insert into t", "INSERT"),
        (" \n((select 1))", "SELECT"),
        ("/* a */ -- b\n ; (/* c */ with x as", "WITH"),
        ("-- only a comment", ""),
        ("/* a /* b */ */ UPDATE t", "UPDATE"),
        ("'x' SELECT", ""),
        ("/* a */ 1 /* b */ SELECT", ""),
        ("", ""),
        (":a", ""),
    ],
)
def test_the_verb_is_the_first_keyword(sql: str, verb: str) -> None:
    assert scan(sql, POSTGRESQL).verb == verb


@pytest.mark.parametrize("sql", ["/*!50000 SELECT*/ 1", "/*! ( */ SELECT 1", "# a\nSELECT 1"])
def test_the_verb_in_and_behind_comments_of_mysql(sql: str) -> None:
    assert scan(sql, MYSQL).verb == "SELECT"


@pytest.mark.parametrize(
    ("sql", "statements"),
    [
        ("SELECT 1", 1),
        ("SELECT 1;", 1),
        ("SELECT 1; /* a */ ; -- b", 1),
        ("; ;; SELECT 1", 1),
        ("SELECT 1; SELECT 2", 2),
        ("SELECT 1;'x';2 /* a */ + 3;", 3),
        ("SELECT ';', $$;$$, \";\" /* ; */ -- ;", 1),
        ("", 0),
        (" ; /* a */ -- b", 0),
        ("1", 1),
        ("CREATE TRIGGER t BEGIN SELECT 1; SELECT 2; END; ", 1),
        ("BEGIN NOT ATOMIC SELECT 1; END", 1),
        ("BEGIN; SELECT 1; COMMIT", 3),
    ],
)
def test_statements_are_what_semicolons_separate(sql: str, statements: int) -> None:
    assert scan(sql, POSTGRESQL).statements == statements


def test_several_statements_without_parameters_are_no_error() -> None:
    assert scan("SELECT 1; SELECT ':a'", SQLITE).statements == 2


def test_without_continuation_each_literal_has_its_own_mode() -> None:
    rules = POSTGRESQL.replace(string_continuation=False)
    assert names(scan("SELECT E'a\\''\n'b\\', :a", rules)) == "a"


def test_an_executable_comment_does_not_end_inside_a_literal() -> None:
    assert names(scan("SELECT /*! '*/' , */ :a, 2 */* :x */ 3", MYSQL)) == "a"


def test_an_executable_comment_within_another_ends_with_it() -> None:
    assert names(scan("SELECT /*! 1, /*!50000 2 */, 3 */* :x */ :a", MYSQL)) == "a"


def test_a_star_and_slash_outside_executable_comments_is_no_token() -> None:
    assert names(scan("SELECT 2 */* :x */ :a", MYSQL)) == "a"


# -- the rules ---------------------------------------------------------------------------------


def test_rules_are_frozen() -> None:
    with pytest.raises(AttributeError, match="frozen"):
        STANDARD.strings = '"'
    with pytest.raises(AttributeError, match="frozen"):
        del STANDARD.strings


def test_equal_rules_are_one_key() -> None:
    again = MYSQL_ANSI_QUOTES.replace(strings="'\"", identifiers=[["`", "`"]])
    assert {again: 1}[MYSQL] == 1
    assert MYSQL != MYSQL_ANSI_QUOTES
    assert MYSQL != "mysql"


def test_rules_survive_copy_and_pickle() -> None:
    assert pickle.loads(pickle.dumps(MYSQL)) == copy.deepcopy(MYSQL) == MYSQL  # noqa: S301


def test_replace_refuses_an_unknown_field() -> None:
    with pytest.raises(TypeError, match="quotes"):
        STANDARD.replace(quotes="'")


def test_reprs_tell_what_was_found() -> None:
    found = scan("SELECT x IN :ids, x IN (:b), :c", STANDARD)
    assert repr(found) == "<Scan SELECT (ids, b, c)>"
    assert [repr(parameter) for parameter in found.parameters] == [
        "<Parameter :ids at 12 in list>",
        "<Parameter :b at 24 in parentheses>",
        "<Parameter :c at 29>",
    ]
    assert "nested_comments=False" in repr(STANDARD)


# -- properties --------------------------------------------------------------------------------

# Every sign that means something to a lexer, and some that do not.
noise = st.text(st.sampled_from("'\"`\\$:-/*#[]{}();?@!%EeINxé1_ \t\r\n"), max_size=12)
texts = st.lists(
    st.one_of(
        noise,
        st.sampled_from([":a", ":b::int", "'x'", "E'\\''", "$t$", "/*", "*/", "--", " IN ", "\n"]),
    ),
    max_size=8,
).map("".join)


def quoted(opening: str, closing: str, doubled: str) -> st.SearchStrategy[str]:
    return noise.map(lambda text: opening + text.replace(closing, doubled) + closing)


def backslashed(opening: str, quote: str) -> st.SearchStrategy[str]:
    escaped = noise.map(lambda text: re.sub(rf"[\\{quote}]", r"\\\g<0>", text))
    return escaped.map(lambda text: opening + text + quote)


def line_comment(opening: str, ends: str) -> st.SearchStrategy[str]:
    return noise.map(lambda text: opening + re.sub("[\r\n]", "", text) + ends)


dollar_quoted = noise.filter(lambda text: (text + "$t$").index("$t$") == len(text)).map(
    lambda text: f"$t${text}$t$"
)
comment = noise.map(lambda text: f"/* {re.sub('[*/]', '', text)} */")
nested_comment = st.recursive(comment, lambda inner: inner.map(lambda text: f"/* :y {text}' */"))
DECOYS: dict[str, st.SearchStrategy[str]] = {
    "postgresql": st.one_of(
        quoted("'", "'", "''"),
        quoted('"', '"', '""'),
        backslashed("E'", "'"),
        dollar_quoted,
        line_comment("--", "\r"),
        nested_comment,
    ),
    "mysql": st.one_of(
        backslashed("'", "'"),
        backslashed('"', '"'),
        quoted("`", "`", "``"),
        line_comment("#", "\n"),
        line_comment("-- ", "\n"),
        comment,
    ),
    "sqlite": st.one_of(
        quoted("'", "'", "''"),
        quoted('"', '"', '""'),
        quoted("`", "`", "``"),
        quoted("[", "]", ""),
        line_comment("--", "\n"),
        comment,
    ),
}
DECOYS["mariadb"] = DECOYS["mysql"]
wanted_names = st.sampled_from(["a", "b", "_x1", "é", "日本"])


@pytest.mark.parametrize("server", SERVERS)
@given(data=st.data())
def test_only_what_stands_outside_literals_and_comments_is_found(
    server: str, data: st.DataObject
) -> None:
    pieces = data.draw(st.lists(st.tuples(st.booleans(), DECOYS[server], wanted_names)))
    sql, expected = "SELECT 1", []
    for is_parameter, decoy, name in pieces:
        sql += " , "
        if is_parameter:
            expected.append((name, len(sql)))
        sql += f":{name}" if is_parameter else decoy
    found = scan(sql, SERVERS[server])
    assert [(p.name, p.start) for p in found.parameters] == expected
    assert (found.verb, found.statements, found.escapes, found.hints) == ("SELECT", 1, (), ())


def scan_or_none(sql: str, rules: LexicalRules) -> Scan | None:
    try:
        return scan(sql, rules)
    except SQLTextError:
        return None


def pieces_of(found: Scan) -> tuple[list[str], list[str]]:
    """Return the text between the parameters, and the parameters."""
    edges = [0, *(edge for p in found.parameters for edge in (p.start, p.end)), len(found.sql)]
    assert edges == sorted(edges)
    parts = [found.sql[a:b] for a, b in itertools.pairwise(edges)]
    return parts[::2], parts[1::2]


@pytest.mark.parametrize("server", SERVERS)
@given(sql=texts)
def test_parameters_and_the_text_between_them_are_the_whole_text(server: str, sql: str) -> None:
    found = scan_or_none(sql, SERVERS[server])
    if found is None:
        return
    between, parameters = pieces_of(found)
    assert parameters == [f":{p.name}" for p in found.parameters]
    assert all(p.name.isidentifier() for p in found.parameters)
    assert all(sql[at : at + 2] == r"\:" for at in found.escapes)
    assert "".join(a + b for a, b in zip(between, [*parameters, ""], strict=True)) == sql


@pytest.mark.parametrize("server", SERVERS)
@given(sql=texts)
def test_a_value_in_place_of_each_parameter_changes_nothing_else(server: str, sql: str) -> None:
    found = scan_or_none(sql, SERVERS[server])
    if found is None:
        return
    again = scan("0".join(pieces_of(found)[0]), SERVERS[server])
    assert again.parameters == ()
    assert len(again.escapes) == len(found.escapes)
    assert len(again.hints) == len(found.hints)
    assert again.statements == found.statements


HEAVY = [
    "'", '"', "`", "''", "/*", "*/", "/**/", "/*!", "$a$", "$", "$a", ":", ":a ", ":€", "a:b",
    "--", "- ", "--\n", "\\", "\\'", " ", "\n", "(", "[", ";", "E'a'\n", "x IN :a ", "NOT IN/**/",
    "IN(", "é",
]  # fmt: skip


def seconds(sql: str, rules: LexicalRules) -> float:
    start = time.process_time()
    scan_or_none(sql, rules)
    return time.process_time() - start


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["", "'", "E'", "/*", "SELECT 1 IN "])
@pytest.mark.parametrize("server", SERVERS)
def test_time_grows_with_the_length_of_the_text_only(server: str, prefix: str) -> None:
    """Eight times the text takes about eight times as long; were it quadratic, 64 times."""
    rules, slow = SERVERS[server], {}
    for unit in HEAVY:
        n = 8192 // len(unit)
        short = [seconds(prefix + unit * n, rules) for _ in range(3)]
        long = [seconds(prefix + unit * n * 8, rules) for _ in range(2)]
        if min(long) > 24 * max(min(short), 0.0005):
            slow[unit] = (min(short), min(long))
    assert not slow


def test_a_parameter_tells_its_spans_only_if_it_follows_in() -> None:
    parameter = Parameter("a", 0, 2)
    assert (parameter.in_list, parameter.parenthesized) == (False, False)
    spans = (parameter.in_start, parameter.in_end, parameter.not_start, parameter.not_end)
    assert spans == (-1, -1, -1, -1)


@pytest.mark.parametrize("rules", [SQLITE, POSTGRESQL, MYSQL, MARIADB])
def test_with_places_no_other_colon_means_anything(rules: LexicalRules) -> None:
    sql = r"SELECT ':a', :b, x:c, d::e, \:f, 'x' /* :g */, y[1:2], :h FROM t WHERE x IN :h"
    places = (sql.index(":h"), sql.rindex(":h"))
    found = scan(sql, rules, places)
    assert [(p.name, p.start, p.in_list) for p in found.parameters] == [
        ("h", places[0], False),
        ("h", places[1], True),
    ]
    assert (found.escapes, found.hints) == ((), ())
    assert scan(sql, rules, ()).parameters == ()
    for hidden in (":a", ":g"):
        with pytest.raises(SQLTextError, match="within a literal") as caught:
            scan(sql, rules, (*places, sql.index(hidden)))
        assert caught.value.offset == sql.index(hidden)


def test_with_places_a_variable_of_psql_is_a_colon_and_a_literal() -> None:
    sql = "SELECT :'v :a', :b"
    assert [p.name for p in scan(sql, POSTGRESQL, (sql.index(":b"),)).parameters] == ["b"]
