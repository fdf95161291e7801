"""Risk as a process: signals in, commands out, and the exits that must happen whoever else is there.

Wiring only: `core/risk` decides. Quotes come for what is held, coming, wished for, or announced by the engine, so that
a wish finds its quote waiting. The one rule: no author code runs here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mytrading.adapters.bar_store import BarReader
from mytrading.core.calendar import Calendar
from mytrading.core.feed.wants import digest
from mytrading.core.money.pnl import profit
from mytrading.core.risk import stops as risk_stops
from mytrading.core.risk import watches as risk_watches
from mytrading.core.risk.carry import foundation
from mytrading.core.risk.closing import once_each
from mytrading.core.risk.exits import STOP_FAILED
from mytrading.core.risk.guard import BARE, DOUBT
from mytrading.core.risk.limits import ODD
from mytrading.core.risk.look import picture
from mytrading.core.risk.overdue import CODES as OVERDUE_CODES
from mytrading.core.risk.overdue import subject_of as overdue_subject
from mytrading.core.risk.readiness import BLIND, armed, funds_unread, not_ready
from mytrading.core.rollover import CODE as ROLL_OVER
from mytrading.core.runs.events import ALERT_CODE
from mytrading.core.thresholds import CODES as THRESHOLD_CODES
from mytrading.core.thresholds import Thresholds
from mytrading.daemons.risk_setup import RiskSetup
from mytrading.messages.codec import Frame
from mytrading.messages.commands import CloseGoal, PlaceEntry, SignalDenied, SignalExpired
from mytrading.messages.control import KILL, BarsLacking, Heartbeat, WantInstruments
from mytrading.messages.enums import LimitKind, Severity, TradingLevel
from mytrading.messages.market import MarketStep, Quote
from mytrading.messages.orders import OrderChanged, TimerFired
from mytrading.messages.records import RiskOpened
from mytrading.messages.reports import MarginAnswer
from mytrading.messages.risk_events import RiskEventRecorded
from mytrading.messages.risk_picture import LimitUse
from mytrading.messages.runconfig import RunConfig, VenueKind
from mytrading.messages.signals import Signal
from mytrading.runtime.clock import SECOND, machine_now
from mytrading.runtime.edited import EditedFiles, taken_folder
from mytrading.runtime.kill_file import KillFile
from mytrading.runtime.lockstep import MarketPlace, Progress
from mytrading.runtime.logging import trade_logger
from mytrading.runtime.machine import MachineDaemon
from mytrading.runtime.process import main
from mytrading.runtime.rebuild import rows_read
from mytrading.runtime.recovering import ist_day
from mytrading.runtime.savepoint import Bound

LOOK_S = 0.25
PICTURE_S = 0.5
NEAR = 0.8
"""The share of a limit from which on it is alarmed."""
HEARD = ("feed", "router", "reconciler", "engine")
TREND_BARS = 120
"""Bars below which a trend's history is looked for in the feed's store, every `TREND_S` seconds."""
TREND_S = 10.0
TREND_DAYS_NS = 8 * 86_400_000_000_000
LIMIT_CODES = frozenset(kind.value for kind in LimitKind)
SETTLE_NS = 3_000_000_000
"""Machine time after a start in which a wish waits for the first word of those whom risk needs."""


class RiskManager(MachineDaemon):
    """The risk process of all accounts of a host."""

    def __init__(self, config: RunConfig) -> None:
        self._made = made = RiskSetup(config, keep=True)
        self._hours_read, self._tables_read, self._tables_path = made.hours_read, made.tables_read, made.tables_path
        self._calendar, self._instruments, self.risk = made.calendar, made.instruments, made.machine
        super().__init__("risk", config, self.risk)
        self._trades = trade_logger()
        self._announced: tuple[str, ...] = ()
        self._topics: set[str] = set()
        self._counts = {"entries": 0, "exits": 0, "denied": 0}
        self._place = MarketPlace()
        self._kill = KillFile(config.state)
        self._looked_ns = 0
        self._held_up = ""
        self._thresholds = Thresholds(config.alert_rules)
        self._said: tuple[str, ...] = ()
        self.risk.lock_step = self.lock_step
        told = config.venue.kind is VenueKind.OPENALGO and not self.lock_step
        self.risk.asks_broker = self.risk.needs_funds = told
        self.risk.funds_stale = round(config.windows.funds_stale * SECOND) if told else 0

    def setup(self) -> None:
        """Recover, learn what the router did meanwhile, then judge what was wished."""
        super().setup()
        self.note_file(self.config.calendar_path.name, self._hours_read.text)
        self.note_file(self._tables_path.name, self._tables_read.text)
        self.risk.square_off.speed = self.clock.speed
        self.risk.patient_until = machine_now() + SETTLE_NS
        self.subscribe("status", self._on_status, topics=HEARD, writers=HEARD)
        self.subscribe("account", self._on_account)
        self._market = self.subscribe("market", self._on_market, topics=("",) if self.lock_step else ())
        self.follow("control")
        self.follow("orders", downstream=True)
        self._follow_instruments()
        self.follow("signals")
        self.every(LOOK_S, self._look, "look")
        self.every(1.0, self._each_moment, "wants")
        self.every(PICTURE_S, self._tell, "picture")
        edits = EditedFiles(self.alerts, self.log, taken_folder(self.config.state), self.note_file)
        edits.follow(
            self.config.calendar_path,
            lambda read: self._calendar.take(Calendar.from_dict(read)),
            self._hours_read.stamp,
        )
        edits.follow(self._tables_path, self._take_tables, self._tables_read.stamp)
        self.every(1.0, lambda _: edits.look(), "edits")
        if self.risk.runs.wanted() and not self.lock_step:
            self._fill_trends(0)
            self.every(TREND_S, self._fill_trends, "trends")

    def _take_tables(self, parsed: dict[str, Any]) -> None:
        self.risk.tables = self._made.tables(parsed)

    def bound(self) -> Bound:
        """What the state of risk follows from besides rows."""
        return self._made.bound()

    # in

    def _on_account(self, frame: Frame) -> None:
        """An answer of the broker leads to orders, and so is journaled with them; the rest is learnt."""
        if isinstance(frame.message, MarginAnswer):
            self.step("account", frame.message, source="reconciler")
        else:
            self.risk.apply(frame.message)

    def _on_status(self, frame: Frame) -> None:
        message = frame.message
        if isinstance(message, Heartbeat | BarsLacking):
            self.risk.apply(message)
        elif isinstance(message, WantInstruments) and message.daemon == "engine":
            self._announced = message.instruments
            self._follow_instruments()

    def step(self, stream: str, message: Any, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """As every daemon does; a wish may follow a list of contracts that is new."""
        if bool(self.quarantined) != self.risk.state.doubted:
            self.risk.apply(TimerFired(name="doubt_on" if self.quarantined else "doubt_off", machine_ns=machine_now()))
        if isinstance(message, Signal):
            listed = self.risk.instruments
            for leg in message.legs:
                if leg.instrument not in listed:
                    self._look_at_instruments()
                    break
        elif isinstance(message, OrderChanged):
            self._thresholds.order(message.order, machine_now())
        return super().step(stream, message, *args, **kwargs)

    def _look_at_instruments(self) -> None:
        if self._instruments.changed():
            self._made.take_instruments()

    def _on_market(self, frame: Frame) -> None:
        message = frame.message
        if isinstance(message, MarketStep):
            if self._place.take(message):
                self._decide_on_time(machine_now())
                self._each_moment(0)
        elif not self.lock_step or (isinstance(message, Quote) and frame.topic == message.instrument):
            self.step("market", message, source="feed", body=frame.body)
            if isinstance(message, Quote) and not self.lock_step:
                self._thresholds.quote(message.received_ns, self.risk.state.machine_ns)

    def _look(self, machine_ns: int) -> None:
        self._note_kill()
        if self.disk_low() != self.risk.state.disk_low:
            self.tick("disk_ok" if self.risk.state.disk_low else "disk_low", machine_ns)
        if not self.lock_step or self._looked_ns == self.clock.now():
            self._decide_on_time(machine_ns)

    def _decide_on_time(self, machine_ns: int) -> None:
        """In lock-step after all quotes of the step, never between them."""
        self._looked_ns = self.clock.now()
        self.risk.square_off.speed = self.clock.speed
        self.tick("risk", machine_ns)
        self._settle_alerts()
        self._settle_thresholds()
        self._settle_blind()
        self._follow_instruments()

    def _settle_alerts(self) -> None:
        """A position that the books show covered again, or flat, is bare no longer; a new day has new limits."""
        guard, limits = self.risk.state.guard, self.risk.limits
        stands = {(BARE, bare.subject) for bare in guard.bare()} | {(DOUBT, bare.subject) for bare in guard.doubts()}
        stands |= {(limit.kind.value, limit.whom) for limit in limits.all if limits.is_reached(limit)}
        unbound = {risk_watches.subject_of(position) for position in risk_watches.unbound(self.risk.state)}
        stands |= {(ROLL_OVER, subject) for subject in self.risk.rollover.standing(self.clock.now())}
        stands |= {(STOP_FAILED, one.id) for one in self.risk.state.protections.values() if one.state != "done"}
        for scope in limits.odd():
            stands.add((ODD, " ".join(scope)))
            self.alerts.raise_(ODD, Severity.CRITICAL, " ".join(scope), limits.odd_words(scope))
        for alert in self.alerts.standing:
            if (
                alert.code in (BARE, DOUBT, STOP_FAILED, ROLL_OVER, ODD, *LIMIT_CODES)
                and (alert.code, alert.subject) not in stands
            ):
                self.alerts.clear(alert.code, alert.subject)
            if alert.code == risk_watches.CODE and alert.subject not in unbound:
                self.alerts.clear(alert.code, alert.subject)
            if alert.code in OVERDUE_CODES and alert.subject not in self._held_subjects():
                self.alerts.clear(alert.code, alert.subject)

    def _settle_thresholds(self) -> None:
        """Latency and refusals beyond what the operator set are alerts until they have been well for a while."""
        standing = self._thresholds.standing(machine_now())
        for (code, subject), text in standing.items():
            self.alerts.raise_(code, Severity.WARNING, subject, text)
        for alert in self.alerts.standing:
            if alert.code in THRESHOLD_CODES and (alert.code, alert.subject) not in standing:
                self.alerts.clear(alert.code, alert.subject)

    def _settle_blind(self) -> None:
        """While no prices come to a stop that is held here nobody guards the position."""
        blind = self.risk.blind(self.clock.now())
        for strategy, why in blind.items():
            text = f"{why}; entries of {strategy} are denied, see `mytrading status`"
            self.alerts.raise_(BLIND, Severity.CRITICAL, strategy, text)
        for alert in self.alerts.standing:
            if alert.code == BLIND and alert.subject not in blind:
                self.alerts.clear(alert.code, alert.subject)

    def _held_subjects(self) -> set[str]:
        return {overdue_subject(position) for position in self.risk.state.open_positions()}

    def _note_kill(self) -> None:
        """The file KILL appeared, changed or went: that is journaled like a person's word."""
        news = self._kill.news(self.risk.state.trading.get(KILL), self.clock.now())
        if news is not None:
            self.step("control", news, source=self.name, keep=True)
            self.log.warning("kill_file.seen", level=news.level.value, reason=news.reason, by=news.by)
        standing = self.risk.state.trading.get(KILL)
        if standing is None or standing.level is TradingLevel.NORMAL:
            self.alerts.clear("KILL_FILE", str(self._kill.path), by_person=True)
        elif news is not None:
            text = f"{news.reason} (by {news.by}): no entries until it is removed, `mytrading kill --remove`"
            self.alerts.raise_("KILL_FILE", Severity.CRITICAL, str(self._kill.path), text)

    def _each_moment(self, _machine_ns: int) -> None:
        self._look_at_instruments()
        self._said = self.risk.wanted()
        held = tuple(sorted({position.instrument for position in self.risk.state.open_positions()}))
        self.status.send(self.name, WantInstruments(daemon=self.name, instruments=self._said, held=held))

    def _fill_trends(self, _machine_ns: int) -> None:
        """Give trends the past that the feed has stored, which it may fetch after our start."""
        runs, now = self.risk.runs, self.clock.now()
        reader = BarReader(self.config.bars_dir)
        for instrument in runs.wanted():
            if runs.series.short(instrument, TREND_BARS):
                minutes = reader.bars(instrument, since=now - TREND_DAYS_NS, until=now)
                self.record(runs.series.history(instrument, [bar for bar in minutes if bar.end_ns <= now], now))
        reader.close()

    def _tell(self, _machine_ns: int) -> None:
        counts = self._counts
        shown = picture(self.risk, self.clock.now(), counts["entries"], counts["denied"])
        self.status.send(self.name, shown)
        for limit in shown.limits:
            self._warn(limit)

    def _warn(self, limit: LimitUse) -> None:
        """A limit that is nearly used up is told once, before it is reached."""
        subject = f"{limit.kind.value} {limit.scope} {limit.name}"
        near = limit.used >= NEAR and not limit.reached and limit.kind is not LimitKind.DAILY_TARGET_R
        if near and not any((alert.code, alert.subject) == ("LIMIT_NEAR", subject) for alert in self.alerts.standing):
            text = f"{limit.used:.0%} of the limit are used up; see `mytrading risk`"
            self.alerts.raise_("LIMIT_NEAR", Severity.WARNING, subject, text)
        elif not near and (limit.used < NEAR - 0.1 or limit.reached):
            self.alerts.clear("LIMIT_NEAR", subject)

    def _follow_instruments(self) -> None:
        """Subscribe to the quotes of what matters now, and of nothing else; in lock-step all are."""
        if self.lock_step:
            return
        wanted = {*self.risk.wanted(), *self._announced}
        for instrument in wanted - self._topics:
            self._market.subscribe(instrument)
        for instrument in self._topics - wanted:
            self._market.unsubscribe(instrument)
        self._topics = wanted

    # out

    def effects(self, rows: Sequence[Any]) -> None:
        """Count and tell what was decided; an alert of the machine stands until the day changes."""
        for row in rows:
            if isinstance(row, PlaceEntry):
                self._counts["entries"] += 1
                self._trades.info("entry.admitted", id=row.id, strategy=row.strategy, instrument=row.instrument,
                                  side=row.side.value, quantity=row.quantity, cause=row.cause,
                                  stop=row.stop_trigger or row.held_stop, held_by=_holder(row))  # fmt: skip
            elif isinstance(row, CloseGoal):
                self._counts["exits"] += 1
                self._trades.info("exit.wanted", id=row.id, strategy=row.strategy, instrument=row.instrument,
                                  reason=row.reason, cause=row.cause)  # fmt: skip
            elif isinstance(row, SignalDenied | SignalExpired):
                self._counts["denied"] += 1
                self._tell_denial(row)
            elif isinstance(row, RiskOpened):
                for alert in [one for one in self.alerts.standing if one.code == ALERT_CODE]:
                    self.alerts.clear(alert.code, alert.subject)
            elif isinstance(row, RiskEventRecorded) and not row.follows:
                self._trades.info("risk.spoke", id=row.id, strategy=row.strategy, kind=row.kind.value, value=row.value,
                                  threshold=row.threshold, action=row.action.value)  # fmt: skip
        if rows:
            self._follow_instruments()

    def _tell_denial(self, row: SignalDenied | SignalExpired) -> None:
        code = row.code if isinstance(row, SignalDenied) else "EXPIRED"
        text = row.message if isinstance(row, SignalDenied) else "the wish was too late"
        self._trades.info("signal.denied", signal=row.signal, strategy=row.strategy, code=code, problem=text)

    # told

    def progress(self) -> Progress:
        """In lock-step: what keeps entries waiting keeps the market; what waited for it is judged before it goes on."""
        waits = self._waits()
        if self._held_up and not waits and self._looked_ns == self.clock.now():
            self._decide_on_time(machine_now())
        self._held_up = waits
        if self.risk.wanted() != self._said:
            self._each_moment(0)
        done = super().progress()
        seen = {**done.seen, "feed/market": self._place.seen}
        return Progress(0, waits, {**done.sent, "wants": digest(self._said)}, seen)

    def _waits(self) -> str:
        """What would have entries denied only because this risk has just started, in words; empty if nothing."""
        account = self.risk.account
        unready = not_ready(self.risk.state, account)
        unfunded = funds_unread(self.risk.state, account, self.risk.funds_stale) if self.config.served else ""
        return unready or (f"account {account}: {unfunded}" if unfunded else "")

    def ready(self) -> bool:
        """True unless a journal is in doubt; what entries wait for is said with their denial."""
        return not self.quarantined

    def figures(self) -> dict[str, float]:
        """Counts since the start, and profit and loss in rupees."""
        money = profit(self.risk.state.positions.values(), self.risk.state.quotes)
        return {
            **{name: float(count) for name, count in self._counts.items()},
            "pnl_realised": round(money.realised, 2),
            "pnl_unrealised": round(money.unrealised, 2),
            "open_wishes": float(sum(1 for _ in self.risk.state.open_wishes())),
            "watching": float(len(self._topics)),
            **{risk_stops.name_of(risk_stops.key_of(position)): level for position, level in armed(self.risk.state)},
            **{risk_stops.hedge_of(risk_stops.key_of(one)): float(units) for one, units in self.risk.hedges()},
            **self.risk.margins.figures(),
            **self.risk.runs.figures(),
        }

    def foundation(self, records: Sequence[Any]) -> tuple[Any, ...]:
        """A lost journal begins with what the router and the gateway carried into the day."""
        return foundation(records)

    def relearned(self, missed: Sequence[Any]) -> tuple[Any, ...]:  # noqa: ARG002
        """What only the lost journal held: limits of the day that were reached, and the levels of stops.

        The first stand as alerts in the gateway's journal, the others with the positions that the router told.
        """
        now = self.clock.now()
        day = ist_day(now)
        told = (self.decode(row) for row in rows_read(self.config, "gateway", "status", self.name, day))
        said = {(row.code, row.subject) for row in told if ist_day(row.first_ns) == day}
        reached = [limit for limit in self.risk.limits.all if (limit.kind.value, limit.whom) in said]
        levels = risk_stops.restore(self.risk.state, now)
        return (*levels, *once_each(row for limit in reached for row in self.risk.limits.fire(limit, now)))

    def snapshot(self, day: str) -> tuple[Any, ...]:
        """Standing wishes and positions, at the head of a new day."""
        return (self.risk.snapshot(day),)


def _holder(entry: PlaceEntry) -> str:
    """Who holds the stop that an entry brings along."""
    return "engine" if entry.held_stop else "broker" if entry.stop_trigger else "none"


if __name__ == "__main__":
    raise SystemExit(main(RiskManager, "risk"))
