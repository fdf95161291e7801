"""Equity over time: capital, what the fills moved, and what is held at the close."""

from __future__ import annotations

from datetime import time

import pytest

from mytrading.backtest.engine.ledger import Fill, curve_of
from mytrading.backtest.results.output import metrics, summary
from mytrading.backtest.run import run
from mytrading.core.time import MINUTE, to_ns
from tests.kit.backtest_specs import DAY, Cross, Script, bars, bars_of, fees, spec_of

BEGIN = to_ns(DAY, time(10, 0))
COLUMNS = bars([(100.0, 101.0, 99.0, 100.0), (100.0, 103.0, 100.0, 102.0), (102.0, 105.0, 101.0, 104.0)])


def test_curve_counts_a_fill_in_the_bar_that_it_came_in() -> None:
    fills = [
        Fill(BEGIN + MINUTE, "NSE:SBIN", "s", 10, 100.0, 5.0),
        Fill(BEGIN + 2 * MINUTE, "NSE:SBIN", "s", -10, 102.0, 5.0),
    ]
    curve = curve_of(1000.0, [COLUMNS], fills)
    assert curve.equity.tolist() == [1000.0, 1000.0 + 20.0 - 5.0, 1000.0 + 20.0 - 10.0]
    assert curve.exposure.tolist() == [0.0, 1020.0, 0.0]


def test_curve_of_two_instruments_values_each_at_its_own_last_close() -> None:
    other = bars([(50.0, 50.0, 50.0, 50.0)], instrument="NSE:INFY")
    fills = [Fill(BEGIN, "NSE:INFY", "s", 2, 50.0, 0.0), Fill(BEGIN, "NSE:SBIN", "s", 1, 100.0, 0.0)]
    curve = curve_of(1000.0, [COLUMNS, other], fills)
    assert curve.equity.tolist() == [1000.0, 1002.0, 1004.0]


def test_profit_of_the_curve_equals_that_of_the_round_trips() -> None:
    result = run(spec_of(Cross, bars_of("trend"), fees=fees()))
    net = sum(trade.net for trade in result.ledger.trades)
    body = summary(result)
    assert body["open"] == {}
    assert body["pnl"]["net"] == pytest.approx(net, abs=0.02)
    assert body["pnl"]["gross"] - body["costs"] == pytest.approx(body["pnl"]["net"], abs=0.011)


def test_metrics_of_a_run_without_trades_have_no_ratios_and_no_exposure() -> None:
    found = metrics(run(spec_of(Script, COLUMNS)))
    assert found["exposure"] == 0.0
    assert found["win_rate"] != found["win_rate"]
