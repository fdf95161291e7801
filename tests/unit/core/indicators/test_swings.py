"""Swings: confirmed by the second bar above or below, alternating, moving while exceeded, anew each day."""

from __future__ import annotations

import numpy as np

from mytrading.core.indicators.swings import HIGHER_HIGH, LOWER_LOW, NEW_HIGH, NEW_LOW, NOTHING, Swings, swings

FloatArray = np.ndarray[tuple[int], np.dtype[np.float64]]


def of_closes(*closes: float, days: tuple[float, ...] = ()) -> Swings:
    close = np.array(closes)
    day = np.array(days) if days else np.zeros(len(close))
    return swings(close + 0.5, close - 0.5, close, day)


def test_low_is_known_on_the_second_bar_above_and_not_before() -> None:
    found = of_closes(8, 9, 9.5)
    assert found.event.tolist() == [NOTHING, NOTHING, NEW_LOW]
    assert np.isnan(found.low[:2]).all()
    assert found.low[2] == 7.5
    assert (found.side[2], found.age[2]) == (-1.0, 2.0)
    assert np.isnan(found.high).all()


def test_high_follows_a_low_and_a_lower_low_moves_it() -> None:
    found = of_closes(8, 9, 9.5, 11, 10, 9.8)
    assert found.event.tolist()[2:] == [NEW_LOW, NOTHING, NOTHING, NEW_HIGH]
    assert (found.high[-1], found.side[-1], found.age[-1]) == (11.5, 1.0, 2.0)
    moved = of_closes(8, 9, 9.5, 7, 9.6, 9.7)
    assert moved.event.tolist()[2:] == [NEW_LOW, NOTHING, NOTHING, LOWER_LOW]
    assert (moved.low[-1], moved.age[-1]) == (6.5, 2.0)


def test_bar_that_only_pokes_above_with_its_high_confirms_nothing() -> None:
    close = np.full(5, 8.0)
    high, low = np.array([8.1, 8.2, 9.0, 9.5, 9.9]), close - 0.5
    assert swings(high, low, close, np.zeros(5)).event.tolist() == [NOTHING] * 5


def test_day_begins_anew() -> None:
    found = of_closes(8, 9, 9.5, 9, 9.2, days=(1, 1, 1, 2, 2))
    assert found.event[2] == NEW_LOW
    assert np.isnan(found.low[3:]).all()
    assert np.isnan(found.side[3:]).all()


def by_the_words(high: FloatArray, low: FloatArray, close: FloatArray) -> list[tuple[int, float]]:
    """The rules once more, word by word: (event, price) of each bar of a day."""
    above: dict[int, int] = {}
    below: dict[int, int] = {}
    swing: tuple[str, int] | None = None
    reported: list[tuple[int, float]] = []

    def up(i: int, j: int) -> bool:
        return bool(high[i] > high[j] and close[i] > close[j])

    def down(i: int, j: int) -> bool:
        return bool(low[i] < low[j] and close[i] < close[j])

    def lowest(begin: int, end: int) -> int:
        return min(range(begin, end + 1), key=lambda k: low[k])

    def highest(begin: int, end: int) -> int:
        return max(range(begin, end + 1), key=lambda k: high[k])

    def bar(i: int) -> tuple[int, float]:
        nonlocal swing
        begin = 0 if swing is None else swing[1] + 1
        if swing is None:
            for j in range(i):
                above[j] = above.get(j, 0) + up(i, j)
                if above[j] >= 2:
                    swing = ("low", lowest(0, i))
                    return NEW_LOW, low[swing[1]]
                below[j] = below.get(j, 0) + down(i, j)
                if below[j] >= 2:
                    swing = ("high", highest(0, i))
                    return NEW_HIGH, high[swing[1]]
            return NOTHING, 0.0
        is_low = swing[0] == "low"
        for j in range(begin, i):
            book, moved = (below, down(i, j)) if is_low else (above, up(i, j))
            book[j] = book.get(j, 0) + moved
            if moved and book[j] >= 2:
                swing = ("high", highest(begin, i)) if is_low else ("low", lowest(begin, i))
                return (NEW_HIGH, high[swing[1]]) if is_low else (NEW_LOW, low[swing[1]])
        for j in range(begin, i):
            book, moved = (above, up(i, j)) if is_low else (below, down(i, j))
            book[j] = book.get(j, 0) + moved
            if not moved or book[j] < 2:
                continue
            if is_low and low[lowest(begin, i)] < low[swing[1]]:
                swing = ("low", lowest(begin, i))
                return LOWER_LOW, low[swing[1]]
            if not is_low and high[highest(begin, i)] > high[swing[1]]:
                swing = ("high", highest(begin, i))
                return HIGHER_HIGH, high[swing[1]]
        return NOTHING, 0.0

    for i in range(len(close)):
        event = bar(i)
        if event[0] in (NEW_LOW, NEW_HIGH):
            above.clear()
            below.clear()
        reported.append(event)
    return reported


def test_kernel_equals_the_rules_word_by_word_on_random_days() -> None:
    rng = np.random.default_rng(11)
    seen: dict[int, int] = {}
    for _ in range(25):
        close = np.round(150 + np.cumsum(rng.normal(size=120)), 1)
        high, low = close + np.round(rng.random(120), 1), close - np.round(rng.random(120), 1)
        found = swings(high, low, close, np.zeros(120))
        for i, (event, price) in enumerate(by_the_words(high, low, close)):
            assert found.event[i] == event, i
            seen[event] = seen.get(event, 0) + 1
            if event in (NEW_LOW, LOWER_LOW):
                assert found.low[i] == price
            elif event in (NEW_HIGH, HIGHER_HIGH):
                assert found.high[i] == price
    assert set(seen) == {NOTHING, NEW_LOW, NEW_HIGH, LOWER_LOW, HIGHER_HIGH}
