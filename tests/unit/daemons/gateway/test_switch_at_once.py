"""Switching a strategy off: each machine on the way of an entry refuses the next one, with no time passing, and none
of them holds back what closes a position.

No step of it waits for a timer, so a second is left to the sockets alone. What each machine needs for it is measured in
processor time, over books as large as a busy day's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import time as clock_time
from pathlib import Path
from typing import Any

import pytest

from mytrading.core.calendar import to_ns
from mytrading.core.control import ControlMachine
from mytrading.core.view import StackView
from mytrading.daemons.answers import Answers
from mytrading.daemons.gateway import Totals
from mytrading.messages.commands import CloseGoal
from mytrading.messages.control import OpsRequest, StrategySwitch
from mytrading.messages.enums import Action, OrderState, Purpose
from mytrading.messages.signals import Leg
from mytrading.runtime.clock import MarketClock
from tests.fake_broker import OrderBench
from tests.unit.cli.stacks import run_config
from tests.unit.core.test_risk_machine import CALL, DAY, Desk, codes

BUDGET_S = 0.05
"""Processor time of one machine for the switch and the entry after it: a twentieth of the second there is."""


def off(strategy: str, now: int) -> StrategySwitch:
    return StrategySwitch(strategy=strategy, enabled=False, generation=1, at_ns=now)


def spent(call: Callable[[], Any]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def test_gateway_orders_the_switch_before_it_answers(tmp_path: Path) -> None:
    config, ordered = run_config(tmp_path), []
    clock = MarketClock.load(config.clock_path)
    answers = Answers(config, StackView(), ControlMachine(), clock, Totals(), ordered.extend)
    name = config.strategies[0].name
    answers.answer(OpsRequest(verb="switch", arguments={"strategy": name, "enabled": "false"}))
    (row,) = ordered
    assert (row.strategy, row.enabled) == (name, False)


def test_risk_denies_the_next_entry_at_the_same_moment() -> None:
    desk = Desk()
    desk.quote()
    moment = desk.now, desk.machine_ns
    desk.give(off("S", desk.now))
    assert codes(desk.wish("a", Leg(instrument=CALL, lots=1))) == ["STRATEGY_DISABLED"]
    assert (desk.now, desk.machine_ns) == moment


@pytest.mark.parametrize("how", ["wish", "square-off"])
def test_risk_closes_for_a_strategy_that_is_switched_off(how: str) -> None:
    desk = Desk()
    desk.quote()
    (entry,) = desk.wish("a", Leg(instrument=CALL, lots=1))
    desk.fill(entry)
    desk.give(off("S", desk.now))
    if how == "wish":
        rows = desk.wish("b", action=Action.EXIT)
    else:
        desk.now = to_ns(DAY, clock_time(15, 12))
        rows = desk.pass_time(1)
    assert [type(row) for row in rows if isinstance(row, CloseGoal)] == [CloseGoal]


def test_router_denies_the_next_entry_at_the_same_moment_and_sends_exits() -> None:
    bench = OrderBench()
    bench.hold("e1")
    moment = bench.now
    bench.step(off("s1", moment))
    bench.enter("e2", instrument="NFO:B")
    assert bench.order("e2").state is OrderState.DENIED
    assert "SWITCHED_OFF" in bench.order("e2").message
    bench.close("g1")
    assert bench.calls[-1].order.purpose is Purpose.EXIT
    assert bench.now == moment


def test_risk_and_router_need_little_processor_time_for_a_switch_over_many_orders() -> None:
    desk, bench = Desk(), OrderBench()
    desk.quote()
    for number in range(150):
        desk.machine.apply(off(f"other {number}", desk.now))
        bench.enter(f"e{number}", instrument=f"NFO:X{number}", strategy=f"other {number}")
    took = []
    for number in range(5):

        def switched(turn: int = number) -> None:
            desk.machine.decide(off("S", desk.now), desk.now)
            desk.wish(f"w{turn}", Leg(instrument=CALL, lots=1))
            bench.step(off("s1", bench.now))
            bench.enter(f"late{turn}")

        desk.machine.apply(off("S", desk.now))
        took.append(spent(switched))
    assert codes(tuple(desk.rows))[-1] == "STRATEGY_DISABLED"
    assert "SWITCHED_OFF" in bench.order("late4").message
    assert min(took) < 2 * BUDGET_S
