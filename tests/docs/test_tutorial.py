"""The program of `make demo`: the same on every database, and careful with what is not its own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import servers
from tests.docs.examples import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

TUTORIAL = ROOT / "examples" / "tutorial.py"
TABLES = ("some_table", "tutorial_zone", "tutorial_country", "plainsql_tutorial")

SEED = """\
BEGIN (implicit)
SELECT x, y FROM some_table WHERE y > {mark} ORDER BY x, y
[...] (6,)
x: 6  y: 8
x: 9  y: 10
x: 11  y: 12
x: 13  y: 14
ROLLBACK
"""
UPDATE = """\
BEGIN (implicit)
UPDATE some_table SET y={mark} WHERE x={mark}
[...] [(11, 9), (15, 13)]
COMMIT
"""


def run(url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(TUTORIAL), *([url] if url else [])]
    return subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8")


def there(url: str) -> list[str]:
    """Which of the tutorial's tables are in the database."""
    found = []
    for table in TABLES:
        try:
            servers.run(url, f"SELECT 1 FROM {table}")
        except servers.driver_errors(servers.kind_of(url)):
            continue
        found.append(table)
    return found


@pytest.fixture
def no_tables(url: str) -> Iterator[None]:
    yield
    for table in TABLES:
        servers.run(url, f"DROP TABLE IF EXISTS {table}")


@pytest.mark.usefixtures("no_tables")
def test_the_tutorial_shows_the_seed_and_answers_three_questions(url: str) -> None:
    done = run(url)
    mark = "?" if url.startswith("sqlite") else "%s"
    assert (done.returncode, done.stderr) == (0, "")
    assert SEED.format(mark=mark) in done.stdout
    assert UPDATE.format(mark=mark) in done.stdout
    assert "Germany, Denmark, Norway, Sweden" in done.stdout
    assert "United States" in done.stdout
    assert "NZ  Pacific/Auckland" in done.stdout
    assert done.stdout.count("BEGIN") <= 4, "the echo log is for the seed only"
    assert there(url) == []


@pytest.mark.usefixtures("no_tables")
@pytest.mark.parametrize("table", ["some_table", "tutorial_zone"])
def test_a_table_that_is_not_the_tutorials_stays_as_it_is(url: str, table: str) -> None:
    servers.run(url, f"CREATE TABLE {table} (precious INT)", f"INSERT INTO {table} VALUES (7)")
    done = run(url)
    assert done.returncode == 1
    assert f"nothing was touched: {table} exists" in done.stderr
    assert servers.run(url, f"SELECT precious FROM {table}") == [(7,)]
    assert there(url) == [table]


@pytest.mark.usefixtures("no_tables")
def test_what_an_interrupted_tutorial_left_is_replaced(url: str) -> None:
    servers.run(url, "CREATE TABLE plainsql_tutorial (note INT)", "CREATE TABLE some_table (z INT)")
    assert run(url).returncode == 0
    assert there(url) == []


def test_the_tutorial_runs_without_arguments() -> None:
    done = run("")
    assert (done.returncode, done.stderr) == (0, "")
    assert SEED.format(mark="?") in done.stdout


def test_a_url_that_can_not_be_used_is_one_line() -> None:
    done = run("oracle://scott:tiger@localhost/x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("UnknownDialect: no dialect 'oracle'")
    assert "tiger" not in done.stderr
