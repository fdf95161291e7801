"""The event loop: bars in order, prices to the venue, completed bars to the strategy, signals to the machines.

At a bar the market moves first (what waited for its open, then what its path touches), then the strategy gets the
completed bar, and the orders of its signals wait for the next one. A machine is not called only where nothing could
follow; `plain` calls them all at every bar, and must lead to the same trades.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from math import ceil, floor

from mytrading.backtest.data.feeds import MOVED, SHOWN, BarTape, Feed, merge_steps
from mytrading.backtest.engine.assumptions import MarketContext
from mytrading.backtest.engine.ledger import Ledger
from mytrading.backtest.engine.machines import Machines
from mytrading.backtest.engine.venue import BacktestVenue
from mytrading.core.accounting import position_ledger
from mytrading.core.engine.machine import TIME
from mytrading.core.engine.strategy_host import StrategyHost
from mytrading.core.instruments.symbology import parse_symbol, split_id
from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.runs.run_rules import square_off_lead_seconds
from mytrading.core.time import DAY, IST_OFFSET, SECOND, day_number, ist_date
from mytrading.messages.enums import LimitKind, Product
from mytrading.messages.exit_rules import StrategyRules
from mytrading.messages.instruments import Instrument
from mytrading.messages.market import Bar
from mytrading.messages.orders import PositionAdjusted, TimerFired
from mytrading.strategies.signals import StrategySignal


class BarPath:
    """The prices of a bar in their order, given to the venue and the machines."""

    def __init__(self, machines: Machines, venue: BacktestVenue) -> None:
        self._machines = machines
        self._risk = machines.risk
        self._venue = venue
        self.listens: Collection[str] = frozenset()
        """Instruments whose every price risk gets, besides those that it holds levels for."""

    def begin_bar(self, name: str, start: int, end: int, opens: float, close: float, volume: float) -> None:
        """Begin a bar (times in ns): deliver calls due in it, match resting orders and check stops at its open."""
        venue, machines = self._venue, self._machines
        venue.now, venue.moving = start, True
        venue.set_volume(name, volume)
        if venue.waiting:

            def price_at(instrument: str, due_ns: int) -> float | None:
                if instrument != name:
                    return None
                return opens + (close - opens) * max(0, due_ns - start) / (end - start)

            if venue.execute_due_calls(end, price_at):
                machines.process_answers(start)
        touch = venue.touch.get(name)
        if touch is not None and (opens <= touch[0] or opens >= touch[1]) and venue.set_price_and_match(name, opens):
            machines.process_answers(start)
        if self._is_watched(name):
            venue.set_price(name, opens)
            machines.apply_price(name, opens, start)
        venue.moving = False

    def walk_bar(self, name: str, start: int, end: int, opens: float, high: float, low: float, close: float) -> bool:
        """Move the price from open over the adverse and the other extreme to close, matching orders and stops; False,
        with nothing done, if none is in reach."""
        venue = self._venue
        touch = venue.touch.get(name)
        touched = touch is not None and (low <= touch[0] or high >= touch[1])
        if not (touched or self._is_watched(name)):
            return False
        held, third = venue.held_units(name), (end - start) // 3
        falls_first = held > 0 or (held == 0 and close >= opens)
        first, second = (low, high) if falls_first else (high, low)
        at, venue.moving = opens, True
        for target, now in ((first, start + third), (second, start + 2 * third), (close, end - 1)):
            venue.now = now
            self._leg(name, at, target, now)
            at = target
        venue.moving, venue.now = False, end
        return True

    def _leg(self, name: str, begin: float, target: float, now: int) -> None:
        venue, machines, at = self._venue, self._machines, begin
        while levels := sorted(
            [*venue.levels_between(name, at, target), *self._held_levels(name, at, target)], reverse=target < begin
        ):
            at, slips = levels[0]
            if venue.set_price_and_match(name, at, slips=slips):
                machines.process_answers(now)
            if self._is_watched(name):
                machines.apply_price(name, at, now)
        if self._is_watched(name):
            venue.set_price(name, target)
            machines.apply_price(name, target, now)

    def _held_levels(self, name: str, begin: float, end: float) -> list[tuple[float, bool]]:
        """Levels that risk holds for positions in an instrument, or a rule of a leg ends it at, between two prices."""
        low, high, state = min(begin, end), max(begin, end), self._risk.state
        held = (*state.stop_levels.items(), *state.target_levels.items())
        levels = [level for key, level in held if key[1] == name]
        legs = [leg for _, legs in self._risk.runs.books.runs_holding(name) for leg in legs]
        if legs:
            found = self._risk.environment.instruments.get(name)
            tick = found.tick_size if found is not None else 0.0
            levels += [round_to_tick(leg.floor, tick, floor) for leg in legs if leg.floor >= low]
            levels += [round_to_tick(leg.ceiling, tick, ceil) for leg in legs if leg.ceiling <= high]
        return [(level, True) for level in levels if low <= level <= high and level != begin]

    def _is_watched(self, name: str) -> bool:
        """True while risk itself closes what is held there when a price comes."""
        state = self._risk.state
        aims = any(key[1] == name for key in state.target_levels)
        return aims or name in state.stop_instruments or name in self.listens


def round_to_tick(price: float, tick: float, to: Callable[[float], int]) -> float:
    """Round a price to a whole tick by `to`, which is `math.floor` or `math.ceil`."""
    return round(to(round(price / tick, 6)) * tick, 6) if tick else price


PROGRESS_EVERY = 511
_ENDLESS = 1e15
_FAR = float("inf")
Progress = Callable[[int], None]
Exercise = Callable[[Instrument, int, float, int], float]
"""Rupees that a contract's end costs: the contract, signed units, its settlement price, market ns."""


class Loop:
    """One run. `feeds` hold the bars and what the strategy sees of them."""

    def __init__(
        self, machines: Machines, venue: BacktestVenue, world: MarketContext, ledger: Ledger, feeds: list[Feed],
        most_loss: float, exercise: Exercise, progress: Progress, *, plain: bool = False,
    ) -> None:  # fmt: skip
        self._machines = machines
        self._risk = machines.risk
        self._venue = venue
        self._path = BarPath(machines, venue)
        self._world = world
        self._ledger = ledger
        self._feeds: dict[str, BarTape] = {feed.columns.instrument: feed for feed in feeds if feed.moves}
        self._watched = feeds
        self._hosts = tuple(dict.fromkeys(feed.host for feed in feeds))
        names = (split_id(feed.columns.instrument) for feed in feeds)
        self._by_margin = any(parse_symbol(symbol, exchange).kind.is_derivative for exchange, symbol in names)
        self._exercise = exercise
        self._progress = progress
        self._square_off = machines.risk.environment.square_off
        self._most_loss = most_loss
        self.day = -1
        self._begins = self._flat_by = 0
        self._own_seconds = _own_times(self._risk)
        self._due: list[int] = []
        """Market times (ns) of the present day at which the clock may close something, ascending."""
        self._next_clock = 0
        self.restless = False
        self._holding = self._loses = False
        self._ruled = _has_rules(self._risk)
        self._last_ns = 0
        self._at_close = venue.fills_at_close
        self._capped = venue.caps_volume
        self.plain = plain
        """True if every machine is called at every bar."""
        machines.engine.price_of = self._last_price
        if plain:
            self._path.listens = self._feeds

    def run(self) -> None:
        """Run the backtest over all bars; open positions stay open."""
        feeds = self._watched
        if len(feeds) == 1 and feeds[0].is_only_input and not self.plain:
            try:
                self._alone(feeds[0])
            finally:
                feeds[0].host.workspace.slots.clear()
        else:
            self._together(feeds)
        self._machines.engine.stop()

    def _alone(self, feed: Feed) -> None:
        """A single instrument whose own bars are all that the strategy sees."""
        venue, path, columns, name = self._venue, self._path, feed.columns, feed.columns.instrument
        host, workspace, series, warm = feed.host, feed.host.workspace, feed.series, feed.warm_mask
        workspace.current, data, touch, index = name, workspace.data, venue.touch, 0
        on_data, far = host.strategy.on_data, (-_FAR, _FAR)
        for bars in feed.iter_chunks(0):
            for after, bar, values in bars:
                if bar.start_ns >= self._next_clock:
                    self.act_on_clock(bar.start_ns)
                end = bar.end_ns
                low, high = touch.get(name, far)
                touched = bar.low <= low or bar.high >= high or (self._capped and name in touch)
                if touched or venue.waiting or name in path.listens:
                    opens, close, volume = bar.open, bar.close, float(columns.table[4, index])
                    path.begin_bar(name, bar.start_ns, end, opens, close, volume)
                    self._update_flags()
                    if path.walk_bar(name, bar.start_ns, end, opens, bar.high, bar.low, close):
                        self._update_flags()
                series.cursor = index = after
                workspace.before, workspace.newest = workspace.newest, values
                feed.last, feed.last_ns = bar.close, end
                if self.restless or self._loses:
                    self._moment(end)
                if warm[index - 1] and host.fault is None:
                    workspace.now = end
                    data[name] = bar
                    drafts: list[StrategySignal] = []
                    try:
                        result = on_data(bar)
                        drafts = host.drafts_of(result) if result is not None else drafts
                    except (Exception, SystemExit) as error:  # noqa: BLE001  (author code may raise anything)
                        host.record_exception(error)
                    if drafts or host.fault is not None:
                        self.carry_out_signals(feed, bar, drafts, end)
                    else:
                        feed.quiet_ns = end
            if not index & PROGRESS_EVERY:
                self._progress(index)

    def _together(self, feeds: list[Feed]) -> None:
        """Several instruments or timeframes, merged by time: at one moment opens come last and signals before them."""
        done = 0
        for phase, feed, frame, row, at_ns in merge_steps(feeds):
            if phase == SHOWN:
                self._show(feed, frame, row, at_ns)
            elif phase == MOVED:
                done += 1
                if not done & PROGRESS_EVERY:
                    self._progress(done)
                self._moved(feed, at_ns)
            else:
                for host in self._hosts:
                    while 0 < (due := host.next_timer_ns()) <= at_ns:
                        self._pass_time(host, due)
                if at_ns >= self._next_clock:
                    self.act_on_clock(at_ns)
                feed.row = row
                self._opened(feed, at_ns)

    def _pass_time(self, host: StrategyHost, now: int) -> None:
        """A timer of a strategy is due, or a slice ends in which some instrument did not trade."""
        signals = host.pass_time(now, now)
        if signals or host.fault is not None:
            row = TimerFired(name=TIME, machine_ns=now, market_ns=now)
            self._venue.now = now
            self._learn_prices()
            self._look(host, signals, now)
            self._machines.engine.take_drafts(row, [(host, signal) for signal in signals])
            self._machines.decide_signals(row, now)
            self._update_flags()

    def _opened(self, feed: BarTape, start: int) -> None:
        name = feed.columns.instrument
        if self._waits(name):
            _, opens, _, _, close, volume = feed.current_bar
            self._path.begin_bar(name, start, start + feed.columns.span_ns, opens, close, volume)
            self._update_flags()

    def _walked(self, feed: BarTape, end: int) -> None:
        name, close = feed.columns.instrument, float(feed.columns.table[3, feed.row])
        if self._waits(name):
            start, opens, high, low, _, _ = feed.current_bar
            if self._path.walk_bar(name, start, end, opens, high, low, close):
                self._update_flags()
        feed.last, feed.last_ns = close, end

    def _moved(self, feed: Feed, end: int) -> None:
        self._walked(feed, end)
        if self.plain:
            self._machines.note_price(feed.columns.instrument, feed.last, end)
            self._venue.now = end
            self._machines.advance_time(end)
            self._update_flags()
        elif self.restless or self._loses:
            self._moment(end)

    def _last_price(self, name: str, now: int) -> float:
        """The last price (rupees) of what is held, as a strategy sees it at `now`; 0 if there is none."""
        feed = self._feeds.get(name)
        return feed.last if feed is not None and feed.last_ns else self._machines.engine.prices.fresh(name, now)

    def _waits(self, name: str) -> bool:
        return bool(self._venue.waiting) or name in self._venue.touch or name in self._path.listens

    def _show(self, feed: Feed, frame: int, row: int, end: int) -> None:
        """A bar of some timeframe is complete: the strategy sees it."""
        bar = feed.shown_bar(frame, row)
        signals = feed.host.on_bar(bar, loaded=True)
        if not signals:
            feed.quiet_ns = end
        if signals or feed.host.fault is not None or self.plain:
            self.carry_out_signals(feed, bar, signals, end)

    # the strategy

    def carry_out_signals(self, feed: Feed, bar: Bar, signals: list[StrategySignal], end: int) -> None:
        """Have engine, risk and order machine act on the strategy's signals at a bar's end (market ns)."""
        machines, venue = self._machines, self._venue
        venue.now = end
        if signals and feed.quiet_ns:
            status = machines.engine.active_signals.status_of((feed.host.run.name, bar.instrument))
            status.note_bar(feed.quiet_ns - 1, feed.quiet_ns)
        machines.engine.take_drafts(bar, [(feed.host, signal) for signal in signals])
        for other in self._feeds.values():
            if other.last_ns:
                machines.note_price(other.columns.instrument, other.last, other.last_ns)
                if self._at_close:
                    venue.set_price(other.columns.instrument, other.last)
        self._look(feed.host, signals, end)
        machines.decide_signals(bar, end)
        self._update_flags()

    def _look(self, host: StrategyHost, signals: Sequence[StrategySignal], now: int) -> None:  # noqa: ARG002  (for loops that price)
        """Signals are about to be decided on: contracts by what the account has free for margin."""
        if signals and self._by_margin:
            self._risk.apply(self._venue.funds())

    # the clock

    def _moment(self, now: int) -> None:
        """A bar has passed: the machines get the time where it matters."""
        if not self.restless:
            limits = self._risk.limits
            if self._profit() > -self._most_loss or any(limits.is_reached(limit) for limit in limits.all_limits):
                return
            self._learn_prices()
        self._venue.now = now
        self._machines.advance_time(now)
        self._update_flags()

    def _profit(self) -> float:
        feeds = self._feeds
        total = 0.0
        for position in self._risk.state.positions.values():
            total += position.realised
            if position.quantity and (feed := feeds.get(position.instrument)) is not None:
                total += position.quantity * (feed.last - position.average_price)
        return total

    def _learn_prices(self) -> None:
        for feed in self._feeds.values():
            if feed.last_ns:
                self._machines.note_price(feed.columns.instrument, feed.last, feed.last_ns)

    def _update_flags(self) -> None:
        """After something happened: what may follow by itself."""
        state = self._risk.state
        self._holding = bool(state.open_positions())
        self._loses = self._holding and self._most_loss < _ENDLESS
        self.restless = self._machines.orders.has_timed_work or any(True for _ in state.open_intents())
        self._path.listens = self._watched_by_risk() if self._holding or self.plain else frozenset()

    def _watched_by_risk(self) -> Collection[str]:
        """Instruments whose every price risk has to see: stops and targets that it holds, or all if runs have rules."""
        state = self._risk.state
        aimed = {key[1] for key in state.target_levels}
        return self._feeds if self._ruled or self.plain else aimed.union(state.stop_instruments)

    def act_on_clock(self, start: int) -> None:
        """Do what the clock requires at a bar's start (market ns): change of day, exits by a strategy's own time,
        square-off of intraday positions."""
        if day_number(start) != self.day:
            self._turn_day(start)
        later = [at for at in self._due if at > start]
        midnight = (self.day + 1) * DAY - IST_OFFSET
        if len(later) == len(self._due):
            self._next_clock = min([*later, midnight])
            return
        if self._flat_by and start >= self._flat_by and (self._holds_mis() or not self._own_seconds):
            # bars longer than the lead: the first one after it begins when the exchange takes nothing any more
            self._square_off_at_last_price()
        else:
            self._venue.now = start
            self._learn_prices()
            self._machines.advance_time(start)
        self._update_flags()
        own = self._own_seconds and start >= self._day_begins + self._own_seconds[0] * SECOND
        leaving = self._holding if own else bool(self._begins) and start >= self._begins and self._holds_mis()
        busy = leaving or self._risk.state.all_live_entries()
        self._next_clock = start + 1 if busy else min([*later, midnight])

    @property
    def _day_begins(self) -> int:
        return self.day * DAY - IST_OFFSET

    def _holds_mis(self) -> bool:
        return any(position.product is Product.MIS for position in self._risk.state.open_positions())

    def _turn_day(self, start: int) -> None:
        if self.day >= 0:
            self._end_day(start)
        self.day = day_number(start)
        day = ist_date(start)
        machines = self._machines
        book = self._world.open_day(day)
        machines.engine.book = book
        machines.risk.set_contracts(book)
        machines.open_day(day.isoformat(), start)
        exchanges = {name.partition(":")[0] for name in self._feeds}
        begins = [at for exchange in exchanges if (at := self._square_off.closing_begins_ns(exchange, start))]
        self._begins = min(begins, default=0)
        ends = [at for exchange in exchanges if (at := self._square_off.mis_deadline_ns(exchange, start))]
        self._flat_by = min(ends, default=0)
        own = [self._day_begins + at * SECOND for at in self._own_seconds]
        self._due = sorted({*own, *([self._begins] if self._begins else [])})
        self._venue.now = start
        self._venue.exchange.advance(start, self._venue.marks.get, self._settlement)
        self._venue.show_books_of_new_day()
        machines.process_answers(start)
        if self._holding:
            self.restless = True
        if machines.orders.state.open_goals:  # exits that waited for the open leave with it
            machines.advance_time(start)
            self._update_flags()

    def _end_day(self, start: int) -> None:
        """After the last bar of a day: what waited is refused, intraday positions end, contracts expire.

        Where the next day's trading begins as this one's ends, or bars are of whole days, what waited waits on.
        """
        venue, machines = self._venue, self._machines
        last = max(feed.last_ns for feed in self._feeds.values())
        for feed in self._feeds.values():
            venue.set_price(feed.columns.instrument, feed.last)
        if venue.waiting and start > last and self._watched[0].columns.span_ns < DAY:
            venue.now = last
            venue.refuse_waiting("the session is over before the order reached the exchange")
            machines.process_answers(last)
        if self._begins and self._holds_mis():
            self._square_off_at_last_price()
        venue.now = max([last, *self._closes()])
        venue.end_day(self._settlement)
        machines.process_answers(venue.now)
        machines.advance_time(venue.now)
        self._expire()
        self._update_flags()

    def _square_off_at_last_price(self) -> None:
        """No bar began between the time of the square-off and its end: the last price before has to do."""
        venue, last = self._venue, max(feed.last_ns for feed in self._feeds.values())
        for feed in self._feeds.values():
            venue.set_price(feed.columns.instrument, feed.last)
        now = venue.now = max(last - 1, self._begins)
        venue.moving = True
        self._learn_prices()
        self._machines.advance_time(now)
        venue.moving = False

    def _closes(self) -> list[int]:
        """Return the ends of the day's sessions at the exchanges of the data, market ns."""
        calendar, today = self._world.calendar, ist_date(self.day * DAY - IST_OFFSET)
        exchanges = {name.partition(":")[0] for name in self._feeds}.intersection(calendar.exchanges)
        sessions = [calendar.session(exchange, today) for exchange in exchanges]
        return [session.close_ns for session in sessions if session is not None]

    def _expire(self) -> None:
        """Positions in contracts whose last day this was end at the settlement price."""
        today = ist_date(self._venue.now - 1).isoformat()
        for position in self._risk.state.open_positions():
            instrument = self._world.instrument(position.instrument)
            if instrument is None or not instrument.expiry or instrument.expiry > today:
                continue
            now = self._venue.now
            flat = position_ledger.correct_quantity(position, 0, now)
            price = self._settlement(instrument)
            row = PositionAdjusted(position=flat, cause="expiry", quantity=-position.quantity, price=price, at_ns=now)
            self._machines.adjust(row)
            self._ledger.record_settlement(
                row, position, price, self._exercise(instrument, position.quantity, price, now)
            )

    def _settlement(self, instrument: Instrument) -> float:
        """Return a contract's value at the end of its last day in rupees: its own last price, 0 without bars."""
        feed = self._feeds.get(instrument.id)
        return feed.last if feed is not None else 0.0


def _own_times(risk: RiskMachine) -> list[int]:
    """Seconds of the day, ascending, at which times of strategies begin to close what they hold."""
    environment = risk.environment
    lead = square_off_lead_seconds(environment.square_off.speed)
    rules = [run.rules for run in environment.strategies.values()]
    named = {at for one in rules for at in (one.exit_time, max(one.square_off_time - lead, 0))}
    return sorted(named - {0})


def _has_rules(risk: RiskMachine) -> bool:
    """True if anything beside stops may end what is held at a price: rules of a run, or a limit that is one."""
    endless = {LimitKind.DAILY_LOSS: _ENDLESS, LimitKind.DRAWDOWN: 1.0}
    limited = any(limit.most < endless.get(limit.kind, float("inf")) for limit in risk.limits.all_limits)
    return limited or any(
        run.take_profit_pct or run.rules != StrategyRules() for run in risk.environment.strategies.values()
    )
