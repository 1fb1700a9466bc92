"""The share of the fuzzer that every run takes: some seconds on each database.

The seed is `SEED`, or a new one each day.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from plainsql.rules import LexicalRules
from tests.fuzz.__main__ import CASES, main, run, shrink
from tests.fuzz.judges import IN, MARK, OPEN, OUT, SQLite, ours
from tests.fuzz.texts import draw

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 5


@pytest.mark.slow
def test_no_text_is_read_otherwise_than_by_the_server(database_kind: str, url: str) -> None:
    seed = int(os.environ.get("SEED") or datetime.now(UTC).strftime("%Y%m%d"))
    drawn, judged, wrong = run(database_kind, url, SECONDS, seed)
    print(f"seed {seed}: {drawn} texts, {judged} answers")
    assert wrong == 0
    assert judged > 100


def cases() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(CASES.read_text("utf-8"))
    return found


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case['judge']} {case['text']}")
def test_what_was_once_read_wrongly_is_read_as_the_server_said(case: dict[str, Any]) -> None:
    said = ours(case["text"], LexicalRules(**_tuples(case["rules"])))
    assert said in {"not in": (OUT, OPEN)}.get(case["said"], (case["said"],))


def _tuples(value: Any) -> Any:
    """Make tuples of the lists that JSON made of them."""
    if isinstance(value, dict):
        return {name: _tuples(item) for name, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


class Wrong(SQLite):
    """Reads as a server that knows no comments."""

    rules = LexicalRules(dash_needs_space=True, open_comment_at_end=True)


def test_a_wrong_reading_is_found_and_shrunk() -> None:
    judge, random = Wrong(), Random(1)
    text = next(text for text in iter(lambda: draw(random, "sqlite"), "") if judge.disagrees(text))
    shrunk = shrink(judge, text)
    assert judge.disagrees(shrunk)
    assert len(shrunk) <= len(text)
    assert not any(
        judge.disagrees(shrunk[:n] + shrunk[n + 1 :])
        for n in range(len(shrunk))
        if shrunk[n] != MARK
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"SELECT 1, -- \n {MARK} + 1", OUT),
        (f"SELECT '{MARK}'", IN),
        (f"SELECT '{MARK}", OPEN),
        (f"SELEC {MARK}", None),
    ],
)
def test_the_judge_tells_inside_from_outside(text: str, said: str | None) -> None:
    assert SQLite().verdict(text) == said


def test_the_command_says_its_seed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    del tmp_path
    assert main(["--seconds", "0.2", "--seed", "9", "--kind", "sqlite"]) == 0
    assert capsys.readouterr().out.startswith("sqlite: seed 9, ")
