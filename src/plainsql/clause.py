"""What an author says of a statement: `text()`, `unsafe_text()`, `bindparam()`.

Floor 2: pure; no database is known here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from plainsql.codecs import Zoned
from plainsql.dialect import Dialect
from plainsql.errors import ArgumentError
from plainsql.options import require_flags
from plainsql.registry import dialect_class

if TYPE_CHECKING:
    from typing import LiteralString, TypeAlias

    from plainsql.statement import Compiled
    from plainsql.templates import Template

    #: What can be executed; a template string is one from Python 3.14 on.
    Statement: TypeAlias = "LiteralString | TextClause | Template"


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED: Final = _Required()


class BindParameter:
    """What is known of one parameter beside its name; made by `bindparam()`."""

    __slots__ = ("expanding", "key", "type_", "value")

    def __init__(
        self, key: str, value: Any, type_: type | Zoned | None, *, expanding: bool
    ) -> None:
        self.key = key
        self.value = value
        self.type_ = type_
        self.expanding = expanding

    def __repr__(self) -> str:
        return f"bindparam({self.key!r})"


def bindparam(
    key: str, value: Any = REQUIRED, type_: type | Zoned | None = None, *, expanding: bool = False
) -> BindParameter:
    """Say more of the parameter `:key`: a default `value`, the type, or that it is a list.

    With `type_`, a value that is neither None nor an instance of it is a `ParameterError`.
    `IN :key` expands a list without `expanding=True`; elsewhere it is needed.

    >>> stmt = text("SELECT x FROM t WHERE x > :x").bindparams(bindparam("x", 6, int))
    >>> stmt.compile("sqlite").bind({})
    (6,)
    """
    if not isinstance(key, str):
        raise ArgumentError(f"bindparam() takes the parameter's name as a str, not {key!r}")
    if not isinstance(type_, type | Zoned | None):
        raise ArgumentError(f"type_ must be a class, not {type_!r}")
    require_flags(expanding=expanding)
    return BindParameter(key, value, type_, expanding=expanding)


class TextClause:
    """A statement as its author wrote it, with `:name` parameters; made by `text()`."""

    __slots__ = ("_binds", "_columns", "_key", "_places", "text")

    text: str

    def __init__(
        self,
        text: str,
        binds: dict[str, BindParameter] | None = None,
        columns: dict[str, Any] | None = None,
        places: tuple[int, ...] | None = None,
    ) -> None:
        self.text = text
        self._binds = binds or {}
        self._columns = columns or {}
        self._places = places  # where its parameters stand; None: where the lexer finds them
        # What the cache looks up: the text itself, or this object where more was said.
        self._key: Any = self if binds or columns else text
        if places is not None:
            self._key = (text, places)

    def bindparams(self, *binds: BindParameter, **values: Any) -> TextClause:
        """Return a copy with more known of its parameters: objects, or names with values."""
        merged = dict(self._binds)
        for bind in binds:
            if not isinstance(bind, BindParameter):
                raise ArgumentError(
                    "bindparams() takes bindparam(…) objects and name=value, "
                    f"not {type(bind).__name__}"
                )
            merged[bind.key] = bind
        for name, value in values.items():
            old = merged.get(name)
            merged[name] = BindParameter(
                name, value, old.type_ if old else None, expanding=bool(old and old.expanding)
            )
        return TextClause(self.text, merged, self._columns)

    def columns(self, **types: Any) -> TextClause:
        """Return a copy that reads these result columns as these types.

        For what the driver does not give so by itself: `.columns(id=UUID, at=datetime, doc=Json)`.
        A value that can not be read so, or a column that is not there, is a `MappingError`.
        """
        for name, type_ in types.items():
            if isinstance(type_, list | dict | set):
                raise ArgumentError(f".columns({name}=…) takes a type, such as list, not {type_!r}")
        return TextClause(self.text, self._binds, {**self._columns, **types})

    def compile(self, dialect: str | Dialect = "sqlite") -> Compiled:
        """Show what would be sent, without a connection; the driver need not be installed.

        `str()` of the outcome is the SQL, `names` the parameters in the order they are sent.

        >>> compiled = text("SELECT '50%', x FROM t WHERE x > :x").compile("postgresql")
        >>> print(compiled, compiled.names)
        SELECT '50%%', x FROM t WHERE x > %s ('x',)
        """
        if isinstance(dialect, str):
            dialect = dialect_class(dialect)()
        if not isinstance(dialect, Dialect):
            raise ArgumentError(
                f"compile() takes a dialect or its name, not {type(dialect).__name__}"
            )
        from plainsql.statement import Compiled  # which reads clauses

        return Compiled(self, dialect, dialect.lexical)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"text({self.text!r})"


def text(sql: LiteralString, /, **types: type | Zoned) -> TextClause:
    """Make a statement of SQL text; each `:name` outside literals and comments is a parameter.

    `types` are those of parameters, by name, as `bindparam(name, type_=…)` says them one by one.
    For a text that is put together at run time there is `unsafe_text`.
    """
    if not isinstance(sql, str):
        raise ArgumentError(f"text() takes a str, not {type(sql).__name__}")
    if not types:
        return TextClause(sql)
    return TextClause(sql, {name: bindparam(name, type_=type_) for name, type_ in types.items()})


def unsafe_text(sql: str, /, **types: type | Zoned) -> TextClause:
    """Make a statement as `text()` does, of a text that is no literal of the program.

    What comes from outside the program may be any SQL: values belong into parameters, names of
    tables and columns into `quote()`.
    """
    return text(sql, **types)


def text_of(statement: Any, what: str) -> str:
    """Return the text of a statement that `what` does not look for parameters."""
    if statement.__class__ is TextClause:
        if statement._key is not statement.text:  # noqa: SLF001 - same file, same idea
            raise ArgumentError(f"{what} has no parameters and columns to say more of")
        return statement.text  # type: ignore[no-any-return]
    if not isinstance(statement, str):
        raise ArgumentError(f"{what} takes a str, not {type(statement).__name__}")
    return statement
