"""Backtests of legs with products of their own: what ends with the day, and what is held on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from mytrading.backtest.results.output import summary
from mytrading.backtest.run import RunResult, run
from mytrading.backtest.setup.prepare import RunRequest, prepare
from mytrading.core.time import IST, ist_date
from mytrading.messages.enums import Product
from tests.kit.project import ROOT, copy_project

DATA = f"NIFTY={ROOT / 'tests' / 'data' / 'index-1m.csv.gz'}"
FILE = """
name = "Hedged"
underlying = "NIFTY"
product = "MIS"
stop = "none"
entry_time = "09:30"

[[legs]]
action = "BUY"
strike = "OTM 4"
right = "CE"
product = "NRML"

[[legs]]
action = "SELL"
strike = "ATM"
right = "CE"
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with one file of legs."""
    folder = tmp_path_factory.mktemp("project")
    copy_project(folder)
    (folder / "config" / "strategies" / "hedged.toml").write_text(FILE, encoding="utf-8")
    yield folder


def ran(home: Path, **given: Any) -> RunResult:
    asked = RunRequest("Hedged", (DATA,), first=date(2024, 1, 29), last=date(2024, 2, 1), **given)
    return run(prepare(home, asked).spec)


def test_mis_leg_ends_with_the_day_and_the_nrml_leg_is_held_to_its_expiry(home: Path) -> None:
    result = ran(home)
    assert result.fault is None
    first = {trade.side: trade for trade in result.ledger.trades if ist_date(trade.entry_ns) == date(2024, 1, 29)}
    assert set(first) == {"BUY", "SELL"}
    assert ist_date(first["SELL"].exit_ns) == date(2024, 1, 29)
    assert f"{at(first['SELL'].exit_ns):%H:%M}" == "15:12"
    assert ist_date(first["BUY"].exit_ns) == date(2024, 2, 1)
    assert result.priced is not None and result.priced.fills["settled"] == 1, "the bought call, at its expiry"


def at(ns: int) -> datetime:
    return datetime.fromtimestamp(ns / 1e9, IST)


def test_legs_without_a_product_all_end_with_the_day(home: Path) -> None:
    result = ran(home, parameters={"leg1.product": "MIS"})
    assert result.fault is None
    assert len(result.ledger.trades) == 8, "a pair on each of four days"
    assert all(ist_date(trade.entry_ns) == ist_date(trade.exit_ns) for trade in result.ledger.trades)
    assert not summary(result)["open"]


def test_product_of_the_command_is_that_of_the_legs_that_name_none(home: Path) -> None:
    spec = prepare(home, RunRequest("Hedged", (DATA,), last=date(2024, 1, 29), product="NRML")).spec
    assert spec.run.plan is not None
    assert [leg.product or spec.run.product for leg in spec.run.plan.legs] == [Product.NRML, Product.NRML]
    assert not spec.run.intraday


def held_overnight(product: str) -> bool:
    asked = RunRequest("SMA_Crossover", (DATA.partition("=")[2],), instrument="NSE:SBIN", product=product)
    trades = run(prepare(ROOT, asked).spec).ledger.trades
    assert trades
    return any(ist_date(trade.entry_ns) != ist_date(trade.exit_ns) for trade in trades)


def test_product_of_the_command_says_whether_a_class_holds_overnight() -> None:
    assert held_overnight("CNC")
    assert not held_overnight("MIS")
    assert not held_overnight(""), "as the strategy trades: MIS"
