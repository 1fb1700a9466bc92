"""Rows made into objects of a user's class: which column fills which field, read as what type.

Floor 2: pure.  A class is taken by its constructor: its parameters are the fields, by whatever
library it was made; a TypedDict by its keys.  `Mapper` reads the class once per statement.
"""

from __future__ import annotations

import inspect
import types
import typing
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from plainsql.codecs import Json, Reading, Zoned
from plainsql.errors import AmbiguousColumn, ArgumentError, MappingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from plainsql.codecs import Codecs

    Raw = tuple[Any, ...]

NONE: Final = type(None)
UNIONS: Final = (typing.Union, types.UnionType)
POSITIONAL: Final = inspect.Parameter.POSITIONAL_OR_KEYWORD
#: What stands around the type of a TypedDict's key; typing and typing_extensions have their own.
WRAPPERS: Final = ("Required", "NotRequired", "ReadOnly")
#: Their annotation says nothing of the value.
UNSAID: Final = (Any, object, None, inspect.Parameter.empty)


class Field(NamedTuple):
    """What the class takes under one name; `type_` None: the value as it comes."""

    optional: bool
    positional: bool
    type_: Any = None
    nullable: bool = True


class Mapper:
    """Makes objects of one class of rows; `lax` as `Connection.execute` tells."""

    def __init__(self, into: type, *, lax: bool) -> None:
        self.into = into
        self._lax = lax
        self._validates = hasattr(into, "__pydantic_validator__")
        self._is_dict = issubclass(into, dict) and hasattr(into, "__total__")
        self._takes_more = False
        self._fields = dict(self._keys() if self._is_dict else self._parameters())

    def unit(self, names: Sequence[str]) -> Callable[[Raw], Any]:
        """Return what makes an object of a row with these columns; MappingError: they do not fit.

        The error lists every column that is missing, surplus or ambiguous.
        """
        self._require_fit(names)
        fields, into = self._fields, self.into
        if self._is_dict:
            keys = [name for name in names if name in fields]
            return _keyword(dict, keys, _places(keys, names))
        given = [name for name in fields if name in names]
        if given == [*fields][: len(given)] and all(fields[name].positional for name in given):
            return _positional(into, _places(given, names), len(names))
        given += [name for name in names if name not in fields and self._takes_more]
        return _keyword(into, given, _places(given, names))

    def readings(self, names: Sequence[str], codecs: Codecs) -> Iterator[tuple[int, Reading]]:
        """Yield how the columns are read as the types of their fields, by index."""
        for at, name in enumerate(names):
            field = self._fields.get(name)
            if field is not None and field.type_ is not None:
                yield at, self._reading(name, field, codecs)

    # -- the class -----------------------------------------------------------------------------

    def _keys(self) -> Iterator[tuple[str, Field]]:
        required = self.into.__required_keys__  # type: ignore[attr-defined]
        for name, hint in self._hints(self.into).items():
            said, optional = hint, name not in required
            while (of := str(typing.get_origin(said)).rpartition(".")[2]) in WRAPPERS:
                optional = of == "NotRequired" or (of == "ReadOnly" and optional)
                said = typing.get_args(said)[0]
            yield name, self._field(said, optional=optional)

    def _parameters(self) -> Iterator[tuple[str, Field]]:
        hints, aliases = self._hints(self.into), {}
        for attribute in getattr(self.into, "__attrs_attrs__", ()):
            aliases[attribute.alias] = attribute.name
            if attribute.converter is not None:
                hints[attribute.name] = Any
        parameters = self._signature()
        if not hints:  # of a class that says them of its constructor's parameters only
            hints = self._hints(self.into.__init__)  # type: ignore[misc] # read only
        for name, parameter in parameters.items():
            if parameter.kind is parameter.VAR_KEYWORD:
                self._takes_more = True
            elif parameter.kind is not parameter.VAR_POSITIONAL:
                optional = parameter.default is not parameter.empty
                hint = hints.get(aliases.get(name, name), Any)
                positional = parameter.kind is POSITIONAL
                yield name, self._field(hint, optional=optional, positional=positional)

    def _field(self, hint: Any, *, optional: bool, positional: bool = False) -> Field:
        type_, nullable = _told(hint)
        if self._validates and type_ not in (dict, list):
            type_ = None
        return Field(optional, positional, type_, nullable)

    def _signature(self) -> Mapping[str, inspect.Parameter]:
        into = self.into
        try:
            parameters = inspect.signature(into).parameters
        except (ValueError, TypeError):
            parameters = None
        kinds = {p.kind for p in parameters.values()} if parameters else set()
        if not parameters or inspect.Parameter.POSITIONAL_ONLY in kinds:
            raise ArgumentError(
                f"into= takes a dataclass, NamedTuple, TypedDict, attrs, pydantic or msgspec class,"
                f" or another whose constructor takes the columns by name; {into.__name__} does not"
            )
        config = getattr(into, "model_config", {})
        if self._validates and (config.get("populate_by_name") or config.get("validate_by_name")):
            aliases = {f.alias: name for name, f in into.model_fields.items()}  # type: ignore[attr-defined]
            return {aliases.get(name, name): p for name, p in parameters.items()}
        return parameters

    def _hints(self, of: Any) -> dict[str, Any]:
        try:
            return typing.get_type_hints(of, include_extras=True)
        except NameError as exc:
            raise ArgumentError(
                f"the annotations of {self.into.__name__} can not be read: {exc}; "
                "what they name must be there at run time, in the module of the class"
            ) from None

    # -- the columns ---------------------------------------------------------------------------

    def _require_fit(self, names: Sequence[str]) -> None:
        fields, lax = self._fields, self._lax
        wrong = {
            "missing": [
                f"{name!r} (lax=True leaves it out)" if field.optional else repr(name)
                for name, field in fields.items()
                if name not in names and not (field.optional and (lax or self._is_dict))
            ],
            "surplus": [
                repr(name) for name in names if name not in fields and not (lax or self._takes_more)
            ],
            "more than once": [
                repr(name)
                for name in dict.fromkeys(names)
                if names.count(name) > 1 and (name in fields or self._takes_more)
            ],
        }
        if not any(wrong.values()):
            return
        told = "; ".join([f"{what}: {', '.join(which)}" for what, which in wrong.items() if which])
        error = AmbiguousColumn if wrong["more than once"] else MappingError
        raise error(
            f"the columns of the result do not fit {self.into.__name__}: {told}; "
            f"the result has {', '.join(map(repr, names))}"
        )

    def _reading(self, name: str, field: Field, codecs: Codecs) -> Reading:
        type_ = field.type_
        if self._validates:  # it reads and judges values itself
            return Reading(type_, codecs.decoder(Json))
        never_null = None if field.nullable else f"{self.into.__name__}.{name}"
        if typing.get_origin(type_) is typing.Literal:
            return Reading(type_, _one_of(typing.get_args(type_)), None, never_null)
        kept = None if codecs.is_registered(type_) else type_
        return Reading(type_, codecs.decoder(type_, _instance_of), kept, never_null)


def _told(hint: Any) -> tuple[Any, bool]:
    """Return what an annotation says: the type, None where none is said, and whether None fits."""
    for inner in ("__supertype__", "__value__"):  # of a NewType, of a `type` statement
        if hasattr(hint, inner) and not isinstance(hint, type):
            return _told(getattr(hint, inner))
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        for said in args[1:]:
            if said is Json or isinstance(said, Zoned):
                return said, _told(args[0])[1]
        return _told(args[0])
    if origin in UNIONS:
        several = [arg for arg in args if arg is not NONE]
        nullable = NONE in args
        if len(several) > 1:
            return None, True
        type_, also = _told(several[0])
        return type_, nullable or also
    if origin is typing.Literal:
        return hint, None in args
    hint = origin or hint
    if hint in UNSAID or not isinstance(hint, type):
        return None, True
    return hint, False


def _positional(into: type, places: list[int], count: int) -> Callable[[Raw], Any]:
    if places == [*range(count)]:
        return lambda raw: into(*raw)
    return lambda raw: into(*[raw[at] for at in places])


def _keyword(into: type, names: list[str], places: list[int]) -> Callable[[Raw], Any]:
    if into is dict:
        return lambda raw: dict(zip(names, [raw[at] for at in places], strict=True))
    return lambda raw: into(**dict(zip(names, [raw[at] for at in places], strict=True)))


def _places(wanted: Iterable[str], names: Sequence[str]) -> list[int]:
    return [names.index(name) for name in wanted]


def _one_of(values: tuple[Any, ...]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if value not in values:
            raise ValueError(f"it is none of {', '.join(map(repr, values))}")
        return value

    return read


def _instance_of(type_: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, type_):
            raise TypeError(
                f"the driver gave a value of type {type(value).__name__}; "
                "engine.codecs.register(type, to_db, from_db) teaches a way"
            )
        return value

    return read
