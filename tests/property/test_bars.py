"""Bars built live equal bars computed afterwards from the same quotes, however clock ticks fall between them."""

from __future__ import annotations

from datetime import date, datetime, time
from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st

from mytrading.core.bars.builder import Aggregator, BarBuilder
from mytrading.core.calendar import Calendar
from mytrading.core.time import IST, MINUTE, SECOND
from mytrading.messages.market import Bar, Quote
from tests.kit.hypothesis_budget import examples

GRACE = 2 * SECOND
OPEN = int(datetime(2026, 11, 20, 9, 15, tzinfo=IST).timestamp()) * SECOND
CLOSE = OPEN + 100 * MINUTE
CALENDAR = Calendar.from_dict(
    {
        "exchanges": {"NSE": {"sessions": [{"from": date(2020, 1, 1), "open": time(9, 15), "close": time(10, 55)}]}},
        "holidays": {"NSE": {}},
    }
)

instruments = st.sampled_from(["NSE:A", "NSE:B", "NSE:C"])
steps = st.tuples(
    instruments,
    st.integers(0, 90 * SECOND),
    st.integers(2000, 2400).map(lambda ticks: ticks * 0.05),
    st.one_of(st.none(), st.integers(0, 500)),
    st.integers(0, GRACE - 1),
)
feeds = st.lists(steps, max_size=120)
tick_gaps = st.lists(st.integers(50_000_000, 40 * SECOND), max_size=120)


def quotes_of(feed: list[tuple[str, int, float, int | None, int]]) -> list[tuple[int, Quote]]:
    """Quotes with their arrival: in the order of market time per instrument, each up to the grace late."""
    moment, rows = OPEN - 5 * MINUTE, []
    counters: dict[str, int] = {}
    arrivals: dict[str, int] = {}
    for instrument, gap, price, traded, delay in feed:
        moment += gap
        if traded is not None:
            counters[instrument] = counters.get(instrument, 1000) + traded
        volume = counters.get(instrument) if traded is not None else None
        arrivals[instrument] = max(arrivals.get(instrument, 0), moment + delay)
        rows.append((arrivals[instrument], Quote(instrument, moment, 0, price, volume=volume)))
    return sorted(rows, key=lambda row: row[0])


def live(rows: list[tuple[int, Quote]], gaps: list[int]) -> list[Bar]:
    builder = BarBuilder(CALENDAR)
    bars: list[Bar] = []
    tick = OPEN - 6 * MINUTE
    pending = iter(gaps)
    for name in ("NSE:A", "NSE:B", "NSE:C"):
        builder.watch(name, 0)
    for arrival, quote in rows:
        while (step := next(pending, None)) is not None and tick + step < arrival:
            tick += step
            bars += [closed.bar for closed in builder.advance(tick, GRACE, 0)]
        closed = builder.add(quote)
        if closed:
            bars.append(closed.bar)
    bars += [closed.bar for closed in builder.advance(CLOSE + 60 * MINUTE, GRACE, 0)]
    assert builder.late == 0
    return bars


def offline(rows: list[tuple[int, Quote]]) -> list[Bar]:
    bars = []
    by_name = sorted(rows, key=lambda row: (row[1].instrument, row[1].market_ns))
    for name, group in groupby(by_name, key=lambda row: row[1].instrument):
        quotes = [row[1] for row in group]
        traded, before = [], None
        for quote in quotes:
            traded.append(quote.volume - before if quote.volume and before is not None else 0)
            before = quote.volume or before
        inside = [(q, v) for q, v in zip(quotes, traded, strict=True) if OPEN <= q.market_ns < CLOSE]
        for number, pairs in groupby(inside, key=lambda pair: (pair[0].market_ns - OPEN) // MINUTE):
            rows_ = list(pairs)
            prices = [quote.ltp for quote, _ in rows_]
            start = OPEN + number * MINUTE
            volume = sum(count for _, count in rows_)
            extremes = (prices[0], max(prices), min(prices), prices[-1])
            bars.append(Bar(name, "1m", start, start + MINUTE, *extremes, volume, len(prices)))
    return bars


def in_order(bars: list[Bar]) -> list[Bar]:
    return sorted(bars, key=lambda bar: (bar.instrument, bar.start_ns))


@settings(max_examples=examples(50), deadline=None)
@given(feeds, tick_gaps)
def test_bars_built_live_equal_an_offline_recomputation(
    feed: list[tuple[str, int, float, int | None, int]], gaps: list[int]
) -> None:
    rows = quotes_of(feed)
    bars = live(rows, gaps)
    assert in_order(bars) == offline(rows)
    for name in ("NSE:A", "NSE:B", "NSE:C"):
        starts = [bar.start_ns for bar in bars if bar.instrument == name]
        assert starts == sorted(set(starts))


@settings(max_examples=examples(50), deadline=None)
@given(feeds, tick_gaps, st.sampled_from([("5m", 5), ("15m", 15), ("1h", 60)]))
def test_longer_bars_equal_bars_built_from_quotes_at_that_length(
    feed: list[tuple[str, int, float, int | None, int]], gaps: list[int], length: tuple[str, int]
) -> None:
    rows = quotes_of(feed)
    aggregator = Aggregator(CALENDAR, (length[0],))
    longer = [bar for minute in live(rows, gaps) for bar in aggregator.add(minute)]
    longer += aggregator.advance(CLOSE + 60 * MINUTE, 0, 0)
    direct = BarBuilder(CALENDAR, length[1])
    expected = [closed.bar for _, quote in rows if (closed := direct.add(quote))]
    expected += [closed.bar for closed in direct.advance(CLOSE + 60 * MINUTE, GRACE, 0)]
    assert in_order(longer) == in_order(expected)
