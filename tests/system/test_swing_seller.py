"""Swing_Break_Seller on a real stack, in lock-step: rests below a swing low, is filled, stopped out, squared off.

The day is made for it: the index rises, dips and recovers, so that the call about the money has a swing low far above
its VWAP; then it falls through that low. The first time it turns back up through the stop, the second time it does not.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.kit.lockstep_stack import LockStepped
from tests.kit.project import ROOT
from tests.kit.stack import Stack
from tests.kit.stack_project import DAY, OPENS, RICH, make_project, write_ticks

pytestmark = [pytest.mark.system, pytest.mark.long, pytest.mark.timeout(400)]

PATH = [(0, 0), (8, 160), (11, 140), (14, 152), (18, 112), (30, 190), (33, 176), (36, 184), (41, 155), (375, 150)]
"""Minutes after the open, and how far the index is above 26,000 then; straight lines between."""
SETTINGS = {
    'options = "ATM 20 nearest"': 'options = "ATM 1 nearest"',
    'square_off = "15:15"': 'square_off = "09:58"',
    "r_value = 6500.0": "r_value = 1300.0",
    "max_price = 300.0": "max_price = 312.0",
    "min_vwap_premium = 0.04": "min_vwap_premium = 0.02",
}


def make_home(home: Path) -> dict[str, str]:
    text = (ROOT / "config" / "strategies" / "swing_break_seller.toml").read_text(encoding="utf-8")
    for shipped, here in SETTINGS.items():
        assert shipped in text
        text = text.replace(shipped, here)
    code = (ROOT / "strategies" / "swing_break_seller.py").read_text(encoding="utf-8")
    sizes = {"MAX_POSITION_SIZE": "20000000", "MAX_ORDER_SIZE": "20000000"}
    return make_project(home, code, {"Swing_Break_Seller": text}, **RICH, **sizes)


def make_ticks(path: Path) -> Path:
    ticks = [
        (OPENS + quarter * 15, 26_000 + low + (high - low) * (quarter / 4 - begin) / (end - begin))
        for (begin, low), (end, high) in pairwise(PATH)
        for quarter in range(begin * 4, end * 4)
    ]
    return write_ticks(path, {DAY: ticks})


def test_seller_is_filled_below_a_swing_stopped_out_filled_again_and_squared_off(tmp_path: Path) -> None:
    with Stack(tmp_path, **make_home(tmp_path / "home")) as stack:
        stack.up("--replay", str(make_ticks(tmp_path / "ticks.csv")), "--speed", "0")
        LockStepped(stack).run_to("09:57:00", 240)
        first, its_stop, second, other_stop, squared = stack.ask("orders")
        for entry, stop in ((first, its_stop), (second, other_stop)):
            assert (entry["purpose"], entry["side"], entry["order_type"]) == ("entry", "SELL", "SL")
            assert entry["trigger_price"] - entry["price"] == pytest.approx(3.0)
            assert entry["average_price"] <= entry["trigger_price"]
            assert (stop["purpose"], stop["side"], stop["quantity"]) == ("stop", "BUY", entry["filled"])
            assert stop["price"] - stop["trigger_price"] == pytest.approx(3.0)
            points = stop["trigger_price"] - (entry["trigger_price"] + 0.05)
            assert entry["filled"] == int(1300 / (points * 65)) * 65
        assert (its_stop["state"], its_stop["average_price"]) == (
            "FILLED",
            pytest.approx(its_stop["trigger_price"], abs=3),
        )
        assert (other_stop["state"], squared["purpose"], squared["state"]) == ("CANCELLED", "exit", "FILLED")
        assert [event["kind"] for event in stack.ask("risk", "events")] == ["broker_stop", "square_off"]
        assert [trade["realised"] < 0 for trade in stack.ask("trades")] == [True, False]
        assert stack.broker_net() == {}
        assert stack.disagreements() == []
        assert stack.run("journal", "verify").returncode == 0
