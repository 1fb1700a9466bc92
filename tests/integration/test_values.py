"""The contract of values: what goes in comes out equal, or is refused before anything is sent.

`docs/reference/types.md` is written by this test from what it saw: with PLAINSQL_WRITE_TYPES=1 it
renews the page, else it fails where the page is stale.
"""

from __future__ import annotations

import enum
import math
import os
import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from plainsql import DataError, Json, ParameterError, Zoned, bindparam, text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plainsql import Connection, Engine

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "types.md"
DATABASES = ("sqlite", "postgresql", "mysql", "mariadb")
RENEW = os.environ.get("PLAINSQL_WRITE_TYPES")

SAME, REFUSED, BY_COLUMNS, BASE = "same", "refused", "`.columns()`", "base"
NO_SIGN = "`0.0`"  # equal to -0.0, but for its sign: the server keeps none


class Plain(enum.Enum):
    RED = "red"
    ONE = 1

    def __str__(self) -> str:
        return "ODD"


class Word(enum.StrEnum):
    RED = "red"

    def __str__(self) -> str:
        return "ODD"


class Number(enum.IntEnum):
    ONE = 1

    def __str__(self) -> str:
        return "ODD"


class LoudText(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "ODD"


class LoudNumber(int):
    def __str__(self) -> str:
        return "ODD"

    __repr__ = __str__


MOMENTS = datetime  # naive ones are meant
Columns = dict[str, str] | str


class Row(NamedTuple):
    """A row of the page: values of one kind, and the column that is made for them."""

    what: str
    values: Sequence[Any]
    column: Columns
    type: Any = None
    base: Callable[[Any], Any] | None = None


HUGE = {"sqlite": "INTEGER", "postgresql": "NUMERIC", "mysql": "DECIMAL(65)"}
BLOB = {"sqlite": "BLOB", "postgresql": "BYTEA", "mysql": "LONGBLOB"}
TEXT = {"sqlite": "TEXT", "postgresql": "TEXT", "mysql": "LONGTEXT CHARACTER SET utf8mb4"}
MOMENT = {"sqlite": "TEXT", "postgresql": "TIMESTAMP", "mysql": "DATETIME(6)"}
ZONED = {"sqlite": "TEXT", "postgresql": "TIMESTAMPTZ", "mysql": "DATETIME(6)"}
DURATION = {"sqlite": "TEXT", "postgresql": "INTERVAL", "mysql": "TIME(6)"}
JSON = {"sqlite": "TEXT", "postgresql": "JSONB", "mysql": "JSON"}
UNSIGNED = {"sqlite": "INTEGER", "postgresql": "NUMERIC", "mysql": "BIGINT UNSIGNED"}
IDENTITY = {"sqlite": "TEXT", "postgresql": "UUID", "mysql": "CHAR(36)"}

ROWS = {
    "V-none": Row("`None`", [None], "INT", int),
    "V-bool": Row("`bool`", [True, False], "BOOLEAN", bool),
    "V-int": Row("`int` of 64 bits", [0, 1, -1, 2**31, 2**63 - 1, -(2**63)], "BIGINT", int),
    "V-int-unsigned": Row("`int`, 2⁶³ to 2⁶⁴−1", [2**63, 2**64 - 1], UNSIGNED, int),
    "V-int-huge": Row("`int` beyond", [2**64, -(2**63) - 1, 10**5000], HUGE, int),
    "V-float": Row(
        "`float`", [0.0, 0.1, 1 / 3, -2.5, 1e308, 5e-324, 1e16], "DOUBLE PRECISION", float
    ),
    "V-minus-zero": Row("`-0.0`", [-0.0], "DOUBLE PRECISION", float),
    "V-infinite": Row("`inf`, `-inf`", [math.inf, -math.inf], "DOUBLE PRECISION", float),
    "V-nan": Row("`nan`", [math.nan], "DOUBLE PRECISION", float),
    "V-decimal": Row(
        "`Decimal`",
        [Decimal(s) for s in ("0", "1.10", "-0.5", "1000", "1E+3", "12345678901234567.890123456")],
        {"sqlite": "TEXT", "postgresql": "NUMERIC", "mysql": "DECIMAL({})"},
        Decimal,
    ),
    "V-decimal-long": Row(
        "`Decimal` of 66 digits, or 31 behind the point",
        [Decimal("9" * 66), Decimal("1E-31")],
        {"sqlite": "TEXT", "postgresql": "NUMERIC", "mysql": "DECIMAL(65, 30)"},
        Decimal,
    ),
    "V-decimal-nan": Row(
        '`Decimal("NaN")`',
        [Decimal("NaN")],
        {"sqlite": "TEXT", "postgresql": "NUMERIC", "mysql": "DECIMAL(65, 30)"},
        Decimal,
    ),
    "V-str": Row(
        "`str`",
        ["", "a'b\"c\\d%s:x?`--/*", "é\u2028\n\r\n\t\x01 ", "\U0001f600\uffff", "日本語" * 100],
        TEXT,
        str,
    ),
    "V-str-nul": Row("`str` with NUL", ["a\0b", "\0"], TEXT, str),
    "V-str-surrogate": Row("`str` with half a character", ["\ud800", "a\udcff"], TEXT, str),
    "V-bytes": Row("`bytes`", [b"", b"\0", bytes(range(256)), b"'\\"], BLOB, bytes),
    "V-bytearray": Row("`bytearray`", [bytearray(b"\0a")], BLOB, None, bytes),
    "V-memoryview": Row("`memoryview`", [memoryview(b"\0a")], BLOB, None, bytes),
    "V-date": Row("`date`", [date.min, date(2024, 2, 29), date.max], "DATE", date),
    "V-datetime": Row(
        "`datetime`, naive",
        [MOMENTS.min, MOMENTS(2024, 2, 29, 1, 2, 3, 4), MOMENTS(2024, 1, 1), MOMENTS.max],
        MOMENT,
        datetime,
    ),
    "V-datetime-aware": Row(
        "`datetime`, aware",
        [
            datetime(2024, 2, 29, 1, 2, 3, 4, UTC),
            datetime(2024, 2, 29, 1, 2, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
        ],
        ZONED,
        datetime,
    ),
    "V-datetime-zoned": Row(
        "`datetime`, aware, as `Zoned(UTC)`",
        [
            datetime(2024, 2, 29, 1, 2, 3, 4, UTC),
            datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
        ],
        MOMENT,
        Zoned(UTC),
    ),
    "V-time": Row(
        "`time`, naive",
        [time.min, time(1, 2), time.max],
        {"sqlite": "TEXT", "postgresql": "TIME", "mysql": "TIME(6)"},
        time,
    ),
    "V-time-aware": Row(
        "`time`, aware",
        [time(1, 2, tzinfo=UTC), time(1, 2, 3, 4, timezone(timedelta(hours=-3, minutes=-30)))],
        {"sqlite": "TEXT", "postgresql": "TIMETZ", "mysql": "TIME(6)"},
        time,
    ),
    "V-timedelta": Row(
        "`timedelta`",
        [timedelta(), timedelta(microseconds=-1), timedelta(hours=30, microseconds=1)],
        DURATION,
        timedelta,
    ),
    "V-timedelta-long": Row(
        "`timedelta` of more than 34 days",
        [timedelta(days=40, microseconds=5), timedelta(days=-1000)],
        DURATION,
        timedelta,
    ),
    "V-uuid": Row("`UUID`", [UUID(int=0), UUID(int=2**128 - 1)], IDENTITY, UUID),
    "V-json": Row(
        "`Json(…)`",
        [Json({"a": [1, 2.5, None, "é'\\\""]}), Json([]), Json("text"), Json(True)],
        JSON,
        Json,
        lambda value: value.value,
    ),
    "V-dict": Row("`dict`", [{}, {"a": 1}], JSON, dict),
    "V-list": Row(
        "`list` of numbers",
        [[1, 2], [None, 1], [[1, 2], [3, 4]]],
        {"sqlite": "TEXT", "postgresql": "INT[]", "mysql": "JSON"},
        list,
    ),
    "V-list-str": Row(
        "`list` of texts",
        [["a", None, '{"\\,}']],
        {"sqlite": "TEXT", "postgresql": "TEXT[]", "mysql": "JSON"},
        list,
    ),
    "V-enum": Row("`Enum`", [Plain.RED], TEXT, None, lambda value: value.value),
    "V-enum-int": Row("`Enum` of numbers", [Plain.ONE], "INT", None, lambda value: value.value),
    "V-strenum": Row("`StrEnum`", [Word.RED], TEXT, None, lambda value: value.value),
    "V-intenum": Row("`IntEnum`", [Number.ONE], "INT", None, lambda value: value.value),
    "V-path": Row("`PurePath`", [PurePosixPath("/a/b")], TEXT, None, lambda _: "/a/b"),
    "V-str-subclass": Row(
        "a subclass of `str`", [LoudText("quiet")], TEXT, None, lambda _: "quiet"
    ),
    "V-int-subclass": Row("a subclass of `int`", [LoudNumber(5)], "INT", None, lambda _: 5),
}

#: Beside `same` and `refused`: what may become of a value, the row and the way to it.
LOSSES = {(row, BASE) for row, kind in ROWS.items() if kind.base is not None and kind.type is None}
LOSSES |= {("V-minus-zero", NO_SIGN)}


@pytest.mark.parametrize("row", ROWS)
def test_a_value_comes_back_equal_or_is_refused(
    engine: Engine, table_name: str, database_kind: str, row: str
) -> None:
    kind = ROWS[row]
    with engine.connect() as connection:
        seen = {
            way: " · ".join(
                sorted({outcome(connection, kind, value, ask) for value in kind.values})
            )
            for way, ask in ways(table_name, kind, database_kind).items()
        }
    for way, word in seen.items():
        said = word in {SAME, REFUSED} or (row, word) in LOSSES
        lawful = word == BY_COLUMNS and (
            database_kind == "sqlite" or (row, way) == ("V-bool", "bare")
        )
        assert said or lawful, f"{row} {way}: {word}"
    compare_with_page(row, database_kind, " / ".join(seen.values()))


def ways(table: str, row: Row, database: str) -> dict[str, Any]:
    """How a value is sent and read: through a column, bare, through a column by a stated type."""
    column = row.column if isinstance(row.column, str) else row.column.get(database)
    column = column or row.column["mysql"]  # type: ignore[index]

    def through(connection: Connection, value: Any, read: Any, *, typed: bool = False) -> Any:
        insert = text(f"INSERT INTO {table} VALUES (:v)")
        if typed:
            insert = insert.bindparams(bindparam("v", type_=row.type))
        digits = "65, 0"
        if isinstance(value, Decimal) and value.is_finite():
            digits = f"65, {max(0, -int(value.as_tuple().exponent))}"
        connection.execute(text(f"CREATE TABLE {table} (v {column.format(digits)})"))
        try:
            connection.execute(insert, {"v": value})
            return connection.scalar(read(text(f"SELECT v FROM {table}")))
        finally:
            connection.rollback()
            connection.execute(text(f"DROP TABLE IF EXISTS {table}"))
            connection.commit()

    def bare(connection: Connection, value: Any, read: Any) -> Any:
        try:
            return connection.scalar(read(text("SELECT :v AS v")), {"v": value})
        finally:
            connection.rollback()

    def typed(connection: Connection, value: Any, read: Any) -> Any:
        del read
        return through(connection, value, lambda stmt: stmt.columns(v=row.type), typed=True)

    if isinstance(row.type, Zoned):
        return {"typed": typed}
    ways = {"column": through, "bare": bare}
    return {**ways, "typed": typed} if row.type else ways


def outcome(connection: Connection, row: Row, value: Any, ask: Any) -> str:
    """Say in a word what becomes of a value."""
    wanted = row.base(value) if row.base is not None and row.type is Json else value

    try:
        back = ask(connection, value, lambda stmt: stmt)
    except (ParameterError, DataError) as exc:
        if isinstance(exc, DataError) and exc.code is not None:
            return f"sent and failed: {exc}"
        return REFUSED
    if is_same(back, wanted):
        return SAME
    if row.base is not None and is_same(back, row.base(value)):
        return BASE
    try:
        read = ask(connection, value, lambda stmt: stmt.columns(v=row.type))
    except Exception as exc:  # noqa: BLE001 - whatever it is, the row of the page shows it
        read = exc
    if is_same(read, wanted):
        return BY_COLUMNS
    return NO_SIGN if back == value == 0 else f"{back!r}, read {read!r}"


def is_same(back: Any, value: Any) -> bool:
    """Equal and of the same type, down to the sign of a zero and the scale of a decimal."""
    if type(back) is not type(value):
        return False
    if isinstance(value, float):
        return repr(back) == repr(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            return str(back) == str(value)
        scale = max(0, -int(value.as_tuple().exponent))
        return bool(back == value) and max(0, -int(back.as_tuple().exponent)) == scale
    if isinstance(value, datetime) and value.tzinfo is not None:
        return back.tzinfo is not None and bool(back.timestamp() == value.timestamp())
    if isinstance(value, list):
        return len(back) == len(value) and all(map(is_same, back, value))
    return bool(back == value)


class Price(Decimal, enum.Enum):
    LOW = "1.50"


class Nested(enum.Enum):
    WORD = Word.RED
    PRICE = Decimal("1.50")
    TEXT = LoudText("quiet")
    PAIR = (1, 2)
    HUGE = 2**70


class LoudDecimal(Decimal):
    def __str__(self) -> str:
        return "99"


NOON = MOMENTS(2024, 1, 1, 12)

#: Values that a driver or a database could change in silence: as what they may come back.
ODD: dict[str, tuple[Any, Any]] = {
    "a member that is a decimal": (Price.LOW, Decimal("1.50")),
    "a member of a member": (Nested.WORD, "red"),
    "a decimal of a member": (Nested.PRICE, Decimal("1.50")),
    "an odd text of a member": (Nested.TEXT, "quiet"),
    "a tuple of a member": (Nested.PAIR, REFUSED),
    "a huge number of a member": (Nested.HUGE, REFUSED),
    "a huge odd number": (LoudNumber(2**70), REFUSED),
    "an odd decimal": (LoudDecimal("1.50"), Decimal("1.50")),
    "a time in a zone whose offset depends on the day": (
        time(1, 2, tzinfo=ZoneInfo("Europe/Berlin")),
        REFUSED,
    ),
    "a list of members": ([Price.LOW, Nested.PRICE], [Decimal("1.50")] * 2),
    "a list of members of members": ([Nested.WORD, "b"], ["red", "b"]),
    "a list of tuples": ([(1, 2)], REFUSED),
    "a list with a huge number": ([1, 2**70], REFUSED),
    "a list of naive and aware datetimes": ([NOON, NOON.replace(tzinfo=UTC)], REFUSED),
    "a list of aware and naive times": ([time(1, tzinfo=UTC), time(1)], REFUSED),
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_value_comes_back_as_its_base_or_is_refused(
    engine: Engine, database_kind: str, odd: str
) -> None:
    value, wanted = ODD[odd]
    if isinstance(value, list) and database_kind != "postgresql":
        wanted = REFUSED
    statement = text("SELECT :v AS v")
    if isinstance(wanted, Decimal):
        statement = statement.columns(v=Decimal)
    with engine.connect() as connection:
        if wanted is not REFUSED:
            back = connection.scalar(statement, {"v": value})
            assert is_same(back, wanted)
            return
        with pytest.raises((ParameterError, DataError)) as caught:
            connection.scalar(statement, {"v": value})
        assert getattr(caught.value, "code", None) is None  # no server's, so nothing was sent


@pytest.mark.parametrize("members", [[NOON, NOON.replace(tzinfo=UTC)], [None, NOON, NOON]])
def test_a_list_to_look_among_has_one_kind_of_times(
    engine: Engine, database_kind: str, members: list[Any]
) -> None:
    """PostgreSQL's array would be of the first one's."""
    mixed = len({m.tzinfo for m in members if m}) > 1
    with engine.connect() as connection:
        ask = text("SELECT 1 WHERE :v IN :vs")
        if mixed and database_kind != "sqlite":
            with pytest.raises(ParameterError, match=r"time zone|all aware or all naive"):
                connection.execute(ask, {"v": NOON, "vs": members})
        else:
            assert connection.scalar(ask, {"v": NOON, "vs": members}) == 1


# -- the page ------------------------------------------------------------------------------------


def compare_with_page(row: str, database: str, cell: str) -> None:
    """Compare with the cell of the page, or write it."""
    page = PAGE.read_text("utf-8")
    line = re.search(rf"^\| {row} \|.*$", page, re.MULTILINE)
    cells = [part.strip() for part in line[0].split("|")[1:-1]] if line else [row, "", *[""] * 4]
    at = 2 + DATABASES.index(database)
    if RENEW:
        cells[1] = ROWS[row].what
        cells[at] = cell
        new = f"| {' | '.join(cells)} |"
        page = page.replace(line[0], new) if line else page.rstrip("\n") + f"\n{new}\n"
        PAGE.write_text(page, "utf-8")
        return
    assert (cells[1], cells[at]) == (ROWS[row].what, cell), (
        f"{PAGE.name} is stale: PLAINSQL_WRITE_TYPES=1 pytest tests/integration/test_values.py"
    )


def test_the_page_has_a_line_for_each_row_and_no_other() -> None:
    lines = re.findall(r"^\| (V-\S+) \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert lines == list(ROWS)
