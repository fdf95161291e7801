"""Accounts at brokers that cannot keep a stop: no money goes there unasked, and what is held has its stop in risk."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.risk.active_alerts import BROKER_REFUSED, STOPS_IN_ENGINE, LatencyAlerts, active_alerts
from mytrading.core.risk.snapshot import risk_snapshot
from mytrading.messages.brokers import UNLISTED, BrokerRules, Standing, find_broker
from mytrading.messages.commands import PlaceEntry
from mytrading.messages.enums import Severity, Side
from mytrading.messages.orders import Protection, ProtectionChanged
from mytrading.messages.reports import AccountHealth
from mytrading.messages.run_config import AlertRules
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import SHARE, RiskBench, codes
from tests.kit.risk_stop_bench import goals

STOPLESS = BrokerRules(
    name="stopless", standing=Standing.REFUSED, reason="each stop is sent as a market order.", found="2026-11-25",
    broker_stops=False,
)  # fmt: skip
BOOKLESS = BrokerRules(name="bookless", standing=Standing.REFUSED, reason="prices in its books are wrong")
LIMITED = BrokerRules(name="limited", standing=Standing.LIMITS, broker_stops=False)
READY = BrokerRules(name="ready", standing=Standing.READY)
TABLE = {row.name: row for row in (STOPLESS, BOOKLESS, LIMITED, READY)}


def bench_at(broker: str, *accepted: str) -> RiskBench:
    bench = RiskBench()
    environment = bench.machine.environment
    environment.broker_rules, environment.names_brokers = (lambda name: find_broker(TABLE, name)), True
    environment.accepted_brokers = accepted
    bench.broker = broker
    bench.beat()
    bench.quote(SHARE, 800.0)
    return bench


def enter(bench: RiskBench, name: str = "a") -> tuple[Any, ...]:
    return bench.intent(name, Leg(instrument=SHARE, lots=10))


def entry(rows: Any) -> PlaceEntry:
    (found,) = [row for row in rows if isinstance(row, PlaceEntry)]
    return found


def alerts(bench: RiskBench) -> dict[tuple[str, str], Any]:
    found = active_alerts(
        bench.machine, LatencyAlerts(AlertRules()), (), (), "KILL", bench.now, bench.machine_ns
    )  # fmt: skip
    return {key: alert for key, alert in found.items() if key[0] in (BROKER_REFUSED, STOPS_IN_ENGINE)}


@pytest.mark.parametrize("rules", [STOPLESS, BOOKLESS], ids=lambda rules: rules.name)
def test_no_money_is_sent_to_a_broker_that_keeps_no_promise(rules: BrokerRules) -> None:
    bench = bench_at(rules.name)
    (denied,) = enter(bench)
    assert codes((denied,)) == ["BROKER_REFUSED"]
    for part in (rules.name, rules.reason.rstrip("."), rules.found, f"ACCEPTED_BROKERS={rules.name}"):
        assert part in denied.message
    (alert,) = alerts(bench).values()
    assert alert.severity is Severity.CRITICAL and rules.reason.rstrip(".") in alert.text


def test_consent_that_names_another_broker_accepts_nothing() -> None:
    assert codes(enter(bench_at("stopless", "bookless", "limited"))) == ["BROKER_REFUSED"]


def test_other_account_trades_while_one_is_refused() -> None:
    bench = bench_at("stopless")
    run = bench.machine.environment.strategies["S"]
    bench.machine.environment.strategies["S"] = replace(run, accounts=("main", "second"))
    bench.machine.apply(
        AccountHealth(
            account="second", connected=True, right_mode=True, stream_up=True, books_agree=True, broker="ready"
        )
    )
    rows = enter(bench)
    assert codes(rows) == ["BROKER_REFUSED"] and entry(rows).account == "second"
    assert entry(rows).stop_trigger == 784.0, "2 % below 800, at a broker that keeps stops"


@pytest.mark.parametrize("rules", [STOPLESS, BOOKLESS], ids=lambda rules: rules.name)
def test_accepted_broker_is_given_no_stop_and_risk_closes_at_its_level(rules: BrokerRules) -> None:
    bench = bench_at(rules.name, rules.name)
    found = entry(enter(bench))
    assert (found.stop_trigger, found.stop_limit, found.held_stop) == (0.0, 0.0, 784.0)
    bench.fill(found)
    (stop,) = risk_snapshot(bench.machine, bench.now, 0, 0).stops
    assert (stop.holder, stop.stop) == ("engine", 784.0)
    (((code, subject), alert),) = alerts(bench).items()
    assert (code, subject, alert.severity) == (STOPS_IN_ENGINE, "main", Severity.WARNING)
    assert rules.name in alert.text and rules.reason.rstrip(".") in alert.text
    assert [goal.instrument for goal in goals(bench.quote(SHARE, 783.5))] == [SHARE]


def test_broker_with_limits_that_takes_no_stop_orders_needs_no_consent_and_gets_none() -> None:
    bench = bench_at("limited")
    assert entry(enter(bench)).held_stop == 784.0
    assert list(alerts(bench)) == [(STOPS_IN_ENGINE, "main")]


@pytest.mark.parametrize("broker", ["ready", "nowhere", "unnamed"])
def test_ready_and_unlisted_brokers_are_traded_with_the_stop_there(broker: str) -> None:
    bench = bench_at(broker)
    assert bench.machine.state.broker_of("main").standing in (Standing.READY, UNLISTED.standing)
    found = entry(enter(bench))
    assert (found.stop_trigger, found.held_stop) == (784.0, 0.0) and alerts(bench) == {}


def test_nothing_is_entered_before_the_server_has_named_its_broker() -> None:
    bench = bench_at("")
    (denied,) = enter(bench)
    assert denied.code == "NOT_READY" and "has not named its broker" in denied.message


def test_units_whose_stop_was_meant_for_the_broker_are_guarded_here_where_it_takes_none() -> None:
    """Held before the broker was known to send stops as market orders: the router keeps the stop back."""
    bench = bench_at("stopless")
    bench.hold(SHARE, 10, 800.0)
    level = Protection(
        id="p1", account="main", instrument=SHARE, product=bench.product, strategy="S", run="r", cause="c",
        side=Side.SELL, trigger=784.0, limit=780.0,
    )  # fmt: skip
    bench.give(ProtectionChanged(protection=level, at_ns=bench.now))
    bench.pass_time(0.1)
    (stop,) = risk_snapshot(bench.machine, bench.now, 0, 0).stops
    assert (stop.holder, stop.stop) == ("engine", 784.0)
    assert list(bench.machine.state.guarded_positions()) == [], "nobody may close it for a stop that cannot be there"
    bench.give(ProtectionChanged(protection=replace(level, trigger=790.0), at_ns=bench.now))
    bench.pass_time(0.1)
    assert goals(bench.quote(SHARE, 790.5)) == []
    assert [goal.instrument for goal in goals(bench.quote(SHARE, 789.5))] == [SHARE]


def test_units_whose_stop_rests_at_a_good_broker_are_not_guarded_twice() -> None:
    bench = bench_at("ready")
    bench.hold(SHARE, 10, 800.0)
    level = Protection(
        id="p1", account="main", instrument=SHARE, product=bench.product, strategy="S", run="r", cause="c",
        side=Side.SELL, trigger=784.0, limit=780.0,
    )  # fmt: skip
    bench.give(ProtectionChanged(protection=level, at_ns=bench.now))
    bench.pass_time(0.1)
    (stop,) = risk_snapshot(bench.machine, bench.now, 0, 0).stops
    assert stop.holder == "broker" and len(bench.machine.state.guarded_positions()) == 1
