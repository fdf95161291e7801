"""Rows of one broker each, as OpenAlgo's mapping code gives them, read by that broker's row of the table.

The words, names and rows are recorded facts (OpenAlgo 60156bc5 of 22 August 2026), none is taken from the table.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from mytrading.adapters.openalgo.rest.book_parsers import parse_order, parse_orders, parse_positions, parse_trades
from mytrading.adapters.openalgo.rest.broker_quirks import is_unknown_status, status_of
from mytrading.adapters.openalgo.rest.client import HttpReply
from mytrading.config.brokers import load_brokers
from mytrading.messages.brokers import BrokerRules
from mytrading.messages.enums import BrokerStatus, OrderType, Product

B = BrokerStatus
XTS = ("compositedge", "fivepaisaxts", "ibulls", "iifl", "jainamxts", "rmoney", "wisdom")
NOREN = ("flattrade", "shoonya", "tradesmart", "zebu")
USUAL = {"open": B.OPEN, "complete": B.COMPLETE, "cancelled": B.CANCELLED, "rejected": B.REJECTED}
WORDS: dict[str, dict[str, BrokerStatus]] = {
    **{name: {**USUAL, "PartiallyFilled": B.OPEN, "Replaced": B.OPEN, "PendingNew": B.OTHER, "PendingReplace": B.OTHER,
              "PendingCancel": B.OTHER} for name in XTS},
    **{name: {**USUAL, "invalid status type": B.OTHER} for name in NOREN},
    "aliceblue": {**USUAL, "trigger_pending": B.TRIGGER_PENDING, "replaced": B.OPEN, "new": B.OPEN},
    "angel": {**USUAL, "trigger pending": B.TRIGGER_PENDING, "open pending": B.OTHER, "modified": B.OPEN,
              "after market order req received": B.OTHER, "modify pending": B.OTHER},
    "arrow": {**USUAL, "trigger pending": B.TRIGGER_PENDING, "AFTER_MARKET_ORDER_REQ_RECEIVED": B.OTHER,
              "PARTIALLY_FILLED": B.OPEN},
    "definedge": {**USUAL, "partially_filled": B.OPEN},
    "deltaexchange": USUAL,
    "dhan": {**USUAL, "PART_TRADED": B.OPEN, "TRANSIT": B.OTHER, "EXPIRED": B.EXPIRED},
    "dhan_sandbox": {**USUAL, "TRIGGERED": B.TRIGGERED},
    "firstock": {**USUAL, "trigger_pending": B.TRIGGER_PENDING, "invalid_status_type": B.OTHER},
    "fivepaisa": {**USUAL, "partially executed": B.OPEN, "sl triggered": B.TRIGGERED},
    "fyers": {**USUAL, "trigger pending": B.OTHER},
    "groww": {**USUAL, "trigger pending": B.TRIGGER_PENDING},
    "hdfcsecurities": {**USUAL, "trigger pending": B.TRIGGER_PENDING, "expired": B.EXPIRED},
    "hdfcsky": {**USUAL, "trigger pending": B.TRIGGER_PENDING, "freeze": B.OTHER},
    "iiflcapital": {**USUAL, "trigger pending": B.TRIGGER_PENDING},
    "indmoney": {**USUAL, "trigger pending": B.TRIGGER_PENDING},
    "kotak": {**USUAL, "after market order req received": B.OTHER, "cancelled after market order": B.CANCELLED,
              "modify pending": B.OTHER},
    "motilal": {**USUAL, "partial": B.OPEN, "modified": B.OPEN},
    "mstock": {**USUAL, "trigger pending": B.TRIGGER_PENDING, "part traded": B.OPEN},
    "nubra": {**USUAL, "trigger pending": B.OPEN},
    "paytm": {**USUAL, "trigger pending": B.OPEN},
    "pocketful": {**USUAL, "trigger pending": B.TRIGGER_PENDING, "unknown": B.OTHER},
    "samco": {**USUAL, "modify pending": B.OTHER, "partially executed": B.OPEN},
    "tradejini": {**USUAL, "trigger pending": B.TRIGGER_PENDING, "amo": B.OTHER, "after market order": B.OTHER},
    "upstox": {**USUAL, "trigger pending": B.TRIGGER_PENDING, "put order req received": B.OTHER, "modified": B.OPEN,
               "not cancelled": B.OPEN, "after market order req received": B.OTHER},
    "zerodha": {**USUAL, "trigger pending": B.TRIGGER_PENDING},
}  # fmt: skip
"""Every word that the order book of a broker was seen to give, and what it proves of an order."""


def rules(name: str) -> BrokerRules:
    return load_brokers()[name]


def answer(data: Any) -> HttpReply:
    return HttpReply(200, json.dumps({"status": "success", "data": data}).encode(), 1, 2)


def position(**fields: Any) -> dict[str, Any]:
    usual = {"exchange": "NSE", "symbol": "SYM2885", "product": "MIS", "quantity": 10, "average_price": 1290.0}
    return {**usual, "ltp": 1300.0, "pnl": 100.0, **fields}


def order(**fields: Any) -> dict[str, Any]:
    usual = {"symbol": "SYM35000", "exchange": "NFO", "action": "SELL", "quantity": 75, "price": 1290.0}
    return {**usual, "trigger_price": 1300.0, "pricetype": "SL", "product": "MIS", "orderid": "240001",
            "order_status": "open", **fields}  # fmt: skip


@pytest.mark.parametrize("name", WORDS)
def test_every_word_that_a_broker_was_seen_to_give_is_known_and_means_what_it_meant(name: str) -> None:
    found = {word: status_of(word, rules(name)) for word in WORDS[name]}
    assert found == WORDS[name]
    assert [word for word in WORDS[name] if is_unknown_status(word, rules(name))] == []
    assert set(WORDS) == set(load_brokers()) - {"sandbox"}


def test_word_of_one_broker_says_nothing_at_another() -> None:
    assert status_of("sl triggered", rules("zerodha")) is B.OTHER and is_unknown_status("amo", rules("zerodha"))
    assert is_unknown_status("unknown", rules("fyers")), "an expired order is shown so, and somebody must look at it"


def test_words_of_updates_are_looked_up_apart_from_those_of_the_book() -> None:
    assert parse_order(order(order_status="sl triggered"), rules("fivepaisa")).status is B.TRIGGERED
    assert parse_order(order(order_status="sl triggered"), rules("fivepaisa"), update=True).status is B.OTHER
    assert parse_order(order(order_status="trigger pending"), rules("fyers"), update=True).status is B.TRIGGER_PENDING


@pytest.mark.parametrize("name", ["arrow", "upstox"])
def test_product_of_an_order_update_is_not_believed_where_it_was_seen_to_be_wrong(name: str) -> None:
    """One calls NRML orders MIS there, the other those of futures and options CNC."""
    assert parse_order(order(product="CNC"), rules(name), update=True).product is None
    assert parse_order(order(product="NRML"), rules(name)).product is Product.NRML


@pytest.mark.parametrize(("name", "shown"), [("motilal", "MIS"), ("nubra", "CNC")])
def test_name_under_which_nrml_comes_back_proves_no_product_of_an_order(name: str, shown: str) -> None:
    """An NRML order of unknown fate was never found by what it is, since its row bears another product."""
    assert parse_order(order(product=shown), rules(name)).product is None
    assert parse_order(order(product=shown, exchange="NSE"), rules(name)).product is Product(shown)


@pytest.mark.parametrize(
    ("name", "row", "instrument", "product"),
    [
        ("angel", position(symbol="RELIANCE-EQ", product="INTRADAY"), "NSE:RELIANCE", "MIS"),
        ("upstox", position(symbol="RELIANCE", product="I"), "NSE:RELIANCE", "MIS"),
        ("upstox", position(symbol="RELIANCE", product="D"), "NSE:RELIANCE", "CNC"),
        ("upstox", position(symbol="NIFTY26DECFUT", exchange="NFO", product="D"), "NFO:NIFTY26DECFUT", "NRML"),
        ("dhan", position(symbol="RELIANCE", product="INTRADAY"), "NSE:RELIANCE", "MIS"),
        ("flattrade", position(symbol="RELIANCE-EQ", product="I", quantity="10"), "NSE:RELIANCE", "MIS"),
        ("shoonya", position(symbol="RELIANCE-EQ", product="I"), "NSE:RELIANCE", "MIS"),
        ("motilal", position(symbol="RELIANCE EQ", product="VALUEPLUS"), "NSE:RELIANCE", "MIS"),
        ("motilal", position(symbol="NIFTY", exchange="NFO", product="NORMAL"), "NFO:NIFTY", "NRML"),
        ("paytm", position(symbol="SYM35000", exchange="NFO", product="MARGIN"), "NFO:SYM35000", "NRML"),
        ("fyers", position(symbol="NSE:RELIANCE-EQ", exchange=10.0), "NSE:RELIANCE", "MIS"),
        ("groww", position(exchange="NSE_FO", symbol="NIFTY26DECFUT", product="nrml"), "NFO:NIFTY26DECFUT", "NRML"),
        ("groww", position(exchange="nse_eq ", symbol=" tcs"), "NSE:TCS", "MIS"),
        ("zerodha", position(symbol="BAJAJ-AUTO"), "NSE:BAJAJ-AUTO", "MIS"),
    ],
)
def test_position_under_the_brokers_own_names_is_the_one_that_we_know(
    name: str, row: dict[str, Any], instrument: str, product: str
) -> None:
    book = parse_positions(answer([row]), rules(name))
    assert [(found.instrument, found.product) for found in book.rows or ()] == [(instrument, Product(product))]


@pytest.mark.parametrize(
    ("name", "row", "instrument"),
    [
        ("zerodha", position(symbol=None), ""),
        ("mstock", position(symbol=""), ""),
        ("fivepaisa", position(symbol="RELIANCE", exchange="N", product="D"), ""),
        ("zerodha", position(exchange="NSE_FO", symbol="NIFTY26DECFUT"), ""),
        ("fyers", position(symbol="NSE:NIFTY26DECFUT", exchange=10.0), ""),
        ("zerodha", position(product="INTRADAY"), "NSE:SYM2885"),
        ("upstox", position(product="MTF"), "NSE:SYM2885"),
    ],
)
def test_position_that_is_named_by_no_fact_is_passed_on_unread(name: str, row: dict[str, Any], instrument: str) -> None:
    book = parse_positions(answer([row, position(symbol="TCS")]), rules(name))
    assert [found.instrument for found in book.rows or ()] == ["NSE:TCS"]
    assert [found.instrument for found in book.unread_rows] == [instrument]


def test_position_that_stands_in_both_of_the_joined_lists_counts_once() -> None:
    rows = [position(ltp=0.0, pnl=0.0)] * 2
    assert [row.quantity for row in parse_positions(answer(rows), rules("indmoney")).rows or ()] == [10]
    other = parse_positions(answer([*rows, position(pnl=1.0)]), rules("indmoney")).rows or ()
    assert [row.quantity for row in other] == [10, 10], "rows that differ are not one"
    assert len(parse_positions(answer(rows), rules("zerodha")).rows or ()) == 2


def test_trade_book_that_lists_orders_proves_nothing_and_wrong_prices_are_none() -> None:
    trade = {"symbol": "SYM2885", "exchange": "NSE", "action": "BUY", "quantity": 100, "average_price": 12.9,
             "orderid": "1", "product": "MIS"}  # fmt: skip
    assert parse_trades(answer([trade]), rules("paytm")).rows == ()
    (found,) = parse_trades(answer([trade]), rules("groww")).rows or ()
    assert (found.quantity, found.value) == (100, 0.0)


def test_type_of_a_waiting_stop_is_read_under_the_brokers_own_name() -> None:
    assert parse_order(order(pricetype="STOPLOSS"), rules("hdfcsecurities")).order_type is OrderType.SL
    assert parse_order(order(pricetype="STOPLOSS"), rules("zerodha")).order_type is None


@pytest.mark.parametrize("given", [None, "None", "null", 0, "0", "nan", "undefined", " ", "ORDER_PLACED"])
def test_row_whose_id_is_none_is_no_order_by_that_id(given: object) -> None:
    book = parse_orders(answer({"orders": [order(orderid=given), order(orderid="7")]}), rules("indmoney"))
    assert [row.broker_order_id for row in book.rows or ()] == ["7"]
    assert [(row.broker_order_id, row.instrument) for row in book.unread_rows] == [("", "NFO:SYM35000")]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"symbol": None}, "exchange and symbol are 'NSE' and nothing"),
        ({"symbol": " "}, "exchange and symbol are 'NSE' and ' '"),
        ({"quantity": "N/A"}, "quantity is 'N/A'"),
        ({"quantity": [1, 2]}, "quantity is [1, 2]"),
        ({"average_price": True}, "average_price is True"),
    ],
)
def test_row_that_cannot_be_read_is_named_in_words_and_not_as_a_list_of_python(
    fields: dict[str, Any], words: str
) -> None:
    found = parse_positions(answer([position(**{"symbol": "RELIANCE", **fields})]), rules("zerodha"))
    assert found.problems == (f"positions row 0: {words}",)
