"""The pool's shell: does what the ledger decides.

Floor 3, source of the sync twin.  The lock is held for a few steps of the ledger and never across
I/O; a place in the pool is freed before its connection is closed.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections import deque
from typing import TYPE_CHECKING, Any

from plainsql import concurrency
from plainsql.concurrency import (
    AsyncCell,
    AsyncMutex,
    current_loop_async,
    current_task_async,
    hard_close_async,
    shielded_async,
)
from plainsql.errors import AuthenticationError, NotSupportedError, PoolError, PoolTimeout
from plainsql.ledger import Ledger, Slot, Waiter
from plainsql.url import not_pickled

if TYPE_CHECKING:
    from types import CodeType, FrameType

    from plainsql._async.link import AsyncLink, AsyncOpener
    from plainsql.ledger import PoolStatus

#: A connection that idled longer than this many seconds is asked before it is given out.
PING_AFTER = 1.0
#: How often a waiter looks whether dropped connections came back.
TICK = 0.5
#: The modules that are passed over in search of the line that took a connection.
OURS = ("plainsql._", "plainsql.concurrency", "contextlib")
#: File name → whether it is one of them.
_ours: dict[str, bool] = {}


class AsyncQueuePool:
    """Connections of one engine, kept for reuse: LIFO, with FIFO waiters.

    `poolclass="QueuePool"`.  All methods but `status` are the engine's.
    """

    def __init__(
        self,
        opener: AsyncOpener,
        *,
        size: int = 5,
        max_overflow: int = 10,
        timeout: float = 30.0,
        recycle: float = 1800.0,
        pre_ping: bool | None = None,
    ) -> None:
        self._opener = opener
        self._dialect = opener.dialect
        self._timeout = timeout
        self._recycle = recycle
        self._pre_ping = pre_ping
        self._limits = (size, max_overflow)
        self._dropped: deque[Slot] = deque()
        self._last_error: BaseException | None = None
        self._inherited: list[Slot] = []
        self._begin_afresh()

    def _begin_afresh(self) -> None:
        self._mutex = AsyncMutex()
        self._ledger = Ledger(*self._limits)
        self._forks = concurrency.forks
        self._loop: Any = None
        self._dropped.clear()

    # -- take ----------------------------------------------------------------------------------

    async def acquire(self) -> Slot:
        """Take a connection: an idle one, a new one, or the next one to come back.

        `PoolTimeout` after `pool_timeout` seconds; `ConnectError` if none can be opened.
        """
        if self._forks != concurrency.forks:
            self._after_fork()
        loop = current_loop_async()
        if loop is not self._loop:
            self._adopt(loop)
        now = time.monotonic()
        if self._dropped:
            self._collect()
        with self._mutex:
            slot = self._ledger.take(now)
            queued = self._enqueue() if slot is None else None
        if self._ledger.stale:
            await self._close_stale()
        if slot is None:
            slot = await self._wait(queued, now)
        try:
            if slot.raw is None:
                await self._fill(slot)
            elif self._is_doubtful(slot, now):
                await self._revive(slot)
        except BaseException:
            self.discard(slot)
            raise
        slot.holder = site()
        return slot

    def _enqueue(self) -> tuple[Waiter, AsyncCell]:
        """Take a place in the queue; called with the lock held."""
        cell = AsyncCell()
        waiter = Waiter(cell.wake)
        self._ledger.enqueue(waiter)
        return waiter, cell

    async def _wait(self, queued: Any, now: float) -> Slot:
        waiter, cell = queued
        deadline = now + self._timeout
        try:
            while not await cell.wait(min(TICK, deadline - time.monotonic())):
                if self._dropped:
                    self._collect()
                elif time.monotonic() >= deadline:
                    break
        except BaseException:
            self._give_up(waiter)
            raise
        if waiter.error is not None:
            raise waiter.error
        slot = waiter.slot or self._leave_queue(waiter)
        if slot is None:
            raise self._timed_out()
        return slot

    def _leave_queue(self, waiter: Waiter) -> Slot | None:
        """Give up a place in the queue; return what was assigned at the last moment."""
        with self._mutex:
            return self._ledger.abandon(waiter)

    def _give_up(self, waiter: Waiter) -> None:
        """Give up a place in the queue because of an exception; pass on what was assigned."""
        slot = self._leave_queue(waiter)
        if slot is not None and slot.raw is not None:
            self._hand_back(slot)
        elif slot is not None:
            self.discard(slot)

    def _timed_out(self) -> PoolTimeout:
        with self._mutex:
            self._ledger.timed_out()
            status = self._ledger.status()
            sites = [described(holder) for holder in self._ledger.holders()]
        holders = "; ".join(list(dict.fromkeys(sites))[:5])
        error = PoolTimeout(
            f"no connection came free within {self._timeout:g} seconds ({current_task_async()}): "
            f"{status.busy} busy, {status.idle} idle, {status.connecting} connecting of "
            f"{status.max:g}, {status.waiting} waiting"
            + (f"; taken at {holders}" if holders else "")
            + (f"; last connect error: {self._last_error}" if self._last_error else "")
        )
        error.status = status
        return error

    async def _fill(self, slot: Slot) -> None:
        """Open the connection of a place that was reserved for it."""
        try:
            link = await shielded_async(self._opener.open(), self._orphan)
        except BaseException as exc:
            self._last_error = exc
            if isinstance(exc, AuthenticationError):
                self._fail_waiters(exc)
            raise
        self._last_error = None
        with self._mutex:
            self._ledger.opened(slot, link, time.monotonic(), self._lifetime())

    def _orphan(self, link: AsyncLink) -> None:
        """A connection came for a caller who was cancelled: its place is given up already."""
        hard_close_async(self._dialect, link.raw)

    def _lifetime(self) -> float:
        """Return the seconds a connection may live: a tenth of jitter lest all end at once."""
        import random

        return self._recycle * random.uniform(0.9, 1.0)  # noqa: S311 - not a secret

    # -- examine -------------------------------------------------------------------------------

    def _is_doubtful(self, slot: Slot, now: float) -> bool:
        poll = slot.raw.poll
        if self._pre_ping or slot.epoch != self._ledger.epoch or (poll is not None and poll(0)):
            return True
        return self._pre_ping is None and now - slot.released >= PING_AFTER

    async def _revive(self, slot: Slot) -> None:
        """Ask the server; where it does not answer, open another connection in the same place."""
        link: AsyncLink = slot.raw
        if self._dialect.is_open(link.own) and await self._answers(link):
            slot.epoch = self._ledger.epoch
            return
        hard_close_async(self._dialect, link.raw)
        with self._mutex:
            self._ledger.reopen(slot)
        await self._fill(slot)

    async def _answers(self, link: AsyncLink) -> bool:
        sql = self._dialect.ping_sql
        if sql is None:
            return True
        try:
            await link.cursor.execute(sql)
            if link.columns(link.own_cursor) is not None:
                await link.cursor.fetchall()
        except self._dialect.driver_error:
            return False
        return True

    # -- give back -----------------------------------------------------------------------------

    async def release(self, slot: Slot) -> None:
        """Take a clean connection back: hand it to the first waiter, or keep it."""
        link: AsyncLink = slot.raw
        if link.touched and not await self._restored(slot):
            self.discard(slot)
            return
        self._hand_back(slot)
        if self._ledger.stale:
            await self._close_stale()

    async def _restored(self, slot: Slot) -> bool:
        """End what the user may have begun on the driver's own connection; ask it before reuse."""
        link: AsyncLink = slot.raw
        link.touched = False
        slot.epoch = -1
        if not self._dialect.is_open(link.own):
            return False
        try:
            if self._dialect.transaction_state(link.own) != "idle":
                await link.cursor.execute("ROLLBACK")
            await link.learn_mode()
        except (self._dialect.driver_error, NotSupportedError):
            return False
        return True

    def _hand_back(self, slot: Slot) -> None:
        slot.holder = None
        if self._is_inherited(slot):
            return
        with self._mutex:
            waiter = self._ledger.release(slot, time.monotonic())
        if waiter is not None:
            waiter.wake()

    def discard(self, slot: Slot) -> None:
        """Free the place of a doubtful connection, then close it without protocol."""
        link = slot.raw
        if self._is_inherited(slot):
            return
        with self._mutex:
            waiter = self._ledger.discard(slot)
        if waiter is not None:
            waiter.wake()
        if link is not None:
            hard_close_async(self._dialect, link.raw)

    def _is_inherited(self, slot: Slot) -> bool:
        """Tell whether a place was taken in another process or loop; it is left alone."""
        if self._forks != concurrency.forks:
            self._inherited.append(slot)
            return True
        return slot in self._inherited

    def drop(self, slot: Slot) -> None:
        """Take note of a connection whose user forgot it; called while garbage is collected."""
        self._dropped.append(slot)
        warnings.warn(
            f"a connection was dropped without close(); it was taken at {described(slot.holder)}",
            ResourceWarning,
            stacklevel=3,
        )

    def _collect(self) -> None:
        while self._dropped:
            self.discard(self._dropped.popleft())

    async def _close_stale(self) -> None:
        with self._mutex:
            stale = self._ledger.drain_stale()
        for slot in stale:
            await self._close(slot)

    async def _close(self, slot: Slot) -> None:
        link: AsyncLink = slot.raw
        try:
            await link.raw.close()
        except (self._dialect.driver_error, OSError):
            hard_close_async(self._dialect, link.raw)

    def suspect(self) -> None:
        """A connection was lost: ask all older ones before they are given out."""
        with self._mutex:
            self._ledger.suspect()

    def _fail_waiters(self, error: BaseException) -> None:
        with self._mutex:
            waiters = self._ledger.fail_waiters(error)
        for waiter in waiters:
            waiter.wake()

    # -- the pool itself -----------------------------------------------------------------------

    def _after_fork(self) -> None:
        """Begin empty in a child; the parent's connections are kept from being closed."""
        self._inherited.extend(self._ledger.forget())
        self._begin_afresh()

    def _adopt(self, loop: Any) -> None:
        """Belong to the running loop; connections of a loop that was closed are given up."""
        if self._loop is not None:
            if not self._loop.is_closed():
                raise PoolError(
                    "this engine belongs to another event loop that is still there; "
                    "make one engine per loop, or dispose() of it in its own loop first"
                )
            self._inherited.extend(self._ledger.forget())
            self._begin_afresh()
        self._loop = loop

    async def dispose(self, *, final: bool = False) -> None:
        """Close idle connections now and busy ones when they come back."""
        with self._mutex:
            slots, waiters = self._ledger.close() if final else (self._ledger.empty(), [])
        for waiter in waiters:
            waiter.wake()
        for slot in slots:
            await self._close(slot)
        await self._close_stale()
        self._opener.renew()

    def status(self) -> PoolStatus:
        """Return a snapshot: sizes and counters."""
        with self._mutex:
            return self._ledger.status()

    def __del__(self) -> None:
        """Close without protocol what nobody disposed of; in a child it is the parent's."""
        ledger = self.__dict__.get("_ledger")
        if ledger is None or self._forks != concurrency.forks:
            return
        for slot in ledger.forget():
            if slot.raw is not None:
                slot.raw.finish()

    __reduce__ = not_pickled

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.status()!r}>"


class AsyncNullPool(AsyncQueuePool):
    """Keeps nothing: every connection is opened when taken and closed when given back.

    `poolclass="NullPool"`.
    """

    def __init__(self, opener: AsyncOpener, **options: Any) -> None:
        super().__init__(opener, **{**options, "size": 0, "max_overflow": -1})


def site() -> tuple[CodeType, int] | None:
    """Find the line that took a connection: the first frame that is not plainsql's."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        name = code.co_filename
        ours = _ours.get(name)
        if ours is None:
            ours = _ours[name] = frame.f_globals.get("__name__", "").startswith(OURS)
        if not ours:
            return code, frame.f_lineno
        frame = frame.f_back
    return None


def described(holder: tuple[CodeType, int] | None) -> str:
    """Return what `site` found, for a message."""
    if holder is None:
        return "an unknown place"
    code, line = holder
    return f"{code.co_filename}:{line} in {code.co_name}"
