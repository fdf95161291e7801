"""Orders of schema 1 in journals, literally as version 0.1 wrote them, become orders of schema 2."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mytrading.core.orders.flat_order import flat_order
from mytrading.messages.codec import StreamDecoder
from mytrading.messages.enums import BrokerStatus
from mytrading.messages.journal_rows import DayOpened, RiskOpened
from mytrading.messages.order_evidence import Ambiguous, Candidate, Disputed, Missing, OrderTerms, PendingEnd, Unseen
from mytrading.messages.orders import OrderChanged
from mytrading.operations.schema_2 import convert_row

BASE: dict[str, Any] = {
    "client_order_id": "e1", "account": "main", "instrument": "NFO:A", "product": "MIS", "strategy": "s", "run": "r",
    "cause": "w1", "purpose": "entry", "side": "BUY", "quantity": 100, "order_type": "LIMIT", "state": "ACCEPTED",
    "created_ns": 1, "updated_ns": 2, "price": 99.5,
}  # fmt: skip
RESTING = {
    **BASE, "reference_price": 100.0, "attempt": 1, "broker_order_id": "B1", "filled_seen": 40, "stream_filled": 40,
    "began_machine_ns": 10, "ended_machine_ns": 20, "expires_ns": 30, "expires_machine_ns": 40, "trace_ns": 5,
    "stop_trigger": 90.0, "stop_limit": 88.0, "parent": "p", "slice": 2, "held_stop": 91.0, "held_target": 120.0,
    "rests_until_ns": 50, "request": "c1", "pending_cancel": True, "cancelling": True, "cancel_calls": 1,
    "cancel_machine_ns": 60, "ending": "cancelled", "evidence": 1, "evidence_machine_ns": 70, "candidate": "stream",
}  # fmt: skip
CHANGING = {
    **BASE, "broker_order_id": "B1", "attempt": 1, "pending_modify": True, "wanted_price": 101.0,
    "wanted_quantity": 50, "modifying": True, "modify_asked": True, "modify_calls": 2, "modify_machine_ns": 8,
    "modify_wait_ns": 9, "modify_reads": 1, "modify_doubt_ns": 7, "replacing": True, "pending_cancel": True,
}  # fmt: skip
ORDERS = {
    "a cancel that the stream reported": RESTING,
    "a change that is out": CHANGING,
    "an order alone": BASE,
    "flapped": {**BASE, "evidence": -1, "evidence_machine_ns": 3},
    "disputed": {**BASE, "state": "CANCELLED", "ending": "alive", "evidence": 1},
    "fewer": {**BASE, "state": "FILLED", "filled": 100, "ending": "fewer", "evidence_machine_ns": 3},
    "missing": {**BASE, "ending": "missing", "evidence": 2},
    "contradicted": {**BASE, "state": "FILLED", "ending": "contradicted", "evidence": -1},
    "candidate": {**BASE, "state": "UNKNOWN", "candidate": "B7", "evidence": 1},
    "several": {**BASE, "state": "UNKNOWN", "candidate": "several"},
    "unseen": {**BASE, "state": "UNKNOWN", "evidence": 2},
}


def raised(body: dict[str, Any]) -> bytes:
    return convert_row("orders", msgspec.msgpack.encode(body))


@pytest.mark.parametrize("order", ORDERS.values(), ids=list(ORDERS))
def test_order_row_of_the_first_version_means_the_same(order: dict[str, Any]) -> None:
    row = StreamDecoder("orders").decode_body(
        raised({"type": "order", "event": "observed", "order": order, "machine_ns": 9})
    )
    assert isinstance(row, OrderChanged) and (row.event, row.machine_ns) == ("observed", 9)
    assert flat_order(row.order) == order


def test_orders_that_open_a_day_are_nested_in_every_journal() -> None:
    orders = list(ORDERS.values())
    day = StreamDecoder("records").decode_body(raised({"type": "day_opened", "day": "2026-11-20", "orders": orders}))
    risk = StreamDecoder("records").decode_body(raised({"type": "risk_opened", "day": "2026-11-20", "orders": orders}))
    assert isinstance(day, DayOpened) and isinstance(risk, RiskOpened) and day.orders == risk.orders
    found = dict(zip(ORDERS, day.orders, strict=True))
    resting = found["a cancel that the stream reported"]
    assert resting.evidence.end == PendingEnd(status=BrokerStatus.CANCELLED, by_stream=True)
    assert (resting.links.parent, resting.plan.held_stop, resting.call.trace_ns) == ("p", 91.0, 5)
    assert found["a change that is out"].evidence.modify.wanted == OrderTerms(101.0, 0.0, 50)
    assert found["flapped"].evidence.flapped and found["disputed"].evidence.end == Disputed()
    assert found["missing"].evidence.end == Missing(reads=2)
    matches = [found[name].evidence.match for name in ("candidate", "several", "unseen")]
    assert matches == [Candidate(broker_order_id="B7"), Ambiguous(), Unseen(reads=2)]
