"""The transaction around a connection's statements: BEGIN, COMMIT, savepoints, and trouble.

Floor 3, source of the sync twin.  What is open and what may be sent is `plainsql.nesting`'s to
say; here it is sent, and what the driver raises is learnt from.
"""

from __future__ import annotations

import sys
import time
import warnings
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from plainsql import errors
from plainsql._async.pool import OURS
from plainsql._async.transaction import AsyncTransaction
from plainsql.concurrency import Opening
from plainsql.errors import TransactionStateError
from plainsql.nesting import Nesting, Scope
from plainsql.options import require_number

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plainsql._async.engine import AsyncEngine
    from plainsql._async.link import AsyncLink
    from plainsql._async.stream import AsyncStream
    from plainsql.ledger import Slot
    from plainsql.statement import Examined

T = TypeVar("T")

#: A limit that is like no other one.
UNKNOWN = float("nan")
#: Seconds that a rollback may take where there are limits, however little time is left.
CLEAN_UP = 5.0
#: What a time limit that elapsed looks like; SQLite's wait for a lock ends by itself.
ENDED = (errors.QueryCanceled, errors.Disconnected, errors.LockTimeout)
#: What comes of a colon that the server can not read.
UNREAD = (errors.SQLSyntaxError, errors.ProgrammingError)
#: A statement of one line bears its caret itself, up to this column.
WIDTH = 74
#: After these it was the server that rolled the transaction back, if it is over.
COLLISIONS = (errors.DeadlockDetected, errors.SerializationFailure, errors.LockTimeout)
#: What is raised where the connection was lost.
LOST = (errors.Disconnected, errors.StatementTimeout)
#: What drivers raise while they bind, before anything is sent.
BINDING_ERRORS = (UnicodeEncodeError, OverflowError, TypeError)


class AsyncTransacting:
    """A driver's connection on loan from the pool, and the transaction on it."""

    __slots__ = (
        "__weakref__", "_autocommit", "_blocks", "_closed", "_echo", "_ends", "_engine", "_limited",
        "_link", "_nesting", "_options", "_ready", "_server_limit", "_slot", "_streams", "_strict",
        "_whole", "_wrote",
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
        self._closed = self._wrote = False
        self._streams: list[AsyncStream[Any]] = []
        self._blocks: list[AsyncTransaction] = []
        self._limited = engine._timeout is not None
        self._server_limit = engine._timeout  # what the server is to keep of the next statement
        self._whole: float | None = None  # the limit of the transaction,
        self._ends = 0.0  # and when its time is over

    # -- before and after a statement ----------------------------------------------------------

    async def _take_link(self) -> AsyncLink:
        """Take a connection from the pool: the first time, and after one was lost."""
        if self._closed:
            raise TransactionStateError("this connection is closed; take another one by connect()")
        if self._nesting.doomed:
            self._nesting.require_usable()
        self._slot = slot = await self._engine._pool.acquire()
        link: AsyncLink = slot.raw
        self._link = link
        return link

    async def _make_ready(self, compiled: Examined) -> None:
        """Check that a statement may run now, and send BEGIN if none stands."""
        nesting = self._nesting
        if nesting.failed or nesting.doomed:
            nesting.require_usable()
        if self._streams:
            self._check_streams()
        if compiled.special and not self._autocommit:
            self._check_special(compiled)
        if self._blocks and not self._blocks[-1].is_active:
            raise TransactionStateError(
                "the transaction of this `with` block has ended; leave the block first"
            )
        link = self._link
        if link is not None and link.server_limit != self._server_limit:
            await self._limit_server(link)
        if self._autocommit:
            self._ready = not self._strict
            return
        if not nesting.scopes:
            nesting.scopes.append(Scope(None))
        if nesting.open:
            nesting.worked = True
        else:
            await self._begin(compiled)
        self._ready = not self._strict

    def _check_special(self, compiled: Examined) -> None:
        if compiled.control:
            raise TransactionStateError(
                f"{compiled.verb} is not sent as a statement: "
                'use begin(), commit() and rollback(), or the isolation level "AUTOCOMMIT"'
            )
        if compiled.refusal:
            raise TransactionStateError(compiled.refusal)

    def _check_streams(self) -> None:
        if "interleaved_streams" in self._engine.dialect.capabilities:
            return
        raise TransactionStateError(
            f"a stream is open on this connection, and {self._engine.dialect.name} can run "
            "no other statement before it is closed"
        )

    async def _begin(self, compiled: Examined) -> None:
        for sql in self._options.begin:
            await self._send(sql, f"{sql} (implicit)", compiled)
        self._nesting.open = True
        self._nesting.worked = False

    async def _send(self, sql: str, log: str | None = None, before: Examined | None = None) -> None:
        """Send a statement of our own; an error names the statement `before` which it was sent."""
        link = self._link or await self._take_link()
        if self._echo is not None:
            self._echo.line(log or sql)
        try:
            await link.cursor.execute(sql)
        except BaseException as exc:
            await self._failed(exc, before)
            raise

    async def _after_special(self, compiled: Examined, *, had_rows: bool) -> None:
        """See whether a statement that succeeded ended the transaction, as DDL on MySQL does.

        What came with rows is the state before their end; then the server is asked again.
        """
        if compiled.mode:
            await self._learn_mode(compiled)
        link, nesting = self._link, self._nesting
        if self._autocommit or link is None or not nesting.open:
            return
        if had_rows and not await self._probe(link):
            return
        if link.dialect.transaction_state(link.own) != "idle":
            return
        self._ready = self._wrote = False
        if nesting.ended_by_server(f"{compiled.verb} committed it and dropped its savepoints"):
            self._tell_commit(f"{compiled.verb} made {link.dialect.name} commit the transaction")
        else:
            self._tell_commit(None)

    async def _learn_mode(self, compiled: Examined) -> None:
        """Hear how the server reads SQL after a statement that may have changed it."""
        link = self._link
        if link is None:
            return
        if self._echo is not None and link.dialect.mode_sql is not None:
            self._echo.line(link.dialect.mode_sql)
        try:
            await link.learn_mode()
        except BaseException as exc:
            self._lose(f"the lexer's mode is not known after {compiled.verb}: {exc}")
            if isinstance(exc, link.dialect.driver_error):
                raise link.dialect.translate(exc, lost=True) from exc
            raise
        link.unsettled = True

    def _tell_commit(self, what: str | None) -> None:
        """Log that the server committed by itself; warn if that took other statements with it."""
        if self._echo is not None:
            self._echo.line("COMMIT (implicit, by the server)")
        if what is not None:
            warnings.warn(
                f"{what}, with the statements before it",
                errors.ImplicitCommitWarning,
                stacklevel=stacklevel(),
            )

    async def _failed(self, exc: BaseException, compiled: Examined | None, *sent: Any) -> None:
        """Raise what an exception means to the user; return if it is to be raised as it is.

        `sent` are the values, the SQL and the driver's cursor, as far as the caller has them.
        """
        _raise(await self._after_error(exc, compiled, *sent), exc)

    async def _after_error(
        self, exc: BaseException, compiled: Examined | None, *sent: Any
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
            self._describe(error, exc, compiled, *sent)
            await self._learn_state(str(exc))
            return error
        lost = dialect.is_lost(exc, link.own)
        error = dialect.translate(exc, lost=lost)
        if link.watch.is_armed:
            error = self._limit_elapsed(link, error)
            await self._settle(link)
        self._describe(error, exc, compiled, *sent)
        if lost or self._link is None:
            self._lost(error, str(exc).strip())
        else:
            was_open = self._nesting.open
            await self._learn_state(str(exc).strip())
            if compiled is not None and compiled.mode:
                await self._learn_mode(compiled)
            if was_open and compiled is not None and compiled.special:
                self._after_failed_special(error, compiled)
        return error

    def _lost(self, error: errors.DBAPIError, reason: str) -> None:
        """Give up a connection that is lost; other ones may be, too."""
        error.outcome = "unknown" if self._autocommit else "not_applied"
        limit_elapsed = isinstance(error, errors.StatementTimeout)
        error.retryable = not self._autocommit and not limit_elapsed
        self._lose(reason)
        self._engine._pool.suspect()

    def _after_failed_special(self, error: errors.DBAPIError, compiled: Examined) -> None:
        """Tell of DDL that committed and then failed; a collision rolled back instead."""
        nesting = self._nesting
        if nesting.open or self._link is None or isinstance(error, COLLISIONS):
            return
        name = self._engine.dialect.name
        what = f"{compiled.verb} failed, but made {name} commit the transaction"
        self._tell_commit(what if nesting.worked else None)

    def _describe(
        self,
        error: errors.DBAPIError,
        exc: BaseException,
        compiled: Examined | None,
        values: Any = None,
        sql: str = "",
        cursor: Any = None,
    ) -> None:
        """Add the author's statement, and where in it the error stands; values only where
        `hide_parameters=False` allows them.
        """
        if compiled is None:
            return
        error.statement = compiled.statement
        if sql:
            error.position = self._position(error, exc, compiled, values, sql, cursor)
        said = error.args[0]
        number = self._engine.dialect.untyped(exc)
        if number is not None and (cast := compiled.cast(number)) is not None:
            name, error.position, line = cast
            said = f"{said}: say the type of :{name}, by text(…, {name}=str) or in the SQL:\n{line}"
        if type(error) in UNREAD and (name := compiled.unmeant()):
            said = f"{said}: if {name} is a parameter, write a blank before it"
        text = f"{said}\n{_told(compiled.statement, error.position)}"
        if self._engine._show_parameters and values is not None:
            text += f"\n[parameters: {values!r}]"
        error.args = (text,)

    def _position(
        self,
        error: errors.DBAPIError,
        exc: BaseException,
        compiled: Examined,
        values: Any,
        sql: str,
        cursor: Any,
    ) -> int | None:
        dialect = self._engine.dialect
        place: int | str | None = dialect.place(exc)
        if place is None and isinstance(error, errors.UndefinedColumn):
            place = error.column
        if place is None and isinstance(error, errors.UndefinedTable):
            place = error.table
        if place is None:
            return None
        return compiled.locate(place, sql, dialect.seen(cursor, values))

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
        if not await self._probe(link):
            return
        state = link.dialect.transaction_state(link.own)
        if state == "failed":
            nesting.fail(reason)
        elif state == "idle":
            nesting.doom(reason)
        self._ready = self._ready and state == "active"

    async def _probe(self, link: AsyncLink) -> bool:
        """Ask the server where only its next answer tells the state; False if that loses it."""
        probe = link.dialect.probe_sql
        if probe is None or self._streams:
            return True
        if self._echo is not None:
            self._echo.line(probe)
        try:
            await link.cursor.execute(probe)
        except link.dialect.driver_error as exc:
            self._lose(str(exc))
            return False
        except BaseException as exc:
            self._lose(f"interrupted by {type(exc).__name__}")
            raise
        return True

    def _lose(self, reason: str) -> None:
        """Give up the driver's connection; the transaction, if any, is lost with it."""
        slot, self._slot, self._link, self._ready = self._slot, None, None, False
        self._forget_streams()
        if self._nesting.scopes:
            self._nesting.doom(reason)
        if slot is not None:
            self._engine._pool.discard(slot)

    # -- transactions --------------------------------------------------------------------------

    def begin(self, *, timeout: float | None = None) -> Opening[AsyncTransaction]:
        """Begin the transaction; BEGIN itself is sent with the first statement.

        With `timeout` all of it, COMMIT included, must end within so many seconds from now; then
        `StatementTimeout`.  `TransactionStateError` if one is begun already.
        """
        return Opening(self._begin_root(timeout))

    async def _begin_root(self, timeout: float | None = None) -> AsyncTransaction:
        if self._closed:
            raise TransactionStateError("this connection is closed; take another one by connect()")
        transaction = AsyncTransaction(self, None)
        self._nesting.enter(transaction)
        if timeout is not None:
            require_number("timeout", timeout, 0.001)
            self._whole, self._ends = timeout, time.monotonic() + timeout
            self._limited, self._ready = True, False
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
        savepoint.wrote_before = self._wrote
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
        if nesting.open and self._limited:
            await self._watched(None, self._send_commit)
        elif nesting.open:
            await self._send_commit()
        await self._end()

    async def _send_commit(self) -> None:
        link = self._link
        if link is None:
            raise AssertionError("bug: an open transaction without a connection")
        token = await self._take_token(link) if self._engine._commit_token else None
        if self._echo is not None:
            self._echo.line("COMMIT")
        try:
            await link.cursor.execute("COMMIT")
        except BaseException as exc:
            _raise(await self._after_failed_commit(exc, token), exc)
            raise
        if not link.dialect.committed(link.own_cursor):
            await self._end()
            raise errors.TransactionAborted(
                "the server rolled the transaction back instead of committing it"
            )

    async def _take_token(self, link: AsyncLink) -> Any:
        """Ask which transaction this is, in case nobody answers the COMMIT."""
        await self._send(link.dialect.token_sql)
        return (await link.cursor.fetchall())[0]

    async def _after_failed_commit(self, exc: BaseException, token: Any) -> BaseException:
        error = await self._after_error(exc, None)
        if self._link is None or self._nesting.in_trouble:
            self._nesting.clear()
            self._whole = None
        if self._link is not None or not isinstance(error, LOST):
            return error
        unknown = errors.CommitUnknown(str(error))
        unknown.code = error.code
        unknown._token = token
        return unknown

    async def _roll_back(self) -> None:
        link = self._link
        try:
            if self._streams:
                await self._close_streams()
            if link is not None and self._nesting.open and self._limited:
                await self._cleaned_up(link, partial(self._send_rollback, link))
            elif link is not None and self._nesting.open:
                await self._send_rollback(link)
        finally:
            await self._end()

    async def _send_rollback(self, link: AsyncLink) -> None:
        if self._echo is not None:
            self._echo.line("ROLLBACK")
        try:
            if not await link.dialect.rollback_async(link.raw):
                await link.cursor.execute("ROLLBACK")
        except BaseException as exc:
            _raise(self._after_failed_rollback(exc, link), exc)
            raise

    def _after_failed_rollback(self, exc: BaseException, link: AsyncLink) -> BaseException:
        reason = f"the rollback failed: {exc}"
        if not isinstance(exc, link.dialect.driver_error):
            self._lose(reason)
            return exc
        lost = link.dialect.is_lost(exc, link.own)
        error = link.dialect.translate(exc, lost=lost)
        if lost:
            self._lost(error, reason)
        else:
            self._lose(reason)
        return error

    async def _end(self) -> None:
        """The outermost transaction is over."""
        opened = self._nesting.open
        self._nesting.clear()
        self._ready = self._wrote = False
        self._whole, self._limited = None, self._engine._timeout is not None
        if self._link is not None and self._link.unsettled:
            self._link.unsettled = False
            self._link.take_rules()
            self._link.server_limit = UNKNOWN
        if opened and self._link is not None and self._options.end:
            for sql in self._options.end:
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
        if "interleaved_streams" not in self._engine.dialect.capabilities:
            await self._close_streams()
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
        nesting, link = self._nesting, self._link
        await self._close_streams()
        send = partial(self._send, f"ROLLBACK TO SAVEPOINT {scope.name}")
        await (send() if link is None or not self._limited else self._cleaned_up(link, send))
        if self._link is not None:
            self._link.dialect.rolled_back_to(self._link.own)
            self._link.take_rules()
            if self._link.unsettled:
                self._link.server_limit = UNKNOWN
        nesting.heal()
        self._wrote = scope.wrote_before
        await self._send(f"RELEASE SAVEPOINT {scope.name}")
        nesting.leave(scope)
        self._ready = not self._strict

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

    # -- time limits ---------------------------------------------------------------------------

    async def _watched(
        self, timeout: float | None, call: Callable[[], Awaitable[T]], *, by_server: bool = True
    ) -> T:
        """Run what talks to the server within the nearest of the limits, if there is any."""
        if timeout is None and not self._limited:
            return await call()
        limit, seconds = self._nearest(timeout)
        link = self._link or await self._take_link()
        self._limited = False
        usual, self._server_limit = self._server_limit, limit if by_server else None
        self._ready = False
        try:
            link.watch.arm(limit, seconds)
            return await call()
        finally:
            self._limited = self._whole is not None or self._engine._timeout is not None
            self._server_limit, self._ready = usual, False
            await self._settle(link)

    def _nearest(self, timeout: float | None) -> tuple[float, float]:
        """Return the nearest limit, and what is left of it; StatementTimeout if nothing is."""
        if timeout is not None:
            require_number("timeout", timeout, 0.001)
        limits = [(n, n) for n in (timeout, self._engine._timeout) if n is not None]
        if self._whole is not None:
            limits.append((self._ends - time.monotonic(), self._whole))
        seconds, limit = min(limits)
        if seconds <= 0:
            raise errors.StatementTimeout(
                f"the transaction's time limit of {limit:g} seconds elapsed before this was sent"
            )
        return limit, seconds

    async def _cleaned_up(self, link: AsyncLink, call: Callable[[], Awaitable[T]]) -> T:
        """Roll back in a time of its own, where there are limits."""
        try:
            link.watch.arm(CLEAN_UP, CLEAN_UP)
            return await call()
        finally:
            await self._settle(link)

    async def _settle(self, link: AsyncLink) -> None:
        """End the watch; where the server was asked to stop, let that hit nothing else."""
        watch = link.watch
        try:
            await watch.disarm()
            if watch.asked and link is self._link and not watch.cut and not self._reads_on(link):
                watch.asked = False
                if link.dialect.ping_sql is not None:
                    with suppress(link.dialect.driver_error):
                        await link.cursor.execute(link.dialect.ping_sql)
        except BaseException as exc:
            if link is self._link:
                self._lose(f"interrupted by {type(exc).__name__}")
            raise
        if watch.cut and link is self._link:
            self._lose("a time limit elapsed")

    def _reads_on(self, link: AsyncLink) -> bool:
        """Tell whether nothing can be asked now, since a stream is in the way."""
        return bool(self._streams) and "interleaved_streams" not in link.dialect.capabilities

    def _limit_elapsed(self, link: AsyncLink, error: errors.DBAPIError) -> errors.DBAPIError:
        """Return what an error is that came because, and not only after, a limit elapsed."""
        if not link.watch.is_over() or not isinstance(error, ENDED):
            return error
        elapsed = errors.StatementTimeout(
            f"the time limit of {link.watch.limit:g} seconds elapsed: {error}"
        )
        elapsed.code = error.code
        return elapsed

    async def _limit_server(self, link: AsyncLink) -> None:
        """Let the server keep the limit, too, where it can."""
        sql = link.dialect.timeout_sql(self._server_limit)
        link.server_limit = self._server_limit
        link.unsettled = link.unsettled or self._nesting.open
        if sql is not None:
            await self._send(sql)

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


def _raise(error: BaseException, exc: BaseException) -> None:
    """Raise `error` from `exc`; return if they are one, to be raised as it is."""
    try:
        if error is not exc:
            raise error from exc
    finally:
        del error  # or its traceback would hold it, with all the frames, in a cycle


def _told(statement: str, position: int | None) -> str:
    """Return the statement as an error shows it, with a caret where the error stands."""
    shown = f"[SQL: {statement}]"
    if position is None:
        return shown
    if "\n" not in statement and position < WIDTH:
        return f"{shown}\n{' ' * (len('[SQL: ') + position)}^"
    line = statement.count("\n", 0, position) + 1
    return f"{shown}\n[line {line}]\n{errors.caret(statement, position)}"


def stacklevel() -> int:
    """Return how far above the caller the first frame is that is not plainsql's, nor a stack's."""
    level, frame = 1, sys._getframe(1)
    passed = (*OURS, "contextlib")
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(passed):
        level, frame = level + 1, frame.f_back
    return level
