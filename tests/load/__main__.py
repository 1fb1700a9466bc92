"""The whole suites: `python -m tests.load storm|soak|forks`, on each database that there is.

Prints a line of figures per database and side, and what broke a rule; then it ends by 1.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import plainsql
from plainsql import aio
from tests import servers
from tests._async.storming import storm_async
from tests._sync.storming import storm
from tests.load.ending import CASES
from tests.load.exits import end, told
from tests.load.forking import fork
from tests.load.soak import soak
from tests.servers import KINDS, ROOT, Finder, Unavailable, Unusable, given_urls

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Iterator, Sequence

    from tests.load.fairness import Storm

THREADS, PLACES = 500, 8
TASKS, PLACES_OF_TASKS = 10_000, 20
FORKS, EXITS = 200, 100
#: Transactions per database.
COUNTS = {"sqlite": 1_000_000}
COUNT = 300_000
WARM_UP = 50_000
#: Transactions that a sample is taken after, about.
SAMPLE = 2_000


#: Of which workers, the figures, and what broke a rule.
Line = tuple[str, object, "Iterable[str]"]


def storms(kind: str, url: str, options: Namespace) -> Iterator[Line]:
    """Suite I."""
    del kind
    if "sync" in options.side:
        engine = plainsql.create_engine(url, pool_size=PLACES, max_overflow=0)
        came = storm(engine, THREADS, PLACES, options.seconds)
        engine.dispose()
        yield "threads", came, came.faults()
    if "async" in options.side:
        came = asyncio.run(_tasks(url, options.seconds))
        yield "tasks", came, came.faults()


async def _tasks(url: str, seconds: float) -> Storm:
    engine = aio.create_async_engine(url, pool_size=PLACES_OF_TASKS, max_overflow=0)
    came = await storm_async(engine, TASKS, PLACES_OF_TASKS, seconds)
    await engine.dispose()
    return came


def soaks(kind: str, url: str, options: Namespace) -> Iterator[Line]:
    """Suite J."""
    count = options.count or COUNTS.get(kind, COUNT)
    warm_up = min(WARM_UP, count // 4)
    for side in options.side:
        table = f"soak_{os.getpid()}_{side}"
        samples = max(10, (count - warm_up) // SAMPLE)
        try:
            came = soak(url, table, side, count, warm_up=warm_up, samples=samples)
        finally:
            servers.drop_tables(url, table)
        yield side, came, came.faults()


def forks(kind: str, url: str, options: Namespace) -> Iterator[Line]:
    """Suite K."""
    del kind
    for side in options.side:
        came = fork(url, side, options.count or FORKS)
        yield side, came, came.faults()
    ends = end(url, list(islice(cycle(CASES), options.count or EXITS)))
    yield "exits", told(ends), (fault for ended in ends for fault in ended.faults())


SUITES = {"storm": storms, "soak": soaks, "forks": forks}


def main(arguments: Sequence[str]) -> int:
    """Run one suite on one database, or on all."""
    parser = argparse.ArgumentParser(prog="python -m tests.load")
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--side", choices=["sync", "async"], action="append")
    parser.add_argument("--seconds", type=float, default=30, help="of a storm")
    parser.add_argument("--count", type=int, help="of transactions, of forks and of exits")
    options = parser.parse_args(arguments)
    options.side = options.side or ["sync", "async"]
    finder = Finder(given_urls((), os.environ, ROOT / ".env.test"))
    try:
        bad = sum([_on(kind, finder, options) for kind in options.kind or KINDS])
    finally:
        finder.stop()
    return 1 if bad else 0


def _on(kind: str, finder: Finder, options: Namespace) -> int:
    """Run a suite on one database; return how many faults were told."""
    try:
        url = finder.find(kind).url
    except (Unavailable, Unusable) as exc:
        print(f"{kind}: not found: {exc}")
        return 1 if options.kind else 0
    bad = 0
    with tempfile.TemporaryDirectory(prefix="plainsql-load-") as folder:
        if kind == "sqlite":
            # what a process does is looked at, not what its disk does
            url = f"sqlite:///{Path(folder) / 'load.db'}?synchronous=off"
        for what, came, faults in SUITES[options.suite](kind, url, options):
            print(f"{kind}, {what}: {came}", flush=True)
            for fault in faults:
                bad += 1
                print(f"  FAULT: {fault}", flush=True)
    return bad


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
