"""How long ago a followed stream told of each instrument.

Used by the follower, which notes, and by `Venue`, which asks before an order meets a price. The one rule: an old price
is no price, whatever else the stream still tells.
"""

from __future__ import annotations

from mytrading.core.symbology import parse_symbol, split_id

_SILENT_NS, _OPTION_SILENT_NS = 30_000_000_000, 60_000_000_000
"""Market time after which a price that was told is none to fill at; options trade less often."""


class Heard:
    """When each instrument was last told of, and anything at all. All times are market ns."""

    def __init__(self) -> None:
        self._at: dict[str, int] = {}
        self._last = 0

    def note(self, instrument: str, now: int) -> None:
        """A quote of the instrument came."""
        self._at[instrument] = self._last = now

    def is_fresh(self, instrument: str, now: int) -> bool:
        """Whether its price is young enough, and the stream alive."""
        exchange, symbol = split_id(instrument)
        limit = _OPTION_SILENT_NS if parse_symbol(symbol, exchange).kind.is_option else _SILENT_NS
        return now - self._last <= _SILENT_NS and now - self._at.get(instrument, 0) <= limit
