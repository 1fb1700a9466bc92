"""One user at a time: the turn that a thread or task has, and what stands around its calls.

Floor 3.  The names with `Async` or `_async` are what `_async/` uses; `tools/unasync.py` turns
them into the others.
"""

from __future__ import annotations

import re
import threading
from _thread import RLock
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

T = TypeVar("T")
P = ParamSpec("P")
Self = TypeVar("Self", bound="Exclusive")


class Exclusive:
    """What one thread or task uses at a time."""

    __slots__ = ()

    _turn: Any

    def _refuse(self) -> None:
        """Raise InterfaceError, naming who is here and who came."""
        raise NotImplementedError

    def _doubt(self, exc: BaseException) -> None:
        """Take note of an interrupt that came out of a call."""
        raise NotImplementedError


def exclusive(
    method: Callable[Concatenate[Self, P], T],
) -> Callable[Concatenate[Self, P], T]:
    """Let one thread at a time into a method, and into all others of the object."""

    @wraps(method)
    def guarded(self: Self, *args: P.args, **kwargs: P.kwargs) -> T:
        turn = self._turn
        if not turn.acquire(False):
            self._refuse()
        try:
            return method(self, *args, **kwargs)
        except BaseException as exc:
            if not isinstance(exc, Exception):
                self._doubt(exc)
            raise
        finally:
            turn.release()

    return cast("Callable[Concatenate[Self, P], T]", guarded)


def exclusive_async(
    method: Callable[Concatenate[Self, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Self, P], Coroutine[Any, Any, T]]:
    """Let one task at a time into a method, and into all others of the object."""

    @wraps(method)
    async def guarded(self: Self, *args: P.args, **kwargs: P.kwargs) -> T:
        turn = self._turn
        if not turn.acquire(False):
            self._refuse()
        try:
            return await method(self, *args, **kwargs)
        except BaseException as exc:
            if not isinstance(exc, Exception):
                self._doubt(exc)
            raise
        finally:
            turn.release()

    return cast("Callable[Concatenate[Self, P], Coroutine[Any, Any, T]]", guarded)


#: Whose turn it is: the thread that has it may take it again.
Turn = RLock


class AsyncTurn:
    """Whose turn it is: the task that has it may take it again."""

    __slots__ = ("_task", "_times")

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None
        self._times = 0

    def acquire(self, _blocking: bool) -> bool:
        """Take it, or return False: another task has it."""
        import asyncio

        task = asyncio.current_task()
        if self._times and self._task is not task and not self._is_over():
            return False
        if self._task is not task:
            self._task, self._times = task, 0
        self._times += 1
        return True

    def _is_over(self) -> bool:
        return self._task is None or self._task.done()

    def release(self) -> None:
        """Give it up, once for each time it was taken."""
        self._times -= 1
        if self._times <= 0:
            self._task = None

    def name(self) -> str:
        """Name the task that has it."""
        return "another task" if self._task is None else f"task {self._task.get_name()!r}"


def name_user(connection: Any) -> str:
    """Name the thread that is at work on a connection just now."""
    # Only its text tells whose a lock is; to look into a frame would keep alive what is in it.
    owner = re.search(r"owner=(\d+)", repr(connection._turn))  # noqa: SLF001 - as below
    for thread in threading.enumerate():
        if owner is not None and thread.ident == int(owner[1]):
            return f"thread {thread.name!r}"
    return "another thread"


def name_user_async(connection: Any) -> str:
    """Name the task that is at work on a connection."""
    name: str = connection._turn.name()  # noqa: SLF001 - a connection's, as `exclusive` uses it
    return name
