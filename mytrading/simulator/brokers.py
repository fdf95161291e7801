"""How the brokers behind OpenAlgo differ in what their books show, as one table.

Used by the live personality. Words and habits are those of the adapters of OpenAlgo 2.0.2. The one rule: a difference
between brokers is a value here, never a branch elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mytrading.messages.enums import BrokerStatus

_ISO = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class Broker:
    """One broker: its words where they are not ours, its order times, and whether it protects market orders.

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

    def word(self, status: BrokerStatus, *, partly: bool) -> str:
        """The order book's word for a status."""
        if partly and self.partly and status is BrokerStatus.OPEN:
            return self.partly
        return self.words.get(status, status.value)


_RAW = "open pending"
_ALL = (
    Broker("zerodha"),
    Broker("fyers"),
    Broker("groww"),
    Broker("paytm"),
    Broker("mstock", words={BrokerStatus.OPEN: "pending"}, passing="pending"),
    Broker("pocketful", protects=True),
    Broker("firstock", words={BrokerStatus.TRIGGER_PENDING: "trigger_pending"}, protects=True),
    Broker(
        "angel",
        partly="modified",
        passing="validation pending",
        stamp="%d-%b-%Y %H:%M:%S",
        last_update=True,
    ),
    Broker("upstox", passing="put order req received"),
    Broker("kotak", passing=_RAW, protects=True),
    Broker(
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
    Broker(
        "dhan",
        partly="PART_TRADED",
        passing="TRANSIT",
        last_update=True,
        protects=True,
    ),
    Broker("iifl", stamp="%d-%m-%Y %H:%M:%S", last_update=True),
)
BROKERS: Mapping[str, Broker] = MappingProxyType({broker.name: broker for broker in _ALL})
DEFAULT, PLAIN = "dhan", "zerodha"
