"""Values on their way to the driver and back: `Codecs`, one for each engine; `Json` and `Zoned`.

Floor 1.  A dialect says as data what its driver takes and what must be made of other types; what
a database could not give back as it came is refused, unless the author says the type in the
statement.
"""

from __future__ import annotations

from enum import Enum
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from plainsql.errors import ArgumentError, MappingError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime, tzinfo

    from plainsql.dialect import Dialect

    Encoder = Callable[[Any], Any]
    Rows = list[tuple[Any, ...]]

ABSENT: Final = object()
NONE: Final = type(None)
DATE: Final = "datetime.date"
#: What is sent for a member of an enumeration, as any other value.
member_value: Final = attrgetter("value")


class Json:
    """A value that is sent as JSON: `{"doc": Json({"a": 1})}`.

    Also a type: `bindparam("doc", type_=Json)` sends any value so, `.columns(doc=Json)` reads it.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return self.value == other.value if isinstance(other, Json) else NotImplemented

    __hash__ = None  # type: ignore[assignment] # what is inside need not have one

    def __repr__(self) -> str:
        return f"Json({self.value!r})"


class Zoned:
    """The type of a column whose times stand in one zone that the database does not store.

    `bindparam("at", type_=Zoned(UTC))` sends an aware datetime as that zone's naive one, and
    `.columns(at=Zoned(UTC))` reads it back as an aware one.  `zone` is a `datetime.timezone`: in
    a zone that changes its offset some times stand twice.
    """

    __slots__ = ("_zone",)

    def __init__(self, zone: tzinfo) -> None:
        from datetime import timezone

        if not isinstance(zone, timezone):
            raise ArgumentError(f"Zoned() takes a datetime.timezone, not {zone!r}")
        self._zone = zone

    def __repr__(self) -> str:
        return f"Zoned({self._zone!r})"

    def to_db(self, value: datetime) -> datetime:
        """Return the zone's naive datetime."""
        if getattr(value, "tzinfo", None) is None or not hasattr(value, "date"):
            raise ValueError("must be an aware datetime")
        return value.astimezone(self._zone).replace(tzinfo=None)

    def from_db(self, value: Any) -> datetime:
        """Return the aware datetime."""
        from datetime import datetime

        naive = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        if naive.tzinfo is not None:
            raise ValueError("the column has a zone of its own")
        return naive.replace(tzinfo=self._zone)


class Codecs:
    """What an engine's values become on the way to the driver, and back; `engine.codecs`."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._encoders: dict[Any, Encoder | None] = dict(dialect.parameter_codecs)
        self._typed: Mapping[Any, Encoder | None] = dialect.typed_codecs
        self._ours: dict[type, Encoder] = {}  # what the dialect's functions were found for
        self._registered: set[type] = set()  # the keys of those that the user gave
        self._decoders: dict[Any, Encoder] = {}
        self.by_column: dict[Any, Encoder] = dict(dialect.column_codecs)
        self.plain = {type_ for type_, encode in self._encoders.items() if encode is None}
        self.sized = {str, bytes} if dialect.max_message else set()
        self.quick = self.plain - self.sized
        self.connected = False
        self.caches: list[Any] = []
        self.json(None, None)

    def json(
        self, dumps: Callable[[Any], str] | None, loads: Callable[[str | bytes], Any] | None
    ) -> None:
        """Choose the functions for JSON; None is the standard library's."""
        self.json_dumps = dumps or default_dumps
        self.json_loads = loads or default_loads

    def register(
        self,
        type_: type,
        to_db: Encoder | None = None,
        from_db: Encoder | None = None,
        *,
        column_type: Any = None,
    ) -> None:
        """Teach this engine a type of yours, or another way with a type it knows.

        `to_db` turns a parameter of exactly this type, or of a subclass that is not registered,
        into a value that the engine takes.  `from_db` turns a value that came back, never None,
        into one of `type_`: where a statement says `.columns(name=type_)`, and in each result
        column of the driver's type `column_type` (a number of `FIELD_TYPE` for MySQL, an oid for
        PostgreSQL; SQLite's cursors tell no types).
        """
        if not isinstance(type_, type):
            raise ArgumentError(f"register() takes a class, not {type_!r}")
        for function in (to_db, from_db):
            if function is not None and not callable(function):
                raise ArgumentError(f"to_db and from_db must be callable, not {function!r}")
        if column_type is not None:
            self._require_column_types(from_db)
            self.by_column[column_type] = from_db  # type: ignore[assignment]
        if to_db is not None:
            self._encoders[type_] = to_db
            self._registered.add(type_)
            self._ours.clear()
            for known in (self.plain, self.quick, self.sized):
                known.discard(type_)
        if from_db is not None:
            self._decoders[type_] = from_db
        for cache in self.caches:
            cache.clear()

    def _require_column_types(self, from_db: Encoder | None) -> None:
        if from_db is None:
            raise ArgumentError("column_type says what from_db reads: give from_db, too")
        if not self._dialect.tells_column_types:
            raise ArgumentError(
                f"{self._dialect.name} does not tell the types of result columns: "
                "leave column_type out, and say .columns(name=type) in the statement"
            )
        if self.connected:
            raise ArgumentError("register a column_type before the engine's first connection")

    # -- to the driver -------------------------------------------------------------------------

    def adapt(self, name: str, value: Any) -> Any:
        """Return what the driver takes for `value`; ParameterError where nothing does it right."""
        encode = self._ours.get(value.__class__)
        if encode is not None:
            sent = self.call(name, encode, value)
            return sent if encode is not member_value else self.checked(name, sent)
        base, encode = _find(self._encoders, type(value))
        if base in self._registered:
            return self._encoded_twice(name, value, base, encode)
        if base is not None and isinstance(value, Enum):
            encode = member_value
        if encode is not None and base is not Json:
            self._ours[type(value)] = encode
            return self.adapt(name, value)
        return self._by_dialect(name, value, base, encode)

    def adapt_typed(self, name: str, type_: Any, value: Any) -> Any:
        """Return what the driver takes for a value whose type the statement says."""
        if isinstance(type_, Zoned):
            return self.call(name, type_.to_db, value)
        if type_ is Json and not isinstance(value, Json):
            value = Json(value)
        narrower = hasattr(value, "hour") and _dotted(type_) == DATE  # a datetime is a date
        if narrower or not isinstance(value, type_):
            raise ParameterError(
                f"parameter {name!r} must be {type_.__name__}, not {type(value).__name__}"
            )
        if _find(self._encoders, type(value))[0] in self._registered:
            return value  # and what its user registered comes next
        if isinstance(value, Enum):
            value = value.value
        base, encode = _find(self._typed, type(value))
        return value if base is None else self._by_dialect(name, value, base, encode)

    def checked(self, name: str, value: Any) -> Any:
        """Return what the driver takes for `value`, be it plain already or not."""
        if value.__class__ not in self.plain:
            return self.adapt(name, value)
        integers = self._dialect.integers
        if value.__class__ is int and integers is not None and value not in integers:
            raise ParameterError(
                f"parameter {name!r} is an int of more than 64 bits, which {self._dialect.name} "
                "would give back as a Decimal: give a Decimal"
            )
        return value

    def _encoded_twice(self, name: str, value: Any, base: Any, encode: Any) -> Any:
        """Return what the driver takes for what the user's function makes of the value."""
        sent = self.call(name, encode, value)
        if _find(self._encoders, type(sent))[0] is not base:
            return self.checked(name, sent)
        return self._by_dialect(name, sent, *_find(self._dialect.parameter_codecs, type(sent)))

    def _by_dialect(self, name: str, value: Any, base: Any, encode: Encoder | None) -> Any:
        if encode is not None:
            value = self.call(name, self._json, value.value) if base is Json else value
            return self.call(name, encode, value)
        if base is not None:
            plain = plain_value(value)
            return self.checked(name, plain) if plain.__class__ in self.plain else plain
        if self._dialect.passes_unknown_types and not isinstance(value, dict):
            return value
        raise ParameterError(self._refusal(name, value))

    def _json(self, value: Any) -> str:
        text: Any = self.json_dumps(value)
        if isinstance(text, bytes):  # as some functions write it
            return text.decode()
        if not isinstance(text, str):
            raise TypeError(f"json_dumps must give str or bytes, not {type(text).__name__}")
        return text

    @staticmethod
    def call(name: str, function: Encoder, value: Any) -> Any:
        """Return what a function makes of a parameter's value; ParameterError where it can not."""
        try:
            return function(value)
        except ParameterError:
            raise
        except (ValueError, TypeError, ArithmeticError, LookupError) as exc:
            raise ParameterError(f"parameter {name!r}: {exc}") from exc

    def _refusal(self, name: str, value: Any) -> str:
        dialect, what = self._dialect, type(value).__name__
        said = (
            f"parameter {name!r} is of type {what}, "
            f"which {dialect.name} ({dialect.driver_name}) can not take"
        )
        if isinstance(value, dict):
            return f"{said}: send it as JSON, by Json(…)"
        base, _ = _find(self._typed, type(value))
        if base is None:
            return said
        return (
            f"{said} and give back as it came: say bindparam({name!r}, type_={what}) "
            f"and read it by .columns(…={what})"
        )

    # -- back ----------------------------------------------------------------------------------

    def decoding(
        self,
        names: tuple[str, ...],
        codes: Sequence[Any] | None,
        wanted: Mapping[str, Any],
        fields: Iterable[tuple[int, Reading]] = (),
    ) -> Decoding | None:
        """Return what reads the columns of such rows; None where the driver's values stay.

        `codes` are the driver's types of the columns; `wanted` says columns by name and wins over
        `fields`, which says them by index.
        """
        plan: dict[int, Reading] = {}
        if self.by_column and codes is not None:
            for at, code in enumerate(codes):
                if (decode := self.by_column.get(code)) is not None:
                    plan[at] = Reading(code, self.json_loads if decode is Json else decode)
        read_already = self._dialect.reads_json if codes else ()
        for at, reading in fields:
            known = bool(read_already) and codes[at] in read_already  # type: ignore[index]
            plan[at] = self._unless_read(reading) if known else reading
        for name, type_ in wanted.items():
            places = [at for at, field in enumerate(names) if field == name]
            if len(places) != 1:
                why = "no such column" if not places else f"{len(places)} columns of that name"
                raise MappingError(
                    f".columns({name}=…): the result has {why}; it has {', '.join(names)}"
                )
            at = places[0]
            reading = Reading(type_, self.decoder(type_))
            known = bool(read_already) and codes[at] in read_already  # type: ignore[index]
            plan[at] = self._unless_read(reading) if known else reading
        return Decoding(names, plan) if plan else None

    def decoder(self, type_: Any, otherwise: Callable[[Any], Encoder] | None = None) -> Encoder:
        """Return what makes a value of `type_` of what the driver gives; never called with None.

        Where no way is known: ArgumentError, or what `otherwise` makes of the type.
        """
        if isinstance(type_, Zoned):
            return type_.from_db
        if self.is_registered(type_):
            return self._decoders[type_]
        if type_ is Json:
            return self._read_json
        if type_ in (dict, list):
            return lambda value: _exactly(type_, self._read_json(value))
        read: Encoder | None = READERS.get(type_)
        if read is not None:
            return read
        import enum
        from pathlib import PurePath

        if isinstance(type_, type) and issubclass(type_, enum.Enum | PurePath):
            return type_
        if otherwise is not None:
            return otherwise(type_)
        raise ArgumentError(
            f"no way is known to read a column as {type_!r}: "
            "engine.codecs.register(type, to_db, from_db) teaches one"
        )

    def is_registered(self, type_: Any) -> bool:
        """Tell whether the user registered a way to read `type_`."""
        return type_ in self._decoders

    def _unless_read(self, reading: Reading) -> Reading:
        """Return how a column is read whose JSON the driver has read: a str in it is a text."""
        if reading.read == self._read_json:
            return reading._replace(read=_as_it_is)
        if reading.type_ in (dict, list) and not self.is_registered(reading.type_):
            return reading._replace(read=partial(_exactly, reading.type_))
        return reading

    def _read_json(self, value: Any) -> Any:
        return self.json_loads(value) if isinstance(value, str) else value


class Reading(NamedTuple):
    """How a column is read: as `type_`, by `read`; what is of the class `kept` stays as it is.

    NULL is never read; where it may not be, `never_null` is the name of what may not be None.
    """

    type_: Any
    read: Encoder
    kept: type | None = None
    never_null: str | None = None


class Decoding:
    """Reads some columns of rows; called with a list of raw rows, returns another list."""

    __slots__ = ("_names", "_plan")

    def __init__(self, names: tuple[str, ...], plan: dict[int, Reading]) -> None:
        self._names = names
        self._plan = plan

    def __call__(self, rows: Iterable[tuple[Any, ...]]) -> Rows:
        """Return the rows with their columns read."""
        columns: list[Any] = list(zip(*rows, strict=True))
        if not columns:
            return []
        for at, (type_, read, kept, never_null) in self._plan.items():
            column = columns[at]
            if kept is not None or never_null is not None:
                kinds = {*map(type, column)}
                if never_null is not None and NONE in kinds:
                    raise MappingError(
                        f"column {self._names[at]!r} is NULL, and {never_null} may not be None"
                    )
                if kinds <= {kept, NONE}:
                    continue
            try:
                columns[at] = [None if value is None else read(value) for value in column]
            except (ValueError, TypeError, ArithmeticError, LookupError) as exc:
                what = getattr(type_, "__name__", repr(type_))
                raise MappingError(
                    f"column {self._names[at]!r} can not be read as {what}: {exc}"
                ) from exc
        return list(zip(*columns, strict=True))


def _find(table: Mapping[Any, Encoder | None], cls: type) -> tuple[Any, Encoder | None]:
    """Return the entry of the class or of its nearest base, and its function."""
    for base in cls.__mro__[:-1]:
        for key in (base, _dotted(base)):
            if (encode := table.get(key, ABSENT)) is not ABSENT:
                return base, encode  # type: ignore[return-value]
    return None, None


def _dotted(cls: type) -> str:
    """Return "module.Name" by the public module: pathlib's classes stand in a private one."""
    return f"{cls.__module__.partition('.')[0]}.{cls.__qualname__}"


def plain_value(value: Any) -> Any:
    """Return a subclass's value as its plain base; its own `__str__` is not asked."""
    base: Any
    for base in (str, int, float, bytes):
        if isinstance(value, base):
            return value if type(value) in (base, bool) else base.__getnewargs__(value)[0]
    from decimal import Decimal

    return Decimal(value) if isinstance(value, Decimal) else value


def default_dumps(value: Any) -> str:
    """Write JSON; ValueError for NaN and infinities, which it does not have."""
    import json

    return json.dumps(value, allow_nan=False)


def default_loads(text: str | bytes) -> Any:
    """Read JSON."""
    import json

    return json.loads(text)


# -- reading what a driver gave as another type: no value is ever rounded or guessed ---------------


def _exactly(type_: type, value: Any) -> Any:
    """Refuse what is of another type."""
    if not isinstance(value, type_):
        raise TypeError(f"the driver gave {_told(value)}")
    return value


def _as_it_is(value: Any) -> Any:
    return value


def _told(value: Any) -> str:
    return f"a value of type {type(value).__name__}"


def _bool(value: Any) -> bool:
    if value not in (0, 1):
        raise ValueError(f"the driver gave {_told(value)} that is neither 0 nor 1")
    return bool(value)


def _int(value: Any) -> int:
    number = int(value)
    if not isinstance(value, str) and number != value:
        raise ValueError("the number is no whole one")
    return number


def _float(value: Any) -> float:
    number = float(value)
    if isinstance(value, int) and number != value:
        raise ValueError("the number has too many digits")
    return number


def _decimal(value: Any) -> Any:
    from decimal import Decimal

    return Decimal(repr(value) if isinstance(value, float) else value)


def _date(value: Any) -> Any:
    from datetime import date, datetime

    if isinstance(value, datetime):
        raise TypeError("the driver gave a datetime")
    return value if isinstance(value, date) else date.fromisoformat(value)


def _datetime(value: Any) -> Any:
    from datetime import datetime

    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def _time(value: Any) -> Any:
    from datetime import datetime, time, timedelta

    if isinstance(value, timedelta):
        if not timedelta() <= value < timedelta(days=1):
            raise ValueError("the duration is no time of the day")
        return (datetime(1, 1, 1) + value).time()  # noqa: DTZ001 - only the time counts
    return value if isinstance(value, time) else time.fromisoformat(value)


def _timedelta(value: Any) -> Any:
    from datetime import timedelta

    return value if isinstance(value, timedelta) else duration(value)


def _uuid(value: Any) -> Any:
    from uuid import UUID

    if isinstance(value, bytes):
        return UUID(bytes=value)
    return value if isinstance(value, UUID) else UUID(_exactly(str, value))


def duration_text(value: Any) -> str:
    """Write a timedelta as an ISO 8601 duration in seconds, as `-PT90.5S`."""
    micro = abs(value.days * 86_400_000_000 + value.seconds * 1_000_000 + value.microseconds)
    seconds, micro = divmod(micro, 1_000_000)
    fraction = f".{micro:06d}".rstrip("0") if micro else ""
    return f"{'-' if value.days < 0 else ''}PT{seconds}{fraction}S"


def duration(text: Any) -> Any:
    """Read what `duration_text` wrote."""
    import re
    from datetime import timedelta

    match = re.fullmatch(r"(-?)PT(\d+)(?:\.(\d{1,6}))?S", text)
    if match is None:
        raise ValueError("the text is no duration as PT90.5S")
    sign, seconds, fraction = match.groups()
    value = timedelta(seconds=int(seconds), microseconds=int((fraction or "0").ljust(6, "0")))
    return -value if sign else value


class _Readers(dict[Any, "Encoder"]):
    """By type; the types of modules that are not imported yet are known by their name."""

    def get(self, type_: Any, default: Any = None) -> Any:
        return super().get(type_) or super().get(
            _dotted(type_) if isinstance(type_, type) else type_, default
        )


READERS = _Readers(
    {
        bool: _bool,
        int: _int,
        float: _float,
        str: lambda value: _exactly(str, value),
        bytes: lambda value: _exactly(bytes, value),
        "decimal.Decimal": _decimal,
        "datetime.date": _date,
        "datetime.datetime": _datetime,
        "datetime.time": _time,
        "datetime.timedelta": _timedelta,
        "uuid.UUID": _uuid,
    }
)
