"""Which dialect answers to a name, and what is said where none does."""

from __future__ import annotations

import sys
from importlib import metadata
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from plainsql import registry
from plainsql.dialect import Dialect
from plainsql.errors import UnknownDialect
from plainsql.registry import FIRST_PARTY, GROUP, MISSPELT, dialect_class, load_dialect
from plainsql_mysql.dialect import MariaDBDialect, MySQLDialect
from plainsql_postgresql.dialect import PostgreSQLDialect
from plainsql_sqlite.dialect import SQLiteDialect

if TYPE_CHECKING:
    from collections.abc import Callable

    Provide = Callable[..., None]


class Third(Dialect):
    name = "third"
    driver_name = "thirdpy"
    paramstyle = "qmark"

    def load(self) -> None:
        self.driver_error = OSError


class ThirdFast(Third):
    driver_name = "fast"


@pytest.fixture
def provide(monkeypatch: pytest.MonkeyPatch) -> Provide:
    """Installs distributions for the test, as name=target pairs of their entry points."""
    module = ModuleType("thirdparty")
    vars(module).update(Third=Third, ThirdFast=ThirdFast)
    monkeypatch.setitem(sys.modules, "thirdparty", module)

    def install(*entries: tuple[str, str]) -> None:
        found = metadata.EntryPoints(metadata.EntryPoint(n, t, GROUP) for n, t in entries)
        monkeypatch.setattr(metadata, "entry_points", lambda group: found.select(group=group))

    return install


def refused(name: str, ask: Callable[[str], Any] = dialect_class) -> str:
    with pytest.raises(UnknownDialect) as caught:
        ask(name)
    return str(caught.value)


# -- first party -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("sqlite", SQLiteDialect),
        ("sqlite+sqlite3", SQLiteDialect),
        ("postgresql", PostgreSQLDialect),
        ("postgresql+psycopg", PostgreSQLDialect),
        ("mysql", MySQLDialect),
        ("mysql+pymysql", MySQLDialect),
        ("mariadb", MariaDBDialect),
        ("mariadb+pymysql", MariaDBDialect),
    ],
)
def test_our_own_dialects_answer_to_their_names(name: str, cls: type[Dialect]) -> None:
    assert dialect_class(name) is cls


def test_our_own_names_need_no_look_at_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "entry_points", lambda **_: pytest.fail("it was asked"))

    for name in FIRST_PARTY:
        assert dialect_class(name).name == name


def test_the_table_of_our_own_is_what_the_package_declares() -> None:
    declared = {
        entry.name: entry.value
        for entry in metadata.distribution("plainsql").entry_points
        if entry.group == GROUP
    }
    assert declared == FIRST_PARTY


@pytest.mark.parametrize(("wrong", "right"), MISSPELT.items())
def test_what_others_call_it_is_answered_with_our_name(wrong: str, right: str) -> None:
    assert refused(wrong) == f"unknown dialect {wrong!r}: write {right!r}"
    assert dialect_class(right)


@pytest.mark.parametrize("name", ["oracle", "oracle+oracledb", "", "os.path"])
def test_an_unknown_name_is_answered_with_those_installed(name: str, provide: Provide) -> None:
    provide(("third", "thirdparty:Third"))

    assert refused(name) == (
        f"no dialect {name!r} is installed; installed: mariadb, mysql, postgresql, sqlite, third"
    )


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("sqlite+pysqlite", "sqlite"),
        ("postgresql+asyncpg", "postgresql"),
        ("mysql+mysqldb", "mysql"),
        ("third+fast", "third"),
    ],
)
def test_a_driver_that_is_not_there_is_answered_with_the_name_that_works(
    url: str, right: str, provide: Provide
) -> None:
    provide(("third", "thirdparty:Third"))

    assert refused(url).endswith(f"postgresql, sqlite, third; write {right!r}")


def test_a_name_is_never_imported_itself(provide: Provide) -> None:
    provide()

    refused("antigravity")
    assert "antigravity" not in sys.modules


# -- third parties -----------------------------------------------------------------------------


def test_an_installed_dialect_answers_to_its_name_and_its_driver(provide: Provide) -> None:
    provide(("third", "thirdparty:Third"))

    assert dialect_class("third") is Third
    assert dialect_class("third+thirdpy") is Third
    assert "no dialect 'third+fast'" in refused("third+fast")


def test_an_entry_point_for_the_driver_goes_before_the_plain_one(provide: Provide) -> None:
    provide(("third", "thirdparty:Third"), ("third+fast", "thirdparty:ThirdFast"))

    assert dialect_class("third+fast") is ThirdFast
    assert dialect_class("third") is Third


def test_a_third_party_may_serve_another_driver_of_our_databases(provide: Provide) -> None:
    provide(("postgresql+fast", "thirdparty:ThirdFast"))

    assert dialect_class("postgresql+fast") is ThirdFast
    assert dialect_class("postgresql") is PostgreSQLDialect


@pytest.mark.parametrize("name", FIRST_PARTY)
def test_nobody_shadows_our_own_names(name: str, provide: Provide) -> None:
    provide((name, "thirdparty:ThirdFast"))

    assert dialect_class(name).__module__.startswith("plainsql_")
    assert f"no dialect '{name}+fast' is installed" in refused(f"{name}+fast")


def test_two_distributions_with_one_name_are_refused_by_their_targets(provide: Provide) -> None:
    provide(("third", "thirdparty:Third"), ("third", "thirdparty:ThirdFast"))

    assert refused("third") == (
        "several installed distributions provide the dialect 'third': "
        "thirdparty:Third, thirdparty:ThirdFast"
    )


def test_one_distribution_that_is_found_twice_is_one(provide: Provide) -> None:
    provide(("third", "thirdparty:Third"), ("third", "thirdparty:Third"))

    assert dialect_class("third") is Third


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("thirdparty:Missing", "has no attribute 'Missing'"),
        ("no_such_module_here:Third", "No module named 'no_such_module_here'"),
    ],
)
def test_a_dialect_that_can_not_be_loaded_is_told_with_the_reason(
    target: str, why: str, provide: Provide
) -> None:
    provide(("third", target))

    told = refused("third")
    assert told.startswith(f"the dialect 'third' ({target}) can not be loaded: ")
    assert why in told


# -- drivers -----------------------------------------------------------------------------------


def test_loading_imports_the_driver() -> None:
    assert issubclass(load_dialect("sqlite").driver_error, Exception)


def test_each_engine_has_a_dialect_of_its_own() -> None:
    assert load_dialect("sqlite") is not load_dialect("sqlite")


@pytest.mark.parametrize(
    ("name", "driver", "extra"),
    [
        ("postgresql", "psycopg", "postgresql"),
        ("mysql", "pymysql", "mysql"),
        ("mariadb", "pymysql", "mysql"),
    ],
)
def test_a_missing_driver_is_told_with_the_extra_that_brings_it(
    name: str, driver: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, driver, None)

    assert refused(name, load_dialect) == (
        f"the driver {driver!r} for {name!r} is not installed; install plainsql[{extra}]"
    )


def test_a_missing_driver_of_a_third_party_has_no_extra_of_ours(
    provide: Provide, monkeypatch: pytest.MonkeyPatch
) -> None:
    provide(("third", "thirdparty:Third"))

    def load(self: Dialect) -> None:
        del self
        raise ImportError("thirdpy")

    monkeypatch.setattr(Third, "load", load)
    assert refused("third", load_dialect) == "the driver 'thirdpy' for 'third' is not installed"


def test_the_extras_that_are_named_are_there() -> None:
    extras = metadata.distribution("plainsql").metadata.get_all("Provides-Extra")

    assert extras is not None
    for name in registry.FIRST_PARTY:
        assert dialect_class(name).extra in {*extras, ""}
