"""How long a server that answered 429 wants to be left alone.

Used by the outcome policy and by readers. A plain OpenAlgo says only "10 per 1 second"; a proxy before it may send
Retry-After. The one rule: what the server says is waited, between a second and an hour; who waits for longer than
`LOUD_NS` raises an alert. "100 per 1 hour" is a limit and no wait, so that it counts for a minute at most.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from mytrading.adapters.openalgo.client import Answer
from mytrading.messages.codec import UNREADABLE

SECOND = 1_000_000_000
SHORTEST_NS, LONGEST_NS = SECOND, 3600 * SECOND
WINDOW_NS = 60 * SECOND
LOUD_NS = 60 * SECOND

_WINDOW = re.compile(r"\bper (\d{1,9})? ?(second|minute|hour)")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600}


class _Body(msgspec.Struct):
    message: Any = ""
    retry_after: Any = None


_decoder = msgspec.json.Decoder(_Body)


def retry_after_ns(answer: Answer) -> int:
    """Nanoseconds to wait after this answer: its header, its `retry_after`, else the window that its text names."""
    return min(LONGEST_NS, max(SHORTEST_NS, answer.retry_after_ns or _said(answer.body)))


def _said(body: bytes) -> int:
    try:
        parsed = _decoder.decode(body)
    except UNREADABLE:
        return 0
    if isinstance(parsed.retry_after, int | float) and parsed.retry_after >= 0:
        return int(min(parsed.retry_after, LONGEST_NS / SECOND) * SECOND)
    found = _WINDOW.search(str(parsed.message)[:1000])
    return min(WINDOW_NS, int(found[1] or 1) * _SECONDS[found[2]] * SECOND) if found else 0
