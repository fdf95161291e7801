"""`mytrading chain` beside a running stack: quotes of strikes that nobody trades come when somebody looks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kit.stack import Stack
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def test_chain_of_a_running_stack_has_quotes_volatility_and_greeks_of_every_strike(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        stack.up("--simulator")
        found = stack.run("chain", "NIFTY", "--strikes", "10", "--wait", "30", "--json")
        assert found.returncode == 0, found.stderr
        body = json.loads(found.stdout)
        assert body["without_quote"] == 0
        assert len(body["rows"]) == 21
        near = next(row for row in body["rows"] if row["strike"] == body["atm"])
        for side, sign in (("call", 1), ("put", -1)):
            assert 0.02 < near[side]["iv"] < 1.5
            assert 0.2 < sign * near[side]["delta"] < 0.8
            assert near[side]["bid"] <= near[side]["ask"]
        assert body["pcr_open_interest"] > 0
        watched = stack.run("chain", "nifty", "--strikes", "3", "--watch", "--for", "2")
        assert watched.returncode == 0, watched.stderr
        assert "max pain" in watched.stdout
        refused = stack.run("chain", "NIFTY", "--expiry", "2001-01-25")
        assert refused.returncode == 2
        assert "expected nearest" in refused.stderr
        unknown = stack.run("chain", "NOSUCH")
        assert unknown.returncode == 2
        assert "no option of NOSUCH is listed" in unknown.stderr
        eventually(stack.is_ready, 20)
