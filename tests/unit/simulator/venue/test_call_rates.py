"""The simulator's own count of calls within a second."""

from __future__ import annotations

from mytrading.core.time import SECOND
from mytrading.simulator.venue.venue import CallCounter

MS = 1_000_000


def test_most_within_a_rolling_second_is_seen_across_the_turn_of_a_second() -> None:
    counter = CallCounter()
    for at in (0, 800 * MS, 900 * MS, SECOND + 100 * MS, SECOND + 790 * MS, 3 * SECOND):
        counter.count(at)
    assert counter.row() == {"calls": 6, "most_rolling": 4, "most_calendar": 3}
