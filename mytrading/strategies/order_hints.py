"""How an entry is to be made, where the author says so: order type, prices, size, validity, target, product.

Made by `BaseStrategy.create_signal`, read by the engine when it makes the leg of a signal. A hint that can mean nothing
is refused where it is written, with what may stand there.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from mytrading.messages.enums import OrderType, Product
from mytrading.strategies.errors import StrategyError, hint

_NOTHING = (0, 0.0, "", None)
_PLACES = 4
"""Decimals of a price in rupees: sums of prices on the tick stay on it."""


class OrderHints(msgspec.Struct, frozen=True, kw_only=True):
    """Prices in rupees, `lots` without a sign; what is 0 or None is as configured.

    A `trigger_price` makes a stop-limit order, a `limit_price` alone a limit order. Either rests `valid_seconds` of
    market time, with 0 until the day ends. The limit of the protective stop lies `stop_buffer` beyond its level.
    """

    lots: int = 0
    limit_price: float = 0.0
    trigger_price: float = 0.0
    stop_buffer: float = 0.0
    target_price: float = 0.0
    valid_seconds: float = 0.0
    product: Product | None = None

    @property
    def order_type(self) -> OrderType:
        """What kind of order they make."""
        if self.trigger_price:
            return OrderType.SL
        return OrderType.LIMIT if self.limit_price else OrderType.MARKET

    @property
    def has_prices(self) -> bool:
        """True if a level of the traded contract's own price is among them."""
        return bool(self.limit_price or self.trigger_price or self.stop_buffer or self.target_price)

    @property
    def names_entry(self) -> bool:
        """True if the entry differs from the configured one, so that other terms are another signal."""
        return self.has_prices or bool(self.lots)


NO_HINTS = OrderHints()
NAMES = ("lots", "limit_price", "trigger_price", "buffer", "stop_buffer", "target_price", "valid_seconds", "product")
"""As `create_signal` takes them; `buffer` becomes the limit of a stop-limit order."""


def parse_order_hints(action: str, price: float, stop_price: float, given: dict[str, Any]) -> OrderHints:
    """The hints of a signal; `StrategyError` says which of them cannot be, and what could. `price` is the last one."""
    said: dict[str, Any] = {}
    numbers: dict[str, float] = {}
    for name, value in given.items():
        if name not in NAMES:
            raise StrategyError(f"create_signal: no hint {name!r}{hint(name, NAMES)}")
        if value not in _NOTHING:
            said[name] = value
    if not said:
        return NO_HINTS
    if action not in ("BUY", "SELL"):
        raise StrategyError(f"create_signal: {', '.join(said)} belong to an entry, BUY or SELL; found {action}")
    for name, value in said.items():
        if name not in ("lots", "product"):
            numbers[name] = _number(name, value)
    trigger, limit = numbers.get("trigger_price", 0.0), _limit(action, numbers)
    made = OrderHints(
        lots=_lots(said["lots"]) if "lots" in said else 0,
        limit_price=limit,
        trigger_price=trigger,
        stop_buffer=numbers.get("stop_buffer", 0.0),
        target_price=numbers.get("target_price", 0.0),
        valid_seconds=numbers.get("valid_seconds", 0.0),
        product=_product(said["product"]) if "product" in said else None,
    )
    if made.target_price:
        _check_target(action, made, entry_level(made, price), stop_price)
    return made


def entry_level(hints: OrderHints, price: float) -> float:
    """Rupees at which the entry is thought of: its trigger, its limit, else the last price."""
    return hints.trigger_price or hints.limit_price or price


def _limit(action: str, numbers: dict[str, float]) -> float:
    trigger, limit = numbers.get("trigger_price", 0.0), numbers.get("limit_price", 0.0)
    buffer = numbers.get("buffer", 0.0)
    if buffer and not trigger:
        raise StrategyError("create_signal: buffer lies between trigger_price and the limit; give trigger_price too")
    if buffer and limit:
        raise StrategyError("create_signal: expected buffer or limit_price, found both; each names the limit")
    if trigger and not (buffer or limit):
        raise StrategyError(
            "create_signal: a trigger_price needs its limit, so that a jump has a worst price; give buffer=3, say"
        )
    way = 1 if action == "BUY" else -1
    if buffer:
        limit = round(trigger + way * buffer, _PLACES)
    if trigger and (limit <= 0 or way * (limit - trigger) < 0):
        side = "at or above" if way > 0 else "at or below"
        raise StrategyError(
            f"create_signal: the limit of a {action} must lie {side} its trigger {trigger:g}, found {limit:g}"
        )
    return limit


def _check_target(action: str, hints: OrderHints, level: float, stop_price: float) -> None:
    way = 1 if action == "BUY" else -1
    for base, what in ((level, "the price"), (stop_price, "the stop")):
        if hints.target_price and base and way * (hints.target_price - base) <= 0:
            side = "above" if way > 0 else "below"
            raise StrategyError(
                f"create_signal: the target of a {action} must lie {side} {what} {base:g}, found {hints.target_price:g}"
            )


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        what = "seconds" if name == "valid_seconds" else "rupees"
        raise StrategyError(f"create_signal: {name} must be a number of {what} above 0, found {value!r}")
    return round(float(value), _PLACES)


def _lots(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise StrategyError(f"create_signal: lots must be a whole number above 0, found {value!r}; SELL says the side")
    return value


def _product(value: Any) -> Product:
    try:
        return Product(str(value).upper())
    except ValueError:
        raise StrategyError(f"create_signal: product must be MIS, NRML or CNC, found {value!r}") from None
