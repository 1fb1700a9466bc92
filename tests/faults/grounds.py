"""Where servers are broken: throw-away ones, each started at the first need and used again."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import pytest

from tests.servers import Unavailable, driver_errors, run, wait_until
from tests.throwaway import Throwaway, find_program, free_port, postgresql_on, start_server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.throwaway import Nest


#: The kinds of which a throw-away server must be there, as in CI.
REQUIRED = "PLAINSQL_TEST_REQUIRE_THROWAWAY"


def missing(kind: str, why: Unavailable) -> NoReturn:
    """Skip what needs a server to break, or fail where there must be one."""
    if kind in os.environ.get(REQUIRED, "").split(","):
        pytest.fail(f"a throw-away server of {kind} is required: {why}", pytrace=False)
    pytest.skip(f"no throw-away server of {kind}: {why}")


class Pair(NamedTuple):
    """A primary and its hot standby, which waits for no reader."""

    primary: Throwaway
    standby: Throwaway


class Grounds:
    """Starts each server once; `close` stops them all."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._servers: dict[str, Throwaway] = {}
        self._pair: Pair | None = None
        self._pooler: str | None = None

    def server(self, kind: str) -> Throwaway:
        """A server of that kind; Unavailable says why there is none."""
        if kind not in self._servers:
            disk = "small" if os.geteuid() == 0 else None
            server = start_server(kind, OPTIONS[kind], disk=disk)
            self._stack.callback(server.stop)
            self._servers[kind] = server
        return self._servers[kind]

    def pair(self) -> Pair:
        """A PostgreSQL server and one that follows it."""
        if self._pair is None:
            primary = start_server("postgresql")
            self._stack.callback(primary.stop)
            self._pair = Pair(primary, _standby_of(primary))
        return self._pair

    def pooler(self) -> str:
        """The URL of a PgBouncer before the PostgreSQL server, with one connection to it."""
        if self._pooler is None:
            self._pooler = _pooler_of(self.server("postgresql"))
        return self._pooler

    def close(self) -> None:
        self._stack.close()


POOLER = """
[databases]
test = host=127.0.0.1 port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = session
default_pool_size = 1
max_client_conn = 5
query_wait_timeout = 1
server_login_retry = 1
"""


def _pooler_of(server: Throwaway) -> str:
    nest, port = server.nest, free_port()
    users = nest.write("users", f'"app" "{nest.password}"\n')
    settings = POOLER.format(server=server.port, port=port, users=users)
    pooler = nest.serve(
        find_program("pgbouncer", "pgbouncer"), nest.write("pooler.ini", settings), stop="KILL"
    )
    url = server.url.replace(f":{server.port}/", f":{port}/")
    errors = driver_errors("postgresql")
    wait_until(
        lambda: run(url, "SELECT 1"), errors, seconds=10, is_alive=lambda: pooler.poll() is None
    )
    return url


def _standby_of(primary: Throwaway) -> Throwaway:
    nest = primary.nest
    with (nest.path / "data" / "pg_hba.conf").open("a") as rules:
        rules.write("\nhost replication all 127.0.0.1/32 scram-sha-256\n")
    run(primary.url, "SELECT pg_reload_conf()")
    copy = find_program("postgresql", "postgres").with_name("pg_basebackup")
    data = nest.path / "standby"
    nest.run(copy, "-d", primary.url, "-D", data, "-R", "-c", "fast")
    command = postgresql_on(nest, data)
    return Throwaway("postgresql", nest, [*command, *_settings("max_standby_streaming_delay=0")])


# -- how they are set up ------------------------------------------------------------------------


def _settings(*settings: str) -> list[str]:
    return [word for setting in settings for word in ("-c", setting)]


def _postgresql(nest: Nest) -> Sequence[str]:
    certificate, key = _certificates(nest)
    tls = (f"ssl_cert_file={certificate}", f"ssl_key_file={key}", "ssl=on")
    return _settings("max_connections=12", *tls)


def _mariadb(nest: Nest) -> Sequence[str]:
    certificate, key = _certificates(nest)
    return [f"--ssl-cert={certificate}", f"--ssl-key={key}"]


def _mysql(nest: Nest) -> Sequence[str]:
    _certificates(nest)  # it makes its own; we need another one's
    disk = nest.path / "small"
    return [f"--innodb-directories={disk}"] if disk.exists() else []


OPTIONS = {"postgresql": _postgresql, "mariadb": _mariadb, "mysql": _mysql}


def _certificates(nest: Nest) -> tuple[str, str]:
    """Make a certificate that nobody vouches for, and `other.pem`, which is not it."""
    for name in ("server", "other"):
        key, certificate = (nest.write(f"{name}.{suffix}", "") for suffix in ("key", "pem"))
        words = ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}")
        files = ("-keyout", str(key), "-out", str(certificate))
        subprocess.run(["openssl", "req", *words, *files], check=True, capture_output=True)
        key.chmod(0o600)
    return str(nest.path / "server.pem"), str(nest.path / "server.key")
