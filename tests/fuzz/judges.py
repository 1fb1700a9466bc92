"""What a server's own parser says of a place in a text: is it code there, or part of a literal?

A case is a text with one `MARK` in it.  Each judge puts the server's own placeholder there, has the
text parsed, and answers `OUT` (a parameter was seen), `IN` (none was), `OPEN` (something is never
closed), or None where the answer would tell nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from plainsql.errors import SQLTextError
from plainsql.lexing import scan
from plainsql_mysql.dialect import MODE_SQL, MariaDBDialect, MySQLDialect
from plainsql_postgresql.dialect import PostgreSQLDialect
from plainsql_sqlite.dialect import LEXICAL as SQLITE
from tests.servers import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plainsql.rules import LexicalRules

MARK = "\ue000"
IN, OUT, OPEN, NOT_IN = "in", "out", "open", "not in"
SYNTAX = "syntax error"  # what a judge hears, and says nothing of a place by itself
NAME = "zq"
#: `:x$$` is sent as `$1$$`; and a `$` that neither is in a name nor opens a literal is in no SQL.
OWN = re.compile(r":\w+\$|(?<!\w)\$[A-Za-z]*'")


def ours(text: str, rules: LexicalRules) -> str | None:
    """Our own answer; None where our own syntax makes another text of it."""
    if OWN.search(text):
        return None
    try:
        found = scan(text.replace(MARK, f" :{NAME} "), rules)
    except SQLTextError as exc:
        return OPEN if "never closed" in str(exc) else None
    names = {p.name for p in found.parameters}
    if names - {NAME}:  # what follows our own syntax, the server does not read so
        return None
    return OUT if names else IN


class Judge:
    """A parser, in one of its modes."""

    name: str
    rules: LexicalRules
    placeholder = "?"

    def ask(self, sql: str) -> str | None:
        """Have `sql` parsed: IN, OUT, OPEN, SYNTAX or None."""
        raise NotImplementedError

    def verdict(self, text: str) -> str | None:
        """Say what stands at MARK: the placeholder is judged beside blanks in its place."""
        said = self.ask(text.replace(MARK, f" {self.placeholder} "))
        if said in (None, IN):
            return said
        blank = self.ask(text.replace(MARK, " " * (2 + len(self.placeholder))))
        if blank == IN:  # seen, or refused where blanks are not, before what follows is read
            return OUT if said == OUT else NOT_IN
        return OPEN if blank == said == OPEN else None

    def close(self) -> None:
        """Let go of the server."""

    def disagrees(self, text: str) -> str | None:
        """Return both answers where they are not one."""
        judged, said = self.verdict(text), ours(text, self.rules)
        if judged is None or said is None or judged == said:
            return None
        if judged == NOT_IN and said != IN:
            return None
        return f"{self.name} says {judged}, plainsql {said}"


class Pglast(Judge):
    """PostgreSQL's own lexer as a library; any text will do, it need be no statement."""

    name = "pglast"
    rules = PostgreSQLDialect.lexical
    placeholder = "$4711"

    def __init__(self) -> None:
        from pglast.parser import ParseError, scan

        self._scan, self._error = scan, ParseError

    def ask(self, sql: str) -> str | None:
        try:
            tokens = self._scan(sql)
        except self._error as exc:
            return OPEN if str(exc).startswith("unterminated") else None
        if any(token.name == "ASCII_36" for token in tokens):
            return None  # a `$` alone is in no statement
        found = any(
            token.name == "PARAM" and sql[token.start : token.end + 1] == self.placeholder
            for token in tokens
        )
        return OUT if found else IN

    def verdict(self, text: str) -> str | None:
        return self.ask(text.replace(MARK, f" {self.placeholder} "))


class PostgreSQL(Judge):
    """A server's answer to Parse and Describe."""

    placeholder = "$1"

    def __init__(self, url: str, *, conforming: bool) -> None:
        raw: Any = connect(url)
        self._raw = raw
        self._raw.autocommit = True
        setting = "on" if conforming else "off"
        self._raw.execute(f"SET standard_conforming_strings = {setting}")
        self._raw.execute("SET escape_string_warning = off")
        self.rules = PostgreSQLDialect().lexical_rules(self._raw)
        self.name = f"postgresql, standard_conforming_strings={setting}"

    def ask(self, sql: str) -> str | None:
        pgconn = self._raw.pgconn
        result = pgconn.prepare(b"", sql.encode())
        if result.status == 1:  # PGRES_COMMAND_OK
            return OUT if pgconn.describe_prepared(b"").nparams else IN
        code = result.error_field(67).decode()
        if code == "42P18":  # a parameter whose type nothing tells
            return OUT
        if code != "42601":
            return None
        message = result.error_field(77).decode()
        return OPEN if message.startswith("unterminated") else SYNTAX

    def close(self) -> None:
        self._raw.close()


class MySQL(Judge):
    """A server's answer to COM_STMT_PREPARE."""

    def __init__(self, url: str, mode: str) -> None:
        self._raw: Any = connect(url)
        dialect = MariaDBDialect() if url.startswith("mariadb") else MySQLDialect()
        dialect.load()
        with self._raw.cursor() as cursor:
            cursor.execute("SET NAMES utf8mb4")
            cursor.execute(f"SET sql_mode = '{mode}'")
            cursor.execute(MODE_SQL)
            dialect.learn_mode(self._raw, cursor.fetchone())
        self.rules = dialect.lexical_rules(self._raw)
        self.name = f"{url.partition(':')[0]}, sql_mode={mode!r}"
        self._error = dialect.driver_error

    def ask(self, sql: str) -> str | None:
        raw = self._raw
        raw._execute_command(0x16, sql)  # COM_STMT_PREPARE
        try:
            data = raw._read_packet().get_all_data()
        except self._error as exc:
            return SYNTAX if exc.args[0] in (1064, 1149) else None
        statement, columns, parameters = data[1:5], data[5:7], data[7:9]
        for count in (parameters, columns):
            if any(count):
                while not raw._read_packet().is_eof_packet():
                    pass
        raw._execute_command(0x19, statement)  # COM_STMT_CLOSE, which is not answered
        return OUT if any(parameters) else IN

    def close(self) -> None:
        self._raw.close()


class SQLite(Judge):
    """sqlite3_prepare, by way of apsw."""

    name = "sqlite"
    rules = SQLITE
    placeholder = f":{NAME}"

    def __init__(self) -> None:
        import apsw

        self._error = apsw.Error
        self._abort = apsw.ExecTraceAbort
        self._raw = apsw.Connection(":memory:")
        self._seen = 0
        self._raw.exec_trace = self._trace

    def _trace(self, cursor: Any, sql: str, bindings: Any) -> bool:
        del sql, bindings
        self._seen = cursor.bindings_count
        return False

    def ask(self, sql: str) -> str | None:
        self._seen = 0
        try:
            self._raw.execute(sql, {NAME: 1})
        except self._abort:
            return OUT if self._seen else IN
        except KeyError:  # a variable of SQLite's own
            return None
        except self._error as exc:
            text = str(exc)
            if "unrecognized token" in text or "incomplete input" in text:
                return OPEN if "token" in text and text.split('"', 1)[1][:1] in "'\"`[" else SYNTAX
            return SYNTAX if "syntax error" in text else None
        return None  # nothing was prepared


def judges(kind: str, url: str) -> Iterator[Judge]:
    """Every parser of a database, in every mode that changes how it reads."""
    if kind == "sqlite":
        yield SQLite()
    elif kind == "postgresql":
        yield Pglast()
        yield PostgreSQL(url, conforming=True)
        yield PostgreSQL(url, conforming=False)
    else:
        for mode in ("", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"):
            yield MySQL(url, mode)
