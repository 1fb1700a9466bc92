"""The names that a template's values get; what a server makes of them is a conformance test."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from plainsql.dialect import Dialect
from plainsql.lexing import scan
from plainsql.templates import flatten


@pytest.mark.parametrize(
    "expression", ["user.id", "d['²']", "½", "rows[1]['größe']", "_", "'…'", "x" * 60, "a·b"]
)
def test_the_lexer_finds_the_name_that_is_made_of_an_expression(expression: str) -> None:
    value = SimpleNamespace(expression=expression, value=7, conversion=None, format_spec="")
    flat = flatten(["SELECT ", value, ", ", value], str)

    found = scan(flat.text, Dialect.lexical, flat.places)
    assert [p.name for p in found.parameters] == list(flat.values)
    assert list(flat.values.values()) == [7, 7]
