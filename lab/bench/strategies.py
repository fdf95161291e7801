"""Cost of strategies: from a bar's close to the signals of 50 of them, and the import of the authors' package.

The strategies want something new on every bar, so that the way measured ends in signals.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from lab.bench.results import Figure, below, percentile
from mytrading.core.engine.machine import EngineMachine
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.time import DAY, MINUTE
from mytrading.messages.enums import Side
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.market import Bar
from mytrading.messages.run_config import Direction, StrategyRun, TradeKind, TradeRule
from mytrading.messages.signals import Signal
from mytrading.strategies.base_strategy import BaseStrategy
from mytrading.strategies.signals import StrategySignal

STRATEGIES = 50
HISTORY = 2_250
LIVE = 200
IMPORTS = 7
_OPEN = 1_767_584_700_000_000_000
_NAME = "NSE:SBIN"


class FiveIndicators(BaseStrategy):
    """Five indicators, and a signal of the other side on every bar."""

    def initialize(self) -> None:
        self.add_indicator("SMA", period=225, name="slow")
        self.add_indicator("EMA", period=20, name="fast")
        self.add_indicator("RSI", period=14)
        self.add_indicator("ATR", period=14)
        self.add_indicator("SUPERTREND.line", period=10, name="trend")
        self.side = 0

    def on_data(self, data: Bar) -> StrategySignal | None:  # noqa: ARG002  (the author's signature)
        values = [self.get_indicator_value(name) for name in ("slow", "fast", "RSI", "ATR", "trend")]
        self.side += 1
        return self.create_signal("BUY" if self.side % 2 else "SELL", reason=f"{values[0]:.2f} {values[1]:.2f}")


def measure_authors(progress: Callable[[str], None]) -> list[Figure]:
    """Bar close to signals, and the import."""
    progress(f"{STRATEGIES} strategies of 5 indicators, {HISTORY:,} bars of history, {LIVE} live bars")
    took = bar_to_signals()
    progress("import of mytrading.strategies")
    return [
        below("bar_to_signals_p50", percentile(took, 0.5), "ms", 5.0, len(took)),
        below("import_strategies", import_seconds(), "s", 0.3, IMPORTS),
    ]


def bar_to_signals() -> list[float]:
    """Milliseconds from a live bar's arrival to the signals of all strategies, one value a bar."""
    long, short = (TradeRule(kind=TradeKind.SAME, side=side) for side in (Side.BUY, Side.SELL))
    runs = [
        StrategyRun(name=f"S{n}", file="", symbols=(_NAME,), direction=Direction.BOTH, long=long, short=short)
        for n in range(STRATEGIES)
    ]
    share = Instrument(id=_NAME, exchange="NSE", symbol="SBIN", kind=InstrumentKind.EQ, underlying="SBIN")
    machine = EngineMachine(runs, dict.fromkeys([run.name for run in runs], FiveIndicators), InstrumentBook([share]))
    machine.open([_bar(n) for n in range(HISTORY)])
    took = []
    for n in range(HISTORY, HISTORY + LIVE):
        bar = _bar(n)
        began = time.perf_counter()
        machine.apply(bar)
        rows = machine.decide(bar, bar.end_ns)
        for row in rows:
            machine.apply(row)
        took.append((time.perf_counter() - began) * 1e3)
        _check(rows)
    return took


def _check(rows: tuple[Any, ...]) -> None:
    if len(rows) != STRATEGIES or not all(isinstance(row, Signal) for row in rows):
        raise RuntimeError(f"expected {STRATEGIES} signals on a bar, found {rows[:1]}")


def _bar(n: int) -> Bar:
    """The n-th minute, 375 a day."""
    start = _OPEN + n // 375 * DAY + n % 375 * MINUTE
    price = 800.0 + (n * 7919 % 101) / 10
    return Bar(_NAME, "1m", start, start + MINUTE, price, price + 1, price - 1, price, 100 + n % 9, 0, start + MINUTE)


def import_seconds() -> float:
    """Seconds that the import takes in a fresh process, above those of starting Python; the least of some."""
    return min(_seconds("import mytrading.strategies") for _ in range(IMPORTS))


def _seconds(statement: str) -> float:
    text = f"import time; began = time.perf_counter(); {statement}; print(time.perf_counter() - began)"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return float(done.stdout)
