"""Streams of a million rows, sync; and what memory they take, sync and async."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests._sync.streaming import *  # noqa: F403
from tests.memory import HAS_RESIDENT, MIB
from tests.servers import ROOT

CHILDREN = {
    "sync": "from tests._sync.reading import measure\n"
    "print(*measure(sys.stdin.read(), sys.argv[1]))",
    "async": "import asyncio; from tests._async.reading import measure_async\n"
    "print(*asyncio.run(measure_async(sys.stdin.read(), sys.argv[1])))",
}


def measured(url: str, side: str, way: str) -> tuple[float, float]:
    """The MiB, resident and traced by Python, that a fresh process takes to read many rows."""
    command = [sys.executable, "-c", f"import sys; {CHILDREN[side]}", way]
    # the URL goes by stdin, not past everybody's eyes
    done = subprocess.run(
        command, input=url, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT, timeout=120
    )
    in_all, by_python = done.stdout.split()
    return int(in_all) / MIB, int(by_python) / MIB


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RESIDENT, reason="resident memory is measured on Linux only")
@pytest.mark.parametrize("side", CHILDREN)
def test_a_million_rows_take_less_than_four_mebibytes(url: str, side: str) -> None:
    in_all, by_python = measured(url, side, "stream")
    assert in_all < 4
    assert by_python < 4


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RESIDENT, reason="resident memory is measured on Linux only")
def test_rows_that_are_kept_are_seen_in_the_measure(url: str) -> None:
    """Both ways of measuring would find a stream that keeps its rows, a tenth of them even."""
    in_all, by_python = measured(url, "sync", "execute")
    assert in_all > 4
    assert by_python > 4
