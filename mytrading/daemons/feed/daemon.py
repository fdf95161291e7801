"""The feed daemon: quotes from a server's WebSocket onto the bus, one-minute bars into the store, frames onto the tape.

    sockets ─► FrameReader ─► QuoteIntake ─► BarPublisher ─► store, market stream
                    │              └───────► MarketPublisher ─► market stream
                    └─► SourceSupervisor (connections, failover)
    status, orders ─► SubscriptionManager ─► SourceConnections
    REST ─► RestQuotes, OpenInterestReader, InstrumentLoader, HistoryWorker (threads)
    RestQuotes ─► RestPrices ─► QuoteIntake, entries that are closed by name (status)

It also sends the clock tick of the stack. Slow work (history, disk, a reader) never delays a quote.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mytrading.adapters.openalgo.ws.connection import SocketEvent, SocketFrame
from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.adapters.storage.tape import TapeWriter
from mytrading.core.feed.day_proof import DayProof
from mytrading.core.feed.instrument_demand import InstrumentDemand
from mytrading.core.feed.price_proof import PriceProof
from mytrading.core.feed.quote_checks import PriceCheck
from mytrading.core.feed.staleness import FeedHealth, StalenessLimits
from mytrading.core.time import SECOND
from mytrading.daemons.feed.alerts import FeedAlerts
from mytrading.daemons.feed.bars import BarPublisher
from mytrading.daemons.feed.instruments import InstrumentLoader
from mytrading.daemons.feed.quotes import MarketPublisher, MarketSteps, QuoteIntake
from mytrading.daemons.feed.report import feed_report
from mytrading.daemons.feed.rest_prices import RestNow, RestPrices
from mytrading.daemons.feed.rest_quotes import OpenInterestReader, RestQuotes
from mytrading.daemons.feed.sources import SourceConnections
from mytrading.daemons.feed.supervisor import FrameReader, SourceSupervisor, SubscriptionManager
from mytrading.messages.codec import Frame
from mytrading.messages.control import ClockTick, FeedReportAsked, Heartbeat, StepDone, WantInstruments
from mytrading.messages.reports import AccountHealth
from mytrading.messages.run_config import RunConfig, TradeRule
from mytrading.messages.streams import FEED_REPORT_TOPIC, step_topic
from mytrading.runtime.daemon.daemon import Daemon
from mytrading.runtime.daemon.live_files import EditedFiles
from mytrading.runtime.daemon.lockstep import Progress
from mytrading.runtime.daemon.market_tables import MarketTables
from mytrading.runtime.daemon.webhook_files import POLL_S, WebhookFolder
from mytrading.runtime.host.clock import machine_now
from mytrading.runtime.observability.alerts import OF_DATA, Edge
from mytrading.runtime.supervision.hang_check import BEHIND_NS, NAME, WatchdogGuard

TICK_S = 0.1
SHOW_S = 0.25
WATCH_S = 0.5
CLOCK_TOPIC = "clock"
"""Ticks have a topic of their own, so that readers of heartbeats are not woken ten times a second."""
REQUESTERS = ("engine", "risk", "gateway")
TAPE_BYTES = 4 << 30
FEW = 4
"""More frames at once are a burst, in which no reader waits for this process to leave a core."""


class DataManager(Daemon):
    """The feed's process. Budget from the socket's frame to the bus: 100 µs at rest."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__("feed", config)
        rules = config.data
        self.tables = MarketTables(config)
        self.calendar = self.tables.calendar
        self.sources = config.quote_accounts
        self.connections = SourceConnections(self.sources, rules, self.calendar, self.wake, config.brokers)
        self.price_check = PriceCheck(rules.max_price_change_percent, rules.validation)
        self.day_proof = DayProof(self.calendar)
        self.price_proof = PriceProof(int(config.risk.stale_quote_seconds * SECOND), rules.validation)
        self.demand = InstrumentDemand(self.calendar.exchanges, int(rules.keep_seconds * SECOND))
        self.health = FeedHealth(self.calendar, StalenessLimits.of(config.risk.stale_quote_seconds))
        self.feed_alerts = FeedAlerts(self.alerts, self.notes, self.connections, self.health)
        self.edge = Edge("market socket", "the next quote takes its place", self.alerts)
        self._watched: tuple[str, ...] = ()
        self._charted: tuple[str, ...] = ()
        """Of these the history is fetched: what webhooks alone name needs none."""
        self._trades: tuple[TradeRule, ...] = ()

    def setup(self) -> None:
        """Build the feed's parts, connect its sources and subscribe the watched instruments."""
        self._wire()
        self._subscribe_streams()
        self._start_timers()
        self.webhooks = WebhookFolder(self.config, self.log)
        self.webhooks.poll()
        self._watch()
        self.instruments.request_if_due(machine_now())
        self.bars.start(self._charted)
        for connection in self.connections.all:
            connection.socket.start()

    def _watch(self) -> None:
        """Subscribe what the settings, the strategies and the webhooks name, and load their contracts."""
        symbols = [symbol for run in self.config.strategies for symbol in run.symbols]
        own = (*self.config.data.watch, *symbols)
        self._watched = self.subscriptions.watch((*own, *self.webhooks.instruments))
        self._charted = tuple(name for name in self._watched if name in own)
        self._trades = self.webhooks.trades
        self.instruments.set_watched(self._watched, self._trades)

    def _watch_webhooks(self) -> None:
        """Take up a changed webhook: its instruments are subscribed, and the day's contracts fetched with them."""
        if not self.webhooks.poll():
            return
        before = {*self._watched, *self._trades}
        self._watch()
        if not before.issuperset((*self._watched, *self._trades)):
            self.instruments.fetch_again()

    def _wire(self) -> None:
        config, clock, problems = self.config, self.clock, self.feed_alerts.problems
        self.publisher = MarketPublisher(
            self.publish("market"), config.data, self.monitor.operation("data_manager", "quote_latency")
        )
        self.bars = BarPublisher(
            config, self.calendar, clock, problems, self.publisher.send_bar, self.wake,
            lambda gaps: self.status.send(self.name, gaps), lambda: self.connections.all[0].rules.history,
        )  # fmt: skip
        self.rest_quotes = RestQuotes(self.sources, self.wake)
        self.open_interest = OpenInterestReader(self.sources)
        self.intake = QuoteIntake(
            self.connections, self.health, self.price_check, self.bars, self.publisher, self.open_interest,
            self.lock_step, self.price_proof, self.day_proof,
        )  # fmt: skip
        self.subscriptions = SubscriptionManager(
            self.demand, self.connections, self.health, self.bars, self.intake, clock, problems,
            config.data.max_subscriptions,
        )  # fmt: skip
        self.instruments = InstrumentLoader(config, self.tables, clock, problems, self.wake)
        self.rest_prices = RestPrices(
            self.connections, self.health, self.bars, self.intake, self.rest_quotes, self.calendar,
            InstrumentFile(config.state), int(config.risk.stale_quote_seconds * SECOND), problems,
            lambda closed: self.status.send(self.name, closed),
        )  # fmt: skip
        self.steps = MarketSteps(self.publisher, self.clock.now)
        self.supervisor = SourceSupervisor(
            self.connections, self.health, self.bars, self.intake, self.instruments, self.steps, self.feed_alerts,
            config.state,
        )  # fmt: skip
        self.frames = FrameReader(
            self.connections, clock, self.intake, self.supervisor, self.edge, config.data.buffer_size,
            self.monitor.operation("data_manager", "drain"), self._after_batch, self.wake,
        )  # fmt: skip
        self.tape = TapeWriter(config.tape_dir, TAPE_BYTES)
        self._look_at_tape()

    def _subscribe_streams(self) -> None:
        topics = (*REQUESTERS, *(step_topic(name) for name in REQUESTERS)) if self.lock_step else REQUESTERS
        every_s = 0.0 if self.lock_step else TICK_S
        self.subscribe("status", self._on_message, topics=topics, writers=REQUESTERS, every_s=every_s)
        self.subscribe("status", self._on_message, topics=(FEED_REPORT_TOPIC,), writers=("gateway",), every_s=TICK_S)
        self.subscribe("status", self._on_message, topics=(NAME,), writers=(NAME,), every_s=WATCH_S)
        self.subscribe("orders", lambda frame: self.subscriptions.on_order_message(frame.message), every_s=TICK_S)
        self.subscribe("account", self._on_message, every_s=SHOW_S)
        self.on_wake(self.frames.read_all)
        self.on_wake(self._collect_results)

    def _start_timers(self) -> None:
        self.watchdog = WatchdogGuard(self.config.lock_dir, self.alerts, BEHIND_NS)
        self.edits = EditedFiles(self.alerts, self.log)
        self.tables.follow_calendar(self.edits)
        self.every(WATCH_S, self.watchdog.check)
        self.every(TICK_S, self._on_clock)
        shown = self.config.shown_instruments
        self.every(SHOW_S, lambda _: self.publisher.publish_to_screens(self.demand.held().union(shown)))
        self.every(1.0, self._on_second)
        self.every(1.0, lambda _: self.edits.poll())
        self.every(POLL_S, lambda _: self._watch_webhooks())
        self.every(max(0.01, self.config.data.batch_delay), self._send_requests)

    def _after_batch(self, events: Sequence[SocketEvent], machine_ns: int) -> None:
        """Record frames: a few once readers of the quote have had this core, a burst at once; then end a step."""
        if len(events) <= FEW:
            self.run_when_idle(lambda: self._record(events))
        else:
            self._run_later()
            self._record(events)
        if self.steps.take_mark():
            self.bars.on_clock(self.clock.now(), machine_ns)
            self.instruments.request_if_due(machine_ns)

    def _collect_results(self) -> None:
        self.bars.collect_history()
        if self.instruments.collect():
            self.price_proof.set_instruments(self.instruments.book())
        for answer in self.rest_quotes.take_answers() if self.rest_quotes.busy else ():
            market_ns = self.clock.market_ns_at(answer.received_ns)
            try:
                self.feed_alerts.rest_problem = self.rest_prices.on_answer(answer, market_ns, self._rest_now())
            except OF_DATA as error:
                self.edge.record_drop(error)
            self.feed_alerts.update()

    def _on_message(self, frame: Frame) -> None:
        message = frame.message
        if isinstance(message, StepDone):
            self.steps.on_step_done(message, machine_now())
        elif isinstance(message, WantInstruments):
            self.steps.on_request(message)
            self.subscriptions.on_request(message)
        elif isinstance(message, FeedReportAsked):
            report = feed_report(self.connections, self.demand, self.health, machine_now(), self.rest_prices.by_rest())
            self.status.send(FEED_REPORT_TOPIC, report)
        elif isinstance(message, AccountHealth):
            self.supervisor.on_account_health(message, machine_now())
        elif isinstance(message, Heartbeat) and message.daemon == NAME:
            self.watchdog.on_heartbeat(message)

    def _rest_now(self) -> RestNow:
        return RestNow(self.clock.now(), machine_now(), self.demand.held())

    def _send_requests(self, machine_ns: int) -> None:
        if self.connections.active.rules.feed.bare_tokens:
            self.rest_prices.follow(self._rest_now())  # before what shares a token is asked for
        for connection in self.connections.all:
            connection.send_request(machine_ns)

    def _on_clock(self, machine_ns: int) -> None:
        if self.clock.refresh():
            self.frames.adapt_to_speed()
            self.log.info("clock.changed", segments=len(self.clock.segments), speed=self.clock.speed)
        now = self.clock.now()
        tick = ClockTick(market_ns=now, machine_ns=machine_ns, segments=len(self.clock.segments))
        self.status.send(CLOCK_TOPIC, tick)
        self.day_proof.follow(now)
        if (proven := self.day_proof.news()) is not None:
            self.status.send(self.name, proven)
        if self.lock_step:
            self.steps.repeat_missed_steps(machine_ns)
        else:
            # A feed that lags must not close a bar before the quotes of it that still wait here.
            self.bars.on_clock(
                min(now, self.clock.market_ns_at(self.connections.active.caught_up(machine_ns))), machine_ns
            )
            self.bars.report_changed_gaps()

    def _on_second(self, machine_ns: int) -> None:
        self._look_at_tape()
        self.instruments.request_if_due(machine_ns)
        self.subscriptions.drop_unwanted(machine_ns)
        self.bars.on_second(machine_ns)
        self.supervisor.repair_sources(self.clock.now(), machine_ns)
        self._look_at_staleness(machine_ns)
        self.edge.clear_if_quiet(machine_ns)

    def _look_at_staleness(self, machine_ns: int) -> None:
        """Update coverage, and request prices and open interest over REST."""
        now, held, active = self.clock.now(), self.demand.held(), self.connections.active
        is_well, left_out = active.pulse.is_well(machine_ns), self.rest_prices.left_out
        self.health.update_coverage(
            now, machine_ns, held, lambda name: is_well and (active.serves(name) or name in left_out)
        )
        if not self.lock_step:
            wait_ns = int(self.config.data.fallback_seconds * SECOND)
            silent = self.health.silent_instruments(held, wait_ns, now, machine_ns) if wait_ns else []
            self.rest_prices.on_second(silent, RestNow(now, machine_ns, held))
        self.feed_alerts.update()
        for answer in self.open_interest.take_answers():
            self.intake.on_open_interest(answer, self.clock.market_ns_at(answer.received_ns))
        if not self.lock_step:
            self.open_interest.request_due(machine_ns)

    def _look_at_tape(self) -> None:
        """Continue in the file of the day. Journals come first: on a disk that is nearly full the tape stops."""
        if "disk" in self.notes or not self.config.data.tick_data:
            self.tape.close()
        else:
            self.tape.roll(self.calendar.trading_day(self.clock.now()).isoformat())
            self.tape.flush()

    def _record(self, events: Sequence[SocketEvent]) -> None:
        if self.config.data.tick_data:
            for event in events:
                if type(event) is SocketFrame:
                    self.tape.append(event.received_ns, self.clock.market_ns_at(event.received_ns), event.data)

    def lock_step_progress(self) -> Progress:
        """Return the feed's lock-step progress: market time reached, and what it still waits for."""
        waits = "" if self.ready() else self.notes["ready"]
        if pending := self.connections.active.subscriptions.pending:
            waits = waits or f"waits for the server to acknowledge {pending[0]}"
        if self.bars.is_fetching or self.instruments.is_fetching:
            waits = waits or "waits for history or instruments"
        return self.steps.lock_step_progress(waits)

    def on_beat(self, beat: Heartbeat) -> None:  # noqa: ARG002
        """Publish bar gaps, closed entries and the exchanges that trade today with each heartbeat."""
        self.bars.report_gaps()
        self.rest_prices.report()
        if (proven := self.day_proof.level()) is not None:
            self.status.send(self.name, proven)

    def ready(self) -> bool:
        """True if the active source serves and ticks, with history and instruments loaded; else says why in `notes`."""
        active, machine_ns = self.connections.active, machine_now()
        streamed = [name for name in self._watched if name not in self.rest_prices.left_out]
        served = [name for name in streamed if active.serves(name)]
        if missing := active.why_not_serving(streamed, self._has_history, machine_ns):
            self.notes["ready"] = f"waits for {missing}"
        elif not self.instruments.loaded:
            self.notes["ready"] = "waits for the day's instruments"
        elif not self.health.is_ticking(served, active.subscriptions.has_ticked, (self.clock.now(), machine_ns)):
            self.notes["ready"] = "waits for first ticks"
        else:
            self.notes.pop("ready", None)
        return "ready" not in self.notes

    def _has_history(self, names: Iterable[str]) -> bool:
        return self.bars.has_history(name for name in names if name in self._charted)

    def figures(self) -> dict[str, float]:
        """Return the heartbeat's counts since the start, and coverage as a share."""
        coverage = self.health.coverage
        return {
            "quotes_in": float(self.intake.quotes),
            **self.bars.figures(),
            "coverage": round(coverage.share, 4),
            "fresh": float(coverage.fresh),
            "expected": float(coverage.total),
            "deaf": float(len(self.health.deaf)),
            **self.connections.figures(machine_now()),
            "asked_quotes": float(self.intake.from_rest),
            "rest_calls": float(self.rest_prices.calls),
            "compared": float(self.rest_prices.comparisons),
            "closed": float(len(self.rest_prices.reasons())),
            **self.publisher.figures(),
            "malformed": float(self.frames.malformed + self.edge.count),
            "lenient": float(self.frames.lenient),
            "refused_prices": float(self.price_check.refused),
            "held_prices": float(self.price_check.held),
            "no_prices": float(self.price_proof.refused),
            "tape_lost": float(self.tape.lost),
        }

    def queue_depth(self) -> int:
        """Return how many socket events wait to be handled."""
        return sum(connection.socket.events.qsize() for connection in self.connections.all)

    def teardown(self) -> None:
        """Stop the feed's sockets and threads, and close its files; called once, after the loop."""
        for connection in self.connections.all:
            connection.socket.stop()
        self.rest_quotes.stop()
        self.open_interest.stop()
        self.bars.close()
        self.instruments.stop()
        self.tape.close()
