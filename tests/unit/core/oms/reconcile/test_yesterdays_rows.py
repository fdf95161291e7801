"""Rows of earlier days, and ids that a broker uses again: an id and a day are one order, and the dead take nothing."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.core.oms import OmsLimits
from mytrading.core.oms.state import broker_ids
from mytrading.core.time import DAY
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.brokers import UNLISTED
from mytrading.messages.enums import BrokerStatus, Call, OrderState, Outcome, Product, Purpose
from mytrading.messages.reports import BrokerOrder
from tests.kit.fake_broker import ACCOUNT, SECOND, OpenCall, OrderBench, Placed, time_out

PLAN = {"product": Product.NRML, "stop_trigger": 90.0, "stop_limit": 87.0}
TOMORROW = "1970-01-02"
DUSK = 18 * 3600 * SECOND
"""Market time of the bench's first evening, in India 23:30."""


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.check_purity = True
    made.time = DUSK
    made.see_mode()
    made.read()
    return made


def held(bench: OrderBench, strategy: str = "s1") -> int:
    found = bench.machine.position(ACCOUNT, "NFO:A", Product.NRML, strategy)
    return found.quantity if found is not None else 0


def unmanaged(bench: OrderBench) -> int:
    rows = [row.quantity for row in bench.rows if isinstance(row, UnmanagedChanged)]
    return rows[-1] if rows else 0


def round_trip(bench: OrderBench, entry: str, goal: str) -> Placed:
    """50 bought and sold again; returns the exit as the broker has it."""
    bench.hold(entry, product=Product.NRML)
    bench.tick(2 * SECOND)
    bench.close(goal, product=Product.NRML)
    sold = bench.accept()
    bench.broker.trade(sold, 50, 101.0)
    bench.report(sold)
    bench.read()
    assert held(bench) == 0
    return sold


def turn_of_day(bench: OrderBench, hours: int = 1) -> None:
    """The day turns, and the books show yesterday's rows still."""
    bench.time += hours * 3600 * SECOND
    bench.open_day(TOMORROW)


def read_on(bench: OrderBench, times: int = 5) -> None:
    for _ in range(times):
        bench.read()
        bench.tick(6 * SECOND)


@pytest.mark.parametrize("whose", ["ours", "a stranger's"])
def test_exit_of_unknown_fate_was_bound_to_an_older_exit_that_the_books_show_after_midnight(
    bench: OrderBench, whose: str
) -> None:
    if whose == "ours":
        round_trip(bench, "e1", "g1")
    else:
        bench.broker.by_hand(50, product=Product.NRML)
        bench.broker.by_hand(0, product=Product.NRML)
        bench.read()
    bench.hold("e2", product=Product.NRML)
    bench.tick(2 * SECOND)
    bench.close("g2", product=Product.NRML)
    time_out(bench, placed=False)
    turn_of_day(bench)
    read_on(bench)
    assert (held(bench), unmanaged(bench)) == (50, 0), "the broker holds 50, and they have their owner"
    assert sum(call.call is Call.PLACE for call in bench.calls) == 1, "what was not placed is sent once more"


def test_exit_of_the_evening_is_found_after_midnight_by_its_own_time(bench: OrderBench) -> None:
    """Nobody could read the books before midnight; the row says that it is of that call."""
    bench.hold("e1", product=Product.NRML)
    bench.tick(2 * SECOND)
    bench.close("g1", product=Product.NRML)
    sent, call = bench.now, time_out(bench, placed=True)
    row = list(bench.broker.orders.values())[-1]
    bench.broker.trade(row, 50, 101.0)
    turn_of_day(bench)
    for _ in range(3):
        shown = bench.broker.books(bench.time).orders or ()
        bench.read(orders=tuple(replace(one, time_ns=sent + SECOND) for one in shown))
        bench.tick(6 * SECOND)
    assert bench.order(call.order.client_order_id).state is OrderState.FILLED and held(bench) == 0


def test_order_of_the_morning_is_no_exit_of_the_evening_before(bench: OrderBench) -> None:
    """A person sells s2's units at the open, in a quantity like that of s1's exit of unknown fate."""
    bench.hold("e1", product=Product.NRML)
    bench.hold("e2", product=Product.NRML, strategy="s2")
    bench.tick(2 * SECOND)
    bench.close("g1", product=Product.NRML)
    call = time_out(bench, placed=False)
    turn_of_day(bench, 10)
    bench.broker.orders.clear()
    bench.broker.by_hand(50, product=Product.NRML)
    read_on(bench)
    assert bench.order(call.order.client_order_id).state is OrderState.EXPIRED
    assert held(bench) + held(bench, "s2") == 50


def test_stop_of_today_was_given_to_one_whose_call_was_out_when_the_router_died_in_the_evening(
    bench: OrderBench,
) -> None:
    """The restart notes the call as ended in the morning; it ended with the router all the same."""
    bench.hold("e1", **PLAN)
    old = bench.calls[0].order.client_order_id
    turn_of_day(bench, 10)
    bench.crash((ACCOUNT,))
    bench.see_mode()
    assert bench.order(old).state is OrderState.UNKNOWN
    bench.tick(SECOND)
    like = bench.order(old)
    bench.broker.orders.clear()
    bench.broker.orders["H1"] = Placed("H1", "H1", "NFO:A", like.side, 50, like.product, order_type=like.order_type)
    bench.read()
    bench.read()
    assert bench.order(old).broker_order_id == ""


def test_sale_of_yesterday_took_units_of_today_that_a_partial_position_book_lacked() -> None:
    """A stranger sold yesterday what he had; the row stands in the book of the morning as a trade of nobody."""
    bench = OrderBench()
    bench.time = DUSK
    bench.see_mode()
    bench.hold("e1", **PLAN)
    bench.accept()
    bench.read()
    bench.broker.net["NFO:Z", Product.NRML] = 1
    turn_of_day(bench)
    bench.broker.orders.clear()
    bench.broker.net["NFO:A", Product.NRML] = 100
    read_on(bench)
    assert unmanaged_of(bench, "NFO:A") == 50
    bench.answer_calls()
    bench.read()
    bench.broker.by_hand(50, product=Product.NRML)
    read_on(bench)
    assert (held(bench), unmanaged_of(bench, "NFO:A")) == (50, 0)
    bench.time += DAY
    bench.limits = OmsLimits(unlisted=UNLISTED)
    bench.open_day("1970-01-03")
    bench.broker.unlisted.add(("NFO:A", Product.NRML))
    read_on(bench, 8)
    assert held(bench) == 50, "nothing of today sold it"


def unmanaged_of(bench: OrderBench, instrument: str) -> int:
    rows = [row.quantity for row in bench.rows if isinstance(row, UnmanagedChanged) and row.instrument == instrument]
    return rows[-1] if rows else 0


def reuse(bench: OrderBench, call: OpenCall, name: str, **fields: object) -> BrokerOrder:
    """The broker has the order of a call under an id of yesterday; returns its row."""
    placed = bench.broker.place(call.order, bench.time)
    del bench.broker.orders[placed.id]
    bench.broker.orders[name] = placed
    placed.id = name
    return replace(placed.row(True, False), **fields)


def test_entry_answered_with_the_id_of_a_carried_stop_is_another_order(bench: OrderBench) -> None:
    bench.hold("e1", **PLAN)
    stop = bench.accept()
    bench.read()
    turn_of_day(bench)
    bench.broker.orders.clear()
    bench.read()
    bench.enter("e2", instrument="NFO:B", product=Product.NRML, strategy="s2", stop_trigger=90.0, stop_limit=87.0)
    call = next(one for one in bench.calls if one.order.client_order_id == "e2")
    reuse(bench, call, stop.id)
    bench.end(call, Outcome.ACCEPTED, stop.id)
    bench.broker.trade(bench.broker.orders[stop.id], 50, 100.0)
    read_on(bench, 3)
    assert (bench.order("e2").state, bench.order("e2").broker_order_id) == (OrderState.FILLED, stop.id)
    guards = [c.order for c in bench.calls if c.call is Call.PLACE and c.order.instrument == "NFO:B"]
    assert [(order.purpose, order.quantity) for order in guards] == [(Purpose.STOP, 50)]
    assert not {"ORDER_ILLEGAL", "ORDER_UNKNOWN"} & bench.codes()
    old = next(o for o in bench.machine.orders() if o.purpose is Purpose.STOP and o.instrument == "NFO:A"
               and o.call.attempt and o.broker_order_id == stop.id)  # fmt: skip
    assert old.state is OrderState.EXPIRED, "the carried stop ended with its day"


def test_cancel_of_a_carried_stop_goes_to_no_order_that_has_its_id_today(bench: OrderBench) -> None:
    bench.hold("e1", **PLAN)
    stop = bench.accept()
    bench.read()
    turn_of_day(bench)
    bench.enter("e2", instrument="NFO:B", product=Product.NRML, strategy="s2")
    bench.read()
    call = next(one for one in bench.calls if one.order.client_order_id == "e2")
    reuse(bench, call, stop.id)
    bench.end(call, Outcome.ACCEPTED, stop.id)
    bench.close("g1", product=Product.NRML)
    for _ in range(5):
        bench.tick(SECOND)
    assert bench.order("e2").broker_order_id == stop.id
    assert not [one for one in bench.calls if one.call is Call.CANCEL]


def test_entry_answered_with_the_id_of_an_ended_order_of_yesterday_that_is_still_shown_is_another_order(
    bench: OrderBench,
) -> None:
    """Both rows stand in the book, the old one of another instrument."""
    sold = round_trip(bench, "e1", "g1")
    old = bench.broker.books(bench.time)
    turn_of_day(bench)
    bench.read(old)
    bench.enter("e2", instrument="NFO:B", product=Product.NRML)
    call = bench.calls[0]
    new = reuse(bench, call, sold.id, status=BrokerStatus.OPEN)
    bench.end(call, Outcome.ACCEPTED, sold.id)
    for _ in range(3):
        bench.read(orders=(*(old.orders or ()), new))
        bench.tick(2 * SECOND)
    assert (bench.order("e2").state, bench.order("e2").broker_order_id) == (OrderState.ACCEPTED, sold.id)
    assert "ORDER_ILLEGAL" not in bench.codes()


@pytest.mark.parametrize("says_its_time", [True, False])
def test_exit_of_unknown_fate_behind_an_id_used_again_is_not_sent_twice(bench: OrderBench, says_its_time: bool) -> None:
    """No book was read before. By its own time it is found; else nothing tells the two apart: no other exit goes."""
    sold = round_trip(bench, "e1", "g1")
    bench.hold("e2", product=Product.NRML)
    turn_of_day(bench)
    bench.tick(2 * SECOND)
    bench.close("g2", product=Product.NRML)
    for _ in range(21):  # without a book of the morning the exit goes all the same
        bench.tick(SECOND)
    call = bench.calls[0]
    bench.broker.orders.clear()
    reuse(bench, call, sold.id)
    bench.broker.trade(bench.broker.orders[sold.id], 50, 101.0)
    bench.end(call, Outcome.UNKNOWN)
    at = bench.now if says_its_time else 0
    for _ in range(12):
        shown = bench.broker.books(bench.time).orders or ()
        bench.read(orders=tuple(replace(row, time_ns=at if row.broker_order_id == sold.id else 0) for row in shown))
        bench.tick(6 * SECOND)
        assert not bench.calls, "it has filled: a second one would sell what nobody holds"
    state = OrderState.FILLED if says_its_time else OrderState.UNKNOWN
    assert bench.order(call.order.client_order_id).state is state


def test_exit_behind_an_id_that_the_books_of_today_had_dropped_is_found(bench: OrderBench) -> None:
    """The broker numbers its orders anew each day, and its rows tell no time."""
    sold = round_trip(bench, "e1", "g1")
    bench.hold("e2", product=Product.NRML)
    turn_of_day(bench)
    bench.read()
    bench.broker.orders.clear()
    bench.read()
    assert not bench.machine.state.earlier, "the books have begun the day"
    bench.tick(2 * SECOND)
    bench.close("g2", product=Product.NRML)
    call = bench.calls[0]
    reuse(bench, call, sold.id)
    bench.broker.trade(bench.broker.orders[sold.id], 50, 101.0)
    bench.end(call, Outcome.UNKNOWN)
    read_on(bench)
    assert bench.order(call.order.client_order_id).state is OrderState.FILLED
    assert (held(bench), bench.calls) == (0, [])


def test_empty_book_that_nothing_bears_out_forgets_no_id(bench: OrderBench) -> None:
    round_trip(bench, "e1", "g1")
    turn_of_day(bench)
    known = dict(bench.machine.state.earlier)
    bench.read(orders=(), trades=(), positions=())
    bench.read(orders=(), trades=None, funds_live=True)
    assert dict(bench.machine.state.earlier) == known and known
    bench.read(orders=(), trades=(), funds_live=True)
    assert not bench.machine.state.earlier


def test_ids_are_carried_for_some_days_without_books_and_not_for_ever(bench: OrderBench) -> None:
    sold = round_trip(bench, "e1", "g1")
    known = []
    for number in range(2, 9):
        bench.open_day(f"1970-01-{number:02}")
        bench.time += DAY
        known.append((ACCOUNT, sold.id) in bench.machine.state.earlier)
    assert known == [True] * 5 + [False] * 2


def test_ids_that_are_carried_are_bounded(bench: OrderBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_ids, "KEPT_IDS", 3)
    for units in range(1, 6):
        bench.broker.by_hand(units)
    bench.read()
    opened = bench.machine.snapshot(TOMORROW)
    assert opened.broker_ids == {"1970-01-02 main": ("H1", "H2", "H3")}


@pytest.mark.parametrize("units", [25, 75])
def test_exit_under_the_id_of_a_stop_that_ended_with_its_day_was_booked_as_that_stop(
    bench: OrderBench, units: int
) -> None:
    """The stream tells of it before the call is answered; the books list both quantities and the trade."""
    bench.hold("e1", **PLAN)
    stop = bench.accept()
    bench.hold("e2", units, product=Product.NRML, strategy="s2")
    bench.read()
    turn_of_day(bench)
    bench.broker.orders.clear()
    read_on(bench, 4)
    carried = next(o for o in bench.machine.orders() if o.broker_order_id == stop.id)
    assert carried.state is OrderState.EXPIRED
    assert bench.accept().id != stop.id, "the stop that follows"
    bench.close("g2", product=Product.NRML, strategy="s2")
    call = next(one for one in bench.calls if one.order.strategy == "s2")
    reuse(bench, call, stop.id)
    sold = bench.broker.orders[stop.id]
    bench.broker.trade(sold, units, 101.0)
    bench.report(sold)
    bench.read()
    assert bench.order(carried.client_order_id).filled_seen == 0
    bench.end(call, Outcome.ACCEPTED, stop.id)
    read_on(bench, 3)
    assert (held(bench), held(bench, "s2")) == (50, 0)
    assert not bench.codes() & {"ORDER_OVERFILLED", "POSITION_REVERSED"}
