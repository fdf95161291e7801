"""Exit alerts over a night and a holiday, in lock-step: taken after the close, carried out at the next open, and told.

The market stands while alerts come, so that nothing can be placed before it is let go. Days: a Monday, the holiday that
follows it, and the Wednesday.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from mytrading.cli.shell.target import load_calendar
from mytrading.core.time import IST, ist_date, to_ns
from mytrading.runtime.host.clock import ClockFile, ClockSegment, MarketClock, machine_now, write_clock_file
from tests.kit.lockstep_stack import LockStepped
from tests.kit.project import ROOT
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


@pytest.mark.long
def test_exit_of_the_evening_goes_at_the_open_though_the_stack_was_down_over_the_night(tmp_path: Path) -> None:
    with Stack(tmp_path, **make_home(tmp_path / "home")) as stack:
        hooks = AlertSender(stack)
        hooks.add("swing", "--map", "SBIN=NSE:SBIN,CNC,10", "--positional")
        stack.up("--simulator", "--speed", "1")
        assert eventually(lambda: hooks.is_taken("swing"), 20)
        eventually(lambda: hooks.post("swing", {"symbol": "SBIN", "action": "buy", "id": "in"}).status == 202, 20)
        assert eventually(lambda: hooks.net("swing") == {"SBIN": 10}, 20)
        first = stack.ask("status")["market_ns"]
        restart_at(stack, evening := at_clock(first, 0, "15:16:00"))
        assert eventually(lambda: hooks.is_taken("swing"), 20)
        answer = hooks.post("swing", {"symbol": "SBIN", "action": "sell"})
        assert (answer.status, answer.code) == (202, "accepted")
        page = answer.body["status_url"]
        assert eventually(lambda: "waits for the open" in str(hooks.call("GET", page).body), 20)
        restart_at(stack, at_clock(first, next_day(evening), "09:14:40"))
        assert hooks.net("swing") == {"SBIN": 10}
        (row,) = eventually(lambda: [one for one in stack.ask("orders") if one["purpose"] == "exit"], 40)
        assert stack.market_time() >= "09:15:00"
        assert eventually(lambda: hooks.net("swing") == {}, 20)
        assert eventually(lambda: "filled" in str(hooks.call("GET", page).body), 20)
        assert [one["side"] for one in stack.ask("orders", "-n", "0") if one["purpose"] == "exit"] == [row["side"]]
        assert stack.broker_net() == {"NSE:SBIN": -10}, "sold from the holdings, once"
        assert stack.run("journal", "verify").returncode == 0


def restart_at(stack: Stack, market_ns: int) -> None:
    """Stop the stack and start it again at another market time."""
    assert stack.down().returncode == 0
    path = stack.config.clock_path
    segment = ClockSegment(machine_now(), market_ns, 1.0)
    segments = (*MarketClock.load(path).segments, segment)
    write_clock_file(path, ClockFile(segments=segments, last_seen_machine_ns=segment.machine_ns))
    stack.up("--simulator", "--speed", "1")


def at_clock(market_ns: int, days: int, clock: str) -> int:
    """Market time (ns) of a clock time in India, so many days after the date of another moment."""
    return to_ns(ist_date(market_ns) + timedelta(days=days), time.fromisoformat(clock))


def next_day(market_ns: int) -> int:
    """Days until the next trading day of the NSE."""
    return (load_calendar(ROOT).next_trading_day("NSE", ist_date(market_ns)) - ist_date(market_ns)).days
