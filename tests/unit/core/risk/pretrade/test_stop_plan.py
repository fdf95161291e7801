"""Level of a stop: on the tick, never early, with a limit beyond it that the exchange takes; or why there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mytrading.core.orders.price_band import PriceBand, price_band
from mytrading.core.risk.pretrade.context import PreTradeContext
from mytrading.core.risk.pretrade.stop_plan import (
    StopLevels,
    plan_share_stop,
    plan_stop,
    stop_holder,
    stop_prices,
    stop_problem,
)
from mytrading.messages.enums import Action, Side
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.market import Quote
from mytrading.messages.run_config import StopPlan, StrategyRun
from mytrading.messages.signals import Leg, Signal
from tests.kit.risk_bench import CALL, LIMITS, NOW, SHARE, WATCH, option

OPTION = option(CALL, InstrumentKind.CE)
EQUITY = Instrument(id=SHARE, exchange="NSE", symbol="SBIN", kind=InstrumentKind.EQ, underlying="SBIN")
RUN = StrategyRun(name="S", file="s.py", symbols=(WATCH,), long=None, short=None)


def case(
    instrument: Instrument = OPTION,
    units: int = 65,
    price: float = 100.0,
    stop: float = 0.0,
    run: StrategyRun | None = RUN,
    ltp: float = 0.0,
    close: float | None = None,
) -> PreTradeContext:
    signal = Signal(
        id="a", strategy="S", watch=WATCH, action=Action.BUY, created_ns=NOW, expires_ns=NOW, expires_machine_ns=0
    )
    return PreTradeContext(
        signal=signal,
        leg=Leg(instrument=instrument.id, lots=1, stop_price=stop),
        now=NOW,
        machine_ns=0,
        limits=LIMITS,
        instrument=instrument,
        strategy=run,
        units=units,
        price=price,
        quote=Quote(instrument.id, NOW, 0, ltp or price, previous_close=close),
    )


@pytest.mark.parametrize(
    ("instrument", "units", "price", "stop", "expected"),
    [
        (OPTION, 65, 100.0, 0.0, StopLevels(70.0, 67.0)),  # 30 % of premium, ₹3 beyond
        (OPTION, 65, 100.05, 0.0, StopLevels(70.0, 67.0)),  # 70.035: down to the tick
        (OPTION, 65, 1000.0, 0.0, StopLevels(700.0, 693.0)),  # 1 % is more than ₹3
        (OPTION, 65, 2.0, 0.0, StopLevels(1.4, 0.7)),  # ₹3 would be below nothing: half the trigger
        (OPTION, 65, 0.15, 0.0, StopLevels(0.1, 0.05)),  # the last tick
        (OPTION, 65, 55.0, 34.0, StopLevels(34.0, 33.0)),  # 40 % below 55 is 33: the band ends there
        (OPTION, -65, 100.0, 0.0, StopLevels(130.0, 133.0)),  # a sold option is bought back
        (EQUITY, 10, 800.0, 0.0, StopLevels(784.0, 776.15)),  # 2 %, and 1 % of the trigger beyond
        (EQUITY, 10, 800.0, 797.53, StopLevels(797.5, 789.5)),  # the signal's own level
        (EQUITY, -10, 800.0, 0.0, StopLevels(816.0, 824.2)),
        (EQUITY, -10, 800.0, 803.01, StopLevels(803.05, 811.1)),  # away from triggering early is upwards here
        (EQUITY, 10, 3.0, 0.0, StopLevels(2.9, 2.8)),  # two ticks at least
    ],
)
def test_plan_of_each_golden_case(
    instrument: Instrument, units: int, price: float, stop: float, expected: StopLevels
) -> None:
    assert plan_stop(case(instrument, units, price, stop)) == expected


def test_strategys_own_share_comes_before_the_default_and_the_signals_level_before_both() -> None:
    run = replace(RUN, stop_loss_pct=0.1)
    assert plan_stop(case(run=run)) == StopLevels(90.0, 87.0)
    assert plan_stop(case(run=run, stop=95.0)) == StopLevels(95.0, 92.0)
    assert plan_stop(case(run=None)) == StopLevels(70.0, 67.0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (case(stop=100.0), "must lie below the price: found 100"),
        (case(EQUITY, -10, 800.0, stop=799.0), "must lie above the price: found 799"),
        (case(stop=95.0, ltp=94.0), "at 94"),
        (case(price=0.05), "keeps a tick between them"),
    ],
)
def test_stop_that_cannot_be_has_a_reason_with_the_numbers(given: PreTradeContext, said: str) -> None:
    found = plan_stop(given)
    assert isinstance(found, str)
    assert said in found


def test_stop_none_asks_for_nothing_and_one_held_by_risk_knows_no_band() -> None:
    assert plan_stop(case(run=replace(RUN, stop=StopPlan.NONE), stop=100.0)) == ""
    assert plan_stop(case(run=replace(RUN, stop=StopPlan.ENGINE), stop=20.0)) == StopLevels(20.0, 20.0)


@pytest.mark.parametrize(
    ("given", "holder"),
    [
        (case(units=-65, stop=136.0), StopPlan.BROKER),
        (case(units=-65, stop=136.05), StopPlan.ENGINE),  # within 40 % now, and perhaps not when it is sent
        (case(units=-65, stop=140.0), StopPlan.ENGINE),
        (case(units=-65, stop=180.0), StopPlan.ENGINE),
        (case(units=-65, price=40.0, stop=58.0), StopPlan.BROKER),  # ₹20 about what costs at most ₹50
        (case(units=-65, price=40.0, stop=59.0), StopPlan.ENGINE),
        (case(price=10.0, stop=0.05), StopPlan.BROKER),  # a price has no band below nothing
        (case(stop=55.0), StopPlan.ENGINE),
        (case(EQUITY, 10, 800.0, stop=721.0, close=900.0), StopPlan.BROKER),
        (case(EQUITY, 10, 800.0, stop=700.0, close=900.0), StopPlan.ENGINE),
        (case(units=-65, stop=180.0, run=replace(RUN, stop=StopPlan.NONE)), StopPlan.NONE),
    ],
)
def test_stop_that_cannot_rest_in_the_band_is_held_by_the_engine(given: PreTradeContext, holder: StopPlan) -> None:
    """Entries whose stop lay beyond 40 % were denied, and many at 40 % were refused by the exchange."""
    assert isinstance(plan_stop(given), StopLevels if holder is not StopPlan.NONE else str)
    assert stop_problem(given) == ""
    assert stop_holder(given) is holder


@given(
    side=st.sampled_from(Side),
    option=st.booleans(),
    price=st.floats(0.05, 5000.0),
    share=st.floats(0.001, 0.6),
    tick=st.sampled_from([0.01, 0.05, 0.1]),
)
def test_place_is_on_the_tick_never_early_and_its_limit_is_never_short_of_the_trigger(
    side: Side, option: bool, price: float, share: float, tick: float
) -> None:
    instrument = replace(OPTION if option else EQUITY, tick_size=tick)
    level = price * (1 - side.sign * share)
    trigger, limit = stop_prices(instrument, side, level, price_band(instrument.kind, price, None), LIMITS)
    for value in (trigger, limit):
        assert abs(value / tick - round(value / tick)) < 1e-5
        assert value >= tick * 0.999
    assert (limit - trigger) * side.sign <= 1e-9, "a limit short of its trigger would never fill"
    if trigger > tick * 1.001:
        assert (trigger - level) * side.sign <= 1e-6 * max(1.0, level), "it would trigger early"
        assert abs(trigger - level) <= tick * 1.001


def test_place_keeps_the_limit_inside_the_band_unless_the_trigger_itself_is_outside() -> None:
    assert stop_prices(OPTION, Side.BUY, 80.0, PriceBand(79.0, 140.0), LIMITS) == StopLevels(80.0, 79.0)
    assert stop_prices(OPTION, Side.SELL, 120.0, PriceBand(60.0, 121.02), LIMITS) == StopLevels(120.0, 121.0)
    assert stop_prices(OPTION, Side.BUY, 80.0, PriceBand(85.0, 140.0), LIMITS) == StopLevels(80.0, 80.0)


@given(st.sampled_from((10, -10)), st.integers(1, 40_000), st.floats(0.7, 1.3))
def test_stop_of_a_share_alone_is_that_of_the_whole_plan_or_left_to_it(units: int, ticks: int, share: float) -> None:
    price = ticks / 20
    level = price * share
    found = plan_share_stop(EQUITY, Side.BUY if units > 0 else Side.SELL, level, price, LIMITS)
    whole = case(EQUITY, units, price, level)
    if found is None:
        near = level + EQUITY.tick_size >= price if units > 0 else level - EQUITY.tick_size <= price
        assert near or price <= EQUITY.tick_size
    else:
        assert (found.levels, found.can_rest) == (plan_stop(whole), stop_holder(whole) is StopPlan.BROKER)


def test_stop_of_an_option_is_left_to_the_whole_plan() -> None:
    assert plan_share_stop(OPTION, Side.BUY, 70.0, 100.0, LIMITS) is None
