"""A connection and a session in trouble: what is lost, what is reused, what the user is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from plainsql.aio import AsyncEngine, AsyncSession, AsyncTransaction
from plainsql.errors import (
    CommitUnknown,
    Disconnected,
    NotSupportedError,
    SQLSyntaxError,
    TransactionAborted,
    TransactionStateError,
)
from plainsql.testing.fake import FakeCursor, FakeError, Hold
from tests.beside import interrupt_async, until_async

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql.aio import AsyncConnection
    from plainsql.testing.fake import FakeServer, When


class Fatal(BaseException):
    """Nobody's error: how some frameworks end a task."""


class Mine(Exception):
    """The user's own trouble."""


async def use(engine: AsyncEngine) -> Any:
    async with engine.connect() as connection:
        return await connection.scalar("SELECT here")


# -- interrupts ---------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("of", ["engine", "session"])
async def test_no_warning_of_dropped_writes_replaces_the_interrupt_that_dropped_them(
    narrow_async: AsyncEngine, monkeypatch: pytest.MonkeyPatch, of: str
) -> None:
    """It came as the block was left, before anything could be rolled back."""

    async def leave(*_: object) -> None:
        raise Fatal

    monkeypatch.setattr(AsyncTransaction, "__aexit__", leave)
    with pytest.raises(Fatal):
        if of == "engine":
            async with narrow_async.begin() as connection:
                await connection.execute("INSERT :x", {"x": 1})
        else:
            async with AsyncSession(narrow_async) as session, session.begin():
                await session.execute("INSERT :x", {"x": 1})
    assert narrow_async.pool.status().busy == 0


async def work(engine: AsyncEngine) -> None:
    """Do a bit of everything that sends something."""
    async with engine.begin() as connection:
        await connection.execute("SELECT one")
        await connection.execute("INSERT (:x)", [{"x": 1}, {"x": 2}])
        await connection.exec_driver_sql("PRAGMA")
        async with connection.begin_nested() as savepoint:
            await savepoint.rollback()
        async with connection.begin_nested():
            await connection.execute("UPDATE :x", {"x": 1})
        async with connection.stream("VALUES :x", {"x": 1}) as stream:
            await stream.all()
    async with engine.connect() as connection:
        await connection.execute("SELECT two")
        await connection.rollback()


@pytest.mark.parametrize("again", [False, True])
async def test_an_interrupt_while_an_interrupted_connection_is_given_up_gives_it_to_nobody(
    narrow_async: AsyncEngine, fake: FakeServer, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """An answer is still to come on it; a storm of signals found that."""
    abandon = narrow_async.pool.abandon

    def interrupted(claim: Any) -> None:
        del claim
        monkeypatch.setattr(narrow_async.pool, "abandon", abandon)
        raise Fatal

    connection = await narrow_async.connect()
    await connection.scalar("SELECT one")
    fake.at("SELECT two", Fatal(), when="after")
    monkeypatch.setattr(narrow_async.pool, "abandon", interrupted)
    with pytest.raises(Fatal):
        await connection.scalar("SELECT two")
    if again:
        with pytest.raises(TransactionStateError, match="the transaction is lost"):
            await connection.scalar("SELECT three")
        await connection.rollback()
        assert await connection.scalar("SELECT four") == "four"
    await connection.close()
    assert await use(narrow_async) == "here"
    assert len(fake.connections) == 2
    status = narrow_async.pool.status()
    assert (status.busy, status.idle) == (0, 1)


async def test_the_drivers_connection_is_given_up_if_an_interrupt_leaves_its_block(
    narrow_async: AsyncEngine, fake: FakeServer
) -> None:
    """Its answer may still come."""
    fake.at("SELECT two", Fatal(), when="after")
    with pytest.raises(Fatal):
        async with narrow_async.raw_connection() as raw:
            await raw.cursor().execute("SELECT two")
    assert await use(narrow_async) == "here"
    assert len(fake.connections) == 2


async def work_in_session(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session:
        await session.execute("SELECT one")
        async with session.begin_nested():
            await session.execute("UPDATE :x", {"x": 1})
        await session.commit()
        await session.execute("SELECT two")
        await session.rollback()


COMMON = ["START", "SELECT one", "SAVEPOINT", "UPDATE", "RELEASE", "COMMIT", "SELECT two"]
STEPS = [(work, step) for step in (*COMMON, "INSERT", "PRAGMA", "ROLLBACK TO", "VALUES")]
STEPS += [(work_in_session, step) for step in COMMON]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("doing", "step"), STEPS)
async def test_an_interrupt_costs_the_connection_and_nothing_else(
    narrow_async: AsyncEngine, fake: FakeServer, doing: Any, step: str, when: When
) -> None:
    """Whoever came next on it would read the answer that the one before has not read."""
    hold = fake.at(step, Hold(), when=when)
    await interrupt_async(hold.reached.is_set, doing, narrow_async)

    await until_async(lambda: fake.open == [])
    assert await use(narrow_async) == "here"
    assert len(fake.connections) == 2
    assert narrow_async.pool.status().busy == 0


async def left_open(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute("SELECT one")


async def left_by_an_exception(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute("SELECT one")
        raise Mine


async def rolled_back(engine: AsyncEngine) -> None:
    connection = await engine.connect()
    await connection.execute("SELECT one")
    await connection.rollback()


async def session_left_open(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session:
        await session.execute("SELECT one")


async def session_rolled_back(engine: AsyncEngine) -> None:
    session = AsyncSession(engine)
    await session.execute("SELECT one")
    await session.rollback()


async def test_an_interrupt_comes_out_though_the_driver_raised_an_error_over_it(
    narrow_async: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As psycopg does where its pipeline can not be left."""
    interrupt = GeneratorExit("now")

    def execute(cursor: Any, sql: str, params: Any = None) -> None:
        del cursor, sql, params
        try:
            raise interrupt
        finally:
            raise FakeError("08006", "can not be left now")

    monkeypatch.setattr(FakeCursor, "execute", execute)
    with pytest.raises(GeneratorExit) as caught:
        await use(narrow_async)
    assert caught.value is interrupt
    assert isinstance(interrupt.__context__, FakeError)
    monkeypatch.undo()
    assert await use(narrow_async) == "here"


async def test_an_error_is_an_error_though_the_user_is_handling_an_interrupt(
    narrow_async: AsyncEngine, fake: FakeServer
) -> None:
    fake.at("SELECT", FakeError("42601", "no"))
    try:
        raise GeneratorExit
    except GeneratorExit:
        with pytest.raises(SQLSyntaxError):
            await use(narrow_async)


@pytest.mark.parametrize(
    "doing", [left_open, left_by_an_exception, rolled_back, session_left_open, session_rolled_back]
)
async def test_an_interrupted_rollback_costs_the_connection_and_nothing_else(
    narrow_async: AsyncEngine, fake: FakeServer, doing: Any
) -> None:
    hold = fake.at("ROLLBACK", Hold(), when="after")
    await interrupt_async(hold.reached.is_set, doing, narrow_async)

    await until_async(lambda: fake.open == [])
    assert await use(narrow_async) == "here"


async def test_after_an_interrupt_the_transaction_wants_a_rollback(
    narrow_async: AsyncEngine, fake: FakeServer
) -> None:
    """It is gone with its connection; what follows must not be taken for its rest."""
    async with narrow_async.connect() as connection:
        hold = fake.at("SELECT one", Hold(), when="after")
        await interrupt_async(hold.reached.is_set, connection.execute, "SELECT one")
        with pytest.raises(TransactionStateError, match="interrupted by"):
            await connection.execute("SELECT two")
        with pytest.raises(TransactionAborted):
            await connection.commit()
        assert await connection.scalar("SELECT three") == "three"


async def test_a_session_goes_on_after_an_interrupted_commit(
    narrow_async: AsyncEngine, fake: FakeServer
) -> None:
    session = AsyncSession(narrow_async)
    await session.execute("SELECT one")
    hold = fake.at("COMMIT", Hold(), when="after")
    await interrupt_async(hold.reached.is_set, session.commit)
    await session.close()

    assert await session.scalar("SELECT two") == "two"
    await session.close()


# -- what the driver raises ---------------------------------------------------------------------


async def test_what_is_not_the_drivers_error_costs_the_connection(
    narrow_async: AsyncEngine, fake: FakeServer
) -> None:
    fake.at("SELECT one", ZeroDivisionError("in the driver"), when="after")
    with pytest.raises(ZeroDivisionError, match="in the driver"):
        await left_open(narrow_async)

    await until_async(lambda: fake.open == [])
    assert await use(narrow_async) == "here"


async def test_the_drivers_error_leaves_the_connection(
    narrow_async: AsyncEngine, fake: FakeServer
) -> None:
    fake.at("SELECT one", FakeError("42601"))
    with pytest.raises(SQLSyntaxError):
        await left_open(narrow_async)

    assert await use(narrow_async) == "here"
    assert len(fake.connections) == 1


@pytest.mark.parametrize(
    ("step", "error", "outcome"),
    [
        pytest.param("START", Disconnected, "not_applied", id="before anything was done"),
        pytest.param("INSERT", Disconnected, "not_applied", id="in the transaction"),
        pytest.param("COMMIT", CommitUnknown, "unknown", id="at its end"),
    ],
)
async def test_a_lost_connection_tells_what_is_known_of_the_work(
    narrow_async: AsyncEngine,
    fake: FakeServer,
    step: str,
    error: type[Disconnected],
    outcome: str,
) -> None:
    fake.at(step, FakeError("08006", "gone"))
    with pytest.raises(error, match="gone") as caught:
        async with narrow_async.begin() as connection:
            await connection.execute("INSERT 1")

    assert caught.value.outcome == outcome
    assert caught.value.retryable == (outcome == "not_applied")
    assert await use(narrow_async) == "here"


async def test_a_lost_connection_in_autocommit_may_have_done_its_work(
    make_engine_async: Callable[..., AsyncEngine], fake: FakeServer
) -> None:
    engine = make_engine_async(isolation_level="AUTOCOMMIT")
    fake.at("INSERT", FakeError("08006"))
    async with engine.connect() as connection:
        with pytest.raises(Disconnected) as caught:
            await connection.execute("INSERT 1")
    assert (caught.value.outcome, caught.value.retryable) == ("unknown", False)


@pytest.mark.parametrize("failure", [FakeError("XX000", "no"), OSError("no")])
async def test_a_rollback_that_fails_is_a_note_on_the_users_exception(
    narrow_async: AsyncEngine, fake: FakeServer, failure: Exception
) -> None:
    fake.at("ROLLBACK", failure)
    with pytest.raises(Mine) as caught:
        await left_by_an_exception(narrow_async)

    assert caught.value.__notes__ == ["plainsql: the rollback failed too: no"]
    await until_async(lambda: fake.open == [])
    assert await use(narrow_async) == "here"


@pytest.mark.parametrize("owner", [AsyncEngine.connect, AsyncSession])
async def test_a_close_that_fails_is_a_note_on_the_users_exception(
    narrow_async: AsyncEngine, fake: FakeServer, owner: Any
) -> None:
    fake.at("ROLLBACK", OSError("no"))
    with pytest.raises(Mine) as caught:
        async with owner(narrow_async) as connection:
            await connection.execute("INSERT 1")
            raise Mine

    assert caught.value.__notes__ == ["plainsql: closing the connection failed too: no"]
    await until_async(lambda: fake.open == [])
    assert await use(narrow_async) == "here"


async def test_a_close_whose_rollback_fails_gives_the_place_back(
    narrow_async: AsyncEngine, fake: FakeServer
) -> None:
    fake.at("ROLLBACK", FakeError("XX000"))
    await left_open(narrow_async)

    await until_async(lambda: fake.open == [])
    assert await use(narrow_async) == "here"


async def test_a_savepoint_that_can_not_be_set_is_not_begun(
    narrow_async: AsyncEngine, fake: FakeServer
) -> None:
    async with narrow_async.begin() as connection:
        fake.at("SAVEPOINT", FakeError("0A000"))
        with pytest.raises(NotSupportedError):
            await connection.begin_nested()
        assert not connection.in_nested_transaction()
    assert fake.connections[0].sent[-1] == "COMMIT"


# -- what is sent -------------------------------------------------------------------------------


async def begin_and_do_nothing(connection: AsyncConnection) -> None:
    async with connection.begin():
        pass


async def nothing_but_commit(connection: AsyncConnection) -> None:
    await connection.commit()
    await connection.rollback()


@pytest.mark.parametrize("doing", [begin_and_do_nothing, nothing_but_commit])
async def test_who_does_nothing_sends_nothing(
    narrow_async: AsyncEngine, fake: FakeServer, doing: Any
) -> None:
    async with narrow_async.connect() as connection:
        await doing(connection)
    assert fake.connections[0].sent == []


async def test_a_close_rolls_back_and_is_done_once(
    narrow_async: AsyncEngine, fake: FakeServer
) -> None:
    connection = await narrow_async.connect()
    await connection.execute("SELECT one")
    await connection.close()
    await connection.close()

    assert fake.connections[0].sent == ["START TRANSACTION", "SELECT one", "ROLLBACK"]
    assert narrow_async.pool.status().idle == 1


async def test_a_session_holds_a_connection_only_in_a_transaction(
    narrow_async: AsyncEngine,
) -> None:
    busy = []
    async with AsyncSession(narrow_async) as session:
        busy.append(narrow_async.pool.status().busy)
        await session.execute("SELECT one")
        busy.append(narrow_async.pool.status().busy)
        await session.commit()
        busy.append(narrow_async.pool.status().busy)
    assert busy == [0, 1, 0]
