"""Limits of a whole account on a stack, with each of the five actions, and in force after all processes were killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kit.limit_stack import RECORDED, push
from tests.kit.stack import Stack
from tests.kit.stack_project import ALTERNATING, HEAD, SHARES, WIDE, make_project, named
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

CODE = HEAD + ALTERNATING + named("Alternating", "First", "Second")
FAR = {**WIDE, "max_drawdown": 0.5, "r_value": 100, "daily_r_action": "alert"}
CASES = {
    "alert": ("DAILY_LOSS", {"max_daily_loss": 500, "max_daily_loss_action": "alert"}),
    "no_entries": ("DAILY_STOP_R", {"daily_stop_r": 5, "daily_r_action": "no_entries"}),
    "close_legs": ("DAILY_LOSS", {"max_daily_loss": 500, "max_daily_loss_action": "close_legs"}),
    "flatten": ("DAILY_STOP_R", {"daily_stop_r": 5, "daily_r_action": "flatten"}),
    "halt": ("DRAWDOWN", {"max_drawdown": 0.0005, "max_drawdown_action": "halt"}),
}


def make_home(home: Path, limits: dict[str, Any]) -> dict[str, str]:
    settings = {name: SHARES.format(name=name) for name in ("First", "Second")}
    return make_project(home, CODE, settings, FAR | limits, PAPER_TRADING_INITIAL_CAPITAL="1000000")


def reached(stack: Stack) -> set[str]:
    return {row["kind"] for row in stack.ask("risk")["limits"] if row["scope"] == "account" and row["reached"]}


def entries(stack: Stack) -> int:
    return sum(row["purpose"] == "entry" and row["filled"] > 0 for row in stack.ask("orders", "-n", "0"))


def denied(stack: Stack, kind: str, since_ns: int) -> set[str]:
    """Strategies of which a signal made later than that was denied for the limit."""
    rows = json.loads(stack.run("signals", "--json", "-n", "60").stdout)
    return {row["strategy"] for row in rows if row["created_ns"] > since_ns and kind in json.dumps(row)}


def events(stack: Stack) -> list[tuple[str, str]]:
    return [(row["kind"], row["action"]) for row in json.loads(stack.run("risk", "events", "--json").stdout)]


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
        eventually(lambda: stack.held().keys() == {"First", "Second"}, 60)
        price = float(stack.rest("quotes", symbol="INFY", exchange="NSE")["ltp"])
        push(stack, ltp=round(price * 0.97, 1), hold=True, depth=100_000)
        eventually(lambda: reached(stack) == {kind}, 30)
        eventually(lambda: events(stack) == [(kind.lower(), RECORDED[action])], 5)
        if action in ("close_legs", "flatten"):
            eventually(lambda: not stack.held() and not stack.broker_net(), 30)
        push(stack, ltp=price, release=True)
        stack.kill_all()
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
        eventually(lambda: bool(stack.broker_net()) == bool(stack.held()), 30)
        assert len(events(stack)) == 1, "a limit acts once a day"
        assert stack.run("journal", "verify").returncode == 0
