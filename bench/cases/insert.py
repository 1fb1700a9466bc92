"""One row and its commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.databases import SINK
from bench.harness import RAW, Case

if TYPE_CHECKING:
    from bench.databases import Bench
    from bench.harness import Run

SQL = f"INSERT INTO {SINK} (name, ratio, active) VALUES (:name, :ratio, :active)"
STORED = f"SELECT name, ratio, active FROM {SINK}"


class Insert(Case):
    name = "insert"
    rounds = 25

    def runs(self, bench: Bench) -> dict[str, Run]:
        raw = _by_cursor if bench.by_cursor else _by_connection
        runs = {RAW: raw(bench.raw(), bench.native(SQL))}
        for contender in bench.contenders:
            connection = bench.enter(contender.connect())
            runs[contender.name] = _by_name(connection, contender.text(SQL))
        return runs

    def witness(self, bench: Bench, run: Run) -> Any:
        run(1)
        return bench.run(STORED)

    def clean(self, bench: Bench) -> None:
        empty(bench)


def empty(bench: Bench) -> None:
    """Empty the table for the next sample."""
    bench.run(f"{'DELETE FROM' if bench.kind == 'sqlite' else 'TRUNCATE TABLE'} {SINK}")


def _by_connection(connection: Any, sql: str) -> Run:
    def run(times: int) -> None:
        for number in range(times):
            connection.execute(sql, ("a name", number / 7, True))
            connection.commit()

    return run


def _by_cursor(connection: Any, sql: str) -> Run:
    def run(times: int) -> None:
        for number in range(times):
            with connection.cursor() as cursor:
                cursor.execute(sql, ("a name", number / 7, True))
            connection.commit()

    return run


def _by_name(connection: Any, statement: Any) -> Run:
    def run(times: int) -> None:
        for number in range(times):
            connection.execute(statement, {"name": "a name", "ratio": number / 7, "active": True})
            connection.commit()

    return run
