"""A read of single orders by their ids, and deciding in one go."""

from __future__ import annotations

from typing import Any

from mytrading.core.oms import OmsLimits, OrderMachine
from mytrading.messages.commands import PlaceEntry
from mytrading.messages.enums import BrokerStatus, OrderState, Product, Side
from mytrading.messages.reports import BooksRead, BrokerOrder, BrokerTrades
from tests.kit.state_digest import state_digest

LIMITS = OmsLimits(mode_first=False, book_first=False)


def entry(name: str, instrument: str = "NSE:SBIN") -> PlaceEntry:
    return PlaceEntry(
        id=name, account="a", instrument=instrument, product=Product.MIS, strategy="s", run="r", cause=f"c{name}",
        side=Side.BUY, quantity=10, expires_ns=100, expires_machine_ns=100,
    )  # fmt: skip


def read(name: str, broker: str, *, single: bool, at: int = 50) -> BooksRead:
    row = BrokerOrder(
        broker_order_id=broker, instrument="NSE:SBIN", side=Side.BUY, quantity=10, status=BrokerStatus.COMPLETE,
        product=Product.MIS, filled=10, average_price=100.0, tag=name,
    )  # fmt: skip
    trades = BrokerTrades(broker_order_id=broker, instrument="NSE:SBIN", side=Side.BUY, quantity=10, value=1000.0)
    return BooksRead(
        account="a", id="x", began_machine_ns=at, ended_machine_ns=at + 1, orders=(row,), trades=(trades,),
        single=single,
    )  # fmt: skip


def reported(machine: OrderMachine, message: Any, now: int) -> tuple[Any, ...]:
    machine.apply(message)
    rows = machine.decide(message, now)
    for row in rows:
        machine.apply(row)
    return rows


def test_single_read_fills_its_order_and_says_nothing_of_others() -> None:
    machine = OrderMachine(LIMITS)
    reported(machine, entry("one"), 10)
    reported(machine, read("one", "b1", single=True, at=50), 20)
    reported(machine, entry("two"), 30)
    reported(machine, read("two", "b2", single=True, at=60), 40)
    first, second = machine.state.orders.get("one"), machine.state.orders.get("two")
    assert first is not None and second is not None
    assert (first.state, second.state) == (OrderState.FILLED, OrderState.FILLED)
    assert first.evidence.end is None
    whole = reported(machine, read("two", "b2", single=False, at=70), 50)
    assert any(getattr(row, "event", "") == "unseen" for row in whole)


def test_step_learns_what_apply_and_decide_would() -> None:
    slow, quick = OrderMachine(LIMITS), OrderMachine(LIMITS)
    for number, message in enumerate((entry("one"), read("one", "b1", single=True), entry("two", "NSE:INFY"))):
        rows = reported(slow, message, 10 * number)
        assert quick.step(message, 10 * number) == rows
    assert state_digest(quick) == state_digest(slow)
