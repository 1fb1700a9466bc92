"""A blocking connect amid interrupts: none hangs, and no connection stays that nobody has."""

from __future__ import annotations

import random
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from plainsql.deadline import within
from tests.beside import until
from tests.steps.running import limited
from tests.unit.interrupting import Interrupt

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Connects of the storm.
TIMES = 300


class Made:
    """A driver's connection."""

    def __init__(self) -> None:
        self.times_closed = 0

    def close(self) -> None:
        self.times_closed += 1


@contextmanager
def raised_by(number: signal.Signals) -> Iterator[None]:
    """Let the signal raise Interrupt in the main thread, as Ctrl-C would."""

    def strike(number: int, frame: object) -> None:
        del number, frame
        raise Interrupt

    before = signal.signal(number, strike)
    try:
        yield
    finally:
        signal.signal(number, before)


def connecting() -> list[str]:
    return [
        thread.name
        for thread in threading.enumerate()
        if thread.name == "plainsql-connect" and thread.is_alive()
    ]


@pytest.mark.parametrize("outcome", [None, ValueError("refused")], ids=["made", "failed"])
def test_an_interrupt_that_is_heard_with_the_outcome_comes_instead_of_it(
    outcome: ValueError | None,
) -> None:
    """A signal that hits the connecting thread is heard by this one as soon as that woke it."""
    made = Made()

    def connect() -> Made:
        signal.raise_signal(signal.SIGUSR1)
        if outcome is not None:
            raise outcome
        return made

    with raised_by(signal.SIGUSR1), pytest.raises(Interrupt):
        limited(within, 60, connect)
    until(lambda: not connecting())
    assert made.times_closed == (outcome is None)


def test_a_connection_that_comes_after_an_interrupt_is_closed() -> None:
    made, release = Made(), threading.Event()
    main = threading.get_ident()

    def connect() -> Made:
        signal.pthread_kill(main, signal.SIGUSR1)
        release.wait()
        return made

    with raised_by(signal.SIGUSR1), pytest.raises(Interrupt):
        limited(within, 60, connect)
    release.set()
    until(lambda: not connecting())
    assert made.times_closed == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_amid_a_storm_each_connection_is_either_given_or_closed() -> None:
    """An interrupt may come in a finalizer of `threading`, out of which nothing is raised."""
    opened, given = list[Made](), list[Made]()

    def connect() -> Made:
        opened.append(Made())
        return opened[-1]

    chance = random.Random(4711)
    with raised_by(signal.SIGALRM):
        for _ in range(TIMES):
            try:
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 2e-3))
                given.append(within(60, connect))
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Interrupt:
                pass

    until(lambda: not connecting())
    assert [made.times_closed for made in opened] == [made not in given for made in opened]
    assert 0 < len(given) < TIMES
