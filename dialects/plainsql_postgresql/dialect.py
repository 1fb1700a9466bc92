"""PostgreSQL by psycopg 3, sync and async."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

from plainsql.dialect import Dialect
from plainsql.lexing import LexicalRules
from plainsql_postgresql import codes, types

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from plainsql.driver import ParamStyle, TransactionState
    from plainsql.errors import DBAPIError
    from plainsql.url import URL

LEXICAL = LexicalRules(
    escape_prefix="E",
    string_continuation=True,
    dollar_quotes=True,
    nested_comments=True,
    comment_line_ends="\r\n",
    native=r"\$\d+",
    psql_variables=True,
)

# libpq's PQtransactionStatus.
STATES: tuple[TransactionState, ...] = ("idle", "unknown", "active", "failed", "unknown")

# Text options of libpq that a URL may set; what names files of the client stands with TLS only.
LIBPQ_OPTIONS = (
    "application_name channel_binding client_encoding gssencmode keepalives keepalives_count "
    "keepalives_idle keepalives_interval require_auth sslcert sslkey sslmode sslrootcert "
    "target_session_attrs tcp_user_timeout"
).split()


def _whole(value: str) -> int:
    if not value.isdecimal():
        raise ValueError("a whole number is wanted")
    return int(value)


class PostgreSQLDialect(Dialect):
    """`postgresql://user:password@host:port/database`; a Unix socket's folder by `?host=/path`."""

    name = "postgresql"
    driver_name = "psycopg"
    extra = "postgresql"
    paramstyle: ClassVar[ParamStyle] = "format"
    lexical = LEXICAL
    capabilities = frozenset(
        {
            "savepoints",
            "read_only",
            "deferrable",
            "interleaved_streams",
            "transactional_ddl",
            "returning",
        }
    )
    url_options: ClassVar[Mapping[str, Callable[[str], Any]]] = {
        **dict.fromkeys(LIBPQ_OPTIONS, str),
        "host": str,
        "connect_timeout": _whole,
        "prepare_threshold": _whole,
    }
    error_classes = codes.CLASSES
    parameter_codecs = types.PARAMETER_CODECS
    passes_unknown_types = True
    max_parameters = 65535
    max_identifier_bytes = 63
    lists_as_arrays = True

    def load(self) -> None:
        import psycopg  # noqa: PLC0415 - compile() works without it

        self._psycopg = psycopg
        self.driver_error = psycopg.Error

    # -- connecting ----------------------------------------------------------------------------

    def _arguments(
        self, url: URL, timeout: float, connect_args: Mapping[str, Any]
    ) -> dict[str, Any]:
        # libpq counts whole seconds, and takes 1 for 2.
        arguments: dict[str, Any] = {"connect_timeout": max(2, ceil(timeout)), "autocommit": True}
        named = {
            "host": url.host,
            "port": url.port,
            "user": url.username,
            "password": url.password,
            "dbname": url.database,
        }
        arguments.update({name: value for name, value in named.items() if value is not None})
        arguments.update(self.options(url))
        arguments.update(connect_args)
        return arguments

    def connect(self, url: URL, timeout: float, connect_args: Mapping[str, Any]) -> Any:
        return self._psycopg.connect(**self._arguments(url, timeout, connect_args))

    async def connect_async(
        self, url: URL, timeout: float, connect_args: Mapping[str, Any]
    ) -> Any:
        arguments = self._arguments(url, timeout, connect_args)
        return await self._psycopg.AsyncConnection.connect(**arguments)

    def adopt(self, creator: Callable[[], Any]) -> Any:
        raw = creator()
        raw.autocommit = True
        return raw

    async def adopt_async(self, creator: Callable[[], Any]) -> Any:
        raw = await creator()
        await raw.set_autocommit(True)
        return raw

    def lexical_rules(self, raw: Any) -> LexicalRules:
        if raw.pgconn.parameter_status(b"standard_conforming_strings") == b"off":
            return BACKSLASHES
        return LEXICAL

    # -- errors --------------------------------------------------------------------------------

    def error_code(self, exc: BaseException) -> str | None:
        return getattr(exc, "sqlstate", None)

    def error_class(self, exc: BaseException, code: str | None) -> type[DBAPIError] | None:
        if code is not None:
            return None
        text = str(exc)
        if not text.startswith("connection"):
            return None
        return next((cls for pattern, cls, _ in codes.CONNECT if pattern.match(text)), None)

    def diagnose(self, exc: BaseException) -> Mapping[str, Any]:
        diag = getattr(exc, "diag", None)
        if diag is None or diag.sqlstate is None:
            text = str(exc)
            phases = [phase for pattern, _, phase in codes.CONNECT if pattern.match(text)]
            return {"phase": phases[0]} if phases and text.startswith("connection") else {}
        return {
            "constraint": diag.constraint_name,
            "table": diag.table_name,
            "column": diag.column_name,
        }

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
        return STATES[raw.pgconn.transaction_status]

    def fileno(self, raw: Any) -> int | None:
        return None if raw.closed else int(raw.pgconn.socket)

    def proves_idle(self, raw: Any) -> bool:
        return not raw.closed and self.transaction_state(raw) != "unknown"

    def finish(self, raw: Any) -> None:
        raw.pgconn.finish()

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

    def committed(self, cursor: Any) -> bool:
        return bool(cursor.statusmessage == "COMMIT")

    # -- statements ----------------------------------------------------------------------------

    @staticmethod
    def columns(cursor: Any) -> tuple[bytes | None, ...] | None:
        """Return the names as libpq has them; `cursor.description` costs far more."""
        result = cursor.pgresult
        if result is None or not result.nfields:
            return () if result is not None and result.status == TUPLES_OK else None
        return tuple(map(result.fname, range(result.nfields)))

    def column_names(self, columns: Any) -> tuple[str, ...]:
        return tuple([name.decode() for name in columns])

    def stream_cursor(self, raw: Any, batch: int) -> Any:
        del batch
        asynchronous = isinstance(raw, self._psycopg.AsyncConnection)
        cursor = self._psycopg.AsyncClientCursor if asynchronous else self._psycopg.ClientCursor
        return cursor(raw)

    def stream_sql(self, sql: str, number: int, batch: int) -> tuple[str, str, str]:
        name = f'"plainsql_{number}"'
        return (
            f"DECLARE {name} NO SCROLL CURSOR FOR {sql}",
            f"FETCH FORWARD {batch} FROM {name}",
            f"CLOSE {name}",
        )


BACKSLASHES = LEXICAL.replace(backslash_escapes=True)
#: libpq's PGRES_TUPLES_OK.
TUPLES_OK = 2
