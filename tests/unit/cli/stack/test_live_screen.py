"""The live screen at several sizes of terminal: nothing runs over, the stop key is seen, instruments are whole."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from mytrading.cli.stack.live_screen import LiveScreenData, render_screen
from mytrading.runtime.supervision.control import PROGRAMS

CALL = "NFO:NIFTY23NOV2626100CE"
FOOTER = "q or Ctrl-C stops the stack"
ALERT = "the order stream was lost: Connection timed out; the books are read instead; it is tried again, and again"


def reported(orders: int = 12, ill: bool = False, figures: dict[str, float] | None = None) -> LiveScreenData:
    """A stack that holds one option, with `orders` orders; `ill`: its feed is degraded."""
    daemons: list[dict[str, Any]] = [
        {"daemon": name, "state": "RUNNING", "ready": True, "lag_ms": 0.2, "handler_p99_us": 19_398.7, "rss_mb": 40.1,
         "cpu_s": 1.5, "restarts": 0, "notes": []} for name in PROGRAMS
    ]  # fmt: skip
    feed = next(row for row in daemons if row["daemon"] == "feed")
    feed["figures"] = {
        "quotes_in": 9.0,
        "bars": 19.0,
        "fresh": 3.0,
        "expected": 4.0,
        "malformed": 0.0,
        **(figures or {}),
    }
    if ill:
        feed.update(state="DEGRADED", ready=False, notes=["socket: refused"])
    status = {"system": "MyTrading", "profile": "paper", "mode": "paper", "market_ns": 0, "speed": 60.0,
              "trading": {"level": "normal", "reason": ""}, "daemons": daemons}  # fmt: skip
    position = {"strategy": "SMA_Crossover", "instrument": CALL, "quantity": 65, "average_price": 31.4, "ltp": 29.05,
                "stop": 22.65, "stop_state": "resting", "unrealised": -156.0}  # fmt: skip
    order = {"created_ns": 0, "purpose": "entry", "side": "BUY", "quantity": 65, "instrument": CALL, "price": 31.4,
             "state": "CANCELLED"}  # fmt: skip
    signal = {"created_ns": 0, "strategy": "SMA_Crossover", "action": "BUY", "watch": "NSE_INDEX:NIFTY", "reason": "up"}
    alert = {"code": "ORDER_STREAM_DOWN", "subject": "paper", "message": ALERT}
    rows = {"positions": [position], "orders": [order] * orders, "signals": [signal] * 9, "alerts": [alert]}
    pnl = {"realised": 1420.25, "unrealised": -156.0}
    return LiveScreenData(status, rows, {"pnl": pnl, "orders": {"placed": orders}}, 139.0, f"{FOOTER} · closing")


def drawn(body: LiveScreenData, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    console.print(render_screen(body, width, height))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("orders", [0, 3, 50])
@pytest.mark.parametrize("width, height", [(60, 12), (60, 20), (80, 24), (100, 30), (140, 45), (200, 50)])
def test_screen_fits_its_terminal_and_ends_with_the_stop_key(width: int, height: int, orders: int) -> None:
    lines = drawn(reported(orders), width, height)
    assert len(lines) <= height
    assert max(len(line) for line in lines) <= width
    assert FOOTER in lines[-1]


@pytest.mark.parametrize("width, height", [(60, 20), (80, 24), (140, 45)])
def test_position_order_and_alert_are_seen_with_their_whole_instrument(width: int, height: int) -> None:
    lines = drawn(reported(), width, height)
    assert sum(CALL in line for line in lines) >= 2
    assert any("ORDER_STREAM_DOWN" in line for line in lines)


def test_halt_is_told_in_full_on_a_narrow_screen() -> None:
    body = reported()
    body.status["trading"] = {"level": "halt", "reason": "lunch", "by": "asha"}
    lines = drawn(body, 60, 20)
    assert "trading halt (lunch, by asha)" in " ".join(line.strip() for line in lines[:2])
    assert len(lines) <= 20 and FOOTER in lines[-1]


def test_small_screen_names_the_process_that_is_not_well() -> None:
    text = "\n".join(drawn(reported(ill=True), 80, 24))
    assert "7 of 8 processes run" in text and "feed DEGRADED: socket: refused" in text


def test_large_screen_has_a_line_for_each_process_and_the_whole_alert() -> None:
    text = "\n".join(drawn(reported(ill=True), 140, 45))
    assert all(f"\n{name} " in text for name in PROGRAMS)
    assert ALERT in text


def test_feed_tells_coverage_and_of_troubles_those_that_were() -> None:
    text = "\n".join(drawn(reported(figures={"malformed": 2.0, "bar_gaps": 0.0}), 140, 45))
    assert "feed 139 quotes/s · 3 of 4 instruments fresh · 19 bars · malformed 2\n" in text
