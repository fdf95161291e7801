"""Makes `bars-*.csv.gz`: some days of one-minute bars with a temper each. `python -m tests.data.make_bars`.

The files are what the pinned trades of `tests/backtest/engine/test_pinned_trades.py` stand on: never make them anew
without looking at every hash.
"""

from __future__ import annotations

import gzip
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
MINUTES = 375
TEMPERS = {
    "trend": (0.00006, 0.0004, 0.0),
    "range": (0.0, 0.0005, 0.02),
    "wild": (0.0, 0.0016, 0.0),
    "gaps": (0.00002, 0.0005, 0.0),
}
"""Drift and noise of a minute, and how strongly the price is drawn back to where it began."""


def make(name: str, seed: int, days: int = 6) -> None:
    """Write one file: `days` trading days from 2024-03-11 on, some minutes of `gaps` missing."""
    drift, noise, pull = TEMPERS[name]
    random = np.random.default_rng(seed)
    lines, price, day = ["timestamp,open,high,low,close,volume"], 1000.0, date(2024, 3, 11)
    while days:
        if day.weekday() < 5:
            days -= 1
            price *= 1.0 + (random.normal(0, 0.012) if name == "gaps" else 0.0)
            for minute in range(MINUTES):
                opens = price
                price += price * (drift + random.normal(0, noise)) - pull * (price - 1000.0)
                high = max(opens, price) + abs(random.normal(0, 0.2))
                low = min(opens, price) - abs(random.normal(0, 0.2))
                cells = [f"{round(value / 0.05) * 0.05:.2f}" for value in (opens, high, low, price)]
                if name == "gaps" and random.random() < 0.02:
                    continue
                at = datetime.combine(day, time(9, 15)) + timedelta(minutes=minute)
                lines.append(f"{at:%Y-%m-%d %H:%M:%S},{','.join(cells)},{int(random.integers(50, 5000))}")
        day += timedelta(days=1)
    with gzip.GzipFile(HERE / f"bars-{name}.csv.gz", "wb", mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    for number, temper in enumerate(TEMPERS):
        make(temper, 11 + number)
