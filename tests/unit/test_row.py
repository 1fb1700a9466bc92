"""Rows behave as a tuple and as a mapping of their columns."""

from __future__ import annotations

import copy
import pickle
from threading import Thread
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plainsql import row as row_module
from plainsql.errors import AmbiguousColumn, ResultError
from plainsql.row import Row, RowMapping, position, row_class

names = st.text(max_size=6) | st.sampled_from(["count", "index", "_a", "__len__", "a b", "class"])
values = st.none() | st.integers() | st.text(max_size=3) | st.tuples(st.integers())
columns = st.dictionaries(names, values, max_size=6)
repeated_columns = st.lists(st.tuples(st.sampled_from("abc"), values), max_size=6)


def make(**columns: object) -> Row:
    return row_class(tuple(columns))(tuple(columns.values()))


def twice() -> Row:
    return row_class(("a", "b", "a"))((1, 2, 3))


# -- against the models ------------------------------------------------------------------------


@given(columns, st.lists(values, max_size=4), st.slices(6))
def test_row_is_the_tuple_of_its_values(
    columns: dict[str, Any], other: list[Any], part: slice
) -> None:
    model = tuple(columns.values())
    row = row_class(tuple(columns))(model)

    assert row == model
    assert model == row
    assert hash(row) == hash(model)
    assert repr(row) == repr(model)
    assert list(row) == list(model)
    assert len(row) == len(model)
    assert row[part] == model[part]
    assert [row[at] for at in range(-len(model), len(model))] == [*model, *model]
    assert (row == tuple(other)) is (model == tuple(other))
    assert row + model == model + model
    assert isinstance(row, tuple)


@given(columns)
def test_mapping_is_the_dict_of_the_columns(columns: dict[str, Any]) -> None:
    row = row_class(tuple(columns))(tuple(columns.values()))
    mapping = row._mapping

    assert mapping == columns
    assert columns == mapping
    assert dict(mapping) == row._asdict() == columns
    assert list(mapping) == list(mapping.keys()) == list(row._fields) == list(columns)
    assert list(mapping.values()) == list(columns.values())
    assert list(mapping.items()) == list(columns.items())
    assert repr(mapping) == repr(columns)
    assert len(mapping) == len(columns)
    assert all(mapping[name] is mapping.get(name) is columns[name] for name in columns)
    assert all(name in mapping and name in mapping.keys() for name in columns)  # noqa: SIM118


@given(columns)
def test_every_column_is_an_attribute_unless_it_begins_with_an_underscore(
    columns: dict[str, Any],
) -> None:
    row = row_class(tuple(columns))(tuple(columns.values()))

    for name, value in columns.items():
        if name.startswith("_"):
            assert row._mapping[name] is value
        else:
            assert getattr(row, name) is value


@given(repeated_columns)
@example([("a", 1), ("b", 2), ("a", 3)])
def test_name_is_reachable_exactly_if_it_stands_once(pairs: list[tuple[str, Any]]) -> None:
    fields = tuple([name for name, _ in pairs])
    row = row_class(fields)(tuple([value for _, value in pairs]))

    assert list(row._mapping.items()) == pairs
    assert list(row._mapping.values()) == list(row)
    assert list(row._mapping.keys()) == list(fields)
    for name, value in pairs:
        if fields.count(name) == 1:
            assert getattr(row, name) is row._mapping[name] is value
            continue
        assert name in row._mapping
        with pytest.raises(AmbiguousColumn):
            getattr(row, name)
        with pytest.raises(AmbiguousColumn):
            row._mapping[name]


@given(repeated_columns, st.sampled_from(range(pickle.HIGHEST_PROTOCOL + 1)))
def test_row_and_mapping_survive_pickle_and_copy(
    pairs: list[tuple[str, Any]], protocol: int
) -> None:
    fields = tuple([name for name, _ in pairs])
    row = row_class(fields)(tuple([value for _, value in pairs]))

    again = (pickle.loads(pickle.dumps(row, protocol)), copy.copy(row), copy.deepcopy(row))  # noqa: S301
    assert all(other == row and type(other) is type(row) for other in again)
    assert pickle.loads(pickle.dumps(row._mapping, protocol)) == row._mapping  # noqa: S301


# -- names -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["count", "index", "class", "a b", "", "é", "1", "t", "tuple"])
def test_column_of_any_name_is_an_attribute(name: str) -> None:
    assert getattr(make(**{name: 7}), name) == 7


def test_tuple_methods_stay_where_no_column_takes_their_name() -> None:
    row = make(a=7, b=7)

    assert row.count(7) == 2
    assert row.index(7) == 0


@pytest.mark.parametrize("name", ["_mapping", "_fields", "_positions", "__class__", "__len__"])
def test_column_with_an_underscore_leaves_the_row_intact(name: str) -> None:
    row = make(**{name: 7, "b": 8})

    assert row._mapping[name] == 7
    assert row._fields == (name, "b")
    assert (len(row), row.b, row[0]) == (2, 8, 7)


def test_column_with_an_underscore_is_no_attribute_and_says_where_it_is() -> None:
    with pytest.raises(AttributeError, match=r"row\[1\] or row\._mapping\['_b'\]"):
        _ = make(a=1, _b=2)._b


def test_unknown_attribute_lists_the_columns() -> None:
    with pytest.raises(AttributeError, match="no column 'z': the columns are 'a', 'b'"):
        _ = make(a=1, b=2).z


def test_unknown_attribute_is_absent_to_hasattr_and_getattr() -> None:
    row = make(a=1)

    assert not hasattr(row, "z")
    assert getattr(row, "z", 5) == 5


def test_unknown_name_is_a_key_error_that_lists_the_columns() -> None:
    mapping = make(a=1, b=2)._mapping

    with pytest.raises(KeyError, match="no column 'z': the columns are 'a', 'b'"):
        mapping["z"]
    assert mapping.get("z", 5) == 5
    assert "z" not in mapping


def test_ambiguous_name_says_which_indexes_have_it() -> None:
    with pytest.raises(AmbiguousColumn, match=r"2 columns are named 'a': .* index \(0, 2\)"):
        _ = twice().a


@pytest.mark.parametrize(
    "use",
    [lambda row: row._asdict(), lambda row: dict(row._mapping), lambda row: row._mapping.get("a")],
    ids=["_asdict", "dict", "get"],
)
def test_repeated_name_is_never_dropped_silently(use: Any) -> None:
    with pytest.raises(AmbiguousColumn):
        use(twice())


@pytest.mark.parametrize("name", ["a", "b", "z", "_t"])
def test_row_can_not_be_changed(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(make(a=1), name, 2)


def test_typed_views_are_the_row_itself() -> None:
    row = make(a=1)

    assert row._t is row
    assert row._tuple() is row


def test_row_unpacks() -> None:
    first, *rest = make(a=1, b=2, c=3)

    assert (first, rest) == (1, [2, 3])


# -- mappings ----------------------------------------------------------------------------------


def test_mapping_takes_no_index() -> None:
    with pytest.raises(KeyError):
        make(a=1)._mapping[0]  # type: ignore[index]


def test_mapping_can_not_be_changed() -> None:
    with pytest.raises(TypeError):
        make(a=1)._mapping["a"] = 2  # type: ignore[index]


@pytest.mark.parametrize(
    ("other", "equal"),
    [
        pytest.param(make(a=1, b=2)._mapping, True, id="same"),
        pytest.param(make(b=2, a=1)._mapping, True, id="other order"),
        pytest.param({"b": 2, "a": 1}, True, id="dict"),
        pytest.param(make(a=1, c=2)._mapping, False, id="other name"),
        pytest.param(make(a=1, b=3)._mapping, False, id="other value"),
        pytest.param({"a": 1}, False, id="fewer columns"),
        pytest.param((1, 2), False, id="tuple"),
        pytest.param(row_class(("a", "b", "b"))((1, 9, 2))._mapping, False, id="repeated column"),
    ],
)
def test_mappings_are_equal_if_names_and_values_are(other: object, equal: bool) -> None:
    mapping = make(a=1, b=2)._mapping

    assert (mapping == other) is equal
    assert (other == mapping) is equal
    if isinstance(other, RowMapping) and equal:
        assert hash(mapping) == hash(other)


def test_mappings_with_repeated_columns_are_equal_to_their_like_only() -> None:
    mapping = twice()._mapping

    assert mapping == twice()._mapping
    assert mapping != row_class(("a", "b", "a"))((9, 2, 3))._mapping
    assert mapping != {"a": 3, "b": 2}


def test_keys_equal_any_sequence_of_the_same_names_and_work_as_a_set() -> None:
    keys = make(a=1, b=2)._mapping.keys()

    assert keys == ["a", "b"]
    assert keys == ("a", "b")
    assert keys != ["b", "a"]
    assert keys != 1
    assert keys & {"b", "c"} == {"b"}
    assert (len(keys), "a" in keys, "z" in keys) == (2, True, False)


def test_views_know_what_they_hold() -> None:
    mapping = twice()._mapping

    assert 1 in mapping.values()
    assert 4 not in mapping.values()
    assert ("a", 1) in mapping.items()
    assert ("a", 2) not in mapping.items()


# -- classes -----------------------------------------------------------------------------------


def test_same_names_share_a_class() -> None:
    assert row_class(("a", "b")) is row_class(("a", "b"))
    assert row_class(("a", "b")) is not row_class(("b", "a"))


def test_every_row_is_a_row_without_a_dict() -> None:
    row = make(a=1)

    assert isinstance(row, Row)
    assert type(row).__name__ == "Row"
    assert not hasattr(row, "__dict__")


def test_making_a_row_runs_no_python_code() -> None:
    assert type(make(a=1)).__new__ is tuple.__new__
    assert type(make(a=1)).__init__ is object.__init__


def test_cache_drops_the_oldest_class_when_it_is_full() -> None:
    first = row_class(("first",))
    for n in range(row_module._CACHE_SIZE):
        row_class((f"filler {n}",))

    assert len(row_module._classes) == row_module._CACHE_SIZE
    assert row_class(("first",)) is not first
    assert first((1,)) == row_class(("first",))((1,))


def test_threads_that_meet_at_a_new_class_share_it() -> None:
    fields = tuple([f"met {n}" for n in range(50)])
    found: list[type[Row]] = []
    threads = [Thread(target=lambda: found.append(row_class(fields))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len(set(found)) == 1


# -- positions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "expected"), [(0, 0), (2, 2), (-1, 2), (-3, 0), ("b", 1)], ids=repr
)
def test_position_takes_names_and_indexes(key: int | str, expected: int) -> None:
    assert position(type(twice()), key) == expected


@pytest.mark.parametrize("key", [3, -4, "z", ""], ids=repr)
def test_position_of_no_column_lists_the_columns(key: int | str) -> None:
    with pytest.raises(ResultError, match=f"no column {key!r}: the columns are 'a', 'b', 'a'"):
        position(type(twice()), key)


def test_position_of_a_repeated_name_is_ambiguous() -> None:
    with pytest.raises(AmbiguousColumn):
        position(type(twice()), "a")
