"""Exposure of an account in an underlying: the value of what is held long and short, and its net delta in rupees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.instruments.symbology import parse_symbol, split_id
from mytrading.daemons.console.scenario import held_units, spot_id
from mytrading.daemons.console.structure_greeks import GreekLeg, net_greeks
from mytrading.messages.console_rows import ExposureRow

Row = Mapping[str, Any]


def exposure_rows(
    positions: Iterable[Row], book: InstrumentBook, prices: Mapping[str, float | None], now: int
) -> dict[str, ExposureRow]:
    """Return the rows of the topic `exposure`. `positions` are open ones, unmanaged too; `prices` in rupees by
    instrument, among them what strategies watch; `now` is market ns."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in positions:
        if held_units(row):
            groups.setdefault((row["account"], _underlying(row["instrument"], book)), []).append(row)
    made = (_exposure(account, name, rows, book, prices, now) for (account, name), rows in groups.items())
    return {row.id: row for row in made}


def _underlying(instrument: str, book: InstrumentBook) -> str:
    contract = book.get(instrument)
    if contract is not None:
        return contract.underlying
    exchange, symbol = split_id(instrument)
    return parse_symbol(symbol, exchange).underlying


def _exposure(
    account: str, underlying: str, rows: list[Row], book: InstrumentBook, prices: Mapping[str, float | None], now: int
) -> ExposureRow:
    legs = [GreekLeg(row["instrument"], held_units(row), row.get("ltp")) for row in rows]
    contract = next((found for leg in legs if (found := book.get(leg.instrument)) is not None), None)
    spot = prices.get(spot_id(contract, book)) if contract is not None else None
    greeks = net_greeks(legs, book, prices, now)
    return ExposureRow(
        id=f"{account}|{underlying}",
        account=account,
        underlying=underlying,
        contracts=len({leg.instrument for leg in legs}),
        long_value=_value(leg for leg in legs if leg.units > 0),
        short_value=_value(leg for leg in legs if leg.units < 0),
        spot=spot or None,
        notional=round(sum(abs(leg.units) for leg in legs) * spot, 2) if spot else None,
        delta=round(greeks.delta, 2) if greeks is not None else None,
        delta_value=round(greeks.delta * spot, 2) if greeks is not None and spot else None,
        theta=round(greeks.theta, 2) if greeks is not None else None,
        vega=round(greeks.vega, 2) if greeks is not None else None,
    )


def _value(legs: Iterable[GreekLeg]) -> float | None:
    """Rupees at last prices, positive for short units too; None where a price is missing."""
    worth = 0.0
    for leg in legs:
        if leg.price is None:
            return None
        worth += abs(leg.units) * leg.price
    return round(worth, 2)
