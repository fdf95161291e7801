"""The lean engine makes every run as the machines make it: fills, trades, events, and what the strategy sees."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date, time
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mytrading.backtest.data.columns import Columns, build_columns
from mytrading.backtest.engine.assumptions import Models, SlippageFraction, SlippageTicks
from mytrading.backtest.run import LEAN, RunResult, Spec, run
from mytrading.core.time import MINUTE, to_ns
from mytrading.messages.enums import Product
from mytrading.messages.exit_rules import LevelKind, LevelRule, StrategyRules, TrailKind, TrailRule
from mytrading.messages.run_config import Direction, StopPlan
from mytrading.strategies import Bar, BaseStrategy, Signal
from tests.kit.backtest_specs import LIMITS, SBIN, fees, spec_of, without_rupee_limits
from tests.kit.hypothesis_budget import examples

DAYS = (date(2024, 3, 13), date(2024, 3, 14), date(2024, 3, 15))
OPEN, CLOSE = time(9, 15), time(15, 30)
COUNT = int(os.environ.get("ENGINES_EXAMPLES") or examples(200))
INDEX = "NSE_INDEX:NIFTY"
_SEEN: list[tuple[int, Any, Any, int, str]] = []


class Fickle(BaseStrategy):
    """Signals at random, and writes down what it holds at every bar."""

    seed: int = 0
    often: float = 0.1
    odd: float = 0.0
    shorts: bool = True
    again: bool = False
    keeps: bool = False

    def initialize(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self.last = "EXIT"

    def on_data(self, data: Bar) -> Signal | None:
        _SEEN.append((data.end_ns, self.position, self.pending, self._workspace.last_fill_ns, self.time_of_day))
        draw, kind, odd, level = self.random.random(4)
        if self.keeps:
            self.memory["bars"] = len(_SEEN)
        if draw > self.often:
            if self.again and level < 0.8 and self.last in ("BUY", "SELL"):
                return self.create_signal(self.last)
            self.last = self.last if level < 0.9 else "EXIT"
            return None
        action = ("BUY", "EXIT", "SELL" if self.shorts else "EXIT", "HOLD", "BUY", "SELL")[int(kind * 6)]
        self.last = action
        away = (1 if action == "BUY" else -1) * (0.001 + 0.02 * level) * data.close
        if odd < self.odd and action in ("BUY", "SELL"):
            tick = 0.05
            target = round(round((data.close + away) / tick) * tick, 2) if odd < self.odd / 2 else 0.0
            return self.create_signal(action, stop_price=round(data.close - away, 1), target_price=target)
        return self.create_signal(action)


def bars_like(seed: int, wild: float, late: int, every: int, name: str = SBIN) -> Columns:
    """Some minutes of some days: the first and the last of each, with holes between."""
    random = np.random.default_rng(seed)
    starts = []
    for day in DAYS:
        first, last = to_ns(day, OPEN), to_ns(day, CLOSE) - (late if random.random() < 0.3 else 0) * MINUTE
        minutes = np.arange(first, last, MINUTE)
        keep = np.ones(len(minutes), dtype=bool)
        keep[20:-25] = False
        keep &= (np.arange(len(minutes)) % every == 0) | (random.random(len(minutes)) < (0.7 if every > 1 else 1.0))
        starts.append(minutes[keep])
    start = np.concatenate(starts)
    close = np.round(500.0 * np.exp(np.cumsum(random.normal(0.0, wild, len(start)))) / 0.05) * 0.05
    before = np.concatenate((close[:1], close[:-1]))
    opens = np.round(before * (1 + random.normal(0.0, wild / 2, len(start))) / 0.05) * 0.05
    reach = np.abs(random.normal(0.0, wild, len(start))) * close
    table = np.vstack((opens, np.maximum(opens, close) + reach, np.minimum(opens, close) - reach, close))
    return build_columns(name, start, np.vstack((table, np.full(len(start), 1000.0))), "made")


def assert_same(spec: Spec) -> RunResult:
    """Run by both, compare all that a reader or the strategy can see, and return the lean result."""
    found = []
    for lean in (True, False):
        _SEEN.clear()
        found.append((run(replace(spec, lean=lean)), list(_SEEN)))
    (quick, seen), (slow, wanted) = found
    assert slow.engine != LEAN
    assert quick.ledger.fills == slow.ledger.fills
    assert quick.ledger.trades == slow.ledger.trades
    assert quick.ledger.exit_words == slow.ledger.exit_words
    assert quick.ledger.events == slow.ledger.events
    assert quick.ledger.counts == slow.ledger.counts
    assert quick.fault == slow.fault
    assert quick.curve.equity.tolist() == slow.curve.equity.tolist()
    if quick.engine == LEAN:
        assert seen == wanted
    else:
        assert seen[-len(wanted) :] == wanted
    return quick


LEVELS = st.sampled_from((0.0, 0.002, 0.01))
AMOUNTS = st.sampled_from((0.0, 0.0, 2.0, 7.0))


@settings(max_examples=COUNT, deadline=None)
@given(
    seed=st.integers(0, 1_000_000),
    wild=st.sampled_from((0.0004, 0.003, 0.012)),
    holes=st.sampled_from(((0, 1), (0, 1), (0, 2), (1, 1), (20, 2), (60, 1))),
    often=st.sampled_from((0.03, 0.1, 0.3)),
    odd=st.sampled_from((0.0, 0.3)),
    again=st.booleans(),
    keeps=st.booleans(),
    direction=st.sampled_from(list(Direction)),
    product=st.sampled_from((Product.CNC, Product.MIS, Product.MIS)),
    stop=st.sampled_from(list(StopPlan)),
    share=st.sampled_from((0.002, 0.01, 0.05)),
    profit=LEVELS,
    lots=st.sampled_from((1, 3, 7)),
    slips=st.sampled_from((SlippageTicks(0), SlippageTicks(2), SlippageFraction(0.0007))),
    capital=st.sampled_from((1_000_000.0, 1_000_000.0, 9_000.0)),
    name=st.sampled_from((SBIN, INDEX)),
    loss=AMOUNTS,
    gain=AMOUNTS,
    trail=st.sampled_from((TrailRule(), TrailRule(kind=TrailKind.AMOUNT, value=2.0, activation=1.0),
                           TrailRule(kind=TrailKind.POINTS, value=0.5, from_entry=True),
                           TrailRule(kind=TrailKind.PERCENTAGE, value=40.0, activation=0.5))),
    leg_loss=st.sampled_from((LevelRule(), LevelRule(value=0.3), LevelRule(kind=LevelKind.POINTS, value=1.03))),
    exits=st.sampled_from((True, True, False)),
    edges=st.sampled_from(((0, 0), (5, 15))),
    frame=st.sampled_from(("1m", "1m", "5m")),
)  # fmt: skip
def test_lean_run_is_that_of_the_machines(
    seed: int, wild: float, holes: tuple[int, int], often: float, odd: float, again: bool, keeps: bool,
    direction: Direction, product: Product, stop: StopPlan, share: float, profit: float, lots: int, slips: Any,
    capital: float, name: str, loss: float, gain: float, trail: TrailRule, leg_loss: LevelRule, exits: bool,
    edges: tuple[int, int], frame: str,
) -> None:  # fmt: skip
    many = 50.0 if name == INDEX else float(lots)
    rules = StrategyRules(
        max_loss=loss * many, max_profit=gain * many, leg_stop_loss=leg_loss, auto_exit=exits,
        trailing=msgspec.structs.replace(trail, activation=trail.activation * many),
    )  # fmt: skip
    limits = msgspec.structs.replace(
        without_rupee_limits(LIMITS), trailing_stop_enabled=True, avoid_first_minutes=edges[0],
        avoid_last_minutes=edges[1],
    )  # fmt: skip
    spec = spec_of(
        Fickle, bars_like(seed, wild, *holes, name), direction=direction, product=product, stop=stop, limits=limits,
        stop_loss_pct=share, take_profit_pct=profit, lots=lots, models=Models(slippage=slips), fees=fees(),
        capital=capital, rules=rules, timeframes=(frame,),
        parameters={"seed": seed, "often": often, "odd": odd, "again": again, "keeps": keeps},
    )  # fmt: skip
    assert_same(spec)


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
        parameters={"seed": seed, "often": often}, lean=False,
    )  # fmt: skip
    held, plainly = run(spec).ledger, run(replace(spec, plain=True)).ledger
    resting = run(replace(spec, run=msgspec.structs.replace(spec.run, stop=StopPlan.BROKER))).ledger
    assert held.trades == plainly.trades == resting.trades
