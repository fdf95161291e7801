"""A bench that keeps the journal apart from what was only seen, and may be restarted from it, or into another day."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.messages.enums import Product
from mytrading.messages.journal_rows import RunStarted
from mytrading.messages.market import Quote
from mytrading.messages.reports import Funds
from mytrading.messages.risk_events import RiskEventRecorded
from mytrading.messages.run_config import RiskLimits
from tests.kit.risk_bench import CALL, LIMITS, SECOND, RiskBench

SPREAD = 10.0


class JournaledBench(RiskBench):
    """As `RiskBench`; `journal` holds what a restart reads: of quotes those that led to something, and no funds."""

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
        parts, (run,) = self.parts, self.machine.environment.strategies.values()
        self.machine = RiskMachine(RiskEnvironment(*parts[:2], (run,), *parts[3:]))
        for row in self.journal:
            self.machine.apply(row)
        begun: list[Any] = [self._started()]
        if day:
            begun.append(self.machine.snapshot(day))
            self.journal = []
        for row in begun:
            self.machine.apply(row)
        self.journal += begun
        self.machine.set_machine_time(self.machine_ns)
        self.beat()

    def _started(self) -> RunStarted:
        return RunStarted(
            daemon="risk", pid=1, version="0", schema=1, config_hash="", machine_ns=self.machine_ns,
            market_ns=self.now, speed=1.0,
        )  # fmt: skip


LARGE = replace(LIMITS, max_position_size=1e9, max_order_size=1e9, min_order_size=0)


def events(rows: Any) -> list[RiskEventRecorded]:
    return [row for row in rows if isinstance(row, RiskEventRecorded)]


def of(rows: Any, kind: type) -> list[Any]:
    return [row for row in rows if isinstance(row, kind)]


def holding(limits: RiskLimits = LARGE, lots: int = 10, price: float = 100.0) -> RiskBench:
    """A bench that holds lots of 65 calls bought at a price, valued at it."""
    bench = RiskBench(limits)
    bench.quote()
    bench.hold(CALL, 65 * lots, price)
    bench.give(Quote(CALL, bench.now, bench.machine_ns, price, price, price))
    bench.give(Funds(account="main", available=900_000.0, used=100_000.0))
    bench.pass_time(1)
    return bench


def price(bench: RiskBench, value: float) -> tuple[Any, ...]:
    """Two quotes that agree, the second within the second."""
    first = once(bench, value, SECOND - SECOND // 10)
    return (*first, *once(bench, value, SECOND // 10))


def once(bench: RiskBench, value: float, later: int = SECOND) -> tuple[Any, ...]:
    bench.now += later
    bench.machine_ns += later
    bench.beat()
    return bench.give(Quote(CALL, bench.now, bench.machine_ns, value, value, value))


def restarted(bench: RiskBench, limits: RiskLimits = LARGE) -> RiskBench:
    """A machine that learnt what the journal holds: no quote that led to nothing, no heartbeats, no funds."""
    again = RiskBench(limits)
    again.now, again.machine_ns = bench.now, bench.machine_ns
    again.beat()
    volatile = (Quote, Funds)
    for row in bench.rows:
        if not isinstance(row, volatile):
            again.machine.apply(row)
    again.rows = list(bench.rows)
    return again
