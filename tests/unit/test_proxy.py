"""The fault proxy before a server of the test's own, which sends back what it gets."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from plainsql import URL, ArgumentError, make_url
from plainsql.testing.proxy import CHUNK, FaultProxy
from tests.beside import Beside, until
from tests.throwaway import free_port

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from plainsql.testing.proxy import Line, Way


class Echo:
    """Sends back what it gets, and keeps it."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.got = bytearray()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                threading.Thread(target=self._answer, args=(sock,), daemon=True).start()

    def _answer(self, sock: socket.socket) -> None:
        with sock, suppress(OSError):
            while data := sock.recv(CHUNK):
                self.got += data
                sock.sendall(data)
            sock.sendall(b"bye")


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.listener.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[FaultProxy]:
    with FaultProxy("127.0.0.1", echo.port) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[socket.socket]:
    with dial(proxy) as sock:
        assert said(sock, b"hello") == b"hello"
        yield sock


def dial(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection((proxy.host, proxy.port), timeout=10)


def said(sock: socket.socket, data: bytes) -> bytes:
    """What comes back; less where the other side closes."""
    sock.sendall(data)
    found = b""
    while len(found) < len(data) and (more := sock.recv(CHUNK)):
        found += more
    return found


def test_it_is_a_wire_without_orders(client: socket.socket) -> None:
    whole = bytes(range(256)) * 8192
    writer = Beside(client.sendall, whole)
    found = bytearray()
    while len(found) < len(whole):
        found += client.recv(CHUNK)
    writer.result()
    assert found == whole


def test_the_end_of_one_way_is_passed_on_and_the_other_one_goes_on(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)
    assert client.recv(10) == b"bye"
    assert client.recv(10) == b""


def test_a_delay_holds_what_comes(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.requests.delay(0.05)
    proxy.answers.delay(0.05)
    began = time.monotonic()
    assert said(client, b"x") == b"x"
    assert time.monotonic() - began >= 0.1
    proxy.heal()
    assert said(client, b"y") == b"y"


def test_what_a_delay_holds_is_let_go_when_it_is_healed(
    proxy: FaultProxy, client: socket.socket
) -> None:
    proxy.delay(3600)
    client.sendall(b"x")
    proxy.requests.wait()
    proxy.heal()
    assert client.recv(1) == b"x"


def test_a_cut_before_a_pattern_keeps_it_from_the_server(
    proxy: FaultProxy, client: socket.socket, echo: Echo
) -> None:
    proxy.requests.cut_before(b"COMMIT")
    assert said(client, b"before ") == b"before "
    client.sendall(b"COMMIT after")
    with suppress(ConnectionResetError):
        assert b"T" not in client.recv(100)
    proxy.requests.wait()
    assert b"COMMIT" not in echo.got
    with dial(proxy) as another:
        assert said(another, b"COMMIT") == b"COMMIT"


def test_a_cut_after_a_pattern_lets_the_server_have_it_and_nobody_hears(
    proxy: FaultProxy, client: socket.socket, echo: Echo
) -> None:
    proxy.requests.cut_after(b"COMMIT")
    client.sendall(b"a COMMIT;")
    with suppress(ConnectionResetError):
        assert client.recv(100) == b""
    proxy.requests.wait()
    assert bytes(echo.got) == b"helloa COMMIT;"


@pytest.mark.parametrize("at", range(1, 6))
def test_a_pattern_is_found_across_chunks(
    proxy: FaultProxy, client: socket.socket, echo: Echo, at: int
) -> None:
    proxy.requests.cut_before(b"COMMIT")
    assert said(client, b"COMMIT"[:at]) == b"COMMIT"[:at]
    client.sendall(b"COMMIT"[at:])
    proxy.requests.wait()
    assert b"COMMIT" not in echo.got


def test_half_a_pattern_before_the_order_does_not_count(
    proxy: FaultProxy, client: socket.socket
) -> None:
    proxy.requests.cut_before(b"ab")
    assert said(client, b"a") == b"a"
    proxy.heal()
    assert said(client, b"xyz") == b"xyz"
    proxy.requests.cut_before(b"ab")
    assert said(client, b"b") == b"b"
    assert not proxy.requests.has_fired


@pytest.mark.parametrize(
    ("former", "seen", "order", "then"),
    [
        pytest.param(b"0123456789", b".ab.", b"ab", b"xyz", id="all of it came before"),
        pytest.param(b"0123456789", b".a", b"ab", b"b", id="half of it came before"),
    ],
)
def test_a_new_order_does_not_look_at_what_came_before_it(
    proxy: FaultProxy, client: socket.socket, former: bytes, seen: bytes, order: bytes, then: bytes
) -> None:
    proxy.requests.cut_before(former)
    assert said(client, seen) == seen
    proxy.requests.cut_before(order)
    assert said(client, then) == then
    assert not proxy.requests.has_fired


def test_a_reset_is_one(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        client.recv(10)


def test_a_pattern_can_be_answered_by_a_reset(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.answers.reset_at(b"ouch")
    client.sendall(b"ouch")
    with pytest.raises(ConnectionResetError):
        while client.recv(10):
            pass
    assert proxy.answers.has_fired


class Counter(FaultProxy):
    """Counts what is forwarded, and shows the one connection's way to its client."""

    count = 0
    back: asyncio.StreamWriter

    def _opened(self, line: Line) -> None:
        self.back = line.writers[self.answers]

    def _passes(self, line: Line, way: Way, data: bytes) -> None:
        del line, way
        self.count += len(data)


def test_a_client_that_reads_late_gets_all_that_was_sent_before_the_end() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        Counter(*listener.getsockname()) as proxy,
        dial(proxy) as client,
    ):
        client.shutdown(socket.SHUT_WR)
        server, _ = listener.accept()
        sent = 0
        with server:
            while not (proxy.count and proxy.back.transport.get_write_buffer_size()):
                server.sendall(bytes(CHUNK // 4))
                sent += CHUNK // 4
                until(lambda sent=sent: proxy.count == sent)  # type: ignore[misc]
        until(proxy.back.is_closing)
        assert sum(map(len, iter(lambda: client.recv(CHUNK), b""))) == sent


def test_all_connections_are_dropped_and_new_ones_are_served(
    proxy: FaultProxy, client: socket.socket
) -> None:
    proxy.drop()
    with suppress(ConnectionResetError):
        assert client.recv(10) == b""
    with dial(proxy) as another:
        assert said(another, b"x") == b"x"


@pytest.mark.parametrize("at", [0, 3, 9])
def test_one_byte_is_flipped(proxy: FaultProxy, at: int) -> None:
    proxy.requests.flip(at)
    with dial(proxy) as client:
        found = said(client, b"0123456789")
    assert [n for n, byte in enumerate(found) if byte != b"0123456789"[n]] == [at]
    assert found[at] == b"0123456789"[at] ^ 0xFF
    assert proxy.requests.has_fired


def test_the_byte_behind_a_pattern_is_flipped(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.answers.flip_after(b"ab")
    assert said(client, b"xxab") == b"xxab"
    assert said(client, b"\x00\x01") == b"\xff\x01"


def test_a_black_hole_swallows_and_gives_back_when_it_is_healed(
    proxy: FaultProxy, client: socket.socket, echo: Echo
) -> None:
    proxy.black_hole()
    client.sendall(b"lost?")
    proxy.requests.wait()
    client.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.recv(10)
    assert bytes(echo.got) == b"hello"
    with dial(proxy) as another:
        another.sendall(b"x")
    proxy.heal()
    client.settimeout(10)
    assert client.recv(10) == b"lost?"


def test_a_black_hole_takes_no_more_than_the_buffers_hold(
    proxy: FaultProxy, client: socket.socket
) -> None:
    proxy.black_hole()
    client.settimeout(0.5)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 1000 * CHUNK:
            sent += client.send(bytes(CHUNK))


def test_what_is_dropped_in_a_black_hole_is_gone(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.black_hole()
    client.sendall(b"x")
    proxy.requests.wait()
    proxy.drop()
    until(lambda: "0 connections" in repr(proxy))


def test_silence_is_kept_on_new_connections_only(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.silence()
    with dial(proxy) as silent:
        proxy.wait_accepted(2)
        silent.sendall(b"x")
        silent.settimeout(0.1)
        with pytest.raises(TimeoutError):
            silent.recv(10)
    assert said(client, b"y") == b"y"
    proxy.heal()
    with dial(proxy) as another:
        assert said(another, b"z") == b"z"


def test_who_comes_is_refused_until_it_listens_again(
    proxy: FaultProxy, client: socket.socket
) -> None:
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        dial(proxy)
    assert said(client, b"y") == b"y"
    proxy.listen()
    with dial(proxy) as another:
        assert said(another, b"z") == b"z"


def test_what_comes_behind_a_half_close_is_dropped_and_the_other_way_stays_open(
    proxy: FaultProxy, client: socket.socket, echo: Echo, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.answers.half_close()
    assert client.recv(10) == b""
    for piece in (b"still", b"here"):
        client.sendall(piece)
        until(lambda piece=piece: echo.got.endswith(piece))  # type: ignore[misc]
    assert caplog.text == ""


def test_connections_are_counted(proxy: FaultProxy) -> None:
    for _ in range(3):
        with dial(proxy) as sock:
            assert said(sock, b"x") == b"x"
    assert len(proxy.accepted) == 3
    assert proxy.connects(60) == 3
    assert proxy.connects(1e-9) == 1


def test_a_server_that_is_away_closes_the_connection() -> None:
    with FaultProxy("127.0.0.1", free_port()) as lonely, dial(lonely) as sock, suppress(OSError):
        assert sock.recv(10) == b""


def test_its_end_closes_everything(echo: Echo) -> None:
    threads = threading.active_count()
    with FaultProxy("localhost", echo.port) as proxy:
        sock = dial(proxy)
        assert said(sock, b"x") == b"x"
        proxy.black_hole()
    with sock, suppress(ConnectionResetError):
        assert sock.recv(10) == b""
    proxy.close()
    assert not proxy._thread.is_alive()
    until(lambda: threading.active_count() == threads)
    with pytest.raises(ConnectionRefusedError):
        dial(proxy)
    with pytest.raises(ArgumentError, match="not running"):
        proxy.drop()
    with pytest.raises(ArgumentError, match="one `with` block"), proxy:
        pass


def test_it_waits_no_longer_than_it_is_told(proxy: FaultProxy) -> None:
    proxy.requests.cut_before(b"never")
    with pytest.raises(TimeoutError, match="gave occasion"):
        proxy.requests.wait(0.01)
    with pytest.raises(TimeoutError, match="0 connections came in"):
        proxy.wait_accepted(1, 0.01)


PROGRAM = """
import socket, sys
from plainsql.testing.proxy import FaultProxy
proxy = FaultProxy("127.0.0.1", int(sys.argv[1])).__enter__()
sock = socket.create_connection((proxy.host, proxy.port))
sock.sendall(b"x")
assert sock.recv(1) == b"x"
proxy.black_hole()
sock.sendall(b"y")
proxy.requests.wait()
print("ends")
"""


def test_a_program_that_forgets_it_ends_all_the_same(echo: Echo) -> None:
    command = [sys.executable, "-c", PROGRAM, str(echo.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ends\n", "")


def test_a_url_by_way_of_the_proxy(echo: Echo) -> None:
    url = make_url(f"postgresql://a:b@127.0.0.1:{echo.port}/c?sslmode=disable")
    with FaultProxy.to(url) as proxy:
        assert proxy.url == url.set(port=proxy.port)
    assert FaultProxy.to("mysql://localhost/x")._server == ("localhost", 3306)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda proxy: proxy.requests.cut_before(b""), "a pattern is 1 to 4096 bytes, not b''"),
        (lambda proxy: proxy.requests.cut_after("x"), "a pattern is .* not 'x'"),
        (lambda proxy: proxy.requests.flip(-1), "an offset is a whole number from 0 on, not -1"),
        (lambda proxy: proxy.answers.delay(-1), "seconds must be a number from 0 on, not -1"),
        (lambda proxy: proxy.requests.wait(), "no order was given for the requests"),
        (lambda proxy: proxy.requests.wait("1"), "seconds must be a number from 0 on, not '1'"),
        (lambda proxy: proxy.wait_accepted(-1), "count must be a number from 0 on, not -1"),
        (lambda proxy: proxy.connects(None), "seconds must be a number from 0 on, not None"),
        (lambda proxy: proxy.url, "without a URL"),
        (lambda _: FaultProxy("", 1), "a host is a name or an address, not ''"),
        (lambda _: FaultProxy("x", 65536), "a port is a whole number from 1 to 65535, not 65536"),
        (lambda _: FaultProxy("x" * 64, 1).__enter__(), "the host 'x+' has no address"),
        (lambda _: FaultProxy.to("sqlite:///x.db"), "needs a host and a port"),
        (lambda _: FaultProxy.to("postgresql://h/d").url, "the proxy is not running"),
        (lambda _: FaultProxy.to("mysql://h/d?unix_socket=/s"), "'unix_socket' .* leads past"),
        (lambda _: FaultProxy.to("postgresql://h/d?host=/s"), "'host' .* leads past a proxy"),
    ],
)
def test_what_can_not_be_meant_is_refused(proxy: FaultProxy, wrong: Any, says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        wrong(proxy)


def test_urls_are_the_only_thing_it_knows_of_databases() -> None:
    assert isinstance(FaultProxy.to("postgresql://h:1/d")._url, URL)
