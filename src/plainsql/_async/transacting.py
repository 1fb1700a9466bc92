"""The transaction around a connection's statements: BEGIN, COMMIT, savepoints, and trouble.

Floor 3, source of the sync twin.  What is open and what may be sent is `plainsql.nesting`'s to
say; here it is sent.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from plainsql import errors
from plainsql._async.failing import AsyncFailing, raise_from
from plainsql._async.transaction import AsyncTransaction
from plainsql.concurrency import Opening
from plainsql.errors import TransactionStateError
from plainsql.nesting import Scope
from plainsql.options import require_number
from plainsql.turns import exclusive_async

if TYPE_CHECKING:
    from plainsql._async.link import AsyncLink
    from plainsql.statement import Examined

#: A limit that is like no other one.
UNKNOWN = float("nan")
#: What is raised where the connection was lost.
LOST = (errors.Disconnected, errors.StatementTimeout)


class AsyncTransacting(AsyncFailing):
    """A loan with a transaction on it."""

    __slots__ = ()

    # -- before and after a statement ----------------------------------------------------------

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
            await self._limit_server(link, compiled)
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
        self._nesting.worked = self._wrote = False

    async def _limit_server(self, link: AsyncLink, before: Examined) -> None:
        """Let the server keep the limit, too, where it can."""
        sql = link.dialect.timeout_sql(self._server_limit)
        link.server_limit = self._server_limit
        link.unsettled = link.unsettled or self._nesting.open
        if sql is not None:
            await self._send(sql, before=before)

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

    @exclusive_async
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
            await self._commit_scope(self._nesting.scopes[0])

    @exclusive_async
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
            raise_from(await self._after_failed_commit(exc, token), exc)
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
        """Learn what an exception at COMMIT means; CommitUnknown where nobody here can tell.

        An interrupt is raised as it is; then that is its cause.
        """
        error = await self._after_error(exc, None)
        unknown = self._leaves_unknown(error)
        if unknown and error is not exc and self._link is not None:
            self._lose("the server broke the COMMIT off")
        if self._link is None or self._nesting.in_trouble:
            self._nesting.clear()
            self._whole = None
        if not unknown:
            return error
        told = errors.CommitUnknown(str(error) or f"interrupted by {type(error).__name__}")
        told._token = token
        if not isinstance(error, errors.DBAPIError):
            error.__cause__ = error.__cause__ or told
            return error
        told.code = error.code
        return told

    def _leaves_unknown(self, error: BaseException) -> bool:
        """Tell whether, after `error` at COMMIT, the transaction may be stored."""
        if not isinstance(error, errors.DBAPIError):
            return self._link is None or self._nesting.doomed
        if error.code in self._engine.dialect.unknown_codes:
            return not error.retryable
        return self._link is None and isinstance(error, LOST)

    async def _roll_back(self) -> None:
        link = self._link
        try:
            if self._streams and link is not None:
                await self._drop_streams(link)
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
            raise_from(self._after_failed_rollback(exc, link), exc)
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

    async def _commit_scope(self, scope: Scope) -> None:
        turn = self._turn
        if not turn.acquire(False):
            self._refuse()
        try:
            self._nesting.require_active(scope)
            if self._nesting.is_root(scope):
                await self._commit()
            else:
                await self._release_savepoint(scope)
        except BaseException as exc:
            if not isinstance(exc, Exception):
                self._doubt(exc)
            raise
        finally:
            turn.release()

    async def _release_savepoint(self, scope: Scope) -> None:
        nesting = self._nesting
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

    @exclusive_async
    async def _roll_back_scope(self, scope: AsyncTransaction) -> None:
        nesting = self._nesting
        if nesting.is_root(scope):
            await self._roll_back()
            return
        if nesting.doomed:
            nesting.require_usable()
        await self._roll_back_to(scope)

    async def _roll_back_to(self, scope: Scope) -> None:
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
        """Roll back because `exc` leaves the block; a failure is noted on it, never raised.

        Where another one is at work, only a rollback is accepted from then on.
        """
        try:
            await self._drop_scope(scope, exc)
        except errors.InterfaceError as refusal:
            exc.add_note(f"plainsql: the rollback failed too: {refusal}")
            self._nesting.fail("its block was left while the connection was in use")
            self._ready = False

    @exclusive_async
    async def _drop_scope(self, scope: AsyncTransaction, exc: BaseException) -> None:
        if not scope.is_active:
            return
        if self._nesting.doomed and not self._nesting.is_root(scope):
            self._nesting.leave(scope)
            return
        try:
            await self._roll_back_scope(scope)
        except Exception as failure:  # noqa: BLE001 - whatever it is, the user's goes on
            exc.add_note(f"plainsql: the rollback failed too: {failure}")
            self._lose(f"the rollback failed: {failure}")
            if scope.is_active:
                self._nesting.leave(scope)

    def _enter_block(self, scope: AsyncTransaction) -> None:
        self._blocks.append(scope)

    def _leave_block(self, scope: AsyncTransaction) -> None:
        if scope in self._blocks:
            del self._blocks[self._blocks.index(scope) :]
