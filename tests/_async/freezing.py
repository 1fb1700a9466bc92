"""A server that stops answering and keeps its sockets open: time limits are kept all the same.

A server of the tests' own is stopped by SIGSTOP; its kernel goes on acknowledging what is sent.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plainsql.aio import create_async_engine
from plainsql.errors import CommitUnknown, ConnectError, StatementTimeout
from tests.beside import until
from tests.servers import Unavailable, connect
from tests.throwaway import start_throwaway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator

    from plainsql.aio import AsyncEngine

#: In seconds: what is asked for, and the latest moment by which it must have been kept.
LIMIT, LATEST = 0.3, 1.3
#: How a server of each kind names the file with its process number in the first line.
PID_FILES = {
    "postgresql": "SELECT current_setting('data_directory') || '/postmaster.pid'",
    "mysql": "SELECT @@pid_file",
    "mariadb": "SELECT @@pid_file",
}


def stop(pid: int) -> int:
    """Stop a process, and see that each of its threads stands still."""
    os.kill(pid, signal.SIGSTOP)
    threads = list(Path(f"/proc/{pid}/task").iterdir())
    until(
        lambda: all(
            (one / "stat").read_text().rpartition(")")[2].split()[0] in "TZ" for one in threads
        )
    )
    return pid


class Freezer:
    """A server of the test's own, and its processes."""

    def __init__(self, kind: str, url: str) -> None:
        self.url = url
        connection = connect(url)
        cursor = connection.cursor()
        cursor.execute(PID_FILES[kind])
        row = cursor.fetchone()
        connection.close()
        assert row is not None
        self._pid = int(Path(row[0]).read_text().split()[0])

    @contextmanager
    def frozen(self) -> Generator[None]:
        """The server stands still within the block, its parent first: no new child is born."""
        stopped = [stop(self._pid)]
        try:
            children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split()
            for child in map(int, children):
                with suppress(ProcessLookupError):  # it has just ended
                    stopped.append(stop(child))
            yield
        finally:
            for pid in reversed(stopped):
                os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module", params=["postgresql", "mysql", "mariadb"])
def freezer(request: pytest.FixtureRequest) -> Generator[Freezer]:
    try:
        server = start_throwaway(request.param)
    except Unavailable as exc:
        pytest.skip(f"a server of the test's own is needed: {exc}")
    yield Freezer(request.param, server.url)
    server.stop()


@pytest.fixture
async def engine_async(freezer: Freezer) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(freezer.url, pool_size=1, max_overflow=0)
    yield engine
    await engine.dispose()


@contextmanager
def in_time() -> Generator[None]:
    """What is within ends by its time limit, neither early nor late."""
    began = time.monotonic()
    yield
    assert LIMIT <= time.monotonic() - began < LATEST


async def test_a_statement_ends_at_its_limit(freezer: Freezer, engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        await connection.scalar("SELECT 1")
        with freezer.frozen(), in_time(), pytest.raises(StatementTimeout) as caught:
            await connection.execute("SELECT 2", timeout=LIMIT)
        assert (caught.value.outcome, caught.value.retryable) == ("not_applied", False)
        assert isinstance(caught.value.__cause__, engine_async.dialect.driver_error)
        await connection.rollback()
        assert await connection.scalar("SELECT 3") == 3


async def test_the_rest_of_a_block_does_not_wait(
    freezer: Freezer, engine_async: AsyncEngine
) -> None:
    with freezer.frozen(), in_time(), pytest.raises(ConnectError):
        async with create_async_engine(freezer.url, connect_timeout=LIMIT).begin():
            pass
    with pytest.raises(StatementTimeout):
        async with engine_async.begin(timeout=LIMIT) as connection:
            await connection.scalar("SELECT 1")
            with freezer.frozen(), in_time():
                await connection.execute("SELECT 2")
    assert engine_async.pool.status().busy == 0


async def test_what_autocommit_did_is_not_known(
    freezer: Freezer, engine_async: AsyncEngine
) -> None:
    autocommit = engine_async.execution_options(isolation_level="AUTOCOMMIT")
    async with autocommit.connect() as connection:
        await connection.scalar("SELECT 1")
        with freezer.frozen(), in_time(), pytest.raises(StatementTimeout) as caught:
            await connection.execute("SELECT 2", timeout=LIMIT)
        assert caught.value.outcome == "unknown"
        assert await connection.scalar("SELECT 3") == 3


async def test_a_commit_that_is_cut_off_may_be_stored_or_not(
    freezer: Freezer, engine_async: AsyncEngine
) -> None:
    connection = await engine_async.connect()
    await connection.begin(timeout=LIMIT)
    await connection.scalar("SELECT 1")
    with freezer.frozen(), pytest.raises(CommitUnknown) as caught:
        await connection.commit()
    assert (caught.value.outcome, caught.value.retryable) == ("unknown", False)
    assert await connection.scalar("SELECT 2") == 2
    await connection.close()


async def test_a_connect_ends_at_its_limit(freezer: Freezer) -> None:
    engine = create_async_engine(freezer.url, connect_timeout=LIMIT)
    with freezer.frozen(), in_time(), pytest.raises(ConnectError):
        await engine.connect()
    async with engine.connect() as connection:
        assert await connection.scalar("SELECT 1") == 1
    await engine.dispose()


async def test_an_engines_limit_holds_for_a_rollback(freezer: Freezer) -> None:
    """It has five seconds, then the connection is given up."""
    engine = create_async_engine(freezer.url, timeout=LIMIT)
    async with engine.connect() as connection:
        await connection.scalar("SELECT 1")
        began = time.monotonic()
        with freezer.frozen():
            await connection.close()
        assert time.monotonic() - began < 5 + LATEST
    assert engine.pool.status().busy == 0
    await engine.dispose()
