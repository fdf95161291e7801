"""The plugin that runs tests in several processes: each once, what they share made once, and none lost in silence."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.kit.project import ROOT
from tests.kit.side_by_side import mixed, sharing

STACKS = """
from pathlib import Path
import pytest

HERE = Path(__file__).parent

@pytest.fixture(scope="module")
def made():
    with (HERE / "made").open("a") as file:
        file.write("once ")

@pytest.mark.parametrize("number", range(4))
def test_of_a_shared_fixture(made, number):
    (HERE / f"shared{number}").touch(exist_ok=False)

@pytest.mark.parametrize("number", range(4))
def test_by_itself(number):
    (HERE / f"own{number}").touch(exist_ok=False)
"""
ALONE = """
from pathlib import Path

def test_that_comes_when_stacks_have_ended():
    found = sorted(path.name for path in Path(__file__).parents[1].glob("*[0-9]"))
    assert found == [f"{name}{number}" for name in ("own", "shared") for number in range(4)]
"""
FAST = """
import os, warnings

def test_that_fails():
    print("said before")
    warnings.warn("heard of")
    assert 1 + 1 == 3

def test_whose_process_ends():
    os._exit(3)

def test_that_was_to_come_after_it():
    pass
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("run")
    for name, text in (
        ("system/test_stacks.py", STACKS), ("system/lab/test_chaos.py", ALONE), ("unit/test_fast.py", FAST),
    ):  # fmt: skip
        path = folder / "tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    options = ("-p", "tests.kit.side_by_side", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(folder))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--import-mode=importlib", *options, "tests"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert (folder / "tests" / "system" / "made").read_text() == "once "
    return done.stdout


@pytest.mark.slow
def test_each_test_runs_once_and_what_comes_last_after_all_stacks(output: str) -> None:
    assert "3 failed, 9 passed, 1 warning" in output, output
    assert "test_that_comes_when" not in output


@pytest.mark.slow
def test_failure_is_shown_with_what_was_printed_and_warned(output: str) -> None:
    assert "assert (1 + 1) == 3" in output
    assert "said before" in output and "heard of" in output
    at_once, _, later = output.partition("FAILURES")
    assert len(re.findall(r"^failed at call: tests/", at_once, re.MULTILINE)) == 1 and "failed at" not in later


@pytest.mark.slow
def test_test_that_no_process_reported_has_failed(output: str) -> None:
    found = re.findall(r"^FAILED (\S+) - not reported", output, re.MULTILINE)
    assert [name.partition("::")[2] for name in found] == ["test_whose_process_ends", "test_that_was_to_come_after_it"]


def test_shared_fixture_is_found_through_others(tmp_path: Path) -> None:
    file = tmp_path / "test_file.py"
    file.write_text(STACKS + "\n@pytest.fixture\ndef more(made): ...\ndef test_more(more): ...\n")
    assert {name for name in sharing(file) if name.startswith("test")} == {"test_of_a_shared_fixture", "test_more"}


def test_tests_that_wait_are_spread_among_those_that_compute_and_none_is_lost() -> None:
    names = [
        f"tests/{layer}/test_{number}.py" for layer, count in (("contract", 3), ("unit", 9)) for number in range(count)
    ]
    found = [chunk[0].nodeid for chunk in mixed([[SimpleNamespace(nodeid=name)] for name in names])]
    assert sorted(found) == sorted(names)
    assert [place for place, name in enumerate(found) if "contract" in name] == [0, 5, 10]
