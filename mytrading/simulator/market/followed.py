"""A market that has no prices of its own: what is followed arrives quote by quote, the rest has none.

Used by the simulator with `--follow`. The one rule: an instrument nobody told us of is never given a price.
"""

from __future__ import annotations

from datetime import date

import numpy as np

from mytrading.core.contracts import ContractFacts, make_derivative, make_spot
from mytrading.core.symbology import parse_symbol, split_id
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.simulator.market.day import MarketDay, Prices, Quote
from mytrading.simulator.market.world import World

_TICK = 0.05


class SilentDay(MarketDay):
    """A day without ticks."""

    def quote(self, instrument: Instrument, _index: int) -> Quote:
        """Nothing but zeros, as brokers answer for what they have no price of."""
        return Quote(instrument, 0, 0.0, 0.0, 0.0, 0, 0, 0.0, 0.0, 0.0, 0.0)


class FollowedWorld(World):
    """Lists what the facts say; its days have no ticks and no past."""

    silent = True

    def day(self, day: date) -> MarketDay:
        """A silent day; `ValueError` on a day without trading."""
        sessions = self.sessions(day)
        if sessions is None:
            raise ValueError(f"{day}: expected a trading day of NSE and NFO, found none in config/calendar.toml")
        return SilentDay(day, np.empty(0, dtype=np.int64), sessions, _nothing, replayed=False)


def _nothing(instrument: Instrument) -> Prices:
    raise LookupError(f"{instrument.id} has no prices but those that are followed")


def named(facts: ContractFacts, instrument: str, day: date) -> Instrument | None:
    """An instrument by its id, as it is listed on a day; None for a contract whose lot the facts do not tell."""
    exchange, symbol = split_id(instrument)
    parsed = parse_symbol(symbol, exchange)
    underlying = facts.underlyings.get(parsed.underlying)
    if parsed.expiry is not None:
        if underlying is None or not underlying.lot:
            return None
        return make_derivative(parsed.underlying, underlying, parsed.kind, parsed.expiry, parsed.strike, day)
    if underlying is not None and underlying.exchange == exchange:
        return make_spot(symbol, underlying)
    kind = InstrumentKind.INDEX if exchange.endswith("_INDEX") else InstrumentKind.EQ
    return Instrument(
        id=instrument, exchange=exchange, symbol=symbol, kind=kind, underlying=symbol, tick_size=_TICK, name=symbol
    )
