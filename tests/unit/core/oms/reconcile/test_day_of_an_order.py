"""An order is of the day on which it was sent, and days that older versions wrote go on."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from mytrading.core.orders.state_machine import is_of_day
from mytrading.messages.codec import StreamDecoder
from mytrading.messages.enums import Call, OrderState, Outcome, Product, Purpose
from mytrading.messages.streams import unions
from mytrading.runtime.journal.journal import Journal
from tests.kit.fake_broker import ACCOUNT, SECOND, OpenCall, OrderBench

DUSK = 18 * 3600 * SECOND
"""23:30 in India on the bench's first day."""
NIGHT = 10 * 3600 * SECOND
TODAY = "1970-01-02"
DATA = Path(__file__).parents[4] / "data"


@pytest.fixture
def bench() -> OrderBench:
    made = OrderBench()
    made.time = DUSK
    made.see_mode()
    return made


def held(bench: OrderBench, strategy: str = "s1", instrument: str = "NFO:A", product: Product = Product.NRML) -> int:
    found = bench.machine.position(ACCOUNT, instrument, product, strategy)
    return found.quantity if found is not None else 0


def morning(bench: OrderBench) -> None:
    bench.open_day(TODAY)
    bench.broker.orders.clear()
    bench.time += NIGHT
    bench.tick(SECOND)


def book_late(bench: OrderBench, call: OpenCall, after: int, *, filled: bool) -> None:
    """The call times out after 4 s, and the broker has the order so many seconds after it began."""
    bench.tick(4 * SECOND)
    bench.end(call, Outcome.UNKNOWN, message="timed out")
    began, placed = call.began, None
    while bench.time < began + 30 * SECOND:
        if placed is None and bench.time >= began + after * SECOND:
            placed = bench.broker.place(call.order, bench.time)
            if filled:
                bench.broker.trade(placed, placed.quantity, 101.0)
        bench.read()
        bench.tick(SECOND)
        assert not [one for one in bench.calls if one.call is Call.PLACE], "a second one is sent beside it"


@pytest.mark.parametrize("after", [5, 8, 12, 14])
def test_exit_made_in_the_evening_and_sent_in_the_morning_was_ended_with_the_evening_and_sent_twice(
    bench: OrderBench, after: int
) -> None:
    """Of delivered shares: an exit of anything else is made anew once a position book of the day has told of it."""
    bench.hold("e1", product=Product.CNC)
    bench.tick(2 * SECOND)
    bench.close("g1", product=Product.CNC)
    bench.end(bench.calls[0], Outcome.NOT_SENT)
    bench.calls.clear()
    morning(bench)
    (call,) = bench.calls
    assert call.order.created_ns < DUSK + 60 * SECOND, "it was made in the evening"
    book_late(bench, call, after, filled=True)
    assert bench.order(call.order.client_order_id).state is OrderState.FILLED
    assert held(bench, product=Product.CNC) == 0 and bench.broker.net["NFO:A", Product.CNC] == 0
    assert not {"POSITION_CORRECTED", "ORDER_UNRESOLVED"} & bench.codes()


@pytest.mark.parametrize("after", [6, 12])
def test_stop_made_before_the_close_and_sent_at_the_open_was_placed_twice(bench: OrderBench, after: int) -> None:
    bench.hold("e1", product=Product.NRML, stop_trigger=90.0, stop_limit=87.0)
    bench.end(bench.calls[0], Outcome.NOT_SENT)
    bench.session_open = False
    bench.open_day(TODAY)
    bench.broker.orders.clear()
    bench.time += NIGHT
    bench.tick(SECOND)
    assert not bench.calls, "it is held while its exchange is closed"
    bench.session_open = True
    bench.tick(SECOND)
    bench.read()
    bench.tick(SECOND)
    (call,) = [one for one in bench.calls if one.order.purpose is Purpose.STOP]
    book_late(bench, call, after, filled=False)
    stops = [placed for placed in bench.broker.orders.values() if placed.open]
    assert [placed.quantity for placed in stops] == [50]
    assert bench.order(call.order.client_order_id).state is OrderState.ACCEPTED


def test_day_of_an_order_is_that_of_its_call(bench: OrderBench) -> None:
    bench.hold("e1", product=Product.NRML)
    bench.tick(2 * SECOND)
    bench.close("g1", product=Product.NRML)
    bench.end(bench.calls[0], Outcome.NOT_SENT)
    bench.calls.clear()
    assert not any(is_of_day(order, TODAY) for order in bench.machine.orders())
    morning(bench)
    sent = bench.calls[0].order.client_order_id
    assert [order.client_order_id for order in bench.machine.orders() if is_of_day(order, TODAY)] == [sent]
    placed = bench.accept()
    bench.broker.trade(placed, 50, 101.0)
    bench.report(placed)
    bench.read()
    assert sent in {order.client_order_id for order in bench.machine.snapshot(TODAY).orders}, "of a day opened late"


def old_day(folder: Path) -> OrderBench:
    """A bench whose machine learnt the day that release 5c3df920 wrote (`tests/data/make_old_router_day.py`)."""
    path = folder / "router" / f"{TODAY}.journal"
    path.parent.mkdir()
    path.write_bytes(lzma.decompress((DATA / "router-5c3df920.xz").read_bytes()))
    journal = Journal(folder / "router", "router", TODAY, reserve_bytes=0)
    decoders = {name: StreamDecoder(name) for name in unions()}
    rows = [decoders[row.stream].decode_body(row.body) for row in journal.rows()]
    journal.close()
    bench = OrderBench()
    for row in rows:
        bench.machine.apply(row)
    bench.journal = rows
    bench.time = bench.machine.state.machine_ns
    bench.broker.net = {("NFO:A", Product.NRML): 50, ("NFO:B", Product.NRML): 50}
    return bench


def test_day_of_an_older_version_goes_on_and_sends_no_exit_of_the_evening_twice(tmp_path: Path) -> None:
    bench = old_day(tmp_path)
    assert (held(bench), held(bench, "s2", "NFO:B")) == (50, 50)
    order = next(one for one in bench.machine.orders() if one.state is OrderState.UNKNOWN)
    assert (order.strategy, order.quantity, order.call.sent_ns) == ("s2", 50, 0)
    began = order.call.began_machine_ns
    bench.crash((ACCOUNT,))
    bench.see_mode()
    while bench.time < began + 12 * SECOND:
        bench.read()
        bench.tick(SECOND)
        assert not [c for c in bench.calls if c.order.strategy == "s2"], "its exit may be at the broker"
    bench.broker.trade(bench.broker.place(order, bench.time), 50, 101.0)
    for _ in range(6):
        bench.read()
        bench.tick(SECOND)
        for call in [one for one in bench.calls if one.order.purpose is Purpose.STOP]:
            bench.accept(call)
    assert bench.order(order.client_order_id).state is OrderState.FILLED
    assert (held(bench), held(bench, "s2", "NFO:B")) == (50, 0)
    guards = [placed for placed in bench.broker.orders.values() if placed.open]
    assert [(placed.instrument, placed.quantity) for placed in guards] == [("NFO:A", 50)]


def test_day_of_an_older_version_carries_its_ids_into_the_next(tmp_path: Path) -> None:
    """It knew ids of its own day alone: B3 is the stop that it carried, B1, B2 and H4 were of the day before."""
    bench = old_day(tmp_path)
    assert not bench.machine.state.earlier
    order = next(one for one in bench.machine.orders() if one.state is OrderState.UNKNOWN)
    bench.broker.orders["N7"] = bench.broker.place(order, bench.time)
    bench.broker.orders["N7"].id = "N7"
    bench.see_mode()
    bench.read()
    opened = bench.machine.snapshot("1970-01-03")
    assert "N7" in opened.broker_ids["1970-01-03 main"]
