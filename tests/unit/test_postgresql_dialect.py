"""The PostgreSQL dialect without a server: options, texts, tables, and the connect's deadline."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from enum import Enum, IntEnum, StrEnum
from ipaddress import ip_address
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from plainsql import errors
from plainsql.deadline import within
from plainsql.url import URL, make_url
from plainsql_postgresql import codes
from plainsql_postgresql.dialect import LEXICAL, MODES, PostgreSQLDialect
from tests.unit import rules

if TYPE_CHECKING:
    from pathlib import Path

SERVER = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: '
SOCKET = 'connection is bad: connection to server on socket "/no/.s.PGSQL.5432" failed: '


def arguments(url: str | URL, timeout: float = 10.0, **connect_args: Any) -> dict[str, Any]:
    return PostgreSQLDialect()._arguments(make_url(url), timeout, connect_args)


# -- the URL -----------------------------------------------------------------------------------


def test_the_parts_of_a_url_become_keywords() -> None:
    url = "postgresql://u:p%20w@db.example:5433/shop"
    assert arguments(url).items() >= {
        "host": "db.example",
        "port": 5433,
        "user": "u",
        "password": "p w",
        "dbname": "shop",
    }.items()  # fmt: skip


def test_parts_that_are_missing_are_left_to_libpq() -> None:
    assert set(arguments("postgresql://")) == {"autocommit", "client_encoding", "connect_timeout"}


def test_connections_are_made_in_autocommit_and_utf8() -> None:
    assert arguments("postgresql://")["autocommit"] is True
    assert arguments("postgresql://")["client_encoding"] == "UTF8"


def test_a_socket_folder_is_given_as_an_option() -> None:
    assert arguments("postgresql:///shop?host=/run/postgresql")["host"] == "/run/postgresql"


def test_connect_args_win_over_the_url() -> None:
    given = arguments("postgresql://h/d?application_name=url", application_name="args")
    assert given["application_name"] == "args"


@pytest.mark.parametrize(
    ("url", "sslmode", "require_auth"),
    [
        pytest.param("postgresql://db.example/d", "verify-full", None, id="elsewhere"),
        pytest.param("postgresql:///d?host=db.example", "verify-full", None, id="by option"),
        pytest.param("postgresql:///d?host=db,db.example", "verify-full", None, id="one of two"),
        pytest.param("postgresql://db.example/d?sslmode=require", "require", None, id="weaker"),
        pytest.param("postgresql://db.example/d?sslmode=prefer", "prefer", "!password", id="weak"),
        pytest.param(
            "postgresql://db.example/d?sslmode=disable&require_auth=password",
            "disable",
            "password",
            id="all in clear",
        ),
        pytest.param("postgresql://127.0.0.1/d", None, "!password", id="loopback"),
        pytest.param("postgresql://db/d?sslmode=verify-ca", "verify-ca", None, id="near, verified"),
        pytest.param("postgresql:///d?host=/run", None, None, id="socket"),
        pytest.param("postgresql:///d", None, None, id="socket by default"),
    ],
)
def test_what_the_url_says_of_tls_and_logins_is_what_libpq_is_told(
    url: str, sslmode: str | None, require_auth: str | None
) -> None:
    given = arguments(url)

    assert (given.get("sslmode"), given.get("require_auth")) == (sslmode, require_auth)
    assert ("sslrootcert" in given) is (sslmode == "verify-full")


@pytest.mark.parametrize(
    ("variable", "value", "sslmode"),
    [
        pytest.param("PGHOST", "db.example", "verify-full", id="host"),
        pytest.param("PGHOSTADDR", "8.8.8.8", "verify-full", id="address"),
        pytest.param("PGHOST", "10.0.0.1", None, id="near"),
        pytest.param("PGSSLMODE", "disable", None, id="TLS, near"),
    ],
)
def test_a_host_of_the_environment_is_verified_too(
    variable: str, value: str, sslmode: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)

    assert arguments("postgresql:///d").get("sslmode") == sslmode


def test_the_environment_lowers_no_verification_but_may_say_whom_to_trust(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGSSLMODE", "disable")
    monkeypatch.setenv("PGSSLROOTCERT", "/ca.pem")

    given = arguments("postgresql://db.example/d")
    assert (given["sslmode"], given.get("sslrootcert")) == ("verify-full", None)


def test_a_service_of_the_environment_is_looked_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    services = tmp_path / "services"
    services.write_text("[near]\nhost=/run\n[far]\nhost=db.example\nsslmode=disable\n")
    monkeypatch.setenv("PGSERVICEFILE", str(services))
    for name, sslmode in (("near", None), ("far", "verify-full")):
        monkeypatch.setenv("PGSERVICE", name)
        assert arguments("postgresql:///d").get("sslmode") == sslmode
    monkeypatch.delenv("PGSERVICE")
    assert arguments("postgresql:///d", service="near")["sslmode"] == "verify-full"


def test_connect_args_say_host_and_tls_as_the_url_does() -> None:
    assert arguments("postgresql://db/d", host="db.example")["sslmode"] == "verify-full"
    assert arguments("postgresql:///d", conninfo="host=db.example")["sslmode"] == "verify-full"
    mine = arguments("postgresql:///d", conninfo="host=db.example sslmode=require")
    assert "sslmode" not in mine


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(0.2, 2), (2.0, 2), (2.1, 3), (30, 30)], ids=lambda v: f"{v} s"
)
def test_libpq_is_told_whole_seconds_and_two_at_least(timeout: float, seconds: int) -> None:
    assert arguments("postgresql://", timeout)["connect_timeout"] == seconds


@pytest.mark.parametrize(
    ("option", "limit"), [("", 10.0), ("?connect_timeout=3", 3), ("?connect_timeout=60", 10.0)]
)
def test_an_option_can_only_shorten_the_deadline(option: str, limit: float) -> None:
    assert PostgreSQLDialect()._limit(make_url(f"postgresql://{option}"), 10.0) == limit


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("sslmode=verify-full", "verify-full"),
        ("keepalives_idle=30", 30),
        ("prepare_threshold=0", 0),
        ("prepare_threshold=none", None),
        ("target_session_attrs=read-write", "read-write"),
    ],
)
def test_options_are_converted(option: str, value: Any) -> None:
    assert arguments(f"postgresql://h/d?{option}")[option.partition("=")[0]] == value


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("sslmode=verify", "verify-full"),
        ("connect_timeout=0", "at least 1 second"),
        ("keepalives=yes", "whole number"),
        ("prepare_threshold=-1", "whole number"),
        ("tcp_user_timeout=٣", "whole number"),
    ],
)
def test_a_value_that_can_not_be_meant_is_refused(option: str, hint: str) -> None:
    with pytest.raises(errors.URLError, match=hint):
        arguments(f"postgresql://h/d?{option}")


@pytest.mark.parametrize(
    "name", ["options", "service", "passfile", "client_encoding", "password", "dbname", "nonsense"]
)
def test_options_outside_the_list_are_refused_by_name(name: str) -> None:
    with pytest.raises(errors.URLError, match=f"unknown URL option '{name}'"):
        arguments(f"postgresql://h/d?{name}=x")


# -- texts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "sql"),
    [
        ((None, None, None), "BEGIN"),
        (("SERIALIZABLE", None, None), "BEGIN ISOLATION LEVEL SERIALIZABLE"),
        ((None, True, None), "BEGIN READ ONLY"),
        ((None, False, False), "BEGIN READ WRITE NOT DEFERRABLE"),
        (
            ("SERIALIZABLE", True, True),
            "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE",
        ),
    ],
)
def test_begin_says_the_options(options: tuple[Any, Any, Any], sql: str) -> None:
    assert PostgreSQLDialect().begin(*options) == (sql,)


def test_quote_doubles_the_quote() -> None:
    assert PostgreSQLDialect().quote('a"b') == '"a""b"'


def test_quote_counts_bytes() -> None:
    dialect = PostgreSQLDialect()
    assert dialect.quote("é" * 31 + "x") == f'"{"é" * 31}x"'
    with pytest.raises(errors.ArgumentError, match="63 bytes"):
        dialect.quote("é" * 32)


@pytest.mark.parametrize(
    ("hold", "words"), [(False, ""), (True, " WITH HOLD")], ids=["in a transaction", "autocommit"]
)
def test_a_stream_is_a_cursor_made_by_statements(hold: bool, words: str) -> None:
    opening, fetching, closing = PostgreSQLDialect().stream_sql("SELECT 1", 7, 50, hold=hold)
    assert opening == f'DECLARE "plainsql_7" NO SCROLL CURSOR{words} FOR SELECT 1'
    assert fetching == 'FETCH FORWARD 50 FROM "plainsql_7"'
    assert closing == 'CLOSE "plainsql_7"'


def test_the_lexical_rules_are_the_tested_ones() -> None:
    assert LEXICAL == rules.POSTGRESQL
    assert MODES[b"off"] == rules.POSTGRESQL_OLD_STRINGS


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        (b"on", LEXICAL),
        (b"off", LEXICAL.replace(backslash_escapes=True)),
        (None, LEXICAL.replace(backslash_escapes=None)),
    ],
)
def test_the_servers_string_mode_picks_the_rules(reported: bytes | None, expected: Any) -> None:
    pgconn = SimpleNamespace(
        parameter_status={b"standard_conforming_strings": reported}.__getitem__
    )
    assert PostgreSQLDialect().lexical_rules(SimpleNamespace(pgconn=pgconn)) == expected


def test_column_names_that_are_no_utf8_do_not_raise() -> None:
    assert PostgreSQLDialect().column_names((b"a", "é".encode(), b"\xff")) == ("a", "é", "\udcff")


# -- failed connects ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "cls", "phase"),
    [
        pytest.param(text, cls, phase, id=name)
        for name, text, cls, phase in [
            (
                "wrong password",
                SERVER + 'FATAL:  password authentication failed for user "u"',
                errors.AuthenticationError,
                "login",
            ),
            (
                "no password",
                SERVER + "fe_sendauth: no password supplied",
                errors.AuthenticationError,
                "login",
            ),
            (
                "peer",
                SOCKET + 'FATAL:  Peer authentication failed for user "u"',
                errors.AuthenticationError,
                "login",
            ),
            (
                "unknown user with a quote",
                SERVER + 'FATAL:  role "a"b" does not exist',
                errors.AuthenticationError,
                "login",
            ),
            (
                "user without LOGIN",
                SERVER + 'FATAL:  role "u" is not permitted to log in',
                errors.AuthenticationError,
                "login",
            ),
            (
                "pg_hba rejects, with TLS and without",
                SERVER + 'FATAL:  pg_hba.conf rejects connection for host "h", SSL encryption\n'
                'connection to server at "127.0.0.1", port 5432 failed: FATAL:  no pg_hba.conf '
                'entry for host "h", no encryption',
                errors.AuthenticationError,
                "login",
            ),
            (
                "TLS fails, then the password",
                SERVER + "SSL error: certificate verify failed\n"
                'connection to server at "127.0.0.1", port 5432 failed: FATAL:  password '
                'authentication failed for user "u"',
                errors.AuthenticationError,
                "login",
            ),
            (
                "too many",
                SERVER + "FATAL:  sorry, too many clients already",
                errors.TooManyConnections,
                "login",
            ),
            (
                "too many for the role",
                SERVER + 'FATAL:  too many connections for role "u"',
                errors.TooManyConnections,
                "login",
            ),
            (
                "reserved slots",
                SERVER + "FATAL:  remaining connection slots are reserved for roles with SUPERUSER",
                errors.TooManyConnections,
                "login",
            ),
            (
                "unknown database",
                SERVER + 'FATAL:  database "d" does not exist',
                errors.ConnectError,
                "login",
            ),
            (
                "a database whose name looks like another error",
                SERVER + 'FATAL:  database "role "x" does not exist',
                errors.ConnectError,
                "login",
            ),
            (
                "no right to connect, with its DETAIL",
                SERVER + 'FATAL:  permission denied for database "d"\n'
                "DETAIL:  User does not have CONNECT privilege.",
                errors.ConnectError,
                "login",
            ),
            (
                "starting up",
                SERVER + "FATAL:  the database system is starting up",
                errors.ConnectError,
                "login",
            ),
            (
                "a server that speaks Japanese",
                SERVER + '致命的エラー:  ユーザー"u"のパスワード認証に失敗しました',
                errors.ConnectError,
                "login",
            ),
            (
                "unknown host",
                "failed to resolve host 'x.invalid': [Errno -2] Name or service not known",
                errors.ConnectError,
                "dns",
            ),
            (
                "refused",
                SERVER + "Connection refused\n\tIs the server running on that host and accepting "
                "TCP/IP connections?",
                errors.ConnectError,
                "tcp",
            ),
            (
                "no socket",
                SOCKET + "No such file or directory\n\tIs the server running locally?",
                errors.ConnectError,
                "tcp",
            ),
            ("time is over", "connection timeout expired", errors.ConnectError, "tcp"),
            (
                "no TLS there",
                SERVER + "server does not support SSL, but SSL was required",
                errors.ConnectError,
                "tls",
            ),
            (
                "hung up",
                SERVER + "server closed the connection unexpectedly\n\tThis probably means …",
                errors.ConnectError,
                None,
            ),
            (
                "of several addresses the last one counts",
                SERVER + "Connection refused\nMultiple connection attempts failed. All failures "
                "were:\n- host: 'h': " + SERVER + "FATAL:  sorry, too many clients already",
                errors.ConnectError,
                "tcp",
            ),
        ]
    ],
)
def test_a_failed_connect_is_told_by_its_text(
    text: str, cls: type[errors.ConnectError], phase: str | None
) -> None:
    assert codes.failed_connect(text) == (cls, phase)


@pytest.mark.parametrize(
    "text",
    [
        "the connection is closed",
        "consuming input failed: server closed the connection unexpectedly",
        'relation "connection failed: " does not exist',
        "password authentication failed for user",
    ],
)
def test_other_errors_are_not_taken_for_failed_connects(text: str) -> None:
    assert codes.failed_connect(text) is None


class DriverError(Exception):
    sqlstate: str | None = None
    diag = None

    def __init__(self, text: str, sqlstate: str | None = None) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


def test_class_and_phase_of_a_failed_connect_reach_our_error() -> None:
    exc = DriverError(SERVER + 'FATAL:  password authentication failed for user "u"')
    error = PostgreSQLDialect().translate(exc, connecting=True)
    assert type(error) is errors.AuthenticationError
    assert error.phase == "login"
    assert not error.retryable


@pytest.mark.parametrize(
    ("code", "cls"),
    [
        ("23505", errors.UniqueViolation),
        ("23001", errors.IntegrityError),
        ("25006", errors.ReadOnlyError),
        ("25P03", errors.Disconnected),
        ("25P04", errors.Disconnected),
        ("57P01", errors.Disconnected),
        ("57P05", errors.Disconnected),
        ("57014", errors.QueryCanceled),
        ("55P03", errors.LockTimeout),
        ("3D000", errors.ConnectError),
        ("53100", errors.DiskFull),
        ("42P01", errors.UndefinedTable),
        ("42883", errors.ProgrammingError),
        ("XX001", errors.CorruptDatabase),
    ],
)
def test_a_code_picks_the_class(code: str, cls: type[errors.DBAPIError]) -> None:
    error = PostgreSQLDialect().translate(DriverError("text is not read", code))
    assert type(error) is cls
    assert error.code == code


def test_a_fatal_error_loses_the_connection_whatever_its_code() -> None:
    exc = DriverError("conflict with recovery", "40001")
    alive = SimpleNamespace(closed=False)
    for severity, lost in [("FATAL", True), ("PANIC", True), ("ERROR", False)]:
        exc.diag = SimpleNamespace(severity_nonlocalized=severity)  # type: ignore[assignment]
        assert PostgreSQLDialect().is_lost(exc, alive) is lost


def test_what_the_server_tells_is_passed_on_and_positions_count_from_0() -> None:
    exc = DriverError("x", "42601")
    exc.diag = SimpleNamespace(  # type: ignore[assignment]
        sqlstate="42601",
        constraint_name="c",
        table_name="t",
        column_name=None,
        statement_position="8",
    )
    assert PostgreSQLDialect().diagnose(exc) == {
        "constraint": "c", "table": "t", "column": None,
    }  # fmt: skip
    assert PostgreSQLDialect().place(exc) == 7


# -- the deadline ------------------------------------------------------------------------------


class Made:
    def __init__(self) -> None:
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


def test_a_connection_that_comes_in_time_is_returned_open() -> None:
    made = Made()
    assert within(60, lambda: made) is made
    assert not made.closed.is_set()


def test_an_error_in_time_is_raised_as_it_is() -> None:
    error = DriverError("refused")

    def fail() -> None:
        raise error

    with pytest.raises(DriverError) as caught:
        within(60, fail)
    assert caught.value is error


def test_a_connection_that_comes_late_is_closed() -> None:
    made, release = Made(), threading.Event()

    def connect() -> Made:
        release.wait()
        return made

    with pytest.raises(TimeoutError):
        within(0.01, connect)
    release.set()
    assert made.closed.wait(60)


# -- values ------------------------------------------------------------------------------------


class Plain(Enum):
    A = "a"


class Number(IntEnum):
    ONE = 1


class Word(StrEnum):
    RED = "red"


LOCALHOST = ip_address("127.0.0.1")


class LoudText(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "LOUD"


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        pytest.param(Plain.A, "a", id="an enumeration is its value"),
        pytest.param(Number.ONE, 1, id="an IntEnum is an int"),
        pytest.param(Word.RED, "red", id="a StrEnum is a str"),
        pytest.param(LoudText("quiet"), "quiet", id="a subclass's own __str__ is not asked"),
        pytest.param(True, True, id="bool stays bool"),
        pytest.param(bytearray(b"x"), b"x", id="a bytearray is copied"),
        pytest.param(
            datetime(2024, 1, 2, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC), id="datetime"
        ),
        pytest.param(LOCALHOST, LOCALHOST, id="what is unknown is left to psycopg"),
    ],
)
def test_values_are_made_plain(value: object, sent: object) -> None:
    adapted = PostgreSQLDialect().codecs.adapt("x", value)
    assert adapted == sent
    assert type(adapted) is type(sent)
