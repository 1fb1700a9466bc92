"""Wheels as users get them, and virtual environments that hold nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = Path(__file__).parent / "outside"

collect_ignore = ["outside"]  # its checks run where it is installed


class Environment:
    """A fresh virtual environment."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.python = path / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        run(sys.executable, "-m", "venv", "--without-pip", path)

    def install(self, *requirements: str | Path) -> None:
        pip("--python", self.python, "install", *requirements)

    def run(self, *arguments: str | Path) -> str:
        """Run its interpreter, which sees nothing of this tree, and return what it printed."""
        return run(self.python, "-I", *arguments, cwd=self.path)


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(*arguments: str | Path) -> None:
    run(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels of plainsql and of the dialect outside, by the names of their distributions."""
    folder = tmp_path_factory.mktemp("wheels")
    pip("wheel", "--no-deps", "--wheel-dir", folder, ROOT, OUTSIDE)
    return {path.name.partition("-")[0]: path for path in folder.glob("*.whl")}


@pytest.fixture(scope="session")
def alone(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with plainsql and nothing else, not even a driver."""
    environment = Environment(tmp_path_factory.mktemp("alone"))
    environment.install("--no-index", wheels["plainsql"])
    return environment


@pytest.fixture(scope="session")
def beside(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with plainsql, the dialect from outside, and what its checks need."""
    environment = Environment(tmp_path_factory.mktemp("beside"))
    environment.install(wheels["plainsql"], f"{wheels['plainsql_demo']}[test]")
    return environment
