"""The scene of a fault: a table and a connection on the database under test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plainsql import Engine
    from tests.servers import RawConnection


@pytest.fixture
def scene(
    engine: Engine, table_name: str, raw_connect: Callable[[], RawConnection]
) -> Iterator[Scene]:
    """A connection to provoke errors on, and what is needed beside it."""
    scene = Scene(engine, table_name, raw_connect)
    yield scene
    scene.close()
