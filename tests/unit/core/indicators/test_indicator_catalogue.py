"""The catalogue of indicators: found by name and output, causal each, with parameters that are checked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mytrading.core.indicators import BUILT_IN, FloatArray
from mytrading.core.indicators.kernels import talib
from mytrading.core.time import DAY_SECONDS

BARS = 260


def columns(size: int, seed: int = 3) -> dict[str, FloatArray]:
    rng = np.random.default_rng(seed)
    close = 100.0 + np.cumsum(rng.normal(size=BARS))
    table = {
        "open": close + 0.3 * rng.normal(size=BARS),
        "high": close + rng.random(BARS),
        "low": close - rng.random(BARS),
        "close": close,
        "volume": rng.integers(1, 900, BARS).astype(float),
        "start_s": 1_700_000_000.0 + 60.0 * np.arange(BARS) + DAY_SECONDS * (np.arange(BARS) // 130),
        "day": 19_000.0 + (np.arange(BARS) // 130),
    }
    return {name: values[:size].copy() for name, values in table.items()}


def run(name: str, size: int = BARS, **given: float) -> FloatArray:
    item = BUILT_IN[name]
    return item.kernel(*[columns(size)[column] for column in item.inputs], **{**item.parameters, **given})


def test_every_indicator_is_causal_and_gives_a_value_a_bar() -> None:
    """On beginnings of the series and on the whole of it, bit for bit."""
    assert len(BUILT_IN) > 200
    cuts = (1, 2, 40, 129, 131, 200)
    for name in BUILT_IN:
        item, table = BUILT_IN[name], columns(BARS)
        whole = item.kernel(*[table[column] for column in item.inputs], **item.parameters)
        assert whole.shape == (BARS,), name
        for size in cuts:
            part = item.kernel(*[table[column][:size].copy() for column in item.inputs], **item.parameters)
            assert np.array_equal(part, whole[:size], equal_nan=True), (name, size)


def test_every_indicator_says_what_it_is_and_takes_no_bars() -> None:
    for name in BUILT_IN:
        item = BUILT_IN[name]
        assert item.name == name
        assert item.about
        assert item.group
        assert item.lookback(**item.parameters) >= 0
        assert len(item.kernel(*[np.empty(0) for _ in item.inputs], **item.parameters)) == 0, name


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("ATR", lambda c: talib.ATR(c["high"], c["low"], c["close"], timeperiod=14)),
        ("MACD.macdsignal", lambda c: talib.MACD(c["close"])[1]),
        ("BBANDS.lowerband", lambda c: talib.BBANDS(c["close"], timeperiod=20)[2]),
        ("OBV", lambda c: talib.OBV(c["close"], c["volume"])),
        ("CDLDOJI", lambda c: talib.CDLDOJI(c["open"], c["high"], c["low"], c["close"]).astype(float)),
    ],
)
def test_values_are_talibs(name: str, wanted: Callable[[dict[str, FloatArray]], FloatArray]) -> None:
    assert np.array_equal(run(name), wanted(columns(BARS)), equal_nan=True)


def test_several_outputs_are_asked_for_by_name() -> None:
    assert "MACD" not in BUILT_IN
    assert BUILT_IN.outputs("MACD") == ("macd", "macdsignal", "macdhist")
    assert BUILT_IN.outputs("SUPERTREND") == ("line", "direction")
    assert BUILT_IN.outputs("SMA") == ()
    for name in ("MACD.nothing", "SMA.value", "NOSUCH", "MAVP"):
        assert name not in BUILT_IN


def test_parameters_out_of_range_or_broken_are_refused_with_their_values() -> None:
    with pytest.raises(ValueError, match=r"ATR: period must be a whole number, found 2\.5"):
        run("ATR", period=2.5)
    with pytest.raises(ValueError, match=r"ATR\(period=0\)"):
        run("ATR", period=0)
    with pytest.raises(ValueError, match=r"SUPERTREND: period must be a whole number, found 7\.5"):
        run("SUPERTREND.line", period=7.5)


def test_vwap_begins_anew_each_day_and_equals_a_hand_calculation() -> None:
    table, found = columns(BARS), run("VWAP")
    typical = (table["high"] + table["low"] + table["close"]) / 3
    for first in (0, 130):
        assert found[first] == pytest.approx(typical[first])
    part = slice(130, 150)
    assert found[149] == pytest.approx(np.average(typical[part], weights=table["volume"][part]))
    silent = dict(table, volume=np.zeros(BARS))
    assert np.isnan(BUILT_IN["VWAP"].kernel(*[silent[name] for name in BUILT_IN["VWAP"].inputs])).all()


def test_anchored_vwap_begins_at_its_anchor() -> None:
    table = columns(BARS)
    found = run("AVWAP", anchor=table["start_s"][50] - 30.0)
    typical = (table["high"] + table["low"] + table["close"]) / 3
    assert np.isnan(found[:50]).all()
    assert found[50] == pytest.approx(typical[50])
    assert found[-1] == pytest.approx(np.average(typical[50:], weights=table["volume"][50:]))
    assert np.isnan(run("AVWAP", anchor=9e9)).all()
