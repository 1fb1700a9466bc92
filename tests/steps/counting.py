"""How many steps were covered, and how many lines there were to cover."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.steps.tripwire import Step

    Line = tuple[str, int]


class Tally:
    """What walks on one ground came to; `whole` are those that left no step out."""

    def __init__(self) -> None:
        self.hits = self.on_io = 0
        self.traced: set[Line] = set()
        self.covered: set[Line] = set()
        self.missed: set[Line] = set()
        self.walks = 0

    def trace(self, steps: Iterable[Step]) -> None:
        """Note the lines of a run that nothing interrupted."""
        self.traced |= {(step.file, step.line) for step in steps}

    def hit(self, step: Step) -> None:
        """Note a step that was interrupted."""
        self.hits += 1
        self.on_io += step.io
        self.covered.add((step.file, step.line))

    def left_out(self, steps: Iterable[Step]) -> list[Line]:
        """Return the lines of those steps that were not hit."""
        return sorted({(step.file, step.line) for step in steps} - self.covered)

    def whole(self, steps: Iterable[Step]) -> None:
        """Note that a walk is said to have interrupted each of these."""
        self.walks += 1
        self.missed |= {(step.file, step.line) for step in steps} - self.covered

    def add(self, other: Tally) -> None:
        """Count in what another one counted."""
        self.hits += other.hits
        self.on_io += other.on_io
        self.walks += other.walks
        self.traced |= other.traced
        self.covered |= other.covered
        self.missed |= other.missed

    def fault(self) -> str | None:
        """Say why this does not count as a pass; walks that took a share are not judged."""
        if not self.walks:
            return None
        if self.missed:
            file, line = min(self.missed)
            return f"{len(self.missed)} lines were traced and not hit, such as {file}:{line}"
        if self.hits < len(self.traced):
            return f"{self.hits} steps were covered, of {len(self.traced)} lines that were traced"
        if not self.on_io:
            return "no step was on a line of I/O"
        return None

    def __str__(self) -> str:
        return (
            f"{self.hits} steps covered, {self.on_io} of them on a line of I/O; "
            f"{len(self.covered)} of {len(self.traced)} lines"
        )
