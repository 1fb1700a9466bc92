"""`Engine.run`: a transaction that is tried again where that is safe.

Floor 3, source of the sync twin.  Whether, and after how long, is `plainsql.retrying`'s to say.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from plainsql.concurrency import called_async, rest_async
from plainsql.errors import ArgumentError, DBAPIError, TransactionStateError
from plainsql.retrying import Attempts, described

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plainsql._async.connection import AsyncConnection
    from plainsql._async.engine import AsyncEngine

T = TypeVar("T")

#: The engines, by their pools, on which a transaction of `run` is under way in this context.
_running: ContextVar[frozenset[Any]] = ContextVar("plainsql_running", default=frozenset())


async def run_async(
    engine: AsyncEngine, fn: Callable[[AsyncConnection], Awaitable[T]], attempts: Attempts
) -> T:
    """Run `fn` in transactions of `engine` until one is committed, or none is to follow."""
    pool = engine.pool
    if pool in _running.get():
        raise TransactionStateError(
            "run() within run() on the same engine: the inner one would be committed, and tried "
            "again, apart from the outer one; pass the connection on instead"
        )
    if not callable(fn):
        raise ArgumentError(f"run() takes a function of a connection, not {fn!r}")
    before = _running.get()
    try:
        try:
            _running.set(before | {pool})
            return await _committed(engine, fn, attempts)
        finally:
            _running.set(before)
    finally:
        _running.set(before)  # once more: an interrupt may have come before the first


async def _committed(
    engine: AsyncEngine, fn: Callable[[AsyncConnection], Awaitable[T]], attempts: Attempts
) -> T:
    while True:
        try:
            async with engine.begin(timeout=attempts.left(time.monotonic())) as connection:
                return await called_async(fn, connection)
        except DBAPIError as error:
            pause = attempts.pause(error, time.monotonic(), _uniform())
            _log(attempts, error, pause)
            if pause is None:
                attempts.tell(error, time.monotonic())
                raise
        await rest_async(pause)


def _uniform() -> Callable[[float, float], float]:
    import random

    return random.uniform


def _log(attempts: Attempts, error: DBAPIError, pause: float | None) -> None:
    import logging

    then = "no other one follows" if pause is None else f"the next one in {pause:.3f} seconds"
    number = len(attempts.failed)
    logging.getLogger("plainsql.run").info(
        "attempt %d of %d failed: %s; %s", number, attempts.most, described(error), then
    )
