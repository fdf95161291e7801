"""The rate budget in rolling and calendar seconds."""

from __future__ import annotations

import pytest

from mytrading.core.orders.rate_limit import calls_left
from mytrading.core.time import SECOND

MS = 1_000_000


def test_room_without_calls_is_the_limit() -> None:
    assert calls_left((), 5 * SECOND, 8) == 8


def test_room_calls_in_the_rolling_second_count_across_calendar_seconds() -> None:
    stamps = (5 * SECOND - 100 * MS,) * 8
    assert calls_left(stamps, 5 * SECOND + 100 * MS, 8) == 0


def test_room_calls_in_the_calendar_second_count_when_the_window_is_short() -> None:
    stamps = (5 * SECOND + 1,) * 3
    assert calls_left(stamps, 5 * SECOND + 900 * MS, 8, window=100 * MS) == 5


@pytest.mark.parametrize(("age", "free"), [(999 * MS, 0), (1000 * MS, 8), (1500 * MS, 8)])
def test_room_calls_leave_after_a_second(age: int, free: int) -> None:
    start = 7 * SECOND
    assert calls_left((start,) * 8, start + age, 8) == free


def test_room_never_below_zero_when_the_limit_was_lowered() -> None:
    assert calls_left((SECOND,) * 9, SECOND + 1, 4) == 0
