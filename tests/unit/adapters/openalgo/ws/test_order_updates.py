"""A flood of order updates is handled in parts, and none of it is lost."""

from __future__ import annotations

import json

from mytrading.adapters.openalgo.ws.connection import SocketFrame
from mytrading.adapters.openalgo.ws.order_updates import MOST_AT_ONCE, OrderUpdates
from mytrading.messages.brokers import UNLISTED, BrokerRules
from mytrading.messages.enums import BrokerStatus, Product

UPDATE = {
    "type": "order_update", "mode": "analyze", "symbol": "SBIN", "exchange": "NSE", "action": "BUY", "quantity": 10,
    "order_status": "open", "filled_quantity": 0, "product": "MIS",
}  # fmt: skip


def test_flood_of_updates_is_taken_in_parts_each_of_which_rings_for_the_next() -> None:
    """One turn took all 10,000, while heartbeat, reads and the other accounts waited."""
    rings: list[int] = []
    updates = OrderUpdates("ws://127.0.0.1:9", "key", "main", "analyze", lambda: 1, lambda: rings.append(1))
    for number in range(10_000):
        updates._socket.events.put(SocketFrame(json.dumps({**UPDATE, "orderid": f"o{number}"}).encode(), 1))
    turns = [updates.drain()]
    while len(rings) == len(turns):
        turns.append(updates.drain())
    assert max(map(len, turns)) == MOST_AT_ONCE <= 1000
    assert [one.order.broker_order_id for turn in turns for one in turn] == [f"o{n}" for n in range(10_000)]


def test_update_is_read_by_the_words_that_its_broker_uses_in_updates_at_that_time() -> None:
    rows = {"words": BrokerRules(update_words={"filled up": BrokerStatus.COMPLETE}, update_products=True)}
    updates = OrderUpdates("ws://127.0.0.1:9", "key", "main", "analyze", lambda: 1, lambda: None, lambda: rows["words"])
    for number, known in enumerate((rows["words"], UNLISTED)):
        rows["words"] = known
        frame = {**UPDATE, "orderid": f"o{number}", "order_status": "filled up"}
        updates._socket.events.put(SocketFrame(json.dumps(frame).encode(), 1))
        (report,) = updates.drain()
        expected = (BrokerStatus.COMPLETE, Product.MIS) if known is not UNLISTED else (BrokerStatus.OTHER, None)
        assert (report.order.status, report.order.product) == expected


def test_subscription_that_brings_nothing_counts_as_no_stream() -> None:
    """Fills at a broker without order updates were waited for on a stream that was taken and stayed silent: ten seconds
    without a stop."""
    for known, brings in ((True, True), (False, False), (None, False)):
        row = BrokerRules(updates=known)
        updates = OrderUpdates("ws://127.0.0.1:9", "key", "main", "live", lambda: 1, lambda: None, lambda row=row: row)
        updates._socket.events.put(SocketFrame(b'{"type": "subscribe_orders", "status": "success"}', 1))
        updates.drain()
        assert updates.connected
        assert updates.brings_updates is brings
    updates = OrderUpdates("ws://127.0.0.1:9", "key", "main", "live", lambda: 1, lambda: None)
    assert not updates.brings_updates  # not connected
