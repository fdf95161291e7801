"""Costs, metrics, greeks and volatilities against other calculations of the same on shipped data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, time
from functools import cache

import numpy as np
import pytest

from mytrading.backtest.results.output import metrics
from mytrading.backtest.run import RunResult, run
from mytrading.backtest.search.trials import Trial, deflated_sharpe, evaluate
from mytrading.core.instruments.contract_specs import make_derivative, make_spot
from mytrading.core.options import black76
from mytrading.core.time import to_ns
from mytrading.messages.enums import Product
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.run_config import StopPlan
from tests.kit.backtest_specs import bars_of, facts, fees, load_once, spec_of
from tests.kit.channel_strategies import NIFTY, PERIOD, STOP, Donchian
from tests.kit.plain_market import (
    RATES,
    PlainTrip,
    black,
    deflated_sharpe_ratio,
    donchian,
    execution_cost,
    implied_by_bisection,
    plain_trips,
    read_minutes,
    return_statistics,
)
from tests.kit.project import ROOT

PAISA, CAPITAL, TICK = 0.01, 1_000_000.0, 0.05
LOT_OF_NIFTY = 50
"""In February 2024."""


@cache
def traded(name: str, lots: int) -> RunResult:
    """Donchian with a broker stop over a shipped file, with costs."""
    data = load_once(ROOT / "tests" / "data" / "index-1m.csv.gz", NIFTY) if name == "index-1m" else bars_of(name[5:])
    return run(spec_of(Donchian, data, fees=fees(), stop=StopPlan.BROKER, stop_loss_pct=STOP, lots=lots))


def costs_of(trip: PlainTrip, units: int, rates: str) -> float:
    sides = ((trip.side, trip.entry), (-trip.side, trip.exit))
    return sum(execution_cost(RATES[rates], side * units, price) for side, price in sides)


@pytest.mark.parametrize(
    ("name", "lots", "units", "rates"),
    [
        ("bars-wild", 7, 7, "intraday, March 2024"),
        ("bars-trend", 500, 500, "intraday, March 2024"),
        ("index-1m", 2, 2 * LOT_OF_NIFTY, "future, February 2024"),
    ],
)
def test_costs_of_each_trip_are_those_of_another_rate_table_to_a_paisa(
    name: str, lots: int, units: int, rates: str
) -> None:
    bars = read_minutes(name)
    trips, trades = plain_trips(bars, donchian(bars, PERIOD), STOP), traded(name, lots).ledger.trades
    assert len(trades) == len(trips) > 15
    for trade, trip in zip(trades, trips, strict=True):
        assert trade.quantity == units
        assert trade.costs == pytest.approx(costs_of(trip, units, rates), abs=PAISA)


def listed(kind: InstrumentKind, day: date) -> Instrument:
    if kind is InstrumentKind.EQ:
        return make_spot("SBIN", facts().underlyings["SBIN"])
    expiry = date(day.year, day.month, 28)
    return make_derivative("NIFTY", facts().underlyings["NIFTY"], kind, expiry, 26_000.0, day)


@pytest.mark.parametrize(
    ("rates", "kind", "day", "product"),
    [
        ("delivery, 2026", InstrumentKind.EQ, date(2026, 1, 6), Product.CNC),
        ("future, January 2026", InstrumentKind.FUT, date(2026, 1, 6), Product.NRML),
        ("future, May 2026", InstrumentKind.FUT, date(2026, 5, 6), Product.NRML),
        ("option, February 2024", InstrumentKind.CE, date(2024, 2, 6), Product.NRML),
        ("option, January 2026", InstrumentKind.PE, date(2026, 1, 6), Product.MIS),
        ("option, May 2026", InstrumentKind.CE, date(2026, 5, 6), Product.MIS),
    ],
)
def test_execution_costs_what_another_rate_table_says_to_a_paisa(
    rates: str, kind: InstrumentKind, day: date, product: Product
) -> None:
    contract, at_ns = listed(kind, day), to_ns(day, time(11))
    for units, price in ((65, 101.35), (-65, 101.35), (-1950, 0.05), (650, 26_178.7), (-13_000, 417.7)):
        charged = sum(fees().fill_charges(contract, product, units, price, at_ns))
        assert charged == pytest.approx(execution_cost(RATES[rates], units, price), abs=PAISA)


# metrics


def own_equity(name: str, units: int, rates: str) -> tuple[list[float], list[float]]:
    """Equity at the close of each bar and of each day, from trips, prices and rates alone."""
    bars = read_minutes(name)
    trips = plain_trips(bars, donchian(bars, PERIOD), STOP)
    changes: dict[int, float] = {}
    for trip in trips:
        entry, leaving = (trip.side, trip.entry), (-trip.side, trip.exit)
        for number, (side, price) in ((trip.began, entry), (trip.ended, leaving)):
            changes[number] = changes.get(number, 0.0) - execution_cost(RATES[rates], side * units, price)
        changes[trip.ended] += (trip.exit - trip.entry) * trip.side * units
    held = {number: trip for trip in trips for number in range(trip.began, trip.ended)}
    cash, by_bar, by_day = CAPITAL, [], dict[str, float]()
    for number, bar in enumerate(bars):
        cash += changes.get(number, 0.0)
        trip = held.get(number)
        by_bar.append(cash + ((bar.close - trip.entry) * trip.side * units if trip is not None else 0.0))
        by_day[bar.day] = by_bar[-1]
    return by_bar, list(by_day.values())


def own_returns(days: Sequence[float]) -> list[float]:
    return [after / before - 1 for before, after in zip([CAPITAL, *days[:-1]], days, strict=True)]


@pytest.mark.parametrize(
    ("name", "lots", "units", "rates"),
    [
        ("bars-wild", 500, 500, "intraday, March 2024"),
        ("bars-range", 500, 500, "intraday, March 2024"),
        ("index-1m", 2, 2 * LOT_OF_NIFTY, "future, February 2024"),
    ],
)
def test_metrics_are_those_of_their_definitions_on_equity_counted_apart(
    name: str, lots: int, units: int, rates: str
) -> None:
    by_bar, by_day = own_equity(name, units, rates)
    result = traded(name, lots)
    found, own = metrics(result), return_statistics(own_returns(by_day))
    assert result.curve.equity.tolist() == pytest.approx(by_bar, abs=PAISA)
    for key, value in own.items():
        assert found[key] == pytest.approx(value, rel=1e-6, abs=1e-9), key
    peak, deepest = CAPITAL, 0.0
    for one in by_bar:
        peak = max(peak, one)
        deepest = min(deepest, one / peak - 1)
    assert found["max_drawdown_bars"] == pytest.approx(deepest, rel=1e-6)
    net = [trade.gross - trade.costs for trade in result.ledger.trades]
    wins, losses = [one for one in net if one > 0], [one for one in net if one < 0]
    assert found["win_rate"] == pytest.approx(len(wins) / len(net), rel=1e-6)
    assert found["profit_factor"] == pytest.approx(math.fsum(wins) / -math.fsum(losses), rel=1e-6)
    assert found["average_trade"] == pytest.approx(math.fsum(net) / len(net), rel=1e-6)


def test_deflated_sharpe_ratio_is_that_of_its_paper_over_a_search() -> None:
    data = load_once(ROOT / "tests" / "data" / "index-1m.csv.gz", NIFTY)
    spec = spec_of(Donchian, data, fees=fees())
    trials = [evaluate(spec, number, {"period": period}, "sharpe", 1) for number, period in enumerate(range(10, 60, 5))]
    best = max(trials, key=lambda trial: trial.objective)
    assert all(trial.has_value for trial in trials)
    own = deflated_sharpe_ratio(best.returns, [by_period(trial) for trial in trials])
    assert deflated_sharpe(best, trials).probability == pytest.approx(own, abs=1e-6)
    assert 0.0 < own < 1.0


def by_period(trial: Trial) -> float:
    return return_statistics(trial.returns)["sharpe"] / math.sqrt(252)


# options

LADDER = [(22_000.0 * math.exp(move), right) for move in (-0.3, -0.1, -0.03, -0.004, 0.0, 0.01, 0.05, 0.2)
          for right in (True, False)]  # fmt: skip


@pytest.mark.parametrize("years", [0.25 / 365, 1 / 365, 7 / 365, 30 / 365, 1.5])
@pytest.mark.parametrize("volatility", [0.05, 0.14, 0.8])
def test_greeks_are_those_of_the_textbook(years: float, volatility: float) -> None:
    strikes = np.array([strike for strike, _ in LADDER])
    calls = np.array([right for _, right in LADDER])
    rate, forward = 0.065, 22_000.0
    ours = black76.greeks(forward, strikes, years, np.full(len(LADDER), volatility), rate, calls)
    prices = black76.prices(forward, strikes, years, volatility, rate, calls)
    for number, (strike, call) in enumerate(LADDER):
        own = black(forward, strike, years, volatility, rate, call)
        if own.premium < TICK:
            continue
        assert prices[number] == pytest.approx(own.premium, rel=1e-9, abs=1e-9)
        found = [column[number] * unit for column, unit in zip(ours, (1, 1, 365, 100, 100), strict=True)]
        assert found == pytest.approx(own[1:], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("years", [0.25 / 365, 1 / 365, 7 / 365, 30 / 365, 1.5])
@pytest.mark.parametrize("volatility", [0.05, 0.14, 0.8])
def test_volatility_of_a_premium_is_found_again_where_its_time_value_is_a_tick(years: float, volatility: float) -> None:
    rate, forward, tried = 0.065, 22_000.0, 0
    for strike, call in LADDER:
        premium = black(forward, strike, years, volatility, rate, call).premium
        intrinsic = max((forward - strike) * (1 if call else -1), 0.0) * math.exp(-rate * years)
        if premium - intrinsic < TICK:
            continue
        tried += 1
        found, reason = black76.implied_one(premium, forward, strike, years, rate, call)
        assert reason == 0
        assert found == pytest.approx(volatility, abs=1e-9)
    assert tried >= 2


def test_volatilities_of_recorded_premiums_are_those_of_a_bisection() -> None:
    strikes, premiums, calls = (np.array(column) for column in zip(*RECORDED, strict=True))
    forward, years, rate = 22_512.65 * math.exp(0.065 / 365), 1 / 365, 0.065
    ours, reasons = black76.implied_volatilities(
        premiums, forward, strikes.astype(float), years, rate, calls.astype(bool)
    )
    tried = 0
    for number, (strike, premium, call) in enumerate(RECORDED):
        intrinsic = max((forward - strike) * (1 if call else -1), 0.0) * math.exp(-rate * years)
        if premium - intrinsic < TICK:
            assert reasons[number] != 0 or premium > intrinsic
            continue
        tried += 1
        own = implied_by_bisection(premium, forward, strike, years, rate, call)
        assert ours[number] == pytest.approx(own, abs=1e-9)
    assert tried >= 20


RECORDED = [
    (22_300, 332.35, True), (22_350, 296.0, True), (22_400, 263.5, True), (22_450, 230.85, True),
    (22_500, 203.2, True), (22_550, 179.35, True), (22_600, 155.35, True), (22_650, 134.15, True),
    (22_700, 112.9, True), (22_750, 96.25, True), (22_800, 81.65, True), (22_900, 58.2, True), (23_000, 41.35, True),
    (22_300, 121.45, False), (22_350, 137.2, False), (22_400, 154.45, False), (22_450, 174.3, False),
    (22_500, 195.0, False), (22_550, 215.2, False), (22_600, 239.5, False), (22_650, 268.3, False),
    (22_700, 300.15, False), (22_800, 368.55, False), (22_900, 446.95, False), (23_000, 530.3, False),
]  # fmt: skip
"""Strike, closing premium and right of NIFTY options on 23 March 2026, a day before they expired."""
