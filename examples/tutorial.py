"""The tutorial: one program for every database, chosen by the URL.

    python examples/tutorial.py [URL]        default: sqlite://, in memory

First the seed, with its echo log; then the countries and time zones of the tzdata package, loaded
into two tables and asked three questions.  The tables are dropped at the end; a table of the same
name that is not the tutorial's is never touched.
"""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from importlib import resources
from typing import TYPE_CHECKING

from plainsql import Error, Session, UndefinedTable, create_engine, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plainsql import Engine

#: This table says that the tables below are the tutorial's; it comes first and goes last.
MARK = "plainsql_tutorial"
TABLES = ("some_table", "tutorial_zone", "tutorial_country")
ECHO = logging.getLogger("plainsql.engine")


def main(url: str) -> None:
    engine = create_engine(url, echo=True)
    ECHO.setLevel(logging.WARNING)
    print(f"== {engine.url} ({engine.name}, driver {engine.driver})")
    try:
        with room_for_tables(engine):
            with echo():
                seed(engine)
            load(engine)
            ask(engine)
    finally:
        engine.dispose()


# -- the seed -----------------------------------------------------------------------------------


def seed(engine: Engine) -> None:
    print("\n-- a table")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE some_table (x INT, y INT)"))
        connection.execute(
            text("INSERT INTO some_table (x, y) VALUES (:x, :y)"),
            [{"x": 6, "y": 8}, {"x": 9, "y": 10}, {"x": 11, "y": 12}, {"x": 13, "y": 14}],
        )

    print("\n-- a query with a parameter")
    stmt = text("SELECT x, y FROM some_table WHERE y > :y ORDER BY x, y")
    with Session(engine) as session:
        result = session.execute(stmt, {"y": 6})
        for row in result:
            print(f"x: {row.x}  y: {row.y}")

    print("\n-- an update with a list of parameter sets, and a commit")
    with Session(engine) as session:
        result = session.execute(
            text("UPDATE some_table SET y=:y WHERE x=:x"),
            [{"x": 9, "y": 11}, {"x": 13, "y": 15}],
        )
        session.commit()


# -- real data ----------------------------------------------------------------------------------


def load(engine: Engine) -> None:
    """Make two tables and fill them in one transaction."""
    countries = [{"code": code, "name": name} for code, name in lines("iso3166.tab")]
    zones = [
        {"country": code, "name": name, "place": place}
        for codes, _coordinates, name, *_comment in lines("zone1970.tab")
        for place, code in enumerate(codes.split(","), 1)
    ]
    with engine.begin() as connection:
        connection.execute(
            "CREATE TABLE tutorial_country (code VARCHAR(2) PRIMARY KEY, name VARCHAR(80) NOT NULL)"
        )
        connection.execute(
            """
            CREATE TABLE tutorial_zone (
                country VARCHAR(2) NOT NULL,
                name VARCHAR(64) NOT NULL,
                place INT NOT NULL,
                PRIMARY KEY (country, name),
                FOREIGN KEY (country) REFERENCES tutorial_country (code)
            )
            """
        )
        connection.execute("INSERT INTO tutorial_country VALUES (:code, :name)", countries)
        connection.execute("INSERT INTO tutorial_zone VALUES (:country, :name, :place)", zones)
    print(f"\n== {len(countries)} countries and {len(zones)} of their time zones are loaded")


def lines(name: str) -> Iterator[list[str]]:
    """Yield the fields of each line of a table that tzdata ships."""
    try:
        table = resources.files("tzdata.zoneinfo").joinpath(name)
    except ModuleNotFoundError:
        sys.exit("the tutorial reads the package tzdata's tables: pip install 'plainsql[demo]'")
    for line in table.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            yield line.split("\t")


def ask(engine: Engine) -> None:
    with Session(engine) as session:
        print("\n-- a join: which countries keep the time of Berlin?")
        keepers = session.scalars(
            """
            SELECT c.name
            FROM tutorial_zone z JOIN tutorial_country c ON c.code = z.country
            WHERE z.name = :zone
            ORDER BY z.place
            """,
            {"zone": "Europe/Berlin"},
        )
        print(", ".join(keepers))

        print("\n-- an aggregate: which countries have eight time zones or more?")
        for row in session.execute(
            """
            SELECT c.name AS country, count(*) AS zones
            FROM tutorial_zone z JOIN tutorial_country c ON c.code = z.country
            GROUP BY c.name
            HAVING count(*) >= :least
            ORDER BY zones DESC, country
            """,
            {"least": 8},
        ):
            print(f"{row.zones:3}  {row.country}")

        print("\n-- a list: which zones have New Zealand, Portugal and Spain?")
        for row in session.execute(
            """
            SELECT country, name FROM tutorial_zone
            WHERE country IN :codes
            ORDER BY country, name
            """,
            {"codes": ["NZ", "PT", "ES"]},
        ):
            print(f"{row.country}  {row.name}")


# -- housekeeping -------------------------------------------------------------------------------


@contextmanager
def echo() -> Iterator[None]:
    """Show what is sent: the echo log is an ordinary logger."""
    ECHO.setLevel(logging.INFO)
    try:
        yield
    finally:
        ECHO.setLevel(logging.WARNING)


@contextmanager
def room_for_tables(engine: Engine) -> Iterator[None]:
    """Drop what an interrupted run left, and at the end what this one made; nothing else, ever."""
    if exists(engine, MARK):
        drop(engine, TABLES)
    else:
        taken = [name for name in TABLES if exists(engine, name)]
        if taken:
            sys.exit(
                f"nothing was touched: {', '.join(taken)} exists in this database and is not the "
                "tutorial's; rename it, or give the URL of another database"
            )
        with engine.begin() as connection:
            connection.execute(f"CREATE TABLE {MARK} (note VARCHAR(80))")
    try:
        yield
    finally:
        drop(engine, (*TABLES, MARK))


def exists(engine: Engine, table: str) -> bool:
    try:
        with engine.connect() as connection:
            connection.execute(f"SELECT 1 FROM {table} WHERE 1 = 0")
    except UndefinedTable:
        return False
    return True


def drop(engine: Engine, tables: tuple[str, ...]) -> None:
    for table in tables:
        with engine.begin() as connection:
            connection.execute(f"DROP TABLE IF EXISTS {table}")


if __name__ == "__main__":
    if len(sys.argv) > 2 or sys.argv[1:] in (["-h"], ["--help"]):
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:] or ["sqlite://"])
    except Error as exc:
        sys.exit(f"{type(exc).__name__}: {exc}")
