"""Reads many texts beside each server's own parser: `make fuzz SECONDS=60 [SEED=1] [KIND=mysql]`.

A disagreement is shrunk, printed, and kept in tests/fuzz/cases.json, which the unit tests replay.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from plainsql.rules import LexicalRules
from tests.fuzz.judges import MARK, judges
from tests.fuzz.texts import draw
from tests.servers import ROOT, Finder, given_urls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fuzz.judges import Judge

KINDS = ("sqlite", "postgresql", "mysql", "mariadb")
CASES = Path(__file__).parent / "cases.json"


def shrink(judge: Judge, text: str) -> str:
    """Return a shortest text, by leaving out, that the two still read differently."""
    size = len(text)
    while size:
        at = 0
        while at < len(text):
            shorter = text[:at] + text[at + size :]
            if MARK in shorter and judge.disagrees(shorter):
                text = shorter
            else:
                at += size
        size //= 2
    return text


def keep(judge: Judge, text: str) -> None:
    """Add a case to those that the unit tests replay."""
    cases = json.loads(CASES.read_text())
    standard, fields = (rules.__reduce__()[1][0] for rules in (LexicalRules(), judge.rules))
    rules = {name: value for name, value in fields.items() if value != standard[name]}
    cases.append({"judge": judge.name, "text": text, "said": judge.verdict(text), "rules": rules})
    CASES.write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n")


def run(kind: str, url: str, seconds: float, seed: int) -> tuple[int, int, int]:
    """Read texts for so long; return how many were drawn and judged, and the disagreements."""
    random, drawn, judged, wrong = Random(seed), 0, 0, 0
    benches = list(judges(kind, url))
    end = time.monotonic() + seconds
    while time.monotonic() < end and wrong < 5:
        text = draw(random, kind)
        drawn += 1
        for judge in benches:
            if judge.verdict(text) is not None:
                judged += 1
            if judge.disagrees(text):
                wrong += 1
                text = shrink(judge, text)
                print(f"{kind}: {judge.disagrees(text)} of {text!r}")
                keep(judge, text)
    for judge in benches:
        judge.close()
    return drawn, judged, wrong


def main(arguments: Sequence[str]) -> int:
    """Fuzz one database or all, each for its share of the time."""
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--kind", choices=KINDS, action="append")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000
    finder = Finder(given_urls((), os.environ, ROOT / ".env.test"))
    wrong = 0
    try:
        for kind in options.kind or KINDS:
            url = "" if kind == "sqlite" else finder.find(kind).url
            drawn, judged, found = run(kind, url, options.seconds, seed)
            print(f"{kind}: seed {seed}, {drawn} texts, {judged} answers, {found} disagreements")
            wrong += found
    finally:
        finder.stop()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
