"""Exposure: what an account holds in an underlying, in rupees."""

from __future__ import annotations

from typing import Any

import pytest

from mytrading.core.instruments.book import InstrumentBook
from mytrading.daemons.console.exposure import exposure_rows
from mytrading.messages.instruments import Instrument, InstrumentKind
from tests.kit.risk_bench import CALL, NOW, PUT, WATCH, option

SPOT = 23_000.0
FUTURE, SHARE = "NFO:NIFTY30MAR26FUT", "NSE:ACME"
BOOK = InstrumentBook(
    [
        Instrument(id=WATCH, exchange="NSE_INDEX", symbol="NIFTY", kind=InstrumentKind.INDEX, underlying="NIFTY"),
        Instrument(id=FUTURE, exchange="NFO", symbol=FUTURE[4:], kind=InstrumentKind.FUT, underlying="NIFTY"),
        Instrument(id=SHARE, exchange="NSE", symbol="ACME", kind=InstrumentKind.EQ, underlying="ACME"),
        option(CALL, InstrumentKind.CE),
        option(PUT, InstrumentKind.PE),
    ]
)


def held(instrument: str, quantity: int, ltp: float | None, account: str = "a") -> dict[str, Any]:
    return {"account": account, "instrument": instrument, "quantity": quantity, "ltp": ltp}


def test_values_of_bought_and_sold_units_stand_apart_and_the_net_is_the_delta() -> None:
    rows = [held(FUTURE, 130, 23_010.0), held(CALL, -65, 200.0), held(PUT, -65, 150.0), held(CALL, 0, 200.0)]
    found = exposure_rows(rows, BOOK, {WATCH: SPOT}, NOW)
    assert list(found) == ["a|NIFTY"]
    row = found["a|NIFTY"]
    assert (row.contracts, row.long_value, row.short_value) == (3, 130 * 23_010.0, 65 * 350.0)
    assert row.notional == 260 * SPOT
    assert row.delta is not None and row.delta_value is not None and row.theta is not None and row.vega is not None
    assert 100 < row.delta < 150  # A sold straddle near the money has next to none.
    assert row.delta_value == pytest.approx(row.delta * SPOT, abs=0.01 * SPOT)
    assert row.theta > 0 > row.vega


def test_accounts_and_underlyings_have_a_row_each_and_a_share_is_its_own() -> None:
    rows = [held(SHARE, 10, 500.0), held(SHARE, -4, 500.0, "b"), held(FUTURE, 65, 23_010.0, "b")]
    found = exposure_rows(rows, BOOK, {WATCH: SPOT, SHARE: 500.0}, NOW)
    assert set(found) == {"a|ACME", "b|ACME", "b|NIFTY"}
    assert (found["a|ACME"].delta_value, found["b|ACME"].delta_value) == (5_000.0, -2_000.0)
    assert (found["b|ACME"].long_value, found["b|ACME"].short_value) == (0.0, 2_000.0)


def test_what_needs_a_price_that_is_missing_is_none_and_the_rest_stands() -> None:
    (row,) = exposure_rows([held(CALL, -65, 200.0), held(PUT, 65, None)], BOOK, {WATCH: SPOT}, NOW).values()
    assert (row.long_value, row.short_value, row.notional) == (None, 13_000.0, 130 * SPOT)
    assert (row.delta, row.delta_value, row.theta) == (None, None, None)
    (row,) = exposure_rows([held(FUTURE, 65, 23_010.0)], BOOK, {}, NOW).values()
    assert (row.delta, row.delta_value, row.notional, row.spot) == (65.0, None, None, None)
    (row,) = exposure_rows([held("NFO:OLD01DEC2526000CE", -65, 9.0)], BOOK, {}, NOW).values()
    assert (row.underlying, row.short_value, row.delta) == ("OLD", 585.0, None)


def test_units_that_were_reported_and_are_not_confirmed_yet_are_held() -> None:
    (row,) = exposure_rows([held(FUTURE, 0, 23_010.0) | {"quantity_seen": -65}], BOOK, {WATCH: SPOT}, NOW).values()
    assert (row.short_value, row.delta) == (65 * 23_010.0, -65.0)
