"""The outcome policy: the meaning of each answer to an order call, in one pure place.

UNKNOWN is the default. Only an answer known to be definitive says that nothing was placed, and a success counts as
acceptance only with an order id and in the expected mode.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from mytrading.adapters.openalgo.rest.broker_quirks import order_id_of, with_refusal_code
from mytrading.adapters.openalgo.rest.client import HttpReply, NotSent, TransportFailed
from mytrading.adapters.openalgo.rest.errors import DEFINITIVE, error_text
from mytrading.adapters.openalgo.rest.retry import retry_after_ns
from mytrading.messages.codec import UNREADABLE
from mytrading.messages.enums import Call, Outcome
from mytrading.messages.run_config import ServerMode
from mytrading.messages.text import shown

SEMI_AUTO = "semi_auto"


class CallVerdict(NamedTuple):
    """The outcome of a call, with the broker's id of the order where the answer named one."""

    outcome: Outcome
    broker_order_id: str = ""
    message: str = ""
    retry_after_ns: int = 0


class _OrderReply(msgspec.Struct):
    status: Any = ""
    orderid: Any = None
    mode: Any = None
    message: Any = ""
    pending_order_id: Any = None


_decoder = msgspec.json.Decoder(_OrderReply)


def classify_answer(call: Call, answer: HttpReply, expected: ServerMode) -> CallVerdict:
    """Classify a complete answer to an order call: accepted, refused, parked, rate-limited, unknown, or from a server
    in another mode than `expected`."""
    if answer.status == 429:
        return CallVerdict(Outcome.RATE_LIMITED, "", error_text(answer.body, answer.status), retry_after_ns(answer))
    try:
        reply = _decoder.decode(answer.body)
    except UNREADABLE:
        reply = None
    failed = answer.status != 200 or reply is None or reply.status != "success"
    # An error that names the other mode, whatever its status; of successes, one without a mode counts too.
    if failed and reply is not None and reply.mode not in (None, "", SEMI_AUTO, expected.value):
        return CallVerdict(Outcome.WRONG_MODE, _order_id(reply), wrong_mode_text(shown(reply.mode), expected))
    if answer.status in DEFINITIVE:
        return CallVerdict(Outcome.REFUSED, _order_id(reply), with_refusal_code(error_text(answer.body, answer.status)))
    if failed or reply is None:
        text = f"HTTP {answer.status}: {error_text(answer.body, answer.status)}"
        return CallVerdict(Outcome.UNKNOWN, _order_id(reply), text)
    name, mode = _order_id(reply), mode_of(reply.mode)
    if reply.mode == SEMI_AUTO or reply.pending_order_id is not None:
        return CallVerdict(Outcome.PARKED, name, f"held for approval at the server ({shown(reply.pending_order_id)})")
    if mode != expected.value:
        return CallVerdict(Outcome.WRONG_MODE, name, wrong_mode_text(mode, expected))
    if call is Call.PLACE and not name:
        return CallVerdict(Outcome.UNKNOWN, "", "success without an order id")
    return CallVerdict(Outcome.ACCEPTED, name)


def classify_failure(failure: TransportFailed) -> CallVerdict:
    """Classify an order call without a complete answer: NOT_SENT if no byte was sent, else UNKNOWN."""
    return CallVerdict(Outcome.NOT_SENT if isinstance(failure, NotSent) else Outcome.UNKNOWN, "", str(failure))


def mode_of(mode: Any) -> str:
    """Return the server mode (live or analyze) that a success answer's `mode` field means: live if it is missing."""
    return shown(mode) if mode else ServerMode.LIVE.value


def wrong_mode_text(mode: str, expected: ServerMode) -> str:
    """Return the operator's message for a server that answers in another mode than configured."""
    return f"expected a server in mode {expected.value}, found {mode}; switch its analyzer mode back, then resume"


def _order_id(reply: _OrderReply | None) -> str:
    return "" if reply is None else order_id_of(reply.orderid)
