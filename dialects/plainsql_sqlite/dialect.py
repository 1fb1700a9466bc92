"""SQLite by the standard library's sqlite3 module."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from math import ceil
from typing import TYPE_CHECKING, Any, ClassVar

from plainsql.dialect import Dialect
from plainsql.errors import ArgumentError, DataError, URLError
from plainsql.rules import LexicalRules
from plainsql_sqlite import codes, types

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from plainsql.driver import ParamStyle, TransactionState
    from plainsql.errors import DBAPIError
    from plainsql.url import URL

LEXICAL = LexicalRules(
    identifiers=(('"', '"'), ("`", "`"), ("[", "]")),
    open_comment_at_end=True,
    native=r"\?\d*|[@$#][A-Za-z0-9_$\x80-\U0010ffff]+|:[0-9$]",
)

# PRAGMAs that SQLite silently ignores, or answers with the old value, while a transaction is open:
# the first always, the others once it has written or was begun as IMMEDIATE.
_GAP = r"(?:[\s;]|--[^\n]*+(?:\n|\Z)|/\*[^*]*+(?:\*(?!/)[^*]*+)*\*/)*"
_NAME = r"""(?:\w+|"[^"]*"|'[^']*'|`[^`]*`|\[[^]]*\])"""
IGNORED = re.compile(
    rf"{_GAP}PRAGMA{_GAP}(?:{_NAME}{_GAP}\.{_GAP})?"
    rf"""["'`\[]?(foreign_keys|journal_mode|auto_vacuum|page_size)["'`\]]?{_GAP}[=(]""",
    re.IGNORECASE | re.DOTALL,
)
SYNCHRONOUS = ("off", "normal", "full", "extra")
JOURNAL_MODES = ("delete", "truncate", "persist", "memory", "wal", "off")
BEGIN_MODES = ("deferred", "immediate", "exclusive")


def _one_of(*words: str) -> Callable[[str], str]:
    def convert(value: str) -> str:
        if value.lower() not in words:
            raise ValueError(f"possible are {', '.join(words)}")
        return value.lower()

    return convert


def _flag(value: str) -> str:
    words = {"on": "on", "true": "on", "1": "on", "yes": "on"}
    words |= {"off": "off", "false": "off", "0": "off", "no": "off"}
    if value.lower() not in words:
        raise ValueError("possible are on and off")
    return words[value.lower()]


def _milliseconds(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and float(value) < 1 << 31):
        raise ValueError("a whole number of milliseconds, below 2147483648, is wanted")
    return int(value)


class SQLiteDialect(Dialect):
    """`sqlite://` in memory, `sqlite:///relative.db`, `sqlite:////absolute.db`."""

    name = "sqlite"
    driver_name = "sqlite3"
    paramstyle: ClassVar[ParamStyle] = "qmark"
    lexical = LEXICAL
    capabilities = frozenset(
        {"savepoints", "read_only", "interleaved_streams", "returning", "cancel"}
    )
    isolation_levels = ("SERIALIZABLE",)
    url_options: ClassVar[Mapping[str, Callable[[str], Any]]] = {
        "foreign_keys": _flag,
        "journal_mode": _one_of(*JOURNAL_MODES),
        "synchronous": _one_of(*SYNCHRONOUS),
        "busy_timeout": _milliseconds,
        "begin": _one_of(*BEGIN_MODES),
        "mode": _one_of("ro", "rw", "rwc"),
    }
    error_classes = codes.CLASSES
    retryable_codes = codes.RETRYABLE
    parameter_codecs = types.PARAMETER_CODECS
    tells_column_types = False
    max_parameters = 32766
    set_of_rows = "(VALUES {})"
    ping_sql = None

    def __init__(self) -> None:
        self._memory_name = ""
        self._folder = "."
        self._root: str | None = None
        self._begin = "BEGIN"
        self._busy_timeout = 5000

    def load(self) -> None:
        import sqlite3

        self._sqlite3 = sqlite3
        self.driver_error = sqlite3.Error

    # -- connecting ----------------------------------------------------------------------------

    def options(self, url: URL) -> dict[str, Any]:
        for part in ("host", "port", "username", "password"):
            if getattr(url, part):
                raise ArgumentError(
                    f"an SQLite URL has no {part}: write sqlite:///relative.db, "
                    "sqlite:////absolute.db, or sqlite:// for memory"
                )
        options = super().options(url)
        if "mode" in options and _file(url) is None:
            raise URLError("the URL option 'mode' is for files: an in-memory database has none")
        mode = options.get("begin", "deferred")
        # The engine asks for the options first; its transactions begin as they say.
        self._begin = "BEGIN" if mode == "deferred" else f"BEGIN {mode.upper()}"
        self._busy_timeout = options.get("busy_timeout", self._busy_timeout)
        return options

    def confine(self, root: str) -> None:
        if not os.path.isdir(root):
            raise ArgumentError(f"the root of SQLite's files is no folder: {root!r}")
        self._root = self._folder = os.path.realpath(root)

    def open_database(self, url: URL) -> Any:
        """Hold an in-memory database open for as long as the engine lives.

        A file stays where it is now, wherever the process goes.
        """
        if (file := _file(url)) is not None:
            if self._root is None and not os.path.isabs(file):
                self._folder = os.getcwd()
            self._path(file)
            return None
        self._memory_name = f"/plainsql-{os.urandom(16).hex()}"
        return self._sqlite3.connect(self._memory_uri(), uri=True, check_same_thread=False)

    def _path(self, file: str) -> str:
        """Return the path to open, which never begins like a URI; URLError if that is outside."""
        path = os.path.join(self._folder, file)
        if self._root is None:
            return path
        path = os.path.realpath(path)
        if os.path.commonpath((path, self._root)) != self._root:
            raise URLError(
                f"the file {file!r} is not in the root of SQLite's files, {self._root!r}"
            )
        return path

    def _memory_uri(self) -> str:
        return f"file:{self._memory_name}?vfs=memdb"

    def connect(self, url: URL, timeout: float, connect_args: Mapping[str, Any]) -> Any:
        del timeout  # there is no network
        options = self.options(url)
        file = _file(url)
        if file is None:
            target, uri = self._memory_uri(), True
        elif "mode" in options:
            target, uri = f"{_file_uri(self._path(file))}?mode={options['mode']}", True
        else:
            target, uri = self._path(file), False
        arguments = {
            "isolation_level": None,
            "check_same_thread": False,
            "cached_statements": 256,
            "uri": uri,
            **connect_args,
        }
        try:
            raw = self._sqlite3.connect(target, **arguments)
        except self._sqlite3.OperationalError as exc:
            exc.args = (f"{exc}: {file!r}",)
            raise
        try:
            self._configure(raw, options)
        except BaseException:
            raw.close()
            raise
        return raw

    def _configure(self, raw: Any, options: Mapping[str, Any]) -> None:
        raw.execute(f"PRAGMA busy_timeout = {self._busy_timeout}")
        raw.execute(f"PRAGMA foreign_keys = {options.get('foreign_keys', 'on')}")
        if "synchronous" in options:
            raw.execute(f"PRAGMA synchronous = {options['synchronous']}")
        if wanted := options.get("journal_mode"):
            (mode,) = raw.execute(f"PRAGMA journal_mode = {wanted}").fetchone()
            if mode != wanted:
                raise ArgumentError(f"SQLite keeps journal_mode={mode} here, not {wanted}")

    def adopt(self, creator: Callable[[], Any]) -> Any:
        raw = creator()
        raw.isolation_level = None
        return raw

    def parameter_limit(self, raw: Any) -> int:
        limit: int = raw.getlimit(self._sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        return limit

    # -- errors --------------------------------------------------------------------------------

    def error_code(self, exc: BaseException) -> str | None:
        code = getattr(exc, "sqlite_errorcode", None)
        return None if code is None else str(code)

    def error_class(self, exc: BaseException, code: str | None) -> type[DBAPIError] | None:
        if code is None:
            return None
        if code == "1":
            return next((cls for pattern, cls in codes.TEXTS if pattern.match(str(exc))), None)
        return codes.CLASSES.get(code) or codes.CLASSES.get(str(int(code) & 255))

    def translate(
        self, exc: BaseException, *, connecting: bool = False, lost: bool = False
    ) -> DBAPIError:
        if self.error_code(exc) == codes.ROW and exc.__context__ is not None:
            return DataError(f"a value can not be sent: {exc.__context__}")
        return super().translate(exc, connecting=connecting, lost=lost)

    def diagnose(self, exc: BaseException) -> Mapping[str, Any]:
        text = str(exc)
        for pattern in codes.DETAILS:
            if match := pattern.match(text):
                return match.groupdict()
        return {}

    def place(self, exc: BaseException) -> int | str | None:
        text = str(exc)
        if text == "incomplete input":
            return -1
        near = codes.NEAR.match(text)
        return None if near is None else near[1]

    def seen(self, cursor: Any, values: Any) -> list[str]:
        return ["?"] * len(values or ())

    # -- state ---------------------------------------------------------------------------------

    def is_open(self, raw: Any) -> bool:
        try:
            raw.total_changes  # noqa: B018 - raises on a closed connection
        except self._sqlite3.ProgrammingError:
            return False
        return True

    def transaction_state(self, raw: Any) -> TransactionState:
        return "active" if raw.in_transaction else "idle"

    def proves_idle(self, raw: Any) -> bool:
        return self.is_open(raw)

    def abort(self, raw: Any) -> None:
        raw.interrupt()

    def finish(self, raw: Any) -> None:
        # as long as a cursor keeps an unfinished statement, SQLite only says that it is closed
        with suppress(self._sqlite3.Error):
            raw.rollback()
        raw.close()

    def cancel(self, raw: Any) -> None:
        raw.interrupt()

    def timeout_sql(self, seconds: float | None) -> str:
        """What waits for a lock does not hear of an interrupt; that wait has a limit of its own."""
        wait = self._busy_timeout
        if seconds is not None:
            wait = min(wait, ceil(seconds * 1000))
        return f"PRAGMA busy_timeout = {wait}"

    # -- transactions --------------------------------------------------------------------------

    def begin(
        self, isolation_level: str | None, read_only: bool | None, deferrable: bool | None
    ) -> tuple[str, ...]:
        del isolation_level, deferrable  # SQLite is always serializable
        return ("PRAGMA query_only = ON", "BEGIN") if read_only else (self._begin,)

    def begin_repeatable(self, begin: tuple[str, ...]) -> tuple[str, ...]:
        return ("BEGIN IMMEDIATE",) if begin == ("BEGIN",) else begin

    def end(self, read_only: bool | None) -> tuple[str, ...]:
        return ("PRAGMA query_only = OFF",) if read_only else ()

    def refuse(self, verb: str, sql: str) -> str | None:
        match = IGNORED.match(sql) if verb == "PRAGMA" else None
        if match is None:
            return None
        name = match[1].lower()
        option = f", or as URL option ?{name}=…" if name in self.url_options else ""
        return (
            f"SQLite ignores PRAGMA {name} inside a transaction: run it on a connection with "
            f'execution_options(isolation_level="AUTOCOMMIT"){option}'
        )


def _file(url: URL) -> str | None:
    """Return the file's name, or None for a database in memory."""
    return None if url.database in ("", ":memory:") else url.database


def _file_uri(database: str) -> str:
    from pathlib import Path

    return Path(database).absolute().as_uri()
