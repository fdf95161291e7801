"""Subscriptions at the market socket: instruments, modes, and the requests that bring them about.

An instrument counts as subscribed only when the server named it in an answer, and on a new connection nothing is
subscribed.

A lesser mode is never released while a fuller one is held: OpenAlgo's pool forgets to end it at the broker, and the
instrument comes back later with a few full frames before the lesser ones that were requested.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mytrading.adapters.openalgo.ws.market_frames import Acknowledged, FeedMode, feed_mode

ANSWER_NS = 15_000_000_000
"""A server was seen to freeze for 10 s: before this an unanswered request is not repeated."""
FIRST_RETRY_NS = 5_000_000_000
LONGEST_RETRY_NS = 300_000_000_000

Request = dict[str, Any]


class SubscriptionProgress(NamedTuple):
    """How far a subscription is: its mode, whether the server accepted it, its frames, and what it refused."""

    instrument: str
    mode: str
    accepted: bool
    frames: int
    error: str


@dataclass(slots=True, eq=False)
class _Item:
    """`accepted` is what the server acknowledged last and `held` all that it did; `ticked` if a frame has come on this
    connection or since the mode changed; `frames` counts all."""

    mode: FeedMode
    accepted: FeedMode | None = None
    held: set[FeedMode] = field(default_factory=set)
    ticked: bool = False
    frames: int = 0
    request: str = ""
    sent_ns: int = 0
    not_before: int = 0
    failures: int = 0
    error: str = ""


class Subscriptions:
    """Wanted instruments and how far each is. All times are machine ns.

    `request_depth` is for quotes that lack bid and ask; after a change to a lesser mode the fuller ones are released
    once that is there. Beyond `most` instruments `subscribe` refuses. Depth is never asked of a broker that refuses it
    (`set_has_depth`).
    """

    def __init__(self, most: int, batch: int, depth: bool) -> None:
        self._most, self._batch, self._depth = most, max(1, batch), depth
        self._items: dict[str, _Item] = {}
        self._open: dict[str, _Item] = {}
        self._leaving: list[tuple[str, FeedMode]] = []
        self._number = self._pause_until = 0
        self._has_depth = True

    def __contains__(self, instrument: str) -> bool:
        return instrument in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def accepted_count(self) -> int:
        """Return how many subscriptions the server has accepted."""
        return sum(1 for item in self._items.values() if item.accepted)

    @property
    def ticked_count(self) -> int:
        """Return how many accepted subscriptions have ticked on this connection."""
        return sum(1 for item in self._items.values() if item.accepted and item.ticked)

    @property
    def pending(self) -> list[str]:
        """Return the instruments that the server has neither accepted nor refused yet."""
        return [name for name, item in self._open.items() if not item.error]

    @property
    def refused(self) -> dict[str, str]:
        """Return the refusal text of each refused instrument."""
        return {name: item.error for name, item in self._items.items() if item.error}

    def progress(self) -> Iterator[SubscriptionProgress]:
        """Yield each subscription with how far it is."""
        for name, item in self._items.items():
            mode = (item.accepted or item.mode).wire_name
            yield SubscriptionProgress(name, mode, item.accepted is not None, item.frames, item.error)

    def is_accepted(self, instrument: str) -> bool:
        """True if the server has accepted the instrument on this connection."""
        item = self._items.get(instrument)
        return item is not None and item.accepted is not None

    def has_ticked(self, instrument: str) -> bool:
        """True if a frame of the instrument has come on this connection."""
        item = self._items.get(instrument)
        return item is not None and item.ticked

    def subscribe(self, instrument: str, mode: FeedMode = FeedMode.QUOTE) -> bool:
        """Register an instrument, or change its mode, for `take_next_request`; False if the limit is reached."""
        if mode is FeedMode.DEPTH and not self._has_depth:
            mode = FeedMode.QUOTE
        if (item := self._items.get(instrument)) is None:
            if len(self._items) >= self._most:
                return False
            item = self._items[instrument] = self._open[instrument] = _Item(mode)
        elif item.mode is not mode:
            self._change(instrument, item, mode)
        return True

    def _change(self, instrument: str, item: _Item, mode: FeedMode) -> None:
        item.mode, item.request, item.ticked = mode, "", False
        if item.accepted is not mode:
            self._open[instrument] = item

    def unsubscribe(self, instrument: str) -> None:
        """Remove an instrument; `take_next_request` tells the server."""
        item = self._items.pop(instrument, None)
        self._open.pop(instrument, None)
        if item is not None:
            self._release(instrument, item, FeedMode.LTP)

    def reset(self) -> None:
        """Forget what the server accepted, on a new connection: `take_next_request` asks for all again, also refused
        ones."""
        self._leaving.clear()
        self._pause_until = 0
        for item in self._items.values():
            item.accepted, item.request, item.ticked = None, "", False
            item.held.clear()
            item.not_before = item.failures = 0
        self._open = dict(self._items)

    def request_depth(self, instrument: str) -> None:
        """Change an instrument whose quotes lack bid and ask to Depth mode, unless that is off or was refused.

        `take_next_request` tells the server."""
        item = self._items.get(instrument)
        if item is not None and self._depth and self._has_depth and item.mode is FeedMode.QUOTE and not item.error:
            self._change(instrument, item, FeedMode.DEPTH)

    def set_has_depth(self, has_depth: bool) -> None:
        """Set whether the source's broker gives Depth; where it does not, Quote is asked for in its place."""
        self._has_depth = has_depth
        for name, item in self._items.items():
            if item.mode is FeedMode.DEPTH and not has_depth:
                self._change(name, item, FeedMode.QUOTE)

    def accept_frame(self, instrument: str) -> bool:
        """Record a received frame; False to discard it, as the instrument is not subscribed. Budget: 300 ns."""
        item = self._items.get(instrument)
        if item is None:
            return False
        item.ticked = True
        item.frames += 1
        return True

    def _release(self, instrument: str, item: _Item, least: FeedMode) -> None:
        """Let what is held from this mode up go, the fullest first, as that is what the server's pool gets right."""
        leaves = sorted((mode for mode in item.held if mode >= least), reverse=True)
        self._leaving += [(instrument, mode) for mode in leaves]
        item.held.difference_update(leaves)

    def take_next_request(self, machine_ns: int) -> Request | None:
        """Return the next message to send and record it as sent, unsubscriptions first; None if none is due."""
        if machine_ns < self._pause_until:
            return None
        if self._leaving:
            batch_out, self._leaving = self._leaving[: self._batch], self._leaving[self._batch :]
            # The mode counts per entry; one on top of the message is ignored, and the default is Quote.
            symbols = [{**_named(name), "mode": mode.wire_name} for name, mode in batch_out]
            return {"action": "unsubscribe", "symbols": symbols}
        due = [
            (name, item)
            for name, item in self._open.items()
            if machine_ns >= item.not_before and (not item.request or machine_ns - item.sent_ns >= ANSWER_NS)
        ]
        if due:
            mode = due[0][1].mode
            batch = [(name, item) for name, item in due if item.mode is mode][: self._batch]
            return self._subscribe_batch(batch, mode, machine_ns)
        return None

    def _subscribe_batch(self, batch: list[tuple[str, _Item]], mode: FeedMode, machine_ns: int) -> Request:
        self._number += 1
        request = f"s{self._number}"
        for _, item in batch:
            item.request, item.sent_ns = request, machine_ns
        symbols = [_named(name) for name, _ in batch]
        return {"action": "subscribe", "symbols": symbols, "mode": mode.wire_name, "request_id": request}

    def apply_answer(self, answer: Acknowledged, machine_ns: int) -> list[str]:
        """Apply the server's answer; returns the instruments accepted for the first time on this connection."""
        started = []
        for instrument, mode in answer.accepted:
            item, accepted = self._items.get(instrument), feed_mode(mode)
            if item is None:
                self._leaving += [(instrument, accepted)] if accepted else []  # dropped while it was requested
                continue
            if not item.accepted:
                started.append(instrument)
            late = bool(answer.request_id) and answer.request_id != item.request
            self._accept(instrument, item, accepted or item.mode, late)
        for instrument, reason in answer.refused:
            self._refuse(instrument, reason, machine_ns)
        for instrument in [name for name, item in self._open.items() if item.request == answer.request_id != ""]:
            self._refuse(instrument, "the server's answer does not name it", machine_ns)
        return started

    def _accept(self, instrument: str, item: _Item, mode: FeedMode, late: bool) -> None:
        item.held.add(mode)
        if late and mode is not item.mode:
            # The answer to a request from before the mode changed: data flow.
            item.accepted = item.accepted or mode
            return
        item.accepted = mode
        item.request, item.error, item.failures = "", "", 0
        # A server that answers with another mode than requested gives what it has.
        self._open.pop(instrument, None)
        if mode is not FeedMode.DEPTH:
            self._release(instrument, item, FeedMode(mode + 1))

    def _refuse(self, instrument: str, reason: str, machine_ns: int) -> None:
        if (item := self._items.get(instrument)) is None:
            return
        item.request = ""
        if item.accepted:
            # A fuller mode was refused and the one before still flows: that is what there is.
            item.error = f"no {item.mode.wire_name}: {reason}"
            item.mode = item.accepted
            self._open.pop(instrument, None)
            return
        item.error = reason
        if item.mode is FeedMode.DEPTH:
            # Brokers have no book of an index: its quotes are requested at once.
            item.mode = FeedMode.QUOTE
            return
        item.failures += 1
        item.not_before = machine_ns + _retry(item.failures)

    def retry_unanswered(self, machine_ns: int) -> None:
        """Schedule all unanswered requests again, after a pause: an error frame does not name its request."""
        self._pause_until = machine_ns + FIRST_RETRY_NS
        for item in self._open.values():
            if item.request:
                item.request = ""
                item.failures += 1
                item.not_before = machine_ns + _retry(item.failures)


def _retry(failures: int) -> int:
    return min(LONGEST_RETRY_NS, FIRST_RETRY_NS << min(failures - 1, 10))


def _named(instrument: str) -> dict[str, str]:
    exchange, _, symbol = instrument.partition(":")
    return {"symbol": symbol, "exchange": exchange}
