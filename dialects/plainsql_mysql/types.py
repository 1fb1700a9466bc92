"""What PyMySQL takes as parameters, and what is made of other types before."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def _float(value: float) -> float:
    if not isfinite(value):
        raise ValueError(f"MySQL and MariaDB have no {value}")
    return float.__pos__(value)


def _decimal(value: Decimal) -> Decimal:
    if not value.is_finite():
        raise ValueError(f"MySQL and MariaDB have no {value}")
    return Decimal(value)


def _naive_datetime(value: datetime) -> datetime:
    if value.tzinfo is not None:
        raise ValueError(
            "MySQL and MariaDB store no time zone: convert to the column's zone and "
            "drop it by replace(tzinfo=None)"
        )
    return value


def _naive_time(value: time) -> time:
    if value.tzinfo is not None:
        raise ValueError("MySQL and MariaDB store no time zone: drop it by replace(tzinfo=None)")
    return value


def _enum(value: Enum) -> Any:
    inner = value.value
    codec = PARAMETER_CODECS.get(type(inner), _unknown)
    return inner if codec is None else codec(inner)


def _unknown(value: Any) -> Any:
    raise ValueError(f"MySQL and MariaDB can not take a value of type {type(value).__name__}")


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
    date: None,
    datetime: _naive_datetime,
    time: _naive_time,
    timedelta: None,
    "uuid.UUID": str,
    "pathlib.PurePath": str,
    Enum: _enum,
}
