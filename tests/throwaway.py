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
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.servers import Server, Unavailable, driver_errors, mark, run, version_of, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PORTS = range(20000, 32000)

# $1: the directory; each line on stdin: a signal and the process group that is to get it.
# The end of stdin means that whoever started us is gone or has had enough.
_GUARD = """
cd /; jobs=
while read -r signal group; do jobs="$jobs $signal:$group"; done
for job in $jobs; do
  group=${job#*:}; kill -s "${job%%:*}" -- "-$group" 2>/dev/null || continue
  n=0; while kill -s 0 -- "-$group" 2>/dev/null; do
    n=$((n+1)); [ $n -lt 100 ] || { kill -s KILL -- "-$group" 2>/dev/null; break; }; sleep 0.1
  done
done
rm -rf -- "$1"
"""


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
        self._servers: list[subprocess.Popen[bytes]] = []

    def run(self, *command: str | Path) -> None:
        """Run to the end as the unprivileged user."""
        log = self.path / "setup.log"
        with log.open("ab") as out:
            done = subprocess.run(
                command, **self._surroundings(out), check=False, start_new_session=True
            )
        if done.returncode:
            raise Unavailable(f"{Path(command[0]).name} failed: {_tail(log)}")

    def serve(self, *command: str | Path, stop: str) -> subprocess.Popen[bytes]:
        """Start a server, to be stopped by that signal."""
        with (self.path / "server.log").open("ab") as out:
            server = subprocess.Popen(command, **self._surroundings(out), start_new_session=True)
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


def _no_options(nest: Nest) -> Sequence[str]:
    del nest
    return ()


def start_throwaway(kind: str, options: Callable[[Nest], Sequence[str]] = _no_options) -> Server:
    """Start a server of that kind; its database is empty but for our marker.

    `options` gives words of its command line, and may write files into its directory.
    """
    start = {"postgresql": _start_postgresql, "mariadb": _start_mariadb, "mysql": _start_mysql}
    return start[kind](options)


def _start_postgresql(options: Callable[[Nest], Sequence[str]]) -> Server:
    postgres = find_program("postgresql", "postgres")
    initdb = postgres.with_name("initdb")
    if not initdb.exists():
        raise Unavailable(f"no initdb beside {postgres}")
    with _nest("postgres") as nest:
        data = nest.path / "data"
        secret = nest.write("password", nest.password)
        rules = ("-U", "app", "-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "-N")
        nest.run(initdb, "-D", data, f"--pwfile={secret}", *rules)
        command: list[str | Path] = [postgres, "-D", data, *_settings(nest), *options(nest)]
        return _serve("postgresql", nest, command, _new_database)


def _settings(nest: Nest) -> list[str]:
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": str(nest.path),
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
    }
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


def _new_database(url: str) -> None:
    run(url.removesuffix("test") + "postgres", "CREATE DATABASE test")


def _start_mariadb(options: Callable[[Nest], Sequence[str]]) -> Server:
    mariadbd = find_program("mariadb", "mariadbd")
    install = find_program("mariadb", "mariadb-install-db")
    with _nest("mysql") as nest:
        nest.run(install, "--no-defaults", f"--datadir={nest.path / 'data'}", "--skip-test-db")
        return _serve("mariadb", nest, [mariadbd, *_options(nest), *options(nest)], _answers)


def _start_mysql(options: Callable[[Nest], Sequence[str]]) -> Server:
    mysqld = find_program("mysql", "mysqld")
    if is_mariadb(mysqld):
        raise Unavailable(f"no MySQL server: {mysqld} is MariaDB")
    with _nest("mysql") as nest:
        data = f"--datadir={nest.path / 'data'}"
        nest.run(mysqld, "--no-defaults", "--initialize-insecure", data)
        only_mysql = ("--mysqlx=OFF", "--secure-file-priv=NULL")
        command: list[str | Path] = [mysqld, *_options(nest), *only_mysql, *options(nest)]
        return _serve("mysql", nest, command, _answers)


def _options(nest: Nest) -> list[str]:
    account = nest.write(
        "init.sql",
        f"CREATE USER app@'%' IDENTIFIED BY '{nest.password}';\n"
        "GRANT ALL ON *.* TO app@'%' WITH GRANT OPTION;\n"
        f"ALTER USER root@localhost IDENTIFIED BY '{nest.password}';\n"
        "CREATE DATABASE test;\n",
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


def _answers(url: str) -> None:
    run(url, "SELECT 1")


@contextmanager
def _nest(account: str) -> Iterator[Nest]:
    """A nest that outlives the block only if all in it went well."""
    nest = Nest(account)
    try:
        yield nest
    except BaseException:
        nest.stop()
        raise


def _serve(
    kind: str, nest: Nest, command: Sequence[str | Path], ask: Callable[[str], None]
) -> Server:
    """Start the server on a free port and wait until it answers."""
    port = free_port()
    url = f"{kind}://app:{nest.password}@127.0.0.1:{port}/test"
    # a write can be undone by nobody here, so PostgreSQL alone needs a signal it can react to:
    # its shared memory is outside the directory
    stop = "INT" if kind == "postgresql" else "KILL"
    server = nest.serve(*command, f"--port={port}", stop=stop)
    try:
        wait_until(
            lambda: ask(url),
            driver_errors(kind),
            seconds=60,
            is_alive=lambda: server.poll() is None,
        )
    except driver_errors(kind) as exc:
        said = nest.last_words()
        raise Unavailable(f"the {kind} server from {command[0]} did not start: {said}") from exc
    mark(url)
    return Server(kind, url, version_of(url), "a throw-away server", nest.stop)
