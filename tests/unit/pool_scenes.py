"""The sync pool in the hands of a scheduler: its server, its users, what must hold in the end."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from plainsql import ledger as book
from plainsql import outage
from plainsql._sync import pool as pools
from plainsql._sync.pool import QueuePool
from plainsql.concurrency import tell_dropped
from plainsql.errors import PoolClosed, PoolTimeout
from plainsql.ledger import Claim
from tests.unit.schedules import Cell, Mutex, Scheduler, SharedDeque, SharedList

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from tests.unit.schedules import Chooser

TIMEOUT = 30.0


class StubLink:
    """A connection to nowhere."""

    poll = last = None
    touched = lingers = False

    def __init__(self, server: StubServer) -> None:
        self._server = server
        self.is_alive = True
        self.user: str | None = None
        self.closed_by: list[int] = []

    def answers(self) -> bool:
        self._server.scheduler.pause("asks")
        return self.is_alive

    def restored(self, *, full: bool) -> bool:
        raise AssertionError(f"bug: nobody touched it, and full is {full}")

    def close(self) -> None:
        self._server.scheduler.pause("closes")
        self.finish()

    def abort(self, then: Callable[[], None] | None = None) -> None:
        self._server.scheduler.pause("aborts")
        self.finish()
        if then is not None:
            then()

    def cut(self) -> None:
        self._server.scheduler.pause("cuts")

    def orphan(self) -> None:
        """Another test may fork before this is collected."""

    def finish(self) -> None:
        self.closed_by.append(threading.get_ident())


class StubServer:
    """Opens connections, but fails as it was told to first."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.failures: list[BaseException] = []
        self.links: list[StubLink] = []

    def open(self) -> StubLink:
        self.scheduler.pause("connects")
        if self.failures:
            raise self.failures.pop(0)
        link = StubLink(self)
        self.links.append(link)
        return link

    def renew(self) -> None:
        pass

    close = renew


class NotingGate(outage.Gate):
    """Notes what it answered: on its way to who asked, no fingerprint could tell of it."""

    def admit(self, now: float, who: Any) -> float:
        who.answer = super().admit(now, who)
        return float(who.answer)


class World:
    """One pool on one schedule; a scene says who does what."""

    def __init__(
        self,
        chooser: Chooser,
        kind: type[QueuePool] = QueuePool,
        *,
        size: int = 1,
        drops: bool = False,
    ) -> None:
        self.is_by_line = chooser.by_line
        self.scheduler = Scheduler(chooser, (pools, book, outage))
        self.server = StubServer(self.scheduler)
        self._patches = pytest.MonkeyPatch()
        self._patch()
        opener: Any = self.server
        self.pool = kind(opener, size=size, max_overflow=0, timeout=TIMEOUT)
        if drops:  # else nobody changes it, and there is no choice where it is looked at
            self.pool._dropped = SharedDeque(self.scheduler)
        self.pool.ledger.stale = SharedList(self.scheduler)
        self.pool.ledger.doubtful = SharedList(self.scheduler)
        self.scheduler.watch = self._watch

    def _patch(self) -> None:
        scheduler, patch = self.scheduler, self._patches.setattr
        patch(pools, "Mutex", lambda: Mutex(scheduler))
        patch(pools, "Cell", lambda: Cell(scheduler))
        patch(pools, "Gate", NotingGate)
        patch(pools, "is_held", lambda _: False)  # nothing here comes amid its own step
        patch(pools, "rest", self._rest)
        patch(pools, "time", scheduler)
        patch(pools, "tell_dropped", self._tell_dropped)
        patch(pools, "_chance", lambda: 0.5)
        patch(pools, "warnings", SimpleNamespace(warn=lambda *_, **__: None))

    def _rest(self, seconds: float) -> None:
        self.scheduler.pause("rests", lambda: False, self.scheduler.monotonic() + seconds)

    def _tell_dropped(self, pool: QueuePool) -> None:
        self.scheduler.pause("tells of it")
        tell_dropped(pool)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._patches.undo()

    def _watch(self) -> None:
        ledger = self.pool.ledger
        assert len(ledger.slots) <= ledger.max, "there are more connections than allowed"

    # -- what actors do ------------------------------------------------------------------------

    def held(self) -> Claim:
        """A claim that holds a connection before the schedule begins."""
        claim = Claim()
        self.pool.acquire(claim)
        return claim

    def add(self, name: str, act: Callable[..., None], *args: Any, is_victim: bool = False) -> None:
        self.scheduler.add(name, lambda: act(*args), is_victim=is_victim)

    def use(self) -> None:
        """As a connection does: take, use, give back; give up whatever happens."""
        claim = Claim()
        started = self.scheduler.monotonic()
        try:
            slot = self.pool.acquire(claim)
        except PoolTimeout:
            assert self.scheduler.monotonic() >= started + TIMEOUT, "too early a PoolTimeout"
            self.pool.abandon(claim)
            raise
        except BaseException:
            self.pool.abandon(claim)
            raise
        self.use_and_release(claim, slot.raw)

    def use_and_release(self, claim: Claim, link: StubLink) -> None:
        try:
            me = self.scheduler.current
            assert me is not None
            assert link.user is None, f"{me.name} got what {link.user} uses"
            assert not link.closed_by, f"{me.name} got a closed connection"
            assert link.is_alive, f"{me.name} got a dead connection"
            link.user = me.name
            self.scheduler.pause("uses it")
            link.user = None
            self.pool.release(claim)
        except BaseException:
            link.user = None
            self.pool.abandon(claim)
            raise

    def give_back(self, claim: Claim) -> None:
        try:
            self.pool.release(claim)
        except BaseException:
            self.pool.abandon(claim)
            raise

    # -- how it ends ---------------------------------------------------------------------------

    def play(self, *allowed: type[BaseException]) -> None:
        """Run the schedule, and look whether anything was lost."""
        if not self.scheduler.run():
            return
        try:
            self._look_back((KeyboardInterrupt, PoolTimeout, *allowed))
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{self.scheduler.told()}") from None

    def _look_back(self, allowed: tuple[type[BaseException], ...]) -> None:
        for actor in self.scheduler.actors:
            if actor.error is not None and not isinstance(actor.error, allowed):
                raise AssertionError(f"{actor.name} ended by {actor.error!r}") from actor.error
            timed_out_alone = isinstance(actor.error, PoolTimeout) and actor.was_alone
            forgotten = actor.was_forgotten or timed_out_alone
            assert not forgotten, f"{actor.name} was forgotten"
        status = self.pool.status()
        sizes = (status.busy, status.connecting, status.waiting)
        assert sizes == (0, 0, 0), f"{status!r} after all"
        self._take_all()
        kept = {slot.raw for slot in self.pool.ledger.idle}
        for link in self.server.links:
            assert len(set(link.closed_by)) <= 1, "closed by two"
            was_interrupted = any(actor.was_interrupted for actor in self.scheduler.actors)
            assert len(link.closed_by) <= 1 or was_interrupted, "closed twice"
            assert not (link.closed_by and link in kept), "closed and kept"
            # what a call returned as the interrupt came is nobody's: its finaliser closes it
            nobodys = self.is_by_line and was_interrupted
            assert link.closed_by or link in kept or nobodys, "neither closed nor kept"

    def _take_all(self) -> None:
        """The pool has its size again: so many can be taken at once."""
        if self.pool.ledger.is_closed:
            with pytest.raises(PoolClosed):
                self.pool.acquire(Claim())
            self.pool._close_stale()
            return
        claims = [self.held() for _ in range(int(self.pool.ledger.max))]
        for claim in claims:
            self.pool.release(claim)
