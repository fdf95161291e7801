"""Settings: `.env`, `config/*.toml` and the environment become one validated `TradingSettings`; names load lazily."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mytrading.config.cross_checks import start_problems as start_problems
    from mytrading.config.loading import load_settings as load_settings
    from mytrading.config.problems import ConfigurationError as ConfigurationError
    from mytrading.config.run_config import build_run_config as build_run_config
    from mytrading.config.settings import TradingSettings as TradingSettings
    from mytrading.config.strategies import StrategyConfig as StrategyConfig
    from mytrading.config.strategy_files import KnownStrategy as KnownStrategy
    from mytrading.config.symbols import SymbolConfig as SymbolConfig

_HOMES = {
    "ConfigurationError": "problems",
    "KnownStrategy": "strategy_files",
    "StrategyConfig": "strategies",
    "SymbolConfig": "symbols",
    "TradingSettings": "settings",
    "build_run_config": "run_config",
    "load_settings": "loading",
    "start_problems": "cross_checks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
