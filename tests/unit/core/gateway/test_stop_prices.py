"""Stops that operators give, judged by what is known of the price."""

from __future__ import annotations

import math

import pytest

from mytrading.core.gateway.stop_prices import (
    KnownPrice,
    cost_of_today,
    instrument_by_name,
    why_stop_is_refused,
    why_stop_would_not_rest,
)
from mytrading.core.time import SECOND
from mytrading.messages.enums import Product, Side
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.market import Quote

SHARE = Instrument(id="NSE:SBIN", exchange="NSE", symbol="SBIN", kind=InstrumentKind.EQ, underlying="SBIN")
OPTION = Instrument(id="NFO:N", exchange="NFO", symbol="N", kind=InstrumentKind.CE, underlying="NIFTY", strike=25_000.0)
NOW = 10_000 * SECOND


def known(ltp: float | None = 981.0, age_s: float = 0.4, cost: float = 0.0) -> KnownPrice:
    then = NOW - int(age_s * SECOND)
    quote = None if ltp is None else Quote("NSE:SBIN", then, then, ltp, previous_close=980.0)
    return KnownPrice(quote, NOW, NOW, 5.0, cost)


@pytest.mark.parametrize(
    ("side", "trigger", "refused"),
    [
        (Side.SELL, 980.95, False),
        (Side.SELL, 981.0, True),
        (Side.SELL, 9999.0, True),
        (Side.BUY, 981.05, False),
        (Side.BUY, 981.0, True),
        (Side.BUY, 9.0, True),
    ],
)
@pytest.mark.parametrize("instrument", [SHARE, OPTION], ids=["share", "option"])
def test_stop_lies_on_the_side_of_the_last_price_where_it_ends_a_loss(
    side: Side, trigger: float, refused: bool, instrument: Instrument
) -> None:
    assert bool(why_stop_is_refused(side, trigger, instrument, known())) is refused


def test_refusal_names_side_price_age_and_what_to_do() -> None:
    assert why_stop_is_refused(Side.SELL, 9999.0, SHARE, known(age_s=12)) == (
        "STOP_LEVEL: the stop of units that were bought must lie below the last price 981 (12 s old), found 9999: it "
        "would be refused, or close them at once; give a trigger below 981, or close them: `mytrading positions close`"
    )
    assert "sold must lie above the last price 981" in why_stop_is_refused(Side.BUY, 9.0, SHARE, known())


@pytest.mark.parametrize(
    ("price", "trigger", "refused"),
    [
        (known(age_s=600), 1100.0, False),
        (known(age_s=600), 1471.0, True),
        (known(None), 1471.0, False),
        (known(None, cost=978.0), 1100.0, False),
        (known(None, cost=978.0), 9999.0, True),
        (known(math.nan), 9999.0, False),
        (known(0.0), 9999.0, False),
    ],
    ids=["old, inside", "old, outside", "none", "cost, inside", "cost, outside", "no number", "no price"],
)
def test_without_a_price_of_the_last_minute_the_band_of_the_day_decides(
    price: KnownPrice, trigger: float, refused: bool
) -> None:
    found = why_stop_is_refused(Side.SELL, trigger, SHARE, price)
    assert bool(found) is refused, found
    assert not why_stop_is_refused(Side.SELL, trigger, OPTION, price), "the band of an option moves with its price"
    if refused:
        assert "none of the last minute is known" in found and "takes orders up to 117" in found
        assert "takes orders down to 78" in why_stop_is_refused(Side.BUY, 9.0, SHARE, price)


def test_cost_counts_only_where_it_is_of_today() -> None:
    assert [cost_of_today(product, 978.0) for product in (Product.MIS, Product.CNC, Product.NRML)] == [
        978.0,
        978.0,
        0.0,
    ]


def test_instrument_that_is_not_listed_today_is_known_by_its_name() -> None:
    kinds = [instrument_by_name(name).kind for name in ("NSE:SBIN", "NFO:NIFTY24NOV26FUT", "NFO:NIFTY01DEC2625950CE")]
    assert kinds == [InstrumentKind.EQ, InstrumentKind.FUT, InstrumentKind.CE]


@pytest.mark.parametrize(
    ("side", "trigger", "price", "why"),
    [
        (Side.SELL, 900.0, known(), ""),
        (Side.SELL, 700.0, known(), "give a trigger at or above 784.10, or no stop"),
        (Side.BUY, 1300.0, known(), "give a trigger at or below 1175.90, or no stop"),
        (Side.SELL, 700.0, known(age_s=600), ""),
        (Side.SELL, 700.0, known(None), ""),
    ],
)
def test_new_stop_lies_inside_the_band(side: Side, trigger: float, price: KnownPrice, why: str) -> None:
    found = why_stop_would_not_rest(side, trigger, SHARE, price)
    assert why in found and bool(found) is bool(why)
