"""Notes of a backtest on lots without a dated row in the contract facts."""

from __future__ import annotations

from datetime import date

from mytrading.backtest.setup.prepare import lot_notes
from tests.kit.backtest_specs import bars, facts, flat


def noted(instrument: str, day: date) -> list[str]:
    return lot_notes([bars(flat(100.0, 2), day=day, instrument=instrument)], facts())


def test_lot_before_the_first_one_on_record_is_said_to_stand_in() -> None:
    (note,) = noted("NSE_INDEX:BANKNIFTY", date(2017, 3, 1))
    assert note.startswith("lots of BANKNIFTY before 2018-09-01 are not on record: 40, the first one known, stands in")
    assert "underlyings.BANKNIFTY.lot of config/instruments.toml" in note
    assert noted("NFO:RELIANCE30MAR17FUT", date(2017, 3, 1))
    assert noted("NSE_INDEX:BANKNIFTY", date(2018, 9, 3)) == []
    assert noted("NSE:RELIANCE", date(2017, 3, 1)) == [], "a share is traded in units"


def test_index_without_a_lot_is_said_to_be_traded_in_units() -> None:
    (note,) = noted("NSE_INDEX:NIFTYNXT50", date(2025, 3, 3))
    assert note.startswith("NIFTYNXT50 has no lot on record: it is traded in single units")
