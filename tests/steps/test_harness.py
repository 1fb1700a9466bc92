"""The walks find what they are there for: each kind of trouble, made on purpose."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from plainsql._sync.pool import QueuePool
from tests._sync.stepping import SCENARIOS, Scenario, Scene, nonce
from tests._sync.walking import Walk
from tests.steps import tripwire
from tests.steps.counting import Tally
from tests.steps.tripwire import KEYBOARD, KINDS, Step, Tripwire

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.steps.grounds import FakeGround, LiveGround


def broken(ground: Any, scenario: Scenario) -> str:
    """What a walk by Ctrl-C says first."""
    walk = Walk(scenario, ground, Tripwire, Tally())
    walk.enough = 1
    walk.every(KEYBOARD)
    return str(walk)


def after(spoil: Callable[[Scene], None]) -> Scenario:
    """A query that, once interrupted, is spoiled."""

    def act(scene: Scene) -> None:
        try:
            SCENARIOS["execute, read"].act(scene)
        except KeyboardInterrupt:
            spoil(scene)
            raise

    return Scenario(act)


def test_a_lost_place_is_found(fake_ground: FakeGround, monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(pool: QueuePool, claim: object, **options: Any) -> None:
        del pool, claim, options

    monkeypatch.setattr(QueuePool, "abandon", forget)
    assert "PoolTimeout" in broken(fake_ground, SCENARIOS["acquire, idle"])


def test_cross_talk_is_found(fake_ground: FakeGround) -> None:
    def owe(scene: Scene) -> None:
        scene.engine.dispose()
        with scene.engine.connect():
            fake_ground.server.open[0]._answers += [[], [(0,)]]

    assert "cross-talk: asked for" in broken(fake_ground, after(owe))


def test_an_exception_that_is_swallowed_is_found(fake_ground: FakeGround) -> None:
    def swallow(scene: Scene) -> None:
        try:
            SCENARIOS["execute, read"].act(scene)
        except KeyboardInterrupt:
            return

    assert "it was swallowed" in broken(fake_ground, Scenario(swallow))


def test_an_exception_that_came_out_as_another_is_found(fake_ground: FakeGround) -> None:
    def change(scene: Scene) -> None:
        try:
            SCENARIOS["execute, read"].act(scene)
        except KeyboardInterrupt as exc:
            raise RuntimeError("another") from exc

    assert "came out as RuntimeError" in broken(fake_ground, Scenario(change))


def test_a_thread_that_is_left_is_found(fake_ground: FakeGround) -> None:
    over = threading.Event()

    def leave(scene: Scene) -> None:
        del scene
        threading.Thread(target=over.wait, name="plainsql-connect").start()

    try:
        assert "left: 1" in broken(fake_ground, after(leave))
    finally:
        over.set()


def test_a_unit_that_is_stored_by_half_is_found(live_ground: LiveGround) -> None:
    insert = f"INSERT INTO {live_ground.table} (unit, part) VALUES (:unit, :part)"

    def halve(scene: Scene) -> None:
        with scene.engine.connect() as connection:
            connection.execute(insert, {"unit": scene.number, "part": 1})
            connection.commit()
            with scene.wire:
                nonce(connection, scene.number)
            connection.execute(insert, {"unit": scene.number, "part": 2})
            connection.commit()

    walk = Walk(Scenario(halve), live_ground, Tripwire, Tally())
    walk.some(2, 0, KINDS)
    assert "stored by half: 1 of 2 rows" in str(walk)


def test_no_exception_comes_where_a_block_gives_up_its_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """None can: it would be a lock that is held for ever, and the fault of nobody."""
    monkeypatch.setattr(tripwire, "is_io", {__file__: False}.get)
    lock = threading.Lock()
    hit = set()

    def guarded(*, early: bool) -> int:
        with lock:
            if early:
                return abs(1)
        return 2

    for early in (True, False):
        for at in range(1, 9):
            wire = Tripwire(at, KeyboardInterrupt())
            try:
                with wire:
                    guarded(early=early)
            except KeyboardInterrupt:
                assert wire.hit is not None
                hit.add(wire.hit.line - guarded.__code__.co_firstlineno)
            assert not lock.locked()
    assert hit == {1, 2, 3, 4}


# -- the count ----------------------------------------------------------------------------------

FIRST, SECOND = Step("a.py", 1, "f", io=True), Step("a.py", 2, "f", io=False)


def counted(*hits: Step, traced: tuple[Step, ...] = (FIRST, SECOND), walks: int = 1) -> str | None:
    tally = Tally()
    tally.trace(traced)
    for step in hits:
        tally.hit(step)
    for _ in range(walks):
        tally.whole(traced)
    total = Tally()
    total.add(tally)
    return total.fault()


def test_a_run_that_took_every_step_counts() -> None:
    assert counted(FIRST, SECOND) is None


def test_a_line_that_was_not_hit_is_a_fault() -> None:
    assert counted(FIRST, FIRST) == "1 lines were traced and not hit, such as a.py:2"


def test_a_run_that_never_was_on_a_line_of_io_is_a_fault() -> None:
    assert counted(SECOND, traced=(SECOND,)) == "no step was on a line of I/O"


def test_fewer_steps_than_lines_are_a_fault() -> None:
    tally = Tally()
    tally.whole(())
    tally.trace((FIRST, SECOND))
    tally.hit(FIRST)
    assert tally.fault() == "1 steps were covered, of 2 lines that were traced"


def test_a_share_is_not_judged() -> None:
    assert counted(SECOND, walks=0) is None
