"""What every dialect must pass of statements: parameters, lists, executemany, results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from plainsql import bindparam, errors, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plainsql.aio import AsyncEngine


async def _fill(engine: AsyncEngine, name: str, rows: int = 5) -> None:
    async with engine.begin() as connection:
        await connection.execute(f"CREATE TABLE {name} (x INT PRIMARY KEY, y INT, s VARCHAR(40))")
        await connection.execute(
            f"INSERT INTO {name} (x, y, s) VALUES (:x, :y, :s)",
            [{"x": x, "y": x * x, "s": f"row {x}"} for x in range(1, rows + 1)],
        )


# -- parameters ---------------------------------------------------------------------------------


async def test_a_str_and_a_text_are_the_same_statement(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        assert await connection.scalar("SELECT :a + 1", {"a": 1}) == 2
        assert await connection.scalar(text("SELECT :a + 1"), {"a": 2}) == 3


async def test_the_same_name_may_stand_many_times(engine_async: AsyncEngine) -> None:
    sql = "SELECT :a + :b * 10 + :a * 100"
    async with engine_async.connect() as connection:
        assert await connection.scalar(sql, {"a": 1, "b": 2}) == 121


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        pytest.param("SELECT ':x'", ":x", id="in a literal"),
        pytest.param("SELECT 'it''s :x'", "it's :x", id="in a literal with a doubled quote"),
        pytest.param("SELECT /* :x */ 'a'", "a", id="in a block comment"),
        pytest.param("SELECT -- :x\n 'a'", "a", id="in a line comment"),
        pytest.param("SELECT '12:30'", "12:30", id="a time of day"),
        pytest.param("SELECT '50%', '%s'", "50%", id="percent signs without parameters"),
    ],
)
async def test_colons_that_are_no_parameters_stay(
    engine_async: AsyncEngine, sql: str, expected: str
) -> None:
    async with engine_async.connect() as connection:
        assert (await connection.execute(sql)).one()[0] == expected


async def test_percent_signs_survive_beside_parameters(engine_async: AsyncEngine) -> None:
    sql = "SELECT '50%', '%s %(a)s', :a, 7 % 4"
    async with engine_async.connect() as connection:
        row = (await connection.execute(sql, {"a": "100%"})).one()
    assert tuple(row) == ("50%", "%s %(a)s", "100%", 3)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "it's",
        'say "x"',
        "back\\slash",
        "x\\' OR 1=1 -- ",
        ":x %s ? %(x)s $1",
        "é漢😀",
        "a\nb\tc",
    ],
)
async def test_a_string_comes_back_as_it_went(engine_async: AsyncEngine, value: str) -> None:
    async with engine_async.connect() as connection:
        row = (await connection.execute("SELECT :v AS v, ':v' AS w", {"v": value})).one()
    assert (row.v, row.w) == (value, ":v")


async def test_an_escaped_colon_is_a_colon(engine_async: AsyncEngine) -> None:
    """Only where the server knows what to do with it; here the text of a quoted name."""
    compiled = text(r"SELECT a \:b").compile(engine_async.dialect)
    assert (str(compiled), compiled.names) == ("SELECT a :b", ())


async def test_a_negative_number_after_a_minus(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        assert await connection.scalar("SELECT 5-:n", {"n": -1}) == 6


async def test_a_missing_name_is_named_and_nothing_is_sent(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.ParameterError) as caught:
            await connection.execute("SELECT :a, :b", {"a": 1, "c": 3})
        assert not connection.in_transaction()
    message = str(caught.value)
    assert message == ("the query has 2 parameters (:a, :b) but 'b' is missing; given: 'a', 'c'")


async def test_surplus_names_are_ignored_unless_strict(
    make_engine_async: Callable[..., Any],
) -> None:
    async with make_engine_async().connect() as connection:
        assert await connection.scalar("SELECT :alpha", {"alpha": 1, "alhpa": 2}) == 1
    async with make_engine_async(strict_parameters=True).connect() as connection:
        with pytest.raises(errors.ParameterError, match="'alhpa' was given too; did you mean"):
            await connection.execute("SELECT :alpha", {"alpha": 1, "alhpa": 2})


@pytest.mark.parametrize("params", [(1,), [(1,)], "a", 7, [1], [{"a": 1}, None]])
async def test_parameters_that_are_no_mappings_are_refused(
    engine_async: AsyncEngine, params: Any
) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.ParameterError, match="mapping"):
            await connection.execute("SELECT :a", params)
        assert not connection.in_transaction()


@pytest.mark.parametrize("statement", [None, 7, b"SELECT 1", ["SELECT 1"]])
async def test_statements_that_are_no_text_are_refused(
    engine_async: AsyncEngine, statement: Any
) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.ArgumentError, match="must be a str or text"):
            await connection.execute(statement)


@pytest.mark.parametrize("statement", ["", " \n", ";;", "-- nothing", "/* nothing */ ;"])
async def test_a_text_without_a_statement_is_refused(
    engine_async: AsyncEngine, statement: Any
) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.SQLTextError, match="holds no statement"):
            await connection.execute(statement)


async def test_half_a_character_in_the_text_is_refused_with_its_place(
    engine_async: AsyncEngine,
) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.SQLTextError, match="surrogate") as caught:
            await connection.execute("SELECT '\ud800'")
    assert caught.value.column == 9
    assert str(caught.value).encode()


async def test_several_statements_with_parameters_are_refused(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.SQLTextError):
            await connection.execute("SELECT 1; SELECT :a", {"a": 1})


async def test_bindparam_gives_defaults_and_types(engine_async: AsyncEngine) -> None:
    statement = text("SELECT :a + :b").bindparams(bindparam("a", type_=int), b=5)
    async with engine_async.connect() as connection:
        assert await connection.scalar(statement, {"a": 1}) == 6
        assert await connection.scalar(statement, {"a": 1, "b": 2}) == 3
        with pytest.raises(errors.ParameterError, match="'a' must be int, not str"):
            await connection.execute(statement, {"a": "1"})
    with pytest.raises(errors.ArgumentError, match="'c' is not a parameter"):
        text("SELECT :a").bindparams(c=1).compile(engine_async.dialect)


async def test_an_unknown_type_is_refused_before_anything_is_sent(
    engine_async: AsyncEngine,
) -> None:
    class Strange:
        pass

    async with engine_async.connect() as connection:
        with pytest.raises((errors.ParameterError, errors.DBAPIError)):
            await connection.execute("SELECT :a", {"a": Strange()})
        await connection.rollback()
        assert await connection.scalar("SELECT 1") == 1


async def test_exec_driver_sql_sends_the_text_as_it_is(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        assert (await connection.exec_driver_sql("SELECT ':a', '50%'")).one()[:2] == (":a", "50%")


# -- lists --------------------------------------------------------------------------------------


# -- executemany --------------------------------------------------------------------------------


async def test_an_empty_list_of_parameter_sets_executes_nothing(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _fill(engine_async, table_name, 1)
    async with engine_async.connect() as connection:
        result = await connection.execute(f"DELETE FROM {table_name} WHERE x = :x", [])
        assert (result.rowcount, connection.in_transaction()) == (0, False)
        await connection.execute(f"DELETE FROM {table_name} WHERE x = :x", iter(()))
        assert await connection.scalar(f"SELECT count(*) FROM {table_name}") == 1


async def test_executemany_counts_its_rows(engine_async: AsyncEngine, table_name: str) -> None:
    await _fill(engine_async, table_name)
    async with engine_async.connect() as connection:
        result = await connection.execute(
            f"UPDATE {table_name} SET y = :y WHERE x = :x",
            [{"x": 1, "y": 7}, {"x": 2, "y": 8}, {"x": 99, "y": 9}],
        )
        assert (result.rowcount, result.returns_rows) == (2, False)
        assert (await connection.scalars(f"SELECT y FROM {table_name} ORDER BY x")).all()[:2] == [
            7,
            8,
        ]
        await connection.rollback()


async def test_a_list_is_checked_whole_before_anything_is_sent(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _fill(engine_async, table_name, 1)
    rows = [{"x": x, "y": 0, "s": ""} for x in range(10, 20)]
    del rows[7]["y"]
    async with engine_async.connect() as connection:
        with pytest.raises(errors.ParameterError, match=r"'y' is missing.*in parameter set 7"):
            await connection.execute(f"INSERT INTO {table_name} VALUES (:x, :y, :s)", rows)
        assert await connection.scalar(f"SELECT count(*) FROM {table_name}") == 1


async def test_an_iterator_is_sent_in_chunks_and_the_error_counts(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _fill(engine_async, table_name, 1)

    def rows() -> Iterator[dict[str, Any]]:
        yield from ({"x": x, "y": 0, "s": ""} for x in range(10, 2510))
        yield {"x": 1}

    async with engine_async.connect() as connection:
        with pytest.raises(
            errors.ParameterError, match=r"parameter set 2500\); 2000 parameter sets were sent"
        ):
            await connection.execute(f"INSERT INTO {table_name} VALUES (:x, :y, :s)", rows())
        assert await connection.scalar(f"SELECT count(*) FROM {table_name}") == 2001
        await connection.rollback()


async def test_executemany_with_lists_runs_row_by_row(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _fill(engine_async, table_name)
    async with engine_async.connect() as connection:
        result = await connection.execute(
            f"DELETE FROM {table_name} WHERE x IN :xs", [{"xs": [1, 2]}, {"xs": []}, {"xs": (5,)}]
        )
        assert result.rowcount == 3
        assert list(await connection.scalars(f"SELECT x FROM {table_name} ORDER BY x")) == [3, 4]
        await connection.rollback()


# -- results ------------------------------------------------------------------------------------


async def test_rows_are_reached_by_name_and_index_and_outlive_the_connection(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _fill(engine_async, table_name, 3)
    async with engine_async.connect() as connection:
        result = await connection.execute(f"SELECT x, y, s FROM {table_name} ORDER BY x")
    assert list(result.keys()) == ["x", "y", "s"]
    first, *rest = result.all()
    assert (first.x, first[1], first._mapping["s"]) == (1, 1, "row 1")
    assert [row._asdict() for row in rest] == [
        {"x": 2, "y": 4, "s": "row 2"},
        {"x": 3, "y": 9, "s": "row 3"},
    ]


async def test_a_repeated_select_sees_a_changed_table(
    engine_async: AsyncEngine, table_name: str
) -> None:
    """The row class kept with a statement follows the columns that really came."""
    await _fill(engine_async, table_name, 1)
    sql = f"SELECT * FROM {table_name}"
    async with engine_async.connect() as connection:
        assert (await connection.execute(sql)).one()._fields == ("x", "y", "s")
        await connection.rollback()
        await connection.execute(f"ALTER TABLE {table_name} ADD COLUMN z INT")
        await connection.commit()
        assert (await connection.execute(sql)).one()._fields == ("x", "y", "s", "z")


async def test_rowcount_counts_the_rows_that_match(
    engine_async: AsyncEngine, table_name: str
) -> None:
    """Also those that an UPDATE leaves as they were."""
    await _fill(engine_async, table_name)
    async with engine_async.connect() as connection:
        result = await connection.execute(f"UPDATE {table_name} SET y = y WHERE x <= :x", {"x": 3})
        assert (result.rowcount, result.returns_rows) == (3, False)
        with pytest.raises(errors.ResultError, match="no rows"):
            result.all()
        await connection.rollback()


async def test_a_duplicate_column_is_ambiguous_by_name(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        row = (await connection.execute("SELECT 1 AS a, 2 AS a, 3 AS count")).one()
    assert (row[0], row[1], row.count) == (1, 2, 3)
    with pytest.raises(errors.AmbiguousColumn):
        row.a  # noqa: B018 - the access is the claim


@pytest.mark.parametrize("option", ["stream_results", "yield_per"])
async def test_streaming_options_name_stream(engine_async: AsyncEngine, option: str) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.ArgumentError, match=r"stream\(\)"):
            await connection.execute("SELECT 1", execution_options={option: True})
        with pytest.raises(errors.ArgumentError, match=r"stream\(\)"):
            connection.execution_options(**{option: True})


async def test_execution_options_are_a_mapping(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.ArgumentError, match="must be a mapping, not 5"):
            await connection.execute("SELECT 1", execution_options=5)  # type: ignore[call-overload]


async def test_compile_shows_what_is_sent(make_engine_async: Callable[..., Any]) -> None:
    engine = make_engine_async()
    compiled = text("SELECT :a, ':b', :c, :a").compile(engine.name)
    assert tuple(dict.fromkeys(compiled.names)) == ("a", "c")
    async with engine.connect() as connection:
        values = compiled.bind({"a": 1, "c": "x"})
        row = (await connection.exec_driver_sql(str(compiled), values)).one()
    assert tuple(row) == (1, ":b", "x", 1)


# -- streams ------------------------------------------------------------------------------------


async def test_a_stream_gives_all_rows_in_batches(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _fill(engine_async, table_name, 25)
    sql = f"SELECT x, s FROM {table_name} WHERE x > :x ORDER BY x"
    async with engine_async.connect() as connection:
        async with connection.stream(sql, {"x": 2}, batch=10) as stream:
            assert stream.keys() == ("x", "s")
            first = await stream.fetchone()
            assert first is not None
            assert first._asdict() == {"x": 3, "s": "row 3"}
            assert [row.x for row in await stream.fetchmany(3)] == [4, 5, 6]
            assert [row.x async for row in stream] == list(range(7, 26))
            assert await stream.fetchone() is None
        assert await connection.scalar("SELECT 1") == 1


@pytest.mark.parametrize("rows", [0, 9, 10, 11, 20])
async def test_a_stream_ends_where_the_rows_end(
    engine_async: AsyncEngine, table_name: str, rows: int
) -> None:
    await _fill(engine_async, table_name, rows)
    async with (
        engine_async.connect() as connection,
        connection.stream(f"SELECT x FROM {table_name} ORDER BY x", batch=10) as stream,
    ):
        assert await stream.scalars().all() == list(range(1, rows + 1))


@pytest.mark.parametrize("size", [0, True, "10"])
async def test_a_batch_of_a_stream_is_a_number_of_rows(
    engine_async: AsyncEngine, size: Any
) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.ArgumentError, match="number of rows from 1 on"):
            await connection.stream("SELECT 1", batch=size)
        async with connection.stream("SELECT 1 AS x") as stream:
            with pytest.raises(errors.ArgumentError, match="number of rows from 1 on"):
                await stream.fetchmany(size)
            assert await stream.scalars().all() == [1]


async def test_a_stream_left_early_leaves_a_usable_connection(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _fill(engine_async, table_name, 25)
    async with engine_async.connect() as connection:
        async with connection.stream(f"SELECT x FROM {table_name}", batch=5) as stream:
            assert await stream.fetchone() is not None
        with pytest.raises(errors.ResultError, match="closed"):
            await stream.fetchone()
        assert await connection.scalar(f"SELECT count(*) FROM {table_name}") == 25


async def test_beside_a_stream_statements_run_or_are_refused_clearly(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _fill(engine_async, table_name, 25)
    async with engine_async.connect() as connection:
        async with connection.stream(f"SELECT x FROM {table_name} ORDER BY x", batch=5) as stream:
            await stream.fetchone()
            refused = ["none: a stream is open"]
            try:
                assert await connection.scalar("SELECT 1") == 1
            except errors.TransactionStateError as error:
                refused.append(str(error))
            assert "a stream is open" in refused[-1]
            assert len(await stream.all()) == 24
        assert await connection.scalar("SELECT 2") == 2


async def test_the_end_of_the_transaction_closes_its_streams(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _fill(engine_async, table_name, 25)
    async with engine_async.connect() as connection:
        for end in (connection.commit, connection.rollback):
            stream = await connection.stream(f"SELECT x FROM {table_name}", batch=5)
            await end()
            assert stream.closed
            with pytest.raises(errors.ResultError, match="closed"):
                await stream.fetchone()


async def test_a_stream_works_in_autocommit_too(
    make_engine_async: Callable[..., Any], table_name: str
) -> None:
    engine = make_engine_async(isolation_level="AUTOCOMMIT")
    await _fill(engine, table_name, 25)
    async with engine.connect() as connection:
        async with connection.stream(f"SELECT x FROM {table_name} ORDER BY x", batch=10) as stream:
            assert [row.x async for row in stream] == list(range(1, 26))
        assert not connection.in_transaction()


async def test_a_stream_of_no_rows_at_all_is_refused(
    engine_async: AsyncEngine, table_name: str
) -> None:
    await _fill(engine_async, table_name, 1)
    async with engine_async.connect() as connection:
        with pytest.raises((errors.ArgumentError, errors.SQLSyntaxError)):
            await connection.stream(f"UPDATE {table_name} SET y = 1")


async def test_an_error_in_a_stream_has_its_class(
    engine_async: AsyncEngine, table_name: str
) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.UndefinedTable):
            await connection.stream(f"SELECT * FROM {table_name}")
        await connection.rollback()
        assert await connection.scalar("SELECT 1") == 1
