"""Checks on the market data that the feed has stored."""

from __future__ import annotations

from datetime import time

from mytrading.adapters.storage.bar_store import BarReader
from mytrading.cli.doctor.checks import CheckContext, Finding, ok
from mytrading.core.time import DAY, ist_date, to_ns


def check_sampled_bars(context: CheckContext) -> Finding:
    """Name the indices whose bars of today are sampled, since frames of the broker carry no price of them."""
    begin = to_ns(ist_date(context.now), time.min)
    reader = BarReader(context.config.bars_dir)
    try:
        counts = reader.sampled_bars(begin, begin + DAY)
    finally:
        reader.close()
    if not counts:
        return ok("none: today's bars are made of frames, or come from history")
    names = ", ".join(f"{count} of {name}" for name, count in sorted(counts.items()))
    return ok(f"{names}, made of a REST price a second: their highs and lows may lie within the market's")
