"""Lock-step in a daemon: it reports its messages sent and handled; the simulator waits until none is under way."""

from __future__ import annotations

import msgspec

from mytrading.messages.codec import Header
from mytrading.messages.market import MarketStep


class Progress(msgspec.Struct, frozen=True):
    """The progress of a daemon; the fields are those of `StepDone`."""

    mark: int = 0
    waits: str = ""
    sent: dict[str, int] = {}
    seen: dict[str, int] = {}


class MarketStreamPlace:
    """How far a reader has come in the stream `market`: two step messages in a row prove that it has all between."""

    def __init__(self) -> None:
        self._last = 0
        self.seen = 0
        self.market_ns = 0
        """Market time of the last step of which all is here."""

    def record(self, step: MarketStep) -> bool:
        """Record a step message; True, and `seen` moves on, if no step message was lost since the one before."""
        whole = step.n == self._last + 1
        self._last = step.n
        if whole:
            self.seen, self.market_ns = step.n, step.market_ns
        return whole


def pipe_place(header: Header) -> int:
    """Return a message's position in a non-journaled pipe as one number, higher after a later start of its writer."""
    return header.epoch << 32 | header.sequence
