"""What an attacker may try with sizes, texts and URLs, on every database: nothing comes of it.

Rows S18 to S21 and S26 to S31 of the security matrix; those before are in `test_security`, those
that need a server of ill will, or certificates, in `test_security_wire`, secrets in
`test_security_secrets`.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from plainsql import (
    URL,
    ArgumentError,
    DataError,
    DBAPIError,
    ParameterError,
    SQLTextError,
    UniqueViolation,
    URLError,
    create_engine,
    make_url,
    unsafe_text,
)
from plainsql_postgresql.dialect import MESSAGE, PostgreSQLDialect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plainsql import Connection, Engine
    from plainsql.aio import AsyncEngine

GIB = 1 << 30


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A connection; rolled back and closed at the end."""
    with engine.connect() as connection:
        yield connection


def most(connection: Connection) -> int:
    """The most bytes that a message to this server has."""
    name = connection.engine.name
    if name == "postgresql":
        return MESSAGE
    if name == "sqlite":
        connection.execute("SELECT 1")
        return int(connection.connection.getlimit(0)) + 1  # SQLITE_LIMIT_LENGTH
    return int(connection.scalar("SELECT @@max_allowed_packet"))


# -- S18 ---------------------------------------------------------------------------------------


def zeros(connection: Connection) -> bytes:
    """More than the server takes; as zeros nobody wrote they cost no memory."""
    limit = most(connection)
    return bytes(limit if connection.engine.name in ("postgresql", "sqlite") else limit // 2)


@pytest.mark.parametrize("way", ["execute", "many", "driver", "list"])
def test_s18_a_value_beyond_the_limit_is_refused_unsent(connection: Connection, way: str) -> None:
    value = zeros(connection)
    connection.execute("SELECT 1")
    raw = connection.connection
    marker = {"qmark": "?"}.get(connection.engine.dialect.paramstyle, "%s")
    with pytest.raises((ParameterError, DataError), match=r"bytes|too big|too long|longer"):
        if way == "execute":
            connection.execute("SELECT length(:v)", {"v": value})
        elif way == "many":
            connection.execute("SELECT length(:v)", [{"v": b""}, {"v": value}])
        elif way == "driver":
            connection.exec_driver_sql(unsafe_text(f"SELECT length({marker})"), (value,))
        else:
            connection.execute("SELECT 1 WHERE :w IN :vs", {"w": b"", "vs": [b"", value]})
    assert connection.scalar("SELECT :v", {"v": "still here"}) == "still here"
    assert connection.connection is raw


async def test_s18_so_it_is_for_tasks(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        sync_like: Any = connection
        limit = GIB
        if engine_async.name in ("mysql", "mariadb"):
            limit = int(await sync_like.scalar("SELECT @@max_allowed_packet"))
        with pytest.raises((ParameterError, DataError)):
            await connection.execute("SELECT length(:v)", {"v": bytes(limit)})
        with pytest.raises((ParameterError, DataError)):
            async with connection.stream("SELECT length(:v)", {"v": bytes(limit)}) as stream:
                await stream.all()
        assert await connection.scalar("SELECT 1") == 1


@pytest.mark.only_on("postgresql", reason="psycopg cuts a length to 32 bits; MySQL's driver none")
@pytest.mark.parametrize("more", [10, GIB], ids=["4 GiB and 10 bytes", "5 GiB"])
def test_s18_a_length_of_more_than_32_bits_is_not_cut(connection: Connection, more: int) -> None:
    """Unrefused, the first case was stored as its first 10 bytes (see pgx, CVE-2024-27304)."""
    with pytest.raises(ParameterError, match="more than the 1073737728 that postgresql takes"):
        connection.execute("SELECT octet_length(:v)", {"v": bytes(4 * GIB + more)})
    with (
        pytest.raises(ParameterError),
        connection.stream("SELECT :v", {"v": bytes(4 * GIB + more)}),
    ):
        pass
    assert connection.scalar("SELECT 1") == 1


@pytest.mark.only_on("postgresql", reason="the others' drivers count the message itself")
def test_s18_many_values_count_together(connection: Connection) -> None:
    quarter = bytes(GIB // 4)
    names = ", ".join(f"octet_length(:v{n})" for n in range(5))
    for odd in (quarter, bytearray(4), [quarter], [["x" * 9_000], quarter]):
        values: dict[str, Any] = {f"v{n}": quarter for n in range(5)} | {"v4": odd}
        total = MESSAGE if odd == bytearray(4) else 0
        values |= {"v3": bytes(GIB // 4 - 4096)} if total else {}
        with pytest.raises(ParameterError, match="bytes, which is more than"):
            connection.execute(unsafe_text(f"SELECT {names}"), values)


class Short(bytes):
    __slots__ = ()

    def __len__(self) -> int:
        return 3


class Small(str):
    __slots__ = ()

    def __len__(self) -> int:
        return 3


@pytest.mark.parametrize("cls", [Short, Small], ids=["bytes", "str"])
def test_s18_a_subclass_does_not_lie_about_its_length(
    connection: Connection, cls: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL with a limit that a test can reach."""
    size = 100_000
    if connection.engine.name == "postgresql":
        monkeypatch.setattr("plainsql_postgresql.dialect.MESSAGE", size)
    elif connection.engine.name == "sqlite":
        connection.execute("SELECT 1")
        connection.connection.setlimit(0, size)  # SQLITE_LIMIT_LENGTH
    else:
        connection.execute("SELECT 1")
        connection.connection.plainsql_packet = size
    value = cls("x" * (size + 1)) if issubclass(cls, str) else cls(b"x" * (size + 1))
    with pytest.raises((ParameterError, DataError)):
        connection.execute("SELECT length(:v)", {"v": value})
    assert connection.scalar("SELECT 1") == 1


@pytest.mark.only_on("mysql", "mariadb", reason="they tell their limit, and it is within reach")
def test_s18_what_just_fits_is_sent_and_one_byte_more_is_not(connection: Connection) -> None:
    limit = most(connection)
    text = "SELECT length(''), ''"  # COM_QUERY is a byte of the packet
    spare = limit - 2 - len(text)
    sent = unsafe_text(f"SELECT length(''), '{'x' * spare}'")
    assert connection.execute(sent).one()[0] == 0
    with pytest.raises(
        DataError, match=rf"has {limit} bytes.*which is more than the {limit - 1} "
    ) as caught:
        connection.execute(unsafe_text(f"SELECT length(''), '{'x' * (spare + 1)}'"))
    error = caught.value
    assert (error.code, error.retryable, error.outcome) == ("1153", False, "not_applied")
    assert connection.scalar("SELECT 1") == 1


# -- S19 ---------------------------------------------------------------------------------------

SECOND = [
    "SELECT :x; DELETE FROM t",
    "SELECT :x;;SELECT 2",
    "SELECT :x /* ; */ ; SELECT 2 -- end",
    "SELECT 1; SELECT :x",
]


@pytest.mark.parametrize("sql", [*SECOND, "SELECT 1; SELECT 2"])
def test_s19_a_second_statement_is_refused_unsent(connection: Connection, sql: str) -> None:
    for params in ({"x": 1}, [{"x": 1}, {"x": 2}]):
        with pytest.raises(SQLTextError, match="a second statement begins here"):
            connection.execute(unsafe_text(sql), params)
    with pytest.raises(SQLTextError), connection.stream(unsafe_text(sql), {"x": 1}):
        pass
    assert connection.scalar("SELECT 1; -- no second one") == 1


@pytest.mark.only_on("mysql", "mariadb", reason="only their drivers have such a flag")
def test_s19_the_flag_for_several_statements_is_off(connection: Connection) -> None:
    from pymysql.constants import CLIENT

    connection.execute("SELECT 1")
    assert not connection.connection.client_flag & CLIENT.MULTI_STATEMENTS
    with pytest.raises(Exception, match="syntax"):  # the server itself, past our lexer
        connection.exec_driver_sql("SELECT 1; SELECT 2")


# -- S21 ---------------------------------------------------------------------------------------

#: What some driver, or SQLAlchemy, takes from a URL, and lets whoever writes it choose a file to
#: read, a statement to run or a place to send to.
BARRED = ["local_infile", "read_default_file", "read_default_group", "init_command", "sql_mode"]
BARRED += [
    "options",
    "service",
    "servicefile",
    "passfile",
    "hostaddr",
    "password",
    "user",
    "dbname",
]
BARRED += [
    "client_flag",
    "client_encoding",
    "autocommit",
    "conv",
    "cursorclass",
    "ssl",
    "ssl_key_password",
]
BARRED += ["sslpassword", "sslkeylogfile", "sslcrl", "auth_plugin_map", "server_public_key"]
BARRED += [
    "bind_address",
    "defer_connect",
    "uri",
    "vfs",
    "cache",
    "immutable",
    "nolock",
    "check_same_thread",
]
BARRED += ["isolation_level", "factory", "cached_statements", "conninfo", "context", "row_factory"]
BARRED += ["krbsrvname", "gsslib", "replication", "load_extension", "Host", "HOST", "ssl_ca "]


@pytest.mark.parametrize("name", BARRED)
def test_s21_a_url_has_only_the_options_that_are_known(url: str, name: str) -> None:
    asked = make_url(url).update_query_dict({name: "canary"})
    with pytest.raises(URLError) as caught:
        create_engine(asked)
    told = str(caught.value)
    known = sorted(create_engine(url).dialect.url_options)
    assert f"unknown URL option {name!r}" in told
    assert told.endswith(f"known: {', '.join(known)}")
    assert "canary" not in told


@pytest.mark.only_on("postgresql", reason="only libpq reads its environment")
def test_s21_the_environment_fills_only_what_the_url_leaves_open(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """It belongs to whoever starts the program; a URL can not choose what is read of it."""
    passwords, services = tmp_path / "passwords", tmp_path / "services"
    parts = make_url(url)
    passwords.write_text(f"*:*:*:*:{parts.password}\n")
    passwords.chmod(0o600)
    services.write_text("[far]\nhost=192.0.2.1\nport=1\ndbname=nowhere\n")
    environment = {"PGPASSFILE": passwords, "PGSERVICEFILE": services, "PGSERVICE": "far"}
    environment |= {"PGPASSWORD": "wrong", "PGHOST": "192.0.2.1", "PGDATABASE": "nowhere"}
    environment |= {"PGAPPNAME": "from the environment", "PGCLIENTENCODING": "LATIN1"}
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    ask = "SELECT current_setting('application_name'), current_setting('client_encoding')"
    engine = create_engine(parts)
    with engine.connect() as connection:
        assert tuple(connection.execute(ask).one()) == ("from the environment", "UTF8")
    engine.dispose()
    monkeypatch.delenv("PGPASSWORD")
    place = parts.render_as_string(hide_password=False).replace(f":{parts.password}@", "@")
    engine = create_engine(place)
    with engine.connect() as connection:
        assert connection.scalar("SELECT 1") == 1  # with the password of the file
    engine.dispose()


@pytest.mark.only_on("mysql", "mariadb", reason="only their clients have such files")
def test_s21_no_option_file_is_read(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / ".my.cnf").write_text("[client]\nhost=192.0.2.1\nport=1\nlocal-infile=1\n")
    for name in ("HOME", "MYSQL_HOME", "MYSQL_GROUP_SUFFIX"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("MYSQL_TCP_PORT", "1")
    engine = create_engine(url)
    with engine.connect() as connection:
        assert connection.scalar("SELECT 1") == 1
    engine.dispose()


# -- S27 ---------------------------------------------------------------------------------------


def test_s27_values_are_in_no_error_unless_asked_for(
    make_engine: Callable[..., Engine], table_name: str
) -> None:
    """What the server itself quotes is the server's: here it quotes nothing."""
    for hide, shown in ((None, False), (True, False), (False, True)):
        with make_engine(hide_parameters=hide).connect() as connection:
            for params in ({"x": "canary"}, [{"x": "canary"}, {"x": "b"}]):
                with pytest.raises(Exception, match="SELECT nothing") as caught:
                    connection.execute("SELECT nothing FROM nowhere WHERE x = :x", params)
                assert ("canary" in str(caught.value)) is shown
                connection.rollback()
    with make_engine().connect() as connection:
        connection.execute(
            unsafe_text(f"CREATE TABLE {table_name} (x VARCHAR(20) PRIMARY KEY, y INT)")
        )
        insert = unsafe_text(f"INSERT INTO {table_name} VALUES (:x, :y)")
        with pytest.raises(UniqueViolation) as unique:
            connection.execute(insert, [{"x": "a", "y": 4711}, {"x": "a", "y": 4711}])
        assert "4711" not in str(unique.value)
        connection.rollback()
        connection.execute(unsafe_text(f"DROP TABLE IF EXISTS {table_name}"))
        connection.commit()


def test_s18_the_limit_is_the_servers_own() -> None:
    assert PostgreSQLDialect.max_message == MESSAGE < (1 << 30) - 2


# -- S24, S28 ----------------------------------------------------------------------------------

#: Ends of lines, a terminal's commands, and what turns the text around or hides it.
ODD = "a\rINFO forged\n\x1b[2J\x07\x85\u2028\u2029\u202e\u2066\u200b\ufeff\x9bb"


def is_plain(line: str) -> bool:
    """Whether a terminal and a reader see one line as it is."""
    return line.isprintable()


def test_s24_what_a_server_says_commands_no_terminal(connection: Connection) -> None:
    """In our errors; the driver's own, their cause, keep what came."""
    odd = connection.engine.quote(ODD.replace("\ufeff", ""))
    with pytest.raises(DBAPIError) as caught:
        connection.execute(unsafe_text(f"SELECT {odd}.x"))
    error = caught.value
    assert "\\x1b[2J" in str(error)
    assert all(is_plain(line) for line in str(error).split("\n"))
    assert all(is_plain(line) for line in repr(error).split("\n"))
    assert error.statement == f"SELECT {odd}.x"


class Odd:
    """What a user's type may show of itself."""

    def __init__(self, value: str) -> None:
        self.value = value

    def __repr__(self) -> str:
        return ODD


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """All that the echo log says."""
    kept: list[logging.LogRecord] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record)

    handler, logger = Kept(), logging.getLogger("plainsql.engine")
    level = logger.level
    logger.addHandler(handler)
    yield kept
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_s28_an_event_is_one_line_of_the_log_whatever_stands_in_it(
    make_engine: Callable[..., Engine], records: list[logging.LogRecord]
) -> None:
    engine = make_engine(echo=True)
    sql = unsafe_text(f"SELECT :x AS {engine.quote(ODD)}\n  WHERE\t1 = 1 /* {ODD} */")
    with engine.connect() as connection:
        assert connection.execute(sql, {"x": ODD}).scalar() == ODD
        connection.execute(sql, [{"x": ODD}, {"x": ODD}])
        connection.exec_driver_sql(unsafe_text(f"SELECT 1 -- {ODD[-4:]}"))
    said = [record.getMessage() for record in records]
    assert len([line for line in said if line.startswith("SELECT")]) == 3
    assert all(map(is_plain, said)), said
    assert any("\\n  WHERE\\t1 = 1" in line for line in said)
    assert any("a\\rINFO forged\\n\\x1b[2J" in line for line in said)


def test_s28_a_value_that_shows_itself_over_two_lines_is_one(
    records: list[logging.LogRecord],
) -> None:
    from plainsql.echo import Echo

    Echo(hidden=False).statement("SELECT ?", (Odd(""),))
    assert all(is_plain(record.getMessage()) for record in records)
    assert len(records) == 2


# -- S29 ---------------------------------------------------------------------------------------

SCHEMES = [
    "os.path",
    "plainsql_sqlite.dialect:SQLiteDialect",
    "../sqlite",
    "sqlite/../os",
    "a b",
    "",
    "_sqlite",
]
SCHEMES += [
    "sqlite+os.system",
    "sqlite+a+b",
    "sq\u0131te",
    "\uff53qlite",
    "sqlite\n",
    "sqlite%0A",
    "5qlite",
]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_s29_a_scheme_is_a_name_and_nothing_else(scheme: str) -> None:
    with pytest.raises(URLError):
        create_engine(f"{scheme}:///x")


def test_s29_a_name_in_a_url_is_looked_up_and_not_imported(tmp_path: Any) -> None:
    """In a process of its own: a module of that name lies right beside the program."""
    for name in ("evil", "plainsql_evil", "evil_dialect"):
        (tmp_path / f"{name}.py").write_text("print('imported')\nDialect = object\n")
    code = (
        "import sys, plainsql\n"
        "for url in ('evil://', 'plainsql_evil://', 'sqlite+evil://', 'evil_dialect+evil://'):\n"
        "    try: plainsql.create_engine(url)\n"
        "    except plainsql.UnknownDialect: print('refused')\n"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["refused"] * 4


# -- S30 ---------------------------------------------------------------------------------------


def opened(url: str | URL, **options: Any) -> str:
    """Open an SQLite database and return the path that SQLite itself has for it."""
    engine = create_engine(url, **options)
    try:
        with engine.begin() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS t (x)")
            return str(connection.execute("PRAGMA database_list").first()[2])  # type: ignore[index]
    finally:
        engine.dispose()


NAMES = [
    "file:x",
    "file:x?mode=memory",
    "file:/etc/passwd",
    "x?mode=ro",
    "x#y",
    "%2e",
    ":memory:x",
    " ",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["", "rwc"])
def test_s30_a_name_is_a_files_name_and_no_uri(
    name: str, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file:").mkdir()
    (tmp_path / "file:" / "etc").mkdir()
    place = URL.create("sqlite", database=name, query={"mode": mode} if mode else {})
    assert opened(place) == str(tmp_path / name)
    assert (tmp_path / name).is_file()
    assert opened(place, connect_args={"uri": True}) == str(tmp_path / name)


@pytest.mark.parametrize("name", ["cache", "vfs", "immutable", "nolock", "psow", "modeof", "key"])
def test_s30_of_sqlites_uri_only_the_mode_is_taken(name: str, tmp_path: Path) -> None:
    with pytest.raises(URLError, match="unknown URL option"):
        create_engine(f"sqlite:///{tmp_path}/x?{name}=1")
    with pytest.raises(URLError, match="possible are ro, rw, rwc"):
        create_engine(f"sqlite:///{tmp_path}/x?mode=memory")


def test_s30_a_relative_file_stays_where_it_was_when_the_engine_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    engine = create_engine("sqlite:///x.db", poolclass="NullPool")
    with engine.begin() as connection:
        connection.execute("CREATE TABLE t (x)")
    monkeypatch.chdir("other")
    with engine.connect() as connection:
        assert connection.scalar("SELECT count(*) FROM t") == 0
    assert list(Path().iterdir()) == []


OUTSIDE = [
    "../x",
    "a/../../x",
    "link/x",
    "to_file",
    "/etc/x",
    "../root2/x",
    "loop/../../../../../x",
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_s30_a_root_holds_all_files(name: str, tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root, root / "a", outside, tmp_path / "root2"):
        folder.mkdir()
    (root / "link").symlink_to(outside)
    (root / "to_file").symlink_to(outside / "x")
    (root / "loop").symlink_to(root)
    for place in (f"sqlite:///{name}", f"sqlite:///{name}?mode=rwc"):
        with pytest.raises(URLError, match="is not in the root of SQLite's files"):
            opened(place, root=root)
    assert not list(tmp_path.rglob("x"))


def test_s30_a_link_that_is_laid_later_is_found_out_too(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    engine = create_engine("sqlite:///x", root=root, poolclass="NullPool")
    with engine.begin() as connection:
        connection.execute("CREATE TABLE t (x)")
    (root / "x").rename(outside / "x")
    (root / "x").symlink_to(outside / "x")
    with pytest.raises(URLError, match="is not in the root"):
        engine.connect()


def test_s30_within_the_root_everything_works(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (tmp_path / "way").symlink_to(root)
    (root / "here").symlink_to(root / "a")
    assert opened("sqlite:///x", root=str(root)) == str(root / "x")
    assert opened("sqlite:///here/x", root=tmp_path / "way") == str(root / "a" / "x")
    assert opened(f"sqlite:///{root}/a/../y", root=root) == str(root / "y")
    assert opened("sqlite:///file:x?mode=rwc", root=root) == str(root / "file:x")
    assert not Path(opened("sqlite://", root=root)).exists()  # in memory


def test_s30_a_root_that_can_not_be_meant_is_refused(url: str, tmp_path: Path) -> None:
    asked = make_url(url)
    for root in (tmp_path / "missing", 3, b"x"):
        with pytest.raises(ArgumentError, match="root"):
            create_engine(asked, root=root)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="creator"):
        create_engine("sqlite:///x", root=tmp_path, creator=lambda: None)
    if asked.get_backend_name() != "sqlite":
        with pytest.raises(ArgumentError, match="root is for databases that are files"):
            create_engine(asked, root=tmp_path)


@pytest.mark.only_on("sqlite", reason="the others load on the server's side")
def test_s30_no_extension_is_loaded(connection: Connection) -> None:
    with pytest.raises(DBAPIError, match=r"not authorized|no such function"):
        connection.execute("SELECT load_extension('x')")
