"""Workers that take and return connections until they are told to stop, whatever else happens."""

from __future__ import annotations

import os
from itertools import count
from typing import Any

from plainsql.aio import create_async_engine
from plainsql.concurrency import rest_async
from tests.beside import AsyncBeside

#: More workers than places, so that some wait, and connections are handed over.
WORKERS, PLACES = 3, 2
#: What tells sessions apart, where there are any.
SESSION = {
    "postgresql": "pg_backend_pid()",
    "mysql": "connection_id()",
    "mariadb": "connection_id()",
}


class AsyncTraffic:
    """Workers on an engine, and what they met: turns, sessions of the server, errors.

    `opened` holds the number of the process that opened each connection, `calling` who is in the
    driver.  While `is_quiet`, connections are taken and given back, and nothing runs on them.
    """

    def __init__(self, url: str) -> None:
        self.opened: list[int] = []
        self.engine = create_async_engine(
            url, pool_size=PLACES, max_overflow=0, on_connect=self._opened
        )
        self.is_over = self.is_quiet = False
        self.calling: set[int] = set()
        self.turns = 0
        self.sessions: set[Any] = set()
        self.errors: list[BaseException] = []
        self._nonces = count(1)

    def _opened(self, raw: Any) -> None:
        del raw
        self.opened.append(os.getpid())

    async def run(self) -> None:
        """Work until it is over; then no place is taken, and the engine is disposed of."""
        besides = [AsyncBeside(self._work) for _ in range(WORKERS)]
        while not self.is_over:
            await rest_async(0.01)
        for beside in besides:
            await beside.result()
        status = self.engine.pool.status()
        assert (status.busy, status.connecting, status.waiting) == (0, 0, 0), status
        await self.engine.dispose()

    async def _work(self) -> None:
        try:
            while not self.is_over:
                self.sessions.add(await self.use())
                self.turns += 1
        except BaseException as exc:  # noqa: BLE001 - all of them are counted and told
            self.errors.append(exc)

    async def use(self) -> Any:
        """Ask for a nonce, and get it; tell in which session that was."""
        nonce = next(self._nonces)
        sql = f"SELECT :nonce AS nonce, {SESSION.get(self.engine.name, 'NULL')} AS session"
        async with self.engine.connect() as connection:
            self.calling.add(nonce)
            try:
                if self.is_quiet:
                    return None
                row = (await connection.execute(sql, {"nonce": nonce})).one()
            finally:
                self.calling.discard(nonce)
        assert row.nonce == nonce, f"asked for {nonce}, got {row.nonce}"
        return row.session

    async def use_and_dispose(self) -> Any:
        """Use a connection, and dispose of the engine: what a child does."""
        session = await self.use()
        await self.engine.dispose()
        return session
