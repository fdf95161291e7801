"""The scenario table of a whole book against Black and Scholes by hand, and what cannot be priced."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import pytest

from mytrading.core.instruments.book import InstrumentBook
from mytrading.daemons.console.scenario import (
    RATE,
    SPOT_MOVES,
    VOLATILITY_MOVES,
    ScenarioHolding,
    held_contracts,
    make_table,
    priced_holding,
    spot_id,
)
from mytrading.messages.instruments import Instrument, InstrumentKind

NIFTY, BANK, YEARS = 26_000.0, 58_000.0, 7 / 365
CE, PE, FUT = InstrumentKind.CE, InstrumentKind.PE, InstrumentKind.FUT


def contract(kind: InstrumentKind, strike: float = 0.0, underlying: str = "NIFTY") -> Instrument:
    name = f"{underlying}01DEC26{f'{strike:g}' if strike else ''}{kind.value}"
    return Instrument(
        id=f"NFO:{name}", exchange="NFO", symbol=name, kind=kind, underlying=underlying, strike=strike,
        expiry="2026-12-01",
    )  # fmt: skip


def share(symbol: str) -> Instrument:
    return Instrument(id=f"NSE:{symbol}", exchange="NSE", symbol=symbol, kind=InstrumentKind.EQ, underlying=symbol)


def black_scholes(spot: float, strike: float, years: float, volatility: float, right: InstrumentKind) -> float:
    """On a spot that earns the rate, by the textbook and another cumulative normal than the table's."""
    if years <= 0:
        return max(spot - strike, 0.0) if right is CE else max(strike - spot, 0.0)
    spread = volatility * math.sqrt(years)
    d1 = (math.log(spot / strike) + (RATE + volatility**2 / 2) * years) / spread
    cdf, discounted = NormalDist().cdf, strike * math.exp(-RATE * years)
    call = spot * cdf(d1) - discounted * cdf(d1 - spread)
    return call if right is CE else call - spot + discounted


def holding(one: Instrument, units: int, price: float | None, spot: float | None) -> ScenarioHolding:
    found = priced_holding(one, units, price, spot, YEARS if one.expiry else 0.0)
    assert isinstance(found, ScenarioHolding), found
    return found


@pytest.mark.parametrize("days", [0.0, 3.0, 14.0])
def test_whole_book_is_priced_anew_at_every_move_of_all_underlyings_together(days: float) -> None:
    options = [
        (contract(CE, 26_100.0), -65, NIFTY, 0.14),
        (contract(PE, 25_500.0), 130, NIFTY, 0.17),
        (contract(CE, 59_000.0, "BANKNIFTY"), -35, BANK, 0.19),
    ]
    held = [
        holding(one, units, black_scholes(spot, one.strike, YEARS, vol, one.kind), spot)
        for one, units, spot, vol in options
    ]
    held += [holding(contract(FUT, underlying="BANKNIFTY"), 70, BANK * 1.01, BANK)]
    held += [holding(share("SBIN"), -200, 985.0, 985.0)]
    table = make_table("", days, held, [])
    assert (table.positions, table.spots) == (5, {"NIFTY": NIFTY, "BANKNIFTY": BANK, "SBIN": 985.0})
    for row, more in enumerate(VOLATILITY_MOVES):
        for column, move in enumerate(SPOT_MOVES):
            wanted = 70 * BANK * move - 200 * 985.0 * move
            for one, units, spot, vol in options:
                before = black_scholes(spot, one.strike, YEARS, vol, one.kind)
                left = max(YEARS - days / 365, 0.0)
                wanted += units * (
                    black_scholes(spot * (1 + move), one.strike, left, vol * (1 + more), one.kind) - before
                )
            assert table.profit[row][column] == pytest.approx(wanted, abs=0.05), (more, move)
    assert (table.profit[VOLATILITY_MOVES.index(0.0)][SPOT_MOVES.index(0.0)] == 0.0) == (days == 0.0)


@pytest.mark.parametrize(
    ("one", "price", "spot", "years", "reason"),
    [
        (contract(CE, 25_000.0), 10.0, NIFTY, YEARS, "below the intrinsic value"),
        (contract(PE, 25_000.0), 25_500.0, NIFTY, YEARS, "more than any volatility"),
        (contract(CE, 25_000.0), None, NIFTY, YEARS, "no price"),
        (contract(CE, 25_000.0), 1100.0, None, YEARS, "no price of its underlying NIFTY"),
        (contract(CE, 25_000.0), 1100.0, NIFTY, 0.0, "expired"),
        (share("SBIN"), None, None, 0.0, "no price"),
    ],
)
def test_what_cannot_be_priced_says_why(
    one: Instrument, price: float | None, spot: float | None, years: float, reason: str
) -> None:
    found = priced_holding(one, 65, price, spot, years)
    assert isinstance(found, str)
    assert reason in found


def test_future_without_its_underlying_moves_with_its_own_price() -> None:
    assert holding(contract(FUT), 65, 26_100.0, None).spot == 26_100.0


def test_book_is_netted_and_nothing_that_is_held_is_dropped() -> None:
    call, far = contract(CE, 26_100.0), contract(PE, 58_000.0, "BANKNIFTY")
    book = InstrumentBook([call, Instrument(id="NSE_INDEX:NIFTY", exchange="NSE_INDEX", symbol="NIFTY",
                                            kind=InstrumentKind.INDEX, underlying="NIFTY")])  # fmt: skip
    rows: list[dict[str, Any]] = [
        {"instrument": call.id, "quantity": -65}, {"instrument": call.id, "quantity": -65},
        {"instrument": "NSE:INFY", "quantity": 10}, {"instrument": far.id, "quantity": 35},
        {"instrument": "NSE:TCS", "quantity": 5}, {"instrument": "NSE:TCS", "quantity": -5},
        {"instrument": "MCX:MYSTERY", "quantity": 1},
    ]  # fmt: skip
    whole = held_contracts(rows, book)
    assert {one.id: units for one, units in whole.units.items()} == {call.id: -130, "NSE:INFY": 10, far.id: 35}
    assert [(gap.instrument, gap.units) for gap in whole.unknown] == [("MCX:MYSTERY", 1)]
    assert {spot_id(one, book) for one in whole.units} == {"NSE_INDEX:NIFTY", "NSE:INFY", "NSE_INDEX:BANKNIFTY"}
    nifty = held_contracts(rows, book, "NIFTY")
    assert [one.id for one in nifty.units] == [call.id]
    assert nifty.underlyings == {"NIFTY", "INFY", "BANKNIFTY"}
