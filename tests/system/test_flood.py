"""A flood of signals through the signals door: no limit at the exchange is exceeded, no exit waits behind an entry,
and every signal ends as an order, a denial, an expiry or a newer signal.

The engine's place is taken by an injector that writes the engine's journal and door; everything behind it is real.
`make flood` runs the whole: FLOOD_SIGNALS=10000 in FLOOD_SECONDS=60.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from mytrading.core.orders.state_machine import LIVE
from mytrading.core.time import SECOND
from mytrading.messages.codec import StreamDecoder, encode_body
from mytrading.messages.commands import CloseGoal, PlaceEntry, RiskLevels, SignalDenied, SignalExpired, WithdrawEntries
from mytrading.messages.control import Heartbeat, WantInstruments
from mytrading.messages.enums import Action, OrderState, Purpose
from mytrading.messages.orders import Order, OrderChanged, Position, PositionAdjusted, PositionChanged
from mytrading.messages.run_config import RateLimits, RunConfig, StopPlan, StrategyRun, write_run_config
from mytrading.messages.signals import Leg, Signal
from mytrading.runtime.host.clock import MarketClock, machine_now
from mytrading.runtime.journal.journal import OUTPUT, Entry, Journal, JournalReader
from mytrading.runtime.streams.endpoints import endpoint
from mytrading.runtime.streams.zmq_streams import PushSocket, ZMQPublisher, ZMQSubscriber
from tests.kit.feed_process import LIMITS, feed_config, runtime_folder
from tests.kit.fork_server import start
from tests.kit.router_bench import Bench
from tests.kit.simulator_process import RunningSimulator, start_simulator
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

SECONDS = float(os.environ.get("FLOOD_SECONDS", "20"))
SIGNALS = int(os.environ.get("FLOOD_SIGNALS", "3400"))
SHARES, STRATEGIES, LISTED = 100, 5, 1000
LIMIT = 8
DAEMONS = ("feed", "reconciler", "router", "risk")
WANTS = (Action.BUY, Action.BUY, Action.BUY, Action.EXIT)


class Flood:
    """The stack without its engine, and an injector in the engine's place."""

    def __init__(self, config: RunConfig, stack: ExitStack) -> None:
        self.config = config
        self.clock = MarketClock.load(config.clock_path)
        self.log = Path(config.state_dir) / "daemons.log"
        self.signals: list[Signal] = []
        self.journal = Journal(config.journal_dir("engine"), "engine", "2026-11-20")
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        stack.callback(context.destroy, linger=0)
        stack.callback(self.journal.close)
        self.door = PushSocket(endpoint(config.runtime_dir, "signals", ""), context)
        self.wants = ZMQPublisher(endpoint(config.runtime_dir, "status", "engine"), context=context)
        received = [endpoint(config.runtime_dir, "status", name) for name in DAEMONS]
        self.status = ZMQSubscriber("status", received, context=context)
        self.beats: dict[str, Heartbeat] = {}
        for name in DAEMONS:
            self._start(name, stack)

    def _start(self, daemon: str, stack: ExitStack) -> None:
        output = stack.enter_context(self.log.open("ab"))
        environment = {**os.environ, "MYTRADING_RUN": str(Path(self.config.state_dir) / "run.msgpack")}
        process = start(
            [sys.executable, "-m", f"mytrading.daemons.{daemon}"], env=environment, stdout=output, stderr=output
        )
        stack.callback(process.wait)
        stack.callback(process.kill)

    def announce(self) -> None:
        """As the engine does each second: these are the instruments that wants will be about."""
        self.wants.send("engine", WantInstruments(daemon="engine", instruments=self.config.data.watch))

    def ready(self) -> bool:
        """True once every daemon has said so."""
        self.announce()
        while (frame := self.status.receive()) is not None:
            if isinstance(frame.message, Heartbeat):
                self.beats[frame.message.daemon] = frame.message
        return len(self.beats) == len(DAEMONS) and all(beat.ready for beat in self.beats.values())

    def signal(self, strategy: str, watch: str, action: Action) -> None:
        """One signal, journaled and pushed as the engine does it."""
        now, machine_ns = self.clock.now(), machine_now()
        made = Signal(
            id=f"w{len(self.signals)}", strategy=strategy, watch=watch, action=action, created_ns=now,
            legs=(Leg(instrument=watch, lots=1),) if action is Action.BUY else (),
            expires_ns=now + 3 * SECOND, expires_machine_ns=machine_ns + 3 * SECOND,
        )  # fmt: skip
        (row,) = self.journal.append([Entry(OUTPUT, "signals", encode_body(made))], now, machine_ns)
        self.door.send_row("engine", row)
        self.signals.append(made)

    def run(self, pairs: list[tuple[str, str]]) -> None:
        """All signals, spread over the time; a pair wants a position three times of four, then none."""
        dice, began, sent, announced = random.Random(7), time.monotonic(), 0, 0.0
        while sent < SIGNALS:
            due = min(SIGNALS, int((time.monotonic() - began) / SECONDS * SIGNALS) + 1)
            for _ in range(sent, due):
                self.signal(*pairs[sent % len(pairs)], dice.choice(WANTS))
                sent += 1
            if time.monotonic() - announced > 1.0:
                announced = time.monotonic()
                self.announce()
            time.sleep(0.005)  # the pace of the flood, not a wait for anything
        for pair in pairs:
            self.signal(*pair, Action.EXIT)

    def written(self, writer: str, stream: str) -> list[Any]:
        """All messages of a stream in its writer's journal, in order."""
        decoder, reader, found, after = (
            StreamDecoder(stream),
            JournalReader(self.config.journal_dir(writer), stream),
            [],
            0,
        )
        while rows := reader.read(after):
            found += [decoder.decode_body(row.body) for row in rows]
            after = rows[-1].stream_seq
        reader.close()
        return found

    def calm(self) -> bool:
        """True when nothing is held and nothing is on its way."""
        orders, positions = levels(self.written("router", "orders"))
        held = any(position.quantity or position.quantity_seen for position in positions.values())
        return not held and not any(order.state in LIVE for order in orders.values())


def levels(messages: list[Any]) -> tuple[dict[str, Order], dict[tuple[str, str], Position]]:
    orders: dict[str, Order] = {}
    positions: dict[tuple[str, str], Position] = {}
    for message in messages:
        if isinstance(message, OrderChanged):
            orders[message.order.client_order_id] = message.order
        elif isinstance(message, PositionChanged | PositionAdjusted):
            positions[message.position.instrument, message.position.strategy] = message.position
    return orders, positions


def shares_of(simulator: RunningSimulator) -> tuple[str, ...]:
    _, body = simulator.get("/api/v1/instruments", "&exchange=NSE")
    return tuple(sorted(f"NSE:{row['symbol']}" for row in body["data"]))[:SHARES]


def flood_config(folder: Path, runtime: Path, simulator: RunningSimulator) -> RunConfig:
    config = feed_config(folder, runtime, simulator.rest, simulator.ws, shares_of(simulator), historical=False)
    runs = tuple(
        StrategyRun(name=f"F{n}", file="f.py", symbols=config.data.watch, long=None, short=None, stop=StopPlan.NONE)
        for n in range(STRATEGIES)
    )
    limits = msgspec.structs.replace(LIMITS, max_total_positions=1000, stale_quote_seconds=30.0)
    rates = RateLimits(orders_per_second=LIMIT, entries_per_minute=SIGNALS // 50)
    return msgspec.structs.replace(config, strategies=runs, risk=limits, rates=rates)


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[RunningSimulator]:
    (tmp_path / "run").mkdir()
    with start_simulator(tmp_path, capital=1e8, instruments=LISTED, clock=tmp_path / "run/clock.json") as running:
        yield running


@pytest.fixture
def flood(tmp_path: Path, simulator: RunningSimulator) -> Iterator[Flood]:
    with runtime_folder() as runtime, ExitStack() as stack:
        config = flood_config(tmp_path / "run", runtime, simulator)
        write_run_config(Path(config.state_dir) / "run.msgpack", config)
        yield Flood(config, stack)


def test_flood_of_signals_exceeds_no_limit_and_loses_none(flood: Flood, simulator: RunningSimulator) -> None:
    eventually(flood.ready, 60)
    pairs = [(f"F{n % STRATEGIES}", share) for n, share in enumerate(flood.config.data.watch)]
    flood.run(pairs)
    eventually(flood.calm, 60)
    rows, commands = flood.written("router", "orders"), flood.written("risk", "commands")
    reported = counts(flood.signals, commands)
    print(f"flood: {dict(reported)}; {Counter(row.event for row in rows if isinstance(row, OrderChanged))}")
    within_limits(simulator)
    no_exit_behind_an_entry(rows)
    assert reported["lost"] == 0 and sum(reported.values()) == len(flood.signals)
    assert reported["ordered"] > 50 and reported["exited"] > 20 and reported["denied"] > 0
    every_command_has_an_end(commands, levels(rows)[0])


def counts(signals: list[Signal], commands: list[Any]) -> Counter[str]:
    """Signals by outcome: reported by risk, met already, or replaced by a newer one of its pair."""
    ends: dict[str, str] = {}
    words = {PlaceEntry: "ordered", CloseGoal: "exited", WithdrawEntries: "withdrew"}
    for row in commands:
        if isinstance(row, SignalDenied | SignalExpired):
            ends.setdefault(row.signal, "denied" if isinstance(row, SignalDenied) else "expired")
        elif not isinstance(row, RiskLevels):
            ends.setdefault(row.cause, words[type(row)])
    last = {(signal.strategy, signal.watch): signal for signal in signals}
    found: Counter[str] = Counter()
    for sent in signals:
        final = last[sent.strategy, sent.watch]
        found[ends.get(sent.id, "folded" if sent is not final else "met" if not sent.legs else "lost")] += 1
    return found


def within_limits(simulator: RunningSimulator) -> None:
    state = simulator.get("/sim/state")[1]["data"]
    rates = state["rates"]
    assert rates["orders"]["calls"] > LIMIT
    assert rates["orders"]["most_rolling"] <= LIMIT and rates["orders"]["most_calendar"] <= LIMIT, rates
    assert rates["smart_orders"]["calls"] == 0
    assert not [name for name in state["requests"] if name.endswith(" 429")], state["requests"]


def no_exit_behind_an_entry(rows: list[Any]) -> None:
    """From the moment an exit is made until its call leaves, no call for an entry leaves."""
    waits: set[str] = set()
    for row in rows:
        if not isinstance(row, OrderChanged):
            continue
        order = row.order
        if order.purpose.reduces and order.state is OrderState.INITIALIZED and row.event == "initialized":
            waits.add(order.client_order_id)
        elif order.purpose.reduces:
            waits.discard(order.client_order_id)
        elif row.event == "submitted" and order.purpose is Purpose.ENTRY:
            assert not waits, f"entry {order.client_order_id} went while exits waited: {waits}"


def every_command_has_an_end(commands: list[Any], orders: dict[str, Order]) -> None:
    missing = [row.id for row in commands if isinstance(row, PlaceEntry) and row.id not in orders]
    assert missing == []
    assert {order.state for order in orders.values()} <= {
        OrderState.FILLED, OrderState.CANCELLED, OrderState.EXPIRED, OrderState.DENIED, OrderState.REJECTED
    }  # fmt: skip


def test_router_killed_after_a_full_second_of_calls_counts_them_when_it_is_back(
    tmp_path: Path, simulator: RunningSimulator
) -> None:
    with runtime_folder() as runtime, ExitStack() as stack:
        config = feed_config(tmp_path / "run", runtime, simulator.rest, simulator.ws, shares_of(simulator))
        write_run_config(Path(config.state_dir) / "run.msgpack", config)
        bench = Bench(config, stack)
        bench.start("reconciler")
        router = bench.start("router")
        for number, share in enumerate(config.data.watch[:16]):
            bench.command_a_resting_entry(f"e{number}", instrument=share)
        eventually(lambda: simulator.get("/sim/state")[1]["data"]["rates"]["orders"]["calls"] >= 7, 30)
        router.send_signal(signal.SIGKILL)
        router.wait()
        bench.start("router")
        eventually(lambda: simulator.get("/sim/state")[1]["data"]["rates"]["orders"]["calls"] >= 16, 30)
        within_limits(simulator)
        placed = [row["symbol"] for row in simulator.call("orderbook")[1]["data"]["orders"]]
        assert placed
        assert len(set(placed)) == len(placed), "none of those whose price the exchange takes went twice"
        assert simulator.get("/sim/state")[1]["data"]["rates"]["orders"]["calls"] == 16, "each of the sixteen went once"
