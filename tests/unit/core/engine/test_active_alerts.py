"""Alerts of the engine: which follow from its state, and that they end with what they are about."""

from __future__ import annotations

from datetime import date

from mytrading.core.active_alerts import ActiveAlert
from mytrading.core.engine.active_alerts import STATE_ALERTS, active_alerts
from mytrading.core.engine.machine import EngineMachine
from mytrading.messages.enums import Action, Severity
from mytrading.messages.journal_rows import RunStarted
from mytrading.messages.signals import SignalVetoed, StrategyFaulted
from mytrading.strategies.base_strategy import BaseStrategy
from tests.kit.engine_bench import OPEN, SBIN, make_book, make_run

TODAY = date(2026, 1, 5)


def engine() -> EngineMachine:
    run = make_run()
    return EngineMachine([run], {run.name: BaseStrategy}, make_book())


def test_fault_is_a_warning_until_the_next_run_and_a_removed_file_is_none() -> None:
    machine = engine()
    machine.apply(StrategyFaulted(strategy="Sample", error="it raised", where="sample.py:3", at_ns=OPEN))
    machine.apply(StrategyFaulted(strategy="Other", error="removed", where="other.py", gone=True, at_ns=OPEN))
    ((key, alert),) = active_alerts(machine, {}, TODAY).items()
    assert (key, alert.severity) == (("STRATEGY_FAULTED", "Sample"), Severity.WARNING)
    assert alert.text.startswith("sample.py:3: it raised; its positions stay managed")
    machine.apply(
        RunStarted(daemon="engine", pid=1, version="", schema=1, config_hash="", machine_ns=1, market_ns=1, speed=1.0)
    )
    assert active_alerts(machine, {}, TODAY) == {}


def test_rule_that_raised_is_critical_and_one_that_denies_is_no_alert() -> None:
    machine = engine()
    veto = {"strategy": "Sample", "watch": SBIN, "action": Action.BUY, "at_ns": OPEN}
    machine.apply(SignalVetoed(signal="a", rule="Mine", message="it is Monday", **veto))
    assert active_alerts(machine, {}, TODAY) == {}
    machine.apply(SignalVetoed(signal="b", rule="Mine", message="the rule raised", faulted=True, **veto))
    expected = ActiveAlert(Severity.CRITICAL, "the rule raised; until then it denies every entry")
    assert active_alerts(machine, {}, TODAY) == {("RULE_FAULTED", "Mine"): expected}


def test_missed_window_ends_with_its_day_and_a_contract_once_it_is_listed() -> None:
    machine = engine()
    machine.missed_windows["Sample"] = TODAY, "entry window 09:20-09:35 missed"
    machine.problems["Sample", SBIN] = "no such contract"
    found = active_alerts(machine, {"Sample options": "no expiry"}, TODAY)
    assert {code for code, _ in found} < STATE_ALERTS  # a code that is not among them would never be cleared
    assert found["WINDOW_MISSED", "Sample"] == ActiveAlert(text="entry window 09:20-09:35 missed")
    assert found["NO_CONTRACT", f"Sample {SBIN}"].text == "no such contract; the signal was dropped"
    assert found["NO_CONTRACT", "Sample options"].text == "no expiry; the signal was dropped"
    machine.problems.clear()
    assert active_alerts(machine, {}, date(2026, 1, 6)) == {}
