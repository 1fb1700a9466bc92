"""A PostgreSQL server of a test's own that may crash, and a standby of it that may be promoted."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tests.servers import driver_errors, run, wait_until
from tests.throwaway import Nest, find_program, free_port

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path
    from types import TracebackType
    from typing import Self

#: Nothing is on disk before a COMMIT puts it there: what writes by and by sleeps.
LAZY = {
    "listen_addresses": "127.0.0.1",
    "autovacuum": "off",
    "bgwriter_delay": "10s",
    "wal_writer_delay": "10s",
}


class Primary:
    """The server; its directory, and all that runs there, goes with the `with` block."""

    def __init__(self) -> None:
        self._postgres = find_program("postgresql", "postgres")
        self._nest = Nest("postgres")
        self._port = free_port()
        self.url = self._url(self._port)

    def _url(self, port: int) -> str:
        return f"postgresql://app:{self._nest.password}@127.0.0.1:{port}/postgres"

    def __enter__(self) -> Self:
        try:
            secret = self._nest.write("password", self._nest.password)
            self._nest.run(
                *(self._program("initdb"), "-D", self._data, f"--pwfile={secret}", "-N"),
                *("-U", "app", "-A", "scram-sha-256", "-E", "UTF8", "--no-locale"),
            )
            self._server = self._serve(self._data, self._port)
        except BaseException:
            self._nest.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._nest.stop()

    @property
    def _data(self) -> Path:
        return self._nest.path / "data"

    def _program(self, name: str) -> Path:
        return self._postgres.with_name(name)

    def _serve(self, data: Path, port: int) -> subprocess.Popen[bytes]:
        settings = {**LAZY, "unix_socket_directories": str(self._nest.path)}
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        server = self._nest.serve(self._postgres, "-D", data, *words, f"--port={port}", stop="INT")
        self._wait(port)
        return server

    def _wait(self, port: int) -> None:
        url = self._url(port)
        wait_until(lambda: run(url, "SELECT 1"), driver_errors("postgresql"), seconds=60)

    def crash(self) -> None:
        """Kill the server with all its processes, and start it again."""
        os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait()
        (self._data / "postmaster.pid").unlink()
        self._server = self._serve(self._data, self._port)

    def crash_a_process(self) -> None:
        """Kill one process of the server, which then ends all the others and recovers."""
        ask = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
        ((pid,),) = run(self.url, ask)
        os.kill(pid, signal.SIGKILL)

        def recovered() -> None:
            ((now,),) = run(self.url, ask)
            if now == pid:
                raise driver_errors("postgresql")[0]("the old one answers still")

        wait_until(recovered, (*driver_errors("postgresql"), ValueError), seconds=60)

    def restart(self) -> None:
        """Shut the server down in good order, and start it again."""
        self._server.send_signal(signal.SIGINT)
        self._server.wait()
        self._server = self._serve(self._data, self._port)

    def promoted_standby(self) -> str:
        """Copy the server, let the copy follow it, and promote the copy; its URL."""
        copy, port = self._nest.path / "standby", free_port()
        self._nest.run(
            self._program("pg_basebackup"), "-d", self.url, "-D", copy, "-R", "-c", "fast"
        )
        self._serve(copy, port)
        run(self._url(port), "SELECT pg_promote()")
        return self._url(port)
