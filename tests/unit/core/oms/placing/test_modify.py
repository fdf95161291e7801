"""Changes of resting orders: proven by the book, repeated, counted, replaced when they run out; people's requests."""

from __future__ import annotations

from itertools import pairwise

import pytest
from msgspec.structs import replace

from mytrading.core.gateway.outcomes import RequestResult, result_of
from mytrading.core.oms import OmsLimits
from mytrading.core.oms.operator_requests import new_terms, what_loosens
from mytrading.core.orders.state_machine import ModifyRules, with_cancel
from mytrading.messages.brokers import UNLISTED, BrokerRules, StopMoving
from mytrading.messages.commands import CloseGoal
from mytrading.messages.control import StrategySwitch, TradingState
from mytrading.messages.enums import (
    BrokerStatus,
    Call,
    OrderState,
    OrderType,
    Outcome,
    Product,
    Purpose,
    Side,
    TradingLevel,
)
from mytrading.messages.order_evidence import OrderTerms
from mytrading.messages.orders import (
    TRIGGER_CROSSED,
    Order,
    OrderChanged,
    Protection,
    ProtectionChanged,
    RequestAnswered,
    StopMove,
)
from tests.kit.fake_broker import ACCOUNT, SECOND, TELLS_TRIGGERED, OpenCall, OrderBench, Placed
from tests.kit.oms_protection import entered, guarded, live, settle, stops
from tests.kit.state_digest import state_digest

LIMIT = {"order_type": OrderType.LIMIT, "price": 100.0}


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench(OmsLimits())
    made.check_purity = True
    return made


def resting(bench: OrderBench, quantity: int = 100) -> Placed:
    """A limit entry that rests at the broker."""
    bench.read()
    bench.enter("e1", quantity, **LIMIT)
    placed = bench.accept()
    bench.read()
    return placed


def modifies(bench: OrderBench) -> list[OpenCall]:
    return [call for call in bench.calls if call.call is Call.MODIFY]


def later(bench: OrderBench, seconds: float = 3.0) -> None:
    bench.tick(int(seconds * SECOND))
    bench.read()


def test_change_is_asked_for_whole_and_done_when_the_book_shows_it(bench: OrderBench) -> None:
    placed = resting(bench)
    bench.ask_modify("e1", price=101.0)
    (call,) = modifies(bench)
    assert (call.order.price, call.order.quantity, call.order.broker_order_id) == (101.0, 100, placed.id)
    bench.modify()
    assert (bench.order("e1").price, bench.order("e1").evidence.modify.wanted) == (100.0, OrderTerms(101.0, 0.0, 100))
    bench.read()
    order = bench.order("e1")
    assert (order.price, order.evidence.modify.wanted, order.evidence.modify.unproven, order.evidence.modify.calls) == (
        101.0,
        None,
        False,
        1,
    )


def test_change_that_timed_out_but_took_effect_is_not_asked_for_again(bench: OrderBench) -> None:
    resting(bench)
    bench.ask_modify("e1", price=101.0, quantity=50)
    bench.modify(outcome=Outcome.UNKNOWN)
    for _ in range(5):
        later(bench)
    order = bench.order("e1")
    assert (order.price, order.quantity, order.evidence.modify.calls) == (101.0, 50, 1)


def test_change_that_got_lost_is_repeated_after_two_reads_with_the_old_values(bench: OrderBench) -> None:
    resting(bench)
    bench.ask_modify("e1", price=101.0)
    bench.end(modifies(bench)[0], Outcome.UNKNOWN)
    bench.read()
    bench.tick()
    assert modifies(bench) == [], "one read may be of a moment before"
    later(bench)
    bench.tick()
    bench.modify()
    bench.read()
    assert (bench.order("e1").price, bench.order("e1").evidence.modify.calls) == (101.0, 2)


def test_read_begun_before_the_call_ended_proves_nothing(bench: OrderBench) -> None:
    resting(bench)
    old = bench.broker.books(bench.time)
    bench.ask_modify("e1", price=101.0)
    began = bench.time
    bench.end(modifies(bench)[0], Outcome.UNKNOWN)
    for _ in range(3):
        bench.read(old, began_machine_ns=began)
    assert bench.order("e1").evidence.modify.reads == 0


def test_change_that_takes_effect_late_is_seen_and_taken_over(bench: OrderBench) -> None:
    placed = resting(bench)
    bench.ask_modify("e1", price=101.0)
    bench.end(modifies(bench)[0], Outcome.REFUSED, message="no")
    assert bench.order("e1").price == 100.0
    placed.price = 101.0
    bench.read()
    assert bench.order("e1").price == 100.0, "one read may be a rumour"
    later(bench, 16)
    assert bench.order("e1").price == 101.0 and "ORDER_CHANGED" in bench.codes()


def test_refused_change_leaves_the_order_as_it_was_and_says_why(bench: OrderBench) -> None:
    resting(bench)
    bench.ask_modify("e1", price=101.0)
    bench.end(modifies(bench)[0], Outcome.REFUSED, message="price band")
    order = bench.order("e1")
    assert (order.state, order.price, order.evidence.modify.wanted) == (OrderState.ACCEPTED, 100.0, None)
    assert order.message == "refused: price band"


def test_persons_next_change_after_a_refused_one_goes_at_once(bench: OrderBench) -> None:
    resting(bench)
    for price in (1.0, 2.0, 3.0):
        bench.ask_modify("e1", price=price)
        bench.end(modifies(bench)[0], Outcome.REFUSED, message="price band")
    bench.ask_modify("e1", price=101.0)
    assert [call.order.price for call in modifies(bench)] == [101.0], "neither 5, 10 nor 20 seconds later"


def test_persons_change_waits_while_the_account_has_used_up_its_rate(bench: OrderBench) -> None:
    resting(bench)
    bench.ask_modify("e1", price=101.0)
    bench.end(modifies(bench)[0], Outcome.RATE_LIMITED, retry_after_ns=5 * SECOND)
    bench.ask_modify("e1", price=102.0)
    bench.tick(4 * SECOND)
    assert modifies(bench) == []
    bench.tick(2 * SECOND)
    assert [call.order.price for call in modifies(bench)] == [102.0]


def test_change_not_sent_is_asked_for_again_and_not_counted(bench: OrderBench) -> None:
    resting(bench)
    bench.ask_modify("e1", price=101.0)
    bench.end(modifies(bench)[0], Outcome.NOT_SENT)
    assert bench.order("e1").evidence.modify.calls == 0
    bench.tick(1 * SECOND)
    bench.modify()
    bench.read()
    assert bench.order("e1").price == 101.0


def test_fill_during_a_change_is_booked_and_ends_it(bench: OrderBench) -> None:
    placed = resting(bench)
    bench.ask_modify("e1", price=101.0)
    bench.broker.trade(placed, 100, 100.0)
    bench.modify()
    bench.report(placed)
    bench.read()
    order = bench.order("e1")
    assert (order.state, order.filled, order.evidence.modify.wanted, order.evidence.modify.out) == (
        OrderState.FILLED,
        100,
        None,
        False,
    )
    assert bench.position().quantity == 100


def test_lowered_order_that_fills_before_it_is_read_is_filled_not_waiting(bench: OrderBench) -> None:
    placed = resting(bench)
    bench.ask_modify("e1", quantity=50)
    bench.modify(outcome=Outcome.UNKNOWN)
    bench.broker.trade(placed, 50, 100.0)
    bench.report(placed)
    bench.read()
    order = bench.order("e1")
    assert (order.state, order.quantity, order.filled) == (OrderState.FILLED, 50, 50)


def test_what_was_to_be_left_has_filled_before_the_call_so_the_rest_is_cancelled(bench: OrderBench) -> None:
    placed = resting(bench)
    bench.ask_modify("e1", quantity=50)
    bench.end(modifies(bench)[0], Outcome.RATE_LIMITED, retry_after_ns=SECOND)
    bench.broker.trade(placed, 60, 100.0)
    bench.report(placed)
    bench.tick(2 * SECOND)
    assert bench.order("e1").evidence.cancel.wanted and modifies(bench) == []


def test_cancel_overrules_a_change_that_is_under_way(bench: OrderBench) -> None:
    resting(bench)
    bench.ask_modify("e1", price=101.0)
    bench.ask_cancel("e1", reason="enough")
    bench.modify()
    settle(bench, 4)
    order = bench.order("e1")
    assert (order.state, order.evidence.modify.wanted) == (OrderState.CANCELLED, None)


def test_crash_while_a_call_is_out_is_settled_by_reading(bench: OrderBench) -> None:
    resting(bench)
    bench.ask_modify("e1", price=101.0)
    bench.broker.modify(modifies(bench)[0].order)
    bench.crash()
    assert not bench.order("e1").evidence.modify.out
    later(bench)
    assert (bench.order("e1").price, bench.order("e1").evidence.modify.calls) == (101.0, 1)


def test_answer_with_another_orders_id_is_illegal(bench: OrderBench) -> None:
    resting(bench)
    bench.ask_modify("e1", price=101.0)
    bench.end(modifies(bench)[0], Outcome.ACCEPTED, "B99")
    assert "ORDER_ILLEGAL" in bench.codes()


# replacing


def replacing_bench(**rules: object) -> OrderBench:
    made = OrderBench(OmsLimits(modify=ModifyRules(**rules)))  # type: ignore[arg-type]
    made.check_purity = True
    return made


def successors(bench: OrderBench) -> list[Order]:
    return [order for order in bench.machine.orders() if order.links.replaces]


def test_broker_without_modify_gets_a_new_order_only_after_the_cancel_is_proven() -> None:
    bench = replacing_bench(in_place=False)
    placed = resting(bench)
    bench.ask_modify("e1", price=101.0)
    bench.tick()
    assert [call.call for call in bench.calls] == [Call.CANCEL]
    bench.broker.trade(placed, 40, 100.0)
    bench.cancel()
    bench.tick(1 * SECOND)
    assert successors(bench) == [], "the answer to the cancel alone proves nothing"
    bench.read()
    (order,) = successors(bench)
    assert (order.quantity, order.price, order.cause, order.links.replaces) == (60, 101.0, "signal-e1", "e1")
    assert order.client_order_id != "e1" and order.state is OrderState.SUBMITTED
    assert not placed.open


def test_fill_that_wins_against_the_cancel_leaves_nothing_to_replace() -> None:
    bench = replacing_bench(in_place=False)
    placed = resting(bench)
    bench.ask_modify("e1", price=101.0)
    bench.broker.trade(placed, 100, 100.0)
    settle(bench, 4)
    assert bench.order("e1").state is OrderState.FILLED and successors(bench) == []


@pytest.mark.parametrize(("late", "left"), [(10, 50), (60, 0)])
def test_fill_reported_after_the_cancel_was_proven_is_taken_off_what_replaces_the_order(late: int, left: int) -> None:
    bench = replacing_bench(in_place=False)
    placed = resting(bench)
    bench.ask_modify("e1", price=101.0)
    bench.broker.trade(placed, 40, 100.0)
    settle(bench, 4)
    assert bench.order("e1").state is OrderState.CANCELLED
    assert [order.quantity for order in successors(bench)] == [60]
    placed.filled, placed.value = 40 + late, 100.0 * (40 + late)
    bench.broker.net["NFO:A", Product.MIS] = 40 + late
    bench.report(placed)
    settle(bench, 8)
    assert bench.position().quantity == 40 + late
    assert sum(each.quantity for each in bench.broker.orders.values() if each.open) == left


def test_halt_during_a_replacement_places_nothing_new() -> None:
    bench = replacing_bench(in_place=False)
    resting(bench)
    bench.ask_modify("e1", price=101.0)
    bench.step(TradingState(level=TradingLevel.HALT, generation=1, reason="test", at_ns=bench.now))
    settle(bench, 4)
    assert successors(bench) == []
    assert bench.order("e1").state is OrderState.CANCELLED


@pytest.mark.parametrize("word", ["halt", "switch"])
def test_halt_and_switch_off_withdraw_entries_that_rest(bench: OrderBench, word: str) -> None:
    bench.read()
    bench.enter("e1", **LIMIT)
    bench.accept()
    if word == "halt":
        bench.step(TradingState(level=TradingLevel.HALT, generation=1, reason="test", at_ns=bench.now))
    else:
        bench.step(StrategySwitch(strategy="s1", enabled=False, generation=1, at_ns=bench.now))
    assert bench.order("e1").evidence.cancel.wanted


def test_modifications_are_counted_and_the_order_replaced_before_they_run_out() -> None:
    bench = replacing_bench(most=2)
    placed = resting(bench)
    for price in (101.0, 102.0):
        bench.ask_modify("e1", price=price)
        bench.modify()
        bench.read()
    bench.ask_modify("e1", price=103.0)
    settle(bench, 4)
    assert placed.modifies == 2
    (order,) = successors(bench)
    assert (order.price, order.evidence.modify.calls, order.state) == (103.0, 0, OrderState.ACCEPTED)


def test_partly_filled_order_is_replaced_where_the_broker_changes_none() -> None:
    bench = replacing_bench(after_fill=False)
    placed = resting(bench)
    bench.broker.trade(placed, 40, 100.0)
    bench.report(placed)
    bench.read()
    bench.ask_modify("e1", price=101.0)
    settle(bench, 4)
    assert placed.modifies == 0 and [order.quantity for order in successors(bench)] == [60]


def test_brokers_row_allows_less_than_the_settings_and_never_more() -> None:
    row = BrokerRules(name="aa", stop_move=StopMoving.REPLACE, modifies_most=7, modify_after_fill=False)
    limits = OmsLimits(brokers={"aa": row}, unlisted=UNLISTED, modify=ModifyRules(most=20))
    assert limits.modify_rules("aa") == ModifyRules(in_place=False, most=7, after_fill=False)
    for other in ("bb", ""):
        assert limits.modify_rules(other) == ModifyRules(in_place=True, most=20, after_fill=True)
    fewer = OmsLimits(brokers={"aa": row}, modify=ModifyRules(in_place=False, most=3))
    assert fewer.modify_rules("aa").most == 3 and not fewer.modify_rules("bb").in_place


@pytest.mark.parametrize("accepted", [True, False])
def test_change_by_another_order_is_done_when_that_rests_and_refused_when_it_is(accepted: bool) -> None:
    def result() -> RequestResult:
        first = bench.order("e1")
        return result_of(first, bench.machine.orders(), first.links.request, cancel=False)

    bench = replacing_bench(in_place=False)
    resting(bench)
    bench.ask_modify("e1", price=101.0)
    bench.cancel()
    while not (placing := [call for call in bench.calls if call.call is Call.PLACE]):
        later(bench)
    assert result().word == "waiting", "it is on its way"
    if accepted:
        bench.accept(placing[0])
        assert result().word == "replaced"
        return
    bench.end(placing[0], Outcome.REFUSED, message="no margin")
    assert result().word == "refused"
    assert "ended REJECTED: no margin; the old order is cancelled" in result().text


# stops


def test_persons_new_trigger_moves_the_stop_in_place(bench: OrderBench) -> None:
    stop = guarded(bench)
    bench.ask_modify(stops(bench)[0].client_order_id, trigger_price=92.0)
    assert modifies(bench)[0].order.price == 89.0, "the limit keeps its distance"
    settle(bench, 2)
    assert (stop.trigger_price, stop.price, stop.open, live(bench)) == (92.0, 89.0, True, 50)
    assert bench.machine.state.protections.sorted_values()[0].trigger == 92.0


def test_stop_of_a_broker_without_modify_is_replaced_by_one_at_the_new_level() -> None:
    bench = replacing_bench(in_place=False)
    first = guarded(bench)
    bench.ask_modify(stops(bench)[0].client_order_id, trigger_price=92.0)
    settle(bench, 5)
    placed = [row for row in bench.broker.orders.values() if row.open]
    assert not first.open and [row.trigger_price for row in placed] == [92.0]
    assert live(bench) == 50 and "STOP_FAILED" not in bench.codes()


def level(bench: OrderBench) -> Protection:
    (found,) = bench.machine.state.protections.sorted_values()
    return found


def test_level_in_force_follows_a_requested_move_only_when_the_book_shows_it(bench: OrderBench) -> None:
    guarded(bench)
    name = stops(bench)[0].client_order_id
    bench.ask_modify(name, trigger_price=92.0)
    bench.modify()
    assert (level(bench).trigger, level(bench).moving) == (90.0, StopMove(trigger=92.0, limit=89.0, order=name))
    bench.read()
    assert (level(bench).trigger, level(bench).limit, level(bench).moving) == (92.0, 89.0, None)


def refuse_all_moves(bench: OrderBench, turns: int = 8) -> int:
    """Let time pass while the broker refuses every change; returns how many changes were called for."""
    asked = 0
    for _ in range(turns):
        for call in modifies(bench):
            asked += 1
            bench.end(call, Outcome.REFUSED, message="outside the price band")
        later(bench, 30)
    return asked


@pytest.mark.parametrize("killed", [False, True], ids=["", "killed before the answer"])
def test_move_of_a_stop_that_the_broker_refuses_changes_nothing_and_is_not_tried_again(
    bench: OrderBench, killed: bool
) -> None:
    stop, name = guarded(bench), stops(bench)[0].client_order_id
    bench.ask_modify(name, trigger_price=1471.0)
    if killed:
        bench.crash()
        settled = bench.machine.state.protections.sorted_values()[0]
        assert (settled.trigger, settled.moving is not None) == (90.0, True)
        later(bench), later(bench)
    assert refuse_all_moves(bench) == 1
    assert stop.open and (stop.trigger_price, stop.modifies, live(bench)) == (90.0, 0, 50)
    assert (level(bench).trigger, level(bench).limit, level(bench).moving) == (90.0, 87.0, None)
    said = "the broker refused trigger 1471 (limit 1468); trigger 90 (limit 87) stays in force"
    assert bench.order(name).message.startswith(f"refused: {said}"), bench.order(name).message
    assert said in next(alert.message for alert in bench.alerts if alert.code == "STOP_NOT_MOVED")
    assert bench.stands("STOP_NOT_MOVED", name)
    assert state_digest(bench.replayed()) == state_digest(bench.machine)

    bench.ask_modify(name, trigger_price=92.0)
    settle(bench, 3)
    assert (stop.trigger_price, level(bench).trigger) == (92.0, 92.0)
    assert not bench.stands("STOP_NOT_MOVED", name)


def two_stops(bench: OrderBench) -> tuple[Placed, Placed]:
    """A position of 100 that two stops of 50 guard."""
    entered(bench, 100, 50)
    first = bench.accept()
    entry = bench.broker.orders[bench.order("e1").broker_order_id]
    bench.broker.trade(entry, 50, 100.0)
    bench.report(entry)
    second = bench.accept()
    bench.read()
    return first, second


def test_persons_next_move_goes_at_once_for_each_stop_that_the_broker_refused_to_move(bench: OrderBench) -> None:
    first, second = two_stops(bench)
    bench.ask_modify(first.client_order_id, trigger_price=1471.0)
    for call in modifies(bench):
        bench.end(call, Outcome.REFUSED, message="outside the price band")
    bench.ask_modify(first.client_order_id, trigger_price=92.0)
    assert {call.order.broker_order_id for call in modifies(bench)} == {first.id, second.id}


def test_refused_change_that_the_router_needs_itself_is_tried_again_at_growing_intervals(bench: OrderBench) -> None:
    guarded(bench)
    bench._commit((ProtectionChanged(protection=replace(level(bench), trigger=91.0), at_ns=bench.now),))
    asked: list[int] = []
    for _ in range(70):
        for call in modifies(bench):
            asked.append(bench.time // SECOND)
            bench.end(call, Outcome.REFUSED, message="no")
        bench.tick(1 * SECOND)
        bench.read()
    assert [later - before for before, later in pairwise(asked)] == [5, 10, 20, 30]


def test_refusal_for_one_of_several_stops_keeps_them_all_where_they_were(bench: OrderBench) -> None:
    first, second = two_stops(bench)
    bench.ask_modify(first.client_order_id, trigger_price=92.0)
    calls = {call.order.broker_order_id: call for call in modifies(bench)}
    bench.modify(calls[first.id])
    bench.end(calls[second.id], Outcome.REFUSED, message="no")
    settle(bench, 4)
    assert (first.trigger_price, second.trigger_price, level(bench).trigger) == (90.0, 90.0, 90.0)
    assert live(bench) == 100 and level(bench).moving is None
    found = change_result(bench, first.client_order_id, request_of(bench, first.client_order_id))
    assert found.word == "refused" and "trigger 90 (limit 87) stays in force" in found.text, found


def test_stop_that_is_replaced_to_be_moved_and_refused_is_placed_where_it_was() -> None:
    """Without it the position would be closed after three refusals, or at once if the price had passed the stop."""
    bench = replacing_bench(in_place=False)
    guarded(bench)
    name = stops(bench)[0].client_order_id
    bench.ask_modify(name, trigger_price=1471.0)
    while not (placing := [call for call in bench.calls if call.call is Call.PLACE]):
        settle(bench, 1) if bench.calls else later(bench)
    assert placing[0].order.trigger_price == 1471.0
    bench.end(placing[0], Outcome.REFUSED, message=f"{TRIGGER_CROSSED}trigger must be below the last price")
    bench.tick(0)
    assert [call.order.trigger_price for call in bench.calls] == [90.0], "at once"
    settle(bench, 4)
    assert live(bench) == 50 and bench.machine.goals() == []
    assert (level(bench).trigger, level(bench).failures, level(bench).moving) == (90.0, 0, None)
    found = result_of(bench.order(name), bench.machine.orders(), bench.order(name).links.request, cancel=False)
    assert found.word == "refused" and "trigger 90 (limit 87) is placed again" in found.text


def test_pending_move_of_a_stop_is_withdrawn_by_a_request_for_the_prices_it_has(bench: OrderBench) -> None:
    stop, name = guarded(bench), stops(bench)[0].client_order_id
    bench.ask_modify(name, trigger_price=92.0)
    bench.end(modifies(bench)[0], Outcome.NOT_SENT)
    bench.ask_modify(name, trigger_price=90.0)
    settle(bench, 4)
    assert (stop.modifies, stop.trigger_price, level(bench).trigger, level(bench).moving) == (0, 90.0, 90.0, None)


def test_level_that_an_older_release_left_where_nothing_rests_is_ended_by_a_request_for_what_rests(
    bench: OrderBench,
) -> None:
    """That release wrote a requested level at once, and tried a refused move again for ever."""
    stop, name = guarded(bench), stops(bench)[0].client_order_id
    bench._commit((ProtectionChanged(protection=replace(level(bench), trigger=1471.0), at_ns=bench.now),))
    bench.tick(1 * SECOND)
    assert refuse_all_moves(bench, 3) > 1
    bench.end(modifies(bench)[0], Outcome.REFUSED, message="outside the price band")
    bench.ask_modify(name, trigger_price=90.0)
    assert refuse_all_moves(bench, 3) == 0
    assert (stop.open, level(bench).trigger, level(bench).moving) == (True, 90.0, None)


def test_stop_that_has_triggered_is_not_moved() -> None:
    bench = OrderBench(words=TELLS_TRIGGERED)
    stop = guarded(bench)
    bench.broker.trigger(stop)
    bench.report(stop)
    bench.ask_modify(stops(bench)[0].client_order_id, trigger_price=92.0)
    assert bench.order(stops(bench)[0].client_order_id).message.startswith("refused: it has triggered")
    assert level(bench).moving is None


def test_stop_is_made_smaller_in_place_when_less_is_held(bench: OrderBench) -> None:
    """A target that filled elsewhere leaves half of the position: the stop shrinks and never goes away."""
    guarded(bench, 100)
    level = bench.machine.state.protections.sorted_values()[0]
    bench.broker.by_hand(50)
    bench.tick(2 * SECOND)
    bench.read()
    later(bench, 6)
    settle(bench, 3)
    (stop,) = stops(bench, OrderState.ACCEPTED)
    assert (bench.position().quantity, stop.quantity, live(bench)) == (50, 50, 50)
    assert level.attempts == 1 and bench.broker.orders[stop.broker_order_id].modifies == 1


def test_stop_with_a_lost_change_that_may_still_come_is_replaced_not_shrunk(bench: OrderBench) -> None:
    """The late call would make the stop larger than what is held by then."""
    stop = guarded(bench, 100)
    bench.ask_modify(stops(bench)[0].client_order_id, trigger_price=92.0)
    bench.end(modifies(bench)[0], Outcome.UNKNOWN)
    bench.read()
    later(bench)
    bench.modify()
    bench.broker.by_hand(50)
    for _ in range(5):
        later(bench, 4)
    settle(bench, 6)
    assert not stop.open and live(bench) == 50


def test_persons_cancel_of_a_stop_needs_force_and_a_reason(bench: OrderBench) -> None:
    stop, name = guarded(bench), stops(bench)[0].client_order_id
    bench.ask_cancel(name)
    bench.ask_cancel(name, force=True)
    assert bench.order(name).message.startswith("refused: this is the stop of a position")
    bench.ask_cancel(name, force=True, reason="I watch it myself")
    settle(bench, 6)
    assert not stop.open and live(bench) == 0 and "STOP_RELEASED" in bench.codes()
    assert bench.machine.state.protections.sorted_values()[0].state == "released"


def test_released_protection_is_done_when_the_position_is_flat(bench: OrderBench) -> None:
    guarded(bench)
    bench.ask_cancel(stops(bench)[0].client_order_id, force=True, reason="I watch it myself")
    settle(bench, 4)
    bench.close("g1")
    placed = bench.accept()
    bench.broker.trade(placed, 50, 95.0)
    settle(bench, 3)
    assert bench.machine.state.protections.sorted_values()[0].state == "done"


def change_result(bench: OrderBench, name: str, request: str) -> RequestResult:
    answers = [row for row in bench.rows if isinstance(row, RequestAnswered) and row.id == request]
    answer = answers[-1] if answers else None
    order = bench.order(name)
    level = bench.machine.state.protections.get(order.owner)
    return result_of(order, bench.machine.orders(), request, cancel=False, answer=answer, level=level)


def cancel_result(bench: OrderBench, name: str, request: str) -> RequestResult:
    return result_of(bench.order(name), bench.machine.orders(), request, cancel=True)


def request_of(bench: OrderBench, name: str) -> str:
    return bench.order(name).links.request


def test_stop_that_is_cancelled_by_force_while_its_move_is_refused_is_gone_and_nothing_says_otherwise(
    bench: OrderBench,
) -> None:
    stop, name = guarded(bench), stops(bench)[0].client_order_id
    bench.ask_modify(name, trigger_price=1471.0)
    moved = request_of(bench, name)
    bench.ask_cancel(name, force=True, reason="I watch it myself")
    cancelled = request_of(bench, name)
    bench.end(modifies(bench)[0], Outcome.REFUSED, message="outside the price band")
    assert change_result(bench, name, moved).word == cancel_result(bench, name, cancelled).word == "waiting"
    said = "withdrawn by the operator: I watch it myself"
    assert change_result(bench, name, moved).text.startswith(f"it is being cancelled: {said}")
    settle(bench, 4)
    assert not stop.open and level(bench).moving is None
    found = change_result(bench, name, moved)
    assert found.word == "ended" and found.text.startswith(f"it was cancelled and not changed: {said}"), found
    assert cancel_result(bench, name, cancelled).word == "cancelled"
    assert "STOP_NOT_MOVED" not in bench.codes() and "outside the price band" in bench.order(name).message


def test_stop_whose_refused_move_stood_as_an_alert_is_cancelled_by_force_and_the_alert_ends(bench: OrderBench) -> None:
    guarded(bench)
    name = stops(bench)[0].client_order_id
    bench.ask_modify(name, trigger_price=1471.0)
    moved = request_of(bench, name)
    bench.end(modifies(bench)[0], Outcome.REFUSED, message="outside the price band")
    assert bench.stands("STOP_NOT_MOVED", name)
    bench.ask_cancel(name, force=True, reason="I watch it myself")
    assert not bench.stands("STOP_NOT_MOVED", name)
    settle(bench, 4)
    found = change_result(bench, name, moved)
    assert found.word == "refused" and found.text.endswith("; the order has ended CANCELLED since"), found


def test_stop_that_is_taken_away_to_be_replaced_is_cancelled_by_force_and_stays_away() -> None:
    bench = replacing_bench(in_place=False)
    guarded(bench)
    name = stops(bench)[0].client_order_id
    bench.ask_modify(name, trigger_price=92.0)
    moved = request_of(bench, name)
    bench.tick()
    assert bench.order(name).message.startswith("withdrawn: replaced")
    bench.ask_cancel(name, force=True, reason="I watch it myself")
    settle(bench, 5)
    assert live(bench) == 0
    found = change_result(bench, name, moved)
    assert found.text.startswith("it was cancelled and not changed: withdrawn by the operator"), found


def test_move_refused_for_a_stop_that_gives_way_to_an_exit_is_no_alert(bench: OrderBench) -> None:
    guarded(bench)
    name = stops(bench)[0].client_order_id
    bench.ask_modify(name, trigger_price=1471.0)
    bench.close("g1")
    bench.end(modifies(bench)[0], Outcome.REFUSED, message="outside the price band")
    settle(bench, 3)
    assert "STOP_NOT_MOVED" not in bench.codes() and level(bench).moving is None
    found = change_result(bench, name, request_of(bench, name))
    assert found.text.startswith("it was cancelled and not changed: withdrawn: an exit takes over"), found


def test_move_refused_for_a_stop_that_is_joined_with_another_is_refused_for_the_position(bench: OrderBench) -> None:
    first, second = two_stops(bench)
    name = first.client_order_id
    bench.ask_modify(name, trigger_price=1471.0)
    gone = bench.order(second.client_order_id)
    evidence = with_cancel(gone.evidence, wanted=True)
    row = replace(gone, evidence=evidence, message="withdrawn: joined with another")
    bench._commit((OrderChanged(event="withdrawing", order=row, machine_ns=bench.time),))
    calls = {call.order.broker_order_id: call for call in modifies(bench)}
    bench.end(calls[second.id], Outcome.REFUSED, message="no")
    bench.modify(calls[first.id])
    settle(bench, 4)
    found = change_result(bench, name, request_of(bench, name))
    assert found.word == "refused" and "trigger 90 (limit 87) stays in force" in found.text, found
    assert (first.trigger_price, live(bench)) == (90.0, 100)


@pytest.mark.parametrize("by", ["operator", "halt", "terminal"])
def test_entry_that_was_cancelled_while_its_change_was_out_is_reported_as_cancelled(bench: OrderBench, by: str) -> None:
    placed = resting(bench)
    bench.ask_modify("e1", price=1.0)
    request = request_of(bench, "e1")
    if by == "operator":
        bench.ask_cancel("e1", reason="enough")
    elif by == "halt":
        bench.step(TradingState(level=TradingLevel.HALT, generation=1, reason="test", at_ns=bench.now))
    else:
        bench.broker.drop(placed)
    bench.end(modifies(bench)[0], Outcome.REFUSED, message="price band")
    settle(bench, 8)
    assert bench.order("e1").state is OrderState.CANCELLED
    found = change_result(bench, "e1", request)
    if by == "terminal":  # the refusal came first, and was the answer
        assert (found.word, found.text) == ("refused", "price band; the order has ended CANCELLED since")
        return
    why = {"operator": "withdrawn by the operator: enough", "halt": "withdrawn: trading level is halt"}[by]
    assert found.word == "ended" and found.text.startswith(f"it was cancelled and not changed: {why}"), found
    assert cancel_result(bench, "e1", request_of(bench, "e1")).word == "cancelled"


def pause(bench: OrderBench, why: str) -> None:
    """From here on nothing is sent for the stop: its exchange has closed, or the venue closes MIS itself."""
    if why == "closed":
        bench.session_open = False
    else:
        bench.squares_off_ns = bench.time


def test_move_asked_for_in_a_closed_session_waits_for_the_open(bench: OrderBench) -> None:
    stop, name = guarded(bench), stops(bench)[0].client_order_id
    pause(bench, "closed")
    bench.ask_modify(name, trigger_price=92.0)
    settle(bench, 3)
    found = change_result(bench, name, request_of(bench, name))
    assert found.word == "waiting" and found.text.startswith("the change to trigger 92 (limit 89) waits"), found
    assert stop.trigger_price == level(bench).trigger == 90.0
    bench.session_open = True
    settle(bench, 2)
    assert stop.trigger_price == level(bench).trigger == 92.0
    assert change_result(bench, name, request_of(bench, name)).word == "modified"


def test_move_that_waits_for_the_open_is_in_the_stop_that_is_placed_then(bench: OrderBench) -> None:
    stop, name = guarded(bench), stops(bench)[0].client_order_id
    pause(bench, "closed")
    bench.ask_modify(name, trigger_price=92.0)
    bench.broker.drop(stop)
    settle(bench, 8)
    assert bench.order(name).state is OrderState.CANCELLED
    assert change_result(bench, name, request_of(bench, name)).word == "waiting"
    bench.session_open = True
    settle(bench, 3)
    assert [row.trigger_price for row in bench.broker.orders.values() if row.open] == [92.0]
    assert change_result(bench, name, request_of(bench, name)).word == "replaced"
    assert (level(bench).trigger, level(bench).moving) == (92.0, None)


@pytest.mark.parametrize("ended", [False, True], ids=["the stop rests", "the stop ended with its day"])
@pytest.mark.parametrize("trigger", [90.0, 93.0])
def test_move_that_waits_is_withdrawn_or_replaced_by_the_next_request(
    bench: OrderBench, trigger: float, ended: bool
) -> None:
    stop, name = guarded(bench), stops(bench)[0].client_order_id
    pause(bench, "closed")
    bench.ask_modify(name, trigger_price=92.0)
    first = request_of(bench, name)
    if ended:
        bench.broker.drop(stop)
        settle(bench, 8)
    bench.ask_modify(name, trigger_price=trigger)
    assert request_of(bench, name) != first and not bench.order(name).message.startswith("refused")
    found = change_result(bench, name, first)
    assert found.word == "refused" and found.text.startswith("a later request took its place"), found
    assert (level(bench).moving is None) == (trigger == 90.0)
    bench.session_open = True
    settle(bench, 3)
    assert [row.trigger_price for row in bench.broker.orders.values() if row.open] == [trigger]
    assert (level(bench).trigger, live(bench)) == (trigger, 50)


def test_move_that_waits_and_is_asked_for_again_says_how_it_is_withdrawn(bench: OrderBench) -> None:
    guarded(bench)
    name = stops(bench)[0].client_order_id
    pause(bench, "closed")
    bench.ask_modify(name, trigger_price=92.0)
    first = request_of(bench, name)
    bench.ask_modify(name, trigger_price=92.0)
    (answer,) = [row for row in bench.rows if isinstance(row, RequestAnswered)]
    assert answer.message == "it is to get these terms already; ask for trigger 90 (limit 87) to withdraw that"
    assert change_result(bench, name, first).word == "waiting"


def test_unsent_change_of_a_stop_is_withdrawn_also_when_its_session_closed_meanwhile(bench: OrderBench) -> None:
    stop, name = guarded(bench), stops(bench)[0].client_order_id
    bench.ask_modify(name, trigger_price=92.0)
    bench.end(modifies(bench)[0], Outcome.NOT_SENT)
    pause(bench, "closed")
    bench.ask_modify(name, trigger_price=90.0)
    settle(bench, 4)
    assert (stop.modifies, stop.trigger_price, level(bench).moving) == (0, 90.0, None)


@pytest.mark.parametrize("purpose", ["stop", "entry"])
def test_change_of_an_mis_order_is_refused_while_the_venue_closes_mis(bench: OrderBench, purpose: str) -> None:
    if purpose == "stop":
        guarded(bench)
        name, fields = stops(bench)[0].client_order_id, {"trigger_price": 92.0}
    else:
        resting(bench)
        name, fields = "e1", {"price": 101.0}
    pause(bench, "silence")
    bench.ask_modify(name, **fields)
    found = change_result(bench, name, request_of(bench, name))
    assert found.word == "refused" and "nothing is sent for MIS any more today" in found.text, found
    assert modifies(bench) == [] and bench.order(name).evidence.modify.wanted is None
    assert not bench.machine.state.guarding or level(bench).moving is None


def test_move_of_two_stops_is_done_when_both_rest_there(bench: OrderBench) -> None:
    first, second = two_stops(bench)
    name = first.client_order_id
    bench.ask_modify(name, trigger_price=92.0)
    calls = {call.order.broker_order_id: call for call in modifies(bench)}
    bench.modify(calls[first.id])
    bench.read()
    assert (first.trigger_price, bench.order(name).trigger_price) == (92.0, 92.0)
    found = change_result(bench, name, request_of(bench, name))
    assert found.word == "waiting" and "another stop of the position does not rest there yet" in found.text, found
    bench.modify(calls[second.id])
    bench.read()
    assert change_result(bench, name, request_of(bench, name)).word == "modified"


def test_request_that_is_refused_while_an_earlier_one_is_under_way_takes_nothing_from_that_one(
    bench: OrderBench,
) -> None:
    resting(bench)
    bench.ask_modify("e1", price=101.0)
    first = request_of(bench, "e1")
    bench.ask_modify("e1", price=102.0)
    (answer,) = [row for row in bench.rows if isinstance(row, RequestAnswered)]
    assert not answer.ok and answer.message.startswith("an earlier change of it is not proven yet")
    assert change_result(bench, "e1", answer.id).word == "refused"
    bench.modify()
    bench.read()
    assert change_result(bench, "e1", first).word == "modified"


# exits


def priced_exit(bench: OrderBench, step: float = 1.0) -> Placed:
    bench.hold("e1")
    bench.step(
        CloseGoal(
            id="g1", account=ACCOUNT, instrument="NFO:A", product=Product.MIS, strategy="s1", run="run1", cause="c",
            reason="exit", price=99.0, price_step=step,
        )
    )  # fmt: skip
    return bench.accept()


def test_exit_with_a_price_is_moved_towards_the_market_while_it_rests(bench: OrderBench) -> None:
    placed = priced_exit(bench)
    assert (placed.order_type, placed.price) == (OrderType.LIMIT, 99.0)
    for _ in range(2):
        bench.tick(6 * SECOND)
        bench.modify()
        bench.read()
    assert placed.price == 97.0 and placed.modifies == 2
    bench.broker.trade(placed, 50, 97.0)
    settle(bench, 2)
    assert bench.machine.goals()[0].state == "done" and len(bench.broker.orders) == 2


def test_exit_that_was_moved_often_enough_becomes_a_market_order(bench: OrderBench) -> None:
    placed = priced_exit(bench)
    for _ in range(40):
        settle(bench, 1)
        if not placed.open:
            break
    settle(bench, 3)
    last = list(bench.broker.orders.values())[-1]
    assert (placed.modifies, last.order_type, last.open) == (4, OrderType.MARKET, True)
    assert len([row for row in bench.broker.orders.values() if row.open]) == 1


def test_exit_with_a_price_gives_way_to_a_goal_without_one(bench: OrderBench) -> None:
    placed = priced_exit(bench)
    bench.close("g2")
    for _ in range(8):
        settle(bench, 1)
    last = list(bench.broker.orders.values())[-1]
    assert not placed.open and placed.modifies == 0
    assert (last.order_type, last.quantity, last.open) == (OrderType.MARKET, 50, True)


# people's requests that are turned down


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"price": 100.0}, "expected another price"),
        ({"trigger_price": 90.0}, "a trigger is for SL"),
        ({"quantity": 150}, "may only be lowered"),
        ({"quantity": 40}, "above the 40 that are filled"),
    ],
)
def test_request_that_makes_no_sense_is_refused_with_its_reason(
    bench: OrderBench, fields: dict[str, float], why: str
) -> None:
    placed = resting(bench)
    bench.broker.trade(placed, 40, 100.0)
    bench.report(placed)
    bench.ask_modify("e1", **fields)
    assert bench.order("e1").message.startswith("refused: ") and why in bench.order("e1").message
    assert modifies(bench) == []


def test_request_for_an_ended_order_is_refused(bench: OrderBench) -> None:
    bench.hold("e1")
    bench.ask_cancel("e1")
    assert bench.order("e1").message == "refused: expected a live order, found one that ended FILLED"


def test_request_for_an_exit_is_refused_and_for_an_entry_in_a_halt_too(bench: OrderBench) -> None:
    bench.hold("e1")
    bench.close("g1")
    bench.accept()
    exit_order = next(order for order in bench.machine.orders() if order.purpose is Purpose.EXIT)
    bench.ask_modify(exit_order.client_order_id, price=90.0)
    assert "until the position is flat" in bench.order(exit_order.client_order_id).message
    bench.enter("e2", instrument="NFO:B", **LIMIT)
    bench.accept()
    bench.step(TradingState(level=TradingLevel.HALT, generation=1, reason="test", at_ns=bench.now))
    bench.ask_modify("e2", price=90.0)
    (answer,) = [row for row in bench.rows if isinstance(row, RequestAnswered)]
    assert (answer.ok, answer.message) == (False, "it is being cancelled")
    assert bench.order("e2").message == "withdrawn: trading level is halt", "why it is cancelled stays"


def test_unsent_order_is_changed_at_once(bench: OrderBench) -> None:
    bench.enter("e1", 100, **LIMIT)
    bench.ask_modify("e1", price=101.0)
    order = bench.order("e1")
    assert (order.state, order.price) == (OrderState.INITIALIZED, 101.0)
    bench.read()
    assert bench.accept().price == 101.0


def test_book_that_shows_another_status_word_proves_no_change(bench: OrderBench) -> None:
    placed = resting(bench)
    bench.ask_modify("e1", price=101.0)
    bench.modify()
    placed.status = BrokerStatus.OTHER
    bench.read()
    assert bench.order("e1").evidence.modify.wanted


def test_cancel_beside_a_change_that_is_out_counts_as_a_call_of_its_own() -> None:
    bench = OrderBench(OmsLimits(calls_per_second=2))
    bench.check_purity = True
    resting(bench)
    later(bench, 10)
    bench.ask_modify("e1", price=101.0)
    bench.ask_cancel("e1")
    assert [call.call for call in bench.calls] == [Call.MODIFY, Call.CANCEL]
    bench.modify()
    bench.cancel()
    bench.enter("e2", instrument="NFO:B")
    assert [call.order.client_order_id for call in bench.calls] == [], "both have used up this second"
    bench.tick(2 * SECOND)
    assert "e2" in [call.order.client_order_id for call in bench.calls]


# stops that are loosened


@pytest.mark.parametrize(
    ("terms", "how"),
    [
        ({"trigger_price": 89.0}, "its trigger moves away from the price, from 90 to 89"),
        ({"price": 88.0}, "trigger and limit are 2.00 apart instead of 3.00"),
        ({"trigger_price": 92.0, "price": 91.0}, "trigger and limit are 1.00 apart instead of 3.00"),
        ({"trigger_price": 92.0}, ""),
        ({"price": 85.0}, ""),
        ({"trigger_price": 92.0, "price": 87.0}, ""),
    ],
)
def test_stop_is_loosened_only_with_force_and_a_reason(bench: OrderBench, terms: dict[str, float], how: str) -> None:
    guarded(bench)
    (stop,) = stops(bench)
    assert (stop.trigger_price, stop.price, stop.side.value) == (90.0, 87.0, "SELL")
    for fields in ({}, {"reason": "room"}, {"force": True}) if how else ():
        bench.ask_modify(stop.client_order_id, **terms, **fields)
        message = bench.order(stop.client_order_id).message
        assert message.startswith("refused: this protects a position") and how in message
        assert "with --force and a reason" in message and modifies(bench) == []
    bench.ask_modify(stop.client_order_id, **terms, **({"force": True, "reason": "room"} if how else {}))
    settle(bench, 3)
    (moved,) = stops(bench)
    assert moved.trigger_price == terms.get("trigger_price", 90.0)
    if "price" in terms:
        assert moved.price == terms["price"]


def test_stop_of_what_was_sold_is_loosened_upwards() -> None:
    order = Order(
        client_order_id="s", account=ACCOUNT, instrument="NFO:A", product=Product.MIS, strategy="S", run="r", cause="c",
        purpose=Purpose.STOP, side=Side.BUY, quantity=50, order_type=OrderType.SL, trigger_price=190.0, price=192.0,
        state=OrderState.ACCEPTED, created_ns=1, updated_ns=1,
    )  # fmt: skip
    terms = {195.0: True, 185.0: False}
    assert {to: bool(what_loosens(order, new_terms(order, 0.0, to, 0))) for to in terms} == terms
    assert what_loosens(order, OrderTerms(191.0, 190.0, 50)) and not what_loosens(order, OrderTerms(194.0, 190.0, 50))
    bare = replace(order, order_type=OrderType.SL_M, price=0.0)
    assert what_loosens(bare, OrderTerms(0.0, 195.0, 50)) and not what_loosens(bare, OrderTerms(0.0, 185.0, 50))
    assert "25 instead of 50 units" in what_loosens(order, OrderTerms(192.0, 190.0, 25))
    assert not what_loosens(replace(order, purpose=Purpose.ENTRY), OrderTerms(192.0, 500.0, 25))
