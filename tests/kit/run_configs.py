"""Run files for tests of the command line."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path

import msgspec

from mytrading.config.loading import load_settings
from mytrading.config.run_config import build_run_config
from mytrading.core.time import to_ns
from mytrading.messages.run_config import RunConfig
from mytrading.runtime.host.clock import ClockSegment, MarketClock, machine_now
from mytrading.runtime.streams.endpoints import runtime_dir
from tests.kit.project import ROOT


def run_config(folder: Path, replay: str = "") -> RunConfig:
    """Return the configuration of `up --simulator`, its state in `folder`/state, its logs in `folder`/logs."""
    overrides = {"simulator.replay": replay} if replay else {}
    settings = load_settings(ROOT, "replay" if replay else "paper", {}, overrides)
    state = folder / "state"
    state.mkdir(parents=True, exist_ok=True)
    config = build_run_config(settings, ROOT, state, runtime_dir(state))
    return msgspec.structs.replace(config, log_dir=str(folder / "logs"))


def trading_config(folder: Path) -> RunConfig:
    """The same, its market clock begun on a Monday at 11:00 in the session, whatever the wall clock says."""
    config = run_config(folder)
    begin = ClockSegment(machine_now(), to_ns(date(2026, 11, 23), time(11, 0)), 1.0)
    MarketClock((begin,), config.clock_path).mark_seen()
    return config
