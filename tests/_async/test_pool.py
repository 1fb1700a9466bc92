"""The pool's shell: who gets a connection when, and what is said when there is none."""

from __future__ import annotations

import gc
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from plainsql.aio import AsyncSession
from plainsql.errors import (
    AuthenticationError,
    ConnectError,
    Disconnected,
    InterfaceError,
    PoolClosed,
    PoolTimeout,
)
from plainsql.testing.fake import FakeError, Hold
from tests.beside import AsyncBeside, interrupt_async, until_async

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql.aio import AsyncConnection, AsyncEngine
    from plainsql.testing.fake import FakeServer
    from tests._async.conftest import Clock


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


async def test_a_connection_that_is_given_up_lets_a_waiter_connect(
    narrow_async: AsyncEngine, fake: FakeServer
) -> None:
    held = await narrow_async.connect()
    waiter = AsyncBeside(use, narrow_async)
    await waiting_async(narrow_async, 1)
    await held.invalidate()

    assert await waiter.result() == "here"
    assert len(fake.connections) == 2
    await held.close()


async def test_a_dropped_connection_comes_to_one_who_waits_already(
    narrow_async: AsyncEngine,
) -> None:
    held = [await narrow_async.connect()]
    waiter = AsyncBeside(use, narrow_async)
    await waiting_async(narrow_async, 1)
    with pytest.warns(ResourceWarning, match=r"taken at .*test_pool\.py:\d+ in test_a_dropped"):
        held.clear()

    assert await waiter.result() == "here"
    assert narrow_async.pool.status().busy == 0


async def test_a_dropped_connection_is_closed_when_the_next_one_is_taken(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    engine = make_engine_async(pool_size=2)
    held = [await engine.connect()]
    with pytest.warns(ResourceWarning, match="dropped without"):
        held.clear()
    await use(engine)
    await until_async(lambda: [one.closed for one in fake.connections] == [True, False])


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
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer, clock: Clock
) -> None:
    engine = make_engine_async(pool_size=1, max_overflow=1, pool_timeout=0)
    async with engine.connect():
        fake.at("connect", FakeError("08001", "no route"))
        with pytest.raises(PoolTimeout) as caught:
            await engine.connect()
        assert isinstance(caught.value.__cause__, ConnectError)
        clock.forward(1)  # it is not tried again before a pause is over
        hold = fake.at("connect", Hold())
        connecting = AsyncBeside(use, engine)
        await until_async(hold.reached.is_set)
        with pytest.raises(PoolTimeout) as caught:
            await engine.connect()
    hold.go()
    await connecting.result()

    message = str(caught.value)
    assert "within 0 seconds" in message
    assert "1 busy, 0 idle, 1 connecting of 2 (pool_size=1), 0 waiting" in message
    assert "itself holds 1 of them" in message
    assert "test_pool.py" in message
    assert "in test_a_timeout_tells" in message
    assert message.endswith("last connect error: no route")
    assert engine.pool.status().timeouts == 2


# -- interrupts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["connect", "raw_connection"])
async def test_a_timeout_tells_nothing_of_who_had_the_connection_before(
    make_engine_async: Callable[..., AsyncEngine], way: str
) -> None:
    engine = make_engine_async(pool_size=1, max_overflow=0, pool_timeout=0.01)
    await use(engine)
    async with getattr(engine, way)():
        with pytest.raises(PoolTimeout, match="taken at") as caught:
            await engine.connect()
    assert "last statement" not in str(caught.value)


async def test_a_session_that_takes_its_connection_is_in_use(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    """Else each of its users would have another one, and all but one would be lost."""
    session = AsyncSession(make_engine_async())
    hold = fake.at("connect", Hold())
    first = AsyncBeside(session.execute, "SELECT 1")
    await until_async(hold.reached.is_set)
    with pytest.raises(
        InterfaceError, match=r"session is in use by (thread|task) '.+, and (thr|ta)"
    ):
        await session.execute("SELECT 2")
    hold.go()
    await first.result()
    assert await session.scalar("SELECT here") == "here"
    assert len(fake.connections) == 1
    await session.close()


async def test_an_interrupted_waiter_leaves_the_queue(
    narrow_async: AsyncEngine, fake: FakeServer
) -> None:
    held = await narrow_async.connect()
    waiting = narrow_async.pool.status
    await interrupt_async(lambda: waiting().waiting == 1, narrow_async.connect)

    assert waiting().waiting == 0
    await held.close()
    assert await use(narrow_async) == "here"
    assert len(fake.connections) == 1


async def test_a_close_that_was_interrupted_twice_frees_the_place_when_called_again(
    narrow_async: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it gave the connection back, and as it gave it up for that."""
    connection = await narrow_async.connect()
    for name in ("release", "abandon"):
        monkeypatch.setattr(narrow_async.pool, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        await connection.close()
    monkeypatch.undo()
    assert narrow_async.pool.status().busy == 1
    await connection.close()
    assert narrow_async.pool.status().busy == 0


def interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


async def test_an_interrupted_connect_frees_its_place(
    narrow_async: AsyncEngine, fake: FakeServer
) -> None:
    hold = fake.at("connect", Hold())
    await interrupt_async(hold.reached.is_set, narrow_async.connect)

    hold.go(FakeError("08001"))  # nobody hears of it any more
    assert await use(narrow_async) == "here"


async def test_an_interrupted_on_connect_frees_its_place(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    async def set_up(raw: Any) -> None:
        await raw.cursor().execute("SET x")

    engine = make_engine_async(pool_size=1, max_overflow=0, on_connect=set_up)
    hold = fake.at("SET x", Hold())
    await interrupt_async(hold.reached.is_set, engine.connect)

    hold.go(FakeError("08006"))  # async, the hook runs on, and its connection is closed at its end
    assert await use(engine) == "here"
    await until_async(lambda: fake.connections[0].closed)
    assert len(fake.connections) == 2


async def test_an_interrupted_ping_costs_the_connection(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    engine = make_engine_async(pool_size=1, max_overflow=0, pool_pre_ping=True)
    await use(engine)
    hold = fake.at("SELECT 1", Hold(), when="after")
    await interrupt_async(hold.reached.is_set, engine.connect)

    await until_async(lambda: fake.open == [])
    assert await use(engine) == "here"
    assert len(fake.connections) == 2


# -- what is given out --------------------------------------------------------------------------


async def test_the_last_one_that_came_back_is_given_out_first(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    engine = make_engine_async()
    async with engine.connect():
        await use(engine)
    await use(engine)

    assert [connection.sent.count("SELECT here") for connection in fake.connections] == [1, 1]


async def test_a_connection_is_renewed_at_the_end_of_its_life(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer, clock: Clock
) -> None:
    """Its life is shortened by a tenth at most."""
    engine = make_engine_async(pool_recycle=100)
    await use(engine)
    clock.forward(89)
    await use(engine)
    assert len(fake.connections) == 1
    clock.forward(12)
    await use(engine)
    assert [connection.closed for connection in fake.connections] == [True, False]


async def test_a_connection_that_comes_back_too_old_is_closed_at_once(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer, clock: Clock
) -> None:
    engine = make_engine_async(pool_recycle=100)
    async with engine.connect():
        clock.forward(101)
    assert fake.connections[0].closed
    assert engine.pool.status().idle == 0


async def test_a_connection_lives_for_ever_without_recycle(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer, clock: Clock
) -> None:
    engine = make_engine_async(pool_recycle=-1, pool_pre_ping=False)
    await use(engine)
    clock.forward(1e9)
    await use(engine)
    assert len(fake.connections) == 1


PING = "SELECT 1"


@pytest.mark.parametrize(
    ("pre_ping", "idle", "pings"),
    [
        pytest.param(None, 0.9, 0, id="by default not before a second of idleness"),
        pytest.param(None, 1.1, 1, id="by default after a second of idleness"),
        pytest.param(True, 0.0, 1, id="each time"),
        pytest.param(False, 999, 0, id="never"),
    ],
)
async def test_the_server_is_asked(
    make_engine_async: Callable[..., AsyncEngine],
    fake: FakeServer,
    clock: Clock,
    pre_ping: bool | None,
    idle: float,
    pings: int,
) -> None:
    engine = make_engine_async(pool_pre_ping=pre_ping)
    await use(engine)
    clock.forward(idle)
    await use(engine)
    assert fake.connections[0].sent.count(PING) == pings


async def test_a_connection_that_died_in_the_pool_is_replaced_unnoticed(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    engine = make_engine_async(pool_pre_ping=True)
    await use(engine)
    fake.connections[0].cut()

    assert await use(engine) == "here"
    await until_async(lambda: [one.closed for one in fake.connections] == [True, False])
    assert engine.pool.status().closed == 1


async def test_a_server_that_was_there_is_waited_for(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    engine = make_engine_async(pool_size=1, max_overflow=0, pool_pre_ping=True)
    await use(engine)
    fake.connections[0].cut()
    for _ in range(3):
        fake.at("connect", FakeError("08001", "nobody is there"))

    began = time.monotonic()
    assert await use(engine) == "here"
    assert time.monotonic() - began >= 3 * 0.05


async def test_a_connect_that_fails_keeps_nothing_of_its_caller(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    """Or what the caller has dropped would be held until a connect succeeds."""
    engine = make_engine_async(pool_size=2, max_overflow=0)

    async def take_two() -> None:
        first = await engine.connect()
        fake.at("connect", FakeError("53300", "too many"))
        await engine.connect()
        await first.close()

    with suppress(ConnectError):
        await take_two()
    with pytest.warns(ResourceWarning, match="dropped without close"):
        await until_async(lambda: gc.collect() >= 0 and engine.pool.status().busy == 0)


async def test_a_server_that_stays_away_is_a_timeout_and_frees_the_place(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    engine = make_engine_async(pool_size=1, max_overflow=0, pool_pre_ping=True, pool_timeout=0.1)
    await use(engine)
    fake.connections[0].cut()
    for _ in range(20):
        fake.at("connect", FakeError("08001", "nobody is there"))

    with pytest.raises(PoolTimeout, match="last connect error: nobody is there") as caught:
        await use(engine)
    assert isinstance(caught.value.__cause__, ConnectError)
    status = engine.pool.status()
    assert (status.busy, status.connecting, status.waiting) == (0, 0, 0)


async def test_a_timeout_of_a_pool_without_limit_tells_of_none(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    engine = make_engine_async(max_overflow=-1, pool_timeout=0)
    async with engine.connect() as connection:
        await connection.invalidate()
    fake.at("connect", FakeError("08001", "nobody is there"))
    with pytest.raises(PoolTimeout, match=r"1 connecting \(pool_size=5\), 0 waiting"):
        await engine.connect()


async def test_tls_that_fails_with_a_server_that_was_there_is_told_at_once(
    fake: FakeServer, make_engine_async: Callable[..., AsyncEngine]
) -> None:
    """It is a certificate, or a setting, and does not come back by itself."""

    def connect() -> Any:
        if fake.connections:
            error = ConnectError("no certificate")
            error.phase = "tls"
            raise error
        return fake.connect()

    engine = make_engine_async(creator=connect, pool_size=2, max_overflow=0)
    async with engine.connect():
        with pytest.raises(ConnectError, match="no certificate"):
            await engine.connect()


async def test_a_password_that_is_refused_by_a_server_that_was_there_is_told_at_once(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    engine = make_engine_async(pool_size=1, max_overflow=0, pool_pre_ping=True)
    await use(engine)
    fake.connections[0].cut()
    fake.at("connect", FakeError("28P01", "wrong password"))

    with pytest.raises(AuthenticationError, match="wrong password"):
        await use(engine)
    assert await use(engine) == "here"


async def test_after_a_lost_connection_the_others_are_asked_once(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    engine = make_engine_async()
    async with engine.connect() as one:
        await use(engine)
        fake.at("SELECT", FakeError("08006"))
        with pytest.raises(Disconnected):
            await one.execute("SELECT 2")
    await use(engine)
    await use(engine)

    assert len(fake.connections) == 2
    assert fake.connections[1].sent.count(PING) == 1


async def test_one_idle_too_many_is_closed(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    engine = make_engine_async(pool_size=1, max_overflow=1)
    async with engine.connect(), engine.connect():
        assert len(fake.open) == 2
    assert len(fake.open) == engine.pool.status().idle == 1


@pytest.mark.parametrize("reset", ["rollback", "full"])
async def test_null_pool_closes_what_comes_back_as_it_is(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer, reset: str
) -> None:
    set_up: list[Any] = []
    engine = make_engine_async(poolclass="NullPool", reset=reset, on_connect=set_up.append)
    await use(engine)
    assert await use(engine) == "here"
    assert [connection.closed for connection in fake.connections] == [True, True]
    assert len(set_up) == 2


# -- the driver's own connection, when it comes back --------------------------------------------


@pytest.mark.parametrize("poolclass", ["QueuePool", "NullPool"])
async def test_only_what_is_still_held_is_logged(
    make_engine_async: Callable[..., AsyncEngine],
    caplog: pytest.LogCaptureFixture,
    poolclass: str,
) -> None:
    """What was given back, or given up, is not; all of it was taken before."""
    engine = make_engine_async(pool_leak_after=0.1, poolclass=poolclass)
    await use(engine)
    lost = await engine.connect()
    await lost.invalidate()
    held = await take(engine)
    await until_async(lambda: [one for one in caplog.records if "in take" in one.getMessage()])
    assert len(caplog.records) == 1
    await lost.close()
    await held.close()


async def take(engine: AsyncEngine) -> AsyncConnection:
    return await engine.connect()


async def test_what_was_begun_on_the_drivers_connection_is_rolled_back(
    narrow_async: AsyncEngine, fake: FakeServer
) -> None:
    async with narrow_async.raw_connection() as raw:
        await raw.cursor().execute("START TRANSACTION")
    assert fake.connections[0].sent[-1] == "ROLLBACK"
    assert narrow_async.pool.status().idle == 1


async def test_the_drivers_connection_is_asked_before_anybody_gets_it(
    narrow_async: AsyncEngine, fake: FakeServer
) -> None:
    async with narrow_async.raw_connection() as raw:
        await raw.cursor().execute("SET x")
    await use(narrow_async)
    assert fake.connections[0].sent[:3] == ["SET x", PING, "START TRANSACTION"]


async def test_the_drivers_connection_is_given_up_if_its_rollback_fails(
    narrow_async: AsyncEngine, fake: FakeServer
) -> None:
    async with narrow_async.raw_connection() as raw:
        await raw.cursor().execute("START TRANSACTION")
        fake.at("ROLLBACK", FakeError("XX000"))
    assert narrow_async.pool.status().idle == 0
    assert await use(narrow_async) == "here"


async def test_the_drivers_connection_is_given_up_if_its_user_closed_it(
    narrow_async: AsyncEngine, fake: FakeServer
) -> None:
    async with narrow_async.raw_connection() as raw:
        await raw.driver_connection.close()
    assert narrow_async.pool.status().idle == 0
    assert await use(narrow_async) == "here"
    assert len(fake.connections) == 2


# -- how connections are made -------------------------------------------------------------------


async def test_a_creator_makes_the_connections(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    engine = make_engine_async(creator=fake.connect, connect_args=None)
    assert await use(engine) == "here"
    assert len(fake.connections) == 1


async def test_a_creator_that_fails_frees_the_place(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    engine = make_engine_async(creator=fake.connect, pool_size=1, max_overflow=0)
    fake.at("connect", ZeroDivisionError("mine"))
    with pytest.raises(ZeroDivisionError, match="mine"):
        await use(engine)
    assert await use(engine) == "here"


async def test_an_on_connect_that_fails_closes_the_connection_and_frees_the_place(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    seen: list[Any] = []

    def refuse_the_first(raw: Any) -> None:
        seen.append(raw)
        if len(seen) == 1:
            raise ZeroDivisionError("mine")

    engine = make_engine_async(on_connect=refuse_the_first, pool_size=1, max_overflow=0)
    with pytest.raises(ZeroDivisionError, match="mine"):
        await use(engine)
    await until_async(lambda: fake.open == [])
    assert await use(engine) == "here"
    assert len(seen) == 2


async def test_a_connect_takes_its_time_limit_to_the_driver(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    engine = make_engine_async(connect_timeout=0.01)
    fake.at("connect", Hold())
    with pytest.raises(ConnectError, match="timed out"):
        await use(engine)


# -- the end ------------------------------------------------------------------------------------


async def test_dispose_lets_busy_connections_be_closed_when_they_come_back(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    engine = make_engine_async()
    async with engine.connect() as busy:
        await use(engine)
        await engine.dispose()
        assert [connection.closed for connection in fake.connections] == [False, True]
        assert await busy.scalar("SELECT still") == "still"
    assert fake.open == []
    assert await use(engine) == "here"


async def test_a_failing_close_is_silent_and_the_others_are_closed(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    engine = make_engine_async()
    async with engine.connect():
        await use(engine)
    fake.at("close", FakeError("08006"))
    await engine.dispose()
    assert len(fake.connections) == 2
    assert fake.open == []


async def test_a_pool_that_is_closed_for_ever_fails_all_who_wait(
    narrow_async: AsyncEngine,
) -> None:
    held = await narrow_async.connect()
    waiter = AsyncBeside(use, narrow_async)
    await waiting_async(narrow_async, 1)
    await narrow_async.close(timeout=0.1)

    with pytest.raises(PoolClosed):
        await waiter.result()
    await held.close()
    with pytest.raises(PoolClosed):
        await narrow_async.connect()


async def test_who_connects_as_the_pool_is_closed_gets_nothing(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    engine = make_engine_async()
    hold = fake.at("connect", Hold())
    connecting = AsyncBeside(use, engine)
    await until_async(hold.reached.is_set)
    await engine.close(timeout=0.01)
    hold.go()
    with pytest.raises(PoolClosed):
        await connecting.result()
    await until_async(lambda: fake.open == [])
    assert engine.pool.status().connecting == 0


async def test_who_waits_for_the_server_hears_that_the_pool_is_closed(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    engine = make_engine_async(pool_size=1, max_overflow=0, pool_pre_ping=True, pool_timeout=5)
    await use(engine)
    fake.connections[0].cut()
    for _ in range(20):
        fake.at("connect", FakeError("08001", "nobody is there"))
    waiter = AsyncBeside(use, engine)
    await until_async(lambda: engine.pool.status().connecting == 1)

    await engine.close(timeout=5)
    with pytest.raises(PoolClosed):
        await waiter.result()
