"""What the judge of an hour of prices finds, each from made evidence, and what it lets be."""

from __future__ import annotations

import pytest

from lab.brokers.prices import Looseness, TrueQuote, wrong_bars
from mytrading.core.time import MINUTE, SECOND
from mytrading.messages.market import Bar

BEGIN = 1_794_976_200_000_000_000 // MINUTE * MINUTE
SBIN = "NSE:SBIN"
TRUE = [
    TrueQuote(BEGIN - 5 * SECOND, 99.0, 1_000),
    TrueQuote(BEGIN + 2 * SECOND, 100.0, 1_010),
    TrueQuote(BEGIN + 20 * SECOND, 102.0, 1_050),
    TrueQuote(BEGIN + 40 * SECOND, 98.0, 1_080),
    TrueQuote(BEGIN + 58 * SECOND, 101.0, 1_100),
    TrueQuote(BEGIN + 63 * SECOND, 105.0, 1_200),
]


def bar(o: float = 100.0, h: float = 102.0, l: float = 98.0, c: float = 101.0, volume: int = 100) -> Bar:  # noqa: E741
    return Bar(SBIN, "1m", BEGIN, BEGIN + MINUTE, o, h, l, c, volume, 4, BEGIN + MINUTE)


EXACT = Looseness()


def found(*bars: Bar, loose: Looseness = EXACT) -> list[str]:
    return wrong_bars(SBIN, bars, TRUE, BEGIN, BEGIN + MINUTE, loose)


def test_bar_of_the_true_quotes_is_right() -> None:
    assert found(bar()) == [] and found(bar(o=100.05, c=100.95)) == []


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (bar(h=102.2), "high 102.2"),
        (bar(l=97.0), "low 97"),
        (bar(o=99.0), "open, high, low, close"),
        (bar(c=98.0), "open, high, low, close"),
        (bar(volume=0), "volume 0, 100 were traded"),
        (bar(volume=1_100), "volume 1100"),
    ],
)
def test_wrong_bar_is_named(wrong: Bar, why: str) -> None:
    (line,) = found(wrong)
    assert why in line


def test_missing_bar_is_named_and_a_minute_without_quotes_proves_nothing() -> None:
    (line,) = found()
    assert "no bar, though 4 quotes" in line
    assert wrong_bars(SBIN, (), TRUE, BEGIN - 10 * MINUTE, BEGIN - 9 * MINUTE, EXACT) == []


def test_quotes_near_the_ends_of_a_minute_may_be_counted_to_either() -> None:
    late = bar(o=102.0, h=102.0, volume=90)  # the quote two seconds in was counted to the minute before
    (line,) = found(late)
    assert "open, high, low, close" in line
    assert found(late, loose=Looseness(slack_ns=3 * SECOND)) == []
    (line,) = found(bar(o=102.0, h=102.0, volume=55), loose=Looseness(slack_ns=3 * SECOND))
    assert "volume 55, 90 were traded" in line


def test_what_is_known_to_be_coarse_is_held_to_the_bounds_of_its_minute_alone() -> None:
    assert found(bar(o=99.5, volume=7), loose=Looseness(bounds_only=True)) == []
    assert found(bar(h=105.0), loose=Looseness(bounds_only=True)) != []
    assert found(bar(volume=0), loose=Looseness(counts_volume=False)) == []
