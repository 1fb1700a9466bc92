"""Rows as they come: the fetch methods of a result, with I/O and bounded memory.

Floor 3, source of the sync twin.  At most one batch is held; what is asked for beyond it is
fetched then.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from plainsql._async.link import Orphan
from plainsql.errors import ArgumentError, MappingError, ResultError, TransactionStateError
from plainsql.result import PLAIN, Distinct, batch_size, only, only_or_none, pick
from plainsql.row import position
from plainsql.url import not_pickled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from types import TracebackType
    from typing import Self

    from plainsql._async.connection import AsyncConnection
    from plainsql.codecs import Decoding
    from plainsql.result import View
    from plainsql.row import Row
    from plainsql.statement import Compiled

T = TypeVar("T")


class AsyncFetch(Generic[T]):
    """What a stream and its views share: drawing from one source, a batch at a time."""

    if TYPE_CHECKING:

        @property
        def _source(self) -> AsyncStream[Any]: ...

    _make: Callable[[Any], T]
    _unique: Distinct | None = None

    async def fetchmany(self, size: int | None = None) -> list[T]:
        """Return the next `size` rows (one batch by default), fewer at the end."""
        size = self._source._batch if size is None else batch_size(size)
        found: list[T] = []
        while len(found) < size:
            rows = await self._source._draw(size - len(found))
            if not rows:
                break
            made = map(self._make, rows)
            found.extend(made if self._unique is None else self._unique.among(made))
        return found

    async def fetchone(self) -> T | None:
        """Return the next row, or None at the end."""
        found = await self.fetchmany(1)
        return found[0] if found else None

    async def partitions(self, size: int | None = None) -> AsyncIterator[list[T]]:
        """Yield lists of `size` rows (one batch by default)."""
        while rows := await self.fetchmany(size):
            yield rows

    async def all(self) -> list[T]:
        """Return all rows that are left; their memory is the caller's choice."""
        found: list[T] = []
        async for rows in self.partitions():
            found.extend(rows)
        return found

    async def first(self) -> T | None:
        """Return the next row or None, and close the stream."""
        row = await self.fetchone()
        await self._source.close()
        return row

    async def one(self) -> T:
        """Return the only row; `NoResultFound` or `MultipleResultsFound` otherwise."""
        rows = await self.fetchmany(2)
        await self._source.close()
        return only(iter(rows))

    async def one_or_none(self) -> T | None:
        """Return the only row or None; `MultipleResultsFound` otherwise."""
        rows = await self.fetchmany(2)
        await self._source.close()
        return only_or_none(iter(rows))

    def unique(self, strategy: Callable[[Any], Any] | None = None) -> Self:
        """Give out each row once; all that were given out stay in memory to compare with."""
        self._unique = Distinct(strategy)
        return self

    async def close(self) -> None:
        """Close the stream."""
        await self._source.close()

    async def __aiter__(self) -> AsyncIterator[T]:
        while rows := await self.fetchmany():
            for row in rows:
                yield row


class AsyncStream(AsyncFetch[T]):
    """The rows of one query, as they come; made by `Connection.stream()`.

    A context manager.  Closed by its end, by `close()`, and by the end of the transaction; then
    fetching raises `ResultError`.
    """

    _row_class: type[Row]
    _view: View = PLAIN
    _decode: Decoding | None = None

    def __init__(
        self,
        connection: AsyncConnection,
        compiled: Compiled,
        cursor: Any,
        texts: tuple[str, str, str] | None,
        batch: int,
        timeout: float | None = None,
    ) -> None:
        self._timeout = timeout
        self._connection = connection
        self._compiled = compiled
        self._cursor = cursor
        self._own_cursor = getattr(cursor, "driver_cursor", cursor)
        self._texts = texts
        self._values: Any = None
        self._batch = batch
        self._rows: Sequence[Any] = ()
        self._at = 0
        self._exhausted = False
        self._closed = False

    @property
    def _source(self) -> AsyncStream[Any]:
        return self

    # -- what the caller sees ------------------------------------------------------------------

    def keys(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return self._row_class._fields

    def scalars(self, index: int | str = 0) -> AsyncFetch[Any]:
        """Return the same stream as values of one column."""
        at = position(self._columns(), index)
        return _View(self, lambda row: row[at])

    def mappings(self) -> AsyncFetch[Any]:
        """Return the same stream as mappings from column name to value."""
        make = self._columns()
        return _View(self, lambda row: make(row)._mapping)

    def columns(self, *keys: int | str) -> AsyncFetch[Any]:
        """Return the same stream with only these columns."""
        cls = self._columns()
        return _View(self, pick(cls, tuple(position(cls, key) for key in keys)))

    def tuples(self) -> AsyncStream[tuple[Any, ...]]:
        """Return the same stream, its rows typed as plain tuples."""
        self._view.require_rows()
        return cast("AsyncStream[tuple[Any, ...]]", self)

    async def scalar(self) -> Any:
        """Return the first column of the next row or None, and close the stream."""
        return await self.scalars().first()

    async def scalar_one(self) -> Any:
        """Return the first column of the only row."""
        return await self.scalars().one()

    async def scalar_one_or_none(self) -> Any:
        """Return the first column of the only row, or None."""
        return await self.scalars().one_or_none()

    @property
    def closed(self) -> bool:
        """True once nothing more can be fetched."""
        return self._closed

    async def close(self) -> None:
        """Free what the stream holds on the server; may be called twice."""
        if self._closed:
            return
        turn = self._connection._turn
        if not turn.acquire(False):
            self._connection._refuse()
        try:
            await self._close()
        finally:
            turn.release()

    async def _close(self) -> None:
        self._closed = True
        connection = self._connection
        if self in connection._streams:
            connection._streams.remove(self)
            if self._texts is None:
                await self._guarded("close")
            elif not connection._nesting.in_trouble:
                await self._run(self._texts[2])
            if self._compiled.special:
                await connection._after_special(self._compiled, had_rows=True)
        self._rows = ()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    __reduce__ = not_pickled

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {'closed' if self._closed else 'open'}>"

    # -- what the connection calls -------------------------------------------------------------

    async def _open(self, sql: str, values: Any) -> None:
        """Send the query; close again where it returns no rows."""
        self._values = values
        if self._texts is not None:
            await self._run(self._texts[0], values)
            await self._run(self._texts[1])
            await self._learn_columns()
            await self._keep(await self._guarded("fetchall"))
        else:
            await self._run(sql, values)
            await self._learn_columns()

    async def _learn_columns(self) -> None:
        link = self._connection._link
        columns = link.columns(self._own_cursor) if link is not None else None
        if link is None or columns is None:
            await self.close()
            raise ArgumentError("stream() takes a query; this statement returns no rows")
        try:
            shape = link.learn_shape(self._compiled, columns, self._own_cursor)
        except MappingError:
            await self.close()
            raise
        self._row_class, self._decode, self._view = shape
        self._make = self._view.unit or self._row_class  # type: ignore[assignment] # T is Row

    def _columns(self) -> type[Row]:
        """Return the class of the rows, for another view on them."""
        self._view.require_rows()
        return self._row_class

    def _forget(self) -> Any:
        """The transaction or the connection is gone; return the cursor, which goes with it."""
        cursor, self._cursor = self._cursor, None
        self._own_cursor = None
        self._closed = True
        self._rows = ()
        return cursor

    # -- fetching ------------------------------------------------------------------------------

    async def _draw(self, size: int) -> Sequence[Any]:
        """Return the next raw rows, `size` at most, none at the end."""
        if self._at >= len(self._rows):
            if self._closed and not self._exhausted:
                raise ResultError(
                    "the stream is closed: fetch before close(), and before the transaction ends"
                )
            if not self._exhausted:
                await self._fill()
        at = self._at
        self._at = at + size
        return self._rows[at : at + size]

    async def _fill(self) -> None:
        if self._texts is not None:
            await self._run(self._texts[1])
            await self._keep(await self._guarded("fetchall"))
        else:
            await self._keep(await self._guarded("fetchmany", self._batch))

    async def _keep(self, rows: Sequence[Any]) -> None:
        """Hold a batch; a short one is the last, and the cursor is not needed any more."""
        if len(rows) < self._batch:
            self._exhausted = True
            await self.close()
        self._rows = rows if self._decode is None else self._decode(rows)
        self._at = 0

    async def _run(self, sql: str, values: Any = None) -> None:
        echo = self._connection._echo
        if echo is not None:
            echo.statement(sql, values)
        await self._guarded("execute", *((sql,) if values is None else (sql, values)))

    async def _guarded(self, act: str, *args: Any) -> Any:
        """Call the driver's cursor within the limits of time, while nobody else does."""
        return await self._connection._at_its_turn(self._timeout, partial(self._called, act, *args))

    async def _called(self, act: str, *args: Any) -> Any:
        """Call the driver's cursor; what it raises means what it means for any statement."""
        connection = self._connection
        link = connection._link
        if link is None:
            raise TransactionStateError("the connection of this stream was lost or closed")
        if isinstance(link.raw, Orphan):  # the stream's own cursor is not
            link.raw.refuse()
        try:
            return await getattr(self._cursor, act)(*args)
        except BaseException as exc:
            if self in connection._streams:
                connection._streams.remove(self)
            sql = args[0] if args and isinstance(args[0], str) else ""
            try:
                await connection._failed(exc, self._compiled, self._values, sql, self._own_cursor)
            finally:
                self._forget()
            raise


class _View(AsyncFetch[Any]):
    """The same stream, each row made into something else."""

    _source: AsyncStream[Any]

    def __init__(self, source: AsyncStream[Any], make: Callable[[Any], Any]) -> None:
        self._source = source
        self._make = make
        self._unique = source._unique
