"""The rows of MySQL's protocol, passed over without being made: pure, and quick.

What is on the wire when a server stops may be hundreds of thousands of rows, and PyMySQL takes ten
times as long for each.
"""

from __future__ import annotations

#: What a packet begins with that ends the rows; rows themselves begin with no ERROR, and with EOF
#: only where they are long.
ERROR, EOF = 0xFF, 0xFE
SHORT = 9
#: A packet of this size is continued by the next one.
LONGEST = 0xFFFFFF


class OutOfStepError(Exception):
    """What comes is not what the protocol says."""


class RowSkipper:
    """Finds the packet that ends the rows, in what comes from the server a piece at a time.

    `sequence` is the number of the next packet.
    """

    def __init__(self, sequence: int) -> None:
        self._sequence = sequence
        self._rest = b""
        self._at = 0  # where the next packet begins, counted from the rest
        self._goes_on = False

    def feed(self, piece: bytes) -> bytes | None:
        """Return the last packet once it is there; OutOfStepError says that it never will be."""
        rest = self._rest + piece
        at, sequence, goes_on = self._at, self._sequence, self._goes_on
        last, end = None, len(rest) - 4
        while at < end:
            size = rest[at] | rest[at + 1] << 8 | rest[at + 2] << 16
            if rest[at + 3] != sequence:
                raise OutOfStepError(f"packet {sequence} is missing")
            kind = rest[at + 4]
            if kind >= EOF and not goes_on and (kind == ERROR or size < SHORT):
                last = _only(rest[at + 4 :], size)
                break
            at += 4 + size
            sequence = (sequence + 1) & 0xFF
            goes_on = size == LONGEST
        self._sequence, self._goes_on = sequence, goes_on
        self._rest = rest[at:]
        self._at = max(0, at - len(rest))
        return last


def _only(rest: bytes, size: int) -> bytes | None:
    """Return what must be the last packet, or None if a part of it is yet to come."""
    if len(rest) > size:
        raise OutOfStepError("something follows the last packet")
    return rest if len(rest) == size else None
