"""The async front door: the names of `plainsql` with `Async` before them, awaited."""

from plainsql._async.connection import AsyncConnection
from plainsql._async.engine import AsyncEngine, AsyncRawConnection, create_async_engine
from plainsql._async.operations import AsyncOperationLog
from plainsql._async.pool import AsyncNullPool, AsyncQueuePool
from plainsql._async.session import AsyncSession, AsyncSessionTransaction, async_sessionmaker
from plainsql._async.stream import AsyncStream
from plainsql._async.transaction import AsyncTransaction

__all__ = [
    "AsyncConnection",
    "AsyncEngine",
    "AsyncNullPool",
    "AsyncOperationLog",
    "AsyncQueuePool",
    "AsyncRawConnection",
    "AsyncSession",
    "AsyncSessionTransaction",
    "AsyncStream",
    "AsyncTransaction",
    "async_sessionmaker",
    "create_async_engine",
]
