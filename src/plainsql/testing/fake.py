# ruff: noqa: D102, ARG002 - the methods are PEP 249's and the dialect's
"""A server that does as it is told, with its driver: for what no real one shows on cue.

Floor 4.  `FakeServer` is the script and what came of it; engines on it, sync and async, run
through the same pool, dialect and bridge as any other.  It stores nothing: what SQL does is asked
of a real database.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from plainsql import aio, create_engine, registry
from plainsql.dialect import Dialect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from plainsql import URL, Engine
    from plainsql.driver import TransactionState

When = Literal["before", "after"]
Rows = list[tuple[Any, ...]]

LOST = "08006"
_making = threading.Lock()


class FakeError(Exception):
    """The driver's error; `code` is a SQLSTATE and decides what plainsql makes of it.

    08006 says that the connection is lost, 08001 that there is none, 28P01 that the password is
    wrong.
    """

    def __init__(self, code: str, message: str = "as told") -> None:
        super().__init__(message)
        self.code = code


class Hold:
    """Holds the call that comes to it until `go()`; `reached` is set when it is there.

    A call whose connection is aborted goes on by itself, and fails; so does a connect when its
    timeout is over.
    """

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._gone = threading.Event()
        self._error: BaseException | None = None

    def go(self, error: BaseException | None = None) -> None:
        """Let the call go on, or fail."""
        self._error = error
        self._gone.set()

    def _wait(self, timeout: float | None) -> None:
        self.reached.set()
        if not self._gone.wait(timeout):
            raise FakeError("08001", "timed out")
        if self._error is not None:
            raise self._error


class FakeServer:
    """A script, and the connections that ran by it.

    Without a script everything succeeds: a statement with parameters answers with one row of
    them, and `SELECT x` with the row `("x",)`.

        server = FakeServer()
        server.at("connect", FakeError("08001", "nobody is there"))
        hold = server.at("COMMIT", Hold(), when="after")
        engine = server.engine(pool_size=1)
    """

    def __init__(self) -> None:
        self.connections: list[FakeConnection] = []
        self._script: list[tuple[str, When, Any]] = []
        self._lock = threading.Lock()

    def at(self, call: str, act: Any, *, when: When = "before") -> Any:
        """Do `act` at the next such call, once; return it.

        `call` is "connect", "close", or how a statement begins.  `act` is an exception to raise,
        or a `Hold`; those for the same call are done one call each, in the order of the script.
        With `when="after"` the server has run the statement, and its answer is under way.
        """
        with self._lock:
            self._script.append((call, when, act))
        return act

    def engine(self, **options: Any) -> Engine:
        """Make an engine on this server, with the options of `create_engine`."""
        options = {"connect_args": {"server": self}, **options}
        with _named():
            return create_engine("fake://", **options)

    def engine_async(self, **options: Any) -> aio.AsyncEngine:
        """Make an async engine on this server; the driver is awaited through the bridge."""
        options = {"connect_args": {"server": self}, **options}
        with _named():
            return aio.create_async_engine("fake://", **options)

    @property
    def open(self) -> list[FakeConnection]:
        """The connections that the client has not closed."""
        return [connection for connection in self.connections if not connection.closed]

    def connect(self, timeout: float | None = None) -> FakeConnection:
        """Open a connection, as the driver does; also a `creator`."""
        self._act("connect", timeout=timeout)
        connection = FakeConnection(self)
        self.connections.append(connection)
        return connection

    def _act(
        self,
        call: str,
        when: When = "before",
        on: FakeConnection | None = None,
        timeout: float | None = None,
    ) -> None:
        act = self._next(call, when)
        if isinstance(act, BaseException):
            raise act
        if isinstance(act, Hold):
            if on is not None:
                on._hold = act
            act._wait(timeout)

    def _next(self, call: str, when: When) -> Any:
        with self._lock:
            for n, (at, then, act) in enumerate(self._script):
                if call.startswith(at) and then == when:
                    del self._script[n]
                    return act
        return None


class FakeConnection:
    """The driver's connection; `sent` are the statements that the server ran.

    Answers come in the order of the statements, as on a socket: who uses a connection again that
    was interrupted reads those of another statement.
    """

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.sent: list[str] = []
        self.closed = False
        self.state: TransactionState = "idle"
        self._answers: deque[Rows] = deque()
        self._is_cut = False
        self._hold: Hold | None = None

    def cursor(self) -> FakeCursor:
        return FakeCursor(self)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.server._act("close", on=self)

    def cut(self) -> None:
        """Cut the line, unnoticed until the next statement; one that is held fails now."""
        self._is_cut = True
        if self._hold is not None:
            self._hold.go()

    def ask(self, sql: str, params: Sequence[Any] | None) -> Rows:
        """Send a statement and read the next answer on the line."""
        self._act(sql, "before")
        self.sent.append(sql)
        self._answers.append(self._answer(sql, params))
        self._act(sql, "after")
        return self._answers.popleft()

    def _act(self, sql: str, when: When) -> None:
        self.server._act(sql, when, self)
        if self._is_cut or self.closed:
            raise FakeError(LOST, "the line is cut")

    def _answer(self, sql: str, params: Sequence[Any] | None) -> Rows:
        verb, _, rest = sql.partition(" ")
        if verb == "START":
            self.state = "active"
        elif verb == "COMMIT" or sql == "ROLLBACK":
            self.state = "idle"
        if params:
            return [tuple(params)]
        return [(rest,)] if verb == "SELECT" else []


class FakeCursor:
    """The driver's cursor."""

    rowcount = -1
    lastrowid = None
    description: list[tuple[Any, ...]] | None = None

    def __init__(self, connection: FakeConnection) -> None:
        self.connection = connection
        self._rows: Rows = []

    def execute(self, sql: str, params: Sequence[Any] | None = None) -> None:
        self._rows = rows = self.connection.ask(sql, params)
        self.rowcount = len(rows)
        self.description = [(f"c{n}",) for n in range(len(rows[0]))] if rows else None

    def executemany(self, sql: str, params: Sequence[Sequence[Any]]) -> None:
        for row in params:
            self.connection.ask(sql, row)
        self.rowcount, self.description = len(params), None

    def fetchall(self) -> Rows:
        return self.fetchmany(len(self._rows))

    def fetchmany(self, size: int = 1) -> Rows:
        rows, self._rows = self._rows[:size], self._rows[size:]
        return rows

    def close(self) -> None:
        self._rows = []


class FakeDialect(Dialect):
    """The dialect of `FakeServer`; its connections are found by `connect_args`."""

    name = "fake"
    driver_name = "fake"
    paramstyle = "qmark"
    passes_unknown_types = True
    lost_codes = frozenset({LOST})
    driver_error = FakeError

    def load(self) -> None:
        pass

    def connect(self, url: URL, timeout: float, connect_args: Mapping[str, Any]) -> FakeConnection:
        server: FakeServer = connect_args["server"]
        return server.connect(timeout)

    def error_code(self, exc: BaseException) -> str | None:
        return getattr(exc, "code", None)

    def is_open(self, raw: FakeConnection) -> bool:
        return not raw.closed

    def transaction_state(self, raw: FakeConnection) -> TransactionState:
        return raw.state

    def abort(self, raw: FakeConnection) -> None:
        raw.cut()


@contextmanager
def _named() -> Iterator[None]:
    """Let the registry know the dialect while an engine is made."""
    with _making:
        registry.FIRST_PARTY["fake"] = f"{__name__}:FakeDialect"
        try:
            yield
        finally:
            del registry.FIRST_PARTY["fake"]
