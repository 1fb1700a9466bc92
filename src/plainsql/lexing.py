"""Reads SQL text as a server's lexer does, and tells where its `:name` parameters stand.

`scan` reads one text by a dialect's `LexicalRules`.  Nothing is rendered here and no byte is
changed: `plainsql.rendering` does that.  Floor 1.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from plainsql.errors import SQLTextError
from plainsql.splitting import DELIMITER, split

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from plainsql.rules import LexicalRules

    Handler = Callable[["_Scanner", re.Match[str]], int]

# Every server reads non-ASCII characters as parts of identifiers, so the classes are written as
# all but some ASCII.
_BLANKS = " \t\n\r\f\v"
_WORD = r"[^\x00-#%-/:-@\[-^`{-\x7f]"  # within an identifier: letters, digits, `_`, `$`
_WORD_OR_COLON = r"[^\x00-#%-/;-@\[-^`{-\x7f]"
_START = r"[^\x00-@\[-^`{-\x7f]"  # begins a name or a dollar tag: letters, `_`
_NEXT = r"[^\x00-/:-@\[-^`{-\x7f]"  # continues one: letters, digits, `_`

_WORD_CHARACTER = re.compile(_WORD)
_WORD_END = re.compile(f"{_WORD}*+")
_HEAD = re.compile(rf"[{_BLANKS}(;]*+([A-Za-z_][A-Za-z0-9_]*+)?")
_CLOSING_PARENTHESIS = re.compile(rf"[{_BLANKS}]*+\)")
_NO_LIST = ("= ", ", ", "=", ",", "> ", "< ")  # before a parameter: no look back for IN
_NESTED_COMMENT = re.compile(r"/\*|\*/")
_CONTINUATION = re.compile(  # what stands between two pieces of one PostgreSQL literal
    r"(?:[ \t\f\v]++|--[^\r\n]*+)*[\r\n](?:[ \t\r\n\f\v]++|--[^\r\n]*+[\r\n])*'"
)


class Parameter:
    """One place of a parameter: `sql[start:end]` is the colon and the name.

    `in_list` says that it follows the keyword IN, as in `IN :ids`; then `in_start`, `in_end` are
    the span of IN and `not_start`, `not_end` that of a NOT before it.  `parenthesized` says that
    it stands alone in the parentheses of `IN (:ids)`.  Spans that do not exist are -1.
    """

    __slots__ = (
        "end",
        "in_end",
        "in_list",
        "in_start",
        "name",
        "not_end",
        "not_start",
        "parenthesized",
        "start",
    )

    def __init__(self, name: str, start: int, end: int) -> None:
        self.name = name
        self.start = start
        self.end = end
        self.in_list = self.parenthesized = False
        self.in_start = self.in_end = self.not_start = self.not_end = -1

    def __repr__(self) -> str:
        place = " in list" if self.in_list else " in parentheses" if self.parenthesized else ""
        return f"<Parameter :{self.name} at {self.start}{place}>"


class Scan:
    r"""What `scan` found in `sql`; every number is an offset into it.

    `parameters` are in the order of the text, a name that is used twice stands there twice.
    `escapes` are the backslashes of each `\:` outside literals.  `verb` is the first keyword in
    upper case, or "".  `statements` counts what semicolons separate; empty ones do not count, and
    a body of statements (CREATE .. BEGIN .. END) is one.  `hints` are the colons of each
    `word:name`, which is no parameter but may have been meant as one.  `opaque` are the spans of
    literals, quoted identifiers and comments.  `second` is where a second statement begins, or -1.
    """

    __slots__ = ("escapes", "hints", "opaque", "parameters", "second", "sql", "statements", "verb")

    def __init__(
        self,
        *,
        sql: str,
        parameters: tuple[Parameter, ...],
        escapes: tuple[int, ...],
        hints: tuple[int, ...],
        opaque: tuple[tuple[int, int], ...],
        verb: str,
        statements: int,
        second: int,
    ) -> None:
        self.sql = sql
        self.parameters = parameters
        self.escapes = escapes
        self.hints = hints
        self.opaque = opaque
        self.verb = verb
        self.statements = statements
        self.second = second

    def skeleton(self) -> str:
        """Return `sql` without what is opaque: its keywords stand where they stood."""
        return skeleton(self.sql, self.opaque)

    def __repr__(self) -> str:
        names = ", ".join(parameter.name for parameter in self.parameters)
        return f"<Scan {self.verb or '(no verb)'} ({names})>"


def skeleton(sql: str, opaque: Iterable[tuple[int, int]]) -> str:
    """Return `sql` with blanks in place of comments, and quotes in place of literals."""
    pieces: list[str] = []
    at = 0
    for start, end in opaque:
        filler = " " if sql.startswith(("--", "/*", "*/", "#"), start) else "'"
        pieces += sql[at:start], filler * (end - start)
        at = end
    return "".join([*pieces, sql[at:]])


class Part:
    """One statement of a script: its text and first keyword, its line, and where it ends.

    `delimiter` is what ended it.
    """

    __slots__ = ("delimiter", "end", "line", "text", "verb")

    def __init__(self, text: str, verb: str, line: int, end: int, delimiter: str) -> None:
        self.text = text
        self.verb = verb
        self.line = line
        self.end = end
        self.delimiter = delimiter


def scan_script(
    sql: str, rules: LexicalRules, delimiter: str = ";"
) -> tuple[list[Part], SQLTextError | None]:
    """Return the statements of a script, each byte for byte with the comments before it.

    Colons mean nothing in it.  The error, if any, is that of the first statement that can not be
    read: one that is never closed, or a client's command; those before it are returned.
    """
    if rules.delimiter_command and (delimiter != ";" or DELIMITER.search(sql)):
        rules = rules.replace(dollar_quotes=False)  # `DELIMITER $$` opens no literal
    bare, error = _Scanner(sql, _lexicon(rules)).read()
    parts: list[Part] = []
    line, counted = 1, 0
    for start, end, ending in split(
        bare, delimiter_command=rules.delimiter_command, delimiter=delimiter
    ):
        at = end - len(bare[start:end].lstrip())
        if bare.startswith(("\\", "."), at):
            word = bare[at:end].split()[0]
            what = f"{word} is a command of a client, which no server knows"
            return parts, SQLTextError(what, sql=sql, offset=at)
        if error is not None and end == len(bare):
            break
        line, counted = line + sql.count("\n", counted, at), at
        head = _HEAD.match(bare, at)
        verb = head[1].upper() if head is not None and head[1] else ""
        parts.append(Part(sql[start:end].strip(_BLANKS), verb, line, end, ending))
    return parts, error


def scan(sql: str, rules: LexicalRules, places: Collection[int] | None = None) -> Scan:
    """Find the parameters of `sql`, in one pass and in time linear to its length.

    With `places`, parameters stand at these offsets and nowhere else: other colons mean nothing.
    SQLTextError, with line, column and a caret, for what is never closed, for psql's variables,
    for `:names` beside the server's own placeholders, for NUL and lone surrogates.
    """
    return _Scanner(sql, _lexicon(rules), places).run()


class _Scanner:
    """One pass over one text.  `run` jumps from token to token; a handler returns where to go on.

    `breaks` are the spans of comments and semicolons; `floor` is the end of the last token that
    is no comment, so that a look back never crosses it.  `head` is where the verb is looked for
    next, if a comment stands there.
    """

    __slots__ = (
        "_breaks",
        "_escapes",
        "_executable_at",
        "_floor",
        "_head",
        "_hints",
        "_lexicon",
        "_native_at",
        "_opaque",
        "_parameters",
        "_places",
        "_search",
        "_semicolons",
        "_sql",
        "_verb",
    )

    def __init__(self, sql: str, lexicon: _Lexicon, places: Collection[int] | None = None) -> None:
        self._sql = sql
        self._places = None if places is None else frozenset(places)
        self._lexicon = lexicon
        self._search = lexicon.outside.search
        self._parameters: list[Parameter] = []
        self._escapes: list[int] = []
        self._hints: list[int] = []
        self._breaks: list[tuple[int, int]] = []
        self._opaque: list[tuple[int, int]] = []
        self._semicolons = False
        self._floor = 0
        self._executable_at = -1
        self._native_at = -1
        self._look_for_verb(0)

    def run(self) -> Scan:
        """Read the whole text."""
        self._read()
        return self._finish()

    def read(self) -> tuple[str, SQLTextError | None]:
        """Read for the skeleton only; up to an error, which is returned."""
        try:
            self._read()
        except SQLTextError as exc:
            return skeleton(self._sql[: exc.offset], self._opaque), exc
        return skeleton(self._sql, self._opaque), None

    def _read(self) -> None:
        sql, handlers, at = self._sql, self._lexicon.handlers, 0
        _require_text(sql)
        while match := self._search(sql, at):
            kind = match.lastgroup
            at = handlers[kind](self, match) if kind else self._literal(*match.span())
        if self._executable_at >= 0:
            raise self._unterminated("comment", self._executable_at, "*/")

    def _finish(self) -> Scan:
        if self._parameters and self._native_at >= 0:
            raise self._mixed()
        if self._places:
            self._require_all_places(self._places)
        statements, second = self._count_statements()
        return Scan(
            sql=self._sql,
            parameters=tuple(self._parameters),
            escapes=tuple(self._escapes),
            hints=tuple(self._hints),
            opaque=tuple(self._opaque),
            verb=self._verb,
            statements=statements,
            second=second,
        )

    # -- colons --------------------------------------------------------------------------------

    def parameter(self, match: re.Match[str]) -> int:
        start, end = match.span()
        if self._places is not None and start not in self._places:
            return self._no_colon(match)
        name = self._sql[start + 1 : end]
        if not name.isidentifier():
            name = _longest_identifier(name)
        if name:
            parameter = Parameter(name, start, start + 1 + len(name))
            self._see_list(parameter)
            self._parameters.append(parameter)
        self._floor = end
        return end

    def _no_colon(self, match: re.Match[str]) -> int:
        """Go on behind the first character: here the rest is no token."""
        self._floor = match.start() + 1
        return self._floor

    def hint(self, match: re.Match[str]) -> int:
        if self._places is not None:
            return self._no_colon(match)
        self._hints.append(match.start())
        self._floor = match.end()
        return self._floor

    def escape(self, match: re.Match[str]) -> int:
        if self._places is not None:
            return self._no_colon(match)
        self._escapes.append(match.start())
        self._floor = match.end()
        return self._floor

    def psql(self, match: re.Match[str]) -> int:
        if self._places is not None:
            return self._no_colon(match)
        raise SQLTextError(
            f"{match.group()}..{match.group()[1]} is a variable of psql, which no server knows:"
            " write :name and give its value as a parameter",
            sql=self._sql,
            offset=match.start(),
        )

    def native(self, match: re.Match[str]) -> int:
        start = match.start()
        if match.group()[0] == "$" and self._word_ends_at(start):
            return end_of_word(self._sql, start)
        if self._native_at < 0:
            self._native_at = start
        self._floor = match.end()
        return self._floor

    # -- literals, identifiers, comments --------------------------------------------------------

    def _literal(self, start: int, end: int) -> int:
        self._opaque.append((start, end))
        self._floor = end
        return end

    def quoted(self, match: re.Match[str]) -> int:
        kind = match.lastgroup or ""
        return self._literal(match.start(), self._close(kind, match.start(), match.end()))

    def escaped(self, match: re.Match[str]) -> int:
        start = match.start()
        end = self._close("escaped", start, start + 1)
        if self._lexicon.rules.string_continuation:
            while more := _CONTINUATION.match(self._sql, end):
                end = self._close("escaped", start, more.end())
        return self._literal(start, end)

    def _close(self, kind: str, start: int, at: int) -> int:
        noun, closing, pattern = self._lexicon.closings[kind]
        for match in pattern.finditer(self._sql, at):
            if match.group() == closing:
                return match.end()
        raise self._unterminated(noun, start, closing)

    def unknown(self, match: re.Match[str]) -> int:
        """Read a literal where the server does not tell whether a backslash escapes."""
        end = self.quoted(match)
        at = self._sql.find("\\", match.start(), end)
        if at < 0:
            return end
        raise SQLTextError(
            "the server does not tell how it reads a backslash in a literal:"
            " give the value as a parameter, or write E'..' with each backslash doubled",
            sql=self._sql,
            offset=at,
        )

    def dollar(self, match: re.Match[str]) -> int:
        if not self._dollar_quotes_at(match.start()):
            return end_of_word(self._sql, match.start())
        tag = match.group()
        end = self._sql.find(tag, match.end())
        if end < 0:
            raise self._unterminated("dollar-quoted string", match.start(), tag)
        return self._literal(match.start(), end + len(tag))

    def _dollar_quotes_at(self, at: int) -> bool:
        """Tell whether a `$` begins a literal: not within a name, but right after a number."""
        sql, start = self._sql, at
        while start > self._floor and _WORD_CHARACTER.match(sql, start - 1):
            start -= 1
        if start > self._floor and sql[start - 1] in self._lexicon.rules.name_prefixes:
            return False
        return start == at or self._lexicon.number.fullmatch(sql, start, at) is not None

    def line_comment(self, match: re.Match[str]) -> int:
        return self._comment(*match.span())

    def block_comment(self, match: re.Match[str]) -> int:
        end = self._sql.find("*/", match.end()) + 2
        if end >= 2:
            return self._comment(match.start(), end)
        if self._lexicon.rules.open_comment_at_end:
            return self._comment(match.start(), len(self._sql))
        raise self._unterminated("comment", match.start(), "*/")

    def nested_comment(self, match: re.Match[str]) -> int:
        depth = 1
        for edge in _NESTED_COMMENT.finditer(self._sql, match.end()):
            depth += 1 if edge.group() == "/*" else -1
            if not depth:
                return self._comment(match.start(), edge.end())
        raise self._unterminated("comment", match.start(), "*/")

    def open_executable(self, match: re.Match[str]) -> int:
        if not self._executes(match.group()):
            return self._skip_executable(match)
        if self._executable_at < 0:
            self._executable_at = match.start()
        self._search = self._lexicon.inside.search
        return self._comment(*match.span())

    def _executes(self, opening: str) -> bool:
        rules, digits = self._lexicon.rules, opening.lstrip("/*M!")
        if not digits or rules.version is None:
            return True
        low, high = rules.foreign_versions
        foreign = opening.startswith("/*!") and low <= int(digits) <= high
        return int(digits) <= rules.version and not foreign

    def _skip_executable(self, match: re.Match[str]) -> int:
        """Skip a comment for another version; comments may stand in it, one deep."""
        at = match.end()
        while edge := _NESTED_COMMENT.search(self._sql, at):
            if edge.group() == "*/":
                return self._comment(match.start(), edge.end())
            at = self._sql.find("*/", edge.end()) + 2
            if at < 2:
                break
        raise self._unterminated("comment", match.start(), "*/")

    def close_executable(self, match: re.Match[str]) -> int:
        self._executable_at = -1
        self._search = self._lexicon.outside.search
        return self._comment(*match.span())

    def _comment(self, start: int, end: int) -> int:
        self._breaks.append((start, end))
        self._opaque.append((start, end))
        if start == self._head:
            self._look_for_verb(end)
        return end

    # -- statements ----------------------------------------------------------------------------

    def semicolon(self, match: re.Match[str]) -> int:
        self._breaks.append(match.span())
        self._semicolons = True
        self._floor = match.end()
        return self._floor

    def _look_for_verb(self, at: int) -> None:
        match = _HEAD.match(self._sql, at)
        assert match is not None, "bug: the pattern of the verb matches the empty text"
        self._verb = (match[1] or "").upper()
        self._head = -1 if self._verb else match.end()

    def _count_statements(self) -> tuple[int, int]:
        """Return how many statements there are, and where the second one begins."""
        if self._verb and not self._semicolons:
            return 1, -1
        bare = skeleton(self._sql, self._opaque)
        spans = list(split(bare))
        if len(spans) < 2:
            return len(spans), -1
        start, end, _ = spans[1]
        return len(spans), end - len(bare[start:end].lstrip())

    # -- looking back for IN -------------------------------------------------------------------

    def _see_list(self, parameter: Parameter) -> None:
        sql = self._sql
        if sql.endswith(_NO_LIST, 0, parameter.start):
            return
        end, breaks = self._step_back(parameter.start, len(self._breaks))
        if end > self._floor and sql[end - 1] == "(":
            end, breaks = self._step_back(end - 1, breaks)
            is_list = self._keyword("in", end) >= 0
            parameter.parenthesized = is_list and bool(
                _CLOSING_PARENTHESIS.match(sql, parameter.end)
            )
            return
        start = self._keyword("in", end)
        if start < 0:
            return
        parameter.in_list, parameter.in_start, parameter.in_end = True, start, end
        end, _ = self._step_back(start, breaks)
        start = self._keyword("not", end)
        if start >= 0:
            parameter.not_start, parameter.not_end = start, end

    def _step_back(self, at: int, breaks: int) -> tuple[int, int]:
        """Return where the text before `at` ends, blanks and comments left out.

        Of the spans in `_breaks` the first `breaks` stand before `at`; the second number that is
        returned says the same of the place found.
        """
        sql, floor = self._sql, self._floor
        while True:
            low = max(floor, self._breaks[breaks - 1][1]) if breaks else floor
            end = low + len(sql[low:at].rstrip(_BLANKS))
            if end > low or low == floor:
                return end, breaks
            breaks -= 1
            at = self._breaks[breaks][0]

    def _keyword(self, word: str, end: int) -> int:
        """Return where `word` begins if it ends at `end` and stands alone, else -1."""
        start = end - len(word)
        if start < self._floor or self._sql[start:end].lower() != word:
            return -1
        return -1 if self._word_ends_at(start) else start

    def _word_ends_at(self, at: int) -> bool:
        return at > 0 and _WORD_CHARACTER.match(self._sql, at - 1) is not None

    # -- errors --------------------------------------------------------------------------------

    def _unterminated(self, noun: str, start: int, closing: str) -> SQLTextError:
        return SQLTextError(
            f"the {noun} that begins here is never closed, a {closing} is missing",
            sql=self._sql,
            offset=start,
        )

    def _require_all_places(self, places: frozenset[int]) -> None:
        hidden = places.difference([parameter.start for parameter in self._parameters])
        if hidden:
            raise SQLTextError(
                "a value can not stand within a literal, a quoted name or a comment:"
                " close it before, or put the whole literal together in the value",
                sql=self._sql,
                offset=min(hidden),
            )

    def _mixed(self) -> SQLTextError:
        name = self._parameters[0].name
        return SQLTextError(
            f"the text mixes two styles of parameters, :{name} and the server's own placeholder"
            " here: use :names only",
            sql=self._sql,
            offset=self._native_at,
        )


def _require_text(sql: str) -> None:
    """Refuse what no server can be sent."""
    nul = sql.find("\0")
    if nul >= 0:
        raise SQLTextError("the text holds a NUL character, remove it", sql=sql, offset=nul)
    try:
        sql.encode()
    except UnicodeEncodeError as exc:
        raise SQLTextError(
            "the text holds half of a surrogate pair, which is no character",
            sql=sql.encode(errors="replace").decode(),
            offset=exc.start,
        ) from None


def end_of_word(sql: str, at: int) -> int:
    """Return where the word ends that stands at `at`."""
    match = _WORD_END.match(sql, at)
    assert match is not None, "bug: the pattern of a word's end matches the empty text"
    return match.end()


def _longest_identifier(run: str) -> str:
    """Return the longest beginning of `run` that is an identifier; "" if there is none."""
    if not run[0].isidentifier():
        return ""
    for n, character in enumerate(run):
        if not ("_" + character).isidentifier():
            return run[:n]
    raise AssertionError("bug: every character continues an identifier, but all is none")


class _Lexicon:
    """The rules compiled.

    `outside` and `inside` an executable comment, one expression finds the next token; `handlers`
    are those of its named groups; `closings` tell how each quote is closed.
    """

    __slots__ = ("closings", "handlers", "inside", "number", "outside", "rules")

    def __init__(self, rules: LexicalRules) -> None:
        self.rules = rules
        self.number = re.compile(rules.number)
        self.handlers: dict[str, Handler] = {}
        self.closings: dict[str, tuple[str, str, re.Pattern[str]]] = {}
        branches = [*self._colons(), *self._strings(), *self._identifiers(), *self._comments()]
        self.outside = re.compile("|".join(branches), re.DOTALL)
        branches.append(self._token("close", r"\*/", _Scanner.close_executable))
        self.inside = re.compile("|".join(branches), re.DOTALL)

    def _token(self, kind: str, pattern: str, handler: Handler) -> str:
        # The empty group stands last and no group stands around the whole: a branch that begins
        # with a plain character lets the engine skip all text that can not begin a token.
        self.handlers[kind] = handler
        return f"{pattern}(?P<{kind}>)"

    def _colons(self) -> Iterator[str]:
        name = f"{_START}{_NEXT}*+"
        yield self._token("parameter", f":(?<!{_WORD_OR_COLON}:){name}", _Scanner.parameter)
        yield self._token("hint", f":(?<={_WORD}:){name}", _Scanner.hint)
        yield self._token("escape", r"\\:", _Scanner.escape)
        yield self._token("semicolon", f";[;{_BLANKS}]*+", _Scanner.semicolon)
        if self.rules.psql_variables:
            yield self._token("psql", f":(?<!{_WORD_OR_COLON}:)['\"]", _Scanner.psql)
        for n, pattern in enumerate(_alternatives(self.rules.native)):
            yield self._token(f"native{n}", pattern, _Scanner.native)

    def _strings(self) -> Iterator[str]:
        rules = self.rules
        if rules.escape_prefix:
            prefix = "".join(f"[{c.lower()}{c.upper()}]" for c in rules.escape_prefix)
            opening = f"'(?<={prefix}')(?<!{_WORD}{prefix}')"
            self.closings["escaped"] = ("string literal", "'", re.compile(r"\\.|''|'", re.DOTALL))
            yield self._token("escaped", opening, _Scanner.escaped)
        if rules.plain_prefixes and rules.backslash_escapes is not False:
            prefix = f"[{rules.plain_prefixes.lower()}{rules.plain_prefixes.upper()}]"
            opening = f"'(?<={prefix}')(?<!{_WORD}{prefix}')"
            self.closings["plain"] = ("string literal", "'", re.compile("'"))
            yield self._token("plain", opening, _Scanner.quoted)
        for n, quote in enumerate(rules.strings):
            yield from self._quoted(
                f"string{n}", "string literal", quote, quote, escapes=rules.backslash_escapes
            )
        if rules.dollar_quotes:
            opening = rf"\$(?:{_START}{_NEXT}*+)?\$"
            yield self._token("dollar", opening, _Scanner.dollar)

    def _identifiers(self) -> Iterator[str]:
        for n, (opening, closing) in enumerate(self.rules.identifiers):
            yield from self._quoted(f"identifier{n}", "quoted identifier", opening, closing)

    def _quoted(
        self, kind: str, noun: str, opening: str, closing: str, *, escapes: bool | None = False
    ) -> Iterator[str]:
        """Yield the plain case, read by the engine alone, and the general one."""
        start, end = re.escape(opening), re.escape(closing)
        backslash, escape = (r"\\", r"\\.|") if escapes in (True, None) else ("", "")
        doubled = end * 2 + "|" if opening == closing else ""
        not_doubled = f"(?!{end})" if doubled else ""
        self.closings[kind] = (noun, closing, re.compile(f"{escape}{doubled}{end}", re.DOTALL))
        yield f"{start}[^{end}{backslash}]*+{end}{not_doubled}"
        yield self._token(kind, start, _Scanner.unknown if escapes is None else _Scanner.quoted)

    def _comments(self) -> Iterator[str]:
        rules = self.rules
        rest = f"[^{re.escape(rules.comment_line_ends)}]*+"
        blank = r"(?=[\x01-\x20\x7f]|\Z)" if rules.dash_needs_space else ""
        yield self._token("dash", f"--{blank}{rest}", _Scanner.line_comment)
        if rules.hash_comments:
            yield self._token("hash", f"#{rest}", _Scanner.line_comment)
        for n, opening in enumerate(rules.executable_comments):
            start = re.escape(opening) + "(?:[0-9]{5,6})?"  # the version that executes it
            yield self._token(f"executable{n}", start, _Scanner.open_executable)
        block = _Scanner.nested_comment if rules.nested_comments else _Scanner.block_comment
        yield self._token("block", r"/\*", block)


def _alternatives(native: str) -> Iterator[str]:
    """Yield the alternatives of `native`, each beginning with a plain character if it can."""
    for alternative in native.split("|") if native else ():
        choice = re.match(r"\[([^]\\^-]+)\](?![*+?{])", alternative)
        if choice is None:
            yield alternative
            continue
        for character in choice[1]:
            yield re.escape(character) + alternative[choice.end() :]


_lexicon = lru_cache(maxsize=64)(_Lexicon)
