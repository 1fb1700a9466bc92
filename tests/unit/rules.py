"""The lexical rules that the unit tests read by: the dialects' own, one set for each mode."""

from __future__ import annotations

from plainsql.rules import LexicalRules
from plainsql_mysql.dialect import LEXICAL as MYSQL
from plainsql_mysql.dialect import MARIADB, rules_of
from plainsql_postgresql.dialect import LEXICAL as POSTGRESQL
from plainsql_postgresql.dialect import MODES
from plainsql_sqlite.dialect import LEXICAL as SQLITE

__all__ = [
    "MARIADB",
    "MYSQL",
    "MYSQL_9",
    "MYSQL_ANSI_QUOTES",
    "MYSQL_NO_BACKSLASH_ESCAPES",
    "POSTGRESQL",
    "POSTGRESQL_OLD_STRINGS",
    "SERVERS",
    "SQLITE",
    "STANDARD",
]

STANDARD = LexicalRules()
POSTGRESQL_OLD_STRINGS = MODES[b"off"]
MYSQL_ANSI_QUOTES = rules_of(MYSQL, "ANSI_QUOTES")
MYSQL_NO_BACKSLASH_ESCAPES = rules_of(MYSQL, "NO_BACKSLASH_ESCAPES")
MYSQL_9 = rules_of(MYSQL, "", "9.7.4")
SERVERS = {"postgresql": POSTGRESQL, "mysql": MYSQL, "mariadb": MARIADB, "sqlite": SQLITE}
