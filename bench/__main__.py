"""`python -m bench`: measure, and print a table in markdown for each database."""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cases import CASES
from bench.databases import Bench, has_sqlalchemy, say
from bench.harness import table
from tests.servers import KINDS, ROOT, Finder, Server, Unavailable, given_urls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.harness import Case

PACKAGES = ("plainsql", "SQLAlchemy", "psycopg", "PyMySQL")
WORDS_OF_BUSY = (
    "!! the machine is busy (load {load:.1f} on {cpus} CPUs): these figures are worth little"
)


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = [case.name for case in CASES]
    parser.add_argument(
        "--url", action="append", default=[], help="a marked database, instead of a throw-away one"
    )
    parser.add_argument("--backend", nargs="+", choices=KINDS, help="only these (default: all)")
    parser.add_argument("--case", nargs="+", choices=names, help="only these (default: all)")
    parser.add_argument("--rounds", type=int, help="samples of each (default: by case, 7 to 25)")
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the table to fetch")
    parser.add_argument(
        "--pin",
        type=int,
        metavar="CPU",
        help="stay on this CPU, with the servers that are started here; others pin themselves: "
        "taskset -acp CPU PID",
    )
    return parser.parse_args(words)


def main() -> int:
    options = arguments()
    if options.pin is not None:
        os.sched_setaffinity(0, {options.pin})  # servers started from here inherit it
    kinds = options.backend or KINDS
    cases = [case for case in CASES if options.case is None or case.name in options.case]
    if not has_sqlalchemy():
        say("!! SQLAlchemy is not installed and NOT measured: pip install 'plainsql[bench]'")
    print(_surroundings(options.pin))
    finder = Finder(given_urls(options.url, os.environ, ROOT / ".env.test"))
    try:
        for kind in kinds:
            try:
                server = finder.find(kind)
            except Unavailable as exc:
                say(f"!! {kind} is NOT measured: {exc}")
                print(f"\n## {kind}: not measured")
                continue
            with tempfile.TemporaryDirectory(prefix="plainsql-bench-") as folder:
                _measure(server, cases, Path(folder), options)
    finally:
        finder.stop()
    return 0


def _measure(
    server: Server, cases: Sequence[Case], folder: Path, options: argparse.Namespace
) -> None:
    url = server.url if server.kind != "sqlite" else f"sqlite:///{folder / 'bench.db'}"
    bench = Bench(server.kind, url, options.rows)
    say(f"{server.kind}: {server.version} ({server.source})")
    lines = []
    try:
        bench.create()
        for case in cases:
            if server.kind in case.kinds:
                say(f"  {case.name}")
                lines += case.lines(bench, options.rounds)
    finally:
        bench.close()
        bench.drop()
    print(f"\n## {server.kind}: {server.version}\n\n{table(lines)}", flush=True)


def _surroundings(pinned: int | None) -> str:
    cpus = os.cpu_count() or 1
    load = os.getloadavg()[0]
    if load > cpus / 2:
        say(WORDS_OF_BUSY.format(load=load, cpus=cpus))
    where = f"{cpus} CPUs" if pinned is None else f"pinned to CPU {pinned} of {cpus}"
    words = [f"{platform.python_implementation()} {platform.python_version()}", where]
    words += [f"load {load:.1f}", f"SQLite {sqlite3.sqlite_version}"]
    for package in PACKAGES:
        try:
            words.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            words.append(f"no {package}")
    return ", ".join(words)


if __name__ == "__main__":
    sys.exit(main())
