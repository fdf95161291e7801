"""Files of `config/` edited by a program: comments stay beside what they describe, and a text is tried before it is
written. Nothing is written here: `runtime.host.file_versions` keeps the previous files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tomlkit
from tomlkit.container import Container
from tomlkit.items import AbstractTable, AoT, Comment, Null, Whitespace

from mytrading.config.loading import load_settings
from mytrading.config.problems import ConfigurationError
from mytrading.config.settings import TradingSettings
from mytrading.runtime.host.file_versions import VERSIONS

_ORIGIN = r"(?: \((?P<origin>(?:[^()]|\([^()]*\))*)\))?"
_FIELD = r"(?P<field>legs\[\d+\](?:\.\w+)?|[a-z_]+(?:\.\w+)?)"
_SPELLINGS = tuple(
    re.compile(rf"^{head}(?P<rest>.*)$", re.DOTALL)
    for head in (
        rf"config/strategies/[^:]+\.toml(?P<origin>:\d+)?: {_FIELD}(?=[: ])",
        rf"{_FIELD} \((?P<origin>config/strategies/[^:]+\.toml:\d+)\)",
        rf"[A-Za-z]\w*\.(?P<field>[a-z_]+){_ORIGIN}",
    )
)
"""A problem as it is written: FILE:LINE: FIELD, FIELD (FILE:LINE), and STRATEGY.FIELD (FIELD (FILE:LINE))."""
_AFTER_FIELD = (":", " = ", " is missing", " names ")
_OF_LEG = re.compile(r"^: (?P<key>[a-z_]+)(?:, [a-z_]+)*: ")
"""Behind `legs[2]`: the keys that do not fit each other, the first of which is named."""


@contextmanager
def comments_kept_with_tables(document: tomlkit.TOMLDocument) -> Iterator[None]:
    """Keep the comments before the head of a table with it while a document is edited: they move with the table, and go
    with one that is removed. As parsed, they end the part before, and keys added there would follow them."""
    tables: list[AbstractTable] = []
    for _, item in document.body:
        tables += item.body if isinstance(item, AoT) else [item] if isinstance(item, AbstractTable) else []
    texts = [_take_comments(container) for container in [document, *(table.value for table in tables)][: len(tables)]]
    yield
    for table, text in zip(tables, texts, strict=True):
        table.trivia.indent = text + table.trivia.indent


def _take_comments(container: Container) -> str:
    """Remove the comments and blank lines before the first table of a container, or at its end, and return them."""
    body, text = container.body, ""
    end = next((at for at, (_, item) in enumerate(body) if isinstance(item, AbstractTable | AoT)), len(body))
    while end and isinstance(body[end - 1][1], Comment | Whitespace):
        end -= 1
        text = body[end][1].as_string() + text
        body[end] = (None, Null())
    return text


def check_file_text(
    home: Path, path: Path, text: str, name: str, profile: str
) -> tuple[TradingSettings | None, list[str]]:
    """Return the settings with a file of legs that is not written yet, as the one that runs, or what is wrong with it.

    They are read from a copy of the project's folder that consists of links.
    """
    with TemporaryDirectory() as folder:
        trial = Path(folder)
        config, strategies = trial / "config", trial / "config" / "strategies"
        strategies.mkdir(parents=True)
        _link(home, trial, "config")
        _link(home / "config", config, "strategies")
        _link(home / "config" / "strategies", strategies, path.name, VERSIONS)
        (strategies / path.name).write_text(text, encoding="utf-8")
        own = str(path.relative_to(home))
        try:
            found = load_settings(trial, profile or "default", overrides={"ENABLED_STRATEGIES": name})
        except ConfigurationError as error:
            mine = [one for one in error.problems if own in one or one.startswith(f"{name}.")]
            return None, mine or ["other settings are wrong, not this file:", *error.problems]
        return found, []


def _link(source: Path, target: Path, *but: str) -> None:
    for one in source.iterdir():
        if one.name not in but:
            (target / one.name).symlink_to(one)


def problem_location(problem: str) -> dict[str, Any]:
    """Return a problem with its line and the field that is wrong, `legs[2].strike` counted from 1; "" for none."""
    found = next((match for spelling in _SPELLINGS if (match := spelling.match(problem))), None)
    if found is None or not (found["field"].endswith("]") or found["rest"].startswith(_AFTER_FIELD)):
        return {"line": 0, "field": "", "text": problem}
    field, rest, line = found["field"], found["rest"], re.search(r":(\d+)", found["origin"] or "")
    text = f"{field}{rest}"
    if field.endswith("]") and (keys := _OF_LEG.match(rest)):
        field = f"{field}.{keys['key']}"
    return {"line": int(line[1]) if line else 0, "field": field, "text": text}
