"""What happens beside a test: in a thread of its own, or, async, in a task.

The names with `Async` or `_async` are what `tests/_async` uses; the others are their sync twins.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds within which everything here must have happened.
DEADLINE = 20.0
#: Seconds until Ctrl-C is pressed again; psycopg hears of it when nothing disturbed it for 0.1.
AGAIN = 0.25
#: Where a thread is that waits: for what was told to hold it, or in a driver for its server.
WAITING = ("wait", "wait_epoll", "wait_poll", "wait_select", "wait_selectors", "readinto")


class Beside:
    """A call in a thread of its own."""

    def __init__(self, call: Callable[..., Any], *args: Any) -> None:
        self._call = call
        self._args = args
        self._result: Any = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._call(*self._args)
        except BaseException as exc:  # noqa: BLE001 - raised again by `result`
            self._error = exc

    @property
    def is_over(self) -> bool:
        """Whether the call has ended."""
        return not self._thread.is_alive()

    def result(self) -> Any:
        """Wait for the call and return, or raise, what it did."""
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive(), f"never ended: {self._call}"
        if self._error is not None:
            raise self._error
        return self._result


class AsyncBeside:
    """A call in a task of its own."""

    def __init__(self, call: Callable[..., Any], *args: Any) -> None:
        self._task = asyncio.ensure_future(self._run(call, args))

    async def _run(self, call: Callable[..., Any], args: Any) -> Any:
        return await call(*args)

    @property
    def is_over(self) -> bool:
        """Whether the call has ended."""
        return self._task.done()

    def cancel(self) -> None:
        """Cancel the task."""
        self._task.cancel()

    async def result(self) -> Any:
        """Wait for the call and return, or raise, what it did."""
        async with asyncio.timeout(DEADLINE):
            return await self._task


def until(reached: Callable[[], object]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + DEADLINE
    while not reached():
        assert time.monotonic() < deadline, f"never came true: {reached}"
        time.sleep(0.001)


async def until_async(reached: Callable[[], object]) -> None:
    """Wait until it is so; the other tasks go on meanwhile."""
    deadline = time.monotonic() + DEADLINE
    while not reached():
        assert time.monotonic() < deadline, f"never came true: {reached}"
        await asyncio.sleep(0.001)


def interrupt(
    reached: Callable[[], object],
    call: Callable[..., Any],
    *args: Any,
    then: Callable[[], object] = lambda: None,
) -> None:
    """Make a call in the main thread, and press Ctrl-C as soon as it waits at its point."""
    main = threading.main_thread().ident
    assert main == threading.get_ident(), "only the main thread hears of Ctrl-C"

    heard: list[int] = []

    def hear(number: int, _: object) -> None:
        heard.append(number)
        if len(heard) == 1:
            raise KeyboardInterrupt

    def press() -> None:
        until(reached)
        until(lambda: sys._current_frames()[main].f_code.co_name in WAITING)
        while not heard:  # what comes between its frame and its system call, it does not hear
            signal.pthread_kill(main, signal.SIGINT)
            again = time.monotonic() + AGAIN
            while not heard and time.monotonic() < again:
                time.sleep(0.001)
        then()

    # a program that was started in the background ignores Ctrl-C, as some CI does
    before = signal.signal(signal.SIGINT, hear)
    presser = Beside(press)
    try:
        call(*args)
    except KeyboardInterrupt:
        return
    finally:
        presser.result()
        signal.signal(signal.SIGINT, before)
    raise AssertionError("Ctrl-C was swallowed")


async def interrupt_async(
    reached: Callable[[], object],
    call: Callable[..., Any],
    *args: Any,
    then: Callable[[], object] = lambda: None,
) -> None:
    """Make a call in a task, and cancel it as soon as it has reached its point."""
    beside = AsyncBeside(call, *args)
    await until_async(reached)
    beside.cancel()
    await asyncio.sleep(0)  # it hears of it at its next turn
    then()
    try:
        await beside.result()
    except asyncio.CancelledError:
        return
    raise AssertionError("the cancellation was swallowed")
