"""Where an error is provoked: a connection on a live server, and others beside it.

What differs between the servers is data here: how a session is named, watched, cancelled, ended.
"""

from __future__ import annotations

import secrets
import signal
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from copy import copy
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from plainsql import create_engine, make_url
from plainsql.errors import Error
from plainsql.testing.proxy import FaultProxy
from tests.faults.cutter import Cutter
from tests.servers import driver_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plainsql import URL, Connection, Engine
    from tests.servers import RawConnection
    from tests.throwaway import Throwaway

#: Seconds within which everything here must have happened.
DEADLINE = 20.0

SCHEMA = """
CREATE TABLE {t} (
    id INT NOT NULL PRIMARY KEY,
    code VARCHAR(3) NOT NULL,
    n INT,
    parent INT,
    day DATE,
    CONSTRAINT {t}_code UNIQUE (code),
    CONSTRAINT {t}_n CHECK (n >= 0),
    CONSTRAINT {t}_parent FOREIGN KEY (parent) REFERENCES {t} (id)
)
"""
ROWS = [{"id": number, "code": code} for number, code in enumerate("abcdefgh", 1)]


class Means(NamedTuple):
    """What a server offers to those who look at sessions."""

    protocol: Literal["postgresql", "mysql"]
    plain: dict[str, str]  # URL options of a connection that a proxy can read
    session: str
    running: str  # what runs in a session, NULL if it idles
    waiting: str  # how many wait for a lock in a session
    cancel: str
    kill: str
    account: tuple[str, ...]  # may read one column of one table
    no_account: tuple[str, ...]


POSTGRESQL = Means(
    "postgresql",
    {"sslmode": "disable"},
    "SELECT pg_backend_pid()",
    "SELECT CASE state WHEN 'active' THEN query END FROM pg_stat_activity WHERE pid = {session}",
    "SELECT count(*) FROM pg_locks WHERE pid = {session} AND NOT granted",
    "SELECT pg_cancel_backend({session})",
    "SELECT pg_terminate_backend({session})",
    (
        "CREATE ROLE {user} PASSWORD '{password}' {but}",
        "GRANT SELECT (id) ON {t} TO {user}",
    ),
    ("DROP OWNED BY {user}", "DROP ROLE {user}"),
)
MYSQL = Means(
    "mysql",
    {"ssl_disabled": "true"},
    "SELECT connection_id()",
    "SELECT info FROM information_schema.processlist WHERE id = {session}",
    "SELECT count(*) FROM information_schema.innodb_trx"
    " WHERE trx_mysql_thread_id = {session} AND trx_state = 'LOCK WAIT'",
    "KILL QUERY {session}",
    "KILL {session}",
    (
        "CREATE USER {user} IDENTIFIED BY '{password}' {but}",
        "GRANT SELECT (id) ON {t} TO {user}",
    ),
    ("DROP USER {user}",),
)
#: Nobody elsewhere waits for a lock for ever.
IMPATIENT = {
    "sqlite": "PRAGMA busy_timeout = 10000",
    "postgresql": "SET lock_timeout = '10s'",
    "mysql": "SET SESSION innodb_lock_wait_timeout = 10, lock_wait_timeout = 10",
    "mariadb": "SET SESSION innodb_lock_wait_timeout = 10, lock_wait_timeout = 10",
}
MEANS = {"postgresql": POSTGRESQL, "mysql": MYSQL, "mariadb": MYSQL}


def leave(connection: Connection) -> None:
    """Drop what was written on purpose."""
    with suppress(Error):
        connection.rollback()


class Scene:
    """A table with a few rows, a connection to provoke errors on, and what stands beside it."""

    connection: Connection
    raw: Any
    statement: str | None = None

    def __init__(
        self,
        engine: Engine,
        table: str,
        raw_connect: Callable[[], RawConnection],
        server: Throwaway | None = None,
    ) -> None:
        self.url = engine.url
        self.kind = engine.name
        self.server = server
        self.table = table
        self.stack = ExitStack()
        self._raw_connect = raw_connect
        self._other: RawConnection | None = None
        self._mends: list[Callable[[], object]] = []
        with engine.begin() as connection:
            connection.execute(self.fill(SCHEMA))
            connection.execute(self.fill("INSERT INTO {t} (id, code) VALUES (:id, :code)"), ROWS)
        self.use(engine)

    def use(self, engine: Engine) -> None:
        """Provoke on a connection of this engine from now on."""
        self.engine = engine
        self.connection = self.stack.enter_context(engine.connect())
        self.stack.callback(leave, self.connection)
        self.raw = self.connection.connection

    def engine_at(self, url: URL, **options: Any) -> Engine:
        """Make an engine at another place."""
        engine = create_engine(url, **options)
        self.stack.callback(engine.dispose)
        return engine

    def fill(self, sql: str) -> Any:
        """Put the table's name into a statement."""
        return sql.replace("{t}", self.table)

    def prepare(self, *statements: str) -> None:
        """Run statements that must not fail, in the transaction of those that follow."""
        for sql in statements:
            self.connection.execute(self.fill(sql))

    def run(self, sql: str, params: Any = None, *, timeout: float | None = None) -> None:
        """Run the statement that is to fail."""
        self.statement = self.fill(sql)
        self.connection.execute(self.statement, params, timeout=timeout)

    def commit(self) -> None:
        """Commit, where that is to fail."""
        self.statement = None
        self.connection.commit()

    # -- other sessions ------------------------------------------------------------------------

    @property
    def means(self) -> Means:
        return MEANS[self.kind]

    @property
    def session(self) -> Any:
        """The session that the connection is, as others know it."""
        return self.connection.scalar(cast("Any", self.means.session))

    def elsewhere(self, *statements: str) -> Any:
        """Run statements on a raw connection of their own; the first value of the last one."""
        if self._other is None:
            self._other = self._raw_connect()
            statements = (IMPATIENT[self.kind], *statements)
        cursor = self._other.cursor()
        for sql in statements:
            cursor.execute(self.fill(sql))
        row = cursor.fetchone() if cursor.description else None
        cursor.close()
        return row[0] if row else None

    def another(self, connect: Callable[[], RawConnection] | None = None) -> Scene:
        """The same scene with another session elsewhere, for those who watch the first one."""
        twin = copy(self)
        twin._other = None
        twin._raw_connect = connect or self._raw_connect
        return twin

    @contextmanager
    def beside(self, act: Callable[[], object]) -> Iterator[None]:
        """Do something in a thread meanwhile; what it raises is raised here."""
        failures: list[BaseException] = []

        def work() -> None:
            try:
                act()
            except BaseException as exc:  # noqa: BLE001 - raised again below
                failures.append(exc)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            yield
        finally:
            thread.join(DEADLINE)
            assert not thread.is_alive(), "what was to happen meanwhile never ended"
            for failure in failures:
                raise failure

    def until(self, sql: str, session: Any, reached: Callable[[Any], object]) -> None:
        """Ask elsewhere until the answer is as it should be.

        MySQL answers afresh about locks only if it was not asked for 0.1 seconds.
        """
        deadline = time.monotonic() + DEADLINE
        while not reached(self.elsewhere(sql.replace("{session}", str(session)))):
            assert time.monotonic() < deadline, f"never came true: {sql}"
            time.sleep(0.11)

    def until_running(self, session: Any, words: str) -> None:
        self.until(self.means.running, session, lambda sql: sql and sql.startswith(words))

    def until_waiting(self, session: Any) -> None:
        self.until(self.means.waiting, session, bool)

    def until_gone(self, session: Any) -> None:
        gone = self.means.running.replace(self.means.running.partition(" FROM ")[0], "SELECT 1", 1)
        self.until(gone, session, lambda there: not there)

    def cancel(self, session: Any) -> None:
        """Cancel the long statement as soon as it runs."""
        self.until_running(session, "WITH")
        self.elsewhere(self.means.cancel.replace("{session}", str(session)))

    def kill(self, session: Any) -> None:
        self.elsewhere(self.means.kill.replace("{session}", str(session)))
        self.until_gone(session)

    # -- other ways ----------------------------------------------------------------------------

    def behind_a_proxy(self, **options: Any) -> FaultProxy:
        """Go through a proxy that breaks the line on order."""
        url = self.url.update_query_dict(self.means.plain)
        proxy = self.stack.enter_context(FaultProxy.to(url))
        self._mends.append(proxy.heal)
        self.use(self.engine_at(proxy.url, **options))
        return proxy

    def behind_a_cutter(self, **options: Any) -> Cutter:
        """Go through a proxy that cuts at a statement."""
        url, means = self.url, self.means
        server = (url.host or "127.0.0.1", url.port or 0)
        cutter = self.stack.enter_context(Cutter(*server, protocol=means.protocol))
        there = url.set(host=cutter.host, port=cutter.port).update_query_dict(means.plain)
        self.use(self.engine_at(there, **options))
        return cutter

    def account(self, but: str, *grants: str) -> URL:
        """A URL of an account that may hardly do anything; it is dropped in the end."""
        user, password = f"u{secrets.token_hex(4)}", secrets.token_hex(8)
        texts = [*self.means.account, *grants]
        named = [sql.replace("{user}", user).replace("{but}", but) for sql in texts]
        self.elsewhere(*[sql.replace("{password}", password) for sql in named])
        drops = [sql.replace("{user}", user) for sql in self.means.no_account]
        if self.server is None:
            self.stack.callback(self.elsewhere, *drops)
        return self.url.set(username=user, password=password)

    # -- on a server of the scene's own --------------------------------------------------------

    @property
    def own(self) -> Throwaway:
        """The server, where it is one that may be broken."""
        assert self.server is not None, "this fault takes a server of its own"
        return self.server

    def by_way_of(self, url: str) -> None:
        """Go on at another place of the same database."""
        self.url = make_url(url)
        self.use(self.engine_at(self.url))

    def follow(self, url: str) -> None:
        """Go on on a standby, once it has come so far."""
        self.by_way_of(url)
        deadline = time.monotonic() + DEADLINE
        count = self.fill("SELECT count(*) FROM pg_class WHERE relname = '{t}'")
        while not self.connection.scalar(count):
            self.connection.rollback()
            assert time.monotonic() < deadline, "the standby never followed"
            time.sleep(0.02)
        self.connection.rollback()

    def mended_by(self, act: Callable[[], object]) -> None:
        """Let this be done before the connection is looked at, the last one first."""
        self._mends.append(act)

    def mend(self) -> None:
        """Make the database usable again."""
        while self._mends:
            self._mends.pop()()

    def until_refused(self) -> None:
        """Wait until the server lets nobody in."""
        deadline = time.monotonic() + DEADLINE
        while True:
            try:
                self._raw_connect().close()
            except driver_errors(self.kind):
                return
            assert time.monotonic() < deadline, "the server never refused a connection"
            time.sleep(0.01)

    def restart(self, between: Callable[[], object]) -> None:
        """Do something while the server does not run; go on with new connections."""
        self.own.end(signal.SIGINT)
        between()
        self.own.start()
        self._other = None
        self.use(self.engine)

    def close(self) -> None:
        """Let go of everything, the other session's locks first."""
        self.mend()
        if self._other is not None and self.server is None:
            self._other.rollback()
        self.stack.close()
