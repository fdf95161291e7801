"""Market hours by the files of a configuration, and by an edited calendar."""

from __future__ import annotations

import tomllib
from datetime import date, time
from pathlib import Path

from mytrading.core.time import to_ns
from mytrading.runtime.daemon.market_tables import MarketTables
from tests.kit.run_configs import run_config

MONDAY, TUESDAY, WEDNESDAY = date(2026, 11, 23), date(2026, 11, 24), date(2026, 11, 25)


def test_next_open_skips_a_holiday_and_follows_an_edit_of_the_calendar(tmp_path: Path) -> None:
    config = run_config(tmp_path)
    hours, evening = MarketTables(config, keep=False), to_ns(MONDAY, time(20, 0))
    assert hours.next_open_ns("NSE", evening) == to_ns(WEDNESDAY, time(9, 15)), "24 November is a holiday"
    parsed = tomllib.loads(config.calendar_path.read_text(encoding="utf-8"))
    parsed["holidays"]["NSE"] = {}
    hours.take_calendar(parsed)
    assert hours.next_open_ns("NSE", evening) == to_ns(TUESDAY, time(9, 15))


def test_exchange_that_the_calendar_does_not_list_is_open_and_has_no_next_open(tmp_path: Path) -> None:
    hours, now = MarketTables(run_config(tmp_path), keep=False), to_ns(MONDAY, time(20, 0))
    assert hours.is_open("ELSEWHERE", now) and hours.next_open_ns("ELSEWHERE", now) == 0
