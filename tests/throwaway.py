"""Throw-away servers from the binaries of this machine: PostgreSQL, MariaDB, MySQL.

Each lives in a temporary directory on a free port and belongs to a guard, a shell that waits for
the end of the tests (even by SIGKILL), stops the server and removes the directory.
"""

from __future__ import annotations

import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.servers import Server, Unavailable, driver_errors, mark, run, version_of, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Process = subprocess.Popen[bytes]
    Options = Callable[["Nest"], Sequence[str]]

PORTS = range(20000, 32000)

# $1: the directory; each line on stdin: a signal and the process group that is to get it.
# The end of stdin means that whoever started us is gone or has had enough.
_GUARD = """
cd /; jobs=
while read -r signal group; do jobs="$jobs $signal:$group"; done
for job in $jobs; do
  group=${job#*:}; kill -s "${job%%:*}" -- "-$group" 2>/dev/null || continue
  kill -s CONT -- "-$group" 2>/dev/null
  n=0; while kill -s 0 -- "-$group" 2>/dev/null; do
    n=$((n+1)); [ $n -lt 100 ] || { kill -s KILL -- "-$group" 2>/dev/null; break; }; sleep 0.1
  done
done
rm -rf -- "$1"
"""


# $1: how large, and whose; $2: the folder; the rest: what to run with it mounted.
_MOUNT = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"'
DISK_SIZE = "16m"


class Nest:
    """A temporary directory with processes in it, all gone when the tests are."""

    def __init__(self, account: str) -> None:
        self._as = _unprivileged(account)
        self.password = secrets.token_hex(8)
        self.path = Path(tempfile.mkdtemp(prefix="plainsql-test-"))
        if user := self._as.get("user"):
            shutil.chown(self.path, user, self._as["group"])
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "guard", str(self.path)],
            stdin=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        self._servers: list[Process] = []

    def run(self, *command: str | Path) -> None:
        """Run to the end as the unprivileged user."""
        log = self.path / "setup.log"
        with log.open("ab") as out:
            done = subprocess.run(
                command, **self._surroundings(out), check=False, start_new_session=True
            )
        if done.returncode:
            raise Unavailable(f"{Path(command[0]).name} failed: {_tail(log)}")

    def serve(self, *command: str | Path, stop: str, disk: Path | None = None) -> Process:
        """Start a server, to be stopped by that signal; `disk` is a folder that is to hold little.

        The small disk belongs to the server's own view of the files and goes with the server.
        """
        with (self.path / "server.log").open("ab") as out:
            surroundings = self._surroundings(out)
            if disk is not None:
                if os.geteuid() != 0:
                    raise Unavailable("only root can mount a small disk")
                user, group = surroundings.pop("user"), surroundings.pop("group")
                surroundings.pop("extra_groups")
                rights = ("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups")
                owner = f"size={DISK_SIZE},uid={user},gid={group},mode=700"
                command = ("sh", "-c", _MOUNT, "sh", owner, disk, *rights, *command)
                command = ("unshare", "--mount", "--propagation", "private", *command)
            server = subprocess.Popen(command, **surroundings, start_new_session=True)
        self._servers.append(server)
        assert self._guard.stdin is not None
        self._guard.stdin.write(f"{stop} {server.pid}\n")
        self._guard.stdin.flush()
        return server

    def write(self, name: str, text: str) -> Path:
        """Write a file that the server may read."""
        path = self.path / name
        path.write_text(text, "utf-8")
        if user := self._as.get("user"):
            shutil.chown(path, user, self._as["group"])
        return path

    def folder(self, name: str) -> Path:
        """Make a folder that the server may write to."""
        path = self.path / name
        path.mkdir()
        if user := self._as.get("user"):
            shutil.chown(path, user, self._as["group"])
        return path

    def stop(self) -> None:
        """Stop what runs and remove the directory."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        for server in self._servers:
            server.wait()
        self._guard.wait()

    def last_words(self) -> str:
        return _tail(self.path / "server.log")

    def _surroundings(self, out: Any) -> dict[str, Any]:
        streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": out}
        return {**self._as, **streams, "cwd": self.path}


def _unprivileged(account: str) -> dict[str, Any]:
    """As whom a database server runs: never as root."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get(account) or known.get("nobody")
    if entry is None:
        raise Unavailable(f"no user {account} or nobody to run the server as")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _tail(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").splitlines() if log.is_file() else []
    return " | ".join(line.strip() for line in lines[-3:])[-300:] or "no output"


def free_port() -> int:
    """A port that nobody listens on; not from `random`, which the tests seed alike."""
    ports = random.SystemRandom().sample(PORTS, 50)
    for port in ports:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Unavailable("no free port between 20000 and 32000")


# -- which binaries -----------------------------------------------------------------------------

_BREW = "/opt/homebrew/opt"
_SBIN = ("/usr/sbin", "/usr/libexec", "/usr/local/sbin")
_FOLDERS = {
    "postgresql": ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", f"{_BREW}/postgresql*/bin"),
    "mariadb": (*_SBIN, f"{_BREW}/mariadb*/bin"),
    "mysql": (*_SBIN, f"{_BREW}/mysql*/bin"),
    "pgbouncer": (*_SBIN, f"{_BREW}/pgbouncer/bin"),
}


def find_program(kind: str, name: str) -> Path:
    """The program on the path, or where packages put it; the highest version of several."""
    if found := shutil.which(name):
        return Path(found).resolve()
    for folder in _FOLDERS[kind]:
        matches = Path("/").glob(f"{folder[1:]}/{name}")
        for path in sorted(matches, key=_version_key, reverse=True):
            if os.access(path, os.X_OK):
                return path.resolve()
    raise Unavailable(f"no program {name} on this machine")


def _version_key(path: Path) -> list[int]:
    return [int(part) for part in path.parts if part.isdigit()]


def is_mariadb(mysqld: Path) -> bool:
    """Whether a server that is called mysqld is MariaDB all the same."""
    said = subprocess.run([mysqld, "--no-defaults", "--version"], capture_output=True, check=False)
    return b"mariadb" in said.stdout.lower()


# -- starting -----------------------------------------------------------------------------------


class Throwaway:
    """A server in a nest of its own; once ended, however that was, it can be started again."""

    def __init__(
        self, kind: str, nest: Nest, command: list[str | Path], *, disk: Path | None = None
    ) -> None:
        self.kind = kind
        self.nest = nest
        self.port = free_port()
        self.url = f"{kind}://app:{nest.password}@127.0.0.1:{self.port}/test"
        self.process: Process
        self._command = [*command, f"--port={self.port}"]
        self._disk = disk
        self._frozen: list[int] = []
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        # a write can be undone by nobody here, so PostgreSQL alone needs a signal it can react to:
        # its shared memory is outside the directory
        stop = "INT" if self.kind == "postgresql" else "KILL"
        self.process = server = self.nest.serve(*self._command, stop=stop, disk=self._disk)
        # the database of the tests is not there yet when PostgreSQL starts for the first time
        url = self.url.removesuffix("test") + ("postgres" if self.kind == "postgresql" else "test")
        errors = driver_errors(self.kind)
        try:
            wait_until(
                lambda: run(url, "SELECT 1"),
                errors,
                seconds=60,
                is_alive=lambda: server.poll() is None,
            )
        except errors as exc:
            said = self.nest.last_words()
            program = self._command[0]
            raise Unavailable(
                f"the {self.kind} server from {program} did not start: {said}"
            ) from exc

    @property
    def disk(self) -> Path:
        """The folder that holds little."""
        if self._disk is None:
            raise Unavailable("only root can mount a small disk")
        return self._disk

    def end(self, how: signal.Signals) -> None:
        """End the server by a signal and wait for that."""
        self.process.send_signal(how)
        self.process.wait()

    def kill(self) -> None:
        """End all of its processes by SIGKILL, the parent first: it starts no new ones."""
        for pid in self._pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def freeze(self) -> None:
        """Let all of it stand still, the parent first; the kernel goes on acknowledging."""
        self._frozen = self._pids()
        for pid in self._frozen:
            with suppress(ProcessLookupError, FileNotFoundError):  # it has just ended
                os.kill(pid, signal.SIGSTOP)
                _wait_until_stopped(pid)

    def thaw(self) -> None:
        """Let it go on."""
        for pid in reversed(self._frozen):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._frozen = []

    def restart(self) -> None:
        """End the server, if it still runs, and start it again."""
        if self.process.poll() is None:
            self.end(signal.SIGINT if self.kind == "postgresql" else signal.SIGKILL)
        self.start()

    def stop(self) -> None:
        """Stop the server for good; what it wrote is gone."""
        self.thaw()
        self.nest.stop()

    def _pids(self) -> list[int]:
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]


def _wait_until_stopped(pid: int) -> None:
    deadline = time.monotonic() + 10
    for thread in Path(f"/proc/{pid}/task").iterdir():
        while (thread / "stat").read_text().rpartition(")")[2].split()[0] not in "TZ":
            assert time.monotonic() < deadline, f"process {pid} does not stand still"
            time.sleep(0.001)


def _no_options(nest: Nest) -> Sequence[str]:
    del nest
    return ()


def start_throwaway(kind: str, options: Options = _no_options) -> Server:
    """Start a server of that kind; its database is empty but for our marker.

    `options` gives words of its command line, and may write files into its directory.
    """
    server = start_server(kind, options)
    try:
        return Server(kind, server.url, version_of(server.url), "a throw-away server", server.stop)
    except BaseException:
        server.stop()
        raise


def start_server(
    kind: str, options: Options = _no_options, *, disk: str | None = None
) -> Throwaway:
    """The same, as what can be ended and started again.

    `disk` is the name of a folder beside the data that holds 16 MB and no more.
    """
    lay = {"postgresql": _lay_postgresql, "mariadb": _lay_mariadb, "mysql": _lay_mysql}[kind]
    with _nest("postgres" if kind == "postgresql" else "mysql") as nest:
        command = lay(nest)
        small = nest.folder(disk) if disk else None
        server = Throwaway(kind, nest, [*command, *options(nest)], disk=small)
        if kind == "postgresql":
            run(server.url.removesuffix("test") + "postgres", "CREATE DATABASE test")
        mark(server.url)
        return server


def _lay_postgresql(nest: Nest) -> list[str | Path]:
    postgres = find_program("postgresql", "postgres")
    initdb = postgres.with_name("initdb")
    if not initdb.exists():
        raise Unavailable(f"no initdb beside {postgres}")
    data = nest.path / "data"
    secret = nest.write("password", nest.password)
    rules = ("-U", "app", "-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "-N", "-k")
    nest.run(initdb, "-D", data, f"--pwfile={secret}", *rules)
    return postgresql_on(nest, data)


def postgresql_on(nest: Nest, data: Path) -> list[str | Path]:
    """Return what serves a folder of data that is there."""
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": str(nest.path),
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
    }
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return [find_program("postgresql", "postgres"), "-D", data, *words]


def _lay_mariadb(nest: Nest) -> list[str | Path]:
    mariadbd = find_program("mariadb", "mariadbd")
    install = find_program("mariadb", "mariadb-install-db")
    nest.run(install, "--no-defaults", f"--datadir={nest.path / 'data'}", "--skip-test-db")
    return [mariadbd, *_options(nest)]


def _lay_mysql(nest: Nest) -> list[str | Path]:
    mysqld = find_program("mysql", "mysqld")
    if is_mariadb(mysqld):
        raise Unavailable(f"no MySQL server: {mysqld} is MariaDB")
    data = f"--datadir={nest.path / 'data'}"
    nest.run(mysqld, "--no-defaults", "--initialize-insecure", data)
    return [mysqld, *_options(nest), "--mysqlx=OFF", "--secure-file-priv=NULL"]


def _options(nest: Nest) -> list[str]:
    account = nest.write(
        "init.sql",
        f"CREATE USER IF NOT EXISTS app@'%' IDENTIFIED BY '{nest.password}';\n"
        "GRANT ALL ON *.* TO app@'%' WITH GRANT OPTION;\n"
        f"ALTER USER root@localhost IDENTIFIED BY '{nest.password}';\n"
        "CREATE DATABASE IF NOT EXISTS test;\n",
    )
    return [
        "--no-defaults",
        f"--datadir={nest.path / 'data'}",
        f"--init-file={account}",
        f"--socket={nest.path / 'socket'}",
        f"--pid-file={nest.path / 'pid'}",
        "--bind-address=127.0.0.1",
        "--innodb-buffer-pool-size=64M",
        "--innodb-flush-log-at-trx-commit=0",
        "--innodb-flush-method=nosync",  # nothing here outlives the run
        "--skip-log-bin",
        "--skip-name-resolve",
    ]


@contextmanager
def _nest(account: str) -> Iterator[Nest]:
    """A nest that outlives the block only if all in it went well."""
    nest = Nest(account)
    try:
        yield nest
    except BaseException:
        nest.stop()
        raise
