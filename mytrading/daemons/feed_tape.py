"""The feed's tape desk: which frames go onto the tape of which day, and when there is none.

Part of the feed. The one rule: journals come first: on a disk that is nearly full the tape stops before they do.
"""

from __future__ import annotations

from collections.abc import Sequence

from mytrading.adapters.openalgo.socket import Frame, SocketEvent
from mytrading.adapters.tape import TapeWriter
from mytrading.messages.runconfig import RunConfig
from mytrading.runtime.clock import MarketClock

TAPE_BYTES = 4 << 30


class TapeDesk:
    """Records what the serving line gave, unless the configuration wants no tape."""

    def __init__(self, config: RunConfig, clock: MarketClock) -> None:
        self._wanted = config.data.tick_data
        self._clock = clock
        self._tape = TapeWriter(config.tape_dir, TAPE_BYTES)

    @property
    def lost(self) -> int:
        """Frames that were not recorded."""
        return self._tape.lost

    def tend(self, day: str, disk_low: bool) -> None:
        """Go on in the file of `day` (ISO date), or close it."""
        if disk_low or not self._wanted:
            self._tape.close()
        else:
            self._tape.roll(day)
            self._tape.flush()

    def record(self, events: Sequence[SocketEvent]) -> None:
        """Put frames on the tape; called after what they said is on the bus."""
        if not self._wanted:
            return
        for event in events:
            if type(event) is Frame:
                self._tape.append(event.received_ns, self._clock.at(event.received_ns), event.data)

    def close(self) -> None:
        """Write what waits."""
        self._tape.close()
