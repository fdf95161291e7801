"""Rows of the journal of `webhooks`: the alerts that came in over HTTP, and what was decided on each.

No token and no secret is ever in them: an alert names its webhook, and its body is kept with secrets blanked out.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Sender(StrEnum):
    """Program that sends the alerts of a webhook, and so the form of their bodies."""

    TRADINGVIEW = "tradingview"
    CHARTINK = "chartink"
    AMIBROKER = "amibroker"
    GENERIC = "generic"


class AlertAction(StrEnum):
    """Word that an alert gives: BUY and SELL by the webhook's mode; SHORT sells to open, COVER buys to close."""

    BUY = "BUY"
    SELL = "SELL"
    SHORT = "SHORT"
    COVER = "COVER"


class AlertVerdict(StrEnum):
    """Outcome of an alert. A `no_op` wants what is there already, a `duplicate` is an earlier alert sent again."""

    ACCEPTED = "accepted"
    NO_OP = "no_op"
    DUPLICATE = "duplicate"
    REFUSED = "refused"


class AlertRefusal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Reason why an alert is not acted on: a code of `core/webhooks/refusals.py`, and a text for the sender.

    The text says what was expected, what was found, and what to do. `retry_after` is in seconds, 0 for none.
    """

    code: str
    text: str
    retry_after: int = 0


class AlertIntent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A sender's request for one symbol, in its own words. Sizes are in units; None where the alert gives none."""

    symbol: str
    action: AlertAction
    position_size: int | None = None
    quantity: int | None = None


class AlertReceived(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="alert_received"):
    """One request to a webhook whose token was right. `received_ns` is machine time, `body` has no secrets.

    `status` is the random name under which its sender may ask what became of it. `sender_id` and `bar_time` are the
    sender's own, "" where it gives none. `refusal` is set, and `intents` empty, if the request could not be read.
    `signature` is the digest of a signature that was checked, "" where none is asked for.
    """

    id: str
    status: str
    webhook: str
    ip: str
    received_ns: int
    body_hash: str
    body: str
    sender_id: str = ""
    bar_time: str = ""
    intents: tuple[AlertIntent, ...] = ()
    refusal: AlertRefusal | None = None
    signature: str = ""


class AlertJudged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="alert_judged"):
    """Verdict on one symbol of an alert, or on all of it where `symbol` is empty.

    `instrument` is what is traded, and `watch` the instrument whose price chose it, "" where it is traded itself.
    `target` is the position wanted, in signed units; `signal` the id of the signal that carries it to risk. `first` is
    the alert that a duplicate repeats. `key` is what later alerts are compared by, `received_ns` that of the alert.
    """

    alert: str
    webhook: str
    verdict: AlertVerdict
    at_ns: int
    received_ns: int
    symbol: str = ""
    instrument: str = ""
    target: int = 0
    signal: str = ""
    first: str = ""
    key: str = ""
    refusal: AlertRefusal | None = None
    watch: str = ""


class AlertRemembered(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An alert of the last days as a new journal carries it: what its status page shows."""

    id: str
    status: str
    webhook: str
    received_ns: int
    at_ns: int
    verdicts: tuple[AlertJudged, ...]
    signature: str = ""


class WebhooksOpened(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="webhooks_opened"):
    """First row of a day's journal of `webhooks`: the alerts that can be asked for, the oldest first, the strategies
    whose entries an operator has switched off, and the market time of each webhook's last alert.

    `standing` are verdicts on older alerts that still count: the last signal of a symbol, or one whose repetition would
    be a duplicate.
    """

    day: str
    alerts: tuple[AlertRemembered, ...] = ()
    switched_off: tuple[str, ...] = ()
    last: dict[str, int] = {}
    standing: tuple[AlertJudged, ...] = ()
