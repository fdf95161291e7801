"""Latency and refusals beyond what the operator set: one alert each, until the cool-down has passed without another."""

from __future__ import annotations

from msgspec.structs import replace

from mytrading.core.risk.active_alerts import ORDER_LATENCY, ORDERS_REJECTED, QUOTE_LATENCY, LatencyAlerts
from mytrading.core.time import SECOND
from mytrading.messages.enums import OrderState, OrderType, Product, Purpose, Side
from mytrading.messages.orders import Order
from mytrading.messages.run_config import AlertRules
from tests.kit.order_samples import order_of

RULES = AlertRules(quote_latency_ms=500, order_latency_ms=2000, rejections=3, rejection_minutes=5, cooldown_seconds=60)


def order(name: str, took_ms: float = 0.0, state: OrderState = OrderState.ACCEPTED, message: str = "") -> Order:
    return order_of(
        client_order_id=name, account="main", instrument="NSE:SBIN", product=Product.MIS, strategy="S", run="r",
        cause="c", purpose=Purpose.ENTRY, side=Side.BUY, quantity=1, order_type=OrderType.MARKET, state=state,
        created_ns=0, updated_ns=0, began_machine_ns=SECOND, ended_machine_ns=SECOND + round(took_ms * 1e6),
        message=message,
    )  # fmt: skip


def test_ten_late_quotes_in_a_row_alarm_once_and_the_alert_ends_after_the_cool_down() -> None:
    watched = LatencyAlerts(RULES)
    for number in range(9):
        watched.record_quote(number, number + SECOND)
    watched.record_quote(SECOND, SECOND + 1)
    assert watched.active_texts(SECOND) == {}, "one in time begins the count anew"
    for number in range(1, 11):
        watched.record_quote(SECOND + number, number + 2 * SECOND)
    (text,) = watched.active_texts(3 * SECOND).values()
    assert "1,000.0 ms after they were read" in text and "MAX_QUOTE_LATENCY is 500 ms" in text
    assert list(watched.active_texts(62 * SECOND)) == [(QUOTE_LATENCY, "quotes")]
    assert watched.active_texts(63 * SECOND) == {}


def test_books_that_bear_the_stamps_of_an_old_price_are_no_late_quotes() -> None:
    watched = LatencyAlerts(RULES)
    watched.record_quote(SECOND, SECOND + 1)
    for number in range(50):
        watched.record_quote(SECOND, (10 + number) * SECOND)
    assert watched.active_texts(60 * SECOND) == {}


def test_order_call_above_the_limit_alarms_once_however_often_it_is_reported() -> None:
    watched = LatencyAlerts(RULES)
    watched.record_order(order("a", 1999), SECOND)
    assert watched.active_texts(SECOND) == {}
    watched.record_order(order("b", 2500), SECOND)
    watched.record_order(replace(order("b", 2500), state=OrderState.FILLED), 50 * SECOND)
    assert list(watched.active_texts(60 * SECOND)) == [(ORDER_LATENCY, "main")]
    assert watched.active_texts(62 * SECOND) == {}


def test_refusals_within_the_window_alarm_with_the_last_reason() -> None:
    watched = LatencyAlerts(RULES)
    for number, at in enumerate((0, 200, 400)):
        watched.record_order(order(f"r{number}", state=OrderState.REJECTED), at * SECOND)
    assert watched.active_texts(400 * SECOND) == {}, "the first one is older than five minutes"
    watched.record_order(order("r3", state=OrderState.REJECTED, message="RMS: no"), 450 * SECOND)
    (text,) = watched.active_texts(451 * SECOND).values()
    assert "refused 3 orders of main within 5 min, the last one: RMS: no" in text
    assert list(watched.active_texts(509 * SECOND)) == [(ORDERS_REJECTED, "main")]


def test_limit_of_zero_watches_nothing() -> None:
    watched = LatencyAlerts(replace(RULES, quote_latency_ms=0, order_latency_ms=0, rejections=0))
    for number in range(20):
        watched.record_quote(0, 60 * SECOND)
        watched.record_order(order(f"x{number}", 60_000, OrderState.REJECTED), SECOND)
    assert watched.active_texts(2 * SECOND) == {}
