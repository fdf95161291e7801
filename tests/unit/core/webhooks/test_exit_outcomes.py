"""What is told of an exit alert: that it waits for which open, what filled it, and what ended it in its place."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mytrading.core.calendar import Calendar
from mytrading.core.webhooks.exit_outcomes import MOST_GOALS, ExitOutcomes
from mytrading.messages.enums import OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.journal_rows import DayOpened
from mytrading.messages.orders import (
    Goal,
    GoalChanged,
    Order,
    OrderChanged,
    OrderLinks,
    Position,
    PositionAdjusted,
    PositionChanged,
)
from mytrading.messages.webhooks import AlertJudged, AlertVerdict
from tests.kit.webhooks import CALENDAR, at

SBIN = "NSE:SBIN"
OWNER: dict[str, Any] = {
    "account": "paper", "instrument": SBIN, "product": Product.CNC, "strategy": "swing", "run": "run",
}  # fmt: skip
EVENING = at("15:31:00")
"""Of Wednesday, 7 January 2026."""
CLOCK = Calendar.from_dict(CALENDAR)


def goal(name: str = "g1", cause: str = "s1", reason: str = "alert a1", **fields: Any) -> GoalChanged:
    made = Goal(
        **OWNER, id=name, cause=cause, reason=reason, purpose=Purpose.EXIT, created_ns=EVENING, **fields
    )  # fmt: skip
    return GoalChanged(goal=made, at_ns=EVENING)


def judged(signal: str = "s1", target: int = 0, at_ns: int = EVENING) -> AlertJudged:
    return AlertJudged(
        alert="a1", webhook="swing", verdict=AlertVerdict.ACCEPTED, at_ns=at_ns, received_ns=0, symbol="SBIN",
        instrument=SBIN, target=target, signal=signal,
    )  # fmt: skip


def closed(order: str, left: int = 0) -> PositionChanged:
    held = Position(**OWNER, quantity=left)
    return PositionChanged(position=held, client_order_id=order, fill_quantity=-10, fill_price=1.0, at_ns=EVENING)


def order(name: str, purpose: Purpose, of_goal: str = "") -> OrderChanged:
    made = Order(
        **OWNER, client_order_id=name, cause="s1", purpose=purpose, side=Side.SELL, quantity=10, created_ns=0,
        updated_ns=0, order_type=OrderType.MARKET, state=OrderState.FILLED, links=OrderLinks(goal=of_goal),
    )  # fmt: skip
    return OrderChanged(event="filled", order=made, machine_ns=0)


def told(*rows: Any, row: AlertJudged | None = None, now: int = EVENING, to_sender: bool = False) -> str:
    outcomes = ExitOutcomes()
    for message in rows:
        outcomes.apply(message)
    return outcomes.of(row or judged(), CLOCK, now, to_sender=to_sender)


def test_exit_waits_for_the_next_open_also_over_a_holiday() -> None:
    assert told(goal(awaits_open=True)) == "waits for the open of NSE on 2026-01-08 at 09:15"
    friday = at("15:31:00") + 16 * 24 * 3600 * 10**9  # 23 January; Monday the 26th is a holiday
    assert told(goal(awaits_open=True), now=friday) == "waits for the open of NSE on 2026-01-27 at 09:15"


def test_exit_that_is_at_the_broker_is_under_way_and_one_that_is_stuck_keeps_its_words_from_the_sender() -> None:
    assert told(goal()) == "under way"
    stuck = goal(state="stuck", message="funds 5")
    assert told(stuck) == "an operator is needed: funds 5"
    assert told(stuck, to_sender=True) == "an operator is needed"


@pytest.mark.parametrize(
    ("closer", "of_goal", "words"),
    [
        (Purpose.EXIT, "g1", "filled"),
        (Purpose.STOP, "", "ended by its stop"),
        (Purpose.EXIT, "", "ended by an order by hand"),
    ],
)
def test_order_that_closed_the_position_is_told(closer: Purpose, of_goal: str, words: str) -> None:
    assert told(goal(awaits_open=True), order("o1", closer, of_goal), closed("o1"), goal(state="done")) == words


def test_exit_that_another_one_overtook_names_its_reason_but_not_to_the_sender() -> None:
    for reason, shown in (("square-off", "square-off"), ("alert a2", "alert a2"), ("loss of 5,000", "another exit")):
        rows = (goal(), goal("g2", "c2", reason), order("o2", Purpose.EXIT, "g2"), closed("o2"), goal(state="done"))
        assert told(*rows) == f"ended by {reason}"
        assert told(*rows, to_sender=True) == f"ended by {shown}"


@pytest.mark.parametrize(("cause", "words"), [("claim", "a claim"), ("correction", "correction")])
def test_units_that_went_without_an_order_are_told(cause: str, words: str) -> None:
    gone = PositionAdjusted(position=Position(**OWNER), cause=cause, quantity=-10, price=0.0, at_ns=EVENING)
    assert told(goal(awaits_open=True), gone, goal(state="done")) == f"ended by {words}"


def test_second_exit_of_a_position_has_the_outcome_of_the_one_under_way_and_none_of_one_before() -> None:
    again, before = judged("s2"), judged("s0", at_ns=EVENING - 1)
    assert told(goal(awaits_open=True), row=again).startswith("waits for the open")
    assert told(goal(awaits_open=True), row=before) == ""
    assert told(goal(state="done"), row=judged("s2", at_ns=EVENING + 1)) == ""


def test_entry_has_no_outcome_and_neither_has_a_refused_exit() -> None:
    assert told(goal(), row=judged(target=10)) == told(goal(), row=judged(signal="")) == ""


def test_goal_that_was_carried_into_the_day_is_still_known() -> None:
    carried = goal(awaits_open=True).goal
    assert told(DayOpened(day="2026-01-08", goals=(carried,))) == "waits for the open of NSE on 2026-01-08 at 09:15"


def test_memory_of_goals_has_an_end() -> None:
    outcomes = ExitOutcomes()
    for number in range(MOST_GOALS + 1):
        row = goal(f"g{number}", f"s{number}")
        outcomes.apply(replace(row, goal=replace(row.goal, strategy=f"of{number}")))
    assert outcomes.of(judged("s0"), CLOCK, EVENING) == ""
    assert outcomes.of(judged("s1"), CLOCK, EVENING) == "under way"
