"""The pool on every schedule of a few threads, as long as few are preempted; or on drawn ones.

`make model` allows three preemptions, or as many as PREEMPTIONS says, and gives a schedule up in a
state that was seen before, which costs more than it saves at one; SEED is where drawing begins.  A
failure prints the schedule that led to it.
"""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from plainsql._sync.pool import QueuePool
from plainsql.errors import AuthenticationError, ConnectError, PoolClosed
from tests.unit.pool_scenes import TIMEOUT, World
from tests.unit.schedules import Drawn, ScheduleError, Scheduler, explore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plainsql.ledger import Claim, Slot
    from tests.unit.schedules import Chooser

IS_LONG = settings.get_current_profile_name() == "model"
PREEMPTIONS = int(os.environ.get("PREEMPTIONS", "3" if IS_LONG else "1"))
BY_LINE = int(IS_LONG)
DRAWN = 2_000 if IS_LONG else 20
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(2**32)))


def three_take_and_give_back(chooser: Chooser) -> None:
    with World(chooser) as world:
        for name in "ABC":
            world.add(name, world.use)
        world.play()


def two_places_serve_three(chooser: Chooser) -> None:
    with World(chooser, size=2) as world:
        for name in "ABC":
            world.add(name, world.use)
        world.play()


def one_is_handed_over_while_time_runs_out(chooser: Chooser) -> None:
    with World(chooser) as world:
        world.add("holder", world.give_back, world.held())
        world.add("A", world.use)
        world.add("B", world.use)
        world.play()


def one_is_handed_over_to_who_is_interrupted(chooser: Chooser) -> None:
    with World(chooser) as world:
        world.add("holder", world.give_back, world.held())
        world.add("victim", world.use, is_victim=True)
        world.add("B", world.use)
        world.play()


def the_holder_is_interrupted(chooser: Chooser) -> None:
    with World(chooser) as world:
        world.add("victim", world.use, is_victim=True)
        world.add("A", world.use)
        world.add("B", world.use)
        world.play()


def a_connect_fails_while_others_wait(chooser: Chooser) -> None:
    with World(chooser) as world:
        world.server.failures.append(ConnectError("no"))
        for name in "ABC":
            world.add(name, world.use)
        world.play(ConnectError)


def a_wrong_password_fails_all_who_wait(chooser: Chooser) -> None:
    with World(chooser) as world:
        world.server.failures.append(AuthenticationError("no"))
        for name in "ABC":
            world.add(name, world.use)
        world.play(AuthenticationError)


def a_server_is_lost_and_comes_back(chooser: Chooser) -> None:
    with World(chooser, size=2) as world:
        world.give_back(world.held())
        world.server.links[0].is_alive = False
        world.pool.suspect()
        world.server.failures += [ConnectError("no"), ConnectError("no")]
        world.add("A", world.use)
        world.add("B", world.use)
        world.play()


def one_is_interrupted_while_a_server_is_lost(chooser: Chooser) -> None:
    with World(chooser, size=2) as world:
        world.give_back(world.held())
        world.server.links[0].is_alive = False
        world.pool.suspect()
        world.server.failures.append(ConnectError("no"))
        world.add("victim", world.use, is_victim=True)
        world.add("B", world.use)
        world.play()


def one_is_dropped_while_two_wait(chooser: Chooser, kind: type[QueuePool] = QueuePool) -> None:
    with World(chooser, kind, drops=True) as world:
        world.add("A", world.use)
        world.add("B", world.use)
        world.add("dropper", world.pool.drop, world.held())
        world.play()


def one_is_dropped_while_who_waits_is_interrupted(chooser: Chooser) -> None:
    with World(chooser, drops=True) as world:
        world.add("victim", world.use, is_victim=True)
        world.add("B", world.use)
        world.add("dropper", world.pool.drop, world.held())
        world.play()


def two_are_dropped_while_two_wait(chooser: Chooser) -> None:
    with World(chooser, size=2, drops=True) as world:
        for name in ("dropper", "other dropper"):
            world.add(name, world.pool.drop, world.held())
        world.add("A", world.use)
        world.add("B", world.use)
        world.play()


def all_is_disposed_of_amid_its_use(chooser: Chooser) -> None:
    with World(chooser) as world:
        world.give_back(world.held())
        world.add("A", world.use)
        world.add("disposer", world.pool.dispose)
        world.add("B", world.use)
        world.play()


def who_disposes_is_interrupted(chooser: Chooser) -> None:
    with World(chooser) as world:
        world.give_back(world.held())
        world.add("A", world.use)
        world.add("victim", world.pool.dispose, is_victim=True)
        world.play()


def the_pool_is_closed_amid_its_use(chooser: Chooser) -> None:
    with World(chooser) as world:
        world.add("A", world.use)
        world.add("B", world.use)
        world.add("closer", world.pool.close, 5.0)
        world.play(PoolClosed)


SCENES = [
    three_take_and_give_back,
    two_places_serve_three,
    one_is_handed_over_while_time_runs_out,
    one_is_handed_over_to_who_is_interrupted,
    the_holder_is_interrupted,
    a_connect_fails_while_others_wait,
    a_wrong_password_fails_all_who_wait,
    a_server_is_lost_and_comes_back,
    one_is_interrupted_while_a_server_is_lost,
    one_is_dropped_while_two_wait,
    one_is_dropped_while_who_waits_is_interrupted,
    two_are_dropped_while_two_wait,
    all_is_disposed_of_amid_its_use,
    who_disposes_is_interrupted,
    the_pool_is_closed_amid_its_use,
]
each_scene = pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)


@each_scene
def test_nobody_is_forgotten_and_nothing_lost_on_any_schedule(
    scene: Callable[[Chooser], None],
) -> None:
    seen: set[bytes] | None = set() if PREEMPTIONS > 1 else None
    count = explore(scene, PREEMPTIONS, seen=seen)
    states = "all" if seen is None else len(seen)
    print(f"{scene.__name__}: {count} schedules of {PREEMPTIONS} preemptions, {states} states")
    assert count > 10


@each_scene
def test_nobody_is_forgotten_and_nothing_lost_at_any_line(scene: Callable[[Chooser], None]) -> None:
    """Before each line of the pool and its book a victim is interrupted, or others have a turn."""
    count = explore(scene, BY_LINE, by_line=True)
    print(f"{scene.__name__}: {count} schedules by line, of {BY_LINE} preemptions at most")
    assert count > 1


@each_scene
def test_nobody_is_forgotten_and_nothing_lost_on_drawn_schedules(
    scene: Callable[[Chooser], None],
) -> None:
    for seed in range(SEED, SEED + DRAWN):
        print(f"SEED={seed}", end="\r")
        scene(Drawn(seed))
        scene(Drawn(seed, by_line=True))


# -- the scheduler finds what it is there to find ------------------------------------------------


class LooksTooEarly(QueuePool):
    """Looks for what was dropped before it queues, and not again."""

    def _wait(self, claim: Claim, deadline: float) -> Slot:
        cell: Any = claim.cell
        while claim.slot is None and claim.error is None:
            if not cell.wait(TIMEOUT):
                break
        return super()._wait(claim, deadline)


@pytest.mark.parametrize("seen", [None, set()], ids=["every schedule", "every state"])
def test_a_pool_that_looks_for_what_was_dropped_too_early_is_found_out(
    seen: set[bytes] | None,
) -> None:
    with pytest.raises(AssertionError, match="forgotten"):
        explore(lambda one: one_is_dropped_while_two_wait(one, LooksTooEarly), 1, seen=seen)


# -- what is given up is no loss ------------------------------------------------------------------


class Noting:
    """Notes in which states another chooser chooses, and what comes of it; also where it ends."""

    by_line = False

    def __init__(self, chooser: Chooser, noted: dict[bytes | None, set[tuple[int, ...]]]) -> None:
        self._chooser = chooser
        self._noted = noted

    def choose(self, costs: Sequence[int], state: Callable[[], bytes | None]) -> int | None:
        self._noted.setdefault(state(), set()).add(tuple(sorted(costs)))
        return self._chooser.choose(costs, state)


COMPARED = [
    three_take_and_give_back,
    one_is_handed_over_while_time_runs_out,
    who_disposes_is_interrupted,
    the_pool_is_closed_amid_its_use,
]


@pytest.mark.parametrize("scene", COMPARED, ids=lambda scene: scene.__name__)
def test_the_same_states_and_ends_are_reached_when_schedules_are_given_up(
    scene: Callable[[Chooser], None],
) -> None:
    all_of_them: dict[bytes | None, set[tuple[int, ...]]] = {}
    count = explore(lambda chooser: scene(Noting(chooser, all_of_them)), 1)
    noted: dict[bytes | None, set[tuple[int, ...]]] = {}
    fewer = explore(lambda chooser: scene(Noting(chooser, noted)), 1, seen=set())
    assert fewer < count
    assert noted == all_of_them
    assert all(len(choices) == 1 for choices in noted.values()), "a state is not always the same"
    assert () in {choices for these in noted.values() for choices in these}, "none has ended"


def test_a_schedule_that_goes_in_a_circle_is_found_out() -> None:
    def play(chooser: Chooser) -> None:
        scheduler = Scheduler(chooser, ())

        def turn() -> None:
            while True:
                scheduler.pause("turns")

        scheduler.add("A", turn)
        scheduler.run()

    with pytest.raises(ScheduleError, match="in a circle"):
        explore(play, 0, seen=set())
