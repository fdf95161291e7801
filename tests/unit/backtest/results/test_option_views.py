"""Options of a run: greeks over time and payoffs at entry, beside sums over the legs by the kernel."""

from __future__ import annotations

import math
from datetime import date
from functools import cache

import numpy as np
import pytest

from mytrading.backtest.results.option_views import entry_payoffs, position_greeks, unit_greeks
from mytrading.backtest.results.report import build_report
from mytrading.backtest.results.trade_stats import traded_runs
from mytrading.backtest.run import RunResult, run
from mytrading.backtest.setup.prepare import RunRequest, prepare
from mytrading.core.options.black76 import greeks_one, implied_one
from mytrading.core.time import ist_date
from tests.kit.pages import charts_of, column_of, series_of, tables_of, titles
from tests.kit.project import ROOT

RATE = 0.065
FILE = str(ROOT / "tests" / "data" / "index-1m.csv.gz")


@cache
def straddle() -> RunResult:
    """The shipped straddle over three days of the shipped index, at modelled prices."""
    request = RunRequest("Options_Straddle", (f"NIFTY={FILE}",), date(2024, 1, 29), date(2024, 1, 31), iv="14%")
    return run(prepare(ROOT, request).spec)


def parts(name: str) -> tuple[float, bool]:
    return float(name[-7:-2]), name.endswith("CE")


def test_greeks_are_the_sums_of_the_legs_held_at_that_bar() -> None:
    result = straddle()
    (columns,) = result.spec.data
    found = position_greeks(columns, result, most=200)
    assert found is not None and result.priced is not None
    bars = {one.instrument: one for one in result.priced.columns}
    ends = columns.start_ns + columns.span_ns
    held = np.flatnonzero(np.isfinite(found.delta)).tolist()
    assert len(found.at_ns) - len(held) == len(traded_runs(result.ledger.trades)), "a gap after each run"
    for place in (held[0], held[len(held) // 2], held[-1]):
        at = int(found.at_ns[place])
        spot = float(columns.close[int(np.flatnonzero(ends == at)[0])])
        total = np.zeros(4)
        for name, mine in bars.items():
            units = sum(fill.units for fill in result.ledger.fills if fill.instrument == name and fill.at_ns <= at)
            if not units:
                continue
            strike, call = parts(name)
            expiry = date(2024, 2, 1)
            years = (np.datetime64(f"{expiry}T10:00:00", "ns").astype(np.int64) - at) / (365 * 86_400e9)
            forward = spot * math.exp(RATE * years)
            price = float(mine.close[int(np.flatnonzero(mine.start_ns + mine.span_ns == at)[0])])
            volatility, _ = implied_one(price, forward, strike, years, RATE, call)
            delta, gamma, theta, vega, _ = greeks_one(forward, strike, years, volatility, RATE, call)
            total += units * np.array([delta, gamma, theta / 365, vega / 100])
        got = [found.delta[place], found.gamma[place], found.theta[place], found.vega[place]]
        assert got == pytest.approx(total.tolist(), rel=1e-6)
    assert found.vega[held[0]] < 0 < found.theta[held[0]], "a sold straddle"


def test_option_without_a_volatility_moves_as_far_as_it_is_in_the_money() -> None:
    from mytrading.backtest.results.option_views import HeldContract

    call, put = (HeldContract(f"NFO:X{kind}", kind, 100.0, 0) for kind in ("CE", "PE"))
    assert unit_greeks(call, 1.0, 150.0, 0.1) == (1.0, 0.0, 0.0, 0.0), "below its intrinsic value"
    assert unit_greeks(put, 50.0, 50.0, 0.0) == (-1.0, 0.0, 0.0, 0.0), "at its end"
    assert unit_greeks(call, 0.0, 50.0, -1.0) == (0.0, 0.0, 0.0, 0.0)


def test_payoff_at_entry_is_that_of_the_prices_paid() -> None:
    result = straddle()
    (columns,) = result.spec.data
    runs = traded_runs(result.ledger.trades)
    found = entry_payoffs(columns, result, runs)
    assert len(found) == len(runs) == len({ist_date(one.entry_ns) for one in result.ledger.trades})
    for one in found:
        legs = [trade for trade in one.run.trades if trade.entry_ns <= one.run.opened_ns + 300 * 10**9]
        received = sum(trade.entry_price * trade.quantity * (1 if trade.side == "SELL" else -1) for trade in legs)
        assert -one.bounds.net == pytest.approx(received, abs=1e-6)
        strikes = {parts(trade.instrument)[0] for trade in legs if trade.side == "SELL"}
        units = legs[0].quantity
        if len(strikes) == 1:
            (strike,) = strikes
            assert one.bounds.most == pytest.approx(received, abs=1e-6)
            assert one.bounds.breakevens == (
                pytest.approx(strike - received / units, abs=0.01), pytest.approx(strike + received / units, abs=0.01),
            )  # fmt: skip
        assert (one.bounds.least is None) is all(trade.side == "SELL" for trade in legs)


def test_report_of_options_goes_by_run_and_by_day() -> None:
    result = straddle()
    report = build_report(result, ())
    assert {"Runs", "Greeks while held", "Payoff at entry", "Days"} <= set(titles(report))
    (table,) = tables_of(report, "Runs")
    runs = traded_runs(result.ledger.trades)
    assert column_of(table, "Net") == pytest.approx([one.net for one in runs], abs=0.006)
    assert column_of(table, "Trades") == [len(one.trades) for one in runs]
    (chart,) = charts_of(report, "Payoff at entry")
    best = max(runs, key=lambda one: one.net)
    assert {one.name.split(",")[0] for one in chart.series} == {"newest", "best", "worst"}
    assert any(one.name == f"best, {ist_date(best.opened_ns).isoformat()}" for one in chart.series)
    (greeks,) = charts_of(report, "Greeks while held")
    assert len(series_of(greeks, "theta, ₹ a day").y) > 100
