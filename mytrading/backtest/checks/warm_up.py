"""Recursion: how long a run whose history begins later goes on deciding otherwise.

A live strategy warms up with as much history as its indicators ask for (`warm_bars`), never with all there ever was. So
an indicator must have forgotten its beginning by then, and decisions must become those of the run that began earlier.
Runs begin with a trading day, as live history does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mytrading.backtest.checks.lookahead import iter_indicators, kernel_line
from mytrading.backtest.checks.observer import (
    CheckOutcome,
    Decision,
    Log,
    Observer,
    bar_ends,
    copy_between,
    method_line,
    with_data,
)
from mytrading.backtest.results.output import iso_ist
from mytrading.backtest.run import Spec
from mytrading.core.engine.strategy_host import WARM_FACTOR
from mytrading.core.time import DAY, IST_OFFSET

NAME = "recursion"
ASKS = "does it decide the same when history begins later?"
_FORGOTTEN = 1e-6
_LAST_PART = 0.75
_LEAST_BARS = 20


def check_warm_up(spec: Spec, observer: Observer, whole: Log) -> CheckOutcome:
    """Check how many bars a run that starts later needs until it decides as the full run (`whole`) does."""
    found = CheckOutcome(NAME, ASKS)
    starts = _starts(spec)
    if not starts:
        found.skipped = "the data holds fewer than three days"
        return found
    _indicators(spec, found)
    converged: list[int | None] = []
    for start in starts:
        late = observer.replay(with_data(spec, (copy_between(columns, start) for columns in spec.data)), whole)
        if late.fault is not None and whole.fault is None:
            found.add(
                f"fails when history begins at {iso_ist(start)}: {late.fault.error}", late.fault.where,
                "expect any beginning",
            )  # fmt: skip
            return found
        bars, last = _converges(spec, whole, late, start)
        converged.append(bars)
        if bars is None and last is not None:
            began, differs = iso_ist(start), iso_ist(last.at_ns)
            found.add(
                f"begun at {began} it still decides otherwise at {differs}, near the end of the data",
                last.where or method_line(spec.strategy),
                "depend on a bounded number of bars: declare indicators, and keep no sums or counts from the first bar",
            )
            break
    found.figures["bars_to_converge"] = converged
    return found


def _starts(spec: Spec) -> list[int]:
    """First bars of two days, about a quarter and a half into the data."""
    start = spec.data[0].start_ns
    days = (start + IST_OFFSET) // DAY
    firsts = np.flatnonzero(np.concatenate(([True], days[1:] != days[:-1])))
    if len(firsts) < 3:
        return []
    rows = {int(firsts[max(1, len(firsts) // 4)]), int(firsts[max(1, len(firsts) // 2)])}
    return [int(start[row]) for row in sorted(rows) if len(start) - row > _LEAST_BARS]


def _converges(spec: Spec, whole: Log, late: Log, start: int) -> tuple[int | None, Decision | None]:
    """Bars from the start until both decide the same for good (None if not before the last quarter), and the last
    decision that differs."""
    warm = late.calls_ns[0] if late.calls_ns else start
    there = {one.key: one for one in whole.decisions if one.at_ns >= warm}
    here = {one.key: one for one in late.decisions}
    differ = [one for key, one in [*there.items(), *here.items()] if not (key in there and key in here)]
    if not differ:
        return 0, None
    last = max(differ, key=lambda one: one.at_ns)
    ends = bar_ends(spec)
    first, at = int(np.searchsorted(ends, start)), int(np.searchsorted(ends, last.at_ns))
    span = len(ends) - first
    return (at - first + 1 if at - first < _LAST_PART * span else None), last


def _indicators(spec: Spec, found: CheckOutcome) -> None:
    """Values after `warm_bars` of history against values of all history."""
    figures: dict[str, Any] = {}
    # what is worked out of the day alone, a restart has from the day's first bar on
    day_bars = int(np.max(np.unique((spec.data[0].start_ns + IST_OFFSET) // DAY, return_counts=True)[1]))
    for indicator, name, columns, parameters in iter_indicators(spec):
        lookback = int(indicator.lookback(**parameters))
        whole = np.asarray(indicator.kernel(*columns, **parameters), dtype=np.float64)
        needs = WARM_FACTOR * lookback
        begins = len(whole) // 2
        if len(whole) - begins <= needs + _LEAST_BARS:
            begins = max(0, len(whole) - needs - _LEAST_BARS)
        if begins == 0:
            figures[name] = None
            continue
        begins = _day_begin(spec, columns, begins)
        late = np.asarray(indicator.kernel(*(np.array(column[begins:]) for column in columns), **parameters))
        bars = _forgets(whole[begins:], late)
        figures[name] = bars
        if bars is not None and bars > max(needs, 1) and bars > day_bars:
            found.add(
                f"indicator {name} still differs {bars} bars after a later beginning; its lookback of {lookback} gives "
                f"it {needs} bars of history",
                kernel_line(indicator),
                f"declare its true lookback (about {-(-bars // WARM_FACTOR)}), or let it forget faster",
            )
    found.figures["indicator_bars"] = figures


def _day_begin(spec: Spec, columns: list[Any], begins: int) -> int:
    """The first bar of the day that a row lies in, where rows are those of the first instrument."""
    start = spec.data[0].start_ns
    if not columns or len(columns[0]) != len(start):
        return begins
    days = (start[: begins + 1] + IST_OFFSET) // DAY
    return int(np.searchsorted(days, days[-1])) or begins


def _forgets(there: np.ndarray[Any, Any], here: np.ndarray[Any, Any]) -> int | None:
    """Bars until both are the same for good, None without any value to compare."""
    both = ~np.isnan(there) & ~np.isnan(here)
    if not both.any():
        return None
    scale = np.maximum(np.nanmax(np.abs(there)), 1e-12)
    rows = np.flatnonzero(both & (np.abs(there - here) > _FORGOTTEN * scale))
    return int(rows[-1]) + 1 if len(rows) else 0
