"""Exit alerts over a night and a holiday, in lock-step: taken after the close, carried out at the next open, and told.

The market stands while alerts come, so that nothing can be placed before it is let go. Days: a Monday, the holiday that
follows it, and the Wednesday.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mytrading.core.time import IST
from tests.kit.lockstep_stack import LockStepped
from tests.kit.stack import Stack
from tests.kit.stack_project import OPENS, write_ticks
from tests.kit.waiting import eventually
from tests.kit.webhook_stack import AlertSender, make_home

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

THURSDAY, FRIDAY, MONDAY, WEDNESDAY = "2026-11-19", "2026-11-20", "2026-11-23", "2026-11-25"
"""Tuesday the 24th is Guru Nanak Jayanti; the exchange trades shares until 15:15."""
SYMBOLS = ("SBIN", "INFY", "ITC", "TCS")


class Nights:
    """The stack, its webhooks and its market."""

    def __init__(self, stack: Stack, hooks: AlertSender, ticks: Path) -> None:
        self.stack, self.hooks, self._ticks = stack, hooks, ticks
        self._market = LockStepped(stack)

    def start(self, day: str) -> None:
        """Start the stack, whose market goes on to 09:40 of a day; no hand is on it before that is asked."""
        self.stack.up("--replay", str(self._ticks), "--speed", "0")
        self.run_to(day, "09:40:00")
        eventually(lambda: self.hooks.is_taken("swing"), 20)

    def run_to(self, day: str, clock: str) -> None:
        """Let the market go on to a moment of a day (Indian), and wait until nothing is under way there."""
        moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=IST)
        self._market.sim("pause", paused=False, at=int(moment.timestamp()) * 1_000_000_000)
        self._market.await_rest(f"{day} {clock}", 120)

    def post(self, symbol: str, action: str, size: int) -> Any:
        """The answer to an alert that names its target."""
        return self.hooks.post("swing", {"symbol": symbol, "action": action, "position_size": size})

    def exits(self, symbol: str) -> list[tuple[str, int, str]]:
        """Exit orders of a share: side, filled units, state."""
        rows = [row for row in self.stack.ask("orders", "-n", "0") if row["instrument"] == f"NSE:{symbol}"]
        return [(row["side"], row["filled"], row["state"]) for row in rows if row["purpose"] == "exit"]

    def outcomes(self, answer: Any) -> tuple[str, str, str]:
        """What the status page, the log of deliveries and the chain of an alert say became of it."""
        (shown,) = self.hooks.call("GET", answer.body["status_url"]).body.get("results", [{}])  # {}: not up again yet
        rows = self.stack.ask("webhook", "log", "swing", "-n", "0")
        (row,) = [row for row in rows if row["signal"] == answer.body["signal"]]
        told = [step["what"] for step in self.stack.ask("why", answer.body["id"]) if step["kind"] == "result"]
        return shown.get("outcome", ""), row["outcome"], told[-1] if told else ""


def agreed(symbol: str, outcome: str) -> tuple[str, str, str]:
    """The three places with the same words."""
    return outcome, outcome, f"exit of {symbol}: {outcome}"


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    folder = tmp_path_factory.mktemp("nights")
    day = [(OPENS + quarter * 15, 26_000 + quarter % 8) for quarter in range(30 * 4)]
    ticks = write_ticks(folder / "ticks.csv", dict.fromkeys((THURSDAY, FRIDAY, MONDAY, WEDNESDAY), day))
    with Stack(folder, **make_home(folder / "home")) as stack:
        hooks = AlertSender(stack)
        mapped = [word for name in SYMBOLS for word in ("--map", f"{name}=NSE:{name},CNC,10")]
        hooks.add("swing", *mapped, "--positional", "--mode", "BOTH")
        made = Nights(stack, hooks, ticks)
        made.start(THURSDAY)
        yield made


def test_exit_after_the_close_is_a_goal_for_the_next_open(nights: Nights) -> None:
    for symbol in SYMBOLS:
        assert nights.post(symbol, "buy", 10).status == 202
    assert eventually(lambda: nights.hooks.net("swing") == dict.fromkeys(SYMBOLS, 10), 20)
    nights.run_to(THURSDAY, "15:16:00")
    assert (entry := nights.post("TCS", "buy", 20)).status == 409
    assert entry.code == "OUTSIDE_WINDOW"
    answer = nights.post("SBIN", "sell", 0)
    assert (answer.status, answer.code) == (202, "accepted")
    waits = agreed("SBIN", "waits for the open of NSE on 2026-11-20 at 09:15")
    assert eventually(lambda: nights.outcomes(answer) == waits, 20)
    nights.run_to(THURSDAY, "15:50:00")
    assert nights.exits("SBIN") == []
    nights.run_to(FRIDAY, "09:16:00")
    assert nights.exits("SBIN") == [("SELL", 10, "FILLED")]
    assert nights.outcomes(answer) == agreed("SBIN", "filled")


def test_second_exit_of_the_evening_goes_with_the_first(nights: Nights) -> None:
    nights.run_to(FRIDAY, "15:16:00")
    first, again = nights.post("ITC", "sell", 0), nights.post("ITC", "buy", 0)
    assert (first.status, again.status) == (202, 202)
    waits = agreed("ITC", "waits for the open of NSE on 2026-11-23 at 09:15")
    assert eventually(lambda: nights.outcomes(first) == nights.outcomes(again) == waits, 20)
    nights.run_to(MONDAY, "09:16:00")
    assert nights.exits("ITC") == [("SELL", 10, "FILLED")]
    assert nights.outcomes(first) == nights.outcomes(again) == agreed("ITC", "filled")


def test_exit_that_is_taken_out_of_the_hands_of_its_alert_says_by_what(nights: Nights) -> None:
    nights.run_to(MONDAY, "15:16:00")
    answer = nights.post("TCS", "sell", 0)
    assert answer.status == 202
    waits = agreed("TCS", "waits for the open of NSE on 2026-11-25 at 09:15")
    assert eventually(lambda: nights.outcomes(answer) == waits, 20)
    settled = ("--strategy", "swing", "--price", "3000", "--reason", "sold by phone", "--yes")
    done = nights.stack.run("positions", "settle", "NSE:TCS", *settled)
    assert done.returncode == 0, done.stderr
    told = "ended by an operator's word that the units are gone"
    assert eventually(lambda: nights.outcomes(answer) == agreed("TCS", told), 20)


def test_exit_before_a_holiday_waits_over_it_over_kills_and_over_a_halt(nights: Nights) -> None:
    nights.run_to(MONDAY, "15:16:00")
    answer = nights.post("INFY", "sell", 0)
    assert answer.status == 202
    waits = agreed("INFY", "waits for the open of NSE on 2026-11-25 at 09:15")
    assert eventually(lambda: nights.outcomes(answer) == waits, 20)
    assert nights.stack.run("halt").returncode == 0
    for name in ("router", "risk", "webhooks"):
        old = nights.stack.kill(name)
        eventually(lambda name=name, old=old: nights.stack.pid(name) not in (0, old), 30)  # type: ignore[misc]
    assert eventually(lambda: nights.outcomes(answer) == waits, 30)
    assert nights.exits("INFY") == []
    nights.run_to(WEDNESDAY, "09:16:00")
    assert nights.exits("INFY") == [("SELL", 10, "FILLED")]
    assert nights.outcomes(answer) == agreed("INFY", "filled")
    assert nights.hooks.net("swing") == {}
    assert nights.stack.run("journal", "verify").returncode == 0
