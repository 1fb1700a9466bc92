"""Writes that nobody committed, async."""

from contextlib import AsyncExitStack

import pytest

from plainsql.errors import UncommittedWarning
from tests._async.dropping import *  # noqa: F403
from tests._async.dropping import INSERT, Table, line


async def test_the_line_is_the_users_behind_a_stack_of_the_standard_library(table: Table) -> None:
    with pytest.warns(UncommittedWarning) as given:  # noqa: PT031 - the line
        number = line() + 1
        async with AsyncExitStack() as stack:
            connection = await stack.enter_async_context(table.engine.connect())
            await connection.execute(table.sql(INSERT))
    assert [(one.filename, one.lineno) for one in given] == [(__file__, number)]
