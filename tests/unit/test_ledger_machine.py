"""The pool's book against a model: callers come and go, time passes, interrupts strike anywhere.

There are no threads here and the clock is the machine's.  `make model` looks twenty times longer.
An interrupt is an exception between any two lines of a ledger method.  Until its victim gives up
what it has, others go on with the book as it was left.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from plainsql import ledger as book
from plainsql.errors import PoolClosed
from plainsql.ledger import FOREVER, Claim, Ledger, Slot
from tests.unit.interrupting import Interrupt, interrupted_at

LIMITS = [(3, 1), (2, 0), (1, 2), (3, -1), (1, 0), (0, 2), (0, -1)]
EXAMPLES = {"model": 10_000}.get(settings.get_current_profile_name(), 500)
#: No method of the ledger runs through more lines than this, with so few callers.
LINES = 60

lifetimes = st.sampled_from([-1.0, 60.0, 60.0, 5.0, 5.0, 0.0])
any_of = st.integers(0, 1000)  # the how-manieth, modulo as many as there are

#: What may be interrupted, and what others may do before the victim gives up.
GIVING = ("release", "cancel_woken", "inherit", "give_up", "collect", "give_back_again")
TAKING = ("take", "opened", "reopen", "bequeath", "look", "time_out", "cancel_waiter")
OVER_ALL = ("fail_waiters", "empty", "close", "suspect")
MEANWHILE = ("take", "opened", "release", "time_out", "cancel_waiter", "fail_waiters", "give_up")
steps = st.integers(1, 16) | st.integers(1, LINES)
others = st.lists(st.tuples(st.sampled_from(MEANWHILE), any_of), max_size=3)


class Bell:
    """A cell that knows whether it was rung."""

    def __init__(self) -> None:
        self.rung = False

    def wake(self) -> None:
        self.rung = True


numbers = itertools.count()


class NumberedSlot(Slot):
    """A place whose place in a set is the same in every run."""

    __slots__ = ("number",)

    def __init__(self, claim: Claim, now: float) -> None:
        super().__init__(claim, now)
        self.number = next(numbers)

    def __hash__(self) -> int:
        return self.number


class NumberedClaim(Claim):
    """A claim whose place in a set is the same in every run."""

    def __init__(self) -> None:
        self.number = next(numbers)

    def __hash__(self) -> int:
        return self.number


class LedgerMachine(RuleBasedStateMachine):
    """Does what the shell may do, and knows by itself what each call must lead to.

    Each claim is in one list of the model: it connects, uses a connection, waits, was woken and
    has not looked yet, connects as an heir, or was dropped.  Connections are numbers.
    """

    # -- the model -----------------------------------------------------------------------------

    @initialize(limits=st.sampled_from(LIMITS), callers=st.integers(0, 5))
    def make(self, limits: tuple[int, int], callers: int) -> None:
        global numbers
        numbers = itertools.count()
        book.Slot = NumberedSlot  # type: ignore[misc]
        size, overflow = limits
        self.ledger = Ledger(size, overflow)
        self.limit = size + overflow if overflow >= 0 else FOREVER
        self.now = 1000.0
        self.connecting: list[Claim] = []
        self.busy: list[Claim] = []
        self.queue: list[Claim] = []
        self.woken: list[Claim] = []
        self.heirs: list[Claim] = []
        self.dropped: list[Claim] = []
        self.done: list[Claim] = []
        self.idle: list[Slot] = []
        self.ends: dict[Slot, float] = {}
        self.doubted: set[Slot] = set()
        self.standing: set[int] = set()
        self.made = 0
        self.is_closed = False
        self.is_exact = True  # no interrupt came yet: the counters are right
        self.is_torn = False  # one came, and the model does not know what it left
        self.victim: Claim | None = None
        self.visit(callers, -1, callers)

    def teardown(self) -> None:
        book.Slot = Slot  # type: ignore[misc]

    def lists(self) -> list[list[Claim]]:
        return [self.connecting, self.busy, self.queue, self.woken, self.heirs, self.dropped]

    def holding(self) -> list[Claim]:
        """Who must have a place."""
        served = [claim for claim in self.woken if claim.error is None]
        return [*self.connecting, *self.busy, *served, *self.heirs, *self.dropped]

    def pick(self, claims: list[Claim], which: int) -> Claim:
        """Take out one of a list: an interrupt from now on is its."""
        self.now += 0.001
        claim = self.victim = claims.pop(which % len(claims))
        return claim

    def settle(self, *, fail: bool = False) -> None:
        """Those who were served leave the queue; only the first may have been, and were rung."""
        if self.is_torn:
            return
        while self.queue and (self.queue[0].slot is not None or self.queue[0].error is not None):
            claim = self.queue.pop(0)
            assert isinstance(claim.cell, Bell)
            assert claim.cell.rung, "served, and not woken"
            assert (claim.error is not None) == fail
            self.woken.append(claim)
        for claim in self.queue:
            assert claim.slot is None, "passed those who came before"
            assert claim.error is None
            assert isinstance(claim.cell, Bell)
            assert not claim.cell.rung, "woken for nothing"

    def close_raw(self, raw: Any) -> None:
        assert raw in self.standing, "closed twice"
        self.standing.remove(raw)

    def close_the_doubtful(self) -> None:
        while self.ledger.doubtful:
            self.close_raw(self.ledger.doubtful.pop().raw)

    # -- take ----------------------------------------------------------------------------------

    @precondition(lambda self: not self.is_closed)
    @rule()
    def take(self) -> None:
        claim = self.victim = NumberedClaim()
        expected = None if self.is_torn else self.youngest()
        slot = self.ledger.take(claim, self.now)
        room = not self.queue and len(self.ledger.slots - {slot}) < self.limit
        if not self.is_torn:
            assert slot is expected or (expected is None and slot is not None and slot.raw is None)
            assert (slot is not None) == (expected is not None or room)
        if slot is None:
            claim.cell = Bell()
            self.queue.append(claim)
        elif slot.raw is None:
            self.connecting.append(claim)
        else:
            self.busy.append(claim)

    def youngest(self) -> Slot | None:
        if self.queue:
            return None
        while self.idle:
            slot = self.idle.pop()
            if self.ends[slot] > self.now:
                return slot
        return None

    @precondition(lambda self: self.is_closed)
    @rule()
    def take_when_closed(self) -> None:
        with pytest.raises(PoolClosed):
            self.ledger.take(NumberedClaim(), self.now)

    @precondition(lambda self: not self.is_closed)
    @rule(callers=st.integers(2, 4), lifetime=lifetimes, stay=st.integers(0, 4))
    def visit(self, callers: int, lifetime: float, stay: int) -> None:
        """Several take and open; all but a few give back in the order they came."""
        here = len(self.busy)
        for _ in range(callers):
            connecting = len(self.connecting)
            self.take()
            if len(self.connecting) > connecting:
                self.opened(-1, lifetime)
        while len(self.busy) > here + stay:
            self.release(here)

    @precondition(lambda self: self.connecting)
    @rule(which=any_of, lifetime=lifetimes)
    def opened(self, which: int, lifetime: float = 60.0) -> None:
        claim = self.pick(self.connecting, which)
        self.open_for(claim, lifetime)
        self.busy.append(claim)

    def open_for(self, claim: Claim, lifetime: float) -> None:
        slot = claim.slot
        assert slot is not None
        self.made += 1
        self.standing.add(self.made)
        revoked = slot.expires == 0.0
        try:
            self.ledger.opened(slot, self.made, self.now, lifetime)
        except Interrupt:
            if slot.raw != self.made:  # the shell closes what did not get into the book
                self.close_raw(self.made)
            raise
        self.ends[slot] = self.now + lifetime if lifetime >= 0 else FOREVER
        if revoked:
            self.ends[slot] = 0.0
        self.doubted.discard(slot)

    @precondition(lambda self: self.busy)
    @rule(which=any_of)
    def reopen(self, which: int) -> None:
        """It did not answer: another connection is opened in its place."""
        claim = self.pick(self.busy, which)
        slot = claim.slot
        assert slot is not None
        raw = slot.raw
        try:
            self.ledger.reopen(slot)
        finally:
            if slot.raw is None:
                self.close_raw(raw)
        self.connecting.append(claim)

    @precondition(lambda self: self.connecting)
    @rule(which=any_of)
    def bequeath(self, which: int) -> None:
        """A task was cancelled while it connected; what comes is for whoever waits."""
        claim, heir = self.pick(self.connecting, which), NumberedClaim()
        self.ledger.bequeath(claim, heir)
        self.ledger.abandon(claim, self.now)
        self.heirs.append(heir)
        self.done.append(claim)
        self.settle()

    @precondition(lambda self: self.heirs)
    @rule(which=any_of, comes=st.booleans())
    def inherit(self, which: int, comes: bool = True) -> None:
        heir = self.pick(self.heirs, which)
        if comes:
            self.open_for(heir, 60.0)
            self.expect_release(heir)
        else:
            self.ledger.abandon(heir, self.now)
            self.settle()

    # -- give back -----------------------------------------------------------------------------

    @precondition(lambda self: self.busy)
    @rule(which=any_of)
    def release(self, which: int) -> None:
        self.expect_release(self.pick(self.busy, which))

    def expect_release(self, claim: Claim) -> None:
        slot = claim.slot
        assert slot is not None
        ends = self.ends[slot] <= self.now or self.is_closed
        first = self.queue[0] if self.queue else None
        surplus = len(self.idle) >= self.ledger.size
        self.ledger.release(claim, self.now)
        self.done.append(claim)
        if self.is_torn:
            return
        if first is not None:
            assert first.slot is not None
            assert (first.slot is slot) != ends
            assert (first.slot.raw is None) == ends
        assert slot.closed == (ends or (first is None and surplus))
        if first is None and not slot.closed:
            self.idle.append(slot)
        self.settle()

    @precondition(lambda self: self.connecting or self.busy)
    @rule(which=any_of)
    def give_up(self, which: int) -> None:
        """It can not be opened, or is in doubt."""
        claim = self.pick(self.connecting if which % 2 and self.connecting else self.busy or
                          self.connecting, which)  # fmt: skip
        self.expect_abandoned(claim)

    def expect_abandoned(self, claim: Claim) -> None:
        first = self.queue[0] if self.queue else None
        self.ledger.abandon(claim, self.now)
        self.done.append(claim)
        self.close_the_doubtful()
        if not self.is_torn and first is not None:
            assert first.slot is not None
            assert first.slot.raw is None
        self.settle()

    @precondition(lambda self: self.busy)
    @rule(which=any_of)
    def drop(self, which: int) -> None:
        """Its user forgot it; somebody will collect it."""
        self.dropped.append(self.pick(self.busy, which))

    @precondition(lambda self: self.dropped)
    @rule()
    def collect(self) -> None:
        self.expect_abandoned(self.pick(self.dropped, 0))

    @precondition(lambda self: self.done)
    @rule(which=any_of, how=st.sampled_from(["release", "abandon"]))
    def give_back_again(self, which: int, how: str) -> None:
        """No harm is done, and nothing is gained."""
        claim = self.victim = self.done[which % len(self.done)]
        getattr(self.ledger, how)(claim, self.now)
        self.settle()

    @precondition(lambda self: self.ledger.stale)
    @rule()
    def close_the_stale(self) -> None:
        while self.ledger.stale:
            self.close_raw(self.ledger.stale.pop().raw)

    # -- wait ----------------------------------------------------------------------------------

    @precondition(lambda self: self.woken)
    @rule(which=any_of)
    def look(self, which: int) -> None:
        """One who waited looks what became of it; its time may have run out just now."""
        claim = self.pick(self.woken, which)
        self.ledger.leave(claim)
        claim.cell = None
        if claim.error is not None:
            self.ledger.abandon(claim, self.now)
            self.done.append(claim)
            return
        assert claim.slot is not None
        (self.connecting if claim.slot.raw is None else self.busy).append(claim)

    @precondition(lambda self: self.woken)
    @rule(which=any_of)
    def cancel_woken(self, which: int) -> None:
        """It was served, and cancelled before it looked: the connection goes to the next."""
        claim = self.pick(self.woken, which)
        slot, first = claim.slot, self.queue[0] if self.queue else None
        fresh = slot is not None and slot.raw is not None and self.ends[slot] > self.now
        keeps = fresh and (first is not None or len(self.idle) < self.ledger.size)
        self.ledger.abandon(claim, self.now, unused=True)
        self.done.append(claim)
        self.close_the_doubtful()
        if self.is_torn or slot is None:
            return
        assert slot.closed != (keeps and not self.is_closed)
        if first is not None:
            assert (first.slot is slot) == fresh
        elif not slot.closed:
            self.idle.append(slot)
        self.settle()

    @precondition(lambda self: self.queue)
    @rule(which=any_of)
    def time_out(self, which: int) -> None:
        claim = self.pick(self.queue, which)
        self.ledger.leave(claim)
        if claim.slot is not None:  # somebody else's interrupt let it be served
            self.woken.append(claim)
            return
        self.done.append(claim)

    @precondition(lambda self: self.queue)
    @rule(which=any_of)
    def cancel_waiter(self, which: int) -> None:
        claim = self.pick(self.queue, which)
        self.ledger.abandon(claim, self.now, unused=True)
        self.done.append(claim)
        self.settle()

    @precondition(lambda self: self.connecting)
    @rule(which=any_of)
    def fail_waiters(self, which: int) -> None:
        """The server refused the password: no use in waiting."""
        claim = self.pick(self.connecting, which)
        self.ledger.fail_waiters(RuntimeError("no"))
        self.settle(fail=True)
        assert self.is_torn or not self.queue
        self.expect_abandoned(claim)

    # -- the whole pool ------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.5, 5.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def suspect(self) -> None:
        """A connection was lost: all that stand are to be asked before use."""
        self.victim = None
        self.ledger.suspect()
        self.doubted.update(slot for slot in self.ledger.slots if slot.raw is not None)

    @rule()
    def empty(self) -> None:
        """dispose()"""
        self.victim = None
        self.ledger.empty()
        self.note_emptied()

    def note_emptied(self) -> None:
        if not self.is_torn:
            assert set(self.idle) <= set(self.ledger.stale)
            assert not self.ledger.idle
        self.idle.clear()
        self.ends |= dict.fromkeys(self.ledger.slots, 0.0)

    @precondition(lambda self: self.made > 5)
    @rule()
    def close(self) -> None:
        self.victim = None
        self.is_closed = True
        self.ledger.close()
        self.note_emptied()
        self.settle(fail=True)
        assert self.is_torn or not self.queue

    @rule()
    def fork(self) -> None:
        """What stands is the parent's, and nobody here waits."""
        stale = set(self.ledger.stale)
        places = set(self.ledger.slots)
        assert set(self.ledger.forget()) == places | stale
        for claims in self.lists():
            self.done += claims
            claims.clear()
        self.idle.clear()
        self.standing.clear()
        self.made, self.is_exact = 0, False

    # -- interrupts ----------------------------------------------------------------------------

    @rule(what=any_of, which=any_of, step=steps, meanwhile=others, again=steps)
    def interrupt_who_gives(
        self, what: int, which: int, step: int, meanwhile: list[tuple[str, int]], again: int
    ) -> None:
        self.interrupt(GIVING, what, which, step, meanwhile, again)

    @rule(what=any_of, which=any_of, step=steps, meanwhile=others, again=steps)
    def interrupt_who_takes(
        self, what: int, which: int, step: int, meanwhile: list[tuple[str, int]], again: int
    ) -> None:
        self.interrupt(TAKING, what, which, step, meanwhile, again)

    @rule(what=any_of, which=any_of, step=steps, meanwhile=others)
    def interrupt_who_acts_on_all(
        self, what: int, which: int, step: int, meanwhile: list[tuple[str, int]]
    ) -> None:
        self.interrupt(OVER_ALL, what, which, step, meanwhile, 0)

    def interrupt(
        self,
        group: tuple[str, ...],
        what: int,
        which: int,
        step: int,
        meanwhile: list[tuple[str, int]],
        again: int,
    ) -> None:
        """Interrupt a call, let others act, then give up; the second time, if that was hit, too."""
        possible = [name for name in group if self.has_somebody_to(name)]
        if not possible:
            return
        self.is_torn, self.is_exact = True, False
        if self.is_hit(possible[what % len(possible)], which, step):
            victim = self.victim or NumberedClaim()
            for other, its in meanwhile:
                if self.has_somebody_to(other):
                    self.act(other, its)
            self.give_up_whatever_it_has(victim, again)
        self.understand()

    def is_hit(self, what: str, which: int, step: int) -> bool:
        """Do it; tell whether the interrupt came before it was done."""
        try:
            with interrupted_at(step, book):
                self.act(what, which)
        except Interrupt:
            return True
        return False

    def has_somebody_to(self, what: str) -> bool:
        actors: dict[str, Any] = {
            **dict.fromkeys(("opened", "bequeath", "fail_waiters"), self.connecting),
            **dict.fromkeys(("reopen", "release"), self.busy),
            **dict.fromkeys(("time_out", "cancel_waiter"), self.queue),
            **dict.fromkeys(("look", "cancel_woken"), self.woken),
            "give_up": self.connecting or self.busy,
            "inherit": self.heirs,
            "collect": self.dropped,
            "give_back_again": self.done,
            "take": not self.is_closed,
            "close": not self.is_closed and self.made > 5,
        }
        return bool(actors.get(what, True))

    def act(self, what: str, which: int) -> None:
        if what in {"take", "collect", *OVER_ALL[1:]}:
            getattr(self, what)()
        elif what == "give_back_again":
            self.give_back_again(which, "abandon")
        else:
            getattr(self, what)(which)

    def give_up_whatever_it_has(self, victim: Claim, again: int) -> None:
        for claims in self.lists():
            if victim in claims:
                claims.remove(victim)
        heirs = {slot.claim for slot in self.ledger.slots} - set(self.holding()) - {victim, None}
        for claim in (victim, *(heirs - set(self.queue))):
            assert claim is not None
            try:
                with interrupted_at(again, book):
                    self.ledger.abandon(claim, self.now)
            except Interrupt:
                self.ledger.abandon(claim, self.now)
            self.close_the_doubtful()
            self.done.append(claim)

    def understand(self) -> None:
        """Read from the book what only it knows after an interrupt."""
        self.is_torn = False
        self.ledger.abandon(Claim(), self.now)
        self.is_closed = self.ledger.is_closed
        self.idle = list(self.ledger.idle)
        self.ends |= {slot: slot.expires for slot in self.ledger.slots}
        standing = [slot for slot in self.ledger.slots if slot.raw is not None]
        self.doubted = {slot for slot in standing if slot.epoch != self.ledger.epoch}
        self.settle_mixed()

    def settle_mixed(self) -> None:
        """As `settle`, where some may have failed and some have been served."""
        failed = [claim for claim in self.queue if claim.error is not None]
        for claim in failed:
            assert isinstance(claim.cell, Bell)
            assert claim.cell.rung
            self.queue.remove(claim)
            self.woken.append(claim)
        self.settle()

    # -- what always holds ---------------------------------------------------------------------

    @invariant()
    def the_book_is_right(self) -> None:
        self.now += 0.001  # no two things happen at once
        for claim in (
            self.there_are_never_more_than_max,
            self.no_place_has_two_claims_and_no_claim_two_places,
            self.no_place_is_lost,
            self.states_are_what_the_claims_know,
            self.idle_places_are_a_stack_and_waiters_a_queue,
            self.nobody_waits_while_a_place_is_free_or_idle,
            self.what_must_be_closed_is_in_the_book_once,
            self.doubt_is_cast_on_the_older_ones_only,
            self.the_counters_add_up,
        ):
            claim()

    def there_are_never_more_than_max(self) -> None:
        assert len(self.ledger.slots) <= self.limit
        # one whose release was interrupted may be kept, though others have come back since
        assert len(self.ledger.idle) <= self.ledger.size or not self.is_exact

    def no_place_has_two_claims_and_no_claim_two_places(self) -> None:
        holders = [slot.claim for slot in self.ledger.slots if slot.claim is not None]
        assert len(holders) == len(set(holders))
        assert set(holders) == set(self.holding())
        assert all(claim.slot is not None for claim in holders)
        assert all(slot.claim is None or slot.claim.slot is slot for slot in self.ledger.slots)

    def no_place_is_lost(self) -> None:
        assert {slot for slot in self.ledger.slots if slot.claim is None} == set(self.ledger.idle)
        assert len(self.ledger.idle) == len(set(self.ledger.idle))
        assert not any(slot.closed for slot in self.ledger.slots)

    def states_are_what_the_claims_know(self) -> None:
        assert all(c.slot and c.slot.raw is None for c in [*self.connecting, *self.heirs])
        assert all(c.slot and c.slot.raw is not None for c in [*self.busy, *self.dropped])

    def idle_places_are_a_stack_and_waiters_a_queue(self) -> None:
        assert self.ledger.idle == self.idle
        assert list(self.ledger.waiters) == self.queue

    def nobody_waits_while_a_place_is_free_or_idle(self) -> None:
        if self.queue:
            assert not self.idle
            assert len(self.ledger.slots) >= self.limit

    def what_must_be_closed_is_in_the_book_once(self) -> None:
        known = [*self.ledger.slots, *self.ledger.stale, *self.ledger.doubtful]
        raws = [slot.raw for slot in known if slot.raw is not None]
        assert len(raws) == len(set(raws))
        assert set(raws) == self.standing

    def doubt_is_cast_on_the_older_ones_only(self) -> None:
        standing = {slot for slot in self.ledger.slots if slot.raw is not None}
        doubted = {slot for slot in standing if slot.epoch != self.ledger.epoch}
        assert doubted == self.doubted & standing

    def the_counters_add_up(self) -> None:
        status = self.ledger.status()
        assert status.busy + status.idle + status.connecting == len(self.ledger.slots)
        assert (status.idle, status.waiting) == (len(self.idle), len(self.queue))
        if self.is_exact:
            left_to_close = len(self.ledger.stale)
            assert status.opened == self.made
            assert status.opened - status.closed == len(self.standing) - left_to_close


TestLedgerKeepsTheBook = LedgerMachine.TestCase
TestLedgerKeepsTheBook.settings = settings(max_examples=EXAMPLES, stateful_step_count=40)
