"""One request and its answer as a type.

An answer is parsed here or raises; no dictionary leaves by accident.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from mytrading.adapters.openalgo.rest.client import Deadline, HttpReply, OpenAlgoClient
from mytrading.adapters.openalgo.rest.error_types import EmptyAnswer, FateUnknown, Malformed, error_of
from mytrading.messages.codec import UNREADABLE

T = TypeVar("T")

Row = dict[str, Any]
"""A row whose keys depend on the broker."""


class _Head(msgspec.Struct):
    status: Any = ""


_head = msgspec.json.Decoder(_Head)


def ask(client: OpenAlgoClient, endpoint: str, payload: Mapping[str, Any], kind: type[T], deadline: Deadline) -> T:
    """POST a read and parse its answer. Numbers may come as text. Raises `OpenAlgoError`."""
    return parsed(client.call(endpoint, _given(payload), deadline), kind)


def fetch(client: OpenAlgoClient, endpoint: str, query: Mapping[str, str], kind: type[T], deadline: Deadline) -> T:
    """GET a read and parse its answer. Raises `OpenAlgoError`."""
    return parsed(client.get(endpoint, query, deadline), kind)


def order(client: OpenAlgoClient, endpoint: str, payload: Mapping[str, Any], kind: type[T]) -> T:
    """POST a call that can make or change orders. Raises `FateUnknown` unless the answer is definitive."""
    return parsed(client.call(endpoint, _given(payload), Deadline.ORDER), kind, placing=True)


def parsed(answer: HttpReply, kind: type[T], *, placing: bool = False) -> T:
    """The answer as `kind`. An answer with status 200 is a success if it says so, partial counts."""
    if answer.status != 200 or not _succeeded(answer.body):
        raise error_of(answer, placing=placing)
    try:
        return msgspec.json.decode(answer.body, type=kind, strict=False)
    except UNREADABLE as error:
        text = f"expected {kind.__name__}, found another shape: {error}"
        if placing:
            raise FateUnknown(text, answer.status) from error
        if "missing required field `data" in str(error) or _empty(answer.body):
            raise EmptyAnswer(text, answer.status) from error
        raise Malformed(text, answer.status) from error


def _succeeded(body: bytes) -> bool:
    try:
        return _head.decode(body).status in ("success", "partial")
    except UNREADABLE:
        return False


def _empty(body: bytes) -> bool:
    """True for `data` that is there and holds nothing."""
    try:
        found = msgspec.json.decode(body)
    except UNREADABLE:
        return False
    return isinstance(found, dict) and not found.get("data", True)


def _given(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Without what was left out: the server refuses null."""
    return {key: value for key, value in payload.items() if value is not None}
