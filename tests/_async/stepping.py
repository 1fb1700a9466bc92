"""What is interrupted at every step: each operation of a connection, in its scene.

What a scenario does inside `with scene.wire` is traced; the rest is its user's.  What is on the
server belongs to a unit of a run: two rows of its number, and a row that all of them write to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from plainsql.aio import AsyncSession
from plainsql.errors import DBAPIError
from tests.beside import AsyncBeside, until_async

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plainsql.aio import AsyncConnection, AsyncEngine

#: Seconds to wait for a connection that comes back.
PATIENCE = 5.0


class AsyncScene:
    """One run: an engine of one connection, and the wire that it may trip over."""

    def __init__(self, engine: AsyncEngine, wire: Any, ground: Any, number: int) -> None:
        self.engine = engine
        self.wire = wire
        self.ground = ground
        self.table: str = ground.table
        self.number = number
        self.beside: list[AsyncBeside] = []
        self.is_over = False

    async def write(self, connection: Any) -> None:
        """Do what must be stored whole or not at all, and lock a row that others need."""
        insert = f"INSERT INTO {self.table} (unit, part) VALUES (:unit, :part)"
        await connection.execute(insert, {"unit": self.number, "part": 1})
        await connection.execute(f"UPDATE {self.table} SET part = part + 1 WHERE unit = -1")
        await connection.execute(insert, {"unit": self.number, "part": 2})

    async def end(self) -> None:
        """Let those beside it come to their ends, and raise what they raised."""
        self.is_over = True
        for one in self.beside:
            await one.result()


async def nonce_async(connection: Any, value: int) -> None:
    """Ask for a number and get it, and no other answer."""
    found = await connection.scalar("SELECT :n", {"n": value})
    assert int(found) == value, f"cross-talk: asked for {value}, got {found!r}"


# -- acquire ------------------------------------------------------------------------------------


async def take_new(scene: AsyncScene) -> None:
    await scene.engine.dispose()
    with scene.wire:
        connection = await scene.engine.connect()
    await connection.close()


async def take_idle(scene: AsyncScene) -> None:
    with scene.wire:
        connection = await scene.engine.connect()
    await connection.close()


async def take_waiting(scene: AsyncScene) -> None:
    """Wait behind one who holds the connection, and before another one who waits."""
    pool = scene.engine.pool
    held = await scene.engine.connect()

    def are_waiting(number: int) -> bool:
        return scene.is_over or pool.status().waiting >= number

    async def hold() -> None:
        await until_async(lambda: are_waiting(2))
        await held.close()

    async def wait_too() -> None:
        await until_async(lambda: are_waiting(1))
        async with scene.engine.connect() as connection:
            await nonce_async(connection, scene.number + 7)

    scene.beside += [AsyncBeside(hold), AsyncBeside(wait_too)]
    with scene.wire:
        connection = await scene.engine.connect()
    async with connection:
        await nonce_async(connection, scene.number + 8)


# -- execute ------------------------------------------------------------------------------------


async def read(scene: AsyncScene) -> None:
    async with scene.engine.connect() as connection:
        with scene.wire:
            await nonce_async(connection, scene.number)


async def read_unseen(scene: AsyncScene) -> None:
    """A text that is compiled for the first time."""
    async with scene.engine.connect() as connection:
        with scene.wire:
            await connection.execute(f"SELECT :n + {scene.number}", {"n": 1})


async def read_in_time(scene: AsyncScene) -> None:
    async with scene.engine.connect() as connection:
        with scene.wire:
            await connection.scalar("SELECT :n", {"n": scene.number}, timeout=9)


async def write(scene: AsyncScene) -> None:
    async with scene.engine.connect() as connection:
        with scene.wire:
            await scene.write(connection)
        await connection.commit()


async def write_many(scene: AsyncScene) -> None:
    insert = f"INSERT INTO {scene.table} (unit, part) VALUES (:unit, :part)"
    async with scene.engine.begin() as connection:
        with scene.wire:
            await connection.execute(
                insert, [{"unit": scene.number, "part": part} for part in (1, 2)]
            )


async def fail(scene: AsyncScene) -> None:
    """A statement that the server refuses, and the rollback after it."""
    async with scene.engine.connect() as connection:
        await scene.write(connection)
        scene.ground.about_to_refuse()
        with scene.wire:
            try:
                await connection.execute(f"SELECT nothing FROM {scene.table}")
            except DBAPIError:
                await connection.rollback()


# -- commit and rollback ------------------------------------------------------------------------


async def commit(scene: AsyncScene) -> None:
    async with scene.engine.connect() as connection:
        await scene.write(connection)
        with scene.wire:
            await connection.commit()


async def commit_by_hand(scene: AsyncScene) -> None:
    """Nobody closes the connection of a COMMIT that was interrupted."""
    connection = await scene.engine.connect()
    await scene.write(connection)
    with scene.wire:
        await connection.commit()
    await connection.close()


async def roll_back(scene: AsyncScene) -> None:
    async with scene.engine.connect() as connection:
        await scene.write(connection)
        with scene.wire:
            await connection.rollback()


async def savepoints(scene: AsyncScene) -> None:
    async with scene.engine.begin() as connection:
        await scene.write(connection)
        with scene.wire:
            async with connection.begin_nested():
                await connection.execute("SELECT 1")
            undone = await connection.begin_nested()
            await connection.execute("SELECT 2")
            await undone.rollback()


# -- release ------------------------------------------------------------------------------------


async def give_back(scene: AsyncScene) -> None:
    connection = await scene.engine.connect()
    with scene.wire:
        await connection.close()


async def give_back_open(scene: AsyncScene) -> None:
    """Close with a transaction open: it is rolled back."""
    connection = await scene.engine.connect()
    await scene.write(connection)
    with scene.wire:
        await connection.close()


async def give_back_again(scene: AsyncScene) -> None:
    """Who closes once more, and keeps the connection, has given it back."""
    connection = await scene.engine.connect()
    await scene.write(connection)
    try:
        with scene.wire:
            await connection.close()
    finally:
        await connection.close()
        await until_async(lambda: scene.engine.pool.status().busy == 0)  # a thread may be at work


async def give_back_touched(scene: AsyncScene) -> None:
    """Close what the user had the driver's own connection of."""
    connection = await scene.engine.connect()
    assert connection.connection is not None
    with scene.wire:
        await connection.close()


async def drop(scene: AsyncScene) -> None:
    """Lose the last reference, and take the next connection."""
    dropped = [await scene.engine.connect()]
    with scene.wire:
        dropped.clear()
        connection = await scene.engine.connect()
    await connection.close()


# -- streams ------------------------------------------------------------------------------------


async def stream(scene: AsyncScene) -> None:
    async with scene.engine.connect() as connection:
        with scene.wire:
            rows = await connection.stream(f"SELECT part FROM {scene.table}", batch=1)
            await rows.fetchone()
            await rows.close()
            await connection.rollback()


async def stream_block(scene: AsyncScene) -> None:
    async with scene.engine.connect() as connection:
        with scene.wire:
            async with connection.stream(f"SELECT part FROM {scene.table}", batch=2) as rows:
                async for _ in rows:
                    pass


async def stream_left(scene: AsyncScene) -> None:
    """A stream that nobody reads to its end, nor closes."""
    async with scene.engine.connect() as connection:
        with scene.wire:
            rows = await connection.stream(f"SELECT part FROM {scene.table}", batch=1)
            await rows.fetchone()
            await connection.close()


# -- whole units --------------------------------------------------------------------------------


async def unit(scene: AsyncScene) -> None:
    with scene.wire:
        async with scene.engine.begin() as connection:
            await scene.write(connection)


async def unit_in_time(scene: AsyncScene) -> None:
    with scene.wire:
        async with scene.engine.begin(timeout=9) as connection:
            await scene.write(connection)


async def unit_of_session(scene: AsyncScene) -> None:
    with scene.wire:
        async with AsyncSession(scene.engine) as session:
            await scene.write(session)
            await session.commit()


async def unit_again(scene: AsyncScene) -> None:
    async def do(connection: AsyncConnection) -> None:
        await scene.write(connection)

    with scene.wire:
        await scene.engine.run(do)


async def raw(scene: AsyncScene) -> None:
    with scene.wire:
        async with scene.engine.raw_connection():
            pass


async def dispose(scene: AsyncScene) -> None:
    with scene.wire:
        await scene.engine.dispose()


class AsyncScenario(NamedTuple):
    """What is done, and by an engine with which options.

    `forgets`: that warns of a dropped one; `anew`: it has less to do on a connection that did it.
    """

    act: Callable[[AsyncScene], Awaitable[None]]
    options: dict[str, Any] = {}  # noqa: RUF012 - a NamedTuple's default; nobody writes to it
    forgets: bool = False
    anew: bool = False


#: By a name; those that `acquire, execute, commit, rollback, release, stream, close` stand for.
SCENARIOS: dict[str, AsyncScenario] = {
    "acquire, new": AsyncScenario(take_new),
    "acquire, idle": AsyncScenario(take_idle),
    "acquire, asked": AsyncScenario(take_idle, {"pool_pre_ping": True}, anew=True),
    "acquire, waiting": AsyncScenario(take_waiting, {"pool_timeout": PATIENCE}),
    "execute, read": AsyncScenario(read),
    "execute, unseen": AsyncScenario(read_unseen),
    "execute, in time": AsyncScenario(read_in_time, anew=True),
    "execute, write": AsyncScenario(write),
    "execute, many": AsyncScenario(write_many),
    "execute, refused": AsyncScenario(fail),
    "commit": AsyncScenario(commit),
    "commit, by hand": AsyncScenario(commit_by_hand),
    "rollback": AsyncScenario(roll_back),
    "rollback, savepoint": AsyncScenario(savepoints),
    "release": AsyncScenario(give_back),
    "release, open": AsyncScenario(give_back_open),
    "release, again": AsyncScenario(give_back_again),
    "release, touched": AsyncScenario(give_back_touched, anew=True),
    "release, dropped": AsyncScenario(drop, forgets=True),
    "stream": AsyncScenario(stream),
    "stream, block": AsyncScenario(stream_block),
    "stream, left": AsyncScenario(stream_left),
    "stream, left in AUTOCOMMIT": AsyncScenario(stream_left, {"isolation_level": "AUTOCOMMIT"}),
    "unit": AsyncScenario(unit),
    "unit, in time": AsyncScenario(unit_in_time, anew=True),
    "unit, of a session": AsyncScenario(unit_of_session),
    "unit, again": AsyncScenario(unit_again),
    "raw": AsyncScenario(raw, anew=True),
    "close": AsyncScenario(dispose),
}


# -- afterwards ---------------------------------------------------------------------------------


async def whole_async(engine: AsyncEngine, number: int) -> None:
    """Find that the pool is whole: a connection at once, its own answers, and nobody's place."""
    for turn in range(3):
        async with engine.connect() as connection:
            assert not connection.in_transaction(), "a transaction was left"
            await nonce_async(connection, 10 * number + turn)
            await nonce_async(connection, 10 * number + turn + 4)
    status = engine.pool.status()
    found = (status.busy, status.connecting, status.waiting)
    assert found == (0, 0, 0), f"a place is lost: {status!r}"
