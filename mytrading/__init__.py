"""MyTrading: a self-hosted trading stack for Indian markets over OpenAlgo.

The public classes import lazily, so that a daemon pays only for what it uses.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from mytrading.adapters.openalgo.sdk import ExtendedOpenAlgoAPI
    from mytrading.backtest.api.functions import backtest, load_bars, optimize
    from mytrading.config.settings import TradingSettings
    from mytrading.config.strategies import StrategyConfig
    from mytrading.config.symbols import SymbolConfig
    from mytrading.daemons.engine.daemon import StrategyEngine
    from mytrading.daemons.feed.daemon import DataManager
    from mytrading.daemons.reconciler.daemon import Reconciler
    from mytrading.daemons.risk.daemon import RiskManager
    from mytrading.daemons.router.daemon import TradeManager
    from mytrading.orchestrator import TradingOrchestrator
    from mytrading.runtime.observability.metrics import get_performance_monitor
    from mytrading.runtime.streams.zmq_streams import ZMQPublisher, ZMQSubscriber
    from mytrading.strategies.base_strategy import BaseStrategy

__all__ = [
    "BaseStrategy",
    "DataManager",
    "ExtendedOpenAlgoAPI",
    "Reconciler",
    "RiskManager",
    "StrategyConfig",
    "StrategyEngine",
    "SymbolConfig",
    "TradeManager",
    "TradingOrchestrator",
    "TradingSettings",
    "ZMQPublisher",
    "ZMQSubscriber",
    "__version__",
    "backtest",
    "get_performance_monitor",
    "load_bars",
    "optimize",
]

_HOMES = {
    "BaseStrategy": "strategies.base_strategy",
    "DataManager": "daemons.feed.daemon",
    "ExtendedOpenAlgoAPI": "adapters.openalgo.sdk",
    "Reconciler": "daemons.reconciler.daemon",
    "RiskManager": "daemons.risk.daemon",
    "StrategyConfig": "config.strategies",
    "StrategyEngine": "daemons.engine.daemon",
    "SymbolConfig": "config.symbols",
    "TradeManager": "daemons.router.daemon",
    "TradingOrchestrator": "orchestrator",
    "TradingSettings": "config.settings",
    "ZMQPublisher": "runtime.streams.zmq_streams",
    "ZMQSubscriber": "runtime.streams.zmq_streams",
    "get_performance_monitor": "runtime.observability.metrics",
    "load_bars": "backtest.api.functions",
    "optimize": "backtest.api.functions",
}


def __getattr__(name: str) -> Any:
    """Import a public class when it is first asked for."""
    if name == "backtest":  # the package, which is callable
        return import_module(f"{__name__}.backtest")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; there is {', '.join(sorted(__all__))}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted(__all__)
