"""Files that cleaning removes and leaves, and that every target which needs the environment makes it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.project import ROOT


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in (".mypy_cache/x", "a/__pycache__/x.pyc", "htmlcov/x", "logs/main.log", "logs/.gitkeep", "state/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def make(clone: Path, *arguments: str) -> str:
    ran = subprocess.run(["make", *arguments], cwd=clone, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def left(clone: Path) -> set[str]:
    return {str(path.relative_to(clone)) for path in clone.rglob("*") if path.is_file()}


KEPT = {"Makefile", "requirements.lock", "pyproject.toml", "logs/.gitkeep", "state/x"}


@pytest.mark.parametrize("target", ["setup", "paper", "test", "test-fast", "bench", "bench-peers", "lint", "clean"])
def test_target_makes_the_environment_first(clone: Path, target: str) -> None:
    assert "-m venv .venv" in make(clone, "-n", target)


ECHO = """#!/bin/sh
echo "$*: examples $TEST_EXAMPLES, fuzz $FUZZ_SEED"
"""


@pytest.fixture
def with_echoes(clone: Path) -> Path:
    """A clone with an environment whose commands print what they were called with, and with no browser."""
    (clone / ".venv" / "bin").mkdir(parents=True)
    for name in ("python", "ruff", "mypy"):
        (clone / ".venv" / "bin" / name).write_text(ECHO)
        (clone / ".venv" / "bin" / name).chmod(0o755)
    (clone / ".venv" / ".installed").touch()
    return clone


def pytest_line(printed: str) -> str:
    (found,) = (line for line in printed.splitlines() if line.startswith("-m pytest"))
    return found


@pytest.mark.parametrize("target", ["test", "test-fast", "test-stacks"])
def test_runs_before_a_commit_draw_a_share_and_no_seed(with_echoes: Path, target: str) -> None:
    line = pytest_line(make(with_echoes, target, "CHROMIUM="))
    assert line.endswith(": examples 15, fuzz ")
    assert "seed" not in line and "-m  " not in line


def test_run_of_all_tests_draws_all_examples_from_a_seed_that_it_prints(with_echoes: Path) -> None:
    printed = make(with_echoes, "test-all", "SHARE=15")
    again = re.search(r"make test-all SEED=(\d+)", printed)
    assert again is not None, printed
    assert pytest_line(printed).endswith(f"-m  --hypothesis-seed={again[1]}: examples 100, fuzz {again[1]}")
    repeated = pytest_line(make(with_echoes, "test-all", "SEED=7", "ARGS=-k trailing"))
    assert repeated.endswith("-m  --hypothesis-seed=7 -k trailing: examples 100, fuzz 7")


def test_run_of_all_tests_that_fails_prints_its_seed_last(with_echoes: Path) -> None:
    (with_echoes / ".venv" / "bin" / "python").write_text("#!/bin/sh\necho what failed\nexit 1\n")
    ran = subprocess.run(["make", "test-all", "SEED=7"], cwd=with_echoes, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert ran.stdout.rstrip().splitlines()[-1].endswith("make test-all SEED=7")


@pytest.mark.parametrize("target", ["soak", "engines"])
def test_long_random_run_prints_the_seed_that_it_draws_from(with_echoes: Path, target: str) -> None:
    printed = make(with_echoes, target, "SEED=7")
    assert f"make {target} SEED=7" in printed
    assert "--hypothesis-seed=7 " in pytest_line(printed)


def test_clean_leaves_the_environment_and_the_state(clone: Path) -> None:
    (clone / ".venv" / "bin").mkdir(parents=True)
    for name in ("ruff", "coverage"):
        (clone / ".venv" / "bin" / name).symlink_to(Path(sys.executable).parent / name)
    (clone / ".venv" / ".installed").touch()
    make(clone, "clean")
    assert left(clone) == KEPT | {".venv/bin/ruff", ".venv/bin/coverage", ".venv/.installed"}


def test_distclean_takes_the_environment_too_and_makes_none(clone: Path) -> None:
    (clone / ".venv").mkdir()
    (clone / ".venv" / ".installed").touch()
    make(clone, "distclean")
    assert left(clone) == KEPT


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('test "$1" = --version && echo Python 3.8.10 || exit 1', "is Python 3.8.10: expected Python 3.11 or later"),
        ("exit 127", "expected Python 3.11 or later"),
    ],
)
def test_setup_with_an_old_python_says_which_is_needed_and_makes_nothing(clone: Path, body: str, said: str) -> None:
    """pip refused the packages one by one, and an environment of the old Python stood in the way of the next try."""
    old = clone / "old-python"
    old.write_text(f"#!/bin/sh\n{body}\n")
    old.chmod(0o755)
    ran = subprocess.run(["make", "setup", f"PYTHON={old}"], cwd=clone, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert said in ran.stderr and "make setup PYTHON=python3.11" in ran.stderr
    assert not (clone / ".venv").exists()
