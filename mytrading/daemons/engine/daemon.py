"""The engine daemon: bars and quotes in, signals out.

`core/engine/machine` runs the strategies; the daemon brings them every bar once and in order: history and missed bars
from the feed's bar store, the newest from the `market` stream.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from mytrading.adapters.storage.bar_store import BarReader
from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.bars.builder import Aggregator, timeframe_minutes
from mytrading.core.calendar import Calendar
from mytrading.core.calendar.expiries import session_ends
from mytrading.core.engine.leg_selection import is_entry_day
from mytrading.core.engine.leg_strategy import missed_window
from mytrading.core.engine.machine import STARTED, TIME, EngineMachine
from mytrading.core.feed.instrument_demand import digest
from mytrading.core.instruments.book import NoSuchContract
from mytrading.core.instruments.symbology import split_id
from mytrading.daemons.engine.strategy_files import find_rules, find_strategies
from mytrading.daemons.engine.universe import OptionUniverse
from mytrading.messages.codec import Frame
from mytrading.messages.control import BarGaps, Heartbeat, WantInstruments
from mytrading.messages.enums import Severity
from mytrading.messages.journal_rows import DayOpened
from mytrading.messages.leg_plan import LegPlan
from mytrading.messages.market import Bar, MarketStep, Quote
from mytrading.messages.run_config import RUN_FILE, RunConfig
from mytrading.messages.signals import Signal, SignalVetoed, StrategyFaulted
from mytrading.messages.streams import STEP_TOPIC
from mytrading.runtime.daemon.author_watchdog import OverrunGuard
from mytrading.runtime.daemon.live_files import EditedFiles, read_edited, taken_folder
from mytrading.runtime.daemon.lockstep import MarketPlace, Progress
from mytrading.runtime.daemon.machine_daemon import MachineDaemon
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.observability.logging import trade_logger
from mytrading.runtime.observability.metrics import get_performance_monitor

BARS_PER_DAY = 900
"""At least as many minutes as any exchange is open; MCX has 870."""

CLOSED = 4
"""Days in a row on which an exchange may be closed: a weekend and two holidays."""
OPEN_ANYWAY_NS = 20_000_000_000
LOOK_S = 0.1
MINUTE = "1m"
GRACE_NS = 2_000_000_000
"""Machine time that a longer bar waits for its last minute, which may have had no trade and so no bar."""


class StrategyEngine(MachineDaemon):
    """The engine process of all enabled strategies."""

    def __init__(self, config: RunConfig) -> None:
        timings = get_performance_monitor().operation("strategy_engine", "execute")
        self._guard = OverrunGuard(config.state / "engine", timings)
        self._calendar = read_edited(config.calendar_path, taken_folder(config.state), Calendar.from_dict).made
        self._instruments = InstrumentFile(config.state, session_ends(self._calendar))
        classes = find_strategies(config, self._guard.overran(config.state / RUN_FILE))
        self.engine = EngineMachine(
            config.strategies,
            classes,
            self._instruments.book(),
            config.venue.account,
            self._guard,
            config.risk.signal_validity_seconds,
            find_rules(config),
        )
        self.engine.warm_up()
        super().__init__("engine", config, self.engine)
        self._watched = tuple(dict.fromkeys(symbol for run in config.strategies for symbol in run.symbols))
        self._universe = OptionUniverse(config.strategies, self._calendar)
        self._aggregator = self._new_aggregator()
        self._seen: dict[str, int] = {}
        self._first: dict[str, int] = {}
        self._holed: set[str] = set()
        self._opened = self._feed_ready = False
        self._began = machine_now()
        self._bars = self._signals = 0
        self._market = MarketPlace()
        self._wanted: tuple[str, ...] = ()
        self._topics: frozenset[str] = frozenset(self._watched)

    def setup(self) -> None:
        """Recover, learn what became of the orders while away, then wait for the feed and open."""
        super().setup()
        self._trades = trade_logger()
        self._reader = BarReader(self.config.bars_dir)
        self.follow("control")
        self.follow("orders", downstream=True)
        self.subscribe("status", self._on_status, topics=("feed",), writers=("feed",))
        topics = (*self._watched, STEP_TOPIC) if self.lock_step else self._watched
        heard = ("",) if self._hears_all() else topics
        self._quotes = self.subscribe("market", self._on_market, topics=heard, first=True)
        self.every(LOOK_S, lambda _: self._look(), "look")
        self.every(1.0, lambda _: self._say_wants(), "wants")
        edits = EditedFiles(self.alerts, self.log)
        edits.follow(self.config.calendar_path, lambda read: self._calendar.take(Calendar.from_dict(read)))
        self.every(1.0, lambda _: edits.look(), "edits")

    def ready(self) -> bool:
        """True once the strategies run on live bars."""
        return self._opened

    def progress(self) -> Progress:
        """In lock-step: how far the market was worked through."""
        done = super().progress()
        seen = {**done.seen, "feed/market": self._market.seen}
        waits = "" if self._opened else "strategies to open"
        return Progress(0, waits, {**done.sent, "wants": digest(self._wanted)}, seen)

    def figures(self) -> dict[str, float]:
        """What the screens show of the engine."""
        hosts = self.engine.hosts
        return {
            "bars": self._bars,
            "signals": self._signals,
            "strategies": sum(item.fault is None for item in hosts),
            "faulted": self.engine.faulted,
            "warm": sum(item.is_warm for item in hosts),
        }

    def foundation(self, records: Sequence[Any]) -> tuple[Any, ...]:
        """A lost journal begins with the positions that the router carried into the day."""
        found = [row for row in records if isinstance(row, DayOpened)]
        return tuple(DayOpened(day=row.day, positions=row.positions, switches=row.switches) for row in found[:1])

    def snapshot(self, day: str) -> tuple[Any, ...]:
        """Positions and switches, at the head of a new day."""
        return self.engine.snapshot(day)

    def teardown(self) -> None:
        """Let strategies know, then close files."""
        self.engine.stop()
        self._reader.close()
        self._guard.close()
        super().teardown()

    # opening

    def _on_status(self, frame: Frame) -> None:
        if isinstance(frame.message, Heartbeat) and frame.message.ready:
            self._feed_ready = True
        elif isinstance(frame.message, BarGaps):
            self._on_bar_gaps(frame.message)

    def _on_bar_gaps(self, bars: BarGaps) -> None:
        """What strategies were given across a hole counts for nothing once history has filled it."""
        filled = self._holed.difference(bars.holes, bars.behind)
        self._holed = self._holed.union(bars.holes) - filled
        if filled and self._opened:
            self.log.info("hole.filled", instruments=sorted(filled), next_step="strategies start again from whole bars")
            self._open_again()

    def _open_again(self) -> None:
        self.engine.rebuild()
        self._open()

    def _look(self) -> None:
        """Bars that no frame brought, longer bars that end by the clock, history that came late, new contracts."""
        if self._universe.is_due(self.clock.now()):
            self._choose()
        if not self._opened:
            if self._may_open():
                self._open()
            return
        if self._history_grew():
            self.log.info("history.grew", next_step="strategies start again from the longer history")
            self._open_again()
            return
        if not self.lock_step:
            self._look_at_bars()

    def _look_at_bars(self) -> None:
        self.engine.run_at(self.clock.speed)
        for instrument in self._watched:
            self.still_here()
            self._refill(instrument, until=None)
        now = self.clock.now()
        for bar in self._aggregator.advance(now, int(GRACE_NS * self.clock.speed), machine_now()):
            self._give(bar)
        self._tell_time(now)
        self._say_problems()

    def _tell_time(self, now: int) -> None:
        """Timers of strategies, and slices that lack the bar of an instrument."""
        waits = self.engine.next_timer_ns()
        if waits and now >= waits:
            self.tick(TIME, machine_now(), now)

    def _choose(self) -> None:
        """Watch the options of the day; the strategies open again once they have bars, or have waited for them."""
        if not (self._feed_ready and self._instruments.exists()):
            return
        found = self._universe.choose(self._instruments.book(), self._reader, self.clock.now())
        self._say_trouble(self._universe.problems)
        if found is None:
            return
        self.engine.watch(found)
        self._watched = tuple(dict.fromkeys(symbol for item in self.engine.hosts for symbol in item.run.symbols))
        self._opened, self._began = False, machine_now()
        self.log.info("options.chosen", watched=len(self._watched), strategies=sorted(found))
        self._say_wants()

    def _may_open(self) -> bool:
        """With the feed's history in the store and contracts to choose from; without them after a while."""
        if machine_now() - self._began > OPEN_ANYWAY_NS:
            return True
        if not (self._feed_ready and self._instruments.exists()) or self._universe.is_due(self.clock.now()):
            return False
        return all(self._reader.last_end(name) for name in self._watched) if self._universe.any else True

    def _open(self) -> None:
        """Walk the strategies through the stored history; bars still in time are given as live ones."""
        self.engine.book = self._instruments.book()
        self.engine.run_at(self.clock.speed)
        self._aggregator = self._new_aggregator()
        bars = self._history()
        now = self.clock.now()
        late = [bar for bar in bars if self.engine.is_late(bar, now)]
        self.engine.open(late, self.still_here)
        if not self._opened:
            self.tick(STARTED, machine_now())
        self._opened = True
        self.log.info("engine.opened", bars=len(bars), strategies=len(self.engine.hosts), faulted=self.engine.faulted)
        self._say_missed(bars)
        for bar in bars[len(late) :]:
            self.still_here()
            self._give(bar)

    def _history(self) -> list[Bar]:
        """Stored minutes of all watched instruments and the longer bars of them, in the order of their ends."""
        most = (max((item.history_days for item in self.engine.hosts), default=1) + 1) * BARS_PER_DAY
        bars: list[Bar] = []
        for instrument in self._watched:
            self.still_here()
            minutes = self._reader.bars(instrument, MINUTE, limit=most)
            first = minutes[0].start_ns if minutes else sys.maxsize
            self._first[instrument] = first if len(minutes) < most else 0
            self._seen[instrument] = minutes[-1].end_ns if minutes else 0
            for minute in minutes:
                bars += [*self._aggregator.add(minute), minute]
        return sorted(bars, key=lambda bar: (bar.end_ns, bar.start_ns))

    def _history_grew(self) -> bool:
        """True if a strategy still lacks history and the store now has older bars than it was given."""
        cold = {symbol for item in self.engine.hosts if not item.is_warm for symbol in item.run.symbols}
        return any(self._reader.bars(symbol, MINUTE, until=self._first[symbol], limit=1) for symbol in cold)

    def _new_aggregator(self) -> Aggregator:
        frames = {frame for item in self.engine.hosts if item.fault is None for frame in item.run.timeframes}
        return Aggregator(self._calendar, sorted(frames, key=timeframe_minutes, reverse=True))

    # market data

    def _on_market(self, frame: Frame) -> None:
        message = frame.message
        kind = type(message)
        if kind is MarketStep:
            self._on_step(message)
        elif not self._opened:
            return
        elif kind is Quote:
            if self.engine.wants_quotes(message.instrument):
                self.step("market", message)
            else:
                self.engine.note_price(message)
        elif kind is Bar and message.timeframe == MINUTE:
            self._on_minute(message)

    def _on_step(self, step: MarketStep) -> None:
        """In lock-step: all that the market's step brought is here; what the clock brings follows now."""
        if self._market.take(step) and self._opened:
            self._look_at_bars()
            self._say_wants()

    def _on_minute(self, bar: Bar) -> None:
        seen = self._seen.get(bar.instrument, 0)
        if bar.end_ns <= seen:
            return
        if bar.start_ns > seen:
            self._refill(bar.instrument, until=bar.start_ns)
        self._give_minute(bar)

    def _refill(self, instrument: str, until: int | None) -> None:
        """Give the bars that the store has and we have not."""
        seen = self._seen.get(instrument, 0)
        if until is None and self._reader.last_end(instrument) <= seen:
            return
        for bar in self._reader.bars(instrument, MINUTE, since=seen, until=until, limit=2 * BARS_PER_DAY):
            self._give_minute(bar)

    def _give_minute(self, bar: Bar) -> None:
        self._seen[bar.instrument] = bar.end_ns
        self._first[bar.instrument] = min(bar.start_ns, self._first.get(bar.instrument, bar.start_ns))
        for longer in self._aggregator.add(bar):
            self._give(longer)
        self._give(bar)

    def _give(self, bar: Bar) -> None:
        self._bars += 1
        self.step("market", bar)

    # out

    def effects(self, rows: Sequence[Any]) -> None:
        """Count and tell what was sent."""
        for row in rows:
            if isinstance(row, Signal):
                self._signals += 1
                self._trades.info("signal.sent", **_fields(row))
            elif isinstance(row, SignalVetoed):
                self._tell_denial(row)
            elif isinstance(row, StrategyFaulted) and row.gone:
                self.log.info("strategy.gone", strategy=row.strategy, where=row.where)
            elif isinstance(row, StrategyFaulted):
                self.log.error("strategy.faulted", strategy=row.strategy, where=row.where, problem=row.error)
                self.alerts.raise_(
                    "STRATEGY_FAULTED",
                    Severity.WARNING,
                    row.strategy,
                    f"{row.where}: {row.error}; its positions stay managed; mend it, then `mytrading down` and `up`",
                )

    def _tell_denial(self, row: SignalVetoed) -> None:
        self._trades.info("signal.vetoed", strategy=row.strategy, watch=row.watch, action=row.action.value,
                          rule=row.rule or "LATE", problem=row.message)  # fmt: skip
        if row.faulted:
            text = f"{row.message}; until then it denies every entry"
            self.alerts.raise_("RULE_FAULTED", Severity.CRITICAL, row.rule, text)

    def _say_wants(self) -> None:
        if self._instruments.changed():
            self.engine.book = self._instruments.book()
        self._wanted = tuple(dict.fromkeys(self._watched + self.engine.tradable(self.clock.now())))
        bars = self._watched if self._universe.any else ()
        days = max((item.history_days for item in self.engine.hosts), default=1)
        wants = WantInstruments(daemon=self.name, instruments=self._wanted, bars=bars, bar_days=days * 7 // 5 + CLOSED)
        self.status.send(self.name, wants)
        self._follow_wanted()

    def _hears_all(self) -> bool:
        """In lock-step a topic subscribed to late could miss the quotes of a step."""
        return self.lock_step and any(run.plan or run.options for run in self.config.strategies)

    def _follow_wanted(self) -> None:
        """Hear the quotes of contracts that legs may be chosen from; bars come of watched instruments alone."""
        if self._hears_all():
            return
        wanted = frozenset(self._wanted) | frozenset(self._watched)
        for instrument in wanted - self._topics:
            self._quotes.subscribe(instrument)
        for instrument in self._topics - wanted:
            self._quotes.unsubscribe(instrument)
        self._topics = wanted

    def _say_missed(self, bars: Sequence[Bar]) -> None:
        """Plans whose entry time passed today while nothing was received: they do nothing more until the next day."""
        now = self.clock.now()
        for host in self.engine.hosts:
            run, watch = host.run, host.run.symbols[0]
            if run.plan is None or host.fault is not None or not self._calendar.is_open(split_id(watch)[0], now):
                continue
            own = (bar for bar in bars if bar.instrument == watch and bar.timeframe == MINUTE)
            window = missed_window(run.plan, own, now)
            flat = host.strategy.position_of(watch).is_flat
            if window and flat and self._is_entered_today(run.plan, watch, now):
                text = f"entry window {window} missed: no quotes of {watch} came then; the next one is on another day"
                self.alerts.raise_("WINDOW_MISSED", Severity.WARNING, run.name, text)

    def _is_entered_today(self, plan: LegPlan, watch: str, now: int) -> bool:
        with suppress(NoSuchContract):
            return is_entry_day(plan.days, plan.legs, watch, self.engine.book, now)
        return False

    def _say_problems(self) -> None:
        """Contracts that a trade rule names and nobody lists; the windows that were missed on a day before."""
        today = self._calendar.trading_day(self.clock.now())
        for alert in self.alerts.standing:
            if alert.code == "WINDOW_MISSED" and self._calendar.trading_day(alert.first_ns) != today:
                self.alerts.clear(alert.code, alert.subject)
        self._say_trouble({f"{strategy} {watch}": text for (strategy, watch), text in self.engine.problems.items()})

    def _say_trouble(self, subjects: Mapping[str, str]) -> None:
        for subject, text in subjects.items():
            self.alerts.raise_("NO_CONTRACT", Severity.WARNING, subject, f"{text}; the signal was dropped")
        for alert in self.alerts.standing:
            if alert.code == "NO_CONTRACT" and alert.subject not in subjects:
                self.alerts.clear(alert.code, alert.subject)


def _fields(signal: Signal) -> dict[str, Any]:
    return {
        "signal": signal.id,
        "strategy": signal.strategy,
        "watch": signal.watch,
        "action": signal.action.value,
        "legs": [f"{leg.lots:+d} {leg.instrument}" for leg in signal.legs],
        "price": signal.price,
        "confidence": signal.confidence,
        "reason": signal.reason,
    }
