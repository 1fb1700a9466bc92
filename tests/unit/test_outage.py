"""How soon a lost server is tried again: one at a time, 20 in a second at most, calm afterwards."""

from __future__ import annotations

from itertools import pairwise

import pytest

from plainsql.outage import CALM, FIRST, LONGEST, Gate


def in_trouble() -> Gate:
    """A gate through which the last connect failed at 100.0."""
    gate = Gate()
    assert gate.admit(100.0, "me") == 0.0
    gate.failed(100.0, 0.0)
    return gate


def test_all_may_connect_while_there_is_no_trouble() -> None:
    gate = Gate()
    assert [gate.admit(1.0, "me") for _ in range(50)] == [0.0] * 50


def test_one_at_a_time_may_connect_while_there_is_trouble() -> None:
    gate = in_trouble()
    assert gate.admit(101.0, "me") == 0.0
    assert gate.admit(101.0, "me") == FIRST
    assert gate.admit(200.0, "me") == FIRST


@pytest.mark.parametrize("end", ["failed", "opened", "left"])
def test_the_next_may_try_when_the_one_before_has_told(end: str) -> None:
    gate = in_trouble()
    assert gate.admit(101.0, "me") == 0.0
    ends = {
        "failed": lambda: gate.failed(101.5, 0.0),
        "opened": lambda: gate.opened(101.5),
        "left": lambda: gate.left("me"),
    }
    ends[end]()
    assert gate.admit(101.56, "me") == 0.0


@pytest.mark.parametrize("succeeds", [False, True], ids=["all fail", "all succeed"])
def test_in_trouble_there_are_20_connects_in_a_second_at_most(succeeds: bool) -> None:
    """Each ends at once, the next asks as soon as it may, and the pauses have no chance to grow."""
    gate, now, tries = in_trouble(), 100.0, list[float]()
    while now < 103.0:
        pause = gate.admit(now, "me")
        if pause > 0:
            now += pause
            continue
        tries.append(now)
        if succeeds:
            gate.opened(now)
            gate.lost(now)
        else:
            gate.failed(now, 0.0)
    assert len(tries) > 50
    for first, last in zip(tries, tries[20:], strict=False):
        assert last - first >= 1.0 - 1e-6


def test_the_pauses_double_from_50_to_500_ms() -> None:
    gate, pauses = in_trouble(), list[float]()
    now = 100.0 + gate.admit(100.0, "me")
    for _ in range(6):
        assert gate.admit(now, "me") == 0.0
        gate.failed(now, 1.0)
        pauses.append(gate.admit(now, "me"))
        now += pauses[-1]
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.5, 0.5, 0.5])
    assert (FIRST, LONGEST) == (0.05, 0.5)


@pytest.mark.parametrize("chance", [0.0, 0.3, 1.0])
def test_chance_shortens_a_pause_to_50_ms_at_the_least(chance: float) -> None:
    gate = in_trouble()
    for now in (101.0, 102.0, 103.0):
        assert gate.admit(now, "me") == 0.0
        gate.failed(now, 1.0)
    assert gate.admit(104.0, "me") == 0.0
    gate.failed(104.0, chance)
    assert gate.admit(104.0, "me") == pytest.approx(FIRST + (LONGEST - FIRST) * chance)


def test_a_success_lets_the_pauses_begin_anew() -> None:
    gate = in_trouble()
    for now in (101.0, 102.0, 103.0):
        assert gate.admit(now, "me") == 0.0
        gate.failed(now, 1.0)
    assert gate.admit(104.0, "me") == 0.0
    gate.opened(104.0)
    assert gate.admit(104.1, "me") == 0.0
    gate.failed(104.1, 1.0)
    assert gate.admit(104.1, "me") == pytest.approx(FIRST)


def test_trouble_does_not_pass_by_itself_but_a_while_after_a_success() -> None:
    gate = in_trouble()
    assert gate.admit(10_000.0, "me") == 0.0
    assert gate.admit(10_000.0, "me") == FIRST
    gate.opened(10_000.0)
    assert gate.admit(10_000.0 + CALM - 0.01, "me") == 0.0
    assert gate.admit(10_000.0 + CALM - 0.01, "me") == FIRST
    assert [gate.admit(10_000.0 + CALM, "you") for _ in range(9)] == [0.0] * 9


def test_who_was_held_back_in_trouble_is_let_through_little_by_little_when_it_has_passed() -> None:
    gate = in_trouble()
    held = [f"user {n}" for n in range(30)]
    assert gate.admit(100.01, "me") > 0
    assert all(gate.admit(100.01, one) > 0 for one in held)
    assert gate.admit(100.5, "me") == 0.0
    gate.opened(100.5)
    now, at = 100.5, []
    while held:
        pause = gate.admit(now, held[0])
        if pause == 0:
            at.append(now)
            held.pop(0)
            gate.opened(now)
        now += pause
    assert all(later - earlier > 0.049 for earlier, later in pairwise(at))
    assert gate.admit(now, "a newcomer") == 0.0


@pytest.mark.parametrize("failed", [False, True], ids=["one was lost", "a connect failed"])
def test_trouble_passes_however_many_connect_meanwhile(failed: bool) -> None:
    """A pool that keeps none connects all the time."""
    gate, now, tries = in_trouble() if failed else Gate(), 100.0, 0
    gate.lost(now)
    while now < 102.0 and tries < 1000:
        pause = gate.admit(now, "me")
        now += pause
        if pause == 0:
            tries += 1
            gate.opened(now)
    assert now < 100.0 + FIRST + CALM + 0.1


def test_a_connection_that_was_lost_means_trouble_for_a_while() -> None:
    gate = Gate()
    gate.lost(50.0)
    assert gate.admit(50.0, "me") == 0.0
    assert gate.admit(50.0, "me") == FIRST
    gate.opened(50.0)
    assert [gate.admit(50.0 + CALM, "you") for _ in range(9)] == [0.0] * 9


def test_one_that_was_lost_does_not_end_a_trouble_that_lasts() -> None:
    gate = in_trouble()
    gate.lost(100.0)
    assert gate.admit(200.0, "me") == 0.0
    assert gate.admit(200.0, "me") == FIRST


def test_who_was_let_through_may_be_followed_by_an_heir_who_tells() -> None:
    gate = in_trouble()
    assert gate.admit(101.0, "me") == 0.0
    gate.bequeath("me", "heir")
    gate.left("me")
    assert gate.admit(102.0, "you") == FIRST
    gate.left("heir")
    assert gate.admit(102.0, "you") == 0.0


def test_who_was_not_let_through_has_nothing_to_bequeath() -> None:
    gate = in_trouble()
    assert gate.admit(101.0, "me") == 0.0
    gate.bequeath("you", "heir")
    gate.left("heir")
    assert gate.admit(102.0, "you") == FIRST


def test_who_was_not_let_through_and_leaves_lets_nobody_else_through() -> None:
    gate = in_trouble()
    assert gate.admit(101.0, "me") == 0.0
    assert gate.admit(101.0, "you") == FIRST
    gate.left("you")
    assert gate.admit(102.0, "you") == FIRST
    gate.left("me")
    assert gate.admit(102.0, "you") == 0.0
