"""An instrument that is wanted again gives quotes again, whatever OpenAlgo's pool kept of it.

Against both kinds of server: one whose quotes lack bid and ask, so that the feed asks for the book, and one whose
quotes have them, where another client's book leads to the same frames.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import websocket

from mytrading.messages.control import WantInstruments
from mytrading.messages.market import Quote
from mytrading.messages.run_config import RunConfig
from tests.kit.feed_process import NIFTY, SBIN, RunningFeed, feed_config, start_feed
from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]
OPTION = "NFO:NIFTY23NOV2626000CE"


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path, speed=30, personality=request.param) as running:
        yield running


@pytest.fixture
def config(server: RunningSimulator, tmp_path: Path, runtime: Path) -> RunConfig:
    return feed_config(tmp_path, runtime, server.rest, server.ws, (NIFTY, SBIN), historical=False, keep_seconds=0.5)


@contextmanager
def another_with_the_book(server: RunningSimulator) -> Iterator[None]:
    """Another client of the server holds the option's quotes, then its book as well, and goes."""
    with closing(websocket.create_connection(server.ws, timeout=10)) as other:
        exchange, _, symbol = OPTION.partition(":")
        for message in (
            {"action": "authenticate", "api_key": API_KEY},
            *(
                {"action": "subscribe", "symbols": [{"symbol": symbol, "exchange": exchange}], "mode": mode}
                for mode in ("Quote", "Depth")
            ),
        ):
            other.send(json.dumps(message))
        while "depth" not in json.loads(other.recv()).get("data", {}):
            pass
        yield


def want(feed: RunningFeed) -> None:
    feed.asker.send("engine", WantInstruments(daemon="engine", instruments=(OPTION,)))


def flows(feed: RunningFeed, quotes: int = 20) -> list[Quote]:
    """So many more quotes of the option, wanted all the time, the last ones with bid and ask."""
    seen = len(feed.quotes)

    def enough(found: RunningFeed) -> list[Quote] | None:
        want(found)
        new = [quote for quote in found.quotes[seen:] if quote.instrument == OPTION]
        return new if len(new) >= quotes and all(quote.bid and quote.ask for quote in new[-5:]) else None

    return feed.wait(enough, 20)  # type: ignore[no-any-return]


def subscribed(feed: RunningFeed) -> float:
    return feed.beats[-1].figures["subscribed"]


@pytest.mark.parametrize("server", ["sandbox", "paper"], indirect=True)
def test_option_that_comes_back_or_whose_feed_was_restarted_gives_quotes_again(
    server: RunningSimulator, config: RunConfig
) -> None:
    with another_with_the_book(server), start_feed(config) as feed:
        feed.wait_ready()
        flows(feed)
        feed.wait(lambda found: subscribed(found) == 2, 20)
        flows(feed)
        feed.process.kill()
    with start_feed(config) as feed:
        feed.wait_ready()
        flows(feed)
        feed.wait(lambda found: found.beats[-1].figures["coverage"] == 1.0)
        assert feed.alert("QUOTES_DROPPED") is None


@pytest.mark.parametrize("server", ["sandbox", "paper"], indirect=True)
def test_book_of_another_client_that_ends_leaves_our_quotes_flowing(
    server: RunningSimulator, config: RunConfig
) -> None:
    with start_feed(config) as feed:
        feed.wait_ready()
        flows(feed)
        with another_with_the_book(server):
            flows(feed)
        assert all(quote.bid < quote.ask for quote in flows(feed, 100) if quote.bid and quote.ask)
