"""PostgreSQL by psycopg 3, sync and async."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

from plainsql import errors
from plainsql.codecs import default_loads
from plainsql.deadline import within
from plainsql.dialect import Dialect
from plainsql.errors import ParameterError
from plainsql.hosts import is_local
from plainsql.rules import LexicalRules
from plainsql_postgresql import codes, types

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from plainsql.driver import Many, ParamStyle, TransactionState
    from plainsql.errors import DBAPIError, Fate
    from plainsql.url import URL

LEXICAL = LexicalRules(
    escape_prefix="E",
    plain_prefixes="BX",
    string_continuation=True,
    dollar_quotes=True,
    number=r"[0-9][0-9_]*(?:[eE][0-9_]+)?|0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+",
    nested_comments=True,
    comment_line_ends="\r\n",
    native=r"\$\d+",
    psql_variables=True,
)
#: By `standard_conforming_strings`; None: a proxy does not pass it on.
MODES = {
    b"on": LEXICAL,
    b"off": LEXICAL.replace(backslash_escapes=True),
    None: LEXICAL.replace(backslash_escapes=None),
}

#: Statements after which `standard_conforming_strings` may be another; the server reports it.
MODE_VERBS = frozenset(("SET", "RESET", "DISCARD", "CALL", "DO", "EXECUTE"))

# libpq's PQtransactionStatus, PGRES_TUPLES_OK and PQ_PIPELINE_OFF.
STATES: tuple[TransactionState, ...] = ("idle", "unknown", "active", "failed", "unknown")
TUPLES_OK = 2
#: The server takes a message of 1 GiB less 2 bytes; the rest is left for the names in it.  Of a
#: longer value psycopg sends the length in 32 bits, and as much as those say.
MESSAGE = (1 << 30) - 4096
CANCEL_TIMEOUT = 5.0  # in seconds, for the connection that carries the request
PIPELINE_OFF = 0
#: The parts of DISCARD ALL, of which psycopg takes note only the first time it sees that text.
RESET = "; ".join(
    (
        *("CLOSE ALL", "SET SESSION AUTHORIZATION DEFAULT", "RESET ALL"),
        *("DEALLOCATE ALL", "UNLISTEN *", "SELECT pg_advisory_unlock_all()"),
        *("DISCARD PLANS", "DISCARD TEMP", "DISCARD SEQUENCES"),
    )
)
#: What psycopg's connection says of its transactions.
CHARACTERISTICS = ("isolation_level", "read_only", "deferrable")
#: The libpq that knows the option require_auth.
REQUIRE_AUTH = 160000


def _whole(value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise ValueError("a whole number is wanted")
    return int(value)


def _seconds(value: str) -> int:
    if _whole(value) < 1:
        raise ValueError("at least 1 second is wanted")
    return int(value)


def _threshold(value: str) -> int | None:
    return None if value == "none" else _whole(value)


def _one_of(*possible: str) -> Callable[[str], str]:
    def convert(value: str) -> str:
        if value not in possible:
            raise ValueError(f"possible: {', '.join(possible)}")
        return value

    return convert


def _secured(given: dict[str, Any]) -> dict[str, Any]:
    """Return the keywords with TLS verified and no password in clear, where nothing else is said.

    A missing host is the one that libpq finds in its environment; what that says of TLS counts
    only for local hosts, except for the root certificate.
    """
    from psycopg import conninfo, pq

    found = {o.keyword.decode(): o.val.decode() for o in pq.Conninfo.get_defaults() if o.val}
    said = {**conninfo.conninfo_to_dict(given.get("conninfo") or ""), **given}
    told = {**found, **said}
    hosts = [h for name in ("host", "hostaddr") for h in str(told.get(name) or "").split(",")]
    unknown = "service" in said and "host" not in said
    secured = dict(given)
    if "sslmode" not in said and (unknown or not all(map(is_local, hosts))):
        secured["sslmode"] = told["sslmode"] = "verify-full"
        if not told.get("sslrootcert"):
            secured["sslrootcert"] = _root_certificates()
    by_tcp = any(host and host[0] not in "/@" for host in hosts)
    safe = told.get("sslmode") in ("require", "verify-ca", "verify-full")
    if by_tcp and not safe and "require_auth" not in told and pq.version() >= REQUIRE_AUTH:
        secured["require_auth"] = "!password"
    return secured


def _root_certificates() -> str:
    """Return the file of those that this machine trusts; psycopg's own libpq finds none."""
    import ssl

    return ssl.get_default_verify_paths().cafile or "system"


def _forget_notices(raw: Any) -> bool:
    """Forget the notifications that came before nobody listened any more."""
    backlog = getattr(raw, "_notifies_backlog", None)  # since psycopg 3.2
    if backlog:
        backlog.clear()
    return True


class PostgreSQLDialect(Dialect):
    """`postgresql://user:password@host:port/database`; a Unix socket's folder by `?host=/path`."""

    name = "postgresql"
    driver_name = "psycopg"
    extra = "postgresql"
    paramstyle: ClassVar[ParamStyle] = "format"
    lexical = LEXICAL
    capabilities = frozenset(
        {
            *("savepoints", "read_only", "deferrable", "interleaved_streams", "returning"),
            *("cancel", "commit_token"),
        }
    )
    url_options: ClassVar[Mapping[str, Callable[[str], Any]]] = {
        "host": str,
        "application_name": str,
        "connect_timeout": _seconds,
        "prepare_threshold": _threshold,
        "sslmode": _one_of("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
        "sslrootcert": str,
        "sslcert": str,
        "sslkey": str,
        "channel_binding": _one_of("disable", "prefer", "require"),
        "gssencmode": _one_of("disable", "prefer", "require"),
        "require_auth": str,
        "target_session_attrs": _one_of(
            "any", "read-write", "read-only", "primary", "standby", "prefer-standby"
        ),
        "keepalives": _whole,
        "keepalives_idle": _whole,
        "keepalives_interval": _whole,
        "keepalives_count": _whole,
        "tcp_user_timeout": _whole,
    }
    error_classes = codes.CLASSES
    parameter_codecs = types.PARAMETER_CODECS
    typed_codecs = types.TYPED_CODECS
    passes_unknown_types = True
    integers = types.INT
    reads_json = frozenset({114, 3802})  # json, jsonb
    max_parameters = 65535
    max_message = MESSAGE
    max_identifier_bytes = 63
    lists_as_arrays = True

    def load(self) -> None:
        import psycopg

        self._psycopg = psycopg
        self.driver_error = psycopg.Error
        self._null_dumper = types.null_dumper()

    # -- connecting ----------------------------------------------------------------------------

    def _arguments(
        self, url: URL, timeout: float, connect_args: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return psycopg's keywords; never a DSN, whose text errors could show."""
        options = {**self.options(url), "autocommit": True, "client_encoding": "UTF8"}
        options["connect_timeout"] = max(2, ceil(timeout))  # psycopg takes 1 for 2
        named = {
            "host": url.host,
            "port": url.port,
            "user": url.username,
            "password": url.password,
            "dbname": url.database,
        }
        named = {name: value for name, value in named.items() if value is not None}
        return _secured({**named, **options, **connect_args})

    def _limit(self, url: URL, timeout: float) -> float:
        limit: float = min(timeout, self.options(url).get("connect_timeout", timeout))
        return limit

    def _expired(self) -> Exception:
        error: Exception = self._psycopg.errors.ConnectionTimeout("connection timeout expired")
        return error

    def connect(self, url: URL, timeout: float, connect_args: Mapping[str, Any]) -> Any:
        limit = self._limit(url, timeout)
        connect = self._psycopg.connect
        try:
            raw = within(limit, lambda: connect(**self._arguments(url, limit, connect_args)))
            return self._set_up(raw)
        except TimeoutError:
            raise self._expired() from None

    async def connect_async(self, url: URL, timeout: float, connect_args: Mapping[str, Any]) -> Any:
        import asyncio

        limit = self._limit(url, timeout)
        connect = self._psycopg.AsyncConnection.connect
        try:
            async with asyncio.timeout(limit):
                raw = await connect(**self._arguments(url, limit, connect_args))
                return self._set_up(raw)
        except TimeoutError:
            raise self._expired() from None

    def adopt(self, creator: Callable[[], Any]) -> Any:
        raw = creator()
        raw.autocommit = True
        raw.plainsql_is_ours = False  # nobody knows what the creator has set
        return self._set_up(raw)

    async def adopt_async(self, creator: Callable[[], Any]) -> Any:
        raw = await creator()
        await raw.set_autocommit(True)
        raw.plainsql_is_ours = False
        return self._set_up(raw)

    def _set_up(self, raw: Any) -> Any:
        """Teach this connection, and no other, our types; no I/O."""
        from psycopg.types import json, string

        raw.adapters.register_dumper(types.Text, string.StrDumper)
        raw.adapters.register_dumper(types.Null, self._null_dumper)
        if self.codecs.json_loads is not default_loads:
            json.set_json_loads(self.codecs.json_loads, raw)
        return raw

    def changes_mode(self, verb: str, sql: str) -> bool:
        return verb in MODE_VERBS or "set_config" in sql.lower()

    def lexical_rules(self, raw: Any) -> LexicalRules:
        return MODES[raw.pgconn.parameter_status(b"standard_conforming_strings")]

    # -- errors --------------------------------------------------------------------------------

    def error_code(self, exc: BaseException) -> str | None:
        return getattr(exc, "sqlstate", None)

    def error_class(self, exc: BaseException, code: str | None) -> type[DBAPIError] | None:
        if code is not None:
            return None
        if codes.UNKNOWN_TYPE.match(str(exc)):
            return errors.DataError
        told = codes.failed_connect(str(exc))
        return None if told is None else told[0]

    def diagnose(self, exc: BaseException) -> Mapping[str, Any]:
        diag = getattr(exc, "diag", None)
        if diag is None or diag.sqlstate is None:
            told = codes.failed_connect(str(exc))
            return {} if told is None else {"phase": told[1]}
        return {
            "constraint": diag.constraint_name,
            "table": diag.table_name,
            "column": diag.column_name,
        }

    def translate(
        self, exc: BaseException, *, connecting: bool = False, lost: bool = False
    ) -> DBAPIError:
        error = super().translate(exc, connecting=connecting, lost=lost)
        if connecting:
            exc._pgconn = None  # type: ignore[attr-defined]  # noqa: SLF001 - it tells the password
        if getattr(exc, "diag", None) is not None:
            error.args = (codes.LINE.sub("", str(exc)),)  # of the text as the server saw it
        return error

    def place(self, exc: BaseException) -> int | None:
        at = getattr(getattr(exc, "diag", None), "statement_position", None)
        return int(at) - 1 if at else None

    def untyped(self, exc: BaseException) -> int | None:
        if self.error_code(exc) != codes.INDETERMINATE_DATATYPE:
            return None
        number = codes.NUMBER.search(exc.diag.message_primary)  # type: ignore[attr-defined]
        return int(number[1]) if number else None

    def seen(self, cursor: Any, values: Any) -> list[str]:
        """Psycopg numbers the values, and writes them into the text of a cursor of its client."""
        row = values[0] if isinstance(values, list) and values else values or ()
        if hasattr(cursor, "mogrify"):
            return [cursor.mogrify("%s", (value,)) for value in row]
        return [f"${n}" for n in range(1, len(row) + 1)]

    def is_lost(self, exc: BaseException, raw: Any) -> bool:
        if not self.is_open(raw):
            return True
        diag = getattr(exc, "diag", None)
        if diag is not None and diag.severity_nonlocalized in ("FATAL", "PANIC"):
            return True
        return (self.error_code(exc) or "")[:2] == "08"

    # -- state ---------------------------------------------------------------------------------

    def is_open(self, raw: Any) -> bool:
        return not raw.closed

    def transaction_state(self, raw: Any) -> TransactionState:
        status: int = raw.pgconn.transaction_status
        return STATES[status]

    def fileno(self, raw: Any) -> int | None:
        try:
            return int(raw.pgconn.socket)
        except self.driver_error:  # closed
            return None

    def proves_idle(self, raw: Any) -> bool:
        pgconn = raw.pgconn
        return self.transaction_state(raw) != "unknown" and pgconn.pipeline_status == PIPELINE_OFF

    def finish(self, raw: Any) -> None:
        raw.pgconn.finish()

    def cancel(self, raw: Any) -> None:
        raw.cancel_safe(timeout=CANCEL_TIMEOUT)

    async def cancel_async(self, raw: Any) -> None:
        await raw.cancel_safe(timeout=CANCEL_TIMEOUT)

    def timeout_sql(self, seconds: float | None) -> str:
        if seconds is None:
            return "RESET statement_timeout"
        return f"SET statement_timeout = {ceil(seconds * 1000)}"

    # psycopg must forget the statements that it prepared, before the server does.

    def reset(self, raw: Any) -> bool:
        if not getattr(raw, "plainsql_is_ours", True):
            return False
        raw._prepared.clear()  # noqa: SLF001 - as for a rollback to a savepoint
        if not raw.autocommit:
            raw.autocommit = True
        for name in CHARACTERISTICS:
            if getattr(raw, name) is not None:
                setattr(raw, name, None)
        raw.execute(RESET, prepare=False).close()
        return _forget_notices(raw)

    async def reset_async(self, raw: Any) -> bool:
        if not getattr(raw, "plainsql_is_ours", True):
            return False
        raw._prepared.clear()  # noqa: SLF001 - as above
        if not raw.autocommit:
            await raw.set_autocommit(True)
        for name in CHARACTERISTICS:
            if getattr(raw, name) is not None:
                await getattr(raw, f"set_{name}")(None)
        await (await raw.execute(RESET, prepare=False)).close()
        return _forget_notices(raw)

    # -- transactions --------------------------------------------------------------------------

    def begin(
        self, isolation_level: str | None, read_only: bool | None, deferrable: bool | None
    ) -> tuple[str, ...]:
        sql = "BEGIN"
        if isolation_level:
            sql += f" ISOLATION LEVEL {isolation_level}"
        if read_only is not None:
            sql += " READ ONLY" if read_only else " READ WRITE"
        if deferrable is not None:
            sql += " DEFERRABLE" if deferrable else " NOT DEFERRABLE"
        return (sql,)

    # A statement prepared inside the transaction may know what the rollback takes away: a table,
    # a search_path, a time zone folded into a constant.  psycopg forgets its statements in its own
    # rollback(); over a ROLLBACK through a cursor only the first time a connection sees that text.

    def rollback(self, raw: Any) -> bool:
        if self.transaction_state(raw) == "idle":
            return False
        raw.rollback()
        return True

    async def rollback_async(self, raw: Any) -> bool:
        if self.transaction_state(raw) == "idle":
            return False
        await raw.rollback()
        return True

    def rolled_back_to(self, raw: Any) -> None:
        raw._prepared.clear()  # noqa: SLF001 - what psycopg's own transaction() does

    def committed(self, cursor: Any) -> bool:
        return bool(cursor.statusmessage == "COMMIT")

    # -- a lost COMMIT -------------------------------------------------------------------------

    token_sql = codes.TOKEN

    def fate_sql(self, token: Any) -> tuple[str, Sequence[Any]]:
        xid, history, since = token
        return codes.FATE, (history, since, xid)

    def fate(self, told: Any) -> Fate | None:
        return codes.FATES[told]

    # -- statements ----------------------------------------------------------------------------

    def execute_many(
        self, cursor: Any, sql: str, rows: Sequence[Any], many: Many
    ) -> tuple[list[Any] | None, int]:
        cursor.executemany(sql, rows, returning=many.returns)
        if not many.returns:
            return None, cursor.rowcount
        found: list[Any] = []
        total, more = 0, True
        while more:  # a result for each set, in their order
            found += cursor.fetchall() if cursor.description is not None else ()
            total, more = total + cursor.rowcount, cursor.nextset()
        return (None if cursor.description is None else found), total

    async def execute_many_async(
        self, cursor: Any, sql: str, rows: Sequence[Any], many: Many
    ) -> tuple[list[Any] | None, int]:
        await cursor.executemany(sql, rows, returning=many.returns)
        if not many.returns:
            return None, cursor.rowcount
        found: list[Any] = []
        total, more = 0, True
        while more:
            found += await cursor.fetchall() if cursor.description is not None else ()
            total, more = total + cursor.rowcount, cursor.nextset()
        return (None if cursor.description is None else found), total

    @staticmethod
    def columns(cursor: Any) -> tuple[Any, ...] | None:
        """Return the names as libpq has them; `cursor.description` costs far more."""
        result = cursor.pgresult
        if result is None or not result.nfields:
            return () if result is not None and result.status == TUPLES_OK else None
        return tuple(map(result.fname, range(result.nfields)))

    @staticmethod
    def typed_columns(cursor: Any) -> tuple[Any, ...] | None:
        result = cursor.pgresult
        names = PostgreSQLDialect.columns(cursor)
        return names and tuple([(name, result.ftype(at)) for at, name in enumerate(names)])

    def column_names(self, columns: Any) -> tuple[str, ...]:
        names = [column[0] if column.__class__ is tuple else column for column in columns]
        return tuple([name.decode(errors="surrogateescape") for name in names])

    @staticmethod
    def array(members: list[Any]) -> list[Any]:
        return types.array(members)

    def empty_set(self, width: int) -> str:
        return "('{}'::record[])" if width > 1 else "('{}')"

    def require_fits(self, cursor: Any, sql: str, values: Any) -> None:
        row = values.values() if isinstance(values, dict) else values
        row = row if isinstance(values, dict | list | tuple) else ()
        # a cursor of the client writes the values into the text: bytes in hexadecimal
        bytes_as = 2 if hasattr(cursor, "mogrify") else 1
        size = types.size(sql) + sum([types.size(value, bytes_as) for value in row])
        if size > MESSAGE:
            raise ParameterError(
                f"the statement and its values have {size} bytes, which is more than the "
                f"{MESSAGE} that {self.name} takes in one message"
            )

    def typed_null(self, type_: Any) -> Any:
        return types.NULLS.get(type_)

    def stream_cursor(self, raw: Any, batch: int) -> Any:
        del batch
        asynchronous = isinstance(raw, self._psycopg.AsyncConnection)
        cursor = self._psycopg.AsyncClientCursor if asynchronous else self._psycopg.ClientCursor
        return cursor(raw)

    def stream_sql(self, sql: str, number: int, batch: int, *, hold: bool) -> tuple[str, str, str]:
        name = f'"plainsql_{number}"'
        holdable = " WITH HOLD" if hold else ""
        return (
            f"DECLARE {name} NO SCROLL CURSOR{holdable} FOR {sql}",
            f"FETCH FORWARD {batch} FROM {name}",
            f"CLOSE {name}",
        )
