"""A price at which a resting order fills at once."""

from __future__ import annotations

import pytest

from mytrading.core.orders.marketable_price import marketable_price
from mytrading.messages.enums import Side
from mytrading.messages.market import Quote


@pytest.mark.parametrize(
    ("side", "bid", "ask", "ltp", "expected"),
    [
        (Side.BUY, 99.9, 100.1, 100.0, 101.15),
        (Side.SELL, 99.9, 100.1, 100.0, 98.9),
        (Side.BUY, None, None, 100.0, 101.0),
        (Side.SELL, 0.3, 0.4, 0.35, 0.05),
        (Side.BUY, 0.3, 0.4, 0.35, 0.9),
        (Side.BUY, None, None, 0.0, 0.0),
        (Side.BUY, None, None, float("nan"), 0.0),
    ],
)
def test_price_lies_through_the_other_side_on_the_tick(
    side: Side, bid: float | None, ask: float | None, ltp: float, expected: float
) -> None:
    assert marketable_price(Quote("X:Y", 1, 1, ltp, bid=bid, ask=ask), side, 0.05) == pytest.approx(expected)
