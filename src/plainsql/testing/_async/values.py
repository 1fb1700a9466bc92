"""How values are typed by the statement, and by the engine's codecs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from plainsql import Json, Zoned, bindparam, errors, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from plainsql import TextClause
    from plainsql.aio import AsyncEngine


class Money:
    """A type of a user's own."""

    def __init__(self, cents: int) -> None:
        self.cents = cents


class Colour(Enum):
    """An enumeration, stored by its values."""

    RED = "red"


class Shade(str, Enum):  # noqa: UP042 - its `__str__` is the enumeration's
    """A text and an enumeration at once."""

    RED = "red"


async def test_a_column_is_read_as_the_statement_says(engine_async: AsyncEngine) -> None:
    statement = text("SELECT :id AS id, :on AS day, :colour AS colour, NULL AS nought, 'x' AS x")
    statement = statement.columns(id=UUID, day=date, colour=Colour, nought=Decimal)
    values = {"id": str(UUID(int=7)), "on": "2024-02-29", "colour": Colour.RED}
    async with engine_async.connect() as connection:
        row = (await connection.execute(statement, values)).one()
        assert row == (UUID(int=7), date(2024, 2, 29), Colour.RED, None, "x")
        async with connection.stream(statement, values) as stream:
            assert await stream.one() == row


async def test_a_column_that_can_not_be_read_so_is_a_mapping_error(
    engine_async: AsyncEngine,
) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.MappingError, match="column 'a' can not be read as UUID"):
            await connection.execute(text("SELECT 'canary' AS a").columns(a=UUID))
        with pytest.raises(errors.MappingError, match=r"columns\(b=…\).*no such column.*has a"):
            await connection.execute(text("SELECT 1 AS a").columns(b=int))
        with pytest.raises(errors.MappingError, match="2 columns of that name"):
            await connection.execute(text("SELECT 1 AS a, 2 AS a").columns(a=int))
        with pytest.raises(errors.ArgumentError, match=r"codecs\.register"):
            await connection.execute(text("SELECT 1 AS a").columns(a=Money))
        assert await connection.scalar("SELECT 1") == 1


async def test_a_stream_is_the_first_to_read_its_columns(
    engine_async: AsyncEngine,
) -> None:
    """Its own cursor tells the types, not that of the statement before."""
    async with engine_async.connect() as connection:
        statement = text("SELECT '7' AS a, 8 AS b, '9' AS c").columns(a=int, c=int)
        async with await connection.stream(statement) as stream:
            assert await stream.one() == (7, 8, 9)


async def test_a_value_of_another_type_is_no_value_of_a_column(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.MappingError, match=r"'a' can not be read as UUID.*int"):
            await connection.execute(text("SELECT 5 AS a").columns(a=UUID))
        exact = text("SELECT 9007199254740992 AS a").columns(a=float)
        assert await connection.scalar(exact) == 2.0**53
        with pytest.raises(errors.MappingError, match="'a' can not be read as float"):
            await connection.execute(text("SELECT 9007199254740993 AS a").columns(a=float))


SOUGHT = "SELECT 1 WHERE :x IS NULL"


@pytest.mark.parametrize(
    "statement", [text(SOUGHT, x=str), text(SOUGHT).bindparams(bindparam("x", type_=str))]
)
async def test_a_typed_parameter_may_be_null_and_nothing_else(
    engine_async: AsyncEngine, statement: TextClause
) -> None:
    async with engine_async.connect() as connection:
        assert await connection.scalar(statement, {"x": "a"}) is None
        assert await connection.scalar(statement, {"x": None}) == 1
        with pytest.raises(errors.ParameterError, match="'x' must be str, not int"):
            await connection.execute(statement, {"x": 1})


async def test_a_typed_parameter_is_sent_as_its_plain_value(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        for type_ in (str, Shade):
            assert await connection.scalar(text("SELECT :x", x=type_), {"x": Shade.RED}) == "red"


async def test_a_typed_date_is_no_datetime(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.ParameterError, match="'x' must be date, not datetime"):
            await connection.execute(text(SOUGHT, x=date), {"x": datetime(2024, 1, 1, tzinfo=UTC)})


async def test_a_list_of_a_type_may_hold_null(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        for type_, value in ((int, 7), (str, "a")):
            statement = text("SELECT 1 WHERE :x IN :xs", x=type_, xs=type_)
            for values in ([value, None], [None, value]):
                assert await connection.scalar(statement, {"x": value, "xs": values}) == 1


async def test_a_dict_is_refused_and_json_is_named(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.ParameterError, match=r"'x'.*dict.*Json\(…\)"):
            await connection.execute("SELECT :x", {"x": {"secret": 1}})


async def test_json_goes_by_the_functions_of_the_engine(
    make_engine_async: Callable[..., Any],
) -> None:
    engine = make_engine_async(
        json_dumps=lambda value: f'{{"wrapped": {value}}}', json_loads=lambda text: ("read", text)
    )
    write = text("SELECT :doc AS doc").bindparams(bindparam("doc", type_=Json))
    async with engine.connect() as connection:
        kind, read = await connection.scalar(write.columns(doc=Json), {"doc": 5})
    assert kind == "read"
    assert "".join((read if isinstance(read, str) else read.decode()).split()) == '{"wrapped":5}'


async def test_json_functions_may_give_bytes_and_nothing_else(
    make_engine_async: Callable[..., Any],
) -> None:
    statement = text("SELECT :doc AS doc", doc=Json).columns(doc=Json)
    given: list[Any] = ['{"é": 1}'.encode(), None]
    engine = make_engine_async(json_dumps=lambda _: given.pop(0))
    async with engine.connect() as connection:
        assert await connection.scalar(statement, {"doc": 5}) == {"é": 1}
        with pytest.raises(errors.ParameterError, match=r"json_dumps must give str.*NoneType"):
            await connection.execute(statement, {"doc": 5})


async def test_zoned_times_are_aware_on_both_sides(engine_async: AsyncEngine) -> None:
    at = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)
    statement = text("SELECT :at AS at").bindparams(bindparam("at", type_=Zoned(UTC)))
    async with engine_async.connect() as connection:
        back = await connection.scalar(statement.columns(at=Zoned(UTC)), {"at": at})
        assert (back, back.tzinfo) == (at, UTC)
        with pytest.raises(errors.ParameterError, match="must be an aware datetime"):
            await connection.execute(statement, {"at": at.replace(tzinfo=None)})


async def test_a_registered_type_goes_in_and_comes_back(engine_async: AsyncEngine) -> None:
    statement = text("SELECT :price AS price")
    async with engine_async.connect() as connection:
        with pytest.raises((errors.ParameterError, errors.DBAPIError)):
            await connection.execute(statement, {"price": Money(250)})
        await connection.rollback()
        engine_async.codecs.register(Money, lambda money: money.cents, Money)
        assert await connection.scalar(statement, {"price": Money(250)}) == 250
        price = await connection.scalar(statement.columns(price=Money), {"price": Money(7)})
        assert isinstance(price, Money)
        assert price.cents == 7


async def test_a_registered_way_wins_over_the_dialects(engine_async: AsyncEngine) -> None:
    engine_async.codecs.register(
        timedelta, lambda value: value.total_seconds(), lambda value: timedelta(seconds=value)
    )
    statement = text("SELECT :x AS x").columns(x=timedelta)
    async with engine_async.connect() as connection:
        value = timedelta(days=1000, seconds=0.5)
        assert await connection.scalar(statement, {"x": value}) == value
        assert await connection.scalar("SELECT :x", {"x": 7}) == 7
        engine_async.codecs.register(int, str)
        assert await connection.scalar("SELECT :x", {"x": 7}) == "7"
        assert await connection.scalar("SELECT 1 WHERE :x = :y", {"x": 7, "y": "7"}) == 1


async def test_a_codec_may_give_another_value_of_its_type(engine_async: AsyncEngine) -> None:
    engine_async.codecs.register(str, lambda value: f"<{value}>")
    engine_async.codecs.register(int, lambda value: value + 1)
    async with engine_async.connect() as connection:
        row = (await connection.execute("SELECT :x, :y", {"x": "a", "y": 1})).one()
        assert row == ("<a>", 2)


async def test_a_registered_way_wins_over_the_type_of_a_parameter(
    engine_async: AsyncEngine,
) -> None:
    engine_async.codecs.register(UUID, lambda value: value.int % 1000)
    engine_async.codecs.register(Colour, str)
    engine_async.codecs.register(str, lambda value: f"<{value}>")
    statement = text("SELECT :id, :x, :y", id=UUID, x=Colour, y=str)
    values = {"id": UUID(int=7), "x": Colour.RED, "y": "a"}
    async with engine_async.connect() as connection:
        row = (await connection.execute(statement, values)).one()
        assert row == (7, "<Colour.RED>", "<a>")


@pytest.mark.parametrize("wrong", [ValueError, KeyError, IndexError])
async def test_a_codec_that_raises_is_no_missing_parameter(
    engine_async: AsyncEngine, wrong: type[Exception]
) -> None:
    def refuse(_: Money) -> None:
        raise wrong("odd")

    engine_async.codecs.register(Money, refuse)
    async with engine_async.connect() as connection:
        for statement in ("SELECT :x", text("SELECT :x", x=Money)):
            with pytest.raises(errors.ParameterError, match=r"parameter 'x': .*odd"):
                await connection.execute(statement, {"x": Money(1)})


async def test_a_codec_that_fails_names_the_parameter(engine_async: AsyncEngine) -> None:
    engine_async.codecs.register(Money, lambda money: money.cents // 0)
    async with engine_async.connect() as connection:
        with pytest.raises(errors.ParameterError, match=r"parameter 'x': .*division"):
            await connection.execute("SELECT :x", {"x": Money(1)})


async def test_codecs_are_the_engines_alone(make_engine_async: Callable[..., Any]) -> None:
    make_engine_async().codecs.register(Money, lambda money: money.cents)
    async with make_engine_async().connect() as connection:
        with pytest.raises((errors.ParameterError, errors.DBAPIError)):
            await connection.execute("SELECT :x", {"x": Money(1)})


@pytest.mark.parametrize("arguments", [(5,), (Money, 5), (Money, None, 5)])
async def test_what_can_not_be_registered_is_refused(
    engine_async: AsyncEngine, arguments: tuple[Any, ...]
) -> None:
    with pytest.raises(errors.ArgumentError, match=r"class|callable"):
        engine_async.codecs.register(*arguments)
    with pytest.raises(errors.ArgumentError, match="from_db"):
        engine_async.codecs.register(Money, column_type=3)
