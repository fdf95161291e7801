"""What the engine has learnt, beside the strategies themselves: prices, holdings, orders, wishes and switches.

Used by `strategies/engine_machine`, which fills it from rows, and `strategies/judging`, which asks it. The one rule:
all here but prices and problems follows from journaled rows.
"""

from __future__ import annotations

from mytrading.core.instruments import InstrumentBook
from mytrading.messages.control import StrategySwitch
from mytrading.strategies.chosen import Chosen
from mytrading.strategies.holdings import Holdings
from mytrading.strategies.pending import EntryBook
from mytrading.strategies.standing import Key, Standing
from mytrading.strategies.taken_back import TakenBack


class EngineBooks:
    """Levels by subject. `problems`, by strategy and watched instrument: contracts that nobody lists."""

    def __init__(self, book: InstrumentBook) -> None:
        self.book = book
        self.problems: dict[Key, str] = {}
        self.prices: dict[str, float] = {}
        self.speed = 1.0
        self.holdings = Holdings()
        self.switches: dict[str, StrategySwitch] = {}
        self.chosen = Chosen()
        self.standing = Standing()
        self.entries = EntryBook()
        self.taken_back = TakenBack()
