"""Profit of positions by quotes: what they would be closed at, and what counts as unmoved."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mytrading.core.accounting.pnl import Profit, exit_price, profit, unrealised
from mytrading.messages.enums import Product
from mytrading.messages.market import Quote
from mytrading.messages.orders import Position

LONG = Position(
    account="main", instrument="NSE:A", product=Product.MIS, strategy="one", run="",
    quantity=10, average_price=100.0, realised=50.0,
)  # fmt: skip
SHORT = replace(LONG, instrument="NSE:B", strategy="two", quantity=-5, average_price=200.0, realised=-20.0)
FLAT = replace(LONG, instrument="NSE:C", quantity=0, average_price=0.0, realised=7.0)


def quote(instrument: str, ltp: float, bid: float = 0.0, ask: float = 0.0) -> Quote:
    return Quote(instrument, 1, 1, ltp, bid, ask)


QUOTES = {"NSE:A": quote("NSE:A", 110.0, 109.0, 111.0), "NSE:C": quote("NSE:C", 500.0)}


@pytest.mark.parametrize(
    ("quantity", "bid", "ask", "price"),
    [(1, 99.0, 101.0, 99.0), (-1, 99.0, 101.0, 101.0), (1, 99.0, 0.0, 100.0), (-1, 0.0, 101.0, 100.0),
     (1, -1.0, 101.0, 100.0), (-1, 99.0, -1.0, 100.0)],
)  # fmt: skip
def test_position_would_be_closed_at_the_other_side_or_the_last_price(
    quantity: int, bid: float, ask: float, price: float
) -> None:
    assert exit_price(quantity, quote("NSE:A", 100.0, bid, ask)) == price


def test_short_position_gains_what_the_ask_falls() -> None:
    assert unrealised(-5, 200.0, quote("NSE:B", 190.0, 189.0, 191.0)) == 45.0


def test_profit_is_realised_and_open_and_a_position_without_quote_is_unmoved() -> None:
    found = profit((LONG, SHORT, FLAT), QUOTES)
    assert found == Profit(50.0 - 20.0 + 7.0, 10 * (109.0 - 100.0))
    assert found.total == 37.0 + 90.0
