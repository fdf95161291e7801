"""The for-loop: bars in order, prices to the venue, completed bars to the strategy, wishes to the machines.

Used by `runner`. At a bar the market moves first (what waited for its open, then what its path touches), then the
strategy hears the completed bar, and what it wishes waits for the next one. The one rule: a machine is left alone only
where nothing could follow; `plain` calls them all at every bar, and must lead to the same trades.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import date

from mytrading.backtest.bar_path import BarPath
from mytrading.backtest.feeds import MOVED, SHOWN, Feed, Tape, merged
from mytrading.backtest.ledger import Ledger
from mytrading.backtest.machines import Machines
from mytrading.backtest.venue import Venue
from mytrading.backtest.world import World
from mytrading.core.calendar import Session, day_of
from mytrading.core.money import positions
from mytrading.core.risk.machine import RiskMachine
from mytrading.core.symbology import parse_symbol, split_id
from mytrading.messages.enums import LimitKind, Product
from mytrading.messages.instruments import Instrument
from mytrading.messages.market import Bar
from mytrading.messages.orders import PositionAdjusted, TimerFired
from mytrading.messages.strategy_rules import StrategyRules
from mytrading.strategies.engine_machine import TIME
from mytrading.strategies.hosted import Hosted
from mytrading.strategies.series import ist_day
from mytrading.strategies.wishes import Wish

_DAY = 86_400_000_000_000
_IST = 19_800_000_000_000
_EPOCH = date(1970, 1, 1).toordinal()
TOLD_EVERY = 16_383
_ENDLESS = 1e15
Progress = Callable[[int], None]
Told = Callable[[Bar], Wish | None]
Rests = Callable[[], bool]
Exercise = Callable[[Instrument, int, float, int], float]
"""Rupees that a contract's end costs: the contract, signed units, its settlement price, market ns."""


class Loop:
    """One run. `feeds` hold the bars and what the strategy sees of them."""

    def __init__(
        self,
        machines: Machines,
        venue: Venue,
        world: World,
        ledger: Ledger,
        feeds: list[Feed],
        most_loss: float,
        exercise: Exercise,
        progress: Progress,
    ) -> None:
        self._machines = machines
        self._risk = machines.risk
        self._venue = venue
        self._path = BarPath(machines, venue)
        self._world = world
        self._ledger = ledger
        self._feeds: dict[str, Tape] = {feed.columns.instrument: feed for feed in feeds}
        self._watched = feeds
        names = (split_id(feed.columns.instrument) for feed in feeds)
        self._by_margin = any(parse_symbol(symbol, exchange).kind.is_derivative for exchange, symbol in names)
        self._exercise = exercise
        self._progress = progress
        self._square_off = machines.risk.square_off
        self._most_loss = most_loss
        self.day = -1
        self._begins = 0
        self._next_clock = 0
        self.restless = False
        self._holding = self._loses = False
        self._ruled = _has_rules(self._risk)
        self._last_ns = 0
        self._at_close = venue.fills_at_close
        self.plain = False
        """True if every machine is called at every bar."""

    def plainly(self) -> None:
        """Leave no machine alone from now on; before the first bar."""
        self.plain = True
        self._path.listens = self._feeds

    def run(self, quick: Callable[[], None] | None = None) -> None:
        """All bars; what is held at the end stays open. `quick` walks in our place, and calls us where it must."""
        feeds = self._watched
        if quick is not None:
            quick()
        elif len(feeds) == 1 and feeds[0].drives_alone and not self.plain:
            self.alone(feeds[0], 0, len(feeds[0].columns))
        else:
            self._together(feeds)
        self._machines.engine.stop()

    def alone(self, feed: Feed, first: int, last: int, told: Told | None = None, rests: Rests | None = None) -> int:
        """The short way of one instrument whose own bars are what the strategy sees: rows `first` to before `last`.

        `told` answers in the place of the strategy; after a bar on which `rests` is true, no more is walked. Returns
        the row that was reached.
        """
        try:
            return self._alone(feed, first, last, told or feed.hosted.strategy.on_data, rests)
        finally:
            feed.hosted.desk.slots.clear()

    def _alone(self, feed: Feed, first: int, last: int, on_data: Told, rests: Rests | None) -> int:
        venue, path, columns, name = self._venue, self._path, feed.columns, feed.columns.instrument
        hosted, desk, series, warm = feed.hosted, feed.hosted.desk, feed.series, feed.warm
        desk.current, data, touch, index, acted = name, desk.data, venue.touch, first, True
        for bars in feed.walked(first, last):
            for after, bar, values in bars:
                if bar.start_ns >= self._next_clock:
                    self.clock(bar.start_ns)
                    acted = True
                end = bar.end_ns
                if venue.waiting or name in touch or name in path.listens:
                    acted = True
                    opens, close, volume = bar.open, bar.close, float(columns.table[4, index])
                    path.open(name, bar.start_ns, end, opens, close, volume)
                    self._note()
                    if path.walk(name, bar.start_ns, end, opens, bar.high, bar.low, close):
                        self._note()
                series.cursor = index = after
                desk.newest = values
                feed.last, feed.last_ns = bar.close, end
                if self.restless or self._loses:
                    self._moment(end)
                    acted = True
                if warm[index - 1] and hosted.fault is None:
                    desk.now = end
                    data[name] = bar
                    try:
                        result = on_data(bar)
                    except (Exception, SystemExit) as error:  # noqa: BLE001  (author code may raise anything)
                        hosted.raised(error)
                        self.wish(feed, bar, [], end)
                        acted = True
                    else:
                        if result is not None:
                            self.wish(feed, bar, hosted.answered(result), end)
                            acted = True
                        else:
                            feed.quiet_ns = end
                if acted and rests is not None:
                    if rests():
                        return index
                    acted = False
            if not index & TOLD_EVERY:
                self._progress(index)
        return index

    @property
    def is_still(self) -> bool:
        """True while neither a price nor time can move anything by itself."""
        return not (self._venue.waiting or self._venue.touch or self.restless or self._path.listens or self._loses)

    def _together(self, feeds: list[Feed]) -> None:
        """Several instruments or timeframes, merged by time: at one moment opens come last and wishes before them."""
        done = 0
        for phase, feed, frame, row, at_ns in merged(feeds):
            if phase == SHOWN:
                self._show(feed, frame, row, at_ns)
            elif phase == MOVED:
                done += 1
                if not done & TOLD_EVERY:
                    self._progress(done)
                self._moved(feed, at_ns)
            else:
                while 0 < (due := feed.hosted.waits_until()) <= at_ns:
                    self._pass_time(feed, due)
                if at_ns >= self._next_clock:
                    self.clock(at_ns)
                feed.row = row
                self._opened(feed, at_ns)

    def _pass_time(self, feed: Feed, now: int) -> None:
        """A timer of the strategy is due, or a slice ends in which some instrument did not trade."""
        wishes = feed.hosted.pass_time(now, now)
        if wishes or feed.hosted.fault is not None:
            row = TimerFired(name=TIME, machine_ns=now, market_ns=now)
            self._venue.now = now
            self._tell_prices()
            self._look(feed.hosted, wishes, now)
            self._machines.engine.timed(row, [(feed.hosted, wish) for wish in wishes])
            self._machines.wish(row, now)
            self._note()

    def _opened(self, feed: Tape, start: int) -> None:
        name = feed.columns.instrument
        if self._waits(name):
            _, opens, _, _, close, volume = feed.present
            self._path.open(name, start, start + feed.columns.span_ns, opens, close, volume)
            self._note()

    def _walked(self, feed: Tape, end: int) -> None:
        """A bar's prices have been walked through."""
        name, close = feed.columns.instrument, float(feed.columns.table[3, feed.row])
        if self._waits(name):
            start, opens, high, low, _, _ = feed.present
            if self._path.walk(name, start, end, opens, high, low, close):
                self._note()
        feed.last, feed.last_ns = close, end

    def _moved(self, feed: Feed, end: int) -> None:
        self._walked(feed, end)
        if self.plain:
            self._machines.learn_price(feed.columns.instrument, feed.last, end)
            self._venue.now = end
            self._machines.tick(end)
            self._note()
        elif self.restless or self._loses:
            self._moment(end)

    def _waits(self, name: str) -> bool:
        return bool(self._venue.waiting) or name in self._venue.touch or name in self._path.listens

    def _show(self, feed: Feed, frame: int, row: int, end: int) -> None:
        """A bar of some timeframe is complete: the strategy sees it."""
        bar = feed.shown_bar(frame, row)
        wishes = feed.hosted.show(bar)
        if not wishes:
            feed.quiet_ns = end
        if wishes or feed.hosted.fault is not None or self.plain:
            self.wish(feed, bar, wishes, end)

    # the strategy

    def wish(self, feed: Feed, bar: Bar, wishes: list[Wish], end: int) -> None:
        """What the strategy wishes at a bar's end goes the way of all wishes."""
        machines, venue = self._machines, self._venue
        venue.now = end
        if wishes and feed.quiet_ns:
            machines.engine.passed(feed.hosted, bar.instrument, feed.quiet_ns - 1, feed.quiet_ns)
        machines.engine.wished(bar, [(feed.hosted, wish) for wish in wishes])
        for other in self._feeds.values():
            if other.last_ns:
                machines.learn_price(other.columns.instrument, other.last, other.last_ns)
                if self._at_close:
                    venue.mark(other.columns.instrument, other.last)
        self._look(feed.hosted, wishes, end)
        machines.wish(bar, end)
        self._note()

    def _look(self, hosted: Hosted, wishes: Sequence[Wish], now: int) -> None:  # noqa: ARG002  (for loops that price)
        """What is wished for is about to be judged: contracts by what the account has free for margin."""
        if wishes and self._by_margin:
            self._risk.apply(self._venue.funds())

    # the clock

    def _moment(self, now: int) -> None:
        """A bar has passed: time is told where it matters, to whom it matters."""
        if not self.restless:
            if self._profit() > -self._most_loss or self._stopped():
                return
            self._tell_prices()
        self._venue.now = now
        self._machines.tick(now)
        self._note()

    def _profit(self) -> float:
        feeds = self._feeds
        total = 0.0
        for position in self._risk.state.positions.values():
            total += position.realised
            if position.quantity and (feed := feeds.get(position.instrument)) is not None:
                total += position.quantity * (feed.last - position.average_price)
        return total

    def _stopped(self) -> bool:
        return any(self._risk.limits.is_reached(limit) for limit in self._risk.limits.all)

    def _tell_prices(self) -> None:
        for feed in self._feeds.values():
            if feed.last_ns:
                self._machines.learn_price(feed.columns.instrument, feed.last, feed.last_ns)

    def _note(self) -> None:
        """Look once, after something happened, at what may follow by itself."""
        state = self._risk.state
        self._holding = bool(state.open_positions())
        self._loses = self._holding and self._most_loss < _ENDLESS
        self.restless = self._machines.orders.waits_for_time or any(True for _ in state.open_wishes())
        self._path.listens = self._heard() if self._holding or self.plain else frozenset()

    def _heard(self) -> Collection[str]:
        """Instruments whose every price risk has to see: stops and targets that it holds, or all if runs have rules."""
        state = self._risk.state
        aimed = {key[1] for key in state.target_levels}
        return self._feeds if self._ruled or self.plain else aimed.union(state.stop_instruments)

    def clock(self, start: int) -> None:
        """A bar begins at which a day turns, or at or after the time from which intraday positions are closed."""
        if ist_day(start) != self.day:
            self._turn_day(start)
        midnight = (self.day + 1) * _DAY - _IST
        if not self._begins or start < self._begins:
            self._next_clock = min(self._begins or midnight, midnight)
            return
        self._venue.now = start
        self._tell_prices()
        self._machines.tick(start)
        self._note()
        intraday = any(p.product is Product.MIS for p in self._risk.state.open_positions())
        self._next_clock = start + 1 if intraday or self._risk.state.all_live_entries() else midnight

    def _turn_day(self, start: int) -> None:
        if self.day >= 0:
            self._end_day(start)
        self.day = ist_day(start)
        day = day_of(start)
        machines = self._machines
        book = self._world.open_day(day)
        machines.engine.book = machines.risk.instruments = book
        machines.open_day(day.isoformat(), start)
        exchanges = {name.partition(":")[0] for name in self._feeds}
        begins = [at for exchange in exchanges if (at := self._square_off.begins(exchange, start))]
        self._begins = min(begins, default=0)
        self._venue.now = start
        self._venue.exchange.advance(start, self._venue.marks.get, self._settlement)
        if self._holding:
            self.restless = True

    def _end_day(self, start: int) -> None:
        """After the last bar of a day: what waited is refused, intraday positions end, contracts expire.

        Where the next day's trading begins as this one's ends, or bars are of whole days, what waited waits on.
        """
        venue, machines = self._venue, self._machines
        last = max(feed.last_ns for feed in self._feeds.values())
        for feed in self._feeds.values():
            venue.mark(feed.columns.instrument, feed.last)
        if venue.waiting and start > last and self._watched[0].columns.span_ns < _DAY:
            venue.now = last
            venue.refuse_waiting("the session is over before the order reached the exchange")
            machines.settle(last)
        if any(p.product is Product.MIS for p in self._risk.state.open_positions()) and self._begins:
            self._close_late(max(last - 1, self._begins))
        closes = [s.close_ns for name in self._feeds if (s := self._session(name)) is not None]
        venue.now = max([last, *closes])
        venue.end_day(self._settlement)
        machines.settle(venue.now)
        machines.tick(venue.now)
        self._expire()
        self._note()

    def _close_late(self, now: int) -> None:
        """No bar came between the time of the square-off and the close: the last price has to do."""
        self._venue.now, self._venue.moving = now, True
        self._tell_prices()
        self._machines.tick(now)
        self._venue.moving = False

    def _expire(self) -> None:
        """Positions in contracts whose last day this was end at the settlement price."""
        today = day_of(self._venue.now - 1).isoformat()
        for position in self._risk.state.open_positions():
            instrument = self._world.instrument(position.instrument)
            if instrument is None or not instrument.expiry or instrument.expiry > today:
                continue
            now = self._venue.now
            flat = positions.correct(position, 0, now)
            price = self._settlement(instrument)
            row = PositionAdjusted(position=flat, cause="expiry", quantity=-position.quantity, price=price, at_ns=now)
            self._machines.adjust(row)
            self._ledger.settled(row, position, price, self._exercise(instrument, position.quantity, price, now))

    def _settlement(self, instrument: Instrument) -> float:
        """What a contract is worth at the end of its last day: its own last price."""
        feed = self._feeds.get(instrument.id)
        return feed.last if feed is not None else 0.0

    def _session(self, name: str) -> Session | None:
        exchange = name.partition(":")[0]
        calendar = self._world.calendar
        known = exchange in calendar.exchanges
        return calendar.session(exchange, date.fromordinal(_EPOCH + self.day)) if known else None


def _has_rules(risk: RiskMachine) -> bool:
    """True if anything beside stops may end what is held at a price: rules of a run, or a limit that is one."""
    endless = {LimitKind.DAILY_LOSS: _ENDLESS, LimitKind.DRAWDOWN: 1.0}
    limited = any(limit.most < endless.get(limit.kind, float("inf")) for limit in risk.limits.all)
    return limited or any(run.take_profit or run.rules != StrategyRules() for run in risk.strategies.values())
