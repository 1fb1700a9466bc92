"""Peak memory of streaming 1 000 000 rows above idle; absolute, one process per contender."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from bench.cases.stream import named_sum, raw_sum
from bench.databases import COLUMNS, COPIES, ROWS, Bench
from bench.harness import RAW, Case, Cell, Line
from tests.memory import HAS_RESIDENT, MIB, resident, traced

if TYPE_CHECKING:
    from collections.abc import Callable

SQL = f"SELECT {COLUMNS} FROM {ROWS} CROSS JOIN {COPIES}"
WARM = f"SELECT {COLUMNS} FROM {ROWS} LIMIT 3000"
CACHE = f"SELECT count(ratio) FROM {ROWS}"

CHILD = "import sys; from bench.cases.memory import main; main(*sys.argv[1:])"


class Memory(Case):
    name = "memory"
    unit = "MiB"

    def lines(self, bench: Bench, rounds: int | None) -> list[Line]:
        del rounds
        names = [RAW, *(contender.name for contender in bench.contenders)]
        cells = {name: Cell(_in_child(bench, name)) for name in names}
        return [Line(f"memory of stream, {bench.size * 10:,} rows", "MiB", cells, 4.0)]


def _in_child(bench: Bench, name: str) -> float:
    words = [sys.executable, "-c", CHILD, bench.kind, str(bench.size), name]
    # the URL goes by stdin, not past everybody's eyes
    done = subprocess.run(words, input=bench.url, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def main(kind: str, size: str, name: str) -> None:
    """Print the MiB that a contender's stream takes."""
    bench = Bench(kind, sys.stdin.read(), int(size))
    with ExitStack() as stack:
        bench.stack = stack
        stream = _streams(bench, name)
        stream(WARM)
        bench.run(CACHE)
        print(peak(lambda: _check(stream(SQL), bench.size)) / MIB)
    bench.close()


def _streams(bench: Bench, name: str) -> Callable[[str], int]:
    if name == RAW:
        raw = bench.hold_raw()
        raw_cursor = raw.cursor()
        raw_cursor.execute(CACHE)
        raw_cursor.close()
        return lambda sql: raw_sum(bench.kind, raw, sql)
    contender = next(one for one in bench.contenders if one.name == name)
    connection: Any = bench.hold(contender)
    connection.execute(contender.text(CACHE)).all()
    return lambda sql: named_sum(contender, connection, contender.text(sql))


def _check(total: int, size: int) -> None:
    assert total == 10 * size * (size + 1) // 2, total


def peak(work: Callable[[], None]) -> float:
    """Bytes of resident memory above what was there before; by tracemalloc where no /proc is."""
    with resident() if HAS_RESIDENT else traced() as taken:
        work()
    return taken.bytes
