"""The built-in indicators against plain recomputations, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from mytrading.core.indicators.kernels import OWN, ema, rsi, sma

VALUES = np.array([10.0, 11.0, 12.5, 11.5, 13.0, 14.0, 12.0, 11.0, 13.5, 15.0])


def test_sma_is_the_mean_of_the_window():
    expected = [VALUES[k - 2 : k + 1].mean() for k in range(2, len(VALUES))]
    found = sma(VALUES, 3)
    assert np.isnan(found[:2]).all()
    assert found[2:] == pytest.approx(expected)


def test_ema_is_seeded_with_the_mean_and_decays():
    value = VALUES[:3].mean()
    expected = [value]
    for price in VALUES[3:]:
        value += (price - value) * 0.5
        expected.append(value)
    assert ema(VALUES, 3)[2:] == pytest.approx(expected)


def test_rsi_rising_prices_is_100_falling_is_0():
    rising = np.arange(1.0, 40.0)
    assert rsi(rising, 14)[-1] == pytest.approx(100)
    assert rsi(rising[::-1].copy(), 14)[-1] == pytest.approx(0)


@pytest.mark.parametrize("name", sorted(OWN))
def test_lookback_says_where_the_first_value_stands(name):
    indicator = OWN[name]
    values = indicator.kernel(np.linspace(1, 90, 100) + np.sin(np.arange(100)), **indicator.parameters)
    lookback = indicator.lookback(**indicator.parameters)
    assert np.isnan(values[:lookback]).all()
    assert not np.isnan(values[lookback:]).any()


@pytest.mark.parametrize("period", [1, 0, -3, 20_000])
def test_period_out_of_range_is_refused(period):
    with pytest.raises(ValueError, match="from 2 to 10000, found"):
        sma(VALUES, period)


def test_no_values_give_no_values():
    assert len(sma(np.empty(0), 5)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("module", ["mytrading.core.indicators", "mytrading.core.engine.machine"])
def test_import_loads_neither_pandas_nor_what_daemons_must_not(module):
    heavy = "{'pandas', 'polars', 'numba', 'pydantic', 'duckdb', 'zmq', 'openalgo'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(m.split('.')[0] for m in sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.slow
def test_import_leaves_pandas_importable():
    code = "import mytrading.core.indicators, pandas; print(pandas.Series([1, 2]).sum())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "3\n"
