"""What the table of brokers says of a broker, in words: for `mytrading brokers`, doctor and docs/brokers.md.

Where the table is silent the text is *not known*; nothing is guessed here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mytrading.core.orders.broker_gate import keeps_stops
from mytrading.messages.brokers import (
    SANDBOX,
    BrokerRules,
    MarketForm,
    PositionScope,
    Standing,
    StopMoving,
    TradeOrderId,
    TradeQuantity,
)
from mytrading.messages.enums import OrderType

NOT_KNOWN = "not known"
CHECKED = "OpenAlgo's mapping code for it was read and run; a person's account: none yet"
STANDINGS = {
    Standing.READY: "ready",
    Standing.LIMITS: "with limits",
    Standing.REFUSED: "refused",
    Standing.UNLISTED: "not listed",
}
_TRADE_ROWS = {
    TradeQuantity.FILL: "what filled",
    TradeQuantity.ORDER: "the whole order",
    TradeQuantity.NOTHING: "nothing: it lists orders",
}
_TRADE_IDS = {TradeOrderId.ORDER: "the order's", TradeOrderId.EXCHANGE: "the exchange's"}
_POSITIONS = {
    PositionScope.NET: "net", PositionScope.DAY: "of today's trades alone", PositionScope.PARTIAL: "perhaps in part",
}  # fmt: skip
_MOVING = {StopMoving.CHANGE: "a change", StopMoving.REPLACE: "cancel and place"}
_MARKET = {
    MarketForm.MARKET: "MARKET", MarketForm.LIMIT: "LIMIT at a protected price", MarketForm.IOC: "IOC",
}  # fmt: skip


class BrokerFact(NamedTuple):
    """A property of a broker: its key in JSON, its name on screens, and its text."""

    key: str
    title: str
    text: Callable[[BrokerRules], str]


def _words(words: tuple[str, ...]) -> str:
    return " or ".join(words) or NOT_KNOWN


def _stops(rules: BrokerRules) -> str:
    if rules.standing is Standing.UNLISTED:
        return NOT_KNOWN
    return "at the broker" if keeps_stops(rules) and OrderType.SL in rules.order_types else "in the engine"


FACTS = (
    BrokerFact("waiting_stop", "waiting stop in the order book", lambda rules: _words(rules.waiting_stop)),
    BrokerFact("waiting_stop_updates", "in order updates",
         lambda rules: "–" if rules.updates is False else _words(rules.waiting_stop_updates)),
    BrokerFact("updates", "order updates",
         lambda rules: NOT_KNOWN if rules.updates is None else "yes" if rules.updates else "none"),
    BrokerFact("trade_quantity", "a trade row counts", lambda rules: _TRADE_ROWS.get(rules.trade_quantity, NOT_KNOWN)),
    BrokerFact("trade_order_id", "under whose id", lambda rules: _TRADE_IDS.get(rules.trade_order_id, NOT_KNOWN)),
    BrokerFact("positions", "position book", lambda rules: _POSITIONS.get(rules.positions, NOT_KNOWN)),
    BrokerFact("stop_move", "a stop is moved by", lambda rules: _MOVING.get(rules.stop_move, NOT_KNOWN)),
    BrokerFact("stops", "stops rest", _stops),
    BrokerFact("order_types", "order types",
         lambda rules: NOT_KNOWN if rules.standing is Standing.UNLISTED else ", ".join(rules.order_types)),
    BrokerFact("market_form", "MARKET leaves as", lambda rules: _MARKET.get(rules.market_form, NOT_KNOWN)),
)  # fmt: skip


def real_brokers(table: dict[str, BrokerRules]) -> list[BrokerRules]:
    """Return the rows of brokers, by name: all but OpenAlgo's own sandbox."""
    return [row for name, row in sorted(table.items()) if name != SANDBOX]


def broker_body(rules: BrokerRules) -> dict[str, Any]:
    """Return all that is known of a broker as the fields of a JSON row."""
    return {
        "name": rules.name,
        "aliases": list(rules.aliases),
        "standing": STANDINGS[rules.standing],
        "reason": rules.reason,
        "found": rules.found or NOT_KNOWN,
        "since": rules.since or NOT_KNOWN,
        "checked": CHECKED if rules.since else NOT_KNOWN,
        "notes": list(rules.notes),
        **{fact.key: fact.text(rules) for fact in FACTS},
    }


def broker_lines(rules: BrokerRules) -> list[str]:
    """Return all that is known of a broker as lines for a person."""
    body = broker_body(rules)
    names = f" (also {', '.join(rules.aliases)})" if rules.aliases else ""
    lines = [f"{rules.name}{names}: {body['standing']}"]
    if rules.standing is Standing.REFUSED:
        lines.append(f"  no entries: {rules.reason}")
        lines.append(f"  unless ACCEPTED_BROKERS={rules.name} accepts it; then the engine holds its stops")
    lines.append(f"  found on {body['found']}, in OpenAlgo {body['since']}; {body['checked']}")
    lines += [f"  {fact.title}: {body[fact.key]}" for fact in FACTS]
    return [*lines, *(["  what differs:", *(f"    {note}" for note in rules.notes)] if rules.notes else [])]
