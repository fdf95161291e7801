"""Limits of a whole account on a stack, with each of the five actions, and in force after all processes were killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, eventually
from tests.system.stack import Stack
from tests.system.test_limits_kept import PROCESSES, RECORDED, holders, push

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

STRATEGY = '''
from mytrading.strategies import Bar, BaseStrategy, Signal


class First(BaseStrategy):
    """Long from each even minute to the next odd one."""

    name = "First"

    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("EXIT" if data.end_ns // 60_000_000_000 % 2 else "BUY", confidence=1.0)


class Second(First):
    """The same."""

    name = "Second"
'''
SETTINGS = """
name = "{name}"
symbols = ["INFY"]
timeframes = ["1m"]
direction = "long"
product = "CNC"
lots = 20
stop = "none"
signal_cooldown = 0
"""
WIDE = {"max_daily_loss": 1_000_000, "max_drawdown": 0.5, "r_value": 100, "daily_r_action": '"alert"'}
CASES = {
    "alert": ("DAILY_LOSS", {"max_daily_loss": 500, "max_daily_loss_action": '"alert"'}),
    "no_entries": ("DAILY_STOP_R", {"daily_stop_r": 5, "daily_r_action": '"no_entries"'}),
    "close_legs": ("DAILY_LOSS", {"max_daily_loss": 500, "max_daily_loss_action": '"close_legs"'}),
    "flatten": ("DAILY_STOP_R", {"daily_stop_r": 5, "daily_r_action": '"flatten"'}),
    "halt": ("DRAWDOWN", {"max_drawdown": 0.0005, "max_drawdown_action": '"halt"'}),
}


def make_home(home: Path, limits: dict[str, Any]) -> dict[str, str]:
    shutil.copytree(ROOT / "config", home / "config", ignore=shutil.ignore_patterns("strategies"))
    (home / "config" / "strategies").mkdir()
    for name in ("First", "Second"):
        (home / "config" / "strategies" / f"{name.lower()}.toml").write_text(SETTINGS.format(name=name))
    lines = [f"{name} = {value}" for name, value in (WIDE | limits).items()]
    head = ["[risk]", "max_order_size = 1_000_000", "max_position_size = 1_000_000", "avoid_first_minutes = 0"]
    (home / "config" / "settings.toml").write_text("\n".join([*head, *lines]) + "\n")
    (home / "strategies").mkdir()
    (home / "strategies" / "limited.py").write_text(STRATEGY)
    shutil.copy(ROOT / "supervisord.conf", home)
    return {
        "MYTRADING_HOME": str(home),
        "ENABLED_STRATEGIES": "First,Second",
        "PAPER_TRADING_INITIAL_CAPITAL": "1000000",
    }


def reached(stack: Stack) -> set[str]:
    return {row["kind"] for row in stack.ask("risk")["limits"] if row["scope"] == "account" and row["reached"]}


def entries(stack: Stack) -> int:
    return sum(row["purpose"] == "entry" and row["filled"] > 0 for row in stack.ask("orders", "-n", "0"))


def denied(stack: Stack, kind: str, since_ns: int) -> set[str]:
    """Strategies of which a wish made later than that was denied for the limit."""
    rows = json.loads(stack.run("signals", "--json", "-n", "60").stdout)
    return {row["strategy"] for row in rows if row["created_ns"] > since_ns and kind in json.dumps(row)}


def events(stack: Stack) -> list[tuple[str, str]]:
    return [(row["kind"], row["action"]) for row in json.loads(stack.run("risk", "events", "--json").stdout)]


def kill_all(stack: Stack) -> None:
    """None of them sees another end."""
    pids = [pid for name in PROCESSES if (pid := stack.pid(name))]
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            os.kill(pid, number)
    eventually(lambda: not any(stack.pid(name) for name in PROCESSES), 20)


OFTEN = ("close_legs", "halt")


@pytest.mark.parametrize(
    "action", [*OFTEN, *(pytest.param(name, marks=pytest.mark.long) for name in CASES if name not in OFTEN)]
)
def test_limit_of_an_account_acts_on_all_its_strategies_and_is_in_force_after_a_restart(
    tmp_path: Path, action: str
) -> None:
    kind, limits = CASES[action]
    with Stack(tmp_path, **make_home(tmp_path / "home", limits)) as stack:
        stack.up("--simulator", "--speed", "20")
        eventually(lambda: holders(stack) == {"First", "Second"}, 60)
        price = float(stack.rest("quotes", symbol="INFY", exchange="NSE")["ltp"])
        push(stack, ltp=round(price * 0.97, 1), hold=True, depth=100_000)
        eventually(lambda: reached(stack) == {kind}, 30)
        assert events(stack) == [(kind.lower(), RECORDED[action])]
        if action in ("close_legs", "flatten"):
            eventually(lambda: not holders(stack) and not stack.broker_net(), 30)
        push(stack, ltp=price, release=True)
        kill_all(stack)
        stack.up("--simulator", "--speed", "20")
        assert reached(stack) == {kind}
        before, since = entries(stack), int(stack.ask("status")["market_ns"])
        if action == "alert":
            eventually(lambda: entries(stack) > before + 1, 60)
        else:
            eventually(lambda: denied(stack, kind, since) == {"First", "Second"}, 60)
            assert entries(stack) == before
        if action == "halt":
            assert stack.run("resume").returncode == 0
            eventually(lambda: entries(stack) > before, 60)
            assert reached(stack) == set(), "the peak begins anew at present equity"
        eventually(lambda: bool(stack.broker_net()) == bool(holders(stack)), 30)
        assert len(events(stack)) == 1, "a limit acts once a day"
        assert stack.run("journal", "verify").returncode == 0
