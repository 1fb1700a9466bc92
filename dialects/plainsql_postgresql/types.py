"""What psycopg takes as parameters.

It knows nearly every type, and takes more by its own adapters; what stands here is what must be
made plain first: enumerations, and subclasses, whose own `__str__` is not asked.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable


def _enum(value: Enum) -> Any:
    return value.value


PARAMETER_CODECS: dict[type | str, Callable[[Any], Any] | None] = {
    type(None): None,
    bool: None,
    int: None,
    float: None,
    str: None,
    bytes: None,
    bytearray: bytes,
    memoryview: bytes,
    date: None,
    datetime: None,
    time: None,
    timedelta: None,
    Decimal: None,
    UUID: None,
    list: None,
    "pathlib.PurePath": str,
    Enum: _enum,
}
