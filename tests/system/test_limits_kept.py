"""Limits of strategies on a stack whose processes are all killed at once: what was reached is in force afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kit.limit_stack import RECORDED, push
from tests.kit.stack import Stack
from tests.kit.stack_project import ALTERNATING, HEAD, RICH, SHARES, WIDE, make_project, named
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

ACTIONS = {"AlertsOnly": "alert", "EntersNoMore": "no_entries", "Closes": "close_legs", "GoesFlat": "flatten",
           "Halts": "halt"}  # fmt: skip
ENDED = ACTIONS.keys() - {"AlertsOnly"}
CODE = HEAD + ALTERNATING + named("Alternating", *ACTIONS)
SETTINGS = (
    SHARES
    + """
max_daily_loss = 200
limit_action = "{action}"
"""
)


def make_home(home: Path) -> dict[str, str]:
    settings = {name: SETTINGS.format(name=name, action=action) for name, action in ACTIONS.items()}
    return make_project(home, CODE, settings, WIDE, **RICH)


def reached(stack: Stack) -> set[str]:
    """Strategies at their limit, by risk's newest snapshot; a process that has just started may have sent none."""
    limits = stack.ask("risk").get("limits", [])
    return {row["name"] for row in limits if row["scope"] == "strategy" and row["reached"]}


def recorded(stack: Stack) -> dict[str, str]:
    """The action of each strategy's event in risk's journal, which may be written just after the picture is sent."""
    return {row["strategy"]: row["action"] for row in json.loads(stack.run("risk", "events", "--json").stdout)}


def entries(stack: Stack) -> dict[str, int]:
    """Filled entries by strategy."""
    rows = [row for row in stack.ask("orders", "-n", "0") if row["purpose"] == "entry" and row["filled"]]
    return {name: sum(row["strategy"] == name for row in rows) for name in ACTIONS}


def denied(stack: Stack) -> set[str]:
    """Strategies of which a signal of this session was denied for the limit."""
    done = stack.run("signals", "--json", "-n", "60")
    return {row["strategy"] for row in json.loads(done.stdout) if "DAILY_LOSS" in json.dumps(row)}


def test_each_action_of_a_limit_is_in_force_after_all_processes_were_killed(tmp_path: Path) -> None:
    with Stack(tmp_path, **make_home(tmp_path / "home")) as stack:
        stack.up("--simulator", "--speed", "20")
        eventually(lambda: stack.held().keys() == ACTIONS.keys(), 60)
        price = float(stack.rest("quotes", symbol="INFY", exchange="NSE")["ltp"])
        push(stack, ltp=round(price * 0.97, 1), hold=True, depth=100_000)
        eventually(lambda: reached(stack) == set(ACTIONS), 30)
        eventually(lambda: len(recorded(stack)) == len(ACTIONS), 10)
        assert recorded(stack) == {name: RECORDED[action] for name, action in ACTIONS.items()}
        eventually(lambda: not stack.held().keys() & {"Closes", "GoesFlat"}, 30)
        push(stack, ltp=price, release=True)
        stack.kill_all()
        stack.up("--simulator", "--speed", "20")
        eventually(lambda: reached(stack) == set(ACTIONS), 10)
        before = entries(stack)
        eventually(lambda: entries(stack)["AlertsOnly"] > before["AlertsOnly"] + 1, 60)
        eventually(lambda: denied(stack) == ENDED, 60)
        after = entries(stack)
        assert {name for name in ACTIONS if after[name] > before[name]} == {"AlertsOnly"}
        assert len(json.loads(stack.run("risk", "events", "--json").stdout)) == len(ACTIONS), (
            "each limit acts once a day"
        )
        assert stack.run("journal", "verify").returncode == 0
