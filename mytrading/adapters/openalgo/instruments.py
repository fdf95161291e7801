"""Instruments of an OpenAlgo server: lists by exchange, single contracts, and the day's whole master contract.

The server refuses a call without an exchange, hence one call each; its list has no freeze quantities, which one
`symbol` call for each underlying gives. A row that cannot be understood is left out and named, never guessed, because a
wrong lot is a wrong order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import date
from typing import NamedTuple

import msgspec

from mytrading.adapters.openalgo import endpoints
from mytrading.adapters.openalgo.endpoints import ServerContract
from mytrading.adapters.openalgo.rest.client import Deadline, OpenAlgoClient
from mytrading.adapters.openalgo.rest.errors import OpenAlgoError, ReadFailed, SymbolNotFound, decode_read, error_text
from mytrading.adapters.openalgo.rest.numbers import MOST_COUNT, MOST_PRICE, count_of, price_of
from mytrading.core.instruments import master_contract, symbology
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.instruments.master_contract import BadRow, Need, name_contradiction
from mytrading.core.instruments.table_checks import (
    TableCheck,
    absurd_ticks,
    check_table,
    doubtful_ticks,
    with_usable_ticks,
)
from mytrading.messages.codec import UNREADABLE
from mytrading.messages.instruments import Instrument, InstrumentKind, Snapshot
from mytrading.messages.text import shown

_UNKNOWN_FREEZE = 1
_NAMED = 1000
_EXPIRIES = 3
"""Nearest expiries that are searched for where an exchange's list fails."""


class Listing(NamedTuple):
    """The contracts of one exchange; `bad` rows were left out, `left_out` names the first thousand of them and why."""

    instruments: tuple[Instrument, ...]
    bad: int = 0
    left_out: tuple[BadRow, ...] = ()


class _InstrumentReply(msgspec.Struct):
    status: str = ""
    data: list[msgspec.Raw] | None = None


class _NamedRow(msgspec.Struct):
    symbol: str


_answer_decoder = msgspec.json.Decoder(_InstrumentReply)
_row_decoder = msgspec.json.Decoder(ServerContract, strict=False)
_name_decoder = msgspec.json.Decoder(_NamedRow)


def fetch_instruments(
    client: OpenAlgoClient,
    exchange: str,
    today: date,
    keep: Callable[[Instrument], bool] | None = None,
    needed: frozenset[str] = frozenset(),
) -> Listing:
    """Fetch the contracts of `exchange` that expire `today` or later and for which `keep` is true (None: all, which may
    be 100,000). Unusable rows are left out and counted, those of underlyings in `needed` all named. Raises
    `ReadFailed`, or what the client raises."""
    answer = client.get("instruments", {"exchange": exchange, "format": "json"}, Deadline.BULK)
    parsed = decode_read(answer, _answer_decoder, f"instruments of {exchange}: ")
    if parsed.status != "success" or parsed.data is None:
        raise ReadFailed("server", f"instruments of {exchange}: {error_text(answer.body, answer.status)}", 200)
    found: list[Instrument] = []
    bad, oldest = 0, today.isoformat()
    left_out: list[BadRow] = []
    for raw in parsed.data:
        try:
            instrument = instrument_of(_row_decoder.decode(raw))
        except UNREADABLE as error:
            bad += 1
            row = BadRow(_symbol_in(raw), str(error))
            if len(left_out) < _NAMED or symbology.parse_symbol(row.symbol).underlying in needed:
                left_out.append(row)
            continue
        if (not instrument.expiry or instrument.expiry >= oldest) and (keep is None or keep(instrument)):
            found.append(instrument)
    return Listing(tuple(found), bad, tuple(left_out))


def _symbol_in(raw: msgspec.Raw) -> str:
    """The symbol of a row that cannot be used, else its beginning."""
    with suppress(*UNREADABLE):
        return _name_decoder.decode(raw).symbol
    return bytes(raw)[:200].decode(errors="replace")


def fetch_freeze(client: OpenAlgoClient, instruments: Iterable[Instrument]) -> dict[str, int]:
    """Fetch freeze quantities (most units of one order) by underlying; those the server does not know are left out."""
    samples: dict[str, Instrument] = {}
    for item in instruments:
        if item.kind.is_derivative:
            samples.setdefault(item.underlying, item)
    found: dict[str, int] = {}
    for name, item in samples.items():
        with suppress(OpenAlgoError):
            freeze = count_of(endpoints.symbol(client, item.symbol, item.exchange).freeze_qty) or 0
            if freeze > _UNKNOWN_FREEZE:
                found[name] = freeze
    return found


def search_instruments(client: OpenAlgoClient, exchange: str, need: Need, today: date) -> Listing:
    """Search an exchange, whose full list failed, for watched contracts and for those of the nearest expiries, each
    expiry by itself, as one search gives at most 500 rows. Raises `OpenAlgoError`, or what the client raises."""
    found: dict[str, Instrument] = {}
    left_out: list[BadRow] = []

    def take(rows: Iterable[ServerContract], underlying: str) -> None:
        for row in rows:
            try:
                item = instrument_of(row)
            except ValueError as error:
                left_out.append(BadRow(row.symbol, str(error)))
                continue
            if item.underlying == underlying and (not item.expiry or item.expiry >= today.isoformat()):
                found[item.id] = item

    for name in (
        symbology.split_id(watched)[1] for watched in need.watched if symbology.split_id(watched)[0] == exchange
    ):
        with suppress(SymbolNotFound):
            take([endpoints.symbol(client, name, exchange)], symbology.parse_symbol(name, exchange).underlying)
    for name in sorted(need.underlyings) if exchange in symbology.DERIVATIVE_EXCHANGES.values() else ():
        for kind, rights in (("futures", ("FUT",)), ("options", ("CE", "PE"))):
            for label in endpoints.expiries(client, name, exchange, kind)[:_EXPIRIES]:
                for right in rights:
                    take(endpoints.search(client, f"{name}{label.replace('-', '')} {right}", exchange), name)
    return Listing(tuple(found.values()), len(left_out), tuple(left_out[:_NAMED]))


def fetch_prices(client: OpenAlgoClient, underlyings: Iterable[Instrument]) -> dict[str, float]:
    """Fetch the last price in rupees, else yesterday's close, by underlying's name; unquoted ones are left out."""
    found: dict[str, float] = {}
    for item in underlyings:
        with suppress(OpenAlgoError):
            quote = endpoints.quote(client, item.symbol, item.exchange)
            if price := price_of(quote.ltp) or price_of(quote.prev_close):
                found[item.underlying] = price
    return found


def instrument_of(row: ServerContract) -> Instrument:
    """Convert a server contract row to an `Instrument`; `ValueError` names an unusable field."""
    if not row.symbol or not row.exchange:
        raise ValueError("a row without symbol or exchange")
    parts = symbology.parse_symbol(row.symbol, row.exchange)
    if row.exchange.endswith("_INDEX"):  # where indices are listed as EQ
        kind = InstrumentKind.INDEX
    elif row.instrumenttype in ("FUT", "CE", "PE"):
        kind = InstrumentKind(row.instrumenttype)
    else:  # brokers name some kinds differently
        kind = parts.kind
    derivative = kind.is_derivative
    expiry = (symbology.read_expiry(row.expiry or "") or parts.expiry) if derivative else None
    if derivative and expiry is None:
        raise ValueError(f"expiry of {row.symbol}: none given, found {row.expiry!r}")
    strike, lot = (row.strike or parts.strike) if kind.is_option else 0.0, row.lotsize or 0.0
    if why := name_contradiction(parts, kind, expiry, strike):
        raise ValueError(f"{row.symbol} contradicts its own name: {why}")
    if not 0 <= strike <= MOST_PRICE:
        raise ValueError(f"strike of {row.symbol}: expected rupees, found {strike:g}")
    # An index has 0 and shares 1. A derivative without a lot cannot be traded safely.
    if not 0 <= lot <= MOST_COUNT or (derivative and (lot < 1 or not float(lot).is_integer())):
        raise ValueError(f"lot size of {row.symbol}: expected whole units, found {row.lotsize!r}")
    freeze = count_of(row.freeze_qty) or 0
    return Instrument(
        id=symbology.instrument_id(row.exchange, row.symbol),
        exchange=row.exchange,
        symbol=row.symbol,
        kind=kind,
        underlying=parts.underlying if derivative else row.symbol,
        expiry=expiry.isoformat() if expiry is not None else "",
        strike=strike,
        lot_size=max(int(lot), 1),
        tick_size=price_of(row.tick_size) or 0.0,
        freeze_qty=0 if freeze <= _UNKNOWN_FREEZE else freeze,
        token=shown(row.token or ""),
        name=row.name or "",
    )


class ContractLookup:
    """Contracts by id. `book` is today's; a lookup lives for a day, since the server lists again each morning."""

    def __init__(self, client: OpenAlgoClient, book: InstrumentBook | None = None) -> None:
        self._client = client
        self._book = book or InstrumentBook(())
        self._found: dict[str, Instrument] = {}

    def find(self, instrument: str) -> Instrument:
        """Return the contract `EXCHANGE:SYMBOL`; an unknown one is asked of the server. Raises `SymbolNotFound`."""
        if (known := self._book.get(instrument) or self._found.get(instrument)) is None:
            exchange, symbol = symbology.split_id(instrument)
            known = self._found[instrument] = instrument_of(endpoints.symbol(self._client, symbol, exchange))
        return known

    def search(self, words: str, exchange: str | None = None) -> list[Instrument]:
        """Search the server (`exchange` None: all of it) for contracts with all these words in symbol or name, at most
        500, and remember them for `find`."""
        found = []
        for row in endpoints.search(self._client, words, exchange):
            with suppress(ValueError):
                found.append(instrument_of(row))
        self._found.update((item.id, item) for item in found)
        return found


class EarlierSnapshots(NamedTuple):
    """Snapshots of earlier days: `before` is compared with today's, `last` the newest whose contracts may be kept."""

    before: Snapshot | None = None
    last: Snapshot | None = None


def fetch_master(
    client: OpenAlgoClient, need: Need, table: TableCheck, day: date, now: int, earlier: EarlierSnapshots
) -> Snapshot:
    """Fetch the master contract (tradable instruments) of `day`, fetched at `now` (ns), as a snapshot. Underlyings with
    implausible data, or with figures that contradict `table`, are marked refused and keep the contracts of `earlier`.
    Raises `ReadFailed`."""
    found: list[Instrument] = []
    left_out: list[BadRow] = []
    bad = 0
    notes: list[str] = []

    def is_kept(item: Instrument) -> bool:
        name = item.symbol if item.kind is InstrumentKind.EQ else item.underlying
        return item.id in need.watched or name in need.underlyings

    for exchange in need.exchanges:
        try:
            listing = fetch_instruments(client, exchange, day, is_kept, need.underlyings)
        except ReadFailed as error:
            if error.kind not in ("server", "malformed"):  # a wrong key, too many calls, no answer
                raise
            try:
                listing = search_instruments(client, exchange, need, day)
            except OpenAlgoError as other:
                text = f"{error.message}; a search failed too: {other}"
                raise ReadFailed(error.kind, text, error.status) from other
            notes.append(f"{exchange} was searched, its list failed: {error}")
        found += listing.instruments
        left_out += listing.left_out
        bad += listing.bad
    freeze = fetch_freeze(client, found)
    prices = fetch_prices(
        client, [item for item in found if not item.kind.is_derivative and item.underlying in need.options]
    )
    doubtful = doubtful_ticks(found, need.watched, table.facts)
    absurd = absurd_ticks(doubtful, fetch_prices(client, doubtful))
    usable = with_usable_ticks(found, absurd, table.facts)
    checked = check_table(master_contract.with_freeze(usable, freeze, table.facts, day), table, day)
    fetched = master_contract.FetchedMaster(day.isoformat(), checked.instruments, left_out, prices)
    refusals = (
        *master_contract.find_problems(fetched, need, earlier.before),
        *absurd,
        *checked.refusals,
    )
    if bad:
        notes.append(f"{bad} rows were left out, the first is {left_out[0].symbol}: {left_out[0].reason}")
    made = master_contract.snapshot_of(fetched, refusals, earlier.last, now, notes)
    return msgspec.structs.replace(made, unchecked=checked.unchecked, accepted=checked.accepted)
