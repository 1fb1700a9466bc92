"""Writes that nobody committed."""

from contextlib import ExitStack

import pytest

from plainsql.errors import UncommittedWarning
from tests._sync.dropping import *  # noqa: F403
from tests._sync.dropping import INSERT, Table, line


def test_the_line_is_the_users_behind_a_stack_of_the_standard_library(table: Table) -> None:
    number = line() + 1
    with pytest.warns(UncommittedWarning) as given, ExitStack() as stack:
        stack.enter_context(table.engine.connect()).execute(table.sql(INSERT))
    assert [(one.filename, one.lineno) for one in given] == [(__file__, number)]
