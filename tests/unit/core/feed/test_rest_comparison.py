"""Streamed prices beside REST quotes: what closes an instrument's entries, what opens them, and what proves nothing."""

from __future__ import annotations

import pytest

from mytrading.core.feed.rest_comparison import FramePrice, PriceComparison, RestComparison, compare_prices
from mytrading.core.time import SECOND

USDINR = "CDS:USDINR27NOV26FUT"
NAMES = [f"NSE:S{number}" for number in range(120)]


@pytest.fixture
def book() -> RestComparison:
    return RestComparison()


def compare(book: RestComparison, at: float, frame: float, rest: float, *, age: float = 0, option: bool = False) -> str:
    """Compare a frame `age` s old with a REST price, both rupees; the reason for which it is closed then."""
    now = int(at * SECOND)
    book.compare(USDINR, FramePrice(frame, now - int(age * SECOND)), rest, now, option=option)
    return book.closed.get(USDINR, "")


def test_price_in_another_scale_closes_entries_with_the_second_comparison_and_the_next_that_agrees_opens_them(
    book: RestComparison,
) -> None:
    assert compare(book, 10, 9_654_750, 96.5475) == ""
    assert compare(book, 14.9, 9_654_750, 96.5475) == "", "less than five seconds after the first it proves nothing new"
    reason = compare(book, 15, 9_654_750, 96.5475)
    assert "9.65475e+06" in reason and "96.5475" in reason
    assert compare(book, 75, 9_654_750, 96.5475)
    assert compare(book, 135, 96.55, 96.5475) == ""


def test_one_comparison_that_agrees_between_two_that_differ_keeps_entries_open(book: RestComparison) -> None:
    compare(book, 10, 500, 96)
    compare(book, 15, 97, 96)
    assert compare(book, 30, 500, 96) == "", "it is the first of its row"


@pytest.mark.parametrize(
    ("frame", "rest", "age", "option", "found"),
    [
        (100.0, 499.0, 0, False, PriceComparison.AGREES),
        (100.0, 500.0, 0, False, PriceComparison.DIFFERS),
        (500.0, 100.0, 0, False, PriceComparison.DIFFERS),
        (500.0, 100.0, 5, False, PriceComparison.DIFFERS),
        (500.0, 100.0, 5.1, False, PriceComparison.NOTHING),
        (500.0, 100.0, -5.1, False, PriceComparison.NOTHING),
        (100.0, 0.0, 0, False, PriceComparison.NOTHING),
        (0.0, 100.0, 0, False, PriceComparison.NOTHING),
        (float("nan"), 100.0, 0, False, PriceComparison.NOTHING),
        (4.95, 60.0, 0, True, PriceComparison.NOTHING),
        (60.0, 4.95, 0, True, PriceComparison.NOTHING),
        (4.95, 60.0, 0, False, PriceComparison.DIFFERS),
        (5.0, 60.0, 0, True, PriceComparison.DIFFERS),
        (4.95, 5.0, 0, True, PriceComparison.AGREES),
    ],
)
def test_prices_are_compared_only_if_both_are_of_one_moment_and_differ_by_a_factor_of_five(
    frame: float, rest: float, age: float, option: bool, found: PriceComparison
) -> None:
    now = 100 * SECOND
    assert compare_prices(FramePrice(frame, now - int(age * SECOND)), rest, now, option=option) is found


def test_cheap_option_is_never_closed_by_its_jumps_and_a_closed_one_is_not_opened_by_them(book: RestComparison) -> None:
    for second in range(0, 60, 5):
        assert compare(book, second, 40.0, 2.0, option=True) == ""
    for second in (60, 65):
        compare(book, second, 600.0, 60.0, option=True)
    assert compare(book, 70, 600.0, 2.0, option=True), "prices that compare nothing agree with nothing"


def test_comparisons_that_fail_or_bring_no_price_close_nothing(book: RestComparison) -> None:
    for second in range(0, 600, 60):
        book.compare(USDINR, None, 96.0, second * SECOND)
        assert compare(book, second, 9_654_750, 0.0) == ""


def test_instruments_are_asked_for_once_in_groups_of_fifty_held_ones_first(book: RestComparison) -> None:
    held = {NAMES[70], NAMES[119]}
    asked, calls = [], 0
    while group := book.due(NAMES, held, calls * SECOND):
        for name in group:
            book.compare(name, FramePrice(100.0, calls * SECOND), 101.0, calls * SECOND)
        asked += group
        calls += 1
    assert (calls, asked[:2], sorted(asked)) == (3, [NAMES[70], NAMES[119]], sorted(NAMES))
    assert book.due(NAMES, held, 10_000 * SECOND) == [], "once in a session"


def test_suspect_is_asked_again_after_five_seconds_and_a_closed_one_once_a_minute(book: RestComparison) -> None:
    def due(second: float) -> bool:
        return book.due([USDINR], (), int(second * SECOND)) == [USDINR]

    compare(book, 10, 500, 96)
    assert (due(14.9), due(15)) == (False, True)
    compare(book, 15, 500, 0)
    assert (due(19.9), due(20)) == (False, True), "one that brings nothing in between is repeated as soon"
    compare(book, 20, 500, 96)
    assert (due(79.9), due(80)) == (False, True)
    compare(book, 80, 500, 0)
    assert (due(139.9), due(140)) == (False, True)


def test_next_session_compares_each_again_and_a_closed_instrument_stays_closed_until_it_agrees(
    book: RestComparison,
) -> None:
    compare(book, 10, 500, 96)
    compare(book, 15, 500, 96)
    book.compare(NAMES[0], FramePrice(100.0, 15 * SECOND), 100.0, 15 * SECOND)
    book.begin()
    assert book.due([NAMES[0], USDINR], (), 16 * SECOND) == [NAMES[0], USDINR]
    assert list(book.closed) == [USDINR]
    assert compare(book, 16, 500, 96)
    assert compare(book, 76, 96, 96) == ""
