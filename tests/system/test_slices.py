"""An order above the freeze quantity at an exchange that refuses such orders: it goes, fills and leaves in slices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mytrading.core.orders.parent_orders import group_slices
from mytrading.messages.codec import StreamDecoder, encode_body
from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.enums import OrderState, Product, Side
from mytrading.messages.orders import Order, OrderChanged
from mytrading.messages.run_config import write_run_config
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.journal.journal import OUTPUT, Entry, JournalReader
from tests.kit.feed_process import feed_config, runtime_folder
from tests.kit.router_bench import Bench
from tests.kit.simulator_process import RunningSimulator, start_simulator
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(200)]

LOTS = 46


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[RunningSimulator]:
    with start_simulator(tmp_path, capital=1e9) as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path, simulator: RunningSimulator) -> Iterator[Bench]:
    with runtime_folder() as runtime, ExitStack() as stack:
        config = feed_config(tmp_path / "run", runtime, simulator.rest, simulator.ws, ("NSE_INDEX:NIFTY",))
        Path(config.state_dir).mkdir(parents=True, exist_ok=True)
        write_run_config(Path(config.state_dir) / "run.msgpack", config)
        yield Bench(config, stack)


def command(bench: Bench, row: PlaceEntry | CloseGoal) -> None:
    bench.risk.append([Entry(OUTPUT, "commands", encode_body(row))], machine_now(), machine_now())


def slices(bench: Bench) -> list[tuple[Order, tuple[Order, ...]]]:
    """Every parent in the router's journal with its slices."""
    decoder, reader = StreamDecoder("orders"), JournalReader(bench.config.journal_dir("router"), "orders")
    rows = [decoder.decode_body(row.body) for row in reader.read(0)]
    reader.close()
    levels = {row.order.client_order_id: row.order for row in rows if isinstance(row, OrderChanged)}
    return group_slices(sorted(levels.values(), key=lambda order: (order.created_ns, order.links.slice)))


def whole(bench: Bench, number: int, quantity: int) -> bool:
    found = slices(bench)
    return len(found) > number and (found[number][0].state, found[number][0].filled) == (OrderState.FILLED, quantity)


def test_order_above_the_freeze_quantity_enters_and_leaves_in_whole_lots(
    bench: Bench, simulator: RunningSimulator
) -> None:
    option = simulator.call("optionsymbol", underlying="NIFTY", exchange="NSE_INDEX", expiry_date="23NOV26",
                            offset="ATM", option_type="CE")[1]  # fmt: skip
    assert "lotsize" in option, option
    lot, freeze, quantity = int(option["lotsize"]), int(option["freeze_qty"]), LOTS * int(option["lotsize"])
    common: dict[str, Any] = {
        "account": "main", "instrument": f"NFO:{option['symbol']}", "product": Product.NRML, "strategy": "T",
        "run": "r", "lot": lot, "freeze": freeze,
    }  # fmt: skip
    simulator.push(option["symbol"], 150.0, "NFO", bid=149.95, ask=150.05, depth=100_000)
    bench.start("reconciler")
    bench.start("router")
    command(bench, PlaceEntry(id="e1", cause="w1", side=Side.BUY, quantity=quantity, expires_ns=1 << 62,
                              expires_machine_ns=1 << 62, **common))  # fmt: skip
    eventually(lambda: whole(bench, 0, quantity), 60)
    command(bench, CloseGoal(id="g1", cause="w2", reason="flat again", **common))
    eventually(lambda: len(slices(bench)) > 1 and not held(simulator), 90)
    rows = simulator.call("orderbook")[1]["data"]["orders"]
    units = [int(row["quantity"]) for row in rows]
    assert all(unit <= freeze and unit % lot == 0 for unit in units), units
    assert not [row for row in rows if row["order_status"] == "rejected"]
    parent, parts = slices(bench)[0]
    assert (parent.client_order_id, [part.quantity for part in parts]) == ("e1", [freeze // lot * lot, 19 * lot])


def held(simulator: RunningSimulator) -> list[int]:
    rows = simulator.call("positionbook")[1]["data"]
    return [int(row["quantity"]) for row in rows if int(row["quantity"])]
