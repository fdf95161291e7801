"""Rules that end a strategy's run or one leg: losses, profits, trailing stops, trends and times.

A run is all that a strategy holds, in all its accounts. A rule applies once to a run (a leg's rule once to a round
trip), leaves an event, and holds again for the next run; what it closes stays closed until the run is flat.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from mytrading.core.calendar.square_off import LEAD_NS, MACHINE_LEAD_NS
from mytrading.core.ids import content_id
from mytrading.core.risk.limits.limits import PLAUSIBLE
from mytrading.core.risk.runs.run import BEST, EXACT, PEAK, PREFIX, STOP, Breach, Run, RunLeg, reached_rules
from mytrading.core.risk.runs.run_book import RunBook
from mytrading.core.risk.runs.run_events import RunEvents, round_trip_name
from mytrading.core.risk.runs.trend_series import TrendSeries, trend_turn
from mytrading.core.risk.state.decision_rows import withdraw_entries
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.core.risk.state.state import RiskState, is_stale
from mytrading.core.text.money import rupees
from mytrading.core.time import DAY, SECOND, hhmm, second_of_day
from mytrading.messages.enums import Product
from mytrading.messages.exit_rules import StrategyRules
from mytrading.messages.journal_rows import LevelMoved, RiskOpened
from mytrading.messages.keys import OwnerKey
from mytrading.messages.market import Bar, Quote
from mytrading.messages.orders import OrderChanged
from mytrading.messages.risk_events import RiskKind
from mytrading.messages.run_config import StrategyRun
from mytrading.messages.signals import Signal

TICK = 0.01
_LEVELS = {
    RiskKind.LEG_STOP_LOSS: "stop_loss",
    RiskKind.LEG_TAKE_PROFIT: "take_profit",
    RiskKind.LEG_TRAILING: "trailing",
    RiskKind.LEG_AT_COST: "cost",
}
JOURNAL_EVERY_NS = SECOND
"""Machine time between two journaled levels of one run or leg that do not act."""


class RunRules:
    """`apply` learns, after the state did; the others ask and change nothing. Budget of a quote: 30 µs with 5 legs."""

    def __init__(self, state: RiskState) -> None:
        environment = state.environment
        self._state, self._environment = state, environment
        self.books = RunBook(state)
        self.series = TrendSeries(environment.strategies, self.books, environment.calendar)
        self.events = RunEvents(state)

    def apply(self, row: Any) -> None:
        """Apply a row (quote, bar, event of the router or decision of risk) to runs, trend series and their events."""
        if isinstance(row, Quote):
            if (quote := self._state.judged(row)) is not None:
                self.books.apply_quote(quote)
                if self.series.any and quote is row:
                    self.series.add_quote(row)
            elif not self._state.is_priced(row.instrument):
                self.books.lose_price(row.instrument)
            return
        if isinstance(row, Signal):
            return  # an intent alone moves no run
        if isinstance(row, Bar):
            self.series.add_bar(row)
            return
        self.events.apply(row)
        run = self.books.apply(row)
        if run is not None and self.series.any:
            self.series.update_premium_ratio(run)
        if isinstance(row, RiskOpened):
            for run in self.books.runs.values():
                self.series.update_premium_ratio(run)
            for bar in row.bars:
                self.series.add_bar(bar)

    def on_quote(self, quote: Quote, now: int) -> list[Any]:
        """Return the rows a quote leads to, for all runs holding its instrument: exits, trailing levels, bars."""
        held = self.books.runs_holding(quote.instrument)
        if not (held or self.series.any) or (judged := self._state.judged(quote)) is None:
            return []
        rows: list[Any] = []
        corporate = self._state.corporate
        for run, legs in held:
            if not run.leaving and not (corporate and self._is_held(run)):
                self._judge(run, legs, judged, now, rows)
        if self.series.any:
            rows += self._bars(now)
        return rows

    def _judge(self, run: Run, legs: list[RunLeg], quote: Quote, now: int, rows: list[Any]) -> None:
        profit = run.profit
        if profit is not None and not run.low < profit < run.high:
            breach = self._breach(run, now)
            if breach is not None:
                rows += self.events.rows_ending_run(run, breach, now, quote.received_ns)
                rows += self._journal_trail(run, now, acts=True)
                if breach.acts and breach.kind is not RiskKind.STOPS_TO_COST:
                    return
        if run.trail != run.journaled:
            rows += self._journal_trail(run, now)
        for leg in legs:
            if not leg.floor < quote.ltp < leg.ceiling:
                rows += self._judge_leg(run, leg, quote, now)
            if leg.best != leg.journaled:
                rows += self._journal_best(run, leg, now)

    def _is_held(self, run: Run) -> bool:
        """True while a corporate action in a leg waits for an operator: prices of before say nothing of the run."""
        return any(key in self._state.corporate for key in run.legs)

    def _breach(self, run: Run, now: int) -> Breach | None:
        """The first of the run's rules on its profit that applies now and has not yet."""
        profit = run.profit
        if profit is not None and now > run.fresh_until_ns:
            profit, _ = self.books.profit(run, now)
        if profit is None:
            return None
        trails = bool(run.rules.trailing.value) and self._environment.limits.trailing_stop_enabled
        for breach in reached_rules(run.rules, run.trail, profit, trails=trails, fired=run.fired):
            level, gains = breach.threshold, breach.kind in (RiskKind.MAX_PROFIT, RiskKind.STOPS_TO_COST)
            way = abs(level)
            if breach.kind is RiskKind.TRAILING_STOP:
                way = (run.trail.peak - level) or way
            # two quotes say so, or one moved it by little of the way there
            doubt = self.books.unconfirmed_profit(run, now, gains=gains)
            sure = profit - doubt >= level - EXACT if gains else profit + doubt <= level + EXACT
            if sure or doubt <= PLAUSIBLE * way:
                return breach
        return None

    def unconfirmed_end(self, strategy: str) -> str:
        """Return why a strategy may not enter: one quote, still unconfirmed, would end its run; empty if it may."""
        run = self.books.runs.get(strategy)
        if run is None or not _seems_over(run):
            return ""
        stands = rupees(run.profit or 0.0)
        return f"by one quote the run of {strategy} has come to a rule's end, at {stands}, which a second is to confirm"

    def _judge_leg(self, run: Run, leg: RunLeg, quote: Quote, now: int) -> list[Any]:
        """The first rule of a leg that its last price has come to, unless it applied to this round trip before."""
        if not leg.average_price or leg.key in self._state.closing or self._state.is_hedge(leg.position):
            return []
        if is_stale(quote, now, self._state.wait_machine_ns, self._environment.limits.stale_quote_seconds):
            return []
        trip = round_trip_name(leg.position)
        for breach in leg.reached_rules(run.rules, quote.ltp):
            if f"{breach.kind} {trip}" not in run.fired:
                return self.events.rows_closing_leg(run, leg, breach, now, quote.received_ns)
        return []

    def _bars(self, now: int) -> list[Any]:
        """Bars that ended, as rows, and the runs that a trend ends with them."""
        rows: list[Any] = []
        for series in self.series.all.values():
            rows += series.ended_bars(now)
        if not rows:
            return []
        names = {bar.instrument for bar in rows}
        for run in list(self.books.runs.values()):
            own = self.series.series_of(run.strategy)
            over = run.leaving or RiskKind.SUPERTREND in run.fired or not run.legs
            if own is None or own.name not in names or over:
                continue
            rule = self.series.rules[run.strategy]
            if (turn := trend_turn([*own.bars, *own.ended_bars(now)], rule, run.opened_ns)) is not None:
                note = f"{rule.exit} of the Supertrend ({rule.period}, {rule.multiplier:g}, {rule.minutes} min)"
                breach = Breach(RiskKind.SUPERTREND, turn.line, turn.close, note, run.rules.auto_exit)
                rows += self.events.rows_ending_run(run, breach, now, 0)
        return rows

    def on_time(self, now: int) -> list[Any]:
        """Return rows due by the clock: exits by time of day, completed bars, levels to journal, runs being closed."""
        rows: list[Any] = self._bars(now) if self.series.any else []
        rows += self._withdraw(now)
        for run in self.books.runs.values():
            if run.leaving:
                rows += self.events.continue_closing(run, now)
                continue
            for breach, legs in due_exit_times(run, self._environment, now):
                rows += self.events.rows_squaring_off_legs(run, breach, legs, now)
            if _seems_over(run) and not self._is_held(run) and (shown := self._breach(run, now)):
                # shown by one quote alone, which no second one confirmed: the last price decides
                rows += [*self.events.rows_ending_run(run, shown, now, 0), *self._journal_trail(run, now, acts=True)]
            rows += self._journal_trail(run, now)
            for leg in run.legs.values():
                rows += self._journal_best(run, leg, now)
        return rows

    def _withdraw(self, now: int) -> list[Any]:
        """Cancel entries of strategies whose time is over, which nothing holds yet."""
        over = [
            order
            for order in self._state.all_live_entries()
            if (strategy := self._environment.strategies.get(order.strategy)) is not None
            and is_entry_time_over(strategy, order.instrument, order.product, self._environment, now)
        ]
        return withdraw_entries(self._state, over, content_id("time", now // DAY)) if over else []

    def on_change(self, message: Any, now: int) -> list[Any]:
        """Return rows that follow an order or position event: closes of runs that are ending, links of exit orders."""
        rows: list[Any] = []
        for run in self.books.runs.values():
            if run.leaving:
                rows += self.events.continue_closing(run, now)
        if isinstance(message, OrderChanged):
            rows += self.events.link_exit_order(message.order, now)
        return rows

    def _journal_trail(self, run: Run, now: int, acts: bool = False) -> Iterator[LevelMoved]:
        """Rows for a peak and a stop that moved a tick, at most once a second unless something acts on them."""
        trail, known = run.trail, run.journaled
        if trail.stop is None or (trail == known and not acts):
            return
        if not acts and known.stop is not None and self._state.machine_ns - run.journaled_machine_ns < JOURNAL_EVERY_NS:
            return
        head = f"{PREFIX}{run.id} "
        if known.stop is None or trail.peak - known.peak >= TICK:
            yield LevelMoved(name=head + PEAK, value=trail.peak, at_ns=now)
        if known.stop is None or trail.stop - known.stop >= TICK:
            yield LevelMoved(name=head + STOP, value=trail.stop, at_ns=now)

    def _journal_best(self, run: Run, leg: RunLeg, now: int) -> Iterator[LevelMoved]:
        moved = abs(leg.best - leg.journaled) >= TICK and bool(run.rules.leg_trailing.value)
        if moved and self._state.machine_ns - leg.journaled_machine_ns >= JOURNAL_EVERY_NS:
            yield LevelMoved(name=f"{PREFIX}{run.id} {BEST} {leg.name}", value=leg.best, at_ns=now)

    def trend_bars(self) -> tuple[Bar, ...]:
        """The bars of all trend series, for the opening row of a new day."""
        return tuple(bar for series in self.series.all.values() for bar in series.bars)

    def figures(self) -> dict[str, float]:
        """Rupees of each run by strategy: `run_profit S`, and `run_peak S`, `run_stop S` once its stop trails."""
        found: dict[str, float] = {}
        for run in self.books.runs.values():
            if run.profit is not None and run.legs:
                found[f"run_profit {run.strategy}"] = round(run.profit, 2)
            if run.trail.stop is not None:
                found[f"run_peak {run.strategy}"] = round(run.trail.peak, 2)
                found[f"run_stop {run.strategy}"] = round(run.trail.stop, 2)
        return found

    def next_close_ns(self, run: Run, now: int) -> int:
        """Market time (ns) of the first close of a leg by the clock today; 0 if there is none."""
        midnight = now - second_of_day(now) * SECOND - now % SECOND
        times = [
            begins
            for leg in run.legs.values()
            if (begins := self._environment.square_off_begins(run.strategy, leg.instrument, leg.position.product, now))
        ]
        lead = square_off_lead_seconds(self._environment.square_off.speed)
        named = [run.rules.exit_time, max(run.rules.square_off_time - lead, 0)]
        times += [midnight + at * SECOND for at in named if at]
        return min(times, default=0)

    def position_levels(self, key: OwnerKey) -> dict[str, float]:
        """A position's own rule levels in rupees, those it has of stop_loss, take_profit, trailing, cost; {} for a
        hedge."""
        run = self.books.runs.get(key[3])
        leg = run.legs.get(key) if run is not None else None
        if run is None or leg is None or not leg.average_price or self._state.is_hedge(leg.position):
            return {}
        return {_LEVELS[kind]: level for kind, level in leg.rule_prices(run.rules)}


def _seems_over(run: Run) -> bool:
    return run.profit is not None and not run.leaving and not run.low < run.profit < run.high


def square_off_lead_seconds(speed: float) -> int:
    """Market seconds before a deadline at which closing begins; `speed`: market seconds per machine second."""
    return int(max(LEAD_NS, MACHINE_LEAD_NS * speed)) // SECOND


def due_exit_times(run: Run, environment: RiskEnvironment, now: int) -> Iterator[tuple[Breach, list[RunLeg]]]:
    """Yield, as a breach, the exit or square-off time that has come for a run (at most one) and the legs it closes."""
    legs = list(run.legs.values())
    if not legs:
        return
    at, rules = second_of_day(now), run.rules
    exit_time, deadline = rules.exit_time, rules.square_off_time
    if 0 < exit_time <= at and (
        timed := [leg for leg in legs if is_after_open(exit_time, leg.instrument, environment, now)]
    ):
        yield Breach(RiskKind.EXIT_TIME, exit_time, at, f"exit_time {hhmm(exit_time)} has come"), timed
    elif _squares_off(rules, at, environment) and (
        timed := [x for x in legs if is_after_open(deadline, x.instrument, environment, now)]
    ):
        yield Breach(RiskKind.SQUARE_OFF, deadline, at, f"square-off: to be flat by {hhmm(deadline)}"), timed
    else:  # what is MIS or intraday, once the venue's own time is near
        strategy = environment.strategies.get(run.strategy)
        intraday = strategy is not None and strategy.intraday
        forced = [
            leg
            for leg in legs
            if (intraday or leg.position.product is Product.MIS) and environment.square_off_begun(leg.instrument, now)
        ]
        if forced:
            yield intraday_square_off([leg.instrument for leg in forced], environment, now), forced


def intraday_square_off(instruments: Collection[str], environment: RiskEnvironment, now: int) -> Breach:
    """The rule by which the clock closes what is held intraday of these instruments at market time `now`."""
    ends = min(environment.square_off.mis_deadline_ns(name.partition(":")[0], now) for name in instruments)
    until = second_of_day(ends)
    return Breach(RiskKind.SQUARE_OFF, until, second_of_day(now), f"square-off: to be flat by {hhmm(until)}")


def is_entry_time_over(
    strategy: StrategyRun, instrument: str, product: Product, environment: RiskEnvironment, now: int
) -> bool:
    """True once a strategy may not enter an instrument any more today, by its exit times or intraday square-off."""
    at, rules = second_of_day(now), strategy.rules
    if 0 < rules.exit_time <= at and is_after_open(rules.exit_time, instrument, environment, now):
        return True
    if _squares_off(rules, at, environment) and is_after_open(rules.square_off_time, instrument, environment, now):
        return True
    return strategy.intraday and product is not Product.MIS and environment.square_off_begun(instrument, now)


def is_after_open(time_of_day: int, instrument: str, environment: RiskEnvironment, now: int) -> bool:
    """True if a time of day (seconds since midnight) is later than today's open of the instrument's exchange."""
    calendar, exchange = environment.calendar, instrument.partition(":")[0]
    if exchange not in calendar.exchanges:
        return True
    session = calendar.session(exchange, calendar.trading_day(now))
    return session is not None and second_of_day(session.open_ns) < time_of_day


def _squares_off(rules: StrategyRules, at: int, environment: RiskEnvironment) -> bool:
    return 0 < rules.square_off_time <= at + square_off_lead_seconds(environment.square_off.speed)
