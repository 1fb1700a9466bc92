"""Lists after IN: spread, padded or sent as one array, and never more than the server takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from plainsql import bindparam, errors, text
from plainsql.testing._async.statements import _fill

if TYPE_CHECKING:
    from plainsql.aio import AsyncEngine

PAIRS = [(1, 1), (2, 4), (3, 8), (9, 81)]


@pytest.mark.parametrize(
    "ids",
    [[1, 3, 9], (1, 3), {1, 3}, frozenset({3}), range(1, 4), [2]],
    ids=["list", "tuple", "set", "frozenset", "range", "one"],
)
async def test_in_expands_a_list(engine_async: AsyncEngine, table_name: str, ids: Any) -> None:
    await _fill(engine_async, table_name)
    async with engine_async.connect() as connection:
        for words in ("IN :ids", "in\n/* all */ :ids", "NOT IN :ids"):
            sql = f"SELECT x FROM {table_name} WHERE x {words} ORDER BY x"
            found = set(await connection.scalars(sql, {"ids": ids}))
            wanted = set(ids) & {1, 2, 3, 4, 5}
            assert found == ({1, 2, 3, 4, 5} - wanted if "NOT" in words else wanted)


async def test_an_empty_list_is_a_correct_empty_set(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _fill(engine_async, table_name, 2)
    async with engine_async.connect() as connection:
        await connection.execute(f"INSERT INTO {table_name} (x, y) VALUES (3, NULL)")
        for words, count in (("IN", 0), ("NOT IN", 3)):
            sql = f"SELECT count(*) FROM {table_name} WHERE y {words} :ys"
            assert await connection.scalar(sql, {"ys": []}) == count
        await connection.rollback()


async def test_lists_of_text_and_other_parameters_mix(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _fill(engine_async, table_name)
    sql = f"SELECT x FROM {table_name} WHERE x > :x AND s IN :names AND y IN :ys AND x < :z"
    params = {"x": 1, "names": ["row 2", "row 3", "row 5"], "ys": (4, 9, 25), "z": 5}
    async with engine_async.connect() as connection:
        assert sorted(await connection.scalars(sql, params)) == [2, 3]


async def test_an_expanding_parameter_spreads_where_no_in_stands(
    engine_async: AsyncEngine,
) -> None:
    statement = text("SELECT coalesce:values").bindparams(bindparam("values", expanding=True))
    with pytest.raises(errors.ArgumentError, match="'values' is not a parameter"):
        statement.compile(engine_async.dialect)
    statement = text("SELECT coalesce :values").bindparams(bindparam("values", expanding=True))
    async with engine_async.connect() as connection:
        assert await connection.scalar(statement, {"values": [None, 7, 8]}) == 7


@pytest.mark.parametrize("value", ["abc", b"abc", 5, None, {"a": 1}])
async def test_what_is_no_list_does_not_expand(engine_async: AsyncEngine, value: Any) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.ParameterError, match="'ids' stands after IN and must be a list"):
            await connection.execute("SELECT 1 WHERE 1 IN :ids", {"ids": value})


async def test_a_list_in_parentheses_is_an_error_that_shows_how(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.ParameterError, match="write IN :ids without the parentheses"):
            await connection.execute("SELECT 1 WHERE 1 IN (:ids)", {"ids": [1, 2]})


# -- rows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 4])
async def test_rows_are_looked_for_by_tuples(
    engine_async: AsyncEngine, table_name: str, count: int
) -> None:
    await _fill(engine_async, table_name)
    wanted = {pair for pair in PAIRS[:count] if pair[1] == pair[0] ** 2 and pair[0] < 6}
    async with engine_async.connect() as connection:
        for words in ("(x, y) IN :pairs", "(x,y) /* all */ not in :pairs"):
            sql = f"SELECT x, y FROM {table_name} WHERE {words}"
            found = set((await connection.execute(sql, {"pairs": PAIRS[:count]})).tuples())
            rest = {(x, x * x) for x in range(1, 6)} - wanted
            assert found == (rest if "not" in words else wanted)


async def test_rows_that_came_from_a_query_are_looked_for(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _fill(engine_async, table_name)
    async with engine_async.connect() as connection:
        rows = (await connection.execute(f"SELECT x, s FROM {table_name} WHERE x > 3")).all()
        sql = f"SELECT count(*) FROM {table_name} WHERE (x, s) IN :rows AND y > :y"
        assert await connection.scalar(sql, {"rows": rows, "y": 0}) == 2


async def test_an_empty_list_of_rows_is_a_correct_empty_set(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _fill(engine_async, table_name, 2)
    async with engine_async.connect() as connection:
        await connection.execute(f"INSERT INTO {table_name} (x, y) VALUES (3, NULL)")
        for words, count in (("IN", 0), ("NOT IN", 3)):
            sql = f"SELECT count(*) FROM {table_name} WHERE (x, y) {words} :pairs"
            assert await connection.scalar(sql, {"pairs": []}) == count
            sql = f"SELECT count(*) FROM {table_name} WHERE(:one, (coalesce(y, 1)), s) {words} :all"
            assert await connection.scalar(sql, {"one": 1, "all": []}) == count
            sql = f"SELECT count(*) FROM {table_name} WHERE coalesce(y, x) {words} :ys"
            assert await connection.scalar(sql, {"ys": []}) == count
        await connection.rollback()


@pytest.mark.parametrize("pairs", [[(1, 2), 3], [(1, 2), (1,)], [1, (1, 2)], [()]])
async def test_rows_must_be_of_one_length(engine_async: AsyncEngine, pairs: Any) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.ParameterError, match="'pairs' must be all tuples of one length"):
            await connection.execute("SELECT 1 WHERE (1, 2) IN :pairs", {"pairs": pairs})


# -- how many -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536])
async def test_a_list_of_any_size_is_right_or_refused_before_it_is_sent(
    engine_async: AsyncEngine, table_name: str, size: int
) -> None:
    await _fill(engine_async, table_name)
    async with engine_async.connect() as connection:
        for words, count in (("IN", min(size, 5)), ("NOT IN", 5 - min(size, 5))):
            sql = f"SELECT count(*) FROM {table_name} WHERE x {words} :ids"
            try:
                assert await connection.scalar(sql, {"ids": range(1, size + 1)}) == count
            except errors.ParameterError as exc:
                assert " more than the " in str(exc)  # noqa: PT017 - either is right
                assert size > 1
        assert await connection.scalar("SELECT 1") == 1


async def test_texts_that_are_longer_than_the_server_takes_are_refused(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _fill(engine_async, table_name)
    texts = [chr(97 + n) * (1 << 22) for n in range(20)]
    async with engine_async.connect() as connection:
        sql = f"SELECT count(*) FROM {table_name} WHERE s NOT IN :texts"
        try:
            assert await connection.scalar(sql, {"texts": texts}) == 5
        except errors.ParameterError as exc:
            assert " more than the " in str(exc)  # noqa: PT017 - either is right
        assert await connection.scalar("SELECT 1") == 1


async def test_few_texts_serve_all_lists(engine_async: AsyncEngine, table_name: str) -> None:
    one = text(f"SELECT count(*) FROM {table_name} WHERE x IN :ids").compile(engine_async.dialect)
    two = text(f"SELECT 1 FROM {table_name} WHERE (x, y) IN :ids").compile(engine_async.dialect)
    for made, row in ((one, 7), (two, (7, 49))):
        sizes = [made.expand({"ids": [row] * n})[0] for n in range(1, 1001)]
        assert len(set(sizes)) <= 11


# -- types --------------------------------------------------------------------------------------


async def test_the_column_gives_the_members_their_type(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _fill(engine_async, table_name)
    async with engine_async.connect() as connection:
        for members in (["row 1"], ["row 1", "row 2", None]):
            sql = f"SELECT count(*) FROM {table_name} WHERE s IN :texts"
            assert await connection.scalar(sql, {"texts": members}) == min(len(members), 2)
            sql = f"SELECT count(*) FROM {table_name} WHERE (s, x) IN :rows"
            rows = [(member, n) for n, member in enumerate(members, 1)]
            assert await connection.scalar(sql, {"rows": rows}) == min(len(members), 2)


async def test_members_are_of_the_type_that_the_statement_says(
    engine_async: AsyncEngine,
) -> None:
    statement = text("SELECT 1 WHERE 'a' IN :texts").bindparams(bindparam("texts", type_=str))
    async with engine_async.connect() as connection:
        assert await connection.scalar(statement, {"texts": ["b", "a", "a"]}) == 1
        assert await connection.scalar(statement, {"texts": []}) is None
        with pytest.raises(errors.ParameterError, match="'texts' must be str, not UUID"):
            await connection.execute(statement, {"texts": [UUID(int=1)]})
