"""One checked-out connection: execute, and the transaction around it.

Floor 3, source of the sync twin.  A statement goes down here once — compile, bind, BEGIN if none
stands, the driver's cursor — and its rows come up once.
"""

from __future__ import annotations

import time
import warnings
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar, overload

from plainsql import errors
from plainsql._async.failing import stacklevel
from plainsql._async.link import CLEAN_UP, Orphan
from plainsql._async.pool import CLOSING
from plainsql._async.stream import AsyncStream
from plainsql._async.transacting import AsyncTransacting
from plainsql.cache import mapped_key
from plainsql.clause import TextClause, text_of
from plainsql.concurrency import (
    Opening,
    cancel_async,
    execute_many_async,
    rest_async,
    stream_cursor_async,
)
from plainsql.errors import ArgumentError, ParameterError, TransactionStateError
from plainsql.result import Result, batch_size
from plainsql.statement import is_mapping
from plainsql.templates import Template
from plainsql.turns import exclusive_async
from plainsql.url import not_pickled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import LiteralString, Self

    from plainsql._async.engine import AsyncEngine
    from plainsql._async.link import AsyncLink
    from plainsql.clause import Statement
    from plainsql.driver import Many
    from plainsql.statement import Compiled, Examined

    Params = Mapping[str, Any] | Iterable[Mapping[str, Any]] | None

T = TypeVar("T")

#: Parameter sets of an iterator that are bound and sent at a time.
CHUNK = 1000
NOTHING: dict[str, Any] = {}


class AsyncConnection(AsyncTransacting):
    """A connection of the engine's pool, held until `close()`.

    The first statement begins a transaction; `commit()` or `rollback()` ends it, and the next
    statement begins another one.  `close()`, or leaving the `with` block, rolls back what was not
    committed.  Not to be used by two threads or tasks at once.
    """

    __slots__ = ()

    # -- statements ----------------------------------------------------------------------------

    @overload
    async def execute(
        self,
        statement: Statement,
        params: Params = None,
        *,
        into: type[T],
        lax: bool = False,
        timeout: float | None = None,
        execution_options: Mapping[str, Any] | None = None,
    ) -> Result[T]: ...

    @overload
    async def execute(
        self,
        statement: Statement,
        params: Params = None,
        *,
        into: None = None,
        lax: bool = False,
        timeout: float | None = None,
        execution_options: Mapping[str, Any] | None = None,
    ) -> Result[Any]: ...

    async def execute(
        self,
        statement: Statement,
        params: Params = None,
        *,
        into: type[Any] | None = None,
        lax: bool = False,
        timeout: float | None = None,
        execution_options: Mapping[str, Any] | None = None,
    ) -> Result[Any]:
        """Run one statement and return its rows, buffered: they outlive the connection.

        `params` is a mapping, or an iterable of mappings for an executemany: a list or tuple is
        checked whole before anything is sent, another iterable is sent in chunks of 1000.

        With `into` each row becomes an object of that class, its columns read as the types of the
        fields of the same names.  Columns and fields must be the same: `lax` leaves out columns
        without a field, and fields that have a default and no column.

        `timeout` is in seconds: `StatementTimeout` when they are over.

        Raises `ParameterError` and `SQLTextError` before anything is sent, `DBAPIError` for what
        the server or the driver says, `TransactionStateError` after a failed statement, and
        `MappingError`, once it was run, where rows and class do not fit.
        """
        turn = self._turn
        if not turn.acquire(False):
            self._refuse()
        try:
            if execution_options:
                _refuse_options(execution_options)
            if timeout is not None or self._limited:
                run = partial(self.execute, statement, params, into=into, lax=lax)
                return await self._watched(timeout, run)
            link = self._link
            if link is None:
                link = await self._take_link()
            if statement.__class__ is TextClause:
                key = statement._key
            else:
                key = statement if statement.__class__ is str else None
            if into is not None or lax:
                key = mapped_key(key, into, lax=lax)
            try:
                compiled = link.compiled[key]
            except KeyError:
                compiled = None
            if compiled is None:
                if isinstance(statement, Template):
                    statement, params = link.statements.of_template(statement, params)
                    return await self.execute(statement, params, into=into, lax=lax)
                compiled = link.statements.compile(statement, into, lax=lax)
            if params is None:
                params = NOTHING
            elif params.__class__ is not dict and not is_mapping(params):
                return await self._execute_many(compiled, params)
            if compiled.simple and self._ready:
                sql, values = compiled.sql, compiled.bind(params)  # type: ignore[arg-type]
            else:
                sql, values = await self._prepare(compiled, params)  # type: ignore[arg-type]
            if self._echo is not None:
                self._echo.statement(sql, values)
            link.last = compiled
            cursor = link.cursor
            try:
                if values is None:
                    await cursor.execute(sql)
                else:
                    await cursor.execute(sql, values)
                columns = link.columns(link.own_cursor)
                rows = await cursor.fetchall() if columns is not None else None
            except BaseException as exc:
                await self._failed(exc, compiled, values, sql, link.own_cursor)
                raise
            if columns is None:
                lastrowid = getattr(cursor, "lastrowid", None) or None
                result: Result[Any] = Result(None, None, cursor.rowcount, lastrowid)
            else:
                known, cls, decode, view = compiled.shape
                if columns != known:
                    cls, decode, view = link.learn_shape(compiled, columns, link.own_cursor)
                if decode is not None:
                    rows = decode(rows)  # type: ignore[arg-type] # there are columns, so there are rows
                result = Result(cls, rows, cursor.rowcount, None, view)
            if compiled.writes and result.rowcount:
                self._wrote = True
            if compiled.special:
                await self._after_special(compiled, had_rows=columns is not None)
            return result
        except BaseException as exc:
            if not isinstance(exc, Exception):
                self._doubt(exc)
            raise
        finally:
            turn.release()

    async def _prepare(self, compiled: Compiled, params: Mapping[str, Any]) -> tuple[str, Any]:
        """Bind the parameters; if they are right, see that the statement may be sent."""
        if self._strict:
            compiled.refuse_surplus(params)
        bound = self._bound(compiled, params)
        await self._make_ready(compiled)
        return bound

    def _bound(self, compiled: Compiled, params: Mapping[str, Any]) -> tuple[str, Any]:
        """Return the SQL and the values; where a list is spread, only what the server takes."""
        if not compiled.lists:
            return compiled.sql, compiled.bind(params)
        link = self._link
        assert link is not None
        sql, values = compiled.expand(params, link.limit)
        link.dialect.require_fits(link.own_cursor, sql, values)
        return sql, values

    async def scalar(
        self,
        statement: Statement,
        params: Params = None,
        *,
        timeout: float | None = None,
        execution_options: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a statement and return the first column of its first row, or None."""
        if timeout is not None or execution_options:
            options = execution_options
            found = await self.execute(
                statement, params, timeout=timeout, execution_options=options
            )
            return found.scalar()
        return (await self.execute(statement, params)).scalar()

    async def scalars(
        self,
        statement: Statement,
        params: Params = None,
        *,
        timeout: float | None = None,
        execution_options: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a statement and return the first column of its rows."""
        options = execution_options
        result = await self.execute(statement, params, timeout=timeout, execution_options=options)
        return result.scalars()

    @exclusive_async
    async def exec_driver_sql(
        self,
        statement: LiteralString | TextClause,
        params: Any = None,
        *,
        timeout: float | None = None,
        execution_options: Mapping[str, Any] | None = None,
    ) -> Result[Any]:
        """Hand text and parameters to the driver as they are, in the driver's own paramstyle.

        A list is an executemany.  A text that is no literal goes in by `unsafe_text(…)`.
        """
        if execution_options:
            _refuse_options(execution_options)
        if timeout is not None or self._limited:
            return await self._watched(timeout, partial(self.exec_driver_sql, statement, params))
        link = self._link or await self._take_link()
        sql = text_of(statement, "exec_driver_sql()")
        untouched = link.statements.untouched(sql, params)
        if not isinstance(params, list):
            return await self.execute(untouched)  # type: ignore[call-overload, no-any-return]
        await self._make_ready(untouched)
        found, total = await self._send_many(untouched, params, untouched.many)
        return self._result_of_many(untouched, found, total)

    @exclusive_async
    async def execute_script(self, script: LiteralString | TextClause) -> int:
        """Run the statements of a script, one by one; return how many there were.

        Nothing in it is a parameter.  It is split as the server's lexer reads it, function bodies,
        triggers and `DELIMITER` included, and sent in the transaction that is begun, or begins one:
        a `DBAPIError` tells the statement's number and line, and what was run before it is undone
        by a rollback.  `SQLTextError`, and `TransactionStateError` for COMMIT and its like, before
        anything is sent, unless the script itself changes how the server reads it.  The text of a
        file goes in by `unsafe_text(…)`.
        """
        script = text_of(script, "execute_script()")
        link = self._link or await self._take_link()
        statements = link.statements
        parts, unread = statements.parts(script)
        examined = [statements.part(part) for part in parts]
        if unread is not None and not any(one.mode for one in examined):
            raise unread
        if not self._autocommit:
            for one in examined:
                self._check_special(one)
        number = 0
        while parts:
            part = parts.popleft()
            number += 1
            try:
                await self.execute(statements.part(part))  # type: ignore[call-overload]
            except errors.Error as exc:
                place = f"statement {number} of the script, line {part.line}"
                exc.args = (f"{exc}\n[{place}]",)
                raise
            if self._link is not None and self._link.statements is not statements:
                statements = self._link.statements  # the server reads the rest otherwise
                script = "\n" * script.count("\n", 0, part.end) + script[part.end :]
                parts, unread = statements.parts(script, part.delimiter)
        if unread is not None:
            raise unread
        return number

    @overload
    def stream(
        self,
        statement: Statement,
        params: Mapping[str, Any] | None = None,
        *,
        batch: int = 1000,
        into: type[T],
        lax: bool = False,
        timeout: float | None = None,
    ) -> Opening[AsyncStream[T]]: ...

    @overload
    def stream(
        self,
        statement: Statement,
        params: Mapping[str, Any] | None = None,
        *,
        batch: int = 1000,
        into: None = None,
        lax: bool = False,
        timeout: float | None = None,
    ) -> Opening[AsyncStream[Any]]: ...

    def stream(
        self,
        statement: Statement,
        params: Mapping[str, Any] | None = None,
        *,
        batch: int = 1000,
        into: type[Any] | None = None,
        lax: bool = False,
        timeout: float | None = None,
    ) -> Opening[AsyncStream[Any]]:
        """Run one query and return its rows as they come, `batch` at a time, in bounded memory.

        `into` and `lax` as for `execute`; `timeout` is of each trip to the server.  The stream is a
        context manager; ending the transaction closes it.
        """
        return Opening(self._stream(statement, params, batch, into, lax=lax, timeout=timeout))

    @exclusive_async
    async def _stream(
        self,
        statement: Statement,
        params: Mapping[str, Any] | None,
        batch: int,
        into: type[Any] | None = None,
        *,
        lax: bool = False,
        timeout: float | None = None,
    ) -> AsyncStream[Any]:
        batch_size(batch)
        link = self._link or await self._take_link()
        if isinstance(statement, Template):
            statement, params = link.statements.of_template(statement, params)
        key = statement if isinstance(statement, str) else getattr(statement, "_key", None)
        if into is not None or lax:
            key = mapped_key(key, into, lax=lax)
        compiled = link.compiled.get(key) or link.statements.compile(statement, into, lax=lax)
        if params is not None and not is_mapping(params):
            raise ParameterError("stream() takes one mapping of parameters, not several")
        if self._strict:
            compiled.refuse_surplus(params or NOTHING)
        sql, values = self._bound(compiled, params or NOTHING)
        # the limit is of each trip, a server's would be of the whole
        await self._watched(timeout, partial(self._make_ready, compiled), by_server=False)
        number = self._engine._next_stream()
        texts = link.dialect.stream_sql(sql, number, batch, hold=self._autocommit)
        cursor = stream_cursor_async(link.dialect, link.raw, batch)
        link.dialect.require_fits(getattr(cursor, "driver_cursor", cursor), sql, values)
        link.last = compiled
        stream: AsyncStream[Any] = AsyncStream(self, compiled, cursor, texts, batch, timeout)
        self._streams.append(stream)
        self._ready = False  # the next statement looks whether it may run beside the stream
        await stream._open(sql, values)
        self._wrote = self._wrote or compiled.writes
        return stream

    async def _execute_many(self, compiled: Compiled, params: Any) -> Result[Any]:
        """Bind and send many parameter sets; none at all executes nothing."""
        whole = isinstance(params, list | tuple)
        many = compiled.many
        found: list[Any] | None = None
        total, sent = 0, 0
        for chunk in [params] if whole else _chunks(params):
            try:
                rows = self._bind_many(compiled, chunk, sent)
            except ParameterError as exc:
                if not sent:
                    raise
                raise ParameterError(f"{exc}; {sent} parameter sets were sent before") from None
            if not rows:
                break
            await self._make_ready(compiled)
            try:
                more, count = await self._send_many(compiled, rows, many)
            except errors.DBAPIError as exc:
                if not whole:
                    exc.add_note(f"{sent} parameter sets were sent before this chunk")
                raise
            if more is not None:
                found = more if found is None else found + more
            total = total + count if count >= 0 <= total else -1
            sent += len(rows)
        return self._result_of_many(compiled, found, total)

    def _result_of_many(
        self, compiled: Examined, rows: list[Any] | None, rowcount: int
    ) -> Result[Any]:
        link = self._link
        columns = None if rows is None or link is None else link.columns(link.own_cursor)
        if link is None or rows is None or columns is None:
            return Result(None, None, rowcount)
        cls, decode, view = link.learn_shape(compiled, columns, link.own_cursor)
        return Result(cls, rows if decode is None else decode(rows), rowcount, None, view)

    def _bind_many(self, compiled: Compiled, chunk: Sequence[Any], first: int) -> list[Any]:
        bind = partial(self._bound, compiled) if compiled.lists else compiled.bind
        rows: list[Any] = []
        for number, params in enumerate(chunk, first):
            if not is_mapping(params):
                raise ParameterError(
                    f"parameter set {number} is of type {type(params).__name__}, not a mapping: "
                    "give a mapping, or an iterable of mappings, with the parameters' names as keys"
                )
            try:
                rows.append(bind(params))
                if self._strict:
                    compiled.refuse_surplus(params)
            except ParameterError as exc:
                raise ParameterError(f"{exc} (in parameter set {number})") from None
        return rows

    async def _send_many(
        self, compiled: Examined, rows: list[Any], many: Many
    ) -> tuple[list[Any] | None, int]:
        """Send bound parameter sets; return the rows that came back, or None, and the rowcount."""
        link = self._link
        assert link is not None
        link.last = compiled
        try:
            if compiled.lists or (rows and rows[0] is None):
                found, total = await self._send_each(link, compiled, rows)
            else:
                if self._echo is not None:
                    self._echo.statement(compiled.sql, rows)
                found, total = await execute_many_async(link, compiled.sql, rows, many)
        except BaseException as exc:
            await self._failed(exc, compiled, rows, compiled.sql, link.own_cursor)
            raise
        if compiled.writes and total:
            self._wrote = True
        if compiled.special:
            await self._after_special(compiled, had_rows=found is not None)
        return found, total

    async def _send_each(
        self, link: AsyncLink, compiled: Examined, rows: list[Any]
    ) -> tuple[list[Any] | None, int]:
        """Send one statement for each parameter set: its text depends on the set, or has none."""
        cursor = link.cursor
        found: list[Any] | None = None
        total = 0
        for row in rows:
            sql, values = row if compiled.lists else (compiled.sql, None)
            if self._echo is not None:
                self._echo.statement(sql, values)
            await cursor.execute(*((sql,) if values is None else (sql, values)))
            if link.columns(link.own_cursor) is not None:
                found = [] if found is None else found
                found.extend(await cursor.fetchall())
            total = total + cursor.rowcount if cursor.rowcount >= 0 <= total else -1
        return found, total

    # -- the connection itself -----------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True after `close()`."""
        return self._closed

    @property
    def engine(self) -> AsyncEngine:
        """The engine that this connection came from."""
        return self._engine

    @property
    def connection(self) -> Any:
        """The driver's own connection, for what plainsql does not offer (COPY, LISTEN, …).

        It stays the pool's; once touched, it is examined before anybody else gets it.
        """
        if self._link is None:
            raise TransactionStateError(
                "no connection is held: it was closed, lost, or no statement ran yet"
            )
        self._link.touched = True
        return self._link.raw

    async def cancel(self) -> None:
        """Ask the server to stop what runs on this connection; called from another thread or task.

        What is stopped raises `QueryCanceled`; nothing happens if nothing runs.  `DBAPIError` if
        the server can not be asked.
        """
        link, dialect = self._link, self._engine.dialect
        dialect.require("cancel", "cancel()")
        if link is None:
            return
        if isinstance(link.raw, Orphan):
            link.raw.refuse()
        try:
            await cancel_async(dialect, link.raw, link.own)
        except dialect.driver_error as exc:
            raise dialect.translate(exc, connecting=True) from exc

    def execution_options(self, **options: Any) -> Self:
        """Set options of the transactions to come; returns this connection.

        `isolation_level` by portable name or "AUTOCOMMIT", `read_only`, `deferrable`.
        `TransactionStateError` inside a transaction.
        """
        if self._nesting.scopes or self._began_by_text():
            raise TransactionStateError(
                "execution_options() can not change a transaction that is begun; "
                "commit() or rollback() first"
            )
        self._options = self._options.merged(self._engine.dialect, options)
        self._autocommit = self._options.autocommit
        self._ready = False
        return self

    def get_execution_options(self) -> dict[str, Any]:
        """Return the options in force."""
        return self._options.as_dict()

    @exclusive_async
    async def invalidate(self) -> None:
        """Close the driver's connection at once; the pool opens another one when needed.

        A transaction is lost with it: `rollback()`, and the next statement takes a new connection.
        """
        self._lose("invalidate() was called")

    async def close(self) -> None:
        """Roll back what was not committed and give the connection back; may be called twice.

        Warns, by `UncommittedWarning`, where that drops what was written.
        """
        if self._closed:
            return
        turn = self._turn
        if not turn.acquire(False):
            self._refuse()
        try:
            self._closed = True
            dropped = self._wrote and self._nesting.open and not self._nesting.in_trouble
            if self._streams:
                await self._abandon_streams()
            if self._nesting.scopes:
                await self._roll_back_quietly()
            if self._autocommit and self._link is not None and self._began_by_text():
                self._link.touched = True  # the pool rolls it back
            link, self._link, self._ready = self._link, None, False
            if self._claim is not None and link is None:  # an interrupt kept it from being given up
                self._engine._pool.abandon(self._claim)
            elif self._claim is not None:
                await self._engine._pool.release(self._claim)
            self._claim = None
        except BaseException:
            self._lose("interrupted while closing")
            raise
        finally:
            self._closed = self._claim is None  # else it is closed once more
            turn.release()
        if dropped:
            _tell_dropped()

    def _began_by_text(self) -> bool:
        """Tell whether, in AUTOCOMMIT, a statement of the user's left a transaction open."""
        link = self._link
        if link is None or not self._autocommit:
            return False
        return link.dialect.transaction_state(link.own) != "idle"

    async def _roll_back_quietly(self) -> None:
        """Roll back; where that fails the connection is gone, and the transaction with it."""
        try:
            await self._roll_back()
        except errors.DBAPIError as failure:
            self._lose(str(failure))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if exc is None:
            await self.close()
            return
        self._wrote = False  # it is dropped because of the exception, which goes on
        try:
            await self.close()
        except Exception as failure:  # noqa: BLE001 - as above
            exc.add_note(f"plainsql: closing the connection failed too: {failure}")
            if not self._closed:
                await self._take_away()

    async def _take_away(self) -> None:
        """Cut off who is at work on the connection, wait for that, and close it.

        Not before: few drivers bear it.  Who does not hear of it keeps it until it is dropped.
        """
        ends = time.monotonic() + CLEAN_UP
        while not self._turn.acquire(False):
            link = self._link
            if link is not None:
                link.cut()
            if time.monotonic() >= ends:
                return
            await rest_async(CLOSING)
        try:
            self._lose("its block was left while it was in use")
            await self.close()
        finally:
            self._turn.release()

    def __del__(self) -> None:
        claim = getattr(self, "_claim", None)  # it may have been interrupted while it was made
        if claim is not None:
            self._engine._pool.drop(claim)

    __reduce__ = not_pickled

    def __repr__(self) -> str:
        state = "closed" if self._closed else "in transaction" if self._nesting.scopes else "idle"
        return f"<{type(self).__name__} of {self._engine!r}: {state}>"


def _tell_dropped() -> None:
    warnings.warn(
        "what was written is dropped: the connection was closed before commit(); "
        "rollback() drops it without a warning",
        errors.UncommittedWarning,
        stacklevel=stacklevel(),
    )


def _chunks(params: Any) -> Iterator[list[Any]]:
    try:
        rows = iter(params)
    except TypeError:
        raise ParameterError(
            f"parameters must be a mapping, or an iterable of mappings, not {type(params).__name__}"
        ) from None
    if isinstance(params, str | bytes):
        raise ParameterError("parameters must be a mapping, or an iterable of mappings, not text")
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def _refuse_options(options: Mapping[str, Any]) -> None:
    if not is_mapping(options):
        raise ArgumentError(f"execution_options must be a mapping, not {options!r}")
    for name in options:
        if name in ("stream_results", "yield_per", "max_row_buffer"):
            raise ArgumentError(
                f"{name} is not an option of execute(): use stream(), which reads in batches"
            )
        raise ArgumentError(
            f"unknown execution option {name!r}; isolation_level, read_only and deferrable are "
            "options of a connection or an engine: execution_options(…)"
        )
