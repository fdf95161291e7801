"""Every broker behind a live server against the recorded facts about it: rows, updates, answers, failed reads.

What is expected is read from the files of facts in each test, never from the profiles that were generated from them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import pytest

from mytrading.core.exchange.model import BookOrder, BookPosition, BookTrade, OrderRequest
from mytrading.messages.enums import BrokerStatus, OrderType, Product, Side
from mytrading.simulator.formats.live_rows import LiveRows, live_order_frame
from mytrading.simulator.settings.broker_profile import broker_profiles
from tests.kit.broker_profiles import BOOKS, CALLS, FAILURES, STATES, Facts, read_facts
from tests.kit.live_server import LiveServer

FACTS = read_facts()
DAY, AT = "2026-11-20", 1_795_149_000_000_000_000
STOP: dict[str, Any] = {"pricetype": "SL", "action": "SELL", "price": 940.0, "trigger_price": 950.0}
RESTING: dict[str, Any] = {"pricetype": "LIMIT", "price": 900.0}
NRML_BUY: dict[str, Any] = {"symbol": "NIFTY29DEC26FUT", "exchange": "NFO", "product": "NRML", "quantity": 65}


def having(*starts: str) -> pytest.MarkDecorator:
    """Parametrise by the brokers of whom a fact begins so."""
    names = [name for name, facts in FACTS.items() if any(True for start in starts for _ in facts.beginning(start))]
    assert names
    return pytest.mark.parametrize("name", names)


@pytest.fixture
def server(name: str) -> Iterator[LiveServer]:
    made = LiveServer(name)
    made.push("SBIN", 985.0)
    yield made
    made.close()


def order(**fields: Any) -> BookOrder:
    """An order of 100 RELIANCE, by default a stop-limit that waits."""
    asked = {
        "instrument": "NSE:RELIANCE", "side": Side.SELL, "quantity": 100, "order_type": OrderType.SL, "price": 1290.0,
        "trigger_price": 1300.0,
    }  # fmt: skip
    given = {name: fields.pop(name) for name in list(fields) if name in (*asked, "product")}
    made = {"order_id": "240001", "status": BrokerStatus.TRIGGER_PENDING, "day": DAY, "placed_ns": AT, "updated_ns": AT}
    return BookOrder(request=OrderRequest(**{**asked, **given}), **{**made, **fields})


IN_STATE: dict[str, BookOrder] = {
    "waiting": order(),
    "open": order(status=BrokerStatus.OPEN, order_type=OrderType.LIMIT, trigger_price=0.0),
    "partly": order(status=BrokerStatus.OPEN, order_type=OrderType.LIMIT, trigger_price=0.0, filled=30),
    "complete": order(status=BrokerStatus.COMPLETE, filled=100, average_price=1290.0),
    "cancelled": order(status=BrokerStatus.CANCELLED),
    "rejected": order(status=BrokerStatus.REJECTED, reason="Insufficient funds"),
}


@having("order_status, ")
def test_word_of_an_order_in_each_state_is_the_recorded_one(name: str) -> None:
    recorded = {state: FACTS[name].word(state) for state in STATES}
    rows = LiveRows(broker_profiles()[name]).orders(IN_STATE.values())
    assert {state: row["order_status"] for state, row in zip(IN_STATE, rows, strict=True)} == recorded


@having("order.product of", "NRML order")
def test_order_row_has_the_recorded_product_type_and_keys(name: str) -> None:
    facts, rows = FACTS[name], LiveRows(broker_profiles()[name])
    row = rows.order(IN_STATE["rejected"])
    if kind := facts.get("order.pricetype of a stop-limit MIS order"):
        assert (row["pricetype"], row["product"]) == (kind, facts.get("order.product of a stop-limit MIS order"))
    keys = ("filled_quantity", "average_price", "rejection_reason", "reason")
    assert [key in row for key in keys] == [facts.get(f"order.{key} given") == "True" for key in keys]
    if shown := facts.get("NRML order in F&O") or facts.get("NRML order"):
        assert f"shown as {rows.order(order(product=Product.NRML))['product']}" in shown


@having("order.price, trigger_price, quantity")
def test_numbers_of_an_order_row_are_text_where_the_broker_gives_text(name: str) -> None:
    text = FACTS[name].get("order.price, trigger_price, quantity, raw form") == "text"
    row = LiveRows(broker_profiles()[name]).order(IN_STATE["waiting"])
    expected = ("1290.00", "1300.00", "100") if text else (1290.0, 1300.0, 100)
    assert (row["price"], row["trigger_price"], row["quantity"]) == expected
    market = LiveRows(broker_profiles()[name]).order(order(order_type=OrderType.MARKET, price=0.0, trigger_price=0.0))
    assert market["price"] == 0.0  # written by the server itself for every broker


@having("order_status of raw")
def test_other_words_of_a_broker_become_the_recorded_ones(name: str, server: LiveServer) -> None:
    server.place()
    resting = server.place(**RESTING)
    for raw, word in FACTS[name].raw_words().items():
        server.fault("status_word", raw=raw)
        assert server.orders()[resting]["order_status"] == word, raw


@having("status word not in its five")
def test_word_outside_the_five_is_that_of_the_row_above_and_fails_as_the_first(name: str, server: LiveServer) -> None:
    raw = next(iter(FACTS[name].raw_words()))
    lone = server.place(**RESTING)
    server.fault("status_word", raw=raw)
    assert server.call("orderbook")[0] == 500
    server.clear()
    server.cancel(lone)
    resting = server.place(**RESTING)
    server.fault("status_word", raw=raw)
    assert server.orders()[resting]["order_status"] == "cancelled"


@having("trade rows of an order")
def test_trade_rows_count_what_was_recorded(name: str) -> None:
    facts = FACTS[name]
    quantities = ast.literal_eval(facts.get("trade rows of an order of 100 filled 30 and 20: quantities"))
    shown = trade_rows(name, 30, 20)
    if facts.get("trade book"):  # a row for each order, where two orders were tried
        quantities = quantities[:1]
    assert [row["quantity"] for row in shown[: len(quantities)]] == quantities
    assert [type(row["quantity"]) for row in shown] == [type(quantities[0])] * len(shown)


def trade_rows(name: str, *fills: int, price: float = 1290.0) -> list[dict[str, Any]]:
    """The trade book of an order of 100 that was filled so."""
    filled = order(status=BrokerStatus.OPEN, order_type=OrderType.LIMIT, filled=sum(fills), average_price=price)
    trades = [
        BookTrade(
            trade_id=str(number), order_id="240001", instrument="NSE:RELIANCE", side=Side.SELL, product=Product.MIS,
            quantity=units, price=price, day=DAY, at_ns=AT + 1,
        )
        for number, units in enumerate(fills)
    ]  # fmt: skip
    return LiveRows(broker_profiles()[name]).trades({"240001": filled}, trades)


@having("trade.average_price type")
def test_trade_row_has_the_recorded_price_form_and_order_id(name: str) -> None:
    facts = FACTS[name]
    kind, _, form = facts.get("trade.average_price type and form").partition(" ")
    row = trade_rows(name, 30, price=float(ast.literal_eval(form)))[0]
    assert (type(row["average_price"]).__name__, repr(row["average_price"])) == (kind, form)
    assert (row["orderid"] == "240001") is (facts.get("trade.orderid is the order book id") == "yes")
    assert "tradeid" not in row
    if facts.get("trade.timestamp") == "time of day only":
        assert len(row["timestamp"]) == len("10:00:00")


def test_groww_shows_shares_on_nfo_by_letters_and_dear_trades_at_a_hundredth() -> None:
    rows = LiveRows(broker_profiles()["groww"])
    assert FACTS["groww"].get("trade price") == "divided by 100 when above 100"
    assert [row["average_price"] for row in trade_rows("groww", 30)] == [12.9]
    assert [row["average_price"] for row in trade_rows("groww", 30, price=99.0)] == [99.0]
    named = {
        symbol: rows.order(order(instrument=f"NSE:{symbol}"))["exchange"] for symbol in ("TCS", "SBIN", "RELIANCE")
    }
    assert named == {"TCS": "NFO", "SBIN": "NSE", "RELIANCE": "NFO"}
    held = [BookPosition(instrument=f"NSE:{name}", product=Product.CNC, quantity=1) for name in ("TCS", "RELIANCE")]
    assert [row["exchange"] for row in rows.positions(held, (), lambda _id, otherwise: otherwise)] == ["NSE", "NFO"]


def test_trade_book_of_paytm_is_its_order_book_and_nubras_has_a_row_an_order() -> None:
    orders = {one.order_id: one for one in (order(order_id="1"), order(order_id="2", filled=50))}
    fills = [
        BookTrade(
            trade_id=str(units), order_id="2", instrument="NSE:RELIANCE", side=Side.SELL, product=Product.MIS,
            quantity=units, price=1290.0, day=DAY, at_ns=AT,
        )
        for units in (30, 20)
    ]  # fmt: skip
    shown = {name: LiveRows(broker_profiles()[name]).trades(orders, fills) for name in ("paytm", "nubra")}
    assert [(row["orderid"], row["quantity"]) for row in shown["paytm"]] == [("1", 100), ("2", 100)]
    assert [(row["orderid"], row["quantity"]) for row in shown["nubra"]] == [("2", 50)]


def held_as(facts: Facts, number: int) -> tuple[BookPosition, list[BookTrade], float]:
    """The position that a recorded row shows, its trades of today, and the last price: NRML ones were carried."""
    row = facts.position(number)
    assert row is not None
    carried, units = row["exchange"] in ("NFO", "CRYPTO"), int(row["quantity"])
    given = {"NSE": 1290.0, "NFO": 26000.0, "CRYPTO": 60000.0}[row["exchange"]]
    average = 3000.0 if units == 5 else 0.0 if row["product"] == "CNC" and not carried else given
    product = Product.NRML if carried else Product(row["product"])
    instrument = f"{row['exchange']}:{'TCS' if number == 2 else 'RELIANCE'}"
    sides = [(Side.BUY, units, average)] if units > 0 else [(Side.BUY, 10, 1280.0), (Side.SELL, 10 - units, average)]
    trades = [
        BookTrade(
            trade_id="1", order_id="1", instrument=instrument, side=side, product=product, quantity=bought, price=price,
            day=DAY, at_ns=AT,
        )
        for side, bought, price in (sides if not carried and units else [])
    ]  # fmt: skip
    held = BookPosition(instrument=instrument, product=product, quantity=units, average_price=average)
    return held, trades, 1300.0 if instrument.endswith("RELIANCE") and not carried else average


RECORDED_POSITIONS = [
    (name, number)
    for name, facts in FACTS.items()
    for number in (1, 2)
    if facts.position(number) is not None and name not in ("groww", "samco")
]


@pytest.mark.parametrize(("name", "number"), RECORDED_POSITIONS)
def test_position_row_has_the_recorded_values_and_types(name: str, number: int) -> None:
    recorded = FACTS[name].position(number)
    held, trades, ltp = held_as(FACTS[name], number)
    assert recorded is not None
    row = LiveRows(broker_profiles()[name]).positions([held], trades, lambda _id, _otherwise: ltp)[0]
    for key in ("product", "quantity", "average_price"):
        assert (type(row[key]), row[key]) == (type(recorded[key]), recorded[key]), key
    for key in ("ltp", "pnl"):
        assert (key in row) is (recorded[key] != "(no key)"), key
        if key in row:
            assert type(row[key]) is type(recorded[key]), key
    if recorded["ltp"] in (0.0, "NA") and not FACTS[name].get("position.ltp") and recorded["average_price"]:
        assert (row["ltp"], row["pnl"]) == (recorded["ltp"], recorded["pnl"])


def test_recorded_position_rows_are_held_to_for_all_brokers_that_have_one() -> None:
    without = {name for name, facts in FACTS.items() if facts.position() is None}
    assert without == {"dhan_sandbox"}
    assert {name for name, _ in RECORDED_POSITIONS} == FACTS.keys() - without - {"groww", "samco"}


def test_groww_knows_no_average_price_and_samco_shows_texts() -> None:
    for name, key, value in (("groww", "average_price", 0.0), ("samco", "quantity", "-10")):
        recorded = FACTS[name].position()
        assert recorded is not None
        assert recorded[key] == value
    held, trades, _ = held_as(FACTS["samco"], 1)
    shown = {
        name: LiveRows(broker_profiles()[name]).positions([held], trades, lambda _id, _otherwise: 1300.0)[0]
        for name in ("groww", "samco")
    }
    assert (shown["groww"]["average_price"], "ltp" in shown["groww"]) == (0.0, False)
    assert shown["samco"]["quantity"] == "-10"


@having("positions")
def test_joined_lists_show_a_position_of_today_twice(name: str) -> None:
    held, trades, ltp = held_as(FACTS[name], 1)
    rows = LiveRows(broker_profiles()[name]).positions([held], trades, lambda _id, _otherwise: ltp)
    assert FACTS[name].position(1) == FACTS[name].position(2)
    assert [row["quantity"] for row in rows] == [10, 10]


@having("position row 1 (symbol not in master contract)")
def test_instrument_that_the_master_contract_lacks_is_shown_as_recorded(name: str) -> None:
    recorded = FACTS[name].position(missing=True)
    assert recorded is not None
    shares = recorded["exchange"] != "NFO"
    given = {"symbol": "RELIANCE" if shares else "NIFTY26DECFUT", "exchange": "NSE" if shares else "NFO"}
    row = LiveRows(broker_profiles()[name]).missed({**given, "product": "MIS" if shares else "NRML"}, "positionbook")
    symbol = recorded["symbol"].removeprefix("NSE:") if recorded["symbol"] else recorded["symbol"]
    assert row == {"symbol": symbol, "product": recorded["product"], "exchange": recorded["exchange"]}


@pytest.mark.parametrize("name", FACTS)
@pytest.mark.parametrize("route", CALLS)
def test_refused_call_is_answered_as_recorded_and_changes_nothing(name: str, route: str, server: LiveServer) -> None:
    if not (recorded := FACTS[name].refusal(route)):
        pytest.fail("no fact about a refused call: the profile would be a guess")
    resting = server.place(**RESTING)
    kept = server.venue.exchange.books.orders.copy()
    text = "" if recorded.startswith("EXC") else recorded.partition("id=- ")[2]
    server.fault("refuse", route=route, reason=text or "Unauthorized")
    fields = {"strategy": "T", "symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": 1}
    calls = {
        "placeorder": lambda: server.call("placeorder", **fields),
        "modifyorder": lambda: server.change(resting, price=901.0),
        "cancelorder": lambda: server.cancel(resting),
    }
    status, body = calls[route]()
    if recorded.startswith("200"):
        assert (status, body) == (200, {"status": "success", "orderid": None if route == "placeorder" else resting})
    else:
        assert (status, body["status"]) == (500 if recorded.startswith("EXC") else int(recorded[:3]), "error")
        assert "orderid" not in body
        assert body["message"].startswith(text.replace("240001", resting))
    assert server.venue.exchange.books.orders == kept


@having("refused modify or cancel of a live order")
def test_live_order_is_shown_rejected_after_a_refused_change(name: str, server: LiveServer) -> None:
    order_id, other = server.place(**RESTING), server.place(**RESTING)
    server.fault("refuse", route="modifyorder")
    server.change(order_id, price=901.0)
    shown = server.orders()
    assert shown[order_id]["order_status"] == FACTS[name].get("refused modify or cancel of a live order")
    assert shown[other]["order_status"] == "open"
    server.cancel(order_id)
    assert server.orders()[order_id]["order_status"] == "cancelled"


@pytest.mark.parametrize("name", FACTS)
def test_reads_while_the_broker_fails_are_answered_as_recorded(name: str, server: LiveServer) -> None:
    server.place()
    server.place(**RESTING)
    for failure in FAILURES:
        for route in (*BOOKS, "funds"):
            recorded = FACTS[name].failed(route, failure)
            if not recorded:
                assert f"{route} while the broker fails: {failure}" in broker_profiles()[name].silent
                continue
            server.fault("broker_failure", route=route, failure=failure, count=1)
            status, body = server.call(route)
            assert_as_recorded(recorded, status, body)
            assert server.call(route)[0] == 200  # well again


def assert_as_recorded(recorded: str, status: int, body: dict[str, Any]) -> None:
    """Fail unless the answer to a read is the recorded one."""
    if not recorded.startswith(("200", "availablecash")):
        assert (status, body["status"]) == (500, "error")
        assert recorded.startswith("EXC") or body["message"] == recorded.removeprefix("500 ")
        return
    data = body["data"]
    rows = data.get("orders", data) if isinstance(data, dict) else data
    assert status == 200
    if recorded == "200 success, one blank row":
        assert [(row["orderid"], row["symbol"], row["quantity"]) for row in rows] == [(None, "", 0)]
    elif recorded.startswith("availablecash"):
        assert [*data.values()] == ["0.00"] * 5
    else:
        assert not rows


@having("nothing to show")
def test_books_with_nothing_to_show_are_the_recorded_ones(name: str, server: LiveServer) -> None:
    for route, book in BOOKS.items():
        recorded = FACTS[name].get(f"nothing to show, {book}")
        _, body = server.call(route)
        assert len(body["data"]["orders"] if route == "orderbook" else body["data"]) == ("blank" in recorded), route
    server.place()
    assert all(row["symbol"] == "SBIN" for row in server.orders().values())


@having("order-update stream")
def test_update_of_a_waiting_stop_has_the_recorded_word_or_there_is_none(name: str, server: LiveServer) -> None:
    recorded = FACTS[name].get("order-update stream")
    if name == "paytm":
        assert recorded == "none"  # its stops are market orders
    server.place(**STOP)
    words = [update["order_status"] for update in server.updates]
    assert words == ([] if recorded == "none" else [recorded.partition("waiting stop: ")[2]])


@having("product in order updates")
def test_update_of_an_nrml_order_has_another_product_than_its_row(name: str) -> None:
    shown = live_order_frame(order(product=Product.NRML), broker_profiles()[name])["product"]
    assert f"becomes {shown}" in FACTS[name].get("product in order updates")
    assert LiveRows(broker_profiles()[name]).order(order(product=Product.NRML))["product"] == "NRML"


@having("market and stop-market orders as")
def test_market_orders_and_stops_are_shown_as_they_are_sent(name: str, server: LiveServer) -> None:
    recorded = FACTS[name].get("market and stop-market orders as the order book shows them")
    placed = server.place(), server.place(**{**STOP, "pricetype": "SL-M", "price": 0.0})
    market, stop = (server.orders()[order_id] for order_id in placed)
    assert [market["pricetype"], stop["pricetype"]] == re.findall(r"\b(?:MARKET|LIMIT|SL-M|SL)\b", recorded)[:2]
    assert (float(market["price"]) > 985.0) is (market["pricetype"] == "LIMIT")
    assert (0.0 < float(stop["price"]) < 950.0) is (stop["pricetype"] == "SL")


def test_stop_at_paytm_is_executed_at_once() -> None:
    assert FACTS["paytm"].get("SL and SL-M order as sent").endswith("executed at once")
    with LiveServer("paytm") as paytm:
        paytm.place()
        stop = paytm.place(**STOP)
        assert (paytm.orders()[stop]["order_status"], paytm.orders()[stop]["pricetype"]) == ("complete", "MARKET")
        assert [row["quantity"] for row in paytm.book("positionbook")] == [0]


def test_rest_of_a_market_order_at_nubra_is_cancelled_at_once() -> None:
    with LiveServer("nubra") as nubra:
        nubra.fault("partial_fill")
        rest = nubra.venue.exchange.books.orders[nubra.place()]
        assert (rest.status, rest.filled) == (BrokerStatus.CANCELLED, 5)


@having("modify of a stop: key of the new trigger")
def test_change_of_a_stop_moves_what_the_server_sends(name: str, server: LiveServer) -> None:
    facts, order_id = FACTS[name], server.place(**STOP)
    if name == "paytm":  # its stops are market orders: none rests
        assert not server.venue.exchange.books.orders[order_id].is_live
        return
    lost = facts.get("modify of a stop: key of the new trigger") in ("NOT SENT", "stoploss")
    limit_lost = facts.get("modify of a stop: key of the new limit price") == "NOT SENT"
    assert server.change(order_id, trigger_price=955.0, price=945.0) == (
        200,
        {"status": "success", "orderid": order_id},
    )
    request = server.venue.exchange.books.orders[order_id].request
    assert (request.trigger_price, request.price) == (950.0 if lost else 955.0, 940.0 if limit_lost else 945.0)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("zerodha", 65, 65),
        ("samco", "65", None),  # the book of the day alone
        ("kotak", 65, 65),
        ("aliceblue", 65, 65),
        ("motilal", 65, 65),
    ],
)
def test_carried_position_is_shown_as_recorded_after_a_night(
    name: str, before: object, after: object, server: LiveServer
) -> None:
    server.place(**NRML_BUY)
    (row,) = server.book("positionbook")
    assert row["quantity"] == before
    bought = float(row["average_price"])
    assert bought > 0
    server.move_to("2026-11-23 10:00")
    rows = server.book("positionbook")
    assert [row["quantity"] for row in rows] == ([] if after is None else [after])
    unknown = bool(FACTS[name].get("position average of carried units"))
    assert [float(row["average_price"]) for row in rows] == ([] if after is None else [0.0 if unknown else bought])
    assert (rows == []) is (FACTS[name].get("position book") == "positionType DAY only")
    assert server.book("tradebook") == []


@pytest.mark.parametrize("name", ["motilal", "nubra", "paytm", "zerodha"])
def test_product_of_a_position_is_the_brokers(name: str, server: LiveServer) -> None:
    server.place(**NRML_BUY)
    assert [row["product"] for row in server.book("positionbook")] == [
        {"motilal": "MIS", "nubra": "CNC", "paytm": "MARGIN", "zerodha": "NRML"}[name]
    ]


@having("cancel-all")
def test_cancelling_all_leaves_orders_that_are_partly_filled_where_recorded(name: str, server: LiveServer) -> None:
    recorded = FACTS[name].get("cancel-all")
    server.fault("partial_fill")
    part = server.place(pricetype="LIMIT", price=990.0)
    resting = server.place(**RESTING)
    _, body = server.call("cancelallorder", strategy="T")
    assert body["canceled_orders"] == ([part, resting] if "TRIGGER PENDING" in recorded else [resting])


@pytest.mark.parametrize("name", [name for name, facts in FACTS.items() if "Replaced" in facts.raw_words()])
def test_changed_order_rests_in_a_word_of_its_own_and_is_missed_by_cancelling_all(
    name: str, server: LiveServer
) -> None:
    assert "Replaced stay" in FACTS[name].get("cancel-all")
    stop, resting = server.place(**STOP), server.place(**RESTING)
    server.change(stop, trigger_price=955.0)
    shown = server.orders()
    assert (shown[stop]["order_status"], shown[stop]["trigger_price"]) == (FACTS[name].raw_words()["Replaced"], 955.0)
    assert shown[resting]["order_status"] == FACTS[name].word("open")
    assert server.call("cancelallorder", strategy="T")[1]["canceled_orders"] == [resting]
    server.cancel(stop)
    assert server.orders()[stop]["order_status"] == "cancelled"


@pytest.mark.parametrize("name", ["indmoney"])
def test_answer_can_bear_an_id_that_names_no_order(server: LiveServer) -> None:
    (told,) = (value for _, value in FACTS["indmoney"].beginning("place, broker text"))
    assert told == "success with orderid ORDER_PLACED"
    server.fault("place_no_id", orderid="ORDER_PLACED", placed=True)
    fields = {"strategy": "T", "symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": 1}
    assert server.call("placeorder", **fields) == (200, {"status": "success", "orderid": "ORDER_PLACED"})
    assert [row["quantity"] for row in server.orders().values()] == [1]


@pytest.mark.parametrize("name", FACTS)
def test_ping_reports_openalgos_own_name_of_the_broker(name: str, server: LiveServer) -> None:
    assert server.call("ping")[1]["data"]["broker"] == name
    server.place(**STOP)
    assert {update["broker"] for update in server.updates} <= {name}


@pytest.mark.parametrize("name", ["zerodha", "fivepaisa", "angel"])
def test_strangers_rows_stand_beside_ours(name: str, server: LiveServer) -> None:
    ours = server.place()
    server.fault("foreign_row", product="MIS", listed=False)
    missing = FACTS[name].position(missing=True)
    assert missing is not None
    rows = {"order": [*server.orders().values()], "trade": server.book("tradebook"), "pos": server.book("positionbook")}
    assert rows["order"][0]["orderid"] == ours
    for shown in rows.values():
        assert len(shown) == 2
        assert shown[0]["symbol"] == "SBIN"
        stranger = shown[1]["symbol"]
        assert stranger is None if missing["symbol"] is None else stranger.startswith("TITAN")
    assert rows["pos"][1]["product"] == missing["product"]


@having("product not in its five, positions")
def test_position_of_an_odd_product_stands_under_that_of_the_row_above(name: str, server: LiveServer) -> None:
    recorded = FACTS[name].get("product not in its five, positions")
    assert recorded == "product of the row above; first row: HTTP 500"
    server.fault("foreign_row", route="positionbook", product="MTF")
    assert server.call("positionbook")[0] == 500
    server.place(product="MIS")
    assert [row["product"] for row in server.book("positionbook")] == ["MIS", "MIS"]


@pytest.mark.parametrize("name", ["pocketful"])
def test_part_of_a_book_can_be_lost(server: LiveServer) -> None:
    done, resting = server.place(), server.place(**RESTING)
    server.place("TCS", quantity=1)
    server.fault("book_partial", route="orderbook")
    assert resting not in server.orders()
    assert done in server.orders()
    server.fault("book_partial", route="positionbook", symbol="SBIN")
    assert [row["symbol"] for row in server.book("positionbook")] == ["TCS"]


@pytest.mark.parametrize("name", ["zerodha"])
def test_undone_change_and_cancel_are_successes(server: LiveServer) -> None:
    resting = server.place(**STOP)
    server.fault("undone", count=2)
    assert server.change(resting, trigger_price=955.0)[0] == 200
    assert server.cancel(resting) == (200, {"status": "success", "orderid": resting})
    kept = server.venue.exchange.books.orders[resting]
    assert (kept.status, kept.request.trigger_price) == (BrokerStatus.TRIGGER_PENDING, 950.0)
    assert server.cancel(resting)[0] == 200
    assert not server.venue.exchange.books.orders[resting].is_live
