"""Effects of switched-on faults on quotes, order updates and book rows: wrong, stale, lost, repeated, late or hostile.

Faults change what is sent, never what the books keep. A hostile frame or row goes out beside the sound one, so that a
reader that drops it has lost nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import date
from typing import Any

from msgspec.structs import replace

from mytrading.core.exchange.model import BookOrder, BookPosition, BookTrade, OrderRequest
from mytrading.core.instruments.symbology import expiry_code, split_id
from mytrading.core.time import SECOND, ist_date
from mytrading.messages.enums import BrokerStatus, OrderType, Product, Side
from mytrading.messages.instruments import Instrument
from mytrading.simulator.faults.registry import ActiveFault, Faults
from mytrading.simulator.formats.frames import Body
from mytrading.simulator.formats.rows import AnalyzerRows
from mytrading.simulator.market.day import SimulatedQuote
from mytrading.simulator.ws.hub import Altered, Hub

_NUMBER = re.compile(rb'(?<!"mode"):-?\d+(?:\.\d+)?(?=[,}])')
_SIDES = re.compile(rb'("(?:bid|ask|price)"):-?\d+(?:\.\d+)?(?=[,}])')
_LAST_PRICE = re.compile(rb'("ltp"):[^,}]+')
_DEPTH = 10_000
_STRANGER = "990000000001"


def _without_price_in_depth(frame: bytes) -> bytes:
    return _LAST_PRICE.sub(rb"\1:0", frame, count=1) if b'"depth":{' in frame else frame


def _torn(frame: bytes) -> bytes:
    return frame[: len(frame) // 2]


def _numbers_become(text: bytes) -> Altered:
    return lambda frame: _NUMBER.sub(b":" + text, frame)


HOSTILE_FRAMES: tuple[Altered, ...] = (
    lambda frame: frame.replace(b'":"', b'":"\xff\xfe', 1),
    *map(_numbers_become, (b'"nan"', b'"-inf"', b"1e300", b"-1e300", b"9" * 400, b"-7", b"null")),
    lambda frame: _SIDES.sub(rb"\1:1000000000.0", frame),
    lambda frame: _SIDES.sub(rb'\1:"nan"', frame),
    lambda frame: frame.replace(b":", b":" + b"[" * _DEPTH, 1),
    lambda frame: frame.replace(b":", b':{"a"' * _DEPTH + b":", 1),
    lambda frame: b"\x00" * len(frame),
)
"""Each turns a sound JSON frame into a hostile one; the n-th action of a fault takes the n-th, round and round."""

_HOSTILE_VALUES: tuple[Any, ...] = (1e300, -1e300, 10**18, "nan", "-inf", "\x00\x1b]0;x\x07", None, [[[]]], {})


def _hostile(fault: ActiveFault) -> Altered:
    return HOSTILE_FRAMES[fault.acted % len(HOSTILE_FRAMES)]


def wrong_contract_rows(odd: ActiveFault, listed: Sequence[Instrument], rows: Sequence[Body]) -> list[Body]:
    """Return the rows of an exchange's list, those of the contracts that the fault means as it says."""
    only = odd.text("only")
    meant = [
        item.kind.is_derivative
        and item.underlying == odd.text("underlying")
        and only in ("", expiry_code(date.fromisoformat(item.expiry)))
        for item in listed
    ]
    return [
        _wrong_contract(odd, row) if wrong else row
        for row, wrong in zip(rows, meant, strict=True)
        if not (wrong and odd.flag("missing"))
    ]


def _wrong_contract(odd: ActiveFault, row: Body) -> Body:
    kind = str(row["instrumenttype"])
    other = {"CE": "PE", "PE": "CE"}.get(kind, kind) if odd.flag("swapped") else kind
    return {
        **row, "instrumenttype": other, "expiry": odd.text("expiry") or row["expiry"],
        "strike": row["strike"] + odd.number("strike") if kind != "FUT" else row["strike"],
        "lotsize": int(odd.number("lot")) or row["lotsize"], "tick_size": odd.number("tick") or row["tick_size"],
    }  # fmt: skip


def hostile_row(sound: Body, number: int) -> Body:
    """Return row `sound` as a foreign order's, all its numbers replaced by one hostile value, the `number`-th."""
    value = _HOSTILE_VALUES[number % len(_HOSTILE_VALUES)]
    return {
        name: value if isinstance(kept, int | float) and not isinstance(kept, bool) else kept
        for name, kept in sound.items()
    } | {"orderid": f"hostile-{number}", "strategy": "hostile"}


class QuoteSender:
    """Sends quotes to the hub, each as the faults of the feed make it."""

    def __init__(self, hub: Hub, faults: Faults) -> None:
        self._hub, self._faults = hub, faults
        self._stall: ActiveFault | None = None
        self._stalled: dict[str, SimulatedQuote] = {}
        self._overtaken: dict[str, SimulatedQuote] = {}

    def with_faults(self, quote: SimulatedQuote) -> SimulatedQuote | None:
        """Return a quote as the active faults alter it (stalled, wrong price, empty side); None if it is not sent."""
        name = quote.instrument.id
        if self._faults.fire("ws_mute", instrument=name) is not None:
            return None
        if (stall := self._faults.fire("ws_stall", instrument=name)) is not None:
            if stall is not self._stall:
                self._stall, self._stalled = stall, {}
            old = self._stalled.setdefault(name, quote)
            quote = replace(old, at_ns=quote.at_ns) if stall.flag("restamp") else old
        if (wrong := self._faults.fire("price_wrong", instrument=name)) is not None:
            quote = _scaled(quote, wrong.number("factor"))
        if self._faults.fire("price_zero", instrument=name) is not None:
            quote = _scaled(quote, 0.0)
        if (odd := self._faults.fire("ltp_wrong", instrument=name)) is not None:
            quote = replace(quote, ltp=odd.number("ltp"))
        if (empty := self._faults.fire("side_empty", instrument=name)) is not None:
            quote = replace(quote, bid=0.0) if empty.text("side") == "BUY" else replace(quote, ask=0.0)
        return quote

    def send(self, true: SimulatedQuote) -> None:
        """Send the quote `true` to its subscribers as the active faults alter it: hostile, torn or repeated; a
        reordered one waits for the next of its instrument."""
        name, quote = true.instrument.id, self.with_faults(true)
        if quote is None:
            return
        if (odd := self._faults.fire("ws_hostile", instrument=name)) is not None:
            self._hub.publish(quote, _hostile(odd))
        if self._faults.fire("ws_corrupted", instrument=name) is not None:
            self._hub.publish(quote, _torn)
            return
        if name not in self._overtaken and self._faults.fire("ws_reordered", instrument=name) is not None:
            self._overtaken[name] = quote
            return
        twice = self._faults.fire("ws_duplicated", instrument=name)
        priceless = self._faults.fire("depth_price_zero", instrument=name) is not None
        for _ in range(1 + (int(twice.number("times")) if twice is not None else 0)):
            self._hub.publish(quote, _without_price_in_depth if priceless else None)
        if (late := self._overtaken.pop(name, None)) is not None:
            self._hub.publish(late)


def _scaled(quote: SimulatedQuote, factor: float) -> SimulatedQuote:
    prices = {"ltp": quote.ltp, "bid": quote.bid, "ask": quote.ask}
    return replace(quote, **{name: round(price * factor, 2) for name, price in prices.items()})


class OrderSender:
    """Sends order updates to the hub, each as the faults of updates make it."""

    def __init__(self, hub: Hub, faults: Faults) -> None:
        self._hub, self._faults = hub, faults
        self._overtaken: list[Body] = []
        self._waiting: asyncio.TimerHandle | None = None

    def send(self, update: Body) -> None:
        """Send one order update with the faults of updates: lost, hostile, torn, repeated, late or reordered."""
        status = str(update["order_status"])
        if self._faults.fire("order_updates_off", status=status) is not None:
            return
        if (odd := self._faults.fire("update_hostile", status=status)) is not None:
            self._hub.publish_order(update, _hostile(odd))
        if self._faults.fire("update_corrupted", status=status) is not None:
            self._hub.publish_order(update, _torn)
            return
        twice = self._faults.fire("update_duplicated", status=status)
        updates = [update] * (1 + (int(twice.number("times")) if twice is not None else 0))
        if (late := self._faults.fire("update_delayed", status=status)) is not None:
            asyncio.get_running_loop().call_later(late.number("seconds"), self._publish, updates)
            return
        if not self._overtaken and (switch := self._faults.fire("update_reordered", status=status)) is not None:
            self._overtaken = updates
            self._waiting = asyncio.get_running_loop().call_later(switch.number("seconds"), self._catch_up)
            return
        self._publish(updates)
        self._catch_up()

    def _catch_up(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
        updates, self._overtaken = self._overtaken, []
        self._publish(updates)

    def _publish(self, updates: list[Body]) -> None:
        for update in updates:
            self._hub.publish_order(update)


def faulty_order_rows(faults: Faults, rows: list[tuple[BookOrder, Body]], words: AnalyzerRows) -> list[Body] | None:
    """Return order book rows as active faults alter them, with status words of the row builder `words`; None if the
    whole request is to fail."""
    if (flap := faults.fire("status_flap")) is not None and flap.acted % 2:
        rows = [(order, body if order.is_live else _before_its_end(order, body, words)) for order, body in rows]
    leaks = faults.fire("status_leak") is not None
    if (odd := faults.fire("status_word")) is not None:
        word = odd.text("word") or words.word_of(odd.text("raw"))
        leaks = leaks or not word
        rows = [(order, {**body, "order_status": word} if order.is_live else body) for order, body in rows]
    if not leaks:
        return [body for _, body in rows]
    # as some adapters do: a state on its way leaves the last row's word there, and fails as the first row
    leaked: list[Body] = []
    for order, body in rows:
        if order.is_live and not leaked:
            return None
        leaked.append({**body, "order_status": leaked[-1]["order_status"]} if order.is_live else body)
    return leaked


def without_lost_orders(faults: Faults, orders: list[BookOrder]) -> list[BookOrder]:
    """Return the orders that the order book shows: without the live ones while a part of it is lost."""
    if faults.fire("book_partial", route="orderbook") is None:
        return orders
    return [order for order in orders if not order.is_live]


def without_late_trades(faults: Faults, trades: list[BookTrade], now: int) -> list[BookTrade]:
    """Return the trades that the trade book shows at `now` (market ns): without those that it does not know yet."""
    if (late := faults.fire("trades_late", route="tradebook")) is None:
        return trades
    return [trade for trade in trades if now - trade.at_ns >= late.number("seconds") * SECOND]


def without_lost_positions(faults: Faults, positions: list[BookPosition]) -> list[BookPosition]:
    """Return the positions that the position book shows: without those of a symbol ("": any) while they are lost."""
    if (lost := faults.fire("book_partial", route="positionbook")) is None:
        return positions
    return [held for held in positions if lost.text("symbol") not in ("", split_id(held.instrument)[1])]


def stranger_order(fault: ActiveFault, now: int) -> BookOrder:
    """Return the order of somebody else that the fault `foreign_row` shows, entered now (market ns)."""
    side, units, status = Side(fault.text("side")), int(fault.number("quantity")), BrokerStatus(fault.text("status"))
    product = Product.CNC if odd_product(fault) else Product(fault.text("product"))
    request = OrderRequest(
        instrument=fault.text("instrument"), side=side, quantity=units, order_type=OrderType.LIMIT,
        product=product, price=fault.number("price"), strategy="stranger",
    )  # fmt: skip
    filled = units if status is BrokerStatus.COMPLETE else 0
    return BookOrder(
        order_id=_STRANGER, request=request, status=status, day=ist_date(now).isoformat(), placed_ns=now,
        updated_ns=now, filled=filled, average_price=fault.number("price") if filled else 0.0,
    )  # fmt: skip


def odd_product(fault: ActiveFault) -> str:
    """Return the product of the stranger's rows if it is none of ours; "" otherwise."""
    return "" if fault.text("product") in set(Product) else fault.text("product")


def stranger_trade(order: BookOrder) -> BookTrade:
    """Return the trade of a stranger's whole order."""
    request = order.request
    return BookTrade(
        trade_id=f"9{order.order_id}", order_id=order.order_id, instrument=request.instrument, side=request.side,
        product=request.product, quantity=request.quantity, price=request.price, day=order.day, at_ns=order.updated_ns,
        strategy=request.strategy,
    )  # fmt: skip


def stranger_position(fault: ActiveFault, now: int) -> tuple[BookPosition, BookTrade]:
    """Return the position of somebody else that the fault `foreign_row` shows, and the trade that made it."""
    trade = stranger_trade(stranger_order(fault, now))
    units = trade.quantity * trade.side.sign
    held = BookPosition(instrument=trade.instrument, product=trade.product, quantity=units, average_price=trade.price)
    return held, trade


def _before_its_end(order: BookOrder, body: Body, words: AnalyzerRows) -> Body:
    before = {
        "order_status": words.status_word(BrokerStatus.OPEN),
        "filled_quantity": 0,
        "average_price": 0.0,
        "pending_quantity": order.request.quantity,
        "rejection_reason": "",
    }
    return {name: before.get(name, value) for name, value in body.items()}
