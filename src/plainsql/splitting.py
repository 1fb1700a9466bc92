"""Where one statement ends and the next begins, in a text without its literals and comments.

Floor 1: imports nothing of the house; `plainsql.lexing` makes skeletons.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Heads of statements that may hold others, between BEGIN and END.
HOLDS_OTHERS: Final = re.compile(
    r"\s*+(?:(?:CREATE|ALTER)(?:\s++(?:OR\s++REPLACE|TEMP|TEMPORARY|AGGREGATE|DEFINER\s*+=\s*+\S++))*"
    r"\s++(?:FUNCTION|PROCEDURE|TRIGGER|EVENT|PACKAGE)\b|BEGIN\s++NOT\s++ATOMIC\b)",
    re.IGNORECASE,
)
#: What opens and closes blocks and parentheses, and what ends a statement outside of them.  Columns
#: may bear these names: one is known by what stands beside it.
EDGES: Final = re.compile(
    r"[;()]|(?<![.$@])\b(?:BEGIN(?!\s*+(?:[=,.)]|ON\b))|CASE"
    r"|END(?:\s++(?:CASE|IF|LOOP|WHILE|REPEAT|FOR)\b)?)(?![\w$])",
    re.IGNORECASE,
)
NOT_BLANK: Final = re.compile(r"\S")
#: Before a BEGIN within a block; after any other word it is a name.
BEFORE_BLOCK: Final = re.compile(
    r"(?:[;:]|\b(?:BEGIN|ATOMIC|THEN|ELSE|DO|LOOP|REPEAT))\s*+\Z|\bHANDLER\b", re.IGNORECASE
)
#: Before the END of a block, not of an expression.
BEFORE_END: Final = re.compile(r"(?:;|\b(?:BEGIN|ATOMIC))\s*+\Z", re.IGNORECASE)
#: The command of MySQL's client: from here on statements end elsewhere.
DELIMITER: Final = re.compile(r"^[ \t]*DELIMITER[ \t]+(\S+)[^\n]*$", re.IGNORECASE | re.MULTILINE)


def split(
    skeleton: str, *, delimiter_command: bool = False, delimiter: str = ";"
) -> Iterator[tuple[int, int, str]]:
    """Yield the span of each statement, without what ends it, and what that is.

    Empty ones are left out.  Semicolons end statements, but for those in parentheses and, where a
    statement may hold others, between BEGIN and END.  With `delimiter_command`, a line
    `DELIMITER //` names another end.
    """
    at = 0
    while at < len(skeleton):
        if delimiter_command and (command := _command(skeleton, at)) is not None:
            delimiter, at = command[1], command.end()
            continue
        end = _end(skeleton, at) if delimiter == ";" else skeleton.find(delimiter, at)
        end = len(skeleton) if end < 0 else end
        if skeleton[at:end].strip():
            yield at, end, delimiter
        at = end + len(delimiter)


def _command(skeleton: str, at: int) -> re.Match[str] | None:
    """Return the client's command on the next line that is not blank, or None."""
    first = NOT_BLANK.search(skeleton, at)
    if first is None:
        return None
    return DELIMITER.match(skeleton, max(at, skeleton.rfind("\n", at, first.start()) + 1))


def _end(skeleton: str, at: int) -> int:
    """Return where the semicolon stands that ends the statement from `at` on; -1: there is none."""
    holds_others = HOLDS_OTHERS.match(skeleton, at) is not None
    opened: list[str] = []
    parentheses = 0
    for edge in EDGES.finditer(skeleton, at):
        word = edge[0].upper()
        if word == ";":
            if not (opened or parentheses):
                return edge.start()
        elif word in "()":
            parentheses = max(0, parentheses + (1 if word == "(" else -1))
        elif holds_others:
            _nest(opened, word, skeleton[at : edge.start()], within=parentheses > 0)
        at = edge.start()
    return -1


def _nest(opened: list[str], word: str, before: str, *, within: bool) -> None:
    """Open or close a block or a CASE; `before` is what stands between the last edge and `word`."""
    if word == "CASE":
        opened.append(word)
    elif word == "BEGIN":
        if not within and (not opened or BEFORE_BLOCK.search(before)):
            opened.append(word)
    elif not opened:
        return
    elif opened[-1] == "BEGIN":
        if word == "END" and BEFORE_END.search(before):
            opened.pop()
    elif word.endswith(("END", "CASE")) or not (
        word.endswith("REPEAT") or BEFORE_END.search(before)
    ):
        opened.pop()  # a CASE; what follows the END of an expression may be any word
