"""Each line of the page of portability facts has a test, and no test is without its line."""

from __future__ import annotations

import re

from tests.docs.examples import ROOT
from tests.integration import test_portability

MEASURING = ("test_portability.py", "test_wire.py")
FACT = re.compile(r"PF-[a-z]+(?:-[a-z]+)*")


def test_each_fact_of_the_page_is_measured_by_a_test() -> None:
    folder = ROOT / "tests" / "integration"
    source = "".join((folder / name).read_text("utf-8") for name in MEASURING)
    parametrized = {f"PF-returning-{verb}" for verb in ("insert", "update", "delete")}
    measured = set(FACT.findall(source)) - {"PF-returning"} | parametrized
    assert set(test_portability.facts()) == measured


def test_each_cell_says_something() -> None:
    for fact, words in test_portability.facts().items():
        assert all(words.values()), fact
