"""One strategy file and one configuration in paper, in dry run and in a backtest: the same decisions."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mytrading.adapters.storage.bar_store import BarReader
from mytrading.backtest.parity.facts import DaySide
from mytrading.backtest.parity.recorded_day import read_day, recorded_days
from mytrading.backtest.run import run
from mytrading.backtest.setup.prepare import RunRequest, prepare
from mytrading.core.engine.machine import EngineMachine
from mytrading.core.time import MINUTE
from mytrading.messages.enums import Action, OrderState
from mytrading.messages.signals import Signal as SentSignal
from tests.kit.lockstep_stack import LockStepped
from tests.kit.stack import Stack
from tests.kit.stack_project import DAY, OPENS, make_project, write_ticks
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

CROSS = '''
from mytrading.strategies import Bar, BaseStrategy, Signal


class TwoMeans(BaseStrategy):
    """Long where the fast average comes above the slow one, short where below; out once they draw together.

    From `begins` on, so that a stack whose clock runs while it starts has seen no less.
    """

    name = "TwoMeans"
    fast: int = 5
    slow: int = 20
    begins: str = "09:20"

    def initialize(self) -> None:
        self.add_indicator("SMA", period=self.fast, name="fast")
        self.add_indicator("SMA", period=self.slow, name="slow")

    def on_data(self, data: Bar) -> Signal | None:
        if self.time_of_day < self.begins:
            return None
        gap, before = self.gap(0), self.gap(1)
        if gap > 0 >= before:
            return self.create_signal("BUY", confidence=1.0, reason="above")
        if gap < 0 <= before:
            return self.create_signal("SELL", confidence=1.0, reason="below")
        if abs(gap) < abs(before):
            return self.create_signal("EXIT", confidence=1.0, reason="together")
        return None

    def gap(self, back: int) -> float:
        return self.get_indicator_value("fast", back) - self.get_indicator_value("slow", back)
'''
SETTINGS = """
name = "TwoMeans"
symbols = ["NIFTY"]
timeframes = ["1m"]
direction = "both"
product = "MIS"
lots = 1
signal_cooldown = 0

[trade]
long = "NIFTY ATM CE nearest"
short = "NIFTY ATM PE nearest"

[parameters]
fast = 3
slow = 8
begins = "09:23"
"""
FIRST_NS = 1_795_146_300_000_000_000
"""The open of the replayed day, 09:15 in India."""
BARS = 16
LAST_NS = FIRST_NS + BARS * MINUTE
END = "09:31:30"
SPEED = "30"
VALID_SECONDS = "900"
"""Half a minute at this speed, in which a busy machine must come to a signal."""


class Decision(NamedTuple):
    """One signal, whoever runs the strategy: the bar's end (market ns), its close, signed lots by contract."""

    id: str
    bar_ns: int
    watch: str
    action: Action
    price: float
    legs: tuple[tuple[str, int], ...]


def decisions(side: DaySide) -> list[Decision]:
    """The signals about the bars of the day that all have seen, oldest first."""

    def of(one: SentSignal) -> Decision:
        legs = tuple((leg.instrument, leg.lots) for leg in one.legs)
        return Decision(one.id, one.bar_ns, one.watch, one.action, one.price, legs)

    found = sorted((of(one) for one in side.signals.values()), key=lambda one: one.bar_ns)
    return [one for one in found if FIRST_NS < one.bar_ns <= LAST_NS]


def traded(side: DaySide) -> list[tuple[str, int]]:
    """Trades of the day, oldest first."""
    return [(one.instrument, one.units) for one in side.fills.values() if FIRST_NS < one.at_ns < LAST_NS]


def recorded(side: DaySide) -> list[tuple[str, str]]:
    """The signal and the contract of each order that a dry run would have sent, oldest first."""
    orders = sorted(side.orders.values(), key=lambda one: one.created_ns)
    return [(one.cause, one.instrument) for one in orders if one.state is OrderState.RECORDED]


def make_ticks(path: Path) -> str:
    """Minutes of four ticks.

    A minute comes to its close with its second tick: one that a busy machine passes on late closes no bar otherwise.
    """
    ticks, before = [], 26_010.0
    for minute in range(BARS + 10):
        close = round(26_010 + 14 * math.sin(minute * 0.95) + 1.5 * minute % 7, 1)
        opens = round((before + close) / 2, 1)
        ticks += [(OPENS + minute * 60 + second, close if second else opens) for second in (0, 15, 30, 45)]
        before = close
    return str(write_ticks(path, {DAY: ticks}))


def write_bars(path: Path, stack: Stack) -> str:
    """The very bars that a stack's strategies saw, with those of the day before by which their averages began."""
    reader = BarReader(stack.config.bars_dir)
    bars = reader.bars("NSE_INDEX:NIFTY", since=FIRST_NS - 1440 * MINUTE, until=LAST_NS)
    reader.close()
    assert bars[0].end_ns < FIRST_NS < bars[-1].end_ns == LAST_NS
    rows = [f"{bar.start_ns},{bar.open},{bar.high},{bar.low},{bar.close}" for bar in bars]
    path.write_text("\n".join(["start_ns,open,high,low,close", *rows]) + "\n")
    return str(path)


def make_home(home: Path) -> dict[str, str]:
    """The project folder that all three run in; the environment of all three.

    Where nothing is said of its first minutes, a simulated stack enters in them and a backtest does not.
    """
    same = {"AVOID_FIRST_MINUTES": "0", "SIGNAL_VALIDITY": VALID_SECONDS}
    return make_project(home, CROSS, {"TwoMeans": SETTINGS}, **same)


def backtested(home: Path, bars: str) -> tuple[DaySide, str]:
    """The day of a backtest's engine, which `mytrading backtest` does not print, and the hash of the trades."""
    side = DaySide()

    class Noting(EngineMachine):
        def apply(self, row: Any) -> None:
            side.apply(row)
            super().apply(row)

    spec = prepare(home, RunRequest(name="TwoMeans", data=(f"NIFTY={bars}",), options=("model",))).spec
    return side, run(dataclasses.replace(spec, lean=False), machine=Noting).ledger.trade_hash()


def did(stack: Stack) -> DaySide:
    """The day of a stack, by its journals."""
    return read_day(stack.config, recorded_days(stack.config)[-1]).side


def parity(stack: Stack) -> dict[str, Any]:
    done = stack.run("parity", "--json", "--within-ms", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_one_class_decides_the_same_in_paper_dry_run_and_backtest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = make_home(tmp_path / "home")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    ticks = make_ticks(tmp_path / "ticks.csv")

    with Stack(tmp_path / "paper", **environment) as stack:
        stack.up("--replay", ticks, "--speed", "0")
        LockStepped(stack).run_to(END)
        assert stack.down().returncode == 0
        paper = did(stack)
        paper_parity = parity(stack)
        bars = write_bars(tmp_path / "bars.csv", stack)
        reported = stack.run("backtest", "TwoMeans", "--data", f"NIFTY={bars}", "--options", "model", "--json")

    signalled = decisions(paper)
    entered = [one for one in signalled if one.action is not Action.EXIT]
    with Stack(tmp_path / "dry", **environment) as stack:
        stack.up("--replay", ticks, "--speed", SPEED, "--dry-run")
        eventually(lambda: stack.market_time() >= END and len(recorded(did(stack))) >= len(entered), 60)
        at_the_exchange = stack.rest("orderbook")["orders"], stack.rest("tradebook"), stack.broker_net()
        assert stack.down().returncode == 0
        dry = did(stack)
        dry_parity = parity(stack)

    assert reported.returncode == 0, reported.stderr
    backtest, trades = backtested(tmp_path / "home", bars)
    assert json.loads(reported.stdout.splitlines()[-1])["trade_hash"] == trades

    assert min(Counter(one.action for one in signalled)[action] for action in Action) >= 2
    assert decisions(backtest) == signalled
    assert traded(backtest) == traded(paper)
    assert paper_parity["differences"] == []

    # a dry run holds nothing, so that there is nothing to leave: all but its exits are the same
    assert decisions(dry) == entered
    assert not any(at_the_exchange)
    assert not dry.fills
    assert len(recorded(dry)) == len(dry.orders)
    assert recorded(dry)[: len(entered)] == [(one.id, one.legs[0][0]) for one in entered]
    assert dry_parity["equal"]["signals"] == dry_parity["stack"]["signals"] >= len(entered)
