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

    def __init__(self, stack: Stack, hooks: AlertSender) -> None:
        self.stack, self.hooks = stack, hooks
        self._market = LockStepped(stack)

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
        page = self.hooks.call("GET", answer.body["status_url"]).body["results"][0].get("outcome", "")
        (row,) = [r for r in self.stack.ask("webhook", "log", "swing", "-n", "0") if r["signal"] == answer.body["signal"]]
        told = [step["what"] for step in self.stack.ask("why", answer.body["id"]) if step["kind"] == "result"]
        return page, row["outcome"], told[-1] if told else ""


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
        stack.up("--replay", str(ticks), "--speed", "0")
        made = Nights(stack, hooks)
        made.run_to(THURSDAY, "09:40:00")  # at once: the market runs without a hand on it until then
        eventually(lambda: hooks.is_taken("swing"), 20)
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
