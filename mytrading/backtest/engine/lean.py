"""The lean engine: runs of one instrument in plain Python, woken only at bars on which something can happen.

The machines are its judge: the same fills, trades, events and views of the strategy, or `NotCoveredError`, on which the
run is made again by them. What decides a signal, a denial, a level of a stop or a rule of a run is the machines' own
code; what is written again here is the way of an order through risk, the order machine and the exchange, which has no
choice in a covered run (`lean_terms`): market orders fill at the next open, exits before entries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, time
from math import ceil, floor
from typing import Any, NamedTuple

from mytrading.backtest.data.feeds import Feed
from mytrading.backtest.engine.assumptions import ACCOUNT, MarketContext, Models
from mytrading.backtest.engine.lean_terms import LeanTerms, NotCoveredError
from mytrading.backtest.engine.ledger import RULE_WORDS, Ledger, Trade
from mytrading.backtest.engine.loop import PROGRESS_EVERY, Progress, round_to_tick
from mytrading.core.engine.active_signals import SIDES, SignalStatus
from mytrading.core.engine.machine import EngineMachine
from mytrading.core.engine.signal_gate import permitted_action
from mytrading.core.exchange.books import required_cash
from mytrading.core.instruments.contract_specs import MarginRates
from mytrading.core.risk.pretrade.context import PreTradeContext, is_expired
from mytrading.core.risk.pretrade.rule_table import OF_THE_MOMENT, find_denials
from mytrading.core.risk.pretrade.stop_plan import ShareStop, StopLevels, plan_share_stop, plan_stop, stop_holder
from mytrading.core.risk.runs.run import Run, RunBasis, RunLeg, reached_rules
from mytrading.core.risk.runs.run_events import breach_alerts, deny_while_ending
from mytrading.core.risk.runs.run_rules import intraday_square_off
from mytrading.core.risk.sizing.lots import entry_price, side_of
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.core.risk.state.folds import count_entry
from mytrading.core.risk.state.intent import Intent
from mytrading.core.risk.state.state import NEVER, is_stale
from mytrading.core.time import DAY, IST_OFFSET, MINUTE, day_number, ist_date, to_ns
from mytrading.messages.commands import SignalDenied, SignalExpired
from mytrading.messages.enums import Action, OrderType, Product
from mytrading.messages.instruments import Instrument
from mytrading.messages.keys import OwnerKey
from mytrading.messages.market import Bar, Quote
from mytrading.messages.orders import Position
from mytrading.messages.run_config import StopPlan
from mytrading.messages.signals import Leg, Signal
from mytrading.strategies.signals import NO_HINTS, StrategySignal
from mytrading.strategies.views import FLAT, PositionView

_FAR = float("inf")
_NEAR = 1e-7
"""The share of a price by which a bar counts as touching a level: a bar too many is looked at, none too few."""
_NEAR_ROWS = 8
"""Rows that are looked at one by one before numpy looks at all others."""
_RECORDED_TOGETHER = 1000
"""Records that the ledger gets at once."""
_ACTIONS = {action.value: action for action in Action}


class PendingEntry(NamedTuple):
    """An entry on its way: signed units, and the levels of the position that it opens, in rupees; 0 or None: none."""

    units: int
    stop: StopLevels | None
    held_stop: float
    held_target: float


@dataclass(slots=True)
class OpenTrade:
    """The open position. `stop` is the order at the broker, which counts while it `rests`; the other levels are risk's.

    `cost` are rupees at entry, above 0. `run` and `leg` are there where rules of a run apply.
    """

    units: int
    average: float
    cost: float
    opened_ns: int
    stop: StopLevels | None
    held_stop: float
    held_target: float
    rests: bool = False
    run: Run | None = None
    leg: RunLeg | None = None

    @property
    def is_watched(self) -> bool:
        """True while risk itself closes it when a price comes."""
        return bool(self.held_stop or self.held_target) or self.run is not None

    def is_beyond(self, price: float, level: float, *, target: bool = False) -> bool:
        """True if a price has come to a stop's level, or to that of a `target`."""
        return price >= level if (self.units > 0) is target else price <= level


def booked_price(size: int, price: float) -> float:
    """Return what a whole fill is booked at: the exchange tells its value, the order machine divides again."""
    average = size * price / size
    return average * size / size


class LeanEngine:
    """One run. `run` walks through all bars; open positions stay open."""

    def __init__(
        self, terms: LeanTerms, engine: EngineMachine, environment: RiskEnvironment, world: MarketContext, feed: Feed,
        models: Models, margin: MarginRates, capital: float, ledger: Ledger, progress: Progress,
    ) -> None:  # fmt: skip
        self._terms = terms
        self._engine = engine
        self._environment = environment
        self._world = world
        self._feed = feed
        self._slippage = models.slippage
        self._margin = margin
        self._ledger = ledger
        self._progress = progress
        host, columns = feed.host, feed.columns
        self._host = host
        self._workspace = host.workspace
        self._settings = environment.strategies[host.run.name]
        self._name, self._strategy, self._product = columns.instrument, host.run.name, host.run.product
        self._key = (self._strategy, self._name)
        self._exchange = self._name.partition(":")[0]
        self._start, (_, self._high, self._low, self._close) = columns.start_ns, columns.table[:4]
        self._lows, self._highs = memoryview(self._low), memoryview(self._high)
        self._span = columns.span_ns
        # the day
        self._day = -1
        self._closes_ns = self._opens_ns = self._begins_ns = 0
        self._day_end = self._outside = self._begins_row = self._book_row = 0
        # what is wanted, on its way and held
        self._signal: Signal | None = None
        self._intent: Intent | None = None
        """None while flat is wanted."""
        self._wanting = False
        self._entry: PendingEntry | None = None
        self._exits = self._places_stop = self._restless = False
        self._held: OpenTrade | None = None
        self._quote = Quote(self._name, 0, 0, 0.0)
        self._last_entry_ns = 0
        self._entry_times: list[int] = []
        self._admitted: set[int] = set()
        """Signed units of entries that every rule admitted, while the contract is the same. Where no setting speaks of
        sizes, counts or confidence (`LeanTerms.free`), only the moment, a spent signal or the stop denies more."""
        settings = self._settings
        self._plain_gate = not (settings.min_confidence or settings.signal_cooldown)
        self._stop_share = settings.stop_loss_pct or environment.limits.default_stop_loss
        self._owner = OwnerKey(ACCOUNT, self._name, self._product, self._strategy)
        self._loud = -2
        # cash at the exchange
        self._unrecorded: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        """Calls of the ledger that wait, in order: many in a row take half the time of as many single ones."""
        self._cash = capital
        self._unbooked = self._delivered = 0.0
        self._alarm = 0

    def run(self) -> None:
        """Run the backtest over all bars; `NotCoveredError` names what only the machines know."""
        try:
            if self._feed.is_only_input:
                self._walk()
            else:
                self._walk_frame()
        finally:
            self._workspace.slots.clear()
        self._write_ledger()
        self._engine.stop()

    def _walk(self) -> None:
        feed, workspace, name = self._feed, self._workspace, self._name
        series, warm, data, on_data = feed.series, feed.warm_mask, workspace.data, feed.host.strategy.on_data
        workspace.current = name
        row = alarm = 0
        for bars in feed.iter_chunks(0):
            all_warm, before = warm.find(0, row) < 0, workspace.newest
            for after, bar, values in bars:
                if row >= alarm:
                    self._wake(row, bar)
                    alarm = self._alarm
                series.cursor = row = after
                workspace.before = before
                workspace.newest = before = values
                if all_warm or warm[row - 1]:
                    workspace.now = bar.end_ns
                    data[name] = bar
                    try:
                        result = on_data(bar)
                    except (Exception, SystemExit) as error:
                        raise NotCoveredError("the strategy failed") from error
                    if result is not None:
                        self._take(result, bar, row - 1, row - 1)
                        alarm = self._alarm
            if not row & PROGRESS_EVERY:
                self._progress(row)

    def _walk_frame(self) -> None:
        """Walk through bars of a longer timeframe than the data's, which alone moves prices."""
        feed, host = self._feed, self._host
        lasts = feed.frames[0].lasts
        assert lasts is not None
        for index, last in enumerate(lasts.tolist()):
            while self._alarm <= last:
                row = self._alarm
                self._wake(row, feed.columns.bar(row, int(self._start[row]) + self._span))
            bar = feed.shown_bar(0, index)
            drafts = host.on_bar(bar, loaded=True)
            if host.fault is not None:
                raise NotCoveredError("the strategy failed")
            if drafts:
                self._take(drafts[0], bar, last, index)
            if not index & PROGRESS_EVERY:
                self._progress(last)

    # signals

    def _is_simple(self, result: Any) -> bool:
        """True of a signal that names nothing but its side and a stop, and whose strategy keeps no memory."""
        return (
            type(result) is StrategySignal
            and result.action in _ACTIONS
            and result.hints is NO_HINTS
            and result.instrument == self._name
            and not (result.legs or result.otherwise or result.changes or self._workspace.memory)
            and type(result.confidence) is float
            and 0.0 <= result.confidence <= 1.0
        )

    def _take(self, result: Any, bar: Bar, row: int, index: int) -> None:
        """Let the engine's gate make a signal of what `on_data` returned at the end of a bar, and act on it.

        `row` is the newest of the data, `index` that of the strategy's own bars.
        """
        engine, host, end = self._engine, self._host, bar.end_ns
        status, held, action = engine.active_signals.status_of(self._key), self._held, None
        if self._is_simple(result):
            drafts = [result]
            action = permitted_action(host.run, _ACTIONS[result.action], names_legs=False)
            if status.quiet_bars is None and SIDES[action] == (0 if held is None else 1 if held.units > 0 else -1):
                return  # it only repeats what is held
        else:
            drafts = host.drafts_of(result)
            if host.fault is not None:
                raise NotCoveredError("the strategy failed")
            if not drafts:
                return
            if any(draft.changes for draft in drafts):
                raise NotCoveredError("an adjustment of legs")
        if row >= self._day_end:
            self._turn_day(row, bar.start_ns)
        if status.quiet_bars is not None and self._loud != index - 1 and index and self._feed.warm_mask[index - 1]:
            before = int(self._start[row - 1]) + self._span
            if self._feed.frames[0].lasts is not None:
                before = int(self._feed.bar_ends(0)[index - 1])
            status.note_bar(before - 1, before)
        self._loud = index
        price_ns = int(self._start[row]) + self._span
        self._quote = Quote(self._name, price_ns, price_ns, bar.close)
        if action is not None and self._plain_gate and not self._exits:
            self._pass_gate(result, action, status, bar)
        else:
            engine.take_drafts(bar, [(host, draft) for draft in drafts])
            if self._exits:
                self._check_while_exiting(drafts[0])
                return
            found = engine.decide(bar, end)
            if host.fault is not None:
                raise NotCoveredError("the strategy failed")
            for decided in found:
                engine.apply(decided)
                if isinstance(decided, Signal):
                    self._want(decided, end)
        self._set_alarm(row + 1)

    def _pass_gate(self, draft: StrategySignal, action: Action, status: SignalStatus, bar: Bar) -> None:
        """Make the signal of a simple draft as the engine's gate does where no setting of the strategy restrains it."""
        end, held, name, run = bar.end_ns, self._held, self._name, self._host.run
        if status.quiet_bars is not None:
            status.note_bar(bar.start_ns, end)
            status.note_draft(action, end)
        legs: tuple[Leg, ...] = ()
        if action is not Action.EXIT:
            lots = run.lots if action is Action.BUY else -run.lots
            legs = (Leg(instrument=name, lots=lots, stop_price=draft.stop_price),)
        elif held is None and not status.is_entry_pending(end, end):
            return
        signal = Signal(
            id=f"{end}", strategy=run.name, watch=name, action=action,
            created_ns=end, expires_ns=end + self._engine.validity_ns, expires_machine_ns=0, account=ACCOUNT,
            product=run.product, legs=legs, confidence=draft.confidence, bar_ns=end,
            rearmed=action is not Action.EXIT and status.is_rearmed(end),
        )  # fmt: skip
        if not status.is_repeat(signal, False, end, end, self._workspace.positions.get(name, FLAT)):
            self._engine.active_signals.apply_signal(signal)
            self._want(signal, end)

    def _check_while_exiting(self, draft: StrategySignal) -> None:
        """While an exit waits for the next session, another one and the side that is held say nothing new."""
        action = permitted_action(self._host.run, draft.side, names_legs=bool(draft.legs))
        held = self._held
        repeats = action is Action.EXIT or (held is not None and SIDES[action] * held.units > 0)
        if not repeats or draft.keeps_position or draft.legs or draft.hints is not NO_HINTS or self._workspace.memory:
            raise NotCoveredError("a signal while an exit waits for the next session")

    def _want(self, signal: Signal, now: int) -> None:
        """Take a signal as the intent: what is unwanted is closed at the next open, what is missing is judged."""
        if signal.keeps or signal.otherwise or signal.product is not self._product or len(signal.legs) > 1:
            raise NotCoveredError("a withdrawal, a product or alternatives in a signal")
        for leg in signal.legs:
            if leg.instrument != self._name or leg.order_type is not OrderType.MARKET or leg.profile or leg.product:
                raise NotCoveredError("an entry that is no market order")
        known, self._signal, self._intent = self._intent, signal, None
        if signal.legs:
            intent = self._intent = Intent(signal=signal, since_ns=signal.created_ns)
            same = known is not None and known.signal.legs[0].lots == signal.legs[0].lots
            if known is not None and same and intent.wants_same_position(known) and intent.inherits_spent(known):
                intent.since_ns, intent.spent, intent.spent_ns = known.since_ns, known.spent, known.spent_ns
        self._wanting = bool(signal.legs)
        if self._held is not None:
            if signal.legs and signal.legs[0].lots * self._held.units > 0:
                raise NotCoveredError("a signal that adds to what is held")
            self._exits = True
        elif self._wanting:
            self._entry = self._judged(now)

    def _judged(self, now: int) -> PendingEntry | None:
        """The entry of the intent, judged by every rule; None, with the denial in the ledger, if it is not admitted."""
        intent, instrument = self._intent, self._world.instrument(self._name)
        assert intent is not None
        assert instrument is not None
        self._wanting = False
        signal, leg, environment = intent.signal, intent.legs[0], self._environment
        late = is_expired(signal, now, NEVER)
        if not late and is_stale(self._quote, now, NEVER, environment.limits.stale_quote_seconds):
            raise NotCoveredError("an entry that waited for a price")
        units = leg.lots * instrument.lot_size
        free = not late and self._terms.free and units in self._admitted
        admitted = free and not intent.spent and self._admits_from <= now < self._admits_until
        if admitted and self._settings.stop is StopPlan.NONE:
            return self._ordered(signal, PendingEntry(units, None, 0.0, leg.target_price))
        plain = self._share_stop(leg, units, instrument) if free else None
        if admitted and plain is not None:
            if plain.can_rest and self._settings.stop is StopPlan.BROKER:
                return self._ordered(signal, PendingEntry(units, plain.levels, 0.0, leg.target_price))
            return self._ordered(signal, PendingEntry(units, None, plain.levels.trigger, leg.target_price))
        minute = today = 0
        if not free:
            minute = self._entries_since(now - MINUTE + 1)
            today = self._entries_since(self._opens_ns) if self._session is not None else 0
        case = PreTradeContext(
            signal=signal, leg=leg, now=now, machine_ns=NEVER, limits=environment.limits, instrument=instrument,
            strategy=self._settings, quote=self._quote, units=units,
            price=entry_price(leg, self._quote, side_of(units)), session=self._session, holiday=self._holiday,
            square_off_ns=self._squares_off_ns, speed=environment.square_off.speed, spent=bool(intent.spent),
            entries_per_minute=environment.rates.entries_per_minute,
            entries_last_minute=minute, last_entry_ns=self._last_entry_ns, session_entries=today,
        )  # fmt: skip
        stop = plan_stop(case) if plain is None else plain.levels
        if not admitted or type(stop) is str:
            if denied := find_denials(case, OF_THE_MOMENT) if free and type(stop) is not str else find_denials(case):
                self._ledger.apply(
                    SignalDenied(
                        signal=signal.id, strategy=self._strategy, code=denied[0].code, at_ns=now, account=ACCOUNT,
                        message="; ".join(one.message for one in denied), codes=tuple(one.code for one in denied),
                        instrument=self._name,
                    )
                )  # fmt: skip
                return None
            if instrument.freeze_qty > 1 and abs(units) > instrument.freeze_qty:
                raise NotCoveredError("an order above the freeze quantity")
            self._admitted.add(units)
        levels = stop if isinstance(stop, StopLevels) and stop.trigger else None
        if levels is None:
            return self._ordered(signal, PendingEntry(units, None, 0.0, leg.target_price))
        if stop_holder(case) is StopPlan.BROKER:
            return self._ordered(signal, PendingEntry(units, levels, 0.0, leg.target_price))
        return self._ordered(signal, PendingEntry(units, None, levels.trigger, leg.target_price))

    def _share_stop(self, leg: Leg, units: int, instrument: Instrument) -> ShareStop | None:
        """The stop of an entry at the last price; None where `plan_stop` must tell, or none is wanted."""
        if leg.stop_buffer or self._settings.stop is StopPlan.NONE:
            return None
        price, share = self._quote.ltp, self._stop_share
        level = leg.stop_price or price * (1 - share if units > 0 else 1 + share)
        return plan_share_stop(instrument, side_of(units), level, price, self._environment.limits)

    def _ordered(self, signal: Signal, entry: PendingEntry) -> PendingEntry:
        count_entry(self._entry_times, signal.created_ns)
        self._last_entry_ns = signal.created_ns
        return entry

    def _entries_since(self, since_ns: int) -> int:
        return sum(at_ns >= since_ns for at_ns in reversed(self._entry_times)) if self._entry_times else 0

    # bars on which something can happen

    def _wake(self, row: int, bar: Bar) -> None:
        start, end = bar.start_ns, bar.end_ns
        if row >= self._day_end:
            self._turn_day(row, start)
        held = self._held
        if held is not None and row >= self._begins_row and self._closes_daily:
            self._square_off(held, row, start)
            held = self._held
        waits = self._exits or self._places_stop or self._entry is not None
        if waits or (held is not None and (held.rests or held.is_watched)):
            if not self._opens_ns <= start < self._closes_ns:
                raise NotCoveredError("a bar outside trading hours while something is held or on its way")
            if waits or end > self._closes_ns or held is None or not self._only_follows(held, bar):
                self._open_bar(bar, start, listens=held is not None and held.run is not None)
                held = self._held
                if held is not None and (held.rests or held.is_watched):
                    if end > self._closes_ns:
                        raise NotCoveredError("a bar that ends after the close while something is held")
                    self._walk_bar(bar, start, end)
        if self._restless:
            self._restless = False
            if self._held is not None and self._held.stop is not None and not self._exits:
                self._places_stop = True
        self._set_alarm(row + 1)

    def _set_alarm(self, row: int) -> None:
        """Set the next row, from `row` on, at which anything can happen."""
        held = self._held
        if self._exits or self._places_stop or self._restless or self._entry is not None:
            self._alarm = row
            return
        last = self._book_row
        if held is not None and (held.rests or held.is_watched or held.stop or self._closes_daily):
            last = self._day_end
            if self._closes_daily and row <= self._begins_row < last:
                last = self._begins_row
            if held.rests or held.is_watched:
                if row <= self._outside < last:
                    last = self._outside
                last = self._first_touch(held, row, last)
        self._alarm = last

    def _first_touch(self, held: OpenTrade, row: int, last: int) -> int:
        """The first row before `last` whose prices come to something that can end the position or move its trail."""
        low, high = self._quiet_prices(held)
        lows, highs, far = self._lows, self._highs, row + _NEAR_ROWS
        for near in range(row, far if far < last else last):
            if lows[near] <= low or highs[near] >= high:
                return near
        if far >= last:
            return last
        touched = (self._low[far:last] <= low) | (self._high[far:last] >= high)
        at = int(touched.argmax())
        return far + at if touched[at] else last

    def _quiet_prices(self, held: OpenTrade) -> tuple[float, float]:
        """Two prices between which nothing happens to the position."""
        run, leg, side = held.run, held.leg, 1 if held.units > 0 else -1
        worst, best = -_FAR, _FAR  # prices times the side: they rise with the profit
        if held.rests and held.stop is not None:
            worst = side * held.stop.trigger
        if held.held_stop:
            worst = max(worst, side * held.held_stop)
        if held.held_target:
            best = side * held.held_target
        if run is not None and leg is not None:
            gain, trail = run.high, run.trail
            if run.trails:
                moves = trail.peak
                if trail.stop is None:
                    rule = run.rules.trailing
                    moves = -_FAR if rule.from_entry else rule.activation
                gain = moves if moves < gain else gain
            lost, won = side * (held.average + run.low / held.units), side * (held.average + gain / held.units)
            worst, best = lost if lost > worst else worst, won if won < best else best
        low, high, room = worst if side > 0 else -best, best if side > 0 else -worst, held.average * _NEAR
        if leg is not None and self._terms.levels:
            low, high = max(low, leg.floor), min(high, leg.ceiling)
        return low + room, high - room

    # the clock

    def _turn_day(self, row: int, start: int) -> None:
        if self._day >= 0:
            self._end_day(row)
        self._day = number = day_number(start)
        day, environment, name = ist_date(start), self._environment, self._name
        before = self._world.instrument(name)
        book = self._world.open_day(day)
        found = self._world.instrument(name)
        if self._held is not None and before is not None and found is not None and found.lot_size != before.lot_size:
            raise NotCoveredError("the lot changed while a position was held")
        self._engine.book = environment.instruments = book
        if found != before:
            self._admitted.clear()
        calendar = environment.calendar
        self._session = session = calendar.session(self._exchange, day)
        self._holiday = "" if session is not None else calendar.holiday_name(self._exchange, day)
        self._opens_ns, self._closes_ns = (session.open_ns, session.close_ns) if session is not None else (0, 0)
        self._begins_ns = self._squares_off_ns = 0
        if self._product is Product.MIS:
            self._begins_ns = environment.square_off.closing_begins_ns(self._exchange, start)
            self._squares_off_ns = environment.square_off_begins(self._strategy, name, self._product, start)
        self._closes_daily = self._begins_ns > 0
        search = self._start.searchsorted
        self._day_end = int(search((number + 1) * DAY - IST_OFFSET))
        self._begins_row = int(search(self._begins_ns)) if self._begins_ns else self._day_end
        self._outside = int(search(self._closes_ns - self._span, "right"))
        changes = self._world.same_until
        self._book_row = int(search(to_ns(changes, time.min))) if changes < date.max else len(self._start)
        limits = environment.limits
        self._admits_from = self._opens_ns + limits.avoid_first_minutes * MINUTE
        self._admits_until = self._closes_ns - limits.avoid_last_minutes * MINUTE
        if self._squares_off_ns:
            self._admits_until = min(self._admits_until, self._squares_off_ns)
        self._restless = self._held is not None and self._held.stop is not None

    def _end_day(self, row: int) -> None:
        """After the last bar of a day: stops at the broker end, and MIS that no bar closed ends at the last price."""
        last, held = float(self._close[row - 1]), self._held
        last_ns = int(self._start[row - 1]) + self._span
        mis = self._product is Product.MIS
        if self._entry is not None or self._places_stop or (self._exits and (mis or self._wanting)):
            raise NotCoveredError("an order that was on its way when the day ended")
        if held is not None and mis:
            if not self._begins_ns:
                raise NotCoveredError("a position on a day without a square-off")
            self._leave(held, last, max(last_ns - 1, self._begins_ns))
        if self._held is not None:
            self._held.rests = False
        self._cash += self._unbooked
        self._unbooked = self._delivered = 0.0

    def _square_off(self, held: OpenTrade, row: int, start: int) -> None:
        """The clock closes what is intraday: at the open of the bar at hand, or before it where that is too late."""
        environment = self._environment
        if self._entry is not None or self._places_stop:
            raise NotCoveredError("an entry that was on its way at the square-off")
        late = start >= environment.square_off.mis_deadline_ns(self._exchange, start)
        now = max(int(self._start[row - 1]) + self._span - 1, self._begins_ns) if late else start
        if self._exits and self._signal is not None:
            if late:
                raise NotCoveredError("an exit that was on its way at a late square-off")
            breach = intraday_square_off((self._name,), environment, now)
            self._ledger.apply(deny_while_ending(self._signal, breach, now))
            self._wanting = False
        if late:
            self._leave(held, float(self._close[row - 1]), now)
        else:
            self._exits = True

    # prices

    def _open_bar(self, bar: Bar, start: int, *, listens: bool) -> None:
        """Process an open: fill pending orders, then a stop that the open has passed, then levels held by risk."""
        opens, held = bar.open, self._held
        if self._exits:
            self._exits = False
            assert held is not None
            cancels = held.rests
            self._leave(held, opens, start)
            if self._wanting and self._intent is not None:
                self._turn(self._intent, opens, start, cancels=cancels)
        elif self._entry is not None:
            self._enter(self._entry, opens, start)
        elif self._places_stop:
            self._places_stop = False
            if held is not None:
                self._place_stop(held, opens, start)
        elif held is not None and held.rests and held.stop is not None and held.is_beyond(opens, held.stop.trigger):
            self._fill_stop(held, held.stop, opens, start)
        held = self._held
        if held is not None and (held.held_stop or held.held_target or (listens and held.run is not None)):
            self._meet(held, opens, start)

    def _turn(self, intent: Intent, opens: float, start: int, *, cancels: bool) -> None:
        """Enter the other side once the position is closed: the entry is judged, and filled at the same open.

        One that is too late ends with the answer to the cancel of a stop at the broker, if there was one.
        """
        signal = intent.signal
        if cancels and is_expired(signal, start, NEVER):
            self._wanting = False
            row = SignalExpired(signal=signal.id, strategy=self._strategy, at_ns=start, expired_ns=signal.expires_ns)
            self._ledger.apply(row)
            return
        entry = self._judged(start)
        if entry is not None:
            self._enter(entry, opens, start)

    def _only_follows(self, held: OpenTrade, bar: Bar) -> bool:
        """Move the trail of the run through a bar in which nothing ends; False, with nothing moved, of another bar."""
        run, leg, units = held.run, held.leg, held.units
        if run is None or leg is None or held.held_stop or held.held_target:
            return False
        opens, low, high, close = bar.open, bar.low, bar.high, bar.close
        worst, best = (low, high) if units > 0 else (high, low)
        if not leg.floor < low <= high < leg.ceiling:
            return False
        if held.rests and held.stop is not None and held.is_beyond(worst, held.stop.trigger):
            return False
        before, average, realised = run.trail, held.average, run.realised
        profit = realised + units * (opens - average)
        self._follow(run, profit)
        if profit < run.high and run.low < realised + units * (worst - average):
            profit = realised + units * (best - average)
            self._follow(run, profit)
            if profit < run.high and run.low < realised + units * (close - average):
                return True
        if run.trail is not before:
            run.trail = before
            run.update_profit_band()
        return False

    def _walk_bar(self, bar: Bar, start: int, end: int) -> None:
        """The path of a bar: from the open to the adverse extreme, to the other one, to the close."""
        held = self._held
        assert held is not None
        worst = bar.low if held.units > 0 else bar.high
        touched = held.rests and held.stop is not None and held.is_beyond(worst, held.stop.trigger)
        if not (touched or held.is_watched):
            return
        first, second = (bar.low, bar.high) if held.units > 0 else (bar.high, bar.low)
        third, at = (end - start) // 3, bar.open
        for target, now in ((first, start + third), (second, start + 2 * third), (bar.close, end - 1)):
            while (level := self._next_level(held, at, target)) is not None:
                at = level
                if held.rests and held.stop is not None and held.is_beyond(at, held.stop.trigger):
                    self._fill_stop(held, held.stop, at, now)
                elif held.is_watched:
                    self._meet(held, at, now)
                if self._held is None:
                    return
            at = target
            if held.is_watched:
                self._meet(held, at, now)
                if self._held is None:
                    return

    def _next_level(self, held: OpenTrade, begin: float, target: float) -> float | None:
        """The first level of the position on the way from one price to another; None if there is none."""
        falls = target < begin
        low, high = (target, begin) if falls else (begin, target)
        levels = [level for level in (held.held_stop, held.held_target) if level]
        if held.leg is not None:
            tick = self._tick
            if held.leg.floor >= low:
                levels.append(round_to_tick(held.leg.floor, tick, floor))
            if held.leg.ceiling <= high:
                levels.append(round_to_tick(held.leg.ceiling, tick, ceil))
        if held.rests and held.stop is not None and (held.units > 0) is falls:
            levels.append(held.stop.trigger)
        passed = [level for level in levels if low <= level <= high and level != begin]
        if not passed:
            return None
        return max(passed) if falls else min(passed)

    def _meet(self, held: OpenTrade, price: float, now: int) -> None:
        """A price comes to what risk holds: a stop, a target, the rules of the run."""
        stopped = bool(held.held_stop) and held.is_beyond(price, held.held_stop)
        reached = not stopped and bool(held.held_target) and held.is_beyond(price, held.held_target, target=True)
        cause = "stop" if stopped else "target" if reached else ""
        if held.run is not None and held.leg is not None:
            ruled = self._judge_run(held, held.run, held.leg, price, now)
            cause = cause or ruled
        if cause:
            self._leave(held, price, now, cause)

    def _judge_run(self, held: OpenTrade, run: Run, leg: RunLeg, price: float, now: int) -> str:
        """Value the run at a price, move its trail, and report the first rule that applies; the ledger's word for it
        if it closes, else empty."""
        profit = run.realised + held.units * (price - held.average)
        self._follow(run, profit)
        rules = run.rules
        if not run.low < profit < run.high:
            reached = reached_rules(rules, run.trail, profit, trails=run.trails, fired=run.fired)
            for breach in reached[:1]:
                self._record(breach_alerts(self._strategy, breach, now))
                run.fired.add(breach.kind)
                run.update_profit_band()
                if breach.acts:
                    return RULE_WORDS[breach.kind]
        if not leg.floor < price < leg.ceiling:
            for breach in leg.reached_rules(rules, price):
                if f"{breach.kind} leg" not in run.fired:
                    self._record(breach_alerts(f"{self._strategy} {leg.name}", breach, now))
                    run.fired.add(f"{breach.kind} leg")
                    return RULE_WORDS[breach.kind] if breach.acts else ""
        return ""

    def _record(self, rows: list[Any]) -> None:
        for row in rows:
            self._ledger.apply(row)

    @staticmethod
    def _follow(run: Run, profit: float) -> None:
        if run.trails and (run.trail.stop is None or profit > run.trail.peak):
            trail = run.trail.advance(run.rules.trailing, profit, run.basis)
            if trail is not run.trail:
                run.trail = trail
                run.update_profit_band()

    # fills

    def _enter(self, entry: PendingEntry, opens: float, now: int) -> None:
        self._entry = None
        units, stop, held_stop, held_target = entry
        size, instrument = abs(units), self._world.instrument(self._name)
        assert instrument is not None
        self._tick = instrument.tick_size
        slip = self._slippage.per_unit(opens, self._tick)
        price = booked_price(size, opens + slip if units > 0 else opens - slip)
        needed = required_cash(instrument, self._product, units, price, self._margin)
        if needed > self._cash - self._delivered - 1.0:
            raise NotCoveredError(f"the capital is too small for an entry: it needs ₹{needed:,.0f}")
        average = price * size / size
        held = self._held = OpenTrade(units, average, price * size, now, stop, held_stop, held_target)
        self._unrecorded.append(self._filled(units, price, now))
        self._workspace.last_fill_ns = now
        self._workspace.positions[self._name] = PositionView(units, average, 1 if units > 0 else -1)
        if self._terms.ruled:
            self._begin_run(held, now)
        if stop is not None:
            self._place_stop(held, opens, now)

    def _begin_run(self, held: OpenTrade, now: int) -> None:
        rules = self._terms.rules
        run = Run(strategy=self._strategy, id=f"{now}", rules=rules, opened_ns=now, trails=self._terms.trails)
        position = self._position(held, now)
        leg = RunLeg(self._owner, position, self._name, held.units, held.average, 0, held.average, held.average)
        run.basis = RunBasis(held.units, held.cost) if held.units > 0 else RunBasis(-held.units, -held.cost)
        run.update_profit_band()
        if self._terms.levels:
            leg.update_price_band(rules)
        held.run, held.leg = run, leg
        self._follow(run, held.units * (self._quote.ltp - held.average))

    def _place_stop(self, held: OpenTrade, price: float, now: int) -> None:
        """Place the stop at the broker; one that the price has passed already fills at once."""
        assert held.stop is not None
        if held.is_beyond(price, held.stop.trigger):
            self._fill_stop(held, held.stop, price, now)
        else:
            held.rests = True

    def _fill_stop(self, held: OpenTrade, stop: StopLevels, price: float, now: int) -> None:
        slip = self._slippage.per_unit(price, self._tick)
        within = price - slip >= stop.limit if held.units > 0 else price + slip <= stop.limit
        if not within:
            raise NotCoveredError("a stop whose limit the price had passed")
        self._leave(held, price, now, "stop")

    def _leave(self, held: OpenTrade, at: float, now: int, cause: str = "") -> None:
        """Close the position at a price, which slips; `cause` is the ledger's word for what ended it."""
        units, size = held.units, abs(held.units)
        slip = self._slippage.per_unit(at, self._tick)
        price = booked_price(size, at - slip if units > 0 else at + slip)
        self._held = None
        self._exits = self._places_stop = self._restless = False
        self._workspace.last_fill_ns = now
        side, paid, got = 1 if units > 0 else -1, held.cost, price * size
        gross = side * (got - paid)
        word = "BUY" if side > 0 else "SELL"
        trade = Trade(held.opened_ns, now, self._name, self._strategy, word, size, paid / size, got / size, gross, 0.0)
        self._unrecorded += (
            self._filled(-units, price, now),
            (self._ledger.note_exit, (self._strategy, self._name, cause)),
            (self._ledger.record_trade, (trade,)),
        )
        if len(self._unrecorded) > _RECORDED_TOGETHER:
            self._write_ledger()
        if self._product is Product.CNC and day_number(held.opened_ns) != self._day:
            self._unbooked += gross  # delivered shares: their cash is free with the next day
            self._delivered += paid
        else:
            self._cash += gross
        self._workspace.positions[self._name] = FLAT
        self._engine.active_signals.status_of(self._key).note_position_closed(side, now)
        intent = self._intent
        wanted = intent is not None and intent.signal.legs[0].lots * units > 0
        if intent is not None and wanted and intent.still_wants(self._position(held, held.opened_ns)):
            intent.mark_closed_elsewhere(ACCOUNT, now)

    def _filled(self, units: int, price: float, now: int) -> tuple[Callable[..., None], tuple[Any, ...]]:
        return self._ledger.record_fill, (now, self._name, self._strategy, self._product, units, price)

    def _write_ledger(self) -> None:
        for record, what in self._unrecorded:
            record(*what)
        self._unrecorded.clear()

    def _position(self, held: OpenTrade, opened_ns: int) -> Position:
        return Position(
            account=ACCOUNT, instrument=self._name, product=self._product, strategy=self._strategy, run="",
            quantity=held.units, opened_ns=opened_ns,
        )  # fmt: skip
