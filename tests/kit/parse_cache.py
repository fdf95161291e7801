"""Cached parsing: a command does it once in its life, a run of the tests would do it thousands of times.

Used by `conftest` and by the fork server. Rule: only what follows from its arguments alone is remembered, and nobody
gets an object that another one may change.
"""

from __future__ import annotations

import functools
import pickle
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import typer.main
import typer.testing

from mytrading.config import strategy_files

Found = TypeVar("Found")


def remember(put: Callable[[Any, str, Any], None]) -> None:
    """Build the tree of commands, read a text of TOML and look through a strategy's file once each.

    `put` sets an attribute, for good or until a test ends: `setattr` or `monkeypatch.setattr`.
    """
    built = functools.cache(typer.main.get_command)
    put(typer.main, "get_command", built)
    put(typer.testing, "_get_command", built)
    put(tomllib, "loads", copied(tomllib.loads))
    put(strategy_files, "_scan", by_content(strategy_files._scan))


def copied(read: Callable[..., Found]) -> Callable[..., Found]:
    """`read`, once for the same arguments; each caller gets a copy of its own. What raises is asked again."""

    @functools.lru_cache(maxsize=512)
    def packed(*arguments: Any, **named: Any) -> bytes:
        return pickle.dumps(read(*arguments, **named))

    def again(*arguments: Any, **named: Any) -> Found:
        found: Found = pickle.loads(packed(*arguments, **named))
        return found

    return again


def by_content(read: Callable[[Path], Found]) -> Callable[[Path], Found]:
    """`read`, once for a path and what stands there; a file that cannot be read is asked for each time."""
    known = copied(lambda path, _content: read(path))

    def looked(path: Path) -> Found:
        try:
            content = path.read_bytes()
        except OSError:
            return read(path)
        return known(path, content)

    return looked
