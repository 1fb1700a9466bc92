"""Texts for the judges: statements of tokens, with decoys spliced in and one place marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz.judges import MARK

if TYPE_CHECKING:
    from random import Random

#: What may stand inside literals, identifiers and comments.
DECOYS = (
    "'", '"', "`", "[", "]", "''", '""', "``", "\\", "\\\\", "\\'", "--", "-- ", "/*", "*/", "#",
    "$$", "$a$", "$é$", "$", ":x", ":'v'", "::int", ":=", "?", "%s", "%", "E'", "\n", "\r", "\t",
    " ", "é", "/*!", "/*M!", "/*+", "{", "}", "@", "x", "1", "a", "b$", ",", "(", ")", "-", "N'",
)  # fmt: skip
BLANKS = (" ", " ", " ", "\n", "\t", "  ", " -- c\n", " /* c */ ", "/**/")

TOKENS = {
    "all": (
        "1", "0.5", "'a'", "''", "'it''s'", "NULL", "(1)", "-1", "1+1", "1-1", "(SELECT 1)", "a",
        "CASE WHEN 1=1 THEN 1 END", "'/*'", "'--'", "'*/'", "a AS b", "1 - - 1", "2*(3)", "'?'",
        "CAST(1 AS CHAR)", "'a' AS x", "1 <> 2", "5 % 3", "'%s'", "':x'", "'a:b'",
    ),
    "postgresql": (
        "E'a'", "e'\\''", "E'\\\\'", "$$a$$", "$t$a$t$", "$t$ $$ $t$", "1::int", "'a'::text",
        '"a b"', '1 AS "a""b"', "U&'\\0061'", "B'01'", "X'1F'", "N'a'", "ARRAY[1,2]",
        "(ARRAY[1,2])[1:2]", "a AS a$b", "1 AS a$$", "'a'\n'b'", "E'a'\n'\\''", "'C:\\'",
        "/* /* */ */ 1", "1 -- '\n", "'{}'::jsonb ? 'a'", "$é$'$é$", "1 AS é", "1 */* ' */2",
        "1 -- '\r", "1 +-- '\n1",
    ),
    "mysql": (
        "'\\''", "'\\\\'", '"a"', '"\\""', '"a""b"', "`a` ", "1 AS `a``b`", "1 AS `a\\`", "1 # '\n",
        "1 -- '\n", "5--1", "x'1F'", "N'a'", "_utf8mb4'a'", "@v", "@`v`", "@'v'", "@@version",
        "1 /*! +1 */", "1 /*!50000 +1 */", "1 /*!99999 +1 */", "1 /*! /* ' */ */", "1 /*M! +1 */",
        "1 /*M!50000 +1 */", "1 /*!1 +1 */", "1 /*!070000 */", "1 /*!50701 +1 */", "'a' 'b'",
        "1 /*!100100 +1 */", "1 /*M!100100 +1 */", "1 /*!999999 ' */", "1 /*!99999 /* ' */ */",
        "1 AS a$$", "1 AS $a$", "@v := 1", "1 AS é", "1 --\t'\n", "1 --\x01'\n", "'C:\\\\'",
    ),
    "sqlite": (
        '"a"', "`a`", "[a]", "1 AS [a'b]", "1 AS `a``b`", '1 AS "a""b"', "x'1F'", "1 -- '\n",
        "1 /* ' */", "'C:\\'", "1 AS a$$", "1 AS é", "1--'\n", "'a' || 'b'", "'{}' ->> '$.a'",
    ),
}  # fmt: skip


def draw(random: Random, kind: str) -> str:
    """Return a text with one MARK somewhere."""
    kind = "mysql" if kind == "mariadb" else kind
    tokens = TOKENS["all"] + TOKENS[kind] * 2
    pieces = ["SELECT", random.choice(BLANKS)]
    for n in range(random.randint(1, 4)):
        if n:
            pieces += random.choice(BLANKS), ",", random.choice(BLANKS)
        pieces.append(random.choice(tokens))
    pieces.append(" FROM (SELECT 1 AS a) t" if random.random() < 0.9 else "")
    text = "".join(pieces)
    for _ in range(random.choice((0, 0, 1, 1, 2, 3))):
        at = random.randint(7, len(text))
        text = text[:at] + random.choice(DECOYS) + text[at:]
    at = random.randint(7, len(text))
    return text[:at] + MARK + text[at:]
