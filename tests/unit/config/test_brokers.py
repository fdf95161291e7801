"""The table of brokers says what OpenAlgo's mapping code was seen to give for each of them.

The facts below were taken from that code (60156bc5 of 22 August 2026), run with rows in the brokers' published forms;
they are written down here apart from the table, so that a slip of either is seen.
"""

from __future__ import annotations

from datetime import date

import pytest

from mytrading.config.brokers import accepted_brokers, load_brokers
from mytrading.messages.brokers import (
    PLAIN,
    SANDBOX,
    UNLISTED,
    BrokerRules,
    MarketForm,
    PositionScope,
    Standing,
    StopMoving,
    TradeOrderId,
    TradeQuantity,
    find_broker,
)
from mytrading.messages.enums import BrokerStatus, OrderType, Product

XTS = ("compositedge", "fivepaisaxts", "ibulls", "iifl", "jainamxts", "rmoney", "wisdom")
NOREN = ("flattrade", "shoonya", "tradesmart", "zebu")
OPEN_WHILE_IT_WAITS = {
    *XTS, *NOREN, "definedge", "kotak", "samco", "dhan", "dhan_sandbox", "fyers", "fivepaisa", "motilal",
    "deltaexchange",
}  # fmt: skip
EITHER_WHILE_IT_WAITS = {"mstock", "pocketful"}
PENDING_WHILE_IT_WAITS = {
    "zerodha", "angel", "upstox", "arrow", "groww", "hdfcsecurities", "hdfcsky", "iiflcapital", "indmoney", "nubra",
    "paytm", "tradejini", "aliceblue", "firstock",
}  # fmt: skip
STREAM_SAYS = {
    **dict.fromkeys(
        ("aliceblue", "angel", "arrow", "definedge", *NOREN, "iiflcapital", "kotak", "nubra", "upstox", "zerodha"),
        "trigger pending",
    ),
    **dict.fromkeys(("dhan", "fivepaisa", "fyers"), "open"),
    "indmoney": "",  # codes, of which three are known
}
REFUSAL_IS_SUCCESS = {
    "place": {
        *XTS, *NOREN, "aliceblue", "angel", "arrow", "dhan_sandbox", "firstock", "indmoney", "kotak", "motilal",
        "mstock", "nubra", "samco", "tradejini",
    },
    "cancel": {
        *XTS, *NOREN, "aliceblue", "angel", "arrow", "dhan", "dhan_sandbox", "groww", "iiflcapital", "indmoney",
        "kotak", "motilal", "mstock", "nubra", "samco",
    },
    "modify": {
        *XTS, *NOREN, "aliceblue", "angel", "arrow", "dhan_sandbox", "firstock", "groww", "iiflcapital", "indmoney",
        "kotak", "mstock", "nubra", "samco",
    },
}  # fmt: skip
ALL_EMPTY = {
    *NOREN, "aliceblue", "angel", "definedge", "deltaexchange", "dhan_sandbox", "firstock", "fivepaisa", "fyers",
    "groww", "kotak", "motilal", "mstock", "nubra", "samco", "wisdom",
}  # fmt: skip
EMPTY_WHEN_FAILED = {
    "orders": {*ALL_EMPTY, *XTS, "hdfcsky", "pocketful", "tradejini"},
    "trades": {*ALL_EMPTY, *XTS, "indmoney", "tradejini"},
    "positions": {*ALL_EMPTY, "iiflcapital", "indmoney"},
}
MARKET_AS_LIMIT = {
    *NOREN, "firstock", "fivepaisa", "hdfcsky", "indmoney", "motilal", "samco", "pocketful",
}  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> dict[str, BrokerRules]:
    return {name: row for name, row in load_brokers().items() if name != SANDBOX}


def named(rows: dict[str, BrokerRules], holds: object) -> set[str]:
    return {name for name, row in rows.items() if holds(row)}  # type: ignore[operator]


def test_all_brokers_of_openalgo_are_listed_under_its_names(rows: dict[str, BrokerRules]) -> None:
    assert set(rows) == OPEN_WHILE_IT_WAITS | EITHER_WHILE_IT_WAITS | PENDING_WHILE_IT_WAITS
    assert len(rows) == 36 and load_brokers()[SANDBOX] == PLAIN


def test_word_of_a_waiting_stop_is_that_of_the_facts(rows: dict[str, BrokerRules]) -> None:
    assert named(rows, lambda row: row.waiting_stop == ("open",)) == OPEN_WHILE_IT_WAITS
    assert named(rows, lambda row: row.waiting_stop == ("open", "trigger pending")) == EITHER_WHILE_IT_WAITS
    assert named(rows, lambda row: row.waiting_stop == ("trigger pending",)) == PENDING_WHILE_IT_WAITS
    assert named(rows, lambda row: row.updates) == set(STREAM_SAYS)
    assert {name: "".join(rows[name].waiting_stop_updates) for name in STREAM_SAYS} == STREAM_SAYS


def test_words_that_only_a_triggered_stop_bears_are_two(rows: dict[str, BrokerRules]) -> None:
    found = {name: row.triggered_book + row.triggered_updates for name, row in rows.items()}
    assert {name: words for name, words in found.items() if words} == {
        "fivepaisa": ("sl triggered",), "dhan_sandbox": ("triggered",),
    }  # fmt: skip
    assert named(rows, lambda row: not row.stop_type_kept) == {"nubra", "paytm"}


def test_trade_rows_count_what_they_were_seen_to_count(rows: dict[str, BrokerRules]) -> None:
    assert named(rows, lambda row: row.trade_quantity is TradeQuantity.ORDER) == {*XTS, *NOREN}
    assert named(rows, lambda row: row.trade_quantity is TradeQuantity.NOTHING) == {"paytm"}
    assert named(rows, lambda row: row.trade_quantity is TradeQuantity.UNKNOWN) == {"angel", "definedge"}
    assert named(rows, lambda row: row.trade_order_id is TradeOrderId.EXCHANGE) == {"fivepaisa", "indmoney"}
    assert named(rows, lambda row: row.trade_order_id is TradeOrderId.UNKNOWN) == {"groww", "nubra"}
    assert named(rows, lambda row: not row.trade_prices) == {"groww"}


def test_position_books_and_stops_are_those_of_the_facts(rows: dict[str, BrokerRules]) -> None:
    assert named(rows, lambda row: row.positions is not PositionScope.NET) == {"samco", "indmoney", "groww"}
    assert (rows["samco"].positions, rows["indmoney"].positions) == (PositionScope.DAY, PositionScope.PARTIAL)
    assert named(rows, lambda row: row.orders_joined) == {"hdfcsky", "pocketful"}
    assert named(rows, lambda row: row.stop_move is StopMoving.REPLACE) == {"angel", "indmoney", "groww"}
    assert named(rows, lambda row: row.stop_move is StopMoving.UNKNOWN) == {"deltaexchange", "pocketful"}
    assert named(rows, lambda row: row.derivative_products) == {"motilal", "nubra"}
    assert rows["motilal"].derivative_products == {Product.NRML: Product.MIS}
    assert rows["nubra"].derivative_products == {Product.NRML: Product.CNC}
    assert named(rows, lambda row: row.carried_average) == set(), "two are known to be wrong, of none is it known"


@pytest.mark.parametrize("call", REFUSAL_IS_SUCCESS)
def test_calls_whose_refusal_is_a_success(rows: dict[str, BrokerRules], call: str) -> None:
    assert named(rows, lambda row: call in row.refusal_is_success) == REFUSAL_IS_SUCCESS[call]


@pytest.mark.parametrize("book", EMPTY_WHEN_FAILED)
def test_books_whose_failed_read_is_empty(rows: dict[str, BrokerRules], book: str) -> None:
    assert named(rows, lambda row: book in row.empty_when_failed) == EMPTY_WHEN_FAILED[book]


def test_other_properties_are_those_of_the_facts(rows: dict[str, BrokerRules]) -> None:
    zeros = {"dhan", "dhan_sandbox", "motilal", "indmoney", "deltaexchange"}
    assert named(rows, lambda row: row.zero_funds_when_failed) == zeros
    assert named(rows, lambda row: row.market_form is MarketForm.LIMIT) == MARKET_AS_LIMIT
    assert named(rows, lambda row: row.market_form is MarketForm.IOC) == {"nubra"}
    assert named(rows, lambda row: not row.broker_stops or OrderType.SL not in row.order_types) == {"paytm"}
    any_end = set(UNLISTED.live_ends)
    assert named(rows, lambda row: set(row.live_ends) == any_end) == {"zerodha", "paytm"}
    assert named(rows, lambda row: row.live_ends == (BrokerStatus.REJECTED,)) == {
        "hdfcsecurities", "hdfcsky", "pocketful",
    }  # fmt: skip
    assert named(rows, lambda row: not row.modify_after_fill) == {"zerodha"}
    assert rows["indmoney"].no_ids == ("order_placed",)


def test_two_brokers_are_refused_with_a_reason_and_a_date(rows: dict[str, BrokerRules]) -> None:
    assert named(rows, lambda row: row.standing is Standing.REFUSED) == {"paytm", "groww"}
    for name, row in rows.items():
        assert bool(row.reason) == (row.standing is Standing.REFUSED), name
        assert date.fromisoformat(row.found) == date(2026, 11, 25) and row.since == "60156bc5 (2026-08-22)"
        assert row.notes and all(note.endswith(".") for note in row.notes), name


def test_ready_is_the_broker_at_which_every_promise_is_kept_as_it_is_written(rows: dict[str, BrokerRules]) -> None:
    def kept(row: BrokerRules) -> bool:
        books = row.trades_count_fills and row.positions_whole and not row.live_ends
        stops = row.waiting_stop == ("trigger pending",) and row.stop_type_kept and row.stop_move is StopMoving.CHANGE
        return books and stops and row.market_form is MarketForm.MARKET and "positions" not in row.empty_when_failed

    ready = named(rows, lambda row: row.standing is Standing.READY)
    assert ready == {"upstox", "arrow", "tradejini"}
    assert named(rows, lambda row: kept(row) and row.standing is not Standing.REFUSED) == ready


def test_words_and_names_are_written_as_they_are_looked_up(rows: dict[str, BrokerRules]) -> None:
    for row in rows.values():
        words = (*row.book_words, *row.update_words, *row.triggered_book, *row.triggered_updates, *row.waiting_stop)
        assert all(word == " ".join(word.lower().split()) for word in (*words, *row.no_ids, *row.aliases))
        names = (*row.products, *row.products_in_derivatives, *row.exchanges, *row.order_type_names)
        assert all(name == name.upper() for name in names)


def test_broker_is_found_by_any_spelling_and_an_unknown_one_is_believed_least() -> None:
    brokers = load_brokers()
    for word, name in {
        "5paisa": "fivepaisa",
        " Zerodha": "zerodha",
        "indiabulls": "ibulls",
        "AngelOne": "angel",
    }.items():
        assert find_broker(brokers, word).name == name
    unlisted = find_broker(brokers, "nobody")
    assert unlisted is UNLISTED and unlisted.standing is Standing.UNLISTED
    assert not (unlisted.trades_count_fills or unlisted.positions_whole or unlisted.stop_type_kept)
    assert unlisted.refusal_is_success == ("place", "cancel", "modify") and unlisted.zero_funds_when_failed
    assert len(unlisted.live_ends) == 4 and len(unlisted.empty_when_failed) == 3 and not unlisted.triggered_book


def test_consent_is_kept_by_the_tables_names_whatever_spelling_it_was_given_in() -> None:
    assert accepted_brokers(("Paytm", " groww", "5paisa", "paytm", "nobody")) == ("paytm", "groww", "fivepaisa")
