"""Fills of orders: their bars and prices."""

from __future__ import annotations

from datetime import date, time
from typing import Any

import numpy as np
import pytest

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.engine.assumptions import (
    FillLimits,
    MarketContext,
    Models,
    SlippageFraction,
    SlippageTicks,
    VolumeCap,
)
from mytrading.backtest.engine.venue import BacktestVenue
from mytrading.backtest.run import RunResult, run
from mytrading.core.exchange.model import ExchangeRefusal, OrderRequest
from mytrading.core.time import MINUTE, to_ns
from mytrading.messages.enums import OrderType, Product, Side
from mytrading.messages.run_config import StopPlan
from tests.kit.backtest_specs import DAY, OPEN_NS, Script, bars, calendar, facts, flat, spec_of


def result_of(columns: Columns, plan: str, models: Models | None = None, **given: Any) -> RunResult:
    return run(spec_of(Script, columns, parameters={"plan": plan}, models=models or Models(), **given))


def prices(result: RunResult) -> list[tuple[int, float]]:
    """Signed units and price of each fill."""
    return [(fill.units, round(fill.price, 4)) for fill in result.ledger.fills]


RISING = bars([(100 + n, 100.5 + n, 99.5 + n, 100.25 + n) for n in range(8)])


def test_signal_at_a_close_fills_at_the_next_open() -> None:
    result = result_of(RISING, "1 BUY, 4 EXIT")
    assert prices(result) == [(1, 102.0), (-1, 105.0)]
    assert result.ledger.fills[0].at_ns == OPEN_NS + 2 * MINUTE
    assert result.ledger.trades[0].gross == pytest.approx(3.0)


def test_model_at_close_fills_at_that_close() -> None:
    assert prices(result_of(RISING, "1 BUY, 4 EXIT", Models(at_close=True))) == [(1, 101.25), (-1, 104.25)]


def test_slippage_in_ticks_costs_both_sides() -> None:
    found = result_of(RISING, "1 BUY, 4 EXIT", Models(slippage=SlippageTicks(2)))
    assert prices(found) == [(1, 102.1), (-1, 104.9)]


def test_slippage_as_a_fraction_is_rounded_up_to_a_tick() -> None:
    found = result_of(RISING, "1 BUY, 4 EXIT", Models(slippage=SlippageFraction(0.0001)))
    assert prices(found) == [(1, 102.05), (-1, 104.95)]


def test_latency_meets_the_price_on_the_way_from_open_to_close() -> None:
    found = result_of(RISING, "1 BUY", Models(latency_ns=MINUTE // 5))
    assert prices(found) == [(1, 102.05)]


def test_latency_beyond_a_bar_meets_a_later_bar() -> None:
    found = result_of(RISING, "1 BUY", Models(latency_ns=MINUTE + MINUTE // 5))
    assert prices(found) == [(1, 103.05)]


def test_volume_cap_fills_a_part_a_bar() -> None:
    columns = bars([(100.0, 100.0, 100.0, 100.0, 20.0)] * 8)
    found = result_of(columns, "1 BUY", Models(volume=VolumeCap(0.5)), lots=25)
    assert prices(found) == [(10, 100.0), (10, 100.0), (5, 100.0)]


def test_stop_fills_at_its_trigger_before_the_bar_recovers() -> None:
    columns = bars([*flat(100.0, 3), (100.0, 104.0, 97.0, 103.0), *flat(103.0, 3)])
    found = result_of(columns, "1 BUY/98", stop=StopPlan.BROKER)
    assert prices(found) == [(1, 100.0), (-1, 98.0)]


def test_stop_that_is_gapped_over_fills_at_the_open() -> None:
    columns = bars([*flat(100.0, 3), (97.5, 98.0, 97.0, 97.2), *flat(97.2, 3)])
    found = result_of(columns, "1 BUY/98", stop=StopPlan.BROKER)
    assert prices(found) == [(1, 100.0), (-1, 97.5)]


@pytest.mark.parametrize("plain", [False, True])
def test_stop_whose_limit_is_gapped_over_too_is_closed_at_the_next_open(plain: bool) -> None:
    """It rests beyond its limit and never fills; the exit that takes over is MARKET."""
    columns = bars([*flat(100.0, 3), (90.0, 90.5, 89.5, 90.0), *flat(89.0, 6)])
    found = result_of(columns, "1 BUY/98", stop=StopPlan.BROKER, plain=plain)
    assert prices(found) == [(1, 100.0), (-1, 89.0)]


def test_stop_of_a_sold_position_is_met_on_the_way_up_first() -> None:
    columns = bars([*flat(100.0, 3), (100.0, 103.0, 95.0, 96.0), *flat(96.0, 3)])
    found = result_of(columns, "1 SELL/102", stop=StopPlan.BROKER)
    assert prices(found) == [(-1, 100.0), (1, 102.0)]


def test_stop_held_by_risk_closes_at_its_level() -> None:
    columns = bars([*flat(100.0, 3), (100.0, 104.0, 97.0, 103.0), *flat(103.0, 3)])
    found = result_of(columns, "1 BUY/98", stop=StopPlan.ENGINE)
    assert prices(found) == [(1, 100.0), (-1, 98.0)]


def test_stop_is_in_the_market_within_the_bar_of_the_entry() -> None:
    columns = bars([*flat(100.0, 2), (100.0, 100.5, 97.0, 97.5), *flat(97.5, 3)])
    found = result_of(columns, "1 BUY/98", stop=StopPlan.BROKER)
    assert prices(found) == [(1, 100.0), (-1, 98.0)]


@pytest.mark.parametrize(("ticks", "touch", "beyond"), [(0, [1], [1]), (2, [], [1])])
def test_resting_limit_fills_at_a_touch_or_so_many_ticks_through(
    ticks: int, touch: list[int], beyond: list[int]
) -> None:
    assert resting_limit(ticks, low=98.0) == touch
    assert resting_limit(ticks, low=97.9) == beyond


def resting_limit(ticks: int, low: float) -> list[int]:
    """Filled units of a limit to buy at 98 when the price falls from 100."""
    world = MarketContext(calendar(), facts(), ["NSE:SBIN"])
    world.open_day(DAY)
    venue = BacktestVenue(calendar(), facts(), world.instrument, 1e6, Models(limits=FillLimits(ticks)), "a")
    venue.exchange.advance(OPEN_NS, {}.get, lambda _: 0.0)
    venue.now, venue.moving = OPEN_NS, True
    venue.set_price("NSE:SBIN", 100.0)
    request = OrderRequest(instrument="NSE:SBIN", side=Side.BUY, quantity=1, order_type=OrderType.LIMIT, price=98.0)
    order, _ = venue.exchange.place(request, venue.marks["NSE:SBIN"], OPEN_NS)
    assert not isinstance(order, ExchangeRefusal)
    for price, slips in venue.levels_between("NSE:SBIN", 100.0, low):
        mark = venue.set_price("NSE:SBIN", price, slips=slips)
        venue.exchange.on_mark("NSE:SBIN", mark, OPEN_NS)
    return [trade.quantity for trade in venue.exchange.books.trades]


def test_square_off_closes_intraday_at_its_minute_and_keeps_delivery() -> None:
    columns = bars(flat(100.0, 30), at=time(15, 0))
    intraday = result_of(columns, "1 BUY")
    assert [fill.at_ns for fill in intraday.ledger.fills][1] == to_ns(DAY, time(15, 12))
    assert len(result_of(columns, "1 BUY", product=Product.CNC, short=None).ledger.fills) == 1


def test_entry_after_the_square_off_began_is_denied() -> None:
    found = result_of(bars(flat(100.0, 30), at=time(15, 0)), "15 BUY")
    assert found.ledger.fills == []
    assert found.ledger.counts == {"SQUARE_OFF": 1}


def test_order_at_the_last_bar_before_missing_minutes_waits_for_the_next_one() -> None:
    first, second = bars(flat(100.0, 3)), bars(flat(101.0, 3), at=time(10, 30))
    columns = Columns(
        first.instrument, "1m", np.concatenate((first.start_ns, second.start_ns)),
        np.concatenate((first.table, second.table), axis=1),
    )  # fmt: skip
    assert prices(result_of(columns, "2 BUY")) == [(1, 101.0)]


def test_capital_that_does_not_carry_an_order_refuses_it() -> None:
    found = result_of(bars(flat(100.0, 8)), "1 BUY", lots=100, capital=1000.0)
    assert found.ledger.fills == []


def test_index_trades_in_the_lots_of_the_day_and_says_so() -> None:
    day = date(2024, 4, 24)
    early = bars(flat(22000.0, 6), day=day, instrument="NSE_INDEX:NIFTY")
    late = bars(flat(22000.0, 6), day=date(2024, 5, 2), instrument="NSE_INDEX:NIFTY")
    first, second = result_of(early, "1 BUY"), result_of(late, "1 BUY")
    assert (first.ledger.fills[0].units, second.ledger.fills[0].units) == (50, 25)
    assert first.stand_ins == ("NSE_INDEX:NIFTY",)


def test_index_trades_in_the_lot_of_the_future_that_it_stands_in_for() -> None:
    """In December 2024 the future of that month had the lot of before November, and the index has it too."""
    early = bars(flat(24000.0, 6), day=date(2024, 12, 2), instrument="NSE_INDEX:NIFTY")
    late = bars(flat(24000.0, 6), day=date(2025, 2, 3), instrument="NSE_INDEX:NIFTY")
    fills = [result_of(columns, "1 BUY").ledger.fills for columns in (early, late)]
    assert [fill[0].units for fill in fills] == [25, 75]


def test_bought_option_that_expires_ends_at_its_last_price() -> None:
    name, day = "NFO:NIFTY14MAR2422000CE", date(2024, 3, 14)
    columns = bars(flat(50.0, 20), at=time(15, 5), day=day, instrument=name)
    found = result_of(columns, "1 BUY", product=Product.NRML)
    assert [(fill.units, fill.price) for fill in found.ledger.fills] == [(50, 50.0)]
    after = bars(flat(50.0, 5), at=time(9, 15), day=date(2024, 3, 15), instrument=name)
    both = Columns(
        name, "1m", np.concatenate((columns.start_ns, after.start_ns)),
        np.concatenate((columns.table, after.table), axis=1),
    )  # fmt: skip
    over = result_of(both, "1 BUY", product=Product.NRML)
    assert [fill.units for fill in over.ledger.fills] == [50, -50]
    assert over.ledger.fills[1].at_ns >= to_ns(day, time(15, 30))


def test_strategy_that_raises_stops_and_its_position_stays_managed() -> None:
    class Raises(Script):
        def on_data(self, data: Any) -> Any:
            if self.count == 3:
                raise ZeroDivisionError("by hand")
            return super().on_data(data)

    columns = bars(flat(100.0, 30), at=time(15, 0))
    found = run(spec_of(Raises, columns, parameters={"plan": "1 BUY"}))
    assert found.fault is not None
    assert "ZeroDivisionError" in found.fault.error
    assert [fill.units for fill in found.ledger.fills] == [1, -1]
