"""Programs that end amid their work: `python -m tests.load.ending CASE`, the URL by stdin.

Each case leaves something behind, at the end of the main thread's work; then the program says so
and ends, by an exit code of its own.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import plainsql
from plainsql import aio

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql import Connection, Engine
    from plainsql.aio import AsyncConnection, AsyncEngine

CODE = 7
#: In seconds, for how long a thread works on that is not a daemon.
LONGER = 0.2
#: A statement that nobody waits for; a server's must not use its processor when we are gone.
SLOW = {
    "sqlite": "WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i FROM r) SELECT max(i) FROM r",
    "postgresql": "SELECT pg_sleep(20)",
    "mysql": "SELECT sleep(20)",
    "mariadb": "SELECT sleep(20)",
}

#: What a program holds until its end.
left: list[Any] = []


def make(url: str) -> Engine:
    """An engine with a connection that idles."""
    engine = plainsql.create_engine(url, pool_size=2, max_overflow=0)
    use(engine)
    left.append(engine)
    return engine


def use(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.scalar("SELECT 1") == 1


def busy(engine: Engine) -> Connection:
    """A connection in a transaction."""
    connection = engine.connect()
    connection.execute("SELECT 1")
    left.append(connection)
    return connection


def beside(work: Callable[[threading.Event], None], *, daemon: bool) -> None:
    """Work in a thread, and come back when it is at it."""
    at_it = threading.Event()
    threading.Thread(target=work, args=(at_it,), daemon=daemon).start()
    assert at_it.wait(10)


def run_slow(engine: Engine) -> None:
    """Let a statement run in a daemon thread."""

    def work(at_it: threading.Event) -> None:
        with engine.connect() as connection:
            connection.execute("SELECT 1")
            at_it.set()
            connection.execute(SLOW[engine.name])

    beside(work, daemon=True)
    time.sleep(0.05)  # so that it is in the driver; if it is not, that is another case


# -- sync ---------------------------------------------------------------------------------------


def idle(url: str) -> None:
    make(url)


def disposed(url: str) -> None:
    make(url).dispose()


def in_transaction(url: str) -> None:
    busy(make(url))


def in_transaction_disposed(url: str) -> None:
    engine = make(url)
    busy(engine)
    engine.dispose()


def streaming(url: str) -> None:
    stream = busy(make(url)).stream("SELECT 1 AS n UNION ALL SELECT 2")
    left.append((stream, stream.fetchone()))


def running(url: str) -> None:
    run_slow(make(url))


def running_disposed(url: str) -> None:
    engine = make(url)
    run_slow(engine)
    engine.dispose()


def running_with_a_limit(url: str) -> None:
    """The timer's thread is there, and rings while the program ends."""
    engine = plainsql.create_engine(url, timeout=0.2)
    left.append(engine)
    run_slow(engine)


def waiting(url: str) -> None:
    engine = make(url)
    busy(engine), busy(engine)

    def work(at_it: threading.Event) -> None:
        at_it.set()
        use(engine)

    beside(work, daemon=True)


def outlived(url: str) -> None:
    """A thread that is no daemon works on when the main one is over."""
    engine = make(url)

    def work(at_it: threading.Event) -> None:
        at_it.set()
        end = time.monotonic() + LONGER
        while time.monotonic() < end:
            use(engine)

    beside(work, daemon=False)


# -- async --------------------------------------------------------------------------------------


async def make_async(url: str) -> AsyncEngine:
    engine = aio.create_async_engine(url, pool_size=2, max_overflow=0)
    await use_async(engine)
    left.append(engine)
    return engine


async def use_async(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        assert await connection.scalar("SELECT 1") == 1


async def busy_async(engine: AsyncEngine) -> AsyncConnection:
    connection = await engine.connect()
    await connection.execute("SELECT 1")
    left.append(connection)
    return connection


def loop_closed(url: str) -> None:
    asyncio.run(make_async(url))


def loop_closed_disposed(url: str) -> None:
    async def main() -> None:
        await (await make_async(url)).dispose()

    asyncio.run(main())


def loop_closed_in_transaction(url: str) -> None:
    async def main() -> None:
        await busy_async(await make_async(url))

    asyncio.run(main())


def loop_closed_running(url: str) -> None:
    """asyncio.run cancels what runs."""

    async def main() -> None:
        engine = await make_async(url)
        connection = await busy_async(engine)
        left.append(asyncio.ensure_future(connection.execute(SLOW[engine.name])))
        await asyncio.sleep(0.05)

    asyncio.run(main())


def loop_open(url: str) -> None:
    loop = asyncio.new_event_loop()
    left.append(loop)
    loop.run_until_complete(make_async(url))


def loop_open_in_transaction(url: str) -> None:
    loop = asyncio.new_event_loop()
    left.append(loop)
    loop.run_until_complete(busy_async(loop.run_until_complete(make_async(url))))


def loop_open_disposed(url: str) -> None:
    loop = asyncio.new_event_loop()
    left.append(loop)
    loop.run_until_complete(loop.run_until_complete(make_async(url)).dispose())


def loop_running(url: str) -> None:
    """A loop in a daemon thread, in which a statement runs."""

    def work(at_it: threading.Event) -> None:
        async def main() -> None:
            engine = await make_async(url)
            connection = await busy_async(engine)
            at_it.set()
            await connection.execute(SLOW[engine.name])

        asyncio.run(main())

    beside(work, daemon=True)
    time.sleep(0.05)


def loop_outlived(url: str) -> None:
    """A loop in a thread that is no daemon works on, and ends in good order."""

    def work(at_it: threading.Event) -> None:
        async def main() -> None:
            engine = await make_async(url)
            at_it.set()
            end = time.monotonic() + LONGER
            while time.monotonic() < end:
                await use_async(engine)
            await engine.dispose()

        asyncio.run(main())

    beside(work, daemon=False)


def loop_outlived_with_a_limit(url: str) -> None:
    """A loop that is still at work stops a statement, and opens another connection."""

    def work(at_it: threading.Event) -> None:
        async def main() -> None:
            engine = aio.create_async_engine(url)
            left.append(engine)
            await use_async(engine)
            at_it.set()
            async with engine.connect() as connection:
                try:
                    await connection.execute(SLOW[engine.name], timeout=LONGER)
                except plainsql.StatementTimeout:
                    await connection.rollback()
                await use_async(engine)
            await engine.dispose()

        asyncio.run(main())

    beside(work, daemon=False)


CASES: dict[str, Callable[[str], None]] = {
    case.__name__: case
    for case in (
        *(idle, disposed, in_transaction, in_transaction_disposed, streaming),
        *(running, running_disposed, running_with_a_limit, waiting, outlived),
        *(loop_closed, loop_closed_disposed, loop_closed_in_transaction, loop_closed_running),
        *(loop_open, loop_open_in_transaction, loop_open_disposed),
        *(loop_running, loop_outlived, loop_outlived_with_a_limit),
    )
}

if (3, 12) <= sys.version_info < (3, 12, 2):
    # no thread begins there once the main one is over: python/cpython#113964
    del CASES["loop_outlived_with_a_limit"]

if __name__ == "__main__":
    CASES[sys.argv[1]](sys.stdin.read())
    print(time.monotonic(), flush=True)
    sys.exit(CODE)
