"""Plain SQL on any database: the sync front door; the async one is `plainsql.aio`."""

from plainsql._sync.connection import Connection
from plainsql._sync.engine import Engine, RawConnection, create_engine
from plainsql._sync.pool import NullPool, QueuePool
from plainsql._sync.session import Session, SessionTransaction, sessionmaker
from plainsql._sync.stream import Stream
from plainsql._sync.transaction import Transaction
from plainsql.errors import (
    AmbiguousColumn,
    ArgumentError,
    AuthenticationError,
    CheckViolation,
    CommitUnknown,
    ConnectError,
    CorruptDatabase,
    DatabaseError,
    DataError,
    DBAPIError,
    DeadlockDetected,
    Disconnected,
    DiskFull,
    Error,
    ExclusionViolation,
    ForeignKeyViolation,
    ImplicitCommitWarning,
    InsufficientPrivilege,
    IntegrityError,
    InterfaceError,
    InternalError,
    LockTimeout,
    MappingError,
    MultipleResultsFound,
    NoResultFound,
    NotNullViolation,
    NotSupportedError,
    OperationalError,
    ParameterError,
    PoolClosed,
    PoolError,
    PoolTimeout,
    ProgrammingError,
    QueryCanceled,
    ReadOnlyError,
    ResultError,
    SerializationFailure,
    SQLSyntaxError,
    SQLTextError,
    StatementTimeout,
    TooManyConnections,
    TransactionAborted,
    TransactionStateError,
    UncommittedWarning,
    UndefinedColumn,
    UndefinedTable,
    UniqueViolation,
    UnknownDialect,
    URLError,
)
from plainsql.result import MappingResult, Result, ScalarResult
from plainsql.row import Row, RowMapping
from plainsql.statement import BindParameter, Compiled, TextClause, bindparam, text
from plainsql.url import URL, make_url

__all__ = [name for name in dir() if not name.startswith("_") and name != "plainsql"]
