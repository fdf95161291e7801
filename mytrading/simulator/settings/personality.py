"""Personalities of the simulator: a strict paper exchange, OpenAlgo's analyzer, or a live server with its broker.

Answers in analyzer mode have the analyzer's shapes whatever the personality; only `live` has live ones, while its
analyzer mode is off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

import msgspec

from mytrading.core.exchange.model import Mark, OrderRequest
from mytrading.core.exchange.order_rules import ANALYZER, EXCHANGE, FillRules, is_triggered
from mytrading.messages.enums import BrokerStatus, OrderType, Side
from mytrading.messages.instruments import Instrument
from mytrading.simulator.settings.options import BadOption

# The distance of protected orders, by slabs of price as in OpenAlgo 2.0.2.
_OPTION_SLABS = ((10.0, 0.05), (100.0, 0.03), (500.0, 0.02))
_OTHER_SLABS = ((100.0, 0.02), (500.0, 0.01))
_ISO = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class BrokerProfile:
    """One broker: its own status words, its order times, and whether it protects market orders.

    `partly` stands for an open order with a part filled, `passing` for a state on its way, `stamp` is a strftime
    pattern in Indian time, and `last_update` says that it shows the time of the last change instead of the entry.
    With `protects` MARKET and SL-M go to the exchange as LIMIT and SL at a price away from the market.
    """

    name: str
    words: Mapping[BrokerStatus, str] = field(default_factory=dict)
    partly: str = ""
    passing: str = "unknown"
    stamp: str = _ISO
    last_update: bool = False
    protects: bool = False

    def status_word(self, status: BrokerStatus, *, partly: bool) -> str:
        """Return the broker's order book word for a status; `partly`: a part of the order has been filled."""
        if partly and self.partly and status is BrokerStatus.OPEN:
            return self.partly
        return self.words.get(status, status.value)


_RAW = "open pending"
_ALL = (
    BrokerProfile("zerodha"),
    BrokerProfile("fyers"),
    BrokerProfile("groww"),
    BrokerProfile("paytm"),
    BrokerProfile("mstock", words={BrokerStatus.OPEN: "pending"}, passing="pending"),
    BrokerProfile("pocketful", protects=True),
    BrokerProfile("firstock", words={BrokerStatus.TRIGGER_PENDING: "trigger_pending"}, protects=True),
    BrokerProfile(
        "angel", partly="modified", passing="validation pending", stamp="%d-%b-%Y %H:%M:%S", last_update=True
    ),
    BrokerProfile("upstox", passing="put order req received"),
    BrokerProfile("kotak", passing=_RAW, protects=True),
    BrokerProfile(
        "5paisa",
        words={
            BrokerStatus.OPEN: "Pending",
            BrokerStatus.COMPLETE: "Fully Executed",
            BrokerStatus.CANCELLED: "Cancelled",
            BrokerStatus.REJECTED: "Rejected By Exch",
        },
        partly="Partially Executed",
        passing=_RAW,
        protects=True,
    ),
    BrokerProfile("dhan", partly="PART_TRADED", passing="TRANSIT", last_update=True, protects=True),
    BrokerProfile("iifl", stamp="%d-%m-%Y %H:%M:%S", last_update=True),
)
BROKERS: Mapping[str, BrokerProfile] = MappingProxyType({broker.name: broker for broker in _ALL})
DEFAULT, PLAIN = "dhan", "zerodha"


class Role(StrEnum):
    """PAPER: the analyzer's answers, an exchange's fills. SANDBOX: its fills too. LIVE: a live server's answers."""

    PAPER = "paper"
    SANDBOX = "sandbox"
    LIVE = "live"


@dataclass(frozen=True)
class Personality:
    """A role, and the broker behind a live one."""

    role: Role = Role.PAPER
    broker: BrokerProfile | None = None

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
    if broker and broker not in BROKERS:
        raise BadOption(f"--broker: expected one of {', '.join(BROKERS)}, found {broker!r}")
    return Personality(Role(role), BROKERS[broker or DEFAULT] if role == Role.LIVE else None)


def with_market_protection(request: OrderRequest, instrument: Instrument, mark: Mark) -> OrderRequest:
    """Convert MARKET to LIMIT and SL-M to SL, as brokers do, at the last or trigger price with the percentage of its
    price slab added or taken off; others are unchanged."""
    if request.order_type not in (OrderType.MARKET, OrderType.SL_M):
        return request
    stop = request.order_type is OrderType.SL_M
    base = request.trigger_price if stop else mark.ltp
    slabs, last = (_OPTION_SLABS, 0.01) if instrument.kind.is_option else (_OTHER_SLABS, 0.005)
    away = base * next((share for below, share in slabs if base < below), last) * request.side.sign
    price = round(round((base + away) / instrument.tick_size) * instrument.tick_size, 2)
    kind = OrderType.SL if stop else OrderType.LIMIT
    return msgspec.structs.replace(request, order_type=kind, price=max(price, instrument.tick_size))


def trigger_problem(request: OrderRequest, mark: Mark) -> str:
    """Return a broker's refusal of a stop whose trigger the last price has passed; "" if it is fine."""
    if request.order_type not in (OrderType.SL, OrderType.SL_M) or not request.trigger_price:
        return ""
    if not is_triggered(request, mark.ltp):
        return ""
    side, where = ("buy", "higher") if request.side is Side.BUY else ("sell", "lower")
    return f"Trigger price for stoploss {side} orders should be {where} than the last traded price {mark.ltp:.2f}"
