"""The failure model: each fault, what it means, and how each database is brought to it.

`docs/guides/failures.md` is written from this and from what came of it.
"""

from __future__ import annotations

from signal import SIGINT, SIGQUIT, SIGTERM
from typing import TYPE_CHECKING, Any, NamedTuple

from plainsql import errors
from tests.faults.breaking import (
    backend_by_sigkill,
    by_sigkill,
    by_signal,
    closed_database,
    disk_full,
    disk_full_for_innodb,
    file_cut,
    frozen,
    frozen_at_login,
    frozen_for_a_driver,
    full,
    offline,
    offline_at_login,
    page_damaged,
    pool_exhausted,
    pooled_server_away,
    pooler_full,
    read_only_server,
    rows_removed_between,
    rows_removed_while_read,
    shutting_down,
    too_large_by_creator,
    unverified,
    written_on_a_standby,
)
from tests.faults.provoking import (
    EXPIRED,
    LOCKED,
    LONG,
    barred,
    canceled,
    changed_meanwhile,
    closed,
    committed_after_an_error,
    connect,
    crowded,
    cut,
    cut_at_commit,
    cut_idle,
    cut_in_a_result,
    damaged,
    deadlock,
    deferred,
    driver_sql,
    ends_itself,
    foreign_database,
    hanging_up,
    idle,
    interrupted,
    killed_at_work,
    killed_before_commit,
    killed_between,
    killed_in_autocommit,
    lasting,
    limited,
    locked,
    no_folder,
    nowhere,
    port_refused,
    read_at_commit,
    read_only,
    reset_at_login,
    reset_at_work,
    reset_idle,
    signal,
    silent,
    skewed,
    statement,
    swallowed,
    too_large,
    too_large_for_sqlite,
    unauthorized,
    unprivileged,
    unreachable,
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
OWN_MAKING = nowhere("as above")
FOUND_BY_LOCKS = nowhere("found by locks")
NO_STANDBY = nowhere("no hot standby")
NO_POOLER = nowhere("no pooler")
IN_MEMORY = nowhere("no such tables")
NO_SUCH_LIMIT = nowhere("no such limit")
NO_SUCH_STATE = nowhere("no such state")
AS_BY_KILL = nowhere("as by kill -9")
AS_REFUSED = nowhere("refused, as where nobody listens")
ONE_PROCESS = nowhere("one process for all")

INSERT = "INSERT INTO {t} (id, code, {column}) VALUES (20, 'x', :value)"
INTO_MEMORY = (
    "INSERT INTO {t}_m SELECT a.code FROM {t} a, {t} b, {t} c, {t} d, {t} e"  # 32 768 rows
)
MEMORY_TABLE = (
    "SET SESSION max_heap_table_size = 16384",
    "CREATE TEMPORARY TABLE {t}_m (v CHAR(100)) ENGINE = MEMORY",
)


FULL = full("SET GLOBAL max_connections = 10", after=("SET GLOBAL max_connections = 151",))


def value(column: str, given: object) -> Ways:
    return same(INSERT.replace("{column}", column), {"value": given})


# -- what a fault means -------------------------------------------------------------------------


class Event(NamedTuple):
    """A fault: what it means on every database, and the ways to it."""

    cls: type[errors.DBAPIError]
    outcome: errors.Outcome
    retryable: bool
    connection: str
    ways: Ways


def refused(cls: type[errors.DBAPIError], ways: Ways) -> Event:
    """The statement was not done, and would not be if it was run again."""
    return Event(cls, "not_applied", False, "lives", ways)


def collided(cls: type[errors.DBAPIError], ways: Ways) -> Event:
    """The transaction was not done, and may be if it is run again."""
    return Event(cls, "not_applied", True, "lives", ways)


def lost(cls: type[errors.DBAPIError], ways: Ways) -> Event:
    """The connection is gone, and the transaction with it: it may be run again on another one."""
    return Event(cls, "not_applied", True, "lost", ways)


def given_up(cls: type[errors.DBAPIError], ways: Ways) -> Event:
    """The connection is gone, and it would be again."""
    return Event(cls, "not_applied", False, "lost", ways)


def doubtful(cls: type[errors.DBAPIError], ways: Ways) -> Event:
    """The connection is gone, and nobody here knows whether the work was done."""
    return Event(cls, "unknown", False, "lost", ways)


def unconnected(cls: type[errors.DBAPIError], ways: Ways) -> Event:
    """There is no connection; nothing was sent."""
    return Event(cls, "not_applied", False, "none", ways)


SECTIONS: dict[str, dict[str, Event]] = {
    "Values": {
        "a number out of range": refused(errors.DataError, value("n", 2**40)),
        "a text too long": refused(
            errors.DataError, same("INSERT INTO {t} (id, code) VALUES (20, :v)", {"v": "abcdef"})
        ),
        "a text for a number": refused(errors.DataError, value("n", "abc")),
        "a day that is in no calendar": refused(errors.DataError, value("day", "2024-02-30")),
        "a sum out of range": refused(errors.DataError, same("SELECT 9223372036854775807 + 1")),
        "a division by zero": refused(errors.DataError, same("SELECT 1 / 0")),
        "a division by zero that is stored": refused(
            errors.DataError, same("UPDATE {t} SET n = 1 / 0 WHERE id = 1")
        ),
        "a cast that fails": refused(errors.DataError, same("SELECT CAST('abc' AS DECIMAL(5, 2))")),
        "a statement larger than the server takes": refused(
            errors.DataError,
            each(
                too_large_for_sqlite,
                nowhere("refused, with no code, from 1 GiB on"),
                too_large,
                too_large,
            ),
        ),
        "the same on a connection of one's own making": given_up(
            errors.DataError,
            each(OWN_MAKING, OWN_MAKING, too_large_by_creator, too_large_by_creator),
        ),
    },
    "Constraints": {
        "a key that is there already": refused(
            errors.UniqueViolation, same("INSERT INTO {t} (id, code) VALUES (1, 'x')")
        ),
        "a unique value that is there already": refused(
            errors.UniqueViolation, same("INSERT INTO {t} (id, code) VALUES (20, 'a')")
        ),
        "a parent that is missing": refused(errors.ForeignKeyViolation, value("parent", 99)),
        "NULL given": refused(
            errors.NotNullViolation, same("INSERT INTO {t} (id, code) VALUES (20, NULL)")
        ),
        "a value omitted": refused(
            errors.NotNullViolation, same("INSERT INTO {t} (id) VALUES (20)")
        ),
        "a check that fails": refused(errors.CheckViolation, value("n", -1)),
        "an overlap that is excluded": refused(
            errors.ExclusionViolation,
            each(
                UNKNOWN_TO_SQL,
                statement(
                    "INSERT INTO {t}_r VALUES ('[3,7)')",
                    before=(
                        "CREATE TEMP TABLE {t}_r (r INT4RANGE, EXCLUDE USING gist (r WITH &&))",
                        "INSERT INTO {t}_r VALUES ('[1,5)')",
                    ),
                ),
                UNKNOWN_TO_SQL,
                UNKNOWN_TO_SQL,
            ),
        ),
        "a constraint that the commit looks at": refused(
            errors.ForeignKeyViolation,
            each(
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
        ),
    },
    "Statements": {
        "a statement that can not be parsed": refused(errors.SQLSyntaxError, same("SELEKT 1")),
        "a table that is missing": refused(
            errors.UndefinedTable, same("SELECT 1 FROM {t}_missing")
        ),
        "a column that is missing": refused(
            errors.UndefinedColumn, same("SELECT missing FROM {t}")
        ),
        "a table that is there already": refused(
            errors.ProgrammingError, same("CREATE TABLE {t} (x INT)")
        ),
        "a column that is there already": refused(
            errors.ProgrammingError, same("ALTER TABLE {t} ADD COLUMN n INT")
        ),
        "a function that is missing": refused(errors.ProgrammingError, same("SELECT missing(1)")),
        "a name that is ambiguous": refused(
            errors.ProgrammingError, same("SELECT n FROM {t} a, {t} b")
        ),
        "a value too many": refused(
            errors.ProgrammingError, same("INSERT INTO {t} (id, code) VALUES (20, 'x', 1)")
        ),
        "an aggregate where none can be": refused(
            errors.ProgrammingError, same("SELECT n FROM {t} WHERE count(*) > 1")
        ),
        "a subquery of several rows": refused(
            errors.ProgrammingError, same("SELECT (SELECT id FROM {t})")
        ),
        "a savepoint that is missing": refused(
            errors.ProgrammingError, everywhere(driver_sql("ROLLBACK TO SAVEPOINT missing"))
        ),
        "a statement that a transaction can not hold": refused(
            errors.ProgrammingError,
            each(
                statement("VACUUM"),
                statement("VACUUM", before=("SELECT 1",)),
                statement("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
                statement("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
            ),
        ),
        "a privilege that is missing": refused(
            errors.InsufficientPrivilege, servers(unprivileged, sqlite=unauthorized)
        ),
        "what the server does not do yet": refused(
            errors.NotSupportedError,
            each(
                NO_SUCH_ANSWER,
                statement("SELECT count(*) FROM {t} FOR UPDATE"),
                statement("SELECT id FROM {t} WHERE id IN (SELECT id FROM {t} LIMIT 1)"),
                statement("SELECT id FROM {t} WHERE id IN (SELECT id FROM {t} LIMIT 1)"),
            ),
        ),
    },
    "Other transactions": {
        "a lock that does not come free in time": refused(
            errors.LockTimeout,
            each(
                locked("PRAGMA busy_timeout = 50"),
                locked("SET LOCAL lock_timeout = '50ms'"),
                locked("SET SESSION innodb_lock_wait_timeout = 1"),
                locked("SET SESSION innodb_lock_wait_timeout = 1"),
            ),
        ),
        "NOWAIT on a lock": refused(
            errors.LockTimeout,
            servers(
                locked(sql="SELECT n FROM {t} WHERE id = 1 FOR UPDATE NOWAIT"), sqlite=NO_LOCKS
            ),
        ),
        "a deadlock": collided(errors.DeadlockDetected, servers(deadlock, sqlite=NO_LOCKS)),
        "a row read, and changed by another one": collided(
            errors.SerializationFailure,
            each(
                changed_meanwhile("SERIALIZABLE", elsewhere=("PRAGMA journal_mode = wal",)),
                changed_meanwhile("REPEATABLE READ"),
                changed_meanwhile("REPEATABLE READ"),
                changed_meanwhile("REPEATABLE READ", "SET SESSION innodb_snapshot_isolation = ON"),
            ),
        ),
        "a collision that only COMMIT finds": collided(
            errors.SerializationFailure,
            each(nowhere("found by the write"), skewed, FOUND_BY_LOCKS, FOUND_BY_LOCKS),
        ),
        "a commit that readers hold up": collided(
            errors.LockTimeout, servers(nowhere("does not wait for readers"), sqlite=read_at_commit)
        ),
        "rows removed on the primary while a standby reads them": collided(
            errors.SerializationFailure,
            each(NO_STANDBY, rows_removed_while_read, NO_STANDBY, NO_STANDBY),
        ),
        "a collision that a cluster finds by COMMIT": collided(
            errors.SerializationFailure,
            each(
                NO_CLUSTER,
                NO_CLUSTER,
                signal(1180, "Got error 149 - ''Lock deadlock; Retry transaction'' during COMMIT"),
                NO_CLUSTER,
            ),
        ),
    },
    "Ended while it ran": {
        "a statement that is cancelled": refused(
            errors.QueryCanceled, servers(canceled, sqlite=interrupted)
        ),
        "a time limit of the server": refused(
            errors.QueryCanceled,
            each(
                NO_SERVER,
                statement(LONG, before=("SET LOCAL statement_timeout = '100ms'",)),
                statement(LONG, before=("SET SESSION max_execution_time = 100",)),
                statement(LONG, before=("SET SESSION max_statement_time = 0.1",)),
            ),
        ),
        "a time limit of plainsql": refused(errors.StatementTimeout, everywhere(limited)),
    },
    "The database and its server": {
        "a write in a read-only transaction": refused(errors.ReadOnlyError, everywhere(read_only)),
        "a write to a read-only database": refused(
            errors.ReadOnlyError,
            each(write_protected, written_on_a_standby, read_only_server, read_only_server),
        ),
        "no room left": refused(
            errors.DiskFull,
            each(
                statement(
                    "UPDATE {t} SET code = 'x' || zeroblob(100000) WHERE id = 1",
                    before=("PRAGMA max_page_count = 1",),
                ),
                disk_full,
                disk_full_for_innodb,
                disk_full_for_innodb,
            ),
        ),
        "no room left in a table in memory": refused(
            errors.DiskFull,
            each(
                IN_MEMORY,
                IN_MEMORY,
                statement(INTO_MEMORY, before=MEMORY_TABLE),
                statement(INTO_MEMORY, before=MEMORY_TABLE),
            ),
        ),
        "damaged data": refused(
            errors.CorruptDatabase,
            each(damaged, page_damaged, file_cut("MyISAM", "MYD"), file_cut("MyISAM", "MYD")),
        ),
        "damaged data that the server has marked": refused(
            errors.CorruptDatabase,
            each(
                nowhere("marks nothing"),
                nowhere("marks nothing"),
                file_cut("MyISAM", "MYD", noticed=True),
                file_cut("MyISAM", "MYD", noticed=True),
            ),
        ),
        "a fault within the server": refused(
            errors.InternalError,
            each(
                NO_SUCH_ANSWER,
                statement("SELECT amvalidate(0)"),
                signal(1815, "internal error"),
                file_cut("Aria", "MAD"),
            ),
        ),
        "a commit after an error": refused(
            errors.TransactionAborted, everywhere(committed_after_an_error)
        ),
    },
    "The connection is lost": {
        "a session killed between two statements": lost(
            errors.Disconnected, servers(killed_between, sqlite=NO_SERVER)
        ),
        "a session killed at work": lost(
            errors.Disconnected, servers(killed_at_work, sqlite=NO_SERVER)
        ),
        "a session killed in autocommit": doubtful(
            errors.Disconnected, servers(killed_in_autocommit, sqlite=NO_SERVER)
        ),
        "a session that ends itself": lost(
            errors.Disconnected,
            each(
                NO_SERVER,
                ends_itself("SELECT pg_terminate_backend({session})"),
                ends_itself("KILL {session}"),
                ends_itself("KILL {session}"),
            ),
        ),
        "a session idle for too long": lost(
            errors.Disconnected,
            each(
                NO_SERVER,
                idle("SET idle_session_timeout = '50ms'", between=True),
                idle("SET SESSION wait_timeout = 1", between=True),
                idle("SET SESSION wait_timeout = 1", between=True),
            ),
        ),
        "a transaction idle for too long": lost(
            errors.Disconnected,
            each(
                NO_SERVER,
                idle("SET idle_in_transaction_session_timeout = '50ms'"),
                idle("SET SESSION wait_timeout = 1"),
                idle("SET SESSION idle_transaction_timeout = 1"),
            ),
        ),
        "a transaction that lasts too long": lost(
            errors.Disconnected, each(NO_SERVER, lasting, NO_SUCH_LIMIT, NO_SUCH_LIMIT)
        ),
        "rows removed on the primary while a standby idles": lost(
            errors.Disconnected, each(NO_STANDBY, rows_removed_between, NO_STANDBY, NO_STANDBY)
        ),
        "a server that is shut down": lost(
            errors.Disconnected,
            each(NO_SERVER, by_signal(SIGINT), by_signal(SIGTERM), by_signal(SIGTERM)),
        ),
        "a server that is shut down at once": lost(
            errors.Disconnected, each(NO_SERVER, by_signal(SIGQUIT), AS_BY_KILL, AS_BY_KILL)
        ),
        "a server killed by kill -9": lost(
            errors.Disconnected, servers(by_sigkill, sqlite=NO_SERVER)
        ),
        "a session's process killed by kill -9": lost(
            errors.Disconnected, each(NO_SERVER, backend_by_sigkill, ONE_PROCESS, ONE_PROCESS)
        ),
        "a server that is taken offline": lost(
            errors.Disconnected, each(NO_SERVER, NO_SUCH_STATE, offline, NO_SUCH_STATE)
        ),
        "a pooler that has no connection for a statement": lost(
            errors.Disconnected, each(NO_SERVER, pool_exhausted, NO_POOLER, NO_POOLER)
        ),
        "a pooler whose server is away": lost(
            errors.Disconnected, each(NO_SERVER, pooled_server_away, NO_POOLER, NO_POOLER)
        ),
        "a line cut before a statement arrives": lost(
            errors.Disconnected, servers(cut("before"), sqlite=NO_NETWORK)
        ),
        "a line cut before its answer arrives": lost(
            errors.Disconnected, servers(cut("after"), sqlite=NO_NETWORK)
        ),
        "a line cut within an answer": lost(
            errors.Disconnected, servers(cut_in_a_result, sqlite=NO_NETWORK)
        ),
        "a line cut between two statements": lost(
            errors.Disconnected, servers(cut_idle, sqlite=NO_NETWORK)
        ),
        "a line reset between two statements": lost(
            errors.Disconnected, servers(reset_idle, sqlite=NO_NETWORK)
        ),
        "a line reset at work": lost(
            errors.Disconnected, servers(reset_at_work, sqlite=NO_NETWORK)
        ),
        "a line that carries nothing more, with a time limit": given_up(
            errors.StatementTimeout, servers(swallowed, sqlite=NO_NETWORK)
        ),
        "a server that stands still, with a time limit": given_up(
            errors.StatementTimeout, servers(frozen, sqlite=NO_SERVER)
        ),
        "the same with `read_timeout`": lost(
            errors.Disconnected,
            each(NO_SERVER, NO_SUCH_LIMIT, frozen_for_a_driver, frozen_for_a_driver),
        ),
        "a driver's connection that was closed": lost(errors.Disconnected, everywhere(closed)),
        "a session killed before COMMIT": doubtful(
            errors.CommitUnknown, servers(killed_before_commit, sqlite=NO_SERVER)
        ),
        "a line cut before COMMIT arrives": doubtful(
            errors.CommitUnknown, servers(cut_at_commit("before"), sqlite=NO_NETWORK)
        ),
        "a line cut before the answer to COMMIT": doubtful(
            errors.CommitUnknown, servers(cut_at_commit("after"), sqlite=NO_NETWORK)
        ),
    },
    "No connection": {
        "a host that has no address": unconnected(
            errors.ConnectError, servers(connect(host="missing.invalid"), sqlite=NO_NETWORK)
        ),
        "a port that nobody listens on": unconnected(
            errors.ConnectError, servers(port_refused, sqlite=NO_NETWORK)
        ),
        "an address that never answers": unconnected(
            errors.ConnectError, servers(unreachable, sqlite=NO_NETWORK)
        ),
        "a server that hangs up": unconnected(
            errors.ConnectError, servers(hanging_up, sqlite=NO_NETWORK)
        ),
        "a line reset at login": unconnected(
            errors.ConnectError, servers(reset_at_login, sqlite=NO_NETWORK)
        ),
        "a server that never answers": unconnected(
            errors.ConnectError, servers(silent, sqlite=NO_NETWORK)
        ),
        "a server that stands still at login": unconnected(
            errors.ConnectError, servers(frozen_at_login, sqlite=NO_SERVER)
        ),
        "a server that is shutting down": unconnected(
            errors.ConnectError, each(NO_SERVER, shutting_down, AS_REFUSED, AS_REFUSED)
        ),
        "a server that is offline": unconnected(
            errors.ConnectError, each(NO_SERVER, NO_SUCH_STATE, offline_at_login, NO_SUCH_STATE)
        ),
        "a certificate that nobody vouches for": unconnected(
            errors.ConnectError,
            each(
                NO_NETWORK,
                unverified("sslrootcert", sslmode="verify-full"),
                unverified("ssl_ca", ssl_verify_cert="true"),
                unverified("ssl_ca", ssl_verify_cert="true"),
            ),
        ),
        "a wrong password": unconnected(
            errors.AuthenticationError, servers(connect(password="wrong"), sqlite=NO_SERVER)
        ),
        "a user that is missing": unconnected(
            errors.AuthenticationError, servers(connect(username="missing"), sqlite=NO_SERVER)
        ),
        "an account that is locked": unconnected(
            errors.AuthenticationError, servers(barred(LOCKED), sqlite=NO_SERVER)
        ),
        "a password that has expired": unconnected(
            errors.AuthenticationError, servers(barred(EXPIRED), sqlite=NO_SERVER)
        ),
        "a database that is missing": unconnected(
            errors.ConnectError, servers(connect(database="missing_db"), sqlite=no_folder)
        ),
        "a database of others": unconnected(
            errors.ConnectError,
            each(NO_SERVER, closed_database, foreign_database, foreign_database),
        ),
        "a connection too many": unconnected(
            errors.TooManyConnections, servers(crowded, sqlite=NO_SERVER)
        ),
        "a connection too many for the server": unconnected(
            errors.TooManyConnections, each(NO_SERVER, full(), FULL, FULL)
        ),
        "a connection too many for a pooler": unconnected(
            errors.TooManyConnections, each(NO_SERVER, pooler_full, NO_POOLER, NO_POOLER)
        ),
    },
}
EVENTS = {name: event for events in SECTIONS.values() for name, event in events.items()}

#: Where a server can not tell: event, database → why.
DEVIATIONS: dict[tuple[str, str], str] = {
    ("a lock that does not come free in time", "sqlite"): (
        "has one lock for all, so that this is its deadlock, too, and may be run again"
    ),
    ("a value too many", "postgresql"): "takes it for a syntax error, a `ProgrammingError` too",
    ("rows removed on the primary while a standby reads them", "postgresql"): (
        "asks for the end of the statement each 5 ms: the second time, if it has ended by then,"
        " the server hangs up"
    ),
    ("a session that ends itself", "mysql"): (
        "says 1317, as for a statement that is cancelled, and hangs up then"
    ),
}
#: What nobody could bring a server of this machine to: it was told to say so.
SIGNALLED: dict[tuple[str, str], str] = {
    ("a collision that a cluster finds by COMMIT", "mysql"): (
        "`1180` with the inner number 149 is told here;"
        " a group of servers says it in `tests/clusters`, which CI starts"
    ),
    ("a fault within the server", "mysql"): "none is known that this version has; `1815` is told",
}
#: What differs between versions of a server, or from one time to another.
VARIES: dict[tuple[str, str], tuple[str, ...]] = {
    ("rows removed on the primary while a standby reads them", "postgresql"): (
        "`40001`",
        "`40001` lost",
    ),
    ("the same on a connection of one's own making", "mysql"): ("`1153`", "`2006`"),
    ("the same on a connection of one's own making", "mariadb"): ("`1153`", "`2006`"),
    ("a transaction that lasts too long", "postgresql"): ("no such limit before 17", "`25P04`"),
    ("a transaction idle for too long", "mariadb"): ("`2006`", "`2013`"),
    ("a session idle for too long", "mariadb"): ("`2006`", "`2013`"),
}
