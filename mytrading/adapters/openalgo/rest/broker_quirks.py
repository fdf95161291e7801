"""Differences of brokers behind OpenAlgo, as tables: names of fields, forms of time, changes of orders.

Add a broker's habit here, never a branch there. A broker's time is shown and never decides anything: it has no zone,
counts whole seconds, and at many brokers moves with every change of the order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from mytrading.core.orders.state_machine import ModifyRules
from mytrading.core.time import IST, SECOND
from mytrading.messages.enums import BrokerStatus
from mytrading.messages.orders import MARKET_REFUSED, NOT_NOW, TRIGGER_CROSSED

_WORDS: Mapping[BrokerStatus, tuple[str, ...]] = {
    # pending: Dhan, mStock, 5paisa; part traded: Dhan; partially executed: 5paisa
    BrokerStatus.OPEN: (
        "open", "pending", "part traded", "partially executed", "partially filled", "modified", "not modified",
        "not cancelled",
    ),
    BrokerStatus.TRIGGER_PENDING: ("trigger pending",),
    BrokerStatus.COMPLETE: ("complete", "completed", "traded", "fully executed", "executed", "filled"),
    BrokerStatus.CANCELLED: ("cancelled", "canceled", "cancelled after market order"),
    BrokerStatus.REJECTED: ("rejected", "rejected by exch", "rejected by 5p"),
    BrokerStatus.EXPIRED: ("expired",),
}  # fmt: skip
"""Lower case, one blank between words (Firstock writes underscores, Upstox blanks, Angel none or hyphens)."""

# transit: Dhan; unknown: Fyers, Pocketful; put order req received: Angel, Upstox
PASSING = frozenset((
    "", "transit", "unknown", "put order req received", "validation pending", "open pending",
    "modify validation pending", "modify pending", "cancel pending", "after market order req received",
    "modify after market order req received",
))  # fmt: skip
"""Known words of a state on its way: live like unknown ones, and no answer to a change that is under way."""

STATUSES: Mapping[str, BrokerStatus] = {word: status for status, words in _WORDS.items() for word in words}


_CROSSED = re.compile(
    r"trigger.{0,60}\b(above|below|higher|lower|less|more|greater)\b.{0,40}\b(ltp|last|market|current|traded)\b"
    r"|trigger.{0,40}\b(already|crossed|breached|triggers? immediately|immediately)\b"
    r"|\bltp\b.{0,40}\b(above|below|higher|lower|less|more|greater|crossed)\b.{0,40}trigger",
    re.IGNORECASE,
)
"""Refusals of a stop whose trigger the price has passed: "Trigger price for stoploss sell orders should be lower
than the last traded price", "Trigger price must be less than LTP". It is applied to refusals of stops only."""


_NO_MARKET = re.compile(
    r"\b(market|mkt)[- ]?(order|type)s?\b.{0,60}\b(not|no longer|cannot|can't|disallowed|blocked|disabled|restricted"
    r"|rejected|without|prohibited|unavailable)\b"
    r"|\b(not|no|block\w*|disallow\w*|restrict\w*|cannot|without)\b.{0,40}"
    r"\b(market|mkt)[- ]?(orders?|protection|type)\b"
    r"|\b(use|try|place|only)\b.{0,20}\blimit[- ]?orders?\b",
    re.IGNORECASE,
)
"""Refusals of an order for being MARKET: "Market orders are blocked for this instrument due to illiquidity. Place a
limit order instead.", "Market orders without market protection are not allowed via API. Please set market protection or
use a Limit order.", "... no trades in this instrument, try a LIMIT order" (users of Zerodha, 2025-2026)."""
_NOT_NOW = re.compile(
    r"market (is )?(closed|not open)|outside (market|trading) hours|after market|\bamo\b"
    r"|square.?off time|not in session"
    r"|too many requests|rate limit|\d+ per \d+ (second|minute|hour)|requests? per (second|minute)"
    r"|session (has )?expired|token (is )?(invalid|expired)|(invalid|incorrect) `?(api ?key|access token|session)"
    r"|not logged in|broker (is |was )?(disconnected|not connected)",
    re.IGNORECASE,
)
"""Refusals for the hour, the rate of calls or the broker's session: another type of order is refused alike."""
_CODES = ((TRIGGER_CROSSED, _CROSSED), (NOT_NOW, _NOT_NOW), (MARKET_REFUSED, _NO_MARKET))


def with_refusal_code(text: str) -> str:
    """Return a broker's refusal text with our own code in front, if it has a meaning that the order machine acts on."""
    words = text.replace("_", " ")
    return next((f"{code}{text}" for code, expression in _CODES if expression.search(words)), text)


def status_of(text: str) -> BrokerStatus:
    """Map a broker's status word to `BrokerStatus`; a transient or unknown one is OTHER, which counts as live."""
    return STATUSES.get(_plain(text), BrokerStatus.OTHER)


def is_unknown_status(text: str) -> bool:
    """True if a broker's status word is in no table, so that an operator must look at it."""
    word = _plain(text)
    return word not in STATUSES and word not in PASSING


def _plain(text: str) -> str:
    return " ".join(text.lower().replace("_", " ").replace("-", " ").split())


NAMES: Mapping[str, tuple[str, ...]] = {
    "pricetype": ("pricetype", "price_type"),  # the sandbox's order status
    "rejection_reason": ("rejection_reason", "reason"),  # Samco, IIFL Capital; 5paisa
}
"""Names of a field in rows of brokers, the usual one first."""

USUAL_MODIFY_RULES = ModifyRules(most=25)
MODIFY_RULES: Mapping[str, ModifyRules] = {
    "zerodha": ModifyRules(most=25, after_fill=False)  # none after a part has filled, as users tell
}
"""Rules of brokers for changes of resting orders, where they are known to differ from the usual."""

TIME_FORMS = (
    "%Y-%m-%d %H:%M:%S",  # sandbox, Zerodha
    "%Y-%m-%dT%H:%M:%S",
    "%d-%b-%Y %H:%M:%S",  # Angel
    "%d-%m-%Y %H:%M:%S",  # XTS brokers
    "%d/%m/%Y %H:%M:%S",
    "%H:%M:%S %d-%m-%Y",  # Firstock, Shoonya
    "%d-%b-%Y %I:%M:%S %p",
    "%Y%m%d%H%M%S",
)
"""Times without a zone are those of India."""

_EPOCHS = ((1e18, 1), (1e15, 1_000), (1e12, 1_000_000), (1e9, SECOND))


def modify_rules(broker: str) -> ModifyRules:
    """Return the order modification rules of a broker, by OpenAlgo's name for it; else the usual ones."""
    return MODIFY_RULES.get(broker.lower(), USUAL_MODIFY_RULES)


def field_value(row: Mapping[str, Any], name: str) -> Any:
    """Return the first non-empty value of a row for a field, under any of its broker names; None without one."""
    found = (row.get(key) for key in NAMES.get(name, (name,)))
    return next((value for value in found if value is not None and value != ""), None)


def parse_time_ns(found: Any) -> int:
    """Parse a broker's time (text or count since 1970) as ns UTC; 0 if it cannot be read."""
    if isinstance(found, bool) or found is None:
        return 0
    text = f"{found!s:.40}".strip()
    with suppress(ValueError):
        count = float(text)  # s, ms, µs or ns since 1970, distinguished by size; other numbers are no time
        if unit := next((unit for least, unit in _EPOCHS if least <= count < least * 10), 0):
            return int(count) * unit
    plain = text.split(".")[0].removesuffix("Z")
    zone = UTC if text.endswith("Z") else IST
    for form in TIME_FORMS:
        with suppress(ValueError, OverflowError):
            return int(datetime.strptime(plain, form).replace(tzinfo=zone).timestamp()) * SECOND
    with suppress(ValueError, OverflowError):
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=IST)).timestamp()) * SECOND
    return 0
