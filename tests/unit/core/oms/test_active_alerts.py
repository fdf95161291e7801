"""State alerts of the order machine: active as long as its state says so."""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.oms.active_alerts import DECIDED_ALERTS, STATE_ALERTS, Unguarded
from mytrading.core.oms.state.alert_codes import EventAlert, StateAlert
from mytrading.messages.account_events import AccountModeChanged
from mytrading.messages.enums import OrderState, Severity
from mytrading.messages.order_evidence import Ambiguous
from mytrading.messages.orders import Order, OrderChanged
from mytrading.messages.reports import ModeSeen
from tests.kit.fake_broker import ACCOUNT, OrderBench


def show(bench: OrderBench, order: Order, state: OrderState) -> Order:
    changed = replace(order, state=state)
    bench.machine.apply(OrderChanged(event="observed", order=changed, machine_ns=bench.time))
    return changed


def order_of(bench: OrderBench) -> Order:
    bench.read()
    bench.enter("e1")
    return bench.order("e1")


def test_each_state_alert_of_a_decision_has_a_rule_that_ends_it_and_no_event_alert_has_one() -> None:
    assert {*DECIDED_ALERTS, StateAlert.WRONG_MODE} == set(StateAlert)
    assert STATE_ALERTS.isdisjoint(EventAlert)


def test_doubt_of_an_order_ends_when_its_fate_is_known() -> None:
    bench = OrderBench()
    order = show(bench, order_of(bench), OrderState.UNKNOWN)
    assert bench.stands("ORDER_UNKNOWN", "e1") and bench.stands("ORDER_AMBIGUOUS", "e1")
    order = show(bench, order, OrderState.LOST)
    assert bench.stands("ORDER_LOST", "e1") and not bench.stands("ORDER_UNKNOWN", "e1")
    assert not bench.stands("ORDER_AMBIGUOUS", "e1")
    show(bench, replace(order, evidence=replace(order.evidence, match=Ambiguous())), OrderState.LOST)
    assert bench.stands("ORDER_AMBIGUOUS", "e1"), "an operator decides, though the order was given up"


def test_order_that_expired_with_an_unknown_fate_is_named_until_the_day_turns() -> None:
    bench = OrderBench()
    show(bench, order_of(bench), OrderState.EXPIRED)
    assert bench.stands("ORDER_UNRESOLVED", "e1")
    assert not bench.stands("ORDER_UNRESOLVED", "of yesterday")
    assert bench.stands("ORDER_GHOST", "of yesterday"), "no state ends it"


def test_account_in_the_wrong_mode_is_named_whatever_was_raised_before() -> None:
    bench = OrderBench()
    bench.machine.apply(AccountModeChanged(account=ACCOUNT, wrong_mode=True, message="live", at_ns=1))
    (alert,) = bench.machine.active_alerts((), Unguarded(), {}).values()
    assert (alert.severity, alert.text, alert.once) == (Severity.CRITICAL, "live", True)


def test_entries_without_guardians_are_named_while_they_rest() -> None:
    machine = OrderBench().machine
    away = Unguarded({ACCOUNT: "risk is silent for 10 s"})
    key = ("ENTRIES_UNGUARDED", "router")
    assert machine.active_alerts((), away, {})[key].text == ""
    text = machine.active_alerts((), away._replace(exposed=[ACCOUNT]), {})[key].text
    assert text.startswith("risk is silent for 10 s: resting entries are cancelled")


def test_server_that_is_right_again_was_still_said_to_answer_in_another_mode() -> None:
    bench = OrderBench()
    seen = ModeSeen(account=ACCOUNT, mode="live", expected=False, machine_ns=bench.time)
    bench.step(seen)
    right = replace(seen, mode="analyze", expected=True)
    bench.step(right)
    assert "resume` is missing" in bench.machine.wrong_mode_message(ACCOUNT)
    assert "resume` is missing" in bench.alerts[-1].message
    told = len(bench.alerts)
    bench.step(right)
    assert len(bench.alerts) == told, "told once"
    bench.step(seen)
    assert bench.machine.wrong_mode_message(ACCOUNT) == "found mode live" and len(bench.alerts) == told + 1
    bench.read()
    bench.enter("e1")
    assert bench.calls == [], "nothing is sent before an operator says so"
