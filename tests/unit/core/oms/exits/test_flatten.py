"""Flat at the request of a person: closed after a read, proven by two, alarmed by the deadline, kept over a restart."""

from __future__ import annotations

import msgspec
import pytest

from mytrading.messages.control import ClaimRequested, FlattenRequested, ResolveRequested, TradingState
from mytrading.messages.enums import BrokerStatus, Call, OrderState, Outcome, Product, Purpose, Side, TradingLevel
from mytrading.messages.orders import Flatten, Order, PositionAdjusted, TimerFired
from tests.kit.fake_broker import ACCOUNT, SECOND, OrderBench
from tests.kit.state_digest import state_digest

PLAN = {"stop_trigger": 90.0, "stop_limit": 87.0}


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.check_purity = True
    made.read()
    return made


def flatten(bench: OrderBench, **fields: object) -> None:
    until = bench.time + 30 * SECOND
    bench.step(
        FlattenRequested(
            id="f1", account=ACCOUNT, at_ns=bench.now, deadline_machine_ns=until, reason="flatten", **fields
        )  # type: ignore[arg-type]
    )


def level(bench: OrderBench) -> Flatten:
    return bench.machine.state.flattens.sorted_values()[0]


def fill_exits(bench: OrderBench) -> None:
    """The broker cancels what is to be cancelled and fills what is to be closed, at once."""
    for _ in range(4):
        bench.tick(1 * SECOND)
        for call in list(bench.calls):
            if call.call is Call.CANCEL:
                bench.cancel(call)
                continue
            placed = bench.accept(call)
            if call.order.purpose is Purpose.EXIT:
                bench.broker.trade(placed, placed.quantity, 99.0)
                bench.report(placed)
        bench.read()


def held(bench: OrderBench) -> None:
    """50 of s1, guarded by a stop."""
    bench.hold("e1", **PLAN)
    bench.accept()
    bench.read()
    bench.tick(1 * SECOND)


def test_flatten_closes_all_owners_and_is_done_after_two_reads(bench: OrderBench) -> None:
    held(bench)
    bench.hold("e2", strategy="s2", instrument="NFO:B")
    flatten(bench)
    fill_exits(bench)
    bench.read()
    bench.read()
    assert level(bench).state == "done" and level(bench).proofs == 2
    assert not any(bench.broker.net.values())


def test_entry_of_what_is_being_closed_is_denied_until_that_is_done(bench: OrderBench) -> None:
    """A strategy whose run is closed keeps its entries: what it enters meanwhile would be closed at once."""
    held(bench)
    flatten(bench, strategy="s1")
    bench.enter("again", instrument="NFO:B")
    assert bench.order("again").state is OrderState.DENIED
    assert bench.order("again").message.startswith("CLOSING: s1 is being closed (flatten)")
    bench.enter("other", strategy="s2", instrument="NFO:B")
    assert bench.order("other").state is OrderState.SUBMITTED
    fill_exits(bench)
    bench.read()
    bench.read()
    assert level(bench).state == "done"
    bench.enter("later")
    assert bench.order("later").state is OrderState.SUBMITTED


def test_flatten_that_waits_for_a_parked_entry_says_so_and_ends_when_it_is_decided(bench: OrderBench) -> None:
    bench.enter("e1")
    bench.end(bench.calls[0], Outcome.PARKED)
    flatten(bench)
    for _ in range(31):
        bench.tick(1 * SECOND)
        bench.read()
    assert level(bench).state == "late"
    reported = {alert.code: alert.message for alert in bench.alerts}
    for code in ("ORDER_PARKED", "FLATTEN_LATE"):
        assert "`mytrading orders resolve e1 --not-placed`" in reported[code]
    bench.step(ResolveRequested(id="r1", order="e1", at_ns=bench.now))
    for _ in range(3):
        bench.tick(1 * SECOND)
        bench.read()
    assert level(bench).state == "done"


def test_flatten_keeps_the_stop_until_the_books_are_read(bench: OrderBench) -> None:
    held(bench)
    bench.machine.apply(TimerFired(name=f"books_lost {ACCOUNT}", machine_ns=bench.time))
    flatten(bench)
    for _ in range(20):
        bench.tick(1 * SECOND)
        bench.read(orders=None, trades=None, positions=None)
    assert bench.calls == [] and bench.broker.orders["B2"].status is BrokerStatus.TRIGGER_PENDING
    bench.machine.apply(TimerFired(name=f"books_back {ACCOUNT}", machine_ns=bench.time))
    bench.read()
    assert [call.call for call in bench.calls] == [Call.CANCEL]


@pytest.mark.parametrize("fields", [{"positions": ()}, {"positions": None}])
def test_flatten_closes_after_five_seconds_though_no_position_book_was_read(
    bench: OrderBench, fields: dict[str, object]
) -> None:
    """An empty or failed position book kept everything open, for as long as it failed."""
    held(bench)
    flatten(bench)
    for _ in range(4):
        bench.tick(1 * SECOND)
        bench.read(**fields)
    assert bench.calls == []
    bench.tick(1 * SECOND)
    assert [call.call for call in bench.calls] == [Call.CANCEL]


def test_flatten_late_is_alarmed_once_and_goes_on(bench: OrderBench) -> None:
    held(bench)
    flatten(bench)
    for _ in range(40):
        bench.tick(1 * SECOND)
    assert [alert.code for alert in bench.alerts].count("FLATTEN_LATE") == 1
    assert level(bench).state == "late"
    bench.read()
    fill_exits(bench)
    bench.read()
    bench.read()
    assert level(bench).state == "done"


def test_flatten_works_while_halted_and_survives_a_restart(bench: OrderBench) -> None:
    held(bench)
    bench.step(TradingState(level=TradingLevel.HALT, generation=1, reason="test", at_ns=bench.now))
    flatten(bench)
    bench.crash()
    bench.see_mode()
    bench.read()
    fill_exits(bench)
    bench.read()
    bench.read()
    assert level(bench).state == "done" and bench.position().quantity == 0


def test_flatten_of_a_strategy_leaves_the_others(bench: OrderBench) -> None:
    held(bench)
    bench.hold("e2", strategy="s2")
    flatten(bench, strategy="s2")
    fill_exits(bench)
    bench.read()
    bench.read()
    assert level(bench).state == "done"
    assert (bench.position("s1").quantity, bench.position("s2").quantity) == (50, 0)


def test_flatten_withdraws_resting_entries_first(bench: OrderBench) -> None:
    bench.enter("e1", price=90.0)
    bench.accept()
    flatten(bench)
    assert bench.order("e1").evidence.cancel.wanted
    fill_exits(bench)
    bench.read()
    bench.read()
    assert bench.order("e1").state is OrderState.CANCELLED and level(bench).state == "done"


def test_flatten_is_not_done_while_the_books_show_something(bench: OrderBench) -> None:
    bench.hold("e1")
    flatten(bench)
    bench.read()
    placed = bench.accept()
    bench.broker.trade(placed, 50, 99.0)
    bench.report(placed)
    position_book = bench.broker.books(bench.time).positions
    stale = tuple(msgspec.structs.replace(row, quantity=50) for row in position_book or ())
    for _ in range(3):
        bench.read(positions=stale)
    assert bench.position().quantity == 0 and level(bench).state == "open"
    bench.read()
    bench.read()
    assert level(bench).state == "done"


def test_flatten_on_a_flat_account_places_nothing(bench: OrderBench) -> None:
    flatten(bench)
    for _ in range(3):
        bench.read()
    assert level(bench).state == "done" and not bench.calls and not bench.broker.orders


def test_flatten_closes_what_was_sold_before_what_covers_it(bench: OrderBench) -> None:
    bench.hold("e1")
    bench.hold("e2", instrument="NFO:B", side=Side.SELL)
    flatten(bench)
    bench.read()
    bench.tick(1 * SECOND)
    assert [call.order.instrument for call in bench.calls] == ["NFO:B"]
    fill_exits(bench)
    fill_exits(bench)
    assert [p.quantity for p in bench.machine.positions()] == [0, 0]


def test_flatten_waits_no_longer_for_a_sold_one_that_does_not_close(bench: OrderBench) -> None:
    bench.hold("e1")
    bench.hold("e2", instrument="NFO:B", side=Side.SELL)
    flatten(bench)
    bench.read()
    bench.tick(1 * SECOND)
    bench.tick(10 * SECOND)
    assert {call.order.instrument for call in bench.calls} == {"NFO:A", "NFO:B"}


def test_flatten_keeps_what_covers_a_sold_one_whose_stop_stays_while_the_books_are_lost(bench: OrderBench) -> None:
    bench.hold("e1")
    bench.hold("e2", instrument="NFO:B", side=Side.SELL, stop_trigger=110.0, stop_limit=113.0)
    bench.accept()
    bench.read()
    bench.machine.apply(TimerFired(name=f"books_lost {ACCOUNT}", machine_ns=bench.time))
    flatten(bench)
    bench.read()
    for _ in range(20):
        bench.tick(1 * SECOND)
    assert [goal.instrument for goal in bench.machine.goals()] == ["NFO:B"] and bench.calls == []


def test_flatten_is_sliced_by_the_sizes_that_it_brings(bench: OrderBench) -> None:
    """A claimed position was never ordered here, so that no command of the day had reported its freeze quantity."""
    bench.broker.net["NFO:A", Product.MIS] = 450
    bench.read()
    bench.tick(6 * SECOND)
    bench.read()
    bench.step(
        ClaimRequested(
            id="c1", account=ACCOUNT, instrument="NFO:A", product=Product.MIS, strategy="s1", at_ns=bench.now, price=9.0
        )
    )
    bench.read()
    flatten(bench, sizes={"NFO:A": (50, 200)})
    bench.tick(SECOND)
    bench.read()
    bench.tick(SECOND)
    assert sorted(call.order.quantity for call in bench.calls) == [100, 150, 200]


def test_claim_that_brings_its_sizes_is_guarded_in_slices(bench: OrderBench) -> None:
    bench.broker.net["NFO:A", Product.MIS] = 450
    bench.read()
    bench.tick(6 * SECOND)
    bench.read()
    bench.step(
        ClaimRequested(
            id="c1", account=ACCOUNT, instrument="NFO:A", product=Product.MIS, strategy="s1", at_ns=bench.now,
            price=99.0, stop=90.0, stop_limit=87.0, lot=50, freeze=200,
        )
    )  # fmt: skip
    bench.read()
    bench.tick(SECOND)
    assert sorted(call.order.quantity for call in bench.calls) == [100, 150, 200]


def sold_out(bench: OrderBench) -> None:
    """50 were held and are sold, by a flatten; the next reads are to prove it."""
    bench.hold("e1")
    flatten(bench)
    bench.read()
    placed = bench.accept()
    bench.broker.trade(placed, 50, 99.0)
    bench.report(placed)
    bench.read(positions=None)


def test_flatten_is_proven_by_books_that_list_no_flat_rows(bench: OrderBench) -> None:
    sold_out(bench)
    for _ in range(2):
        bench.tick(SECOND)
        bench.read(positions=())
    assert level(bench).state == "done"


@pytest.mark.parametrize("book", ["orders", "trades"])
@pytest.mark.parametrize("shown", [(), None])
def test_flatten_is_not_proven_by_empty_positions_beside_another_empty_book(
    bench: OrderBench, book: str, shown: tuple[()] | None
) -> None:
    sold_out(bench)
    for _ in range(4):
        bench.tick(SECOND)
        bench.read(positions=(), **{book: shown})
    assert level(bench).proofs == 0


def test_flatten_is_not_proven_by_empty_positions_where_trades_do_not_add_up_to_nothing(bench: OrderBench) -> None:
    """Somebody bought the same contract at the terminal: the position book cannot rightly be empty."""
    sold_out(bench)
    foreign = bench.broker.place(bench.order("e1"), bench.time)
    bench.broker.trade(foreign, 50, 100.0)
    for _ in range(4):
        bench.tick(SECOND)
        bench.read(positions=())
    assert level(bench).proofs == 0


def carried_and_sold(bench: OrderBench, sold: int = 50) -> None:
    """50 were carried into the day, so many of them are sold by a flatten: their purchase is in no book of today."""
    bench.hold("e1")
    carried = bench.machine.snapshot("2026-11-24")
    bench.broker.orders.clear()
    bench.journal.append(carried)
    bench.machine.apply(carried)
    bench.see_mode()
    flatten(bench)
    bench.read()
    placed = bench.accept()
    bench.broker.trade(placed, sold, 99.0)
    bench.report(placed)
    bench.read(positions=None)


def test_flatten_of_what_was_carried_into_the_day_is_proven_by_the_sale_of_just_that(bench: OrderBench) -> None:
    carried_and_sold(bench)
    for _ in range(2):
        bench.tick(SECOND)
        bench.read(positions=())
    assert bench.position().quantity == 0 and level(bench).state == "done"
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_flatten_of_what_was_carried_is_not_proven_where_somebody_bought_more_today(bench: OrderBench) -> None:
    carried_and_sold(bench)
    foreign = bench.broker.place(bench.machine.orders()[0], bench.time)
    foreign.side = Side.BUY
    bench.broker.trade(foreign, 50, 100.0)
    for _ in range(4):
        bench.tick(SECOND)
        bench.read(positions=())
    assert level(bench).proofs == 0


def test_flatten_is_not_proven_by_empty_positions_of_what_was_carried_and_never_sold(bench: OrderBench) -> None:
    """A correction took it off our books: no trade of today undoes it, so a book that lists nothing proves nothing."""
    bench.hold("e1")
    carried = bench.machine.snapshot("2026-11-24")
    bench.broker.orders.clear()
    bench.machine.apply(carried)
    bench.see_mode()
    flat = msgspec.structs.replace(bench.position(), quantity=0, quantity_seen=0)
    bench.machine.apply(PositionAdjusted(position=flat, cause="correction", quantity=-50, price=0.0, at_ns=bench.now))
    other = bench.broker.place(msgspec.structs.replace(carried_order(), instrument="NFO:Z"), bench.time)
    bench.broker.trade(other, 50, 1.0)
    flatten(bench)
    for _ in range(6):
        bench.tick(SECOND)
        bench.read(positions=())
    assert level(bench).proofs == 0


def carried_order() -> Order:
    made = OrderBench()
    made.hold("e9")
    return made.order("e9")


def test_alert_of_a_flatten_is_over_when_it_is_done(bench: OrderBench) -> None:
    """A router that starts again has every alert of the day from its journal, those that ended as well."""
    held(bench)
    flatten(bench)
    for _ in range(40):
        bench.tick(1 * SECOND)
    assert bench.stands("FLATTEN_LATE", "f1")
    bench.read()
    fill_exits(bench)
    bench.read()
    bench.read()
    bench.crash()
    assert level(bench).state == "done"
    assert not bench.stands("FLATTEN_LATE", "f1")
    assert bench.stands("ORDER_GHOST", "e1")
