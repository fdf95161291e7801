"""Limits of strategies on a stack whose processes are all killed at once: what was reached is in force afterwards."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.support import ROOT, eventually
from tests.system.stack import Stack

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

STRATEGY = '''
from mytrading.strategies import Bar, BaseStrategy, Signal


class AlertsOnly(BaseStrategy):
    """Long from each even minute to the next odd one."""

    name = "AlertsOnly"

    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("EXIT" if data.end_ns // 60_000_000_000 % 2 else "BUY", confidence=1.0)


class EntersNoMore(AlertsOnly):
    """The same."""

    name = "EntersNoMore"


class Closes(AlertsOnly):
    """The same."""

    name = "Closes"


class GoesFlat(AlertsOnly):
    """The same."""

    name = "GoesFlat"


class Halts(AlertsOnly):
    """The same."""

    name = "Halts"
'''
ACTIONS = {"AlertsOnly": "alert", "EntersNoMore": "no_entries", "Closes": "close_legs", "GoesFlat": "flatten",
           "Halts": "halt"}  # fmt: skip
RECORDED = {"alert": "alert_only", "no_entries": "no_entries", "close_legs": "close_all", "flatten": "flatten",
            "halt": "halt"}  # fmt: skip
ENDED = ACTIONS.keys() - {"AlertsOnly"}
SETTINGS = """
name = "{name}"
symbols = ["INFY"]
timeframes = ["1m"]
direction = "long"
product = "CNC"
lots = 20
stop = "none"
signal_cooldown = 0
max_daily_loss = 200
limit_action = "{action}"
"""
RISK = """
[risk]
max_order_size = 1_000_000
max_position_size = 1_000_000
max_daily_loss = 1_000_000
avoid_first_minutes = 0
"""
PROCESSES = ("supervisord", "watchdog", "feed", "engine", "risk", "router", "reconciler", "gateway", "simulator")


def make_home(home: Path) -> dict[str, str]:
    shutil.copytree(ROOT / "config", home / "config", ignore=shutil.ignore_patterns("strategies"))
    (home / "config" / "strategies").mkdir()
    for name, action in ACTIONS.items():
        (home / "config" / "strategies" / f"{name.lower()}.toml").write_text(SETTINGS.format(name=name, action=action))
    (home / "config" / "settings.toml").write_text(RISK)
    (home / "strategies").mkdir()
    (home / "strategies" / "limited.py").write_text(STRATEGY)
    shutil.copy(ROOT / "supervisord.conf", home)
    return {
        "MYTRADING_HOME": str(home),
        "ENABLED_STRATEGIES": ",".join(ACTIONS),
        "PAPER_TRADING_INITIAL_CAPITAL": "10000000",
    }


def push(stack: Stack, **fields: Any) -> None:
    """Make a quote of the share the market."""
    venue = stack.config.venue
    body = json.dumps({"apikey": venue.api_key, "symbol": "INFY", "exchange": "NSE", **fields}).encode()
    with urlopen(Request(f"{venue.rest_url}/sim/market", body, {"Content-Type": "application/json"}), timeout=60):
        pass


def holders(stack: Stack) -> set[str]:
    return {row["strategy"] for row in stack.ask("positions") if row["quantity"]}


def reached(stack: Stack) -> set[str]:
    return {row["name"] for row in stack.ask("risk")["limits"] if row["scope"] == "strategy" and row["reached"]}


def entries(stack: Stack) -> dict[str, int]:
    """How many entries of each strategy were filled."""
    rows = [row for row in stack.ask("orders", "-n", "0") if row["purpose"] == "entry" and row["filled"]]
    return {name: sum(row["strategy"] == name for row in rows) for name in ACTIONS}


def denied(stack: Stack) -> set[str]:
    """Strategies of which a wish of this session was denied for the limit."""
    done = stack.run("signals", "--json", "-n", "60")
    return {row["strategy"] for row in json.loads(done.stdout) if "DAILY_LOSS" in json.dumps(row)}


def test_each_action_of_a_limit_is_in_force_after_all_processes_were_killed(tmp_path: Path) -> None:
    with Stack(tmp_path, **make_home(tmp_path / "home")) as stack:
        stack.up("--simulator", "--speed", "20")
        eventually(lambda: holders(stack) == set(ACTIONS), 60)
        price = float(stack.rest("quotes", symbol="INFY", exchange="NSE")["ltp"])
        push(stack, ltp=round(price * 0.97, 1), hold=True, depth=100_000)
        eventually(lambda: reached(stack) == set(ACTIONS), 30)
        events = json.loads(stack.run("risk", "events", "--json").stdout)
        assert {row["strategy"]: row["action"] for row in events} == {
            name: RECORDED[action] for name, action in ACTIONS.items()
        }
        eventually(lambda: not holders(stack) & {"Closes", "GoesFlat"}, 30)
        push(stack, ltp=price, release=True)
        for pid in [stack.pid(name) for name in PROCESSES]:
            if pid:
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: not any(stack.pid(name) for name in PROCESSES), 20)
        stack.up("--simulator", "--speed", "20")
        assert reached(stack) == set(ACTIONS)
        before = entries(stack)
        eventually(lambda: entries(stack)["AlertsOnly"] > before["AlertsOnly"] + 1, 60)
        eventually(lambda: denied(stack) == ENDED, 60)
        after = entries(stack)
        assert {name for name in ACTIONS if after[name] > before[name]} == {"AlertsOnly"}
        assert len(json.loads(stack.run("risk", "events", "--json").stdout)) == len(events), (
            "each limit acts once a day"
        )
        assert stack.run("journal", "verify").returncode == 0
