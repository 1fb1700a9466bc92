"""An exception at every line of every operation: nothing is lost, mixed up, or left half done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests._async.stepping import SCENARIOS as ASYNC
from tests._async.walking import AsyncWalk
from tests._sync.stepping import SCENARIOS
from tests._sync.walking import Walk
from tests.steps.tripwire import KEYBOARD, KINDS, AsyncTripwire, Tripwire

if TYPE_CHECKING:
    from tests.steps.counting import Tally
    from tests.steps.grounds import FakeGround, LiveGround

#: Steps of a share, for each scenario on each database.
SHARE = 4


@pytest.mark.parametrize("name", SCENARIOS)
def test_at_every_line_on_the_fake(
    fake_ground: FakeGround, tally: Tally, name: str, *, takes_all: bool
) -> None:
    walk = Walk(SCENARIOS[name], fake_ground, Tripwire, tally)
    walk.every(KINDS if takes_all else KEYBOARD)
    assert tally.hits
    assert not tally.missed, name
    assert not walk.broken, str(walk)


@pytest.mark.parametrize("name", SCENARIOS)
def test_at_lines(
    live_ground: LiveGround, tally: Tally, name: str, seed: int, *, takes_all: bool
) -> None:
    walk = Walk(SCENARIOS[name], live_ground, Tripwire, tally)
    if takes_all:
        walk.every(KINDS)
    else:
        walk.some(SHARE, seed, KINDS)
    assert tally.hits
    assert not tally.missed, name
    assert not walk.broken, str(walk)


@pytest.mark.parametrize("name", ASYNC)
async def test_at_every_line_of_a_task_on_the_fake(
    fake_ground: FakeGround, tally: Tally, name: str, seed: int, *, takes_all: bool
) -> None:
    walk = AsyncWalk(ASYNC[name], fake_ground, AsyncTripwire, tally)
    if takes_all:
        await walk.every(KINDS)
    else:
        await walk.some(SHARE, seed, KINDS)
    assert tally.hits
    assert not tally.missed, name
    assert not walk.broken, str(walk)


@pytest.mark.parametrize("name", ASYNC)
async def test_at_lines_of_a_task(
    live_ground: LiveGround, tally: Tally, name: str, seed: int, *, takes_all: bool
) -> None:
    walk = AsyncWalk(ASYNC[name], live_ground, AsyncTripwire, tally)
    if takes_all:
        await walk.every(KINDS)
    else:
        await walk.some(SHARE, seed, KINDS)
    assert tally.hits
    assert not tally.missed, name
    assert not walk.broken, str(walk)
