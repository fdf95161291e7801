"""Setup of the router from its configuration, and its log of orders."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from mytrading.core.gateway.read_model import StackView
from mytrading.core.oms.state.decision import OrderDecision
from mytrading.core.oms.state.settings import MS, OmsLimits
from mytrading.core.orders.state_machine import with_modify
from mytrading.core.time import SECOND
from mytrading.daemons.router.reporting import order_fields
from mytrading.daemons.router.setup import build_order_machine
from mytrading.messages.brokers import BrokerRules
from mytrading.messages.enums import OrderState
from mytrading.messages.order_evidence import OrderTerms
from mytrading.messages.orders import NO_EVIDENCE, OrderChanged
from mytrading.messages.reports import ModeSeen
from mytrading.messages.run_config import RateLimits, ServerMode, UnknownExit, Windows
from tests.kit.order_samples import order
from tests.kit.run_configs import run_config


@pytest.mark.parametrize("chosen", UnknownExit)
def test_unknown_exit_of_the_run_file_reaches_the_order_machine(tmp_path: Path, chosen: UnknownExit) -> None:
    config = run_config(tmp_path)
    assert config.risk.unknown_exit is UnknownExit.SECOND_EXIT
    changed = msgspec.structs.replace(config, risk=msgspec.structs.replace(config.risk, unknown_exit=chosen))
    assert build_order_machine(changed).limits.unknown_exit is chosen


def test_brokers_rules_for_changes_reach_the_order_machine_by_account(tmp_path: Path) -> None:
    config = run_config(tmp_path)
    venue = msgspec.structs.replace(config.venue, expected_mode=ServerMode.LIVE)
    rows = {"aa": BrokerRules(name="aa", modify_after_fill=False), "bb": BrokerRules(name="bb")}
    machine = build_order_machine(msgspec.structs.replace(config, venue=venue, brokers=rows))
    for account, broker in (("a", "aa"), ("b", "bb"), ("c", "cc"), ("d", "")):
        seen = ModeSeen(account=account, mode="live", expected=True, machine_ns=1, broker=broker)
        for row in machine.decide(seen, 1):
            machine.apply(row)
    found = {name: OrderDecision(machine.state, machine.limits, 1).modify_rules(name) for name in "abcd"}
    assert {name: rules.after_fill for name, rules in found.items()} == {"a": False, "b": True, "c": True, "d": True}
    assert {rules.most for rules in found.values()} == {20}


def test_limits_of_changes_and_churn_reach_the_order_machine(tmp_path: Path) -> None:
    rates = RateLimits(modifies_per_order=9, churn_per_instrument=3, churn_per_account=8)
    config = run_config(tmp_path)
    config = msgspec.structs.replace(config, rates=rates, accounts=config.order_accounts)
    limits = build_order_machine(config).limits
    assert [limits.modify_rules(broker).most for broker in ("", "unknown")] == [9, 9]
    assert (limits.churn_instrument, limits.churn_account) == (3, 8)


def test_wanted_change_is_logged_beside_what_the_order_is() -> None:
    fields = order_fields(order(price=100.0, evidence=with_modify(NO_EVIDENCE, wanted=OrderTerms(101.0, 0.0, 25))))
    assert (fields["price"], fields["wanted"]) == (100.0, "25 at 101 trigger 0")


def test_sighted_fill_is_logged_as_seen_and_nothing_empty_is() -> None:
    fields = order_fields(order(state=OrderState.PARTIALLY_FILLED, filled_seen=50))
    assert fields["seen"] == 50
    assert not {"filled", "price", "broker", "problem"} & set(fields)


def test_confirmed_fill_is_logged_with_its_price_alone() -> None:
    fields = order_fields(order(state=OrderState.FILLED, filled=50, filled_seen=50, average_price=101.5))
    assert (fields["filled"], fields["price"]) == (50, 101.5)
    assert "seen" not in fields


def test_orders_of_a_dry_run_are_counted_as_recorded_not_as_placed_or_rejected() -> None:
    view = StackView()
    for event, state in (("submitted", OrderState.SUBMITTED), ("recorded", OrderState.RECORDED)):
        view.apply(OrderChanged(order=order(state=state), event=event, machine_ns=1))
    counts = view.order_counts()
    assert (counts["placed"], counts["rejected"], counts["recorded"]) == (0, 0, 1)


def test_windows_of_the_run_file_reach_the_order_machine(tmp_path: Path) -> None:
    config = run_config(tmp_path)
    assert build_order_machine(config).limits.lost_after == OmsLimits().lost_after
    short = Windows(lost_after=9.5, ghost_gap=2.0, mismatch_gap=1.0, exit_patience=3.0, slow=6.0)
    limits = build_order_machine(msgspec.structs.replace(config, windows=short)).limits
    assert (limits.lost_after, limits.ghost_gap, limits.mismatch_gap) == (9_500 * MS, 2 * SECOND, 1 * SECOND)
    assert (limits.exit_patience, limits.slow) == (3 * SECOND, 6 * SECOND)
