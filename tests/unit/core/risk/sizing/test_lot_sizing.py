"""Lots: the golden rows of the lot formula, pairs, risk per trade, confidence, and shares of several accounts."""

from __future__ import annotations

from datetime import date

import pytest

from mytrading.core.accounting.margin import MarginLeg
from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.risk.sizing.lots import (
    basket_cost,
    entry_price,
    lot_ratio,
    lots_at_risk,
    plan_by_margin,
    scale_by_confidence,
    split_lots,
)
from mytrading.messages.enums import OrderType, Side
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.market import Quote
from mytrading.messages.signals import Leg
from tests.kit.margin_tables import EXPIRY, LATER, TABLES, TODAY, contract

CE, PE, FUT = InstrumentKind.CE, InstrumentKind.PE, InstrumentKind.FUT


def leg(kind: InstrumentKind, sign: int, underlying: str, expiry: str, strike: float = 26000) -> MarginLeg:
    listed = contract(kind, expiry, underlying, strike)
    return MarginLeg(listed, sign * listed.lot_size, 100.0)


@pytest.mark.parametrize(
    ("margin", "kinds", "underlying", "expiry", "sizing", "lots"),
    [
        (1_000_000, [(CE, -1)], "NIFTY", LATER, "balanced", 2),
        (1_000_000, [(CE, -1), (PE, -1)], "NIFTY", LATER, "balanced", 2),
        (1_000_000, [(PE, -1)], "SENSEX", EXPIRY, "C", 2),
        (1_000_000, [(FUT, 1)], "BANKNIFTY", LATER, "A", 4),
        (1_000_000, [(CE, 1)], "NIFTY", LATER, "C", 18),
        (500_000, [(CE, -1), (PE, -1)], "NIFTY", EXPIRY, "aggressive", 1),
        (200_000, [(CE, -1)], "NIFTY", LATER, "A", 0),
        (1_000_000, [(CE, -1)], "NIFTY", LATER, "conservative", 1),
        (1_000_000, [(CE, -1)], "NIFTY", LATER, "aggressive", 3),
        (1_000_000, [(CE, -1)], "NIFTY", LATER, "grade_B", 2),
    ],
)
def test_lot_formula_worked_row_gives_its_lots(
    margin: float, kinds: list[tuple[InstrumentKind, int]], underlying: str, expiry: str, sizing: str, lots: int
) -> None:
    legs = [leg(kind, sign, underlying, expiry) for kind, sign in kinds]
    cost = basket_cost(legs, TABLES, TODAY)
    assert plan_by_margin(margin, TABLES.margin_share_of(sizing).share, cost, "main").times == lots


def test_lot_formula_below_one_lot_says_insufficient_margin() -> None:
    plan = plan_by_margin(200_000, 0.95, 250_000, "second")
    assert plan.times == 0
    assert "insufficient margin in second: 95% of ₹200,000 free is ₹190,000, one lot needs ₹250,000" in plan.why


def test_basket_cost_hedges_of_a_spread_take_its_quantity_and_cost_nothing_more() -> None:
    spread = [leg(CE, -1, "NIFTY", LATER), leg(CE, 1, "NIFTY", LATER, 26500)]
    condor = [*spread, leg(PE, -1, "NIFTY", LATER), leg(PE, 1, "NIFTY", LATER, 25500)]
    assert basket_cost(spread, TABLES, TODAY) == 250_000
    assert basket_cost(condor, TABLES, TODAY) == 320_000


def test_basket_cost_dear_premium_beats_the_budget_of_a_bought_option() -> None:
    dear = MarginLeg(contract(CE), 65, 400.0)
    assert basket_cost([dear], TABLES, TODAY) == 26_000


def test_share_of_unknown_sizing_names_those_there_are() -> None:
    with pytest.raises(ValueError, match="expected one of fixed, risk, conservative, balanced, aggressive, A, B, C"):
        TABLES.margin_share_of("bold")


@pytest.mark.parametrize(("points", "lots"), [(10.0, 10), (20.0, 5), (30.0, 3), (2.0, 10), (101.0, 0), (0.0, 0)])
def test_lots_at_risk_stop_distance_decides_up_to_the_cap(points: float, lots: int) -> None:
    assert lots_at_risk(6500, points, 65, 10) == lots


def test_scaled_confidence_rounds_down_to_at_least_one() -> None:
    assert [scale_by_confidence(10, confidence) for confidence in (1.0, 0.85, 0.05, 0.0, 7.0)] == [10, 8, 1, 1, 10]
    assert scale_by_confidence(0, 1.0) == 0


def test_shared_lots_follow_the_weights_and_none_is_lost() -> None:
    assert split_lots(10, {"a": 1.0, "b": 1.0, "c": 1.0}) == {"a": 4, "b": 3, "c": 3}
    assert split_lots(10, {"a": 900_000, "b": 100_000}) == {"a": 9, "b": 1}
    assert split_lots(3, {"a": -5.0, "b": 1.0}) == {"a": 0, "b": 3}
    assert split_lots(3, {"a": 0.0}) == {"a": 0}


def test_unit_lots_common_factor_is_taken_out() -> None:
    assert lot_ratio((-2, -2, 4)) == (-1, -1, 2)
    assert lot_ratio((3,)) == (1,)


def test_lot_table_covers_its_days_and_no_others() -> None:
    rows = [
        {"underlying": "NIFTY", "from": date(2025, 1, 2), "until": date(2025, 12, 30), "lot": 75, "freeze": 1800},
        {"underlying": "SENSEX", "from": date(2025, 1, 7), "until": date(2025, 12, 31), "lot": 20, "freeze": 1000},
    ]
    tables = RiskTables.from_dict({"grades": dict.fromkeys("ABC", 0.5), "lots": rows})
    row = tables.lot_size_of("NIFTY", date(2025, 6, 2))
    assert row is not None and (row.lot, row.freeze, row.max_lots) == (75, 1800, 24)
    assert tables.lot_size_of("NIFTY", TODAY) is tables.lot_size_of("BANKNIFTY", date(2025, 6, 2)) is None


def test_basket_cost_shares_cost_their_share_of_value() -> None:
    share = Instrument(id="NSE:X", exchange="NSE", symbol="X", kind=InstrumentKind.EQ, underlying="X")
    assert basket_cost([MarginLeg(share, 1, 10.0)], TABLES, TODAY) == 2.0


def test_largest_rest_gets_the_lot_that_rounding_leaves() -> None:
    assert split_lots(10, {"a": 1.6, "b": 1.5, "c": 6.9}) == {"a": 2, "b": 1, "c": 7}


@pytest.mark.parametrize(("risk", "distance"), [(0.0, 10.0), (-1.0, 10.0), (100.0, 0.0), (100.0, -1.0)])
def test_nothing_to_lose_or_no_stop_is_no_lot(risk: float, distance: float) -> None:
    assert lots_at_risk(risk, distance, 65, 10) == 0


@pytest.mark.parametrize(
    ("order_type", "limit", "side", "price"),
    [
        (OrderType.MARKET, 0.0, Side.BUY, 101.0),
        (OrderType.LIMIT, 90.0, Side.BUY, 90.0),
        (OrderType.LIMIT, 110.0, Side.BUY, 101.0),
        (OrderType.LIMIT, 90.0, Side.SELL, 99.0),
        (OrderType.LIMIT, 110.0, Side.SELL, 110.0),
        (OrderType.SL, 106.0, Side.BUY, 106.0),
        (OrderType.SL, 94.0, Side.SELL, 95.0),
        (OrderType.LIMIT, 0.0, Side.BUY, 101.0),
        (OrderType.SL_M, 0.0, Side.SELL, 99.0),
    ],
)
def test_entry_is_valued_at_the_worst_it_may_trade_at(
    order_type: OrderType, limit: float, side: Side, price: float
) -> None:
    trigger = (105.0 if side is Side.BUY else 95.0) if order_type in (OrderType.SL, OrderType.SL_M) else 0.0
    intent = Leg(instrument="NSE:A", lots=side.sign, order_type=order_type, limit_price=limit, trigger_price=trigger)
    assert entry_price(intent, Quote("NSE:A", 1, 1, 100.0, 99.0, 101.0), side) == price
