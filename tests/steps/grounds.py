"""Where steps are taken: on the fake server, or on a database under test."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import plainsql
from plainsql import aio
from plainsql.testing.fake import FakeError, FakeServer
from tests.steps.lined import LinedConnection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plainsql import URL, Engine
    from plainsql.aio import AsyncEngine
    from plainsql.testing.fake import FakeConnection
    from tests.servers import RawConnection

#: What the engines of a walk have: one connection, and hardly any patience.
NARROW: dict[str, Any] = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.25}
#: URL options that make the many connects cheaper, and no different.
PLAIN = {"mysql": {"ssl_disabled": "true"}, "mariadb": {"ssl_disabled": "true"}}
#: Arguments of a driver that is no Python: lines of the tests' own around its calls.
ARGUMENTS = {"sqlite": {"factory": LinedConnection}}
#: Threads of a connection's; others live as long as the process.
THREADS = ("plainsql-bridge", "plainsql-connect", "plainsql-errand")
DESCRIPTORS = Path("/dev/fd")


class _Weakly:
    """Connections as long as their client knows them; a driver's own close when it forgets them."""

    def __init__(self) -> None:
        self._known: WeakSet[FakeConnection] = WeakSet()
        self.append = self._known.add

    def __iter__(self) -> Iterator[FakeConnection]:
        return iter(list(self._known))


class FakeGround:
    """The fake server; it stores nothing, but it tells of what was left open."""

    kind = "fake"
    table = "t"

    def __init__(self) -> None:
        self.server = FakeServer()
        self.server.connections = _Weakly()  # type: ignore[assignment]

    def engine(self, **options: Any) -> Engine:
        return self.server.engine(**{**NARROW, **options})

    def engine_async(self, **options: Any) -> AsyncEngine:
        return self.server.engine_async(**{**NARROW, **options})

    def about_to_refuse(self) -> None:
        """Let the statement fail that comes next."""
        self.server.at("SELECT nothing", FakeError("42703", "no such column"))

    def problem(self, number: int) -> str | None:
        """Return what an interrupted unit left behind."""
        del number
        self.server._script.clear()
        left = [one.state for one in self.server.open if one.state != "idle"]
        return f"a transaction was left open: {left}" if left else None

    def residue(self) -> int:
        """Count what belongs to connections."""
        return len(self.server.open) + _threads()


class LiveGround:
    """A database, with a table, and a connection of the tests' own to look at it."""

    def __init__(self, kind: str, url: str, table: str, own: RawConnection) -> None:
        self.kind = kind
        self.table = table
        self._url: URL = plainsql.make_url(url).update_query_dict(PLAIN.get(kind, {}))
        self._own = own.cursor()
        self._own.execute(f"CREATE TABLE {table} (unit INT NOT NULL, part INT NOT NULL)")
        self._own.execute(f"INSERT INTO {table} VALUES (-1, 0), (-2, 1), (-2, 2)")

    def engine(self, **options: Any) -> Engine:
        arguments = ARGUMENTS.get(self.kind, {})
        return plainsql.create_engine(self._url, connect_args=arguments, **{**NARROW, **options})

    def engine_async(self, **options: Any) -> AsyncEngine:
        arguments = ARGUMENTS.get(self.kind, {})
        return aio.create_async_engine(self._url, connect_args=arguments, **{**NARROW, **options})

    def about_to_refuse(self) -> None:
        """The server refuses the statement by itself."""

    def problem(self, number: int) -> str | None:
        """Return what an interrupted unit left behind: half of it, or its lock."""
        # waits for a lock that is never let go, until the run's limit
        self._own.execute(f"UPDATE {self.table} SET part = 0 WHERE unit = -1")
        self._own.execute(f"SELECT count(*) FROM {self.table} WHERE unit = {number:d}")
        ((stored,),) = self._own.fetchall()
        return None if stored in (0, 2) else f"a unit was stored by half: {stored} of 2 rows"

    def residue(self) -> int:
        """Count what belongs to connections."""
        return _threads() + (len(list(DESCRIPTORS.iterdir())) if DESCRIPTORS.exists() else 0)


Ground = FakeGround | LiveGround


def _threads() -> int:
    return sum(thread.name.startswith(THREADS) for thread in threading.enumerate())
