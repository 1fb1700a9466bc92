"""A query that waits in the server until it is let through, and lets others see that it waits."""

from __future__ import annotations

import secrets
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import RawConnection

#: Seconds after which one who waits goes on by itself.
LONGEST = 10


class Means(NamedTuple):
    """How the gate is shut and opened, what waits at it, and what tells that somebody does."""

    shut: str
    open: str
    wait: str
    waits: str


MYSQL = Means(
    "SELECT get_lock('plainsql {n}', 0)",
    "SELECT release_lock('plainsql {n}')",
    f"get_lock('plainsql {{n}}', {LONGEST}) + release_lock('plainsql {{n}}')",
    "SELECT count(*) FROM information_schema.processlist"
    " WHERE state = 'User lock' AND info LIKE '%plainsql {n}%'",
)
MEANS = {
    "postgresql": Means(
        "SELECT pg_advisory_lock({n})",
        "SELECT pg_advisory_unlock({n})",
        "length(pg_advisory_xact_lock({n})::text)",
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {n} AND NOT granted",
    ),
    "mysql": MYSQL,
    "mariadb": MYSQL,
}


class Gate:
    """A gate that is shut; `sql` waits before it and answers with what it was given as `:n`.

    `wait` is an expression that does so.  On SQLite the engine's `on_connect` must be `prepare`.
    """

    def __init__(self, kind: str, connect: Callable[[], RawConnection]) -> None:
        number = str(secrets.randbelow(1 << 30))
        means = MEANS.get(kind)
        self._means = means and Means(*(sql.replace("{n}", number) for sql in means))
        self._reached, self._opened = threading.Event(), threading.Event()
        self.wait = "wait_at_gate()" if self._means is None else self._means.wait
        self.sql = f"SELECT {self.wait} AS waited, :n AS n"
        if self._means is not None:
            self._keeper, self._watcher = connect(), connect()
            self._ask(self._keeper, self._means.shut)

    def prepare(self, raw: Any) -> None:
        """Give the function to a connection of SQLite; servers have theirs."""
        own = getattr(raw, "driver_connection", raw)
        if isinstance(own, sqlite3.Connection):
            own.create_function("wait_at_gate", 0, self._wait)

    def is_reached(self) -> bool:
        """Tell whether somebody waits."""
        if self._means is None:
            return self._reached.is_set()
        return bool(self._ask(self._watcher, self._means.waits))

    def open(self) -> None:
        """Let everybody through."""
        self._opened.set()
        if self._means is not None:
            self._ask(self._keeper, self._means.open)

    def _wait(self) -> None:
        self._reached.set()
        self._opened.wait(LONGEST)

    @staticmethod
    def _ask(raw: RawConnection, sql: str) -> Any:
        cursor = raw.cursor()
        cursor.execute(sql)
        (value,) = cursor.fetchone()
        cursor.close()
        return value
