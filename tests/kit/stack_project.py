"""Project folders for stacks: the shipped configuration, and strategies of a test's own in the place of those shipped.

`LONG` and `ALTERNATING` are strategies that most such tests can do with; `named` gives them the names of a test.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.kit.project import ROOT

DAY = "2026-11-20"
"""The date of ticks that are replayed, a Friday."""
OPENS = (9 * 60 + 15) * 60
"""Seconds of the Indian day at which trading begins."""

HEAD = """
from mytrading.strategies import Bar, BaseStrategy, Signal
"""
LONG = '''

class Long(BaseStrategy):
    """Long from its first bar on."""

    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("BUY", confidence=1.0)
'''
ALTERNATING = '''

class Alternating(BaseStrategy):
    """Long from each even minute to the next odd one."""

    def on_data(self, data: Bar) -> Signal | None:
        return self.create_signal("EXIT" if data.end_ns // 60_000_000_000 % 2 else "BUY", confidence=1.0)
'''
BUSY = """
name = "Alternating"
symbols = ["NIFTY"]
timeframes = ["1m"]
direction = "long"
product = "MIS"
lots = 1
signal_cooldown = 0

[trade]
long = "NIFTY ATM CE nearest"
"""
"""Settings of `Alternating` with an option at the money: an order each minute."""
SHARES = """
name = "{name}"
symbols = ["INFY"]
timeframes = ["1m"]
direction = "long"
product = "CNC"
lots = 20
stop = "none"
signal_cooldown = 0
"""
"""Settings of a strategy `name` that buys 20 shares without a stop."""
WIDE: Mapping[str, object] = {
    "max_order_size": 20_000_000,
    "max_position_size": 20_000_000,
    "max_daily_loss": 1_000_000,
    "avoid_first_minutes": 0,
}
"""Limits under `[risk]` that nothing in a test comes near."""
RICH = {"PAPER_TRADING_INITIAL_CAPITAL": "10000000"}


def named(base: str, *names: str) -> str:
    """Code of strategies that differ from the class `base` by their names alone."""
    return "".join(f'\n\nclass {name}({base}):\n    """The same by another name."""\n' for name in names)


def make_project(
    home: Path,
    code: str,
    settings: Mapping[str, str],
    risk: Mapping[str, object] | None = None,
    **environment: str,
) -> dict[str, str]:
    """Make the folder; returns the environment of a stack on it.

    `code` is the one file of strategies, `settings` the text of the file of each that is enabled, by name, and `risk`
    what `config/settings.toml` says under `[risk]`; the shipped file stays where that is None.
    """
    shutil.copytree(ROOT / "config", home / "config", ignore=shutil.ignore_patterns("strategies", "webhooks"))
    shutil.copy(ROOT / "supervisord.conf", home)
    (home / "strategies").mkdir()
    (home / "strategies" / "own.py").write_text(code, encoding="utf-8")
    (home / "config" / "strategies").mkdir()
    for name, text in settings.items():
        (home / "config" / "strategies" / f"{name.lower()}.toml").write_text(text, encoding="utf-8")
    if risk is not None:
        lines = ["[risk]", *(f"{key} = {json.dumps(value)}" for key, value in risk.items())]
        (home / "config" / "settings.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"MYTRADING_HOME": str(home), "ENABLED_STRATEGIES": ",".join(settings), **environment}


def make_busy_project(home: Path, **environment: str) -> dict[str, str]:
    """Make the folder of one strategy that trades each minute; returns the environment of a stack on it."""
    return make_project(home, HEAD + ALTERNATING, {"Alternating": BUSY}, WIDE, **environment)


def write_ticks(path: Path, days: Mapping[str, Iterable[tuple[int, float]]]) -> Path:
    """A file to replay: of each date, seconds of the Indian day and the price of NIFTY then."""
    rows = ["timestamp,ltp"]
    for day, ticks in days.items():
        rows += [f"{day} {at // 3600:02d}:{at // 60 % 60:02d}:{at % 60:02d},{price:.2f}" for at, price in ticks]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path
