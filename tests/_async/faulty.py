"""Faults of the network before real servers, by the public proxy: the same meaning everywhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from plainsql.aio import AsyncSession, create_async_engine
from plainsql.errors import CommitUnknown, ConnectError, DBAPIError, Disconnected, StatementTimeout
from plainsql.testing.proxy import FaultProxy
from tests.beside import AsyncBeside, until_async
from tests.gates import Gate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator

    from plainsql import URL
    from plainsql.aio import AsyncEngine
    from tests.servers import RawConnection

pytestmark = pytest.mark.only_on(
    "postgresql", "mysql", "mariadb", reason="SQLite has no line that could fail"
)

#: URL options of a connection that a proxy can read.
PLAIN = {
    "postgresql": {"sslmode": "disable"},
    "mysql": {"ssl_disabled": "true"},
    "mariadb": {"ssl_disabled": "true"},
}
#: In seconds: what is asked for, and the latest moment by which it must have been kept.
LIMIT, LATEST = 0.3, 1.3


@pytest.fixture
def proxy(url: str) -> Generator[FaultProxy]:
    with FaultProxy.to(url) as proxy:
        yield proxy


@pytest.fixture
def plain(proxy: FaultProxy, database_kind: str) -> URL:
    """The URL by way of the proxy."""
    return proxy.url.update_query_dict(PLAIN[database_kind])


@pytest.fixture
def gate(database_kind: str, raw_connect: Callable[[], RawConnection]) -> Generator[Gate]:
    """A gate that is shut until the test is over."""
    gate = Gate(database_kind, raw_connect)
    yield gate
    gate.open()


@pytest.fixture
async def engine_async(plain: URL) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(plain, pool_size=1, max_overflow=0)
    yield engine
    await engine.dispose()


@pytest.mark.parametrize("fault", ["drop", "reset"])
async def test_a_line_that_ends_between_two_statements_is_a_lost_connection(
    proxy: FaultProxy, engine_async: AsyncEngine, fault: str
) -> None:
    """F31: by FIN or by RST."""
    async with engine_async.connect() as connection:
        await connection.scalar("SELECT 1")
        getattr(proxy, fault)()
        with pytest.raises(Disconnected) as caught:
            await connection.scalar("SELECT 2")
        assert (caught.value.outcome, caught.value.retryable) == ("not_applied", True)
        await connection.rollback()
        assert await connection.scalar("SELECT 3") == 3


@pytest.mark.parametrize("fault", ["drop", "reset"])
async def test_a_line_that_ended_while_idle_is_nobodys_error(
    proxy: FaultProxy, engine_async: AsyncEngine, fault: str
) -> None:
    async with engine_async.connect() as connection:
        await connection.scalar("SELECT 1")
    getattr(proxy, fault)()
    async with engine_async.connect() as connection:
        assert await connection.scalar("SELECT 2") == 2
    assert len(proxy.accepted) == 2


@pytest.mark.parametrize("way", ["answers", "requests"])
async def test_a_line_that_ends_on_one_side_is_a_lost_connection(
    proxy: FaultProxy, engine_async: AsyncEngine, way: str
) -> None:
    """F31: one of the two says no more, the other one could."""
    async with engine_async.connect() as connection:
        await connection.scalar("SELECT 1")
        getattr(proxy, way).half_close()
        with pytest.raises(Disconnected):
            await connection.scalar("SELECT 2")
        await connection.rollback()
        assert await connection.scalar("SELECT 3") == 3
    status = engine_async.pool.status()
    assert (status.busy, status.idle, status.closed) == (0, 1, 1)


@pytest.mark.parametrize("fault", ["drop", "reset"])
async def test_a_line_that_ends_amid_a_statement_is_a_lost_connection(
    proxy: FaultProxy, engine_async: AsyncEngine, gate: Gate, fault: str
) -> None:
    """F31: who waits for the answer hears of it."""
    async with engine_async.connect() as connection:
        at_work = AsyncBeside(connection.execute, gate.sql, {"n": 1})
        await until_async(gate.is_reached)
        getattr(proxy, fault)()
        with pytest.raises(Disconnected):
            await at_work.result()
        await connection.rollback()
        assert await connection.scalar("SELECT 3") == 3
    status = engine_async.pool.status()
    assert (status.busy, status.idle, status.closed) == (0, 1, 1)


@pytest.mark.parametrize(("order", "fate"), [("cut_before", 0), ("cut_after", 1)])
async def test_a_commit_that_nobody_answers_may_be_stored_or_not(
    proxy: FaultProxy, engine_async: AsyncEngine, table_name: str, order: str, fate: int
) -> None:
    async with engine_async.begin() as connection:
        await connection.exec_driver_sql(f"CREATE TABLE {table_name} (id INT PRIMARY KEY)")
    with pytest.raises(CommitUnknown) as caught:
        async with engine_async.begin() as connection:
            await connection.exec_driver_sql(f"INSERT INTO {table_name} VALUES (1)")
            getattr(proxy.requests, order)(b"COMMIT")
    assert proxy.requests.has_fired
    assert (caught.value.outcome, caught.value.retryable) == ("unknown", False)
    count = f"SELECT count(*) FROM {table_name}"
    async with AsyncSession(engine_async) as session:
        assert await session.scalar(count) == fate


async def test_a_delay_is_borne(proxy: FaultProxy, engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        await connection.scalar("SELECT 1")
        proxy.answers.delay(0.2)
        began = time.monotonic()
        assert await connection.scalar("SELECT 2", timeout=5) == 2
        assert time.monotonic() - began >= 0.2
        proxy.heal()


async def test_what_is_swallowed_ends_at_its_limit(
    proxy: FaultProxy, engine_async: AsyncEngine
) -> None:
    async with engine_async.connect() as connection:
        await connection.scalar("SELECT 1")
        proxy.black_hole()
        began = time.monotonic()
        with pytest.raises(StatementTimeout) as caught:
            await connection.scalar("SELECT 2", timeout=LIMIT)
        assert LIMIT <= time.monotonic() - began < LATEST
        assert caught.value.outcome == "not_applied"
        await connection.rollback()
        proxy.heal()
        assert await connection.scalar("SELECT 3") == 3


async def test_a_commit_that_is_swallowed_is_unknown(
    proxy: FaultProxy, engine_async: AsyncEngine
) -> None:
    transaction = engine_async.begin(timeout=LIMIT)
    began = time.monotonic()
    with pytest.raises(CommitUnknown):
        async with transaction as connection:
            await connection.scalar("SELECT 1")
            proxy.black_hole()
    assert time.monotonic() - began < LIMIT + LATEST
    proxy.heal()


@pytest.mark.parametrize("fault", ["black_hole", "silence", "refuse"])
async def test_a_connect_that_leads_nowhere_ends_in_time(
    proxy: FaultProxy, plain: URL, fault: str
) -> None:
    getattr(proxy, fault)()
    engine = create_async_engine(plain, connect_timeout=LIMIT)
    began = time.monotonic()
    with pytest.raises(ConnectError):
        await engine.connect()
    assert time.monotonic() - began < LATEST
    proxy.heal()
    async with engine.connect() as connection:
        assert await connection.scalar("SELECT 1") == 1
    await engine.dispose()


async def test_a_result_that_is_cut_is_an_error_and_no_rows(
    proxy: FaultProxy, engine_async: AsyncEngine
) -> None:
    async with engine_async.connect() as connection:
        await connection.scalar("SELECT 1")
        proxy.answers.cut_before(b"half of it")
        with pytest.raises(Disconnected):
            await connection.execute(
                "SELECT 'a' UNION ALL SELECT 'half of it' UNION ALL SELECT 'c'"
            )


async def test_a_damaged_answer_is_an_error_and_no_row(
    proxy: FaultProxy, engine_async: AsyncEngine
) -> None:
    """The byte behind the value frames what follows; one within it, only TLS could tell."""
    async with engine_async.connect() as connection:
        await connection.scalar("SELECT 1")
        proxy.answers.flip_after(b"marker")
        began = time.monotonic()
        with pytest.raises(DBAPIError):
            await connection.scalar("SELECT 'marker' AS m", timeout=LIMIT)
        assert time.monotonic() - began < LATEST
        assert proxy.answers.has_fired
    async with engine_async.connect() as connection:
        assert await connection.scalar("SELECT 2") == 2
