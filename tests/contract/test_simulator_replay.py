"""A simulator on a file of bars: the prices it sends, and how it goes on from day to day."""

from __future__ import annotations

from pathlib import Path

import duckdb

from tests.kit.simulator_process import RunningSimulator, refused_simulator, start_simulator
from tests.kit.waiting import eventually

BARS = """timestamp,open,high,low,close
2024-03-13 09:15:00,22000,22010,21990,22005
2024-03-13 09:16:00,22005,22020,22000,22018
2024-03-14 09:15:00,22100,22101,22090,22095
2024-03-14 09:16:00,22095,22096,22080,22081
"""


def day(simulator: RunningSimulator) -> str:
    return str(simulator.get("/sim/state")[1]["data"]["day"])


def index(simulator: RunningSimulator) -> float:
    return float(simulator.call("quotes", symbol="NIFTY", exchange="NSE_INDEX")[1]["data"]["ltp"])


def test_replay_of_two_days_of_bars_jumps_to_the_second_and_then_stands(tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"
    file.write_text(BARS, encoding="utf-8")
    with start_simulator(tmp_path, replay=file, start="", speed=20_000) as running:
        eventually(lambda: day(running) == "2024-03-14", 30)
        assert eventually(lambda: index(running) == 22_081.0, 30)
        _, body = running.call("symbol", symbol="NIFTY14MAR2422000CE", exchange="NFO")
        assert body["data"]["lotsize"] == 50
        asked = {"symbol": "NIFTY", "exchange": "NSE_INDEX", "interval": "1m"}
        _, body = running.call("history", **asked, start_date="2024-03-13", end_date="2024-03-14")
        assert [row["close"] for row in body["data"]] == [22_005, 22_018, 22_095, 22_081]
        assert day(running) == "2024-03-14"


def test_replay_of_parquet_begins_where_it_is_set_to(tmp_path: Path) -> None:
    (tmp_path / "bars.csv").write_text(BARS, encoding="utf-8")
    with duckdb.connect() as database:
        source, file = tmp_path / "bars.csv", tmp_path / "bars.parquet"
        database.execute(f"COPY (SELECT * FROM read_csv('{source}')) TO '{file}' (FORMAT parquet)")
    with start_simulator(tmp_path, replay=file, start="2024-03-14 09:15", speed=0.001) as running:
        assert (day(running), index(running)) == ("2024-03-14", 22_100.0)


def test_replay_of_a_day_without_trading_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"
    file.write_text(BARS.replace("2024-03-14", "2024-03-16"), encoding="utf-8")
    code, problem = refused_simulator(tmp_path, replay=file)
    assert (code, "expected ticks of a trading day, found 2024-03-16" in problem) == (2, True)
