"""Whom the simulator plays: a strict paper exchange, OpenAlgo's analyzer, or a live server with some broker behind.

Used by `Venue` and the order routes. The one rule: what is answered in analyzer mode has the analyzer's shapes
whatever the personality; only `live` answers live ones, and only while its analyzer mode is off.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from mytrading.core.matching import Mark, OrderRequest
from mytrading.core.matching.fill_rules import ANALYZER, EXCHANGE, FillRules, triggered
from mytrading.messages.enums import OrderType, Side
from mytrading.messages.instruments import Instrument
from mytrading.simulator.brokers import BROKERS, DEFAULT, Broker
from mytrading.simulator.options import BadOption


class Role(StrEnum):
    """PAPER: the analyzer's answers, an exchange's fills. SANDBOX: its fills too. LIVE: a live server's answers."""

    PAPER = "paper"
    SANDBOX = "sandbox"
    LIVE = "live"


@dataclass(frozen=True)
class Personality:
    """A role, and the broker that a live one stands in front of."""

    role: Role = Role.PAPER
    broker: Broker | None = None

    @property
    def rules(self) -> FillRules:
        """How orders fill."""
        return ANALYZER if self.role is Role.SANDBOX else EXCHANGE


def personality(role: str, broker: str) -> Personality:
    """The personality of these options; `BadOption` says which there are."""
    if role not in set(Role):
        raise BadOption(f"--personality: expected one of {', '.join(Role)}, found {role!r}")
    if broker and role != Role.LIVE:
        raise BadOption(f"--broker: expected only with --personality live, found it with {role}; leave it out")
    if broker and broker not in BROKERS:
        raise BadOption(f"--broker: expected one of {', '.join(BROKERS)}, found {broker!r}")
    return Personality(Role(role), BROKERS[broker or DEFAULT] if role == Role.LIVE else None)


def protected(request: OrderRequest, instrument: Instrument, mark: Mark) -> OrderRequest:
    """MARKET as a LIMIT, SL-M as an SL, a slab's share beyond the last price or trigger; others as they are."""
    if request.order_type not in (OrderType.MARKET, OrderType.SL_M):
        return request
    stop = request.order_type is OrderType.SL_M
    base = request.trigger_price if stop else mark.ltp
    away = base * _share(instrument, base) * request.side.sign
    price = round(round((base + away) / instrument.tick_size) * instrument.tick_size, 2)
    kind = OrderType.SL if stop else OrderType.LIMIT
    return msgspec.structs.replace(request, order_type=kind, price=max(price, instrument.tick_size))


def trigger_problem(request: OrderRequest, mark: Mark) -> str:
    """What a broker says of a stop whose trigger the last price has passed, or an empty string."""
    if request.order_type not in (OrderType.SL, OrderType.SL_M) or not request.trigger_price:
        return ""
    if not triggered(request, mark.ltp):
        return ""
    side, where = ("buy", "higher") if request.side is Side.BUY else ("sell", "lower")
    return f"Trigger price for stoploss {side} orders should be {where} than the last traded price {mark.ltp:.2f}"


_OPTION_SLABS = ((10.0, 0.05), (100.0, 0.03), (500.0, 0.02))
_OTHER_SLABS = ((100.0, 0.02), (500.0, 0.01))


def _share(instrument: Instrument, price: float) -> float:
    """How far from the price protection goes: by slabs of OpenAlgo 2.0.2."""
    option = instrument.kind.is_option
    slabs, last = (_OPTION_SLABS, 0.01) if option else (_OTHER_SLABS, 0.005)
    return next((share for below, share in slabs if price < below), last)
