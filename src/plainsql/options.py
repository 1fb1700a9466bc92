"""The options of a transaction, in portable names, and what is asked of an engine's.

Floor 2: pure; engines and connections hold one `TransactionOptions` and replace it whole.
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
    require_flags(or_none=True, **{name: value})
    if value:
        dialect.require(name, f"{name}=True")
    return value


def require_pool_limits(pool_size: Any, max_overflow: Any) -> None:
    """Refuse limits that are no whole numbers, or leave no room for a single connection."""
    for name, number, least in (("pool_size", pool_size, 0), ("max_overflow", max_overflow, -1)):
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            raise ArgumentError(f"{name} must be a whole number from {least} on, not {number!r}")
    if pool_size == max_overflow == 0:
        raise ArgumentError(
            "pool_size=0 with max_overflow=0 leaves room for no connection; "
            "max_overflow=-1 sets no limit"
        )


def require_number(name: str, number: Any, least: float) -> None:
    """Refuse what is not a number from `least` on; NaN is none."""
    if not isinstance(number, int | float) or isinstance(number, bool) or not number >= least:
        raise ArgumentError(f"{name} must be a number from {least} on, not {number!r}")


def require_flags(*, or_none: bool = False, **flags: Any) -> None:
    """Refuse what is neither True nor False, nor None where it has a meaning."""
    possible = "True, False or None" if or_none else "True or False"
    for name, flag in flags.items():
        if not isinstance(flag, bool) and not (or_none and flag is None):
            raise ArgumentError(f"{name} must be {possible}, not {flag!r}")


def require_callables(**functions: Any) -> None:
    """Refuse what can not be called; None is nothing to call."""
    for name, function in functions.items():
        if function is not None and not callable(function):
            raise ArgumentError(f"{name} must be callable, not {function!r}")
