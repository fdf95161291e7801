"""Options: symbol by offset, chain, greeks of one and of many, synthetic future.

A chain whose prices are all 0 was not quoted; `Chain.quoted` says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from mytrading.adapters.openalgo.api.request import Row, ask
from mytrading.adapters.openalgo.rest.client import Deadline, OpenAlgoClient


class OptionSymbol(msgspec.Struct, frozen=True):
    """The contract an offset stands for."""

    symbol: str
    exchange: str
    lotsize: float
    underlying_ltp: float
    tick_size: float = 0.0
    freeze_qty: float = 0.0


class ServerChainSide(msgspec.Struct, frozen=True):
    """The call or put of a strike; 0 means no data."""

    symbol: str
    label: str = ""
    ltp: float = 0.0
    bid: float = 0.0
    ask: float = 0.0
    volume: float = 0.0
    oi: float = 0.0
    lotsize: float | None = 0.0
    tick_size: float | None = 0.0


class Strike(msgspec.Struct, frozen=True):
    """A row of the chain."""

    strike: float
    ce: ServerChainSide | None = None
    pe: ServerChainSide | None = None


class Chain(msgspec.Struct, frozen=True):
    """Strikes around the money."""

    underlying: str
    underlying_ltp: float
    atm_strike: float
    chain: list[Strike]
    expiry_date: str = ""
    forward_price: float | None = None

    @property
    def quoted(self) -> bool:
        """True if any price is there: the server gives zeroes with success when its broker's quotes fail."""
        return any(side is not None and side.ltp > 0 for row in self.chain for side in (row.ce, row.pe))


class ServerGreeks(msgspec.Struct, frozen=True):
    """IV in percent, theta per day, vega per volatility point. An IV of 0 comes with a `note`."""

    symbol: str
    exchange: str = ""
    implied_volatility: float = 0.0
    greeks: dict[str, float] = {}
    status: str = ""
    message: str | Row = ""
    note: str = ""
    option_price: float = 0.0
    spot_price: float = 0.0
    days_to_expiry: float = 0.0


class Synthetic(msgspec.Struct, frozen=True):
    """Strike + call - put at the money."""

    underlying: str
    underlying_ltp: float
    atm_strike: float
    synthetic_future_price: float


class _Many(msgspec.Struct):
    data: list[ServerGreeks]


def option_symbol(client: OpenAlgoClient, **fields: Any) -> OptionSymbol:
    """`optionsymbol`: underlying, exchange, expiry_date (30DEC25), offset (ATM, OTM2, ITM1), option_type."""
    return ask(client, "optionsymbol", fields, OptionSymbol, Deadline.DATA)


def chain(
    client: OpenAlgoClient, underlying: str, exchange: str, expiry: str, strikes: int | None = None, **fields: Any
) -> Chain:
    """`optionchain` with `strikes` on each side of the money, 1 to 100; all if left out."""
    asked = {"underlying": underlying, "exchange": exchange, "expiry_date": expiry, "strike_count": strikes, **fields}
    return ask(client, "optionchain", asked, Chain, Deadline.BOOK)


def greeks(client: OpenAlgoClient, symbol: str, exchange: str, **fields: Any) -> ServerGreeks:
    """`optiongreeks` of one option; the server allows 30 a minute."""
    return ask(client, "optiongreeks", {"symbol": symbol, "exchange": exchange, **fields}, ServerGreeks, Deadline.BOOK)


def multi_greeks(client: OpenAlgoClient, symbols: Sequence[Mapping[str, Any]], **fields: Any) -> list[ServerGreeks]:
    """`multioptiongreeks` of at most 50 options; each row says its own success."""
    return ask(client, "multioptiongreeks", {"symbols": list(symbols), **fields}, _Many, Deadline.BOOK).data


def synthetic_future(client: OpenAlgoClient, underlying: str, exchange: str, expiry: str) -> Synthetic:
    """`syntheticfuture` of an expiry (30DEC25)."""
    fields = {"underlying": underlying, "exchange": exchange, "expiry_date": expiry}
    return ask(client, "syntheticfuture", fields, Synthetic, Deadline.DATA)
