"""The same 100 000 rows in bounded memory, one column read of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.databases import COLUMNS, ROWS
from bench.harness import RAW, Case

if TYPE_CHECKING:
    from bench.databases import Bench, Contender
    from bench.harness import Run

SQL = f"SELECT {COLUMNS} FROM {ROWS}"


class Streaming(Case):
    name = "stream"
    unit = "ms"
    rounds = 9

    def runs(self, bench: Bench) -> dict[str, Run]:
        connection = bench.hold_raw()
        runs = {RAW: lambda times: _repeat(times, lambda: raw_sum(bench.kind, connection, SQL))}
        for contender in bench.contenders:
            runs[contender.name] = _by_name(contender, bench.hold(contender))
        return runs

    def witness(self, bench: Bench, run: Run) -> Any:
        total = run(1)
        assert total == bench.size * (bench.size + 1) // 2, total
        return total


def _repeat(times: int, work: Any) -> Any:
    for _ in range(times):
        seen = work()
    return seen


def _by_name(contender: Contender, connection: Any) -> Run:
    statement = contender.text(SQL)
    return lambda times: _repeat(times, lambda: named_sum(contender, connection, statement))


def raw_sum(kind: str, connection: Any, sql: str) -> int:
    """Read the column by the driver's unbuffered cursor."""
    if kind == "sqlite":
        return sum(row[0] for row in connection.execute(sql))
    if kind == "postgresql":
        with connection.cursor(name="raw") as cursor:
            cursor.itersize = 1000
            cursor.execute(sql)
            return sum(row[0] for row in cursor)
    from pymysql.cursors import SSCursor

    with connection.cursor(SSCursor) as cursor:
        cursor.execute(sql)
        return sum(row[0] for row in cursor)


def named_sum(contender: Contender, connection: Any, statement: Any) -> int:
    """Read the column by its name."""
    with contender.stream(connection, statement) as rows:
        return sum(row.id for row in rows)
