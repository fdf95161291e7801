"""A journal whose day cannot be ended at midnight: orders belong to the day on which they were made, not to its file.

The bench never opens a day here, as a router does on a disk that takes no new file.
"""

from __future__ import annotations

import pytest

from mytrading.messages.enums import Call, OrderState, Product
from tests.kit.fake_broker import NEVER, SECOND, OrderBench
from tests.kit.oms_protection import PLAN, settle, stops

DAY = 86_400 * SECOND


@pytest.fixture
def bench() -> OrderBench:
    """Fifty units bought and guarded on the first day."""
    made = OrderBench()
    made.check_purity = True
    made.hold("e1", product=Product.NRML, **PLAN)
    made.accept()
    made.read()
    made.tick(2 * SECOND)
    made.session_open = False
    return made


def morning(bench: OrderBench) -> None:
    """The broker's orders end with their day, and its books of the next one list none of them; our file goes on."""
    bench.time += DAY
    for placed in bench.broker.orders.values():
        if placed.open:
            bench.broker.drop(placed)
        placed.booked_at = NEVER


@pytest.mark.parametrize("traded", [False, True], ids=["the books are empty", "somebody traded this morning"])
def test_filled_order_of_yesterday_is_not_missed_and_an_empty_book_of_the_morning_is_no_failure(
    bench: OrderBench, traded: bool
) -> None:
    morning(bench)
    if traded:
        bench.broker.by_hand(10, "NFO:B")
    settle(bench, 90)  # longer than a filled order of today may be out of sight
    assert bench.order("e1").state is OrderState.FILLED
    assert not {"ORDER_MISSING", "BOOKS_EMPTY"} & bench.codes()
    (held,) = bench.machine.positions()
    assert (held.strategy, held.quantity) == ("s1", 50)


def test_stop_of_yesterday_ends_with_its_day_and_the_next_one_rests_from_the_open_on(bench: OrderBench) -> None:
    name = stops(bench)[0].client_order_id
    morning(bench)
    settle(bench, 4)
    assert bench.order(name).state is OrderState.EXPIRED
    assert "ORDER_OVERNIGHT" in bench.codes() and "ORDER_MISSING" not in bench.codes()
    bench.session_open = True
    settle(bench, 4)
    (new,) = stops(bench, OrderState.ACCEPTED)
    assert (new.quantity, new.trigger_price) == (50, 90.0)
    (level,) = bench.machine.state.protections.sorted_values()
    assert level.failures == 0, "the night is no failure of a stop"


def test_change_of_a_stop_of_yesterday_is_not_sent(bench: OrderBench) -> None:
    name = stops(bench)[0].client_order_id
    bench.ask_modify(name, trigger_price=92.0)
    morning(bench)
    bench.session_open = True
    bench.tick(SECOND)
    assert [call for call in bench.calls if call.call is Call.MODIFY] == []
    settle(bench, 6)
    assert [stop.trigger_price for stop in stops(bench, OrderState.ACCEPTED)] == [92.0]


def test_filled_order_of_today_is_missed_though_the_day_was_not_rolled(bench: OrderBench) -> None:
    morning(bench)
    bench.session_open = True
    settle(bench, 4)
    bench.hold("e2", instrument="NFO:B", strategy="s2", product=Product.NRML)
    settle(bench, 2)
    assert bench.order("e2").state is OrderState.FILLED
    bench.broker.orders[bench.order("e2").broker_order_id].booked_at = NEVER
    settle(bench, 90)
    assert [alert.subject for alert in bench.alerts if alert.code == "ORDER_MISSING"] == ["e2"]
