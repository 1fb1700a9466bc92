"""A blocking connect with a deadline: it runs in a thread, and what comes late is closed.

psycopg counts whole seconds, two at least and anew for each address of a host, and the resolver
does not count at all; so the deadline is kept from outside.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def within(seconds: float, connect: Callable[[], Any]) -> Any:
    """Return the connection that `connect` makes, or raise what it raises.

    TimeoutError after `seconds`; the thread goes on until the driver gives up by itself.
    """
    made: list[Any] = []
    failed: list[BaseException] = []
    running = threading.Lock()  # taken while the thread is at work
    running.acquire()
    is_given_up = False

    def work() -> None:
        try:
            made.append(connect())
        except BaseException as exc:  # noqa: BLE001 - it belongs to the caller
            failed.append(exc.with_traceback(None))
        running.release()
        if is_given_up:
            _close(made)

    try:
        threading.Thread(target=work, name="plainsql-connect", daemon=True).start()
        if not running.acquire(timeout=seconds):
            raise TimeoutError
        if failed:
            raise failed[0]
        return made[0]  # which stays there: an interrupt may come as it is taken
    except BaseException:
        is_given_up = True
        _close(made)
        raise


def _close(made: list[Any]) -> None:
    """Close the connection, if it is there: here, or in the other thread, whichever is first."""
    try:
        raw = made.pop()
    except IndexError:
        return
    raw.close()
