"""Another copy of this state at the same account: its orders are seen, and nothing is placed or sent a second time."""

from __future__ import annotations

import pytest

from mytrading.core.oms import OmsLimits
from mytrading.messages.control import TradingState
from mytrading.messages.enums import (
    BrokerStatus,
    Call,
    OrderType,
    Outcome,
    Product,
    Purpose,
    Severity,
    Side,
    TradingLevel,
)
from mytrading.messages.run_config import UnknownExit
from tests.kit.fake_broker import ACCOUNT, SECOND, OrderBench, Placed
from tests.kit.oms_protection import PLAN, guarded, settle
from tests.kit.state_digest import state_digest

A = ("NFO:A", Product.MIS)
SIGNAL = "5ac1e05ac1e05ac1"
"""An order id as signals make it: 16 digits of a hash."""


def copy_of(one: OrderBench) -> OrderBench:
    """A second stack on a backup of the first one's journal, at the same broker."""
    other = OrderBench(one.limits)
    other.broker, other.time = one.broker, one.time
    other.machine, other.journal = one.replayed(), list(one.journal)
    assert state_digest(other.machine) == state_digest(one.machine)
    other.check_purity = True
    return other


def pass_on(one: OrderBench, other: OrderBench) -> None:
    one.time = other.time = max(one.time, other.time)


def pair(*, tags: bool = False, limits: OmsLimits | None = None) -> tuple[OrderBench, OrderBench]:
    """Two stacks that both hold the same 50 with the same stop; another instrument stands in the position book."""
    one = OrderBench(limits, tags=tags)
    one.broker.net["NFO:OTHER", Product.MIS] = 0
    guarded(one)
    return one, copy_of(one)


def sell_out(one: OrderBench) -> Placed:
    """The first stack closes by hand: its stop is cancelled, and its exit rests at the exchange."""
    one.close("g1")
    one.cancel()
    one.read()
    return one.accept()


def watch(other: OrderBench, turns: int) -> None:
    """The other one reads each second; the broker answers its cancels."""
    for _ in range(turns):
        for call in [call for call in other.calls if call.call is Call.CANCEL]:
            other.cancel(call)
        other.tick(1 * SECOND)
        other.read()


def placings(bench: OrderBench) -> list[tuple[Purpose, int]]:
    return [(call.order.purpose, call.order.quantity) for call in bench.calls if call.call is Call.PLACE]


def open_units(bench: OrderBench) -> int:
    """Units of NFO:A that live orders at the broker would sell."""
    rows = (placed for placed in bench.broker.orders.values() if placed.open and placed.instrument == "NFO:A")
    return sum(placed.quantity - placed.filled for placed in rows if placed.side is Side.SELL)


def resume(bench: OrderBench) -> None:
    bench.step(TradingState(account="", level=TradingLevel.NORMAL, generation=9, reason="looked", at_ns=bench.now))


def critical(bench: OrderBench, code: str) -> list[str]:
    return [alert.message for alert in bench.alerts if alert.code == code and alert.severity is Severity.CRITICAL]


@pytest.mark.parametrize("tags", [False, True])
def test_no_second_stop_is_placed_while_the_other_copy_sells_out(tags: bool) -> None:
    """The other one placed a stop for 50 that the exit of the first one was closing: −50 had both filled."""
    one, other = pair(tags=tags)
    sale = sell_out(one)
    pass_on(one, other)
    watch(other, 12)
    assert placings(other) == [] and open_units(other) == 50, "only the sale of the first one"
    (told,) = critical(other, "STOP_BESIDE_ORDER")
    assert sale.id in told
    level = next(iter(other.machine.state.protections.values()))
    assert other.stands("STOP_BESIDE_ORDER", level.id)
    other.broker.trade(sale, 50, 101.0)
    watch(other, 12)
    assert (other.position().quantity, placings(other), other.broker.net[A]) == (0, [], 0)
    assert not other.stands("STOP_BESIDE_ORDER", level.id)
    assert ("OTHER_COPY" in other.codes()) is tags, "a row without our mark may be a person's"
    assert state_digest(other.replayed()) == state_digest(other.machine)


def test_stop_whose_cancel_is_never_answered_is_not_replaced_once_the_position_book_lacks_its_units() -> None:
    """Some brokers answer the cancel of what has ended with an error of theirs. Five seconds later the one replacement
    of a protection was placed over nothing: the original had sold out meanwhile."""
    one, other = pair()
    sale = sell_out(one)
    one.broker.trade(sale, 50, 101.0)
    pass_on(one, other)
    for _ in range(30):
        for call in [call for call in other.calls if call.call is Call.CANCEL]:
            other.end(call, Outcome.UNKNOWN, message="HTTP 500")
        other.tick(1 * SECOND)
        other.read()
        assert placings(other) == [] and open_units(other) == 0
    assert (other.position().quantity, other.broker.net[A]) == (0, 0)
    assert "STOP_REPLACED" not in other.codes() and "POSITION_CORRECTED" in other.codes()


def test_stop_follows_once_the_order_outside_has_ended_without_a_fill() -> None:
    one, other = pair()
    sale = sell_out(one)
    pass_on(one, other)
    watch(other, 6)
    other.broker.drop(sale)
    watch(other, 8)
    assert placings(other) == [(Purpose.STOP, 50)]


def test_orders_with_our_marks_stop_entries_until_a_resume() -> None:
    """The other stack read orders that its own strategies had sent as a stranger's, and traded on beside them."""
    one, other = pair(tags=True)
    one.enter(SIGNAL, instrument="NFO:B")
    strange = one.accept()
    pass_on(one, other)
    other.read()
    (told,) = critical(other, "OTHER_COPY")
    assert "another copy of this state" in told and strange.id in told and "resume" in told
    other.enter("e9")
    assert other.order("e9").message.startswith("OTHER_COPY: ") and placings(other) == []
    assert other.stands("OTHER_COPY", ACCOUNT)
    resume(other)
    other.read()
    assert not other.stands("OTHER_COPY", ACCOUNT) and len(critical(other, "OTHER_COPY")) == 1
    other.enter("e10", instrument="NFO:C")
    assert placings(other) == [(Purpose.ENTRY, 50)]
    assert state_digest(other.replayed()) == state_digest(other.machine)


def test_order_of_the_very_signal_that_this_stack_is_about_to_follow_is_a_mark() -> None:
    """Both make the same id of one signal: a row that bears the id of an order which has not left."""
    one, other = pair(tags=True)
    one.enter(SIGNAL, instrument="NFO:B")
    one.accept()
    pass_on(one, other)
    other.enter(SIGNAL, instrument="NFO:B")
    (call,) = [call for call in other.calls if call.call is Call.PLACE]
    other.accept(call)
    other.read()
    assert critical(other, "OTHER_COPY"), "two rows of one id"


def test_second_stop_at_our_very_prices_is_a_copy_though_no_row_is_marked() -> None:
    one, other = pair()
    stop = next(placed for placed in other.broker.orders.values() if placed.order_type is OrderType.SL)
    like = other.order(stop.client_order_id)
    pass_on(one, other)
    other.tick(1 * SECOND)
    other.broker.place(like, other.time)
    other.read()
    assert critical(other, "OTHER_COPY")


def test_two_entries_like_ours_at_the_same_times_are_a_copy_and_one_is_not() -> None:
    one, other = pair()
    for number, instrument in enumerate(("NFO:B", "NFO:C")):
        assert not critical(other, "OTHER_COPY"), "one may be a person's"
        for bench in (one, other):
            bench.enter(f"e{number + 2}", instrument=instrument)
            bench.accept()
            pass_on(one, other)
        other.tick(1 * SECOND)
        other.read()
        pass_on(one, other)
    assert critical(other, "OTHER_COPY")


def test_one_order_of_a_person_like_ours_stops_nothing() -> None:
    bench = OrderBench()
    bench.hold("e1")
    for after in (0, 60, 600):
        bench.tick(after * SECOND)
        bench.broker.stranger(bench.order("e1"), bench.time, OrderType.LIMIT)
        bench.read()
    assert not critical(bench, "OTHER_COPY")


def test_what_had_ended_before_the_first_book_of_a_new_state_is_no_copy() -> None:
    """A state that is begun anew finds in the book what the one before sent today."""
    old = OrderBench(tags=True)
    placed = old.hold("e1")
    old.broker.by_hand(0)
    new = OrderBench(tags=True)
    new.broker, new.time = old.broker, old.time
    placed.client_order_id = "0123456789abcdef"
    for _ in range(3):
        new.read()
        new.tick(5 * SECOND)
    assert not critical(new, "OTHER_COPY")
    new.broker.orders["B77"] = Placed("B77", "fedcba9876543210", "NFO:B", Side.BUY, 50, Product.MIS)
    new.read()
    assert critical(new, "OTHER_COPY"), "and one that lives was not sent by what is gone"


def test_exit_beside_a_known_copy_leaves_to_it_what_it_sells() -> None:
    """Both followed the same exit signal and sold 50 each: −50."""
    one, other = pair(tags=True)
    one.enter(SIGNAL, instrument="NFO:B")
    one.accept()
    pass_on(one, other)
    other.read()
    other.close("g9")
    assert other.calls == [], "its stop stays, and no exit goes yet"
    sale = sell_out(one)
    one.broker.trade(sale, 50, 101.0)
    pass_on(one, other)
    watch(other, 12)
    assert (other.position().quantity, placings(other), other.broker.net[A]) == (0, [], 0)
    assert other.machine.state.goals["g9"].state == "done"


def test_exit_beside_a_known_copy_that_does_nothing_goes_after_two_reads() -> None:
    one, other = pair(tags=True)
    one.enter(SIGNAL, instrument="NFO:B")
    one.accept()
    pass_on(one, other)
    other.read()
    other.close("g9")
    watch(other, 8)
    settle(other, 3)
    assert open_units(other) == 50
    exits = [placed for placed in other.broker.orders.values() if placed.open and placed.order_type is OrderType.MARKET]
    assert [placed.quantity for placed in exits if placed.side is Side.SELL] == [50]


@pytest.mark.parametrize("waits", [False, True])
def test_order_outside_that_never_fills_does_not_hold_an_exit_for_ever(waits: bool) -> None:
    """The rule of a rebuilt journal knows no end of the wait: a needed exit was never sent."""
    bench = OrderBench(OmsLimits(unknown_exit=UnknownExit.WAIT) if waits else None)
    bench.broker.net["NFO:OTHER", Product.MIS] = 0
    guarded(bench)
    far = bench.broker.stranger(bench.order("e1"), bench.time, OrderType.LIMIT, Side.SELL, 50)
    bench.read()
    bench.close("g1")
    began = bench.time
    while bench.time - began < 19 * SECOND:
        watch(bench, 1)
        assert placings(bench) == [] and far.open
    watch(bench, 6)
    sent = bool(placings(bench))
    assert sent is not waits and bool(critical(bench, "EXIT_BESIDE_ORDER")) is not waits
    if waits:
        watch(bench, 60)
        assert placings(bench) == [] and bench.stands("GOAL_STUCK", "g1") and "GOAL_STUCK" in bench.codes()


def test_stop_that_waits_outside_holds_no_exit_and_is_no_reason_for_a_second_stop() -> None:
    bench = OrderBench()
    bench.broker.net["NFO:OTHER", Product.MIS] = 0
    bench.hold("e1")
    bench.broker.orders["H9"] = Placed(
        "H9", "H9", "NFO:A", Side.SELL, 50, Product.MIS, status=BrokerStatus.TRIGGER_PENDING, order_type=OrderType.SL,
        price=80.0, trigger_price=82.0,
    )  # fmt: skip
    bench.read()
    bench.close("g1")
    assert placings(bench) == [(Purpose.EXIT, 50)]


def test_units_that_are_guarded_outside_get_no_stop_of_ours_and_others_do() -> None:
    """Of 50 units of ours that a stop outside would close as well none is guarded twice; units of nobody come first."""
    for nobody, wanted in ((0, []), (50, [(Purpose.STOP, 50)])):
        bench = OrderBench()
        bench.broker.net["NFO:OTHER", Product.MIS] = 0
        bench.broker.net[A] = nobody
        bench.broker.orders["H9"] = Placed(
            "H9", "H9", "NFO:A", Side.SELL, 50, Product.MIS, status=BrokerStatus.TRIGGER_PENDING,
            order_type=OrderType.SL, price=80.0, trigger_price=82.0,
        )  # fmt: skip
        bench.read()
        bench.tick(6 * SECOND)
        bench.read()
        bench.enter("e1", **PLAN)
        entry = bench.accept()
        bench.broker.trade(entry, 50, 100.0)
        bench.read()
        bench.tick(6 * SECOND)
        bench.read()
        watch(bench, 3)
        assert placings(bench) == wanted, nobody
        assert bool(critical(bench, "STOP_BESIDE_ORDER")) is not bool(wanted)


@pytest.mark.parametrize(("lot", "wanted"), [(0, 30), (20, 20)])
def test_stop_beside_a_smaller_one_outside_guards_the_other_units_in_whole_lots(lot: int, wanted: int) -> None:
    """A stop outside for 30 of 60 units kept all 60 without one of ours, for as long as it rested there."""
    bench = OrderBench()
    bench.broker.net["NFO:OTHER", Product.MIS] = 0
    bench.broker.orders["H9"] = Placed(
        "H9", "H9", "NFO:A", Side.SELL, 30, Product.MIS, status=BrokerStatus.TRIGGER_PENDING, order_type=OrderType.SL,
        price=80.0, trigger_price=82.0,
    )  # fmt: skip
    bench.read()
    bench.enter("e1", 60, lot=lot, **PLAN)
    entry = bench.accept()
    bench.read()
    bench.broker.trade(entry, 60, 100.0)
    bench.read()
    for _ in range(12):
        bench.tick(1 * SECOND)
        bench.read()
    assert placings(bench) == [(Purpose.STOP, wanted)]
    (told,) = critical(bench, "STOP_BESIDE_ORDER")
    assert f"for {60 - wanted} units" in told and "H9" in told


def test_stop_that_has_not_left_grows_by_no_units_which_an_order_outside_closes() -> None:
    """More of an entry filled while its stop waited to be sent: the stop took all of it, beside one outside."""
    bench = OrderBench()
    bench.broker.net["NFO:OTHER", Product.MIS] = 0
    bench.broker.orders["H9"] = Placed(
        "H9", "H9", "NFO:A", Side.SELL, 30, Product.MIS, status=BrokerStatus.TRIGGER_PENDING, order_type=OrderType.SL,
        price=80.0, trigger_price=82.0,
    )  # fmt: skip
    bench.read()
    bench.enter("e1", 60, **PLAN)
    entry = bench.accept()
    bench.read()
    bench.enter("e2", instrument="NFO:B")
    bench.end(bench.calls[0], Outcome.RATE_LIMITED)
    bench.broker.trade(entry, 40, 100.0)
    bench.read()
    unsent = [(order.purpose, order.quantity) for order in bench.machine.orders() if order.purpose is Purpose.STOP]
    assert unsent == [(Purpose.STOP, 10)] and placings(bench) == []
    bench.broker.trade(entry, 20, 100.0)
    bench.report(entry)
    for _ in range(4):
        bench.tick(1 * SECOND)
        bench.read()
    assert [of for of in placings(bench) if of[0] is Purpose.STOP] == [(Purpose.STOP, 30)]
