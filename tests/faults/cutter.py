"""A recording proxy that cuts the line at a statement: before the server sees it, or after.

"After" means that the server has done it and its answer never arrives.  One cut per order; the
connections that follow are served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tests.recorder import Recorder

if TYPE_CHECKING:
    from tests.recorder import Wire

When = Literal["before", "after"]


class Cut(OSError):
    """What ends the forwarding."""


class Cutter(Recorder):
    """Forwards everything until the statement comes that `cut` named."""

    _order: tuple[When, str] | None = None
    _answer_is_due = False

    def cut(self, when: When, statement: str) -> None:
        """Cut the connection that sends this statement next."""
        with self._lock:
            self._order = (when, statement)

    @property
    def has_cut(self) -> bool:
        """Whether the order was carried out."""
        with self._lock:
            return self._order is None and not self._answer_is_due

    def _note(self, wire: Wire, data: bytes, statements: list[str]) -> None:
        known = len(statements)
        super()._note(wire, data, statements)
        with self._lock:
            if self._order is None or self._order[1] not in statements[known:]:
                return
            when, self._order = self._order[0], None
            self._answer_is_due = when == "after"
        if when == "before":
            raise Cut

    def _answered(self, _: bytes) -> None:
        with self._lock:
            due, self._answer_is_due = self._answer_is_due, False
        if due:
            raise Cut
