"""The words of OpenAlgo's brokers for what an order is doing, as one table.

Used by `books`. Add a broker's word here, never a branch there. The one rule: a word that is not in the table is OTHER,
which stays live and is reported; only words known to be final may end an order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mytrading.messages.enums import BrokerStatus
from mytrading.messages.orders import TRIGGER_CROSSED

_WORDS: Mapping[BrokerStatus, tuple[str, ...]] = {
    BrokerStatus.OPEN: (
        "open",
        "pending",  # Dhan, mStock, 5paisa
        "part traded",  # Dhan
        "partially executed",  # 5paisa
        "partially filled",
        "modified",
        "not modified",
        "not cancelled",
    ),
    BrokerStatus.TRIGGER_PENDING: ("trigger pending",),
    BrokerStatus.COMPLETE: ("complete", "completed", "traded", "fully executed", "executed", "filled"),
    BrokerStatus.CANCELLED: ("cancelled", "canceled", "cancelled after market order"),
    BrokerStatus.REJECTED: ("rejected", "rejected by exch", "rejected by 5p"),
    BrokerStatus.EXPIRED: ("expired",),
}
"""Lower case, one blank between words (Firstock writes underscores, Upstox blanks, Angel none or hyphens)."""

PASSING = frozenset(
    (
        "",
        "transit",  # Dhan
        "unknown",  # Fyers, Pocketful
        "put order req received",  # Angel, Upstox
        "validation pending",
        "open pending",
        "modify validation pending",
        "modify pending",
        "cancel pending",
        "after market order req received",
        "modify after market order req received",
    )
)
"""Known words of a state on its way: live like unknown ones, and no answer to a change that is under way."""

STATUSES: Mapping[str, BrokerStatus] = {word: status for status, words in _WORDS.items() for word in words}


_CROSSED = re.compile(
    r"trigger.{0,60}\b(above|below|higher|lower|less|more|greater)\b.{0,40}\b(ltp|last|market|current|traded)\b"
    r"|trigger.{0,40}\b(already|crossed|breached|triggers? immediately|immediately)\b"
    r"|\bltp\b.{0,40}\b(above|below|higher|lower|less|more|greater|crossed)\b.{0,40}trigger",
    re.IGNORECASE,
)
"""How brokers refuse a stop whose trigger the price has passed: "Trigger price for stoploss sell orders should be lower
than the last traded price", "Trigger price must be less than LTP". Only a stop's refusal is asked about."""


def coded(text: str) -> str:
    """A refusal's text, with our own code before it where the core acts on what it means."""
    return f"{TRIGGER_CROSSED}{text}" if _CROSSED.search(text) else text


def status_of(text: str) -> BrokerStatus:
    """The status in our words; one that is passing or unheard of is OTHER, which counts as live."""
    return STATUSES.get(_plain(text), BrokerStatus.OTHER)


def unheard_of(text: str) -> bool:
    """True for a word that is in no table: somebody must look."""
    word = _plain(text)
    return word not in STATUSES and word not in PASSING


def _plain(text: str) -> str:
    return " ".join(text.lower().replace("_", " ").replace("-", " ").split())
