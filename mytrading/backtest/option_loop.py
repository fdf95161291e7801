"""The loop of a run whose contracts are not in its data: they are priced as they are wished for, and walked like data.

Used by `runner`. A contract has bars at those of its underlying from the moment on at which a wish names it until it is
flat and a day ends. The one rule: contracts are listed, quoted and chosen as on the day of the bar.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any, NamedTuple

import numpy as np
from msgspec.structs import replace

from mytrading.backtest.columns import Columns
from mytrading.backtest.feeds import Feed, Tape
from mytrading.backtest.ledger import Fill
from mytrading.backtest.loop import Loop
from mytrading.backtest.option_market import DayPrices, OptionMarket
from mytrading.backtest.option_terms import SOURCES
from mytrading.backtest.world import ACCOUNT, World
from mytrading.core.calendar import Calendar, day_of
from mytrading.core.contracts import ContractFacts
from mytrading.core.instruments import InstrumentBook
from mytrading.core.leg_rules import candidates
from mytrading.messages.instruments import Instrument, InstrumentKind
from mytrading.messages.leg_plan import LegRule
from mytrading.messages.market import Quote
from mytrading.messages.reports import Funds
from mytrading.messages.signals import Leg, Signal
from mytrading.strategies.hosted import Hosted
from mytrading.strategies.legs import tradable
from mytrading.strategies.wishes import Wish


class Priced(NamedTuple):
    """The bars of the contracts that a run wished for, and how many bars and fills had their price from where."""

    columns: tuple[Columns, ...]
    bars: dict[str, int]
    fills: dict[str, int]

    def shares(self) -> dict[str, float]:
        """The share of each source in the bars at which a contract was held or ordered."""
        total = sum(self.bars.values())
        return {name: self.bars.get(name, 0) / total if total else 0.0 for name in SOURCES}


class OptionWorld(World):
    """A world that also lists contracts of what the data is of; `held` stay listed whatever the price does."""

    def __init__(self, calendar: Calendar, facts: ContractFacts, market: OptionMarket, data: Iterable[str]) -> None:
        super().__init__(calendar, facts, data)
        self.market = market
        self.held: dict[str, Instrument] = {}

    def open_day(self, day: date) -> InstrumentBook:
        """The contracts of a day."""
        super().open_day(day)
        listed = {item.id: item for item in self.market.listed(day)}
        self._listed = {**self._listed, **listed, **self.held}
        return InstrumentBook(self._listed.values(), self.market.ends)

    def _list(self, name: str, day: date) -> Instrument:
        found = super()._list(name, day)
        if name not in self.stand_ins or not self.market.terms.legs_only:
            return found
        self.stand_ins.discard(name)
        return replace(found, kind=InstrumentKind.INDEX, lot_size=1, freeze_qty=0)


class LegTape(Tape):
    """A contract's bars of the present day, and all that it had before."""

    def __init__(self, contract: Instrument, underlying: str) -> None:
        super().__init__(Columns(contract.id, "1m", np.empty(0, np.int64), np.empty((5, 0))))
        self.contract = contract
        self.underlying = underlying
        self.days: list[DayPrices] = []
        self.ready = False

    def open_day(self, prices: DayPrices | None) -> None:
        """A day's bars begin."""
        self.ready = False
        if prices is not None:
            self.columns = prices.columns
            self.days.append(prices)

    def step(self, start: int) -> bool:
        """Go to the bar that starts then; False if there is none."""
        row = int(np.searchsorted(self.columns.start_ns, start))
        self.ready = row < len(self.columns) and int(self.columns.start_ns[row]) == start
        if self.ready:
            self.row = row
        return self.ready

    @property
    def half(self) -> float:
        """Half of bid to ask at the present bar, rupees."""
        return float(self.days[-1].half[self.row]) if self.days else 0.0

    @property
    def source(self) -> int:
        """Where the present bar's prices are from."""
        return int(self.days[-1].source[self.row])

    def source_at(self, now: int) -> str:
        """Where the price of a moment was from; `settled` after the last bar of a day."""
        for prices in reversed(self.days):
            start = prices.columns.start_ns
            row = int(np.searchsorted(start, now, side="right")) - 1
            if row >= 0:
                over = now >= int(start[row]) + prices.columns.span_ns
                return "settled" if over else SOURCES[int(prices.source[row])]
        return SOURCES[0]

    def all_bars(self) -> Columns:
        """The bars of all days."""
        parts = [prices.columns for prices in self.days]
        start = np.concatenate([part.start_ns for part in parts])
        return Columns(self.contract.id, parts[0].timeframe, start, np.concatenate([p.table for p in parts], axis=1))


class OptionLoop(Loop):
    """A loop that prices what is traded; call `open_market` before `run`."""

    def open_market(self, world: OptionWorld) -> None:
        """Take the contracts' prices from this world's market."""
        self._contracts = world
        self._market = world.market
        self._legs: dict[str, LegTape] = {}
        self._past: dict[str, LegTape] = {}
        self.bars: Counter[str] = Counter()
        """Bars walked with a contract held or ordered, by where its price was from."""
        self._heard_before: Callable[[Any], None] = self._machines.heard
        self._machines.heard = self._hear
        self._venue.half_spread = self._half_spread
        self._risk.tables = self._market.terms.tables

    def run(self, quick: Callable[[], None] | None = None) -> None:
        """All bars, one moment after the other; what expires on the last day is settled if that day is complete."""
        del quick
        self._together(self._watched)
        self._end_whole_day()
        self._machines.engine.stop()

    def outcome(self, fills: Sequence[Fill]) -> Priced:
        """What was priced, once the run is over."""
        legs = [leg for leg in {**self._past, **self._legs}.values() if leg.days]
        by_name = {leg.contract.id: leg for leg in legs}
        found = Counter(by_name[fill.instrument].source_at(fill.at_ns) for fill in fills if fill.instrument in by_name)
        return Priced(tuple(leg.all_bars() for leg in legs), dict(self.bars), dict(found))

    # the market

    def _opened(self, feed: Tape, start: int) -> None:
        mine = [leg for leg in self._legs.values() if leg.underlying == feed.columns.instrument and leg.step(start)]
        for leg in mine:
            self._venue.mark(leg.contract.id, leg.present[1])
        super()._opened(feed, start)
        for leg in mine:
            super()._opened(leg, start)

    def _moved(self, feed: Feed, end: int) -> None:
        for leg in [leg for leg in self._legs.values() if leg.underlying == feed.columns.instrument and leg.ready]:
            if self._waits(leg.contract.id) or self._venue.held(leg.contract.id):
                self.bars[SOURCES[leg.source]] += 1
            self._walked(leg, end)
            leg.ready = False
        super()._moved(feed, end)

    def _half_spread(self, name: str) -> float:
        leg = self._legs.get(name)
        return leg.half if leg is not None else 0.0

    # what is wished for

    def _look(self, hosted: Hosted, wishes: Sequence[Wish], now: int) -> None:
        """Quote what the wishes may lead to, as the feed would by now."""
        for feed in self._watched:
            if feed.last_ns:
                self._machines.engine.prices[feed.columns.instrument] = feed.last
        wanted = [name for wish in wishes for name in self._candidates(hosted, wish, now)]
        if wanted:
            self._quote(dict.fromkeys(wanted), now)
            self._tell_funds()

    def _tell_funds(self) -> None:
        """What the exchange has left for margin, as the reconciler would have read it by now."""
        desk, at = self._venue.exchange.desk, self._venue.clock()
        funds = Funds(account=ACCOUNT, available=desk.available(), used=0.0, machine_ns=at, began_machine_ns=at)
        self._risk.apply(funds)

    def _candidates(self, hosted: Hosted, wish: Wish, now: int) -> Sequence[str]:
        engine = self._machines.engine
        if not wish.legs:
            return tradable(hosted.run, engine.book, engine.prices, now) if wish.action in ("BUY", "SELL") else ()
        rules = [leg for leg in wish.legs if isinstance(leg, LegRule)]
        named = [leg.instrument for leg in wish.legs if isinstance(leg, Leg)]
        return (*named, *candidates(rules, wish.instrument, engine.prices, engine.book, now))

    def _quote(self, names: Iterable[str], now: int) -> None:
        found = [self._contracts.instrument(name) for name in names]
        contracts = [one for one in found if one is not None and self._market.underlying(one)]
        machines = self._machines
        for name, (price, half) in self._market.moment(contracts, now).items():
            machines.engine.note_price(Quote(name, now, now, price, price - half, price + half))
            machines.learn_price(name, price, now)
            if self._at_close:
                self._venue.mark(name, price)

    def _hear(self, row: Any) -> None:
        """Contracts that a signal names have bars from now on."""
        self._heard_before(row)
        if isinstance(row, Signal):
            for leg in (*row.legs, *row.otherwise):
                self._follow(leg.instrument)

    def _follow(self, name: str) -> None:
        contract = self._contracts.instrument(name)
        if name in self._feeds or contract is None or not (underlying := self._market.underlying(contract)):
            return
        leg = self._past.pop(name, None) or LegTape(contract, underlying)
        now = self._venue.now
        leg.open_day(self._market.prices(contract, day_of(now - 1)))
        self._legs[name] = self._feeds[name] = leg
        moment = self._market.moment([contract], now).get(name)
        if moment is not None:
            leg.last, leg.last_ns = moment.price, now
        leg.row = max(int(np.searchsorted(leg.columns.start_ns, now)) - 1, 0)

    # days

    def _end_day(self, start: int) -> None:
        super()._end_day(start)
        held = {position.instrument for position in self._risk.state.open_positions()}
        for name in [name for name in self._legs if name not in held]:
            self._past[name] = self._legs.pop(name)
            del self._feeds[name]
        self._contracts.held = {name: leg.contract for name, leg in self._legs.items()}

    def _turn_day(self, start: int) -> None:
        super()._turn_day(start)
        for leg in self._legs.values():
            leg.open_day(self._market.prices(leg.contract, day_of(start)))

    def _end_whole_day(self) -> None:
        """The last day has no day after it that would end it."""
        last = max((feed.last_ns for feed in self._watched), default=0)
        closes = [session.close_ns for name in self._feeds if (session := self._session(name)) is not None]
        if closes and last >= max(closes):
            self._venue.now = max(last, *closes)
            self._expire()

    def _settlement(self, instrument: Instrument) -> float:
        """What the underlying's end of the day makes of a contract that expires."""
        if self._market.underlying(instrument) and instrument.expiry <= day_of(self._venue.now).isoformat():
            return self._market.settlement(instrument)
        return super()._settlement(instrument)
