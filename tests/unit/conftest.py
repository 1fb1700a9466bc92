"""Engines for the tests that need no database of their own kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import plainsql

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def make_engine() -> Iterator[Callable[..., plainsql.Engine]]:
    """Makes engines on databases in memory, which end with the test."""
    engines: list[plainsql.Engine] = []

    def make(**options: Any) -> plainsql.Engine:
        engines.append(plainsql.create_engine("sqlite://", **options))
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()
