"""Trades of strategies over generated days, pinned: a hash that moves is a change of what strategies do."""

from __future__ import annotations

from typing import Any

import pytest

from mytrading.backtest.models import Models, SlippageTicks
from mytrading.backtest.runner import run
from mytrading.messages.enums import Product
from mytrading.messages.runconfig import StopPlan
from tests.backtest_support import Cross, bars_of, fees, shipped, spec_of

STOP: dict[str, Any] = {"stop": StopPlan.BROKER, "stop_loss": 0.004}
ENGINE: dict[str, Any] = {"stop": StopPlan.ENGINE, "stop_loss": 0.003}
DELIVERY: dict[str, Any] = {"product": Product.CNC, "short": None}
SLIPS: dict[str, Any] = {"models": Models(slippage=SlippageTicks(2))}
GOLDENS: dict[str, tuple[str, str, dict[str, Any], int, str]] = {
    "sma_crossover trend plain": ("sma_crossover", "trend", {}, 24, "7063af781fc60cc8"),
    "sma_crossover range stop": ("sma_crossover", "range", STOP, 52, "b07442caa5081247"),
    "sma_crossover wild stop": ("sma_crossover", "wild", STOP, 55, "c14477d2893060da"),
    "sma_crossover gaps engine": ("sma_crossover", "gaps", ENGINE, 40, "469413bc4e32b1b4"),
    "sma_crossover wild 5m": ("sma_crossover", "wild", {"timeframes": ("5m",)}, 9, "8d14353d4aadad1f"),
    "rsi_mean_reversion trend stop": ("rsi_mean_reversion", "trend", STOP, 31, "659bc28db93dfb3a"),
    "rsi_mean_reversion range plain": ("rsi_mean_reversion", "range", {}, 20, "0b89b6121b990dd8"),
    "rsi_mean_reversion wild engine": ("rsi_mean_reversion", "wild", ENGINE, 49, "20a8a2d8c984cf38"),
    "rsi_mean_reversion gaps delivery": ("rsi_mean_reversion", "gaps", DELIVERY, 5, "e23861e33722e473"),
    "cross trend slips": ("cross", "trend", SLIPS, 111, "ab75fec0f30abdf2"),
    "cross range engine": ("cross", "range", ENGINE, 131, "c949c115c5d7e5d2"),
    "cross wild stop": ("cross", "wild", STOP, 147, "92f5d40bbcdeaffa"),
    "cross gaps delivery": ("cross", "gaps", DELIVERY, 67, "94410aeae0a6da46"),
}


@pytest.mark.parametrize("key", sorted(GOLDENS))
def test_trades_of_strategy_and_data_are_the_pinned_ones(key: str) -> None:
    strategy, temper, given, trades, wanted = GOLDENS[key]
    cls = Cross if strategy == "cross" else shipped(strategy)
    result = run(spec_of(cls, bars_of(temper), fees=fees(), **given))
    assert (len(result.ledger.trades), result.ledger.hash()) == (trades, wanted)
