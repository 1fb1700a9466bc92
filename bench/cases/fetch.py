"""100 000 rows of int, text, float, timestamp, bool and decimal into a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.databases import COLUMNS, ROWS
from bench.harness import RAW, Case

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.databases import Bench
    from bench.harness import Run

SQL = f"SELECT {COLUMNS} FROM {ROWS}"


class Fetch(Case):
    name = "fetch"
    unit = "ms"
    rounds = 9
    goals = {"sqlite": 1.5}

    def runs(self, bench: Bench) -> dict[str, Run]:
        raw = _by_cursor if bench.by_cursor else _by_connection
        runs = {RAW: raw(bench.hold_raw())}
        for contender in bench.contenders:
            execute = bench.hold(contender).execute
            runs[contender.name] = _by_result(execute, contender.text(SQL))
        return runs

    def witness(self, bench: Bench, run: Run) -> Any:
        rows = sorted(map(tuple, run(1)))
        if len(rows) != bench.size:
            raise AssertionError(f"{len(rows)} rows of {bench.size}")
        return rows


def _by_connection(connection: Any) -> Run:
    def run(times: int) -> Any:
        for _ in range(times):
            rows = connection.execute(SQL).fetchall()
        return rows

    return run


def _by_cursor(connection: Any) -> Run:
    def run(times: int) -> Any:
        for _ in range(times):
            with connection.cursor() as cursor:
                cursor.execute(SQL)
                rows = cursor.fetchall()
        return rows

    return run


def _by_result(execute: Callable[..., Any], statement: Any) -> Run:
    def run(times: int) -> Any:
        for _ in range(times):
            rows = execute(statement).all()
        return rows

    return run
