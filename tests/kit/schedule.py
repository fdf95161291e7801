"""Which tests of stacks a worker runs: those that share a fixture of their file, or what their file has read, one after
the other, all others by themselves, so that no worker has much left when the others are done.

Used by `conftest` where `make` asks for `--dist loadscope`. Rule: what shares a stack never starts two of them.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler.loadscope import LoadScopeScheduling

from tests.kit.project import ROOT

_DEFAULT_S = {"system": 200}
"""Of tests without a time-out of their own, by folder of `tests/`; elsewhere they are quick."""
_BY_FILE = ("tests/test_", "tests/independent/")
"""Their files read the code, or the shipped bars, once for all their tests."""


class SharedFixtures(LoadScopeScheduling):
    """A file's tests with a shared fixture are one piece of work, every other test is one too."""

    def _split_scope(self, nodeid: str) -> str:
        path, _, name = nodeid.partition("::")
        if path.startswith(_BY_FILE):
            return path
        return path if name.partition("[")[0] in sharing(ROOT / path) else nodeid


@cache
def sharing(path: Path) -> set[str]:
    """The tests of a file that use a fixture which lives longer than one test."""
    functions = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)]
    uses = {node.name: {argument.arg for argument in node.args.args} for node in functions}
    shared = {node.name for node in functions if any(_is_shared(mark) for mark in node.decorator_list)}
    if shared:  # a fixture that asks for others by name may ask for any
        shared |= {node.name for node in functions if "getfixturevalue" in ast.unparse(node)}
    while more := {name for name, used in uses.items() if used & shared} - shared:
        shared |= more
    return shared


def _is_shared(decorator: ast.expr) -> bool:
    text = ast.unparse(decorator)
    return "fixture" in text and ("scope='module'" in text or "scope='session'" in text)


def longest_first(items: list[pytest.Item]) -> None:
    """What has the longest time-out begins first: it may take longest."""

    def seconds(item: pytest.Item) -> Any:
        marker = item.get_closest_marker("timeout")
        layer = item.path.relative_to(ROOT / "tests").parts[0]
        return -(marker.args[0] if marker is not None else _DEFAULT_S.get(layer, 0))

    items.sort(key=seconds)
