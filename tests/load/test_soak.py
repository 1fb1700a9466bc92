"""The share of `make soak` that every run takes: some thousand transactions of each side."""

from __future__ import annotations

import pytest

from tests.load.footprint import Footprint, Soak, rise
from tests.load.soak import CHILDREN, soak
from tests.memory import HAS_RESIDENT, MIB

#: The drivers' own caches are full after the warm-up.
COUNT, WARM_UP, SAMPLES = 1500, 800, 10


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RESIDENT, reason="what a process takes up is measured on Linux only")
@pytest.mark.parametrize("side", CHILDREN)
def test_thousands_of_transactions_leave_nothing(url: str, table_name: str, side: str) -> None:
    came = soak(url, table_name, side, COUNT, warm_up=WARM_UP, samples=SAMPLES)
    print(came)
    assert list(came.faults()) == []


# -- the rule -----------------------------------------------------------------------------------

PRINT = Footprint(resident=20 * MIB, objects=1000, descriptors=5, threads=1, tasks=1)


def soaked(*samples: Footprint, after: Footprint = PRINT, lost: int = 0) -> Soak:
    return Soak(PRINT, after, list(samples), transactions=9, seconds=1.0, lost=lost)


def test_what_grows_with_the_work_is_told() -> None:
    grown = Footprint(resident=23 * MIB, objects=1202, descriptors=6, threads=2, tasks=3)
    assert list(soaked(PRINT, grown).faults()) == [
        "resident memory grew by 3.00 MiB",
        "there are 201 objects more",
        "descriptors grew at work: 5, then 6",
        "threads grew at work: 1, then 2",
        "tasks grew at work: 1, then 3",
    ]


def test_what_is_left_at_the_end_is_told() -> None:
    left = PRINT._replace(descriptors=6, tasks=2)
    assert list(soaked(PRINT, PRINT, after=left, lost=1).faults()) == [
        "1 writes were lost",
        "descriptors before the engine 5, after it 6",
        "tasks before the engine 1, after it 2",
    ]


def test_what_the_engine_has_while_it_works_is_no_growth() -> None:
    at_work = PRINT._replace(descriptors=7, threads=3)
    assert list(soaked(at_work, at_work).faults()) == []


@pytest.mark.parametrize(
    ("values", "risen"),
    [
        ([5, 5, 5], 0.0),
        ([0, 10, 20, 30], 30.0),
        ([30, 20, 10, 0], -30.0),
        ([0, 0, 100, 0, 0], 0.0),
    ],
    ids=["level", "rising", "falling", "a spike is no slope"],
)
def test_growth_is_the_slope_of_all_samples(values: list[int], risen: float) -> None:
    assert rise(values) == pytest.approx(risen)
