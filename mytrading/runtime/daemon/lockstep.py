"""Lock-step as a daemon sees it: it says on `status` how far it has come, and the simulator waits until nothing is
under way.

Every daemon counts what it has sent and what it has worked through; where the two ends of every stream agree and nobody
waits for anything, nothing can happen any more before the market moves. A daemon is counted at the end of a turn of its
loop, when what it read is dealt with.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from mytrading.messages.codec import Header
from mytrading.messages.control import StepDone
from mytrading.messages.market import MarketStep

Send = Callable[[StepDone], None]


class Progress(msgspec.Struct, frozen=True):
    """What a daemon says of itself; the fields are those of `StepDone`."""

    mark: int = 0
    waits: str = ""
    sent: dict[str, int] = {}
    seen: dict[str, int] = {}


class Acknowledger:
    """Sends a daemon's progress whenever it is another than before."""

    def __init__(self, daemon: str, send: Send) -> None:
        self._daemon = daemon
        self._send = send
        self._last: Progress | None = None

    def tell(self, progress: Progress) -> None:
        """Send it if it is news."""
        if progress != self._last:
            self._last = progress
            self._send(StepDone(daemon=self._daemon, pid=os.getpid(), **msgspec.structs.asdict(progress)))

    def repeat(self) -> None:
        """The next one is sent whatever it says: a level, for whoever missed it."""
        self._last = None


class MarketPlace:
    """How far a reader has come in `market`: two step messages in a row prove that it has all between them."""

    def __init__(self) -> None:
        self._last = 0
        self.seen = 0

    def take(self, step: MarketStep) -> bool:
        """True if all that went out before this step message has come."""
        whole = step.n == self._last + 1
        self._last = step.n
        if whole:
            self.seen = step.n
        return whole


def place(header: Header) -> int:
    """Where a message of a pipe that is not journaled stands: numbers of a later start of its writer are higher."""
    return header.epoch << 32 | header.sequence
