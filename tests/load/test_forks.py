"""The share of `make forks` that every run takes: forks amid traffic, and programs that end.

What one fork does to the pool's book, step by step, stands in `tests/unit/test_pool_boundaries`.
"""

from __future__ import annotations

import os

import pytest

from tests.load.ending import CASES
from tests.load.exits import Ended, end, told
from tests.load.forking import fork

FORKS = 5
#: Seconds that a child may take; the machine may be busy with other tests.
LIMIT = 5.0
EXITS = (
    *("running", "running_disposed", "outlived"),
    *("loop_closed_running", "loop_running", "loop_outlived", "loop_outlived_with_a_limit"),
)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("side", ["sync", "async"])
def test_children_work_whatever_the_parents_threads_are_at(url: str, side: str) -> None:
    came = fork(url, side, FORKS)
    faults = list(came.faults(LIMIT))
    print(came, *faults, sep="\n")
    assert not faults


@pytest.mark.slow
def test_programs_end_soon_silently_and_by_their_own_code(url: str) -> None:
    ends = end(url, [case for case in EXITS if case in CASES])
    faults = [fault for ended in ends for fault in ended.faults()]
    print(told(ends), *faults, sep="\n")
    assert not faults


@pytest.mark.parametrize(
    ("ended", "fault"),
    [
        (Ended("c", 7, "", 4.9), []),
        (Ended("c", 7, "", 5.1), ["c: took 5.1 s"]),
        (Ended("c", 0, "", 0.1), ["c: exit code 0, said ''"]),
        (Ended("c", 7, "oh", 0.1), ["c: exit code 7, said 'oh'"]),
        (Ended("c", None, "", 15.0), ["c: did not end in 15 s; "]),
    ],
    ids=["in good order", "late", "by another code", "not in silence", "never"],
)
def test_a_bad_end_is_told(ended: Ended, fault: list[str]) -> None:
    assert list(ended.faults()) == fault
