"""Work amid a storm of interrupts: rows F6 and F7 of the fault matrix, on every database."""

from __future__ import annotations

import gc
import sys
import time
import traceback
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from plainsql import text
from plainsql.aio import AsyncSession
from tests.beside import AsyncBeside, until_async
from tests.sessions import Sessions
from tests.steps.grounds import DESCRIPTORS
from tests.steps.tripwire import was_raised_by_driver
from tests.storms import SECONDS, AsyncStorm, kinds_async

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql.aio import AsyncConnection, AsyncEngine
    from tests.servers import RawConnection

SIZE = 2
#: Seconds that no transaction takes here.
LIMIT = 30.0
#: So often nobody waits for calm, so that connects are interrupted, too.
RUSH = 5

pytestmark = [
    pytest.mark.slow,
    # an interrupt may come between a call that returned a connection and what closes it, in the
    # driver, too: then it is dropped, and whether it is closed by that is looked at in the end
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def descriptors() -> int:
    """How many are open, where that is told."""
    return len(list(DESCRIPTORS.iterdir())) if DESCRIPTORS.exists() else 0


class Work:
    """Transactions that ask for nonces and write numbers; what is known to be stored."""

    def __init__(self, engine: AsyncEngine, table: str) -> None:
        self.engine = engine
        self._insert = text("INSERT INTO {t} VALUES (:n)".replace("{t}", table))
        self._numbers = text("SELECT n FROM {t}".replace("{t}", table))
        self._table = table
        self._nonces = count(1_000_000)
        self.stored: set[int] = set()
        self.begun: set[int] = set()

    async def create(self) -> None:
        """Make the table, without a key: what is stored twice is there twice."""
        async with self.engine.begin() as connection:
            await connection.exec_driver_sql(f"CREATE TABLE {self._table} (n INT)")

    async def do(self, number: int) -> None:
        """Store a number in one of several ways."""
        self.begun.add(number)
        ways: list[Any] = [
            *(self._plainly, self._in_a_savepoint, self._in_a_session, self._streaming),
            self._within_a_limit,
        ]
        await ways[number % len(ways)](number)
        self.stored.add(number)

    async def _plainly(self, number: int) -> None:
        async with self.engine.begin() as connection:
            await self._write(connection, number)

    async def _in_a_savepoint(self, number: int) -> None:
        async with self.engine.begin() as connection, connection.begin_nested():
            await self._write(connection, number)

    async def _in_a_session(self, number: int) -> None:
        async with AsyncSession(self.engine) as session, session.begin():
            await self._write(session, number)

    async def _streaming(self, number: int) -> None:
        async with self.engine.begin() as connection:
            await self._write(connection, number)
            nonces = [next(self._nonces) for _ in range(3)]
            sql = "SELECT :a AS n UNION ALL SELECT :b UNION ALL SELECT :c"
            params = dict(zip("abc", nonces, strict=True))
            async with connection.stream(sql, params, batch=2) as stream:
                found = [row.n async for row in stream]
            assert sorted(found) == nonces

    async def _within_a_limit(self, number: int) -> None:
        async with self.engine.begin(timeout=LIMIT) as connection:
            await self._write(connection, number)

    async def _write(self, user: Any, number: int) -> None:
        await self._ask(user)
        await user.execute(self._insert, {"n": number})
        await self._ask(user)

    async def _ask(self, user: Any) -> None:
        nonce = next(self._nonces)
        found = await user.scalar("SELECT :n", {"n": nonce})
        assert found == nonce, f"asked for {nonce}, got {found}"

    async def look_around(self) -> None:
        """Ask on as many connections at a time as there may be.

        What an interrupted call left in a cycle of references is collected before.
        """
        gc.collect()
        held: list[AsyncConnection] = []
        failed: list[BaseException] = []

        async def hold() -> None:
            try:
                async with self.engine.connect() as connection:
                    await self._ask(connection)
                    held.append(connection)
                    await until_async(lambda: len(held) == SIZE or failed)
            except BaseException as exc:
                failed.append(exc)
                raise

        for beside in [AsyncBeside(hold) for _ in range(SIZE)]:
            await beside.result()

    async def check(self) -> None:
        """What was said to be stored is, what is there was begun, and nothing is there twice."""
        async with self.engine.connect() as connection:
            there = Counter((await connection.scalars(self._numbers)).all())
        assert [n for n, times in there.items() if times > 1] == []
        assert self.stored - set(there) == set()
        assert set(there) - self.begun == set()


@pytest.mark.parametrize("kind", kinds_async)
async def test_work_amid_a_storm_loses_and_mixes_nothing(
    make_engine_async: Callable[..., AsyncEngine],
    database_kind: str,
    raw_connect: Callable[[], RawConnection],
    table_name: str,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[BaseException],
) -> None:
    """F6, F7: nonces are right, the pool is whole at the end, what was written is consistent."""
    unraisable: list[str] = []

    def note(told: sys.UnraisableHookArgs) -> None:
        """Note what no interrupt was, where it was raised; a driver's own is the driver's."""
        if not isinstance(told.exc_value, kind) and not was_raised_by_driver(told.exc_traceback):
            where = "".join(traceback.format_tb(told.exc_traceback))
            unraisable.append(f"{told.exc_value!r} in {told.object!r}: {where}")

    monkeypatch.setattr(sys, "unraisablehook", note)
    sessions = Sessions(database_kind, raw_connect())
    before = descriptors()
    engine = make_engine_async(
        pool_size=SIZE, max_overflow=0, pool_timeout=10, on_connect=sessions.note
    )
    work = Work(engine, table_name)
    await work.create()
    storm = AsyncStorm(kind)
    interrupted = 0
    end = time.monotonic() + SECONDS
    for number in count(1):
        if not await storm.run(work.do, number):
            interrupted += 1
            if interrupted % RUSH:
                await work.look_around()
        if time.monotonic() >= end:
            break
    await work.look_around()
    await work.check()
    print(
        f"{len(work.begun)} begun, {len(work.stored)} ended, {interrupted} interrupted by "
        f"{storm.strokes} strokes, {sessions.opened} connections opened"
    )
    assert interrupted > 0
    assert work.stored != set()
    status = engine.pool.status()
    assert (status.busy, status.connecting, status.waiting) == (0, 0, 0)
    assert not unraisable, "\n".join(unraisable)
    await until_async(lambda: sessions.alive() == engine.pool.status().idle)
    await engine.dispose()
    gc.collect()
    await until_async(lambda: descriptors() <= before)
