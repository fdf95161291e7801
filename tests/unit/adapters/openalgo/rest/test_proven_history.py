"""History asked over HTTP of servers that shift, lose or have none: what is believed, what is refused and named."""

from __future__ import annotations

import time as machine
import tomllib
from collections.abc import Callable
from datetime import date, time, timedelta

import pytest

from mytrading.adapters.openalgo.rest.client import OpenAlgoClient
from mytrading.adapters.openalgo.rest.proven_history import HistoryRefused, ProvenHistory, without_ranges
from mytrading.core.calendar import Calendar
from mytrading.core.time import MINUTE, ist_date, to_ns
from mytrading.messages.brokers import UNLISTED, HistoryRules
from tests.kit.history_server import HistoryServer, history_server, minutes_of
from tests.kit.project import ROOT

CALENDAR = Calendar.from_dict(tomllib.loads((ROOT / "config/calendar.toml").read_text(encoding="utf-8")))
MON, TUE, WED, THU, FRI = WEEK = [date(2026, 7, day) for day in range(13, 18)]
NOW = to_ns(date(2026, 7, 20), time(11, 0))
SBIN, NIFTY, OPTION = "NSE:SBIN", "NSE_INDEX:NIFTY", "NFO:NIFTY28JUL2625000CE"
WHOLE = minutes_of(*WEEK)


def asking(
    server: HistoryServer, rules: HistoryRules = UNLISTED.history, now: Callable[[], int] = machine.monotonic_ns
) -> ProvenHistory:
    client = OpenAlgoClient(server.url, "key", machine.monotonic_ns)
    return ProvenHistory(client, CALENDAR, lambda: None, now, lambda: rules, lambda: (OPTION, SBIN, NIFTY))


def test_minutes_in_place_are_believed_and_one_liquid_instrument_is_asked_for_the_proof() -> None:
    with history_server(minutes={SBIN: WHOLE, NIFTY: WHOLE}) as server:
        history = asking(server)
        found = history.fetch(SBIN, "1m", MON, FRI, NOW)
        history.fetch(SBIN, "1m", MON, FRI, NOW)
    assert [bar.start_ns for bar in found.bars] == WHOLE
    assert (found.answered, found.problem, found.outside) == (((MON, FRI),), "", 0)
    proof = (NIFTY, "1m", "2026-07-17", "2026-07-17")
    assert server.asked[0] == proof and server.asked.count(proof) == 1, "once a day, of the last whole day"


@pytest.mark.parametrize("late", [30, 330])
@pytest.mark.parametrize("interval", ["1m", "5m", "1h"])
def test_shifted_minutes_are_refused_with_their_number_in_every_interval(late: int, interval: str) -> None:
    said = pytest.raises(HistoryRefused, match=f"history of NSE:SBIN: history is {late} minutes late")
    with history_server(minutes={SBIN: WHOLE, NIFTY: WHOLE}, late=late) as server, said:
        asking(server).fetch(SBIN, interval, MON, FRI, NOW)


def test_todays_part_is_refused_by_the_proof_of_the_last_whole_day() -> None:
    today = ist_date(NOW)
    shifted = history_server(minutes={SBIN: minutes_of(*WEEK, today), NIFTY: WHOLE}, late=30)
    with shifted as server, pytest.raises(HistoryRefused):
        asking(server).fetch(SBIN, "1m", today, today, NOW)


def test_a_shift_that_the_table_knows_is_made_good_with_the_newest_minute_too() -> None:
    today = ist_date(NOW)
    morning = minutes_of(today, count=105)  # 09:15 to 11:00, stamped up to 11:30
    with history_server(minutes={SBIN: WHOLE + morning, NIFTY: WHOLE}, late=30) as server:
        found = asking(server, HistoryRules(minutes_late=30)).fetch(SBIN, "1m", MON, today, NOW)
    assert [bar.start_ns for bar in found.bars] == WHOLE + morning
    assert found.outside == 0


def test_todays_minutes_keep_their_stamps_where_only_those_of_past_days_are_late() -> None:
    """Moved, the prices of 09:45 would be stored as those of 09:15."""
    today = ist_date(NOW)
    morning = minutes_of(today, count=105)
    stamped = [*WHOLE, *(start - 30 * MINUTE for start in morning)]  # the server adds 30 minutes to each
    with history_server(minutes={SBIN: stamped, NIFTY: WHOLE}, late=30) as server:
        found = asking(server, HistoryRules(minutes_late=30, today_right=True)).fetch(SBIN, "1m", MON, today, NOW)
    assert [bar.start_ns for bar in found.bars] == WHOLE + morning


def test_a_table_that_is_wrong_about_a_server_corrects_nothing() -> None:
    with history_server(minutes={SBIN: WHOLE, NIFTY: WHOLE}) as server:
        found = asking(server, HistoryRules(minutes_late=30)).fetch(SBIN, "1m", MON, FRI, NOW)
    assert [bar.start_ns for bar in found.bars] == WHOLE


def test_bars_outside_the_session_are_left_out_and_counted() -> None:
    odd = minutes_of(FRI, begin="09:00", count=8) + minutes_of(FRI, begin="15:30", count=1)
    with history_server(minutes={SBIN: sorted(WHOLE + odd), NIFTY: WHOLE}) as server:
        found = asking(server).fetch(SBIN, "1m", MON, FRI, NOW)
    assert ([bar.start_ns for bar in found.bars], found.outside) == (WHOLE, 9)


def test_shifted_intervals_are_built_from_minutes_even_if_the_server_refuses_them() -> None:
    with history_server(minutes={SBIN: WHOLE, NIFTY: WHOLE}, refused={"30m"}) as server:
        found = asking(server, HistoryRules(shifted_intervals=("10m", "30m"))).fetch(SBIN, "30m", MON, FRI, NOW)
    assert {(interval) for _, interval, *_ in server.asked} == {"1m"}
    assert len(found.bars) == 5 * 13  # 09:15, 09:45 … 15:15
    first = found.bars[0]
    assert (first.start_ns, first.end_ns - first.start_ns, first.volume) == (WHOLE[0], 30 * MINUTE, 300)


def test_days_a_day_early_are_refused_or_made_good_where_the_table_knows_it() -> None:
    days = [MON + timedelta(days=7 * week + day) for week in (-2, -1, 0) for day in range(5)]
    with history_server(days={SBIN: days}, early=1) as server:
        with pytest.raises(HistoryRefused, match="daily bars are 1 day early"):
            asking(server).fetch(SBIN, "1d", days[0], FRI, NOW)
        found = asking(server, HistoryRules(days_early=1)).fetch(SBIN, "1d", days[0], FRI, NOW)
    assert [ist_date(bar.start_ns) for bar in found.bars] == days


def test_todays_unfinished_candle_dated_yesterday_is_not_given() -> None:
    """A day strategy would trade on the close of the same day."""
    days = [*WEEK, ist_date(NOW)]
    with history_server(days={SBIN: days}, early=1) as server:
        found = asking(server, HistoryRules(days_early=1)).fetch(SBIN, "1d", MON, ist_date(NOW), NOW)
    assert [ist_date(bar.start_ns) for bar in found.bars] == WEEK


def test_right_days_with_one_on_a_closed_day_are_kept_and_it_is_named() -> None:
    saturday = date(2026, 7, 11)
    days = [MON - timedelta(days=7 - day) for day in range(5)] + [saturday, *WEEK]
    with history_server(days={SBIN: days}) as server:
        found = asking(server, HistoryRules(days_early=1)).fetch(SBIN, "1d", days[0], FRI, NOW)
    assert ([ist_date(bar.start_ns) for bar in found.bars], found.odd) == (days, (saturday,))


def test_a_broker_without_history_is_not_asked() -> None:
    with history_server() as server:
        history = asking(server, HistoryRules(available=False))
        with pytest.raises(HistoryRefused, match="its broker has none"):
            history.fetch(SBIN, "1m", MON, FRI, NOW)
    assert server.asked == [] and not history.is_available


def test_an_empty_success_for_trading_days_is_named_and_answers_nothing() -> None:
    with history_server(minutes={NIFTY: WHOLE}) as server:
        found = asking(server).fetch(SBIN, "1m", MON, FRI, NOW)
    assert (found.bars, found.answered) == ((), ())
    assert "no bars of NSE:SBIN for 5 trading days, 2026-07-13 to 2026-07-17" in found.problem


def test_an_empty_answer_of_an_option_is_believed_only_of_a_source_that_answers() -> None:
    with history_server(minutes={NIFTY: WHOLE}) as server:
        assert asking(server).fetch(OPTION, "1m", MON, FRI, NOW).answered == ((MON, FRI),)
    with history_server() as server:
        found = asking(server).fetch(OPTION, "1m", MON, FRI, NOW)
        assert (found.answered, found.problem) == ((), "")


def test_an_empty_answer_is_not_believed_a_minute_after_the_source_last_answered() -> None:
    clock = [10**12]
    with history_server(minutes={NIFTY: WHOLE}) as server:
        history = asking(server, now=lambda: clock[0])
        assert history.fetch(OPTION, "1m", MON, FRI, NOW).answered
        server.minutes.clear()
        clock[0] += 59 * 10**9
        assert history.fetch(OPTION, "1m", MON, FRI, NOW).answered
        clock[0] += 2 * 10**9
        assert not history.fetch(OPTION, "1m", MON, FRI, NOW).answered


def test_bars_of_the_same_option_do_not_prove_that_the_source_answers() -> None:
    with history_server(minutes={OPTION: WHOLE}) as server:
        history = asking(server)
        assert history.fetch(OPTION, "1m", MON, FRI, NOW).bars
        earlier = (MON - timedelta(days=7), FRI - timedelta(days=7))
        assert history.fetch(OPTION, "1m", *earlier, NOW).answered == ()


def test_a_lost_part_of_an_answer_is_named_and_not_answered() -> None:
    with history_server(minutes={SBIN: WHOLE, NIFTY: WHOLE}, lost={TUE, WED, THU}) as server:
        found = asking(server).fetch(SBIN, "1m", MON, FRI, NOW)
    assert found.answered == ((MON, MON), (FRI, FRI))
    assert "no bars of NSE:SBIN 2026-07-14 to 2026-07-16" in found.problem


def test_days_before_a_listing_are_believed_in_a_range_of_several_requests() -> None:
    begin = date(2026, 2, 2)
    young = minutes_of(*WEEK)
    with history_server(minutes={SBIN: young, NIFTY: WHOLE}) as server:
        share = asking(server).fetch_range(SBIN, "1m", begin, FRI, NOW)
        assert (len(share.bars), share.failed) == (len(young), ())
        index = asking(server).fetch_range(NIFTY, "1m", begin, FRI, NOW)
        assert [chunk.first for chunk in index.failed][:1] == [begin], "an index always had bars"


def test_parts_of_a_range_without_others() -> None:
    assert without_ranges((MON, FRI), []) == ((MON, FRI),)
    assert without_ranges((MON, FRI), [(MON, TUE)]) == ((WED, FRI),)
    assert without_ranges((MON, FRI), [(TUE, TUE), (THU, FRI)]) == ((MON, MON), (WED, WED))
    assert without_ranges((MON, FRI), [(MON, FRI)]) == ()
