"""Lists against the table on days when a right list looks odd: moved expiries, changes of lots, no weeklies.

Dates, lots and ticks are those of exchange circulars and of the exchanges' holidays, written out here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from datetime import date

import pytest
from msgspec.structs import replace

from mytrading.core.calendar import Calendar
from mytrading.core.instruments.contract_specs import ContractFacts
from mytrading.core.instruments.master_contract import (
    BadRow,
    FetchedMaster,
    Need,
    find_problems,
    refusal_for,
    snapshot_of,
)
from mytrading.core.instruments.symbology import future_symbol, option_symbol
from mytrading.core.instruments.table_checks import (
    TableCheck,
    absurd_ticks,
    check_table,
    doubtful_ticks,
    with_usable_ticks,
)
from mytrading.messages.instruments import Instrument, InstrumentKind, InstrumentRefusal, Snapshot
from tests.kit.project import ROOT

CALENDAR = Calendar.from_dict(tomllib.loads((ROOT / "config/calendar.toml").read_text(encoding="utf-8")))
FACTS = ContractFacts.from_dict(tomllib.loads((ROOT / "config/instruments.toml").read_text(encoding="utf-8")))
TABLE = TableCheck(FACTS, CALENDAR)


def option(
    name: str, expiry: str, lot: int, strike: float = 26_000.0, right: str = "CE", tick: float = 0.05
) -> Instrument:
    symbol = option_symbol(name, date.fromisoformat(expiry), strike, right)
    exchange = "BFO" if name in ("SENSEX", "BANKEX") else "NFO"
    return Instrument(
        id=f"{exchange}:{symbol}", exchange=exchange, symbol=symbol, kind=InstrumentKind(right), underlying=name,
        expiry=expiry, strike=strike, lot_size=lot, tick_size=tick, freeze_qty=1800,
    )  # fmt: skip


def future(name: str, expiry: str, lot: int, tick: float, exchange: str = "NFO") -> Instrument:
    symbol = future_symbol(name, date.fromisoformat(expiry))
    return Instrument(
        id=f"{exchange}:{symbol}", exchange=exchange, symbol=symbol, kind=InstrumentKind.FUT, underlying=name,
        expiry=expiry, lot_size=lot, tick_size=tick, freeze_qty=1800,
    )  # fmt: skip


def chain(name: str, lots: dict[str, int]) -> list[Instrument]:
    return [option(name, expiry, lot, right=right) for expiry, lot in lots.items() for right in ("CE", "PE")]


def found(instruments: Iterable[Instrument], day: str) -> list[str]:
    rows = check_table(instruments, TABLE, date.fromisoformat(day)).refusals
    return [f"{' '.join(row.rules)}{': ' if row.rules else ''}{row.key}" for row in rows]


RIGHT = [
    ("the holiday of 24 November 2026 moves the expiry to Monday", "2026-11-20", "NIFTY",
     {"2026-11-23": 65, "2026-12-01": 65, "2026-12-29": 65}),
    ("the monthly is the week's expiry", "2026-12-23", "NIFTY",
     {"2026-12-29": 65, "2027-01-05": 65, "2027-01-12": 65, "2027-01-26": 65}),
    ("on the day of the expiry", "2026-12-01", "NIFTY", {"2026-12-01": 65, "2026-12-08": 65, "2026-12-29": 65}),
    ("a holiday that the calendar lacks", "2026-12-04", "NIFTY",
     {"2026-12-07": 65, "2026-12-15": 65, "2026-12-29": 65}),
    ("a holiday that only the calendar has", "2026-11-20", "NIFTY",
     {"2026-11-24": 65, "2026-12-01": 65, "2026-12-29": 65}),
    ("a special expiry beside the weekly", "2026-12-02", "NIFTY",
     {"2026-12-03": 65, "2026-12-08": 65, "2026-12-15": 65, "2026-12-29": 65}),
    ("BANKNIFTY has no weekly", "2026-11-25", "BANKNIFTY", {"2026-12-29": 30, "2027-01-26": 30, "2027-02-23": 30}),
    ("SENSEX expires on Thursdays", "2026-11-25", "SENSEX", {"2026-11-26": 20, "2026-12-03": 20, "2026-12-31": 20}),
    ("old lots until they expire, the new one from January on", "2025-11-10", "NIFTY",
     {"2025-11-11": 75, "2025-11-18": 75, "2025-11-25": 75, "2025-12-30": 75, "2026-01-27": 65}),
    ("quarterly contracts keep the old lot to the end of the year", "2025-11-10", "NIFTY",
     {"2025-11-11": 75, "2025-11-18": 75, "2025-11-25": 75, "2025-12-30": 75,
      "2026-03-31": 75}),
    ("quarterly contracts that have the new lot already", "2025-11-10", "NIFTY",
     {"2025-11-11": 75, "2025-11-18": 75, "2025-11-25": 75, "2025-12-30": 75,
      "2026-06-30": 65}),
]  # fmt: skip


@pytest.mark.parametrize(("day", "name", "lots"), [row[1:] for row in RIGHT], ids=[row[0] for row in RIGHT])
def test_right_list_is_not_refused(day: str, name: str, lots: dict[str, int]) -> None:
    assert found(chain(name, lots), day) == []


WRONG = [
    ("the old lot where the new one holds", "2026-01-05", "NIFTY",
     {"2026-01-06": 75, "2026-01-13": 65, "2026-01-27": 65}, ["lot 75, table 65"]),
    ("the new lot before its day", "2025-11-10", "NIFTY",
     {"2025-11-11": 65, "2025-11-18": 75, "2025-11-25": 75}, ["lot 65, table 75"]),
    ("a lot of no year in a far contract", "2025-11-10", "NIFTY",
     {"2025-11-11": 75, "2025-11-18": 75, "2025-11-25": 75, "2025-12-30": 75,
      "2026-06-30": 5}, ["lot 5, table 75"]),
    ("the weekly of SENSEX", "2026-11-25", "SENSEX", {"2026-12-03": 20, "2026-12-10": 20, "2026-12-31": 20},
     ["nearest: no nearest, table weekdays 3/3", "next: no next, table weekdays 3/3",
      "monthly: no monthly, table weekdays 3/3"]),
    ("a monthly for which a weekly would stand in", "2026-11-25", "NIFTY", {"2026-12-01": 65, "2026-12-08": 65},
     ["monthly: no monthly, table weekdays 1/1"]),
    ("the monthly of BANKNIFTY", "2026-11-25", "BANKNIFTY", {"2027-01-26": 30, "2027-02-23": 30},
     ["nearest: no nearest, table weekdays -1/1", "next: no next, table weekdays -1/1",
      "monthly: no monthly, table weekdays -1/1", "next_monthly: no next_monthly, table weekdays -1/1"]),
]  # fmt: skip


@pytest.mark.parametrize(("day", "name", "lots", "keys"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_wrong_list_is_refused_by_what_is_wrong(day: str, name: str, lots: dict[str, int], keys: list[str]) -> None:
    assert found(chain(name, lots), day) == keys


def test_weekly_that_a_holiday_moves_into_the_month_before_is_not_taken_for_the_monthly() -> None:
    rows = chain("NIFTY", {"2026-11-30": 65, "2026-12-08": 65, "2026-12-29": 65})
    assert found(rows, "2026-11-25") == [
        "monthly: no monthly, table weekdays 1/1", "next_monthly: no next_monthly, table weekdays 1/1"
    ]  # fmt: skip


def test_calls_alone_of_a_week_are_a_missing_week() -> None:
    rows = chain("NIFTY", {"2026-12-01": 65, "2026-12-08": 65, "2026-12-29": 65})
    calls = [row for row in rows if row.expiry != "2026-12-01" or row.kind is InstrumentKind.CE]
    assert "nearest: no nearest, table weekdays 1/1" in found(calls, "2026-11-25")


def test_ticks_of_futures_and_options_are_those_of_the_table_on_the_day() -> None:
    sound = [future("NIFTY", "2026-12-29", 65, 0.1), option("RELIANCE", "2026-12-29", 500)]
    assert found(sound, "2026-11-25") == []
    assert found([replace(sound[0], tick_size=0.05)], "2026-11-25") == ["tick 0.05, table 0.1"]
    assert found([future("NIFTY", "2025-03-27", 75, 0.05)], "2025-03-10") == [], "0.1 holds from 15 April 2025 on"


def test_commodity_is_held_to_its_lot_without_a_calendar_of_expiries() -> None:
    assert found([future("CRUDEOIL", "2026-12-18", 100, 1.0, "MCX")], "2026-11-25") == []
    assert found([future("SILVERMIC", "2026-12-28", 1, 1.0, "MCX")], "2026-11-25") == [], "a kilogram is its lot"
    assert found([future("CRUDEOIL", "2026-12-18", 10, 1.0, "MCX")], "2026-11-25") == ["lot 10, table 100"]


def test_underlying_that_the_table_lacks_is_named_and_refused_nothing() -> None:
    rows = [future("SBIN", "2026-12-29", 750, 0.05), future("NOSUCH", "2026-12-29", 1, 65.0)]
    checked = check_table(rows, TABLE, date(2026, 11, 25))
    assert (checked.refusals, checked.unchecked, checked.instruments) == ((), ("NOSUCH", "SBIN"), sorted(
        rows, key=lambda row: row.underlying))  # fmt: skip


def test_days_before_the_table_begins_prove_nothing() -> None:
    assert found([future("RELIANCE", "2019-03-28", 500, 0.1)], "2019-03-01") == []
    assert found([future("NIFTY", "2009-12-31", 50, 1.0)], "2009-12-01") == [], "ticks begin in 2010"


def share(symbol: str, tick: float) -> Instrument:
    return Instrument(
        id=f"NSE:{symbol}", exchange="NSE", symbol=symbol, kind=InstrumentKind.EQ, underlying=symbol, tick_size=tick
    )


def test_tick_of_a_share_above_a_hundredth_of_its_price_is_none_and_exits_have_another() -> None:
    rows = [share("SBIN", 10.0), share("ABC", 5.0), share("XYZ", 5.0), share("MARUTI", 1.0), share("PENNY", 0.05),
            share("NOPRICE", 5.0)]  # fmt: skip
    names = {row.id for row in rows}
    doubtful = doubtful_ticks(rows, names, FACTS)
    assert {row.symbol for row in doubtful} == {"SBIN", "ABC", "XYZ", "NOPRICE"}, "no call for the others"
    # 1 % of 985, of 499 and of 501 rupees
    absurd = absurd_ticks(doubtful, {"SBIN": 985.0, "ABC": 499.0, "XYZ": 501.0})
    assert [row.subject for row in absurd] == ["SBIN", "ABC"]
    usable = {row.symbol: row.tick_size for row in with_usable_ticks(rows, absurd, FACTS)}
    assert usable == {"SBIN": 0.05, "ABC": 0.05, "XYZ": 5.0, "MARUTI": 1.0, "PENNY": 0.05, "NOPRICE": 5.0}


def test_shares_tick_that_differs_from_the_table_but_fits_the_price_is_believed() -> None:
    assert absurd_ticks([share("WIPRO", 0.1)], {"WIPRO": 246.0}) == []


NAMES = frozenset({"RELIANCE"})
NEED = Need(("NSE:RELIANCE",), frozenset(), frozenset(), NAMES, ("NSE", "NFO"))


def test_bad_contracts_of_a_share_close_its_contracts_and_not_the_share() -> None:
    rows = [share("RELIANCE", 0.1), future("RELIANCE", "2026-12-29", 500, 0.1)]
    bad = [BadRow("RELIANCE26JAN27FUT", "RELIANCE26JAN27FUT contradicts its own name: it is listed as CE")]
    fetched = FetchedMaster("2026-11-25", rows, bad)
    made = snapshot_of(fetched, find_problems(fetched, NEED, None), None, 1)
    assert "contradicts its own name" in refusal_for(made, "NFO:RELIANCE29DEC26FUT", "2026-11-25")
    assert refusal_for(made, "NSE:RELIANCE", "2026-11-25") == ""


def test_contract_whose_row_is_left_out_is_known_by_id_for_its_exit_and_is_not_entered() -> None:
    held = option("NIFTY", "2026-12-01", 65, 26_300.0)
    rest = [option("NIFTY", "2026-12-01", 65, 16_000.0 + 50 * n) for n in range(200)]
    before = Snapshot(day="2026-11-24", fetched_ns=1, instruments=(*rest, held), good_day="2026-11-24")
    fetched = FetchedMaster("2026-11-25", rest, [BadRow(held.symbol, "contradicts its own name")])
    made = snapshot_of(fetched, (), before, 2)
    assert made.kept == (held,) and held not in made.instruments
    assert "no usable row" in refusal_for(made, held.id, "2026-11-25")
    assert refusal_for(made, rest[0].id, "2026-11-25") == ""
    again = snapshot_of(fetched._replace(day="2026-11-26"), (), made, 3)
    assert again.kept == (held,), "on the next day too"
    assert snapshot_of(fetched._replace(day="2026-12-02"), (), again, 4).kept == (), "until it expires"


def test_row_that_is_read_again_ends_what_was_kept_of_it() -> None:
    held = option("NIFTY", "2026-12-01", 65, 26_300.0)
    before = Snapshot(day="2026-11-24", fetched_ns=1, kept=(held,), good_day="2026-11-24")
    made = snapshot_of(FetchedMaster("2026-11-25", [held]), (), before, 2)
    assert (made.kept, made.instruments) == ((), (held,))
    assert refusal_for(made, held.id, "2026-11-25") == ""


def test_refusal_by_rule_denies_no_contract() -> None:
    refusal = InstrumentRefusal("NIFTY", "no weekly", contracts_only=True, rules=("nearest",))
    made = Snapshot(day="2026-11-25", fetched_ns=1, refusals=(refusal,))
    assert refusal_for(made, "NFO:NIFTY29DEC2626300CE", "2026-11-25") == ""


def test_expiry_of_a_year_without_holidays_is_called_provisional_where_the_list_misses_it() -> None:
    rows = chain("BANKNIFTY", {"2027-02-23": 30, "2027-03-30": 30})
    texts = [row.reason for row in check_table(rows, TABLE, date(2027, 1, 11)).refusals]
    assert any("2027-01-25 (provisional) was expected" in text for text in texts), texts
    texts = [
        row.reason for row in check_table(chain("BANKNIFTY", {"2027-01-26": 30}), TABLE, date(2026, 11, 25)).refusals
    ]
    assert any("2026-12-29 was expected" in text for text in texts), texts
