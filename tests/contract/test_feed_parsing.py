"""Frames of the market socket in the shapes servers send, and in shapes they should not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mytrading.adapters.openalgo.ws.market_frames import (
    Acknowledged,
    FeedMode,
    FrameParser,
    MalformedFrame,
    ServerError,
    Tick,
    depth_of,
    exchange_time,
    feed_mode,
)
from mytrading.config.brokers import load_brokers
from mytrading.messages.brokers import FeedRules
from mytrading.messages.market import DepthLevel

QUOTE: dict[str, Any] = {
    "symbol": "SBIN", "exchange": "NSE", "mode": "quote", "ltp": 985.4, "ltt": 1795149570645,
    "timestamp": 1795149570645, "volume": 24256, "last_quantity": 1, "average_price": 981.25,
    "total_buy_quantity": 107, "total_sell_quantity": 121, "open": 984.85, "high": 988.5, "low": 974.0, "close": 986.65,
}  # fmt: skip
BOOK = {
    "buy": [{"price": 985.35, "quantity": 16, "orders": 3}, {"price": 985.3, "quantity": 28, "orders": 4}],
    "sell": [{"price": 985.45, "quantity": 22, "orders": 4}, {"price": 0, "quantity": 0, "orders": 0}],
}
LTP = {"symbol": "SBIN", "exchange": "NSE", "mode": "ltp", "ltp": 985.0, "ltt": 1795149566765}
INDEX = {"ltp": 26000.5, "ltt": 1795149570, "price_change": 3.0, "price_change_percent": 0.1, "open": 0, "close": 0}


def frame(data: object, mode: int = 2, broker: str = "zerodha", **envelope: object) -> bytes:
    fields = {"type": "market_data", "symbol": "SBIN", "exchange": "NSE", "mode": mode, "data": data, "broker": broker}
    return json.dumps({**fields, **envelope}).encode()


def parse(data: bytes) -> Any:
    return FrameParser(brokers=load_brokers()).parse(data, 11, 22)


def tick(data: bytes) -> Tick:
    parsed = parse(data)
    assert isinstance(parsed, Tick), parsed
    return parsed


def test_quote_frame_has_what_was_sent_and_none_for_the_rest() -> None:
    quote = tick(frame(QUOTE)).quote
    assert (quote.instrument, quote.market_ns, quote.received_ns, quote.ltp) == ("NSE:SBIN", 22, 11, 985.4)
    assert (quote.volume, quote.open, quote.high, quote.low, quote.previous_close) == (
        24256, 984.85, 988.5, 974.0, 986.65,
    )  # fmt: skip
    assert quote.exchange_ns == 1795149570645 * 1_000_000
    assert (quote.bid, quote.ask, quote.bid_quantity, quote.ask_quantity, quote.open_interest) == (None,) * 5


def test_server_time_near_ours_is_the_market_time_and_any_other_is_not() -> None:
    second, sent = 1_000_000_000, 1795149570645 * 1_000_000
    parser = FrameParser(tolerance_ns=2 * second)

    def market_ns(now: int, **changes: object) -> int:
        parsed = parser.parse(frame({**QUOTE, **changes}), 0, now)
        assert isinstance(parsed, Tick)
        return parsed.quote.market_ns

    assert market_ns(sent + 2 * second) == sent
    assert market_ns(sent - second) == sent
    assert market_ns(sent + 2 * second + 1) == sent + 2 * second + 1
    assert market_ns(sent, timestamp=0) == sent
    assert market_ns(sent + 5, timestamp="yesterday") == sent + 5


def test_ltp_frame_invents_nothing() -> None:
    quote = tick(frame(LTP, 1)).quote
    assert quote.ltp == 985.0
    assert (quote.volume, quote.open, quote.high, quote.low, quote.previous_close, quote.bid) == (None,) * 6


@pytest.mark.parametrize(
    ("data", "tag", "mode"),
    [
        (LTP, 1, FeedMode.LTP),
        (QUOTE, 1, FeedMode.QUOTE),
        (QUOTE, "Quote", FeedMode.QUOTE),
        (QUOTE | {"depth": {"buy": [], "sell": []}}, 2, FeedMode.DEPTH),
        ({"ltp": 5.0, "mode": "full"}, 3, FeedMode.LTP),
    ],
)
def test_frame_is_tagged_with_its_subscription_and_recognised_by_what_it_holds(
    data: Any, tag: Any, mode: FeedMode
) -> None:
    parsed = tick(frame(data, tag))
    assert parsed.mode is mode
    assert parsed.tag is feed_mode(tag)


def test_depth_frame_gives_best_levels_and_on_request_the_book() -> None:
    parsed = tick(frame({**QUOTE, "mode": "full", "depth": BOOK}, 3))
    quote = parsed.quote
    assert (quote.bid, quote.bid_quantity, quote.ask, quote.ask_quantity) == (985.35, 16, 985.45, 22)
    depth = depth_of(parsed, 5)
    assert depth is not None
    assert depth.bids == (DepthLevel(985.35, 16, 3), DepthLevel(985.3, 28, 4))
    assert depth.asks == (DepthLevel(985.45, 22, 4),)
    one = depth_of(parsed, 1)
    assert one is not None and len(one.bids) == 1
    assert depth_of(tick(frame(QUOTE)), 5) is None


@pytest.mark.parametrize(
    "names",
    [("bid", "ask", "bid_quantity", "ask_quantity"), ("bid_price", "ask_price", "bid_qty", "ask_qty")],
)
def test_bid_and_ask_in_a_quote_frame_are_found_under_each_name(names: tuple[str, str, str, str]) -> None:
    quote = tick(frame({**QUOTE, **dict(zip(names, (10.0, 10.5, 3, 4), strict=True))})).quote
    assert (quote.bid, quote.ask, quote.bid_quantity, quote.ask_quantity) == (10.0, 10.5, 3, 4)


def test_zero_stands_for_not_known() -> None:
    quote = tick(frame({**QUOTE, "bid": 0, "ask": 0, "open": 0, "high": 0, "low": 0, "close": 0, "ltt": 0})).quote
    assert (quote.bid, quote.ask, quote.open, quote.high, quote.low, quote.previous_close) == (None,) * 6
    assert quote.exchange_ns is None


def test_index_frame_without_prices_of_the_day_parses() -> None:
    quote = tick(frame(INDEX, symbol="NIFTY", exchange="NSE_INDEX")).quote
    assert (quote.instrument, quote.ltp, quote.volume, quote.open) == ("NSE_INDEX:NIFTY", 26000.5, None, None)
    assert quote.exchange_ns == 1795149570 * 1_000_000_000


def test_numbers_sent_as_text_or_with_a_point_are_numbers() -> None:
    quote = tick(frame({"ltp": "12.50", "volume": 24256.0, "oi": "65.0", "bid": "12.45"}, broker="angel")).quote
    assert (quote.ltp, quote.volume, quote.open_interest, quote.bid) == (12.5, 24256, 65, 12.45)


def test_open_interest_of_a_broker_that_gives_a_wrong_one_is_not_given() -> None:
    full = {**QUOTE, "depth": BOOK, "oi": 589824, "open_interest": 589824}
    cut = {name: value for name, value in full.items() if name != "depth"}
    parser, wrong = FrameParser(), FeedRules(has_open_interest=False)
    believed = parser.parse(frame(full, 3), 11, 22, FeedRules())
    assert isinstance(believed, Tick) and believed.quote.open_interest == 589824
    for data in (frame(full, 3), frame(cut, 2), frame({**full, "open": ""}, 3)):
        parsed = parser.parse(data, 11, 22, wrong)
        assert isinstance(parsed, Tick) and parsed.quote.open_interest is None


def test_open_interest_counts_by_the_rules_of_the_source_whatever_broker_the_frame_names() -> None:
    data = frame({**QUOTE, "oi": 589824}, 2, "zerodha")
    parsed = FrameParser(brokers=load_brokers()).parse(data, 11, 22, FeedRules())
    assert isinstance(parsed, Tick) and parsed.quote.open_interest == 589824
    parsed = FrameParser().parse(frame({**QUOTE, "oi": 589824}, 2, "angel"), 11, 22, FeedRules(has_open_interest=False))
    assert isinstance(parsed, Tick) and parsed.quote.open_interest is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1795149570, 1795149570_000_000_000),
        (1795149570.25, 1795149570_250_000_000),
        (1795149570645, 1795149570_645_000_000),
        (1795149570645123, 1795149570_645_123_000),
        (None, None),
        (-5, None),
        ("2026-11-20 10:00:00", None),
    ],
)
def test_exchange_time_is_read_in_seconds_milli_and_microseconds(
    value: float | str | None, expected: int | None
) -> None:
    assert exchange_time(value) == expected


def test_answer_to_a_subscription_names_accepted_and_refused() -> None:
    body = {
        "type": "subscribe", "status": "partial", "request_id": "s1", "broker": "zerodha",
        "subscriptions": [
            {"symbol": "TCS", "exchange": "NSE", "status": "success", "mode": "Quote", "depth": 5, "broker": "zerodha"},
            {"symbol": "NOSUCH", "exchange": "NSE", "status": "error", "message": "Token not found for NOSUCH on NSE"},
        ],
    }  # fmt: skip
    parsed = parse(json.dumps(body).encode())
    assert parsed == Acknowledged("s1", (("NSE:TCS", "Quote"),), (("NSE:NOSUCH", "Token not found for NOSUCH on NSE"),))


def test_error_frame_without_a_type_is_an_error() -> None:
    parsed = parse(b'{"status": "error", "code": "BROKER_ERROR", "message": "no adapter"}')
    assert parsed == ServerError("BROKER_ERROR", "no adapter")


@pytest.mark.parametrize(
    "data",
    [
        {"type": "pong", "status": "success", "server_timestamp": 1795149588816},
        {"type": "auth", "status": "success", "supported_features": {"ltp": True}},
        {"type": "unsubscribe", "status": "success", "successful": [], "failed": []},
        {"type": "something_new", "data": None},
        {},
    ],
)
def test_frame_that_concerns_nobody_is_nothing(data: dict[str, object]) -> None:
    assert parse(json.dumps(data).encode()) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b"[" * 100_000,
        b"\xff\xfe\x00",
        b'{"type": "market_data"',
        frame(None),
        frame({}),
        frame([1]),
        frame({"ltp": None}),
        frame({"ltp": [1]}),
        frame({"ltp": "dear"}),
        frame(QUOTE, symbol=""),
        frame(QUOTE, symbol=5),
        frame({"ltp": 1.0, "volume": 1e300}).replace(b"1e+300", b"1e999"),
        b'{"type": "market_data", "symbol": "A", "exchange": "NSE", "data": {"ltp": NaN}}',
    ],
)
def test_malformed_frame_is_a_value_with_a_reason_never_an_exception(data: bytes) -> None:
    parsed = parse(data)
    assert isinstance(parsed, MalformedFrame)
    assert parsed.reason
