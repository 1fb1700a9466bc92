"""plainsql's wheel: what is in it, and what it does where nothing else is installed."""

from __future__ import annotations

import sys
from configparser import ConfigParser
from email.parser import Parser
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from plainsql import registry
from tests.packaging.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.packaging.conftest import Environment

pytestmark = pytest.mark.slow

SOURCES = (ROOT / "src", ROOT / "dialects")


@pytest.fixture(scope="module")
def wheel(wheels: dict[str, Path]) -> dict[str, str]:
    """File → text."""
    with ZipFile(wheels["plainsql"]) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def metadata(wheel: dict[str, str], name: str) -> str:
    (text,) = (text for path, text in wheel.items() if path.endswith(f".dist-info/{name}"))
    return text


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(wheel: dict[str, str]) -> None:
    packages = {name for name in wheel if ".dist-info/" not in name}
    here = {
        path.relative_to(source).as_posix()
        for source in SOURCES
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packages == here


def test_every_package_of_the_wheel_is_typed(wheel: dict[str, str]) -> None:
    packages = {name.partition("/")[0] for name in wheel if ".dist-info/" not in name}
    assert packages == {"plainsql", "plainsql_sqlite", "plainsql_postgresql", "plainsql_mysql"}
    assert {f"{package}/py.typed" for package in packages} <= set(wheel)


def test_the_wheel_requires_nothing_but_by_an_extra(wheel: dict[str, str]) -> None:
    fields = Parser().parsestr(metadata(wheel, "METADATA"))
    required = fields.get_all("Requires-Dist") or []
    assert required
    assert all("; extra ==" in line for line in required)
    assert {"postgresql", "mysql"} <= set(fields.get_all("Provides-Extra") or [])


def test_the_wheel_names_its_dialects_and_its_licence(wheel: dict[str, str]) -> None:
    points = ConfigParser()
    points.read_string(metadata(wheel, "entry_points.txt"))
    assert dict(points[registry.GROUP]) == registry.FIRST_PARTY
    assert metadata(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text("utf-8")


# -- where nothing else is installed ------------------------------------------------------------


def test_import_loads_the_standard_library_only(alone: Environment) -> None:
    names = "print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = set(alone.run("-c", f"import sys, plainsql, plainsql.aio; {names}").split())
    bare = set(alone.run("-c", f"import sys; {names}").split())  # a system's sitecustomize, too
    assert loaded - bare - set(sys.stdlib_module_names) == {"plainsql"}


def test_sqlite_works_sync_and_async(alone: Environment) -> None:
    program = """
import asyncio
from plainsql import create_engine
from plainsql.aio import create_async_engine

with create_engine("sqlite://").connect() as connection:
    print(connection.scalar("SELECT :a + 1", {"a": 1}))

async def main():
    engine = create_async_engine("sqlite://")
    async with engine.connect() as connection:
        print(await connection.scalar("SELECT :a + 1", {"a": 2}))
    await engine.dispose()

asyncio.run(main())
"""
    assert alone.run("-c", program).split() == ["2", "3"]


REFUSAL = """
import sys
from plainsql import UnknownDialect, create_engine
from plainsql.aio import create_async_engine

for create in (create_engine, create_async_engine):
    try:
        create(sys.argv[1])
    except UnknownDialect as exc:
        print(exc)
"""


INSTALLED = "is installed; installed: mariadb, mysql, postgresql, sqlite"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param(
            "postgresql://db/test",
            "the driver 'psycopg' for 'postgresql' is not installed; install plainsql[postgresql]",
            id="PostgreSQL's driver",
        ),
        pytest.param(
            "mysql://db/test",
            "the driver 'pymysql' for 'mysql' is not installed; install plainsql[mysql]",
            id="MySQL's driver",
        ),
        pytest.param(
            "mariadb+pymysql://db/test",
            "the driver 'pymysql' for 'mariadb' is not installed; install plainsql[mysql]",
            id="MariaDB's driver",
        ),
        pytest.param(
            "postgres://db/test",
            "unknown dialect 'postgres': write 'postgresql'",
            id="a misspelt dialect",
        ),
        pytest.param("oracle://db/test", f"no dialect 'oracle' {INSTALLED}", id="a dialect"),
        pytest.param(
            "postgresql+pg8000://db/test",
            f"no dialect 'postgresql+pg8000' {INSTALLED}; write 'postgresql'",
            id="another driver",
        ),
    ],
)
def test_what_is_missing_is_named(alone: Environment, url: str, message: str) -> None:
    assert alone.run("-c", REFUSAL, url).splitlines() == [message, message]


def test_every_module_but_the_conformance_kit_imports(alone: Environment) -> None:
    program = """
import importlib, pkgutil, plainsql
for module in pkgutil.walk_packages(plainsql.__path__, "plainsql."):
    if not module.name.startswith("plainsql.testing."):
        importlib.import_module(module.name)
        print(module.name)
"""
    imported = set(alone.run("-c", program).split())
    assert {"plainsql.testing", "plainsql.registry", "plainsql._async.pool"} <= imported
