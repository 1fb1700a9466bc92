"""MySQL's and MariaDB's error numbers → exception classes, from both servers' manuals."""

from __future__ import annotations

import re

from plainsql import errors

CLASSES: dict[str, type[errors.DBAPIError]] = {
    "126": errors.CorruptDatabase,  # the storage engine's own numbers: a damaged index
    "127": errors.CorruptDatabase,  # a damaged row
    "144": errors.CorruptDatabase,  # marked as crashed, and not repaired
    "145": errors.CorruptDatabase,  # marked as crashed
    "1020": errors.SerializationFailure,  # MariaDB: record has changed since last read
    "1021": errors.DiskFull,
    "1030": errors.InternalError,  # the storage engine's own error, whatever it is
    "1034": errors.CorruptDatabase,  # a damaged index
    "1035": errors.CorruptDatabase,  # an old index
    "1040": errors.TooManyConnections,
    "1044": errors.InsufficientPrivilege,  # to a database
    "1045": errors.AuthenticationError,
    "1047": errors.OperationalError,  # Galera: node not ready
    "1048": errors.NotNullViolation,
    "1049": errors.ConnectError,  # unknown database
    "1050": errors.ProgrammingError,  # table exists
    "1051": errors.UndefinedTable,
    "1052": errors.ProgrammingError,  # ambiguous column
    "1054": errors.UndefinedColumn,
    "1055": errors.ProgrammingError,  # not in GROUP BY
    "1060": errors.ProgrammingError,  # column exists
    "1062": errors.UniqueViolation,
    "1064": errors.SQLSyntaxError,
    "1072": errors.UndefinedColumn,  # of a key
    "1091": errors.ProgrammingError,  # no such column or key to drop
    "1114": errors.DiskFull,
    "1130": errors.AuthenticationError,  # host not allowed
    "1136": errors.ProgrammingError,  # columns and values differ in number
    "1138": errors.NotNullViolation,  # of rows there, by ALTER TABLE
    "1142": errors.InsufficientPrivilege,  # to a table
    "1143": errors.InsufficientPrivilege,  # to a column
    "1146": errors.UndefinedTable,
    "1149": errors.SQLSyntaxError,
    "1180": errors.OperationalError,  # error during COMMIT; see CERTIFICATION
    "1194": errors.CorruptDatabase,  # table marked as crashed
    "1203": errors.TooManyConnections,
    "1205": errors.LockTimeout,
    "1153": errors.DataError,  # a packet too large; found before it is sent
    "1210": errors.ProgrammingError,  # wrong arguments
    "1213": errors.DeadlockDetected,
    "1216": errors.ForeignKeyViolation,
    "1217": errors.ForeignKeyViolation,
    "1222": errors.ProgrammingError,  # UNION of different numbers of columns
    "1226": errors.TooManyConnections,
    "1227": errors.InsufficientPrivilege,
    "1235": errors.NotSupportedError,
    "1242": errors.ProgrammingError,  # subquery of several rows
    "1264": errors.DataError,
    "1265": errors.DataError,
    "1263": errors.NotNullViolation,
    "1290": errors.ReadOnlyError,
    "1292": errors.DataError,
    "1305": errors.ProgrammingError,  # no such function, procedure or savepoint
    "1317": errors.QueryCanceled,
    "1364": errors.NotNullViolation,
    "1365": errors.DataError,
    "1366": errors.DataError,
    "1370": errors.InsufficientPrivilege,
    "1406": errors.DataError,
    "1411": errors.DataError,
    "1451": errors.ForeignKeyViolation,
    "1452": errors.ForeignKeyViolation,
    "1568": errors.ProgrammingError,  # not inside a transaction
    "1586": errors.UniqueViolation,
    "1690": errors.DataError,
    "1698": errors.AuthenticationError,
    "1792": errors.ReadOnlyError,
    "1815": errors.InternalError,
    "1820": errors.AuthenticationError,  # password expired
    "1824": errors.UndefinedTable,  # of a foreign key
    "1836": errors.ReadOnlyError,
    "1862": errors.AuthenticationError,  # password expired
    "1969": errors.QueryCanceled,  # MariaDB: max_statement_time
    "2003": errors.ConnectError,
    "3024": errors.QueryCanceled,  # MySQL: max_execution_time
    "3101": errors.SerializationFailure,  # a group's certification rolled back instead of COMMIT
    "3118": errors.AuthenticationError,  # account locked
    "3140": errors.DataError,  # invalid JSON
    "3572": errors.LockTimeout,  # NOWAIT
    "3819": errors.CheckViolation,
    "4025": errors.CheckViolation,  # MariaDB
    "4151": errors.AuthenticationError,  # MariaDB: account locked
}

#: After these the connection is gone, whatever the driver believes.
LOST = frozenset({"1053", "1927", "2006", "2013", "2055", "3032", "4031"})

RETRYABLE = frozenset({"1020", "1213", "3101"})

#: 1180 wraps the engine's own number; 149 is a deadlock found by certification at COMMIT.
CERTIFICATION = re.compile(r"Got error 149\b")

#: A plug-in (group replication) or the cluster (Galera) broke a COMMIT off, somewhere in it.
UNKNOWN = frozenset({"1180", "3100"})

#: What a failed connect tells of its phase; 2003 may be anything before the login.
PHASES = {"2026": "tls", "2059": "login", "2061": "login"}
DNS = re.compile(r".*\[Errno -\d+\] ", re.DOTALL)

#: What the texts of constraint errors tell.
DETAILS: dict[str, re.Pattern[str]] = {
    "1048": re.compile(r"^Column '(?P<column>[^']+)'"),
    "1054": re.compile(r"^Unknown column '(?P<column>[^']+)'"),
    "1062": re.compile(r".* for key '(?:[^'.]+\.)?(?P<constraint>[^']+)'$", re.DOTALL),
    "1146": re.compile(r"^Table '(?:[^'.]+\.)?(?P<table>[^']+)'"),
    "1364": re.compile(r"^Field '(?P<column>[^']+)'"),
    "1451": re.compile(r".* CONSTRAINT `(?P<constraint>[^`]+)`", re.DOTALL),
    "1452": re.compile(r".* CONSTRAINT `(?P<constraint>[^`]+)`", re.DOTALL),
    "3819": re.compile(r"^Check constraint '(?P<constraint>[^']+)'"),
    "4025": re.compile(r"^CONSTRAINT `(?:[^`]+`\.`)*(?P<constraint>[^`]+)`"),
}

# What the server shows of the text where it could not read on.
NEAR = re.compile(r" near '(.*)' at line \d+$", re.DOTALL)
#: Of no fewer bytes it may be cut: to 80, and to whole characters; MariaDB's dots are among them.
NEAR_SIZE = 77
#: The word in which it was cut.
CUT_OFF = re.compile(r"[\w$]*(?:\.\.\.)?\Z")
