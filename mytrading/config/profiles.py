"""Ready-made sets of settings: `paper` and `replay` run on the embedded simulator, `default` on what is configured.

The one rule: a profile on the simulator reads no `.env` and nothing that names a server or a mode, so that
`make paper` works on any machine and can never reach a broker.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Profile:
    """`settings` by dotted path, `strategies` by name and setting; they beat files and lose to the environment."""

    name: str
    simulated: bool
    settings: dict[str, Any] = field(default_factory=dict)
    strategies: dict[str, dict[str, Any]] = field(default_factory=dict)

    def ignores(self, variable: str) -> bool:
        """Whether a variable of the process has no say in this profile."""
        return self.simulated and (variable.startswith("OPENALGO_") or variable in _OF_A_SERVER)


_OF_A_SERVER = frozenset({"TRADING_MODE", "PAPER_VENUE", "ENABLE_TRADE_EXECUTION", "LIVE_CONFIRM"})

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
    "symbols": "NIFTY",
    "timeframes": "1m",
    "fast_period": 3,
    "slow_period": 8,
    "join_trend": True,
    "trade_long": "NIFTY ATM CE nearest",
    "trade_short": "none",
    "direction": "long",
    "lots": 1,
}


def profile_named(name: str) -> Profile:
    """The profile of this name; any other name is a profile of its own state folder with nothing preset."""
    if name in ("paper", "replay"):
        return Profile(name, True, dict(_SIMULATED), {"SMA_Crossover": dict(_QUICK_SMA)})
    return Profile(name, False)
