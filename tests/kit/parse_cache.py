"""Cached parsing: a command does it once in its life, a run of the tests would do it thousands of times.

Used by `conftest` and by the fork server. Rule: only what follows from its arguments alone is remembered, and nobody
gets an object that another one may change.
"""

from __future__ import annotations

import functools
import pickle
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import typer.main
import typer.testing

from mytrading.config import cross_checks, strategy_files

Found = TypeVar("Found")
MARKET_FILES = ("calendar", "instruments", "risk")
"""Files below `config/` that `market_file_problems` reads."""


@dataclass(frozen=True)
class _Place:
    """A path that is no part of the question: all are equal."""

    path: Path = field(compare=False)


def remember(put: Callable[[Any, str, Any], None]) -> None:
    """Build the tree of commands, read a text of TOML, look through a strategy's file and judge market files once each.

    `put` sets an attribute, for good or until a test ends: `setattr` or `monkeypatch.setattr`.
    """
    built = functools.cache(typer.main.get_command)
    put(typer.main, "get_command", built)
    put(typer.testing, "_get_command", built)
    put(tomllib, "loads", copied(tomllib.loads))
    put(strategy_files, "_scan", by_content(strategy_files._scan))
    put(cross_checks, "market_file_problems", by_market_files(cross_checks.market_file_problems))


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
    """`read`, once for a folder's and a file's name and the content; a file that cannot be read is asked for each
    time."""
    known = copied(lambda _folder, _name, _content, place: read(place.path))

    def looked(path: Path) -> Found:
        try:
            content = path.read_bytes()
        except OSError:
            return read(path)
        return known(path.parent.name, path.name, content, _Place(path))

    return looked


def by_market_files(judge: Callable[[Path, Iterable[str]], list[str]]) -> Callable[[Path, Iterable[str]], list[str]]:
    """`judge`, once for the same exchanges and three files; files that cannot be read are judged each time."""
    known = copied(lambda _contents, exchanges, place: judge(place.path, exchanges))

    def judged(home: Path, exchanges: Iterable[str]) -> list[str]:
        try:
            contents = tuple((home / "config" / f"{name}.toml").read_bytes() for name in MARKET_FILES)
        except OSError:
            return judge(home, exchanges)
        return known(contents, tuple(exchanges), _Place(home))

    return judged
