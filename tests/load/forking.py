"""Forks amid traffic: the parent's threads take and return connections, and children take theirs.

Amid the traffic in the pool, that is, not in the drivers: OpenSSL and SQLite have locks of their
own for the whole process, and one that another thread holds at a fork is held for ever in the
child.  A child that hangs is made to tell where, and is killed.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import json
import os
import time
from typing import TYPE_CHECKING, Any

from tests._async.taking import AsyncTraffic
from tests._sync.taking import PLACES, Traffic
from tests.beside import Beside, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Seconds within which a child has its answer.
LIMIT = 1.0
#: Seconds after which a child hangs.
HANGS = 10.0


class Forks:
    """What came of the forks of one process."""

    def __init__(self, traffic: Traffic | AsyncTraffic) -> None:
        self.traffic = traffic
        self.children: list[dict[str, Any]] = []

    @property
    def slowest(self) -> float:
        """How long the slowest child took, of those that had an answer."""
        return max((child.get("seconds", 0.0) for child in self.children), default=0.0)

    def faults(self, limit: float = LIMIT) -> Iterator[str]:
        """Say what breaks the rule: rows F8 and F9 of the fault matrix."""
        for number, child in enumerate(self.children, 1):
            if "seconds" not in child:
                yield f"child {number} failed: {child['failed']}"
            elif child["seconds"] > limit:
                yield f"child {number} took {child['seconds']:.2f} s"
            elif child["opened"] != 1:
                yield f"child {number} opened {child['opened']} connections"
            elif child["session"] in self.traffic.sessions - {None}:
                yield f"child {number} worked in the parent's session {child['session']}"
        for error in self.traffic.errors:
            yield f"in the parent: {error!r}"
        if len(self.traffic.opened) > PLACES:
            yield f"the parent opened {len(self.traffic.opened)} connections for {PLACES} places"

    def __str__(self) -> str:
        return (
            f"{len(self.children)} forks, the slowest child took {self.slowest:.3f} s; "
            f"the parent had {self.traffic.turns} turns on {len(self.traffic.opened)} connections "
            f"and {len(self.traffic.errors)} errors"
        )


def fork(url: str, side: str, times: int) -> Forks:
    """Fork so often while other threads, or a loop in another thread, take connections."""
    if side == "sync":
        traffic = Traffic(url)
        return _fork(traffic, traffic.run, traffic.use_and_dispose, times)
    tasks = AsyncTraffic(url)
    return _fork(
        tasks,
        lambda: asyncio.run(tasks.run()),
        lambda: asyncio.run(tasks.use_and_dispose()),
        times,
    )


def _fork(
    traffic: Traffic | AsyncTraffic, run: Callable[[], None], use: Callable[[], Any], times: int
) -> Forks:
    forks = Forks(traffic)
    running = Beside(run)
    try:
        until(lambda: traffic.errors or len(traffic.opened) == PLACES)
        for _ in range(times):
            turns = traffic.turns
            until(lambda: traffic.errors or traffic.turns > turns)  # noqa: B023 - called at once
            traffic.is_quiet = True
            until(lambda: not traffic.calling)
            forks.children.append(_child(traffic, use))
            traffic.is_quiet = False
    finally:
        traffic.is_over = True
        running.result()
    return forks


def _child(traffic: Traffic | AsyncTraffic, use: Callable[[], Any]) -> dict[str, Any]:
    """Fork a child that uses the engine; return what it told."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            faulthandler.dump_traceback_later(HANGS, exit=True, file=writer)
            os.write(writer, json.dumps(_told(traffic, use)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as told:  # noqa: PTH123 - a descriptor
        said = told.read().decode()  # up to its end, which faulthandler brings about if need be
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status or not said.startswith("{"):
        return {"failed": f"{status}: {said}"}
    found: dict[str, Any] = json.loads(said)
    return found


def _told(traffic: Traffic | AsyncTraffic, use: Callable[[], Any]) -> dict[str, Any]:
    traffic.is_quiet = False
    begun = time.monotonic()
    before = len(traffic.opened)
    try:
        session = use()
    except BaseException as exc:  # noqa: BLE001 - the parent is told
        return {"failed": repr(exc)}
    seconds = time.monotonic() - begun
    gc.collect()  # what it inherited goes, and must say nothing to the parent's server
    mine = [process for process in traffic.opened[before:] if process == os.getpid()]
    return {"seconds": seconds, "session": session, "opened": len(mine)}
