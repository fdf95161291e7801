"""The feed: quotes from a server's WebSocket onto the bus, one-minute bars into the store, everything onto the tape.

It subscribes what the strategies watch and what other daemons ask for, keeps the newest quote of each instrument in a
burst, changes over to a backup when its source is sick, and gives the stack its clock tick. The one rule: whatever is
slow (history, disk, a reader) must not hold up a quote.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from mytrading.adapters.openalgo.market_feed import (
    Acknowledged,
    FrameParser,
    Malformed,
    Parsed,
    ServerError,
    StepMark,
    Tick,
)
from mytrading.adapters.openalgo.socket import Connected, SocketEvent
from mytrading.adapters.openalgo.socket import Frame as RawFrame
from mytrading.core.calendar import Calendar
from mytrading.core.feed.quotes import PriceCheck
from mytrading.core.feed.sources import Switch
from mytrading.daemons.feed_alerts import FeedAlerts
from mytrading.daemons.feed_bars import BarDesk
from mytrading.daemons.feed_demand import Demand
from mytrading.daemons.feed_fallback import QuoteFallback
from mytrading.daemons.feed_health import FeedHealth, StaleLimits
from mytrading.daemons.feed_instruments import InstrumentLoader
from mytrading.daemons.feed_intake import Intake
from mytrading.daemons.feed_interest import InterestDesk
from mytrading.daemons.feed_lacking import LackingTeller
from mytrading.daemons.feed_lines import Line, Lines, sources_of
from mytrading.daemons.feed_outlet import Outlet
from mytrading.daemons.feed_ready import Readiness
from mytrading.daemons.feed_steps import FeedSteps
from mytrading.daemons.feed_tape import TapeDesk
from mytrading.daemons.feed_wants import Wants
from mytrading.daemons.hung_watchdog import BEHIND_NS, NAME, WatchdogGuard
from mytrading.messages.codec import Frame, FrameError
from mytrading.messages.control import ClockTick, Heartbeat, StepDone, WantInstruments
from mytrading.messages.enums import Severity
from mytrading.messages.reports import AccountHealth
from mytrading.messages.runconfig import RunConfig
from mytrading.messages.streams import step_topic
from mytrading.runtime.clock import SECOND, machine_now
from mytrading.runtime.daemon import Daemon
from mytrading.runtime.edge import OF_DATA, Edge
from mytrading.runtime.edited import EditedFiles, read_edited, taken_folder
from mytrading.runtime.lockstep import Progress
from mytrading.runtime.process import main
from mytrading.runtime.streams import BadFrames

TICK_S = 0.1
SHOW_S = 0.25
WATCH_S = 0.5
CLOCK_TOPIC = "clock"
"""Ticks have a topic of their own, so that who waits for heartbeats is not woken ten times a second."""
ASKERS = ("engine", "risk", "gateway")
STAMP_TOLERANCE_S = 2.0
BURST_NS = 250_000_000
"""How long frames may be taken before timers have their turn, however slow the machine and long the backlog."""
FIRST, LEAST = 1000, 50
"""Frames taken at once of a backlog: at first, and where a core is short."""
FEW = 4
"""Frames at a time; more is a burst, in which nothing waits for this process to leave a core."""


class DataManager(Daemon):
    """The feed's process. Budget from the socket's frame to the bus: 100 µs at rest."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__("feed", config)
        rules = config.data
        self.calendar = read_edited(config.calendar_path, taken_folder(config.state), Calendar.from_dict).made
        speed = max(self.clock.speed, 1.0)
        self.parser = FrameParser(int(STAMP_TOLERANCE_S * speed * SECOND))
        self.sources = sources_of(config)
        self.lines = Lines(self.sources, rules, self.calendar, self.wake)
        self.said = FeedAlerts(self.alerts, self.notes, self.lines, Path(config.state_dir))
        self.check = PriceCheck(rules.max_price_change_percent, rules.validate)
        self.wants = Wants(self.calendar.exchanges, int(rules.keep_seconds * SECOND))
        self.health = FeedHealth(self.calendar, StaleLimits.of(config.risk.stale_quote_seconds))
        self._bad = BadFrames("market socket")
        self._edge = Edge("market socket", "the next quote takes its place", self.alerts)
        self._watched: tuple[str, ...] = ()
        self._most = min(FIRST, rules.buffer_size)
        self._now = machine_now()

    def setup(self) -> None:
        """Open stores and streams, begin to fetch history and to connect."""
        latency = self.monitor.operation("data_manager", "quote_latency")
        self.outlet = Outlet(self.publish("market"), self.config.data, latency)
        self.lacking = LackingTeller(lambda: self.bars.lacking(), lambda told: self.status.send(self.name, told))
        self.bars = BarDesk(
            self.config, self.calendar, self.clock, self.alerts, self.outlet.send_bar, self.wake, self.lacking.say
        )
        self.interest = InterestDesk(self.sources)
        self.intake = Intake(self.lines, self.health, self.check, self.bars, self.outlet, self.interest, self.lock_step)
        most = self.config.data.max_subscriptions
        self.demand = Demand(self.wants, self.lines, self.health, self.bars, self.intake, self.clock, self.alerts, most)
        self.readiness = Readiness(self.bars)
        self.tape = TapeDesk(self.config, self.clock)
        self.tape.tend(self._today(), "disk" in self.notes)
        self._drains = self.monitor.operation("data_manager", "drain")
        self.steps = FeedSteps(self.outlet)
        topics = (*ASKERS, *(step_topic(name) for name in ASKERS)) if self.lock_step else ASKERS
        every_s = 0.0 if self.lock_step else TICK_S
        self.subscribe("status", self._on_status, topics=topics, writers=ASKERS, every_s=every_s)
        self._guard_watchdog()
        self.subscribe("orders", self._on_orders, every_s=TICK_S)
        if len(self.lines) > 1:
            self.subscribe("account", self._on_account, every_s=SHOW_S)
        self.fallback = QuoteFallback(self.sources, self.wake)
        self.on_wake(self._on_wake)
        self.every(TICK_S, self._on_clock, "clock")
        self.every(SHOW_S, self._show, "show")
        self.every(1.0, self._on_second, "second")
        self.edits = EditedFiles(self.alerts, self.log)
        self.edits.follow(self.config.calendar_path, lambda read: self.calendar.take(Calendar.from_dict(read)))
        self.every(1.0, lambda _: self.edits.look(), "edits")
        self.every(max(0.01, self.config.data.batch_delay), self._send_requests, "subscriptions")
        symbols = [symbol for run in self.config.strategies for symbol in run.symbols]
        self._watched = self.demand.watch((*self.config.data.watch, *symbols))
        self.contracts = InstrumentLoader(self.config, self._watched, self.alerts, self.wake)
        self._look_at_instruments(machine_now())
        self.bars.start(self._watched)
        for line in self.lines:
            line.socket.start()

    def _guard_watchdog(self) -> None:
        self._watchdog = WatchdogGuard(self.config.lock_dir, self.alerts, BEHIND_NS)
        self.subscribe("status", self._on_watchdog, topics=(NAME,), writers=(NAME,), every_s=WATCH_S)
        self.every(WATCH_S, self._watchdog.look, "watchdog")

    def _on_watchdog(self, frame: Frame) -> None:
        if isinstance(frame.message, Heartbeat):
            self._watchdog.heard(frame.message)

    def _today(self) -> str:
        return self.calendar.trading_day(self.clock.now()).isoformat()

    # frames

    def _on_wake(self) -> None:
        started = time.perf_counter_ns()
        for line in self.lines.all:
            events = line.socket.drain(self._most)
            if events:
                self._on_events(line, events)
                took = time.perf_counter_ns() - started
                self._drains.add(took)
                if len(events) == self._most:
                    self._most = self._fitting(took)
            if not line.socket.events.empty():
                self.wake()
        self.bars.take_history()
        self.contracts.take()
        for answer in self.fallback.answers():
            self.said.fallback(answer.asked, answer.problem)
            try:
                self.intake.answered(answer, self.clock.at(answer.received_ns))
            except OF_DATA as error:
                self._edge.dropped(error)

    def _fitting(self, took_ns: int) -> int:
        """How many frames to take at once after a backlog took so long: timers and heartbeat wait meanwhile."""
        if took_ns > BURST_NS:
            return max(self._most // 2, LEAST)
        return min(2 * self._most, self.config.data.buffer_size) if took_ns < BURST_NS // 3 else self._most

    def _on_events(self, line: Line, events: Sequence[SocketEvent]) -> None:
        # Not when they were read: a feed that lags would take its own backlog for a source that is mute.
        self._now = machine_now()
        for event in events:
            if type(event) is not RawFrame:
                self._on_connection(line, event)
                continue
            received_ns = line.taken_ns = event.received_ns
            parsed = self.parser.parse(event.data, received_ns, self.clock.at(received_ns))
            try:
                if type(parsed) is Tick:
                    self.intake.tick(line, parsed, self._now)
                elif parsed is not None:
                    self._on_word(line, event, parsed)
            except OF_DATA as error:
                self._edge.dropped(error, event.data)
        if line is self.lines.active:
            self.intake.flush()
            self._record(events)
            if self.steps.marked:
                self.bars.on_clock(self.clock.now(), self._now)
                self._look_at_instruments(self._now)

    def _record(self, events: Sequence[SocketEvent]) -> None:
        """Onto the tape: a few when those who wait for the quote have had this core, a burst at once; in order."""
        if len(events) <= FEW:
            self.later(lambda: self.tape.record(events))
            return
        self._run_later()
        self.tape.record(events)

    def _on_word(self, line: Line, frame: RawFrame, parsed: Parsed) -> None:
        """A frame without a price."""
        if type(parsed) is Acknowledged:
            self._on_acknowledged(line, parsed)
        elif type(parsed) is ServerError:
            self._on_server_error(line, parsed)
        elif type(parsed) is StepMark:
            self.intake.flush()
            line.pulse.ticked(self._now)
            self.steps.mark(parsed.mark)
        elif type(parsed) is Malformed:
            self._bad.add(FrameError("malformed", parsed.reason), frame.data)

    def _show(self, _machine_ns: int) -> None:
        self.outlet.show(self.wants.held())

    # the connection

    def _on_connection(self, line: Line, event: SocketEvent) -> None:
        if isinstance(event, RawFrame):
            return
        serves = line is self.lines.active
        if isinstance(event, Connected):
            line.connected(event.machine_ns)
            self.said.connected(line, event.number, event.broker)
            if serves:
                self.health.connected(event.machine_ns)
                self.readiness.begin(event.machine_ns)
                self.bars.hurry()
                self.contracts.hurry()
                self._look_at_instruments(event.machine_ns)
            return
        line.pulse.lost()
        self.said.lost(line, event)
        if serves:
            self._interrupt()

    def _interrupt(self) -> None:
        """What the serving line gave ends here."""
        self.intake.flush()
        self.bars.interrupt()

    def _on_acknowledged(self, line: Line, answer: Acknowledged) -> None:
        machine_ns = machine_now()
        news = line.subscriptions.answered(answer, machine_ns)
        if answer.accepted:
            line.succeeded()
            self.said.accepted(line)
        if line is not self.lines.active:
            return
        for instrument in news:
            self._flows(instrument, machine_ns)
        for instrument, reason in answer.refused:
            if not line.serves(instrument):
                self.alerts.raise_(
                    "SUBSCRIPTION_REFUSED", Severity.WARNING, instrument, f"the server has no quotes of it: {reason}"
                )
        for instrument, _ in answer.accepted:
            self.alerts.clear("SUBSCRIPTION_REFUSED", instrument)

    def _flows(self, instrument: str, machine_ns: int) -> None:
        """The serving line gives data of this instrument from now on."""
        self.health.subscribed(instrument, machine_ns)
        self.bars.begin(instrument)

    def _on_server_error(self, line: Line, error: ServerError) -> None:
        """It says nothing of which request."""
        text = f"the market socket said {error.code}: {error.message}"
        self.said.failed(line, text)
        line.failed(text, machine_now())

    def _on_switch(self, switch: Switch, machine_ns: int) -> None:
        """Another line serves: as after a loss, and what it gives already flows on."""
        self._interrupt()
        self.said.switched(switch, machine_ns)
        self.health.connected(machine_ns)
        self.readiness.begin(machine_ns)
        for instrument in self.lines.active.subscriptions:
            if self.lines.active.serves(instrument):
                self._flows(instrument, machine_ns)
        self.lines.active.send_request(machine_ns)

    # what is wanted

    def _on_status(self, frame: Frame) -> None:
        if isinstance(frame.message, StepDone):
            self.steps.heard(frame.message, machine_now())
        elif isinstance(frame.message, WantInstruments):
            self.steps.wanted(frame.message)
            self.demand.asked(frame.message)

    def _on_orders(self, frame: Frame) -> None:
        self.demand.traded(frame.message)

    def _on_account(self, frame: Frame) -> None:
        if isinstance(frame.message, AccountHealth):
            self.lines.told(frame.message.account, frame.message.ping_down, machine_now())

    def _send_requests(self, machine_ns: int) -> None:
        """At most one message a line and call: the timer's interval is the pace."""
        for line in self.lines:
            line.send_request(machine_ns)

    # timers

    def _on_clock(self, machine_ns: int) -> None:
        if self.clock.refresh():
            self.parser.tolerance_ns = int(STAMP_TOLERANCE_S * max(self.clock.speed, 1.0) * SECOND)
            self.log.info("clock.changed", segments=len(self.clock.segments), speed=self.clock.speed)
        now = self.clock.now()
        tick = ClockTick(market_ns=now, machine_ns=machine_ns, segments=len(self.clock.segments))
        self.status.send(CLOCK_TOPIC, tick)
        if self.lock_step:
            self.steps.remind(now, machine_ns)
        else:
            # A feed that lags must not close a bar before the quotes of it that still wait here.
            self.bars.on_clock(min(now, self.clock.at(self.lines.active.caught_up(machine_ns))), machine_ns)
            self.lacking.say()

    def _on_second(self, machine_ns: int) -> None:
        self.tape.tend(self._today(), "disk" in self.notes)
        self._look_at_instruments(machine_ns)
        self.demand.drop_unwanted(machine_ns)
        self.bars.on_second(machine_ns)
        self._look_at_health(machine_ns)
        self._edge.look(machine_ns)

    def _look_at_instruments(self, machine_ns: int) -> None:
        now = self.clock.now()
        self.contracts.look(self.calendar.trading_day(now), now, machine_ns)

    def _look_at_health(self, machine_ns: int) -> None:
        now = self.clock.now()
        switch = self.lines.look(now, machine_ns)
        if switch is not None:
            self._on_switch(switch, machine_ns)
        for line in self.lines:
            line.socket.look(machine_ns)
            if line.pulse.wants_fresh_connection(machine_ns):
                line.socket.reconnect(self.said.mute(line, line.pulse.age(machine_ns)))
            elif line.pulse.is_well(machine_ns):
                self.said.well(line)
        held = self.wants.held()
        self.health.look(now, machine_ns, held, self._is_served(machine_ns))
        self.said.ages(self.health)
        wait_ns = int(self.config.data.fallback_seconds * SECOND)
        if wait_ns and not self.lock_step:
            self.fallback.ask(self.health.silent(held, wait_ns, now, machine_ns))
        for came in self.interest.answers():
            self.intake.interest_came(came, self.clock.at(came.received_ns))
        if not self.lock_step:
            self.interest.ask(machine_ns)

    def _is_served(self, machine_ns: int) -> Callable[[str], bool]:
        """Does an instrument's source tick, and has it acknowledged the instrument."""
        line = self.lines.active
        return line.serves if line.pulse.is_well(machine_ns) else lambda _: False

    # the heartbeat

    def progress(self) -> Progress:
        """In lock-step: what of the market went out, once all that a step leads to here is done."""
        line = self.lines.active
        waits = "" if self.ready() else self.notes["ready"]
        if pending := line.subscriptions.pending:
            waits = waits or f"waits for the server to acknowledge {pending[0]}"
        if self.bars.waits or self.contracts.waits:
            waits = waits or "waits for history or instruments"
        return self.steps.progress(waits, self.clock.now())

    def on_beat(self, beat: Heartbeat) -> None:  # noqa: ARG002
        """Whoever hears that this feed is ready hears with it of what bars are lacking."""
        self.lacking.repeat()

    def ready(self) -> bool:
        """Connected, not mute; what the server has of the watched acknowledged, ticking in session, with history."""
        line, machine_ns = self.lines.active, machine_now()
        served = [name for name in self._watched if line.serves(name)]
        if missing := self.readiness.waits_for(line, self._watched, machine_ns):
            self.notes["ready"] = f"waits for {missing}"
        elif not self.contracts.loaded:
            self.notes["ready"] = "waits for the day's instruments"
        elif not self.health.ticking(served, line.subscriptions.has_ticked, (self.clock.now(), machine_ns)):
            self.notes["ready"] = "waits for first ticks"
        else:
            self.notes.pop("ready", None)
        return "ready" not in self.notes

    def figures(self) -> dict[str, float]:
        """Counts since the start, and coverage as a share."""
        coverage = self.health.coverage
        return {
            "quotes_in": float(self.intake.quotes),
            **self.bars.figures(),
            "coverage": round(coverage.share, 4),
            "fresh": float(coverage.fresh),
            "expected": float(coverage.total),
            "deaf": float(len(self.health.deaf)),
            **self.lines.figures(machine_now()),
            "asked_quotes": float(self.intake.asked),
            **self.outlet.figures(),
            "malformed": float(self._bad.count + self._edge.count),
            "refused_prices": float(self.check.refused),
            "held_prices": float(self.check.held),
            "tape_lost": float(self.tape.lost),
        }

    def queue_depth(self) -> int:
        """Frames read from the socket and not yet parsed."""
        return sum(line.socket.events.qsize() for line in self.lines)

    def teardown(self) -> None:
        """Close the socket first, so that nothing new comes."""
        for line in self.lines:
            line.socket.stop()
        self.fallback.stop()
        self.interest.stop()
        self.bars.close()
        self.contracts.stop()
        self.tape.close()


if __name__ == "__main__":
    raise SystemExit(main(DataManager, "feed"))
