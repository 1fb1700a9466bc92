"""Rows made into objects: `into=`."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    TypedDict,
)
from uuid import UUID

import pytest

from plainsql import Json, Zoned, bindparam, errors, text
from plainsql.aio import AsyncSession

if TYPE_CHECKING:
    from plainsql.aio import AsyncConnection, AsyncEngine

Id = NewType("Id", int)
USERS = "SELECT 1 AS id, 'Ada' AS name UNION ALL SELECT 2, 'Bob' ORDER BY id"


class Paint(Enum):
    """Stored by its values."""

    RED = "red"


@dataclass
class User:
    """As most are."""

    id: Id
    name: str


class Pair(NamedTuple):
    """A tuple of its own."""

    id: int
    name: str = "nobody"


class Doc(TypedDict):
    """A dict of known keys."""

    id: int
    name: str
    note: NotRequired[str | None]


class Plain:
    """A class of a user's own, by no library."""

    def __init__(self, name: str, *, id: int) -> None:
        self.told = (id, name)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A field for each kind of annotation."""

    id: UUID
    weight: Decimal
    day: date | None
    sent: Annotated[datetime, Zoned(UTC)]
    labels: dict[str, Any]
    marks: list[int]
    colour: Paint
    size: Literal["s", "m"]
    _: KW_ONLY
    anything: Any = None
    made: list[int] = field(default_factory=list, init=False)


PARCEL = {
    "id": str(UUID(int=7)),
    "weight": "1.50",
    "day": "2024-02-29",
    "sent": "2024-02-29T12:30:00",
    "labels": {"a": [1, None]},
    "marks": [1, 2],
    "colour": "red",
    "size": "m",
    "anything": "x",
}
PARCEL_SQL = text("""
    SELECT :marks AS marks, :id AS id, :weight AS weight, :day AS day, :sent AS sent,
        :labels AS labels, :colour AS colour, :size AS size, :anything AS anything
""").bindparams(bindparam("labels", type_=Json), bindparam("marks", type_=Json))


async def _one(connection: AsyncConnection, into: type[Any], **changed: Any) -> Any:
    return (await connection.execute(PARCEL_SQL, {**PARCEL, **changed}, into=into)).one()


@dataclass
class Note:
    """What a document is, it says itself."""

    doc: Annotated[Any, Json]


class Notes(TypedDict):
    """A list, or it does not fit."""

    doc: list[Any]


NOTE = text("SELECT :doc AS doc", doc=Json)


@pytest.mark.parametrize("doc", ["5", "text", "[1]", 5, [1], {"a": "{}"}, True])
async def test_json_is_read_once(engine_async: AsyncEngine, doc: Any) -> None:
    async with engine_async.connect() as connection:
        async with await connection.stream(NOTE, {"doc": doc}, into=Note) as stream:
            assert await stream.one() == Note(doc)
        note = (await connection.execute(NOTE, {"doc": doc}, into=Note)).one()
        assert (note, type(note.doc)) == (Note(doc), type(doc))


async def test_a_text_in_json_is_no_list(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.MappingError, match=r"'doc' can not be read as list.*str"):
            await connection.execute(NOTE, {"doc": "[1]"}, into=Notes)
        with pytest.raises(errors.MappingError, match=r"'doc' can not be read as list.*str"):
            await connection.execute(NOTE.columns(doc=list), {"doc": "[1]"})
        assert (await connection.execute(NOTE, {"doc": [1]}, into=Notes)).one() == {"doc": [1]}


@pytest.mark.parametrize(
    ("into", "expected"),
    [
        (User, [User(Id(1), "Ada"), User(Id(2), "Bob")]),
        (Pair, [Pair(1, "Ada"), Pair(2, "Bob")]),
        (Doc, [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bob"}]),
    ],
)
async def test_each_row_becomes_an_object(
    engine_async: AsyncEngine, into: type[Any], expected: list[Any]
) -> None:
    async with engine_async.connect() as connection:
        found = (await connection.execute(USERS, into=into)).all()
        assert found == expected
        assert {type(one) for one in found} == {type(expected[0])}
        result = await connection.execute(USERS, into=into)
        assert list(result.keys()) == ["id", "name"]
        assert result.fetchmany(1) == expected[:1]
        assert [*result] == expected[1:]
        async with connection.stream(USERS, into=into, batch=1) as stream:
            assert await stream.all() == expected
    async with AsyncSession(engine_async) as session:
        assert (await session.execute(USERS, into=into)).first() == expected[0]
        async with session.stream(USERS, into=into) as stream:
            assert await stream.fetchone() == expected[0]


async def test_a_plain_class_is_made_by_its_constructor(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        found = (await connection.execute(USERS, into=Plain)).all()
        assert [one.told for one in found] == [(1, "Ada"), (2, "Bob")]


async def test_columns_are_read_as_the_types_of_the_fields(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        parcel = await _one(connection, Parcel)
        expected = Parcel(
            UUID(int=7),
            Decimal("1.50"),
            date(2024, 2, 29),
            datetime(2024, 2, 29, 12, 30, tzinfo=UTC),
            {"a": [1, None]},
            [1, 2],
            Paint.RED,
            "m",
            anything="x",
        )
        assert parcel == expected
        assert str(parcel.weight) == "1.50"
        assert (await _one(connection, Parcel, day=None)).day is None
        async with connection.stream(PARCEL_SQL, PARCEL, into=Parcel) as stream:
            assert await stream.one() == expected


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"id": "canary"}, "'id' can not be read as UUID"),
        ({"size": "xl"}, "'size' can not be read as Literal: it is none of 's', 'm'"),
        ({"weight": None}, r"'weight' is NULL, and Parcel\.weight may not be None"),
        ({"labels": [1]}, "'labels' can not be read as dict"),
        ({"colour": "blue"}, "'colour' can not be read as Paint"),
    ],
)
async def test_a_value_that_the_field_can_not_hold_is_refused(
    engine_async: AsyncEngine, changed: dict[str, Any], said: str
) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.MappingError, match=said):
            await _one(connection, Parcel, **changed)
        with pytest.raises(errors.MappingError, match=said):
            async with connection.stream(PARCEL_SQL, {**PARCEL, **changed}, into=Parcel) as stream:
                await stream.one()
        assert await connection.scalar("SELECT 1") == 1


async def test_all_that_is_missing_or_surplus_is_told_at_once(engine_async: AsyncEngine) -> None:
    sql = "SELECT 1 AS id, 2 AS nick, 3 AS mail"
    async with engine_async.connect() as connection:
        with pytest.raises(errors.MappingError) as caught:
            await connection.execute(sql, into=Parcel)
        told = str(caught.value)
        assert "fit Parcel: missing: 'weight', 'day', " in told
        assert "'anything' (lax=True leaves it out); surplus: 'nick', 'mail'; " in told
        assert told.endswith("the result has 'id', 'nick', 'mail'")
        with pytest.raises(errors.MappingError, match="missing: 'name'; surplus: 'nick', 'mail'"):
            async with connection.stream(sql, into=User):
                pass
        with pytest.raises(errors.MappingError, match="missing: 'name'; surplus: 'x'"):
            await connection.execute("SELECT 1 AS id, 1 AS x WHERE 1 = 0", into=Doc)
        assert await connection.scalar("SELECT 1") == 1


async def test_lax_leaves_out_what_need_not_be(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        statement = text("SELECT 'x' AS more, 1 AS id")
        assert (await connection.execute(statement, into=Pair, lax=True)).one() == Pair(1)
        with pytest.raises(errors.MappingError, match=r"missing: 'name' .*surplus: 'more'"):
            await connection.execute(statement, into=Pair)
        with pytest.raises(errors.MappingError, match="missing: 'name';"):
            await connection.execute(statement, into=User, lax=True)
        more = text("SELECT 'x' AS more, 'Ada' AS name, 1 AS id")
        assert (await connection.execute(more, into=Doc, lax=True)).one() == Doc(id=1, name="Ada")
        assert (await connection.execute(more, into=Plain, lax=True)).one().told == (1, "Ada")
        async with connection.stream(more, into=User, lax=True) as stream:
            assert await stream.one() == User(Id(1), "Ada")


async def test_equally_named_columns_are_ambiguous_by_name_and_there_by_index(
    engine_async: AsyncEngine,
) -> None:
    async with engine_async.connect() as connection:
        statement = "SELECT 1 AS id, 'Ada' AS name, 2 AS id"
        row = (await connection.execute(statement)).one()
        assert (row[0], row[2], row.name) == (1, 2, "Ada")
        for asked in (lambda: row.id, lambda: row._mapping["id"], row._asdict):
            with pytest.raises(errors.AmbiguousColumn, match="'id'"):
                asked()
        for lax in (False, True):
            with pytest.raises(errors.AmbiguousColumn, match="more than once: 'id'"):
                await connection.execute(statement, into=User, lax=lax)


async def test_objects_are_no_rows(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        for asked in ("scalars", "scalar", "mappings", "tuples", "columns"):
            result = await connection.execute(USERS, into=User)
            with pytest.raises(errors.ResultError, match="rows are User objects"):
                getattr(result, asked)()
            assert len(result.all()) == 2
        async with connection.stream(USERS, into=User) as stream:
            for asked in ("scalars", "mappings", "tuples", "columns"):
                with pytest.raises(errors.ResultError, match="rows are User objects"):
                    getattr(stream, asked)()
            with pytest.raises(errors.ResultError, match="rows are User objects"):
                await stream.scalar()
            assert list(stream.keys()) == ["id", "name"]


async def test_what_is_no_class_of_fields_is_refused_before_anything_is_sent(
    engine_async: AsyncEngine,
) -> None:
    statement: Any = "SELECT canary FROM nowhere"
    async with engine_async.connect() as connection:
        for into in (int, dict, str, object, type(None)):
            with pytest.raises(errors.ArgumentError, match=f"{into.__name__} does not"):
                await connection.execute(statement, into=into)
        no_classes: list[Any] = [User(Id(1), "Ada"), "User", [User], dict[str, int]]
        for what in no_classes:
            with pytest.raises(errors.ArgumentError, match="into= takes a class, not "):
                await connection.execute(statement, into=what)
        with pytest.raises(errors.ArgumentError, match="give into=, too"):
            await connection.execute(statement, lax=True)
        with pytest.raises(errors.ArgumentError, match="lax"):
            await connection.execute(statement, into=User, lax=1)  # type: ignore[call-overload]
        with pytest.raises(errors.ArgumentError, match="give into=, too"):
            async with connection.stream(statement, lax=True):
                pass


async def test_what_a_constructor_raises_comes_out_as_it_is(engine_async: AsyncEngine) -> None:
    @dataclass
    class Odd:
        id: object
        name: object

        def __post_init__(self) -> None:
            if self.id == 2:
                raise LookupError(self.name)

    async with engine_async.connect() as connection:
        result = await connection.execute(USERS, into=Odd)
        with pytest.raises(LookupError, match="Bob"):
            result.all()
        assert await connection.scalar("SELECT 1") == 1


async def test_a_type_that_was_registered_is_read_by_its_own_function(
    engine_async: AsyncEngine,
) -> None:
    class Money:
        def __init__(self, cents: int) -> None:
            self.cents = cents

    Price = NamedTuple("Price", [("price", Money), ("name", str)])  # noqa: UP014 # Money is local
    statement = "SELECT 250 AS price, 'x' AS name"
    async with engine_async.connect() as connection:
        with pytest.raises(errors.MappingError, match=r"as Money: .*int; engine\.codecs\.register"):
            await connection.execute(statement, into=Price)
        engine_async.codecs.register(Money, lambda money: money.cents, Money)
        engine_async.codecs.register(str, None, str.upper)
        price = (await connection.execute(statement, into=Price)).one()
        assert (price.price.cents, price.name) == (250, "X")


async def test_rows_of_returning_become_objects_too(
    engine_async: AsyncEngine, table_name: str
) -> None:
    async with engine_async.begin() as connection:
        await connection.execute(f"CREATE TABLE {table_name} (id INTEGER, name VARCHAR(9))")
        insert = f"INSERT INTO {table_name} VALUES (:id, :name) RETURNING id, name"
        sets = [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bob"}]
        if "returning" not in engine_async.dialect.capabilities:
            with pytest.raises(errors.NotSupportedError, match="RETURNING"):
                await connection.execute(insert, sets, into=User)
            return
        found = await connection.execute(insert, sets, into=User)
        assert found.all() == [User(Id(1), "Ada"), User(Id(2), "Bob")]


async def test_a_statement_without_rows_has_none_to_map(
    engine_async: AsyncEngine, table_name: str
) -> None:
    async with engine_async.begin() as connection:
        create: Any = f"CREATE TABLE {table_name} (id INTEGER)"
        result = await connection.execute(create, into=User)
        assert not result.returns_rows
        with pytest.raises(errors.ResultError, match="no rows"):
            result.all()
