"""Exits that cannot fill: they wait for the open, keep their place in the queue, and stay within an hour's calls."""

from __future__ import annotations

import pytest

from mytrading.core.oms import OmsLimits
from mytrading.messages.commands import PriceGoal
from mytrading.messages.enums import Call, OrderState, OrderType, Outcome, Purpose
from mytrading.messages.orders import Goal
from tests.kit.fake_broker import ACCOUNT, SECOND, OrderBench, Placed


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.check_purity = True
    made.hold("e1")
    made.tick(2 * SECOND)
    return made


def goal(bench: OrderBench) -> Goal:
    return next(goal for goal in bench.machine.goals() if goal.id == "g1")


def exit_calls(bench: OrderBench) -> int:
    """Calls of all kinds that exits have made."""
    kinds = ("submitted", "cancel_requested", "modify_requested")
    rows = (row for row in bench.rows if getattr(row, "event", "") in kinds)
    return sum(row.order.purpose is Purpose.EXIT for row in rows)


def pass_seconds(bench: OrderBench, seconds: int, *, refuses: bool = False) -> None:
    """Time passes; the broker takes all calls, or refuses placings, and the books are read."""
    for _ in range(seconds):
        bench.tick(SECOND)
        for call in list(bench.calls):
            if refuses and call.call is Call.PLACE:
                bench.end(call, Outcome.REFUSED, message="not allowed")
        bench.answer_calls()
        bench.read()


def tell(bench: OrderBench, price: float, *, locked: bool = False) -> None:
    bench.step(PriceGoal(id=f"p{bench.time}", goal="g1", account=ACCOUNT, price=price, locked=locked))


def resting(bench: OrderBench) -> list[Placed]:
    return [placed for placed in bench.broker.orders.values() if placed.open]


def test_exit_was_placed_again_for_ever_in_a_closed_market(bench: OrderBench) -> None:
    bench.session_open = False
    bench.close("g1")
    pass_seconds(bench, 600)
    assert exit_calls(bench) == 0
    assert goal(bench).awaits_open and goal(bench).state == "open"
    assert "EXIT_WAITS" in bench.codes() and "GOAL_STUCK" not in bench.codes()
    bench.session_open = True
    pass_seconds(bench, 1)
    (placed,) = resting(bench)
    assert (placed.quantity, placed.order_type) == (50, OrderType.MARKET)
    assert not goal(bench).awaits_open and goal(bench).state == "open", "its minute begins with the open"


def test_exit_that_waited_for_its_call_at_the_close_was_sent_after_it() -> None:
    bench = OrderBench(OmsLimits(calls_per_second=1))
    bench.hold("e1")
    bench.tick(2 * SECOND)
    bench.enter("e2", strategy="s2", instrument="NFO:B")
    bench.close("g1")
    assert [call.order.client_order_id for call in bench.calls] == ["e2"], "the call of this second is used"
    bench.session_open = False
    pass_seconds(bench, 60)
    assert exit_calls(bench) == 0
    bench.session_open = True
    pass_seconds(bench, 2)
    assert [placed.quantity for placed in resting(bench) if placed.instrument == "NFO:A"] == [50]


def test_exit_that_rested_at_the_close_is_left_alone_and_sent_anew_once_it_ended(bench: OrderBench) -> None:
    bench.close("g1")
    placed = bench.accept()
    bench.session_open = False
    pass_seconds(bench, 120)
    assert placed.open and exit_calls(bench) == 1
    bench.broker.drop(placed)
    pass_seconds(bench, 60)
    assert exit_calls(bench) == 1
    bench.session_open = True
    pass_seconds(bench, 3)
    assert [one.quantity for one in resting(bench)] == [50]


def test_exit_in_a_locked_market_lost_its_place_every_six_seconds(bench: OrderBench) -> None:
    bench.close("g1")
    placed = bench.accept()
    for _ in range(1800):
        pass_seconds(bench, 1)
        if goal(bench).unpriced_machine_ns:
            tell(bench, 90.0, locked=True)
    assert placed.open and exit_calls(bench) == 1


def test_exit_that_nobody_can_price_is_replaced_at_growing_intervals(bench: OrderBench) -> None:
    """Ten replacements in the first hour: after 5, 10, 20 … 320 s, then every 600 s."""
    bench.close("g1")
    bench.accept()
    pass_seconds(bench, 3600)
    placed = sum(one.client_order_id != "e1" for one in bench.broker.orders.values())
    assert 8 <= placed <= 12 and exit_calls(bench) <= 2 * placed
    assert len(resting(bench)) == 1


def test_market_exit_that_rests_goes_as_limit_where_a_price_is_known(bench: OrderBench) -> None:
    bench.close("g1")
    bench.accept()
    pass_seconds(bench, 4)
    assert goal(bench).unpriced_machine_ns
    tell(bench, 88.5)
    pass_seconds(bench, 2)
    (placed,) = resting(bench)
    assert (placed.order_type, placed.price, placed.quantity) == (OrderType.LIMIT, 88.5, 50)


def limit_only(bench: OrderBench) -> Placed:
    """A LIMIT exit that rests at 95, after two refusals of MARKET."""
    bench.close("g1")
    for _ in range(2):
        bench.end(bench.calls[0], Outcome.REFUSED, message="no")
        bench.tick(2 * SECOND)
    tell(bench, 95.0)
    return bench.accept()


def test_limit_exit_of_yesterday_took_the_price_of_yesterday(bench: OrderBench) -> None:
    placed = limit_only(bench)
    bench.session_open = False
    bench.broker.drop(placed)
    pass_seconds(bench, 30)
    bench.session_open = True
    bench.tick(SECOND)
    assert goal(bench).price == 0.0 and bench.calls == []
    tell(bench, 70.0)
    assert [call.order.price for call in bench.calls] == [70.0]


def test_limit_exit_is_moved_for_a_better_price_and_for_no_other(bench: OrderBench) -> None:
    placed = limit_only(bench)
    for price, expected in ((95.0, 0), (96.0, 0), (94.0, 1), (95.0, 1)):
        for _ in range(400):
            pass_seconds(bench, 1)
            if goal(bench).unpriced_machine_ns:
                tell(bench, price)
                break
        pass_seconds(bench, 2)
        assert (placed.open, placed.modifies) == (True, expected), f"told {price}"
    assert placed.price == 94.0


def test_exit_that_is_refused_for_ever_stays_within_the_calls_of_an_hour() -> None:
    bench = OrderBench(OmsLimits(exit_calls_hour=20, slow=10 * SECOND))
    bench.hold("e1")
    bench.close("g1")
    pass_seconds(bench, 3500, refuses=True)
    assert exit_calls(bench) == 20
    pass_seconds(bench, 200, refuses=True)
    assert 20 < exit_calls(bench) <= 40, "another hour has begun"


def test_entries_end_before_the_orders_of_a_day_do_and_exits_go_on() -> None:
    bench = OrderBench(OmsLimits(orders_day=4, orders_kept=3))
    bench.hold("e1", stop_trigger=95.0, stop_limit=94.0)
    bench.accept()
    bench.read()
    bench.tick(2 * SECOND)
    bench.enter("e2", strategy="s2", instrument="NFO:B")
    assert bench.order("e2").state is OrderState.DENIED
    assert bench.order("e2").message.startswith("ORDERS_PER_DAY: 2 orders of main were placed today")
    bench.crash()
    bench.enter("e3", strategy="s2", instrument="NFO:B")
    assert bench.order("e3").message.startswith("ORDERS_PER_DAY")
    bench.read()
    bench.close("g1")
    pass_seconds(bench, 4)
    assert [one.order_type for one in resting(bench)] == [OrderType.MARKET]
    bench.broker.trade(resting(bench)[0], 50, 99.0)
    pass_seconds(bench, 20)
    bench.open_day("2026-11-23")
    bench.read()
    bench.enter("e4", strategy="s2", instrument="NFO:B")
    assert bench.order("e4").state is not OrderState.DENIED
