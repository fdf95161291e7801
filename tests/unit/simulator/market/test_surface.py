"""The simulated prices against Black's formula without a table, and against each other."""

from __future__ import annotations

import numpy as np
import pytest

from mytrading.core.options import black76
from mytrading.messages.instruments import InstrumentKind
from mytrading.simulator.market.surface import CARRY, YEAR_NS, expiry_terms, implied_volatility, theoretical_prices

YEARS = np.array([0.0, 1e-6, 1.0 / 365.0, 0.02, 0.1, 0.4])
END = 2**60
EXPIRY = expiry_terms(np.full_like(YEARS, 85_200.0), END, END - np.rint(YEARS * YEAR_NS).astype(np.int64))


@pytest.mark.parametrize("strike", [60_000.0, 84_000.0, 85_200.0, 85_300.0, 99_000.0])
@pytest.mark.parametrize("kind", [InstrumentKind.CE, InstrumentKind.PE])
def test_price_by_table_is_within_a_fifth_of_a_tick_of_the_formula(kind: InstrumentKind, strike: float) -> None:
    sigma = implied_volatility(0.13, strike, EXPIRY)
    exact = black76.prices(EXPIRY.forward, strike, YEARS, sigma, CARRY, kind is InstrumentKind.CE)
    assert theoretical_prices(kind, strike, EXPIRY, 0.13) == pytest.approx(exact, abs=0.01)


def test_call_less_put_is_forward_less_strike() -> None:
    call, put = (theoretical_prices(kind, 85_000.0, EXPIRY, 0.13) for kind in (InstrumentKind.CE, InstrumentKind.PE))
    assert call - put == pytest.approx((EXPIRY.forward - 85_000.0) * EXPIRY.discount, abs=0.02)
