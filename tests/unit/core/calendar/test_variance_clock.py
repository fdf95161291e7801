"""The variance clock: what is left of a session, nights, weekends and holidays to an expiry's close."""

from __future__ import annotations

import tomllib
from datetime import date, time

import numpy as np
import pytest

from mytrading.core.calendar.clock_weights import ClockWeights
from mytrading.core.calendar.variance_clock import DAYS_A_YEAR, VarianceClock
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.time import MINUTE, to_ns
from tests.kit.backtest_specs import calendar
from tests.kit.project import ROOT

WEIGHTS = ClockWeights(hours=(0.3, 0.1, 0.08), night=0.26, weekend=0.5, holiday=0.75)
SESSION = 0.3 + 0.1 + 4.25 * 0.08
"""09:15 to 15:30: the last hour's weight is that of every later hour too."""
TUESDAY, FRIDAY, MONDAY = date(2026, 3, 24), date(2026, 3, 20), date(2026, 3, 23)


def days_left(expiry: date, day: date, *times: time) -> list[float]:
    clock = VarianceClock(WEIGHTS, calendar(), "NFO")
    found: list[float] = (
        clock.years_to(expiry, day, np.array([to_ns(day, at) for at in times])) * DAYS_A_YEAR
    ).tolist()
    return found


def test_session_passes_by_the_weights_of_its_hours() -> None:
    times = (time(9), time(9, 15), time(9, 45), time(10, 15), time(11, 15), time(13, 15), time(15, 30), time(23))
    expected = [SESSION, SESSION, SESSION - 0.15, SESSION - 0.3, SESSION - 0.4, SESSION - 0.56, 0.0, 0.0]
    assert days_left(TUESDAY, TUESDAY, *times) == pytest.approx(expected)


def test_evening_before_has_a_night_and_a_session_to_go() -> None:
    assert days_left(TUESDAY, MONDAY, time(15, 30), time(18)) == pytest.approx([0.26 + SESSION] * 2)


def test_weekend_and_holiday_have_weights_of_their_own() -> None:
    assert days_left(MONDAY, FRIDAY, time(15, 30)) == pytest.approx([0.5 + SESSION])
    thursday_is_ram_navami = days_left(date(2026, 3, 27), date(2026, 3, 25), time(15, 30))
    assert thursday_is_ram_navami == pytest.approx([0.75 + SESSION])


def test_day_without_a_session_has_all_later_ones_before_it() -> None:
    assert days_left(MONDAY, date(2026, 3, 21), time(12)) == pytest.approx([0.5 + SESSION])


def test_nothing_is_left_after_the_expiry() -> None:
    assert days_left(FRIDAY, MONDAY, time(9, 15)) == [0.0]


def test_years_have_the_shape_of_the_moments() -> None:
    at = to_ns(MONDAY, time(9, 15)) + MINUTE * np.arange(6).reshape(2, 3)
    assert VarianceClock(WEIGHTS, calendar(), "NFO").years_to(TUESDAY, MONDAY, at).shape == (2, 3)


def test_shipped_weights_make_an_ordinary_day_one_and_a_year_about_one() -> None:
    parsed = tomllib.loads((ROOT / "config" / "instruments.toml").read_text(encoding="utf-8"))
    shipped = ContractFacts.from_dict(parsed).variance_clock
    assert shipped == ClockWeights(), "a project without the table prices as one with it"
    clock = VarianceClock(shipped, calendar(), "NFO")
    evening = np.array(to_ns(MONDAY, time(15, 30)))
    assert float(clock.years_to(TUESDAY, MONDAY, evening)) * DAYS_A_YEAR == pytest.approx(1.0, abs=1e-9)
    new_year = np.array(to_ns(date(2025, 12, 31), time(15, 30)))
    assert float(clock.years_to(date(2026, 12, 31), date(2025, 12, 31), new_year)) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("night", "night = -0.1"),
        ("hours", "hours = []"),
        ("nigth", "nigth = 0.2"),
        ("weekend: expected shares of an ordinary day from 0 to 5", "weekend = 40"),
        (r"found 0\.5 \+ 0\.72 = 1\.22; divide all weights by 1\.22", "night = 0.5"),
        ("hours: expected shares", "hours = [24.5, 10.7, 7.2, 7.0, 8.7, 11.9, 8.0]\nnight = 28"),
    ],
)
def test_weights_that_cannot_be_are_refused(key: str, text: str) -> None:
    shipped = (ROOT / "config" / "instruments.toml").read_text(encoding="utf-8").partition("[variance_clock]")[0]
    with pytest.raises(ValueError, match=key):
        ContractFacts.from_dict(tomllib.loads(f"{shipped}[variance_clock]\n{text}\n[underlyings]\n"))
