"""A hundred rows of six columns on a held connection, all six read by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.databases import COLUMNS, ROWS
from bench.harness import RAW, Case

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.databases import Bench
    from bench.harness import Run

SQL = f"SELECT {COLUMNS} FROM {ROWS} WHERE id BETWEEN :first AND :last ORDER BY id"


class Range(Case):
    name = "range"

    def runs(self, bench: Bench) -> dict[str, Run]:
        raw = _by_cursor if bench.by_cursor else _by_connection
        runs = {RAW: raw(bench.hold_raw(), bench.native(SQL))}
        for contender in bench.contenders:
            execute = bench.hold(contender).execute
            runs[contender.name] = _by_name(execute, contender.text(SQL))
        return runs


def _by_connection(connection: Any, sql: str) -> Run:
    def run(times: int) -> Any:
        for _ in range(times):
            seen = [
                (row[0], row[1], row[2], row[3], row[4], row[5])
                for row in connection.execute(sql, (1, 100)).fetchall()
            ]
        return seen

    return run


def _by_cursor(connection: Any, sql: str) -> Run:
    def run(times: int) -> Any:
        for _ in range(times):
            with connection.cursor() as cursor:
                cursor.execute(sql, (1, 100))
                rows = cursor.fetchall()
            seen = [(row[0], row[1], row[2], row[3], row[4], row[5]) for row in rows]
        return seen

    return run


def _by_name(execute: Callable[..., Any], statement: Any) -> Run:
    def run(times: int) -> Any:
        for _ in range(times):
            seen = [
                (row.id, row.name, row.ratio, row.made, row.active, row.price)
                for row in execute(statement, {"first": 1, "last": 100})
            ]
        return seen

    return run
