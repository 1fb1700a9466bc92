"""Clusters that are written to on several nodes: COMMIT finds a collision, run() does it again.

The nodes come by `PLAINSQL_TEST_GALERA_URLS` and `PLAINSQL_TEST_GROUP_URLS` (Group Replication,
multi-primary): two URLs at least, with a comma between them.
"""

from __future__ import annotations

import logging
import os
import secrets
from typing import TYPE_CHECKING, Any

import pytest

from plainsql.aio import create_async_engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from plainsql.aio import AsyncConnection, AsyncEngine

VARIABLES = {"galera": "PLAINSQL_TEST_GALERA_URLS", "group": "PLAINSQL_TEST_GROUP_URLS"}
#: What a collision is by name: found at the statement, at COMMIT, or by the group's certification.
COLLISIONS = {
    *("DeadlockDetected (1213)", "SerializationFailure (1180)", "SerializationFailure (3101)"),
}
TURNS = 20


@pytest.fixture(params=VARIABLES)
async def nodes(request: pytest.FixtureRequest) -> AsyncIterator[list[AsyncEngine]]:
    urls = [url for url in os.environ.get(VARIABLES[request.param], "").split(",") if url]
    if len(urls) < 2:
        pytest.skip(f"no cluster: {VARIABLES[request.param]} names no two nodes")
    engines = [create_async_engine(url) for url in urls]
    yield engines
    for engine in engines:
        await engine.dispose()


@pytest.fixture
async def table(nodes: list[AsyncEngine]) -> AsyncIterator[str]:
    """A table with one row, seen by all nodes."""
    name = f"t{secrets.token_hex(4)}"
    async with nodes[0].begin() as connection:
        await connection.exec_driver_sql(f"CREATE TABLE {name} (id INT PRIMARY KEY, n INT)")
        await connection.exec_driver_sql(f"INSERT INTO {name} VALUES (1, 0)")
    yield name
    async with nodes[0].begin() as connection:
        await connection.exec_driver_sql(f"DROP TABLE {name}")


async def test_what_another_node_has_changed_meanwhile_is_done_again(
    nodes: list[AsyncEngine], table: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="plainsql.run")
    here, there = nodes[:2]
    change = f"UPDATE {table} SET n = n + 1 WHERE id = 1"

    async def add(connection: AsyncConnection) -> None:
        await connection.exec_driver_sql(change)

    collided = 0
    for _ in range(TURNS):
        calls: list[int] = []

        async def add_late(connection: AsyncConnection, calls: Any = calls) -> None:
            """Add; the first time, the other node is faster."""
            await connection.exec_driver_sql(change)
            calls.append(1)
            if len(calls) == 1:
                await there.run(add)

        await here.run(add_late, attempts=100)
        collided += len(calls) - 1
    assert collided >= TURNS
    said = [record.getMessage().split(": ")[1].split(";")[0] for record in caplog.records]
    assert len(said) >= TURNS
    assert set(said) <= COLLISIONS
    async with here.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await _agrees(connection)
        found = await connection.exec_driver_sql(f"SELECT n FROM {table}")
        assert found.scalar_one() == 2 * TURNS


async def _agrees(connection: AsyncConnection) -> None:
    """Read what all nodes have committed, where that is not the rule."""
    found = await connection.exec_driver_sql("SHOW VARIABLES LIKE 'wsrep_sync_wait'")
    if found.all():
        await connection.exec_driver_sql("SET SESSION wsrep_sync_wait = 1")
    else:
        await connection.exec_driver_sql("SET SESSION group_replication_consistency = 'BEFORE'")
