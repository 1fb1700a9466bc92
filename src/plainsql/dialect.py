"""What a database and its driver do differently, as data and a few methods: the plug-in contract.

Floor 1.  A dialect package subclasses `Dialect`, sets what differs from standard SQL and writes
`load`, `connect` and `error_code`; everything else has a default.  Nothing here does I/O but
`connect`, and nothing imports a driver before `load` is called.
"""

from __future__ import annotations

import os
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, ClassVar

from plainsql import errors
from plainsql.codecs import Codecs, Json
from plainsql.errors import ArgumentError, DBAPIError, NotSupportedError
from plainsql.rules import LexicalRules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from plainsql.driver import AsyncDriverConnection, Many, ParamStyle, TransactionState
    from plainsql.errors import Fate
    from plainsql.url import URL

# SQLSTATE, or its first two characters: ISO/IEC 9075-2 and PostgreSQL's appendix A.
SQLSTATES: dict[str, type[DBAPIError]] = {
    "08": errors.Disconnected,
    "0A": errors.NotSupportedError,
    "22": errors.DataError,
    "23": errors.IntegrityError,
    "23502": errors.NotNullViolation,
    "23503": errors.ForeignKeyViolation,
    "23505": errors.UniqueViolation,
    "23514": errors.CheckViolation,
    "23P01": errors.ExclusionViolation,
    "25006": errors.ReadOnlyError,
    "25P02": errors.TransactionAborted,
    "28": errors.AuthenticationError,
    "40001": errors.SerializationFailure,
    "40P01": errors.DeadlockDetected,
    "42": errors.ProgrammingError,
    "42501": errors.InsufficientPrivilege,
    "42601": errors.SQLSyntaxError,
    "42703": errors.UndefinedColumn,
    "42P01": errors.UndefinedTable,
    "53": errors.OperationalError,
    "53100": errors.DiskFull,
    "53300": errors.TooManyConnections,
    "55P03": errors.LockTimeout,
    "57014": errors.QueryCanceled,
}

#: The name in an item of a cursor's description.
NAME = itemgetter(0)

PEP_249 = (
    "InterfaceError",
    "DataError",
    "OperationalError",
    "IntegrityError",
    "InternalError",
    "ProgrammingError",
    "NotSupportedError",
    "DatabaseError",
)

ISOLATION_LEVELS = ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")

# Statements that never end a transaction, on any database that commits implicitly.
PLAIN_VERBS = frozenset(
    (
        "SELECT",
        "INSERT",
        "UPDATE",
        "DELETE",
        "REPLACE",
        "WITH",
        "VALUES",
        "MERGE",
        "SHOW",
        "EXPLAIN",
    )
)


class Dialect:
    """One database as one driver speaks to it; an instance belongs to one engine.

    Required of a subclass: `name`, `driver_name`, `paramstyle`, `load`, `connect`, `error_code`.
    Methods that take `raw` get the driver's own connection and, where nothing else is said,
    answer from local knowledge, without a round trip.
    """

    name: ClassVar[str]
    """The dialect's name in the URL."""
    driver_name: ClassVar[str]
    """The driver's name in the URL, behind `+`."""
    paramstyle: ClassVar[ParamStyle]
    """How the driver marks parameters: one of PEP 249's five, or `numeric_dollar`."""

    extra: ClassVar[str] = ""
    """The package extra that installs the driver, named when it is missing."""
    lexical: ClassVar[LexicalRules] = LexicalRules()
    """What the lexer of a new connection does; `lexical_rules` may refine it per connection."""
    capabilities: ClassVar[frozenset[str]] = frozenset({"savepoints"})
    """What it can: "savepoints", "read_only", "deferrable", "interleaved_streams" (other statements
    may run while a stream is open), "implicit_commit" (some statements commit by themselves),
    "returning" (INSERT, UPDATE or DELETE can return rows), "cancel" (`cancel` stops a statement),
    "commit_token" (`token_sql`, `fate_sql` and `fate` tell what became of a lost COMMIT).
    """
    isolation_levels: ClassVar[tuple[str, ...]] = ISOLATION_LEVELS
    """The isolation levels that the database has, by their portable names."""
    url_options: ClassVar[Mapping[str, Callable[[str], Any]]] = {}
    """URL options: name → function from the option's text to the value `connect` wants."""

    error_classes: ClassVar[Mapping[str, type[DBAPIError]]] = SQLSTATES
    """Code, or two-character SQLSTATE class → exception class."""
    lost_codes: ClassVar[frozenset[str]] = frozenset()
    """Codes after which the connection is lost whatever the driver says."""
    retryable_codes: ClassVar[frozenset[str]] = frozenset({"40001", "40P01"})
    """Codes after which running the whole transaction again is safe."""

    unknown_codes: ClassVar[frozenset[str]] = frozenset({"40003"})
    """Codes at COMMIT that leave open, though the connection lives, whether it stored anything."""

    parameter_codecs: ClassVar[Mapping[type | str, Callable[[Any], Any] | None]] = {
        "enum.Enum": attrgetter("value"),
        Json: str,
    }
    """Exact type, or its "module.Name" where the module should not be imported for it, → None
    (the driver takes it as it is) or a function to what the driver takes.
    """
    typed_codecs: ClassVar[Mapping[type | str, Callable[[Any], Any] | None]] = {}
    """The same for parameters whose type the statement says, and only for them: what would not come
    back as it went, unless the statement says that, too.  For `Json` the function gets the text.
    """
    column_codecs: ClassVar[Mapping[Any, Callable[[Any], Any] | type[Json]]] = {}
    """The driver's type of a result column → a function of the driver's value, never of None; or
    `Json` for the engine's function.
    """
    reads_json: ClassVar[frozenset[Any]] = frozenset()
    """The types of columns whose JSON the driver reads by itself."""
    tells_column_types: ClassVar[bool] = True
    """Whether `column_codes` knows."""
    passes_unknown_types: ClassVar[bool] = False
    """Whether types that `parameter_codecs` does not know go to the driver as they are."""
    integers: ClassVar[range | None] = None
    """The integers that come back as they went; None where the driver refuses the others."""
    max_parameters: ClassVar[int | None] = None
    """Most parameters of one statement; None where the server has no limit.  `parameter_limit` may
    tell more of a connection.
    """
    max_message: ClassVar[int | None] = None
    """Most bytes of a statement with its values, where neither the driver nor `require_fits` of a
    list would refuse more before it is sent.
    """
    lists_as_arrays: ClassVar[bool] = False
    """True where `IN :ids` is sent as `= ANY(array)`, with one parameter of any length."""
    set_of_rows: ClassVar[str] = "({})"
    """What stands around the rows of `(a, b) IN :pairs`."""

    ping_sql: ClassVar[str | None] = "SELECT 1"
    """Sent when a connection idled beyond the window; None: nothing to ask."""
    probe_sql: ClassVar[str | None] = None
    """Sent after an error inside a transaction, and after the rows of a statement that may commit,
    where only the server's next answer tells whether the transaction lives; None where
    `transaction_state` knows at once.
    """
    max_identifier_bytes: ClassVar[int | None] = None
    """Longest identifier, in bytes of UTF-8."""
    max_identifier_chars: ClassVar[int | None] = None
    """Longest identifier, in characters."""
    identifier_quote: ClassVar[str] = '"'
    """What stands around a quoted identifier; doubled inside."""
    speaks_unasked: ClassVar[bool] = True
    """Whether the server may send something, such as a notice, to a connection that idles well."""
    drains_streams: ClassVar[bool] = False
    """Whether to close a stream takes a while before its end is reached: then a connection that is
    given back with one open is closed, without protocol.
    """

    driver_error: type[Exception]
    """The driver's base exception, set by `load`."""

    # -- connecting ----------------------------------------------------------------------------

    def load(self) -> None:
        """Import the driver and set `driver_error`; ImportError if it is not installed."""
        raise NotImplementedError

    def options(self, url: URL) -> dict[str, Any]:
        """Return the URL's options as `connect` wants them; refuse unknown ones by name."""
        options: dict[str, Any] = {}
        for name, value in url.query.items():
            convert = self.url_options.get(name)
            if convert is None:
                known = ", ".join(sorted(self.url_options)) or "none"
                raise errors.URLError(
                    f"unknown URL option {name!r} for {self.name}; known: {known}"
                )
            if not isinstance(value, str):
                raise errors.URLError(f"the URL option {name!r} is given more than once")
            try:
                options[name] = convert(value)
            except ValueError as exc:
                raise errors.URLError(f"URL option {name}={value!r}: {exc}") from None
        return options

    def connect(self, url: URL, timeout: float, connect_args: Mapping[str, Any]) -> Any:
        """Open one PEP 249 connection in driver autocommit mode, within `timeout` seconds.

        TLS and authentication are inside the deadline.  `connect_args` go to the driver as they
        are and win over what the URL says.
        """
        raise NotImplementedError

    async def connect_async(
        self, url: URL, timeout: float, connect_args: Mapping[str, Any]
    ) -> AsyncDriverConnection:
        """Open an awaitable connection; the default puts `connect` behind a worker thread."""
        from plainsql.bridge import bridge

        return await bridge(self, lambda: self.connect(url, timeout, connect_args))

    def adopt(self, creator: Callable[[], Any]) -> Any:
        """Call a user's `creator` and put its connection into the state `connect` promises."""
        return creator()

    async def adopt_async(self, creator: Callable[[], Any]) -> AsyncDriverConnection:
        """The awaitable twin of `adopt`: `creator` runs in the connection's worker thread."""
        from plainsql.bridge import bridge

        return await bridge(self, lambda: self.adopt(creator))

    def confine(self, root: str) -> None:
        """Open only files in this folder, links resolved; ArgumentError where there are no files.

        Called before `open_database`.
        """
        raise ArgumentError(f"root is for databases that are files; {self.name} has a server")

    def open_database(self, url: URL) -> Any:
        """Return what must live as long as the engine does, with a `close()`, or None."""
        return None

    # -- how the server reads SQL --------------------------------------------------------------

    mode_sql: ClassVar[str | None] = None
    """Asks for the server's lexer mode; None where the driver knows it without a round trip."""

    def changes_mode(self, verb: str, sql: str) -> bool:
        """Tell whether a statement may change how the server reads the next ones."""
        return False

    def learn_mode(self, raw: Any, told: Any) -> None:
        """Keep the row that `mode_sql` gave; NotSupportedError for a mode that is not safe."""

    def lexical_rules(self, raw: Any) -> LexicalRules:
        """Return the rules of this connection, as its mode was last known."""
        return self.lexical

    # -- errors --------------------------------------------------------------------------------

    def error_code(self, exc: BaseException) -> str | None:
        """Return the SQLSTATE or the vendor's number as text, or None."""
        raise NotImplementedError

    def error_class(self, exc: BaseException, code: str | None) -> type[DBAPIError] | None:
        """Tell more where a code is ambiguous; None leaves the choice to the tables."""
        return None

    def diagnose(self, exc: BaseException) -> Mapping[str, Any]:
        """Return what the server tells of constraint, table and column."""
        return {}

    def place(self, exc: BaseException) -> int | str | None:
        """Return where in the text the server found the error, if it tells.

        An offset in what the server saw; negative ones count from its end, -1, without blanks and
        semicolons there.  Or a word, which tells the place if it stands in one place only.
        """
        return None

    def untyped(self, exc: BaseException) -> int | None:
        """Return the number, from 1, of the value whose type the server could not determine."""
        return None

    def seen(self, cursor: Any, values: Any) -> list[str] | None:
        """Return what the server saw in place of each placeholder; None if nobody knows."""
        return [] if values is None else None

    def translate(
        self, exc: BaseException, *, connecting: bool = False, lost: bool = False
    ) -> DBAPIError:
        """Return our error for the driver's; the caller adds what it knows and raises it."""
        code = self.error_code(exc)
        cls = self.error_class(exc, code) or self._class_of(exc, code)
        if lost and not issubclass(cls, errors.Disconnected):
            cls = errors.Disconnected
        if connecting and not issubclass(cls, errors.ConnectError):
            cls = errors.ConnectError
        error = cls(str(exc))
        error.code = code
        error.retryable = code in self.retryable_codes and not connecting
        for name, value in self.diagnose(exc).items():
            setattr(error, name, value)
        return error

    def _class_of(self, exc: BaseException, code: str | None) -> type[DBAPIError]:
        if code is not None:
            cls = self.error_classes.get(code) or self.error_classes.get(code[:2])
            if cls is not None:
                return cls
        for base in type(exc).__mro__:
            if base.__name__ in PEP_249:
                return getattr(errors, base.__name__)  # type: ignore[no-any-return]
        return errors.DatabaseError

    def is_lost(self, exc: BaseException, raw: Any) -> bool:
        """Tell whether the connection is gone after `exc`; judged before the class."""
        return not self.is_open(raw) or self.error_code(exc) in self.lost_codes

    def too_large(self, cursor: Any, sql: str, values: Any) -> str | None:
        """Say why a statement was more than the server takes, or None.

        Asked after the connection was lost: some servers hang up instead of answering.
        """
        return None

    # -- the state of a connection -------------------------------------------------------------

    def is_open(self, raw: Any) -> bool:
        """Tell whether the driver believes the connection open."""
        return True

    def transaction_state(self, raw: Any) -> TransactionState:
        """Tell the server's transaction state as the driver last heard it."""
        return "unknown"

    def fileno(self, raw: Any) -> int | None:
        """Return the socket's descriptor, or None where there is no socket."""
        return None

    def proves_idle(self, raw: Any) -> bool:
        """Tell whether no answer of the server is outstanding, after an interrupted call."""
        return False

    def abort(self, raw: Any) -> None:
        """Unblock, from another thread, a call that waits on the connection; no protocol."""
        fd = self.fileno(raw)
        if fd is None:
            return
        import socket

        with socket.socket(fileno=os.dup(fd)) as twin:
            twin.shutdown(socket.SHUT_RDWR)

    def cancel(self, raw: Any) -> None:
        """Ask the server, from another thread, to stop what runs on the connection.

        Returns when the server was told: the request hits nothing that begins later.  It may
        block, for as long as the dialect lets a connect take.
        """
        raise NotSupportedError(f"{self.name} can not cancel a statement")

    async def cancel_async(self, raw: Any) -> None:
        """The awaitable twin, for a driver that is awaited itself."""
        raise NotSupportedError(f"{self.name} can not cancel a statement")

    def finish(self, raw: Any) -> None:
        """Close a connection in any state, without waiting for the server."""
        raw.close()

    def reset(self, raw: Any) -> bool:
        """Put the session back into the state that `connect` gave it; False: it can not be done.

        The pool asks with `reset="full"` whenever a connection is given back, with no transaction
        open, and closes it after False or an error.  Nothing that a user did may be left: role and
        database, settings, locks, temporary tables, cursors, prepared statements, user variables,
        what is listened to, autocommit.  A connection that `adopt` took is not `connect`'s: what
        its creator has set could not be given back, so the answer is False.

        What plainsql itself keeps of a connection the pool renews: the time limit that the server
        was told, and the lexer's mode, of which `lexical_rules` must tell the truth afterwards.  It
        also calls the user's `on_connect` again, since what that had set is gone.  A connection
        behind a worker thread is reset in it, by this method.
        """
        return False

    async def reset_async(self, raw: Any) -> bool:
        """The awaitable twin, for a driver that is awaited itself."""
        return False

    # -- transactions --------------------------------------------------------------------------

    def begin(
        self, isolation_level: str | None, read_only: bool | None, deferrable: bool | None
    ) -> tuple[str, ...]:
        """Return the statements that open a transaction with these options."""
        sql = "START TRANSACTION"
        if isolation_level:
            sql += f" ISOLATION LEVEL {isolation_level}"
        if read_only is not None:
            sql += " READ ONLY" if read_only else " READ WRITE"
        return (sql,)

    def begin_repeatable(self, begin: tuple[str, ...]) -> tuple[str, ...]:
        """Return what opens a transaction of `Engine.run`, from what `begin` gave.

        It is done again when it collides with another one, so it had better collide at once.
        """
        return begin

    def end(self, read_only: bool | None) -> tuple[str, ...]:
        """Return what must follow COMMIT or ROLLBACK to undo what `begin` set."""
        return ()

    def rollback(self, raw: Any) -> bool:
        """Roll back by the driver's own means and return True, or leave it to plain ROLLBACK."""
        return False

    async def rollback_async(self, raw: Any) -> bool:
        """The awaitable twin of `rollback`."""
        return False

    def rolled_back_to(self, raw: Any) -> None:
        """Forget, after ROLLBACK TO SAVEPOINT, what the driver learnt since; no I/O."""

    def committed(self, cursor: Any) -> bool:
        """Tell whether the COMMIT that `cursor` just ran stored the transaction."""
        return True

    # -- a lost COMMIT -------------------------------------------------------------------------

    token_sql: ClassVar[str] = ""
    """Asks, before COMMIT, for a row that tells which transaction it is, on which server; its first
    value is None where the transaction has written nothing.
    """

    def fate_sql(self, token: Any) -> tuple[str, Sequence[Any]]:
        """Return what asks for the fate of the transaction with that row, and its values."""
        raise NotSupportedError(f"{self.name} can not tell what became of a transaction")

    def fate(self, told: Any) -> Fate | None:
        """Return what the answer to `fate_sql` means; None: ask again."""
        raise NotSupportedError(f"{self.name} can not tell what became of a transaction")

    # -- statements ----------------------------------------------------------------------------

    def timeout_sql(self, seconds: float | None) -> str | None:
        """Return what sets the server's own time limit of the session's statements.

        With None what takes it back to what it was at connect.  None where there is no such limit.
        """
        return None

    def refuse(self, verb: str, sql: str) -> str | None:
        """Say why a statement would be silently ignored inside a transaction, or None.

        Asked once per text, for statements whose verb is not a plain one.
        """
        return None

    def execute_many(
        self, cursor: Any, sql: str, rows: Sequence[Any], many: Many
    ) -> tuple[list[Any] | None, int]:
        """Run a statement for many sets of values.

        Return the rows that came back, in the order of the sets, or None; and how many were
        changed, -1 where the driver does not know.
        """
        if many.returns:
            return one_by_one(cursor, sql, rows)
        cursor.executemany(sql, rows)
        return None, cursor.rowcount

    async def execute_many_async(
        self, cursor: Any, sql: str, rows: Sequence[Any], many: Many
    ) -> tuple[list[Any] | None, int]:
        """The awaitable twin, for a driver that is awaited itself."""
        raise NotImplementedError

    columns: Callable[[Any], Any] = staticmethod(attrgetter("description"))
    """From a cursor to what tells its columns: None where it holds no rows, else anything that
    equals itself while the columns stay the same.  On the path of every statement.
    """

    typed_columns: Callable[[Any], Any] | None = None
    """The same with the columns' types, where `columns` does not tell them, for statements and
    engines that ask for them.
    """

    def column_names(self, columns: Any) -> tuple[str, ...]:
        """Return the names of the columns that `columns` told."""
        return tuple(map(NAME, columns))

    @staticmethod
    def array(members: list[Any]) -> list[Any]:
        """Return such an array's value of plain members; ValueError where one would be changed."""
        return members

    def empty_set(self, width: int) -> str:
        """Return what stands for an empty list after IN and NOT IN, right beside NULL, too.

        `width` is the number of values before IN.  With `lists_as_arrays` it is an array.
        """
        return f"(SELECT {', '.join(['NULL'] * width)} WHERE 1 = 0)"

    def parameter_limit(self, raw: Any) -> int | None:
        """Return how many parameters one statement of this connection can have."""
        return self.max_parameters

    def require_fits(self, cursor: Any, sql: str, values: Any) -> None:
        """Refuse, before it is sent, a statement that is too long for the server.

        Asked where a list was spread, and of long values where there is a `max_message`; then
        `cursor` may be None.
        """

    def stream_cursor(self, raw: Any, batch: int) -> Any:
        """Return a cursor that does not buffer; creating it does no I/O."""
        return raw.cursor()

    def stream_sql(
        self, sql: str, number: int, batch: int, *, hold: bool
    ) -> tuple[str, str, str] | None:
        """Return what to send to open, fetch and close where a cursor is made by statements.

        With `hold` there is no transaction around it.
        """
        return None

    def quote(self, identifier: str) -> str:
        """Return `identifier` quoted; ArgumentError where the server can not hold it."""
        if not identifier or "\0" in identifier:
            raise ArgumentError(f"an identifier can not be empty or hold NUL: {identifier!r}")
        try:
            size = len(identifier.encode())
        except UnicodeEncodeError:
            raise ArgumentError(f"an identifier can not hold surrogates: {identifier!r}") from None
        if self.max_identifier_bytes and size > self.max_identifier_bytes:
            limit = f"{self.max_identifier_bytes} bytes"
            raise ArgumentError(f"identifier {identifier!r} is longer than {limit}")
        if self.max_identifier_chars and len(identifier) > self.max_identifier_chars:
            limit = f"{self.max_identifier_chars} characters"
            raise ArgumentError(f"identifier {identifier!r} is longer than {limit}")
        mark = self.identifier_quote
        return mark + identifier.replace(mark, mark * 2) + mark

    # -- values --------------------------------------------------------------------------------

    @property
    def codecs(self) -> Codecs:
        """The engine's codecs: those of the tables above, and what its user registered."""
        codecs: Codecs | None = self.__dict__.get("_codecs")
        if codecs is None:
            codecs = self.__dict__["_codecs"] = Codecs(self)
        return codecs

    def typed_null(self, type_: Any) -> Any:
        """Return what the driver sends as NULL for a parameter whose type the statement says."""
        return None

    def column_codes(self, columns: Any) -> tuple[Any, ...] | None:
        """Return the driver's type of each of the columns that `columns` told, or None."""
        return tuple([column[1] for column in columns]) if self.tells_column_types else None

    # -- what is asked of it -------------------------------------------------------------------

    def require(self, capability: str, what: str) -> None:
        """Refuse what the database can not do, by its name."""
        if capability not in self.capabilities:
            raise NotSupportedError(f"{what}: {self.name} can not do this")

    def isolation_level(self, level: str) -> str:
        """Return the portable name of `level`; ArgumentError lists the possible ones."""
        name = " ".join(str(level).upper().replace("_", " ").split())
        possible: Sequence[str] = (*self.isolation_levels, "AUTOCOMMIT")
        if name not in possible:
            raise ArgumentError(
                f"{self.name} has no isolation level {level!r}; possible: {', '.join(possible)}"
            )
        return name


def one_by_one(cursor: Any, sql: str, rows: Sequence[Any]) -> tuple[list[Any] | None, int]:
    """Run a statement once for each set of values; for `Dialect.execute_many`."""
    found: list[Any] = []
    total = 0
    for row in rows:
        cursor.execute(sql, row)
        if cursor.description is not None:
            found += cursor.fetchall()
        total = total + cursor.rowcount if cursor.rowcount >= 0 <= total else -1
    return (None if cursor.description is None else found), total
