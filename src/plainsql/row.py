"""Rows: a tuple whose columns are attributes, and the mapping view of one row.

Floor 2.  `row_class` makes one class per tuple of column names; a row is then `cls(raw)`, which
is `tuple.__new__` and runs no Python code.  `result` builds rows, nobody else needs to.
"""

# The classes of this module read each other's private state, nobody else does.
# ruff: noqa: SLF001

from __future__ import annotations

from collections.abc import ItemsView, KeysView, Mapping, ValuesView
from operator import itemgetter
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from .errors import AmbiguousColumn, ResultError

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    from collections import _tuplegetter  # type: ignore[attr-defined]
except ImportError:  # not CPython: a property does the same, slower

    def _tuplegetter(index: int, doc: str) -> property:
        return property(itemgetter(index), doc=doc)


_CACHE_SIZE = 512
_AMBIGUOUS = -1

_classes: dict[tuple[str, ...], type[Row]] = {}
_lock = Lock()


def begin_in_child() -> None:
    """Renew, after a fork, the lock that a thread of the parent may have held."""
    global _lock
    _lock = Lock()


def row_class(names: tuple[str, ...]) -> type[Row]:
    """Return the class of rows with these columns; the same one while it stays in the cache."""
    cls = _classes.get(names)
    return _remember(names) if cls is None else cls


def _remember(names: tuple[str, ...]) -> type[Row]:
    cls = _build(names)
    with _lock:
        while len(_classes) >= _CACHE_SIZE:
            del _classes[next(iter(_classes))]
        return _classes.setdefault(names, cls)


def _build(names: tuple[str, ...]) -> type[Row]:
    positions: dict[str, int] = {}
    for at, name in enumerate(names):
        positions[name] = _AMBIGUOUS if name in positions else at
    namespace: dict[str, Any] = {
        name: _tuplegetter(at, f"Column {at}.")
        for name, at in positions.items()
        if at >= 0 and not name.startswith("_")
    }
    namespace.update(__slots__=(), __module__=__name__, _fields=names, _positions=positions)
    return type("Row", (Row,), namespace)


def _restore(names: tuple[str, ...], values: tuple[Any, ...]) -> Row:
    return row_class(names)(values)


class Row(tuple[Any, ...]):
    """One row: a tuple whose columns are also attributes.

    A column wins over a tuple method of the same name (`count`, `index`).  A column whose name
    begins with `_`, or stands twice, is reached by its index; the former also by `_mapping`.
    """

    __slots__ = ()

    _fields: ClassVar[tuple[str, ...]] = ()
    _positions: ClassVar[dict[str, int]] = {}

    if TYPE_CHECKING:  # may be columns as well as methods
        count: Any
        index: Any

    def __getattr__(self, name: str) -> Any:
        """Explain why `name` is no attribute; columns never come here."""
        at = self._positions.get(name)
        if at is None:
            raise AttributeError(no_column(self._fields, name), name=name, obj=self)
        if at == _AMBIGUOUS:
            raise _ambiguous(self._fields, name)
        raise AttributeError(
            f"the column {name!r} begins with '_': reach it by row[{at}] or row._mapping[{name!r}]",
            name=name,
            obj=self,
        )

    @property
    def _mapping(self) -> RowMapping:
        """The row as a mapping from column name to value."""
        return RowMapping(self)

    @property
    def _t(self) -> tuple[Any, ...]:
        """The row, typed as a plain tuple."""
        return self

    def _tuple(self) -> tuple[Any, ...]:
        """Return the row, typed as a plain tuple."""
        return self

    def _asdict(self) -> dict[str, Any]:
        """Return a new dict of the columns; raise AmbiguousColumn if a name stands twice."""
        if len(self._positions) < len(self):
            raise _ambiguous(self._fields, _repeated(self._positions))
        return dict(zip(self._fields, self, strict=True))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (self._fields, tuple(self))


class Keys(KeysView[str]):
    """The column names in order; equal to any sequence of the same names."""

    __slots__ = ()

    if TYPE_CHECKING:  # a view needs no more of its mapping than a tuple has

        def __init__(self, names: tuple[str, ...]) -> None: ...

    def __eq__(self, other: object) -> bool:
        try:
            return list(self) == list(other)  # type: ignore[call-overload, no-any-return]
        except TypeError:
            return NotImplemented

    __hash__ = None  # type: ignore[assignment]


class Values(ValuesView[Any]):
    """The values of a row in order, those of equally named columns too."""

    __slots__ = ()
    _mapping: RowMapping

    def __iter__(self) -> Iterator[Any]:
        return iter(self._mapping._row)

    def __contains__(self, value: object) -> bool:
        return value in self._mapping._row


class Items(ItemsView[str, Any]):
    """The pairs of name and value in order, those of equally named columns too."""

    __slots__ = ()
    _mapping: RowMapping

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        row = self._mapping._row
        return zip(row._fields, row, strict=True)

    def __contains__(self, item: object) -> bool:
        return any(item == mine for mine in self)


class RowMapping(Mapping[str, Any]):
    """One row as a read-only mapping from column name to value, in the order of the columns.

    A name that stands twice is listed twice, by `items()` with both values; asking for it by name
    raises AmbiguousColumn.
    """

    __slots__ = ("_row",)

    def __init__(self, row: Row) -> None:
        self._row = row

    def __getitem__(self, name: str) -> Any:
        at = self._row._positions.get(name)
        if at is None:
            raise KeyError(no_column(self._row._fields, name))
        if at == _AMBIGUOUS:
            raise _ambiguous(self._row._fields, name)
        return self._row[at]

    def __iter__(self) -> Iterator[str]:
        return iter(self._row._fields)

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, name: object) -> bool:
        return name in self._row._positions

    def keys(self) -> Keys:
        """Return the column names, in order."""
        return Keys(self._row._fields)

    def values(self) -> ValuesView[Any]:
        """Return the values, in the order of the columns."""
        return Values(self)

    def items(self) -> ItemsView[str, Any]:
        """Return the pairs of name and value, in the order of the columns."""
        return Items(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        mine = self._row
        if isinstance(other, RowMapping) and mine._fields == other._row._fields:
            return tuple.__eq__(mine, other._row)
        unambiguous = len(mine._positions) == len(mine) == len(other)
        return unambiguous and dict(self.items()) == dict(other.items())

    def __hash__(self) -> int:
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple[Any, ...]:
        return RowMapping, (self._row,)

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{name!r}: {value!r}" for name, value in self.items()) + "}"


def position(cls: type[Row], key: int | str) -> int:
    """Return the index of the column `key`; a negative one counts from the last column."""
    fields = cls._fields
    if isinstance(key, int):
        if -len(fields) <= key < len(fields):
            return key % len(fields)
        raise ResultError(no_column(fields, key))
    at = cls._positions.get(key)
    if at is None:
        raise ResultError(no_column(fields, key))
    if at == _AMBIGUOUS:
        raise _ambiguous(fields, key)
    return at


def no_column(fields: tuple[str, ...], key: object) -> str:
    """Return the text that says that there is no column `key`, and which there are."""
    return f"there is no column {key!r}: the columns are {', '.join(map(repr, fields)) or 'none'}"


def _repeated(positions: dict[str, int]) -> str:
    return next(name for name, at in positions.items() if at == _AMBIGUOUS)


def _ambiguous(fields: tuple[str, ...], name: str) -> AmbiguousColumn:
    at = [str(i) for i, field in enumerate(fields) if field == name]
    return AmbiguousColumn(
        f"{len(at)} columns are named {name!r}: reach them by index ({', '.join(at)}), "
        "or give them different names with AS"
    )
