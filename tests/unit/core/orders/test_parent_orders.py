"""The parent of some slices: what it is said to be, folded from them."""

from __future__ import annotations

import pytest

from mytrading.core.orders.parent_orders import group_slices, parent_of_slices
from mytrading.messages.enums import OrderState
from tests.kit.sliced_orders import order

S = OrderState


def test_fold_sums_quantities_and_averages_the_price_over_what_was_filled() -> None:
    parent = parent_of_slices([order(2, S.FILLED, 98, average_price=10.0), order(1, S.FILLED, 99, average_price=12.0)])
    assert (parent.client_order_id, parent.quantity, parent.filled, parent.state) == ("p", 197, 197, S.FILLED)
    assert parent.average_price == pytest.approx((98 * 10 + 99 * 12) / 197)


@pytest.mark.parametrize(
    ("states", "filled", "state"),
    [
        ((S.SUBMITTED, S.SUBMITTED), 0, S.SUBMITTED),
        ((S.FILLED, S.UNKNOWN), 99, S.UNKNOWN),
        ((S.FILLED, S.ACCEPTED), 99, S.PARTIALLY_FILLED),
        ((S.FILLED, S.REJECTED), 99, S.PARTIALLY_FILLED),
        ((S.REJECTED, S.ACCEPTED), 0, S.ACCEPTED),
        ((S.CANCELLED, S.REJECTED), 0, S.REJECTED),
        ((S.EXPIRED, S.DENIED), 0, S.EXPIRED),
        ((S.DENIED, S.RECORDED), 0, S.DENIED),
    ],
)
def test_fold_says_what_slices_of_several_states_are_together(
    states: tuple[OrderState, ...], filled: int, state: OrderState
) -> None:
    slices = [order(number, each, filled if number == 1 else 0) for number, each in enumerate(states, 1)]
    assert parent_of_slices(slices).state is state


def test_fold_tells_how_the_slices_stand_and_why() -> None:
    parent = parent_of_slices([order(1, S.FILLED, 99), order(2, S.REJECTED, message="margin"), order(3, S.FILLED, 97)])
    assert parent.message == "3 slices: 2 FILLED, 1 REJECTED; margin"


def test_grouped_keeps_whole_orders_and_joins_slices_where_the_first_stood() -> None:
    whole = order(9, S.FILLED, parent="", slice=0, client_order_id="w")
    rows = group_slices([order(2, S.FILLED), whole, order(1, S.FILLED)])
    assert [(parent.client_order_id, [part.links.slice for part in slices]) for parent, slices in rows] == [
        ("p", [1, 2]), ("w", [])
    ]  # fmt: skip


def test_fold_counts_of_a_replaced_slice_only_what_it_filled() -> None:
    gone = order(1, S.CANCELLED, 40, average_price=10.0)
    after = order(3, S.FILLED, 59, slice=1, replaces="p1", quantity=59, average_price=11.0)
    parent = parent_of_slices([gone, order(2, S.FILLED, 98, average_price=10.0), after])
    assert (parent.quantity, parent.filled, parent.state) == (197, 197, S.FILLED)
