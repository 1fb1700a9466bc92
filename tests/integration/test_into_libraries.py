"""`into=` with the classes of attrs, pydantic and msgspec, on every database."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest
import typing_extensions

from plainsql import Json, bindparam, errors, text

if TYPE_CHECKING:
    from plainsql import Connection, Engine


def _double(value: int | str) -> int:
    return int(value) * 2


@attrs.define
class AttrsParcel:
    id: UUID
    _weight: Decimal
    day: date | None
    labels: dict[str, Any]
    note: str = attrs.field(default="", kw_only=True)
    doubled: int = attrs.field(default=0, converter=_double)


class PydanticParcel(pydantic.BaseModel):
    id: UUID
    weight: Decimal
    day: date | None
    labels: dict[str, Any]
    note: str = ""
    doubled: int = 0


@pydantic.dataclasses.dataclass
class PydanticDataclass:
    id: UUID
    weight: Decimal
    day: date | None
    labels: dict[str, Any]
    note: str = ""
    doubled: int = 0


class MsgspecParcel(msgspec.Struct):
    id: UUID
    weight: Decimal
    day: date | None
    labels: dict[str, Any]
    note: str = ""
    doubled: int = 0


class Extended(typing_extensions.TypedDict):
    id: UUID
    weight: typing_extensions.ReadOnly[Decimal]
    day: date | None
    labels: typing_extensions.Required[dict[str, Any]]
    note: typing_extensions.NotRequired[str]
    doubled: typing_extensions.NotRequired[int]


PARCELS: list[type[Any]] = [
    AttrsParcel,
    PydanticParcel,
    PydanticDataclass,
    MsgspecParcel,
    Extended,
]
FULL = text(
    "SELECT :labels AS labels, :id AS id, '1.50' AS weight, '2024-02-29' AS day, "
    "'n' AS note, 21 AS doubled"
).bindparams(bindparam("labels", type_=Json))
VALUES = {"id": str(UUID(int=7)), "labels": {"a": [1]}}


def _one(connection: Connection, statement: Any, into: type[Any], **options: Any) -> Any:
    return connection.execute(statement, VALUES, into=into, **options).one()


@pytest.mark.parametrize("into", PARCELS)
def test_an_object_is_made_with_fields_of_their_types(engine: Engine, into: type[Any]) -> None:
    expected = into(
        id=UUID(int=7),
        weight=Decimal("1.50"),
        day=date(2024, 2, 29),
        labels={"a": [1]},
        note="n",
        doubled=21,
    )
    with engine.connect() as connection:
        found = _one(connection, FULL, into)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("into", PARCELS)
def test_strict_lists_what_does_not_fit_and_lax_leaves_it_out(
    engine: Engine, into: type[Any]
) -> None:
    told = "missing: 'weight', 'day'(, '(note|doubled)' .*)?; surplus: 'x'; the result has "
    few = text("SELECT :id AS id, :labels AS labels, 1 AS x").bindparams(
        bindparam("labels", type_=Json)
    )
    enough = text(
        "SELECT :id AS id, :labels AS labels, '1' AS weight, '2024-02-29' AS day, 1 AS x"
    ).bindparams(bindparam("labels", type_=Json))
    with engine.connect() as connection:
        with pytest.raises(errors.MappingError, match=told):
            _one(connection, few, into)
        with pytest.raises(errors.MappingError, match="missing: 'weight', 'day'; the result"):
            _one(connection, few, into, lax=True)
        assert _one(connection, enough, into, lax=True) == into(
            id=UUID(int=7), weight=Decimal(1), day=date(2024, 2, 29), labels={"a": [1]}
        )


def test_a_model_of_pydantic_judges_the_values_itself(engine: Engine) -> None:
    class Positive(pydantic.BaseModel):
        x: pydantic.PositiveInt
        y: str | None

    with engine.connect() as connection:
        assert connection.execute("SELECT '7' AS x, NULL AS y", into=Positive).one().x == 7
        with pytest.raises(pydantic.ValidationError, match="greater than 0"):
            connection.execute("SELECT -1 AS x, NULL AS y", into=Positive).one()
        with pytest.raises(pydantic.ValidationError, match="valid integer"):
            connection.execute("SELECT NULL AS x, NULL AS y", into=Positive).one()


def test_a_model_of_pydantic_is_filled_by_alias_or_where_it_says_so_by_name(
    engine: Engine,
) -> None:
    class ByAlias(pydantic.BaseModel):
        user_name: str = pydantic.Field(alias="userName")

    class ByName(ByAlias):
        model_config = pydantic.ConfigDict(populate_by_name=True)

    class Open(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")
        x: int

    with engine.connect() as connection:
        quoted = engine.dialect.quote("userName")
        by_alias: Any = f"SELECT 'Ada' AS {quoted}"
        assert connection.execute(by_alias, into=ByAlias).one().user_name == "Ada"
        assert connection.execute("SELECT 'Ada' AS user_name", into=ByName).one().user_name == "Ada"
        with pytest.raises(errors.MappingError, match="missing: 'userName'; surplus: 'user_name'"):
            connection.execute("SELECT 'Ada' AS user_name", into=ByAlias)
        more = connection.execute("SELECT 1 AS x, 2 AS y", into=Open).one()
        assert (more.x, more.model_extra) == (1, {"y": 2})
