"""A carried share at a fraction of its last close: nothing is sold, nothing is lost by it, and a person is told."""

from __future__ import annotations

from datetime import date, time
from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.risk.exits.corporate_actions import CODE, CONTRACT_CODE, suspected_ratio
from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.core.time import DAY, to_ns
from mytrading.messages.commands import CloseGoal, HoldStop
from mytrading.messages.control import Alert
from mytrading.messages.enums import LimitAction, OrderState, OrderType, Product, Purpose, Severity, Side
from mytrading.messages.exit_rules import StrategyRules
from mytrading.messages.journal_rows import RiskOpened
from mytrading.messages.market import Quote
from mytrading.messages.orders import OrderChanged, Position, PositionAdjusted, Protection, ProtectionChanged
from mytrading.messages.run_config import RiskLimits
from mytrading.messages.signals import Leg
from tests.kit.order_samples import order_of
from tests.kit.risk_bench import SECOND, SHARE, TODAY, RiskBench, codes
from tests.kit.risk_limit_bench import LARGE, events, of

YESTERDAY = to_ns(date(2026, 3, 17), time(11, 0))
LIMITS = replace(LARGE, max_daily_loss=2_000, max_daily_loss_action=LimitAction.CLOSE_LEGS)
FUTURE = "NFO:NIFTY30MAR26FUT"
HELD = Position(
    account="main", instrument=SHARE, product=Product.CNC, strategy="S", run="r", quantity=50, quantity_seen=50,
    average_price=100.0, opened_ns=YESTERDAY, updated_ns=YESTERDAY, held_stop=90.0, trip_quantity=50,
    trip_value=5_000.0,
)  # fmt: skip


def carried(
    position: Position = HELD, close: float = 100.0, limits: RiskLimits = LIMITS, rules: StrategyRules | None = None
) -> RiskBench:
    """Units bought the day before, with a stop at 90 that risk holds; our last close."""
    bench = RiskBench(limits)
    if rules is not None:
        (run,) = bench.parts[2]
        bench.parts = (*bench.parts[:2], (replace(run, rules=rules),), *bench.parts[3:])
    bench.machine = RiskMachine(RiskEnvironment(*bench.parts))
    levels = {f"limit mark_long {position.instrument}": close}
    if position.held_stop:
        levels["stop " + " ".join(position.owner)] = position.held_stop
    carry = {"limit carried " + " ".join(position.owner): position.quantity * (close - position.average_price)}
    bench.machine.apply(RiskOpened(day=TODAY, positions=(position,), levels={**levels, **carry}))
    bench.machine.set_machine_time(bench.machine_ns)
    bench.beat()
    return bench


def quoted(bench: RiskBench, price: float, instrument: str = SHARE, close: float | None = None) -> list[Any]:
    """Two quotes that agree."""
    rows: list[Any] = []
    for _ in range(2):
        bench.now += SECOND // 5
        bench.machine_ns += SECOND // 5
        quote = Quote(instrument, bench.now, bench.machine_ns, price, price, price, previous_close=close)
        rows += bench.give(quote)
    return rows


def adjusted(bench: RiskBench, units: int, average: float, more: int = 0) -> None:
    """An operator's word on it, as the router books it."""
    position = replace(
        HELD, quantity=units, quantity_seen=units, average_price=average, held_stop=45.0, updated_ns=bench.now
    )
    bench.give(
        PositionAdjusted(position=position, cause="corporate_action", quantity=more, price=average, at_ns=bench.now)
    )


def profit(bench: RiskBench) -> float:
    return round(bench.machine.state.memory.money.profit(("account", "main")), 2)


@pytest.mark.parametrize(
    ("close", "price", "previous", "ratio"),
    [
        (100.0, 50.0, None, 2.0), (100.0, 66.0, None, 1.5), (100.0, 33.0, None, 3.0), (100.0, 20.0, None, 5.0),
        (100.0, 10.0, None, 10.0), (100.0, 54.0, None, 2.0), (100.0, 97.0, 50.0, 2.0), (100.0, 48.0, 50.0, 2.0),
        (100.0, 80.0, None, 0.0), (100.0, 99.0, 100.0, 0.0), (0.0, 50.0, None, 0.0), (100.0, 200.0, None, 0.0),
    ],
)  # fmt: skip
def test_ratio_is_that_of_the_last_price_or_the_previous_close(
    close: float, price: float, previous: float | None, ratio: float
) -> None:
    assert suspected_ratio(close, Quote(SHARE, 1, 1, price, previous_close=previous)) == ratio


def test_share_at_half_its_close_is_not_sold_and_loses_nothing_of_the_day() -> None:
    """A bonus of 1:1 sold half of the shares at the open by the old stop, and booked a loss that nobody had."""
    bench = carried()
    rows = quoted(bench, 50.0)
    (hold,) = of(rows, HoldStop)
    assert (hold.owner, hold.ratio) == (HELD.owner, 2.0)
    (alert,) = of(rows, Alert)
    assert (alert.code, alert.severity) == (CODE, Severity.CRITICAL)
    assert "positions adjust" in alert.message and "nothing guards it" in alert.message
    later = [*quoted(bench, 44.0), *bench.pass_time(1), *bench.pass_time(30)]
    assert (of([*rows, *later], CloseGoal), events([*rows, *later])) == ([], [])
    quoted(bench, 50.0)
    assert profit(bench) == 0.0
    quoted(bench, 49.0)
    assert profit(bench) == -100.0, "50 units at 49 are worth what they were at 98"
    assert codes(bench.intent("b", Leg(instrument=SHARE, lots=1, product=Product.CNC))) == ["INSTRUMENT_HALTED"]


def test_stop_that_is_not_placed_is_no_missing_stop() -> None:
    """Risk closes what has no stop at the broker: it would have sold what the hold keeps."""
    bench = carried(replace(HELD, held_stop=0.0))
    assert HELD.owner in bench.machine.state.guarded_positions()
    quoted(bench, 50.0)
    assert HELD.owner not in bench.machine.state.guarded_positions()


def test_stop_that_still_rests_beyond_the_price_is_no_reason_to_sell() -> None:
    bench = carried(replace(HELD, held_stop=0.0))
    owner = {**HELD.owner._asdict(), "run": "r", "cause": "c"}
    guard = Protection(id="p", side=Side.SELL, trigger=90.0, limit=87.0, **owner)
    stop = order_of(
        client_order_id="stop", purpose=Purpose.STOP, side=Side.SELL, quantity=50, order_type=OrderType.SL, price=87.0,
        state=OrderState.ACCEPTED, created_ns=0, updated_ns=0, broker_order_id="B2", trigger_price=90.0, **owner,
    )  # fmt: skip
    bench.give(ProtectionChanged(protection=guard, at_ns=bench.now))
    bench.give(OrderChanged(event="x", order=stop, machine_ns=bench.machine_ns))
    rows: list[Any] = []
    for _ in range(40):
        rows += [*quoted(bench, 50.0), *bench.pass_time(0.5)]
    assert of(rows, HoldStop) != []
    assert of(rows, CloseGoal) == []


def test_rules_of_the_run_do_not_close_what_a_bonus_halved() -> None:
    bench = carried(limits=replace(LIMITS, max_daily_loss=1e9), rules=StrategyRules(max_loss=1_000.0))
    rows = [*quoted(bench, 50.0), *quoted(bench, 49.0), *bench.pass_time(5), *quoted(bench, 49.0)]
    assert (of(rows, CloseGoal), events(rows)) == ([], [])


def test_hold_outlives_the_day_and_a_restart() -> None:
    bench = carried()
    quoted(bench, 50.0)
    again = RiskMachine(RiskEnvironment(*bench.parts))
    again.apply(bench.machine.snapshot("2026-03-19"))
    assert again.state.corporate == {HELD.owner: 2.0}
    quote = Quote(SHARE, bench.now + DAY, bench.machine_ns, 49.0, 49.0, 49.0)
    again.apply(quote)
    assert [row.ratio for row in of(again.decide(quote, quote.market_ns), HoldStop)] == [2.0], "told again"
    assert round(again.state.memory.money.profit(("account", "main")), 2) == -100.0


def test_adjusting_ends_the_hold_and_leaves_the_profit_of_the_day_as_it_is() -> None:
    bench = carried()
    quoted(bench, 50.0)
    quoted(bench, 49.0)
    adjusted(bench, 50, 50.0)
    assert (profit(bench), bench.machine.state.corporate) == (-100.0, {})
    quoted(bench, 48.0)
    assert profit(bench) == -150.0, "50 units, one rupee each"
    adjusted(bench, 100, 50.0, more=50)
    assert profit(bench) == -150.0, "units that come are no profit"
    quoted(bench, 47.0)
    assert profit(bench) == -250.0, "100 units, one rupee each"
    assert [row.reason for row in of(quoted(bench, 44.0), CloseGoal)] == ["stop: 44 is at or beyond 45"]


def test_operator_who_finds_no_action_has_the_loss_and_the_stop_back() -> None:
    bench = carried()
    quoted(bench, 50.0)
    same = replace(HELD, updated_ns=bench.now)
    word = PositionAdjusted(position=same, cause="corporate_action", quantity=0, price=100.0, at_ns=bench.now)
    rows = list(bench.give(word))
    assert profit(bench) == -2_500.0
    rows += quoted(bench, 50.0)
    assert [row.owner for row in of(rows, CloseGoal)] == [HELD.owner]


def test_share_that_did_not_fall_is_judged_once_and_its_stop_works() -> None:
    bench = carried()
    rows = quoted(bench, 99.0)
    assert [hold.ratio for hold in of(rows, HoldStop)] == [0.0]
    assert of(quoted(bench, 98.0), HoldStop) == []
    assert of(quoted(bench, 50.0), CloseGoal) != [], "a fall within the day is a fall"


def test_share_bought_today_is_no_carried_one() -> None:
    bench = carried(replace(HELD, opened_ns=to_ns(date(2026, 3, 18), time(9, 30))))
    assert of(quoted(bench, 50.0), HoldStop) == []


def test_future_at_half_its_close_is_named_and_nothing_of_it_is_held() -> None:
    bench = carried(replace(HELD, instrument=FUTURE, product=Product.NRML, quantity=65, quantity_seen=65))
    rows = quoted(bench, 50.0, FUTURE)
    assert [alert.code for alert in of(rows, Alert)][:1] == [CONTRACT_CODE]
    assert bench.machine.state.corporate == {}
