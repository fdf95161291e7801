"""Proofs about history, on series made here by hand: stamps of each broker's kind, and what only looks like one."""

from __future__ import annotations

import tomllib
from datetime import date, time, timedelta

import pytest

from mytrading.core.bars import history_proofs as proofs
from mytrading.core.calendar import Calendar
from mytrading.core.time import MINUTE, to_ns
from mytrading.messages.brokers import HistoryRules
from mytrading.messages.market import Bar
from tests.kit.project import ROOT

CALENDAR = Calendar.from_dict(tomllib.loads((ROOT / "config/calendar.toml").read_text(encoding="utf-8")))
MON, TUE, WED, THU, FRI = (date(2026, 7, day) for day in range(13, 18))
"""A week without holidays, before the closing auction: NSE trades from 09:15 to 15:30, MCX from 09:00 to 23:30."""
TODAY = date(2026, 7, 20)
AUCTION_DAY = date(2026, 11, 18)
"""NSE closes at 15:15 on it, and its auction ends at 15:35."""
SBIN, NIFTY, GOLD = "NSE:SBIN", "NSE_INDEX:NIFTY", "MCX:GOLD05AUG26FUT"


def starts(day: date, begin: str, minutes: int, late: int = 0) -> list[int]:
    """Starts of consecutive minutes from an Indian time of a day, stamped `late` minutes too late."""
    first = to_ns(day, time.fromisoformat(begin)) + late * MINUTE
    return [first + number * MINUTE for number in range(minutes)]


def bars(at: list[int], instrument: str = SBIN, ticks: int = 0) -> list[Bar]:
    return [Bar(instrument, "1m", start, start + MINUTE, 1.0, 1.0, 1.0, 1.0, 5, ticks) for start in at]


def nse(*days: date, late: int = 0) -> list[int]:
    return [start for day in days for start in starts(day, "09:15", 375, late)]


# shifted minutes: a wrong one is believed


@pytest.mark.parametrize("late", [30, 330, -330, -30, 15])
def test_minutes_of_whole_days_shifted_are_proven_with_their_number(late: int) -> None:
    assert proofs.minutes_late(nse(THU, FRI, late=late), CALENDAR, "NSE", TODAY) == late


def test_an_evening_past_midnight_shifted_by_five_and_a_half_hours_is_one_block_and_proven() -> None:
    # 09:00–23:30 at +5:30 runs from 14:30 to 05:00 of the next day, on Friday into Saturday.
    found = starts(THU, "09:00", 870, 330) + starts(FRI, "09:00", 870, 330)
    assert proofs.minutes_late(found, CALENDAR, "MCX", TODAY) == 330


def test_a_day_with_an_auction_shifted_by_thirty_minutes_is_proven() -> None:
    assert proofs.minutes_late(starts(AUCTION_DAY, "09:15", 360, 30), CALENDAR, "NSE", date(2026, 11, 25)) == 30


def test_a_shift_is_proven_although_the_last_minutes_of_the_day_had_no_trade() -> None:
    assert proofs.minutes_late(starts(FRI, "09:15", 368, 30), CALENDAR, "NSE", TODAY) == 30


# shifted minutes: a right one is refused


@pytest.mark.parametrize("exchange, found", [
    ("NSE", nse(THU, FRI)),
    ("MCX", starts(THU, "09:00", 870) + starts(FRI, "09:00", 870)),
    ("NSE", starts(FRI, "09:00", 8) + nse(FRI) + starts(FRI, "15:30", 10)),  # pre-open, and prints after the close
    ("NSE", starts(AUCTION_DAY, "09:15", 380)),  # to the end of the auction
], ids=["nse", "mcx", "preopen", "auction"])  # fmt: skip
def test_minutes_in_place_are_proven_to_be_there(exchange: str, found: list[int]) -> None:
    assert proofs.minutes_late(found, CALENDAR, exchange, date(2026, 11, 25)) == 0


def test_a_share_first_traded_late_that_printed_in_the_auction_is_not_shifted() -> None:
    found = starts(AUCTION_DAY, "09:31", 340) + starts(AUCTION_DAY, "15:34", 1)  # both ends 16 to 20 minutes off
    assert proofs.minutes_late(found, CALENDAR, "NSE", date(2026, 11, 25)) == 0


def test_a_pre_open_bar_before_a_quiet_afternoon_is_not_shifted() -> None:
    found = starts(FRI, "09:00", 1) + starts(FRI, "09:15", 360)  # 15 minutes early, and the last at 15:14
    assert proofs.minutes_late(found, CALENDAR, "NSE", TODAY) == 0


def test_one_prolonged_day_beside_an_ordinary_one_is_not_shifted() -> None:
    found = nse(THU) + starts(FRI, "09:45", 375)
    assert proofs.minutes_late(found, CALENDAR, "NSE", TODAY) == 0


def test_a_half_traded_instrument_proves_nothing_shifted() -> None:
    found = [start for number, start in enumerate(nse(FRI)) if number % 2 and number > 40]  # from 09:56 to 15:29
    assert proofs.minutes_late(found, CALENDAR, "NSE", TODAY) == 0


@pytest.mark.parametrize("found, exchange, today", [
    (nse(FRI, late=30), "NSE", FRI),  # of today
    (starts(FRI, "09:45", 99), "NSE", TODAY),  # fewer than a hundred bars
    (nse(date(2021, 7, 16), late=30), "NSE", TODAY),  # a year without holidays
    (nse(FRI, late=30), "NYSE", TODAY),  # an exchange that is not listed
    (starts(date(2026, 7, 18), "09:45", 375), "NSE", TODAY),  # a Saturday's session that the calendar does not know
], ids=["today", "short", "year", "exchange", "saturday"])  # fmt: skip
def test_a_shift_is_not_proven_by_what_proves_nothing(found: list[int], exchange: str, today: date) -> None:
    assert proofs.minutes_late(found, CALENDAR, exchange, today) is None


def test_an_evening_session_of_an_hour_proves_nothing() -> None:
    muhurat = date(2025, 10, 21)
    assert CALENDAR.session("NSE", muhurat) is not None
    found = starts(muhurat, "13:45", 60)
    assert proofs.minutes_late(found, CALENDAR, "NSE", TODAY) is None


def test_a_shift_is_made_good_only_where_the_table_knows_it() -> None:
    knows, other = HistoryRules(minutes_late=30), HistoryRules()
    assert "30 minutes late" in proofs.why_shifted(30, other)
    assert "330 minutes late" in proofs.why_shifted(330, knows)
    assert proofs.why_shifted(30, knows) == proofs.why_shifted(0, knows) == proofs.why_shifted(None, other) == ""
    assert [proofs.correction_minutes(late, knows) for late in (30, None, 0, 330)] == [30, 30, 0, 0]
    assert proofs.correction_minutes(None, other) == 0


def test_the_day_that_proves_a_shift_is_the_last_ordinary_one() -> None:
    assert proofs.last_whole_day(CALENDAR, "NSE", TODAY) == FRI
    assert proofs.last_whole_day(CALENDAR, "NSE", date(2025, 10, 22)) == date(2025, 10, 20)  # Muhurat on the 21st
    assert proofs.last_whole_day(CALENDAR, "NSE", date(2021, 7, 20)) is None
    assert proofs.last_whole_day(CALENDAR, "NYSE", TODAY) is None


def test_indices_prove_a_source_before_shares_and_futures_and_options_never() -> None:
    option = "NFO:NIFTY28JUL2625000CE"
    assert proofs.probe_candidates([option, GOLD, SBIN, NIFTY, SBIN]) == (NIFTY, SBIN, GOLD)


# bars outside sessions


def test_bars_outside_continuous_trading_are_left_out_and_counted() -> None:
    found = bars(starts(FRI, "09:00", 8) + nse(FRI) + starts(FRI, "15:30", 2))
    kept = proofs.leave_out_outside(found, CALENDAR, "NSE")
    assert ([bar.start_ns for bar in kept.bars], kept.outside) == (nse(FRI), 10)


@pytest.mark.parametrize("day, exchange", [
    (date(2026, 7, 18), "NSE"), (date(2021, 7, 16), "NSE"), (FRI, "NYSE"),
], ids=["saturday", "year", "exchange"])  # fmt: skip
def test_bars_are_kept_where_the_calendar_knows_no_session(day: date, exchange: str) -> None:
    found = bars(starts(day, "08:00", 5))
    assert proofs.leave_out_outside(found, CALENDAR, exchange) == (tuple(found), 0)


# days a day early


def week_days(first: date, weeks: int) -> list[date]:
    return [first + timedelta(days=7 * week + day) for week in range(weeks) for day in range(5)]


def test_days_a_day_early_are_proven_with_a_holiday_among_them() -> None:
    # Three weeks from Mon 18 May 2026; Thu 28 May is Bakri Id. The candle of each day is dated the day before.
    true = [day for day in week_days(date(2026, 5, 18), 3) if day != date(2026, 5, 28)]
    assert CALENDAR.holiday_name("NSE", date(2026, 5, 28)), "the holiday that this test stands on"
    stamped = [day - timedelta(days=1) for day in true]
    found = proofs.day_shift(stamped, CALENDAR, "NSE", date(2026, 5, 18), date(2026, 6, 5))
    assert (found.proven, found.days_early) == (True, 1)
    assert "1 day early" in proofs.why_days_shifted(found, HistoryRules())
    assert proofs.why_days_shifted(found, HistoryRules(days_early=1)) == ""


def test_a_single_week_a_day_early_is_proven_and_a_day_late_too() -> None:
    true = [MON, TUE, WED, THU, FRI]
    for off in (1, -1):
        stamped = [day - timedelta(days=off) for day in true]
        assert proofs.day_shift(stamped, CALENDAR, "NSE", MON, FRI)[:2] == (True, off)


def test_days_a_day_early_of_a_share_listed_within_the_range_are_proven() -> None:
    # Asked from 18 May on; the first trade was on Wednesday 10 June, which stands on the 9th.
    true = week_days(date(2026, 6, 8), 3)[2:14]  # to Thursday the 25th; the 26th is a holiday
    stamped = [day - timedelta(days=1) for day in true]
    found = proofs.day_shift(stamped, CALENDAR, "NSE", date(2026, 5, 18), date(2026, 6, 25))
    assert (found.proven, found.days_early) == (True, 1)
    assert not proofs.day_shift(true, CALENDAR, "NSE", date(2026, 5, 18), date(2026, 6, 25)).proven


def test_days_shifted_in_each_week_by_no_fixed_number_are_refused() -> None:
    stamped = [date(2026, 7, 12), MON, WED, THU, date(2026, 7, 18), date(2026, 7, 19), date(2026, 7, 21)]
    found = proofs.day_shift(stamped, CALENDAR, "NSE", MON, date(2026, 7, 24))
    assert (found.proven, found.days_early) == (True, 0)
    assert "wrong days" in proofs.why_days_shifted(found, HistoryRules(days_early=1))


def test_right_days_are_believed_and_a_single_bar_on_a_closed_day_is_named() -> None:
    saturday = date(2026, 7, 18)
    true = week_days(MON, 3)
    assert proofs.day_shift(true, CALENDAR, "NSE", true[0], true[-1]) == (False, 0, (), 3)
    found = proofs.day_shift([*true, saturday], CALENDAR, "NSE", true[0], true[-1])
    assert found == (False, 0, (saturday,), 3), "a special session that the calendar does not know"


def test_a_special_saturday_and_a_day_without_trade_in_one_week_prove_nothing() -> None:
    found = proofs.day_shift([MON, TUE, THU, FRI, date(2026, 7, 18)], CALENDAR, "NSE", MON, date(2026, 7, 18))
    assert not found.proven
    other = [*week_days(MON, 3)[5:], MON, TUE, THU, FRI, date(2026, 7, 18)]
    assert not proofs.day_shift(other, CALENDAR, "NSE", MON, date(2026, 7, 31)).proven, "the other weeks are in order"


def test_days_of_years_and_exchanges_without_a_calendar_prove_nothing() -> None:
    early = [day - timedelta(days=1) for day in week_days(date(2021, 7, 12), 3)]
    assert not proofs.day_shift(early, CALENDAR, "NSE", early[0], early[-1]).proven
    now = [day - timedelta(days=1) for day in week_days(MON, 3)]
    assert not proofs.day_shift(now, CALENDAR, "NYSE", now[0], now[-1]).proven


def test_listed_saturday_sessions_are_trading_days() -> None:
    budget = date(2025, 2, 1)
    assert CALENDAR.is_trading_day("NSE", budget)
    true = [*week_days(date(2025, 1, 27), 2), budget]
    assert proofs.day_shift(true, CALENDAR, "NSE", true[0], date(2025, 2, 7)) == (False, 0, (), 2)


# empty answers


def test_an_empty_answer_of_whole_days_is_a_problem_for_index_share_and_nearest_future() -> None:
    near = "NFO:NIFTY28JUL26FUT"
    for name in (SBIN, NIFTY, near):
        wanted = proofs.days_to_have_bars(name, CALENDAR, MON, FRI, TODAY)
        assert wanted == [MON, TUE, WED, THU, FRI]
        found = proofs.judge_empty(name, wanted, source_answers=True)
        assert not found.believed and name in found.problem and "5 trading days" in found.problem


@pytest.mark.parametrize("name, first, last", [
    ("NFO:NIFTY28JUL2625000CE", MON, FRI),
    ("NFO:NIFTY29SEP26FUT", MON, FRI),  # two months before its expiry
    (SBIN, TODAY, TODAY),
    (SBIN, date(2026, 7, 18), date(2026, 7, 19)),  # a weekend
    (SBIN, date(2021, 7, 12), date(2021, 7, 16)),
    ("NYSE:IBM", MON, FRI),
], ids=["option", "far", "today", "weekend", "year", "exchange"])  # fmt: skip
def test_other_empty_answers_are_believed_of_a_source_that_answers(name: str, first: date, last: date) -> None:
    wanted = proofs.days_to_have_bars(name, CALENDAR, first, last, TODAY)
    assert wanted == []
    assert proofs.judge_empty(name, wanted, source_answers=True) == (True, "")
    assert proofs.judge_empty(name, wanted, source_answers=False) == (False, "")


def test_lost_stretches_are_three_trading_days_in_a_row() -> None:
    wanted = week_days(MON, 2)
    assert proofs.lost_stretches(wanted, {*wanted} - {TUE, WED}) == []
    assert proofs.lost_stretches(wanted, {*wanted} - {THU, FRI, date(2026, 7, 20)}) == [(THU, date(2026, 7, 20))]
    assert proofs.lost_stretches(wanted, set()) == [(MON, date(2026, 7, 24))]


# holes


def lack_of(found: list[Bar], name: str = SBIN, upto: str = "11:00", begin: int = 0) -> proofs.Lack | None:
    """What is missing on Friday up to a time, and on Thursday."""
    return proofs.lacking_minutes(found, name, CALENDAR, begin, to_ns(FRI, time.fromisoformat(upto)), THU)


def at(day: date, clock: str) -> int:
    return to_ns(day, time.fromisoformat(clock))


def test_the_newest_minutes_cut_off_are_a_gap() -> None:
    found = bars(nse(WED, THU) + starts(FRI, "09:15", 15))
    lack = lack_of(found)
    assert lack is not None
    assert (lack.since_ns, lack.gaps) == (at(THU, "09:15"), ((at(FRI, "09:30"), at(FRI, "11:00")),))


def test_a_gap_shorter_than_thirty_minutes_is_none() -> None:
    assert lack_of(bars(nse(WED, THU) + starts(FRI, "09:15", 76))) is None  # 29 of 105 are missing
    assert lack_of(bars(nse(WED, THU) + starts(FRI, "09:15", 75))) is not None


def test_a_missing_last_day_is_a_gap_by_the_day_before_it() -> None:
    lack = lack_of(bars(nse(WED) + starts(FRI, "09:15", 105)))
    assert lack is not None and lack.gaps == ((at(THU, "09:15"), at(THU, "15:30")),)


def test_a_half_traded_instrument_has_no_gaps() -> None:
    half = [start for number, start in enumerate(nse(WED, THU)) if number % 2]
    assert lack_of(bars(half + starts(FRI, "09:15", 15))) is None


def test_a_share_or_contract_that_began_today_lacks_nothing_before_but_an_index_does() -> None:
    young = starts(FRI, "10:00", 60)
    assert lack_of(bars(young)) is None
    index = lack_of(bars(young, NIFTY), NIFTY)
    assert index is not None and index.gaps[-1] == (at(FRI, "09:15"), at(FRI, "10:00"))


def test_bars_of_an_option_and_years_without_calendar_are_not_judged() -> None:
    option = "NFO:NIFTY28JUL2625000CE"
    assert lack_of(bars(nse(WED), option), option) is None
    old = date(2021, 7, 15)
    assert proofs.lacking_minutes([], NIFTY, CALENDAR, 0, at(date(2021, 7, 16), "11:00"), old) is None


def test_minutes_before_what_was_asked_for_are_not_judged() -> None:
    found = bars(nse(WED, THU) + starts(FRI, "09:15", 15))
    assert lack_of(found, begin=at(FRI, "10:31")) is None
    lack = lack_of(found, begin=at(FRI, "10:00"))
    assert lack is not None and lack.gaps == ((at(FRI, "10:00"), at(FRI, "11:00")),)


def test_a_halt_is_enclosed_by_fetched_bars_and_lacking_of_another_instrument() -> None:
    halted = nse(WED, THU) + starts(FRI, "09:15", 45) + starts(FRI, "10:45", 15)
    share, index = lack_of(bars(halted)), lack_of(bars(halted, NIFTY), NIFTY)
    assert share is not None and index is not None and share.halts == ((at(FRI, "10:00"), at(FRI, "10:45")),)
    assert proofs.without_halts({SBIN: share, NIFTY: index}) == {}
    assert set(proofs.without_halts({SBIN: share})) == {SBIN}, "of one instrument alone it is a hole"
    gold = share._replace()
    assert set(proofs.without_halts({SBIN: share, GOLD: gold})) == {SBIN, GOLD}, "another exchange"


def test_newest_minutes_cut_off_of_all_instruments_are_no_halt() -> None:
    """FA14: the server cuts all alike, and live bars come after the hole."""
    cut = bars(nse(WED, THU) + starts(FRI, "09:15", 45)) + bars(starts(FRI, "10:45", 15), ticks=9)
    share, index = lack_of(cut), lack_of([*cut], NIFTY)
    assert share is not None and index is not None
    assert set(proofs.without_halts({SBIN: share, NIFTY: index})) == {SBIN, NIFTY}


GAP = (at(FRI, "09:55"), at(FRI, "15:24"))
NOW = at(FRI, "15:25")


def gap_for(minutes: int, gaps: tuple[tuple[int, int], ...] = (GAP,), now: int = NOW) -> tuple[int, int] | None:
    return proofs.lookback_gap(at(THU, "09:15"), gaps, CALENDAR, "NSE", minutes, now)


def test_a_lookback_over_a_hole_lacks_it_and_one_that_begins_after_it_does_not() -> None:
    """329 minutes are missing at 15:25, as they were at a server in another zone."""
    assert gap_for(250) == (at(FRI, "11:15"), at(FRI, "15:24"))
    assert gap_for(600) == GAP, "it reaches into the day before"
    assert gap_for(30, now=at(MON + timedelta(days=7), "09:40")) is None
    assert gap_for(1) is None and gap_for(0) is None


def test_a_hole_of_less_than_a_tenth_of_a_lookback_is_tolerated() -> None:
    thirty = ((at(FRI, "10:00"), at(FRI, "10:30")),)
    assert gap_for(300, thirty, at(FRI, "12:00")) is None  # 30 of 300: 90 % are there
    assert gap_for(299, thirty, at(FRI, "12:00")) == thirty[0]
    assert gap_for(299, ((at(FRI, "10:00"), at(FRI, "10:29")),), at(FRI, "12:00")) is None, "29 in a row"


def test_only_the_two_days_judged_count_for_a_long_lookback() -> None:
    # 375 of Thursday and 45 of Friday are judged: 40 missing of 420 leave 90.5 %, 45 leave 89.3 %.
    assert gap_for(5000, ((at(THU, "10:00"), at(THU, "10:40")),), at(FRI, "10:00")) is None
    assert gap_for(5000, ((at(THU, "10:00"), at(THU, "10:45")),), at(FRI, "10:00")) is not None
