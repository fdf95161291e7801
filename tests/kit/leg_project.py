"""A project folder with a strategy of legs."""

from __future__ import annotations

from pathlib import Path

from mytrading.config.loading import load_settings
from mytrading.config.run_config import build_run_config
from mytrading.messages.run_config import StrategyRun
from mytrading.runtime.streams.endpoints import runtime_dir
from tests.kit.project import copy_project

FILE = """name = "Condor"
underlying = "NIFTY"
product = "MIS"
entry_time = "09:20"
exit_time = 15:10:00
days = "non-expiry"
when = "close above SMA(20) and RSI(14) < 70"

[[legs]]
action = "buy"
strike = "otm 5"
right = "ce"
lots = 2

[[legs]]
action = "SELL"
strike = "DELTA 0.3"
right = "CE"
expiry = "next monthly"
lots = 2
stop = "30%"
target = "20 points"

[[legs]]
kind = "future"
action = "SELL"
instrument = "BANKNIFTY"

[[legs]]
kind = "equity"
action = "BUY"
instrument = "NSE:SBIN"
quantity = 500
"""


def leg_runs(home: Path, state: Path) -> tuple[StrategyRun, ...]:
    """The strategy of such a folder as a stack runs it that is started now."""
    settings = load_settings(home, "paper", {"ENABLED_STRATEGIES": "Condor"}, {})
    return build_run_config(settings, home, state, runtime_dir(state)).strategies


def leg_project(folder: Path, text: str = FILE) -> Path:
    copy_project(folder)
    (folder / "config" / "strategies" / "condor.toml").write_text(text, encoding="utf-8")
    return folder
