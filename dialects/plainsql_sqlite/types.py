"""What sqlite3 takes as parameters, and what is made of other types before.

Times go in as ISO 8601 text, as SQLite's own date functions read and write it, and durations, too.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from enum import Enum
from math import isnan
from typing import TYPE_CHECKING, Any

from plainsql.codecs import Json, duration_text

if TYPE_CHECKING:
    from collections.abc import Callable


def _float(value: float) -> float:
    if isnan(value):
        raise ValueError("SQLite would store NULL for nan")
    return float.__pos__(value)


def _enum(value: Enum) -> Any:
    inner = value.value
    codec = PARAMETER_CODECS.get(type(inner), _unknown)
    return inner if codec is None else codec(inner)


def _unknown(value: Any) -> Any:
    raise ValueError(f"SQLite can not take a value of type {type(value).__name__}")


PARAMETER_CODECS: dict[type | str, Callable[[Any], Any] | None] = {
    type(None): None,
    bool: None,
    int: None,  # beyond 64 bits sqlite3 raises OverflowError before it sends
    float: _float,
    str: None,
    bytes: None,
    bytearray: bytes,
    memoryview: bytes,
    "decimal.Decimal": str,
    date: date.isoformat,
    datetime: lambda value: value.isoformat(" "),
    time: time.isoformat,
    "uuid.UUID": str,
    "pathlib.PurePath": str,
    Enum: _enum,
    timedelta: duration_text,
    Json: str,
}
