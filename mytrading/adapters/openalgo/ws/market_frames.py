"""Frames of the market socket, parsed: ticks, answers to subscriptions, errors.

Brokers' adapters name and fill fields differently; here they become `Quote` and `Depth`. A field that is missing,
empty, null, a word, 0 for "not known", or out of all bounds is None; nothing is filled in from elsewhere. A strict
decoder reads each frame, and a lenient one those that it refuses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NamedTuple

import msgspec

from mytrading.adapters.openalgo.rest.numbers import MOST_COUNT, MOST_PRICE, count_of, price_of, time_of
from mytrading.messages.brokers import BrokerRules, FeedRules, find_broker
from mytrading.messages.codec import UNREADABLE
from mytrading.messages.market import Depth, DepthLevel, Quote
from mytrading.messages.text import shown

_MS_FROM = 100_000_000_000
_US_FROM = 100_000_000_000_000
_NS_FROM = 100_000_000_000_000_000


class _Level(msgspec.Struct, gc=False):
    price: float = 0.0
    quantity: float = 0.0
    orders: float | None = None


class _DepthBook(msgspec.Struct, gc=False):
    buy: list[_Level] = []
    sell: list[_Level] = []


class FeedMode(IntEnum):
    """The extent of a frame: the last price; the day's figures besides; the book besides. Numbers as on the wire."""

    LTP = 1
    QUOTE = 2
    DEPTH = 3

    @property
    def wire_name(self) -> str:
        """Return the mode's name in messages to the server, say Quote."""
        return _WORDS[self]


_WORDS = {FeedMode.LTP: "LTP", FeedMode.QUOTE: "Quote", FeedMode.DEPTH: "Depth"}
_MODES: dict[object, FeedMode] = {
    **{mode.value: mode for mode in FeedMode},
    **{word.lower(): mode for mode, word in _WORDS.items()},
    "full": FeedMode.DEPTH,
}


def feed_mode(value: object) -> FeedMode | None:
    """Return the feed mode by its number or its name in any case; None if there is no such mode."""
    return _MODES.get(value.lower() if isinstance(value, str) else value)


class Tick(msgspec.Struct, frozen=True, gc=False):
    """One market-data frame. `book` holds its levels if it has any; `depth_of` makes a message of it.

    `tag` is the subscription the server sent it for, `mode` what it really is: a client that holds LTP also receives
    the fuller frames of others, tagged LTP, beside its own.
    """

    quote: Quote
    book: _DepthBook | None
    mode: FeedMode = FeedMode.QUOTE
    tag: FeedMode = FeedMode.QUOTE


class Acknowledged(NamedTuple):
    """The server's answer to a subscription: accepted (instrument, mode) pairs and refused ones with the reason."""

    request_id: str
    accepted: tuple[tuple[str, str], ...]
    refused: tuple[tuple[str, str], ...]


class ServerError(NamedTuple):
    """An error frame; it names neither request nor instrument."""

    code: str
    message: str


class MalformedFrame(NamedTuple):
    """A frame that is no JSON of the expected form."""

    reason: str


class StepMark(NamedTuple):
    """From our own exchange in lock-step: everything it had sent so far came before this frame."""

    mark: int


Parsed = Tick | Acknowledged | ServerError | MalformedFrame | StepMark | None


class _Data(msgspec.Struct, gc=False):
    ltp: float | None = None
    ltt: float | str | None = None
    timestamp: float | str | None = None
    volume: float | None = None
    bid: float | None = None
    ask: float | None = None
    bid_price: float | None = None
    ask_price: float | None = None
    bid_quantity: float | None = None
    ask_quantity: float | None = None
    bid_qty: float | None = None
    ask_qty: float | None = None
    oi: float | None = None
    open_interest: float | None = None
    open: float | None = None
    high: float | None = None
    low: float | None = None
    close: float | None = None
    prev_close: float | None = None
    depth: _DepthBook | None = None
    best_bid_price: float | None = None
    best_ask_price: float | None = None
    best_bid_quantity: float | None = None
    best_ask_quantity: float | None = None


class _Subscription(msgspec.Struct):
    symbol: str = ""
    exchange: str = ""
    status: str = ""
    mode: str | int = ""
    message: str = ""


class _LooseEnvelope(msgspec.Struct):
    type: str = ""
    symbol: str = ""
    exchange: str = ""
    mode: Any = 0
    data: dict[str, Any] = {}
    broker: Any = ""


class _FrameEnvelope(msgspec.Struct):
    type: str = ""
    symbol: str = ""
    exchange: str = ""
    mode: int | str = 0
    data: _Data | None = None
    broker: str = ""
    status: str = ""
    code: str | int = ""
    message: Any = ""
    request_id: str | int = ""
    subscriptions: list[_Subscription] = []
    mark: int = 0


class FrameParser:
    """Turns raw frames into values and never raises. Budget of `parse`: 10 µs for a quote, 20 µs with a whole book.

    A quote's market time is the server's time of reception where that is within `tolerance_ns` of ours, so that the
    same ticks make the same bars however busy this machine is; else, or if the server sends none, it is ours.
    """

    def __init__(self, tolerance_ns: int = 0, brokers: Mapping[str, BrokerRules] = {}) -> None:
        """`brokers` is the table of brokers, for frames that are parsed without the rules of their source."""
        self.tolerance_ns = tolerance_ns
        self._brokers = brokers
        self._named: dict[str, FeedRules] = {}
        self.lenient = 0
        """Ticks that only the lenient decoder could read."""
        self._decoder = msgspec.json.Decoder(_FrameEnvelope, strict=False)
        self._lenient_decoder = msgspec.json.Decoder(_LooseEnvelope)

    def parse(self, data: bytes, received_ns: int, market_ns: int, rules: FeedRules | None = None) -> Parsed:
        """Parse one raw frame, received at machine and market ns; None for frames without effect (pong, auth).

        `rules` are those of the frame's source. A tape keeps no source: None stands for the row of the broker that the
        frame names.
        """
        try:
            frame = self._decoder.decode(data)
            if frame.type != "market_data":
                return _control_frame(frame)
            return self._tick(frame, received_ns, market_ns, rules or self._rules_of(frame.broker))
        except msgspec.ValidationError as error:
            return self._parse_leniently(data, received_ns, market_ns, rules, str(error))
        except UNREADABLE as error:
            return MalformedFrame(str(error))

    def _parse_leniently(
        self, data: bytes, received_ns: int, market_ns: int, rules: FeedRules | None, problem: str
    ) -> Tick | MalformedFrame:
        """Read market data field by field, of which one that is no number is not known."""
        try:
            loose = self._lenient_decoder.decode(data)
            if loose.type != "market_data":
                return MalformedFrame(problem)
            mode = loose.mode if isinstance(loose.mode, int | str) else 0
            frame = _FrameEnvelope(loose.type, loose.symbol, loose.exchange, mode, _data_of(loose.data))
            named = loose.broker if isinstance(loose.broker, str) else ""
            parsed = self._tick(frame, received_ns, market_ns, rules or self._rules_of(named))
        except UNREADABLE as error:
            return MalformedFrame(str(error))
        self.lenient += isinstance(parsed, Tick)
        return parsed

    def _rules_of(self, broker: str) -> FeedRules:
        if (rules := self._named.get(broker)) is None:
            rules = self._named[broker] = find_broker(self._brokers, broker).feed
        return rules

    def _tick(self, frame: _FrameEnvelope, received_ns: int, market_ns: int, rules: FeedRules) -> Tick | MalformedFrame:
        data = frame.data
        if data is None or not frame.symbol or not frame.exchange:
            return MalformedFrame("market_data without symbol, exchange or data")
        instrument = f"{frame.exchange}:{frame.symbol}"
        stamp = exchange_time(data.timestamp)
        if stamp is not None and abs(stamp - market_ns) <= self.tolerance_ns:
            market_ns = stamp
        bid, ask = data.bid or data.bid_price or data.best_bid_price, data.ask or data.ask_price or data.best_ask_price
        bid_quantity = data.bid_quantity or data.bid_qty or data.best_bid_quantity
        ask_quantity = data.ask_quantity or data.ask_qty or data.best_ask_quantity
        interest = (data.open_interest or data.oi) if rules.has_open_interest else None
        # By what the frame holds; brokers word it differently, or say Depth and send no book.
        mode = FeedMode.QUOTE
        if (book := data.depth) is not None:
            mode = FeedMode.DEPTH
            if book.buy:
                bid, bid_quantity = book.buy[0].price, book.buy[0].quantity
            if book.sell:
                ask, ask_quantity = book.sell[0].price, book.sell[0].quantity
        elif data.volume is None and data.open is None and bid is None and data.bid is None and data.bid_price is None:
            mode = FeedMode.LTP
        if bid is not None and not 0.0 < bid <= MOST_PRICE:
            bid, bid_quantity = _best(book.buy) if book is not None else (None, None)
        if ask is not None and not 0.0 < ask <= MOST_PRICE:
            ask, ask_quantity = _best(book.sell) if book is not None else (None, None)
        ltp = data.ltp
        if ltp is None or not -MOST_PRICE <= ltp <= MOST_PRICE:
            if book is None and bid is None and ask is None:
                return MalformedFrame(f"market_data with neither an ltp (it is {ltp}) nor a book")
            ltp = 0.0
        quote = Quote(
            instrument,
            market_ns,
            received_ns,
            ltp,
            bid,
            ask,
            (count_of(bid_quantity) or None) if bid and bid_quantity else None,
            (count_of(ask_quantity) or None) if ask and ask_quantity else None,
            int(data.volume) if data.volume is not None and 0.0 <= data.volume <= MOST_COUNT else None,
            (count_of(interest) or None) if interest else None,
            *_of_the_day(data),
            exchange_time(data.ltt),
        )
        return Tick(quote, book, mode, _MODES.get(frame.mode) or feed_mode(frame.mode) or mode)


def _best(levels: list[_Level]) -> tuple[float | None, float | None]:
    """Return price and quantity of the first level that is one; brokers pad an empty side."""
    return next(((one.price, one.quantity) for one in levels if 0.0 < one.price <= MOST_PRICE), (None, None))


_NUMBER = re.compile(r"[+-]?(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3})(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,2})?")
"""A number as text, with commas between groups of digits or none; a comma before two last digits is not one of them."""
_LONGEST_NUMBER = 40
_STAMPS = ("ltt", "timestamp")
_NUMBERS = tuple(name for name in _Data.__struct_fields__ if name not in {*_STAMPS, "depth"})
_LIMIT = 1e18
"""Beyond all that a frame counts."""


def _data_of(fields: dict[str, Any]) -> _Data:
    """Read a frame's fields one by one; what is empty, null, a word or of another shape is None."""
    numbers = {name: _number(fields[name]) for name in _NUMBERS if name in fields}
    stamps = {name: _number(value) for name in _STAMPS if type(value := fields.get(name)) in (int, float)}
    book = fields.get("depth")
    depth = _DepthBook(_levels(book.get("buy")), _levels(book.get("sell"))) if isinstance(book, dict) else None
    return _Data(**numbers, **stamps, depth=depth)


def _levels(rows: Any) -> list[_Level]:
    """Return a side's levels in order; one without a price is none, and a quantity that is no number is 0."""
    found = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return [
        _Level(price, _number(row.get("quantity")) or 0.0, _number(row.get("orders")))
        for row in found
        if (price := _number(row.get("price")))
    ]


def _number(value: Any) -> float | None:
    if type(value) is str and len(value) <= _LONGEST_NUMBER:
        text = value.strip()
        value = float(text.replace(",", "")) if _NUMBER.fullmatch(text) else None
    return float(value) if type(value) in (int, float) and -_LIMIT < value < _LIMIT else None


def _of_the_day(data: _Data) -> tuple[float | None, float | None, float | None, float | None]:
    opened, high, low, close = data.open, data.high, data.low, data.close or data.prev_close
    return (  # without a call for each: this is on the way of every quote
        opened if opened is not None and 0.0 < opened <= MOST_PRICE else None,
        high if high is not None and 0.0 < high <= MOST_PRICE else None,
        low if low is not None and 0.0 < low <= MOST_PRICE else None,
        close if close is not None and 0.0 < close <= MOST_PRICE else None,
    )


def _control_frame(frame: _FrameEnvelope) -> Parsed:
    if frame.type == "subscribe":
        accepted, refused = [], []
        for item in frame.subscriptions:
            instrument = f"{item.exchange}:{item.symbol}"
            if item.status == "success":
                accepted.append((instrument, str(item.mode)))
            else:
                refused.append((instrument, item.message or "no reason given"))
        return Acknowledged(str(frame.request_id), tuple(accepted), tuple(refused))
    if frame.status == "error":
        return ServerError(shown(frame.code) or "UNNAMED", shown(frame.message, 300))
    if frame.type == "step":
        return StepMark(frame.mark) if 0 <= frame.mark <= MOST_COUNT else MalformedFrame("a step without its number")
    return None


def depth_of(tick: Tick, levels: int) -> Depth | None:
    """Return the best `levels` of both sides of a tick's book, None if its frame had no book."""
    if tick.book is None:
        return None
    quote = tick.quote
    bids, asks = _side(tick.book.buy, levels), _side(tick.book.sell, levels)
    return Depth(quote.instrument, quote.market_ns, quote.received_ns, bids, asks)


def _side(levels: list[_Level], most: int) -> tuple[DepthLevel, ...]:
    return tuple(
        DepthLevel(level.price, count_of(level.quantity) or 0, count_of(level.orders) or 0)
        for level in levels[:most]
        if price_of(level.price)
    )


def exchange_time(value: float | str | None) -> int | None:
    """Convert a broker's trade time (s, ms or µs by size) to ns UTC; None if missing, text, 0 or implausible."""
    if value is None or isinstance(value, str) or not 0 < value < math.inf:
        return None
    number = int(value)
    if number < _MS_FROM:
        return int(value * 1000) * 1_000_000
    if number < _US_FROM:
        return time_of(number * 1_000_000)
    return time_of(number * 1000 if number < _NS_FROM else number)
