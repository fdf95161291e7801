"""Router and reconciler processes with risk's journal written by a test: what is commanded reaches a real exchange."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import date, time
from pathlib import Path

from msgspec.structs import replace

from mytrading.core.time import to_ns
from mytrading.messages.codec import StreamDecoder, encode_body
from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.control import ModeCleared
from mytrading.messages.enums import OrderType, Product, Purpose, Side
from mytrading.messages.orders import GoalChanged, Order, OrderChanged, Protection, ProtectionChanged
from mytrading.messages.run_config import RunConfig, write_run_config
from mytrading.runtime.host.clock import ClockSegment, MarketClock, machine_now
from mytrading.runtime.journal.journal import OUTPUT, Entry, Journal, JournalReader, Row
from tests.kit.feed_process import feed_config, runtime_folder
from tests.kit.fork_server import Process, start
from tests.kit.simulator_process import RunningSimulator


def trading_morning() -> ClockSegment:
    """Market time from 10:00 of the Friday at which simulators of tests begin."""
    return ClockSegment(machine_now(), to_ns(date(2026, 11, 20), time(10)), 1.0)


@contextmanager
def router_bench(folder: Path, rest: str, ws: str, segment: ClockSegment | None = None) -> Iterator[Bench]:
    """A bench in `folder` at the server with these addresses, its market clock begun with `segment` if one is given."""
    with runtime_folder() as runtime, ExitStack() as stack:
        config = feed_config(folder / "run", runtime, rest, ws, ("NSE:SBIN",))
        Path(config.state_dir).mkdir(parents=True, exist_ok=True)
        write_run_config(Path(config.state_dir) / "run.msgpack", config)
        if segment is not None:
            MarketClock((segment,), config.clock_path).mark_seen()
        yield Bench(config, stack)


class Bench:
    """Router and reconciler processes, and risk's journal, which this test writes."""

    def __init__(self, config: RunConfig, stack: ExitStack) -> None:
        self.config = config
        self.log = Path(config.state_dir) / "daemons.log"
        self._run = Path(config.state_dir) / "run.msgpack"
        self._stack = stack
        self.running: dict[str, Process] = {}
        """The newest process of each daemon."""
        self.risk = Journal(config.journal_dir("risk"), "risk", "2026-11-20")
        if not config.clock_path.exists():  # no exit is placed while the exchange is closed
            config.clock_path.parent.mkdir(parents=True, exist_ok=True)
            MarketClock((trading_morning(),), config.clock_path).mark_seen()

    def start(self, daemon: str) -> Process:
        output = self._stack.enter_context(self.log.open("ab"))
        process = start(
            [sys.executable, "-m", f"mytrading.daemons.{daemon}"],
            env={**os.environ, "MYTRADING_RUN": str(self._run)},
            stdout=output,
            stderr=output,
        )
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        self.running[daemon] = process
        return process

    def resting_entry(
        self,
        name: str,
        account: str = "main",
        instrument: str = "NSE:SBIN",
        product: Product = Product.CNC,
        price: float = 900.0,
    ) -> PlaceEntry:
        """A limit far below the market; no clock closes what CNC buys."""
        return PlaceEntry(
            id=name, account=account, instrument=instrument, product=product, strategy="T", run="r1", cause=name,
            purpose=Purpose.ENTRY, side=Side.BUY, quantity=10, order_type=OrderType.LIMIT, price=price,
            expires_ns=1 << 62, expires_machine_ns=1 << 62, reference_price=988.0, trace_ns=0,
        )  # fmt: skip

    def guarded_entry(self, name: str, strategy: str) -> PlaceEntry:
        """An entry that fills at once, with a stop far below the market."""
        resting = self.resting_entry(name)
        market = replace(resting, strategy=strategy, order_type=OrderType.MARKET, price=0.0)
        return replace(market, stop_trigger=900.0, stop_limit=895.0)

    def exit(self, name: str, strategy: str) -> CloseGoal:
        """The exit from what a strategy's entries of this bench hold."""
        return CloseGoal(
            id=name, account="main", instrument="NSE:SBIN", product=Product.CNC, strategy=strategy, run="r1",
            cause=name, reason="exit", lot=1,
        )  # fmt: skip

    def command_a_resting_entry(
        self, name: str = "e1", account: str = "main", instrument: str = "NSE:SBIN", product: Product = Product.CNC
    ) -> None:
        """A resting entry in risk's journal, where the router finds it."""
        self.command(self.resting_entry(name, account, instrument, product))

    def command(self, *messages: object) -> None:
        """Commands of any kind, those of one decision, in risk's journal."""
        rows = [Entry(OUTPUT, "commands", encode_body(message)) for message in messages]
        self.risk.append(rows, machine_now(), machine_now())

    def clear_mode(self, account: str = "main") -> None:
        """Journal the row of the gateway for `mytrading resume` of an account in the wrong mode."""
        gateway = Journal(self.config.journal_dir("gateway"), "gateway", "2026-11-20")
        row = ModeCleared(account=account, at_ns=1)
        gateway.append([Entry(OUTPUT, "control", encode_body(row))], machine_now(), machine_now())
        gateway.close()

    def order(self, name: str) -> Order | None:
        """The present level of an order in the router's journal; None if the router does not know it."""
        found = [row.order for row in self.orders() if isinstance(row, OrderChanged)]
        return next((order for order in reversed(found) if order.client_order_id == name), None)

    def protection(self, strategy: str) -> Protection:
        """The present stop protection of what a strategy holds, in the router's journal."""
        found = [row.protection for row in self.orders() if isinstance(row, ProtectionChanged)]
        return next(level for level in reversed(found) if level.strategy == strategy)

    def closed(self, goal: str) -> bool:
        """True if the router's journal shows an exit goal done."""
        done = (row.goal for row in self.orders() if isinstance(row, GoalChanged) and row.goal.state == "done")
        return goal in {level.id for level in done}

    def exits_after_cancels(self) -> list[float]:
        """Seconds from the answer of each accepted cancel to the exit that went out next."""
        found, answered = [], 0
        for row in self.orders():
            if isinstance(row, OrderChanged) and row.event == "cancel_accepted":
                answered = row.order.evidence.seen_machine_ns
            elif answered and isinstance(row, OrderChanged) and row.event == "submitted":
                found.append((row.order.call.began_machine_ns - answered) / 1e9)
                answered = 0
        return found

    def orders(self) -> list[object]:
        """All rows of the router's journal about orders."""
        return [_decode(row) for row in JournalReader(self.config.journal_dir("router"), "orders").read(0)]

    def said(self, text: str) -> bool:
        """True if the daemons have written this."""
        return text in self.log.read_text(errors="replace")


def _decode(row: Row) -> object:
    return StreamDecoder("orders").decode_body(row.body)


def statuses(simulator: RunningSimulator) -> list[str]:
    _, body = simulator.call("orderbook")
    return [row["order_status"] for row in body["data"]["orders"]]
