"""A password is nowhere but in the URL's own property: rows S25, S26 and S34 of the matrix.

Each way in which a connect fails is provoked on every database, by threads and by tasks, and all
that a log or a crash reporter could take of it is searched: texts, arguments, the chain, and the
variables of all frames but this test's.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from plainsql import ConnectError, Session, create_engine, make_url
from plainsql.aio import AsyncSession, create_async_engine
from plainsql.errors import Error
from tests.rogues import Rogue, forwards, wants_clear_password, wants_password

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plainsql import URL, Engine

CANARY = "c4nary"
PASSWORD = f"{CANARY} pa'ss\\w%rd€"
TESTS = ("/tests/", "/_pytest/", "/pluggy/", "/asyncio/")


def seen_in(exc: BaseException) -> Iterator[str]:
    """All that can be seen of an exception and of those that led to it."""
    links, reports = [exc], [traceback.TracebackException.from_exception(exc, capture_locals=True)]
    for link in links:
        links += [e for e in (link.__cause__, link.__context__) if e and e not in links]
        yield f"{link} {link!r} {link.args!r} {getattr(link, '__notes__', '')}"
        yield repr({name: deep(value) for name, value in vars(link).items()})
        try:
            yield repr(pickle.dumps(link))
        except TypeError as refusal:
            yield str(refusal)
    for report in reports:
        reports += [r for r in (report.__cause__, report.__context__) if r]
        yield "".join(report.format_exception_only())
        for frame in report.stack:
            if not any(part in frame.filename for part in TESTS):
                yield f"{frame.filename}:{frame.lineno} {frame.locals}"


def deep(value: Any, depth: int = 4) -> str:
    """Return the repr of a value, and of what it holds."""
    inner = getattr(value, "__dict__", None) if depth else None
    return f"{value!r} " + " ".join(deep(item, depth - 1) for item in (inner or {}).values())


def assert_hidden(*texts: str) -> None:
    for text in texts:
        for shown in (CANARY, CANARY.encode().hex()):
            at = text.find(shown)
            assert at < 0, text[max(0, at - 200) : at + 50]


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Everything that anybody logs, from DEBUG on, without the password."""
    with caplog.at_level(logging.DEBUG):
        for name in ("plainsql", "psycopg", "pymysql", "asyncio"):
            caplog.set_level(logging.DEBUG, name)
        yield
    assert_hidden(caplog.text, *[f"{record.args} {vars(record)}" for record in caplog.records])


# -- a connect that fails ------------------------------------------------------------------------


def failing(url: str) -> dict[str, tuple[URL, dict[str, Any]]]:
    """URLs, and options of the engine, with which no connection comes about."""
    right = make_url(url)
    if right.get_backend_name() == "sqlite":
        return {}
    wrong = right.set(password=PASSWORD)
    slow = {"connect_timeout": 0.05}
    cases: dict[str, tuple[URL, dict[str, Any]]] = {
        "password": (wrong, {}),
        "user": (wrong.set(username="nobody"), {}),
        "database": (wrong.set(database="nothing"), {}),
        "refused": (wrong.set(port=1), {}),
        "no such host": (wrong.set(host="nowhere.invalid"), {}),
        "no answer": (wrong.set(host="192.0.2.1"), slow),
        "connect_args": (right, {"connect_args": {"password": PASSWORD}}),
        "unknown connect_args": (wrong, {"connect_args": {"nonsense": 1}}),
        "wrong connect_args": (wrong, {"connect_args": {"port": "x", "host": object()}}),
        "password of no type": (right, {"connect_args": {"password": [PASSWORD]}}),
        "no TLS": (wrong.set(host="0.0.0.0"), {}),  # noqa: S104 - a client's
    }
    if right.get_backend_name() == "postgresql":
        cases["no root certificate"] = (
            wrong.update_query_dict({"sslmode": "verify-full", "sslrootcert": "/no/such"}),
            {},
        )
        cases["two hosts"] = (wrong.set(host="localhost", port=1), {})
        cases["conninfo"] = (right, {"connect_args": {"conninfo": f"password={PASSWORD} ="}})
    else:
        cases["no root certificate"] = (wrong.update_query_dict({"ssl_ca": "/no/such"}), {})
        cases["charset"] = (wrong, {"connect_args": {"charset": "nonsense"}})
    return cases


CASES = ["password", "user", "database", "refused", "no such host", "no answer", "connect_args"]
CASES += ["unknown connect_args", "wrong connect_args", "password of no type", "no TLS"]
CASES += ["no root certificate", "two hosts", "conninfo", "charset"]


@pytest.mark.only_on("postgresql", "mysql", "mariadb", reason="SQLite has no password")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("way", ["thread", "task"])
def test_s25_a_failed_connect_shows_no_password(url: str, case: str, way: str) -> None:
    cases = failing(url)
    if case not in cases:
        assert case in {"two hosts", "conninfo", "charset"}
        return
    place, options = cases[case]
    exc = (by_thread if way == "thread" else by_task)(place, options)
    assert exc is not None
    assert_hidden(*seen_in(exc))


def by_thread(url: URL, options: dict[str, Any]) -> BaseException | None:
    engine = create_engine(url, **options)
    try:
        engine.connect().close()
    except Exception as exc:  # noqa: BLE001 - whatever it is
        return exc
    finally:
        engine.dispose()
    return None


def by_task(url: URL, options: dict[str, Any]) -> BaseException | None:
    async def run() -> BaseException | None:
        engine = create_async_engine(url, **options)
        try:
            await (await engine.connect()).close()
        except Exception as exc:  # noqa: BLE001 - whatever it is
            return exc
        finally:
            await engine.dispose()
        return None

    return asyncio.run(run())


@pytest.mark.parametrize("kind", ["postgresql", "mysql", "mariadb"])
def test_s25_nor_does_one_that_a_rogue_lets_fail(kind: str) -> None:
    talk = wants_clear_password if kind == "postgresql" else wants_password(b"nonsense")
    with Rogue(talk) as rogue:
        url = make_url(f"{kind}://app@127.0.0.1:{rogue.port}/d").set(password=PASSWORD)
        exc = by_thread(url, {})
    assert exc is not None
    assert_hidden(*seen_in(exc))


def test_s25_an_interrupted_connect_shows_none_either() -> None:
    """Ctrl-C while PyMySQL logs in, as a crash reporter would see it."""

    def interrupt(**_: Any) -> None:
        raise KeyboardInterrupt

    url = make_url("mysql://app@127.0.0.1/d").set(password=PASSWORD)
    engine = create_engine(url)
    dialect: Any = engine.dialect
    dialect._connect = interrupt
    with pytest.raises(KeyboardInterrupt) as caught:
        engine.connect()
    assert_hidden(*seen_in(caught.value))


@pytest.mark.only_on("postgresql", "mysql", "mariadb", reason="SQLite has no password")
def test_s25_a_cancel_that_fails_shows_none_either(url: str) -> None:
    """It takes a connection of its own, which is refused here."""
    right = make_url(url)
    with Rogue(forwards(right.port or 0)) as proxy:
        engine = create_engine(right.set(port=proxy.port))
        with engine.connect() as connection:
            connection.scalar("SELECT 1")
            proxy.hang_up()
            with pytest.raises(ConnectError) as caught:
                connection.cancel()
        engine.dispose()
    password = right.password or ""
    for shown in seen_in(caught.value):
        assert repr(password) not in shown
        assert repr(password.encode()) not in shown


# -- what is refused before ----------------------------------------------------------------------

#: With a password at its place, and something wrong elsewhere.
REFUSED = [
    "postgres://app:{}@h/d",
    "oracle://app:{}@h/d",
    "mysql+nothing://app:{}@h/d",
    "postgresql://app:{}@h/d?options=x",
    "mysql://app:{}@h/d?charset=gbk",
    "mysql://app:{}@h@h/d",
    "mysql://app:{}@h:99999/d",
    "sqlite://app:{}@h/d",
    "mysql://app:%FF{}@h/d",
    "mysql://app@h/d?password={}",
]


@pytest.mark.parametrize("text", REFUSED)
@pytest.mark.parametrize("make", [create_engine, create_async_engine])
def test_s25_an_engine_that_is_refused_shows_none(text: str, make: Callable[..., Any]) -> None:
    with pytest.raises(Error) as caught:
        make(text.format(CANARY))
    assert_hidden(*seen_in(caught.value))


@pytest.mark.parametrize(
    "options",
    [{"pool_size": -1}, {"nonsense": 1}, {"connect_args": [CANARY]}, {"poolclass": 3}, {"echo": 2}],
    ids=str,
)
def test_s25_nor_one_whose_options_are(options: dict[str, Any]) -> None:
    url = f"mysql://app:{CANARY}@127.0.0.1/d"
    args = {"connect_args": {"password": CANARY}}
    with pytest.raises((Error, TypeError)) as caught:
        create_engine(url, **(args | options))
    assert_hidden(*seen_in(caught.value))


# -- what is made --------------------------------------------------------------------------------


@pytest.mark.only_on("postgresql", "mysql", "mariadb", reason="SQLite has no password")
def test_s25_no_object_of_ours_shows_it(url: str) -> None:
    """The driver's own connection is the driver's: psycopg's `info` and PyMySQL's tell it."""
    right = make_url(url)
    password = right.password or ""
    engine = create_engine(right, connect_args={"password": password})
    session = Session(engine)
    session.execute("SELECT 1")
    connection = session.connection()
    texts = [deep(each) for each in (right, engine, engine.pool, connection, session)]
    texts += [deep(engine.pool.status()), str(vars(engine)), str(vars(engine.pool))]
    slots = [name for cls in type(connection).__mro__ for name in getattr(cls, "__slots__", ())]
    assert "_engine" in slots
    texts += [repr(getattr(connection, name, None)) for name in slots]
    session.close()
    engine.dispose()
    for text in texts:
        assert repr(password) not in text
        assert f":{password}@" not in text


# -- S34 -----------------------------------------------------------------------------------------


def refuses(thing: Any) -> None:
    for how in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="can not be pickled or copied") as caught:
            how(thing)
        assert_hidden(*seen_in(caught.value))


def test_s34_what_holds_connections_is_not_pickled(engine: Engine) -> None:
    session = Session(engine)
    session.execute("SELECT 1")
    connection = session.connection()
    with connection.begin_nested() as savepoint:
        for thing in (engine, engine.pool, session, connection, savepoint):
            refuses(thing)
    with connection.stream("SELECT 1") as stream:
        refuses(stream)
    with engine.raw_connection() as raw:
        refuses(raw)
    session.close()


async def test_s34_so_it_is_for_tasks(url: str) -> None:
    engine = create_async_engine(url)
    async with AsyncSession(engine) as session:
        connection = await session.connection()
        for thing in (engine, engine.pool, session, connection):
            refuses(thing)
    await engine.dispose()


def test_s34_a_url_with_a_password_is_not_pickled_and_one_without_is() -> None:
    url = make_url(f"mysql://app:{CANARY}@h/d")
    with pytest.raises(TypeError) as caught:
        pickle.dumps({"url": url})
    assert_hidden(*seen_in(caught.value))
    plain = make_url("mysql://app@h/d?charset=ascii")
    assert pickle.loads(pickle.dumps(plain)) == plain  # noqa: S301 - our own


def test_s34_rows_are_pickled_as_plain_data(engine: Engine) -> None:
    with engine.connect() as connection:
        row = connection.execute("SELECT 1 AS a, :b AS b", {"b": "x"}).one()
    data = pickle.dumps(row)
    again = pickle.loads(data)  # noqa: S301 - our own
    assert (again, again.a, again.b) == (row, 1, "x")
    assert b"plainsql" in data
    assert b"Engine" not in data
    assert b"Connection" not in data


class Bomb:
    def __reduce__(self) -> Any:
        return (open, ("/tmp/plainsql-was-here", "w"))  # noqa: S108 - never made


def test_s34_nothing_from_a_database_is_unpickled(engine: Engine) -> None:
    bomb = pickle.dumps(Bomb())
    with engine.connect() as connection:
        found = connection.scalar("SELECT :b", {"b": bomb})
    assert bytes(found) == bomb


def test_s34_no_module_of_ours_can_unpickle() -> None:
    from pathlib import Path

    root = Path(__file__).resolve().parents[2]
    for folder in ("src", "dialects"):
        for path in (root / folder).rglob("*.py"):
            source = path.read_text("utf-8")
            for word in ("import pickle", "import marshal", "import shelve", "pickle.load"):
                assert word not in source, path
