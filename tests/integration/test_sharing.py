"""Users of one connection, sync."""

from __future__ import annotations

import gc
from threading import Event
from typing import TYPE_CHECKING, Any
from weakref import ref

import pytest

from plainsql.errors import InterfaceError
from tests._sync.sharing import *  # noqa: F403
from tests._sync.sharing import BOTH, execute
from tests.beside import Beside, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql import Engine
    from tests.gates import Gate


def test_the_refusal_keeps_nothing_of_the_other_threads(
    make_engine: Callable[..., Engine], gate: Gate
) -> None:
    """Before Python 3.13, a look at a frame's variables keeps them until the frame ends."""
    engine = make_engine(pool_size=2, on_connect=gate.prepare)
    held: list[ref[Any]] = []
    refused = Event()

    def stand_by() -> bool:
        connection = engine.connect()
        held.append(ref(connection))
        assert refused.wait(20)
        with pytest.warns(ResourceWarning, match="in stand_by"):
            del connection
        gc.collect()
        return held[0]() is None

    with engine.connect() as shared:
        at_work = Beside(execute, shared, gate.sql)
        until(gate.is_reached)
        standing_by = Beside(stand_by)
        until(lambda: held)
        with pytest.raises(InterfaceError, match=BOTH):
            shared.execute("SELECT 2")
        refused.set()
        assert standing_by.result()
        gate.open()
        assert at_work.result() == 1
