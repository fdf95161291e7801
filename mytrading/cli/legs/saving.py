"""Files of legs changed by a program: merged into the file that is there, so that comments and other keys stay.

Nothing is written here: `runtime.host.file_versions` keeps what was there before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Table

from mytrading.config.loading import load_settings
from mytrading.config.problems import ConfigurationError
from mytrading.config.settings import TradingSettings
from mytrading.runtime.host.file_versions import VERSIONS

HEAD = "#:schema ../../docs/legs.schema.json\n"
_PLACE = re.compile(r"^[^:\s]+:(?P<line>\d+): (?P<field>[A-Za-z_]+(?:\[\d+\])?(?:\.[a-z_]+)?)(?P<rest>.*)$", re.DOTALL)


def merge_legs(text: str, name: str, values: Mapping[str, Any]) -> str:
    """Return a file's `text` with these `values`: keys of the file, and `legs`, a table each, in their order.

    None takes a key out. Keys that are not named stay, comments too. Raises `ValueError` if the text is no TOML or a
    value is none of TOML's.
    """
    try:
        document = tomlkit.parse(text or HEAD)
        document["name"] = name
        for key, value in values.items():
            if key != "legs":
                _put(document, key, value)
        if "legs" in values:
            _merge_tables(document, values["legs"])
        return tomlkit.dumps(document).rstrip("\n") + "\n"
    except (TOMLKitError, TypeError, AttributeError) as error:
        raise ValueError(f"expected keys with plain values, and `legs` as a list of tables: {error}") from error


def _put(place: Any, key: str, value: Any) -> None:
    if value is None:
        place.pop(key, None)
    elif key not in place or place[key] != value:  # an equal value keeps its spelling
        place[key] = value


def _merge_tables(document: tomlkit.TOMLDocument, legs: list[Mapping[str, Any]]) -> None:
    found = document.get("legs")
    tables = found if isinstance(found, AoT) else AoT([])
    while len(tables) > len(legs):
        del tables[len(tables) - 1]
    for number, leg in enumerate(legs):
        table: Table = tables[number] if number < len(tables) else tomlkit.table()
        for key, value in leg.items():
            _put(table, key, value)
        if number >= len(tables):
            tables.append(table)
    if found is not tables:
        document["legs"] = tables


def try_text(home: Path, path: Path, text: str, name: str, profile: str) -> tuple[TradingSettings | None, list[str]]:
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


def place_of(problem: str) -> dict[str, Any]:
    """Return a problem with its line and the field that is wrong, `legs[2].strike` counted from 1; "" for none."""
    found = _PLACE.match(problem)
    if found is None:
        return {"line": 0, "field": "", "text": problem}
    text = f"{found['field']}{found['rest']}"
    return {"line": int(found["line"]), "field": found["field"], "text": text}
