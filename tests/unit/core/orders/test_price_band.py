"""The edge of the day's band: on the tick, inside it, and a hundredth inside where the reference is none."""

from __future__ import annotations

import pytest

from mytrading.core.orders.marketable_price import marketable_price
from mytrading.core.orders.price_band import exit_edge, price_band
from mytrading.messages.enums import Side
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.market import Quote

EQ, FUT, CE = InstrumentKind.EQ, InstrumentKind.FUT, InstrumentKind.CE


@pytest.mark.parametrize(
    ("kind", "close", "lower", "upper"),
    [
        (EQ, 100.0, 80.0, 120.0),
        (EQ, None, 88.88, 130.68),  # 110 × 0.8 × 1.01 and 110 × 1.2 × 0.99
        (EQ, 0.0, 88.88, 130.68),
        (FUT, None, 99.99, 119.79),
        (CE, None, 66.0, 154.0),
    ],
)
def test_band_about_a_price_that_is_not_the_previous_close_reached_beyond_the_exchanges(
    kind: InstrumentKind, close: float | None, lower: float, upper: float
) -> None:
    """F11: a stop at the very edge of a band about today's price is refused."""
    assert price_band(kind, 110.0, close) == pytest.approx((lower, upper))


@pytest.mark.parametrize(
    ("kind", "side", "close", "edge"),
    [
        (EQ, Side.SELL, 100.0, 80.0), (EQ, Side.BUY, 100.0, 120.0), (EQ, Side.SELL, None, 88.9),
        (EQ, Side.BUY, None, 130.65), (CE, Side.SELL, None, 66.7), (CE, Side.BUY, None, 152.45),
    ],
)  # fmt: skip
def test_exit_edge_lies_inside_the_band_on_the_tick(
    kind: InstrumentKind, side: Side, close: float | None, edge: float
) -> None:
    """Of 88.88, 130.68, 66.66 and 152.46 the next multiple of 0.05 inwards."""
    assert exit_edge(kind, side, 110.0, close, 0.05) == pytest.approx(edge)


def test_edge_of_a_cheap_option_is_a_tick_at_least() -> None:
    assert exit_edge(CE, Side.SELL, 3.0, None, 0.05) == 0.05


def test_marketable_limit_beyond_the_band_was_refused() -> None:
    """A bid of 80.40 less 1 % lies below the lower edge of 80."""
    quote = Quote("NSE:SBIN", 1, 1, 80.5, 80.4, 80.6)
    assert marketable_price(quote, Side.SELL, 0.05, price_band(EQ, 80.5, 100.0)) == 80.0
    assert marketable_price(quote, Side.SELL, 0.05) == 79.55


def test_price_beyond_a_band_proves_the_band_wrong_and_an_exit_goes_on() -> None:
    quote = Quote("NSE:SBIN", 1, 1, 50.0, 49.95, 50.05)
    assert marketable_price(quote, Side.SELL, 0.05, price_band(EQ, 50.0, 100.0)) == 49.45


def test_exit_at_the_side_of_a_crossed_book_takes_the_last_price() -> None:
    """F8: a bid of 150 that stayed at a circuit while trades and the ask are at 100."""
    quote = Quote("NSE:SBIN", 1, 1, 100.0, 150.0, 100.05)
    assert marketable_price(quote, Side.SELL, 0.05) == 99.0
