"""`demo:///path/to/file.db`: a dialect of one file, on the standard library's sqlite3.

Written from docs/guides/writing-a-dialect.md alone, and installed beside plainsql as a wheel.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

from plainsql import errors
from plainsql.dialect import Dialect
from plainsql.rules import LexicalRules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from plainsql.driver import ParamStyle, TransactionState
    from plainsql.errors import DBAPIError
    from plainsql.url import URL

#: The driver's code 1 is any error in the SQL; its text tells which.
TEXTS: dict[str, type[DBAPIError]] = {
    r"no such table: ": errors.UndefinedTable,
    r"(no such column: |table \S+ has no column named )": errors.UndefinedColumn,
    r'(near ".*": syntax error$|incomplete input$)': errors.SQLSyntaxError,
}


class DemoDialect(Dialect):
    """What differs from standard SQL."""

    name = "demo"
    driver_name = "sqlite3"
    paramstyle: ClassVar[ParamStyle] = "named"
    lexical = LexicalRules(
        identifiers=(('"', '"'), ("`", "`"), ("[", "]")),
        open_comment_at_end=True,
        native=r"\?\d*|[@$#][A-Za-z_][A-Za-z0-9_]*|:\d+",
    )
    capabilities = frozenset({"savepoints", "read_only", "interleaved_streams"})
    isolation_levels = ("SERIALIZABLE",)
    url_options: ClassVar[Mapping[str, Callable[[str], Any]]] = {"wait": float}
    passes_unknown_types = True
    set_of_rows = "(VALUES {})"
    ping_sql = None
    error_classes: ClassVar[Mapping[str, type[DBAPIError]]] = {
        "1": errors.ProgrammingError,
        "5": errors.LockTimeout,
        "8": errors.ReadOnlyError,
        "14": errors.ConnectError,
        "275": errors.CheckViolation,
        "787": errors.ForeignKeyViolation,
        "1299": errors.NotNullViolation,
        "1555": errors.UniqueViolation,
        "2067": errors.UniqueViolation,
    }
    retryable_codes = frozenset({"517"})

    def load(self) -> None:
        import sqlite3

        self._sqlite3 = sqlite3
        self.driver_error = sqlite3.Error

    def connect(self, url: URL, timeout: float, connect_args: Mapping[str, Any]) -> Any:
        del timeout  # a file is there at once
        raw = self._sqlite3.connect(
            url.database or ":memory:",
            timeout=self.options(url).get("wait", 5.0),
            isolation_level=None,
            check_same_thread=False,
            **connect_args,
        )
        raw.execute("PRAGMA foreign_keys = ON")
        return raw

    def error_code(self, exc: BaseException) -> str | None:
        code = getattr(exc, "sqlite_errorcode", None)
        return None if code is None else str(code)

    def error_class(self, exc: BaseException, code: str | None) -> type[DBAPIError] | None:
        if code != "1":
            return None
        return next((cls for text, cls in TEXTS.items() if re.match(text, str(exc))), None)

    def begin(
        self, isolation_level: str | None, read_only: bool | None, deferrable: bool | None
    ) -> tuple[str, ...]:
        del isolation_level, deferrable
        return ("PRAGMA query_only = ON", "BEGIN") if read_only else ("BEGIN",)

    def end(self, read_only: bool | None) -> tuple[str, ...]:
        return ("PRAGMA query_only = OFF",) if read_only else ()

    def transaction_state(self, raw: Any) -> TransactionState:
        return "active" if raw.in_transaction else "idle"

    def is_open(self, raw: Any) -> bool:
        try:
            raw.in_transaction  # noqa: B018 - raises on a closed connection
        except self._sqlite3.ProgrammingError:
            return False
        return True

    def proves_idle(self, raw: Any) -> bool:
        return self.is_open(raw)

    def abort(self, raw: Any) -> None:
        raw.interrupt()
