"""Options of the simulator."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mytrading.messages.run_config import STARTING_CASH

Value = bool | int | float | str
CAPITAL_VARIABLE = "PAPER_TRADING_INITIAL_CAPITAL"


@dataclass(frozen=True)
class FaultSetting:
    """A fault to switch on: `count` actions (0: off, -1: for good), each come true with `probability`."""

    name: str
    count: int
    parameters: Mapping[str, Value]
    probability: float = 1.0
    seed: int = 1


class BadOption(ValueError):
    """An option that cannot be used; the message says which, what was expected and what to do."""


def capital_from_environment() -> float:
    """Return the starting cash in rupees: `PAPER_TRADING_INITIAL_CAPITAL`, else the default; raises `BadOption`."""
    text = os.environ.get(CAPITAL_VARIABLE, "").strip()
    try:
        value = float(text or STARTING_CASH)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e15:
        raise BadOption(
            f"{CAPITAL_VARIABLE}: expected rupees above 0, found {text!r}; set a number such as {STARTING_CASH:.0f}"
        )
    return value


@dataclass(frozen=True, kw_only=True)
class SimulatorOptions:
    """Ports 0 take free ones; `start` is `YYYY-MM-DD HH:MM` Indian time; without `state_dir` nothing is kept.

    With `follow`, the endpoint of a stack's `market` stream, its quotes are the market, its `clock` the time, and its
    master contract, in the state folder `master`, the listing. `record` keeps the event log in the books file.
    `every_day` has neither weekends nor holidays. Pages of the origin `cors` may read answers (`*`: of any). The key
    is printed on stdout if `prints_key`; that of a stack would get into its logs. Generated shares fill the market up
    to `instruments`, with a tick every `tick_seconds` of the market. Speed 0 is lock-step with the daemons whose
    `status` streams are `daemons`; a market at another speed begins when they are ready.
    """

    api_key: str
    rest_port: int = 0
    ws_port: int = 0
    host: str = "127.0.0.1"
    seed: int = 1
    speed: float = 1.0
    tick_seconds: int = 1
    daemons: Mapping[str, str] = field(default_factory=dict)
    start: str = ""
    replay: Path | None = None
    underlying: str = "NIFTY"
    follow: str = ""
    master: Path | None = None
    instruments: int = 0
    state_dir: Path | None = None
    clock: Path | None = None
    config_dir: Path = Path("config")
    ready_file: Path | None = None
    json: bool = False
    prints_key: bool = True
    every_day: bool = False
    cors: str = ""
    faults: tuple[FaultSetting, ...] = ()
    faults_file: Path | None = None
    personality: str = "paper"
    broker: str = ""
    record: bool = False
    capital: float = field(default_factory=capital_from_environment)
