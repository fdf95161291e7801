"""The sockets of one daemon: what went through them is counted over all, and closing them ends them all."""

from __future__ import annotations

from mytrading.messages.control import ModeCleared
from mytrading.messages.market import Quote
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.streams.zmq_streams import Sockets, Traffic
from tests.kit.waiting import eventually

INFY = "NSE:INFY"


def test_traffic_of_all_sockets_is_counted_and_none_is_left_open(config: RunConfig) -> None:
    feed, risk, router = (Sockets(name, config) for name in ("feed", "risk", "router"))
    market, received = feed.publisher("market"), risk.subscriber("market", (INFY,), None, first=False)
    read, reported = router.pull("commands"), risk.push("commands")
    assert risk.traffic() == Traffic(0, 0, 0, 0)

    def arrives() -> bool:
        market.send(INFY, Quote(INFY, 1, 1, 800.0))
        return received.receive() is not None

    def is_refused() -> bool:
        return read.receive() is None and router.traffic().bad_frames == 1

    eventually(arrives)
    reported.send("paper", ModeCleared(account="paper", at_ns=1))
    eventually(is_refused)
    assert feed.traffic().bytes_out >= risk.traffic().bytes_in > 0
    assert risk.traffic().bytes_out == router.traffic().bytes_in > 0
    assert [sockets.traffic().dropped for sockets in (feed, risk, router)] == [0, 0, 0]
    for sockets in (feed, risk, router):
        sockets.close()
    assert (received.socket.closed, read.socket.closed, risk.context.closed) == (True, True, True)
