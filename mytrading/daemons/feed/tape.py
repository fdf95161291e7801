"""Tape recorder: writes frames of the active source onto the tape of the day.

Journals come first: on a disk that is nearly full the tape stops before they do.
"""

from __future__ import annotations

from collections.abc import Sequence

from mytrading.adapters.openalgo.ws.connection import SocketEvent, SocketFrame
from mytrading.adapters.storage.tape import TapeWriter
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.host.clock import MarketClock

TAPE_BYTES = 4 << 30


class TapeRecorder:
    """Records frames, unless the configuration turns the tape off."""

    def __init__(self, config: RunConfig, clock: MarketClock) -> None:
        self._wanted = config.data.tick_data
        self._clock = clock
        self._tape = TapeWriter(config.tape_dir, TAPE_BYTES)

    @property
    def lost(self) -> int:
        """Number of frames not recorded."""
        return self._tape.lost

    def look(self, day: str, disk_low: bool) -> None:
        """Continue in the file of `day` (ISO date), or close it."""
        if disk_low or not self._wanted:
            self._tape.close()
        else:
            self._tape.roll(day)
            self._tape.flush()

    def record(self, events: Sequence[SocketEvent]) -> None:
        """Append frames; called after their quotes are on the bus."""
        if not self._wanted:
            return
        for event in events:
            if type(event) is SocketFrame:
                self._tape.append(event.received_ns, self._clock.at(event.received_ns), event.data)

    def close(self) -> None:
        """Write buffered frames."""
        self._tape.close()
