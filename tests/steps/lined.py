"""SQLite's driver with lines of Python around what it does, where a step may be taken."""

from __future__ import annotations

import sqlite3
from typing import Any


class LinedCursor(sqlite3.Cursor):
    """The driver's cursor: each call has a line before it and one after it."""

    def execute(self, *args: Any) -> LinedCursor:
        done = super().execute(*args)
        return done  # noqa: RET504 - a line after the call

    def fetchall(self) -> list[Any]:
        rows = super().fetchall()
        return rows  # noqa: RET504 - as above

    def fetchmany(self, size: int | None = 1) -> list[Any]:
        rows = super().fetchmany(size)
        return rows  # noqa: RET504 - as above


class LinedConnection(sqlite3.Connection):
    """The driver's connection, for `connect_args={"factory": LinedConnection}`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.lined = True

    def cursor(self, factory: Any = LinedCursor) -> Any:
        found = super().cursor(factory)
        return found  # noqa: RET504 - as above

    def close(self) -> None:
        super().close()
        self.lined = False
