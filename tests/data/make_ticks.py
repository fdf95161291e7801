"""Makes `ticks-2024-03-13.csv.gz`: a day of index ticks in the form that replay reads, drawn from a seed.

Run `python tests/data/make_ticks.py`; the same file comes out each time. Like a recorded day it has ticks before 09:15
and after 15:30, missing seconds and repeated values.
"""

from __future__ import annotations

import gzip
import io
import math
import random
from datetime import datetime, timedelta
from pathlib import Path

DAY = datetime(2024, 3, 13)
FIRST, LAST = timedelta(hours=9, minutes=7), timedelta(hours=15, minutes=33)
START, TICK = 22_432.0, 0.05


def rows(seed: int = 20240313) -> list[str]:
    """The lines of the file, header first."""
    draw = random.Random(seed)
    lines = ["timestamp,ltp"]
    level, swing, at = START, 0.0, FIRST
    while at <= LAST:
        hours = (at - FIRST).total_seconds() / 3600.0
        swing += -0.004 * swing + draw.gauss(0.0, 1.1)
        level += draw.gauss(-0.004, 0.35)
        price = level + swing + 18.0 * math.sin(hours * 5.0)
        if draw.random() > 0.015:
            lines.append(f"{DAY + at:%Y-%m-%d %H:%M:%S},{round(price / TICK) * TICK:.2f}")
        at += timedelta(seconds=1)
    return lines


def main() -> None:
    """Write the file beside this script."""
    target = Path(__file__).with_name("ticks-2024-03-13.csv.gz")
    text = ("\n".join(rows()) + "\n").encode()
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, filename="") as stream:
        stream.write(text)
    target.write_bytes(buffer.getvalue())


if __name__ == "__main__":
    main()
