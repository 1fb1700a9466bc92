"""Databases for the tests: one fixture per need, and a report of what ran where.

A test that takes `database_kind` (or any fixture that builds on it) runs once per database.
`PLAINSQL_TEST_REQUIRE=sqlite,postgresql` turns "skipped, none found" into a failure.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

import plainsql
from plainsql import aio
from tests import servers
from tests.servers import KINDS, Finder, Server, Unavailable, Unusable
from tests.tally import Tally, describe

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator
    from pathlib import Path

    from plainsql import Engine
    from plainsql.aio import AsyncEngine
    from tests.servers import RawConnection

settings.register_profile("default", deadline=None)
settings.register_profile("fuzz", max_examples=20_000, deadline=None)
settings.register_profile("model", deadline=None)  # tests/unit/test_ledger_machine.py looks longer
settings.load_profile("default")

_finder = pytest.StashKey[Finder]()
_tally = pytest.StashKey[Tally]()
_required = pytest.StashKey[tuple[str, ...]]()


# -- what a test asks for -----------------------------------------------------------------------


@pytest.fixture(scope="session")
def database_kind(request: pytest.FixtureRequest) -> str:
    """The kind of database this test runs on: sqlite, postgresql, mysql or mariadb."""
    kind: str = request.param
    return kind


@pytest.fixture(scope="session")
def server(database_kind: str, pytestconfig: pytest.Config) -> Server:
    """The database of that kind, found or started at the first need."""
    try:
        return pytestconfig.stash[_finder].find(database_kind)
    except Unusable as exc:
        pytest.fail(str(exc), pytrace=False)
    except Unavailable as exc:
        if database_kind in pytestconfig.stash[_required]:
            pytest.fail(f"{database_kind} is required: {exc}", pytrace=False)
        pytest.skip(f"{database_kind} not found")


@pytest.fixture
def url(server: Server, tmp_path: Path) -> str:
    """A URL to write to: a fresh file on SQLite, elsewhere the same database for all tests."""
    if server.url != "sqlite://":
        return server.url
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture
def raw_connect(url: str) -> Iterator[Callable[[], RawConnection]]:
    """Opens connections by the raw driver, in its autocommit mode; closed after the test."""
    opened: list[RawConnection] = []

    def connect() -> RawConnection:
        opened.append(servers.connect(url))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def table_prefix(url: str) -> Iterator[str]:
    """A prefix of the test's own; tables and views that begin with it are dropped afterwards."""
    prefix = f"t{secrets.token_hex(4)}_"
    yield prefix
    servers.drop_tables(url, prefix)


@pytest.fixture
def table_name(table_prefix: str) -> str:
    """The name of a table that is not there yet and is dropped after the test."""
    return f"{table_prefix}t"


# -- engines on it ------------------------------------------------------------------------------


@pytest.fixture
def make_engine(url: str, table_prefix: str) -> Iterator[Callable[..., Engine]]:
    """Makes engines on the database; they are disposed of before its tables are dropped."""
    del table_prefix
    engines: list[Engine] = []

    def make(**options: Any) -> Engine:
        engines.append(plainsql.create_engine(url, **options))
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture
def engine(make_engine: Callable[..., Engine]) -> Engine:
    """An engine on the database."""
    return make_engine()


@pytest.fixture
async def make_engine_async(
    url: str, table_prefix: str
) -> AsyncIterator[Callable[..., AsyncEngine]]:
    """Makes async engines on the database; disposed of before its tables are dropped."""
    del table_prefix
    engines: list[AsyncEngine] = []

    def make(**options: Any) -> AsyncEngine:
        engines.append(aio.create_async_engine(url, **options))
        return engines[-1]

    yield make
    for engine in engines:
        await engine.dispose()


@pytest.fixture
async def engine_async(make_engine_async: Callable[..., AsyncEngine]) -> AsyncEngine:
    """An async engine on the database."""
    return make_engine_async()


# -- options and collection ---------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("plainsql")
    group.addoption("--url", action="append", default=[], help="a marked database to test on")
    group.addoption(
        "--only", action="append", default=[], choices=KINDS, help="test on this kind only"
    )
    group.addoption("--table", action="store_true", help="a line per test, not per file (as in CI)")


def pytest_configure(config: pytest.Config) -> None:
    wanted = os.environ.get("PLAINSQL_TEST_REQUIRE", "")
    required = tuple(wanted.replace(",", " ").split())
    try:
        for kind in required:
            servers.kind_of(f"{kind}:")
        given = servers.given_urls(config.option.url, os.environ, servers.ROOT / ".env.test")
    except Unusable as exc:
        raise pytest.UsageError(str(exc)) from exc
    config.stash[_required] = required
    config.stash[_finder] = Finder(given)
    config.stash[_tally] = Tally(_kinds(config))


def _kinds(config: pytest.Config) -> list[str]:
    only = config.option.only
    return [kind for kind in KINDS if not only or kind in only]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database_kind" not in metafunc.fixturenames:
        return
    named = (mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if any("database_kind" in str(names) for names in named):
        return
    allowed = _only_on(metafunc.definition)
    kinds = [kind for kind in _kinds(metafunc.config) if kind in allowed]
    metafunc.parametrize("database_kind", kinds, indirect=True, scope="session")


def _only_on(item: Any) -> tuple[str, ...]:
    mark = item.get_closest_marker("only_on")
    if mark is None:
        return KINDS
    if not mark.kwargs.get("reason") or not set(mark.args) <= set(KINDS):
        raise pytest.UsageError(f"{item.nodeid}: only_on takes kinds of {KINDS} and a reason")
    return tuple(mark.args)


def _kind_of(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("database_kind") if callspec else None


# -- the report ---------------------------------------------------------------------------------


def pytest_collection_finish(session: pytest.Session) -> None:
    for item in session.items:
        if kind := _kind_of(item):
            session.config.stash[_tally].expect(item.nodeid, kind, _only_on(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    kind = _kind_of(item)
    if kind and (report.when == "call" or report.outcome != "passed"):
        item.config.stash[_tally].note(item.nodeid, kind, report.outcome)
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    session.config.stash[_finder].stop()
    if exitstatus == pytest.ExitCode.OK and _faults(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _faults(config: pytest.Config) -> list[str]:
    if config.option.collectonly:
        return []
    required = config.stash[_required]
    return list(config.stash[_tally].faults(required))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None]:
    """Comes last, so that nobody overlooks what was not tested."""
    yield
    found = config.stash[_finder].found()
    by_test = config.option.table or bool(os.environ.get("CI"))
    table = list(config.stash[_tally].table(by_file=not by_test))
    if found:
        terminalreporter.section("databases")
        for line in table:
            terminalreporter.line(line)
        for kind in KINDS:
            if kind in found:
                ok = isinstance(found[kind], Server)
                terminalreporter.line(describe(kind, found[kind]), bold=not ok, red=not ok)
    if faults := _faults(config):
        terminalreporter.section("required databases", red=True, bold=True)
        for line in faults:
            terminalreporter.line(line, red=True)
