"""Futures that move to the next contract on a real stack, over three recorded days in lock-step.

Three strategies buy the November future on the Wednesday. One moves it with two trading days left, the next contract
first, while what it orders fills in parts, risk is killed with each leg decided and not sent, and the router with the
morning's first order. The second moves it with one day left, the old contract first, and the router is killed once
between the two legs and once more with the second leg's order made and not sent. The third does so in another future,
whose next contract is refused for good.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mytrading.core.risk.rollover.rollover import TRIES
from mytrading.core.time import IST
from mytrading.operations.journal_verify import decode_journals
from tests.kit.lockstep_stack import LockStepped
from tests.kit.project import ROOT
from tests.kit.stack import Stack
from tests.kit.stack_project import HEAD, LONG, OPENS, RICH, WIDE, make_project, named, write_ticks
from tests.kit.waiting import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

NEAR, FAR, LOT = "NFO:NIFTY23NOV26FUT", "NFO:NIFTY29DEC26FUT", 65
BANK_NEAR, BANK_FAR, BANK_LOT = "NFO:BANKNIFTY23NOV26FUT", "NFO:BANKNIFTY29DEC26FUT", 30
WEDNESDAY, THURSDAY, FRIDAY = "2026-11-18", "2026-11-19", "2026-11-20"
"""The November contracts expire on Monday the 23rd, as Tuesday is a holiday."""

SETTINGS = """
name = "{name}"
symbols = ["{symbol}"]
timeframes = ["1m"]
direction = "long"
product = "NRML"
lots = {lots}
stop = "none"
signal_cooldown = 0
roll_days = {days}
roll_first = "{first}"

[trade]
long = "future"
"""
ROLLS = (
    ("RollsFarFirst", "NIFTY", 2, 2, "far"),
    ("RollsNearFirst", "NIFTY", 1, 1, "near"),
    ("RollsInVain", "BANKNIFTY", 1, 1, "near"),
)
CODE = HEAD + LONG + named("Long", *(name for name, *_ in ROLLS))


def make_home(home: Path) -> dict[str, str]:
    """The folder of two strategies; the environment of a stack on it whose processes start with a trap.

    An alert that came back, as a roll that waits for the router twice, ends a second after it is well, not a minute.
    """
    settings = {
        name: SETTINGS.format(name=name, symbol=symbol, lots=lots, days=days, first=first)
        for name, symbol, lots, days, first in ROLLS
    }
    environment = make_project(home, CODE, settings, WIDE, ALERT_COOLDOWN="1", **RICH)
    launcher = ROOT / "tests" / "kit" / "kill_launcher.py"
    conf = (ROOT / "supervisord.conf").read_text()
    for name in ("router", "risk"):
        assert f"-m mytrading.daemons.{name}\n" in conf
        conf = conf.replace(f"-m mytrading.daemons.{name}\n", f'"{launcher}" {name}\n')
    (home / "supervisord.conf").write_text(conf)
    return {**environment, "KILL_PERSONALITY": "sandbox", "KILL_TRAPS": str(home)}


def make_ticks(path: Path) -> Path:
    """Half an hour of each of the three days, four ticks a minute."""
    half_an_hour = [(OPENS + quarter * 15, 26_000 + quarter % 8) for quarter in range(30 * 4)]
    return write_ticks(path, dict.fromkeys((WEDNESDAY, THURSDAY, FRIDAY), half_an_hour))


class Rolling:
    """The stack of the two strategies, and what its books say of each."""

    def __init__(self, stack: Stack, traps: Path) -> None:
        self.stack = stack
        self.market = LockStepped(stack)
        self._traps = traps

    def run_to(self, day: str, clock: str) -> None:
        """Let the market go on to a moment of a day (Indian), and wait until nothing is under way there."""
        self._let_go(day, clock)
        self.market.await_rest(f"{day} {clock}", 120)

    def run_killed(self, daemon: str, traps: list[str], day: str, clock: str) -> None:
        """The same, while a daemon dies at the first passage of each of these boundaries, one after the other."""
        old, trap = self.stack.pid(daemon), self.trap(daemon, traps)
        self._let_go(day, clock)
        eventually(lambda: not trap.exists(), 60)
        eventually(lambda: self.stack.pid(daemon) not in (0, old), 30)
        self.market.await_rest(f"{day} {clock}", 120)

    def trap(self, daemon: str, traps: list[str]) -> Path:
        """The file of the boundaries at which a daemon is to die."""
        path = self._traps / daemon
        path.write_text("\n".join(traps))
        return path

    def _let_go(self, day: str, clock: str) -> None:
        moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=IST)
        self.market.sim("pause", paused=False, at=int(moment.timestamp()) * 1_000_000_000)

    def held(self) -> dict[str, dict[str, int]]:
        """Units by strategy and contract, as `positions` shows them."""
        found: dict[str, dict[str, int]] = {}
        for row in self.stack.ask("positions"):
            if row["quantity"]:
                found.setdefault(row["strategy"], {})[row["instrument"]] = row["quantity"]
        return found

    def orders(self, strategy: str) -> list[tuple[str, str, int, str]]:
        """Orders of a strategy in the order they were made: side, contract, filled units, state.

        An exit whose call died with the router before it left becomes a ghost, and one further is sent.
        """
        rows = [row for row in self.stack.ask("orders", "-n", "0") if row["strategy"] == strategy]
        rows = [row for row in rows if row["filled"] or row["state"] != "GHOST"]
        return [(row["side"], row["instrument"], row["filled"], row["state"]) for row in rows]

    def reported(self) -> list[dict[str, Any]]:
        """Alerts of rolls that stand."""
        return [row for row in self.stack.ask("alerts") if row["code"] == "ROLL_OVER"]

    def rolls(self) -> dict[str, list[tuple[str, int]]]:
        """By strategy, the phases its roll went through and the units it moves, from risk's journal."""
        found: dict[str, list[tuple[str, int]]] = {}
        for row in decode_journals(self.stack.config, "risk"):
            if row.body.get("type") == "rolled":
                phase = row.body.get("phase", "begun")
                found.setdefault(row.body["strategy"], []).append((phase, row.body["quantity"]))
        return found


def await_reported(rolling: Rolling, *subjects: str) -> None:
    """Wait until the alerts of rolls that stand are of these subjects; says which others stood."""
    reported: list[dict[str, Any]] = []

    def stand() -> bool:
        reported[:] = rolling.reported()
        return {alert["subject"] for alert in reported} == set(subjects)

    try:
        eventually(stand, 20)
    except AssertionError:
        raise AssertionError(f"alerts of {subjects} were to stand, not {reported}") from None


@pytest.fixture(scope="module")
def rolling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rolling]:
    folder = tmp_path_factory.mktemp("rollover")
    home = folder / "home"
    with Stack(folder, **make_home(home)) as stack:
        stack.up("--replay", str(make_ticks(folder / "ticks.csv")), "--speed", "0")
        yield Rolling(stack, home)


def test_future_is_kept_until_its_days_before_expiry_have_come(rolling: Rolling) -> None:
    rolling.run_to(WEDNESDAY, "09:44:00")
    assert rolling.held() == {
        "RollsFarFirst": {NEAR: 2 * LOT}, "RollsNearFirst": {NEAR: LOT}, "RollsInVain": {BANK_NEAR: BANK_LOT},
    }  # fmt: skip
    assert rolling.rolls() == {}


def test_first_signal_in_lock_step_waits_for_the_funds(rolling: Rolling) -> None:
    rows = [row.body for row in decode_journals(rolling.stack.config, "risk")]
    assert [row for row in rows if row.get("type") == "signal_denied" and row["code"] == "MARGIN_UNKNOWN"] == []


def test_future_moves_once_with_side_and_quantity_kept_though_risk_dies_and_orders_fill_in_parts(
    rolling: Rolling,
) -> None:
    rolling.market.sim("fault", kind="partial_fill", count=-1, fraction=0.5)
    rolling.trap("router", ["received entry"])
    rolling.run_killed("risk", ["committed entry", "committed exit"], THURSDAY, "09:44:00")
    rolling.market.sim("fault", kind="partial_fill", count=0)
    assert rolling.held() == {
        "RollsFarFirst": {FAR: 2 * LOT}, "RollsNearFirst": {NEAR: LOT}, "RollsInVain": {BANK_NEAR: BANK_LOT},
    }  # fmt: skip
    bought, there, *gone = rolling.orders("RollsFarFirst")
    assert bought == ("BUY", NEAR, 2 * LOT, "FILLED")
    assert there == ("BUY", FAR, 2 * LOT, "FILLED")
    assert sum(units for _, _, units, _ in gone) == 2 * LOT, "an exit that fills in parts may be placed anew"
    assert {order[:2] for order in gone} == {("SELL", NEAR)}
    *under_way, done = [phase for phase, _ in rolling.rolls()["RollsFarFirst"]]
    assert (set(under_way), done, set(rolling.rolls())) == ({"begun"}, "done", {"RollsFarFirst"})
    await_reported(rolling)


def test_router_killed_between_the_legs_and_in_the_second_moves_the_future_once(rolling: Rolling) -> None:
    rolling.market.sim("fault", kind="reject", count=-1, side="BUY", instrument=BANK_FAR)
    rolling.run_killed("router", ["answered exit", "committed entry"], FRIDAY, "09:44:00")
    assert rolling.held() == {"RollsFarFirst": {FAR: 2 * LOT}, "RollsNearFirst": {FAR: LOT}}
    _, gone, *there = rolling.orders("RollsNearFirst")
    assert gone == ("SELL", NEAR, LOT, "FILLED")
    assert [order for order in there if order[2]] == [("BUY", FAR, LOT, "FILLED")]
    *under_way, done = [phase for phase, _ in rolling.rolls()["RollsNearFirst"]]
    assert (set(under_way), done) == ({"begun"}, "done")
    await_reported(rolling, f"RollsInVain/paper/{BANK_NEAR}")


def test_near_leg_that_went_first_and_whose_far_leg_is_refused_for_good_is_reported_and_not_tried_on(
    rolling: Rolling,
) -> None:
    """The strategy wants the same with each bar, on a later day than that of its position."""
    bought, gone, *there = rolling.orders("RollsInVain")
    assert (bought[:3], gone[:3]) == (("BUY", BANK_NEAR, BANK_LOT), ("SELL", BANK_NEAR, BANK_LOT))
    assert there == [("BUY", BANK_FAR, 0, "REJECTED")] * TRIES
    (alert,) = rolling.reported()
    assert alert["severity"] == "critical"
    assert f"{BANK_NEAR} is closed, and 0 of {BANK_LOT} units are held of {BANK_FAR}" in alert["message"]
    assert [phase for phase, _ in rolling.rolls()["RollsInVain"]][-1] == "given_up"


def test_books_agree_and_journals_verify_after_the_rolls(rolling: Rolling) -> None:
    stack = rolling.stack
    assert stack.broker_net() == {FAR: 3 * LOT}
    tags = [row["strategy"] for row in stack.rest("orderbook")["orders"]]
    assert len(tags) == len(set(tags)), "an order of Friday was placed twice"
    done = stack.run("journal", "verify")
    assert done.returncode == 0, done.stdout + done.stderr
