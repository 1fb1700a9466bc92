"""A driver's connection with what belongs to it, and how one is opened.

Floor 3, source of the sync twin.
"""

from __future__ import annotations

import select
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from plainsql._async.watch import AsyncWatch
from plainsql.cache import StatementCache
from plainsql.concurrency import hard_close_async, reset_async, run_hook_async
from plainsql.errors import ConnectError, InterfaceError, NotSupportedError
from plainsql.result import PLAIN, View
from plainsql.row import row_class
from plainsql.url import Secret, forget_frames

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import NoReturn

    from plainsql.codecs import Decoding
    from plainsql.dialect import Dialect
    from plainsql.row import Row
    from plainsql.rules import LexicalRules
    from plainsql.statement import Compiled, Examined
    from plainsql.url import URL


#: Seconds that the server has to answer when a connection is cleaned up or looked at, and for a
#: rollback where there are limits, however little time is left.
CLEAN_UP = 5.0


class AsyncLink:
    """A driver's connection with what belongs to it: one cursor, and its compiled statements.

    `raw` is what the shell awaits, `own` the driver's own connection, `own_cursor` likewise.
    `last` is the statement that was sent last.  `touched`: a user had the driver's connection, or
    a call was interrupted; `unsettled`: the transaction may have changed the lexer's mode, and its
    end may change it back.  `server_limit`: the server's own time limit as it was last set, in
    seconds; None as at connect, and NaN where a rollback may have undone it.
    """

    __slots__ = (
        "_caches", "_on_connect", "columns", "compiled", "cursor", "dialect", "last", "limit",
        "own", "own_cursor", "poll", "raw", "server_limit", "statements", "touched", "unsettled",
        "watch",
    )  # fmt: skip

    compiled: Mapping[Any, Compiled]
    statements: StatementCache

    def __init__(
        self,
        dialect: Dialect,
        raw: Any,
        caches: dict[LexicalRules, StatementCache],
        on_connect: Callable[[Any], Any] | None,
    ) -> None:
        self.dialect = dialect
        self.raw = raw
        self.own = getattr(raw, "driver_connection", raw)
        self.cursor = raw.cursor()
        self.own_cursor = getattr(self.cursor, "driver_cursor", self.cursor)
        by_type = dialect.codecs.by_column and dialect.typed_columns
        self.columns = by_type or dialect.columns
        self._caches = caches
        self._on_connect = on_connect
        self.take_rules()
        self.last: Examined | None = None
        self.touched = self.unsettled = False
        self.server_limit: float | None = None
        self.watch = AsyncWatch(dialect, raw, self.own)
        self.limit = dialect.parameter_limit(self.own)
        dialect.codecs.connected = True
        self.poll = _poller(dialect.fileno(self.own))

    def take_rules(self) -> None:
        """Read the next statements as the server does, in the mode that was last heard of."""
        rules, caches = self.dialect.lexical_rules(self.own), self._caches
        if rules not in caches:
            caches[rules] = StatementCache(self.dialect, rules)
        self.statements = caches[rules]
        self.compiled = self.statements.entries

    async def learn_mode(self) -> None:
        """Hear how the server reads SQL now; NotSupportedError if that is not safe."""
        sql = self.dialect.mode_sql
        if sql is not None:
            await self.cursor.execute(sql)
            rows = await self.cursor.fetchall()
            self.dialect.learn_mode(self.own, rows[0])
        self.take_rules()

    def learn_shape(
        self, compiled: Examined, columns: Any, cursor: Any
    ) -> tuple[type[Row], Decoding | None, View]:
        """Keep with the statement, and return, its rows' class, what reads and what shows them."""
        dialect = self.dialect
        names = dialect.column_names(columns)
        cls = row_class(names)
        codecs, codes, mapper = dialect.codecs, None, compiled.mapper
        if codecs.by_column or compiled.columns or mapper is not None:
            typed = dialect.typed_columns
            codes = dialect.column_codes(columns if typed is None else typed(cursor))
        fields = () if mapper is None else mapper.readings(names, codecs)
        view = PLAIN if mapper is None else View(unit=mapper.unit(names), into=mapper.into)
        decode = codecs.decoding(names, codes, compiled.columns, fields)
        compiled.shape = columns, cls, decode, view
        return cls, decode, view

    def is_idle(self) -> bool:
        """Tell whether no answer is outstanding, after an interrupt; only what is proved."""
        return self.own is self.raw and self.dialect.proves_idle(self.own)

    async def answers(self) -> bool:
        """Ask the server whether it is still there, for `CLEAN_UP` seconds at most."""
        sql = self.dialect.ping_sql
        if sql is None:
            return self._is_sound()
        return self._is_sound() and await self._bounded(partial(self._ask, sql))

    def _is_sound(self) -> bool:
        """Tell whether the connection seems to be open, with nobody's answer on its way."""
        if self.poll is not None and not self.dialect.speaks_unasked and self.poll(0):
            return False
        return self.dialect.is_open(self.own)

    async def _ask(self, sql: str) -> bool:
        await self.cursor.execute(sql)
        if self.columns(self.own_cursor) is not None:
            await self.cursor.fetchall()
        return True

    async def restored(self, *, full: bool) -> bool:
        """End what may have been begun on the connection; with `full` leave nothing of a session.

        False if that is not possible: then it is of no use any more.
        """
        return self._is_sound() and await self._bounded(partial(self._restore, full))

    async def _restore(self, full: bool) -> bool:
        dialect = self.dialect
        touched, self.touched = self.touched, False
        if touched and dialect.transaction_state(self.own) != "idle":
            await self.cursor.execute("ROLLBACK")
        if full:
            if not await reset_async(self):
                return False
            self.server_limit = None
            if self._on_connect is None:
                self.take_rules()  # the dialect has heard of the mode
                return True
            await run_hook_async(self._on_connect, self.raw)
        await self.learn_mode()
        return True

    async def _bounded(self, call: Callable[[], Awaitable[bool]]) -> bool:
        """Clean up, for `CLEAN_UP` seconds at most; False where that fails."""
        watch = self.watch
        try:
            watch.arm(CLEAN_UP, CLEAN_UP)
            try:
                done = await call()
            finally:
                await watch.disarm()
        except (self.dialect.driver_error, NotSupportedError):
            return False
        return done and not (watch.asked or watch.cut)

    async def close(self) -> None:
        """Close politely a connection that nobody uses any more."""
        try:
            await self.raw.close()
        except (self.dialect.driver_error, OSError):
            self.abort()

    @property
    def lingers(self) -> bool:
        """Whether a thread is at work on the connection that can not be called back.

        It waits for something else than a socket, as SQLite for a lock.
        """
        return self.own is not self.raw and self.poll is None and self.raw.is_at_work

    def abort(self, then: Callable[[], None] | None = None) -> None:
        """Close a doubtful connection without any protocol; never waits for the server.

        `then` is called when a thread that was at work on it has ended.
        """
        try:
            hard_close_async(self.dialect, self.raw, then)
        finally:
            self.watch.let_go()

    def cut(self) -> None:
        """Let what waits on the connection fail; its user closes it then."""
        with suppress(OSError, self.dialect.driver_error):
            self.dialect.abort(self.own)

    def orphan(self) -> None:
        """Keep a child from using what its parent opened, or a loop what another one did."""
        self.raw = self.cursor = Orphan()

    def finish(self) -> None:
        """Close without protocol a connection that nobody uses any more; also at exit."""
        with suppress(OSError, self.dialect.driver_error):
            if self.own is self.raw:
                self.dialect.finish(self.own)
            else:
                self.raw.finish()


def _poller(fd: int | None) -> Callable[[int], Any] | None:
    """Return what tells whether an idle socket has something to read: most likely its end."""
    if fd is None or fd < 0 or not hasattr(select, "poll"):
        return None
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLERR | select.POLLHUP)
    return poll.poll


class Orphan:
    """What stands in place of a connection that is another process's, or another loop's."""

    is_at_work = False

    def __getattr__(self, name: str) -> Any:
        self.refuse()

    def refuse(self) -> NoReturn:
        """Raise InterfaceError."""
        raise InterfaceError(
            "this connection was opened before a fork, or in another event loop, and is not to be "
            "used here: take another one by connect()"
        )


class AsyncOpener:
    """How an engine's connections are made: by the dialect, or by the user's `creator`."""

    def __init__(
        self,
        dialect: Dialect,
        url: URL,
        *,
        connect_args: Mapping[str, Any],
        connect_timeout: float,
        creator: Callable[[], Any] | None,
        on_connect: Callable[[Any], Any] | None,
    ) -> None:
        self.dialect = dialect
        self._url = url
        self._connect_args = Secret(connect_args)
        self._timeout = connect_timeout
        self._creator = creator
        self._on_connect = on_connect
        self._caches: dict[LexicalRules, StatementCache] = {}
        self._database: Any = None
        self._database = dialect.open_database(url)

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Let go of what lives as long as the pool: an in-memory database ends."""
        if self._database is not None:
            self._database.close()

    def renew(self) -> None:
        """Begin anew with what lives as long as the pool."""
        if self._database is not None:
            self._database.close()
            self._database = self.dialect.open_database(self._url)

    def begin_in_child(self) -> None:
        """Begin with new caches after a fork: a thread of the parent may have held their locks."""
        self._caches = {}

    async def _connect(self) -> Any:
        """Connect; what our own connect raises bears no frames, for theirs hold the password."""
        if self._creator is not None:
            return await self.dialect.adopt_async(self._creator)
        try:
            connect = self.dialect.connect_async
            return await connect(self._url, self._timeout, self._connect_args.reveal())
        except BaseException as exc:
            forget_frames(exc)
            raise

    async def open(self) -> AsyncLink:
        """Open a connection; ConnectError and its kin say why there is none."""
        dialect = self.dialect
        try:
            raw = await self._connect()
        except dialect.driver_error as exc:
            raise dialect.translate(exc, connecting=True) from exc
        except OSError as exc:
            raise ConnectError(f"can not connect: {exc}") from exc
        try:
            link = AsyncLink(dialect, raw, self._caches, self._on_connect)
            if self._on_connect is not None:
                await run_hook_async(self._on_connect, raw)
                await link.learn_mode()
        except BaseException:
            hard_close_async(dialect, raw)
            raise
        return link
