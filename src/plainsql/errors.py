"""The exceptions and warnings: PEP 249's names, with PostgreSQL's condition names below them.

Floor 0: imports nothing of the house.  Which class a driver's error becomes is decided by the
dialect's code table (`plainsql.dialect`), never here and never from an error's text.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol, TypeVar

Outcome = Literal["not_applied", "applied", "unknown"]
Fate = Literal["committed", "aborted", "unknown"]
Answer_co = TypeVar("Answer_co", covariant=True)


class Resolver(Protocol[Answer_co]):
    """An engine, as `CommitUnknown.resolve` needs it; an async one answers when awaited."""

    def _resolve(self, token: Any, timeout: float) -> Answer_co: ...


class Error(Exception):
    """Base class of every exception that plainsql raises.

    Its text may have several lines, but no character that a terminal obeys or that nobody sees:
    what a statement or a server holds of those is escaped.  `args` are as they came.
    """

    def __str__(self) -> str:
        return escaped(super().__str__(), keep="\n\t")


def escaped(text: str, keep: str = "") -> str:
    r"""Return the text with what can not be printed escaped as `repr` does, but for `keep`.

    >>> print(escaped("one\r\ntwo\x1b[2J"))
    one\r\ntwo\x1b[2J
    """
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text])


# -- the caller's mistakes: nothing was sent ---------------------------------------------------


class ArgumentError(Error):
    """An argument that can not be meant; nothing was sent."""


class ParameterError(ArgumentError):
    """The parameters do not fit the statement, or a value can not be sent."""


class SQLTextError(ArgumentError):
    """The text of a statement can not be read; carries where.

    `offset` counts from 0 in the text, `line` and `column` from 1; `caret` is the author's line,
    with a caret line below it.
    """

    def __init__(self, message: str, *, sql: str = "", offset: int = 0) -> None:
        self.offset = offset
        self.line = sql.count("\n", 0, offset) + 1
        start = sql.rfind("\n", 0, offset) + 1
        self.column = offset - start + 1
        self.caret = caret(sql, offset)
        where = f" (line {self.line}, column {self.column})\n{self.caret}" if sql else ""
        super().__init__(message + where)


def caret(sql: str, offset: int) -> str:
    """Return the line of `sql` that holds `offset`, and below it a caret; at most 80 characters."""
    start = sql.rfind("\n", 0, offset) + 1
    end = sql.find("\n", offset)
    line = sql[start : end if end >= 0 else len(sql)].expandtabs(1)
    at = offset - start
    left = max(0, at - 60)
    return f"{line[left : left + 80]}\n{' ' * (at - left)}^"


class URLError(ArgumentError):
    """A connection URL that can not be read; the message never shows a password."""


class UnknownDialect(ArgumentError):
    """No installed dialect or driver answers to the name in the URL."""


class TransactionStateError(ArgumentError):
    """The call does not fit the state of the transaction or the connection."""


# -- results -----------------------------------------------------------------------------------


class ResultError(Error):
    """The result does not hold what was asked of it."""


class NoResultFound(ResultError):
    """One row was required, none was found."""


class MultipleResultsFound(ResultError):
    """At most one row was required, more were found."""


class AmbiguousColumn(ResultError):
    """Several columns bear the name; reach them by index."""


class MappingError(ResultError):
    """The columns do not fit the class that they should be mapped to."""


# -- the pool ----------------------------------------------------------------------------------


class PoolError(Error):
    """The pool can not give a connection."""


class PoolTimeout(PoolError):
    """No connection came free within `pool_timeout` seconds; `status` is the pool's then."""

    status: object = None


class PoolClosed(PoolError):
    """The pool was closed while, or before, a connection was asked for."""


# -- the driver and the server -----------------------------------------------------------------


class DBAPIError(Error):
    """An error of the driver or the server; the driver's own is `__cause__`.

    `statement` is the author's text, `code` the SQLSTATE or the vendor's number as text.
    `outcome` says whether the work may have been applied: "not_applied", "applied", "unknown".
    `retryable` is true only where running the whole transaction again is safe.
    `constraint`, `table`, `column` and `position` (offset in the author's text, from 0) are None
    where the server does not tell.  `attempts` are the errors of all attempts, this one the last,
    where `Engine.run` made several.
    """

    statement: str | None = None
    code: str | None = None
    outcome: Outcome = "not_applied"
    retryable: bool = False
    constraint: str | None = None
    table: str | None = None
    column: str | None = None
    position: int | None = None
    attempts: tuple[DBAPIError, ...] = ()


class InterfaceError(DBAPIError):
    """The driver was used in a way it can not serve."""


class DatabaseError(DBAPIError):
    """The database refused."""


class DataError(DatabaseError):
    """A value does not fit."""


class NotSupportedError(DatabaseError):
    """The database, the driver or the dialect can not do this."""


class InternalError(DatabaseError):
    """The database is in a state it should not be in."""


class ProgrammingError(DatabaseError):
    """The statement is wrong."""


class SQLSyntaxError(ProgrammingError):
    """The server can not parse the statement."""


class UndefinedTable(ProgrammingError):
    """No such table."""


class UndefinedColumn(ProgrammingError):
    """No such column."""


class InsufficientPrivilege(ProgrammingError):
    """The user may not do this."""


class IntegrityError(DatabaseError):
    """A constraint was violated."""


class UniqueViolation(IntegrityError):
    """A unique or primary key exists already."""


class ForeignKeyViolation(IntegrityError):
    """The row referred to is missing, or is still referred to."""


class NotNullViolation(IntegrityError):
    """A column that may not be NULL got none or NULL."""


class CheckViolation(IntegrityError):
    """A CHECK constraint said no."""


class ExclusionViolation(IntegrityError):
    """An exclusion constraint said no."""


class OperationalError(DatabaseError):
    """The database or the way to it is in trouble; the statement may be right."""


class ConnectError(OperationalError):
    """No connection could be made; `phase` is "dns", "tcp", "tls", "login" or None."""

    phase: str | None = None


class AuthenticationError(ConnectError):
    """The server refused the user or the password."""


class TooManyConnections(ConnectError):
    """The server has no room for another connection."""


class Disconnected(OperationalError):
    """The connection was lost; `outcome` tells what is known of the work."""


class CommitUnknown(Disconnected):
    """The connection was lost during COMMIT: the transaction may or may not be stored.

    It is the cause of a KeyboardInterrupt, or another interrupt, that came during COMMIT.
    """

    outcome: Outcome = "unknown"
    _token: Any = None

    def resolve(self, engine: Resolver[Answer_co], *, timeout: float = 5.0) -> Answer_co:
        """Ask the server what became of the transaction: "committed", "aborted" or "unknown".

        Known only where the engine was made with `commit_token=True`, and as long as it is the
        same server with the same history: after a failover it is "unknown", after a crash it may
        be, and so it is if the transaction is still open after `timeout` seconds.  What wrote
        nothing is "committed".  `await` it with an async engine, which must be one of the same
        database; what that raises when it connects and asks is raised here.
        """
        return engine._resolve(self._token, timeout)  # noqa: SLF001 - the engines are friends


class TransactionAborted(OperationalError):
    """The commit did not store the transaction; it was rolled back."""


class SerializationFailure(OperationalError):
    """The transaction collided with another one; run it again."""


class DeadlockDetected(OperationalError):
    """The server ended a deadlock at this transaction's expense; run it again."""


class LockTimeout(OperationalError):
    """A lock did not come free in time, or at once where NOWAIT was asked."""


class StatementTimeout(OperationalError):
    """A time limit that plainsql set elapsed."""


class QueryCanceled(OperationalError):
    """The statement was cancelled, by a user or by a limit of the server."""


class ReadOnlyError(OperationalError):
    """The server, the database or the transaction only reads."""


class DiskFull(OperationalError):
    """The server has no room left."""


class CorruptDatabase(OperationalError):
    """The database file is damaged, or is no database."""


# -- warnings ----------------------------------------------------------------------------------


class UncommittedWarning(UserWarning):
    """Writes were dropped because the block ended without a commit."""


class ImplicitCommitWarning(UserWarning):
    """The server committed the transaction by itself, with earlier statements in it."""
