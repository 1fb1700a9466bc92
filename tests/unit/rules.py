"""The lexical rules that the unit tests read by, one set for each mode of a server."""

from __future__ import annotations

from plainsql.lexing import LexicalRules

STANDARD = LexicalRules()

POSTGRESQL = LexicalRules(
    escape_prefix="E",
    string_continuation=True,
    dollar_quotes=True,
    nested_comments=True,
    comment_line_ends="\r\n",
    native=r"\$\d+",
    psql_variables=True,
)
POSTGRESQL_OLD_STRINGS = POSTGRESQL.replace(backslash_escapes=True)

MYSQL = LexicalRules(
    strings="'\"",
    backslash_escapes=True,
    identifiers=(("`", "`"),),
    hash_comments=True,
    dash_needs_space=True,
    executable_comments=("/*!", "/*M!"),
)
MYSQL_ANSI_QUOTES = MYSQL.replace(strings="'", identifiers=(("`", "`"), ('"', '"')))
MYSQL_NO_BACKSLASH_ESCAPES = MYSQL.replace(backslash_escapes=False)

SQLITE = LexicalRules(
    identifiers=(('"', '"'), ("`", "`"), ("[", "]")),
    open_comment_at_end=True,
    native=r"\?\d*|[@$#][A-Za-z_][A-Za-z0-9_]*|:\d+",
)

SERVERS = {"postgresql": POSTGRESQL, "mysql": MYSQL, "sqlite": SQLITE}
