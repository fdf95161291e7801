"""The simulator of a stack, as OpenAlgo in analyze mode behind a broker: paper orders, and the broker's market data.

`put_behind` names this file as the simulator's program in a project's supervisord.conf. Used by tests of a broker's
market data in stacks for which the market waits. Rule: it differs from the shipped program in what server it imitates.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from msgspec import structs

from mytrading.simulator import embedded, main
from mytrading.simulator.market.day import SimulatedQuote
from mytrading.simulator.venue.venue import SimulatedVenue

_FURTHER = 4
_SHIPPED = "-m mytrading.simulator.embedded"


def put_behind(home: Path, broker: str) -> None:
    """Let the simulator of the project's stack have the market data of a broker."""
    conf = home / "supervisord.conf"
    text = conf.read_text(encoding="utf-8")
    assert text.count(_SHIPPED) == 1
    conf.write_text(text.replace(_SHIPPED, f"{Path(__file__)} {broker}"), encoding="utf-8")


class AnalyzingVenue(SimulatedVenue):
    """A server with a broker whose operator switched analyze mode on. Its books show what an even, full one hides.

    The first quote of an instrument has no offers: for that alone the feed asks for Depth frames. Bids lie `_FURTHER`
    ticks further off than the market makes them: else the last price is the middle of bid and ask too.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.analyze = True
        self._shown: set[str] = set()

    def publish(self, quote: SimulatedQuote) -> None:
        """Send a quote with such a book to its subscribers."""
        name, tick = quote.instrument.id, quote.instrument.tick_size
        if name not in self._shown and name in self.hub.watched_instruments:
            self._shown.add(name)
            quote = structs.replace(quote, bid=0.0, ask=0.0)
        elif quote.bid:
            quote = structs.replace(quote, bid=round(max(quote.bid - _FURTHER * tick, tick), 2))
        super().publish(quote)


def serve(broker: str) -> int:
    """Run the simulator of a stack behind a broker; returns its exit code."""
    plain = embedded.simulator_options_of_run
    embedded.simulator_options_of_run = lambda config: replace(plain(config), personality="live", broker=broker)
    main.SimulatedVenue = AnalyzingVenue  # type: ignore[misc]
    return embedded.main()


if __name__ == "__main__":
    raise SystemExit(serve(sys.argv[1]))
