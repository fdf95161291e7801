"""Backtests of strategies whose legs the data is not of: modelled prices, real machines, settlement at expiry."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mytrading.backtest.checks import run_all as checks
from mytrading.backtest.data.columns import Columns, DataError
from mytrading.backtest.data.load import RequestError
from mytrading.backtest.options.market import OptionMarket, OptionTerms
from mytrading.backtest.results.output import option_price_sources, summary
from mytrading.backtest.results.report import share_tables, write_report
from mytrading.backtest.run import Spec, run
from mytrading.backtest.setup.prepare import prepare
from mytrading.cli.legs.command import TEMPLATES, template_toml
from mytrading.config.sections import VARIABLES, Variable
from mytrading.core.time import ist_date
from mytrading.messages.instruments import InstrumentKind
from mytrading.reports.document import ReportTable
from tests.kit.backtest_specs import calendar, facts
from tests.kit.option_runs import NIFTY, asked, bars, option, straddle, write_legs
from tests.kit.pages import charts_of, column_of, report_of, titles
from tests.kit.project import ROOT, copy_project


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with files of legs beside those that are shipped."""
    folder = tmp_path_factory.mktemp("project")
    copy_project(folder)
    for name, template in TEMPLATES.items():
        own = f"Of_{name.replace('-', '_')}"
        text = template_toml(own, template, "NIFTY")
        (folder / "config" / "strategies" / f"{own.lower()}.toml").write_text(text, encoding="utf-8")
    yield folder


def test_straddle_on_modelled_prices_has_the_pinned_trades() -> None:
    result = straddle()
    assert result.fault is None
    assert (len(result.ledger.trades), result.ledger.trade_hash()) == (40, "9da078739c3031d4")
    assert [(stop["position"], stop["holder"], stop["origin"]) for stop in summary(result)["stops"]] == [
        ("options", "broker", "the signal's own stop_price"),
        ("bought legs that hedge sold ones", "none", ""),
    ]


def test_entries_in_contracts_that_the_data_has_no_bars_of_are_not_judged_by_chance() -> None:
    found = checks.run_checks(straddle().spec, checks.CheckRequest(None, ("chance",)), None)
    (outcome,) = (one for one in found.outcomes if one.check == "chance")
    assert found.entries is None
    assert found.orders is not None
    assert outcome.figures["round_trips"] == 40
    assert outcome.figures["entries"] == "not judged, the data has no bars of what was traded"
    assert "entry_p" not in outcome.figures


def test_seller_of_options_without_bars_of_one_learns_what_it_needs() -> None:
    (said,) = (note for note in prepare(ROOT, asked("Swing_Break_Seller")).notes if "watches options by rule" in note)
    assert "--data NFO:" in said
    assert not [note for note in prepare(ROOT, asked("SMA_Crossover")).notes if "by rule" in note]


def test_condor_of_a_file_of_legs_has_the_pinned_trades(home: Path) -> None:
    result = run(prepare(home, asked("Of_iron_condor", last=date(2024, 2, 2))).spec)
    assert (len(result.ledger.trades), result.ledger.trade_hash()) == (20, "5a6348102676e771")
    assert [stop["text"] for stop in summary(result)["stops"]][::2] == [
        "none; it hedges legs[3], and needs no stop until that is gone",
        "engine, 100 % of premium: the leg's own stop; it lies beyond what the exchange takes (36% of its price, or "
        "₹18 of one up to ₹50)",
    ]
    page = str(share_tables(result))
    assert all(f"Of_iron_condor · leg {number}'" in page for number in range(1, 5))
    assert "leg 5" not in page
    by_leg = [sum(one.net for one in result.ledger.trades if one.leg == number) for number in range(1, 5)]
    (legs, _) = share_tables(result)
    assert isinstance(legs, ReportTable)
    assert column_of(legs, "Net") == pytest.approx(by_leg, abs=0.011)


def test_condor_of_one_lot_is_not_denied_with_two_lakh_rupees(home: Path) -> None:
    legs = (("BUY", "OTM 8", "CE"), ("BUY", "OTM 8", "PE"), ("SELL", "OTM 3", "CE"), ("SELL", "OTM 3", "PE"))
    write_legs(home, "Two_Lakh", legs, "15:00", stop="none")
    result = run(prepare(home, asked("Two_Lakh", last=date(2024, 1, 31), capital=200_000.0)).spec)
    days = len({ist_date(trade.entry_ns) for trade in result.ledger.trades})
    assert days == len({ist_date(int(start)) for start in bars().start_ns if ist_date(int(start)) <= date(2024, 1, 31)})
    assert {trade.leg for trade in result.ledger.trades} == {1, 2, 3, 4}


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_every_template_trades_all_its_legs(home: Path, name: str) -> None:
    given = asked(f"Of_{name.replace('-', '_')}", last=date(2024, 1, 29), capital=3e6)
    result = run(prepare(home, given).spec)
    assert result.fault is None
    legs = [leg[0] for leg in TEMPLATES[name].legs]
    sides = sorted((trade.leg, trade.side) for trade in result.ledger.trades)
    assert sides == [(number if len(legs) > 1 else 0, side) for number, side in enumerate(legs, 1)]
    assert not summary(result)["open"]


def test_prices_and_surface_are_said_with_the_result(tmp_path: Path) -> None:
    result = straddle()
    found = option_price_sources(result)
    assert found is not None
    assert found["bars"] == {"modelled": 1.0, "calibrated": 0.0, "recorded": 0.0}
    assert sum(found["fills"].values()) == len(result.ledger.fills)
    assert found["surface"]["skew"] == -0.12
    assert summary(result)["options"] == found
    write_report(result, (), tmp_path / "report.html")
    report = report_of(tmp_path)
    (chart,) = charts_of(report, "Trades on price")
    marks = {one.name: len(one.x) for one in chart.series if one.draw == "marks"}
    assert sum(marks.values()) == 2 * len(result.ledger.trades) > 0, "contracts stand on the chart of what they are on"
    assert set(marks) <= {"contract bought", "contract sold", "contract stopped"}
    assert marks.get("contract stopped", 0) == result.ledger.exit_words.count("stop")
    assert "Prices of options" in titles(report)
    assert any("100.0% modelled" in note for note in report.notes)


def test_equity_at_the_end_is_capital_and_net_profit() -> None:
    result = straddle()
    net = sum(trade.net for trade in result.ledger.trades)
    assert float(result.curve.equity[-1]) == pytest.approx(result.spec.capital + net, abs=0.01)
    assert result.curve.exposure.max() > 0


def test_legs_held_to_expiry_settle_at_the_mean_of_the_last_half_hour(home: Path) -> None:
    write_legs(home, "To_Expiry", (("SELL", "ATM", "CE"), ("SELL", "ATM", "PE")), "", "NRML", "none")
    result = run(prepare(home, asked("To_Expiry", first=date(2024, 1, 29), last=date(2024, 2, 1))).spec)
    assert not summary(result)["open"]
    closes = bars().close[[ist_date(int(start)) == date(2024, 2, 1) for start in bars().start_ns]]
    spot = round(float(np.mean(closes[-30:])), 2)
    assert len(result.ledger.trades) == 2
    for trade in result.ledger.trades:
        strike, call = float(trade.instrument[-7:-2]), trade.instrument.endswith("CE")
        assert trade.exit_price == pytest.approx(max(spot - strike if call else strike - spot, 0.0), abs=1e-9)
        assert ist_date(trade.exit_ns) == date(2024, 2, 1)
    assert result.priced is not None
    assert result.priced.fills["settled"] == 2


def test_cutting_the_future_off_changes_no_fill_before_it() -> None:
    whole = straddle()
    cut = int(whole.spec.data[0].start_ns[2000])
    part = run(dataclasses.replace(whole.spec, data=(whole.spec.data[0].between(0, cut),)))
    before = [fill for fill in whole.ledger.fills if fill.at_ns <= cut]
    assert before
    assert part.ledger.fills == before


@pytest.mark.parametrize("rows", [400, 1130, 3000])
def test_cutting_the_future_off_changes_no_price_before_it(rows: int) -> None:
    contract = option(21_700.0, InstrumentKind.PE)
    whole, part = (OptionMarket(OptionTerms(), (columns,), calendar(), facts()) for columns in (bars(), begin(rows)))
    for day in {ist_date(int(start)) for start in bars().start_ns[:rows]}:
        full, cut = whole.prices(contract, day), part.prices(contract, day)
        assert full is not None
        assert cut is not None
        assert np.array_equal(full.columns.table[:, : len(cut.columns)], cut.columns.table)
        assert [item.id for item in whole.contracts_on(day)] == [item.id for item in part.contracts_on(day)]


def begin(rows: int) -> Columns:
    return Columns(NIFTY, "1m", bars().start_ns[:rows], bars().table[:, :rows])


def test_a_call_bar_follows_the_underlyings_and_a_put_bar_runs_against_it() -> None:
    market = OptionMarket(OptionTerms(), (bars(),), calendar(), facts())
    day = date(2024, 1, 30)
    call, put = (market.prices(option(21_500.0, right), day) for right in (InstrumentKind.CE, InstrumentKind.PE))
    assert call is not None
    assert put is not None
    moves = np.diff(bars().close[375:750])
    big = np.abs(moves) > 5
    assert np.all(np.sign(np.diff(call.columns.close))[big] == np.sign(moves)[big])
    assert np.all(np.sign(np.diff(put.columns.close))[big] == -np.sign(moves)[big])
    for prices in (call, put):
        opens, high, low, close, _ = prices.columns.table
        assert np.all(low <= np.minimum(opens, close))
        assert np.all(high >= np.maximum(opens, close))


def test_a_moment_costs_what_the_bar_that_ends_there_closes_at() -> None:
    market = OptionMarket(OptionTerms(), (bars(),), calendar(), facts())
    contract = option(21_800.0, InstrumentKind.CE)
    prices = market.prices(contract, date(2024, 1, 30))
    assert prices is not None
    end = int(prices.columns.start_ns[100]) + prices.columns.span_ns
    moment = market.prices_at([contract], end)[contract.id]
    assert moment.price == pytest.approx(float(prices.columns.close[100]))
    assert moment.bid < moment.price < moment.ask


def test_a_rule_that_names_an_option_trades_it_if_prices_are_asked_for() -> None:
    given = {"parameters": {"fast_period": "5", "slow_period": "20"}, "last": date(2024, 1, 30)}
    index = run(prepare(ROOT, asked("SMA_Crossover", **given)).spec)
    assert {trade.instrument for trade in index.ledger.trades} == {NIFTY}
    options = run(prepare(ROOT, asked("SMA_Crossover", options=("model",), **given)).spec)
    names = {trade.instrument for trade in options.ledger.trades}
    assert names
    assert all(name.startswith("NFO:NIFTY01FEB24") and name.endswith("CE") for name in names)


def test_given_volatility_makes_dearer_options_than_a_lower_one() -> None:
    low, high = (prepare(ROOT, asked("Options_Straddle", iv=iv)).spec.options for iv in ("9%", "0.3"))
    assert low is not None
    assert high is not None
    contract = option(21_700.0, InstrumentKind.CE)
    now = int(bars().start_ns[10])
    cheap, dear = (
        OptionMarket(terms, (bars(),), calendar(), facts()).prices_at([contract], now) for terms in (low, high)
    )
    assert dear[contract.id].price > 2 * cheap[contract.id].price


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"iv": "abc"}, "--iv: expected realised, or a volatility of a year"),
        ({"surface": {"skw": "1"}}, "did you mean skew"),
        ({"surface": {"skew": "7"}}, "--surface skew"),
    ],
)
def test_a_surface_that_cannot_be_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        prepare(ROOT, asked("Options_Straddle", **given))


def test_volatility_without_options_is_refused() -> None:
    with pytest.raises(RequestError, match="--options model"):
        prepare(ROOT, asked("SMA_Crossover", iv="0.1"))


def test_bars_of_a_share_without_contracts_are_refused() -> None:
    spec: Spec = straddle().spec
    other = dataclasses.replace(spec.data[0], instrument="NSE:NOSUCH")
    with pytest.raises(DataError, match="no options are known of NSE:NOSUCH"):
        OptionMarket(OptionTerms(), (other,), calendar(), facts())


def test_an_unknown_name_lists_files_of_legs_too(home: Path) -> None:
    with pytest.raises(RequestError, match="Of_iron_condor"):
        prepare(home, asked("Of_iron_condr"))


@pytest.mark.parametrize(
    "row", [row for row in VARIABLES.values() if row.path.startswith("backtest.")], ids=lambda row: row.name
)
def test_variable_of_backtests_changes_what_options_are_priced_by(
    row: Variable, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {"backtest.iv": "21%", "backtest.bhavcopy": "same_day", "backtest.smile": "0.07", "backtest.skew": "-0.2"}
    name = row.path.removeprefix("backtest.")
    before = prepare(ROOT, asked("Options_Straddle")).spec.options
    monkeypatch.setenv(row.name, other.get(row.path, "0.3" if name in ("near", "carry", "rate") else "7"))
    after = prepare(ROOT, asked("Options_Straddle")).spec.options
    assert before is not None
    assert after is not None
    left, right = (dataclasses.replace(terms, tables=None, recorded={}, days=()) for terms in (before, after))
    assert dataclasses.astuple(left) != dataclasses.astuple(right)
