"""Starts a process of the stack with a trap in it: `kill_launcher.py feed`, in place of `-m mytrading.daemons.feed`.

Used by the kill matrix, whose supervisord.conf starts every process through it. The folder `KILL_TRAPS` may hold a file
named after the daemon, with a boundary and a phase ("committed entry"): at the first passage of that boundary the
process removes the file and kills itself as hard as it can, and its successor goes on without a trap; of several lines
it removes the first, and the next one is its successor's. Production code knows nothing of this: only its own named
methods are wrapped here.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from mytrading.core.time import MINUTE
from mytrading.messages.commands import CloseGoal, PlaceEntry
from mytrading.messages.enums import Mode, Purpose, Side
from mytrading.messages.market import Bar, Quote
from mytrading.messages.orders import OrderChanged
from mytrading.messages.reports import OrderReport
from mytrading.messages.run_config import RunConfig, ServerMode
from mytrading.messages.signals import Signal
from mytrading.messages.webhooks import AlertJudged, AlertReceived
from mytrading.runtime.daemon import process as harness
from mytrading.runtime.daemon.machine_daemon import MachineDaemon
from mytrading.runtime.journal.journal import Journal

BOUNDARIES = {
    "feed": ("received", "decided", "committed", "sent"),
    "engine": ("received", "decided", "torn", "committed", "sent"),
    "risk": ("received", "decided", "torn", "committed", "sent"),
    "router": ("received", "decided", "torn", "committed", "sent", "answered"),
    "reconciler": ("received", "decided", "sent", "answered"),
}
"""Boundaries that a daemon passes; `torn` is half a frame of its journal. The feed commits a bar; the reconciler keeps
no journal; only the last two call."""


ALERT_BOUNDARIES = ("received", "decided", "torn", "committed", "halfway", "sent", "answered")
"""Boundaries that `webhooks` passes with an alert; `halfway` is after the first of its signals. Not in lock-step."""


class Trap:
    """The trap of one daemon."""

    def __init__(self, daemon: str) -> None:
        self._path = Path(os.environ["KILL_TRAPS"]) / daemon
        self.hot = False

    @property
    def phase(self) -> str:
        """Return `entry` or `exit`, whichever the process waits for; empty for neither."""
        try:
            return self._path.read_text().split()[1]
        except (FileNotFoundError, IndexError):
            return ""

    def spring(self, boundary: str) -> None:
        """Here ends the process, if this is the boundary."""
        try:
            first, *rest = self._path.read_text().splitlines()
        except (FileNotFoundError, ValueError):
            return
        if first.split()[0] == boundary:
            if rest:
                self._path.write_text("\n".join(rest))
            else:
                self._path.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    def tear(self) -> None:
        """Here the process ends in the middle of its next write, if this is the boundary."""
        with suppress(FileNotFoundError, IndexError):
            if self._path.read_text().split()[0] == "torn":
                write = os.pwrite

                def half(file: int, data: bytes, at: int) -> int:
                    write(file, data[: len(data) // 2], at)
                    self.spring("torn")
                    return 0

                os.pwrite = half

    def minute(self, ns: int) -> bool:
        """True for the end of a minute that the strategy enters or leaves on, as the trap wants it."""
        return bool(self.phase) and ns % MINUTE == 0 and ns // MINUTE % 2 == (self.phase == "exit")

    def side(self, side: Side) -> bool:
        """True for the side of the order that the trap waits for."""
        return side is {"entry": Side.BUY, "exit": Side.SELL}.get(self.phase)


def wrap(owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Put `around(original, self, *args)` in place of a method."""
    original = getattr(owner, name)
    setattr(owner, name, lambda self, *args, **kwargs: around(original, self, *args, **kwargs))


def trap_machine(trap: Trap, machine: type, of_interest: Callable[[Any], bool]) -> None:
    """The boundaries of a daemon with a journal: inputs and decisions of interest lead to each of them in turn."""

    def step(original: Any, self: Any, stream: str, message: Any, *args: Any, **kwargs: Any) -> Any:
        if of_interest(message):
            trap.spring("received")
        return original(self, stream, message, *args, **kwargs)

    def decide(original: Any, self: Any, message: Any, now: int) -> Any:
        rows = original(self, message, now)
        trap.hot = any(of_interest(row) for row in rows)
        if trap.hot:
            trap.spring("decided")
        return rows

    def append(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
        if trap.hot:
            trap.tear()
        rows = original(self, *args, **kwargs)
        if trap.hot:
            trap.spring("committed")
        return rows

    wrap(MachineDaemon, "step", step)
    wrap(machine, "decide", decide)
    wrap(Journal, "append", append)


def trap_sending(trap: Trap) -> None:
    """After a message left for the next daemon."""

    def send(original: Any, self: Any, *args: Any) -> None:
        original(self, *args)
        if trap.hot:
            trap.spring("sent")

    wrap(MachineDaemon, "_send", send)


def trap_engine(trap: Trap) -> None:
    from mytrading.core.engine.machine import EngineMachine

    def of_interest(message: Any) -> bool:
        if isinstance(message, Bar):
            return trap.minute(message.end_ns)
        return isinstance(message, Signal) and bool(message.legs) == (trap.phase == "entry")

    trap_machine(trap, EngineMachine, of_interest)
    trap_sending(trap)


def trap_risk(trap: Trap) -> None:
    from mytrading.core.risk.machine import RiskMachine

    def of_interest(message: Any) -> bool:
        if isinstance(message, Signal):
            return bool(message.legs) == (trap.phase == "entry")
        return isinstance(message, {"entry": PlaceEntry, "exit": CloseGoal}.get(trap.phase, ()))

    trap_machine(trap, RiskMachine, of_interest)
    trap_sending(trap)


def trap_router(trap: Trap) -> None:
    from mytrading.core.oms.machine import OrderMachine
    from mytrading.daemons.router.account_pools import AccountPools
    from mytrading.daemons.router.daemon import TradeManager

    def of_interest(message: Any) -> bool:
        if isinstance(message, OrderChanged):
            entry = message.order.purpose is Purpose.ENTRY
            return message.event == "submitted" and entry == (trap.phase == "entry")
        return isinstance(message, {"entry": PlaceEntry, "exit": CloseGoal}.get(trap.phase, ()))

    def act(original: Any, self: Any, rows: Any) -> bool:
        began: bool = original(self, rows)
        if any(of_interest(row) for row in rows):
            trap.spring("sent")
        return began

    def results(original: Any, self: Any) -> Any:
        found = original(self)
        if found and trap.hot_call:
            trap.spring("answered")
        return found

    def submit(original: Any, self: Any, job: Any, rank: int) -> None:
        trap.hot_call = trap.side(job.order.side)
        original(self, job, rank)

    trap.hot_call = False
    trap_machine(trap, OrderMachine, of_interest)
    wrap(TradeManager, "begin_calls", act)
    wrap(AccountPools, "submit", submit)
    wrap(AccountPools, "take_outcomes", results)


def trap_feed(trap: Trap) -> None:
    from mytrading.adapters.storage.bar_store import BarStore
    from mytrading.daemons.feed.bars import BarPublisher
    from mytrading.daemons.feed.quotes import MarketPublisher

    def add(original: Any, self: Any, quote: Quote) -> None:
        if trap.minute(quote.market_ns):
            trap.spring("received")
        original(self, quote)
        if any(trap.minute(item.bar.end_ns) for item in self.closed):
            trap.spring("decided")

    def store(original: Any, self: Any, bars: Any, *sampled: Any) -> Any:
        new = original(self, bars, *sampled)
        if any(trap.minute(bar.end_ns) for bar in new):
            trap.spring("committed")
        return new

    def send_bar(original: Any, self: Any, bar: Bar) -> None:
        original(self, bar)
        if trap.minute(bar.end_ns):
            trap.spring("sent")

    wrap(BarPublisher, "add", add)
    wrap(BarStore, "add", store)
    wrap(MarketPublisher, "send_bar", send_bar)


def trap_reconciler(trap: Trap) -> None:
    from mytrading.adapters.openalgo.ws.order_updates import OrderUpdates
    from mytrading.core.reconciler.read_plan import OrderLevels
    from mytrading.runtime.daemon.workers import WorkerPool
    from mytrading.runtime.streams.zmq_streams import PushSocket

    def take(original: Any, self: Any) -> Any:
        reports = original(self)
        if any(trap.side(report.order.side) for report in reports):
            trap.hot = True
            trap.spring("received")
        return reports

    def on_update(original: Any, self: Any, report: OrderReport) -> Any:
        level = original(self, report)
        if level is not None and trap.side(level.order.side):
            trap.spring("decided")
        return level

    def send(original: Any, self: Any, topic: str, message: Any) -> None:
        original(self, topic, message)
        if isinstance(message, OrderReport) and trap.side(message.order.side):
            trap.spring("sent")

    def results(original: Any, self: Any) -> Any:
        found = original(self)
        if found and trap.hot:
            trap.spring("answered")
        return found

    wrap(OrderUpdates, "drain", take)
    wrap(OrderLevels, "on_update", on_update)
    wrap(PushSocket, "send", send)
    wrap(WorkerPool, "take_results", results)


def trap_webhooks(trap: Trap) -> None:
    from mytrading.core.webhooks.machine import WebhookMachine
    from mytrading.daemons.webhooks.http_server import WaitingAlert

    def send(original: Any, self: Any, journaled: Any, row: Any) -> None:
        original(self, journaled, row)
        if isinstance(row, Signal):
            trap.spring("halfway")

    def send_all(original: Any, self: Any, decisions: Any, rows: Any) -> None:
        original(self, decisions, rows)
        if any(isinstance(row, AlertJudged) for row in rows):
            trap.spring("sent")

    def answer(original: Any, self: Any, found: Any) -> None:
        original(self, found)
        trap.spring("answered")

    trap_machine(trap, WebhookMachine, lambda message: isinstance(message, AlertReceived | AlertJudged))
    wrap(MachineDaemon, "_send", send)
    wrap(MachineDaemon, "_send_all", send_all)
    wrap(WaitingAlert, "answer", answer)


CLASSES = {
    "webhooks": ("WebhookReceiver", trap_webhooks),
    "feed": ("DataManager", trap_feed),
    "engine": ("StrategyEngine", trap_engine),
    "risk": ("RiskManager", trap_risk),
    "router": ("TradeManager", trap_router),
    "reconciler": ("Reconciler", trap_reconciler),
    "gateway": ("Gateway", None),
}


def at_a_live_server(config: RunConfig) -> RunConfig:
    """The same run at a server that plays a live one, with every gate open."""
    names = ",".join(account.id for account in config.order_accounts)
    venue = msgspec.structs.replace(config.venue, expected_mode=ServerMode.LIVE)
    return msgspec.structs.replace(config, mode=Mode.LIVE, trade_execution=True, live_confirm=names, venue=venue)


def simulate(personality: str) -> int:
    """The embedded exchange with another personality."""
    from mytrading.simulator import embedded

    plain = embedded.simulator_options_of_run
    embedded.simulator_options_of_run = lambda config: replace(plain(config), personality=personality)
    return embedded.main()


def start(name: str, personality: str) -> int:
    """Run one process of the stack."""
    if name == "simulator":
        return simulate(personality)
    if personality == "live":
        decode = harness.decode_run_config
        harness.decode_run_config = lambda path: at_a_live_server(decode(path))
    kind, set_trap = CLASSES[name]
    module = __import__(f"mytrading.daemons.{name}.daemon", fromlist=[kind])
    if set_trap is not None:
        set_trap(Trap(name))
    return harness.main(getattr(module, kind), name)


if __name__ == "__main__":
    raise SystemExit(start(sys.argv[1], os.environ["KILL_PERSONALITY"]))
