"""A real feed beside a server whose frames have another scale than its REST quotes, for one instrument alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from mytrading.messages.control import EntriesClosed, WantInstruments
from mytrading.messages.market import Quote
from tests.kit.feed_process import NIFTY, SBIN, RunningFeed, feed_config, start_feed
from tests.kit.simulator_process import start_simulator

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
TRUE = 10_000.0
"""Rupees that no price of SBIN reaches, and each one of it times 1,000 exceeds."""


def closed(feed: RunningFeed) -> dict[str, str]:
    """Why entries are closed, as the feed said last."""
    levels = [message for message in feed.others if isinstance(message, EntriesClosed)]
    return levels[-1].reasons if levels else {}


def newest(feed: RunningFeed) -> Quote | None:
    return next((quote for quote in reversed(feed.quotes) if quote.instrument == SBIN), None)


def test_instrument_whose_frames_are_in_another_scale_is_closed_by_name_and_if_held_goes_by_rest(
    tmp_path: Path, runtime: Path
) -> None:
    with start_simulator(tmp_path) as server:
        server.call("/sim/fault", kind="price_wrong", instrument=SBIN, factor=1000.0, count=-1)
        config = feed_config(tmp_path, runtime, server.rest, server.ws, (NIFTY, SBIN), historical=False)
        with start_feed(config) as feed:
            feed.wait_ready()
            assert closed(feed) == {}, "one that is not compared yet trades"
            feed.wait(lambda found: (quote := newest(found)) and quote.ltp > TRUE)
            feed.wait(lambda found: list(closed(found)) == [SBIN], 30)
            feed.asker.send("risk", WantInstruments(daemon="risk", instruments=(SBIN,), held=(SBIN,)))
            feed.wait(lambda found: (quote := newest(found)) and quote.ltp < TRUE)
            feed.wait(lambda found: (alert := found.alert("PRICES_APART")) and alert.severity == "critical")
            seen = len(feed.quotes)
            feed.wait(lambda found: sum(quote.instrument == SBIN for quote in found.quotes[seen:]) >= 3)
            assert all(quote.ltp < TRUE for quote in feed.quotes[seen:] if quote.instrument == SBIN)
            assert feed.beats[-1].figures["compared"] >= 3
