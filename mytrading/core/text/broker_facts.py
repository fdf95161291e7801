"""What the table of brokers says of a broker, in words: for `mytrading brokers`, doctor and docs/brokers.md.

Where the table is silent the text is *not known*; nothing is guessed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from mytrading.core.orders.broker_gate import keeps_stops
from mytrading.messages.brokers import (
    SANDBOX,
    BrokerRules,
    FeedRules,
    FrameKind,
    HistoryRules,
    MarketForm,
    PositionScope,
    StampSource,
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

_FRAMES = {FrameKind.LTP: "LTP", FrameKind.QUOTE: "Quote", FrameKind.DEPTH: "Depth"}
_STAMPS = {StampSource.RECEIPT: "of receipt", StampSource.EXCHANGE: "of the exchange"}


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
DATA_FACTS = (
    BrokerFact("price_frames", "a trade's price is in",
         lambda rules: ", ".join(_FRAMES[kind] for kind in rules.feed.price_frames) or NOT_KNOWN),
    BrokerFact("volume_frame", "volume is in", lambda rules: _volume(rules.feed)),
    BrokerFact("depth", "Depth", lambda rules: _known(rules, "yes" if rules.feed.has_depth else "refused")),
    BrokerFact("tokens", "instruments are found by",
         lambda rules: _known(rules, "token alone" if rules.feed.bare_tokens else "exchange and token")),
    BrokerFact("index_prices", "prices of indices come by",
         lambda rules: _known(rules, "frames" if rules.feed.index_prices else "REST")),
    BrokerFact("open_interest", "open interest",
         lambda rules: _known(rules, "frames" if rules.feed.has_open_interest else "REST")),
    BrokerFact("stamps", "stamps of frames", lambda rules: _STAMPS.get(rules.feed.stamps, NOT_KNOWN)),
    BrokerFact("history", "history", lambda rules: _known(rules, "yes" if rules.history.available else "none")),
    BrokerFact("minutes_late", "minute bars", lambda rules: _late(rules.history)),
    BrokerFact("days_early", "daily bars", lambda rules: _early(rules.history)),
    BrokerFact("failed_history", "a failed read of it is", lambda rules: _failed_history(rules)),
)  # fmt: skip
"""What is known of its prices and its history."""


def _known(rules: BrokerRules, text: str) -> str:
    return NOT_KNOWN if rules.standing is Standing.UNLISTED else text


def _volume(feed: FeedRules) -> str:
    if not feed.has_volume:
        return "none"
    return _FRAMES[feed.volume_frame] if feed.volume_frame is not None else "the fullest frame that has one"


def _late(history: HistoryRules) -> str:
    if not history.available:
        return "–"
    return f"{history.minutes_late} min late" if history.minutes_late else "as they come"


def _early(history: HistoryRules) -> str:
    if not history.available:
        return "–"
    return f"{_days(history.days_early)} early" if history.days_early else "as they come"


def _failed_history(rules: BrokerRules) -> str:
    if not rules.history.available:
        return "–"
    return _known(rules, "perhaps an empty success" if rules.history.empty_when_failed else "an error")


def _days(number: int) -> str:
    return "a day" if number == 1 else f"{number} days"


def price_notes(feed: FeedRules) -> list[str]:
    """Return what differs in the prices of a broker, each a sentence; empty where nothing is known to."""
    others = [name for kind, name in _FRAMES.items() if feed.price_frames and kind not in feed.price_frames]
    wrong = [_FRAMES[kind] for kind in feed.not_previous_close]
    said = (
        (feed.has_depth and others, f"The last price of {_and(others)} frames is no trade's and is left out."),
        (not feed.has_depth, "Depth is refused: Quote frames carry bid and ask."),
        (feed.volume_frame and feed.has_volume, f"Volume is taken from {_volume(feed)} frames alone."),
        (not feed.has_volume, "Frames do not say what traded in the day: bars have no volume."),
        (wrong, f"The close in {_and(wrong)} frames is not that of the day before and is left out."),
        (not feed.rest_previous_close,
         "The previous close of REST quotes is not that of the day before and is left out."),
        (feed.bare_tokens,
         "Instruments are found by a token that others may have on another exchange: of two of one token only one is "
         "subscribed."),
        (feed.republishes,
         "Its last values are sent again with new stamps while nothing comes: only changed ones count as fresh."),
        (not feed.index_prices, "Frames of indices have no price: it is asked over REST, and their bars are sampled."),
        (not feed.has_open_interest, "Frames have no open interest, or a wrong one: it is asked over REST."),
    )  # fmt: skip
    return [sentence for holds, sentence in said if holds] + list(feed.notes)


def history_notes(history: HistoryRules) -> list[str]:
    """Return what differs in the history of a broker, each a sentence; empty where nothing is known to."""
    if not history.available:
        return ["It has no history: each answer is empty.", *history.notes]
    late, early, shifted = history.minutes_late, history.days_early, history.shifted_intervals
    said = (
        (late, f"Minute bars of past days are stamped {late} minutes late."),
        (early, f"Daily bars are dated {_days(early)} early."),
        (shifted, f"Bars of {_and(list(shifted))} begin at other minutes: they are built from those of 1m."),
        (history.empty_when_failed, "A failed read of its history may be answered with success and no bars."),
    )
    return [sentence for holds, sentence in said if holds] + list(history.notes)


def data_notes(rules: BrokerRules) -> list[str]:
    """Return what differs in the prices and the history of a broker that the table lists, each a sentence."""
    return [] if rules.standing is Standing.UNLISTED else [*price_notes(rules.feed), *history_notes(rules.history)]


def _and(names: list[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)


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
        **{fact.key: fact.text(rules) for fact in (*FACTS, *DATA_FACTS)},
        "prices": price_notes(rules.feed),
        "bars": history_notes(rules.history),
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
    lines += [f"  {fact.title}: {body[fact.key]}" for fact in (*FACTS, *DATA_FACTS)]
    parts = {"what differs": rules.notes, "in its prices": body["prices"], "in its history": body["bars"]}
    return [*lines, *(line for part, notes in parts.items() if notes for line in _part(part, notes))]


def _part(title: str, notes: Iterable[str]) -> list[str]:
    return [f"  {title}:", *(f"    {note}" for note in notes)]
