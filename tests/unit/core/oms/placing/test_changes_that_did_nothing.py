"""Changes and cancels that were answered with success and did nothing: the order book decides, and they are refused."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.core.gateway.outcomes import result_of
from mytrading.core.oms import OmsLimits
from mytrading.core.orders.state_machine import ModifyRules
from mytrading.messages.brokers import PLAIN, BrokerRules, StopMoving
from mytrading.messages.enums import Call, OrderState, OrderType, Outcome, Product, Purpose
from mytrading.messages.orders import OrderChanged, ProtectionChanged, RequestAnswered
from mytrading.messages.reports import ModeSeen
from tests.kit.fake_broker import ACCOUNT, SECOND, OrderBench, Placed
from tests.kit.oms_protection import PLAN, guarded, live, settle, stops
from tests.kit.state_digest import state_digest


def deaf_bench(limits: OmsLimits | None = None, *, changes: bool = False, cancels: bool = True) -> OrderBench:
    """A broker that says success to each change (or cancel) and does nothing."""
    bench = OrderBench(limits)
    bench.check_purity = True
    bench.broker.changes, bench.broker.cancels = changes, cancels
    return bench


def change_calls(bench: OrderBench) -> int:
    return sum(isinstance(row, OrderChanged) and row.event == "modify_requested" for row in bench.rows)


def cancel_calls(bench: OrderBench) -> int:
    return sum(isinstance(row, OrderChanged) and row.event == "cancel_requested" for row in bench.rows)


def alerts(bench: OrderBench, code: str) -> list[str]:
    return [alert.message for alert in bench.alerts if alert.code == code]


def move(bench: OrderBench, trigger: float, **fields: object) -> None:
    bench.ask_modify(stops(bench)[0].client_order_id, trigger_price=trigger, **fields)


def level_moved_by_itself(bench: OrderBench, trigger: float) -> None:
    """The level of the protection is another than its stop's, as after one of several stops was moved at the broker."""
    (level,) = bench.machine.state.open_protections()
    moved = replace(level, trigger=trigger, limit=trigger - 3.0)
    bench._commit((ProtectionChanged(protection=moved, at_ns=bench.now),))
    bench.tick()


def test_stop_whose_change_did_nothing_was_changed_every_four_seconds_until_the_days_cap_was_used_up() -> None:
    bench = deaf_bench()
    stop = guarded(bench)
    level_moved_by_itself(bench, 92.0)
    settle(bench, 90)
    assert (change_calls(bench), stop.modifies, stop.open, live(bench)) == (1, 1, True, 50)
    (said,) = alerts(bench, "STOP_NOT_MOVED")
    assert "stays as it is, 50 at trigger 90 (limit 87)" in said and "92" in said
    assert bench.stands("STOP_NOT_MOVED", stops(bench)[0].client_order_id)
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_change_is_refused_after_two_reads_fifteen_seconds_apart_and_not_before() -> None:
    bench = deaf_bench()
    guarded(bench)
    move(bench, 92.0)
    bench.tick()
    bench.modify()
    bench.read()
    first = bench.time
    while not (said := [row for row in bench.rows if isinstance(row, RequestAnswered)]):
        assert bench.time - first < 20 * SECOND
        bench.tick(SECOND // 2)
        bench.read()
    assert 15 * SECOND <= bench.time - first < 17 * SECOND
    assert not said[0].ok and "answered with success" in said[0].message


def test_reads_begun_before_the_answer_refuse_nothing() -> None:
    bench = deaf_bench()
    guarded(bench)
    move(bench, 92.0)
    bench.tick()
    for _ in range(20):  # the call is out all the while
        bench.tick(1 * SECOND)
        bench.read()
    bench.modify()
    bench.read()
    assert stops(bench)[0].evidence.modify.unproven and alerts(bench, "STOP_NOT_MOVED") == []


def test_change_that_takes_effect_within_the_fifteen_seconds_is_done() -> None:
    bench = deaf_bench()
    guarded(bench)
    move(bench, 92.0)
    settle(bench, 8)
    bench.broker.changes = True
    bench.broker.modify(replace(stops(bench)[0], trigger_price=92.0, price=89.0))
    settle(bench, 20)
    assert stops(bench)[0].trigger_price == 92.0 and change_calls(bench) == 1
    assert [level.trigger for level in bench.machine.state.open_protections()] == [92.0]
    assert alerts(bench, "STOP_NOT_MOVED") == []


def test_change_that_takes_effect_after_it_was_refused_is_followed_and_not_taken_back() -> None:
    bench = deaf_bench()
    stop = guarded(bench)
    move(bench, 92.0)
    settle(bench, 25)
    stop.trigger_price, stop.price = 92.0, 89.0
    settle(bench, 25)
    (level,) = bench.machine.state.open_protections()
    assert (level.trigger, level.limit, change_calls(bench), stop.trigger_price) == (92.0, 89.0, 1, 92.0)


def test_operators_move_that_did_nothing_ends_refused_and_the_old_level_stays_in_force() -> None:
    bench = deaf_bench()
    stop, name = guarded(bench), stops(bench)[0].client_order_id
    move(bench, 92.0)
    settle(bench, 60)
    (level,) = bench.machine.state.open_protections()
    assert (level.trigger, level.moving, stop.trigger_price, change_calls(bench)) == (90.0, None, 90.0, 1)
    (said,) = alerts(bench, "STOP_NOT_MOVED")
    assert "trigger 90 (limit 87) stays in force" in said and "nothing more is tried" in said
    order = bench.order(name)
    assert result_of(order, bench.machine.orders(), order.links.request, cancel=False).word == "refused"


def test_operator_may_ask_for_the_same_terms_again_and_for_others_within_the_brokers_calls() -> None:
    bench = deaf_bench(OmsLimits(modify=ModifyRules(most=3)))
    stop = guarded(bench)
    for count, trigger in enumerate((92.0, 92.0, 93.0), 1):
        move(bench, trigger)
        settle(bench, 25)
        assert (change_calls(bench), stop.open) == (count, True)
    bench.broker.changes = True
    move(bench, 94.0)  # no call is left: another stop takes its place
    settle(bench, 8)
    assert change_calls(bench) == 3 and not stop.open
    assert [order.trigger_price for order in stops(bench, OrderState.ACCEPTED)] == [94.0] and live(bench) == 50


def test_level_that_moves_on_after_a_refusal_is_tried_anew() -> None:
    bench = deaf_bench()
    stop = guarded(bench)
    level_moved_by_itself(bench, 92.0)
    settle(bench, 30)
    level_moved_by_itself(bench, 93.0)
    settle(bench, 30)
    assert change_calls(bench) == 2
    bench.broker.changes = True
    level_moved_by_itself(bench, 94.0)
    settle(bench, 5)
    assert (stop.trigger_price, change_calls(bench)) == (94.0, 3)


def test_call_of_unclear_answer_is_repeated_after_two_seconds_as_before() -> None:
    bench = deaf_bench()
    guarded(bench)
    move(bench, 92.0)
    bench.tick()
    bench.end(next(call for call in bench.calls if call.call is Call.MODIFY), Outcome.UNKNOWN, message="timed out")
    for _ in range(4):
        bench.tick(1 * SECOND)
        bench.read()
    assert change_calls(bench) == 2


def test_refused_change_that_is_answered_with_an_error_without_a_reason_was_never_answered() -> None:
    """HTTP 500 stands for a refusal at some brokers: it was repeated, and neither operator nor alert heard of it."""
    bench = OrderBench(OmsLimits(unlisted=replace(PLAIN, refusal_unclear=("modify",))))
    guarded(bench)
    move(bench, 92.0)
    bench.tick()
    bench.end(bench.calls[-1], Outcome.UNKNOWN, message="HTTP 500: Failed to modify order")
    for _ in range(20):
        bench.read()
        bench.tick(SECOND)
    (answered,) = [row for row in bench.rows if isinstance(row, RequestAnswered)]
    assert (answered.ok, change_calls(bench)) == (False, 1)
    assert stops(bench)[0].trigger_price == 90.0 and live(bench) == 50


def test_restart_forgets_no_success_that_was_none() -> None:
    bench = deaf_bench()
    guarded(bench)
    level_moved_by_itself(bench, 92.0)
    settle(bench, 3)
    bench.crash()
    settle(bench, 25)
    bench.crash()
    settle(bench, 25)
    assert change_calls(bench) == 1 and len(alerts(bench, "STOP_NOT_MOVED")) == 1


def named_bench(rules: BrokerRules) -> OrderBench:
    bench = deaf_bench(OmsLimits(brokers={rules.name: rules}))
    bench.step(ModeSeen(account=ACCOUNT, mode="live", expected=True, machine_ns=bench.time, broker=rules.name))
    return bench


def test_stop_at_a_broker_whose_changes_leave_the_trigger_is_cancelled_and_another_follows_its_proven_end() -> None:
    bench = named_bench(BrokerRules(name="aa", stop_move=StopMoving.REPLACE))
    stop = guarded(bench)
    move(bench, 92.0)
    bench.tick()
    assert [call.call for call in bench.calls] == [Call.CANCEL]
    bench.cancel()
    bench.tick(1 * SECOND)
    assert len(stops(bench)) == 1, "the answer to the cancel alone proves nothing"
    settle(bench, 4)
    assert change_calls(bench) == 0 and not stop.open
    assert [(order.trigger_price, order.price) for order in stops(bench, OrderState.ACCEPTED)] == [(92.0, 89.0)]
    (level,) = bench.machine.state.open_protections()
    assert (level.trigger, level.limit, level.moving, live(bench)) == (92.0, 89.0, None, 50)


def test_order_takes_no_more_changes_than_its_brokers_row_says() -> None:
    bench = named_bench(BrokerRules(name="aa", modifies_most=2))
    bench.broker.changes = True
    stop = guarded(bench)
    for trigger in (91.0, 92.0, 93.0):
        move(bench, trigger)
        settle(bench, 5)
    assert change_calls(bench) == stop.modifies == 2 and not stop.open
    assert [order.trigger_price for order in stops(bench, OrderState.ACCEPTED)] == [93.0]


def test_stop_that_a_change_did_not_make_smaller_is_replaced_by_a_smaller_one() -> None:
    """Less is held than it guards: left as it is it would sell what is not held."""
    bench = deaf_bench()
    stop = guarded(bench)
    bench.broker.by_hand(30)
    settle(bench, 45)
    assert bench.position().quantity == 30 and change_calls(bench) == 1
    assert not stop.open and [order.quantity for order in stops(bench, OrderState.ACCEPTED)] == [30]


def test_entry_whose_change_did_nothing_rests_as_it_was_and_the_request_is_refused() -> None:
    bench = deaf_bench()
    bench.read()
    bench.enter("e1", 100, order_type=OrderType.LIMIT, price=100.0, **PLAN)
    placed = bench.accept()
    bench.read()
    bench.ask_modify("e1", price=101.0)
    settle(bench, 40)
    order = bench.order("e1")
    assert (order.price, placed.price, placed.open, change_calls(bench)) == (100.0, 100.0, True, 1)
    found = result_of(order, bench.machine.orders(), order.links.request, cancel=False)
    assert found.word == "refused" and "answered with success" in order.message


def exit_at(bench: OrderBench, price: float) -> Placed:
    bench.hold()
    bench.close("g1", price=price, price_step=1.0)
    return bench.accept()


def test_exit_whose_new_price_did_nothing_is_replaced_at_that_price_within_ten_seconds() -> None:
    bench = deaf_bench()
    first = exit_at(bench, 99.0)
    while not any(call.call is Call.MODIFY for call in bench.calls):
        bench.tick(1 * SECOND)
    since = bench.time
    while first.open:
        assert bench.time - since < 10 * SECOND
        settle(bench, 1)
    settle(bench, 3)
    leaving = [placed for placed in bench.broker.orders.values() if placed.open]
    assert [(placed.price, placed.quantity) for placed in leaving] == [(98.0, 50)] and first.modifies == 1


def test_exit_whose_price_cannot_be_changed_gets_out_at_market_in_the_end() -> None:
    bench = deaf_bench()
    exit_at(bench, 99.0)
    since = bench.time
    while not (last := [p for p in bench.broker.orders.values() if p.open and p.order_type is OrderType.MARKET]):
        assert bench.time - since < 90 * SECOND
        settle(bench, 1)
    assert [placed.id for placed in bench.broker.orders.values() if placed.open] == [last[0].id]
    bench.broker.trade(last[0], 50, 95.0)
    settle(bench, 4)
    assert bench.position().quantity == 0 and bench.broker.net["NFO:A", Product.MIS] == 0


# cancels


@pytest.mark.parametrize("seconds", [10, 30, 300])
def test_stop_whose_cancel_did_nothing_counts_and_no_exit_is_sent_beside_it(seconds: int) -> None:
    bench = deaf_bench(cancels=False)
    stop = guarded(bench)
    bench.close("g1")
    settle(bench, seconds)
    assert stop.open and live(bench) == 50
    assert [placed.id for placed in bench.broker.orders.values() if placed.open] == [stop.id]
    assert bool(alerts(bench, "CANCEL_STUCK")) is (seconds > 20)
    assert cancel_calls(bench) <= 5 + seconds // 30
    bench.broker.cancels = True
    while stop.open or not (leaving := next((p for p in bench.broker.orders.values() if p.open), None)):
        assert bench.time < 2000 * SECOND
        settle(bench, 1)
    assert (leaving.quantity, bench.machine.state.orders[leaving.client_order_id].purpose) == (50, Purpose.EXIT)
    bench.broker.trade(leaving, 50, 99.0)
    settle(bench, 4)
    assert bench.broker.net["NFO:A", Product.MIS] == 0


def test_stop_that_a_broker_of_no_effect_neither_changes_nor_cancels_stays_as_it_is() -> None:
    bench = deaf_bench(OmsLimits(modify=ModifyRules(in_place=False)), cancels=False)
    stop = guarded(bench)
    move(bench, 92.0)
    settle(bench, 60)
    assert stop.open and live(bench) == 50 and len(stops(bench)) == 1
    assert alerts(bench, "CANCEL_STUCK")


def test_entry_whose_cancel_did_nothing_has_no_successor_beside_it() -> None:
    bench = deaf_bench(OmsLimits(modify=ModifyRules(in_place=False)), cancels=False)
    bench.read()
    bench.enter("e1", 100, order_type=OrderType.LIMIT, price=100.0, **PLAN)
    placed = bench.accept()
    bench.ask_modify("e1", price=101.0)
    settle(bench, 60)
    assert placed.open and [order.client_order_id for order in bench.machine.orders()] == ["e1"]
    assert alerts(bench, "CANCEL_STUCK")
