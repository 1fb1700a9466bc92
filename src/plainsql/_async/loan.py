"""A driver's connection on loan from the pool, and the time that what runs on it may take.

Floor 3, source of the sync twin.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import ref

from plainsql import errors
from plainsql._async.link import CLEAN_UP
from plainsql.concurrency import current_owner_async, name_owner_async
from plainsql.errors import TransactionStateError
from plainsql.ledger import Claim
from plainsql.nesting import Nesting
from plainsql.options import require_number
from plainsql.turns import AsyncTurn, Exclusive, exclusive_async, name_user_async

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plainsql._async.engine import AsyncEngine
    from plainsql._async.link import AsyncLink
    from plainsql._async.stream import AsyncStream
    from plainsql._async.transaction import AsyncTransaction

T = TypeVar("T")

#: What a time limit that elapsed looks like; SQLite's wait for a lock ends by itself.
ENDED = (errors.QueryCanceled, errors.Disconnected, errors.LockTimeout)


class AsyncLoan(Exclusive):
    """What a connection holds: the driver's, as long as it lasts, and the state around it."""

    __slots__ = (
        "__weakref__", "_autocommit", "_blocks", "_claim", "_closed", "_echo", "_ends", "_engine",
        "_limited", "_link", "_nesting", "_options", "_ready", "_server_limit", "_streams",
        "_strict", "_turn", "_whole", "_wrote",
    )  # fmt: skip

    _link: AsyncLink | None

    def __init__(self, engine: AsyncEngine) -> None:
        self._claim: Claim | None = None
        self._link = None
        self._turn = AsyncTurn()
        self._engine = engine
        self._options = engine._options
        self._autocommit = engine._options.autocommit
        self._echo = engine._echo
        self._strict = engine._strict
        self._nesting = Nesting()
        self._ready = False
        self._closed = self._wrote = False
        self._streams: list[AsyncStream[Any]] = []
        self._blocks: list[AsyncTransaction] = []
        self._limited = engine._timeout is not None
        self._server_limit = engine._timeout  # what the server is to keep of the next statement
        self._whole: float | None = None  # the limit of the transaction,
        self._ends = 0.0  # and when its time is over

    async def _take_link(self) -> AsyncLink:
        """Take a connection from the pool: the first time, and after one was lost."""
        if self._closed:
            raise TransactionStateError("this connection is closed; take another one by connect()")
        if self._nesting.doomed:
            self._nesting.require_usable()
        pool = self._engine._pool
        if self._claim is not None:  # an interrupt kept it from being given up
            pool.abandon(self._claim)
        claim = self._claim = Claim()
        try:
            claim.user = ref(self, pool.note_end)
            slot = await pool.acquire(claim)
            link: AsyncLink = slot.raw
            link.last = None  # it was another one's
            self._link = link
        except BaseException:
            self._claim = self._link = None
            pool.abandon(claim)
            raise
        return link

    def _lose(self, reason: str) -> None:
        """Give up the driver's connection; the transaction, if any, is lost with it."""
        claim = self._claim
        if self._nesting.scopes:
            self._nesting.doom(reason)
        self._link, self._ready = None, False
        cursors = self._forget_streams()
        if claim is not None:
            self._engine._pool.abandon(claim)
            self._claim = None
        # not before: a thread that is at work would be waited for, and has been interrupted now
        cursors.clear()

    # -- one user at a time, and interrupts ----------------------------------------------------

    def _refuse(self) -> None:
        raise errors.InterfaceError(
            f"this connection is in use by {name_user_async(self)}, and "
            f"{name_owner_async(current_owner_async())} can not use it meanwhile: "
            "take one connection each"
        )

    def _doubt(self, exc: BaseException) -> None:
        """Keep the connection, after an interrupt, only if it is proved to be as we know it.

        The interrupt may have come between a statement and our note of it.
        """
        link = self._link
        if link is None:
            return
        link.touched = True  # the pool looks at it when it comes back
        begun = self._nesting.open and not self._autocommit
        known = ("active", "failed") if begun else ("idle",)
        if not link.is_idle() or link.dialect.transaction_state(link.own) not in known:
            self._lose(f"interrupted by {type(exc).__name__}")

    # -- time limits ---------------------------------------------------------------------------

    async def _watched(
        self, timeout: float | None, call: Callable[[], Awaitable[T]], *, by_server: bool = True
    ) -> T:
        """Run what talks to the server within the nearest of the limits, if there is any."""
        if timeout is None and not self._limited:
            return await call()
        limit, seconds = self._nearest(timeout)
        link = self._link or await self._take_link()
        self._limited = False
        usual, self._server_limit = self._server_limit, limit if by_server else None
        self._ready = False
        try:
            link.watch.arm(limit, seconds)
            return await call()
        finally:
            self._limited = self._whole is not None or self._engine._timeout is not None
            self._server_limit, self._ready = usual, False
            await self._settle(link)

    @exclusive_async
    async def _at_its_turn(self, timeout: float | None, call: Callable[[], Awaitable[T]]) -> T:
        """The same for what is not a connection's method."""
        return await self._watched(timeout, call)

    def _nearest(self, timeout: float | None) -> tuple[float, float]:
        """Return the nearest limit, and what is left of it; StatementTimeout if nothing is."""
        if timeout is not None:
            require_number("timeout", timeout, 0.001)
        limits = [(n, n) for n in (timeout, self._engine._timeout) if n is not None]
        if self._whole is not None:
            limits.append((self._ends - time.monotonic(), self._whole))
        seconds, limit = min(limits)
        if seconds <= 0:
            raise errors.StatementTimeout(
                f"the transaction's time limit of {limit:g} seconds elapsed before this was sent"
            )
        return limit, seconds

    async def _cleaned_up(self, link: AsyncLink, call: Callable[[], Awaitable[T]]) -> T:
        """Roll back in a time of its own, where there are limits."""
        try:
            link.watch.arm(CLEAN_UP, CLEAN_UP)
            return await call()
        finally:
            await self._settle(link)

    async def _settle(self, link: AsyncLink) -> None:
        """End the watch; where the server was asked to stop, let that hit nothing else."""
        watch = link.watch
        try:
            await watch.disarm()
            if watch.asked and link is self._link and not watch.cut and not self._reads_on(link):
                watch.asked = False
                if link.dialect.ping_sql is not None:
                    with suppress(link.dialect.driver_error):
                        await link.cursor.execute(link.dialect.ping_sql)
        except BaseException as exc:
            if link is self._link:
                self._lose(f"interrupted by {type(exc).__name__}")
            raise
        if watch.cut and link is self._link:
            self._lose("a time limit elapsed")

    def _reads_on(self, link: AsyncLink) -> bool:
        """Tell whether nothing can be asked now, since a stream is in the way."""
        return bool(self._streams) and "interleaved_streams" not in link.dialect.capabilities

    def _limit_elapsed(self, link: AsyncLink, error: errors.DBAPIError) -> errors.DBAPIError:
        """Return what an error is that came because, and not only after, a limit elapsed."""
        if not link.watch.is_over() or not isinstance(error, ENDED):
            return error
        elapsed = errors.StatementTimeout(
            f"the time limit of {link.watch.limit:g} seconds elapsed: {error}"
        )
        elapsed.code = error.code
        return elapsed

    # -- streams -------------------------------------------------------------------------------

    async def _close_streams(self) -> None:
        for stream in list(self._streams):
            await stream.close()

    async def _drop_streams(self, link: AsyncLink) -> None:
        """Close what nobody reads on, in a time of its own; that or lose the connection."""
        limited, self._limited = self._limited, False
        for stream in self._streams:
            stream._timeout = None
        try:
            await self._cleaned_up(link, self._close_streams)
        except errors.DBAPIError as failure:
            self._lose(str(failure))
            raise
        finally:
            self._limited = limited

    async def _abandon_streams(self) -> None:
        """Before the connection goes back: what would be read to its end costs the connection."""
        link = self._link
        if link is None or link.dialect.drains_streams:
            self._lose("a stream was left open")
            return
        with suppress(errors.DBAPIError):  # the connection is gone, and the streams with it
            await self._drop_streams(link)

    def _forget_streams(self) -> list[Any]:
        """Return their cursors: SQLite keeps its locks for as long as somebody knows them."""
        cursors = [stream._forget() for stream in self._streams]
        self._streams.clear()
        return cursors
