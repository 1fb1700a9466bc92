"""PostgreSQL's SQLSTATEs → exception classes: appendix A of its manual.

psycopg gives no SQLSTATE for a connect that failed; there, and only there, anchored patterns on
the server's and libpq's texts tell more.  A server that speaks another language is recognized by
the shape of its message, but what it says is not: the class stays `ConnectError`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from plainsql import errors
from plainsql.dialect import SQLSTATES

if TYPE_CHECKING:
    from plainsql.errors import Fate

CLASSES: dict[str, type[errors.DBAPIError]] = {
    **SQLSTATES,
    "25": errors.ProgrammingError,  # not in this state of the transaction
    "25P03": errors.Disconnected,  # idle_in_transaction_session_timeout
    "25P04": errors.Disconnected,  # transaction_timeout
    "3B": errors.ProgrammingError,  # no such savepoint
    "3D000": errors.ConnectError,  # no such database
    "54": errors.OperationalError,  # limits of the server
    "57P01": errors.Disconnected,  # shut down, or pg_terminate_backend
    "57P02": errors.Disconnected,  # another backend crashed
    "57P03": errors.ConnectError,  # starting up or shutting down
    "57P05": errors.Disconnected,  # idle_session_timeout
    "58": errors.OperationalError,  # errors of the operating system
    "XX001": errors.CorruptDatabase,
    "XX002": errors.CorruptDatabase,
}

Told = tuple[type[errors.ConnectError], str | None]

# What a server says when it refuses a login; the rest of its refusals are plain ConnectErrors.
SERVER: tuple[tuple[re.Pattern[str], type[errors.ConnectError]], ...] = (
    (re.compile(r"[\w-]+ authentication failed(?: for user |$)"), errors.AuthenticationError),
    (re.compile(r'role ".*" does not exist$'), errors.AuthenticationError),
    (re.compile(r'role ".*" is not permitted to log in$'), errors.AuthenticationError),
    (re.compile(r"no pg_hba\.conf entry for "), errors.AuthenticationError),
    (re.compile(r"pg_hba\.conf rejects connection for "), errors.AuthenticationError),
    (re.compile(r"sorry, too many clients already$"), errors.TooManyConnections),
    (re.compile(r"remaining connection slots are reserved "), errors.TooManyConnections),
    (re.compile(r"too many connections for (?:role|database) "), errors.TooManyConnections),
    (re.compile(r"no more connections allowed"), errors.TooManyConnections),  # PgBouncer
)

# What libpq and psycopg say by themselves, and the phase in which they do.
CLIENT: tuple[tuple[re.Pattern[str], type[errors.ConnectError], str], ...] = (
    (re.compile(r"fe_sendauth: no password supplied"), errors.AuthenticationError, "login"),
    (re.compile(r"authentication method requirement "), errors.ConnectError, "login"),
    (
        re.compile(r"(?:failed to resolve host|could not translate host) "),
        errors.ConnectError,
        "dns",
    ),
    (
        re.compile(
            r"(?:SSL |server does not support SSL|(?:server|root) certificate |"
            r"certificate |could not (?:read|load) [\w ]*certificate )"
        ),
        errors.ConnectError,
        "tls",
    ),
    (
        re.compile(
            r"(?:Connection refused|Connection timed out|connection timeout expired|"
            r"timeout expired|No route to host|Network is unreachable|No such file or directory)"
        ),
        errors.ConnectError,
        "tcp",
    ),
)

# psycopg says so before it sends anything.
UNKNOWN_TYPE = re.compile(r"cannot adapt type ")

_PREFIX = re.compile(
    r"connection (?:failed|is bad): |failed to resolve host |connection timeout expired$"
)
_OWN = re.compile(r"connection (?:failed|is bad): ")
_PLACE = re.compile(r"connection to server (?:at|on) .*? failed: ")
_SEVERITY = re.compile(r"[^\s:]+:  ")  # libpq writes two spaces after the word, in any language
_OTHERS = "\nMultiple connection attempts failed."


def failed_connect(text: str) -> Told | None:
    """Tell class and phase of a failed connect by its text, or None for any other error.

    libpq gives a line for each try at one address; psycopg adds the other addresses, which are
    passed over: the last one's error is the one that stands.
    """
    if _PREFIX.match(text) is None:
        return None
    said = [_line(line) for line in _OWN.sub("", text.partition(_OTHERS)[0], count=1).split("\n")]
    plain: Told = (errors.ConnectError, None)
    known = [told for told in said if told != plain]
    known.sort(key=lambda told: told[0] is errors.ConnectError)
    return known[0] if known else plain


def _line(line: str) -> Told:
    text = _PLACE.sub("", line, count=1) if _PLACE.match(line) else line
    severity = _SEVERITY.match(text)
    if severity is None:
        found = next((row for row in CLIENT if row[0].match(text)), None)
        return (errors.ConnectError, None) if found is None else found[1:]
    if text is line:
        return errors.ConnectError, None  # DETAIL, HINT: they belong to the line before
    message = text[severity.end() :]
    cls = next((cls for pattern, cls in SERVER if pattern.match(message)), errors.ConnectError)
    return cls, "login"


# libpq's line of what was sent, with a caret below it.
LINE = re.compile(r"\nLINE \d+: [^\n]*\n *\^")
#: The parameter that the server names; its number stands in the message only, whatever language.
INDETERMINATE_DATATYPE = "42P18"
NUMBER = re.compile(r"\$(\d+)")

# The server and its history: a promoted standby begins another timeline, and may give the numbers
# of transactions away again.  A standby is at no place of its own, and so knows no fate.
HISTORY = (
    "(SELECT system_identifier FROM pg_control_system())"
    " || '/' || CASE WHEN NOT pg_is_in_recovery()"
    " THEN substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END"
)
# A crash changes neither, and yet numbers whose log was not on disk are given away again after it.
# It makes the server forget its statistics, which is all of it that everybody may see; whoever
# resets them by hand only makes an answer less sure.
SINCE = "CAST(extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time()) AS text)"
TOKEN = f"SELECT CAST(pg_current_xact_id_if_assigned() AS text), {HISTORY}, {SINCE}"
# Since a crash: a number that was not given away again has no fate, and a commit may be another's.
FATE = (
    "SELECT CASE WHEN now.history IS DISTINCT FROM %s THEN NULL"
    " WHEN now.since = %s THEN pg_xact_status(was.xid)"
    " WHEN was.xid >= pg_current_xact_id() THEN 'aborted'"
    " ELSE nullif(pg_xact_status(was.xid), 'committed') END"
    f" FROM (SELECT {HISTORY}, {SINCE}) AS now (history, since),"
    " (SELECT CAST(%s AS xid8)) AS was (xid)"
)
#: What `pg_xact_status` says; None: the history is another one, or the number is too old.
FATES: dict[str | None, Fate | None] = {
    "committed": "committed",
    "aborted": "aborted",
    "in progress": None,
    None: "unknown",
}
