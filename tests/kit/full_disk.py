"""A router whose journal lies on a small file system of its own that fills up: `python -m tests.kit.full_disk FOLDER`.

Run by `tests/system/test_full_disk.py` in a mount namespace of its own, where FOLDER/run/journal/router is a tmpfs.
Prints what was seen, as JSON. Rule: the file system is really full; nothing is pretended.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.enums import OrderType, Product, Purpose, Side
from mytrading.messages.run_config import ProcessRules, RunConfig, write_run_config
from tests.kit.feed_process import feed_config, runtime_folder
from tests.kit.router_bench import Bench
from tests.kit.simulator_process import RunningSimulator, start_simulator
from tests.kit.waiting import eventually

RESERVE = 2 << 20


def fill(folder: Path) -> None:
    """Write until the file system takes no more."""
    with (folder / "filler").open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def market_entry(name: str) -> PlaceEntry:
    return PlaceEntry(
        id=name, account="main", instrument="NSE:SBIN", product=Product.CNC, strategy="T", run="r1", cause=name,
        purpose=Purpose.ENTRY, side=Side.BUY, quantity=10, order_type=OrderType.MARKET, price=0.0,
        expires_ns=1 << 62, expires_machine_ns=1 << 62, reference_price=988.0, trace_ns=0,
    )  # fmt: skip


def exit_goal(name: str) -> CloseGoal:
    return CloseGoal(
        id=name, account="main", instrument="NSE:SBIN", product=Product.CNC, strategy="T", run="r1", cause=name,
        reason="target",
    )  # fmt: skip


def net(simulator: RunningSimulator) -> int:
    _, body = simulator.call("positionbook")
    return sum(int(row["quantity"]) for row in body["data"])


def orders(simulator: RunningSimulator) -> int:
    _, body = simulator.call("orderbook")
    return len(body["data"]["orders"])


def use_up_the_reserve(bench: Bench) -> None:
    """Order entries until the reserve, which is on the disk since the start, has no room."""
    for number in range(3000):
        bench.command(market_entry(f"f{number}"))
        if number % 100 == 99 and (bench.said("journal.full") or bench.said("journal.unavailable")):
            return
    eventually(lambda: bench.said("journal.full") or bench.said("journal.unavailable"), 30)


def scenario(bench: Bench, simulator: RunningSimulator, folder: Path) -> dict[str, Any]:
    """Hold something, fill the disk, ask for more and for less; then use up the reserve."""
    bench.start("reconciler")
    bench.start("router")
    bench.command(market_entry("e1"))
    eventually(lambda: (order := bench.order("e1")) and order.filled == 10, 30)
    fill(folder)
    eventually(lambda: bench.said("JOURNAL_RESERVE"), 10)
    bench.command(market_entry("e2"))
    eventually(lambda: bench.order("e2"), 10)
    denied = bench.order("e2")
    placed = orders(simulator)
    bench.command(exit_goal("g1"))
    eventually(lambda: net(simulator) == 0, 20)
    closed = orders(simulator)
    fill(folder)
    bench.command(exit_goal("g2"))
    use_up_the_reserve(bench)
    assert denied is not None
    return {
        "denied": denied.message,
        "orders": placed,
        "after_exit": closed,
        "after_nothing_could_be_written": orders(simulator),
    }


def config_in(folder: Path, runtime: Path, simulator: RunningSimulator) -> RunConfig:
    config = feed_config(folder / "run", runtime, simulator.rest, simulator.ws, ("NSE:SBIN",))
    process = ProcessRules(journal_reserve_bytes=RESERVE, min_free_bytes=0)
    config = msgspec.structs.replace(config, process=process)
    write_run_config(folder / "run" / "run.msgpack", config)
    return config


def main(folder: Path) -> None:
    """The whole of it."""
    with runtime_folder() as runtime, ExitStack() as stack, start_simulator(folder) as simulator:
        config = config_in(folder, runtime, simulator)
        print(json.dumps(scenario(Bench(config, stack), simulator, config.journal_dir("router"))), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
