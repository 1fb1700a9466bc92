"""SQLite's extended result codes → exception classes: https://www.sqlite.org/rescode.html.

Code 1, SQLITE_ERROR, says only "something is wrong with the SQL"; the anchored patterns tell
more, from the message texts of SQLite's own sources.
"""

from __future__ import annotations

import re

from plainsql import errors

CLASSES: dict[str, type[errors.DBAPIError]] = {
    "1": errors.ProgrammingError,
    "3": errors.InsufficientPrivilege,
    "5": errors.LockTimeout,  # SQLITE_BUSY
    "517": errors.SerializationFailure,  # SQLITE_BUSY_SNAPSHOT
    "6": errors.LockTimeout,  # SQLITE_LOCKED
    "8": errors.ReadOnlyError,
    "9": errors.QueryCanceled,  # SQLITE_INTERRUPT
    "11": errors.CorruptDatabase,
    "13": errors.DiskFull,
    "14": errors.ConnectError,  # SQLITE_CANTOPEN
    "18": errors.DataError,  # SQLITE_TOOBIG
    "19": errors.IntegrityError,
    "20": errors.DataError,  # SQLITE_MISMATCH
    "23": errors.InsufficientPrivilege,  # SQLITE_AUTH
    "25": errors.ProgrammingError,  # SQLITE_RANGE
    "26": errors.CorruptDatabase,  # SQLITE_NOTADB
    "275": errors.CheckViolation,
    "787": errors.ForeignKeyViolation,
    "1299": errors.NotNullViolation,
    "1555": errors.UniqueViolation,  # primary key
    "2067": errors.UniqueViolation,
    "2579": errors.UniqueViolation,  # rowid
}

#: SQLITE_ROW is no error: with a cursor open, sqlite3 raises it over its own reason, which is the
#: exception's context, why a value could not be bound.
ROW = "100"

#: Whoever waits for the one lock of a database in vain stands where others meet in a deadlock.
RETRYABLE = frozenset({"5", "261", "517"})

#: Only for code 1.
TEXTS: tuple[tuple[re.Pattern[str], type[errors.DBAPIError]], ...] = tuple(
    (re.compile(pattern), cls)
    for pattern, cls in (
        (r"^no such table: ", errors.UndefinedTable),
        (r"^no such column: ", errors.UndefinedColumn),
        (r"^table \S+ has no column named ", errors.UndefinedColumn),
        (r'^near ".*": syntax error$', errors.SQLSyntaxError),
        (r"^incomplete input$", errors.SQLSyntaxError),
        (r"^unrecognized token: ", errors.SQLSyntaxError),
    )
)

#: What the message of a failed constraint tells.
DETAILS: tuple[re.Pattern[str], ...] = (
    re.compile(r"^(?:UNIQUE|NOT NULL) constraint failed: (?P<table>[^.,]+)\.(?P<column>[^.,]+)$"),
    re.compile(r"^(?:UNIQUE|NOT NULL) constraint failed: (?P<table>[^.,]+)\.[^.,]+(?:, .*)$"),
    re.compile(r"^UNIQUE constraint failed: index '(?P<constraint>[^']+)'$"),
    re.compile(r"^CHECK constraint failed: (?P<constraint>.+)$"),
    re.compile(r"^no such table: (?P<table>.+)$"),
    re.compile(r"^no such column: (?P<column>.+)$"),
    re.compile(r"^table (?P<table>\S+) has no column named (?P<column>.+)$"),
)

# The token where SQLite could not read on.
NEAR = re.compile(r'near "(.*)": syntax error$', re.DOTALL)
