"""Personalities of the simulator: a strict paper exchange, OpenAlgo's analyzer, or a live server with its broker.

Answers in analyzer mode have the analyzer's shapes whatever the personality; only `live` has live ones, while its
analyzer mode is off.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from mytrading.core.exchange.model import Mark, OrderRequest
from mytrading.core.exchange.order_rules import ANALYZER, EXCHANGE, FillRules, is_triggered
from mytrading.messages.enums import OrderType, Side
from mytrading.messages.instruments import Instrument
from mytrading.simulator.settings.broker_profile import (
    ALIASES,
    PLAIN,
    BrokerProfile,
    SentOrders,
    broker_profile,
    broker_profiles,
)
from mytrading.simulator.settings.feed_profile import FeedProfile, feed_profile
from mytrading.simulator.settings.options import BadOption

# The distance of protected orders, by slabs of price as in OpenAlgo 2.0.2.
_OPTION_SLABS = ((10.0, 0.05), (100.0, 0.03), (500.0, 0.02))
_OTHER_SLABS = ((100.0, 0.02), (500.0, 0.01))


class Role(StrEnum):
    """PAPER: the analyzer's answers, an exchange's fills. SANDBOX: its fills too. LIVE: a live server's answers."""

    PAPER = "paper"
    SANDBOX = "sandbox"
    LIVE = "live"


@dataclass(frozen=True)
class Personality:
    """A role, and behind a live one the broker, its books and its market data."""

    role: Role = Role.PAPER
    broker: BrokerProfile | None = None
    feed: FeedProfile | None = None

    @property
    def rules(self) -> FillRules:
        """Return the rules by which the venue fills orders."""
        return ANALYZER if self.role is Role.SANDBOX else EXCHANGE


def personality(role: str, broker: str) -> Personality:
    """Return the personality (kind of server imitated) of a role and a broker; `BadOption` lists the known ones."""
    if role not in set(Role):
        raise BadOption(f"--personality: expected one of {', '.join(Role)}, found {role!r}")
    if broker and role != Role.LIVE:
        raise BadOption(f"--broker: expected only with --personality live, found it with {role}; leave it out")
    if role != Role.LIVE:
        return Personality(Role(role))
    if (profile := broker_profile(broker or PLAIN)) is None:
        raise BadOption(f"--broker: expected one of {', '.join((*broker_profiles(), *ALIASES))}, found {broker!r}")
    return Personality(Role.LIVE, profile, feed_profile(profile.name))


def as_sent(request: OrderRequest, instrument: Instrument | None, mark: Mark | None, sent: SentOrders) -> OrderRequest:
    """Convert an order to the one that the server sends to its broker: a MARKET or SL-M order goes as LIMIT or SL at a
    price away from the market where a quote is had, a stop as MARKET at brokers whose stops are lost on the way."""
    kind = {OrderType.MARKET: sent.market, OrderType.SL_M: sent.stop_market, OrderType.SL: sent.stop}.get(
        request.order_type, request.order_type.value
    )
    if kind == request.order_type:
        return request
    if kind == OrderType.MARKET:
        return msgspec.structs.replace(request, order_type=OrderType.MARKET, price=0.0, trigger_price=0.0)
    if instrument is None or mark is None:
        return request
    return msgspec.structs.replace(
        request, order_type=OrderType(kind), price=protected_price(request, instrument, mark)
    )


def protected_price(request: OrderRequest, instrument: Instrument, mark: Mark) -> float:
    """Return the limit in rupees at which a MARKET or SL-M order is protected: the last or trigger price with the
    percentage of its price slab added or taken off."""
    base = request.trigger_price if request.order_type is OrderType.SL_M else mark.ltp
    slabs, last = (_OPTION_SLABS, 0.01) if instrument.kind.is_option else (_OTHER_SLABS, 0.005)
    away = base * next((share for below, share in slabs if base < below), last) * request.side.sign
    price = round(round((base + away) / instrument.tick_size) * instrument.tick_size, 2)
    return max(price, instrument.tick_size)


def trigger_problem(request: OrderRequest, mark: Mark) -> str:
    """Return a broker's refusal of a stop whose trigger the last price has passed; "" if it is fine."""
    if request.order_type not in (OrderType.SL, OrderType.SL_M) or not request.trigger_price:
        return ""
    if not is_triggered(request, mark.ltp):
        return ""
    side, where = ("buy", "higher") if request.side is Side.BUY else ("sell", "lower")
    return f"Trigger price for stoploss {side} orders should be {where} than the last traded price {mark.ltp:.2f}"
