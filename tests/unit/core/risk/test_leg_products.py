"""Risk with legs of different products: each is judged, valued, ordered and ended as its own."""

from __future__ import annotations

from datetime import time

import pytest
from msgspec.structs import replace

from mytrading.core.engine.active_signals import signal_id
from mytrading.core.engine.contract_selection import resolve_legs
from mytrading.core.time import to_ns
from mytrading.messages.commands import SignalDenied
from mytrading.messages.enums import Action, Product, Side
from mytrading.messages.leg_plan import LegRule
from mytrading.messages.reports import Funds
from mytrading.messages.signals import Leg
from tests.kit.engine_bench import NIFTY, OPEN, make_book
from tests.kit.risk_basket_bench import Basket, entries
from tests.kit.risk_bench import CALL, DAY, NEAR, SHARE

MIS, NRML, CNC = Product.MIS, Product.NRML, Product.CNC
HEDGE = Leg(instrument=CALL, lots=1, product=NRML)
SOLD = Leg(instrument=NEAR, lots=-1)


def bench_with_quotes() -> Basket:
    bench = Basket()
    bench.machine.apply(Funds(account="main", available=5e7, used=0.0, machine_ns=bench.machine_ns))
    bench.quote(NEAR)
    return bench


def test_each_leg_is_ordered_as_its_own_product() -> None:
    bench = bench_with_quotes()
    (hedge,) = entries(bench.intent("a", HEDGE, SOLD))
    assert (hedge.instrument, hedge.product) == (CALL, NRML)
    (sold,) = entries(bench.filled(hedge))
    assert (sold.instrument, sold.product, sold.side) == (NEAR, MIS, Side.SELL)


def test_shares_and_the_call_sold_on_them_go_as_cnc_and_nrml() -> None:
    bench = bench_with_quotes()
    bench.quote(SHARE, 800.0)
    shares = Leg(instrument=SHARE, lots=65, product=CNC)
    (bought,) = entries(bench.intent("a", shares, Leg(instrument=CALL, lots=-1), product=NRML))
    assert (bought.instrument, bought.product) == (SHARE, CNC)
    (sold,) = entries(bench.filled(bought))
    assert (sold.instrument, sold.product) == (CALL, NRML)


@pytest.mark.parametrize(
    ("hedge", "sold"),
    [
        (Leg(instrument=CALL, lots=1), Leg(instrument=NEAR, lots=-1, product=NRML)),
        (Leg(instrument=CALL, lots=1, product=MIS), Leg(instrument=NEAR, lots=-1, product=NRML)),
    ],
)
def test_hedge_that_ends_before_what_it_covers_is_denied_and_nothing_is_sold(hedge: Leg, sold: Leg) -> None:
    bench = bench_with_quotes()
    rows = bench.intent("a", hedge, sold)
    assert entries(rows) == []
    denied = next(row for row in rows if isinstance(row, SignalDenied))
    assert denied.code == "PRODUCT_NOT_ALLOWED"
    assert f"{CALL} is bought as MIS, which ends today, and would leave {NEAR}, sold as NRML, bare" in denied.message


def test_only_the_mis_leg_is_closed_by_the_square_off() -> None:
    bench = bench_with_quotes()
    bench.machine.environment.strategies["S"] = replace(bench.machine.environment.strategies["S"], intraday=False)
    (hedge,) = entries(bench.intent("a", HEDGE, SOLD))
    (sold,) = entries(bench.filled(hedge))
    environment = bench.machine.environment
    late = to_ns(DAY, time(15, 13))
    assert 0 < environment.square_off_begins("S", NEAR, sold.product, late) <= late
    assert not environment.square_off_begins("S", CALL, hedge.product, late)


def test_other_product_is_another_signal_and_has_an_id_of_its_own() -> None:
    kept, ended = (signal_id("S", NIFTY, Action.BUY, (replace(HEDGE, product=it), SOLD), OPEN) for it in (NRML, MIS))
    assert kept != ended
    bench = bench_with_quotes()
    bench.intent("a", HEDGE, SOLD)
    first = bench.machine.state.intents["S", "NSE_INDEX:NIFTY"]
    bench.intent("b", replace(HEDGE, product=None), SOLD)
    assert bench.machine.state.intents["S", "NSE_INDEX:NIFTY"].wanted_position != first.wanted_position


def test_rule_of_a_leg_hands_its_product_on() -> None:
    rules = [LegRule(lots=1, strike="OTM 1", right="CE", product=NRML), LegRule(lots=-1, strike="ATM", right="CE")]
    legs = resolve_legs(rules, NIFTY, {NIFTY: 26_012.0}, make_book(), OPEN, lambda _name, _day: None)
    assert [leg.product for leg in legs] == [NRML, None]
