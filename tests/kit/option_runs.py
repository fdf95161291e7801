"""Backtests of options on the index of the shipped sample: requests, files of legs, contracts, and one shared run."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from mytrading.backtest.data.columns import Columns
from mytrading.backtest.data.load import load_bars
from mytrading.backtest.options.market import OptionMarket, OptionTerms
from mytrading.backtest.run import RunResult, run
from mytrading.backtest.setup.prepare import RunRequest, prepare
from mytrading.messages.instruments import Instrument, InstrumentKind
from tests.kit.backtest_specs import calendar, facts
from tests.kit.project import ROOT

NIFTY = "NSE_INDEX:NIFTY"
FILE = str(ROOT / "tests" / "data" / "index-1m.csv.gz")
HEAD = """
name = "{name}"
underlying = "NIFTY"
product = "{product}"
entry_time = "09:30"
exit_time = "{exit}"
stop = "{stop}"
"""
LEG = """
[[legs]]
action = "{0}"
strike = "{1}"
right = "{2}"
lots = 1
"""


def write_legs(
    folder: Path,
    name: str,
    legs: tuple[tuple[str, str, str], ...],
    exit_at: str,
    product: str = "MIS",
    stop: str = "broker",
) -> None:
    """Write a strategy's file of legs (action, strike, right) into a project."""
    text = HEAD.format(name=name, exit=exit_at, product=product, stop=stop)
    text += "".join(LEG.format(*leg) for leg in legs)
    (folder / "config" / "strategies" / f"{name.lower()}.toml").write_text(text, encoding="utf-8")


def asked(name: str, **given: Any) -> RunRequest:
    """A request for a backtest of a strategy on the sample."""
    return RunRequest(name, (f"NIFTY={FILE}",), **given)


@cache
def bars() -> Columns:
    """The bars of the sample."""
    return load_bars(Path(FILE), NIFTY)


@cache
def straddle() -> RunResult:
    """The run of the shipped straddle on the sample, made once."""
    return run(prepare(ROOT, asked("Options_Straddle")).spec)


def option(strike: float, right: InstrumentKind) -> Instrument:
    """A contract of the weekly expiry of 8 February 2024."""
    listed = OptionMarket(OptionTerms(), (bars(),), calendar(), facts()).contracts_on(date(2024, 1, 29))
    return next(item for item in listed if item.strike == strike and item.kind is right and item.expiry == "2024-02-08")
