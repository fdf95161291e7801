"""A quarter past three on a stack: what is intraday is closed before it, in parts, over faults; the positional stays.

One stack goes through it in lock-step, with every fill in parts. The others run at speed 12 and refuse every sale from
twelve minutes past three on, so that the venue squares off what is MIS itself while risk or the router hangs.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.kit.lockstep_stack import LockStepped
from tests.kit.stack import Stack
from tests.kit.stack_project import DAY, HEAD, LONG, RICH, WIDE, make_project, named, write_ticks
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

CODE = HEAD + LONG + named("Long", "Daily", "Marked", "Stays")
SETTINGS = """
name = "{name}"
symbols = ["NIFTY"]
timeframes = ["1m"]
direction = "long"
product = "{product}"
lots = 4
stop = "{stop}"
{marked}
signal_cooldown = 0

[trade]
long = "NIFTY ATM CE nearest"
"""
UNITS = 4 * 65
ALL = {"Daily": UNITS, "Marked": UNITS, "Stays": UNITS}


def make_home(home: Path) -> dict[str, str]:
    """MIS with its stop at the broker, an intraday strategy in NRML with its stop in risk, and a positional one."""
    settings = {
        "Daily": SETTINGS.format(name="Daily", product="MIS", stop="broker", marked=""),
        "Marked": SETTINGS.format(name="Marked", product="NRML", stop="engine", marked="intraday = true"),
        "Stays": SETTINGS.format(name="Stays", product="NRML", stop="broker", marked=""),
    }
    return make_project(home, CODE, settings, WIDE, **RICH)


def make_ticks(path: Path, seconds: int, first_minute: int = 5) -> Path:
    """From this minute past three to half past, a tick every so many seconds."""
    times = range((15 * 60 + first_minute) * 60, (15 * 60 + 30) * 60, seconds)
    return write_ticks(path, {DAY: [(at, 26_000 + count % 8) for count, at in enumerate(times)]})


def exits(stack: Stack) -> dict[str, list[tuple[str, int]]]:
    """State and filled units of each exit, by strategy."""
    found: dict[str, list[tuple[str, int]]] = {}
    for row in stack.ask("orders", "-n", "0"):
        if row["purpose"] == "exit":
            found.setdefault(row["strategy"], []).append((row["state"], row["filled"]))
    return found


def test_intraday_is_closed_before_a_quarter_past_three_in_parts_and_positional_stays(tmp_path: Path) -> None:
    with Stack(tmp_path, **make_home(tmp_path / "home")) as stack:
        stack.up("--replay", str(make_ticks(tmp_path / "ticks.csv", 15)), "--speed", "0")
        market = LockStepped(stack)
        market.run_to("15:11:45", 120)
        assert stack.held() == ALL
        market.sim("fault", kind="partial_fill", count=-1, fraction=0.5)
        market.run_to("15:12:00", 60)
        held = stack.held()
        assert held.pop("Stays") == UNITS
        assert held.keys() == {"Daily", "Marked"} and max(held.values()) <= UNITS // 2, "in parts, from 15:12 on"
        market.run_to("15:14:45", 120)
        assert stack.held() == {"Stays": UNITS}
        market.run_to("15:20:00", 120)
        assert stack.held() == {"Stays": UNITS}, "closed is closed, though both signal the same with each bar"
        assert exits(stack) == {name: [("FILLED", UNITS)] for name in ("Daily", "Marked")}
        assert stack.disagreements() == []
        assert stack.run("journal", "verify").returncode == 0


def reported(stack: Stack) -> dict[str, Any]:
    return {row["code"]: row for row in stack.ask("alerts", "--all")}


@pytest.mark.parametrize("victim", ["risk", pytest.param("router", marks=pytest.mark.long)])
def test_what_could_not_be_sold_is_squared_off_by_the_venue_or_later_though_a_daemon_hangs_over_it(
    tmp_path: Path, victim: str
) -> None:
    with Stack(tmp_path, **make_home(tmp_path / "home")) as stack:
        stack.up("--replay", str(make_ticks(tmp_path / "ticks.csv", 3, first_minute=9)), "--speed", "12")
        market = LockStepped(stack)
        eventually(lambda: stack.held() == ALL, 60)
        market.sim("fault", kind="reject", count=-1, side="SELL")
        eventually(lambda: stack.market_time() >= "15:14:50", 120)
        assert stack.held() == ALL
        old = stack.kill(victim, signal.SIGSTOP)
        eventually(lambda: stack.pid(victim) not in (0, old), 60)
        eventually(lambda: stack.market_time() >= "15:15:10", 60)
        market.sim("fault", kind="reject", count=0)
        eventually(lambda: stack.held() == {"Stays": UNITS}, 90)
        assert [units for _, units in exits(stack)["Daily"] if units] == [], "the venue closed it, not we"
        assert [units for _, units in exits(stack)["Marked"] if units] == [UNITS], "ours to close, however late"
        assert "VENUE_SQUARE_OFF" in reported(stack)
        assert sum(stack.broker_net().values()) == UNITS
        assert stack.run("journal", "verify").returncode == 0
