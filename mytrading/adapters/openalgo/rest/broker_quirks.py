"""Words, names, ids and times in rows of brokers behind OpenAlgo: the common tables, and how a broker's row is applied.

What one broker says belongs in its row of the table of brokers, never in a branch. A broker's time is shown and never
decides anything: it has no zone, counts whole seconds, and at many brokers moves with every change of the order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from mytrading.adapters.openalgo.rest.numbers import MOST_ID
from mytrading.core.instruments.symbology import INDEX_EXCHANGES
from mytrading.core.time import IST, SECOND
from mytrading.messages.brokers import PLAIN, BrokerRules
from mytrading.messages.enums import BrokerStatus, OrderType, Product
from mytrading.messages.orders import MARKET_REFUSED, NOT_NOW, TRIGGER_CROSSED
from mytrading.messages.text import shown

_WORDS: Mapping[BrokerStatus, tuple[str, ...]] = {
    BrokerStatus.OPEN: (
        "open", "pending", "part traded", "partially executed", "partially filled", "modified", "new", "replaced",
        "not modified", "not cancelled", "modify rejected", "cancel rejected",
    ),
    BrokerStatus.TRIGGER_PENDING: ("trigger pending",),
    BrokerStatus.COMPLETE: ("complete", "completed", "traded", "fully executed", "executed", "filled"),
    BrokerStatus.CANCELLED: ("cancelled", "canceled", "cancelled after market order", "cancelled amo"),
    BrokerStatus.REJECTED: ("rejected", "rejected by exch", "rejected by 5p"),
    BrokerStatus.EXPIRED: ("expired",),
}  # fmt: skip
"""Words that mean the same at every broker that uses them; its row of the table of brokers holds the others. Whole
words only: no end is told from a part of one, since PendingCancel and not cancelled are of orders that live."""

PASSING = frozenset((
    "", "transit", "put order req received", "validation pending", "open pending", "modify validation pending",
    "modify pending", "cancel pending", "pending new", "pending replace", "pending cancel", "after market order",
    "after market order req received", "modify after market order req received", "amo req received",
))  # fmt: skip
"""Known words of a state on its way: live like unknown ones, and no answer to a change that is under way."""

STATUSES: Mapping[str, BrokerStatus] = {word: status for status, words in _WORDS.items() for word in words}

_NO_IDS = frozenset(("", "none", "null", "nan", "undefined", "0", "0.0"))
"""What stands in place of an order id where a broker gave none."""
EXCHANGES = frozenset((
    "NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX", "NCDEX", "NCO", "NSE_INDEX", "BSE_INDEX", "MCX_INDEX",
    "GLOBAL_INDEX", "CRYPTO",
))  # fmt: skip
"""OpenAlgo's names. A row under another name may be of any exchange of the same house, say NSE_FO, and so of a contract
that we hold under NFO: it is no other contract."""
_SHARES = frozenset(INDEX_EXCHANGES)
"""Exchanges whose contracts are shares; on all others they are futures and options."""
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


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


def status_of(text: str, rules: BrokerRules = PLAIN, *, update: bool = False) -> BrokerStatus:
    """Map a status word of the order book, or of an order `update`, to `BrokerStatus` by the broker's row, then by the
    common words; a transient or unknown one is OTHER, which counts as live."""
    word = plain_word(text)
    if word in (rules.triggered_updates if update else rules.triggered_book):
        return BrokerStatus.TRIGGERED
    own = rules.update_words if update else rules.book_words
    return own.get(word) or STATUSES.get(word, BrokerStatus.OTHER)


def is_unknown_status(text: str, rules: BrokerRules = PLAIN) -> bool:
    """True if a status word of the order book is in no table, so that an operator must look at it."""
    word = plain_word(text)
    return not (word in STATUSES or word in PASSING or word in rules.book_words or word in rules.triggered_book)


def plain_word(text: str) -> str:
    """Return a broker's word in lower case with one blank between its parts: PartiallyFilled and PARTIALLY_FILLED are
    `partially filled`."""
    return " ".join(_CAMEL.sub(" ", text).lower().replace("_", " ").replace("-", " ").split())


def order_id_of(found: Any, rules: BrokerRules = PLAIN) -> str:
    """Return an order id as text, whatever the broker's type; empty for what is none: a bool, a fraction, a page of
    text, `None`, `null`, 0, and what the broker's row lists."""
    if isinstance(found, bool) or not isinstance(found, str | int):
        return ""
    name = shown(found, MOST_ID + 1).strip()
    return "" if len(name) > MOST_ID or name.lower() in _NO_IDS or name.lower() in rules.no_ids else name


def is_blank(found: Any) -> bool:
    """True if a field of a row is null, empty or zero, in any form of it."""
    if isinstance(found, str):
        text = found.strip().lower()
        return text in _NO_IDS or not text.strip("0.")
    return found is None or found == 0


def contract_of(exchange: str, symbol: str, rules: BrokerRules = PLAIN) -> tuple[str, str]:
    """Return exchange and symbol of a row as OpenAlgo names them, as far as the broker's row tells."""
    name, place = symbol.strip().upper(), exchange.strip().upper()
    place = rules.exchanges.get(place, place)
    for suffix in rules.share_suffixes:
        if name.endswith(suffix):
            before, colon, share = name.removesuffix(suffix).strip().rpartition(":")
            return before if colon else place, share
    return place, name


def product_of(found: Any, exchange: str, rules: BrokerRules = PLAIN) -> Product | None:
    """Return the product that a row names; None for a name that is in no table."""
    word = str(found).strip().upper()
    if exchange not in _SHARES and (own := rules.products_in_derivatives.get(word)) is not None:
        return own
    try:
        return rules.products.get(word) or Product(word)
    except ValueError:
        return None


def order_type_of(found: Any, rules: BrokerRules = PLAIN) -> OrderType | None:
    """Return the order type that a row names; None for a name that is in no table."""
    word = str(found).strip().upper()
    try:
        return rules.order_type_names.get(word) or OrderType(word)
    except ValueError:
        return None


def order_product_of(found: Any, exchange: str, rules: BrokerRules = PLAIN, *, update: bool = False) -> Product | None:
    """Return the product that an order row, or an order `update`, proves; None where it may also be another one."""
    product = product_of(found, exchange, rules)
    if update and not rules.update_products:
        return None
    shared = exchange not in _SHARES and product in rules.derivative_products.values()
    return None if shared else product


NAMES: Mapping[str, tuple[str, ...]] = {
    "pricetype": ("pricetype", "price_type"),  # the sandbox's order status
    "rejection_reason": ("rejection_reason", "reason"),  # Samco, IIFL Capital; 5paisa
}
"""Names of a field in rows of brokers, the usual one first."""

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
