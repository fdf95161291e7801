"""A project folder with a strategy of legs."""

from __future__ import annotations

from pathlib import Path

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


def leg_project(folder: Path, text: str = FILE) -> Path:
    copy_project(folder)
    (folder / "config" / "strategies" / "condor.toml").write_text(text, encoding="utf-8")
    return folder
