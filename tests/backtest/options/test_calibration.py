"""Option prices off the underlying against recorded ones: expiry days, the stated error of each day, honest spreads."""

from __future__ import annotations

import atexit
import dataclasses
import shutil
import tempfile
from datetime import date, time
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mytrading.adapters.nse.bhavcopy import BhavRow, read_bhavcopy
from mytrading.backtest.data.columns import Columns
from mytrading.backtest.options.calibration import calibration_errors, describe, summarize
from mytrading.backtest.options.files import OptionRecords, read_sources
from mytrading.backtest.options.loop import LegTape
from mytrading.backtest.options.market import CALIBRATED, ListedDay, OptionMarket, OptionTerms, shared_market
from mytrading.backtest.results.output import option_price_sources, option_prices_text
from mytrading.backtest.results.report import option_tables
from mytrading.backtest.run import run
from mytrading.core.options.surface import Shape
from mytrading.core.time import to_ns
from mytrading.messages.instruments import Instrument, InstrumentKind
from tests.kit.backtest_specs import calendar, facts
from tests.kit.option_runs import NIFTY, bars, option, straddle

RIGHTS = (InstrumentKind.CE, InstrumentKind.PE)
BEFORE, EXPIRY = date(2026, 3, 23), date(2026, 3, 24)
BAND = (0.8, 1.3)
"""Modelled over recorded straddle at the open of an expiry day; docs/options-backtest.md states it."""
FLAT = Shape(skew=0.0, smile=0.0, near=0.0, carry=0.0, rate=0.0)


SPOTS = {BEFORE: 22_512.65, EXPIRY: 22_912.40}
RECORDED = {
    BEFORE: {
        22_300: (550.05, 332.35, 60.0, 121.45),
        22_350: (456.55, 296.0, 65.9, 137.2),
        22_400: (437.0, 263.5, 75.0, 154.45),
        22_450: (450.0, 230.85, 78.8, 174.3),
        22_500: (400.05, 203.2, 99.9, 195.0),
        22_550: (336.85, 179.35, 113.0, 215.2),
        22_600: (392.9, 155.35, 98.85, 239.5),
        22_650: (319.35, 134.15, 134.95, 268.3),
        22_700: (250.0, 112.9, 129.8, 300.15),
        22_750: (283.0, 96.25, 150.0, 332.0),
        22_800: (185.0, 81.65, 162.65, 368.55),
        22_850: (223.0, 68.85, 210.0, 402.75),
        22_900: (196.95, 58.2, 240.0, 446.95),
        22_950: (173.0, 49.55, 290.0, 487.9),
        23_000: (150.0, 41.35, 290.0, 530.3),
    },
    EXPIRY: {
        22_300: (557.3, 605.0, 19.0, 0.15),
        22_350: (545.2, 558.25, 17.2, 0.15),
        22_400: (400.0, 509.3, 15.0, 0.15),
        22_450: (399.0, 456.55, 10.45, 0.15),
        22_500: (394.4, 406.7, 21.1, 0.15),
        22_550: (290.0, 355.5, 45.6, 0.15),
        22_600: (240.0, 306.15, 84.0, 0.15),
        22_650: (201.0, 255.25, 96.65, 0.2),
        22_700: (166.6, 205.55, 124.0, 0.25),
        22_750: (150.0, 154.85, 121.0, 0.4),
        22_800: (121.05, 105.4, 150.3, 0.75),
        22_850: (92.05, 57.05, 182.2, 1.85),
        22_900: (95.0, 14.05, 200.0, 5.25),
        22_950: (67.2, 1.55, 201.05, 42.3),
        23_000: (52.55, 0.7, 201.0, 93.25),
    },
}
"""NIFTY options that expired on 2026-03-24, as NSE published them: open and close of the call, then of the put."""
COLUMNS = ("TradDt,Sgmt,Src,FinInstrmTp,TckrSymb,XpryDt,StrkPric,OptnTp,OpnPric,HghPric,LwPric,ClsPric,UndrlygPric,"
           "SttlmPric,OpnIntrst,TtlTradgVol,NewBrdLotQty")  # fmt: skip


@cache
def sample(day: date) -> Path:
    """A bhavcopy of the day with the recorded opens and closes; other columns are filled in."""
    lines = [COLUMNS]
    for strike, (*call, put_open, put_close) in RECORDED[day].items():
        for right, first, last in (("CE", *call), ("PE", put_open, put_close)):
            cells = (first, max(first, last), min(first, last), last, SPOTS[day], last, 1000, 1000, 65)
            lines.append(f"{day},FO,NSE,IDO,NIFTY,{EXPIRY},{strike},{right},{','.join(map(str, cells))}")
    path = Path(tempfile.mkdtemp(prefix="bhavcopy")) / f"{day}.csv"
    atexit.register(shutil.rmtree, path.parent)
    path.write_text("\n".join(lines))
    return path


@cache
def recorded(day: date) -> dict[tuple[float, InstrumentKind], BhavRow]:
    return {(row.strike, row.kind): row for row in read_bhavcopy(sample(day)).rows}


def opening_spot() -> float:
    """The index as the first prices of puts and calls have it: the median of strike plus call less put."""
    rows = recorded(EXPIRY)
    calls = [row for row in rows.values() if row.kind is InstrumentKind.CE]
    calls.sort(key=lambda row: abs(row.open - rows[row.strike, InstrumentKind.PE].open))
    return float(np.median([row.strike + row.open - rows[row.strike, InstrumentKind.PE].open for row in calls[:7]]))


@cache
def days() -> Columns:
    """A bar at the open and one before the close of both days; only the first open and the last close are real."""
    at = [(BEFORE, time(9, 15), 0.0), (BEFORE, time(15, 29), 0.0), (EXPIRY, time(9, 15), opening_spot()),
          (EXPIRY, time(15, 29), 0.0)]  # fmt: skip
    prices = np.array([price or SPOTS[day] for day, _, price in at])
    starts = np.array([to_ns(day, moment) for day, moment, _ in at])
    return Columns("NSE_INDEX:NIFTY", "1m", starts, np.vstack([np.tile(prices, (4, 1)), np.zeros(4)]))


@cache
def market() -> OptionMarket:
    about = OptionRecords((days(),), calendar(), facts(), 0.065)
    found = read_sources([str(sample(day)) for day in (BEFORE, EXPIRY)], about)
    return OptionMarket(OptionTerms(days=found.days), (days(),), calendar(), facts())


def listed(strike: float, right: InstrumentKind) -> Instrument:
    return next(one for one in market().contracts_on(EXPIRY) if (one.strike, one.kind) == (strike, right))


def test_straddle_at_the_open_of_an_expiry_day_is_near_the_recorded_one() -> None:
    strike = round(opening_spot() / 50) * 50.0
    ours = sum(price_at_open(strike, right) for right in RIGHTS)
    theirs = sum(recorded(EXPIRY)[strike, right].open for right in RIGHTS)
    assert BAND[0] <= ours / theirs <= BAND[1]


def test_days_that_their_own_bhavcopy_prices_are_called_in_sample() -> None:
    about = OptionRecords((days(),), calendar(), facts(), 0.065)
    found = read_sources([str(sample(day)) for day in (BEFORE, EXPIRY)], about)
    same_day = OptionMarket(OptionTerms(days=found.days, same_day=True), (days(),), calendar(), facts())
    assert [error.in_sample for error in calibration_errors(market())] == [False, False]
    errors = calibration_errors(same_day)
    assert errors[0].in_sample
    summary = summarize(errors)
    assert summary is not None and summary["days"][0]["in_sample"] is True
    assert "of these days are in sample" in describe(summary)


def test_each_days_error_is_stated_and_expiry_days_apart() -> None:
    before, after = calibration_errors(market())
    assert (before.day, before.is_expiry_day, before.calibrated) == (BEFORE, False, False)
    assert (after.day, after.is_expiry_day, after.calibrated) == (EXPIRY, True, True)
    assert after.open is not None
    strike = round(opening_spot() / 50) * 50.0
    ours = {(near, right): price_at_open(near, right) for near in RECORDED[EXPIRY] for right in RIGHTS}
    errors = [abs(price - recorded(EXPIRY)[key].open) for key, price in ours.items()]
    assert after.contracts == len(errors)
    assert after.open.mean == pytest.approx(float(np.mean(errors)), abs=0.01)
    assert after.open.median == pytest.approx(float(np.median(errors)), abs=0.01)
    theirs = sum(recorded(EXPIRY)[strike, right].open for right in RIGHTS)
    ratio = sum(ours[strike, right] for right in RIGHTS) / theirs
    assert after.open.atm_percent == pytest.approx(100 * (ratio - 1), abs=0.01)


def price_at_open(strike: float, right: InstrumentKind) -> float:
    prices = market().prices(listed(strike, right), EXPIRY)
    assert prices is not None
    assert prices.source[0] == CALIBRATED
    return float(prices.columns.table[0, 0])


def test_errors_are_summed_up_by_kind_of_day() -> None:
    found = summarize(calibration_errors(market()))
    assert found is not None
    before, after = calibration_errors(market())
    assert (found["other_days"]["days"], found["expiry_days"]["days"]) == (1, 1)
    assert found["expiry_days"]["close"]["mean"] == after.close.mean
    assert found["other_days"]["close"]["median"] == before.close.median
    assert [day["expiry_day"] for day in found["days"]] == [False, True]
    assert f"₹{after.close.mean:,.2f}" in describe(found)
    assert summarize(()) is None


def test_result_text_and_report_state_the_error_of_a_run_with_bhavcopies() -> None:
    spec = straddle().spec
    assert spec.options is not None
    day = date(2024, 1, 30)
    contract = option(21_700.0, InstrumentKind.CE)
    own = ListedDay(day, "NIFTY", (contract,), {}, float(bars().close[0]), {contract.id: (300.0, 310.0)})
    terms = dataclasses.replace(spec.options, days=(own,))
    result = run(dataclasses.replace(spec, options=terms, data=(spec.data[0].on_day(day),)))
    found = option_price_sources(result)
    assert found is not None
    (row,) = found["calibration"]["days"]
    assert (row["day"], row["contracts"], row["open"]["atm_percent"]) == ("2024-01-30", 1, None)
    assert "on 1 days before expiry" in option_prices_text(found)
    assert "2024-01-30 NIFTY" in str(option_tables(found))
    plain = option_price_sources(straddle())
    assert plain is not None
    assert plain["calibration"] is None
    assert "differ from" not in option_prices_text(plain)


@pytest.mark.parametrize(("strike", "ticks"), [(21_700.0, 2), (22_900.0, 5)])
def test_ask_keeps_its_whole_half_spread_however_cheap_the_option(strike: float, ticks: int) -> None:
    """At the money 2 ticks (`spread_ticks`), and one more for each of at most three deviations (`wing_ticks`)."""
    now = int(bars().start_ns[1])
    spot = float(bars().close[0])
    strike += 50.0 * round((spot - 21_700.0) / 50) if ticks == 2 else 0.0
    contract = option(strike, InstrumentKind.CE)
    moment = OptionMarket(OptionTerms(shape=FLAT, level=0.05), (bars(),), calendar(), facts()).prices_at(
        [contract], now
    )
    price, bid, ask, _ = moment[contract.id]
    assert (price == 0.05) == (ticks == 5)
    assert ask == pytest.approx(price + ticks * 0.05)
    assert bid == pytest.approx(max(price - ticks * 0.05, 0.05))


def test_bought_option_worth_a_tick_fills_at_its_ask() -> None:
    leg = LegTape(option(22_900.0, InstrumentKind.CE), NIFTY)
    leg.open_day(OptionMarket(OptionTerms(shape=FLAT, level=0.05), (bars(),), calendar(), facts()).prices(
        leg.contract, date(2024, 1, 30)
    ))  # fmt: skip
    start = int(leg.columns.start_ns[3])
    assert leg.step(start)
    assert leg.sides(0.05, start) == pytest.approx((0.05, 0.30))


def test_half_of_bid_to_ask_of_a_day_is_the_whole_documented_one_for_options_worth_a_tick() -> None:
    contract = option(22_900.0, InstrumentKind.CE)
    found = OptionMarket(OptionTerms(shape=FLAT, level=0.05), (bars(),), calendar(), facts()).prices(
        contract, date(2024, 1, 30)
    )
    assert found is not None
    assert np.all(found.columns.table[3] == 0.05)
    assert np.all(found.half == pytest.approx((2 + 3) * 0.05))


def test_runs_on_the_same_inputs_share_the_prices_they_have_made() -> None:
    terms, data = OptionTerms(), (bars(),)
    one, same = (shared_market(terms, data, calendar(), facts()) for _ in range(2))
    other = shared_market(OptionTerms(), data, calendar(), facts())
    assert one is same
    assert one is not other
    contract = option(21_700.0, InstrumentKind.CE)
    first = one.prices(contract, date(2024, 1, 30))
    assert first is not None
    assert same.prices(contract, date(2024, 1, 30)) is first
    with pytest.raises(ValueError, match="read-only"):
        first.columns.table[0, 0] = 1.0


def test_legs_of_one_expiry_cost_the_same_together_and_alone() -> None:
    contracts = [option(strike, right) for strike in (21_500.0, 21_700.0, 21_900.0) for right in RIGHTS]
    together, alone = (OptionMarket(OptionTerms(), (bars(),), calendar(), facts()) for _ in range(2))
    for contract, prices in zip(contracts, together.prices_of(contracts, date(2024, 1, 30)), strict=True):
        apart = alone.prices(contract, date(2024, 1, 30))
        assert prices is not None
        assert apart is not None
        assert np.array_equal(prices.columns.table, apart.columns.table)
        assert np.array_equal(prices.half, apart.half)
