"""The rules of the house: who imports whom, how deep a statement goes, what is generated."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from plainsql import Session, create_engine, registry, text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "plainsql"

FLOORS = [
    {"errors", "url"},
    {
        *("driver", "rules", "lexing", "splitting", "codecs", "bridge", "deadline", "dialect"),
        *("hosts", "registry"),
    },
    {
        *("clause", "templates", "rendering", "statement", "cache", "row", "result", "mapping"),
        *("nesting", "ledger", "outage", "options", "retrying", "echo"),
    },
    {"forking", "timer", "twin", "holders", "turns", "concurrency", "_async", "_sync"},
    {"__init__", "aio"},
    {"testing"},
]
WAITING = {"threading", "asyncio", "select", "socket", "time", "queue", "selectors"}
#: Only these may touch a thread, a loop or a clock; row and cache guard one by a lock.
MAY_WAIT = {
    *("bridge", "deadline", "timer", "twin", "holders", "turns", "concurrency"),
    *("_async", "_sync", "testing"),
}
LOCKS_A_CACHE = {"row", "cache"}
HEAVY = {"dataclasses", "asyncio", "inspect", "logging", "importlib.metadata", "urllib.parse"}


def _modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(SOURCE.rglob("*.py")):
        yield path.relative_to(SOURCE).parts[0].removesuffix(".py"), path


def _imports(path: Path, *, run: bool) -> set[str]:
    """Return what a file imports; with `run` only what its import really runs."""
    found: set[str] = set()
    for node in _nodes(ast.parse(path.read_text()), run=run):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = "plainsql." * (node.level > 0) + (node.module or "")
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def _nodes(node: ast.AST, *, run: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        if run and (typing_only or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)):
            continue
        yield child
        yield from _nodes(child, run=run)


def _houses(path: Path, *, run: bool) -> set[str]:
    names = {
        name.split(".")[1]
        for name in _imports(path, run=run)
        if name.count(".") and name.startswith("plainsql.")
    }
    return names & set().union(*FLOORS)


def _floor(module: str) -> int:
    return next(n for n, floor in enumerate(FLOORS) if module in floor)


def test_every_module_has_one_floor() -> None:
    assert sorted(chain(*FLOORS)) == sorted({module for module, _ in _modules()})


@pytest.mark.parametrize(
    ("module", "path"), [pytest.param(*m, id=str(m[1].relative_to(SOURCE))) for m in _modules()]
)
def test_a_floor_imports_only_its_own_and_lower_ones(module: str, path: Path) -> None:
    """The default of `Dialect.connect_async` is the one import that waits inside a function."""
    for other in _houses(path, run=True):
        assert _floor(other) <= _floor(module), f"{path.name} imports {other}"
    if module in FLOORS[0]:
        assert not _houses(path, run=False) - {module, "errors"}


@pytest.mark.parametrize("side", ["_sync", "_async"])
def test_the_two_sides_do_not_know_each_other(side: str) -> None:
    other = {"_sync": "_async", "_async": "_sync"}[side]
    for module, path in _modules():
        if module == side:
            assert other not in _houses(path, run=False), path


def test_only_the_shells_and_the_bridge_can_wait() -> None:
    for module, path in _modules():
        allowed = WAITING if module in MAY_WAIT else set()
        allowed = {"threading"} if module in LOCKS_A_CACHE else allowed
        used = {name.split(".")[0] for name in _imports(path, run=True)} & WAITING
        assert used <= allowed, path


def test_dialects_import_floors_0_and_1_only() -> None:
    allowed = FLOORS[0] | FLOORS[1] - {"registry"}
    for path in sorted((ROOT / "dialects").rglob("*.py")):
        assert _houses(path, run=False) <= allowed, path


def test_nobody_imports_a_dialect() -> None:
    for _, path in _modules():
        for name in _imports(path, run=False):
            assert not name.startswith("plainsql_"), path


def test_the_core_imports_only_the_standard_library() -> None:
    for module, path in _modules():
        if module == "testing":
            continue
        for name in _imports(path, run=False):
            top = name.split(".")[0]
            assert top in sys.stdlib_module_names or top == "plainsql", path


def test_the_import_path_is_light() -> None:
    code = (
        "import sys, plainsql; plainsql.create_engine('sqlite://').connect().close();"
        "print(*sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(out.stdout.split())


@pytest.mark.parametrize("name", ["sqlite", "postgresql", "mysql", "mariadb"])
def test_compile_needs_no_driver(name: str) -> None:
    code = (
        "import sys; sys.modules.update(sqlite3=None, psycopg=None, pymysql=None);"
        f"import plainsql; print(plainsql.text('SELECT :a').compile({name!r}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == f"SELECT {'?' if name == 'sqlite' else '%s'}"


def test_the_table_of_dialects_equals_the_entry_points() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"][registry.GROUP] == registry.FIRST_PARTY


def test_the_sync_side_is_what_make_sync_writes() -> None:
    command = [sys.executable, str(ROOT / "tools" / "unasync.py"), "--check"]
    out = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (out.returncode, out.stderr) == (0, "")


def test_a_warm_statement_crosses_at_most_six_frames() -> None:
    statement = text("SELECT :a AS a, :b AS b")
    engine = create_engine("sqlite://")
    with Session(engine) as session:
        session.execute(statement, {"a": 1, "b": 2})
        depths: list[int] = []
        calls: list[str] = []

        def count(frame: FrameType, event: str, _arg: Any) -> None:
            if event != "call" or "plainsql" not in frame.f_code.co_filename:
                return
            above: FrameType | None = frame
            depth = 0
            while above is not None:
                depth += "plainsql" in above.f_globals["__name__"]
                above = above.f_back
            depths.append(depth)
            calls.append(frame.f_code.co_qualname)

        sys.setprofile(count)
        try:
            session.execute(statement, {"a": 3, "b": 4})
        finally:
            sys.setprofile(None)
    engine.dispose()
    assert calls[:2] == ["Session.execute", "Connection.execute"]
    assert max(depths) <= 6
    assert len(calls) <= 6, calls
