"""Units that no strategy owns: believed where trades or carried units explain them, disputed everywhere else."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.messages.control import ClaimRequested
from mytrading.messages.enums import Call, Product, Severity, Side
from mytrading.messages.orders import RequestAnswered
from mytrading.messages.reports import BrokerPosition
from tests.kit.fake_broker import ACCOUNT, SECOND, OrderBench
from tests.kit.state_digest import state_digest

A = ("NFO:A", Product.MIS)


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.check_purity = True
    made.broker.net["NFO:B", Product.MIS] = 5
    made.read()
    return made


def reads(bench: OrderBench, seconds: int, **fields: object) -> None:
    for _ in range(seconds):
        bench.tick(SECOND)
        bench.read(**fields)


def unmanaged(bench: OrderBench) -> int:
    return sum(row.quantity for row in bench.machine.state.unmanaged.values() if row.instrument == "NFO:A")


def claim(bench: OrderBench, **fields: object) -> str:
    """An operator takes all of them over to close them; the request is answered later."""
    request = ClaimRequested(
        id=f"c{bench.time}", account=ACCOUNT, instrument="NFO:A", product=Product.MIS, strategy="manual",
        at_ns=bench.now, price=100.0, to_close=True, **fields,
    )  # type: ignore[arg-type]  # fmt: skip
    bench.step(request)
    return request.id


def answer(bench: OrderBench, request: str) -> RequestAnswered | None:
    return next((row for row in bench.rows if isinstance(row, RequestAnswered) and row.id == request), None)


def sold_while_the_book_stands_still(bench: OrderBench) -> tuple[BrokerPosition, ...]:
    """A hundred were held and are sold, by stream, order and trade book; returns the position book from before."""
    bench.hold("e1", 100)
    bench.tick(6 * SECOND)
    bench.read()
    stale = bench.broker.books(bench.time).positions or ()
    bench.close("g1")
    leaving = bench.accept()
    bench.broker.trade(leaving, 100, 101.0)
    bench.report(leaving)
    bench.read(positions=stale)
    return stale


def test_units_that_left_already_could_be_sold_once_more_by_an_operator(bench: OrderBench) -> None:
    """The position book stood still for twelve seconds: a hundred units of nobody, and a claim sold them."""
    stale = sold_while_the_book_stands_still(bench)
    reads(bench, 12, positions=stale)
    assert unmanaged(bench) == 0 and "POSITION_DISPUTED" in bench.codes()
    request = claim(bench)
    reads(bench, 2, positions=stale)
    found = answer(bench, request)
    assert found is not None and not found.ok
    bench.close("g2", strategy="manual")
    assert bench.calls == [] and state_digest(bench.replayed()) == state_digest(bench.machine)


def test_dispute_about_units_of_nobody_ends_with_the_book_that_moves_again(bench: OrderBench) -> None:
    stale = sold_while_the_book_stands_still(bench)
    reads(bench, 12, positions=stale)
    bench.read()
    assert not bench.machine.state.mismatches and unmanaged(bench) == 0


def test_units_bought_by_hand_after_a_round_trip_of_ours_are_nobodys(bench: OrderBench) -> None:
    sold_while_the_book_stands_still(bench)
    bench.broker.by_hand(30)
    reads(bench, 12)
    assert unmanaged(bench) == 30 and not bench.machine.state.mismatches


def test_units_bought_by_hand_are_explained_by_the_order_book_where_the_trade_book_fails(bench: OrderBench) -> None:
    bench.hold("e1", 50)
    bench.broker.by_hand(80)
    reads(bench, 12, trades=None)
    assert unmanaged(bench) == 30


def test_units_that_stood_there_before_the_first_order_of_the_day_are_nobodys_and_can_be_claimed(
    bench: OrderBench,
) -> None:
    """An entry of unknown fate filled in the evening: no trade of today tells of it."""
    bench.broker.net[A] = 75
    reads(bench, 12)
    assert unmanaged(bench) == 75
    bench.hold("e1", 50)
    reads(bench, 12)
    assert unmanaged(bench) == 75 and not bench.machine.state.mismatches
    request = claim(bench)
    bench.read()
    found = answer(bench, request)
    assert found is not None and found.ok
    assert bench.position("manual").quantity == 75 and bench.broker.net[A] == 125


def test_units_that_the_first_look_of_a_day_showed_beside_an_exit_under_way_are_nobodys_once_it_filled() -> None:
    """Forty more filled in the evening, unseen: they stayed disputed without end, since the exit had sold more."""
    bench = OrderBench()
    bench.hold("e1", 50)
    bench.broker.by_hand(90)
    bench.broker.begin_day(bench.time)
    bench.open_day("1970-01-02")
    bench.close("g1")
    bench.read()
    assert [call.order.quantity for call in bench.calls] == [50]
    leaving = bench.accept()
    bench.broker.trade(leaving, 50, 101.0)
    bench.report(leaving)
    reads(bench, 12)
    assert (bench.position().quantity, unmanaged(bench)) == (0, 40) and not bench.machine.state.mismatches
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_empty_books_before_the_login_were_the_first_look_of_the_day_and_units_beyond_stayed_disputed() -> None:
    """Ten more filled in the evening. The books of the morning were empty until somebody had logged in, and the exit
    left meanwhile: the first position book with rows came after it."""
    bench = OrderBench()
    bench.hold("e1", 50)
    bench.broker.by_hand(60)
    bench.broker.begin_day(bench.time)
    bench.open_day("1970-01-02")
    bench.close("g1")
    reads(bench, 24, orders=(), trades=(), positions=(), funds_live=False)
    leaving = bench.accept()
    bench.broker.trade(leaving, 50, 101.0)
    bench.report(leaving)
    bench.read(positions=None)
    reads(bench, 12)
    assert (bench.position().quantity, unmanaged(bench)) == (0, 10) and not bench.machine.state.mismatches
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_units_that_the_first_look_showed_before_a_waiting_entry_left_are_nobodys_after_its_round_trip() -> None:
    """The entry waited for that look, and counted as what may have added them; yesterday's stop had left the book."""
    bench = OrderBench()
    bench.hold("e1", 50, instrument="NFO:B", stop_trigger=90.0, stop_limit=87.0)
    bench.accept()
    bench.read()
    bench.broker.by_hand(40)
    bench.broker.begin_day(bench.time)
    bench.open_day("1970-01-02")
    bench.crash((ACCOUNT,))
    bench.see_mode()
    bench.enter("e2", 60, strategy="s2")
    assert not bench.calls
    reads(bench, 8)
    for asks in (lambda: None, lambda: bench.close("g2", strategy="s2")):
        asks()
        placed = bench.accept(next(call for call in bench.calls if call.order.strategy == "s2"))
        bench.broker.trade(placed, 60, 101.0)
        bench.report(placed)
        bench.read(positions=None)
    reads(bench, 12)
    assert (bench.position("s2").quantity, unmanaged(bench)) == (0, 40) and not bench.machine.state.mismatches


def test_book_of_a_morning_that_is_late_with_an_entry_under_way_shows_no_units_of_nobody() -> None:
    """The position book has the entry's fill first; its trade explains it a second later."""
    bench = OrderBench()
    bench.hold("e1", 50)
    bench.broker.begin_day(bench.time)
    bench.open_day("1970-01-02")
    bench.read()
    bench.enter("e2", 40)
    placed = bench.accept()
    bench.broker.trade(placed, 40, 101.0)
    bench.read(orders=(), trades=())
    assert not bench.machine.state.mismatches
    reads(bench, 12)
    assert (bench.position().quantity, unmanaged(bench)) == (90, 0) and not bench.machine.state.mismatches


def test_short_of_nobody_was_read_as_units_of_ours_that_are_missing(bench: OrderBench) -> None:
    """The dispute had no end: the trade book said that ours are held, and nobody named the hundred and fifty."""
    bench.enter("e1", 25)
    placed = bench.accept()
    bench.broker.net[A] = -150
    bench.read()
    bench.broker.trade(placed, 25, 100.0)
    bench.report(placed)
    reads(bench, 12)
    assert (bench.position().quantity, unmanaged(bench)) == (25, -150)
    (alert,) = [alert for alert in bench.alerts if alert.code == "UNMANAGED_SHORT"]
    assert alert.severity is Severity.CRITICAL and "positions close NFO:A --unmanaged" in alert.message
    assert bench.stands("UNMANAGED_SHORT", alert.subject)
    bench.broker.by_hand(25)
    reads(bench, 12)
    assert unmanaged(bench) == 0 and not bench.stands("UNMANAGED_SHORT", alert.subject)


def test_claim_is_decided_by_a_read_begun_after_it_and_by_none_before(bench: OrderBench) -> None:
    bench.broker.by_hand(75)
    reads(bench, 12)
    before, began = bench.broker.books(bench.time), bench.time
    bench.tick(SECOND)
    request = claim(bench)
    bench.step(replace(before, id="old", began_machine_ns=began, ended_machine_ns=bench.time, funds_live=True))
    assert answer(bench, request) is None
    bench.read()
    found = answer(bench, request)
    assert found is not None and found.ok
    bench.close("g1", strategy="manual")
    assert [(call.call, call.order.side, call.order.quantity) for call in bench.calls] == [(Call.PLACE, Side.SELL, 75)]


def test_claim_that_no_read_bears_out_is_refused_and_waits_for_no_more(bench: OrderBench) -> None:
    bench.broker.by_hand(75)
    reads(bench, 12)
    request = claim(bench)
    reads(bench, 11, positions=None)
    assert answer(bench, request) is None
    reads(bench, 2, positions=None)
    found = answer(bench, request)
    assert found is not None and not found.ok and "claim again" in found.message
    reads(bench, 3)
    assert unmanaged(bench) == 75 and not bench.machine.positions()


def test_claim_survives_the_death_of_the_router_and_is_given_once(bench: OrderBench) -> None:
    bench.broker.by_hand(75)
    reads(bench, 12)
    request = claim(bench)
    bench.crash((ACCOUNT,))
    bench.see_mode()
    reads(bench, 3)
    assert bench.position("manual").quantity == 75 and unmanaged(bench) == 0
    assert len([row for row in bench.rows if isinstance(row, RequestAnswered) and row.id == request]) == 1
    assert state_digest(bench.replayed()) == state_digest(bench.machine)


def test_units_of_the_evening_beside_an_exit_at_the_first_moment_of_the_day_had_no_end(bench: OrderBench) -> None:
    bench.hold("e1", 75)
    bench.open_day("2026-11-26")
    for placed in bench.broker.orders.values():
        placed.booked_at = 10**18
    bench.broker.net[A] += 75
    bench.close("g1")
    for _ in range(21):  # no book tells of what was carried: the exit goes all the same
        bench.tick(SECOND)
    leaving = bench.accept()
    bench.broker.trade(leaving, 75, 101.0)
    bench.report(leaving)
    bench.read(positions=None)
    assert bench.position().quantity == 0
    reads(bench, 12)
    assert unmanaged(bench) == 75 and not bench.machine.state.mismatches


def test_units_of_the_evening_beside_an_entry_that_filled_before_any_read_agreed_had_no_end(bench: OrderBench) -> None:
    bench.enter("e1", 25)
    placed = bench.accept()
    bench.read()
    bench.broker.trade(placed, 25, 100.0)
    bench.broker.net[A] += 75
    bench.report(placed)
    bench.read()
    reads(bench, 12)
    assert (bench.position().quantity, unmanaged(bench)) == (25, 75)


def test_surplus_that_appears_after_a_read_of_today_agreed_is_disputed(bench: OrderBench) -> None:
    bench.hold("e1", 50)
    reads(bench, 7)
    bench.broker.net[A] = 80
    reads(bench, 60)
    assert (bench.position().quantity, unmanaged(bench)) == (50, 0)
    assert "30 of it have no owner" in bench.alerts[-1].message


def test_net_of_the_other_side_that_the_day_began_with_was_denied_by_its_trades_for_ever(bench: OrderBench) -> None:
    """Sold in the evening unseen, and seven more by hand: ours stayed, and its exit waited for books that agree."""
    bench.hold("e1", 50)
    bench.open_day("2026-11-26")
    for placed in bench.broker.orders.values():
        placed.booked_at = 10**18
    bench.broker.net[A] = -7
    reads(bench, 12)
    assert (bench.position().quantity, unmanaged(bench)) == (0, -7) and not bench.machine.state.mismatches
    assert bench.machine.state.begun.get((ACCOUNT, "NFO:A")) == -7


def test_carried_units_that_nothing_explained_count_once_on_the_next_day(bench: OrderBench) -> None:
    bench.broker.net[A] = 75
    reads(bench, 12)
    bench.open_day("2026-11-26")
    assert bench.machine.state.begun.get((ACCOUNT, "NFO:A")) == 75
    reads(bench, 12)
    assert unmanaged(bench) == 75 and not bench.machine.state.mismatches
