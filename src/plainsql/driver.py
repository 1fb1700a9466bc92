"""The slice of PEP 249 that plainsql calls, and its awaitable twin, as Protocols.

Floor 1.  A dialect hands out connections of the first kind; `plainsql.bridge` makes the second
kind of any of the first, and a driver with its own async connection satisfies it directly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ParamStyle = Literal["qmark", "numeric", "numeric_dollar", "named", "format", "pyformat"]
TransactionState = Literal["idle", "active", "failed", "unknown"]


class Many:
    """How a statement is sent for many sets of values.

    `returns` says that it may return rows.  An INSERT of one group of VALUES that holds all its
    parameters has that group apart: `head`, `group` and `tail` together are what is sent for one
    set, and with groups between them for many; else `group` is "".
    """

    __slots__ = ("group", "head", "returns", "tail")

    def __init__(
        self, *, returns: bool = False, head: str = "", group: str = "", tail: str = ""
    ) -> None:
        self.returns = returns
        self.head = head
        self.group = group
        self.tail = tail


class Cursor(Protocol):
    """A PEP 249 cursor."""

    @property
    def description(self) -> Sequence[Sequence[Any]] | None: ...
    @property
    def rowcount(self) -> int: ...
    def execute(self, sql: str, params: Any = ..., /) -> Any: ...
    def executemany(self, sql: str, params: Any, /) -> Any: ...
    def fetchall(self) -> Sequence[Any]: ...
    def fetchmany(self, size: int = ..., /) -> Sequence[Any]: ...
    def close(self) -> Any: ...


class DriverConnection(Protocol):
    """A PEP 249 connection in driver autocommit mode: BEGIN and COMMIT are statements of ours."""

    def cursor(self) -> Any: ...
    def close(self) -> Any: ...


class AsyncCursor(Protocol):
    """The awaitable twin of `Cursor`."""

    @property
    def description(self) -> Sequence[Sequence[Any]] | None: ...
    @property
    def rowcount(self) -> int: ...
    async def execute(self, sql: str, params: Any = ..., /) -> Any: ...
    async def executemany(self, sql: str, params: Any, /) -> Any: ...
    async def fetchall(self) -> Sequence[Any]: ...
    async def fetchmany(self, size: int = ..., /) -> Sequence[Any]: ...
    async def close(self) -> Any: ...


class AsyncDriverConnection(Protocol):
    """The awaitable twin of `DriverConnection`."""

    def cursor(self) -> Any: ...
    async def close(self) -> Any: ...


class ConnectHook(Protocol):
    """What `create_engine(on_connect=…)` takes: called with each new driver connection."""

    def __call__(self, connection: Any, /) -> Any: ...


if TYPE_CHECKING:
    Codec = Callable[[Any], Any]
