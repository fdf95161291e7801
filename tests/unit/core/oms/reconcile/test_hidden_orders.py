"""Orders of an earlier day that live on, though the order book of today does not list them: one stop stays one."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.oms import OmsLimits
from mytrading.messages.brokers import PLAIN, BrokerRules, TradeQuantity
from mytrading.messages.control import FlattenRequested
from mytrading.messages.enums import BrokerStatus, Call, OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.orders import PositionAdjusted, TradeClosed
from mytrading.messages.reports import BooksRead, BrokerTrades, ReadRequest
from tests.kit.fake_broker import ACCOUNT, NEVER, SECOND, OrderBench, Placed
from tests.kit.state_digest import state_digest

TOMORROW = "1970-01-02"
PLAN: dict[str, Any] = {"stop_trigger": 90.0, "stop_limit": 87.0}
OTHER = ("NFO:Z", Product.NRML)


class Sandbox:
    """A server that hides orders of earlier days from its order book, keeps them alive, and tells of each by its id."""

    def __init__(self, rules: BrokerRules = PLAIN, *, answers: bool = True, strategies: int = 1) -> None:
        self.bench = OrderBench(OmsLimits(unlisted=rules, asks_orders=True))
        self.answers = answers
        self.bench.broker.net[OTHER] = 10
        self.stops = [self._guarded(f"s{number}") for number in range(1, strategies + 1)]
        self.traded_today: list[Placed] = []

    def _guarded(self, strategy: str) -> Placed:
        self.bench.hold(f"e-{strategy}", product=Product.NRML, strategy=strategy, **PLAN)
        return self.bench.accept()

    def night(self) -> None:
        self.bench.read()
        self.bench.open_day(TOMORROW)
        self.bench.crash((ACCOUNT,))
        self.bench.see_mode()
        for placed in self.bench.broker.orders.values():
            placed.booked_at = NEVER
        self.bench.rows.clear()

    def fill(self, placed: Placed, price: float) -> None:
        """An order that no order book lists fills: the trade book names it."""
        self.bench.broker.trade(placed, 50, price)
        self.traded_today.append(placed)

    def fill_and_report(self, orders: list[Placed]) -> None:
        """The exits among these orders fill, and the stream says so."""
        for placed in orders:
            if placed.order_type is OrderType.MARKET and placed.open:
                self.bench.broker.trade(placed, 50, 99.0)
                self.bench.report(placed)

    def trades(self) -> tuple[BrokerTrades, ...]:
        return (*(self.bench.broker.books(self.bench.time).trades or ()), *map(self._trade, self.traded_today))

    def _trade(self, placed: Placed) -> BrokerTrades:
        return BrokerTrades(
            broker_order_id=placed.id, instrument=placed.instrument, side=placed.side, quantity=placed.filled,
            value=placed.value,
        )  # fmt: skip

    def run(self, seconds: int) -> None:
        """Whole reads each second; what is asked by its id is answered, and calls do what they say."""
        for _ in range(seconds):
            seen = len(self.bench.rows)
            self.bench.tick(SECOND)
            self.bench.answer_calls()
            self.bench.read(trades=self.trades(), funds_live=True)
            asked = [row for row in self.bench.rows[seen:] if isinstance(row, ReadRequest) and row.order_ids]
            if asked and self.answers:
                self.answer(asked[-1].order_ids)

    def answer(self, ids: tuple[str, ...]) -> None:
        broker, began = self.bench.broker, self.bench.time
        self.bench.time += 2_000_000
        rows = tuple(broker.orders[name].row(True, False) for name in ids if name in broker.orders)
        content = broker.books(began)
        self.bench.step(
            BooksRead(
                account=ACCOUNT, id=f"ids{began}", began_machine_ns=began + 1, ended_machine_ns=self.bench.time,
                orders=rows, trades=self.trades(), positions=content.positions, single=True, asked=ids,
            )
        )  # fmt: skip

    def held(self, strategy: str = "s1") -> int:
        found = self.bench.machine.position(ACCOUNT, "NFO:A", Product.NRML, strategy)
        return found.quantity if found is not None else 0

    def open_stops(self) -> list[str]:
        broker = self.bench.broker
        return [placed.id for placed in broker.orders.values() if placed.open and placed.order_type is OrderType.SL]


def test_carried_stop_that_the_order_book_hides_is_taken_over_and_not_placed_a_second_time() -> None:
    """Both filled when the price came: 65 were held, and 65 were short."""
    server = Sandbox()
    server.night()
    server.run(300)
    assert server.open_stops() == [server.stops[0].id]
    assert not {"ORDER_OVERNIGHT", "ORDER_MISSING"} & server.bench.codes()
    assert server.bench.machine.has_recovered(ACCOUNT)
    recovery = server.bench.machine.state.recovering[ACCOUNT]
    assert any("does not list it" in text for text in recovery.adopted)
    assert state_digest(server.bench.replayed()) == state_digest(server.bench.machine)


def test_carried_stop_that_the_server_does_not_know_has_ended_and_one_takes_its_place() -> None:
    server = Sandbox()
    server.night()
    del server.bench.broker.orders[server.stops[0].id]
    server.bench.broker.orders["gone"] = replace_id(server.stops[0], "gone")
    server.run(10)
    (stop,) = server.open_stops()
    assert stop != server.stops[0].id and "ORDER_OVERNIGHT" in server.bench.codes()


def replace_id(placed: Placed, name: str) -> Placed:
    """Keeps the numbers of later orders apart from those of earlier ones."""
    return Placed(
        name, "", placed.instrument, placed.side, placed.quantity, placed.product, status=BrokerStatus.EXPIRED,
        booked_at=NEVER,
    )  # fmt: skip


def test_server_that_answers_no_question_for_an_order_leaves_the_end_to_the_books() -> None:
    server = Sandbox(answers=False)
    server.night()
    server.bench.broker.drop(server.stops[0], BrokerStatus.EXPIRED)
    server.run(20)
    assert server.open_stops() == [], "nothing is placed while the answer may come"
    server.run(40)
    assert len(server.open_stops()) == 1


def test_hidden_stop_that_was_cancelled_over_night_is_replaced_once() -> None:
    server = Sandbox()
    server.night()
    server.bench.broker.drop(server.stops[0])
    server.run(60)
    (stop,) = server.open_stops()
    assert stop != server.stops[0].id
    assert server.bench.order(server.stops[0].client_order_id).state is OrderState.CANCELLED


@pytest.mark.parametrize("asks", [True, False])
@pytest.mark.parametrize("listed", [True, False], ids=["flat row", "no row"])
def test_fill_of_a_hidden_stop_that_the_trade_book_names_is_a_fill(asks: bool, listed: bool) -> None:
    """It was sighted and withdrawn in each read: 65 units stood as held all session, and the books agreed."""
    server = Sandbox()
    if not asks:
        server.bench.limits = server.bench.machine.limits = replace(server.bench.limits, asks_orders=False)
    server.night()
    server.fill(server.stops[0], 88.5)
    if not listed:
        del server.bench.broker.net["NFO:A", Product.NRML]
    server.run(30)
    assert server.held() == 0
    (trade,) = [row for row in server.bench.rows if isinstance(row, TradeClosed)]
    assert trade.realised == pytest.approx(50 * (88.5 - 100.0))
    assert not [row for row in server.bench.rows if isinstance(row, PositionAdjusted)]
    assert not {"FILL_WITHDRAWN", "POSITION_CORRECTED", "POSITION_DISPUTED"} & server.bench.codes()
    assert server.open_stops() == []


def test_stops_of_two_strategies_that_filled_out_of_sight_are_fills_of_both() -> None:
    server = Sandbox(strategies=2)
    server.night()
    for stop in server.stops:
        server.fill(stop, 88.5)
    server.run(30)
    assert (server.held("s1"), server.held("s2"), server.open_stops()) == (0, 0, [])


def test_trade_row_that_counts_no_fills_proves_as_many_as_the_net_moved() -> None:
    """Each row has the order's whole quantity; 20 of 50 have filled."""
    server = Sandbox(replace(PLAIN, trade_quantity=TradeQuantity.ORDER))
    server.night()
    stop = server.stops[0]
    server.bench.broker.trade(stop, 20, 88.5)
    row = BrokerTrades(broker_order_id=stop.id, instrument="NFO:A", side=Side.SELL, quantity=50, value=50 * 88.5)
    server.trades = lambda: (row,)  # type: ignore[method-assign]
    server.run(10)
    assert server.held() == 30


def test_strangers_trade_under_an_id_of_yesterday_is_no_fill_of_ours() -> None:
    """Ids are used again: today another order bears that of our stop of yesterday."""
    server = Sandbox(answers=False)
    server.night()
    stop = server.stops[0]
    row = BrokerTrades(broker_order_id=stop.id, instrument="NFO:A", side=Side.SELL, quantity=50, value=4400.0)
    server.trades = lambda: (row,)  # type: ignore[method-assign]
    server.run(20)
    other = replace(row, instrument="NFO:Q")
    server.trades = lambda: (other,)  # type: ignore[method-assign]
    server.run(20)
    assert server.held() == 50 and server.bench.order(stop.client_order_id).filled_seen == 0


def test_trade_of_our_own_tag_is_a_fill_before_the_positions_are_read() -> None:
    server = Sandbox()
    server.night()
    stop = server.stops[0]
    server.bench.broker.trade(stop, 50, 88.5)
    row = BrokerTrades(
        broker_order_id=stop.id, instrument="NFO:A", side=Side.SELL, quantity=50, value=4425.0, tag=stop.client_order_id
    )
    server.bench.read(trades=(row,), positions=None)
    assert server.held() == 0


def test_stop_that_filled_in_the_evening_is_found_by_its_id_where_no_trade_of_today_names_it() -> None:
    server = Sandbox()
    server.bench.read()
    server.bench.broker.trade(server.stops[0], 50, 88.5)
    server.bench.open_day(TOMORROW)
    server.bench.crash((ACCOUNT,))
    server.bench.see_mode()
    for placed in server.bench.broker.orders.values():
        placed.booked_at = NEVER
    server.run(60)
    assert server.held() == 0 and not [call for call in server.bench.calls if call.call is Call.PLACE]
    assert server.bench.order(server.stops[0].client_order_id).state is OrderState.FILLED


def test_exit_beside_a_hidden_stop_waits_until_its_id_shows_the_cancel() -> None:
    server = Sandbox()
    server.night()
    server.run(10)
    server.bench.close("g1", product=Product.NRML)
    for _ in range(20):
        server.run(1)
        if exits := [placed for placed in server.bench.broker.orders.values() if placed.order_type is OrderType.MARKET]:
            server.fill_and_report([placed for placed in exits if placed.side is Side.SELL])
    assert server.stops[0].status is BrokerStatus.CANCELLED
    sold = [placed.filled for placed in server.bench.broker.orders.values() if placed.side is Side.SELL]
    assert (sold, server.held()) == ([0, 50], 0)


def test_flatten_is_not_done_while_a_hidden_order_can_still_fill() -> None:
    """It said flat; the stop of the day before fired 40 s later, and 65 units were nobody's."""
    server = Sandbox()
    server.night()
    server.bench.broker.cancels = False
    until = server.bench.time + 600 * SECOND
    server.bench.step(
        FlattenRequested(id="f1", account=ACCOUNT, at_ns=server.bench.now, deadline_machine_ns=until, reason="all")
    )
    server.run(60)
    assert server.bench.machine.state.flattens["f1"].state != "done"
    server.bench.broker.cancels = True
    for _ in range(3):
        server.run(60)
        server.fill_and_report(list(server.bench.broker.orders.values()))
    assert server.open_stops() == [] and server.held() == 0
    assert server.bench.machine.state.flattens["f1"].state == "done"


def test_hidden_entry_of_an_earlier_day_is_cancelled_by_its_id() -> None:
    server = Sandbox()
    server.bench.enter("l1", product=Product.NRML, strategy="s9", order_type=OrderType.LIMIT, price=80.0, **PLAN)
    entry = server.bench.accept()
    server.night()
    server.run(30)
    assert entry.status is BrokerStatus.CANCELLED
    order = server.bench.order("l1")
    assert (order.purpose, order.state) == (Purpose.ENTRY, OrderState.CANCELLED)


def test_hidden_order_that_lived_yesterday_is_no_live_one_today_without_an_answer() -> None:
    server = Sandbox()
    server.night()
    server.run(30)
    server.bench.open_day("1970-01-03")
    server.answers = False
    server.bench.broker.drop(server.stops[0], BrokerStatus.EXPIRED)
    server.run(60)
    assert len(server.open_stops()) == 1 and server.open_stops() != [server.stops[0].id]


def test_calm_hidden_order_is_asked_for_twice_a_minute() -> None:
    server = Sandbox()
    server.night()
    server.run(30)
    server.bench.rows.clear()
    server.run(300)
    asked = [row for row in server.bench.rows if isinstance(row, ReadRequest) and row.order_ids]
    assert 9 <= len(asked) <= 11
