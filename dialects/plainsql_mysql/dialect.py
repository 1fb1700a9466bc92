"""MySQL and MariaDB by PyMySQL."""

from __future__ import annotations

import re
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

from plainsql import errors
from plainsql.codecs import Json
from plainsql.deadline import within
from plainsql.dialect import Dialect, one_by_one
from plainsql.errors import ArgumentError, NotSupportedError, ParameterError
from plainsql.rules import LexicalRules
from plainsql.url import forget_frames
from plainsql_mysql import codes, types

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from plainsql.driver import Many, ParamStyle, TransactionState
    from plainsql.errors import DBAPIError
    from plainsql.url import URL

LEXICAL = LexicalRules(
    strings="'\"",
    backslash_escapes=True,
    identifiers=(("`", "`"),),
    hash_comments=True,
    dash_needs_space=True,
    executable_comments=("/*!",),
    name_prefixes="@.",
    delimiter_command=True,
)
MARIADB = LEXICAL.replace(executable_comments=("/*!", "/*M!"), foreign_versions=(50700, 99999))
#: What tells how a connection's SQL is read, and how much of it is taken.
MODE_SQL = (
    "SELECT @@sql_mode, @@version, @@max_allowed_packet,"
    " @@character_set_client, @@character_set_results"
)
MODES = 5  # columns of it
#: Statements after which it may be another: MariaDB runs compound ones outside of routines, too.
MODE_VERBS = frozenset(
    ("SET", "CALL", "EXECUTE", "BEGIN", "IF", "CASE", "LOOP", "WHILE", "REPEAT", "FOR")
)
VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")

JSON, TINY, BOOLEAN = 245, 1, "TINYINT(1)"  # FIELD_TYPE of the protocol; BOOLEAN is our own
LONGEST_INSERT = 1 << 20  # in bytes, where the server would take more
IN_TRANSACTION = 1  # SERVER_STATUS_IN_TRANS of the protocol
YEAR = 31_536_000  # in seconds; PyMySQL takes no longer connect_timeout
CANCEL_TIMEOUT = 5.0  # in seconds, for the connection that carries the request
COM_RESET_CONNECTION = 0x1F  # of the protocol
CHARSETS = ("utf8mb4", "utf8mb3", "ascii", "latin1")


def _charset(value: str) -> str:
    if value not in CHARSETS:
        raise ValueError(f"possible are {', '.join(CHARSETS)}")
    return value


def _flag(value: str) -> bool:
    words = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}
    if value.lower() not in words:
        raise ValueError("possible are true and false")
    return words[value.lower()]


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= YEAR:
        raise ValueError("a number of seconds above 0, and below a year, is wanted")
    return seconds


LIMITS = ("connect_timeout", "read_timeout", "write_timeout")


def _phase(exc: BaseException, text: str) -> str:
    import ssl

    if isinstance(getattr(exc, "original_exception", None), ssl.SSLError):
        return "tls"
    return "dns" if codes.DNS.match(text) else "tcp"


def rules_of(rules: LexicalRules, mode: str, version: str = "") -> LexicalRules:
    """Return the rules as a server of that version and `sql_mode` reads."""
    if match := VERSION.match(version):
        major, minor, patch = map(int, match.groups())
        number = major * 10_000 + minor * 100 + patch
        dollar_quotes = major >= 9 and "MariaDB" not in version
        rules = rules.replace(version=number, dollar_quotes=dollar_quotes)
    if "NO_BACKSLASH_ESCAPES" in mode:
        rules = rules.replace(backslash_escapes=False)
    if "ANSI_QUOTES" in mode:
        rules = rules.replace(strings="'", identifiers=(("`", "`"), ('"', '"')))
    return rules


def _is_reading(raw: Any) -> bool:
    """Tell whether a stream is open, or was left as it was."""
    result = raw._result  # noqa: SLF001 - it has no public name
    return result is not None and bool(result.unbuffered_active)


def _give_up_reading(raw: Any) -> None:
    """Or PyMySQL reads on to the end of a stream when that is collected."""
    if _is_reading(raw):
        raw._result.unbuffered_active = False  # noqa: SLF001 - as above


#: No name of a table or column may end in one.
BLANKS = " \t\n\v\f\r"


class MySQLDialect(Dialect):
    """`mysql://user:password@host:port/database`; a Unix socket by `?unix_socket=/path`."""

    name = "mysql"
    driver_name = "pymysql"
    extra = "mysql"
    paramstyle: ClassVar[ParamStyle] = "format"
    lexical = LEXICAL
    capabilities = frozenset({"savepoints", "read_only", "implicit_commit", "cancel"})
    url_options: ClassVar[Mapping[str, Callable[[str], Any]]] = {
        "unix_socket": str,
        "charset": _charset,
        "connect_timeout": _seconds,
        "read_timeout": _seconds,
        "write_timeout": _seconds,
        "program_name": str,
        "ssl_ca": str,
        "ssl_cert": str,
        "ssl_key": str,
        "ssl_disabled": _flag,
        "ssl_verify_cert": _flag,
        "ssl_verify_identity": _flag,
    }
    error_classes = codes.CLASSES
    lost_codes = codes.LOST
    retryable_codes = codes.RETRYABLE
    unknown_codes = codes.UNKNOWN
    parameter_codecs = types.MYSQL_PARAMETERS
    typed_codecs = types.TYPED_CODECS
    column_codecs: ClassVar[Mapping[Any, Any]] = {JSON: Json, BOOLEAN: types.tinyint}
    mode_sql = MODE_SQL
    ping_sql = "DO 0"
    probe_sql = "DO 0"
    max_identifier_chars = 64
    identifier_quote = "`"
    drains_streams = True
    speaks_unasked = False
    home: ClassVar[str] = "DATABASE() /*!80000 , CURRENT_ROLE() */"
    """What the server keeps when it begins a session anew; no roles before MySQL 8."""

    def load(self) -> None:
        import pymysql
        from pymysql.constants import CLIENT

        from plainsql_mysql.connection import LOGINS, GuardedConnection
        from plainsql_mysql.streaming import StreamCursor

        self._pymysql = pymysql
        self._connect = GuardedConnection
        self._logins = LOGINS
        self._stream_cursor = StreamCursor
        # An UPDATE counts the rows it matches, as on every other database.
        self._flags = CLIENT.FOUND_ROWS
        self.driver_error = pymysql.err.MySQLError

    # -- connecting ----------------------------------------------------------------------------

    def _arguments(
        self, url: URL, timeout: float, connect_args: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return PyMySQL's keywords for the time of the handshake."""
        from plainsql_mysql import tls

        options = self.options(url)
        own = {"host": url.host or "localhost", **options, **connect_args}
        told = {name: own.pop(name) for name in tls.OPTIONS if name in own}
        limit = min(timeout, options.get("connect_timeout", timeout))
        arguments = {
            "port": url.port or 3306,
            "user": url.username,
            "password": url.password or "",
            "database": url.database,
            "charset": "utf8mb4",
            "autocommit": True,
            "client_flag": self._flags,
            "local_infile": False,
            "auth_plugin_map": self._logins,
            "connect_timeout": limit,
            # The handshake is not under connect_timeout: an accepting, silent server would hang.
            "read_timeout": min(limit, options.get("read_timeout", limit)),
            "write_timeout": min(limit, options.get("write_timeout", limit)),
            **tls.arguments(told, own),
            **{name: own[name] for name in own if name not in LIMITS or name in connect_args},
        }
        if isinstance(arguments["password"], str):  # or PyMySQL takes it for latin1
            arguments["password"] = arguments["password"].encode()
        return arguments

    def connect(self, url: URL, timeout: float, connect_args: Mapping[str, Any]) -> Any:
        options = self.options(url)
        limit = min(timeout, options.get("connect_timeout", timeout))

        def open_one(limit: float = CANCEL_TIMEOUT) -> Any:
            try:
                return self._connect(**self._arguments(url, limit, connect_args))
            except BaseException as exc:
                forget_frames(exc)  # they hold the password
                raise

        def open_and_set_up() -> Any:
            raw = open_one(limit)
            for name in ("read_timeout", "write_timeout"):
                if name not in connect_args:
                    setattr(raw, f"_{name}", options.get(name))
            return self._set_up(raw, open_one)

        try:
            return within(limit, open_and_set_up)
        except TimeoutError:
            text = f"Can't connect to MySQL server on {url.host!r} (timed out)"
            raise self._pymysql.err.OperationalError(2003, text) from None
        except RuntimeError as exc:  # a package for the login method is missing
            raise self._pymysql.err.OperationalError(2059, str(exc)) from exc
        except OSError as exc:  # PyMySQL has its own for all that comes later
            text = f"TLS can not be set up: {exc}"
            raise self._pymysql.err.OperationalError(2026, text) from exc

    def adopt(self, creator: Callable[[], Any]) -> Any:
        raw = creator()
        raw.autocommit(True)
        self._set_up(raw, creator)
        raw.plainsql_is_ours = False  # nobody knows what the creator has set
        return raw

    def _set_up(self, raw: Any, open_another: Callable[[], Any]) -> Any:
        raw.plainsql_open_another = open_another
        raw.plainsql_is_ours = True
        types.teach(raw.encoders)
        told, raw.plainsql_home = self._ask_where(raw)
        self.learn_mode(raw, told)
        raw.plainsql_charset = (raw.charset, raw.collation)
        return raw

    def _ask_where(self, raw: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return what `learn_mode` takes, and which database and role the session has."""
        with raw.cursor() as cursor:
            cursor.execute(f"{MODE_SQL}, {self.home}")
            told = tuple(cursor.fetchone())
        return told[:MODES], told[MODES:]

    def learn_mode(self, raw: Any, told: tuple[Any, ...]) -> None:
        mode, version, packet, *charsets = told
        own = "utf8mb3" if raw.charset == "utf8" else raw.charset
        if own not in CHARSETS or any(charset != own for charset in charsets):
            raise NotSupportedError(
                f"the connection's character set is {charsets[0]} ({charsets[1]} for results), and "
                f"the driver's {raw.charset}: the URL option charset sets both, to one of "
                f"{', '.join(CHARSETS)}"
            )
        raw.plainsql_packet = int(packet)
        raw.plainsql_rules = rules_of(self.lexical, mode, version)

    def changes_mode(self, verb: str, sql: str) -> bool:
        return verb in MODE_VERBS

    def lexical_rules(self, raw: Any) -> LexicalRules:
        rules: LexicalRules = raw.plainsql_rules
        return rules

    # -- errors --------------------------------------------------------------------------------

    def error_code(self, exc: BaseException) -> str | None:
        code = exc.args[0] if exc.args else None
        return str(code) if isinstance(code, int) and code else None

    def error_class(self, exc: BaseException, code: str | None) -> type[DBAPIError] | None:
        if code == "1180" and codes.CERTIFICATION.search(str(exc.args[-1])):
            return errors.SerializationFailure
        return None

    def translate(
        self, exc: BaseException, *, connecting: bool = False, lost: bool = False
    ) -> DBAPIError:
        error = super().translate(exc, connecting=connecting, lost=lost)
        if len(exc.args) == 2:
            number, text = exc.args
            error.args = (f"{text} ({number})" if text else "the connection is closed",)
        if isinstance(error, errors.ConnectError) and not (error.code or "2").startswith("2"):
            error.phase = "login"  # 2000 and on are the client's own
        if isinstance(error, errors.SerializationFailure):
            error.retryable = True
        return error

    def diagnose(self, exc: BaseException) -> Mapping[str, Any]:
        code = self.error_code(exc)
        text = str(exc.args[-1]) if exc.args else ""
        if code == "2003":
            return {"phase": _phase(exc, text)}
        if code in codes.PHASES:
            return {"phase": codes.PHASES[code]}
        pattern = codes.DETAILS.get(code or "")
        match = pattern.match(text) if pattern else None
        return match.groupdict() if match else {}

    def place(self, exc: BaseException) -> int | str | None:
        near = codes.NEAR.search(str(exc.args[-1])) if self.error_code(exc) == "1064" else None
        if near is None:
            return None
        if len(near[1].encode(errors="replace")) < codes.NEAR_SIZE:
            return ~len(near[1])  # the rest of the text
        return codes.CUT_OFF.sub("", near[1])

    def seen(self, cursor: Any, values: Any) -> list[str] | None:
        if isinstance(values, list):
            return None
        return [cursor.mogrify("%s", (value,)) for value in values or ()]

    def too_large(self, cursor: Any, sql: str, values: Any) -> str | None:
        """Only of the plain driver's connections: ours do not send such a statement."""
        from plainsql_mysql.connection import too_large

        rows = values if isinstance(values, list) else [values]
        size = max([len(cursor.mogrify(sql, row).encode(errors="replace")) for row in rows])
        packet: int = cursor.connection.plainsql_packet
        return too_large(size, packet) if size + 1 >= packet else None

    # -- state ---------------------------------------------------------------------------------

    def is_lost(self, exc: BaseException, raw: Any) -> bool:
        if self.error_code(exc) == "1153":  # the server hangs up after it; we say it before sending
            return not isinstance(exc, self._pymysql.err.DataError)
        return super().is_lost(exc, raw)

    def is_open(self, raw: Any) -> bool:
        return bool(raw.open)

    def transaction_state(self, raw: Any) -> TransactionState:
        return "active" if raw.server_status & IN_TRANSACTION else "idle"

    def fileno(self, raw: Any) -> int | None:
        sock = raw._sock  # noqa: SLF001 - it has no public name
        return None if sock is None else sock.fileno()

    def abort(self, raw: Any) -> None:
        _give_up_reading(raw)
        super().abort(raw)

    def finish(self, raw: Any) -> None:
        _give_up_reading(raw)
        raw._force_close()  # noqa: SLF001 - close() would speak to the server

    def cancel(self, raw: Any) -> None:
        from plainsql_mysql.streaming import stop_by

        with raw.plainsql_open_another() as another:
            stop_by(another, raw.thread_id())

    def reset(self, raw: Any) -> bool:
        """Let the server begin the session anew, and set it up as PyMySQL and we did.

        The server keeps two things: the database and the role.
        """
        if not raw.plainsql_is_ours or _is_reading(raw):
            return False
        raw._execute_command(COM_RESET_CONNECTION, b"")  # noqa: SLF001 - as above
        raw._read_ok_packet()  # noqa: SLF001 - as above
        raw.set_character_set(*raw.plainsql_charset)
        if raw.sql_mode is not None:
            raw.query(f"SET sql_mode = {raw.escape(raw.sql_mode)}")
        if raw.init_command is not None:
            raw.query(raw.init_command)
        raw.autocommit(True)
        return self._is_home(raw) or self._go_home(raw)

    def _is_home(self, raw: Any) -> bool:
        """Learn the mode, and tell whether database and role are those of the connect."""
        told, home = self._ask_where(raw)
        self.learn_mode(raw, told)
        return bool(home == raw.plainsql_home)

    def _go_home(self, raw: Any) -> bool:
        database, *roles = raw.plainsql_home
        if database is None:  # no statement leads back to none
            return False
        raw.select_db(database)
        for role in roles:
            raw.query(f"SET ROLE {self._role(role)}")
        return self._is_home(raw)

    def _role(self, told: str | None) -> str:
        """Return what SET ROLE takes for what CURRENT_ROLE() told."""
        return told or "NONE"

    def timeout_sql(self, seconds: float | None) -> str:
        limit = "DEFAULT" if seconds is None else str(ceil(seconds * 1000))
        return f"SET SESSION max_execution_time = {limit}"

    # -- transactions --------------------------------------------------------------------------

    def begin(
        self, isolation_level: str | None, read_only: bool | None, deferrable: bool | None
    ) -> tuple[str, ...]:
        del deferrable  # not among the capabilities
        begin = "BEGIN"
        if read_only is not None:
            begin = f"START TRANSACTION READ {'ONLY' if read_only else 'WRITE'}"
        if isolation_level:
            return (f"SET TRANSACTION ISOLATION LEVEL {isolation_level}", begin)
        return (begin,)

    # -- statements ----------------------------------------------------------------------------

    def execute_many(
        self, cursor: Any, sql: str, rows: Sequence[Any], many: Many
    ) -> tuple[list[Any] | None, int]:
        """Send an INSERT of one group with many groups; PyMySQL's own `executemany` guesses."""
        if not many.group:
            return one_by_one(cursor, sql, rows)
        head, tail = many.head % (), many.tail % ()
        limit = min(LONGEST_INSERT, cursor.connection.plainsql_packet - 1024)
        total, size = 0, limit
        groups: list[str] = []
        for row in rows:
            group = cursor.mogrify(many.group, row)
            length = len(group.encode(errors="replace")) + 1
            if groups and size + length > limit:
                total += cursor.execute(f"{head}{','.join(groups)}{tail}")
                groups = []
            size = length + (size if groups else len(head.encode()) + len(tail.encode()))
            groups.append(group)
        return None, total + cursor.execute(f"{head}{','.join(groups)}{tail}")

    def empty_set(self, width: int) -> str:
        return f"(SELECT {', '.join(['NULL'] * width)} FROM DUAL WHERE 1 = 0)"

    def require_fits(self, cursor: Any, sql: str, values: Any) -> None:
        packet = cursor.connection.plainsql_packet
        longest = sum([4 * len(v) if isinstance(v, str | bytes) else 64 for v in values or ()])
        if len(sql) * 4 + longest < packet:
            return
        size = len(cursor.mogrify(sql, values).encode(errors="replace")) + 1
        if size >= packet:
            raise ParameterError(
                f"the statement has {size} bytes, which is more than the {packet - 1} that "
                f"this {self.name} server takes (max_allowed_packet)"
            )

    def column_codes(self, columns: Any) -> tuple[Any, ...]:
        return tuple(
            [BOOLEAN if (code, size) == (TINY, 1) else code for _, code, _, size, *_ in columns]
        )

    def stream_cursor(self, raw: Any, batch: int) -> Any:
        del batch
        return self._stream_cursor(raw)

    def quote(self, identifier: str) -> str:
        quoted = super().quote(identifier)
        if identifier[-1] in BLANKS or any(ord(c) > 0xFFFF for c in identifier):
            raise ArgumentError(
                f"{self.name} can not hold the identifier {identifier!r}: "
                "it ends in a blank, or has a character beyond U+FFFF"
            )
        return quoted


class MariaDBDialect(MySQLDialect):
    """`mariadb://user:password@host:port/database`."""

    name = "mariadb"
    lexical = MARIADB
    capabilities = MySQLDialect.capabilities | {"returning"}
    parameter_codecs = types.PARAMETER_CODECS
    typed_codecs = types.MARIADB_TYPED
    home = "DATABASE(), CURRENT_ROLE()"

    def _role(self, told: str | None) -> str:
        return "NONE" if told is None else self.quote(told)

    def timeout_sql(self, seconds: float | None) -> str:
        limit = "DEFAULT" if seconds is None else f"{max(seconds, 0.001):.6f}"
        return f"SET SESSION max_statement_time = {limit}"
