"""Live paper: an exchange of its own that follows the market of a running stack."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit.simulator_process import start_simulator
from tests.kit.stack import Stack
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(200)]


def test_simulator_follows_a_running_stack_and_fills_at_its_prices(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        stack.up("--simulator")
        with start_simulator(tmp_path, start="", clock="", state_dir="", follow=stack.state) as paper:

            def ltp() -> float:
                return float(paper.call("quotes", symbol="NIFTY", exchange="NSE_INDEX")[1]["data"]["ltp"])

            first = eventually(ltp, 20)
            eventually(lambda: ltp() not in (0.0, first), 20)
            market_ns = paper.get("/sim/state")[1]["data"]["market_ns"]
            assert market_ns > 0
            _, body = paper.call("quotes", symbol="SENSEX", exchange="BSE_INDEX")
            assert body["data"]["ltp"] == 0
