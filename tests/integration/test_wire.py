"""The log is the wire: what the server receives is what the echo log shows, in that order.

The log of a program is read as a user reads it, as lines of text, and run again by the raw driver.
If both say the same to the server, byte for byte and with their values, then nothing was sent past
the log, nothing stands in it that was not sent, and the order is right.  Servers are listened to
by a proxy; SQLite, which has no wire, tells what it runs by its trace.

What is not in the log stands in `docs/portability.md` under "Beside the echo log"; here it is
measured, and taken from the comparison only where it may stand.
"""

from __future__ import annotations

import ast
import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal

import pytest

from plainsql import create_engine, make_url
from plainsql.aio import create_async_engine
from plainsql_mysql import streaming
from tests._async import program as program_async
from tests._sync import program
from tests.integration.test_portability import facts
from tests.recorder import PostgreSQLWire, Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from plainsql import URL, Connection, Engine

# -- the wire -----------------------------------------------------------------------------------

#: Kind → protocol, its port, and the URL options of a connection that a proxy can read.
READABLE: dict[str, tuple[Literal["postgresql", "mysql"], int, dict[str, str]]] = {
    "postgresql": ("postgresql", 5432, {"sslmode": "disable"}),
    "mysql": ("mysql", 3306, {"ssl_disabled": "true"}),
    "mariadb": ("mysql", 3306, {"ssl_disabled": "true"}),
}


#: How a Bind without values goes on: no formats, no values.
NO_VALUES = bytes(4)


class ValuesToo(PostgreSQLWire):
    """Adds to a statement the values that travel beside it; elsewhere they stand in the text."""

    def _read(self, kind: bytes, body: bytes) -> bytes | None:
        text = super()._read(kind, body)
        if kind == b"B":
            portal, _, values = body.split(b"\0", 2)
            if not values.startswith(NO_VALUES):
                self._portals[portal] += b" -- " + repr(values).encode()
        return text


class Trace:
    """Stands for the wire of SQLite: what connections of its class run, values put in."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        statements = self.statements

        class Traced(sqlite3.Connection):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                self.set_trace_callback(statements.append)

        self.arguments = {"factory": Traced}


class Wire:
    """A URL that leads to the database past a listener, and what the listener heard."""

    def __init__(self, url: URL, listener: Recorder | Trace) -> None:
        self.url = url
        self._listener = listener

    @property
    def options(self) -> dict[str, Any]:
        """What an engine needs to be listened to."""
        if isinstance(self._listener, Trace):
            return {"connect_args": self._listener.arguments}
        return {}

    def heard(self) -> list[str]:
        """What was said since the last time."""
        heard = list(self._listener.statements)
        if isinstance(self._listener, Trace):
            self._listener.statements.clear()
        else:
            self._listener.clear()
        return heard


@contextmanager
def listening(kind: str, url: URL) -> Iterator[Wire]:
    if kind == "sqlite":
        yield Wire(url, Trace())
        return
    protocol, port, plain = READABLE[kind]
    listener = Recorder(url.host or "127.0.0.1", url.port or port, protocol=protocol)
    if protocol == "postgresql":
        listener._wire = ValuesToo
    with listener:
        there = url.set(host=listener.host, port=listener.port)
        yield Wire(there.update_query_dict(plain), listener)


@pytest.fixture
def wire(database_kind: str, url: str) -> Iterator[Wire]:
    """The way to the database, listened to."""
    with listening(database_kind, make_url(url)) as wire:
        yield wire


# -- the log ------------------------------------------------------------------------------------

#: A statement, and its values as the log shows them: a tuple, or a list of them.
Entry = tuple[str, Any]


def read(log: Sequence[str]) -> list[Entry]:
    """Read the statements in a log; what the server did by itself was not sent."""
    entries: list[Entry] = []
    for line in log:
        if line.startswith("[...] "):
            entries[-1] = entries[-1][0], ast.literal_eval(line.removeprefix("[...] "))
        elif not line.endswith(" (implicit, by the server)"):
            entries.append((line.removesuffix(" (implicit)"), ()))
    return entries


def run_again(engine: Engine, entries: Sequence[Entry]) -> None:
    """Give the statements and their values to the raw driver."""
    with engine.raw_connection() as raw:
        for sql, values in entries:
            # the values of a DECLARE can not travel beside it
            streams = sql.startswith("DECLARE ")
            cursor = engine.dialect.stream_cursor(raw, 1) if streams else raw.cursor()
            with suppress(engine.dialect.driver_error):  # it fails as it failed before
                if isinstance(values, list):
                    cursor.executemany(sql, values)
                else:
                    cursor.execute(sql, *([values] if values else []))
                if cursor.description:
                    cursor.fetchall()
            cursor.close()


# -- one against the other ----------------------------------------------------------------------

#: After these, psycopg forgets what it prepared.
FORGETTING = ("ROLLBACK", "DROP ")


class Comparison:
    """What the wire says, without that which no log shows, and what the log says."""

    def __init__(self, kind: str, wire: Wire, caplog: pytest.LogCaptureFixture) -> None:
        self.wire = wire
        self.options = {"pool_size": 1, "max_overflow": 0, **wire.options}
        self._caplog = caplog
        self._setup = statements("PF-sent-at-connect", kind)
        self._forgetting = statements("PF-sent-to-forget", kind)
        self._asked = statements("PF-sent-after-set", kind)

    def log(self) -> list[Entry]:
        """The statements logged so far."""
        records = self._caplog.records
        return read([record.getMessage() for record in records if record.name == "plainsql.engine"])

    def heard(self) -> list[str]:
        """What a program on one new connection sent."""
        heard = self.wire.heard()
        setup, work = heard[: len(self._setup)], heard[len(self._setup) :]
        assert setup == self._setup
        if work[-1:] == self._asked:
            work.pop()  # of a driver's connection that comes back
        pairs = zip(["", *work], work, strict=False)
        return [sql for before, sql in pairs if not self._forgets(before, sql)]

    def _forgets(self, before: str, sql: str) -> bool:
        return sql in self._forgetting and before.startswith(FORGETTING)

    def said(self, entries: Sequence[Entry]) -> list[str]:
        """What the driver sends if it is given these statements."""
        engine = create_engine(self.wire.url, **self.options)
        run_again(engine, entries)
        engine.dispose()
        return self.heard()


def statements(fact: str, kind: str) -> list[str]:
    """What the page says that is sent."""
    cell = facts()[fact][kind]
    return [] if cell == "nothing" else cell.split("; ")


@pytest.fixture
def comparison(
    database_kind: str,
    wire: Wire,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> Comparison:
    """What is heard beside what is said; no stream is so long here that it must be stopped."""
    monkeypatch.setattr(streaming, "PATIENCE", 60)
    return Comparison(database_kind, wire, caplog)


def test_the_log_is_the_wire(comparison: Comparison, table_name: str) -> None:
    engine = create_engine(comparison.wire.url, echo=True, **comparison.options)
    program.run(engine, table_name)
    engine.dispose()
    assert comparison.heard() == comparison.said(comparison.log())


async def test_the_log_is_the_wire_async(comparison: Comparison, table_name: str) -> None:
    engine = create_async_engine(comparison.wire.url, echo=True, **comparison.options)
    await program_async.run_async(engine, table_name)
    await engine.dispose()
    assert comparison.heard() == comparison.said(comparison.log())


# -- the comparison can fail --------------------------------------------------------------------


def test_a_statement_sent_past_plainsql_is_found(comparison: Comparison) -> None:
    engine = create_engine(comparison.wire.url, echo=True, **comparison.options)
    with engine.connect() as connection:
        connection.execute("SELECT 1")
        with closing(connection.connection.cursor()) as cursor:
            cursor.execute("SELECT 2")
        connection.commit()
    engine.dispose()
    heard = comparison.heard()
    assert heard == ["BEGIN", "SELECT 1", "SELECT 2", "COMMIT"]
    assert comparison.said(comparison.log()) == ["BEGIN", "SELECT 1", "COMMIT"]


#: What would be wrong with a log of BEGIN, SELECT, SELECT, COMMIT.
HARMS: dict[str, Callable[[list[Entry]], list[Entry]]] = {
    "a statement is missing": lambda log: [*log[:2], *log[3:]],
    "BEGIN is missing": lambda log: log[1:],
    "COMMIT is missing": lambda log: log[:-1],
    "a statement stands twice": lambda log: [*log[:2], *log[1:]],
    "the order is another one": lambda log: [log[0], log[2], log[1], log[3]],
    "a value is another one": lambda log: [log[0], (log[1][0], (7, "x")), *log[2:]],
    "a text is another one": lambda log: [log[0], (f"{log[1][0]} ", log[1][1]), *log[2:]],
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_log_that_is_not_right_is_found(comparison: Comparison, harm: str) -> None:
    engine = create_engine(comparison.wire.url, echo=True, **comparison.options)
    with engine.begin() as connection:
        connection.execute("SELECT coalesce(:a, 0), :b", {"a": 1, "b": "x"})
        connection.execute("SELECT coalesce(:a, 0), :b", {"a": 2, "b": "x"})
    engine.dispose()
    heard, log = comparison.heard(), comparison.log()
    assert heard == comparison.said(log)
    assert heard != comparison.said(HARMS[harm](log))


# -- what no log shows --------------------------------------------------------------------------


@pytest.fixture
def listened(wire: Wire) -> Iterator[Engine]:
    """An engine on the wire whose one connection has said how it was set up."""
    engine = create_engine(wire.url, pool_pre_ping=True, **wire.options)
    with engine.connect() as connection:
        connection.execute("SELECT 1")
    yield engine
    engine.dispose()


def test_what_sets_up_a_connection(wire: Wire, listened: Engine, database_kind: str) -> None:
    assert listened.pool.status().idle == 1
    setup = statements("PF-sent-at-connect", database_kind)
    assert wire.heard() == [*setup, "BEGIN", "SELECT 1", "ROLLBACK"]


def test_what_the_pool_asks(wire: Wire, listened: Engine, database_kind: str) -> None:
    wire.heard()
    with listened.begin() as connection:
        connection.execute("SELECT 2")
    asked = statements("PF-sent-by-ping", database_kind)
    assert wire.heard() == [*asked, "BEGIN", "SELECT 2", "COMMIT"]


def test_what_the_pool_sends_when_a_raw_connection_comes_back_in_a_transaction(
    wire: Wire, listened: Engine, database_kind: str
) -> None:
    with listened.raw_connection() as raw, closing(raw.cursor()) as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT 2")
        cursor.fetchall()
        wire.heard()
    assert wire.heard() == statements("PF-sent-on-return", database_kind)


def prepare(connection: Connection) -> None:
    """Run a statement often enough for psycopg to prepare it."""
    for x in range(7):
        connection.execute("SELECT :x", {"x": x})


def test_what_a_driver_sends_after_a_rollback(
    wire: Wire, listened: Engine, database_kind: str
) -> None:
    with listened.connect() as connection:
        prepare(connection)
        wire.heard()
        connection.rollback()
    assert wire.heard() == ["ROLLBACK", *statements("PF-sent-to-forget", database_kind)]


def test_what_follows_a_change_of_the_mode(
    wire: Wire, listened: Engine, database_kind: str
) -> None:
    change = {"sqlite": "SELECT 1", "postgresql": "SET timezone = 'UTC'"}.get(
        database_kind, "SET @x = 1"
    )
    with listened.connect() as connection:
        wire.heard()
        connection.execute(change)
        assert wire.heard() == ["BEGIN", change, *statements("PF-sent-after-set", database_kind)]


def test_what_a_driver_sends_after_a_drop(
    wire: Wire, listened: Engine, database_kind: str, table_name: str
) -> None:
    drop = f"DROP TABLE {table_name}"
    with listened.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(f"CREATE TABLE {table_name} (x INT)")
        prepare(connection)
        wire.heard()
        connection.execute(drop)
    assert wire.heard() == [drop, *statements("PF-sent-to-forget", database_kind)]
