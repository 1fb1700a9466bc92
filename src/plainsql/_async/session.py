"""The session: a transaction at a time, on a connection that it holds only meanwhile.

Floor 3, source of the sync twin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from plainsql._async.engine import AsyncEngine
from plainsql._async.transaction import AsyncBlock
from plainsql.concurrency import Opening, current_owner_async, name_owner_async
from plainsql.errors import ArgumentError, InterfaceError, TransactionStateError
from plainsql.url import not_pickled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from types import TracebackType
    from typing import LiteralString, Self

    from plainsql._async.connection import AsyncConnection
    from plainsql._async.stream import AsyncStream
    from plainsql._async.transaction import AsyncTransaction
    from plainsql.clause import Statement, TextClause
    from plainsql.result import Result

    Params = Mapping[str, Any] | Iterable[Mapping[str, Any]] | None

T = TypeVar("T")


class AsyncSession:
    """Statements in a transaction; `commit()` or `rollback()` ends it and frees the connection.

    The connection is taken from the engine at the first statement and given back when the
    transaction ends; the next statement takes one again.  Leaving the `with` block rolls back
    what was not committed.  Not to be used by two threads or tasks at once.
    """

    __slots__ = ("_bind", "_block", "_connection", "_engine", "_taker")

    _connection: AsyncConnection | None

    def __init__(self, bind: AsyncEngine, **execution_options: Any) -> None:
        if not isinstance(bind, AsyncEngine):
            raise ArgumentError(f"a session is bound to an engine, not to {bind!r}")
        self._engine = bind
        self._bind = bind.execution_options(**execution_options) if execution_options else bind
        self._connection = None
        self._block: AsyncSessionTransaction | None = None
        self._taker: Any = None  # who takes the connection just now; later it has a turn itself

    @overload
    async def execute(
        self,
        statement: Statement,
        params: Params = None,
        *,
        into: type[T],
        lax: bool = False,
        timeout: float | None = None,
        execution_options: Mapping[str, Any] | None = None,
    ) -> Result[T]: ...

    @overload
    async def execute(
        self,
        statement: Statement,
        params: Params = None,
        *,
        into: None = None,
        lax: bool = False,
        timeout: float | None = None,
        execution_options: Mapping[str, Any] | None = None,
    ) -> Result[Any]: ...

    async def execute(
        self,
        statement: Statement,
        params: Params = None,
        *,
        into: type[Any] | None = None,
        lax: bool = False,
        timeout: float | None = None,
        execution_options: Mapping[str, Any] | None = None,
    ) -> Result[Any]:
        """Run one statement; as `Connection.execute`."""
        connection = self._connection
        if connection is None:
            connection = await self._connect()
        return await connection.execute(
            statement,
            params,
            into=into,
            lax=lax,
            timeout=timeout,
            execution_options=execution_options,
        )

    async def scalar(
        self,
        statement: Statement,
        params: Params = None,
        *,
        timeout: float | None = None,
        execution_options: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a statement and return the first column of its first row, or None."""
        connection = self._connection or await self._connect()
        return await connection.scalar(
            statement, params, timeout=timeout, execution_options=execution_options
        )

    async def scalars(
        self,
        statement: Statement,
        params: Params = None,
        *,
        timeout: float | None = None,
        execution_options: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run a statement and return the first column of its rows."""
        connection = self._connection or await self._connect()
        return await connection.scalars(
            statement, params, timeout=timeout, execution_options=execution_options
        )

    async def execute_script(self, script: LiteralString | TextClause) -> int:
        """Run the statements of a script, one by one; as `Connection.execute_script`."""
        connection = self._connection or await self._connect()
        return await connection.execute_script(script)

    @overload
    def stream(
        self,
        statement: Statement,
        params: Mapping[str, Any] | None = None,
        *,
        batch: int = 1000,
        into: type[T],
        lax: bool = False,
        timeout: float | None = None,
    ) -> Opening[AsyncStream[T]]: ...

    @overload
    def stream(
        self,
        statement: Statement,
        params: Mapping[str, Any] | None = None,
        *,
        batch: int = 1000,
        into: None = None,
        lax: bool = False,
        timeout: float | None = None,
    ) -> Opening[AsyncStream[Any]]: ...

    def stream(
        self,
        statement: Statement,
        params: Mapping[str, Any] | None = None,
        *,
        batch: int = 1000,
        into: type[Any] | None = None,
        lax: bool = False,
        timeout: float | None = None,
    ) -> Opening[AsyncStream[Any]]:
        """Run one query and return its rows as they come; as `Connection.stream`."""
        return Opening(self._stream(statement, params, batch, into, lax=lax, timeout=timeout))

    async def _stream(
        self,
        statement: Statement,
        params: Mapping[str, Any] | None,
        batch: int,
        into: type[Any] | None,
        *,
        lax: bool,
        timeout: float | None,
    ) -> AsyncStream[Any]:
        connection = self._connection or await self._connect()
        return await connection._stream(statement, params, batch, into, lax=lax, timeout=timeout)

    # -- transactions --------------------------------------------------------------------------

    def begin(self, *, timeout: float | None = None) -> Opening[AsyncSessionTransaction]:
        """Begin; a context manager that commits, or rolls back on an exception.

        `timeout` as for `Connection.begin`.
        """
        return Opening(self._begin_root(timeout))

    async def _begin_root(self, timeout: float | None = None) -> AsyncSessionTransaction:
        if self._connection is not None:
            raise TransactionStateError("a transaction is already begun on this session")
        connection = await self._connect()
        return AsyncSessionTransaction(self, await connection._begin_root(timeout))

    def begin_nested(self) -> Opening[AsyncTransaction]:
        """Set a savepoint, in a transaction that is begun if need be; to any depth."""
        return Opening(self._begin_nested())

    async def _begin_nested(self) -> AsyncTransaction:
        connection = self._connection or await self._connect()
        return await connection._begin_nested()

    async def commit(self) -> None:
        """Commit the transaction; nothing if there is none.  Errors as `Connection.commit`."""
        connection = self._connection  # as `_alone`, written out: it ends most transactions
        if connection is None:
            return
        turn = connection._turn
        if not turn.acquire(False):
            connection._refuse()
        try:
            await connection.commit()
            await self._release()
        finally:
            turn.release()

    async def rollback(self) -> None:
        """Roll back the transaction; nothing if there is none."""
        await self._alone(self._roll_back)

    async def _roll_back(self, connection: AsyncConnection) -> None:
        try:
            await connection.rollback()
        finally:
            await self._release()

    async def _alone(self, end: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        """End the transaction, if there is one, unless another thread or task is at work in it."""
        connection = self._connection
        if connection is None:
            return
        if not connection._turn.acquire(False):
            connection._refuse()
        try:
            await end(connection)
        finally:
            connection._turn.release()

    def in_transaction(self) -> bool:
        """Tell whether a transaction is begun."""
        return self._connection is not None

    def in_nested_transaction(self) -> bool:
        """Tell whether a savepoint is set."""
        return self._connection is not None and self._connection.in_nested_transaction()

    # -- the session itself --------------------------------------------------------------------

    async def connection(self) -> AsyncConnection:
        """Return the connection of this transaction, taken now if need be; the session's."""
        return self._connection or await self._connect()

    def get_bind(self) -> AsyncEngine:
        """Return the engine."""
        return self._engine

    async def invalidate(self) -> None:
        """Close the driver's connection at once, and end the transaction with it."""
        await self._alone(self._invalidate)

    async def _invalidate(self, connection: AsyncConnection) -> None:
        await connection.invalidate()
        await self._release()

    async def close(self) -> None:
        """Roll back what was not committed and free the connection; usable afterwards.

        Warns, by `UncommittedWarning`, where that drops what was written.
        """
        await self._release()

    async def _connect(self) -> AsyncConnection:
        if self._block is not None:
            raise TransactionStateError(
                "the transaction of this `with` block has ended; leave the block first"
            )
        me = current_owner_async()
        if self._taker and self._taker != me:  # no other thread comes between this and the next
            self._refuse(me)
        try:
            self._taker = me
            connection = self._connection
            if connection is None:
                self._connection = connection = await self._bind._connect()
            return connection
        finally:
            self._taker = None

    def _refuse(self, me: Any) -> None:
        raise InterfaceError(
            f"this session is in use by {name_owner_async(self._taker)}, and "
            f"{name_owner_async(me)} can not use it meanwhile: make one session each"
        )

    async def _release(self) -> None:
        connection = self._connection
        if connection is not None:
            try:
                await connection.close()
            finally:
                if connection._closed:  # unless somebody is at work on it
                    self._connection = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        connection = self._connection
        if connection is not None:
            try:
                await connection.__aexit__(kind, exc, trace)
            finally:
                if connection._closed:
                    self._connection = None

    __reduce__ = not_pickled

    def __repr__(self) -> str:
        state = "in transaction" if self._connection is not None else "idle"
        return f"<{type(self).__name__} of {self._engine!r}: {state}>"


class AsyncSessionTransaction:
    """The transaction of `Session.begin()`; its end frees the session's connection."""

    __slots__ = ("_ended", "_session", "_transaction")

    def __init__(self, session: AsyncSession, transaction: AsyncTransaction) -> None:
        self._session = session
        self._transaction = transaction
        self._ended = False

    @property
    def is_active(self) -> bool:
        """True until it is committed or rolled back."""
        return self._transaction.is_active

    @property
    def session(self) -> AsyncSession:
        """The session."""
        return self._session

    async def commit(self) -> None:
        """Commit; as `Session.commit`."""
        await self._transaction.commit()
        await self._free()

    async def rollback(self) -> None:
        """Roll back; as `Session.rollback`."""
        await self._session._alone(self._roll_back)

    async def _roll_back(self, connection: AsyncConnection) -> None:
        del connection
        try:
            await self._transaction.rollback()
        finally:
            await self._free()

    async def close(self) -> None:
        """Roll back if it has not ended."""
        await self.rollback()

    async def _free(self, because: BaseException | None = None) -> None:
        """Free the session's connection; no warning replaces the exception that is the reason."""
        if self._ended:
            return
        self._ended = True
        if because is None:
            await self._session._release()
        else:
            await self._session.__aexit__(type(because), because, because.__traceback__)

    async def __aenter__(self) -> Self:
        self._session._block = self
        await self._transaction.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._transaction.__aexit__(kind, exc, trace)
        except BaseException as failure:
            self._session._block = None
            await self._free(failure)
            raise
        self._session._block = None
        await self._free(exc)


class async_sessionmaker:  # noqa: N801 - SQLAlchemy's name
    """A factory of sessions with the same engine and options."""

    def __init__(self, bind: AsyncEngine | None = None, **execution_options: Any) -> None:
        self._bind = bind
        self._options = execution_options

    def configure(self, bind: AsyncEngine | None = None, **execution_options: Any) -> None:
        """Change the engine or the options of the sessions to come."""
        self._bind = bind or self._bind
        self._options = {**self._options, **execution_options}

    def __call__(self, **execution_options: Any) -> AsyncSession:
        """Make a session."""
        if self._bind is None:
            raise ArgumentError("this sessionmaker has no engine: configure(bind=engine) first")
        return AsyncSession(self._bind, **{**self._options, **execution_options})

    def begin(self, *, timeout: float | None = None) -> AsyncBlock[AsyncSession]:
        """Make a session and begin: a block that commits, or rolls back, and closes.

        `timeout` as for `Connection.begin`.
        """
        return AsyncBlock(self._open, timeout)

    async def _open(self) -> AsyncSession:
        return self()
