"""How the tests find their databases: nothing unmarked is touched, nothing required is let off."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import servers
from tests.servers import ROOT, Server, Unusable
from tests.tally import Tally, describe, without_kind
from tests.throwaway import free_port, is_mariadb

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

POSTGRESQL = "postgresql://app:pw@db/test"
MYSQL = "mysql://app:pw@db/test"


@pytest.fixture
def unmarked(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'theirs.db'}"
    servers.run(url, "CREATE TABLE precious (a int)")
    return url


# -- the marker ---------------------------------------------------------------------------------


def test_an_unmarked_database_is_refused(unmarked: str) -> None:
    with pytest.raises(Unusable, match="has no table plainsql_test_marker"):
        servers.check_given(unmarked, "--url")


def test_a_refused_database_is_left_as_it_was(unmarked: str) -> None:
    path = Path(servers.sqlite_path(unmarked))
    before = path.read_bytes()
    with pytest.raises(Unusable):
        servers.check_given(unmarked, "--url")
    assert path.read_bytes() == before


def test_a_marked_database_is_taken(unmarked: str) -> None:
    assert servers.main(["mark", unmarked]) == 0
    assert servers.check_given(unmarked, "--url").url == unmarked


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("oracle://app:geheim@db/test", "the scheme of a test URL is one of sqlite, "),
        ("mysql://app:geheim@127.0.0.1:1/test", "mysql://app:***@127.0.0.1:1/test can not be"),
    ],
)
def test_a_database_that_can_not_be_marked_is_one_line_without_its_password(
    url: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert servers.main(["mark", url]) == 1
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert said.err.startswith(told)
    assert "geheim" not in said.err


def test_a_missing_sqlite_file_is_refused_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="is no file"):
        servers.check_given(f"sqlite:///{tmp_path / 'none.db'}", "--url")
    assert not list(tmp_path.iterdir())


def test_a_named_server_that_does_not_answer_is_an_error_without_its_password() -> None:
    url = f"mariadb://app:geheim@127.0.0.1:{free_port()}/test"
    with pytest.raises(Unusable, match=r"app:\*\*\*@127") as caught:
        servers.check_given(url, "--url")
    assert "geheim" not in str(caught.value)


# -- where a URL comes from ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "variable", "line", "source"),
    [
        pytest.param(POSTGRESQL, "no", "no", "--url", id="an option goes before the environment"),
        pytest.param(
            None,
            POSTGRESQL,
            "no",
            "PLAINSQL_TEST_POSTGRESQL_URL",
            id="the environment goes before the file",
        ),
        pytest.param(
            None,
            "",
            POSTGRESQL,
            "PLAINSQL_TEST_POSTGRESQL_URL in .env.test",
            id="an empty variable counts as none",
        ),
    ],
)
def test_a_url_is_taken_from_the_first_that_has_one(
    option: str | None, variable: str, line: str, source: str, tmp_path: Path
) -> None:
    env_file = tmp_path / ".env.test"
    env_file.write_text(f"# written by make up\nPLAINSQL_TEST_POSTGRESQL_URL={line}\n", "utf-8")
    environ = {"PLAINSQL_TEST_POSTGRESQL_URL": variable}
    given = servers.given_urls([option] if option else [], environ, env_file)
    assert given == {"postgresql": (POSTGRESQL, source)}


@pytest.mark.parametrize(
    ("options", "environ"),
    [
        pytest.param(["postgres://h/d"], {}, id="unknown scheme"),
        pytest.param([MYSQL, MYSQL], {}, id="one kind twice"),
        pytest.param([], {"PLAINSQL_TEST_MYSQL_URL": POSTGRESQL}, id="variable of another kind"),
    ],
)
def test_a_url_that_fits_nothing_is_refused(
    options: list[str], environ: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(Unusable):
        servers.given_urls(options, environ, tmp_path / "none")


def test_a_driver_may_be_named_in_the_scheme() -> None:
    assert servers.kind_of("mariadb+pymysql://app@db/test") == "mariadb"


# -- throw-away servers -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ("mysqld  Ver 10.11.6-MariaDB-0+deb12u1 for debian-linux-gnu", True),
        ("/usr/sbin/mysqld  Ver 8.4.3 for Linux on x86_64 (MySQL Community Server - GPL)", False),
    ],
    ids=["mysqld that is MariaDB", "mysqld that is MySQL"],
)
def test_mysqld_is_asked_what_it_is(says: str, expected: bool, tmp_path: Path) -> None:
    program = tmp_path / "mysqld"
    program.write_text(f"#!/bin/sh\necho '{says}'\n", "utf-8")
    program.chmod(0o755)
    assert is_mariadb(program) is expected


_OWNER = """
import sys
from tests.throwaway import Nest
nest = Nest("nobody")
server = nest.serve("sleep", "600", stop="TERM")
print(nest.path, server.pid, flush=True)
{end}
"""


@pytest.mark.parametrize("end", ["nest.stop()", "sys.exit(1)", "sys.stdin.read()"])
def test_a_throw_away_server_leaves_nothing_behind_however_its_owner_ends(end: str) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", _OWNER.format(end=end)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        path, pid = owner.stdout.readline().split()
        if "stdin" in end:
            owner.send_signal(signal.SIGKILL)
    wait_for(lambda: not Path(path).exists())
    assert not is_running(int(pid))


def wait_for(claim: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not claim():
        assert time.monotonic() < deadline, "it did not come true in 30 seconds"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self").exists():
        return subprocess.run(["kill", "-0", str(pid)], check=False).returncode == 0
    return stat.exists() and stat.read_text("utf-8").rpartition(")")[2].split()[0] != "Z"


# -- the tally ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodeid", "expected"),
    [
        ("t.py::test[mysql]", "t.py::test[*]"),
        ("t.py::test[mysql-a b]", "t.py::test[*-a b]"),
        ("t.py::test[a-mysql]", "t.py::test[a-*]"),
        ("tests/mysql/t.py::test_mysql[mysql]", "tests/mysql/t.py::test_mysql[*]"),
    ],
)
def test_an_id_is_the_same_on_every_database(nodeid: str, expected: str) -> None:
    assert without_kind(nodeid, "mysql") == expected


def tally(**ends: str) -> Tally:
    made = Tally(["sqlite", "mysql"])
    for kind, end in ends.items():
        made.expect(f"t.py::test[{kind}]", kind, ("sqlite", "mysql"))
        if end != "missing":
            made.note(f"t.py::test[{kind}]", kind, end)
    return made


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        pytest.param(tally(sqlite="passed", mysql="passed"), None, id="passed everywhere"),
        pytest.param(tally(sqlite="passed", mysql="failed"), None, id="failed: said already"),
        pytest.param(tally(sqlite="skipped", mysql="passed"), None, id="skipped, not required"),
        pytest.param(tally(sqlite="passed", mysql="skipped"), "was skipped there", id="skipped"),
        pytest.param(tally(sqlite="passed", mysql="missing"), "was not run there", id="not run"),
        pytest.param(tally(sqlite="passed"), "no test was collected", id="not collected"),
    ],
)
def test_what_is_required_must_have_run(made: Tally, fault: str | None) -> None:
    faults = " ".join(made.faults(["mysql"]))
    assert (fault in faults) if fault else not faults


@pytest.mark.parametrize("only_on", [("sqlite",), ("sqlite", "mysql")], ids=["declared", "not"])
def test_an_id_that_is_missing_must_say_so(only_on: Collection[str]) -> None:
    made = tally(sqlite="passed", mysql="passed")
    made.expect("t.py::other[sqlite]", "sqlite", only_on)
    made.note("t.py::other[sqlite]", "sqlite", "passed")
    assert bool(list(made.faults(["mysql"]))) == ("mysql" in only_on)


def test_a_failing_teardown_counts_as_failed() -> None:
    made = tally(sqlite="passed", mysql="passed")
    made.note("t.py::test[mysql]", "mysql", "failed")
    assert list(made.table(by_file=False))[-1].split() == ["t.py::test", "1", "1", "failed"]


def test_the_table_has_a_line_per_function_or_per_file() -> None:
    made = tally(sqlite="passed", mysql="skipped")
    made.expect("t.py::other[sqlite]", "sqlite", ("sqlite",))
    made.note("t.py::other[sqlite]", "sqlite", "passed")
    assert [line.split() for line in made.table(by_file=False)] == [
        ["test", "sqlite", "mysql"],
        ["t.py::other", "1", "-"],
        ["t.py::test", "1", "1", "skipped"],
    ]
    assert [line.split() for line in made.table(by_file=True)][1:] == [
        ["t.py", "2", "1", "skipped"]
    ]


def test_a_server_is_described_by_its_own_version() -> None:
    server = Server("mysql", MYSQL, "9.1.0", "--url", lambda: None)
    assert describe("mysql", server).split() == ["mysql", "9.1.0", "(--url)"]


# -- a whole run --------------------------------------------------------------------------------

_CONFTEST = """
from pathlib import Path
from tests import servers
from tests.conftest import *

servers.ROOT = Path.cwd()  # not where an .env.test may be
_look_for = servers.Finder._look_for

def nothing_but_sqlite(self, kind):
    if kind == "sqlite" or kind in self._given:
        return _look_for(self, kind)
    raise servers.Unavailable("none for this test")

servers.Finder._look_for = nothing_but_sqlite
"""

_TESTS = """
import pytest

def test_writes(raw_connect):
    raw_connect().cursor().execute("CREATE TABLE t (a int)")

@pytest.mark.only_on("sqlite", reason="speaks of files")
def test_file(url):
    assert url.startswith("sqlite:///")
"""


@pytest.fixture
def run_tests(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., pytest.RunResult]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in (
        "CI",
        "PLAINSQL_TEST_REQUIRE",
        *(f"PLAINSQL_TEST_{k.upper()}_URL" for k in servers.KINDS),
    ):
        monkeypatch.delenv(name, raising=False)
    pytester.makeconftest(_CONFTEST)
    pytester.makepyfile(_TESTS)
    pytester.makeini("[pytest]\nmarkers = only_on\nasyncio_default_fixture_loop_scope = function\n")

    def run(*arguments: str, require: str = "") -> pytest.RunResult:
        monkeypatch.setenv("PLAINSQL_TEST_REQUIRE", require)
        return pytester.runpytest_subprocess("-p", "no:randomly", *arguments)

    return run


def test_what_was_not_found_is_skipped_loudly(run_tests: Callable[..., pytest.RunResult]) -> None:
    result = run_tests("--only", "sqlite", "--only", "mysql", "--table")
    assert result.ret == 0
    result.assert_outcomes(passed=2, skipped=1)
    result.stdout.re_match_lines(
        [
            r"test +sqlite +mysql",
            r".*::test_file +1 +-",
            r".*::test_writes +1 +1 skipped",
            r"sqlite +SQLite \d",
            r"mysql +NOT TESTED: none for this test",
        ]
    )
    assert [line for line in result.outlines if line][-2].startswith("mysql"), "it comes last"


def test_what_is_required_and_not_found_fails(run_tests: Callable[..., pytest.RunResult]) -> None:
    result = run_tests("--only", "sqlite", "--only", "mysql", require="sqlite,mysql")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*mysql is required: none for this test*"])


def test_what_is_required_and_skipped_fails(
    run_tests: Callable[..., pytest.RunResult], pytester: pytest.Pytester
) -> None:
    pytester.makepyfile("import pytest\ndef test_skips(url): pytest.skip('not today')")
    result = run_tests("--only", "sqlite", require="sqlite")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["sqlite is required, but *::test_skips[[]*[]] was skipped there"])


def test_an_unmarked_database_by_url_fails_the_run_and_stays_empty(
    run_tests: Callable[..., pytest.RunResult], unmarked: str
) -> None:
    result = run_tests("--only", "sqlite", "--url", unmarked)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(errors=2)
    assert servers.run(unmarked, "SELECT name FROM sqlite_master") == [("precious",)]
