"""Loads author files, each alone: a faulty one is a value with file and line, never an exception."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import NamedTuple

PACKAGE = "mytrading_strategy_files"
"""Prefix of the names under which author modules stand in `sys.modules`, so that none can shadow another module."""


class LoadFault(NamedTuple):
    """A fault of a file; `line` is 0 where the whole file is meant."""

    file: str
    line: int
    message: str

    @property
    def where(self) -> str:
        """The place of the fault: `folder/file.py:line`, without a line if the whole file is meant."""
        return "/".join(self.file.rsplit("/", 2)[-2:]) + (f":{self.line}" if self.line else "")


class LoadedFile(NamedTuple):
    """The classes a file defines, or its fault."""

    path: Path
    classes: tuple[type, ...]
    fault: LoadFault | None = None


def strategy_files(folder: Path) -> list[Path]:
    """Return a folder's strategy files, by name; files that begin with an underscore are helpers of others."""
    return sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))


def load_file(path: Path, base: type) -> LoadedFile:
    """Run one file and return the public subclasses of `base` that it defines itself, or its fault; never raises."""
    try:
        module = _run(path)
    except SyntaxError as error:
        return _faulty(path, error.lineno or 0, f"{error.msg} ({(error.text or '').strip()})")
    except (Exception, SystemExit) as error:  # noqa: BLE001  (an author's file may raise anything)
        own = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == str(path)]
        return _faulty(path, (own[-1] if own else 0) or 0, f"{type(error).__name__}: {error}")
    found = tuple(
        item
        for item in vars(module).values()
        if isinstance(item, type)
        and issubclass(item, base)
        and item.__module__ == module.__name__
        and not item.__name__.startswith("_")
    )
    if not found:
        return _faulty(path, 0, f"no strategy in it: expected a class that inherits from {base.__name__}")
    for item in found:
        if "__init__" in vars(item):
            line = vars(item)["__init__"].__code__.co_firstlineno
            return _faulty(path, line, f"{item.__name__} defines __init__: write initialize(self) instead")
    return LoadedFile(path, found)


def load_folder(folder: Path, base: type) -> list[LoadedFile]:
    """Load all strategy files of a folder, faulty ones included; a folder that does not exist has none."""
    return [load_file(path, base) for path in strategy_files(folder)]


def _run(path: Path) -> ModuleType:
    name = f"{PACKAGE}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _faulty(path: Path, line: int, message: str) -> LoadedFile:
    return LoadedFile(path, (), LoadFault(str(path), line, message))
