"""Changes of resting orders against a broker that loses them, makes them late, or fills the order instead."""

from __future__ import annotations

from hypothesis import settings

from tests.kit.hypothesis_budget import examples
from tests.kit.oms_histories import PACE, SOAK, TradingWithChanges


class TradingWithReplacements(TradingWithChanges):
    """The broker changes nothing in place."""

    in_place = False


TestTradingWithChanges = TradingWithChanges.TestCase
TestTradingWithChanges.settings = settings(PACE, max_examples=SOAK or examples(12))
TestTradingWithReplacements = TradingWithReplacements.TestCase
TestTradingWithReplacements.settings = settings(PACE, max_examples=SOAK or examples(8))
