"""How many calls, Python's and C's, one decision of the order machine goes through: what it costs in cold caches."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.enums import Product, Side
from mytrading.messages.orders import OrderChanged
from tests.kit.fake_broker import ACCOUNT, NEVER, SECOND, OrderBench

WHO: dict[str, Any] = {
    "account": ACCOUNT, "instrument": "NSE:SBIN", "product": Product.MIS, "strategy": "s1", "run": "run1",
    "cause": "signal", "lot": 1,
}  # fmt: skip


def calls(bench: OrderBench, message: object) -> int:
    """Calls of a decision that sends an order."""
    bench.machine.apply(message)
    count = -1  # the call that ends the counting

    def counted(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        rows = bench.machine.decide(message, bench.now)
    finally:
        sys.setprofile(None)
    assert [row.event for row in rows if isinstance(row, OrderChanged)] == ["submitted"]
    return count


def test_entry_and_exit_are_decided_in_few_calls() -> None:
    bench = OrderBench()
    bench.read()
    entry = PlaceEntry(**WHO, id="e1", side=Side.BUY, quantity=10, expires_ns=NEVER, expires_machine_ns=NEVER)
    assert calls(bench, entry) <= MOST_OF_AN_ENTRY
    bench.hold("e2", 10, instrument="NSE:SBIN", lot=1)
    bench.time += 2 * SECOND
    assert calls(bench, CloseGoal(**WHO, id="g1", reason="exit")) <= MOST_OF_AN_EXIT


MOST_OF_AN_ENTRY, MOST_OF_AN_EXIT = 120, 177
