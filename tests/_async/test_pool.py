"""The pool's shell: who gets a connection when, and what is said when there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from plainsql.errors import AuthenticationError, ConnectError, PoolTimeout
from plainsql.testing.fake import FakeError, Hold
from tests.beside import AsyncBeside, until_async

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql.aio import AsyncEngine
    from plainsql.testing.fake import FakeServer


async def waiting_async(engine: AsyncEngine, number: int) -> None:
    """Wait until so many wait for a connection."""
    await until_async(lambda: engine.pool.status().waiting == number)


async def use(engine: AsyncEngine) -> Any:
    async with engine.connect() as connection:
        return await connection.scalar("SELECT here")


# -- who gets a connection ----------------------------------------------------------------------


async def test_waiters_are_served_first_come_first_served(
    narrow_async: AsyncEngine, fake: FakeServer
) -> None:
    served: list[int] = []

    async def take(number: int) -> None:
        async with narrow_async.connect():
            served.append(number)

    held = await narrow_async.connect()
    queue = []
    for number in range(5):
        queue.append(AsyncBeside(take, number))
        await waiting_async(narrow_async, number + 1)
    await held.close()
    for waiter in queue:
        await waiter.result()

    assert served == [0, 1, 2, 3, 4]
    assert len(fake.connections) == 1
    assert narrow_async.pool.status().handoffs == 5


# -- connects that fail -------------------------------------------------------------------------


async def test_a_connect_that_fails_frees_its_place_for_the_next(
    narrow_async: AsyncEngine, fake: FakeServer
) -> None:
    fake.at("connect", FakeError("08001", "nobody is there"))

    with pytest.raises(ConnectError, match="nobody is there"):
        await narrow_async.connect()
    assert await use(narrow_async) == "here"


async def test_a_connect_that_fails_lets_a_waiter_try(
    narrow_async: AsyncEngine, fake: FakeServer
) -> None:
    hold = fake.at("connect", Hold())
    first = AsyncBeside(use, narrow_async)
    await until_async(hold.reached.is_set)
    second = AsyncBeside(use, narrow_async)
    await waiting_async(narrow_async, 1)
    hold.go(FakeError("08001", "nobody is there"))

    with pytest.raises(ConnectError, match="nobody is there"):
        await first.result()
    assert await second.result() == "here"


async def test_a_refused_password_fails_all_who_wait(
    narrow_async: AsyncEngine, fake: FakeServer
) -> None:
    """Each of them would be refused, too, and the account may be locked in the end."""
    hold = fake.at("connect", Hold())
    queue = [AsyncBeside(use, narrow_async)]
    await until_async(hold.reached.is_set)
    for number in (1, 2):
        queue.append(AsyncBeside(use, narrow_async))
        await waiting_async(narrow_async, number)
    hold.go(FakeError("28P01", "wrong password"))

    for waiter in queue:
        with pytest.raises(AuthenticationError, match="wrong password"):
            await waiter.result()
    assert fake.connections == []
    assert await use(narrow_async) == "here"


# -- what is said when there is none ------------------------------------------------------------


async def test_a_timeout_tells_who_holds_what_and_why_there_is_no_more(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    engine = make_engine_async(pool_size=1, max_overflow=1, pool_timeout=0)
    async with engine.connect():
        fake.at("connect", FakeError("08001", "no route"))
        with pytest.raises(ConnectError):
            await engine.connect()
        hold = fake.at("connect", Hold())
        connecting = AsyncBeside(use, engine)
        await until_async(hold.reached.is_set)
        with pytest.raises(PoolTimeout) as caught:
            await engine.connect()
    hold.go()
    await connecting.result()

    message = str(caught.value)
    assert "within 0 seconds" in message
    assert "1 busy, 0 idle, 1 connecting of 2, 0 waiting" in message
    assert "test_pool.py" in message
    assert "in test_a_timeout_tells" in message
    assert message.endswith("last connect error: no route")
    assert engine.pool.status().timeouts == 1
