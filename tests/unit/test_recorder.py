"""The recorder reads what clients send, whole or byte by byte, and owns up to what it can not."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from tests.recorder import MySQLWire, PostgreSQLWire, Recorder, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

# -- what clients send --------------------------------------------------------------------------


def startup(code: int = 3 << 16, body: bytes = b"user\0app\0\0") -> bytes:
    return struct.pack("!II", len(body) + 8, code) + body


def message(kind: str, body: bytes) -> bytes:
    return kind.encode() + struct.pack("!I", len(body) + 4) + body


def query(sql: str) -> bytes:
    return message("Q", sql.encode() + b"\0")


def parse(name: str, sql: str) -> bytes:
    return message("P", f"{name}\0{sql}\0".encode() + struct.pack("!H", 0))


def bind(portal: str, name: str) -> bytes:
    # one text parameter, which looks like a message, and no result formats
    value = query("SELECT 'not a statement'")
    tail = struct.pack("!HHI", 0, 1, len(value)) + value + struct.pack("!H", 0)
    return message("B", f"{portal}\0{name}\0".encode() + tail)


def execute(portal: str, rows: int = 0) -> bytes:
    return message("E", portal.encode() + b"\0" + struct.pack("!I", rows))


SSL_REQUEST = startup(80877103, b"")
CANCEL_REQUEST = startup(80877102, struct.pack("!II", 1, 2))
SYNC = message("S", b"")


def packet(sequence: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes([sequence]) + payload


def greeting(flags: int = 0x200) -> bytes:
    return packet(1, struct.pack("<IIB23x", flags, 1 << 24, 45) + b"app\0")


def com(number: int, body: bytes = b"") -> bytes:
    return packet(0, bytes([number]) + body)


def com_query(sql: str) -> bytes:
    return com(3, sql.encode())


# -- PostgreSQL ---------------------------------------------------------------------------------


def read(wire: PostgreSQLWire | MySQLWire, *pieces: bytes) -> list[str]:
    return list(chain.from_iterable(map(wire.feed, pieces)))


POSTGRESQL = {
    "a simple query": ([query("SELECT 1")], ["SELECT 1"]),
    "several statements in one query are one": ([query("BEGIN; SELECT 1")], ["BEGIN; SELECT 1"]),
    "text beyond ASCII": ([query("SELECT 'ä€😀'")], ["SELECT 'ä€😀'"]),
    "an unnamed statement": (
        [parse("", "SELECT $1"), bind("", ""), execute(""), SYNC],
        ["SELECT $1"],
    ),
    "a named statement counts by execution": (
        [parse("s", "SELECT $1"), *[bind("", "s"), execute(""), SYNC] * 2],
        ["SELECT $1", "SELECT $1"],
    ),
    "a statement that is only prepared does not count": ([parse("s", "SELECT 1"), SYNC], []),
    "a name that is prepared anew": (
        [parse("s", "A"), bind("", "s"), execute(""), parse("s", "B"), bind("", "s"), execute("")],
        ["A", "B"],
    ),
    "a portal keeps its text when the name is prepared anew": (
        [parse("s", "A"), bind("p", "s"), parse("s", "B"), execute("p")],
        ["A"],
    ),
    "fetching on from a portal is no statement": (
        [parse("", "A"), bind("p", ""), execute("p", 10), execute("p", 10)],
        ["A"],
    ),
    "two portals": (
        [parse("a", "A"), parse("b", "B"), bind("p", "a"), bind("q", "b"), *map(execute, "qp")],
        ["B", "A"],
    ),
    "data of COPY is no statement": (
        [query("COPY t FROM STDIN"), message("d", query("no")), message("c", b""), query("A")],
        ["COPY t FROM STDIN", "A"],
    ),
}


@pytest.mark.parametrize(("messages", "statements"), POSTGRESQL.values(), ids=POSTGRESQL)
@pytest.mark.parametrize("pieces", ["whole", "byte by byte"])
def test_each_postgresql_statement_is_read_once(
    messages: list[bytes], statements: list[str], pieces: str
) -> None:
    data = startup() + b"".join(messages)
    parts = [data] if pieces == "whole" else [bytes([byte]) for byte in data]
    assert read(PostgreSQLWire(), *parts) == statements


def test_postgresql_statement_is_not_given_before_its_last_byte() -> None:
    wire = PostgreSQLWire()
    data = startup() + query("SELECT 1")
    assert read(wire, data[:-1]) == []
    assert read(wire, data[-1:]) == ["SELECT 1"]


def test_postgresql_client_may_ask_for_tls_and_do_without() -> None:
    assert read(PostgreSQLWire(), SSL_REQUEST, startup(), query("A")) == ["A"]


def test_postgresql_cancel_is_no_statement() -> None:
    assert read(PostgreSQLWire(), CANCEL_REQUEST) == []


def test_postgresql_protocol_3_2_is_read() -> None:
    assert read(PostgreSQLWire(), startup((3 << 16) + 2), query("A")) == ["A"]


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        pytest.param([SSL_REQUEST, b"\x16\x03\x01\x02\x00"], "sslmode=disable", id="TLS"),
        pytest.param([startup(2 << 16)], "0x20000", id="protocol 2"),
        pytest.param([startup(), bind("", "s")], "never prepared", id="unknown name"),
        pytest.param([startup(), message("F", b"")], "fast path", id="function call"),
        pytest.param([startup(), message("Q", b"A")], "0 strings", id="text without end"),
    ],
)
def test_postgresql_unreadable_is_an_error(messages: list[bytes], says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        read(PostgreSQLWire(), *messages)


# -- MySQL --------------------------------------------------------------------------------------

LONG = "SELECT '" + "x" * 0xFFFFFF + "'"
EXACT = "SELECT '" + "x" * (0xFFFFFF - len("\x03SELECT ''")) + "'"


def long_query(sql: str) -> bytes:
    payload = b"\x03" + sql.encode()
    return packet(0, payload[:0xFFFFFF]) + packet(1, payload[0xFFFFFF:])


MYSQL = {
    "a query": ([com_query("SELECT 1")], ["SELECT 1"]),
    "queries in order": ([com_query("A"), com_query("B")], ["A", "B"]),
    "text beyond ASCII": ([com_query("SELECT 'ä€😀'")], ["SELECT 'ä€😀'"]),
    "answers to the server are no statements": (
        [packet(3, b"\x03password"), packet(5, b"\x02"), com_query("A")],
        ["A"],
    ),
    "ping, database and quit are no statements": (
        [com(0x0E), com(2, b"test"), com_query("A"), com(1)],
        ["A"],
    ),
    "a user who changes is asked, and uploads nothing": (
        [com(0x11, b"app\0"), packet(2, b"\x03password"), com_query("A")],
        ["A"],
    ),
    "a file is no statement": (
        [com_query("LOAD DATA LOCAL"), packet(2, b"\x03no"), packet(3, b""), com_query("A")],
        ["LOAD DATA LOCAL", "A"],
    ),
    "an empty file": (
        [com_query("LOAD DATA LOCAL"), packet(2, b""), com_query("A")],
        ["LOAD DATA LOCAL", "A"],
    ),
    "a file so long that numbers come round": (
        [
            com_query("LOAD DATA LOCAL"),
            *(packet(n % 256, b"\x03no") for n in range(2, 260)),
            packet(4, b""),
            com_query("A"),
        ],
        ["LOAD DATA LOCAL", "A"],
    ),
}


@pytest.mark.parametrize(("packets", "statements"), MYSQL.values(), ids=MYSQL)
@pytest.mark.parametrize("pieces", ["whole", "byte by byte"])
def test_each_mysql_statement_is_read_once(
    packets: list[bytes], statements: list[str], pieces: str
) -> None:
    data = greeting() + b"".join(packets)
    parts = [data] if pieces == "whole" else [bytes([byte]) for byte in data]
    assert read(MySQLWire(), *parts) == statements


@pytest.mark.parametrize("sql", [LONG, EXACT], ids=["over the limit", "of the limit exactly"])
def test_mysql_statement_of_several_packets_is_one(sql: str) -> None:
    found = read(MySQLWire(), greeting(), long_query(sql), com_query("A"))
    assert [len(text) for text in found] == [len(sql), 1]


def test_mysql_statement_is_not_given_before_its_last_byte() -> None:
    wire = MySQLWire()
    data = greeting() + com_query("SELECT 1")
    assert read(wire, data[:-1]) == []
    assert read(wire, data[-1:]) == ["SELECT 1"]


@pytest.mark.parametrize(
    ("packets", "says"),
    [
        pytest.param([greeting(0x200 | 0x800)], "TLS", id="TLS"),
        pytest.param([greeting(0x200 | 0x20)], "compression", id="compression"),
        pytest.param([greeting(0x200 | 1 << 27)], "attributes", id="query attributes"),
        pytest.param([greeting(0)], "before 4.1", id="old protocol"),
        pytest.param([greeting(), com(0x16, b"A")], "0x16", id="prepared statement"),
    ],
)
def test_mysql_unreadable_is_an_error(packets: list[bytes], says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        read(MySQLWire(), *packets)


# -- the proxy ----------------------------------------------------------------------------------


@pytest.fixture
def echo_server() -> Iterator[int]:
    """The port of a server that says again what it hears."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        server = threading.Thread(target=echo_until_empty, args=(listener,))
        server.start()
        yield port
        socket.create_connection(("127.0.0.1", port)).close()
        server.join()


def echo_until_empty(listener: socket.socket) -> None:
    """Serve one client after the other, until one comes that says nothing."""
    heard = True
    while heard:
        heard = False
        client, _ = listener.accept()
        with client, suppress(OSError):
            while data := client.recv(1 << 16):
                heard = True
                client.sendall(data)


def talk(port: int, data: bytes) -> bytes:
    """Say something, then nothing more, and hear the other side out."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        sender = threading.Thread(target=send, args=(client, data))
        sender.start()
        heard = b"".join(iter(lambda: client.recv(1 << 16), b""))
        sender.join()
    return heard


def send(client: socket.socket, data: bytes) -> None:
    with suppress(OSError):  # the other side may be gone already
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)


def test_proxy_forwards_every_byte_and_records_by_connection(echo_server: int) -> None:
    big = query("SELECT '" + "x" * 3_000_000 + "'")
    first, second = startup() + query("A") + big, startup() + query("B")
    with Recorder("127.0.0.1", echo_server, protocol="postgresql") as recorder:
        assert talk(recorder.port, first) == first
        assert talk(recorder.port, second) == second
        assert [len(text) for text in recorder.statements] == [1, 3_000_009, 1]
        assert [len(texts) for texts in recorder.connections] == [2, 1]


def test_statement_is_recorded_before_the_server_answers(echo_server: int) -> None:
    data = startup() + query("A")
    with (
        Recorder("127.0.0.1", echo_server, protocol="postgresql") as recorder,
        socket.create_connection((recorder.host, recorder.port)) as client,
    ):
        client.sendall(data)
        client.recv(1)
        assert recorder.statements == ["A"]


def test_clear_forgets_and_recording_goes_on(echo_server: int) -> None:
    with (
        Recorder("127.0.0.1", echo_server, protocol="mysql") as recorder,
        socket.create_connection((recorder.host, recorder.port)) as client,
    ):
        client.sendall(greeting() + com_query("A"))
        client.recv(1)
        recorder.clear()
        client.sendall(com_query("B"))
        client.recv(1 << 16)
        client.sendall(com_query("C"))
        while len(recorder.statements) < 2:
            client.recv(1 << 16)
        assert recorder.statements == ["B", "C"]
        assert recorder.connections == [["B", "C"]]


def test_unreadable_bytes_are_forwarded_and_own_up_later(echo_server: int) -> None:
    data = greeting(0x200 | 0x800) + b"secret"
    recorder = Recorder("127.0.0.1", echo_server, protocol="mysql")
    with pytest.raises(Unreadable, match="TLS"), recorder:
        assert talk(recorder.port, data) == data
        with pytest.raises(Unreadable, match="TLS"):
            _ = recorder.statements


def test_end_of_the_block_ends_open_connections(echo_server: int) -> None:
    with Recorder("127.0.0.1", echo_server, protocol="mysql") as recorder:
        client = socket.create_connection((recorder.host, recorder.port))
        client.sendall(greeting())
        client.recv(1)
    with client, suppress(ConnectionResetError):
        while client.recv(1 << 16):
            pass
    with pytest.raises(OSError, match="refused"):
        socket.create_connection((recorder.host, recorder.port))


def test_client_of_a_server_that_is_away_is_turned_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with Recorder("127.0.0.1", port, protocol="mysql") as recorder:
        assert talk(recorder.port, b"") == b""
        assert recorder.connections == []
