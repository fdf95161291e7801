"""The picture of one instrument's stored bars."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path

import msgspec
import pytest

from mytrading.adapters.storage.bar_store import BarStore
from mytrading.cli.research.charts import stored_bars, strategy_overlay, supertrend_rows, symbol_report
from mytrading.core.time import MINUTE, SECOND, to_ns
from mytrading.messages.market import Bar
from tests.kit.pages import charts_of, series_of
from tests.kit.run_configs import run_config

OPEN = to_ns(date(2026, 3, 18), time(9, 15))


@pytest.mark.parametrize(
    "instrument", ["NSE_INDEX:NIFTY", "NSE:SBIN", "NFO:NIFTY30MAR26FUT", "NFO:NIFTY24MAR2623000CE"]
)
def test_bars_of_every_class_of_instrument_are_joined_and_drawn(tmp_path: Path, instrument: str) -> None:
    config = run_config(tmp_path)
    store = BarStore(config.bars_dir)
    minutes = [OPEN + n * MINUTE for n in range(12)]
    store.add([Bar(instrument, "1m", at, at + MINUTE, 100.0 + n, 102.0 + n, 99.0, 101.0 + n, 5.0)
               for n, at in enumerate(minutes)])  # fmt: skip
    store.close()
    bars = stored_bars(config, instrument, "5m", OPEN + 12 * MINUTE)
    assert [(bar.open, bar.high, bar.close) for bar in bars] == [(100.0, 106.0, 105.0), (105.0, 111.0, 110.0)]
    reported = {"instrument": instrument, "timeframe": "5m", "period": 1, "multiplier": 3.0,
            "bars": supertrend_rows(bars, 1, 3.0)}  # fmt: skip
    report = symbol_report(reported)
    (chart,) = charts_of(report, "")
    assert (report.title, chart.title, chart.ranges) == (instrument, instrument, True)
    candles, volume = series_of(chart, "price"), series_of(chart, "volume")
    assert (candles.y, candles.high, volume.y, volume.panel) == ([105.0, 110.0], [106.0, 111.0], [25.0, 25.0], 1)
    assert candles.x == [OPEN // 10**6, OPEN // 10**6 + 300_000]


def test_instrument_that_nobody_watches_has_no_bars(tmp_path: Path) -> None:
    config = run_config(tmp_path)
    BarStore(config.bars_dir).close()
    assert stored_bars(config, "NSE:SBIN", "1m", OPEN) == []


def test_strategy_adds_its_indicators_fills_and_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # its file is found from any folder
    config = run_config(tmp_path)
    run = config.strategy("SMA_Crossover")
    assert run is not None
    (name, *_) = run.symbols
    closes = [100.0 + (n * 7) % 11 for n in range(300)]
    minutes = [
        Bar(name, "1m", OPEN + n * MINUTE, OPEN + (n + 1) * MINUTE, close, close + 1, close - 1, close, 5)
        for n, close in enumerate(closes)
    ]
    trade = {"instrument": name, "side": "SELL", "quantity": 75, "entry_price": 104.0, "exit_price": 101.0,
             "opened_ns": OPEN + 60 * MINUTE, "closed_ns": OPEN + 90 * MINUTE, "realised": 225.0}  # fmt: skip
    held = {"instrument": name, "quantity": 75, "average_price": 102.0, "opened_ns": OPEN + 120 * MINUTE, "stop": 99.0}
    body = {"name": "SMA_Crossover", "trades": [trade], "positions": [held, {**held, "instrument": "NSE:OTHER"}]}
    moved = [(OPEN + 120 * MINUTE, 98.0), (OPEN + 150 * MINUTE, 99.0)]
    overlay = strategy_overlay(config, run, body, name, minutes, {name: moved})
    bars = supertrend_rows(minutes, 7, 3.0)
    content = {"instrument": name, "timeframe": "1m", "period": 7, "multiplier": 3.0, "bars": bars}
    report = symbol_report(content, [overlay])
    (chart,) = charts_of(report, "")
    assert "with SMA_Crossover" in report.subtitle
    curves = [one for one in chart.series if one.draw == "line" and not one.name.startswith("Supertrend")]
    assert curves and all(any(value is not None for value in curve.y) for curve in curves)
    sold, bought = series_of(chart, "sold"), series_of(chart, "bought")
    assert (sold.x, sold.y) == ([trade["opened_ns"] // 10**6], [104.0])
    assert bought.y == [101.0, 102.0]
    stop = series_of(chart, "stop")
    assert stop.x == [(OPEN + minute * MINUTE) // 10**6 for minute in (120, 150, 150, 300)]
    assert stop.y == [98.0, 98.0, 99.0, 99.0]
    assert chart.first == (float(minutes[150].start_ns // 10**6), float(minutes[-1].end_ns // 10**6))
    gaps = [bar for number, bar in enumerate(minutes) if number % 2]
    of_gaps = strategy_overlay(config, run, body, name, gaps, {})
    assert {len(curve.x) for curve in of_gaps.on_price} == {len(gaps)}, "minutes with holes are minutes"
    at = OPEN + 60 * MINUTE + 20 * SECOND
    contract = {**trade, "instrument": "NFO:NIFTY01DEC2626000CE", "side": "BUY", "quantity": 65, "entry_price": 210.0,
                "opened_ns": at}  # fmt: skip
    other = {**trade, "instrument": "NFO:BANKNIFTY01DEC2658000CE"}
    index = strategy_overlay(
        config, run, {**body, "trades": [contract, other], "positions": []}, "NSE_INDEX:NIFTY", minutes, {}
    )
    bought, sold = index.trading
    assert (bought.name, bought.x, bought.y) == ("contracts bought", [at // 10**6], [closes[60]])
    assert (sold.name, sold.y) == ("contracts sold", [closes[90]])
    assert bought.text and "65 NFO:NIFTY01DEC2626000CE at 210.00" in bought.text[0]
    wrong = [*minutes[:-1], msgspec.structs.replace(minutes[-1], low=0.0)]
    assert strategy_overlay(config, run, body, name, wrong, {}).on_price == [], "a price of nothing"
