"""What psycopg takes as parameters.

It knows nearly every type, and takes more by its own adapters; what stands here is what must be
made plain first: enumerations, and subclasses, whose own `__str__` is not asked.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from operator import attrgetter
from typing import TYPE_CHECKING, Any
from uuid import UUID

from plainsql.codecs import Json, plain_value

if TYPE_CHECKING:
    from collections.abc import Callable


INT = range(-(1 << 63), 1 << 63)


#: What the length of a value and its format take in a message.
HEADER = 8


def size(value: Any, bytes_as: int = 1) -> int:
    """Return how many bytes a value takes in a message; what is always short counts as 64."""
    if isinstance(value, str):
        return HEADER + (len(value) if value.isascii() else len(value.encode(errors="replace")))
    if isinstance(value, bytes | bytearray | memoryview):
        return HEADER + bytes_as * memoryview(value).nbytes
    if isinstance(value, list | tuple):
        return HEADER + sum([size(item, bytes_as) for item in value])
    text = getattr(value, "obj", None)  # of psycopg's Json
    return size(text, bytes_as) if isinstance(text, str) else 64


def _json(text: str) -> Any:
    from psycopg.types.json import Jsonb

    return Jsonb(text, dumps=str)


class Text(str):
    """A str in an array, sent as text: an array of unknown type would come back as one text."""

    __slots__ = ()


class Null:
    """NULL of a known type: alone, the server can not tell its type."""

    __slots__ = ("oid",)

    def __init__(self, oid: int) -> None:
        self.oid = oid

    def __repr__(self) -> str:
        return "None"


NULLS = {
    bool: Null(16),
    bytes: Null(17),
    int: Null(20),
    str: Null(25),
    float: Null(701),
    date: Null(1082),
    time: Null(1083),
    datetime: Null(1114),
    timedelta: Null(1186),
    Decimal: Null(1700),
    UUID: Null(2950),
    Json: Null(3802),
}


def null_dumper() -> Any:
    """Return the class that sends a `Null` with its oid."""
    from psycopg.adapt import Dumper

    class NullDumper(Dumper):
        def get_key(self, obj: Null, format: Any) -> Any:
            return (Null, obj.oid)

        def upgrade(self, obj: Null, format: Any) -> Any:
            dumper = NullDumper(Null)
            dumper.oid = obj.oid
            return dumper

        def dump(self, obj: Null) -> None:
            return None

    return NullDumper


class Array(list[Any]):
    """The list of `IN :ids`; what it is compared with gives its items their type."""


def array(members: list[Any]) -> Array:
    """Return the array for `IN`; its members are plain."""
    _require_one_clock(members)
    return Array(members)


def _list(value: list[Any]) -> list[Any]:
    """Make the items plain: psycopg would send an enumeration's name, and ask a `__str__`."""
    items = [_item(item) for item in value]
    _require_one_clock(items)
    return items


def _require_one_clock(items: list[Any]) -> None:
    """Refuse aware times among naive ones: psycopg sends all as it sends the first."""
    if any(issubclass(kind, datetime | time) for kind in {*map(type, items)}):
        zoned = {item.tzinfo is None for item in items if isinstance(item, datetime | time)}
        if len(zoned) > 1:
            raise ValueError("a list of times must be all aware or all naive")


def _tuple(value: tuple[Any, ...]) -> Any:
    """Refuse it: psycopg would send a row, which comes back as text."""
    del value
    raise ValueError("is a tuple, which is no value: give a list for an array, or :a, :b for a row")


def _item(value: Any) -> Any:
    if isinstance(value, Enum):
        return _item(value.value)
    if isinstance(value, list):
        return _list(value)
    if isinstance(value, tuple):
        _tuple(value)
    value = plain_value(value)
    if value.__class__ is int and value not in INT:
        raise ValueError("PostgreSQL would give back an int of more than 64 bits as a Decimal")
    return Text(value) if isinstance(value, str) else value


def _text(value: str) -> Text:
    return Text(plain_value(value))  # or Text would ask the value's own `__str__`


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
    list: _list,
    tuple: _tuple,
    Array: None,
    Text: None,
    Null: None,
    "pathlib.PurePath": str,
    Json: _json,
    Enum: attrgetter("value"),
}

# A text of unknown type takes the type of its place, and has none where there is no place.
TYPED_CODECS: dict[type | str, Callable[[Any], Any] | None] = {str: _text}
