"""The strategy's own indicators over the bars of a run or of a chart, computed as the strategy's host computes them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from mytrading.backtest.data.columns import Columns, DataError
from mytrading.backtest.data.feeds import Feed
from mytrading.core.calendar import Calendar
from mytrading.core.engine.strategy_host import NoCallGuard, StrategyHost
from mytrading.messages.run_config import StrategyRun
from mytrading.strategies.base_strategy import BaseStrategy

_NEAR = 0.25
_MOST = 0.95


class IndicatorCurve(NamedTuple):
    """An indicator's values by bar: `start_ns` of its bars, NaN before the first value. `on_price` is True where it is
    a price, to be drawn over the candles."""

    name: str
    kind: str
    start_ns: NDArray[np.int64]
    values: NDArray[np.float64]
    on_price: bool


def indicator_curves(
    run: StrategyRun, strategy: type[BaseStrategy], columns: Columns, calendar: Calendar
) -> list[IndicatorCurve]:
    """Return the indicators that a strategy declares for an instrument; none if it faults at its start, and without
    those whose kernel fails on these bars."""
    host = StrategyHost(replace(run, accounts=()), strategy, NoCallGuard())
    if host.fault is not None or columns.instrument not in host.workspace.instruments or not len(columns):
        return []
    try:
        feed = Feed(columns, host, calendar)
    except DataError:  # bars from which the strategy's timeframes cannot be made
        return []
    found = []
    for (handle, instrument), values in host.workspace.values.items():
        if instrument != columns.instrument:
            continue
        bars = feed.frames[host.workspace.timeframes.index(handle.timeframe)].columns
        with suppress(Exception):
            series = values.all_values(host.workspace.series(instrument, handle.timeframe)).copy()
            found.append(IndicatorCurve(handle.name, handle.kind, bars.start_ns, series, is_price(series, bars.close)))
    host.workspace.close()
    return found


def is_price(values: NDArray[np.float64], close: NDArray[np.float64]) -> bool:
    """True if nearly all values lie within a quarter of the close of their bar, so that they can be drawn over it."""
    known = np.isfinite(values)
    if not known.any():
        return False
    near = np.abs(values[known] / close[known] - 1.0) <= _NEAR
    return bool(np.mean(near) >= _MOST)


def by_function(curves: Sequence[IndicatorCurve]) -> dict[str, list[IndicatorCurve]]:
    """Return the curves that are no prices by their function (MACD of MACD.macdsignal), which share a panel."""
    found: dict[str, list[IndicatorCurve]] = {}
    for curve in curves:
        if not curve.on_price:
            found.setdefault(curve.kind.partition(".")[0], []).append(curve)
    return found
