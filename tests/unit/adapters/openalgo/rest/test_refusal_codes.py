"""Words of refused orders: what the order machine acts on, and what it must not."""

from __future__ import annotations

import pytest

from mytrading.adapters.openalgo.rest.broker_quirks import with_refusal_code
from mytrading.messages.orders import MARKET_REFUSED, NOT_NOW, TRIGGER_CROSSED

NAMES_MARKET = (
    "Market orders are blocked for this instrument due to illiquidity. Place a limit order instead.",
    "Market orders without market protection are not allowed via API. Set market protection or use a Limit order.",
    "There are no trades in this instrument, try a LIMIT order",
    "Market order not allowed for stock options",
    "MKT orders are not permitted in this scrip",
    "RMS:Market Order type not allowed for this scrip",
    "MARKET_ORDERS_NOT_ALLOWED",
    "Only LIMIT orders are allowed in this contract",
    "You cannot place market orders in deep ITM options",
)
NOT_THE_TYPE = (
    "Insufficient funds",
    "RMS:Margin Exceeds,Required:1000",
    "Price is out of the current execution range",
    "Your order price is lower than the current lower circuit limit of 100",
    "SL-M orders are blocked for options",
    "quantity exceeds freeze limit, place the order below the limit",
    "You have reached your limit; place only 10 orders",
    "Security is not allowed to trade in this market",
)


@pytest.mark.parametrize("text", NAMES_MARKET)
def test_refusal_that_names_market_orders_was_a_refusal_like_any_other(text: str) -> None:
    assert with_refusal_code(text) == f"{MARKET_REFUSED}{text}"


@pytest.mark.parametrize("text", NOT_THE_TYPE)
def test_refusal_for_another_reason_has_no_code(text: str) -> None:
    assert with_refusal_code(text) == text


@pytest.mark.parametrize("text", ["Market is closed", "Rate limit exceeded", "Session has expired", "Invalid session"])
def test_refusal_for_hour_rate_or_session_says_nothing_of_the_type(text: str) -> None:
    assert with_refusal_code(text) == f"{NOT_NOW}{text}"


def test_refusal_of_a_crossed_trigger_stays_one() -> None:
    assert with_refusal_code("Trigger price must be less than LTP").startswith(TRIGGER_CROSSED)
