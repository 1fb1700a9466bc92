"""Template strings of Python 3.14 as statements: `t"SELECT {column:i} FROM song WHERE id = {id}"`.

Floor 2: pure.  Each interpolation becomes a parameter, a quoted name where its format is `:i`, or,
where its value is a template, that template's text.  No colon of the text means anything.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from plainsql.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

if sys.version_info >= (3, 14):
    from string.templatelib import Template
else:

    class Template:
        """Nothing is one before Python 3.14."""


#: What may stand right before and right after what is put into the text; else a blank is put there.
BEFORE: Final = frozenset(" \t\r\n(,=<>.[+*/|")
AFTER: Final = frozenset(" \t\r\n),=<>.[]+-*/|;:")
LONGEST_NAME: Final = 40


class Flat(NamedTuple):
    """A template as a text with `:names`, the offsets of their colons, and the values."""

    text: str
    places: tuple[int, ...]
    values: dict[str, Any]


def flatten(template: Any, quote: Callable[[str], str]) -> Flat:
    """Put a template together; `quote` makes an identifier of a name.

    ArgumentError for a conversion (`!r`), a format other than `:i`, and a name that is none.
    """
    text = _Text()
    places: list[int] = []
    values: dict[str, Any] = {}
    for piece in _pieces(template):
        if isinstance(piece, str):
            text.add(piece)
        elif piece.format_spec:
            text.put(_identifier(piece, quote))
        else:
            name = _name(piece.expression, values)
            values[name] = piece.value
            places.append(text.put(f":{name}"))
    return Flat("".join(text.pieces), tuple(places), values)


class _Text:
    """A text that grows; what is put into it stays a token of its own."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._size = 0
        self._last = " "
        self._was_put = False

    def add(self, piece: str) -> None:
        if self._was_put and piece[0] not in AFTER:
            self._append(" ")
        self._append(piece)
        self._was_put = False

    def put(self, token: str) -> int:
        """Return where the token stands."""
        if self._last not in BEFORE:
            self._append(" ")
        at = self._size
        self._append(token)
        self._was_put = True
        return at

    def _append(self, piece: str) -> None:
        self.pieces.append(piece)
        self._size += len(piece)
        self._last = piece[-1]


def _pieces(template: Any) -> Iterator[Any]:
    """Yield the texts and interpolations, those of templates within it in their place."""
    open_templates = [iter(template)]
    while open_templates:
        piece = next(open_templates[-1], None)
        if piece is None:
            open_templates.pop()
        elif isinstance(piece, str):
            yield piece
        elif piece.conversion is not None:
            _refuse(piece, f"a conversion makes text of the value: leave !{piece.conversion} out")
        elif piece.value.__class__ is Template:
            if piece.format_spec:
                _refuse(piece, "a template within a template has no format")
            open_templates.append(iter(cast("Any", piece.value)))
        elif piece.format_spec not in ("", "i"):
            _refuse(piece, "the only format is :i, for a name; a value has none")
        else:
            yield piece


def _identifier(piece: Any, quote: Callable[[str], str]) -> str:
    """Quote a name, or the parts of a qualified one."""
    parts = piece.value if isinstance(piece.value, tuple) else (piece.value,)
    if not parts or not all(isinstance(part, str) for part in parts):
        _refuse(piece, f"a name is a str, or a tuple of them, not {type(piece.value).__name__}")
    return ".".join([quote(part) for part in parts])


def _name(expression: str, taken: dict[str, Any]) -> str:
    """Make a parameter's name of an expression: `user.id` is `user_id`."""
    name = re.sub(r"\W+", "_", expression)[:LONGEST_NAME].strip("_")
    name = "".join([c if f"_{c}".isidentifier() else "_" for c in name])  # "²" is of \w, too
    name = name if name.isidentifier() else f"p_{name}".rstrip("_")
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _refuse(piece: Any, why: str) -> None:
    conversion = f"!{piece.conversion}" if piece.conversion else ""
    spec = f":{piece.format_spec}" if piece.format_spec else ""
    raise ArgumentError(f"{{{piece.expression}{conversion}{spec}}}: {why}")
