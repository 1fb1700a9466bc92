"""What became of a lost COMMIT: a token taken before it, and the question asked afterwards.

Floor 3, source of the sync twin.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from plainsql.concurrency import rest_async

if TYPE_CHECKING:
    from plainsql._async.engine import AsyncEngine
    from plainsql.errors import Fate

#: Seconds between two questions while the server is still at it.
PAUSE = 0.05


async def resolve_async(engine: AsyncEngine, token: Any, timeout: float) -> Fate:
    """Ask the server of `engine` what became of the transaction with that token."""
    dialect = engine.dialect
    if token is None or "commit_token" not in dialect.capabilities:
        return "unknown"
    if token[0] is None:
        return "committed"  # it wrote nothing, so nothing was lost
    deadline = time.monotonic() + timeout
    asking = engine.execution_options(isolation_level="AUTOCOMMIT")
    async with asking.connect() as connection:
        sql, values = dialect.fate_sql(token)
        while True:
            found = await connection.exec_driver_sql(sql, values, timeout=timeout)
            fate = dialect.fate(found.scalar())
            if fate is not None or time.monotonic() >= deadline:
                return fate or "unknown"
            await rest_async(PAUSE)
