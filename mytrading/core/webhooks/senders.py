"""Normalisers, one per sender: the fields of a body to a typed alert, in the sender's own words.

TradingView, AmiBroker and generic senders name one symbol and an action. ChartInk names many stocks and hides the
action in the names of its scan and alert.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import msgspec

from mytrading.core.webhooks.bodies import decode_body, read_text, read_units
from mytrading.core.webhooks.refusals import AlertRefused, refusal
from mytrading.messages.webhooks import AlertAction, AlertIntent, Sender

MOST_STOCKS = 100
"""Stocks of one ChartInk alert."""
MOST_SYMBOL = 64
MOST_TEXT = 200
_WORD = re.compile(r"[^A-Za-z0-9]+")


class ParsedAlert(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a body, and what they say. `sender_id` and `bar_time` are "" where the sender gives none."""

    fields: dict[str, Any]
    intents: tuple[AlertIntent, ...]
    sender_id: str = ""
    bar_time: str = ""
    secret: str = ""


def decode_fields(sender: Sender, body: bytes) -> dict[str, Any]:
    """Return the fields of a sender's body; raises `AlertRefused`."""
    return decode_body(body, forms=sender in (Sender.GENERIC, Sender.AMIBROKER))


def read_alert(sender: Sender, fields: dict[str, Any], action: AlertAction | None = None) -> ParsedAlert:
    """Return what the fields of a body say; raises `AlertRefused`. `action`: that of every alert of the webhook,
    whatever ChartInk's names say."""
    return _read_scan(fields, action) if sender is Sender.CHARTINK else _read_order(fields, action)


def read_secret(fields: Mapping[str, Any]) -> str:
    """Return the secret that a body carries, "" for none or for one that is no text."""
    value = fields.get("secret", "")
    return value if isinstance(value, str) else ""


def _read_order(fields: dict[str, Any], action: AlertAction | None) -> ParsedAlert:
    symbol = read_text(fields, "symbol", MOST_SYMBOL, needed=True).upper()
    word = read_text(fields, "action", MOST_SYMBOL, needed=action is None)
    quantity = read_units(fields, "quantity")
    if quantity is not None and quantity < 1:
        raise AlertRefused(refusal("BAD_NUMBER", "expected a quantity of at least 1", quantity))
    intent = AlertIntent(
        symbol=symbol,
        action=action or _action(word),
        position_size=read_units(fields, "position_size"),
        quantity=quantity,
    )
    return ParsedAlert(
        fields=fields,
        intents=(intent,),
        sender_id=read_text(fields, "id", MOST_TEXT),
        bar_time=read_text(fields, "time", MOST_TEXT),
    )


def _action(word: str) -> AlertAction:
    try:
        return AlertAction(word.upper())
    except ValueError:
        raise AlertRefused(refusal("BAD_ACTION", "expected action buy, sell, short or cover", word)) from None


def _read_scan(fields: dict[str, Any], action: AlertAction | None) -> ParsedAlert:
    names = {key: read_text(fields, key, MOST_TEXT) for key in ("alert_name", "scan_name", "triggered_at")}
    chosen = action or find_keyword(names["alert_name"], names["scan_name"])
    stocks = read_text(fields, "stocks", MOST_STOCKS * MOST_SYMBOL).upper()
    symbols = tuple(dict.fromkeys(part.strip() for part in stocks.split(",") if part.strip()))
    if not symbols:
        raise AlertRefused(refusal("NO_STOCKS", "expected stocks such as SBIN,INFY", fields.get("stocks", "")))
    if len(symbols) > MOST_STOCKS:
        raise AlertRefused(refusal("BAD_FIELD", f"expected at most {MOST_STOCKS} stocks", len(symbols)))
    if long := next((symbol for symbol in symbols if len(symbol) > MOST_SYMBOL), None):
        raise AlertRefused(refusal("BAD_FIELD", f"expected stocks of at most {MOST_SYMBOL} characters", long))
    intents = tuple(AlertIntent(symbol=symbol, action=chosen) for symbol in symbols)
    return ParsedAlert(fields=fields, intents=intents, bar_time=names["triggered_at"])


def find_keyword(alert_name: str, scan_name: str) -> AlertAction:
    """Return the one keyword among the words of an alert's name, else of its scan's; raises `AlertRefused`.

    Only whole words count, so RECOVERY does not cover; "short term" is no order. Two keywords in one name are
    ambiguous.
    """
    for name in (alert_name, scan_name):
        found = sorted(_keywords(name))
        if len(found) > 1:
            text = f"expected one of BUY, SELL, SHORT and COVER in a name, not {' and '.join(found)}"
            raise AlertRefused(refusal("AMBIGUOUS_KEYWORD", text, name))
        if found:
            return AlertAction(found[0])
    text = "expected BUY, SELL, SHORT or COVER as a word of alert_name or scan_name"
    raise AlertRefused(refusal("NO_KEYWORD", text, alert_name or scan_name))


def _keywords(name: str) -> set[str]:
    words = [word for word in _WORD.split(name.upper()) if word]
    return {word for word, after in pairwise([*words, ""]) if word in _ACTIONS and (word, after) != _NO_ORDER}


_ACTIONS = frozenset(AlertAction)
_NO_ORDER = ("SHORT", "TERM")
