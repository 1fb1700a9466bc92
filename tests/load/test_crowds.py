"""Very many who wait: what one of them costs does not depend on how many the others are."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from plainsql.ledger import Claim, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable


def crowd(number: int) -> tuple[Ledger, list[Claim]]:
    """A book of one place, which is held, and so many who wait for it."""
    ledger, held = Ledger(1, 0), Claim()
    slot = ledger.take(held, 0.0)
    assert slot is not None
    ledger.opened(slot, object(), 0.0, -1)
    claims = [Claim() for _ in range(number)]
    for claim in claims:
        ledger.take(claim, 0.0)
    return ledger, claims


def leave(ledger: Ledger, claims: list[Claim]) -> None:
    for claim in claims:
        ledger.leave(claim)


def abandon(ledger: Ledger, claims: list[Claim]) -> None:
    for claim in claims:
        ledger.abandon(claim, 0.0, unused=True)


def fail(ledger: Ledger, claims: list[Claim]) -> None:
    ledger.fail_waiters(ValueError())
    abandon(ledger, claims)


def seconds(go: Callable[[Ledger, list[Claim]], None], number: int) -> float:
    ledger, claims = crowd(number)
    start = time.process_time()
    go(ledger, claims)
    assert not ledger.waiters
    return time.process_time() - start


@pytest.mark.parametrize("go", [leave, abandon, fail])
def test_a_crowd_goes_in_a_time_that_grows_with_its_number_only(
    go: Callable[[Ledger, list[Claim]], None],
) -> None:
    """Eight times as many take about eight times as long; were it quadratic, 64 times."""
    few = min(seconds(go, 500) for _ in range(3))
    many = min(seconds(go, 4000) for _ in range(2))
    assert many < 24 * max(few, 0.0005)
