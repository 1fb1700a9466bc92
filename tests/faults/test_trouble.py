"""Transactions in trouble on live servers: failed, doomed, and ends that fail themselves."""

from __future__ import annotations

from asyncio import CancelledError
from typing import TYPE_CHECKING, Any

import pytest

from plainsql import Session, sessionmaker
from plainsql.errors import (
    CommitUnknown,
    DBAPIError,
    Disconnected,
    IntegrityError,
    LockTimeout,
    TransactionAborted,
    TransactionStateError,
    UniqueViolation,
)
from tests.faults.events import EVENTS
from tests.faults.provoking import closed, deadlock, killed_between, statement

if TYPE_CHECKING:
    from tests.faults.cutter import When
    from tests.faults.scene import Scene

NEW = "INSERT INTO {t} (id, code) VALUES (0, 'new')"
AGAIN = "INSERT INTO {t} (id, code) VALUES (1, 'x')"
NETWORK = ("postgresql", "mysql", "mariadb")
NO_NETWORK = "SQLite has no line to cut"

#: What takes the savepoints away with the transaction.
DOOM = {
    "sqlite": statement("INSERT OR ROLLBACK INTO {t} (id, code) VALUES (1, 'x')"),
    "postgresql": killed_between,
    "mysql": deadlock,
    "mariadb": deadlock,
}


def is_stored(scene: Scene) -> bool:
    """Whether others see the new row."""
    return bool(scene.elsewhere("SELECT count(*) FROM {t} WHERE id = 0"))


def is_there(scene: Scene) -> bool:
    """Whether the connection itself, which must be usable, sees the new row."""
    return bool(scene.connection.scalar(scene.fill("SELECT count(*) FROM {t} WHERE id = 0")))


# -- failed -------------------------------------------------------------------------------------


@pytest.mark.only_on("postgresql", reason="elsewhere a transaction goes on after an error")
def test_a_failed_transaction_refuses_statements_and_says_why(scene: Scene) -> None:
    with pytest.raises(UniqueViolation):
        scene.run(AGAIN)
    with pytest.raises(
        TransactionStateError, match=r"failed \(duplicate key [\s\S]*; roll back"
    ) as caught:
        scene.run("SELECT 1")
    assert caught.value.__cause__ is None
    scene.connection.rollback()
    assert scene.connection.scalar("SELECT 1") == 1


@pytest.mark.only_on("postgresql", reason="elsewhere a transaction goes on after an error")
def test_the_commit_of_a_failed_transaction_rolls_back_and_says_so(scene: Scene) -> None:
    scene.prepare(NEW)
    with pytest.raises(UniqueViolation):
        scene.run(AGAIN)
    with pytest.raises(TransactionAborted, match="rolled back: duplicate key"):
        scene.connection.commit()
    assert not scene.connection.in_transaction()
    assert not is_stored(scene)


@pytest.mark.only_on("postgresql", reason="elsewhere a transaction goes on after an error")
def test_a_block_whose_error_was_swallowed_does_not_end_as_if_nothing_was(scene: Scene) -> None:
    with pytest.raises(TransactionAborted), scene.engine.begin() as connection:
        connection.execute(scene.fill(NEW))
        with pytest.raises(UniqueViolation):
            connection.execute(scene.fill(AGAIN))
    assert not is_stored(scene)


@pytest.mark.only_on("mysql", "mariadb", reason="elsewhere nothing or all of it is left")
def test_a_lock_timeout_undoes_its_statement_and_no_more(scene: Scene) -> None:
    scene.prepare(NEW)
    with pytest.raises(LockTimeout) as caught:
        EVENTS["a lock that does not come free in time"].ways[scene.kind](scene)
    assert (caught.value.code, caught.value.outcome) == ("1205", "not_applied")
    assert is_there(scene)
    scene.connection.commit()
    assert is_stored(scene)


# -- doomed -------------------------------------------------------------------------------------


def test_a_doomed_transaction_accepts_only_the_rollback_of_all(scene: Scene) -> None:
    scene.prepare(NEW)
    savepoint = scene.connection.begin_nested()
    with pytest.raises(DBAPIError):
        DOOM[scene.kind](scene)
    with pytest.raises(TransactionStateError, match="the transaction is lost"):
        scene.run("SELECT 1")
    with pytest.raises(TransactionStateError, match="the transaction is lost"):
        savepoint.rollback()
    scene.connection.rollback()
    assert not savepoint.is_active
    assert not is_there(scene)


def test_the_commit_of_a_doomed_transaction_stores_nothing_and_says_so(scene: Scene) -> None:
    scene.prepare(NEW)
    scene.connection.begin_nested()
    with pytest.raises(DBAPIError):
        DOOM[scene.kind](scene)
    with pytest.raises(TransactionAborted, match="rolled back: ") as caught:
        scene.connection.commit()
    assert caught.value.__cause__ is None
    assert not scene.connection.in_transaction()
    assert not is_there(scene)


def test_what_dooms_leaves_the_blocks_as_it_was_raised(scene: Scene) -> None:
    scene.connection.rollback()
    raised: list[DBAPIError] = []
    with pytest.raises(DBAPIError) as caught, scene.connection.begin():
        scene.prepare(NEW)
        with scene.connection.begin_nested():
            try:
                DOOM[scene.kind](scene)
            except DBAPIError as exc:
                raised.append(exc)
                raise
    assert caught.value is raised[0]
    assert not hasattr(caught.value, "__notes__")
    assert not is_there(scene)


def test_a_doomed_savepoint_that_is_swallowed_dooms_the_block_around_it(scene: Scene) -> None:
    scene.connection.rollback()
    with pytest.raises(TransactionAborted), scene.connection.begin():
        scene.prepare(NEW)
        with pytest.raises(DBAPIError), scene.connection.begin_nested():
            DOOM[scene.kind](scene)
    assert not is_there(scene)


@pytest.mark.only_on(*NETWORK, reason="SQLite has no session that others could kill")
def test_a_savepoint_that_can_not_be_released_dooms_the_transaction(scene: Scene) -> None:
    scene.prepare(NEW)
    session = scene.session
    with pytest.raises(Disconnected) as caught, scene.connection.begin_nested():
        scene.kill(session)
    assert (caught.value.outcome, caught.value.retryable) == ("not_applied", True)
    with pytest.raises(TransactionStateError, match="the transaction is lost"):
        scene.run("SELECT 1")
    with pytest.raises(TransactionAborted):
        scene.connection.commit()
    assert not is_there(scene)


# -- what leaves a block ------------------------------------------------------------------------


class Fatal(BaseException):
    """Nobody's error: how some frameworks end a task."""


KINDS = [ValueError, Fatal, KeyboardInterrupt, SystemExit, GeneratorExit, CancelledError]


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_leaves_a_block_rolls_back_and_arrives_as_it_was(
    scene: Scene, kind: type[BaseException]
) -> None:
    scene.connection.rollback()
    new = scene.fill(NEW)
    blocks: list[Any] = [
        scene.engine.begin,
        scene.connection.begin,
        scene.connection.begin_nested,
        scene.engine.connect,
        lambda: Session(scene.engine),
        sessionmaker(scene.engine).begin,
    ]
    for block in blocks:
        mine = kind()
        with pytest.raises(kind) as caught, block() as owner:
            getattr(owner, "execute", scene.connection.execute)(new)
            raise mine
        assert caught.value is mine
        assert not hasattr(mine, "__notes__")
        scene.connection.rollback()
        assert not is_stored(scene)


@pytest.mark.parametrize("kind", KINDS)
def test_a_failing_rollback_hides_none_of_them(scene: Scene, kind: type[BaseException]) -> None:
    scene.connection.rollback()
    mine = kind()
    with pytest.raises(kind) as caught, scene.connection.begin():
        scene.prepare(NEW)
        scene.raw.close()
        raise mine
    check_noted(scene, caught.value, mine)


# -- a rollback that fails ----------------------------------------------------------------------


class Mine(Exception):
    """The user's own."""


def test_a_failing_rollback_is_a_note_on_the_users_exception(scene: Scene) -> None:
    scene.connection.rollback()
    mine = Mine()
    with pytest.raises(Mine) as caught, scene.connection.begin():
        scene.prepare(NEW)
        scene.raw.close()
        raise mine
    check_noted(scene, caught.value, mine)


@pytest.mark.only_on(*NETWORK, reason=NO_NETWORK)
def test_a_line_cut_at_rollback_is_a_note_on_the_users_exception(scene: Scene) -> None:
    cutter = scene.behind_a_cutter()
    scene.connection.rollback()
    mine = Mine()
    with pytest.raises(Mine) as caught, scene.connection.begin():
        scene.prepare(NEW)
        cutter.cut("before", "ROLLBACK")
        raise mine
    assert cutter.has_cut
    check_noted(scene, caught.value, mine)


@pytest.mark.only_on(*NETWORK, reason=NO_NETWORK)
def test_a_savepoint_that_can_not_be_rolled_back_dooms_and_is_a_note(scene: Scene) -> None:
    cutter = scene.behind_a_cutter()
    scene.prepare(NEW)
    mine = Mine()
    with pytest.raises(Mine) as caught, scene.connection.begin_nested() as savepoint:
        cutter.cut("before", f"ROLLBACK TO SAVEPOINT {savepoint.name}")
        raise mine
    assert cutter.has_cut
    with pytest.raises(TransactionAborted):
        scene.connection.commit()
    check_noted(scene, caught.value, mine)


def check_noted(scene: Scene, exc: BaseException, mine: BaseException) -> None:
    assert exc is mine
    (note,) = exc.__notes__
    assert note.startswith("plainsql: the rollback failed too: ")
    assert not is_there(scene)
    assert scene.connection.connection is not scene.raw


def test_a_rollback_that_fails_raises_and_the_connection_is_replaced(scene: Scene) -> None:
    scene.prepare(NEW)
    scene.raw.close()
    with pytest.raises(Disconnected) as caught:
        scene.connection.rollback()
    assert isinstance(caught.value.__cause__, scene.engine.dialect.driver_error)
    assert (caught.value.outcome, caught.value.retryable) == ("not_applied", True)
    assert not scene.connection.in_transaction()
    assert not is_there(scene)


def test_a_begin_that_fails_names_the_statement_that_it_was_for(scene: Scene) -> None:
    scene.connection.rollback()
    scene.raw.close()
    with pytest.raises(Disconnected, match=r"\[SQL: SELECT 4711\]") as caught:
        scene.connection.execute("SELECT 4711")
    assert caught.value.statement == "SELECT 4711"
    scene.connection.rollback()
    assert scene.connection.scalar("SELECT 4711") == 4711


def test_a_lost_connection_is_closed_quietly_and_frees_its_place(scene: Scene) -> None:
    with pytest.raises(Disconnected):
        closed(scene)
    scene.connection.close()
    status = scene.engine.pool.status()
    assert (status.busy, status.idle) == (0, 0)


# -- a commit that fails ------------------------------------------------------------------------


@pytest.mark.only_on(*NETWORK, reason=NO_NETWORK)
@pytest.mark.parametrize(("when", "stored"), [("before", False), ("after", True)])
def test_a_commit_whose_line_is_cut_may_be_stored_or_not(
    scene: Scene, when: When, stored: bool
) -> None:
    """It is the same error in both cases: nobody here can tell."""
    cutter = scene.behind_a_cutter()
    scene.connection.close()
    with pytest.raises(CommitUnknown) as caught, scene.engine.begin() as connection:
        connection.execute(scene.fill(NEW))
        session = connection.scalar(scene.fill(scene.means.session))
        cutter.cut(when, "COMMIT")
    assert cutter.has_cut
    assert (caught.value.outcome, caught.value.retryable) == ("unknown", False)
    assert not hasattr(caught.value, "__notes__")
    scene.until_gone(session)
    assert is_stored(scene) == stored
    assert scene.engine.pool.status().busy == 0


@pytest.mark.only_on("sqlite", "postgresql", reason="no constraint waits for the commit elsewhere")
def test_a_commit_that_a_constraint_refuses_can_be_rolled_back(scene: Scene) -> None:
    scene.prepare(NEW)
    with pytest.raises(IntegrityError) as caught:
        EVENTS["a constraint that the commit looks at"].ways[scene.kind](scene)
    assert caught.value.outcome == "not_applied"
    scene.connection.rollback()
    assert not is_stored(scene)
    assert scene.connection.connection is scene.raw
