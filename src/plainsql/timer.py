"""Calls functions at their times, in one thread for the whole process.

Floor 3.
"""

from __future__ import annotations

import threading
import time
from _thread import RLock
from contextlib import suppress
from functools import partial
from heapq import heappop, heappush
from itertools import count
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from plainsql.forking import at_fork

if TYPE_CHECKING:
    from collections.abc import Callable

    #: When, in what order, and what is to be called.
    Ring = tuple[float, int, Callable[[], None]]


class Timer:
    """Calls functions at their times, in one thread for the whole process; begun when needed.

    One call of C gives the thread what it is to ring: an interrupt comes before or after it, and
    leaves no lock behind that is taken, nor a thread that sleeps on.
    """

    def __init__(self) -> None:
        self.begin_in_child()
        at_fork.add(self)

    def begin_in_child(self) -> None:
        """Begin anew after a fork: the thread, and what it was given, are the parent's."""
        self._numbers, self._mutex = count(), RLock()
        self._given: SimpleQueue[Ring] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def ring_at(self, when: float, act: Callable[[], None]) -> None:
        """Call `act` at that time of the monotonic clock; it must not block."""
        self._given.put((when, next(self._numbers), act))
        if self._thread is None:
            with self._mutex:
                self._begin()

    def _begin(self) -> None:
        if self._thread is not None:
            return
        work = partial(_ring_all, self._given)
        thread = threading.Thread(target=work, name="plainsql-timer", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if threading.main_thread().is_alive():
                raise
            return  # Python 3.12 begins none any more: what still works has no limits
        self._thread = thread


def _ring_all(given: SimpleQueue[Ring]) -> None:
    """Ring what is given, for ever; of two threads that do, each rings what it got."""
    times: list[Ring] = []
    while True:
        try:
            _next(given, times)()
        except Exception as exc:  # noqa: BLE001 - the limits of all others depend on this thread
            told = (type(exc), exc, exc.__traceback__, threading.current_thread())
            threading.excepthook(threading.ExceptHookArgs(told))
            del exc, told


def _next(given: SimpleQueue[Ring], times: list[Ring]) -> Callable[[], None]:
    """Wait for the first of all times, and return what is to be called then."""
    while (left := times[0][0] - time.monotonic() if times else threading.TIMEOUT_MAX) > 0:
        with suppress(Empty):
            heappush(times, given.get(timeout=min(left, threading.TIMEOUT_MAX)))
    return heappop(times)[2]
