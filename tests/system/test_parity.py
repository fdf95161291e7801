"""A day in lock-step through a real stack, against the backtest of what it saw: the same strategy, the same trades."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mytrading.backtest.parity.recorded_day import written_rows
from mytrading.messages.journal_rows import FundsRecorded
from tests.kit.lockstep_stack import LockStepped, make_home, make_ticks
from tests.kit.pages import charts_of, report_of
from tests.kit.stack import Stack
from tests.kit.stack_project import DAY, RICH, WIDE, make_project
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

CROSS = '''
from mytrading.strategies import Bar, BaseStrategy, Signal


class QuickCross(BaseStrategy):
    """In the market while the last close lies above the average of the last three."""

    name = "QuickCross"
    period: int = 3

    def initialize(self) -> None:
        self.add_indicator("SMA", period=self.period, name="mean")

    def on_data(self, data: Bar) -> Signal | None:
        mean = self.get_indicator_value("mean")
        if data.close > mean and not self.position.is_long:
            return self.create_signal("BUY", confidence=1.0, reason="above the mean")
        if data.close < mean and self.position.is_long:
            return self.create_signal("EXIT", reason="below the mean")
        return None
'''
SETTINGS = """
name = "QuickCross"
symbols = ["NIFTY"]
timeframes = ["1m"]
direction = "long"
product = "MIS"
lots = 1
signal_cooldown = 0

[trade]
long = "NIFTY OTM 1 CE nearest"
"""


FUTURE = """
name = "FutureMinutes"
symbols = ["NIFTY"]
timeframes = ["1m"]
direction = "both"
product = "MIS"
lots = 1
stop = "none"
signal_cooldown = 0

[trade]
long = "future"
short = "future"
"""
CONDOR = """
name = "SoldCondor"
symbols = ["NIFTY"]
timeframes = ["1m"]
trade = "none"
direction = "short"
product = "MIS"
lots = 1
"""
CODE = """
from mytrading.strategies import Bar, BaseStrategy, Signal, option

RULES = (("OTM 6", 1), ("OTM 1", -1))


class FutureMinutes(BaseStrategy):
    \"\"\"Long, short and flat in turn, each for a minute.\"\"\"

    name = "FutureMinutes"

    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal(("BUY", "SELL", "EXIT")[data.end_ns // 60_000_000_000 % 3], confidence=1.0)


class SoldCondor(BaseStrategy):
    \"\"\"An iron condor from 09:20 to 09:28.\"\"\"

    name = "SoldCondor"

    def on_data(self, data: Bar) -> Signal | None:
        if self.time_of_day >= "09:28":
            return self.create_signal("EXIT", reason="it is time")
        if self.time_of_day < "09:20" or self.traded_today:
            return None
        legs = [option(f"{rule} {right}", lots=lots) for rule, lots in RULES for right in ("CE", "PE")]
        return self.create_signal("SELL", legs=legs)
"""


def add_cross(home: Path) -> None:
    """A second strategy, which trades by an indicator."""
    (home / "config" / "strategies" / "quick_cross.toml").write_text(SETTINGS)
    (home / "strategies" / "quick_cross.py").write_text(CROSS)


def reported(stack: Stack, *arguments: str) -> tuple[int, dict[str, Any]]:
    done = stack.run("parity", "--json", *arguments)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def test_day_in_lock_step_trades_as_its_backtest_does(tmp_path: Path) -> None:
    environment = make_home(tmp_path / "home")
    add_cross(tmp_path / "home")
    environment["ENABLED_STRATEGIES"] = "EvenMinutes,QuickCross"
    ticks = str(make_ticks(tmp_path / "ticks.csv"))
    with Stack(tmp_path, **environment) as stack:
        stack.up("--replay", ticks, "--speed", "0")
        LockStepped(stack).run_to("09:32:30")
        assert eventually(lambda: reported(stack, "--within-ms", "0")[0] == 0, 20), "once the tape has the last quotes"
        assert stack.down().returncode == 0
    code, found = reported(stack, "--within-ms", "0", "--report", str(tmp_path / "report"))
    assert code == 0
    assert found["differences"] == []
    assert found["trades_equal"]
    assert found["equal"] == {kind: found["stack"][kind] for kind in found["equal"]}
    assert found["stack"]["fills"] >= 10
    assert set(found["strategies"]) == {"EvenMinutes", "QuickCross"}
    fills = charts_of(report_of(tmp_path / "report"), "Fills on price")
    marks = sum(len(one.x) for chart in fills for one in chart.series if one.draw == "marks")
    assert marks == found["stack"]["fills"] + found["backtest"]["fills"]


def test_day_in_lock_step_with_a_future_and_sold_options_trades_as_its_backtest_does(tmp_path: Path) -> None:
    settings = {"FutureMinutes": FUTURE, "SoldCondor": CONDOR}
    environment = make_project(tmp_path / "home", CODE, settings, WIDE, **RICH)
    ticks = str(make_ticks(tmp_path / "ticks.csv"))
    with Stack(tmp_path, **environment) as stack:
        stack.up("--replay", ticks, "--speed", "0")
        LockStepped(stack).run_to("09:31:30")
        assert eventually(lambda: reported(stack, "--within-ms", "0")[0] == 0, 20), "once the tape has the last quotes"
        assert stack.down().returncode == 0
        funds = [row.message for row in written_rows(stack.config, "risk", DAY) if type(row.message) is FundsRecorded]
    code, found = reported(stack, "--within-ms", "0")
    assert code == 0
    assert found["differences"] == []
    assert found["equal"] == {kind: found["stack"][kind] for kind in found["equal"]}
    assert found["stack"]["denials"] == found["backtest"]["denials"] == 0
    assert found["stack"]["fills"] >= 8 + 8, "four legs in and out, and a future each minute"
    assert [(row.account, row.available) for row in funds][:1] == [("paper", 1e7)], "the journal holds the day's funds"
