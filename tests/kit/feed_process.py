"""A real feed process beside a simulator, and a reader of what it publishes."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import zmq

from mytrading.messages.control import Alert, BarGaps, Heartbeat
from mytrading.messages.enums import Mode
from mytrading.messages.market import Bar, Quote
from mytrading.messages.run_config import (
    AlertRules,
    DataRules,
    LogRules,
    RiskLimits,
    RunConfig,
    ServerMode,
    VenueKind,
    VenueSettings,
    write_run_config,
)
from mytrading.runtime.streams.endpoints import endpoint
from mytrading.runtime.streams.zmq_streams import ZMQPublisher, ZMQSubscriber
from tests.kit.fork_server import Process, start
from tests.kit.project import ROOT
from tests.kit.simulator_process import API_KEY
from tests.kit.waiting import eventually

NIFTY, SBIN = "NSE_INDEX:NIFTY", "NSE:SBIN"

LIMITS = RiskLimits(
    max_position_size=1e6, max_order_size=1e6, min_order_size=0.0, max_positions_per_symbol=5, max_total_positions=50,
    max_daily_loss=1e6, max_drawdown=0.5, default_stop_loss=0.02, default_stop_loss_options=0.25,
    trailing_stop_enabled=False, trailing_stop_distance=0.01, avoid_first_minutes=0, avoid_last_minutes=0,
    stale_quote_seconds=5.0, signal_validity_seconds=5.0,
)  # fmt: skip


def feed_config(folder: Path, runtime: Path, rest: str, ws: str, watch: tuple[str, ...], **data: Any) -> RunConfig:
    """A run of the feed alone, with its state in `folder`; `data` changes the data rules.

    Alerts have a short cool-down: one that comes back in a later test ends in that test.
    """
    venue = VenueSettings(
        kind=VenueKind.OPENALGO, account="main", rest_url=rest, ws_url=ws, api_key=API_KEY,
        expected_mode=ServerMode.ANALYZE,
    )  # fmt: skip
    rules = msgspec.structs.replace(DataRules(watch=watch, history_days=3), **data)
    return RunConfig(
        profile="test", mode=Mode.PAPER, system_name="MyTrading", home=str(ROOT), state_dir=str(folder),
        runtime_dir=str(runtime), log_dir=str(folder / "logs"), venue=venue, data=rules, strategies=(), risk=LIMITS,
        logging=LogRules(console=True), alert_rules=AlertRules(cooldown_seconds=1.0),
    )  # fmt: skip


@dataclass
class RunningFeed:
    """A feed process, with subscriptions to its market and status streams."""

    process: Process
    config: RunConfig
    market: ZMQSubscriber
    status: ZMQSubscriber
    asker: ZMQPublisher
    log: Path
    beats: list[Heartbeat] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    quotes: list[Quote] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    lacking: list[BarGaps] = field(default_factory=list)
    others: list[Any] = field(default_factory=list)

    def take(self) -> RunningFeed:
        """Read what waits on both streams."""
        while (frame := self.status.receive()) is not None:
            kinds: dict[type, list[Any]] = {Heartbeat: self.beats, Alert: self.alerts, BarGaps: self.lacking}
            kinds.get(type(frame.message), self.others).append(frame.message)
        while (frame := self.market.receive()) is not None:
            kinds_ = {Quote: self.quotes, Bar: self.bars}
            kinds_.get(type(frame.message), self.others).append(frame.message)
        return self

    def wait(self, condition: Callable[[RunningFeed], Any], seconds: float = 15.0) -> Any:
        """The first true value of `condition(feed)` while reading; on failure the log is shown."""
        try:
            return eventually(lambda: condition(self.take()), seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log.read_text()[-4000:]}") from None

    def wait_ready(self, seconds: float = 15.0) -> Heartbeat:
        """Wait until the newest heartbeat says ready."""
        self.wait(lambda feed: feed.beats and feed.beats[-1].ready, seconds)
        return self.beats[-1]

    def alert(self, code: str) -> Alert | None:
        """The newest alert of a code."""
        return next((alert for alert in reversed(self.alerts) if alert.code == code), None)


@contextmanager
def start_feed(config: RunConfig) -> Iterator[RunningFeed]:
    """The feed process of a configuration; its folders are made."""
    folder = Path(config.state_dir)
    folder.mkdir(parents=True, exist_ok=True)
    write_run_config(folder / "run.msgpack", config)
    log = folder / "feed.log"
    with ExitStack() as stack:
        output = stack.enter_context(log.open("ab"))
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        stack.callback(context.destroy, linger=0)
        market = ZMQSubscriber("market", [endpoint(config.runtime_dir, "market", "feed")], context=context)
        status = ZMQSubscriber("status", [endpoint(config.runtime_dir, "status", "feed")], context=context)
        asker = ZMQPublisher(endpoint(config.runtime_dir, "status", "risk"), context=context)
        environment = {**os.environ, "MYTRADING_RUN": str(folder / "run.msgpack")}
        process = start([sys.executable, "-m", "mytrading.daemons.feed"], env=environment, stdout=output, stderr=output)
        try:
            yield RunningFeed(process, config, market, status, asker, log)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


@contextmanager
def runtime_folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="mt-", dir="/tmp") as name:
        yield Path(name)
