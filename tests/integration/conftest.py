"""Engines on the database under test, for the conformance suite and the tests beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import plainsql
from plainsql import aio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from plainsql import Engine
    from plainsql.aio import AsyncEngine


@pytest.fixture
def make_engine(url: str, table_prefix: str) -> Iterator[Callable[..., Engine]]:
    """Makes engines on the database; they are disposed of before its tables are dropped."""
    del table_prefix
    engines: list[Engine] = []

    def make(**options: Any) -> Engine:
        engines.append(plainsql.create_engine(url, **options))
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture
def engine(make_engine: Callable[..., Engine]) -> Engine:
    """An engine on the database."""
    return make_engine()


@pytest.fixture
async def make_engine_async(
    url: str, table_prefix: str
) -> AsyncIterator[Callable[..., AsyncEngine]]:
    """Makes async engines on the database; disposed of before its tables are dropped."""
    del table_prefix
    engines: list[AsyncEngine] = []

    def make(**options: Any) -> AsyncEngine:
        engines.append(aio.create_async_engine(url, **options))
        return engines[-1]

    yield make
    for engine in engines:
        await engine.dispose()


@pytest.fixture
async def engine_async(make_engine_async: Callable[..., AsyncEngine]) -> AsyncEngine:
    """An async engine on the database."""
    return make_engine_async()
