"""Run the examples of a document: every ```python fence, from top to bottom, in one namespace.

A fence that begins with `>>>` is a doctest, and what it shows is compared; any other is a program.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SYBIL = Sybil(parsers=[PythonCodeBlockParser()])
FENCE = re.compile(r"^\s*(?:```+|~~~+)(.*)$", re.MULTILINE)


def documents() -> list[Path]:
    """The README and all pages."""
    pages = sorted((ROOT / "docs").rglob("*.md"))
    return [ROOT / "README.md", *(page for page in pages if "changelog.d" not in page.parts)]


def languages(text: str) -> set[str]:
    """What the fences of a page say they hold."""
    return {words.strip() for words in FENCE.findall(text)[::2]}


def run(path: Path) -> int:
    """Run the examples of a document; how many there are."""
    document = SYBIL.parse(path)
    count = 0
    with as_in_a_shell():
        for example in document.examples():
            example.evaluate()
            count += 1
    document.namespace.clear()  # as a program's end does
    return count


@contextmanager
def as_in_a_shell() -> Iterator[None]:
    """Without pytest's handlers, for the echo log goes to standard output where nobody logs."""
    root, ours = logging.getLogger(), logging.getLogger("plainsql.engine")
    saved = root.handlers[:], ours.handlers[:], ours.level
    root.handlers.clear()
    ours.handlers.clear()
    try:
        yield
    finally:
        root.handlers[:], ours.handlers[:] = saved[:2]
        ours.setLevel(saved[2])
