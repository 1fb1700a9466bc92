"""Tells of connections that are held for long, as those are that nobody gives back.

Floor 3, source of the sync twin.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

from plainsql.concurrency import ring_at_async
from plainsql.holders import site

if TYPE_CHECKING:
    from plainsql._async.pool import AsyncQueuePool
    from plainsql.ledger import Claim


class AsyncLeaks:
    """Logs, once, each connection of a pool that is held for more than `limit` seconds.

    One look serves all: thousands may be taken, and come back, before it.
    """

    def __init__(self, pool: AsyncQueuePool, limit: float) -> None:
        self._pool = ref(pool)
        self._limit = limit
        self._is_looking = False

    def note(self) -> None:
        """A connection was taken: look, when its time is over, whether it is still held."""
        if not self._is_looking:
            self._look_at(time.monotonic() + self._limit)

    def _look_at(self, when: float) -> None:
        try:
            self._is_looking = True
            ring_at_async(when, partial(_look, ref(self)))
        except BaseException:
            self._is_looking = False
            raise

    def look(self) -> None:
        """Tell of those whose time is over, and look again when the next one's is."""
        self._is_looking = False
        pool, now = self._pool(), time.monotonic()
        held = [] if pool is None else pool.holders()
        ends = {claim: slot.taken + self._limit for slot, claim in held if not claim.told}
        later = [end for end in ends.values() if end > now]
        if later:
            self._look_at(min(later))
        for claim, end in ends.items():
            if end <= now:
                claim.told = True
                self._tell(claim)

    def _tell(self, claim: Claim) -> None:
        import logging

        logging.getLogger("plainsql.pool").warning(
            "a connection is held for more than %g seconds; it was taken at %s%s",
            self._limit,
            site(claim),
            f"\n{claim.stack}" if claim.stack else "",
        )


def _look(leaks: ref[AsyncLeaks]) -> None:
    """Look, if the pool is still there; called by the timer."""
    there = leaks()
    if there is not None:
        there.look()
