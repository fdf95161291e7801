"""The prices of a trial: so far from the market that nothing trades, and within the narrowest band."""

from __future__ import annotations

import pytest

from mytrading.messages.enums import OrderType
from mytrading.operations.broker_trial.trial import OrderPrices, PlannedOrder, plan_orders


def planned(ltp: float, close: float, tick: float = 0.05, *, stops: bool = True) -> list[PlannedOrder]:
    found = plan_orders(ltp, close, tick, stops=stops)
    assert not isinstance(found, str), found
    return found


def test_orders_lie_three_and_a_half_percent_away_and_are_moved_nearer_by_a_step() -> None:
    limit, stop = planned(1000.0, 1000.0)
    assert (limit.order_type, limit.first, limit.then) == (
        OrderType.LIMIT, OrderPrices(965.0, 0.0), OrderPrices(968.0, 0.0),
    )  # fmt: skip
    assert (stop.order_type, stop.first, stop.then) == (
        OrderType.SL, OrderPrices(1038.0, 1035.0), OrderPrices(1035.0, 1032.0),
    )  # fmt: skip


def test_no_stop_is_planned_where_none_may_be_sent() -> None:
    assert [order.order_type for order in planned(1000.0, 1000.0, stops=False)] == [OrderType.LIMIT]


@pytest.mark.parametrize(("ltp", "close"), [(1020.0, 1000.0), (985.0, 1000.0), (1000.0, 0.0)])
def test_all_prices_are_within_five_percent_of_the_last_close(ltp: float, close: float) -> None:
    base = close or ltp
    for order in planned(ltp, close):
        for prices in (order.first, order.then):
            assert all(0.95 * base <= price <= 1.05 * base for price in prices if price)


@pytest.mark.parametrize("tick", [0.01, 0.05])
def test_cheap_share_is_moved_by_whole_ticks(tick: float) -> None:
    for order in planned(22.5, 22.5, tick):
        for price in (*order.first, *order.then):
            assert round(price / tick, 6).is_integer()
        assert order.first != order.then and (not order.then.trigger or order.then.price > order.then.trigger)


@pytest.mark.parametrize(("ltp", "close"), [(951.0, 1000.0), (1049.0, 1000.0), (0.5, 0.5)])
def test_share_at_its_band_or_of_a_few_ticks_is_refused(ltp: float, close: float) -> None:
    found = plan_orders(ltp, close, 0.05, stops=True)
    assert isinstance(found, str) and "--symbol" in found
