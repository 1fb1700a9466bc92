"""A dialect from outside the tree, installed as a wheel: it works without a change to plainsql."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.packaging.conftest import OUTSIDE

if TYPE_CHECKING:
    from tests.packaging.conftest import Environment

pytestmark = pytest.mark.slow

SYNC = """
import plainsql
from plainsql import Session, create_engine

print(plainsql.__file__)
engine = create_engine("demo:///sync.db")
with Session(engine) as session:
    session.execute("CREATE TABLE t (x INT PRIMARY KEY)")
    session.execute("INSERT INTO t VALUES (:x)", [{"x": n} for n in range(25)])
    session.commit()
    session.execute("DELETE FROM t")
with engine.connect() as connection:
    print(connection.scalar("SELECT count(*) FROM t WHERE x IN :xs", {"xs": [1, 2, 99]}))
    try:
        connection.execute("INSERT INTO t VALUES (:x)", {"x": 1})
    except plainsql.IntegrityError as exc:
        print(type(exc).__name__, exc.code)
    connection.rollback()
    with connection.stream("SELECT x FROM t ORDER BY x", batch=10) as stream:
        print(*(row.x for row in stream))
engine.dispose()
"""
ASYNC = """
import asyncio
import plainsql
from plainsql.aio import AsyncSession, create_async_engine

async def main():
    engine = create_async_engine("demo:///async.db")
    async with AsyncSession(engine) as session:
        await session.execute("CREATE TABLE t (x INT PRIMARY KEY)")
        await session.execute("INSERT INTO t VALUES (:x)", [{"x": n} for n in range(25)])
        await session.commit()
        await session.execute("DELETE FROM t")
    async with engine.connect() as connection:
        print(await connection.scalar("SELECT count(*) FROM t WHERE x IN :xs", {"xs": [1, 2, 99]}))
        try:
            await connection.execute("INSERT INTO t VALUES (:x)", {"x": 1})
        except plainsql.IntegrityError as exc:
            print(type(exc).__name__, exc.code)
        await connection.rollback()
        async with connection.stream("SELECT x FROM t ORDER BY x", batch=10) as stream:
            print(*[row.x async for row in stream])
    await engine.dispose()

print(plainsql.__file__)
asyncio.run(main())
"""


@pytest.mark.parametrize("program", [SYNC, ASYNC], ids=["sync", "async"])
def test_it_executes_commits_fails_and_streams(beside: Environment, program: str) -> None:
    place, count, error, rows = beside.run("-c", program).splitlines()
    assert place.startswith(str(beside.path))
    assert (count, error) == ("2", "UniqueViolation 1555")
    assert rows.split() == [str(n) for n in range(25)]


def test_it_is_among_the_installed_dialects(beside: Environment) -> None:
    program = """
from plainsql import UnknownDialect, create_engine
for url in ("oracle://db/test", "demo+other:///x.db"):
    try:
        create_engine(url)
    except UnknownDialect as exc:
        print(exc)
"""
    installed = "is installed; installed: demo, mariadb, mysql, postgresql, sqlite"
    assert beside.run("-c", program).splitlines() == [
        f"no dialect 'oracle' {installed}",
        f"no dialect 'demo+other' {installed}; write 'demo'",
    ]


def test_it_passes_the_conformance_kit(beside: Environment) -> None:
    checks = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", OUTSIDE / "pyproject.toml")
    said = beside.run(*checks, OUTSIDE / "checks").splitlines()[-1]
    passed = re.fullmatch(r"(\d+) passed in .*", said)
    assert passed, said
    assert int(passed[1]) > 200


def test_it_stands_on_the_floors_that_are_made_for_it() -> None:
    text = (OUTSIDE / "plainsql_demo" / "__init__.py").read_text("utf-8")
    modules = set(re.findall(r"^\s*(?:from|import) (plainsql[\w.]*)", text, re.MULTILINE))
    assert modules == {
        f"plainsql{name}" for name in ("", ".dialect", ".driver", ".errors", ".rules", ".url")
    }
