"""Memory of the limits of the day: equity and its peak, reached limits, halts, the last prices of a day.

All of it is journaled as levels; of peaks the last second may be missing.
"""

from __future__ import annotations

from collections.abc import Iterable

from mytrading.core.risk.pnl.day_pnl import ACCOUNT, STRATEGY, DayPnl, Scope
from mytrading.core.time import day_number
from mytrading.messages.enums import LimitKind, Product
from mytrading.messages.journal_rows import LevelMoved
from mytrading.messages.keys import OwnerKey
from mytrading.messages.market import Quote

PREFIX = "limit "
BASE, PEAK, FIRED, HALT, TIMES, _CARRIED = "base", "peak", "fired", "halt", "times", "carried"
MARKS = {True: "mark_long", False: "mark_short"}
"""Prices at which what is long, or short, would be closed."""

LimitKey = tuple[LimitKind, str, str]
"""A limit: its kind, and the scope it holds for."""


class EquityMemory:
    """`fired` holds value and market time of what was reached today, `halts` what an operator must end."""

    def __init__(self, stale_seconds: float) -> None:
        self.money = DayPnl(stale_seconds)
        self.funds: dict[str, float] = {}
        """Equity of an account in rupees, as its broker reports."""
        self.bases: dict[str, float] = {}
        """Equity of an account, in rupees, when the day began."""
        self.peaks: dict[Scope, float] = {}
        """The highest equity of an account; the highest profit of a strategy today."""
        self.fired: dict[LimitKey, tuple[float, int]] = {}
        self.halts: dict[LimitKey, float] = {}
        self.times: dict[LimitKey, int] = {}
        """Number of times today that a limit was reached and lifted again by an operator."""
        self.journaled: dict[Scope, tuple[float, int]] = {}
        """Peaks as they were journaled, and when."""
        self.marked_ns = 0
        self._carried: dict[OwnerKey, float] = {}
        self._uncarried: set[OwnerKey] = set()
        """Owners of positions of earlier days of which it is not known what was unrealised when the day began."""
        self._unjournaled: set[OwnerKey] = set()
        """Those of which a quote has told it, and no row yet."""
        self.began = -1
        """The day that is remembered, counted from 1970; -1 before any moment is known."""

    def equity(self, account: str) -> float | None:
        """Rupees of equity: that at the day's start plus the profit of the day; None while not known."""
        base = self.bases.get(account)
        return None if base is None else base + self.money.profit((ACCOUNT, account))

    def drawdown(self, scope: Scope, accounts: Iterable[str]) -> float | None:
        """Fall from the peak as a fraction of `drawdown_base`; None if unknown. `accounts`: where a strategy trades."""
        profit = self.money.profit(scope)
        if scope[0] == ACCOUNT:
            base = self.bases.get(scope[1])
            if base is None:
                return None
            equity = base + profit
            peak = max(self.peaks.get(scope, 0.0), equity)
            return None if peak <= 0 else (peak - equity) / peak
        capital = self.drawdown_base(scope, accounts)
        return (max(self.peaks.get(scope, 0.0), profit) - profit) / capital if capital > 0 else None

    def drawdown_base(self, scope: Scope, accounts: Iterable[str]) -> float:
        """Rupees a drawdown is divided by: peak equity of the account or of a strategy's `accounts`; 0 if unknown."""
        if scope[0] == ACCOUNT:
            equity = self.equity(scope[1])
            return 0.0 if equity is None else max(self.peaks.get(scope, 0.0), equity)
        return sum(self.peaks.get((ACCOUNT, name), self.bases.get(name, 0.0)) for name in accounts)

    def restart_pricing(self, now: int) -> None:
        """After a start at market time `now`: peaks as journaled, positions unpriced until their first quote."""
        self.money.restart_pricing(now)
        self.peaks = {scope: value for scope, (value, _) in self.journaled.items()}
        for account, base in self.bases.items():
            self.peaks.setdefault((ACCOUNT, account), base)

    def raise_peaks(self, touched: Iterable[Scope], now: int) -> None:
        """Raise the peaks of these scopes to their present profit or equity, but for gains only one quote shows."""
        peaks, bases, sums = self.peaks, self.bases, self.money.sums
        for scope in touched:
            height = total.rupees - total.gain if (total := sums.get(scope)) is not None else 0.0
            if scope[0] == ACCOUNT:
                base = bases.get(scope[1])
                if base is None:
                    continue
                height += base
            if height > peaks.get(scope, 0.0) and self.money.is_priced(scope, now):
                peaks[scope] = height

    def tracked_value(self, scope: Scope) -> float | None:
        """Rupees whose peak is kept: a strategy's profit of the day, or an account's equity (None while unknown)."""
        return self.equity(scope[1]) if scope[0] == ACCOUNT else self.money.profit(scope)

    def apply_level(self, row: LevelMoved) -> bool:
        """Record a journaled level of the limits; False, and nothing recorded, if the row is another kind of level."""
        if not row.name.startswith(PREFIX):
            return False
        self.set_first_day(row.at_ns)
        what, _, rest = row.name[len(PREFIX) :].partition(" ")
        if what == BASE:
            self.bases[rest] = row.value
            self.raise_peaks([(ACCOUNT, rest)], row.at_ns)
        elif what == PEAK:
            scope = _scope(rest)
            self.peaks[scope] = row.value
            self.journaled[scope] = (row.value, row.at_ns)
        elif what in ("mark", *MARKS.values()):  # `mark` is a last price, as journals of before have it
            self.marked_ns = max(self.marked_ns, row.at_ns)
            for long in (True, False):
                if what in ("mark", MARKS[long]):
                    self.money.set_mark(rest, long, row.value, row.at_ns)
        elif what == _CARRIED:
            account, instrument, product, strategy = rest.split(" ", 3)
            owner = OwnerKey(account, instrument, Product(product), strategy)
            self._carried[owner] = row.value
            self._uncarried.discard(owner)
            self._unjournaled.discard(owner)
            self.money.set_carried(owner, row.value)
        elif what in (FIRED, HALT, TIMES):
            self._line(what, rest, row)
        return True

    def await_carried(self, owner: OwnerKey) -> None:
        """Let the first quote tell what of a position's profit is of earlier days, unless a level of the day says it:
        after a lost journal of which no copy is left."""
        if owner not in self._carried:
            self._uncarried.add(owner)

    @property
    def awaits_carried(self) -> bool:
        """True while the carried profit of some position waits for a quote, or for its row."""
        return bool(self._uncarried or self._unjournaled)

    def carry_by_quote(self, quote: Quote) -> None:
        """Take the last close in a quote, else its price, as that with which the day began, for positions that wait."""
        for owner in [key for key in self._uncarried if key.instrument == quote.instrument]:
            self._carried[owner] = rupees = self.money.unrealised_at(owner, quote.previous_close)
            self.money.set_carried(owner, rupees)
            self._uncarried.discard(owner)
            self._unjournaled.add(owner)

    def keep_total(self, owner: OwnerKey, total: float) -> None:
        """Set what an owner carries so that its profit of the day is `total`: units or prices changed, its worth did
        not."""
        carried = self._carried.get(owner, 0.0) + self.money.total_of(owner) - total
        self._carried[owner] = carried
        self.money.set_carried(owner, carried)
        self._unjournaled.add(owner)

    def carried_rows(self, now: int) -> list[LevelMoved]:
        """Return the rows for carried profit that a quote told."""
        return [
            LevelMoved(name=level_name(_CARRIED, *owner), value=self._carried[owner], at_ns=now)
            for owner in sorted(self._unjournaled)
        ]

    def _line(self, what: str, rest: str, row: LevelMoved) -> None:
        kind, _, scope = rest.partition(" ")
        line = (LimitKind(kind), *_scope(scope))
        if what == TIMES:
            self.times[line] = int(row.value)
        elif not row.value:
            (self.fired if what == FIRED else self.halts).pop(line, None)
        elif what == FIRED:
            self.fired[line] = (row.value, row.at_ns)
        else:
            self.halts[line] = row.value

    def set_first_day(self, market_ns: int) -> None:
        """Set the day from the first known market time (ns); later calls change nothing, days begin with `open_day`."""
        if self.began < 0 < market_ns:
            self.began = day_number(market_ns)

    def open_day(self, day: int) -> None:
        """Clear all levels for a new day (days since 1970)."""
        self.money.open_day()
        for table in (self.bases, self.peaks, self.fired, self.halts, self.times, self.journaled, self._carried):
            table.clear()
        self._uncarried.clear()
        self._unjournaled.clear()
        self.began = day

    def carried_into(self, day: int) -> dict[str, float]:
        """Return the levels by name that `day` (days since 1970) begins with; within the same day, all of them."""
        levels = {level_name(HALT, *line): value for line, value in self.halts.items()}
        prices = sorted(self.money.closing_prices(quoted=False))
        levels |= {level_name(MARKS[long], name): price for name, long, price in prices}
        if self.began in (-1, day):  # the same day
            levels |= {level_name(BASE, account): value for account, value in self.bases.items()}
            levels |= {level_name(PEAK, *scope): value for scope, (value, _) in self.journaled.items()}
            levels |= {level_name(_CARRIED, *key): value for key, value in self._carried.items()}
            levels |= {level_name(TIMES, *line): float(count) for line, count in self.times.items()}
            return levels | {level_name(FIRED, *line): value for line, (value, _) in self.fired.items()}
        levels |= {
            level_name(BASE, account): equity for account in self.bases if (equity := self.equity(account)) is not None
        }
        known = self.peaks | {scope: value for scope, (value, _) in self.journaled.items()}
        levels |= {level_name(PEAK, *scope): value for scope, value in known.items() if scope[0] == ACCOUNT}
        return levels | {level_name(_CARRIED, *key): value for key, value in self.money.unrealised().items()}


def _scope(text: str) -> Scope:
    kind, _, name = text.partition(" ")
    return (STRATEGY if kind == STRATEGY else ACCOUNT, name)


def level_name(what: str, *parts: str) -> str:
    """The name of a journaled level: `BASE` and an account, `PEAK` and a scope, `FIRED`, `HALT` or `TIMES` and a
    `LimitKey`, one of `MARKS` and an instrument."""
    return " ".join((PREFIX + what, *parts))
