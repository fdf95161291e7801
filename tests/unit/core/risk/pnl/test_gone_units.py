"""The limit of the day after units were closed by hand: their loss counts from the row on that takes them off."""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.messages.commands import PriceUnits
from mytrading.messages.exit_rules import StrategyRules
from mytrading.messages.market import Quote
from mytrading.messages.orders import GoneUnits, Position, PositionAdjusted
from mytrading.messages.risk_events import RiskKind
from tests.kit.risk_bench import CALL, PUT, SECOND, RiskBench
from tests.kit.risk_limit_bench import LARGE, events, holding, of, price, restarted
from tests.kit.risk_run_bench import RunBench, goals

SCOPE = ("account", "main")


def profit(bench: RiskBench) -> float:
    return round(bench.machine.state.memory.money.profit(SCOPE), 2)


def held(bench: RiskBench) -> Position:
    (position,) = bench.machine.state.open_positions()
    return position


def gone(bench: RiskBench, left: int = 0) -> PositionAdjusted:
    """The router's row of units that went at a price nobody told it."""
    before = held(bench)
    level = replace(before, quantity=left, quantity_seen=left, average_price=before.average_price if left else 0.0)
    units = left - before.quantity
    return PositionAdjusted(
        position=replace(level, updated_ns=bench.now), cause="correction", quantity=units, price=0.0, at_ns=bench.now,
        gone=GoneUnits(id="g1", units=units, before=before),
    )  # fmt: skip


def valued(bench: RiskBench, row: PositionAdjusted, at: float, realised: float) -> PositionAdjusted:
    position = replace(row.position, realised=realised, realised_estimated=True, updated_ns=bench.now)
    return replace(row, position=position, cause="valuation", quantity=0, price=at)


def test_loss_of_units_closed_by_hand_does_not_leave_the_day() -> None:
    bench = holding(replace(LARGE, max_daily_loss=20_000))
    price(bench, 75.0)
    assert profit(bench) == -16_250.0
    row = gone(bench)
    told = of(bench.give(row), PriceUnits)
    assert [(one.gone, one.price) for one in told] == [("g1", 75.0)]
    assert profit(bench) == -16_250.0, "before the router answers"
    assert of(bench.pass_time(1), PriceUnits) == [], "told once"
    bench.give(valued(bench, row, 75.0, -16_250.0))
    assert profit(bench) == -16_250.0
    bench.hold(CALL, 650, 75.0, realised=-16_250.0, order="y")
    (event,) = events(price(bench, 69.0))
    assert (event.kind, round(event.value)) == (RiskKind.DAILY_LOSS, -20_150)  # 650 units: 25 and 6 rupees lost


def test_part_that_went_counts_at_its_last_price_beside_the_rest() -> None:
    bench = holding()
    price(bench, 80.0)
    bench.give(gone(bench, left=400))
    price(bench, 70.0)
    assert profit(bench) == -17_000.0  # 250 units lost 20 each, 400 lose 30 each


def test_restart_between_the_row_and_the_routers_answer_keeps_the_loss() -> None:
    bench = holding()
    price(bench, 75.0)
    bench.give(gone(bench))
    again = restarted(bench)
    assert profit(again) == -16_250.0
    assert of(again.pass_time(1), PriceUnits) == [], "the command is in the journal"


def test_units_without_any_price_are_valued_by_the_first_one() -> None:
    bench = RiskBench(LARGE)
    bench.hold(CALL, 650, 100.0)
    assert of(bench.give(gone(bench)), PriceUnits) == []
    assert CALL in bench.machine.wanted_instruments()
    bench.give(Quote(CALL, bench.now, bench.machine_ns, 75.0, 75.0, 75.0))
    bench.now += SECOND
    (told,) = [row for row in bench.pass_time(1) if isinstance(row, PriceUnits)]
    assert told.price == 75.0
    assert profit(bench) == -16_250.0
    assert CALL not in bench.machine.wanted_instruments()


def test_run_whose_other_leg_is_held_gets_the_loss_that_is_told_late() -> None:
    bench = RunBench(StrategyRules(max_loss=10_000.0))
    for name in (CALL, PUT):
        bench.take(name, 650, 100.0)
        bench.at(name, 100.0)
    before = bench.positions["main", CALL]
    row = PositionAdjusted(
        position=replace(before, quantity=0, quantity_seen=0, average_price=0.0, updated_ns=bench.now),
        cause="correction", quantity=-650, price=0.0, at_ns=bench.now,
        gone=GoneUnits(id="g1", units=-650, before=before),
    )  # fmt: skip
    bench.give(row)
    bench.give(valued(bench, row, 88.0, -7_800.0))
    (run,) = bench.machine.runs.books.runs.values()
    assert run.realised == -7_800.0, "650 units, twelve rupees each"
    assert [goal.instrument for goal in goals(bench.at(PUT, 96.0))] == [PUT], "2,600 more"
