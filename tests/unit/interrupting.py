"""An interrupt at a line or an instruction of our choice, as Ctrl-C may come before any."""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType, ModuleType


class Interrupt(BaseException):
    """What Ctrl-C does to a program."""


@contextmanager
def interrupted_at(step: int, module: ModuleType, each: str = "line") -> Iterator[None]:
    """Raise Interrupt before the module's line that is run as the `step`-th, or behind the last.

    Or before the instruction: `each="opcode"`.
    """
    left = step

    def trace(frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename != module.__file__:
            return None
        frame.f_trace_opcodes = each == "opcode"
        left -= event in {each, "return"}
        if left == 0:
            raise Interrupt
        return trace

    before = sys.gettrace()
    gc.disable()  # no finalizer of another test's pool is to be hit
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
        gc.enable()


def interrupted_everywhere(
    act: Callable[[], object], module: ModuleType, each: str = "line"
) -> Iterator[int]:
    """Let it be done again and again, interrupted one step later each time, until it ends."""
    for step in count(1):
        with suppress(Interrupt), interrupted_at(step, module, each):
            act()
            return
        yield step
