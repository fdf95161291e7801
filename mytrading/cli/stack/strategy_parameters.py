"""Parameters of a strategy changed by a program: merged into its file, tried as a start would; versions are kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable

from mytrading.cli.shell.failures import ERROR, USAGE, fail
from mytrading.cli.shell.file_edits import check_file_text, comments_kept_with_tables, problem_location
from mytrading.cli.shell.target import file_stem, settings_names
from mytrading.cli.stack.strategy_trial import try_strategies
from mytrading.config.problems import hint, name_key
from mytrading.config.run_config import strategy_run
from mytrading.config.strategy_files import discover_strategies
from mytrading.runtime.host import file_versions

TABLE = "parameters"
DEFAULT = "default"
"""The profile that has no values of its own."""


def save_parameters(
    home: Path, name: str, values: Mapping[str, Any], version: str, expected: str, profile: str, *, only_check: bool
) -> dict[str, Any]:
    """Return what these `values` (None takes one out), or a `version`, make of a strategy's file, as JSON; written
    unless `only_check` or something is wrong. `expected` is the digest of the file that was seen, "" for any."""
    path, label, before = _file_of(home, name)
    own = str(path.relative_to(home))
    if expected not in ("", file_versions.digest_of_text(before)):
        fail(ERROR, f"MOVED: {own} was changed since it was shown; load it again")
    try:
        after = file_versions.version_text(path, version) if version else merge_parameters(before, label, values)
    except ValueError as error:
        fail(USAGE, str(error))
    problems, notes = ([], []) if after == before else _tried(home, path, after, label, profile)
    writes = not (only_check or problems or after == before)
    kept = file_versions.write_version(path, before, after) if writes else ""
    there = after if writes else before
    return {
        "name": label, "file": own, "saved": writes, "digest": file_versions.digest_of_text(there),
        "kept_version": kept, "versions": file_versions.versions_of(path),
        "diff": file_versions.diff_of(before, after, own), "problems": [problem_location(text) for text in problems],
        "notes": notes,
    }  # fmt: skip


def merge_parameters(text: str, name: str, values: Mapping[str, Any]) -> str:
    """Return a file's `text` with these `values` in its table `[parameters]`; the rest stays, comments too. None takes
    one out. Raises `ValueError` if the text is no TOML or a value is none of a parameter."""
    try:
        document = tomlkit.parse(text)
        if not text:
            document["name"] = name
        given = document.get(TABLE)
        table = tomlkit.table() if given is None else given
        if not isinstance(table, AbstractTable):
            raise ValueError(f"expected the table [{TABLE}], found {table!r}; edit the file")
        with comments_kept_with_tables(document):
            for key, value in values.items():
                _put(table, key, value)
        if given is None and table:
            document[TABLE] = table
        return tomlkit.dumps(document)
    except TOMLKitError as error:
        raise ValueError(f"the file is no TOML: {error}; edit it") from error


def _put(table: AbstractTable, key: str, value: Any) -> None:
    if value is None:
        table.pop(key, None)
    elif not isinstance(value, bool | int | float | str):
        raise ValueError(f"{TABLE}.{key}: expected a number, a text, true or false; found {value!r}")
    elif key not in table or type(table[key].unwrap()) is not type(value) or table[key] != value:
        table[key] = value  # an equal value keeps its spelling


def _file_of(home: Path, name: str) -> tuple[Path, str, str]:
    """The file with a strategy's settings, its name and its text; of a class without a file the one it gets."""
    for path, known in settings_names(home / "config" / "strategies").items():
        if name_key(known) == name_key(name):
            text = path.read_text(encoding="utf-8")
            if "[[legs]]" in text:
                fail(ERROR, f"{known} is of legs and has no parameters; change it by `mytrading legs save {known}`")
            return path, known, text
    classes = [item.name for item in discover_strategies(home / "strategies")]
    label = next((one for one in classes if name_key(one) == name_key(name)), "")
    if not label:
        fail(USAGE, f"expected a strategy of code, found {name!r}{hint(name, classes)}")
    return home / "config" / "strategies" / f"{file_stem(label)}.toml", label, ""


def _tried(home: Path, path: Path, text: str, name: str, profile: str) -> tuple[list[str], list[str]]:
    """Why a strategy would not start with this file, and what the profile sets whatever the file says, where the other
    profiles are asked as well. The strategy's own `initialize` runs too, in a process of its own."""
    settings, problems = check_file_text(home, path, text, name, profile)
    if settings is None or problems:
        return problems, []
    notes = [one for one in settings.warnings if str(path.relative_to(home)) in one]
    if notes and settings.profile != DEFAULT:
        return _tried(home, path, text, name, DEFAULT)[0], notes
    runs = [strategy_run(settings, one) for one in settings.running_strategies if one.name == name]
    return [str(refusal) for refusal in try_strategies(home, runs)], notes
