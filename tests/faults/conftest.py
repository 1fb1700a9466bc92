"""The scene of a fault: a table and a connection on the database under test, or on one to break."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest

import plainsql
from tests import servers
from tests.faults.breaking import Breaking
from tests.faults.events import EVENTS
from tests.faults.grounds import Grounds, missing
from tests.faults.scene import Scene
from tests.servers import KINDS, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plainsql import Engine
    from tests.servers import RawConnection
    from tests.throwaway import Throwaway


@pytest.fixture
def scene(
    engine: Engine, table_name: str, raw_connect: Callable[[], RawConnection]
) -> Iterator[Scene]:
    """A connection to provoke errors on, and what is needed beside it."""
    scene = Scene(engine, table_name, raw_connect)
    yield scene
    scene.close()


@pytest.fixture(scope="session")
def grounds() -> Iterator[Grounds]:
    """The servers that may be broken."""
    grounds = Grounds()
    yield grounds
    grounds.close()


@pytest.fixture
def own_scene(broken: tuple[str, str], grounds: Grounds) -> Iterator[Scene]:
    """A scene on a server of its own, for an event that breaks it."""
    event, kind = broken
    way = EVENTS[event].ways[kind]
    assert isinstance(way, Breaking)
    try:
        server, written, place = _servers(grounds, kind, way.where)
    except Unavailable as exc:
        missing(kind, exc)
    table = f"t{secrets.token_hex(4)}"
    opened: list[RawConnection] = []

    def connect() -> RawConnection:
        opened.append(servers.connect(written.url))
        return opened[-1]

    engine = plainsql.create_engine(written.url)
    scene = Scene(engine, table, connect, server)
    if way.where == "standby":
        scene.follow(place)
    elif way.where == "pooler":
        scene.by_way_of(place)
    yield scene
    scene.close()
    engine.dispose()
    for connection in opened:
        connection.close()


def _servers(grounds: Grounds, kind: str, where: str) -> tuple[Throwaway, Throwaway, str]:
    """The server to break, the one to write to, and where to connect."""
    if where == "standby":
        primary, standby = grounds.pair()
        return standby, primary, standby.url
    server = grounds.server(kind)
    return server, server, grounds.pooler() if where == "pooler" else server.url


# -- which event runs where ---------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give events that break a server to the tests that take one."""
    if "broken" not in metafunc.fixturenames:
        return
    only = metafunc.config.option.only or KINDS
    pairs = [
        (event, kind)
        for kind in KINDS
        for event, line in EVENTS.items()
        if kind in only and isinstance(line.ways[kind], Breaking)
    ]
    metafunc.parametrize("broken", pairs, ids=[f"{kind}-{event}" for event, kind in pairs])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The events that break a server do not run on the one that others use."""
    left = []
    for item in items:
        callspec = getattr(item, "callspec", None)
        params = callspec.params if callspec else {}
        if not {"event", "database_kind"} <= set(params):
            continue
        ways = EVENTS[params["event"]].ways
        usual = [kind for kind in KINDS if not isinstance(ways[kind], Breaking)]
        if params["database_kind"] not in usual:
            left.append(item)
        elif len(usual) < len(KINDS):
            item.add_marker(pytest.mark.only_on(*usual, reason="it breaks a server elsewhere"))
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if item not in left]
