"""A server that does as it is told, and engines on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from plainsql.testing.fake import FakeServer
from tests.beside import until_async

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from plainsql.aio import AsyncEngine


@pytest.fixture
def fake() -> FakeServer:
    """A server with an empty script."""
    return FakeServer()


@pytest.fixture
async def make_engine_async(fake: FakeServer) -> AsyncIterator[Callable[..., AsyncEngine]]:
    """Makes engines on it; disposed of after the test, which must leave no connection open."""
    engines: list[AsyncEngine] = []

    def make(**options: Any) -> AsyncEngine:
        engines.append(fake.engine_async(**options))
        return engines[-1]

    yield make
    for engine in engines:
        await engine.dispose()
    await until_async(lambda: fake.open == [])


@pytest.fixture
def narrow_async(make_engine_async: Callable[..., AsyncEngine]) -> AsyncEngine:
    """An engine with one connection, for which everybody waits."""
    return make_engine_async(pool_size=1, max_overflow=0, pool_timeout=5)


class Clock:
    """The pool's clock; it stands until somebody sets it forward."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which the pool goes from now on; not for tests that wait."""
    clock = Clock()
    monkeypatch.setattr("plainsql._async.pool.time", clock)
    return clock
