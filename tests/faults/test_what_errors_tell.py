"""Which attributes an error bears beside its code: the second table of `docs/guides/errors.md`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plainsql.errors import DBAPIError
from tests.faults.events import EVENTS
from tests.servers import KINDS

if TYPE_CHECKING:
    from tests.faults.scene import Scene

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "errors.md"

#: Event → what each attribute says where it says something; of `position`, the word there.
TOLD = {
    "a unique value that is there already": ("{t}_code", "{t}", "code", ""),
    "a parent that is missing": ("{t}_parent", "{t}", "parent", ""),
    "NULL given": ("", "{t}", "code", ""),
    "a value omitted": ("", "{t}", "code", ""),
    "a check that fails": ("{t}_n", "{t}", "n", ""),
    "a table that is missing": ("", "{t}_missing", "", "{t}_missing"),
    "a column that is missing": ("", "{t}", "missing", "missing"),
    "a statement that can not be parsed": ("", "", "", "SELEKT"),
}


@cache
def lines() -> dict[str, dict[str, list[str]]]:
    """Event → database → the attributes that the page names."""
    found = {}
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip().replace("`", "") for cell in line.split("|")[1:-1]]
        if len(cells) == 1 + len(KINDS) and cells[0] in TOLD:
            found[cells[0]] = dict(zip(KINDS, map(str.split, cells[1:]), strict=True))
    return found


@pytest.mark.parametrize("event", TOLD)
def test_an_error_tells_what_the_page_says(scene: Scene, event: str) -> None:
    with pytest.raises(DBAPIError) as caught:
        EVENTS[event].ways[scene.kind](scene)
    error, sql = caught.value, scene.statement or ""
    constraint, table, column, word = map(scene.fill, TOLD[event])
    right = {
        "constraint": constraint,
        "table": table,
        "column": column,
        "position": sql.find(word) if word else None,
    }
    named = lines()[event][scene.kind]
    told = {name: getattr(error, name) for name in right}
    assert told == {name: right[name] if name in named else None for name in right}
