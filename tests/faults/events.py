"""The events of the error table, in the order of the page: how each database is brought to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.faults.provoking import (
    LONG,
    canceled,
    changed_meanwhile,
    closed,
    committed_after_an_error,
    connect,
    crowded,
    cut,
    cut_at_commit,
    damaged,
    deadlock,
    deferred,
    driver_sql,
    idle,
    interrupted,
    killed_at_work,
    killed_before_commit,
    killed_between,
    killed_in_autocommit,
    locked,
    no_folder,
    nowhere,
    read_only,
    read_only_by_default,
    refused,
    signal,
    silent,
    sqlstate,
    statement,
    unauthorized,
    unprivileged,
    write_protected,
)

if TYPE_CHECKING:
    from tests.faults.provoking import Provocation

Ways = dict[str, "Provocation"]


def everywhere(provoke: Provocation) -> Ways:
    return dict.fromkeys(("sqlite", "postgresql", "mysql", "mariadb"), provoke)


def servers(provoke: Provocation, *, sqlite: Provocation) -> Ways:
    return everywhere(provoke) | {"sqlite": sqlite}


def each(
    sqlite: Provocation, postgresql: Provocation, mysql: Provocation, mariadb: Provocation
) -> Ways:
    return {"sqlite": sqlite, "postgresql": postgresql, "mysql": mysql, "mariadb": mariadb}


def same(sql: str, params: Any = None, *, before: tuple[str, ...] = ()) -> Ways:
    return everywhere(statement(sql, params, before=before))


NO_SERVER = nowhere("no server")
NO_NETWORK = nowhere("no network")
NO_LOCKS = nowhere("no row locks")
NO_CLUSTER = nowhere("no cluster")
NO_SUCH_ANSWER = nowhere("no such answer")
UNKNOWN_TO_SQL = nowhere("no such constraint")

INSERT = "INSERT INTO {t} (id, code, {column}) VALUES (20, 'x', :value)"
INTO_MEMORY = (
    "INSERT INTO {t}_m SELECT a.code FROM {t} a, {t} b, {t} c, {t} d, {t} e"  # 32 768 rows
)
MEMORY_TABLE = (
    "SET SESSION max_heap_table_size = 16384",
    "CREATE TEMPORARY TABLE {t}_m (v CHAR(100)) ENGINE = MEMORY",
)


def value(column: str, given: object) -> Ways:
    return same(INSERT.replace("{column}", column), {"value": given})


EVENTS: dict[str, Ways] = {
    # values
    "a number out of range": value("n", 2**40),
    "a text too long": same("INSERT INTO {t} (id, code) VALUES (20, :v)", {"v": "abcdef"}),
    "a text for a number": value("n", "abc"),
    "a day that is in no calendar": value("day", "2024-02-30"),
    "a sum out of range": same("SELECT 9223372036854775807 + 1"),
    "a division by zero": same("SELECT 1 / 0"),
    "a division by zero that is stored": same("UPDATE {t} SET n = 1 / 0 WHERE id = 1"),
    "a cast that fails": same("SELECT CAST('abc' AS DECIMAL(5, 2))"),
    # constraints
    "a key that is there already": same("INSERT INTO {t} (id, code) VALUES (1, 'x')"),
    "a unique value that is there already": same("INSERT INTO {t} (id, code) VALUES (20, 'a')"),
    "a parent that is missing": value("parent", 99),
    "NULL given": same("INSERT INTO {t} (id, code) VALUES (20, NULL)"),
    "a value omitted": same("INSERT INTO {t} (id) VALUES (20)"),
    "a check that fails": value("n", -1),
    "an overlap that is excluded": each(
        UNKNOWN_TO_SQL,
        statement(
            "INSERT INTO {t}_r VALUES ('[3,7)')",
            before=(
                "CREATE TEMPORARY TABLE {t}_r (r INT4RANGE, EXCLUDE USING gist (r WITH &&))",
                "INSERT INTO {t}_r VALUES ('[1,5)')",
            ),
        ),
        UNKNOWN_TO_SQL,
        UNKNOWN_TO_SQL,
    ),
    "a constraint that the commit looks at": each(
        deferred(
            "PRAGMA defer_foreign_keys = ON",
            "UPDATE {t} SET parent = 99 WHERE id = 1",
        ),
        deferred(
            "ALTER TABLE {t} ALTER CONSTRAINT {t}_parent DEFERRABLE INITIALLY DEFERRED",
            "UPDATE {t} SET parent = 99 WHERE id = 1",
        ),
        UNKNOWN_TO_SQL,
        UNKNOWN_TO_SQL,
    ),
    # statements
    "a statement that can not be parsed": same("SELEKT 1"),
    "a table that is missing": same("SELECT 1 FROM {t}_missing"),
    "a column that is missing": same("SELECT missing FROM {t}"),
    "a table that is there already": same("CREATE TABLE {t} (x INT)"),
    "a column that is there already": same("ALTER TABLE {t} ADD COLUMN n INT"),
    "a function that is missing": same("SELECT missing(1)"),
    "a name that is ambiguous": same("SELECT n FROM {t} a, {t} b"),
    "a value too many": same("INSERT INTO {t} (id, code) VALUES (20, 'x', 1)"),
    "an aggregate where none can be": same("SELECT n FROM {t} WHERE count(*) > 1"),
    "a subquery of several rows": same("SELECT (SELECT id FROM {t})"),
    "a savepoint that is missing": everywhere(driver_sql("ROLLBACK TO SAVEPOINT missing")),
    "a statement that a transaction can not hold": each(
        statement("VACUUM"),
        statement("VACUUM", before=("SELECT 1",)),
        statement("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
        statement("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
    ),
    "a privilege that is missing": servers(unprivileged, sqlite=unauthorized),
    "what the server does not do yet": each(
        NO_SUCH_ANSWER,
        statement("SELECT count(*) FROM {t} FOR UPDATE"),
        statement("SELECT id FROM {t} WHERE id IN (SELECT id FROM {t} LIMIT 1)"),
        statement("SELECT id FROM {t} WHERE id IN (SELECT id FROM {t} LIMIT 1)"),
    ),
    # collisions
    "a lock that does not come free in time": each(
        locked("PRAGMA busy_timeout = 50"),
        locked("SET LOCAL lock_timeout = '50ms'"),
        locked("SET SESSION innodb_lock_wait_timeout = 1"),
        locked("SET SESSION innodb_lock_wait_timeout = 1"),
    ),
    "NOWAIT on a lock": servers(
        locked(sql="SELECT n FROM {t} WHERE id = 1 FOR UPDATE NOWAIT"), sqlite=NO_LOCKS
    ),
    "a deadlock": servers(deadlock, sqlite=NO_LOCKS),
    "a row read, and changed by another one": each(
        changed_meanwhile("SERIALIZABLE", elsewhere=("PRAGMA journal_mode = wal",)),
        changed_meanwhile("REPEATABLE READ"),
        changed_meanwhile("REPEATABLE READ"),
        changed_meanwhile("REPEATABLE READ", "SET SESSION innodb_snapshot_isolation = ON"),
    ),
    "a collision that a cluster finds by COMMIT": each(
        NO_CLUSTER,
        NO_CLUSTER,
        signal(1180, "Got error 149 - ''Lock deadlock; Retry transaction'' during COMMIT"),
        NO_CLUSTER,
    ),
    "a statement that is cancelled": servers(canceled, sqlite=interrupted),
    "a time limit of the server": each(
        NO_SERVER,
        statement(LONG, before=("SET LOCAL statement_timeout = '100ms'",)),
        statement(LONG, before=("SET SESSION max_execution_time = 100",)),
        statement(LONG, before=("SET SESSION max_statement_time = 0.1",)),
    ),
    # the database
    "a write in a read-only transaction": everywhere(read_only),
    "a write to a read-only database": each(
        write_protected,
        read_only_by_default,
        signal(1290, "running with the --read-only option"),
        signal(1290, "running with the --read-only option"),
    ),
    "no room left": each(
        statement(
            "UPDATE {t} SET code = 'x' || zeroblob(100000) WHERE id = 1",
            before=("PRAGMA max_page_count = 1",),
        ),
        sqlstate("53100"),
        statement(INTO_MEMORY, before=MEMORY_TABLE),
        statement(INTO_MEMORY, before=MEMORY_TABLE),
    ),
    "damaged data": each(
        damaged,
        sqlstate("XX001"),
        signal(1194, "marked as crashed"),
        signal(1194, "marked as crashed"),
    ),
    "a fault within the server": each(
        NO_SUCH_ANSWER,
        sqlstate("XX000"),
        signal(1815, "internal error"),
        signal(1815, "internal error"),
    ),
    "a commit after an error": everywhere(committed_after_an_error),
    # the connection is lost
    "a session killed between two statements": servers(killed_between, sqlite=NO_SERVER),
    "a session killed at work": servers(killed_at_work, sqlite=NO_SERVER),
    "a session killed in autocommit": servers(killed_in_autocommit, sqlite=NO_SERVER),
    "a transaction idle for too long": each(
        NO_SERVER,
        idle("SET idle_in_transaction_session_timeout = '50ms'"),
        idle("SET SESSION wait_timeout = 1"),
        idle("SET SESSION idle_transaction_timeout = 1"),
    ),
    "a line cut before a statement arrives": servers(cut("before"), sqlite=NO_NETWORK),
    "a line cut before its answer arrives": servers(cut("after"), sqlite=NO_NETWORK),
    "a driver's connection that was closed": everywhere(closed),
    "a session killed before COMMIT": servers(killed_before_commit, sqlite=NO_SERVER),
    "a line cut before COMMIT arrives": servers(cut_at_commit("before"), sqlite=NO_NETWORK),
    "a line cut before the answer to COMMIT": servers(cut_at_commit("after"), sqlite=NO_NETWORK),
    # no connection
    "a host that has no address": servers(connect(host="missing.invalid"), sqlite=NO_NETWORK),
    "a port that nobody listens on": servers(refused, sqlite=NO_NETWORK),
    "a server that never answers": servers(silent, sqlite=NO_NETWORK),
    "a wrong password": servers(connect(password="wrong"), sqlite=NO_SERVER),
    "a database that is missing": servers(connect(database="missing_db"), sqlite=no_folder),
    "a connection too many": servers(crowded, sqlite=NO_SERVER),
}
