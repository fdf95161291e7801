"""Each fault of the simulator, and what our side makes of it. One running bench per personality serves all tests."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import msgspec
import pytest

from mytrading.adapters.openalgo import endpoints
from mytrading.adapters.openalgo.rest.client import MaybeSent
from mytrading.adapters.openalgo.rest.errors import (
    ApprovalRequired,
    BrokerDisconnected,
    RateLimited,
    classify_error_text,
)
from mytrading.core.reconciler.read_plan import OrderLevels
from mytrading.messages.control import Alert
from mytrading.messages.enums import BrokerStatus, Call, OrderType, Outcome, Severity
from mytrading.messages.market import Quote
from mytrading.messages.orders import CallOutcome, Order
from mytrading.messages.reports import AccountHealth, BooksRead, OrderReport, ReadRequest
from mytrading.messages.run_config import ServerMode
from mytrading.runtime.host.clock import machine_now
from mytrading.simulator.faults.effects import HOSTILE_FRAMES
from mytrading.simulator.faults.registry import FAULTS
from tests.kit.fault_bench import SBIN, Bench, start_bench
from tests.kit.feed_process import NIFTY, RunningFeed
from tests.kit.project import ROOT
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]
BOTH = pytest.mark.parametrize("bench", ["sandbox", "live"], indirect=True)
SANDBOX = pytest.mark.parametrize("bench", ["sandbox"], indirect=True)
LIVE = pytest.mark.parametrize("bench", ["live"], indirect=True)
MARKET = {"order_type": OrderType.MARKET, "price": 0.0}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with start_bench(tmp_path_factory.mktemp("sandbox"), ServerMode.ANALYZE, personality="sandbox") as found:
        yield found


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with start_bench(tmp_path_factory.mktemp("live"), ServerMode.LIVE, personality="live", broker="dhan") as found:
        yield found


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    found: Bench = request.getfixturevalue(request.param)
    found.clear()
    yield found
    found.clear()


def placed_under(bench: Bench, kind: str, **fields: object) -> tuple[Order, CallOutcome]:
    """An order placed while a fault is on, and how its call ended."""
    order = bench.order()
    bench.fault(kind, **fields)
    return order, bench.place(order)


# order calls


@BOTH
def test_place_timeout_is_unknown_and_the_order_is_there(bench: Bench) -> None:
    order, done = placed_under(bench, "place_timeout", seconds=2)
    assert done.outcome is Outcome.UNKNOWN
    assert "no answer within 1 s" in done.message
    assert len(bench.rows(order)) == 1


@BOTH
def test_place_lost_is_unknown_and_nothing_is_there(bench: Bench) -> None:
    order, done = placed_under(bench, "place_lost")
    assert done.outcome is Outcome.UNKNOWN
    assert bench.rows(order) == []


@BOTH
def test_place_500_but_placed_is_unknown_and_the_order_is_there(bench: Bench) -> None:
    order, done = placed_under(bench, "place_500_but_placed")
    assert done.outcome is Outcome.UNKNOWN
    assert done.message.startswith("HTTP 500")
    assert len(bench.rows(order)) == 1


@BOTH
def test_place_201_is_unknown_and_the_order_is_there(bench: Bench) -> None:
    order, done = placed_under(bench, "place_201")
    assert done.outcome is Outcome.UNKNOWN
    assert done.message.startswith("HTTP 201")
    assert len(bench.rows(order)) == 1


@BOTH
@pytest.mark.parametrize("placed", [False, True])
def test_place_no_id_is_unknown_whether_placed_or_not(bench: Bench, placed: bool) -> None:
    order, done = placed_under(bench, "place_no_id", placed=placed)
    assert (done.outcome, done.broker_order_id) == (Outcome.UNKNOWN, "")
    assert len(bench.rows(order)) == placed


@BOTH
def test_reject_is_refused_with_the_brokers_words(bench: Bench) -> None:
    order, done = placed_under(bench, "reject", reason="margin exceeds the limit")
    assert (done.outcome, done.message) == (Outcome.REFUSED, "margin exceeds the limit")
    assert bench.rows(order) == []


@BOTH
def test_reject_late_is_accepted_then_reported_rejected(bench: Bench) -> None:
    order, done = placed_under(bench, "reject", late=True, reason="margin exceeds the limit")
    assert done.outcome is Outcome.ACCEPTED
    reported = bench.wait_reported(order, lambda reports: any(row.status is BrokerStatus.REJECTED for row in reports))
    assert {row.broker_order_id for row in reported} == {done.broker_order_id}
    assert {row.message for row in reported if row.status is BrokerStatus.REJECTED} == {"margin exceeds the limit"}
    assert [row.status for row in bench.rows(order)] == [BrokerStatus.REJECTED]


@BOTH
def test_semi_auto_is_parked(bench: Bench) -> None:
    order, done = placed_under(bench, "semi_auto")
    assert (done.outcome, done.broker_order_id) == (Outcome.PARKED, "")
    assert bench.rows(order) == []


@BOTH
def test_semi_auto_for_good_refuses_cancels_and_changes_of_a_live_server_only(bench: Bench) -> None:
    order = bench.rested()
    bench.fault("semi_auto", count=-1)
    changed = bench.venue.send(Call.MODIFY, msgspec.structs.replace(order, price=901.0))
    cancelled = bench.venue.send(Call.CANCEL, order)
    if bench.mode is ServerMode.ANALYZE:
        assert (changed.outcome, cancelled.outcome) == (Outcome.ACCEPTED, Outcome.ACCEPTED)
        return
    for done in (changed, cancelled):
        assert done.outcome is Outcome.REFUSED
        assert isinstance(classify_error_text(done.message), ApprovalRequired)
    assert [row.status for row in bench.rows(order)] == [BrokerStatus.OPEN]
    bench.clear()
    assert bench.venue.send(Call.CANCEL, order).outcome is Outcome.ACCEPTED


@BOTH
def test_cancel_answered_500_is_unknown_and_a_second_one_is_safe(bench: Bench) -> None:
    order = bench.rested()
    bench.fault("place_500_but_placed", route="cancelorder")
    assert bench.venue.send(Call.CANCEL, order).outcome is Outcome.UNKNOWN
    assert [row.status for row in bench.rows(order)] == [BrokerStatus.CANCELLED]
    again = bench.venue.send(Call.CANCEL, order).outcome
    # behind dhan a refused cancel is a success too
    assert again is (Outcome.ACCEPTED if bench.mode is ServerMode.LIVE else Outcome.REFUSED)
    assert [row.status for row in bench.rows(order)] == [BrokerStatus.CANCELLED]


@BOTH
def test_refuse_is_answered_as_behind_the_broker_and_changes_nothing(bench: Bench) -> None:
    order = bench.rested()
    live, answers = bench.mode is ServerMode.LIVE, dict[str, CallOutcome]()
    asked = {
        "placeorder": (Call.PLACE, bench.order()),
        "modifyorder": (Call.MODIFY, msgspec.structs.replace(order, price=901.0)),
        "cancelorder": (Call.CANCEL, order),
    }
    for route, (call, wanted) in asked.items():
        bench.fault("refuse", route=route, reason="not today")
        answers[route] = bench.venue.send(call, wanted)
    changed, cancelled = answers["modifyorder"].outcome, answers["cancelorder"].outcome
    assert (answers["placeorder"].outcome, answers["placeorder"].message) == (Outcome.REFUSED, "not today")
    # behind dhan: HTTP 500 without the reason, and a success
    assert changed is (Outcome.UNKNOWN if live else Outcome.REFUSED)
    assert cancelled is (Outcome.ACCEPTED if live else Outcome.REFUSED)
    assert [(row.status, row.price) for row in bench.rows(order)] == [(BrokerStatus.OPEN, 900.0)]


@BOTH
def test_undone_is_a_success_of_which_the_book_knows_nothing(bench: Bench) -> None:
    order = bench.rested()
    bench.fault("undone", count=2)
    changed = bench.venue.send(Call.MODIFY, msgspec.structs.replace(order, price=901.0))
    cancelled = bench.venue.send(Call.CANCEL, order)
    assert (changed.outcome, cancelled.outcome) == (Outcome.ACCEPTED, Outcome.ACCEPTED)
    assert [(row.status, row.price) for row in bench.rows(order)] == [(BrokerStatus.OPEN, 900.0)]
    assert bench.venue.send(Call.CANCEL, order).outcome is Outcome.ACCEPTED
    assert [row.status for row in bench.rows(order)] == [BrokerStatus.CANCELLED]


# all calls


@BOTH
def test_session_lost_refuses_orders_and_names_the_broker_session(bench: Bench) -> None:
    order, done = placed_under(bench, "session_lost", route="placeorder")
    assert done.outcome is Outcome.REFUSED
    assert bench.rows(order) == []
    bench.fault("session_lost", route="ping")
    with pytest.raises(BrokerDisconnected, match="log in to the broker"):
        endpoints.ping(bench.client)


@BOTH
def test_rate_limited_is_distinguished_and_says_when_to_come_back(bench: Bench) -> None:
    bench.fault("rate_limited", route="placeorder")
    done = bench.venue.send(Call.PLACE, bench.order())
    assert done.outcome is Outcome.RATE_LIMITED
    assert done.retry_after_ns > 0
    bench.fault("rate_limited", route="ping")
    with pytest.raises(RateLimited, match="wait a second"):
        endpoints.ping(bench.client)


@BOTH
def test_delay_within_the_deadline_is_waited_for_and_beyond_it_is_unknown(bench: Bench) -> None:
    bench.fault("delay_ms", ms=150)
    done = bench.place(bench.order())
    assert done.outcome is Outcome.ACCEPTED
    assert done.ended_machine_ns - done.began_machine_ns >= 150_000_000
    bench.fault("delay_ms", ms=1800)
    assert bench.place(bench.order()).outcome is Outcome.UNKNOWN
    with pytest.raises(MaybeSent, match="no answer within"):
        endpoints.quote(bench.client, "SBIN", "NSE")


@SANDBOX
def test_token_rollover_stops_calls_and_quotes_until_a_login(bench: Bench) -> None:
    bench.fault("token_rollover")
    with pytest.raises(BrokerDisconnected):
        endpoints.ping(bench.client)
    assert bench.place(bench.order()).outcome is Outcome.REFUSED
    bench.reconciler.reads.send("router", ReadRequest(id="rollover", account="main"))
    lost = bench.reconciler.wait_newest(AccountHealth, lambda level: not level.connected and level.session_lost)
    assert "log" in lost.message
    seen = len(bench.feed.take().quotes)
    bench.simulator.push("SBIN", 991.35, hold=False)
    assert bench.simulator.call("/sim/login")[0] == 200
    assert endpoints.ping(bench.client).message == "pong"
    flowing(bench)
    assert 991.35 not in [quote.ltp for quote in bench.feed.quotes[seen:]]
    bench.reconciler.wait_newest(AccountHealth, lambda level: level.is_healthy and not level.session_lost, 20)


# books


@BOTH
def test_book_500_is_unknown_never_flat_and_alerted(bench: Bench) -> None:
    order = bench.rested()
    bench.fault("book_500", count=-1)
    faulty_ns = machine_now()
    visit = bench.visit()
    books = visit.books
    assert (books.orders, books.trades, books.positions, visit.funds) == (None, None, None, None)
    assert any("orderbook" in problem for problem in visit.problems)
    begun = len(bench.reconciler.all(Alert))

    def unread(cleared: bool) -> bool:
        alerts = bench.reconciler.all(Alert)[begun:]
        return any(alert.code == "BOOKS_UNREAD" and alert.cleared is cleared for alert in alerts)

    bench.reconciler.reads.send("router", ReadRequest(id=order.client_order_id, account="main", positions=True))
    eventually(lambda: unread(False), 15)
    well_ns = machine_now()
    bench.clear()
    eventually(lambda: unread(True), 15)
    reads = bench.reconciler.all(BooksRead)
    found = [read for read in reads if faulty_ns < read.began_machine_ns and read.ended_machine_ns < well_ns]
    assert all(read.orders is None and read.positions is None for read in found)


@BOTH
def test_book_empty_leaves_an_order_that_the_stream_knows_as_it_is(bench: Bench) -> None:
    order = bench.rested()
    report = bench.wait_reported(order, bool)[-1]
    levels = OrderLevels()
    levels.on_update(OrderReport(account="main", order=report, received_machine_ns=0))
    bench.fault("book_empty", count=-1)
    visit = bench.visit()
    assert visit.books.orders == ()
    levels.drop_shown_by(visit.books)
    assert [level.order.broker_order_id for level in levels.updates_to_repeat(1)] == [order.broker_order_id]
    assert visit.funds is None
    assert any("funds" in problem for problem in visit.problems)


@LIVE
@pytest.mark.parametrize("failure", ["auth", "429", "502html", "timeout"])
def test_broker_failure_behind_dhan_leaves_every_book_unknown(bench: Bench, failure: str) -> None:
    bench.rested()
    bench.fault("broker_failure", failure=failure)
    books = bench.visit().books
    assert (books.orders, books.trades, books.positions) == (None, None, None)
    bench.clear()
    assert bench.visit().books.orders


@BOTH
def test_book_partial_lacks_live_orders_and_a_position(bench: Bench) -> None:
    resting, done = bench.rested(), bench.rested(**MARKET, quantity=5)
    bench.fault("book_partial", route="orderbook")
    assert (bench.rows(resting), len(bench.rows(done))) == ([], 1)
    bench.fault("book_partial", route="positionbook", symbol="SBIN")
    held = bench.visit().books.positions
    assert held is not None
    assert SBIN not in {row.instrument for row in held}


@BOTH
def test_foreign_row_stands_in_every_book_without_a_problem(bench: Bench) -> None:
    bench.fault("foreign_row", quantity=11)
    visit = bench.visit()
    books = visit.books
    assert books.orders is not None
    assert books.trades is not None
    assert books.positions is not None
    for rows in (books.orders, books.trades, books.positions):
        assert [row.quantity for row in rows if row.instrument == "NSE:TITAN"] == [11]
    assert visit.problems == ()


@BOTH
def test_master_miss_shows_rows_as_the_broker_names_the_instrument(bench: Bench) -> None:
    order = bench.rested()
    bench.fault("master_miss", symbol="SBIN")
    _, body = bench.simulator.call("orderbook")
    shown = {row["symbol"] for row in body["data"]["orders"] if row["orderid"] == order.broker_order_id}
    assert shown == ({"SBIN"} if bench.mode is ServerMode.LIVE else {None})
    bench.clear()
    assert len(bench.rows(order)) == 1


@BOTH
def test_status_flap_shows_one_sighting_open_and_the_trade_book_filled(bench: Bench) -> None:
    order = bench.rested(**MARKET, quantity=7)
    bench.wait_reported(order, lambda reported: reported and reported[-1].status is BrokerStatus.COMPLETE)
    bench.fault("status_flap")

    def shown() -> set[BrokerStatus]:
        return {row.status for row in bench.rows(order) if row.broker_order_id == order.broker_order_id}

    assert set().union(*(shown() for _ in range(5))) == {BrokerStatus.OPEN, BrokerStatus.COMPLETE}
    assert bench.traded(order) == 7


@SANDBOX
def test_status_leak_fails_the_book_or_shows_an_end_without_a_fill(bench: Bench) -> None:
    resting = bench.rested()
    bench.fault("status_leak")
    assert bench.visit().books.orders is None
    bench.rested(**MARKET, quantity=3)
    (row,) = bench.rows(resting)
    assert row.status is BrokerStatus.COMPLETE
    assert (row.filled, bench.traded(resting)) == (0, 0)
    bench.clear()
    (row,) = bench.rows(resting)
    assert row.status is BrokerStatus.OPEN


@LIVE
def test_status_leak_of_a_live_book_is_contradicted_by_the_trade_book_alone(bench: Bench) -> None:
    bench.simulator.call("cancelallorder", strategy="T")
    bench.rested(**MARKET, quantity=4)
    resting = bench.rested()
    bench.fault("status_leak")
    (row,) = bench.rows(resting)
    assert (row.status, row.filled) == (BrokerStatus.COMPLETE, None)
    assert bench.traded(resting) == 0
    bench.clear()
    assert [row.status for row in bench.rows(resting)] == [BrokerStatus.OPEN]


@LIVE
def test_status_word_on_its_way_counts_as_live_without_a_problem(bench: Bench) -> None:
    order = bench.rested()
    bench.fault("status_word")
    visit = bench.visit()
    assert visit.books.orders is not None
    row = next(row for row in visit.books.orders if row.quantity == order.quantity)
    assert (row.status, row.status_text) == (BrokerStatus.OTHER, "TRANSIT")
    assert visit.problems == ()


@BOTH
def test_unknown_status_word_counts_as_live_and_is_alerted(bench: Bench) -> None:
    order = bench.rested()
    bench.fault("status_word", word="frozen by lawyers")
    visit = bench.visit()
    assert visit.books.orders is not None
    assert {r.status for r in visit.books.orders if r.quantity == order.quantity} == {BrokerStatus.OTHER}
    assert [word for word, _ in visit.odd_words] == ["frozen by lawyers"]
    bench.reconciler.reads.send("router", ReadRequest(id="odd", account="main"))
    bench.reconciler.wait(Alert, lambda alert: alert.code == "BOOKS_ODD" and "lawyers" in alert.message)


# fills and order updates


@BOTH
def test_partial_fill_is_reported_by_the_stream_and_summed_by_the_trade_book(bench: Bench) -> None:
    bench.fault("partial_fill", fraction=0.4)
    order = bench.rested(**MARKET, quantity=50)
    reported = bench.wait_reported(order, lambda reported: reported and reported[-1].status is BrokerStatus.COMPLETE)
    part = next(report for report in reported if report.filled == 20)
    assert part.status is BrokerStatus.OPEN
    assert reported[-1].filled == 50
    assert bench.traded(order) == 50


@BOTH
def test_order_updates_off_leaves_the_books_to_tell(bench: Bench) -> None:
    bench.fault("order_updates_off")
    silent = bench.rested()
    assert [row.status for row in bench.rows(silent)] == [BrokerStatus.OPEN]
    bench.clear()
    loud = bench.rested()
    bench.wait_reported(loud, bool)
    assert bench.reported(silent) == []


@BOTH
def test_update_duplicated_is_passed_on_once(bench: Bench) -> None:
    bench.fault("update_duplicated", times=3)
    order = bench.rested()
    bench.clear()
    bench.wait_reported(order, bool)
    bench.wait_reported(bench.rested(), bool)
    assert len(bench.reported(order)) == 1


@BOTH
def test_update_hostile_hides_no_update_and_ends_nobody(bench: Bench) -> None:
    bench.fault("update_hostile")
    orders = [bench.rested() for _ in HOSTILE_FRAMES]
    bench.clear()
    for order in orders:
        bench.wait_reported(order, bool)
    assert {row.quantity for order in orders for row in bench.reported(order)} == {order.quantity for order in orders}
    assert bench.reconciler.process.poll() is None


@BOTH
def test_book_hostile_hides_no_order_of_ours_and_ends_nobody(bench: Bench) -> None:
    order = bench.rested()
    bench.fault("book_hostile", count=-1)
    visits = [bench.visit() for _ in HOSTILE_FRAMES]
    read = [visit.books.orders for visit in visits if visit.books.orders is not None]
    assert all([row.quantity for row in rows].count(order.quantity) == 1 for rows in read)
    assert all(visit.problems for visit in visits if visit.books.orders is None)
    bench.reconciler.reads.send("router", ReadRequest(id=order.client_order_id, account="main", positions=True))
    bench.clear()
    bench.reconciler.wait_newest(BooksRead, lambda found: found.orders is not None, 20)
    assert bench.reconciler.process.poll() is None


@BOTH
def test_update_delayed_comes_after_the_book_has_reported(bench: Bench) -> None:
    order = next(order for seconds in (2, 10, 50) if (order := booked_and_not_reported(bench, seconds)))
    assert eventually(lambda: bench.reported(order), 60)[0].status is BrokerStatus.OPEN


def booked_and_not_reported(bench: Bench, late: float) -> Order | None:
    """An order whose update is `late` seconds late; None where the machine stood still for so long."""
    bench.fault("update_delayed", seconds=late)
    begun = time.monotonic()
    order = bench.rested()
    assert len(bench.rows(order)) == 1
    reported = bench.reported(order)
    if time.monotonic() - begun > late:
        return None
    assert reported == []
    return order


@BOTH
def test_update_reordered_never_takes_an_end_back(bench: Bench) -> None:
    order = bench.order()
    bench.fault("update_reordered", count=1, seconds=30)
    done = bench.place(order)
    known = msgspec.structs.replace(order, broker_order_id=done.broker_order_id)
    assert bench.venue.send(Call.CANCEL, known).outcome is Outcome.ACCEPTED
    reported = bench.wait_reported(order, lambda found: len(found) == 2)
    assert [report.status for report in reported] == [BrokerStatus.CANCELLED, BrokerStatus.OPEN]
    levels = OrderLevels()
    for number, report in enumerate(reported):
        levels.on_update(OrderReport(account="main", order=report, received_machine_ns=number))
    assert [level.order.status for level in levels.updates_to_repeat(2)] == [BrokerStatus.CANCELLED]


# the feed


def flowing(bench: Bench) -> float:
    """Wait for a quote of SBIN that is new; its price."""
    seen = len(bench.feed.take().quotes)

    def newest() -> float:
        fresh = [quote for quote in bench.feed.quotes[seen:] if quote.instrument == SBIN]
        return fresh[-1].ltp if fresh else 0.0

    price: float = bench.feed.wait(lambda _: newest(), 20)
    return price


def reconnects(bench: Bench) -> float:
    return bench.feed.beats[-1].figures["reconnects"]


@BOTH
def test_quotes_of_a_running_server_get_bid_and_ask_from_the_book(bench: Bench) -> None:
    quote = bench.feed.wait(
        lambda feed: next((one for one in reversed(feed.quotes) if one.instrument == SBIN and one.bid), None)
    )
    assert 0 < quote.bid < quote.ask < quote.bid * 1.01
    assert min(quote.bid_quantity, quote.ask_quantity, quote.volume) > 0
    index = bench.feed.wait(lambda feed: [one for one in feed.quotes if one.instrument == NIFTY])
    assert {(one.bid, one.ask, one.open, one.previous_close) for one in index} == {(None, None, None, None)}


@SANDBOX
def test_price_wrong_never_reaches_the_bus(bench: Bench) -> None:
    price = flowing(bench)
    before = bench.feed.beats[-1].figures["held_prices"]
    seen = len(bench.feed.quotes)
    bench.fault("price_wrong", instrument=SBIN, factor=10)
    bench.feed.wait(lambda feed: feed.beats[-1].figures["held_prices"] > before)
    assert flowing(bench) == pytest.approx(price, rel=0.05)
    assert max(quote.ltp for quote in bench.feed.quotes[seen:] if quote.instrument == SBIN) < price * 2


@SANDBOX
def test_price_zero_never_reaches_the_bus(bench: Bench) -> None:
    flowing(bench)
    seen = len(bench.feed.quotes)
    bench.fault("price_zero", instrument=SBIN)
    flowing(bench)
    flowing(bench)
    assert all(quote.ltp > 0 for quote in bench.feed.quotes[seen:])


@SANDBOX
def test_ws_stall_shows_in_the_exchanges_time_that_stands_still(bench: Bench) -> None:
    flowing(bench)
    bench.fault("ws_stall", instrument=SBIN)

    def newest(feed: RunningFeed) -> list[Quote]:
        return [quote for quote in feed.quotes if quote.instrument == SBIN][-4:]

    bench.feed.wait(lambda feed: len({quote.exchange_ns for quote in newest(feed)}) == 1, 20)
    stalled = newest(bench.feed)
    assert len({quote.received_ns for quote in stalled}) == len(stalled) == 4


@SANDBOX
def test_ws_drop_is_reconnected_and_quotes_and_orders_flow_again(bench: Bench) -> None:
    flowing(bench)
    before = reconnects(bench)
    bench.fault("ws_drop")
    bench.feed.wait(lambda feed: reconnects(bench) > before, 20)
    flowing(bench)
    orders: list[Order] = []

    def received() -> bool:
        orders.append(bench.rested())
        return any(bench.reported(order) for order in orders)

    eventually(received, 20)
    (report, *_) = next(rows for order in orders if (rows := bench.reported(order)))
    assert report.status is BrokerStatus.OPEN


@SANDBOX
def test_ws_mute_is_alerted_with_the_socket_up_and_cured(bench: Bench) -> None:
    flowing(bench)
    seen = len(bench.feed.alerts)
    bench.fault("ws_mute")

    def alarms() -> list[Alert]:
        risen = [alert for alert in bench.feed.alerts[seen:] if not alert.cleared]
        return [alert for alert in risen if alert.severity is Severity.CRITICAL]

    bench.feed.wait(lambda _: alarms(), 25)
    assert alarms()[0].code != "FEED_DOWN"
    bench.clear()
    flowing(bench)
    bench.feed.wait(lambda feed: feed.beats[-1].ready, 20)


def test_every_fault_has_a_test_of_its_name() -> None:
    text = (ROOT / "tests" / "system" / "test_faults.py").read_text(encoding="utf-8")
    renamed = {"delay_ms": "delay_within"}
    untested = [name for name in FAULTS if f"def test_{renamed.get(name, name)}" not in text]
    elsewhere = ("unit/simulator/faults/test_registry.py", "contract/test_broker_feeds.py",
                 "contract/test_broker_data_faults.py", "contract/test_contract_lists.py",
                 "contract/test_simulator_nights.py")  # fmt: skip
    others = "".join((ROOT / "tests" / name).read_text(encoding="utf-8") for name in elsewhere)
    named = [name for name in untested if re.search(f'"{name}[":]', others)]
    assert untested == named, "altered frames, calls and lists, nights and books that are late"
