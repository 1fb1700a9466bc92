"""The sessions that an engine opened at its server, as others see them; and how they are killed.

SQLite has none: there it is the driver's connections that are open or not.
"""

from __future__ import annotations

import gc
import sqlite3
import time
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tests.servers import RawConnection

#: Seconds within which a server has noticed that a session is over, and between two looks.
DEADLINE, PAUSE = 20.0, 0.01


class Means(NamedTuple):
    """What a server is asked, and the driver's method that knows the session's number."""

    number: str
    alive: str
    kill: str


MYSQL = Means("thread_id", "SELECT id FROM information_schema.processlist", "KILL {n}")
MEANS = {
    "postgresql": Means(
        "pgconn.backend_pid",
        "SELECT pid FROM pg_stat_activity",
        "SELECT pg_terminate_backend({n})",
    ),
    "mysql": MYSQL,
    "mariadb": MYSQL,
}


class Sessions:
    """Those of the engines whose `on_connect` is `note`, and when they were opened.

    The driver's connections are not held here: what nobody holds any more must be over.
    """

    def __init__(self, kind: str, elsewhere: RawConnection) -> None:
        self._means = MEANS.get(kind)
        self._elsewhere = elsewhere
        self._numbers: set[int] = set()
        self.opened = 0
        self.times: list[float] = []

    def note(self, raw: Any) -> None:
        """Note a new connection; one that was reset is none."""
        own = getattr(raw, "driver_connection", raw)
        number = id(own) if self._means is None else _number(own, self._means.number)
        if number in self._numbers and self._means is not None:
            return
        self._numbers.add(number)
        self.opened += 1
        self.times.append(time.monotonic())

    def alive(self) -> int:
        """How many there are."""
        if self._means is None:
            return sum(id(own) in self._numbers for own in _open_here())
        there = {row[0] for row in self._ask(self._means.alive)}
        return len(there & self._numbers)

    def kill(self) -> None:
        """Kill all that are there, and wait until they are gone; nobody can on SQLite."""
        if self._means is None:
            return
        there = {row[0] for row in self._ask(self._means.alive)}
        for number in there & self._numbers:
            self._ask(self._means.kill.replace("{n}", str(number)))
        self.until(0)

    def until(self, number: int) -> None:
        """Wait until there are so many left."""
        deadline = time.monotonic() + DEADLINE
        while (there := self.alive()) != number:
            assert time.monotonic() < deadline, f"{there} sessions are there, not {number}"
            time.sleep(PAUSE)

    def most_in_a_second(self) -> int:
        """The most connects that there were within any second."""
        times = self.times
        return max(sum(then <= when < then + 1 for when in times) for then in times)

    def _ask(self, sql: str) -> list[Any]:
        cursor = self._elsewhere.cursor()
        cursor.execute(sql)
        rows: list[Any] = cursor.fetchall() if cursor.description else []
        cursor.close()
        return rows


def _number(own: Any, path: str) -> int:
    for name in path.split("."):
        own = getattr(own, name)
    number: int = own() if callable(own) else own
    return number


def _open_here() -> list[sqlite3.Connection]:
    return [one for one in gc.get_objects() if isinstance(one, sqlite3.Connection) if _is_open(one)]


def _is_open(own: sqlite3.Connection) -> bool:
    try:
        own.total_changes  # noqa: B018 - raises on a closed connection
    except sqlite3.ProgrammingError:
        return False
    return True
