"""Minutes of sampled indices: how many samples make a bar, and what becomes of a minute with fewer or none."""

from __future__ import annotations

from mytrading.core.bars.builder import Closed
from mytrading.core.bars.sampled import SampledMinutes
from mytrading.core.time import MINUTE
from mytrading.messages.market import Bar

NIFTY, SBIN = "NSE_INDEX:NIFTY", "NSE:SBIN"
START = 1_000 * MINUTE


def closed(name: str, minute: int, samples: int, *, whole: bool = True) -> Closed:
    start = START + minute * MINUTE
    return Closed(Bar(name, "1m", start, start + MINUTE, 1, 1, 1, 1, 0, samples), whole)


def made() -> SampledMinutes:
    minutes = SampledMinutes()
    minutes.follow([NIFTY], START - MINUTE + 1)
    return minutes


def test_twenty_samples_make_a_bar_and_nineteen_do_not() -> None:
    minutes = made()
    assert minutes.judge(closed(NIFTY, 0, 20)).whole
    assert not minutes.judge(closed(NIFTY, 1, 19)).whole
    assert not minutes.judge(closed(NIFTY, 2, 60, whole=False)).whole


def test_bar_of_an_instrument_that_is_not_sampled_needs_one_quote() -> None:
    assert made().judge(closed(SBIN, 0, 1)).whole


def test_minute_without_a_sample_is_missed_once_and_only_in_session() -> None:
    minutes = made()
    minutes.judge(closed(NIFTY, 0, 20))
    assert minutes.take_missed(START + MINUTE, lambda *_: True) == []
    assert minutes.take_missed(START + 2 * MINUTE + 7, lambda *_: True) == [(NIFTY, START + 2 * MINUTE)]
    assert minutes.take_missed(START + 2 * MINUTE + 9, lambda *_: True) == []
    assert minutes.take_missed(START + 3 * MINUTE, lambda *_: False) == []


def test_minute_in_which_sampling_began_is_not_judged() -> None:
    minutes = SampledMinutes()
    minutes.follow([NIFTY], START + 30)
    assert minutes.take_missed(START + MINUTE, lambda *_: True) == []
    assert minutes.take_missed(START + 2 * MINUTE, lambda *_: True) == [(NIFTY, START + 2 * MINUTE)]
