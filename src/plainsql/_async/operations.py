"""Operations that are applied once, whatever becomes of the answer to COMMIT.

Floor 3, source of the sync twin.  A guest of connections and engines: nothing here but SQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plainsql.clause import unsafe_text
from plainsql.errors import ArgumentError, UniqueViolation

if TYPE_CHECKING:
    from plainsql._async.connection import AsyncConnection
    from plainsql._async.engine import AsyncEngine
    from plainsql._async.session import AsyncSession


class AsyncOperationLog:
    """A table of the operations that were committed, by the names that their callers gave them.

    An operation notes its name in its own transaction, in a column that is unique: the name is
    there exactly if the operation is.  So whoever did not hear the answer to COMMIT does it all
    again, under the same name, on any database and after any failover.

    `table` is the table's name, unquoted.  Its rows may be deleted when nobody will ask, or try
    again, any more; `done` tells their age.
    """

    __slots__ = ("_create", "_engine", "_note")

    def __init__(self, engine: AsyncEngine, table: str = "operation") -> None:
        name = engine.quote(table)
        self._engine = engine
        self._create = unsafe_text(
            f"CREATE TABLE IF NOT EXISTS {name} (id CHAR(64) NOT NULL PRIMARY KEY,"
            " done TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)"
        )
        self._note = unsafe_text(f"INSERT INTO {name} (id) VALUES (:id)")

    async def create(self) -> None:
        """Create the table if it is not there."""
        async with self._engine.begin() as connection:
            await connection.execute(self._create)

    async def once(self, connection: AsyncConnection | AsyncSession, operation: str) -> bool:
        """Note the operation in the transaction; False if it was applied before.

        Waits for a transaction that is at the same operation.  To be called before what is to
        happen once, in the same transaction: `TransactionStateError` in AUTOCOMMIT.  On MySQL and
        MariaDB no DDL may follow, for that commits.
        """
        key = _key(operation)
        try:
            async with connection.begin_nested():
                await connection.execute(self._note, {"id": key})
        except UniqueViolation:
            return False
        return True

    async def was_applied(self, operation: str, *, timeout: float | None = None) -> bool:
        """Tell whether the operation was committed, once nobody is at it any more.

        Waits for a COMMIT that is under way, for `timeout` seconds at most; then
        `StatementTimeout`.
        """
        async with self._engine.connect() as connection:
            async with connection.begin(timeout=timeout) as transaction:
                applied = not await self.once(connection, operation)
                await transaction.rollback()
            return applied

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._engine!r}>"


def _key(operation: Any) -> str:
    """Return what stands for the name: no collation takes two of them for one."""
    if not isinstance(operation, str) or not operation:
        raise ArgumentError(f"an operation is named by a text that is not empty, not {operation!r}")
    from hashlib import sha256

    return sha256(operation.encode("utf-8", "surrogatepass")).hexdigest()
