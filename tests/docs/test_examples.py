"""Every example in the README, the pages and the docstrings runs and shows what it says."""

from __future__ import annotations

import doctest
import gc
import importlib
import pkgutil
import sys
from typing import TYPE_CHECKING

import pytest
from sybil.example import SybilFailure

import plainsql
from tests.docs import examples

if TYPE_CHECKING:
    from pathlib import Path

#: Fences that are not run: commands, output, and files of other kinds.
NOT_PYTHON = {"shell", "text", "toml", "sql"}
#: Pages on what only a newer Python has.
NEEDS = {"template-strings.md": (3, 14)}


@pytest.mark.parametrize(
    "path", [pytest.param(p, id=str(p.relative_to(examples.ROOT))) for p in examples.documents()]
)
def test_every_example_of_a_page_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.version_info < (version := NEEDS.get(path.name, (3,))):
        pytest.skip(f"needs Python {version}")
    monkeypatch.chdir(tmp_path)
    count = examples.run(path)
    gc.collect()  # a connection that an example forgot warns now
    assert count or "```python" not in path.read_text("utf-8")


@pytest.mark.parametrize(
    "path", [pytest.param(p, id=str(p.relative_to(examples.ROOT))) for p in examples.documents()]
)
def test_no_fence_hides_python_that_is_not_run(path: Path) -> None:
    assert examples.languages(path.read_text("utf-8")) <= {"python", *NOT_PYTHON}


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        pytest.param("```python\n1 / 0\n```\n", ZeroDivisionError, id="a program that fails"),
        pytest.param("```python\n>>> 1 + 1\n3\n```\n", SybilFailure, id="a doctest that is wrong"),
        pytest.param("```python\na = 1\n```\n\n```python\nb\n```\n", NameError, id="a later fence"),
    ],
)
def test_a_wrong_example_is_noticed(text: str, failure: type[Exception], tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(failure):
        examples.run(page)


def test_the_echo_log_is_shown_as_in_a_shell(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```python\n"
        ">>> from plainsql import create_engine\n"
        '>>> with create_engine("sqlite://", echo=True).connect() as connection:\n'
        '...     connection.scalar("SELECT :a", {"a": 5})\n'
        "BEGIN (implicit)\nSELECT ?\n[...] (5,)\n5\nROLLBACK\n"
        "```\n"
    )
    assert examples.run(page) == 2


def test_every_example_of_a_docstring_runs() -> None:
    count = 0
    for module in pkgutil.walk_packages(plainsql.__path__, "plainsql."):
        if module.name.startswith("plainsql.testing"):
            continue  # its modules are tests
        failed, attempted = doctest.testmod(importlib.import_module(module.name))
        assert failed == 0, module.name
        count += attempted
    assert count, "no docstring has an example"
