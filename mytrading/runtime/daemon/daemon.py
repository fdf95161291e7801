"""The harness of every daemon: one poll loop over sockets, timers and a doorbell, and a heartbeat each second.

No asyncio and no sleeps: the loop waits in one place, for a socket, a timer or a signal. Daemons subclass `Daemon` (or
`MachineDaemon`, which adds a journal) and wire themselves in `setup`. Handlers run in this one thread, and worker
threads hand over what they have through a queue and `wake()`.
"""

from __future__ import annotations

import gc
import os
import signal
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import psutil
import zmq
from zmq.backend import zmq_poll

from mytrading.core.time import SECOND
from mytrading.messages.codec import Frame
from mytrading.messages.control import Alert, Heartbeat
from mytrading.messages.enums import DaemonState
from mytrading.messages.run_config import RunConfig
from mytrading.messages.streams import step_topic
from mytrading.runtime.daemon import disk_space
from mytrading.runtime.daemon.lockstep import Acknowledger, Progress
from mytrading.runtime.daemon.timers import Timers
from mytrading.runtime.host.clock import MarketClock, machine_now
from mytrading.runtime.host.run_info import is_supervised, supervisor_of_this
from mytrading.runtime.host.run_key import OPENERS
from mytrading.runtime.observability import metrics
from mytrading.runtime.observability.alerts import Alerts
from mytrading.runtime.observability.logging import get_logger
from mytrading.runtime.observability.metrics import write_performance
from mytrading.runtime.streams.endpoints import endpoint_of
from mytrading.runtime.streams.sockets import Receiver, Sockets
from mytrading.runtime.streams.zmq_streams import PullSocket, PushSocket, ZMQPublisher, ZMQSubscriber
from mytrading.runtime.supervision.instance_lock import InstanceLock, end_forks


class Doorbell:
    """Wakes the poll loop from another thread. Budget: 2 µs a ring."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def fileno(self) -> int:
        """The descriptor that becomes readable."""
        return self._read

    @property
    def write_fd(self) -> int:
        """Where `signal.set_wakeup_fd` writes."""
        return self._write

    def ring(self) -> None:
        """Make the loop run its wake handlers; safe from any thread and when already rung."""
        try:
            os.write(self._write, b"!")
        except BlockingIOError:
            return  # full of rings that nobody heard yet

    def silence(self) -> None:
        """Take back all rings so far."""
        try:
            os.read(self._read, 4096)  # what is left of more rings only rings again
        except BlockingIOError:
            return


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
"""Who has the run's key anyway; without it a supervisor could start no daemon that calls the server."""

FrameHandler = Callable[[Frame], None]


class Daemon:
    """A process of the stack: sockets, timers, heartbeat, clean stop; subclasses override the hooks.

    All hooks are called in the thread of the loop.
    """

    def __init__(self, name: str, config: RunConfig) -> None:
        self.name = name
        self.config = config
        self.run_key = ""
        """What opens the API keys of the run file; `process.main` gives it to those that may have it."""
        self.clock = MarketClock.load(config.clock_path)
        self.log = get_logger(name)
        self.debugging = config.logging.level == "DEBUG"
        """True where each decision is worth a line; asked before one is made up."""
        self.monitor = metrics.get_performance_monitor()
        self.state = DaemonState.STARTING
        self._sockets = Sockets(name, config)
        self.context = self._sockets.context
        self.timers = Timers(zlib.crc32(name.encode()) % PHASES_NS)
        self.doorbell = Doorbell()
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
        self._said_ready = False
        self._exit_code = 0
        self._lag_ms = 0.0
        self._started = machine_now()
        self._pid = os.getpid()
        self._parent = supervisor_of_this()
        self._process = psutil.Process()
        self.status = self._sockets.publisher("status", bound=False)
        self.alerts = Alerts(name, self.clock.now, self._tell_alert, config.alert_rules.cooldown_seconds)
        self.lock_step = self.clock.lock_step
        self._steps = Acknowledger(name, lambda done: self.status.send(step_topic(name), done))

    # hooks: what a daemon does and shows; each as it is for those with nothing to add

    def setup(self) -> None:
        """Make sockets and timers, recover state. Runs once, before the loop."""

    def teardown(self) -> None:
        """Stop threads and close files. Runs once, after the loop."""

    def ready(self) -> bool:
        """True when others may rely on this daemon's work."""
        return True

    def figures(self) -> dict[str, float]:
        """Numbers for the heartbeat and the screens."""
        return {}

    def written(self) -> dict[str, int]:
        """Sequences of journaled streams written so far."""
        return {}

    def cursors(self) -> dict[str, int]:
        """Sequences of journaled streams read so far, by `writer/stream`."""
        return {}

    def on_beat(self, beat: Heartbeat) -> None:
        """This daemon's own heartbeat was sent."""

    def on_alert(self, alert: Alert) -> None:
        """This daemon's own alert was sent."""

    def queue_depth(self) -> int:
        """How many pieces of work wait inside this daemon."""
        return 0

    def progress(self) -> Progress:
        """In lock-step: how far this daemon has come, and what it waits for. Called at the end of every turn."""
        return Progress()

    # wiring

    def endpoint(self, stream: str, writer: str = "") -> str:
        """Where a stream's socket is, for this stack's transport."""
        return endpoint_of(self.config, stream, writer)

    def publish(self, stream: str) -> ZMQPublisher:
        """Bind the PUB end of a fan-out stream this daemon writes."""
        return self._sockets.publisher(stream)

    def push(self, stream: str) -> PushSocket:
        """Connect to the reader of a pipe."""
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

        With `every_s` not at once but that often: for who only shows or watches, and would take a core from those
        whose turn it is. With `first` before all others who are to be woken at once.
        """
        subscriber = self._sockets.subscriber(stream, topics, writers, first=first)
        if every_s:
            self.every(every_s, lambda _: self._drain_late(subscriber, handler), f"read {stream}")
        else:
            self._receive(subscriber, handler)
        return subscriber

    def pull(self, stream: str, handler: FrameHandler, *, urgent: bool = False) -> PullSocket:
        """Bind the reading end of a pipe. What is `urgent` may take five times as long in a turn as all else."""
        pull = self._sockets.pull(stream)
        self._receive(pull, handler)
        if urgent:
            self._urgent.add(pull.socket)
        return pull

    def _receive(self, receiver: Receiver, handler: FrameHandler) -> None:
        self._receivers[receiver.socket] = (receiver, handler)
        self._polled += receiver.polled

    def poll_socket(self, socket: zmq.Socket[bytes], handler: Callable[[], None]) -> None:
        """Call `handler()` whenever a socket of the daemon's own making has something."""
        self._polled.append((socket, zmq.POLLIN))
        self._raw[socket] = handler

    def every(self, seconds: float, handler: Callable[[int], None], name: str) -> None:
        """Call `handler(machine_ns)` again and again; `name` shows in the metrics."""
        self.timers.every(int(seconds * 1e9), handler, name, machine_now())

    def on_wake(self, handler: Callable[[], None]) -> None:
        """Call `handler()` after another thread rang the doorbell."""
        self._wake_handlers.append(handler)

    def wake(self) -> None:
        """Ring the doorbell; safe from any thread."""
        self.doorbell.ring()

    def stop(self, code: int = 0) -> None:
        """Leave the loop after the present handler."""
        self._stopping = True
        self._exit_code = code
        self.doorbell.ring()

    # the loop

    def run(self) -> int:
        """Lock, set up, loop until stopped, tear down; returns the exit code."""
        self._lock.acquire(wait_s=6.0)
        if forks := end_forks(self._lock.path, f"mytrading.daemons.{self.name}"):
            self.log.error("forks.ended", pids=forks, next_step="look for what forks: a library of a strategy?")
        self.status.bind()  # not before: a second instance must not take the endpoint of the first
        self._install_signals()
        self._polled.append((self.doorbell.fileno(), zmq.POLLIN))
        self.every(CLOCK_S, self._follow_clock, "clock")
        self.setup()
        self.every(1.0, self._beat, "heartbeat")
        self.every(10.0, self.alerts.repeat, "alerts")
        self.every(1.0, self.alerts.look, "alerts ended")
        self.every(PERFORMANCE_S, lambda _: self._log_performance(), "performance log")
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
        self.tell_readiness()

    def tell_readiness(self) -> None:
        """Beat at once where others believe what no longer holds; while starting nobody relies on anything."""
        if self.state is DaemonState.RUNNING and self.ready() != self._said_ready:
            self._beat(machine_now())

    def later(self, work: Callable[[], None]) -> None:
        """Do this when nothing has come for a millisecond, within 20 at the latest.

        What was just sent is on its way through another thread of this process, which needs the core more than a log
        line does.
        """
        if not self._later:
            self._later_by = machine_now() + LATER_NS
        self._later.append(work)

    def soon(self, work: Callable[[], None]) -> None:
        """Do this when the next message has come, or nothing for a millisecond: what was begun just now has the cores.

        What must keep an order with it calls `run_soon` first.
        """
        self._soon.append(work)

    def run_soon(self) -> None:
        """Do now what was to be done soon."""
        if self._soon:
            waiting, self._soon = self._soon, []
            for work in waiting:
                work()

    def _run_later(self) -> None:
        waiting, self._later = self._later, []
        for work in waiting:
            work()

    def end_if_forked(self) -> None:
        """A copy of this process that author code made, in whatever way, is none of the stack's."""
        if os.getpid() != self._pid:
            os._exit(EXIT_FORKED)

    def orphaned(self) -> None:
        """The supervisor died: whoever has the run's key starts another, whichever of them comes first."""
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
        self.run_soon()
        for key, _ in events:
            if key in self._receivers:
                self._drain(*self._receivers[key], most_ns=URGENT_NS if key in self._urgent else DRAIN_NS)
            elif key in self._raw:
                self._raw[key]()
            else:
                self._run_wake_handlers()
        if self._later and (not events or machine_now() > self._later_by):
            self._run_later()
        self.timers.run_due(machine_now())
        if self.lock_step:
            self._steps.tell(self.progress())

    def _drain(self, receiver: Receiver, handler: FrameHandler, timely: bool = True, most_ns: int = DRAIN_NS) -> None:
        """Handle what waits at a receiver that has something; whether it has more is asked, as it is likely not."""
        until = 0
        for _ in range(DRAIN_LIMIT):
            frame = receiver.receive()
            if frame is None:
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

    def _drain_late(self, receiver: Receiver, handler: FrameHandler) -> None:
        """Of those that are not waited for: what has come since the last time, if anything."""
        if zmq_poll(receiver.polled, 0):
            self._drain(receiver, handler, timely=False)

    def _run_wake_handlers(self) -> None:
        self.doorbell.silence()
        for handler in self._wake_handlers:
            handler()

    def _finish(self) -> None:
        self.state = DaemonState.STOPPING
        self.run_soon()
        self._run_later()
        self._beat(machine_now())
        self.teardown()
        self._log_performance()
        self._sockets.close()
        self.log.info("daemon.stopped", code=self._exit_code)
        self._lock.release()

    def _install_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.set_wakeup_fd(self.doorbell.write_fd, warn_on_full_buffer=False)

    # the heartbeat

    def still_here(self) -> None:
        """For a handler or a recovery that works for seconds: beat if due, so that it is not taken for one that hangs.

        Nothing else is handled meanwhile. One that is still starting says just that, and what its notes say.
        """
        machine_ns = machine_now()
        if machine_ns - self._beaten < BEAT_NS:
            return
        if self.state is not DaemonState.STARTING:
            self._beat(machine_ns)
            return
        self._beaten = machine_ns
        self.status.send(
            self.name,
            Heartbeat(
                daemon=self.name, pid=os.getpid(), state=self.state, ready=False, machine_ns=machine_ns,
                market_ns=self.clock.now(), started_machine_ns=self._started, notes=self._told_notes(),
            ),
        )  # fmt: skip

    def _beat(self, machine_ns: int) -> None:
        self._beaten = machine_ns
        if os.getppid() != self._parent and not self._stopping:
            self.log.warning("daemon.orphaned", parent=self._parent, next_step="a new supervisor starts a new one")
            self.stop()
            self.orphaned()
        disk_space.tell(self.disk_low(), self.config, self.notes, self.alerts)
        memory = self._process.memory_info()
        times = self._process.cpu_times()
        percentiles = self._durations.percentiles((0.5, 0.99))
        self._said_ready = self.ready()
        beat = Heartbeat(
            daemon=self.name,
            pid=os.getpid(),
            state=self._shown_state(),
            ready=self._said_ready,
            machine_ns=machine_ns,
            market_ns=self.clock.now(),
            started_machine_ns=self._started,
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
            notes=self._told_notes(),
        )
        self.status.send(self.name, beat)
        self.log.debug("heartbeat.sent", ready=beat.ready, lag_ms=beat.lag_ms, queue=beat.queue_depth, **beat.figures)
        self._steps.repeat()
        self.on_beat(beat)
        self._lag_ms = 0.0
        if self.config.process.monitoring:
            self.monitor.write_snapshot(self.config.metrics_dir / f"{self.name}.json")

    def _told_notes(self) -> tuple[str, ...]:
        return tuple(f"{key}: {note}" for key, note in self.notes.items())

    def _log_performance(self) -> None:
        if self.config.process.monitoring:
            write_performance(self.name, self.monitor, self._durations)

    def _tell_alert(self, alert: Alert) -> None:
        """Whoever hears an alert has heard before whether this daemon is still ready."""
        self.tell_readiness()
        self.status.send(self.name, alert)
        self.on_alert(alert)

    def _shown_state(self) -> DaemonState:
        return DaemonState.DEGRADED if self.notes and self.state is DaemonState.RUNNING else self.state

    def disk_low(self) -> bool:
        """True while too little space is left to journal in comfort."""
        return disk_space.is_low(self.config)
