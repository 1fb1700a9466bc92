"""The pool's shell: does what the ledger decides.

Floor 3, source of the sync twin.  The lock is held for a few steps of the ledger and never across
I/O; a place in the pool is freed before its connection is closed.  Who asks brings a claim;
whatever is raised, wherever, `abandon` gives up all that the claim has.
"""

from __future__ import annotations

import time
import warnings
from collections import deque
from contextlib import suppress
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from plainsql._async.leaks import AsyncLeaks
from plainsql.concurrency import (
    AsyncCell,
    AsyncMutex,
    current_loop_async,
    current_owner_async,
    is_amid_async,
    is_held_async,
    let_go_async,
    may_collect_async,
    name_owner_async,
    rest_async,
    shielded_async,
    tell_dropped_async,
)
from plainsql.errors import AuthenticationError, ConnectError, PoolError, PoolTimeout
from plainsql.forking import at_fork
from plainsql.holders import note_site, note_stack, site, told
from plainsql.ledger import FOREVER, Claim, Ledger, Slot
from plainsql.outage import FIRST, Gate
from plainsql.url import not_pickled

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql._async.link import AsyncLink, AsyncOpener
    from plainsql.ledger import PoolStatus

#: A connection that idled longer than this many seconds is asked before it is given out.
PING_AFTER = 1.0
#: How often it is looked whether what is in use came back, while the pool is closed.
CLOSING = 0.01
#: What was inherited by a child, and is kept as it is: to close it would speak to the server, or
#: let go of the locks on a file.
_inherited: list[Slot] = []


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
        full_reset: bool = False,
        stacks: bool = False,
        leak_after: float | None = None,
    ) -> None:
        self._opener = opener
        self._timeout = timeout
        self._recycle = recycle
        self._pre_ping = pre_ping
        self._full_reset = full_reset
        self._stacks = stacks
        self._leak_after = leak_after
        self._limits = (size, max_overflow)
        self._dropped: deque[Any] = deque()  # claims, and references to users that are no more
        #: Notes that a user is no more, even where its finalizer is interrupted: no line of Python.
        self.note_end: Callable[[Any], None] = self._dropped.append
        self._begin_afresh()
        at_fork.add(self)

    def _begin_afresh(self, *, closed: bool = False) -> None:
        self._mutex = AsyncMutex()
        self.ledger = Ledger(*self._limits)
        self.ledger.is_closed = closed  # for ever: in a child, and in the next loop, too
        self._gate = Gate()
        self._last_error: BaseException | None = None
        self.loop: Any = None
        self._leaks = None if self._leak_after is None else AsyncLeaks(self, self._leak_after)
        self._dropped.clear()

    # -- take ----------------------------------------------------------------------------------

    async def acquire(self, claim: Claim) -> Slot:
        """Take a connection: an idle one, a new one, or the next one to come back.

        `PoolTimeout` after `pool_timeout` seconds; `ConnectError` if none can be opened.
        """
        try:
            loop = current_loop_async()
            if loop is not self.loop:
                self._adopt(loop)
            if self._dropped:
                self.collect()
            now = time.monotonic()
            claim.owner = current_owner_async()
            with self._mutex:
                slot = self.ledger.take(claim, now)
                if slot is None:
                    claim.cell = AsyncCell()
            if slot is None:
                slot = await self._wait(claim, now + self._timeout)
            if slot.raw is None:
                await self._fill(slot, claim, now + self._timeout)
            elif self._is_doubtful(slot, now):
                await self._revive(slot, claim, now + self._timeout)
            if self.ledger.stale:
                await self._close_stale()
            note_site(claim)
            if self._stacks:
                note_stack(claim)
            if self._leaks is not None:
                self._leaks.note()
        except BaseException as exc:
            if claim.slot is not None or not isinstance(exc, PoolError):
                self.abandon(claim)
            if self._dropped:  # this one may have been told of it
                self.collect()
            raise
        return slot

    async def _wait(self, claim: Claim, deadline: float) -> Slot:
        cell: Any = claim.cell
        try:
            while claim.slot is None and claim.error is None:
                if self._dropped:
                    self.collect()
                elif not await cell.wait(deadline - time.monotonic()):
                    break
            with self._mutex:
                self.ledger.leave(claim)
            claim.cell = None
            if self._dropped:
                self.collect()
        except BaseException:
            self.abandon(claim, unused=True)
            raise
        if claim.error is not None:
            raise copy(claim.error) from claim.error  # each who waited raises its own
        if claim.slot is None:
            raise self._timed_out(claim)
        return claim.slot

    def _timed_out(self, claim: Claim) -> PoolTimeout:
        with self._mutex:
            self.ledger.timeouts += 1
            status, holders = self.ledger.status(), self.ledger.holders()
        own = sum(held.owner == claim.owner for _, held in holders)
        me = name_owner_async(claim.owner)
        kind = me.partition(" ")[0]
        limit = "" if status.max == FOREVER else f" of {status.max:g}"
        error = PoolTimeout(
            f"no connection came free within {self._timeout:g} seconds ({me}): "
            f"{status.busy} busy, {status.idle} idle, {status.connecting} connecting{limit} "
            f"(pool_size={status.size}), {status.waiting} waiting"
            + (f"; this {kind} itself holds {own} of them" if own else "")
            + (f"; held: {told(holders, time.monotonic(), name_owner_async)}" if holders else "")
            + (f"; last connect error: {self._last_error}" if self._last_error else "")
        )
        error.status = status
        return error

    async def _fill(self, slot: Slot, claim: Claim, deadline: float) -> None:
        """Open the connection of a place that was reserved for it.

        While a server that was there before is gone, it is tried again until the deadline.
        """
        while True:
            error = await self._open(slot, claim, deadline)
            if error is None:
                return
            if not self.ledger.opened_count or not _may_come_back(error):
                raise error
            if time.monotonic() >= deadline:
                raise self._timed_out(claim) from error

    async def _open(self, slot: Slot, claim: Claim, deadline: float) -> ConnectError | None:
        """Connect, when it is this one's turn; return the error that says why there is none."""
        while (pause := self._admit(claim)) > 0:
            left = deadline - time.monotonic()
            if left <= 0:
                raise self._timed_out(claim) from self._last_error
            await rest_async(min(pause, left, FIRST))  # the pool may be closed meanwhile
        link = None
        try:
            opening = self._opener.open()
            link = await shielded_async(opening, partial(self._bequeath, claim))
            self._opened(slot, link)
        except ConnectError as exc:
            self._failed(exc)
            return exc
        except BaseException:
            if link is not None and slot.raw is not link:
                link.abort()
            raise
        return None

    def _admit(self, claim: Claim) -> float:
        with self._mutex:
            self.ledger.require_open()
            return self._gate.admit(time.monotonic(), claim)

    def _opened(self, slot: Slot, link: AsyncLink) -> None:
        with self._mutex:
            self.ledger.require_open()
            now = time.monotonic()
            self.ledger.opened(slot, link, now, self._lifetime())
            self._gate.opened(now)
        self._last_error = None

    def _failed(self, error: ConnectError) -> None:
        self._last_error = copy(error)  # without the frames, which may hold connections
        with self._mutex:
            self._gate.failed(time.monotonic(), _chance())
            if isinstance(error, AuthenticationError):
                self.ledger.fail_waiters(error)

    def _bequeath(self, claim: Claim) -> Callable[[AsyncLink | BaseException], None]:
        """The caller was cancelled while it connected: what comes is for whoever waits."""
        heir = Claim()
        with self._mutex:
            self.ledger.bequeath(claim, heir)
            self._gate.bequeath(claim, heir)
        return partial(self._inherit, heir)

    def _inherit(self, heir: Claim, outcome: AsyncLink | BaseException) -> None:
        if isinstance(outcome, ConnectError):
            self._failed(outcome)
        link = None if isinstance(outcome, BaseException) else outcome
        if link is None or heir.slot is None or self.ledger.is_closed:
            if link is not None:
                link.abort()
            self.abandon(heir)
            return
        self._opened(heir.slot, link)
        with self._mutex:
            self.ledger.release(heir, time.monotonic())
        _abort_all(self.ledger.stale)  # it, if it is not to be kept

    def _lifetime(self) -> float:
        """Return the seconds a connection may live: a tenth of jitter lest all end at once."""
        return self._recycle * (1 - _chance() / 10)

    # -- examine -------------------------------------------------------------------------------

    def _is_doubtful(self, slot: Slot, now: float) -> bool:
        poll = slot.raw.poll
        if self._pre_ping or slot.epoch != self.ledger.epoch or (poll is not None and poll(0)):
            return True
        return self._pre_ping is None and now - slot.released >= PING_AFTER

    async def _revive(self, slot: Slot, claim: Claim, deadline: float) -> None:
        """Ask the server; where it does not answer, open another connection in the same place."""
        link: AsyncLink = slot.raw
        if await link.answers():
            slot.epoch = self.ledger.epoch
            return
        link.abort()  # while it is in the book: an interrupt may come
        with self._mutex:
            self.ledger.reopen(slot)
            self._gate.lost(time.monotonic())
        await self._fill(slot, claim, deadline)

    # -- give back -----------------------------------------------------------------------------

    async def release(self, claim: Claim) -> None:
        """Take a clean connection back: for the first who waits, or to keep."""
        try:
            slot = claim.slot
            if slot is None or slot.claim is not claim:
                return
            if is_held_async(self._mutex) and is_amid_async():
                self._note(claim)
                return
            link: AsyncLink = slot.raw
            if (link.touched or self._full_reset) and not await self._restored(slot):
                self.abandon(claim)
                return
            with self._mutex:
                self.ledger.release(claim, time.monotonic())
            if self.ledger.stale:
                await self._close_stale()
        except BaseException:
            self.abandon(claim)
            raise

    async def _restored(self, slot: Slot) -> bool:
        link: AsyncLink = slot.raw
        if link.touched:
            slot.epoch = -1  # it is asked before anybody gets it
        return await link.restored(full=self._full_reset)

    def abandon(self, claim: Claim, *, unused: bool = False) -> None:
        """Give up all that a claim has: free its place, then close what is in it.

        What was taken in another process or loop is left alone.  With `unused` the connection is
        as good as before, and stays.
        """
        if is_held_async(self._mutex) and is_amid_async():
            self._note(claim)
            return
        slot = claim.slot
        if slot is not None and slot.claim is claim and slot.raw is not None and slot.raw.lingers:
            self._outlive(slot, claim)
        with self._mutex:
            self.ledger.abandon(claim, time.monotonic(), unused=unused)
            self._gate.left(claim)
        let_go_async(self._mutex)
        _abort_all(self.ledger.doubtful)

    def _note(self, claim: Claim) -> None:
        """Leave to others what is given back by a finalizer, or a signal's handler, amid a step."""
        self._dropped.append(claim)
        tell_dropped_async(self)

    def _outlive(self, slot: Slot, claim: Claim) -> None:
        """Keep a place until the thread has ended that is still at work on its connection."""
        heir = Claim()
        with self._mutex:
            self.ledger.bequeath(claim, heir)
        slot.raw.abort(partial(self.abandon, heir))

    def drop(self, claim: Claim) -> None:
        """Take note of a connection whose user forgot it; called while garbage is collected."""
        slot = claim.slot
        if slot is None or slot.claim is not claim:
            return
        if not slot.closed:
            self._dropped.append(claim)
            tell_dropped_async(self)
        warnings.warn(
            f"a connection was dropped without close(); it was taken at {site(claim)}",
            ResourceWarning,
            stacklevel=3,
        )

    def collect(self) -> None:
        """Give up what was dropped; it stays noted until that is done."""
        for _ in range(len(self._dropped)):  # amid a step, each is noted again
            dropped = _first(self._dropped)
            if dropped is None:
                return
            self.abandon(dropped if isinstance(dropped, Claim) else self._claim_of(dropped))
            _forget(self._dropped, dropped)

    def _claim_of(self, user: Any) -> Claim:
        """Return the claim of a user whose finalizer was interrupted; else one of nobody's."""
        claims = [slot.claim for slot in list(self.ledger.slots)]
        return next((claim for claim in claims if claim and claim.user is user), Claim())

    async def _close_stale(self) -> None:
        slot: Slot | None = None
        try:
            while self.ledger.stale:
                slot = None
                slot = _next(self.ledger.stale)
                if slot is not None:
                    await slot.raw.close()
        except BaseException:
            if slot is not None:
                slot.raw.abort()
            raise

    def suspect(self) -> None:
        """A connection was lost: ask all older ones before they are given out."""
        with self._mutex:
            self.ledger.suspect()
            self._gate.lost(time.monotonic())

    # -- the pool itself -----------------------------------------------------------------------

    def begin_in_child(self) -> None:
        """Begin empty after a fork; what the parent opened is neither used nor closed here."""
        slots = self.ledger.forget()
        _inherited.extend(slots)
        self._begin_afresh(closed=self.ledger.is_closed)
        self._opener.begin_in_child()
        for slot in slots:
            slot.claim = None
            if slot.raw is not None:
                slot.raw.orphan()

    def _adopt(self, loop: Any) -> None:
        """Belong to the running loop; connections of a loop that was closed are given up."""
        if self.loop is not None:
            if not self.loop.is_closed():
                raise PoolError(
                    "this engine belongs to another event loop that is still there; "
                    "make one engine per loop, or dispose() of it in its own loop first"
                )
            self._finish_all()
            self._begin_afresh(closed=self.ledger.is_closed)
        self.loop = loop

    async def dispose(self) -> None:
        """Close idle connections now and busy ones when they come back."""
        try:
            with self._mutex:
                self.ledger.empty()
            await self._close_stale()
            if self.loop is not None and not self.ledger.slots:
                self.loop = None  # another one may have it, and the clock of this one may stop
                if self._leak_after is not None:
                    self._leaks = AsyncLeaks(self, self._leak_after)
        except BaseException:
            self.abandon(Claim())  # nobody's: it mends what was left half done
            raise
        self._opener.renew()

    async def close(self, timeout: float) -> None:
        """Close for ever; what is in use has `timeout` seconds to come back before it is cut."""
        deadline = time.monotonic() + timeout
        try:
            with self._mutex:
                self.ledger.close()
        except BaseException:
            self.abandon(Claim())
            raise
        await self._close_stale()
        while self.ledger.slots and time.monotonic() < deadline:
            await rest_async(CLOSING)
            self.collect()
        for slot in list(self.ledger.slots):
            if slot.raw is not None:
                slot.raw.cut()
        await self._close_stale()
        self._opener.close()

    def status(self) -> PoolStatus:
        """Return a snapshot: sizes and counters; may be called from any thread."""
        if self._dropped and may_collect_async(self):
            self.collect()
        with self._mutex:
            return self.ledger.status()

    def holders(self) -> list[tuple[Slot, Claim]]:
        """Return the connections that are held, and who holds them, longest first."""
        with self._mutex:
            return self.ledger.holders()

    def __del__(self) -> None:
        """Close without protocol what nobody disposed of."""
        if "ledger" in self.__dict__:
            self._finish_all()

    def _finish_all(self) -> None:
        for slot in self.ledger.forget():
            if slot.raw is not None:
                slot.raw.finish()
                slot.raw.orphan()

    __reduce__ = not_pickled

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.status()!r}>"


class AsyncNullPool(AsyncQueuePool):
    """Keeps nothing: every connection is opened when taken and closed when given back.

    `poolclass="NullPool"`.
    """

    def __init__(self, opener: AsyncOpener, **options: Any) -> None:
        # the next one gets a new session anyway
        own = {"size": 0, "max_overflow": -1, "full_reset": False}
        super().__init__(opener, **{**options, **own})


def _next(slots: list[Slot]) -> Slot | None:
    """Take one of what is to be closed, if no other thread is faster."""
    with suppress(IndexError):
        return slots.pop()
    return None


def _abort_all(slots: list[Slot]) -> None:
    """Close without any protocol what is on the list."""
    slot: Slot | None = None
    try:
        while slots:
            slot = None
            slot = _next(slots)
            if slot is not None:
                slot.raw.abort()
    except BaseException:
        if slot is not None:
            slot.raw.abort()  # once more is no harm
        raise


def _first(noted: Any) -> Any:
    """Return what is first on the list, or None; another thread may have taken it."""
    with suppress(IndexError):
        return noted[0]
    return None


def _forget(noted: Any, one: Any) -> None:
    """Take it off the list, unless another thread did that."""
    with suppress(ValueError):
        noted.remove(one)


def _may_come_back(error: ConnectError) -> bool:
    """Tell whether a server that was there before may let one in again, if one waits."""
    return type(error) is ConnectError and error.phase != "tls"


def _chance() -> float:
    import random

    return random.random()  # noqa: S311 - not a secret
