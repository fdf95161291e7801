"""Kernels do not look ahead: f(x[:k + 1])[k] == f(x)[k], bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mytrading.core.indicators.kernels import OWN
from tests.kit.hypothesis_budget import examples

prices = st.lists(st.floats(0.05, 1e6, allow_nan=False), min_size=1, max_size=80)


@pytest.mark.parametrize("name", sorted(OWN))
@given(closes=prices, period=st.integers(2, 30), data=st.data())
@settings(max_examples=examples(80), deadline=None)
def test_kernel_value_does_not_depend_on_later_bars(name, closes, period, data):
    values = np.array(closes)
    k = data.draw(st.integers(0, len(values) - 1))
    kernel = OWN[name].kernel
    whole, part = kernel(values, period=period)[k], kernel(values[: k + 1].copy(), period=period)[k]
    assert whole == part or (np.isnan(whole) and np.isnan(part))
