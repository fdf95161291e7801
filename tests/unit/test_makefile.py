"""Files that cleaning removes and leaves, and that every target which needs the environment makes it."""

from __future__ import annotations

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
