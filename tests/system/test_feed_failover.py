"""The feed process on bad days: a mute source, one that died, a backup that takes over, prices asked for over REST."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from mytrading.messages.control import Alert
from mytrading.messages.enums import Product, Severity
from mytrading.messages.market import Quote
from mytrading.messages.orders import Position, PositionChanged
from mytrading.messages.reports import AccountHealth
from mytrading.messages.run_config import AccountRole, AccountRun
from mytrading.runtime.observability import audit
from mytrading.runtime.streams.endpoints import endpoint
from mytrading.runtime.streams.zmq_streams import ZMQPublisher
from tests.kit.feed_process import NIFTY, SBIN, RunningFeed, feed_config, start_feed
from tests.kit.reconciler_process import reconciler
from tests.kit.simulator_process import API_KEY, RunningSimulator, start_simulator
from tests.kit.waiting import PATIENCE, eventually

SIMULATOR = {"speed": 60}
QUICK = {"mute_seconds": 1.0, "down_seconds": 0.5, "failback_seconds": 3.0, "historical": False}


@pytest.fixture
def backup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path_factory.mktemp("backup"), **SIMULATOR) as running:
        yield running


@contextmanager
def feeding(folder: Path, runtime: Path, *servers: RunningSimulator, **data: Any) -> Iterator[RunningFeed]:
    """A feed over these servers, the first being the primary."""
    config = feed_config(folder, runtime, servers[0].rest, servers[0].ws, (NIFTY, SBIN), **{**QUICK, **data})
    backups = tuple(
        AccountRun(
            id=f"account{rank}", rest_url=server.rest, ws_url=server.ws, api_key=API_KEY, role=AccountRole.BACKUP
        )
        for rank, server in enumerate(servers[1:], 1)
    )
    with start_feed(msgspec.structs.replace(config, accounts=backups)) as feed:
        feed.wait_ready()
        yield feed


def mute(server: RunningSimulator, on: bool) -> None:
    server.call("/sim/fault", kind="ws_mute", count=-1 if on else 0)


def figure(feed: RunningFeed, name: str) -> float:
    return feed.beats[-1].figures[name]


def audited(state: Path) -> list[tuple[str, str]]:
    return [(row["action"], row["subject"]) for row in audit.rows(state)]


def next_quote(feed: RunningFeed, instrument: str, seconds: float = 15.0) -> Quote:
    """The next quote of an instrument to be published."""
    feed.take().quotes.clear()
    found: list[Quote] = []

    def arrived(seen: RunningFeed) -> bool:
        found.extend(quote for quote in seen.quotes if quote.instrument == instrument)
        return bool(found)

    feed.wait(arrived, seconds)
    return found[0]


@contextmanager
def holding(feed: RunningFeed, instrument: str) -> Iterator[Callable[..., None]]:
    """A router that says, each time it is called, that the instrument is held, or `is_flat`."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    router = ZMQPublisher(endpoint(feed.config.runtime_dir, "orders", "router"), context=context)
    held = Position(
        account="main", instrument=instrument, product=Product.MIS, strategy="T", run="r", quantity=10, quantity_seen=10
    )
    change = PositionChanged(position=held, client_order_id="", fill_quantity=0, fill_price=0.0, at_ns=1)
    flat = msgspec.structs.replace(
        change, position=msgspec.structs.replace(held, quantity=0, quantity_seen=0), fill_quantity=-10
    )
    try:
        yield lambda is_flat=False: router.send("router", flat if is_flat else change)
    finally:
        context.destroy(linger=0)


def test_mute_source_is_found_gets_a_fresh_connection_and_is_cured(
    simulator: RunningSimulator, tmp_path: Path, runtime: Path
) -> None:
    with feeding(tmp_path, runtime, simulator) as feed:
        mute(simulator, on=True)
        feed.wait(lambda seen: seen.alert("FEED_MUTE"))
        feed.wait(lambda seen: not seen.beats[-1].ready and figure(seen, "reconnects") >= 1)
        assert any(note.startswith("mute: no new quote of any instrument for") for note in feed.beats[-1].notes)
        feed.wait(lambda seen: figure(seen, "subscribed") == 2)
        mute(simulator, on=False)
        next_quote(feed, SBIN)
        feed.wait(lambda seen: seen.alert("FEED_MUTE").cleared)  # type: ignore[union-attr]
        feed.wait_ready()


def test_backup_takes_over_from_a_mute_primary_which_gets_the_feed_back_when_it_was_well_for_long(
    simulator: RunningSimulator, backup: RunningSimulator, tmp_path: Path, runtime: Path
) -> None:
    with feeding(tmp_path, runtime, simulator, backup) as feed:
        feed.wait(lambda seen: figure(seen, "sources_well") == 2)
        assert [server.get("/sim/state")[1]["data"]["clients"] for server in (simulator, backup)] == [1, 1]
        mute(simulator, on=True)
        feed.wait(lambda seen: figure(seen, "source") == 1, 6)
        next_quote(feed, SBIN)
        next_quote(feed, NIFTY)
        feed.wait(lambda seen: seen.beats[-1].ready and figure(seen, "subscribed") == 2)
        alert = feed.alert("FEED_ON_BACKUP")
        assert alert is not None and "account1" in alert.message and not alert.cleared
        assert "feed.source_changed" in feed.log.read_text()
        began = time.monotonic()
        mute(simulator, on=False)
        feed.wait(lambda seen: figure(seen, "source") == 0, 30)
        assert time.monotonic() - began > 2.5
        next_quote(feed, SBIN)
        feed.wait(lambda seen: seen.alert("FEED_ON_BACKUP").cleared)  # type: ignore[union-attr]
        assert figure(feed, "source_switches") == 2
        assert audited(tmp_path) == [("feed.takeover", "account1"), ("feed.failback", "main")]


def test_backup_takes_over_from_a_primary_that_died(
    simulator: RunningSimulator, backup: RunningSimulator, tmp_path: Path, runtime: Path
) -> None:
    with feeding(tmp_path, runtime, simulator, backup) as feed:
        feed.wait(lambda seen: figure(seen, "sources_well") == 2)
        simulator.process.kill()
        feed.wait(lambda seen: figure(seen, "source") == 1)
        next_quote(feed, SBIN)
        feed.wait(lambda seen: seen.beats[-1].ready)
        feed.wait(lambda seen: seen.alert("FEED_DOWN"))
        assert figure(feed, "source_switches") == 1
        assert audited(tmp_path) == [("feed.takeover", "account1")]


def test_backup_that_died_changes_nothing_but_is_reported(
    simulator: RunningSimulator, backup: RunningSimulator, tmp_path: Path, runtime: Path
) -> None:
    with feeding(tmp_path, runtime, simulator, backup) as feed:
        feed.wait(lambda seen: figure(seen, "sources_well") == 2)
        backup.process.kill()
        alert = feed.wait(lambda seen: seen.alert("FEED_DOWN"))
        assert alert.subject == "feed account1" and alert.severity is Severity.WARNING
        feed.wait(lambda seen: figure(seen, "sources_well") == 1)
        assert feed.beats[-1].ready and figure(feed, "source_switches") == 0
        next_quote(feed, SBIN)


def test_what_is_held_is_asked_for_while_the_stream_is_mute_and_nothing_else_is(
    simulator: RunningSimulator, tmp_path: Path, runtime: Path
) -> None:
    rules = {"mute_seconds": 60.0, "fallback_seconds": 0.3}
    with feeding(tmp_path, runtime, simulator, **rules) as feed, holding(feed, SBIN) as say_held:
        mute(simulator, on=True)
        feed.wait(lambda seen: say_held() or figure(seen, "asked_quotes") >= 2)
        quote = next_quote(feed, SBIN)
        assert quote.ltp > 0 and quote.bid and quote.ask and quote.bid < quote.ask
        assert {quote.instrument for quote in feed.quotes} == {SBIN}
        feed.wait(lambda seen: figure(seen, "coverage") == 1.0)


def test_wrong_price_of_one_tick_never_reaches_the_bus_and_one_that_persists_does(
    simulator: RunningSimulator, tmp_path: Path, runtime: Path
) -> None:
    with feeding(tmp_path, runtime, simulator, mute_seconds=60.0) as feed:
        usual = next_quote(feed, SBIN).ltp
        feed.quotes.clear()
        simulator.push("SBIN", 5 * usual, hold=False)
        feed.wait(lambda seen: figure(seen, "held_prices") >= 1)
        next_quote(feed, SBIN)
        assert all(quote.ltp < 2 * usual for quote in feed.quotes if quote.instrument == SBIN)

        def persists(seen: RunningFeed) -> bool:
            simulator.push("SBIN", 5 * usual)
            return any(quote.ltp > 4 * usual for quote in seen.quotes if quote.instrument == SBIN)

        began = time.monotonic()
        feed.wait(persists)
        assert 1.0 < time.monotonic() - began < 5.0 * PATIENCE


def test_stalled_source_that_repeats_its_quotes_is_found_and_left_for_the_backup(
    simulator: RunningSimulator, backup: RunningSimulator, tmp_path: Path, runtime: Path
) -> None:
    with feeding(tmp_path, runtime, simulator, backup) as feed:
        feed.wait(lambda seen: figure(seen, "sources_well") == 2)
        simulator.call("/sim/fault", kind="ws_stall", count=-1)
        feed.wait(lambda seen: figure(seen, "source") == 1)
        assert feed.wait(lambda seen: seen.alert("FEED_MUTE"))


def test_token_rollover_is_cured_by_a_fresh_connection_once_the_broker_is_logged_in(
    simulator: RunningSimulator, tmp_path: Path, runtime: Path
) -> None:
    with feeding(tmp_path, runtime, simulator) as feed:
        simulator.call("/sim/fault", kind="token_rollover", count=-1)
        feed.wait(lambda seen: seen.alert("FEED_MUTE") and figure(seen, "reconnects") >= 1)
        before = figure(feed, "reconnects")
        simulator.call("/sim/login")
        feed.wait(lambda seen: seen.beats[-1].ready, 30)
        assert figure(feed, "reconnects") > before
        assert next_quote(feed, SBIN).ltp > 0


def test_primary_that_answers_no_ping_loses_the_feed_although_it_ticks_and_gets_it_back(
    simulator: RunningSimulator, backup: RunningSimulator, tmp_path: Path, runtime: Path
) -> None:
    with feeding(tmp_path, runtime, simulator, backup) as feed:
        feed.wait(lambda seen: figure(seen, "sources_well") == 2)
        venue = msgspec.structs.replace(feed.config.venue, ping_seconds=0.3, ping_failures=3)
        with reconciler(msgspec.structs.replace(feed.config, venue=venue)) as running:
            running.wait(AccountHealth, lambda level: (level.account, level.status) == ("main", "connected"))
            simulator.call("/sim/fault", kind="session_lost", route="ping", count=-1)
            running.wait(AccountHealth, lambda level: (level.account, level.status) == ("main", "failed"))
            assert running.wait(Alert, lambda alert: alert.code == "ACCOUNT_DOWN").subject == "main"
            feed.wait(lambda seen: figure(seen, "source") == 1)
            feed.wait(lambda seen: seen.beats[-1].ready and figure(seen, "subscribed") == 2)
            next_quote(feed, SBIN)
            next_quote(feed, NIFTY)
            alert = feed.alert("FEED_ON_BACKUP")
            assert alert is not None and "main answers no ping" in alert.message
            simulator.call("/sim/fault", kind="clear")
            running.wait(Alert, lambda alert: alert.code == "ACCOUNT_DOWN" and alert.cleared)
            running.wait_newest(AccountHealth, lambda level: level.status == "connected")
            feed.wait(lambda seen: figure(seen, "source") == 0, 30)
        reported = audited(tmp_path)
        begun = reported.index(("account.failed", "main"))  # a pause of the machine may have been a mute source before
        assert reported[begun:] == [
            ("account.failed", "main"),
            ("feed.takeover", "account1"),
            ("account.connected", "main"),
            ("feed.failback", "main"),
        ]


def test_opening_a_position_subscribes_at_the_server_and_going_flat_unsubscribes(
    simulator: RunningSimulator, tmp_path: Path, runtime: Path
) -> None:
    def subscriptions() -> int:
        return int(simulator.get("/sim/state")[1]["data"]["subscriptions"])

    with feeding(tmp_path, runtime, simulator, keep_seconds=0.5) as feed, holding(feed, "NSE:RELIANCE") as say:
        assert subscriptions() == 2
        feed.wait(lambda seen: say() or figure(seen, "subscribed") == 3)
        assert subscriptions() == 3
        kept_until = time.monotonic() + 1.5
        feed.wait(lambda seen: say() or time.monotonic() > kept_until)
        assert subscriptions() == 3, "it is held for three times as long as what nobody wants is kept"
        feed.wait(lambda seen: say(is_flat=True) or figure(seen, "subscribed") == 2)
        eventually(lambda: subscriptions() == 2)
