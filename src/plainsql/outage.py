"""How soon a server that was lost, or does not let anybody in, is tried again.

Floor 2: pure; the pool brings the time, in monotonic seconds, and the chance.
"""

from __future__ import annotations

#: The pause between two connects while there is trouble: at first, and at most.
FIRST, LONGEST = 0.05, 0.5
#: So long after the last trouble, connects need no pause any more.
CALM = 1.0
FOREVER = float("inf")


class Gate:
    """Lets connects through one at a time, and 20 in a second at most, while there is trouble.

    Who was held back then goes on being so, lest all of them come at once when it is over.
    """

    __slots__ = ("_calm", "_held", "_next", "_pause", "_trying")

    def __init__(self) -> None:
        self._pause = FIRST
        self._calm = float("-inf")  # when all is well again
        self._next = float("-inf")  # when the next one may try
        self._held: set[object] = set()  # who was told to ask again
        self._trying: object = None  # who was let through and has not told yet

    def admit(self, now: float, who: object) -> float:
        """Return 0.0 if one may connect now, or the seconds after which to ask again.

        Who was let through must tell: by `opened` or `failed`, or by `left`.
        """
        if now >= self._calm and who not in self._held:
            return 0.0
        if self._trying is not None or now < self._next:
            self._held.add(who)
            return self._next - now if self._trying is None else FIRST
        self._held.discard(who)
        self._next = now + FIRST
        self._trying = who
        return 0.0

    def opened(self, now: float) -> None:
        """A connect succeeded: the others may follow, a little apart."""
        self._trying = None
        self._pause = FIRST
        if self._calm == FOREVER:
            self._calm = now + CALM

    def failed(self, now: float, chance: float) -> None:
        """A connect failed; `chance` is random, between 0 and 1."""
        self._trying = None
        self._calm = FOREVER
        self._next = now + FIRST + (self._pause - FIRST) * chance
        self._pause = min(self._pause * 2, LONGEST)

    def bequeath(self, who: object, heir: object) -> None:
        """Another one will tell in the place of who was let through."""
        if self._trying is who:
            self._trying = heir

    def left(self, who: object) -> None:
        """Nobody knows what became of a connect of theirs, if there was one."""
        self._held.discard(who)
        if self._trying is who:
            self._trying = None

    def lost(self, now: float) -> None:
        """A connection was found dead; there may be more of them."""
        self._calm = max(self._calm, now + CALM)
