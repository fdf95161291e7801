"""Reading once more: a read that failed on the way, or in the server, is tried again after a pause.

Used by whoever makes one read and has no schedule of its own: history, and the commands. Reconciler, instruments and
the prices of what is held repeat by their own schedules, for ever. The one rule: only reads come here, because an order
call that is repeated may be placed twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from mytrading.adapters.openalgo.client import Answer, Deadline, OpenAlgoClient
from mytrading.adapters.openalgo.errors import MaybeSent
from mytrading.adapters.openalgo.patience import retry_after_ns

LONGEST_S = 60.0
"""A server that wants to be left alone for longer is not waited for within a call."""


class Retries(NamedTuple):
    """How often a read is tried in all, and the seconds between; `wait` sleeps."""

    tries: int = 3
    pause_s: float = 2.0
    wait: Callable[[float], object] = time.sleep


ONCE = Retries(tries=1)


def read(client: OpenAlgoClient, endpoint: str, deadline: Deadline, retries: Retries, **payload: object) -> Answer:
    """POST a read as often as `retries` says. Returns the last answer, or raises what the last call raised.

    What is answered definitively (a refusal, an unknown symbol) is not asked again, nor is a server that is not there.
    """
    return again(lambda: client.call(endpoint, payload, deadline), retries)


def again(ask: Callable[[], Answer], retries: Retries) -> Answer:
    """Call `ask` until it brings an answer that stands; after a 429, when the server said."""
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
