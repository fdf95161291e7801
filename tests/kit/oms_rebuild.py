"""An order machine that learns its orders from journals of others."""

from __future__ import annotations

from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.enums import OrderState, Product, Purpose, Side
from mytrading.messages.journal_rows import JournalRelearned
from tests.kit.fake_broker import ACCOUNT, NEVER, OrderBench

PLAN = {"stop_trigger": 90.0, "stop_limit": 87.0}


def entry(quantity: int = 450) -> PlaceEntry:
    return PlaceEntry(
        id="e1", account=ACCOUNT, instrument="NFO:A", product=Product.MIS, strategy="s1", run="r", cause="c",
        side=Side.BUY, quantity=quantity, expires_ns=NEVER, expires_machine_ns=NEVER, lot=50, freeze=200, **PLAN,
    )  # fmt: skip


def goal(name: str = "g1") -> CloseGoal:
    return CloseGoal(
        id=name, account=ACCOUNT, instrument="NFO:A", product=Product.MIS, strategy="s1", run="r1", cause="c",
        reason="t",
    )  # fmt: skip


def learn(bench: OrderBench, *missed: object) -> None:
    for message in missed:
        bench.machine.apply(message)
        bench.journal.append(message)
    rows = bench.machine.rebuild_rows(missed, bench.time, bench.now)
    bench._commit((*rows, JournalRelearned(copies=0, read=len(missed), at_ns=bench.now, machine_ns=bench.time)))


def exits(bench: OrderBench) -> list[int]:
    found = [order for order in bench.machine.orders() if order.purpose is Purpose.EXIT]
    return [order.quantity for order in found if order.state is not OrderState.DENIED]
