"""Two owners never hold opposite sides of one thing: risk denies the second, whether the first holds or orders."""

from __future__ import annotations

import pytest

from mytrading.messages.commands import SignalDenied
from mytrading.messages.enums import Action, OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.orders import Order, OrderChanged, Position, PositionAdjusted
from mytrading.messages.signals import Leg
from tests.unit.core.test_risk_machine import SHARE, Desk


def claimed(desk: Desk, product: Product) -> None:
    """`manual` took over ten short shares."""
    position = Position(
        account="main", instrument=SHARE, product=product, strategy="manual", run="r", quantity=-10, quantity_seen=-10
    )
    desk.give(PositionAdjusted(position=position, cause="claim", quantity=-10, price=100.0, at_ns=desk.now))


def ordering(desk: Desk, product: Product) -> None:
    """Another strategy sells, and nothing is filled yet."""
    order = Order(
        client_order_id="other", account="main", instrument=SHARE, product=product, strategy="Other", run="r",
        cause="x", purpose=Purpose.ENTRY, side=Side.SELL, quantity=10, order_type=OrderType.LIMIT,
        state=OrderState.ACCEPTED, created_ns=desk.now, updated_ns=desk.now,
    )  # fmt: skip
    desk.give(OrderChanged(event="accepted", order=order, machine_ns=desk.machine_ns))


@pytest.mark.parametrize(("before", "who"), [(claimed, "manual"), (ordering, "Other")])
@pytest.mark.parametrize("product", [Product.MIS, Product.NRML])
def test_entry_against_another_owner_is_opposed_only_in_the_same_product(
    before: object, who: str, product: Product
) -> None:
    desk = Desk()
    before(desk, product)  # type: ignore[operator]
    desk.quote(SHARE)
    rows = desk.wish("w", Leg(instrument=SHARE, lots=10), action=Action.BUY)
    denied = [row for row in rows if isinstance(row, SignalDenied)]
    if product is Product.NRML:
        assert not denied
    else:
        assert [row.code for row in denied] == ["OPPOSED"] and who in denied[0].message
