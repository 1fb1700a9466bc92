"""How MySQL and MariaDB are asked to stop what a stream left, and what else stands in the way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from pymysql import err
from pymysql.cursors import SSCursor

from plainsql import Disconnected
from plainsql.url import make_url
from plainsql_mysql import streaming
from tests.manyrows import rows

if TYPE_CHECKING:
    from plainsql import Engine

pytestmark = pytest.mark.only_on("mysql", "mariadb", reason="streams are stopped from beside")

MILLION = 6


def opened(engine: Engine, **connect_args: Any) -> Any:
    """A connection as the dialect opens it."""
    return engine.dialect.connect(engine.url, 10, {"ssl_disabled": True, **connect_args})


def answer(raw: Any, sql: str) -> Any:
    """The first value of the first row."""
    with raw.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]


def stream_one(engine: Engine, raw: Any, sql: str) -> Any:
    """A stream of which one row was read."""
    cursor = engine.dialect.stream_cursor(raw, 1000)
    cursor.execute(sql)
    assert cursor.fetchone() is not None
    return cursor


# -- the request to stop ------------------------------------------------------------------------


def test_a_request_that_comes_at_the_end_of_the_rows_hits_nothing_later(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no patience it is on its way while the rows end, now before and now after it."""
    monkeypatch.setattr(streaming, "PATIENCE", 0.0)
    raw = opened(engine)
    for n in range(120):
        cursor = stream_one(engine, raw, f"{rows(5)} LIMIT {2 + n * 400}")
        cursor.close()
        assert answer(raw, f"SELECT {n}") == n
    raw.close()


def test_what_ends_by_itself_at_once_opens_no_other_connection(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "PATIENCE", 30.0)
    raw = opened(engine)
    raw.plainsql_open_another = None
    stream_one(engine, raw, rows(2)).close()
    assert answer(raw, "SELECT 7") == 7
    raw.close()


def test_what_can_not_be_stopped_is_cut_off(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> Any:
        raise err.OperationalError(1040, "Too many connections")

    monkeypatch.setattr(streaming, "LIMIT", 0.2)
    raw = opened(engine)
    raw.plainsql_open_another = refuse
    cursor = stream_one(engine, raw, rows(8))
    began = time.monotonic()
    with pytest.raises(err.OperationalError) as caught:
        cursor.close()
    assert time.monotonic() - began < 2
    assert (caught.value.args[0], raw.open) == (2013, False)


def test_a_request_of_which_nobody_knows_closes_the_connection(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may arrive at any time later."""

    def lose(another: Any, thread_id: int) -> None:
        raise err.OperationalError(2013, f"lost {another} on the way to {thread_id}")

    monkeypatch.setattr(streaming, "PATIENCE", 0.0)
    monkeypatch.setattr(streaming, "stop_by", lose)
    with engine.connect() as connection:
        stream = connection.stream(rows(MILLION))
        assert stream.fetchone() is not None
        with pytest.raises(Disconnected, match="may arrive later"):
            stream.close()
    with engine.connect() as connection:
        assert connection.scalar("SELECT 7") == 7


@pytest.mark.only_on("mariadb", reason="INSERT … RETURNING")
def test_what_a_stream_inserts_is_all_inserted(engine: Engine, table_name: str) -> None:
    """A request to stop would have the server take it back."""
    with engine.begin() as connection:
        connection.execute(f"CREATE TABLE {table_name} (x INT, s TEXT)")
    with engine.begin() as connection:
        sql = f"INSERT INTO {table_name} {rows(5)} RETURNING x"
        with connection.stream(sql, batch=10) as stream:
            assert stream.fetchone() is not None
    with engine.connect() as connection:
        assert connection.scalar(f"SELECT count(*) FROM {table_name}") == 10**5


# -- the session --------------------------------------------------------------------------------


def test_a_reset_runs_what_the_drivers_connect_runs(engine: Engine) -> None:
    told = {"init_command": "SET @begun = 7", "sql_mode": "ANSI_QUOTES", "charset": "latin1"}
    raw = opened(engine, **told)
    asked = "SELECT concat_ws(' ', @begun, @@sql_mode, @@character_set_client, @@autocommit)"
    before = answer(raw, asked)
    assert before.startswith("7 ANSI_QUOTES")
    raw.set_character_set("utf8mb4")
    raw.query("SET @begun = 8, sql_mode = ''")
    raw.autocommit(False)
    assert engine.dialect.reset(raw)
    assert raw.autocommit_mode is True
    assert (answer(raw, asked), raw.charset) == (before, "latin1")
    assert engine.dialect.lexical_rules(raw).strings == "'"
    raw.close()


def test_where_there_was_no_database_a_reset_can_not_lead_back(engine: Engine) -> None:
    url = make_url(engine.url.render_as_string(hide_password=False)).set(database="")
    raw = engine.dialect.connect(url, 10, {"ssl_disabled": True})
    assert engine.dialect.reset(raw)
    raw.query("USE information_schema")
    assert not engine.dialect.reset(raw)
    raw.close()


def test_a_reset_does_not_read_on_what_was_left(engine: Engine) -> None:
    raw = opened(engine)
    cursor = SSCursor(raw)
    cursor.execute(rows(MILLION))
    assert cursor.fetchone() is not None
    assert not engine.dialect.reset(raw)
    engine.dialect.abort(raw)
    engine.dialect.finish(raw)
