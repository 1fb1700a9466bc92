"""COMMITs that nobody answers: what is known of them, and how their work is done once."""

from __future__ import annotations

import random
from collections import Counter
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from plainsql import text
from plainsql.aio import AsyncOperationLog, AsyncSession, create_async_engine
from plainsql.errors import (
    ArgumentError,
    CommitUnknown,
    Disconnected,
    Error,
    NotSupportedError,
    SerializationFailure,
    StatementTimeout,
    TransactionStateError,
)
from tests.beside import AsyncBeside, interrupt_async, until_async
from tests.faults.cutter import Cutter
from tests.faults.scene import MEANS
from tests.recorder import Recorder
from tests.servers import Unavailable, run
from tests.standby import Primary

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator

    from plainsql.aio import AsyncConnection, AsyncEngine
    from plainsql.testing.proxy import Line as ProxyLine
    from tests.faults.cutter import When
    from tests.recorder import Wire
    from tests.servers import RawConnection

NETWORK = ("postgresql", "mysql", "mariadb")
NO_NETWORK = "SQLite has no line to cut"
NO_TOKEN = "only PostgreSQL tells what became of a transaction"
#: Of COMMITs that are cut off before they arrive, and as many after they have.
TURNS = 50


class Ledger:
    """A table without any key: what is done twice is there twice."""

    def __init__(self, engine: AsyncEngine, table: str) -> None:
        self.engine = engine
        self.write = text("INSERT INTO {t} VALUES (:n)".replace("{t}", table))
        self.count = text("SELECT count(*) FROM {t} WHERE n = :n".replace("{t}", table))
        self.create = text("CREATE TABLE {t} (n INT)".replace("{t}", table))

    async def times(self, number: int) -> Any:
        """How often the number is stored."""
        async with self.engine.connect() as connection:
            return await connection.scalar(self.count, {"n": number})


class Line:
    """A way to the database that a cutter watches, with a ledger at its end."""

    def __init__(self, cutter: Cutter, engine: AsyncEngine, ledger: Ledger) -> None:
        self.cutter = cutter
        self.engine = engine
        self.ledger = ledger

    async def lose(self, when: When, work: Callable[[AsyncConnection], Any]) -> CommitUnknown:
        """Do the work in a transaction whose COMMIT is cut off; the error."""
        with pytest.raises(CommitUnknown) as caught:
            async with self.engine.begin() as connection:
                await work(connection)
                self.cutter.cut(when, "COMMIT")
        assert self.cutter.has_cut
        assert (caught.value.outcome, caught.value.retryable) == ("unknown", False)
        return caught.value

    async def lose_writing(self, when: When, number: int) -> CommitUnknown:
        """Lose a COMMIT after the number was written."""

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(self.ledger.write, {"n": number})

        return await self.lose(when, work)


class Holder(Recorder):
    """Forwards everything until COMMIT comes, and from then on no answer, until it is healed."""

    def _note(self, line: ProxyLine, wire: Wire, data: bytes, statements: list[str]) -> None:
        known = len(statements)
        super()._note(line, wire, data, statements)
        if "COMMIT" in statements[known:]:
            self.answers._hold(0.0, True)


@pytest.fixture
async def ledger(engine_async: AsyncEngine, table_name: str) -> Ledger:
    ledger = Ledger(engine_async, table_name)
    async with engine_async.begin() as connection:
        await connection.execute(ledger.create)
    return ledger


@pytest.fixture
async def lay(ledger: Ledger) -> AsyncIterator[Callable[..., Line]]:
    """Makes lines to the database; the options are of the engine at their near end."""
    cutters: list[Cutter] = []
    engines: list[AsyncEngine] = []

    def make(**options: Any) -> Line:
        url = ledger.engine.url
        means = MEANS[url.drivername]
        server = (url.host or "127.0.0.1", url.port or 0)
        cutter = Cutter(*server, protocol=means.protocol).__enter__()
        cutters.append(cutter)
        there = url.set(host=cutter.host, port=cutter.port).update_query_dict(means.plain)
        engines.append(create_async_engine(there, **options))
        return Line(cutter, engines[-1], ledger)

    yield make
    for engine in engines:
        await engine.dispose()
    for cutter in cutters:
        cutter.__exit__(None, None, None)


def in_any_order() -> list[When]:
    """As many cuts before as after, mixed."""
    turns: list[When] = ["before", "after"] * TURNS
    random.shuffle(turns)
    return turns


# -- ways to lose it ----------------------------------------------------------------------------


@pytest.mark.only_on(*NETWORK, reason=NO_NETWORK)
async def test_an_interrupt_in_commit_is_raised_as_it_is_and_its_cause_tells_of_the_commit(
    ledger: Ledger, raw_connect: Callable[[], RawConnection]
) -> None:
    """The server has stored the row, and its answer is under way."""
    name, url = ledger.engine.name, ledger.engine.url
    tells = name == "postgresql"
    cursor = raw_connect().cursor()
    caught: list[BaseException] = []

    def is_stored() -> bool:
        cursor.execute(ledger.count.text.replace(":n", "1"))
        return bool(cursor.fetchone() == (1,))

    means = MEANS[name]
    with Holder(url.host or "", url.port or 0, protocol=means.protocol) as holder:
        there = url.set(host=holder.host, port=holder.port).update_query_dict(means.plain)
        engine = create_async_engine(there, commit_token=tells)

        async def write() -> None:
            try:
                async with engine.begin() as connection:
                    await connection.execute(ledger.write, {"n": 1})
            except BaseException as exc:
                caught.append(exc)
                raise

        await interrupt_async(is_stored, write, then=holder.heal)
        assert engine.pool.status().busy == 0
        await engine.dispose()
    cause = caught[0].__cause__
    assert not isinstance(caught[0], Error)
    assert isinstance(cause, CommitUnknown)
    assert (cause.outcome, cause.retryable) == ("unknown", False)
    fate = await cause.resolve(ledger.engine)
    assert fate == ("committed" if tells else "unknown")


#: What a server of each kind says by itself when it breaks a COMMIT off, and goes on or goes away.
BROKEN_OFF = {
    "mysql": (1053, 1180, 3100),
    "mariadb": (1053, 1180, 1927),
}


def breaking_off(number: int, words: str, then: str = "DO 0") -> Any:
    """A cursor of PyMySQL whose COMMIT the server answers with that error, as it is told to.

    `then` is what it is asked afterwards, instead of how its transaction stands.
    """
    from pymysql.cursors import Cursor

    class BreaksOff(Cursor):
        def execute(self, query: Any, args: Any = None) -> int:
            if query == "DO 0":
                query = then
            if query == "COMMIT":
                answer = f"MYSQL_ERRNO = {number}, MESSAGE_TEXT = '{words}'"
                query = f"SIGNAL SQLSTATE 'HY000' SET {answer}"
            return super().execute(query, args)

    return BreaksOff


@pytest.mark.only_on("mysql", "mariadb", reason="PostgreSQL commits, rolls back, or goes away")
async def test_a_commit_that_the_server_breaks_off_is_unknown(
    ledger: Ledger, make_engine_async: Callable[..., AsyncEngine]
) -> None:
    """Where it goes on, its connection is given up all the same: who knows what stands there."""
    no_quorum = "SIGNAL SQLSTATE '08S01' SET MYSQL_ERRNO = 1047, MESSAGE_TEXT = 'not ready'"
    for number, then in product(BROKEN_OFF[ledger.engine.name], ["DO 0", no_quorum]):
        cursor = breaking_off(number, "Got error 6 during COMMIT", then)
        engine = make_engine_async(connect_args={"cursorclass": cursor})
        connection = await engine.connect()
        await connection.execute(ledger.write, {"n": number})
        with pytest.raises(CommitUnknown, match="during COMMIT") as caught:
            await connection.commit()
        assert (caught.value.code, caught.value.outcome) == (str(number), "unknown")
        assert not caught.value.retryable
        assert not connection.in_transaction()
        await connection.close()
        assert engine.pool.status().idle == 0


@pytest.mark.only_on("mysql", "mariadb", reason="its number, and its words")
async def test_a_commit_that_certification_refused_is_no_unknown_one(
    ledger: Ledger, make_engine_async: Callable[..., AsyncEngine]
) -> None:
    cursor = breaking_off(1180, "Got error 149 - Lock deadlock - during COMMIT")
    engine = make_engine_async(connect_args={"cursorclass": cursor})
    with pytest.raises(SerializationFailure) as caught:
        async with engine.begin() as connection:
            await connection.execute(ledger.write, {"n": 1})
    assert (caught.value.outcome, caught.value.retryable) == ("not_applied", True)


@pytest.mark.only_on(*NETWORK, reason=NO_NETWORK)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_autocommit_lost_is_no_lost_commit_and_unknown_too(
    lay: Callable[..., Line], when: When
) -> None:
    line = lay(isolation_level="AUTOCOMMIT")
    statement = text(line.ledger.write.text.replace(":n", "1"))
    async with line.engine.connect() as connection:
        line.cutter.cut(when, statement.text)
        with pytest.raises(Disconnected) as caught:
            await connection.execute(statement)
    assert line.cutter.has_cut
    assert type(caught.value) is Disconnected
    assert (caught.value.outcome, caught.value.retryable) == ("unknown", False)


# -- the token ----------------------------------------------------------------------------------


@pytest.mark.only_on("postgresql", reason=NO_TOKEN)
async def test_what_the_server_tells_of_a_lost_commit_agrees_with_the_rows(
    lay: Callable[..., Line],
) -> None:
    line = lay(commit_token=True)
    told: Counter[tuple[When, str]] = Counter()
    for number, when in enumerate(in_any_order()):
        error = await line.lose_writing(when, number)
        fate = await error.resolve(line.engine)
        assert await line.ledger.times(number) == (fate == "committed")
        assert await error.resolve(line.ledger.engine) == fate
        told[when, fate] += 1
    assert told == {("before", "aborted"): TURNS, ("after", "committed"): TURNS}


@pytest.mark.only_on(*NETWORK, reason=NO_NETWORK)
async def test_without_a_token_the_fate_is_unknown(lay: Callable[..., Line]) -> None:
    line = lay()
    error = await line.lose_writing("after", 1)
    assert await error.resolve(line.engine) == "unknown"
    assert await line.ledger.times(1) == 1


@pytest.mark.only_on("postgresql", reason=NO_TOKEN)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_what_wrote_nothing_lost_nothing(lay: Callable[..., Line], when: When) -> None:
    line = lay(commit_token=True)

    async def read(connection: AsyncConnection) -> None:
        await connection.scalar(line.ledger.count, {"n": 1})

    error = await line.lose(when, read)
    assert await error.resolve(line.engine) == "committed"


@pytest.mark.only_on("postgresql", reason=NO_TOKEN)
async def test_the_token_costs_one_trip_and_only_where_it_was_asked_for(
    lay: Callable[..., Line],
) -> None:
    said = []
    for commit_token in (False, True):
        line = lay(commit_token=commit_token)
        async with line.engine.begin() as connection:
            await connection.execute(line.ledger.write, {"n": 1})
        statements = line.cutter.statements
        said.append(statements[statements.index("BEGIN") :])
    without, with_it = said
    assert without[-1] == with_it[-1] == "COMMIT"
    assert [sql for sql in with_it if "pg_current_xact_id" not in sql] == without
    assert len(with_it) == len(without) + 1


@pytest.mark.only_on("postgresql", reason=NO_TOKEN)
async def test_a_line_lost_before_commit_is_sent_left_nothing_in_doubt(
    lay: Callable[..., Line],
) -> None:
    """The token is asked for first; where that fails, COMMIT was never sent."""
    line = lay(commit_token=True)
    with pytest.raises(Disconnected) as caught:
        async with line.engine.begin() as connection:
            await connection.execute(line.ledger.write, {"n": 1})
            line.cutter.cut("before", line.engine.dialect.token_sql)
    assert line.cutter.has_cut
    assert type(caught.value) is Disconnected
    assert (caught.value.outcome, caught.value.retryable) == ("not_applied", True)


@pytest.mark.only_on("postgresql", reason=NO_TOKEN)
async def test_a_transaction_that_is_still_open_is_asked_for_again_for_a_while(
    lay: Callable[..., Line],
) -> None:
    line = lay(commit_token=True)
    async with line.ledger.engine.begin() as connection:
        await connection.execute(line.ledger.write, {"n": 1})
        token = tuple((await connection.exec_driver_sql(line.engine.dialect.token_sql)).one())
        error = CommitUnknown("as if its COMMIT was on its way")
        error._token = token
        assert await error.resolve(line.engine, timeout=0.2) == "unknown"
        asking = AsyncBeside(error.resolve, line.engine)
    assert await asking.result() == "committed"


@pytest.mark.only_on("sqlite", "mysql", "mariadb", reason="it is for the others that it is refused")
async def test_a_token_is_refused_where_there_is_none(
    make_engine_async: Callable[..., AsyncEngine],
) -> None:
    with pytest.raises(NotSupportedError, match=r"^commit_token=True: .* can not do this$"):
        make_engine_async(commit_token=True)


# -- the server and its history -----------------------------------------------------------------


@pytest.fixture(scope="module")
def primary() -> Generator[Primary]:
    try:
        with Primary() as primary:
            yield primary
    except Unavailable as exc:
        pytest.skip(f"a server of the test's own is needed: {exc}")


@pytest.fixture
async def engine_there(primary: Primary) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(primary.url, commit_token=True)
    async with engine.begin() as connection:
        await connection.execute("DROP TABLE IF EXISTS t")
        await connection.execute("CREATE TABLE t (n INT)")
    yield engine
    await engine.dispose()


#: A COMMIT that takes its time.
SLOW_COMMIT = """
    CREATE OR REPLACE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION wait()
"""
COMMITS = "SELECT count(*) FROM pg_stat_activity WHERE query = 'COMMIT' AND state = 'active'"


async def lose_there(engine: AsyncEngine, when: When) -> CommitUnknown:
    """Lose a COMMIT of one row on the way to the server of that engine."""
    url = engine.url
    with Cutter("127.0.0.1", url.port or 0, protocol="postgresql") as cutter:
        there = url.set(port=cutter.port).update_query_dict({"sslmode": "disable"})
        behind = create_async_engine(there, commit_token=True)
        with pytest.raises(CommitUnknown) as caught:
            async with behind.begin() as connection:
                await connection.execute("INSERT INTO t VALUES (1)")
                cutter.cut(when, "COMMIT")
        await behind.dispose()
    return caught.value


async def rows_there(engine: AsyncEngine) -> Any:
    async with engine.connect() as connection:
        return await connection.scalar("SELECT count(*) FROM t")


@pytest.mark.parametrize("how", ["crash", "crash_a_process"])
async def test_what_a_crash_lost_is_aborted(
    primary: Primary, engine_there: AsyncEngine, how: str
) -> None:
    error = await lose_there(engine_there, "before")
    getattr(primary, how)()
    assert await error.resolve(engine_there) == "aborted"


@pytest.mark.parametrize("how", ["crash", "crash_a_process"])
async def test_a_number_that_was_given_again_after_a_crash_is_not_taken_for_the_commit(
    primary: Primary, engine_there: AsyncEngine, how: str
) -> None:
    """What was written and not committed is lost in a crash, with the number that it had."""
    error = await lose_there(engine_there, "before")
    getattr(primary, how)()
    given: list[Any] = []
    for _ in range(3):
        async with engine_there.begin() as connection:
            given.append(await connection.scalar("SELECT pg_current_xact_id()::text"))
    assert error._token[0] in given
    assert await rows_there(engine_there) == 0
    assert await error.resolve(engine_there) == "unknown"


async def test_no_privilege_is_needed(engine_there: AsyncEngine) -> None:
    async with engine_there.begin() as connection:
        await connection.execute("CREATE ROLE nobody LOGIN PASSWORD 'pw'")
        await connection.execute("GRANT INSERT ON t TO nobody")
    nobody = create_async_engine(engine_there.url.set(username="nobody", password="pw"))
    stored = await lose_there(nobody, "after")
    dropped = await lose_there(nobody, "before")
    assert await stored.resolve(nobody) == "committed"
    assert await dropped.resolve(nobody) == "aborted"
    await nobody.dispose()
    async with engine_there.begin() as connection:
        await connection.execute("DROP OWNED BY nobody")
        await connection.execute("DROP ROLE nobody")


async def test_a_server_that_is_killed_in_commit_leaves_it_unknown_and_tells_afterwards(
    primary: Primary, engine_there: AsyncEngine
) -> None:
    async with engine_there.begin() as connection:
        await connection.execute_script(SLOW_COMMIT)

    async def write() -> None:
        async with engine_there.begin() as connection:
            await connection.execute("INSERT INTO t VALUES (1)")

    writing = AsyncBeside(write)
    await until_async(lambda: run(primary.url, COMMITS) == [(1,)])
    primary.crash()
    with pytest.raises(CommitUnknown) as caught:
        await writing.result()
    assert await caught.value.resolve(engine_there) == "aborted"
    assert await rows_there(engine_there) == 0


async def test_a_server_that_was_shut_down_in_good_order_remembers(
    primary: Primary, engine_there: AsyncEngine
) -> None:
    stored = await lose_there(engine_there, "after")
    dropped = await lose_there(engine_there, "before")
    primary.restart()
    assert await stored.resolve(engine_there) == "committed"
    assert await dropped.resolve(engine_there) == "aborted"
    assert await rows_there(engine_there) == 1


async def test_another_history_knows_nothing(primary: Primary, engine_there: AsyncEngine) -> None:
    """The standby was promoted, or it is another server altogether."""
    error = await lose_there(engine_there, "after")
    promoted = create_async_engine(primary.promoted_standby())
    assert await rows_there(promoted) == 1
    assert await error.resolve(promoted) == "unknown"
    assert await error.resolve(engine_there) == "committed"
    await promoted.dispose()
    with Primary() as another:
        stranger = create_async_engine(another.url)
        assert await error.resolve(stranger) == "unknown"
        await stranger.dispose()


# -- operations ---------------------------------------------------------------------------------


@pytest.fixture
async def log(ledger: Ledger, table_prefix: str) -> AsyncOperationLog:
    log = AsyncOperationLog(ledger.engine, f"{table_prefix}log")
    await log.create()
    return log


async def apply(line: Line, log: AsyncOperationLog, number: int) -> bool:
    """Do the recipe once: note the operation, and write if it is the first time."""

    async def work(connection: AsyncConnection) -> bool:
        first = await log.once(connection, f"operation {number}")
        if first:
            await connection.execute(line.ledger.write, {"n": number})
        return first

    return await line.engine.run(work)


@pytest.mark.only_on(*NETWORK, reason=NO_NETWORK)
async def test_an_operation_is_applied_once_whatever_happens_to_its_commit(
    lay: Callable[..., Line], log: AsyncOperationLog
) -> None:
    line = lay()
    first: Counter[tuple[When, bool]] = Counter()
    for number, when in enumerate(in_any_order()):
        line.cutter.cut(when, "COMMIT")
        with pytest.raises(CommitUnknown):
            await apply(line, log, number)
        if number % 2:
            applied = await log.was_applied(f"operation {number}")
            assert applied == (when == "after")
        first[when, await apply(line, log, number)] += 1
        assert await line.ledger.times(number) == 1
        assert await log.was_applied(f"operation {number}")
    assert first == {("before", True): TURNS, ("after", False): TURNS}


async def test_an_operation_is_noted_only_with_its_work(
    ledger: Ledger, log: AsyncOperationLog
) -> None:
    async with AsyncSession(ledger.engine) as session:
        assert await log.once(session, "a")
        await session.execute(ledger.write, {"n": 1})
        await session.rollback()
        assert not await log.was_applied("a")
        assert await log.once(session, "a")
        assert not await log.once(session, "a")
        await session.execute(ledger.write, {"n": 1})
        await session.commit()
        assert await log.was_applied("a")
        assert not await log.once(session, "a")
        await session.execute(ledger.write, {"n": 2})
        await session.commit()
    assert [await ledger.times(n) for n in (1, 2)] == [1, 1]


async def test_names_that_a_collation_takes_for_one_are_two(
    ledger: Ledger, log: AsyncOperationLog
) -> None:
    names = ["a", "A", "ä", "a ", "ａ", "a" * 1000, "a" * 1001, "ß", "ss", "\udcff"]
    async with ledger.engine.begin() as connection:
        assert [await log.once(connection, name) for name in names] == [True] * len(names)
        assert not await log.once(connection, "a")


@pytest.mark.parametrize("name", ["", None, 7, b"a"])
async def test_a_name_is_a_text(ledger: Ledger, log: AsyncOperationLog, name: Any) -> None:
    async with ledger.engine.begin() as connection:
        with pytest.raises(ArgumentError, match=r"^an operation is named by a text"):
            await log.once(connection, name)


async def test_nothing_is_noted_in_autocommit(ledger: Ledger, log: AsyncOperationLog) -> None:
    engine = ledger.engine.execution_options(isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        with pytest.raises(TransactionStateError):
            await log.once(connection, "a")
    assert not await log.was_applied("a")


async def test_the_table_is_made_once(log: AsyncOperationLog) -> None:
    await log.create()
    assert not await log.was_applied("a")


@pytest.mark.only_on(*NETWORK, reason="on SQLite whoever writes waits for the one lock of all")
@pytest.mark.parametrize("committed", [True, False])
async def test_who_asks_waits_for_those_who_are_at_it(
    ledger: Ledger, log: AsyncOperationLog, committed: bool
) -> None:
    """An answer that comes too early would be no answer: the COMMIT may be on its way."""
    async with ledger.engine.connect() as connection:
        assert await log.once(connection, "a")
        with pytest.raises(StatementTimeout):
            await log.was_applied("a", timeout=0.2)
        asking = AsyncBeside(log.was_applied, "a")
        await (connection.commit() if committed else connection.rollback())
    assert await asking.result() == committed
