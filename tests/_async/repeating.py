"""`Engine.run`: transactions that collide are done again, each exactly once in the end."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import pytest

from plainsql import text
from plainsql.errors import (
    ArgumentError,
    DBAPIError,
    Disconnected,
    StatementTimeout,
    TransactionStateError,
    UniqueViolation,
)
from tests.beside import AsyncBeside

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql.aio import AsyncConnection, AsyncEngine

WORKERS, ROWS, TURNS = 8, 5, 10


class Mine(Exception):
    """The user's own."""


class Accounts:
    """A table of few rows for which many compete."""

    def __init__(self, engine: AsyncEngine, table: str) -> None:
        self.engine = engine
        self.read = text("SELECT n FROM {t} WHERE id = :id".replace("{t}", table))
        self.write = text("UPDATE {t} SET n = :n WHERE id = :id".replace("{t}", table))
        self.total = text("SELECT sum(n) FROM {t}".replace("{t}", table))
        self._table = table

    async def create(self) -> None:
        async with self.engine.begin() as connection:
            await connection.exec_driver_sql(
                f"CREATE TABLE {self._table} (id INT PRIMARY KEY, n INT NOT NULL)"
            )
            for number in range(ROWS):
                await connection.exec_driver_sql(f"INSERT INTO {self._table} VALUES ({number}, 0)")

    async def add(self, connection: AsyncConnection, *rows: int) -> None:
        """Add one to each row, by reading and writing it."""
        for row in rows:
            found = await connection.scalar(self.read, {"id": row})
            await connection.execute(self.write, {"id": row, "n": found + 1})

    async def sum(self) -> Any:
        async with self.engine.connect() as connection:
            return await connection.scalar(self.total)


@pytest.fixture
async def accounts(make_engine_async: Callable[..., Any], table_name: str) -> Accounts:
    accounts = Accounts(make_engine_async(pool_size=WORKERS), table_name)
    await accounts.create()
    return accounts


async def test_it_commits_and_returns_what_the_function_returned(accounts: Accounts) -> None:
    async def add(connection: AsyncConnection) -> str:
        await accounts.add(connection, 0)
        return "done"

    assert await accounts.engine.run(add) == "done"
    assert await accounts.sum() == 1
    assert accounts.engine.pool.status().busy == 0


async def test_many_that_compete_for_few_rows_are_each_done_once(accounts: Accounts) -> None:
    """Where reading takes no lock, the isolation level sees to it that no change is lost."""

    async def work(number: int) -> None:
        for turn in range(TURNS):
            rows = (number + turn) % ROWS, (number + 2 * turn + 1) % ROWS

            async def add(connection: AsyncConnection, rows: Any = rows) -> None:
                await accounts.add(connection, *rows)

            await accounts.engine.run(add, attempts=1000, isolation_level="SERIALIZABLE")

    workers = [AsyncBeside(work, number) for number in range(WORKERS)]
    for worker in workers:
        await worker.result()
    assert await accounts.sum() == WORKERS * TURNS * 2


async def test_a_retryable_error_is_tried_again_and_logged(
    accounts: Accounts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="plainsql.run")
    calls: list[Any] = []

    async def lose_twice(connection: AsyncConnection) -> int:
        await accounts.add(connection, 0)
        calls.append(connection.connection)
        if len(calls) < 3:
            await connection.connection.close()
            await connection.scalar("SELECT 1")
        return len(calls)

    assert await accounts.engine.run(lose_twice) == 3
    assert await accounts.sum() == 1
    assert len({id(raw) for raw in calls}) == 3
    said = [record.getMessage() for record in caplog.records if record.name == "plainsql.run"]
    assert [line.partition(":")[0] for line in said] == [
        "attempt 1 of 10 failed",
        "attempt 2 of 10 failed",
    ]
    assert all("Disconnected" in line and "the next one in 0.0" in line for line in said)


async def test_the_last_error_tells_all_attempts(accounts: Accounts) -> None:
    async def lose(connection: AsyncConnection) -> None:
        await accounts.add(connection, 0)
        await connection.connection.close()
        await connection.scalar("SELECT 1")

    with pytest.raises(Disconnected) as caught:
        await accounts.engine.run(lose, attempts=3)
    error = caught.value
    assert len(error.attempts) == 3
    assert error.attempts[-1] is error
    assert {type(one) for one in error.attempts} == {Disconnected}
    (note,) = error.__notes__
    assert note.startswith("run() made 3 attempts in ")
    assert note.endswith("1. Disconnected; 2. Disconnected; 3. Disconnected")
    assert await accounts.sum() == 0


async def test_what_is_not_retryable_is_raised_at_once(accounts: Accounts) -> None:
    calls: list[int] = []

    async def wrong(connection: AsyncConnection) -> None:
        calls.append(1)
        await accounts.add(connection, 0)
        await connection.execute("SELECT missing")

    with pytest.raises(DBAPIError) as caught:
        await accounts.engine.run(wrong)
    assert len(calls) == 1
    assert caught.value.attempts == (caught.value,)
    assert not hasattr(caught.value, "__notes__")
    assert await accounts.sum() == 0


async def test_the_users_exception_is_raised_as_it_is(accounts: Accounts) -> None:
    mine = Mine()

    async def fail(connection: AsyncConnection) -> None:
        await accounts.add(connection, 0)
        raise mine

    with pytest.raises(Mine) as caught:
        await accounts.engine.run(fail)
    assert caught.value is mine
    assert await accounts.sum() == 0


async def test_it_ends_by_its_deadline(accounts: Accounts) -> None:
    async def lose(connection: AsyncConnection) -> None:
        await connection.scalar("SELECT 1")
        await connection.connection.close()
        await connection.scalar("SELECT 1")

    began = time.monotonic()
    with pytest.raises((Disconnected, StatementTimeout)) as caught:
        await accounts.engine.run(lose, attempts=10_000, deadline=0.4)
    assert time.monotonic() - began < 1.4
    assert 1 < len(caught.value.attempts) < 10_000


async def test_it_does_not_nest(accounts: Accounts) -> None:
    async def outer(connection: AsyncConnection) -> None:
        await accounts.add(connection, 0)

        async def inner(_: AsyncConnection) -> None:
            raise AssertionError("called")

        await accounts.engine.run(inner)

    with pytest.raises(TransactionStateError, match=r"run\(\) within run\(\)"):
        await accounts.engine.run(outer)
    assert await accounts.sum() == 0


async def test_options_are_those_of_the_transaction(accounts: Accounts) -> None:
    async def add(connection: AsyncConnection) -> None:
        await accounts.add(connection, 0)

    with pytest.raises(DBAPIError):
        await accounts.engine.run(add, read_only=True)
    with pytest.raises(ArgumentError, match="AUTOCOMMIT has none"):
        await accounts.engine.run(add, isolation_level="AUTOCOMMIT")
    with pytest.raises(ArgumentError, match="no isolation level"):
        await accounts.engine.run(add, isolation_level="LOOSE")
    with pytest.raises(ArgumentError, match="attempts must be a whole number from 1 on, not 0"):
        await accounts.engine.run(add, attempts=0)
    with pytest.raises(ArgumentError, match="deadline must be a number"):
        await accounts.engine.run(add, deadline=0)
    with pytest.raises(ArgumentError, match="takes a function of a connection, not 7"):
        await accounts.engine.run(7)  # type: ignore[arg-type]
    assert await accounts.sum() == 0
    assert accounts.engine.get_execution_options()["read_only"] is None


async def test_a_function_may_commit_by_itself_and_what_follows_is_refused(
    accounts: Accounts,
) -> None:
    async def commit(connection: AsyncConnection) -> None:
        await accounts.add(connection, 0)
        await connection.commit()
        await accounts.add(connection, 0)

    with pytest.raises(TransactionStateError, match="has ended"):
        await accounts.engine.run(commit)
    assert await accounts.sum() == 1


async def test_a_key_that_is_there_is_not_tried_again(accounts: Accounts) -> None:
    calls: list[int] = []
    again = accounts.write.text.replace("UPDATE", "INSERT INTO").partition(" SET")[0]

    async def insert(connection: AsyncConnection) -> None:
        calls.append(1)
        await connection.exec_driver_sql(f"{again} VALUES (0, 0)")

    with pytest.raises(UniqueViolation):
        await accounts.engine.run(insert)
    assert len(calls) == 1
