"""The lexical rules that the unit tests read by: the dialects' own, one set for each mode."""

from __future__ import annotations

from plainsql.lexing import LexicalRules
from plainsql_mysql.dialect import ANSI_QUOTES as MYSQL_ANSI_QUOTES
from plainsql_mysql.dialect import LEXICAL as MYSQL
from plainsql_mysql.dialect import MODES
from plainsql_postgresql.dialect import BACKSLASHES as POSTGRESQL_OLD_STRINGS
from plainsql_postgresql.dialect import LEXICAL as POSTGRESQL
from plainsql_sqlite.dialect import LEXICAL as SQLITE

__all__ = [
    "MYSQL",
    "MYSQL_ANSI_QUOTES",
    "MYSQL_NO_BACKSLASH_ESCAPES",
    "POSTGRESQL",
    "POSTGRESQL_OLD_STRINGS",
    "SERVERS",
    "SQLITE",
    "STANDARD",
]

STANDARD = LexicalRules()
MYSQL_NO_BACKSLASH_ESCAPES = MODES[False, True]
SERVERS = {"postgresql": POSTGRESQL, "mysql": MYSQL, "sqlite": SQLITE}
