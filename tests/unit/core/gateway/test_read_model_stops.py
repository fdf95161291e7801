"""A position's stop on the screens."""

from __future__ import annotations

import pytest

from mytrading.core.gateway.read_model import StackView
from mytrading.messages.enums import OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.orders import (
    Goal,
    GoalChanged,
    Order,
    OrderChanged,
    Position,
    PositionChanged,
    Protection,
    ProtectionChanged,
    StopMove,
)

OWNER = {"account": "main", "instrument": "NSE:SBIN", "product": Product.MIS, "strategy": "S", "run": "r"}
POSITION = Position(**OWNER, quantity=10, quantity_seen=10)


def shown(*stops: tuple[OrderState, int], level: str = "open", goal: str = "") -> tuple[float | None, int, str]:
    found = view_of(*stops, level=level, goal=goal).stop_of(POSITION)
    assert found["stop_wanted"] is None
    return found["stop"], found["stop_covers"], found["stop_state"]


def view_of(
    *stops: tuple[OrderState, int],
    level: str = "open",
    goal: str = "",
    triggers: tuple[float, ...] = (98.0, 98.0),
    moving: StopMove | None = None,
) -> StackView:
    view = StackView()
    view.apply(PositionChanged(position=POSITION, client_order_id="e", fill_quantity=10, fill_price=1.0, at_ns=0))
    if level:
        guard = Protection(
            **OWNER, id="p", cause="e", side=Side.SELL, trigger=98.0, limit=97.0, state=level, moving=moving
        )
        view.apply(ProtectionChanged(protection=guard, at_ns=0))
    for number, (state, quantity) in enumerate(stops):
        order = Order(
            **OWNER, client_order_id=f"s{number}", cause="e", purpose=Purpose.STOP, side=Side.SELL, quantity=quantity,
            order_type=OrderType.SL, state=state, created_ns=0, updated_ns=0,
            trigger_price=triggers[number],
        )  # fmt: skip
        view.apply(OrderChanged(event="x", order=order, machine_ns=0))
    if goal:
        exit_goal = Goal(**OWNER, id="g", cause="c", reason="x", purpose=Purpose.EXIT, state=goal)
        view.apply(GoalChanged(goal=exit_goal, at_ns=0))
    return view


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (shown((OrderState.ACCEPTED, 10)), (98.0, 10, "resting")),
        (shown((OrderState.ACCEPTED, 5), (OrderState.ACCEPTED, 5)), (98.0, 10, "resting")),
        (shown((OrderState.ACCEPTED, 5)), (98.0, 5, "partial")),
        (shown((OrderState.CANCELLED, 10)), (98.0, 0, "missing")),
        (shown((OrderState.TRIGGERED, 10)), (98.0, 10, "triggered")),
        (shown((OrderState.ACCEPTED, 10), goal="open"), (98.0, 10, "closing")),
        (shown((OrderState.ACCEPTED, 10), goal="done"), (98.0, 10, "resting")),
        (shown(level=""), (None, 0, "none")),
        (shown(level="done"), (None, 0, "none")),
    ],
)
def test_stop_of_a_position_in_a_word(found: object, expected: object) -> None:
    assert found == expected


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (view_of((OrderState.ACCEPTED, 10), moving=StopMove(trigger=99.0, limit=98.0, order="s0")), (98.0, 99.0)),
        (view_of((OrderState.ACCEPTED, 10), triggers=(97.0,)), (97.0, 98.0)),
        (view_of((OrderState.ACCEPTED, 5), (OrderState.ACCEPTED, 5), triggers=(96.0, 97.0)), (97.0, 98.0)),
        (view_of((OrderState.CANCELLED, 10), triggers=(97.0,)), (98.0, None)),
    ],
    ids=["a requested move", "a level that does not rest yet", "two stops", "none rests"],
)
def test_stop_shown_is_the_one_at_the_broker_beside_the_one_it_is_to_get(view: StackView, expected: object) -> None:
    found = view.stop_of(POSITION)
    assert (found["stop"], found["stop_wanted"]) == expected
