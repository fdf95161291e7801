"""Entries as the limits of a minute and of a session count them."""

from __future__ import annotations

from mytrading.core.risk.books.books import RiskBooks, note_entry
from mytrading.core.time import DAY, MINUTE, SECOND

NINE = 3 * 3600 * SECOND + 45 * MINUTE
"""09:15 in India on 1970-01-01."""


def books(*times: int) -> RiskBooks:
    made = RiskBooks()
    for at_ns in times:
        note_entry(made.entry_times.setdefault("S", []), at_ns)
    return made


def test_entries_of_a_session_are_counted_however_many_there_are() -> None:
    """Only the last 256 were kept: a limit above that was never reached."""
    made = books(*(NINE + number * SECOND for number in range(400)))
    assert made.entries_since("S", NINE) == 400
    assert made.entries_since("S", NINE + 399 * SECOND) == 1
    assert made.entries_since("nobody", NINE) == 0


def test_entry_of_an_older_intent_hides_none_of_the_minute() -> None:
    """An intent that waited enters after a newer one; counting backwards stopped at it."""
    made = books(NINE + 30 * SECOND, NINE)
    assert made.entries_since("S", NINE + 70 * SECOND - MINUTE + 1) == 1


def test_entries_of_an_earlier_day_are_forgotten_with_the_first_of_the_next() -> None:
    made = books(NINE, NINE + SECOND, NINE + DAY)
    assert made.entry_times["S"] == [NINE + DAY]
