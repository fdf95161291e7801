"""Market data frames as the adapters of single brokers make them: which fields, whose prices, what of an empty side.

`BrokerFrames` keeps what those adapters keep between messages. It is told the true quote and never changes it; the
forms are the profiles' (`settings/feed_profile.py`). Used by the hub of a live server.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import time
from typing import Any

from msgspec.structs import replace

from mytrading.core.time import MILLISECOND, SECOND, ist_date, to_ns
from mytrading.messages.instruments import InstrumentKind
from mytrading.simulator.formats.frames import DEPTH, LTP, QUOTE, Body, depth_levels, served_frame
from mytrading.simulator.market.day import SimulatedQuote
from mytrading.simulator.settings.feed_profile import FrameForm, SocketForm

_1980_S = 315_532_800
"""Seconds from 1970 to 1980, from which some exchanges' servers count."""
_PRICES = ("ltp", "open", "high", "low", "close", "average_price", "bid", "ask", "best_bid_price", "best_ask_price")
_EMPTY: dict[str, Any] = {"null": None, "text": ""}
_STEP, _MOST_UNITS, _LESS_UNITS = 0.0005, 6000, 1000
"""Levels of a book that is made up: their distance as a share of the price, and their units."""


class _Kept:
    """What an adapter keeps of an instrument between messages."""

    __slots__ = ("ask", "bid", "is_traded", "last_trade", "quoted", "quotes", "volume")

    def __init__(self) -> None:
        self.bid = self.ask = self.quoted = 0.0
        self.is_traded = False
        self.quotes = self.volume = self.last_trade = 0


class BrokerFrames:
    """Frames of one broker's adapter. `full`, `held`: as the hub's pool has them for the quote's instrument."""

    def __init__(self, form: SocketForm, broker: str) -> None:
        self.form = form
        self._broker = broker
        self._kept: dict[str, _Kept] = {}

    def refuses(self, mode: int, *, is_index: bool) -> bool:
        """Return whether a subscription in a mode is refused."""
        return mode == DEPTH and ("index depth" if is_index else "depth") in self.form.refuses

    def begin_quote(self, quote: SimulatedQuote) -> SimulatedQuote:
        """Count a quote that arrives, and return it as the adapter's cache then has it."""
        kept = self._kept.setdefault(quote.instrument.id, _Kept())
        kept.quotes += 1
        if self.form.keeps_side:
            quote = replace(quote, bid=quote.bid or kept.bid, ask=quote.ask or kept.ask)
        kept.bid, kept.ask = quote.bid, quote.ask
        if quote.volume > kept.volume:
            kept.last_trade = quote.volume - kept.volume if kept.volume else quote.instrument.lot_size
        kept.volume = quote.volume
        return quote

    def frames(self, quote: SimulatedQuote, kind: int, held: Collection[int], *, full: bool) -> list[Body]:
        """Return the frames of a kind that a quote becomes, while clients hold the modes `held` of its instrument."""
        if self.form.recorded:
            body = served_frame(quote, kind, self._broker, full=full)
            return [{**body, "data": self._scaled(quote, body["data"])}]
        is_index = quote.instrument.kind is InstrumentKind.INDEX
        form = self._form_of(kind, is_index=is_index)
        body = served_frame(quote, kind, "")
        found = self._shaped(quote, kind, form, body["data"], held)
        return [{**body, "broker": self._broker, "data": self._scaled(quote, data)} for data in found]

    def after_depth(self, quote: SimulatedQuote, body: Body) -> Body | None:
        """Return what a Depth frame is sent as under the name of Quote, besides what it is; None if it is not."""
        if not self.form.also_quote or "depth" not in body["data"]:
            return None
        if self.form.also_quote == "same":
            return {**body, "mode": QUOTE}
        data = {name: value for name, value in body["data"].items() if name != "depth"}
        sides = {"bid": quote.bid, "ask": quote.ask}
        return {**body, "mode": QUOTE, "data": {**data, "mode": "quote", **sides, "volume": 0}}

    def _form_of(self, kind: int, *, is_index: bool) -> FrameForm:
        if kind == LTP:
            return self.form.ltp
        if is_index:
            return self.form.index
        return self.form.depth if kind == DEPTH else self.form.quote

    def _shaped(
        self, quote: SimulatedQuote, kind: int, form: FrameForm, data: Body, held: Collection[int]
    ) -> list[Body]:
        kept = self._kept.setdefault(quote.instrument.id, _Kept())
        is_index = quote.instrument.kind is InstrumentKind.INDEX
        price = self._price(quote, form, kept, held)
        if kind == QUOTE:
            kept.quoted = quote.ltp
        data = self._timed(quote, form, {**data, "ltp": price})
        bare = form.bare_packets and kept.quotes % 2 == 0 and kind != LTP
        if kind != LTP:
            data = self._figures(quote, form, kept, data, is_index=is_index)
        if bare:
            data = {name: data[name] for name in ("symbol", "exchange", "mode", "ltp", "timestamp") if name in data}
        if kind == DEPTH and (not is_index or self.form.made_up_book):
            data["depth"] = self._book(quote, bare=bare, is_index=is_index)
        data |= dict.fromkeys(form.zero, 0)
        data = {name: value for name, value in data.items() if name not in form.missing and value is not None}
        made = [data]
        if form.book and not is_index and not bare:
            made = _with_sides(quote, form.book, data)
        return [self._spelled(one) for one in made]

    def _price(self, quote: SimulatedQuote, form: FrameForm, kept: _Kept, held: Collection[int]) -> float | None:
        """The last price of a frame; None: no key."""
        ready = kept.is_traded and (quote.volume > 0 or quote.instrument.kind is InstrumentKind.INDEX)
        kept.is_traded = True
        average = round((quote.open + quote.high + quote.low + quote.ltp) / 4.0, 2)
        prices: dict[str, float | None] = {
            "trade": quote.ltp,
            "seen": quote.ltp if ready else 0.0,
            "known": quote.ltp if ready else None,
            "middle": _middle(quote),
            "average": average if quote.open else 0.0,
            "quote": kept.quoted if QUOTE in held else 0.0,
            "mark": round((quote.ltp + (_middle(quote) or quote.ltp)) / 2.0, 2),
            "zero": 0.0,
            "none": None,
        }
        return prices[form.price]

    def _timed(self, quote: SimulatedQuote, form: FrameForm, data: Body) -> Body:
        second = quote.at_ns // SECOND
        stamps: dict[str, int | None] = {
            "receipt": quote.at_ns // MILLISECOND,
            "exchange": second * 1000,
            "candle": to_ns(ist_date(quote.at_ns), time()) // MILLISECOND,
            "none": None,
        }
        trades: dict[str, int | str | None] = {
            "": None, "ms": second * 1000, "s": second, "text": str(second), "1980": second - _1980_S,
        }  # fmt: skip
        stamp = stamps[form.stamp]
        if stamp is not None and self.form.stamp_in_seconds:
            stamp //= 1000
        data |= {"timestamp": stamp, "ltt": trades[self.form.ltt]}
        return {name: value for name, value in data.items() if value is not None}

    def _figures(self, quote: SimulatedQuote, form: FrameForm, kept: _Kept, data: Body, *, is_index: bool) -> Body:
        volumes: dict[str, int | None] = {"day": quote.volume, "last": kept.last_trade, "zero": 0, "none": None}
        data |= {"volume": 0 if is_index else volumes[form.volume]}
        for name in ("oi", "open_interest"):
            data.pop(name, None)
        if form.interest and not is_index:
            data |= {"oi": 0} if form.interest == "zero" else {form.interest: quote.oi}
        if form.closes == "last" and "close" in data:
            data["close"] = data["ltp"]
        return {name: value for name, value in data.items() if value is not None}

    def _book(self, quote: SimulatedQuote, *, bare: bool, is_index: bool) -> Body:
        if is_index:
            return {side: _made_up(quote.ltp, sign) for side, sign in (("buy", -1), ("sell", 1))}
        if bare:
            return {"buy": [], "sell": []}
        levels = zip(("buy", "sell"), depth_levels(quote), (quote.bid, quote.ask), strict=True)
        return {name: side if best else self._emptied(side) for name, side, best in levels}

    def _emptied(self, side: list[Body]) -> list[Body]:
        if self.form.empty_level == "none":
            return []
        if self.form.empty_level == "zero":
            return side
        return [dict.fromkeys(level, _EMPTY[self.form.empty_level]) for level in side]

    def _spelled(self, data: Body) -> Body:
        """A frame without the zeros that the adapter leaves out, or with its numbers as texts."""
        if self.form.without_zeros and "depth" not in data:
            data = {name: value for name, value in data.items() if value != 0}
        if not self.form.texts:
            return data
        apart = ("depth", "timestamp")
        return {name: value if name in apart else _text(name, value) for name, value in data.items()}

    def _scaled(self, quote: SimulatedQuote, data: Body) -> Body:
        if (factor := self.form.scaled.get(quote.instrument.exchange, 0.0)) == 0.0:
            return data
        prices = {name: data[name] * factor for name in _PRICES if isinstance(data.get(name), int | float)}
        if "depth" in data:
            prices["depth"] = {
                side: [{**level, "price": (level["price"] or 0) * factor} for level in levels]
                for side, levels in data["depth"].items()
            }
        return {**data, **prices}


def _middle(quote: SimulatedQuote) -> float:
    return (quote.bid + quote.ask) / 2 if quote.bid and quote.ask else 0.0


def _with_sides(quote: SimulatedQuote, book: str, data: Body) -> list[Body]:
    names = ("best_bid_price", "best_ask_price") if book == "best" else ("bid", "ask")
    sides = dict(zip(names, (quote.bid, quote.ask), strict=True))
    if book != "second":
        return [{**data, **sides}]
    second = {name: value for name, value in data.items() if name != "volume"}
    return [data, {**second, **sides}]


def _made_up(ltp: float, sign: int) -> list[Body]:
    return [
        {
            "price": round(ltp * (1 + sign * _STEP * number), 2),
            "quantity": _MOST_UNITS - _LESS_UNITS * (number - 1),
            "orders": number,
        }
        for number in range(1, 6)
    ]


def _text(name: str, value: Any) -> Any:
    """A number as text; a price that is not there is an empty one."""
    if isinstance(value, str):
        return value
    return "" if name in _PRICES and not value else str(value)
