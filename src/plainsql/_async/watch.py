"""The time limit of what runs on one connection: cancel it when the time is over, then cut it off.

Floor 3, source of the sync twin.  `ring` may come from the timer's thread at any moment, so what
it decides is decided under the lock; asking the server to stop is an errand of its own, since a
server that hangs may hang there too.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from plainsql.concurrency import AsyncErrand, AsyncMutex, cancel_async, ring_at_async
from plainsql.errors import NotSupportedError
from plainsql.twin import Twin

if TYPE_CHECKING:
    from plainsql.dialect import Dialect

#: Seconds that the server's own limit is given before the client asks for the end, and then the
#: answer before the socket is shut.
GRACE = 0.25
#: Seconds by which a server's own limit may come early: its clock is another one, and coarser.
EARLY = 0.02


class AsyncWatch:
    """One connection's; armed for a call, disarmed after it.

    `limit` is the seconds of the last call that was watched; `is_over` tells whether they elapsed.
    `asked`: the server was asked to stop, and its answer may still be on its way; `cut`: the socket
    was shut.
    """

    __slots__ = (
        "__weakref__", "_dialect", "_due", "_errand", "_mutex", "_own", "_raw", "_rings", "_twin",
        "asked", "cut", "ends", "limit",
    )  # fmt: skip

    def __init__(self, dialect: Dialect, raw: Any, own: Any) -> None:
        self._dialect = dialect
        self._raw = raw
        self._own = own
        self._mutex = AsyncMutex()
        self._errand: AsyncErrand | None = None
        self._due: float | None = None  # when something is to happen; None: nothing is watched
        self._rings: float | None = None  # when the timer rings next
        self._twin: Twin | None = None
        self.ends = self.limit = 0.0
        self.asked = self.cut = False

    def arm(self, limit: float, seconds: float) -> None:
        """Watch from now on what must end within `seconds`; `limit` is what the user asked for."""
        self.limit, self.ends = limit, time.monotonic() + seconds
        fd = self._dialect.fileno(self._own)
        self._twin = None if fd is None or fd < 0 else Twin(fd)
        with self._mutex:
            self._ring_at(self.ends + GRACE)

    async def disarm(self) -> None:
        """Stop watching; a request to stop that is under way has arrived then."""
        try:
            with self._mutex:
                self._due = None
                errand, self._errand = self._errand, None
            if errand is None:
                return
            self.asked = True
            if not await errand.is_done(GRACE):
                self._cut_off()  # or it would hit what comes next
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Watch nothing; also when a link is closed whose watch was interrupted as it ended."""
        with self._mutex:
            self._due = None
        if self._twin is not None:
            self._twin.close()

    @property
    def is_armed(self) -> bool:
        """Whether something is watched, or was and is not settled yet."""
        return self._due is not None or self._errand is not None

    def is_over(self) -> bool:
        """Tell whether the time of what was watched last has elapsed."""
        return self.asked or time.monotonic() >= self.ends - EARLY

    def _ring_at(self, when: float) -> None:
        """Let the timer ring then, at the latest; called with the lock held."""
        self._due = when
        if self._rings is None or when < self._rings:
            ring_at_async(when, partial(_ring, ref(self)))
            self._rings = when  # not before: an interrupt may come instead

    def ring(self) -> None:
        """Do what is due; called when the timer rings."""
        with self._mutex:
            now = time.monotonic()
            if self._rings is not None and self._rings <= now:
                self._rings = None
            if self._due is None:
                return
            if now < self._due:
                self._ring_at(self._due)
            elif self._errand is None:
                self._ring_at(now + GRACE)
                self._errand = AsyncErrand(self._cancel)
            else:
                self._due = None
                self._cut_off()

    async def _cancel(self) -> None:
        with suppress(self._dialect.driver_error, OSError, NotSupportedError):
            await cancel_async(self._dialect, self._raw, self._own)

    def _cut_off(self) -> None:
        """Shut the socket: whoever waits for an answer is told that the connection is lost."""
        self.cut = True
        with suppress(self._dialect.driver_error, OSError):
            if self._twin is None:
                self._dialect.abort(self._own)
            else:
                self._twin.shut()


def _ring(watch: ref[AsyncWatch]) -> None:
    """Ring, if the watch is still there: the timer keeps no connection that nobody else does."""
    there = watch()
    if there is not None:
        there.ring()
