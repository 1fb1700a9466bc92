"""A cancellation at every await of every operation, as it begins and as it ends."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests._async.stepping import SCENARIOS
from tests._async.walking import AsyncWalk
from tests.steps.tripwire import CANCEL, KINDS, AsyncSuspensions

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.steps.counting import Tally
    from tests.steps.grounds import FakeGround, LiveGround

WIRES: dict[str, Callable[..., Any]] = {
    "early": AsyncSuspensions,
    "late": partial(AsyncSuspensions, late=True),
}
#: Awaits of a share, for each scenario on each database.
SHARE = 2


@pytest.mark.parametrize("when", WIRES)
@pytest.mark.parametrize("name", SCENARIOS)
async def test_at_every_await_on_the_fake(
    fake_ground: FakeGround, tally: Tally, name: str, when: str, *, takes_all: bool
) -> None:
    walk = AsyncWalk(SCENARIOS[name], fake_ground, WIRES[when], tally)
    await walk.every(KINDS if takes_all else CANCEL)
    assert not walk.broken, str(walk)


@pytest.mark.parametrize("when", WIRES)
@pytest.mark.parametrize("name", SCENARIOS)
async def test_at_awaits(
    live_ground: LiveGround, tally: Tally, name: str, when: str, seed: int, *, takes_all: bool
) -> None:
    walk = AsyncWalk(SCENARIOS[name], live_ground, WIRES[when], tally)
    if takes_all:
        await walk.every(KINDS)
    else:
        await walk.some(SHARE, seed, CANCEL)
    assert not walk.broken, str(walk)
