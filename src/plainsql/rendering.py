"""A statement's SQL as it is sent: its author's text, with the driver's placeholders in it.

Floor 2: pure.  Every change is an edit of a span of the author's text; between two edits not a
byte changes, but for the `%` that a driver wants doubled.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from plainsql.dialect import Dialect
    from plainsql.lexing import Parameter, Scan

    #: How many members a list has, and how many values each of them: 0 where it is a plain one.
    Shape = tuple[int, int]
    Edit = tuple[int, int, str | Parameter]

KEPT_SHAPES: Final = 64
KEPT_CHARACTERS: Final = 64 << 10
#: Before the parentheses of `(a, b) IN :pairs`; after any other word they are a function's.
ROW_FOLLOWS = re.compile(
    r"(?:\A|[^\w$']|\b(?:ROW|WHERE|AND|OR|NOT|XOR|ON|HAVING|WHEN|THEN|ELSE|SELECT|RETURNING))\s*\Z",
    re.IGNORECASE,
)
#: MySQL takes these off the end of a statement before it reads it.
ENDING = "; \t\n\r\f\v"


class Rendering:
    r"""One text, cut where something else is sent: parameters, `\:`, and IN before an array.

    `lists` are the names of parameters that stand for lists, `arrays` those sent as one value.
    """

    __slots__ = (
        "_arrays",
        "_dialect",
        "_edits",
        "_lists",
        "_made",
        "_scan",
        "doubles",
        "member_joint",
        "style",
    )

    def __init__(
        self, scan: Scan, dialect: Dialect, lists: Collection[str], arrays: Collection[str]
    ) -> None:
        self._scan = scan
        self._dialect = dialect
        self._lists = lists
        self._arrays = arrays
        self._edits = self._cut(arrays)
        self._made: dict[tuple[tuple[str, Shape], ...], str] = {}
        self.style = dialect.paramstyle
        self.doubles = bool(scan.parameters) and self.style in ("format", "pyformat")
        self.member_joint = self._joint() if self.style in ("named", "pyformat") else ""

    def sql(self, shapes: Mapping[str, Shape]) -> str:
        """Return what is sent where the lists have these shapes; one that is not given is not
        spread.
        """
        key = tuple(shapes.items())
        made = self._made.get(key)
        if not made:
            made = "".join([piece for _, piece, _ in self.pieces(shapes)])
            if len(self._made) >= KEPT_SHAPES:
                self._made.clear()
            self._made[key] = made if len(made) <= KEPT_CHARACTERS else ""
        return made

    def pieces(
        self, shapes: Mapping[str, Shape], seen: Iterable[str] | None = None
    ) -> Iterator[tuple[int, str, bool]]:
        """Yield what is sent piece by piece: its place in the author's text, the piece, and whether
        it is the author's.

        `seen` is what the server sees in place of the placeholders, one for each value.
        """
        doubles = self.doubles and seen is None
        marks = _Marks(self.style, self.member_joint) if seen is None else _Seen(seen)
        text, at = self._scan.sql, 0
        for start, end, put in self._edits_for(shapes):
            if start > at:
                yield at, text[at:start].replace("%", "%%") if doubles else text[at:start], True
            made = put if isinstance(put, str) else self._placeholder(put, shapes, marks)
            yield start, made, False
            at = end
        yield at, text[at:].replace("%", "%%") if doubles else text[at:], True

    def author_offset(self, at: int, sql: str, seen: list[str]) -> int | None:
        """Return the place in the author's text of a place in what the server saw of `sql`.

        A negative one counts from the end, -1, of what is left without blanks and semicolons there.
        """
        if (found := self._made_for(sql)) is None:
            return None
        shapes, before = found
        pieces = list(self.pieces(shapes, seen))
        at -= before if at >= 0 else 0
        if at < 0:
            at += 1 + len("".join([piece for _, piece, _ in pieces]).rstrip(ENDING))
        for start, piece, is_text in pieces:
            if at < len(piece):
                return None if at < 0 else start + at * is_text
            at -= len(piece)
        return len(self._scan.sql) if at == 0 else None

    def author_place(self, words: str, sql: str, seen: list[str]) -> int | None:
        """Return the place in the author's text of words that the server saw in one place only."""
        if (found := self._made_for(sql)) is None:
            return None
        shapes, before = found
        at = only_place(words, "".join([piece for _, piece, _ in self.pieces(shapes, seen)]))
        return None if at is None else self.author_offset(before + at, sql, seen)

    def _made_for(self, sql: str) -> tuple[dict[str, Shape], int] | None:
        """Return the shapes in `sql`, and the length of what stands before it, as DECLARE does."""
        for key in [*self._made]:
            shapes = dict(key)
            if sql.endswith(made := self.sql(shapes)):
                return shapes, len(sql) - len(made)
        return None

    def part(self, start: int, end: int) -> str:
        """Return a part of the text that holds no parameter, as it is sent."""
        text = self._scan.sql
        for at in reversed(self._scan.escapes):
            if start <= at < end:
                text, end = text[:at] + text[at + 1 :], end - 1
        text = text[start:end]
        return text.replace("%", "%%") if self.doubles else text

    def _joint(self) -> str:
        """Return what stands between a list's name and a number, so that no other name is such."""
        joint = "__"
        while any(
            p.name.startswith(name + joint) for p in self._scan.parameters for name in self._lists
        ):
            joint += "_"
        return joint

    def _cut(self, arrays: Collection[str]) -> list[Edit]:
        edits: list[Edit] = [(at, at + 1, "") for at in self._scan.escapes]
        for p in self._scan.parameters:
            edits.append((p.start, p.end, p))
            if p.name not in arrays or not p.in_list:
                continue
            if p.not_start >= 0:
                edits.append((p.not_start, p.not_end, "<>"))
                edits.append((p.in_start, p.in_end, "ALL"))
            else:
                edits.append((p.in_start, p.in_end, "= ANY"))
        return sorted(edits, key=_start)

    def _edits_for(self, shapes: Mapping[str, Shape]) -> list[Edit]:
        """Rows are spread after IN; an empty list is an empty array, where there are arrays."""
        if not self._dialect.lists_as_arrays:
            return self._edits
        arrays = {name for name in self._arrays if name not in shapes}
        arrays |= {name for name, (size, _) in shapes.items() if not size}
        return self._edits if arrays == set(self._arrays) else self._cut(arrays)

    def _placeholder(self, p: Parameter, shapes: Mapping[str, Shape], marks: _Marks) -> str:
        if p.name not in shapes:
            mark = marks.one(p.name)
            return f"({mark})" if p.name in self._lists else mark
        size, width = shapes[p.name]
        if not size:
            return self._dialect.empty_set(self._row_width(p) if p.in_list else 1)
        all_marks = marks.several(p.name, size * (width or 1))
        if not width:
            return f"({', '.join(all_marks)})"
        rows = [", ".join(all_marks[at : at + width]) for at in range(0, size * width, width)]
        return self._dialect.set_of_rows.format(", ".join([f"({row})" for row in rows]))

    def _row_width(self, p: Parameter) -> int:
        """Return how many values stand before IN: 2 in `(a, b) IN :pairs`."""
        before = self._scan.skeleton()[: p.not_start if p.not_start >= 0 else p.in_start].rstrip()
        if not before.endswith(")"):
            return 1
        depth, width = 0, 1
        for at in range(len(before) - 1, -1, -1):
            depth += {")": 1, "(": -1}.get(before[at], 0)
            if not depth:
                return width if ROW_FOLLOWS.search(before[:at]) else 1
            width += depth == 1 and before[at] == ","
        return 1


class _Marks:
    """Writes placeholders in one paramstyle, and counts them."""

    def __init__(self, style: str, joint: str = "") -> None:
        self._style = style
        self._joint = joint
        self._numbers: dict[str, int] = {}
        self._next = 1

    def one(self, name: str) -> str:
        return self._mark(name, self._number(name, 1))

    def several(self, name: str, count: int) -> list[str]:
        first = self._number(name, count)
        return [self._mark(f"{name}{self._joint}{n + 1}", first + n) for n in range(count)]

    def _number(self, name: str, count: int) -> int:
        """Return the number of the first; a name that comes again keeps its own."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = self._next
            self._next += count
        return number

    def _mark(self, name: str, number: int) -> str:
        style = self._style
        if style == "qmark":
            return "?"
        if style == "format":
            return "%s"
        if style == "named":
            return f":{name}"
        if style == "pyformat":
            return f"%({name})s"
        return f":{number}" if style == "numeric" else f"${number}"


class _Seen(_Marks):
    """Gives what stands in place of the placeholders, in their order."""

    def __init__(self, seen: Iterable[str]) -> None:
        super().__init__("")
        self._seen = iter(seen)

    def _mark(self, name: str, number: int) -> str:
        del name, number
        return next(self._seen)


def only_place(word: str, text: str) -> int | None:
    """Return where `word` stands in `text`, if in one place only."""
    whole = (r"(?<![\w$])" if word[:1].isidentifier() else "") + re.escape(word)
    places = list(re.finditer(whole + (r"(?![\w$])" if word[-1:].isidentifier() else ""), text))
    return places[0].start() if word and len(places) == 1 else None


def _start(edit: Edit) -> int:
    return edit[0]
