"""Metrics equal those that empyrical-reloaded gave for the same returns.

Its figures are pinned: its own requirements pull in packages that exist as sources only. To make them anew, install it
in an environment of its own and call its functions of these names on the returns below.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from mytrading.core.accounting import performance
from tests.kit.project import ROOT

PINNED = json.loads((ROOT / "tests" / "golden" / "metrics.json").read_text(encoding="utf-8"))["figures"]
NAMES = sorted(PINNED["0"])


def test_pinned_figures_cover_what_the_report_shows() -> None:
    assert len(NAMES) == 13
    assert set(NAMES) <= set(performance.return_figures(np.array([0.01, -0.02, 0.015])))


@pytest.mark.parametrize("seed", sorted(PINNED))
@pytest.mark.parametrize("name", NAMES)
def test_metric_of_random_returns_equals_the_librarys(name: str, seed: str) -> None:
    returns = np.random.default_rng(int(seed)).normal(0.0004, 0.012, 300)
    assert performance.return_figures(returns)[name] == pytest.approx(PINNED[seed][name], rel=1e-9, abs=1e-12)
