"""The shipped straddle: its time, its calm, its legs, once a day, flat at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mytrading.core.engine.machine import EngineMachine
from mytrading.messages.enums import Action
from mytrading.messages.market import Quote
from mytrading.messages.run_config import Direction
from mytrading.messages.signals import Signal
from mytrading.runtime.host.author_files import load_file
from mytrading.strategies import BaseStrategy
from tests.kit.engine_bench import NIFTY, OPEN, make_bar, make_machine, make_run, moved, step

FILE = Path(__file__).parents[4] / "strategies" / "options_straddle.py"
SOLD = ("NFO:NIFTY02DEC2526000CE", "NFO:NIFTY02DEC2526000PE")


def machine_of(**parameters: Any) -> EngineMachine:
    (strategy,) = load_file(FILE, BaseStrategy).classes
    run = make_run(
        "Options_Straddle", symbols=(NIFTY,), long=None, short=None, direction=Direction.SHORT,
        parameters={"wings": 2, **parameters},
    )  # fmt: skip
    machine = make_machine({"Options_Straddle": strategy}, run)
    for name in SOLD:
        machine.note_price(Quote(name, OPEN, 0, 100.0))
    return machine


def run(machine: EngineMachine, first: int, last: int, spread: float = 5.0) -> list[tuple[int, Signal]]:
    found = []
    for k in range(first, last + 1):
        bar = make_bar(k, 26_010.0, NIFTY, high=26_010.0 + spread, low=26_010.0 - spread)
        found += [(k, row) for row in step(machine, bar) if isinstance(row, Signal)]
    return found


def test_sold_at_the_money_with_stops_inside_bought_wings() -> None:
    ((minute, signal),) = run(machine_of(), 0, 14)
    assert (minute, signal.action) == (14, Action.SELL)
    assert [(leg.instrument[-7:], leg.lots, leg.stop.value) for leg in signal.legs] == [
        ("26100CE", 1, 0), ("25900PE", 1, 0), ("26000CE", -1, 30), ("26000PE", -1, 30),
    ]  # fmt: skip


def test_wings_of_zero_leave_the_straddle_bare() -> None:
    ((_, signal),) = run(machine_of(wings=0), 0, 14)
    assert [leg.lots for leg in signal.legs] == [-1, -1]


def test_nothing_is_sold_while_bars_range_widely() -> None:
    assert run(machine_of(), 0, 30, spread=30.0) == []


def test_nothing_is_sold_after_the_time_to_enter() -> None:
    assert run(machine_of(entry_until="09:31"), 20, 40) == []


def test_straddle_is_sold_once_a_day_and_closed_at_the_end() -> None:
    machine = machine_of(exit_time="11:00")
    ((_, signal),) = run(machine, 0, 14)
    for leg in signal.legs:
        step(machine, moved("Options_Straddle", leg.instrument, leg.lots * 75))
    assert run(machine, 15, 60) == []
    for name in SOLD:
        step(machine, moved("Options_Straddle", name, 0))
    assert run(machine, 61, 70) == []
    found = run(machine, 71, 104)
    assert [(minute, signal.action) for minute, signal in found] == [(104, Action.EXIT)]


def test_flat_again_after_its_stops_it_stays_out_until_tomorrow() -> None:
    machine = machine_of()
    ((_, signal),) = run(machine, 0, 14)
    for quantity in (75, 0):
        for leg in signal.legs:
            step(machine, moved("Options_Straddle", leg.instrument, quantity * leg.lots))
    assert run(machine, 15, 70) == []


def test_times_in_the_wrong_order_are_refused() -> None:
    (host,) = machine_of(exit_time="09:00").hosts
    assert host.fault is not None
    assert "entry_time < entry_until < exit_time" in host.fault.error


@pytest.mark.parametrize("what", ["ATM", "ATM XX", "OTM 25 CE", "NEAR CE"])
def test_misspelt_leg_is_refused_with_what_may_stand_there(what: str) -> None:
    from mytrading.strategies import StrategyError, option

    with pytest.raises(StrategyError, match="option: expected"):
        option(what, lots=1)
