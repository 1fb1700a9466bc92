"""A storm of interrupts: signals in the main thread that raise, or, async, cancellations.

The names with `Async` or `_async` are what `tests/_async` uses; the others are their sync twins.
`PLAINSQL_STORM_SECONDS=60` lets it blow for a minute.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

SECONDS = float(os.environ.get("PLAINSQL_STORM_SECONDS", "2"))
#: Seconds between two strokes; SQLite is done with all its work in less than a millisecond.
INTERVAL = (0.0001, 0.005)


class Pressed(KeyboardInterrupt):
    """Ctrl-C."""


class Elapsed(BaseException):
    """A time-out as gevent raises it: no Exception, and out of any wait."""


kinds: list[type[BaseException]] = [Pressed, Elapsed]
kinds_async: list[type[BaseException]] = [asyncio.CancelledError]


class Storm:
    """Signals in the main thread that raise while a call is under way, each few milliseconds."""

    def __init__(self, kind: type[BaseException]) -> None:
        self._kind = kind
        self._random = random.Random(4711)
        self._blows = False
        self.strokes = 0

    def run(self, call: Callable[..., Any], *args: Any) -> bool:
        """Make a call amid the storm; tell whether it came to its end."""
        before = signal.signal(signal.SIGALRM, self._strike)
        self._blows = True
        self._wait()
        try:
            self._under_way(call, *args)
        except self._kind:
            return False
        finally:
            self._blows = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        return True

    def _under_way(self, call: Callable[..., Any], *args: Any) -> None:
        call(*args)

    def _wait(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, self._random.uniform(*INTERVAL))

    def _strike(self, number: int, frame: FrameType | None) -> None:
        del number
        if not self._blows:
            return
        self._wait()
        if self._may_raise(frame):
            self.strokes += 1
            raise self._kind

    def _may_raise(self, frame: FrameType | None) -> bool:
        """Tell whether the call is under way; out of a finalizer nothing can be raised."""
        while frame is not None and frame.f_code.co_name != "__del__":
            if frame.f_code is Storm._under_way.__code__:
                return True
            frame = frame.f_back
        return False


class AsyncStorm:
    """Cancellations of a task while its call is under way, each few milliseconds."""

    def __init__(self, kind: type[BaseException]) -> None:
        del kind
        self._random = random.Random(4711)
        self.strokes = 0

    async def run(self, call: Callable[..., Any], *args: Any) -> bool:
        """Make a call amid the storm; tell whether it came to its end."""
        task = asyncio.ensure_future(call(*args))
        while True:
            await asyncio.wait([task], timeout=self._random.uniform(*INTERVAL))
            if task.done():
                break
            self.strokes += task.cancel()
        if task.cancelled():
            return False
        await task
        return True
