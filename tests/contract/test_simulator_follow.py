"""Live paper: a simulator whose market is the `market` stream of a running stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest

from mytrading.core.time import to_ns
from mytrading.messages.market import Bar, Quote
from mytrading.runtime.host.clock import ClockFile, ClockSegment, machine_now, read_clock_file, write_clock_file
from mytrading.runtime.streams.zmq_streams import ZMQPublisher
from tests.kit.simulator_process import RunningSimulator, refused_simulator, start_simulator
from tests.kit.waiting import eventually

TEN = to_ns(date(2026, 11, 20), time(10))
INDEX = "NSE_INDEX:NIFTY"
OPTION = "NFO:NIFTY23NOV2622000PE"


class Stream:
    """The feed's end of the stream, and the clock of its stack."""

    def __init__(self, folder: Path) -> None:
        self.endpoint = f"ipc://{folder}/market"
        self.clock = folder / "clock.json"
        self._publisher = ZMQPublisher(self.endpoint)
        self.reported = 26_000.0
        self.set_clock(TEN)

    def set_clock(self, market_ns: int, speed: float = 0.001) -> None:
        segment = ClockSegment(machine_now(), market_ns, speed)
        write_clock_file(self.clock, ClockFile(segments=(segment,), last_seen_machine_ns=7))

    def send_quote(self, instrument: str, ltp: float, **fields: Any) -> None:
        bid, ask = round(ltp - 0.05, 2), round(ltp + 0.05, 2)
        reported = Quote(instrument, TEN, machine_now(), ltp, **{"bid": bid, "ask": ask, "open": ltp, **fields})
        self._publisher.send(f"shown/{instrument}", reported)
        self._publisher.send(instrument, Bar(instrument, "1m", TEN, TEN + 1, 1.0, 1.0, 1.0, 1.0))
        self._publisher.send(instrument, reported)

    def close(self) -> None:
        self._publisher.close()


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stream]:
    found = Stream(tmp_path_factory.mktemp("feed"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def simulator(stream: Stream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    folder = tmp_path_factory.mktemp("follow")
    with start_simulator(folder, start="", follow=stream.endpoint, clock=stream.clock) as running:
        yield running


def ltp(simulator: RunningSimulator, instrument: str) -> float:
    exchange, _, symbol = instrument.partition(":")
    _, body = simulator.call("quotes", symbol=symbol, exchange=exchange)
    return float(body.get("data", {}).get("ltp", -1))


def received(simulator: RunningSimulator, stream: Stream, instrument: str, price: float, **fields: Any) -> None:
    """Tell a price until the simulator has it: what is reported before its socket connects is lost.

    Then no copy of it is under way any more: a price of the index that was never reported is behind all of them.
    """

    def reported() -> bool:
        stream.send_quote(instrument, price, **fields)
        return ltp(simulator, instrument) == price

    def is_last() -> bool:
        stream.send_quote(INDEX, stream.reported)
        return ltp(simulator, INDEX) == stream.reported

    eventually(reported, 10)
    stream.reported += 1.0
    eventually(is_last, 10)


def test_follow_fills_at_the_prices_of_the_stream(simulator: RunningSimulator, stream: Stream) -> None:
    received(simulator, stream, "NSE:SBIN", 812.0)
    _, body = simulator.place(product="MIS")
    _, row = simulator.call("orderstatus", strategy="T", orderid=body["orderid"])
    assert (row["data"]["order_status"], row["data"]["average_price"]) == ("complete", 812.05)
    _, body = simulator.place(product="MIS", pricetype="LIMIT", price=805)
    assert simulator.status(body["orderid"]) == "open"
    received(simulator, stream, "NSE:SBIN", 804.0)
    assert simulator.status(body["orderid"]) == "complete"


def test_follow_fills_no_more_than_the_stream_shows(simulator: RunningSimulator, stream: Stream) -> None:
    received(simulator, stream, "NSE:SBIN", 812.0, bid_quantity=3, ask_quantity=4)
    _, body = simulator.place(product="MIS")
    _, row = simulator.call("orderstatus", strategy="T", orderid=body["orderid"])
    assert (row["data"]["order_status"], row["data"]["filled_quantity"]) == ("open", 4)
    received(simulator, stream, "NSE:SBIN", 813.0)
    assert simulator.status(body["orderid"]) == "complete"


def test_follow_lists_a_contract_it_hears_of(simulator: RunningSimulator, stream: Stream) -> None:
    assert ltp(simulator, OPTION) == -1
    received(simulator, stream, OPTION, 31.5)
    exchange, _, symbol = OPTION.partition(":")
    _, body = simulator.call("symbol", symbol=symbol, exchange=exchange)
    assert (body["data"]["lotsize"], body["data"]["strike"]) == (65, 22_000)
    _, body = simulator.place(symbol, exchange, quantity=65, product="NRML")
    assert simulator.status(body["orderid"]) == "complete"


def test_follow_gives_no_price_to_what_it_did_not_receive(simulator: RunningSimulator, stream: Stream) -> None:
    received(simulator, stream, "NSE:SBIN", 812.0)
    assert ltp(simulator, "NSE:INFY") == 0
    status, body = simulator.place("INFY", product="MIS")
    assert (status, "unable to fetch current price" in body["message"]) == (400, True)
    asked = {"symbol": "SBIN", "exchange": "NSE", "interval": "1m"}
    _, body = simulator.call("history", **asked, start_date="2026-11-19", end_date="2026-11-20")
    assert body["data"] == []


def test_follow_leaves_the_clock_of_the_stack_alone(simulator: RunningSimulator, stream: Stream) -> None:
    received(simulator, stream, "NSE:SBIN", 812.0)
    assert read_clock_file(stream.clock).last_seen_machine_ns == 7


def test_follow_of_a_stream_fallen_silent_refuses_orders(simulator: RunningSimulator, stream: Stream) -> None:
    received(simulator, stream, "NSE:SBIN", 812.0)
    stream.set_clock(TEN + 60_000_000_000)
    eventually(lambda: simulator.get("/sim/state")[1]["data"]["market_ns"] > TEN + 59_000_000_000, 10)
    refused: Callable[[], bool] = lambda: simulator.place(product="MIS")[0] == 400  # noqa: E731
    assert refused()
    received(simulator, stream, "NSE:SBIN", 813.0)
    assert not refused()


def test_follow_refuses_what_the_stream_tells_no_more_while_it_tells_the_rest(
    simulator: RunningSimulator, stream: Stream
) -> None:
    def passes(seconds: int) -> None:
        stream.set_clock(TEN + seconds * 1_000_000_000)
        eventually(lambda: simulator.get("/sim/state")[1]["data"]["market_ns"] > TEN + (seconds - 1) * 10**9, 10)

    def taken(instrument: str, quantity: int) -> bool:
        exchange, _, symbol = instrument.partition(":")
        status, body = simulator.place(symbol, exchange, quantity=quantity, product="MIS")
        assert status == 200 or "unable to fetch current price" in body["message"]
        return status == 200

    passes(100)
    received(simulator, stream, "NSE:SBIN", 812.0)
    received(simulator, stream, OPTION, 31.5)
    passes(145)
    received(simulator, stream, "NSE:RELIANCE", 1500.0)
    assert [taken("NSE:SBIN", 10), taken(OPTION, 65), taken("NSE:RELIANCE", 10)] == [False, True, True]
    passes(170)
    received(simulator, stream, "NSE:RELIANCE", 1501.0)
    assert [taken(OPTION, 65), taken("NSE:RELIANCE", 10)] == [False, True]
    received(simulator, stream, OPTION, 31.6)
    assert taken(OPTION, 65)


def test_follow_with_a_replay_is_refused(tmp_path: Path) -> None:
    code, problem = refused_simulator(tmp_path, follow="ipc:///nowhere", start="2026-11-20 10:00")
    assert (code, "--follow" in problem) == (2, True)
