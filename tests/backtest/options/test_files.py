"""Backtests on recorded options: bhavcopies of both forms, bars of contracts, what a stack has kept; and bad files."""

from __future__ import annotations

import gzip
import json
import math
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mytrading.adapters.nse.bhavcopy import BhavcopyError, read_bhavcopy
from mytrading.adapters.storage.bar_store import BarStore
from mytrading.backtest.data.load import RequestError, load_bars
from mytrading.backtest.options.market import OptionMarket
from mytrading.backtest.results.output import option_price_sources, option_prices_text
from mytrading.backtest.results.report import option_tables
from mytrading.backtest.run import run
from mytrading.backtest.setup.prepare import RunRequest, prepare
from mytrading.cli.app import app
from mytrading.cli.shell.failures import Failure
from mytrading.core.options import black76
from mytrading.core.time import ist_date
from mytrading.messages.instruments import InstrumentKind
from mytrading.messages.market import Bar
from tests.kit.backtest_specs import calendar, facts
from tests.kit.project import ROOT

NIFTY = "NSE_INDEX:NIFTY"
FILE = str(ROOT / "tests" / "data" / "index-1m.csv.gz")
DAY, EXPIRY = date(2024, 1, 30), date(2024, 2, 8)
STRIKES = range(21_000, 22_450, 50)
RATE = 0.065


@cache
def spot_on(day: date) -> float:
    columns = load_bars(Path(FILE), NIFTY, day, day)
    return float(columns.close[-1])


def true_iv(strike: float) -> float:
    """Implied volatility with which the files of these tests are made."""
    return 0.16 - 0.00002 * (strike - 21_500)


ON_THE_CLOCK = math.sqrt((EXPIRY - DAY) / timedelta(days=365) / ((7 * 0.72 + 6 * 0.28 + 0.40) / 252))
"""From a volatility of calendar years, which the files are made with, to the variance clock's: seven sessions, six
nights and a weekend are left of the weights in config/instruments.toml."""


def worth(strike: float, right: str, day: date = DAY) -> float:
    years = np.array([(EXPIRY - day) / timedelta(days=365)])
    forward = spot_on(day) * np.exp(0.05 * years)
    value = black76.prices(forward, strike, years, np.array([true_iv(strike)]), RATE, right == "CE")
    return max(round(float(value[0]) / 0.05) * 0.05, 0.05)


def new_form(day: date = DAY) -> str:
    head = (
        "TradDt,BizDt,Sgmt,Src,FinInstrmTp,TckrSymb,XpryDt,StrkPric,OptnTp,OpnPric,HghPric,LwPric,ClsPric,UndrlygPric,"
        "SttlmPric,OpnIntrst,TtlTradgVol,NewBrdLotQty,Rmks"
    )
    lines = [head]
    for strike in STRIKES:
        for right in ("CE", "PE"):
            price, traded = (9_999.0, 0) if strike == 21_200 else (worth(strike, right, day), 500)
            lines.append(
                f"{day},{day},FO,NSE,IDO,NIFTY,{EXPIRY},{strike}.00,{right},{price:.2f},{price:.2f},{price:.2f},"
                f"{price:.2f},{spot_on(day):.2f},{price:.2f},{strike},{traded},75,"
            )
    return "\n".join(lines) + "\n"


def old_form(day: date = DAY) -> str:
    lines = [
        "INSTRUMENT,SYMBOL,EXPIRY_DT,STRIKE_PR,OPTION_TYP,OPEN,HIGH,LOW,CLOSE,SETTLE_PR,CONTRACTS,VAL_INLAKH,OPEN_INT,"
        "CHG_IN_OI,TIMESTAMP,"
    ]
    for strike in STRIKES:
        for right in ("CE", "PE"):
            price, traded = (9_999.0, 0) if strike == 21_200 else (worth(strike, right, day), 500)
            lines.append(
                f"OPTIDX,NIFTY,{EXPIRY:%d-%b-%Y},{strike},{right},{price:.2f},{price:.2f},{price:.2f},{price:.2f},"
                f"{price:.2f},{traded},1.5,{strike},0,{day:%d-%b-%Y},"
            )
    return "\n".join(lines).upper() + "\n"


def write(folder: Path, text: str, kind: str) -> Path:
    path = folder / f"bhav{kind}"
    if kind == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("bhav.csv", text)
    elif kind == ".csv.gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


def asked(*options: str, **given: Any) -> RunRequest:
    return RunRequest("Options_Straddle", (f"NIFTY={FILE}",), first=DAY, options=options, **given)


@pytest.mark.parametrize("form", [new_form, old_form])
@pytest.mark.parametrize("kind", [".csv", ".csv.gz", ".zip"])
def test_both_forms_hold_the_same_contracts(tmp_path: Path, form: Callable[[], str], kind: str) -> None:
    file = read_bhavcopy(write(tmp_path, form(), kind))
    assert (file.day, file.exchange, len(file.rows)) == (DAY, "NFO", 2 * len(STRIKES))
    row = next(row for row in file.contracts_of("NIFTY") if row.strike == 21_700 and row.kind is InstrumentKind.CE)
    assert (row.expiry, row.open_interest, row.contracts) == (EXPIRY, 21_700, 500)
    assert row.price == pytest.approx(worth(21_700, "CE"))
    assert next(row for row in file.rows if row.strike == 21_200).price == 0.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "missing from its first line"),
        ("", "missing from its first line"),
        (new_form().replace(",FO,", ",CM,"), "line 2: Sgmt is 'CM', not FO"),
        (new_form().replace("21050.00,CE", "21050.00,XX"), "line 4: an option's right is CE or PE, found 'XX'"),
        (new_form().replace(",21100.00,", ",many,"), "line 6: expected a number, found 'many'"),
        (old_form().replace("08-FEB-2024", "someday"), "line 2: expected a day such as"),
        (new_form() + new_form(date(2024, 1, 31)).partition("\n")[2], "expected one trading day, found 2024-01-30"),
        (new_form().replace("IDO", "XYZ"), "no future and no option"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BhavcopyError, match=said):
        read_bhavcopy(write(tmp_path, text, ".csv"))


def test_an_underlying_that_is_not_in_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(BhavcopyError, match="no contracts of SENSEX; it holds NIFTY"):
        read_bhavcopy(write(tmp_path, new_form(), ".csv")).contracts_of("SENSEX")


@pytest.mark.parametrize("form", [new_form, old_form])
def test_the_day_after_a_bhavcopy_is_priced_by_its_volatilities(tmp_path: Path, form: Callable[[], str]) -> None:
    path = write(tmp_path, form(), ".csv")
    spec = prepare(ROOT, asked(str(path))).spec
    assert spec.options is not None
    (listed,) = spec.options.days
    smile = listed.smiles[EXPIRY.isoformat()]
    for strike in (21_100, 21_500, 21_900):
        assert float(smile.volatility_at(strike)) == pytest.approx(true_iv(strike) * ON_THE_CLOCK, abs=0.003)
    market = OptionMarket(spec.options, spec.data, calendar(), facts())
    names = {item.strike for item in market.contracts_on(DAY) if item.kind.is_option}
    assert names == set(map(float, STRIKES))
    contract = next(item for item in market.contracts_on(DAY) if item.strike == 21_500.0)
    before, after = (market.prices(contract, day) for day in (DAY, date(2024, 1, 31)))
    assert before is not None
    assert after is not None
    assert set(before.source.tolist()) == {0}
    assert set(after.source.tolist()) == {1}


def test_same_day_calibration_must_be_asked_for_and_is_said(tmp_path: Path) -> None:
    path = str(write(tmp_path, new_form(), ".csv"))
    careful, knowing = (prepare(ROOT, asked(path, surface=given)) for given in ({}, {"bhavcopy": "same_day"}))
    assert any("no file of a day before the first" in note for note in careful.notes)
    assert any("no trader could have known" in note for note in knowing.notes)


def test_recorded_bars_stand_where_there_are_some_and_the_model_elsewhere(tmp_path: Path) -> None:
    columns, name = load_bars(Path(FILE), NIFTY, DAY, DAY), "NFO:NIFTY01FEB2421600CE"
    path = tmp_path / "options.csv"
    rows = [f"{int(start)},{name.partition(':')[2]},500,505,495,500,75" for start in columns.start_ns[:180]]
    path.write_text("\n".join(["ts,symbol,open,high,low,close,volume", *rows]) + "\n", encoding="utf-8")
    spec = prepare(ROOT, asked(str(path))).spec
    assert spec.options is not None
    market = OptionMarket(spec.options, spec.data, calendar(), facts())
    contract = next(item for item in market.contracts_on(DAY) if item.id == name)
    prices = market.prices(contract, DAY)
    assert prices is not None
    assert prices.source.tolist() == [2] * 180 + [0] * 195
    assert prices.columns.table[:4, 10].tolist() == [500, 505, 495, 500]
    now = int(prices.columns.start_ns[10]) + prices.columns.span_ns
    assert market.prices_at([contract], now)[name].price == 500.0


def test_gaps_between_recorded_bars_are_counted_and_said(tmp_path: Path) -> None:
    columns, path = load_bars(Path(FILE), NIFTY, DAY, DAY), tmp_path / "options.csv"
    plain = run(prepare(ROOT, asked("model", last=DAY)).spec)
    assert plain.priced is not None
    assert (plain.priced.gaps, "gaps" in option_prices_text(option_price_sources(plain) or {})) == ({}, False)
    held = {trade.instrument: (trade.entry_ns, trade.exit_ns) for trade in plain.ledger.trades if trade.entry_ns > 0}
    name = next(one for one, (begin, _) in held.items() if begin >= int(columns.start_ns[0]))
    of = next(one for one in plain.priced.columns if one.instrument == name)
    day = (of.start_ns >= columns.start_ns[0]) & (of.start_ns <= columns.start_ns[-1])
    begin = int(np.searchsorted(columns.start_ns, held[name][0]))
    rows = [
        ",".join(map(str, (int(start), name.partition(":")[2], *prices, 75)))
        for row, (start, prices) in enumerate(zip(of.start_ns[day], of.table[:4, day].T.tolist(), strict=True))
        if not begin + 2 <= row < begin + 5
    ]
    path.write_text("\n".join(["ts,symbol,open,high,low,close,volume", *rows]) + "\n", encoding="utf-8")
    result = run(prepare(ROOT, asked(str(path), last=DAY)).spec)
    found = option_price_sources(result)
    assert found is not None
    assert found["gaps"] == {name: 3}
    assert f"3 of these bars lie in gaps of what was recorded and were not, most of {name} (3)" in option_prices_text(
        found
    )
    assert f"gap in the record of {name}" in str(option_tables(found))


def test_bars_that_a_stack_has_kept_are_recorded_prices(tmp_path: Path) -> None:
    columns = load_bars(Path(FILE), NIFTY, DAY, DAY)
    name = "NFO:NIFTY01FEB2421600CE"
    store = BarStore(tmp_path)
    store.add(
        [Bar(name, "1m", int(start), int(start) + 60 * 10**9, 7.0, 8.0, 6.0, 7.5, 50) for start in columns.start_ns]
    )
    spec = prepare(ROOT, asked(str(tmp_path))).spec
    assert spec.options is not None
    assert spec.options.recorded[name].close.tolist() == [7.5] * len(columns)


def test_a_run_on_a_bhavcopy_says_how_much_of_it_was_calibrated(tmp_path: Path) -> None:
    path = str(write(tmp_path, new_form(), ".csv"))
    result = run(prepare(ROOT, asked(path, last=date(2024, 1, 31), surface={"bhavcopy": "same_day"})).spec)
    found = option_price_sources(result)
    assert result.fault is None
    assert result.ledger.trades
    assert found is not None
    assert 0 < found["bars"]["calibrated"] < 1
    on_its_day = [trade for trade in result.ledger.trades if ist_date(trade.entry_ns) == DAY]
    assert {trade.instrument[9:16] for trade in on_its_day} == {"08FEB24"}
    assert {trade.quantity for trade in on_its_day} == {75}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("none.csv", None, "no such file or folder"),
        ("empty.csv", "timestamp,symbol,open,high,low,close\n2024-01-30 09:15:00,SBIN,1,1,1,1\n", "nothing of options"),
        ("odd.csv", "timestamp,open,high,low,close\n2024-01-30 09:15:00,1,1,1,1\n", "expected one with contracts"),
    ],
)
def test_a_source_without_options_is_refused(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises((RequestError, ValueError), match=said):
        prepare(ROOT, asked(str(tmp_path / name)))


def chain(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["chain", "NIFTY", *arguments, "--json"])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


@pytest.fixture
def _home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYTRADING_HOME", str(ROOT))


@pytest.mark.usefixtures("_home")
@pytest.mark.parametrize("form", [new_form, old_form])
def test_chain_of_a_bhavcopy_shows_its_close(tmp_path: Path, form: Callable[[], str]) -> None:
    found = chain("--bhavcopy", str(write(tmp_path, form(), ".zip")), "-n", "30")
    rows = {row["strike"]: row for row in found["rows"]}
    assert found["day"] == DAY.isoformat()
    assert found["spot"] == pytest.approx(spot_on(DAY), rel=5e-4)
    assert rows[21_700.0]["call"]["iv"] == pytest.approx(true_iv(21_700), abs=0.003)
    assert rows[21_700.0]["put"]["open_interest"] == 21_700
    assert rows[21_200.0]["call"].get("ltp") is None
    assert ("off puts and calls" in found["note"]) == (form is old_form)
    given = chain("--bhavcopy", str(tmp_path / "bhav.zip"), "--underlying", "21900")
    assert (given["spot"], given["atm"]) == (21_900.0, 21_900.0)


@pytest.mark.usefixtures("_home")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--watch"], "--watch follows a running stack"), (["--expiry", "2024-03-01"], "or one of 2024-02-08")],
)
def test_chain_of_a_bhavcopy_says_what_it_cannot_show(tmp_path: Path, arguments: list[str], said: str) -> None:
    path = str(write(tmp_path, new_form(), ".csv"))
    done = CliRunner().invoke(app, ["chain", "NIFTY", "--bhavcopy", path, *arguments])
    assert isinstance(done.exception, Failure)
    assert said in str(done.exception)
