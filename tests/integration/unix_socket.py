"""A Unix socket in front of a server that may be anywhere: its own may be out of reach."""

from __future__ import annotations

import select
import socket
import socketserver
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def unix_socket(name: str, host: str, port: int) -> Iterator[Path]:
    """Forward a socket of that name, in a folder of its own with a short path, to the server."""

    class Forward(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((host, port)) as server:
                _forward(self.request, server)

    with tempfile.TemporaryDirectory(prefix="plainsql-") as folder:
        path = Path(folder) / name
        with socketserver.ThreadingUnixStreamServer(str(path), Forward) as listener:
            thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield path
            finally:
                listener.shutdown()
                thread.join()


def _forward(client: socket.socket, server: socket.socket) -> None:
    """Carry bytes both ways until one side ends."""
    other = {client: server, server: client}
    while True:
        for side in select.select(list(other), [], [])[0]:
            data = side.recv(1 << 16)
            if not data:
                return
            other[side].sendall(data)
