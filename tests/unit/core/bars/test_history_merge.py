"""Live bars and history: what is held, what is repaired, what is given up, always in order."""

from __future__ import annotations

import pytest

from mytrading.core.bars.builder import Closed
from mytrading.core.bars.history_merge import (
    EACH_NS,
    LAG_NS,
    PATIENCE_NS,
    TRIES,
    Fetch,
    HistoryMerge,
    contradiction,
    covered_until,
)
from mytrading.core.time import MINUTE
from mytrading.messages.market import Bar

MARGIN = 2_000_000_000
NIFTY = "NSE_INDEX:NIFTY"
LATE = 10**18
"""Long after every bar here: only instruments whose live bars are withheld are behind then."""


def bar(number: int, close: float = 100.0) -> Bar:
    return Bar(NIFTY, "1m", number * MINUTE, (number + 1) * MINUTE, 100.0, 101.0, 99.0, close)


def live(number: int, whole: bool = True) -> Closed:
    return Closed(bar(number, 100.0 if whole else 55.0), whole)


def resumed(minute: int) -> HistoryMerge:
    merge = HistoryMerge(MARGIN)
    merge.add_instrument(NIFTY)
    merge.request_history_until(NIFTY, (minute + 1) * MINUTE)
    return merge


def after(minute: int) -> int:
    return (minute + 1) * MINUTE + MARGIN


def test_instrument_without_history_delivers_whole_bars_only() -> None:
    merge = HistoryMerge(MARGIN)
    assert merge.add_live_bar(live(1, whole=False)) == []
    assert merge.add_live_bar(live(2)) == [bar(2)]
    assert merge.gaps == 0


def test_first_partial_minute_is_repaired_from_history_and_live_bars_follow() -> None:
    merge = resumed(5)
    assert merge.add_live_bar(live(5, whole=False)) == []
    assert merge.take_due_requests(after(5) - 1, 0) == []
    (fetch,) = merge.take_due_requests(after(5), 0)
    assert fetch == Fetch(NIFTY, 6 * MINUTE)
    assert merge.take_due_requests(after(5), 0) == []
    assert merge.add_live_bar(live(6)) == []
    history = [bar(number, 77.0) for number in range(6)]
    assert merge.apply_history(fetch, history, history, after(6)) == [bar(5, 77.0), bar(6)]
    assert merge.add_live_bar(live(7)) == [bar(7)]
    assert merge.gaps == 0


def test_bar_that_the_store_had_already_is_not_delivered_again() -> None:
    merge = resumed(5)
    merge.add_live_bar(live(5, whole=False))
    (fetch,) = merge.take_due_requests(after(5), 0)
    assert merge.apply_history(fetch, [bar(5)], [], after(5)) == []
    assert merge.gaps == 0


def test_history_that_lags_is_asked_again() -> None:
    merge = resumed(5)
    merge.add_live_bar(live(5, whole=False))
    (fetch,) = merge.take_due_requests(after(5), 0)
    assert merge.apply_history(fetch, [bar(4)], [bar(4)], after(5)) == []
    assert merge.take_due_requests(after(5) + MARGIN - 1, 0) == []
    (again,) = merge.take_due_requests(after(5) + MARGIN, 0)
    assert merge.apply_history(again, [bar(4), bar(5, 77.0)], [bar(5, 77.0)], after(6)) == [bar(5, 77.0)]


def test_final_answer_without_the_minute_holds_live_bars_back_no_longer() -> None:
    """An option that did not trade, or a broker without history."""
    merge = resumed(5)
    merge.add_live_bar(live(5, whole=False))
    merge.add_live_bar(live(6))
    (fetch,) = merge.take_due_requests(after(5), 0)
    assert merge.apply_history(fetch, [], [], after(6), final=True) == [live(6).bar]
    assert merge.take_due_requests(after(9), 0) == []


def test_history_that_never_has_the_minute_leaves_a_counted_gap() -> None:
    merge = resumed(5)
    merge.add_live_bar(live(5, whole=False))
    merge.add_live_bar(live(6))
    now, delivered = after(5), []
    for _ in range(TRIES):
        (fetch,) = merge.take_due_requests(now, 0)
        delivered = merge.apply_history(fetch, [], [], now)
        now += MARGIN
    assert delivered == [bar(6)]
    assert merge.gaps == 1
    assert merge.instruments_behind(LATE) == ()


def test_history_that_fails_is_given_up_and_whole_bars_go_on() -> None:
    merge = resumed(5)
    merge.add_live_bar(live(6))
    now, delivered = after(5), []
    for _ in range(TRIES):
        (fetch,) = merge.take_due_requests(now, 0)
        delivered = merge.apply_failure(fetch, now)
        now += MARGIN
    assert delivered == [bar(6)]


def test_history_that_does_not_answer_holds_bars_no_longer_than_the_patience() -> None:
    merge = resumed(5)
    (fetch,) = merge.take_due_requests(after(5), 1000)
    merge.add_live_bar(live(6))
    assert merge.release_overdue(1000 + PATIENCE_NS - 1) == []
    assert merge.release_overdue(1000 + PATIENCE_NS) == [bar(6)]
    assert merge.apply_history(fetch, [bar(5)], [bar(5)], after(9)) == []


def test_answer_to_a_question_from_before_an_interruption_releases_nothing() -> None:
    merge = resumed(5)
    (old,) = merge.take_due_requests(after(5), 0)
    merge.hold_back_all()
    merge.add_live_bar(live(6, whole=False))
    assert merge.apply_history(old, [bar(5)], [bar(5)], after(6)) == []
    merge.request_history_until(NIFTY, 8 * MINUTE)
    merge.add_live_bar(live(7, whole=False))
    assert merge.apply_history(old, [bar(5)], [], after(7)) == []
    (fetch,) = merge.take_due_requests(after(7), 0)
    history = [bar(6, 66.0), bar(7, 77.0)]
    assert merge.apply_history(fetch, history, history, after(7)) == history


def test_bars_of_a_loss_are_held_from_the_interruption_on() -> None:
    merge = HistoryMerge(MARGIN)
    merge.add_instrument(NIFTY)
    merge.request_history_until(NIFTY, 0)
    (fetch,) = merge.take_due_requests(MARGIN, 0)
    assert merge.apply_history(fetch, [], [], MARGIN) == []
    assert merge.add_live_bar(live(1)) == [bar(1)]
    merge.hold_back_all()
    assert merge.add_live_bar(live(2, whole=False)) == []
    assert merge.instruments_behind(LATE) == (NIFTY,)
    assert merge.take_due_requests(10 * MINUTE, 0) == []


def covered(minute: int) -> HistoryMerge:
    """All bars that ended with the minute are stored; data flow again in the second one after it."""
    merge = HistoryMerge(MARGIN)
    merge.add_instrument(NIFTY, (minute + 1) * MINUTE)
    merge.request_history_until(NIFTY, (minute + 3) * MINUTE)
    return merge


def given_up(merge: HistoryMerge, upto: int) -> None:
    now = upto + MARGIN
    for _ in range(TRIES):
        (fetch,) = merge.take_due_requests(now, 0)
        merge.apply_failure(fetch, now)
        now += MARGIN


def test_instrument_is_behind_only_once_a_minute_that_it_missed_is_over() -> None:
    merge = HistoryMerge(MARGIN)
    merge.add_instrument(NIFTY, 5 * MINUTE)
    merge.request_history_until(NIFTY, 6 * MINUTE)
    assert merge.instruments_behind(6 * MINUTE - 1) == ()
    assert merge.instruments_behind(6 * MINUTE) == (NIFTY,)
    (fetch,) = merge.take_due_requests(6 * MINUTE + MARGIN, 0)
    merge.apply_history(fetch, [bar(5)], [bar(5)], 6 * MINUTE + MARGIN)
    assert (merge.instruments_behind(9 * MINUTE), merge.instruments_with_gaps) == ((), ())


def test_gap_that_history_never_fills_is_a_hole_until_it_does() -> None:
    merge = covered(4)
    given_up(merge, 7 * MINUTE)
    assert merge.instruments_behind(LATE) == ()
    assert merge.instruments_with_gaps == (NIFTY,)
    merge.apply_history(Fetch(NIFTY, 8 * MINUTE), [bar(5)], [bar(5)], 8 * MINUTE)
    assert merge.instruments_with_gaps == (NIFTY,)
    history = [bar(number) for number in range(9)]
    merge.apply_history(Fetch(NIFTY, 9 * MINUTE), history, history[5:7], 9 * MINUTE)
    assert merge.instruments_with_gaps == ()


def test_hole_moves_no_noted_time_on_and_its_repair_does() -> None:
    merge = covered(4)
    given_up(merge, 7 * MINUTE)
    assert merge.mark_complete(8 * MINUTE) == []
    merge.apply_history(Fetch(NIFTY, 9 * MINUTE), [bar(8)], [], 9 * MINUTE)
    assert merge.mark_complete(9 * MINUTE) == [NIFTY]
    assert merge.mark_complete(9 * MINUTE) == []


def test_minute_that_later_history_passes_over_was_not_traded_and_is_no_hole() -> None:
    merge = covered(4)
    merge.add_live_bar(live(6, whole=False))
    now = 7 * MINUTE + MARGIN
    for _ in range(TRIES):
        (fetch,) = merge.take_due_requests(now, 0)
        merge.apply_history(fetch, [bar(5), bar(7)], [bar(5)], now)
        now += MARGIN
    assert merge.instruments_behind(LATE) == ()
    assert merge.instruments_with_gaps == ()


def test_history_that_never_came_leaves_no_hole_in_bars_that_begin_after_it() -> None:
    merge = resumed(5)
    given_up(merge, 6 * MINUTE)
    assert merge.instruments_with_gaps == ()
    assert merge.add_live_bar(live(6)) == [bar(6)]
    assert merge.mark_complete(7 * MINUTE) == [], "without history nothing is known of what was before"


def test_held_bars_are_not_covered() -> None:
    merge = covered(4)
    assert merge.mark_complete(9 * MINUTE) == []


def test_newest_minutes_that_history_lacks_are_believed_missing_for_three_minutes_only() -> None:
    assert covered_until([bar(4)], 6 * MINUTE) == 5 * MINUTE
    assert covered_until([bar(4)], 5 * MINUTE + LAG_NS) == 5 * MINUTE + LAG_NS
    assert covered_until([], 6 * MINUTE) == 6 * MINUTE


def test_last_of_many_questions_is_waited_for_as_long_as_those_before_it_take() -> None:
    merge = HistoryMerge(MARGIN)
    names = [f"NSE:S{number}" for number in range(40)]
    for name in names:
        merge.add_instrument(name, 5 * MINUTE)
        merge.request_history_until(name, 6 * MINUTE)
    assert len(merge.take_due_requests(6 * MINUTE + MARGIN, 0, ahead=10)) == 40
    merge.release_overdue(PATIENCE_NS + 40 * EACH_NS)
    assert merge.instruments_behind(LATE) == tuple(names[31:])


@pytest.mark.parametrize(
    ("instrument", "price", "minutes_before", "refused"),
    [
        ("NSE_INDEX:NIFTY", 26_200.0, 1, True),
        ("NSE_INDEX:NIFTY", 25_500.0, 1, False),
        ("NSE_INDEX:NIFTY", 0.0, 1, False),
        ("NSE_INDEX:NIFTY", 26_200.0, 30, False),
        ("NFO:NIFTY01DEC2625400CE", 120.0, 1, False),
    ],
)
def test_history_far_from_the_quotes_of_its_last_minutes_is_refused(
    instrument: str, price: float, minutes_before: int, refused: bool
) -> None:
    """After an outage an option was chosen by a fetched bar 800 points off."""
    end = 100 * MINUTE
    fetched = [
        Bar(instrument, "1m", at - MINUTE, at, close, close, close, close, 0, 0, 0)
        for at, close in ((end - 60 * MINUTE, 26_190.0), (end - minutes_before * MINUTE, 25_400.0))
    ]
    assert bool(contradiction(Fetch(instrument, end, price=price), fetched)) is refused
    assert contradiction(Fetch(instrument, end, price=price), []) == ""
