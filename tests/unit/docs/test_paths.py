"""Names in documents, docstrings and comments exist: files, folders, modules, and the targets of links."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.project import ROOT

LAYERS = (
    "messages", "core", "strategies", "runtime", "adapters", "config", "daemons", "simulator", "backtest", "operations",
    "cli", "utils",
)  # fmt: skip
OPERATORS = ("strategies/", "config/")
"""Folders of the project that have the names of layers: files in there an operator makes, and examples name them."""

ELSEWHERE = ("mytrading/key", "config/webhooks", "config/webhooks/")
"""In the folder of the user's own configuration files, and what is there once an operator has made it."""

PATH = re.compile(
    rf"(?<![\w./~<-])(?:mytrading|lab|tests|docs|{'|'.join(LAYERS)})(?:/\w[\w-]*)+(?:\.\w+)*/?(?![\w*{{<…])"
)
MODULE = re.compile(r"\bmytrading(?:\.[a-z]\w*)+")
LINK = re.compile(r"\]\(([^)#\s:]+)(?:#[^)]*)?\)")


def documents() -> list[Path]:
    """The pages that people read."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def exists(path: str) -> bool:
    """True of a file, a folder or a module of the project, which a layer's name may begin."""
    found = (base / f"{path.rstrip('/')}{end}" for base in (ROOT, ROOT / "mytrading") for end in ("", ".py"))
    return any(one.exists() for one in found)


def named(text: str) -> Iterator[str]:
    """The paths and modules that a text names and that are the project's own."""
    for match in PATH.finditer(LINK.sub("", text)):
        operators = match[0].startswith(OPERATORS) and "." in match[0]
        if not operators and match[0] not in ELSEWHERE:
            yield match[0]
    for match in MODULE.finditer(text):
        yield match[0].replace(".", "/")


@functools.cache
def is_there(name: str) -> bool:
    """True of a path, of a module, and of what a module's text has, since names of functions are written so too."""
    if exists(name):
        return True
    parent, _, last = name.rpartition("/")
    owner = next((one for one in (ROOT / f"{parent}.py", ROOT / parent / "__init__.py") if one.is_file()), None)
    return owner is not None and bool(re.search(rf"\b{last}\b", owner.read_text(encoding="utf-8")))


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_document_names_only_paths_that_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert [name for name in named(text) if not is_there(name)] == []
    assert [link for link in LINK.findall(text) if not (document.parent / link).exists()] == []


def test_sources_name_only_paths_that_exist() -> None:
    files = sorted((ROOT / "mytrading").rglob("*.py"))
    missing = [
        f"{file.relative_to(ROOT)}: {name}"
        for file in files
        for name in named(file.read_text(encoding="utf-8"))
        if not is_there(name)
    ]
    assert len(files) > 300
    assert missing == []


def test_path_of_no_file_is_found_missing() -> None:
    assert [name for name in named("see `core/calender.py` and mytrading.core.nothing") if not is_there(name)] == [
        "core/calender.py",
        "mytrading/core/nothing",
    ]
    assert list(named("a file like strategies/mine.py")) == []
