"""What sqlite3 takes as parameters, and what is made of other types before.

Times go in as ISO 8601 text, as SQLite's own date functions read and write it, and durations, too.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from enum import Enum
from math import isnan
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from plainsql.codecs import Json, duration_text, plain_value

if TYPE_CHECKING:
    from collections.abc import Callable


def _float(value: float) -> float:
    if isnan(value):
        raise ValueError("SQLite would store NULL for nan")
    return float.__pos__(value)


def _decimal(value: Any) -> str:
    own = type(value).__module__ == "decimal"  # or a subclass with a `__str__` that may be odd
    return str(value if own else plain_value(value))


def _datetime(value: datetime) -> str:
    _require_offset(value)
    return value.isoformat(" ")


def _time(value: time) -> str:
    _require_offset(value)
    return time.isoformat(value)


def _require_offset(value: datetime | time) -> None:
    """Refuse what is written without its zone."""
    if value.tzinfo is not None and value.utcoffset() is None:
        raise ValueError(f"the zone {value.tzinfo} has no offset without a date")


PARAMETER_CODECS: dict[type | str, Callable[[Any], Any] | None] = {
    type(None): None,
    bool: None,
    int: None,  # beyond 64 bits sqlite3 raises OverflowError before it sends
    float: _float,
    str: None,
    bytes: None,
    bytearray: bytes,
    memoryview: bytes,
    "decimal.Decimal": _decimal,
    date: date.isoformat,
    datetime: _datetime,
    time: _time,
    "uuid.UUID": str,
    "pathlib.PurePath": str,
    Enum: attrgetter("value"),
    timedelta: duration_text,
    Json: str,
}
