"""The share of `make storm` that every run takes: the same workers, for a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests._async.storming import storm_async
from tests._sync.storming import storm
from tests.load.fairness import Storm

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql import Engine
    from plainsql.aio import AsyncEngine

#: In seconds, how long turns are counted.
SECONDS = 0.4
#: For so short a time: half of the waits are looked at, and only who starves has too few turns.
PERCENT, RATIO = 50, 3


@pytest.mark.slow
def test_many_threads_on_a_small_pool_have_equal_turns(make_engine: Callable[..., Engine]) -> None:
    came = storm(make_engine(pool_size=8, max_overflow=0), 80, 8, SECONDS)
    print(came)
    assert list(came.faults(percent=PERCENT, ratio=RATIO)) == []


@pytest.mark.slow
async def test_many_tasks_on_a_small_pool_have_equal_turns(
    make_engine_async: Callable[..., AsyncEngine],
) -> None:
    engine = make_engine_async(pool_size=5, max_overflow=0)
    came = await storm_async(engine, 60, 5, SECONDS)
    print(came)
    assert list(came.faults(percent=PERCENT, ratio=RATIO)) == []


# -- the rule -----------------------------------------------------------------------------------


def stormed(*turns: int, wait: float = 0.001, passed: int = 1) -> Storm:
    """A storm on one place in which the workers had so many turns, each after that wait."""
    came = Storm(len(turns), 1, 0.001)
    came.count()
    for worker, number in enumerate(turns):
        for _ in range(number):
            came.note(worker, 10.0, 10.0 + wait, 10.001 + wait, passed)
    came.end(1.0)
    return came


@pytest.mark.parametrize("turns", [(0, 1), (3, 4), (100, 150)])
def test_turns_are_fair_by_half_as_many_more_or_by_one(turns: tuple[int, int]) -> None:
    assert list(stormed(*turns).faults()) == []


@pytest.mark.parametrize("turns", [(0, 2), (3, 5), (100, 151)])
def test_a_worker_with_many_more_turns_than_another_is_told(turns: tuple[int, int]) -> None:
    least, most = turns
    told = f"one worker had {least} turns, another one {most}"
    assert list(stormed(*turns).faults()) == [told]


def test_waits_of_more_than_three_queues_are_told() -> None:
    assert list(stormed(9, 9, wait=0.0059).faults()) == []
    (told,) = stormed(9, 9, wait=0.0061).faults()
    assert told == "99 % waited up to 0.006 s, and a fair queue is 0.002 s"


def test_a_worker_that_many_others_passed_is_told() -> None:
    assert list(stormed(9, 9, passed=6).faults()) == []
    assert list(stormed(9, 9, passed=7).faults()) == ["up to 7 others passed one of 2"]


def test_an_error_is_told() -> None:
    came = stormed(9, 9)
    came.errors.append(ValueError("x"))
    assert list(came.faults()) == ["1 errors, such as ValueError('x')"]
