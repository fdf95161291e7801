"""The harness of every daemon: one poll loop over sockets, timers and a wake pipe, and a heartbeat each second.

Daemons subclass `Daemon` (or `MachineDaemon`, which adds a journal) and wire themselves in `setup`. Handlers run in the
thread of the loop; worker threads hand over results through a queue and `wake()`.
"""

from __future__ import annotations

import gc
import heapq
import itertools
import os
import signal
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import psutil
import zmq
from msgspec import structs
from zmq.backend import zmq_poll

from mytrading.core.time import SECOND
from mytrading.messages.codec import Frame
from mytrading.messages.control import Alert, Heartbeat, StepDone
from mytrading.messages.enums import DaemonState
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import step_topic
from mytrading.runtime.daemon import disk_space
from mytrading.runtime.daemon.lockstep import Progress
from mytrading.runtime.host.clock import MarketClock, machine_now
from mytrading.runtime.host.run_info import is_supervised, supervisor_of_this
from mytrading.runtime.host.run_key import OPENERS
from mytrading.runtime.observability import metrics
from mytrading.runtime.observability.alerts import Alerts
from mytrading.runtime.observability.logging import get_logger
from mytrading.runtime.observability.metrics import write_performance
from mytrading.runtime.streams.zmq_streams import PullSocket, PushSocket, Receiver, Sockets, ZMQPublisher, ZMQSubscriber
from mytrading.runtime.supervision.instance_lock import InstanceLock, end_forks


class WakePipe:
    """Wakes the poll loop from another thread. Budget: 2 µs a ring."""

    def __init__(self) -> None:
        self._read, self.write_fd = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self.write_fd, False)

    def fileno(self) -> int:
        """Return the descriptor that is readable while rings are not reset, for the poll loop."""
        return self._read

    def ring(self) -> None:
        """Make the loop run its wake handlers; safe from any thread and when already rung."""
        try:
            os.write(self.write_fd, b"!")
        except BlockingIOError:
            return  # full of rings that were not handled yet

    def reset(self) -> None:
        """Discard all rings so far; the loop calls it before the wake handlers."""
        try:
            os.read(self._read, 4096)  # what is left of more rings only rings again
        except BlockingIOError:
            return


class Timers:
    """Repeating timers; one that fell behind runs once and goes on in step.

    They are due at multiples of their interval after `phase_ns`, so that those that fall together cost one waking; each
    process has a phase of its own, so that not all wake at once.
    """

    def __init__(self, phase_ns: int = 0) -> None:
        self._heap: list[tuple[int, int, int, Callable[[int], None]]] = []
        """Timers: due time, number, interval and handler."""
        self._count = itertools.count()
        self._phase_ns = phase_ns

    def every(self, interval_ns: int, handler: Callable[[int], None], now_ns: int) -> None:
        """Call `handler(machine_ns)` each `interval_ns`, the first time within one interval from now."""
        heapq.heappush(self._heap, (self._next(now_ns, interval_ns), next(self._count), interval_ns, handler))

    def _next(self, now_ns: int, interval_ns: int) -> int:
        return now_ns + interval_ns - (now_ns - self._phase_ns) % interval_ns

    def wait_ms(self, now_ns: int, longest_ms: int = 1000) -> int:
        """Milliseconds until the next timer is due, rounded up, at most `longest_ms`."""
        if not self._heap:
            return longest_ms
        left = self._heap[0][0] - now_ns
        return max(0, min(longest_ms, -(-left // 1_000_000)))

    def run_due(self, now_ns: int) -> int:
        """Run the timers that are due; returns how many ran."""
        ran = 0
        while self._heap and self._heap[0][0] <= now_ns:
            _, number, interval_ns, handler = heapq.heappop(self._heap)
            handler(now_ns)
            heapq.heappush(self._heap, (self._next(now_ns, interval_ns), number, interval_ns, handler))
            ran += 1
        return ran


DRAIN_LIMIT = 256
DRAIN_NS = 50_000_000
"""So many frames of one socket, and for so long, before the others and the timers have their turn."""
URGENT_NS = 5 * DRAIN_NS
CLOCK_S = 0.1
PERFORMANCE_S = 60.0
BEAT_NS = SECOND
PHASES_NS = 100_000_000
LATER_NS = 20_000_000
EXIT_FORKED = 70
REVIVERS = ("watchdog", *OPENERS)
"""Daemons with the run's key, without which a supervisor could start no daemon that calls the server."""

FrameHandler = Callable[[Frame], None]


class Daemon:
    """A process of the stack: sockets, timers, heartbeat, clean stop. Hooks are called in the thread of the loop."""

    def __init__(self, name: str, config: RunConfig) -> None:
        self.name = name
        self.config = config
        self.run_key = ""
        """Opens the API keys of the run file; `process.main` sets it for daemons that may have it."""
        self.clock = MarketClock.load(config.clock_path)
        self.log = get_logger(name)
        self.debugging = config.logging.level == "DEBUG"
        self.monitor = metrics.get_performance_monitor()
        self.state = DaemonState.STARTING
        self._sockets = Sockets(name, config)
        self.context = self._sockets.context
        self.timers = Timers(zlib.crc32(name.encode()) % PHASES_NS)
        self.wake_pipe = WakePipe()
        self.notes: dict[str, str] = {}
        self.handled = 0
        self._beaten = 0
        self._lock = InstanceLock(config.lock_dir / f"{name}.lock")
        self._polled: list[tuple[Any, int]] = []
        self._receivers: dict[zmq.Socket[bytes], tuple[Receiver, FrameHandler]] = {}
        self._urgent: set[zmq.Socket[bytes]] = set()
        self._later: list[Callable[[], None]] = []
        self._later_by = 0
        self._soon: list[Callable[[], None]] = []
        self._raw: dict[Any, Callable[[], None]] = {}
        self._wake_handlers: list[Callable[[], None]] = []
        self._durations = metrics.Histogram()
        self._stopping = False
        self._reported_ready = False
        self._exit_code = 0
        self._lag_ms = 0.0
        self._started = machine_now()
        self._pid = os.getpid()
        self._parent = supervisor_of_this()
        self._process = psutil.Process()
        self.status = self._sockets.publisher("status", bound=False)
        self.alerts = Alerts(name, self.clock.now, self._send_alert, config.alert_rules.cooldown_seconds)
        self.lock_step = self.clock.lock_step
        self._last_progress: Progress | None = None

    def setup(self) -> None:
        """Hook: make sockets and timers, recover state. `run` calls it once, before the loop."""

    def teardown(self) -> None:
        """Hook: stop threads and close files. `run` calls it once, after the loop."""

    def ready(self) -> bool:
        """Hook: return True when others may rely on this daemon's work."""
        return True

    def figures(self) -> dict[str, float]:
        """Hook: return numbers by name for the heartbeat and the screens."""
        return {}

    def written(self) -> dict[str, int]:
        """Hook: return the last sequence written of each journaled stream, by stream."""
        return {}

    def cursors(self) -> dict[str, int]:
        """Hook: return the last sequence read of each journaled stream, by `writer/stream`."""
        return {}

    def on_beat(self, beat: Heartbeat) -> None:
        """Hook: called after this daemon's own heartbeat was sent."""

    def on_alert(self, alert: Alert) -> None:
        """Hook: called after this daemon's own alert was sent."""

    def queue_depth(self) -> int:
        """Hook: return how many pieces of work wait inside this daemon."""
        return 0

    def lock_step_progress(self) -> Progress:
        """Hook: return, in lock-step, how far this daemon has come and what it waits for; called after every turn."""
        return Progress()

    def publish(self, stream: str) -> ZMQPublisher:
        """Bind and return the publishing socket of a fan-out stream that this daemon writes."""
        return self._sockets.publisher(stream)

    def push(self, stream: str) -> PushSocket:
        """Return the writing end of a pipe, connected to its reader."""
        return self._sockets.push(stream)

    def subscribe(
        self,
        stream: str,
        handler: FrameHandler,
        topics: Iterable[str] = ("",),
        writers: Iterable[str] | None = None,
        every_s: float = 0.0,
        *,
        first: bool = False,
    ) -> ZMQSubscriber:
        """Receive a fan-out stream from its writers (all, unless named), whether they run yet or not.

        `every_s`: read it every so many seconds, without waking for each frame; `first`: read it before other sockets.
        """
        subscriber = self._sockets.subscriber(stream, topics, writers, first=first)

        def drain_late(_machine_ns: int) -> None:
            if zmq_poll(subscriber.polled, 0):
                self._drain(subscriber, handler, timely=False)

        if every_s:
            self.every(every_s, drain_late)
        else:
            self._receive(subscriber, handler)
        return subscriber

    def pull(self, stream: str, handler: FrameHandler, *, urgent: bool = False) -> PullSocket:
        """Bind the reading end of a pipe; `urgent`: its frames may take five times as long in a turn as all else."""
        pull = self._sockets.pull(stream)
        self._receive(pull, handler)
        if urgent:
            self._urgent.add(pull.socket)
        return pull

    def _receive(self, receiver: Receiver, handler: FrameHandler) -> None:
        self._receivers[receiver.socket] = (receiver, handler)
        self._polled += receiver.polled

    def poll_socket(self, socket: zmq.Socket[bytes], handler: Callable[[], None]) -> None:
        """Call `handler()` whenever this socket, made by the daemon itself, has a message."""
        self._polled.append((socket, zmq.POLLIN))
        self._raw[socket] = handler

    def every(self, seconds: float, handler: Callable[[int], None]) -> None:
        """Call `handler(machine_ns)` every so many seconds of machine time."""
        self.timers.every(int(seconds * 1e9), handler, machine_now())

    def on_wake(self, handler: Callable[[], None]) -> None:
        """Call `handler()` each time another thread has called `wake`."""
        self._wake_handlers.append(handler)

    def wake(self) -> None:
        """Make the loop run its wake handlers; safe from any thread."""
        self.wake_pipe.ring()

    def stop(self, code: int = 0) -> None:
        """Leave the loop after the present handler; `run` then returns `code`."""
        self._stopping = True
        self._exit_code = code
        self.wake_pipe.ring()

    def run(self) -> int:
        """Lock, set up, loop until stopped, tear down; returns the exit code."""
        self._lock.acquire(wait_s=6.0)
        if forks := end_forks(self._lock.path, f"mytrading.daemons.{self.name}"):
            self.log.error("forks.ended", pids=forks, next_step="look for what forks: a library of a strategy?")
        self.status.bind()  # not before: a second instance must not take the endpoint of the first
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.set_wakeup_fd(self.wake_pipe.write_fd, warn_on_full_buffer=False)
        self._polled.append((self.wake_pipe.fileno(), zmq.POLLIN))
        self.every(CLOCK_S, self._follow_clock)
        self.setup()
        self.every(1.0, self._beat)
        self.every(10.0, self.alerts.repeat)
        self.every(1.0, self.alerts.end_flapping)
        self.every(PERFORMANCE_S, lambda _: self._log_performance())
        if self.config.process.memory_optimization:
            gc.collect()
            gc.freeze()
        gc.set_threshold(max(self.config.process.gc_threshold, 700))
        self.state = DaemonState.RUNNING
        self.log.info("daemon.started", pid=os.getpid(), profile=self.config.profile)
        self._beat(machine_now())
        try:
            while not self._stopping:
                self._turn()
        finally:
            self._finish()
        return self._exit_code

    def _follow_clock(self, _machine_ns: int) -> None:
        if self.clock.refresh():
            self.log.info("clock.changed", segments=len(self.clock.segments), speed=self.clock.speed)
        self.report_readiness()

    def report_readiness(self) -> None:
        """Send a heartbeat at once if readiness changed since the last one of a running daemon."""
        if self.state is DaemonState.RUNNING and self.ready() != self._reported_ready:
            self._beat(machine_now())

    def run_when_idle(self, work: Callable[[], None]) -> None:
        """Queue `work` to run after a millisecond without input, 20 ms at the latest: messages just sent go first."""
        if not self._later:
            self._later_by = machine_now() + LATER_NS
        self._later.append(work)

    def run_with_next_message(self, work: Callable[[], None]) -> None:
        """Queue `work` to run with the next message, or after a millisecond; `run_queued_now` runs it at once."""
        self._soon.append(work)

    def run_queued_now(self) -> None:
        """Run the work queued with `run_with_next_message` now."""
        if self._soon:
            waiting, self._soon = self._soon, []
            for work in waiting:
                work()

    def _run_later(self) -> None:
        waiting, self._later = self._later, []
        for work in waiting:
            work()

    def end_if_forked(self) -> None:
        """Exit at once if this is a copy of the process that author code forked: it is no process of the stack."""
        if os.getpid() != self._pid:
            os._exit(EXIT_FORKED)

    def on_supervisor_lost(self) -> None:
        """Called when supervisor died: start a new one, if this daemon is in `REVIVERS` and was supervised."""
        if self.name not in REVIVERS or not is_supervised():
            return
        from mytrading.runtime.supervision import control

        self.log.error("supervisor.lost", next_step="starting a new one")
        try:
            control.revive(self.config, self.run_key)
        except (OSError, control.SupervisorFailed) as error:
            self.log.critical("supervisor.not_started", problem=str(error), next_step="mytrading up")

    def _turn(self) -> None:
        wait_ms = self.timers.wait_ms(machine_now())
        events = zmq_poll(self._polled, min(wait_ms, 1) if self._later or self._soon else wait_ms)
        self.end_if_forked()
        self.run_queued_now()
        for key, _ in events:
            if key in self._receivers:
                self._drain(*self._receivers[key], most_ns=URGENT_NS if key in self._urgent else DRAIN_NS)
            elif key in self._raw:
                self._raw[key]()
            else:
                self.wake_pipe.reset()
                for wake_handler in self._wake_handlers:
                    wake_handler()
        if self._later and (not events or machine_now() > self._later_by):
            self._run_later()
        self.timers.run_due(machine_now())
        if self.lock_step:
            self._report_progress()

    def _report_progress(self) -> None:
        """In lock-step: send the progress if it changed."""
        progress = self.lock_step_progress()
        if progress != self._last_progress:
            self._last_progress = progress
            done = StepDone(daemon=self.name, pid=os.getpid(), **structs.asdict(progress))
            self.status.send(step_topic(self.name), done)

    def _drain(self, receiver: Receiver, handler: FrameHandler, timely: bool = True, most_ns: int = DRAIN_NS) -> None:
        """Handle the frames of a receiver that has at least one."""
        until = 0
        for _ in range(DRAIN_LIMIT):
            if (frame := receiver.receive()) is None:
                return
            started = machine_now()
            until = until or started + most_ns
            if timely:
                self._lag_ms = max(self._lag_ms, (started - frame.header.sent_ns) / 1e6)
            handler(frame)
            ended = machine_now()
            self._durations.add(ended - started)
            self.handled += 1
            if ended > until or not zmq_poll(receiver.polled, 0):
                return

    def _finish(self) -> None:
        self.state = DaemonState.STOPPING
        self.run_queued_now()
        self._run_later()
        self._beat(machine_now())
        self.teardown()
        self._log_performance()
        self._sockets.close()
        self.log.info("daemon.stopped", code=self._exit_code)
        self._lock.release()

    def beat_if_due(self) -> None:
        """Send a heartbeat if one is due; for handlers and recoveries that run for seconds without hanging."""
        machine_ns = machine_now()
        if machine_ns - self._beaten < BEAT_NS:
            return
        if self.state is not DaemonState.STARTING:
            self._beat(machine_ns)
            return
        self._beaten = machine_ns
        self.status.send(self.name, self._heartbeat(machine_ns, self.state, ready=False))

    def _heartbeat(self, machine_ns: int, state: DaemonState, ready: bool, **figures: Any) -> Heartbeat:
        return Heartbeat(
            daemon=self.name, pid=os.getpid(), state=state, ready=ready, machine_ns=machine_ns,
            market_ns=self.clock.now(), started_machine_ns=self._started,
            notes=tuple(f"{key}: {note}" for key, note in self.notes.items()), **figures,
        )  # fmt: skip

    def _beat(self, machine_ns: int) -> None:
        self._beaten = machine_ns
        if os.getppid() != self._parent and not self._stopping:
            self.log.warning("daemon.orphaned", parent=self._parent, next_step="a new supervisor starts a new one")
            self.stop()
            self.on_supervisor_lost()
        disk_space.update_disk_alert(self.is_disk_low(), self.config, self.notes, self.alerts)
        memory = self._process.memory_info()
        times = self._process.cpu_times()
        percentiles = self._durations.percentiles((0.5, 0.99))
        self._reported_ready = self.ready()
        degraded = self.notes and self.state is DaemonState.RUNNING
        beat = self._heartbeat(
            machine_ns,
            DaemonState.DEGRADED if degraded else self.state,
            self._reported_ready,
            lag_ms=round(self._lag_ms, 3),
            queue_depth=self.queue_depth(),
            handled=self.handled,
            handler_p50_us=percentiles[0] / 1e3,
            handler_p99_us=percentiles[1] / 1e3,
            rss_mb=round(memory.rss / 1e6, 1),
            cpu_s=round(times.user + times.system, 2),
            **self._sockets.traffic()._asdict(),
            written=self.written(),
            cursors=self.cursors(),
            figures=self.figures(),
        )
        self.status.send(self.name, beat)
        self.log.debug("heartbeat.sent", ready=beat.ready, lag_ms=beat.lag_ms, queue=beat.queue_depth, **beat.figures)
        self._last_progress = None  # sent again in any case: a level, for readers that missed it
        self.on_beat(beat)
        self._lag_ms = 0.0
        if self.config.process.monitoring:
            self.monitor.write_snapshot(self.config.metrics_dir / f"{self.name}.json")

    def _log_performance(self) -> None:
        if self.config.process.monitoring:
            write_performance(self.name, self.monitor, self._durations)

    def _send_alert(self, alert: Alert) -> None:
        """Readiness goes first, so that a reader of the alert knows it."""
        self.report_readiness()
        self.status.send(self.name, alert)
        self.on_alert(alert)

    def is_disk_low(self) -> bool:
        """True while less disk space is free than the configured minimum."""
        return disk_space.is_low(self.config)
