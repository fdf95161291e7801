"""Backtests on bars of whole days: what a close leads to is filled at the next open, over weekends too."""

from __future__ import annotations

import dataclasses
import math
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from mytrading.backtest.data.columns import DataError
from mytrading.backtest.results.output import iso_ist
from mytrading.backtest.run import run
from mytrading.backtest.setup.prepare import RunRequest, prepare
from mytrading.cli.legs.command import TEMPLATES, template_toml
from tests.kit.project import ROOT, copy_project

EXPIRY = date(2024, 2, 1)
STRANGLE = '''
from mytrading.strategies import Bar, BaseStrategy, Signal, option


class DayStrangle(BaseStrategy):
    """Sells a covered strangle after a day, and is flat after the next."""

    name = "Day_Strangle"

    def on_data(self, data: Bar) -> Signal | None:
        if not self.position.is_flat:
            return self.create_signal("EXIT") if {exits} else None
        rights = ("CE", "PE")
        wings = [option(f"OTM 6 {{right}}", lots=1) for right in rights]
        return self.create_signal("SELL", legs=[*wings, *(option(f"OTM 2 {{right}}", lots=-1) for right in rights)])
'''
SETTINGS = """
name = "Day_Strangle"
symbols = ["NIFTY"]
timeframes = ["1d"]
trade = "none"
direction = "short"
product = "NRML"
lots = 1
stop = "none"
"""


def days(first: date, count: int) -> list[date]:
    """Weekdays from a day on."""
    found = (first + timedelta(days=number) for number in range(2 * count))
    return [day for day in found if day.weekday() < 5][:count]


def write(path: Path, rows: list[str], head: str = "timestamp,open,high,low,close") -> str:
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return str(path)


def share(folder: Path, at: str) -> str:
    closes = [round(600 + 60 * math.sin(number / 8), 2) for number in range(200)]
    rows = [
        f"{day} {at}:00+05:30,{close - 1:.2f},{close + 3:.2f},{close - 4:.2f},{close}"
        for day, close in zip(days(date(2024, 1, 1), 200), closes, strict=True)
    ]
    return write(folder / f"share-{at[:2]}.csv", rows)


@pytest.mark.parametrize("at", ["00:00", "09:15"])
def test_daily_bars_trade_alike_however_they_are_stamped_and_walked(tmp_path: Path, at: str) -> None:
    given = {"timeframe": "1d", "product": "CNC", "parameters": {"fast_period": "3", "slow_period": "8"}}
    prepared = prepare(ROOT, RunRequest("SMA_Crossover", (f"NSE:SBIN={share(tmp_path, at)}",), **given))
    assert any("each day counts as a session" in note for note in prepared.notes)
    results = [run(dataclasses.replace(prepared.spec, **way)) for way in ({}, {"lean": False}, {"plain": True})]
    assert [dict(result.ledger.counts) for result in results] == [{}] * 3
    assert {(len(result.ledger.trades), result.ledger.trade_hash()) for result in results} == {(3, "1014e8c6639aa088")}
    assert {iso_ist(fill.at_ns)[11:19] for fill in results[1].ledger.fills} == {"00:00:00"}


def home_of(folder: Path, *, exits: bool) -> Path:
    copy_project(folder)
    (folder / "strategies" / "day_strangle.py").write_text(STRANGLE.format(exits=exits), encoding="utf-8")
    (folder / "config" / "strategies" / "day_strangle.toml").write_text(SETTINGS, encoding="utf-8")
    return folder


def opening(strike: int, right: str, day: date) -> float:
    """Opening price of a contract on a day: no two alike."""
    return 60.0 + day.day + (strike - 21_000) / 100 + (5 if right == "CE" else 0)


def chain(folder: Path, when: list[date]) -> tuple[str, str]:
    """Days of the underlying, and of the options that expire with the last of them."""
    index = write(folder / "index.csv", [f"{day} 00:00:00+05:30,21650,21750,21550,21700" for day in when])
    rows = []
    for day in when:
        for strike in range(20_500, 23_000, 50):
            for right in ("CE", "PE"):
                price = opening(strike, right, day)
                name = f"NIFTY{EXPIRY:%d%b%y}{strike}{right}".upper()
                sides = f"{price + 0.7:.2f},{price + 0.9:.2f}"
                rows.append(f"{day} 00:00:00+05:30,{name},{price},{price + 2},{price - 2},{price + 0.8:.2f},{sides}")
    return index, write(folder / "options.csv", rows, "timestamp,symbol,open,high,low,close,bid,ask")


def fills_of(folder: Path, *, exits: bool, **given: Any) -> list[tuple[str, str, int, float]]:
    index, options = chain(folder, [*days(date(2024, 1, 25), 5), EXPIRY])
    home = home_of(folder / "home", exits=exits)
    result = run(prepare(home, RunRequest("Day_Strangle", (f"NIFTY={index}",), options=(options,), **given)).spec)
    assert result.fault is None
    return [(iso_ist(fill.at_ns)[:10], fill.instrument, fill.units, fill.price) for fill in result.ledger.fills]


def test_legs_of_a_daily_chain_fill_at_the_next_recorded_open(tmp_path: Path) -> None:
    fills = fills_of(tmp_path, exits=True)
    first = [fill for fill in fills if fill[0] == "2024-01-29"]
    assert len(first) >= 4, "what Friday's close led to is filled on Monday"
    assert len({name for day, name, _, _ in fills if day == "2024-01-25"}) == 0
    for day, name, units, price in fills:
        if day == "2024-02-02":
            continue
        opened = opening(int(name[-7:-2]), name[-2:], date.fromisoformat(day))
        assert 0 <= (price - opened) * math.copysign(1, units) < 1, (day, name, units, price)


def test_daily_legs_held_to_expiry_are_not_settled_a_day_before(tmp_path: Path) -> None:
    fills = fills_of(tmp_path, exits=False)
    assert len(fills) == 8
    assert {day for day, *_ in fills[4:]} == {"2024-02-02"}
    for _, name, _, price in fills[4:]:
        strike, call = int(name[-7:-2]), name.endswith("CE")
        assert price == max(21_700 - strike if call else strike - 21_700, 0)


def test_fills_at_a_daily_close_meet_the_recorded_quote(tmp_path: Path) -> None:
    for day, name, units, price in fills_of(tmp_path, exits=True, at_close=True)[:8]:
        closed = opening(int(name[-7:-2]), name[-2:], date.fromisoformat(day) - timedelta(days=1))
        assert price == pytest.approx(closed + (0.9 if units > 0 else 0.7))


def test_legs_by_the_clock_are_refused_on_whole_days(tmp_path: Path) -> None:
    home = home_of(tmp_path / "home", exits=True)
    text = template_toml("Condor", TEMPLATES["iron-condor"], "NIFTY")
    (home / "config" / "strategies" / "condor.toml").write_text(text, encoding="utf-8")
    index, _ = chain(tmp_path, days(date(2024, 1, 25), 5))
    with pytest.raises(DataError, match="comes in bars of whole days, which have no times; give bars of minutes"):
        prepare(home, RunRequest("Condor", (f"NIFTY={index}",), timeframe="1d"))
