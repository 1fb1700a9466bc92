"""A statement compiled for one dialect, and parameters bound to it.

Floor 2: pure.  `Compiled` is made once per text and lexer mode and kept by the engine; `bind` is
on the path of every statement: it orders the values, checks their types and names what is
missing.
"""

# A clause is read here as what it is.
# ruff: noqa: SLF001

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from plainsql.clause import REQUIRED
from plainsql.dialect import PLAIN_VERBS
from plainsql.driver import Many
from plainsql.errors import ArgumentError, ParameterError, SQLTextError
from plainsql.lexing import end_of_word, scan
from plainsql.rendering import ENDING, Rendering, only_place
from plainsql.result import PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from plainsql.clause import TextClause
    from plainsql.codecs import Decoding
    from plainsql.dialect import Dialect
    from plainsql.lexing import Parameter
    from plainsql.mapping import Mapper
    from plainsql.rendering import Shape
    from plainsql.result import View
    from plainsql.row import Row
    from plainsql.rules import LexicalRules

LISTS = (list, tuple, set, frozenset, range)
#: ROLLBACK TO a savepoint ends nothing.
ROLLBACK_TO = re.compile(r"\s*ROLLBACK\s+(?:(?:WORK|TRANSACTION)\s+)?TO\b", re.IGNORECASE)
#: RETURNING as a clause; a column may bear that name.
RETURNING = re.compile(r"\bRETURNING\b(?!\s*(?:[=,.)]|\Z))", re.IGNORECASE)
#: Statements that may return rows without it.
RETURNING_VERBS = frozenset(
    ("SELECT", "VALUES", "TABLE", "WITH", "SHOW", "EXPLAIN", "DESCRIBE", "DESC", "PRAGMA", "CALL")
)
INSERTING_VERBS = frozenset(("INSERT", "REPLACE"))
#: Statements that change what is stored; after WITH they stand beside a parenthesis.
WRITING_VERBS = frozenset(
    ("INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "CREATE", "ALTER", "DROP", "TRUNCATE")
)
WRITING = re.compile(r"[()]\s*(?:INSERT|UPDATE|DELETE|MERGE|REPLACE)\s++(?!\()", re.IGNORECASE)
#: What tells where the group of VALUES stands, and that an INSERT has none.
GROUPING = re.compile(r"[()]|\bVALUES?\s*\(|\b(?:SELECT|SET|ON|WITH|TABLE)\b", re.IGNORECASE)
#: More than one word, or a literal.
PHRASE = re.compile(r"[\s'\"`]")
#: Integers of 64 bits; the dialect says which of the others it takes.
LEAST, GREATEST = -(1 << 63), (1 << 63) - 1
#: Most integers: two comparisons of one digit each.
SMALL = 1 << 30
#: What is shorter is not counted: of this length, no statement's values reach `max_message`.
LONG = 1 << 11
CONTROL_VERBS = frozenset({"BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT"})


class Examined:
    """What the connection must know of a statement before and after it runs.

    `verb` is the first keyword.  `control`: it would begin or end the transaction.  `mode`: it may
    change how the server reads SQL.  `refusal`: why the database would silently ignore it inside a
    transaction.  `writes`: it changes what is stored.  `special` is true where the
    connection must look closer, `simple` where it need not and no list is to be expanded.  `shape`
    is the last result's: its columns, its class of rows, what reads them and how they are shown, in
    one tuple, for threads share this.  `columns` are the types of columns that the author said,
    `mapper` makes objects of the rows, where that was asked for.
    """

    __slots__ = (
        "control",
        "mode",
        "refusal",
        "shape",
        "simple",
        "special",
        "sql",
        "statement",
        "verb",
        "writes",
    )

    lists: tuple[str, ...] = ()
    columns: Mapping[str, Any] = {}
    mapper: Mapper | None = None

    def __init__(self, statement: str, verb: str, dialect: Dialect) -> None:
        self.statement = self.sql = statement
        if dialect.max_message and len(statement) > LONG:
            dialect.require_fits(None, statement, None)
        self.shape: tuple[Any, type[Row] | None, Decoding | None, View] = (None, None, None, PLAIN)
        self.verb = verb
        self.writes = verb in WRITING_VERBS or (verb == "WITH" and self._writes_further_on())
        plain = verb in PLAIN_VERBS
        self.control = verb in CONTROL_VERBS and not ROLLBACK_TO.match(self.statement)
        self.refusal = None if plain else dialect.refuse(verb, self.statement)
        commits = not plain and "implicit_commit" in dialect.capabilities
        self.mode = dialect.changes_mode(verb, statement)
        self.special = bool(self.control or self.refusal or self.mode or commits)
        self.simple = not self.special

    def _writes_further_on(self) -> bool:
        return WRITING.search(self.statement) is not None

    def locate(self, place: int | str, sql: str, seen: list[str] | None) -> int | None:
        """Return the offset in the author's text of a place that the server told.

        `sql` is what was sent, `seen` what the server saw in place of the placeholders.
        """
        if isinstance(place, str):
            return only_place(place, self.statement)
        at = place if place >= 0 else len(sql.rstrip(ENDING)) + 1 + place
        return at if seen == [] and sql == self.statement and 0 <= at <= len(sql) else None

    def cast(self, number: int) -> tuple[str, int, str] | None:
        """Return name and place of the parameter of a value, and its line with a cast, if known."""
        del number
        return None

    def unmeant(self) -> str:
        """Return the first `:name` that touches a word, and so is no parameter; "" without one."""
        return ""


class Untouched(Examined):
    """A statement that goes to the driver as it is, with its parameters."""

    __slots__ = ("_values",)

    @property
    def many(self) -> Many:
        """Sent as it is; what may return rows is asked for them."""
        sql = self.statement
        return Many(returns=self.verb in RETURNING_VERBS or RETURNING.search(sql) is not None)

    def __init__(self, statement: str, verb: str, dialect: Dialect, values: Any) -> None:
        super().__init__(statement, verb, dialect)
        self._values = values
        if dialect.max_message:
            for row in values if isinstance(values, list) else (values,):
                dialect.require_fits(None, statement, row)

    def take_over(self, part: Examined) -> None:
        """Know of one of the statements in this text what the connection must know."""
        if part.control and not self.control:
            self.verb = part.verb
        self.control = self.control or part.control
        self.refusal = self.refusal or part.refusal
        self.mode = self.mode or part.mode
        self.writes = self.writes or part.writes
        self.special = self.special or part.special
        self.simple = not self.special

    def bind(self, params: Mapping[str, Any]) -> Any:
        """Return the parameters that came with the statement."""
        del params
        return self._values

    def refuse_surplus(self, params: Mapping[str, Any]) -> None:
        """The driver counts its parameters itself."""


class Compiled(Examined):
    """A statement rendered for one dialect and lexer mode.

    `sql` is what is sent when no list has to be expanded, `names` the parameters in the order of
    the placeholders.
    """

    __slots__ = (
        "_arrays",
        "_bare",
        "_checked",
        "_codecs",
        "_dialect",
        "_get",
        "_integers",
        "_many",
        "_named",
        "_paddable",
        "_places",
        "_plain",
        "_quick",
        "_ranged",
        "_rendering",
        "_scan",
        "_single",
        "_sized",
        "_unique",
        "binds",
        "columns",
        "lists",
        "mapper",
        "names",
    )

    def __init__(
        self,
        clause: TextClause,
        dialect: Dialect,
        rules: LexicalRules,
        mapper: Mapper | None = None,
    ) -> None:
        found = scan(clause.text, rules, clause._places)
        if not found.statements:
            raise SQLTextError("the text holds no statement", sql=clause.text)
        if found.statements > 1:
            raise SQLTextError(
                "a second statement begins here: execute them one by one, or several without"
                " parameters by execute_script()",
                sql=clause.text,
                offset=found.second,
            )
        self._scan = found
        super().__init__(clause.text, found.verb, dialect)
        self.binds = clause._binds
        self._dialect = dialect
        self._check_binds()
        self._codecs = dialect.codecs
        self._plain = self._codecs.plain
        self._quick = self._codecs.quick  # without those whose length is looked at
        self._sized = self._codecs.sized
        self._integers = dialect.integers
        self._ranged = self._integers is not None and int in self._plain
        self.columns = clause._columns
        self.mapper = mapper
        self.lists = tuple(
            name
            for name in dict.fromkeys(p.name for p in found.parameters)
            if any(p.name == name and self._expands(p) for p in found.parameters)
        )
        self.simple = not (self.special or self.lists)
        # Padded, or sent as one array, is what only stands after IN.
        self._paddable = tuple(
            name
            for name in self.lists
            if all(p.in_list for p in found.parameters if p.name == name)
        )
        self._arrays = self._paddable if dialect.lists_as_arrays else ()
        self._rendering = Rendering(found, dialect, self.lists, self._arrays)
        self._places = tuple(p.name for p in found.parameters)
        self._unique = tuple(dict.fromkeys(self._places))
        self._named = dialect.paramstyle in ("named", "pyformat")
        reuse = self._named or dialect.paramstyle in ("numeric", "numeric_dollar")
        self.names = self._unique if reuse else self._places
        self._many: Many | None = None
        self._get = _getter(self.names)
        self.sql = self._rendering.sql({})
        self._bare = tuple({p.name for p in found.parameters if p.parenthesized})
        self._checked = bool(self.binds or self._bare)
        plainly = int in self._plain and not (self._checked or self._named or self.lists)
        self._single = self.names[0] if plainly and len(self.names) == 1 else None

    def _writes_further_on(self) -> bool:
        return WRITING.search(self._scan.skeleton()) is not None

    def __str__(self) -> str:
        return self.sql

    def __repr__(self) -> str:
        return f"<Compiled for {self._dialect.name}: {self.sql!r}, {self.names}>"

    @property
    def many(self) -> Many:
        """How it is sent for many sets of values; found out at the first of them."""
        if self._many is None:
            self._many = self._plan_many()
        return self._many

    def locate(self, place: int | str, sql: str, seen: list[str] | None) -> int | None:
        """Return the offset in the author's text of a place that the server told."""
        if isinstance(place, int):
            return None if seen is None else self._rendering.author_offset(place, sql, seen)
        if not PHRASE.search(place):  # what stands in a literal is no word of the statement
            return only_place(place, self._scan.skeleton())
        at = only_place(place, self.statement)
        return at if at is not None or not seen else self._rendering.author_place(place, sql, seen)

    def cast(self, number: int) -> tuple[str, int, str] | None:
        """Return name and place of the parameter of the value `number`, from 1, and its line with
        a cast of it; None where lists are spread.
        """
        if self.lists != self._arrays or not 0 < number <= len(self.names):
            return None
        name, sql = self.names[number - 1], self.statement
        found = [p for p in self._scan.parameters if p.name == name]
        place = found[0 if self.names is self._unique else self._places[:number].count(name) - 1]
        start, end = sql.rfind("\n", 0, place.start) + 1, sql.find("\n", place.end)
        after = sql[place.end : end if end >= 0 else len(sql)]
        return name, place.start, f"{sql[start : place.start]}CAST(:{name} AS text){after}"

    def unmeant(self) -> str:
        """Return the first `:name` that touches a word, and so is no parameter; "" without one."""
        if not self._scan.hints:
            return ""
        at = self._scan.hints[0]
        return self.statement[at : end_of_word(self.statement, at + 1)]

    def _plan_many(self) -> Many:
        masked = self._scan.skeleton()
        returning = RETURNING.search(masked) is not None
        if returning:
            self._dialect.require("returning", "RETURNING")
        if returning or self.verb in RETURNING_VERBS:
            return Many(returns=True)
        group = _values_group(masked) if self.verb in INSERTING_VERBS else None
        places = [(p.start, p.end) for p in self._scan.parameters]
        if group is None or not all(group[0] < start < group[1] for start, _ in places):
            return Many()
        part = self._rendering.part
        head, tail = part(0, group[0]), part(group[1], len(masked))
        return Many(head=head, group=self.sql[len(head) : len(self.sql) - len(tail)], tail=tail)

    # -- binding -------------------------------------------------------------------------------

    def bind(self, params: Mapping[str, Any]) -> Any:
        """Return the values in the order of the placeholders, as the driver takes them.

        For statements without `lists`.  None where the statement has no parameters.
        """
        try:
            if self._single is not None:  # as below, for the most frequent kind of statement
                value = params[self._single]
                cls = value.__class__
                if cls is int:
                    if 0 <= value < SMALL or LEAST <= value <= GREATEST:
                        return (value,)
                elif cls in self._quick or (cls in self._sized and len(value) < LONG):
                    return (value,)
            if self._checked:
                params = self._complete(params)
            values = self._get(params)
        except KeyError:
            raise self._missing(params) from None
        quick = self._quick
        if not self._ranged:
            for value in values:
                if value.__class__ not in quick:
                    values = self._adapted(values)
                    break
        else:
            sized = self._sized
            for value in values:
                cls = value.__class__
                if cls is int:
                    if 0 <= value < SMALL or LEAST <= value <= GREATEST:
                        continue
                elif cls in quick or (cls in sized and len(value) < LONG):
                    continue
                values = self._adapted(values)
                break
        if self._named:
            return dict(zip(self.names, values, strict=True))
        return values or None

    def expand(self, params: Mapping[str, Any], limit: int | None = None) -> tuple[str, Any]:
        """Return the SQL and the values with every list spread over its own placeholders.

        `limit` is how many parameters this server takes; None: what the dialect says.
        """
        if self._checked:
            params = self._complete(params)
        for name in self._unique:
            if name not in params:
                raise self._missing(params)
        lists = {name: self._members(name, params[name]) for name in self.lists}
        shapes = {name: _shape(name, members) for name, members in lists.items()}
        for name in self._arrays:
            if not shapes[name][1]:
                params = {
                    **params,
                    name: self._codecs.call(name, self._dialect.array, lists.pop(name)),
                }
                del shapes[name]
        if shapes:
            shapes = self._padded(lists, shapes, limit or self._dialect.max_parameters)
        return self._rendering.sql(shapes), self._flatten(params, lists, shapes)

    def refuse_surplus(self, params: Mapping[str, Any]) -> None:
        """Refuse names that the statement does not have, naming the closest that it has."""
        surplus = [name for name in params if name not in self._unique]
        if not surplus:
            return
        import difflib

        close = difflib.get_close_matches(str(surplus[0]), self._unique, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ParameterError(f"{self._counted()} but {_quoted(surplus)} was given too{hint}")

    # -- private -------------------------------------------------------------------------------

    def _check_binds(self) -> None:
        places = {p.name for p in self._scan.parameters}
        for name in self.binds:
            if name not in places:
                raise ArgumentError(
                    f"bindparam {name!r} is not a parameter of the statement; "
                    f"it has {_quoted(places) or 'none'}"
                )

    def _expands(self, parameter: Parameter) -> bool:
        bind = self.binds.get(parameter.name)
        return parameter.in_list or bool(bind and bind.expanding)

    def _complete(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        defaults = {n: b.value for n, b in self.binds.items() if b.value is not REQUIRED}
        params = {**defaults, **params}
        for name in self._bare:
            if isinstance(params.get(name), LISTS):
                raise ParameterError(
                    f"parameter {name!r} is a {type(params[name]).__name__}: "
                    f"write IN :{name} without the parentheses, and it expands"
                )
        typed = {n: b.type_ for n, b in self.binds.items() if b.type_ is not None and n in params}
        return {**params, **{n: self._typed(n, t, params[n]) for n, t in typed.items()}}

    def _typed(self, name: str, type_: Any, value: Any) -> Any:
        if name in self.lists:
            return [
                None if item is None else self._typed_value(name, type_, item)
                for item in _list(name, value)
            ]
        return self._typed_value(name, type_, value)

    def _typed_value(self, name: str, type_: Any, value: Any) -> Any:
        if value is None:
            return self._dialect.typed_null(type_)
        return self._codecs.adapt_typed(name, type_, value)

    def _adapted(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        plain, adapt = self._plain, self._codecs.checked
        adapted = tuple(
            [
                value
                if value.__class__ in plain and value.__class__ is not int
                else adapt(name, value)
                for name, value in zip(self.names, values, strict=True)
            ]
        )
        if self._dialect.max_message:
            self._dialect.require_fits(None, self.sql, adapted)
        return adapted

    def _members(self, name: str, value: Any) -> list[Any]:
        """Return a list's members as the driver takes them; those that are tuples stay tuples."""
        members = list(_list(name, value))
        plain, adapt = self._plain, self._codecs.checked
        for at, member in enumerate(members):
            cls = member.__class__
            if cls not in plain or (cls is int and not LEAST <= member <= GREATEST):
                if isinstance(member, tuple):
                    members[at] = tuple([adapt(name, item) for item in member])
                else:
                    members[at] = adapt(name, member)
        return members

    def _padded(
        self, lists: dict[str, list[Any]], shapes: dict[str, Shape], limit: int | None
    ) -> dict[str, Shape]:
        """Return the shapes with sizes of powers of two, so that few texts serve all lists."""
        padded = {
            name: (1 << (size - 1).bit_length() if size and name in self._paddable else size, width)
            for name, (size, width) in shapes.items()
        }
        if limit is not None and self._count(padded) > limit:
            padded = shapes
            if (count := self._count(shapes)) > limit:
                raise ParameterError(
                    f"{count} parameters are more than the {limit} "
                    f"that {self._dialect.name} takes in one statement"
                )
        for name, (size, _) in padded.items():
            members = lists[name]
            members += members[-1:] * (size - len(members))
        return padded

    def _count(self, shapes: Mapping[str, Shape]) -> int:
        sizes = {name: size * (width or 1) for name, (size, width) in shapes.items()}
        return sum([sizes.get(name, 1) for name in self.names])

    def _flatten(
        self, params: Mapping[str, Any], lists: dict[str, list[Any]], shapes: dict[str, Shape]
    ) -> Any:
        """Return the values of all placeholders, lists spread, as the driver takes them."""
        flat = {
            name: list(chain.from_iterable(members)) if shapes[name][1] else members
            for name, members in lists.items()
        }
        if self._named:
            values: dict[str, Any] = {}
            joint = self._rendering.member_joint
            for name in self.names:
                if name in flat:
                    values.update((f"{name}{joint}{n}", v) for n, v in enumerate(flat[name], 1))
                else:
                    values[name] = self._codecs.checked(name, params[name])
            return values
        row: list[Any] = []
        for name in self.names:
            row += flat[name] if name in flat else (self._codecs.checked(name, params[name]),)
        return tuple(row) or None

    def _counted(self) -> str:
        n = len(self._unique)
        names = f" ({', '.join(f':{name}' for name in self._unique)})" if n else ""
        return f"the query has {n or 'no'} parameter{'' if n == 1 else 's'}{names}"

    def _missing(self, params: Any) -> ParameterError:
        missing = [name for name in self._unique if name not in params]
        given = f"given: {_quoted(params)}" if params else "none given"
        are = "is" if len(missing) == 1 else "are"
        return ParameterError(f"{self._counted()} but {_quoted(missing)} {are} missing; {given}")


def _list(name: str, value: Any) -> Any:
    if not isinstance(value, LISTS):
        raise ParameterError(
            f"parameter {name!r} stands after IN and must be a list, tuple, set, frozenset "
            f"or range, not {type(value).__name__}; for one value, as in POSITION(… IN …), "
            f"write IN (:{name})"
        )
    return value


def _shape(name: str, members: list[Any]) -> Shape:
    """Return how many members there are and how many values each holds; 0: they are no tuples."""
    widths = {len(member) if isinstance(member, tuple) else 0 for member in members}
    if len(widths) > 1 or (0 in widths and () in members):
        raise ParameterError(
            f"the members of parameter {name!r} must be all tuples of one length, or none of them"
        )
    return len(members), widths.pop() if widths else 0


def _quoted(names: Iterable[Any]) -> str:
    return ", ".join(repr(name) for name in names)


def _values_group(masked: str) -> tuple[int, int] | None:
    """Return where the only group of VALUES begins and ends, or None.

    `masked` is an INSERT without its literals and comments.
    """
    depth, start = 0, -1
    for match in GROUPING.finditer(masked):
        word = match[0].upper()
        if word == "(":
            depth += 1
        elif word == ")":
            depth -= 1
            if start >= 0 and not depth:
                more = masked[match.end() :].lstrip()
                return None if more.startswith(",") else (start, match.end())
        elif depth or start >= 0:
            continue
        elif word.startswith("VALUE"):
            start, depth = match.end() - 1, 1
        else:
            return None
    return None


def _getter(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """Return what takes the values from a mapping as a tuple."""
    if not names:
        return lambda _params: ()
    if len(names) == 1:
        return lambda params: (params[names[0]],)
    return itemgetter(*names)


def is_mapping(params: Any) -> bool:
    """Tell one parameter set from an iterable of them."""
    return isinstance(params, Mapping)
