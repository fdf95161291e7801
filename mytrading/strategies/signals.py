"""The signals that strategies return, about their own positions: built by `create_signal`, with hints and legs.

Authors know it as `Signal`; the host turns it into the message of that name. Building a signal does nothing, returning
it does. What can mean nothing is refused where it is written, with what may stand there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgspec

from mytrading.core.options.leg_grammar import parse_contract_product, parse_expiry, parse_lots, parse_option
from mytrading.core.text.spelling import nearest
from mytrading.messages.enums import Action, OrderType, Product
from mytrading.messages.leg_plan import LegKind, LegRule, LegStop, StopKind
from mytrading.messages.signals import Leg
from mytrading.strategies.errors import StrategyError, hint, is_number
from mytrading.strategies.views import LegView

ACTIONS = ("BUY", "SELL", "EXIT", "WITHDRAW", "HOLD")
_SIDES = {**{action.value: action for action in Action}, "WITHDRAW": Action.EXIT}
_NUMBERS = ("limit_price", "trigger_price", "buffer", "stop_buffer", "target_price", "valid_seconds")
_HINTS = ("lots", *_NUMBERS, "product")
"""As `create_signal` takes them; `buffer` becomes the limit of a stop-limit order."""
_PLACES = 4
"""Decimals of a price in rupees: sums of prices on the tick stay on it."""


class OrderHints(msgspec.Struct, frozen=True, kw_only=True):
    """Terms of an entry: prices in rupees, `lots` without a sign; 0 or None: as configured.

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
        """The entry's order type: SL with a trigger, LIMIT with a limit price, else MARKET."""
        if self.trigger_price:
            return OrderType.SL
        return OrderType.LIMIT if self.limit_price else OrderType.MARKET

    @property
    def has_prices(self) -> bool:
        """True if a limit, trigger, target or stop buffer is set, each in the traded contract's own price."""
        return bool(self.limit_price or self.trigger_price or self.stop_buffer or self.target_price)

    def entry_level(self, price: float) -> float:
        """Rupees at which the entry is expected: its trigger, its limit, else the last `price`."""
        return self.trigger_price or self.limit_price or price


NO_HINTS = OrderHints()


class LegChangeDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A change that a strategy wants of its legs: an instrument to close, a leg to open, or one in place of the other.

    With `same_size` the new leg gets the lots that are held of the one it replaces, in each account.
    """

    closes: str = ""
    opens: Leg | LegRule | None = None
    same_size: bool = False


class StrategySignal(msgspec.Struct, frozen=True, kw_only=True):
    """BUY signals long, SELL short, EXIT flat, WITHDRAW nothing beyond what is held, HOLD nothing.

    `legs` only where the strategy chooses them itself: contracts, or rules by which contracts are chosen once, when the
    signal is made; elsewhere `hints` say how the entry is made. `instrument` is the watched instrument it is about.
    `stop_price` is the level of a protective stop, 0 for the configured one. `price` is the last price the strategy
    saw. `otherwise` are tried after a rejection. `changes` adjust the legs that are held, without `legs` of its own.
    """

    action: str
    instrument: str
    confidence: float = 1.0
    reason: str = ""
    price: float = 0.0
    stop_price: float = 0.0
    legs: tuple[Leg | LegRule, ...] = ()
    otherwise: tuple[Leg, ...] = ()
    hints: OrderHints = NO_HINTS
    changes: tuple[LegChangeDraft, ...] = ()

    @property
    def side(self) -> Action:
        """The action that risk gets: a withdrawal is an EXIT that keeps what is held."""
        return _SIDES[self.action.upper()]

    @property
    def keeps_position(self) -> bool:
        """True if the signal keeps the position held: it only withdraws a pending entry."""
        return self.action.upper() == "WITHDRAW"

    keeps = keeps_position
    """Name of `keeps_position` in version 0.1, for one release."""


_MEANT = {"LONG": "BUY", "SHORT": "SELL", "FLAT": "EXIT", "CLOSE": "EXIT", "CANCEL": "WITHDRAW"}


def check_action(action: str) -> str:
    """The action in capitals; `StrategyError` for anything that is not one."""
    if type(action) is str and action in ACTIONS:
        return action
    name = action.strip().upper() if isinstance(action, str) else ""
    if name not in ACTIONS:
        near = _MEANT.get(name) or nearest(name, ACTIONS)
        meant = f"; did you mean {near}?" if near else ""
        raise StrategyError(f"create_signal: expected BUY, SELL, EXIT, WITHDRAW or HOLD, found {action!r}{meant}")
    return name


def duplicate_leg(legs: Iterable[Leg | LegRule]) -> str:
    """Return why legs cannot be in one signal (two of one instrument), or "". Legs by rule have no contract yet."""
    names: set[str] = set()
    for leg in legs:
        if isinstance(leg, LegRule):
            continue
        if leg.instrument in names:
            return f"expected one leg for each instrument, found two of {leg.instrument}; add their lots up in one leg"
        names.add(leg.instrument)
    return ""


def check_confidence(confidence: float) -> float:
    """The confidence as a float; `StrategyError` unless it lies in 0 to 1."""
    if type(confidence) is float and 0.0 <= confidence <= 1.0:
        return confidence
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or math.isnan(confidence):
        raise StrategyError(f"create_signal: confidence must be a number from 0 to 1, found {confidence!r}")
    if not 0.0 <= confidence <= 1.0:
        raise StrategyError(f"create_signal: confidence must lie in 0 to 1, found {confidence!r}; 80 % is 0.8")
    return float(confidence)


def check_stop(action: str, stop_price: float, price: float) -> float:
    """The stop's level in rupees; `StrategyError` unless 0 (none), below the `price` of a BUY, above that of a SELL."""
    if type(stop_price) is float and stop_price == 0.0:
        return stop_price
    if not is_number(stop_price):
        raise StrategyError(f"create_signal: stop_price must be a price, found {stop_price!r}; leave it out for none")
    if stop_price < 0:
        raise StrategyError(f"create_signal: stop_price must be above 0, found {stop_price!r}; leave it out for none")
    if stop_price and price and {"BUY": stop_price >= price, "SELL": stop_price <= price}.get(action, False):
        side = "below" if action == "BUY" else "above"
        raise StrategyError(
            f"create_signal: the stop of a {action} must lie {side} the price {price:g}, found {stop_price:g}"
        )
    return float(stop_price)


def parse_order_hints(action: str, price: float, stop_price: float, named: dict[str, Any]) -> OrderHints:
    """The order hints `named` in a signal; `StrategyError` says which cannot be, and what could. `price`: the last."""
    present: dict[str, Any] = {}
    numbers: dict[str, float] = {}
    for name, value in named.items():
        if name not in _HINTS:
            raise StrategyError(f"create_signal: no hint {name!r}{hint(name, _HINTS)}")
        if value not in (0, 0.0, "", None):
            present[name] = value
    if not present:
        return NO_HINTS
    if action not in ("BUY", "SELL"):
        raise StrategyError(f"create_signal: {', '.join(present)} belong to an entry, BUY or SELL; found {action}")
    for name, value in present.items():
        if name in _NUMBERS:
            numbers[name] = _number(name, value)
    made = OrderHints(
        limit_price=_limit_price(action, numbers),
        lots=_lots(present["lots"]) if "lots" in present else 0,
        trigger_price=numbers.get("trigger_price", 0.0),
        stop_buffer=numbers.get("stop_buffer", 0.0),
        target_price=numbers.get("target_price", 0.0),
        valid_seconds=numbers.get("valid_seconds", 0.0),
        product=_product(present["product"]) if "product" in present else None,
    )
    if target := made.target_price:
        sign, side = (1, "above") if action == "BUY" else (-1, "below")
        for base, what in ((made.entry_level(price), "the price"), (stop_price, "the stop")):
            if base and sign * (target - base) <= 0:
                raise StrategyError(
                    f"create_signal: the target of a {action} must lie {side} {what} {base:g}, found {target:g}"
                )
    return made


def _limit_price(action: str, numbers: dict[str, float]) -> float:
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
    sign = 1 if action == "BUY" else -1
    if buffer:
        limit = round(trigger + sign * buffer, _PLACES)
    if trigger and (limit <= 0 or sign * (limit - trigger) < 0):
        side = "at or above" if sign > 0 else "at or below"
        raise StrategyError(
            f"create_signal: the limit of a {action} must lie {side} its trigger {trigger:g}, found {limit:g}"
        )
    return limit


def _number(name: str, value: Any) -> float:
    if type(value) is float and 0.0 <= value < math.inf:
        return round(value, _PLACES)
    if not is_number(value) or value < 0:
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


def option(
    what: str, lots: int, expiry: str = "nearest", *, watch: str = "", stop_pct: float = 0.0, product: str = ""
) -> LegRule:
    """An option by rule, `lots` below 0 sold: `option("OTM 2 PE", lots=-1)`; also ATM, ITM n, STRIKE n, PREMIUM n
    (rupees) and DELTA n. `watch`: the instrument whose price strikes are counted from, by default the signal's.
    `stop_pct`: per cent of the premium. `product`: MIS or NRML, by default the signal's. The engine selects the
    contract when it makes the signal; a misspelt rule raises `StrategyError`."""
    try:
        strike, right = parse_option(what)
    except ValueError as error:
        raise StrategyError(f"option: {error}") from None
    stop = LegStop(kind=StopKind.PERCENT, value=stop_pct)
    return _leg_rule(LegKind.OPTION, lots, expiry, product, watch=watch, strike=strike, right=right, stop=stop)


def future(lots: int, expiry: str = "nearest", *, watch: str = "", product: str = "") -> LegRule:
    """The future of the underlying, `lots` below 0 sold; `watch` and `product` as for `option`, as are errors."""
    return _leg_rule(LegKind.FUTURE, lots, expiry, product, watch=watch)


def replacement(leg: LegView, new: str | Leg | LegRule, expiry: str = "", stop_pct: float = 0.0) -> LegChangeDraft:
    """The change that puts `new` in the place of a held leg; `StrategyError` if it cannot stand there.

    A text such as `OTM 3` or `DELTA 0.2` means the same right, side, lots and expiry as the leg has; `OTM 3 PE` and
    `expiry` (nearest, next, monthly, next_monthly) say otherwise. A rule or a contract says all by itself.
    """
    if isinstance(new, Leg | LegRule):
        if expiry or stop_pct:
            raise StrategyError("replace: a leg has terms of its own; give expiry and stop in it")
        return LegChangeDraft(closes=leg.instrument, opens=new)
    if not isinstance(new, str):
        raise StrategyError(f"replace: expected a strike such as 'OTM 3', option(...) or a Leg, found {new!r}")
    contract = leg.contract
    if contract is None or not contract.kind.is_option:
        raise StrategyError(
            f"replace: {leg.instrument} is no option that is listed today, so {new!r} names no contract; give a Leg"
        )
    text = new if new.strip().upper().endswith((" CE", " PE")) else f"{new} {contract.kind.value}"
    try:
        strike, right = parse_option(text)
        rule = parse_expiry(expiry).value if expiry else contract.expiry
    except ValueError as error:
        raise StrategyError(f"replace: {error}") from None
    stop = LegStop(kind=StopKind.PERCENT, value=stop_pct)
    made = LegRule(lots=1 if leg.quantity > 0 else -1, strike=strike, right=right, expiry=rule, stop=stop)
    return LegChangeDraft(closes=leg.instrument, opens=made, same_size=True)


def _leg_rule(kind: LegKind, lots: int, expiry: str, product: str, **others: Any) -> LegRule:
    try:
        return LegRule(
            lots=parse_lots(lots), kind=kind, expiry=parse_expiry(expiry).value,
            product=parse_contract_product(product), **others,
        )  # fmt: skip
    except ValueError as error:
        raise StrategyError(str(error)) from None
