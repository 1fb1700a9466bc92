"""One row of six columns by key on a held connection, two columns read by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.databases import COLUMNS, ROWS
from bench.harness import RAW, Case

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.databases import Bench
    from bench.harness import Run

SQL = f"SELECT {COLUMNS} FROM {ROWS} WHERE id = :id"


class Point(Case):
    name = "point"
    rounds = 25
    goals = {"sqlite": 1.5, "postgresql": 1.2, "mysql": 1.2, "mariadb": 1.2}

    def runs(self, bench: Bench) -> dict[str, Run]:
        raw = _by_cursor if bench.by_cursor else _by_connection
        runs = {RAW: raw(bench.hold_raw(), bench.native(SQL), bench.size)}
        for contender in bench.contenders:
            execute = bench.hold(contender).execute
            runs[contender.name] = _by_name(execute, contender.text(SQL), bench.size)
        return runs


def _by_connection(connection: Any, sql: str, size: int) -> Run:
    def run(times: int) -> Any:
        for number in range(times):
            row = connection.execute(sql, (number % size + 1,)).fetchone()
            seen = row[1], row[3]
        return seen

    return run


def _by_cursor(connection: Any, sql: str, size: int) -> Run:
    def run(times: int) -> Any:
        for number in range(times):
            with connection.cursor() as cursor:
                cursor.execute(sql, (number % size + 1,))
                row = cursor.fetchone()
            seen = row[1], row[3]
        return seen

    return run


def _by_name(execute: Callable[..., Any], statement: Any, size: int) -> Run:
    def run(times: int) -> Any:
        for number in range(times):
            row = execute(statement, {"id": number % size + 1}).one()
            seen = row.name, row.made
        return seen

    return run
