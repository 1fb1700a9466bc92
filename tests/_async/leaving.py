"""What one borrower leaves in a session, and what of it the next one finds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.residues import CLEANS, Residues

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plainsql.aio import AsyncEngine
    from plainsql.dialect import Dialect
    from tests.servers import RawConnection


@pytest.fixture
def residues(
    database_kind: str, raw_connect: Callable[[], RawConnection], table_prefix: str
) -> Iterator[Residues]:
    """What can be left on this database."""
    with Residues(database_kind, raw_connect(), table_prefix) as residues:
        yield residues


async def asked_async(raw: Any, sql: str) -> Any:
    """The answer of a connection: rows, or the class of an error."""
    cursor = raw.cursor()
    try:
        await cursor.execute(sql)
        return list(map(tuple, await cursor.fetchall())) if cursor.description else None
    except Exception as exc:  # noqa: BLE001 - of whatever driver
        return type(exc)
    finally:
        await cursor.close()


async def state_async(raw: Any, residues: Residues) -> dict[str, Any]:
    """The answers to all that is asked."""
    return {left.name: await asked_async(raw, left.ask) for left in residues.all}


async def leave_async(raw: Any, residues: Residues) -> dict[str, Any]:
    """Leave everything; return the answers of each at its time."""
    answers = {}
    for left in residues.all:
        for sql in left.leave:
            answer = await asked_async(raw, sql)
            assert not isinstance(answer, type), f"{sql}: {answer}"
        answers[left.name] = await asked_async(raw, left.ask)
    return answers


async def reset_async(dialect: Dialect, raw: Any) -> bool:
    """Clean a session as the pool does: in the worker thread, if there is one."""
    if hasattr(raw, "driver_connection"):
        cleaned: bool = await raw.run(partial(dialect.reset, raw.driver_connection))
        return cleaned
    return await dialect.reset_async(raw)


async def test_a_reset_leaves_nothing_or_says_that_it_can_not(
    engine_async: AsyncEngine, residues: Residues, database_kind: str
) -> None:
    async with engine_async.connect() as connection:
        raw = connection.connection
        before = await state_async(raw, residues)
        for _ in range(2):
            left = await leave_async(raw, residues)
            assert [name for name in left if left[name] == before[name]] == []
            await asked_async(raw, "ROLLBACK")
            cleaned = await reset_async(engine_async.dialect, raw)
            assert cleaned == CLEANS[database_kind]
            if not cleaned:
                break
            assert await state_async(raw, residues) == before
        await connection.invalidate()


async def test_a_session_that_was_reset_serves_on(
    engine_async: AsyncEngine, table_name: str, database_kind: str
) -> None:
    """With statements that the driver had prepared, and in transactions."""
    async with engine_async.connect() as connection:
        raw = connection.connection
        await connection.exec_driver_sql(f"CREATE TABLE {table_name} (x INT)")
        await connection.commit()
        for n in range(18):
            assert await connection.scalar("SELECT :n", {"n": n}) == n
            await connection.rollback()
            if n % 6 == 5 and CLEANS[database_kind]:
                assert await reset_async(engine_async.dialect, raw)
        await connection.exec_driver_sql(f"INSERT INTO {table_name} VALUES (1)")
        await connection.rollback()
        found = await connection.exec_driver_sql(f"SELECT count(*) FROM {table_name}")
        assert (found.scalar_one(), connection.connection) == (0, raw)


async def test_the_next_borrower_finds_nothing_of_the_one_before(
    make_engine_async: Callable[..., Any], residues: Residues, database_kind: str
) -> None:
    engine = make_engine_async(pool_size=1, max_overflow=0, reset="full")
    async with engine.connect() as connection:
        first = connection.connection
        before = await state_async(first, residues)
        await leave_async(first, residues)
    async with engine.connect() as connection:
        assert await state_async(connection.connection, residues) == before
        assert (connection.connection is first) == CLEANS[database_kind]
        assert await connection.scalar("SELECT :s", {"s": "it's \\"}) == "it's \\"


async def test_the_time_limit_of_the_next_borrower_is_told_to_the_server_again(
    make_engine_async: Callable[..., Any],
) -> None:
    """The server forgot it with the session, and so must we."""
    engine = make_engine_async(pool_size=1, max_overflow=0, reset="full")
    async with engine.connect() as connection:
        await connection.scalar("SELECT 1", timeout=30)
    async with engine.connect() as connection:
        assert connection._link is not None
        assert connection._link.server_limit is None


async def test_the_next_borrower_has_what_on_connect_had_set(
    make_engine_async: Callable[..., Any], residues: Residues
) -> None:
    setting = next(left for left in residues.all if left.name in ("setting", "time zone"))

    async def set_up_async(raw: Any) -> None:
        for sql in setting.leave:
            await asked_async(raw, sql)

    engine = make_engine_async(pool_size=1, max_overflow=0, reset="full", on_connect=set_up_async)
    async with engine.connect() as connection:
        before = await asked_async(connection.connection, setting.ask)
    async with engine.connect() as connection:
        assert await asked_async(connection.connection, setting.ask) == before
