"""Bars as columns: growth, days, the cursor, and lines that equal a whole computation."""

from __future__ import annotations

import numpy as np

from mytrading.core.indicators import BUILT_IN
from mytrading.strategies.bar_series import BarSeries, IndicatorSeries
from tests.kit.engine_bench import MINUTE, make_bar, random_walk

DAY = 24 * 60


def test_series_grows_past_its_first_capacity():
    series = BarSeries(days=5)
    for k in range(1200):
        series.fill(make_bar(k, float(k)))
        series.show_next()
    assert series.newest(3).close.tolist() == [1197.0, 1198.0, 1199.0]
    assert len(series.newest(5000).close) == 1200


def test_series_refuses_what_is_not_newer():
    series = BarSeries(days=1)
    assert series.fill(make_bar(3, 1.0))
    assert not series.fill(make_bar(3, 2.0))
    assert not series.fill(make_bar(2, 2.0))


def test_series_shows_nothing_ahead_of_the_cursor():
    series = BarSeries(days=1)
    line = IndicatorSeries(BUILT_IN["SMA"], ("close",), {"period": 2}, {})
    for k in range(4):
        series.fill(make_bar(k, float(k)))
    series.show_next()
    series.show_next()
    assert series.newest(9).close.tolist() == [0.0, 1.0]
    assert line.value(series) == 0.5
    assert np.isnan(line.value(series, back=1))
    assert np.isnan(line.value(series, back=7))


def test_series_begins_with_a_whole_day_however_it_came_to_be():
    bars = [make_bar(day * DAY + k, float(day * 10 + k)) for day in range(4) for k in range(5)]
    running, restarted = BarSeries(days=1), BarSeries(days=1)
    for bar in bars:
        running.fill(bar)
        running.show_next()
        restarted.fill(bar)
    for _ in range(restarted.filled):
        restarted.show_next()
    assert running.newest(99).start_ns.tolist() == restarted.newest(99).start_ns.tolist()
    assert running.newest(99).start_ns[0] == bars[10].start_ns
    assert running.newest(99).start_ns[0] % MINUTE == bars[0].start_ns % MINUTE


def test_line_bar_by_bar_equals_the_whole_at_once():
    closes = random_walk(300)
    series = BarSeries(days=1)
    line = IndicatorSeries(BUILT_IN["EMA"], ("close",), {"period": 9}, {})
    found = []
    for k, close in enumerate(closes):
        series.fill(make_bar(k, close))
        series.show_next()
        found.append(line.value(series))
    expected = BUILT_IN["EMA"].kernel(np.array(closes), period=9)
    assert np.array_equal(np.array(found), expected, equal_nan=True)
