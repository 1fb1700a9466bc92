"""From `import` to a first engine, and to a first statement, in a fresh interpreter; absolute."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING

from bench.databases import has_sqlalchemy
from bench.harness import RAW, Case, Cell, Line, in_turn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.databases import Bench

BARE = "pass"
RAW_ENGINE = "import sqlite3; sqlite3.connect(':memory:')"
PLAINSQL = "from plainsql import create_engine, text; engine = create_engine('sqlite://')"
PLAINSQL_SESSION = (
    "from plainsql import Session, create_engine, text; engine = create_engine('sqlite://')"
)
CORE = "from sqlalchemy import create_engine, text; engine = create_engine('sqlite://')"
ORM = f"{CORE}; from sqlalchemy.orm import Session"
BY_CONNECTION = "; c = engine.connect(); assert c.execute(text('SELECT 1')).scalar() == 1"
BY_SESSION = "; c = Session(engine); assert c.execute(text('SELECT 1')).scalar() == 1"

ENGINES = {
    RAW: RAW_ENGINE,
    "plainsql": PLAINSQL,
    "plainsql Session": PLAINSQL_SESSION,
    "SQLAlchemy Core": CORE,
    "SQLAlchemy Session": ORM,
}
STATEMENTS = {
    RAW: f"{RAW_ENGINE}.execute('SELECT 1').fetchone()",
    "plainsql": PLAINSQL + BY_CONNECTION,
    "plainsql Session": PLAINSQL_SESSION + BY_SESSION,
    "SQLAlchemy Core": CORE + BY_CONNECTION,
    "SQLAlchemy Session": ORM + BY_SESSION,
}
CHILD = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"


class Imports(Case):
    name = "import"
    unit = "ms"
    kinds = ("sqlite",)
    rounds = 15

    def lines(self, bench: Bench, rounds: int | None) -> list[Line]:
        del bench
        rounds = rounds or self.rounds
        return [
            Line("import, first engine", "ms", _measure(ENGINES, rounds), 25.0),
            Line("import, first statement", "ms", _measure(STATEMENTS, rounds)),
        ]


def _measure(programs: Mapping[str, str], rounds: int) -> dict[str, Cell]:
    names = [name for name in programs if has_sqlalchemy() or "SQLAlchemy" not in name]
    times: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        _milliseconds(programs[name])  # writes what is compiled, and fails before it counts
    for number in range(rounds):
        for name in in_turn(names, number):
            times[name].append(_milliseconds(programs[name]))
    return {name: Cell(statistics.median(taken)) for name, taken in times.items()}


def _milliseconds(program: str) -> float:
    """Time within the interpreter: its own start, the same for all, is left out."""
    words = [sys.executable, "-c", CHILD.format(program)]
    written = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(words, check=True, capture_output=True, text=True, env=written)
    return float(done.stdout) * 1e3
