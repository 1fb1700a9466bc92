"""Times contenders in turns and sets each against the raw driver of the same round.

A case says what is done (`Case.runs`); here is when, how often, and what the figures mean.
Rounds go A B C, B C A, …, the cyclic collector runs before every sample and stays on during it,
and nothing is timed before all contenders were seen to do the same.
"""

from __future__ import annotations

import gc
import statistics
from contextlib import ExitStack
from time import perf_counter
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.databases import Bench

    Run = Callable[[int], Any]  # does the thing so many times and returns what came last

RAW = "raw"
NAMES = (RAW, "plainsql", "plainsql Session", "SQLAlchemy Core", "SQLAlchemy Session")
SAMPLE = 0.02  # seconds at least, each contender's
UNITS = {"us": 1e6, "ms": 1e3}


class Cell(NamedTuple):
    """One figure: in the unit of its line, and as a ratio to the raw driver if that means much."""

    value: float
    ratio: float | None = None


class Line(NamedTuple):
    """One line of the table; `goal` is plainsql's, in the figure that is shown."""

    label: str
    unit: str
    cells: Mapping[str, Cell]
    goal: float | None = None


class Case:
    """What is measured; a file of `bench.cases` each."""

    name = ""
    unit = "us"
    kinds: Sequence[str] = ("sqlite", "postgresql", "mysql", "mariadb")
    rounds = 15
    is_ratio = True
    goals: ClassVar[Mapping[str, float]] = {}

    def runs(self, bench: Bench) -> dict[str, Run]:
        """One function per contender that is here; opens what they need by `bench.enter`."""
        raise NotImplementedError

    def witness(self, bench: Bench, run: Run) -> Any:
        """What shows that a contender did the thing; equal for all."""
        del bench
        return run(1)

    def clean(self, bench: Bench) -> None:
        """Undo what a sample left behind; not timed."""

    def lines(self, bench: Bench, rounds: int | None) -> list[Line]:
        """Measure, and give the lines of the table."""
        with ExitStack() as stack:
            bench.stack = stack
            runs = self.runs(bench)
            self._verify(bench, runs)
            gc.collect()
            gc.freeze()  # what one contender brought along must not burden the others' collections
            operations = {name: self._calibrate(bench, run) for name, run in runs.items()}
            times = self._interleave(bench, runs, operations, rounds or self.rounds)
        cells = {name: self._cell(seconds, times[RAW]) for name, seconds in times.items()}
        return [Line(self.name, self.unit, cells, self.goals.get(bench.kind))]

    def _verify(self, bench: Bench, runs: Mapping[str, Run]) -> None:
        """Let each do it once before anything is timed; also warms caches up."""
        expected = None
        for name, run in runs.items():
            seen = self.witness(bench, run)
            self.clean(bench)
            if name == RAW:
                expected = seen
            if seen is None or seen != expected:
                raise AssertionError(
                    f"{self.name} on {bench.kind}: {name} gives {seen!r:.300}, "
                    f"the raw driver {expected!r:.300}"
                )

    def _calibrate(self, bench: Bench, run: Run) -> int:
        """So many operations that a sample is long enough to trust; warms up on the way."""
        operations = 1
        while True:
            started = perf_counter()
            run(operations)
            elapsed = perf_counter() - started
            self.clean(bench)
            if elapsed >= SAMPLE:
                return operations
            operations *= 2

    def _interleave(
        self, bench: Bench, runs: Mapping[str, Run], operations: Mapping[str, int], rounds: int
    ) -> dict[str, list[float]]:
        times: dict[str, list[float]] = {name: [] for name in runs}
        for number in range(rounds):
            for name in in_turn(list(runs), number):
                times[name].append(sample(runs[name], operations[name]))
                self.clean(bench)
        return times

    def _cell(self, seconds: Sequence[float], raw: Sequence[float]) -> Cell:
        value = statistics.median(seconds) * UNITS[self.unit]
        if not self.is_ratio:
            return Cell(value)
        return Cell(value, statistics.median(a / b for a, b in zip(seconds, raw, strict=True)))


def in_turn(names: list[str], number: int) -> list[str]:
    """The names, beginning with another one in every round."""
    first = number % len(names)
    return names[first:] + names[:first]


def sample(run: Run, operations: int) -> float:
    """Seconds per operation; what it returns is freed before the clock stops."""
    gc.collect()
    started = perf_counter()
    run(operations)
    return (perf_counter() - started) / operations


# -- the table ----------------------------------------------------------------------------------


def table(lines: Sequence[Line]) -> str:
    """Markdown: the raw driver's own figure, and what the others take of it."""
    shown = [name for name in NAMES if any(name in line.cells for line in lines)]
    rows = [["case", *shown, "goal"], ["---"] * (len(shown) + 2)]
    rows += [[line.label, *(_cell(line, name) for name in shown), _goal(line)] for line in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(line: Line, name: str) -> str:
    cell = line.cells.get(name)
    if cell is None:
        return "–"
    absolute = f"{_number(cell.value)} {line.unit}"
    if cell.ratio is None or name == RAW:
        return absolute
    return f"{cell.ratio:.2f} ({absolute})"


def _goal(line: Line) -> str:
    if line.goal is None:
        return ""
    cell = line.cells[NAMES[1]]
    reached = (cell.value if cell.ratio is None else cell.ratio) <= line.goal
    unit = f" {line.unit}" if cell.ratio is None else ""
    return f"≤ {line.goal:g}{unit} {'✓' if reached else '✗'}"


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) >= 0.01 else f"{value:.3f}"
