"""A blocking connect with a deadline: it runs in a thread, and what comes late is closed.

psycopg counts whole seconds, two at least and anew for each address of a host, and the resolver
does not count at all; so the deadline is kept from outside.
"""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def within(seconds: float, connect: Callable[[], Any]) -> Any:
    """Return the connection that `connect` makes, or raise what it raises.

    TimeoutError after `seconds`; the thread goes on until the driver gives up by itself.
    """
    delivered: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
    claim = threading.Lock()  # taken once and kept: by the thread's result, or by giving up

    def work() -> None:
        raw, error = None, None
        try:
            raw = connect()
        except BaseException as exc:  # noqa: BLE001 - it belongs to the caller
            error = exc.with_traceback(None)
        if claim.acquire(blocking=False):
            delivered.put((raw, error))
        elif raw is not None:
            raw.close()

    threading.Thread(target=work, name="plainsql-connect", daemon=True).start()
    interrupt: BaseException | None = None
    try:
        raw, error = delivered.get(timeout=seconds)
    except BaseException as exc:
        if claim.acquire(blocking=False):
            if isinstance(exc, Empty):
                raise TimeoutError from None
            raise
        raw, error = delivered.get()
        interrupt = None if isinstance(exc, Empty) else exc
    if interrupt is not None:
        if raw is not None:
            raw.close()
        raise interrupt
    if error is not None:
        raise error
    return raw
