"""The one timer of the process: when it rings, by which thread, and in a child."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import pytest

from plainsql import timer as module
from plainsql.timer import Timer
from tests.beside import until
from tests.unit.interrupting import interrupted_everywhere


def nothing() -> None:
    """Be called."""


def test_it_rings_at_its_times_whatever_their_order() -> None:
    timer, rung = Timer(), list[str]()
    now = time.monotonic()
    timer.ring_at(now + 0.05, lambda: rung.append("late"))
    timer.ring_at(now + 0.01, lambda: rung.append("early"))
    until(lambda: len(rung) == 2)
    assert rung == ["early", "late"]
    assert time.monotonic() >= now + 0.05


def test_one_thread_serves_all_and_is_begun_with_the_first() -> None:
    def threads() -> int:
        return sum(thread.name == "plainsql-timer" for thread in threading.enumerate())

    before, timer, rung = threads(), Timer(), list[int]()
    assert threads() == before
    for number in range(5):
        timer.ring_at(time.monotonic(), lambda number=number: rung.append(number))  # type: ignore[misc]
    until(lambda: len(rung) == 5)
    assert rung == [0, 1, 2, 3, 4]
    assert threads() == before + 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_has_a_thread_of_its_own_and_rings_for_nobody_else() -> None:
    timer, rung = Timer(), list[str]()
    timer.ring_at(time.monotonic() + 0.2, lambda: rung.append("parent's"))
    child = os.fork()
    if child == 0:
        done = threading.Event()
        timer.ring_at(time.monotonic() + 0.3, done.set)
        os._exit(0 if done.wait(10) and not rung else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    until(lambda: rung == ["parent's"])


def no_more_threads(_: threading.Thread) -> None:
    raise RuntimeError("can't create new thread")


def test_when_the_main_thread_has_ended_what_still_works_has_no_limits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python 3.12 begins no threads any more then."""
    ended = threading.Thread()
    monkeypatch.setattr(threading, "main_thread", lambda: ended)
    monkeypatch.setattr(threading.Thread, "start", no_more_threads)
    Timer().ring_at(time.monotonic(), lambda: None)


def test_a_thread_that_can_not_be_begun_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timer, rung = Timer(), threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_more_threads)
        with pytest.raises(RuntimeError, match="can't create new thread"):
            timer.ring_at(time.monotonic(), lambda: None)
    timer.ring_at(time.monotonic(), rung.set)
    assert rung.wait(10)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_fails_is_told_and_the_others_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    """A filter of the user's logging may fail, for one."""
    timer, rung, told = Timer(), threading.Event(), list[Any]()
    monkeypatch.setattr(threading, "excepthook", told.append)
    timer.ring_at(time.monotonic(), [].pop)
    timer.ring_at(time.monotonic() + 0.01, rung.set)
    assert rung.wait(10)
    (one,) = told
    assert (one.exc_type, one.thread.name) == (IndexError, "plainsql-timer")


@pytest.mark.parametrize("each", ["line", "opcode"])
def test_it_rings_on_whatever_was_interrupted_when_it_was_told(each: str) -> None:
    """Also where the thread sleeps, and what was interrupted is what comes first."""
    timer = Timer()
    timer.ring_at(time.monotonic() + 60, nothing)

    def tell() -> None:
        timer.ring_at(time.monotonic(), nothing)

    for _ in interrupted_everywhere(tell, module, each):
        rung = threading.Event()
        timer.ring_at(time.monotonic() + 0.01, rung.set)
        assert rung.wait(10)


def test_an_interrupt_as_the_thread_is_begun_costs_no_rings() -> None:
    timers: list[Timer] = []

    def begin() -> None:
        timers.append(Timer())
        timers[-1].ring_at(time.monotonic(), nothing)

    for _ in interrupted_everywhere(begin, module):
        rung = threading.Event()
        (timers or [Timer()])[-1].ring_at(time.monotonic(), rung.set)
        assert rung.wait(10)


def test_what_rings_in_a_thousand_years_keeps_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timer, rung, told = Timer(), threading.Event(), list[Any]()
    monkeypatch.setattr(threading, "excepthook", told.append)
    timer.ring_at(time.monotonic() + 1e11, nothing)
    timer.ring_at(time.monotonic() + 0.01, rung.set)
    assert rung.wait(10)
    assert told == []
