"""What is opened by awaiting says so to who forgot to await."""

from __future__ import annotations

import pytest

from plainsql.aio import create_async_engine


async def test_with_instead_of_async_with() -> None:
    engine = create_async_engine("sqlite://")
    with pytest.raises(TypeError, match="write `async with`"), engine.connect():  # type: ignore[attr-defined]
        pass


async def test_a_method_before_await() -> None:
    connecting = create_async_engine("sqlite://").connect()
    with pytest.raises(AttributeError, match=r"await it before \.execute"):
        connecting.execute("SELECT 1")  # type: ignore[attr-defined]
    await (await connecting).close()
