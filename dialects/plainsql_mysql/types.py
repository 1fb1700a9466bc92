"""What PyMySQL takes as parameters, and what is made of other types before.

PyMySQL writes values into the text.  A plain literal loses its type where no column gives it one,
so `Literal` writes dates, times and decimals with theirs; `teach` tells a connection how.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from plainsql.codecs import Json

if TYPE_CHECKING:
    from collections.abc import Callable

INT = range(-(1 << 63), 1 << 64)  # BIGINT, signed or not; beyond, a DECIMAL would come back
LONGEST = timedelta(hours=838, minutes=59, seconds=59)  # of TIME
DIGITS, SCALE = 65, 30  # of DECIMAL
TIME_TEXT = (
    "a TIME is a duration and comes back as timedelta: give a timedelta, or say "
    "bindparam(…, type_=time) and .columns(…=time)"
)


class Literal:
    """SQL of our own making that stands for a value; never a user's text."""

    __slots__ = ("sql",)

    def __init__(self, sql: str) -> None:
        self.sql = sql

    def __eq__(self, other: object) -> bool:
        return self.sql == other.sql if isinstance(other, Literal) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.sql)

    def __repr__(self) -> str:
        return self.sql


def teach(encoders: dict[Any, Any]) -> None:
    """Let a connection write literals, and refuse numbers that would change."""
    encoders[Literal] = lambda literal, _: literal.sql
    encoders[int] = _int


def _int(value: int, _: Any = None) -> str:
    if value not in INT:
        raise OverflowError(
            "MySQL and MariaDB have no integer of more than 64 bits: give a Decimal"
        )
    return str(value)


def _float(value: float) -> float:
    if not isfinite(value):
        raise ValueError(f"MySQL and MariaDB have no {value}")
    return float.__pos__(value)


def _decimal(value: Decimal) -> Literal:
    if not value.is_finite():
        raise ValueError(f"MySQL and MariaDB have no {value}")
    _, digits, exponent = value.as_tuple()
    scale = max(0, -int(exponent))
    if scale > SCALE or max(len(digits) + int(exponent), 0) + scale > DIGITS:
        raise ValueError(f"a DECIMAL has at most {DIGITS} digits, {SCALE} of them behind the point")
    text = format(value, "f")
    return Literal(text if scale else f"{text}.")


def _date(value: date) -> Literal:
    return Literal(f"DATE'{value.year:04}-{value.month:02}-{value.day:02}'")


def _datetime(value: datetime) -> Literal:
    if value.tzinfo is not None:
        raise ValueError(
            "MySQL and MariaDB store no time zone: convert to the column's zone and drop it by "
            "replace(tzinfo=None), or say bindparam(…, type_=Zoned(zone)) and .columns(…=Zoned(…))"
        )
    return Literal(f"TIMESTAMP'{datetime.isoformat(value, ' ')}'")


def _time(value: time) -> Literal:
    if value.tzinfo is not None:
        raise ValueError("MySQL and MariaDB store no time zone: drop it by replace(tzinfo=None)")
    return Literal(f"TIME'{time.isoformat(value)}'")


def _bare_time(value: time) -> Literal:
    _time(value)  # what is worse is said first
    raise ValueError(f"MySQL and MariaDB: {TIME_TEXT}")


def _timedelta(value: timedelta) -> Literal:
    if abs(value) > LONGEST:
        raise ValueError(f"a TIME is at most {LONGEST} long")
    micro = abs(value) // timedelta(microseconds=1)
    seconds, micro = divmod(micro, 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if value < timedelta() else ""
    return Literal(f"TIME'{sign}{hours:02}:{minutes:02}:{seconds:02}.{micro:06}'")


def _json(text: str) -> Literal:
    return Literal(f"CAST(_utf8mb4 X'{text.encode().hex()}' AS JSON)")


def tinyint(value: int) -> int:
    """Read a TINYINT(1), which is what BOOLEAN means; other numbers in it stay."""
    return bool(value) if value in (0, 1) else value


PARAMETER_CODECS: dict[type | str, Callable[[Any], Any] | None] = {
    type(None): None,
    bool: None,
    int: None,
    float: _float,
    str: None,
    bytes: None,
    bytearray: bytes,
    memoryview: bytes,
    Decimal: _decimal,
    date: _date,
    datetime: _datetime,
    time: _bare_time,
    timedelta: _timedelta,
    "pathlib.PurePath": str,
    Enum: attrgetter("value"),
    Literal: None,
}
TYPED_CODECS: dict[type | str, Callable[[Any], Any] | None] = {time: _time, "uuid.UUID": str}
MYSQL_PARAMETERS = {**PARAMETER_CODECS, Json: _json}
MARIADB_TYPED = {**TYPED_CODECS, Json: str}
