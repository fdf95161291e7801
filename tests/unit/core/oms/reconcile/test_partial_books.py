"""Books that are answered empty, or without some of their rows: what they lack takes nothing from an owner."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.core.oms import OmsLimits, OrderMachine
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.brokers import PLAIN, UNLISTED, BrokerRules, PositionScope
from mytrading.messages.control import ClaimRequested, FlattenRequested
from mytrading.messages.enums import BrokerStatus, Call, Confidence, Product, Purpose, Severity
from mytrading.messages.reports import BrokerPosition
from tests.kit.fake_broker import ACCOUNT, NEVER, SECOND, OrderBench, Placed
from tests.kit.state_digest import state_digest

PLAN = {"stop_trigger": 90.0, "stop_limit": 87.0}
A = ("NFO:A", Product.NRML)
PARTIAL = replace(PLAIN, positions=PositionScope.PARTIAL)
DAY = replace(PLAIN, positions=PositionScope.DAY, carried_average=False)


def bench_at(rules: BrokerRules) -> OrderBench:
    """A bench at a broker of these rules, with a row of somebody else in its position book."""
    bench = OrderBench(OmsLimits(unlisted=rules))
    bench.broker.net["NFO:OTHER", Product.MIS] = 0
    return bench


def guarded(bench: OrderBench) -> Placed:
    """Fifty units held, and their stop at the broker."""
    bench.hold(product=Product.NRML, **PLAN)
    stop = bench.accept()
    bench.read()
    bench.tick(10 * SECOND)
    return stop


def carried(bench: OrderBench) -> None:
    """The day turns: orders and trades of the broker begin anew, and its positions go on."""
    guarded(bench)
    opened = bench.machine.snapshot("2026-11-24")
    bench.machine = OrderMachine(bench.limits, bench._is_open, bench._squares_off)
    bench.calls.clear()
    bench.step(opened)
    bench.journal = [opened]
    for placed in bench.broker.orders.values():
        placed.status, placed.booked_at = BrokerStatus.EXPIRED, NEVER
    bench.see_mode()
    bench.tick(10 * SECOND)


def minutes(bench: OrderBench, count: int, **fields: object) -> None:
    """Reads every six seconds; stops that are placed are taken."""
    for _ in range(10 * count):
        bench.tick(6 * SECOND)
        for call in [call for call in bench.calls if call.call is Call.PLACE]:
            bench.accept(call)
        bench.read(**fields)


def held(bench: OrderBench) -> tuple[int, Confidence]:
    level = bench.machine.position(ACCOUNT, "NFO:A", Product.NRML, "s1")
    assert level is not None
    return level.quantity, level.confidence


def stops(bench: OrderBench) -> int:
    """Units of stops that rest at the broker."""
    return sum(p.quantity for p in bench.broker.orders.values() if p.status is BrokerStatus.TRIGGER_PENDING)


def critical(bench: OrderBench) -> list[str]:
    return [alert.code for alert in bench.alerts if alert.severity is Severity.CRITICAL]


@pytest.mark.parametrize("rules", [PLAIN, PARTIAL, UNLISTED], ids=["whole", "partial", "unlisted"])
def test_books_that_are_empty_for_an_hour_take_nothing_and_are_alerted_once(rules: BrokerRules) -> None:
    """The session at the broker has ended: all three books are an empty success. Each order was alerted as missing."""
    bench = bench_at(rules)
    stop = guarded(bench)
    bench.enter("e2", instrument="NFO:B")
    bench.accept()
    bench.broker.empty = {"orders", "trades", "positions"}
    minutes(bench, 60)
    assert held(bench)[0] == 50 and stop.open
    assert critical(bench) == ["BOOKS_EMPTY"]
    assert bench.stands("BOOKS_EMPTY", ACCOUNT)
    assert state_digest(bench.replayed()) == state_digest(bench.machine)
    bench.broker.empty.clear()
    bench.read()
    assert not bench.stands("BOOKS_EMPTY", ACCOUNT)


@pytest.mark.parametrize("rules", [PLAIN, PARTIAL, UNLISTED], ids=["whole", "partial", "unlisted"])
def test_carried_position_stands_without_a_new_stop_while_all_books_are_empty(rules: BrokerRules) -> None:
    """In the morning there is no order of today yet: nothing but the funds tells an ended session from a flat book. A
    stop placed then would open a position where the units are gone."""
    bench = bench_at(rules)
    carried(bench)
    bench.broker.empty = {"orders", "trades", "positions"}
    minutes(bench, 10)
    assert (held(bench)[0], stops(bench)) == (50, 0)
    bench.broker.empty.clear()
    minutes(bench, 1)
    assert (held(bench), stops(bench)) == ((50, Confidence.CONFIRMED), 50)


@pytest.mark.parametrize("fields", [{}, {"trades": ()}, {"trades": None}], ids=["trades", "no trades", "failed trades"])
@pytest.mark.parametrize("rules", [PARTIAL, UNLISTED], ids=["partial", "unlisted"])
@pytest.mark.parametrize("overnight", [False, True])
def test_row_that_a_partial_position_book_lacks_takes_nothing(
    rules: BrokerRules, fields: dict[str, object], overnight: bool
) -> None:
    """One of four queries failed without a word; after 15 minutes the units were taken and their stop cancelled."""
    bench = bench_at(rules)
    carried(bench) if overnight else guarded(bench)
    minutes(bench, 1)
    bench.broker.unlisted.add(A)
    minutes(bench, 40, funds_live=True, **fields)
    assert (held(bench), stops(bench)) == ((50, Confidence.DISPUTED), 50)
    assert critical(bench).count("POSITION_DISPUTED") == 1 and "POSITION_CORRECTED" not in bench.codes()
    bench.broker.unlisted.clear()
    bench.read()
    assert held(bench) == (50, Confidence.CONFIRMED)


def test_exit_goes_out_though_a_partial_position_book_lacks_what_it_closes() -> None:
    bench = bench_at(PARTIAL)
    guarded(bench)
    bench.broker.unlisted.add(A)
    minutes(bench, 5)
    bench.close("g1", product=Product.NRML)
    bench.cancel()
    bench.read()
    (call,) = bench.calls
    assert (call.order.purpose, call.order.quantity) == (Purpose.EXIT, 50)


@pytest.mark.parametrize("rules", [PARTIAL, UNLISTED, DAY], ids=["partial", "unlisted", "day"])
def test_order_that_closed_a_part_takes_that_part_and_what_the_book_lacks_besides_stays(rules: BrokerRules) -> None:
    bench = bench_at(rules)
    bench.check_purity = True
    guarded(bench)
    bench.broker.by_hand(20, "NFO:A", Product.NRML)
    bench.broker.unlisted.add(A)
    minutes(bench, 2)
    assert held(bench)[0] == 20
    minutes(bench, 30)
    assert held(bench)[0] == 20, "the same order does not close a second time"


def test_order_of_a_stranger_in_another_product_closes_nothing_of_ours() -> None:
    bench = bench_at(PARTIAL)
    guarded(bench)
    bench.broker.by_hand(-50, "NFO:A", Product.MIS)
    bench.broker.unlisted.add(A)
    minutes(bench, 5)
    assert held(bench)[0] == 50


def test_claimed_units_stay_where_a_partial_book_lacks_them() -> None:
    """No order of ours bought them, which must not be read as an order that sold them."""
    bench = bench_at(PARTIAL)
    guarded(bench)
    bench.broker.by_hand(80, "NFO:A", Product.NRML)
    minutes(bench, 1)
    claim = ClaimRequested(
        id="c1", account=ACCOUNT, instrument="NFO:A", product=Product.NRML, strategy="s1", at_ns=bench.now, price=100.0
    )
    bench.step(claim)
    bench.read()
    assert held(bench)[0] == 80
    bench.broker.unlisted.add(A)
    minutes(bench, 20)
    assert held(bench)[0] == 80


def test_position_book_of_the_day_alone_agrees_with_units_that_were_carried() -> None:
    """Next morning the carried units were corrected to none and had no stop."""
    bench = bench_at(DAY)
    carried(bench)
    bench.broker.unlisted.add(A)
    minutes(bench, 2)
    assert (held(bench), stops(bench)) == ((50, Confidence.CONFIRMED), 50)
    assert not {"POSITION_DISPUTED", "POSITION_CORRECTED"} & bench.codes()
    day = BrokerPosition(instrument="NFO:A", product=Product.NRML, quantity=-50)
    bench.close("g1", product=Product.NRML)
    bench.cancel()
    bench.read()
    placed = bench.accept()
    bench.broker.trade(placed, 50, 99.0)
    bench.report(placed)
    minutes(bench, 1, positions=(day,))
    assert held(bench)[0] == 0 and not any(isinstance(row, UnmanagedChanged) for row in bench.rows)
    assert not {"POSITION_DISPUTED", "POSITION_CORRECTED"} & bench.codes()


@pytest.mark.parametrize("orders", [True, False])
def test_flatten_at_a_broker_of_partial_books_is_proven_by_the_order_book_alone(orders: bool) -> None:
    bench = bench_at(PARTIAL)
    guarded(bench)
    until = bench.time + 30 * SECOND
    bench.step(FlattenRequested(id="f1", account=ACCOUNT, at_ns=bench.now, deadline_machine_ns=until, reason="all"))
    bench.read()
    bench.cancel()
    bench.read()
    placed = bench.accept()
    bench.broker.trade(placed, 50, 99.0)
    bench.report(placed)
    bench.broker.unlisted.add(A)
    if not orders:
        bench.broker.left_out.add("B1")
    for _ in range(4):
        bench.tick(6 * SECOND)
        bench.read()
    (level,) = bench.machine.state.flattens.sorted_values()
    assert level.state == "done" if orders else level.state != "done"


def test_average_of_units_from_before_today_is_not_believed_where_the_broker_misprices_them() -> None:
    """A claim took the day's price, or 0, for the purchase: its stop was wrong."""
    bench = bench_at(DAY)
    bench.read()
    book = (BrokerPosition(instrument="NFO:A", product=Product.NRML, quantity=50, average_price=7.0),)
    minutes(bench, 1, positions=book)
    claim = ClaimRequested(
        id="c1", account=ACCOUNT, instrument="NFO:A", product=Product.NRML, strategy="s1", at_ns=bench.now
    )
    (answer,) = bench.step(claim)
    assert not answer.ok and "name it with --price" in answer.message


def test_sighted_fill_is_not_withdrawn_by_a_position_book_that_may_lack_it() -> None:
    bench = bench_at(PARTIAL)
    bench.read()
    bench.enter("e1", product=Product.NRML, **PLAN)
    entry = bench.accept()
    bench.report(entry, filled=50)
    bench.accept()
    minutes(bench, 5)
    assert "FILL_WITHDRAWN" not in bench.codes() and stops(bench) == 50
