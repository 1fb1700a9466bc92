"""A TCP proxy with faults on order, for tests of what a program does when the network fails.

It stands between the program under test and a real server, and forwards every byte untouched until
a test gives an order.  One daemon thread with a loop of its own does all of it, so that it serves
blocking and async tests alike.  What a proxy can not see is what is encrypted: patterns are found
in plain connections only (`?sslmode=disable`, `?ssl_disabled=true`).
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from bisect import bisect_left
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from plainsql.errors import ArgumentError
from plainsql.options import require_number
from plainsql.url import URL, make_url

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType
    from typing import Self

#: Bytes that are read at a time, and the longest pattern.
CHUNK = 1 << 16
LONGEST = 4096
#: Seconds within which an order must have been taken.
DEADLINE = 10.0
PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}
#: Options of a URL that lead past its host.
DETOURS = ("host", "unix_socket")
_RST = struct.pack("ii", 1, 0)  # SO_LINGER of no time at all

Act = Literal["cut", "answer", "reset", "flip", "hold"]


class Order:
    """Something to do once: where a pattern comes, or at an offset."""

    __slots__ = ("act", "at", "fired", "pattern")

    def __init__(self, act: Act, pattern: bytes = b"", at: int = 0) -> None:
        self.act = act
        self.pattern = pattern
        self.at = at
        self.fired = threading.Event()


class Way:
    """One direction of all connections, and what is to happen on it.

    Orders hold for the connections that are open and for those to come.  `cut_…`, `reset_at`,
    `flip` and `flip_after` are carried out once, on the first connection that gives the occasion;
    a new one takes the place of one that was not carried out yet.  `delay` and `black_hole` are
    carried out when they hold something for the first time.
    """

    def __init__(self, proxy: FaultProxy, name: str) -> None:
        self._proxy = proxy
        self._name = name
        self._last: Order | None = None
        self._order: Order | None = None  # the one that waits for its occasion
        self._held = Order("hold")
        self._delay = 0.0
        self._swallows = False
        self._change = asyncio.Event()  # for those who hold something; a new one each time

    # -- orders --------------------------------------------------------------------------------

    def cut_before(self, pattern: bytes) -> None:
        """Close the connection where the pattern comes; its last byte is not forwarded."""
        self._give(Order("cut", _pattern(pattern)))

    def cut_after(self, pattern: bytes) -> None:
        """Forward the pattern, and close the connection when the other side speaks next.

        What was asked for has been done then, and nobody hears of it.
        """
        self._give(Order("answer", _pattern(pattern)))

    def reset_at(self, pattern: bytes) -> None:
        """Reset the connection (RST) where the pattern comes; its last byte is not forwarded."""
        self._give(Order("reset", _pattern(pattern)))

    def flip(self, at: int) -> None:
        """Flip all bits of the byte at that offset, counted from 0 at a connection's beginning."""
        if type(at) is not int or at < 0:
            raise ArgumentError(f"an offset is a whole number from 0 on, not {at!r}")
        self._give(Order("flip", at=at))

    def flip_after(self, pattern: bytes) -> None:
        """Flip all bits of the byte that follows the pattern."""
        self._give(Order("flip", _pattern(pattern)))

    def delay(self, seconds: float) -> None:
        """Hold each piece that comes for so long before it is forwarded; 0 ends that."""
        require_number("seconds", seconds, 0)
        self._proxy._do(lambda: self._hold(seconds, self._swallows))

    def black_hole(self) -> None:
        """Forward nothing any more; connections stay open, and the kernel acknowledges."""
        self._proxy._do(lambda: self._hold(self._delay, True))

    def heal(self) -> None:
        """Forward again, what was held first; orders that were not carried out are forgotten."""
        self._proxy._do(self._forget)

    def half_close(self) -> None:
        """Tell the receivers of the open connections that nothing comes any more (FIN).

        What comes nevertheless is dropped; the other way stays open.
        """
        self._proxy._each(lambda line: line.end(self))

    @property
    def has_fired(self) -> bool:
        """Whether the last order was carried out."""
        return self._last is not None and self._last.fired.is_set()

    def wait(self, seconds: float = DEADLINE) -> None:
        """Wait until the last order was carried out; TimeoutError when the time is over.

        It blocks: in an async test, `await asyncio.to_thread(proxy.requests.wait)`.
        """
        require_number("seconds", seconds, 0)
        if self._last is None:
            raise ArgumentError(f"nothing to wait for: no order was given for the {self._name}")
        if not self._last.fired.wait(seconds):
            raise TimeoutError(f"nothing gave occasion to the order in {seconds:g} seconds")

    def __repr__(self) -> str:
        act = "no" if self._order is None else self._order.act
        return f"<Way {self._name}: {act} order>"

    # -- what the proxy's thread does ----------------------------------------------------------

    def _give(self, order: Order) -> None:
        def take() -> None:
            self._order = self._last = order

        self._proxy._do(take)

    def _hold(self, delay: float, swallows: bool) -> None:
        self._last = self._held = Order("hold")
        self._hold_no_more()
        self._delay, self._swallows = delay, swallows

    def _forget(self) -> None:
        self._order = None
        self._hold_no_more()

    def _hold_no_more(self) -> None:
        self._delay, self._swallows = 0.0, False
        self._change.set()
        self._change = asyncio.Event()

    async def _be_held(self) -> None:
        """Wait as long as something that has come is to be held."""
        if self._delay:
            self._held.fired.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._delay):
                    await self._change.wait()
        while self._swallows:
            self._held.fired.set()
            await self._change.wait()

    def _apply(self, stream: Stream, data: bytes) -> tuple[bytes, Order | None]:
        """Return what is to be forwarded of a piece, and what is to be done with its connection."""
        order = self._order
        place = stream.place(order, data)
        if order is None or place is None:
            return data, None
        self._order = None
        if order.act == "answer":
            return data, order
        if order.act != "flip":
            return data[:place], order
        order.fired.set()  # before anybody can notice
        return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :], None


class Stream:
    """One direction of one connection: how much has come, and its end, where patterns begin."""

    def __init__(self) -> None:
        self._count = 0
        self._order: Order | None = None  # the one that the end is kept for
        self._end = b""

    def place(self, order: Order | None, data: bytes) -> int | None:
        """Return where in the next piece an order is to be carried out, None if not there."""
        begins = self._count
        self._count += len(data)
        if order is not self._order:
            self._order, self._end = order, b""
        if order is None:
            return None
        place = self._behind(order, data) if order.pattern else order.at - begins
        if place is not None and order.act != "flip" and order.pattern:
            place -= 1  # the pattern's last byte
        return place if place is not None and 0 <= place < len(data) else None

    def _behind(self, order: Order, data: bytes) -> int | None:
        """Return where in the piece the pattern is over; len(data) if that is the next piece."""
        known, size = len(self._end), len(order.pattern)
        seen = self._end + data
        self._end = seen[-size:]
        found = seen.find(order.pattern)
        return None if found < 0 else found + size - known


class Line:
    """One connection: the client's side and the server's."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self.writers: dict[Way, asyncio.StreamWriter] = {}
        self._task = task
        self._ended: set[Way] = set()
        self._due: tuple[Way, Order] | None = None  # a cut when the other side speaks

    async def send(self, way: Way, data: bytes, order: Order | None) -> None:
        """Send a piece, and carry out the order that it gave occasion to."""
        writer = self.writers[way]
        if way not in self._ended:
            writer.write(data)
        if order is not None:
            self.obey(way, order)
        await writer.drain()

    def obey(self, way: Way, order: Order) -> None:
        """Cut or reset the connection, or see to it that it is cut when the other side speaks."""
        if order.act == "answer":
            self._due = way, order
            return
        order.fired.set()  # before anybody can notice
        self.abort(by_reset=order.act == "reset")
        raise ConnectionAbortedError("by order")

    def hear(self, way: Way) -> None:
        """Take notice that something comes on a way; it may be what a cut waited for."""
        if self._due is not None and self._due[0] is not way:
            self._due[1].fired.set()
            self.abort()
            raise ConnectionAbortedError("by order")

    def end(self, way: Way) -> None:
        """Send FIN on one way, behind what was sent."""
        writer = self.writers.get(way)
        if writer is not None and way not in self._ended:
            self._ended.add(way)
            with suppress(OSError):
                writer.write_eof()

    def abort(self, *, by_reset: bool = False) -> None:
        """Close both sides at once."""
        for writer in self.writers.values():
            if by_reset:
                with suppress(OSError):
                    sock = writer.get_extra_info("socket")
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
            writer.transport.abort()

    def drop(self, *, by_reset: bool = False) -> None:
        """Close both sides at once, whatever is done with them now."""
        self.abort(by_reset=by_reset)
        self._task.cancel()

    async def flush(self) -> None:
        """Close both sides when all is sent."""
        for writer in self.writers.values():
            writer.close()
        for writer in self.writers.values():
            with suppress(OSError):
                await writer.wait_closed()


class FaultProxy:
    """Stands before a server, at `host` and `port` of its own, as long as the `with` block lasts.

    `requests` is the way from the clients to the server, `answers` the way back; see `Way`.
    `accepted` holds when connections were accepted, on the monotonic clock.
    """

    host = "127.0.0.1"
    port: int
    _loop: asyncio.AbstractEventLoop
    _door: socket.socket  # bound to the port, whether it listens or not
    _addresses: list[tuple[str, int]]

    def __init__(self, host: str, port: int) -> None:
        if type(host) is not str or not host:
            raise ArgumentError(f"a host is a name or an address, not {host!r}")
        if type(port) is not int or not 0 < port <= 65535:
            raise ArgumentError(f"a port is a whole number from 1 to 65535, not {port!r}")
        self._server = (host, port)
        self._url: URL | None = None
        self._thread = threading.Thread(target=self._run, name="plainsql-proxy", daemon=True)
        self._listener: asyncio.Server | None = None
        self._lines: set[Line] = set()
        self._silent = False
        self._is_over = False
        self._closing = threading.Lock()
        self._arrival = threading.Condition()
        self.accepted: list[float] = []
        self.requests = Way(self, "requests")
        self.answers = Way(self, "answers")
        self.port = 0

    @classmethod
    def to(cls, url: str | URL) -> Self:
        """Stand before the server of a URL; `proxy.url` is the same, by way of the proxy."""
        url = make_url(url)
        port = url.port or PORTS.get(url.get_backend_name())
        if not url.host or not port:
            raise ArgumentError("a proxy stands before a server: the URL needs a host and a port")
        for name in DETOURS:
            if name in url.query:
                raise ArgumentError(f"{name!r} in the URL leads past a proxy: leave it out")
        proxy = cls(url.host, port)
        proxy._url = url
        return proxy

    @property
    def url(self) -> URL:
        """The URL by way of the proxy, if it was made by `to`."""
        if self._url is None:
            raise ArgumentError("this proxy was made without a URL: make it by FaultProxy.to(url)")
        self._require_running()
        return self._url.set(host=self.host, port=self.port)

    # -- faults of whole connections -----------------------------------------------------------

    def delay(self, seconds: float) -> None:
        """Hold each piece that comes for so long, either way; 0 ends that."""
        self.requests.delay(seconds)
        self.answers.delay(seconds)

    def black_hole(self) -> None:
        """Forward nothing any more, either way; new connections are accepted."""
        self.requests.black_hole()
        self.answers.black_hole()

    def heal(self) -> None:
        """Be a wire again: forward both ways, listen, and forget what was not carried out."""
        self._silent = False
        self.requests.heal()
        self.answers.heal()
        self.listen()

    def drop(self) -> None:
        """Close all connections."""
        self._each(Line.drop)

    def reset(self) -> None:
        """Reset all connections (RST)."""
        self._each(lambda line: line.drop(by_reset=True))

    def silence(self) -> None:
        """Accept new connections and never speak on them, as a server that hangs; `heal` ends it.

        Those that were accepted meanwhile stay silent.
        """
        self._silent = True

    def refuse(self) -> None:
        """Refuse new connections; those that stand go on, and nobody else gets the port."""
        self._do(self._stop_listening)

    def listen(self) -> None:
        """Listen again, on the same port."""
        self._await(self._begin_listening())

    # -- what came -----------------------------------------------------------------------------

    def connects(self, seconds: float = 1.0) -> int:
        """Return the most connections that were accepted within any so many seconds."""
        require_number("seconds", seconds, 0)
        times = list(self.accepted)
        ends = (bisect_left(times, begin + seconds) for begin in times)
        return max((end - begin for begin, end in enumerate(ends)), default=0)

    def wait_accepted(self, count: int, seconds: float = DEADLINE) -> None:
        """Wait until so many connections were accepted in all; TimeoutError when the time is over.

        It blocks, as `Way.wait` does.
        """
        require_number("count", count, 0)
        require_number("seconds", seconds, 0)
        with self._arrival:
            if not self._arrival.wait_for(lambda: len(self.accepted) >= count, seconds):
                came = len(self.accepted)
                raise TimeoutError(f"{came} connections came in {seconds:g} seconds, not {count}")

    # -- the thread ----------------------------------------------------------------------------

    def __enter__(self) -> Self:
        if self._thread.ident is not None:
            raise ArgumentError("a proxy serves one `with` block: make another one")
        self._addresses = _resolved(*self._server)
        self._door = _bound(self.host, 0)
        self.port = self._door.getsockname()[1]
        self._loop = asyncio.SelectorEventLoop()  # whatever loops the tests use
        self._thread.start()
        self.listen()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections and stop; may be called twice."""
        with self._closing:
            if self._thread.is_alive():
                self._await(self._end())
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join(DEADLINE)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.close()

    def _do(self, act: Callable[[], object]) -> None:
        async def run() -> None:
            act()

        self._await(run())

    def _each(self, act: Callable[[Line], None]) -> None:
        def run() -> None:
            for line in list(self._lines):
                act(line)

        self._do(run)

    def _await(self, coroutine: Coroutine[Any, Any, None]) -> None:
        try:
            self._require_running()
        except ArgumentError:
            coroutine.close()
            raise
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(DEADLINE)

    def _require_running(self) -> None:
        if not self._thread.is_alive():
            raise ArgumentError("the proxy is not running: use it within its `with` block")

    async def _begin_listening(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(
                self._serve, sock=self._door, limit=CHUNK, backlog=1024
            )

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            self._door = _bound(self.host, self.port)

    async def _end(self) -> None:
        self._is_over = True
        if self._listener is not None:
            self._listener.close()
        self._door.close()
        for line in self._lines:
            line.drop()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)

    # -- a connection --------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        line = Line(task)
        line.writers[self.answers] = writer
        if self._is_over:
            line.abort()
            return
        self._lines.add(line)
        silent = self._silent
        with self._arrival:
            self.accepted.append(time.monotonic())
            self._arrival.notify_all()
        try:
            if silent:
                while await reader.read(CHUNK):
                    pass
            else:
                await self._join(line, reader)
        except (OSError, asyncio.CancelledError):  # one of them is gone, or it was dropped
            pass
        finally:
            line.abort()
            self._lines.discard(line)

    async def _join(self, line: Line, client: asyncio.StreamReader) -> None:
        """Carry bytes both ways until both have ended, or one has failed."""
        server, line.writers[self.requests] = await self._dial()
        self._opened(line)
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._carry(line, client, self.requests))
                ways.create_task(self._carry(line, server, self.answers))
        except* OSError:
            line.abort()
        await line.flush()

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        *others, last = self._addresses
        for address in others:
            with suppress(OSError):
                return await asyncio.open_connection(*address, limit=CHUNK)
        return await asyncio.open_connection(*last, limit=CHUNK)

    async def _carry(self, line: Line, reader: asyncio.StreamReader, way: Way) -> None:
        """Carry bytes one way until their source ends, then say so to the target."""
        stream = Stream()
        while data := await reader.read(CHUNK):
            await way._be_held()
            line.hear(way)
            data, order = way._apply(stream, data)
            self._passes(line, way, data)
            await line.send(way, data, order)
        await way._be_held()
        line.end(way)

    # -- for those who know the protocol -------------------------------------------------------

    def _opened(self, line: Line) -> None:
        """A connection to the server stands; in the proxy's thread."""

    def _passes(self, line: Line, way: Way, data: bytes) -> None:
        """Bytes are about to be forwarded, unless `line.obey` cuts it; in the proxy's thread."""

    def __repr__(self) -> str:
        server = f"{self._server[0]}:{self._server[1]}"
        return f"<FaultProxy {self.host}:{self.port} to {server}: {len(self._lines)} connections>"


def _pattern(pattern: bytes) -> bytes:
    if type(pattern) is not bytes or not 0 < len(pattern) <= LONGEST:
        raise ArgumentError(f"a pattern is 1 to {LONGEST} bytes, not {pattern!r}")
    return pattern


def _resolved(host: str, port: int) -> list[tuple[str, int]]:
    """Return the addresses of a host; once, in the test's own thread."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise ArgumentError(f"the host {host!r} has no address: {exc}") from exc
    return [(str(address[0]), int(address[1])) for *_, address in found]


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that holds the port and does not listen: who connects is refused."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    return sock
