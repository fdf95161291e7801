"""What a strategy may return: a signal about its own position, built by `create_signal`.

Authors know it as `Signal`; the host turns it into the message of that name. Building a signal does nothing, returning
it does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from mytrading.messages.enums import Action
from mytrading.messages.leg_plan import LegRule
from mytrading.messages.signals import Leg
from mytrading.strategies.errors import StrategyError, hint
from mytrading.strategies.order_hints import NO_HINTS, OrderHints

ACTIONS = ("BUY", "SELL", "EXIT", "WITHDRAW", "HOLD")
_SIDES = {**{action.value: action for action in Action}, "WITHDRAW": Action.EXIT}


class StrategySignal(msgspec.Struct, frozen=True, kw_only=True):
    """BUY signals long, SELL short, EXIT flat, WITHDRAW nothing beyond what is held, HOLD nothing.

    `legs` only where the strategy chooses them itself: contracts, or rules by which contracts are chosen once, when the
    signal is made; elsewhere `hints` say how the entry is made. `instrument` is the watched instrument it is about.
    `stop_price` is the level of a protective stop, 0 for the configured one. `price` is the last price the strategy
    saw. `otherwise` are tried after a rejection.
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

    @property
    def side(self) -> Action:
        """The action as risk knows it: a withdrawal is an EXIT that keeps what is held."""
        return _SIDES[self.action.upper()]

    @property
    def keeps(self) -> bool:
        """True of a withdrawal."""
        return self.action.upper() == "WITHDRAW"


def check_action(action: str) -> str:
    """The action in capitals; `StrategyError` for anything that is not one."""
    if type(action) is str and action in ACTIONS:
        return action
    word = action.strip().upper() if isinstance(action, str) else ""
    if word not in ACTIONS:
        near = hint(word, ACTIONS) if word else ""
        raise StrategyError(f"create_signal: expected BUY, SELL, EXIT, WITHDRAW or HOLD, found {action!r}{near}")
    return word


def duplicate_leg(legs: Iterable[Leg | LegRule]) -> str:
    """Why legs cannot stand side by side: two of one instrument; empty if none are. Rules have no contract yet."""
    names: set[str] = set()
    for leg in legs:
        if isinstance(leg, LegRule):
            continue
        if leg.instrument in names:
            return f"expected one leg for each instrument, found two of {leg.instrument}; add their lots up in one leg"
        names.add(leg.instrument)
    return ""


def check_duplicate_legs(legs: Iterable[Leg | LegRule]) -> None:
    """`StrategyError` if two legs name one instrument: a leg says what is to be held of it, and cannot say it twice."""
    if problem := duplicate_leg(legs):
        raise StrategyError(f"create_signal: {problem}")


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
    """The stop's level as a float; `StrategyError` unless it is 0, or lies below the price of a BUY, above a SELL's."""
    if type(stop_price) is float and stop_price == 0.0:
        return stop_price
    if isinstance(stop_price, bool) or not isinstance(stop_price, int | float) or not math.isfinite(stop_price):
        raise StrategyError(f"create_signal: stop_price must be a price, found {stop_price!r}; leave it out for none")
    if stop_price < 0:
        raise StrategyError(f"create_signal: stop_price must be above 0, found {stop_price!r}; leave it out for none")
    wrong = {"BUY": stop_price >= price, "SELL": stop_price <= price}.get(action, False)
    if stop_price and price and wrong:
        side = "below" if action == "BUY" else "above"
        raise StrategyError(
            f"create_signal: the stop of a {action} must lie {side} the price {price:g}, found {stop_price:g}"
        )
    return float(stop_price)
