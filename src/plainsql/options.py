"""The options of a transaction, in portable names.

Floor 2: pure; engines and connections hold one of these and replace it whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plainsql.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plainsql.dialect import Dialect

NAMES = ("isolation_level", "read_only", "deferrable")


class TransactionOptions:
    """Isolation level, read-only, deferrable; None leaves each to the server.

    `begin` and `end` are the statements that open such a transaction, and that follow its end.
    """

    __slots__ = ("autocommit", "begin", "deferrable", "end", "isolation_level", "read_only")

    def __init__(
        self,
        dialect: Dialect,
        isolation_level: str | None = None,
        read_only: bool | None = None,
        deferrable: bool | None = None,
    ) -> None:
        self.isolation_level = isolation_level
        self.read_only = read_only
        self.deferrable = deferrable
        self.autocommit = isolation_level == "AUTOCOMMIT"
        self.begin = dialect.begin(isolation_level, read_only, deferrable)
        self.end = dialect.end(read_only)

    def merged(self, dialect: Dialect, changes: Mapping[str, Any]) -> TransactionOptions:
        """Return a copy with `changes`; ArgumentError for what is unknown or impossible."""
        values = self.as_dict()
        for name, value in changes.items():
            if name in ("stream_results", "yield_per", "max_row_buffer"):
                raise ArgumentError(f"{name} is not an option here: use stream()")
            if name not in NAMES:
                raise ArgumentError(f"unknown option {name!r}; known: {', '.join(NAMES)}")
            values[name] = _checked(dialect, name, value)
        return TransactionOptions(dialect, **values)

    def as_dict(self) -> dict[str, Any]:
        """Return the options by name."""
        return {name: getattr(self, name) for name in NAMES}


def _checked(dialect: Dialect, name: str, value: Any) -> Any:
    if value is None:
        return None
    if name == "isolation_level":
        return dialect.isolation_level(value)
    if not isinstance(value, bool):
        raise ArgumentError(f"{name} must be True, False or None, not {value!r}")
    if value:
        dialect.require(name, f"{name}=True")
    return value
