"""A rule of the user's own: it denies entries, never an exit, and fails closed."""

from __future__ import annotations

import sys
from datetime import date, time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mytrading.core.engine.machine import EngineMachine
from mytrading.core.engine.signal_gate import LoadedRule
from mytrading.core.time import to_ns
from mytrading.daemons.engine.strategy_files import find_rules
from mytrading.messages.enums import Action
from mytrading.messages.run_config import Direction
from mytrading.messages.signals import Signal, SignalVetoed
from mytrading.runtime.host.author_files import PACKAGE
from mytrading.strategies import Outgoing, SignalRule
from mytrading.strategies.views import FLAT
from tests.kit.engine_bench import DOWN, NOTHING, OUT, SBIN, UP, Level, make_bar, make_machine, make_run, moved, step
from tests.kit.feed_process import feed_config
from tests.kit.project import ROOT


class Never(SignalRule):
    """Denies everything it is shown, and keeps it."""

    def __init__(self) -> None:
        self.seen: list[Outgoing] = []

    def deny(self, signal: Outgoing) -> str:
        self.seen.append(signal)
        return f"no {signal.action.value} at {signal.price:g}"


class Raises(SignalRule):
    def deny(self, signal: Outgoing) -> str:
        raise ValueError(f"what is {signal.watch}?")


class Nonsense(SignalRule):
    def deny(self, signal: Outgoing) -> Any:
        return signal.confidence > 2


def machine(rule: SignalRule | None, fault: str = "", **run: Any) -> EngineMachine:
    found = LoadedRule("mine", rule, fault)
    return make_machine(Level, make_run(direction=Direction.BOTH, **run), rules=[found])


def test_denied_entry_does_not_leave_and_is_reported_once_a_minute() -> None:
    rule = Never()
    engine = machine(rule)
    (row,) = step(engine, make_bar(0, UP))
    assert isinstance(row, SignalVetoed)
    assert (row.rule, row.message, row.action, row.faulted) == ("mine", "no BUY at 110", Action.BUY, False)
    assert step(engine, make_bar(1, UP), now=row.at_ns + 1_000_000_000) == ()
    assert [type(row) for row in step(engine, make_bar(2, UP))] == [SignalVetoed]
    signal = rule.seen[0]
    assert (signal.strategy, signal.watch, signal.position.is_flat) == ("Sample", SBIN, True)
    assert signal.legs[0].lots == 1


def test_exit_is_never_shown_to_a_rule() -> None:
    rule = Never()
    engine = machine(rule)
    step(engine, moved("Sample", SBIN, 1))
    (row,) = step(engine, make_bar(0, OUT))
    assert isinstance(row, Signal)
    assert (row.action, rule.seen) == (Action.EXIT, [])


def test_denied_turn_still_closes_what_is_held() -> None:
    engine = machine(Never())
    step(engine, moved("Sample", SBIN, 1))
    exits, denial = step(engine, make_bar(0, DOWN))
    assert isinstance(exits, Signal)
    assert (exits.action, exits.legs) == (Action.EXIT, ())
    assert isinstance(denial, SignalVetoed)
    assert denial.action is Action.SELL


@pytest.mark.parametrize(
    ("rule", "said"),
    [(Raises(), "ValueError: what is NSE:SBIN?"), (Nonsense(), "deny() must return text, found False")],
)
def test_rule_that_fails_denies_and_says_so(rule: SignalRule, said: str) -> None:
    (row,) = step(machine(rule), make_bar(0, UP))
    assert isinstance(row, SignalVetoed)
    assert row.faulted
    assert said in row.message


def test_rule_that_is_not_there_denies_every_entry() -> None:
    (row,) = step(machine(None, "no rule is called mine"), make_bar(0, UP))
    assert isinstance(row, SignalVetoed)
    assert row.faulted


def test_engine_without_rules_sends_as_before() -> None:
    assert [type(row) for row in step(make_machine(Level), make_bar(0, UP))] == [Signal]
    assert step(make_machine(Level), make_bar(0, NOTHING)) == ()


def test_example_denies_over_lunch_and_after_the_fifth_signal() -> None:
    config = msgspec.structs.replace(
        feed_config(Path("/state"), Path("/run"), "http://x", "ws://x", ()),
        home=str(ROOT),
        rules=("quiet_times", "nix"),
    )
    found, missing = find_rules(config)
    sys.modules.pop(f"{PACKAGE}.quiet_times", None)
    assert found.rule is not None
    assert "no rule is called nix" in missing.fault
    signal = Outgoing(
        strategy="S", watch=SBIN, action=Action.BUY, legs=(), product=make_run().product, confidence=1.0, reason="",
        price=1.0, now_ns=at(11, 59), position=FLAT,
    )  # fmt: skip
    assert found.rule.deny(signal) == ""
    assert "it is 12:30" in found.rule.deny(msgspec.structs.replace(signal, now_ns=at(12, 30)))
    assert "5 are enough" in found.rule.deny(msgspec.structs.replace(signal, sent_today=5))
    assert (signal.minutes_of_day, signal.weekday, signal.day_code) == (719, 2, "18MAR26")


def at(hour: int, minute: int) -> int:
    return to_ns(date(2026, 3, 18), time(hour, minute))
