"""An interrupt at a line of our choice, as Ctrl-C may come before any."""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, ModuleType


class Interrupt(BaseException):
    """What Ctrl-C does to a program."""


@contextmanager
def interrupted_at(step: int, module: ModuleType) -> Iterator[None]:
    """Raise Interrupt before the module's line that is run as the `step`-th, or behind the last."""
    left = step

    def trace(frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename != module.__file__:
            return None
        left -= event in {"line", "return"}
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
