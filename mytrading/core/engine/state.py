"""What the engine knows besides the strategies themselves: prices, positions, orders, signals and switches.

Everything here but prices, chains and problems follows from journaled rows.
"""

from __future__ import annotations

from mytrading.core.engine.active_signals import ActiveSignals, Key
from mytrading.core.engine.contract_selection import ContractSelector
from mytrading.core.engine.pending_entries import OperatorCancels, PendingEntries
from mytrading.core.engine.position_views import PositionViews
from mytrading.core.instruments.book import InstrumentBook
from mytrading.messages.control import StrategySwitch


class EngineState:
    """By subject. `problems` are contracts that are not listed, by strategy and watched instrument."""

    def __init__(self, book: InstrumentBook) -> None:
        self.book = book
        self.problems: dict[Key, str] = {}
        self.prices: dict[str, float] = {}
        self.speed = 1.0
        """Market seconds per machine second; 0 in lock-step."""
        self.positions = PositionViews()
        self.switches: dict[str, StrategySwitch] = {}
        self.contracts = ContractSelector()
        self.active_signals = ActiveSignals()
        self.entries = PendingEntries()
        self.operator_cancels = OperatorCancels()
