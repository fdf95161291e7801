"""Validation of the day's master contract: required contracts, errors, and changes since yesterday.

What cannot be shown to be in order is refused with a reason that names the contract, what was found and what was
expected; what was known of it before stays for what is held.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import NamedTuple

import msgspec

from mytrading.core.instruments.contract_specs import ContractFacts, value_on
from mytrading.core.instruments.symbology import (
    DERIVATIVE_EXCHANGES,
    ParsedSymbol,
    parse_symbol,
    quoting_exchange,
    split_id,
)
from mytrading.messages.instruments import Instrument, InstrumentKind, InstrumentRefusal, Snapshot
from mytrading.messages.run_config import RunConfig, TradeKind, TradeRule

SHRUNK = 0.5
"""Fewer contracts of an underlying than this share of yesterday's: the download was cut short."""
BAD_SHARE = 0.01
AROUND = 2
"""Strikes on each side of the money that must be listed."""
GAP = 3.0
"""Neighbouring strikes at the money lie at most so many usual steps apart."""
STRIKE_ERROR = 0.0051
"""Rupees by which a strike may differ from that in its symbol, which has two decimals."""
_SHOWN = 5


class Need(NamedTuple):
    """Contracts needed: instrument ids that are watched, and underlyings whose futures or options are traded.

    `exchanges` are those to fetch, in order; `underlyings` those whose contracts are kept.
    """

    watched: tuple[str, ...]
    futures: frozenset[str]
    options: frozenset[str]
    underlyings: frozenset[str]
    exchanges: tuple[str, ...]


class BadRow(NamedTuple):
    """A row of the server's list that was left out."""

    symbol: str
    reason: str


class FetchedMaster(NamedTuple):
    """The fetched contracts of a day: contracts, rows left out, and prices (rupees) of underlyings with options."""

    day: str
    instruments: Sequence[Instrument]
    bad: Sequence[BadRow] = ()
    prices: Mapping[str, float] = {}


def instruments_needed(
    config: RunConfig, watched: Sequence[str], facts: ContractFacts, trades: Iterable[TradeRule] = ()
) -> Need:
    """Return the instruments and underlyings that a run's strategies need from the master contract, and those of
    `trades` with an underlying besides."""
    futures: set[str] = set()
    options: set[str] = set()
    own = [split_id(name) for name in watched]
    homes = {parse_symbol(symbol, exchange).underlying: exchange for exchange, symbol in own}
    for run in config.strategies:
        if run.options is not None:
            options.add(_underlying(run.symbols[0]))
        for rule in (run.long, run.short):
            if rule is None or rule.kind is TradeKind.SAME:
                continue
            names = [rule.underlying] if rule.underlying else [_underlying(symbol) for symbol in run.symbols]
            (futures if rule.kind is TradeKind.FUTURE else options).update(names)
    for rule in trades:
        (futures if rule.kind is TradeKind.FUTURE else options).add(rule.underlying)
    for name in (futures | options) - homes.keys():
        known = facts.underlyings.get(name)
        homes[name] = known.exchange if known else quoting_exchange(name)
    # An index beside one of its options has two homes, and its row is at its own alone.
    listing = (*(exchange for exchange, _ in own), *homes.values())
    exchanges = [name for home in listing for name in (home, DERIVATIVE_EXCHANGES.get(home, home))]
    return Need(
        tuple(watched), frozenset(futures), frozenset(options), frozenset(homes), tuple(dict.fromkeys(exchanges))
    )


def _underlying(instrument: str) -> str:
    exchange, symbol = split_id(instrument)
    return parse_symbol(symbol, exchange).underlying


def name_contradiction(parts: ParsedSymbol, kind: InstrumentKind, expiry: date | None, strike: float) -> str:
    """Return how the columns of a derivative's row (`strike` in rupees) contradict the parts of its own symbol; empty
    if they do not, or if the symbol names no expiry."""
    if parts.expiry is None or not kind.is_derivative:
        return ""
    if parts.kind is not kind:
        return f"it is listed as {kind.value}"
    if parts.expiry != expiry:
        return f"it is listed with expiry {expiry}"
    # some names leave the decimals of a strike out
    is_cut = parts.strike.is_integer() and int(strike) == parts.strike
    return "" if is_cut or abs(parts.strike - strike) < STRIKE_ERROR else f"it is listed with strike {strike:g}"


def with_freeze(
    instruments: Iterable[Instrument], of_server: Mapping[str, int], facts: ContractFacts, day: date
) -> list[Instrument]:
    """Return the instruments, derivatives with their underlying's freeze quantity in units: that of the server
    (`of_server`), as the master contract has none, else of our table on `day`, else 0."""
    return [
        item
        if not item.kind.is_derivative or item.freeze_qty
        else msgspec.structs.replace(item, freeze_qty=of_server.get(item.underlying) or _table_freeze(item, facts, day))
        for item in instruments
    ]


def _table_freeze(item: Instrument, facts: ContractFacts, day: date) -> int:
    known = facts.underlyings.get(item.underlying)
    return int(value_on(known.freeze, day)) if known is not None and known.freeze else 0


def find_problems(fetched: FetchedMaster, need: Need, before: Snapshot | None) -> tuple[InstrumentRefusal, ...]:
    """Return faults of a fetched master contract in what a run needs, () if none; `before`: the previous snapshot."""
    by_id = {item.id: item for item in fetched.instruments}
    chains: dict[str, list[Instrument]] = defaultdict(list)
    for item in fetched.instruments:
        if item.kind.is_derivative:
            chains[item.underlying].append(item)
    reasons = {row.symbol: f": {row.reason}" for row in fetched.bad}
    found = [
        InstrumentRefusal(_underlying(name), f"{name} is not listed{reasons.get(split_id(name)[1], '')}")
        for name in need.watched
        if name not in by_id
    ]
    found += [
        InstrumentRefusal(name, f"no future of {name} is listed, at least one was expected")
        for name in sorted(need.futures)
        if not any(item.kind is InstrumentKind.FUT for item in chains[name])
    ]
    for name in sorted(need.options):
        found += [InstrumentRefusal(name, text) for text in _options(chains[name], name, fetched.prices.get(name, 0.0))]
    traded = need.futures | need.options
    for name in sorted(traded | {by_id[item].underlying for item in need.watched if item in by_id}):
        rows = chains[name] if name in traded else []
        spots = [by_id[item] for item in need.watched if item in by_id and by_id[item].underlying == name]
        found += [InstrumentRefusal(name, text) for text in _figures([*rows, *spots])]
        found += [InstrumentRefusal(name, text) for text in _shrunk(name, len(rows), before)]
    bad = _by_underlying(fetched.bad)
    for name in sorted(chains.keys() | bad.keys() & need.underlyings):
        found += [InstrumentRefusal(name, text, contracts_only=True) for text in _left_out(chains[name], bad[name])]
    return tuple(found)


def _by_underlying(bad: Iterable[BadRow]) -> dict[str, list[BadRow]]:
    """The rows of futures and options that were left out. A share's own row is missed as "not listed"."""
    found: dict[str, list[BadRow]] = defaultdict(list)
    for row in bad:
        if (parts := parse_symbol(row.symbol)).expiry is not None:
            found[parts.underlying].append(row)
    return found


def _options(chain: Sequence[Instrument], name: str, price: float) -> list[str]:
    """Both rights of the nearest two expiries, with strikes around the money."""
    expiries = sorted({item.expiry for item in chain if item.kind.is_option})
    if not expiries:
        return [f"no option of {name} is listed, at least one expiry was expected"]
    if price <= 0:
        return [f"the strikes of {name} cannot be checked: the server gave no price of it"]
    problems = []
    for expiry in expiries[:2]:
        for right in (InstrumentKind.CE, InstrumentKind.PE):
            strikes = sorted(item.strike for item in chain if item.expiry == expiry and item.kind is right)
            problem = _at_the_money(strikes, price)
            problems += [f"{right.value} of {name} {expiry}: {problem}"] if problem else []
    return problems


def _at_the_money(strikes: Sequence[float], price: float) -> str:
    below = [strike for strike in strikes if strike <= price]
    above = [strike for strike in strikes if strike > price]
    if len(below) < AROUND or len(above) < AROUND:
        return f"expected {AROUND} strikes on each side of {price:g}, found {len(below)} below and {len(above)} above"
    steps = sorted(b - a for a, b in pairwise([*below[-4:], *above[:4]]))
    gap, usual = above[0] - below[-1], steps[len(steps) // 2]
    if gap > GAP * usual:
        return f"no strike between {below[-1]:g} and {above[0]:g} at price {price:g}, steps of {usual:g} were expected"
    return ""


def _figures(rows: Sequence[Instrument]) -> list[str]:
    problems = []
    rows = [item for item in rows if item.kind is not InstrumentKind.INDEX]
    derivatives = [item for item in rows if item.kind.is_derivative]
    for word, broken in (
        ("tick size", [item for item in rows if item.tick_size <= 0]),
        ("lot size", [item for item in derivatives if item.lot_size < 1]),
        ("freeze quantity", [item for item in derivatives if item.freeze_qty < 1]),
    ):
        if broken:
            hint = "; add it to config/instruments.toml" if word == "freeze quantity" else ""
            problems.append(f"{word} is missing for {_names(broken)}{hint}")
    lots: dict[str, Counter[int]] = defaultdict(Counter)
    for item in derivatives:
        lots[item.expiry][item.lot_size] += 1
    for expiry, counts in sorted(lots.items()):
        if len(counts) > 1:
            sizes = ", ".join(f"{lot} ({count} contracts)" for lot, count in counts.most_common())
            problems.append(f"contracts of {expiry} differ in lot size: {sizes}; one was expected")
    return problems


def _left_out(rows: Sequence[Instrument], bad: Sequence[BadRow]) -> list[str]:
    if len(bad) <= BAD_SHARE * (len(rows) + len(bad)):
        return []
    return [f"{len(bad)} of {len(rows) + len(bad)} rows cannot be read, the first is {bad[0].symbol}: "
            f"{bad[0].reason}"]  # fmt: skip


def _shrunk(name: str, count: int, before: Snapshot | None) -> list[str]:
    if before is None:
        return []
    then = sum(item.underlying == name and item.kind.is_derivative for item in before.instruments)
    if not then or not count or count >= SHRUNK * then:
        return []
    return [f"{count} contracts are listed, {then} were on {before.good_day or before.day}: the list was cut short"]


def _names(rows: Sequence[Instrument]) -> str:
    shown = ", ".join(item.symbol for item in rows[:_SHOWN])
    return shown if len(rows) <= _SHOWN else f"{shown} and {len(rows) - _SHOWN} more"


def snapshot_of(
    fetched: FetchedMaster,
    refusals: tuple[InstrumentRefusal, ...],
    before: Snapshot | None,
    fetched_ns: int,
    notes: Iterable[str] = (),
) -> Snapshot:
    """Build a day's snapshot; an underlying in `refusals` keeps its contracts of `before` until they expire, and so
    does a contract whose own row was left out or whose expiry is missed."""
    refused = [refusal for refusal in refusals if not refusal.rules]
    subjects = {refusal.subject for refusal in refused}
    whole = {refusal.subject for refusal in refused if not refusal.contracts_only}
    missed = {refusal.subject for refusal in refusals if refusal.rules}
    bad = {row.symbol for row in fetched.bad}
    listed = {item.id: item for item in fetched.instruments if item.underlying not in subjects or item.lot_size > 0}
    kept: list[Instrument] = []
    for item in (*before.kept, *before.instruments) if before is not None else ():
        if item.expiry and item.expiry < fetched.day:
            continue
        if item.underlying in (subjects if item.kind.is_derivative else whole):
            listed[item.id] = item
        elif item.id not in listed and (item.symbol in bad or item.underlying in missed):
            kept.append(item)
    good = fetched.day if not refusals else (before.good_day if before is not None else "")
    return Snapshot(
        day=fetched.day,
        fetched_ns=fetched_ns,
        instruments=tuple(listed.values()),
        refusals=refusals,
        notes=tuple(notes),
        good_day=good,
        kept=tuple(kept),
    )


def refusal_for(snapshot: Snapshot, instrument: str, today: str) -> str:
    """Return why no position may be opened in an instrument `today` (ISO date); empty if it may."""
    if snapshot.day != today:
        found = f"those at hand are of {snapshot.day}" if snapshot.day else "there are none"
        return f"the instruments of {today} are not here yet, {found}"
    if any(item.id == instrument for item in snapshot.kept):
        return f"the list of {today} has no usable row of {instrument}, what is known of it is of an earlier day"
    if not snapshot.refusals:
        return ""
    name, expiry, _, _ = parse_symbol(instrument.partition(":")[2])
    return "; ".join(
        refusal.reason
        for refusal in snapshot.refusals
        if refusal.subject in ("", name) and not refusal.rules and not (refusal.contracts_only and expiry is None)
    )


class Change(NamedTuple):
    """A figure of a contract that is not what it was."""

    instrument: str
    what: str
    before: float
    after: float


class Changes(NamedTuple):
    """Changes from one list to the next. Contracts that expired meanwhile are not counted as removed."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


def diff_instruments(before: Iterable[Instrument], after: Iterable[Instrument], day: str) -> Changes:
    """Return instruments added, removed (but by expiry) and changed in their figures; `day`: ISO date of `after`."""
    old, new = {item.id: item for item in before}, {item.id: item for item in after}
    gone = [name for name, item in old.items() if name not in new and (not item.expiry or item.expiry >= day)]
    moved = [
        Change(name, what, then, now)
        for name in sorted(old.keys() & new.keys())
        for what in ("lot_size", "tick_size", "freeze_qty")
        if (then := getattr(old[name], what)) != (now := getattr(new[name], what))
    ]
    return Changes(tuple(sorted(new.keys() - old.keys())), tuple(sorted(gone)), tuple(moved))


def changes_text(found: Changes) -> str:
    """Describe the changes in a sentence: changed figures by underlying, then counts of contracts."""
    seen: dict[tuple[str, str, float, float], int] = Counter(
        (_underlying(change.instrument), change.what.replace("_", " "), change.before, change.after)
        for change in found.changed
    )
    parts = [
        f"{name}: {what} {then:g} → {now:g} ({count} contract{'s' if count > 1 else ''})"
        for (name, what, then, now), count in seen.items()
    ]
    parts += [f"{len(found.added)} added"] if found.added else []
    parts += [f"{len(found.removed)} removed"] if found.removed else []
    return "; ".join(parts) or "nothing changed"
