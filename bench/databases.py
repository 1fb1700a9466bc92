"""A database to measure on, its tables, and everybody's way into it.

Servers are found or started as for the tests (`tests.servers`); a table of 100 000 rows is made
in each, and dropped in the end.
"""

from __future__ import annotations

import re
import sqlite3
import sys
from contextlib import ExitStack
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

from plainsql import Session, create_engine, text
from tests.servers import connect, drop_tables, run, sqlite_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

PREFIX = "plainsql_bench_"
ROWS = f"{PREFIX}rows"
COPIES = f"{PREFIX}copies"
SINK = f"{PREFIX}sink"
COLUMNS = "id, name, ratio, made, active, price"
# The same for all on SQLite: no journal on the disk and no waiting for it, so that the library is
# seen and not the file system.
PRAGMAS = {"journal_mode": "memory", "synchronous": "off"}
SQLALCHEMY_DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}
KEYS = {
    "sqlite": "INTEGER PRIMARY KEY",
    "postgresql": "INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "mysql": "INTEGER AUTO_INCREMENT PRIMARY KEY",
    "mariadb": "INTEGER AUTO_INCREMENT PRIMARY KEY",
}


class Contender(NamedTuple):
    """A library that speaks SQLAlchemy's language."""

    name: str
    text: Callable[[str], Any]
    connect: Callable[[], AbstractContextManager[Any]]
    stream: Callable[[Any, Any], AbstractContextManager[Any]]
    begins: bool = True


class Bench:
    """One database; what a case opens here is closed with the case's `stack`."""

    def __init__(self, kind: str, url: str, size: int) -> None:
        self.kind = kind
        self.url = url
        self.size = size
        self.by_cursor = kind in {"mysql", "mariadb"}
        self.stack = ExitStack()
        self._engines = ExitStack()
        self.contenders = [*self._plainsql(), *self._sqlalchemy()]

    def enter(self, resource: AbstractContextManager[Any]) -> Any:
        """Open something for as long as the case lasts."""
        return self.stack.enter_context(resource)

    def hold(self, contender: Contender) -> Any:
        """Give a connection (or session) of the contender, in a transaction on every database."""
        connection = self.enter(contender.connect())
        if not contender.begins:
            connection.execute(contender.text("BEGIN"))
        return connection

    def raw(self) -> Any:
        """Give a connection of the driver as it comes, closed with the case."""
        connection = self._connect()
        self.stack.callback(connection.close)
        return connection

    def hold_raw(self) -> Any:
        """Give a raw connection that is in a transaction, as the other contenders' are."""
        connection = self.raw()
        if self.kind == "sqlite":
            connection.execute("BEGIN")
        return connection

    def native(self, sql: str) -> str:
        """Give the SQL with the driver's own placeholders; names must stand in order."""
        return re.sub(r":\w+", "?" if self.kind == "sqlite" else "%s", sql)

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements aside."""
        return run(self.url, *statements)

    def _connect(self) -> Any:
        if self.kind == "sqlite":
            raw = sqlite3.connect(sqlite_path(self.url))
            for name, value in PRAGMAS.items():
                raw.execute(f"PRAGMA {name} = {value}")
            return raw
        connection: Any = connect(self.url, plain=False)  # TLS where the others have it
        if self.by_cursor:
            connection.autocommit(False)
        else:
            connection.autocommit = False
        return connection

    # -- tables --------------------------------------------------------------------------------

    def create(self) -> None:
        """Make the tables anew."""
        self.drop()
        stamp = "DATETIME" if self.by_cursor else "TIMESTAMP"
        columns = (
            f"name VARCHAR(40), ratio DOUBLE PRECISION, made {stamp}, active BOOLEAN, "
            "price DECIMAL(10, 2)"
        )
        self.run(
            f"CREATE TABLE {ROWS} (id INTEGER PRIMARY KEY, {columns})",
            f"CREATE TABLE {SINK} (id {KEYS[self.kind]}, {columns})",
            f"CREATE TABLE {COPIES} (copy INTEGER PRIMARY KEY)",
        )
        self._fill()

    def _fill(self) -> None:
        connection = self._connect()
        cursor = connection.cursor()
        names = self.native(":id, :name, :ratio, :made, :active, :price")
        cursor.executemany(f"INSERT INTO {ROWS} VALUES ({names})", list(rows(self.kind, self.size)))
        cursor.executemany(
            f"INSERT INTO {COPIES} VALUES ({self.native(':copy')})", [(n,) for n in range(10)]
        )
        connection.commit()
        connection.close()
        if self.kind == "postgresql":
            self.run(f"VACUUM ANALYZE {ROWS}")
        elif self.by_cursor:
            self.run(f"ANALYZE TABLE {ROWS}")

    def drop(self) -> None:
        """Drop the tables."""
        drop_tables(self.url, PREFIX)

    def close(self) -> None:
        """Dispose of the engines."""
        self._engines.close()

    # -- contenders ----------------------------------------------------------------------------

    def _plainsql(self) -> list[Contender]:
        options = "&".join(f"{name}={value}" for name, value in PRAGMAS.items())
        engine = create_engine(f"{self.url}?{options}" if self.kind == "sqlite" else self.url)
        self._engines.callback(engine.dispose)
        self.engine = engine

        def stream(connection: Any, statement: Any) -> Any:
            return connection.stream(statement)

        return [
            Contender("plainsql", text, engine.connect, stream),
            Contender("plainsql Session", text, lambda: Session(engine), stream),
        ]

    def _sqlalchemy(self) -> list[Contender]:
        if not has_sqlalchemy():
            return []
        from sqlalchemy import create_engine, event, text
        from sqlalchemy.orm import Session

        driver = SQLALCHEMY_DRIVERS.get(self.kind)
        url = self.url.replace("://", f"+{driver}://", 1) if driver else self.url
        engine = create_engine(url)
        self._engines.callback(engine.dispose)
        if self.kind == "sqlite":
            event.listen(engine, "connect", _set_pragmas)

        def stream(connection: Any, statement: Any) -> Any:
            return connection.execute(statement, execution_options={"yield_per": 1000})

        begins = self.kind != "sqlite"
        return [
            Contender("SQLAlchemy Core", text, engine.connect, stream, begins),
            Contender("SQLAlchemy Session", text, lambda: Session(engine), stream, begins),
        ]


def _set_pragmas(connection: Any, _: Any) -> None:
    for name, value in PRAGMAS.items():
        connection.execute(f"PRAGMA {name} = {value}")


def has_sqlalchemy() -> bool:
    """Whether SQLAlchemy is here to be measured."""
    return find_spec("sqlalchemy") is not None


def say(line: str) -> None:
    """Tell of the progress, beside the table."""
    print(line, file=sys.stderr, flush=True)


def rows(kind: str, size: int) -> Iterator[tuple[Any, ...]]:
    """An int, a text, a float, a timestamp, a bool and a decimal each, as the driver takes them."""
    start = datetime(2024, 1, 1, 12, 30, 15)  # noqa: DTZ001 - the columns have no zone
    for number in range(1, size + 1):
        made: Any = start + timedelta(minutes=number)
        price: Any = Decimal(number).scaleb(-2)
        if kind == "sqlite":
            made, price = made.isoformat(" "), str(price)
        yield number, f"name of {number}", number / 7, made, number % 2 == 0, price
