"""What every dialect must pass of transactions: begin, commit, rollback, savepoints, trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from plainsql import errors
from plainsql.aio import AsyncSession, async_sessionmaker
from plainsql.errors import UncommittedWarning

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql.aio import AsyncEngine


class Mine(Exception):
    """The user's own."""


async def _make_table(engine: AsyncEngine, name: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(f"CREATE TABLE {name} (x INT PRIMARY KEY, y INT)")


async def _stored(engine: AsyncEngine, name: str) -> list[int]:
    async with engine.connect() as connection:
        return list(await connection.scalars(f"SELECT x FROM {name} ORDER BY x"))


async def test_leaving_a_block_without_commit_rolls_back(
    engine_async: AsyncEngine, table_name: str
) -> None:
    """And says so, at the line of the block."""
    await _make_table(engine_async, table_name)
    with pytest.warns(UncommittedWarning, match="what was written is dropped") as caught:
        async with engine_async.connect() as connection:
            await connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
    assert [warning.filename for warning in caught] == [__file__]
    assert await _stored(engine_async, table_name) == []


async def test_a_session_that_drops_what_was_written_says_so(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _make_table(engine_async, table_name)
    with pytest.warns(UncommittedWarning) as caught:
        async with AsyncSession(engine_async) as session:
            await session.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
    assert [warning.filename for warning in caught] == [__file__]
    session = AsyncSession(engine_async)
    await session.execute(f"INSERT INTO {table_name} VALUES (2, 2)")
    with pytest.warns(UncommittedWarning):
        await session.close()
    assert await _stored(engine_async, table_name) == []


async def test_nothing_is_said_where_nothing_is_dropped_unasked(
    engine_async: AsyncEngine, table_name: str
) -> None:
    """Warnings are errors here: reading, rollback(), commit(), and an exception are none."""
    await _make_table(engine_async, table_name)
    insert = f"INSERT INTO {table_name} VALUES (1, 1)"
    async with engine_async.connect() as connection:
        await connection.scalar(f"SELECT count(*) FROM {table_name}")
    async with engine_async.connect() as connection:
        await connection.execute(insert)
        await connection.rollback()
        await connection.scalar("SELECT 1")
    with pytest.raises(Mine):
        async with engine_async.connect() as connection:
            await connection.execute(insert)
            raise Mine
    with pytest.raises(Mine):
        async with AsyncSession(engine_async) as session:
            await session.execute(insert)
            raise Mine
    async with engine_async.connect() as connection:
        await connection.scalar("SELECT 1")
        savepoint = await connection.begin_nested()
        await connection.execute(insert)
        await savepoint.rollback()
    async with engine_async.connect() as connection:
        await connection.execute(insert)
        await connection.commit()
    assert await _stored(engine_async, table_name) == [1]


async def test_what_a_savepoint_keeps_is_dropped_with_the_rest(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _make_table(engine_async, table_name)
    connection = await engine_async.connect()
    async with connection.begin_nested():
        await connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
    savepoint = await connection.begin_nested()
    await savepoint.rollback()
    with pytest.warns(UncommittedWarning):
        await connection.close()
    assert await _stored(engine_async, table_name) == []


async def test_commit_stores_and_the_next_statement_begins_again(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _make_table(engine_async, table_name)
    async with engine_async.connect() as connection:
        await connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        await connection.commit()
        assert not connection.in_transaction()
        await connection.execute(f"INSERT INTO {table_name} VALUES (2, 2)")
        assert connection.in_transaction()
        await connection.rollback()
    assert await _stored(engine_async, table_name) == [1]


async def test_engine_begin_commits_on_success(engine_async: AsyncEngine, table_name: str) -> None:
    async with engine_async.begin() as connection:
        await connection.execute(f"CREATE TABLE {table_name} (x INT PRIMARY KEY, y INT)")
        await connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
    assert await _stored(engine_async, table_name) == [1]


async def test_engine_begin_rolls_back_and_raises_the_same_object(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _make_table(engine_async, table_name)
    mine = RuntimeError("mine")
    with pytest.raises(RuntimeError) as caught:
        async with engine_async.begin() as connection:
            await connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
            raise mine
    assert caught.value is mine
    assert await _stored(engine_async, table_name) == []


async def test_begin_sends_nothing_before_the_first_statement(
    make_engine_async: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with make_engine_async(echo=True).connect() as connection:
        async with connection.begin() as transaction:
            assert connection.in_transaction()
            assert transaction.is_active
        assert not connection.in_transaction()
        assert not transaction.is_active
        assert caplog.messages == []
        async with connection.begin():
            await connection.execute("SELECT 1")
        assert caplog.messages[:2] == ["BEGIN (implicit)", "SELECT 1"]


async def test_a_second_begin_is_refused(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        await connection.execute("SELECT 1")
        with pytest.raises(errors.TransactionStateError, match="begin_nested"):
            await connection.begin()


async def test_a_savepoint_rolls_back_alone(engine_async: AsyncEngine, table_name: str) -> None:
    await _make_table(engine_async, table_name)
    async with engine_async.begin() as connection:
        await connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        savepoint = await connection.begin_nested()
        await connection.execute(f"INSERT INTO {table_name} VALUES (2, 2)")
        assert connection.in_nested_transaction()
        await savepoint.rollback()
        assert not connection.in_nested_transaction()
        await connection.execute(f"INSERT INTO {table_name} VALUES (3, 3)")
    assert await _stored(engine_async, table_name) == [1, 3]


async def test_savepoints_nest_to_any_depth(engine_async: AsyncEngine, table_name: str) -> None:
    await _make_table(engine_async, table_name)
    async with engine_async.begin() as connection:
        savepoints = []
        for depth in range(12):
            savepoints.append(await connection.begin_nested())
            await connection.execute(f"INSERT INTO {table_name} VALUES (:x, 0)", {"x": depth})
        await savepoints[6].rollback()
        assert [s.is_active for s in savepoints] == [True] * 6 + [False] * 6
        for savepoint in reversed(savepoints[:6]):
            await savepoint.commit()
    assert await _stored(engine_async, table_name) == list(range(6))


async def test_a_block_of_begin_nested_ends_with_its_exception(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _make_table(engine_async, table_name)
    async with engine_async.begin() as connection:
        await connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        with pytest.raises(errors.UniqueViolation):
            async with connection.begin_nested():
                await connection.execute(f"INSERT INTO {table_name} VALUES (1, 2)")
        await connection.execute(f"INSERT INTO {table_name} VALUES (2, 2)")
    assert await _stored(engine_async, table_name) == [1, 2]


async def test_an_ended_savepoint_is_refused(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        savepoint = await connection.begin_nested()
        await savepoint.commit()
        with pytest.raises(errors.TransactionStateError, match="has ended"):
            await savepoint.commit()
        await savepoint.rollback()


async def test_statements_behind_the_end_of_their_block_are_refused(
    engine_async: AsyncEngine,
) -> None:
    async with engine_async.connect() as connection:
        async with connection.begin():
            await connection.execute("SELECT 1")
            await connection.commit()
            with pytest.raises(errors.TransactionStateError, match="leave the block"):
                await connection.execute("SELECT 1")
        assert await connection.scalar("SELECT 2") == 2


async def test_a_failed_transaction_can_not_be_committed_unnoticed(
    engine_async: AsyncEngine, table_name: str
) -> None:
    """Either the server goes on after an error, and the commit stores; or the commit says no."""
    await _make_table(engine_async, table_name)
    async with engine_async.connect() as connection:
        await connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        with pytest.raises(errors.UniqueViolation):
            await connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        try:
            await connection.commit()
        except errors.TransactionAborted:
            expected: list[int] = []
        else:
            expected = [1]
        assert not connection.in_transaction()
    assert await _stored(engine_async, table_name) == expected


async def test_a_rollback_heals_after_an_error(engine_async: AsyncEngine, table_name: str) -> None:
    await _make_table(engine_async, table_name)
    async with engine_async.connect() as connection:
        with pytest.raises(errors.UndefinedTable):
            await connection.execute(f"SELECT * FROM {table_name}_missing")
        await connection.rollback()
        await connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        await connection.commit()
    assert await _stored(engine_async, table_name) == [1]


@pytest.mark.parametrize(
    "sql", ["BEGIN", "COMMIT", "ROLLBACK", "/* c */ commit", "-- c\nROLLBACK WORK"]
)
async def test_transaction_control_as_a_statement_is_refused(
    engine_async: AsyncEngine, sql: str
) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.TransactionStateError, match="use begin"):
            await connection.execute(sql)
        assert await connection.scalar("SELECT 1") == 1


async def test_autocommit_sends_no_begin_and_stores_at_once(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _make_table(engine_async, table_name)
    autocommit = engine_async.execution_options(isolation_level="autocommit")
    async with autocommit.connect() as connection:
        await connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        assert not connection.in_transaction()
        with pytest.raises(errors.TransactionStateError, match="AUTOCOMMIT"):
            await connection.begin_nested()
        assert await _stored(engine_async, table_name) == [1]


async def test_a_begin_of_the_users_own_does_not_reach_the_next_borrower(
    make_engine_async: Callable[..., Any], table_name: str
) -> None:
    engine = make_engine_async(pool_size=1, max_overflow=0)
    await _make_table(engine, table_name)
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
    async with autocommit.connect() as connection:
        await connection.execute("BEGIN")
        await connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        with pytest.raises(errors.TransactionStateError, match="commit\\(\\) or rollback"):
            connection.execution_options(isolation_level=None)
    assert await _stored(engine, table_name) == []
    assert engine.pool.status().opened == 1


async def test_an_impossible_isolation_level_lists_the_possible(
    engine_async: AsyncEngine,
) -> None:
    with pytest.raises(
        errors.ArgumentError, match=r"'CHAOS'; possible: .*SERIALIZABLE.*AUTOCOMMIT"
    ):
        engine_async.execution_options(isolation_level="CHAOS")


async def test_every_isolation_level_begins(engine_async: AsyncEngine, table_name: str) -> None:
    await _make_table(engine_async, table_name)
    for level in engine_async.dialect.isolation_levels:
        engine = engine_async.execution_options(isolation_level=level.lower().replace(" ", "_"))
        async with engine.begin() as connection:
            assert connection.get_execution_options()["isolation_level"] == level
            await connection.execute(f"DELETE FROM {table_name}")
            await connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
    assert await _stored(engine_async, table_name) == [1]


async def test_options_can_not_change_inside_a_transaction(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        await connection.execute("SELECT 1")
        with pytest.raises(errors.TransactionStateError, match="commit\\(\\) or rollback"):
            connection.execution_options(isolation_level="SERIALIZABLE")


async def test_a_read_only_transaction_refuses_writes(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _make_table(engine_async, table_name)
    async with engine_async.connect() as connection:
        connection.execution_options(read_only=True)
        with pytest.raises(errors.ReadOnlyError):
            await connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        await connection.rollback()
        connection.execution_options(read_only=None)
        await connection.execute(f"INSERT INTO {table_name} VALUES (2, 2)")
        await connection.commit()
    assert await _stored(engine_async, table_name) == [2]


async def test_a_session_holds_no_connection_between_transactions(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _make_table(engine_async, table_name)
    async with AsyncSession(engine_async) as session:
        assert engine_async.pool.status().busy == 0
        await session.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        assert engine_async.pool.status().busy == 1
        await session.commit()
        assert engine_async.pool.status().busy == 0
        await session.execute(f"INSERT INTO {table_name} VALUES (2, 2)")
        assert session.in_transaction()
        await session.rollback()
        assert not session.in_transaction()
    assert engine_async.pool.status().busy == 0
    assert await _stored(engine_async, table_name) == [1]


async def test_a_session_block_commits_and_rolls_back(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _make_table(engine_async, table_name)
    sessions = async_sessionmaker(engine_async)
    async with sessions.begin() as session:
        await session.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
    with pytest.raises(ZeroDivisionError):
        async with sessions() as session, session.begin():
            await session.execute(f"INSERT INTO {table_name} VALUES (2, 2)")
            raise ZeroDivisionError
    async with sessions() as session:
        async with session.begin_nested():
            await session.execute(f"INSERT INTO {table_name} VALUES (3, 3)")
        await session.commit()
    assert await _stored(engine_async, table_name) == [1, 3]


async def test_a_session_can_begin_and_commit_step_by_step(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _make_table(engine_async, table_name)
    async with AsyncSession(engine_async) as session:
        await session.begin()
        await session.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        await session.commit()
        await session.execute(f"INSERT INTO {table_name} VALUES (2, 2)")
        await session.rollback()
        assert not session.in_transaction()
    assert await _stored(engine_async, table_name) == [1]


async def test_after_invalidate_only_rollback_is_accepted_and_heals(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _make_table(engine_async, table_name)
    async with engine_async.connect() as connection:
        await connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
        await connection.invalidate()
        with pytest.raises(errors.TransactionStateError, match="only rollback"):
            await connection.execute("SELECT 1")
        with pytest.raises(errors.TransactionAborted):
            await connection.commit()
        await connection.rollback()
        assert await connection.scalar("SELECT 2") == 2
    assert await _stored(engine_async, table_name) == []


async def test_a_closed_connection_is_refused(engine_async: AsyncEngine) -> None:
    connection = await engine_async.connect()
    await connection.close()
    await connection.close()
    assert connection.closed
    with pytest.raises(errors.TransactionStateError, match="closed"):
        await connection.execute("SELECT 1")
    with pytest.raises(errors.TransactionStateError, match="closed"):
        await connection.begin()


async def test_ddl_and_rows_in_one_block_work_everywhere(
    make_engine_async: Callable[..., Any], table_name: str
) -> None:
    """On MySQL and MariaDB the CREATE commits by itself and the block goes on."""
    engine = make_engine_async()
    async with engine.begin() as connection:
        await connection.execute(f"CREATE TABLE {table_name} (x INT PRIMARY KEY, y INT)")
        await connection.execute(f"INSERT INTO {table_name} VALUES (1, 1)")
    assert await _stored(engine, table_name) == [1]
