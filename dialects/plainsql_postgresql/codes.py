"""PostgreSQL's SQLSTATEs → exception classes: appendix A of its manual.

psycopg gives no SQLSTATE for a connect that failed; there, and only there, anchored patterns on
libpq's and the server's texts tell more.  A server with another message language falls back to
`ConnectError`.
"""

from __future__ import annotations

import re

from plainsql import errors
from plainsql.dialect import SQLSTATES

CLASSES: dict[str, type[errors.DBAPIError]] = {
    **SQLSTATES,
    "3D000": errors.ConnectError,  # no such database
    "54": errors.OperationalError,  # limits of the server
    "57P01": errors.Disconnected,
    "57P02": errors.Disconnected,
    "57P03": errors.ConnectError,
    "57P05": errors.Disconnected,
    "25P03": errors.Disconnected,
    "25P04": errors.Disconnected,
    "58030": errors.OperationalError,
    "XX001": errors.CorruptDatabase,
    "XX002": errors.CorruptDatabase,
}

CONNECT: tuple[tuple[re.Pattern[str], type[errors.DBAPIError], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), cls, phase)
    for pattern, cls, phase in (
        (r".*password authentication failed for user ", errors.AuthenticationError, "login"),
        (r".*no password supplied", errors.AuthenticationError, "login"),
        (r'.*role "[^"]*" does not exist', errors.AuthenticationError, "login"),
        (r".*no pg_hba\.conf entry for ", errors.AuthenticationError, "login"),
        (r".*sorry, too many clients already", errors.TooManyConnections, "login"),
        (r".*remaining connection slots are reserved", errors.TooManyConnections, "login"),
        (r'.*database "[^"]*" does not exist', errors.ConnectError, "login"),
        (r".*the database system is ", errors.ConnectError, "login"),
        (r".*failed to resolve host", errors.ConnectError, "dns"),
        (r".*could not translate host name", errors.ConnectError, "dns"),
        (r".*(?:SSL|certificate|TLS)", errors.ConnectError, "tls"),
        (r".*(?:Connection refused|timeout expired|connection timeout)", errors.ConnectError, "tcp"),
        (r".*No such file or directory", errors.ConnectError, "tcp"),
    )
)
