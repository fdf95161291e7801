"""Symbols, dated contract facts, and finding instruments by strike rule."""

from __future__ import annotations

import re
import tomllib
from datetime import date, time
from itertools import islice
from typing import Any

import numpy as np
import pytest

from mytrading.core.calendar import Calendar
from mytrading.core.calendar.expiries import session_ends
from mytrading.core.instruments import symbology
from mytrading.core.instruments.book import InstrumentBook, NoSuchContract
from mytrading.core.instruments.contract_specs import (
    ContractFacts,
    list_instruments,
    make_derivative,
    monthly_expiries,
    option_expiries,
    weekly_expiries,
)
from mytrading.core.options import black76
from mytrading.core.time import to_ns
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.run_config import ExpiryRule
from tests.kit.project import ROOT

CALENDAR = Calendar.from_dict(tomllib.loads((ROOT / "config/calendar.toml").read_text(encoding="utf-8")))
FACTS = ContractFacts.from_dict(tomllib.loads((ROOT / "config/instruments.toml").read_text(encoding="utf-8")))
NIFTY = FACTS.underlyings["NIFTY"]
DAY = date(2025, 12, 1)
CE, PE, FUT = InstrumentKind.CE, InstrumentKind.PE, InstrumentKind.FUT


def book(day: date = DAY, price: float = 26_010.0) -> InstrumentBook:
    return InstrumentBook(list_instruments(FACTS, CALENDAR, day, {"NIFTY": price}))


@pytest.mark.parametrize("symbol", ["X31FEB26FUT", "X30DEC251.2.3CE", "SBIN", "30DEC25FUT"])
def test_symbol_that_only_looks_like_a_contract_is_a_share(symbol: str) -> None:
    assert symbology.parse_symbol(symbol) == (symbol, None, 0.0, InstrumentKind.EQ)


def test_symbols_are_written_as_the_server_writes_them() -> None:
    assert symbology.option_symbol("NIFTY", date(2025, 12, 30), 26000.0, "CE") == "NIFTY30DEC2526000CE"
    assert symbology.option_symbol("VEDL", date(2024, 4, 25), 292.5, "CE") == "VEDL25APR24292.5CE"
    assert symbology.future_symbol("NIFTY", date(2026, 12, 31)) == "NIFTY31DEC26FUT"
    assert symbology.expiry_label(date(2026, 8, 25)) == "25-AUG-26"
    assert symbology.parse_symbol("SBIN", "NSE").kind is InstrumentKind.EQ
    assert symbology.parse_symbol("NIFTY", "NSE_INDEX").kind is InstrumentKind.INDEX
    with pytest.raises(ValueError, match="expected EXCHANGE:SYMBOL"):
        symbology.split_id("SBIN")


# What circulars of the exchanges, or the press about them, say: the index, a trading day, expiries and their lot.
CIRCULARS = [
    ("NIFTY", "2019-06-03", ["2019-06-06", "2019-06-27"], 75),
    ("NIFTY", "2021-07-01", ["2021-07-01", "2021-07-22"], 75),  # FAOP47854: weekly contracts of August 2021 and beyond
    ("NIFTY", "2021-07-01", ["2021-07-29", "2021-08-26"], 50),
    ("NIFTY", "2021-06-01", ["2021-06-24", "2021-12-30"], 75),  # long-dated ones after 25 June
    ("NIFTY", "2024-04-25", ["2024-04-25", "2024-05-30"], 50),
    ("NIFTY", "2024-04-26", ["2024-05-02", "2024-05-30"], 25),  # FAOP61415: all contracts on that day
    ("NIFTY", "2024-11-19", ["2024-11-21", "2024-12-26"], 25),
    ("NIFTY", "2024-12-16", ["2024-12-19", "2024-12-26", "2025-01-30", "2025-03-27"], 25),  # FAOP64625
    ("NIFTY", "2024-12-16", ["2025-01-02", "2025-01-23", "2025-02-27"], 75),
    ("NIFTY", "2024-12-27", ["2025-01-30"], 25),
    ("NIFTY", "2024-12-27", ["2025-01-02", "2025-02-06", "2025-03-27"], 75),
    ("NIFTY", "2025-12-22", ["2025-12-23", "2025-12-30", "2026-03-31"], 75),  # FAOP70616
    ("NIFTY", "2025-12-22", ["2026-01-06", "2026-01-27"], 65),
    ("BANKNIFTY", "2018-10-25", ["2018-10-25", "2018-11-29"], 40),
    ("BANKNIFTY", "2018-10-26", ["2018-11-29"], 20),
    ("BANKNIFTY", "2020-07-01", ["2020-07-02", "2020-07-23"], 20),
    ("BANKNIFTY", "2020-07-01", ["2020-07-30", "2020-08-06"], 25),
    ("BANKNIFTY", "2023-07-03", ["2023-07-06", "2023-07-20"], 25),
    ("BANKNIFTY", "2023-07-03", ["2023-07-27", "2023-08-03"], 15),
    ("BANKNIFTY", "2024-12-02", ["2024-12-24", "2025-01-30"], 15),  # FAOP64625
    ("BANKNIFTY", "2024-12-02", ["2025-02-27"], 30),
    ("BANKNIFTY", "2025-05-02", ["2025-05-29", "2025-06-26"], 30),
    ("BANKNIFTY", "2025-05-02", ["2025-07-31"], 35),
    ("BANKNIFTY", "2025-12-01", ["2025-12-30"], 35),
    ("BANKNIFTY", "2025-12-01", ["2026-01-27"], 30),  # FAOP70616
    ("FINNIFTY", "2024-07-01", ["2024-07-02", "2024-07-23"], 40),
    ("FINNIFTY", "2024-07-01", ["2024-07-30", "2024-08-06"], 25),  # FAOP61415
    ("FINNIFTY", "2024-12-02", ["2024-12-31", "2025-01-30"], 25),
    ("FINNIFTY", "2025-06-02", ["2025-06-26"], 65),
    ("MIDCPNIFTY", "2024-07-01", ["2024-07-22"], 75),
    ("MIDCPNIFTY", "2024-07-01", ["2024-07-29", "2024-08-05"], 50),  # FAOP61415
    ("MIDCPNIFTY", "2025-05-02", ["2025-06-26"], 120),
    ("MIDCPNIFTY", "2025-05-02", ["2025-07-31"], 140),
    ("SENSEX", "2024-12-02", ["2024-12-27", "2025-01-03", "2025-01-28"], 10),
    ("SENSEX", "2024-12-02", ["2025-01-07", "2025-02-25"], 20),
    ("BANKEX", "2024-12-02", ["2024-12-30", "2025-01-28"], 15),
    ("BANKEX", "2024-12-02", ["2025-02-25"], 30),
    ("BANKEX", "2024-10-01", ["2024-10-07", "2024-10-28"], 15),
    # columns XpryDt and NewBrdLotQty of the exchange's files of 17 March 2026
    ("NIFTY", "2026-03-17", ["2026-03-17", "2026-03-24", "2026-04-28", "2026-06-30", "2026-12-29", "2030-12-31"], 65),
    ("BANKNIFTY", "2026-03-17", ["2026-03-30", "2026-04-28", "2026-12-29"], 30),
    ("RELIANCE", "2026-03-17", ["2026-03-30", "2026-05-26"], 500),
]


@pytest.mark.parametrize(("name", "day", "expiries", "lot"), CIRCULARS)
def test_lot_is_that_of_the_contract(name: str, day: str, expiries: list[str], lot: int) -> None:
    facts, traded = FACTS.underlyings[name], date.fromisoformat(day)
    contracts = [make_derivative(name, facts, FUT, date.fromisoformat(expiry), 0.0, traded) for expiry in expiries]
    assert {contract.expiry: contract.lot_size for contract in contracts} == dict.fromkeys(expiries, lot)


def test_lot_that_ends_before_it_begins_is_refused() -> None:
    lot = {"from": date(2024, 1, 1), "value": 25, "expiry_from": date(2025, 1, 2), "expiry_until": date(2025, 1, 1)}
    row = {"from": date(2010, 1, 1), "value": 0.05}
    facts = {"exchange": "NSE_INDEX", "reference_price": 1.0, "lot": [lot], "freeze": [row], "future_tick": [row],
             "monthly": [{"from": date(2010, 1, 1), "weekday": 3}]}  # fmt: skip
    with pytest.raises(ValueError, match="lot from 2024-01-01: expected units of 1 or more, and expiry_from not after"):
        ContractFacts.from_dict({"underlyings": {"X": facts}})


@pytest.mark.parametrize(
    ("day", "weekly", "monthly"),
    [
        (date(2022, 11, 23), date(2022, 11, 24), date(2022, 11, 24)),
        (date(2024, 3, 13), date(2024, 3, 14), date(2024, 3, 28)),
        (date(2025, 8, 29), date(2025, 9, 2), date(2025, 9, 30)),
        (date(2026, 11, 20), date(2026, 11, 23), date(2026, 11, 23)),
    ],
)
def test_expiries_follow_the_weekday_of_their_time_and_move_before_holidays(
    day: date, weekly: date, monthly: date
) -> None:
    assert next(weekly_expiries(CALENDAR, NIFTY, day)) == weekly
    assert next(monthly_expiries(CALENDAR, NIFTY, day)) == monthly


@pytest.mark.parametrize(
    ("name", "day", "expiries"),
    [
        ("NIFTY", DAY, ["2025-12-02", "2025-12-09", "2025-12-30"]),
        ("NIFTY", date(2026, 11, 20), ["2026-11-23", "2026-12-01", "2026-12-29"]),
        ("BANKNIFTY", DAY, ["2025-12-30", "2026-01-27"]),
        ("BANKNIFTY", date(2024, 11, 12), ["2024-11-13", "2024-11-27"]),
        ("BANKNIFTY", date(2022, 11, 23), ["2022-11-24", "2022-12-01", "2022-12-29"]),
        ("SENSEX", DAY, ["2025-12-04", "2025-12-11", "2025-12-24"]),
        ("RELIANCE", DAY, ["2025-12-30", "2026-01-27"]),
    ],
)
def test_a_day_lists_two_weekly_expiries_and_a_monthly_one(name: str, day: date, expiries: list[str]) -> None:
    found = option_expiries(CALENDAR, FACTS.underlyings[name], day)
    assert [expiry.isoformat() for expiry in found] == expiries


def test_a_day_lists_options_about_the_price_and_three_futures() -> None:
    listed = book()
    assert len(listed.options("NIFTY", "2025-12-02")) == 122
    assert [listed.future("NIFTY", n).symbol for n in range(3)] == [
        "NIFTY30DEC25FUT", "NIFTY27JAN26FUT", "NIFTY24FEB26FUT",
    ]  # fmt: skip
    assert listed.expiries("BANKNIFTY", CE) == []
    assert len(list(islice(listed, 3))) == 3


@pytest.mark.parametrize(
    ("rule", "right", "strike"),
    [
        ("ATM", CE, 26_000),
        ("ITM 2", CE, 25_900),
        ("OTM 2", CE, 26_100),
        ("ITM 2", PE, 26_100),
        ("OTM 2", PE, 25_900),
        ("STRIKE 25500", PE, 25_500),
        ("atm", PE, 26_000),
    ],
)
def test_strike_rule_counts_listed_strikes_from_the_money(rule: str, right: InstrumentKind, strike: float) -> None:
    assert book().option("NIFTY", "", rule, right, 26_010.0).strike == strike


def test_at_the_money_between_two_strikes_is_the_lower() -> None:
    assert book().option("NIFTY", "", "ATM", CE, 26_025.0).strike == 26_000


@pytest.mark.parametrize(
    ("expiry", "rule", "words"),
    [
        ("", "OTM 99", "off the list of 61 strikes"),
        ("", "STRIKE 26010", "nearest: 26000 and 26050"),
        ("", "ABOVE 3", "expected ATM, ITM n, OTM n or STRIKE n"),
        ("", "OTM 1.5", "whole number"),
        ("2031-01-01", "ATM", "listed expiries are 2025-12-02"),
    ],
)
def test_rule_that_leads_nowhere_says_what_is_listed(expiry: str, rule: str, words: str) -> None:
    with pytest.raises(NoSuchContract, match=words):
        book().option("NIFTY", expiry, rule, CE, 26_010.0)


WEEKS = ("2026-11-23", "2026-12-01", "2026-12-08", "2026-12-29", "2027-01-26")
"""Tuesdays; Monday the 23rd because the 24th is a holiday, and it is November's monthly one."""


@pytest.mark.parametrize(
    ("day", "at", "rule", "expiry"),
    [
        (date(2026, 11, 20), time(10), ExpiryRule.NEAREST, "2026-11-23"),
        (date(2026, 11, 20), time(10), ExpiryRule.NEXT, "2026-12-01"),
        (date(2026, 11, 20), time(10), ExpiryRule.MONTHLY, "2026-11-23"),
        (date(2026, 11, 20), time(10), ExpiryRule.NEXT_MONTHLY, "2026-12-29"),
        (date(2026, 11, 23), time(15, 39, 59), ExpiryRule.NEAREST, "2026-11-23"),
        (date(2026, 11, 23), time(15, 40), ExpiryRule.NEAREST, "2026-12-01"),
        (date(2026, 11, 23), time(15, 40), ExpiryRule.MONTHLY, "2026-12-29"),
        (date(2026, 11, 24), time(9, 0), ExpiryRule.MONTHLY, "2026-12-29"),
        (date(2026, 11, 30), time(23, 59), ExpiryRule.NEAREST, "2026-12-01"),
        (date(2026, 12, 29), time(12), ExpiryRule.MONTHLY, "2026-12-29"),
        (date(2026, 12, 29), time(16), ExpiryRule.MONTHLY, "2027-01-26"),
    ],
)
def test_expiry_of_a_rule_is_past_from_the_close_of_its_day(day: date, at: time, rule: ExpiryRule, expiry: str) -> None:
    listed = [make_derivative("NIFTY", NIFTY, CE, date.fromisoformat(week), 26_000.0, day) for week in WEEKS]
    found = InstrumentBook(listed, session_ends(CALENDAR))
    assert found.select_expiry(rule, "NIFTY", CE, to_ns(day, at)) == expiry


def test_expiry_that_is_not_listed_names_those_that_are() -> None:
    listed = [make_derivative("NIFTY", NIFTY, CE, date(2026, 12, 1), 26_000.0, DAY)]
    with pytest.raises(NoSuchContract, match="expected a next_monthly expiry, listed and not past are 2026-12-01"):
        InstrumentBook(listed).select_expiry(ExpiryRule.NEXT_MONTHLY, "NIFTY", CE, to_ns(DAY, time(10)))


def test_put_call_parity_holds() -> None:
    forward, strike, years = np.array([25_000.0, 26_000.0, 27_000.0]), 26_000.0, np.array([0.02, 0.0, 0.5])
    sigma = np.full(3, 0.15)
    call, put = (black76.prices(forward, strike, years, sigma, 0.06, right) for right in (True, False))
    assert call - put == pytest.approx(np.exp(-0.06 * years) * (forward - strike), abs=1e-8)
    assert (call >= 0).all()


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"exchange": "NFO"}, "exchange: expected one of NSE, NSE_INDEX, BSE, BSE_INDEX, MCX, found 'NFO'"),
        ({"exchange": "MCX"}, "a commodity is traded in contracts only; expected its lot too"),
        ({"exchange": "MCX", "strike_step": 50.0}, "options on commodities are not listed; leave strike_step out"),
        ({"exchange": "NSE", "lot": [{"from": date(2020, 1, 1), "value": 5}]},
         "it has a lot; expected future_tick, freeze, monthly or expiry_day too"),
    ],
)  # fmt: skip
def test_underlying_that_cannot_be_traded_is_refused_where_it_is_read(facts: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"config/instruments.toml: underlyings.X: {problem}")):
        ContractFacts.from_dict({"underlyings": {"X": {"reference_price": 100.0, **facts}}})
