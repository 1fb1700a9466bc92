"""A TCP proxy that forwards bytes untouched and records the statements that a client sends.

`PostgreSQLWire` and `MySQLWire` read what a client says, without a socket; `Recorder` carries the
bytes.  A statement is recorded before the server can see it, so when the client has its answer the
record is there.  What can not be read (TLS, compression, another protocol) is never skipped in
silence: `statements` raises.
"""

from __future__ import annotations

import struct
import threading
from typing import TYPE_CHECKING, Final, Literal, Protocol
from weakref import WeakKeyDictionary

from plainsql.testing.proxy import FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from plainsql.testing.proxy import Line, Way


class Unreadable(Exception):
    """The client says something that the recorder does not understand."""


class Wire(Protocol):
    """Turns the bytes of one client into the statements among them."""

    def feed(self, data: bytes) -> Iterator[str]: ...


# -- PostgreSQL ---------------------------------------------------------------------------------

_PROTOCOL_3: Final = 3
_ASKS_FOR_ENCRYPTION: Final = {80877103, 80877104}  # SSLRequest, GSSENCRequest
_CANCEL: Final = 80877102
_LONGEST_STARTUP: Final = 10_000  # the server's own limit


class PostgreSQLWire:
    """Reads protocol 3: simple queries, and each first Execute of a portal.

    A Parse is remembered and counts when it is executed, by the text it came with.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._started = False
        self._statements: dict[bytes, bytes] = {}
        self._portals: dict[bytes, bytes] = {}

    def feed(self, data: bytes) -> Iterator[str]:
        """Take bytes as they come and give the statements that are complete."""
        self._buffer += data
        while (message := self._next()) is not None:
            kind, body = message
            text = self._read(kind, body)
            if text is not None:
                yield text.decode("utf-8", "surrogateescape")

    def _next(self) -> tuple[bytes, bytes] | None:
        """Cut one message from the buffer; the first ones have no kind."""
        head = 1 if self._started else 0
        if len(self._buffer) < head + 4:
            return None
        (length,) = struct.unpack_from("!I", self._buffer, head)
        if not self._started and length > _LONGEST_STARTUP:
            raise Unreadable("the client speaks TLS or no PostgreSQL: connect with sslmode=disable")
        if len(self._buffer) < head + length:
            return None
        kind, body = bytes(self._buffer[:head]), bytes(self._buffer[head + 4 : head + length])
        del self._buffer[: head + length]
        return kind, body

    def _read(self, kind: bytes, body: bytes) -> bytes | None:
        if not kind:
            self._read_startup(body)
        elif kind == b"Q":
            return _words(body, 1)[0]
        elif kind == b"P":
            name, text = _words(body, 2)
            self._statements[name] = text
        elif kind == b"B":
            portal, name = _words(body, 2)
            self._portals[portal] = self._text_of(name)
        elif kind == b"E":
            return self._portals.pop(_words(body, 1)[0], None)  # a second one fetches on
        elif kind == b"F":
            raise Unreadable("the client calls a function by the fast path")
        return None

    def _read_startup(self, body: bytes) -> None:
        (code,) = struct.unpack_from("!I", body)
        if code >> 16 == _PROTOCOL_3:
            self._started = True
        elif code not in _ASKS_FOR_ENCRYPTION and code != _CANCEL:
            raise Unreadable(f"the client starts with the protocol {code:#x}, not with version 3")

    def _text_of(self, name: bytes) -> bytes:
        if name not in self._statements:
            raise Unreadable(f"the client binds {name!r}, which it never prepared here")
        return self._statements[name]


def _words(body: bytes, count: int) -> list[bytes]:
    """The first strings of a message, each ended by a zero byte."""
    *words, _ = body.split(b"\0", count)
    if len(words) != count:
        raise Unreadable(f"a message with {len(words)} strings where {count} belong")
    return words


# -- MySQL and MariaDB --------------------------------------------------------------------------

_LONGEST_PACKET: Final = 0xFFFFFF
_CLIENT_COMPRESS: Final = 1 << 5
_CLIENT_PROTOCOL_41: Final = 1 << 9
_CLIENT_SSL: Final = 1 << 11
_CLIENT_QUERY_ATTRIBUTES: Final = 1 << 27
_COM_QUERY: Final = 0x03
# quit, init db, statistics, kill, ping, change user, set option, reset connection
_NO_STATEMENTS: Final = {0x01, 0x02, 0x09, 0x0C, 0x0E, 0x11, 0x1B, 0x1F}


class MySQLWire:
    """Reads the client's side of the MySQL protocol: the text of each COM_QUERY."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._payload = bytearray()
        self._sequence = 0  # of the last packet
        self._greeted = False
        self._command = 0  # the last one
        self._uploads = False  # within the file of a LOAD DATA LOCAL

    def feed(self, data: bytes) -> Iterator[str]:
        """Take bytes as they come and give the statements that are complete."""
        self._buffer += data
        while (message := self._next()) is not None:
            first, payload = message
            if not self._greeted:
                self._read_greeting(payload)
            elif not self._is_answer(first, payload):
                self._command = payload[0]
                if self._command == _COM_QUERY:
                    yield payload[1:].decode("utf-8", "surrogateescape")
                elif self._command not in _NO_STATEMENTS:
                    raise Unreadable(f"the client sends the command {self._command:#04x}")

    def _next(self) -> tuple[int, bytes] | None:
        """Cut one message, of one packet or several, with the first one's sequence number."""
        while len(self._buffer) >= 4:
            length = int.from_bytes(self._buffer[:3], "little")
            if len(self._buffer) < 4 + length:
                return None
            self._sequence = self._buffer[3]
            self._payload += self._buffer[4 : 4 + length]
            del self._buffer[: 4 + length]
            if length < _LONGEST_PACKET:
                payload = bytes(self._payload)
                self._payload.clear()
                return (self._sequence - len(payload) // _LONGEST_PACKET) % 256, payload
        return None

    def _read_greeting(self, payload: bytes) -> None:
        self._greeted = True
        (flags,) = struct.unpack_from("<I", payload)
        if not flags & _CLIENT_PROTOCOL_41:
            raise Unreadable("the client speaks a protocol before 4.1")
        if flags & _CLIENT_SSL:
            raise Unreadable("the client asks for TLS: connect without")
        if flags & _CLIENT_COMPRESS:
            raise Unreadable("the client asks for compression: connect without")
        if flags & _CLIENT_QUERY_ATTRIBUTES:
            raise Unreadable("the client sends query attributes: connect without")

    def _is_answer(self, first: int, payload: bytes) -> bool:
        """Tell a password or a file that the server asked for from a command.

        Commands begin at sequence 0; answers go on counting, and a long file comes round to 0.
        """
        if not self._uploads:
            self._uploads = first == 2 and self._command == _COM_QUERY
            if not self._uploads:
                return first != 0
        self._uploads = bool(payload)  # an empty packet ends the file
        return True


WIRES: Final[dict[str, type[PostgreSQLWire | MySQLWire]]] = {
    "postgresql": PostgreSQLWire,
    "mysql": MySQLWire,
}


# -- the proxy ----------------------------------------------------------------------------------


class Recorder(FaultProxy):
    """Stands before a server and keeps the statements, as long as the `with` block lasts."""

    def __init__(self, host: str, port: int, *, protocol: Literal["postgresql", "mysql"]) -> None:
        super().__init__(host, port)
        self._wire = WIRES[protocol]
        self._lock = threading.Lock()
        self._connections: list[list[str]] = []
        self._all: list[str] = []
        self._problem: Exception | None = None
        self._clients: WeakKeyDictionary[Line, tuple[Wire, list[str]]] = WeakKeyDictionary()

    @property
    def statements(self) -> list[str]:
        """What all clients sent, in the order of arrival; raises what could not be read."""
        with self._lock:
            self._check()
            return list(self._all)

    @property
    def connections(self) -> list[list[str]]:
        """What each client sent, in the order of their coming."""
        with self._lock:
            self._check()
            return [list(statements) for statements in self._connections]

    def clear(self) -> None:
        """Forget the statements so far; connections keep their places."""
        with self._lock:
            self._check()
            self._all.clear()
            for statements in self._connections:
                statements.clear()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, exc, trace)
        if exc is None:
            self._check()

    def _check(self) -> None:
        if self._problem is not None:
            raise self._problem

    def _opened(self, line: Line) -> None:
        statements: list[str] = []
        with self._lock:
            self._clients[line] = self._wire(), statements
            self._connections.append(statements)

    def _passes(self, line: Line, way: Way, data: bytes) -> None:
        if way is self.requests and self._problem is None:
            wire, statements = self._clients[line]
            self._note(line, wire, data, statements)

    def _note(self, line: Line, wire: Wire, data: bytes, statements: list[str]) -> None:
        del line
        with self._lock:
            try:
                for text in wire.feed(data):
                    self._all.append(text)
                    statements.append(text)
            except Exception as exc:  # noqa: BLE001 - raised again where the statements are read
                self._problem = exc
