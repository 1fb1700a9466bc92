"""The table of `docs/guides/errors.md`: each of its lines is provoked on the live server.

A cell of the table is the expectation: the code, or in words what happens instead.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from plainsql import errors
from plainsql.errors import DBAPIError
from tests.faults.events import EVENTS
from tests.servers import KINDS

if TYPE_CHECKING:
    from tests.faults.scene import Scene

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "errors.md"

#: Nothing on a server leads to these yet, or ever.
UNPROVOKED = {
    errors.DBAPIError: "a base class",
    errors.DatabaseError: "a base class",
    errors.OperationalError: "a base class, for codes that no table knows",
    errors.IntegrityError: "a base class, for codes that no table knows",
    errors.InterfaceError: "for drivers that are used wrongly, which plainsql does not",
    errors.StatementTimeout: "for time limits that plainsql sets, and it sets none yet",
}
#: Raised by plainsql itself, without a driver's error behind it.
OWN = (errors.TransactionAborted,)


class Line(NamedTuple):
    """What the page says of an event."""

    cls: str
    outcome: str
    retryable: str
    connection: str
    cells: dict[str, str]


@cache
def lines() -> dict[str, Line]:
    """The event → its line on the page."""
    found: dict[str, Line] = {}
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip().replace("`", "") for cell in line.split("|")[1:-1]]
        if len(cells) == 9 and cells[0] in EVENTS:
            assert cells[0] not in found, f"{cells[0]} stands twice"
            event, cls, outcome, retryable, connection, *rest = cells
            answers = dict(zip(KINDS, rest, strict=True))
            found[event] = Line(cls, outcome, retryable, connection, answers)
    return found


def told(error: DBAPIError, cls: str) -> str:
    """An error in the words of a cell: its code, with what the page's other columns do not say."""
    words = [type(error).__name__] if type(error).__name__ != cls else []
    words.append(error.code or "no code")
    phase = getattr(error, "phase", None)
    return " ".join([*words, phase] if phase else words)


@pytest.mark.parametrize("event", EVENTS)
def test_an_event_is_told_as_the_page_says(scene: Scene, event: str) -> None:
    line = lines()[event]
    try:
        answer = EVENTS[event][scene.kind](scene)
    except DBAPIError as error:
        answer = told(error, line.cls)
        check_error(error, line, scene)
        check_connection(scene, line.connection)
    assert answer in line.cells[scene.kind].split(" or ")  # as versions of a server differ


def check_error(error: DBAPIError, line: Line, scene: Scene) -> None:
    assert isinstance(error, getattr(errors, line.cls))
    assert (error.outcome, error.retryable) == (line.outcome, line.retryable == "yes")
    own = isinstance(error, OWN)
    assert own or isinstance(error.__cause__, scene.engine.dialect.driver_error)
    assert not (own and error.__cause__)
    assert error.statement == scene.statement
    assert error.statement is None or f"[SQL: {error.statement}]" in str(error)
    assert "[parameters" not in str(error)


def check_connection(scene: Scene, state: str) -> None:
    """After a rollback the same connection serves on; or it was lost, and another one does."""
    if state == "none":
        return
    connection = scene.connection
    connection.rollback()
    assert connection.scalar("SELECT 1") == 1
    assert (connection.connection is scene.raw) == (state == "lives")


def test_each_event_stands_on_the_page_and_nothing_else_does() -> None:
    assert list(lines()) == list(EVENTS)
    table = re.findall(
        r"^\| (?!Event)([^|]*) \|(?:[^|]*\|){8}$", PAGE.read_text("utf-8"), re.MULTILINE
    )
    assert table == list(EVENTS)


def test_each_class_of_driver_errors_is_provoked_or_named() -> None:
    provoked = {line.cls for line in lines().values()}
    named = {cls.__name__ for cls in UNPROVOKED}
    assert provoked.isdisjoint(named)
    assert provoked | named == {cls.__name__ for cls in classes(errors.DBAPIError)}


def classes(cls: type[DBAPIError]) -> set[type[DBAPIError]]:
    """A class and all below it."""
    below = (classes(sub) for sub in cls.__subclasses__() if sub.__module__ == errors.__name__)
    return {cls}.union(*below)
