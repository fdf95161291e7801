"""The feed's benchmarks, small: they show what they claim, and the feed loses nothing in a burst."""

from __future__ import annotations

from lab.bench.feed import Burst, measure_burst, measure_frame, measure_subscribe
from lab.bench.subscribe import measure_subscribe_simulator
from lab.bench.tick_server import FIRST, Template
from mytrading.adapters.openalgo.ws.market_frames import FeedMode, FrameParser, Tick


def quiet(_: str) -> None:
    """Sink of a benchmark's progress: dropped."""


def test_frame_of_the_server_is_a_quote_that_carries_its_number() -> None:
    head = 4
    tick = FrameParser().parse(Template("S0007").frame(12)[head:], 1, 2)
    assert isinstance(tick, Tick) and tick.mode is FeedMode.QUOTE
    assert (tick.quote.instrument, tick.quote.volume) == ("NSE:S0007", FIRST + 12)


def test_every_frame_of_a_burst_is_in_a_bar_and_the_last_one_sent_is_the_last_on_the_bus() -> None:
    burst = Burst(rate=4000, seconds=1.0, instruments=50, limit_frames=5000)
    figures = {figure.name: figure for figure in measure_burst(quiet, burst)}
    assert (figures["feed_burst_lost"].value, figures["feed_burst_last"].value) == (0, 0)
    assert figures["feed_burst_conflated"].met
    assert figures["feed_limit"].value > 0 and figures["feed_limit"].limit


def test_frame_and_subscriptions_are_measured_against_the_same_server() -> None:
    (frame,) = measure_frame(quiet, frames=40)
    assert frame.limit and frame.limit > 0 and frame.n >= 30
    (subscribed,) = measure_subscribe(quiet, instruments=200)
    assert 0 < subscribed.value < 5 and subscribed.n == 200


def test_subscriptions_are_measured_at_the_simulator_too() -> None:
    (subscribed,) = measure_subscribe_simulator(quiet, instruments=200)
    assert 0 < subscribed.value < 15 and subscribed.n == 200
