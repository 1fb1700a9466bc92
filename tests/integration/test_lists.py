"""Lists of a million members, on every database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from plainsql import errors

if TYPE_CHECKING:
    from plainsql import Engine


@pytest.mark.slow
def test_a_million_members_are_right_or_refused_before_they_are_sent(engine: Engine) -> None:
    with engine.connect() as connection:
        sql = "SELECT count(*) FROM (SELECT 999999 AS x UNION ALL SELECT 0) t WHERE x IN :ids"
        try:
            assert connection.scalar(sql, {"ids": range(1, 1_000_001)}) == 1
        except errors.ParameterError as exc:
            assert str(exc).startswith("1000000 parameters are more than the ")  # noqa: PT017
        assert connection.scalar("SELECT 1") == 1
