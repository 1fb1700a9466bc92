"""What the workers of a storm did: each its turns, and how long it waited for them; the rule.

Pure bookkeeping.  `tests/_async/storming.py` fills it in, with threads or with tasks.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: How many turns the busiest worker may have for each of the least busy one's.
RATIO = 1.5
#: How many times as long as in a fair queue a worker may wait, and let others pass.
QUEUES = 3


class Storm:
    """Many workers, few places: who had how many turns, and who waited how long.

    It is counted from when every worker had a turn, so that neither their start nor the first
    connects are in it.  `hold` is what a worker is to hold a connection for; what it did hold
    it for, on a machine that is busy, is measured.
    """

    def __init__(self, workers: int, places: int, hold: float) -> None:
        self.workers = workers
        self.places = places
        self.hold = hold
        self.seconds = 0.0
        self.is_over = False
        self.taken = 0
        self._counts = False
        self._had: set[int] = set()
        self._waits: list[list[float]] = [[] for _ in range(workers)]
        self._passed: list[int] = []
        self._held: list[float] = []
        self.errors: list[BaseException] = []

    # -- what happens --------------------------------------------------------------------------

    def note(self, worker: int, asked: float, begun: float, over: float, passed: int) -> None:
        """Note a turn by its moments, and how many others began theirs while it was waited for."""
        self._had.add(worker)
        if self._counts:
            self._waits[worker].append(begun - asked)
            self._passed.append(passed)
            self._held.append(over - begun)

    def has_begun(self) -> bool:
        """Tell whether every worker had a turn, or will have none for an error."""
        return len(self._had) + len(self.errors) >= self.workers

    def count(self) -> None:
        """Count from now on."""
        self._counts = True

    def end(self, seconds: float) -> None:
        """Count no longer; that was so many seconds, and the workers may go."""
        self._counts, self.is_over, self.seconds = False, True, seconds

    # -- what came of it -----------------------------------------------------------------------

    @property
    def turns(self) -> list[int]:
        """How many turns each worker had."""
        return [len(waits) for waits in self._waits]

    @property
    def held(self) -> float:
        """How long a connection was held, in the mean."""
        return max(self.hold, sum(self._held) / max(1, len(self._held)))

    @property
    def queue(self) -> float:
        """How long a fair queue lets each wait: until all the others had their turn."""
        return self.workers / self.places * self.held

    def wait(self, percent: float) -> float:
        """That percentile of the waits."""
        return percentile(list(chain.from_iterable(self._waits)), percent)

    @property
    def passed(self) -> float:
        """The 99th percentile of how many others passed while one waited."""
        return percentile(self._passed, 99)

    def faults(self, *, percent: float = 99, ratio: float = RATIO) -> Iterator[str]:
        """Say what breaks the rule: row F2 of the fault matrix.

        How many pass one who waits is the queue's own; times, and turns in a time, are the
        machine's, too.  Where it is busy and the storm is short, each worker waits once for one
        that stops for a tenth of a second, and who held a connection just then has fewer turns.
        """
        for error in self.errors[:3]:
            yield f"{len(self.errors)} errors, such as {error!r}"
        least, most = min(self.turns), max(self.turns)
        # where there are few turns each, the clock stops between one worker's and the next one's
        if most > ratio * least and most - least > 1:
            yield f"one worker had {least} turns, another one {most}"
        if self.passed > QUEUES * self.workers:
            yield f"up to {self.passed} others passed one of {self.workers}"
        if self.wait(percent) > QUEUES * self.queue:
            waited = f"{percent:g} % waited up to {self.wait(percent):.3f} s"
            yield f"{waited}, and a fair queue is {self.queue:.3f} s"

    def __str__(self) -> str:
        least, most = min(self.turns), max(self.turns)
        ratio = f"{most / least:.2f}" if least else "∞"
        return (
            f"{self.workers} on {self.places}: {sum(self.turns)} turns in {self.seconds:.1f} s, "
            f"{least}…{most} each ({ratio}), {len(self.errors)} errors; waits in ms: "
            f"median {1000 * self.wait(50):.1f}, p99 {1000 * self.wait(99):.1f}, "
            f"longest {1000 * self.wait(100):.1f}; held {1000 * self.held:.2f}, "
            f"so {QUEUES} queues are {1000 * QUEUES * self.queue:.0f} "
            f"({1000 * QUEUES * self.workers / self.places * self.hold:.0f} as planned); "
            f"passed by {self.passed:.0f}"
        )


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that so many per cent of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
