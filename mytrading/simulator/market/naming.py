"""An instrument by its id alone, as the dated contract facts have it: what nobody listed, but somebody names or holds.

Used by the worlds. The one rule: a contract whose lot nobody tells is not made up.
"""

from __future__ import annotations

from datetime import date

from mytrading.core.contracts import ContractFacts, make_derivative, make_spot
from mytrading.core.symbology import parse_symbol, split_id
from mytrading.messages.instruments import Instrument, InstrumentKind

TICK = 0.05
"""Rupees, where no tick is told."""


def named(facts: ContractFacts, instrument: str, day: date) -> Instrument | None:
    """An instrument by its id, as it is listed on a day; None for a contract whose lot the facts do not tell."""
    exchange, symbol = split_id(instrument)
    parsed = parse_symbol(symbol, exchange)
    underlying = facts.underlyings.get(parsed.underlying)
    if parsed.expiry is not None:
        if underlying is None or not underlying.lot:
            return None
        return make_derivative(parsed.underlying, underlying, parsed.kind, parsed.expiry, parsed.strike, day)
    if underlying is not None and exchange in (underlying.exchange, *underlying.also):
        return make_spot(symbol, underlying, exchange)
    kind = InstrumentKind.INDEX if exchange.endswith("_INDEX") else InstrumentKind.EQ
    return Instrument(
        id=instrument, exchange=exchange, symbol=symbol, kind=kind, underlying=symbol, tick_size=TICK, name=symbol
    )
