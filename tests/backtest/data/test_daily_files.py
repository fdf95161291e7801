"""Bhavcopies as the data of a backtest: a folder of end-of-day files, one bar a day of what is asked for."""

from __future__ import annotations

import json
import zipfile
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mytrading.backtest.data.columns import DataError
from mytrading.backtest.data.load import load_bhavcopy_bars
from mytrading.cli.app import app
from mytrading.cli.shell.failures import Failure
from tests.kit.project import ROOT

NEW = (
    "TradDt,BizDt,Sgmt,Src,FinInstrmTp,TckrSymb,SctySrs,XpryDt,StrkPric,OptnTp,OpnPric,HghPric,LwPric,ClsPric,"
    "UndrlygPric,SttlmPric,OpnIntrst,TtlTradgVol,NewBrdLotQty"
)
OLD_SHARES = "SYMBOL,SERIES,OPEN,HIGH,LOW,CLOSE,LAST,PREVCLOSE,TOTTRDQTY,TOTTRDVAL,TIMESTAMP,TOTALTRADES,ISIN,"
OLD_CONTRACTS = (
    "INSTRUMENT,SYMBOL,EXPIRY_DT,STRIKE_PR,OPTION_TYP,OPEN,HIGH,LOW,CLOSE,SETTLE_PR,CONTRACTS,VAL_INLAKH,OPEN_INT,"
    "CHG_IN_OI,TIMESTAMP,"
)
FUTURE = "NFO:SBIN28MAR24FUT"
DAY = date(2024, 1, 8)


def weekdays(count: int, first: date = DAY) -> list[date]:
    return [day for day in (first + timedelta(days=n) for n in range(2 * count)) if day.weekday() < 5][:count]


def price(day: date) -> float:
    """Falls for a while, then rises, so that averages cross."""
    number = weekdays(60).index(day)
    return 600.0 + abs(number - 20) * 4.0


def new_shares(day: date) -> str:
    at = price(day)
    rows = [
        f"{day},{day},CM,NSE,STK,SBIN,EQ,,,,{at},{at + 5},{at - 5},{at + 1},,{at + 1},,250000,1",
        f"{day},{day},CM,NSE,STK,SBIN,N5,,,,1,1,1,1,,1,,10,1",
        f"{day},{day},CM,NSE,STK,SBINX,EQ,,,,9,9,9,9,,9,,10,1",
    ]
    return "\n".join([NEW, *rows]) + "\n"


def old_shares(day: date) -> str:
    at, stamp = price(day), f"{day:%d-%b-%Y}".upper()
    return f"{OLD_SHARES}\nSBIN,EQ,{at},{at + 5},{at - 5},{at + 1},{at},{at},250000,1e9,{stamp},9,INE062A01020,\n"


def new_contracts(day: date, traded: int = 100) -> str:
    at, head = price(day) + 3, f"{day},{day},FO,NSE"
    rows = [
        f"{head},STF,SBIN,,2024-03-28,,,{at},{at + 5},{at - 5},{at + 1},{at},{at},7,{traded},750",
        f"{head},STF,SBIN,,2024-04-25,,,9,9,9,9,{at},9,7,100,750",
        f"{head},STO,SBIN,,2024-03-28,600,CE,40,44,39,41,{at},41,7,50,750",
    ]
    return "\n".join([NEW, *rows]) + "\n"


def old_contracts(day: date) -> str:
    at, stamp = price(day) + 3, f"{day:%d-%b-%Y}".upper()
    rows = [
        f"FUTSTK,SBIN,28-Mar-2024,0,XX,{at},{at + 5},{at - 5},{at + 1},{at},100,1,7,0,{stamp},",
        f"OPTSTK,SBIN,28-Mar-2024,600,CE,40,44,39,41,41,50,1,7,0,{stamp},",
    ]
    return "\n".join([OLD_CONTRACTS, *rows]) + "\n"


def folder_of(folder: Path, form: object, count: int = 60) -> Path:
    folder.mkdir(exist_ok=True)
    for day in weekdays(count):
        with zipfile.ZipFile(folder / f"BhavCopy_{day:%Y%m%d}.csv.zip", "w") as packed:
            packed.writestr("it.csv", form(day))  # type: ignore[operator]
    return folder


@pytest.mark.parametrize("form", [new_shares, old_shares])
def test_days_of_a_share_are_its_bars_in_both_forms(tmp_path: Path, form: object) -> None:
    columns = load_bhavcopy_bars(folder_of(tmp_path / "cash", form), "NSE:SBIN")
    assert (columns.timeframe, len(columns)) == ("1d", 60)
    first = price(DAY)
    assert columns.table[:, 0].tolist() == [first, first + 5, first - 5, first + 1, 250_000.0]


@pytest.mark.parametrize(("form", "volume"), [(new_contracts, 75_000.0), (old_contracts, 100.0)])
def test_days_of_a_future_and_of_an_option_are_distinguished(tmp_path: Path, form: object, volume: float) -> None:
    folder = folder_of(tmp_path / "fo", form, 5)
    assert load_bhavcopy_bars(folder, FUTURE).table[:, 0].tolist()[:1] == [price(DAY) + 3]
    assert load_bhavcopy_bars(folder, FUTURE).table[4, 0] == volume
    assert set(load_bhavcopy_bars(folder, "NFO:SBIN28MAR24600CE").close) == {41.0}


def test_day_on_which_it_did_not_trade_has_no_bar(tmp_path: Path) -> None:
    days = weekdays(3)
    for day, traded in zip(days, (100, 0, 100), strict=True):
        (tmp_path / f"{day}.csv").write_text(new_contracts(day, traded), encoding="utf-8")
    assert np.diff(load_bhavcopy_bars(tmp_path, FUTURE).start_ns).tolist() == [2 * 86_400_000_000_000]


def test_from_and_to_are_days_of_the_folder(tmp_path: Path) -> None:
    days = weekdays(10)
    folder = folder_of(tmp_path / "cash", new_shares, 10)
    assert len(load_bhavcopy_bars(folder, "NSE:SBIN", days[2], days[4])) == 3
    with pytest.raises(DataError, match=f"no days from 2025-01-01 to .*holds {days[0]} to {days[-1]}"):
        load_bhavcopy_bars(folder, "NSE:SBIN", date(2025, 1, 1))


def test_folder_without_the_instrument_says_where_it_would_stand(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "cash", new_shares, 3)
    with pytest.raises(DataError, match=r"NSE:TCS did not trade in any of its 3 bhavcopies; shares stand in .*CM"):
        load_bhavcopy_bars(folder, "NSE:TCS")
    with pytest.raises(DataError, match=r"NFO:SBIN28MAR24FUT did not trade .* futures and options in those of F&O"):
        load_bhavcopy_bars(folder, FUTURE)
    with pytest.raises(DataError, match="holds shares and contracts, no index; name a file with the index's bars"):
        load_bhavcopy_bars(folder, "NSE_INDEX:NIFTY")


def test_two_files_of_one_day_are_refused(tmp_path: Path) -> None:
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text(new_shares(DAY), encoding="utf-8")
    with pytest.raises(DataError, match="both tell of 2024-01-08; keep one of them"):
        load_bhavcopy_bars(tmp_path, "NSE:SBIN")


def test_command_runs_a_strategy_on_a_folder_of_bhavcopies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYTRADING_HOME", str(ROOT))
    folder = folder_of(tmp_path / "cash", new_shares)
    run = ["backtest", "SMA_Crossover", "-d", str(folder), "-i", "NSE:SBIN", "--product", "CNC", "--json", "-t", "1d"]
    done = CliRunner().invoke(app, [*run, "-p", "fast_period=3", "-p", "slow_period=8"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert (found["bars"], found["timeframe"], found["instruments"]) == (60, "1d", ["NSE:SBIN"])
    assert found["trades"] + len(found["open"]) > 0


def test_command_says_what_to_type_where_a_folder_holds_no_bhavcopy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYTRADING_HOME", str(ROOT))
    (tmp_path / "bars.csv").write_text("timestamp,open,high,low,close\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["backtest", "SMA_Crossover", "-d", str(tmp_path), "-i", "NSE:SBIN"])
    assert isinstance(done.exception, Failure)
    assert "no bhavcopy in this folder; --data takes a folder of them, or one file of bars" in str(done.exception)
