"""The echo log: what is sent, in the order it is sent, on the logger `plainsql.engine`.

Floor 2; logging is imported with the first engine that echoes.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from plainsql.errors import escaped

LOGGER = logging.getLogger("plainsql.engine")


class _Stdout(logging.StreamHandler[Any]):
    """Writes to whatever `sys.stdout` is at the time."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stdout
        super().emit(record)


class Echo:
    """Logs statements; `hidden` keeps the values out.

    Where nobody has set up logging, lines go to standard output as they are.  A message is one
    line whatever stands in it: the ends of lines, and all that can not be printed, are escaped.
    """

    __slots__ = ("_hidden",)

    def __init__(self, *, hidden: bool) -> None:
        self._hidden = hidden
        if not LOGGER.isEnabledFor(logging.INFO):
            LOGGER.setLevel(logging.INFO)
        if not LOGGER.hasHandlers():
            LOGGER.addHandler(_Stdout())

    def line(self, text: str) -> None:
        """Log one line."""
        LOGGER.info("%s", escaped(text))

    def statement(self, sql: str, params: Any) -> None:
        """Log a statement and, where it has any, its parameters."""
        LOGGER.info("%s", escaped(sql))
        if self._hidden:
            LOGGER.info("[...] [parameters hidden: hide_parameters=True]")
        else:
            LOGGER.info("[...] %s", escaped(repr(() if params is None else params)))
