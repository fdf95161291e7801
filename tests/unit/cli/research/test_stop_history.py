"""The stop of a position over time, as its orders at the broker tell it."""

from __future__ import annotations

from pathlib import Path

from mytrading.cli.research.stop_history import stop_curve, stop_history, stop_steps
from mytrading.messages.enums import OrderState, OrderType, Purpose, Side
from mytrading.messages.orders import Order
from tests.kit.order_samples import order
from tests.kit.run_configs import run_config


def stop(at: int, trigger: float, state: OrderState = OrderState.ACCEPTED, name: str = "s1", **fields: object) -> Order:
    base = {"client_order_id": name, "instrument": "NSE:SBIN", "purpose": Purpose.STOP, "side": Side.SELL,
            "order_type": OrderType.SL, "state": state, "trigger_price": trigger, "updated_ns": at}  # fmt: skip
    return order(**{**base, **fields})


def test_stop_is_that_of_the_order_which_lives_and_none_after_the_last_one() -> None:
    steps = stop_steps([
        stop(1, 90.0, OrderState.SUBMITTED), stop(2, 90.0), stop(5, 92.0), stop(6, 50.0, instrument="NSE:INFY"),
        stop(7, 93.0, name="s2"), stop(8, 92.0, OrderState.CANCELLED), stop(9, 93.0, OrderState.FILLED, name="s2"),
        stop(10, 80.0, purpose=Purpose.ENTRY), stop(20, 95.0, name="s3"),
    ])  # fmt: skip
    assert steps == {"NSE:SBIN": [(1, 90.0), (5, 92.0), (7, 93.0), (9, None), (20, 95.0)], "NSE:INFY": [(6, 50.0)]}


def test_curve_has_steps_and_holes_within_the_bars() -> None:
    steps = [(1, 90.0), (5, 92.0), (9, None), (20, 95.0)]
    times, prices = stop_curve(steps, (), 3, 30)
    assert list(zip(times, prices, strict=True)) == [
        (3, 90.0), (5, 90.0), (5, 92.0), (9, 92.0), (20, None), (20, 95.0), (30, 95.0)
    ]  # fmt: skip
    assert stop_curve([], (), 0, 9) == ([], [])


def test_stop_that_risk_holds_is_drawn_from_the_entry_on() -> None:
    held = {"instrument": "NSE:SBIN", "quantity": 5, "opened_ns": 4, "stop": 88.0}
    assert stop_curve([], [held], 0, 9) == ([4, 9], [88.0, 88.0])
    assert stop_curve([(3, 90.0)], [held], 0, 9) == ([3, 9], [90.0, 90.0]), "the order at the broker counts"


def test_project_without_journals_has_no_stops(tmp_path: Path) -> None:
    assert stop_history(run_config(tmp_path), "SMA_Crossover") == {}
