"""The engine daemon: bars and quotes in, signals out.

`core/engine/machine` runs the strategies. They get every bar once and in order: history and missed bars from the feed's
bar store, the newest from the `market` stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mytrading.adapters.storage.bar_store import BarReader
from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.calendar.expiries import session_ends
from mytrading.core.engine.active_alerts import STATE_ALERTS, active_alerts
from mytrading.core.engine.contract_selection import is_entry_day
from mytrading.core.engine.leg_strategy import missed_entry_window
from mytrading.core.engine.machine import STARTED, TIME, EngineMachine
from mytrading.core.feed.instrument_demand import digest
from mytrading.core.instruments.book import NoSuchContract
from mytrading.core.instruments.symbology import split_id
from mytrading.core.time import SECOND
from mytrading.daemons.engine.strategy_files import find_rules, find_strategies
from mytrading.daemons.engine.watched_data import MINUTE, BarIntake, OptionUniverse
from mytrading.messages.codec import Frame
from mytrading.messages.control import BarGaps, Heartbeat, WantInstruments
from mytrading.messages.journal_rows import DayOpened
from mytrading.messages.market import Bar, MarketStep, Quote
from mytrading.messages.run_config import RUN_FILE, RunConfig
from mytrading.messages.signals import Signal, SignalVetoed, StrategyFaulted
from mytrading.messages.streams import STEP_TOPIC
from mytrading.runtime.daemon.author_watchdog import OverrunGuard
from mytrading.runtime.daemon.live_files import EditedFiles
from mytrading.runtime.daemon.lockstep import MarketStreamPlace, Progress
from mytrading.runtime.daemon.machine_daemon import MachineDaemon
from mytrading.runtime.daemon.market_tables import MarketTables
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.observability.logging import trade_logger
from mytrading.runtime.observability.metrics import get_performance_monitor

CLOSED = 4
"""Days in a row on which an exchange may be closed: a weekend and two holidays."""
OPEN_ANYWAY_NS = 20 * SECOND
LOOK_S = 0.1


class StrategyEngine(MachineDaemon):
    """The engine process of all enabled strategies."""

    def __init__(self, config: RunConfig) -> None:
        timings = get_performance_monitor().operation("strategy_engine", "execute")
        self._guard = OverrunGuard(config.state / "engine", timings)
        self._tables = MarketTables(config)
        self._calendar = self._tables.calendar
        self._instruments = InstrumentFile(config.state, session_ends(self._calendar))
        classes = find_strategies(
            Path(config.home), config.strategies, self._guard.record_overruns(config.state / RUN_FILE)
        )
        self.engine = EngineMachine(
            config.strategies, classes, self._instruments.book(), config.venue.account, self._guard,
            config.risk.signal_validity_seconds, find_rules(config),
        )  # fmt: skip
        self.engine.warm_up()
        super().__init__("engine", config, self.engine)
        self._watched = tuple(dict.fromkeys(symbol for run in config.strategies for symbol in run.symbols))
        self._universe = OptionUniverse(config.strategies, self._calendar)
        self._opened = self._feed_ready = False
        self._began = machine_now()
        self._bars = self._signals = 0
        self._market = MarketStreamPlace()
        self._wanted: tuple[str, ...] = ()
        self._topics: frozenset[str] = frozenset(self._watched)

    def setup(self) -> None:
        """Recover state from the journals, subscribe to market data, control and orders, and start the timers."""
        super().setup()
        self._trades = trade_logger()
        self._intake = BarIntake(BarReader(self.config.bars_dir), self._calendar, self.beat_if_due)
        self.follow("control")
        self.follow("orders", downstream=True)
        self.subscribe("status", self._on_status, topics=("feed",), writers=("feed",))
        topics = (*self._watched, STEP_TOPIC) if self.lock_step else self._watched
        topics = ("",) if self._follows_all_quotes() else topics
        self._quotes = self.subscribe("market", self._on_market, topics=topics, first=True)
        self.every(LOOK_S, lambda _: self._look())
        self.every(1.0, lambda _: self._send_wants())
        edits = EditedFiles(self.alerts, self.log)
        self._tables.follow_calendar(edits)
        self.every(1.0, lambda _: edits.poll())

    def ready(self) -> bool:
        """True once the strategies run on live bars."""
        return self._opened

    def lock_step_progress(self) -> Progress:
        """Return, in lock-step, how far the market data was processed and what the engine still waits for."""
        done = super().lock_step_progress()
        seen = {**done.seen, "feed/market": self._market.seen}
        waits = "" if self._opened else "strategies to open"
        return Progress(0, waits, {**done.sent, "wants": digest(self._wanted)}, seen)

    def figures(self) -> dict[str, float]:
        """Return the engine's counts for the heartbeat: bars, signals, and running, faulted and warm strategies."""
        hosts = self.engine.hosts
        return {
            "bars": self._bars, "signals": self._signals, "strategies": sum(item.fault is None for item in hosts),
            "faulted": self.engine.fault_count, "warm": sum(item.is_warm for item in hosts),
        }  # fmt: skip

    def opening_rows_of_rebuild(self, records: Sequence[Any]) -> tuple[Any, ...]:
        """Return the first row of a new journal after a loss, from the `DayOpened` row among `records`; () if none."""
        found = [row for row in records if isinstance(row, DayOpened)]
        return tuple(DayOpened(day=row.day, positions=row.positions, switches=row.switches) for row in found[:1])

    def snapshot(self, day: str) -> tuple[Any, ...]:
        """Return the rows that open the journal of `day`: positions and switches."""
        return self.engine.snapshot(day)

    def teardown(self) -> None:
        """Call `on_stop` of the strategies, then close files."""
        self.engine.stop()
        self._intake.reader.close()
        self._guard.close()
        super().teardown()

    def _on_market(self, frame: Frame) -> None:
        message = frame.message
        kind = type(message)
        if kind is MarketStep:
            if self._market.record(message) and self._opened:
                self._on_clock()
                self._send_wants()
        elif not self._opened:
            return
        elif kind is Quote:
            if self.engine.wants_quotes(message.instrument):
                self.step("market", message)
            else:
                self.engine.note_price(message)
        elif kind is Bar and message.timeframe == MINUTE:
            self._step_bars(self._intake.bars_up_to(message))

    def _step_bars(self, bars: Iterable[Bar]) -> None:
        for bar in bars:
            self._bars += 1
            self.step("market", bar)

    def _on_status(self, frame: Frame) -> None:
        message = frame.message
        if isinstance(message, Heartbeat) and message.ready:
            self._feed_ready = True
        elif isinstance(message, BarGaps) and (filled := self._intake.apply_gaps(message)) and self._opened:
            self._open_again("hole.filled", "strategies start again from whole bars", instruments=sorted(filled))

    def _look(self) -> None:
        """Poll each tenth of a second for new contracts and late history, and in real time for events of the clock."""
        if self._universe.is_choice_due(self.clock.now()):
            self._choose_options()
        if not self._opened:
            if self._may_open():
                self._open()
        elif self._intake.has_older(
            symbol for item in self.engine.hosts if not item.is_warm for symbol in item.run.symbols
        ):
            self._open_again("history.grew", "strategies start again from the longer history")
        elif not self.lock_step:
            self._on_clock()
        today = self._calendar.trading_day(self.clock.now())
        self.alerts.set_active(active_alerts(self.engine, self._universe.problems, today), STATE_ALERTS)

    def _on_clock(self) -> None:
        """Bars that no frame brought, longer bars that end by the clock, timers and slices that lack a bar.

        In lock-step once all that the market's step brought is here.
        """
        self.engine.speed = self.clock.speed
        for instrument in self._watched:
            self._step_bars(self._intake.missed_bars(instrument))
        now = self.clock.now()
        self._step_bars(self._intake.close_longer_bars(now, self.clock.speed, machine_now()))
        if (waits := self.engine.next_timer_ns()) and now >= waits:
            self.step_timer(TIME, machine_now(), now)

    def _choose_options(self) -> None:
        """Watch the options of the day; the strategies open again once they have bars, or have waited for them."""
        if not (self._feed_ready and self._instruments.exists()):
            return
        found = self._universe.choose(self._instruments.book(), self._intake.reader, self.clock.now())
        if found is None:
            return
        self.engine.watch(found)
        self._watched = tuple(dict.fromkeys(symbol for item in self.engine.hosts for symbol in item.run.symbols))
        self._opened, self._began = False, machine_now()
        self.log.info("options.chosen", watched=len(self._watched), strategies=sorted(found))
        self._send_wants()

    def _may_open(self) -> bool:
        """With the feed's history in the store and contracts to choose from; without them after a while."""
        if machine_now() - self._began > OPEN_ANYWAY_NS:
            return True
        if not (self._feed_ready and self._instruments.exists()) or self._universe.is_choice_due(self.clock.now()):
            return False
        return not self._universe.has_rules or all(self._intake.reader.last_end(name) for name in self._watched)

    def _open(self) -> None:
        """Walk the strategies through the stored history; bars still in time run as live ones."""
        self.engine.book = self._instruments.book()
        self.engine.speed = self.clock.speed
        frames = {frame for item in self.engine.hosts if item.fault is None for frame in item.run.timeframes}
        bars = self._intake.load_history(self._watched, frames, self._history_days())
        now = self.clock.now()
        late = [bar for bar in bars if self.engine.is_late(bar, now)]
        self.engine.open(late, self.beat_if_due)
        if not self._opened:
            self.step_timer(STARTED, machine_now())
        self._opened = True
        self.log.info(
            "engine.opened", bars=len(bars), strategies=len(self.engine.hosts), faulted=self.engine.fault_count
        )
        self._find_missed_windows(bars)
        for bar in bars[len(late) :]:
            self.beat_if_due()
            self._step_bars((bar,))

    def _open_again(self, event: str, next_step: str, **fields: Any) -> None:
        self.log.info(event, **fields, next_step=next_step)
        self.engine.rebuild()
        self._open()

    def _history_days(self) -> int:
        return max((item.history_days for item in self.engine.hosts), default=1)

    def _find_missed_windows(self, bars: Sequence[Bar]) -> None:
        """Plans whose entry time passed today while nothing was received: they do nothing more until the next day."""
        now = self.clock.now()
        for host in self.engine.hosts:
            run, watch = host.run, host.run.symbols[0]
            plan = run.plan
            if plan is None or host.fault is not None or not self._calendar.is_open(split_id(watch)[0], now):
                continue
            own = (bar for bar in bars if bar.instrument == watch and bar.timeframe == MINUTE)
            window = missed_entry_window(plan, own, now)
            with suppress(NoSuchContract):
                flat = host.strategy.position_of(watch).is_flat
                if window and flat and is_entry_day(plan.days, plan.legs, watch, self.engine.book, now):
                    text = (
                        f"entry window {window} missed: no quotes of {watch} came then; the next one is on another day"
                    )
                    self.engine.missed_windows[run.name] = self._calendar.trading_day(now), text

    def on_rows_sent(self, rows: Sequence[Any]) -> None:
        """Log the signals, vetoes and strategy faults among rows just journaled; count the signals."""
        for row in rows:
            if isinstance(row, Signal):
                self._signals += 1
                self._trades.info(
                    "signal.sent", signal=row.id, strategy=row.strategy, watch=row.watch, action=row.action.value,
                    legs=[f"{leg.lots:+d} {leg.instrument}" for leg in row.legs], price=row.price,
                    confidence=row.confidence, reason=row.reason,
                )  # fmt: skip
            elif isinstance(row, SignalVetoed):
                log = self._trades.warning if row.code else self._trades.info
                log("signal.vetoed", strategy=row.strategy, watch=row.watch, action=row.action.value,
                    rule=row.rule or row.code or "LATE", problem=row.message)  # fmt: skip
            elif isinstance(row, StrategyFaulted) and row.gone:
                self.log.info("strategy.gone", strategy=row.strategy, where=row.where)
            elif isinstance(row, StrategyFaulted):
                self.log.error("strategy.faulted", strategy=row.strategy, where=row.where, problem=row.error)

    def _send_wants(self) -> None:
        """Request the quotes that are needed from the feed, and follow them."""
        if self._instruments.has_changed():
            self.engine.book = self._instruments.book()
        self._wanted = tuple(dict.fromkeys(self._watched + self.engine.tradable_contracts(self.clock.now())))
        bars = self._watched if self._universe.has_rules else ()
        bar_days = self._history_days() * 7 // 5 + CLOSED
        self.status.send(
            self.name, WantInstruments(daemon=self.name, instruments=self._wanted, bars=bars, bar_days=bar_days)
        )
        if self._follows_all_quotes():
            return
        topics = frozenset((*self._wanted, *self._watched))
        for instrument in topics - self._topics:
            self._quotes.subscribe(instrument)
        for instrument in self._topics - topics:
            self._quotes.unsubscribe(instrument)
        self._topics = topics

    def _follows_all_quotes(self) -> bool:
        """In lock-step a topic subscribed to late could miss the quotes of a step."""
        return self.lock_step and any(run.plan or run.options for run in self.config.strategies)
