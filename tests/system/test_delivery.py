"""Shares bought for delivery on a real stack, held overnight in lock-step: they leave the position book, and stay ours.

A strategy buys on the Wednesday and leaves on the Thursday. In between the exchange's position book forgets the shares,
which stand in its holdings, and the router is killed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from mytrading.core.time import IST
from mytrading.operations.journal_verify import decode_journals
from tests.kit.lockstep_stack import LockStepped
from tests.kit.stack import Stack
from tests.kit.stack_project import OPENS, WIDE, make_project, write_ticks
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

SHARE, UNITS = "NSE:SBIN", 50
WEDNESDAY, THURSDAY = "2026-11-18", "2026-11-19"
STRATEGY = '''
from mytrading.strategies import Bar, BaseStrategy, Signal


class Delivery(BaseStrategy):
    """Long from its first bar to a minute of the epoch."""

    name = "Delivery"
    last_minute: int = 0

    def on_data(self, data: Bar) -> Signal | None:
        if data.end_ns // 60_000_000_000 >= self.last_minute:
            return self.create_signal("EXIT") if self.position.is_long else None
        return self.create_signal("BUY", confidence=1.0)
'''
SETTINGS = """
name = "Delivery"
symbols = ["{share}"]
timeframes = ["1m"]
direction = "long"
product = "CNC"
lots = {units}
stop_loss_pct = 0.05
signal_cooldown = 0

[trade]
long = "same"

[parameters]
last_minute = {minute}
"""


def moment(day: str, clock: str) -> int:
    """Nanoseconds of a moment (Indian)."""
    return int(datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=IST).timestamp()) * 1_000_000_000


def make_home(home: Path) -> dict[str, str]:
    """The folder of the strategy; the environment of a stack on it."""
    text = SETTINGS.format(share=SHARE, units=UNITS, minute=moment(THURSDAY, "09:40:00") // 60_000_000_000)
    return make_project(home, STRATEGY, {"Delivery": text}, WIDE)


def make_ticks(path: Path) -> Path:
    """Half an hour of both days, four ticks a minute; the share is priced off them."""
    half_an_hour = [(OPENS + quarter * 15, 26_000 + quarter % 8) for quarter in range(30 * 4)]
    return write_ticks(path, dict.fromkeys((WEDNESDAY, THURSDAY), half_an_hour))


class Delivered:
    """The stack of the strategy, and what its books and the exchange's say."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._market = LockStepped(stack)

    def run_to(self, day: str, clock: str) -> None:
        """Let the market go on to a moment of a day (Indian), and wait until nothing is under way there."""
        self._market.sim("pause", paused=False, at=moment(day, clock))
        self._market.await_rest(f"{day} {clock}", 120)

    def held(self) -> list[tuple[str, int, str]]:
        """Contract, units and confidence of what the strategy holds."""
        rows = self.stack.ask("positions")
        return [(row["instrument"], row["quantity"], row["confidence"]) for row in rows if row["quantity"]]

    def orders(self) -> list[tuple[str, str, int, str]]:
        """Orders in the order they were made: purpose, side, filled units, state."""
        rows = self.stack.ask("orders", "-n", "0")
        return [(row["purpose"], row["side"], row["filled"], row["state"]) for row in rows]

    def corrected(self) -> list[str]:
        """Records of the router that its books and the broker's differ."""
        kinds = {"mismatch", "position_adjusted", "unmanaged"}
        found = [row.body for row in decode_journals(self.stack.config, "router") if row.body.get("type") in kinds]
        return [str(row) for row in found]


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivered]:
    folder = tmp_path_factory.mktemp("delivery")
    with Stack(folder, **make_home(folder / "home")) as stack:
        stack.up("--replay", str(make_ticks(folder / "ticks.csv")), "--speed", "0")
        yield Delivered(stack)


def test_shares_are_bought_once_with_their_stop(delivered: Delivered) -> None:
    delivered.run_to(WEDNESDAY, "09:44:00")
    assert delivered.held() == [(SHARE, UNITS, "CONFIRMED")]
    assert [order[:2] for order in delivered.orders()] == [("entry", "BUY"), ("stop", "SELL")]
    assert delivered.stack.broker_net() == {SHARE: UNITS}


def test_shares_that_left_the_position_book_overnight_are_held_and_guarded(delivered: Delivered) -> None:
    delivered.run_to(THURSDAY, "09:30:00")
    assert delivered.stack.broker_net() == {}, "they are holdings now"
    assert delivered.held() == [(SHARE, UNITS, "CONFIRMED")]
    assert [order[:2] for order in delivered.orders() if order[3] == "ACCEPTED"] == [("stop", "SELL")]
    assert delivered.corrected() == []


def test_killed_router_remembers_what_was_delivered(delivered: Delivered) -> None:
    old = delivered.stack.kill("router")
    eventually(lambda: delivered.stack.pid("router") not in (0, old), 30)
    delivered.run_to(THURSDAY, "09:35:00")
    assert delivered.held() == [(SHARE, UNITS, "CONFIRMED")]
    assert [order[:2] for order in delivered.orders() if order[3] == "ACCEPTED"] == [("stop", "SELL")]
    assert delivered.corrected() == []


def test_sale_of_delivered_shares_is_a_round_trip_and_no_difference(delivered: Delivered) -> None:
    delivered.run_to(THURSDAY, "09:44:00")
    assert delivered.held() == []
    filled = [order for order in delivered.orders() if order[2]]
    assert filled == [("entry", "BUY", UNITS, "FILLED"), ("exit", "SELL", UNITS, "FILLED")]
    assert delivered.corrected() == []
    assert {row["code"] for row in delivered.stack.ask("alerts")} <= {"DAEMON_RESTARTED"}, "of the kill alone"
    done = delivered.stack.run("journal", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
