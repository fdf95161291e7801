"""`mytrading doctor` on stacks that run: a trial order through the router, and one started for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kit.stack import Stack
from tests.kit.waiting import eventually

pytestmark = pytest.mark.system


def test_doctor_on_a_simulated_stack_of_its_own_passes_and_leaves_nothing(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    done = stack.run("doctor", "--simulator", "--json")
    assert done.returncode == 0, done.stdout
    rows = {row["check"]: row for row in json.loads(done.stdout)["findings"]}
    assert rows["paper order"]["verdict"] == "ok" and "and cancelled" in rows["paper order"]["found"]
    assert {name for name, row in rows.items() if row["verdict"] == "not tested"} == {"egress address"}
    assert not any(stack.base.glob("*/run.msgpack"))


def test_doctor_beside_a_running_stack_tries_an_order_and_the_journal_still_verifies(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        stack.up("--simulator")
        eventually(stack.is_ready, 40)
        done = stack.run("doctor", "--json")
        rows = {row["check"]: row for row in json.loads(done.stdout)["findings"]}
        assert rows["paper order"]["verdict"] == "ok", rows["paper order"]
        (trial,) = (row for row in stack.ask("orders", "--limit", "0") if row["strategy"] == "doctor")
        assert (trial["state"], trial["order_type"], trial["filled"]) == ("CANCELLED", "LIMIT", 0)
        assert all(row["strategy"] != "doctor" for row in stack.ask("positions", "--all"))
        stack.run("halt", "a test")
        done = stack.run("doctor", "--json")
        rows = {row["check"]: row for row in json.loads(done.stdout)["findings"]}
        assert (done.returncode, rows["paper order"]["verdict"]) == (1, "failed")
        assert "HALTED" in rows["paper order"]["found"]
        assert stack.ask("journal", "verify")["ok"] is True
