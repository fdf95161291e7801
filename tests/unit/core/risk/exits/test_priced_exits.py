"""Exits that must be LIMIT: risk answers with the price of a marketable limit from a fresh quote, else
the edge of the day's band, once for each wait."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.messages.commands import PlaceEntry, PriceGoal
from mytrading.messages.enums import Action, Product, Purpose
from mytrading.messages.market import Quote
from mytrading.messages.orders import Goal, GoalChanged
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import SHARE, RiskBench


def held(lots: int) -> RiskBench:
    bench = RiskBench()
    bench.quote(SHARE, 800.0)
    rows = bench.intent("a", Leg(instrument=SHARE, lots=lots), action=Action.BUY if lots > 0 else Action.SELL)
    bench.fill(next(row for row in rows if isinstance(row, PlaceEntry)))
    return bench


def goal(bench: RiskBench, **fields: Any) -> GoalChanged:
    (position,) = bench.machine.state.positions.values()
    return GoalChanged(
        goal=Goal(
            id="g1", account=position.account, instrument=SHARE, product=Product.MIS, strategy="S", run="r", cause="c",
            reason="test", purpose=Purpose.EXIT, limit_only=True, unpriced_machine_ns=1, **fields,
        ),
        at_ns=bench.now,
    )  # fmt: skip


def prices(rows: Any) -> list[float]:
    return [row.price for row in rows if isinstance(row, PriceGoal)]


@pytest.mark.parametrize(("lots", "limit"), [(10, 791.95), (-10, 808.1)])
def test_exit_whose_market_order_was_refused_had_no_price(lots: int, limit: float) -> None:
    """One hundredth through the bid of 799.95 or the ask of 800.05, on the tick of 0.05."""
    bench = held(lots)
    assert prices(bench.give(goal(bench))) == [limit]


def test_exit_that_has_a_price_gets_no_other() -> None:
    bench = held(10)
    assert prices(bench.give(goal(bench, price=790.0))) == []


def test_old_quote_gives_no_price_and_a_fresh_one_does_at_the_next_turn() -> None:
    bench = held(10)
    bench.pass_time(120)
    (row,) = bench.give(goal(bench))
    assert (row.price, row.edge, row.tick) == (0.0, 646.4, 0.05)  # 800 less a fifth, one hundredth inside
    bench.quote(SHARE, 700.0)
    assert prices(bench.pass_time(1)) == [692.95]


def test_edge_is_told_once_to_a_router_that_asks_no_server() -> None:
    bench = held(10)
    bench.pass_time(120)
    (row,) = bench.give(goal(bench))
    assert bench.give(goal(bench, edge=row.edge, tick=row.tick)) == ()


@pytest.mark.parametrize(("lots", "bid", "ask", "best"), [(10, 0.0, 760.0, 760.0), (-10, 840.0, 0.0, 840.0)])
def test_exit_in_a_locked_market_is_told_so_and_priced_at_the_best_of_its_own_side(
    lots: int, bid: float, ask: float, best: float
) -> None:
    """Nobody is on the other side: a limit through the last price would lie beyond the exchange's own band."""
    bench = held(lots)
    bench.machine.apply(Quote(SHARE, bench.now, bench.machine_ns, best, bid, ask))
    (row,) = (row for row in bench.give(goal(bench)) if isinstance(row, PriceGoal))
    assert (row.locked, row.price) == (True, best)


def test_price_is_looked_for_a_market_exit_that_rests_and_no_edge_is_told() -> None:
    bench = held(10)
    asked = goal(bench)
    market = replace(asked, goal=replace(asked.goal, limit_only=False))
    assert prices(bench.give(market)) == [791.95]
    bench.pass_time(120)
    assert prices(bench.give(market)) == [], "it needs no edge: MARKET goes on"
