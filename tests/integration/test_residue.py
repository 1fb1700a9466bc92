"""What is left in sessions, sync."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests._sync.leaving import *  # noqa: F403

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql import Engine
    from tests.servers import RawConnection


def test_what_a_creator_opened_is_not_reset(
    engine: Engine, raw_connect: Callable[[], RawConnection]
) -> None:
    """What the creator has set after the connect would be gone."""
    raw = engine.dialect.adopt(raw_connect)
    assert not engine.dialect.reset(raw)
