"""Threads that run one at a time, in an order that is chosen: every order, or one drawn by a seed.

Code under test calls `Scheduler.pause` by its doubles: a mutex, a cell, a sleep, a list, a server.
There a choice is made: the thread goes on, another one does, a wait times out, the victim is
interrupted.  Time is virtual.  The same choices lead to the same schedule.
"""

from __future__ import annotations

import gc
import random
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType, ModuleType

#: No scene takes more steps than this.
MOST_STEPS = 3000


class ScheduleError(AssertionError):
    """A schedule led to what must not be."""


class Abandoned(BaseException):
    """Ends the threads of a schedule that has failed."""


class Chooser(Protocol):
    """Decides how a schedule goes on; `by_line`, there is a choice before each line, too."""

    by_line: bool

    def choose(self, costs: Sequence[int]) -> int:
        """Return which of the options it is; each costs so many preemptions."""


class Script:
    """Goes by the choices it was given, then always on; notes what else there was to choose."""

    def __init__(self, plan: Sequence[int] = (), *, by_line: bool = False) -> None:
        self.plan = plan
        self.by_line = by_line
        self.made: list[int] = []
        self.costs: list[Sequence[int]] = []

    def choose(self, costs: Sequence[int]) -> int:
        step = len(self.made)
        choice = self.plan[step] if step < len(self.plan) else 0
        self.made.append(choice)
        self.costs.append(costs)
        return choice

    def following(self, budget: int) -> list[int] | None:
        """Return the plan that comes next, depth first, at so many preemptions; None at the end."""
        spent = [0]
        for choice, costs in zip(self.made, self.costs, strict=True):
            spent.append(spent[-1] + costs[choice])
        for step in reversed(range(len(self.made))):
            for choice in range(self.made[step] + 1, len(self.costs[step])):
                if spent[step] + self.costs[step][choice] <= budget:
                    return [*self.made[:step], choice]
        return None


class Drawn:
    """Goes on most of the time, and draws the rest by a seed."""

    def __init__(self, seed: int, *, by_line: bool = False) -> None:
        self.by_line = by_line
        self._random = random.Random(seed)

    def choose(self, costs: Sequence[int]) -> int:
        if self._random.random() < 0.7:
            return 0
        return self._random.randrange(len(costs))


def explore(play: Callable[[Chooser], None], preemptions: int, *, by_line: bool = False) -> int:
    """Play every schedule of so many preemptions at most; return how many there are."""
    plan: list[int] | None = []
    count = 0
    while plan is not None:
        script = Script(plan, by_line=by_line)
        play(script)
        count += 1
        plan = script.following(preemptions)
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
        self.was_forgotten = False  # it waited when nobody else could run
        self.error: BaseException | None = None
        self.ident = 0

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
        self._now = 1000.0
        self._over = threading.Lock()

    # -- the clock -----------------------------------------------------------------------------

    def monotonic(self) -> float:
        """No two moments are the same."""
        self._now += 1e-6
        return self._now

    # -- a schedule ----------------------------------------------------------------------------

    def add(self, name: str, act: Callable[[], None], *, is_victim: bool = False) -> None:
        self.actors.append(Actor(name, act, is_victim=is_victim))

    def run(self) -> None:
        """Run all actors to their end; no garbage is collected amid them."""
        gc.disable()
        try:
            self._run()
        finally:
            gc.enable()

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
        if self.failure is not None:
            raise ScheduleError(f"{self.failure}\n{self.told()}")

    def told(self) -> str:
        return "\n".join(f"{now - 1000:9.3f} {name}: {what}" for now, name, what in self.story)

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
            return None
        if self.failure is None:
            self._look()
        if self.failure is not None:
            return living[0]
        options = list(self._options(living))
        if not any(how != "is interrupted" for _, how, _ in options):
            self.failure = "nobody can run: " + ", ".join(actor.name for actor in living)
            return living[0]
        choice = self._chooser.choose([cost for *_, cost in options])
        actor, how, _ = options[choice]
        if how == "is late" and actor.until is not None:
            actor.was_forgotten = not any(one.can_run() for one in living)
            self._now = max(self._now, actor.until)
        if how == "is interrupted":
            actor.is_victim, actor.was_interrupted = False, True
        if actor is not self.current or how != "on":
            self._note(actor, how if actor.has_begun else "begins")
        actor.how = how
        return actor

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
        if able:
            for actor in late:
                yield actor, "is late", 1
        elif late:
            yield min(late, key=lambda actor: actor.until or 0.0), "is late", 0


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
