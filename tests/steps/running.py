"""One run of a scenario to its end, whatever that is, within a limit; each thing twice.

The names with `Async` or `_async` are what `tests/_async` uses; the others are their sync twins.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.steps.tripwire import AsyncSuspensions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator

    from tests.steps.tripwire import AsyncTripwire, Tripwire

    Wire = AsyncTripwire | AsyncSuspensions

#: Seconds within which a run, and what is asked after it, must have ended.
LIMIT = 10.0


class Hung(AssertionError):
    """It did not end in time."""


@contextmanager
def _limit() -> Generator[None]:
    """Raise `Hung` in the block if it does not end in time."""
    assert threading.current_thread() is threading.main_thread()

    def ring(number: int, frame: object) -> None:
        del number, frame
        raise Hung(f"did not end within {LIMIT:g} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def limited(call: Callable[..., Any], *args: Any) -> Any:
    """Call; `Hung` if it does not end in time."""
    with _limit():
        return call(*args)


def outcome_of(call: Callable[[Any], None], scene: Any, wire: Tripwire) -> BaseException | None:
    """Call it with the scene; return what it raised."""
    del wire
    try:
        limited(call, scene)
    except BaseException as exc:  # noqa: BLE001 - judged by the caller
        return exc
    return None


async def limited_async(call: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
    """Call and await; `Hung` if it does not end in time."""
    try:
        async with asyncio.timeout(LIMIT):
            return await call(*args)
    except TimeoutError:
        raise Hung(f"did not end within {LIMIT:g} seconds") from None


async def outcome_of_async(
    call: Callable[[Any], Awaitable[None]], scene: Any, wire: Wire
) -> BaseException | None:
    """Call it with the scene, in a task of its own; return what it raised."""

    async def run() -> BaseException | None:
        try:
            await (wire.walk(call(scene)) if isinstance(wire, AsyncSuspensions) else call(scene))
        except BaseException as exc:  # noqa: BLE001 - judged by the caller
            return exc
        return None

    task = asyncio.ensure_future(run())
    done, _ = await asyncio.wait([task], timeout=LIMIT)
    if not done:
        task.cancel()
        await asyncio.wait([task], timeout=LIMIT)
        return Hung(f"did not end within {LIMIT:g} seconds")
    return task.result()
