"""The risk process: signals in, commands out, and the exits that must happen whoever else is there.

Wiring only: `core/risk` decides. Quotes are subscribed for instruments that are held, ordered, wanted, or announced by
the engine, so that a signal finds its quote waiting. No author code runs here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mytrading.adapters.storage.bar_store import BarReader
from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.core.accounting.margin_tables import RiskTables
from mytrading.core.accounting.pnl import profit
from mytrading.core.calendar.expiries import session_ends
from mytrading.core.feed.instrument_demand import digest
from mytrading.core.instruments.book import InstrumentBook
from mytrading.core.risk.active_alerts import BY_OPERATOR, STATE_ALERTS, LatencyAlerts, active_alerts
from mytrading.core.risk.exits.price_levels import restore_stops
from mytrading.core.risk.machine import RiskMachine
from mytrading.core.risk.pretrade.readiness import stops_watched_by_risk, why_funds_unknown, why_not_ready
from mytrading.core.risk.sizing.lots import unknown_sizings
from mytrading.core.risk.snapshot import risk_snapshot
from mytrading.core.risk.state.day_carry import opening_rows
from mytrading.core.risk.state.decision_rows import drop_repeated_goals
from mytrading.core.risk.state.environment import RiskEnvironment
from mytrading.core.risk.state.inputs import JOURNALED, OBSERVED, JournalDoubt
from mytrading.core.risk.state.level_copies import alerts_in, levels_for, restoring_rows
from mytrading.core.risk.state.lost_covers import bare_legs
from mytrading.core.time import DAY, SECOND, iso_day
from mytrading.messages.codec import Frame
from mytrading.messages.commands import CloseGoal, PlaceEntry, RiskLevels, SignalDenied, SignalExpired
from mytrading.messages.control import (
    KILL,
    DayTraded,
    LimitUse,
    OrderTrial,
    OrderTrialResult,
    StepDone,
    WantInstruments,
)
from mytrading.messages.journal_rows import FundsRecorded, RiskOpened
from mytrading.messages.level_names import bare_figure_name, hedge_figure_name, stop_level_name
from mytrading.messages.market import MarketStep, Quote
from mytrading.messages.orders import OrderChanged
from mytrading.messages.reports import Funds
from mytrading.messages.risk_events import RiskEventRecorded
from mytrading.messages.run_config import RunConfig, VenueKind
from mytrading.messages.signals import Signal
from mytrading.messages.streams import STREAMS, TRIAL_TOPIC, book_topic, step_topic
from mytrading.runtime.daemon.live_files import EditedFiles, accepted_folder
from mytrading.runtime.daemon.lockstep import MarketStreamPlace, Progress
from mytrading.runtime.daemon.machine_daemon import MachineDaemon
from mytrading.runtime.daemon.market_tables import CALENDAR, RISK, MarketTables
from mytrading.runtime.daemon.webhook_files import POLL_S, WebhookFolder
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.observability.logging import trade_logger
from mytrading.runtime.recovery.journal_rebuild import carried_records, rows_read_by
from mytrading.runtime.supervision.kill_file import KillFile

CLOCK_S = 0.25
WANTS_S = 1.0
SNAPSHOT_S = 0.5
NEIGHBOURS = ("feed", "router", "reconciler", "engine")
"""Daemons whose heartbeats risk reads."""
TREND_BARS = 120
"""Bars below which a trend's history is looked for in the feed's store, every `TREND_S` seconds."""
TREND_S = 10.0
TREND_DAYS_NS = 8 * DAY
COPIES_KEPT_NS = 7 * DAY
"""Market time for which copies of the limits' levels are looked for."""
TRIED_NS = 30 * SECOND
TRIAL_WAITS_NS = 2 * SECOND
"""Machine time for which an order that is only asked about is quoted, and for which its first quote is waited for."""
FORGET_S = 10.0
"""Time between two looks at webhooks that are removed: one that was flat at both is closed for good."""
START_PATIENCE_NS = 3 * SECOND
"""Machine time after a start in which entries wait for the first heartbeats of the neighbours, and what is under way
(a basket, a change of legs) for the first funds, quotes and books too."""


class RiskManager(MachineDaemon):
    """The risk process of all accounts of a host.

    In: `signals`, `orders`, `control` (journals), `market`, `account` and `status` (sockets).
    Machine: `RiskMachine`. Out: `commands` to the router, `reads` to the reconciler, levels on `status`.
    """

    def __init__(self, config: RunConfig) -> None:
        self._tables = MarketTables(config)
        calendar, square_off = self._tables.calendar, self._tables.square_off
        account, book = config.venue.account, InstrumentBook(())
        self.risk = RiskMachine(
            RiskEnvironment(config.risk, config.rates, config.strategies, account, calendar, book, square_off)
        )
        super().__init__("risk", config, self.risk)
        self._webhooks = WebhookFolder(config, self.log)
        self._flat: frozenset[str] = frozenset()
        """Webhooks without a file that were flat at the last look."""
        self._take_webhooks()
        self._instruments = InstrumentFile(config.state, session_ends(calendar))
        self._take_instruments()
        self._margins = self._tables.read(RISK, self._parse_margins)
        environment, served = self.risk.environment, config.venue.kind is VenueKind.OPENALGO and not self.lock_step
        environment.tables = self._margins.made
        environment.lock_step = self.lock_step
        environment.copies_levels = not self.lock_step
        environment.confirms_days = not config.simulator.replay
        environment.exit_patience_ns = round(config.windows.exit_patience * SECOND)
        environment.broker_rules, environment.accepted_brokers = config.broker_rules, config.accepted_brokers
        environment.names_brokers = config.brokers_count
        environment.order_accounts = frozenset(account.id for account in config.order_accounts)
        environment.asks_broker = environment.needs_funds = served
        environment.funds_stale = round(config.windows.funds_stale * SECOND) if served else 0
        self._trades = trade_logger()
        self._announced: tuple[str, ...] = ()
        self._topics: set[str] = set()
        self._counts = {"entries": 0, "exits": 0, "denied": 0}
        self._place = MarketStreamPlace()
        self._step_frames: list[Frame] = []
        """In lock-step: quotes of the step under way."""
        self._engine_done = StepDone(daemon="engine", pid=0)
        self._kill = KillFile(config.state)
        self._decided_ns = 0
        self._waited_for = ""
        self._latency = LatencyAlerts(config.alert_rules)
        self._limits: tuple[LimitUse, ...] = ()
        self._funds: dict[str, tuple[float, float, float]] = {}
        """By account what the day's journal holds: available, used, collateral."""
        self._wants: tuple[str, ...] = ()
        self._tried: dict[str, int] = {}
        """Instruments of orders that a screen asked about, and until when (machine ns) they are quoted for it."""

    def setup(self) -> None:
        """Recover from the journal, read what the router did meanwhile, then begin to decide on signals."""
        super().setup()
        self.note_file(CALENDAR, self._tables.texts[CALENDAR])
        self.note_file(RISK, self._margins.text)
        self.risk.environment.square_off.speed = self.clock.speed
        self.risk.environment.patient_until = machine_now() + START_PATIENCE_NS
        self.subscribe("status", lambda frame: self.receive("status", frame), topics=NEIGHBOURS, writers=NEIGHBOURS)
        self.subscribe("status", self._on_trial, topics=(TRIAL_TOPIC,), writers=("gateway",))
        if self.lock_step:
            self.subscribe("status", self._on_engine_step, topics=(step_topic("engine"),), writers=("engine",))
        self.subscribe("account", lambda frame: self.receive("account", frame))
        self._market = self.subscribe("market", self._on_market, topics=("",) if self.lock_step else ())
        self.follow("control")
        self.follow("orders", downstream=True)
        self._follow_instruments()
        self.follow("signals", waits=self._awaits_quotes if self.lock_step else None)
        self.every(CLOCK_S, self._on_clock)
        self.every(WANTS_S, self._send_wants)
        self.every(SNAPSHOT_S, self._send_snapshot)
        self.edits = EditedFiles(self.alerts, self.log, accepted_folder(self.config.state), self.note_file)
        self._tables.follow_calendar(self.edits)
        self.edits.follow(self.config.calendar_path.with_name(RISK), self._take_margins, self._margins.stamp)
        self.every(1.0, lambda _: self.edits.poll())
        self.every(POLL_S, lambda _: self._take_webhooks())
        self.every(FORGET_S, lambda _: self.drop_deleted_webhooks())
        if self.risk.runs.series.sources:
            self._fill_trends(0)
            if not self.lock_step:
                self.every(TREND_S, self._fill_trends)

    def _take_webhooks(self) -> None:
        if self._webhooks.poll():
            self.risk.update_strategies(self._webhooks.runs)

    def drop_deleted_webhooks(self) -> None:
        """Remove webhooks whose file was deleted and that were flat at this check and the one before.

        One check is not enough: a signal that the webhook sent last may still be on its way."""
        state = self.risk.state
        flat = frozenset(name for name in self._webhooks.closing if not state.doubted and state.is_flat(name))
        for name in flat & self._flat:
            self._webhooks.forget(name)
        self._flat = flat

    def _take_margins(self, parsed: dict[str, Any]) -> None:
        self.risk.environment.tables = self._parse_margins(parsed)

    def _parse_margins(self, parsed: dict[str, Any]) -> RiskTables:
        """`ValueError` if something that a strategy is sized by is missing."""
        tables = RiskTables.from_dict(parsed)
        if missing := unknown_sizings(self.config.strategies, tables):
            raise ValueError("; ".join(missing))
        return tables

    def _take_instruments(self) -> None:
        """Take the contracts that the feed has written last."""
        listed = self._instruments.snapshot()
        self.risk.set_contracts(self._instruments.book_of(listed), listed)

    def _take_new_contracts(self) -> None:
        if self._instruments.has_changed():
            self._take_instruments()

    def receive(self, stream: str, frame: Frame) -> None:
        """Handle a message: apply quotes and such, journal and decide on inputs, follow the engine's instruments."""
        message = frame.message
        kind = type(message)
        if kind in OBSERVED:
            first = kind is Funds and message.account not in self.risk.state.margin.funds
            self.risk.apply(message)
            if kind is Funds:
                self._record_funds(message)
            if first:  # since the start: what waited for them goes on
                self._decide_if_whole(machine_now())
        elif kind is DayTraded:
            if self.risk.state.learns_trading(message):
                self.step(stream, message, source=message.daemon, keep=True)
        elif kind in JOURNALED:
            self.step(stream, message, source=STREAMS[stream].writers[0], body=frame.body)
        elif isinstance(message, WantInstruments) and message.daemon == "engine":
            self._announced = message.instruments
            self._follow_instruments()

    def _record_funds(self, funds: Funds) -> None:
        """Journal an account's funds when they changed: what margin checks of the day were made with."""
        figures = (funds.available, funds.used, funds.collateral)
        if self._funds.get(funds.account) == figures:
            return
        self._funds[funds.account] = figures
        available, used, collateral = figures
        now = self.clock.now()
        row = FundsRecorded(account=funds.account, available=available, used=used, collateral=collateral, at_ns=now)
        self.record([row])

    def _on_trial(self, frame: Frame) -> None:
        """Answer what an order would do: judged, never placed or journaled. Quotes of its instrument are asked for; the
        screen repeats its question until they are here, or have not come for a while."""
        trial, now = frame.message, machine_now()
        if not isinstance(trial, OrderTrial):
            return
        listed = trial.contract is not None or trial.instrument in self.risk.environment.instruments
        known = not listed or self.risk.has_fresh_quote(trial.instrument, self.clock.now())
        if listed and not self.lock_step:  # the server would refuse any other, with an alert
            self._tried[trial.instrument] = now + TRIED_NS
            self._follow_instruments()
            if not known and now - trial.asked_machine_ns < TRIAL_WAITS_NS:
                self._send_wants(now)
                return
        try:
            found = self.risk.try_order(trial, self.clock.now())
        except Exception as error:
            self.log.error("order_trial.failed", instrument=trial.instrument, exc_info=error)
            text = f"a defect in risk, nothing was judged: {type(error).__name__}: {error}; see `mytrading logs risk`"
            found = OrderTrialResult(id=trial.id, at_ns=self.clock.now(), problem=text)
        self.status.send(TRIAL_TOPIC, found)

    def _on_market(self, frame: Frame) -> None:
        """In lock-step quotes alone count, and they and the clock once all of a step are here."""
        message = frame.message
        if isinstance(message, MarketStep):
            if self._place.record(message):
                self._take_step()
        elif not self.lock_step:
            self.receive("market", frame)
            if isinstance(message, Quote):
                self._latency.record_quote(message.received_ns, self.risk.state.machine_ns)
        elif isinstance(message, Quote) and frame.topic in (message.instrument, book_topic(message.instrument)):
            self._step_frames.append(frame)

    def _take_step(self) -> None:
        """All of a step is here: its quotes at once, so that no order's way decides between which of them it comes,
        then time, then the signals that the engine made of it."""
        frames, self._step_frames = self._step_frames, []
        for frame in frames:
            self.receive("market", frame)
        self._decide_on_time(machine_now())
        self._send_wants(0)
        self._take_signals()

    def _on_engine_step(self, frame: Frame) -> None:
        if isinstance(frame.message, StepDone):
            self._engine_done = frame.message
            self._take_signals()

    def _awaits_quotes(self) -> bool:
        """True while quotes of the market's step are under way to risk or to the engine, whose signals wait for both: a
        signal that overtook the quote of its contract would be sized, priced and stopped by the price before."""
        seen = self._engine_done.seen.get("feed/market", 0)
        return self._place.market_ns != self.clock.now() or seen < self._place.seen

    def _take_signals(self) -> None:
        if self._engine_done.sent.get("signals", 0) > self.cursors().get("engine/signals", 0):
            self.follower.catch_up()

    def step(self, stream: str, message: Any, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Apply and decide on a message with the current contracts and quarantines; returns the decided rows."""
        if (doubted := bool(self.quarantine.writers)) != self.risk.state.doubted:
            self.risk.apply(JournalDoubt(doubted))  # the one level that no stream brings: the daemon knows it itself
        if isinstance(message, Signal):
            listed = self.risk.environment.instruments
            for leg in message.legs:
                if leg.instrument not in listed:
                    self._take_new_contracts()
                    break
        elif isinstance(message, OrderChanged):
            self._latency.record_order(message.order, machine_now())
        return super().step(stream, message, *args, **kwargs)

    def _on_clock(self, machine_ns: int) -> None:
        self._take_kill_file()
        if self.is_disk_low() != self.risk.state.disk_low:
            self.step_timer("disk_ok" if self.risk.state.disk_low else "disk_low", machine_ns)
        self._decide_if_whole(machine_ns)

    def _decide_if_whole(self, machine_ns: int) -> None:
        """Decide on time, in lock-step once all quotes of the step are here."""
        if not self.lock_step or self._decided_ns == self.clock.now():
            self._decide_on_time(machine_ns)

    def _decide_on_time(self, machine_ns: int) -> None:
        """In lock-step after all quotes of the step, never between them."""
        self._decided_ns = self.clock.now()
        self.risk.environment.square_off.speed = self.clock.speed
        self.step_timer("risk", machine_ns)
        self._update_alerts()
        self._follow_instruments()

    def _update_alerts(self) -> None:
        active = active_alerts(
            self.risk, self._latency, self._limits, self.alerts.active, str(self._kill.path), self.clock.now(),
            machine_now(),
        )  # fmt: skip
        self.alerts.set_active(active, STATE_ALERTS, BY_OPERATOR)

    def _take_kill_file(self) -> None:
        """Journal that the file KILL appeared, changed or went, as an operator's command."""
        change = self._kill.level_change(self.risk.state.trading.get(KILL), self.clock.now())
        if change is not None:
            self.step("control", change, source=self.name, keep=True)
            self.log.warning("kill_file.seen", level=change.level.value, reason=change.reason, by=change.by)
            self._update_alerts()

    def _fill_trends(self, _machine_ns: int) -> None:
        """Give trends the past that the feed has stored, which it may fetch after our start.

        In lock-step, whose past is the market's own, that is only what a restart cut out of the bars under way.
        """
        series, now = self.risk.runs.series, self.clock.now()
        reader = BarReader(self.config.bars_dir)
        for instrument in series.sources:
            if self.lock_step or series.lacks_bars(instrument, TREND_BARS):
                minutes = reader.bars(instrument, since=now - TREND_DAYS_NS, until=now)
                ended = [bar for bar in minutes if bar.end_ns <= now]
                if self.lock_step:
                    series.complete_open_bars(instrument, ended)
                else:
                    self.record(series.backfill_bars(instrument, ended, now))
        reader.close()

    def _send_wants(self, _machine_ns: int) -> None:
        self._take_new_contracts()
        self._wants = self._wanted()
        held = tuple(sorted({position.instrument for position in self.risk.state.open_positions()}))
        self.status.send(self.name, WantInstruments(daemon=self.name, instruments=self._wants, held=held))

    def _send_snapshot(self, _machine_ns: int) -> None:
        shown = risk_snapshot(self.risk, self.clock.now(), self._counts["entries"], self._counts["denied"])
        self._limits = shown.limits
        self.status.send(self.name, shown)

    def _wanted(self) -> tuple[str, ...]:
        """The instruments whose quotes risk needs, and for a while those of orders that a screen asked about."""
        wanted = self.risk.wanted_instruments()
        if not self._tried:
            return wanted
        now = machine_now()
        self._tried = {name: until for name, until in self._tried.items() if until > now}
        return tuple(sorted({*wanted, *self._tried}))

    def _follow_instruments(self) -> None:
        """Subscribe to the quotes of what matters now, and of nothing else; in lock-step all are."""
        if self.lock_step:
            return
        wanted = {*self._wanted(), *self._announced}
        for instrument in wanted - self._topics:
            self._market.subscribe(instrument)
            self._market.subscribe(book_topic(instrument))
        for instrument in self._topics - wanted:
            self._market.unsubscribe(instrument)
            self._market.unsubscribe(book_topic(instrument))
        self._topics = wanted

    def on_rows_sent(self, rows: Sequence[Any]) -> None:
        """Count and log the decisions in `rows` (entries, exits, denials); called after they were sent."""
        for row in rows:
            match row:
                case PlaceEntry():
                    self._counts["entries"] += 1
                    holder = "engine" if row.held_stop else "broker" if row.stop_trigger else "none"
                    self._trades.info("entry.admitted", id=row.id, strategy=row.strategy, instrument=row.instrument,
                                      side=row.side.value, quantity=row.quantity, cause=row.cause,
                                      stop=row.stop_trigger or row.held_stop, held_by=holder)  # fmt: skip
                case CloseGoal():
                    self._counts["exits"] += 1
                    self._trades.info("exit.wanted", id=row.id, strategy=row.strategy, instrument=row.instrument,
                                      reason=row.reason, cause=row.cause)  # fmt: skip
                case SignalDenied() | SignalExpired():
                    self._counts["denied"] += 1
                    code, text = "EXPIRED", "the signal was too late"
                    if isinstance(row, SignalDenied):
                        code, text = row.code, row.message
                    self._trades.info("signal.denied", signal=row.signal, strategy=row.strategy, code=code,
                                      problem=text)  # fmt: skip
                case RiskEventRecorded() if not row.follows:
                    self._trades.info("risk.rule_applied", id=row.id, strategy=row.strategy, kind=row.kind.value,
                                      value=row.value, threshold=row.threshold, action=row.action.value)  # fmt: skip
                case RiskOpened():
                    self._funds.clear()  # the new day's journal has none yet
        if rows:
            self._follow_instruments()

    def lock_step_progress(self) -> Progress:
        """Return lock-step progress and what delays entries; once nothing does, first decide the delayed ones."""
        account = self.risk.environment.account
        waits = why_not_ready(self.risk.state, account)
        if not waits and self.config.order_accounts and (unfunded := why_funds_unknown(self.risk.state, account)):
            waits = f"account {account}: {unfunded}"
        if self._waited_for and not waits and self._decided_ns == self.clock.now():
            self._decide_on_time(machine_now())
        self._waited_for = waits
        if self._wanted() != self._wants:
            self._send_wants(0)
        done = super().lock_step_progress()
        seen = {**done.seen, "feed/market": self._place.seen}
        return Progress(0, waits, {**done.sent, "wants": digest(self._wants)}, seen)

    def ready(self) -> bool:
        """True unless a journal that risk reads is quarantined; other reasons are in the denials of entries."""
        return not self.quarantine.writers

    def figures(self) -> dict[str, float]:
        """Return counts since the start, profit and loss in rupees, and stop levels that risk itself holds."""
        state = self.risk.state
        money = profit(state.positions.values(), state.valued)
        return {
            **{name: float(count) for name, count in self._counts.items()},
            "pnl_realised": round(money.realised, 2),
            "pnl_unrealised": round(money.unrealised, 2),
            "open_intents": (intents := float(sum(1 for _ in state.open_intents()))),
            "open_wishes": intents,  # its name in 0.1
            "watching": float(len(self._topics)),
            **{stop_level_name(position.owner): level for position, level in stops_watched_by_risk(state)},
            **{
                hedge_figure_name(one.owner): float(units)
                for one in state.open_positions()
                if (units := state.hedging_units(one))
            },
            **{bare_figure_name(leg.position.owner): float(leg.units) for leg in bare_legs(state)},
            **self.risk.margins.figures(),
            **self.risk.runs.figures(),
        }

    def opening_rows_of_rebuild(self, records: Sequence[Any]) -> tuple[Any, ...]:
        """Return the first rows of a rebuilt journal, made of `records`: the states with which router and gateway began
        their journals of the day. Called in place of a journal that was lost."""
        return opening_rows(records, self._copied_levels())

    def _copied_levels(self) -> RiskLevels | None:
        """Return the newest copy of the limits' levels that the router's journal holds, of the last days."""
        since = iso_day(self.clock.now() - COPIES_KEPT_NS)
        found = None
        for row in rows_read_by(self.config, "router", "commands", self.name, since):
            message = self.decode(row)
            found = message if isinstance(message, RiskLevels) else found
        return found

    def rows_after_rebuild(self, missed: Sequence[Any]) -> tuple[Any, ...]:  # noqa: ARG002
        """Return rows that restore what only the lost journal held: stops, worked out from the positions, the limits'
        levels by their copy, and limits breached today, or halts of any day, read off the alerts sent. `missed` (the
        rows of other daemons read again) is not needed."""
        now = self.clock.now()
        day = iso_day(now)
        restoring = restoring_rows(self.risk.state, levels_for(self._copied_levels(), day), now)
        gateway = (*carried_records(self.config, "gateway", day),
                   *rows_read_by(self.config, "gateway", "status", self.name, day))  # fmt: skip
        alerts = [one for row in gateway for one in alerts_in(self.decode(row), self.name)]
        raised = {(row.code, row.subject) for row in alerts if iso_day(row.first_ns) == day}
        lasting = {(row.code, row.subject): row for row in alerts}
        reached = [limit for limit in self.risk.limits.all_limits if (limit.kind.value, limit.scope_name) in raised]
        halts = [
            limit for limit in self.risk.limits.all_limits
            if (alert := lasting.get((limit.kind.value, limit.scope_name))) is not None and not alert.cleared
        ]  # fmt: skip
        return (
            *restoring,
            *self.risk.limits.halt_rows(halts, now),
            *restore_stops(self.risk.state, now),
            *drop_repeated_goals(row for limit in reached for row in self.risk.limits.breach_rows(limit, now)),
        )

    def snapshot(self, day: str) -> tuple[Any, ...]:
        """Return the first row of the journal of `day` (ISO date): current intents and positions."""
        return (self.risk.snapshot(day),)
