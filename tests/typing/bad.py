# pyright: strict
"""What pyright must refuse: each line that ends in `# error`, and no other; never run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plainsql import text, unsafe_text

if TYPE_CHECKING:
    from plainsql import Connection, Session
    from plainsql.aio import AsyncConnection, AsyncSession


@dataclass
class Song:
    id: int
    name: str


def injected(connection: Connection, session: Session, name: str, number: int) -> None:
    connection.execute(f"SELECT * FROM song WHERE name = '{name}'")  # error
    connection.execute("SELECT * FROM song WHERE name = '%s'" % name)  # noqa: UP031 # error
    connection.execute("SELECT * FROM song WHERE name = '{}'".format(name))  # noqa: UP032 # error
    connection.execute("SELECT * FROM song WHERE name = '" + name + "'")  # error
    connection.execute(f"SELECT * FROM song LIMIT {number}")  # error
    connection.scalar(f"SELECT {name}")  # error
    connection.scalars(f"SELECT {name}")  # error
    connection.stream(f"SELECT {name}")  # error
    connection.exec_driver_sql(f"SELECT {name}")  # error
    connection.execute_script(name)  # error
    session.execute(name)  # error
    session.scalar(name)  # error
    session.stream(name)  # error
    session.execute_script(name)  # error
    text(f"SELECT {name}")  # error
    text(name)  # error
    unsafe_text(f"SELECT {name}")


async def awaited(connection: AsyncConnection, session: AsyncSession, name: str) -> None:
    await connection.execute(f"SELECT {name}")  # error
    await session.execute(f"SELECT {name}")  # error
    connection.stream(f"SELECT {name}")  # error


def misused(connection: Connection) -> None:
    connection.execute("SELECT 1", into=Song(1, "x"))  # error
    connection.execute("SELECT 1", into="Song")  # error
    connection.execute("SELECT 1", 7)  # error
    one: str = connection.execute("SELECT 1", into=Song).one()  # error
    connection.execute("SELECT 1", into=Song).one().title()  # error
    text("SELECT :x", x=7)  # error
    print(one)
