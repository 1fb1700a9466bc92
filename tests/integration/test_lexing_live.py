r"""The house's table of corner cases, judged by the servers: what they read is what we read.

Ids such as `P8` are rows of that table, as in tests/unit/test_lexing.py.  Each statement runs with
parameters and returns what its author meant; a name that the server reads as text is not given, so
that a misreading can not pass.
"""

from __future__ import annotations

from datetime import time, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from plainsql import ProgrammingError, SQLSyntaxError

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql import Connection, Engine

    # Row id, text, and its row's values (or names and values; or the error's class).
    Case = tuple[str, str, tuple[Any, ...] | dict[str, Any] | type[Exception]]

GIVEN = {
    "a": 7, "b": 8, "A": 9, "é": 1, "_x": 2, "x1": 3, "lo": 1, "hi": 2, "n": 2, "h": 5,
    "k": "k", "q": "foo", "left": "l", "right": "r", "ids": [1, 2],
}  # fmt: skip

POSTGRESQL: list[Case] = [
    ("P1", "SELECT :a::int", (7,)),
    ("P1", 'SELECT :a::"int4"', (7,)),
    ("P1", "SELECT :ids::int[]", ([1, 2],)),
    ("P1", "SELECT :a::text::int", (7,)),
    ("P2", "SELECT :a ::int, CAST(:a AS int)", (7, 7)),
    ("P3", "SELECT :a::int+:a::int", (14,)),
    ("P4", "SELECT (:left||':'||:right)::text", ("l:r",)),
    ("P5", "SELECT '12:30'::time, :a", (time(12, 30), 7)),
    ("P6", "SELECT ':x', 'it''s :x', '''' || ':x' || :k, :a", (":x", "it's :x", "':xk", 7)),
    ("P7", "SELECT 'C:\\', :a", ("C:\\", 7)),
    ("P8", "SELECT 'a\\' AS p, :a AS a, ':z\\' AS q", {"p": "a\\", "a": 7, "q": ":z\\"}),
    ("P9", "SELECT E'it\\'s :x', e'\\047 :x', :a", ("it's :x", "' :x", 7)),
    ("P10", "SELECT E'a'\n'b\\' :x', :a", ("ab' :x", 7)),
    ("P10", "SELECT E'a' -- c\n 'b\\' :x'\r'c\\' :y', :a", ("ab' :xc' :y", 7)),
    ("P10", "SELECT E'a' AS p, 'b\\', :a, ':x'", ("a", "b\\", 7, ":x")),
    ("P11", "SELECT 'a'\n':x', :a", ("a:x", 7)),
    ("P11", "SELECT 'a' -- c :x\n ':y', :a", ("a:y", 7)),
    ("P11", "SELECT 'a'\r'b', :a", ("ab", 7)),
    ("P11", "SELECT 'a' 'b', :a", SQLSyntaxError),
    ("P12", "SELECT '\\:x', E'x\\\\:y', :a", ("\\:x", "x\\:y", 7)),
    ("P13", "SELECT U&'\\0041 :x', U&'d!0061t :x' UESCAPE '!', :a", ("A :x", "dat :x", 7)),
    ("P14", 'SELECT 1 AS U&"d\\0061t:x", :a AS "c"":x"', {"dat:x": 1, 'c":x': 7}),
    ("P15", 'SELECT 1 AS "a\\", :a AS b', {"a\\": 1, "b": 7}),
    ("P16", "SELECT B'01', X'1F', N':x', :a", ("01", "00011111", ":x", 7)),
    ("P17", "SELECT $$ :x '$$, $t$ :x $$ :y $t$, $é$:x$é$, :a", (" :x '", " :x $$ :y ", ":x", 7)),
    ("P18", "SELECT $a$x$b$:y$b$z$a$, :a", ("x$b$:y$b$z", 7)),
    ("P19", "SELECT 1 AS a$$, :a AS b$$", {"a$$": 1, "b$$": 7}),
    ("P20", "SELECT $1, $2", ProgrammingError),
    ("P21", "SELECT /* /* :x */ :y */ :a", (7,)),
    ("P22", "SELECT 1 -- it's :x\n, :a", (1, 7)),
    ("P22", "SELECT 1 -- :x\r, :a", (1, 7)),
    ("P23", "SELECT 1 +-- :x\n 2, 2 */* :x */ 3, 1 <-- :x\n 2, :a", (3, 6, True, 7)),
    ("P24", "SELECT '/*', :a, '*/', '--', /* ' */ :b /* ' */", ("/*", 7, "*/", "--", 8)),
    ("P25", "SELECT (ARRAY[1,2,3])[1:2], :a", ([1, 2], 7)),
    ("P26", "SELECT (ARRAY[5,6,7])[:lo : :hi]", ([5, 6],)),
    ("P26", "SELECT (ARRAY[5,6,7])[:lo::int:m] FROM (SELECT 2 AS m) t", ([5, 6],)),
    ("P27", "SELECT (ARRAY[5,6,7])[:n]", (6,)),
    ("P27", "SELECT (ARRAY[5,6,7])[ : m], :a FROM (SELECT 2 AS m) t", ([5, 6], 7)),
    ("P28", "SELECT (ARRAY[5,6,7])[l:m], :a FROM (SELECT 1 AS l, 2 AS m) t", ([5, 6], 7)),
    ("P29", "SELECT make_interval(days:=:h::int)", (timedelta(days=5),)),
    ("P29", "SELECT make_interval(days => :h)", (timedelta(days=5),)),
    ("P30", """SELECT '{"k":1}'::jsonb ? :k, '{"k":1}'::jsonb ? 'x'""", (True, False)),
    ("P30", """SELECT '{"k":1}'::jsonb ?| array[:k], '["k"]'::jsonb ?& array[:k]""", (True, True)),
    ("P31", """SELECT '{"b":[{"c":2}]}'::jsonb @? '$.b[*] ? (@.c > 1)', :a""", (True, 7)),
    ("P31", """SELECT '{"b":":x"}'::jsonb @@ '$.b == ":x"', :a""", (True, 7)),
    ("P31", """SELECT '{"a":true}'::jsonb @> '{"a":true}', :a""", (True, 7)),
    ("P32", """SELECT '{"a":{"b":1}}'::jsonb #>> '{a,b}', :a""", ("1", 7)),
    ("P32", """SELECT '{"k":{"x:y":1}}'::jsonb -> :k ->> 'x:y'""", ("1",)),
    ("P33", "SELECT 'ab' LIKE '%b', :a % 2", (True, 1)),
    ("P33", "SELECT 'ab' LIKE '%b', 7 % 2", (True, 1)),
    ("P34", """SELECT '%s %(x)s :x' AS "b%c", :a AS a""", {"b%c": "%s %(x)s :x", "a": 7}),
    ("P35", "SELECT :a, :A", (7, 9)),
    ("P36", "SELECT :é, :_x, :x1", (1, 2, 3)),
    ("P36", "SELECT :1", SQLSyntaxError),
    ("P37", "SELECT 'x' ~ '^(?:x|y)$', :a", (True, 7)),
    ("P38", "SELECT to_char('1:2'::time, 'HH24:MI:SS'), ' :MI', :a", ("01:02:00", " :MI", 7)),
    ("P39", "DO $$ DECLARE x int; BEGIN x := 1; PERFORM ':y'; END $$", ()),
    (
        "P39",
        "CREATE FUNCTION pg_temp.f() RETURNS text AS $f$ SELECT ':x' $f$ LANGUAGE sql",
        (),
    ),
    (
        "P40",
        "CREATE FUNCTION pg_temp.f() RETURNS int BEGIN ATOMIC SELECT :a; END",
        ProgrammingError,
    ),
    ("P41", "SELECT 1 LIMIT:n", SQLSyntaxError),
    ("P44", "SELECT (ARRAY[5,6,7])[\\:m], :a FROM (SELECT 2 AS m) t", ([5, 6], 7)),
]
MYSQL: list[Case] = [
    ("M1", "SELECT 'it\\'s :x', '\\\\', :a", ("it's :x", "\\", 7)),
    ("M3", 'SELECT "x :y", "a\\" :y", "a"":x", :a', ("x :y", 'a" :y', 'a":x', 7)),
    (
        "M5",
        "SELECT 1 AS `a:b`, 2 AS `a``:b`, 3 AS `a\\`, :a AS a",
        {"a:b": 1, "a`:b": 2, "a\\": 3, "a": 7},
    ),
    ("M6", "SELECT 1 # it's :x\n, :a", (1, 7)),
    ("M7", "SELECT 1 -- it's :x\n, 2 --\t:x\n, :a --", (1, 2, 7)),
    ("M8", "SELECT 5--:a, 5--1--:a, 5--- :x\n-:a", (12, 13, 12)),
    ("M9", "SELECT 1 -- x\r, :a", (1,)),
    ("M10", "SELECT 1 /*! , :a */", (1, 7)),
    ("M10", "SELECT 1 /*!50000 , :a */, :b", (1, 7, 8)),
    ("M11", "SELECT 1 /*! , /* :x */ :a */, :b", (1, 7, 8)),
    ("M12", "SELECT 1 /*!99999 , :a */, :b", (1, 8)),
    ("M13", "SELECT /*+ x :y */ :a, /* /* :x */ :b", (7, 8)),
    ("M14", "SELECT @v := :a, @w:=:b", (7, 8)),
    ("M15", "SELECT @`v:x` := :a, @'v:y', @@session.wait_timeout > 0", (7, None, 1)),
    (
        "M16",
        "SELECT TIME'12:30:00', _utf8mb4':x', N':y', x'3A', :a",
        (timedelta(hours=12, minutes=30), ":x", ":y", b":", 7),
    ),
    ("M17", """SELECT JSON_UNQUOTE(JSON_EXTRACT('{"k:v":1}', '$."k:v"')), :a""", ("1", 7)),
    ("M18", "SELECT DATE_FORMAT('2024-02-29 1:2:3', '%H:%i:%s'), :a % 4", ("01:02:03", 3)),
    ("M18", "SELECT DATE_FORMAT('2024-02-29 1:2:3', '%H:%i:%s'), 7 % 4", ("01:02:03", 3)),
    ("M19", "SELECT 'a' ':x', 'a'':x', :a", ("a:x", "a':x", 7)),
    ("M20", "SELECT \"it's\", ':x', :a", ("it's", ":x", 7)),
    ("M21", "SELECT 1 AS a$$, :a AS b$$", {"a$$": 1, "b$$": 7}),
    ("M22", "SELECT '?', :a", ("?", 7)),
]
ONLY_MYSQL: list[Case] = [
    ("M21", "SELECT 1 AS $a, t.$b$, @$c$ := :b, :a FROM (SELECT 2 AS `$b$`) t", (1, 2, 8, 7)),
    ("M10", "SELECT 1 /*M! , :a */, :b", (1, 8)),
    ("M17", """SELECT d->'$."a:b"', :a FROM (SELECT CAST('{"a:b":1}' AS JSON) d) t""", (1, 7)),
]
ONLY_MARIADB: list[Case] = [
    ("M21", "SELECT 1 AS $a$, :a AS b", {"$a$": 1, "b": 7}),
    ("M10", "SELECT 1 /*M! , :a */, :b", (1, 7, 8)),
    ("M10", "SELECT 1 /*M!100100 , :a, ':x*/' */, :b", (1, 7, ":x*/", 8)),
]
SQLITE: list[Case] = [
    ("S1", "SELECT 1 AS [a:b], ':x' AS [it's], :a AS a", {"a:b": 1, "it's": ":x", "a": 7}),
    ("S2", 'SELECT 1 AS `a:b`, 2 AS "c:d", :a AS a', {"a:b": 1, "c:d": 2, "a": 7}),
    ("S2", "SELECT 1 AS \"it's\" WHERE ':x' <> :a", (1,)),
    ("S3", "SELECT '\\', :a", ("\\", 7)),
    ("S4", "SELECT :a::int", SQLSyntaxError),
    ("S5", "SELECT :a(1)", SQLSyntaxError),
    ("S6", "SELECT @x, $x, $x::y(z), ?1", ProgrammingError),
    ("S7", "SELECT /* /* :x */ :a", (7,)),
    ("S8", "SELECT :a /* :x", (7,)),
    ("S8", "SELECT :a /*", SQLSyntaxError),  # here the comment would be one character longer
    ("S9", "SELECT 1 -- :x\r, :a", (1,)),
    ("S10", """SELECT json_extract('{"a:b":1}', '$."a:b"'), :a""", (1, 7)),
    ("S10", """SELECT '{"a":{"b":1}}' ->> '$.a.b', :a""", (1, 7)),
    ("S11", "SELECT strftime('%H:%M', '12:30'), 5 % 3, '%s', :a", ("12:30", 2, "%s", 7)),
    ("S12", "SELECT 1 x:a", SQLSyntaxError),
    ("S13", "SELECT x'3A78', 1 AS a$$, :a", (b":x", 1, 7)),
]
#: Rows of which nothing reaches a server, or of servers that are not here.
NOT_HERE = {
    "P42": "refused before anything is sent",
    "P43": "refused before anything is sent",
    "P45": "refused before anything is sent",
    "P47": "CockroachDB's",
    "M25": "refused before anything is sent",
}
#: Rows about a mode of the server, or with more than a SELECT to them: the tests at the end.
BY_THEMSELVES = {"P46", "M2", "M4", "M23", "M24", "S14"}


def cases(*tables: list[Case]) -> list[Any]:
    return [
        pytest.param(sql, expected, id=f"{row} {sql}")
        for table in tables
        for row, sql, expected in table
    ]


def judge(connection: Connection, sql: str, expected: Any) -> None:
    if isinstance(expected, type):
        with pytest.raises(expected):
            connection.execute(sql, GIVEN)
        return
    result = connection.execute(sql, GIVEN)
    if expected == ():
        assert not result.returns_rows
    elif isinstance(expected, dict):
        assert dict(result.one()._mapping) == expected
    else:
        assert tuple(result.one()) == expected


@pytest.fixture
def connection(engine: Engine) -> Any:
    """A connection; rolled back and closed at the end."""
    with engine.connect() as connection:
        yield connection
        connection.rollback()


def test_every_row_of_the_table_is_judged_or_has_a_reason() -> None:
    tables = (POSTGRESQL, MYSQL, ONLY_MYSQL, ONLY_MARIADB, SQLITE)
    judged = {row for table in tables for row, *_ in table} | BY_THEMSELVES
    wanted = {f"{server}{n}" for server, last in (("P", 47), ("M", 25), ("S", 14))
              for n in range(1, last + 1)}  # fmt: skip
    assert judged | set(NOT_HERE) == wanted
    assert not judged & set(NOT_HERE)


@pytest.mark.only_on("postgresql", reason="its rows of the table")
@pytest.mark.parametrize(("sql", "expected"), cases(POSTGRESQL))
def test_postgresql_reads_it_as_we_do(connection: Connection, sql: str, expected: Any) -> None:
    judge(connection, sql, expected)


@pytest.mark.only_on("mysql", reason="its rows of the table")
@pytest.mark.parametrize(("sql", "expected"), cases(MYSQL, ONLY_MYSQL))
def test_mysql_reads_it_as_we_do(connection: Connection, sql: str, expected: Any) -> None:
    judge(connection, sql, expected)


@pytest.mark.only_on("mariadb", reason="its rows of the table")
@pytest.mark.parametrize(("sql", "expected"), cases(MYSQL, ONLY_MARIADB))
def test_mariadb_reads_it_as_we_do(connection: Connection, sql: str, expected: Any) -> None:
    judge(connection, sql, expected)


@pytest.mark.only_on("sqlite", reason="its rows of the table")
@pytest.mark.parametrize(("sql", "expected"), cases(SQLITE))
def test_sqlite_reads_it_as_we_do(connection: Connection, sql: str, expected: Any) -> None:
    judge(connection, sql, expected)


# -- modes of the server ------------------------------------------------------------------------


@pytest.mark.only_on("postgresql", reason="standard_conforming_strings is PostgreSQL's")
@pytest.mark.parametrize(
    ("setting", "sql", "expected"),
    [
        pytest.param("on", "SELECT 'a\\', :a, ':x'", ("a\\", 7, ":x"), id="P46 on"),
        pytest.param("off", "SELECT 'a\\', :x', :a", ("a', :x", 7), id="P46 off"),
        pytest.param("off", "SELECT 'a'\n'\\', :x', :a", ("a', :x", 7), id="P46 off, continued"),
    ],
)
def test_old_strings_are_read_as_the_server_says_when_it_is_connected(
    make_engine: Callable[..., Engine], setting: str, sql: str, expected: Any
) -> None:
    options = f"-c standard_conforming_strings={setting} -c escape_string_warning=off"
    with make_engine(connect_args={"options": options}).connect() as connection:
        judge(connection, sql, expected)


MODES = {
    "M2": ("NO_BACKSLASH_ESCAPES", "SELECT '\\', \"\\\", :a", ("\\", "\\", 7)),
    "M4": ("ANSI_QUOTES", 'SELECT 1 AS "a\\", :a AS b', {"a\\": 1, "b": 7}),
    "M4 string": ("ANSI_QUOTES", "SELECT 'a\\', :x', :a", ("a', :x", 7)),
    "M4 both": (
        "ANSI_QUOTES,NO_BACKSLASH_ESCAPES",
        "SELECT '\\' AS \"a\\\", :a AS b",
        {"a\\": "\\", "b": 7},
    ),
}


@pytest.mark.only_on("mysql", "mariadb", reason="sql_mode is theirs")
@pytest.mark.parametrize(("mode", "sql", "expected"), MODES.values(), ids=MODES)
def test_quotes_are_read_by_the_sql_mode(
    make_engine: Callable[..., Engine], mode: str, sql: str, expected: Any
) -> None:
    with make_engine(connect_args={"sql_mode": mode}).connect() as connection:
        judge(connection, sql, expected)


@pytest.mark.only_on("mysql", "mariadb", reason="sql_mode is theirs")
@pytest.mark.parametrize("mode", ["", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES"])
@pytest.mark.parametrize(
    "value", ["x\\' OR 1=1 -- ", "\\", "\u00bf' OR 1=1 -- ", "it's", '"', "\0\n\x1a"]
)
def test_a_value_stays_a_value_in_every_sql_mode(
    make_engine: Callable[..., Engine], mode: str, value: str
) -> None:
    """Row M23."""
    with make_engine(connect_args={"sql_mode": mode}).connect() as connection:
        row = connection.execute("SELECT :v, '\\\\', :k", {"v": value, "k": "k"}).one()
    assert (row[0], row[2]) == (value, "k")


# -- more than a SELECT -------------------------------------------------------------------------


@pytest.mark.only_on("mysql", "mariadb", reason="their procedures have labels")
def test_a_label_is_no_parameter(engine: Engine, table_name: str) -> None:
    """Row M24."""
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(
            f"CREATE PROCEDURE {table_name}() BEGIN lbl:LOOP LEAVE lbl; END LOOP; SELECT 7; END"
        )
        try:
            assert connection.execute(f"CALL {table_name}()").scalar() == 7
        finally:
            connection.execute(f"DROP PROCEDURE {table_name}")


@pytest.mark.only_on("sqlite", reason="full-text search by MATCH is SQLite's")
def test_a_colon_in_a_search_is_no_parameter(connection: Connection, table_name: str) -> None:
    """Row S14."""
    connection.execute(f"CREATE VIRTUAL TABLE {table_name} USING fts5(title, body)")
    connection.execute(f"INSERT INTO {table_name} VALUES (:q, 'x'), ('x', :q)", GIVEN)
    counts = [
        connection.scalar(
            f"SELECT count(*) FROM {table_name} WHERE {table_name} MATCH {sought}", GIVEN
        )
        for sought in ("'title:foo'", ":q")
    ]
    assert counts == [1, 2]
