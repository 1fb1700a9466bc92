"""The guide to pooling tells what each number of a pool's status is."""

from __future__ import annotations

import re

from plainsql.ledger import PoolStatus
from tests.docs.examples import ROOT


def test_each_number_of_the_status_has_its_line() -> None:
    page = (ROOT / "docs" / "guides" / "pooling.md").read_text("utf-8")
    lines = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert set(PoolStatus.__slots__) <= lines
