"""Bars: what closes one, what is left out of one, and longer bars anchored to the session's open."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from mytrading.core.bars.builder import Aggregator, BarBuilder, aggregate, timeframe_minutes, timeframe_name
from mytrading.core.calendar import Calendar
from mytrading.core.time import IST, SECOND
from mytrading.messages.market import Bar, Quote

GRACE = 2 * SECOND
SBIN = "NSE:SBIN"


@pytest.fixture
def calendar() -> Calendar:
    session = {"from": date(2020, 1, 1), "open": datetime(1, 1, 1, 9, 15).time(), "close": datetime(1, 1, 1, 15).time()}
    return Calendar.from_dict({"exchanges": {"NSE": {"sessions": [session]}}, "holidays": {"NSE": {}}})


def at(text: str, day: str = "2026-11-20") -> int:
    return int(datetime.fromisoformat(f"{day}T{text}").replace(tzinfo=IST).timestamp()) * SECOND


def quote(text: str, ltp: float, volume: int | None = None, day: str = "2026-11-20") -> Quote:
    return Quote(SBIN, at(text, day), 0, ltp, volume=volume)


def minute(text: str, close: float, volume: int = 1) -> Bar:
    start = at(text)
    return Bar(SBIN, "1m", start, start + 60 * SECOND, close - 1, close + 2, close - 3, close, volume, 4)


def test_bar_with_quotes_of_one_minute_has_their_extremes_and_volume(calendar: Calendar) -> None:
    builder = BarBuilder(calendar)
    builder.watch(SBIN, 0)
    for row in (("10:00:00", 100.0, 500), ("10:00:20", 103.0, 520), ("10:00:40", 99.0, 525), ("10:00:59", 101.0, 540)):
        assert builder.add(quote(*row)) is None
    assert builder.price(SBIN) == 101.0
    closed = builder.add(quote("10:01:05", 102.0, 600))
    assert closed is not None and closed.whole
    assert closed.bar == Bar(SBIN, "1m", at("10:00:00"), at("10:01:00"), 100.0, 103.0, 99.0, 101.0, 40, 4, 0)


def test_bar_without_next_quote_closes_when_the_clock_passes_the_grace(calendar: Calendar) -> None:
    builder = BarBuilder(calendar)
    builder.watch(SBIN, 0)
    builder.add(quote("10:00:10", 100.0))
    assert builder.advance(at("10:01:01"), GRACE, 7) == []
    (closed,) = builder.advance(at("10:01:02"), GRACE, 7)
    assert (closed.bar.close, closed.bar.received_ns) == (100.0, 7)
    assert builder.price(SBIN) == 0.0
    assert builder.advance(at("10:05:00"), GRACE, 7) == []


def test_minute_without_quotes_makes_no_bar(calendar: Calendar) -> None:
    builder = BarBuilder(calendar)
    builder.watch(SBIN, 0)
    builder.add(quote("10:00:10", 100.0))
    first = builder.add(quote("10:04:00", 101.0))
    second = builder.add(quote("10:05:00", 102.0))
    assert first is not None and second is not None
    assert (first.bar.start_ns, second.bar.start_ns) == (at("10:00:00"), at("10:04:00"))


def test_quote_for_a_closed_bar_is_counted_and_its_volume_goes_to_the_next(calendar: Calendar) -> None:
    builder = BarBuilder(calendar)
    builder.watch(SBIN, 0)
    builder.add(quote("10:00:10", 100.0, 500))
    builder.advance(at("10:01:02"), GRACE, 0)
    assert builder.add(quote("10:00:59", 150.0, 530)) is None
    assert builder.late == 1
    builder.add(quote("10:01:03", 101.0, 540))
    (closed,) = builder.advance(at("10:02:02"), GRACE, 0)
    assert (closed.bar.high, closed.bar.volume) == (101.0, 40)


def test_quote_out_of_order_within_the_open_bar_never_reopens_the_last(calendar: Calendar) -> None:
    builder = BarBuilder(calendar)
    builder.watch(SBIN, 0)
    builder.add(quote("10:00:10", 100.0))
    builder.add(quote("10:01:10", 101.0))
    assert builder.add(quote("10:00:50", 90.0)) is None
    assert builder.late == 1


def test_quotes_outside_the_session_make_no_bars_but_move_the_volume(calendar: Calendar) -> None:
    builder = BarBuilder(calendar)
    builder.watch(SBIN, 0)
    builder.add(quote("09:08:00", 99.0, 1000))
    assert builder.outside == 1
    builder.add(quote("09:15:00", 100.0, 1010))
    builder.add(quote("14:59:59", 100.0, 1015))
    closed = builder.add(quote("15:00:00", 120.0, 1020))
    assert closed is not None and closed.bar.end_ns == at("15:00:00")
    assert builder.advance(at("15:10:00"), GRACE, 0) == []
    assert builder.outside == 2


def test_first_sight_of_a_counter_counts_nothing_and_one_that_falls_in_session_is_an_old_frames(
    calendar: Calendar,
) -> None:
    """A counter of 8,990 after 9,005 once put the whole day's 8,990 units into one bar."""
    builder = BarBuilder(calendar)
    builder.watch(SBIN, 0)
    rows = (("10:00:00", 9000), ("10:00:10", 9005), ("10:00:20", 8990), ("10:00:30", 9010), ("10:01:00", 9001),
            ("10:01:30", 9012))  # fmt: skip
    first = [closed for text, volume in rows if (closed := builder.add(quote(text, 100.0, volume)))]
    (second,) = builder.advance(at("10:03:00"), GRACE, 0)
    assert [closed.bar.volume for closed in (*first, second)] == [5 + 5, 2]


def test_counter_of_another_session_is_counted_from_zero_also_where_it_was_seen_before_the_open(
    calendar: Calendar,
) -> None:
    """Servers send what was left of the day before: 5,000 units at 08:50 of which 300 are no fall in session."""
    builder = BarBuilder(calendar)
    builder.watch(SBIN, 0)
    for row in (("14:59:00", 100.0, 4900, "2026-11-19"), ("08:50:00", 100.0, 5000), ("09:08:00", 101.0, 300)):
        builder.add(quote(*row))
    builder.add(quote("09:15:00", 101.0, 340))
    (closed,) = builder.advance(at("09:17:00"), GRACE, 0)
    assert closed.bar.volume == 40


def test_counter_that_is_counted_anew_after_a_change_of_source_starts_where_it_stands(calendar: Calendar) -> None:
    builder = BarBuilder(calendar)
    builder.watch(SBIN, 0)
    builder.add(quote("10:00:00", 100.0, 36))
    builder.recount(SBIN)
    builder.add(quote("10:00:20", 100.0, 36_985))
    builder.add(quote("10:00:40", 100.0, 36_991))
    (closed,) = builder.advance(at("10:02:00"), GRACE, 0)
    assert closed.bar.volume == 6


def test_volume_missing_or_zero_leaves_the_counter_alone(calendar: Calendar) -> None:
    builder = BarBuilder(calendar)
    builder.watch(SBIN, 0)
    for row in (("10:00:00", 100.0, 50), ("10:00:10", 100.0, 0), ("10:00:20", 100.0, None), ("10:00:30", 100.0, 60)):
        builder.add(quote(*row))
    (closed,) = builder.advance(at("10:02:00"), GRACE, 0)
    assert closed.bar.volume == 10


def test_index_without_volume_has_bars_of_volume_zero(calendar: Calendar) -> None:
    builder = BarBuilder(calendar)
    builder.add(quote("10:00:00", 26000.0))
    builder.add(quote("10:00:10", 26001.0))
    (closed,) = builder.advance(at("10:02:00"), GRACE, 0)
    assert closed.bar.volume == 0


def test_bar_begun_before_we_watched_is_not_whole_and_the_next_is(calendar: Calendar) -> None:
    builder = BarBuilder(calendar)
    builder.watch(SBIN, at("10:00:30"))
    builder.add(quote("10:00:31", 100.0))
    first = builder.add(quote("10:01:00", 101.0))
    second = builder.add(quote("10:02:00", 101.0))
    assert first is not None and second is not None
    assert (first.whole, second.whole) == (False, True)


def test_reconnect_marks_the_bar_in_the_making_as_not_whole(calendar: Calendar) -> None:
    builder = BarBuilder(calendar)
    builder.watch(SBIN, 0)
    builder.add(quote("10:00:01", 100.0))
    builder.watch(SBIN, at("10:00:40"))
    closed = builder.add(quote("10:01:00", 101.0))
    assert closed is not None and not closed.whole


def test_forgotten_instrument_gives_no_bar(calendar: Calendar) -> None:
    builder = BarBuilder(calendar)
    builder.add(quote("10:00:01", 100.0))
    builder.drop(SBIN)
    assert builder.advance(at("11:00:00"), GRACE, 0) == []


def test_next_day_begins_with_its_own_bars(calendar: Calendar) -> None:
    builder = BarBuilder(calendar)
    builder.watch(SBIN, 0)
    builder.add(quote("14:59:30", 100.0, 5000, "2026-11-19"))
    closed = builder.add(quote("09:15:00", 110.0, 20, "2026-11-20"))
    assert closed is not None and closed.bar.end_ns == at("15:00:00", "2026-11-19")
    (opened,) = builder.advance(at("09:16:02"), GRACE, 0)
    assert (opened.bar.open, opened.bar.volume) == (110.0, 20)


def test_longer_bars_are_anchored_to_the_open_and_end_with_the_session(calendar: Calendar) -> None:
    minutes = [minute(f"{9 + (15 + i) // 60:02d}:{(15 + i) % 60:02d}:00", 100.0 + i) for i in range(345)]
    hours = aggregate(minutes, "1h", calendar, at("15:00:00"))
    assert [bar.start_ns for bar in hours][:2] == [at("09:15:00"), at("10:15:00")]
    assert (hours[-1].start_ns, hours[-1].end_ns) == (at("14:15:00"), at("15:00:00"))
    assert (hours[0].open, hours[0].high, hours[0].low, hours[0].close) == (99.0, 161.0, 97.0, 159.0)
    assert sum(bar.volume for bar in hours) == 345


def test_longer_bar_whose_last_minute_never_traded_closes_with_the_next_minute_or_the_clock(calendar: Calendar) -> None:
    aggregator = Aggregator(calendar, ("5m", "1m", "tick"))
    assert aggregator.add(minute("09:15:00", 100.0)) == []
    (first,) = aggregator.add(minute("09:21:00", 103.0))
    assert (first.start_ns, first.end_ns, first.close) == (at("09:15:00"), at("09:20:00"), 100.0)
    assert aggregator.advance(at("09:25:01"), GRACE, 9) == []
    (second,) = aggregator.advance(at("09:25:02"), GRACE, 9)
    assert (second.close, second.received_ns) == (103.0, 9)


def test_minute_of_a_closed_longer_bar_is_counted_as_late(calendar: Calendar) -> None:
    aggregator = Aggregator(calendar, ("5m",))
    aggregator.add(minute("09:15:00", 100.0))
    aggregator.advance(at("09:21:00"), GRACE, 0)
    assert aggregator.add(minute("09:19:00", 100.0)) == []
    assert aggregator.late == 1


def test_day_bar_covers_the_session(calendar: Calendar) -> None:
    (day,) = aggregate([minute("09:15:00", 100.0), minute("14:59:00", 90.0)], "1d", calendar, at("15:00:00"))
    assert (day.start_ns, day.end_ns, day.open, day.close) == (at("09:15:00"), at("15:00:00"), 99.0, 90.0)


@pytest.mark.parametrize(("name", "minutes"), [("1m", 1), ("15m", 15), ("1h", 60), ("4h", 240), ("1d", 1440)])
def test_timeframe_name_and_minutes_agree(name: str, minutes: int) -> None:
    assert timeframe_minutes(name) == minutes
    assert timeframe_name(minutes) == name


@pytest.mark.parametrize("name", ["", "m", "0m", "5s", "-1m", "1.5h", "2d", "tick"])
def test_timeframe_unknown_is_refused_with_examples(name: str) -> None:
    with pytest.raises(ValueError, match="say 1m, 5m"):
        timeframe_minutes(name)
