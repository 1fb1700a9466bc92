"""A recording proxy that cuts the line at a statement: before the server sees it, or after.

"After" means that the server has done it and its answer never arrives.  One cut per order; the
connections that follow are served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tests.recorder import Recorder

if TYPE_CHECKING:
    from plainsql.testing.proxy import Line
    from tests.recorder import Wire

When = Literal["before", "after"]


class Cutter(Recorder):
    """Forwards everything until the statement comes that `cut` named."""

    _order: tuple[When, str] | None = None

    def cut(self, when: When, statement: str) -> None:
        """Cut the connection that sends this statement next."""
        self.requests._fired.clear()
        with self._lock:
            self._order = (when, statement)

    @property
    def has_cut(self) -> bool:
        """Whether the order was carried out."""
        return self._order is None and self.requests.has_fired

    def _note(self, line: Line, wire: Wire, data: bytes, statements: list[str]) -> None:
        known = len(statements)
        super()._note(line, wire, data, statements)
        with self._lock:
            if self._order is None or self._order[1] not in statements[known:]:
                return
            when, self._order = self._order[0], None
        self._cut(line, self.requests, answered=when == "after")
