"""Kernels on disk: found again when nothing changed, compiled anew when what they call elsewhere is another."""

from __future__ import annotations

import ast
import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from mytrading.core.numba_cache import code_hash, compiled_together
from tests.kit.project import ROOT

OUTER = """
from mytrading.core.numba_cache import kernel
from inner import FACTOR, plain, twice
import inner

@kernel()
def late(x):
    return twice(x) * FACTOR

@kernel(nogil=True)
def outer(x):
    return late(x) + behind(x) + inner.OFFSET

@kernel()
def behind(x):
    return 0.0
"""
INNER = """
from mytrading.core.numba_cache import kernel

FACTOR = 10.0
OFFSET = 0.5

def plain(x):
    return x

@kernel()
def twice(x):
    return 2.0 * x
"""


def ran(folder: Path, inner: str, monkeypatch: pytest.MonkeyPatch) -> tuple[float, int]:
    """Value of the kernel for 1.0 as a new process would have it, and how often it came from the disk."""
    monkeypatch.setattr(
        sys, "dont_write_bytecode", True
    )  # a file changed within a second is the same to Python's cache
    (folder / "inner.py").write_text(inner)
    for name in ("inner", "outer"):
        spec = spec_from_file_location(name, folder / f"{name}.py")
        assert spec is not None and spec.loader is not None
        module = module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
    outer: Any = vars(sys.modules["outer"])["outer"]
    return outer(1.0), sum(outer.stats.cache_hits.values())


@pytest.mark.slow
def test_kernel_whose_callee_in_another_file_changed_is_compiled_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outer.py").write_text(OUTER)
    assert ran(tmp_path, INNER, monkeypatch) == (20.5, 0)
    assert ran(tmp_path, INNER, monkeypatch) == (20.5, 1)
    changed = INNER.replace("2.0 * x", "3.0 * x")
    assert ran(tmp_path, changed, monkeypatch) == (30.5, 0)
    assert ran(tmp_path, changed.replace("FACTOR = 10.0", "FACTOR = 20.0"), monkeypatch) == (60.5, 0)
    assert ran(tmp_path, INNER, monkeypatch) == (20.5, 1), "what was compiled of the version before is still there"


def made(name: str, source: str, **names: object) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(names)
    exec(compile(source, f"{name}.py", "exec"), vars(module))
    return module


def test_stamp_is_that_of_what_is_reached_and_not_of_where_it_stands() -> None:
    first = made("inner", "def f(x):\n    return x + 1.0\n")
    moved = made("inner", "\n\n\ndef f(x):\n    return x + 1.0\n")
    other = made("inner", "def f(x):\n    return x + 2.0\n")
    outer = "def g(x):\n    return sum(f(y) for y in (x, 2 * x)) + inner.f(x)\n"
    stamps = [code_hash(made("outer", outer, f=item.f, inner=item).g) for item in (first, moved, other)]
    assert stamps[0] == stamps[1] != stamps[2]


def test_stamp_of_functions_that_call_each_other_has_an_end() -> None:
    source = "def even(n):\n    return n == 0 or odd(n - 1)\ndef odd(n):\n    return n != 0 and even(n - 1)\n"
    changed = made("pair", source.replace("n != 0", "n > 0"))
    assert code_hash(made("pair", source).even) == code_hash(made("pair", source).even) != code_hash(changed.even)


def test_functions_compiled_together_call_each_other_and_stay_plain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "def third(x):\n    return x / 3.0\ndef outer(x):\n    return third(x) + 1.0\n"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pair.py").write_text(source)
    module, changed = made("pair", source), made("pair", source.replace("3.0", "4.0"))
    found, other = (compiled_together(one.third, one.outer) for one in (module, changed))
    assert (found["outer"](6.0), other["outer"](6.0), module.outer(6.0)) == (3.0, 2.5, 3.0)
    assert type(module.outer) is FunctionType
    assert code_hash(found["outer"]) != code_hash(other["outer"])


def test_numba_keeps_nothing_by_the_time_of_one_file() -> None:
    """`cache=True` is numba's own; the yardsticks of the benchmarks call nothing outside of their file."""
    assert kept_by_numba("@njit(\n    parallel=True, cache\\\n = True)\ndef f(): ...\n") == [3]
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / "mytrading").rglob("*.py"))
        for line in kept_by_numba(path.read_text(encoding="utf-8"))
        if path.parent.name != "bench"
    ]
    assert found == []


def kept_by_numba(text: str) -> list[int]:
    """The lines of a source that give `cache=`; only one with that word is parsed, which takes long."""
    if not re.search(r"\bcache[\s\\]*=", text):
        return []
    keywords = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.keyword))
    return [node.value.lineno for node in keywords if node.arg == "cache"]
