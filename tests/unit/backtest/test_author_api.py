"""Timers, hints, withdrawals and slices that lack a bar, in a backtest as in live trading."""

from __future__ import annotations

from datetime import time

from mytrading.backtest.run import run
from mytrading.strategies import Bar, BaseStrategy, StrategySignal
from tests.kit.backtest_specs import SBIN, bars, flat, spec_of

INFY = "NSE:INFY"


class Timed(BaseStrategy):
    """Buys 30 seconds after its third bar, leaves at 10:07."""

    def initialize(self) -> None:
        self.count = 0

    def on_data(self, data: Bar) -> None:
        self.count += 1
        if self.count == 3:
            self.set_timer("in", 30)
            self.set_timer("out", at="10:07")

    def on_timer(self, name: str) -> StrategySignal:
        return self.create_signal("BUY" if name == "in" else "EXIT", reason=name)


def test_timer_acts_in_the_bar_in_which_it_is_due() -> None:
    result = run(spec_of(Timed, bars(flat(100.0, 10))))
    assert result.fault is None
    (trade,) = result.ledger.trades
    assert [f"{(at // 60_000_000_000 + 330) % 1440 // 60}:{at // 60_000_000_000 % 60 - 30}" for at in
            (trade.entry_ns, trade.exit_ns)] == ["10:4", "10:7"]  # fmt: skip


class Stops(BaseStrategy):
    """Sells short below 99 by a stop-limit order, takes it back on the fifth bar if nothing came of it."""

    def initialize(self) -> None:
        self.count = 0

    def on_data(self, data: Bar) -> StrategySignal | None:
        self.count += 1
        if self.count == 1:
            return self.create_signal("SELL", trigger_price=99.0, buffer=0.5, stop_price=103.0, lots=3)
        return self.create_signal("WITHDRAW") if self.count == 5 else None


def test_stop_limit_entry_of_hints_fills_when_its_trigger_is_reached() -> None:
    rows = [*flat(100.0, 3), (100.0, 100.0, 98.8, 98.9), *flat(98.9, 4)]
    result = run(spec_of(Stops, bars(rows)))
    (fill,) = result.ledger.fills
    assert (fill.units, 98.5 <= fill.price <= 99.0) == (-3, True)


def test_withdrawn_entry_never_fills_and_a_filled_one_stays() -> None:
    late = [*flat(100.0, 6), (100.0, 100.0, 98.8, 98.9), *flat(98.9, 2)]
    assert run(spec_of(Stops, bars(late))).ledger.fills == []
    early = [*flat(100.0, 2), (100.0, 100.0, 98.8, 98.9), *flat(98.9, 6)]
    assert [fill.units for fill in run(spec_of(Stops, bars(early))).ledger.fills] == [-3]


class Slices(BaseStrategy):
    """Notes when each slice ended."""

    seen: list[int]

    def initialize(self) -> None:
        self.seen = []

    def generate_signals(self) -> StrategySignal | None:
        self.seen.append(self.now_ns // 60_000_000_000 % 60 - 30)
        return self.create_signal("BUY", instrument=SBIN) if len(self.seen) == 2 else None


def test_slice_that_lacks_a_bar_ends_with_its_minute() -> None:
    whole, part = bars(flat(100.0, 4)), bars(flat(50.0, 1), at=time(10, 0), instrument=INFY)
    result = run(spec_of(Slices, whole, part))
    (fill,) = result.ledger.fills
    assert fill.at_ns // 60_000_000_000 % 60 - 30 == 2  # wanted at 10:02, at the end of the second slice
