"""The pool's book: who has which place, who waits, what must be closed.

Floor 2: pure.  No lock, no clock, no I/O: the shell calls it with its lock held, brings the time,
and acts outside the lock.  A place is counted from before its connection is opened until it is
given up; waiters are served first come, first served, by direct hand-over.

The truth is what stands in the places: `slot.claim`, `slot.raw` and `slot.closed`, each changed by
one assignment.  The lists beside them are made to agree with it by `abandon`, so that an interrupt
between any two lines loses nothing; `is_torn` tells others of it who come before that.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from plainsql.errors import PoolClosed

if TYPE_CHECKING:
    from types import CodeType

FOREVER: Final = float("inf")


class Wakes(Protocol):
    """What one who waits sleeps on; it may be woken twice."""

    def wake(self) -> None:
        """Wake it."""


class Claim:
    """One who asks for a connection: waits, then holds a place, then has given it back.

    `slot` is its place as soon as it was assigned one, `error` why it never will be.  `cell` is
    what it sleeps on while it waits.  `user` refers, weakly, to what the user has of it.  The rest
    tells who it is: `owner` refers, weakly, to the thread or task, `code` and `step` are where it
    asked, `stack` how it came there; `told`: it was logged that it holds its place for long.
    """

    slot: Slot | None = None
    error: BaseException | None = None
    cell: Wakes | None = None
    user: Any = None
    owner: Any = None
    code: CodeType | None = None
    step: int = 0
    stack: str = ""
    told: bool = False


class Slot:
    """A place in the pool and the connection in it.

    `raw` is the shell's, None while connecting; `claim` is who holds it, None while idle.  Times
    are monotonic seconds.  `epoch` is the pool's when the connection was last known to be good.
    """

    __slots__ = ("claim", "closed", "epoch", "expires", "raw", "released", "taken")

    def __init__(self, claim: Claim, now: float) -> None:
        self.claim: Claim | None = claim
        self.raw: Any = None
        self.closed = False
        self.taken = self.released = now
        self.expires = FOREVER
        self.epoch = 0


class PoolStatus:
    """A snapshot of a pool: sizes now, and counters since the pool began.

    It begins anew in a child process, and in another loop without `dispose()` before.
    """

    __slots__ = (
        "busy", "checkouts", "closed", "connecting", "handoffs", "idle", "max", "opened", "size",
        "timeouts", "waiting",
    )  # fmt: skip

    def __init__(self, ledger: Ledger) -> None:
        self.size = ledger.size
        self.max = ledger.max
        self.idle = len(ledger.idle)
        slots = ledger.slots.copy()  # in asyncio another thread may ask, and there is no lock
        self.connecting = sum(slot.raw is None for slot in slots)
        self.busy = max(0, len(slots) - self.idle - self.connecting)
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

    `max_overflow` -1 sets no limit.  The shell has to close what is in `stale`, politely, and in
    `doubtful`, without any protocol.
    """

    def __init__(self, size: int, max_overflow: int) -> None:
        self.size = size
        self.max: float = FOREVER if max_overflow < 0 else size + max_overflow
        self.slots: set[Slot] = set()
        self.idle: list[Slot] = []
        self.waiters: deque[Claim] = deque()
        self.stale: list[Slot] = []
        self.doubtful: list[Slot] = []
        self.epoch = 0
        self.is_closed = False
        self.is_torn = False  # the queue and the places may disagree
        self.checkouts = self.handoffs = self.opened_count = self.closed_count = self.timeouts = 0

    # -- take ----------------------------------------------------------------------------------

    def take(self, claim: Claim, now: float) -> Slot | None:
        """Return the youngest idle place, or a new one to connect in, or None: wait.

        A newcomer never passes a queue.  `PoolClosed` after `close()`.
        """
        if self.is_closed:
            self.require_open()
        self.checkouts += 1
        if self.waiters:
            self.waiters.append(claim)
            return None
        idle = self.idle
        while idle:
            slot = idle.pop()
            if slot.expires > now:
                slot.claim = claim
                slot.taken = now
                claim.slot = slot
                return slot
            self._retire(slot, self.stale)
        if len(self.slots) < self.max:
            return self._reserve(claim, now)
        self.waiters.append(claim)
        return None

    def require_open(self) -> None:
        """`PoolClosed` after `close()`."""
        if self.is_closed:
            raise PoolClosed("the pool is closed")

    def _reserve(self, claim: Claim, now: float) -> Slot:
        slot = Slot(claim, now)
        self.slots.add(slot)
        claim.slot = slot
        return slot

    def opened(self, slot: Slot, raw: Any, now: float, lifetime: float) -> None:
        """Note that the connection of a reserved place stands; `lifetime` < 0 is for ever."""
        if slot.raw is not None or slot.claim is None:
            raise ValueError("bug: a connection is opened in a place that is not reserved")
        slot.taken = slot.released = now
        slot.epoch = self.epoch
        if lifetime >= 0:
            slot.expires = min(slot.expires, now + lifetime)
        slot.raw = raw
        self.opened_count += 1

    def reopen(self, slot: Slot) -> None:
        """Note that a held place lost its connection and gets another one, keeping its place."""
        if slot.raw is None or slot.claim is None:
            raise ValueError("bug: a connection is opened again in a place that holds none")
        slot.raw = None
        slot.expires = FOREVER
        self.closed_count += 1

    def bequeath(self, claim: Claim, heir: Claim) -> None:
        """Let `heir` hold what `claim` holds."""
        slot = claim.slot
        if slot is not None and slot.claim is claim:
            heir.slot, heir.owner = slot, claim.owner
            heir.code, heir.step = claim.code, claim.step
            slot.claim = heir

    # -- give back -----------------------------------------------------------------------------

    def release(self, claim: Claim, now: float) -> None:
        """Take a clean connection back, for the first who waits; nothing if it was given up.

        What is too old, or one idle too many, goes to `stale`, and its place to who waits.
        """
        slot = claim.slot
        if slot is None or slot.claim is not claim or slot.closed:
            return
        if self.is_torn:
            self._mend()
        slot.released = now
        if slot.expires <= now or self.is_closed:
            self._retire(slot, self.stale)
            self._serve(now)
        elif self.waiters:
            self._assign(slot, now)
        elif len(self.idle) >= self.size:
            self._retire(slot, self.stale)
        else:
            slot.claim = None
            self.idle.append(slot)

    def abandon(self, claim: Claim, now: float, *, unused: bool = False) -> None:
        """Give up whatever a claim has: its turn in the queue, or its place, and what is in it.

        To be called after any exception, wherever it was raised; that it is called twice, or for
        a claim that has nothing, is no harm.  A connection that the claim had not looked at yet
        is as good as before, and goes to the next: `unused`.
        """
        self._mend()
        with suppress(ValueError):  # it does not wait
            self.waiters.remove(claim)
        for slot in [slot for slot in self.slots if slot.claim is claim]:
            if unused and slot.raw is not None:
                self.release(claim, now)
            else:
                self._retire(slot, self.doubtful)
        self._serve(now)

    def _retire(self, slot: Slot, closing: list[Slot]) -> None:
        slot.closed = True
        if slot.raw is not None:
            self.closed_count += 1
            closing.append(slot)
        self.slots.discard(slot)
        slot.claim = None  # or the two would be a cycle, and garbage for long

    def _serve(self, now: float) -> None:
        """Let those who wait have what is free."""
        while self.waiters:
            if self.idle:
                self._assign(self.idle.pop(), now)
            elif len(self.slots) < self.max:
                self.is_torn = True
                self._assign(self._reserve(self.waiters[0], now), now)
            else:
                return

    def _assign(self, slot: Slot, now: float) -> None:
        claim = self.waiters[0]
        self.is_torn = True
        slot.claim = claim
        claim.slot = slot
        slot.taken = now
        self.waiters.popleft()
        self.is_torn = False
        self.handoffs += 1
        _wake(claim)

    def _mend(self) -> None:
        """Make the lists agree with the places, and wake who may not have been.

        Needed after an exception that may have come between any two lines here.
        """
        for slot in self.slots:
            claim = slot.claim
            if not slot.closed:
                if claim is not None:
                    claim.slot = slot
            elif slot.raw is not None and slot not in self.stale and slot not in self.doubtful:
                self.doubtful.append(slot)
        self.slots = {slot for slot in self.slots if not slot.closed}
        idle = [slot for slot in self.slots if slot.claim is None]
        self.idle = sorted(idle, key=lambda slot: slot.released)
        holding = {slot.claim for slot in self.slots if slot.claim is not None}
        waiters = self.waiters
        while waiters and (waiters[0].error is not None or waiters[0] in holding):
            _wake(waiters[0])
            waiters.popleft()  # whoever is served, or fails, is the first of those that are left
        for claim in holding:  # each may not have been woken
            _wake(claim)
        self.is_torn = False

    # -- wait ----------------------------------------------------------------------------------

    def leave(self, claim: Claim) -> None:
        """Take a claim that waited in vain out of the queue, unless it was served meanwhile."""
        if self.is_torn:
            self._mend()
        if claim.slot is None and claim.error is None:
            self.waiters.remove(claim)

    def fail_waiters(self, error: BaseException) -> None:
        """Let all who wait fail at once."""
        if self.is_torn:
            self._mend()
        self.is_torn = True
        for claim in self.waiters:
            claim.error = error
            _wake(claim)
        self.waiters.clear()
        self.is_torn = False

    # -- the whole pool ------------------------------------------------------------------------

    def suspect(self) -> None:
        """Doubt every connection that was opened or asked before now."""
        self.epoch += 1

    def empty(self) -> None:
        """Give up all idle places, and the others when they come back."""
        while self.idle:
            self._retire(self.idle.pop(), self.stale)
        for slot in self.slots:
            slot.expires = 0.0

    def close(self) -> None:
        """Close for ever; all who wait fail."""
        self.is_closed = True
        self.empty()
        self.fail_waiters(PoolClosed("the pool was closed"))

    def forget(self) -> list[Slot]:
        """Forget all places and waiters, which belong to another process or event loop."""
        slots = [*self.slots, *self.stale, *self.doubtful]
        for slot in slots:
            slot.closed = True
        self.slots.clear()
        for entries in (self.idle, self.waiters, self.stale, self.doubtful):
            entries.clear()
        return slots

    def holders(self) -> list[tuple[Slot, Claim]]:
        """Return the busy places and who holds them, longest first."""
        slots = sorted(self.slots, key=lambda slot: slot.taken)
        return [(slot, slot.claim) for slot in slots if slot.claim and slot.raw is not None]

    def status(self) -> PoolStatus:
        """Return a snapshot."""
        return PoolStatus(self)


def _wake(claim: Claim) -> None:
    cell = claim.cell  # looked at once: its thread may have woken, and gives it up without a lock
    if cell is not None:
        cell.wake()
