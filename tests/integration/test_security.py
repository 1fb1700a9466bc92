"""What an attacker may try with values, names and texts, on every database: nothing comes of it.

One test for each row of the security matrix that concerns statements and values; the rows are
numbered S1 to S17 and S33 there.  What a row means in detail is tested where it belongs:
lexing, modes, lists, values.
"""

from __future__ import annotations

import gc
import time
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plainsql import (
    ArgumentError,
    DataError,
    DBAPIError,
    ParameterError,
    SQLTextError,
    make_url,
    unsafe_text,
)
from plainsql.lexing import scan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plainsql import Connection, Engine

    Unsent = ArgumentError | DataError

#: Pieces that mean something to some lexer, driver or paramstyle.
PIECES = ["'", '"', "`", "\\", "--", "#", "/*", "*/", "$$", "$a$", ";", ":x", ":y", "%s", "%(x)s"]
PIECES += [
    "%",
    "%%",
    "?",
    "$1",
    "{}",
    "{x}",
    "\n",
    "\r",
    "\x1a",
    "\x7f",
    " ",
    "é",
    "漢",
    "😀",
    "a",
    "0",
]
HOSTILE = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
TEXTS = HOSTILE | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NAMES = HOSTILE | st.text(max_size=70)
EACH = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A connection; rolled back and closed at the end."""
    with engine.connect() as connection:
        yield connection


def back_or_unsent(connection: Connection, value: Any) -> None:
    """A value comes back equal and of its type, or nothing is sent."""
    try:
        found = connection.scalar("SELECT :v", {"v": value})
    except (ParameterError, DataError) as exc:
        assert getattr(exc, "code", None) is None  # noqa: PT017 # no server's: nothing was sent
        found = value
    assert (type(found), found) == (type(value), value) or value != value  # noqa: PLR0124 # nan
    assert connection.scalar("SELECT 1") == 1


@EACH
@given(TEXTS)
def test_s1_a_text_is_a_value_whatever_stands_in_it(connection: Connection, value: str) -> None:
    assert connection.scalar("SELECT :v", {"v": value}) == value
    assert connection.scalar("SELECT 1 WHERE :v IN :vs", {"v": value, "vs": [value, "z"]}) == 1


@pytest.mark.parametrize("sql", ["SELECT 5-:n", "SELECT 5 -:n", "SELECT 5-:n*1", "SELECT -:n+4"])
def test_s2_a_negative_number_after_a_minus_opens_no_comment(
    connection: Connection, sql: str
) -> None:
    expected = 5 if "+4" in sql else 6
    assert connection.scalar(sql, {"n": -1}) == expected
    assert connection.execute(sql, [{"n": -1}]).rowcount in (-1, 0, 1)


@EACH
@given(TEXTS, TEXTS)
def test_s3_a_value_is_never_scanned_for_parameters(
    connection: Connection, one: str, other: str
) -> None:
    row = connection.execute("SELECT :x, :y, ':x %s ?', :x", {"x": one, "y": other}).one()
    assert tuple(row) == (one, other, ":x %s ?", one)


def test_s4_percent_signs_are_the_authors_with_and_without_parameters(
    connection: Connection,
) -> None:
    plain = "SELECT '%', '%%', '%s' WHERE 'abc' LIKE 'a%'"
    assert tuple(connection.execute(plain).one()) == ("%", "%%", "%s")
    found = connection.execute(f"{plain} AND 'abc' LIKE :x AND 7 % :n = 1", {"x": "%c", "n": 2})
    assert tuple(found.one()) == ("%", "%%", "%s")


def test_s5_what_stands_in_literals_and_comments_is_no_parameter(connection: Connection) -> None:
    sql = "SELECT ':a', 'it''s :b', :c /* :d ' */ -- :e '\n, ':f'"
    assert tuple(connection.execute(sql, {"c": 3}).one()) == (":a", "it's :b", 3, ":f")
    with pytest.raises(ParameterError, match="'c' is missing"):
        connection.execute(sql, dict.fromkeys("abdef", 1))


def test_s6_a_backslash_before_a_quote_is_read_as_the_server_reads_it(
    connection: Connection,
) -> None:
    """In each mode of the servers that have modes: `test_modes`."""
    row = connection.execute("SELECT 'a\\', ', :x, ' AS b -- ' AS b", {"x": 7}).one()
    assert tuple(row) in (("a\\", ", :x, "), ("a', ", 7, " AS b -- "))


def test_s7_names_of_parameters_never_reach_the_text(connection: Connection) -> None:
    odd = {"x": 1, "x) FROM canary --": 2, "x%s": 3, ":x": 4, "": 5}
    assert connection.scalar("SELECT :x", odd) == 1
    for name in list(odd)[1:]:
        with pytest.raises(ParameterError, match="'x' is missing"):
            connection.execute("SELECT :x", {name: 1})
    assert connection.execute("SELECT :x", [odd, odd]).rowcount in (-1, 0, 1, 2)


@pytest.mark.parametrize("value", [{"a": 1}, {1, 2}, [1, 2], (1, 2), object()], ids=repr)
def test_s8_a_collection_is_no_scalar(connection: Connection, value: Any) -> None:
    if isinstance(value, list) and connection.engine.dialect.lists_as_arrays:
        assert connection.scalar("SELECT :v", {"v": value}) == value  # an array
        return
    with pytest.raises((ParameterError, DataError)):
        connection.execute("SELECT 1 WHERE 1 = :v", {"v": value})
    assert connection.scalar("SELECT 1") == 1


class OddText(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "' OR 1=1 --"


class OddNumber(int):
    def __str__(self) -> str:
        return "0 OR 1=1"

    __repr__ = __str__


class OddChoice(Enum):
    A = "a"

    def __str__(self) -> str:
        return "' OR 1=1 --"


def test_s9_a_subclass_is_sent_as_its_value_not_as_its_text(connection: Connection) -> None:
    odd = {"t": OddText("a"), "n": OddNumber(7), "c": OddChoice.A}
    assert tuple(connection.execute("SELECT :t, :n, :c", odd).one()) == ("a", 7, "a")
    lists = {"t": [OddText("a")], "n": [OddNumber(7)]}
    assert connection.scalar("SELECT 1 WHERE 'a' IN :t AND 7 IN :n", lists) == 1
    assert connection.scalar("SELECT 1 WHERE 'b' IN :t OR 0 IN :n", lists) is None


@EACH
@given(NAMES)
def test_s10_a_quoted_name_is_that_name_or_refused(connection: Connection, name: str) -> None:
    engine = connection.engine
    try:
        quoted = engine.quote(name)
    except ArgumentError as exc:
        assert name == "" or repr(name) in str(exc)  # noqa: PT017 # most are not refused
        return
    table = engine.quote("t'; --")
    connection.execute(unsafe_text(f"CREATE TEMPORARY TABLE {table} ({quoted} INTEGER)"))
    try:
        connection.execute(unsafe_text(f"INSERT INTO {table} ({quoted}) VALUES (:x)"), {"x": 7})
        row = connection.execute(
            unsafe_text(f"SELECT {quoted}, {table}.{quoted} FROM {table}")
        ).one()
    finally:
        connection.rollback()
        connection.execute(unsafe_text(f"DROP TABLE IF EXISTS {table}"))
        connection.commit()
    assert (row._fields, tuple(row)) == ((name, name), (7, 7))


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800", "x" * 300])
def test_s10_what_the_server_can_not_hold_is_refused(engine: Engine, name: str) -> None:
    if len(name) == 300 and engine.name == "sqlite":
        assert engine.quote(name) == f'"{name}"'
        return
    with pytest.raises(ArgumentError, match="identifier"):
        engine.quote(name)


def test_s11_a_value_is_no_order(connection: Connection, table_name: str) -> None:
    connection.execute(unsafe_text(f"CREATE TABLE {table_name} (x INTEGER)"))
    insert = unsafe_text(f"INSERT INTO {table_name} VALUES (:x)")
    connection.execute(insert, [{"x": 1}, {"x": 2}, {"x": 3}])
    connection.commit()
    order = unsafe_text(f"SELECT x FROM {table_name} ORDER BY :order, x")
    for value in ("x DESC", "-x", f"1; DROP TABLE {table_name}", "(SELECT canary)"):
        try:
            assert connection.execute(order, {"order": value}).scalars().all() == [1, 2, 3]
        except DBAPIError as exc:
            assert "canary" not in str(exc.__cause__)  # noqa: PT017 # no server runs it
            connection.rollback()
    count = unsafe_text(f"SELECT count(*) FROM {table_name}")
    assert connection.scalar(count) == 3


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536])
def test_s12_a_list_of_any_size_is_right_or_refused_unsent(
    connection: Connection, size: int
) -> None:
    try:
        found = connection.scalar("SELECT 1 WHERE 0 IN :xs", {"xs": range(size)})
    except ParameterError as exc:
        assert f"{size} parameters are more than the" in str(exc)  # noqa: PT017 # or right
        return
    assert found == (1 if size else None)
    assert connection.scalar("SELECT 1 WHERE -1 NOT IN :xs", {"xs": range(size)}) == 1


def test_s13_nul_is_a_value_or_refused_and_never_in_a_text(
    connection: Connection, url: str
) -> None:
    for value in ("a\0b", "\0", "\0' --"):
        back_or_unsent(connection, value)
    with pytest.raises(SQLTextError, match=r"NUL.*line 1, column 8"):
        connection.execute("SELECT \0 1")
    with pytest.raises(ArgumentError, match="NUL"):
        connection.engine.quote("a\0")
    for odd in (f"{url}\0", f"{url}%00"):
        with pytest.raises(ArgumentError):
            make_url(odd)


def test_s14_half_a_character_is_sent_nowhere(connection: Connection) -> None:
    for value in ("\ud800", "a\udfffb", "\udc80'"):
        with pytest.raises((ParameterError, DataError)):
            connection.execute("SELECT :v", {"v": value})
        with pytest.raises((ParameterError, DataError)):
            connection.execute("SELECT 1 WHERE 'a' IN :vs", {"vs": ["a", value]})
        with pytest.raises(SQLTextError, match="surrogate"):
            connection.execute(unsafe_text(f"SELECT '{value}'"))
    assert connection.scalar("SELECT 1") == 1
    for raw in (b"\xff\xfe", b"\xbf'", b"\xbf\x5c", bytes(range(256))):
        back_or_unsent(connection, raw)


@pytest.mark.parametrize("charset", ["gbk", "sjis", "big5"])
def test_s15_no_character_set_makes_a_quote_of_a_value(
    connection: Connection, charset: str
) -> None:
    changes = {"postgresql": f"SET client_encoding TO '{charset}'", "sqlite": "SELECT 1"}
    change = changes.get(connection.engine.name, f"SET NAMES {charset}")
    try:
        connection.execute(unsafe_text(change))
    except DBAPIError:  # refused, and the connection with it
        connection.rollback()
    for value in ("\u7e5d'; --", "縗' OR 1=1 --", "表\\'"):  # their last bytes are a backslash
        try:
            found = connection.scalar("SELECT :v", {"v": value})
        except (DataError, ParameterError):  # the character set does not have it
            connection.rollback()
            continue
        assert found == value


HUGE = [2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 10**30, 10**5000]


@pytest.mark.parametrize("value", HUGE, ids=["max", "min", "max+1", "min-1", "10^30", "10^5000"])
def test_s16_a_huge_number_comes_back_or_is_refused_unsent(
    connection: Connection, value: int
) -> None:
    back_or_unsent(connection, value)
    try:
        found = connection.scalar("SELECT 1 WHERE 1 IN :vs", {"vs": [1, value]})
    except (ParameterError, DataError) as exc:
        assert getattr(exc, "code", None) is None  # noqa: PT017 # no server's
        found = 1
    assert found == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -0.0, 5e-324])
def test_s17_a_float_that_is_no_number_is_none_or_itself(
    connection: Connection, value: float
) -> None:
    try:
        found = connection.scalar("SELECT :v", {"v": value})
    except (ParameterError, DataError) as exc:
        assert getattr(exc, "code", None) is None  # noqa: PT017 # no server's: nothing was sent
        assert connection.scalar("SELECT 1") == 1
        return
    assert isinstance(found, float)
    assert found == value or (found != found and value != value)  # noqa: PLR0124 # nan
    assert connection.scalar("SELECT 1") == 1


def seconds(sql: str, engine: Engine) -> float:
    """The processor's time for one scan, whatever comes of it; the collector's is not counted."""
    gc.disable()
    try:
        start = time.process_time()
        with suppress(SQLTextError):
            scan(sql, engine.dialect.lexical)
        return time.process_time() - start
    finally:
        gc.enable()


@pytest.mark.slow
@pytest.mark.parametrize("odd", [False, True], ids=["closed", "unclosed"])
@pytest.mark.parametrize("unit", ["'", '"', "`", "/*", "$a$", ":", "--", "\\", " "])
def test_s33_twice_the_text_takes_twice_the_time(engine: Engine, unit: str, *, odd: bool) -> None:
    """1 MiB and 2 MiB, in turn; a run beside a busy machine is no measure, so the least counts."""
    count = (1 << 19) // len(unit) * 2
    texts = unit * (count + odd), unit * (count * 2 + odd)
    short = long = float("inf")
    for run in range(12):
        short, long = (
            min(least, seconds(text, engine))
            for least, text in zip((short, long), texts, strict=True)
        )
        if run >= 2 and long <= 2.5 * short:
            break
    assert long <= 2.5 * short
