"""Author files: what is found in them, and what a faulty one says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mytrading.runtime.host.author_files import load_file, load_folder
from mytrading.strategies import BaseStrategy

GOOD = """
from mytrading.strategies import BaseStrategy

class Good(BaseStrategy):
    period: int = 5

class _Hidden(BaseStrategy):
    pass
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    return path


def test_folder_faulty_file_is_named_and_the_others_load(tmp_path):
    write(tmp_path, "good", GOOD)
    write(tmp_path, "broken", "class Bad(BaseStrategy)\n    pass\n")
    write(tmp_path, "_helper", "raise RuntimeError")
    broken, good = load_folder(tmp_path, BaseStrategy)
    assert [item.__name__ for item in good.classes] == ["Good"]
    assert broken.fault is not None
    assert broken.fault.where == f"{tmp_path.name}/broken.py:1"
    assert "expected ':'" in broken.fault.message


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("import nowhere_to_be_found\n", 1, "No module named 'nowhere_to_be_found'"),
        ("x = 1\ny = x / 0\n", 2, "ZeroDivisionError"),
        ("import sys\n\nsys.exit(3)\n", 3, "SystemExit"),
        ("def half():\n    return 1 / 0\n\nhalf()\n", 2, "ZeroDivisionError"),
        ("x = 1\n", 0, "no strategy in it"),
        (GOOD + "    def __init__(self):\n        pass\n", 8, "write initialize(self) instead"),
    ],
)
def test_file_faulty_says_where_and_what(tmp_path, text, line, message):
    text = text.replace("class _Hidden(BaseStrategy):\n    pass\n", "class Other(BaseStrategy):\n")
    fault = load_file(write(tmp_path, "author", text), BaseStrategy).fault
    assert fault is not None
    assert message in fault.message
    assert fault.line == line


def test_modules_of_author_files_cannot_shadow_others(tmp_path):
    before = sys.modules["json"] if "json" in sys.modules else __import__("json")
    loaded = load_file(write(tmp_path, "json", GOOD), BaseStrategy)
    assert loaded.fault is None
    assert sys.modules["json"] is before


def test_folder_that_is_missing_has_no_files(tmp_path):
    assert load_folder(tmp_path / "none", BaseStrategy) == []
