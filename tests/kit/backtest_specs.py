"""Bars, strategies and specs for tests of backtests."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import date, time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from mytrading.backtest.data.columns import Columns, build_columns
from mytrading.backtest.data.load import load_bars
from mytrading.backtest.run import Spec, without_rupee_limits
from mytrading.core.accounting.fees import FeeSchedule
from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.calendar import Calendar
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.time import MINUTE, to_ns
from mytrading.messages.enums import Product, Side
from mytrading.messages.run_config import Direction, RiskLimits, StopPlan, StrategyRun, TradeKind, TradeRule
from mytrading.runtime.host.author_files import load_file
from mytrading.strategies import Bar, BaseStrategy, Signal
from tests.kit.project import ROOT

SBIN = "NSE:SBIN"
DAY = date(2024, 3, 13)
LIMITS = RiskLimits(
    max_position_size=1.0,
    max_order_size=1.0,
    min_order_size=0.0,
    max_positions_per_symbol=10,
    max_total_positions=10,
    max_daily_loss=1e15,
    max_drawdown=1.0,
    default_stop_loss=0.01,
    default_stop_loss_options=0.3,
    trailing_stop_enabled=False,
    trailing_stop_distance=0.01,
    avoid_first_minutes=0,
    avoid_last_minutes=0,
    stale_quote_seconds=60.0,
    signal_validity_seconds=60.0,
)


@cache
def calendar() -> Calendar:
    return Calendar.from_dict(_toml("calendar.toml"))


@cache
def facts() -> ContractFacts:
    return ContractFacts.from_dict(_toml("instruments.toml"))


@cache
def tables() -> RiskTables:
    return RiskTables.from_dict(_toml("risk.toml"))


@cache
def fees() -> FeeSchedule:
    return FeeSchedule.from_dict(_toml("fees.toml"))


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / "config" / name).read_text(encoding="utf-8"))


@cache
def bars_of(temper: str, instrument: str = SBIN) -> Columns:
    return load_once(ROOT / "tests" / "data" / f"bars-{temper}.csv.gz", instrument)


_loaded = cache(load_bars)


def load_once(path: Path, instrument: str, first: date | None = None, last: date | None = None) -> Columns:
    """The bars of a file that no test changes, read once; each caller gets arrays of its own."""
    found = _loaded(path, instrument, first, last)
    return Columns(found.instrument, found.timeframe, found.start_ns.copy(), found.table.copy())


def begin_of(columns: Columns, count: int) -> Columns:
    """The first bars of columns."""
    return Columns(columns.instrument, columns.timeframe, columns.start_ns[:count], columns.table[:, :count].copy())


def bars(rows: Sequence[Sequence[float]], at: time = time(10, 0), day: date = DAY, instrument: str = SBIN) -> Columns:
    """One-minute bars from `at` on: open, high, low, close, and if there is one volume."""
    start = to_ns(day, at) + np.arange(len(rows), dtype=np.int64) * MINUTE
    table = np.array([[*row, 1000.0][:5] for row in rows], dtype=np.float64).T.copy()
    return build_columns(instrument, start, table, "test")


def flat(price: float, count: int) -> list[tuple[float, float, float, float]]:
    return [(price, price, price, price)] * count


class Script(BaseStrategy):
    """Signals at given minutes: `"3 BUY, 7 EXIT"`, counted in bars from 0, with a stop's level after a slash."""

    plan: str = ""

    def initialize(self) -> None:
        self.count = -1
        parts = [part.split() for part in self.plan.split(",") if part.strip()]
        self.signals = {int(number): word for number, word in parts}

    def on_data(self, data: Bar) -> Signal | None:
        self.count += 1
        word = self.signals.get(self.count, "")
        if not word:
            return None
        action, _, stop = word.partition("/")
        return self.create_signal(action, stop_price=float(stop or 0))


class Cross(BaseStrategy):
    """Long while the fast average is above the slow one, short below."""

    fast: int = 5
    slow: int = 20

    def initialize(self) -> None:
        self.add_indicator("SMA", period=self.fast, name="fast")
        self.add_indicator("SMA", period=self.slow, name="slow")

    def on_data(self, data: Bar) -> Signal | None:
        fast, slow = self.get_indicator_value("fast"), self.get_indicator_value("slow")
        if fast > slow and not self.position.is_long:
            return self.create_signal("BUY")
        if fast < slow and not self.position.is_short:
            return self.create_signal("SELL")
        return None


def shipped(name: str) -> type[BaseStrategy]:
    found = load_file(ROOT / "strategies" / f"{name}.py", BaseStrategy)
    assert found.fault is None
    return found.classes[0]


def spec_of(strategy: type[BaseStrategy], *data: Columns, **given: Any) -> Spec:
    """A run on these bars, long and short, one share, without a stop or costs unless `given` says otherwise."""
    fields = {name: given.pop(name) for name in list(given) if name in StrategyRun.__struct_fields__}
    run = StrategyRun(
        name=strategy.name or strategy.__name__,
        file="",
        symbols=tuple(dict.fromkeys(columns.instrument for columns in data)),
        long=TradeRule(kind=TradeKind.SAME, side=Side.BUY),
        short=TradeRule(kind=TradeKind.SAME, side=Side.SELL),
        direction=Direction.BOTH,
        product=Product.MIS,
        stop=StopPlan.NONE,
    )
    given.setdefault("limits", without_rupee_limits(LIMITS))
    given.setdefault("tables", tables())
    return Spec(
        run=replace(run, **fields), strategy=strategy, data=tuple(data), calendar=calendar(), facts=facts(), **given
    )


OPEN_NS = to_ns(DAY, time(10, 0))
