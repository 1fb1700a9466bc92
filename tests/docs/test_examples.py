"""Every example in the README, the pages and the docstrings runs and shows what it says."""

from __future__ import annotations

import doctest
import gc
import importlib
import pkgutil
from typing import TYPE_CHECKING

import pytest

import plainsql
from tests.docs import examples

if TYPE_CHECKING:
    from pathlib import Path

#: Fences that are not run: commands, output, and files of other kinds.
NOT_PYTHON = {"shell", "text", "toml", "sql"}


@pytest.mark.parametrize(
    "path", [pytest.param(p, id=str(p.relative_to(examples.ROOT))) for p in examples.documents()]
)
def test_every_example_of_a_page_runs(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    "text",
    [
        pytest.param("```python\nassert False\n```\n", id="a program that fails"),
        pytest.param("```python\n>>> 1 + 1\n3\n```\n", id="a doctest that shows something else"),
        pytest.param("```python\na = 1\n```\n\n```python\nb\n```\n", id="the second fence"),
    ],
)
def test_a_wrong_example_is_noticed(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(Exception):  # noqa: B017 - whatever the example raises
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
    for module in pkgutil.walk_packages(plainsql.__path__, "plainsql."):
        if module.name.startswith("plainsql.testing"):
            continue  # its modules are tests
        outcome = doctest.testmod(importlib.import_module(module.name))
        assert outcome.failed == 0, module.name
