"""Leaving machines alone where nothing can follow leads to the same trades as calling them at every bar."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from mytrading.backtest.run import Spec, run
from mytrading.messages.enums import Product
from mytrading.messages.run_config import StopPlan
from tests.kit.backtest_specs import LIMITS, Cross, bars_of, begin_of, fees, shipped, spec_of


def both_ways(spec: Spec) -> tuple[str, str, int]:
    short, plain = run(replace(spec, lean=False)), run(replace(spec, plain=True))
    assert short.ledger.counts == plain.ledger.counts
    assert short.ledger.trades == plain.ledger.trades
    return short.ledger.trade_hash(), plain.ledger.trade_hash(), len(short.ledger.trades)


@pytest.mark.parametrize("stop", list(StopPlan))
@pytest.mark.parametrize("temper", ["trend", "wild"])
def test_short_way_with_each_stop_plan_trades_as_the_plain_one(stop: StopPlan, temper: str) -> None:
    short, plain, trades = both_ways(spec_of(Cross, begin_of(bars_of(temper), 420), stop=stop, stop_loss_pct=0.004))
    assert short == plain
    assert trades > 8


def test_short_way_of_delivery_overnight_trades_as_the_plain_one() -> None:
    spec = spec_of(
        Cross, begin_of(bars_of("gaps"), 800), product=Product.CNC, short=None, stop=StopPlan.BROKER, fees=fees()
    )
    short, plain, trades = both_ways(spec)
    assert short == plain
    assert trades > 5
    assert run(spec).ledger.counts["GOAL_STUCK"] == 0, "minutes without a bar are no exit that is stuck"


def test_short_way_of_longer_bars_trades_as_the_plain_one() -> None:
    short, plain, trades = both_ways(
        spec_of(Cross, begin_of(bars_of("range"), 800), timeframes=("5m",), stop=StopPlan.BROKER)
    )
    assert short == plain
    assert trades > 2


def test_short_way_at_the_daily_loss_stops_as_the_plain_one() -> None:
    limits = msgspec.structs.replace(LIMITS, max_order_size=1e9, max_position_size=1e9, max_daily_loss=10.0)
    spec = spec_of(Cross, begin_of(bars_of("wild"), 450), limits=limits)
    short, plain, _ = both_ways(spec)
    assert short == plain
    assert run(spec).ledger.counts["DAILY_LOSS"] > 0


def test_shipped_strategy_in_two_instruments_trades_as_the_plain_one() -> None:
    data = (begin_of(bars_of("trend"), 400), begin_of(bars_of("range", "NSE:INFY"), 400))
    short, plain, trades = both_ways(spec_of(shipped("sma_crossover"), *data))
    assert short == plain
    assert trades > 4


def test_same_spec_twice_gives_the_same_hash_and_other_data_another() -> None:
    spec, other = (spec_of(Cross, begin_of(bars_of(temper), 500)) for temper in ("trend", "range"))
    assert run(spec).ledger.trade_hash() == run(spec).ledger.trade_hash() != run(other).ledger.trade_hash()
