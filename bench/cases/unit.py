"""A whole unit of work: take a connection, begin, select one row by key, roll back, return it."""

from __future__ import annotations

from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from bench.cases.point import SQL
from bench.harness import RAW, Case

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.databases import Bench
    from bench.harness import Run


class Unit(Case):
    name = "unit"
    rounds = 25
    goals = {"sqlite": 2.0}

    def runs(self, bench: Bench) -> dict[str, Run]:
        pool: SimpleQueue[Any] = SimpleQueue()
        pool.put(bench.raw())
        raw = {"sqlite": _by_sqlite3, "postgresql": _by_psycopg}.get(bench.kind, _by_pymysql)
        runs = {RAW: raw(pool, bench.native(SQL), bench.size)}
        for contender in bench.contenders:
            runs[contender.name] = _by_name(contender.connect, contender.text(SQL), bench.size)
        return runs


def _by_sqlite3(pool: SimpleQueue[Any], sql: str, size: int) -> Run:
    def run(times: int) -> Any:
        for number in range(times):
            connection = pool.get()
            connection.execute("BEGIN")
            row = connection.execute(sql, (number % size + 1,)).fetchone()
            connection.execute("ROLLBACK")
            pool.put(connection)
            seen = row[1], row[3]
        return seen

    return run


def _by_psycopg(pool: SimpleQueue[Any], sql: str, size: int) -> Run:
    def run(times: int) -> Any:
        for number in range(times):
            connection = pool.get()
            row = connection.execute(sql, (number % size + 1,)).fetchone()  # begins by itself
            connection.rollback()
            pool.put(connection)
            seen = row[1], row[3]
        return seen

    return run


def _by_pymysql(pool: SimpleQueue[Any], sql: str, size: int) -> Run:
    def run(times: int) -> Any:
        for number in range(times):
            connection = pool.get()
            connection.begin()
            with connection.cursor() as cursor:
                cursor.execute(sql, (number % size + 1,))
                row = cursor.fetchone()
            connection.rollback()
            pool.put(connection)
            seen = row[1], row[3]
        return seen

    return run


def _by_name(connect: Callable[[], Any], statement: Any, size: int) -> Run:
    def run(times: int) -> Any:
        for number in range(times):
            with connect() as connection:
                row = connection.execute(statement, {"id": number % size + 1}).one()
            seen = row.name, row.made
        return seen

    return run
