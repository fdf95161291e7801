"""Orders that wait for a price for days: which leg fires, at what price its order goes out, and when they end."""

from __future__ import annotations

from datetime import date

import pytest

from mytrading.core.exchange.gtt import Trigger, TriggerBook, TriggerLeg, TriggerStatus
from mytrading.core.exchange.model import OrderRequest
from mytrading.messages.enums import OrderType, Side

SBIN, INFY = "NSE:SBIN", "NSE:INFY"
STOP, TARGET = TriggerLeg(at=780.0, falls=True, price=779.0), TriggerLeg(at=850.0, falls=False, price=849.0)


def trigger(name: str = "one", instrument: str = SBIN, order_type: OrderType = OrderType.LIMIT) -> Trigger:
    request = OrderRequest(instrument=instrument, side=Side.SELL, quantity=10, order_type=order_type)
    return Trigger(
        trigger_id=name,
        request=request,
        legs=(STOP, TARGET),
        created_ns=1,
        updated_ns=1,
        expires_ns=100,
        last_price=800.0,
    )


@pytest.mark.parametrize(
    ("ltp", "leg"), [(780.05, None), (780.0, STOP), (700.0, STOP), (849.95, None), (850.0, TARGET), (900.0, TARGET)]
)
def test_leg_fires_at_its_price_and_beyond_and_its_order_has_its_limit(ltp: float, leg: TriggerLeg | None) -> None:
    ended = TriggerBook([trigger()]).due_triggers(SBIN, ltp, 5)
    assert [(one.status, order and order.price) for one, order in ended] == (
        [(TriggerStatus.TRIGGERED, leg.price)] if leg is not None else []
    )


def test_order_at_the_market_has_no_price() -> None:
    ((_, order),) = TriggerBook([trigger(order_type=OrderType.MARKET)]).due_triggers(SBIN, 700.0, 5)
    assert order is not None
    assert (order.price, order.quantity, order.instrument) == (0.0, 10, SBIN)


def test_trigger_ends_without_an_order_at_its_time_and_not_before() -> None:
    book = TriggerBook([trigger()])
    assert book.due_triggers(SBIN, 800.0, 99) == []
    ((ended, order),) = book.due_triggers(SBIN, 700.0, 100)
    assert (ended.status, ended.updated_ns, order) == (TriggerStatus.EXPIRED, 100, None)


def test_ended_trigger_is_kept_and_waits_for_nothing() -> None:
    book = TriggerBook([trigger(), trigger("two", INFY)])
    ((ended, _),) = book.due_triggers(SBIN, 700.0, 5)
    book.store(ended)
    assert book.due_triggers(SBIN, 700.0, 6) == []
    assert (book.get_active("one"), list(book.instruments())) == (None, [INFY])
    assert book.get_active("two") is not None
    assert [one.trigger_id for one in book] == ["one", "two"]


def test_new_id_is_that_of_no_trigger_of_the_day() -> None:
    book, day = TriggerBook(), date(2026, 11, 23)
    for _ in range(5):
        book.store(trigger(book.new_id(day)))
    names = [one.trigger_id for one in book]
    assert len(set(names)) == 5
    assert all(name.startswith("GTT-261123-") for name in names)
