"""Profit of a day in rupees and in R, by owner, account and strategy: kept up, never added up again.

An old or not positive price moves nothing. Known besides: is all that is held quoted since this start (`is_priced`),
and how much of a sum a single quote alone says (`unconfirmed`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from mytrading.core.accounting.pnl import exit_price, exit_prices
from mytrading.core.time import SECOND
from mytrading.messages.keys import OwnerKey
from mytrading.messages.market import Quote
from mytrading.messages.orders import Position

Scope = tuple[str, str]
"""`ACCOUNT` or `STRATEGY`, and its name."""
ACCOUNT, STRATEGY = "account", "strategy"

FLOOR_NS = 2 * SECOND
"""Machine time within which a quote is never old."""
PATIENCE_NS = 60 * SECOND
"""Market time after a start in which what is held waits for its first quote; then what was last known counts."""
APART_NS = SECOND // 10
"""Market time between two quotes that confirm one another: a wrong price may come in several frames at once."""
ALONE_NS = 2 * SECOND
"""Market time after which the last price stands in for a second quote that does not come."""


class ScopePnl(msgspec.Struct):
    """Rupees of the day of an account or a strategy; `gain` is what the quotes of the moment before did not say."""

    rupees: float = 0.0
    gain: float = 0.0


class _Money(msgspec.Struct):
    """`carried` is what was unrealised when the day began, `former` what was so by the quote of the moment before.

    `risk` is what the present round trip loses at its entry's stop (rupees, 0: not known), `began` what was realised
    before it, `brought` what of it is of earlier days. `past_r` sums the trips that ended, `r` is all of the day in R.
    `gone` is the profit of units that went at a price which the ledger does not have yet, by the last price known.
    Prices count times `ratio`: shares may have been split overnight, and the ledger does not say so yet.
    `sums` are those of its account and its strategy.
    """

    units: int = 0
    average: float = 0.0
    realised: float = 0.0
    carried: float = 0.0
    unrealised: float = 0.0
    former: float = 0.0
    risk: float = 0.0
    began: float = 0.0
    brought: float = 0.0
    past_r: float = 0.0
    r: float = 0.0
    gone: float = 0.0
    ratio: float = 1.0
    sums: tuple[ScopePnl, ...] = ()

    @property
    def total(self) -> float:
        return self.realised + self.unrealised + self.gone - self.carried

    @property
    def gain(self) -> float:
        return _gain(self.unrealised, self.former)


class DayPnl:
    """Profit of the day: realised, and unrealised beyond what the day began with. Budget of a quote: 1 µs an owner."""

    def __init__(self, stale_seconds: float) -> None:
        self._stale_ns = int(stale_seconds * SECOND)
        self._owners: dict[OwnerKey, _Money] = {}
        self._keys: dict[str, list[OwnerKey]] = {}
        self._held: dict[str, tuple[tuple[OwnerKey, _Money], ...]] = {}
        """By instrument the owners that hold units of it; forgotten when a position moves."""
        self.sums: dict[Scope, ScopePnl] = {}
        """Rupees of the day by account and strategy."""
        self._in_r: dict[Scope, float] = {}
        self._stops: dict[OwnerKey, float] = {}
        self.counts_r = False
        """Limits in R are set, so that R is kept up."""
        self.r_value = 0.0
        """Rupees of 1 R where the stop of an entry is not known; 0: none."""
        self._quotes: dict[str, Quote] = {}
        self.trusts_single_quotes = False
        """Each price is believed by itself: a bar that was recorded is no frame that a server may have got wrong."""
        self._former: dict[str, Quote] = {}
        """By instrument the last quote of the moment before: it was received `APART_NS` earlier at least."""
        self._stood: set[str] = set()
        self._former_stood: set[str] = set()
        """Instruments whose newest, and whose former, last price is the middle of a book."""
        self._since: dict[str, int] = {}
        """Market time at which the present moment of an instrument began."""
        self._moved_by: dict[str, tuple[Scope, ...]] = {}
        self._newest_ns = 0
        self.marks: dict[tuple[str, bool], float] = {}
        """Last journaled prices by instrument, of what is long (true) and of what is short; a quote comes before."""
        self._marked_ns: dict[str, int] = {}
        """Market time of the last mark of an instrument; none for those that a day began with."""
        self._quoted: set[str] | None = None
        """Instruments quoted since this start; None once nobody waits for that."""
        self._began_ns = 0

    def profit(self, scope: Scope) -> float:
        """Rupees of profit of an account or strategy today; 0 if it held nothing."""
        total = self.sums.get(scope)
        return 0.0 if total is None else total.rupees

    def unconfirmed(self, scope: Scope, now: int, *, gains: bool, in_r: bool = False) -> float:
        """Part of a scope's profit (`gains`) or loss today, in rupees or R (`in_r`), that newest quotes alone show."""
        at, total = 0 if scope[0] == ACCOUNT else 3, 0.0
        for key, money in self._owners.items():
            if money.units and key[at] == scope[1]:
                alone = self.unconfirmed_of(key[1], money.units, money.average, now, gains=gains)
                total += alone / ((money.risk or self.r_value or math.inf) if in_r else 1.0)
        return total

    def unconfirmed_of(self, instrument: str, units: int, average: float, now: int, *, gains: bool) -> float:
        """Rupees of a position's gain (`gains`) or loss that its newest quote alone shows; `average`: its entry price.
        After `ALONE_NS` without another quote, the last price of that quote may confirm its bid or ask."""
        quote = self._quotes.get(instrument)
        if quote is None:
            return 0.0
        way = units if gains else -units
        price = exit_price(units, quote)
        found = max(0.0, way * (price - self._former_price(instrument, units, average)))
        if found and now - self._since.get(instrument, now) >= ALONE_NS:
            found = min(found, max(0.0, way * (price - quote.ltp)))
        return found

    def _former_price(self, instrument: str, units: int, average: float) -> float:
        """Closing price of a position by the quote of the moment before, else by its last known price."""
        former = self._former.get(instrument)
        if former is not None:
            return exit_price(units, former)
        marked = self._mark(instrument, units > 0)
        return average if marked is None else marked

    def previous_last_price(self, instrument: str) -> float | None:
        """The last price in the quote before the newest; None if there was none, or a middle stood in for it."""
        former = self._former.get(instrument) if instrument not in self._former_stood else None
        return None if former is None else former.ltp

    def profit_in_r(self, scope: Scope) -> float:
        """Today's profit of an account or strategy in R: each round trip's profit by its risk at its stop, else 0."""
        return self._in_r.get(scope, 0.0)

    def scopes_of(self, instrument: str) -> tuple[Scope, ...]:
        """Accounts and strategies that hold this instrument, in a fixed order."""
        known = self._moved_by.get(instrument)
        if known is None:
            found: set[Scope] = set()
            for key in self._keys.get(instrument, ()):
                if self._owners[key].units:
                    found.add((ACCOUNT, key[0]))
                    found.add((STRATEGY, key[3]))
            known = self._moved_by[instrument] = tuple(sorted(found))
        return known

    def scopes(self) -> tuple[Scope, ...]:
        """All accounts and strategies that held anything today, in a fixed order."""
        return tuple(sorted(self.sums))

    def is_priced(self, scope: Scope, now: int) -> bool:
        """True once each open leg of a scope was quoted in this run, or `PATIENCE_NS` have passed since its start."""
        quoted = self._quoted
        if quoted is None or now - self._began_ns >= PATIENCE_NS:
            return True
        at = 0 if scope[0] == ACCOUNT else 3
        for key, money in self._owners.items():
            if money.units and key[at] == scope[1] and key[1] not in quoted:
                return False
        return True

    def closing_prices(self, *, quoted: bool) -> Iterator[tuple[str, bool, float]]:
        """Yield (instrument, is long, close-out price) of held units; `quoted`: of quoted instruments alone."""
        for instrument, keys in self._keys.items():
            for long in sorted({self._owners[key].units > 0 for key in keys if self._owners[key].units}):
                price = self._price(instrument, long)
                if price is not None and (instrument in self._quotes or not quoted):
                    yield instrument, long, price

    def closing_price(self, instrument: str, *, long: bool) -> float | None:
        """The last price at which what is long, else short, would have been closed; None while there was none."""
        return self._price(instrument, long)

    def set_gone(self, key: OwnerKey, rupees: float) -> None:
        """Set the profit of an owner's units that went and that its position's realised profit does not hold."""
        money = self._owner(key)
        money.gone = rupees
        self.recompute_sums()
        if self.counts_r:
            self._count_r(key, money)

    def set_ratio(self, key: OwnerKey, ratio: float) -> None:
        """Let an owner's units be worth the price times `ratio` (1.0: just the price)."""
        self._owner(key).ratio = ratio
        self._reprice(key[1])

    def total_of(self, key: OwnerKey) -> float:
        """Rupees of profit of an owner today."""
        return self._owner(key).total

    def unrealised_at(self, key: OwnerKey, price: float | None) -> float:
        """Unrealised rupees of an owner's position at a price, or as it is now where that is None or no price."""
        money = self._owner(key)
        return money.units * (price - money.average) if price is not None and price > 0 else money.unrealised

    def unrealised(self) -> dict[OwnerKey, float]:
        """Unrealised rupees of the open positions, by owner."""
        return {key: money.unrealised for key, money in self._owners.items() if money.units}

    def restart_pricing(self, now: int) -> None:
        """After a start of risk at market time `now`: open positions count as unpriced until their first quote."""
        self._began_ns, self._quoted = now, set()

    def open_day(self) -> None:
        """Clear all owners and sums for a new day; carried positions are added afterwards."""
        for table in (
            self._owners, self._keys, self._moved_by, self._held, self.sums, self._in_r, self._stops,
        ):  # fmt: skip
            table.clear()

    def recompute_sums(self) -> None:
        """Recompute the sums of all scopes from their owners, which removes rounding left by a wrong price."""
        for total in self.sums.values():
            total.rupees = total.gain = 0.0
        for money in self._owners.values():
            rupees, gain = money.total, money.gain
            for total in money.sums:
                total.rupees += rupees
                total.gain += gain

    def set_entry_stop(self, key: OwnerKey, level: float) -> None:
        """Record the stop (rupees, 0: none) of a round trip's first entry, which sets its R; ignored while held."""
        money = self._owners.get(key)
        if money is None or not money.units:
            self._stops[key] = level

    def update_position(self, position: Position, carried: bool = False) -> None:
        """Update quantity, average and profit of a position's owner; a `carried` one keeps its last known price."""
        key = position.owner
        money = self._owner(key)
        self._moved_by.pop(position.instrument, None)
        self._held.pop(position.instrument, None)
        if position.quantity and not money.units and not carried:
            self._forget_old_price(position.instrument, position.updated_ns)
        money.units, money.average, money.realised = position.quantity, position.average_price, position.realised
        instrument = position.instrument
        price = self._price(instrument, money.units > 0) if money.units else None
        money.unrealised = 0.0 if price is None else money.units * (price * money.ratio - money.average)
        former = self._former_price(instrument, money.units, money.average / money.ratio)
        money.former = money.units * (former * money.ratio - money.average)
        self.recompute_sums()
        if self.counts_r:
            self._set_risk(key, money, position)
            self._count_r(key, money)
            if not money.units:
                money.past_r, money.began = money.r, money.realised + money.gone
                money.brought = money.risk = 0.0

    def _set_risk(self, key: OwnerKey, money: _Money, position: Position) -> None:
        """Units entered so far lose at the stop of the first entry; a leg without one has that of its owner."""
        if not position.quantity:
            return
        level, units = self._stops.get(key, 0.0), max(position.trip_quantity, abs(position.quantity))
        money.risk = abs(position.average_price - level) * units if level else 0.0
        if not money.risk and not self.r_value:
            owners = (other for name, other in self._owners.items() if (name[0], name[3]) == (key[0], key[3]))
            money.risk = max((other.risk for other in owners), default=0.0)

    def _count_r(self, key: OwnerKey, money: _Money) -> None:
        base = money.risk or self.r_value
        now = money.past_r
        if base:
            now += (money.realised + money.gone - money.began + money.unrealised - money.brought) / base
        moved, money.r = now - money.r, now
        for scope in scopes_of_owner(key):
            self._in_r[scope] = self._in_r.get(scope, 0.0) + moved

    def _forget_old_price(self, instrument: str, now: int) -> None:
        """A new position is worth its cost until a price comes; an old price is dropped if no other needs it."""
        quote = self._quotes.get(instrument)
        at_ns = self._marked_ns.get(instrument, 0) if quote is None else quote.market_ns
        old = at_ns and max(self._newest_ns, now) - at_ns > self._stale_ns
        if old and not any(self._owners[key].units for key in self._keys.get(instrument, ())):
            self._quotes.pop(instrument, None)
            self._former.pop(instrument, None)
            self._marked_ns.pop(instrument, None)
            for long in (False, True):
                self.marks.pop((instrument, long), None)

    def set_carried(self, key: OwnerKey, unrealised: float) -> None:
        """Set the unrealised rupees of an owner that belong to earlier days, and so not to today's profit."""
        money = self._owner(key)
        money.carried = money.brought = unrealised
        self.recompute_sums()
        if self.counts_r:
            self._count_r(key, money)

    def update_quote(self, quote: Quote, machine_ns: int, *, stands: bool = False) -> bool:
        """Record a quote and reprice the positions in it; False, and unused, if it is too old or has no price.
        `stands`: its last price is the middle of its book, which is no best price of a leg."""
        self._newest_ns = max(self._newest_ns, quote.market_ns)
        old = self._newest_ns - quote.market_ns > self._stale_ns and machine_ns - quote.received_ns > FLOOR_NS
        if old or not quote.ltp > 0:
            return False
        name = quote.instrument
        known = self._quotes.get(name)
        self._quotes[name] = quote
        if self.trusts_single_quotes:
            self._former[name] = quote
        elif known is None or quote.market_ns - self._since.get(name, 0) >= APART_NS:
            self._since[name] = quote.market_ns
            if known is None:
                self._former.pop(name, None)
            else:
                self._former[name] = known
            if self._stood or self._former_stood:
                (self._former_stood.add if name in self._stood else self._former_stood.discard)(name)
        if stands or self._stood:
            (self._stood.add if stands else self._stood.discard)(name)
        if self._quoted is not None:
            self._quoted.add(name)
            if quote.market_ns - self._began_ns >= PATIENCE_NS:
                self._quoted = None
        self._reprice(name)
        return True

    def set_mark(self, instrument: str, long: bool, price: float, at_ns: int) -> None:
        """Restore the journaled close-out price of long (else short) units; it replaces an older quote that differs."""
        if not 0.0 < price < math.inf:
            return
        self.marks[instrument, long] = price
        if at_ns:
            self._marked_ns[instrument] = at_ns
        quote = self._quotes.get(instrument)
        if quote is not None and exit_price(1 if long else -1, quote) != price:
            del self._quotes[instrument]
            self._former.pop(instrument, None)
            quote = None
        if quote is None:
            self._reprice(instrument)

    def _reprice(self, instrument: str) -> None:
        holders = self._held.get(instrument)
        if holders is None:
            kept = []
            for key in self._keys.get(instrument, ()):
                money = self._owners[key]
                if money.units:
                    kept.append((key, money))
            holders = self._held[instrument] = tuple(kept)
        if not holders:
            return
        quote, former = self._quotes.get(instrument), self._former.get(instrument)
        newest = self._marks_of(instrument) if quote is None else exit_prices(quote)
        earlier = self._marks_of(instrument) if former is None else exit_prices(former)
        for key, money in holders:
            units, average, ratio = money.units, money.average, money.ratio
            before, former_before = money.unrealised, money.former
            price, former_price = (newest[0], earlier[0]) if units > 0 else (newest[1], earlier[1])
            money.unrealised = after = 0.0 if price is None else units * (price * ratio - average)
            money.former = former_after = 0.0 if former_price is None else units * (former_price * ratio - average)
            moved, gained = after - before, _gain(after, former_after) - _gain(before, former_before)
            for total in money.sums:
                total.rupees += moved
                total.gain += gained
            if self.counts_r:
                self._count_r(key, money)

    def _price(self, instrument: str, long: bool) -> float | None:
        quote = self._quotes.get(instrument)
        return self._mark(instrument, long) if quote is None else exit_price(1 if long else -1, quote)

    def _marks_of(self, instrument: str) -> tuple[float | None, float | None]:
        """The marks of what is long and of what is short."""
        return self._mark(instrument, True), self._mark(instrument, False)

    def _mark(self, instrument: str, long: bool) -> float | None:
        """The price that was journaled last; where only the other side's was, that."""
        found = self.marks.get((instrument, long))
        return self.marks.get((instrument, not long)) if found is None else found

    def _owner(self, key: OwnerKey) -> _Money:
        money = self._owners.get(key)
        if money is None:
            sums = tuple(self.sums.setdefault(scope, ScopePnl()) for scope in scopes_of_owner(key))
            money = self._owners[key] = _Money(sums=sums)
            self._keys.setdefault(key[1], []).append(key)
        return money


def _gain(unrealised: float, former: float) -> float:
    """Rupees of unrealised profit that the newest quote shows and the one before did not (`former`); never below 0."""
    return unrealised - former if unrealised > former else 0.0


def scopes_of_owner(key: OwnerKey) -> tuple[Scope, Scope]:
    """Return the account scope and the strategy scope of an owner."""
    return (ACCOUNT, key[0]), (STRATEGY, key[3])
