"""A transaction or savepoint as its user holds it; the connection does the work.

Floor 3, source of the sync twin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from plainsql.nesting import Scope
from plainsql.url import not_pickled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Self

    from plainsql._async.transacting import AsyncTransacting

Owner = TypeVar("Owner", bound="Any")


class AsyncTransaction(Scope):
    """The outermost transaction, or a savepoint; a context manager.

    Leaving the block commits, or rolls back if an exception leaves it; what has already ended is
    left alone.  A rollback that fails on the way out never hides that exception: it is added to
    it as a note.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: AsyncTransacting, name: str | None) -> None:
        super().__init__(name)
        self._connection = connection

    async def commit(self) -> None:
        """Commit the transaction, or release the savepoint.

        `TransactionAborted` says that it was rolled back instead; `TransactionStateError` that it
        has ended before.
        """
        await self._connection._commit_scope(self)

    async def rollback(self) -> None:
        """Roll back to where this began; nothing if it has ended."""
        if self.is_active:
            await self._connection._roll_back_scope(self)

    async def close(self) -> None:
        """Roll back if it has not ended."""
        await self.rollback()

    __reduce__ = not_pickled

    async def __aenter__(self) -> Self:
        self._connection._enter_block(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection._leave_block(self)
        if not self.is_active:
            return
        if exc is not None:
            await self._connection._abandon_scope(self, exc)
            return
        try:
            await self.commit()
        except BaseException as failure:
            await self._connection._abandon_scope(self, failure)
            raise


class AsyncBlock(Generic[Owner]):
    """One transaction and what it runs on: `engine.begin()` and `sessionmaker.begin()`.

    Entering opens the connection or session and begins; leaving commits, or rolls back if an
    exception leaves the block, and closes what was opened.
    """

    __slots__ = ("_open", "_owner", "_timeout", "_transaction")

    def __init__(
        self, open_owner: Callable[[], Awaitable[Owner]], timeout: float | None = None
    ) -> None:
        self._open = open_owner
        self._timeout = timeout

    async def __aenter__(self) -> Owner:
        self._owner = await self._open()
        try:
            self._transaction = await self._owner._begin_root(self._timeout)
        except BaseException:
            await self._owner.close()
            raise
        await self._transaction.__aenter__()
        return self._owner

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._transaction.__aexit__(kind, exc, trace)
        except BaseException as failure:
            await self._owner.__aexit__(type(failure), failure, failure.__traceback__)
            raise
        if exc is None:
            await self._owner.close()
        else:
            await self._owner.__aexit__(kind, exc, trace)
