"""The picture of a strategy's combined premium: its legs, the Supertrend of the golden vector, and the page."""

from __future__ import annotations

from typing import Any

import pytest

from mytrading.cli.research.charts import premium_legs, render_strategy_page, supertrend_rows
from mytrading.core.bars.premium import HeldLeg
from mytrading.core.time import MINUTE
from mytrading.messages.market import Bar

CLOSES = [100, 101, 102, 101, 103, 106, 110, 113, 112, 108, 103, 99, 96, 97, 101, 106]
LINES = [None, None, 105.5, 104.5, 104.5, 101.0833, 104.1389, 107.0093, 107.0093, 107.0093, 110.0898, 106.3932,
         103.0955, 102.8970, 102.8970, 98.3513]  # fmt: skip


def rows() -> list[dict[str, Any]]:
    bars = [
        Bar("NFO:PREMIUM", "5m", k * 5 * MINUTE, (k + 1) * 5 * MINUTE, close, close + 1, close - 1.5, close)
        for k, close in enumerate(CLOSES)
    ]
    return supertrend_rows(bars, 3, 1.5)


def test_line_is_that_of_the_golden_vector_and_tells_a_signal() -> None:
    assert [row["line"] for row in rows()] == [
        line if line is None else pytest.approx(line, abs=0.006) for line in LINES
    ]
    assert [row["signal"] for row in rows()][1:6] == ["NEUTRAL", "SELL", "SELL", "SELL", "BUY"]


def position(instrument: str, quantity: int, price: float = 100.0) -> dict[str, Any]:
    return {"instrument": instrument, "quantity": quantity, "average_price": price, "opened_ns": 5}


def trade(run: str, side: str, closed_ns: int) -> dict[str, Any]:
    return {"run": run, "side": side, "quantity": 65, "instrument": f"NFO:{side}", "entry_price": 50.0,
            "closed_ns": closed_ns, "opened_ns": 1}  # fmt: skip


def test_legs_are_those_held_or_else_those_of_the_last_run() -> None:
    held = {"positions": [position("NFO:A", -65), position("NFO:B", 0)], "trades": [trade("r1", "SELL", 9)]}
    assert premium_legs(held) == ([HeldLeg("NFO:A", -65, 100.0)], True)
    trades = [trade("r1", "SELL", 9), trade("r2", "BUY", 20), trade("r2", "SELL", 19)]
    assert premium_legs({"positions": [], "trades": trades}) == (
        [HeldLeg("NFO:BUY", 65, 50.0), HeldLeg("NFO:SELL", -65, 50.0)],
        False,
    )
    assert premium_legs({"positions": [], "trades": []}) == ([], False)


def test_page_opens_without_a_network_and_shows_premium_trend_and_entry() -> None:
    reported = {"strategy": "My <one>", "timeframe": "5m", "period": 3, "multiplier": 1.5, "open": False,
            "legs": [{"instrument": "NFO:A", "quantity": -65, "price": 100.0}], "entered_ns": 4 * 5 * MINUTE,
            "bars": rows()}  # fmt: skip
    text = render_strategy_page(reported)
    assert "My &lt;one&gt;: combined premium" in text and "-65 NFO:A at 100.00" in text and "; closed" in text
    assert "Supertrend up" in text and "Supertrend down" in text and '"text":"entry"' in text
    assert 'src="http' not in text
