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


def sqlstate(code: str) -> Provocation:
    """PostgreSQL raises any SQLSTATE when told to."""
    return statement(f"DO $$ BEGIN RAISE EXCEPTION 'told to' USING ERRCODE = '{code}'; END $$")


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


def idle(*limit: str) -> Provocation:
    """The server's patience with a transaction that does nothing comes to an end."""

    def provoke(scene: Scene) -> str:
        session = scene.session
        scene.prepare(*limit)
        scene.until_gone(session)
        scene.run("SELECT 1")
        return "accepted"

    return provoke


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


def refused(scene: Scene) -> str:
    return connect(port=free_port())(scene)


def silent(scene: Scene) -> str:
    listener = scene.stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    url = scene.url.set(port=listener.getsockname()[1])
    scene.engine_at(url, connect_timeout=0.5).connect()
    return "accepted"


def crowded(scene: Scene) -> str:
    engine = scene.engine_at(scene.account())
    scene.stack.enter_context(engine.connect())
    engine.connect()
    return "accepted"


def unprivileged(scene: Scene) -> str:
    scene.use(scene.engine_at(scene.account()))
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


def read_only_by_default(scene: Scene) -> str:
    scene.prepare("SET default_transaction_read_only = on")
    scene.connection.commit()
    scene.run(CHANGE)
    return "accepted"


def read_only(scene: Scene) -> str:
    scene.connection.execution_options(read_only=True)
    scene.run(CHANGE)
    return "accepted"
