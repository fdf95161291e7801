"""Failures of an OpenAlgo server's answers: the text of an error answer, and its meaning as a type with advice.

Words of servers and brokers are matched by the table here, not by code. An order call whose fate is not certain is
`FateUnknown`, whatever its text.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, TypeVar

import msgspec

from mytrading.adapters.openalgo.rest.client import HttpReply
from mytrading.messages.codec import UNREADABLE
from mytrading.messages.text import plain, shown

DEFINITIVE = frozenset((400, 401, 403, 404, 501))
"""Statuses that say the broker was not reached or refused; 201 and 5xx were seen after an order was placed."""


class ReadFailed(Exception):
    """A read gave nothing usable. `status` is the HTTP status, 0 without an answer.

    Kinds: unreachable, refused (403: wrong key, or the server has no broker session), rate_limited, server, malformed.
    """

    def __init__(self, kind: str, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.kind, self.message, self.status = kind, message, status


class _ErrorBody(msgspec.Struct):
    message: Any = ""
    errors: Any = None
    error: Any = None
    code: Any = None


T = TypeVar("T")
_decoder = msgspec.json.Decoder(_ErrorBody)
_MOST_READ = 4096
_MOST_SHOWN = 300


def error_text(body: bytes, status: int) -> str:
    """Extract the reasons from an error answer of any form (JSON `message`, `errors` or `error`, plain text of
    proxies), as one line of at most 300 characters; the HTTP status if it gives none."""
    try:
        parsed = _decoder.decode(body)
        text = _flat(parsed.message) or _flat(parsed.error)
        if isinstance(parsed.code, str) and parsed.code:
            text = f"{text} ({parsed.code})" if text else parsed.code
        text = ": ".join(part for part in (text, _flat(parsed.errors) if parsed.errors else "") if part)
        return _line(text) or f"HTTP {status} without a message"
    except UNREADABLE:
        return _line(body[:_MOST_READ].decode(errors="replace")) or f"HTTP {status} without a text"


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_flat(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_flat(item) for item in value)
    return "" if value is None else shown(value, _MOST_READ)


def _line(text: str) -> str:
    """The text as one line that ends with a whole word: half an address would be taken for one."""
    line = " ".join(text[:_MOST_READ].split())
    return plain(line if len(line) <= _MOST_SHOWN else f"{line[: _MOST_SHOWN - 2].rpartition(' ')[0] or line[:100]} …")


def decode_read(answer: HttpReply, decoder: msgspec.json.Decoder[T], subject: str = "") -> T:
    """Decode the body of an answer to a read by `decoder`. Raises `ReadFailed`, its text beginning with `subject`,
    unless the HTTP status is 200 and the body decodes."""
    if answer.status != 200:
        kind = {401: "refused", 403: "refused", 429: "rate_limited"}.get(answer.status, "server")
        raise ReadFailed(kind, f"{subject}{error_text(answer.body, answer.status)}", answer.status)
    try:
        return decoder.decode(answer.body)
    except UNREADABLE as error:
        raise ReadFailed("malformed", f"{subject or 'not an answer of OpenAlgo: '}{error}", answer.status) from error


class OpenAlgoError(Exception):
    """An unsuccessful answer. `message` is the server's text, `status` the HTTP status, `advice` the next step."""

    advice: ClassVar[str] = "look at the server's log for this request"

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(f"{message} (HTTP {status}); {self.advice}" if status else f"{message}; {self.advice}")
        self.message, self.status = message, status


class FateUnknown(OpenAlgoError):
    """An order call may have taken effect."""

    advice = "do not send it again: read the order book until the order shows, for 130 s at least"


class BrokerDisconnected(OpenAlgoError):
    """Wrong key, or no broker session behind it: the server answers both alike."""

    advice = "log in to the broker on the OpenAlgo page, and compare the API key there with this account's"


class SymbolNotFound(OpenAlgoError):
    advice = "check symbol and exchange, and that today's master contract was downloaded after the login"


class InsufficientMargin(OpenAlgoError):
    advice = "lower the quantity or add funds; `mytrading status` shows what is free"


class InvalidQuantity(OpenAlgoError):
    advice = "use whole lots below the freeze quantity of today's instruments"


class PriceOutOfRange(OpenAlgoError):
    advice = "use a price on the tick inside today's price band"


class DuplicateOrder(OpenAlgoError):
    advice = "read the order book: the first one is there"


class MarketClosed(OpenAlgoError):
    advice = "send it in the exchange's session; MIS not after the square-off time"


class RateLimited(OpenAlgoError):
    advice = "wait a second, then send it again; lower the account's order rate if it recurs"


class NotWhitelisted(OpenAlgoError):
    """The broker accepts orders from registered addresses only, or the server banned this one."""

    advice = "register this host's egress address at the broker, or lift the ban on the server's security page"


class OrderNotFound(OpenAlgoError):
    advice = "read the order book: it lists this session's orders only"


class OrderClosed(OpenAlgoError):
    advice = "read the order: it was filled, cancelled or rejected already"


class ApprovalRequired(OpenAlgoError):
    advice = "approve it in the server's Action Center, or switch the account to automatic mode"


class NotSupported(OpenAlgoError):
    advice = "do without it at this broker, or update the server"


class InvalidRequest(OpenAlgoError):
    advice = "correct the named fields"


class ServerFailed(OpenAlgoError):
    advice = "try again; if it stays, look at the server's log and the broker's status page"


class Malformed(OpenAlgoError):
    """Not an answer of OpenAlgo: HTML of a proxy, or another shape than documented."""

    advice = "check that the address is OpenAlgo's REST address and what stands between"


class EmptyAnswer(OpenAlgoError):
    """A success without what it should hold; several brokers answer errors so."""

    advice = "treat it as unknown, never as nothing there; the broker session may have ended"


MEANINGS: tuple[tuple[str, type[OpenAlgoError]], ...] = (
    (r"whitelist|static ip|ip (address )?(is )?not (registered|allowed)|access denied.*banned", NotWhitelisted),
    (r"broker (is |was )?(disconnected|not connected)", BrokerDisconnected),
    (r"semi.?auto", ApprovalRequired),
    (r"invalid openalgo api ?key|session (has )?expired|token (is )?(invalid|expired)", BrokerDisconnected),
    (r"not logged in|(invalid|incorrect) `?(api key|access token|session)", BrokerDisconnected),
    (r"insufficient (funds|margin|balance)|margin (error|shortfall|exceeds)|rms:.*margin", InsufficientMargin),
    (r"shortage:", InsufficientMargin),
    (r"duplicate", DuplicateOrder),
    (r"square.?off time|market (is )?(closed|not open)|outside (market|trading) hours|after market", MarketClosed),
    (r"multiples? of (the )?lot|lot size|freeze (quantity|qty)|invalid quantity|'?quantity'?: ", InvalidQuantity),
    (r"price band|circuit|tick size|price (is )?out of|execution range|require(s)? (trigger )?price", PriceOutOfRange),
    (r"cannot (cancel|modify) order in|already (been )?(cancelled|complete|filled|rejected)", OrderClosed),
    (r"(order|gtt|trigger)\s?\S* not found|no such order", OrderNotFound),
    (r"symbol .*not found|invalid symbol|no (valid )?symbols?|not found (on|in) |unknown symbol", SymbolNotFound),
    (r"too many requests|\d+ per \d+ (second|minute|hour)|rate limit", RateLimited),
    (r"not (implemented|supported)", NotSupported),
    (r"unknown field|missing data|validation|not a valid|must be one of", InvalidRequest),
    (r"is required|invalid (input|request)", InvalidRequest),
)
"""Expression (ignoring case, `_` being a space) to type; the first that is found decides.

Sandbox texts first seen in version 2.0.2.1. Codes such as MARKET_CLOSED read as the words they are made of.
"""

_BY_STATUS: dict[int, type[OpenAlgoError]] = {
    400: InvalidRequest,
    401: BrokerDisconnected,
    403: BrokerDisconnected,
    404: NotSupported,
    429: RateLimited,
    501: NotSupported,
}
_TABLE = tuple((re.compile(pattern, re.IGNORECASE), kind) for pattern, kind in MEANINGS)


def typed_error(answer: HttpReply, *, placing: bool = False) -> OpenAlgoError:
    """Return (not raise) the error an unsuccessful answer means; `placing` if the call could have changed an order."""
    text = error_text(answer.body, answer.status)
    if answer.status == 429:
        return RateLimited(text, 429)
    if placing and answer.status not in DEFINITIVE:
        return FateUnknown(text, answer.status)
    return classify_error_text(text, answer.status)


def classify_error_text(text: str, status: int = 0) -> OpenAlgoError:
    """Return (not raise) the error meant by the text of an answer or order rejection; HTTP `status` 0 if unknown."""
    words = text.replace("_", " ")
    for expression, kind in _TABLE:
        if expression.search(words):
            return kind(text, status)
    if "<html" in text.lower() or "<!doctype" in text.lower():
        return Malformed(text, status)
    return _BY_STATUS.get(status, ServerFailed)(text, status)
