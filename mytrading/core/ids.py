"""Client order ids: the name of an order, derived from why it exists.

An id comes from content and market time, never from a counter, so that the same decision made twice names the same
order.
"""

from __future__ import annotations

from hashlib import blake2b

from mytrading.messages.enums import Purpose

_SEPARATOR = "\x1f"


def content_id(*parts: str | int) -> str:
    """Return 16 hex digits, a hash of the parts and their order: equal parts have an equal id in every process."""
    return blake2b(_SEPARATOR.join(map(str, parts)).encode(), digest_size=8).hexdigest()


def client_order_id(
    account: str, cause: str, purpose: Purpose, leg: str = "", slice_number: int = 0, attempt: int = 0
) -> str:
    """The id of the order that `cause` (a signal, goal or position version) asks for, as 16 hex digits.

    `leg` names the instrument within a basket, `slice_number` the part of a sliced order, `attempt` counts earlier
    attempts that ended or never reached the broker.
    """
    return content_id(account, cause, purpose, leg, slice_number, attempt)
