"""The fixtures that plainsql's conformance kit asks for: a fresh file for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from plainsql import create_engine
from plainsql.aio import create_async_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from plainsql import Engine
    from plainsql.aio import AsyncEngine


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"demo:///{tmp_path / 'test.db'}"


@pytest.fixture
def table_prefix() -> str:
    return "t_"


@pytest.fixture
def table_name(table_prefix: str) -> str:
    return f"{table_prefix}t"


@pytest.fixture
def make_engine(url: str) -> Iterator[Callable[..., Engine]]:
    engines: list[Engine] = []

    def make(**options: Any) -> Engine:
        engines.append(create_engine(url, **options))
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture
def engine(make_engine: Callable[..., Engine]) -> Engine:
    return make_engine()


@pytest.fixture
async def make_engine_async(url: str) -> AsyncIterator[Callable[..., AsyncEngine]]:
    engines: list[AsyncEngine] = []

    def make(**options: Any) -> AsyncEngine:
        engines.append(create_async_engine(url, **options))
        return engines[-1]

    yield make
    for engine in engines:
        await engine.dispose()


@pytest.fixture
async def engine_async(make_engine_async: Callable[..., AsyncEngine]) -> AsyncEngine:
    return make_engine_async()
