"""Output of `mytrading risk` and `mytrading kill`."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from mytrading.cli.app import app
from mytrading.cli.trading import risk as command
from mytrading.core.risk.snapshot import risk_snapshot
from mytrading.messages.commands import SignalDenied
from mytrading.messages.exit_rules import LevelKind, LevelRule, StrategyRules, TrailKind, TrailRule
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.level_names import stop_level_name
from mytrading.messages.market import Quote
from mytrading.messages.orders import TimerFired
from mytrading.messages.reports import Funds
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import CALL, PUT, SECOND, RiskBench
from tests.kit.risk_limit_bench import LARGE, holding, price
from tests.kit.risk_margin_bench import CountingBench
from tests.kit.risk_run_bench import RunBench


def body() -> dict[str, object]:
    """Return the gateway's answer for a bench that lost its limit."""
    bench = holding(msgspec.structs.replace(LARGE, max_daily_loss=6_500))
    price(bench, 90.0)
    shown = risk_snapshot(bench.machine, bench.now, entries=3, denied=1)
    return {
        "known": True,
        "age_s": 0.2,
        "at_ns": shown.at_ns,
        "entries": shown.entries,
        "denied": shown.denied,
        "waits": shown.waits,
        "limits": [msgspec.structs.asdict(row) for row in shown.limits],
        "money": [msgspec.structs.asdict(row) for row in shown.money],
        "stops": [msgspec.structs.asdict(row) for row in shown.stops],
        "runs": [
            {**msgspec.structs.asdict(row), "legs": [msgspec.structs.asdict(leg) for leg in row.legs]}
            for row in shown.runs
        ],
        "levels": [{"account": "all", "level": "halt", "reason": "lunch", "by": "asha", "at_ns": bench.now}],
        "kill": {"word": "reduce", "by": "asha", "why": "expiry", "written_ns": bench.now},
    }


def test_picture_shows_use_distance_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    command._show(body(), as_json=False)
    text = capsys.readouterr().out
    assert "halt for all since 2026-03-18 11:00:0" in text
    assert "lunch (by asha)" in text
    assert "the file KILL says reduce: expiry (by asha" in text
    row = next(line for line in text.splitlines() if "daily_loss" in line).split()
    assert row == ["account", "main", "daily_loss", "loss", "6,500.00", "6,500.00", "100%", "0.00", "no_entries"]
    assert "MAX_DAILY_LOSS is ₹6,500: no more entries today" in text
    assert "993,500.00" in text, "equity"


def test_profit_of_the_day_is_not_shown_as_a_loss() -> None:
    row = {"kind": "DAILY_LOSS", "value": 29.0, "most": 10_000.0, "left": 10_029.0, "used": 0.0}
    assert command._limit(row)["value"] == "no loss, P&L +29.00"
    assert command._limit({**row, "value": -309.5})["value"] == "loss 309.50"
    assert command._limit({**row, "kind": "DAILY_STOP_R", "value": 0.5})["value"] == "+0.50 R"


def test_what_keeps_entries_waiting_is_reported_of_every_account_and_once_of_all() -> None:
    bench = CountingBench(("main", "b"))
    bench.machine.environment.needs_funds = True
    assert risk_snapshot(bench.machine, bench.now).waits == ""
    bench.machine.state.margin.funds.pop("b")
    assert risk_snapshot(bench.machine, bench.now).waits == "account b: the broker has not reported its funds"
    bench.machine.state.margin.funds.pop("main")
    waits = risk_snapshot(bench.machine, bench.now).waits
    assert waits == "; ".join(f"account {name}: the broker has not reported its funds" for name in ("main", "b"))
    bench.machine.state.beats.clear()
    assert risk_snapshot(bench.machine, bench.now).waits == "feed is silent"


def fill_disk(bench: RiskBench) -> None:
    bench.machine.apply(TimerFired(name="disk_low", machine_ns=bench.machine_ns))


def lose_the_profit(bench: RiskBench) -> None:
    bench.machine.state.memory.money.sums["account", "main"].rupees = math.nan


def cancel_too_often(bench: RiskBench) -> None:
    bench.machine.state.counters.cancels["main"] = LARGE.max_cancels_per_day


def lose_the_funds(bench: RiskBench) -> None:
    bench.machine.environment.needs_funds, bench.machine.environment.funds_stale = True, SECOND


CLOSED: dict[str, Callable[[RiskBench], object]] = {
    "less disk is free": fill_disk,
    "the profit of account main adds up to nan": lose_the_profit,
    "cancels of the account reach MAX_CANCELS_PER_DAY": cancel_too_often,
    "its funds were not read for 1 seconds": lose_the_funds,
    "account main stands at −₹13,000": lambda bench: price(bench, 80.0),
    "feed is silent": lambda bench: bench.machine.state.beats.clear(),
}


@pytest.mark.parametrize(("why", "cause"), CLOSED.items())
def test_whatever_denies_every_entry_of_the_account_is_what_status_is_to_say(
    why: str, cause: Callable[[RiskBench], object]
) -> None:
    bench = holding(msgspec.structs.replace(LARGE, max_daily_loss=10_000))
    bench.quote(PUT)
    assert risk_snapshot(bench.machine, bench.now).closed == ""
    cause(bench)
    assert why in risk_snapshot(bench.machine, bench.now).closed
    rows = bench.intent("b", Leg(instrument=CALL, lots=12), Leg(instrument=PUT, lots=1))
    assert all(isinstance(row, SignalDenied) and why in row.message for row in rows), "or it waits"


def test_stop_is_shown_with_its_distance_and_what_it_would_cost() -> None:
    bench = holding()
    bench.machine.apply(LevelMoved(name=stop_level_name(("main", CALL, "MIS", "S")), value=80.0, at_ns=bench.now))
    bench.give(Quote(CALL, bench.now + SECOND, bench.machine_ns, 95.0, 94.9, 95.1))
    bench.give(Funds(account="main", available=1.0, used=0.0))
    (stop,) = risk_snapshot(bench.machine, bench.now).stops
    assert (stop.stop, stop.holder, stop.ltp) == (80.0, "engine", 95.0)
    assert (stop.distance, stop.at_risk) == (15.0, 15.0 * 650)


def test_kill_writes_and_removes_the_file_though_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYTRADING_STATE_DIR", str(tmp_path))
    run = CliRunner()
    assert run.invoke(app, ["kill", "flatten", "a drill"]).exit_code == 0
    assert (tmp_path / "default" / "KILL").read_text() == "flatten a drill\n"
    assert run.invoke(app, ["kill", "--profile", "paper"]).exit_code == 0
    assert (tmp_path / "paper" / "KILL").read_text() == "halt\n"
    done = run.invoke(app, ["kill", "--remove"])
    assert "is gone" in done.output
    assert not (tmp_path / "default" / "KILL").exists()
    assert run.invoke(app, ["kill", "flaten"]).exit_code != 0


def test_run_is_shown_with_what_ends_it_and_its_legs_with_their_levels(capsys: pytest.CaptureFixture[str]) -> None:
    rules = StrategyRules(
        max_loss=5_000.0,
        max_profit=9_000.0,
        trailing=TrailRule(kind=TrailKind.AMOUNT, value=300.0),
        leg_stop_loss=LevelRule(kind=LevelKind.PERCENTAGE, value=10.0),
        leg_take_profit=LevelRule(kind=LevelKind.POINTS, value=50.0),
        exit_time=15 * 3600,
    )
    bench = RunBench(rules)
    bench.take(CALL, 65, 100.0)
    bench.at(CALL, 110.0)
    (run,) = risk_snapshot(bench.machine, bench.now).runs
    assert (run.strategy, run.profit, run.max_loss, run.max_profit) == ("S", 650.0, -5_000.0, 9_000.0)
    assert (run.peak, run.trailing_stop, run.leaving) == (650.0, 350.0, "")
    (leg,) = run.legs
    assert (leg.quantity, leg.stop_loss, leg.take_profit, leg.trailing) == (65, 90.0, 150.0, None)
    row = {**msgspec.structs.asdict(run), "legs": [msgspec.structs.asdict(leg)]}
    command._show({**body(), "runs": [row]}, as_json=False)
    text = capsys.readouterr().out
    assert "trailing_stop" in text and "350.00" in text
    assert "2026-03-18 15:00:00" in text, "when the clock begins to close it"
    assert "take_profit" in text and "150.00" in text
