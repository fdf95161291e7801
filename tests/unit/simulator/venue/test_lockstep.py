"""Condition of the market's next step: counts at both ends of every stream, and nobody who waits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, time
from pathlib import Path
from typing import cast

import msgspec
import pytest
from aiohttp import web
from msgspec.structs import replace

from mytrading.core.exchange.model import BookOrder, OrderRequest
from mytrading.core.time import to_ns
from mytrading.messages.control import StepDone
from mytrading.messages.enums import OrderType, Side
from mytrading.messages.market import MarketStep
from mytrading.runtime.daemon.lockstep import MarketStreamPlace
from mytrading.runtime.host.clock import ClockFile, ClockSegment, machine_now, write_clock_file
from mytrading.simulator.main import build
from mytrading.simulator.settings.options import SimulatorOptions
from mytrading.simulator.venue.driver import CHANNELS, DAEMONS, MARKED, LockStep, first_unfinished
from mytrading.simulator.ws.hub import Client
from tests.kit.project import ROOT

MARK = 5


def at_rest() -> dict[str, StepDone]:
    """Daemons that have dealt with everything: three messages on each stream."""
    return {
        name: StepDone(
            daemon=name,
            pid=1,
            mark=MARK if name in MARKED else 0,
            sent={stream: 3 for writer, stream, _ in CHANNELS if writer == name},
            seen={f"{writer}/{stream}": 3 for writer, stream, reader in CHANNELS if reader == name},
        )
        for name in DAEMONS
    }


def test_step_is_over_when_both_ends_of_every_stream_agree() -> None:
    assert first_unfinished(at_rest(), MARK) == ""


@pytest.mark.parametrize("name", DAEMONS)
def test_step_waits_for_a_daemon_that_was_not_seen(name: str) -> None:
    done = {other: said for other, said in at_rest().items() if other != name}
    assert first_unfinished(done, MARK) == f"{name}: no report yet"


@pytest.mark.parametrize("name", MARKED)
def test_step_waits_for_what_the_exchange_sent_after_the_last_mark(name: str) -> None:
    done = at_rest()
    assert first_unfinished(done, MARK + 1) == "feed: what the exchange sent"
    others = {other: replace(said, mark=MARK + 1) for other, said in done.items() if other != name}
    assert first_unfinished({**others, name: done[name]}, MARK + 1) == f"{name}: what the exchange sent"


@pytest.mark.parametrize(("writer", "stream", "reader"), CHANNELS)
def test_step_waits_for_a_message_that_was_sent_and_not_dealt_with(writer: str, stream: str, reader: str) -> None:
    done = at_rest()
    done[reader] = replace(done[reader], seen={**done[reader].seen, f"{writer}/{stream}": 2})
    assert first_unfinished(done, MARK) == f"{reader}: {stream} of {writer}"


def test_step_waits_for_whom_something_keeps() -> None:
    done = at_rest()
    done["router"] = replace(done["router"], waits="the answer of a call")
    assert first_unfinished(done, MARK) == "router: the answer of a call"


def test_while_quotes_of_the_step_are_due_the_feed_and_signals_are_not_waited_for() -> None:
    done = at_rest()
    done["feed"] = replace(done["feed"], mark=MARK - 1, waits="first ticks")
    done["risk"] = replace(done["risk"], seen={**done["risk"].seen, "engine/signals": 2})
    assert first_unfinished(done, MARK, quotes_due=True) == ""
    assert first_unfinished(done, MARK) == "feed: what the exchange sent"
    done["engine"] = replace(done["engine"], seen={**done["engine"].seen, "router/orders": 2})
    assert first_unfinished(done, MARK, quotes_due=True) == "engine: orders of router"


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[LockStep]:
    path = tmp_path / "clock.json"
    ten = ClockSegment(machine_now(), to_ns(date(2026, 11, 20), time(10)), 0.0)
    write_clock_file(path, ClockFile(segments=(ten,), last_seen_machine_ns=ten.machine_ns))
    endpoints = {name: f"ipc://{tmp_path}/{name}" for name in DAEMONS}
    options = SimulatorOptions(api_key="k", daemons=endpoints, speed=0.0, clock=path, config_dir=ROOT / "config")
    venue, made = build(options)
    assert isinstance(made, LockStep)
    made.begin()
    yield made
    made._status.close()
    venue.close()


def test_what_became_of_an_order_is_known_everywhere_before_the_price_that_did_it(driver: LockStep) -> None:
    """A stop that fired raced with the bar of the same tick: the strategy left first in one run, in another not."""
    venue = driver._venue
    client = Client(cast(web.WebSocketResponse, None), None)
    client.authenticated = client.wants_orders = True
    venue.hub.add_client(client)
    venue.hub.subscribe(client, "NSE:SBIN", 2)
    listed = venue.instrument("NSE:SBIN")
    assert listed is not None
    now = venue.quote(listed)
    assert now is not None
    wanted = OrderRequest(
        instrument="NSE:SBIN", side=Side.BUY, quantity=5, order_type=OrderType.LIMIT, price=round(now.ltp - 1, 2)
    )
    order = venue.place(wanted)
    assert isinstance(order, BookOrder)
    filled = False
    for _ in range(2000):
        driver._send_mark()
        driver._done = {name: replace(done, mark=driver._mark) for name, done in at_rest().items()}
        client._queue.clear()
        assert driver._step_if_quiet()
        kinds = [msgspec.json.decode(frame)["type"] for _, frame in client._queue]
        if filled:
            break
        filled = venue.exchange.books.orders[order.order_id].filled > 0
        assert not filled or ("market_data" not in kinds and kinds[-1] == "step")
    assert filled
    assert kinds == ["market_data", "step"]


def test_reader_has_the_market_after_two_step_messages_in_a_row() -> None:
    place = MarketStreamPlace()
    assert [place.record(MarketStep(n, 100 * n)) for n in (7, 8, 10)] == [False, True, False]
    assert (place.seen, place.market_ns) == (8, 800)
    assert place.record(MarketStep(11, 1100))
    assert (place.seen, place.market_ns) == (11, 1100)
