"""The router process beside the real reconciler and exchange: an exit while the order book cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.messages.codec import StreamDecoder
from mytrading.messages.commands import CloseGoal
from mytrading.messages.enums import OrderType, Product, Purpose
from mytrading.messages.orders import GoalChanged, Order, OrderChanged, TimerFired
from mytrading.runtime.host.clock import ClockSegment, machine_now
from mytrading.runtime.journal.journal import JournalReader, read_segment
from tests.kit.router_bench import Bench, router_bench
from tests.kit.simulator_process import RunningSimulator
from tests.kit.waiting import eventually

TEN_O_CLOCK = 1_795_199_400_000_000_000 - 14 * 3_600_000_000_000
"""2026-11-20 10:00 in India, a trading day."""
pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def bench(tmp_path: Path, simulator: RunningSimulator) -> Iterator[Bench]:
    with router_bench(tmp_path, simulator.rest, simulator.ws, ClockSegment(machine_now(), TEN_O_CLOCK, 1.0)) as made:
        yield made


def lost(bench: Bench) -> bool:
    """True if the router last reported lost books to its machine."""
    (day,) = bench.config.journal_dir("router").glob("????-??-??.journal")
    rows = [StreamDecoder(row.stream).decode_body(row.body) for row in read_segment(day)]
    reported = [row.name for row in rows if isinstance(row, TimerFired) and row.name.startswith("books_")]
    return reported[-1:] == ["books_lost main"]


def written(bench: Bench) -> list[Any]:
    """Rows that the router has journaled on its stream of orders."""
    rows = JournalReader(bench.config.journal_dir("router"), "orders").read(0)
    return [StreamDecoder("orders").decode_body(row.body) for row in rows]


def stop(bench: Bench) -> Order | None:
    """The newest level of the stop, once the broker has it."""
    found = [row.order for row in written(bench) if isinstance(row, OrderChanged) and row.order.purpose is Purpose.STOP]
    return found[-1] if found and found[-1].broker_order_id else None


def test_exit_keeps_its_stop_while_the_order_book_fails_and_closes_when_it_is_back(
    bench: Bench, simulator: RunningSimulator
) -> None:
    bench.start("reconciler")
    bench.start("router")
    entry = bench.resting_entry("e1")
    bench.command(replace(entry, order_type=OrderType.MARKET, price=0.0, stop_trigger=900.0, stop_limit=890.0))
    eventually(lambda: stop(bench) and not lost(bench), 30)
    simulator.call("/sim/fault", kind="book_500", route="orderbook", count=-1)
    eventually(lambda: lost(bench), 30)
    bench.command(
        CloseGoal(
            id="g1", account="main", instrument="NSE:SBIN", product=Product.CNC, strategy="T", run="r1", cause="g1",
            reason="exit",
        )
    )  # fmt: skip
    eventually(lambda: [row for row in written(bench) if isinstance(row, GoalChanged)], 15)
    resting = stop(bench)
    assert resting is not None and not resting.evidence.cancel.wanted
    assert simulator.status(resting.broker_order_id) == "trigger pending"
    simulator.call("/sim/fault", kind="clear")
    eventually(lambda: [row for row in written(bench) if isinstance(row, GoalChanged) and row.goal.state == "done"], 40)
    assert simulator.status(resting.broker_order_id) == "cancelled"
