"""The day's master contract: what is refused and why, what stays for exits, and what changed since the day before."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from msgspec.structs import replace

from mytrading.core.calendar import Calendar
from mytrading.core.instruments import master_contract
from mytrading.core.instruments.contract_specs import ContractFacts, list_instruments
from mytrading.core.instruments.master_contract import BadRow, FetchedMaster, Need
from mytrading.messages.instruments import Instrument, InstrumentKind, InstrumentRefusal, Snapshot
from mytrading.messages.run_config import TradeKind
from tests.kit.project import ROOT
from tests.kit.run_configs import run_config

CALENDAR = Calendar.from_dict(tomllib.loads((ROOT / "config/calendar.toml").read_text(encoding="utf-8")))
FACTS = ContractFacts.from_dict(tomllib.loads((ROOT / "config/instruments.toml").read_text(encoding="utf-8")))
PRICE = 26_010.0
NIFTY = frozenset({"NIFTY"})
NEED = Need(("NSE_INDEX:NIFTY", "NSE:SBIN"), NIFTY, NIFTY, NIFTY | {"SBIN"}, ("NSE_INDEX", "NFO", "NSE"))


def listed(day: date = date(2026, 11, 20)) -> list[Instrument]:
    return list_instruments(FACTS, CALENDAR, day, {"NIFTY": PRICE})


def fetched(instruments: list[Instrument], **fields: object) -> FetchedMaster:
    return FetchedMaster(**{"day": "2026-11-20", "instruments": instruments, "prices": {"NIFTY": PRICE}, **fields})  # type: ignore[arg-type]


def yesterday(instruments: list[Instrument] | None = None) -> Snapshot:
    rows = tuple(instruments if instruments is not None else listed(date(2026, 11, 19)))
    return Snapshot(day="2026-11-19", fetched_ns=1, instruments=rows, good_day="2026-11-19")


def test_need_covers_what_is_watched_and_what_rules_trade_on_their_exchanges(tmp_path: Path) -> None:
    config = run_config(tmp_path)
    (run,) = config.strategies
    assert run.long is not None
    sensex = replace(run, name="B", long=replace(run.long, underlying="SENSEX"), short=None)
    share = replace(run, name="C", long=replace(run.long, kind=TradeKind.FUTURE, underlying="RELIANCE"), short=None)
    need = master_contract.instruments_needed(
        replace(config, strategies=(run, sensex, share)), ("NSE_INDEX:NIFTY", "NSE:M&M"), FACTS
    )
    assert need.options == {"NIFTY", "SENSEX"} and need.futures == {"RELIANCE"}
    assert need.underlyings == {"NIFTY", "M&M", "SENSEX", "RELIANCE"}
    assert set(need.exchanges) == {"NSE_INDEX", "NFO", "NSE", "BSE_INDEX", "BFO"}


@pytest.mark.parametrize("watched", [("NSE_INDEX:NIFTY", "NFO:NIFTY28JUL2625000CE"), ("NSE:SBIN", "BSE:SBIN")])
def test_need_covers_each_exchange_of_one_name_in_any_order(tmp_path: Path, watched: tuple[str, ...]) -> None:
    """An index that is not asked for is refused as not listed, and closes the entries of its options."""
    for names in (watched, watched[::-1]):
        need = master_contract.instruments_needed(replace(run_config(tmp_path), strategies=()), names, FACTS)
        assert {name.partition(":")[0] for name in watched} <= set(need.exchanges)


def test_whole_list_is_admitted() -> None:
    assert master_contract.find_problems(fetched(listed()), NEED, yesterday()) == ()


Break = Callable[[list[Instrument]], list[Instrument]]


def each(**fields: object) -> Break:
    return lambda rows: [replace(row, **fields) if row.kind.is_derivative else row for row in rows]


def without(wanted: Callable[[Instrument], bool]) -> Break:
    return lambda rows: [row for row in rows if not wanted(row)]


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (without(lambda row: row.symbol == "NIFTY"), "NSE_INDEX:NIFTY is not listed"),
        (without(lambda row: row.kind is InstrumentKind.FUT), "no future of NIFTY is listed"),
        (without(lambda row: row.kind.is_option), "no option of NIFTY is listed"),
        (without(lambda row: row.kind is InstrumentKind.PE), "PE of NIFTY 2026-11-23: expected 2 strikes on each side"),
        (without(lambda row: row.strike > PRICE), "found 31 below and 0 above"),
        (without(lambda row: 25_900 < row.strike < 26_150), "no strike between 25900 and 26150 at price 26010"),
        (each(tick_size=0.0), "tick size is missing for NIFTY"),
        (each(lot_size=0), "lot size is missing for NIFTY"),
        (each(freeze_qty=0), "freeze quantity is missing for NIFTY23NOV26FUT"),
        (
            lambda rows: [*rows[:-1], replace(rows[-1], lot_size=75)],
            "differ in lot size: 65 (122 contracts), 75 (1 con",
        ),
        (without(lambda row: abs(row.strike - PRICE) > 250 and row.kind.is_option), "the list was cut short"),
    ],
)
def test_list_with_a_fault_is_refused_with_its_reason(harm: Break, words: str) -> None:
    refusals = master_contract.find_problems(fetched(harm(listed())), NEED, yesterday())
    assert any(words in row.reason and row.subject == "NIFTY" for row in refusals), refusals
    assert not any(row.subject == "SBIN" for row in refusals)


def test_list_without_a_price_of_the_underlying_is_refused() -> None:
    (refusal,) = master_contract.find_problems(fetched(listed(), prices={}), NEED, None)
    assert "the strikes of NIFTY cannot be checked" in refusal.reason


def test_rows_that_could_not_be_read_refuse_their_underlying_only_when_they_are_many() -> None:
    bad = [BadRow(f"NIFTY23NOV26{strike}CE", "lot size: expected whole units") for strike in range(20_000, 20_004)]
    (refusal,) = master_contract.find_problems(fetched(listed(), bad=bad), NEED, None)
    assert "4 of 373 rows cannot be read, the first is NIFTY23NOV2620000CE: lot size" in refusal.reason
    assert master_contract.find_problems(fetched(listed(), bad=bad[:1]), NEED, None) == ()
    assert master_contract.find_problems(fetched(listed(), bad=[BadRow("TCS23NOV26FUT", "odd")] * 9), NEED, None) == ()


def test_share_without_tick_is_refused_alone() -> None:
    rows = [replace(row, tick_size=0.0) if row.symbol == "SBIN" else row for row in listed()]
    assert [row.subject for row in master_contract.find_problems(fetched(rows), NEED, None)] == ["SBIN"]


def test_refused_underlying_keeps_what_was_known_of_it_and_the_others_are_new() -> None:
    before = yesterday([replace(row, token="old") for row in listed(date(2026, 11, 19))])
    today = [replace(row, token="new", lot_size=0 if row.kind.is_derivative else 1) for row in listed()]
    refusals = master_contract.find_problems(fetched(today), NEED, before)
    made = master_contract.snapshot_of(fetched(today), refusals, before, 5)
    assert {row.token for row in made.instruments if row.underlying == "NIFTY"} == {"old"}
    assert {row.lot_size for row in made.instruments if row.kind.is_derivative} == {65}
    assert {row.token for row in made.instruments if row.symbol == "SBIN"} == {"new"}
    assert (made.day, made.good_day) == ("2026-11-20", "2026-11-19")


def test_refusal_names_the_underlying_of_a_contract_and_the_day() -> None:
    made = Snapshot(day="2026-11-20", fetched_ns=1, refusals=(InstrumentRefusal("M&M", "no lot"),))
    assert master_contract.refusal_for(made, "NFO:M&M24NOV26FUT", "2026-11-20") == "no lot"
    assert master_contract.refusal_for(made, "NSE:M&M", "2026-11-20") == "no lot"
    assert master_contract.refusal_for(made, "NFO:NIFTY24NOV26FUT", "2026-11-20") == ""
    assert "those at hand are of 2026-11-20" in master_contract.refusal_for(made, "NSE:SBIN", "2026-11-21")


def test_freeze_comes_from_the_server_else_from_the_table() -> None:
    rows = [replace(row, freeze_qty=0) for row in listed()]
    day = date(2026, 11, 20)
    reported = master_contract.with_freeze(rows, {"NIFTY": 1755}, FACTS, day)
    assert {row.freeze_qty for row in reported if row.kind.is_derivative} == {1755}
    assert {row.freeze_qty for row in master_contract.with_freeze(rows, {}, FACTS, day) if row.kind.is_derivative} == {
        1800
    }
    assert {row.freeze_qty for row in reported if not row.kind.is_derivative} == {0}


def test_changes_name_what_came_went_and_moved_but_not_what_expired() -> None:
    old = [*listed(), replace(listed()[-1], id="NFO:GONE", expiry="2026-11-19"),
           replace(listed()[-1], id="NFO:DROPPED", expiry="2026-12-29")]  # fmt: skip
    new = [replace(row, lot_size=75) if row.kind is InstrumentKind.FUT else row for row in listed()]
    new.append(replace(new[-1], id="NFO:NEW"))
    found = master_contract.diff_instruments(old, new, "2026-11-20")
    assert (found.added, found.removed) == (("NFO:NEW",), ("NFO:DROPPED",))
    futures = ("NFO:NIFTY23NOV26FUT", "NFO:NIFTY25JAN27FUT", "NFO:NIFTY29DEC26FUT")
    assert found.changed == tuple((future, "lot_size", 65, 75) for future in futures)
    assert master_contract.changes_text(found) == "NIFTY: lot size 65 → 75 (3 contracts); 1 added; 1 removed"
    assert not master_contract.diff_instruments(new, new, "2026-11-20")
