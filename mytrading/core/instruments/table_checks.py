"""The server's contracts against our own table (`config/instruments.toml`) for a day: lots, ticks, expected expiries.

Used where the day's master contract is fetched. What the table does not have proves nothing and is named; what
contradicts it closes entries until the server agrees, the table changes, or an operator accepts it by its key.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from itertools import islice
from typing import NamedTuple

from msgspec.structs import replace

from mytrading.core.calendar import Calendar
from mytrading.core.calendar.empty_years import PROVISIONAL
from mytrading.core.calendar.expiries import NoSuchExpiry, select_expiry
from mytrading.core.instruments.contract_specs import (
    ContractFacts,
    Dated,
    Underlying,
    first_lot,
    lot_size,
    monthly_expiries,
    value_on,
    weekly_expiries,
)
from mytrading.messages.instruments import Instrument, InstrumentKind, InstrumentRefusal
from mytrading.messages.run_config import ExpiryRule

ABSURD_TICK = 0.01
"""A share's tick above this share of its price is none."""
SMALL_TICK = 0.05
"""Rupees: a tick up to this is believed at any price. Shares of a rupee or two trade in it."""
MOVED_DAYS = 3
"""An expiry so near to the expected one is that one, moved by a holiday of which the calendar knows nothing."""
FAR_DAYS = 100
"""Contracts that expire later are quarterly or longer: a change of lot reaches them on a day of their own."""


class TableCheck(NamedTuple):
    """The table, the calendar that dates its expiries, and the keys that an operator has accepted, by underlying."""

    facts: ContractFacts
    calendar: Calendar | None = None
    accepted: Mapping[str, Collection[str]] = {}


class Checked(NamedTuple):
    """The result: contracts of refused underlyings have the table's lot and tick. `unchecked` names underlyings that
    the table lacks, `accepted` says what contradicts it by an operator's leave."""

    instruments: list[Instrument]
    refusals: tuple[InstrumentRefusal, ...]
    unchecked: tuple[str, ...]
    accepted: tuple[str, ...]


class _Expected(NamedTuple):
    """Lot and tick of a contract by the table; 0 where it has none for the day."""

    lot: int
    tick: float


def check_table(instruments: Iterable[Instrument], table: TableCheck, day: date) -> Checked:
    """Compare the futures and options of a day's list with the table."""
    chains: dict[str, list[Instrument]] = defaultdict(list)
    for item in instruments:
        chains[item.underlying if item.kind.is_derivative else ""].append(item)
    made, refusals, unchecked, accepted = chains.pop("", []), [], [], []
    for name, chain in sorted(chains.items()):
        known = table.facts.underlyings.get(name)
        if known is None or not known.lot:
            unchecked.append(name)
            made += chain
            continue
        wanted = {item.id: _expected(item, known, day) for item in chain}
        found = [*_figures(name, chain, wanted), *_missed(name, chain, known, table.calendar, day)]
        leave = table.accepted.get(name, ())
        accepted += [f"{name}: {refusal.key}" for refusal in found if refusal.key in leave]
        denied = [refusal for refusal in found if not refusal.key or refusal.key not in leave]
        refusals += denied
        is_odd = any(not refusal.rules for refusal in denied)
        made += [_as_table(item, wanted[item.id]) for item in chain] if is_odd else chain
    return Checked(made, tuple(refusals), tuple(unchecked), tuple(accepted))


def doubtful_ticks(
    instruments: Iterable[Instrument], watched: Collection[str], facts: ContractFacts
) -> list[Instrument]:
    """Return the watched shares whose tick is neither small nor the table's: it is to be held against a price."""
    shares = (item for item in instruments if item.kind is InstrumentKind.EQ and item.id in watched)
    return [item for item in shares if item.tick_size > SMALL_TICK and item.tick_size != _own_tick(item, facts)]


def absurd_ticks(shares: Iterable[Instrument], prices: Mapping[str, float]) -> list[InstrumentRefusal]:
    """Return the shares whose tick is above 1 % of their price in rupees; one without a price is believed."""
    found = ((item, prices.get(item.underlying, 0.0)) for item in shares)
    return [
        InstrumentRefusal(
            item.underlying,
            f"the tick of {item.symbol} is {item.tick_size:g} at a price of {price:g}, at most {ABSURD_TICK:.0%} of it "
            "was expected",
        )
        for item, price in found
        if 0 < price * ABSURD_TICK < item.tick_size
    ]


def with_usable_ticks(
    instruments: Iterable[Instrument], absurd: Iterable[InstrumentRefusal], facts: ContractFacts
) -> list[Instrument]:
    """Return the instruments, shares with an absurd tick with that of the table, else the smallest usual one, for exits
    of what is held."""
    names = {refusal.subject for refusal in absurd}
    return [
        replace(item, tick_size=_own_tick(item, facts) or SMALL_TICK)
        if item.kind is InstrumentKind.EQ and item.symbol in names
        else item
        for item in instruments
    ]


def _own_tick(item: Instrument, facts: ContractFacts) -> float:
    known = facts.underlyings.get(item.symbol)
    return known.tick if known is not None else 0.0


def _expected(item: Instrument, known: Underlying, day: date) -> _Expected:
    """By the table on `day`. A far contract may have any lot of the table that was, is or will be."""
    expiry = date.fromisoformat(item.expiry)
    first = first_lot(known)
    lot = lot_size(known, expiry, day) if first is not None and first.since <= day else 0
    if lot and expiry > day + timedelta(days=FAR_DAYS) and item.lot_size in {row.value for row in known.lot}:
        lot = item.lot_size
    return _Expected(lot, _on(known.future_tick if item.kind is InstrumentKind.FUT else known.option_tick, day))


def _on(facts: tuple[Dated, ...], day: date) -> float:
    """The value valid on `day`; 0 before the first entry, which proves nothing."""
    return value_on(facts, day) if facts and facts[0].since <= day else 0.0


def _as_table(item: Instrument, wanted: _Expected) -> Instrument:
    """The contract with the table's figures where it has any, for exits of what is held."""
    return replace(item, lot_size=wanted.lot or item.lot_size, tick_size=wanted.tick or item.tick_size)


def _figures(name: str, chain: Sequence[Instrument], wanted: Mapping[str, _Expected]) -> list[InstrumentRefusal]:
    """A refusal for each pair of a server's and a table's figure that differ."""
    odd: dict[tuple[str, float, float], list[str]] = defaultdict(list)
    for item in chain:
        lot, tick = wanted[item.id]
        if lot and item.lot_size != lot:
            odd["lot", item.lot_size, lot].append(item.symbol)
        if tick and item.tick_size > 0 and abs(item.tick_size - tick) > 1e-9:
            odd["tick", item.tick_size, tick].append(item.symbol)
    return [_figure(name, *figures, symbols) for figures, symbols in odd.items()]


def _figure(name: str, what: str, found: float, table: float, symbols: Sequence[str]) -> InstrumentRefusal:
    many = f" ({len(symbols)} contracts)" if len(symbols) > 1 else ""
    text = f"the {what} of {symbols[0]}{many} is {found:g} at the server, {table:g} in config/instruments.toml"
    if what == "lot" and found == 1:
        text = f"{text}: it counts contracts, not units, in which quantities and money would be {table:g} times off"
        return InstrumentRefusal(name, text, contracts_only=True)
    text = f"{text}; where the server is right, `mytrading instruments accept {name}`"
    return InstrumentRefusal(name, text, contracts_only=True, key=f"{what} {found:g}, table {table:g}")


def _missed(
    name: str, chain: Sequence[Instrument], known: Underlying, calendar: Calendar | None, day: date
) -> list[InstrumentRefusal]:
    """A refusal for each expiry rule by which another option would be chosen than the table expects."""
    if calendar is None or not known.strike_step or known.traded_on not in calendar.exchanges:
        return []
    lists = [
        sorted({item.expiry for item in chain if item.kind is right})
        for right in (InstrumentKind.CE, InstrumentKind.PE)
    ]
    return [
        _miss(name, rule, found, wanted, known, provisional=calendar.is_provisional(known.traded_on, wanted))
        for rule, wanted in _expected_expiries(calendar, known, day).items()
        if (found := next((one for listed in lists if _is_other(rule, one := _selected(rule, listed), wanted)), ""))
    ]


def _expected_expiries(calendar: Calendar, known: Underlying, day: date) -> dict[ExpiryRule, date]:
    """The expiry that each rule is to select among the options of `day`; none in years that the calendar lacks."""
    try:
        months = list(islice(monthly_expiries(calendar, known, day), 2))
        dated = sorted({*islice(weekly_expiries(calendar, known, day), 2), *months})
    except ValueError:
        return {}
    return {
        ExpiryRule.NEAREST: dated[0], ExpiryRule.NEXT: dated[1],
        ExpiryRule.MONTHLY: months[0], ExpiryRule.NEXT_MONTHLY: months[1],
    }  # fmt: skip


def _selected(rule: ExpiryRule, listed: Sequence[str]) -> str:
    try:
        return select_expiry(rule, listed)
    except NoSuchExpiry:  # the rule chooses nothing, so nothing wrong
        return ""


def _is_other(rule: ExpiryRule, found: str, wanted: date) -> bool:
    """True if the expected expiry is missed. An earlier one than that may be listed besides, but no monthly."""
    if not found:
        return False
    days = (date.fromisoformat(found) - wanted).days
    return days > MOVED_DAYS or (rule in (ExpiryRule.MONTHLY, ExpiryRule.NEXT_MONTHLY) and days < -MOVED_DAYS)


def _miss(
    name: str, rule: ExpiryRule, found: str, wanted: date, known: Underlying, *, provisional: bool
) -> InstrumentRefusal:
    days = "/".join(str(rows[-1].weekday) if rows else "-" for rows in (known.weekly, known.monthly))
    doubt = f" ({PROVISIONAL})" if provisional else ""
    text = (
        f"options of {name} by expiry {rule.value}: {wanted}{doubt} was expected by config/instruments.toml, by "
        f"the server's list it would be {found}; entries by that rule wait; where the server is right, `mytrading "
        f"instruments accept {name}`"
    )
    return InstrumentRefusal(
        name, text, contracts_only=True, rules=(rule.value,), key=f"no {rule.value}, table weekdays {days}"
    )
