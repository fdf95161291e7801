"""The engine as a real process: a feed of the test's own before it, a risk of the test's own behind it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from mytrading.adapters.storage.bar_store import BarStore
from mytrading.adapters.storage.instrument_store import InstrumentFile
from mytrading.messages.control import BarGaps, BarsLacking, Heartbeat, WantInstruments
from mytrading.messages.enums import Action, DaemonState, Mode
from mytrading.messages.instruments import Snapshot
from mytrading.messages.market import Bar
from mytrading.messages.run_config import (
    RUN_FILE,
    DataRules,
    Direction,
    RiskLimits,
    RunConfig,
    ServerMode,
    StrategyRun,
    VenueKind,
    VenueSettings,
    write_run_config,
)
from mytrading.messages.signals import Signal, StrategyFaulted, StrategyStarted
from mytrading.messages.streams import STREAMS
from mytrading.runtime.host.clock import ClockFile, ClockSegment, machine_now, write_clock_file
from mytrading.runtime.journal.journal import JournalReader
from mytrading.runtime.streams.endpoints import endpoint
from mytrading.runtime.streams.zmq_streams import PullSocket, ZMQPublisher, ZMQSubscriber
from tests.kit.engine_bench import (
    BUY_CALL,
    BUY_PUT,
    MINUTE,
    NIFTY,
    OPEN,
    SBIN,
    make_bar,
    make_book,
    make_run,
)
from tests.kit.fork_server import Process, start
from tests.kit.project import ROOT
from tests.kit.waiting import eventually

pytestmark = pytest.mark.system

FEED_BEAT_S = 0.2
FLAT_THEN_UP = [100.0] * 12 + [99.0, 98.0, 104.0]
LOOPER = """
from mytrading.strategies import BaseStrategy

class Looper(BaseStrategy):
    def on_data(self, data):
        while data.close > 150:
            pass
"""


class Bench:
    """The engine's environment: files it reads, sockets before and behind it."""

    def __init__(self, folder: Path, runs: tuple[StrategyRun, ...]) -> None:
        self.state = folder / "state"
        self.runtime = folder / "r"
        self.runtime.mkdir()
        (folder / "config").mkdir()
        shutil.copy(ROOT / "config/calendar.toml", folder / "config")
        if not (folder / "strategies").exists():
            shutil.copytree(ROOT / "strategies", folder / "strategies", ignore=shutil.ignore_patterns("__pycache__"))
        self.config = make_config(folder, self.state, self.runtime, runs)
        self.run_file = self.state / RUN_FILE
        write_run_config(self.run_file, self.config)
        InstrumentFile(self.state).write(Snapshot(day="2025-12-01", fetched_ns=0, instruments=tuple(make_book())))
        self.store = BarStore(self.config.bars_dir)
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.market = ZMQPublisher(endpoint(str(self.runtime), "market", "feed"), context=self.context)
        self.status = ZMQPublisher(endpoint(str(self.runtime), "status", "feed"), context=self.context)
        self.signals = PullSocket("signals", endpoint(str(self.runtime), "signals", ""), self.context)
        self.received = ZMQSubscriber("status", [endpoint(str(self.runtime), "status", "engine")], context=self.context)
        self.rows: list[Any] = []
        self.beat: Heartbeat | None = None
        self.wants: tuple[str, ...] = ()
        self.process: Process | None = None
        self._next_beat = 0.0

    def set_clock(self, market_ns: int, speed: float = 1.0) -> None:
        segment = ClockSegment(machine_now(), market_ns, speed)
        write_clock_file(self.config.clock_path, ClockFile(segments=(segment,)))

    def start(self, started: Callable[..., Process] = start) -> None:
        self.beat = None
        environment = {**os.environ, "MYTRADING_RUN": str(self.run_file)}
        self.process = started(
            [sys.executable, "-m", "mytrading.daemons.engine"], env=environment, cwd=ROOT,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def pump(self) -> None:
        """Be the feed that is ready, and read what the engine says."""
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + FEED_BEAT_S
            self.status.send(
                "feed",
                Heartbeat(
                    daemon="feed", pid=1, state=DaemonState.RUNNING, ready=True, machine_ns=machine_now(), market_ns=0,
                    started_machine_ns=0,
                ),
            )  # fmt: skip
        while (frame := self.signals.receive()) is not None:
            self.rows.append(frame.message)
        while (frame := self.received.receive()) is not None:
            if isinstance(frame.message, Heartbeat):
                self.beat = frame.message
            elif isinstance(frame.message, WantInstruments):
                self.wants = frame.message.instruments

    def until(self, condition: Any, seconds: float = 20.0) -> Any:
        def look() -> Any:
            self.pump()
            return condition()

        return eventually(look, seconds)

    def ready(self) -> bool:
        return self.beat is not None and self.beat.ready and self.beat.pid == self._pid()

    def _pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def bar(self, bar: Bar, frame: bool = True) -> None:
        """Handle a bar as the feed does: store first, then publish (or not, as if the frame were lost)."""
        self.store.add([bar])
        if frame:
            self.market.send(bar.instrument, bar)

    def of(self, kind: type) -> list[Any]:
        return [row for row in self.rows if isinstance(row, kind)]

    def said(self) -> str:
        """Log events of the engine."""
        return "".join(path.read_text() for path in Path(self.config.log_dir).glob("*.log"))

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        for socket in (self.market, self.status, self.signals, self.received):
            socket.close()
        self.context.destroy(linger=0)


def make_config(home: Path, state: Path, runtime: Path, runs: tuple[StrategyRun, ...]) -> RunConfig:
    return RunConfig(
        profile="test",
        mode=Mode.PAPER,
        system_name="test",
        home=str(home),
        state_dir=str(state),
        runtime_dir=str(runtime),
        log_dir=str(home / "logs"),
        venue=VenueSettings(
            kind=VenueKind.OPENALGO, account="main", rest_url="", ws_url="", api_key="k",
            expected_mode=ServerMode.ANALYZE,
        ),
        data=DataRules(watch=(SBIN, NIFTY)),
        strategies=runs,
        risk=RiskLimits(
            max_position_size=1e5, max_order_size=1e5, min_order_size=0, max_positions_per_symbol=5,
            max_total_positions=5, max_daily_loss=1e5, max_drawdown=0.1, default_stop_loss=0.02,
            default_stop_loss_options=0.2, trailing_stop_enabled=False, trailing_stop_distance=0.01,
            avoid_first_minutes=0, avoid_last_minutes=0, stale_quote_seconds=5, signal_validity_seconds=60,
        ),
    )  # fmt: skip


def sma(**changes: Any) -> StrategyRun:
    fields = {"parameters": {"fast_period": 3, "slow_period": 8}, "direction": Direction.LONG, **changes}
    return make_run("SMA_Crossover", file="strategies/sma_crossover.py", **fields)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for socket files."""
    folder = Path(tempfile.mkdtemp(prefix="mt-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def bench(short_folder: Path) -> Iterator[Bench]:
    made = Bench(short_folder, (sma(),))
    yield made
    made.close()


def past(bars: list[float]) -> list[Bar]:
    return [make_bar(k, close) for k, close in enumerate(bars)]


def start_ready(bench: Bench, bars: list[float], started: Callable[..., Process] = start) -> None:
    """History in the store, the clock just after it, the engine running on it."""
    bench.store.add(past(bars))
    bench.set_clock(OPEN + len(bars) * MINUTE + MINUTE // 2)
    bench.start(started)
    bench.until(bench.ready)


def live(k: int, close: float) -> Bar:
    return make_bar(k, close, received_ns=machine_now())


def test_engine_crossing_bar_signal_is_journaled_and_pushed(bench: Bench) -> None:
    start_ready(bench, FLAT_THEN_UP[:-1])
    bench.set_clock(OPEN + 15 * MINUTE)
    bench.bar(live(14, 104.0))
    bench.until(lambda: bench.of(Signal))
    (signal_row,) = bench.of(Signal)
    assert (signal_row.action, signal_row.watch, signal_row.bar_ns) == (Action.BUY, SBIN, OPEN + 15 * MINUTE)
    assert bench.of(StrategyStarted)[0].parameters["fast_period"] == 3
    reader = JournalReader(bench.config.journal_dir("engine"), "signals")
    rows = eventually(lambda: (found := reader.read(0))[1:] and found)
    assert len(rows) == len(bench.rows) == 2
    assert STREAMS["signals"].is_journaled


def test_engine_lost_bar_frames_are_found_in_the_store(bench: Bench) -> None:
    start_ready(bench, FLAT_THEN_UP[:-2])
    bench.set_clock(OPEN + 14 * MINUTE)
    bench.bar(live(13, 98.0), frame=False)
    bench.set_clock(OPEN + 15 * MINUTE)
    bench.bar(live(14, 104.0), frame=False)
    bench.until(lambda: bench.of(Signal))
    assert [row.bar_ns for row in bench.of(Signal)] == [OPEN + 15 * MINUTE]


def test_engine_killed_and_restarted_says_nothing_twice(bench: Bench) -> None:
    start_ready(bench, FLAT_THEN_UP[:-1])
    bench.set_clock(OPEN + 15 * MINUTE)
    bench.bar(live(14, 104.0))
    bench.until(lambda: bench.of(Signal))
    bench.kill()
    bench.start()
    bench.until(bench.ready)
    bench.until(lambda: len(bench.of(StrategyStarted)) == 2)
    assert len(bench.of(Signal)) == 1


def test_engine_bar_that_came_while_it_was_down_decides_after_the_restart(bench: Bench) -> None:
    start_ready(bench, FLAT_THEN_UP[:-1])
    bench.kill()
    bench.bar(live(14, 104.0))
    bench.set_clock(OPEN + 15 * MINUTE + 1)
    bench.start()
    bench.until(lambda: bench.of(Signal))
    assert [row.bar_ns for row in bench.of(Signal)] == [OPEN + 15 * MINUTE]


def test_engine_old_bars_after_a_long_absence_make_no_signals(bench: Bench) -> None:
    start_ready(bench, FLAT_THEN_UP[:-1])
    bench.kill()
    bench.bar(make_bar(14, 104.0))
    bench.set_clock(OPEN + 40 * MINUTE)
    bench.start()
    bench.until(bench.ready)
    bench.until(lambda: len(bench.of(StrategyStarted)) == 2)
    assert bench.of(Signal) == []


def test_engine_history_that_comes_late_warms_the_strategies(bench: Bench) -> None:
    bench.set_clock(OPEN + 14 * MINUTE + MINUTE // 2)
    bench.start()
    bench.until(bench.ready)
    bench.bar(make_bar(13, 98.0))
    bench.until(lambda: bench.beat is not None and bench.beat.figures.get("bars") == 1)
    bench.store.add(past(FLAT_THEN_UP[:13]))
    bench.until(lambda: bench.beat is not None and bench.beat.figures.get("warm") == 1)
    bench.set_clock(OPEN + 15 * MINUTE)
    bench.bar(live(14, 104.0))
    bench.until(lambda: bench.of(Signal))
    assert [(row.action, row.bar_ns) for row in bench.of(Signal)] == [(Action.BUY, OPEN + 15 * MINUTE)]


LACKING = BarsLacking(instrument=SBIN, since_ns=OPEN, gaps=((OPEN + 12 * MINUTE, OPEN + 13 * MINUTE),))


@pytest.mark.parametrize("gaps", [{"holes": (SBIN,)}, {"lacking": (LACKING,)}], ids=["live", "history"])
def test_engine_hole_that_history_fills_has_strategies_start_again_from_whole_bars(
    bench: Bench, gaps: dict[str, Any]
) -> None:
    """Averages ran on over a minute that came too late, and crossed where they would not have."""
    bench.store.add(past([100.0] * 12))
    bench.set_clock(OPEN + 12 * MINUTE + MINUTE // 2)
    bench.start()
    bench.until(bench.ready)
    bench.status.send("feed", BarGaps(daemon="feed", **gaps))
    bench.set_clock(OPEN + 14 * MINUTE)
    bench.bar(live(13, 100.0))
    bench.until(lambda: bench.beat is not None and bench.beat.figures.get("bars") == 1)
    bench.store.add([live(12, 70.0)])
    bench.status.send("feed", BarGaps(daemon="feed"))
    bench.until(lambda: "hole.filled" in bench.said())
    bench.set_clock(OPEN + 15 * MINUTE)
    bench.bar(live(14, 110.0))
    bench.set_clock(OPEN + 16 * MINUTE)
    bench.bar(live(15, 140.0))
    bench.until(lambda: bench.of(Signal))
    assert [(row.action, row.bar_ns) for row in bench.of(Signal)] == [(Action.BUY, OPEN + 16 * MINUTE)]


def test_engine_looping_strategy_starts_faulted_and_the_others_run(short_folder: Path) -> None:
    (short_folder / "strategies").mkdir()
    (short_folder / "strategies/looper.py").write_text(LOOPER, encoding="utf-8")
    shutil.copy(ROOT / "strategies/sma_crossover.py", short_folder / "strategies")
    looper = StrategyRun(name="Looper", file="strategies/looper.py", symbols=(SBIN,), long=None, short=None)
    bench = Bench(short_folder, (looper, sma()))
    try:
        start_ready(bench, [100.0] * 10)
        bench.set_clock(OPEN + 11 * MINUTE)
        bench.bar(live(10, 200.0))
        running = bench.state / "engine/running.bin"
        eventually(lambda: b"Looper" in running.read_bytes())
        began = int.from_bytes(running.read_bytes()[:8], "little")
        eventually(lambda: machine_now() - began > 4.2e9)
        bench.kill()
        bench.start()
        bench.until(bench.ready)
        bench.until(lambda: [row.strategy for row in bench.of(StrategyFaulted)])
        assert "did not come back" in bench.of(StrategyFaulted)[0].error
        bench.until(lambda: bench.beat is not None and bench.beat.figures.get("strategies") == 1)
    finally:
        bench.close()


def test_engine_run_with_a_timeframe_without_bars_faults_and_the_others_run(short_folder: Path) -> None:
    ticks = make_run("RSI_MeanReversion", file="strategies/rsi_mean_reversion.py", timeframes=("tick",))
    bench = Bench(short_folder, (ticks, sma()))
    try:
        start_ready(bench, [100.0] * 10)
        bench.until(lambda: bench.beat is not None and bench.beat.figures.get("strategies") == 1)
        bench.until(lambda: bench.of(StrategyFaulted) and bench.of(StrategyStarted))
        assert [row.strategy for row in bench.of(StrategyFaulted)] == ["RSI_MeanReversion"]
        assert [row.strategy for row in bench.of(StrategyStarted)] == ["SMA_Crossover"]
    finally:
        bench.close()


def test_engine_wants_what_it_watches_and_would_trade(short_folder: Path) -> None:
    bench = Bench(short_folder, (sma(symbols=(NIFTY,), long=BUY_CALL, short=BUY_PUT),))
    try:
        bench.store.add([make_bar(k, 26_010.0, NIFTY) for k in range(10)])
        bench.set_clock(OPEN + 10 * MINUTE)
        bench.start()
        bench.until(lambda: len(bench.wants) == 3)
        assert bench.wants == (NIFTY, "NFO:NIFTY02DEC2526000CE", "NFO:NIFTY02DEC2526000PE")
    finally:
        bench.close()


def test_engine_loads_no_pandas_and_stays_small(bench: Bench) -> None:
    start_ready(bench, FLAT_THEN_UP[:-1], subprocess.Popen)
    assert bench.beat is not None
    maps = Path(f"/proc/{bench.beat.pid}/maps").read_text(encoding="utf-8")
    assert "/talib/" in maps
    for heavy in ("/pandas/", "/polars/", "/duckdb", "/numba/", "/pydantic_core/"):
        assert heavy not in maps
    assert bench.beat.rss_mb < 80
