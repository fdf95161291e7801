"""Orders of unknown fate: adopted, lost, ghosts, and what waits for a person."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.oms import OmsLimits
from mytrading.messages.brokers import PLAIN
from mytrading.messages.enums import OrderState, OrderType, Outcome, Purpose, Side
from mytrading.messages.order_evidence import Candidate, Unseen
from mytrading.messages.reports import BrokerTrades, ModeSeen
from mytrading.messages.run_config import UnknownExit
from tests.kit.fake_broker import ACCOUNT, MS, SECOND, OpenCall, OrderBench, time_out


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.check_purity = True
    made.read()
    return made


def exit_unknown(bench: OrderBench, *, placed: bool) -> OpenCall:
    """Hold 50, close, and the exit's call times out."""
    bench.hold("e1")
    bench.tick(2 * SECOND)
    bench.close("g1")
    return time_out(bench, placed=placed)


def test_unknown_entry_is_never_placed_again(bench: OrderBench) -> None:
    bench.enter("e1")
    time_out(bench, placed=False)
    for _ in range(200):
        bench.tick(1 * SECOND)
        bench.read()
    assert bench.calls == [] and bench.order("e1").call.attempt == 1


def test_unknown_entry_blocks_its_side_of_the_key(bench: OrderBench) -> None:
    bench.enter("e1")
    time_out(bench, placed=True)
    bench.enter("e2")
    bench.enter("e3", instrument="NFO:B")
    assert bench.order("e2").state is OrderState.INITIALIZED
    assert bench.order("e3").state is OrderState.SUBMITTED
    bench.read()
    bench.read()
    assert bench.order("e2").state is OrderState.SUBMITTED


def test_unknown_order_is_adopted_when_two_reads_show_exactly_one(bench: OrderBench) -> None:
    bench.enter("e1")
    time_out(bench, placed=True)
    bench.read()
    assert (bench.order("e1").state, bench.order("e1").evidence.match) == (
        OrderState.UNKNOWN,
        Candidate(broker_order_id="B1"),
    )
    bench.read()
    assert (bench.order("e1").state, bench.order("e1").broker_order_id) == (OrderState.ACCEPTED, "B1")


def test_unknown_order_that_filled_is_adopted_with_its_fill(bench: OrderBench) -> None:
    bench.enter("e1")
    time_out(bench, placed=True)
    bench.broker.trade(bench.broker.orders["B1"], 50, 100.0)
    bench.read()
    bench.read()
    bench.read()
    assert bench.order("e1").state is OrderState.FILLED and bench.position().quantity == 50


def test_unknown_order_with_our_id_in_the_tag_is_adopted_at_once() -> None:
    bench = OrderBench(tags=True)
    bench.read()
    bench.enter("e1")
    time_out(bench, placed=True)
    bench.read()
    assert bench.order("e1").broker_order_id == "B1"


def test_unknown_order_is_not_an_order_known_before_the_call(bench: OrderBench) -> None:
    bench.enter("e1")
    foreign = bench.broker.place(bench.order("e1"), bench.time)
    bench.end(bench.calls[0], Outcome.REFUSED)
    bench.read()
    bench.enter("e2")
    time_out(bench, placed=False)
    for _ in range(3):
        bench.read()
    assert bench.order("e2").state is OrderState.UNKNOWN and bench.order("e2").evidence.match == Unseen(reads=2)
    assert foreign.id not in {order.broker_order_id for order in bench.machine.orders()}


@pytest.mark.parametrize("change", [{"quantity": 49}, {"side": Side.SELL}, {"instrument": "NFO:Z"}])
def test_unknown_order_is_not_one_that_differs_in_a_hard_fact(bench: OrderBench, change: dict[str, object]) -> None:
    bench.enter("e1")
    time_out(bench, placed=True)
    for name, value in change.items():
        setattr(bench.broker.orders["B1"], name, value)
    bench.read()
    bench.read()
    assert bench.order("e1").state is OrderState.UNKNOWN and not bench.order("e1").broker_order_id


def test_unknown_order_with_several_candidates_waits_for_a_person(bench: OrderBench) -> None:
    bench.enter("e1")
    time_out(bench, placed=True)
    bench.broker.place(bench.order("e1"), bench.time)
    for _ in range(4):
        bench.read()
    assert bench.order("e1").state is OrderState.UNKNOWN
    assert [alert.code for alert in bench.alerts].count("ORDER_AMBIGUOUS") == 1


def test_candidate_that_vanishes_is_dropped(bench: OrderBench) -> None:
    bench.enter("e1")
    time_out(bench, placed=True)
    bench.read()
    gone = bench.broker.orders.pop("B1")
    gone.instrument = "NFO:Z"
    bench.broker.orders["B9"] = gone
    bench.read()
    assert bench.order("e1").evidence.match is None


def test_unknown_entry_is_lost_after_the_window_and_two_reads(bench: OrderBench) -> None:
    bench.enter("e1")
    time_out(bench, placed=False)
    bench.read()
    bench.read()
    bench.tick(129 * SECOND)
    bench.read()
    assert bench.order("e1").state is OrderState.UNKNOWN
    bench.tick(2 * SECOND)
    bench.read(orders=None)
    assert bench.order("e1").state is OrderState.UNKNOWN, "a failed read is no evidence"
    bench.read()
    assert bench.order("e1").state is OrderState.LOST and "ORDER_LOST" in bench.codes()


@pytest.fixture
def tagged() -> OrderBench:
    """In analyzer mode, where the order book shows our ids as tags; another order of ours is in it."""
    made = OrderBench(tags=True)
    made.hold("e0", instrument="NFO:B")
    made.tick(2 * SECOND)
    return made


def test_unknown_entry_is_lost_after_two_reads_of_a_book_that_shows_our_tags(tagged: OrderBench) -> None:
    before = tagged.broker.books(tagged.time)
    tagged.enter("e1")
    time_out(tagged, placed=False)
    tagged.step(replace(before, began_machine_ns=tagged.order("e1").call.ended_machine_ns))
    tagged.read()
    assert tagged.order("e1").state is OrderState.UNKNOWN, "the first began before the call had ended"
    tagged.read()
    assert tagged.order("e1").state is OrderState.LOST
    cure = "mytrading orders resolve e1 --not-placed"
    assert [cure in alert.message for alert in tagged.alerts if alert.code == "ORDER_LOST"] == [True]


def test_entry_that_is_in_a_book_with_tags_is_ours_at_the_first_read(tagged: OrderBench) -> None:
    tagged.enter("e1")
    time_out(tagged, placed=True)
    tagged.read()
    assert tagged.order("e1").state is OrderState.ACCEPTED


@pytest.mark.parametrize("book", ["live", "untagged", "in part", "nothing of ours"])
def test_unknown_entry_keeps_the_whole_window_where_the_book_may_lack_our_tag(book: str) -> None:
    bench = OrderBench(OmsLimits(mode_first=False), tags=book != "untagged")
    bench.step(ModeSeen(account=ACCOUNT, mode="live" if book == "live" else "analyze", expected=True, machine_ns=1))
    if book != "nothing of ours":
        bench.hold("e0", instrument="NFO:B")
    bench.read()
    bench.enter("e1")
    time_out(bench, placed=False)
    for _ in range(4):
        bench.tick(5 * SECOND)
        shown = bench.broker.books(bench.time)
        rows = [replace(row, tag="") for row in shown.orders or ()] if book == "in part" else shown.orders
        bench.read(orders=tuple(rows or ()))
    assert bench.order("e1").state is OrderState.UNKNOWN
    bench.tick(130 * SECOND)
    bench.read()
    assert bench.order("e1").state is OrderState.LOST


def test_other_side_is_entered_while_an_entry_is_lost(bench: OrderBench) -> None:
    lost(bench)
    bench.enter("e2", side=Side.SELL)
    assert bench.order("e2").state is OrderState.SUBMITTED


def test_entry_that_an_unknown_one_kept_waiting_says_so_when_it_expires(bench: OrderBench) -> None:
    bench.enter("e1")
    time_out(bench, placed=False)
    bench.enter("e2", expires_ns=bench.now + SECOND, expires_machine_ns=bench.time + SECOND)
    bench.tick(2 * SECOND)
    assert bench.order("e2").state is OrderState.EXPIRED
    assert "mytrading orders resolve e1 --not-placed" in bench.order("e2").message


def test_lost_entry_keeps_its_reservation_until_the_session_ends(bench: OrderBench) -> None:
    bench.enter("e1")
    time_out(bench, placed=False)
    bench.read()
    bench.tick(140 * SECOND)
    bench.read()
    bench.enter("e2")
    assert bench.order("e2").message.startswith("RESERVED")
    for row in bench.machine.expire_day(bench.now, "2026-11-23"):
        bench.machine.apply(row)
    bench.enter("e3")
    assert bench.order("e3").state is OrderState.SUBMITTED


def lost(bench: OrderBench, **fields: Any) -> None:
    bench.enter("e1", **fields)
    time_out(bench, placed=False)
    bench.read()
    bench.tick(140 * SECOND)
    bench.read()
    assert bench.order("e1").state is OrderState.LOST


def test_lost_entry_that_appears_resting_is_cancelled(bench: OrderBench) -> None:
    lost(bench)
    bench.broker.place(bench.order("e1"), bench.time)
    bench.read()
    assert "ORDER_APPEARED" in bench.codes()
    assert bench.calls[0].order.broker_order_id == "B1"
    bench.cancel()
    bench.read()
    assert bench.order("e1").state is OrderState.CANCELLED


def test_lost_entry_that_appears_filled_is_owned(bench: OrderBench) -> None:
    lost(bench)
    placed = bench.broker.place(bench.order("e1"), bench.time)
    bench.broker.trade(placed, 50, 100.0)
    bench.read()
    bench.read()
    assert bench.position().quantity == 50 and bench.order("e1").state is OrderState.FILLED


def test_lost_entry_that_turns_a_position_round_brings_its_own_levels(bench: OrderBench) -> None:
    lost(bench, held_stop=90.0, held_target=120.0)
    bench.hold("e2", 30, side=Side.SELL, held_stop=110.0, held_target=80.0)
    assert (bench.position().quantity, bench.position().held_stop) == (-30, 110.0)
    bench.broker.trade(bench.broker.place(bench.order("e1"), bench.time), 50, 100.0)
    bench.read()
    bench.read()
    held = bench.position()
    assert (held.quantity, held.held_stop, held.held_target) == (20, 90.0, 120.0)


def test_unknown_exit_alarms_at_once_and_asks_every_second(bench: OrderBench) -> None:
    exit_unknown(bench, placed=False)
    assert any(alert.code == "ORDER_UNKNOWN" and alert.severity == "critical" for alert in bench.alerts)
    before = bench.reads_wanted
    for _ in range(10):
        bench.tick(1 * SECOND)
    assert bench.reads_wanted == before + 10


def test_unknown_exit_counts_in_the_clamp_of_every_sender(bench: OrderBench) -> None:
    exit_unknown(bench, placed=True)
    bench.close("g2")
    bench.close("g3", reason="flatten")
    bench.tick(5 * SECOND)
    assert bench.calls == []


def test_ghost_needs_two_clean_reads_15_s_apart(bench: OrderBench) -> None:
    call = exit_unknown(bench, placed=False)
    name = call.order.client_order_id
    bench.read()
    bench.tick(14 * SECOND)
    bench.read()
    assert bench.order(name).state is OrderState.UNKNOWN and bench.calls == []
    bench.tick(1 * SECOND)
    bench.read()
    assert bench.order(name).state is OrderState.GHOST and "ORDER_GHOST" in bench.codes()
    (second,) = bench.calls
    assert (second.order.links.goal, second.order.quantity) == ("g1", 50)
    assert second.order.client_order_id != name


@pytest.mark.parametrize("book", ["orders", "trades", "positions"])
def test_ghost_is_not_declared_without_each_of_the_books(bench: OrderBench, book: str) -> None:
    call = exit_unknown(bench, placed=False)
    for _ in range(4):
        bench.tick(16 * SECOND)
        bench.read(**{book: None})
    assert bench.order(call.order.client_order_id).state is OrderState.UNKNOWN


@pytest.mark.parametrize("book", ["orders", "positions"])
def test_ghost_is_not_declared_on_an_empty_book(bench: OrderBench, book: str) -> None:
    call = exit_unknown(bench, placed=False)
    for _ in range(4):
        bench.tick(16 * SECOND)
        bench.read(**{book: ()})
    assert bench.order(call.order.client_order_id).state is OrderState.UNKNOWN


def test_ghost_is_not_declared_when_the_net_changed(bench: OrderBench) -> None:
    call = exit_unknown(bench, placed=True)
    bench.broker.trade(bench.broker.orders["B2"], 50, 100.0)
    hidden = bench.broker.orders.pop("B2")
    for _ in range(4):
        bench.tick(16 * SECOND)
        bench.read()
    assert bench.order(call.order.client_order_id).state is OrderState.UNKNOWN and not hidden.open
    assert "ORDER_GHOST" not in bench.codes()


def test_ghost_is_not_declared_by_policy_wait() -> None:
    bench = OrderBench(OmsLimits(unknown_exit=UnknownExit.WAIT))
    exit_unknown(bench, placed=False)
    for _ in range(3):
        bench.tick(16 * SECOND)
        bench.read()
    assert bench.calls == [] and "GOAL_STUCK" in bench.codes()


def ghost(bench: OrderBench) -> OpenCall:
    call = exit_unknown(bench, placed=False)
    for _ in range(2):
        bench.tick(16 * SECOND)
        bench.read()
    assert bench.order(call.order.client_order_id).state is OrderState.GHOST
    return call


def test_second_unknown_exit_waits_for_a_person(bench: OrderBench) -> None:
    ghost(bench)
    second = time_out(bench, placed=False)
    for _ in range(6):
        bench.tick(16 * SECOND)
        bench.read()
    assert bench.order(second.order.client_order_id).state is OrderState.UNKNOWN
    assert bench.calls == [] and bench.machine.goals()[0].state == "stuck"


def test_ghost_that_appears_is_cancelled_on_sight(bench: OrderBench) -> None:
    first = ghost(bench)
    second = bench.accept()
    bench.broker.place(first.order, bench.time)
    bench.read()
    (call,) = bench.calls
    assert call.order.client_order_id == first.order.client_order_id
    bench.cancel()
    bench.broker.trade(second, 50, 100.0)
    bench.report(second)
    bench.read()
    assert bench.machine.goals()[0].state == "done" and bench.position().quantity == 0


def test_ghost_that_fills_too_is_flattened_and_alarmed(bench: OrderBench) -> None:
    first = ghost(bench)
    second = bench.accept()
    bench.broker.trade(second, 50, 100.0)
    bench.report(second)
    bench.read()
    late = bench.broker.place(first.order, bench.time)
    bench.broker.trade(late, 50, 100.0)
    bench.tick(2 * SECOND)
    bench.read()
    bench.read()
    assert bench.position().quantity == -50 and "POSITION_REVERSED" in bench.codes()
    (call,) = bench.calls
    assert (call.order.side, call.order.quantity) == (Side.BUY, 50)
    flat = bench.accept()
    bench.broker.trade(flat, 50, 101.0)
    bench.report(flat)
    bench.read()
    assert bench.position().quantity == 0 and {goal.state for goal in bench.machine.goals()} == {"done"}


def test_late_answer_of_a_call_given_up_binds_its_order(bench: OrderBench) -> None:
    bench.enter("e1")
    call = bench.calls[0]
    bench.tick(181 * SECOND)
    assert bench.order("e1").state is OrderState.UNKNOWN
    placed = bench.broker.place(call.order, bench.time)
    bench.end(call, Outcome.ACCEPTED, placed.id)
    assert (bench.order("e1").state, bench.order("e1").broker_order_id) == (OrderState.ACCEPTED, placed.id)


def test_id_that_the_broker_gave_to_two_orders_is_neithers_and_both_are_found_by_what_they_are(
    bench: OrderBench,
) -> None:
    """The first kept the id, so that its own row was a stranger's: its fills stood nowhere."""
    bench.enter("e1")
    first = bench.broker.place(bench.calls[0].order, bench.time)
    bench.end(bench.calls[0], Outcome.ACCEPTED, "SAME")
    bench.tick(100 * MS)
    bench.enter("e2", 40, instrument="NFO:B")
    second = bench.broker.place(bench.calls[0].order, bench.time)
    bench.end(bench.calls[0], Outcome.ACCEPTED, "SAME")
    assert {bench.order(name).state for name in ("e1", "e2")} == {OrderState.UNKNOWN}
    assert not bench.machine.state.halted
    bench.enter("e3", 30, instrument="NFO:C")
    third = bench.broker.place(bench.calls[0].order, bench.time)
    bench.end(bench.calls[0], Outcome.ACCEPTED, "SAME")
    assert bench.order("e3").state is OrderState.UNKNOWN, "nor is it a later one's"
    for _ in range(3):
        bench.tick(1 * SECOND)
        bench.read()
    found = {name: bench.order(name).broker_order_id for name in ("e1", "e2", "e3")}
    assert found == {"e1": first.id, "e2": second.id, "e3": third.id}
    bench.broker.trade(first, 50, 100.0)
    bench.read()
    bench.read()
    assert bench.position().quantity == 50


def test_id_of_an_order_that_has_filled_stays_its_own(bench: OrderBench) -> None:
    bench.enter("e1")
    first = bench.accept()
    bench.broker.trade(first, 50, 100.0)
    bench.report(first)
    bench.enter("e2", 40, instrument="NFO:B")
    call = next(one for one in bench.calls if one.order.client_order_id == "e2")
    bench.end(call, Outcome.ACCEPTED, first.id)
    assert (bench.order("e1").broker_order_id, bench.order("e2").state) == (first.id, OrderState.UNKNOWN)


def test_word_that_a_broker_gives_in_place_of_an_id_is_no_id() -> None:
    """IndMoney's ORDER_PLACED: the order was accepted under an id that no book knows, and its fills were nobody's."""
    bench = OrderBench(OmsLimits(unlisted=replace(PLAIN, no_ids=("order_placed",))))
    bench.read()
    bench.enter("e1")
    placed = bench.broker.place(bench.calls[0].order, bench.time)
    bench.end(bench.calls[0], Outcome.ACCEPTED, "ORDER_PLACED")
    assert bench.order("e1").state is OrderState.UNKNOWN
    for _ in range(3):
        bench.tick(1 * SECOND)
        bench.read()
    assert bench.order("e1").broker_order_id == placed.id


def test_answer_with_the_id_of_an_order_from_before_the_call_is_of_unknown_fate(bench: OrderBench) -> None:
    """Guards against a wrong match: a stranger's fills were owned and guarded, and those of our own order nobody's."""
    bench.enter("hand", 50)
    foreign = bench.broker.place(bench.calls[0].order, bench.time)
    bench = OrderBench()
    bench.broker.orders[foreign.id] = foreign
    bench.broker.trade(foreign, 50, 99.0)
    for _ in range(2):
        bench.tick(6 * SECOND)
        bench.read()
    bench.enter("e1", 50)
    ours = bench.broker.place(bench.calls[0].order, bench.time)
    bench.end(bench.calls[0], Outcome.ACCEPTED, foreign.id)
    assert bench.order("e1").state is OrderState.UNKNOWN and "ORDER_ILLEGAL" in bench.codes()
    bench.broker.trade(ours, 50, 100.0)
    for _ in range(3):
        bench.tick(1 * SECOND)
        bench.read()
    assert (bench.order("e1").broker_order_id, bench.position().average_price) == (ours.id, 100.0)


def test_trades_of_yesterday_keep_no_stop_in_doubt(bench: OrderBench) -> None:
    def read() -> None:
        books = bench.broker.books(bench.time)
        old = BrokerTrades(broker_order_id="Y1", instrument="NFO:A", side=Side.SELL, quantity=50, value=5000.0)
        bench.read(books, trades=(*(books.trades or ()), old))

    read()
    bench.enter("e1", stop_trigger=90.0, stop_limit=87.0)
    bench.broker.trade(bench.accept(), 50, 100.0)
    read()
    bench.tick(1 * SECOND)
    stop = bench.calls[0].order
    bench.end(bench.calls[0], Outcome.UNKNOWN)
    for _ in range(20):
        bench.tick(1 * SECOND)
        read()
    assert bench.order(stop.client_order_id).state is OrderState.GHOST
    assert [call.order.purpose for call in bench.calls] == [Purpose.STOP]


def test_parked_order_is_adopted_when_a_person_lets_it_go(bench: OrderBench) -> None:
    bench.enter("e1")
    bench.end(bench.calls[0], Outcome.PARKED)
    assert bench.order("e1").state is OrderState.PARKED and "ORDER_PARKED" in bench.codes()
    bench.tick(300 * SECOND)
    bench.read()
    bench.broker.place(bench.order("e1"), bench.time)
    bench.read()
    bench.read()
    assert bench.order("e1").state is OrderState.ACCEPTED


def test_row_seen_first_is_the_older_orders_whatever_the_broker_calls_it() -> None:
    """Two exits of unknown fate, alike to the broker: B9 stood there before the second was sent, B10 did not."""
    bench = OrderBench(OmsLimits())
    bench.hold("e1")
    bench.hold("e2", strategy="s2")
    for number in range(3, 9):
        bench.tick(2 * SECOND)
        bench.enter(f"other{number}", number, instrument="NFO:B")
        bench.accept()
    bench.tick(2 * SECOND)
    bench.close("g1")
    (first,) = bench.calls
    bench.broker.place(first.order, bench.time)
    bench.read()
    bench.end(first, Outcome.UNKNOWN, message="timed out")
    bench.close("g2", strategy="s2")
    (second,) = bench.calls
    bench.broker.place(second.order, bench.time)
    bench.end(second, Outcome.UNKNOWN, message="timed out")
    for _ in range(3):
        bench.tick(1 * SECOND)
        bench.read()
    bound = [bench.order(call.order.client_order_id).broker_order_id for call in (first, second)]
    assert bound == ["B9", "B10"]


def test_adopted_order_has_the_prices_that_the_broker_shows() -> None:
    """Two stops of one fingerprint at different levels were out: which is which the books alone tell."""
    bench = OrderBench()
    bench.read()
    bench.enter("e1", order_type=OrderType.LIMIT, price=100.0)
    placed = bench.broker.place(replace(bench.calls[0].order, price=99.0), bench.time)
    bench.end(bench.calls[0], Outcome.UNKNOWN)
    for _ in range(3):
        bench.tick(1 * SECOND)
        bench.read()
    order = bench.order("e1")
    assert (order.broker_order_id, order.price) == (placed.id, 99.0)
