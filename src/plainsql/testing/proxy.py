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
from contextlib import suppress
from typing import TYPE_CHECKING, Any

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


class Way:
    """One direction of all connections, and what is to happen on it.

    Orders hold for the connections that are open and for those to come.  `cut_…`, `reset_at`,
    `flip` and `flip_after` are carried out once, on the first connection that gives the occasion;
    a new one takes the place of one that was not carried out yet.
    """

    def __init__(self, proxy: FaultProxy, name: str) -> None:
        self._proxy = proxy
        self._name = name
        self._order = ""
        self._pattern = b""
        self._at = 0
        self._delay = 0.0
        self._fired = threading.Event()
        self._flows = asyncio.Event()
        self._flows.set()

    # -- orders --------------------------------------------------------------------------------

    def cut_before(self, pattern: bytes) -> None:
        """Close the connection where the pattern comes; its last byte is not forwarded."""
        self._set("cut", _pattern(pattern))

    def cut_after(self, pattern: bytes) -> None:
        """Forward the pattern, and close the connection when the other side answers.

        What was asked for has been done then, and nobody hears of it.
        """
        self._set("answer", _pattern(pattern))

    def reset_at(self, pattern: bytes) -> None:
        """Reset the connection (RST) where the pattern comes; its last byte is not forwarded."""
        self._set("reset", _pattern(pattern))

    def flip(self, at: int) -> None:
        """Flip all bits of the byte at that offset, from 0, of a connection that begins later."""
        if type(at) is not int or at < 0:
            raise ArgumentError(f"an offset is a whole number from 0 on, not {at!r}")
        self._set("flip", b"", at)

    def flip_after(self, pattern: bytes) -> None:
        """Flip all bits of the byte that follows the pattern."""
        self._set("flip", _pattern(pattern))

    def delay(self, seconds: float) -> None:
        """Hold what comes for so long before it is forwarded; 0 ends that."""
        require_number("seconds", seconds, 0)
        self._delay = seconds

    def black_hole(self) -> None:
        """Forward nothing any more; connections stay open, and the kernel acknowledges."""
        self._proxy._do(self._flows.clear)

    def heal(self) -> None:
        """Forward again, what was held first; orders that were not carried out are forgotten."""
        self._order, self._delay = "", 0.0
        self._proxy._do(self._flows.set)

    def half_close(self) -> None:
        """Tell the receivers that nothing comes any more (FIN); the other way stays open."""
        self._proxy._each(lambda line: line.end(self))

    @property
    def has_fired(self) -> bool:
        """Whether the last order was carried out."""
        return self._fired.is_set()

    def wait(self, seconds: float = DEADLINE) -> None:
        """Wait until the last order was carried out; TimeoutError when the time is over."""
        if not self._fired.wait(seconds):
            raise TimeoutError(f"nothing gave occasion to the order in {seconds:g} seconds")

    def _set(self, order: str, pattern: bytes, at: int = 0) -> None:
        self._fired.clear()
        self._pattern, self._at = pattern, at
        self._order = order  # last: the proxy's thread looks at this one first

    # -- what the proxy's thread does ----------------------------------------------------------

    def _apply(self, stream: Stream, data: bytes) -> tuple[bytes, str]:
        """Return what is to be forwarded of a chunk, and the order that it gave occasion to."""
        begins = stream.count
        stream.count += len(data)
        if not self._order:
            stream.tail = b""
            return data, ""
        place = self._place(stream, data, begins)
        if place is None:
            return data, ""
        order, self._order = self._order, ""
        if order == "flip":
            data = data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]
        elif order != "answer":
            data = data[:place]
        return data, order

    def _place(self, stream: Stream, data: bytes, begins: int) -> int | None:
        """Return where in the chunk the order is to be carried out, or None."""
        if not self._pattern:
            place = self._at - begins
            return place if 0 <= place < len(data) else None
        found = (stream.tail + data).find(self._pattern)
        if found < 0:
            stream.tail = (stream.tail + data)[-(len(self._pattern) - 1 or 1) :]
            return None
        place = found + len(self._pattern) - len(stream.tail)
        if self._order != "flip":
            return place - 1
        if place < len(data):
            return place
        stream.tail = (stream.tail + data)[-len(self._pattern) :]  # its byte comes with the next
        return None

    def __repr__(self) -> str:
        return f"<Way {self._name}: {self._order or 'no'} order>"


class Stream:
    """One direction of one connection: how much of it has come, and the end of that."""

    def __init__(self) -> None:
        self.count = 0
        self.tail = b""


class Line:
    """One connection: the client's side and the server's."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy
        self.writers: dict[Way, asyncio.StreamWriter] = {}
        self.answer_is_due: Way | None = None

    def end(self, way: Way) -> None:
        """Send FIN on one way."""
        writer = self.writers.get(way)
        if writer is not None and writer.can_write_eof():
            with suppress(OSError, RuntimeError):
                writer.write_eof()

    def close(self) -> None:
        """Close both sides."""
        for writer in self.writers.values():
            writer.transport.abort()

    def reset(self) -> None:
        """Close both sides by RST."""
        for writer in self.writers.values():
            sock = writer.get_extra_info("socket")
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


class FaultProxy:
    """Stands before a server, at `host` and `port` of its own, as long as the `with` block lasts.

    `requests` is the way from the clients to the server, `answers` the way back; see `Way`.
    """

    host = "127.0.0.1"
    port: int
    _loop: asyncio.AbstractEventLoop

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._url: URL | None = None
        self._thread = threading.Thread(target=self._run, name="plainsql-proxy", daemon=True)
        self._listener: asyncio.Server | None = None
        self._lines: set[Line] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._silent = False
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
        proxy = cls(url.host, port)
        proxy._url = url
        return proxy

    @property
    def url(self) -> URL:
        """The URL by way of the proxy, if it was made by `to`."""
        if self._url is None:
            raise ArgumentError("this proxy was made without a URL: make it by FaultProxy.to(url)")
        return self._url.set(host=self.host, port=self.port)

    # -- faults of whole connections -----------------------------------------------------------

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
        self._each(Line.close)

    def reset(self) -> None:
        """Reset all connections (RST)."""
        self._each(Line.reset)

    def silence(self) -> None:
        """Accept new connections and never speak on them, as a server that hangs; `heal` ends it.

        Those that were accepted meanwhile stay silent.
        """
        self._silent = True

    def refuse(self) -> None:
        """Stop listening: new connections are refused; those that stand go on."""
        self._do(self._stop_listening)

    def listen(self) -> None:
        """Listen again, on the same port."""
        self._await(self._begin_listening())

    def connects(self, seconds: float = 1.0) -> int:
        """Return the most connections that were accepted within any so many seconds."""
        times = list(self.accepted)
        return max(
            (sum(begin <= one < begin + seconds for one in times) for begin in times), default=0
        )

    # -- the thread ----------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        self._await(self._begin_listening())
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
        if not self._thread.is_alive():
            coroutine.close()
            raise ArgumentError("the proxy is not running: use it within its `with` block")
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(DEADLINE)

    async def _begin_listening(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(
                self._serve, self.host, self.port, limit=CHUNK, backlog=1024
            )
            self.port = self._listener.sockets[0].getsockname()[1]

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _end(self) -> None:
        self._stop_listening()
        for line in list(self._lines):
            line.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- a connection --------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        line = Line(self)
        line.writers[self.answers] = writer
        self._lines.add(line)
        self.accepted.append(time.monotonic())
        try:
            if self._silent:
                while await reader.read(CHUNK):
                    pass
                return
            server_reader, line.writers[self.requests] = await asyncio.open_connection(
                *self._server, limit=CHUNK
            )
            self._opened(line)
            await asyncio.gather(
                self._carry(line, reader, self.requests),
                self._carry(line, server_reader, self.answers),
            )
        except (OSError, asyncio.CancelledError):  # one of them is gone, or the proxy ends
            pass
        finally:
            line.close()
            self._lines.discard(line)
            self._tasks.discard(task)

    async def _carry(self, line: Line, reader: asyncio.StreamReader, way: Way) -> None:
        """Carry bytes one way until their source ends, then say so to the target."""
        stream, writer = Stream(), line.writers[way]
        while data := await reader.read(CHUNK):
            if way._delay:
                await asyncio.sleep(way._delay)
            await way._flows.wait()
            if line.answer_is_due is not None and line.answer_is_due is not way:
                self._carry_out(line, "cut", line.answer_is_due)
            data, order = way._apply(stream, data)
            if order == "answer":
                line.answer_is_due = way
            elif order == "flip":
                way._fired.set()
            self._passes(line, way, data)
            writer.write(data)
            await writer.drain()
            if order in ("cut", "reset"):
                self._carry_out(line, order, way)
        await way._flows.wait()
        line.end(way)

    def _carry_out(self, line: Line, order: str, way: Way) -> None:
        way._fired.set()  # before anybody can notice
        if order == "cut":
            line.close()
        else:
            line.reset()
        raise ConnectionAbortedError("by order")

    # -- for those who know the protocol -------------------------------------------------------

    def _opened(self, line: Line) -> None:
        """A connection to the server stands; in the proxy's thread."""

    def _passes(self, line: Line, way: Way, data: bytes) -> None:
        """Bytes are about to be forwarded, or to be held by `_cut`; in the proxy's thread."""

    def _cut(self, line: Line, way: Way, *, answered: bool) -> None:
        """Cut a connection from within `_passes`: now, or when the other side answers."""
        if answered:
            line.answer_is_due = way
        else:
            self._carry_out(line, "cut", way)

    def __repr__(self) -> str:
        server = f"{self._server[0]}:{self._server[1]}"
        return f"<FaultProxy {self.host}:{self.port} to {server}: {len(self._lines)} connections>"


def _pattern(pattern: bytes) -> bytes:
    if type(pattern) is not bytes or not 0 < len(pattern) <= LONGEST:
        raise ArgumentError(f"a pattern is 1 to {LONGEST} bytes, not {pattern!r}")
    return pattern
