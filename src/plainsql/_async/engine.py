"""The engine: one database by its URL, its dialect and its pool.

Floor 3, source of the sync twin.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import ref

from plainsql._async.connection import AsyncConnection
from plainsql._async.link import AsyncOpener
from plainsql._async.pool import AsyncNullPool, AsyncQueuePool
from plainsql._async.resolving import resolve_async
from plainsql._async.running import run_async
from plainsql._async.transaction import AsyncBlock
from plainsql.concurrency import Opening
from plainsql.errors import ArgumentError
from plainsql.ledger import Claim
from plainsql.options import (
    TransactionOptions,
    require_callables,
    require_flags,
    require_number,
    require_pool_limits,
)
from plainsql.registry import load_dialect
from plainsql.retrying import Attempts
from plainsql.url import discreet, make_url, not_pickled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Literal, Self

    from plainsql.codecs import Codecs
    from plainsql.dialect import Dialect
    from plainsql.errors import Fate
    from plainsql.ledger import Slot
    from plainsql.url import URL

T = TypeVar("T")

POOLS: dict[str, type[AsyncQueuePool]] = {"QueuePool": AsyncQueuePool, "NullPool": AsyncNullPool}


@discreet
def create_async_engine(
    url: str | URL,
    *,
    echo: bool = False,
    pool_size: int = 5,
    max_overflow: int = 10,
    pool_timeout: float = 30.0,
    pool_recycle: float = 1800.0,
    pool_pre_ping: bool | None = None,
    pool_stacks: bool = False,
    pool_leak_after: float | None = None,
    reset: Literal["rollback", "full"] = "rollback",
    poolclass: Literal["QueuePool", "NullPool"] | type[AsyncQueuePool] = "QueuePool",
    isolation_level: str | None = None,
    connect_args: Mapping[str, Any] | None = None,
    connect_timeout: float = 10.0,
    timeout: float | None = None,
    hide_parameters: bool | None = None,
    strict_parameters: bool = False,
    commit_token: bool = False,
    creator: Callable[[], Any] | None = None,
    on_connect: Callable[[Any], Any] | None = None,
    root: str | os.PathLike[str] | None = None,
    json_dumps: Callable[[Any], str] | None = None,
    json_loads: Callable[[str | bytes], Any] | None = None,
) -> AsyncEngine:
    """Make an engine for `dialect+driver://user:password@host:port/database?option=…`.

    Nothing is connected before the first statement.  Times are in seconds.

    - `echo`: log every statement on the logger `plainsql.engine`, to standard output by default.
    - `pool_size` + `max_overflow` connections at most, of which `pool_size` are kept idle;
      `max_overflow=-1` sets no limit.
    - `pool_timeout`: how long to wait for a connection before `PoolTimeout`.
    - `pool_recycle`: the longest life of a connection, less up to a tenth; -1 for ever.
    - `pool_pre_ping`: None asks the server after a second of idleness, True each time, False
      never; the socket is looked at each time.
    - `pool_stacks`: a `PoolTimeout` shows how those who hold connections came to take them.
    - `pool_leak_after`: a connection that is held for longer is logged, once, with the line that
      took it, on the logger `plainsql.pool`; None: never.
    - `reset`: what is done with a connection that comes back: "rollback" ends its transaction,
      "full" leaves nothing of the session: role, settings, locks, temporary tables.
    - `poolclass`: "QueuePool" or "NullPool", which keeps no connection.
    - `isolation_level`: by portable name, or "AUTOCOMMIT".
    - `connect_args`: handed to the driver's `connect` as they are.
    - `connect_timeout`: how long a connect may take, with TLS and authentication.
    - `timeout`: how long a statement may take before `StatementTimeout`; None sets no limit.
    - `hide_parameters`: None hides values in exceptions and shows them under `echo`; True hides
      them everywhere, False nowhere.
    - `strict_parameters`: surplus parameter names are an error.
    - `commit_token`: ask, before each COMMIT, which transaction it is, so that
      `CommitUnknown.resolve` can tell what became of it; on PostgreSQL.
    - `creator`: called, without arguments, for each new connection instead of the driver's
      `connect`.
    - `on_connect`: called with each new driver connection, to set it up, and after a full reset.
    - `root`: the folder that the file of an SQLite URL must be in, links resolved; a relative name
      begins there.
    - `json_dumps`, `json_loads`: instead of the standard library's, for `Json` and JSON columns.

    Raises `URLError`, `UnknownDialect` (naming the extra to install) or `ArgumentError`.
    """
    url = make_url(url)
    dialect = load_dialect(url.drivername)
    dialect.options(url)
    make_pool = _pool_class(poolclass)
    options = TransactionOptions(dialect).merged(dialect, {"isolation_level": isolation_level})
    require_pool_limits(pool_size, max_overflow)
    require_number("pool_timeout", pool_timeout, 0)
    require_number("pool_recycle", pool_recycle, -1)
    require_number("connect_timeout", connect_timeout, 0.001)
    if timeout is not None:
        require_number("timeout", timeout, 0.001)
    if pool_leak_after is not None:
        require_number("pool_leak_after", pool_leak_after, 0.001)
    if reset not in ("rollback", "full"):
        raise ArgumentError(f"reset must be 'rollback' or 'full', not {reset!r}")
    require_flags(
        echo=echo,
        strict_parameters=strict_parameters,
        commit_token=commit_token,
        pool_stacks=pool_stacks,
    )
    if commit_token:
        dialect.require("commit_token", "commit_token=True")
    require_flags(or_none=True, pool_pre_ping=pool_pre_ping, hide_parameters=hide_parameters)
    require_callables(
        creator=creator, on_connect=on_connect, json_dumps=json_dumps, json_loads=json_loads
    )
    if not isinstance(connect_args, Mapping | None):
        raise ArgumentError(f"connect_args must be a mapping, not {type(connect_args).__name__}")
    if root is not None:
        _confine(dialect, root, creator)
    dialect.codecs.json(json_dumps, json_loads)
    opener = AsyncOpener(
        dialect,
        url,
        connect_args=dict(connect_args or {}),
        connect_timeout=connect_timeout,
        creator=creator,
        on_connect=on_connect,
    )
    pool = make_pool(
        opener,
        size=pool_size,
        max_overflow=max_overflow,
        timeout=pool_timeout,
        recycle=pool_recycle,
        pre_ping=pool_pre_ping,
        full_reset=reset == "full",
        stacks=pool_stacks,
        leak_after=pool_leak_after,
    )
    return AsyncEngine(
        url,
        dialect,
        pool,
        options,
        echo=_echo(hidden=bool(hide_parameters)) if echo else None,
        show_parameters=hide_parameters is False,
        strict=strict_parameters,
        timeout=timeout,
        commit_token=commit_token,
    )


def _confine(dialect: Dialect, root: Any, creator: Any) -> None:
    if not isinstance(root, str | os.PathLike):
        raise ArgumentError(f"root must be a path, not {type(root).__name__}")
    if creator is not None:
        raise ArgumentError("root can not confine what a creator opens: give one of the two")
    dialect.confine(os.fspath(root))


def _pool_class(poolclass: Any) -> type[AsyncQueuePool]:
    if isinstance(poolclass, str) and poolclass in POOLS:
        return POOLS[poolclass]
    name = getattr(poolclass, "__name__", None)
    if name in POOLS:
        return POOLS[name]
    if isinstance(poolclass, type) and issubclass(poolclass, AsyncQueuePool):
        return poolclass
    raise ArgumentError(f"poolclass must be 'QueuePool' or 'NullPool', not {poolclass!r}")


def _echo(*, hidden: bool) -> Any:
    from plainsql.echo import Echo

    return Echo(hidden=hidden)


class AsyncEngine:
    """One database and its pool of connections; made by `create_async_engine`, kept for ever.

    Safe to share between threads or tasks.  `dispose()` closes what is idle.
    """

    def __init__(
        self,
        url: URL,
        dialect: Dialect,
        pool: AsyncQueuePool,
        options: TransactionOptions,
        *,
        echo: Any,
        show_parameters: bool,
        strict: bool,
        timeout: float | None,
        commit_token: bool,
    ) -> None:
        self._url = url
        self._dialect = dialect
        self._pool = pool
        self._options = options
        self._echo = echo
        self._show_parameters = show_parameters
        self._strict = strict
        self._timeout = timeout
        self._commit_token = commit_token
        self._streams = count(1)

    @property
    def url(self) -> URL:
        """The URL; its text shows no password."""
        return self._url

    @property
    def name(self) -> str:
        """The dialect's name."""
        return self._dialect.name

    @property
    def driver(self) -> str:
        """The driver's name."""
        return self._dialect.driver_name

    @property
    def dialect(self) -> Dialect:
        """The dialect."""
        return self._dialect

    @property
    def codecs(self) -> Codecs:
        """How this engine's values go to the driver and back; `codecs.register(…)` adds types."""
        return self._dialect.codecs

    def quote(self, name: str) -> str:
        """Return the name of a table or column as an identifier of this database's SQL.

        ArgumentError where the server can not hold it: empty, with NUL, or too long.  A qualified
        name is quoted part by part.
        """
        return self._dialect.quote(name)

    @property
    def pool(self) -> AsyncQueuePool:
        """The pool; `pool.status()` is a snapshot."""
        return self._pool

    @property
    def echo(self) -> bool:
        """Whether statements are logged."""
        return self._echo is not None

    def connect(self) -> Opening[AsyncConnection]:
        """Take a connection from the pool; a context manager that gives it back."""
        return Opening(self._connect())

    async def _connect(self) -> AsyncConnection:
        connection = AsyncConnection(self)
        try:
            await connection._take_link()
            return connection
        except BaseException:
            connection._lose("interrupted while it was opened")
            raise

    def begin(self, *, timeout: float | None = None) -> AsyncBlock[AsyncConnection]:
        """Take a connection and begin; leaving the block commits, or rolls back on an exception.

        `timeout` as for `Connection.begin`.
        """
        return AsyncBlock(self._connect, timeout)

    async def run(
        self,
        fn: Callable[[AsyncConnection], Awaitable[T]],
        *,
        attempts: int = 10,
        deadline: float | None = None,
        isolation_level: str | None = None,
        read_only: bool | None = None,
    ) -> T:
        """Call `fn` with a connection in a transaction, commit, and return what `fn` returned.

        Where that fails with an error that is `retryable`, all of it is done again, in a fresh
        transaction, after a random pause that grows: `attempts` times at most, and so that it ends
        within `deadline` seconds.  Anything else that is raised is raised at once, and so is what
        leaves the outcome unknown.  The last error tells all attempts: `error.attempts`.

        `fn` may be called several times: what it does beside the database must bear that.
        On SQLite a transaction that is not `read_only` begins by taking the lock for writing.
        """
        options: dict[str, Any] = {"isolation_level": isolation_level, "read_only": read_only}
        given = {name: value for name, value in options.items() if value is not None}
        engine = self.execution_options(**given)
        if engine._options.autocommit:
            raise ArgumentError("run() runs transactions, and AUTOCOMMIT has none")
        engine._options.begin = self._dialect.begin_repeatable(engine._options.begin)
        return await run_async(engine, fn, Attempts(attempts, deadline, time.monotonic()))

    def raw_connection(self) -> Opening[AsyncRawConnection]:
        """Take the driver's own connection from the pool; `close()` gives it back."""
        return Opening(self._raw_connection())

    async def _raw_connection(self) -> AsyncRawConnection:
        claim = Claim()
        try:
            return await self._take_raw(claim)
        except BaseException:
            self._pool.abandon(claim)
            raise

    async def _take_raw(self, claim: Claim) -> AsyncRawConnection:
        slot = await self._pool.acquire(claim)
        connection = AsyncRawConnection(self._pool, slot, claim)
        claim.user = ref(connection, self._pool.note_end)
        return connection

    def execution_options(self, **options: Any) -> Self:
        """Return an engine on the same pool whose connections have these options.

        `isolation_level` by portable name or "AUTOCOMMIT", `read_only`, `deferrable`.
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._options = self._options.merged(self._dialect, options)
        return twin

    def get_execution_options(self) -> dict[str, Any]:
        """Return the options in force."""
        return self._options.as_dict()

    async def dispose(self) -> None:
        """Close idle connections now and busy ones when they come back; usable afterwards.

        An in-memory SQLite database ends here.
        """
        await self._pool.dispose()

    async def close(self, *, timeout: float = 5.0) -> None:
        """Close for ever: who waits for a connection, or asks for one, gets `PoolClosed`.

        Idle connections are closed now; those in use have `timeout` seconds to come back before
        their sockets are shut.  An in-memory SQLite database ends here.
        """
        require_number("timeout", timeout, 0)
        await self._pool.close(timeout)

    async def _resolve(self, token: Any, timeout: float) -> Fate:
        return await resolve_async(self, token, timeout)

    def _next_stream(self) -> int:
        return next(self._streams)

    __reduce__ = not_pickled

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url})"


class AsyncRawConnection:
    """The driver's own connection, on loan from the pool; examined when it comes back.

    Everything but `close` is the driver's.  It is in the driver's autocommit mode.
    """

    def __init__(self, pool: AsyncQueuePool, slot: Slot, claim: Claim) -> None:
        self._pool = pool
        self._claim: Claim | None = claim
        self._link = slot.raw
        self._link.touched = True
        self._link.last = None

    @property
    def driver_connection(self) -> Any:
        """The driver's connection."""
        if self._claim is None:
            raise ArgumentError("this connection was given back; take another one")
        return self._link.raw

    async def close(self) -> None:
        """Give the connection back; may be called twice."""
        if self._claim is not None:
            await self._pool.release(self._claim)
            self._claim = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if exc is None or isinstance(exc, Exception) or self._claim is None:
            await self.close()
            return
        self._pool.abandon(self._claim)  # a call was interrupted, and its answer may still come
        self._claim = None

    __reduce__ = not_pickled

    def __getattr__(self, name: str) -> Any:
        return getattr(self.driver_connection, name)

    def __del__(self) -> None:
        claim = self.__dict__.get("_claim")
        if claim is not None:
            self._pool.drop(claim)
