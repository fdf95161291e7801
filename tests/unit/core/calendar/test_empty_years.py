"""A year of which nobody has listed the holidays: it is provisional, and says so from December on."""

from __future__ import annotations

import tomllib
from datetime import date, time
from typing import Any

import pytest

from mytrading.core.calendar import Calendar, CalendarError
from mytrading.core.calendar.empty_years import empty_year_notes
from mytrading.core.instruments.contract_specs import ContractFacts, monthly_expiries
from mytrading.core.instruments.day_report import day_report, expiry_report
from mytrading.core.time import to_ns
from tests.kit.project import ROOT

REPUBLIC_DAY = date(2027, 1, 26)
"""A Tuesday, the weekday of the monthly expiries of NIFTY."""


def parsed(name: str = "calendar.toml") -> dict[str, Any]:
    return tomllib.loads((ROOT / "config" / name).read_text(encoding="utf-8"))


def made(**lists: dict[str, str]) -> Calendar:
    """The shipped calendar, with holidays added by list."""
    content = parsed()
    for name, days in lists.items():
        content["holidays"][name] |= days
    return Calendar.from_dict(content)


@pytest.fixture
def shipped() -> Calendar:
    return made()


def test_republic_day_of_a_year_without_holidays_was_a_trading_day(shipped: Calendar) -> None:
    """It was open on every exchange, and carried stops would have been sent to a closed one."""
    for exchange in ("NSE", "BSE", "NFO", "BFO", "CDS", "MCX", "NSE_INDEX"):
        assert shipped.session(exchange, REPUBLIC_DAY) is None, exchange
        assert shipped.holiday_name(exchange, REPUBLIC_DAY) == "Republic Day (provisional)"
    assert shipped.next_trading_day("NFO", date(2027, 1, 25)) == date(2027, 1, 27)


@pytest.mark.parametrize(
    ("day", "closed"),
    [
        # weekdays of the holidays of a fixed date in 2027 and 2028, counted on paper
        (date(2027, 10, 1), ""), (date(2028, 5, 1), "NSE"), (date(2028, 8, 15), "NSE MCX"),
        (date(2028, 10, 2), "NSE MCX"), (date(2028, 12, 25), "NSE MCX"), (date(2028, 1, 26), "NSE MCX"),
    ],
)  # fmt: skip
def test_holidays_of_a_fixed_date_stand_in_an_empty_year(shipped: Calendar, day: date, closed: str) -> None:
    assert [name for name in ("NSE", "MCX") if not shipped.is_trading_day(name, day)] == closed.split()


def test_listed_year_has_its_own_holidays_and_no_stand_ins() -> None:
    listed = made(NSE={"2027-03-22": "Holi"})
    assert listed.is_trading_day("NSE", REPUBLIC_DAY) and not listed.is_provisional("NSE", REPUBLIC_DAY)
    assert not listed.is_trading_day("MCX", REPUBLIC_DAY) and listed.is_provisional("MCX", REPUBLIC_DAY)


def test_exchange_whose_own_list_is_empty_was_taken_for_listed_because_another_has_one() -> None:
    listed = made(NSE={"2027-03-22": "Holi"})
    assert [name for name in listed.exchanges if listed.is_provisional(name, REPUBLIC_DAY)] == [
        "CDS", "BCD", "MCX", "NCO",
    ]  # fmt: skip
    assert listed.empty_lists(2027) == {"CDS": ("CDS", "BCD"), "MCX": ("MCX", "NCO")}
    whole = made(NSE={"2027-03-22": "Holi"}, CDS={"2027-04-01": "Banks"}, MCX={"2027-04-04": "a Sunday"})
    assert not whole.empty_lists(2027)


def test_an_edit_that_lists_the_year_ends_it_in_a_running_process(shipped: Calendar) -> None:
    assert shipped.is_provisional("NFO", REPUBLIC_DAY)
    shipped.replace_with(made(NSE={"2027-01-26": "Republic Day"}))
    assert not shipped.is_provisional("NFO", REPUBLIC_DAY)
    assert shipped.holiday_name("NFO", REPUBLIC_DAY) == "Republic Day"


def test_exchanges_trade_together_where_their_holidays_are_among_those_of_the_other(shipped: Calendar) -> None:
    shares = {"NSE", "NFO", "BSE", "BFO", "NSE_INDEX", "BSE_INDEX"}
    assert set(shipped.sharing_holidays("NFO")) == shares
    assert set(shipped.sharing_holidays("CDS")) == shares | {"CDS", "BCD"}, (
        "a day that is none of its own is none of theirs"
    )
    assert set(shipped.sharing_holidays("MCX")) == {"MCX", "NCO"}


@pytest.mark.parametrize(
    ("day", "years"),
    [(date(2026, 11, 30), []), (date(2026, 12, 1), ["2027"] * 3), (date(2027, 1, 4), ["2027"] * 3),
     (date(2027, 12, 1), ["2027"] * 3 + ["2028"] * 3)],
)  # fmt: skip
def test_empty_year_is_named_from_the_december_before_it_on(shipped: Calendar, day: date, years: list[str]) -> None:
    notes = empty_year_notes(shipped, day)
    assert [note.split("no holiday of ")[1][:4] for note in notes] == years
    for year in set(years):
        assert any(f"`mytrading calendar write --year {year}`" in note and "[holidays.NSE]" in note for note in notes)
    assert not empty_year_notes(made(NSE={"2027-03-22": "Holi"}), date(2026, 12, 1))[0].startswith("NSE")


def test_monthly_expiry_was_put_on_republic_day(shipped: Calendar) -> None:
    facts = ContractFacts.from_dict(parsed("instruments.toml"))
    nifty = facts.underlyings["NIFTY"]
    months = monthly_expiries(shipped, nifty, date(2026, 12, 1))
    assert [next(months), next(months)] == [date(2026, 12, 29), date(2027, 1, 25)]
    (row,) = (row for row in expiry_report(shipped, facts, date(2027, 1, 21)) if row["underlying"] == "NIFTY")
    assert (row["weekly"], row["monthly"]) == ("2027-01-25", "2027-01-25")
    assert row["provisional"] == ["2027-01-25", "2027-01-25"] and row["moved"] == ["2027-01-25", "2027-01-25"]
    (row,) = (row for row in expiry_report(shipped, facts, date(2026, 12, 30)) if row["underlying"] == "NIFTY")
    assert (row["monthly"], row["provisional"]) == ("2027-01-25", ["2027-01-05", "2027-01-25"])
    listed = made(NSE={"2027-01-26": "Republic Day"})
    (row,) = (row for row in expiry_report(listed, facts, date(2026, 12, 30)) if row["underlying"] == "NIFTY")
    assert (row["monthly"], row["provisional"]) == ("2027-01-25", [])


def test_report_of_a_day_in_an_empty_year_says_so(shipped: Calendar) -> None:
    noon = to_ns(date(2027, 1, 27), time(11, 30))
    (row,) = day_report(shipped, ("NSE",), noon)
    assert (row["open"], row["provisional"], row["why"]) == (True, True, "provisional: no holiday of 2027 is listed")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"day": "01-32", "from": date(2000, 1, 1), "name": "x", "lists": ["NSE"]}, "fixed.day = '01-32'"),
        ({"day": "01-26", "name": "x", "lists": ["NSE"]}, "fixed.from = (missing)"),
        ({"day": "01-26", "from": date(2000, 1, 1), "name": "x", "lists": ["NYSE"]}, "fixed.lists = ['NYSE']"),
        ({"day": "01-26", "from": date(2000, 1, 1), "name": "x"}, "fixed.lists = (missing)"),
        ({"day": "01-26", "from": date(2000, 1, 1), "lists": ["NSE"], "until": 3}, "fixed.until = 3"),
    ],
)
def test_fault_of_a_fixed_holiday_is_named(row: dict[str, Any], said: str) -> None:
    content = parsed()
    content["fixed"].append(row)
    with pytest.raises(CalendarError) as found:
        Calendar.from_dict(content)
    assert said in str(found.value)


def test_fixed_holiday_stands_from_its_date_on() -> None:
    content = parsed()
    content["fixed"] = [{"day": "03-10", "from": date(2028, 1, 1), "name": "New", "lists": ["NSE"]}]
    calendar = Calendar.from_dict(content)
    assert calendar.is_trading_day("NSE", date(2027, 3, 10)) and not calendar.is_trading_day("NSE", date(2028, 3, 10))
