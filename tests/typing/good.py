# pyright: strict
"""What type checkers must accept, and the types that they must see; never run.

pyright in strict mode reads it for `tests/unit/test_static_guard.py`, mypy for `make check`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, assert_type

import attrs
import msgspec
import pydantic

from plainsql import (
    Connection,
    Engine,
    Result,
    Session,
    Stream,
    TextClause,
    Zoned,
    bindparam,
    create_engine,
    text,
    unsafe_text,
)
from plainsql.aio import AsyncStream

if TYPE_CHECKING:
    from plainsql.aio import AsyncConnection, AsyncSession

TABLE = "song"
BY_YEAR = "SELECT id, name FROM " + TABLE + " WHERE year = :year"


@dataclass
class Song:
    id: int
    name: str


class Pair(NamedTuple):
    id: int
    name: str


class Doc(TypedDict):
    id: int
    name: str


@attrs.define
class AttrsSong:
    id: int
    name: str


class Model(pydantic.BaseModel):
    id: int
    name: str


class Struct(msgspec.Struct):
    id: int
    name: str


def objects(connection: Connection, session: Session) -> None:
    found = connection.execute(BY_YEAR, {"year": 1969}, into=Song)
    assert_type(found, Result[Song])
    assert_type(found.one(), Song)
    assert_type(found.first(), Song | None)
    assert_type(found.all(), list[Song])
    for song in found:
        assert_type(song.name, str)
    assert_type(session.execute(BY_YEAR, into=Pair, lax=True).one(), Pair)
    assert_type(session.execute(BY_YEAR, into=Doc).fetchmany(9), list[Doc])
    assert_type(connection.execute(BY_YEAR, into=AttrsSong).one_or_none(), AttrsSong | None)
    assert_type(connection.execute(text(BY_YEAR), into=Model).one(), Model)
    assert_type(connection.execute(text(BY_YEAR), into=Struct).fetchone(), Struct | None)
    with connection.stream(BY_YEAR, into=Song) as stream:
        assert_type(stream, Stream[Song])
        assert_type(stream.fetchmany(), list[Song])


async def awaited(connection: AsyncConnection, session: AsyncSession) -> None:
    assert_type((await connection.execute(BY_YEAR, into=Song)).one(), Song)
    assert_type((await session.execute(BY_YEAR, into=Doc)).all(), list[Doc])
    async with session.stream(BY_YEAR, into=Song) as stream:
        assert_type(stream, AsyncStream[Song])
        assert_type(await stream.one(), Song)


def rows(connection: Connection) -> None:
    assert_type(connection.execute("SELECT 1"), Result[Any])
    assert_type(connection.execute("SELECT 1").mappings().one()["x"], Any)
    assert_type(connection.execute("SELECT 1").keys().isdisjoint("x"), bool)
    connection.execute("INSERT INTO t VALUES (:x)", [{"x": 1}, {"x": 2}])
    connection.execute("INSERT INTO t VALUES (:x)", ({"x": x} for x in range(9)))


def texts(connection: Connection, engine: Engine, column: str) -> None:
    statement = text("SELECT :x, :at", x=int, at=Zoned(UTC))
    assert_type(statement, TextClause)
    connection.execute(statement.bindparams(bindparam("x", type_=int)).columns(x=int))
    connection.execute(unsafe_text(f"SELECT {engine.quote(column)} FROM t"))
    connection.execute_script("CREATE TABLE a (x int); CREATE TABLE b (x int)")
    connection.execute_script(unsafe_text(Path("schema.sql").read_text()))
    create_engine("sqlite://").dispose()
