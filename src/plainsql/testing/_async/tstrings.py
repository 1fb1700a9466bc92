"""Template strings as statements; Python 3.14 has them, so they are written as text here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from plainsql import errors
from plainsql.aio import AsyncSession

if TYPE_CHECKING:
    from plainsql.aio import AsyncEngine

HOSTILE = "'; DROP TABLE x; -- :y %s ? \\"


class Two(NamedTuple):
    """Two columns."""

    a: int
    b: str


def _t(source: str, **names: Any) -> Any:
    """Evaluate a t-string of this source."""
    return eval(f"t{source!r}", names)  # noqa: S307 - the tests' own text


async def test_an_interpolation_is_a_parameter(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        found = await connection.execute(_t("SELECT {x}, {x}, {y}", x=HOSTILE, y=7))
        assert tuple(found.one()) == (HOSTILE, HOSTILE, 7)
        assert await connection.scalar(_t("SELECT {len(x)}", x="abc")) == 3
        assert (await connection.scalars(_t("SELECT {x[0]}", x=["a"]))).all() == ["a"]
        async with connection.stream(_t("SELECT {x} AS x", x=5)) as stream:
            assert await stream.scalar() == 5
        pair = await connection.execute(_t("SELECT {x} AS a, 'b' AS b", x=5), into=Two)
        assert pair.one() == Two(5, "b")
    async with AsyncSession(engine_async) as session:
        assert await session.scalar(_t("SELECT {x}", x=HOSTILE)) == HOSTILE
        async with session.stream(_t("SELECT {x} AS x", x=5)) as stream:
            assert await stream.scalar() == 5


async def test_no_colon_of_a_template_is_scanned(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        row = (await connection.execute(_t("SELECT ':a', {a} /* :b */", a=1))).one()
        assert tuple(row) == (":a", 1)
        with pytest.raises(errors.DBAPIError):  # the server's word: it saw the colon
            await connection.execute(_t("SELECT {a} WHERE :b = 1", a=1))
        await connection.rollback()
        with pytest.raises(errors.DBAPIError):
            await connection.execute(_t(r"SELECT {a} WHERE \: = 1", a=1))


async def test_names_are_quoted_and_values_stay_tokens(engine_async: AsyncEngine) -> None:
    name = "odd \"name' `x`"
    async with engine_async.connect() as connection:
        row = (await connection.execute(_t("SELECT{x}AS{name:i}", x=1, name=name))).one()
        assert row._mapping == {name: 1}
        await connection.execute(
            _t("CREATE TEMPORARY TABLE {t:i} ({c:i} INTEGER)", t="t'1", c=name)
        )
        insert = _t("INSERT INTO {t:i} ({c:i}) VALUES ({x})", t="t'1", c=name, x=7)
        assert (await connection.execute(insert)).rowcount == 1
        select = _t("SELECT {c:i}, 8-{n} FROM {t:i}", t="t'1", c=("t'1", name), n=-1)
        assert tuple((await connection.execute(select)).one()) == (7, 9)
        await connection.rollback()


async def test_templates_in_templates_flatten(engine_async: AsyncEngine) -> None:
    rows = _t("SELECT {x} AS x UNION ALL SELECT {y}", x=1, y=2)
    deep = _t("x > {x}", x=1)
    for n in range(3000):
        deep = _t("{deep} AND x <> {n}" if n < 50 else "{deep}", deep=deep, n=-n)
    async with engine_async.connect() as connection:
        found = await connection.scalars(
            _t(
                "SELECT x FROM ({rows}) s WHERE {deep} AND x IN {xs}",
                rows=rows,
                deep=deep,
                xs=[1, 2],
            )
        )
        assert found.all() == [2]
        none = _t("SELECT 1 WHERE 1 IN {xs}", xs=[])
        assert (await connection.execute(none)).all() == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("SELECT {x!r}", r"\{x!r\}: a conversion makes text"),
        ("SELECT {x:>9}", r"\{x:>9\}: the only format is :i"),
        ("SELECT {7:i}", r"\{7:i\}: a name is a str, or a tuple of them, not int"),
        ("SELECT {():i}", "a name is a str"),
        ("SELECT {'':i}", "an identifier can not be empty"),
        ("SELECT '{x}'", "a value can not stand within a literal.*line 1, column 10"),
        ("SELECT 1 /* {x} */", "a value can not stand within .* a comment"),
        ("SELECT 1; SELECT {x}", "a second statement begins here"),
    ],
)
async def test_what_can_not_be_meant_is_refused_unsent(
    engine_async: AsyncEngine, source: str, said: str
) -> None:
    async with engine_async.connect() as connection:
        with pytest.raises(errors.ArgumentError, match=f"(?s){said}"):
            await connection.execute(_t(source, x="a"))
        with pytest.raises(errors.ArgumentError, match="brings its parameters"):
            await connection.execute(_t("SELECT {x}", x="a"), {"x": 1})
        with pytest.raises(errors.ArgumentError, match="takes a str, not Template"):
            await connection.execute_script(_t("SELECT 1"))


async def test_one_text_serves_all_values(engine_async: AsyncEngine) -> None:
    async with engine_async.connect() as connection:
        await connection.execute(_t("SELECT {x} AS a", x=-1))
        link: Any = connection._link
        before = len(link.compiled)
        for x in range(9):
            assert await connection.scalar(_t("SELECT {x} AS a", x=x)) == x
        assert len(link.compiled) == before


async def test_what_is_no_statement_is_refused_as_ever(engine_async: AsyncEngine) -> None:
    nonsense: Any = object()
    async with engine_async.connect() as connection:
        with pytest.raises(errors.ArgumentError, match=r"a str or text\(…\), not object"):
            await connection.execute(nonsense)
        with pytest.raises(errors.ArgumentError, match=r"a str or text\(…\), not object"):
            async with connection.stream(nonsense):
                pass
