"""Universes: dated members, files of symbols, and what the filters measure."""

from __future__ import annotations

import tomllib
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from mytrading.backtest.data.columns import build_columns
from mytrading.backtest.data.load import RequestError
from mytrading.backtest.data.universe import (
    InstrumentMeasures,
    UniverseFilter,
    load_universes,
    measure,
    universe_members,
)
from mytrading.config.symbols import SymbolConfig
from mytrading.core.time import DAY
from tests.kit.project import ROOT

NIFTY50 = load_universes(ROOT)["NIFTY50"]


def test_nifty_50_has_fifty_members_after_every_change() -> None:
    turns = [change.since for change in NIFTY50.changes]
    assert turns == sorted(set(turns))
    for change in NIFTY50.changes:
        before = set(NIFTY50.members_on(change.since - timedelta(days=1)))
        assert len(NIFTY50.members_on(change.since)) == 50
        assert set(change.removed) <= before and not set(change.added) & before


def test_newest_nifty_50_is_what_the_simulator_lists() -> None:
    table = tomllib.loads((ROOT / "config" / "instruments.toml").read_text(encoding="utf-8"))["underlyings"]
    assert set(NIFTY50.members_on(date(2026, 11, 1))) <= set(table)


def test_members_of_a_period_are_those_of_any_of_its_days() -> None:
    before, after = NIFTY50.members_on(date(2024, 9, 29)), NIFTY50.members_on(date(2024, 9, 30))
    assert set(after) - set(before) == {"BEL", "TRENT"}
    assert set(NIFTY50.members_between(date(2024, 9, 1), date(2024, 9, 30))) == {*before, *after}
    assert NIFTY50.members_between(date(2024, 9, 30), date(2024, 10, 30)) == after


def test_file_of_symbols_may_name_ids_short_names_and_shares(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("# mine\nnifty\n\nSBIN\nBSE:TCS\nsbin\n", encoding="utf-8")
    found = universe_members(ROOT, str(path), SymbolConfig(), None, None)
    assert found == ("NSE_INDEX:NIFTY", "NSE:SBIN", "BSE:TCS")
    path.write_bytes(b"\xff\xfe\x00bad")
    with pytest.raises(RequestError, match="expected a text file of symbols"):
        universe_members(ROOT, str(path), SymbolConfig(), None, None)


def test_universe_by_name_needs_a_first_day() -> None:
    with pytest.raises(RequestError, match="give the first day with --from"):
        universe_members(ROOT, "NIFTY50", SymbolConfig(), None, None)


def test_measures_are_those_of_the_days_before() -> None:
    close, volume = np.array([100.0, 110.0, 99.0, 120.0, 500.0]), np.array([1.0, 2.0, 3.0, 4.0, 900.0])
    start = np.arange(5) * DAY - int(5.5 * 3600 * 1e9)
    bars = build_columns("NSE:A", start, np.vstack([close, close, close, close, volume]), "test", "1d")
    found = measure(bars, date(1970, 1, 5), 3)
    assert found is not None
    steps = np.log([99 / 110, 120 / 99])
    assert (found.days, found.volume, found.price) == (3, 3.0, 120.0)
    assert found.turnover == pytest.approx((110 * 2 + 99 * 3 + 120 * 4) / 3)
    assert found.volatility == pytest.approx(abs(steps[0] - steps[1]) / 2**0.5 * 252**0.5)
    assert measure(bars, date(1970, 1, 1), 3) is None


@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        (UniverseFilter(min_volume=999), ""),
        (UniverseFilter(min_volume=1001), "volume 1,000 is below 1,001"),
        (UniverseFilter(min_turnover=2e5), "turnover 1e+05 is below 2e+05"),
        (UniverseFilter(min_price=100, max_price=100), ""),
        (UniverseFilter(max_price=99), "price 100 is above 99"),
        (UniverseFilter(max_volatility=0.1), "no volatility: 2 days of bars"),
    ],
)
def test_filter_says_why_an_instrument_is_left_out(rule: UniverseFilter, refused: str) -> None:
    assert rule.refusal(InstrumentMeasures("NSE:A", 2, 1000.0, 1e5, 100.0, float("nan"))) == refused
