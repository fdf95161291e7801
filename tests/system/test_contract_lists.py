"""A list that contradicts the table while positions are held: exits go on, an operator's word opens entries."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kit.stack import Stack
from tests.kit.stack_project import ALTERNATING, HEAD, RICH, WIDE, make_project
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

FUTURE = """
name = "Alternating"
symbols = ["NIFTY"]
timeframes = ["1m"]
direction = "long"
product = "MIS"
lots = 1
stop = "engine"
signal_cooldown = 0

[trade]
long = "future"
"""


def alerts(stack: Stack) -> dict[str, str]:
    return {row["code"]: row["message"] for row in stack.ask("alerts")}


def denied(stack: Stack) -> list[str]:
    return [text for row in stack.ask("signals", "-n", "60") for text in row["denied"] if "at the server" in text]


def fills(stack: Stack, purpose: str) -> list[dict[str, Any]]:
    return [row for row in stack.ask("orders", "-n", "0") if row["purpose"] == purpose and row["filled"]]


def test_lot_that_contradicts_the_table_stops_entries_not_exits_until_an_operator_accepts_it(tmp_path: Path) -> None:
    home = make_project(tmp_path / "home", HEAD + ALTERNATING, {"Alternating": FUTURE}, WIDE, **RICH)
    with Stack(tmp_path, **home) as stack:
        stack.up("--simulator", "--speed", "30")
        eventually(lambda: stack.held() == {"Alternating": 65}, 60)
        (stop,) = eventually(lambda: stack.held() and stack.ask("status")["engine_stops"], 60)
        assert stop["instrument"].endswith("FUT") and (stop["quantity"], stop["stop"] > 0) == (65, True)
        stack.sim("fault", kind="list_wrong", lot=75)
        stack.kill("feed")  # the feed of a next start: it fetches the list anew
        assert "75" in eventually(lambda: alerts(stack).get("INSTRUMENTS_REFUSED"), 40)
        eventually(lambda: denied(stack) and not stack.held(), 60)
        assert all(row["filled"] == 65 for row in fills(stack, "entry")), "none by the server's lot"
        assert fills(stack, "exit"), "what was held is sold by its signal"
        assert stack.run("doctor").returncode == 1

        risk, engine = stack.pid("risk"), stack.pid("engine")
        done = stack.run("instruments", "accept", "nifty", "--reason", "circular", "--yes")
        assert done.returncode == 0 and "lot 75, table 65" in done.stdout, done.stderr
        eventually(lambda: "INSTRUMENTS_REFUSED" not in alerts(stack), 40)
        eventually(lambda: 75 in {row["quantity"] for row in stack.ask("orders", "-n", "0")}, 60)  # its exchange has 65
        assert (stack.pid("risk"), stack.pid("engine")) == (risk, engine)
        shown = json.loads(stack.run("instruments", "show", "--json").stdout)
        assert shown["accepted"] == ["NIFTY: lot 75, table 65"] and shown["refusals"] == []
        checked = stack.run("doctor")
        assert "accepted by an operator: NIFTY: lot 75, table 65" in checked.stdout

        stack.kill("gateway")
        stack.kill("feed")
        eventually(lambda: stack.is_ready(), 40)
        assert "INSTRUMENTS_REFUSED" not in alerts(stack), "it outlives the processes"
        again = stack.run("instruments", "accept", "NIFTY", "--yes")
        assert again.returncode != 0 and "nothing of NIFTY can be accepted" in again.stderr
        assert stack.disagreements() == []
