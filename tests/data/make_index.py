"""Makes `index-1m.csv.gz`: some days of one-minute bars of an index near 21,700. `python -m tests.data.make_index`.

Pinned trades of options stand on it (`tests/backtest/options/test_options.py`): never make it anew without a look at
them. The days are 2024-01-29 to 2024-02-09: two weekly expiries of NIFTY, 1 and 8 February, lie within.
"""

from __future__ import annotations

import gzip
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
MINUTES = 375


def main() -> None:
    """Write the file."""
    random = np.random.default_rng(29)
    lines, price, day = ["timestamp,open,high,low,close"], 21_700.0, date(2024, 1, 29)
    while day <= date(2024, 2, 9):
        if day.weekday() < 5:
            price *= 1.0 + random.normal(0, 0.004)
            for minute in range(MINUTES):
                opens = price
                price *= 1.0 + random.normal(0, 0.00032)
                reach = abs(random.normal(0, 1.5, 2))
                cells = (opens, max(opens, price) + reach[0], min(opens, price) - reach[1], price)
                at = datetime.combine(day, time(9, 15)) + timedelta(minutes=minute)
                lines.append(f"{at:%Y-%m-%d %H:%M:%S},{','.join(f'{round(cell * 20) / 20:.2f}' for cell in cells)}")
        day += timedelta(days=1)
    with gzip.GzipFile(HERE / "index-1m.csv.gz", "wb", mtime=0) as file:
        file.write(("\n".join(lines) + "\n").encode())


if __name__ == "__main__":
    main()
