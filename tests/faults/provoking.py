"""Provocations: what makes a database raise an error.

A provocation raises the error, or says in the words of the page what happens instead.
"""

from __future__ import annotations

import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Event as Flag
from typing import TYPE_CHECKING, Any, cast

from plainsql.errors import Error
from plainsql.testing.proxy import FaultProxy
from tests.throwaway import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.cutter import When
    from tests.faults.scene import Scene

    Provocation = Callable[[Scene], str]

#: Runs for minutes, on every database, if nothing ends it.
LONG = (
    "WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 200) "
    "SELECT count(*) FROM r a, r b, r c, r d, r e WHERE a.i + b.i + c.i + d.i + e.i < 0"
)
LOCK = ("BEGIN", "UPDATE {t} SET n = 5 WHERE id = 1")
CHANGE = "UPDATE {t} SET n = 6 WHERE id = 1"
#: In seconds, of a statement that would never end.
LIMIT = 0.3


def nowhere(reason: str) -> Provocation:
    """There is nothing to provoke on this database; the reason stands on the page."""
    return lambda scene: reason  # noqa: ARG005


def statement(sql: str, params: Any = None, *, before: tuple[str, ...] = ()) -> Provocation:
    """The statement itself is wrong, or its values."""

    def provoke(scene: Scene) -> str:
        scene.prepare(*before)
        scene.run(sql, params)
        return "accepted"

    return provoke


def signal(number: int, text: str) -> Provocation:
    """MySQL and MariaDB raise any number of theirs when told to."""
    return statement(f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = '{text}'")


def driver_sql(sql: str) -> Provocation:
    """The driver gets the text untouched."""

    def provoke(scene: Scene) -> str:
        scene.prepare("SELECT 1")
        scene.statement = sql
        scene.connection.exec_driver_sql(cast("Any", sql))
        return "accepted"

    return provoke


# -- several transactions -----------------------------------------------------------------------


def locked(*before: str, sql: str = CHANGE) -> Provocation:
    """Another transaction holds the row."""

    def provoke(scene: Scene) -> str:
        scene.elsewhere(*LOCK)
        scene.prepare(*before)
        scene.run(sql)
        return "accepted"

    return provoke


def changed_meanwhile(level: str, *before: str, elsewhere: tuple[str, ...] = ()) -> Provocation:
    """Another transaction changes and commits the row that this one has read."""

    def provoke(scene: Scene) -> str:
        scene.elsewhere(*elsewhere)
        scene.connection.execution_options(isolation_level=level)
        scene.prepare(*before, "SELECT n FROM {t} WHERE id = 1")
        scene.elsewhere("UPDATE {t} SET n = 5 WHERE id = 1")
        scene.run(CHANGE)
        return "the last one wins"

    return provoke


def deadlock(scene: Scene) -> str:
    """The other one has done more, and closes the ring last: this one is sacrificed."""
    scene.elsewhere("BEGIN", "UPDATE {t} SET n = 5 WHERE id > 1")
    scene.prepare("UPDATE {t} SET n = 5 WHERE id = 1")
    session = scene.session
    watch = scene.another()

    def close_the_ring() -> None:
        watch.until_waiting(session)
        scene.elsewhere("UPDATE {t} SET n = 5 WHERE id = 1")

    with scene.beside(close_the_ring):
        scene.run("UPDATE {t} SET n = 7 WHERE id = 2")
    return "accepted"


# -- ended from outside -------------------------------------------------------------------------


def canceled(scene: Scene) -> str:
    session = scene.session
    with scene.beside(lambda: scene.cancel(session)):
        scene.run(LONG)
    return "accepted"


def interrupted(scene: Scene) -> str:
    """SQLite has no other session that could cancel; another thread can."""
    running = Flag()
    scene.raw.set_progress_handler(running.set, 1000)

    def cancel() -> None:
        assert running.wait(10)
        scene.raw.interrupt()

    with scene.beside(cancel):
        scene.run(LONG)
    return "accepted"


def killed_at_work(scene: Scene) -> str:
    session = scene.session

    def kill() -> None:
        scene.until_running(session, "WITH")
        scene.kill(session)

    with scene.beside(kill):
        scene.run(LONG)
    return "accepted"


def killed_between(scene: Scene) -> str:
    scene.kill(scene.session)
    scene.run("SELECT 1")
    return "accepted"


def killed_in_autocommit(scene: Scene) -> str:
    scene.connection.execution_options(isolation_level="AUTOCOMMIT")
    return killed_between(scene)


def killed_before_commit(scene: Scene) -> str:
    scene.prepare(CHANGE)
    scene.kill(scene.session)
    scene.commit()
    return "accepted"


def idle(limit: str, *, between: bool = False) -> Provocation:
    """The server's patience comes to an end: with a transaction, or between two of them."""

    def provoke(scene: Scene) -> str:
        session = scene.session
        scene.prepare(limit)
        if between:
            scene.connection.commit()
        scene.until_gone(session)
        scene.run("SELECT 1")
        return "accepted"

    return provoke


def lasting(scene: Scene) -> str:
    """PostgreSQL 17 has a time limit for a transaction."""
    known = "SELECT count(*) FROM pg_settings WHERE name = 'transaction_timeout'"
    if not scene.elsewhere(known):
        return "no such limit before 17"
    return idle("SET transaction_timeout = '50ms'")(scene)


def cut(when: When) -> Provocation:
    """The line is cut at a statement."""

    def provoke(scene: Scene) -> str:
        cutter = scene.behind_a_cutter()
        cutter.cut(when, scene.fill(CHANGE))
        scene.run(CHANGE)
        return "accepted"

    return provoke


def cut_at_commit(when: When) -> Provocation:
    def provoke(scene: Scene) -> str:
        cutter = scene.behind_a_cutter()
        scene.prepare(CHANGE)
        cutter.cut(when, "COMMIT")
        scene.commit()
        return "accepted"

    return provoke


def cut_idle(scene: Scene) -> str:
    """The line ends (FIN) between two statements."""
    proxy = scene.behind_a_proxy()
    scene.prepare(CHANGE)
    proxy.drop()
    scene.run("SELECT 1")
    return "accepted"


def reset_idle(scene: Scene) -> str:
    """The line is reset (RST) between two statements."""
    proxy = scene.behind_a_proxy()
    scene.prepare(CHANGE)
    proxy.reset()
    scene.run("SELECT 1")
    return "accepted"


def reset_at_work(scene: Scene) -> str:
    proxy = scene.behind_a_proxy()
    scene.prepare(CHANGE)
    proxy.requests.reset_at(b"SELECT 4711")
    scene.run("SELECT 4711")
    return "accepted"


def cut_in_a_result(scene: Scene) -> str:
    proxy = scene.behind_a_proxy()
    scene.prepare(CHANGE)
    proxy.answers.cut_before(b"the needle")
    scene.run("SELECT code, 'the needle' AS word FROM {t}")
    return "accepted"


def swallowed(scene: Scene) -> str:
    """The line stands and carries nothing; a time limit ends the wait."""
    proxy = scene.behind_a_proxy()
    scene.prepare(CHANGE)
    proxy.black_hole()
    scene.run("SELECT 1", timeout=LIMIT)
    return "accepted"


def limited(scene: Scene) -> str:
    """A time limit of plainsql's, and a server that keeps it."""
    scene.prepare("SELECT 1")
    scene.run(LONG, timeout=LIMIT)
    return "accepted"


def ends_itself(sql: str) -> Provocation:
    def provoke(scene: Scene) -> str:
        scene.prepare(CHANGE)
        scene.run(sql.replace("{session}", str(scene.session)))
        return "accepted"

    return provoke


def skewed(scene: Scene) -> str:
    """Two transactions read what the other one writes: only the second COMMIT can tell."""
    scene.connection.execution_options(isolation_level="SERIALIZABLE")
    scene.prepare("SELECT sum(n) FROM {t}", "UPDATE {t} SET n = 1 WHERE id = 1")
    scene.elsewhere(
        "BEGIN ISOLATION LEVEL SERIALIZABLE",
        "SELECT sum(n) FROM {t}",
        "UPDATE {t} SET n = 1 WHERE id = 2",
        "COMMIT",
    )
    scene.commit()
    return "accepted"


def read_at_commit(scene: Scene) -> str:
    """SQLite's COMMIT waits for those who read."""
    scene.elsewhere("BEGIN", "SELECT n FROM {t}")
    scene.prepare("PRAGMA busy_timeout = 50", CHANGE)
    scene.commit()
    return "accepted"


def too_large(scene: Scene) -> str:
    """More than the server takes in one statement; known, so it is not sent."""
    packet = scene.raw.plainsql_packet
    scene.run("SELECT length(:v)", {"v": "x" * packet})
    return "accepted"


def too_large_for_sqlite(scene: Scene) -> str:
    scene.stack.callback(
        scene.raw.setlimit,
        sqlite3.SQLITE_LIMIT_LENGTH,
        scene.raw.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1000),
    )
    scene.run("SELECT length(:v)", {"v": "x" * 2000})
    return "accepted"


def closed(scene: Scene) -> str:
    scene.prepare("SELECT 1")
    scene.raw.close()
    scene.run("SELECT 1")
    return "accepted"


def committed_after_an_error(scene: Scene) -> str:
    try:
        scene.run("INSERT INTO {t} (id, code) VALUES (1, 'x')")
    except Error:
        scene.commit()
    return "goes on, and commits"


def deferred(*before: str) -> Provocation:
    """A constraint that is looked at by the commit."""

    def provoke(scene: Scene) -> str:
        scene.prepare(*before)
        scene.commit()
        return "accepted"

    return provoke


# -- no connection ------------------------------------------------------------------------------


def connect(**parts: Any) -> Provocation:
    """Something in the URL is wrong."""

    def provoke(scene: Scene) -> str:
        scene.engine_at(scene.url.set(**parts)).connect()
        return "accepted"

    return provoke


def port_refused(scene: Scene) -> str:
    return connect(port=free_port())(scene)


def hanging_up(scene: Scene) -> str:
    """Somebody accepts the connection and closes it: a proxy before nobody."""
    proxy = scene.stack.enter_context(FaultProxy("127.0.0.1", free_port()))
    return connect(port=proxy.port)(scene)


def reset_at_login(scene: Scene) -> str:
    """The line is reset while the two introduce each other."""
    url = scene.url.update_query_dict(scene.means.plain)
    proxy = scene.stack.enter_context(FaultProxy.to(url))
    proxy.requests.reset_at((url.username or "").encode())
    scene.engine_at(proxy.url).connect()
    return "accepted"


def unreachable(scene: Scene) -> str:
    """Nobody answers the first packet: the queue of those who wait to be accepted is full."""
    listener = scene.stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    for _ in range(3):
        waiting = scene.stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(listener.getsockname())
    url = scene.url.set(port=listener.getsockname()[1])
    scene.engine_at(url, connect_timeout=0.5).connect()
    return "accepted"


def silent(scene: Scene) -> str:
    listener = scene.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    url = scene.url.set(port=listener.getsockname()[1])
    scene.engine_at(url, connect_timeout=0.5).connect()
    return "accepted"


#: An account that may connect once; one that may not; one whose password is too old.
ONCE = {"postgresql": "LOGIN CONNECTION LIMIT 1", "mysql": "WITH MAX_USER_CONNECTIONS 1"}
LOCKED = {"postgresql": "NOLOGIN", "mysql": "ACCOUNT LOCK"}
EXPIRED = {"postgresql": "LOGIN VALID UNTIL '2001-01-01'", "mysql": "PASSWORD EXPIRE"}
FREE = {"postgresql": "LOGIN", "mysql": ""}


def crowded(scene: Scene) -> str:
    engine = scene.engine_at(scene.account(ONCE[scene.means.protocol]))
    scene.stack.enter_context(engine.connect())
    engine.connect()
    return "accepted"


def barred(but: dict[str, str]) -> Provocation:
    """The account is not one that may log in."""

    def provoke(scene: Scene) -> str:
        scene.engine_at(scene.account(but[scene.means.protocol])).connect()
        return "accepted"

    return provoke


def foreign_database(scene: Scene) -> str:
    """A database is there, but not for this account."""
    url = scene.account(FREE[scene.means.protocol])
    scene.engine_at(url.set(database="mysql")).connect()
    return "accepted"


def unprivileged(scene: Scene) -> str:
    scene.use(scene.engine_at(scene.account(ONCE[scene.means.protocol])))
    scene.run("DELETE FROM {t}")
    return "accepted"


def unauthorized(scene: Scene) -> str:
    """SQLite asks a function of the application."""
    scene.stack.callback(scene.raw.set_authorizer, None)
    scene.raw.set_authorizer(lambda *what: int(what[2] == "code"))
    scene.run("SELECT code FROM {t}")
    return "accepted"


def no_folder(scene: Scene) -> str:
    path = Path(scene.url.database or "").with_name("missing") / "test.db"
    return connect(database=str(path))(scene)


def damaged(scene: Scene) -> str:
    path = Path(scene.url.database or "").with_name("damaged.db")
    with closing(sqlite3.connect(path)) as whole:
        whole.execute("PRAGMA page_size = 4096")
        whole.execute(scene.fill("CREATE TABLE {t} (id INT)"))
        whole.execute("VACUUM")
    with path.open("r+b") as file:
        file.seek(4096)  # the table's own page; the schema stays whole
        file.write(b"\xff" * 4096)
    scene.use(scene.engine_at(scene.url.set(database=str(path))))
    scene.run("SELECT 1 FROM {t}")
    return "accepted"


def write_protected(scene: Scene) -> str:
    scene.use(scene.engine_at(scene.url.update_query_dict({"mode": "ro"})))
    scene.run(CHANGE)
    return "accepted"


def read_only(scene: Scene) -> str:
    scene.connection.execution_options(read_only=True)
    scene.run(CHANGE)
    return "accepted"
