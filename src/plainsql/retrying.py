"""Whether a transaction is tried again, and after how long: what `Engine.run` asks.

Floor 2: pure; time and randomness arrive as arguments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plainsql.errors import ArgumentError, DBAPIError
from plainsql.options import require_number

if TYPE_CHECKING:
    from collections.abc import Callable

#: In seconds: the longest pause after the first failure, which doubles, and the longest of all.
FIRST, LONGEST = 0.02, 1.0


class Attempts:
    """The attempts at one transaction: at most so many, begun before `ends`."""

    def __init__(self, most: int, deadline: float | None, now: float) -> None:
        if type(most) is not int or most < 1:
            raise ArgumentError(f"attempts must be a whole number from 1 on, not {most!r}")
        if deadline is not None:
            require_number("deadline", deadline, 0.001)
        self.most = most
        self.failed: list[DBAPIError] = []
        self._began = now
        self._ends = None if deadline is None else now + deadline

    def left(self, now: float) -> float | None:
        """Return the seconds that are left, not less than a millisecond; None for ever."""
        return None if self._ends is None else max(self._ends - now, 0.001)

    def pause(
        self, error: DBAPIError, now: float, uniform: Callable[[float, float], float]
    ) -> float | None:
        """Return how long to wait before the next attempt; None if there is to be none."""
        self.failed.append(error)
        if not error.retryable or error.outcome != "not_applied":
            return None
        if len(self.failed) >= self.most:
            return None
        pause = uniform(0, min(LONGEST, FIRST * 2 ** (len(self.failed) - 1)))
        if self._ends is not None and now + pause >= self._ends:
            return None
        return pause

    def tell(self, error: DBAPIError, now: float) -> None:
        """Let the last error tell of all attempts."""
        error.attempts = tuple(self.failed)
        if len(self.failed) > 1:
            said = "; ".join(f"{n}. {described(one)}" for n, one in enumerate(self.failed, 1))
            error.add_note(
                f"run() made {len(self.failed)} attempts in {now - self._began:.3f} seconds: {said}"
            )


def described(error: DBAPIError) -> str:
    """Return class and code of an error, for a log or a note."""
    code = f" ({error.code})" if error.code else ""
    return f"{type(error).__name__}{code}"
