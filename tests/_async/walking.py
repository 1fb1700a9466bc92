"""A walk: a scenario again and again, interrupted each time one step later, and looked after."""

from __future__ import annotations

import gc
import sys
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from plainsql.concurrency import rest_async
from plainsql.errors import UncommittedWarning
from tests._async.stepping import AsyncScene, whole_async
from tests.steps.running import limited_async, outcome_of_async
from tests.steps.tripwire import was_raised_by_driver

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from plainsql.aio import AsyncEngine
    from tests._async.stepping import AsyncScenario
    from tests.steps.counting import Tally
    from tests.steps.grounds import Ground
    from tests.steps.tripwire import At, Step

    MakeWire = Callable[..., Any]

#: Broken steps after which a walk does not go on.
ENOUGH = 30
#: Runs that may pass by a line, which others come to.
TRIES = 50
#: Seconds within which what was given up must be gone.
CLEARED = 2.0


class AsyncWalk:
    """A scenario on a ground, and what was found."""

    def __init__(
        self, scenario: AsyncScenario, ground: Ground, wire: MakeWire, tally: Tally
    ) -> None:
        self._scenario = scenario
        self._ground = ground
        self._wire = wire
        self._tally = tally
        self._number = 1000
        self._residue: int | None = None  # what belongs to an idle connection, once it is known
        self._engine: AsyncEngine | None = None
        self._unraisable: list[Any] = []
        self.broken: list[str] = []
        self.enough = ENOUGH

    def __str__(self) -> str:
        return "\n".join(["", *self.broken])

    async def every(self, kinds: Sequence[type[BaseException]]) -> None:
        """Interrupt at each step, by each kind, until a run comes to its end."""
        with self._watching():
            traced = await self._rehearse()
            for kind in kinds:
                at = 1
                while len(self.broken) < self.enough and await self._interrupted(at, kind):
                    at += 1
            await self._again(traced, kinds[-1])
            if len(self.broken) < self.enough:
                self._tally.whole(traced)
            await self._leave()

    async def _again(self, traced: list[Step], kind: type[BaseException]) -> None:
        """Go where no step fell: runs by the clock differ in some lines, which shifts the rest."""
        for line in self._tally.left_out(traced):
            for _ in range(TRIES):
                if len(self.broken) >= self.enough or await self._interrupted(line, kind):
                    break

    async def some(self, share: int, seed: int, kinds: Sequence[type[BaseException]]) -> None:
        """Interrupt at about as many steps as `share` says, which the seed chooses."""
        with self._watching():
            steps = len(await self._rehearse())
            stride = max(1, steps // share)
            for at in range(1 + seed % stride, steps + 1, stride):
                await self._interrupted(at, kinds[(seed + at) % len(kinds)])
            await self._leave()

    async def _rehearse(self) -> list[Step]:
        """Run it twice as it is: once for what happens the first time only; return the steps."""
        traced: list[Step] = []
        for _ in range(2):
            wire = self._wire()
            with warnings.catch_warnings():
                if self._scenario.forgets:
                    warnings.simplefilter("ignore", ResourceWarning)
                warnings.simplefilter("ignore", UncommittedWarning)
                error = await self._run(wire)
            if error is not None:
                raise error
            await limited_async(self._look_after)
            traced = wire.steps
        self._tally.trace(traced)
        return traced

    async def _interrupted(self, at: At, kind: type[BaseException]) -> bool:
        """Interrupt at that step, or line; tell whether the run came to it."""
        error = kind(f"at step {at}")
        wire = self._wire(at, error)
        with warnings.catch_warnings():
            # an interrupt may leave a connection to the collector, or a write undone
            warnings.simplefilter("ignore", ResourceWarning)
            warnings.simplefilter("ignore", UncommittedWarning)
            # and come between a coroutine and its await
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            outcome = await self._run(wire)
            if wire.hit is None:
                if outcome is not None:
                    self.broken.append(f"{kind.__name__}, not hit at {at}: {outcome!r}")
                return False
            problem = self._judge(outcome, error)
            del outcome, error, wire.error
            problem = problem or await self._problem()
        self._tally.hit(wire.hit)
        if problem is not None:
            self.broken.append(f"{kind.__name__} at step {at}, {wire.hit}: {problem}")
            await self._begin_afresh()
        return True

    async def _run(self, wire: Any) -> BaseException | None:
        self._number += 1
        if self._engine is None:
            self._engine = self._ground.engine_async(**self._scenario.options)
        elif self._scenario.anew:
            await self._renew()
        scene = AsyncScene(self._engine, wire, self._ground, self._number)
        outcome = await outcome_of_async(self._scenario.act, scene, wire)
        try:
            await limited_async(scene.end)
        except BaseException as exc:  # noqa: BLE001 - judged as the scene's own
            return exc if outcome is None or outcome is wire.error else outcome
        return outcome

    async def _renew(self) -> None:
        """Let a run have a new connection, whether or not the last one lost its own."""
        assert self._engine is not None
        await limited_async(self._engine.dispose)
        await limited_async(self._engine.run, self._nothing)

    async def _nothing(self, connection: Any) -> None:
        """Ask for something."""
        await connection.scalar("SELECT 1")

    # -- what came of it -----------------------------------------------------------------------

    def _judge(self, outcome: BaseException | None, error: BaseException) -> str | None:
        """Say what is wrong with what came out."""
        told = any(one is error for one in self._unraisable)
        strange = [one for one in self._unraisable if one is not error]
        self._unraisable.clear()
        if strange:
            return f"nobody could be told of {strange[0]!r}"
        if outcome is None:
            return None if told else "it was swallowed"
        made_anew = type(error).__name__ == "CancelledError"  # by asyncio, on its way
        if outcome is error or (made_anew and type(outcome) is type(error)):
            return None
        return f"it came out as {outcome!r}"

    async def _problem(self) -> str | None:
        """Say what is wrong with what was left behind."""
        try:
            await limited_async(self._look_after)
        except Exception as exc:  # noqa: BLE001 - told as it is
            return f"{type(exc).__name__}: {exc}".split("\n", 1)[0]
        return None

    async def _look_after(self) -> None:
        gc.collect()
        assert self._engine is not None
        await whole_async(self._engine, self._number)
        await self._cleared()
        problem = self._ground.problem(self._number)
        assert problem is None, problem

    async def _cleared(self) -> None:
        """Wait until no more is there than belongs to an idle connection."""
        most = self._residue
        if most is None:
            self._residue = self._ground.residue()
            return
        until = time.monotonic() + CLEARED
        while (found := self._ground.residue()) > most:
            assert time.monotonic() < until, f"connections, threads or sockets left: {found - most}"
            await rest_async(0.001)
            gc.collect()  # also what a thread has let go of only now

    async def _begin_afresh(self) -> None:
        """Give up an engine whose pool is broken."""
        engine, self._engine, self._residue = self._engine, None, None
        assert engine is not None
        try:
            await limited_async(engine.dispose)
        except Exception as exc:  # noqa: BLE001 - it is broken, and that was told
            self.broken[-1] += f" (and dispose(): {exc!r})"
        del engine
        gc.collect()
        self._unraisable.clear()

    async def _leave(self) -> None:
        """Close what there is; nothing of it may be left."""
        if self._engine is not None:
            await limited_async(self._engine.dispose)
        self._engine = None
        gc.collect()

    def _hear(self, told: Any) -> None:
        """Note what a finalizer raised; an error of the driver's own is the driver's."""
        if not was_raised_by_driver(told.exc_traceback) or not isinstance(
            told.exc_value, Exception
        ):
            # without the frames, which would keep what is being finalized
            self._unraisable.append(told.exc_value.with_traceback(None))

    @contextmanager
    def _watching(self) -> Generator[None]:
        """Collect garbage where the walk says, and hear of what nobody could be told."""
        before = sys.unraisablehook
        sys.unraisablehook = self._hear
        gc.collect()
        gc.freeze()
        gc.disable()
        try:
            yield
        finally:
            gc.enable()
            gc.unfreeze()
            sys.unraisablehook = before
