"""The echo log: what was sent, in the order it was sent, and how much of the values it shows."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import pytest

import plainsql
from plainsql import echo, errors
from plainsql.echo import Echo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Make = Callable[..., plainsql.Engine]

HIDDEN = "[...] [parameters hidden: hide_parameters=True]"


@pytest.fixture(autouse=True)
def logger(monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    """The logger as it is before anybody set it up; pytest's own handlers are out of the way."""
    logger = echo.LOGGER
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "parent", None)
    level = logger.level
    logger.setLevel(logging.WARNING)
    yield logger
    logger.setLevel(level)


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    """Tells the lines that were written since it was asked last."""

    def read() -> list[str]:
        return capsys.readouterr().out.splitlines()

    return read


# -- where it goes -----------------------------------------------------------------------------


def test_lines_go_to_standard_output_where_nobody_set_up_logging(
    lines: Callable[[], list[str]],
) -> None:
    Echo(hidden=False).line("BEGIN (implicit)")

    assert lines() == ["BEGIN (implicit)"]


def test_a_second_engine_does_not_double_the_lines(lines: Callable[[], list[str]]) -> None:
    Echo(hidden=False)
    Echo(hidden=False).line("COMMIT")

    assert lines() == ["COMMIT"]


def test_standard_output_is_the_one_of_the_time(
    monkeypatch: pytest.MonkeyPatch, lines: Callable[[], list[str]]
) -> None:
    made = Echo(hidden=False)
    monkeypatch.setattr(sys, "stdout", sys.stderr)
    made.line("COMMIT")

    assert lines() == []


def test_where_logging_is_set_up_its_handlers_get_the_records(
    logger: logging.Logger, lines: Callable[[], list[str]]
) -> None:
    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    records: list[logging.LogRecord] = []
    logger.addHandler(Kept())
    Echo(hidden=False).statement("SELECT '%s'", (1,))

    assert lines() == []
    assert [record.getMessage() for record in records] == ["SELECT '%s'", "[...] (1,)"]
    assert {(record.name, record.levelname) for record in records} == {("plainsql.engine", "INFO")}


def test_a_level_that_shows_more_is_left_as_it_is(logger: logging.Logger) -> None:
    logger.setLevel(logging.DEBUG)
    Echo(hidden=False)

    assert logger.level == logging.DEBUG


# -- what it says ------------------------------------------------------------------------------


def test_a_unit_of_work_is_logged_as_it_is_sent(
    make_engine: Make, lines: Callable[[], list[str]]
) -> None:
    with make_engine(echo=True).begin() as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (:a)", {"a": 1})
        with connection.begin_nested():
            connection.execute("INSERT INTO t VALUES (:a)", [{"a": 2}, {"a": 3}])

    assert lines() == [
        "BEGIN (implicit)",
        "CREATE TABLE t (a)",
        "[...] ()",
        "INSERT INTO t VALUES (?)",
        "[...] (1,)",
        "SAVEPOINT plainsql_1",
        "INSERT INTO t VALUES (?)",
        "[...] [(2,), (3,)]",
        "RELEASE SAVEPOINT plainsql_1",
        "COMMIT",
    ]


def test_a_rollback_and_options_of_the_transaction_are_logged_too(
    make_engine: Make, lines: Callable[[], list[str]]
) -> None:
    engine = make_engine(echo=True).execution_options(read_only=True)
    with engine.connect() as connection:
        connection.execute("SELECT 1")

    assert lines() == [
        "PRAGMA query_only = ON (implicit)",
        "BEGIN (implicit)",
        "SELECT 1",
        "[...] ()",
        "ROLLBACK",
        "PRAGMA query_only = OFF",
    ]


def test_autocommit_begins_nothing(make_engine: Make, lines: Callable[[], list[str]]) -> None:
    with make_engine(echo=True, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute("SELECT 1")

    assert lines() == ["SELECT 1", "[...] ()"]


def test_what_is_refused_before_it_is_sent_is_not_logged(
    make_engine: Make, lines: Callable[[], list[str]]
) -> None:
    with make_engine(echo=True).connect() as connection, pytest.raises(errors.ParameterError):
        connection.execute("SELECT :a", {})

    assert lines() == []


def test_an_engine_without_echo_logs_nothing(
    make_engine: Make, lines: Callable[[], list[str]]
) -> None:
    make_engine(echo=True)
    silent = make_engine()
    with silent.connect() as connection:
        connection.execute("SELECT 1")

    assert lines() == []
    assert not silent.echo


# -- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hide_parameters", "in_log", "in_errors"),
    [
        pytest.param(None, True, False, id="by default"),
        pytest.param(True, False, False, id="hidden"),
        pytest.param(False, True, True, id="shown"),
    ],
)
def test_values_are_shown_where_hide_parameters_lets_them(
    hide_parameters: bool | None,
    in_log: bool,
    in_errors: bool,
    make_engine: Make,
    lines: Callable[[], list[str]],
) -> None:
    engine = make_engine(echo=True, hide_parameters=hide_parameters)
    with engine.connect() as connection, pytest.raises(errors.DBAPIError) as caught:
        connection.execute("SELECT :a FROM nowhere", {"a": "canary"})

    assert ("canary" in str(caught.value)) is in_errors
    assert "SELECT :a FROM nowhere" in str(caught.value)
    assert lines()[:3] == [
        "BEGIN (implicit)",
        "SELECT ? FROM nowhere",
        "[...] ('canary',)" if in_log else HIDDEN,
    ]


def test_hidden_values_are_hidden_in_many_sets_too(
    make_engine: Make, lines: Callable[[], list[str]]
) -> None:
    with make_engine(echo=True, hide_parameters=True).connect() as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (:a)", [{"a": "canary"}])
        connection.execute("SELECT 1 WHERE 'x' IN :a", {"a": ["canary"]})
        connection.exec_driver_sql("SELECT ?", ("canary",))
        connection.rollback()

    told = lines()
    assert "canary" not in "".join(told)
    assert told.count(HIDDEN) == 4
