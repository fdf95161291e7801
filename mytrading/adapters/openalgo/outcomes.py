"""The outcome policy, in one place: what an answer to a placing, cancelling or modifying call means.

Pure. Only a definitive answer is a refusal; everything that does not say what happened is UNKNOWN, and resolved by
reading. The one rule: no caller looks at a status code or a message to decide whether an order exists.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from mytrading.adapters.openalgo.errors import MaybeSent, NotSent, TransportFailed, error_text
from mytrading.messages.enums import Call, Outcome

REFUSING = frozenset({400, 401, 403, 404, 501})
"""Answers that the server gives without having asked the broker, or with the broker's own refusal."""

ANALYZE = "analyze"
LIVE = "live"


class Verdict(NamedTuple):
    """How a call ended, the broker's order id if it gave one, and what was said."""

    outcome: Outcome
    broker_order_id: str = ""
    message: str = ""


class _Reply(msgspec.Struct):
    status: str = ""
    orderid: Any = None
    mode: str | None = None
    pending_order_id: Any = None
    message: Any = ""


_decoder = msgspec.json.Decoder(_Reply)


def judge(call: Call, status: int, body: bytes, expected_mode: str) -> Verdict:
    """The verdict on a complete answer. `expected_mode` is analyze or live."""
    if status == 429:
        return Verdict(Outcome.RATE_LIMITED, message=error_text(body, status))
    if status in REFUSING:
        return Verdict(Outcome.REFUSED, message=error_text(body, status))
    if status != 200:
        return Verdict(Outcome.UNKNOWN, message=f"HTTP {status}: {error_text(body, status)}")
    try:
        reply = _decoder.decode(body)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return Verdict(Outcome.UNKNOWN, message=f"an answer that is not JSON: {error_text(body, status)}")
    return _judge_reply(call, reply, body, expected_mode)


def _judge_reply(call: Call, reply: _Reply, body: bytes, expected_mode: str) -> Verdict:
    if reply.mode == "semi_auto" or reply.pending_order_id is not None:
        return Verdict(Outcome.PARKED, message="held by the server for approval by hand (semi-auto mode)")
    if reply.status != "success":
        text = error_text(body, 200)
        return Verdict(Outcome.REFUSED if reply.status == "error" else Outcome.UNKNOWN, message=text)
    found = reply.mode or LIVE
    identity = "" if reply.orderid is None else str(reply.orderid).strip()
    if found != expected_mode:
        return Verdict(
            Outcome.WRONG_MODE, identity, f"the server answered in {found} mode, {expected_mode} mode was expected"
        )
    if call is Call.PLACE and not identity:
        return Verdict(Outcome.UNKNOWN, message="success without an order id")
    return Verdict(Outcome.ACCEPTED, identity)


def judge_failure(error: TransportFailed) -> Verdict:
    """The verdict on a call without a complete answer."""
    if isinstance(error, NotSent):
        return Verdict(Outcome.NOT_SENT, message=str(error))
    assert isinstance(error, MaybeSent), type(error)
    return Verdict(Outcome.UNKNOWN, message=str(error))
