"""The event backtest beside a bare Python event loop on the same bars: bars a second, cost of a fill, memory.

The bare loop makes a bar object, keeps two running sums, fills at the next open and charges a rate: no risk, no orders,
no books. `python -m lab.bench.backtest FOLDER` is the process whose memory is measured.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import msgspec
import numpy as np

from lab.bench.results import Figure
from mytrading.backtest.data.columns import CHUNK, Columns, build_columns
from mytrading.backtest.run import LEAN, Spec, run, without_rupee_limits
from mytrading.core.accounting.fees import FeeSchedule
from mytrading.core.calendar import Calendar
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.time import MINUTE
from mytrading.messages.enums import Product, Side
from mytrading.messages.exit_rules import StrategyRules, TrailKind, TrailRule
from mytrading.messages.market import Bar
from mytrading.messages.run_config import Direction, RiskLimits, StopPlan, StrategyRun, TradeKind, TradeRule
from mytrading.strategies import BaseStrategy, Signal

BARS = 1_000_000
SHARES = {"backtest_event": 0.5, "backtest_machines": 0.3}
"""Of the bare loop's bars a second."""
LONG_SHORT = (100_000, 500_000)
"""Bars of a short and of a long run; the machines walk a tenth of them."""
TIMES = {"backtest_long_short": 6.0, "backtest_bars_view": 2.0, "backtest_run_rules": 6.0}
"""Of the machines' bars a second, what an added bar costs."""
START_S = 1.5
START_BARS = 1000
FILLS, THOUSAND = 30_000, 1000
FLAT = 1.25
"""Largest ratio of the cost of the last thousand of these fills to that of the first."""
MEMORY = 2.0
"""Times the columns."""
INSTRUMENT = "NSE:SBIN"
_CONFIG = Path(__file__).resolve().parents[2] / "config"


class Crossing(BaseStrategy):
    """Long while the average of 20 closes is above that of 50."""

    def initialize(self) -> None:
        """Two averages."""
        self.add_indicator("SMA", period=20, name="fast")
        self.add_indicator("SMA", period=50, name="slow")

    def on_data(self, data: Bar) -> Signal | None:  # noqa: ARG002
        """A signal where the position is not what the averages say."""
        fast, slow = self.get_indicator_value("fast"), self.get_indicator_value("slow")
        if fast > slow and not self.position.is_long:
            return self.create_signal("BUY")
        if fast < slow and self.position.is_long:
            return self.create_signal("EXIT")
        return None


class BareLoop:
    """The same rule with nothing around it."""

    def __init__(self) -> None:
        self._fast: deque[float] = deque()
        self._slow: deque[float] = deque()
        self._sums = [0.0, 0.0]
        self._pending = self._held = 0
        self.cash = 0.0
        self.fills = 0

    def on_bar(self, bar: Bar) -> None:
        """One bar."""
        if self._pending:
            self.cash -= self._pending * bar.open + abs(self._pending) * bar.open * 0.0003
            self._held += self._pending
            self._pending, self.fills = 0, self.fills + 1
        close = bar.close
        self._fast.append(close)
        self._slow.append(close)
        self._sums[0] += close
        self._sums[1] += close
        if len(self._fast) > 20:
            self._sums[0] -= self._fast.popleft()
        if len(self._slow) > 50:
            self._sums[1] -= self._slow.popleft()
        if len(self._slow) < 50:
            return
        fast, slow = self._sums[0] / 20, self._sums[1] / 50
        if fast > slow and not self._held:
            self._pending = 1
        elif fast < slow and self._held:
            self._pending = -1


class Restless(Crossing):
    """In and out again every second bar."""

    def on_data(self, data: Bar) -> Signal | None:
        """A signal at every bar that begins on an even minute."""
        if data.start_ns // MINUTE % 2:
            return None
        return self.create_signal("EXIT" if self.position.is_long else "BUY")


class Donchian(BaseStrategy):
    """Long above the highest high of thirty bars, short below their lowest low."""

    def initialize(self) -> None:
        """Both bounds as indicators."""
        self.add_indicator("MAX", period=30, source="high", name="upper")
        self.add_indicator("MIN", period=30, source="low", name="lower")

    def on_data(self, data: Bar) -> Signal | None:
        """A signal where the close has left the bounds of the bars before it."""
        if data.close > self.get_indicator_value("upper", 1) and not self.position.is_long:
            return self.create_signal("BUY")
        if data.close < self.get_indicator_value("lower", 1) and not self.position.is_short:
            return self.create_signal("SELL")
        return None


class DonchianBars(BaseStrategy):
    """The same from `self.bars` and numpy."""

    def on_data(self, data: Bar) -> Signal | None:
        """As `Donchian` does."""
        past = self.bars(31)
        if len(past.close) < 31:
            return None
        if data.close > past.high[:-1].max() and not self.position.is_long:
            return self.create_signal("BUY")
        if data.close < past.low[:-1].min() and not self.position.is_short:
            return self.create_signal("SELL")
        return None


def measure_backtest(progress: Callable[[str], None]) -> list[Figure]:
    """Measure the event backtest; return its figures."""
    progress(f"making {BARS:,} bars")
    columns = made(BARS)
    return [
        *_speeds(columns, progress), *_added_speeds(columns, progress), _start(progress), _fill_cost(progress),
        _memory(columns, progress),
    ]  # fmt: skip


def _added_speeds(columns: Columns, progress: Callable[[str], None]) -> list[Figure]:
    """Bars a second that an added bar costs by the lean engine, and by the machines, of runs long and short."""
    found = []
    for name, goal in TIMES.items():
        progress(f"{name}: both engines, a short and a long run each")
        spec = long_short_spec(columns, name)
        lean, machines = added_speed(spec, LONG_SHORT), added_speed(replace(spec, lean=False), LONG_SHORT, 10)
        found.append(
            Figure(
                name=name, value=round(lean), unit="bars/s", goal=f"≥ {goal:g}× the machines",
                met=lean >= goal * machines, n=LONG_SHORT[1], limit=round(machines), ratio=round(lean / machines, 2),
            )
        )  # fmt: skip
    return found


def added_speed(spec: Spec, sizes: tuple[int, int], part: int = 1) -> float:
    """Bars a second of processor time that an added bar costs: of a long run less a short one, a `part` of each."""
    seconds = []
    for size in sizes:
        began = time.process_time()
        result = run(replace(spec, data=(begin_of(spec.data[0], size // part),)))
        seconds.append(time.process_time() - began)
        if spec.lean and result.engine != LEAN:
            raise RuntimeError(f"expected a lean run, found one of the machines: {result.note}")
    return (sizes[1] - sizes[0]) / part / (seconds[1] - seconds[0])


def begin_of(columns: Columns, count: int) -> Columns:
    """The first bars of columns."""
    return Columns(columns.instrument, columns.timeframe, columns.start_ns[:count], columns.table[:, :count])


def long_short_spec(columns: Columns, figure: str) -> Spec:
    """Long and short, intraday, with a stop of 0.2 % at the broker; with rupee rules of the run, or `self.bars`."""
    spec = spec_of(columns)
    strategy = DonchianBars if figure == "backtest_bars_view" else Donchian
    rules = StrategyRules()
    if figure == "backtest_run_rules":
        trail = TrailRule(kind=TrailKind.AMOUNT, value=2.0, activation=2.0)
        rules = StrategyRules(max_loss=3.0, max_profit=6.0, trailing=trail)
    strategy_run = msgspec.structs.replace(
        spec.run, name=strategy.__name__, short=TradeRule(kind=TradeKind.SAME, side=Side.SELL),
        direction=Direction.BOTH, product=Product.MIS, stop=StopPlan.BROKER, stop_loss_pct=0.002, rules=rules,
    )  # fmt: skip
    limits = msgspec.structs.replace(spec.limits, trailing_stop_enabled=True)
    return replace(spec, run=strategy_run, strategy=strategy, limits=limits)


def _start(progress: Callable[[str], None]) -> Figure:
    """Processor seconds of `mytrading backtest` on a few bars: imports, settings, the run and its report."""
    progress("backtest_start: the command on a few bars")
    columns = made(START_BARS)
    with tempfile.TemporaryDirectory(prefix="mtb") as folder:
        file = Path(folder) / "bars.csv"
        rows = zip(columns.start_ns.tolist(), *(row.tolist() for row in columns.table), strict=True)
        lines = (",".join(map(str, row)) for row in rows)
        file.write_text("timestamp,open,high,low,close,volume\n" + "\n".join(lines) + "\n", encoding="utf-8")
        command = [
            sys.executable, "-m", "mytrading.cli.main", "backtest", "SMA_Crossover", "--data", f"{INSTRUMENT}={file}",
            "--timeframe", "1m", "--report", str(Path(folder) / "report"),
        ]  # fmt: skip
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        for _ in range(2):  # the first run compiles what no run has loaded yet
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, capture_output=True, check=True, cwd=_CONFIG.parent, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Figure(
        name="backtest_start", value=round(seconds, 2), unit="s", goal=f"< {START_S:g} s of processor time",
        met=seconds < START_S, n=START_BARS, limit=START_S, ratio=round(seconds / START_S, 3),
    )  # fmt: skip


def _speeds(columns: Columns, progress: Callable[[str], None]) -> list[Figure]:
    """Bars a second of a plain long strategy by the lean engine, and by the machines.

    All in processor time, set-up of the run included; the bare loop runs before and after. The machines are asked about
    the first tenth of the bars.
    """
    found = []
    part = Columns(
        columns.instrument, columns.timeframe, columns.start_ns[: BARS // 10], columns.table[:, : BARS // 10]
    )
    for name, bars, lean in (("backtest_event", columns, True), ("backtest_machines", part, False)):
        progress(f"{name}: the bare loop, the backtest, the bare loop")
        before, began = bare_speed(bars), time.process_time()
        result = run(replace(spec_of(bars), lean=lean))
        speed = result.bars / (time.process_time() - began)
        bare = (before + bare_speed(bars)) / 2
        progress(f"{len(result.ledger.trades):,} round trips, engine {result.engine} {result.note}".rstrip())
        share = SHARES[name]
        found.append(
            Figure(
                name=name, value=round(speed), unit="bars/s", goal=f"≥ {share:g}× a bare event loop",
                met=speed >= share * bare, n=result.bars, limit=round(bare), ratio=round(speed / bare, 3),
            )
        )  # fmt: skip
    return found


def _fill_cost(progress: Callable[[str], None]) -> Figure:
    """Return the cost of a fill through the machines, in processor time: the last thousand over the first."""
    progress(f"{FILLS:,} fills through the machines")
    columns = made(FILLS * 11 // 5)
    spec = spec_of(columns)
    counted = _Counting(spec.fees)
    run(
        replace(
            spec, strategy=Restless, run=msgspec.structs.replace(spec.run, name="Restless"), fees=counted, lean=False
        )
    )
    first, last = _ends(counted.times[: FILLS + 1])
    return Figure(
        name="backtest_fill_cost", value=round(last, 1), unit="µs", goal=f"≤ {FLAT:g}× that of the first thousand",
        met=last <= FLAT * first, n=len(counted.times), limit=round(first, 1), ratio=round(last / first, 3),
    )  # fmt: skip


def _memory(columns: Columns, progress: Callable[[str], None]) -> Figure:
    progress("memory")
    used, megabytes = memory_share(columns), _bytes_of(columns) / 1e6
    return Figure(
        name="backtest_memory", value=round(used * megabytes, 1), unit="MB", goal=f"≤ {MEMORY:g}× the columns",
        met=used <= MEMORY, n=len(columns), limit=round(megabytes, 1), ratio=round(used, 3),
    )  # fmt: skip


class _Counting(FeeSchedule):
    """Notes the processor time at which each fill is charged."""

    def __init__(self, inner: FeeSchedule | None) -> None:
        assert inner is not None
        super().__init__(inner.file)
        self.times: list[float] = []

    def fill_charges(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
        """As it is, noted."""
        self.times.append(time.process_time())
        return super().fill_charges(*args, **kwargs)  # type: ignore[arg-type]


def _ends(times: list[float]) -> tuple[float, float]:
    """Microseconds a fill, bars between them included, over the first thousand fills and over the last.

    The very first hundred are left out: code and caches are cold, which is no matter of how many fills there were.
    """
    first, last = times[100 : THOUSAND + 101], times[-THOUSAND - 1 :]
    return (first[-1] - first[0]) / THOUSAND * 1e6, (last[-1] - last[0]) / THOUSAND * 1e6


def bare_speed(columns: Columns) -> float:
    """Bars a second of processor time of the bare loop."""
    loop, name, span = BareLoop(), columns.instrument, columns.span_ns
    started = time.process_time()
    for start, opens, high, low, close, volume in _rows(columns):
        loop.on_bar(Bar(name, "1m", start, start + span, opens, high, low, close, int(volume)))
    return len(columns) / (time.process_time() - started)


def _rows(columns: Columns) -> Iterator[tuple[int, float, float, float, float, float]]:
    """The bars as Python numbers, a chunk at a time, so that memory stays flat."""
    for begin in range(0, len(columns), CHUNK):
        part = slice(begin, begin + CHUNK)
        yield from zip(columns.start_ns[part].tolist(), *(row[part].tolist() for row in columns.table), strict=True)


def _bytes_of(columns: Columns) -> int:
    return columns.start_ns.nbytes + columns.table.nbytes


def made(count: int, seed: int = 1, name: str = "", first: date = date(2012, 1, 2), times: float = 1.0) -> Columns:
    """So many one-minute bars of a random walk from ₹1,000 `times` so many on, in trading hours from a day on."""
    random = np.random.default_rng(seed)
    calendar = _calendar()
    parts: list[np.ndarray[tuple[int], np.dtype[np.int64]]] = []
    day, size = first, 0
    while size < count:
        session = calendar.session("NSE", day)
        if session is not None:
            parts.append(np.arange(session.open_ns, session.close_ns, MINUTE))
            size += len(parts[-1])
        day += timedelta(days=1)
    close = np.round(1000.0 * times * np.exp(np.cumsum(random.normal(0.0, 0.0004, count))) / 0.05) * 0.05
    table = np.empty((5, count))
    table[0] = np.concatenate((close[:1], close[:-1]))
    table[1] = np.maximum(table[0], close) + 0.1 * times
    table[2] = np.minimum(table[0], close) - 0.1 * times
    table[3], table[4] = close, 1000.0
    return build_columns(name or INSTRUMENT, np.concatenate(parts)[:count], table, "made")


def _calendar() -> Calendar:
    return Calendar.from_dict(_toml("calendar.toml"))


def _toml(name: str) -> dict[str, object]:
    return tomllib.loads((_CONFIG / name).read_text(encoding="utf-8"))


def spec_of(columns: Columns) -> Spec:
    """The run that is measured: delivery, real rules, costs on, no stop, as the peers have it."""
    strategy_run = StrategyRun(
        name="Crossing",
        file="",
        symbols=(columns.instrument,),
        long=TradeRule(kind=TradeKind.SAME, side=Side.BUY),
        short=None,
        product=Product.CNC,
        stop=StopPlan.NONE,
    )
    limits = RiskLimits(
        max_position_size=1.0, max_order_size=1.0, min_order_size=0.0, max_positions_per_symbol=10,
        max_total_positions=10, max_daily_loss=1.0, max_drawdown=1.0, default_stop_loss=0.02,
        default_stop_loss_options=0.3, trailing_stop_enabled=False, trailing_stop_distance=0.01,
        avoid_first_minutes=0, avoid_last_minutes=0, stale_quote_seconds=60.0, signal_validity_seconds=60.0,
    )  # fmt: skip
    return Spec(
        run=strategy_run,
        strategy=Crossing,
        data=(columns,),
        calendar=_calendar(),
        facts=ContractFacts.from_dict(_toml("instruments.toml")),
        limits=without_rupee_limits(limits),
        fees=FeeSchedule.from_dict(_toml("fees.toml")),
    )


def memory_share(columns: Columns) -> float:
    """Peak memory of a process that runs the backtest, above its imports, in times the columns."""
    with tempfile.TemporaryDirectory(prefix="mtb") as folder:
        np.save(Path(folder) / "start.npy", columns.start_ns)
        np.save(Path(folder) / "table.npy", columns.table)
        command = [sys.executable, "-m", "lab.bench.backtest", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: float = json.loads(done.stdout)
    return found


def _measured(folder: Path) -> float:
    run(spec_of(made(2000)))
    before = _peak_bytes()
    columns = Columns(INSTRUMENT, "1m", np.load(folder / "start.npy"), np.load(folder / "table.npy"))
    run(spec_of(columns))
    return (_peak_bytes() - before) / _bytes_of(columns)


def _peak_bytes() -> int:
    """The most memory this process ever held; the figure of `getrusage` would be the parent's as well."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    print(json.dumps(_measured(Path(sys.argv[1]))))
