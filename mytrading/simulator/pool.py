"""The way of quotes behind OpenAlgo's socket: which mode the broker sends of an instrument, and for whom that is.

Used by `Hub`; conduct as that of a running OpenAlgo 2.0.2 in front of zerodha, leak included. The one rule: a frame
reaches a client under the fullest mode it holds that is not above the frame's own.
"""

from __future__ import annotations

from collections.abc import Collection

from mytrading.simulator.frames import DEPTH

LATE_QUOTES = 2
"""Quotes that still come in the fuller mode after the broker was asked for a lesser one."""


class _Stream:
    """What the broker sends, and the modes that its adapter believes to be wanted."""

    __slots__ = ("kept", "late", "mode", "sends")

    def __init__(self) -> None:
        self.kept: set[int] = set()
        self.mode = self.sends = self.late = 0

    def ask(self, mode: int) -> None:
        """The adapter asks for a mode: a fuller one is there at once, a lesser one after some quotes."""
        self.kept.add(mode)
        self.mode, self.late = mode, LATE_QUOTES if mode < self.sends else 0
        if not self.late:
            self.sends = mode


class Pool:
    """Modes by instrument, as clients come and go. It lives as long as the server: its own engine listens too.

    The leak: a mode that is given up while a fuller one is held stays with the adapter, and keeps the broker sending
    the fuller one after that was given up as well.
    """

    def __init__(self) -> None:
        self._streams: dict[str, _Stream] = {}

    def wanted(self, instrument: str, mode: int, held: Collection[int]) -> None:
        """The first client asks for a mode; clients held these before."""
        stream = self._streams.setdefault(instrument, _Stream())
        if mode > max(held, default=0):
            stream.ask(mode)
        stream.kept.add(mode)

    def given_up(self, instrument: str, mode: int, left: Collection[int]) -> None:
        """The last client of a mode gave it up; these are held still."""
        stream = self._streams[instrument]
        if mode < max(left, default=0):
            return
        stream.kept.discard(mode)
        if left:
            stream.ask(max(left))
        elif not stream.kept:
            del self._streams[instrument]

    def kinds(self, instrument: str) -> list[int]:
        """The frames that one quote becomes, fullest first: of a full tick those of lesser modes are cut."""
        stream = self._streams[instrument]
        return sorted({mode for mode in stream.kept if mode < stream.sends} | {stream.sends}, reverse=True)

    def is_full(self, instrument: str) -> bool:
        """True while the broker sends the book."""
        return self._streams[instrument].sends == DEPTH

    def passed(self, instrument: str) -> None:
        """One more quote went out."""
        stream = self._streams[instrument]
        if stream.late:
            stream.late -= 1
            if not stream.late:
                stream.sends = stream.mode
