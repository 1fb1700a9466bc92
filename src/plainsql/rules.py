"""How a server reads SQL text, as data.

Floor 1: dialects own their rules, `plainsql.lexing` reads by them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class LexicalRules:
    """State how a server reads SQL text; frozen and hashable, the defaults are standard SQL.

    `strings` lists the characters that open a string literal, `backslash_escapes` tells whether a
    backslash escapes in them; after `escape_prefix` (as in `E'..'`) it always does, after
    one of `plain_prefixes` (as in `B'..'`) never.  With
    `string_continuation` a literal goes on, in the same mode, after a line break.  `identifiers`
    are pairs of opening and closing characters; a character that is also in `strings` opens a
    string.  With `dollar_quotes`, `$tag$` opens a literal unless it continues a name; `number` is a
    regular expression of what is no name although digits and letters are in it, and a name follows
    each character of `name_prefixes`.  `dash_needs_space` makes `--` a comment only before a
    blank; any character of `comment_line_ends` ends it.  The content of `executable_comments`
    (openers such as `/*!`) is read as SQL; where five or six digits follow, only if they are at
    most `version`, and for `/*!` not within `foreign_versions`; None executes all.
    `open_comment_at_end` allows a last block comment that is never closed.

    Where `backslash_escapes` is None the server does not tell, and a text with a backslash in a
    literal is refused.

    `native` is a regular expression for the server's own placeholders, which may not stand beside
    `:names`: alternatives that each begin with a plain character, without groups.  One that begins
    with `$` is not looked for inside identifiers.  With `psql_variables`, `:'v'` and `:"v"` are
    errors that name psql.  With `delimiter_command`, a script may name what ends its statements.
    """

    __slots__ = (
        "_hash",
        "_key",
        "backslash_escapes",
        "comment_line_ends",
        "dash_needs_space",
        "delimiter_command",
        "dollar_quotes",
        "escape_prefix",
        "executable_comments",
        "foreign_versions",
        "hash_comments",
        "identifiers",
        "name_prefixes",
        "native",
        "nested_comments",
        "number",
        "open_comment_at_end",
        "plain_prefixes",
        "psql_variables",
        "string_continuation",
        "strings",
        "version",
    )

    strings: str
    backslash_escapes: bool | None
    escape_prefix: str
    plain_prefixes: str
    string_continuation: bool
    identifiers: tuple[tuple[str, str], ...]
    dollar_quotes: bool
    number: str
    name_prefixes: str
    nested_comments: bool
    hash_comments: bool
    dash_needs_space: bool
    comment_line_ends: str
    executable_comments: tuple[str, ...]
    version: int | None
    foreign_versions: tuple[int, int]
    open_comment_at_end: bool
    native: str
    psql_variables: bool
    delimiter_command: bool
    _key: tuple[object, ...]
    _hash: int

    def __init__(
        self,
        *,
        strings: str = "'",
        backslash_escapes: bool | None = False,
        escape_prefix: str = "",
        plain_prefixes: str = "",
        string_continuation: bool = False,
        identifiers: tuple[tuple[str, str], ...] = (('"', '"'),),
        dollar_quotes: bool = False,
        number: str = "(?!)",
        name_prefixes: str = "",
        nested_comments: bool = False,
        hash_comments: bool = False,
        dash_needs_space: bool = False,
        comment_line_ends: str = "\n",
        executable_comments: tuple[str, ...] = (),
        version: int | None = None,
        foreign_versions: tuple[int, int] = (0, 0),
        open_comment_at_end: bool = False,
        native: str = "",
        psql_variables: bool = False,
        delimiter_command: bool = False,
    ) -> None:
        put = object.__setattr__
        put(self, "strings", strings)
        put(self, "backslash_escapes", backslash_escapes)
        put(self, "escape_prefix", escape_prefix)
        put(self, "plain_prefixes", plain_prefixes)
        put(self, "string_continuation", string_continuation)
        put(self, "identifiers", tuple((opening, closing) for opening, closing in identifiers))
        put(self, "dollar_quotes", dollar_quotes)
        put(self, "number", number)
        put(self, "name_prefixes", name_prefixes)
        put(self, "nested_comments", nested_comments)
        put(self, "hash_comments", hash_comments)
        put(self, "dash_needs_space", dash_needs_space)
        put(self, "comment_line_ends", comment_line_ends)
        put(self, "executable_comments", tuple(executable_comments))
        put(self, "version", version)
        put(self, "foreign_versions", foreign_versions)
        put(self, "open_comment_at_end", open_comment_at_end)
        put(self, "native", native)
        put(self, "psql_variables", psql_variables)
        put(self, "delimiter_command", delimiter_command)
        put(self, "_key", tuple(self._fields().values()))
        put(self, "_hash", hash(self._key))

    def _fields(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__ if name[0] != "_"}

    def replace(self, **changes: Any) -> LexicalRules:
        """Return rules that differ in `changes` only; an unknown field is a TypeError."""
        return LexicalRules(**{**self._fields(), **changes})

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"lexical rules are frozen, use replace({name}=...)")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"lexical rules are frozen, {name!r} can not be deleted")

    def __reduce__(self) -> tuple[Callable[..., LexicalRules], tuple[dict[str, Any]]]:
        return _restore, (self._fields(),)

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, LexicalRules) else NotImplemented

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"LexicalRules({', '.join(f'{k}={v!r}' for k, v in self._fields().items())})"


def _restore(fields: dict[str, Any]) -> LexicalRules:
    return LexicalRules(**fields)
