"""Retries of reads that failed on the way or in the server. Order calls never come here: they might be placed twice.

Reconciler, instruments and the prices of held instruments repeat by their own schedules, for ever.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from mytrading.adapters.openalgo.rest.client import Deadline, HttpReply, MaybeSent, OpenAlgoClient
from mytrading.core.time import SECOND
from mytrading.messages.codec import UNREADABLE

SHORTEST_NS, LONGEST_NS = SECOND, 3600 * SECOND
WINDOW_NS = 60 * SECOND
LOUD_NS = 60 * SECOND

_WINDOW = re.compile(r"\bper (\d{1,9})? ?(second|minute|hour)")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600}


class _Body(msgspec.Struct):
    message: Any = ""
    retry_after: Any = None


_decoder = msgspec.json.Decoder(_Body)


def retry_after_ns(answer: HttpReply) -> int:
    """Return the wait in ns that an answer demands: by header, `retry_after`, or the window in its text."""
    return min(LONGEST_NS, max(SHORTEST_NS, answer.retry_after_ns or _window_ns(answer.body)))


def _window_ns(body: bytes) -> int:
    try:
        parsed = _decoder.decode(body)
    except UNREADABLE:
        return 0
    if isinstance(parsed.retry_after, int | float) and parsed.retry_after >= 0:
        return int(min(parsed.retry_after, LONGEST_NS / SECOND) * SECOND)
    found = _WINDOW.search(str(parsed.message)[:1000])
    return min(WINDOW_NS, int(found[1] or 1) * _SECONDS[found[2]] * SECOND) if found else 0


LONGEST_S = 60.0
"""A server that wants to be left alone for longer is not waited for within a call."""


class Retries(NamedTuple):
    """Number of tries of a read, and the seconds between them; `wait` sleeps."""

    tries: int = 3
    pause_s: float = 2.0
    wait: Callable[[float], object] = time.sleep


ONCE = Retries(tries=1)


def read_with_retries(
    client: OpenAlgoClient, endpoint: str, payload: Mapping[str, object], deadline: Deadline, retries: Retries
) -> HttpReply:
    """POST a read request, again on a 429, a 5xx or no answer. Returns the last answer, or raises `MaybeSent`."""
    return retry_until_final(lambda: client.call(endpoint, payload, deadline), retries)


def retry_until_final(ask: Callable[[], HttpReply], retries: Retries) -> HttpReply:
    """Call `ask` until it returns no 429 or 5xx or tries run out, after a 429 no sooner than the server allows. Returns
    the last answer, or raises `NotSent` (at once) or the last `MaybeSent`."""
    for left in range(retries.tries - 1, -1, -1):
        pause_s = retries.pause_s
        try:
            answer = ask()
        except MaybeSent:
            if not left:
                raise
        else:
            if answer.status == 429:
                pause_s = max(pause_s, retry_after_ns(answer) / 1e9)
            if not left or not (answer.status >= 500 or answer.status == 429) or pause_s > LONGEST_S:
                return answer
        retries.wait(pause_s)
    raise AssertionError("at least one try")
