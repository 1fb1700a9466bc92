"""The fixtures that the other tests stand on, on the real databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import servers
from tests.servers import Server, Unusable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import RawConnection


def test_a_url_leads_to_a_marked_or_fresh_database(url: str, database_kind: str) -> None:
    assert servers.kind_of(url) == database_kind
    assert database_kind == "sqlite" or servers.is_marked(url)


@pytest.mark.only_on(
    "postgresql", "mysql", "mariadb", reason="a test on SQLite has a file of its own"
)
def test_tables_and_views_of_a_test_are_dropped_after_it(
    url: str, raw_connect: Callable[[], RawConnection], table_prefix: str
) -> None:
    cursor = raw_connect().cursor()
    a, b, v = (f"{table_prefix}{name}" for name in "abv")
    cursor.execute(f"CREATE TABLE {a} (id int PRIMARY KEY)")
    cursor.execute(f"CREATE TABLE {b} (a int, FOREIGN KEY (a) REFERENCES {a} (id))")
    cursor.execute(f"CREATE VIEW {v} AS SELECT id FROM {a}")
    servers.drop_tables(url, table_prefix)
    for name in (a, b, v):
        with pytest.raises(servers.driver_errors(servers.kind_of(url))):
            cursor.execute(f"SELECT 1 FROM {name}")


@pytest.mark.only_on("mysql", "mariadb", reason="these two answer to each other's names")
def test_mysql_is_not_mariadb(server: Server) -> None:
    other = {"mysql": "mariadb", "mariadb": "mysql"}[server.kind]
    url = server.url.replace(server.kind, other, 1)
    with pytest.raises(Unusable, match=f"the {other} URL leads to a server of version"):
        servers.check_given(url, "--url")
