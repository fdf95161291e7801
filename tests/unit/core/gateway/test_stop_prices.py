"""Stops that operators give, judged by what is known of the price."""

from __future__ import annotations

import math

import pytest

from mytrading.core.gateway.stop_prices import (
    KnownPrice,
    cost_of_today,
    instrument_by_name,
    limit_inside_band,
    why_claimed_stop_is_refused,
    why_stop_is_refused,
)
from mytrading.core.time import SECOND
from mytrading.messages.enums import OrderType, Product, Purpose, Side
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.market import Quote
from mytrading.messages.order_evidence import OrderTerms
from mytrading.messages.orders import Order
from tests.kit.order_samples import order

SHARE = Instrument(id="NSE:SBIN", exchange="NSE", symbol="SBIN", kind=InstrumentKind.EQ, underlying="SBIN")
OPTION = Instrument(id="NFO:N", exchange="NFO", symbol="N", kind=InstrumentKind.CE, underlying="NIFTY", strike=25_000.0)
NOW = 10_000 * SECOND


def known(ltp: float | None = 981.0, age_s: float = 0.4, cost: float = 0.0) -> KnownPrice:
    then = NOW - int(age_s * SECOND)
    quote = None if ltp is None else Quote("NSE:SBIN", then, then, ltp, previous_close=980.0)
    return KnownPrice(quote, NOW, NOW, 5.0, cost)


def why_not_moved(side: Side, trigger: float, instrument: Instrument, price: KnownPrice, limit: float = 0.0) -> str:
    """Why a stop that rests at 500 (of bought units, else 1500) is not moved to this trigger and limit."""
    before = 500.0 if side is Side.SELL else 1500.0
    stop = a_stop(instrument.id, side, before)
    return why_stop_is_refused(stop, OrderTerms(limit or trigger, trigger, stop.quantity), instrument, price)


def a_stop(instrument: str, side: Side, trigger: float) -> Order:
    return order(
        instrument=instrument, side=side, purpose=Purpose.STOP, order_type=OrderType.SL, price=trigger,
        trigger_price=trigger,
    )  # fmt: skip


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
    assert bool(why_not_moved(side, trigger, instrument, known())) is refused


def test_refusal_names_side_price_age_and_what_to_do() -> None:
    assert why_not_moved(Side.SELL, 9999.0, SHARE, known(age_s=12)) == (
        "STOP_LEVEL: the stop of units that were bought must lie below the last price 981 (12 s old), found 9999: it "
        "would be refused, or close them at once; give a trigger below 981, or close them: `mytrading positions close`"
    )
    assert "sold must lie above the last price 981" in why_not_moved(Side.BUY, 9.0, SHARE, known())


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
    found = why_not_moved(Side.SELL, trigger, SHARE, price)
    assert bool(found) is refused, found
    assert not why_not_moved(Side.SELL, trigger, OPTION, price), "the band of an option moves with its price"
    if refused:
        assert "none of the last minute is known" in found and "takes orders up to 117" in found
        assert "takes orders down to 78" in why_not_moved(Side.BUY, 9.0, SHARE, price)


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
    ("trigger", "limit", "why"),
    [
        (900.0, 784.0, ""),
        (
            900.0,
            783.95,
            "takes orders from 784.00 to 1176.00 with the last price 981 (0 s old), found the limit 783.95",
        ),
        (783.0, 784.0, "found the trigger 783; give a trigger between them"),
        (500.0, 490.0, "found the trigger 500"),
    ],
)
def test_prices_of_a_moved_stop_of_a_share_lie_inside_its_band(trigger: float, limit: float, why: str) -> None:
    found = why_not_moved(Side.SELL, trigger, SHARE, known(), limit)
    assert why in found and bool(found) is bool(why)
    assert not why_not_moved(Side.SELL, trigger, OPTION, known(), limit), "the broker knows the band of an option"


def test_limit_alone_is_moved_also_while_the_price_is_beyond_the_trigger() -> None:
    stop = a_stop(SHARE.id, Side.SELL, 990.0)
    assert why_stop_is_refused(stop, OrderTerms(985.0, 990.0, 5), SHARE, known()) == ""
    assert why_stop_is_refused(stop, OrderTerms(985.0, 990.0, 5), SHARE, known(None)) == ""


@pytest.mark.parametrize(
    ("side", "trigger", "limit", "price", "why"),
    [
        (Side.SELL, 900.0, 0.0, known(), ""),
        (Side.SELL, 900.0, 890.0, known(age_s=600), ""),
        (Side.SELL, 700.0, 0.0, known(), "(0 s old): found 700, and the claim would be taken back"),
        (Side.SELL, 700.0, 0.0, known(), "give a trigger at or above 784.10, or no stop"),
        (Side.BUY, 1300.0, 0.0, known(), "give a trigger at or below 1175.90, or no stop"),
        (Side.SELL, 700.0, 0.0, known(age_s=600), "(600 s old): found 700"),
        (Side.SELL, 990.0, 0.0, known(age_s=600), "must lie below the last price 981 (600 s old), found 990"),
        (Side.SELL, 900.0, 700.0, known(), "found the limit 700; give a limit between them"),
        (Side.SELL, 900.0, 0.0, known(None, cost=978.0), "no price of SBIN is known"),
        (Side.SELL, 900.0, 0.0, known(math.nan), "claim again in a few seconds, or without a stop"),
    ],
)
def test_units_without_a_stop_get_one_only_where_it_rests(
    side: Side, trigger: float, limit: float, price: KnownPrice, why: str
) -> None:
    found = why_claimed_stop_is_refused(side, trigger, limit, SHARE, price)
    assert why in found and bool(found) is bool(why)


@pytest.mark.parametrize(("limit", "nearest"), [(890.02, 890.0), (100.0, 784.0), (2000.0, 1176.0)])
def test_limit_is_brought_to_the_tick_and_into_the_band(limit: float, nearest: float) -> None:
    assert limit_inside_band(limit, SHARE, known()) == nearest
    assert limit_inside_band(100.0, SHARE, known(None)) == 100.0
