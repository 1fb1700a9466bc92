"""The table of `docs/guides/failures.md`, which the tests write and read."""

from __future__ import annotations

import os
from pathlib import Path

from tests.faults.events import DEVIATIONS, SECTIONS, SIGNALLED, VARIES
from tests.servers import KINDS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "failures.md"
RENEW = bool(os.environ.get("PLAINSQL_WRITE_FAILURES"))
BEGIN = "<!-- from here to the end it is written by tests/faults/test_failures.py -->\n"
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB"}
STALE = f"{PAGE.name} is stale: PLAINSQL_WRITE_FAILURES=1 pytest tests/faults/test_failures.py"

Cells = dict[str, dict[str, str]]


def cells() -> Cells:
    """Event → database → what came of it, as the page says."""
    found: Cells = {}
    for line in PAGE.read_text("utf-8").splitlines():
        parts = [part.strip() for part in line.split("|")[1:-1]]
        if len(parts) == 5 + len(KINDS):
            found[parts[0]] = dict(zip(KINDS, parts[5:], strict=True))
    return found


def written(known: Cells) -> str:
    """What the tests write, with these cells."""
    return "\n".join([*_tables(known), *_named()])


def _tables(known: Cells) -> list[str]:
    lines: list[str] = []
    for title, events in SECTIONS.items():
        heads = ["Fault", "Class", "`outcome`", "`retryable`", "Connection", *NAMES.values()]
        lines += [f"### {title}", "", _row(heads), "|---" * len(heads) + "|"]
        for name, event in events.items():
            retryable = "yes" if event.retryable else "no"
            means = [f"`{event.cls.__name__}`", f"`{event.outcome}`", retryable, event.connection]
            answers = known.get(name, {})
            lines.append(_row([name, *means, *(answers.get(kind, "") for kind in KINDS)]))
        lines.append("")
    return lines


def _named() -> list[str]:
    lines = ["## Where a server can not tell", ""]
    lines += [f"- *{event}*, {NAMES[kind]}: {why}." for (event, kind), why in DEVIATIONS.items()]
    lines += ["", "## What was signalled", "", "All else happened.", ""]
    lines += [f"- *{event}*, {NAMES[kind]}: {why}." for (event, kind), why in SIGNALLED.items()]
    return [*lines, ""]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def compare(event: str, kind: str, answer: str) -> None:
    """Compare an answer with its cell of the page, or write it."""
    varies = VARIES.get((event, kind), ())
    if answer in varies:
        answer = " or ".join(varies)
    known = cells()
    if RENEW:
        known.setdefault(event, {})[kind] = answer
        PAGE.write_text(
            PAGE.read_text("utf-8").partition(BEGIN)[0] + BEGIN + written(known), "utf-8"
        )
        return
    said = known.get(event, {}).get(kind)
    assert said == answer, f"{STALE}: {event!r} on {kind} is {answer}, not {said}"
