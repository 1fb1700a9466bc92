"""A recording proxy that cuts the line at a statement: before the server sees it, or after.

"After" means that the server has done it and its answer never arrives.  One cut per order; the
connections that follow are served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from plainsql.testing.proxy import Order
from tests.recorder import Recorder

if TYPE_CHECKING:
    from plainsql.testing.proxy import Line
    from tests.recorder import Wire

When = Literal["before", "after"]


class Cutter(Recorder):
    """Forwards everything until the statement comes that `cut` named."""

    _statement: str | None = None
    _cut: Order | None = None

    def cut(self, when: When, statement: str) -> None:
        """Cut the connection that sends this statement next."""
        with self._lock:
            self._statement = statement
            self._cut = Order("cut" if when == "before" else "answer")

    @property
    def has_cut(self) -> bool:
        """Whether the order was carried out."""
        return self._cut is not None and self._cut.fired.is_set()

    def _note(self, line: Line, wire: Wire, data: bytes, statements: list[str]) -> None:
        known = len(statements)
        super()._note(line, wire, data, statements)
        with self._lock:
            if self._cut is None or self._statement not in statements[known:]:
                return
            order, self._statement = self._cut, None
        line.obey(self.requests, order)
