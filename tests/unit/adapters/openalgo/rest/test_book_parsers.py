"""Parsing the broker's books: both servers' shapes, and that what makes no sense is unknown, never empty."""

import json
from typing import Any

import pytest

from mytrading.adapters.openalgo.rest.book_parsers import (
    parse_analyzer,
    parse_funds,
    parse_order,
    parse_orders,
    parse_positions,
    parse_trades,
)
from mytrading.adapters.openalgo.rest.broker_quirks import status_of
from mytrading.adapters.openalgo.rest.client import HttpReply
from mytrading.adapters.openalgo.rest.errors import ReadFailed
from mytrading.messages.enums import BrokerStatus, OrderType, Product, Side

LIVE_ROW = {
    "action": "SELL",
    "exchange": "NSE",
    "order_status": "trigger pending",
    "orderid": "261120340214001",
    "price": 981.0,
    "pricetype": "SL",
    "product": "MIS",
    "quantity": 10,
    "symbol": "SBIN",
    "timestamp": "2026-11-20 10:31:34",
    "trigger_price": 982.0,
}
SANDBOX_ROW = LIVE_ROW | {
    "order_status": "complete",
    "average_price": 985.05,
    "filled_quantity": 10,
    "pending_quantity": 0,
    "rejection_reason": "",
    "strategy": "our-own-id",
}
TRADE = {
    "action": "BUY",
    "average_price": 985.0,
    "exchange": "NSE",
    "orderid": "1",
    "product": "MIS",
    "quantity": 10,
    "symbol": "SBIN",
    "timestamp": "10:31:33",
    "trade_value": 9850.0,
}


def answer(data: Any, status: int = 200, **more: Any) -> HttpReply:
    return HttpReply(status, json.dumps({"status": "success", "data": data, **more}).encode(), 1, 2)


def orders(*rows: Any) -> HttpReply:
    return answer({"orders": list(rows), "statistics": {}}, mode="analyze")


def test_live_row_without_fills_says_so() -> None:
    book = parse_orders(orders(LIVE_ROW))
    assert book.rows is not None
    row = book.rows[0]
    assert (row.filled, row.average_price, row.tag) == (None, None, "")
    assert (row.instrument, row.side, row.order_type) == ("NSE:SBIN", Side.SELL, OrderType.SL)
    assert (row.status, row.trigger_price) == (BrokerStatus.TRIGGER_PENDING, 982.0)


def test_sandbox_row_names_fills_and_our_id() -> None:
    book = parse_orders(orders(SANDBOX_ROW))
    assert book.rows is not None
    row = book.rows[0]
    assert (row.filled, row.average_price, row.tag, book.mode) == (10, 985.05, "our-own-id", "analyze")


def test_numbers_as_text_and_price_type_are_understood() -> None:
    row = {key: value for key, value in LIVE_ROW.items() if key != "pricetype"}
    row |= {"quantity": "10", "price": "1,981.50", "price_type": "LIMIT", "orderid": 77, "filled_quantity": "4"}
    book = parse_orders(orders(row))
    assert book.rows is not None
    found = book.rows[0]
    assert (found.quantity, found.price, found.order_type) == (10, 1981.5, OrderType.LIMIT)
    assert (found.broker_order_id, found.filled) == ("77", 4)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("OPEN", BrokerStatus.OPEN),
        ("trigger_pending", BrokerStatus.TRIGGER_PENDING),
        ("  Trigger   Pending ", BrokerStatus.TRIGGER_PENDING),
        ("complete", BrokerStatus.COMPLETE),
        ("CANCELLED", BrokerStatus.CANCELLED),
        ("rejected", BrokerStatus.REJECTED),
        ("expired", BrokerStatus.EXPIRED),
        ("validation pending", BrokerStatus.OTHER),
        ("", BrokerStatus.OTHER),
    ],
)
def test_unknown_status_words_count_as_live(text: str, status: BrokerStatus) -> None:
    assert status_of(text) is status
    assert status_of(text).is_final == (
        status not in (BrokerStatus.OPEN, BrokerStatus.TRIGGER_PENDING, BrokerStatus.OTHER)
    )


@pytest.mark.parametrize("data", [{}, None, [], {"orders": None}, {"orders": {}}, "none"])
def test_order_book_without_list_is_unknown(data: Any) -> None:
    book = parse_orders(answer(data))
    assert book.rows is None
    assert book.problems


@pytest.mark.parametrize("data", [{}, None, "none"])
def test_trade_and_position_books_without_list_are_unknown(data: Any) -> None:
    assert parse_trades(answer(data)).rows is None
    assert parse_positions(answer(data)).rows is None


def test_empty_lists_are_empty_books() -> None:
    assert parse_orders(orders()).rows == ()
    assert parse_trades(answer([])).rows == ()
    assert parse_positions(answer([])).rows == ()


@pytest.mark.parametrize(
    "fault",
    [
        {"orderid": None},
        {"orderid": ""},
        {"action": "HOLD"},
        {"quantity": "ten"},
        {"quantity": 1.5},
        {"quantity": -1},
        {"quantity": True},
        {"quantity": "inf"},
    ],
)
def test_one_bad_order_row_is_named_with_its_instrument_and_spoils_no_other(fault: dict[str, Any]) -> None:
    book = parse_orders(orders(LIVE_ROW, LIVE_ROW | {"symbol": "INFY"} | fault))
    assert book.rows is not None
    assert [row.instrument for row in book.rows] == ["NSE:SBIN"]
    assert book.unread == ("NSE:INFY",)
    assert len(book.problems) == 1
    assert "row 1" in book.problems[0]


@pytest.mark.parametrize("fault", [{"symbol": None}, {"exchange": ""}, {"symbol": 7}, {"symbol": "null"}])
def test_order_row_without_a_contract_is_passed_on_by_its_id_and_spoils_no_other(fault: dict[str, Any]) -> None:
    """A stranger's row without a symbol, as brokers give one that is not in the master contract, made the whole book
    unknown, and no position could be closed."""
    book = parse_orders(orders(LIVE_ROW, LIVE_ROW | {"orderid": "77"} | fault))
    assert [row.instrument for row in book.rows or ()] == ["NSE:SBIN"]
    (unread,) = book.unread_rows
    assert (unread.book, unread.broker_order_id, unread.instrument) == ("orders", "77", "") and book.unread == ()
    assert "symbol" in unread.problem


def test_trade_and_position_rows_without_a_contract_spoil_no_other() -> None:
    trades = parse_trades(answer([TRADE, TRADE | {"symbol": None, "orderid": "9"}]))
    assert len(trades.rows or ()) == 1 and trades.unread_rows[0].broker_order_id == "9"
    row = {"average_price": 1.0, "exchange": "NSE", "product": "MIS", "quantity": 5, "symbol": "SBIN"}
    positions = parse_positions(answer([row, row | {"symbol": None}]))
    assert len(positions.rows or ()) == 1
    assert [(one.book, one.broker_order_id, one.instrument) for one in positions.unread_rows] == [("positions", "", "")]


def test_bad_trade_and_position_rows_are_named_with_their_instrument() -> None:
    trades = parse_trades(answer([TRADE, TRADE | {"symbol": "INFY", "quantity": "x"}]))
    assert (len(trades.rows or ()), trades.unread) == (1, ("NSE:INFY",))
    row = {"average_price": 1.0, "exchange": "NSE", "product": "MIS", "quantity": 5, "symbol": "SBIN"}
    positions = parse_positions(answer([row, row | {"symbol": "INFY", "quantity": None}]))
    assert (len(positions.rows or ()), positions.unread) == (1, ("NSE:INFY",))


def test_row_that_is_no_object_is_a_row_of_which_nothing_can_be_told() -> None:
    book = parse_orders(orders("row", LIVE_ROW))
    assert len(book.rows or ()) == 1
    assert [(row.broker_order_id, row.instrument) for row in book.unread_rows] == [("", "")]


BLANK = {"symbol": None, "exchange": "", "action": "", "quantity": 0, "price": 0.0, "orderid": None, "order_status": ""}


@pytest.mark.parametrize("blank", [BLANK, BLANK | {"orderid": "", "symbol": "0", "quantity": "0.00"}, {}, None])
def test_row_of_blank_fields_is_no_row(blank: Any) -> None:
    """By one such row a broker says in the morning that there is no order yet; the book was unknown, and entries waited
    for the order that the first of them would have been."""
    for book in (parse_orders(orders(blank)), parse_trades(answer([blank])), parse_positions(answer([blank]))):
        assert (book.rows, book.unread_rows, book.problems) == ((), (), ())
    assert len(parse_orders(orders(blank, LIVE_ROW)).rows or ()) == 1


def test_closed_position_that_cannot_be_read_otherwise_hides_nothing() -> None:
    row = {"average_price": 1.0, "exchange": "NSE", "product": "MTF", "quantity": "0.00", "symbol": "SBIN"}
    assert parse_positions(answer([row])).unread_rows == ()
    for unread in ({"quantity": None}, {"quantity": 5}):
        assert len(parse_positions(answer([row | unread])).unread_rows) == 1


def test_trades_are_summed_per_order() -> None:
    rows = [TRADE, TRADE | {"quantity": 5, "average_price": 986.0}, TRADE | {"orderid": "2"}]
    book = parse_trades(answer(rows))
    assert book.rows is not None
    assert [(row.broker_order_id, row.quantity, row.value) for row in book.rows] == [
        ("1", 15, 9850.0 + 4930.0),
        ("2", 10, 9850.0),
    ]


def test_trade_that_is_listed_twice_counts_once_where_it_has_an_id() -> None:
    twice = TRADE | {"tradeid": "T1"}
    book = parse_trades(answer([twice, twice, twice | {"tradeid": "T2"}, TRADE, TRADE]))
    assert [row.quantity for row in book.rows or ()] == [40]
    other = parse_trades(answer([twice, twice | {"quantity": 5}]))
    assert [row.quantity for row in other.rows or ()] == [15], "a broker that numbers all trades alike"


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    ("states", "status"),
    [
        (["open", "complete"], BrokerStatus.COMPLETE),
        (["open", "open"], BrokerStatus.OPEN),
        (["trigger pending", "open", "cancelled"], BrokerStatus.CANCELLED),
        (["trigger pending", "open"], BrokerStatus.OPEN),
        (["cancelled", "complete"], BrokerStatus.COMPLETE),
    ],
)
def test_order_that_stands_in_several_rows_is_one_and_the_furthest(
    states: list[str], status: BrokerStatus, backwards: bool
) -> None:
    rows = [LIVE_ROW | {"order_status": word} for word in states]
    other = LIVE_ROW | {"orderid": "other"}
    book = parse_orders(orders(*(rows[::-1] if backwards else rows), other))
    assert book.rows is not None
    assert [row.status for row in book.rows if row.broker_order_id != "other"] == [status]
    assert len(book.rows) == 2
    assert any(f"{len(rows) - 1} rows are of orders" in problem for problem in book.problems)


def test_positions_are_signed_and_flat_rows_stay() -> None:
    row = {"average_price": "985.00", "exchange": "NSE", "product": "MIS", "quantity": "-10", "symbol": "SBIN"}
    book = parse_positions(answer([row, row | {"symbol": "INFY", "quantity": 0}]))
    assert book.rows is not None
    assert [(found.quantity, found.average_price, found.product) for found in book.rows] == [
        (-10, 985.0, Product.MIS),
        (0, 985.0, Product.MIS),
    ]


def test_position_of_a_product_in_no_table_leaves_its_instrument_unread() -> None:
    """It was left out as not ours: INTRADAY, say, which a broker shows where the symbol is not in the master contract,
    so that the book looked empty and good."""
    row = {"average_price": 1.0, "exchange": "NSE", "product": "MIS", "quantity": 5, "symbol": "SBIN"}
    book = parse_positions(answer([row, row | {"symbol": "INFY", "product": "INTRADAY"}]))
    assert [found.instrument for found in book.rows or ()] == ["NSE:SBIN"]
    assert book.unread == ("NSE:INFY",) and "INTRADAY" in book.problems[0]


def test_funds_of_both_servers_are_numbers() -> None:
    live = {"availablecash": "500000.00", "collateral": "0.00", "m2mrealized": "1.50", "utiliseddebits": "2.00"}
    book = parse_funds(answer(live), "main", 9)
    assert book.rows is not None
    assert (book.rows.available, book.rows.used, book.rows.realised) == (500_000.0, 2.0, 1.5)


@pytest.mark.parametrize("data", [{}, None, {"availablecash": ""}, {"availablecash": "nan", "utiliseddebits": 0}])
def test_funds_without_figures_are_unknown_not_zero(data: Any) -> None:
    assert parse_funds(answer(data), "main", 9).rows is None


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, b'{"message":"Invalid openalgo apikey","status":"error"}', "refused"),
        (429, b'{"message":"50 per 1 second"}', "rate_limited"),
        (500, b"oops", "server"),
        (200, b"<html>", "malformed"),
        (200, b'{"status":"error","message":"odd"}', "server"),
    ],
)
def test_failed_reads_say_what_to_look_at(status: int, body: bytes, kind: str) -> None:
    with pytest.raises(ReadFailed) as caught:
        parse_orders(HttpReply(status, body, 1, 2))
    assert caught.value.kind == kind


def test_analyzer_names_the_mode() -> None:
    assert parse_analyzer(answer({"mode": "live", "analyze_mode": False})) == "live"
    with pytest.raises(ReadFailed):
        parse_analyzer(answer({}))


def test_order_update_is_one_row() -> None:
    update = SANDBOX_ROW | {"type": "order_update", "mode": "analyze", "broker": "sandbox", "user_id": "tester"}
    assert parse_order(update).filled == 10
    with pytest.raises(ValueError, match="quantity"):
        parse_order(update | {"quantity": None})


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("TRADED", BrokerStatus.COMPLETE),
        ("TRANSIT", BrokerStatus.OTHER),
        ("PART_TRADED", BrokerStatus.OPEN),
        ("trigger_pending", BrokerStatus.TRIGGER_PENDING),
        ("validation pending", BrokerStatus.OTHER),
        ("Fully Executed", BrokerStatus.COMPLETE),
        ("cancelled after market order", BrokerStatus.CANCELLED),
        ("not cancelled", BrokerStatus.OPEN),
        ("unknown", BrokerStatus.OTHER),
        ("PartiallyFilled", BrokerStatus.OPEN),
        ("Replaced", BrokerStatus.OPEN),
        ("PendingNew", BrokerStatus.OTHER),
        ("PendingReplace", BrokerStatus.OTHER),
        ("PendingCancel", BrokerStatus.OTHER),
        ("CANCEL_REJECTED", BrokerStatus.OPEN),
        ("modify rejected", BrokerStatus.OPEN),
        ("CANCELLED AMO", BrokerStatus.CANCELLED),
        ("partially cancelled", BrokerStatus.OTHER),
        ("cancelled by nobody", BrokerStatus.OTHER),
        ("lapsed", BrokerStatus.OTHER),
        ("sl triggered", BrokerStatus.OTHER),
        ("", BrokerStatus.OTHER),
    ],
)
def test_status_of_brokers_words(word: str, status: BrokerStatus) -> None:
    assert status_of(word) is status


def test_orders_unknown_status_word_stays_live_and_is_reported() -> None:
    row = {
        "orderid": "1",
        "symbol": "SBIN",
        "exchange": "NSE",
        "action": "BUY",
        "quantity": 5,
        "order_status": "Zonked",
    }
    body = {"status": "success", "data": {"orders": [row, row | {"orderid": "2"}]}}
    book = parse_orders(HttpReply(200, json.dumps(body).encode(), 1, 2))
    assert book.rows is not None and not book.rows[0].status.is_final
    assert (book.problems, book.odd_words) == ((), (("Zonked", ("1", "2")),))


HALF_PAST_TEN = 1_795_150_894_000_000_000
"""2026-11-20 10:31:34 in India."""


@pytest.mark.parametrize(
    "given",
    [
        "2026-11-20 10:31:34",
        "2026-11-20T10:31:34",
        "2026-11-20T05:01:34Z",
        "2026-11-20T10:31:34+05:30",
        "2026-11-20 10:31:34.250",
        "2026-11-20 10:31:34,250",
        "20261120T103134",
        "20-Nov-2026 10:31:34",
        "20-11-2026 10:31:34",
        "20/11/2026 10:31:34",
        "10:31:34 20-11-2026",
        "20-Nov-2026 10:31:34 AM",
        "20261120103134",
        1_795_150_894,
        "1795150894000",
        1_795_150_894_000_000,
    ],
)
def test_time_of_any_broker_is_read_as_indian_time(given: object) -> None:
    (order,) = parse_orders(orders({**LIVE_ROW, "timestamp": given})).rows or ()
    assert order.time_ns == HALF_PAST_TEN


@pytest.mark.parametrize("given", [None, "", "10:31:33", "yesterday", True, 12, {"at": 1}, "2026-13-45 10:31:34"])
def test_time_that_cannot_be_read_is_none_and_spoils_no_row(given: object) -> None:
    (order,) = parse_orders(orders({**LIVE_ROW, "timestamp": given})).rows or ()
    assert (order.broker_order_id, order.time_ns) == ("261120340214001", 0)
