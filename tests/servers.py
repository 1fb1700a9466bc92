"""Find a database of each kind to test against, and refuse to write to one that is not ours.

In this order: a URL given by hand (option, environment, `.env.test`), a container, a throw-away
server from local binaries, nothing.  Speaks through the raw drivers only, so that a broken
plainsql can not hide here.  `python -m tests.servers mark URL` marks a database as ours.
"""

from __future__ import annotations

import functools
import gc
import os
import sqlite3
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from urllib.parse import SplitResult

KINDS = ("sqlite", "postgresql", "mysql", "mariadb")
MARKER = "plainsql_test_marker"
ROOT = Path(__file__).resolve().parent.parent


class Unavailable(Exception):
    """No such database here; the reason is for people to read."""


class Unusable(Exception):
    """A database was named, but it can not or must not be used: always a failure."""


class RawCursor(Protocol):
    """The slice of PEP 249's cursor that the tests use."""

    def execute(self, sql: str, params: Any = ..., /) -> Any: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> Any: ...
    def close(self) -> None: ...


class RawConnection(Protocol):
    """The slice of PEP 249's connection that the tests use."""

    def cursor(self) -> Any: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def close(self) -> None: ...


class Server(NamedTuple):
    """A database that may be written to."""

    kind: str
    url: str
    version: str
    source: str
    stop: Callable[[], None]


# -- raw drivers --------------------------------------------------------------------------------


def kind_of(url: str) -> str:
    kind = urlsplit(url).scheme.partition("+")[0]
    if kind not in KINDS:
        raise Unusable(f"the scheme of a test URL is one of {', '.join(KINDS)}, not {kind!r}")
    return kind


def connect(url: str, *, timeout: int = 10, plain: bool = True) -> RawConnection:
    """Connect by the raw driver, in autocommit mode.

    `plain` spares MySQL's TLS, whose context costs 40 ms: this is for housekeeping. What is
    measured takes `plain=False`, the driver's own default.
    """
    parts = urlsplit(url)
    kind = kind_of(url)
    if kind == "sqlite":
        return sqlite3.connect(sqlite_path(url), isolation_level=None, timeout=timeout)
    account: dict[str, Any] = {
        "host": parts.hostname or "127.0.0.1",
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "connect_timeout": timeout,
        "autocommit": True,
    }
    return _connect_server(kind, parts, account, plain)


def _connect_server(
    kind: str, parts: SplitResult, account: dict[str, Any], plain: bool
) -> RawConnection:
    database = unquote(parts.path.removeprefix("/"))
    if kind == "postgresql":
        import psycopg

        return psycopg.connect(port=parts.port or 5432, dbname=database, **account)
    import pymysql

    account |= {"charset": "utf8mb4", "ssl_disabled": plain}
    return pymysql.connect(port=parts.port or 3306, database=database, **account)


def sqlite_path(url: str) -> str:
    """`sqlite:///relative` and `sqlite:////absolute`, as plainsql reads them."""
    return unquote(urlsplit(url).path.removeprefix("/"))


def driver_errors(kind: str) -> tuple[type[Exception], ...]:
    """What the raw driver of that kind raises."""
    if kind == "sqlite":
        return (sqlite3.Error,)
    if kind == "postgresql":
        import psycopg

        return (psycopg.Error,)
    import pymysql

    return (pymysql.Error,)


def run(url: str, *statements: str, timeout: int = 10) -> list[tuple[Any, ...]]:
    """Run statements on a connection of their own; the rows of the last one."""
    connection = connect(url, timeout=timeout)
    try:
        cursor = connection.cursor()
        for sql in statements:
            cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def drop_tables(url: str, prefix: str) -> None:
    """Drop the tables and views whose names begin so; five seconds for locks, then it fails."""
    kind = kind_of(url)
    if kind == "sqlite":
        return  # the file goes with the test's folder
    schema = "current_schema()" if kind == "postgresql" else "database()"
    names = run(
        url,
        "SELECT table_name, table_type FROM information_schema.tables"
        f" WHERE table_schema = {schema} AND left(table_name, {len(prefix)}) = '{prefix}'",
    )
    if not names:
        return
    views = [f"DROP VIEW {name}" for name, what in names if what == "VIEW"]
    tables = [name for name, what in names if what != "VIEW"]
    if kind == "postgresql":
        drops = [f"DROP TABLE IF EXISTS {name} CASCADE" for name in tables]
        run(url, "SET lock_timeout = '5s'", *views, *drops)
    else:
        drops = [f"DROP TABLE IF EXISTS {name}" for name in tables]
        run(url, "SET lock_wait_timeout = 5, foreign_key_checks = 0", *views, *drops)


# -- is it ours, and what is it? ----------------------------------------------------------------


def mark(url: str) -> None:
    """Allow the tests to write to this database."""
    run(url, f"CREATE TABLE IF NOT EXISTS {MARKER} (note VARCHAR(100))")


def is_marked(url: str) -> bool:
    """Whether the database bears our marker; reads only."""
    if kind_of(url) == "sqlite":
        catalog = f"SELECT count(*) FROM sqlite_master WHERE name = '{MARKER}'"
    else:
        schema = "current_schema()" if kind_of(url) == "postgresql" else "database()"
        catalog = (
            "SELECT count(*) FROM information_schema.tables"
            f" WHERE table_name = '{MARKER}' AND table_schema = {schema}"
        )
    return bool(run(url, catalog)[0][0])


def version_of(url: str) -> str:
    """Ask the server who it is; a MySQL that is MariaDB is neither."""
    kind = kind_of(url)
    if kind == "sqlite":
        return f"SQLite {sqlite3.sqlite_version}"
    version = str(run(url, "SELECT version()")[0][0])
    if kind in {"mysql", "mariadb"} and ("MariaDB" in version) != (kind == "mariadb"):
        raise Unusable(f"the {kind} URL leads to a server of version {version!r}")
    return version


def check_given(url: str, source: str) -> Server:
    """Take a database that somebody named, if it is there and ours."""
    kind = kind_of(url)
    shown = masked(url)
    if kind == "sqlite" and not Path(sqlite_path(url)).is_file():
        raise Unusable(f"{shown} (from {source}) is no file; mark it first")
    try:
        version = version_of(url)
        marked = is_marked(url)
    except driver_errors(kind) as exc:
        raise Unusable(f"{shown} (from {source}) does not answer: {one_line(exc)}") from exc
    if not marked:
        raise Unusable(
            f"{shown} (from {source}) has no table {MARKER}, so nothing is written to it;"
            f" if it may be: python -m tests.servers mark URL"
        )
    return Server(kind, url, version, source, _nothing)


def mark_given(url: str) -> str:
    """Mark a database that somebody named, if it is what the URL says; its version."""
    kind = kind_of(url)
    try:
        version = version_of(url)
        mark(url)
    except driver_errors(kind) as exc:
        raise Unusable(f"{masked(url)} can not be marked: {one_line(exc)}") from exc
    return version


def masked(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return url.replace(f":{parts.password}@", ":***@", 1)


def one_line(exc: BaseException) -> str:
    return " ".join(f"{type(exc).__name__}: {exc}".split())


def _nothing() -> None:
    pass


# -- given by URL -------------------------------------------------------------------------------


def given_urls(
    options: Sequence[str], environ: Mapping[str, str], env_file: Path
) -> dict[str, tuple[str, str]]:
    """Kind → (URL, where it was given): options before environment before the file."""
    found: dict[str, tuple[str, str]] = {}
    variables = {f"PLAINSQL_TEST_{kind.upper()}_URL": kind for kind in KINDS}
    for url in options:
        kind = kind_of(url)
        if kind in found:
            raise Unusable(f"--url names two databases of the kind {kind}")
        found[kind] = (url, "--url")
    for settings, source in ((environ, ""), (_read_env(env_file), f" in {env_file.name}")):
        for variable, kind in variables.items():
            if settings.get(variable):
                found.setdefault(kind, (settings[variable], variable + source))
    for kind, (url, source) in found.items():
        if kind_of(url) != kind:
            raise Unusable(f"{source} holds a URL of the kind {kind_of(url)}")
    return found


def _read_env(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


# -- containers ---------------------------------------------------------------------------------

# kind: image, variable of its tag, tag, port inside, prefix of the image's variables
IMAGES = {
    "postgresql": ("postgres", "POSTGRES_TAG", "18", 5432, "POSTGRES"),
    "mysql": ("mysql", "MYSQL_TAG", "9", 3306, "MYSQL"),
    "mariadb": ("mariadb", "MARIADB_TAG", "11.8", 3306, "MARIADB"),
}


@functools.cache
def docker_answers() -> bool:
    """Whether there is a Docker engine to ask for containers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # a failed attempt forgets its socket
        answers = _ping_docker()
        gc.collect()
    return answers


def _ping_docker() -> bool:
    try:
        import docker

        client = docker.from_env(timeout=5)
        client.ping()
        client.close()
    except Exception:  # noqa: BLE001 - an engine that is away fails in many ways
        return False
    return True


def start_container(kind: str) -> Server:
    """Start a container by testcontainers and mark its database."""
    if not docker_answers():
        raise Unavailable("no Docker engine answers")
    image, variable, tag, port, prefix = IMAGES[kind]
    image = f"{image}:{os.environ.get(variable, tag)}"
    try:
        container = _docker_container(image, _container_environment(prefix), port)
    except Exception as exc:  # an image that can not be had fails in many ways
        raise Unavailable(f"no container: {one_line(exc)[:200]}") from exc
    try:
        address = f"{container.get_container_host_ip()}:{container.get_exposed_port(port)}"
        url = f"{kind}://app:pw@{address}/test"
        wait_until(lambda: run(url, "SELECT 1", timeout=2), driver_errors(kind), seconds=120)
        if kind != "postgresql":
            root = f"{kind}://root:rootpw@{address}/test"
            run(root, "GRANT ALL ON *.* TO app@'%' WITH GRANT OPTION")
        mark(url)
        return Server(kind, url, version_of(url), f"container {image}", container.stop)
    except BaseException:
        container.stop()
        raise


def _container_environment(prefix: str) -> dict[str, str]:
    names = {"POSTGRES": ("DB",), "MYSQL": ("DATABASE",), "MARIADB": ("DATABASE",)}[prefix]
    environment = {f"{prefix}_USER": "app", f"{prefix}_PASSWORD": "pw"}
    if prefix != "POSTGRES":
        environment[f"{prefix}_ROOT_PASSWORD"] = "rootpw"
    return environment | {f"{prefix}_{name}": "test" for name in names}


def _docker_container(image: str, environment: dict[str, str], port: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own deprecations
        from testcontainers.core.container import DockerContainer

        container = DockerContainer(image).with_exposed_ports(port)
        if port == 3306:  # or each connect waits for a DNS that may not answer
            container.with_command("--skip-name-resolve")
        for name, value in environment.items():
            container.with_env(name, value)
        try:
            return container.start()
        except BaseException:
            container.stop()
            raise


def wait_until(
    ask: Callable[[], object],
    errors: tuple[type[Exception], ...],
    *,
    seconds: float,
    is_alive: Callable[[], bool] = lambda: True,
) -> None:
    """Ask again until it no longer fails; the last failure when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            ask()
        except errors:
            if time.monotonic() > deadline or not is_alive():
                raise
            time.sleep(0.05)
        else:
            return


# -- the finder ---------------------------------------------------------------------------------


class Finder:
    """Finds each kind at most once; what it started, it stops."""

    def __init__(self, given: Mapping[str, tuple[str, str]]) -> None:
        self._given = given
        self._found: dict[str, Server | Exception] = {}

    def find(self, kind: str) -> Server:
        """Give the server of that kind, or raise what was raised the first time."""
        if kind not in self._found:
            try:
                self._found[kind] = self._look_for(kind)
            except (Unavailable, Unusable) as exc:
                self._found[kind] = exc
        found = self._found[kind]
        if isinstance(found, Exception):
            raise found.with_traceback(None)
        return found

    def found(self) -> dict[str, Server | Exception]:
        """What was looked for so far, and what came of it."""
        return dict(self._found)

    def stop(self) -> None:
        """Stop what was started; the answers so far are kept for the report."""
        for server in self._found.values():
            if isinstance(server, Server):
                server.stop()

    def _look_for(self, kind: str) -> Server:
        if kind in self._given:
            return check_given(*self._given[kind])
        if kind == "sqlite":
            return Server(kind, "sqlite://", version_of("sqlite://"), "a file per test", _nothing)
        from tests.throwaway import start_throwaway

        reasons = []
        for start in (start_container, start_throwaway):
            try:
                return start(kind)
            except Unavailable as exc:
                reasons.append(str(exc))
        raise Unavailable("; ".join(reasons))


def with_servers(command: Sequence[str]) -> int:
    """Run a command that finds each database by its URL in the environment."""
    finder = Finder(given_urls((), os.environ, ROOT / ".env.test"))
    try:
        servers = [finder.find(kind) for kind in KINDS if kind != "sqlite"]
        urls = {f"PLAINSQL_TEST_{server.kind.upper()}_URL": server.url for server in servers}
        return subprocess.run(command, env={**os.environ, **urls}, check=False).returncode
    finally:
        finder.stop()


def main(arguments: Sequence[str]) -> int:
    """`mark URL`: allow the tests to write there; `run COMMAND`: with a server of each kind."""
    try:
        match arguments:
            case ["mark", url]:
                print(f"{masked(url)} ({mark_given(url)}) is marked for tests")
                return 0
            case ["run", _, *_]:
                return with_servers(arguments[1:])
    except (Unusable, Unavailable) as exc:
        print(exc, file=sys.stderr)
        return 1
    print("usage: python -m tests.servers mark URL | run COMMAND…", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
