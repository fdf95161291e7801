"""Sources of settings: TOML files, `.env`, the process environment and profiles; each value has its origin."""

from __future__ import annotations

import io
import json
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream

from mytrading.messages.text import read_bytes

TOO_DEEP = "expected tables and arrays of a few levels, found thousands within each other; correct the file"
KeyPath = tuple[str | int, ...]
"""A key of a TOML file with the tables it stands in; tables of an array are numbered from 0."""
Lines = Mapping[KeyPath, int]


@dataclass(frozen=True, slots=True)
class Value:
    """A raw value; `label` names it as its author wrote it, `origin` says where ("config/settings.toml:4")."""

    raw: Any
    label: str
    origin: str

    @property
    def where(self) -> str:
        """The variable or key with its origin, as `MAX_ORDER_SIZE (.env:3)`."""
        return f"{self.label} ({self.origin})"


def read_env_file(path: Path, problems: list[str]) -> dict[str, Value]:
    """Read a `.env` file's variables by name; empty if it is missing. Bad lines are appended to `problems`."""
    if not path.exists():
        return {}
    found: dict[str, Value] = {}
    for binding in parse_stream(io.StringIO(_text_of(path, path.name, problems) or "")):
        skipped = len(binding.original.string) - len(binding.original.string.lstrip("\n"))
        origin = f"{path.name}:{binding.original.line + skipped}"
        if not (binding.value or "").replace("\t", " ").isprintable():
            problems.append(
                f"{origin}: expected text, found an invisible character in {binding.key}; type its value again"
            )
        elif binding.error:
            problems.append(f"{origin}: expected NAME=value, found {binding.original.string.strip()!r}")
        elif binding.key is not None:
            _keep(found, Value((binding.value or "").strip(), binding.key, origin), problems)
    return found


def _keep(found: dict[str, Value], value: Value, problems: list[str]) -> None:
    """An empty value counts as not given, so it neither hides another one nor contradicts it."""
    before = found.get(value.label)
    if before is not None and before.raw and value.raw and before.raw != value.raw:
        problems.append(f"{value.where}: {before.origin} sets it too, to another value; keep one of the two lines")
    if before is None or value.raw:
        found[value.label] = value


def read_toml(path: Path, home: Path, problems: list[str]) -> dict[str, Value]:
    """Read a TOML file's values by dotted key, arrays whole; empty if missing. A parse error goes to `problems`."""
    found = parse_toml(path, home, problems)
    if found is None:
        return {}
    text, parsed = found
    name = str(path.relative_to(home))
    lines = {".".join(map(str, place)): line for place, line in key_lines(text).items()}
    try:
        leaves = _leaves(parsed, "")
    except RecursionError:
        problems.append(f"{name}: {TOO_DEEP}")
        return {}
    return {key: Value(raw, key, f"{name}:{lines[key]}" if key in lines else name) for key, raw in leaves.items()}


def parse_toml(path: Path, home: Path, problems: list[str]) -> tuple[str, dict[str, Any]] | None:
    """Return text and content of a TOML file; None if it is missing or unreadable (added to `problems`)."""
    name = str(path.relative_to(home))
    text = _text_of(path, name, problems) if path.exists() else None
    if text is None:
        return None
    try:
        return text, tomllib.loads(text)
    except ValueError as error:
        problems.append(f"{name}: expected TOML, found: {error}")
    except RecursionError:
        problems.append(f"{name}: {TOO_DEEP}")
    return None


def _text_of(path: Path, name: str, problems: list[str]) -> str | None:
    try:
        raw = read_bytes(path)
    except OSError as error:
        problems.append(f"{name}: cannot be read: {error.strerror}")
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problems.append(f"{name}:{line}: expected text in UTF-8, found byte 0x{raw[error.start]:02X}; save it as UTF-8")
        return None


def _leaves(table: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found.update(_leaves(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = value
    return found


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line numbers of TOML tables and keys that begin a line, by key with its tables."""
    found: dict[KeyPath, int] = {}
    section: KeyPath = ()
    tables = Counter[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if array := re.match(r"\s*\[\[\s*([\w-]+)\s*\]\]", line):
            found.setdefault((array[1],), number)
            section = (array[1], tables[array[1]])
            tables[array[1]] += 1
            found[section] = number
        elif header := re.match(r"\s*\[([^\[\]]+)\]", line):
            section = tuple(header[1].strip().split("."))
            found.setdefault(section, number)
        elif key := re.match(r'\s*"?([\w.-]+)"?\s*=', line):
            found.setdefault((*section, *key[1].split(".")), number)
    return found


def locate_key(file: str, lines: Lines, key: KeyPath) -> str:
    """Return `file:line` of a key by `lines` of `key_lines`, else of its nearest table, else `file` alone."""
    for end in range(len(key), 0, -1):
        if (line := lines.get(key[:end])) is not None:
            return f"{file}:{line}"
    return file


@dataclass(frozen=True, slots=True)
class Profile:
    """A preset: `settings` by dotted path, `strategies` by name and setting; files lose to it, variables win."""

    name: str
    simulated: bool
    settings: dict[str, Any] = field(default_factory=dict)
    strategies: dict[str, dict[str, Any]] = field(default_factory=dict)

    def ignores(self, variable: str) -> bool:
        """Return true if this simulated profile ignores the environment variable, which could reach a real server."""
        return self.simulated and (variable.startswith("OPENALGO_") or variable in _OF_A_SERVER)


_OF_A_SERVER = frozenset({"TRADING_MODE", "PAPER_VENUE", "ENABLE_TRADE_EXECUTION", "LIVE_CONFIRM", "SIMULATOR_CLOCK"})

_SIMULATED = {
    "system.mode": "paper",
    "system.enabled_strategies": "SMA_Crossover",
    "openalgo.account": "paper",
    "data.symbols": "NIFTY",
    "simulator.embedded": True,
    "simulator.speed": 60,
    "risk.avoid_first_minutes": 0,
    "risk.avoid_last_minutes": 0,
}

# Short averages that join the trend they find, so that a newcomer sees a trade within seconds at speed 60.
_QUICK_SMA = {
    "symbols": "NIFTY", "timeframes": "1m", "fast_period": 3, "slow_period": 8, "join_trend": True,
    "trade_long": "NIFTY ATM CE nearest", "trade_short": "none", "direction": "long", "lots": 1,
}  # fmt: skip


def profile_by_name(name: str) -> Profile:
    """Return the preset profile `paper` or `replay`; any other name has no presets, only its own state folder."""
    if name in ("paper", "replay"):
        return Profile(name, True, dict(_SIMULATED), {"SMA_Crossover": dict(_QUICK_SMA)})
    return Profile(name, False)


def plain_values(parsed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a TOML file as JSON has it: times as text."""
    found: dict[str, Any] = json.loads(json.dumps(parsed, default=str))
    return found
