"""Starts the programs of `ending`, and tells how they ended."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

from tests.beside import Beside
from tests.load.ending import CASES, CODE
from tests.servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Seconds that a program may take from the end of its work to its own.
LIMIT = 5.0
#: Seconds after which it hangs.
HANGS = 15.0


class Ended(NamedTuple):
    """How a program ended; `seconds` after its work was over."""

    case: str
    code: int | None
    said: str
    seconds: float

    def faults(self) -> Iterator[str]:
        """Say what breaks the rule: row F18 of the fault matrix."""
        if self.code is None:
            yield f"{self.case}: did not end in {HANGS:.0f} s; {self.said}"
        elif (self.code, self.said) != (CODE, ""):
            yield f"{self.case}: exit code {self.code}, said {self.said!r}"
        elif self.seconds > LIMIT:
            yield f"{self.case}: took {self.seconds:.1f} s"


def end(url: str, cases: Sequence[str], *, beside: int = 3) -> list[Ended]:
    """Run programs, a few beside each other."""
    ends: list[Ended] = []
    for first in range(0, len(cases), beside):
        besides = [Beside(_end, url, case) for case in cases[first : first + beside]]
        ends += [each.result() for each in besides]
    return ends


def _end(url: str, case: str) -> Ended:
    command = [sys.executable, "-m", "tests.load.ending", case]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, cwd=ROOT
    ) as program:
        try:
            over, said = program.communicate(url, timeout=HANGS)
        except subprocess.TimeoutExpired:
            program.kill()
            return Ended(case, None, "".join(program.communicate()), HANGS)
        now = time.monotonic()
    if not over:
        return Ended(case, program.returncode, said, 0.0)
    return Ended(case, program.returncode, said, now - float(over))


def told(ends: Sequence[Ended]) -> str:
    """The figures, in a line."""
    slowest = max(ends, key=lambda ended: ended.seconds)
    bad = sum(any(ended.faults()) for ended in ends)
    return (
        f"{len(ends)} exits of {len(CASES)} sorts, {bad} bad; "
        f"the slowest took {slowest.seconds:.2f} s ({slowest.case})"
    )
