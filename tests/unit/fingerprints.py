"""What a state of a scene is, but for addresses, names and the time of day.

All that can be reached from what is said is written down, in an order that depends on nothing else:
an object by its number, given at first sight; a plain value as it is; a time by its distance to now
in milliseconds, since the clock passes all times of one at once; an exception by its kind, what it
came amid, and its attributes; a frame by its place and its locals.  A kind of object that is not
known is an error.  Left out is what nothing reads but messages: `UNREAD`, `ANY`, `OPAQUE`.

Not seen is what is on a frame's evaluation stack.  Exceptions there are in `handled`; amid a loop
there is no fingerprint; and no double may pause while anything else is there that could be another
thing in a like state: hence a gate notes what it answers.  By line, this does not hold.
"""

from __future__ import annotations

import dis
import marshal
import sys
from collections import deque
from functools import cache
from hashlib import blake2b
from itertools import chain
from math import isinf
from types import BuiltinMethodType, CellType, CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from plainsql.ledger import Claim, Ledger, Slot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import FrameType

#: Where the virtual clock begins: what is as great is a time, any other number a duration.
BEGINNING = 1_000_000.0
#: Statistics, and when and where a place was taken, are only told.
UNREAD = {
    Claim: {"code", "owner", "stack", "step", "told"},
    Ledger: {"checkouts", "handoffs", "closed_count", "timeouts"},
    Slot: {"taken"},
}
#: It only matters whether there was any.
ANY = {"opened_count"}
#: Of these the kind says all: a status and a traceback are only told, the patches never change.
OPAQUE = {"PoolStatus", "traceback", "MonkeyPatch"}
#: It matters which of these times is earlier even where they are in the same millisecond.
ORDERED = {"released"}
PLAIN = {type(None), bool, int, str}


class Ordered(float):
    """A time of which it matters which other ones it is before."""


def moment(time: float) -> int:
    """Return the millisecond a time is in; a tenth of a tick is for what floats are not."""
    return int((time - BEGINNING) * 1000 + 1e-4)


class Fingerprint:
    """Writes down one state; `aliases` are numbers and names that mean an object."""

    def __init__(self, now: float, aliases: dict[Any, Any]) -> None:
        self._now = now
        self._aliases = aliases
        self._known: dict[int, Any] = {}  # address → what is said instead
        self._kept: list[Any] = []  # or an address could become another one's
        self._waiting: deque[Any] = deque()
        self._sets: deque[Any] = deque()
        self._said: list[Any] = []
        self._ordered: list[tuple[float, int]] = []  # and where they were said
        self._is_whole = True

    def name(self, one: Any) -> Any:
        """Give an object a number, but do not look into it."""
        token = self._known[id(one)] = ("object", len(self._kept))
        self._kept.append(one)
        return token

    def say(self, values: Iterable[Any]) -> None:
        said, aliases = self._said.append, self._aliases
        for value in values:
            kind = type(value)
            if kind in PLAIN:
                alias = aliases.get(value)
                said(value if alias is None else self._known[id(alias)])
            elif kind is float or kind is Ordered:
                self._say_float(value)
            else:
                said(self._known.get(id(value)) or self._meet(value))

    def _meet(self, one: Any) -> Any:
        (self._sets if type(one) is set else self._waiting).append(one)
        return self.name(one)

    def _say_float(self, value: float) -> None:
        if type(value) is Ordered:
            self._ordered.append((value, len(self._said)))
        if value < BEGINNING or isinf(value):
            self._said.append(value if isinf(value) else round(value, 3))
        else:
            self._said.append(("time", moment(value) - moment(self._now)))

    def say_stack(self, frames: Iterable[FrameType]) -> None:
        for frame in frames:
            code = frame.f_code
            self.say((code, _step(code, frame.f_lasti), *_items(frame.f_locals)))
            if any(frame.f_lasti in loop for loop in _loops(code)):
                self._is_whole = False

    def digest(self) -> bytes | None:
        """Say all that was referred to; return the fingerprint, if it says all."""
        while self._waiting or self._sets:
            if self._waiting:
                one = self._waiting.popleft()
                self.say(_describer(type(one))(one))
            else:
                self._say_set(self._sets.popleft())
        self._said += [place for _, place in sorted(self._ordered)]
        text = marshal.dumps(self._said, 0)
        return blake2b(text, digest_size=16).digest() if self._is_whole else None

    def _say_set(self, members: set[Any]) -> None:
        """Say the known ones first, in their order."""
        unknown = ("object", len(self._kept))
        self.say(("set", len(members)))
        self.say(sorted(members, key=lambda one: self._known.get(id(one), unknown)))


def stack(frame: FrameType | None, first: CodeType, last: CodeType) -> Iterator[FrameType]:
    """Yield the frames from the one of `first` until the one of `last`."""
    while frame is not None and frame.f_code is not first:
        frame = frame.f_back
    while frame is not None and frame.f_code is not last:
        yield frame
        frame = frame.f_back


def handled() -> dict[int, BaseException | None]:
    """Return the exception that each thread handles."""
    found: dict[int, Any] = sys._current_exceptions()
    return {ident: exc[1] if isinstance(exc, tuple) else exc for ident, exc in found.items()}


@cache
def _step(code: CodeType, place: int) -> int:
    """Return the instruction that is at work: one that was specialised may be in its caches."""
    return max(step.offset for step in dis.get_instructions(code) if step.offset <= place)


@cache
def _loops(code: CodeType) -> list[range]:
    """Return where the code goes round: there, an iterator is on the stack."""
    steps = dis.get_instructions(code)
    return [range(step.offset, step.argval) for step in steps if step.opname == "FOR_ITER"]


def _describer(kind: type) -> Callable[[Any], Iterable[Any]]:
    """Return what tells the contents of such an object."""
    if kind not in DESCRIBERS:
        DESCRIBERS[kind] = _made_describer(kind)
    return DESCRIBERS[kind]


def _made_describer(kind: type) -> Callable[[Any], Iterable[Any]]:
    name = kind.__name__
    if name in OPAQUE:
        return lambda _: (name,)
    if issubclass(kind, type):
        return lambda one: ("type", one.__qualname__)
    if issubclass(kind, BaseException):
        return lambda one: (name, one.__context__, *_items(vars(one)))
    if issubclass(kind, list | tuple | deque):
        return lambda one: (name, len(one), *one)
    if issubclass(kind, dict):
        return lambda one: (name, len(one), *_items(one))
    if kind.__module__ == "builtins":
        raise AssertionError(f"bug: a fingerprint does not know what is in a {name}")
    unread = UNREAD.get(kind, set())
    slots = [slot for slot in getattr(kind, "__slots__", ()) if slot not in unread]
    return lambda one: _instance(one, name, slots, unread)


def _items(values: Mapping[Any, Any]) -> Iterator[Any]:
    return chain.from_iterable(values.items())


def _instance(one: Any, kind: str, slots: list[str], unread: set[str]) -> Iterator[Any]:
    yield kind
    for slot in slots:
        value: Any = getattr(one, slot, None)
        yield Ordered(value) if slot in ORDERED else value
    for name, value in getattr(one, "__dict__", {}).items():
        if name not in unread:
            yield name
            yield bool(value) if name in ANY else value


DESCRIBERS: dict[type, Callable[[Any], Iterable[Any]]] = {
    CodeType: lambda one: ("code", one.co_qualname, one.co_filename, one.co_firstlineno),
    FunctionType: lambda one: ("function", one.__code__, *(one.__closure__ or ())),
    MethodType: lambda one: ("method", one.__func__, one.__self__),
    BuiltinMethodType: lambda one: ("builtin", one.__name__, one.__self__),
    CellType: lambda one: ("cell", one.cell_contents),
}
