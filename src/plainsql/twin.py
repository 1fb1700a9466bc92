"""A way to shut a socket from beside, while its driver waits on it.

Floor 3.
"""

from __future__ import annotations


class Twin:
    """A descriptor of the same socket, so that no other one that gets its number can be meant."""

    def __init__(self, fd: int) -> None:
        import _socket

        # in one call of C: an interrupt in between would lose the descriptor
        numbers = map(_socket.dup, (fd,))
        self._socket = next(map(_socket.socket, (-1,), (-1,), (-1,), numbers))

    def shut(self) -> None:
        """Shut the socket, for the driver's descriptor, too."""
        self._socket.shutdown(2)  # SHUT_RDWR

    def close(self) -> None:
        """Close this descriptor, not the driver's."""
        self._socket.close()
