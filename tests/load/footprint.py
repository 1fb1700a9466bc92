"""What a process takes up, and the rule for one that soaks: nothing may grow with the work.

Measured on Linux only.  `tests/_async/soaking.py` does the work, in a process of its own.
"""

from __future__ import annotations

import asyncio
import gc
import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.memory import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

STATUS = Path("/proc/self/status")
#: Bytes that resident memory may grow by, from the end of the warm-up to the last transaction.
GROWTH = 2 * MIB
#: Objects that the collector may know more at the end than after the warm-up.
OBJECTS = 200


class Footprint(NamedTuple):
    """What the process takes up once its garbage is collected; `resident` in bytes."""

    resident: int
    objects: int
    descriptors: int
    threads: int
    tasks: int


def footprint() -> Footprint:
    """Collect the garbage, and measure."""
    gc.collect()
    fields = dict(line.split(":", 1) for line in STATUS.read_text("utf-8").splitlines())
    return Footprint(
        resident=int(fields["VmRSS"].split()[0]) * 1024,
        objects=_objects(),
        descriptors=len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - without objects that count
        threads=int(fields["Threads"]),
        tasks=_tasks(),
    )


def _objects() -> int:
    """Count what the collector knows; sqlite3 keeps weak references to its last 200 cursors."""
    return sum(type(known) is not weakref.ReferenceType for known in gc.get_objects())


def _tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0  # no loop runs


class Soak(NamedTuple):
    """A run: before the engine was made, after each chunk since the warm-up, after its end."""

    before: Footprint
    after: Footprint
    samples: list[Footprint]
    transactions: int
    seconds: float
    lost: int

    @property
    def growth(self) -> float:
        """By how many bytes the resident memory grew: the slope of all samples, not of two."""
        return rise([sample.resident for sample in self.samples])

    @property
    def objects(self) -> int:
        """How many objects there were more at the end than after the warm-up, but for samples."""
        return self.samples[-1].objects - self.samples[0].objects - len(self.samples) + 1

    def faults(self) -> Iterator[str]:
        """Say what breaks the rule: suite J of the reliability page."""
        if self.lost:
            yield f"{self.lost} writes were lost"
        if self.growth > GROWTH:
            yield f"resident memory grew by {self.growth / MIB:.2f} MiB"
        if abs(self.objects) > OBJECTS:
            yield f"there are {self.objects} objects more"
        for what in ("descriptors", "threads", "tasks"):
            first, last = getattr(self.samples[0], what), getattr(self.samples[-1], what)
            if last > first:
                yield f"{what} grew at work: {first}, then {last}"
            first, last = getattr(self.before, what), getattr(self.after, what)
            if first != last:
                yield f"{what} before the engine {first}, after it {last}"

    def __str__(self) -> str:
        first, last = self.samples[0], self.samples[-1]
        return (
            f"{self.transactions} transactions in {self.seconds:.1f} s; resident "
            f"{first.resident / MIB:.2f} → {last.resident / MIB:.2f} MiB, "
            f"slope {self.growth / MIB:+.3f} MiB over {len(self.samples)} samples; "
            f"objects {self.objects:+d}; "
            + ", ".join(
                f"{what} {getattr(self.before, what)} → {getattr(last, what)} → "
                f"{getattr(self.after, what)}"
                for what in ("descriptors", "threads", "tasks")
            )
        )


def rise(values: list[int]) -> float:
    """By how much the line of least squares through the values rises, from first to last."""
    middle, mean = (len(values) - 1) / 2, sum(values) / len(values)
    spread = sum((x - middle) ** 2 for x in range(len(values)))
    slope = sum((x - middle) * (y - mean) for x, y in enumerate(values)) / spread
    return slope * (len(values) - 1)
