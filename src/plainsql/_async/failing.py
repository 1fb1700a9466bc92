"""What the driver raises, and what it means for the statement, the connection, the transaction.

Floor 3, source of the sync twin.  Which class an error has is the dialect's to say; here it is
told the author's text, and the state that the server left behind is learnt.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

from plainsql import errors
from plainsql._async.loan import AsyncLoan
from plainsql.holders import OURS

if TYPE_CHECKING:
    from types import FrameType

    from plainsql._async.link import AsyncLink
    from plainsql.dialect import Dialect
    from plainsql.statement import Examined

#: What comes of a colon that the server can not read.
UNREAD = (errors.SQLSyntaxError, errors.ProgrammingError)
#: A statement of one line bears its caret itself, up to this column.
WIDTH = 74
#: After these it was the server that rolled the transaction back, if it is over.
COLLISIONS = (errors.DeadlockDetected, errors.SerializationFailure, errors.LockTimeout)
#: What drivers raise while they bind, before anything is sent.
BINDING_ERRORS = (UnicodeEncodeError, OverflowError, TypeError)


class AsyncFailing(AsyncLoan):
    """A loan on which things go wrong."""

    __slots__ = ()

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

    async def _failed(self, exc: BaseException, compiled: Examined | None, *sent: Any) -> None:
        """Raise what an exception means to the user; return if it is to be raised as it is.

        `sent` are the values, the SQL and the driver's cursor, as far as the caller has them.
        """
        raise_from(await self._after_error(exc, compiled, *sent), exc)

    async def _after_error(
        self, exc: BaseException, compiled: Examined | None, *sent: Any
    ) -> BaseException:
        """Learn what an exception means for the connection; return what to raise."""
        link = self._link
        if link is None:
            return exc
        dialect = link.dialect
        interrupt = _hidden(exc)
        if interrupt is not None:
            return await self._after_interrupt(interrupt)
        if not isinstance(exc, dialect.driver_error):
            if not isinstance(exc, BINDING_ERRORS):
                return await self._after_interrupt(exc)
            error: errors.DBAPIError = errors.DataError(f"a value can not be sent: {exc}")
            self._describe(error, exc, compiled, *sent)
            await self._learn_state(str(exc))
            return error
        lost = dialect.is_lost(exc, link.own)
        error = dialect.translate(exc, lost=lost)
        if lost and sent:
            error = _too_large(dialect, error, *sent)
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
        refused = isinstance(error, errors.DataError)
        error.outcome = "unknown" if self._autocommit and not refused else "not_applied"
        again = isinstance(error, errors.StatementTimeout) or refused  # it would be lost again
        error.retryable = not self._autocommit and not again
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


def _hidden(exc: BaseException) -> BaseException | None:
    """Return the interrupt in whose stead a driver raised an error, as it cleaned up after it.

    One that the user is just handling is none of these: the frame that does is still at work.
    """
    before = exc.__context__
    while before is not None and not isinstance(before, TimeoutError):  # that one cancels, too
        if not isinstance(before, Exception) and not _is_handled_here(before):
            return before
        before = before.__context__
    return None


def _is_handled_here(exc: BaseException) -> bool:
    if exc.__traceback__ is None:
        return True
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame is not exc.__traceback__.tb_frame:
        frame = frame.f_back
    return frame is not None


def raise_from(error: BaseException, exc: BaseException) -> None:
    """Raise `error` from `exc`; return if they are one, to be raised as it is."""
    try:
        if error is not exc and not isinstance(error, Exception):
            raise error  # it came first
        if error is not exc:
            raise error from exc
    finally:
        del error  # or its traceback would hold it, with all the frames, in a cycle


def _too_large(
    dialect: Dialect, error: errors.DBAPIError, values: Any, sql: str, cursor: Any
) -> errors.DBAPIError:
    """Return what an error is where the server hung up on a statement that it would not take."""
    why = dialect.too_large(cursor, sql, values)
    if why is None:
        return error
    refused = errors.DataError(f"{why}: {error}")
    refused.code = error.code
    return refused


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
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(OURS):
        level, frame = level + 1, frame.f_back
    return level
