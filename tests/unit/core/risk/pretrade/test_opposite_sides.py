"""Two owners never hold opposite sides of one thing: risk denies the second, whether the first holds or orders."""

from __future__ import annotations

import pytest

from mytrading.messages.commands import SignalDenied
from mytrading.messages.enums import Action, OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.orders import Order, OrderChanged, Position, PositionAdjusted
from mytrading.messages.signals import Leg
from tests.kit.risk_bench import SHARE, RiskBench


def claimed(bench: RiskBench, product: Product) -> None:
    """`manual` took over ten short shares."""
    position = Position(
        account="main", instrument=SHARE, product=product, strategy="manual", run="r", quantity=-10, quantity_seen=-10
    )
    bench.give(PositionAdjusted(position=position, cause="claim", quantity=-10, price=100.0, at_ns=bench.now))


def ordering(bench: RiskBench, product: Product) -> None:
    """Another strategy sells, and nothing is filled yet."""
    order = Order(
        client_order_id="other", account="main", instrument=SHARE, product=product, strategy="Other", run="r",
        cause="x", purpose=Purpose.ENTRY, side=Side.SELL, quantity=10, order_type=OrderType.LIMIT,
        state=OrderState.ACCEPTED, created_ns=bench.now, updated_ns=bench.now,
    )  # fmt: skip
    bench.give(OrderChanged(event="accepted", order=order, machine_ns=bench.machine_ns))


@pytest.mark.parametrize(("before", "who"), [(claimed, "manual"), (ordering, "Other")])
@pytest.mark.parametrize("product", [Product.MIS, Product.NRML])
def test_entry_against_another_owner_is_opposed_only_in_the_same_product(
    before: object, who: str, product: Product
) -> None:
    bench = RiskBench()
    before(bench, product)  # type: ignore[operator]
    bench.quote(SHARE)
    rows = bench.intent("w", Leg(instrument=SHARE, lots=10), action=Action.BUY)
    denied = [row for row in rows if isinstance(row, SignalDenied)]
    if product is Product.NRML:
        assert not denied
    else:
        assert [row.code for row in denied] == ["OPPOSED"] and who in denied[0].message
