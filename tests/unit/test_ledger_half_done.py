"""The pool's book where an interrupt came amid a change, and others come before it is mended."""

from __future__ import annotations

import gc
import sys
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from plainsql import ledger
from plainsql.concurrency import tell_dropped
from plainsql.ledger import Claim, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable


class Interrupt(BaseException):
    """What is raised at a line."""


def is_interrupted(line: int, call: Callable[..., Any], *args: Any) -> bool:
    """Make a call, and raise at that line of the book's, counted from the call on."""
    lines = count(1)

    def trace(frame: Any, event: str, _: Any) -> Any:
        if frame.f_code.co_filename != ledger.__file__:
            return None
        if event == "line" and next(lines) == line:
            raise Interrupt
        return trace

    before = sys.gettrace()
    gc.disable()  # no finalizer of another test's pool is to be hit
    sys.settrace(trace)
    try:
        call(*args)
    except Interrupt:
        return True
    finally:
        sys.settrace(before)
        gc.enable()
    return False


def full() -> tuple[Ledger, list[Claim], list[Claim]]:
    """A book of two places, who holds them, and two who wait."""
    book, claims = Ledger(2, 0), [Claim() for _ in range(4)]
    for claim in claims:
        slot = book.take(claim, 0.0)
        if slot is not None:
            book.opened(slot, object(), 0.0, -1)
    return book, claims[:2], claims[2:]


def give_back(book: Ledger, claim: Claim) -> None:
    book.release(claim, 1.0)


def come(book: Ledger, claim: Claim) -> None:
    """A newcomer, who goes again."""
    del claim
    newcomer = Claim()
    book.take(newcomer, 1.0)
    book.abandon(newcomer, 1.0)


@pytest.mark.parametrize("other", [give_back, come])
def test_who_comes_before_it_is_mended_serves_nobody_twice(
    other: Callable[[Ledger, Claim], None],
) -> None:
    for line in count(1):
        book, (mine, theirs), waiting = full()
        was_interrupted = is_interrupted(line, book.release, mine, 1.0)
        other(book, theirs)
        book.abandon(mine, 1.0)
        book.release(theirs, 1.0)
        assert sorted(map(id, (slot.claim for slot in book.slots))) == sorted(map(id, waiting))
        assert all(claim.slot is not None and claim.slot.claim is claim for claim in waiting)
        if not was_interrupted:
            assert line > 10
            return


def test_one_that_is_served_and_was_not_told_does_not_leave_in_vain() -> None:
    for line in count(1):
        book, (mine, _), (first, _) = full()
        was_interrupted = is_interrupted(line, book.release, mine, 1.0)
        book.leave(first)
        holds = any(slot.claim is first for slot in book.slots)
        assert holds == (first.slot is not None)
        if not was_interrupted:
            assert holds
            return


def test_a_connection_is_dropped_while_one_that_came_has_nothing_to_sleep_on_yet() -> None:
    book, _, (first, _) = full()
    assert first.cell is None
    tell_dropped(SimpleNamespace(ledger=book))
