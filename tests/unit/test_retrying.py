"""Whether a transaction is tried again, and after how long: no clock, no chance."""

from __future__ import annotations

from typing import Any

import pytest

from plainsql.errors import (
    ArgumentError,
    CommitUnknown,
    DBAPIError,
    DeadlockDetected,
    Disconnected,
    LockTimeout,
)
from plainsql.retrying import Attempts, described


def retryable(outcome: Any = "not_applied") -> DBAPIError:
    error = DeadlockDetected("x")
    error.code, error.retryable, error.outcome = "1213", True, outcome
    return error


def most(_: float, high: float) -> float:
    return high


def test_the_longest_pause_doubles_up_to_a_second() -> None:
    attempts = Attempts(100, None, 0.0)
    pauses = [attempts.pause(retryable(), 0.0, most) for _ in range(9)]
    assert pauses == [0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0, 1.0]


def test_the_pause_is_drawn_from_nought_on() -> None:
    drawn: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        drawn.append((low, high))
        return 0.0

    assert Attempts(2, None, 0.0).pause(retryable(), 0.0, uniform) == 0.0
    assert drawn == [(0, 0.02)]


def test_so_many_attempts_and_no_more() -> None:
    attempts = Attempts(3, None, 0.0)
    pauses = [attempts.pause(retryable(), 0.0, most) for _ in range(3)]
    assert pauses[:2] == [0.02, 0.04]
    assert pauses[2] is None


def test_no_attempt_begins_at_or_after_the_deadline() -> None:
    attempts = Attempts(100, 5.0, 10.0)
    assert attempts.pause(retryable(), 14.9, most) == 0.02
    assert attempts.pause(retryable(), 14.96, most) is None
    assert attempts.left(14.0) == 1.0
    assert attempts.left(20.0) == 0.001
    assert Attempts(100, None, 10.0).left(1e9) is None


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(LockTimeout("x"), id="what is not retryable"),
        pytest.param(CommitUnknown("x"), id="a lost commit"),
        pytest.param(retryable("unknown"), id="an unknown outcome, whatever else is said"),
        pytest.param(retryable("applied"), id="what was applied"),
    ],
)
def test_there_is_no_other_attempt_after(error: DBAPIError) -> None:
    assert Attempts(100, None, 0.0).pause(error, 0.0, most) is None


def test_the_last_error_tells_all() -> None:
    attempts = Attempts(2, None, 1.0)
    first, last = retryable(), Disconnected("y")
    attempts.pause(first, 1.0, most)
    attempts.pause(last, 1.0, most)
    attempts.tell(last, 1.25)
    assert last.attempts == (first, last)
    assert last.__notes__ == [
        "run() made 2 attempts in 0.250 seconds: 1. DeadlockDetected (1213); 2. Disconnected"
    ]


def test_a_single_attempt_needs_no_note() -> None:
    attempts, error = Attempts(1, None, 0.0), retryable()
    attempts.pause(error, 0.0, most)
    attempts.tell(error, 0.0)
    assert error.attempts == (error,)
    assert not hasattr(error, "__notes__")


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "3", None])
def test_what_is_no_number_of_attempts_is_refused(wrong: Any) -> None:
    with pytest.raises(ArgumentError, match="attempts must be a whole number from 1 on, not"):
        Attempts(wrong, None, 0.0)


@pytest.mark.parametrize("wrong", [0, -1, "3", True, float("nan")])
def test_what_is_no_deadline_is_refused(wrong: Any) -> None:
    with pytest.raises(ArgumentError, match=r"deadline must be a number from 0\.001 on, not"):
        Attempts(1, wrong, 0.0)


def test_an_error_is_described_by_class_and_code() -> None:
    assert described(retryable()) == "DeadlockDetected (1213)"
    assert described(Disconnected("secret")) == "Disconnected"
