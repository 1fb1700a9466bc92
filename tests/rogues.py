"""Servers and proxies of ill will, each in a thread of its own, which keep what they are sent.

They speak just enough of the protocols of PostgreSQL and MySQL to be asked for something.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

SSL = 1 << 11  # CLIENT_SSL
CAPABILITIES = 0x00FFF7FF | 1 << 3  # all that are old enough, but TLS
AUTOCOMMIT = 2


class Rogue:
    """Listens on a port of 127.0.0.1; `heard` is all that clients sent, `ends` how it ended."""

    def __init__(self, talk: Callable[[Rogue, socket.socket], None]) -> None:
        self._talk = talk
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.heard = bytearray()
        self.ends: list[str] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *exc: object) -> None:
        self.hang_up()
        self.wait()

    def hang_up(self) -> None:
        """Listen no more; who is connected stays so."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def wait(self) -> None:
        """Wait until each client that came is done with."""
        for thread in self._threads[1:]:
            thread.join(30)
            assert not thread.is_alive()

    def _start(self, target: Any, *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                client.settimeout(30)
                self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                self._talk(self, client)
            except (EOFError, ConnectionError):
                self.ends.append("closed by the client")

    def read(self, client: socket.socket, size: int) -> bytes:
        """Read so many bytes; EOFError where the client closed."""
        data = b""
        while len(data) < size:
            more = client.recv(size - len(data))
            if not more:
                raise EOFError
            self.heard += more
            data += more
        return data

    def packet(self, client: socket.socket) -> tuple[int, bytes]:
        """Read a packet of MySQL's protocol: its number and what is in it."""
        head = self.read(client, 4)
        return head[3], self.read(client, int.from_bytes(head[:3], "little"))


def send(client: socket.socket, number: int, payload: bytes) -> None:
    """Send a packet of MySQL's protocol."""
    client.sendall(len(payload).to_bytes(3, "little") + bytes([number]) + payload)


# -- MySQL -------------------------------------------------------------------------------------


def greeting(plugin: bytes = b"mysql_native_password", capabilities: int = CAPABILITIES) -> bytes:
    low, high = capabilities & 0xFFFF, capabilities >> 16
    middle = struct.pack("<HBHHB", low, 45, AUTOCOMMIT, high, 21)
    salt = b"12345678", b"901234567890\0"
    return b"\n8.0.0\0" + bytes(4) + salt[0] + b"\0" + middle + bytes(10) + salt[1] + plugin + b"\0"


OK = b"\0\0\0" + struct.pack("<HH", AUTOCOMMIT, 0)
EOF = b"\xfe" + struct.pack("<HH", 0, AUTOCOMMIT)


def text(value: bytes) -> bytes:
    return bytes([len(value)]) + value


def answer(client: socket.socket, row: list[bytes]) -> None:
    """Answer a query with a row of texts."""
    send(client, 1, bytes([len(row)]))
    number = 2
    for _ in row:
        names = text(b"def") + text(b"") * 3 + text(b"x") + text(b"x")
        fixed = struct.pack("<BHIBHBH", 12, 45, 255, 253, 0, 0, 0)
        send(client, number, names + fixed)
        number += 1
    send(client, number, EOF)
    send(client, number + 1, b"".join(map(text, row)))
    send(client, number + 2, EOF)


MODE = [b"", b"8.0.0", b"16777216", b"utf8mb4", b"utf8mb4"]


def wants_file(path: str, *, at_once: bool) -> Callable[[Rogue, socket.socket], None]:
    """Logs everybody in and answers queries with a request for a file."""

    def talk(rogue: Rogue, client: socket.socket) -> None:
        send(client, 0, greeting())
        number, _ = rogue.packet(client)
        send(client, number + 1, OK)
        while True:
            _, query = rogue.packet(client)
            if not at_once and query.startswith(b"\3SET NAMES"):
                send(client, 1, OK)
            elif not at_once and b"@@sql_mode" in query:
                answer(client, MODE)
            else:
                send(client, 1, b"\xfb" + path.encode())

    return talk


def wants_password(plugin: bytes, data: bytes = b"") -> Callable[[Rogue, socket.socket], None]:
    """Asks for another kind of login, and takes whatever comes."""

    def talk(rogue: Rogue, client: socket.socket) -> None:
        send(client, 0, greeting())
        number, _ = rogue.packet(client)
        send(client, number + 1, b"\xfe" + plugin + b"\0" + data)
        number, _ = rogue.packet(client)
        send(client, number + 1, b"\xff\x15\x04#28000no")
        rogue.read(client, 1)

    return talk


# -- PostgreSQL --------------------------------------------------------------------------------

REQUESTS = {80877103: "TLS", 80877104: "GSS"}


def refuse_tls(rogue: Rogue, client: socket.socket) -> bytes:
    """Say no to encryption; return the first message that is something else."""
    while True:
        head = rogue.read(client, 4)
        body = rogue.read(client, int.from_bytes(head) - 4)
        if int.from_bytes(body[:4]) not in REQUESTS:
            return head + body
        client.sendall(b"N")


def wants_clear_password(rogue: Rogue, client: socket.socket) -> None:
    """Asks for the password as it is, and takes whatever comes."""
    refuse_tls(rogue, client)
    client.sendall(b"R" + struct.pack(">II", 8, 3))
    head = rogue.read(client, 5)
    rogue.read(client, int.from_bytes(head[1:]) - 4)


# -- proxies -----------------------------------------------------------------------------------


def pass_on(rogue: Rogue, client: socket.socket, server: socket.socket) -> None:
    """Pass on what both say until one of them ends."""

    def back() -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    rogue._start(back)
    with suppress(OSError):
        while data := client.recv(65536):
            rogue.heard += data
            server.sendall(data)
        server.shutdown(socket.SHUT_RDWR)


def forwards(port: int) -> Callable[[Rogue, socket.socket], None]:
    """A proxy to a real server that does nothing else."""

    def talk(rogue: Rogue, client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port), 30) as server:
            pass_on(rogue, client, server)

    return talk


def strips_tls(kind: str, port: int) -> Callable[[Rogue, socket.socket], None]:
    """A proxy to a real server that makes the client believe there is no TLS."""

    def talk(rogue: Rogue, client: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", port), 30) as server:
            if kind == "postgresql":
                server.sendall(refuse_tls(rogue, client))
            else:
                client.sendall(_without_tls(server))
            pass_on(rogue, client, server)

    return talk


def _without_tls(server: socket.socket) -> bytes:
    head = server.recv(4, socket.MSG_WAITALL)
    body = bytearray(server.recv(int.from_bytes(head[:3], "little"), socket.MSG_WAITALL))
    at = body.index(0, 1) + 1 + 4 + 8 + 1  # version, thread, salt
    low = int.from_bytes(body[at : at + 2], "little") & ~SSL
    body[at : at + 2] = low.to_bytes(2, "little")
    return head + bytes(body)
