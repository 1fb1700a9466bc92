"""The compiled statements of one dialect and lexer mode.

Floor 2: pure, but for a lock around what all threads share.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from plainsql.clause import TextClause
from plainsql.errors import ArgumentError
from plainsql.lexing import scan_script
from plainsql.options import require_flags
from plainsql.statement import Compiled, Examined, Untouched
from plainsql.templates import Template, flatten

if TYPE_CHECKING:
    from plainsql.dialect import Dialect
    from plainsql.errors import SQLTextError
    from plainsql.lexing import Part
    from plainsql.rules import LexicalRules

CACHE_ENTRIES: Final = 512
CACHE_CHARACTERS: Final = 8 << 20
CACHED_TEXT: Final = 64 << 10
#: One statement that begins with its keyword, most likely; anything else is read as a script.
PLAIN_TEXT = re.compile(r"\s*+([A-Za-z]++)[^;]*+\Z")


class StatementCache:
    """Compiled statements of one dialect and lexer mode; a dict, evicted on a miss only.

    Holds at most 512 texts and 8 Mi characters; a text over 64 Ki characters is not kept.
    `entries` is a plain dict, for others to read only, so that a hit costs no call.
    """

    __slots__ = ("_characters", "_dialect", "_lock", "_rules", "entries", "nothing")

    def __init__(self, dialect: Dialect, rules: LexicalRules) -> None:
        self._dialect = dialect
        self._rules = rules
        self._lock = threading.Lock()
        self.entries: dict[Any, Compiled] = {}
        self._characters = 0
        self.nothing = Examined("", "", dialect)
        dialect.codecs.caches.append(self)

    def clear(self) -> None:
        """Forget every statement."""
        with self._lock:
            self.entries.clear()
            self._characters = 0

    def compile(
        self,
        statement: str | TextClause | Untouched,
        into: type | None = None,
        *,
        lax: bool = False,
    ) -> Compiled:
        """Compile a statement that `entries` does not have, and keep it."""
        if isinstance(statement, Untouched):
            return statement  # type: ignore[return-value] # with it, the caller needs no more
        if isinstance(statement, str):
            clause = TextClause(statement)
        elif isinstance(statement, TextClause):
            clause = statement
        else:
            raise ArgumentError(
                f"a statement must be a str or text(…), not {type(statement).__name__}"
            )
        key, mapper = clause._key, None  # noqa: SLF001 - a clause tells what it is kept by
        if into is not None:
            from plainsql.mapping import Mapper  # imports `inspect`

            key, mapper = mapped_key(key, into, lax=lax), Mapper(into, lax=lax)
        compiled = Compiled(clause, self._dialect, self._rules, mapper)
        return self._kept(key, compiled)

    def _kept(self, key: Any, compiled: Compiled) -> Compiled:
        size = len(compiled.statement)
        if size > CACHED_TEXT:
            return compiled
        with self._lock:
            entries = self.entries
            if key in entries:  # another thread missed it too
                return entries[key]
            while entries and (
                len(entries) >= CACHE_ENTRIES or self._characters + size > CACHE_CHARACTERS
            ):
                oldest = next(iter(entries))
                self._characters -= len(entries.pop(oldest).statement)
            entries[key] = compiled
            self._characters += size
        return compiled

    def of_template(self, template: Template, params: Any) -> tuple[TextClause, dict[str, Any]]:
        """Return a template as a statement and its parameters."""
        if params is not None:
            raise ArgumentError("a template string brings its parameters: give it no others")
        text, places, values = flatten(template, self._dialect.quote)
        return TextClause(text, places=places), values

    def parts(self, script: str, delimiter: str = ";") -> tuple[deque[Part], SQLTextError | None]:
        """Split a script as this connection's server would; as `scan_script`."""
        parts, error = scan_script(script, self._rules, delimiter)
        return deque(parts), error

    def part(self, part: Part) -> Untouched:
        """Examine a statement of a script."""
        return Untouched(part.text, part.verb, self._dialect, None)

    def untouched(self, sql: str, values: Any = None) -> Untouched:
        """Examine a text that goes to the driver as it is; it may hold several statements."""
        match = PLAIN_TEXT.match(sql)
        if match is not None:
            return Untouched(sql, match[1].upper(), self._dialect, values)
        parts, _ = self.parts(sql)
        whole = Untouched(sql, parts[0].verb if parts else "", self._dialect, values)
        for part in parts:
            whole.take_over(self.part(part))
        return whole


def mapped_key(key: Any, into: Any, *, lax: bool) -> Any:
    """Return what the cache looks up for a statement whose rows are made into objects."""
    if into is None:
        raise ArgumentError("lax=True says how strict into= is: give into=, too")
    if not isinstance(into, type):
        raise ArgumentError(f"into= takes a class, not {into!r}")
    require_flags(lax=lax)
    return key, into, lax
