"""The failure model: each fault is provoked on the live server, and means what `events` says.

The table of `docs/guides/failures.md` is written by this test from what it saw: with
PLAINSQL_WRITE_FAILURES=1 it renews the page, else it fails where the page is stale.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from plainsql import errors
from plainsql.errors import DBAPIError
from tests.faults import page
from tests.faults.events import DEVIATIONS, EVENTS, SIGNALLED, VARIES
from tests.faults.grounds import missing
from tests.servers import Unavailable

if TYPE_CHECKING:
    from tests.faults.events import Event
    from tests.faults.scene import Scene

#: Nothing on a server leads to these.
UNPROVOKED = {
    errors.DBAPIError: "a base class",
    errors.DatabaseError: "a base class",
    errors.OperationalError: "a base class, for codes that no table knows",
    errors.IntegrityError: "a base class, for codes that no table knows",
    errors.InterfaceError: "for drivers that are used wrongly, which plainsql does not",
}
#: Raised by plainsql itself, without a driver's error behind it.
OWN = (errors.TransactionAborted,)


@pytest.mark.parametrize("event", EVENTS)
def test_a_fault_means_what_the_page_says(scene: Scene, event: str) -> None:
    check(scene, event)


def test_a_fault_of_a_server_means_what_the_page_says(
    own_scene: Scene, broken: tuple[str, str]
) -> None:
    try:
        check(own_scene, broken[0])
    except Unavailable as exc:
        missing(own_scene.kind, exc)


def check(scene: Scene, event: str) -> None:
    """Provoke the fault, look at all of the error and at the connection after it."""
    means, place = EVENTS[event], (event, scene.kind)
    try:
        answer, differs = means.ways[scene.kind](scene), []
    except DBAPIError as error:
        check_error(error, scene)
        differs = differences(error, means)
        state = state_of_the_connection(scene, means)
        differs += [] if state == means.connection else [state]
        answer = told(error, differs)
    named = place in DEVIATIONS
    assert named if differs else not named or place in VARIES, f"{place}: {answer} {differs}"
    page.compare(event, scene.kind, answer)


def check_error(error: DBAPIError, scene: Scene) -> None:
    own = isinstance(error, OWN)
    assert own or isinstance(error.__cause__, scene.engine.dialect.driver_error)
    assert not (own and error.__cause__)
    assert error.statement == scene.statement
    assert error.statement is None or f"[SQL: {error.statement}]" in str(error)
    assert "[parameters" not in str(error)


def differences(error: DBAPIError, means: Event) -> list[str]:
    """In which words an error differs from what its fault means everywhere."""
    words = [f"`{type(error).__name__}`"] if type(error) is not means.cls else []
    if error.outcome != means.outcome:
        words.append(f"`{error.outcome}`")
    if error.retryable != means.retryable:
        words.append("retryable" if error.retryable else "not retryable")
    return words


def state_of_the_connection(scene: Scene, means: Event) -> str:
    """After a rollback the same connection serves on; or it was lost, and another one does."""
    scene.mend()
    if means.connection == "none":
        return "none"
    connection = scene.connection
    try:
        connection.rollback()
    except errors.Disconnected:  # only now the server hung up
        assert means.connection == "lives"
    assert connection.scalar("SELECT 1") == 1
    return "lives" if connection.connection is scene.raw else "lost"


def told(error: DBAPIError, differs: list[str]) -> str:
    """An error in the words of a cell."""
    code = f"`{error.code}`" if error.code else "no code"
    phase = getattr(error, "phase", None)
    return " ".join([code, *([phase] if phase else []), *differs])


def test_the_page_holds_the_model_and_nothing_else() -> None:
    text = page.PAGE.read_text("utf-8")
    assert text.partition(page.BEGIN)[2] == page.written(page.cells()), page.STALE


def test_each_fault_was_met_on_each_database() -> None:
    known = page.cells()
    empty = [(event, kind) for event in EVENTS for kind, cell in known[event].items() if not cell]
    assert not empty


def test_what_is_named_is_there() -> None:
    for event, kind in (*DEVIATIONS, *SIGNALLED, *VARIES):
        assert kind in EVENTS[event].ways


def test_each_class_of_driver_errors_is_provoked_or_named() -> None:
    provoked = {event.cls for event in EVENTS.values()}
    assert provoked.isdisjoint(UNPROVOKED)
    assert provoked | set(UNPROVOKED) == classes(errors.DBAPIError)


def classes(cls: type[DBAPIError]) -> set[type[DBAPIError]]:
    """A class and all below it."""
    below = (classes(sub) for sub in cls.__subclasses__() if sub.__module__ == errors.__name__)
    return {cls}.union(*below)
