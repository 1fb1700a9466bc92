"""Options of engines and transactions: what can not be meant is refused at once, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import plainsql
from plainsql import aio, errors
from plainsql.dialect import Dialect
from plainsql.options import NAMES, TransactionOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., plainsql.Engine]

CREATE = [plainsql.create_engine, aio.create_async_engine]
either = pytest.mark.parametrize("create", CREATE, ids=lambda create: create.__name__)


class Full(Dialect):
    """Can everything, in standard SQL."""

    name = "full"
    driver_name = "none"
    paramstyle = "qmark"
    capabilities = frozenset({"savepoints", "read_only", "deferrable"})

    def end(self, read_only: bool | None) -> tuple[str, ...]:
        return ("READ ONLY OFF",) if read_only else ()


class Bare(Full):
    """Can nothing beyond isolation levels, of which it has one."""

    name = "bare"
    capabilities = frozenset()
    isolation_levels = ("SERIALIZABLE",)


def options(dialect: Dialect | None = None, /, **changes: Any) -> TransactionOptions:
    dialect = dialect or Full()
    return TransactionOptions(dialect).merged(dialect, changes)


# -- engines -----------------------------------------------------------------------------------


@either
@pytest.mark.parametrize(
    ("option", "value", "right"),
    [
        ("pool_size", -1, "a whole number from 0 on"),
        ("pool_size", 1.5, "a whole number from 0 on"),
        ("pool_size", "5", "a whole number from 0 on"),
        ("pool_size", True, "a whole number from 0 on"),
        ("max_overflow", -2, "a whole number from -1 on"),
        ("max_overflow", None, "a whole number from -1 on"),
        ("pool_timeout", -0.1, "a number from 0 on"),
        ("pool_timeout", "30", "a number from 0 on"),
        ("pool_timeout", float("nan"), "a number from 0 on"),
        ("pool_timeout", False, "a number from 0 on"),
        ("pool_recycle", -2, "a number from -1 on"),
        ("pool_recycle", None, "a number from -1 on"),
        ("connect_timeout", 0, "a number from 0.001 on"),
        ("echo", "debug", "True or False"),
        ("strict_parameters", None, "True or False"),
        ("hide_parameters", "yes", "True, False or None"),
        ("pool_pre_ping", 1, "True, False or None"),
        ("poolclass", "StaticPool", "'QueuePool' or 'NullPool'"),
        ("poolclass", dict, "'QueuePool' or 'NullPool'"),
        ("creator", "connect", "callable"),
        ("on_connect", 5, "callable"),
    ],
)
def test_a_bad_option_is_refused_with_its_value_and_what_would_be_right(
    create: Any, option: str, value: Any, right: str
) -> None:
    with pytest.raises(errors.ArgumentError) as caught:
        create("sqlite://", **{option: value})
    assert str(caught.value) == f"{option} must be {right}, not {value!r}"


@either
def test_connect_args_must_be_a_mapping_and_are_not_shown(create: Any) -> None:
    with pytest.raises(errors.ArgumentError, match=r"must be a mapping, not str$"):
        create("sqlite://", connect_args="password=canary")


@either
def test_a_pool_without_room_for_a_single_connection_is_refused(create: Any) -> None:
    with pytest.raises(errors.ArgumentError, match="leaves room for no connection"):
        create("sqlite://", pool_size=0, max_overflow=0)


@either
def test_an_option_that_nobody_knows_is_refused_by_name(create: Any) -> None:
    with pytest.raises(TypeError, match="pool_sise"):
        create("sqlite://", pool_sise=5)


@either
def test_an_isolation_level_is_refused_with_the_possible_ones(create: Any) -> None:
    with pytest.raises(
        errors.ArgumentError,
        match=r"^sqlite has no isolation level 'READ COMMITTED'; possible: SERIALIZABLE, ",
    ):
        create("sqlite://", isolation_level="READ COMMITTED")


@pytest.mark.parametrize(
    ("given", "size", "most"),
    [
        pytest.param({}, 5, 15, id="by default"),
        pytest.param({"pool_size": 2, "max_overflow": 0}, 2, 2, id="no overflow"),
        pytest.param({"max_overflow": -1}, 5, float("inf"), id="no limit"),
        pytest.param({"pool_size": 0, "max_overflow": 3}, 0, 3, id="nothing kept"),
        pytest.param({"poolclass": "NullPool"}, 0, float("inf"), id="NullPool"),
        pytest.param({"poolclass": plainsql.NullPool}, 0, float("inf"), id="the class NullPool"),
    ],
)
def test_the_pool_has_the_size_that_was_asked_for(
    make_engine: Make, given: dict[str, Any], size: int, most: float
) -> None:
    status = make_engine(**given).pool.status()

    assert (status.size, status.max) == (size, most)


def test_a_pool_class_is_known_by_its_name_whatever_its_module(make_engine: Make) -> None:
    stranger = type("NullPool", (), {})

    engine = make_engine(poolclass=stranger)
    assert type(engine.pool) is plainsql.NullPool


def test_a_pool_class_of_ones_own_is_used(make_engine: Make) -> None:
    class Watched(plainsql.QueuePool):
        pass

    assert type(make_engine(poolclass=Watched).pool) is Watched


# -- transactions ------------------------------------------------------------------------------


def test_options_are_all_open_at_first() -> None:
    assert TransactionOptions(Full()).as_dict() == dict.fromkeys(NAMES)


def test_options_hold_the_statements_that_begin_and_end_such_a_transaction() -> None:
    made = options(isolation_level="SERIALIZABLE", read_only=True)

    assert made.begin == ("START TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY",)
    assert made.end == ("READ ONLY OFF",)
    assert options(read_only=False).begin == ("START TRANSACTION READ WRITE",)


def test_merging_changes_the_named_ones_in_a_copy() -> None:
    dialect = Full()
    first = options(dialect, isolation_level="SERIALIZABLE", deferrable=True)
    second = first.merged(dialect, {"read_only": True, "deferrable": None})

    assert second.as_dict() == {
        "isolation_level": "SERIALIZABLE", "read_only": True, "deferrable": None,
    }  # fmt: skip
    assert first.as_dict() == {
        "isolation_level": "SERIALIZABLE", "read_only": None, "deferrable": True,
    }  # fmt: skip


@pytest.mark.parametrize("written", ["read committed", "READ_COMMITTED", "  Read  Committed "])
def test_an_isolation_level_is_read_in_any_spelling(written: str) -> None:
    assert options(isolation_level=written).isolation_level == "READ COMMITTED"


@pytest.mark.parametrize(("level", "expected"), [("autocommit", True), ("SERIALIZABLE", False)])
def test_autocommit_is_an_isolation_level(level: str, expected: bool) -> None:
    assert options(isolation_level=level).autocommit is expected


@pytest.mark.parametrize("level", ["READ COMITTED", "", 4, b"SERIALIZABLE"], ids=repr)
def test_an_impossible_isolation_level_is_refused_with_the_possible_ones(level: Any) -> None:
    with pytest.raises(errors.ArgumentError) as caught:
        options(Bare(), isolation_level=level)
    assert str(caught.value) == (
        f"bare has no isolation level {level!r}; possible: SERIALIZABLE, AUTOCOMMIT"
    )


@pytest.mark.parametrize("name", ["read_only", "deferrable"])
@pytest.mark.parametrize("value", ["on", 1, 0], ids=repr)
def test_flags_take_true_false_and_none_only(name: str, value: Any) -> None:
    with pytest.raises(errors.ArgumentError) as caught:
        options(**{name: value})
    assert str(caught.value) == f"{name} must be True, False or None, not {value!r}"


@pytest.mark.parametrize("name", ["read_only", "deferrable"])
def test_what_the_database_can_not_do_is_refused_but_its_absence_is_not(name: str) -> None:
    with pytest.raises(errors.NotSupportedError, match=f"{name}=True: bare can not do this"):
        options(Bare(), **{name: True})
    assert options(Bare(), **{name: False}).as_dict()[name] is False


@pytest.mark.parametrize("name", ["stream_results", "yield_per", "max_row_buffer"])
def test_options_of_streams_point_to_stream(name: str) -> None:
    with pytest.raises(errors.ArgumentError, match=rf"^{name} is not an option here.*stream\(\)"):
        options(**{name: 100})


def test_an_unknown_option_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        errors.ArgumentError,
        match="unknown option 'isolation'; known: isolation_level, read_only, deferrable",
    ):
        options(isolation="SERIALIZABLE")


def test_an_engine_with_other_options_shares_the_pool_and_leaves_the_first_as_it_was(
    make_engine: Make,
) -> None:
    engine = make_engine(isolation_level="SERIALIZABLE")
    reader = engine.execution_options(read_only=True)

    assert reader.pool is engine.pool
    assert reader.get_execution_options()["read_only"] is True
    assert reader.get_execution_options()["isolation_level"] == "SERIALIZABLE"
    assert engine.get_execution_options()["read_only"] is None


def test_options_can_not_change_inside_a_transaction(make_engine: Make) -> None:
    with make_engine().connect() as connection:
        connection.begin()
        with pytest.raises(errors.TransactionStateError, match="transaction that is begun"):
            connection.execution_options(read_only=True)
        connection.rollback()
        assert connection.execution_options(read_only=True) is connection
        assert connection.get_execution_options()["read_only"] is True


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("yield_per", r"yield_per is not an option of execute\(\): use stream\(\)"),
        ("isolation_level", "are options of a connection or an engine"),
    ],
)
def test_a_single_statement_has_no_options(make_engine: Make, option: str, hint: str) -> None:
    with (
        make_engine().connect() as connection,
        pytest.raises(errors.ArgumentError, match=hint),
    ):
        connection.execute("SELECT 1", execution_options={option: 5})
