"""Trips that need no machine come out as the machines make them: fill by fill, and bar by bar for the strategy."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mytrading.backtest.data.columns import Columns, build_columns
from mytrading.backtest.engine.assumptions import Models, SlippageFraction, SlippageTicks
from mytrading.backtest.run import RunResult, Spec, run
from mytrading.core.time import MINUTE, to_ns
from mytrading.messages.enums import Product
from mytrading.messages.run_config import Direction, StopPlan
from mytrading.strategies import Bar, BaseStrategy, Signal
from tests.kit.backtest_specs import SBIN, fees, spec_of
from tests.kit.hypothesis_budget import examples

DAYS = (date(2024, 3, 13), date(2024, 3, 14), date(2024, 3, 15))
OPEN, CLOSE = time(9, 15), time(15, 30)
_SEEN: list[tuple[int, Any, int, str]] = []


class Fickle(BaseStrategy):
    """Signals at random, and writes down what it holds at every bar."""

    seed: int = 0
    often: float = 0.1
    odd: float = 0.0

    def initialize(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def on_data(self, data: Bar) -> Signal | None:
        _SEEN.append((data.end_ns, self.position, self._workspace.last_fill_ns, self.time_of_day))
        draw, kind, odd = self.random.random(3)
        if draw > self.often:
            return None
        action = ("BUY", "EXIT", "SELL", "HOLD", "BUY", "EXIT")[int(kind * 6)]
        stop = round(data.close * 0.9, 1) if odd < self.odd and action == "BUY" else 0.0
        return self.create_signal(action, stop_price=stop)


def bars_like(seed: int, wild: float, late: int, every: int) -> Columns:
    """Some minutes of some days: the first and the last of each, with holes between."""
    random = np.random.default_rng(seed)
    starts = []
    for day in DAYS:
        first, last = to_ns(day, OPEN), to_ns(day, CLOSE) - (late if random.random() < 0.3 else 0) * MINUTE
        minutes = np.arange(first, last, MINUTE)
        keep = np.ones(len(minutes), dtype=bool)
        keep[30:-40] = False
        keep &= (np.arange(len(minutes)) % every == 0) | (random.random(len(minutes)) < 0.7)
        starts.append(minutes[keep])
    start = np.concatenate(starts)
    close = np.round(500.0 * np.exp(np.cumsum(random.normal(0.0, wild, len(start)))) / 0.05) * 0.05
    opens = (
        np.round(np.concatenate((close[:1], close[:-1])) * (1 + random.normal(0.0, wild / 2, len(start))) / 0.05) * 0.05
    )
    reach = np.abs(random.normal(0.0, wild, len(start))) * close
    table = np.vstack((opens, np.maximum(opens, close) + reach, np.minimum(opens, close) - reach, close))
    return build_columns(SBIN, start, np.vstack((table, np.full(len(start), 1000.0))), "made")


def both(spec: Spec) -> tuple[RunResult, RunResult, list[Any], list[Any]]:
    found = []
    for quick in (True, False):
        _SEEN.clear()
        found.append((run(replace(spec, quick=quick)), list(_SEEN)))
    (quickly, seen), (slowly, wanted) = found
    return quickly, slowly, seen, wanted


@settings(max_examples=examples(10), deadline=None)
@given(
    seed=st.integers(0, 10_000),
    wild=st.sampled_from((0.0004, 0.003, 0.012)),
    late=st.sampled_from((0, 1, 20, 60)),
    often=st.sampled_from((0.03, 0.1, 0.3)),
    odd=st.sampled_from((0.0, 0.0, 0.2)),
    product=st.sampled_from((Product.CNC, Product.MIS)),
    stop=st.sampled_from((StopPlan.NONE, StopPlan.BROKER)),
    share=st.sampled_from((0.002, 0.01, 0.05)),
    lots=st.sampled_from((1, 3, 7)),
    slips=st.sampled_from((SlippageTicks(0), SlippageTicks(2), SlippageFraction(0.0007))),
    capital=st.sampled_from((1_000_000.0, 9_000.0)),
)
def test_quick_trips_are_those_of_the_machines(
    seed: int, wild: float, late: int, often: float, odd: float, product: Product, stop: StopPlan, share: float,
    lots: int, slips: Any, capital: float,
) -> None:  # fmt: skip
    spec = spec_of(
        Fickle, bars_like(seed, wild, late, 2), direction=Direction.LONG, short=None, product=product, stop=stop,
        stop_loss_pct=share, lots=lots, models=Models(slippage=slips), fees=fees(), capital=capital,
        parameters={"seed": seed, "often": often, "odd": odd},
    )  # fmt: skip
    quickly, slowly, seen, wanted = both(spec)
    assert quickly.ledger.fills == slowly.ledger.fills
    assert quickly.ledger.trades == slowly.ledger.trades
    assert quickly.ledger.events == slowly.ledger.events
    assert seen == wanted
    assert quickly.fault == slowly.fault


@settings(max_examples=examples(10), deadline=None)
@given(
    seed=st.integers(0, 10_000),
    wild=st.sampled_from((0.0004, 0.003)),
    often=st.sampled_from((0.1, 0.3, 0.6)),
    share=st.sampled_from((0.002, 0.01)),
    profit=st.sampled_from((0.0, 0.004)),
)
def test_stop_that_risk_holds_makes_the_trips_of_one_at_the_broker(
    seed: int, wild: float, often: float, share: float, profit: float
) -> None:
    """Reversals, exits and entries again at random, with a target too: each position has the stop of its own entry."""
    spec = spec_of(
        Fickle, bars_like(seed, wild, 0, 2), stop=StopPlan.ENGINE, stop_loss_pct=share, take_profit_pct=profit,
        parameters={"seed": seed, "often": often},
    )  # fmt: skip
    held, plainly = run(spec).ledger, run(replace(spec, plain=True)).ledger
    resting = run(replace(spec, run=msgspec.structs.replace(spec.run, stop=StopPlan.BROKER))).ledger
    assert held.trades == plainly.trades == resting.trades
