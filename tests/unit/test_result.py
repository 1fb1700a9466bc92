"""Results give each row out once, in the shape that was asked for, and say what is wrong."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainsql.errors import (
    AmbiguousColumn,
    ArgumentError,
    MultipleResultsFound,
    NoResultFound,
    ResultError,
)
from plainsql.result import MappingResult, Result, ScalarResult
from plainsql.row import Row, RowMapping, row_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

AB = row_class(("a", "b"))
ROWS = [(1, "x"), (2, "y"), (1, "x"), (2, "z")]

AnyResult = Result[Any] | ScalarResult[Any] | MappingResult


def result(rows: Iterable[tuple[Any, ...]] = ROWS, cls: type[Row] = AB) -> Result[Any]:
    return Result(cls, rows, -1)


def nothing() -> Result[Any]:
    return Result(None, None, 3, 7)


VIEWS: dict[str, Callable[[Result[Any]], AnyResult]] = {
    "rows": lambda result: result,
    "scalars": lambda result: result.scalars(),
    "mappings": lambda result: result.mappings(),
}
SHOWN: dict[str, Callable[[tuple[Any, ...]], object]] = {
    "rows": lambda row: row,
    "scalars": lambda row: row[0],
    "mappings": lambda row: {"a": row[0], "b": row[1]},
}
every_view = pytest.mark.parametrize("view", VIEWS)

# -- against a list ----------------------------------------------------------------------------

rows_of_two = st.lists(st.tuples(st.integers(0, 2), st.sampled_from("xy")), max_size=8)
steps = st.tuples(
    st.sampled_from(list(VIEWS)), st.sampled_from(["next", "fetchmany", "loop", "all"])
)


@given(rows_of_two, st.lists(steps, max_size=6), st.integers(1, 4))
def test_each_row_is_given_out_once_whatever_asks(
    rows: list[tuple[int, str]], plan: list[tuple[str, str]], size: int
) -> None:
    source = result(rows)
    left = list(rows)
    views = {name: make(source) for name, make in VIEWS.items()}

    for name, step in plan:
        view, shown = views[name], [SHOWN[name](row) for row in left]
        taken: list[Any]
        if step == "next":
            taken = [unit for unit in [next(view, None)] if unit is not None]
            count = 1
        elif step == "fetchmany":
            taken, count = view.fetchmany(size), size
        elif step == "loop":
            taken, count = list(islice(view, size)), size
        else:
            taken, count = list(view.all()), len(left)
        assert taken == shown[:count]
        del left[:count]


@every_view
@given(rows=rows_of_two, size=st.integers(1, 4))
def test_unique_gives_equal_rows_once_in_order(
    view: str, rows: list[tuple[int, str]], size: int
) -> None:
    expected: list[object] = []
    for shown in map(SHOWN[view], rows):
        if shown not in expected:
            expected.append(shown)

    def fresh() -> AnyResult:
        return VIEWS[view](result(rows)).unique()

    assert fresh().all() == expected
    assert list(fresh()) == expected
    assert VIEWS[view](result(rows).unique()).all() == expected
    assert list(chain.from_iterable(fresh().partitions(size))) == expected
    assert all(len(part) == size for part in list(fresh().partitions(size))[:-1])
    bit_by_bit = fresh()
    assert [*bit_by_bit.fetchmany(size), *bit_by_bit.all()] == expected


@every_view
@given(rows=rows_of_two, unique=st.booleans())
def test_one_first_and_their_like_agree_with_the_number_of_rows(
    view: str, rows: list[tuple[int, str]], unique: bool
) -> None:
    def fresh() -> AnyResult:
        made = VIEWS[view](result(rows))
        return made.unique() if unique else made

    shown = fresh().all()
    assert fresh().first() == (shown[0] if shown else None)
    if len(shown) > 1:
        with pytest.raises(MultipleResultsFound):
            fresh().one_or_none()
        with pytest.raises(MultipleResultsFound):
            fresh().one()
        return
    assert fresh().one_or_none() == (shown[0] if shown else None)
    if shown:
        assert fresh().one() == shown[0]
    else:
        with pytest.raises(NoResultFound):
            fresh().one()


@given(rows_of_two, st.booleans(), st.permutations([0, 1]))
def test_scalar_methods_are_those_of_scalars(
    rows: list[tuple[int, str]], unique: bool, order: list[int]
) -> None:
    def fresh() -> Result[Any]:
        made = result(rows).columns(*order) if order == [1, 0] else result(rows)
        return made.unique() if unique else made

    for method, of_scalars in [
        ("scalar", "first"),
        ("scalar_one", "one"),
        ("scalar_one_or_none", "one_or_none"),
    ]:
        assert outcome(fresh(), method) == outcome(fresh().scalars(), of_scalars)


def outcome(source: AnyResult, method: str) -> object:
    try:
        return getattr(source, method)()
    except ResultError as exc:
        return type(exc)


# -- what comes out ----------------------------------------------------------------------------


def test_all_is_a_list_of_rows() -> None:
    rows = result().all()

    assert type(rows) is list
    assert rows == ROWS
    assert all(type(row) is AB for row in rows)
    assert (rows[0].a, rows[1].b) == (1, "y")


@pytest.mark.parametrize("rows", [[], (), None], ids=repr)
def test_no_rows_are_an_empty_list(rows: Any) -> None:
    assert result(rows).all() == []
    assert result(rows).returns_rows


def test_tuple_of_tuples_will_do() -> None:
    assert result(tuple(ROWS)).fetchall() == ROWS


@every_view
def test_second_all_is_empty(view: str) -> None:
    shown = VIEWS[view](result())

    assert len(shown.all()) == 4
    assert shown.all() == []
    assert not shown.closed


def test_fetchone_gives_none_at_the_end_and_leaves_the_result_open() -> None:
    rows = result(ROWS[:1])

    assert [rows.fetchone(), rows.fetchone(), rows.fetchone()] == [(1, "x"), None, None]
    assert not rows.closed


def test_mappings_are_row_mappings() -> None:
    mapping = result().mappings().fetchone()

    assert type(mapping) is RowMapping
    assert mapping["b"] == "x"


@pytest.mark.parametrize("index", [1, -1, "b"], ids=repr)
def test_scalars_takes_an_index_or_a_name(index: int | str) -> None:
    assert result().scalars(index).all() == ["x", "y", "x", "z"]


def test_scalars_give_none_for_null() -> None:
    assert result([(None, 1), (2, 3)]).scalars().all() == [None, 2]
    assert result([(None, 1)]).scalar_one() is None
    assert next(iter(result([(None, 1)]).scalars())) is None


def test_tuples_is_the_result_itself() -> None:
    rows = result()

    assert rows.tuples() is rows


def test_rowcount_and_lastrowid_are_the_drivers() -> None:
    assert (nothing().rowcount, nothing().lastrowid) == (3, 7)
    assert (result().rowcount, result().lastrowid) == (-1, None)


# -- columns -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        pytest.param(("b", "a"), {"b": "x", "a": 1}, id="names"),
        pytest.param((1,), {"b": "x"}, id="one index"),
        pytest.param((-1, 0), {"b": "x", "a": 1}, id="negative index"),
    ],
)
def test_columns_picks_and_orders(keys: tuple[int | str, ...], expected: dict[str, object]) -> None:
    row = result().columns(*keys).all()[0]

    assert list(row._mapping.items()) == list(expected.items())
    assert result().mappings().columns(*keys).all()[0] == expected
    assert result().columns(*keys).keys() == list(expected)
    assert result().columns(*keys).scalars().all()[0] == next(iter(expected.values()))


def test_columns_of_columns_count_from_the_latter() -> None:
    abc = row_class(("a", "b", "c"))

    rows = result([(1, 2, 3)], abc).columns("c", "a").columns(1)
    assert rows.mappings().all() == [{"a": 1}]


def test_columns_changes_the_result_it_is_called_on_but_no_view_of_it() -> None:
    rows = result()
    scalars, mappings = rows.scalars(), rows.mappings()

    assert rows.columns("b") is rows
    assert rows.fetchone() == ("x",)
    assert next(scalars) == 2
    assert next(mappings) == {"a": 1, "b": "x"}
    assert rows.fetchone() == ("z",)


def test_same_column_twice_is_ambiguous_by_name() -> None:
    row = result().columns("a", "a").first()

    assert row == (1, 1)
    with pytest.raises(AmbiguousColumn):
        _ = row.a


@pytest.mark.parametrize("use", ["columns", "scalars"])
@pytest.mark.parametrize("key", ["z", 2, -3], ids=repr)
def test_missing_column_lists_the_columns(use: str, key: int | str) -> None:
    with pytest.raises(ResultError, match=f"no column {key!r}: the columns are 'a', 'b'"):
        getattr(result(), use)(key)


@pytest.mark.parametrize("use", ["columns", "scalars"])
def test_repeated_column_by_name_is_ambiguous_but_not_by_index(use: str) -> None:
    aa = row_class(("a", "a"))

    with pytest.raises(AmbiguousColumn):
        getattr(result([(1, 2)], aa), use)("a")
    assert result([(1, 2)], aa).scalars(1).all() == [2]


def test_scalar_of_rows_without_columns_says_so() -> None:
    with pytest.raises(ResultError, match="no column 0: the columns are none"):
        result([()], row_class(())).scalar()


# -- unique ------------------------------------------------------------------------------------


def test_unique_applies_after_columns_whichever_came_first() -> None:
    assert result().unique().columns("a").all() == [(1,), (2,)]
    assert result().columns("a").unique().all() == [(1,), (2,)]
    assert result().unique().scalars("a").all() == [1, 2]


@pytest.mark.parametrize(
    ("shape", "strategy", "expected"),
    [
        pytest.param("rows", lambda row: row.a, [(1, "x"), (2, "y")], id="rows"),
        pytest.param("scalars", lambda value: value % 1, [1], id="values"),
        pytest.param(
            "mappings", lambda row: row.a, [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}], id="mappings"
        ),
    ],
)
def test_strategy_gets_the_row_or_the_value(
    shape: str, strategy: Callable[[Any], Any], expected: list[object]
) -> None:
    assert VIEWS[shape](result()).unique(strategy).all() == expected
    assert VIEWS[shape](result().unique(strategy)).all() == expected


def test_unique_forgets_rows_of_other_columns() -> None:
    rows = result([(1, 2), (2, 1)]).unique()

    assert rows.fetchone() == (1, 2)
    assert rows.columns("b", "a").all() == [(1, 2)]


def test_unique_does_not_take_more_rows_than_it_gives() -> None:
    rows = result()

    assert rows.unique().fetchmany(1) == [(1, "x")]
    assert rows.scalars("b").all() == ["y", "x", "z"]


def test_unique_of_unhashable_values_asks_for_a_strategy() -> None:
    with pytest.raises(ResultError, match=r"unhashable type: 'list'\)?; give it a strategy"):
        result([([], 1)]).unique().all()


def test_error_in_a_strategy_is_the_callers_own() -> None:
    with pytest.raises(ZeroDivisionError):
        result().unique(lambda row: row.a / 0).all()


# -- parts -------------------------------------------------------------------------------------


@every_view
@pytest.mark.parametrize(
    ("shape", "lengths"),
    [
        (lambda view: view.partitions(3), [3, 1]),
        (lambda view: view.partitions(2), [2, 2]),
        (lambda view: view.partitions(9), [4]),
        (lambda view: view.yield_per(3).partitions(), [3, 1]),
        (lambda view: view.yield_per(3).partitions(2), [2, 2]),
        (lambda view: view.partitions(), [1, 1, 1, 1]),
    ],
    ids=["3", "2", "more than there are", "yield_per", "size over yield_per", "default"],
)
def test_partitions_are_lists_of_the_size_asked_for(
    view: str, shape: Callable[[Any], Any], lengths: list[int]
) -> None:
    parts = list(shape(VIEWS[view](result())))

    assert [len(part) for part in parts] == lengths
    assert list(chain.from_iterable(parts)) == [SHOWN[view](row) for row in ROWS]


def test_views_keep_what_yield_per_said() -> None:
    assert result().yield_per(2).scalars().fetchmany() == [1, 2]
    assert len(result().yield_per(3).mappings().fetchmany()) == 3


@pytest.mark.parametrize("method", ["fetchmany", "partitions", "yield_per"])
@pytest.mark.parametrize("size", [0, -1, True, 2.0, "3"])
def test_what_is_no_number_of_rows_is_refused(method: str, size: Any) -> None:
    with pytest.raises(ArgumentError, match=f"number of rows from 1 on, not {size!r}"):
        getattr(result(), method)(size)


# -- the end -----------------------------------------------------------------------------------

ENDINGS: dict[str, Callable[[Any], object]] = {
    "close": lambda view: view.close(),
    "first": lambda view: view.first(),
    "one": lambda view: outcome(view, "one"),
    "one_or_none": lambda view: outcome(view, "one_or_none"),
    "with": lambda view: view.__enter__().__exit__(None, None, None),
}
SCALAR_ENDINGS = ["scalar", "scalar_one", "scalar_one_or_none"]
FETCHES: list[Callable[[Any], object]] = [
    lambda view: view.all(),
    lambda view: view.fetchall(),
    lambda view: view.fetchmany(1),
    next,
    list,
    lambda view: list(view.partitions(1)),
    lambda view: view.first(),
    lambda view: view.one(),
    lambda view: view.one_or_none(),
]


@every_view
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("rows", [[], ROWS[:1], ROWS], ids=["no row", "one row", "four rows"])
def test_what_ends_a_view_ends_its_result_for_all(
    view: str, ending: str, rows: list[tuple[Any, ...]]
) -> None:
    source = result(rows)
    ENDINGS[ending](VIEWS[view](source))

    assert source.closed
    for other in VIEWS.values():
        assert other(source).closed
        for fetch in FETCHES:
            with pytest.raises(ResultError, match="result is closed"):
                fetch(other(source))


@pytest.mark.parametrize("ending", SCALAR_ENDINGS)
def test_scalar_methods_end_the_result(ending: str) -> None:
    source = result()
    outcome(source, ending)

    assert source.closed
    for again in SCALAR_ENDINGS:
        with pytest.raises(ResultError, match="result is closed"):
            getattr(source, again)()


def test_closing_twice_is_harmless_and_keys_stay() -> None:
    rows = result()
    rows.close()
    rows.close()

    assert rows.keys() == ["a", "b"]
    assert rows.returns_rows


@pytest.mark.parametrize(
    "fetch",
    [
        *FETCHES,
        lambda view: view.fetchone(),
        lambda view: view.scalar(),
        lambda view: view.scalar_one(),
        lambda view: view.scalar_one_or_none(),
        lambda view: view.scalars(),
        lambda view: view.mappings(),
        lambda view: view.columns(0),
        lambda view: view.keys(),
    ],
)
def test_statement_without_rows_says_so(fetch: Callable[[Any], object]) -> None:
    with pytest.raises(ResultError, match=r"this result has no rows: .*rowcount"):
        fetch(nothing())


def test_statement_without_rows_has_an_open_result_that_can_be_closed() -> None:
    assert not nothing().returns_rows
    assert not nothing().closed
    with nothing() as rows:
        pass
    assert rows.closed
    with pytest.raises(ResultError, match="no rows"):
        rows.all()


# -- what the errors and reprs say -------------------------------------------------------------


def test_missing_row_says_what_gives_none_instead() -> None:
    with pytest.raises(NoResultFound, match="one_or_none"):
        result([]).one()


def test_second_row_says_what_takes_the_first() -> None:
    with pytest.raises(MultipleResultsFound, match=r"first\(\) or scalar\(\)"):
        result().one()


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (result(), "<Result: columns 'a', 'b'>"),
        (nothing(), "<Result: no rows, rowcount 3>"),
    ],
    ids=["rows", "no rows"],
)
def test_repr_tells_state(shown: Result[Any], expected: str) -> None:
    assert repr(shown) == expected


def test_repr_of_a_closed_result_says_so() -> None:
    rows = result()
    rows.close()

    assert repr(rows) == "<Result: closed, columns 'a', 'b'>"
