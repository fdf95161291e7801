"""The feed process against the simulator: quotes, bars, history, wants, reconnects and bad servers."""

from __future__ import annotations

import fcntl
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from mytrading.adapters.storage.bar_store import BarReader
from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.adapters.storage.tape import read_tape
from mytrading.core.time import MINUTE
from mytrading.messages.control import ClockTick, WantInstruments
from mytrading.messages.enums import Product
from mytrading.messages.instruments import InstrumentRefusal
from mytrading.messages.orders import Position, PositionChanged
from mytrading.messages.streams import screen_topic
from mytrading.runtime.streams.endpoints import endpoint
from mytrading.runtime.streams.zmq_streams import ZMQPublisher, ZMQSubscriber
from tests.kit.feed_process import NIFTY, SBIN, RunningFeed, feed_config, start_feed
from tests.kit.project import ROOT
from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator
from tests.kit.waiting import PATIENCE, eventually

SIMULATOR = {"speed": 60}


@pytest.fixture
def feed(simulator: RunningSimulator, tmp_path: Path, runtime: Path) -> Iterator[RunningFeed]:
    config = feed_config(tmp_path, runtime, simulator.rest, simulator.ws, (NIFTY, SBIN))
    with start_feed(config) as running:
        yield running


def test_feed_started_is_ready_soon_and_publishes_quotes_ticks_and_bars(feed: RunningFeed) -> None:
    beat = feed.wait_ready()
    assert beat.figures["subscribed"] == 2
    feed.wait(lambda seen: seen.beats[-1].figures["coverage"] == 1.0)  # judged once a second
    feed.wait(lambda seen: len({bar.start_ns for bar in seen.bars}) > 3)
    assert {quote.instrument for quote in feed.quotes} == {NIFTY, SBIN}
    quote = next(quote for quote in reversed(feed.quotes) if quote.instrument == SBIN)
    assert quote.bid and quote.ask and quote.bid < quote.ask
    ticks = [message for message in feed.others if isinstance(message, ClockTick)]
    assert all(a.market_ns < b.market_ns for a, b in pairwise(ticks))


def test_bars_join_history_without_gap_or_double(feed: RunningFeed, tmp_path: Path) -> None:
    feed.wait_ready()
    feed.wait(lambda seen: sum(bar.instrument == NIFTY for bar in seen.bars) >= 4)
    stored = BarReader(tmp_path / "bars").bars(NIFTY)
    delivered = [bar for bar in feed.bars if bar.instrument == NIFTY]
    assert [bar.end_ns - bar.start_ns for bar in delivered] == [MINUTE] * len(delivered)
    assert all(b.start_ns - a.start_ns == MINUTE for a, b in pairwise(delivered))
    today = [bar for bar in stored if bar.start_ns >= delivered[0].start_ns - 30 * MINUTE]
    assert all(b.start_ns - a.start_ns == MINUTE for a, b in pairwise(today))
    assert {bar.start_ns: bar for bar in stored}[delivered[0].start_ns] == delivered[0]
    assert len(stored) > 700


def test_instruments_of_the_day_are_written_with_freeze_and_compared_with_those_before(
    simulator: RunningSimulator, tmp_path: Path, runtime: Path
) -> None:
    config = feed_config(tmp_path, runtime, simulator.rest, simulator.ws, (NIFTY, SBIN), historical=False)
    store = InstrumentFile(tmp_path)
    with start_feed(config) as feed:
        feed.wait_ready()
    today = store.snapshot()
    assert (today.day, today.good_day, today.refusals) == ("2026-11-20", "2026-11-20", ())
    assert {item.freeze_qty for item in today.instruments if item.kind.is_derivative} == {1800}
    assert store.days() == ["2026-11-20"]
    older = [msgspec.structs.replace(item, lot_size=75) if item.kind.is_derivative else item
             for item in today.instruments]  # fmt: skip
    store.write(msgspec.structs.replace(today, day="2026-11-19", instruments=tuple(older)))
    with start_feed(config) as feed:
        changed = feed.wait(lambda seen: seen.alert("INSTRUMENTS_CHANGED"))
    assert "since 2026-11-19: NIFTY: lot size 75 → 65" in changed.message


def test_history_with_many_minutes_missing_is_alerted_with_the_longest_gap(
    simulator: RunningSimulator, tmp_path: Path, runtime: Path
) -> None:
    home = tmp_path / "home" / "config"
    shutil.copytree(ROOT / "config", home)
    calendar = home / "calendar.toml"
    calendar.write_text(calendar.read_text().replace("close = 15:15:00, final = 15:35:00", "close = 19:15:00"))
    config = feed_config(tmp_path, runtime, simulator.rest, simulator.ws, (SBIN,))
    with start_feed(msgspec.structs.replace(config, home=str(home.parent))) as feed:
        alert = feed.wait(lambda seen: seen.alert("HISTORY_INCOMPLETE"))
    assert "the longest gap is 240 from" in alert.message and "15:15 on" in alert.message


def test_instrument_asked_for_is_subscribed_and_gives_quotes(feed: RunningFeed, simulator: RunningSimulator) -> None:
    feed.wait_ready()
    _, body = simulator.call("expiry", symbol="NIFTY", exchange="NFO", instrumenttype="futures")
    future = f"NFO:NIFTY{body['data'][0].replace('-', '')}FUT"
    feed.wait(lambda seen: seen.asker.send("risk", WantInstruments(daemon="risk", instruments=(future, "nonsense")))
              or any(quote.instrument == future for quote in seen.quotes))  # fmt: skip
    feed.wait(lambda seen: seen.beats and seen.beats[-1].figures["subscribed"] >= 3)
    assert feed.beats[-1].figures["subscribed"] == 3, "and nothing for what is no instrument"


def test_index_share_future_and_option_are_each_subscribed_and_give_quotes_and_bars(
    simulator: RunningSimulator, tmp_path: Path, runtime: Path
) -> None:
    _, futures = simulator.call("expiry", symbol="NIFTY", exchange="NFO", instrumenttype="futures")
    _, options = simulator.call("expiry", symbol="NIFTY", exchange="NFO", instrumenttype="options")
    future, expiry = (body["data"][0].replace("-", "") for body in (futures, options))
    watch = (NIFTY, SBIN, f"NFO:NIFTY{future}FUT", f"NFO:NIFTY{expiry}26000CE")
    config = feed_config(tmp_path, runtime, simulator.rest, simulator.ws, watch, historical=False)
    with start_feed(config) as feed:
        feed.wait(lambda seen: {quote.instrument for quote in seen.quotes} == set(watch))
        feed.wait(lambda seen: {bar.instrument for bar in seen.bars} == set(watch))
        feed.wait(lambda seen: seen.beats and seen.beats[-1].figures["ticked"] == len(watch))
        assert feed.beats[-1].figures["subscribed"] == len(watch)
        assert all(bar.low <= bar.close <= bar.high and bar.end_ns - bar.start_ns == MINUTE for bar in feed.bars)


def test_many_readers_of_one_stock_are_one_connection_and_one_subscription_at_the_server(
    simulator: RunningSimulator, feed: RunningFeed
) -> None:
    feed.wait_ready()
    address = endpoint(feed.config.runtime_dir, "market", "feed")
    with zmq.Context() as context:
        readers = [context.socket(zmq.SUB) for _ in range(5)]
        try:
            for reader in readers:
                reader.subscribe(SBIN.encode() + b"\0")
                reader.connect(address)
            assert all(reader.poll(10_000 * PATIENCE) for reader in readers)
        finally:
            for reader in readers:
                reader.close(linger=0)
    state = simulator.get("/sim/state")[1]["data"]
    assert (state["clients"], state["subscriptions"]) == (1, 2)


def test_server_killed_and_back_reconnects_resubscribes_and_repairs_the_bars(tmp_path: Path, runtime: Path) -> None:
    with start_simulator(tmp_path, speed=60, start="2026-11-20 10:00") as first:
        rest, ws = first.rest, first.ws
        with start_feed(feed_config(tmp_path, runtime, rest, ws, (NIFTY,))) as feed:
            feed.wait_ready()
            feed.wait(lambda seen: len(seen.bars) >= 2)
            first.process.kill()
            feed.wait(lambda seen: seen.alert("FEED_DOWN"))
            feed.wait(lambda seen: not seen.beats[-1].ready)
            assert feed.beats[-1].state == "DEGRADED"
            ports = {"rest_port": rest.rpartition(":")[2], "ws_port": ws.rpartition(":")[2]}
            with start_simulator(tmp_path, speed=60, start="", **ports):
                beat = feed.wait_ready(30)
                assert beat.figures["reconnects"] == 1
                feed.wait(lambda seen: seen.alert("FEED_DOWN").cleared)  # type: ignore[union-attr]
                seen_before = len(feed.bars)
                feed.wait(lambda seen: len(seen.bars) > seen_before + 1, 30)
                starts = [bar.start_ns for bar in BarReader(tmp_path / "bars").bars(NIFTY, since=feed.bars[0].start_ns)]
                delivered = [bar.start_ns for bar in feed.bars]
                assert delivered == sorted(set(delivered))
                assert [b - a for a, b in pairwise(starts)] == [MINUTE] * (len(starts) - 1)


def test_feed_killed_within_a_minute_is_ready_again_without_history(tmp_path: Path, runtime: Path) -> None:
    """Each start read the history of all that is watched, three a second, before the feed was ready: 14 s of forty."""
    with start_simulator(tmp_path, speed=1, start="2026-11-20 10:00") as simulator:
        config = feed_config(tmp_path, runtime, simulator.rest, simulator.ws, (NIFTY, SBIN))
        with start_feed(config) as feed:
            assert feed.wait_ready().figures["history_asked"] == 2
            feed.process.kill()
        with start_feed(config) as again:
            assert again.wait_ready().figures["history_asked"] == 0


def test_bars_of_a_killed_feed_are_whole_again_and_were_reported_missing_meanwhile(
    tmp_path: Path, runtime: Path
) -> None:
    with start_simulator(tmp_path, speed=60, start="2026-11-20 10:00") as simulator:
        config = feed_config(tmp_path, runtime, simulator.rest, simulator.ws, (NIFTY,))
        with start_feed(config) as feed:
            feed.wait_ready()
            feed.wait(lambda seen: len(seen.bars) >= 2)
            first = feed.bars[0].start_ns
            feed.process.kill()
        with start_feed(config) as again:
            again.wait(lambda seen: [word for word in seen.lacking if NIFTY in word.behind])
            reported = len(again.bars)
            again.wait(lambda seen: len(seen.bars) >= 2 and not seen.lacking[-1].behind)
            assert reported == 0, "no bar comes while one before it is missing"
            assert [word for word in again.lacking if word.holes] == []
            starts = [bar.start_ns for bar in BarReader(tmp_path / "bars").bars(NIFTY, since=first)]
            assert [b - a for a, b in pairwise(starts)] == [MINUTE] * (len(starts) - 1)


def test_wrong_key_is_named_and_the_feed_is_not_ready(
    simulator: RunningSimulator, tmp_path: Path, runtime: Path
) -> None:
    config = feed_config(tmp_path, runtime, simulator.rest, simulator.ws, (NIFTY,))
    venue = msgspec.structs.replace(config.venue, api_key="not-" + API_KEY)
    with start_feed(msgspec.structs.replace(config, venue=venue)) as feed:
        feed.wait(lambda seen: seen.beats and any("Invalid API key" in note for note in seen.beats[-1].notes))
        assert not feed.beats[-1].ready
        feed.wait(lambda seen: "OPENALGO_API_KEY" in seen.log.read_text())


def test_unknown_symbol_is_alerted_and_keeps_nobody_else_waiting(
    simulator: RunningSimulator, tmp_path: Path, runtime: Path
) -> None:
    config = feed_config(tmp_path, runtime, simulator.rest, simulator.ws, (NIFTY, "NSE:NOSUCH"), historical=False)
    with start_feed(config) as feed:
        feed.wait(lambda seen: any(quote.instrument == NIFTY for quote in seen.quotes))
        feed.wait(lambda seen: "Token not found for NOSUCH" in seen.log.read_text())
        refused = feed.wait(lambda seen: seen.alert("INSTRUMENTS_REFUSED"))
        assert "NSE:NOSUCH is not listed" in refused.message
        assert InstrumentFile(tmp_path).snapshot().refusals == (
            InstrumentRefusal("NOSUCH", "NSE:NOSUCH is not listed"),
        )
        feed.wait(lambda seen: bool(seen.beats) and seen.beats[-1].ready)


def test_feed_ends_a_watchdog_that_nobody_else_found_silent(feed: RunningFeed, runtime: Path) -> None:
    feed.wait_ready()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    watchdog = ZMQPublisher(endpoint(str(runtime), "status", "watchdog"), context=context)
    path = feed.config.lock_dir / "watchdog.lock"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as victim, path.open("w") as file:
        file.write(f"{victim.pid}\n")
        file.flush()
        fcntl.lockf(file, fcntl.LOCK_EX)
        try:
            before = feed.beats[-1].handled  # nobody else sends it anything

            def beaten(seen: RunningFeed) -> bool:
                beat = msgspec.structs.replace(seen.beats[-1], daemon="watchdog", pid=victim.pid)
                watchdog.send("watchdog", beat)
                return seen.beats[-1].handled > before

            feed.wait(beaten)  # it has to find the socket first
            assert victim.poll() is None
            alert = feed.wait(lambda seen: seen.alert("DAEMON_HUNG"), 20)
            assert victim.wait(5) == -signal.SIGKILL
            assert alert.subject == "watchdog"
        finally:
            victim.kill()
    watchdog.close()
    context.destroy(linger=0)


def test_terminated_feed_ends_cleanly_with_all_frames_on_the_tape(feed: RunningFeed, tmp_path: Path) -> None:
    feed.wait_ready()
    feed.process.send_signal(signal.SIGTERM)
    assert feed.process.wait(5 * PATIENCE) == 0
    (tape,) = (tmp_path / "tape").iterdir()
    frames = list(read_tape(tape))
    assert tape.stem == "2026-11-20"
    assert sum(b'"market_data"' in frame.data for frame in frames) >= feed.beats[-1].figures["quotes_in"]
    assert frames == sorted(frames, key=lambda frame: frame.received_ns)


def test_what_risk_says_is_held_comes_for_screens_though_it_has_not_moved(feed: RunningFeed) -> None:
    """A position of an earlier day, or a feed that started anew: no message of the router names it."""
    feed.wait_ready()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    market = endpoint(feed.config.runtime_dir, "market", "feed")
    screen = ZMQSubscriber("market", [market], (screen_topic("NSE:SBIN"),), context=context)

    def shown() -> Any:
        feed.asker.send("risk", WantInstruments(daemon="risk", instruments=("NSE:SBIN",), held=("NSE:SBIN",)))
        return screen.receive()

    try:
        assert eventually(shown, 10).message.instrument == "NSE:SBIN"
    finally:
        context.destroy(linger=0)


def test_what_is_held_comes_again_for_screens_and_stops_when_it_is_closed(feed: RunningFeed) -> None:
    feed.wait_ready()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router = ZMQPublisher(endpoint(feed.config.runtime_dir, "orders", "router"), context=context)
    market = endpoint(feed.config.runtime_dir, "market", "feed")
    screen = ZMQSubscriber("market", [market], (screen_topic("NSE:SBIN"),), context=context)
    held = Position(
        account="main", instrument="NSE:SBIN", product=Product.MIS, strategy="T", run="r", quantity=10, quantity_seen=10
    )

    def shown(position: Position) -> Any:
        router.send(
            "router", PositionChanged(position=position, client_order_id="", fill_quantity=0, fill_price=0.0, at_ns=1)
        )
        return screen.receive()

    frame = eventually(lambda: shown(held), 10)
    assert frame.topic == "shown/NSE:SBIN" and frame.message.instrument == "NSE:SBIN"
    flat = msgspec.structs.replace(held, quantity=0, quantity_seen=0)
    quiet_since = time.monotonic()

    def is_quiet() -> bool:
        nonlocal quiet_since
        if shown(flat) is not None:
            quiet_since = time.monotonic()
        return time.monotonic() - quiet_since > 1.0

    eventually(is_quiet, 10)
    context.destroy(linger=0)
