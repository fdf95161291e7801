"""From the options of `up` to a stack that can start: settings, state folder, market clock.

A stack on the simulator reads no `.env`, and each kind of run keeps its own state.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from mytrading.cli.shell.failures import ERROR, USAGE, fail
from mytrading.cli.shell.output import print_notes
from mytrading.cli.shell.target import load_calendar
from mytrading.config.loading import load_settings
from mytrading.config.settings import TradingSettings
from mytrading.core.time import IST, SECOND, format_ist, to_ns
from mytrading.messages.enums import Mode
from mytrading.messages.run_config import RUN_FILE, RunConfig
from mytrading.orchestrator import READY_S, STRETCH, TradingOrchestrator
from mytrading.runtime.host.clock import (
    ClockFile,
    ClockSegment,
    MarketClock,
    machine_now,
    read_clock_file,
    write_clock_file,
)
from mytrading.runtime.host.paths import project_home, state_dir

HOLD_NS = round(STRETCH * READY_S * SECOND)
"""A simulated market stands for as long as `up` waits at most: it begins when all processes are ready, so that none of
it is unseen."""
_BEFORE_REPLAY_NS = 60 * SECOND
LEFT = "left.msgpack"
"""The run file of a replay that was moved aside: by it the folder is known to be ours, and no stack is found there."""
_OWN_STATE = {Mode.DRY_RUN: "dry-run", Mode.LIVE: "live"}
"""Modes whose state is a folder apart: what paper money held must never be protected, or closed, with real money."""
_ON_LIVE_QUOTES = "simulator"
"""Paper money at the stack's own simulator is apart from that at a server's sandbox, which knows nothing of it."""
_ON_SIMULATED_CLOCK = "simulated"
"""What a stack held in another simulator's market is no position of any account."""
_SEEN_LATELY_NS = 30 * SECOND
"""A simulator writes into its clock file each second that its market runs."""


@dataclass(frozen=True)
class StartOptions:
    """The options of `up` that decide what is started."""

    simulator: bool = False
    replay: Path | None = None
    speed: float | None = None
    fresh: bool = False
    dry_run: bool = False
    log_level: str = ""
    profile: str = ""
    console: bool = True


def prepare_stack(wanted: StartOptions) -> TradingOrchestrator:
    """Load settings and return the stack that `up` starts; ends the command if options or settings are wrong."""
    _check(wanted)
    home = project_home()
    profile = wanted.profile or ("replay" if wanted.replay else "paper" if wanted.simulator else "default")
    settings = load_settings(home, profile, overrides=_overrides(wanted))
    print_notes((*settings.warnings, *settings.strategy_faults))
    settings = with_state_profile(settings)
    if settings.simulator.clock:
        settings = with_speed_of_clock(settings, home)
    if wanted.fresh and not settings.trades_at_simulator:
        fail(USAGE, "--fresh: only a simulated stack forgets its state; at a broker it would forget what is held there")
    if settings.simulator.embedded and not settings.simulator.speed and settings.system.mode is Mode.DRY_RUN:
        fail(USAGE, "--speed 0 waits for what becomes of each order, and a dry run sends none: use one of the two")
    stack = TradingOrchestrator(settings)
    stack.check_file_owners()
    if wanted.replay is not None:
        first_market_ns(stack.config)  # a file that cannot be replayed must not cost what the last replay left
    return stack


def with_state_profile(settings: TradingSettings) -> TradingSettings:
    """Return the settings with `-live`, `-dry-run` or `-simulator` added to the profile where state is separate, and
    `-simulated` where market time is another simulator's."""
    own = _ON_LIVE_QUOTES if settings.uses_live_quotes else _OWN_STATE.get(settings.system.mode)
    words = (own, _ON_SIMULATED_CLOCK if settings.simulator.clock else None)
    added = "".join(f"-{word}" for word in words if word)
    if not added or settings.profile.endswith(added):
        return settings
    return replace(settings, profile=f"{settings.profile}{added}")


def with_speed_of_clock(settings: TradingSettings, home: Path) -> TradingSettings:
    """Return the settings with the speed of the market whose clock SIMULATOR_CLOCK names; ends the command unless that
    market runs now."""
    path = home / Path(settings.simulator.clock).expanduser()
    what = f"SIMULATOR_CLOCK ({settings.origin('simulator.clock')}): expected the --clock file of a running simulator"
    cure = f"start it (`mytrading simulator --clock {path}`), or remove SIMULATOR_CLOCK"
    try:
        clock, content = MarketClock.load(path), read_clock_file(path)
    except (OSError, ValueError) as error:
        fail(USAGE, f"{what}, found: {error}; {cure}")
    if not clock.speed:
        fail(USAGE, f"{what}, found one in lock-step, which waits for the stack of its own alone; {cure}")
    if (silent := machine_now() - content.last_seen_machine_ns) > _SEEN_LATELY_NS:
        fail(USAGE, f"{what}, found {path}, whose market last ran {silent // SECOND} s ago; {cure}")
    return replace(settings, simulator=replace(settings.simulator, speed=clock.speed))


def _check(wanted: StartOptions) -> None:
    if wanted.replay is not None and not wanted.replay.is_file():
        fail(USAGE, f"--replay: expected a file of ticks or bars, found no file {wanted.replay}; check the path")
    if wanted.speed is not None and wanted.speed < 0:
        fail(USAGE, f"--speed: expected market seconds a second, or 0 for lock-step, found {wanted.speed:g}")
    if wanted.profile in ("paper", "replay") and not (wanted.simulator or wanted.replay):
        fail(USAGE, f"--profile {wanted.profile} is for --simulator and --replay")
    if (wanted.simulator or wanted.replay) and wanted.profile not in ("", "paper", "replay"):
        cure = "leave it out for the simulator, or set MYTRADING_STATE_DIR to simulate with a state of its own"
        fail(USAGE, f"--profile {wanted.profile} trades at the server of its settings; {cure}")
    if wanted.log_level and wanted.log_level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        fail(USAGE, f"--log-level: expected DEBUG, INFO, WARNING, ERROR or CRITICAL, found {wanted.log_level!r}")


def _overrides(wanted: StartOptions) -> dict[str, Any]:
    given = {
        "simulator.replay": wanted.replay and str(wanted.replay.resolve()),
        "simulator.speed": wanted.speed,
        "system.mode": Mode.DRY_RUN.value if wanted.dry_run else None,
        "logging.level": wanted.log_level.upper() or None,
        "console.enabled": None if wanted.console else False,
    }
    return {name: value for name, value in given.items() if value is not None}


def start_stack(stack: TradingOrchestrator, fresh: bool) -> str:
    """Start the processes, clearing the state first if `fresh` or a replay; returns how the market begins, as text."""
    replay = bool(stack.config.simulator.replay)
    if replay:
        move_previous_replay_aside(stack)
    if fresh or replay:
        stack.clear_state()
    begun: list[str] = []
    stack.start(lambda config: begun.append(write_market_clock(config)))
    return begun[0]


def move_previous_replay_aside(stack: TradingOrchestrator) -> None:
    """Rename the last replay's state folder to `…-previous`, since a replay starts from an empty state."""
    state = stack.config.state
    if stack.is_running() or not (state / RUN_FILE).is_file() or state != state_dir(stack.config.profile):
        return
    previous = state.with_name(f"{state.name}-previous")
    if previous.exists() and not (previous / LEFT).is_file():
        fail(ERROR, f"{previous}: expected what an earlier replay left, found another folder; move it aside")
    shutil.rmtree(previous, ignore_errors=True)
    state.rename(previous)
    (previous / RUN_FILE).rename(previous / LEFT)


def write_market_clock(config: RunConfig) -> str:
    """Write a simulated market's clock file, or delete it at a real server; returns how time begins, as text.

    The clock of a simulator that another command started is its own: nothing is written to it.
    """
    if config.simulator.clock:
        clock = MarketClock.load(config.clock_path)
        return f"is a simulator's, {format_ist(clock.now(), '%a %d %b %Y %H:%M:%S')} IST, speed {clock.speed:g}"
    if not config.simulator.embedded:
        config.clock_path.unlink(missing_ok=True)
        return "is the real one"
    clock = MarketClock.load(config.clock_path)
    resume = clock.resume_point()
    start = first_market_ns(config) if resume is None else resume
    hold = HOLD_NS if config.simulator.speed else 0
    segment = ClockSegment(machine_now() + hold, start, config.simulator.speed)
    content = ClockFile(segments=(*clock.segments, segment), last_seen_machine_ns=segment.machine_ns)
    write_clock_file(config.clock_path, content)
    shown = format_ist(start, "%a %d %b %Y %H:%M:%S")
    pace = f"speed {config.simulator.speed:g}, when all is ready" if config.simulator.speed else "in lock-step"
    return f"{'begins at' if resume is None else 'continues at'} {shown} IST, {pace}"


def first_market_ns(config: RunConfig) -> int:
    """Return market ns at which a new simulated market begins: the next open, or a minute before a replay's."""
    calendar = load_calendar(config.home)
    if not config.simulator.replay:
        return calendar.next_open("NFO", to_ns(datetime.now(IST).date(), datetime.min.time()))
    from mytrading.simulator.market.replay import BadTickFile, read_ticks

    try:
        ticks = read_ticks(Path(config.simulator.replay))[0]
    except BadTickFile as error:
        fail(USAGE, str(error))
    session = calendar.session("NSE", ticks.day)
    if session is None:
        fail(USAGE, f"--replay: expected ticks of a trading day, found {ticks.day}; see config/calendar.toml")
    return max(session.open_ns - _BEFORE_REPLAY_NS, int(ticks.times[0]))
