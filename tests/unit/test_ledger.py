"""The pool's book, against a model of its own: callers come and go, time passes, nothing is lost.

`make fuzz` runs the machine longer.  The clock is the machine's; there are no threads here.
"""

from __future__ import annotations

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

from plainsql.errors import PoolClosed
from plainsql.ledger import (
    ABANDONED,
    ASSIGNED,
    BUSY,
    CLOSED,
    CONNECTING,
    FAILED,
    FOREVER,
    IDLE,
    WAITING,
    Ledger,
    Slot,
    Waiter,
)

LIMITS = [(3, 1), (2, 0), (1, 2), (3, -1), (1, 0), (0, 2), (0, -1)]
EXAMPLES = {"fuzz": 10_000}.get(settings.get_current_profile_name(), 500)

lifetimes = st.sampled_from([-1.0, 60.0, 60.0, 5.0, 5.0, 0.0])
any_of = st.integers(0, 1000)  # the how-manieth, modulo as many as there are


class LedgerMachine(RuleBasedStateMachine):
    """Does what the shell may do, and knows by itself what each call must lead to.

    A place is with a caller who opens it or uses it, with a waiter who has not woken up yet,
    or idle.  Connections are numbers; one that leaves the book must be closed, once.
    """

    # -- the model -----------------------------------------------------------------------------

    @initialize(limits=st.sampled_from(LIMITS), callers=st.integers(0, 4))
    def make(self, limits: tuple[int, int], callers: int) -> None:
        size, overflow = limits
        self.ledger = Ledger(size, overflow)
        self.size = size
        self.limit = size + overflow if overflow >= 0 else FOREVER
        self.now = 1000.0
        self.opening: list[Slot] = []
        self.busy: list[Slot] = []
        self.idle: list[Slot] = []
        self.queue: list[Waiter] = []
        self.assigned: list[Waiter] = []
        self.gone: list[Slot] = []
        self.ends: dict[Slot, float] = {}
        self.doubted: set[Slot] = set()
        self.revoked: set[Slot] = set()
        self.standing: set[int] = set()
        self.to_close: set[int] = set()
        self.made = self.forgotten = self.errors = 0
        self.is_closed = False
        self.visit(callers, -1, callers)

    def places(self) -> list[Slot]:
        given = [waiter.slot for waiter in self.assigned if waiter.slot is not None]
        return [*self.opening, *self.busy, *self.idle, *given]

    def close_raw(self, raw: int) -> None:
        assert raw in self.standing, "closed twice"
        self.standing.remove(raw)

    def leave(self, slot: Slot) -> None:
        """It is left to `drain_stale` to have it closed."""
        self.gone.append(slot)
        self.to_close.add(slot.raw)

    def expect_new_place(self, waiter: Waiter | None) -> None:
        """A place was given up: the longest waiter, if any, got the right to connect."""
        if not self.queue:
            assert waiter is None
            return
        slot = self.expect_assigned(waiter)
        assert slot.raw is None
        assert slot.state == CONNECTING
        assert slot not in self.gone

    def expect_assigned(self, waiter: Waiter | None) -> Slot:
        longest = self.queue.pop(0)
        assert waiter is longest
        assert longest.state == ASSIGNED
        assert longest.slot is not None
        self.assigned.append(longest)
        return longest.slot

    # -- take ----------------------------------------------------------------------------------

    @precondition(lambda self: not self.is_closed)
    @rule()
    def take(self) -> None:
        self.take_one()

    @precondition(lambda self: not self.is_closed)
    @rule(callers=st.integers(2, 4), lifetime=lifetimes, stay=st.integers(0, 4))
    def visit(self, callers: int, lifetime: float, stay: int) -> None:
        """Several take and open; all but a few give back in the order they came."""
        here = len(self.busy)
        for _ in range(callers):
            waiting = len(self.opening)
            self.take_one()
            if len(self.opening) > waiting:
                self.opened(-1, lifetime)
        while len(self.busy) > here + stay:
            self.release(self.busy.pop(here))

    def take_one(self) -> None:
        if self.queue:
            expected, room = None, False
        else:
            while self.idle and self.ends[self.idle[-1]] <= self.now:
                self.leave(self.idle.pop())
            expected = self.idle.pop() if self.idle else None
            room = len(self.places()) < self.limit
        slot = self.ledger.take(self.now)
        if expected is not None:
            assert slot is expected
            assert slot.state == BUSY
            assert slot.taken == self.now
            self.busy.append(slot)
        elif room:
            assert slot is not None
            assert slot not in [*self.places(), *self.gone]
            self.opening.append(slot)
        else:
            assert slot is None
            self.queue.append(Waiter(lambda: None))
            self.ledger.enqueue(self.queue[-1])

    @precondition(lambda self: self.is_closed)
    @rule()
    def take_when_closed(self) -> None:
        with pytest.raises(PoolClosed):
            self.ledger.take(self.now)

    @precondition(lambda self: self.opening)
    @rule(which=any_of, lifetime=lifetimes)
    def is_opened(self, which: int, lifetime: float) -> None:
        self.opened(which, lifetime)

    def opened(self, which: int, lifetime: float) -> None:
        slot = self.opening.pop(which % len(self.opening))
        self.made += 1
        self.standing.add(self.made)
        self.ledger.opened(slot, self.made, self.now, lifetime)
        self.ends[slot] = self.now + lifetime if lifetime >= 0 else FOREVER
        if slot in self.revoked:
            self.ends[slot] = 0.0
        self.doubted.discard(slot)
        self.busy.append(slot)

    @precondition(lambda self: self.busy)
    @rule(which=any_of)
    def reopen(self, which: int) -> None:
        slot = self.busy.pop(which % len(self.busy))
        self.close_raw(slot.raw)
        self.ledger.reopen(slot)
        self.revoked.discard(slot)
        self.opening.append(slot)

    # -- give back -----------------------------------------------------------------------------

    @precondition(lambda self: self.busy)
    @rule(which=any_of, callers=st.integers(1, 3))
    def give_back(self, which: int, callers: int) -> None:
        for _ in range(min(callers, len(self.busy))):
            self.release(self.busy.pop(which % len(self.busy)))

    @precondition(lambda self: self.opening or self.busy)
    @rule(which=any_of)
    def give_up(self, which: int) -> None:
        """It can not be opened, or is in doubt."""
        book = self.opening if which % 2 and self.opening else self.busy or self.opening
        self.discard(book.pop(which % len(book)))

    def release(self, slot: Slot) -> None:
        over = self.ends[slot] <= self.now or self.is_closed
        waiter = self.ledger.release(slot, self.now)
        if over or (not self.queue and len(self.idle) >= self.size):
            self.leave(slot)
            self.expect_new_place(waiter)
        elif self.queue:
            assert self.expect_assigned(waiter) is slot
            assert slot.taken == self.now
        else:
            assert waiter is None
            self.idle.append(slot)
            assert slot.released == self.now

    def discard(self, slot: Slot) -> None:
        waiter = self.ledger.discard(slot)
        if slot.raw is not None:
            self.close_raw(slot.raw)
        self.gone.append(slot)
        self.expect_new_place(waiter)

    @rule()
    def close_the_stale(self) -> None:
        stale = self.ledger.drain_stale()
        assert {slot.raw for slot in stale} == self.to_close
        for slot in stale:
            self.close_raw(slot.raw)
        self.to_close.clear()
        assert self.ledger.drain_stale() == []

    # -- wait ----------------------------------------------------------------------------------

    @precondition(lambda self: self.queue)
    @rule(which=any_of)
    def time_out(self, which: int) -> None:
        waiter = self.queue.pop(which % len(self.queue))
        assert self.ledger.abandon(waiter) is None
        assert waiter.state == ABANDONED

    @precondition(lambda self: self.assigned)
    @rule(which=any_of, in_time=st.booleans())
    def wake_up(self, which: int, in_time: bool) -> None:
        """The waiter uses what it was given, or lost the race and passes it on."""
        waiter = self.assigned.pop(which % len(self.assigned))
        slot = waiter.slot if in_time else self.ledger.abandon(waiter)
        assert slot is not None
        assert slot is waiter.slot
        if in_time:
            (self.opening if slot.raw is None else self.busy).append(slot)
        elif slot.raw is None:
            self.discard(slot)
        else:
            self.release(slot)

    def fail_waiters(self) -> None:
        """The server refused the password: no use in waiting."""
        self.errors += 1
        error = RuntimeError(self.errors)
        self.expect_failed(self.ledger.fail_waiters(error), error)

    def expect_failed(self, failed: list[Waiter], error: BaseException | None = None) -> None:
        assert failed == self.queue
        for waiter in failed:
            assert waiter.state == FAILED
            assert waiter.error is error or (error is None and type(waiter.error) is PoolClosed)
            assert self.ledger.abandon(waiter) is None
        self.queue.clear()

    # -- the whole pool ------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.5, 5.0, 30.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(what=st.sampled_from(["suspect", "fail_waiters", "empty", "forget"]))
    def fate_strikes(self, what: str) -> None:
        getattr(self, what)()

    def suspect(self) -> None:
        """A connection was lost: all that stand are to be asked before use."""
        self.ledger.suspect()
        self.doubted.update(slot for slot in self.places() if slot.raw is not None)

    def empty(self) -> None:
        """dispose()"""
        self.expect_emptied(self.ledger.empty())

    def expect_emptied(self, slots: list[Slot]) -> None:
        assert slots == self.idle
        for slot in self.idle:
            self.close_raw(slot.raw)
        self.gone += self.idle
        self.idle.clear()
        for slot in self.places():
            self.ends[slot] = 0.0
            self.revoked.add(slot)

    @precondition(lambda self: self.made > 5)
    @rule()
    def close(self) -> None:
        slots, failed = self.ledger.close()
        self.is_closed = True
        self.expect_failed(failed)
        self.expect_emptied(slots)

    def forget(self) -> None:
        """After a fork: what stands is the parent's, and nobody here waits."""
        forgotten = self.ledger.forget()
        assert {slot.raw for slot in forgotten} - {None} == self.standing
        assert set(self.places()) <= set(forgotten)
        self.forgotten += sum(slot.state != CLOSED for slot in forgotten if slot.raw is not None)
        self.gone += self.places()
        for book in (self.opening, self.busy, self.idle, self.queue, self.assigned):
            book.clear()
        self.standing.clear()
        self.to_close.clear()

    # -- what is not allowed -------------------------------------------------------------------

    @rule(which=any_of)
    def misuse(self, which: int) -> None:
        calls = (self.give_to_ledger, self.ledger.discard, self.ledger.reopen, self.reuse)
        for slots, refusing in ((self.gone, calls), (self.idle, calls), (self.opening, calls[:1])):
            for call in refusing if slots else ():
                with pytest.raises(ValueError, match=r"^bug: "):
                    call(slots[which % len(slots)])

    def give_to_ledger(self, slot: Slot) -> Waiter | None:
        return self.ledger.release(slot, self.now)

    def reuse(self, slot: Slot) -> None:
        self.ledger.opened(slot, 0, self.now, 60.0)

    # -- what always holds ---------------------------------------------------------------------

    @invariant()
    def there_are_never_more_than_max(self) -> None:
        assert len(self.ledger.slots) <= self.limit
        assert len(self.ledger.idle) <= self.size

    @invariant()
    def no_place_is_lost_and_none_has_two_owners(self) -> None:
        places = self.places()
        assert len(places) == len(set(places))
        assert set(places) == self.ledger.slots
        assert not self.ledger.slots & set(self.gone)

    @invariant()
    def states_are_what_the_owners_know(self) -> None:
        assert all(slot.state == CONNECTING for slot in self.opening)
        assert all(slot.state == BUSY for slot in self.busy)
        assert all(slot.state == IDLE for slot in self.idle)
        assert all(waiter.state == WAITING for waiter in self.queue)
        assert all(waiter.state == ASSIGNED for waiter in self.assigned)

    @invariant()
    def idle_places_are_a_stack_and_waiters_a_queue(self) -> None:
        assert self.ledger.idle == self.idle
        assert list(self.ledger.waiters) == self.queue

    @invariant()
    def nobody_waits_while_a_place_is_free(self) -> None:
        if self.queue:
            assert not self.idle
            assert len(self.places()) >= self.limit

    @invariant()
    def no_connection_stands_outside_the_book(self) -> None:
        held = {slot.raw for slot in self.places()} - {None}
        assert held | self.to_close == self.standing
        assert {slot.raw for slot in self.ledger.stale} == self.to_close

    @invariant()
    def doubt_is_cast_on_the_older_ones_only(self) -> None:
        standing = [slot for slot in self.places() if slot.raw is not None]
        doubted = {slot for slot in standing if slot.epoch != self.ledger.epoch}
        assert doubted == self.doubted & set(standing)

    @invariant()
    def the_counters_add_up(self) -> None:
        status = self.ledger.status()
        assert status.busy + status.idle + status.connecting == len(self.places())
        assert (status.idle, status.waiting) == (len(self.idle), len(self.queue))
        assert status.opened == self.made
        assert status.opened - status.closed - self.forgotten == len(self.standing - self.to_close)


TestLedgerKeepsTheBook = LedgerMachine.TestCase
TestLedgerKeepsTheBook.settings = settings(max_examples=EXAMPLES, stateful_step_count=50)


# -- what the model does not look at -----------------------------------------------------------


def busy(ledger: Ledger, now: float, holder: Any = None) -> Slot:
    slot = ledger.take(now)
    assert slot is not None
    if slot.raw is None:
        ledger.opened(slot, object(), now, -1)
    slot.holder = holder
    return slot


def test_holders_are_told_longest_first_without_the_idle_and_the_nameless() -> None:
    ledger = Ledger(5, 0)
    given_back = busy(ledger, 1.0, "idle")
    busy(ledger, 3.0, "short")
    busy(ledger, 2.0, "long")
    busy(ledger, 1.5, None)
    ledger.release(given_back, 4.0)
    assert ledger.take(5.0) is given_back
    given_back.holder = "again"

    assert list(ledger.holders()) == ["long", "short", "again"]


@pytest.mark.parametrize(
    ("limits", "shown"),
    [
        pytest.param((1, 1), "1 busy, 1 idle, 0 connecting of 2, 0 waiting", id="limited"),
        pytest.param((1, -1), "1 busy, 1 idle, 0 connecting, 0 waiting", id="unlimited"),
    ],
)
def test_status_shows_the_numbers(limits: tuple[int, int], shown: str) -> None:
    ledger = Ledger(*limits)
    first, _second = busy(ledger, 1.0), busy(ledger, 1.0)
    ledger.release(first, 2.0)

    assert repr(ledger.status()) == f"<PoolStatus: {shown}>"


def test_status_counts_what_happened() -> None:
    ledger = Ledger(1, 0)
    slot = busy(ledger, 1.0)
    for wake in (lambda: None, lambda: None):
        assert ledger.take(1.0) is None
        ledger.enqueue(Waiter(wake))
    impatient = ledger.waiters[-1]
    ledger.abandon(impatient)
    ledger.timed_out()
    ledger.release(slot, 2.0)

    status = ledger.status()
    assert (status.checkouts, status.handoffs, status.timeouts) == (3, 1, 1)
    assert (status.size, status.max) == (1, 1)


def test_a_closed_pool_keeps_no_connection_not_even_one_that_was_reopened_since() -> None:
    ledger = Ledger(1, 0)
    slot = busy(ledger, 1.0)
    ledger.close()
    ledger.reopen(slot)
    ledger.opened(slot, object(), 2.0, -1)

    assert ledger.release(slot, 3.0) is None
    assert ledger.drain_stale() == [slot]
    assert ledger.slots == set()


# -- what the machine meets rarely -------------------------------------------------------------


def test_an_idle_connection_past_its_lifetime_is_closed_instead_of_given_out() -> None:
    ledger = Ledger(1, 0)
    slot = ledger.take(1.0)
    assert slot is not None
    ledger.opened(slot, object(), 1.0, 10.0)
    ledger.release(slot, 2.0)

    assert ledger.take(11.0) is not slot
    assert ledger.drain_stale() == [slot]


def test_a_connection_that_was_being_opened_while_the_pool_was_emptied_is_not_kept() -> None:
    ledger = Ledger(1, 0)
    slot = ledger.take(1.0)
    assert slot is not None
    ledger.empty()
    ledger.opened(slot, object(), 2.0, 60.0)

    ledger.release(slot, 3.0)
    assert ledger.drain_stale() == [slot]


def test_a_connection_that_was_opened_anew_since_the_pool_was_emptied_is_kept() -> None:
    ledger = Ledger(1, 0)
    slot = busy(ledger, 1.0)
    ledger.empty()
    ledger.reopen(slot)
    ledger.opened(slot, object(), 2.0, 60.0)

    ledger.release(slot, 3.0)
    assert ledger.idle == [slot]
