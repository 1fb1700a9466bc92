"""Who holds a connection, and where it was taken; noted cheaply, told when asked.

Floor 3.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

    from plainsql.ledger import Claim, Slot

#: The modules that are passed over in search of the line that took a connection.
OURS = ("plainsql._", "plainsql.concurrency", "plainsql.turns", "contextlib")
#: File name → whether it is one of them.
_ours: dict[str, bool] = {}
#: How many holders are told of, and how much of a statement.
MOST, LONGEST = 5, 80


def note_site(claim: Claim) -> None:
    """Note the line that took a connection: the first frame that is not plainsql's.

    The pool, who asked it, and who asked that one are plainsql's for sure.
    """
    frame: FrameType | None = sys._getframe(4)  # noqa: SLF001 - public in all but its name
    while frame is not None:
        code = frame.f_code
        name = code.co_filename
        ours = _ours.get(name)
        if ours is None:
            ours = _ours[name] = frame.f_globals.get("__name__", "").startswith(OURS)
        if not ours:
            claim.code = code
            claim.step = frame.f_lasti  # to find the line of it takes up to a microsecond
            return
        frame = frame.f_back


def note_stack(claim: Claim) -> None:
    """Note the whole way to the line that took a connection, which was noted before."""
    from traceback import format_stack

    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - as above
    while frame is not None and frame.f_code is not claim.code:
        frame = frame.f_back
    if frame is not None:
        claim.stack = "".join(format_stack(frame))


def site(claim: Claim) -> str:
    """Return where the connection was taken, for a message."""
    if claim.code is None:
        return "an unknown place"
    lines = (line for begin, end, line in claim.code.co_lines() if begin <= claim.step < end)
    return f"{claim.code.co_filename}:{next(lines, None)} in {claim.code.co_name}"


def thread_name(owner: Any) -> str:
    """Name the thread that a weak reference is of."""
    thread = owner and owner()
    if thread is None:
        return "a thread that has ended"
    return f"thread {thread.name!r}{'' if thread.is_alive() else ', which has ended'}"


def task_name(owner: Any) -> str:
    """Name the task that a weak reference is of."""
    task = owner and owner()
    if task is None:
        return "a task that has ended"
    return f"task {task.get_name()!r}{', which has ended' if task.done() else ''}"


def told(holders: list[tuple[Slot, Claim]], now: float, name: Any) -> str:
    """Tell who holds connections, for how long, and what they ran last; the longest first."""
    lines = [_line(slot, claim, now, name) for slot, claim in holders[:MOST]]
    if len(holders) > MOST:
        lines.append(f"and {len(holders) - MOST} more")
    return "; ".join(lines)


def _line(slot: Slot, claim: Claim, now: float, name: Any) -> str:
    line = f"{now - slot.taken:.1f} s by {name(claim.owner)}, taken at {site(claim)}"
    last = getattr(slot.raw, "last", None)
    if last is not None:
        sql = " ".join(last.statement.split())
        line += f", last statement: {sql[:LONGEST]}{'…' if len(sql) > LONGEST else ''}"
    return f"{line}\n{claim.stack}" if claim.stack else line
