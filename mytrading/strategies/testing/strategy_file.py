"""Settings of a strategy under test, from `config/strategies` beside the `strategies` folder of its own file."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mytrading.core.instruments.symbology import instrument_id, quoting_exchange
from mytrading.core.text.spelling import name_key
from mytrading.strategies.base_strategy import BaseStrategy, strategy_name
from mytrading.strategies.errors import StrategyError


class FileSettings(NamedTuple):
    """Instruments (EXCHANGE:SYMBOL), timeframes, direction ("" without a file, else what the file says or "long") and
    parameters, as the file has them; empty where it is silent."""

    symbols: tuple[str, ...] = ()
    timeframes: tuple[str, ...] = ()
    direction: str = ""
    parameters: Mapping[str, Any] = {}


def settings_of(strategy: type[BaseStrategy]) -> FileSettings:
    """Read the file of a strategy; nothing if there is none, `StrategyError` if it is no TOML or names an unknown
    instrument."""
    code = getattr(sys.modules.get(strategy.__module__), "__file__", None)
    if code is None:
        return FileSettings()
    wanted = name_key(strategy_name(strategy))
    config = Path(code).resolve().parent.parent / "config"
    for path in sorted((config / "strategies").glob("*.toml")):
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            if name_key(path.stem) == wanted:
                raise StrategyError(f"config/strategies/{path.name}: expected TOML, found {error}") from error
            continue
        if name_key(str(table.get("name", path.stem))) == wanted:
            symbols = tuple(_instrument(config, path.name, name) for name in _words(table.get("symbols", ())))
            direction = str(table.get("direction", "long"))
            return FileSettings(symbols, _words(table.get("timeframes", ())), direction, table.get("parameters", {}))
    return FileSettings()


def _words(given: Any) -> tuple[str, ...]:
    """The texts of a list, or of one text with commas."""
    return tuple(str(word).strip() for word in (given.split(",") if isinstance(given, str) else given))


def _instrument(config: Path, file: str, name: str) -> str:
    """The id of an instrument that a file names, by `symbols.toml` beside its folder; an index needs no short name."""
    if ":" in name:
        return name.upper()
    listed, word = config / "symbols.toml", name.upper()
    names = tomllib.loads(listed.read_text(encoding="utf-8")).get("names", {}) if listed.is_file() else {}
    if word not in names and quoting_exchange(word) != "NSE":
        return instrument_id(quoting_exchange(word), word)
    if word not in names:
        raise StrategyError(
            f"config/strategies/{file}: symbols: expected EXCHANGE:SYMBOL or a short name of config/symbols.toml, "
            f"found {name!r}"
        )
    return str(names[word])
