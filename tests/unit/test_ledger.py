"""The pool's book, one rule at a time; `test_ledger_machine` tries them all together."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from plainsql import ledger as book
from plainsql.errors import PoolClosed
from plainsql.ledger import FOREVER, Claim, Ledger, Slot
from tests.unit.interrupting import Interrupt, interrupted_at


class Bell:
    """A cell that counts how often it was rung."""

    def __init__(self) -> None:
        self.wakes = 0

    def wake(self) -> None:
        self.wakes += 1


def busy(ledger: Ledger, now: float = 1.0, lifetime: float = -1) -> Claim:
    """One who holds a connection."""
    claim = Claim()
    slot = ledger.take(claim, now)
    assert slot is not None
    if slot.raw is None:
        ledger.opened(slot, object(), now, lifetime)
    return claim


def waiting(ledger: Ledger, now: float = 1.0) -> Claim:
    """One who waits."""
    claim = Claim()
    assert ledger.take(claim, now) is None
    claim.cell = Bell()
    return claim


def held(claim: Claim) -> Slot:
    assert claim.slot is not None
    assert claim.slot.claim is claim
    return claim.slot


def wakes(claim: Claim) -> int:
    assert isinstance(claim.cell, Bell)
    return claim.cell.wakes


# -- take --------------------------------------------------------------------------------------


def test_the_youngest_idle_connection_is_taken_first() -> None:
    ledger = Ledger(3, 0)
    old, young = busy(ledger), busy(ledger)
    slot = held(young)
    ledger.release(old, 2.0)
    ledger.release(young, 3.0)

    assert ledger.take(Claim(), 4.0) is slot
    assert slot.taken == 4.0


def test_a_place_counts_before_its_connection_stands() -> None:
    ledger = Ledger(1, 0)
    slot = ledger.take(Claim(), 1.0)
    assert slot is not None
    assert slot.raw is None
    assert ledger.status().connecting == 1
    waiting(ledger)


def test_a_newcomer_never_passes_a_queue() -> None:
    ledger = Ledger(2, 0)
    first, _second = busy(ledger), busy(ledger)
    early, late = waiting(ledger), waiting(ledger)
    ledger.release(first, 2.0)
    assert early.slot is not None
    newcomer = waiting(ledger)
    assert list(ledger.waiters) == [late, newcomer]


def test_an_idle_connection_past_its_lifetime_is_closed_instead_of_given_out() -> None:
    ledger = Ledger(1, 0)
    claim = busy(ledger, 1.0, 10.0)
    slot = held(claim)
    ledger.release(claim, 2.0)

    assert ledger.take(Claim(), 11.0) is not slot
    assert ledger.stale == [slot]


@pytest.mark.parametrize("lifetime", [-1, -0.5])
def test_a_lifetime_below_zero_is_for_ever(lifetime: float) -> None:
    assert held(busy(Ledger(1, 0), 1.0, lifetime)).expires == FOREVER


def test_without_a_limit_nobody_waits() -> None:
    ledger = Ledger(1, -1)
    assert all(held(busy(ledger)) for _ in range(100))


# -- give back ---------------------------------------------------------------------------------


def test_a_connection_that_comes_back_goes_to_the_first_who_waits() -> None:
    ledger = Ledger(1, 0)
    claim = busy(ledger)
    slot = held(claim)
    early, late = waiting(ledger), waiting(ledger)
    ledger.release(claim, 2.0)

    assert held(early) is slot
    assert (wakes(early), wakes(late)) == (1, 0)
    assert (slot.released, slot.taken) == (2.0, 2.0)


def test_one_idle_too_many_is_closed() -> None:
    ledger = Ledger(1, 1)
    first, second = busy(ledger), busy(ledger)
    surplus = held(second)
    ledger.release(first, 2.0)
    ledger.release(second, 2.0)
    assert ledger.stale == [surplus]
    assert len(ledger.idle) == 1


def test_in_place_of_one_that_came_back_too_old_the_first_who_waits_connects() -> None:
    ledger = Ledger(1, 0)
    claim = busy(ledger, 1.0, 10.0)
    old = held(claim)
    waiter = waiting(ledger)
    ledger.release(claim, 11.0)

    assert ledger.stale == [old]
    assert held(waiter).raw is None
    assert wakes(waiter) == 1


@pytest.mark.parametrize("how", ["release", "abandon"])
def test_what_was_given_back_can_not_be_given_back_again(how: str) -> None:
    ledger = Ledger(1, 0)
    claim = busy(ledger)
    ledger.release(claim, 2.0)
    other = busy(ledger, 3.0)
    getattr(ledger, how)(claim, 4.0)
    assert held(other).raw is not None
    assert (ledger.stale, ledger.doubtful, ledger.idle) == ([], [], [])


# -- give up -----------------------------------------------------------------------------------


def test_who_gives_up_a_connection_has_it_closed_and_frees_its_place() -> None:
    ledger = Ledger(1, 0)
    claim = busy(ledger)
    slot = held(claim)
    waiter = waiting(ledger)
    ledger.abandon(claim, 2.0)

    assert ledger.doubtful == [slot]
    assert slot.closed
    assert held(waiter).raw is None
    assert wakes(waiter) == 1


def test_who_gives_up_a_place_without_a_connection_leaves_nothing_to_close() -> None:
    ledger = Ledger(1, 0)
    claim = Claim()
    ledger.take(claim, 1.0)
    ledger.abandon(claim, 2.0)
    assert (ledger.doubtful, ledger.slots) == ([], set())


def test_a_connection_that_was_not_looked_at_yet_goes_to_the_next() -> None:
    ledger = Ledger(1, 0)
    claim = busy(ledger)
    slot = held(claim)
    first, second = waiting(ledger), waiting(ledger)
    ledger.release(claim, 2.0)
    ledger.abandon(first, 3.0, unused=True)

    assert held(second) is slot
    assert ledger.doubtful == []


def test_who_gives_up_waiting_loses_its_turn_only() -> None:
    ledger = Ledger(1, 0)
    claim = busy(ledger)
    first, second = waiting(ledger), waiting(ledger)
    ledger.abandon(first, 2.0, unused=True)
    ledger.release(claim, 3.0)
    assert first.slot is None
    assert held(second) is ledger.holders()[0][0]


def test_to_give_up_nothing_is_no_harm() -> None:
    ledger = Ledger(1, 0)
    claim = busy(ledger)
    for _ in range(2):
        ledger.abandon(Claim(), 2.0)
    assert [claim for _, claim in ledger.holders()] == [claim]


# -- wait --------------------------------------------------------------------------------------


def test_who_waited_in_vain_is_out_of_the_queue() -> None:
    ledger = Ledger(1, 0)
    claim, waiter = busy(ledger), waiting(ledger)
    ledger.leave(waiter)
    ledger.release(claim, 2.0)
    assert waiter.slot is None
    assert not ledger.waiters


def test_who_was_served_while_its_time_ran_out_keeps_its_place() -> None:
    ledger = Ledger(1, 0)
    claim, waiter = busy(ledger), waiting(ledger)
    ledger.release(claim, 2.0)
    ledger.leave(waiter)
    assert held(waiter).raw is not None


@pytest.mark.parametrize("end", ["release", "abandon"])
def test_a_place_that_was_given_up_and_its_holder_are_no_cycle(end: str) -> None:
    """A pool that keeps nothing would leave garbage with each connection."""
    ledger = Ledger(0, 1)
    claim = busy(ledger)
    slot = held(claim)
    getattr(ledger, end)(claim, 2.0)
    assert slot.closed
    assert slot.claim is None


def test_all_who_wait_fail_by_the_same_error() -> None:
    ledger = Ledger(1, 0)
    busy(ledger)
    waiters = [waiting(ledger), waiting(ledger)]
    error = RuntimeError("no")
    ledger.fail_waiters(error)
    assert [(w.error, wakes(w)) for w in waiters] == [(error, 1), (error, 1)]
    assert not ledger.waiters


class Leaving(Claim):
    """One whose thread has woken, and gives up its cell as soon as somebody has looked at it."""

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name == "cell":
            self.cell = None
        return value


def test_one_who_gives_up_its_cell_meanwhile_is_no_trouble_to_who_wakes_it() -> None:
    ledger = Ledger(2, 0)
    leaving, other = Leaving(), Claim()
    ledger.take(leaving, 1.0)
    ledger.take(other, 1.0)
    bell = leaving.cell = Bell()
    ledger.abandon(other, 2.0)
    assert bell.wakes == 1
    assert leaving.slot in ledger.slots


# -- interrupts --------------------------------------------------------------------------------


@pytest.mark.parametrize("step", range(1, 71))
@pytest.mark.parametrize("how", ["release", "abandon"])
@pytest.mark.parametrize("impatient", [0, 1])
def test_an_interrupt_loses_nothing_though_others_come_before_the_victim(
    impatient: int, how: str, step: int
) -> None:
    """A waiter's time runs out, and another connection comes back, before the victim gives up."""
    ledger = Ledger(2, 0)
    victim, other = busy(ledger), busy(ledger)
    waiters = [waiting(ledger), waiting(ledger), waiting(ledger)]
    standing = {held(victim), held(other)}
    with suppress(Interrupt), interrupted_at(step, book):
        getattr(ledger, how)(victim, 2.0)
    ledger.leave(waiters[impatient])
    if waiters[impatient].slot is None:
        waiters.pop(impatient)
    ledger.release(other, 3.0)
    ledger.abandon(victim, 4.0)

    served = [claim for claim in waiters if claim.slot is not None]
    assert served == waiters[:2]
    assert {held(claim) for claim in served} == ledger.slots
    assert {wakes(claim) > 0 for claim in served} == {True}
    assert standing <= {*ledger.slots, *ledger.doubtful}


@pytest.mark.parametrize("step", range(1, 20))
def test_an_interrupt_amid_a_failure_of_all_leaves_none_that_is_served_and_failed(
    step: int,
) -> None:
    ledger = Ledger(1, 0)
    victim, other = Claim(), busy(ledger)
    waiters = [waiting(ledger), waiting(ledger)]
    with suppress(Interrupt), interrupted_at(step, book):
        ledger.fail_waiters(RuntimeError("no"))
    ledger.release(other, 2.0)
    ledger.abandon(victim, 3.0)
    for claim in waiters:
        assert claim.slot is None or claim.error is None
        assert (claim in ledger.waiters) == (claim.slot is None and claim.error is None)


@pytest.mark.parametrize("step", range(1, 31))
def test_what_is_to_be_closed_is_given_to_nobody_though_an_interrupt_came(step: int) -> None:
    ledger = Ledger(2, 0)
    claims = [busy(ledger, 1.0, 10.0), busy(ledger, 1.0, 60.0)]
    for claim in reversed(claims):
        ledger.release(claim, 2.0)
    victim = Claim()
    with suppress(Interrupt), interrupted_at(step, book):
        ledger.take(victim, 20.0)
    ledger.abandon(victim, 20.0)

    closing = [*ledger.stale, *ledger.doubtful]
    assert len(closing) == len(set(closing))
    assert not ledger.slots & set(closing)


# -- lose, and open again ----------------------------------------------------------------------


def test_only_what_was_opened_since_is_free_of_suspicion() -> None:
    ledger = Ledger(2, 0)
    old = busy(ledger)
    ledger.suspect()
    new = busy(ledger)
    assert held(old).epoch != ledger.epoch
    assert held(new).epoch == ledger.epoch


def test_a_place_is_kept_while_its_connection_is_opened_again() -> None:
    ledger = Ledger(1, 0)
    claim = busy(ledger, 1.0, 5.0)
    slot = held(claim)
    ledger.reopen(slot)
    assert ledger.status().connecting == 1
    waiting(ledger)
    ledger.opened(slot, object(), 9.0, -1)
    assert slot.expires == FOREVER


@pytest.mark.parametrize("state", ["busy", "idle", "given up"])
def test_a_connection_is_opened_only_in_a_place_that_is_reserved(state: str) -> None:
    ledger = Ledger(1, 0)
    claim = busy(ledger)
    slot = held(claim)
    if state == "idle":
        ledger.release(claim, 2.0)
    if state == "given up":
        ledger.abandon(claim, 2.0)
    with pytest.raises(ValueError, match=r"^bug: "):
        ledger.opened(slot, object(), 3.0, -1)


@pytest.mark.parametrize("state", ["connecting", "idle"])
def test_a_connection_is_opened_again_only_where_one_was_held(state: str) -> None:
    ledger = Ledger(1, 0)
    claim = Claim()
    slot = ledger.take(claim, 1.0)
    assert slot is not None
    if state == "idle":
        ledger.opened(slot, object(), 1.0, -1)
        ledger.release(claim, 2.0)
    with pytest.raises(ValueError, match=r"^bug: "):
        ledger.reopen(slot)


def test_an_heir_holds_what_another_one_did() -> None:
    ledger = Ledger(1, 0)
    claim, heir = Claim(), Claim()
    slot = ledger.take(claim, 1.0)
    ledger.bequeath(claim, heir)
    ledger.abandon(claim, 2.0)
    assert held(heir) is slot
    assert ledger.status().connecting == 1


def test_who_holds_nothing_any_more_has_no_heir() -> None:
    ledger = Ledger(1, 0)
    claim, heir = busy(ledger), Claim()
    ledger.release(claim, 2.0)
    ledger.bequeath(claim, heir)
    assert heir.slot is None
    assert ledger.status().idle == 1


# -- the whole pool ----------------------------------------------------------------------------


def test_a_pool_that_was_emptied_keeps_nothing_that_stood_then() -> None:
    ledger = Ledger(3, 0)
    idle, user, connecting = busy(ledger), busy(ledger), Claim()
    slot = ledger.take(connecting, 1.0)
    assert slot is not None
    slots = [held(idle), held(user), slot]
    ledger.release(idle, 2.0)
    ledger.empty()
    assert ledger.stale == slots[:1]
    ledger.opened(slot, object(), 3.0, 60.0)
    ledger.release(user, 3.0)
    ledger.release(connecting, 3.0)
    assert ledger.stale == slots
    assert not ledger.slots


def test_a_connection_that_was_opened_anew_since_the_pool_was_emptied_is_kept() -> None:
    ledger = Ledger(1, 0)
    claim = busy(ledger)
    slot = held(claim)
    ledger.empty()
    ledger.reopen(slot)
    ledger.opened(slot, object(), 2.0, 60.0)
    ledger.release(claim, 3.0)
    assert ledger.idle == [slot]


def test_a_closed_pool_gives_nothing_and_lets_all_who_wait_fail() -> None:
    ledger = Ledger(1, 0)
    busy(ledger)
    waiter = waiting(ledger)
    ledger.close()
    assert isinstance(waiter.error, PoolClosed)
    assert wakes(waiter) == 1
    with pytest.raises(PoolClosed):
        ledger.take(Claim(), 2.0)


def test_a_closed_pool_keeps_no_connection_not_even_one_that_was_reopened_since() -> None:
    ledger = Ledger(1, 0)
    claim = busy(ledger)
    slot = held(claim)
    ledger.close()
    ledger.reopen(slot)
    ledger.opened(slot, object(), 2.0, -1)
    ledger.release(claim, 3.0)
    assert ledger.stale == [slot]
    assert not ledger.slots


def test_what_was_forgotten_is_not_to_be_closed_and_can_not_come_back() -> None:
    ledger = Ledger(1, 2)
    claims = [busy(ledger), busy(ledger), busy(ledger)]
    slots = {held(claim) for claim in claims}
    ledger.release(claims[0], 2.0)
    ledger.release(claims[1], 2.0)
    assert set(ledger.forget()) == slots
    ledger.release(claims[2], 3.0)
    ledger.abandon(claims[2], 3.0)
    assert (ledger.stale, ledger.doubtful, ledger.idle, ledger.slots) == ([], [], [], set())


# -- what is told ------------------------------------------------------------------------------


def test_holders_are_told_longest_first_without_those_who_connect() -> None:
    ledger = Ledger(5, 0)
    given_back = busy(ledger, 1.0)
    short, long = busy(ledger, 3.0), busy(ledger, 2.0)
    ledger.take(Claim(), 1.5)
    ledger.release(given_back, 4.0)
    again = busy(ledger, 5.0)
    assert ledger.holders() == [(held(c), c) for c in (long, short, again)]


@pytest.mark.parametrize(
    ("limits", "shown"),
    [
        pytest.param((1, 1), "1 busy, 1 idle, 0 connecting of 2, 0 waiting", id="limited"),
        pytest.param((1, -1), "1 busy, 1 idle, 0 connecting, 0 waiting", id="unlimited"),
    ],
)
def test_status_shows_the_numbers(limits: tuple[int, int], shown: str) -> None:
    ledger = Ledger(*limits)
    first, _second = busy(ledger), busy(ledger)
    ledger.release(first, 2.0)
    assert repr(ledger.status()) == f"<PoolStatus: {shown}>"


def test_status_counts_what_happened() -> None:
    ledger = Ledger(1, 0)
    claim = busy(ledger)
    waiter, impatient = waiting(ledger), waiting(ledger)
    ledger.leave(impatient)
    ledger.release(claim, 2.0)
    ledger.abandon(waiter, 3.0)

    status: Any = ledger.status()
    counters = ("size", "max", "checkouts", "handoffs", "opened", "closed")
    assert [getattr(status, name) for name in counters] == [1, 1, 3, 1, 1, 1]
