"""Limits and the kill switch in a running stack: shown, obeyed by risk and router, and kept across restarts."""

from __future__ import annotations

import json
import subprocess
from itertools import islice
from pathlib import Path
from threading import Timer

import pytest

from tests.kit.stack import Stack
from tests.kit.waiting import PATIENCE, eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


def assert_watched(stack: Stack) -> None:
    """`risk --watch` prints a line a second, each of a newer moment."""
    shown = stack.start("risk", "--watch", "--json", stdout=subprocess.PIPE)
    assert shown.stdout is not None
    too_long = Timer(60 * PATIENCE, shown.kill)
    too_long.start()
    try:
        bodies = [json.loads(line) for line in islice(shown.stdout, 3)]
    finally:
        too_long.cancel()
        shown.kill()
        shown.wait()
    assert len({body["at_ns"] for body in bodies}) == len(bodies) == 3
    assert all(body["age_s"] < 3 * PATIENCE for body in bodies)


def test_kill_file_flattens_without_risk_and_gateway_and_says_who(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        stack.up("--simulator")
        eventually(lambda: bool(stack.broker_net()), 90)
        body = eventually(lambda: (found := stack.ask("risk"))["known"] and found["age_s"] < 3 and found, 20)
        assert {row["kind"] for row in body["limits"]} >= {"DAILY_LOSS", "DRAWDOWN"}
        assert eventually(lambda: stack.ask("risk")["money"], 20)[0]["equity"] > 0
        assert_watched(stack)
        stack.kill("gateway")
        stack.kill("risk")
        done = stack.run("kill", "flatten", "a drill", "--json")
        assert done.returncode == 0, done.stderr
        assert eventually(lambda: not stack.broker_net(), 60)
        eventually(stack.is_ready, 60)
        assert stack.run("halt", "x").returncode == 0
        assert stack.run("resume").returncode == 0
        shown = eventually(lambda: (found := stack.ask("risk"))["known"] and found, 20)
        assert (shown["kill"]["word"], shown["kill"]["why"]) == ("flatten", "a drill")
        assert shown["kill"]["by"]
        orders = len(stack.ask("orders"))
        stack.kill("router")
        eventually(stack.is_ready, 60)
        assert stack.broker_net() == {}
        assert len([row for row in stack.ask("orders") if row["purpose"] == "entry" and row["filled"]]) <= orders
        assert stack.run("journal", "verify").returncode == 0, stack.run("journal", "verify").stdout
        assert stack.run("kill", "--remove").returncode == 0
        eventually(lambda: bool(stack.broker_net()), 120)
