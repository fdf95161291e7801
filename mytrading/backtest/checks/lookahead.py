"""Look-ahead: decisions up to a bar may not change when the bars after it are removed or replaced.

Whole runs are compared with runs that end at a sampled bar, and with runs whose later bars are mirrored; indicators are
compared value by value. Samples lie where the strategy decides, for that is where a peek shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mytrading.backtest.checks.observer import (
    CheckOutcome,
    Log,
    Observer,
    bar_ends,
    code_line,
    copy_between,
    first_difference,
    with_data,
)
from mytrading.backtest.data.columns import Columns
from mytrading.backtest.data.feeds import Feed
from mytrading.backtest.results.output import iso_ist
from mytrading.backtest.run import Spec
from mytrading.core.engine.strategy_host import NoCallGuard, StrategyHost
from mytrading.core.indicators import FloatArray, Indicator

NAME = "look-ahead"
ASKS = "are decisions the same without the bars that come after them?"
_SAMPLES = 8
_MOST_FINDINGS = 4
_CLOSE = 1e-9
_TODO = (
    "let nothing depend on bars that are not complete yet: no negative shifts, no centred windows, no figures of the "
    "whole sample, no private data of the workspace"
)


def check_look_ahead(spec: Spec, observer: Observer, whole: Log) -> CheckOutcome:
    """Check that no decision of the full run (`whole`) and no indicator depends on later bars, cut off or altered."""
    found = CheckOutcome(NAME, ASKS)
    _indicators(spec, found)
    ends = sample_ends(spec, whole)
    for number, end in enumerate(ends):
        for mirror in (False, True) if number % 2 == 0 else (True, False):
            if _differs(spec, observer, whole, end, found, mirror=mirror):
                break
        if len(found.findings) >= _MOST_FINDINGS:
            break
    found.figures["samples"] = len(ends)
    return found


def _differs(spec: Spec, observer: Observer, whole: Log, end: int, found: CheckOutcome, *, mirror: bool) -> bool:
    """True if a run without the bars after `end`, or with mirrored ones, decides otherwise up to then."""
    data = (mirror_after(columns, end) if mirror else copy_between(columns, end_ns=end) for columns in spec.data)
    again = observer.replay(with_data(spec, data), whole, end)
    if again.fault is not None and whole.fault is None and not mirror:
        found.add(f"fails at {iso_ist(end)} without the bars after it: {again.fault.error}", again.fault.where, _TODO)
        return True
    difference = first_difference(whole.decisions_until(end), again.decisions_until(end))
    if difference is None:
        return False
    (there, here), how = difference.actions, "with other" if mirror else "without"
    after = f"with the bars after {iso_ist(end)}, {here} {how} bars after that"
    found.add(f"at {iso_ist(difference.at_ns)} it decides {there} {after}", difference.code_line(spec), _TODO)
    return True


def sample_ends(spec: Spec, whole: Log) -> list[int]:
    """Return the bar end times (ns) after which to drop or alter bars: at some decisions, else evenly spread."""
    ends = bar_ends(spec)
    decided = sorted({one.at_ns for one in whole.decisions if one.at_ns < int(ends[-1])})
    picked = {decided[row] for row in np.linspace(0, len(decided) - 1, min(_SAMPLES, len(decided))).astype(int)}
    rows = np.linspace(len(ends) // 3, len(ends) - 2, 2 if len(picked) > 2 else _SAMPLES).astype(int)
    return sorted(picked | {int(ends[row]) for row in rows if row >= 0})


def mirror_after(columns: Columns, end_ns: int) -> Columns:
    """Return the bars with moves after market ns `end_ns` inverted (rises become falls), their volume doubled."""
    found = copy_between(columns)
    after = int(np.searchsorted(found.start_ns, end_ns - columns.span_ns, "right"))
    if after == 0 or after == len(found):
        return found
    level = float(found.table[3, after - 1]) ** 2
    opens, high, low, close = (found.table[row, after:].copy() for row in range(4))
    found.table[0, after:], found.table[3, after:] = _on_tick(level / opens), _on_tick(level / close)
    body = np.maximum(found.table[0, after:], found.table[3, after:])
    found.table[1, after:] = np.maximum(_on_tick(level / low), body)
    found.table[2, after:] = np.minimum(
        _on_tick(level / high), np.minimum(found.table[0, after:], found.table[3, after:])
    )
    found.table[4, after:] *= 2
    return found


def _on_tick(prices: FloatArray) -> FloatArray:
    rounded: FloatArray = np.maximum(np.round(prices / 0.05) * 0.05, 0.05)
    return rounded


def _indicators(spec: Spec, found: CheckOutcome) -> None:
    judged = 0
    for indicator, name, columns, parameters in iter_indicators(spec):
        judged += 1
        values = np.asarray(indicator.kernel(*columns, **parameters), dtype=np.float64)
        for k in truncation_points(values):
            part = [np.array(column[:k]) for column in columns]
            try:
                here = np.asarray(indicator.kernel(*part, **parameters), dtype=np.float64)
            except Exception as error:  # noqa: BLE001  (an author's kernel may raise anything)
                found.add(f"indicator {name} fails on the first {k} bars: {error}", kernel_line(indicator), _TODO)
                break
            row = _last_difference(values[:k], here)
            if row is not None:
                found.add(
                    f"indicator {name} is {values[row]:g} at bar {row + 1} with the bars that follow, "
                    f"{here[row]:g} without those after bar {k}",
                    kernel_line(indicator),
                    "make its kernel causal: f(x[:k + 1])[k] must equal f(x)[k]",
                )
                break
    found.figures["indicators"] = judged


def iter_indicators(spec: Spec) -> Iterator[tuple[Indicator, str, list[NDArray[Any]], dict[str, float]]]:
    """Yield each declared indicator with its name, its input columns and its parameters."""
    host = StrategyHost(spec.run, spec.strategy, NoCallGuard())
    if host.fault is not None:
        return
    for columns in spec.data:
        Feed(columns, host, spec.calendar)
    workspace = host.workspace
    for (handle, instrument), line in workspace.values.items():
        series = workspace.series(instrument, handle.timeframe)
        if series.filled > 2:
            inputs: list[NDArray[Any]] = [series.column(name) for name in line.inputs]
            yield line.indicator, handle.name, inputs, line.parameters


def truncation_points(values: FloatArray) -> list[int]:
    """Return the seven row counts at which to truncate a column, spread over its last four fifths."""
    count = len(values)
    return sorted({int(k) for k in np.linspace(max(2, count // 5), count - 1, 7)})


def _last_difference(there: FloatArray, here: FloatArray) -> int | None:
    """The last row at which two lines differ, None if at none."""
    if len(there) != len(here):
        return min(len(there), len(here)) - 1
    scale = _CLOSE * np.maximum(1.0, np.abs(np.nan_to_num(there)))
    same = (np.isnan(there) & np.isnan(here)) | (np.abs(there - here) <= scale)
    rows = np.flatnonzero(~same)
    return int(rows[-1]) if len(rows) else None


def kernel_line(indicator: Indicator) -> str:
    """Return `folder/file.py:line` of an indicator's kernel; empty if it is not written in Python."""
    code = getattr(indicator.kernel, "__code__", None)
    return code_line(code.co_filename, code.co_firstlineno) if code is not None else ""
