"""What every dialect must pass of errors: the same mistake gives the same class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from plainsql import errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql.aio import AsyncEngine

SCHEMA = """
CREATE TABLE {name} (
    id INT NOT NULL PRIMARY KEY,
    code VARCHAR(10) NOT NULL,
    parent INT REFERENCES {name} (id),
    amount INT CHECK (amount >= 0),
    CONSTRAINT {name}_code UNIQUE (code),
    FOREIGN KEY (parent) REFERENCES {name} (id)
)
"""

MISTAKES = [
    pytest.param(
        "INSERT INTO {t} (id, code) VALUES (1, 'b')", errors.UniqueViolation, id="primary key"
    ),
    pytest.param("INSERT INTO {t} (id, code) VALUES (2, 'a')", errors.UniqueViolation, id="unique"),
    pytest.param(
        "INSERT INTO {t} (id, code) VALUES (2, NULL)", errors.NotNullViolation, id="null given"
    ),
    pytest.param("INSERT INTO {t} (id) VALUES (2)", errors.NotNullViolation, id="value omitted"),
    pytest.param(
        "INSERT INTO {t} (id, code, parent) VALUES (2, 'b', 99)",
        errors.ForeignKeyViolation,
        id="parent missing",
    ),
    pytest.param(
        "INSERT INTO {t} (id, code, amount) VALUES (2, 'b', -1)",
        errors.CheckViolation,
        id="check",
    ),
    pytest.param("SELECT * FROM {t}_missing", errors.UndefinedTable, id="table missing"),
    pytest.param("SELECT missing FROM {t}", errors.UndefinedColumn, id="column missing"),
    pytest.param(
        "INSERT INTO {t} (id, missing) VALUES (2, 1)", errors.UndefinedColumn, id="column of insert"
    ),
    pytest.param("SELEKT 1", errors.SQLSyntaxError, id="syntax"),
    pytest.param("SELECT (1", errors.SQLSyntaxError, id="unfinished"),
]


async def _make_table(engine: AsyncEngine, name: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(SCHEMA.format(name=name))
        await connection.execute(f"INSERT INTO {name} (id, code) VALUES (1, 'a')")


@pytest.mark.parametrize(("sql", "cls"), MISTAKES)
async def test_a_mistake_has_the_same_class_everywhere(
    engine_async: AsyncEngine, table_name: str, sql: str, cls: type[errors.DBAPIError]
) -> None:
    await _make_table(engine_async, table_name)
    statement = sql.format(t=table_name)
    async with engine_async.connect() as connection:
        with pytest.raises(errors.DBAPIError) as caught:
            await connection.execute(statement)
        error = caught.value
        assert type(error) is cls
        assert (error.statement, error.outcome, error.retryable) == (
            statement,
            "not_applied",
            False,
        )
        assert error.code is not None
        assert isinstance(error.__cause__, engine_async.dialect.driver_error)
        await connection.rollback()
        assert await connection.scalar("SELECT 1") == 1


async def test_a_parent_that_has_children_can_not_go(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _make_table(engine_async, table_name)
    async with engine_async.connect() as connection:
        await connection.execute(f"INSERT INTO {table_name} (id, code, parent) VALUES (2, 'b', 1)")
        with pytest.raises(errors.ForeignKeyViolation):
            await connection.execute(f"DELETE FROM {table_name} WHERE id = 1")
        await connection.rollback()


async def test_a_lone_surrogate_is_refused_and_the_connection_lives(
    engine_async: AsyncEngine,
) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.DataError):
            await connection.execute("SELECT :v", {"v": "\udcbf' or 1=1 -- "})
        await connection.rollback()
        assert await connection.scalar("SELECT 1") == 1


@pytest.mark.parametrize("hide", [None, True, False])
async def test_an_error_shows_the_statement_and_values_only_where_asked(
    make_engine_async: Callable[..., Any], table_name: str, hide: bool | None
) -> None:
    async with make_engine_async(hide_parameters=hide).connect() as connection:
        with pytest.raises(errors.UndefinedTable) as caught:
            await connection.execute(f"SELECT :v FROM {table_name}", {"v": "canary-4711"})
    assert f"SELECT :v FROM {table_name}" in str(caught.value)
    assert ("canary-4711" in str(caught.value)) == (hide is False)


STATEMENTS = [
    "SELECT x FROM {t} WHERE x = :x ORDER BI {place}y",
    "SELECT :x, '%s :y', '\\:x'\n  FROM {t} ORDER {place}y",
    "SELECT x\nFROM {t}\n  WHERE (x, y) IN :pairs AND x = :x AND {place}) = 1",
    "SELECT x FROM {t} WHERE x NOT IN :few AND x IN :many AND x = :x AND {place}nothing_y > :x",
    "SELECT 'ä', x FROM {t} WHERE x IN :none AND 1 = :x{place} GRUP x",
    "SELECT :x FROM {place}{t}_no",
    "SELECT (:x",
]


@pytest.mark.parametrize("sql", STATEMENTS)
async def test_the_place_of_an_error_is_told_in_the_authors_text(
    engine_async: AsyncEngine, table_name: str, sql: str
) -> None:
    """By the server's own word; where that does not tell the place, nothing is guessed."""
    params = {"x": 5, "pairs": [(1, 2)] * 3, "few": [1], "many": [*range(9)], "none": []}
    before, _, after = sql.replace("{t}", table_name).partition("{place}")
    async with engine_async.begin() as connection:
        await connection.execute(f"CREATE TABLE {table_name} (x INTEGER, y INTEGER)")
    for way in ("execute", "stream"):
        async with engine_async.connect() as connection:
            with pytest.raises(errors.DBAPIError) as caught:
                await getattr(connection, way)(before + after, params)
        position, statement = caught.value.position, before + after
        assert caught.value.statement == statement
        if position is None:
            word = engine_async.dialect.place(caught.value.__cause__)  # type: ignore[arg-type]
            assert word is None or statement.count(str(word)) > 1
            continue
        told = statement[position:].split()[:1]
        assert told in (after.split()[:1], ["BI"], ["GRUP"], [])
        *_, line, caret = str(caught.value).splitlines()
        assert caret.endswith(" ^")
        assert line[len(caret) - 1 :].startswith("".join(told))


async def test_a_colon_that_touches_a_word_is_told_with_what_to_write(
    engine_async: AsyncEngine,
) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.ProgrammingError, match="if :n is a parameter, write a bl"):
            await connection.execute("SELECT 1 LIMIT:n", {"n": 1})
