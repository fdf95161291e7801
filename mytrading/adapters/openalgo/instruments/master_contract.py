"""The day's master contract from the server, judged: lists, freeze quantities and prices in one visit.

Where the list of an exchange fails, the contracts that are needed are searched for, expiry by expiry. Nothing is
written here, and a visit gives a whole snapshot or raises.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from mytrading.adapters.openalgo.instruments.instruments import (
    Listing,
    fetch_freeze,
    fetch_instruments,
    fetch_prices,
    search_instruments,
)
from mytrading.adapters.openalgo.rest.client import OpenAlgoClient
from mytrading.adapters.openalgo.rest.error_types import OpenAlgoError
from mytrading.adapters.openalgo.rest.errors import ReadFailed
from mytrading.core.instruments import master_contract
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.instruments.master_contract import BadRow, Need
from mytrading.messages.instruments import Instrument, InstrumentKind, Snapshot


class Known(NamedTuple):
    """What earlier days gave: `before` is the day to compare with, `last` the newest of which contracts may stay."""

    before: Snapshot | None = None
    last: Snapshot | None = None


def fetch_master(
    client: OpenAlgoClient, need: Need, facts: ContractFacts, day: date, now: int, known: Known
) -> Snapshot:
    """The snapshot of `day` at market time `now`, refused parts marked. Raises `ReadFailed` or what the client does."""
    found: list[Instrument] = []
    left_out: list[BadRow] = []
    bad = 0
    notes: list[str] = []
    for exchange in need.exchanges:
        try:
            listing = fetch_instruments(client, exchange, day, lambda item: _is_kept(item, need))
        except ReadFailed as error:
            listing = _searched_instead(client, exchange, need, day, error)
            notes.append(f"{exchange} was searched, its list failed: {error}")
        found += listing.instruments
        left_out += listing.left_out
        bad += listing.bad
    freeze = fetch_freeze(client, found)
    prices = fetch_prices(client, [item for item in found if not item.kind.is_derivative and _has_options(item, need)])
    whole = master_contract.with_freeze(found, freeze, facts, day)
    fetched = master_contract.FetchedMaster(day.isoformat(), whole, left_out, prices)
    refusals = master_contract.validate(fetched, need, known.before)
    if bad:
        notes.append(f"{bad} rows were left out, the first is {left_out[0].symbol}: {left_out[0].reason}")
    return master_contract.snapshot_of(fetched, refusals, known.last, now, notes)


def _searched_instead(client: OpenAlgoClient, exchange: str, need: Need, day: date, failure: ReadFailed) -> Listing:
    """What a search finds; the list's failure if that cannot help: a wrong key, too many calls, no answer."""
    if failure.kind not in ("server", "malformed"):
        raise failure
    try:
        return search_instruments(client, exchange, need, day)
    except OpenAlgoError as error:
        raise ReadFailed(failure.kind, f"{failure.message}; a search failed too: {error}", failure.status) from error


def _has_options(item: Instrument, need: Need) -> bool:
    return item.underlying in need.options


def _is_kept(item: Instrument, need: Need) -> bool:
    if item.id in need.watched:
        return True
    name = item.symbol if item.kind is InstrumentKind.EQ else item.underlying
    return name in need.underlyings
