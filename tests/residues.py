"""What a session leaves behind that no rollback takes away, and how to look for it.

The statements may name a role and two tables of the test's own, and a number nobody else has.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from tests.servers import RawConnection


class Residue(NamedTuple):
    """How it is left, and what asks for it; an error is an answer, too."""

    name: str
    leave: tuple[str, ...]
    ask: str


#: Whether a session can be cleaned; else its connection is to be closed.
CLEANS = {"sqlite": False, "postgresql": True, "mysql": True, "mariadb": True}

SQLITE = (
    Residue("temporary table", ("CREATE TEMP TABLE residue (x INT)",), "SELECT * FROM residue"),
    Residue("setting", ("PRAGMA cache_size = 77",), "PRAGMA cache_size"),
    Residue(
        "another database", ("ATTACH ':memory:' AS beside",), "SELECT * FROM beside.sqlite_master"
    ),
)
POSTGRESQL = (
    Residue("sequence", ("SELECT nextval('{second}_numbers')",), "SELECT lastval()"),
    Residue("search path", ("SET search_path = pg_catalog",), "SHOW search_path"),
    Residue("time zone", ("SET TIME ZONE 'Asia/Tokyo'",), "SHOW timezone"),
    Residue("time limit", ("SET statement_timeout = 77777",), "SHOW statement_timeout"),
    Residue(
        "lexer's mode",
        ("SET standard_conforming_strings = off",),
        "SHOW standard_conforming_strings",
    ),
    Residue(
        "own setting",
        ("SET plainsql.residue = 'left'",),
        "SELECT coalesce(current_setting('plainsql.residue', true), '')",
    ),
    Residue(
        "isolation",
        ("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",),
        "SHOW default_transaction_isolation",
    ),
    Residue(
        "advisory lock",
        ("SELECT pg_advisory_lock({number})",),
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = {number}",
    ),
    Residue(
        "temporary table",
        ("CREATE TEMP TABLE residue (x INT)",),
        "SELECT to_regclass('pg_temp.residue')",
    ),
    Residue("channel", ("LISTEN residue",), "SELECT count(*) FROM pg_listening_channels()"),
    Residue(
        "prepared statement",
        ("PREPARE residue AS SELECT 1",),
        "SELECT count(*) FROM pg_prepared_statements WHERE from_sql",
    ),
    Residue(
        "cursor",
        ("BEGIN READ ONLY", "DECLARE residue CURSOR WITH HOLD FOR SELECT 1", "COMMIT"),
        "SELECT count(*) FROM pg_cursors",
    ),
    Residue(
        "read only",
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",),
        "SHOW default_transaction_read_only",
    ),
    Residue("role", ("SET ROLE {role}",), "SELECT current_user"),
    Residue("user", ("SET SESSION AUTHORIZATION {role}",), "SELECT session_user"),
)


def of_mysql(isolation: str) -> tuple[Residue, ...]:
    """MySQL's and MariaDB's, which have different names for the isolation level."""
    return (
        Residue("user variable", ("SET @residue = 7",), "SELECT @residue"),
        Residue(
            "characters",
            ("SET NAMES latin1",),
            "SELECT @@character_set_client, @@character_set_results, @@collation_connection",
        ),
        Residue("lexer's mode", ("SET sql_mode = 'ANSI_QUOTES'",), "SELECT @@sql_mode"),
        Residue("time zone", ("SET time_zone = '+09:00'",), "SELECT @@time_zone"),
        Residue(
            "isolation",
            ("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE",),
            f"SELECT @@{isolation}_isolation",
        ),
        Residue(
            "time limit",
            ("SET SESSION innodb_lock_wait_timeout = 77",),
            "SELECT @@innodb_lock_wait_timeout",
        ),
        Residue("last number", ("SELECT last_insert_id(77)",), "SELECT last_insert_id()"),
        Residue(
            "user's lock",
            ("SELECT get_lock('plainsql {number}', 0)",),
            "SELECT is_used_lock('plainsql {number}') = connection_id()",
        ),
        Residue(
            "temporary table",
            ("CREATE TEMPORARY TABLE {first}_residue (x INT)",),
            "SELECT * FROM {first}_residue",
        ),
        Residue("prepared statement", ("PREPARE residue FROM 'SELECT 1'",), "EXECUTE residue"),
        Residue("autocommit", ("SET autocommit = 0",), "SELECT @@autocommit"),
        Residue("table lock", ("LOCK TABLES {first} WRITE",), "SELECT count(*) FROM {second}"),
        Residue(
            "read only",
            ("SET SESSION TRANSACTION READ ONLY",),
            f"SELECT @@{isolation}_read_only",
        ),
        Residue("role", ("SET ROLE {role}",), "SELECT current_role()"),
        Residue("database", ("USE information_schema",), "SELECT database()"),
    )


RESIDUES = {
    "sqlite": SQLITE,
    "postgresql": POSTGRESQL,
    "mysql": of_mysql("transaction"),
    "mariadb": of_mysql("tx"),
}
TABLES = ("CREATE TABLE {first} (x INT)", "CREATE TABLE {second} (x INT)")
#: What must be there first; the role is dropped afterwards.
GROUNDS = {
    "sqlite": TABLES,
    "postgresql": (
        *("CREATE ROLE {role}", *TABLES),
        "CREATE SEQUENCE {second}_numbers OWNED BY {second}.x",
    ),
    "mysql": ("CREATE ROLE {role}", "GRANT {role} TO current_user()", *TABLES),
    "mariadb": ("CREATE ROLE {role}", *TABLES),  # its creator is granted it
}


class Residues:
    """The residues of one kind of database, with names of the test's own."""

    def __init__(self, kind: str, raw: RawConnection, prefix: str) -> None:
        self._raw = raw
        self._kind = kind
        self._names = {
            "role": f"{prefix}role",
            "first": f"{prefix}first",
            "second": f"{prefix}second",
            "number": str(secrets.randbelow(1 << 30)),
        }
        self.all = [
            Residue(r.name, tuple(map(self._named, r.leave)), self._named(r.ask))
            for r in RESIDUES[kind]
        ]

    def _named(self, sql: str) -> str:
        return sql.format(**self._names)

    def __enter__(self) -> Self:
        self._run(*GROUNDS[self._kind])
        return self

    def __exit__(self, *told: object) -> None:
        if self._kind != "sqlite":
            self._run("DROP ROLE {role}")

    def _run(self, *texts: str) -> None:
        cursor = self._raw.cursor()
        for sql in texts:
            cursor.execute(self._named(sql))
        cursor.close()
