"""Stacks in lock-step whose data fail: last prices that are none, and past minutes that are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from mytrading.adapters.storage.bar_store import BarReader
from tests.kit.lockstep_stack import LockStepped, make_ticks
from tests.kit.stack import Stack
from tests.kit.stack_project import HEAD, LONG, RICH, WIDE, make_project, named
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]
SHARE = "NSE:INFY"
TARGETED = """
name = "Long"
symbols = ["INFY"]
timeframes = ["1m"]
direction = "long"
product = "MIS"
lots = 20
stop = "none"
take_profit_percent = 1.0
signal_cooldown = 0
"""
OPTION = """
name = "{name}"
symbols = ["NIFTY"]
timeframes = ["1m"]
direction = "long"
product = "MIS"
lots = 1
signal_cooldown = 0

[trade]
long = "NIFTY ATM CE nearest"
"""
LOOKS_BACK = '''

class LooksBack(BaseStrategy):
    """Long while it has an average of the last hour, whatever that says."""

    name = "LooksBack"

    def initialize(self) -> None:
        self.add_indicator("SMA", period=60, name="mean")

    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("BUY", confidence=1.0)
'''


def test_book_alone_values_and_exits_what_is_held_while_the_last_price_is_none(tmp_path: Path) -> None:
    """The frames say 1 rupee beside a book of some 1,500: no limit and no bar by that, and the target by the middle."""
    limits = {**WIDE, "max_daily_loss": 5_000, "max_daily_loss_action": "close_legs"}
    environment = make_project(tmp_path / "home", HEAD + LONG, {"Long": TARGETED}, limits, **RICH)
    with Stack(tmp_path, **environment) as stack:
        stack.up("--simulator", "--speed", "0")
        market = LockStepped(stack)
        market.run_to("09:32:30")
        assert stack.held() == {"Long": 20} and stack.broker_net() == {SHARE: 20}
        stack.sim("fault", kind="ltp_wrong", instrument=SHARE, ltp=1.0, count=-1)
        market.run_to("09:35:30")
        assert stack.broker_net() == {SHARE: 20}, "a last price of 1 rupee ended what is held"
        price = round(stack.rest("quotes", symbol="INFY", exchange="NSE")["ltp"] * 1.03, 1)
        stack.sim("market", symbol="INFY", exchange="NSE", ltp=price, bid=price - 0.1, ask=price + 0.1, hold=True)
        market.run_to("09:36:30")
        assert stack.broker_net() == {}, "the target was deaf without a last price"
        (left,) = [row for row in stack.ask("orders") if row["purpose"] == "exit"]
        reader = BarReader(stack.config.bars_dir)
        lows = [bar.low for bar in reader.bars(SHARE)]
        reader.close()
    assert left["filled"] == 20
    assert min(lows) > 1000.0


def _holes(stack: Stack) -> list[str]:
    return [row["message"] for row in stack.ask("alerts", "--all") if row["code"] == "HISTORY_HOLE"]


def test_entries_over_a_hole_in_history_are_denied_by_name_until_it_is_accepted_for_the_day(tmp_path: Path) -> None:
    """The recorded day begins at noon: of its morning no history has bars, and one strategy looks back an hour."""
    code = HEAD + LONG + named("Long", "Near") + LOOKS_BACK
    settings = {name: OPTION.format(name=name) for name in ("Near", "LooksBack")}
    environment = make_project(tmp_path / "home", code, settings, WIDE, **RICH)
    ticks = str(make_ticks(tmp_path / "ticks.csv", 12 * 60))
    with Stack(tmp_path, **environment) as stack:
        stack.up("--replay", ticks, "--speed", "0")
        market = LockStepped(stack)
        market.run_to("12:10:30")
        assert set(stack.held()) == {"Near"}
        denied = [(row["strategy"], text[:39]) for row in stack.ask("signals") for text in row["denied"]]
        assert set(denied) == {("LooksBack", "HISTORY_HOLE: LooksBack looks back over")}
        # the feed raises its alerts each second of the machine, which may be after all these minutes of the market
        assert eventually(lambda: any("history accept NSE_INDEX:NIFTY" in text for text in _holes(stack)))
        assert stack.run("history", "accept", "NSE_INDEX:NIFTY", "--yes").returncode == 0
        market.run_to("12:12:30")
        assert set(stack.held()) == {"Near", "LooksBack"}
        assert stack.disagreements() == []
