"""Connection URLs: what is read, what is refused, and that no password is ever shown."""

from __future__ import annotations

import copy
import pickle
import traceback
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plainsql.errors import URLError
from plainsql.url import URL, Secret, make_url

CANARY = "s3cr3t"
ODD = "@:/?#[]%&=+,; é"

names = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,8}", fullmatch=True)
drivernames = st.one_of(names, st.tuples(names, names).map("+".join))
texts = st.text(st.sampled_from(ODD) | st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
hosts = texts.filter(lambda text: not set(text) & set(",[]"))
values = st.one_of(texts, st.lists(texts, min_size=1, max_size=3))
urls = st.builds(
    URL.create,
    drivernames,
    username=st.none() | texts,
    password=st.none() | texts,
    host=st.none() | hosts | st.ip_addresses().map(str),
    port=st.none() | st.integers(1, 65535),
    database=st.none() | texts,
    query=st.none() | st.dictionaries(texts.filter(bool), values, max_size=3),
)


def parts(url: URL) -> tuple[object, ...]:
    return (url.username, url.password, url.host, url.port, url.database, dict(url.query))


# -- reading and writing -----------------------------------------------------------------------


@given(urls)
@example(URL.create("db", ODD, ODD, "@:/?#%&=+; ", 1, ODD, {ODD: [ODD, ODD]}))
@example(URL.create("db", host="h", database="a:b@c", query={"@": "@"}))
def test_what_is_rendered_is_read_back_equal(url: URL) -> None:
    again = make_url(url.render_as_string(hide_password=False))

    assert again == url
    assert hash(again) == hash(url)
    assert parts(again) == parts(url)


@given(urls)
def test_rendering_is_plain_ascii_without_spaces(url: URL) -> None:
    text = url.render_as_string(hide_password=False)

    assert text.isascii()
    assert text.isprintable()
    assert " " not in text


@given(st.text(max_size=40) | st.text("u:p@[]/?&=%,+#1", max_size=24).map("db://".__add__))
def test_any_text_is_read_back_equal_or_refused_as_a_url_error(text: str) -> None:
    try:
        url = make_url(text)
    except URLError:
        return
    assert make_url(url.render_as_string(hide_password=False)) == url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("sqlite://", (None, None, None, None, None, {}), id="no database"),
        pytest.param("sqlite:///", (None, None, None, None, "", {}), id="empty database"),
        pytest.param("sqlite:///a.db", (None, None, None, None, "a.db", {}), id="relative path"),
        pytest.param("sqlite:////a/b", (None, None, None, None, "/a/b", {}), id="absolute path"),
        pytest.param("sqlite:///C:/x", (None, None, None, None, "C:/x", {}), id="windows path"),
        pytest.param("sqlite:///a@b", (None, None, None, None, "a@b", {}), id="at sign in a path"),
        pytest.param(
            "db://u:p@h:1/d", ("u", "p", "h", 1, "d", {}), id="user, password, host, port, database"
        ),
        pytest.param("db://u@h", ("u", None, "h", None, None, {}), id="missing password"),
        pytest.param("db://u:@h", ("u", "", "h", None, None, {}), id="empty password"),
        pytest.param("db://:p@h", (None, "p", "h", None, None, {}), id="password without user"),
        pytest.param("db://u:a:b@h", ("u", "a:b", "h", None, None, {}), id="colon in password"),
        pytest.param("db://u:a#b@h", ("u", "a#b", "h", None, None, {}), id="hash in password"),
        pytest.param("db://h:/d", (None, None, "h", None, "d", {}), id="empty port"),
        pytest.param("db://h/", (None, None, "h", None, "", {}), id="slash without database"),
        pytest.param("db://[::1]", (None, None, "::1", None, None, {}), id="IPv6"),
        pytest.param("db://u@[::1]:5/d", ("u", None, "::1", 5, "d", {}), id="IPv6 and port"),
        pytest.param(
            "db://[fe80::1%25eth0]", (None, None, "fe80::1%eth0", None, None, {}), id="IPv6 zone"
        ),
        pytest.param("db://%2Frun", (None, None, "/run", None, None, {}), id="socket as host"),
        pytest.param(
            "db:///d?host=/run", (None, None, None, None, "d", {"host": "/run"}), id="socket option"
        ),
        pytest.param("db://?a=1", (None, None, None, None, None, {"a": "1"}), id="options only"),
        pytest.param("db://h?a=", (None, None, "h", None, None, {"a": ""}), id="empty value"),
        pytest.param("db://h?a=b=c", (None, None, "h", None, None, {"a": "b=c"}), id="equals"),
        pytest.param("db://h?a=b?c", (None, None, "h", None, None, {"a": "b?c"}), id="? in option"),
        pytest.param("db://h?a=b+c", (None, None, "h", None, None, {"a": "b c"}), id="plus: space"),
        pytest.param("db://h?a=%2B", (None, None, "h", None, None, {"a": "+"}), id="escaped plus"),
        pytest.param("db://h?&a=1&", (None, None, "h", None, None, {"a": "1"}), id="stray &"),
        pytest.param(
            "db://h?a=1&b=2&a=3",
            (None, None, "h", None, None, {"a": ("1", "3"), "b": "2"}),
            id="repeated option",
        ),
    ],
)
def test_url_is_taken_apart(text: str, expected: tuple[object, ...]) -> None:
    assert parts(make_url(text)) == expected


def test_every_part_is_percent_decoded_exactly_once() -> None:
    url = make_url("db://%2540:%2541@%2542/%2543?%2544=%2545")

    assert parts(url) == ("%40", "%41", "%42", None, "%43", {"%44": "%45"})


@pytest.mark.parametrize(
    ("drivername", "backend", "driver"),
    [("sqlite", "sqlite", ""), ("mysql+pymysql", "mysql", "pymysql")],
    ids=["dialect", "dialect and driver"],
)
def test_drivername_has_a_backend_and_perhaps_a_driver(
    drivername: str, backend: str, driver: str
) -> None:
    url = make_url(f"{drivername}://")

    assert (url.drivername, url.get_backend_name(), url.get_driver_name()) == (
        drivername,
        backend,
        driver,
    )


def test_make_url_returns_a_url_as_it_is() -> None:
    url = make_url("sqlite://")

    assert make_url(url) is url


# -- refusals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(f"u:{CANARY}@h/d", "no '://'", id="no scheme"),
        pytest.param(f"{CANARY} x://h", "before '://'", id="space in scheme"),
        pytest.param(f"://u:{CANARY}@h", "before '://'", id="empty scheme"),
        pytest.param(f"_db://u:{CANARY}@h", "before '://'", id="scheme begins with underscore"),
        pytest.param(f"1db://u:{CANARY}@h", "before '://'", id="scheme begins with digit"),
        pytest.param(f"dé://u:{CANARY}@h", "before '://'", id="scheme is not ASCII"),
        pytest.param(f"a+b+c://u:{CANARY}@h", "before '://'", id="two drivers"),
        pytest.param(f"db+://u:{CANARY}@h", "before '://'", id="empty driver"),
        pytest.param(f"db://u:x@{CANARY}@h", "more than one '@'", id="at sign in password"),
        pytest.param(f"db://u:x/{CANARY}@h", "after its first '/'", id="slash in password"),
        pytest.param(f"db://u:1/{CANARY}@h", "after its first '/'", id="password like a port"),
        pytest.param(f"db://u:x?{CANARY}@h", "after its first '/'", id="question mark in password"),
        pytest.param(
            f"db://u:x@y/{CANARY}@h", "after its first '/'", id="at and slash in password"
        ),
        pytest.param(f"db:///u:{CANARY}@h", "three slashes", id="a slash too many"),
        pytest.param(f"db://u:{CANARY}", "port", id="host and port missing"),
        pytest.param(f"db://u:{CANARY}@h:x", "port", id="port is no number"),
        pytest.param(f"db://u:{CANARY}@h:0", "port", id="port 0"),
        pytest.param(f"db://u:{CANARY}@h:65536", "port", id="port too large"),
        pytest.param(f"db://u:{CANARY}@h:-1", "port", id="negative port"),
        pytest.param(f"db://u:{CANARY}@h:٣", "port", id="port in other digits"),
        pytest.param(f"db://u:{CANARY}@a,b", "several hosts", id="several hosts"),
        pytest.param(f"db://u:{CANARY}@a%2Cb", "several hosts", id="several hosts, escaped"),
        pytest.param(f"db://u:{CANARY}:@::1", "brackets", id="IPv6 without brackets"),
        pytest.param(f"db://u:{CANARY}@[::1", "brackets", id="open bracket"),
        pytest.param(f"db://u:{CANARY}@[h]", "brackets", id="name in brackets"),
        pytest.param(f"db://u:{CANARY}@[::1]5", "brackets", id="text after bracket"),
        pytest.param(f"db://u:{CANARY}%@h", "the password has a '%'", id="lone percent"),
        pytest.param(f"db://u:{CANARY}%4@h", "the password has a '%'", id="half an escape"),
        pytest.param(f"db://u:{CANARY}%zz@h", "the password has a '%'", id="escape is not hex"),
        pytest.param(f"db://u:{CANARY}%+1@h", "the password has a '%'", id="escape with a sign"),
        pytest.param(f"db://u:{CANARY}%FF@h", "the password is not UTF-8", id="not UTF-8"),
        pytest.param(f"db://u:{CANARY}\0@h", "control character, U\\+0000", id="NUL"),
        pytest.param(f"db://u:{CANARY}@h\n", "control character, U\\+000A", id="newline"),
        pytest.param(f"db://u:{CANARY}%00@h", "the password has a control", id="escaped NUL"),
        pytest.param(f"db://u:{CANARY}%7F@h", "the password has a control", id="escaped DEL"),
        pytest.param(f"db://u:{CANARY}\ud800@h", "lone surrogate", id="lone surrogate"),
        pytest.param(f"db://u:{CANARY}@h?a", "no '='", id="option without value"),
        pytest.param(f"db://u:{CANARY}@h?=a", "no name", id="option without name"),
    ],
)
def test_refusal_says_why_and_shows_no_password(text: str, reason: str) -> None:
    with pytest.raises(URLError, match=reason) as caught:
        make_url(text)

    assert CANARY not in everything_shown_of(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"drivername": "a b"},
        {"drivername": 1},
        {"username": 1},
        {"username": "\0"},
        {"password": CANARY.encode()},
        {"password": CANARY + "\0"},
        {"host": "[::1]"},
        {"host": "a,b"},
        {"port": "x"},
        {"port": 0},
        {"port": 1.5},
        {"database": 1},
        {"query": "a=1"},
        {"query": {"": "1"}},
        {"query": {1: "1"}},
        {"query": {"a": 1}},
        {"query": {"a": []}},
        {"query": {"a": [None]}},
        {"query": {"password": CANARY, "a": [1]}},
    ],
    ids=lambda change: str(change).replace(CANARY, "..."),
)
def test_create_and_set_refuse_what_is_no_such_part(change: dict[str, Any]) -> None:
    with pytest.raises(URLError) as created:
        URL.create(**{"drivername": "db", "password": CANARY, **change})
    with pytest.raises(URLError) as changed:
        URL.create("db", password=CANARY).set(**change)

    assert CANARY not in everything_shown_of(created.value)
    assert CANARY not in everything_shown_of(changed.value)


@pytest.mark.parametrize("value", [None, b"sqlite://", 1], ids=repr)
def test_make_url_refuses_what_is_no_text(value: Any) -> None:
    with pytest.raises(URLError, match=f"not {type(value).__name__}"):
        make_url(value)


def everything_shown_of(exc: BaseException) -> str:
    """Return the error, its chain, and the locals of every frame that is not this file's."""
    report = traceback.TracebackException.from_exception(exc, capture_locals=True)
    links: list[traceback.TracebackException] = [report]
    for link in links:
        links += [other for other in (link.__cause__, link.__context__) if other is not None]
    shown = [str(link) for link in links]
    for link in links:
        shown += [repr(frame.locals) for frame in link.stack if frame.filename != __file__]
    return repr(exc.args) + "\n".join(shown)


# -- secrets -----------------------------------------------------------------------------------

SECRET_URLS = [
    pytest.param(f"db://u:{CANARY}@h/d", id="password"),
    pytest.param(f"db://h/d?ssl_key_password={CANARY}", id="password as option"),
    pytest.param(f"db://h/d?PWD={CANARY}&a=1", id="pwd as option"),
    pytest.param(f"db://h/d?a=1&token={CANARY}&token={CANARY}", id="token twice"),
]


@pytest.mark.parametrize("text", SECRET_URLS)
def test_url_does_not_show_its_secrets(text: str) -> None:
    url = make_url(text)

    assert text == url.render_as_string(hide_password=False)
    for shown in (str(url), repr(url), f"{url}", url.render_as_string(), repr([url])):
        assert CANARY not in shown
        assert shown.count("***") == text.count(CANARY)
    assert not hasattr(url, "__dict__")


def test_password_is_masked_even_if_empty() -> None:
    assert str(make_url("db://u:@h")) == "db://u:***@h"


@pytest.mark.parametrize("text", SECRET_URLS)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_url_with_a_secret_refuses_to_be_pickled(text: str, protocol: int) -> None:
    with pytest.raises(TypeError, match="can not be pickled") as caught:
        pickle.dumps(make_url(text), protocol)

    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_url_without_a_secret_survives_pickling(protocol: int) -> None:
    url = make_url("db+x://u@h:1/d?a=1&a=2&b=3")

    assert pickle.loads(pickle.dumps(url, protocol)) == url  # noqa: S301


def test_secret_shows_itself_only_when_asked() -> None:
    secret = Secret(CANARY)

    assert secret.reveal() == CANARY
    assert (repr(secret), str(secret)) == ("***", "***")
    with pytest.raises(TypeError, match="can not be pickled"):
        pickle.dumps(secret)


# -- a value that does not change --------------------------------------------------------------


@pytest.mark.parametrize("name", ["host", "password", "_secret", "query", "other"])
def test_url_can_not_be_changed(name: str) -> None:
    url = make_url("db://h?a=1")

    with pytest.raises(AttributeError):
        setattr(url, name, "x")
    with pytest.raises(AttributeError):
        delattr(url, name)
    with pytest.raises(TypeError):
        url.query["a"] = "2"  # type: ignore[index]


def test_url_is_not_made_by_its_class() -> None:
    with pytest.raises(TypeError, match="make_url"):
        URL()


def test_copies_of_a_url_are_the_url() -> None:
    url = make_url("db://u:p@h")

    assert copy.copy(url) is url
    assert copy.deepcopy(url) is url


@pytest.mark.parametrize(
    "other",
    [
        "x://u:p@h:1/d?a=1",
        "db://v:p@h:1/d?a=1",
        "db://u:q@h:1/d?a=1",
        "db://u@h:1/d?a=1",
        "db://u:p@i:1/d?a=1",
        "db://u:p@h:2/d?a=1",
        "db://u:p@h:1/e?a=1",
        "db://u:p@h:1/d?a=2",
    ],
)
def test_urls_differ_if_one_part_differs(other: str) -> None:
    assert make_url(other) != make_url("db://u:p@h:1/d?a=1")


def test_order_of_options_does_not_matter_to_equality() -> None:
    one, other = make_url("db://?a=1&b=2"), make_url("db://?b=2&a=1")

    assert one == other
    assert hash(one) == hash(other)


def test_url_is_no_text() -> None:
    assert make_url("db://") != "db://"


# -- changed URLs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"drivername": "x+y"}, "x+y://u:p@h:1/d?a=1"),
        ({"username": "v"}, "db://v:p@h:1/d?a=1"),
        ({"password": ""}, "db://u:@h:1/d?a=1"),
        ({"host": "::1"}, "db://u:p@[::1]:1/d?a=1"),
        ({"port": 2}, "db://u:p@h:2/d?a=1"),
        ({"database": "e/f"}, "db://u:p@h:1/e/f?a=1"),
        ({"query": {"b": ["1", "2"]}}, "db://u:p@h:1/d?b=1&b=2"),
        ({"query": {}}, "db://u:p@h:1/d"),
        ({"host": None, "password": None}, "db://u:p@h:1/d?a=1"),
    ],
    ids=str,
)
def test_set_changes_the_named_parts_only(change: dict[str, Any], expected: str) -> None:
    url = make_url("db://u:p@h:1/d?a=1")

    assert url.set(**change).render_as_string(hide_password=False) == expected
    assert url.render_as_string(hide_password=False) == "db://u:p@h:1/d?a=1"


@pytest.mark.parametrize(
    ("append", "expected"),
    [
        (False, {"a": "3", "b": "2", "c": ("4", "5")}),
        (True, {"a": ("1", "3"), "b": "2", "c": ("4", "5")}),
    ],
    ids=["replace", "append"],
)
def test_update_query_dict_replaces_or_appends(append: bool, expected: dict[str, object]) -> None:
    url = make_url("db://?a=1&b=2").update_query_dict({"a": "3", "c": ["4", "5"]}, append=append)

    assert dict(url.query) == expected


def test_difference_update_query_drops_options() -> None:
    url = make_url("db://?a=1&b=2&c=3").difference_update_query(["a", "c", "missing"])

    assert dict(url.query) == {"b": "2"}


def test_one_value_in_a_list_is_the_value() -> None:
    assert URL.create("db", query={"a": ["1"]}) == URL.create("db", query={"a": "1"})
