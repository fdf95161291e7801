"""What hypothesis draws: the same each time, or by the seed of the run; a failure says how to repeat its example."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.project import ROOT

CONFTEST = """
from tests.kit.hypothesis_budget import draw_the_same_each_time, pytest_sessionstart

draw_the_same_each_time()
"""
DRAWING = """
from pathlib import Path
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from tests.kit.hypothesis_budget import examples

FILE = Path(__file__).with_name("drawn")

@given(st.lists(st.integers()))
@settings(max_examples=examples(40))
def test_drawn(numbers):
    with FILE.open("a") as file:
        print(numbers, file=file)

class Machine(RuleBasedStateMachine):
    @rule(number=st.integers())
    def step(self, number):
        with FILE.open("a") as file:
            print(number, file=file)

TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=examples(10))

@given(st.integers())
def test_that_fails(number):
    assert number < 1000
"""


def drawn(folder: Path, *options: str) -> tuple[str, str]:
    """What two passing tests drew, and what the run with these options printed."""
    folder.mkdir()
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_drawing.py").write_text(DRAWING)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin", "-c", os.devnull,
         "--rootdir", str(folder), *options, str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TEST_EXAMPLES": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "1 failed, 2 passed" in done.stdout, done.stdout + done.stderr
    return (folder / "drawn").read_text(), done.stdout


@pytest.mark.slow
def test_run_without_a_seed_draws_the_same_each_time(tmp_path: Path) -> None:
    plain = drawn(tmp_path / "plain")[0]
    assert plain.count("\n") > 50
    assert drawn(tmp_path / "again")[0] == plain


@pytest.mark.long
def test_run_with_a_seed_draws_by_it(tmp_path: Path) -> None:
    plain = drawn(tmp_path / "plain")[0]
    seeded, printed = drawn(tmp_path / "seeded", "--hypothesis-seed=7")
    assert seeded != plain
    assert drawn(tmp_path / "seeded-again", "--hypothesis-seed=7")[0] == seeded
    assert "@reproduce_failure(" in printed
