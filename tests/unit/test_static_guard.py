"""Text that was put together at run time is a type error, and `into=` is typed to the end.

mypy, which can not tell the former, reads the good examples with all the rest: `make check`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TYPING = Path(__file__).parents[1] / "typing"


@pytest.fixture(scope="module")
def told() -> dict[str, set[int]]:
    """What pyright says, strict as both files ask for: the lines with an error, for each."""
    files = [str(TYPING / name) for name in ("good.py", "bad.py")]
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    run = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
    said: dict[str, Any] = json.loads(run.stdout)
    assert said["summary"]["filesAnalyzed"] == len(files), run.stdout
    found: dict[str, set[int]] = {Path(file).name: set() for file in files}
    for one in said["generalDiagnostics"]:
        found[Path(one["file"]).name].add(one["range"]["start"]["line"] + 1)
    return found


def test_pyright_accepts_the_good_examples(told: dict[str, set[int]]) -> None:
    assert told["good.py"] == set()


def test_pyright_refuses_each_bad_line_and_no_other(told: dict[str, set[int]]) -> None:
    lines = (TYPING / "bad.py").read_text().splitlines()
    bad = {at for at, line in enumerate(lines, 1) if line.endswith("# error")}
    assert len(bad) > 20
    assert told["bad.py"] == bad
