"""Options and futures of a run: the greeks of the whole over time, and the payoff of each entry.

Volatilities are implied by the run's own prices over calendar years, as in the live chain; forwards carry the spot at
the chain's rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.results.trade_stats import TradedRun
from mytrading.backtest.run import RunResult
from mytrading.core.calendar.expiries import session_ends
from mytrading.core.engine.contract_selection import RATE
from mytrading.core.instruments.symbology import parse_symbol, split_id
from mytrading.core.options.black76 import greeks_one, implied_one
from mytrading.core.options.chain import YEAR_NS
from mytrading.core.options.payoff import Payoff, PayoffLeg, payoff
from mytrading.core.time import MINUTE

MOMENTS = 1500
_TOGETHER = 5 * MINUTE
"""Legs filled this long after a run began count as its entry."""
_DAYS_A_YEAR = 365.0


class HeldContract(NamedTuple):
    """A contract that a run traded: `kind` CE, PE or FUT, and when it ends (market ns)."""

    name: str
    kind: str
    strike: float
    ends_ns: int


class PositionGreeks(NamedTuple):
    """Of all contracts on one underlying, by moment (ns UTC): `delta` in units of the underlying, `gamma` in units a
    rupee, `theta` in rupees a day, `vega` in rupees a percentage point. NaN while nothing is held."""

    at_ns: NDArray[np.int64]
    delta: NDArray[np.float64]
    gamma: NDArray[np.float64]
    theta: NDArray[np.float64]
    vega: NDArray[np.float64]


class EntryPayoff(NamedTuple):
    """Payoff of a run's legs as seen at its entry with the underlying at `spot`."""

    run: TradedRun
    spot: float
    legs: tuple[PayoffLeg, ...]
    bounds: Payoff


def held_contract(name: str, result: RunResult) -> HeldContract | None:
    """Return an option or future by instrument id; None of anything else."""
    exchange, symbol = split_id(name)
    parts = parse_symbol(symbol, exchange)
    if parts.expiry is None:
        return None
    ends = session_ends(result.spec.calendar)(exchange, parts.expiry.isoformat())
    return HeldContract(name, parts.kind.value, parts.strike, ends)


def contracts_on(columns: Columns, result: RunResult) -> list[HeldContract]:
    """Return the contracts on an instrument that the run filled, which its data is not of."""
    data = {one.instrument for one in result.spec.data}
    underlying = columns.instrument.rpartition(":")[2]
    names = dict.fromkeys(fill.instrument for fill in result.ledger.fills if fill.instrument not in data)
    parsed = [(name, parse_symbol(split_id(name)[1], split_id(name)[0])) for name in names]
    mine = [name for name, parts in parsed if parts.underlying == underlying and parts.expiry is not None]
    return [found for name in mine if (found := held_contract(name, result)) is not None]


def position_greeks(columns: Columns, result: RunResult, most: int = MOMENTS) -> PositionGreeks | None:
    """Return the greeks of everything held on an underlying at up to `most` of the bars that something is held at;
    None if there was nothing."""
    priced = {one.instrument: one for one in result.priced.columns} if result.priced is not None else {}
    contracts = [one for one in contracts_on(columns, result) if one.name in priced]
    ends = columns.start_ns + columns.span_ns
    held = {one.name: _units_at(one.name, ends, result) for one in contracts}
    busy = np.flatnonzero(np.any([units != 0 for units in held.values()], axis=0)) if held else np.empty(0)
    if not len(busy):
        return None
    sampled = busy[np.unique(np.linspace(0, len(busy) - 1, min(len(busy), most)).astype(int))]
    idle = np.setdiff1d(busy + 1, busy)  # the first bar at which nothing is held any more
    rows = np.union1d(sampled, idle[idle < len(ends)]).tolist()
    sums = np.where(np.isin(rows, idle), np.nan, np.zeros((4, 1)))
    for contract in contracts:
        mine, units = priced[contract.name], held[contract.name]
        at = np.searchsorted(mine.start_ns, columns.start_ns[rows], side="right") - 1
        for place, (row, own) in enumerate(zip(rows, at.tolist(), strict=True)):
            if units[row] and own >= 0:
                years = (contract.ends_ns - int(ends[row])) / YEAR_NS
                sums[:, place] += units[row] * np.array(
                    unit_greeks(contract, float(mine.close[own]), float(columns.close[row]), years)
                )
    return PositionGreeks(ends[rows], *sums)


def unit_greeks(contract: HeldContract, price: float, spot: float, years: float) -> tuple[float, float, float, float]:
    """Return delta, gamma, theta (a day) and vega (a percentage point) of one unit at a price; a contract without time,
    or at a price that has no volatility, moves as far as it is in the money."""
    if contract.kind == "FUT":
        return 1.0, 0.0, 0.0, 0.0
    call = contract.kind == "CE"
    forward = spot * math.exp(RATE * max(years, 0.0))
    if years > 0.0:
        volatility, _ = implied_one(price, forward, contract.strike, years, RATE, call)
        delta, gamma, theta, vega, _ = greeks_one(forward, contract.strike, years, volatility, RATE, call)
        if math.isfinite(delta):
            return delta, gamma, theta / _DAYS_A_YEAR, vega / 100.0
    inside = spot > contract.strike if call else spot < contract.strike
    return (1.0 if call else -1.0) if inside else 0.0, 0.0, 0.0, 0.0


def _units_at(name: str, at_ns: NDArray[np.int64], result: RunResult) -> NDArray[np.float64]:
    """Signed units held after each moment."""
    fills = [fill for fill in result.ledger.fills if fill.instrument == name]
    times = np.array([fill.at_ns for fill in fills], dtype=np.int64)
    held = np.concatenate(([0.0], np.cumsum([float(fill.units) for fill in fills])))
    return np.asarray(held[np.searchsorted(times, at_ns, side="right")])


def entry_payoffs(columns: Columns, result: RunResult, runs: Sequence[TradedRun]) -> list[EntryPayoff]:
    """Return the payoff of each run whose first legs are contracts on the underlying, by its prices of entry."""
    contracts = {one.name: one for one in contracts_on(columns, result)}
    found = []
    for run in runs:
        entered = [trade for trade in run.trades if trade.entry_ns <= run.opened_ns + _TOGETHER]
        known = [(trade, contracts[trade.instrument]) for trade in entered if trade.instrument in contracts]
        if not known or len(known) < len(entered):
            continue
        row = max(int(np.searchsorted(columns.start_ns, run.opened_ns, side="right")) - 1, 0)
        spot = float(columns.table[0, row])
        horizon = min(contract.ends_ns for _, contract in known)
        legs = []
        for trade, contract in known:
            years = (contract.ends_ns - trade.entry_ns) / YEAR_NS
            volatility, left = 0.0, (contract.ends_ns - horizon) / YEAR_NS
            if contract.kind != "FUT" and years > 0:
                forward = spot * math.exp(RATE * years)
                call = contract.kind == "CE"
                volatility, _ = implied_one(trade.entry_price, forward, contract.strike, years, RATE, call)
            units = trade.quantity if trade.side == "BUY" else -trade.quantity
            sound = volatility if math.isfinite(volatility) else 0.0
            legs.append(PayoffLeg(contract.kind, units, trade.entry_price, contract.strike, left, sound))
        found.append(EntryPayoff(run, spot, tuple(legs), payoff(legs, spot, RATE)))
    return found
