"""What ran on which database: the table test × database, and the verdict on required databases.

Pure bookkeeping; `conftest.py` feeds it and prints it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from tests.servers import Server

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

_SIGNS = {"passed": "", "failed": " failed", "skipped": " skipped", "missing": " not run"}


def without_kind(nodeid: str, kind: str) -> str:
    """The test's id as it is the same on every database."""
    return re.sub(rf"(?<=[\[-]){kind}(?=[\]-])", "*", nodeid, count=1)


class Tally:
    """Which test ended how on which database."""

    def __init__(self, kinds: Sequence[str]) -> None:
        self._kinds = kinds
        self._ends: dict[str, dict[str, str]] = defaultdict(dict)
        self._only_on: dict[str, Collection[str]] = {}

    def expect(self, nodeid: str, kind: str, only_on: Collection[str]) -> None:
        """Note that this test was collected for that kind."""
        test = without_kind(nodeid, kind)
        self._ends[test].setdefault(kind, "missing")
        self._only_on[test] = only_on

    def note(self, nodeid: str, kind: str, outcome: str) -> None:
        """Note one phase of a test; a failure in any phase counts as the test's end."""
        ends = self._ends[without_kind(nodeid, kind)]
        if ends.get(kind) != "failed":
            ends[kind] = outcome

    def faults(self, required: Collection[str]) -> Iterator[str]:
        """Say what was required and did not run; what failed has failed the session already."""
        for kind in required:
            if not any(kind in ends for ends in self._ends.values()):
                yield f"{kind} is required, but no test was collected for it"
        for test, ends in sorted(self._ends.items()):
            for kind in required:
                end = ends.get(kind, "missing")
                if end in {"missing", "skipped"} and kind in self._only_on.get(test, ()):
                    yield f"{kind} is required, but {test} was {_SIGNS[end].strip()} there"

    def table(self, *, by_file: bool) -> Iterator[str]:
        """One line per test function (or file): how many of its cases ended how, where."""
        rows: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
        for test, ends in self._ends.items():
            name = test.partition("::")[0] if by_file else test.partition("[")[0]
            for kind in self._kinds:
                if kind in self._only_on.get(test, self._kinds):
                    rows[name][kind][ends.get(kind, "missing")] += 1
        if not rows:
            return
        cells = {name: [_cell(row[kind]) for kind in self._kinds] for name, row in rows.items()}
        yield from _aligned([("test", list(self._kinds)), *sorted(cells.items())])


def _cell(ends: Mapping[str, int]) -> str:
    if not ends:
        return "-"
    return ", ".join(f"{ends[end]}{sign}" for end, sign in _SIGNS.items() if ends.get(end))


def _aligned(rows: Sequence[tuple[str, list[str]]]) -> Iterator[str]:
    width = max(len(name) for name, _ in rows)
    columns = [max(map(len, column)) for column in zip(*(cells for _, cells in rows), strict=True)]
    for name, cells in rows:
        padded = (cell.rjust(size) for cell, size in zip(cells, columns, strict=True))
        yield f"{name.ljust(width)}  {'  '.join(padded)}".rstrip()


def describe(kind: str, found: Server | Exception) -> str:
    """One line on a database: its own version, or why there is none."""
    if isinstance(found, Server):
        return f"{kind:<11} {found.version} ({found.source})"
    return f"{kind:<11} NOT TESTED: {found}"
