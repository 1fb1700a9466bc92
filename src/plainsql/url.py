"""Connection URLs: `dialect+driver://user:password@host:port/database?option=value`.

Floor 0: imports only the exceptions.  A URL is read and written here; what its parts mean (a
socket in `?host=`, a path as database) is the dialect's business.  Nothing here shows a password:
not repr, str, pickle or `vars`, not an error's text, chain or the locals of its traceback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from .errors import URLError

if TYPE_CHECKING:
    from typing import NoReturn, Self

P = ParamSpec("P")
T = TypeVar("T")

Query = Mapping[str, str | tuple[str, ...]]

_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_IN_BRACKETS = _UNRESERVED | {":"}
_IN_PATH = _UNRESERVED | {"/", ":"}
_HEX = frozenset("0123456789ABCDEFabcdef")
_MASK = "***"
_SECRET_WORDS = ("pass", "pwd", "secret", "token")
_WRITE_AS = "in a user name or password write '@' as %40, '/' as %2F, '?' as %3F, '%' as %25"


def _discreet(function: Callable[P, T]) -> Callable[P, T]:
    """Raise the URLErrors of `function` anew, with no frame in the traceback that has its text."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except URLError as exc:
            problem = str(exc)
        del args, kwargs
        raise URLError(problem)

    return call


def discreet(function: Callable[P, T]) -> Callable[P, T]:
    """Raise what `function` refuses without its frames, where a password may stand."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except BaseException as exc:  # noqa: BLE001 - it is raised below
            refusal = exc
        del args, kwargs
        forget_frames(refusal)
        try:
            raise refusal
        finally:
            del refusal  # or its traceback would hold it, with this frame, in a cycle

    return call


def forget_frames(exc: BaseException) -> None:
    """Take from an exception, and all that led to it, the frames with their variables."""
    chain: list[BaseException | None] = [exc]
    for link in chain:
        if link is not None:
            link.__traceback__ = None
            others = (link.__cause__, link.__context__, *getattr(link, "exceptions", ()))
            chain += [other for other in others if other not in chain]


def not_pickled(thing: object) -> NoReturn:
    """Refuse to be pickled or copied; the `__reduce__` of what holds connections."""
    raise TypeError(
        f"{type(thing).__name__} can not be pickled or copied: it holds connections; "
        "make another one where it is needed"
    )


class Secret(Generic[T]):
    """Hold what no repr and no pickle shows; `reveal()` where it is used, not before."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """Return it; keep it in no variable that outlives the use."""
        return self._value

    def __repr__(self) -> str:
        return _MASK

    def __eq__(self, other: object) -> bool:
        return self._value == other._value if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret can not be pickled or copied: it would be written in clear")


class URL:
    """A connection URL, taken apart; it can not be changed, `set` returns another one.

    Made by `make_url` or `URL.create`.  A missing part is None; an empty password is `""`, which
    is not the same.  An empty user name or host counts as missing.  `query` maps an option to its
    value, or to the tuple of its values if it stands several times.  `str` and `repr` mask the
    password and every option that is named like one; a URL that holds such a thing refuses to
    be pickled.
    """

    __slots__ = ("_secret", "database", "drivername", "host", "port", "query", "username")

    drivername: str
    username: str | None
    host: str | None
    port: int | None
    database: str | None
    query: Query
    _secret: Secret[str] | None

    def __init__(self) -> None:
        raise TypeError("a URL is made by make_url() or URL.create()")

    @classmethod
    @_discreet
    def create(
        cls,
        drivername: str,
        username: str | None = None,
        password: str | None = None,
        host: str | None = None,
        port: int | None = None,
        database: str | None = None,
        query: Mapping[str, str | Sequence[str]] | None = None,
    ) -> Self:
        """Make a URL of its parts, which are taken as they are: nothing is percent-decoded.

        Raises URLError if a part can not be meant.

        >>> URL.create("postgresql", username="app", password="a@b", host="db", database="shop")
        postgresql://app:***@db/shop
        """
        parts = {
            "drivername": _checked_drivername(drivername),
            "username": _checked("user name", username) or None,
            "_secret": None if password is None else Secret(_checked("password", password)),
            "host": _checked_host(host),
            "port": None if port is None else _checked_port(port),
            "database": _checked("database", database),
            "query": MappingProxyType(_checked_query(query)),
        }
        url = object.__new__(cls)
        for name, value in parts.items():
            object.__setattr__(url, name, value)
        return url

    @property
    def password(self) -> str | None:
        """The password in clear: keep it in no variable that outlives its use."""
        return None if self._secret is None else self._secret.reveal()

    def get_backend_name(self) -> str:
        """Return the dialect's name, the part of `drivername` before the plus sign."""
        return self.drivername.partition("+")[0]

    def get_driver_name(self) -> str:
        """Return the driver's name, the part of `drivername` after the plus sign; "" if none."""
        return self.drivername.partition("+")[2]

    @_discreet
    def set(
        self,
        drivername: str | None = None,
        username: str | None = None,
        password: str | None = None,
        host: str | None = None,
        port: int | None = None,
        database: str | None = None,
        query: Mapping[str, str | Sequence[str]] | None = None,
    ) -> URL:
        """Return a URL with these parts changed; None leaves a part as it is."""
        return URL.create(
            self.drivername if drivername is None else drivername,
            self.username if username is None else username,
            self.password if password is None else password,
            self.host if host is None else host,
            self.port if port is None else port,
            self.database if database is None else database,
            self.query if query is None else query,
        )

    @_discreet
    def update_query_dict(
        self, query_parameters: Mapping[str, str | Sequence[str]], append: bool = False
    ) -> URL:
        """Return a URL with these options; `append` keeps the values that stand there already."""
        query: dict[str, str | tuple[str, ...]] = dict(self.query)
        for name, value in _checked_query(query_parameters).items():
            query[name] = _values(query.get(name, ())) + _values(value) if append else value
        return self.set(query=query)

    def difference_update_query(self, names: Iterable[str]) -> URL:
        """Return a URL without the options of these names, be they there or not."""
        gone = frozenset(names)
        return self.set(query={name: self.query[name] for name in self.query if name not in gone})

    def render_as_string(self, hide_password: bool = True) -> str:
        """Return the URL as text; with `hide_password=False`, `make_url` reads it back equal."""
        text = f"{self.drivername}://{self._authority(hide_password)}"
        if self.database is not None:
            text += "/" + _encode(self.database, _IN_PATH)
        pairs = [
            f"{_encode(name, _IN_PATH)}={_encode(value, _IN_PATH)}"
            if not (hide_password and _is_secret(name))
            else f"{_encode(name, _IN_PATH)}={_MASK}"
            for name, values in self.query.items()
            for value in _values(values)
        ]
        return f"{text}?{'&'.join(pairs)}" if pairs else text

    def _authority(self, hide_password: bool) -> str:
        text = _encode(self.username or "")
        if self._secret is not None:
            text += ":" + (_MASK if hide_password else _encode(self._secret.reveal()))
        if self.username is not None or self._secret is not None:
            text += "@"
        if self.host is not None and ":" in self.host:
            text += f"[{_encode(self.host, _IN_BRACKETS)}]"
        elif self.host is not None:
            text += _encode(self.host)
        return text if self.port is None else f"{text}:{self.port}"

    def _key(self) -> tuple[object, ...]:
        query = frozenset(self.query.items())
        place = (self.host, self.port, self.database, query)
        return (self.drivername, self.username, self._secret, *place)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, URL) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return self.render_as_string()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a URL can not be changed: url.set({name}=...) returns another one")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a URL can not be changed")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self._secret is not None or any(map(_is_secret, self.query)):
            raise TypeError(
                "a URL with a password can not be pickled: the password would be written in clear; "
                "send it another way and add it with url.set(password=...)"
            )
        parts = (self.drivername, self.username, None, self.host, self.port, self.database)
        return URL.create, (*parts, dict(self.query))


@_discreet
def make_url(name_or_url: str | URL) -> URL:
    """Read a URL; one that is read already is returned as it is.

    Each part is percent-decoded once.  Raises URLError, whose text never shows the URL.

    >>> make_url("postgresql://app:a%40b@db/shop").password
    'a@b'
    """
    if isinstance(name_or_url, URL):
        return name_or_url
    if not isinstance(name_or_url, str):
        raise URLError(f"a URL must be a str or a URL, not {type(name_or_url).__name__}")
    _checked("URL", name_or_url)
    drivername, found, rest = name_or_url.partition("://")
    if not found:
        raise URLError("the URL has no '://': it should look like 'dialect://user@host/database'")
    _checked_drivername(drivername)
    rest, _, options = rest.partition("?")
    authority, slash, path = rest.partition("/")
    _refuse_stray_at(authority, path, options)
    username, password, host, port = _split_authority(authority)
    database = _decode("database", path) if slash else None
    query = _split_query(options)
    return URL.create(drivername, username, password, host, port, database, query)


def _refuse_stray_at(authority: str, path: str, options: str) -> None:
    """Refuse what may be a password that ends up in the host, the database or an option."""
    if authority.count("@") > 1:
        raise URLError(f"the URL has more than one '@' before the database; {_WRITE_AS}")
    if authority and "@" in path + options:
        raise URLError(
            f"the URL has an '@' after its first '/' or '?'; {_WRITE_AS}; "
            "in the database and in options, too, '@' is written %40"
        )
    before_at = path.partition("@")[0].rpartition("/")[2] if "@" in path else ""
    if ":" in before_at:
        raise URLError(
            "the URL has 'name:password@' after three slashes, where the database stands: "
            "two slashes come before a user, and an '@' in a path is written %40"
        )


def _split_authority(
    authority: str,
) -> tuple[str | None, str | None, str | None, int | None]:
    userinfo, at, place = authority.rpartition("@")
    username, colon, password = userinfo.partition(":")
    host, port = _split_place(place)
    return (
        _decode("user name", username) if at else None,
        _decode("password", password) if colon else None,
        _decode("host", host),
        _checked_port(port) if port else None,
    )


def _split_place(place: str) -> tuple[str, str]:
    if place.startswith("["):
        host, bracket, port = place[1:].partition("]")
        if not bracket or ":" not in host or (port and not port.startswith(":")):
            raise URLError("brackets must hold an IPv6 address: '[::1]' or '[::1]:5432'")
        return host, port[1:]
    if "," in place:
        raise URLError("the URL has a ',' in its host: several hosts can not be given, only one")
    if place.count(":") > 1:
        raise URLError(
            "the host has more than one ':'; an IPv6 address stands in brackets, as in "
            f"'[::1]:5432', and the user comes before an '@'; {_WRITE_AS}"
        )
    host, _, port = place.partition(":")
    return host, port


def _split_query(options: str) -> dict[str, tuple[str, ...]]:
    query: dict[str, tuple[str, ...]] = {}
    for option in options.split("&"):
        if not option:
            continue
        name, equals, value = option.replace("+", " ").partition("=")
        if not equals:
            raise URLError("an option of the URL has no '=': options are written '?a=1&b=2'")
        name = _decode("name of an option", name)
        query[name] = (*query.get(name, ()), _decode("value of an option", value))
    return query


def _checked(what: str, value: Any) -> Any:
    """Return `value`, a str or None, or raise; the text of the error never shows it."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise URLError(f"the {what} must be a str, not {type(value).__name__}")
    for at, char in enumerate(value):
        if char < " " or "\x7f" <= char <= "\x9f":
            raise URLError(f"the {what} has a control character, U+{ord(char):04X}, at offset {at}")
        if "\ud800" <= char <= "\udfff":
            raise URLError(f"the {what} has a lone surrogate at offset {at}: it is no valid text")
    return value


def _checked_drivername(value: object) -> str:
    names = value.split("+") if isinstance(value, str) else []
    if len(names) in {1, 2} and all(map(_is_name, names)):
        return "+".join(names)
    raise URLError(
        "the part before '://' must be a dialect, or a dialect and a driver, of letters, digits "
        "and '_', as in 'sqlite' or 'postgresql+psycopg'"
    )


def _is_name(text: str) -> bool:
    return text.isascii() and text.isidentifier() and not text.startswith("_")


def _checked_host(value: object) -> str | None:
    host = _checked("host", value)
    if not host:
        return None
    if "," in host:
        raise URLError("the host has a ',': several hosts can not be given, only one")
    if "[" in host or "]" in host:
        raise URLError("the host has brackets: they belong to the URL's text, not to the address")
    return str(host)


def _checked_port(value: object) -> int:
    text = str(value) if isinstance(value, (int, str)) else ""
    if text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= 65535:
        return int(text)
    raise URLError(f"the port is no number from 1 to 65535; {_WRITE_AS}")


def _checked_query(query: Any) -> dict[str, str | tuple[str, ...]]:
    if query is None:
        return {}
    if not isinstance(query, Mapping):
        raise URLError(f"the query must be a mapping, not {type(query).__name__}")
    checked: dict[str, str | tuple[str, ...]] = {}
    for name, given in query.items():
        if not _checked("name of an option", name):
            raise URLError("an option of the URL has no name: options are written '?a=1&b=2'")
        if not isinstance(given, (str, list, tuple)):
            raise URLError(f"the option {name!r} must be a str, not {type(given).__name__}")
        values = tuple([_checked(f"value of {name!r}", value) for value in _values(given)])
        if not values or None in values:
            raise URLError(f"the option {name!r} has no value")
        checked[name] = values[0] if len(values) == 1 else values
    return checked


def _values(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in _SECRET_WORDS)


def _encode(text: str, safe: frozenset[str] = _UNRESERVED) -> str:
    return "".join([char if char in safe else _escape(char) for char in text])


def _escape(char: str) -> str:
    return "".join([f"%{byte:02X}" for byte in char.encode()])


def _decode(what: str, text: str) -> str:
    """Undo percent-encoding once; the text of the error never shows `text`."""
    head, *escapes = text.split("%")
    decoded = bytearray(head.encode())
    for escape in escapes:
        if len(escape) < 2 or not _HEX.issuperset(escape[:2]):
            raise URLError(
                f"the {what} has a '%' without two hexadecimal digits after it: "
                "a '%' that means itself is written %25"
            )
        decoded.append(int(escape[:2], 16))
        decoded += escape[2:].encode()
    try:
        return decoded.decode()
    except UnicodeDecodeError:
        raise URLError(f"the {what} is not UTF-8 once its %-escapes are decoded") from None
