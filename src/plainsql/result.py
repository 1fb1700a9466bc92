"""What a statement gave back: Result, and its views ScalarResult and MappingResult.

Floor 2: everything is in memory already, so there is no async twin and nothing to wait for.
Rows flow raw tuple → unit (a Row, or one value) → distinct → what the caller sees; a view draws
from the iterator of its Result, so a row is given out once, whoever asks.  `shaped`, `Distinct`,
`pick`, `only` and `only_or_none` are the decisions that the streams share.
"""

# The classes of this module read each other's private state, nobody else does.
# ruff: noqa: SLF001

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar, cast

from .errors import ArgumentError, MultipleResultsFound, NoResultFound, ResultError
from .row import Keys, RowMapping, position, row_class

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from .row import Row

T = TypeVar("T")

Raw = tuple[Any, ...]
Strategy = Callable[[Any], Any]

_FIRST_COLUMN = itemgetter(0)


class Distinct:
    """Drop what was given out before; `strategy` turns a row or value into what must differ."""

    __slots__ = ("_seen", "_strategy")

    def __init__(self, strategy: Strategy | None) -> None:
        self._seen: set[Any] = set()
        self._strategy = strategy

    def afresh(self) -> Distinct:
        """Return the same filter with nothing seen yet."""
        return Distinct(self._strategy)

    def among(self, units: Iterable[T]) -> Iterator[T]:
        """Yield those of `units` that were not seen before; take no more than is asked for."""
        strategy = self._strategy
        for unit in units:
            if self._is_new(unit if strategy is None else strategy(unit)):
                yield unit

    def _is_new(self, mark: object) -> bool:
        try:
            if mark in self._seen:
                return False
            self._seen.add(mark)
        except TypeError as exc:
            raise ResultError(
                f"unique() can not compare the rows: {exc}; "
                "give it a strategy, a callable that turns a row into something hashable"
            ) from exc
        return True


def shaped(
    rows: Iterator[Raw],
    unit: Callable[[Raw], Any],
    unique: Distinct | None,
    wrap: Callable[[Any], Any] | None,
) -> Iterator[Any]:
    """Turn raw rows lazily into what the caller sees."""
    units: Iterator[Any] = map(unit, rows)
    if unique is not None:
        units = unique.among(units)
    return units if wrap is None else map(wrap, units)


def pick(cls: type[Row], indexes: tuple[int, ...] | None) -> Callable[[Raw], Row]:
    """Return what makes a row of class `cls` from the columns at `indexes` of a raw row."""
    if indexes is None:
        return cls
    return lambda raw: cls([raw[at] for at in indexes])


def only(units: Iterator[T]) -> T:
    """Return the only one of `units`; raise if there is none or a second one."""
    for unit in units:
        for _ in units:
            raise _too_many()
        return unit
    raise NoResultFound(
        "no row was found where one is required; "
        "one_or_none() or scalar_one_or_none() give None instead"
    )


def only_or_none(units: Iterator[T]) -> T | None:
    """Return the only one of `units` or None; raise if there is a second one."""
    for unit in units:
        for _ in units:
            raise _too_many()
        return unit
    return None


def _too_many() -> MultipleResultsFound:
    return MultipleResultsFound(
        "more than one row was found where at most one is expected; "
        "first() or scalar() take the first, all() takes every row"
    )


def batch_size(size: Any) -> int:
    """Return `size`, refusing what is no number of rows."""
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise ArgumentError(f"a batch must be a whole number of rows from 1 on, not {size!r}")
    return size


class View(NamedTuple):
    """How the rows are shown: what makes one of a raw row, columns, filter, rows at a time.

    `into` is the class that `unit` makes objects of, where the caller asked for one.
    """

    unit: Callable[[Raw], Any] | None = None
    indexes: tuple[int, ...] | None = None
    unique: Distinct | None = None
    batch: int = 1
    into: type | None = None

    def afresh(self) -> View:
        """Return the same view with nothing seen yet by its filter."""
        return self if self.unique is None else self._replace(unique=self.unique.afresh())

    def require_rows(self) -> None:
        """Refuse another view on what is not shown as rows."""
        if self.into is not None:
            raise ResultError(
                f"the rows are {self.into.__name__} objects, as into= asked: "
                "leave into= out for columns, scalars, mappings and tuples"
            )


PLAIN = View()


class _Fetch(Generic[T]):
    """The fetch methods, of a Result with rows of its own and of views on one."""

    __slots__ = ("_row_class", "_view")

    _wrap: ClassVar[type[RowMapping] | None] = None

    _row_class: type[Row] | None
    _view: View

    def _raw(self) -> Iterator[Raw] | None:
        """Return the rows that were not fetched yet, as the driver gave them; None once closed."""
        raise NotImplementedError

    def _left(self) -> Iterator[T]:
        """Return what was not fetched yet, lazily, or raise."""
        rows, view = self._raw(), self._view
        unit = view.unit or self._row_class
        if rows is None or unit is None:
            raise self._refusal()
        if view.unique is None and self._wrap is None:
            return map(unit, rows)
        return shaped(rows, unit, view.unique, self._wrap)

    def _refusal(self) -> ResultError:
        if self._row_class is None:
            return ResultError(
                "this result has no rows: the statement returned none; "
                "rowcount tells how many it changed, RETURNING returns them where the database can"
            )
        return ResultError(
            "this result is closed: first(), one(), scalar(), close() and the like end it; "
            "fetch the rows before"
        )

    def all(self) -> list[T]:
        """Return all rows that are left; a second call returns an empty list."""
        return list(self._left())

    def fetchall(self) -> list[T]:
        """Return all rows that are left, as `all()`."""
        return list(self._left())

    def first(self) -> T | None:
        """Return the first row, or None if there is none, and close the result."""
        units = self._left()
        self.close()
        return next(units, None)

    def one(self) -> T:
        """Return the only row and close the result; raise if there is none or a second one."""
        units = self._left()
        self.close()
        return only(units)

    def one_or_none(self) -> T | None:
        """Return the only row, or None, and close the result; raise if there is a second one."""
        units = self._left()
        self.close()
        return only_or_none(units)

    def fetchmany(self, size: int | None = None) -> list[T]:
        """Return the next `size` rows or what is left; by default what `yield_per` said, or 1."""
        return list(islice(self._left(), self._view.batch if size is None else batch_size(size)))

    def partitions(self, size: int | None = None) -> Iterator[list[T]]:
        """Iterate over lists of `size` rows; by default what `yield_per` said, or 1."""
        size = self._view.batch if size is None else batch_size(size)
        return iter(lambda: list(islice(self._left(), size)), [])

    def yield_per(self, num: int) -> Self:
        """Let `partitions` and `fetchmany` give `num` rows at a time; all are in memory already."""
        self._view = self._view._replace(batch=batch_size(num))
        return self

    def unique(self, strategy: Strategy | None = None) -> Self:
        """Give out equal rows once.

        `strategy` takes a row (or a value, of a ScalarResult) and returns what must differ.
        """
        self._view = self._view._replace(unique=Distinct(strategy))
        return self

    def close(self) -> None:
        """Drop the rows that are left; fetching then raises ResultError."""
        raise NotImplementedError

    @property
    def closed(self) -> bool:
        """Whether the result was closed."""
        return self._raw() is None

    def __iter__(self) -> Iterator[T]:
        return self._left()

    def __next__(self) -> T:
        return next(self._left())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Rows(_Fetch[T]):
    """What Result and MappingResult can and ScalarResult can not: their columns have names."""

    __slots__ = ()

    def fetchone(self) -> T | None:
        """Return the next row, or None when there is none; do not close the result."""
        return next(self._left(), None)

    def keys(self) -> Keys:
        """Return the names of the columns, in order."""
        if self._row_class is None:
            raise self._refusal()
        return Keys(self._row_class._fields)

    def columns(self, *keys: int | str) -> Self:
        """Give out these columns only, by name or index, in this order; return the result itself.

        Raises ResultError if there is no such column, AmbiguousColumn if several bear the name.
        """
        cls = self._columns()
        at = [position(cls, key) for key in keys]
        before = self._view.indexes
        indexes = tuple(at if before is None else [before[i] for i in at])
        self._row_class = cls = row_class(tuple([cls._fields[i] for i in at]))
        self._view = self._view.afresh()._replace(unit=pick(cls, indexes), indexes=indexes)
        return self

    def _columns(self) -> type[Row]:
        """Return the class of the rows, for another view on them."""
        if self._row_class is None:
            raise self._refusal()
        self._view.require_rows()
        return self._row_class


class Result(_Rows[T]):
    """The rows of a statement, all in memory, and what the driver said of it.

    `T` is the class that `into=` said, or Any, for a `Row`.  Each row is given out once.
    `rowcount` is the driver's, -1 where it does not know; `lastrowid` is the key that an INSERT
    generated, where the database tells.  Rows stay valid after the connection is released.
    `first()`, `one()` and the scalar methods close the result.
    """

    __slots__ = ("_rows", "lastrowid", "rowcount")

    _rows: Iterable[Raw] | None  # as they came, until somebody draws from them

    def __init__(
        self,
        row_class: type[Row] | None,
        rows: Iterable[Raw] | None,
        rowcount: int,
        lastrowid: Any = None,
        view: View = PLAIN,
    ) -> None:
        self._rows = () if rows is None else rows
        self._row_class = row_class
        self._view = view
        self.rowcount = rowcount
        self.lastrowid = lastrowid

    def one(self) -> T:
        """Return the only row and close the result; raise if there is none or a second one."""
        rows, cls = self._rows, self._row_class
        if rows.__class__ is list and len(rows) == 1 and self._view is PLAIN and cls is not None:
            self._rows = None
            return cls(rows[0])  # type: ignore[return-value]
        return super().one()

    def _raw(self) -> Iterator[Raw] | None:
        rows = self._rows
        if rows is not None:
            rows = self._rows = iter(rows)
        return rows

    def close(self) -> None:
        """Drop the rows that are left; fetching then raises ResultError."""
        self._rows = None

    @property
    def returns_rows(self) -> bool:
        """Whether the statement returned rows, be it none."""
        return self._row_class is not None

    def scalar(self) -> Any:
        """Return the first column of the first row, or None without a row; close the result."""
        values = self._values()
        self.close()
        return next(values, None)

    def scalar_one(self) -> Any:
        """Return the first column of the only row; raise if there is none or a second one."""
        values = self._values()
        self.close()
        return only(values)

    def scalar_one_or_none(self) -> Any:
        """Return the first column of the only row, or None; raise if there is a second row."""
        values = self._values()
        self.close()
        return only_or_none(values)

    def _values(self) -> Iterator[Any]:
        """Return the first column of what is left; plainly where nothing was asked before."""
        cls, rows = self._row_class, self._raw()
        plain = self._view is PLAIN
        if plain and rows is not None and cls is not None and cls._fields:
            return map(_FIRST_COLUMN, rows)
        return self.scalars()._left()

    def scalars(self, index: int | str = 0) -> ScalarResult[Any]:
        """Return a view that gives one column's values instead of rows."""
        at = position(self._columns(), index)
        indexes = self._view.indexes
        return ScalarResult(self, at if indexes is None else indexes[at])

    def mappings(self) -> MappingResult:
        """Return a view that gives each row as a mapping from column name to value."""
        return MappingResult(self)

    def tuples(self) -> Result[tuple[Any, ...]]:
        """Return the result itself, its rows typed as plain tuples."""
        self._view.require_rows()
        return cast("Result[tuple[Any, ...]]", self)

    def __repr__(self) -> str:
        if self._row_class is None:
            return f"<Result: no rows, rowcount {self.rowcount}>"
        state = "closed, " if self.closed else ""
        return f"<Result: {state}columns {', '.join(map(repr, self._row_class._fields))}>"


class _OnResult(_Fetch[T]):
    """A view on a Result: what it gives out is taken from the Result's rows."""

    __slots__ = ("_home",)

    def __init__(self, home: Result[Any], view: View) -> None:
        self._home = home
        self._row_class = home._columns()
        self._view = view

    def _raw(self) -> Iterator[Raw] | None:
        return self._home._raw()

    def close(self) -> None:
        """Drop the rows that are left; fetching then raises ResultError."""
        self._home.close()


class ScalarResult(_OnResult[T]):
    """One column of a Result, value by value; made by `Result.scalars`."""

    __slots__ = ()

    def __init__(self, home: Result[Any], index: int) -> None:
        unit = _FIRST_COLUMN if index == 0 else itemgetter(index)
        super().__init__(home, home._view.afresh()._replace(unit=unit))


class MappingResult(_OnResult[RowMapping], _Rows[RowMapping]):
    """A Result whose rows are mappings; made by `Result.mappings`."""

    __slots__ = ()

    _wrap = RowMapping

    def __init__(self, home: Result[Any]) -> None:
        super().__init__(home, home._view.afresh())
