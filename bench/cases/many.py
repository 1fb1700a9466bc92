"""executemany of 10 000 rows in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.cases.insert import SQL, STORED, empty
from bench.harness import RAW, Case

if TYPE_CHECKING:
    from bench.databases import Bench
    from bench.harness import Run

SIZE = 10_000
ROWS = [(f"name of {number}", number / 7, number % 2 == 0) for number in range(SIZE)]
SETS = [{"name": name, "ratio": ratio, "active": active} for name, ratio, active in ROWS]


class Many(Case):
    name = "many"
    unit = "ms"

    def runs(self, bench: Bench) -> dict[str, Run]:
        runs = {RAW: _by_cursor(bench.raw(), bench.native(SQL))}
        for contender in bench.contenders:
            connection = bench.enter(contender.connect())
            runs[contender.name] = _by_name(connection, contender.text(SQL))
        return runs

    def witness(self, bench: Bench, run: Run) -> Any:
        run(1)
        stored = bench.run(STORED)
        assert len(stored) == SIZE, len(stored)
        return stored

    def clean(self, bench: Bench) -> None:
        empty(bench)


def _by_cursor(connection: Any, sql: str) -> Run:
    def run(times: int) -> None:
        for _ in range(times):
            cursor = connection.cursor()
            cursor.executemany(sql, ROWS)
            cursor.close()
            connection.commit()

    return run


def _by_name(connection: Any, statement: Any) -> Run:
    def run(times: int) -> None:
        for _ in range(times):
            connection.execute(statement, SETS)
            connection.commit()

    return run
