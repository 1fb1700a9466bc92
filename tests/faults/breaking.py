"""Provocations that break the server itself: each runs on a throw-away server of its kind.

What they do to it is undone by the scene's `mend`, before the connection is looked at.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Literal

from tests import servers
from tests.faults.provoking import CHANGE, FREE, LIMIT, LONG

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.provoking import Provocation
    from tests.faults.scene import Scene

#: More than any server here lets in.
CROWD = 40


class Breaking:
    """A provocation that takes a server of its own: a single one, a hot standby, or a pooler."""

    def __init__(self, provoke: Provocation, where: Literal["server", "standby", "pooler"]) -> None:
        self.provoke = provoke
        self.where = where

    def __call__(self, scene: Scene) -> str:
        return self.provoke(scene)


def on_a_server(provoke: Provocation) -> Breaking:
    return Breaking(provoke, "server")


def on_a_standby(provoke: Provocation) -> Breaking:
    return Breaking(provoke, "standby")


def on_a_pooler(provoke: Provocation) -> Breaking:
    return Breaking(provoke, "pooler")


# -- it ends, or stands still -------------------------------------------------------------------


def ended(act: Callable[[Scene, int], object]) -> Breaking:
    """The server, or a part of it, comes to its end while a statement runs."""

    def provoke(scene: Scene) -> str:
        scene.prepare(CHANGE)
        session = scene.session
        scene.mended_by(scene.own.restart)

        def end() -> None:
            scene.until_running(session, "WITH")
            act(scene, session)

        with scene.beside(end):
            scene.run(LONG)
        return "accepted"

    return on_a_server(provoke)


def by_signal(how: signal.Signals) -> Breaking:
    return ended(lambda scene, session: scene.own.process.send_signal(how))  # noqa: ARG005


by_sigkill = ended(lambda scene, session: scene.own.kill())  # noqa: ARG005
backend_by_sigkill = ended(lambda scene, session: os.kill(session, signal.SIGKILL))  # noqa: ARG005


@on_a_server
def shutting_down(scene: Scene) -> str:
    """PostgreSQL's smart shutdown waits for who is there, and lets nobody in."""
    scene.mended_by(scene.own.restart)
    scene.own.process.send_signal(signal.SIGTERM)
    scene.until_refused()
    scene.engine_at(scene.url).connect()
    return "accepted"


@on_a_server
def frozen(scene: Scene) -> str:
    """The server stands still; a time limit ends the wait."""
    scene.prepare(CHANGE)
    freeze(scene)
    scene.run("SELECT 1", timeout=LIMIT)
    return "accepted"


@on_a_server
def frozen_for_a_driver(scene: Scene) -> str:
    """The same with a limit that the driver keeps."""
    url = scene.url.update_query_dict({"read_timeout": str(LIMIT)})
    scene.use(scene.engine_at(url))
    scene.prepare(CHANGE)
    freeze(scene)
    scene.run("SELECT 1")
    return "accepted"


@on_a_server
def frozen_at_login(scene: Scene) -> str:
    freeze(scene)
    scene.engine_at(scene.url, connect_timeout=0.5).connect()
    return "accepted"


def freeze(scene: Scene) -> None:
    scene.mended_by(scene.own.thaw)
    scene.own.freeze()


# -- it lets nobody in --------------------------------------------------------------------------


def full(*before: str, after: tuple[str, ...] = ()) -> Breaking:
    """All the connections that the server has are taken."""

    def provoke(scene: Scene) -> str:
        url = scene.account(FREE[scene.means.protocol])
        engine = scene.engine_at(url, pool_size=CROWD)
        scene.mended_by(lambda: scene.elsewhere(*after))
        scene.elsewhere(*before)
        for _ in range(CROWD):
            scene.stack.enter_context(engine.connect())
        return "accepted"

    return on_a_server(provoke)


@on_a_server
def closed_database(scene: Scene) -> str:
    """A database is there, but not for everybody."""
    scene.elsewhere("CREATE DATABASE {t}_d", "REVOKE CONNECT ON DATABASE {t}_d FROM public")
    url = scene.account(FREE["postgresql"])
    scene.engine_at(url.set(database=scene.fill("{t}_d"))).connect()
    return "accepted"


def unverified(name: str, **options: str) -> Breaking:
    """The client trusts somebody, by this URL option, who does not vouch for the server."""

    def provoke(scene: Scene) -> str:
        trusted = {name: str(scene.own.nest.path / "other.pem")}
        scene.engine_at(scene.url.update_query_dict({**options, **trusted})).connect()
        return "accepted"

    return on_a_server(provoke)


@on_a_server
def offline(scene: Scene) -> str:
    """MySQL turns out everybody but administrators."""
    url = scene.account(FREE["mysql"])
    scene.use(scene.engine_at(url))
    scene.prepare("SELECT id FROM {t}")
    session = scene.session
    turn_offline(scene)
    scene.until_gone(session)
    scene.run("SELECT 1")
    return "accepted"


@on_a_server
def offline_at_login(scene: Scene) -> str:
    url = scene.account(FREE["mysql"])
    turn_offline(scene)
    scene.engine_at(url).connect()
    return "accepted"


def turn_offline(scene: Scene) -> None:
    scene.mended_by(lambda: scene.elsewhere("SET GLOBAL offline_mode = OFF"))
    scene.elsewhere("SET GLOBAL offline_mode = ON")


# -- it only reads ------------------------------------------------------------------------------


@on_a_server
def read_only_server(scene: Scene) -> str:
    url = scene.account(FREE["mysql"], "GRANT UPDATE, SELECT ON {t} TO {user}")
    scene.use(scene.engine_at(url))
    scene.mended_by(lambda: scene.elsewhere("SET GLOBAL read_only = OFF"))
    scene.elsewhere("SET GLOBAL read_only = ON")
    scene.run(CHANGE)
    return "accepted"


@on_a_standby
def written_on_a_standby(scene: Scene) -> str:
    scene.run(CHANGE)
    return "accepted"


# -- a standby has to follow --------------------------------------------------------------------


@on_a_standby
def rows_removed_while_read(scene: Scene) -> str:
    """The primary removes rows that a statement on the standby may still have to read."""
    session, watch = read_on_the_standby(scene)

    def remove() -> None:
        watch.until_running(session, "WITH")
        scene.elsewhere(*REMOVE)

    with scene.beside(remove):
        scene.run(LONG)
    return "accepted"


@on_a_standby
def rows_removed_between(scene: Scene) -> str:
    """The same, while the transaction on the standby does nothing."""
    session, watch = read_on_the_standby(scene)
    scene.elsewhere(*REMOVE)
    watch.until_gone(session)
    scene.run("SELECT 1")
    return "accepted"


REMOVE = ("DELETE FROM {t}", "VACUUM {t}")


def read_on_the_standby(scene: Scene) -> tuple[int, Scene]:
    scene.connection.execution_options(isolation_level="REPEATABLE READ")
    scene.prepare("SELECT count(*) FROM {t}")
    url = scene.url.render_as_string(hide_password=False)
    standby = servers.connect(url)
    scene.stack.callback(standby.close)
    return scene.session, scene.another(lambda: standby)


# -- a pooler stands before it ------------------------------------------------------------------


@on_a_pooler
def pool_exhausted(scene: Scene) -> str:
    """PgBouncer lets the client in, and has no connection for its first statement."""
    scene.prepare(CHANGE)
    for act in (scene.engine.dispose, scene.connection.close, scene.connection.rollback):
        scene.mended_by(act)
    scene.use(scene.engine_at(scene.url))
    scene.run("SELECT 1")
    return "accepted"


@on_a_pooler
def pooled_server_away(scene: Scene) -> str:
    url = scene.url.render_as_string(hide_password=False)
    errors = servers.driver_errors(scene.kind)
    scene.mended_by(
        lambda: servers.wait_until(lambda: servers.run(url, "SELECT 1"), errors, seconds=20)
    )
    scene.mended_by(scene.own.restart)
    scene.own.end(signal.SIGINT)
    scene.run("SELECT 1")
    return "accepted"


@on_a_pooler
def pooler_full(scene: Scene) -> str:
    engine = scene.engine_at(scene.url, pool_size=CROWD)
    for _ in range(CROWD):
        scene.stack.enter_context(engine.connect())
    return "accepted"


# -- its disk is full, or lies ------------------------------------------------------------------


@on_a_server
def disk_full(scene: Scene) -> str:
    disk = scene.own.disk
    folder = disk / scene.table
    scene.elsewhere(
        f"COPY (SELECT 1) TO PROGRAM 'mkdir {folder}'",  # as the server sees its disk
        f"CREATE TABLESPACE {{t}}_s LOCATION '{folder}'",
    )
    # or the server would look for it after a crash, on the next disk
    scene.mended_by(lambda: scene.elsewhere("DROP TABLESPACE {t}_s", "CHECKPOINT"))
    scene.mended_by(scene.connection.rollback)
    scene.prepare("CREATE TABLE {t}_big (v TEXT) TABLESPACE {t}_s")
    scene.run("INSERT INTO {t}_big SELECT repeat('x', 1000) FROM generate_series(1, 100000)")
    return "accepted"


@on_a_server
def disk_full_for_innodb(scene: Scene) -> str:
    scene.mended_by(lambda: scene.elsewhere("DROP TABLE {t}_big"))
    scene.elsewhere(
        f"CREATE TABLE {{t}}_big (v VARCHAR(200)) DATA DIRECTORY = '{scene.own.disk}'",
        "INSERT INTO {t}_big VALUES (repeat('x', 200))",
    )
    scene.mended_by(scene.connection.rollback)  # or it can not be dropped
    for _ in range(100):
        scene.run("INSERT INTO {t}_big SELECT v FROM {t}_big LIMIT 4000")
    return "accepted"


@on_a_server
def page_damaged(scene: Scene) -> str:
    """A page's checksum does not fit."""
    scene.elsewhere(
        "CREATE TABLE {t}_bad AS SELECT i FROM generate_series(1, 1000) i", "CHECKPOINT"
    )
    file = scene.own.nest.path / "data" / scene.elsewhere("SELECT pg_relation_filepath('{t}_bad')")
    scene.restart(lambda: overwrite(file))
    scene.run("SELECT count(*) FROM {t}_bad")
    return "accepted"


def overwrite(file: Path) -> None:
    with file.open("r+b") as data:
        data.seek(100)
        data.write(b"\xff" * 100)


def file_cut(engine: str, suffix: str, *, noticed: bool = False) -> Breaking:
    """The file with a table's rows lost its end; `noticed`: the server has found out before."""

    def provoke(scene: Scene) -> str:
        scene.mended_by(lambda: scene.elsewhere("DROP TABLE {t}_bad"))
        scene.mended_by(scene.connection.rollback)  # or it can not be dropped
        scene.elsewhere(
            f"CREATE TABLE {{t}}_bad (i INT PRIMARY KEY, v VARCHAR(100)) ENGINE = {engine}",
            "INSERT INTO {t}_bad VALUES (1, 'a'), (2, 'b')",
            "FLUSH TABLES {t}_bad",
        )
        file = scene.own.nest.path / "data" / "test" / f"{scene.table}_bad.{suffix}"
        os.truncate(file, 0)
        if noticed:
            scene.elsewhere("CHECK TABLE {t}_bad")
        scene.run("SELECT * FROM {t}_bad")
        return "accepted"

    return on_a_server(provoke)


@on_a_server
def too_large_by_creator(scene: Scene) -> str:
    """A connection of the user's making is the plain driver's: the server has to find out."""
    packet = scene.elsewhere("SELECT @@global.max_allowed_packet")
    scene.mended_by(lambda: scene.elsewhere(f"SET GLOBAL max_allowed_packet = {packet}"))
    scene.elsewhere("SET GLOBAL max_allowed_packet = 1048576")
    import pymysql

    url = scene.url

    def create() -> Any:
        return pymysql.connect(
            host=url.host, port=url.port or 3306, user=url.username,
            password=url.password or "", database=url.database, charset="utf8mb4",
        )  # fmt: skip

    scene.use(scene.engine_at(url, creator=create))
    scene.run("SELECT length(:v)", {"v": "x" * 4_000_000})
    return "accepted"
