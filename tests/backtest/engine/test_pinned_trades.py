"""Trades of strategies over generated days, pinned: a hash that moves is a change of what strategies do."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from mytrading.backtest.engine.assumptions import Models, SlippageTicks
from mytrading.backtest.run import run
from mytrading.messages.enums import Product
from mytrading.messages.run_config import StopPlan
from tests.kit.backtest_specs import Cross, bars_of, begin_of, fees, shipped, spec_of

STOP: dict[str, Any] = {"stop": StopPlan.BROKER, "stop_loss_pct": 0.004}
ENGINE: dict[str, Any] = {"stop": StopPlan.ENGINE, "stop_loss_pct": 0.003}
DELIVERY: dict[str, Any] = {"product": Product.CNC, "short": None}
SLIPS: dict[str, Any] = {"models": Models(slippage=SlippageTicks(2))}
GOLDENS: dict[str, tuple[str, str, dict[str, Any], int, str]] = {
    "sma_crossover trend plain": ("sma_crossover", "trend", {}, 24, "7063af781fc60cc8"),
    "sma_crossover range stop": ("sma_crossover", "range", STOP, 52, "b07442caa5081247"),
    "sma_crossover wild stop": ("sma_crossover", "wild", STOP, 55, "c14477d2893060da"),
    "sma_crossover gaps engine": ("sma_crossover", "gaps", ENGINE, 40, "5749978348f9b427"),
    "sma_crossover wild 5m": ("sma_crossover", "wild", {"timeframes": ("5m",)}, 9, "8d14353d4aadad1f"),
    "rsi_mean_reversion trend stop": ("rsi_mean_reversion", "trend", STOP, 31, "659bc28db93dfb3a"),
    "rsi_mean_reversion range plain": ("rsi_mean_reversion", "range", {}, 20, "0b89b6121b990dd8"),
    "rsi_mean_reversion wild engine": ("rsi_mean_reversion", "wild", ENGINE, 47, "a94480e489459742"),
    "rsi_mean_reversion gaps delivery": ("rsi_mean_reversion", "gaps", DELIVERY, 5, "e23861e33722e473"),
    "cross trend slips": ("cross", "trend", SLIPS, 111, "ab75fec0f30abdf2"),
    "cross range engine": ("cross", "range", ENGINE, 131, "3ffc4e8704489246"),
    "cross wild stop": ("cross", "wild", STOP, 147, "92f5d40bbcdeaffa"),
    "cross gaps delivery": ("cross", "gaps", DELIVERY, 67, "94410aeae0a6da46"),
}


@pytest.mark.parametrize("key", sorted(GOLDENS))
def test_trades_of_strategy_and_data_are_the_pinned_ones(key: str) -> None:
    strategy, temper, given, trades, wanted = GOLDENS[key]
    cls = Cross if strategy == "cross" else shipped(strategy)
    result = run(spec_of(cls, bars_of(temper), fees=fees(), **given))
    assert (len(result.ledger.trades), result.ledger.trade_hash()) == (trades, wanted)


@pytest.mark.parametrize(("share", "spent"), [(0.001, 20), (0.004, 0)])
@pytest.mark.parametrize("temper", ["wild", "gaps"])
def test_stop_that_risk_holds_trades_as_one_at_the_broker_through_many_reversals(
    temper: str, share: float, spent: int
) -> None:
    """At one level both fill there, or at the open beyond it; a level of the side before would end what is new."""
    data, given = begin_of(bars_of(temper), 750), {"stop_loss_pct": share, "parameters": {"fast": 3, "slow": 8}}
    held, resting = (run(spec_of(Cross, data, stop=stop, **given)) for stop in (StopPlan.ENGINE, StopPlan.BROKER))
    trades = held.ledger.trades
    assert trades == resting.ledger.trades
    assert held.ledger.counts == resting.ledger.counts
    turns = sum(one.exit_ns == two.entry_ns for one, two in pairwise(trades))
    assert len(trades) > 60 and turns > 20
    assert held.ledger.counts["SIGNAL_SPENT"] >= spent, "some were stopped out"
