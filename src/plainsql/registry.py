"""Find the dialect that a URL names, by entry point; say what is installed where none answers.

Floor 1.  First-party names stand in a constant table, because reading entry points costs as much
as the whole import of plainsql; every other name is looked up in the group `plainsql.dialects`
and may not shadow a first-party one.  A name from a URL is never imported itself.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from plainsql.errors import UnknownDialect

if TYPE_CHECKING:
    from plainsql.dialect import Dialect

GROUP = "plainsql.dialects"

FIRST_PARTY = {
    "sqlite": "plainsql_sqlite.dialect:SQLiteDialect",
    "postgresql": "plainsql_postgresql.dialect:PostgreSQLDialect",
    "mysql": "plainsql_mysql.dialect:MySQLDialect",
    "mariadb": "plainsql_mysql.dialect:MariaDBDialect",
}

MISSPELT = {
    "postgres": "postgresql",
    "postgresql+psycopg3": "postgresql+psycopg",
    "psycopg": "postgresql+psycopg",
    "pymysql": "mysql+pymysql",
    "sqlite3": "sqlite",
}


def dialect_class(drivername: str) -> type[Dialect]:
    """Return the dialect class for `dialect` or `dialect+driver`; UnknownDialect if there is none.

    A third party's `name+driver` entry point wins over its plain `name` for that driver; two
    distributions that claim one name are refused.
    """
    if drivername in MISSPELT:
        raise UnknownDialect(f"unknown dialect {drivername!r}: write {MISSPELT[drivername]!r}")
    name, _, driver = drivername.partition("+")
    target = FIRST_PARTY.get(name)
    if target is not None:
        cls = _import(target, name)
        if driver in ("", cls.driver_name):
            return cls
    return _third_party(drivername, name, driver)


def _import(target: str, name: str) -> type[Dialect]:
    module, _, attribute = target.partition(":")
    try:
        cls: type[Dialect] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as exc:
        raise UnknownDialect(f"the dialect {name!r} ({target}) can not be loaded: {exc}") from exc
    return cls


def _third_party(drivername: str, name: str, driver: str) -> type[Dialect]:
    found = _entry_points()
    for wanted in (drivername, name):
        targets = found.get(wanted, [])
        if len(targets) > 1:
            raise UnknownDialect(
                f"several installed distributions provide the dialect {wanted!r}: "
                + ", ".join(targets)
            )
        if targets and wanted not in FIRST_PARTY:
            cls = _import(targets[0], wanted)
            if driver in ("", cls.driver_name):
                return cls
    known = sorted({*FIRST_PARTY, *found})
    hint = f"; write {name!r}" if driver and name in known else ""
    raise UnknownDialect(
        f"no dialect {drivername!r} is installed; installed: {', '.join(known)}{hint}"
    )


def _entry_points() -> dict[str, list[str]]:
    from importlib.metadata import entry_points

    found: dict[str, list[str]] = {}
    for entry in entry_points(group=GROUP):
        targets = found.setdefault(entry.name, [])
        if entry.value not in targets:
            targets.append(entry.value)
    return found


def load_dialect(drivername: str) -> Dialect:
    """Return an instance with its driver imported; UnknownDialect says which extra to install."""
    dialect = dialect_class(drivername)()
    try:
        dialect.load()
    except ImportError as exc:
        extra = f"; install plainsql[{dialect.extra}]" if dialect.extra else ""
        raise UnknownDialect(
            f"the driver {dialect.driver_name!r} for {dialect.name!r} is not installed{extra}"
        ) from exc
    return dialect
