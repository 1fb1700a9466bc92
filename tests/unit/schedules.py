"""Threads that run one at a time, in an order that is chosen: every order, or one drawn by a seed.

Code under test calls `Scheduler.pause` by its doubles: a mutex, a cell, a sleep, a list, a server.
There a choice is made: the thread goes on, another one does, a wait times out, the victim is
interrupted.  Time is virtual.  The same choices lead to the same schedule.

`explore` may give up a schedule in a state that it has seen with as many preemptions left: whatever
could follow is played from there.  That is sound as far as a fingerprint tells of all that what
follows depends on, the looks at each step and at the end included; a test compares.
"""

from __future__ import annotations

import gc
import random
import sys
import threading
from collections import deque
from itertools import chain, groupby, permutations, product
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tests.unit.fingerprints import BEGINNING, Fingerprint, handled, moment, stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType, ModuleType

#: No scene takes more steps than this.
MOST_STEPS = 3000
#: Why a schedule was given up that has not failed.
SEEN = "it came to a state that was seen before"


class ScheduleError(AssertionError):
    """A schedule led to what must not be."""


class Abandoned(BaseException):
    """Ends the threads of a schedule that has failed, or was given up."""


class Chooser(Protocol):
    """Decides how a schedule goes on; `by_line`, there is a choice before each line, too."""

    by_line: bool

    def choose(self, costs: Sequence[int], state: Callable[[], bytes | None]) -> int | None:
        """Return which of the options it is, or None: no further; each costs some preemptions.

        At the end there are no options.
        """


class Way(NamedTuple):
    """A choice that was made, or is to be: in which state, and what was chosen before."""

    before: Way | None
    choice: int
    spent: int  # preemptions, until then
    state: bytes | None

    def all(self) -> Iterator[Way]:
        way: Way | None = self
        while way is not None:
            yield way
            way = way.before


class Script:
    """Goes a way, then always on, until it comes to a state that was seen; notes other ways."""

    def __init__(
        self,
        way: Way | None = None,
        spent: int = 0,
        seen: set[bytes] | None = None,
        *,
        by_line: bool = False,
    ) -> None:
        self.by_line = by_line
        self.others: list[tuple[Way, int]] = []
        self._way = way
        self._plan = [] if way is None else [one.choice for one in way.all()]
        self._spent = spent
        self._seen = seen

    def choose(self, costs: Sequence[int], state: Callable[[], bytes | None]) -> int | None:
        if self._plan:
            return self._plan.pop()
        here = None
        if self._seen is not None:
            here = state()
            if here in self._seen:
                self._look_for_circle(here)
                return None
            if here is not None:
                self._seen.add(here)
        for choice in range(1, len(costs)):
            way = Way(self._way, choice, self._spent, here)
            self.others.append((way, self._spent + costs[choice]))
        self._way = Way(self._way, 0, self._spent, here)
        return 0

    def _look_for_circle(self, here: bytes) -> None:
        ways = () if self._way is None else self._way.all()
        if any(way.state == here and way.spent == self._spent for way in ways):
            raise ScheduleError("the schedule goes in a circle")


class Drawn:
    """Goes on most of the time, and draws the rest by a seed."""

    def __init__(self, seed: int, *, by_line: bool = False) -> None:
        self.by_line = by_line
        self._random = random.Random(seed)

    def choose(self, costs: Sequence[int], _state: Callable[[], bytes | None]) -> int:
        if not costs or self._random.random() < 0.7:
            return 0
        return self._random.randrange(len(costs))


def explore(
    play: Callable[[Chooser], None],
    preemptions: int,
    *,
    by_line: bool = False,
    seen: set[bytes] | None = None,
) -> int:
    """Play every schedule of so many preemptions at most; return how many there are.

    Those of fewer preemptions come first, so that a state that is in `seen` had at least as many
    left; among the others the search is depth first, so that a circle leads to what is before it.
    """
    if by_line and seen is not None:
        raise AssertionError("bug: by line, a state is more than its fingerprint")
    ways: list[list[Way | None]] = [[None], *([] for _ in range(preemptions))]
    count = 0
    for spent, these in enumerate(ways):
        while these:
            script = Script(these.pop(), spent, seen, by_line=by_line)
            play(script)
            count += 1
            for way, cost in script.others:
                if cost <= preemptions:
                    ways[cost].append(way)
    return count


class Actor:
    """A thread of a scene."""

    def __init__(self, name: str, act: Callable[[], None], *, is_victim: bool) -> None:
        self.name = name
        self.act = act
        self.is_victim = is_victim
        self.gate = threading.Lock()
        self.gate.acquire()
        self.ready: Callable[[], bool] | None = None
        self.until: float | None = None
        self.how = "on"
        self.has_begun = self.has_ended = False
        self.was_interrupted = False
        self.was_alone = False  # its time ran out when nobody else could run
        self.was_forgotten = False  # and that in a cell, where it waited for others
        self.error: BaseException | None = None
        self.ident = 0  # while it is at work, or was

    def facts(self) -> tuple[Any, ...]:
        """Return what matters of it at a choice: `how` is set by that before it is read."""
        act = None if self.has_begun else self.act
        state = (act, self.has_begun, self.has_ended, self.is_victim, self.was_interrupted)
        return (
            *state,
            self.was_alone,
            self.was_forgotten,
            self.ready,
            self.until,
            type(self.error),
        )

    def can_run(self) -> bool:
        return not self.has_ended and (self.ready is None or self.ready())


class Scheduler:
    """Runs the actors of one schedule; also their clock."""

    def __init__(self, chooser: Chooser, modules: Sequence[ModuleType]) -> None:
        self._chooser = chooser
        self._files = {module.__file__ for module in modules if chooser.by_line}
        self.actors: list[Actor] = []
        self.current: Actor | None = None
        self.failure: str | None = None
        self.watch: Callable[[], None] = lambda: None
        self.story: list[tuple[float, str, str]] = []
        self._now = BEGINNING
        self._over = threading.Lock()

    # -- the clock -----------------------------------------------------------------------------

    def monotonic(self) -> float:
        """Return a time that is not told again; only what is late gets on to the next moment."""
        self._now += 1e-6
        return self._now

    # -- a schedule ----------------------------------------------------------------------------

    def add(self, name: str, act: Callable[[], None], *, is_victim: bool = False) -> None:
        self.actors.append(Actor(name, act, is_victim=is_victim))

    def run(self) -> bool:
        """Run all actors, no garbage is collected amid them; tell whether to their end."""
        gc.disable()
        try:
            self._run()
        finally:
            gc.enable()
        return self.failure is None

    def _run(self) -> None:
        self._over.acquire()
        threads = [threading.Thread(target=self._live, args=(a,), daemon=True) for a in self.actors]
        for thread in threads:
            thread.start()
        self._hand_over()
        if not self._over.acquire(timeout=60):
            raise ScheduleError("a thread got stuck outside the scheduler\n" + self.told())
        self.current = None
        for thread in threads:
            thread.join()
        if self.failure not in {None, SEEN}:
            raise ScheduleError(f"{self.failure}\n{self.told()}")

    def told(self) -> str:
        return "\n".join(f"{now - BEGINNING:9.3f} {name}: {what}" for now, name, what in self.story)

    def _live(self, actor: Actor) -> None:
        actor.gate.acquire()
        actor.has_begun = True
        actor.ident = threading.get_ident()
        try:
            if self.failure is None:
                if self._files:
                    sys.settrace(self._trace)
                actor.act()
        except BaseException as exc:  # noqa: BLE001 - told to the test
            actor.error = exc
            self._note(actor, f"ends: {exc!r}")
        actor.has_ended = True
        self._hand_over()

    def _trace(self, frame: FrameType, event: str, _arg: Any) -> Any:
        if frame.f_code.co_filename not in self._files:
            return None
        if event == "line":
            self.pause(f"is in {frame.f_code.co_name}, line {frame.f_lineno}")
        return self._trace

    def _note(self, actor: Actor, what: str) -> None:
        self.story.append((self._now, actor.name, what))

    # -- the points of choice ------------------------------------------------------------------

    def pause(
        self, what: str, ready: Callable[[], bool] | None = None, until: float | None = None
    ) -> bool:
        """Let the others run; return when it is ready, or, False, when the time is over."""
        me = self.current
        if me is None:
            if ready is None or ready():
                return True
            if until is None:
                raise ScheduleError(f"it {what} for ever, though the schedule is over")
            self._now = max(self._now, until)
            return False
        if self.failure is not None:
            raise Abandoned
        me.ready, me.until = ready, until
        self._note(me, what)
        self._hand_over()
        if self.failure is not None:
            raise Abandoned
        me.ready = me.until = None
        if me.how == "is interrupted":
            raise KeyboardInterrupt
        return me.how != "is late"

    def _hand_over(self) -> None:
        me = self.current
        chosen = self._choose()
        self.current = chosen
        if chosen is me and chosen is not None:
            return
        if chosen is None:
            self._over.release()
        else:
            chosen.gate.release()
        if me is not None and not me.has_ended:
            me.gate.acquire()

    def _choose(self) -> Actor | None:
        living = [actor for actor in self.actors if not actor.has_ended]
        if not living:
            if self.failure is None:
                self._chooser.choose((), self._state)  # it may note how it ends
            return None
        if self.failure is None:
            self._look()
        if self.failure is not None:
            return living[0]
        options = list(self._options(living))
        if not any(how != "is interrupted" for _, how, _ in options):
            self.failure = "nobody can run: " + ", ".join(actor.name for actor in living)
            return living[0]
        choice = self._chosen([cost for *_, cost in options])
        if choice is None:
            return living[0]
        actor, how, _ = options[choice]
        if how == "is late" and actor.until is not None:
            actor.was_alone = not any(one.can_run() for one in living)
            self._now = max(self._now, BEGINNING + (moment(actor.until) + 1) / 1000)
        if how == "is interrupted":
            actor.is_victim, actor.was_interrupted = False, True
        if actor is not self.current or how != "on":
            self._note(actor, how if actor.has_begun else "begins")
        actor.how = how
        return actor

    def _chosen(self, costs: Sequence[int]) -> int | None:
        try:
            choice = self._chooser.choose(costs, self._state)
        except AssertionError as exc:
            self.failure = str(exc)
            return None
        if choice is None:
            self.failure = SEEN
        return choice

    def _state(self) -> bytes | None:
        """Return what tells this state from others, if it can be told; see `Fingerprint`.

        Who is who among the actors is told by where they are, not by their names: a state is the
        same as one where two of them have changed their parts.  Where two are at the same place,
        both orders are tried.
        """
        frames = sys._current_frames()
        stacks = {one: list(stack(frames.get(one.ident), _PAUSE, _LIVE)) for one in self.actors}

        def place(actor: Actor) -> Any:
            places = [(frame.f_code.co_qualname, frame.f_lasti) for frame in stacks[actor]]
            return (*actor.facts()[1:4], type(actor.error).__name__, places)

        alike = [list(these) for _, these in groupby(sorted(self.actors, key=place), place)]
        orders = product(*(permutations(these) for these in alike))
        found = [self._fingerprint(list(chain(*order)), stacks) for order in orders]
        return min((one for one in found if one is not None), default=None)

    def _fingerprint(
        self, actors: list[Actor], stacks: dict[Actor, list[FrameType]]
    ) -> bytes | None:
        aliases = {alias: one for one in actors for alias in (one.ident, one.name) if alias}
        told, exceptions = Fingerprint(self._now, aliases), handled()
        for one in (self, *actors):
            told.name(one)
        for actor in actors:
            told.say(actor.facts())
            told.say((exceptions.get(actor.ident) if stacks[actor] else None,))
            told.say_stack(stacks[actor])
        told.say((self.current, self.watch))
        return told.digest()

    def _look(self) -> None:
        try:
            self.watch()
        except AssertionError as exc:
            self.failure = str(exc)
        if len(self.story) > MOST_STEPS:
            self.failure = "the schedule does not come to an end"

    def _options(self, living: list[Actor]) -> Iterator[tuple[Actor, str, int]]:
        """Yield who may run, why it does, and whether that is a preemption."""
        me = self.current if self.current is not None and self.current.can_run() else None
        able = [actor for actor in living if actor.can_run()]
        if me is not None:
            yield me, "on", 0
        for actor in able:
            if actor is not me:
                yield actor, "on", int(me is not None)
        for actor in living:
            if actor.is_victim and actor.has_begun:
                yield actor, "is interrupted", int(me is not None and actor is not me)
        late = [a for a in living if a.until is not None and not a.can_run()]
        soonest = min(map(self._left, late), default=0)
        for actor in late:
            if able or self._left(actor) == soonest:
                yield actor, "is late", int(bool(able))

    def _left(self, actor: Actor) -> int:
        """Return the milliseconds until its time is over."""
        return max(0, moment(actor.until or 0.0) - moment(self._now))


_PAUSE, _LIVE = Scheduler.pause.__code__, Scheduler._live.__code__


class Mutex:
    """A lock that its thread may take again."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._owner: Actor | None = None
        self._depth = 0

    def acquire(self) -> None:
        me = self._scheduler.current
        if self._depth == 0 or self._owner is not me:
            self._scheduler.pause("locks", lambda: self._depth == 0)
            self._owner = me
        self._depth += 1

    def release(self) -> None:
        if self._depth == 0 or self._owner is not self._scheduler.current:
            raise RuntimeError("it is another thread's")
        self._depth -= 1
        if self._depth == 0:
            self._owner = None
            self._scheduler.pause("has unlocked")

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()


class Cell:
    """What one waiting thread sleeps on."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._rung = False
        scheduler.pause("makes a cell")

    def wake(self) -> None:
        self._rung = True

    def wait(self, seconds: float) -> bool:
        until = self._scheduler.monotonic() + max(0.0, seconds)
        woken = self._scheduler.pause("waits", lambda: self._rung, until)
        self._rung = False
        me = self._scheduler.current
        if me is not None and not woken and me.was_alone:
            me.was_forgotten = True
        return woken


class SharedList(list[Any]):
    """A list that is looked at without a lock."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._scheduler = scheduler

    def __bool__(self) -> bool:
        return len(self) > 0

    def pop(self, *place: Any) -> Any:
        self._scheduler.pause("pops")
        return super().pop(*place)

    def __getitem__(self, place: Any) -> Any:
        self._scheduler.pause("looks at the first")
        return super().__getitem__(place)

    def remove(self, one: Any) -> None:
        self._scheduler.pause("strikes off")
        super().remove(one)


class SharedDeque(deque[Any]):
    """A deque that is changed without a lock."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._scheduler = scheduler

    def __bool__(self) -> bool:
        self._scheduler.pause("looks for what was dropped")
        return len(self) > 0

    def __getitem__(self, place: Any) -> Any:
        self._scheduler.pause("looks at what was dropped")
        return super().__getitem__(place)

    def popleft(self) -> Any:
        self._scheduler.pause("pops what was dropped")
        return super().popleft()

    def remove(self, one: Any) -> None:
        self._scheduler.pause("strikes off what was dropped")
        super().remove(one)
