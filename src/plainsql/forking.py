"""What begins afresh in a forked child: locks that the parent's threads held, and what they opened.

Floor 3.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any
from weakref import WeakSet

from plainsql import row

#: What begins afresh in a child: `begin_in_child` of each is called there before anything else.
at_fork: WeakSet[Any] = WeakSet()


def _begin_in_child() -> None:
    with ExitStack() as stack:  # each has its turn, though an interrupt comes to another one
        for one in list(at_fork):
            stack.callback(one.begin_in_child)
        row.begin_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
