"""The pool's book: who has which place, who waits, what must be closed.

Floor 2: pure.  No lock, no clock, no I/O: the shell calls it with its lock held, brings the time,
and acts outside the lock.  A place is counted from before its connection is opened until it is
given up; waiters are served first come, first served, by direct hand-over.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from plainsql.errors import PoolClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONNECTING: Final = "connecting"
IDLE: Final = "idle"
BUSY: Final = "busy"
CLOSED: Final = "closed"

WAITING: Final = "waiting"
ASSIGNED: Final = "assigned"
ABANDONED: Final = "abandoned"
FAILED: Final = "failed"

FOREVER: Final = float("inf")


class Slot:
    """A place in the pool and the connection in it.

    `raw` is the shell's, None while connecting; `holder` is whatever tells who took it.  Times
    are monotonic seconds.  `epoch` is the pool's when the connection was last known to be good.
    """

    __slots__ = ("born", "epoch", "expires", "holder", "raw", "released", "state", "taken")

    def __init__(self) -> None:
        self.raw: Any = None
        self.state: str = CONNECTING
        self.born = self.released = self.taken = 0.0
        self.expires = FOREVER
        self.epoch = 0
        self.holder: Any = None


class Waiter:
    """One who waits for a place: waiting, then assigned, abandoned or failed; never back.

    `wake` is called by the shell, outside the lock, after the state has changed.
    """

    __slots__ = ("error", "slot", "state", "wake")

    def __init__(self, wake: Callable[[], None]) -> None:
        self.state: str = WAITING
        self.slot: Slot | None = None
        self.error: BaseException | None = None
        self.wake = wake


class PoolStatus:
    """A snapshot of a pool: sizes now, and counters since the engine was made."""

    __slots__ = (
        "busy", "checkouts", "closed", "connecting", "handoffs", "idle", "max", "opened", "size",
        "timeouts", "waiting",
    )  # fmt: skip

    def __init__(self, ledger: Ledger) -> None:
        self.size = ledger.size
        self.max = ledger.max
        self.idle = len(ledger.idle)
        self.connecting = sum(slot.state == CONNECTING for slot in ledger.slots)
        self.busy = len(ledger.slots) - self.idle - self.connecting
        self.waiting = len(ledger.waiters)
        self.checkouts = ledger.checkouts
        self.handoffs = ledger.handoffs
        self.opened = ledger.opened_count
        self.closed = ledger.closed_count
        self.timeouts = ledger.timeouts

    def __repr__(self) -> str:
        limit = "" if self.max == FOREVER else f" of {self.max:g}"
        return (
            f"<PoolStatus: {self.busy} busy, {self.idle} idle, {self.connecting} connecting"
            f"{limit}, {self.waiting} waiting>"
        )


class Ledger:
    """The book of one pool: at most `size + max_overflow` places, `size` of them kept idle.

    `max_overflow` -1 sets no limit.  `stale` holds what the shell has to close.
    """

    def __init__(self, size: int, max_overflow: int) -> None:
        self.size = size
        self.max: float = FOREVER if max_overflow < 0 else size + max_overflow
        self.slots: set[Slot] = set()
        self.idle: list[Slot] = []
        self.waiters: deque[Waiter] = deque()
        self.stale: list[Slot] = []
        self.epoch = 0
        self.is_closed = False
        self.checkouts = self.handoffs = self.opened_count = self.closed_count = self.timeouts = 0

    # -- take ----------------------------------------------------------------------------------

    def take(self, now: float) -> Slot | None:
        """Return the youngest idle place, or a new one to connect in, or None: wait.

        A newcomer never passes a queue.  `PoolClosed` after `close()`.
        """
        if self.is_closed:
            raise PoolClosed("the pool is closed")
        self.checkouts += 1
        if self.waiters:
            return None
        idle = self.idle
        while idle:
            slot = idle.pop()
            if slot.expires > now:
                slot.state = BUSY
                slot.taken = now
                return slot
            self._retire(slot)
        return self._reserve() if len(self.slots) < self.max else None

    def _reserve(self) -> Slot:
        slot = Slot()
        self.slots.add(slot)
        return slot

    def enqueue(self, waiter: Waiter) -> None:
        """Put a waiter at the end of the queue; a place that came free meanwhile is not lost.

        The shell calls it in the same locked step as the `take` that returned None.
        """
        self.waiters.append(waiter)

    def opened(self, slot: Slot, raw: Any, now: float, lifetime: float) -> None:
        """Note that the connection of a reserved place stands; `lifetime` < 0 is for ever."""
        self._require(slot, CONNECTING)
        slot.raw = raw
        slot.state = BUSY
        slot.born = slot.taken = slot.released = now
        if lifetime >= 0:
            slot.expires = min(slot.expires, now + lifetime)
        slot.epoch = self.epoch
        self.opened_count += 1

    def reopen(self, slot: Slot) -> None:
        """Note that a busy place lost its connection and opens another one, keeping its place."""
        self._require(slot, BUSY)
        slot.raw = None
        slot.expires = FOREVER
        slot.state = CONNECTING
        self.closed_count += 1

    # -- give back -----------------------------------------------------------------------------

    def release(self, slot: Slot, now: float) -> Waiter | None:
        """Take a clean connection back; return the waiter that it was handed to.

        What is too old, or one idle too many, goes to `stale`, and its place to the next waiter.
        """
        if slot.state != BUSY or slot not in self.slots:
            self._require(slot, BUSY)
        slot.released = now
        if slot.expires <= now or self.is_closed:
            return self._give_up(slot, stale=True)
        if self.waiters:
            slot.taken = now
            return self._assign(slot)
        if len(self.idle) >= self.size:
            return self._give_up(slot, stale=True)
        slot.state = IDLE
        self.idle.append(slot)
        return None

    def discard(self, slot: Slot) -> Waiter | None:
        """Give up the place of a doubtful connection, or of one that could not be opened.

        Returns the waiter that got the right to connect in its stead.
        """
        if slot not in self.slots or slot.state == IDLE:
            raise ValueError(f"bug: a place that is {slot.state} can not be given up here")
        return self._give_up(slot, stale=False)

    def _give_up(self, slot: Slot, *, stale: bool) -> Waiter | None:
        self._retire(slot, stale=stale)
        if self.waiters and len(self.slots) < self.max:
            return self._assign(self._reserve())
        return None

    def _retire(self, slot: Slot, *, stale: bool = True) -> None:
        self.slots.discard(slot)
        slot.state = CLOSED
        if slot.raw is not None:
            self.closed_count += 1
        if stale:
            self.stale.append(slot)

    def _assign(self, slot: Slot) -> Waiter:
        waiter = self.waiters.popleft()
        waiter.slot = slot
        waiter.state = ASSIGNED
        self.handoffs += 1
        return waiter

    def drain_stale(self) -> list[Slot]:
        """Return what must be closed, once."""
        stale, self.stale = self.stale, []
        return stale

    # -- wait ----------------------------------------------------------------------------------

    def abandon(self, waiter: Waiter) -> Slot | None:
        """Take a waiter out of the queue; return the place that it was assigned meanwhile."""
        if waiter.state == WAITING:
            self.waiters.remove(waiter)
            waiter.state = ABANDONED
        return waiter.slot

    def timed_out(self) -> None:
        """Count a waiter that waited in vain."""
        self.timeouts += 1

    def fail_waiters(self, error: BaseException) -> list[Waiter]:
        """Let all waiters fail at once; return them to be woken."""
        failed = list(self.waiters)
        self.waiters.clear()
        for waiter in failed:
            waiter.state = FAILED
            waiter.error = error
        return failed

    # -- the whole pool ------------------------------------------------------------------------

    def suspect(self) -> None:
        """Doubt every connection that was opened or asked before now."""
        self.epoch += 1

    def empty(self) -> list[Slot]:
        """Give up all idle places, and the others when they come back; return the idle ones."""
        idle, self.idle = self.idle, []
        for slot in idle:
            self._retire(slot, stale=False)
        for slot in self.slots:
            slot.expires = 0.0
        return idle

    def close(self) -> tuple[list[Slot], list[Waiter]]:
        """Close for ever; return the idle places to close and the waiters to wake."""
        self.is_closed = True
        return self.empty(), self.fail_waiters(PoolClosed("the pool was closed"))

    def forget(self) -> list[Slot]:
        """Forget all places and waiters, which belong to another process or event loop."""
        slots = [*self.slots, *self.drain_stale()]
        self.slots.clear()
        self.idle.clear()
        self.waiters.clear()
        return slots

    def holders(self) -> Iterator[Any]:
        """Yield the holders of the busy places, longest first."""
        for slot in sorted(self.slots, key=lambda slot: slot.taken):
            if slot.state == BUSY and slot.holder is not None:
                yield slot.holder

    def status(self) -> PoolStatus:
        """Return a snapshot."""
        return PoolStatus(self)

    def _require(self, slot: Slot, state: str) -> None:
        if slot not in self.slots:
            raise ValueError(f"bug: this place, {slot.state}, is not in the pool's book")
        if slot.state != state:
            raise ValueError(f"bug: this place is {slot.state} here, not {state}")
