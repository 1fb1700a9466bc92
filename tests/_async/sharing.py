"""What users of one connection, at once or one after the other, see of each other: nothing.

The numbers are rows of the matrices of faults and of security.
"""

from __future__ import annotations

import gc
import random
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from plainsql.aio import AsyncSession
from plainsql.errors import DBAPIError, InterfaceError, LockTimeout, ResultError
from tests.beside import AsyncBeside, until_async
from tests.faults.scene import IMPATIENT
from tests.gates import Gate
from tests.manyrows import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plainsql.aio import AsyncConnection, AsyncEngine
    from tests.servers import RawConnection

BOTH = r"in use by (thread|task) '.+', and (thread|task) '.+' can not use it meanwhile"


@pytest.fixture
def gate(database_kind: str, raw_connect: Callable[[], RawConnection]) -> Iterator[Gate]:
    """A gate that is shut until the test opens it."""
    gate = Gate(database_kind, raw_connect)
    yield gate
    gate.open()


@pytest.fixture
def narrow_async(make_engine_async: Callable[..., AsyncEngine], gate: Gate) -> AsyncEngine:
    """An engine with one connection, which all users have after each other."""
    return make_engine_async(pool_size=1, max_overflow=0, pool_timeout=20, on_connect=gate.prepare)


# -- at once ------------------------------------------------------------------------------------


async def execute(user: Any, sql: str) -> Any:
    return (await user.execute(sql, {"n": 1})).one().n


async def stream(user: Any, sql: str) -> Any:
    async with user.stream(sql, {"n": 1}) as rows:
        return (await rows.one()).n


@pytest.mark.parametrize("first", [execute, stream])
async def test_the_second_user_of_a_connection_is_refused(
    narrow_async: AsyncEngine, gate: Gate, first: Any
) -> None:
    """F14: whatever it wants; the error names both, and the first is not disturbed."""
    async with narrow_async.connect() as connection:
        raw = connection.connection
        at_work = AsyncBeside(first, connection, gate.sql)
        await until_async(gate.is_reached)
        for intrude in (
            lambda: connection.execute("SELECT 2"),
            lambda: connection.exec_driver_sql("SELECT 2"),
            lambda: connection.execute_script("SELECT 2; SELECT 3"),
            lambda: connection.stream("SELECT 2"),
            lambda: connection.scalar("SELECT 2", timeout=5),
            connection.commit,
            connection.rollback,
            connection.begin_nested,
            connection.invalidate,
            connection.close,
        ):
            with pytest.raises(InterfaceError, match=BOTH):
                await intrude()
        gate.open()
        assert await at_work.result() == 1
        assert connection.connection is raw
        assert await connection.scalar("SELECT 7") == 7


@pytest.mark.only_on(
    "sqlite", "postgresql", reason="elsewhere the server runs ahead, and nobody sees a reader wait"
)
async def test_the_second_user_of_a_stream_is_refused(
    narrow_async: AsyncEngine, gate: Gate
) -> None:
    """F14: two who fetch from one stream, which waits at the gate near its end."""
    sql = f"SELECT x, CASE WHEN x = 9000 THEN ({gate.wait}) END AS waited FROM ({rows(4)}) AS r"
    async with narrow_async.connect() as connection, connection.stream(sql, batch=500) as shared:
        assert len(await shared.fetchmany(2)) == 2
        at_work = AsyncBeside(shared.all)
        await until_async(gate.is_reached)
        for intrude in (shared.close, connection.commit, connection.close):
            with pytest.raises(InterfaceError, match=BOTH):
                await intrude()
        gate.open()
        assert len(await at_work.result()) == 9998
        assert await connection.scalar("SELECT 7") == 7


@pytest.mark.parametrize("first", [execute, stream])
async def test_the_second_user_of_a_session_is_refused(
    narrow_async: AsyncEngine, gate: Gate, first: Any
) -> None:
    """F14: the same for a session, which has one connection at a time."""
    async with AsyncSession(narrow_async) as session:
        at_work = AsyncBeside(first, session, gate.sql)
        await until_async(gate.is_reached)
        for intrude in (
            lambda: session.execute("SELECT 2"),
            lambda: session.stream("SELECT 2"),
            session.commit,
            session.rollback,
            session.begin_nested,
            session.invalidate,
            session.close,
            partial(session.__aexit__, None, None, None),
        ):
            with pytest.raises(InterfaceError, match=BOTH):
                await intrude()
        gate.open()
        assert await at_work.result() == 1
        assert await session.scalar("SELECT 7") == 7


# -- one after the other ------------------------------------------------------------------------


async def test_a_result_outlives_its_connection_and_a_stream_does_not(
    narrow_async: AsyncEngine,
) -> None:
    """F13: they never give rows of the next user."""
    async with narrow_async.connect() as connection:
        result = await connection.execute("SELECT 1 AS x UNION ALL SELECT 2 ORDER BY x")
        first = result.fetchone()
        stream = await connection.stream("SELECT 1 AS x UNION ALL SELECT 2 ORDER BY x", batch=1)
        assert await stream.fetchone() == (1,)
    async with narrow_async.connect() as another:
        others = await another.execute("SELECT 8 AS y UNION ALL SELECT 9 ORDER BY y")
        for fetch in (stream.fetchone, stream.fetchmany, stream.all, stream.first):
            with pytest.raises(ResultError, match="closed"):
                await fetch()
        assert (first, result.all()) == ((1,), [(2,)])
        assert others.all() == [(8,), (9,)]


async def leave_a_stream(connection: AsyncConnection, sql: str) -> Any:
    stream = await connection.stream(sql, batch=7)
    assert await stream.fetchone() is not None
    await connection.close()
    assert stream.closed
    return stream


async def invalidate_amid_a_stream(connection: AsyncConnection, sql: str) -> Any:
    stream = await connection.stream(sql, batch=7)
    assert await stream.fetchone() is not None
    await connection.invalidate()
    await connection.close()
    assert stream.closed
    return stream


async def leave_a_result(connection: AsyncConnection, sql: str) -> Any:
    result = await connection.execute(sql)
    assert result.fetchone() is not None
    await connection.close()
    return result


async def leave_the_drivers_cursor(connection: AsyncConnection, sql: str) -> Any:
    async with connection.engine.raw_connection() as raw:
        cursor = raw.cursor()
        await cursor.execute(sql)
        await cursor.fetchmany(1)
    await connection.close()


def forget(held: list[Any]) -> None:
    held.clear()
    gc.collect()


@pytest.mark.parametrize("level", [None, "AUTOCOMMIT"])
@pytest.mark.parametrize(
    "leave", [leave_a_stream, invalidate_amid_a_stream, leave_a_result, leave_the_drivers_cursor]
)
async def test_an_unread_query_locks_nothing_once_it_was_given_back(
    make_engine_async: Callable[..., AsyncEngine],
    database_kind: str,
    raw_connect: Callable[[], RawConnection],
    table_name: str,
    leave: Any,
    level: str | None,
) -> None:
    """F53: another one changes, and drops, the table that was being read.

    What the user still has of it, but for the driver's cursor, makes no difference.
    """
    engine = make_engine_async(pool_size=2, max_overflow=0)
    async with engine.begin() as connection:
        await connection.exec_driver_sql(f"CREATE TABLE {table_name} AS {rows(3)}")
    connection = await engine.connect()
    if level is not None:
        connection.execution_options(isolation_level=level)
    kept = await leave(connection, f"SELECT x, s FROM {table_name}")
    assert engine.pool.status().busy == 0
    change_and_drop(raw_connect(), database_kind, table_name)
    del kept


@pytest.mark.only_on("postgresql", reason="elsewhere no session keeps cursors")
async def test_the_next_user_finds_no_cursor_of_a_stream_that_was_left(
    narrow_async: AsyncEngine,
) -> None:
    """F53: in AUTOCOMMIT it is WITH HOLD, and no rollback closes it."""
    async with narrow_async.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        raw = connection.connection if await connection.scalar("SELECT 1") else None
        async for _ in await connection.stream(rows(4), batch=7):
            break
    async with narrow_async.connect() as another:
        assert await another.scalar("SELECT count(*) FROM pg_cursors") == 0
        assert another.connection is raw


async def test_an_unread_query_locks_nothing_once_it_was_dropped(
    make_engine_async: Callable[..., AsyncEngine],
    database_kind: str,
    raw_connect: Callable[[], RawConnection],
    table_name: str,
) -> None:
    """F53: the same where nobody closed anything."""
    engine = make_engine_async(pool_size=1, max_overflow=0)
    async with engine.begin() as connection:
        await connection.exec_driver_sql(f"CREATE TABLE {table_name} AS {rows(3)}")
    del connection
    held: list[Any] = [await engine.connect()]
    held.append(await held[0].stream(f"SELECT x, s FROM {table_name}", batch=7))
    assert await held[1].fetchone() is not None
    with pytest.warns(ResourceWarning, match="was dropped"):
        forget(held)
    assert engine.pool.status().busy == 0
    change_and_drop(raw_connect(), database_kind, table_name)


def change_and_drop(raw: RawConnection, kind: str, table: str) -> None:
    """Do what waits for whoever reads, for ten seconds at most."""
    cursor = raw.cursor()
    for sql in (IMPATIENT[kind], f"DELETE FROM {table}", f"DROP TABLE {table}"):
        cursor.execute(sql)
    cursor.close()


# -- tenants ------------------------------------------------------------------------------------


class Tenant:
    """One of those who share a pool: behaves badly in every way, and knows what it may see."""

    def __init__(self, engine: AsyncEngine, table: str, number: int) -> None:
        self._engine = engine
        self._table = table
        self._secret = f"secret of {number}"
        self._random = random.Random(number)
        self.seen: set[Any] = set()

    async def behave(self, turns: int) -> None:
        """Borrow a connection so many times."""
        ways = [self._leave_it_open, self._fail, self._leave_a_stream, self._give_up, self._write]
        for _ in range(turns):
            await self._random.choice(ways)()

    async def _own(self, connection: AsyncConnection) -> None:
        self.seen.add(await connection.scalar("SELECT :s", {"s": self._secret}))
        count = f"SELECT count(*) FROM {self._table}"
        self.seen.add((await connection.exec_driver_sql(count)).scalar_one())

    async def _write(self) -> None:
        async with self._engine.connect() as connection:
            await self._own(connection)
            with suppress(LockTimeout):  # as below
                await connection.exec_driver_sql(f"INSERT INTO {self._table} VALUES (1)")
            await connection.rollback()

    async def _leave_it_open(self) -> None:
        async with self._engine.connect() as connection:
            await self._own(connection)
            await connection.begin_nested()
            with suppress(LockTimeout):  # SQLite has one writer at a time
                await connection.exec_driver_sql(f"INSERT INTO {self._table} VALUES (2)")

    async def _fail(self) -> None:
        async with self._engine.connect() as connection:
            await self._own(connection)
            with pytest.raises(DBAPIError):
                await connection.execute("SELECT nonsense FROM nowhere")

    async def _leave_a_stream(self) -> None:
        async with self._engine.connect() as connection:
            await self._own(connection)
            stream = await connection.stream("SELECT :s AS s UNION ALL SELECT 'x'", {"s": "y"})
            assert await stream.fetchone() is not None

    async def _give_up(self) -> None:
        connection = await self._engine.connect()
        await self._own(connection)
        await connection.invalidate()
        await connection.close()

    @property
    def may_see(self) -> set[Any]:
        return {self._secret, 0}


@pytest.mark.filterwarnings("ignore::plainsql.errors.UncommittedWarning")
async def test_tenants_of_one_pool_see_nothing_of_each_other(
    make_engine_async: Callable[..., AsyncEngine], table_name: str
) -> None:
    """S35: not a row, not a write, not a trouble, however the one before left its connection."""
    engine = make_engine_async(pool_size=2, max_overflow=0)
    async with engine.begin() as connection:
        await connection.exec_driver_sql(f"CREATE TABLE {table_name} (x INT)")
    tenants = [Tenant(engine, table_name, number) for number in range(4)]
    for beside in [AsyncBeside(tenant.behave, 12) for tenant in tenants]:
        await beside.result()
    for tenant in tenants:
        assert tenant.seen == tenant.may_see
    status = engine.pool.status()
    assert (status.busy, status.connecting, status.waiting) == (0, 0, 0)
    assert status.idle <= 2
