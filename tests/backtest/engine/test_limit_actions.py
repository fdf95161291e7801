"""A limit of the day that makes flat does so in a backtest too, at the close of the bar at which it is reached."""

from __future__ import annotations

import pytest

from mytrading.backtest.run import run
from mytrading.messages.enums import LimitAction
from mytrading.strategies import Bar, BaseStrategy, Signal
from tests.kit.backtest_specs import bars, spec_of


class BuysOnce(BaseStrategy):
    """Long from the first bar on."""

    def on_data(self, data: Bar) -> Signal | None:
        return None if self.traded_today else self.create_signal("BUY")


FALLING = [(100.0 - n, 100.0 - n, 99.0 - n, 99.0 - n) for n in range(30)]


@pytest.mark.parametrize("lean", [True, False])
def test_limit_that_makes_flat_closes_at_its_bar_and_not_at_the_square_off(lean: bool) -> None:
    spec = spec_of(BuysOnce, bars(FALLING), max_daily_loss=5.0, limit_action=LimitAction.FLATTEN, lean=lean)
    result = run(spec)
    (trade,) = result.ledger.trades
    assert trade.exit_price == 94.0
    assert "it is made flat" in next(event.text for event in result.ledger.events if event.code == "DAILY_LOSS")
