"""From `:name` text and a mapping of two parameters to driver text and values; absolute.

A hit finds the statement in the cache, a miss meets a new text each time.  Raw is the floor: a
dictionary and an itemgetter, which check nothing.
"""

from __future__ import annotations

from itertools import count
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from bench.databases import has_sqlalchemy
from bench.harness import RAW, Case
from plainsql import text
from plainsql.cache import StatementCache

if TYPE_CHECKING:
    from bench.databases import Bench
    from bench.harness import Line, Run

SQL = "SELECT x, y FROM some_table WHERE x = :x AND y > :y ORDER BY x, y"
PARAMS = {"x": 3, "y": "four"}


class Prepare(Case):
    name = "prepare"

    def lines(self, bench: Bench, rounds: int | None) -> list[Line]:
        return [line for case in (Hit(), Miss()) for line in case.lines(bench, rounds)]


class Hit(Case):
    name = "prepare, hit"
    rounds = 25
    is_ratio = False
    goals = dict.fromkeys(Case.kinds, 0.6)

    def runs(self, bench: Bench) -> dict[str, Run]:
        runs = {RAW: _floor(bench), "plainsql": _plainsql(bench, fresh=False)}
        if has_sqlalchemy():
            runs["SQLAlchemy Core"] = _sqlalchemy(bench, fresh=False)
        return runs

    def witness(self, bench: Bench, run: Run) -> Any:
        sql, values = run(1)
        if isinstance(values, dict):  # SQLAlchemy hands psycopg a dictionary
            values = tuple(values[name] for name in ("x", "y"))
        return tuple(sql.split("WHERE")[0].split()), tuple(values)


class Miss(Hit):
    name = "prepare, miss"
    goals = {}

    def runs(self, bench: Bench) -> dict[str, Run]:
        runs = {RAW: _floor(bench), "plainsql": _plainsql(bench, fresh=True)}
        if has_sqlalchemy():
            runs["SQLAlchemy Core"] = _sqlalchemy(bench, fresh=True)
        return runs


def _floor(bench: Bench) -> Run:
    cache = {SQL: (bench.native(SQL), itemgetter("x", "y"))}

    def run(times: int) -> Any:
        for _ in range(times):
            sql, get = cache[SQL]
            values = get(PARAMS)
        return sql, values

    return run


def _plainsql(bench: Bench, *, fresh: bool) -> Run:
    """Do what `Connection.execute` does before it speaks to the driver."""
    cache = StatementCache(bench.engine.dialect, bench.engine.dialect.lexical)
    known, numbers = text(SQL), count()

    def run(times: int) -> Any:
        for _ in range(times):
            statement: Any = text(f"{SQL} -- {next(numbers)}") if fresh else known
            try:
                compiled = cache.entries[statement._key]  # noqa: SLF001
            except KeyError:
                compiled = cache.compile(statement)
            values = compiled.bind(PARAMS)
        return compiled.sql, values

    return run


def _sqlalchemy(bench: Bench, *, fresh: bool) -> Run:
    from sqlalchemy import create_mock_engine, text
    from sqlalchemy.util import LRUCache

    kind = {"mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}.get(bench.kind)
    url = f"{kind or {'postgresql': 'postgresql+psycopg'}.get(bench.kind, bench.kind)}://"
    dialect = create_mock_engine(url, lambda *_: None).dialect
    cache = LRUCache(500)
    known, numbers = text(SQL), count()

    def run(times: int) -> Any:
        for _ in range(times):
            statement = text(f"{SQL} -- {next(numbers)}") if fresh else known
            # what Connection.execute calls; there is no public way to the cache
            compiled, extracted, *_ = statement._compile_w_cache(  # noqa: SLF001
                dialect=dialect, compiled_cache=cache, column_keys=["x", "y"]
            )
            values = compiled.construct_params(PARAMS, extracted_parameters=extracted)
            if compiled.positional:
                values = [values[name] for name in compiled.positiontup]
        return str(compiled), values

    return run
