"""Statements: what is sent for a text, in which order the values go, and what is refused first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plainsql import errors, text
from plainsql.clause import bindparam
from plainsql.dialect import Dialect

if TYPE_CHECKING:
    from plainsql.driver import ParamStyle
    from plainsql.statement import Compiled

STYLES: list[ParamStyle] = ["qmark", "numeric", "numeric_dollar", "named", "format", "pyformat"]
NAMED = ("named", "pyformat")
every_style = pytest.mark.parametrize("style", STYLES)


class Plain(Dialect):
    """Takes numbers and text as they are, bytearrays as bytes; five parameters at most."""

    name = "plain"
    driver_name = "none"
    parameter_codecs: ClassVar[Any] = {
        **dict.fromkeys((type(None), int, str, bytes)), bytearray: bytes,
    }  # fmt: skip
    max_parameters = 5

    def __init__(self, style: ParamStyle = "qmark") -> None:
        self.paramstyle = style  # type: ignore[misc]

    def refuse(self, verb: str, sql: str) -> str | None:
        del sql
        return "PRAGMA is ignored here" if verb == "PRAGMA" else None


class Arrays(Plain):
    """Sends a list as one array."""

    lists_as_arrays = True
    passes_unknown_types = True


def compiled(sql: str, *binds: Any, dialect: Dialect | None = None, **values: Any) -> Compiled:
    clause = text(sql)
    if binds or values:
        clause = clause.bindparams(*binds, **values)
    return clause.compile(dialect or Plain())


# -- rendering ---------------------------------------------------------------------------------

SQL = "SELECT :b, :a, :b -- :c"


@pytest.mark.parametrize(
    ("style", "sent", "names"),
    [
        ("qmark", "SELECT ?, ?, ? -- :c", ("b", "a", "b")),
        ("format", "SELECT %s, %s, %s -- :c", ("b", "a", "b")),
        ("numeric", "SELECT :1, :2, :1 -- :c", ("b", "a")),
        ("numeric_dollar", "SELECT $1, $2, $1 -- :c", ("b", "a")),
        ("named", "SELECT :b, :a, :b -- :c", ("b", "a")),
        ("pyformat", "SELECT %(b)s, %(a)s, %(b)s -- :c", ("b", "a")),
    ],
)
def test_names_become_the_drivers_placeholders(
    style: ParamStyle, sent: str, names: tuple[str, ...]
) -> None:
    made = compiled(SQL, dialect=Plain(style))

    assert (made.sql, made.names) == (sent, names)
    assert str(made) == sent
    assert repr(made) == f"<Compiled for plain: {sent!r}, {names}>"


@every_style
def test_values_go_in_the_order_of_the_placeholders(style: ParamStyle) -> None:
    made = compiled(SQL, dialect=Plain(style))

    values = made.bind({"a": 1, "b": "x", "unused": 3})
    assert values == ({"b": "x", "a": 1} if style in NAMED else made_tuple(made, a=1, b="x"))
    assert made.expand({"a": 1, "b": "x"}) == (made.sql, values)


def made_tuple(made: Compiled, **values: Any) -> tuple[Any, ...]:
    return tuple(values[name] for name in made.names)


@every_style
def test_a_statement_without_parameters_goes_as_it_is_with_no_values(style: ParamStyle) -> None:
    made = compiled("SELECT '100%'", dialect=Plain(style))

    assert made.sql == "SELECT '100%'"
    assert not made.bind({})
    assert made.expand({})[0] == made.sql
    assert not made.expand({})[1]


@pytest.mark.parametrize("style", ["format", "pyformat"])
def test_a_percent_sign_beside_parameters_is_doubled_where_the_driver_formats(
    style: ParamStyle,
) -> None:
    made = compiled("SELECT '100%' LIKE :a", dialect=Plain(style))

    assert made.sql % ({"a": "?"} if style == "pyformat" else ("?",)) == "SELECT '100%' LIKE ?"


def test_an_escaped_colon_is_a_colon() -> None:
    assert compiled(r"SELECT x[1\:2], :a").sql == "SELECT x[1:2], ?"


def test_a_single_name_is_a_tuple_of_one() -> None:
    assert compiled("SELECT :a").bind({"a": 1}) == (1,)


# -- text() and compile() ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "sent"),
    [
        ("postgresql", "SELECT %s::int WHERE id = ANY(%s)"),
        ("mysql", "SELECT %s::int WHERE id IN (%s)"),
        ("mariadb", "SELECT %s::int WHERE id IN (%s)"),
        ("sqlite", "SELECT ?::int WHERE id IN (?)"),
    ],
)
def test_a_text_shows_what_a_database_would_get(dialect: str, sent: str) -> None:
    made = text("SELECT :a::int WHERE id IN :ids").compile(dialect)

    assert " ".join(str(made).split()) == sent.replace("ANY(%s)", "ANY (%s)")
    assert made.names == ("a", "ids")
    assert made.lists == ("ids",)


def test_a_text_compiles_for_sqlite_unless_told() -> None:
    assert str(text("SELECT :a").compile()) == "SELECT ?"


def test_compiling_for_an_unknown_dialect_names_the_known_ones() -> None:
    with pytest.raises(errors.UnknownDialect, match=r"'oracle' .*mariadb, mysql, postgresql"):
        text("SELECT 1").compile("oracle")


@pytest.mark.parametrize("wrong", [None, b"SELECT 1", 1, text("SELECT 1")], ids=repr)
def test_text_takes_text_only(wrong: Any) -> None:
    with pytest.raises(errors.ArgumentError) as caught:
        text(wrong)
    assert str(caught.value) == f"text() takes a str, not {type(wrong).__name__}"


def test_a_clause_shows_its_text() -> None:
    clause = text("SELECT :a")

    assert (str(clause), repr(clause)) == ("SELECT :a", "text('SELECT :a')")


# -- bindparam() -------------------------------------------------------------------------------


def test_bindparams_leaves_the_clause_it_is_called_on_as_it_was() -> None:
    clause = text("SELECT :a")
    made = clause.bindparams(a=1)

    assert made.compile().bind({}) == (1,)
    with pytest.raises(errors.ParameterError, match="'a' is missing"):
        clause.compile().bind({})


def test_a_value_that_is_given_goes_before_the_default() -> None:
    made = compiled("SELECT :a, :b", bindparam("a", 1), b=2)

    assert made.bind({}) == (1, 2)
    assert made.bind({"a": 5}) == (5, 2)
    assert made.expand({"b": 6}) == (made.sql, (1, 6))


def test_none_is_a_default_like_any_other() -> None:
    assert compiled("SELECT :a", bindparam("a", None)).bind({}) == (None,)


def test_a_default_keeps_the_type_and_that_it_is_a_list() -> None:
    typed = text("SELECT :a").bindparams(bindparam("a", type_=int, expanding=True))
    made = typed.bindparams(a=[1, 2]).compile(Plain())

    assert made.expand({}) == ("SELECT (?, ?)", (1, 2))
    with pytest.raises(errors.ParameterError, match="must be int, not str"):
        made.expand({"a": [1, "2"]})


@pytest.mark.parametrize("value", [5, True, None], ids=repr)
def test_instances_of_the_type_and_none_pass(value: Any) -> None:
    codecs = {**Plain.parameter_codecs, bool: None}
    dialect = type("Flags", (Plain,), {"parameter_codecs": codecs})()

    assert compiled("SELECT :a", bindparam("a", type_=int), dialect=dialect).bind({"a": value})


def test_a_value_of_another_type_is_refused_without_being_shown() -> None:
    with pytest.raises(errors.ParameterError) as caught:
        compiled("SELECT :a", bindparam("a", type_=int)).bind({"a": "canary"})
    assert str(caught.value) == "parameter 'a' must be int, not str"


def test_a_typed_parameter_is_still_required() -> None:
    with pytest.raises(errors.ParameterError, match="'a' is missing; none given"):
        compiled("SELECT :a", bindparam("a", type_=int)).bind({})


def test_bindparam_for_a_name_that_is_not_there_tells_those_that_are() -> None:
    with pytest.raises(errors.ArgumentError, match=r"'b' is not a parameter .* it has 'a'$"):
        compiled("SELECT :a", bindparam("b"))
    with pytest.raises(errors.ArgumentError, match=r"'b' is not a parameter .* it has none$"):
        compiled("SELECT 1", b=1)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(
            {"key": 5}, "bindparam() takes the parameter's name as a str, not 5", id="number"
        ),
        pytest.param({"key": "a", "type_": "int"}, "type_ must be a class, not 'int'", id="type"),
        pytest.param(
            {"key": "a", "expanding": "yes"},
            "expanding must be True or False, not 'yes'",
            id="expanding",
        ),
    ],
)
def test_bindparam_refuses_what_can_not_be_meant(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(errors.ArgumentError) as caught:
        bindparam(**arguments)
    assert str(caught.value) == told


def test_bindparams_takes_objects_and_values_only() -> None:
    wrong: Any = "a"
    with pytest.raises(errors.ArgumentError, match=r"objects and name=value, not str$"):
        text("SELECT :a").bindparams(wrong)


def test_compile_takes_a_dialect_or_its_name_only() -> None:
    wrong: Any = 5
    with pytest.raises(errors.ArgumentError, match=r"a dialect or its name, not int$"):
        text("SELECT 1").compile(wrong)


def test_bindparam_shows_its_name_and_never_its_value() -> None:
    assert repr(bindparam("a", "canary")) == "bindparam('a')"
    assert repr(bindparam("a").value) == "REQUIRED"


# -- missing and surplus names -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "given", "told"),
    [
        ("SELECT :a", {}, "the query has 1 parameter (:a) but 'a' is missing; none given"),
        (
            "SELECT :a, :b, :a",
            {"b": 1},
            "the query has 2 parameters (:a, :b) but 'a' is missing; given: 'b'",
        ),
        (
            "SELECT :a, :b",
            {"x": 1, 5: 2},
            "the query has 2 parameters (:a, :b) but 'a', 'b' are missing; given: 'x', 5",
        ),
    ],
    ids=["none given", "one of two", "others given"],
)
@pytest.mark.parametrize("way", ["bind", "expand"])
def test_missing_names_are_told_with_those_given(
    way: str, sql: str, given: dict[Any, Any], told: str
) -> None:
    with pytest.raises(errors.ParameterError) as caught:
        getattr(compiled(sql), way)(given)
    assert str(caught.value) == told
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("sql", "given", "told"),
    [
        (
            "SELECT :name",
            {"name": 1, "nmae": 2},
            "the query has 1 parameter (:name) but 'nmae' was given too; did you mean 'name'?",
        ),
        (
            "SELECT :a, :b",
            {"a": 1, "b": 2, 5: 3, "zzz": 4},
            "the query has 2 parameters (:a, :b) but 5, 'zzz' was given too",
        ),
        ("SELECT 1", {"a": 1}, "the query has no parameters but 'a' was given too"),
    ],
    ids=["misspelt", "several", "no parameters"],
)
def test_surplus_names_are_refused_where_asked(sql: str, given: Any, told: str) -> None:
    with pytest.raises(errors.ParameterError) as caught:
        compiled(sql).refuse_surplus(given)
    assert str(caught.value) == told


def test_no_surplus_is_no_error() -> None:
    made = compiled("SELECT :a, :b")

    made.refuse_surplus({"a": 1, "b": 2})
    made.refuse_surplus({})


# -- values ------------------------------------------------------------------------------------


def test_values_the_driver_does_not_know_are_adapted_in_place() -> None:
    made = compiled("SELECT :a, :b, :c")

    values = made.bind({"a": 1, "b": bytearray(b"x"), "c": "y"})
    assert values == (1, b"x", "y")
    assert type(values[1]) is bytes
    assert made.expand({"a": 1, "b": bytearray(b"x"), "c": "y"}) == (made.sql, values)


def test_a_subclass_goes_as_its_base_whatever_it_prints() -> None:
    class Name(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "evil"

    (value,) = compiled("SELECT :a").bind({"a": Name("good")})
    assert (value, type(value)) == ("good", str)


@pytest.mark.parametrize("way", ["bind", "expand"])
def test_a_value_that_nobody_can_take_is_refused_by_name_and_type(way: str) -> None:
    with pytest.raises(errors.ParameterError) as caught:
        getattr(compiled("SELECT :a, :b"), way)({"a": 1, "b": {"secret"}})
    assert str(caught.value) == "parameter 'b' is of type set, which plain (none) can not take"


# -- lists -------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", NAMED)
def test_the_members_of_a_list_are_no_other_parameter(style: ParamStyle) -> None:
    made = compiled("SELECT :b__1 WHERE x IN :b AND y IN :b__1__2", dialect=Plain(style))

    _, values = made.expand({"b": [1, 2], "b__1": 7, "b__1__2": [8]})
    assert sorted(values.values()) == [1, 2, 7, 8]


@pytest.mark.parametrize(
    ("style", "sent"),
    [
        ("qmark", "SELECT ? WHERE x IN (?, ?) OR y = ?"),
        ("format", "SELECT %s WHERE x IN (%s, %s) OR y = %s"),
        ("numeric", "SELECT :1 WHERE x IN (:2, :3) OR y = :4"),
        ("numeric_dollar", "SELECT $1 WHERE x IN ($2, $3) OR y = $4"),
        ("named", "SELECT :a WHERE x IN (:b__1, :b__2) OR y = :c"),
        ("pyformat", "SELECT %(a)s WHERE x IN (%(b__1)s, %(b__2)s) OR y = %(c)s"),
    ],
)
def test_a_list_after_in_is_spread(style: ParamStyle, sent: str) -> None:
    made = compiled("SELECT :a WHERE x IN :b OR y = :c", dialect=Plain(style))

    sql, values = made.expand({"a": 1, "b": [2, 3], "c": 4})
    assert sql == sent
    assert list(values.values() if style in NAMED else values) == [1, 2, 3, 4]
    if style in NAMED:
        assert list(values) == ["a", "b__1", "b__2", "c"]


@every_style
@given(sizes=st.tuples(st.integers(0, 2), st.integers(0, 1)))
def test_there_are_as_many_values_as_placeholders(
    style: ParamStyle, sizes: tuple[int, int]
) -> None:
    made = compiled("SELECT :p WHERE x IN :q AND z IN :r OR :p = 1", dialect=Plain(style))
    first, second = (list(range(10 * n, 10 * n + size)) for n, size in enumerate(sizes, 1))

    sql, values = made.expand({"p": 0, "q": first, "r": second})
    if style in NAMED:
        assert list(values.values()) == [0, *first, *second]
        marks = [f":{n}" if style == "named" else f"%({n})s" for n in values]
        assert all(mark in sql for mark in marks)
    elif style.startswith("numeric"):
        assert list(values) == [0, *first, *second]
        mark = ":" if style == "numeric" else "$"
        assert all(f"{mark}{n + 1}" in sql for n in range(len(values)))
        assert sql.endswith(f"{mark}1 = 1")
    else:
        assert list(values) == [0, *first, *second, 0]
        assert sql.count("?" if style == "qmark" else "%s") == len(values)


@every_style
def test_an_empty_list_is_a_set_without_members(style: ParamStyle) -> None:
    made = compiled("SELECT 1 WHERE x NOT IN :b", dialect=Plain(style))

    sql, values = made.expand({"b": []})
    assert sql == "SELECT 1 WHERE x NOT IN (SELECT NULL WHERE 1 = 0)"
    assert not values


@pytest.mark.parametrize(
    "value",
    [[1, 2], (1, 2), range(1, 3), {1, 2}, frozenset((1, 2))],
    ids=lambda v: type(v).__name__,
)
def test_lists_are_of_these_types(value: Any) -> None:
    assert compiled("SELECT 1 WHERE x IN :b").expand({"b": value})[1] == (1, 2)


def test_what_takes_no_list_after_in_is_told_with_what_to_write() -> None:
    with pytest.raises(
        errors.ParameterError, match=r"not str; .* POSITION\(.*\), write IN \(:s\)$"
    ):
        compiled("SELECT POSITION('a' IN :s)").expand({"s": "ba"})


@pytest.mark.parametrize(
    "value", [1, "ab", None, {1: 2}, iter([1])], ids=lambda v: type(v).__name__
)
def test_what_stands_after_in_must_be_a_list(value: Any) -> None:
    with pytest.raises(errors.ParameterError) as caught:
        compiled("SELECT 1 WHERE x IN :b").expand({"b": value})
    assert str(caught.value) == (
        "parameter 'b' stands after IN and must be a list, tuple, set, frozenset or range, "
        f"not {type(value).__name__}; for one value, as in POSITION(… IN …), write IN (:b)"
    )


def test_a_list_in_parentheses_is_refused_with_what_to_write() -> None:
    made = compiled("SELECT 1 WHERE x IN (:b)")

    assert made.bind({"b": 1}) == (1,)
    with pytest.raises(errors.ParameterError, match="'b' is a list: write IN :b without the paren"):
        made.bind({"b": [1]})


def test_the_members_of_a_list_are_adapted() -> None:
    made = compiled("SELECT 1 WHERE x IN :b")

    assert made.expand({"b": [1, bytearray(b"x")]})[1] == (1, b"x")
    with pytest.raises(errors.ParameterError, match="'b' is of type list"):
        made.expand({"b": [[1]]})


def test_an_expanding_parameter_is_spread_anywhere() -> None:
    made = compiled("VALUES :b", bindparam("b", expanding=True))

    assert made.lists == ("b",)
    assert made.expand({"b": [1, 2]}) == ("VALUES (?, ?)", (1, 2))


def test_more_values_than_the_database_takes_are_refused_before_they_are_sent() -> None:
    made = compiled("SELECT :a WHERE x IN :b")

    assert len(made.expand({"a": 0, "b": range(4)})[1]) == 5
    with pytest.raises(errors.ParameterError) as caught:
        made.expand({"a": 0, "b": range(5)})
    assert str(caught.value) == (
        "6 parameters are more than the 5 that plain takes in one statement"
    )


@pytest.mark.parametrize(
    ("sql", "sent"),
    [
        ("x IN :b", "x = ANY (%s)"),
        ("x NOT IN :b", "x <> ALL (%s)"),
        ("x not /* c */ in :b AND y", "x <> /* c */ ALL (%s) AND y"),
    ],
)
def test_a_list_goes_as_one_array_where_the_database_has_arrays(sql: str, sent: str) -> None:
    made = compiled(f"SELECT {sql}", dialect=Arrays("format"))

    assert made.sql == f"SELECT {sent}"
    assert made.expand({"b": range(100)}) == (made.sql, (list(range(100)),))


def test_a_list_that_also_stands_elsewhere_is_spread_even_with_arrays() -> None:
    made = compiled(
        "SELECT x IN :b, ROW :b", bindparam("b", expanding=True), dialect=Arrays("format")
    )

    sql, values = made.expand({"b": [1, 2]})
    assert sql == "SELECT x IN (%s, %s), ROW (%s, %s)"
    assert values == (1, 2, 1, 2)


@pytest.mark.parametrize(
    ("size", "sent"), [(1, "?"), (2, "?, ?"), (3, "?, ?, ?, ?"), (4, "?, ?, ?, ?")]
)
def test_a_list_is_padded_by_its_last_member_to_a_power_of_two(size: int, sent: str) -> None:
    sql, values = compiled("SELECT 1 WHERE x IN :b").expand({"b": range(size)})

    assert sql == f"SELECT 1 WHERE x IN ({sent})"
    assert values == (*range(size), *[size - 1] * (len(values) - size))


def test_a_list_is_not_padded_beyond_the_limit() -> None:
    made = compiled("SELECT 1 WHERE x IN :b")

    assert made.expand({"b": range(5)})[1] == (0, 1, 2, 3, 4)
    assert len(made.expand({"b": range(5)}, 8)[1]) == 8
    with pytest.raises(errors.ParameterError, match="5 parameters are more than the 4"):
        made.expand({"b": range(5)}, 4)


def test_an_expanding_parameter_is_never_padded() -> None:
    made = compiled("SELECT f:b, x IN :b".replace("f:", "f :"), bindparam("b", expanding=True))

    assert made.expand({"b": [1]}) == ("SELECT f (?), x IN (?)", (1, 1))
    with pytest.raises(errors.ParameterError, match="6 parameters"):
        made.expand({"b": [1, 2, 3]})


@every_style
def test_tuples_are_rows(style: ParamStyle) -> None:
    made = compiled("SELECT :a WHERE (x, y) IN :b", dialect=Plain(style))

    sql, values = made.expand({"a": 0, "b": [(1, 2), (3, bytearray(b"4"))]})
    marks = {
        "qmark": ["?"] * 5,
        "format": ["%s"] * 5,
        "numeric": [f":{n}" for n in range(1, 6)],
        "numeric_dollar": [f"${n}" for n in range(1, 6)],
        "named": [":a", *(f":b__{n}" for n in range(1, 5))],
        "pyformat": ["%(a)s", *(f"%(b__{n})s" for n in range(1, 5))],
    }[style]
    assert sql == "SELECT {} WHERE (x, y) IN (({}, {}), ({}, {}))".format(*marks)
    assert list(values.values() if style in NAMED else values) == [0, 1, 2, 3, b"4"]


@pytest.mark.parametrize(
    ("before", "width"),
    [
        ("x", 1),
        ("(x)", 1),
        ("(x, y)", 2),
        ("(x, (y), f(a, b, c), ',')", 4),
        ("f(x, y)", 1),
        ('"f"(x, y)', 1),
        ("row(x, y)", 2),
        ("AND(x, y)", 2),
        ("1+ (x, y) /* ) */", 2),
    ],
)
def test_an_empty_list_is_as_wide_as_what_stands_before_it(before: str, width: int) -> None:
    made = compiled(f"SELECT 1 WHERE {before} NOT IN :b", dialect=Plain())

    nulls = ", ".join(["NULL"] * width)
    assert made.expand({"b": []})[0].endswith(f"NOT IN (SELECT {nulls} WHERE 1 = 0)")


def test_rows_are_spread_even_with_arrays() -> None:
    made = compiled("SELECT (x, y) NOT IN :b, z IN :c", dialect=Arrays("format"))

    sql, values = made.expand({"b": [(1, 2)], "c": [3]})
    assert sql == "SELECT (x, y) NOT IN ((%s, %s)), z = ANY (%s)"
    assert values == (1, 2, [3])
    assert made.expand({"b": [7], "c": [3]})[0] == "SELECT (x, y) <> ALL (%s), z = ANY (%s)"


@pytest.mark.parametrize("second", ["SELECT :a", "/* b */ SELECT 2", "'x'"])
def test_several_statements_are_refused_and_the_second_is_shown(second: str) -> None:
    with pytest.raises(errors.SQLTextError, match=r"one by one.*execute_script\(\)") as caught:
        compiled(f"SELECT 1;\n  {second};")
    shown = caught.value.caret.splitlines()
    assert shown[0][len(shown[1]) - 1 :].startswith(second.removeprefix("/* b */ "))


# -- verbs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "control"),
    [
        ("BEGIN", True),
        ("/* c */ commit", True),
        ("ROLLBACK", True),
        ("ROLLBACK TO SAVEPOINT s", False),
        ("rollback work to s", False),
        ("SELECT 1", False),
        ("SAVEPOINT s", False),
    ],
)
def test_statements_that_end_or_begin_a_transaction_are_known(sql: str, control: bool) -> None:
    made = compiled(sql)

    assert made.control is control
    assert made.special is control


def test_what_the_database_would_ignore_is_refused_by_the_dialect() -> None:
    made = compiled("PRAGMA foreign_keys = ON")

    assert made.refusal == "PRAGMA is ignored here"
    assert made.special


def test_a_dialect_that_commits_by_itself_looks_at_all_but_plain_statements() -> None:
    dialect = type("Implicit", (Plain,), {"capabilities": frozenset({"implicit_commit"})})()

    assert compiled("CREATE TABLE t (a int)", dialect=dialect).special
    assert not compiled("INSERT INTO t VALUES (1)", dialect=dialect).special
    assert not compiled("CREATE TABLE t (a int)").special


@pytest.mark.parametrize("wrong", [[int], {"a": int}, {int}])
def test_a_column_is_read_as_a_type(wrong: Any) -> None:
    with pytest.raises(
        errors.ArgumentError, match=r"\.columns\(v=…\) takes a type, such as list, not "
    ):
        text("SELECT 1 AS v").columns(v=wrong)
