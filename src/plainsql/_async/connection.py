"""One checked-out connection: execute, and the transaction around it.

Floor 3, source of the sync twin.  A statement goes down here once — compile, bind, BEGIN if none
stands, the driver's cursor — and its rows come up once.
"""

from __future__ import annotations

import warnings
from itertools import islice
from typing import TYPE_CHECKING, Any

from plainsql import errors
from plainsql._async.stream import AsyncStream
from plainsql._async.transaction import AsyncTransaction
from plainsql.concurrency import Opening, stream_cursor_async
from plainsql.errors import ArgumentError, ParameterError, TransactionStateError
from plainsql.nesting import Nesting, Scope
from plainsql.result import Result
from plainsql.row import row_class
from plainsql.statement import is_mapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import LiteralString, Self

    from plainsql._async.engine import AsyncEngine
    from plainsql._async.pool import AsyncLink
    from plainsql.ledger import Slot
    from plainsql.statement import Compiled, Examined, TextClause

    Params = Mapping[str, Any] | Iterable[Mapping[str, Any]] | None

#: Parameter sets of an iterator that are bound and sent at a time.
CHUNK = 1000
NOTHING: dict[str, Any] = {}
BINDING_ERRORS = (UnicodeEncodeError, OverflowError, TypeError)


class AsyncConnection:
    """A connection of the engine's pool, held until `close()`.

    The first statement begins a transaction; `commit()` or `rollback()` ends it, and the next
    statement begins another one.  `close()`, or leaving the `with` block, rolls back what was not
    committed.  Not to be used by two threads or tasks at once.
    """

    __slots__ = (
        "__weakref__", "_autocommit", "_blocks", "_closed", "_echo", "_engine", "_link",
        "_nesting", "_options", "_ready", "_slot", "_streams", "_strict",
    )  # fmt: skip

    _link: AsyncLink | None

    def __init__(self, engine: AsyncEngine) -> None:
        self._slot: Slot | None = None
        self._link = None
        self._engine = engine
        self._options = engine._options
        self._autocommit = engine._options.autocommit
        self._echo = engine._echo
        self._strict = engine._strict
        self._nesting = Nesting()
        self._ready = False
        self._closed = False
        self._streams: list[AsyncStream] = []
        self._blocks: list[AsyncTransaction] = []

    # -- statements ----------------------------------------------------------------------------

    async def execute(
        self,
        statement: LiteralString | TextClause,
        params: Params = None,
        *,
        execution_options: Mapping[str, Any] | None = None,
    ) -> Result[Any]:
        """Run one statement and return its rows, buffered: they outlive the connection.

        `params` is a mapping, or an iterable of mappings for an executemany: a list or tuple is
        checked whole before anything is sent, another iterable is sent in chunks of 1000.

        Raises `ParameterError` and `SQLTextError` before anything is sent, `DBAPIError` for what
        the server or the driver says, `TransactionStateError` after a failed statement.
        """
        if execution_options:
            _refuse_options(execution_options)
        link = self._link
        if link is None:
            link = await self._take_link()
        key = statement if statement.__class__ is str else getattr(statement, "_key", None)
        compiled = link.find(key)
        if compiled is None:
            compiled = link.statements.compile(statement)
        if params is None:
            params = NOTHING
        elif params.__class__ is not dict and not is_mapping(params):
            return await self._execute_many(compiled, params)
        if compiled.lists:
            sql, values = compiled.expand(params)  # type: ignore[arg-type]
        else:
            sql = compiled.sql
            values = compiled.bind(params)  # type: ignore[arg-type]
        if self._strict:
            compiled.refuse_surplus(params)  # type: ignore[arg-type]
        if compiled.special or not self._ready:
            await self._make_ready(compiled)
        return await self._run(link, compiled, sql, values)

    async def _run(self, link: AsyncLink, compiled: Examined, sql: str, values: Any) -> Result[Any]:
        """Send one statement and bring its rows up."""
        if self._echo is not None:
            self._echo.statement(sql, values)
        cursor = link.cursor
        try:
            if values is None:
                await cursor.execute(sql)
            else:
                await cursor.execute(sql, values)
            columns = link.columns(link.own_cursor)
            rows = await cursor.fetchall() if columns is not None else None
        except BaseException as exc:
            error = await self._after_error(exc, compiled, values)
            if error is exc:
                raise
            raise error from exc
        if compiled.special:
            self._after_special(compiled)
        self._nesting.worked = True
        if columns is None:
            return Result(None, None, cursor.rowcount, getattr(cursor, "lastrowid", None) or None)
        cls = compiled.row_class
        if cls is None or columns != compiled.columns:
            cls = compiled.row_class = row_class(link.dialect.column_names(columns))
            compiled.columns = columns
        return Result(cls, rows, cursor.rowcount)

    async def scalar(
        self,
        statement: LiteralString | TextClause,
        params: Params = None,
        *,
        execution_options: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a statement and return the first column of its first row, or None."""
        return (await self.execute(statement, params, execution_options=execution_options)).scalar()

    async def scalars(
        self,
        statement: LiteralString | TextClause,
        params: Params = None,
        *,
        execution_options: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a statement and return the first column of its rows."""
        result = await self.execute(statement, params, execution_options=execution_options)
        return result.scalars()

    async def exec_driver_sql(
        self,
        statement: LiteralString,
        params: Any = None,
        *,
        execution_options: Mapping[str, Any] | None = None,
    ) -> Result[Any]:
        """Hand text and parameters to the driver as they are, in the driver's own paramstyle.

        A list is an executemany.
        """
        if execution_options:
            _refuse_options(execution_options)
        link = self._link or await self._take_link()
        examined = link.statements.untouched(statement)
        await self._make_ready(examined)
        if isinstance(params, list):
            return await self._send_many(examined, params)
        return await self._run(link, examined, statement, params)

    def stream(
        self,
        statement: LiteralString | TextClause,
        params: Mapping[str, Any] | None = None,
        *,
        batch: int = 1000,
    ) -> Opening[AsyncStream]:
        """Run one query and return its rows as they come, `batch` at a time, in bounded memory.

        The stream is a context manager; ending the transaction closes it.
        """
        return Opening(self._stream(statement, params, batch))

    async def _stream(
        self, statement: LiteralString | TextClause, params: Mapping[str, Any] | None, batch: int
    ) -> AsyncStream:
        if not isinstance(batch, int) or batch < 1:  # type: ignore[redundant-expr]
            raise ArgumentError(f"batch must be a whole number of rows from 1 on, not {batch!r}")
        link = self._link or await self._take_link()
        key = statement if isinstance(statement, str) else getattr(statement, "_key", None)
        compiled = link.find(key) or link.statements.compile(statement)
        if params is not None and not is_mapping(params):
            raise ParameterError("stream() takes one mapping of parameters, not several")
        if self._strict:
            compiled.refuse_surplus(params or NOTHING)
        sql, values = compiled.expand(params or NOTHING)
        await self._make_ready(compiled)
        number = self._engine._next_stream()
        texts = link.dialect.stream_sql(sql, number, batch, hold=self._autocommit)
        cursor = stream_cursor_async(link.dialect, link.raw, batch)
        stream = AsyncStream(self, compiled, cursor, texts, batch)
        self._streams.append(stream)
        await stream._open(sql, values)
        self._nesting.worked = True
        return stream

    async def _execute_many(self, compiled: Compiled, params: Any) -> Result[Any]:
        """Bind and send many parameter sets; none at all executes nothing."""
        whole = isinstance(params, list | tuple)
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
                result = await self._send_many(compiled, rows)
            except errors.DBAPIError as exc:
                if not whole:
                    exc.add_note(f"{sent} parameter sets were sent before this chunk")
                raise
            total = total + result.rowcount if result.rowcount >= 0 <= total else -1
            sent += len(rows)
        return Result(None, None, total)

    def _bind_many(self, compiled: Compiled, chunk: Sequence[Any], first: int) -> list[Any]:
        bind = compiled.expand if compiled.lists else compiled.bind
        rows: list[Any] = []
        for number, params in enumerate(chunk, first):
            if not is_mapping(params):
                raise ParameterError(
                    f"parameter set {number} is a {type(params).__name__}, not a mapping: "
                    "give a mapping, or an iterable of mappings, with the parameters' names as keys"
                )
            try:
                if self._strict:
                    compiled.refuse_surplus(params)
                rows.append(bind(params))
            except ParameterError as exc:
                raise ParameterError(f"{exc} (in parameter set {number})") from None
        return rows

    async def _send_many(self, compiled: Examined, rows: list[Any]) -> Result[Any]:
        link = self._link
        assert link is not None
        cursor = link.cursor
        try:
            if compiled.lists or (rows and rows[0] is None):
                total = 0
                for row in rows:
                    sql, values = row if compiled.lists else (compiled.sql, None)
                    if self._echo is not None:
                        self._echo.statement(sql, values)
                    await cursor.execute(*((sql,) if values is None else (sql, values)))
                    total += cursor.rowcount
            else:
                if self._echo is not None:
                    self._echo.statement(compiled.sql, rows)
                await cursor.executemany(compiled.sql, rows)
                total = cursor.rowcount
        except BaseException as exc:
            error = await self._after_error(exc, compiled, rows)
            if error is exc:
                raise
            raise error from exc
        if compiled.special:
            self._after_special(compiled)
        self._nesting.worked = True
        return Result(None, None, total)

    # -- before and after a statement ----------------------------------------------------------

    async def _take_link(self) -> AsyncLink:
        """Take a connection from the pool: the first time, and after one was lost."""
        if self._closed:
            raise TransactionStateError("this connection is closed; take another one by connect()")
        self._nesting.require_usable()
        pool = self._engine._pool
        self._slot = slot = await pool.acquire()
        link: AsyncLink = slot.raw
        self._link = link
        return link

    async def _make_ready(self, compiled: Examined) -> None:
        """Check that a statement may run now, and send BEGIN if none stands."""
        nesting = self._nesting
        nesting.require_usable()
        self._check_streams()
        if compiled.special and not self._autocommit:
            self._check_special(compiled)
        if self._blocks and not self._blocks[-1].is_active:
            raise TransactionStateError(
                "the transaction of this `with` block has ended; leave the block first"
            )
        if self._autocommit:
            self._ready = True
            return
        if not nesting.scopes:
            nesting.enter(Scope(None))
        if not nesting.open:
            await self._begin()
        self._ready = True

    def _check_special(self, compiled: Examined) -> None:
        if compiled.control:
            raise TransactionStateError(
                f"{compiled.verb} is not sent as a statement: "
                'use begin(), commit() and rollback(), or the isolation level "AUTOCOMMIT"'
            )
        if compiled.refusal:
            raise TransactionStateError(compiled.refusal)

    def _check_streams(self) -> None:
        if not self._streams or "interleaved_streams" in self._engine.dialect.capabilities:
            return
        raise TransactionStateError(
            f"a stream is open on this connection, and {self._engine.dialect.name} can run "
            "no other statement before it is closed"
        )

    async def _begin(self) -> None:
        options = self._options
        for sql in self._engine.dialect.begin(
            options.isolation_level, options.read_only, options.deferrable
        ):
            await self._send(sql, f"{sql} (implicit)")
        self._nesting.open = True
        self._nesting.worked = False

    async def _send(self, sql: str, log: str | None = None) -> None:
        """Send a statement of our own."""
        link = self._link or await self._take_link()
        if self._echo is not None:
            self._echo.line(log or sql)
        try:
            await link.cursor.execute(sql)
        except BaseException as exc:
            error = await self._after_error(exc, None)
            if error is exc:
                raise
            raise error from exc

    def _after_special(self, compiled: Examined) -> None:
        """See whether a statement that succeeded ended the transaction, as DDL on MySQL does."""
        link, nesting = self._link, self._nesting
        if self._autocommit or link is None or not nesting.open:
            return
        if link.dialect.transaction_state(link.own) != "idle":
            return
        self._ready = False
        if self._echo is not None:
            self._echo.line("COMMIT (implicit, by the server)")
        if nesting.ended_by_server(f"{compiled.verb} committed it and dropped its savepoints"):
            warnings.warn(
                f"{compiled.verb} made {link.dialect.name} commit the transaction, "
                "with the statements before it",
                errors.ImplicitCommitWarning,
                stacklevel=3,
            )

    async def _after_error(
        self, exc: BaseException, compiled: Examined | None, values: Any = None
    ) -> BaseException:
        """Learn what an exception means for the connection; return what to raise."""
        link = self._link
        if link is None:
            return exc
        dialect = link.dialect
        if not isinstance(exc, dialect.driver_error):
            if not isinstance(exc, BINDING_ERRORS):
                return await self._after_interrupt(exc)
            error: errors.DBAPIError = errors.DataError(f"a value can not be sent: {exc}")
            self._describe(error, compiled, values)
            await self._learn_state(str(exc))
            return error
        lost = dialect.is_lost(exc, link.own)
        error = dialect.translate(exc, lost=lost)
        self._describe(error, compiled, values)
        if lost:
            error.outcome = "unknown" if self._autocommit else "not_applied"
            error.retryable = not self._autocommit
            self._lose(str(exc).strip())
            self._engine._pool.suspect()
        else:
            await self._learn_state(str(exc).strip())
        return error

    def _describe(self, error: errors.DBAPIError, compiled: Examined | None, values: Any) -> None:
        """Add the author's statement; values only where `hide_parameters=False` allows them."""
        if compiled is None:
            return
        error.statement = compiled.statement
        if compiled.sql != compiled.statement:
            error.position = None  # the server counts in what was sent
        text = f"{error.args[0]}\n[SQL: {compiled.statement}]"
        if self._engine._show_parameters and values is not None:
            text += f"\n[parameters: {values!r}]"
        error.args = (text,)

    async def _after_interrupt(self, exc: BaseException) -> BaseException:
        """Keep the connection only if the driver proves that no answer is outstanding."""
        link = self._link
        if link is not None and link.is_idle():
            await self._learn_state(f"interrupted by {type(exc).__name__}")
        else:
            self._lose(f"interrupted by {type(exc).__name__}")
        return exc

    async def _learn_state(self, reason: str) -> None:
        """After an error, take over what the server made of the transaction."""
        link, nesting = self._link, self._nesting
        if link is None or not nesting.open:
            return
        probe = link.dialect.probe_sql
        if probe is not None and not self._streams:
            try:
                if self._echo is not None:
                    self._echo.line(probe)
                await link.cursor.execute(probe)
            except link.dialect.driver_error as exc:
                self._lose(str(exc))
                return
        state = link.dialect.transaction_state(link.own)
        if state == "failed":
            nesting.fail(reason)
        elif state == "idle":
            nesting.doom(reason)
        self._ready = self._ready and state == "active"

    def _lose(self, reason: str) -> None:
        """Give up the driver's connection; the transaction, if any, is lost with it."""
        slot, self._slot, self._link, self._ready = self._slot, None, None, False
        self._forget_streams()
        if self._nesting.scopes:
            self._nesting.doom(reason)
        if slot is not None:
            self._engine._pool.discard(slot)

    # -- transactions --------------------------------------------------------------------------

    def begin(self) -> Opening[AsyncTransaction]:
        """Begin the transaction; BEGIN itself is sent with the first statement.

        `TransactionStateError` if one is begun already.
        """
        return Opening(self._begin_root())

    async def _begin_root(self) -> AsyncTransaction:
        if self._closed:
            raise TransactionStateError("this connection is closed; take another one by connect()")
        transaction = AsyncTransaction(self, None)
        self._nesting.enter(transaction)
        return transaction

    def begin_nested(self) -> Opening[AsyncTransaction]:
        """Set a savepoint, in a transaction that is begun if need be; to any depth."""
        return Opening(self._begin_nested())

    async def _begin_nested(self) -> AsyncTransaction:
        self._engine.dialect.require("savepoints", "begin_nested()")
        if self._autocommit:
            raise TransactionStateError("there are no savepoints in AUTOCOMMIT")
        link = self._link or await self._take_link()
        await self._make_ready(link.statements.nothing)
        savepoint = AsyncTransaction(self, self._nesting.next_savepoint())
        await self._send(f"SAVEPOINT {savepoint.name}")
        self._nesting.scopes.append(savepoint)
        return savepoint

    async def commit(self) -> None:
        """Commit the transaction with all its savepoints; nothing if there is none.

        `TransactionAborted`: it was in trouble and was rolled back; nothing is stored.
        `CommitUnknown`: the connection was lost meanwhile; it may or may not be stored.
        """
        if self._nesting.scopes:
            await self._commit()

    async def rollback(self) -> None:
        """Roll back the transaction with all its savepoints; nothing if there is none."""
        if self._nesting.scopes:
            await self._roll_back()

    def in_transaction(self) -> bool:
        """Tell whether a transaction is begun."""
        return bool(self._nesting.scopes)

    def in_nested_transaction(self) -> bool:
        """Tell whether a savepoint is set."""
        return len(self._nesting.scopes) > 1

    async def _commit(self) -> None:
        nesting = self._nesting
        if nesting.in_trouble:
            reason = nesting.reason
            await self._roll_back()
            raise errors.TransactionAborted(
                f"the transaction could not be committed and was rolled back: {reason}"
            )
        await self._close_streams()
        if nesting.open:
            await self._send_commit()
        await self._end()

    async def _send_commit(self) -> None:
        link = self._link
        if link is None:
            raise AssertionError("bug: an open transaction without a connection")
        if self._echo is not None:
            self._echo.line("COMMIT")
        try:
            await link.cursor.execute("COMMIT")
        except BaseException as exc:
            error = await self._after_error(exc, None)
            if isinstance(error, errors.Disconnected):
                unknown = errors.CommitUnknown(str(error))
                unknown.code = error.code
                error = unknown
            if self._link is None or self._nesting.in_trouble:
                self._nesting.clear()
            if error is exc:
                raise
            raise error from exc
        if not link.dialect.committed(link.own_cursor):
            await self._end()
            raise errors.TransactionAborted(
                "the server rolled the transaction back instead of committing it"
            )

    async def _roll_back(self) -> None:
        link, nesting = self._link, self._nesting
        try:
            if link is not None and nesting.open:
                await self._close_streams()
                await self._send_rollback(link)
            await self._end()
        finally:
            self._forget_streams()
            nesting.clear()
            self._ready = False

    async def _send_rollback(self, link: AsyncLink) -> None:
        if self._echo is not None:
            self._echo.line("ROLLBACK")
        try:
            if not await link.dialect.rollback_async(link.raw):
                await link.cursor.execute("ROLLBACK")
        except BaseException as exc:
            error: BaseException = exc
            if isinstance(exc, link.dialect.driver_error):
                error = link.dialect.translate(exc, lost=link.dialect.is_lost(exc, link.own))
            self._lose(f"the rollback failed: {exc}")
            if error is exc:
                raise
            raise error from exc

    async def _end(self) -> None:
        """The outermost transaction is over."""
        opened = self._nesting.open
        self._nesting.clear()
        self._ready = False
        if opened and self._link is not None and self._options.read_only is not None:
            for sql in self._engine.dialect.end(self._options.read_only):
                await self._send(sql)

    async def _commit_scope(self, scope: AsyncTransaction) -> None:
        nesting = self._nesting
        nesting.require_active(scope)
        if nesting.is_root(scope):
            await self._commit()
            return
        if nesting.in_trouble:
            reason = nesting.reason
            if nesting.doomed:
                nesting.leave(scope)
            else:
                await self._roll_back_to(scope)
            raise errors.TransactionAborted(
                f"the savepoint could not be released and was rolled back: {reason}"
            )
        await self._send(f"RELEASE SAVEPOINT {scope.name}")
        nesting.leave(scope)

    async def _roll_back_scope(self, scope: AsyncTransaction) -> None:
        nesting = self._nesting
        if nesting.is_root(scope):
            await self._roll_back()
            return
        if nesting.doomed:
            nesting.require_usable()
        await self._roll_back_to(scope)

    async def _roll_back_to(self, scope: AsyncTransaction) -> None:
        nesting = self._nesting
        await self._close_streams()
        await self._send(f"ROLLBACK TO SAVEPOINT {scope.name}")
        nesting.heal()
        await self._send(f"RELEASE SAVEPOINT {scope.name}")
        nesting.leave(scope)
        self._ready = True

    async def _abandon_scope(self, scope: AsyncTransaction, exc: BaseException) -> None:
        """Roll back because `exc` leaves the block; a failure is noted on it, never raised."""
        if not scope.is_active:
            return
        if self._nesting.doomed and not self._nesting.is_root(scope):
            self._nesting.leave(scope)
            return
        try:
            await self._roll_back_scope(scope)
        except errors.Error as failure:
            exc.add_note(f"plainsql: the rollback failed too: {failure}")
            self._lose(f"the rollback failed: {failure}")
            if scope.is_active:
                self._nesting.leave(scope)

    def _enter_block(self, scope: AsyncTransaction) -> None:
        self._blocks.append(scope)

    def _leave_block(self, scope: AsyncTransaction) -> None:
        if scope in self._blocks:
            del self._blocks[self._blocks.index(scope) :]

    # -- streams -------------------------------------------------------------------------------

    async def _close_streams(self) -> None:
        for stream in list(self._streams):
            await stream.close()

    def _forget_streams(self) -> None:
        for stream in self._streams:
            stream._forget()
        self._streams.clear()

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

    def execution_options(self, **options: Any) -> Self:
        """Set options of the transactions to come; returns this connection.

        `isolation_level` by portable name or "AUTOCOMMIT", `read_only`, `deferrable`.
        `TransactionStateError` inside a transaction.
        """
        if self._nesting.scopes:
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

    async def invalidate(self) -> None:
        """Close the driver's connection at once; the pool opens another one when needed.

        A transaction is lost with it: `rollback()`, and the next statement takes a new connection.
        """
        self._lose("invalidate() was called")

    async def close(self) -> None:
        """Roll back what was not committed and give the connection back; may be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._nesting.scopes:
                await self._roll_back_quietly()
        except BaseException:
            self._lose("interrupted while closing")
            raise
        slot, self._slot, self._link, self._ready = self._slot, None, None, False
        if slot is not None:
            await self._engine._pool.release(slot)

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
        await self.close()

    def __del__(self) -> None:
        slot = getattr(self, "_slot", None)
        if slot is not None:
            self._engine._pool.drop(slot)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "in transaction" if self._nesting.scopes else "idle"
        return f"<{type(self).__name__} of {self._engine!r}: {state}>"


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
    for name in options:
        if name in ("stream_results", "yield_per", "max_row_buffer"):
            raise ArgumentError(
                f"{name} is not an option of execute(): use stream(), which reads in batches"
            )
        raise ArgumentError(
            f"unknown execution option {name!r}; isolation_level, read_only and deferrable are "
            "options of a connection or an engine: execution_options(…)"
        )
