"""Settings of a strategy under test, from `config/strategies` beside the `strategies` folder of its own file."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from mytrading.core.text.spelling import name_key
from mytrading.strategies.base_strategy import BaseStrategy, strategy_name
from mytrading.strategies.errors import StrategyError


class FileSettings(NamedTuple):
    """Timeframes and parameters as the file has them; empty where it is silent."""

    timeframes: tuple[str, ...]
    parameters: dict[str, Any]


def settings_of(strategy: type[BaseStrategy]) -> FileSettings:
    """Read the file of a strategy; nothing if there is none, `StrategyError` if it is no TOML."""
    code = getattr(sys.modules.get(strategy.__module__), "__file__", None)
    if code is None:
        return FileSettings((), {})
    wanted = name_key(strategy_name(strategy))
    for path in sorted((Path(code).resolve().parent.parent / "config" / "strategies").glob("*.toml")):
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            if name_key(path.stem) == wanted:
                raise StrategyError(f"config/strategies/{path.name}: expected TOML, found {error}") from error
            continue
        if name_key(str(table.get("name", path.stem))) == wanted:
            frames = table.get("timeframes", ())
            named = tuple(frames.split(",")) if isinstance(frames, str) else tuple(frames)
            return FileSettings(tuple(frame.strip() for frame in named), dict(table.get("parameters", {})))
    return FileSettings((), {})
