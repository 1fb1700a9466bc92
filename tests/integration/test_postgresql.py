"""What exists on PostgreSQL only: casts, arrays, prepared statements, search_path, COPY."""

from __future__ import annotations

import logging
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from plainsql import (
    DataError,
    ForeignKeyViolation,
    ProgrammingError,
    TransactionAborted,
    TransactionStateError,
    bindparam,
    create_engine,
    text,
)
from plainsql.aio import create_async_engine
from tests.integration.unix_socket import unix_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plainsql import Connection, Engine
    from plainsql.aio import AsyncEngine

pytestmark = pytest.mark.only_on("postgresql", reason="its types, its plans, its settings")


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A connection; rolled back and closed at the end."""
    with engine.connect() as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def make(url: str) -> Iterator[Callable[..., Engine]]:
    """Makes engines on the database with these options of the URL."""
    engines: list[Engine] = []

    def make(query: str = "", **options: Any) -> Engine:
        engines.append(create_engine(f"{url}?{query}" if query else url, **options))
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()


# -- lists --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "members"),
    [
        ("uuid", str(UUID(int=7)), [UUID(int=7)]),
        ("uuid", str(UUID(int=7)), [str(UUID(int=7)), None]),
        ("text", "a", ["a", "b"]),
        ("varchar(9)", "a", ["a", "b"]),
        ("mood", "glad", ["glad", "sad"]),
        ("date", "2024-02-29", [date(2024, 2, 29), None]),
        ("date", "2024-02-29", ["2024-02-29"]),
        ("smallint", "7", [7, 1 << 40]),
        ("numeric", "0.5", [Decimal("0.5"), Decimal(2)]),
        ("float8", "0.5", [0.5, 2.0]),
        ("interval", "1 day", [timedelta(days=1)]),
        ("boolean", "true", [True, None]),
        ("bytea", "a", [b"a", b"\\"]),
    ],
    ids=str,
)
def test_the_column_gives_the_members_of_a_list_their_type(
    connection: Connection, kind: str, value: str, members: list[Any]
) -> None:
    connection.execute("CREATE TYPE pg_temp.mood AS ENUM ('sad', 'glad')")
    connection.execute("SET LOCAL search_path TO pg_temp, public")
    connection.execute(f"CREATE TABLE pg_temp.t (c {kind}, n int)")
    connection.execute(f"INSERT INTO pg_temp.t VALUES ('{value}', 1), (NULL, 2)")
    sql = "SELECT n FROM pg_temp.t WHERE c"
    assert connection.scalars(f"{sql} IN :members", {"members": members}).all() == [1]
    assert connection.scalars(f"{sql} NOT IN :members", {"members": members}).all() == []
    assert connection.scalars(f"{sql} IN :members", {"members": []}).all() == []
    assert connection.scalars(f"{sql} NOT IN :members", {"members": []}).all() == [1, 2]
    rows = [(member, 1) for member in members]
    sql = "SELECT n FROM pg_temp.t WHERE (c, n)"
    assert connection.scalars(f"{sql} IN :rows", {"rows": rows}).all() == [1]
    assert connection.scalars(f"{sql} NOT IN :rows", {"rows": rows}).all() == [2]
    assert connection.scalars(f"{sql} NOT IN :rows", {"rows": []}).all() == [1, 2]


# -- casts and dollar quotes --------------------------------------------------------------------


def test_a_cast_stays_beside_its_parameter_in_each_set(
    connection: Connection, table_name: str
) -> None:
    connection.execute(f"CREATE TABLE {table_name} (d date, j jsonb)")
    connection.execute(
        f"INSERT INTO {table_name} VALUES (:d::date, :j::jsonb)",
        [{"d": "2024-02-29", "j": '{"a": 1}'}, {"d": None, "j": "[]"}],
    )
    rows = connection.execute(f"SELECT d, j FROM {table_name} ORDER BY d").all()
    assert rows == [(date(2024, 2, 29), {"a": 1}), (None, [])]


def test_the_body_of_a_function_is_text_and_its_call_takes_parameters(
    connection: Connection,
) -> None:
    connection.execute("""
        CREATE FUNCTION pg_temp.twice(n int) RETURNS text LANGUAGE plpgsql AS $body$
        DECLARE result int := n; -- it's :no parameter
        BEGIN
            result := result * 2;
            RETURN format($$%s:n$$, result);
        END $body$
    """)
    assert connection.scalar("SELECT pg_temp.twice(:n)", {"n": 21}) == "42:n"


def test_a_query_without_columns_has_rows_all_the_same(connection: Connection) -> None:
    result = connection.execute("SELECT FROM generate_series(1, 2)")
    assert result.keys() == ()
    assert result.all() == [(), ()]


# -- arrays and lists ---------------------------------------------------------------------------


def test_an_array_is_a_list_both_ways(connection: Connection) -> None:
    sql = "SELECT :a::int[] || 4, :b::text[], 2 = ANY(:a), cardinality(:none::int[])"
    given = {"a": [1, 2, 3], "b": ["x", "it's :b", None], "none": []}
    assert tuple(connection.execute(sql, given).one()) == ([1, 2, 3, 4], given["b"], True, 0)


class Colour(Enum):
    RED = "red"


LISTS: dict[str, tuple[str, list[Any], list[Any]]] = {
    "int": ("7", [7, 8], [8]),
    "int among big ones": ("7", [7, 2**40], [2**40]),
    "numeric": ("1.5", [Decimal("1.5")], [Decimal("1.6")]),
    "float": ("1.5::float8", [1.5, 2.5], [2.5]),
    "text": ("'it''s'::text", ["it's", "b"], ["its"]),
    "varchar": ("'a'::varchar(3)", ["a"], ["b"]),
    "enumeration": ("'red'::text", [Colour.RED], ["blue"]),
    "uuid": ("'00000000-0000-0000-0000-000000000001'::uuid", [UUID(int=1)], [UUID(int=2)]),
    "date": ("date '2024-02-29'", [date(2024, 2, 29)], [date(2024, 3, 1)]),
    "interval": ("interval '1 day'", [timedelta(1)], [timedelta(2)]),
    "bool": ("true", [True], [False]),
    "bytea": ("'\\x61'::bytea", [b"a"], [b"b"]),
}


@pytest.mark.parametrize(("value", "among", "others"), LISTS.values(), ids=LISTS)
def test_a_list_is_one_array_of_any_type(
    connection: Connection, value: str, among: list[Any], others: list[Any]
) -> None:
    sql = f"SELECT {value} IN :among, {value} NOT IN :among, {value} IN :others, {value} IN :none"
    row = connection.execute(sql, {"among": among, "others": others, "none": []}).one()
    assert tuple(row) == (True, False, False, False)


def test_null_in_a_list_means_what_it_means_in_sql(connection: Connection) -> None:
    sql = "SELECT 1 IN :ids, 2 IN :ids, 2 NOT IN :ids"
    assert tuple(connection.execute(sql, {"ids": [1, None]}).one()) == (True, None, None)


def test_a_name_that_stands_elsewhere_too_is_spread(connection: Connection) -> None:
    statement = text("SELECT 2 IN :ids, greatest :ids").bindparams(bindparam("ids", expanding=True))
    assert str(statement.compile("postgresql")) == "SELECT 2 IN (%s), greatest (%s)"
    assert tuple(connection.execute(statement, {"ids": [1, 2, 3]}).one()) == (True, 3)


# -- prepared statements ------------------------------------------------------------------------

PREPARED = "SELECT count(*) FROM pg_prepared_statements WHERE statement = :sql"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("", 1, id="after five times"),
        pytest.param("prepare_threshold=0", 1, id="at once"),
        pytest.param("prepare_threshold=9", 0, id="not yet"),
        pytest.param("prepare_threshold=none", 0, id="never"),
    ],
)
def test_a_statement_is_prepared_when_it_was_seen_often(
    make: Callable[..., Engine], query: str, expected: int
) -> None:
    with make(query).connect() as connection:
        for n in range(6):
            assert connection.scalar("SELECT :n::int AS counted", {"n": n}) == n
        sent = "SELECT $1::int AS counted"
        assert connection.scalar(PREPARED, {"sql": sent}) == expected


# Where a rollback ran while nothing was prepared, psycopg does not look at the next ones.
ONE = "CREATE TABLE {t} (x int)"
OTHER = "CREATE TABLE {t} (x text, y int)"
either = pytest.mark.parametrize("way", ["begin", "begin_nested"])


@either
@pytest.mark.parametrize("threshold", [0, 1, 5])
def test_a_plan_does_not_outlive_the_table_that_a_rollback_takes_away(
    make: Callable[..., Engine], table_name: str, threshold: int, way: str
) -> None:
    sql = f"SELECT * FROM {table_name} WHERE x::text <> :v"
    with make(f"prepare_threshold={threshold}").connect() as connection:
        begin = getattr(connection, way)
        for times in (1, 1, 6, 6):
            for create, columns in ((ONE, ("x",)), (OTHER, ("x", "y"))):
                scope = begin()
                connection.execute(create.format(t=table_name))
                for _ in range(times):
                    assert connection.execute(sql, {"v": "a"}).keys() == columns
                scope.rollback()


@either
async def test_a_plan_does_not_outlive_the_table_that_a_rollback_takes_away_async(
    make_engine_async: Callable[..., AsyncEngine], table_name: str, way: str
) -> None:
    sql = f"SELECT * FROM {table_name} WHERE x::text <> :v"
    async with make_engine_async().connect() as connection:
        begin = getattr(connection, way)
        for times in (1, 1, 6, 6):
            for create, columns in ((ONE, ("x",)), (OTHER, ("x", "y"))):
                scope = await begin()
                await connection.execute(create.format(t=table_name))
                for _ in range(times):
                    assert (await connection.execute(sql, {"v": "a"})).keys() == columns
                await scope.rollback()


@either
def test_a_plan_does_not_outlive_the_time_zone_that_a_rollback_takes_away(
    make: Callable[..., Engine], way: str
) -> None:
    """The server folds the literal into a constant when it prepares."""
    sql = "SELECT extract(epoch FROM timestamptz '2024-02-29 12:00')::int + :n"
    noon = 1709208000
    with make(connect_args={"options": "-c timezone=UTC"}).connect() as connection:
        begin = getattr(connection, way)
        for times in (1, 1, 6, 6):
            scope = begin()
            connection.execute("SET TIME ZONE 'Asia/Tokyo'")
            for _ in range(times):
                assert connection.scalar(sql, {"n": 0}) == noon - 9 * 3600
            scope.rollback()
            assert connection.scalar(sql, {"n": 0}) == noon
            if way == "begin":
                connection.rollback()


# -- settings -----------------------------------------------------------------------------------


@pytest.fixture
def schemas(engine: Engine, table_prefix: str) -> Iterator[list[str]]:
    """Two schemas with a table t each, whose only row tells the schema's name."""
    names = [f"{table_prefix}{letter}" for letter in "ab"]
    with engine.begin() as connection:
        for name in names:
            connection.execute(f"CREATE SCHEMA {name}")
            connection.execute(f"CREATE TABLE {name}.t AS SELECT '{name}' AS x")
    yield names
    with engine.begin() as connection:
        for name in names:
            connection.execute(f"DROP SCHEMA {name} CASCADE")


def test_on_connect_sets_the_search_path_of_every_connection(
    make: Callable[..., Engine], schemas: list[str]
) -> None:
    engine = make(on_connect=lambda raw: raw.execute(f"SET search_path = {schemas[1]}"))
    with engine.connect() as first, engine.connect() as second:
        assert [c.scalar("SELECT x FROM t") for c in (first, second)] == [schemas[1]] * 2


@either
def test_a_search_path_is_rolled_back(
    make: Callable[..., Engine], schemas: list[str], way: str
) -> None:
    a, b = schemas
    engine = make(connect_args={"options": f"-c search_path={a}"})
    with engine.connect() as connection:
        begin = getattr(connection, way)
        for times in (1, 1, 6, 6):
            scope = begin()
            connection.execute(f"SET search_path = {b}")
            for _ in range(times):
                assert connection.scalar("SELECT x FROM t") == b
            scope.rollback()
            assert connection.scalar("SELECT x FROM t") == a
            if way == "begin":
                connection.rollback()


def test_an_application_has_a_name(make: Callable[..., Engine]) -> None:
    with make("application_name=it's%20plain").connect() as connection:
        assert connection.scalar("SHOW application_name") == "it's plain"


def test_transactions_begin_as_their_options_say(
    make_engine: Callable[..., Engine], caplog: pytest.LogCaptureFixture
) -> None:
    engine = make_engine(echo=True).execution_options(
        isolation_level="SERIALIZABLE", read_only=True, deferrable=True
    )
    with engine.connect() as connection:
        caplog.set_level(logging.INFO, "plainsql.engine")
        assert connection.scalar("SHOW transaction_isolation") == "serializable"
        assert connection.scalar("SHOW transaction_read_only") == "on"
        assert connection.scalar("SHOW transaction_deferrable") == "on"
    assert caplog.messages[0] == (
        "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE (implicit)"
    )


def test_a_unix_socket_is_the_folder_in_the_url(engine: Engine) -> None:
    url = engine.url
    port = url.port or 5432
    with unix_socket(f".s.PGSQL.{port}", url.host or "", port) as path:
        local = create_engine(url.set(query={"host": str(path.parent)}))
        with local.connect() as connection:
            assert connection.connection.info.host == str(path.parent)
            assert connection.scalar("SELECT 1") == 1
        local.dispose()


# -- transactions -------------------------------------------------------------------------------


def test_a_commit_that_the_server_turned_into_a_rollback_is_an_error(
    connection: Connection, table_name: str
) -> None:
    connection.execute(f"CREATE TABLE {table_name} (x int)")
    raw = connection.connection
    with pytest.raises(connection.engine.dialect.driver_error, match="division by zero"):
        raw.execute("SELECT 1 / 0")
    with pytest.raises(TransactionAborted, match="rolled the transaction back"):
        connection.commit()
    assert connection.scalar("SELECT to_regclass(:t)", {"t": table_name}) is None


def test_a_deferred_constraint_fails_the_commit_and_the_connection_goes_on(
    connection: Connection, table_name: str
) -> None:
    connection.execute(
        f"CREATE TABLE {table_name} (x int PRIMARY KEY, "
        f"p int REFERENCES {table_name} DEFERRABLE INITIALLY DEFERRED)"
    )
    connection.commit()
    connection.execute(f"INSERT INTO {table_name} VALUES (1, 99)")
    with pytest.raises(ForeignKeyViolation):
        connection.commit()
    connection.rollback()
    assert connection.scalar(f"SELECT count(*) FROM {table_name}") == 0


def test_a_failed_transaction_says_why_until_it_is_rolled_back(connection: Connection) -> None:
    with pytest.raises(DataError, match="division by zero"):
        connection.execute("SELECT 1 / 0")
    with pytest.raises(TransactionStateError, match=r"failed \(division by zero\); roll back"):
        connection.execute("SELECT 1")
    connection.rollback()
    assert connection.scalar("SELECT 1") == 1


# -- the driver's own way -----------------------------------------------------------------------


def test_copy_is_part_of_the_transaction(connection: Connection, table_name: str) -> None:
    connection.execute(f"CREATE TABLE {table_name} (x int)")
    connection.commit()
    for keep in (False, True):
        connection.execute(f"INSERT INTO {table_name} VALUES (1)")
        with connection.connection.cursor().copy(f"COPY {table_name} FROM STDIN") as copy:
            copy.write_row((2,))
        assert connection.scalar(f"SELECT count(*) FROM {table_name}") == 2
        (connection.commit if keep else connection.rollback)()
    assert connection.scalars(f"SELECT x FROM {table_name} ORDER BY x").all() == [1, 2]


def test_types_of_psycopg_pass_as_they_are(connection: Connection) -> None:
    from psycopg.types.json import Jsonb
    from psycopg.types.range import Range

    given = {"j": Jsonb({"a": [1, None]}), "r": Range(1, 5)}
    row = connection.execute("SELECT :j AS j, 3 <@ :r::int4range AS inside", given).one()
    assert row._asdict() == {"j": {"a": [1, None]}, "inside": True}


def test_notifications_arrive_on_the_drivers_connection(engine: Engine) -> None:
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute("LISTEN plainsql_test")
        connection.execute("SELECT pg_notify('plainsql_test', :said)", {"said": "it's :said"})
        (notice,) = connection.connection.notifies(timeout=10, stop_after=1)
    assert notice.payload == "it's :said"


def test_an_untypable_parameter_is_named_and_the_corrected_sql_shown(
    connection: Connection,
) -> None:
    statement = "SELECT :a,\n  concat('x', :n, ':n')\nFROM pg_class WHERE relname IN :names"
    for params in ({"a": 1, "n": None, "names": ["a", "b"]}, {"a": 1, "n": "s", "names": []}):
        with pytest.raises(ProgrammingError) as caught:
            connection.execute(statement, params)
        assert caught.value.code == "42P18"
        assert caught.value.position == statement.index(":n")
        told = str(caught.value)
        assert "parameter $2: say the type of :n, by text(…, n=str) or in the SQL:\n" in told
        assert "\n  concat('x', CAST(:n AS text), ':n')\n" in told
        connection.rollback()
        typed = text(statement, n=str)
        assert connection.execute(typed, params).all() == []
        corrected: Any = statement.replace(":n,", "CAST(:n AS text),")
        assert connection.execute(corrected, params).all() == []
    with pytest.raises(ProgrammingError, match=r"say the type of :x, .*\nSELECT CAST\(:x AS text"):
        connection.execute("SELECT :x IS NULL", [{"x": None}, {"x": None}])


# -- a session that is reset --------------------------------------------------------------------


def test_a_reset_takes_back_what_the_drivers_own_connection_was_told(
    connection: Connection,
) -> None:
    raw: Any = connection.connection
    raw.autocommit, raw.read_only, raw.deferrable = False, True, True
    raw.isolation_level = 4
    assert connection.engine.dialect.reset(raw)
    told = (raw.autocommit, raw.read_only, raw.deferrable, raw.isolation_level)
    assert told == (True, None, None, None)


def test_a_reset_drops_the_notifications_that_came_before(
    connection: Connection, table_name: str
) -> None:
    raw: Any = connection.connection
    raw.execute(f"LISTEN {table_name}")
    raw.execute(f"NOTIFY {table_name}")
    assert connection.engine.dialect.reset(raw)
    raw.execute("SELECT 1")
    assert list(raw.notifies(timeout=0)) == []


def test_a_reset_leads_back_to_the_role_that_the_user_begins_with(
    connection: Connection, table_name: str
) -> None:
    role, user = f"{table_name}_role", f"{table_name}_user"
    own = connection.engine.url
    texts = (
        f"CREATE ROLE {role}",
        f"CREATE ROLE {user} LOGIN PASSWORD 'pw' IN ROLE {role}",
        f"ALTER ROLE {user} SET role = {role}",
    )
    for sql in texts:
        connection.exec_driver_sql(sql)
    connection.commit()
    try:
        dialect = connection.engine.dialect
        raw = dialect.connect(own.set(username=user, password="pw"), 10, {})
        raw.execute("SET ROLE NONE")
        assert dialect.reset(raw)
        assert raw.execute("SELECT current_user::text").fetchone() == (role,)
        raw.close()
    finally:
        connection.exec_driver_sql(f"DROP ROLE {user}")
        connection.exec_driver_sql(f"DROP ROLE {role}")
        connection.commit()


async def test_what_an_async_creator_opened_is_not_reset(url: str) -> None:
    import psycopg

    dialect = create_async_engine(url).dialect
    raw = await dialect.adopt_async(lambda: psycopg.AsyncConnection.connect(url))
    assert not await dialect.reset_async(raw)
    await raw.close()
