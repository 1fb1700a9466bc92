"""Queries whose many rows are produced while they are read: nothing is stored.

With a mark, the server lets others see that it has produced a certain row.
"""

from __future__ import annotations

import secrets
import sqlite3
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tests.servers import RawConnection

DIGITS = " UNION ALL ".join(["SELECT 0 AS d", *(f"SELECT {d}" for d in range(1, 10))])
#: Wide enough that no buffer between here and there holds a million of them.
PADDING = "a text that is there to take some room in the buffers of the network"


def rows(exponent: int) -> str:
    """A query of 10 ** `exponent` rows: `x` from 1 on, in no order, and a text."""
    names = ascii_lowercase[:exponent]
    number = " + ".join(f"{10**place} * {name}.d" for place, name in enumerate(reversed(names)))
    source = " CROSS JOIN ".join(f"digits {name}" for name in names)
    return f"WITH digits AS ({DIGITS}) SELECT 1 + {number} AS x, '{PADDING}' AS s FROM {source}"


class Means(NamedTuple):
    """How a mark is left by an expression, and how others see it."""

    leave: str
    seen: str


MYSQL = Means("get_lock('plainsql {number}', 0)", "SELECT is_used_lock('plainsql {number}')")
MEANS = {
    "sqlite": Means("leave_mark()", "SELECT nullif(is_marked(), 0)"),
    "postgresql": Means(
        "pg_try_advisory_lock({number})",
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = {number}",
    ),
    "mysql": MYSQL,
    "mariadb": MYSQL,
}


class Mark:
    """Left where the server produces the row of the highest number, and seen elsewhere at once."""

    def __init__(self, kind: str, elsewhere: RawConnection, exponent: int) -> None:
        number = str(secrets.randbelow(1 << 30))
        leave, self._seen = (sql.replace("{number}", number) for sql in MEANS[kind])
        case = f"CASE WHEN x = {10**exponent} THEN {leave} END"
        self.sql = f"SELECT x, s, {case} AS mark FROM ({rows(exponent)}) t"
        self._marked = False
        self._elsewhere = elsewhere
        self.prepare(elsewhere)

    def prepare(self, raw: Any) -> None:
        """Give the functions to a connection of SQLite; servers have theirs."""
        raw = getattr(raw, "driver_connection", raw)
        if isinstance(raw, sqlite3.Connection):
            raw.create_function("leave_mark", 0, self._leave)
            raw.create_function("is_marked", 0, lambda: self._marked)

    def is_left(self) -> bool:
        """Tell whether the row has been produced."""
        cursor = self._elsewhere.cursor()
        cursor.execute(self._seen)
        row = cursor.fetchone()
        cursor.close()
        return row is not None and row[0] is not None

    def _leave(self) -> None:
        self._marked = True
