"""Entries as the limits of a minute and of a session count them."""

from __future__ import annotations

from mytrading.core.risk.state.folds import count_entry
from mytrading.core.risk.state.state import RiskState
from mytrading.core.time import DAY, MINUTE, SECOND
from tests.kit.risk_bench import RiskBench

NINE = 3 * 3600 * SECOND + 45 * MINUTE
"""09:15 in India on 1970-01-01."""


def state(*times: int) -> RiskState:
    made = RiskBench().machine.state
    for at_ns in times:
        count_entry(made.entry_times.setdefault("S", []), at_ns)
    return made


def test_entries_of_a_session_are_counted_however_many_there_are() -> None:
    """Only the last 256 were kept: a limit above that was never reached."""
    made = state(*(NINE + number * SECOND for number in range(400)))
    assert made.entries_since("S", NINE) == 400
    assert made.entries_since("S", NINE + 399 * SECOND) == 1
    assert made.entries_since("nobody", NINE) == 0


def test_entry_of_an_older_intent_hides_none_of_the_minute() -> None:
    """An intent that waited enters after a newer one; counting backwards stopped at it."""
    made = state(NINE + 30 * SECOND, NINE)
    assert made.entries_since("S", NINE + 70 * SECOND - MINUTE + 1) == 1


def test_entries_of_an_earlier_day_are_forgotten_with_the_first_of_the_next() -> None:
    made = state(NINE, NINE + SECOND, NINE + DAY)
    assert made.entry_times["S"] == [NINE + DAY]
