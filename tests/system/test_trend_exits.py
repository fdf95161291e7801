"""Supertrend exits and stops of reversed positions on a real stack, over a morning in lock-step; risk is killed in it.

The index rises, dips deep within one bar and comes back before it ends, falls, rises and falls again. When a run must
end follows from the ticks alone, by bars made here.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from mytrading.core.indicators.supertrend import supertrend
from mytrading.core.time import IST
from tests.kit.lockstep_stack import LockStepped
from tests.kit.stack import Stack
from tests.kit.stack_project import DAY, HEAD, OPENS, RICH, WIDE, make_project, named, write_ticks
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

MINUTES = 111
STRATEGY = '''

class Early(BaseStrategy):
    """Long of the nearest future from a minute of the day on."""

    enter: int = 560

    def on_data(self, data: Bar) -> Signal | None:
        late = data.end_ns // 60_000_000_000 % 1440 + 330 >= self.enter
        return self.create_signal("BUY", confidence=1.0) if late else None
'''
TURNS = '''

class Turns(BaseStrategy):
    """Long, short from 09:45 on, and long from 10:25 on."""

    def on_data(self, data: Bar) -> Signal | None:
        minute = data.end_ns // 60_000_000_000 % 1440 + 330
        return self.create_signal("SELL" if 585 <= minute < 625 else "BUY", confidence=1.0)
'''
CODE = HEAD + STRATEGY + named("Early", "LateCrossing", "LateStanding", "OnPremium") + TURNS
SETTINGS = """
name = "{name}"
symbols = ["NIFTY"]
timeframes = ["1m"]
direction = "long"
product = "NRML"
lots = 1
stop = "none"
signal_cooldown = 0

[trade]
long = "{contract}"

[parameters]
enter = {enter}

[risk]
supertrend = "breakdown"
supertrend_timeframe = "3m"
{more}
"""
TURNING = """
name = "Turns"
symbols = ["NIFTY"]
timeframes = ["1m"]
direction = "both"
product = "MIS"
lots = 1
stop = "engine"
stop_loss_pct = 0.008
signal_cooldown = 0

[trade]
long = "future"
short = "future"
"""
STRATEGIES = (
    ("Early", "future", 560, ""),
    ("LateCrossing", "future", 625, ""),
    ("LateStanding", "future", 625, "supertrend_require_cross = false"),
    ("OnPremium", "NIFTY ATM CE nearest", 560, 'supertrend_on = "premium"'),
)


def price(minute: float) -> float:
    """The index at a minute of the session."""
    dip = 300.0 if 46.2 < minute < 47.5 else 0.0
    fall, rise, end = (min(max(minute - begin, 0), most) for begin, most in ((60, 20), (80, 20), (100, 20)))
    return 26_000 + 2 * min(minute, 60) - dip - 10 * fall + 15 * rise - 20 * end


def make_ticks(path: Path) -> list[tuple[int, float]]:
    """Four ticks a minute, as seconds of the session and prices."""
    ticks = [(second, price(second / 60) + second // 15 % 4 * 0.5) for second in range(0, MINUTES * 60, 15)]
    write_ticks(path, {DAY: [(OPENS + second, value) for second, value in ticks]})
    return ticks


def clock(second: int) -> str:
    """Time of the day at a second of the session."""
    at = OPENS + second
    return f"{at // 3600:02d}:{at // 60 % 60:02d}:{at % 60:02d}"


def breakdowns(ticks: list[tuple[int, float]]) -> list[str]:
    """Ends of the bars with which the trend turned down."""
    bars = [[value for second, value in ticks if second // 180 == number] for number in range(MINUTES // 3)]
    high, low, close = (np.array(column) for column in zip(*((max(b), min(b), b[-1]) for b in bars), strict=True))
    _, direction = supertrend(high, low, close, 7, 3.0)
    turns = [n for n in range(1, len(bars)) if (direction[n - 1], direction[n]) == (1, -1)]
    return [clock((turn + 1) * 180) for turn in turns]


def make_home(home: Path) -> dict[str, str]:
    settings = {
        name: SETTINGS.format(name=name, contract=contract, enter=enter, more=more)
        for name, contract, enter, more in STRATEGIES
    }
    return make_project(home, CODE, {**settings, "Turns": TURNING}, {**WIDE, "max_drawdown": 0.9}, **RICH)


def run_to(market: LockStepped, at: str) -> None:
    moment = datetime.fromisoformat(f"{DAY}T{at}").replace(tzinfo=IST)
    market.sim("pause", paused=False, at=int(moment.timestamp()) * 1_000_000_000)
    market.await_rest(at, 120)


def ended(stack: Stack) -> dict[str, str]:
    """Moment at which the trend ended the first run of each strategy."""
    rows = json.loads(stack.run("risk", "events", "--json").stdout)
    assert {row["kind"] for row in rows} <= {"supertrend"}
    assert len({row["run"] for row in rows}) == len(rows), "each rule speaks once in a run"
    return {row["strategy"]: row["at"].split()[1] for row in sorted(rows, key=lambda row: -row["at_ns"])}


def test_runs_end_on_confirmed_turns_of_the_trend_alone_though_risk_is_killed(tmp_path: Path) -> None:
    ticks = make_ticks(tmp_path / "ticks.csv")
    first, second = breakdowns(ticks)
    with Stack(tmp_path, **make_home(tmp_path / "home")) as stack:
        stack.up("--replay", str(tmp_path / "ticks.csv"), "--speed", "0")
        market = LockStepped(stack)
        run_to(market, "10:02:15")
        assert stack.held().keys() == {"Early", "OnPremium", "Turns"}
        assert ended(stack) == {}, "an unfinished bar ends nothing"
        old = stack.kill("risk")
        eventually(lambda: stack.pid("risk") not in (0, old), 30)
        run_to(market, "11:05:00")
        found = ended(stack)
        assert set(found) == {name for name, *_ in STRATEGIES}
        assert found["Early"] == first
        assert first < clock((625 - 555) * 60) < found["LateStanding"] <= clock((628 - 555) * 60), "the next bar's end"
        assert found["LateCrossing"] == second
        assert first <= found["OnPremium"] < second
        assert stack.held().keys() <= {"OnPremium", "Turns"}, "it wants another strike, and so for something else"
        turns = [row for row in stack.ask("trades") if row["strategy"] == "Turns"]
        assert sorted(row["side"] for row in turns) == ["BUY", "SELL"], "each position lived until the next reversal"
        assert stack.held()["Turns"] > 0
        assert stack.run("journal", "verify").returncode == 0
