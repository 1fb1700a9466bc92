"""Many parameter sets for one statement: which one is wrong is told before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import plainsql
from plainsql import errors

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def connection() -> Iterator[plainsql.Connection]:
    engine = plainsql.create_engine("sqlite://", strict_parameters=True)
    with engine.connect() as connection:
        connection.execute("CREATE TABLE t (a)")
        yield connection
        connection.rollback()
    engine.dispose()


INSERT = "INSERT INTO t VALUES (:a)"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        pytest.param({"b": 1}, r"'a' is missing; given: 'b' \(in parameter set 2\)$", id="missing"),
        pytest.param({"a": 1, "b": 1}, r"'b' was given too \(in parameter set 2\)$", id="surplus"),
        pytest.param(
            (1,), "^parameter set 2 is of type tuple, not a mapping: give", id="no mapping"
        ),
        pytest.param({"a": {}}, r"is of type dict.* \(in parameter set 2\)$", id="bad value"),
    ],
)
def test_the_wrong_one_of_many_sets_is_told_by_its_number_and_none_is_sent(
    connection: plainsql.Connection, wrong: Any, told: str
) -> None:
    with pytest.raises(errors.ParameterError, match=told):
        connection.execute(INSERT, [{"a": 1}, {"a": 2}, wrong])
    assert connection.scalar("SELECT count(*) FROM t") == 0


def test_sets_of_an_iterator_count_on_over_its_chunks(connection: plainsql.Connection) -> None:
    sets = ({"a": n} if n != 1500 else {"b": n} for n in range(2000))

    with pytest.raises(
        errors.ParameterError,
        match=r"\(in parameter set 1500\)(?: \(.*\))?; 1000 parameter sets were sent before$",
    ):
        connection.execute(INSERT, sets)
    assert connection.scalar("SELECT count(*) FROM t") == 1000


@pytest.mark.parametrize("params", [5, "a", b"a", object()], ids=lambda v: type(v).__name__)
def test_parameters_that_are_neither_a_mapping_nor_several_are_refused(
    connection: plainsql.Connection, params: Any
) -> None:
    with pytest.raises(errors.ParameterError, match="must be a mapping, or an iterable of mapp"):
        connection.execute(INSERT, params)
