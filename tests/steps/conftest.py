"""How far the walks go: `PLAINSQL_STEPS=all` leaves no step out, as `make steps` does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.steps.counting import Tally
from tests.steps.grounds import FakeGround, LiveGround

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers import RawConnection

_tallies = pytest.StashKey[dict[str, Tally]]()


@pytest.fixture(scope="session")
def takes_all() -> bool:
    """Whether every step is taken on every database, by every kind of exception."""
    return os.environ.get("PLAINSQL_STEPS") == "all"


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    """What chooses the steps of a share: the seed that pytest-randomly prints."""
    given = getattr(pytestconfig.option, "randomly_seed", 0)
    return given if isinstance(given, int) else 0


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[Tally]:
    """The test's own count, added to those of the run."""
    tally = Tally()
    yield tally
    kind = request.node.callspec.params.get("database_kind", "fake")
    tallies = request.config.stash.setdefault(_tallies, {})
    tallies.setdefault(kind, Tally()).add(tally)


@pytest.fixture
def fake_ground() -> FakeGround:
    """The fake server."""
    return FakeGround()


@pytest.fixture
def live_ground(
    database_kind: str, url: str, table_name: str, raw_connect: Callable[[], RawConnection]
) -> LiveGround:
    """The database, with a table on it."""
    return LiveGround(database_kind, url, table_name, raw_connect())


def _faults(config: pytest.Config) -> list[str]:
    tallies = config.stash.get(_tallies, {})
    found = ((kind, tally.fault()) for kind, tally in sorted(tallies.items()))
    return [f"{kind}: {fault}" for kind, fault in found if fault is not None]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.OK and _faults(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    tallies = config.stash.get(_tallies, {})
    if not tallies:
        return
    terminalreporter.section("steps")
    for kind, tally in sorted(tallies.items()):
        terminalreporter.line(f"{kind}: {tally}")
    for fault in _faults(config):
        terminalreporter.line(fault, red=True)
