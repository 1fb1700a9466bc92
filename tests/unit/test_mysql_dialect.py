"""The MySQL and MariaDB dialects without a server: options, texts, numbers, values."""

from __future__ import annotations

import ssl
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path, PurePosixPath
from time import perf_counter
from types import SimpleNamespace
from typing import Any, Self
from uuid import UUID

import pytest

from plainsql import errors
from plainsql.codecs import Json
from plainsql.url import make_url
from plainsql_mysql import streaming
from plainsql_mysql.connection import GuardedConnection
from plainsql_mysql.dialect import (
    LEXICAL,
    MARIADB,
    MODE_SQL,
    MariaDBDialect,
    MySQLDialect,
    rules_of,
)
from plainsql_mysql.types import Literal
from tests.unit import rules

BOTH = [MySQLDialect, MariaDBDialect]
both = pytest.mark.parametrize("cls", BOTH, ids=lambda cls: cls.name)


def loaded(cls: type[MySQLDialect] = MySQLDialect) -> MySQLDialect:
    dialect = cls()
    dialect.load()
    return dialect


def arguments(url: str, timeout: float = 10.0, **connect_args: Any) -> dict[str, Any]:
    return loaded()._arguments(make_url(url), timeout, connect_args)


def driver_error(*args: Any, kind: str = "OperationalError") -> BaseException:
    import pymysql

    error: BaseException = getattr(pymysql.err, kind)(*args)
    return error


# -- the URL -----------------------------------------------------------------------------------


def test_the_parts_of_a_url_become_keywords() -> None:
    assert arguments("mysql://u:p%20w@db.example:3307/shop").items() >= {
        "host": "db.example",
        "port": 3307,
        "user": "u",
        "password": b"p w",
        "database": "shop",
    }.items()  # fmt: skip


def test_parts_that_are_missing_have_the_servers_defaults() -> None:
    assert arguments("mysql://").items() >= {
        "host": "localhost", "port": 3306, "user": None, "password": b"", "database": None,
    }.items()  # fmt: skip


def test_connections_are_made_in_autocommit_and_full_utf8_and_send_no_local_files() -> None:
    made = arguments("mysql://")

    assert (made["autocommit"], made["charset"], made["local_infile"]) == (True, "utf8mb4", False)


def test_an_update_counts_the_rows_it_matches() -> None:
    from pymysql.constants import CLIENT

    assert arguments("mysql://")["client_flag"] & CLIENT.FOUND_ROWS
    assert not arguments("mysql://")["client_flag"] & CLIENT.MULTI_STATEMENTS


def test_connect_args_win_over_the_url() -> None:
    given = arguments("mysql://h/d?charset=latin1", charset="utf8mb3", read_timeout=7)

    assert (given["charset"], given["read_timeout"]) == ("utf8mb3", 7)


NONE, REQUIRED = 0, 2  # ssl.CERT_NONE and CERT_REQUIRED


@pytest.mark.parametrize(
    ("url", "verify", "names"),
    [
        pytest.param("mysql://db.example/d", REQUIRED, True, id="elsewhere"),
        pytest.param("mysql://8.8.8.8/d?ssl_verify_identity=0", REQUIRED, False, id="any name"),
        pytest.param("mysql://db.example/d?ssl_verify_cert=0", NONE, False, id="anyone"),
        pytest.param("mysql://db/d?ssl_verify_cert=1", REQUIRED, False, id="near, certificate"),
        pytest.param("mysql://db/d?ssl_verify_identity=1", REQUIRED, True, id="near, all"),
        pytest.param("mysql://db/d?ssl_verify_cert=0", NONE, False, id="near, nothing"),
    ],
)
def test_what_the_url_says_of_tls_is_what_is_verified(url: str, verify: int, names: bool) -> None:
    context = arguments(url)["ssl"]

    assert (context.verify_mode, context.check_hostname) == (verify, names)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://",
        "mysql://db/d",
        "mysql://127.0.0.1/d?ssl_disabled=0",
        "mysql://db.example/d?unix_socket=/s",
    ],
)
def test_of_a_local_host_tls_is_left_to_the_driver(url: str) -> None:
    assert not [name for name in arguments(url) if name.startswith("ssl")]


def test_tls_is_off_where_the_url_says_so() -> None:
    made = arguments("mysql://db.example/d?ssl_disabled=1&ssl_verify_cert=1")

    assert {name: made[name] for name in made if name.startswith("ssl")} == {"ssl_disabled": True}


def test_connect_args_say_how_tls_is_to_be_as_the_url_does() -> None:
    assert arguments("mysql://db.example/d", ssl_verify_cert=False)["ssl"].verify_mode == NONE
    assert arguments("mysql://db.example/d", ssl="theirs")["ssl"] == "theirs"
    assert not arguments("mysql://db.example/d", unix_socket="/s").get("ssl")
    assert arguments("mysql://db/d", host="db.example")["ssl"].check_hostname


def test_a_certificate_that_can_not_be_read_is_a_failed_connect() -> None:
    dialect: Any = loaded()
    with pytest.raises(dialect.driver_error) as caught:
        dialect.connect(make_url("mysql://db.example/d?ssl_ca=/no/such.pem"), 10.0, {})
    error = dialect.translate(caught.value, connecting=True)
    assert (type(error), error.phase) == (errors.ConnectError, "tls")


@pytest.mark.parametrize(
    ("query", "connect", "read", "write"),
    [
        pytest.param("", 10, 10, 10, id="the engine's"),
        pytest.param("?connect_timeout=3", 3, 3, 3, id="shorter"),
        pytest.param("?connect_timeout=60", 10, 10, 10, id="not longer"),
        pytest.param("?read_timeout=2&write_timeout=60", 10, 2, 10, id="later limits"),
    ],
)
def test_the_handshake_is_bounded_by_the_shortest_limit(
    query: str, connect: float, read: float, write: float
) -> None:
    made = arguments(f"mysql://h/d{query}")

    assert made["connect_timeout"] == connect
    assert (made["read_timeout"], made["write_timeout"]) == (read, write)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("unix_socket=/run/mysqld/mysqld.sock", "/run/mysqld/mysqld.sock"),
        ("charset=latin1", "latin1"),
        ("ssl_ca=/etc/ca.pem", "/etc/ca.pem"),
        ("ssl_disabled=True", True),
        ("ssl_verify_cert=0", False),
        ("ssl_verify_identity=on", True),
        ("program_name=shop", "shop"),
    ],
)
def test_options_are_converted(option: str, value: Any) -> None:
    made = loaded().options(make_url(f"mysql://h/d?{option}"))[option.partition("=")[0]]

    assert made == value
    assert type(made) is type(value)


@both
@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("charset=gbk", "possible are utf8mb4, utf8mb3, ascii, latin1"),
        ("ssl_disabled=maybe", "possible are true and false"),
        ("connect_timeout=0", "a number of seconds above 0"),
        ("connect_timeout=nan", "a number of seconds above 0"),
        ("read_timeout=-1", "a number of seconds above 0"),
        ("read_timeout=inf", "below a year"),
        ("write_timeout=soon", "a number of seconds above 0"),
    ],
)
def test_a_value_that_can_not_be_meant_is_refused(
    cls: type[MySQLDialect], option: str, hint: str
) -> None:
    name, _, value = option.partition("=")
    with pytest.raises(errors.URLError, match=f"^URL option {name}='{value}': .*{hint}"):
        cls().options(make_url(f"mysql://h/d?{option}"))


@both
@pytest.mark.parametrize(
    "name",
    ["local_infile", "read_default_file", "init_command", "autocommit", "password", "client_flag"],
)
def test_options_outside_the_list_are_refused_by_name(cls: type[MySQLDialect], name: str) -> None:
    with pytest.raises(
        errors.URLError, match=f"unknown URL option '{name}' for {cls.name}; known: charset, "
    ):
        cls().options(make_url(f"mysql://h/d?{name}=x"))


def test_an_option_given_twice_is_refused() -> None:
    with pytest.raises(errors.URLError, match="'charset' is given more than once"):
        arguments("mysql://h/d?charset=ascii&charset=latin1")


# -- a new connection --------------------------------------------------------------------------


class Made:
    """What PyMySQL's connect would return: it answers the one question that is asked of it."""

    def __init__(
        self,
        mode: str,
        version: str = "9.7.4",
        told_charset: str | None = "utf8mb4",
        **arguments: Any,
    ) -> None:
        self.told = (mode, version, 1 << 24, told_charset, told_charset)
        self.charset = arguments.get("charset", "utf8mb4")
        self.collation = None
        self.arguments = arguments
        self._read_timeout = arguments.get("read_timeout")
        self._write_timeout = arguments.get("write_timeout")
        self.autocommits: list[bool] = []
        self.encoders: dict[Any, Any] = {}

    def autocommit(self, value: bool) -> None:
        self.autocommits.append(value)

    def cursor(self) -> Made:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def execute(self, sql: str) -> None:
        assert sql.startswith(MODE_SQL)

    def fetchone(self) -> tuple[Any, ...]:
        return self.told


def connected(url: str, **connect_args: Any) -> Any:
    dialect: Any = loaded()
    dialect._connect = lambda **kwargs: Made("", **kwargs)
    return dialect.connect(make_url(url), 10.0, connect_args)


def test_the_limits_of_the_handshake_end_with_it() -> None:
    raw = connected("mysql://h/d?write_timeout=60")

    assert (raw.arguments["read_timeout"], raw.arguments["write_timeout"]) == (10.0, 10.0)
    assert (raw._read_timeout, raw._write_timeout) == (None, 60.0)


def test_limits_among_the_connect_args_stay() -> None:
    assert connected("mysql://h/d", read_timeout=3)._read_timeout == 3


def test_a_package_that_a_login_needs_and_is_missing_is_told_as_a_failed_connect() -> None:
    dialect: Any = loaded()
    err = dialect._pymysql.err

    def connect(**_: Any) -> None:
        raise RuntimeError("'cryptography' package is required")

    dialect._connect = connect
    with pytest.raises(err.OperationalError) as caught:
        dialect.connect(make_url("mysql://h/d"), 10.0, {})
    error = dialect.translate(caught.value, connecting=True)
    assert type(error) is errors.ConnectError
    assert "'cryptography' package is required" in str(error)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("", rules.MYSQL),
        ("STRICT_TRANS_TABLES,NO_ZERO_DATE", rules.MYSQL),
        ("ANSI_QUOTES,STRICT_TRANS_TABLES", rules.MYSQL_ANSI_QUOTES),
        ("NO_BACKSLASH_ESCAPES", rules.MYSQL_NO_BACKSLASH_ESCAPES),
        (
            "ANSI_QUOTES,NO_BACKSLASH_ESCAPES",
            rules.MYSQL_ANSI_QUOTES.replace(backslash_escapes=False),
        ),
    ],
)
def test_the_servers_mode_picks_the_lexical_rules(mode: str, expected: Any) -> None:
    raw = loaded().adopt(lambda: Made(mode))

    assert raw.autocommits == [True]
    assert MySQLDialect().lexical_rules(raw) == rules_of(expected, "", "9.7.4")


@pytest.mark.parametrize(
    ("cls", "version", "number", "dollar_quotes"),
    [
        (MySQLDialect, "8.0.36", 80036, False),
        (MySQLDialect, "9.7.4-2", 90704, True),
        (MariaDBDialect, "10.11.19-MariaDB-0+deb12u1", 101119, False),
        (MySQLDialect, "11.8.9-MariaDB", 110809, False),
        (MySQLDialect, "unheard of", None, False),
    ],
)
def test_the_servers_version_picks_what_is_executed(
    cls: type[MySQLDialect], version: str, number: int | None, dollar_quotes: bool
) -> None:
    found = cls().lexical_rules(loaded(cls).adopt(lambda: Made("", version)))

    assert (found.version, found.dollar_quotes) == (number, dollar_quotes)
    assert found.replace(version=None, dollar_quotes=False) == cls.lexical


def test_a_character_set_that_hides_quotes_is_refused() -> None:
    for told, charset in (
        ("gbk", "gbk"),
        ("gbk", "utf8mb4"),
        ("latin1", "utf8mb4"),
        (None, "sjis"),
    ):
        with pytest.raises(
            errors.NotSupportedError, match=r"character set is .*option charset sets"
        ):
            loaded().adopt(lambda: Made("", told_charset=told, charset=charset))  # noqa: B023
    loaded().adopt(lambda: Made("", told_charset="utf8mb3", charset="utf8"))


def test_the_lexical_rules_are_the_tested_ones() -> None:
    assert (LEXICAL, MARIADB) == (rules.MYSQL, rules.MARIADB)
    assert rules_of(LEXICAL, "", "9.7.4") == rules.MYSQL_9


# -- texts -------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("options", "statements"),
    [
        ((None, None, None), ("BEGIN",)),
        ((None, True, None), ("START TRANSACTION READ ONLY",)),
        ((None, False, False), ("START TRANSACTION READ WRITE",)),
        (
            ("READ COMMITTED", None, None),
            ("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "BEGIN"),
        ),
        (
            ("SERIALIZABLE", True, None),
            ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "START TRANSACTION READ ONLY"),
        ),
    ],
)
def test_begin_says_the_options(
    cls: type[MySQLDialect], options: tuple[Any, Any, Any], statements: tuple[str, ...]
) -> None:
    assert cls().begin(*options) == statements


@both
def test_an_isolation_level_is_refused_with_the_possible_ones(cls: type[MySQLDialect]) -> None:
    with pytest.raises(errors.ArgumentError) as caught:
        cls().isolation_level("SNAPSHOT")
    assert str(caught.value) == (
        f"{cls.name} has no isolation level 'SNAPSHOT'; possible: READ UNCOMMITTED, "
        "READ COMMITTED, REPEATABLE READ, SERIALIZABLE, AUTOCOMMIT"
    )


@both
def test_deferrable_transactions_are_refused(cls: type[MySQLDialect]) -> None:
    with pytest.raises(errors.NotSupportedError, match=f"deferrable=True: {cls.name} can not"):
        cls().require("deferrable", "deferrable=True")


def test_quote_doubles_the_quote() -> None:
    assert MySQLDialect().quote("a`b") == "`a``b`"


@pytest.mark.parametrize(
    ("identifier", "hint"),
    [
        ("", "can not be empty"),
        ("a\0", "hold NUL"),
        ("\ud800", "surrogates"),
        ("x" * 65, "longer than 64 characters"),
        ("a ", "ends in a blank"),
        ("😀", "beyond U\\+FFFF"),
    ],
    ids=["empty", "NUL", "surrogate", "long", "blank", "astral"],
)
def test_identifiers_that_the_server_can_not_hold_are_refused(identifier: str, hint: str) -> None:
    with pytest.raises(errors.ArgumentError, match=hint):
        MySQLDialect().quote(identifier)


def test_quote_counts_characters() -> None:
    assert MySQLDialect().quote("é" * 64) == f"`{'é' * 64}`"


# -- errors ------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    ("code", "cls_of_error"),
    [
        (1045, errors.AuthenticationError),
        (1040, errors.TooManyConnections),
        (1049, errors.ConnectError),
        (1048, errors.NotNullViolation),
        (1062, errors.UniqueViolation),
        (1064, errors.SQLSyntaxError),
        (1054, errors.UndefinedColumn),
        (1146, errors.UndefinedTable),
        (1142, errors.InsufficientPrivilege),
        (1205, errors.LockTimeout),
        (1213, errors.DeadlockDetected),
        (1114, errors.DiskFull),
        (1264, errors.DataError),
        (1290, errors.ReadOnlyError),
        (1317, errors.QueryCanceled),
        (1451, errors.ForeignKeyViolation),
        (3819, errors.CheckViolation),
        (4025, errors.CheckViolation),
    ],
)
def test_a_number_picks_the_class_whatever_class_pymysql_chose(
    cls: type[MySQLDialect], code: int, cls_of_error: type[errors.DBAPIError]
) -> None:
    error = loaded(cls).translate(driver_error(code, "text is not read", kind="InternalError"))

    assert type(error) is cls_of_error
    assert error.code == str(code)
    assert str(error) == f"text is not read ({code})"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ProgrammingError", errors.ProgrammingError),
        ("DataError", errors.DataError),
        ("MySQLError", errors.DatabaseError),
    ],
)
def test_an_unknown_number_leaves_the_choice_to_pymysql(
    kind: str, expected: type[errors.DBAPIError]
) -> None:
    assert type(loaded().translate(driver_error(9999, "new", kind=kind))) is expected


@pytest.mark.parametrize("args", [(), (0, ""), ("no number",), (None, "x")], ids=repr)
def test_an_error_without_a_number_has_no_code(args: tuple[Any, ...]) -> None:
    dialect = loaded()
    exc = driver_error(*args)

    assert dialect.error_code(exc) is None
    assert dialect.diagnose(exc) == {}
    assert type(dialect.translate(exc)) is errors.OperationalError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Got error 149 - 'Lock deadlock' during COMMIT", errors.SerializationFailure),
        ("Got error 28 during COMMIT", errors.OperationalError),
        ("Got error 1490 during COMMIT", errors.OperationalError),
    ],
    ids=["certification", "disk", "another number"],
)
def test_only_a_failed_certification_at_commit_is_worth_another_try(
    text: str, expected: type[errors.DBAPIError]
) -> None:
    error = loaded().translate(driver_error(1180, text))

    assert type(error) is expected
    assert error.retryable is (expected is errors.SerializationFailure)


@pytest.mark.parametrize(
    ("code", "retryable"), [(1213, True), (1020, True), (1205, False), (1062, False)]
)
def test_what_the_server_rolled_back_whole_may_be_run_again(code: int, retryable: bool) -> None:
    assert loaded().translate(driver_error(code, "x")).retryable is retryable


@pytest.mark.parametrize(
    ("code", "lost"), [(2006, True), (2013, True), (4031, True), (1927, True), (1213, False)]
)
def test_some_numbers_lose_the_connection_whatever_the_driver_believes(
    code: int, lost: bool
) -> None:
    dialect = loaded()
    exc = driver_error(code, "x")

    assert dialect.is_lost(exc, SimpleNamespace(open=True)) is lost
    assert dialect.is_lost(exc, SimpleNamespace(open=False)) is True


@pytest.mark.parametrize(
    ("args", "phase"),
    [
        ((2003, "Can't connect to MySQL server on 'x' ([Errno -2] Name not known)"), "dns"),
        ((2003, "Can't connect to MySQL server on 'x' ([Errno 111] refused)"), "tcp"),
        ((1045, "Access denied for user 'u'@'h' (using password: YES)"), "login"),
        ((1049, "Unknown database 'd'"), "login"),
        ((2013, "Lost connection during query"), None),
    ],
)
def test_a_failed_connect_tells_its_phase(args: tuple[Any, ...], phase: str | None) -> None:
    error = loaded().translate(driver_error(*args), connecting=True)

    assert isinstance(error, errors.ConnectError)
    assert error.phase == phase


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ((1048, "Column 'a' cannot be null"), {"column": "a"}),
        ((1054, "Unknown column 'a' in 'field list'"), {"column": "a"}),
        ((1062, "Duplicate entry 'it's' for key 't.u_a'"), {"constraint": "u_a"}),
        ((1062, "Duplicate entry '1' for key 'PRIMARY'"), {"constraint": "PRIMARY"}),
        ((1146, "Table 'shop.t' doesn't exist"), {"table": "t"}),
        ((1364, "Field 'a' doesn't have a default value"), {"column": "a"}),
        ((1452, "… fails (`d`.`t`, CONSTRAINT `f` FOREIGN KEY (`a`) …)"), {"constraint": "f"}),
        ((3819, "Check constraint 'c' is violated."), {"constraint": "c"}),
        ((4025, "CONSTRAINT `c` failed for `d`.`t`"), {"constraint": "c"}),
        ((4025, "CONSTRAINT `t.a` failed for `d`.`t`"), {"constraint": "t.a"}),
        ((1062, "a text in another language"), {}),
    ],
)
def test_what_the_text_tells_of_constraints_is_passed_on(
    args: tuple[Any, ...], told: dict[str, str]
) -> None:
    assert dict(loaded().diagnose(driver_error(*args))) == told


# -- the state of a connection -----------------------------------------------------------------


@pytest.mark.parametrize(("status", "state"), [(0, "idle"), (2, "idle"), (3, "active")])
def test_the_servers_status_bit_tells_of_a_transaction(status: int, state: str) -> None:
    assert loaded().transaction_state(SimpleNamespace(server_status=status)) == state


def test_a_closed_connection_has_no_descriptor() -> None:
    dialect = loaded()
    sock = SimpleNamespace(fileno=lambda: 7)

    assert dialect.fileno(SimpleNamespace(open=True, _sock=sock)) == 7
    assert dialect.fileno(SimpleNamespace(open=False, _sock=None)) is None


# -- values ------------------------------------------------------------------------------------


NAIVE = datetime(2024, 2, 29, 1, 2)  # noqa: DTZ001 - the servers' columns have no zone


class Colour(Enum):
    RED = "red"
    NO = None
    WEIGHT = Decimal("1.5")
    ODD = ("odd",)


class Level(IntEnum):
    HIGH = 3


class Money(Decimal):
    pass


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        (bytearray(b"x"), b"x"),
        (memoryview(b"x"), b"x"),
        (Decimal("1.50"), Literal("1.50")),
        (Decimal("-1E+3"), Literal("-1000.")),
        (Decimal("1E-30"), Literal("0." + "0" * 29 + "1")),
        (Money("2.5"), Literal("2.5")),
        (date(2024, 2, 29), Literal("DATE'2024-02-29'")),
        (NAIVE, Literal("TIMESTAMP'2024-02-29 01:02:00'")),
        (timedelta(hours=30), Literal("TIME'30:00:00.000000'")),
        (timedelta(microseconds=-1), Literal("TIME'-00:00:00.000001'")),
        (Json({}), Literal("CAST(_utf8mb4 X'7b7d' AS JSON)")),
        (PurePosixPath("/a"), "/a"),
        (Colour.RED, "red"),
        (Colour.NO, None),
        (Colour.WEIGHT, Literal("1.5")),
        (Level.HIGH, 3),
    ],
    ids=repr,
)
def test_values_go_as_pymysql_takes_them(value: Any, sent: Any) -> None:
    adapted = MySQLDialect().codecs.adapt("x", value)

    assert adapted == sent
    assert type(adapted) is type(sent)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (float("nan"), "have no nan"),
        (float("-inf"), "have no -inf"),
        (Decimal("NaN"), "have no NaN"),
        (datetime(2024, 2, 29, tzinfo=UTC), r"store no time zone: .*replace\(tzinfo=None\)"),
        (time(1, tzinfo=UTC), r"store no time zone: .*replace\(tzinfo=None\)"),
        (time(1, 2), "comes back as timedelta"),
        (Decimal("1E-31"), "at most 65 digits, 30 of them"),
        (Decimal("1E+65"), "at most 65 digits, 30 of them"),
        (timedelta(hours=839), "at most 34 days"),
        (UUID(int=1), r"give back as it came: say bindparam\('x', type_=UUID\)"),
        (Colour.ODD, "is of type tuple, which mysql"),
        ([1], r"is of type list, which mysql \(pymysql\) can not take"),
        ({"a": 1}, "is of type dict"),
        ({1}, "is of type set"),
    ],
    ids=repr,
)
def test_values_that_would_be_stored_wrongly_are_refused_by_name(value: Any, hint: str) -> None:
    with pytest.raises(errors.ParameterError, match=f"^parameter 'x'.*{hint}"):
        MySQLDialect().codecs.adapt("x", value)


# -- streams ------------------------------------------------------------------------------------


class Closing:
    """A socket, or what reads from it, that is interrupted as it is closed."""

    closed = False

    def __init__(self, error: BaseException | None = None) -> None:
        self._error = error

    def close(self) -> None:
        self.closed = True
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize(
    "ends",
    [(Closing(KeyboardInterrupt()), Closing()), (Closing(), Closing(KeyboardInterrupt()))],
    ids=["reader", "socket"],
)
def test_an_interrupt_as_a_socket_is_shut_comes_out_and_it_is_closed(
    ends: tuple[Closing, Closing],
) -> None:
    raw = GuardedConnection(defer_connect=True)
    raw._rfile, raw._sock = ends
    with pytest.raises(KeyboardInterrupt):
        raw._force_close()
    assert [one.closed for one in ends] == [True, True]
    assert not raw.open


def test_a_socket_that_fails_as_it_is_shut_says_nothing() -> None:
    raw = GuardedConnection(defer_connect=True)
    raw._sock = Closing(OSError())
    raw._force_close()
    assert not raw.open


def refused(*_: Any, **__: Any) -> None:
    raise AssertionError("the authorities are read")


@both
@pytest.mark.parametrize(
    "url", ["h", "10.0.0.1/?ssl_verify_cert=off", "far.example/?ssl_verify_cert=off"]
)
def test_no_authorities_are_read_where_nothing_is_verified(
    cls: type[MySQLDialect], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssl, "create_default_context", refused)
    arguments = loaded(cls)._arguments(make_url(f"{cls.name}://{url}"), 1.0, {})
    raw: Any = GuardedConnection(defer_connect=True, **arguments)
    context = raw.ctx
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


@both
def test_the_systems_authorities_are_read_once_for_each_of_its_files(
    cls: type[MySQLDialect], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    dialect, url = loaded(cls), make_url(f"{cls.name}://far.example/")
    contexts = [dialect._arguments(url, 1.0, {})["ssl"] for _ in range(2)]
    assert contexts[0] is contexts[1]
    assert (contexts[0].verify_mode, contexts[0].check_hostname) == (ssl.CERT_REQUIRED, True)
    (tmp_path / "none.pem").touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    assert dialect._arguments(url, 1.0, {})["ssl"] is not contexts[0]


@both
def test_a_file_of_authorities_that_is_not_there_is_told_of_though_nothing_is_verified(
    cls: type[MySQLDialect],
) -> None:
    url = make_url(
        f"{cls.name}://h/?ssl_ca=/nowhere.pem&ssl_verify_cert=off&ssl_verify_identity=off"
    )
    with pytest.raises(FileNotFoundError):
        loaded(cls)._arguments(url, 1.0, {})


@pytest.mark.parametrize(
    ("sql", "may_be_stopped"),
    [
        ("SELECT 1", True),
        (" (\nselect 1) UNION (SELECT 2)", True),
        ("-- why\n# what\n/* how */ WITH a AS (SELECT 1) SELECT * FROM a", True),
        ("/*+ hint */ VALUES ROW(1)", True),
        ("TABLE t", True),
        ("SHOW TABLES", True),
        ("INSERT INTO t SELECT 1 RETURNING x", False),
        ("DELETE FROM t RETURNING x", False),
        ("WITH a AS (SELECT 1)\nDELETE FROM t\nRETURNING x", False),
        ("CALL p()", False),
        ("/*! INSERT */ SELECT 1", False),
        ("/*M! INSERT */ SELECT 1", False),
        ("/* SELECT 1", False),
        ("--SELECT 1", False),
        ("SELECTED", False),
        ("", False),
    ],
)
def test_only_a_query_may_be_stopped(sql: str, may_be_stopped: bool) -> None:
    assert (streaming.QUERY.match(sql) is not None) is may_be_stopped


def test_to_see_a_query_takes_no_long_time_for_any_text() -> None:
    for text in (
        "/*" * 200_000,
        "(" * 400_000,
        "-- \n" * 100_000,
        "SELECT " + "RETURNIN " * 50_000,
    ):
        began = perf_counter()
        streaming.QUERY.match(text)
        assert perf_counter() - began < 1
