"""The scenario table against Black's formula, by hand."""

from __future__ import annotations

from mytrading.core.options.black76 import carried_forward, price_one
from mytrading.daemons.console.scenario import RATE, SPOT_MOVES, VOLATILITY_MOVES, held_contract, make_table
from mytrading.messages.instruments import Instrument, InstrumentKind

SPOT, YEARS = 26_000.0, 7 / 365


def contract(kind: InstrumentKind, strike: float = 0.0) -> Instrument:
    name = f"NIFTY{strike:g}{kind.value}"
    return Instrument(id=f"NFO:{name}", exchange="NFO", symbol=name, kind=kind, underlying="NIFTY", strike=strike)


def test_table_prices_each_contract_anew() -> None:
    forward = float(carried_forward(SPOT, YEARS, RATE))
    price = price_one(forward, 26_100.0, YEARS, 0.14, RATE, True)
    call = held_contract(contract(InstrumentKind.CE, 26_100.0), -65, price, SPOT, YEARS)
    future = held_contract(contract(InstrumentKind.FUT), 65, SPOT, SPOT, YEARS)
    assert call is not None and future is not None
    assert abs(call.volatility - 0.14) < 1e-6
    table = make_table("NIFTY", SPOT, 0.0, [call, future], [])
    still, up = SPOT_MOVES.index(0.0), SPOT_MOVES.index(0.02)
    assert table.profit[VOLATILITY_MOVES.index(0.0)][still] == 0.0
    wild = VOLATILITY_MOVES.index(0.3)
    then = price_one(float(carried_forward(SPOT * 1.02, YEARS, RATE)), 26_100.0, YEARS, 0.14 * 1.3, RATE, True)
    assert table.profit[wild][up] == round(-65 * (then - price) + 65 * SPOT * 0.02, 2)


def test_price_that_no_volatility_explains_counts_for_nothing() -> None:
    assert held_contract(contract(InstrumentKind.CE, 25_000.0), 65, 10.0, SPOT, YEARS) is None
    assert held_contract(contract(InstrumentKind.CE, 25_000.0), 65, None, SPOT, YEARS) is None
