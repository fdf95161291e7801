"""Exits that the broker refuses: MARKET is not sent for ever, and the stop comes back while no exit can be placed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mytrading.core.oms import OmsLimits
from mytrading.messages.brokers import PLAIN
from mytrading.messages.commands import PriceGoal
from mytrading.messages.control import FlattenRequested
from mytrading.messages.enums import BrokerStatus, Call, OrderType, Outcome, Purpose
from mytrading.messages.orders import MARKET_REFUSED, NOT_NOW, GoalChanged
from tests.kit.fake_broker import ACCOUNT, MS, SECOND, OpenCall, OrderBench, Placed
from tests.kit.state_digest import state_digest

PLAN = {"stop_trigger": 90.0, "stop_limit": 87.0}
BLOCKED = f"{MARKET_REFUSED}Market orders are blocked for this instrument. Place a limit order instead."


def guarded(bench: OrderBench) -> Placed:
    """Fifty units held, and their stop at the broker."""
    bench.hold(**PLAN)
    stop = bench.accept()
    bench.read()
    return stop


def by_alert(bench: OrderBench) -> None:
    bench.close("g1")


def by_flatten(bench: OrderBench) -> None:
    until = bench.time + 600 * SECOND
    bench.step(FlattenRequested(id="f1", account=ACCOUNT, at_ns=bench.now, deadline_machine_ns=until, reason="flatten"))
    bench.read()


def by_restart(bench: OrderBench) -> None:
    bench.close("g1")
    bench.crash((ACCOUNT,))
    bench.read()


WAYS: dict[str, Callable[[OrderBench], None]] = {"alert": by_alert, "flatten": by_flatten, "restart": by_restart}


def take_stops(bench: OrderBench) -> None:
    for call in [call for call in bench.calls if call.order.purpose is Purpose.STOP]:
        {Call.PLACE: bench.accept, Call.MODIFY: bench.modify, Call.CANCEL: bench.cancel}[call.call](call)


def go_on(bench: OrderBench, seconds: float, **fields: Any) -> None:
    """Time passes, calls of stops are taken, and the books are read twice a second."""
    for _ in range(int(seconds * 2)):
        bench.tick(500 * MS)
        take_stops(bench)
        bench.read(**fields)


def exit_call(bench: OrderBench) -> OpenCall:
    (call,) = [call for call in bench.calls if call.order.purpose is not Purpose.STOP]
    return call


def refuse(bench: OrderBench, message: str) -> None:
    bench.end(exit_call(bench), Outcome.REFUSED, message=message)


def price(bench: OrderBench, rupees: float) -> None:
    """Risk answers with the price of a marketable limit."""
    bench.time += MS
    for goal in bench.machine.goals():
        bench.step(PriceGoal(id=f"p{bench.time}", goal=goal.id, account=ACCOUNT, price=rupees))


def resting_stops(bench: OrderBench) -> int:
    return sum(p.quantity for p in bench.broker.orders.values() if p.order_type is OrderType.SL and p.open)


@pytest.mark.parametrize("way", WAYS)
def test_exit_went_as_market_for_ever_although_the_broker_takes_none(way: str) -> None:
    bench = OrderBench()
    bench.check_purity = True
    guarded(bench)
    WAYS[way](bench)
    go_on(bench, 1)
    assert exit_call(bench).order.order_type is OrderType.MARKET
    refuse(bench, BLOCKED)
    price(bench, 98.5)
    call = exit_call(bench)
    assert (call.order.order_type, call.order.price, call.order.quantity) == (OrderType.LIMIT, 98.5, 50)
    bench.broker.trade(bench.accept(call), 50, 99.0)
    go_on(bench, 3)
    assert bench.position().quantity == 0 and resting_stops(bench) == 0
    assert [goal.state for goal in bench.machine.goals()] == ["done"]
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_exit_that_is_refused_twice_for_any_reason_goes_as_limit() -> None:
    bench = OrderBench()
    guarded(bench)
    bench.close("g1")
    go_on(bench, 1)
    refuse(bench, "the order was rejected")
    price(bench, 98.5)
    assert not [call for call in bench.calls if call.order.purpose is Purpose.EXIT], "MARKET once more, after its wait"
    bench.tick(600 * MS)
    assert exit_call(bench).order.order_type is OrderType.MARKET
    refuse(bench, "the order was rejected")
    price(bench, 98.5)
    assert (exit_call(bench).order.order_type, exit_call(bench).order.price) == (OrderType.LIMIT, 98.5)


def test_refusals_for_session_rate_and_hours_leave_the_exit_market() -> None:
    bench = OrderBench()
    guarded(bench)
    bench.close("g1")
    go_on(bench, 1)
    for _ in range(3):
        refuse(bench, f"{NOT_NOW}market closed")
        go_on(bench, 70)
    assert exit_call(bench).order.order_type is OrderType.MARKET


def test_rejection_that_only_the_books_show_is_a_refusal_too() -> None:
    bench = OrderBench()
    guarded(bench)
    bench.close("g1")
    go_on(bench, 1)
    leaving = bench.accept(exit_call(bench))
    leaving.status = BrokerStatus.REJECTED
    bench.report(leaving, message=BLOCKED)
    bench.read()
    price(bench, 98.5)
    assert exit_call(bench).order.order_type is OrderType.LIMIT


def test_exit_without_a_quote_goes_at_the_limit_of_its_stop() -> None:
    """Risk is away: the exit waited for ever, and the position was bare."""
    bench = OrderBench()
    guarded(bench)
    bench.close("g1")
    go_on(bench, 1)
    refuse(bench, BLOCKED)
    go_on(bench, 4)
    call = exit_call(bench)
    assert (call.order.order_type, call.order.price) == (OrderType.LIMIT, 87.0)


def test_broker_whose_table_has_no_market_orders_gets_limit_from_the_first() -> None:
    from msgspec.structs import replace

    rules = replace(PLAIN, order_types=(OrderType.LIMIT, OrderType.SL))
    bench = OrderBench(OmsLimits(unlisted=rules))
    stop = guarded(bench)
    bench.close("g1")
    go_on(bench, 1)
    assert bench.calls == [] and stop.open, "the stop stays until a price is known"
    price(bench, 98.5)
    assert [call.call for call in bench.calls] == [Call.CANCEL]
    go_on(bench, 1)
    assert (exit_call(bench).order.order_type, exit_call(bench).order.price) == (OrderType.LIMIT, 98.5)


def blocked(bench: OrderBench) -> None:
    """An exit is refused in every form: as MARKET, as LIMIT at 98.5, and without a quote at the limit of the stop."""
    bench.close("g1")
    go_on(bench, 1)
    refuse(bench, BLOCKED)
    price(bench, 98.5)
    refuse(bench, "RMS: MIS blocked")
    go_on(bench, 4, positions=None)
    assert (exit_call(bench).order.price, resting_stops(bench)) == (87.0, 0)
    refuse(bench, "RMS: MIS blocked")


def test_position_whose_exit_is_refused_in_every_form_was_bare() -> None:
    bench = OrderBench()
    bench.check_purity = True
    guarded(bench)
    blocked(bench)
    go_on(bench, 1, positions=None)
    assert resting_stops(bench) == 0, "no position book was read since: nothing is known to be there"
    go_on(bench, 2)
    assert resting_stops(bench) == 50
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_stop_that_comes_back_is_never_larger_than_what_positions_show() -> None:
    """Twenty of the fifty units were sold at the terminal meanwhile."""
    bench = OrderBench()
    guarded(bench)
    blocked(bench)
    bench.broker.by_hand(30)
    bench.read()
    go_on(bench, 3)
    assert resting_stops(bench) == 30


def test_stop_that_came_back_is_taken_away_for_another_price_or_after_a_minute() -> None:
    bench = OrderBench()
    guarded(bench)
    blocked(bench)
    go_on(bench, 3)
    go_on(bench, 50)
    assert resting_stops(bench) == 50, "the same price again would leave the position bare once more"
    go_on(bench, 10)
    assert resting_stops(bench) == 0 and exit_call(bench).order.price == 87.0
    refuse(bench, "RMS: MIS blocked")
    price(bench, 97.0)
    go_on(bench, 35)
    assert exit_call(bench).order.price == 97.0


def test_exit_that_waits_with_its_stop_back_is_told() -> None:
    bench = OrderBench()
    guarded(bench)
    blocked(bench)
    go_on(bench, 10)
    (told,) = [alert for alert in bench.alerts if alert.code == "EXIT_WAITS"]
    assert "refused" in told.message and bench.stands("EXIT_WAITS", told.subject)


def test_router_that_asks_no_server_and_risk_told_each_other_the_same_edge_for_ever() -> None:
    """In one process they answered each other without end: each row of the goal led to the next word of risk."""
    bench = OrderBench()
    guarded(bench)
    bench.close("g1")
    go_on(bench, 1)
    refuse(bench, BLOCKED)
    (waits,) = bench.machine.goals()
    told = PriceGoal(id="p1", goal=waits.id, account=ACCOUNT, price=0.0, edge=61.0, tick=0.05)
    bench.step(told)
    count = len(bench.rows)
    bench.step(told)
    assert not [row for row in bench.rows[count:] if isinstance(row, GoalChanged)]
