"""The feed: quotes from the server's WebSocket onto the bus, one-minute bars into the store, everything onto the tape.

It subscribes what the strategies watch and what other daemons ask for, keeps the newest quote of each instrument in a
burst, and gives the stack its clock tick. The one rule: whatever is slow (history, disk, a reader) must not hold up a
quote.
"""

from __future__ import annotations

import os
import time
import tomllib
from collections.abc import Sequence

from mytrading.adapters.openalgo.market_feed import (
    Acknowledged,
    FrameParser,
    Malformed,
    ServerError,
    Tick,
    depth_of,
)
from mytrading.adapters.openalgo.socket import Connected, Disconnected, FeedSocket, Refused, SocketEvent
from mytrading.adapters.openalgo.socket import Frame as RawFrame
from mytrading.adapters.openalgo.subscriptions import Subscriptions
from mytrading.adapters.tape import TapeWriter
from mytrading.core.calendar import Calendar
from mytrading.core.quotes import Conflator, PriceCheck, Verdict
from mytrading.daemons.feed_bars import BarDesk
from mytrading.daemons.feed_health import FeedHealth, StaleLimits
from mytrading.daemons.feed_instruments import InstrumentLoader
from mytrading.daemons.feed_wants import Wants
from mytrading.messages.codec import Frame, FrameError
from mytrading.messages.control import ClockTick, WantInstruments
from mytrading.messages.enums import Severity
from mytrading.messages.market import Bar, Quote
from mytrading.messages.runconfig import RunConfig
from mytrading.messages.streams import shown_topic
from mytrading.runtime.clock import SECOND, machine_now
from mytrading.runtime.daemon import Daemon, main
from mytrading.runtime.streams import BadFrames

TICK_S = 0.1
SHOW_S = 0.25
CLOCK_TOPIC = "clock"
"""Ticks have a topic of their own, so that who waits for heartbeats is not woken ten times a second."""
ASKERS = ("engine", "risk")
STAMP_TOLERANCE_S = 2.0
TAPE_BYTES = 4 << 30
SERVER_ERRORS = 3


class DataManager(Daemon):
    """The feed's process. Budget from the socket's frame to the bus: 100 µs at rest."""

    def __init__(self, config: RunConfig) -> None:
        super().__init__("feed", config)
        rules = config.data
        self.calendar = Calendar.from_dict(tomllib.loads(config.calendar_path.read_text(encoding="utf-8")))
        speed = max(self.clock.speed, 1.0)
        self.parser = FrameParser(int(STAMP_TOLERANCE_S * speed * SECOND))
        self.subscriptions = Subscriptions(rules.max_subscriptions, rules.batch_size, rules.depth_data)
        self.check = PriceCheck(rules.max_price_change_percent, rules.validate)
        self.conflator = Conflator()
        self.wants = Wants(self.calendar.exchanges)
        self.health = FeedHealth(self.calendar, StaleLimits.of(config.risk.stale_quote_seconds))
        self._books: dict[str, Tick] = {}
        self._newest: dict[str, Quote] = {}
        self._shown: dict[str, Quote] = {}
        self._bad = BadFrames("market socket")
        self._watched: tuple[str, ...] = ()
        self._quotes = self._server_errors = 0

    def setup(self) -> None:
        """Open stores and streams, begin to fetch history and to connect."""
        venue = self.config.venue
        self.market = self.publish("market")
        self.bars = BarDesk(self.config, self.calendar, self.clock, self.alerts, self._publish_bar, self.wake)
        self.tape = TapeWriter(self.config.tape_dir, TAPE_BYTES)
        self._tend_tape()
        self._drains = self.monitor.operation("data_manager", "drain")
        self._latency = self.monitor.operation("data_manager", "quote_latency")
        self.subscribe("status", self._on_status, topics=ASKERS, writers=ASKERS, every_s=TICK_S)
        self.subscribe("orders", self._on_orders, every_s=TICK_S)
        self.socket = FeedSocket(venue.ws_url, venue.api_key, machine_now, self.wake)
        self.on_wake(self._on_wake)
        self.every(TICK_S, self._on_clock, "clock")
        self.every(SHOW_S, self._show, "show")
        self.every(1.0, self._on_second, "second")
        self.every(max(0.01, self.config.data.batch_delay), self._send_requests, "subscriptions")
        self._watch()
        self.contracts = InstrumentLoader(self.config, self._watched, self.alerts, self.wake)
        self._look_at_instruments(machine_now())
        self.bars.start(self._watched)
        self.socket.start()

    def _watch(self) -> None:
        """Subscribe what the configuration names."""
        symbols = [symbol for run in self.config.strategies for symbol in run.symbols]
        self._watched = self.wants.watch(dict.fromkeys((*self.config.data.watch, *symbols)))
        for refused in self.wants.refused:
            text = f"{refused}: expected EXCHANGE:SYMBOL with an exchange of config/calendar.toml; correct the symbol"
            self.alerts.raise_("WATCH_REFUSED", Severity.CRITICAL, refused, text)
        for instrument in self._watched:
            self._want(instrument)

    def _today(self) -> str:
        return self.calendar.trading_day(self.clock.now()).isoformat()

    # frames

    def _on_wake(self) -> None:
        started = time.perf_counter_ns()
        events = self.socket.drain(self.config.data.buffer_size)
        for event in events:
            if type(event) is RawFrame:
                self._on_frame(event)
            else:
                self._on_connection(event)
        if events:
            self._flush()
            self._record(events)
            self._drains.add(time.perf_counter_ns() - started)
        self.bars.take_history()
        self.contracts.take()
        if not self.socket.events.empty():
            self.wake()

    def _on_frame(self, frame: RawFrame) -> None:
        market_ns = self.clock.at(frame.received_ns)
        parsed = self.parser.parse(frame.data, frame.received_ns, market_ns)
        if type(parsed) is Tick:
            self._on_tick(parsed)
        elif type(parsed) is Acknowledged:
            self._on_acknowledged(parsed)
        elif type(parsed) is ServerError:
            self._on_server_error(parsed)
        elif type(parsed) is Malformed:
            self._bad.add(FrameError("malformed", parsed.reason), frame.data)

    def _record(self, events: Sequence[SocketEvent]) -> None:
        """Put frames on the tape, if there is one, after what they said is on the bus."""
        if not self.config.data.tick_data:
            return
        for event in events:
            if type(event) is RawFrame:
                self.tape.append(event.received_ns, self.clock.at(event.received_ns), event.data)

    def _on_tick(self, tick: Tick) -> None:
        quote = tick.quote
        instrument = quote.instrument
        facts = self.health.facts(instrument)
        if facts is None:
            return
        if tick.book is not None:
            self.subscriptions.full_frame(instrument)
            self._books[instrument] = tick
        elif quote.bid is None and quote.ask is None and not facts.is_index:
            if self.subscriptions.depth_flows(instrument):
                return
            self.subscriptions.upgrade(instrument)
        self._quotes += 1
        self.health.ticked(instrument, quote.market_ns, quote.received_ns)
        if self.check.judge(instrument, quote.ltp, facts.is_option) is not Verdict.GOOD:
            return
        self.bars.add(quote)
        self.conflator.offer(quote)

    def _flush(self) -> None:
        """Bars first, committed before anybody sees them, then the newest quote of each instrument."""
        self.bars.flush()
        quotes = self.conflator.drain()
        for quote in quotes:
            self.market.send(quote.instrument, quote)
            self._newest[quote.instrument] = quote
        if quotes:
            os.sched_yield()  # the thread that carries them may wait for this very core
            now = machine_now()
            for quote in quotes:
                self._latency.add(now - quote.received_ns)
        for instrument, tick in self._books.items():
            depth = depth_of(tick, self.config.data.depth_levels)
            if depth is not None and self.config.data.depth_data:
                self.market.send(f"depth/{instrument}", depth)
        self._books.clear()

    def _show(self, _machine_ns: int) -> None:
        """What is held, once more for screens, which need not be woken by each quote."""
        for instrument in self.wants.held():
            quote = self._newest.get(instrument)
            if quote is not None and quote is not self._shown.get(instrument):
                self._shown[instrument] = quote
                self.market.send(shown_topic(instrument), quote)

    def _publish_bar(self, bar: Bar) -> None:
        self.market.send(bar.instrument, bar)

    # the connection

    def _on_connection(self, event: SocketEvent) -> None:
        if isinstance(event, Connected):
            self.log.info("feed.connected", number=event.number, broker=event.broker)
            self.subscriptions.reset()
            self.health.connected(event.machine_ns)
            self.notes.pop("socket", None)
            for code in ("FEED_DOWN", "FEED_REFUSED", "FEED_ERROR"):
                self.alerts.clear(code, "feed")
            self._send_requests(event.machine_ns)
            self.bars.hurry()
            self.contracts.hurry()
            self._look_at_instruments(event.machine_ns)
        elif isinstance(event, Disconnected):
            self._lost(event.reason)
            next_step = f"next attempt in {event.retry_s:.1f} s; is the server running at {self.config.venue.ws_url}?"
            self.alerts.raise_("FEED_DOWN", Severity.CRITICAL, "feed", f"no market data: {event.reason}; {next_step}")
        elif isinstance(event, Refused):
            self._lost(f"{event.code}: {event.message}")
            next_step = "check OPENALGO_API_KEY, and that the server is logged in to the broker"
            self.alerts.raise_("FEED_REFUSED", Severity.CRITICAL, "feed", f"{event.code}: {event.message}; {next_step}")

    def _lost(self, reason: str) -> None:
        if "socket" not in self.notes:
            self.log.warning("feed.lost", reason=reason)
        self.notes["socket"] = reason
        self.health.lost()
        self._flush()
        self.bars.interrupt()

    def _on_acknowledged(self, answer: Acknowledged) -> None:
        machine_ns = machine_now()
        for instrument in self.subscriptions.answered(answer, machine_ns):
            self.bars.begin(instrument)
        for instrument, reason in answer.refused:
            if not self.subscriptions.is_accepted(instrument):
                self.alerts.raise_(
                    "SUBSCRIPTION_REFUSED", Severity.WARNING, instrument, f"the server has no quotes of it: {reason}"
                )
        if answer.accepted:
            self._server_errors = 0
            self.alerts.clear("FEED_ERROR", "feed")
        for instrument, _ in answer.accepted:
            self.alerts.clear("SUBSCRIPTION_REFUSED", instrument)

    def _on_server_error(self, error: ServerError) -> None:
        """It says nothing of which request. After a new broker login only a new connection helps."""
        self.subscriptions.failed(machine_now())
        text = f"the market socket said {error.code}: {error.message}"
        self.alerts.raise_("FEED_ERROR", Severity.WARNING, "feed", text)
        self._server_errors += 1
        if self._server_errors >= SERVER_ERRORS:
            self._server_errors = 0
            self.socket.reconnect(text)

    # what is wanted

    def _want(self, instrument: str) -> None:
        if instrument in self.subscriptions:
            return
        if self.subscriptions.want(instrument):
            self.health.add(instrument)
            self.alerts.clear("SUBSCRIPTIONS_FULL", "feed")
        else:
            most = self.config.data.max_subscriptions
            self.alerts.raise_(
                "SUBSCRIPTIONS_FULL", Severity.CRITICAL, "feed",
                f"no room for {instrument}: MAX_WEBSOCKET_SUBSCRIPTIONS is {most}; watch less or raise it",
            )  # fmt: skip

    def _on_status(self, frame: Frame) -> None:
        if isinstance(frame.message, WantInstruments):
            for instrument in self.wants.asked(frame.message.instruments, machine_now()):
                self._want(instrument)

    def _on_orders(self, frame: Frame) -> None:
        for instrument in self.wants.traded(frame.message, machine_now()):
            self._want(instrument)

    def _drop(self, instrument: str) -> None:
        self.subscriptions.drop(instrument)
        self.bars.forget(instrument)
        self.check.forget(instrument)
        self.health.remove(instrument)
        self._newest.pop(instrument, None)
        self._shown.pop(instrument, None)
        for code in ("SUBSCRIPTION_REFUSED", "QUOTES_STALE"):
            self.alerts.clear(code, instrument)

    def _send_requests(self, machine_ns: int) -> None:
        """At most one message a call: the timer's interval is the pace."""
        if self.health.is_connected and (request := self.subscriptions.next_request(machine_ns)) is not None:
            self.socket.send(request)

    # timers

    def _on_clock(self, machine_ns: int) -> None:
        if self.clock.refresh():
            self.parser.tolerance_ns = int(STAMP_TOLERANCE_S * max(self.clock.speed, 1.0) * SECOND)
            self.log.info("clock.changed", segments=len(self.clock.segments), speed=self.clock.speed)
        now = self.clock.now()
        tick = ClockTick(market_ns=now, machine_ns=machine_ns, segments=len(self.clock.segments))
        self.status.send(CLOCK_TOPIC, tick)
        self.bars.on_clock(now, machine_ns)

    def _on_second(self, machine_ns: int) -> None:
        self._tend_tape()
        self._look_at_instruments(machine_ns)
        for instrument in self.wants.unwanted(self.subscriptions, machine_ns):
            self._drop(instrument)
        self.bars.on_second(machine_ns)
        self._look_at_health(machine_ns)

    def _look_at_instruments(self, machine_ns: int) -> None:
        now = self.clock.now()
        self.contracts.look(self.calendar.trading_day(now), now, machine_ns)

    def _tend_tape(self) -> None:
        """A full disk must leave room for journals: the tape stops first. `ENABLE_TICK_DATA=false` means none."""
        if "disk" in self.notes or not self.config.data.tick_data:
            self.tape.close()
        else:
            self.tape.roll(self._today())
            self.tape.flush()

    def _look_at_health(self, machine_ns: int) -> None:
        coverage = self.health.look(self.clock.now(), machine_ns)
        if self.health.is_low:
            shown = ", ".join(coverage.stale[:5])
            text = f"{coverage.fresh} of {coverage.total} instruments tick; without a quote: {shown}"
            self.notes["coverage"] = text
            self.alerts.raise_("COVERAGE_LOW", Severity.CRITICAL, "feed", f"{text}; is the broker's feed up?")
        elif self.notes.pop("coverage", None):
            self.alerts.clear("COVERAGE_LOW", "feed")
        if self.health.is_silent(machine_ns):
            self.socket.reconnect("no quote of any instrument while the market is open")

    # the heartbeat

    def ready(self) -> bool:
        """Connected, all that is watched acknowledged and, in session, ticking; its history in the store."""
        if not self.health.is_connected or not all(map(self.subscriptions.is_accepted, self._watched)):
            return False
        if not self.bars.has_history(self._watched):
            return False
        return bool(self.contracts.loaded) and self.health.ticking(self._watched, self.clock.now())

    def figures(self) -> dict[str, float]:
        """Counts since the start, and coverage as a share."""
        coverage = self.health.coverage
        return {
            "quotes_in": float(self._quotes),
            **self.bars.figures(),
            "coverage": round(coverage.share, 4),
            "fresh": float(coverage.fresh),
            "expected": float(coverage.total),
            "subscribed": float(self.subscriptions.accepted),
            "reconnects": float(max(0, self.socket.connections - 1)),
            "conflated": float(self.conflator.replaced),
            "malformed": float(self._bad.count),
            "refused_prices": float(self.check.refused),
            "held_prices": float(self.check.held),
            "tape_lost": float(self.tape.lost),
        }

    def queue_depth(self) -> int:
        """Frames read from the socket and not yet parsed."""
        return self.socket.events.qsize()

    def teardown(self) -> None:
        """Close the socket first, so that nothing new comes."""
        self.socket.stop()
        self.bars.close()
        self.contracts.stop()
        self.tape.close()


if __name__ == "__main__":
    raise SystemExit(main(DataManager, "feed"))
