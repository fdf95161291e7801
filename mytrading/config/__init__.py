"""Settings: `.env`, `config/*.toml` and the environment become one validated `TradingSettings`.

Only the human edge imports this package; daemons read the run file. Names load lazily, so that importing the package
costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mytrading.config.build import build_run_config
    from mytrading.config.checks import start_problems
    from mytrading.config.discover import KnownStrategy
    from mytrading.config.problems import ConfigurationError
    from mytrading.config.resolve import load_settings
    from mytrading.config.settings import TradingSettings
    from mytrading.config.strategies import StrategyConfig
    from mytrading.config.symbols import SymbolConfig

__all__ = [
    "ConfigurationError",
    "KnownStrategy",
    "StrategyConfig",
    "SymbolConfig",
    "TradingSettings",
    "build_run_config",
    "load_settings",
    "start_problems",
]

_HOMES = {
    "ConfigurationError": "problems",
    "KnownStrategy": "discover",
    "StrategyConfig": "strategies",
    "SymbolConfig": "symbols",
    "TradingSettings": "settings",
    "build_run_config": "build",
    "load_settings": "resolve",
    "start_problems": "checks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
