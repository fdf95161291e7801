"""An exit of unknown fate goes on into a new day, whose books say what became of it: it is never sent blindly again."""

from __future__ import annotations

import pytest

from mytrading.core.oms import OmsLimits
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.brokers import UNLISTED
from mytrading.messages.enums import Call, OrderState, OrderType, Outcome, Product, Purpose
from mytrading.messages.orders import Order, PositionAdjusted
from tests.kit.fake_broker import ACCOUNT, SECOND, OrderBench, Placed

TODAY, TOMORROW = "1970-01-01", "1970-01-02"
"""The bench's first day, and the next."""


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.hold("e1", product=Product.NRML)
    made.tick(2 * SECOND)
    return made


def leave(bench: OrderBench, *, reaches: bool) -> tuple[Order, Placed | None]:
    """Ask for the exit; its call ends without an answer, and the broker has filled it or never got it."""
    bench.close("g1", product=Product.NRML)
    call = bench.calls[0]
    placed = bench.broker.place(call.order, bench.time) if reaches else None
    if placed is not None:
        bench.broker.trade(placed, 50, 101.0)
    bench.end(call, Outcome.UNKNOWN)
    return bench.order(call.order.client_order_id), placed


def night(bench: OrderBench, placed: Placed, *, reported: bool = True) -> None:
    """The exchange fills it before the night, and the stream alone says so, or nobody does."""
    bench.broker.trade(placed, 50, 101.0)
    if reported:
        bench.report(placed)
    bench.open_day(TOMORROW)
    bench.broker.orders.clear()


def held(bench: OrderBench) -> int:
    found = bench.machine.position(ACCOUNT, "NFO:A", Product.NRML, "s1")
    return found.quantity if found is not None else 0


def exits(bench: OrderBench) -> int:
    return sum(1 for call in bench.calls if call.call is Call.PLACE)


def test_exit_made_on_the_day_before_it_was_opened_is_found_in_its_books(bench: OrderBench) -> None:
    """A machine that slept through the night sends an exit, dies with it, and only then opens the day."""
    order, _ = leave(bench, reaches=True)
    bench.open_day(TODAY)
    bench.tick(2 * SECOND)
    assert bench.order(order.client_order_id).state is OrderState.UNKNOWN and not exits(bench)
    for _ in range(4):
        bench.read()
        bench.tick(2 * SECOND)
    assert bench.order(order.client_order_id).state is OrderState.FILLED
    assert (held(bench), exits(bench)) == (0, 0)
    assert "ORDER_UNRESOLVED" not in bench.codes()


def test_orders_of_the_day_that_ended_before_it_was_opened_are_nobody_elses_after_it(bench: OrderBench) -> None:
    bench.open_day(TODAY)
    for _ in range(3):
        bench.read()
        bench.tick(5 * SECOND)
    assert bench.order("e1").state is OrderState.FILLED
    assert held(bench) == 50 and not any(isinstance(row, UnmanagedChanged) for row in bench.rows)


def test_exit_of_yesterday_that_was_filled_is_not_sent_again_though_no_book_of_today_shows_it(
    bench: OrderBench,
) -> None:
    order, _ = leave(bench, reaches=True)
    bench.open_day(TOMORROW)
    bench.broker.orders.clear()
    for _ in range(30):
        bench.tick(2 * SECOND)
        bench.read()
        assert not exits(bench)
    assert bench.order(order.client_order_id).state is OrderState.EXPIRED
    assert held(bench) == 0 and "ORDER_UNRESOLVED" in bench.codes()


def test_exit_of_yesterday_that_never_reached_the_broker_is_sent_once_more_after_the_books_of_today(
    bench: OrderBench,
) -> None:
    order, _ = leave(bench, reaches=False)
    bench.open_day(TOMORROW)
    bench.broker.orders.clear()
    bench.tick(2 * SECOND)
    assert not exits(bench), "nobody has looked yet"
    for _ in range(9):
        bench.read()
        bench.tick(2 * SECOND)
    assert bench.order(order.client_order_id).state is OrderState.EXPIRED
    assert (held(bench), exits(bench)) == (50, 1)


@pytest.mark.parametrize("positions", [True, False], ids=["whole reads", "orders alone at first"])
def test_exit_that_rested_in_the_evening_and_was_filled_while_the_machine_slept_is_not_sent_again(
    bench: OrderBench, positions: bool
) -> None:
    bench.close("g1", product=Product.NRML)
    placed = bench.accept()
    bench.read()
    night(bench, placed, reported=False)
    for number in range(20):
        bench.read(**({} if positions or number > 3 else {"positions": None}))
        assert not exits(bench)
        bench.tick(2 * SECOND)
    assert bench.order(placed.client_order_id).state is OrderState.EXPIRED
    assert held(bench) == 0


def test_exit_that_rested_in_the_evening_is_sent_again_at_once_where_the_positions_are_ours(bench: OrderBench) -> None:
    bench.close("g1", product=Product.NRML)
    bench.accept()
    bench.read()
    bench.open_day(TOMORROW)
    bench.broker.orders.clear()
    for _ in range(2):
        bench.read()
        bench.tick(SECOND)
    assert (held(bench), exits(bench)) == (50, 1)


def test_stop_that_was_filled_while_the_machine_slept_is_not_placed_again_where_nothing_is_held() -> None:
    bench = OrderBench()
    bench.hold("e1", product=Product.NRML, stop_trigger=90.0, stop_limit=87.0)
    stop = bench.accept()
    bench.read()
    night(bench, stop, reported=False)
    for _ in range(20):
        bench.read()
        assert not exits(bench)
        bench.tick(2 * SECOND)
    assert held(bench) == 0


@pytest.mark.parametrize(("elsewhere", "left"), [(10, 0), (0, 50)], ids=["row dropped", "empty book"])
def test_exit_that_was_filled_over_night_is_not_sent_again_where_the_positions_lack_its_contract(
    bench: OrderBench, elsewhere: int, left: int
) -> None:
    """Many brokers drop what is flat. A book without any row tells nothing: a person is asked."""
    bench.close("g1", product=Product.NRML)
    placed = bench.accept()
    bench.read()
    night(bench, placed, reported=False)
    bench.broker.net.clear()
    if elsewhere:
        bench.broker.net["NFO:Z", Product.NRML] = elsewhere
    for _ in range(40):
        bench.read()
        assert not exits(bench)
        bench.tick(2 * SECOND)
    assert held(bench) == left and ("GOAL_STUCK" in bench.codes()) == bool(left)


@pytest.mark.parametrize("read", [1, 2, 3, 4])
def test_exit_that_is_wanted_beside_a_stop_filled_over_night_waits_for_the_positions(read: int) -> None:
    bench = OrderBench()
    bench.hold("e1", product=Product.NRML, stop_trigger=90.0, stop_limit=87.0)
    stop = bench.accept()
    bench.read()
    night(bench, stop, reported=False)
    for number in range(20):
        bench.read()
        if number == read:
            bench.close("g1", product=Product.NRML)
        assert not exits(bench)
        bench.tick(SECOND)
    assert held(bench) == 0


@pytest.mark.parametrize("late", [False, True], ids=["in the evening", "after it ended in the morning"])
def test_exit_of_which_one_source_alone_reported_a_fill_is_not_sent_again(bench: OrderBench, late: bool) -> None:
    """Its second source never comes: it held the positions in doubt for ever, or was forgotten and sent again."""
    bench.close("g1", product=Product.NRML)
    placed = bench.accept()
    bench.read()
    night(bench, placed, reported=not late)
    for number in range(20):
        bench.read()
        if late and number == 1:
            bench.report(placed)
        assert not exits(bench)
        bench.tick(2 * SECOND)
    assert held(bench) == 0
    assert next(goal for goal in bench.machine.goals() if goal.id == "g1").state == "done"


def test_day_began_without_the_units_that_an_exit_of_yesterday_is_found_to_have_sold(bench: OrderBench) -> None:
    """Ten of fifty were sold in the evening. The day still counted them as carried, and whatever a person traded after
    the rest was sold stayed disputed by ten without end."""
    bench.close("g1", product=Product.NRML)
    placed = bench.accept()
    bench.read()
    bench.broker.trade(placed, 10, 101.0)
    bench.report(placed)
    bench.open_day(TOMORROW)
    bench.broker.orders.clear()
    for _ in range(10):
        bench.read()
        bench.tick(2 * SECOND)
    assert held(bench) == 40
    rest = bench.accept()
    bench.broker.trade(rest, 40, 101.0)
    bench.report(rest)
    bench.broker.by_hand(-30, product=Product.NRML)
    for _ in range(10):
        bench.read()
        bench.tick(2 * SECOND)
    unmanaged = [level.quantity for level in bench.machine.state.unmanaged.values()]
    assert (held(bench), unmanaged, len(bench.machine.state.mismatches)) == (0, [-30], 0)


def test_net_shown_before_a_fill_of_the_evening_was_known_is_no_first_look_for_what_it_lacks(bench: OrderBench) -> None:
    """It held more than ours then. A position book that was late by the fill showed it once more, and units of ours
    were booked as squared off by a single look."""
    bench.enter("e2", 20, product=Product.NRML, strategy="s2", order_type=OrderType.LIMIT, price=100.0)
    placed = bench.accept()
    bench.read()
    bench.broker.trade(placed, 3, 100.0)
    bench.open_day(TOMORROW)
    bench.broker.orders.clear()
    bench.read()
    bench.tick(3 * SECOND)
    placed.filled = 13
    bench.report(placed)
    bench.tick(3 * SECOND)
    for _ in range(3):
        bench.read()
        bench.tick(SECOND)
    assert (bench.order("e2").filled, held(bench)) == (13, 50)
    assert not [row for row in bench.rows if isinstance(row, PositionAdjusted)]


def evening_of_two(shown: int | None) -> OrderBench:
    """Two strategies hold 50 each at a broker whose position book may be partial; the exit of one is filled in the
    evening, as the stream alone says. The book of the morning shows `shown` of it (None: only another instrument)."""
    bench = OrderBench(OmsLimits(unlisted=UNLISTED))
    for name, owner in (("e1", "s1"), ("e2", "s2")):
        bench.hold(name, product=Product.NRML, strategy=owner, stop_trigger=90.0, stop_limit=87.0)
        bench.accept()
    bench.read()
    bench.close("g1", product=Product.NRML)
    bench.cancel()
    for _ in range(3):
        bench.read()
        bench.tick(SECOND)
    night(bench, bench.accept())
    bench.broker.net = {("NFO:Z", Product.NRML): 10} if shown is None else {("NFO:A", Product.NRML): shown}
    for _ in range(40):
        bench.read()
        bench.tick(2 * SECOND)
        for call in [call for call in bench.calls if call.order.purpose is Purpose.STOP]:
            bench.accept(call)
    return bench


def test_exit_filled_in_the_evening_left_two_stops_for_what_the_position_book_showed_once() -> None:
    """Its fill was taken back though the book of the morning bore it out; at a broker whose book may be partial nothing
    corrected the rest: 100 were guarded where 50 were held, and both stops filled, 50 short."""
    bench = evening_of_two(50)
    stops = [p for p in bench.broker.orders.values() if p.open and p.quantity]
    assert (held(bench), sum(p.quantity for p in stops)) == (0, 50)
    other = bench.machine.position(ACCOUNT, "NFO:A", Product.NRML, "s2")
    assert other is not None and other.quantity == 50
    assert next(goal for goal in bench.machine.goals() if goal.id == "g1").state == "done"
    assert "POSITION_DISPUTED" not in bench.codes()


@pytest.mark.parametrize("shown", [100, 75, None], ids=["all there", "not as many gone", "no row"])
def test_exit_of_the_evening_counts_by_no_book_that_does_not_lack_its_units(shown: int | None) -> None:
    assert held(evening_of_two(shown)) == 50


def test_entry_of_which_one_source_reported_a_fill_in_the_evening_counts_and_is_guarded() -> None:
    bench = OrderBench()
    bench.read()
    bench.enter("e1", product=Product.NRML, stop_trigger=90.0, stop_limit=87.0, reference_price=100.0)
    night(bench, bench.accept())
    for _ in range(6):
        bench.read()
        bench.tick(2 * SECOND)
    assert held(bench) == 50 and not any(isinstance(row, UnmanagedChanged) for row in bench.rows)
    (stop,) = (call.order for call in bench.calls if call.call is Call.PLACE)
    assert (stop.purpose, stop.quantity) == (Purpose.STOP, 50)


def test_exit_waits_for_positions_that_are_not_compared_beside_anothers_order_of_unknown_fate(
    bench: OrderBench,
) -> None:
    bench.enter("e2", product=Product.NRML, strategy="s2")
    other = bench.accept()
    bench.broker.trade(other, 50, 100.0)
    bench.report(other)
    bench.read()
    bench.close("g1", product=Product.NRML)
    placed = bench.accept()
    bench.read()
    night(bench, placed, reported=False)
    bench.close("g2", product=Product.NRML, strategy="s2")
    for _ in range(21):  # no book tells of what was carried: the exit goes all the same
        bench.tick(SECOND)
    bench.end(next(call for call in bench.calls if call.order.strategy == "s2"), Outcome.UNKNOWN)
    for _ in range(16):
        bench.read()
        bench.tick(SECOND)
        assert not [call for call in bench.calls if call.call is Call.PLACE and call.order.strategy == "s1"]
