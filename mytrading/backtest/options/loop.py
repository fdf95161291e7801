"""The loop of a run whose contracts are not in its data: they are priced as they are wanted, and walked like data.

A contract has bars at those of its underlying from the moment on at which a signal names it until it is flat and a day
ends. Contracts are listed, quoted and chosen as on the day of the bar.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.data.feeds import BarTape, Feed
from mytrading.backtest.engine.assumptions import MarketContext
from mytrading.backtest.engine.ledger import Fill
from mytrading.backtest.engine.loop import Loop
from mytrading.backtest.options.calibration import DayError, calibration_errors
from mytrading.backtest.options.leg_columns import PriceReach, combined_reach, first_bar, price_reach
from mytrading.backtest.options.market import (
    RECORDED,
    SOURCES,
    DayPrices,
    OptionMarket,
    Sides,
    sides_around,
    spread_around,
)
from mytrading.core.calendar import Calendar
from mytrading.core.engine.contract_selection import candidate_contracts, tradable_contracts
from mytrading.core.engine.strategy_host import StrategyHost
from mytrading.core.indicators import FloatArray
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.risk.runs.run import Run
from mytrading.core.time import ist_date
from mytrading.messages.enums import LimitKind
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.leg_plan import LegRule
from mytrading.messages.market import Bar, Quote
from mytrading.messages.orders import PositionChanged
from mytrading.messages.risk_events import RiskEventRecorded
from mytrading.messages.signals import Leg, Signal
from mytrading.strategies.signals import StrategySignal

_ENDLESS = {LimitKind.DAILY_LOSS: 1e15, LimitKind.DRAWDOWN: 1.0}
"""Limits of risk that no run can come to."""
_PAISA = 0.01
"""Rupees by which a profit counts as being at a rule of its run: a bar too many is walked, none too few."""


class PricedContracts(NamedTuple):
    """What pricing the contracts of a run came to: their bars, and from which source the prices were.

    `columns`: bars of each contract that the run held or ordered. `bars`, `fills`: how many of its bars and fills were
    priced by each of `SOURCES`, by the source's name."""

    columns: tuple[Columns, ...]
    bars: dict[str, int]
    fills: dict[str, int]
    gaps: dict[str, int]
    """By contract, bars that nobody recorded amid its recorded ones, while it was held or ordered."""
    quotes: QuoteCounts
    """Bars and fills with a recorded bid and ask."""
    exits: Mapping[str, FloatArray]
    """By contract that has any, bid and ask at the end of each of its bars: shape (2, n), NaN where there are none."""
    calibration: tuple[DayError, ...]
    """Error of prices off the underlying against the bhavcopies given, day by day."""

    def source_fractions(self) -> dict[str, float]:
        """Return the share (0 to 1) of each price source in the bars at which a contract was held or ordered."""
        total = sum(self.bars.values())
        return {name: self.bars.get(name, 0) / total if total else 0.0 for name in SOURCES}


class QuoteCounts(NamedTuple):
    """Of a run whose contracts have recorded bid and ask: how often they were there while one was held or ordered."""

    bars: int
    """Recorded bars that end with a bid and an ask."""
    fills: int
    """Fills at a moment at which bid and ask were known."""
    missing: Mapping[str, int]
    """By contract, recorded bars that had none that could be believed."""


class OptionWorld(MarketContext):
    """A world that also lists contracts of what the data is of; `held` stay listed whatever the price does."""

    def __init__(self, calendar: Calendar, facts: ContractFacts, market: OptionMarket, data: Iterable[str]) -> None:
        super().__init__(calendar, facts, data)
        self.market = market
        self.held: dict[str, Instrument] = {}

    def open_day(self, day: date) -> InstrumentBook:
        """Begin a trading day and return its contracts, with listed options and those still held."""
        super().open_day(day)
        self._listed, book = self.market.book_of(day, tuple(self._listed.values()), tuple(self.held.values()))
        return book

    def _list(self, name: str, day: date) -> Instrument:
        found = super()._list(name, day)
        if name not in self.stand_ins or not self.market.terms.legs_only:
            return found
        self.stand_ins.discard(name)
        return replace(found, kind=InstrumentKind.INDEX, lot_size=1, freeze_qty=0)


class LegTape(BarTape):
    """A contract's bars of the present day, and all that it had before."""

    def __init__(self, contract: Instrument, underlying: str) -> None:
        super().__init__(Columns(contract.id, "1m", np.empty(0, np.int64), np.empty((5, 0))))
        self.contract = contract
        self.underlying = underlying
        self.days: list[DayPrices] = []
        self.ready = False
        self._known: Sides | None = None

    def open_day(self, prices: DayPrices | None) -> None:
        """Begin a day with the contract's bars; with None (it has none) the earlier ones stay."""
        self.ready, self._known = False, None
        if prices is not None:
            self.columns = prices.columns
            self.days.append(prices)

    def step(self, start: int) -> bool:
        """Move to the bar that starts at `start` (ns); False, with no bar `ready`, if there is none."""
        row = int(np.searchsorted(self.columns.start_ns, start))
        self.ready = row < len(self.columns) and int(self.columns.start_ns[row]) == start
        if self.ready:
            self.row = row
            self._known = _known(self.days[-1].before, row)
        return self.ready

    def pass_over(self, end: int) -> slice:
        """Move past the bars up to the one that ends at `end` (ns) without walking them; return their rows."""
        first = self.row + 1
        self.row = int(np.searchsorted(self.columns.start_ns, end)) - 1
        self.last, self.last_ns = float(self.columns.close[self.row]), end
        self.end_bar()
        return slice(first, self.row + 1)

    def end_bar(self) -> None:
        """End the current bar: its closing bid and ask apply from now on."""
        self.ready = False
        self._known = _known(self.days[-1].quotes, self.row) if self.days else None

    def recorded_sides(self, price: float, now: int) -> Sides | None:
        """Return the last recorded bid and ask, within a bar their spread around `price`; None if none are known."""
        known = self._known
        if known is None or not self.ready or (now <= self.current_bar[0] and price == self.current_bar[1]):
            return known
        return spread_around(price, known, self.contract.tick_size)

    def sides(self, price: float, now: int) -> Sides | None:
        """Return bid and ask, recorded or modelled, at `price`; None where both equal the price."""
        half = float(self.days[-1].half[self.row]) if self.days else 0.0
        return self.recorded_sides(price, now) or (sides_around(price, half, self.contract.tick_size) if half else None)

    @property
    def may_pass_over(self) -> bool:
        """True if the day has bars and none of them a recorded bid and ask, by which what is held would be valued."""
        return bool(self.days) and len(self.columns) > 0 and bool(np.isnan(self.days[-1].quotes).all())

    def source_at(self, now: int) -> str:
        """Return the name of the price source at a market time; `settled` after the last bar of a day."""
        found = self._bar_at(now)
        if found is None:
            return SOURCES[0]
        prices, row = found
        over = now >= int(prices.columns.start_ns[row]) + prices.columns.span_ns
        return "settled" if over else SOURCES[int(prices.source[row])]

    def was_quoted(self, now: int) -> bool:
        """True if bid and ask were recorded at a market time during trading."""
        found = self._bar_at(now)
        return found is not None and self.source_at(now) != "settled" and _known(found[0].before, found[1]) is not None

    def _bar_at(self, now: int) -> tuple[DayPrices, int] | None:
        for prices in reversed(self.days):
            row = int(np.searchsorted(prices.columns.start_ns, now, side="right")) - 1
            if row >= 0:
                return prices, row
        return None

    def all_bars(self) -> Columns:
        """Return the contract's bars of all days so far."""
        parts = [prices.columns for prices in self.days]
        start = np.concatenate([part.start_ns for part in parts])
        return Columns(self.contract.id, parts[0].timeframe, start, np.concatenate([p.table for p in parts], axis=1))

    def all_quotes(self) -> FloatArray:
        """Return the recorded bid and ask at the end of each of the contract's bars: shape (2, n)."""
        return np.concatenate([prices.quotes for prices in self.days], axis=1)


def _known(quotes: FloatArray, row: int) -> Sides | None:
    bid, ask = quotes[:, row].tolist()
    return (bid, ask) if bid == bid else None  # NaN is not itself


class OptionLoop(Loop):
    """A loop that prices what is traded; call `open_market` before `run`."""

    def open_market(self, world: OptionWorld) -> None:
        """Attach the option market of `world` to this loop, its venue and machines; call it before `run`."""
        self._contracts = world
        self._market = world.market
        self._legs: dict[str, LegTape] = {}
        self._past: dict[str, LegTape] = {}
        self.bars: Counter[str] = Counter()
        """Bars walked with a contract held or ordered, by where its price was from."""
        self.quoted = 0
        """Recorded bars among them that end with a bid and an ask."""
        self.gaps: Counter[str] = Counter()
        """The same bars that lay in a hole of the contract's record, by contract."""
        self._on_row_before: Callable[[Any], None] = self._machines.on_row
        self._machines.on_row = self._on_row
        self.missing: Counter[str] = Counter()
        """The others among them, of contracts that bid and ask were recorded of."""
        self._position_moved = False
        """True until the end of a bar in which a position changed: risk then looks at what guards the others."""
        self._acts_ns: int | None = None
        """The start of the first bar at which a price of what is held can lead to something; None if not known."""
        self._passing = False
        """True while contracts pass over the current bar."""
        self._passed_ns = 0
        """The end of the newest bar that contracts passed over and do not know of yet; 0 if there is none."""
        self._limited = any(limit.most < _ENDLESS.get(limit.kind, math.inf) for limit in self._risk.limits.all_limits)
        self._venue.sides = self._sides
        self._machines.sides = self._quoted
        self._risk.environment.tables = self._market.terms.tables

    def run(self) -> None:
        """Run all bars in order of time; contracts that expire on the last day settle if that day is complete."""
        self._together(self._watched)
        self._end_whole_day()
        self._machines.engine.stop()

    def outcome(self, fills: Sequence[Fill]) -> PricedContracts:
        """Return, after the run, the contracts' bars and how many bars and `fills` were priced by which source."""
        legs = [leg for leg in {**self._past, **self._legs}.values() if leg.days]
        by_name = {leg.contract.id: leg for leg in legs}
        found = Counter(by_name[fill.instrument].source_at(fill.at_ns) for fill in fills if fill.instrument in by_name)
        bars, columns = dict(self.bars), tuple(leg.all_bars() for leg in legs)
        counts, errors = self._counts(by_name, fills), calibration_errors(self._market)
        return PricedContracts(columns, bars, dict(found), dict(self.gaps), counts, self._exits(legs), errors)

    def _counts(self, legs: Mapping[str, LegTape], fills: Sequence[Fill]) -> QuoteCounts:
        priced = sum(fill.instrument in legs and legs[fill.instrument].was_quoted(fill.at_ns) for fill in fills)
        return QuoteCounts(self.quoted, priced, dict(self.missing))

    def _exits(self, legs: Sequence[LegTape]) -> dict[str, FloatArray]:
        names = self._market.terms.quotes
        return {leg.contract.id: leg.all_quotes() for leg in legs if leg.contract.id in names}

    # the market

    def _opened(self, feed: BarTape, start: int) -> None:
        self._passing = bool(self._legs) and not self.plain and start < self._act_after(feed, start)
        if self._passing:
            return
        self._catch_up()
        name = feed.columns.instrument
        mine = [leg for leg in self._legs.values() if leg.underlying == name and leg.step(start)]
        for leg in mine:
            self._venue.set_price(leg.contract.id, leg.current_bar[1])
        super()._opened(feed, start)
        for leg in mine:
            super()._opened(leg, start)

    def _moved(self, feed: Feed, end: int) -> None:
        if self._passing:
            feed.last, feed.last_ns = float(feed.columns.table[3, feed.row]), end
            self._passed_ns = end
            return
        for leg in [leg for leg in self._legs.values() if leg.underlying == feed.columns.instrument and leg.ready]:
            self._count(leg, slice(leg.row, leg.row + 1))
            self._walked(leg, end)
            leg.end_bar()
        super()._moved(feed, end)
        if self._position_moved:
            self._position_moved = False
            self._update_flags()

    def _count(self, leg: LegTape, rows: slice) -> None:
        """Count where the prices of these bars are from, if the contract is held or ordered."""
        name = leg.contract.id
        if self._waits(name) or self._venue.held_units(name):
            self._tally(name, leg.days[-1], rows)

    def _tally(self, name: str, prices: DayPrices, rows: slice) -> None:
        """Count where the prices of these bars of a contract's day are from."""
        is_recorded = prices.source[rows] == RECORDED
        for number, count in enumerate(np.bincount(prices.source[rows]).tolist()):
            if count:
                self.bars[SOURCES[number]] += count
        self.gaps += Counter({name: int(np.count_nonzero(prices.gap[rows]))})
        if name in self._market.terms.quotes:
            lacking = int(np.count_nonzero(is_recorded & np.isnan(prices.quotes[0, rows])))
            self.quoted += int(np.count_nonzero(is_recorded)) - lacking
            self.missing += Counter({name: lacking})

    # bars at which nothing can happen

    def _act_after(self, feed: BarTape, start: int) -> int:
        """The start of the first bar, this one or a later one of the day, at which contracts have to be walked."""
        if self._acts_ns is None:
            self._acts_ns = self._first_act(feed, start)
        return self._acts_ns

    def _first_act(self, feed: BarTape, start: int) -> int:
        """This bar's start where prices leave more behind than a profit, or a contract is not priced off `feed`; else
        that of the first one at which what is held comes to a level, an order or a rule."""
        risk, legs = self._risk, list(self._legs.values())
        name, venue = feed.columns.instrument, self._venue
        busy = self.restless or self._loses or self._limited or venue.waiting or risk.runs.series.any
        stops, targets = risk.state.stop_levels, risk.state.target_levels
        ordered = {*venue.touch, *(key[1] for key in (*stops, *targets))}
        alone = len(self._watched) == 1 and ordered <= self._legs.keys() and not venue.held_units(name)
        if busy or not alone or any(leg.underlying != name or not leg.may_pass_over for leg in legs):
            return start
        starts = legs[0].columns.start_ns
        row = int(np.searchsorted(starts, start))
        reach = {leg.contract.id: price_reach(leg.columns, row) for leg in legs}
        acts = np.zeros(len(starts) - row, dtype=np.bool_)
        acts[: row == 0] = True
        for contract, touch in venue.touch.items():
            acts |= reach[contract].bars_outside(*touch)
        for levels, way in ((stops, 1), (targets, -1)):
            for key, level in levels.items():
                falls = venue.held_units(key[1]) * way > 0
                acts |= reach[key[1]].bars_outside(level if falls else -math.inf, math.inf if falls else level)
        for run in risk.runs.books.runs.values():
            found = self._acts_of(run, reach)
            if found is None:
                return start
            acts |= found
        first = first_bar(acts)
        return int(starts[row + first]) if first is not None else int(starts[-1]) + legs[0].columns.span_ns

    @staticmethod
    def _acts_of(run: Run, reach: Mapping[str, PriceReach]) -> NDArray[np.bool_] | None:
        """The bars at which a rule of a run or of its legs may apply; None where every price moves something."""
        held, bounded = list(run.legs.values()), run.low > -math.inf or run.high < math.inf
        acts = np.zeros(len(next(iter(reach.values())).low), dtype=np.bool_)
        if not held:
            return acts
        if run.trails or run.rules.leg_trailing.value or run.entering or run.leaving:
            return None
        if (bounded and run.profit is None) or any(
            leg.instrument not in reach or leg.quantity != leg.units for leg in held
        ):
            return None
        for leg in held:
            acts |= reach[leg.instrument].bars_outside(leg.floor, leg.ceiling)
        if bounded:
            cost = sum(leg.quantity * leg.average_price for leg in held) - run.realised
            worth = combined_reach([reach[leg.instrument] for leg in held], [leg.quantity for leg in held])
            acts |= worth.bars_outside(run.low + cost + _PAISA, run.high + cost - _PAISA)
        return acts

    def _catch_up(self) -> None:
        """Tell venue and risk where contracts stand after the bars that they passed over."""
        end, self._passed_ns = self._passed_ns, 0
        if not end:
            return
        for leg in self._legs.values():
            self._count(leg, leg.pass_over(end))
            if leg.contract.id not in self._path.listens:
                self._venue.set_price(leg.contract.id, float(leg.columns.table[0, leg.row]))
        for name, feed in self._feeds.items():
            if name in self._path.listens:
                self._venue.set_price(name, feed.last)
                self._machines.note_price(name, feed.last, end)

    def _last_price(self, name: str, now: int) -> float:
        self._catch_up()
        return super()._last_price(name, now)

    def _update_flags(self) -> None:
        super()._update_flags()
        self.restless |= self._position_moved
        self._acts_ns = None

    def _learn_prices(self) -> None:
        self._catch_up()
        super()._learn_prices()

    def carry_out_signals(self, feed: Feed, bar: Bar, signals: list[StrategySignal], end: int) -> None:
        """Pass the strategy's signals at the end of a bar to the machines for a decision."""
        self._catch_up()
        super().carry_out_signals(feed, bar, signals, end)

    def _sides(self, name: str, price: float) -> Sides | None:
        leg = self._legs.get(name)
        return leg.sides(price, self._venue.now) if leg is not None else None

    def _quoted(self, name: str, price: float) -> Sides | tuple[None, None]:
        leg = self._legs.get(name)
        return (leg.recorded_sides(price, self._venue.now) if leg is not None else None) or (None, None)

    def _profit(self) -> float:
        """Return the profit of open positions in rupees, valued at bid or ask where those were recorded."""
        total = super()._profit()
        for position in self._risk.state.open_positions():
            leg = self._legs.get(position.instrument)
            sides = leg.recorded_sides(leg.last, self._venue.now) if leg is not None else None
            if leg is not None and sides is not None:
                total += position.quantity * (sides[position.quantity < 0] - leg.last)
        return total

    # what is wanted

    def _look(self, host: StrategyHost, signals: Sequence[StrategySignal], now: int) -> None:
        """Quote what the signals may lead to, as the feed would by now."""
        for feed in self._watched:
            if feed.last_ns:
                self._machines.engine.prices.note(feed.columns.instrument, feed.last, feed.last_ns)
        wanted = [name for signal in signals for name in self._candidates(host, signal, now)]
        if wanted:
            self._quote(dict.fromkeys(wanted), now)
            self._risk.apply(self._venue.funds())

    def _candidates(self, host: StrategyHost, signal: StrategySignal, now: int) -> Sequence[str]:
        engine = self._machines.engine
        if signal.changes:
            signal = replace(signal, legs=tuple(one.opens for one in signal.changes if one.opens is not None))
        if not signal.legs:
            return (
                tradable_contracts(host.run, engine.book, engine.prices.latest, now)
                if signal.action in ("BUY", "SELL") and not signal.changes
                else ()
            )
        rules = [leg for leg in signal.legs if isinstance(leg, LegRule)]
        named = [leg.instrument for leg in signal.legs if isinstance(leg, Leg)]
        return (*named, *candidate_contracts(rules, signal.instrument, engine.prices.latest, engine.book, now))

    def _quote(self, names: Iterable[str], now: int) -> None:
        found = [self._contracts.instrument(name) for name in names]
        contracts = [one for one in found if one is not None and self._market.underlying(one)]
        machines = self._machines
        for name, (price, bid, ask, quoted) in self._market.prices_at(contracts, now).items():
            quote = Quote(name, now, now, price, bid, ask)
            machines.engine.note_price(quote)
            machines.risk.apply(quote if quoted else Quote(name, now, now, price))
            if self._at_close:
                self._venue.set_price(name, price)

    def _on_row(self, row: Any) -> None:
        """Follow the contracts that a signal names from now on."""
        self._on_row_before(row)
        self._position_moved |= isinstance(row, PositionChanged)
        if isinstance(row, RiskEventRecorded):  # it may have moved stops
            self._acts_ns = None
        if isinstance(row, Signal):
            for leg in (*row.legs, *row.otherwise):
                self._follow(leg.instrument)

    def _follow(self, name: str) -> None:
        contract = self._contracts.instrument(name)
        if name in self._feeds or contract is None or not (underlying := self._market.underlying(contract)):
            return
        leg = self._past.pop(name, None) or LegTape(contract, underlying)
        now = self._venue.now
        leg.open_day(self._market.prices(contract, ist_date(now - 1)))
        self._legs[name] = self._feeds[name] = leg
        moment = self._market.prices_at([contract], now).get(name)
        if moment is not None:
            leg.last, leg.last_ns = moment.price, now
        leg.row = max(int(np.searchsorted(leg.columns.start_ns, now)) - 1, 0)
        leg.end_bar()
        if self._at_close and moment is not None:
            self._venue.set_price(name, moment.price)

    # days

    def _end_day(self, start: int) -> None:
        self._catch_up()
        super()._end_day(start)
        held = {position.instrument for position in self._risk.state.open_positions()}
        if self._venue.waiting:  # a basket is on its way into the next day: its later legs follow its first ones
            held |= self._legs.keys()
        for name in [name for name in self._legs if name not in held]:
            self._past[name] = self._legs.pop(name)
            del self._feeds[name]
        self._contracts.held = {name: leg.contract for name, leg in self._legs.items()}

    def _turn_day(self, start: int) -> None:
        self._machines.engine.contracts.chains.forget_quotes()
        super()._turn_day(start)
        legs = list(self._legs.values())
        for leg, prices in zip(
            legs, self._market.prices_of([leg.contract for leg in legs], ist_date(start)), strict=True
        ):
            leg.open_day(prices)

    def _end_whole_day(self) -> None:
        """The last day has no day after it that would end it."""
        self._catch_up()
        last = max((feed.last_ns for feed in self._watched), default=0)
        closes = self._closes()
        if closes and last >= max(closes):
            self._venue.now = max(last, *closes)
            self._expire()

    def _settlement(self, instrument: Instrument) -> float:
        """Return the settlement price of an expiring contract, rupees, from the underlying at the end of the day."""
        if self._market.underlying(instrument) and instrument.expiry <= ist_date(self._venue.now - 1).isoformat():
            return self._market.settlement(instrument)
        return super()._settlement(instrument)
