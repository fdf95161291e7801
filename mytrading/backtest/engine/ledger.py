"""Record of a run: fills, trades with their costs, denials, a hash over all fills, and the equity curve."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import add
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mytrading.backtest.data.columns import Columns
from mytrading.core.accounting.fees import Charges
from mytrading.core.indicators import FloatArray
from mytrading.core.risk.runs.run_events import STRATEGY_RISK
from mytrading.core.time import DAY, IST_OFFSET
from mytrading.messages.commands import CloseGoal, SignalDenied, SignalExpired
from mytrading.messages.control import Alert
from mytrading.messages.enums import Product, Purpose, Severity
from mytrading.messages.orders import OrderChanged, Position, PositionAdjusted, PositionChanged, TradeClosed
from mytrading.messages.risk_events import RiskKind
from mytrading.messages.signals import Signal, SignalVetoed, StrategyFaulted

ChargeOf = Callable[[str, Product, int, float, int], Charges | None]
"""Charges of a fill by instrument, product, signed units, price, market ns; None for none."""


class Fill(NamedTuple):
    """One execution: signed units at a price in rupees, and what it cost."""

    at_ns: int
    instrument: str
    strategy: str
    units: int
    price: float
    cost: float


class Trade(NamedTuple):
    """From flat to flat. `side` is that of the entry, `gross` and `costs` are rupees.

    `leg` is the place in its signal, from 1, of what was one of several legs; 0 for what was wanted alone.
    """

    entry_ns: int
    exit_ns: int
    instrument: str
    strategy: str
    side: str
    quantity: int
    entry_price: float
    exit_price: float
    gross: float
    costs: float
    leg: int = 0

    @property
    def net(self) -> float:
        """Return the profit in rupees after costs."""
        return self.gross - self.costs


class RunEvent(NamedTuple):
    """A denial, an alert or a fault of a run, for its report."""

    at_ns: int
    code: str
    subject: str
    text: str


_STT = Charges._fields.index("stt")
RULE_WORDS: dict[str, str] = {
    RiskKind.MAX_LOSS: "max loss", RiskKind.MAX_PROFIT: "max profit", RiskKind.TRAILING_STOP: "trailing stop",
    RiskKind.LEG_STOP_LOSS: "stop loss", RiskKind.LEG_TAKE_PROFIT: "take profit", RiskKind.LEG_AT_COST: "stop at cost",
    RiskKind.LEG_TRAILING: "trailing stop of the leg", RiskKind.SUPERTREND: "supertrend",
}  # fmt: skip
"""Words for the end of a trade, by the rule of its run that risk's alert names."""
MOST_EVENTS = 2000
"""Events kept with their words; all are counted."""


class Ledger:
    """Rows in, lists out."""

    def __init__(self, charge: ChargeOf) -> None:
        self._charge = charge
        self._costs: dict[str, list[float]] = {}
        """By strategy, rupees of each charge, in the order of `Charges`."""
        self._stop_orders: set[str] = set()
        self._exit_words: dict[tuple[str, str], str] = {}
        self.exit_words: list[str] = []
        """By trade: `stop`, `target`, `expiry` or one of `RULE_WORDS` where that ended it, else empty."""
        self._open_costs: dict[tuple[str, str], float] = {}
        self._legs: dict[tuple[str, str], int] = {}
        self.stops_given: dict[str, set[bool]] = {}
        """By instrument: whether signals for it, from flat, gave a stop of their own; legs that hedge are left out."""
        self.fills: list[Fill] = []
        self.trades: list[Trade] = []
        self.events: list[RunEvent] = []
        self.counts: Counter[str] = Counter()

    def apply(self, row: Any) -> None:
        """Record the fills, trades and events in a row of the engine, risk or order machine; ignore other rows."""
        handler = _HANDLERS.get(type(row))
        if handler is not None:
            handler(self, row)

    def _signalled(self, row: Signal) -> None:
        """Number the signal's contracts as legs; an open position keeps its number. A leg of a file has its
        number there; in a class a replacement has that of the leg it replaces, and further legs count on."""
        several, sells = len(row.legs) > 1, any(leg.lots < 0 for leg in row.legs)
        instead = {change.opens: change.closes for change in row.changes if change.opens and change.closes}
        most = max((self._legs.get((row.strategy, leg.instrument), 0) for leg in row.legs), default=0)
        for place, leg in enumerate(row.legs, 1):
            key = (row.strategy, leg.instrument)
            if key not in self._open_costs:
                if row.changes and not leg.number:
                    most = max(place, most + 1)
                    place = self._legs.get((row.strategy, instead.get(leg.instrument, "")), most)
                self._legs[key] = leg.number or (place if several else 0)
                if leg.lots < 0 or not sells:
                    self.stops_given.setdefault(leg.instrument, set()).add(leg.stop_price > 0 or leg.stop.value > 0)

    def _filled(self, row: PositionChanged) -> None:
        if row.fill_quantity:
            held = row.position
            if row.client_order_id in self._stop_orders:
                self.note_exit(held.strategy, held.instrument, "stop")
            self.record_fill(row.at_ns, held.instrument, held.strategy, held.product, row.fill_quantity, row.fill_price)

    def record_fill(self, at_ns: int, name: str, strategy: str, product: Product, units: int, price: float) -> None:
        """Record a fill of signed `units` of instrument `name` at `price` (rupees), with its computed costs."""
        charges, cost = self._charge(name, product, units, price, at_ns), 0.0
        if charges is not None:
            cost, costs = sum(charges), self._costs_of(strategy)
            costs[:] = map(add, costs, charges)
        key = (strategy, name)
        self._open_costs[key] = self._open_costs.get(key, 0.0) + cost
        self.fills.append(Fill(at_ns, name, strategy, units, price, cost))

    def _closed(self, row: TradeClosed) -> None:
        self.record_trade(Trade(
            row.opened_ns, row.closed_ns, row.instrument, row.strategy, row.side.value, row.quantity, row.entry_price,
            row.exit_price, row.realised, 0.0,
        ))  # fmt: skip

    def record_trade(self, trade: Trade) -> None:
        """Record a finished trade, with the costs of its fills so far and its leg filled in."""
        key = (trade.strategy, trade.instrument)
        costs = self._open_costs.pop(key, 0.0)
        self.exit_words.append(self._exit_words.pop(key, ""))
        self.trades.append(Trade(*trade[:9], costs, self._legs.get(key, 0)))

    def record_settlement(self, row: PositionAdjusted, held: Position, price: float, cost: float = 0.0) -> None:
        """Record a held contract's expiry: a fill at settlement `price` with `cost` in rupees, and a trade."""
        name, strategy, units, entry = held.instrument, held.strategy, held.quantity, held.average_price
        self.fills.append(Fill(row.at_ns, name, strategy, -units, price, cost))
        if cost:
            self._costs_of(strategy)[_STT] += cost
        self.note_exit(strategy, name, "expiry")
        self._open_costs[strategy, name] = self._open_costs.get((strategy, name), 0.0) + cost
        self.record_trade(Trade(
            held.opened_ns, row.at_ns, name, strategy, "BUY" if units > 0 else "SELL", abs(units), entry, price,
            units * (price - entry), 0.0,
        ))  # fmt: skip

    def note_exit(self, strategy: str, instrument: str, word: str) -> None:
        """Note what ends the open trade of a strategy in an instrument: `stop`, `target`, `expiry`; empty: nothing."""
        self._exit_words[strategy, instrument] = word

    def _ordered(self, row: OrderChanged) -> None:
        if row.order.purpose is Purpose.STOP:
            self._stop_orders.add(row.order.client_order_id)
        if row.event == "rejected" and row.order.purpose is Purpose.ENTRY:  # an exit is sent again
            self._event(row.order.updated_ns, "ORDER_REJECTED", row.order.strategy, row.order.message)

    def _closing(self, row: CloseGoal) -> None:
        word, known = row.reason.partition(":")[0], self._exit_words.get((row.strategy, row.instrument), "")
        by_rule = known if known in RULE_WORDS.values() else ""
        self.note_exit(row.strategy, row.instrument, word if word in ("stop", "target") else by_rule)

    def _denied(self, row: SignalDenied | SignalExpired) -> None:
        denied = row if isinstance(row, SignalDenied) else None
        code, text = (denied.code, denied.message) if denied else ("EXPIRED", "the signal was too late")
        self._event(row.at_ns, code, row.strategy, text)

    def _vetoed(self, row: SignalVetoed) -> None:
        if row.code:
            self._event(row.at_ns, row.code, row.strategy, row.message)

    def _alert(self, row: Alert) -> None:
        self._event(row.first_ns, row.code, row.subject, row.message)
        if row.code == STRATEGY_RISK and row.severity is Severity.WARNING:
            self._note_rule(row.subject)

    def _note_rule(self, subject: str) -> None:
        """Note the rule that closes a run or one leg of it; `subject`: strategy, for a leg also account, instrument and
        product, and the rule. A stop or target that closes a leg at the same time stands."""
        strategy, *leg, kind = subject.split(" ")
        word = RULE_WORDS.get(kind, "")
        for key in self._open_costs if word else ():
            if key[0] == strategy and (not leg or key[1] == leg[1]) and not self._exit_words.get(key):
                self._exit_words[key] = word

    def _fault(self, row: StrategyFaulted) -> None:
        self._event(row.at_ns, "FAULT", row.strategy, f"{row.error} ({row.where})")

    def _event(self, at_ns: int, code: str, subject: str, text: str) -> None:
        """Count an event, and keep its words as long as there are not too many."""
        self.counts[code] += 1
        if len(self.events) < MOST_EVENTS:
            self.events.append(RunEvent(at_ns, code, subject, text))

    def of_strategy(self, name: str) -> Ledger:
        """Return the fills, trades and events of one strategy; alerts are those that have it as subject."""
        part = Ledger(self._charge)
        part.fills = [fill for fill in self.fills if fill.strategy == name]
        part.trades = [trade for trade in self.trades if trade.strategy == name]
        words = zip(self.trades, self.exit_words, strict=True)
        part.exit_words = [word for trade, word in words if trade.strategy == name]
        part.events = [event for event in self.events if event.subject == name]
        part.counts = Counter(event.code for event in part.events)
        part.stops_given = {fill.instrument: self.stops_given.get(fill.instrument, set()) for fill in part.fills}
        part._costs = {key: costs for key, costs in self._costs.items() if key == name}
        return part

    def _costs_of(self, strategy: str) -> list[float]:
        found = self._costs.get(strategy)
        if found is None:
            found = self._costs[strategy] = [0.0] * len(Charges._fields)
        return found

    @property
    def costs_by_kind(self) -> dict[str, float]:
        """Return the rupees charged on all fills by charge: brokerage, stt, …"""
        return dict(zip(Charges._fields, map(sum, zip(*self._costs.values(), strict=True)), strict=False))

    @property
    def costs(self) -> float:
        """Return the rupees charged on all fills."""
        return sum(fill.cost for fill in self.fills)

    def trade_hash(self) -> str:
        """Return 16 hex digits over times, instruments, units and prices of all fills; equal runs have equal ones."""
        digest = hashlib.blake2b(digest_size=8)
        for fill in self.fills:
            digest.update(f"{fill.at_ns}|{fill.instrument}|{fill.strategy}|{fill.units}|{fill.price:.6f}\n".encode())
        return digest.hexdigest()


_HANDLERS: dict[type, Callable[[Ledger, Any], None]] = {
    PositionChanged: Ledger._filled, TradeClosed: Ledger._closed, SignalDenied: Ledger._denied,
    SignalExpired: Ledger._denied, Alert: Ledger._alert, StrategyFaulted: Ledger._fault, Signal: Ledger._signalled,
    OrderChanged: Ledger._ordered, CloseGoal: Ledger._closing, SignalVetoed: Ledger._vetoed,
}  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """`equity` (rupees after costs) and `exposure` (rupees of what is held), one a bar time.

    Bar times are `start_ns` plus `span_ns`: what the columns have is not copied.
    """

    start_ns: NDArray[np.int64]
    span_ns: int
    equity: FloatArray
    exposure: FloatArray

    @property
    def end_ns(self) -> NDArray[np.int64]:
        """Return when each bar of the curve was complete (ns)."""
        return self.start_ns + self.span_ns

    def daily(self) -> tuple[NDArray[np.int64], FloatArray]:
        """Return the days (since 1970, Indian dates) and the equity in rupees at the end of each."""
        if not len(self.start_ns):
            return np.empty(0, dtype=np.int64), np.empty(0)
        days = (self.start_ns + (self.span_ns - 1 + IST_OFFSET)) // DAY
        lasts = np.concatenate((np.flatnonzero(days[1:] != days[:-1]), [len(days) - 1]))
        return days[lasts], self.equity[lasts]


def curve_of(
    capital: float, data: Sequence[Columns], fills: Sequence[Fill], exits: Mapping[str, FloatArray] | None = None
) -> Curve:
    """Compute the equity curve (rupees) over the bar times of all instruments. `exits` are bid and ask at each bar's
    end by instrument, shape (2, n): positions are valued at what closing would bring, at the close where NaN."""
    if not data:
        return Curve(np.empty(0, dtype=np.int64), 0, np.array([capital]), np.empty(0))
    starts = data[0].start_ns
    if len(data) > 1:
        starts = np.unique(np.concatenate([columns.start_ns for columns in data]))
    by_name: dict[str, list[Fill]] = {}
    for fill in fills:
        by_name.setdefault(fill.instrument, []).append(fill)
    equity, exposure, cash = (np.zeros(len(starts)) for _ in range(3))
    for columns in data:
        if mine := by_name.get(columns.instrument):
            _add(columns, mine, starts, (equity, exposure, cash), (exits or {}).get(columns.instrument))
    equity += capital + np.cumsum(cash, out=cash)
    return Curve(starts, data[0].span_ns, equity, exposure)


def _add(
    columns: Columns, fills: list[Fill], starts: NDArray[np.int64], to: tuple[FloatArray, FloatArray, FloatArray],
    exits: FloatArray | None,
) -> None:  # fmt: skip
    """Add what an instrument is worth from its first fill until it is flat for good, and the cash of its fills."""
    equity, exposure, cash = to
    at = np.searchsorted(starts, np.array([fill.at_ns for fill in fills]) - columns.span_ns, side="right")
    at = np.minimum(at, len(starts) - 1)
    np.add.at(cash, at, np.array([-fill.units * fill.price - fill.cost for fill in fills]))
    first, last = int(at.min()), len(starts) if sum(fill.units for fill in fills) else int(at.max())
    change = np.zeros(last - first + 1)
    np.add.at(change, at - first, np.array([float(fill.units) for fill in fills]))
    units, held = np.cumsum(change, out=change)[: last - first], slice(first, last)
    if len(starts) == len(columns):
        units *= columns.close[held] if exits is None else _worth(units, columns.close[held], exits[:, held])
    else:
        row = np.searchsorted(columns.start_ns, starts[held], side="right") - 1
        at = np.maximum(row, 0)
        worth = columns.close[at] if exits is None else _worth(units, columns.close[at], exits[:, at])
        units *= np.where(row >= 0, worth, 0.0)
    equity[held] += units
    exposure[held] += np.abs(units, out=units)


def _worth(units: FloatArray, close: FloatArray, exits: FloatArray) -> FloatArray:
    """Return closing prices a unit: the bid of long positions, the ask of short ones, else the close."""
    side = np.where(units > 0, exits[0], exits[1])
    return np.where(np.isnan(side), close, side)
