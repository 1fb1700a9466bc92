"""What leaves the blocks of transactions, and ends that fail on the way out: the same everywhere.

The numbers are rows of the fault matrix.  More of it, sync only, stands in
`tests/faults/test_trouble.py`.
"""

from __future__ import annotations

import time
from asyncio import CancelledError
from typing import TYPE_CHECKING, Any

import pytest

from plainsql._async.link import CLEAN_UP
from plainsql.aio import AsyncConnection, AsyncSession, async_sessionmaker, create_async_engine
from plainsql.errors import DBAPIError, TransactionAborted, TransactionStateError
from plainsql.testing.proxy import FaultProxy
from tests.beside import AsyncBeside, until_async
from tests.faults.provoking import LONG
from tests.faults.scene import MEANS
from tests.gates import Gate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator

    from plainsql.aio import AsyncEngine
    from tests.servers import RawConnection


class Fatal(BaseException):
    """Nobody's error: how some frameworks end a task."""


KINDS = [ValueError, Fatal, KeyboardInterrupt, SystemExit, GeneratorExit, CancelledError]
network = pytest.mark.only_on(
    "postgresql", "mysql", "mariadb", reason="SQLite has no line that could be cut"
)


class Table:
    """A table, an INSERT into it, and what others see of it."""

    def __init__(self, engine: AsyncEngine, name: str) -> None:
        self._engine = engine
        self._name = name

    async def create(self) -> None:
        async with self._engine.begin() as connection:
            await connection.exec_driver_sql(f"CREATE TABLE {self._name} (x INT)")

    async def insert(self, connection: AsyncConnection) -> None:
        await connection.exec_driver_sql(f"INSERT INTO {self._name} VALUES (1)")

    async def count(self) -> Any:
        async with self._engine.connect() as connection:
            result = await connection.exec_driver_sql(f"SELECT count(*) FROM {self._name}")
            return result.scalar_one()


@pytest.fixture
async def table(engine_async: AsyncEngine, table_name: str) -> Table:
    table = Table(engine_async, table_name)
    await table.create()
    return table


@pytest.mark.parametrize("call", ["execute", "exec_driver_sql"])
async def test_an_interrupt_between_the_answer_to_begin_and_our_note_of_it_confuses_nobody(
    engine_async: AsyncEngine, table: Table, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """F5: the transaction that nobody knows of is not gone on with."""
    send = AsyncConnection._send

    async def interrupted(self: AsyncConnection, sql: str, *rest: Any) -> None:
        await send(self, sql, *rest)
        monkeypatch.undo()
        raise Fatal

    async with engine_async.connect() as connection:
        await connection.rollback()
        monkeypatch.setattr(AsyncConnection, "_send", interrupted)
        with pytest.raises(Fatal):
            await getattr(connection, call)("SELECT 1")
        await connection.rollback()
        await table.insert(connection)
        await connection.commit()
    assert await table.count() == 1


@pytest.fixture
def proxy(url: str) -> Generator[FaultProxy]:
    with FaultProxy.to(url) as proxy:
        yield proxy


@pytest.fixture
async def behind_async(proxy: FaultProxy, database_kind: str) -> AsyncIterator[AsyncEngine]:
    """An engine with one connection, behind the proxy."""
    plain = proxy.url.update_query_dict(MEANS[database_kind].plain)
    engine = create_async_engine(plain, pool_size=1, max_overflow=0)
    yield engine
    await engine.dispose()


# -- a savepoint that is gone -------------------------------------------------------------------


async def drop_it(connection: AsyncConnection, name: str | None) -> None:
    """Release a savepoint behind the library's back."""
    cursor = connection.connection.cursor()
    await cursor.execute(f"RELEASE SAVEPOINT {name}")
    await cursor.close()


async def test_a_savepoint_that_is_gone_dooms_the_transaction(
    engine_async: AsyncEngine, table: Table
) -> None:
    """F46: its release fails; nothing of the transaction can be stored any more."""
    async with engine_async.connect() as connection:
        await table.insert(connection)
        with pytest.raises(DBAPIError) as caught:
            async with connection.begin_nested() as savepoint:
                await drop_it(connection, savepoint.name)
        (note,) = caught.value.__notes__
        assert note.startswith("plainsql: the rollback failed too: ")
        with pytest.raises(TransactionStateError, match="the transaction is lost"):
            await connection.scalar("SELECT 1")
        with pytest.raises(TransactionAborted):
            await connection.commit()
        assert await connection.scalar("SELECT 7") == 7
    assert await table.count() == 0


async def test_a_savepoint_that_is_gone_hides_no_exception(
    engine_async: AsyncEngine, table: Table
) -> None:
    """F46: where the block is left by one, the rollback to the savepoint is what fails."""
    mine = ValueError("mine")
    with pytest.raises(TransactionAborted):
        async with engine_async.begin() as connection:
            await table.insert(connection)
            with pytest.raises(ValueError, match="mine") as caught:
                async with connection.begin_nested() as savepoint:
                    await drop_it(connection, savepoint.name)
                    raise mine
            assert caught.value is mine
    (note,) = mine.__notes__
    assert note.startswith("plainsql: the rollback failed too: ")
    assert await table.count() == 0


# -- a rollback that fails ----------------------------------------------------------------------


@network
@pytest.mark.parametrize("order", ["cut_before", "cut_after", "reset_at"])
async def test_a_line_that_ends_in_the_rollback_hides_no_exception(
    proxy: FaultProxy, behind_async: AsyncEngine, table: Table, order: str
) -> None:
    """F47: a note is on it, the connection is closed, and its place is free."""
    mine = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        async with behind_async.begin() as connection:
            await table.insert(connection)
            getattr(proxy.requests, order)(b"ROLLBACK")
            raise mine
    assert proxy.requests.has_fired
    assert caught.value is mine
    (note,) = mine.__notes__
    assert note.startswith("plainsql: the rollback failed too: ")
    status = behind_async.pool.status()
    assert (status.busy, status.idle, status.closed) == (0, 0, 1)
    assert await table.count() == 0


@network
async def test_a_line_that_ends_in_the_rollback_of_a_close_is_nobodys_error(
    proxy: FaultProxy, behind_async: AsyncEngine, table: Table
) -> None:
    """F47: the transaction is gone with the line, as the caller wanted."""
    connection = await behind_async.connect()
    await connection.scalar("SELECT 1")
    proxy.requests.cut_before(b"ROLLBACK")
    await connection.close()
    assert proxy.requests.has_fired
    status = behind_async.pool.status()
    assert (status.busy, status.idle, status.closed) == (0, 0, 1)
    async with behind_async.connect() as another:
        assert await another.scalar("SELECT 7") == 7
    assert await table.count() == 0


@pytest.mark.slow
@pytest.mark.only_on("postgresql", reason="elsewhere nothing is sent to close a stream")
@pytest.mark.parametrize("ends", [True, False], ids=["it ends", "nothing comes"])
async def test_a_line_that_fails_as_a_stream_is_closed_is_nobodys_error(
    proxy: FaultProxy, behind_async: AsyncEngine, *, ends: bool
) -> None:
    """F53: in AUTOCOMMIT, where no rollback follows; nor does it take long."""
    connection = await behind_async.connect()
    connection.execution_options(isolation_level="AUTOCOMMIT")
    stream = await connection.stream("SELECT generate_series(1, 99)", batch=7)
    assert await stream.fetchone() is not None
    if ends:
        proxy.requests.cut_before(b"CLOSE")
    else:
        proxy.black_hole()
    began = time.monotonic()
    await connection.close()
    assert time.monotonic() - began < 2 * CLEAN_UP
    assert stream.closed
    status = behind_async.pool.status()
    assert (status.busy, status.idle, status.closed) == (0, 0, 1)


# -- what leaves a block ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
async def test_whatever_leaves_a_block_rolls_back_and_arrives_as_it_was(
    engine_async: AsyncEngine, table: Table, kind: type[BaseException]
) -> None:
    """F48: out of every kind of block, the same object, without a note."""
    async with engine_async.connect() as connection:
        raw = connection.connection
        blocks: list[Any] = [
            engine_async.begin,
            connection.begin,
            connection.begin_nested,
            engine_async.connect,
            lambda: AsyncSession(engine_async),
            lambda: AsyncSession(engine_async).begin(),
            async_sessionmaker(engine_async).begin,
        ]
        for block in blocks:
            mine = kind()
            with pytest.raises(kind) as caught:
                async with block() as owner:
                    user = getattr(owner, "session", owner)
                    await table.insert(await own_async(user, connection))
                    raise mine
            assert caught.value is mine
            assert not hasattr(mine, "__notes__")
            await connection.rollback()
            assert await table.count() == 0
        assert connection.connection is raw
    assert engine_async.pool.status().busy == 0


@pytest.fixture
def gate(database_kind: str, raw_connect: Callable[[], RawConnection]) -> Generator[Gate]:
    """A gate that is shut until the end of the test."""
    gate = Gate(database_kind, raw_connect)
    yield gate
    gate.open()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("of", ["engine", "connection", "session"])
async def test_whatever_leaves_a_block_while_another_one_is_at_work_in_it_arrives_as_it_was(
    make_engine_async: Callable[..., AsyncEngine],
    database_kind: str,
    gate: Gate,
    kind: type[BaseException],
    of: str,
) -> None:
    """F4, F48: with a note; the other one is cut off, and the connection is closed then.

    A server waits at the gate; SQLite has passed it and is at its own work.
    """
    on_sqlite = database_kind == "sqlite"
    sql = f"SELECT 1 WHERE {gate.wait} IS NULL AND 0 = ({LONG})" if on_sqlite else gate.sql
    engine = make_engine_async(pool_size=1, max_overflow=0, on_connect=gate.prepare)
    blocks: dict[str, Any] = {
        "engine": engine.begin,
        "connection": engine.connect,
        "session": async_sessionmaker(engine).begin,
    }
    mine = kind()
    with pytest.raises(kind) as caught:
        async with blocks[of]() as owner:
            at_work = AsyncBeside(owner.execute, sql, {} if on_sqlite else {"n": 1})
            await until_async(gate.is_reached)
            if on_sqlite:
                gate.open()
            raise mine
    assert caught.value is mine
    assert any("in use by" in note for note in mine.__notes__)
    status = engine.pool.status()
    assert (status.busy, status.idle, status.closed) == (0, 0, 1)
    with pytest.raises(DBAPIError):
        await at_work.result()
    async with engine.connect() as another:
        assert await another.scalar("SELECT 7") == 7


async def test_a_savepoint_that_is_left_while_another_one_is_at_work_is_never_stored(
    make_engine_async: Callable[..., AsyncEngine], gate: Gate, table: Table
) -> None:
    """F48: the other one is not disturbed; then only a rollback is accepted."""
    mine = ValueError("mine")
    engine = make_engine_async(on_connect=gate.prepare)
    async with engine.connect() as connection:
        with pytest.raises(ValueError, match="mine") as caught:
            async with connection.begin_nested():
                await table.insert(connection)
                at_work = AsyncBeside(connection.scalar, gate.sql, {"n": 1})
                await until_async(gate.is_reached)
                raise mine
        assert caught.value is mine
        (note,) = mine.__notes__
        assert note.startswith("plainsql: the rollback failed too: ")
        gate.open()
        await at_work.result()
        with pytest.raises(TransactionStateError, match="left while the connection was in use"):
            await connection.scalar("SELECT 1")
        with pytest.raises(TransactionAborted):
            await connection.commit()
        assert await connection.scalar("SELECT 7") == 7
    assert await table.count() == 0


async def own_async(user: Any, otherwise: AsyncConnection) -> AsyncConnection:
    """Return the connection of a block's owner."""
    if isinstance(user, AsyncSession):
        return await user.connection()
    return user if hasattr(user, "exec_driver_sql") else otherwise
