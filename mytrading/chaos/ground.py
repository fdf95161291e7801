"""The ground that is broken: a home and a state of its own, strategies that trade much, a stack on its own simulator.

Used by `campaign`. Nothing here is shared with any other stack: folders, sockets, ports and keys are the run's. The one
rule: windows, polls and the simulator's longest delay are made small together, never one without the others.
"""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from mytrading.chaos.mischief import Trouble
from mytrading.core.calendar import Calendar
from mytrading.messages.enums import Mode
from mytrading.messages.runconfig import RunConfig, ServerMode, Windows
from mytrading.orchestrator import TradingOrchestrator
from mytrading.runtime.clock import SECOND, ClockFile, Segment, machine_now, write_clock_file
from mytrading.runtime.endpoints import runtime_dir
from mytrading.runtime.places import project_home

PERSONALITIES = ("paper", "sandbox", "live")
SHORT_WINDOWS = Windows(
    lost_after=16.0,
    ghost_gap=4.0,
    call_patience=20.0,
    entry_reads=2.0,
    mismatch_gap=2.0,
    exit_patience=3.0,
    slow=6.0,
    book_call=6.0,
    orders_every=4.0,
    positions_every=8.0,
    funds_every=10.0,
    retry_most=4.0,
    stale=15.0,
)
_SHORT_CALL_S = 6.0
_REAL = Trouble(longest_delay=35.0, longest_hang=8.0)
_CAPITAL = 100_000_000.0
_HOLD_NS = 2 * SECOND
_AFTER_OPEN_NS = 30 * 60 * SECOND

_STRATEGY = '''"""Trades much: in and out of every instrument in turn. By market time: a restart changes nothing."""

from typing import Any

from mytrading.strategies import Bar, BaseStrategy, Signal


class {name}(BaseStrategy):
    """Holds each instrument for part of every round; each begins its rounds at a moment of its own."""

    subscribe_quotes = True
    round_seconds: int = {round_seconds}
    both: bool = {both}
    stride: int = {stride}

    def on_data(self, data: Any) -> Signal | None:
        if isinstance(data, Bar):
            return None
        second = self.now_ns // 1_000_000_000 + sum(self.instrument.encode()) * self.stride
        number, phase = divmod(second, self.round_seconds)
        if phase > self.round_seconds * 0.55:
            return None if self.position.is_flat else self.create_signal("EXIT")
        if self.both and number % 2:
            return None if self.position.is_short else self.create_signal("SELL")
        return None if self.position.is_long else self.create_signal("BUY")
'''
_CONFIG = """
name = "{name}"
symbols = [{symbols}]
timeframes = ["1m"]
lots = {lots}
direction = "{direction}"
stop = "{stop}"

[trade]
long = "same"
short = "same"
"""
_SETTINGS = """
[risk]
max_order_size = 1_000_000
max_position_size = 10_000_000
min_order_size = 1
max_daily_loss = 10_000_000
max_drawdown_action = "alert"
max_cancels_per_day = 1_000_000
max_active_orders = 10_000
min_data_coverage = 0.0
max_positions_per_symbol = 5
max_total_positions = {most}
avoid_first_minutes = 0
avoid_last_minutes = 0

[rates]
entries_per_minute = 100_000
"""
_SHARE = """
[underlyings.{name}]
name = "{name}"
exchange = "NSE"
reference_price = {price}
volatility = 0.4
tick = 0.05
"""


class Wanted(NamedTuple):
    """What a run is to be like. `stop` is the plan of all strategies: broker, engine or none.

    With every third seed all instruments are traded at two moments of a round, else spread over it.
    """

    folder: Path
    seed: int
    personality: str = "paper"
    real_windows: bool = False
    stop: str = "broker"
    instruments: int = 24
    round_seconds: int = 16


class Ground(NamedTuple):
    """A stack that can be started, and what may be done to it."""

    stack: TradingOrchestrator
    trouble: Trouble
    most_positions: int

    @property
    def config(self) -> RunConfig:
        """What the stack is started with."""
        return self.stack.config

    @property
    def books(self) -> Path:
        """The simulator's books and record."""
        return self.config.state / "simulator" / "books.sqlite"

    def start(self) -> None:
        """Begin, and wait until everything is ready."""
        self.stack.start(_set_clock)
        self.stack.wait_ready(90.0)


def prepare(wanted: Wanted) -> Ground:
    """Write the home and work out the run; nothing is started."""
    home = wanted.folder / "home"
    _write_home(home, wanted)
    config = _config(home, wanted)
    trouble = _REAL if wanted.real_windows else Trouble()
    return Ground(TradingOrchestrator(config), trouble._replace(parkable=_symbols(wanted)[0]), wanted.instruments)


def _symbols(wanted: Wanted) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The instruments that are only bought, and those that are bought and sold short."""
    names = tuple(f"NSE:CHAOS{number:02d}" for number in range(1, wanted.instruments + 1))
    long_only = wanted.instruments * 2 // 3
    return names[:long_only], names[long_only:]


def _write_home(home: Path, wanted: Wanted) -> None:
    shutil.copytree(project_home() / "config", home / "config")
    shutil.copy(project_home() / "supervisord.conf", home / "supervisord.conf")
    (home / "strategies").mkdir()
    for path in (home / "config" / "strategies").glob("*.toml"):
        path.unlink()
    with (home / "config" / "instruments.toml").open("a", encoding="utf-8") as file:
        for number in range(1, wanted.instruments + 1):
            file.write(_SHARE.format(name=f"CHAOS{number:02d}", price=100.0 + 35.0 * (number % 20)))
    (home / "config" / "settings.toml").write_text(_SETTINGS.format(most=wanted.instruments), encoding="utf-8")
    long_only, both = _symbols(wanted)
    _write_strategy(home, wanted, "ChaosLong", long_only, lots=60)
    _write_strategy(home, wanted, "ChaosBoth", both, lots=25)


def _write_strategy(home: Path, wanted: Wanted, name: str, symbols: tuple[str, ...], lots: int) -> None:
    both = name == "ChaosBoth"
    stride = wanted.round_seconds // 2 if wanted.seed % 3 == 0 else 5
    code = _STRATEGY.format(name=name, round_seconds=wanted.round_seconds, both=both, stride=stride)
    (home / "strategies" / f"{name.lower()}.py").write_text(code, encoding="utf-8")
    told = _CONFIG.format(
        name=name,
        symbols=", ".join(f'"{symbol}"' for symbol in symbols),
        lots=lots,
        direction="both" if both else "long",
        stop=wanted.stop,
    )
    (home / "config" / "strategies" / f"{name.lower()}.toml").write_text(told, encoding="utf-8")


def _config(home: Path, wanted: Wanted) -> RunConfig:
    from mytrading.config import build_run_config, load_settings

    state = wanted.folder / "state" / "chaos"
    state.mkdir(parents=True)
    settings = load_settings(
        home,
        "paper",
        {"ENABLED_STRATEGIES": "ChaosLong,ChaosBoth", "ENABLED_SYMBOLS": ",".join(sum(_symbols(wanted), ()))},
        {"simulator.speed": 1.0, "simulator.seed": wanted.seed, "simulator.capital": _CAPITAL},
    )
    config = build_run_config(settings, home, state, runtime_dir(state))
    changes: dict[str, Any] = {
        "log_dir": str(wanted.folder / "logs"),
        "simulator": msgspec.structs.replace(
            config.simulator, personality=wanted.personality, broker=_broker(wanted.personality), record=True
        ),
    }
    if not wanted.real_windows:
        changes |= {"windows": SHORT_WINDOWS, "venue": msgspec.structs.replace(config.venue, timeout=_SHORT_CALL_S)}
    config = msgspec.structs.replace(config, **changes)
    return _live(config) if wanted.personality == "live" else config


def _broker(personality: str) -> str:
    return "zerodha" if personality == "live" else ""


def _live(config: RunConfig) -> RunConfig:
    """The same at a server that says it is live; it is this run's own simulator all the same."""
    return msgspec.structs.replace(
        config,
        mode=Mode.LIVE,
        venue=msgspec.structs.replace(config.venue, expected_mode=ServerMode.LIVE),
        trade_execution=True,
        live_confirm=config.venue.account,
    )


def _set_clock(config: RunConfig) -> None:
    """Market time begins half an hour after the next open, and stands still for a moment."""
    with (Path(config.home) / "config" / "calendar.toml").open("rb") as file:
        calendar = Calendar.from_dict(tomllib.load(file))
    begins = calendar.next_open("NSE", machine_now()) + _AFTER_OPEN_NS
    segment = Segment(machine_now() + _HOLD_NS, begins, 1.0)
    write_clock_file(config.clock_path, ClockFile(segments=(segment,), last_seen_machine_ns=segment.machine_ns))
