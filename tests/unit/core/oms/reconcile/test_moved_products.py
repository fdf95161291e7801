"""Units that the broker shows under another product: a name of it, or a conversion at its terminal."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.core.oms import OmsLimits, OrderMachine
from mytrading.messages.account_events import UnmanagedChanged
from mytrading.messages.brokers import PLAIN, PositionScope
from mytrading.messages.control import FlattenRequested
from mytrading.messages.enums import BrokerStatus, Call, Confidence, OrderState, Outcome, Product, Purpose, Severity
from mytrading.messages.orders import PositionAdjusted
from mytrading.messages.reports import ReadRequest
from tests.kit.fake_broker import ACCOUNT, NEVER, SECOND, OrderBench, Placed
from tests.kit.state_digest import state_digest

PLAN = {"stop_trigger": 90.0, "stop_limit": 87.0}
SHARE = "NSE:A"
MIS, CNC, NRML = Product.MIS, Product.CNC, Product.NRML
NAMED = OmsLimits(unlisted=replace(PLAIN, derivative_products={NRML: MIS}))


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.check_purity = True
    made.broker.net["NFO:OTHER", MIS] = 0
    return made


def guarded(bench: OrderBench, instrument: str = SHARE, product: Product = MIS) -> Placed:
    """Fifty units held, their stop at the broker, and all of it shown by the books."""
    bench.hold(instrument=instrument, product=product, **PLAN)
    stop = bench.accept()
    bench.read()
    bench.tick(10 * SECOND)
    bench.read()
    return stop


def convert(bench: OrderBench, units: int, instrument: str = SHARE, old: Product = MIS, new: Product = CNC) -> None:
    """A person converts units at the terminal: no order, no trade."""
    net = bench.broker.net
    net[instrument, old] -= units
    net[instrument, new] = net.get((instrument, new), 0) + units


def seconds(bench: OrderBench, count: int, step: int = 1, *, fill: bool = False) -> None:
    """A read after each step of seconds; calls are answered truly, exits fill if so."""
    for _ in range(count // step):
        for call in list(bench.calls):
            if call.call is Call.CANCEL:
                bench.cancel(call)
            elif call.call is Call.MODIFY:
                bench.modify(call)
            else:
                placed = bench.accept(call)
                if fill and call.order.purpose is Purpose.EXIT:
                    bench.broker.trade(placed, placed.quantity, 99.0)
                    bench.report(placed)
        assert stops(bench, MIS) + stops(bench, CNC) + stops(bench, NRML) <= 50, "more stops than units"
        bench.tick(step * SECOND)
        bench.read()


def stops(bench: OrderBench, product: Product) -> int:
    rows = bench.broker.orders.values()
    return sum(p.quantity for p in rows if p.product is product and p.status is BrokerStatus.TRIGGER_PENDING)


def held(bench: OrderBench, product: Product, instrument: str = SHARE) -> int:
    level = bench.machine.position(ACCOUNT, instrument, product, "s1")
    return level.quantity if level is not None else 0


def test_position_converted_at_the_terminal_keeps_its_owner_its_level_and_its_stop(bench: OrderBench) -> None:
    """It was corrected to none, its stop cancelled, and the units stood without an owner and without a stop."""
    stop = guarded(bench)
    before = bench.machine.position(ACCOUNT, SHARE, MIS, "s1")
    convert(bench, 50)
    seconds(bench, 24)
    moved = bench.machine.position(ACCOUNT, SHARE, CNC, "s1")
    assert before is not None and moved is not None
    assert (held(bench, MIS), moved.quantity, moved.confidence) == (0, 50, Confidence.CONFIRMED)
    assert (moved.average_price, moved.run, moved.opened_ns) == (100.0, before.run, before.opened_ns)
    assert stop.status is BrokerStatus.CANCELLED and (stops(bench, MIS), stops(bench, CNC)) == (0, 50)
    new = next(p for p in bench.broker.orders.values() if p.status is BrokerStatus.TRIGGER_PENDING)
    assert (new.trigger_price, new.price, new.product) == (90.0, 87.0, CNC)
    assert not any(isinstance(row, UnmanagedChanged) for row in bench.rows)
    assert [alert.severity for alert in bench.alerts if alert.code == "POSITION_CONVERTED"] == [Severity.WARNING]
    assert "POSITION_CORRECTED" not in bench.codes()
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


@pytest.mark.parametrize("way", ["alert", "flatten"])
def test_exit_of_a_converted_position_closes_it_under_its_new_product(bench: OrderBench, way: str) -> None:
    guarded(bench)
    convert(bench, 50)
    seconds(bench, 24)
    if way == "alert":
        bench.close("g1", instrument=SHARE, product=CNC)
    else:
        until = bench.time + 30 * SECOND
        bench.step(FlattenRequested(id="f1", account=ACCOUNT, at_ns=bench.now, deadline_machine_ns=until, reason="all"))
        bench.read()
    seconds(bench, 6, fill=True)
    assert bench.broker.net[SHARE, CNC] == 0 and held(bench, CNC) == 0
    assert (stops(bench, MIS), stops(bench, CNC)) == (0, 0)


def test_exit_that_is_wanted_while_its_units_are_converted_follows_them(bench: OrderBench) -> None:
    guarded(bench)
    convert(bench, 50)
    bench.read()
    bench.tick(6 * SECOND)
    bench.close("g1", instrument=SHARE)
    bench.read()
    assert held(bench, CNC) == 50
    seconds(bench, 20, fill=True)
    assert (bench.broker.net[SHARE, MIS], bench.broker.net[SHARE, CNC]) == (0, 0)
    assert [goal.state for goal in bench.machine.goals()] == ["done", "done"]


def test_part_that_is_converted_takes_its_part_of_the_stop_along(bench: OrderBench) -> None:
    guarded(bench)
    convert(bench, 20)
    seconds(bench, 30)
    assert (held(bench, MIS), held(bench, CNC)) == (30, 20)
    assert (stops(bench, MIS), stops(bench, CNC)) == (30, 20)


def test_units_that_stood_under_the_other_product_before_stay_somebody_elses(bench: OrderBench) -> None:
    bench.broker.by_hand(30, SHARE, CNC)
    for _ in range(3):
        bench.read()
        bench.tick(6 * SECOND)
    guarded(bench)
    convert(bench, 50)
    seconds(bench, 24)
    assert (held(bench, CNC), stops(bench, CNC)) == (50, 50)
    (unmanaged,) = bench.machine.snapshot("2026-11-24").unmanaged
    assert (unmanaged.product, unmanaged.quantity) == (CNC, 30)


def test_units_sold_by_hand_here_and_bought_there_are_no_conversion(bench: OrderBench) -> None:
    guarded(bench)
    bench.broker.by_hand(0, SHARE, MIS)
    bench.broker.by_hand(50, SHARE, CNC)
    seconds(bench, 24)
    assert (held(bench, MIS), held(bench, CNC)) == (0, 0)
    assert "POSITION_CORRECTED" in bench.codes() and "POSITION_CONVERTED" not in bench.codes()
    assert [row.quantity for row in bench.machine.snapshot("2026-11-24").unmanaged] == [50]


def test_other_number_of_units_under_another_product_is_disputed_and_keeps_the_stop(bench: OrderBench) -> None:
    stop = guarded(bench)
    convert(bench, 50)
    bench.broker.net[SHARE, CNC] = 35
    seconds(bench, 120, 6)
    level = bench.machine.position(ACCOUNT, SHARE, MIS, "s1")
    assert level is not None and (level.quantity, level.confidence) == (50, Confidence.DISPUTED)
    assert stop.open and not any(isinstance(row, UnmanagedChanged) for row in bench.rows)
    told = [alert.code for alert in bench.alerts if alert.severity is Severity.CRITICAL]
    assert told == ["POSITION_DISPUTED"]


def test_conversion_takes_two_reads(bench: OrderBench) -> None:
    guarded(bench)
    convert(bench, 50)
    bench.read()
    convert(bench, -50)
    seconds(bench, 18, 6)
    assert not any(isinstance(row, PositionAdjusted) for row in bench.rows)
    assert (held(bench, MIS), stops(bench, MIS)) == (50, 50)


def test_conversion_between_two_lives_of_the_router_is_noticed(bench: OrderBench) -> None:
    guarded(bench)
    convert(bench, 50)
    bench.read()
    bench.crash((ACCOUNT,))
    bench.see_mode()
    seconds(bench, 24)
    assert (held(bench, CNC), stops(bench, CNC), stops(bench, MIS)) == (50, 50, 0)


def test_conversion_is_noticed_at_a_broker_whose_position_book_may_lack_rows() -> None:
    bench = OrderBench(OmsLimits(unlisted=replace(PLAIN, positions=PositionScope.PARTIAL)))
    guarded(bench)
    convert(bench, 50)
    bench.broker.unlisted.add((SHARE, MIS))
    seconds(bench, 24)
    assert (held(bench, CNC), stops(bench, CNC)) == (50, 50)


def night(bench: OrderBench) -> None:
    """The day turns: orders and trades of the broker begin anew, and its positions go on."""
    opened = bench.machine.snapshot("2026-11-24")
    bench.machine = OrderMachine(bench.limits, bench._is_open, bench._squares_off)
    bench.calls.clear()
    bench.step(opened)
    bench.journal = [opened]
    for placed in bench.broker.orders.values():
        placed.status, placed.booked_at = BrokerStatus.EXPIRED, NEVER
    bench.see_mode()
    bench.tick(10 * SECOND)


def test_conversion_overnight_takes_owner_and_stop_along(bench: OrderBench) -> None:
    guarded(bench, "NFO:A", NRML)
    night(bench)
    convert(bench, 50, "NFO:A", NRML, MIS)
    seconds(bench, 36)
    assert (held(bench, NRML, "NFO:A"), held(bench, MIS, "NFO:A")) == (0, 50)
    assert (stops(bench, NRML), stops(bench, MIS)) == (0, 50)


def named(limits: OmsLimits | None = None) -> OrderBench:
    """A bench at a broker whose books show what was ordered as NRML under MIS."""
    bench = OrderBench(limits)
    bench.broker.products = {NRML: MIS}
    bench.broker.net["NFO:OTHER", CNC] = 0
    return bench


@pytest.mark.parametrize("limits", [NAMED, None], ids=["table", "learnt"])
@pytest.mark.parametrize("overnight", [False, True])
def test_position_that_the_broker_shows_under_its_own_name_of_the_product_is_left_alone(
    limits: OmsLimits | None, overnight: bool
) -> None:
    """After two reads it was corrected to none and its stop cancelled; the same units had no owner."""
    bench = named(limits)
    stop = guarded(bench, "NFO:A", NRML)
    seconds(bench, 60, 6)
    if overnight:
        night(bench)
        seconds(bench, 60, 6)
    assert (held(bench, NRML, "NFO:A"), held(bench, MIS, "NFO:A"), stops(bench, NRML)) == (50, 0, 50)
    assert stop.open is not overnight and len(bench.broker.orders) == (3 if overnight else 2)
    assert not any(isinstance(row, UnmanagedChanged | PositionAdjusted) for row in bench.rows)
    assert "POSITION_CORRECTED" not in bench.codes() and bench.machine.state.mismatches == {}
    assert {p.confidence for p in bench.machine.positions() if p.quantity} == {Confidence.CONFIRMED}
    assert [alert.code for alert in bench.alerts].count("PRODUCT_RENAMED") == (0 if limits else 1)
    bench.close("g1", instrument="NFO:A", product=NRML)
    seconds(bench, 8, fill=True)
    assert bench.broker.net["NFO:A", NRML] == 0 and held(bench, NRML, "NFO:A") == 0


def test_foreign_units_of_the_product_whose_name_is_shared_stay_unmanaged() -> None:
    bench = named(NAMED)
    bench.broker.products = {}
    bench.broker.by_hand(30, "NFO:A", MIS)
    for _ in range(3):
        bench.read()
        bench.tick(6 * SECOND)
    bench.hold(instrument="NFO:A", product=NRML, **PLAN)
    bench.accept()
    bench.broker.net["NFO:A", MIS], bench.broker.net["NFO:A", NRML] = 80, 0
    del bench.broker.net["NFO:A", NRML]
    seconds(bench, 24, 6)
    assert held(bench, NRML, "NFO:A") == 50 and bench.machine.state.mismatches == {}
    assert [(row.product, row.quantity) for row in bench.machine.snapshot("2026-11-24").unmanaged] == [(MIS, 30)]


def test_entry_of_unknown_fate_is_found_under_the_broker_s_name_of_its_product() -> None:
    """Its row named another product, so that it was lost and its fill had no owner."""
    bench = named(NAMED)
    bench.read()
    bench.enter("e1", instrument="NFO:A", product=NRML, **PLAN)
    call = bench.calls[0]
    placed = bench.broker.place(replace(call.order, product=MIS), bench.time)
    bench.tick(1 * SECOND)
    bench.end(call, Outcome.UNKNOWN)
    bench.read()
    bench.read()
    assert (bench.order("e1").state, bench.order("e1").broker_order_id) == (OrderState.ACCEPTED, placed.id)


def first_fill(bench: OrderBench) -> Placed:
    """Fifty units are bought and guarded, and no position book has shown them yet."""
    bench.read()
    bench.enter("e1", 50, instrument=SHARE, product=MIS, **PLAN)
    entry = bench.accept()
    bench.broker.trade(entry, 50, 100.0)
    bench.reads_wanted = 0
    return entry


def test_first_fill_asks_for_the_positions_at_once(bench: OrderBench) -> None:
    """They were read once a minute: nothing told a conversion meanwhile from a name of the product."""
    rows = bench.report(first_fill(bench))
    assert [row.positions for row in rows if isinstance(row, ReadRequest)] == [True]


@pytest.mark.parametrize("step", [1, 4])
def test_conversion_seconds_after_the_first_fill_was_taken_for_a_name(bench: OrderBench, step: int) -> None:
    """The exit left under the old product, and fifty units were short there beside fifty that nobody closed."""
    bench.report(first_fill(bench))
    bench.read()
    bench.tick(step * SECOND)
    convert(bench, 50)
    seconds(bench, 24)
    assert "PRODUCT_RENAMED" not in bench.codes()
    bench.close("g1", instrument=SHARE, product=CNC)
    seconds(bench, 8, fill=True)
    assert (bench.broker.net[SHARE, MIS], bench.broker.net[SHARE, CNC]) == (0, 0)


def test_other_product_in_the_first_position_book_is_no_name_long_after_the_fill(bench: OrderBench) -> None:
    """It may have been converted meanwhile: a person decides, and the stop stays."""
    bench.report(first_fill(bench))
    bench.read(positions=None)
    bench.accept()
    for _ in range(7):
        bench.tick(1 * SECOND)
        bench.read(positions=None)
    convert(bench, 50)
    seconds(bench, 24)
    assert "PRODUCT_RENAMED" not in bench.codes() and bench.machine.state.names == {}
    assert "POSITION_DISPUTED" in bench.codes() and stops(bench, MIS) == 50
