"""Entries at a broker that cannot keep a stop, and at one that is not the broker of yesterday: refused; exits go."""

from __future__ import annotations

import pytest

from mytrading.core.oms import OmsLimits
from mytrading.messages.account_events import AccountBrokerChanged, EntriesStopped
from mytrading.messages.brokers import BrokerRules, Standing
from mytrading.messages.control import ClaimRequested, TradingState
from mytrading.messages.enums import Call, OrderState, OrderType, Product, Purpose, TradingLevel
from mytrading.messages.orders import RequestAnswered
from mytrading.messages.reports import ModeSeen
from tests.kit.fake_broker import ACCOUNT, SECOND, OrderBench

BAD = BrokerRules(
    name="badbroker", standing=Standing.REFUSED, reason="each stop is sent as a market order", found="2026-11-25",
    broker_stops=False,
)  # fmt: skip
GOOD = BrokerRules(name="goodbroker", standing=Standing.READY)
OTHER = BrokerRules(name="otherbroker", standing=Standing.READY)
TABLE = {row.name: row for row in (BAD, GOOD, OTHER)}
STOP = {"stop_trigger": 95.0, "stop_limit": 94.0}


def named(bench: OrderBench, broker: str) -> None:
    """The server was pinged, and named this broker."""
    bench.step(ModeSeen(account=ACCOUNT, mode="live", expected=True, machine_ns=bench.time, broker=broker))


def bench_of(broker: str, *accepted: str) -> OrderBench:
    bench = OrderBench(OmsLimits(brokers=TABLE, accepted_brokers=accepted))
    if broker:
        named(bench, broker)
    bench.read()
    return bench


def test_no_entry_leaves_for_a_broker_that_sends_each_stop_as_a_market_order() -> None:
    bench = bench_of("badbroker")
    bench.enter("e1")
    assert bench.calls == [] and bench.order("e1").state is OrderState.DENIED
    message = bench.order("e1").message
    assert message.startswith("BROKER_REFUSED: ")
    for part in ("badbroker", "each stop is sent as a market order", "2026-11-25", "ACCEPTED_BROKERS=badbroker"):
        assert part in message


def test_consent_for_another_broker_accepts_nothing() -> None:
    bench = bench_of("badbroker", "goodbroker")
    bench.enter("e1")
    assert bench.calls == [] and bench.order("e1").message.startswith("BROKER_REFUSED: ")


def test_accepted_broker_takes_entries() -> None:
    bench = bench_of("badbroker", "badbroker")
    bench.enter("e1")
    assert [call.call for call in bench.calls] == [Call.PLACE]


def test_first_entry_of_a_new_account_does_not_leave_before_its_broker_is_known() -> None:
    bench = bench_of("")
    bench.enter("e1")
    assert bench.calls == [] and bench.order("e1").message.startswith("BROKER_UNKNOWN: ")
    named(bench, "goodbroker")
    bench.enter("e2")
    assert [call.order.client_order_id for call in bench.calls] == ["e2"]


def test_exit_of_what_is_held_leaves_at_a_refused_broker() -> None:
    bench = bench_of("goodbroker")
    bench.hold("e1")
    named(bench, "badbroker")
    bench.close("g1")
    assert [call.order.purpose for call in bench.calls] == [Purpose.EXIT]
    assert bench.calls[0].order.order_type is OrderType.MARKET


def test_stop_is_not_sent_where_it_would_go_as_a_market_order() -> None:
    bench = bench_of("badbroker", "badbroker")
    bench.hold("e1", **STOP)
    bench.tick(5 * SECOND)
    assert [call for call in bench.calls if call.order.purpose is Purpose.STOP] == []
    bench.close("g1")
    assert [call.order.purpose for call in bench.calls] == [Purpose.EXIT], "the stop that waits must not hold it up"


def test_stop_is_sent_where_the_broker_keeps_it() -> None:
    bench = bench_of("goodbroker")
    bench.hold("e1", **STOP)
    assert [call.order.purpose for call in bench.calls] == [Purpose.STOP]


def test_server_that_names_another_broker_stops_entries_until_resumed() -> None:
    bench = bench_of("goodbroker")
    bench.hold("e1")
    named(bench, "otherbroker")
    bench.enter("e2", instrument="NFO:B")
    message = bench.order("e2").message
    assert message.startswith("BROKER_CHANGED: ") and "goodbroker" in message and "otherbroker" in message
    assert "BROKER_CHANGED" in bench.codes() and bench.stands("BROKER_CHANGED", ACCOUNT)
    bench.close("g1")
    assert [call.order.purpose for call in bench.calls] == [Purpose.EXIT], "exits go on"
    bench.step(TradingState(level=TradingLevel.NORMAL, generation=9, reason="seen", at_ns=bench.now, account=ACCOUNT))
    assert not bench.stands("BROKER_CHANGED", ACCOUNT)
    bench.enter("e3", instrument="NFO:C")
    assert [call.order.client_order_id for call in bench.calls if call.order.purpose is Purpose.ENTRY] == ["e3"]


@pytest.mark.parametrize("night", [False, True], ids=["restart", "next day"])
def test_stop_by_another_broker_is_not_forgotten(night: bool) -> None:
    bench = bench_of("goodbroker")
    named(bench, "otherbroker")
    if night:
        bench.open_day("2026-03-19")
    bench.crash()
    named(bench, "otherbroker")
    bench.read()
    bench.tick(5 * SECOND)
    bench.enter("e1")
    assert bench.calls == [] and bench.order("e1").message.startswith("BROKER_CHANGED: ")


def test_resume_of_another_account_lifts_nothing() -> None:
    bench = bench_of("goodbroker")
    named(bench, "otherbroker")
    bench.step(TradingState(level=TradingLevel.NORMAL, generation=9, reason="seen", at_ns=bench.now, account="second"))
    bench.enter("e1")
    assert bench.order("e1").message.startswith("BROKER_CHANGED: ")


@pytest.mark.parametrize(("first", "then"), [("goodbroker", "unnamed"), ("unnamed", "goodbroker"), ("goodbroker", "")])
def test_ping_without_a_name_is_no_other_broker(first: str, then: str) -> None:
    bench = bench_of(first)
    if then:
        named(bench, then)
    assert [row for row in bench.rows if isinstance(row, EntriesStopped)] == []


def test_broker_that_stays_is_journaled_once() -> None:
    bench = bench_of("goodbroker")
    for _ in range(3):
        named(bench, "goodbroker")
    assert len([row for row in bench.rows if isinstance(row, AccountBrokerChanged)]) == 1


def test_claim_with_a_stop_that_would_not_be_sent_is_refused() -> None:
    """It would wait for its first stop for ever."""
    bench = bench_of("badbroker", "badbroker")
    bench.broker.by_hand(75)
    bench.read()
    bench.tick(20 * SECOND)
    bench.read()
    asked = {"account": ACCOUNT, "instrument": "NFO:A", "product": Product.MIS, "price": 100.0}
    stop = {"stop": 90.0, "stop_limit": 87.0}
    rows = bench.step(ClaimRequested(id="c1", strategy="s1", at_ns=bench.now, **asked, **stop))
    (answer,) = [row for row in rows if isinstance(row, RequestAnswered)]
    assert not answer.ok and "claim without --stop" in answer.message
    rows = [*bench.step(ClaimRequested(id="c2", strategy="s1", at_ns=bench.now, **asked)), *bench.read()]
    assert [row.ok for row in rows if isinstance(row, RequestAnswered)] == [True]
