"""The stack of a transaction: what is open, what is refused, what heals."""

from __future__ import annotations

import pytest

from plainsql.errors import TransactionStateError
from plainsql.nesting import Nesting, Scope


def begun(*savepoints: str) -> tuple[Nesting, list[Scope]]:
    """A transaction that stands on the server, with these savepoints, innermost last."""
    nesting = Nesting()
    scopes = [Scope(None), *map(Scope, savepoints)]
    nesting.enter(scopes[0])
    nesting.scopes += scopes[1:]
    nesting.open = nesting.worked = True
    return nesting, scopes


def refused(nesting: Nesting) -> str:
    with pytest.raises(TransactionStateError) as caught:
        nesting.require_usable()
    return str(caught.value)


# -- scopes ------------------------------------------------------------------------------------


def test_a_fresh_stack_is_empty_and_usable() -> None:
    nesting = Nesting()

    nesting.require_usable()
    assert (nesting.scopes, nesting.open, nesting.in_trouble) == ([], False, False)


def test_the_second_begin_is_refused_with_what_to_do() -> None:
    nesting, _ = begun()

    with pytest.raises(TransactionStateError, match=r"already begun .* use begin_nested\(\)"):
        nesting.enter(Scope(None))
    assert len(nesting.scopes) == 1


def test_savepoints_within_a_stack_have_names_of_their_own() -> None:
    nesting, _ = begun()

    for name in ("plainsql_1", "plainsql_2", "plainsql_3"):
        assert nesting.next_savepoint() == name
        nesting.scopes.append(Scope(name))


def test_a_name_is_free_again_once_its_savepoint_is_left() -> None:
    nesting, (_, savepoint) = begun("plainsql_1")

    nesting.leave(savepoint)
    assert nesting.next_savepoint() == "plainsql_1"


def test_only_the_outermost_scope_is_the_root() -> None:
    nesting, scopes = begun("plainsql_1", "plainsql_2")

    assert [nesting.is_root(scope) for scope in scopes] == [True, False, False]


def test_leaving_a_savepoint_ends_it_and_those_within_it() -> None:
    nesting, (root, outer, middle, inner) = begun("plainsql_1", "plainsql_2", "plainsql_3")

    nesting.leave(middle)
    assert nesting.scopes == [root, outer]
    assert [s.is_active for s in (root, outer, middle, inner)] == [True, True, False, False]


@pytest.mark.parametrize(("name", "what"), [(None, "transaction"), ("s_1", "savepoint s_1")])
def test_a_scope_that_ended_is_refused_by_what_it_was(name: str | None, what: str) -> None:
    nesting, _ = begun()
    scope = Scope(name)

    scope.is_active = False
    with pytest.raises(TransactionStateError, match=f"^this {what} has ended$"):
        nesting.require_active(scope)


def test_a_scope_of_another_stack_is_refused() -> None:
    nesting, scopes = begun("plainsql_1")
    _, others = begun("plainsql_1")

    for scope in scopes:
        nesting.require_active(scope)
    with pytest.raises(TransactionStateError, match="savepoint plainsql_1 has ended"):
        nesting.require_active(others[1])


def test_clear_ends_every_scope_and_forgets_all_trouble() -> None:
    nesting, scopes = begun("plainsql_1")
    nesting.fail("division by zero")
    nesting.doom("deadlock")

    nesting.clear()
    assert [scope.is_active for scope in scopes] == [False, False]
    assert (nesting.scopes, nesting.open, nesting.worked) == ([], False, False)
    assert (nesting.failed, nesting.doomed, nesting.reason) == (False, False, "")
    nesting.enter(Scope(None))
    nesting.require_usable()


# -- trouble -----------------------------------------------------------------------------------


def test_a_failed_transaction_refuses_statements_and_says_why() -> None:
    nesting, _ = begun()
    nesting.fail("division by zero")

    assert nesting.in_trouble
    assert refused(nesting) == (
        "the transaction failed (division by zero); "
        "roll back to a savepoint, or the transaction, before the next statement"
    )
    assert nesting.open, "the server still holds it"


def test_the_first_failure_is_the_reason() -> None:
    nesting, _ = begun()
    nesting.fail("division by zero")
    nesting.fail("current transaction is aborted")

    assert nesting.reason == "division by zero"


def test_a_rollback_to_a_savepoint_heals_a_failed_transaction() -> None:
    nesting, _ = begun("plainsql_1")
    nesting.fail("division by zero")

    nesting.heal()
    nesting.require_usable()
    assert nesting.reason == ""
    nesting.fail("another")
    assert nesting.reason == "another"


def test_a_doomed_transaction_leaves_only_the_outermost_rollback() -> None:
    nesting, _ = begun("plainsql_1")
    nesting.doom("deadlock")

    assert refused(nesting) == (
        "the transaction is lost (deadlock); "
        "only rollback() of the outermost transaction is possible"
    )
    assert not nesting.open, "nothing is left to roll back on the server"


def test_doom_goes_before_failure() -> None:
    nesting, _ = begun("plainsql_1")
    nesting.fail("division by zero")
    nesting.doom("connection lost")

    assert "is lost (connection lost)" in refused(nesting)


def test_healing_does_not_save_the_doomed() -> None:
    nesting, _ = begun("plainsql_1")
    nesting.doom("deadlock")
    nesting.heal()

    assert nesting.in_trouble
    assert "is lost" in refused(nesting)


# -- commits by the server ---------------------------------------------------------------------


@pytest.mark.parametrize("worked", [True, False], ids=["after work", "at once"])
def test_a_transaction_ended_by_the_server_begins_afresh(worked: bool) -> None:
    nesting, (root,) = begun()
    nesting.worked = worked

    assert nesting.ended_by_server("CREATE committed it") is worked
    assert (nesting.open, nesting.worked, nesting.in_trouble) == (False, False, False)
    nesting.require_active(root)


def test_a_transaction_ended_by_the_server_under_a_savepoint_is_doomed() -> None:
    nesting, _ = begun("plainsql_1")

    assert nesting.ended_by_server("CREATE committed it") is True
    assert "is lost (CREATE committed it)" in refused(nesting)
    assert not nesting.open
