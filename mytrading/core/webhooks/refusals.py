"""Codes of refusal, each with the HTTP status that its sender gets.

No code answers 500, which TradingView sends again: what may already be in the journal is never asked for twice.
"""

from __future__ import annotations

from mytrading.messages.webhooks import AlertRefusal

STATUSES = {
    "EMPTY_BODY": 400,
    "BAD_JSON": 400,
    "BAD_FORM": 400,
    "MISSING_FIELD": 400,
    "BAD_FIELD": 400,
    "BAD_ACTION": 400,
    "BAD_NUMBER": 400,
    "WRONG_SIDE": 400,
    "NO_KEYWORD": 400,
    "AMBIGUOUS_KEYWORD": 400,
    "BAD_SECRET": 401,
    "BAD_SIGNATURE": 401,
    "STALE_SIGNATURE": 401,
    "IP_NOT_ALLOWED": 403,
    "CERTIFICATE_REQUIRED": 403,
    "UNKNOWN_WEBHOOK": 404,
    "WEBHOOK_LOCKED": 409,
    "STRATEGY_INACTIVE": 409,
    "OUTSIDE_WINDOW": 409,
    "LIVE_NOT_ALLOWED": 409,
    "COOLING_OFF": 409,
    "NO_CREDENTIALS": 409,
    "NO_PRICE": 409,
    "PARTIAL_EXIT": 409,
    "BODY_TOO_LARGE": 413,
    "UNMAPPED_SYMBOL": 422,
    "NO_STOCKS": 422,
    "UNKNOWN_INSTRUMENT": 422,
    "NOT_WHOLE_LOTS": 422,
    "RATE_LIMITED": 429,
    "NOT_READY": 503,
}
"""HTTP status of each code."""

MOST_SHOWN = 60
"""Characters of a sender's own text in an answer."""


def refusal(code: str, expected: str, found: object = None, retry_after: int = 0) -> AlertRefusal:
    """Build a refusal: `expected` is what the sender should have sent, `found` what it did send (None: not shown)."""
    assert code in STATUSES, code
    text = expected if found is None else f"{expected}; found {shown(found)}"
    return AlertRefusal(code=code, text=text, retry_after=retry_after)


def status_of(found: AlertRefusal) -> int:
    """Return the HTTP status of a refusal."""
    return STATUSES[found.code]


def shown(value: object) -> str:
    """Return a value of a sender for a text: quoted, without control characters, cut after `MOST_SHOWN` characters."""
    plain = value if isinstance(value, str | int | list | dict | None) else str(value)
    whole = repr(plain)
    text = whole if len(whole) <= MOST_SHOWN else f"{whole[:MOST_SHOWN]}…"
    return "".join(letter if letter.isprintable() else "?" for letter in text)


class AlertRefused(Exception):
    """Carries a refusal out of the reading of a request."""

    def __init__(self, found: AlertRefusal) -> None:
        super().__init__(f"{found.code}: {found.text}")
        self.refusal = found
