"""The most memory that a piece of work takes, above what was in use before; in bytes."""

from __future__ import annotations

import gc
import tracemalloc
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")
#: Whether resident memory can be measured here: on Linux.
HAS_RESIDENT = RESET.exists()
MIB = 1 << 20


class Peak:
    """What a `with` block took, once it is left."""

    bytes = 0


@contextmanager
def resident() -> Iterator[Peak]:
    """Measure the memory of the whole process, drivers in C included."""
    peak = Peak()
    gc.collect()
    RESET.write_text("5", "ascii")  # the high-water mark falls to what is in use
    before = _high_water()
    yield peak
    peak.bytes = _high_water() - before


@contextmanager
def traced() -> Iterator[Peak]:
    """Measure what Python allocates, also where the process had free memory before."""
    peak = Peak()
    gc.collect()
    tracemalloc.start()
    try:
        yield peak
        peak.bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _high_water() -> int:
    lines = STATUS.read_text("ascii").splitlines()
    line = next(line for line in lines if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
