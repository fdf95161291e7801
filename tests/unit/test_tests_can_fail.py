"""Every test function says what has to hold: one that only waits for a condition, or only calls, is refused here."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.kit.project import ROOT

RAISING = {"raises", "warns", "fail"}

SAYS_SO = """
def test_asserts(): assert eventually(heard)
def test_raises():
    with pytest.raises(ValueError):
        int("x")
def test_by_a_helper(): assert_failed(found)
"""
SAYS_NOTHING = """
def test_waits(): eventually(lambda: figure() == 1)
def test_calls(): load(home)
def test_helper_is_defined_but_not_called():
    def check():
        assert wrong
def test_constant(): assert True
"""


def checks(function: ast.AST) -> bool:
    """True if the body of a test asserts something, expects an exception, or calls a helper named `assert_…`."""
    waiting = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Assert) and not isinstance(node.test, ast.Constant):
            return True
        if isinstance(node, ast.Attribute) and node.attr in RAISING:
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.startswith("assert_"):
            return True
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return False


def idle(text: str) -> Iterator[tuple[int, str]]:
    """Line and name of each test function that checks nothing."""
    for node in ast.parse(text).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        for member in members:
            is_test = isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) and member.name.startswith("test_")
            if is_test and not checks(member):
                yield member.lineno, member.name


def test_test_that_checks_nothing_is_found() -> None:
    assert list(idle(SAYS_SO)) == []
    assert [name for _, name in idle(SAYS_NOTHING)] == [
        "test_waits", "test_calls", "test_helper_is_defined_but_not_called", "test_constant"
    ]  # fmt: skip


@pytest.mark.slow
def test_every_test_of_ours_checks_something() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {name}: assert the outcome, not only wait for it"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for line, name in idle(path.read_text(encoding="utf-8"))
    ]
    assert found == []
