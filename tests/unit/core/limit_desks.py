"""A desk that keeps the journal apart from what was only seen, and may be restarted from it, or into another day."""

from __future__ import annotations

from typing import Any

from mytrading.core.risk.machine import RiskMachine
from mytrading.messages.enums import Product
from mytrading.messages.market import Quote
from mytrading.messages.records import RunStarted
from mytrading.messages.reports import Funds
from tests.unit.core.test_risk_machine import SECOND, Desk

SPREAD = 10.0


class KeptDesk(Desk):
    """As `Desk`; `journal` holds what a restart reads: of quotes those that led to something, and no funds."""

    product = Product.NRML

    def give(self, message: Any) -> tuple[Any, ...]:
        rows = super().give(message)
        if rows or not isinstance(message, Quote | Funds):
            self.journal += [message, *rows]
        return rows

    def beat(self) -> None:
        if not hasattr(self, "journal"):
            self.journal: list[Any] = []
        super().beat()

    def at(self, instrument: str, bid: float, journaled: bool = False) -> tuple[Any, ...]:
        """A quote with this bid; the last price lies above it, the ask above that. `journaled`: it led to something."""
        quote = Quote(instrument, self.now, self.machine_ns, bid + SPREAD / 2, bid, bid + SPREAD)
        rows = self.give(quote)
        if journaled and not rows:
            self.journal.append(quote)
        return rows

    def twice(self, instrument: str, bid: float) -> tuple[Any, ...]:
        """Two quotes that agree."""
        first = self.at(instrument, bid)
        self.later(0.1)
        return (*first, *self.at(instrument, bid))

    def later(self, seconds: float) -> None:
        """Time goes on unseen."""
        self.now += int(seconds * SECOND)
        self.machine_ns += int(seconds * SECOND)

    def restart(self, day: str = "") -> None:
        """Killed, and started again from its journal; into another day by what is carried over, where one is named."""
        parts, (run,) = self.parts, self.machine.strategies.values()
        self.machine = RiskMachine(*parts[:2], (run,), *parts[3:])
        for row in self.journal:
            self.machine.apply(row)
        begun: list[Any] = [self._started()]
        if day:
            begun.append(self.machine.snapshot(day))
            self.journal = []
        for row in begun:
            self.machine.apply(row)
        self.journal += begun
        self.machine.notice(self.machine_ns)
        self.beat()

    def _started(self) -> RunStarted:
        return RunStarted(
            daemon="risk", pid=1, version="0", schema=1, config_hash="", machine_ns=self.machine_ns,
            market_ns=self.now, speed=1.0,
        )  # fmt: skip
