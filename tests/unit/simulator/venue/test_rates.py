"""The simulator's own count of calls within a second."""

from __future__ import annotations

from mytrading.core.time import SECOND
from mytrading.simulator.venue.venue import CallRates, Seconds

MS = 1_000_000


def test_most_within_a_rolling_second_is_seen_across_the_turn_of_a_second() -> None:
    seconds = Seconds()
    for at in (0, 800 * MS, 900 * MS, SECOND + 100 * MS, SECOND + 790 * MS, 3 * SECOND):
        seconds.count(at)
    assert seconds.row() == {"calls": 6, "most_rolling": 4, "most_calendar": 3}


def test_calls_are_counted_by_what_their_limit_is_for() -> None:
    rates = CallRates()
    for route, order in (("placeorder", True), ("cancelorder", True), ("placesmartorder", True), ("orderbook", False)):
        rates.count(route, order, 5 * SECOND)
    assert {name: row["calls"] for name, row in rates.rows().items()} == {"orders": 2, "smart_orders": 1, "data": 1}
